//! `twinpool fence`: opens and closes the web ACL that protects the secondary pool, or keeps sign-ups out. `cdk/lib/constructs/fence.ts` creates it.
//!
//! | state | default action | rules of twinpool |
//! |---|---|---|
//! | closed | Block | one that allows the public documents |
//! | open | Allow | the same, which has no effect |
//! | no-sign-ups | Allow | one more, which blocks signing up and confirming; `open` and `close` remove it |

use std::fmt;

use aws_sdk_cognitoidentityprovider as cognito;
use aws_sdk_wafv2::Client;
use aws_sdk_wafv2::types::Scope;
use aws_smithy_types::base64;
use serde::Serialize;
use serde_json::{Value, json};
use shared::aws::{AwsError, RetryPolicy, Sdk};
use shared::pool_id::PoolId;

use crate::context::Context;
use crate::failure::{Failure, Verdict};
use crate::pools::{OnePool, Side};
use crate::raw::{self, Object, RawAnswer};
use crate::terminal::{GOOD, WARN, WRONG, check_can_ask, confirm};

/// Open or close the fence of the secondary pool, keep sign-ups out, or show its state
///
/// The fence is an AWS WAF web ACL. When it is closed, as on a normal day, the hosted pages and the public operations, such as sign-up
/// and sign-in, are blocked; operations that Cognito authorises by IAM are not subject to it. When it is open, as in a failover,
/// everything gets through. With no-sign-ups, as at the end of a failback, everything gets through but signing up and confirming a
/// sign-up. The command changes the default action of the web ACL, and its own rule for sign-ups. A change takes seconds to minutes to
/// take effect everywhere. Without --pool, it is the fence of the secondary pool.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// What to do.
    #[arg(value_enum)]
    action: Action,

    #[command(flatten)]
    pool: OnePool,

    /// Only show what would change.
    #[arg(long)]
    dry_run: bool,

    /// Do not ask before more is let through.
    #[arg(long)]
    yes: bool,
}

const HELP: &str = "\
Examples:
  twinpool fence open                                       if twinpool.toml or TWINPOOL_SECONDARY is there; asks first
  twinpool fence open --pool ap-northeast-3_AbCdEf123 --yes

Exit codes:
  0  done, or nothing to do
  1  the pool has no fence, the fence cannot be changed safely, or a rule lets the public through a closed fence
  2  bad usage; also when nobody can be asked, because there is no terminal and no --yes
  3  AWS refused or did not answer

Permissions: cognito-idp:DescribeUserPool, cognito-idp:GetWebACLForResource, wafv2:GetWebACLForResource, wafv2:GetWebACL,
wafv2:ListTagsForResource, and to open or close it wafv2:UpdateWebACL";

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Action {
    /// Let everything through: users can sign in, sign up and reset their passwords.
    Open,
    /// Let everything through but signing up and confirming it: nobody new comes while the last newcomers are brought home.
    NoSignUps,
    /// Block the hosted pages and the public operations.
    Close,
    /// Show the state of the fence, and change nothing.
    Status,
}

/// State of a fence; a later one lets more through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The hosted pages and the public operations are blocked.
    Closed,
    /// Everything gets through but signing up and confirming it.
    NoSignUps,
    /// Everything gets through.
    Open,
}

impl State {
    fn default_action(self) -> Value {
        match self {
            Self::Closed => json!({"Block": {}}),
            Self::NoSignUps | Self::Open => json!({"Allow": {}}),
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed",
            Self::NoSignUps => "open except for sign-ups",
            Self::Open => "open",
        })
    }
}

/// The web ACL that protects a pool, if any.
#[derive(Clone, Debug, PartialEq)]
pub enum Gate {
    /// No web ACL.
    None,
    /// A web ACL that is not twinpool's.
    Foreign(Foreign),
    /// twinpool's fence.
    Fence(Fence),
}

/// A web ACL without the tag of the fence.
#[derive(Clone, Debug, PartialEq)]
pub struct Foreign {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// The names of its rules.
    pub rules: Vec<String>,
    /// Whether it has the rule of a fence that an earlier version of twinpool created. Such a fence had no tag.
    pub is_outdated: bool,
}

/// Key of the tag by which the fence is known, as `cdk/lib/constructs/fence.ts` sets it.
pub const FENCE_TAG: &str = "twinpool:fence";

/// The rule of a fence that an earlier version of twinpool created.
const OUTDATED_RULE: &str = "authorised-by-iam";

/// The public documents of a pool, which a closed fence lets through: `cdk/lib/constructs/fence.ts` has the same list.
const PUBLIC_DOCUMENTS: [&str; 2] = [
    "/.well-known/jwks.json",
    "/.well-known/openid-configuration",
];

/// Name of the rule that blocks signing up and confirming.
const NO_SIGN_UPS_RULE: &str = "no-sign-ups";

/// Public operations with which somebody signs up and confirms it (facts N8: the header that Cognito adds has such a value).
const SIGN_UP_OPERATIONS: [&str; 2] = ["SignUp", "ConfirmSignUp"];

/// Hosted pages with which somebody signs up, and confirms it with a code or a link, in lower case
/// (<https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-userpools-server-contract-reference.html>).
const SIGN_UP_PAGES: [&str; 3] = ["/signup", "/confirm", "/confirmuser"];

/// Members that GetWebACL returns and UpdateWebACL does not accept (botocore 1.44.5: WebACL less UpdateWebACLRequest).
const READ_ONLY: [&str; 7] = [
    "ARN",
    "Capacity",
    "LabelNamespace",
    "ManagedByFirewallManager",
    "PostProcessFirewallManagerRuleGroups",
    "PreProcessFirewallManagerRuleGroups",
    "RetrofittedByFirewallManager",
];

/// Members that UpdateWebACL accepts (botocore 1.44.5: UpdateWebACLRequest).
const WRITABLE: [&str; 15] = [
    "ApplicationConfig",
    "AssociationConfig",
    "CaptchaConfig",
    "ChallengeConfig",
    "CustomResponseBodies",
    "DataProtectionConfig",
    "DefaultAction",
    "Description",
    "Id",
    "MonetizationConfig",
    "Name",
    "OnSourceDDoSProtectionConfig",
    "Rules",
    "TokenDomains",
    "VisibilityConfig",
];

impl Gate {
    /// Reads the web ACL of the pool with this ARN.
    ///
    /// # Errors
    ///
    /// AWS rejected the call or did not answer.
    pub async fn read(client: &Client, arn: &str) -> Result<Self, AwsError> {
        let answer = RawAnswer::default();
        client
            .get_web_acl_for_resource()
            .resource_arn(arn)
            .customize()
            .interceptor(answer.clone())
            .send()
            .await
            .map_err(|error| AwsError::from_sdk("GetWebACLForResource", arn, &error))?;
        // botocore: "If there is no associated resource, WAF returns a null web ACL".
        let Some(acl) = answer.object("WebACL") else {
            return Ok(Self::None);
        };
        let tags = read_tag_keys(client, Fence(acl.clone()).text("ARN")).await?;
        Ok(Self::of(acl, &tags))
    }

    /// Tells twinpool's fence by the keys of its tags. The names of rules prove nothing.
    pub fn of(acl: Object, tags: &[String]) -> Self {
        let acl = Fence(acl);
        if tags.iter().any(|key| key == FENCE_TAG) {
            return Self::Fence(acl);
        }
        Self::Foreign(Foreign {
            name: acl.text("Name").to_owned(),
            arn: acl.text("ARN").to_owned(),
            rules: acl.rules().map(|rule| name_of(rule).to_owned()).collect(),
            is_outdated: acl.rules().any(|rule| name_of(rule) == OUTDATED_RULE),
        })
    }

    /// The names of the rules of the web ACL.
    pub fn rule_names(&self) -> Vec<String> {
        match self {
            Self::None => Vec::new(),
            Self::Foreign(acl) => acl.rules.clone(),
            Self::Fence(acl) => acl.rules().map(|rule| name_of(rule).to_owned()).collect(),
        }
    }
}

impl Foreign {
    /// The command that marks the web ACL as the fence.
    fn tag_command(&self) -> String {
        // arn:aws:wafv2:<region>:<account>:regional/webacl/<name>/<id>
        let region = self.arn.split(':').nth(3).unwrap_or_default();
        format!(
            "aws wafv2 tag-resource --region {region} --resource-arn {} --tags Key={FENCE_TAG},Value=secondary-pool",
            self.arn
        )
    }
}

/// The keys of a web ACL's tags.
async fn read_tag_keys(client: &Client, arn: &str) -> Result<Vec<String>, AwsError> {
    let mut keys = Vec::new();
    let mut marker = None;
    loop {
        let page = client
            .list_tags_for_resource()
            .resource_arn(arn)
            .set_next_marker(marker)
            .send()
            .await
            .map_err(|error| AwsError::from_sdk("ListTagsForResource", arn, &error))?;
        let tags = page.tag_info_for_resource.and_then(|tags| tags.tag_list);
        keys.extend(tags.into_iter().flatten().map(|tag| tag.key));
        marker = page.next_marker;
        if marker.is_none() {
            return Ok(keys);
        }
    }
}

fn name_of(rule: &Value) -> &str {
    rule.get("Name").and_then(Value::as_str).unwrap_or_default()
}

/// Whether a statement matches only requests for the public documents of a pool.
fn is_for_public_documents(statement: &Value) -> bool {
    if let Some(or) = statement.get("OrStatement") {
        let statements = or.get("Statements").and_then(Value::as_array);
        return statements.is_some_and(|all| all.iter().all(is_for_public_documents));
    }
    let Some(matching) = statement.get("ByteMatchStatement") else {
        return false;
    };
    let text = |name: &str| matching.get(name).and_then(Value::as_str);
    let path = text("SearchString").and_then(|encoded| base64::decode(encoded).ok());
    let is_document = path.is_some_and(|path| {
        PUBLIC_DOCUMENTS
            .iter()
            .any(|document| path.ends_with(document.as_bytes()))
    });
    is_document
        && matching.get("FieldToMatch") == Some(&json!({"UriPath": {}}))
        && text("PositionalConstraint") == Some("EXACTLY")
}

/// The rule that blocks signing up and confirming, however a path is written. No header of a client can open anything, because the rule
/// only blocks.
fn no_sign_ups_rule(priority: u64) -> Value {
    let matches = |field: Value, text: &str, transformations: &[&str]| {
        let transformations = (0..).zip(transformations);
        let transformations: Vec<_> = transformations
            .map(|(priority, kind): (u32, _)| json!({"Priority": priority, "Type": kind}))
            .collect();
        json!({"ByteMatchStatement": {
            "FieldToMatch": field, "PositionalConstraint": "EXACTLY", "SearchString": base64::encode(text),
            "TextTransformations": transformations,
        }})
    };
    let header = json!({"SingleHeader": {"Name": "x-amzn-cognito-operation-name"}});
    let operations = SIGN_UP_OPERATIONS.iter();
    let operations = operations.map(|operation| matches(header.clone(), operation, &["NONE"]));
    let normal = ["URL_DECODE", "NORMALIZE_PATH", "LOWERCASE"];
    let pages = SIGN_UP_PAGES.iter();
    let pages = pages.map(|page| matches(json!({"UriPath": {}}), page, &normal));
    let statements: Vec<_> = operations.chain(pages).collect();
    json!({
        "Name": NO_SIGN_UPS_RULE,
        "Priority": priority,
        "Action": {"Block": {}},
        "Statement": {"OrStatement": {"Statements": statements}},
        "VisibilityConfig": {
            "SampledRequestsEnabled": true, "CloudWatchMetricsEnabled": true, "MetricName": "twinpool-fence-no-sign-ups",
        },
    })
}

fn priority_of(rule: &Value) -> u64 {
    let priority = rule.get("Priority").and_then(Value::as_u64);
    priority.unwrap_or_default()
}

/// The fence's web ACL, as GetWebACL returns it.
#[derive(Clone, Debug, PartialEq)]
pub struct Fence(Object);

impl Fence {
    /// What the fence lets through.
    pub fn state(&self) -> State {
        let allows = self
            .0
            .get("DefaultAction")
            .and_then(|action| action.get("Allow"));
        match allows {
            None => State::Closed,
            Some(_) if self.no_sign_ups().is_some() => State::NoSignUps,
            Some(_) => State::Open,
        }
    }

    /// The rule that blocks signing up and confirming, if it is as twinpool writes it.
    fn no_sign_ups(&self) -> Option<&Value> {
        let blocks = |rule: &Value| {
            let wanted = no_sign_ups_rule(priority_of(rule));
            let members = ["Name", "Action", "Statement"];
            members
                .iter()
                .all(|name| rule.get(name) == wanted.get(name))
        };
        self.rules().find(|rule| blocks(rule))
    }

    /// Names of the rules that let the public through while the fence is closed, or sign-ups while it should block those.
    pub fn openings(&self) -> Vec<&str> {
        let allowing = self.effective_rules().filter(|rule| {
            let allows = rule.get("Action").and_then(|action| action.get("Allow"));
            allows.is_some() && !rule.get("Statement").is_some_and(is_for_public_documents)
        });
        allowing.map(name_of).collect()
    }

    /// Names of the rule groups that may do so too: the web ACL does not say what the rules of a group allow.
    pub fn unjudged(&self) -> Vec<&str> {
        let firewall_manager: &[&str] = match self.state() {
            State::Open => &[],
            // botocore WebACL: the first ones "will be run prior to any user defined rules", the last ones after them.
            State::NoSignUps => &["PreProcessFirewallManagerRuleGroups"],
            State::Closed => &[
                "PreProcessFirewallManagerRuleGroups",
                "PostProcessFirewallManagerRuleGroups",
            ],
        };
        let of_firewall_manager = firewall_manager.iter().flat_map(|name| self.list(name));
        let groups = self.effective_rules().chain(of_firewall_manager);
        let groups = groups.filter(|rule| {
            // botocore OverrideAction: only rules that refer to a rule group have it. Count overrides "the rule group evaluation result to
            // count only".
            let counts = rule.pointer("/OverrideAction/Count").is_some();
            rule.get("Action").is_none() && !counts
        });
        groups.map(name_of).collect()
    }

    /// The rules that decide before the fence blocks; none if it does not.
    fn effective_rules(&self) -> impl Iterator<Item = &Value> {
        let state = self.state();
        let before = match state {
            State::Open | State::Closed => None,
            State::NoSignUps => self.no_sign_ups().map(priority_of),
        };
        self.rules().filter(move |rule| {
            state != State::Open && before.is_none_or(|before| priority_of(rule) < before)
        })
    }

    fn rules(&self) -> impl Iterator<Item = &Value> {
        self.list("Rules")
    }

    fn list(&self, name: &str) -> impl Iterator<Item = &Value> {
        let list = self.0.get(name).and_then(Value::as_array);
        list.into_iter().flatten()
    }

    fn text(&self, name: &str) -> &str {
        self.0.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// Members that this version of twinpool does not know, and so cannot write back.
    fn unknown_members(&self) -> Vec<&str> {
        let names = self.0.keys().map(String::as_str);
        names
            .filter(|name| !READ_ONLY.contains(name) && !WRITABLE.contains(name))
            .collect()
    }

    /// The same fence in another state.
    fn in_state(&self, state: State) -> Self {
        let mut acl = self.0.clone();
        let others = self
            .rules()
            .filter(|rule| name_of(rule) != NO_SIGN_UPS_RULE);
        let mut rules: Vec<Value> = others.cloned().collect();
        if state == State::NoSignUps {
            // botocore Rule, Priority: "they must all be different"; the lowest is evaluated first.
            let is_free = |priority: &u64| rules.iter().all(|rule| priority_of(rule) != *priority);
            rules.extend((0..).find(is_free).map(no_sign_ups_rule));
        }
        acl.insert("Rules".to_owned(), rules.into());
        acl.insert("DefaultAction".to_owned(), state.default_action());
        Self(acl)
    }

    /// The request that changes the state of the fence and nothing else.
    fn update_request(&self, state: State, lock_token: &str) -> Object {
        let mut request = self.in_state(state).0;
        request.retain(|name, _| WRITABLE.contains(&name.as_str()));
        if self.text("Description").is_empty() {
            // botocore EntityDescription: at least one character. WAF returns an empty description where there is none.
            request.remove("Description");
        }
        request.insert("Scope".to_owned(), Scope::Regional.as_str().into());
        request.insert("LockToken".to_owned(), lock_token.into());
        request
    }

    /// Brings the fence into a state, unless it is in it.
    ///
    /// # Errors
    ///
    /// The fence has settings that would be lost, or AWS rejected a call or did not answer.
    pub async fn change(&self, client: &Client, wanted: State) -> Result<(), Failure> {
        if self.state() == wanted {
            return Ok(());
        }
        match self.set_state(client, wanted).await {
            Err(Failure::Explained { error }) if error.code() == "WAFOptimisticLockException" => {
                // Somebody else changed the web ACL at the same time: try again from its new state.
                self.set_state(client, wanted).await
            }
            set => set,
        }
    }

    async fn set_state(&self, client: &Client, state: State) -> Result<(), Failure> {
        let (name, id) = (self.text("Name"), self.text("Id"));
        // Read again together with the lock token, so that a change made since the first read is not overwritten.
        let answer = RawAnswer::default();
        let locked = client
            .get_web_acl()
            .name(name)
            .id(id)
            .scope(Scope::Regional)
            .customize()
            .interceptor(answer.clone())
            .send()
            .await
            .map_err(|error| AwsError::from_sdk("GetWebACL", name, &error))?;
        let incomplete = |missing| AwsError::incomplete_response("GetWebACL", name, missing);
        let fence = Self(
            answer
                .object("WebACL")
                .ok_or_else(|| incomplete("a web ACL"))?,
        );
        let token = locked
            .lock_token()
            .ok_or_else(|| incomplete("a lock token"))?;
        let unknown = fence.unknown_members();
        if !unknown.is_empty() {
            return Err(Failure::Wrong(format!(
                "the web ACL {name} has settings that this version of twinpool does not know and might reset: {}; change its \
                 default action in the AWS WAF console",
                unknown.join(", ")
            )));
        }
        client
            .update_web_acl()
            .customize()
            .mutate_request(raw::with_body(fence.update_request(state, token)))
            .send()
            .await
            .map_err(|error| Failure::Explained {
                error: AwsError::from_sdk("UpdateWebACL", name, &error),
            })?;
        Ok(())
    }
}

/// A WAF client for a pool's region.
pub fn waf_client(sdk: &Sdk, pool: &PoolId, policy: RetryPolicy) -> Client {
    Client::new(&sdk.config(pool.region(), policy))
}

/// Reads the fence of a pool, with a client that can change it.
///
/// # Errors
///
/// AWS rejected a call or did not answer.
pub async fn read_gate(sdk: &Sdk, pool: &PoolId) -> Result<(Client, Gate), AwsError> {
    let arn = read_arn(&sdk.cognito(pool, RetryPolicy::WORKER), pool).await?;
    let client = waf_client(sdk, pool, RetryPolicy::WORKER);
    let gate = Gate::read(&client, &arn).await?;
    Ok((client, gate))
}

/// The ARN of a pool. It contains the account, so it cannot be derived from the pool id.
async fn read_arn(client: &cognito::Client, pool: &PoolId) -> Result<String, AwsError> {
    let answer = client
        .describe_user_pool()
        .user_pool_id(pool.as_str())
        .send()
        .await
        .map_err(|error| AwsError::from_sdk("DescribeUserPool", pool, &error))?;
    let arn = answer.user_pool.and_then(|pool| pool.arn);
    arn.ok_or_else(|| AwsError::incomplete_response("DescribeUserPool", pool, "an ARN"))
}

#[derive(Debug, Serialize)]
struct Report {
    pool: String,
    web_acl: String,
    before: State,
    now: State,
    /// Rules that let the public through although the fence is closed, or sign-ups although it should block those.
    openings: Vec<String>,
    /// Rule groups that may do so too.
    unjudged: Vec<String>,
    dry_run: bool,
}

/// Runs the command.
///
/// # Errors
///
/// The pool has no fence, the fence has settings that would be lost, AWS rejected a call or did not answer, there are no AWS
/// credentials, or the result cannot be written.
pub async fn run(args: Args, context: &Context) -> Result<Verdict, Failure> {
    let Args {
        action,
        pool,
        dry_run,
        yes,
    } = args;
    let pool = pool.choose(Some(Side::Secondary), context)?;
    if action == Action::Open {
        check_can_ask(yes || dry_run)?;
    }
    let sdk = context.sdk().await?;
    let (client, gate) = read_gate(&sdk, &pool).await?;
    let fence = match gate {
        Gate::Fence(fence) => fence,
        gate => return Err(no_fence(&pool, &gate)),
    };
    let before = fence.state();
    let wanted = match action {
        Action::Open => State::Open,
        Action::NoSignUps => State::NoSignUps,
        Action::Close => State::Closed,
        Action::Status => before,
    };
    if !dry_run {
        let question = format!(
            "The fence of {pool} is {before}. Once it is {wanted}, whoever can read a person's mail can enter the pool as that person."
        );
        if wanted > before && !confirm(&question, yes).await? {
            return Err(Failure::Wrong("nothing was changed".to_owned()));
        }
        fence.change(&client, wanted).await?;
    }
    let then = match wanted == before {
        true => fence.clone(),
        false => fence.in_state(wanted),
    };
    let names = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
    let report = Report {
        pool: pool.to_string(),
        web_acl: fence.text("Name").to_owned(),
        before,
        now: wanted,
        openings: names(then.openings()),
        unjudged: names(then.unjudged()),
        dry_run,
    };
    context.terminal.show(&report)?;
    Ok(match report.openings.is_empty() {
        true => Verdict::Good,
        false => Verdict::Wrong,
    })
}

/// Why a pool has no fence that can be opened or closed, and what to do.
pub fn no_fence(pool: &PoolId, gate: &Gate) -> Failure {
    let advice =
        "the stack of the secondary pool creates the fence: docs/deploy.md, \"What is made\"";
    Failure::Wrong(match gate {
        Gate::Foreign(acl) if acl.is_outdated => format!(
            "the web ACL {} of {pool} is the fence of an earlier version of twinpool: it has the rule {OUTDATED_RULE}, and not the tag \
             {FENCE_TAG}; it was not changed; unless this is a failover, upgrade: docs/deploy.md, \"Upgrade\"; in a failover, mark it, \
             and run the command again: {}",
            acl.name,
            acl.tag_command()
        ),
        Gate::Foreign(acl) => format!(
            "the web ACL {} of {pool} is not the fence: it does not have the tag {FENCE_TAG}; it was not changed; {advice}",
            acl.name
        ),
        _ => format!("the pool {pool} has no fence: no web ACL is associated with it; {advice}"),
    })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            pool,
            web_acl,
            before,
            now,
            ..
        } = self;
        let style = match now {
            State::Closed => GOOD,
            State::NoSignUps | State::Open => WARN,
        };
        write!(f, "fence of {pool} (web ACL {web_acl}): ")?;
        if before == now {
            write!(f, "{style}{now}{style:#}")?;
        } else if self.dry_run {
            write!(f, "{before}; it would be {now}, but this was a dry run")?;
        } else {
            write!(
                f,
                "was {before}, is now {style}{now}{style:#}; the change takes seconds to minutes to take effect everywhere"
            )?;
        }
        if !self.openings.is_empty() {
            write!(
                f,
                "\n{WRONG}these rules let through what the fence should block{WRONG:#}: {}\n\
                 Deploy the fence again (docs/deploy.md, \"Upgrade\"), or remove the rules in the AWS WAF console",
                self.openings.join(", ")
            )?;
        }
        if !self.unjudged.is_empty() {
            write!(
                f,
                "\n{WARN}these rule groups may let through what the fence should block{WARN:#}: {}\n\
                 Look at their rules in the AWS WAF console, or remove them from the web ACL",
                self.unjudged.join(", ")
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acl(acl: Value) -> Object {
        match acl {
            Value::Object(acl) => acl,
            _ => panic!("an object"),
        }
    }

    fn fence() -> Object {
        acl(json!({
            "Name": "fence", "Id": "id", "ARN": "arn", "Capacity": 300, "Description": "",
            "DefaultAction": {"Block": {}},
            "Rules": [{"Name": "public-documents", "Statement": {"NewInWaf": {}}}],
            "VisibilityConfig": {"MetricName": "m"}, "TokenDomains": ["example.jp"],
        }))
    }

    fn rule(name: &str, action: &str, statement: Value) -> Value {
        json!({"Name": name, "Priority": 0, "Action": {action: {}}, "Statement": statement})
    }

    fn matches(field: Value, constraint: &str, text: &str) -> Value {
        json!({"ByteMatchStatement": {
            "FieldToMatch": field, "PositionalConstraint": constraint, "SearchString": base64::encode(text),
            "TextTransformations": [{"Priority": 0, "Type": "NONE"}],
        }})
    }

    fn with_rules(rules: Value) -> Fence {
        let mut acl = fence();
        acl["Rules"] = rules;
        Fence(acl)
    }

    #[test]
    fn the_fence_is_known_by_its_tag_and_not_by_a_rule() {
        let tags = ["colour".to_owned(), FENCE_TAG.to_owned()];
        let Fence(outdated) = with_rules(json!([rule(OUTDATED_RULE, "Allow", json!({}))]));

        assert_eq!(Gate::of(fence(), &tags), Gate::Fence(Fence(fence())));
        for (acl, is_outdated) in [(fence(), false), (outdated, true)] {
            let foreign = Foreign {
                name: "fence".into(),
                arn: "arn".into(),
                rules: acl["Rules"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|rule| name_of(rule).to_owned())
                    .collect(),
                is_outdated,
            };
            assert_eq!(Gate::of(acl, &tags[..1]), Gate::Foreign(foreign));
        }
    }

    #[test]
    fn a_rule_that_allows_more_than_the_public_documents_opens_a_closed_fence() {
        let path = || json!({"UriPath": {}});
        let keys = || matches(path(), "EXACTLY", "/p_1/.well-known/jwks.json");
        let discovery = || matches(path(), "EXACTLY", "/p_1/.well-known/openid-configuration");
        let or = |statements: Value| json!({"OrStatement": {"Statements": statements}});
        let header = json!({"SingleHeader": {"Name": "x-amz-target"}});
        let by_header = || matches(header.clone(), "EXACTLY", "/p_1/.well-known/jwks.json");
        let fence = with_rules(json!([
            rule("documents", "Allow", or(json!([keys(), discovery()]))),
            rule("keys", "Allow", keys()),
            rule("blocks", "Block", by_header()),
            rule("header", "Allow", by_header()),
            rule("one-of-them", "Allow", or(json!([keys(), by_header()]))),
            rule(
                "prefix",
                "Allow",
                matches(path(), "STARTS_WITH", "/.well-known/jwks.json")
            ),
            rule("page", "Allow", matches(path(), "EXACTLY", "/login")),
            rule(
                "address",
                "Allow",
                json!({"IPSetReferenceStatement": {"ARN": "arn"}})
            ),
        ]));

        assert_eq!(
            fence.openings(),
            ["header", "one-of-them", "prefix", "page", "address"]
        );
    }

    #[test]
    fn a_rule_group_may_let_the_public_through_unless_it_only_counts() {
        let group = |name: &str, overriding: Value| {
            json!({
                "Name": name, "Priority": 9, "OverrideAction": overriding,
                "Statement": {"RuleGroupReferenceStatement": {"ARN": "arn"}},
            })
        };
        let none = || json!({"None": {}});
        let mut acl = with_rules(json!([
            rule("blocks", "Block", json!({})),
            group("office", none()),
            group("counts", json!({"Count": {}})),
        ]))
        .0;
        for (name, rule_group) in [
            ("PreProcessFirewallManagerRuleGroups", "first"),
            ("PostProcessFirewallManagerRuleGroups", "last"),
        ] {
            acl.insert(name.to_owned(), json!([group(rule_group, none())]));
        }
        let closed = Fence(acl);

        assert!(closed.openings().is_empty());
        assert_eq!(closed.unjudged(), ["office", "first", "last"]);
        // The rule that keeps sign-ups out comes before the other rules.
        assert_eq!(closed.in_state(State::NoSignUps).unjudged(), ["first"]);
        assert!(closed.in_state(State::Open).unjudged().is_empty());
    }

    #[test]
    fn opening_changes_the_default_action_and_nothing_else() {
        let request = Fence(fence()).update_request(State::Open, "token");

        assert_eq!(
            Value::Object(request),
            json!({
                "Name": "fence", "Id": "id", "Scope": "REGIONAL", "LockToken": "token",
                "DefaultAction": {"Allow": {}},
                "Rules": [{"Name": "public-documents", "Statement": {"NewInWaf": {}}}],
                "VisibilityConfig": {"MetricName": "m"}, "TokenDomains": ["example.jp"],
            })
        );
    }

    #[test]
    fn no_sign_ups_adds_one_rule_and_open_and_close_take_it_away() {
        let closed = with_rules(json!([
            rule("documents", "Allow", json!({})),
            {"Name": "mine", "Priority": 2, "Action": {"Block": {}}, "Statement": {}},
        ]));

        let no_sign_ups = closed.in_state(State::NoSignUps);
        let names: Vec<_> = no_sign_ups.rules().map(name_of).collect();
        assert_eq!(names, ["documents", "mine", NO_SIGN_UPS_RULE]);
        let priorities: Vec<_> = no_sign_ups.rules().map(priority_of).collect();
        assert_eq!(priorities, [0, 2, 1]);
        assert_eq!(no_sign_ups.state(), State::NoSignUps);
        assert_eq!(no_sign_ups.in_state(State::NoSignUps), no_sign_ups);
        let open = no_sign_ups.in_state(State::Open);
        assert_eq!(open.state(), State::Open);
        assert_eq!(open.rules().count(), 2);
        assert_eq!(open.in_state(State::Closed), closed);
    }

    #[test]
    fn a_rule_that_somebody_has_changed_does_not_count_as_no_sign_ups() {
        let mut acl = with_rules(json!([])).in_state(State::NoSignUps).0;
        acl["Rules"][0]["Statement"]["OrStatement"]["Statements"] = json!([]);

        assert_eq!(Fence(acl).state(), State::Open);
    }

    #[test]
    fn a_rule_before_it_that_allows_is_an_opening_for_sign_ups() {
        let office = rule("office", "Allow", json!({"IPSetReferenceStatement": {}}));
        let mut late = office.clone();
        late["Priority"] = json!(7);

        let early = with_rules(json!([office])).in_state(State::NoSignUps);
        let late = with_rules(json!([late])).in_state(State::NoSignUps);

        assert_eq!(early.openings(), ["office"]);
        assert!(late.openings().is_empty());
        assert!(early.in_state(State::Open).openings().is_empty());
    }

    #[test]
    fn unknown_members_are_listed() {
        let mut fence = fence();
        fence.insert("Moat".into(), json!({}));

        assert_eq!(Fence(fence).unknown_members(), ["Moat"]);
    }
}
