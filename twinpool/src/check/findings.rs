//! What two pools must be like to be each other's twin, decided from their descriptions alone.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_cognitoidentityprovider::types::{
    DeletionProtectionType, EmailSendingAccountType, LambdaConfigType, RecoveryOptionNameType,
    SchemaAttributeType, UserPoolClientType, UserPoolMfaType, UserPoolType, VerifiedAttributeType,
};
use serde::Serialize;
use shared::pool::PoolId;

use super::clients::{clients, first_sub};
use super::schema::schema;
use crate::fence::{Gate, State};

/// What is known of a pool.
#[derive(Clone, Debug)]
pub struct PoolFacts {
    /// Its id.
    pub id: PoolId,
    /// DescribeUserPool.
    pub description: UserPoolType,
    /// Whether people can use an authenticator app: GetUserPoolMfaConfig.
    pub authenticator: bool,
    /// Its app clients.
    pub clients: Vec<UserPoolClientType>,
    /// GetCSVHeader.
    pub header: Vec<String>,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The failover or the way back would fail.
    Wrong,
    /// Somebody should know, and decide.
    Warn,
    /// As it should be.
    Good,
}

/// Something that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is about.
    pub topic: &'static str,
    /// What was found.
    pub what: String,
    /// What to do.
    pub advice: Option<&'static str>,
}

/// Everything there is to say about two pools and what stands before the second.
pub fn findings(
    primary: &PoolFacts,
    secondary: &PoolFacts,
    gate: &Gate,
    origin_sub: &str,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for rule in [
        regions,
        sign_in,
        aliases,
        letter_case,
        sign_up,
        schema,
        header,
        verification,
        recovery,
        mail,
        text_messages,
        mfa,
        triggers,
        protection,
        users,
        clients,
    ] {
        rule(primary, secondary, &mut findings);
    }
    first_sub(primary, secondary, origin_sub, &mut findings);
    fence(gate, &mut findings);
    findings
}

/// Where a rule puts what it finds.
pub trait Findings {
    fn add(
        &mut self,
        severity: Severity,
        topic: &'static str,
        what: String,
        advice: Option<&'static str>,
    );

    fn good(&mut self, topic: &'static str, what: impl Into<String>) {
        self.add(Severity::Good, topic, what.into(), None);
    }

    fn warn(&mut self, topic: &'static str, what: impl Into<String>, advice: &'static str) {
        self.add(Severity::Warn, topic, what.into(), Some(advice));
    }

    fn wrong(&mut self, topic: &'static str, what: impl Into<String>, advice: &'static str) {
        self.add(Severity::Wrong, topic, what.into(), Some(advice));
    }
}

impl Findings for Vec<Finding> {
    fn add(
        &mut self,
        severity: Severity,
        topic: &'static str,
        what: String,
        advice: Option<&'static str>,
    ) {
        self.push(Finding {
            severity,
            topic,
            what,
            advice,
        });
    }
}

/// Settings that were given when the pool was created cannot be changed (DG:user-pool-settings-attributes).
pub const NEW_POOL: &str =
    "this cannot be changed once a pool exists: make a new secondary pool that has it right";

fn regions(primary: &PoolFacts, secondary: &PoolFacts, findings: &mut Vec<Finding>) {
    let topic = "region";
    let (first, second) = (primary.id.region(), secondary.id.region());
    if first == second {
        findings.wrong(
            topic,
            format!("both pools are in {first}"),
            "a twin belongs into another region",
        );
    } else {
        findings.good(topic, format!("{first} and {second}"));
    }
}

fn sign_in(primary: &PoolFacts, secondary: &PoolFacts, findings: &mut Vec<Finding>) {
    let topic = "sign-in";
    let by = |pool: &PoolFacts| texts(pool.description.username_attributes(), |a| a.as_str());
    let (first, second) = (by(primary), by(secondary));
    if first != second {
        let what = format!(
            "people sign in by {} in the primary, by {} in the secondary",
            list(&first, "username"),
            list(&second, "username")
        );
        findings.wrong(topic, what, NEW_POOL);
    } else if first.len() > 1 {
        findings.wrong(
            topic,
            "people sign in by email or phone number, and nothing says which of them is a person's username",
            "twinpool does not serve such pools: an import would need to know",
        );
    } else {
        findings.good(topic, format!("by {}", list(&first, "username")));
    }
}

fn aliases(primary: &PoolFacts, secondary: &PoolFacts, findings: &mut Vec<Finding>) {
    let topic = "aliases";
    let of = |pool: &PoolFacts| texts(pool.description.alias_attributes(), |a| a.as_str());
    let (first, second) = (of(primary), of(secondary));
    if first == second {
        findings.good(topic, list(&first, "none"));
    } else {
        let what = format!(
            "{} in the primary, {} in the secondary",
            list(&first, "none"),
            list(&second, "none")
        );
        findings.wrong(topic, what, NEW_POOL);
    }
}

fn letter_case(primary: &PoolFacts, secondary: &PoolFacts, findings: &mut Vec<Finding>) {
    let topic = "letter case";
    // botocore UsernameConfigurationType: case sensitive unless it says otherwise.
    let counts = |pool: &PoolFacts| {
        let configuration = pool.description.username_configuration();
        configuration.is_none_or(|configuration| configuration.case_sensitive)
    };
    match (counts(primary), counts(secondary)) {
        (true, true) => findings.good(topic, "counts in usernames, in both pools"),
        (false, false) => findings.good(topic, "does not count in usernames, in either pool"),
        (true, false) => findings.wrong(topic, "counts in usernames of the primary only", NEW_POOL),
        (false, true) => {
            findings.wrong(topic, "counts in usernames of the secondary only", NEW_POOL)
        }
    }
}

fn sign_up(primary: &PoolFacts, secondary: &PoolFacts, findings: &mut Vec<Finding>) {
    let topic = "sign-up";
    let open = |pool: &PoolFacts| {
        let creation = pool.description.admin_create_user_config();
        creation.is_none_or(|creation| !creation.allow_admin_create_user_only)
    };
    match (open(primary), open(secondary)) {
        (true, true) => findings.good(topic, "open in both pools"),
        (false, false) => findings.good(
            topic,
            "closed in both pools: only administrators create users",
        ),
        (true, false) => findings.wrong(
            topic,
            "closed in the secondary only: on the night nobody could sign up",
            "open it: Cognito console › Sign-up › Self-registration",
        ),
        (false, true) => findings.wrong(
            topic,
            "open in the secondary only: on the night anybody could sign up",
            "close it: Cognito console › Sign-up › Self-registration",
        ),
    }
}

fn header(primary: &PoolFacts, secondary: &PoolFacts, findings: &mut Vec<Finding>) {
    let topic = "import columns";
    let of = |pool: &PoolFacts| pool.header.iter().cloned().collect::<BTreeSet<_>>();
    let (first, second) = (of(primary), of(secondary));
    if first == second {
        findings.good(topic, format!("the same {} in both pools", first.len()));
    } else {
        let different: BTreeSet<_> = first.symmetric_difference(&second).cloned().collect();
        findings.warn(
            topic,
            format!("in one of the pools only: {}", list(&different, "none")),
            "bring newcomers back with twinpool restore, which maps the columns, and not with a snapshot's file",
        );
    }
}

fn verification(primary: &PoolFacts, secondary: &PoolFacts, findings: &mut Vec<Finding>) {
    let topic = "verification";
    let of = |pool: &PoolFacts| texts(pool.description.auto_verified_attributes(), |a| a.as_str());
    let (first, second) = (of(primary), of(secondary));
    // DG:import-tool: without an auto-verified attribute "the import job will not start"; one must be true for each user.
    for (pool, attributes) in [("primary", &first), ("secondary", &second)] {
        if attributes.is_empty() {
            findings.wrong(
                topic,
                format!("the {pool} verifies no attribute by itself: a user import does not start there"),
                "let the pool verify the attribute that people sign in or recover with: Cognito console › Sign-up",
            );
        }
    }
    if first.is_empty() || second.is_empty() {
        return;
    }
    let what = format!(
        "{} in the primary, {} in the secondary",
        list(&first, "none"),
        list(&second, "none")
    );
    if first == second {
        findings.good(topic, list(&first, "none"));
    } else if first.is_disjoint(&second) {
        findings.wrong(topic, what, "let both pools verify the same: else an import into the primary refuses every newcomer");
    } else {
        findings.warn(
            topic,
            what,
            "let both pools verify the same: some newcomers may be refused by the import",
        );
    }
}

fn recovery(primary: &PoolFacts, secondary: &PoolFacts, findings: &mut Vec<Finding>) {
    let topic = "recovery";
    for (name, pool, when) in [
        (
            "primary",
            primary,
            "who was brought back could not choose a password",
        ),
        (
            "secondary",
            secondary,
            "on the night nobody could choose a password",
        ),
    ] {
        // Where it is not set, phone first, then email (botocore AccountRecoverySetting).
        let setting = pool.description.account_recovery_setting();
        let closed = setting.is_some_and(|setting| {
            let mut mechanisms = setting.recovery_mechanisms().iter();
            mechanisms.any(|mechanism| mechanism.name == RecoveryOptionNameType::AdminOnly)
        });
        if closed {
            findings.wrong(
                topic,
                format!("\"forgot password\" is closed in the {name} (admin_only): {when}"),
                "open it by email or phone: Cognito console › Sign-in › User account recovery",
            );
        } else {
            findings.good(topic, format!("\"forgot password\" is open in the {name}"));
        }
    }
}

fn mail(primary: &PoolFacts, secondary: &PoolFacts, findings: &mut Vec<Finding>) {
    let topic = "mail";
    // DG:quotas: 50 messages a day and account with Cognito's own sender.
    let severity = [
        (
            Severity::Warn,
            "primary",
            primary,
            "who is brought back resets a password by mail",
        ),
        (
            Severity::Wrong,
            "secondary",
            secondary,
            "on the night everyone resets a password by mail",
        ),
    ];
    for (severity, name, pool, when) in severity {
        let mail = pool.description.email_configuration();
        let sender = mail.and_then(|mail| mail.email_sending_account());
        if !verifies(pool, &VerifiedAttributeType::Email) {
            continue;
        }
        if sender == Some(&EmailSendingAccountType::Developer) {
            let identity = mail.and_then(|mail| mail.source_arn()).unwrap_or_default();
            let is_lost_with_primary =
                name == "secondary" && identity.split(':').nth(3) == Some(primary.id.region());
            if is_lost_with_primary {
                findings.wrong(
                    topic,
                    "the secondary sends through Amazon SES in the primary's region, which is lost with it",
                    "verify the sender in SES of another region, and name that identity in the pool's email settings",
                );
            } else {
                findings.good(topic, format!("the {name} sends through Amazon SES"));
            }
        } else {
            findings.add(
                severity,
                topic,
                format!("the {name} sends with Cognito's own sender, 50 mails a day: {when}"),
                Some("connect the pool to Amazon SES: Cognito console › Authentication methods › Email"),
            );
        }
    }
}

fn text_messages(primary: &PoolFacts, secondary: &PoolFacts, findings: &mut Vec<Finding>) {
    let topic = "text messages";
    for (name, pool) in [("primary", primary), ("secondary", secondary)] {
        if !verifies(pool, &VerifiedAttributeType::PhoneNumber) {
            continue;
        }
        if pool.description.sms_configuration().is_some() {
            findings.good(topic, format!("the {name} can send them"));
        } else {
            findings.wrong(
                topic,
                format!("the {name} verifies phone numbers and cannot send text messages"),
                "let the pool send them: Cognito console › Authentication methods › SMS",
            );
        }
    }
}

/// Whether a pool sends codes to this kind of address.
fn verifies(pool: &PoolFacts, attribute: &VerifiedAttributeType) -> bool {
    let verified = pool.description.auto_verified_attributes();
    verified.contains(attribute)
}

fn mfa(primary: &PoolFacts, secondary: &PoolFacts, findings: &mut Vec<Finding>) {
    let topic = "MFA";
    // botocore: a pool without the setting has none.
    let of = |pool: &PoolFacts| {
        pool.description
            .mfa_configuration()
            .cloned()
            .unwrap_or(UserPoolMfaType::Off)
    };
    let (first, second) = (of(primary), of(secondary));
    let advice = "set both alike: Cognito console › Sign-in › Multi-factor authentication";
    if first == second {
        findings.good(topic, format!("{first} in both pools"));
    } else {
        findings.wrong(
            topic,
            format!("{first} in the primary, {second} in the secondary"),
            advice,
        );
    }
    match (primary.authenticator, secondary.authenticator) {
        (true, true) => findings.good(topic, "authenticator apps in both pools"),
        (false, false) => findings.warn(
            topic,
            "authenticator apps in neither pool",
            "see whether AWS's own multi-region replication fits you: README, \"Is it for you?\"",
        ),
        (true, false) => findings.wrong(topic, "authenticator apps in the primary only", advice),
        (false, true) => findings.wrong(topic, "authenticator apps in the secondary only", advice),
    }
}

fn triggers(primary: &PoolFacts, secondary: &PoolFacts, findings: &mut Vec<Finding>) {
    let topic = "trigger";
    let none = LambdaConfigType::builder().build();
    let of = |pool: &PoolFacts| pool.description.lambda_config().unwrap_or(&none).clone();
    let (first, second) = (of(primary), of(secondary));
    for (name, triggers, consequence) in [
        ("primary", &first, "nobody is replicated"),
        (
            "secondary",
            &second,
            "newcomers are not in the journal, and do not come back",
        ),
    ] {
        match triggers.post_confirmation() {
            Some(function) if is_twinpools(function) => findings.good(
                topic,
                format!("the {name} runs {function} after a confirmation"),
            ),
            Some(function) => findings.warn(
                topic,
                format!("the {name} runs {function} after a confirmation, which may not be twinpool's: if so, {consequence}"),
                "make sure that this is twinpool's, or invokes it",
            ),
            None => findings.wrong(
                topic,
                format!("the {name} runs nothing after a confirmation: {consequence}"),
                "twinpool attach --pool ID --function ARN",
            ),
        }
    }
    // DG:cognito-user-pools-working-with-lambda-triggers: AdminCreateUser runs PreSignUp_AdminCreateUser.
    if let Some(function) = second.pre_sign_up() {
        findings.warn(
            topic,
            format!("the secondary runs {function} before a sign-up, and it can refuse replicas"),
            "let it accept the trigger source PreSignUp_AdminCreateUser",
        );
    }
    let (ours, theirs) = (others(&first), others(&second));
    let missing: BTreeSet<String> = ours.difference(&theirs).cloned().collect();
    if !missing.is_empty() {
        findings.warn(
            topic,
            format!(
                "the primary has triggers that the secondary has not: {}",
                list(&missing, "none")
            ),
            "attach their like to the secondary, or people meet another pool there",
        );
    }
}

/// Whether a function's name is one that twinpool's stacks give, or that of the binary.
fn is_twinpools(arn: &str) -> bool {
    let name = arn.split(':').nth(6).unwrap_or_default().to_lowercase();
    ["twinpool", "replicate-fn", "backup-fn"]
        .iter()
        .any(|ours| name.contains(ours))
}

/// The triggers of a pool but for the one that is twinpool's.
fn others(triggers: &LambdaConfigType) -> BTreeSet<String> {
    let set = [
        ("PreSignUp", triggers.pre_sign_up.is_some()),
        ("CustomMessage", triggers.custom_message.is_some()),
        ("PreAuthentication", triggers.pre_authentication.is_some()),
        ("PostAuthentication", triggers.post_authentication.is_some()),
        (
            "DefineAuthChallenge",
            triggers.define_auth_challenge.is_some(),
        ),
        (
            "CreateAuthChallenge",
            triggers.create_auth_challenge.is_some(),
        ),
        (
            "VerifyAuthChallengeResponse",
            triggers.verify_auth_challenge_response.is_some(),
        ),
        (
            "PreTokenGeneration",
            triggers.pre_token_generation.is_some()
                || triggers.pre_token_generation_config.is_some(),
        ),
        ("UserMigration", triggers.user_migration.is_some()),
        ("CustomSMSSender", triggers.custom_sms_sender.is_some()),
        ("CustomEmailSender", triggers.custom_email_sender.is_some()),
        ("InboundFederation", triggers.inbound_federation.is_some()),
    ];
    let set = set.into_iter().filter(|(_, is_set)| *is_set);
    set.map(|(name, _)| name.to_owned()).collect()
}

fn protection(primary: &PoolFacts, secondary: &PoolFacts, findings: &mut Vec<Finding>) {
    let topic = "deletion";
    for (name, pool) in [("primary", primary), ("secondary", secondary)] {
        if pool.description.deletion_protection() == Some(&DeletionProtectionType::Active) {
            findings.good(topic, format!("the {name} is protected"));
        } else {
            findings.warn(
                topic,
                format!("the {name} can be deleted by one call"),
                "protect it: Cognito console › Settings › Deletion protection",
            );
        }
    }
}

fn users(primary: &PoolFacts, secondary: &PoolFacts, findings: &mut Vec<Finding>) {
    let topic = "users";
    let (first, second) = (
        primary.description.estimated_number_of_users,
        secondary.description.estimated_number_of_users,
    );
    let what = format!("about {first} in the primary, about {second} in the secondary");
    // Cognito estimates; a twentieth is more than it errs by from day to day.
    if i64::from(second) * 20 < i64::from(first) * 19 {
        findings.warn(
            topic,
            what,
            "who signed up before the trigger was attached is replicated when they next reset their password, not before",
        );
    } else {
        findings.good(topic, what);
    }
}

fn fence(gate: &Gate, findings: &mut Vec<Finding>) {
    let topic = "fence";
    match gate {
        Gate::Fence(fence) if fence.state() == State::Closed => findings.good(topic, "closed"),
        Gate::Fence(_) => findings.warn(
            topic,
            "open: whoever holds a person's mailbox can enter the secondary as them",
            "unless this is a failover: twinpool fence close",
        ),
        Gate::Foreign(name) => findings.warn(
            topic,
            format!("the web ACL {name} before the secondary is not twinpool's fence"),
            "make sure that it blocks the public operations on a normal day, and that somebody can open it",
        ),
        Gate::None => findings.warn(
            topic,
            "the secondary has none: whoever holds a person's mailbox can enter it as them",
            "deploy the fence: docs/deploy.md, secondary.fence",
        ),
    }
}

/// Attributes that a pool's people can have, by name. `sub` is each pool's own.
pub fn attributes(pool: &PoolFacts) -> BTreeMap<&str, &SchemaAttributeType> {
    let all = pool.description.schema_attributes().iter();
    let named = all.filter_map(|attribute| Some((attribute.name()?, attribute)));
    named.filter(|(name, _)| *name != "sub").collect()
}

/// The values as text, in order.
pub fn texts<T>(values: &[T], text: impl Fn(&T) -> &str) -> BTreeSet<String> {
    values.iter().map(|value| text(value).to_owned()).collect()
}

/// A list for people; `none` when it is empty.
pub fn list(texts: &BTreeSet<String>, none: &str) -> String {
    if texts.is_empty() {
        return none.to_owned();
    }
    texts
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests;
