//! The operations on pools and app clients themselves: making, describing and listing them.

use std::sync::{Arc, Mutex};

use serde_json::{Map, Value, json};

use super::error::{Answer, ApiError};
use super::params::{CLIENT_ID, NAME, PAGE_TOKEN, POOL_ID, Params};
use super::password::PasswordPolicy;
use super::pool::{Pool, PoolState, random_text};
use super::schema::{EMAIL, PHONE, Schema};
use super::settings::{
    Alias, ClientSettings, Contact, CustomAttribute, CustomKind, Mfa, PoolSettings, Recovery,
};
use super::{Inner, lock, seconds};
use crate::region::ACCOUNT_ID;

impl PoolState {
    // The sender is the engineer's own (DEVELOPER): the 50 messages a day of COGNITO_DEFAULT (facts 4) would end a
    // failover after 50 people, so that whoever prepares for one has SES, and here nobody counts messages.
    fn describe(&self, region: &str) -> Value {
        let settings = &self.settings;
        let contacts =
            |contacts: &[Contact]| -> Vec<_> { contacts.iter().map(|c| c.attribute()).collect() };
        let aliases = settings.alias_attributes.iter().map(|alias| match alias {
            Alias::Email => EMAIL,
            Alias::PhoneNumber => PHONE,
            Alias::PreferredUsername => "preferred_username",
        });
        let recovery = settings.recovery.iter().enumerate().map(|(i, way)| {
            let name = match way {
                Recovery::VerifiedEmail => "verified_email",
                Recovery::VerifiedPhoneNumber => "verified_phone_number",
                Recovery::AdminOnly => "admin_only",
            };
            json!({"Priority": i + 1, "Name": name})
        });
        let mut pool = json!({
            "Id": self.id,
            "Arn": self.arn,
            "Name": settings.name,
            "Policies": {"PasswordPolicy": settings.password_policy.describe()},
            "DeletionProtection": "INACTIVE",
            "LambdaConfig": {},
            "CreationDate": seconds(self.created),
            "LastModifiedDate": seconds(self.created),
            "SchemaAttributes": self.schema.describe(),
            "AutoVerifiedAttributes": contacts(&settings.auto_verified),
            "VerificationMessageTemplate": {"DefaultEmailOption": "CONFIRM_WITH_CODE"},
            "MfaConfiguration": match settings.mfa { Mfa::Off => "OFF", Mfa::Optional => "OPTIONAL", Mfa::On => "ON" },
            "EstimatedNumberOfUsers": self.users.len(),
            "EmailConfiguration": {
                "EmailSendingAccount": "DEVELOPER",
                "SourceArn": format!("arn:aws:ses:{region}:{ACCOUNT_ID}:identity/example.jp"),
            },
            "UserPoolTags": {},
            "AdminCreateUserConfig": {"AllowAdminCreateUserOnly": settings.admin_create_only},
            "UsernameConfiguration": {"CaseSensitive": settings.case_sensitive},
            "UserPoolTier": "ESSENTIALS",
        });
        if let Some(function) = &self.post_confirmation {
            let arn = format!("arn:aws:lambda:{region}:{ACCOUNT_ID}:function:{function}");
            pool["LambdaConfig"] = json!({"PostConfirmation": arn});
        }
        if !settings.username_attributes.is_empty() {
            pool["UsernameAttributes"] = contacts(&settings.username_attributes).into();
        }
        if !settings.alias_attributes.is_empty() {
            pool["AliasAttributes"] = aliases.collect();
        }
        if !settings.recovery.is_empty() {
            pool["AccountRecoverySetting"] =
                json!({"RecoveryMechanisms": recovery.collect::<Vec<_>>()});
        }
        pool
    }

    fn describe_client(&self, id: &str, client: &ClientSettings) -> Value {
        let mut flows = vec!["ALLOW_REFRESH_TOKEN_AUTH"];
        if client.user_password_auth {
            flows.push("ALLOW_USER_PASSWORD_AUTH");
        }
        let mut described = json!({
            "UserPoolId": self.id,
            "ClientName": client.name,
            "ClientId": id,
            "CreationDate": seconds(self.created),
            "LastModifiedDate": seconds(self.created),
            "RefreshTokenValidity": 30,
            "TokenValidityUnits": {},
            "ExplicitAuthFlows": flows,
            "AllowedOAuthFlowsUserPoolClient": false,
            "PreventUserExistenceErrors": if client.prevent_user_existence_errors { "ENABLED" } else { "LEGACY" },
            "EnableTokenRevocation": true,
            "EnablePropagateAdditionalUserContextData": false,
            "AuthSessionValidity": 3,
        });
        if let Some(attributes) = &client.write_attributes {
            described["WriteAttributes"] = attributes.clone().into();
        }
        described
    }
}

/// Refuses members of a structure that would be silently without effect here.
fn only(members: &Map<String, Value>, modelled: &[&str], path: &str) -> Result<(), ApiError> {
    match members
        .keys()
        .find(|member| !modelled.contains(&member.as_str()))
    {
        Some(member) => Err(ApiError::not_modelled(&format!("{path}{member}"))),
        None => Ok(()),
    }
}

impl Inner {
    /// Makes a pool and, unless it is to have none, its first client.
    pub(super) fn add_pool(&self, settings: PoolSettings, with_client: bool) -> Pool {
        let state = PoolState::new(&self.region, settings, self.clock.now());
        let mut pool = Pool {
            id: state.id.clone(),
            client_id: String::new(),
            name: state.settings.name.clone(),
        };
        let (client_id, client) = (
            state.settings.client_id.clone(),
            state.settings.client.clone(),
        );
        let mut pools = self.pools.write().expect("no panic while it was held");
        pools.insert(pool.id.clone(), Arc::new(Mutex::new(state)));
        drop(pools);
        if with_client {
            pool.client_id = self.add_client(&pool.id, client_id, client);
        }
        pool
    }

    fn add_client(&self, pool_id: &str, id: Option<String>, client: ClientSettings) -> String {
        let id = id.unwrap_or_else(|| random_text(26, b"abcdefghijklmnopqrstuvwxyz0123456789"));
        let pool = self.pool(pool_id).expect("the pool was just made or found");
        lock(&pool).clients.insert(id.clone(), client);
        let mut clients = self.clients.write().expect("no panic while it was held");
        clients.insert(id.clone(), pool_id.to_owned());
        id
    }

    pub(super) fn describe_user_pool(&self, mut p: Params<'_>) -> Answer {
        let id = p.required("UserPoolId", &POOL_ID);
        p.check()?;
        let pool = self.pool(id)?;
        Ok(json!({"UserPool": lock(&pool).describe(&self.region)}))
    }

    pub(super) fn list_user_pools(&self, mut p: Params<'_>) -> Answer {
        let max = p.required_number("MaxResults", 1, 60) as usize;
        let token = p.optional("NextToken", &PAGE_TOKEN);
        p.check()?;
        let pools = self.pools.read().expect("no panic while it was held");
        let mut ids: Vec<_> = pools
            .keys()
            .filter(|id| token.is_none_or(|token| id.as_str() > token))
            .collect();
        ids.sort_unstable();
        let page = ids.iter().take(max).map(|&id| {
            let pool = lock(&pools[id]).describe(&self.region);
            let kept = [
                "Id",
                "Name",
                "LambdaConfig",
                "LastModifiedDate",
                "CreationDate",
            ];
            Value::from_iter(kept.map(|member| (member, pool[member].clone())))
        });
        let mut answer = json!({"UserPools": page.collect::<Vec<_>>()});
        if ids.len() > max {
            answer["NextToken"] = ids[max - 1].as_str().into();
        }
        Ok(answer)
    }

    pub(super) fn describe_user_pool_client(&self, mut p: Params<'_>) -> Answer {
        let pool_id = p.required("UserPoolId", &POOL_ID);
        let id = p.required("ClientId", &CLIENT_ID);
        p.check()?;
        let pool = self.pool(pool_id)?;
        let pool = lock(&pool);
        let client = pool.clients.get(id);
        let client = client
            .ok_or_else(|| ApiError::not_found(format!("User pool client {id} does not exist.")))?;
        Ok(json!({"UserPoolClient": pool.describe_client(id, client)}))
    }

    pub(super) fn get_csv_header(&self, mut p: Params<'_>) -> Answer {
        let id = p.required("UserPoolId", &POOL_ID);
        p.check()?;
        let pool = self.pool(id)?;
        Ok(json!({"UserPoolId": id, "CSVHeader": lock(&pool).schema.csv_header()}))
    }

    pub(super) fn create_user_pool(&self, mut p: Params<'_>) -> Answer {
        let name = p.required("PoolName", &NAME).to_owned();
        let mfa = p.word("MfaConfiguration", &["OFF", "ON", "OPTIONAL"]);
        let auto_verified = p.texts("AutoVerifiedAttributes");
        let aliases = p.texts("AliasAttributes");
        let usernames = p.texts("UsernameAttributes");
        let policies = p.structure("Policies");
        let schema = p.list("Schema");
        let username = p.structure("UsernameConfiguration");
        let admin_create = p.structure("AdminCreateUserConfig");
        let recovery = p.structure("AccountRecoverySetting");
        let triggers = p.structure("LambdaConfig");
        p.check()?;
        if mfa.is_some_and(|mfa| mfa != "OFF") {
            // facts 7: an authenticator app alone cannot be asked for here, only by SetUserPoolMfaConfig [I].
            return Err(ApiError::invalid_parameter(
                "SMS configuration and Auto verification for phone_number are required when MFA is required/optional",
            ));
        }
        if aliases.is_some() && usernames.is_some() {
            return Err(ApiError::invalid_parameter(
                "Only one of the aliasAttributes or usernameAttributes can be set in a user pool.",
            ));
        }
        let mut settings = PoolSettings {
            name,
            auto_verified: contacts(auto_verified)?,
            username_attributes: contacts(usernames)?,
            ..PoolSettings::default()
        };
        for alias in aliases.unwrap_or_default() {
            settings.alias_attributes.push(match alias {
                "preferred_username" => Alias::PreferredUsername,
                other => match contact(other)? {
                    Contact::Email => Alias::Email,
                    Contact::PhoneNumber => Alias::PhoneNumber,
                },
            });
        }
        if let Some(policies) = policies {
            read_policy(policies, &mut settings.password_policy)?;
        }
        read_schema(schema, &mut settings)?;
        if let Some(config) = username {
            only(config, &["CaseSensitive"], "UsernameConfiguration.")?;
            settings.case_sensitive = config
                .get("CaseSensitive")
                .and_then(Value::as_bool)
                .unwrap_or(true);
        }
        if let Some(config) = admin_create {
            only(
                config,
                &["AllowAdminCreateUserOnly"],
                "AdminCreateUserConfig.",
            )?;
            settings.admin_create_only =
                config.get("AllowAdminCreateUserOnly") == Some(&true.into());
        }
        if let Some(config) = recovery {
            only(config, &["RecoveryMechanisms"], "AccountRecoverySetting.")?;
            let mut ways = config
                .get("RecoveryMechanisms")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default();
            ways.sort_by_key(|way| way["Priority"].as_u64());
            for way in ways {
                settings.recovery.push(match way["Name"].as_str() {
                    Some("verified_email") => Recovery::VerifiedEmail,
                    Some("verified_phone_number") => Recovery::VerifiedPhoneNumber,
                    Some("admin_only") => Recovery::AdminOnly,
                    _ => return Err(ApiError::not_modelled("this recovery mechanism")),
                });
            }
        }
        let mut function = None;
        if let Some(config) = triggers {
            only(config, &["PostConfirmation"], "LambdaConfig.")?;
            function = config
                .get("PostConfirmation")
                .and_then(Value::as_str)
                .map(function_name);
        }
        let made = self.add_pool(settings, false);
        let pool = self.pool(&made.id)?;
        let mut pool = lock(&pool);
        pool.post_confirmation = function;
        Ok(json!({"UserPool": pool.describe(&self.region)}))
    }

    pub(super) fn create_user_pool_client(&self, mut p: Params<'_>) -> Answer {
        let pool_id = p.required("UserPoolId", &POOL_ID);
        let name = p.required("ClientName", &NAME).to_owned();
        let existence = p.word("PreventUserExistenceErrors", &["LEGACY", "ENABLED"]);
        let flows = p.texts("ExplicitAuthFlows").unwrap_or_default();
        let write = p.texts("WriteAttributes");
        p.check()?;
        let modelled = ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"];
        if let Some(flow) = flows.iter().find(|flow| !modelled.contains(flow)) {
            return Err(ApiError::not_modelled(flow));
        }
        let pool = self.pool(pool_id)?;
        let client = ClientSettings {
            name,
            // DG:cognito-user-pool-managing-errors: LEGACY when not given [D].
            prevent_user_existence_errors: existence == Some("ENABLED"),
            write_attributes: write.map(|names| names.into_iter().map(str::to_owned).collect()),
            user_password_auth: flows.contains(&"ALLOW_USER_PASSWORD_AUTH"),
        };
        let id = self.add_client(pool_id, None, client.clone());
        Ok(json!({"UserPoolClient": lock(&pool).describe_client(&id, &client)}))
    }
}

/// The function's name in its ARN.
fn function_name(arn: &str) -> String {
    arn.split(':').nth(6).unwrap_or(arn).to_owned()
}

fn contact(name: &str) -> Result<Contact, ApiError> {
    match name {
        EMAIL => Ok(Contact::Email),
        PHONE => Ok(Contact::PhoneNumber),
        other => Err(ApiError::not_modelled(other)),
    }
}

fn contacts(names: Option<Vec<&str>>) -> Result<Vec<Contact>, ApiError> {
    names.unwrap_or_default().into_iter().map(contact).collect()
}

fn read_policy(policies: &Map<String, Value>, policy: &mut PasswordPolicy) -> Result<(), ApiError> {
    let mut p = Params::new(policies);
    let given = p.structure("PasswordPolicy");
    p.check()?;
    let Some(given) = given else {
        return Ok(());
    };
    let modelled = [
        "MinimumLength",
        "RequireUppercase",
        "RequireLowercase",
        "RequireNumbers",
        "RequireSymbols",
        "TemporaryPasswordValidityDays",
    ];
    only(given, &modelled, "PasswordPolicy.")?;
    let flag = |name| given.get(name).and_then(Value::as_bool).unwrap_or(false);
    let number = |name| {
        given
            .get(name)
            .and_then(Value::as_u64)
            .filter(|&number| number > 0)
    };
    let length = number("MinimumLength").unwrap_or(8);
    if !(6..=99).contains(&length) {
        return Err(ApiError::invalid_parameter(format!(
            "1 validation error detected: Value '{length}' at 'policies.passwordPolicy.minimumLength' failed to satisfy \
             constraint: Member must have value between 6 and 99"
        )));
    }
    *policy = PasswordPolicy {
        minimum_length: length as usize,
        uppercase: flag("RequireUppercase"),
        lowercase: flag("RequireLowercase"),
        numbers: flag("RequireNumbers"),
        symbols: flag("RequireSymbols"),
        // facts 3: 0 means the default, 7 [D].
        temporary_days: number("TemporaryPasswordValidityDays").unwrap_or(7),
    };
    Ok(())
}

fn read_schema(attributes: &[Value], settings: &mut PoolSettings) -> Result<(), ApiError> {
    let usual = Schema::new(&PoolSettings::default());
    for attribute in attributes {
        let name = attribute["Name"].as_str().unwrap_or_default().to_owned();
        let kind = attribute["AttributeDataType"].as_str();
        let bounds = |of: &str, name: &str| {
            attribute[of][name]
                .as_str()
                .and_then(|number| number.parse::<i64>().ok())
        };
        let required = attribute["Required"] == true;
        if usual.id(&name).is_some() {
            // A standard attribute: only whether it is required can be said here.
            if required {
                settings.required_attributes.push(name);
            }
            continue;
        }
        if required {
            return Err(ApiError::invalid_parameter(
                "Required custom attributes are not supported currently.",
            ));
        }
        let kind = match kind {
            Some("Number") => CustomKind::Number {
                min: bounds("NumberAttributeConstraints", "MinValue"),
                max: bounds("NumberAttributeConstraints", "MaxValue"),
            },
            Some("String") | None => CustomKind::Text {
                min: bounds("StringAttributeConstraints", "MinLength").unwrap_or(0) as usize,
                max: bounds("StringAttributeConstraints", "MaxLength").unwrap_or(2048) as usize,
            },
            Some(other) => return Err(ApiError::not_modelled(other)),
        };
        if attribute["DeveloperOnlyAttribute"] == true {
            return Err(ApiError::not_modelled("DeveloperOnlyAttribute"));
        }
        settings.custom_attributes.push(CustomAttribute {
            name,
            kind,
            // Mutable unless said otherwise [R].
            mutable: attribute["Mutable"] != false,
        });
    }
    Ok(())
}
