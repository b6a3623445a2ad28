//! The configuration of a pool, which CreateUserPool sets, DescribeUserPool returns and UpdateUserPool replaces as a whole.
//!
//! It is stored as the API writes it. These settings have an effect here: the name, MFA, password policy, auto-verified
//! attributes, those that are verified before an update, recovery, self sign-up, and the triggers PostConfirmation and
//! PreTokenGeneration. All others
//! are stored and returned without an effect.

use serde_json::{Map, Value, json};

use super::error::{Answer, ApiError};
use super::model;
use super::password::PasswordPolicy;
use super::pool::PoolState;
use super::schema::{EMAIL, PHONE};
use super::settings::{Contact, Mfa, PoolSettings, Recovery};
use super::{Inner, lock};
use crate::region::ACCOUNT_ID;

impl PoolState {
    /// Replaces the whole configuration and applies it.
    pub(super) fn configure(&mut self, configuration: Value) {
        let recovery = &configuration["AccountRecoverySetting"]["RecoveryMechanisms"];
        let mut recovery = recovery.as_array().cloned().unwrap_or_default();
        recovery.sort_by_key(|way| way["Priority"].as_u64());
        let settings = &mut self.settings;
        settings.recovery = recovery
            .iter()
            .filter_map(|way| match way["Name"].as_str()? {
                "verified_email" => Some(Recovery::VerifiedEmail),
                "verified_phone_number" => Some(Recovery::VerifiedPhoneNumber),
                "admin_only" => Some(Recovery::AdminOnly),
                _ => None,
            })
            .collect();
        settings.auto_verified = contacts(&configuration["AutoVerifiedAttributes"]);
        settings.verified_before_update = contacts(before_update(&configuration));
        settings.password_policy =
            PasswordPolicy::read(&configuration["Policies"]["PasswordPolicy"]);
        settings.mfa = match configuration["MfaConfiguration"].as_str() {
            Some("ON") => Mfa::On,
            Some("OPTIONAL") => Mfa::Optional,
            _ => Mfa::Off,
        };
        settings.admin_create_only =
            configuration["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"] == true;
        self.configuration = configuration;
    }

    /// The Lambda function of the PostConfirmation trigger.
    pub(super) fn post_confirmation(&self) -> Option<&str> {
        let arn = self.configuration["LambdaConfig"]["PostConfirmation"].as_str()?;
        arn.split(':').nth(6)
    }

    /// Rejects a change while users are being imported, as AWS does.
    // botocore: UserImportInProgressException of AddCustomAttributes and UpdateUserPool [D]; the text is [Inf].
    pub(super) fn must_not_import(&self) -> Result<(), ApiError> {
        if !self.jobs.values().any(super::import_job::Job::is_active) {
            return Ok(());
        }
        let text = "Users are being imported into the user pool.";
        Err(ApiError::new("UserImportInProgressException", text))
    }
}

impl Inner {
    pub(super) fn update_user_pool(&self, request: &Map<String, Value>) -> Answer {
        model::check("UpdateUserPoolRequest", request)?;
        let mut given = request.clone();
        let id = given.remove("UserPoolId");
        // It is not documented what happens to a name that is omitted: it is kept [Inf].
        let name = given.remove("PoolName");
        let pool = self.pool(id.as_ref().and_then(Value::as_str).unwrap_or_default())?;
        let mut pool = lock(&pool);
        pool.must_not_import()?;
        // botocore UpdateUserPool, DcrConfiguration: if it is omitted, it is kept [D].
        if !given.contains_key("DcrConfiguration")
            && let Some(kept) = pool.configuration.get("DcrConfiguration")
        {
            given.insert("DcrConfiguration".to_owned(), kept.clone());
        }
        // The same: members that are omitted revert to their defaults, and an omitted EnableStatus turns registration on [D].
        if let Some(Value::Object(registration)) = given.get_mut("DcrConfiguration") {
            registration
                .entry("EnableStatus")
                .or_insert_with(|| "Enabled".into());
        }
        let configuration = whole(given.into());
        check_mfa(pool.settings.mfa, &configuration["MfaConfiguration"])?;
        check(&configuration, &self.region)?;
        if let Some(Value::String(name)) = name {
            pool.settings.name = name;
        }
        pool.configure(configuration);
        pool.modified = self.clock.now();
        Ok(json!({}))
    }
}

/// The configuration of a pool that is created with these settings.
pub(super) fn of(settings: &PoolSettings, region: &str) -> Value {
    let auto_verified = settings.auto_verified.iter().map(|c| c.attribute());
    let mut given = json!({
        "Policies": {"PasswordPolicy": settings.password_policy.describe()},
        "AutoVerifiedAttributes": auto_verified.collect::<Vec<_>>(),
        "MfaConfiguration": match settings.mfa {
            Mfa::Off => "OFF",
            Mfa::Optional => "OPTIONAL",
            Mfa::On => "ON",
        },
        // The sender is the engineer's own (DEVELOPER). COGNITO_DEFAULT sends 50 messages a day (facts 4), which would end a
        // failover after 50 people, so a pool that is prepared for a failover uses SES. Messages are not limited here.
        "EmailConfiguration": {
            "EmailSendingAccount": "DEVELOPER",
            "SourceArn": format!("arn:aws:ses:{region}:{ACCOUNT_ID}:identity/example.jp"),
        },
        "AdminCreateUserConfig": {"AllowAdminCreateUserOnly": settings.admin_create_only},
    });
    if !settings.verified_before_update.is_empty() {
        let names = settings.verified_before_update.iter();
        let names = names.map(|c| c.attribute()).collect::<Vec<_>>();
        given["UserAttributeUpdateSettings"] =
            json!({"AttributesRequireVerificationBeforeUpdate": names});
    }
    if !settings.recovery.is_empty() {
        let ways = settings.recovery.iter().zip(1..).map(|(way, priority)| {
            let name = match way {
                Recovery::VerifiedEmail => "verified_email",
                Recovery::VerifiedPhoneNumber => "verified_phone_number",
                Recovery::AdminOnly => "admin_only",
            };
            json!({"Priority": priority, "Name": name})
        });
        given["AccountRecoverySetting"] = json!({"RecoveryMechanisms": ways.collect::<Vec<_>>()});
    }
    whole(given)
}

/// Adds the default of every setting that is missing in a configuration.
// botocore UpdateUserPool: "If you don't provide a value for an attribute, Amazon Cognito sets it to its default value" [D].
// The defaults of the tier, of temporary passwords and of MFA are documented; that the others are those of a new pool is
// [Inf].
pub(super) fn whole(given: Value) -> Value {
    let mut policy = PasswordPolicy::default().describe();
    if !given["Policies"]["PasswordPolicy"].is_null() {
        // A requirement that is missing in a given policy is not in force [Inf].
        for requirement in ["Uppercase", "Lowercase", "Numbers", "Symbols"] {
            policy[format!("Require{requirement}")] = false.into();
        }
    }
    let mut whole = json!({
        "Policies": {
            "PasswordPolicy": policy,
            "SignInPolicy": {"AllowedFirstAuthFactors": ["PASSWORD"]},
        },
        "DeletionProtection": "INACTIVE",
        "LambdaConfig": {},
        "AutoVerifiedAttributes": [],
        "VerificationMessageTemplate": {"DefaultEmailOption": "CONFIRM_WITH_CODE"},
        "MfaConfiguration": "OFF",
        "EmailConfiguration": {"EmailSendingAccount": "COGNITO_DEFAULT"},
        "UserPoolTags": {},
        "AdminCreateUserConfig": {"AllowAdminCreateUserOnly": false},
        "UserPoolTier": "ESSENTIALS",
    });
    overlay(&mut whole, given);
    let days = &mut whole["Policies"]["PasswordPolicy"]["TemporaryPasswordValidityDays"];
    if *days == 0 {
        // facts 3: 0 means the default, 7 [D].
        *days = 7.into();
    }
    whole
}

/// Merges values into others, structure by structure.
fn overlay(under: &mut Value, over: Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (name, value) in over {
                overlay(under.entry(name).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over,
    }
}

/// This operation can turn MFA off, but not on.
// facts 7: both texts [I].
fn check_mfa(old: Mfa, new: &Value) -> Result<(), ApiError> {
    let text = match (old, new.as_str()) {
        (Mfa::Off | Mfa::Optional, Some("ON")) => {
            "Cannot turn MFA functionality ON, once the user pool has been created."
        }
        (Mfa::Off, Some("OPTIONAL")) => {
            "SMS configuration and Auto verification for phone_number are required when MFA is required/optional"
        }
        _ => return Ok(()),
    };
    Err(ApiError::invalid_parameter(text))
}

/// Rejects settings that contradict each other.
// Unless it says otherwise, each rule is documented in botocore at the setting [D]; all texts but the first are [Inf].
pub(super) fn check(configuration: &Value, region: &str) -> Result<(), ApiError> {
    let invalid = |text: &str| Err(ApiError::invalid_parameter(text));
    let given = |path: &str| configuration.pointer(path);
    let has = |path: &str| given(path).is_some();
    let unused = given("/AdminCreateUserConfig/UnusedAccountValidityDays");
    if unused.is_some_and(|days| days != 0) {
        // https://github.com/aws-controllers-k8s/community/issues/2837 [I].
        return invalid(
            "Please use TemporaryPasswordValidityDays in PasswordPolicy instead of UnusedAccountValidityDays",
        );
    }
    if let Value::Object(triggers) = &configuration["LambdaConfig"] {
        check_triggers(triggers, region)?;
    }
    let auto_verified = contacts(&configuration["AutoVerifiedAttributes"]);
    if contacts(before_update(configuration))
        .iter()
        .any(|contact| !auto_verified.contains(contact))
    {
        // https://github.com/ekristen/aws-nuke/issues/477 [I].
        return invalid(
            "All attributes in AttributesRequireVerificationBeforeUpdate must exist in AutoVerifiedAttributes",
        );
    }
    let by_code = has("/VerificationMessageTemplate/EmailMessage");
    if by_code && has("/VerificationMessageTemplate/EmailMessageByLink") {
        return invalid("EmailMessage and EmailMessageByLink cannot both be set.");
    }
    let own_email = [
        "/VerificationMessageTemplate/EmailMessage",
        "/VerificationMessageTemplate/EmailSubject",
        "/VerificationMessageTemplate/EmailMessageByLink",
        "/VerificationMessageTemplate/EmailSubjectByLink",
        "/AdminCreateUserConfig/InviteMessageTemplate/EmailMessage",
        "/AdminCreateUserConfig/InviteMessageTemplate/EmailSubject",
    ];
    let developer = configuration["EmailConfiguration"]["EmailSendingAccount"] == "DEVELOPER";
    if own_email.into_iter().any(has) && !developer {
        return invalid(
            "An email's message or subject can be set only if EmailSendingAccount is DEVELOPER.",
        );
    }
    if developer && !has("/EmailConfiguration/SourceArn") {
        return invalid("EmailSendingAccount DEVELOPER needs a SourceArn.");
    }
    if has("/SmsConfiguration/SnsCallerArn") && has("/SmsConfiguration/EumsSms") {
        return invalid("SnsCallerArn and EumsSms cannot both be set.");
    }
    if given("/SmsConfiguration/EumsSms/Region").is_some_and(|given| given != region) {
        return invalid("The Region of EumsSms must be the user pool's.");
    }
    let differs = |path: &str, off: Value| given(path).is_some_and(|value| *value != off);
    let protection = differs("/UserPoolAddOns/AdvancedSecurityMode", "OFF".into());
    // facts 3: password history needs the tier Essentials or Plus [D].
    let history = differs("/Policies/PasswordPolicy/PasswordHistorySize", 0.into());
    let registration = given("/DcrConfiguration");
    let registration = registration.is_some_and(|dcr| dcr["EnableStatus"] != "Disabled");
    // DG:user-pool-lambda-pre-token-generation: V2_0 and V3_0 need the tier Essentials or Plus [D].
    let version = "/LambdaConfig/PreTokenGenerationConfig/LambdaVersion";
    let access_tokens = differs(version, "V1_0".into());
    let beyond = match configuration["UserPoolTier"].as_str() {
        Some("PLUS") => false,
        Some("LITE") => {
            protection || history || registration || access_tokens || has("/AcrConfiguration")
        }
        _ => protection,
    };
    if beyond {
        let text = "A feature is not available in the user pool's tier.";
        return Err(ApiError::new("FeatureUnavailableInTierException", text));
    }
    Ok(())
}

fn check_triggers(triggers: &Map<String, Value>, region: &str) -> Result<(), ApiError> {
    for (name, trigger) in triggers.iter().filter(|(name, _)| *name != "KMSKeyID") {
        let arn = trigger.as_str().or(trigger["LambdaArn"].as_str());
        let parts: Vec<_> = arn.unwrap_or_default().split(':').collect();
        // facts 2: the function must be in the same Region; an alias is possible, a version is not [D]. The texts are [Inf].
        let wrong = match parts[..] {
            ["arn", _, "lambda", there, _, "function", ..] if there != region => {
                "must be in the user pool's region"
            }
            ["arn", _, "lambda", _, _, "function", _] => continue,
            ["arn", _, "lambda", _, _, "function", _, alias]
                if alias.contains(|c: char| !c.is_ascii_digit()) =>
            {
                continue;
            }
            _ => "must be the ARN of a function or of an alias",
        };
        let message = format!("LambdaConfig.{name} {wrong}.");
        return Err(ApiError::invalid_parameter(message));
    }
    let generation = triggers.get("PreTokenGeneration");
    let detailed = triggers.get("PreTokenGenerationConfig");
    if let Some((one, other)) = generation.zip(detailed)
        && *one != other["LambdaArn"]
    {
        return Err(ApiError::invalid_parameter(
            "PreTokenGeneration and PreTokenGenerationConfig must name the same function.",
        ));
    }
    Ok(())
}

/// The names of the attributes that stay as they are until their new value is verified.
fn before_update(configuration: &Value) -> &Value {
    &configuration["UserAttributeUpdateSettings"]["AttributesRequireVerificationBeforeUpdate"]
}

/// The names of contact attributes as a list.
pub(super) fn contacts(names: &Value) -> Vec<Contact> {
    let names = names.as_array().into_iter().flatten();
    let contact = |name: &Value| match name.as_str()? {
        EMAIL => Some(Contact::Email),
        PHONE => Some(Contact::PhoneNumber),
        _ => None,
    };
    names.filter_map(contact).collect()
}
