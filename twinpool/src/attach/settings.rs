//! The settings of a user pool as DescribeUserPool gives them and UpdateUserPool takes them: as JSON, none of them lost.

use std::collections::BTreeMap;

use aws_sdk_cognitoidentityprovider::Client;
use serde::Serialize;
use serde_json::Value;
use shared::aws::AwsError;
use shared::pool::PoolId;

use crate::raw::{Answer, Object};

/// What DescribeUserPool gives and UpdateUserPool does not take (botocore 1.44.5: UserPoolType less UpdateUserPoolRequest).
const FIXED: [&str; 14] = [
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

/// What UpdateUserPool takes (botocore 1.44.5: UpdateUserPoolRequest). `*` is any key of a map.
const WRITABLE: [&str; 79] = [
    "AccountRecoverySetting.RecoveryMechanisms.Name",
    "AccountRecoverySetting.RecoveryMechanisms.Priority",
    "AcrConfiguration.*.AcrValue",
    "AdminCreateUserConfig.AllowAdminCreateUserOnly",
    "AdminCreateUserConfig.InviteMessageTemplate.EmailMessage",
    "AdminCreateUserConfig.InviteMessageTemplate.EmailSubject",
    "AdminCreateUserConfig.InviteMessageTemplate.SMSMessage",
    "AdminCreateUserConfig.UnusedAccountValidityDays",
    "AutoVerifiedAttributes",
    "DcrConfiguration.AllowedScopes",
    "DcrConfiguration.AuthenticatedGrantTypes",
    "DcrConfiguration.EnableStatus",
    "DcrConfiguration.OpenDcrEnabled",
    "DcrConfiguration.OpenDcrGrantTypes",
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

/// A pool as DescribeUserPool shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Description(Object);

impl Description {
    /// Asks for it.
    pub async fn of(client: &Client, pool: &PoolId) -> Result<Self, AwsError> {
        let answer = Answer::default();
        client
            .describe_user_pool()
            .user_pool_id(pool.as_str())
            .customize()
            .interceptor(answer.clone())
            .send()
            .await
            .map_err(|error| AwsError::of("DescribeUserPool", pool, &error))?;
        let description = answer.object("UserPool");
        description
            .map(Self)
            .ok_or_else(|| AwsError::hollow("DescribeUserPool", pool, "a pool"))
    }

    /// When the pool was changed last, as Cognito writes it.
    pub fn last_modified(&self) -> Option<&Value> {
        self.0.get("LastModifiedDate")
    }

    /// What can be written back with UpdateUserPool, under that operation's names.
    pub fn settings(&self) -> Settings {
        let mut settings = self.0.clone();
        settings.retain(|name, _| !FIXED.contains(&name.as_str()));
        if let Some(name) = settings.remove("Name") {
            settings.insert("PoolName".to_owned(), name);
        }
        // botocore UnusedAccountValidityDays: "This parameter is no longer in use"; refused beside its successor [facts 7].
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

/// The settings of a pool that can be written.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings(Object);

impl From<Object> for Settings {
    fn from(settings: Object) -> Self {
        Self(settings)
    }
}

impl Settings {
    /// The function that runs after a confirmation.
    pub fn post_confirmation(&self) -> Option<&str> {
        self.0
            .get("LambdaConfig")?
            .get("PostConfirmation")?
            .as_str()
    }

    /// The same, and the function runs after a confirmation.
    pub fn with_post_confirmation(&self, function: &str) -> Self {
        let mut settings = self.clone();
        let triggers = settings.0.entry("LambdaConfig");
        let triggers = triggers.or_insert_with(|| Value::Object(Object::new()));
        triggers["PostConfirmation"] = function.into();
        settings
    }

    /// The request that writes them all.
    pub fn request(&self, pool: &PoolId) -> Object {
        let mut request = self.0.clone();
        request.insert("UserPoolId".to_owned(), pool.as_str().into());
        request
    }

    /// The names of settings that this version does not know how to write back.
    pub fn unknown(&self) -> Vec<String> {
        let known: Vec<Vec<&str>> = WRITABLE.map(|path| path.split('.').collect()).to_vec();
        let mut unknown = Vec::new();
        for (name, value) in &self.0 {
            find_unknown(&mut vec![name], value, &known, &mut unknown);
        }
        unknown
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.leaves().len()
    }

    /// What is different in the others.
    pub fn changes_to(&self, others: &Self) -> Vec<Change> {
        let (before, mut after) = (self.leaves(), others.leaves());
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

    /// Each value that is set, by its path.
    pub fn leaves(&self) -> BTreeMap<String, Value> {
        let mut leaves = BTreeMap::new();
        for (name, value) in &self.0 {
            collect(name.clone(), value, &mut leaves);
        }
        leaves
    }
}

/// A setting that is not what it was.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// Its name, such as `LambdaConfig.PostConfirmation`.
    pub setting: String,
    /// What it was; none when it was not set.
    pub before: Option<Value>,
    /// What it is then.
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

/// The values within a value, by path. The order of a list means nothing in a pool's settings, and an empty one is as good as none.
fn collect(path: String, value: &Value, leaves: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                collect(format!("{path}.{name}"), value, leaves);
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
        fn whatever_else_is_set_attaching_changes_one_setting(
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
        }
    }

    fn description(pool: Value) -> Description {
        match pool {
            Value::Object(pool) => Description(pool),
            _ => panic!("an object"),
        }
    }

    #[test]
    fn everything_that_can_be_written_is_written_back_and_nothing_else() {
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
                "DcrConfiguration": {"EnableStatus": "Enabled"},
            })
        );
    }

    #[test]
    fn the_old_validity_of_temporary_passwords_goes_only_where_the_new_one_is() {
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
    fn a_setting_that_is_not_known_is_named_at_any_depth() {
        let settings = description(json!({
            "Name": "people",
            "UserPoolTags": {"team": "identity"},
            "Policies": {"PasswordPolicy": {"MinimumLength": 8, "Rhyme": true}},
            "AccountRecoverySetting": {"RecoveryMechanisms": [{"Name": "verified_email", "Weight": 1}]},
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
    fn an_empty_list_is_as_good_as_none_and_is_written_back_all_the_same() {
        let with = description(json!({"MfaConfiguration": "ON", "AutoVerifiedAttributes": []}));
        let without = description(json!({"MfaConfiguration": "ON"}));
        let (with, without) = (with.settings(), without.settings());

        assert_eq!(with.changes_to(&without), []);
        assert_eq!(without.changes_to(&with), []);
        let pool = "ap-northeast-1_Primary01".parse().unwrap();
        assert_eq!(with.request(&pool)["AutoVerifiedAttributes"], json!([]));
    }

    #[test]
    fn changes_name_what_was_lost_changed_and_added_whatever_the_order_of_lists() {
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
