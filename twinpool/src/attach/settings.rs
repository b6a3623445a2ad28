//! The settings of a user pool, as JSON, so that none is lost between DescribeUserPool and UpdateUserPool.

use std::collections::BTreeMap;

use aws_sdk_cognitoidentityprovider::Client;
use serde::Serialize;
use serde_json::Value;
use shared::aws::AwsError;
use shared::pool_id::PoolId;

use crate::raw::{Object, RawAnswer};

/// Members that DescribeUserPool returns and UpdateUserPool does not accept (botocore 1.44.5: UserPoolType less
/// UpdateUserPoolRequest).
const READ_ONLY: [&str; 14] = [
    "AliasAttributes",
    "Arn",
    "CreationDate",
    "CustomDomain",
    "Domain",
    "EmailConfigurationFailure",
    "EstimatedNumberOfUsers",
    "Id",
    "LastModifiedDate",
    "SchemaAttributes",
    "SmsConfigurationFailure",
    "Status",
    "UsernameAttributes",
    "UsernameConfiguration",
];

/// The one setting that UpdateUserPool keeps when the request leaves it out. It is never written: a request replaces it as a whole,
/// "Members that you omit revert to their default values, and an omitted EnableStatus turns dynamic client registration on" (facts N9).
const KEPT_WHEN_OMITTED: &str = "DcrConfiguration";

/// Settings that UpdateUserPool resets when the request leaves them out (botocore 1.44.5: UpdateUserPoolRequest). `*` is any key of a
/// map.
const WRITABLE: [&str; 74] = [
    "AccountRecoverySetting.RecoveryMechanisms.Name",
    "AccountRecoverySetting.RecoveryMechanisms.Priority",
    "AcrConfiguration.*.AcrValue",
    "AdminCreateUserConfig.AllowAdminCreateUserOnly",
    "AdminCreateUserConfig.InviteMessageTemplate.EmailMessage",
    "AdminCreateUserConfig.InviteMessageTemplate.EmailSubject",
    "AdminCreateUserConfig.InviteMessageTemplate.SMSMessage",
    "AdminCreateUserConfig.UnusedAccountValidityDays",
    "AutoVerifiedAttributes",
    "DeletionProtection",
    "DeviceConfiguration.ChallengeRequiredOnNewDevice",
    "DeviceConfiguration.DeviceOnlyRememberedOnUserPrompt",
    "EmailConfiguration.ConfigurationSet",
    "EmailConfiguration.EmailSendingAccount",
    "EmailConfiguration.From",
    "EmailConfiguration.ReplyToEmailAddress",
    "EmailConfiguration.SourceArn",
    "EmailVerificationMessage",
    "EmailVerificationSubject",
    "IssuerConfiguration.Type",
    "KeyConfiguration.KeyType",
    "KeyConfiguration.KmsKeyArn",
    "LambdaConfig.CreateAuthChallenge",
    "LambdaConfig.CustomEmailSender.LambdaArn",
    "LambdaConfig.CustomEmailSender.LambdaVersion",
    "LambdaConfig.CustomMessage",
    "LambdaConfig.CustomSMSSender.LambdaArn",
    "LambdaConfig.CustomSMSSender.LambdaVersion",
    "LambdaConfig.DefineAuthChallenge",
    "LambdaConfig.InboundFederation.LambdaArn",
    "LambdaConfig.InboundFederation.LambdaVersion",
    "LambdaConfig.KMSKeyID",
    "LambdaConfig.PostAuthentication",
    "LambdaConfig.PostConfirmation",
    "LambdaConfig.PreAuthentication",
    "LambdaConfig.PreSignUp",
    "LambdaConfig.PreTokenGeneration",
    "LambdaConfig.PreTokenGenerationConfig.LambdaArn",
    "LambdaConfig.PreTokenGenerationConfig.LambdaVersion",
    "LambdaConfig.UserMigration",
    "LambdaConfig.VerifyAuthChallengeResponse",
    "MfaConfiguration",
    "Policies.PasswordPolicy.MinimumLength",
    "Policies.PasswordPolicy.PasswordHistorySize",
    "Policies.PasswordPolicy.RequireLowercase",
    "Policies.PasswordPolicy.RequireNumbers",
    "Policies.PasswordPolicy.RequireSymbols",
    "Policies.PasswordPolicy.RequireUppercase",
    "Policies.PasswordPolicy.TemporaryPasswordValidityDays",
    "Policies.SignInPolicy.AllowedFirstAuthFactors",
    "PoolName",
    "SmsAuthenticationMessage",
    "SmsConfiguration.EumsSms.CallerArn",
    "SmsConfiguration.EumsSms.ConfigurationSetName",
    "SmsConfiguration.EumsSms.ExternalId",
    "SmsConfiguration.EumsSms.InEntityId",
    "SmsConfiguration.EumsSms.InTemplateId",
    "SmsConfiguration.EumsSms.OriginationIdentity",
    "SmsConfiguration.EumsSms.Region",
    "SmsConfiguration.ExternalId",
    "SmsConfiguration.SnsCallerArn",
    "SmsConfiguration.SnsRegion",
    "SmsVerificationMessage",
    "UserAttributeUpdateSettings.AttributesRequireVerificationBeforeUpdate",
    "UserPoolAddOns.AdvancedSecurityAdditionalFlows.CustomAuthMode",
    "UserPoolAddOns.AdvancedSecurityMode",
    "UserPoolTags.*",
    "UserPoolTier",
    "VerificationMessageTemplate.DefaultEmailOption",
    "VerificationMessageTemplate.EmailMessage",
    "VerificationMessageTemplate.EmailMessageByLink",
    "VerificationMessageTemplate.EmailSubject",
    "VerificationMessageTemplate.EmailSubjectByLink",
    "VerificationMessageTemplate.SmsMessage",
];

/// A pool as DescribeUserPool returns it.
#[derive(Clone, Debug, PartialEq)]
pub struct Description(Object);

impl Description {
    /// Reads the description of a pool.
    ///
    /// # Errors
    ///
    /// AWS rejected the call or did not answer, or the answer contains no pool.
    pub async fn read(client: &Client, pool: &PoolId) -> Result<Self, AwsError> {
        let answer = RawAnswer::default();
        client
            .describe_user_pool()
            .user_pool_id(pool.as_str())
            .customize()
            .interceptor(answer.clone())
            .send()
            .await
            .map_err(|error| AwsError::from_sdk("DescribeUserPool", pool, &error))?;
        let description = answer.object("UserPool");
        description
            .map(Self)
            .ok_or_else(|| AwsError::incomplete_response("DescribeUserPool", pool, "a pool"))
    }

    /// When the pool was last changed, in Cognito's notation.
    pub fn last_modified(&self) -> Option<&Value> {
        self.0.get("LastModifiedDate")
    }

    /// The settings that UpdateUserPool can change, with the names that it uses.
    pub fn settings(&self) -> Settings {
        let mut settings = self.0.clone();
        settings.retain(|name, _| !READ_ONLY.contains(&name.as_str()));
        if let Some(name) = settings.remove("Name") {
            settings.insert("PoolName".to_owned(), name);
        }
        // botocore UnusedAccountValidityDays: "This parameter is no longer in use"; rejected beside its successor [facts 7].
        let successor = settings
            .get("Policies")
            .and_then(|policies| policies.pointer("/PasswordPolicy/TemporaryPasswordValidityDays"));
        if successor.is_some()
            && let Some(Value::Object(config)) = settings.get_mut("AdminCreateUserConfig")
        {
            config.remove("UnusedAccountValidityDays");
        }
        Settings(settings)
    }
}

/// The settings of a pool.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings(Object);

impl From<Object> for Settings {
    fn from(settings: Object) -> Self {
        Self(settings)
    }
}

impl Settings {
    /// ARN of the post-confirmation function.
    pub fn post_confirmation(&self) -> Option<&str> {
        self.0
            .get("LambdaConfig")?
            .get("PostConfirmation")?
            .as_str()
    }

    /// These settings with another post-confirmation function.
    pub fn with_post_confirmation(&self, function: &str) -> Self {
        let mut settings = self.clone();
        let triggers = settings.0.entry("LambdaConfig");
        let triggers = triggers.or_insert_with(|| Value::Object(Object::new()));
        triggers["PostConfirmation"] = function.into();
        settings
    }

    /// These settings without a post-confirmation function.
    pub fn without_post_confirmation(&self) -> Self {
        let mut settings = self.clone();
        if let Some(Value::Object(triggers)) = settings.0.get_mut("LambdaConfig") {
            triggers.remove("PostConfirmation");
        }
        settings
    }

    /// The UpdateUserPool request after which the pool has these settings.
    pub fn request(&self, pool: &PoolId) -> Object {
        let mut request = self.0.clone();
        request.remove(KEPT_WHEN_OMITTED);
        request.insert("UserPoolId".to_owned(), pool.as_str().into());
        request
    }

    /// Paths of settings that this version of twinpool does not know, and so cannot write back.
    pub fn unknown(&self) -> Vec<String> {
        let known: Vec<Vec<&str>> = WRITABLE.map(|path| path.split('.').collect()).to_vec();
        let mut unknown = Vec::new();
        let written = self.0.iter().filter(|(name, _)| *name != KEPT_WHEN_OMITTED);
        for (name, value) in written {
            find_unknown(&mut vec![name], value, &known, &mut unknown);
        }
        unknown
    }

    /// Number of settings.
    pub fn count(&self) -> usize {
        self.leaves().len()
    }

    /// The differences between these settings and later ones.
    pub fn changes_to(&self, later: &Self) -> Vec<Change> {
        let (before, mut after) = (self.leaves(), later.leaves());
        let mut changes = Vec::new();
        for (setting, before) in before {
            let after = after.remove(&setting);
            if after.as_ref() != Some(&before) {
                changes.push(Change {
                    setting,
                    before: Some(before),
                    after,
                });
            }
        }
        changes.extend(after.into_iter().map(|(setting, after)| Change {
            setting,
            before: None,
            after: Some(after),
        }));
        changes
    }

    /// Each value that is set, by its path, such as `LambdaConfig.PostConfirmation`.
    pub fn leaves(&self) -> BTreeMap<String, Value> {
        let mut leaves = BTreeMap::new();
        for (name, value) in &self.0 {
            collect_leaves(name.clone(), value, &mut leaves);
        }
        leaves
    }
}

/// A change of a setting.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// Path of the setting, such as `LambdaConfig.PostConfirmation`.
    pub setting: String,
    /// Its value before; `None` if it was not set.
    pub before: Option<Value>,
    /// Its value afterwards; `None` if it is not set.
    pub after: Option<Value>,
}

fn find_unknown<'a>(
    path: &mut Vec<&'a str>,
    value: &'a Value,
    known: &[Vec<&str>],
    unknown: &mut Vec<String>,
) {
    let matches = |pattern: &Vec<&str>| {
        let parts = pattern.iter().zip(path.iter());
        pattern.len() >= path.len() && parts.into_iter().all(|(a, b)| *a == "*" || a == b)
    };
    if !known.iter().any(matches) {
        unknown.push(path.join("."));
        return;
    }
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                path.push(name);
                find_unknown(path, value, known, unknown);
                path.pop();
            }
        }
        Value::Array(elements) => {
            for element in elements {
                find_unknown(path, element, known, unknown);
            }
        }
        _ => {}
    }
}

/// Collects the values within a value by path. Lists are sorted and empty lists left out, because in a pool's settings the order of a
/// list has no meaning, and an empty list means the same as none.
fn collect_leaves(path: String, value: &Value, leaves: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                collect_leaves(format!("{path}.{name}"), value, leaves);
            }
        }
        Value::Array(elements) if elements.is_empty() => {}
        Value::Array(elements) => {
            let mut elements = elements.clone();
            elements.sort_by_key(Value::to_string);
            leaves.insert(path, Value::Array(elements));
        }
        value => {
            leaves.insert(path, value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a-z]{0,4}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..4).prop_map(Value::from),
                btree_map("[A-Z][a-z]{0,3}", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn attaching_a_function_changes_one_setting_only(
            settings in btree_map("[A-Z][a-z]{0,3}", any_value(), 0..6),
            triggers in btree_map("[A-Z][a-z]{0,3}", any_value(), 0..3),
        ) {
            let mut settings: Object = settings.into_iter().collect();
            let triggers = triggers.into_iter().collect();
            settings.insert("LambdaConfig".to_owned(), Value::Object(triggers));
            let before = Settings(settings);

            let after = before.with_post_confirmation("arn:f");

            prop_assert_eq!(before.changes_to(&before), []);
            let change = Change {
                setting: "LambdaConfig.PostConfirmation".to_owned(),
                before: None,
                after: Some("arn:f".into()),
            };
            prop_assert_eq!(before.changes_to(&after), [change]);
            prop_assert_eq!(after.without_post_confirmation(), before);
        }
    }

    fn description(pool: Value) -> Description {
        match pool {
            Value::Object(pool) => Description(pool),
            _ => panic!("an object"),
        }
    }

    #[test]
    fn all_settings_that_would_be_reset_are_written_back_and_nothing_else() {
        let description = description(json!({
            "Id": "ap-northeast-1_Primary01", "Arn": "arn", "Name": "people", "MfaConfiguration": "ON",
            "EstimatedNumberOfUsers": 7, "SchemaAttributes": [{"Name": "email"}],
            "UserPoolTier": "PLUS", "LambdaConfig": {"PreSignUp": "arn:pre"},
            "DcrConfiguration": {"EnableStatus": "Enabled"},
        }));
        let pool = "ap-northeast-1_Primary01".parse().unwrap();

        let request = description
            .settings()
            .with_post_confirmation("arn:f")
            .request(&pool);

        assert_eq!(
            Value::Object(request),
            json!({
                "UserPoolId": "ap-northeast-1_Primary01", "PoolName": "people", "MfaConfiguration": "ON",
                "UserPoolTier": "PLUS", "LambdaConfig": {"PreSignUp": "arn:pre", "PostConfirmation": "arn:f"},
            })
        );
    }

    #[test]
    fn the_old_validity_of_temporary_passwords_is_left_out_only_beside_the_new_one() {
        let config = json!({"AllowAdminCreateUserOnly": false, "UnusedAccountValidityDays": 7});
        let old = description(json!({"AdminCreateUserConfig": config}));
        let both = description(json!({
            "AdminCreateUserConfig": config,
            "Policies": {"PasswordPolicy": {"TemporaryPasswordValidityDays": 7}},
        }));

        assert_eq!(old.settings().0["AdminCreateUserConfig"], config);
        assert_eq!(
            both.settings().0["AdminCreateUserConfig"],
            json!({"AllowAdminCreateUserOnly": false})
        );
    }

    #[test]
    fn unknown_settings_are_found_at_any_depth() {
        let settings = description(json!({
            "Name": "people",
            "UserPoolTags": {"team": "identity"},
            "Policies": {"PasswordPolicy": {"MinimumLength": 8, "Rhyme": true}},
            "AccountRecoverySetting": {"RecoveryMechanisms": [{"Name": "verified_email", "Weight": 1}]},
            "DcrConfiguration": {"NewIn2027": true},
            "Telepathy": {"Enabled": false},
        }))
        .settings();

        assert_eq!(
            settings.unknown(),
            [
                "AccountRecoverySetting.RecoveryMechanisms.Weight",
                "Policies.PasswordPolicy.Rhyme",
                "Telepathy"
            ]
        );
    }

    #[test]
    fn a_change_of_the_setting_that_is_not_written_is_noticed() {
        let with = |status: &str| {
            description(json!({"DcrConfiguration": {"EnableStatus": status}})).settings()
        };

        let changes = with("Disabled").changes_to(&with("Enabled"));

        assert_eq!(changes[0].setting, "DcrConfiguration.EnableStatus");
    }

    #[test]
    fn an_empty_list_equals_none_and_is_still_written_back() {
        let with = description(json!({"MfaConfiguration": "ON", "AutoVerifiedAttributes": []}));
        let without = description(json!({"MfaConfiguration": "ON"}));
        let (with, without) = (with.settings(), without.settings());

        assert_eq!(with.changes_to(&without), []);
        assert_eq!(without.changes_to(&with), []);
        let pool = "ap-northeast-1_Primary01".parse().unwrap();
        assert_eq!(with.request(&pool)["AutoVerifiedAttributes"], json!([]));
    }

    #[test]
    fn changes_list_lost_changed_and_added_settings_and_ignore_the_order_of_lists() {
        let before = description(json!({
            "MfaConfiguration": "ON", "UserPoolTier": "PLUS", "AutoVerifiedAttributes": ["email", "phone_number"],
        }));
        let after = description(json!({
            "MfaConfiguration": "OFF", "AutoVerifiedAttributes": ["phone_number", "email"], "DeletionProtection": "ACTIVE",
        }));

        let changes = before.settings().changes_to(&after.settings());

        let change = |setting: &str, before: Option<&str>, after: Option<&str>| Change {
            setting: setting.into(),
            before: before.map(Value::from),
            after: after.map(Value::from),
        };
        assert_eq!(
            changes,
            [
                change("MfaConfiguration", Some("ON"), Some("OFF")),
                change("UserPoolTier", Some("PLUS"), None),
                change("DeletionProtection", None, Some("ACTIVE")),
            ]
        );
    }
}
