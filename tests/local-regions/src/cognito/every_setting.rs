//! A value other than the default for every setting of a pool that UpdateUserPool replaces.

use serde_json::{Value, json};

use crate::region::ACCOUNT_ID;

/// All members of UpdateUserPool except the pool's id, its name, MfaConfiguration and the PostConfirmation trigger.
pub(super) fn every_setting(region: &str) -> Value {
    let function = |name| format!("arn:aws:lambda:{region}:{ACCOUNT_ID}:function:{name}");
    let role = |name| format!("arn:aws:iam::{ACCOUNT_ID}:role/{name}");
    let key = format!("arn:aws:kms:{region}:{ACCOUNT_ID}:key/11111111-2222-3333-4444-555555555555");
    json!({
        "Policies": {
            "PasswordPolicy": {
                "MinimumLength": 14,
                "RequireUppercase": true,
                "RequireLowercase": true,
                "RequireNumbers": true,
                "RequireSymbols": false,
                "PasswordHistorySize": 3,
                "TemporaryPasswordValidityDays": 3,
            },
            "SignInPolicy": {"AllowedFirstAuthFactors": ["PASSWORD", "WEB_AUTHN"]},
        },
        "DeletionProtection": "ACTIVE",
        "LambdaConfig": {
            "PreSignUp": function("pre-sign-up"),
            "CustomMessage": function("custom-message"),
            "PreAuthentication": function("pre-authentication"),
            "PostAuthentication": function("post-authentication"),
            "DefineAuthChallenge": function("define-auth-challenge"),
            "CreateAuthChallenge": function("create-auth-challenge"),
            "VerifyAuthChallengeResponse": function("verify-auth-challenge-response"),
            "PreTokenGeneration": function("pre-token-generation"),
            "UserMigration": function("user-migration"),
            "PreTokenGenerationConfig": {
                "LambdaVersion": "V2_0",
                "LambdaArn": function("pre-token-generation"),
            },
            "CustomSMSSender": {"LambdaVersion": "V1_0", "LambdaArn": function("sms-sender")},
            "CustomEmailSender": {"LambdaVersion": "V1_0", "LambdaArn": function("email-sender:live")},
            "KMSKeyID": key,
            "InboundFederation": {"LambdaVersion": "V1_0", "LambdaArn": function("federation")},
        },
        "AutoVerifiedAttributes": ["email"],
        "SmsVerificationMessage": "Your code is {####}.",
        "EmailVerificationMessage": "Your code is {####}.",
        "EmailVerificationSubject": "Your code",
        "VerificationMessageTemplate": {
            "SmsMessage": "Your code is {####}.",
            "EmailMessageByLink": "{##Click here##}",
            "EmailSubjectByLink": "Your link",
            "DefaultEmailOption": "CONFIRM_WITH_LINK",
        },
        "SmsAuthenticationMessage": "Your sign-in code is {####}.",
        "UserAttributeUpdateSettings": {"AttributesRequireVerificationBeforeUpdate": ["email"]},
        "DeviceConfiguration": {
            "ChallengeRequiredOnNewDevice": true,
            "DeviceOnlyRememberedOnUserPrompt": true,
        },
        "EmailConfiguration": {
            "SourceArn": format!("arn:aws:ses:{region}:{ACCOUNT_ID}:identity/mail.example.jp"),
            "ReplyToEmailAddress": "help@example.jp",
            "EmailSendingAccount": "DEVELOPER",
            "From": "Example <no-reply@mail.example.jp>",
            "ConfigurationSet": "sign-up",
        },
        "SmsConfiguration": {
            "SnsCallerArn": role("sms"),
            "ExternalId": "sms-of-the-pool",
            "SnsRegion": region,
        },
        "UserPoolTags": {"team": "identity", "stage": "production"},
        "AdminCreateUserConfig": {
            "AllowAdminCreateUserOnly": true,
            "InviteMessageTemplate": {
                "SMSMessage": "{username}, your password is {####}.",
                "EmailMessage": "{username}, your password is {####}.",
                "EmailSubject": "Welcome",
            },
        },
        "UserPoolAddOns": {
            "AdvancedSecurityMode": "AUDIT",
            "AdvancedSecurityAdditionalFlows": {"CustomAuthMode": "AUDIT"},
        },
        "DcrConfiguration": {
            "EnableStatus": "Disabled",
            "OpenDcrEnabled": true,
            "AuthenticatedGrantTypes": ["code"],
            "OpenDcrGrantTypes": ["code"],
            "AllowedScopes": ["aws.cognito.signin.user.admin"],
        },
        "AccountRecoverySetting": {
            "RecoveryMechanisms": [
                {"Priority": 1, "Name": "verified_email"},
                {"Priority": 2, "Name": "verified_phone_number"},
            ],
        },
        "UserPoolTier": "PLUS",
        "KeyConfiguration": {"KeyType": "CUSTOMER_MANAGED_KEY", "KmsKeyArn": key},
        "IssuerConfiguration": {"Type": "UPDATED"},
        "AcrConfiguration": {"Level2": {"AcrValue": "https://example.jp/acr/two-factors"}},
    })
}
