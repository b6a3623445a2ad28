//! The operations that create, describe and list pools and app clients.

use std::sync::{Arc, Mutex};

use serde_json::{Map, Value, json};

use super::configuration;
use super::error::{Answer, ApiError};
use super::model;
use super::params::{CLIENT_ID, NAME, PAGE_TOKEN, POOL_ID, Params};
use super::pool::{Pool, PoolState, random_text};
use super::schema::{EMAIL, PHONE, Schema};
use super::settings::{
    Alias, AuthFlow, ClientSecret, ClientSettings, CustomAttribute, CustomKind, PoolSettings,
};
use super::token_lifetimes::TokenLifetimes;
use super::{Inner, lock, seconds};

impl PoolState {
    fn describe(&self) -> Value {
        let settings = &self.settings;
        let aliases = settings.alias_attributes.iter().map(|alias| match alias {
            Alias::Email => EMAIL,
            Alias::PhoneNumber => PHONE,
            Alias::PreferredUsername => "preferred_username",
        });
        let mut pool = self.configuration.clone();
        let fixed = json!({
            "Id": self.id,
            "Arn": self.arn,
            "Name": settings.name,
            "CreationDate": seconds(self.created),
            "LastModifiedDate": seconds(self.modified),
            "SchemaAttributes": self.schema.describe(),
            "EstimatedNumberOfUsers": self.users.len(),
            "UsernameConfiguration": {"CaseSensitive": settings.case_sensitive},
        });
        for (member, value) in fixed.as_object().into_iter().flatten() {
            pool[member] = value.clone();
        }
        for (member, value) in self.federation.describe() {
            pool[member] = value;
        }
        // The legacy setting is returned, but can no longer be set: https://github.com/pulumi/pulumi-aws-native/issues/1256 [I].
        pool["AdminCreateUserConfig"]["UnusedAccountValidityDays"] =
            settings.password_policy.temporary_days.into();
        if !settings.username_attributes.is_empty() {
            let names = settings.username_attributes.iter();
            pool["UsernameAttributes"] = names.map(|contact| contact.attribute()).collect();
        }
        if !settings.alias_attributes.is_empty() {
            pool["AliasAttributes"] = aliases.collect();
        }
        pool
    }

    fn describe_client(&self, id: &str, client: &ClientSettings) -> Value {
        let flows: Vec<_> = client.flows.iter().map(|flow| flow.as_str()).collect();
        let mut described = json!({
            "UserPoolId": self.id,
            "ClientName": client.name,
            "ClientId": id,
            "CreationDate": seconds(self.created),
            "LastModifiedDate": seconds(self.created),
            "ExplicitAuthFlows": flows,
            "AllowedOAuthFlowsUserPoolClient": false,
            "PreventUserExistenceErrors": if client.prevent_user_existence_errors { "ENABLED" } else { "LEGACY" },
            "EnableTokenRevocation": true,
            "EnablePropagateAdditionalUserContextData": false,
            "AuthSessionValidity": 3,
        });
        for (member, value) in client.lifetimes.describe() {
            described[member] = value;
        }
        for (member, attributes) in [
            ("WriteAttributes", &client.write_attributes),
            ("ReadAttributes", &client.read_attributes),
        ] {
            if let Some(attributes) = attributes {
                described[member] = attributes.clone().into();
            }
        }
        if let Some(secret) = &client.secret {
            described["ClientSecret"] = secret.reveal().into();
        }
        if let Some(grace) = client.rotation {
            described["RefreshTokenRotation"] =
                json!({"Feature": "ENABLED", "RetryGracePeriodSeconds": grace});
        }
        described
    }
}

impl Inner {
    /// Creates a pool and, if it is to have one, its first client.
    pub(super) fn add_pool(&self, settings: PoolSettings, with_client: bool) -> Pool {
        let mut pools = self
            .pools
            .write()
            .expect("no thread panicked while it held the lock");
        let state = PoolState::new(&self.region, pools.len(), settings, self.clock.now());
        let mut pool = Pool {
            id: state.id.clone(),
            client_id: String::new(),
            name: state.settings.name.clone(),
        };
        let (client_id, client) = (
            state.settings.client_id.clone(),
            state.settings.client.clone(),
        );
        pools.insert(pool.id.clone(), Arc::new(Mutex::new(state)));
        drop(pools);
        if with_client {
            pool.client_id = self.add_client(&pool.id, client_id, client);
        }
        pool
    }

    fn add_client(&self, pool_id: &str, id: Option<String>, client: ClientSettings) -> String {
        let id = id.unwrap_or_else(|| random_text(26, b"abcdefghijklmnopqrstuvwxyz0123456789"));
        let pool = self.pool(pool_id).expect("the pool exists by now");
        lock(&pool).clients.insert(id.clone(), client);
        let mut clients = self
            .clients
            .write()
            .expect("no thread panicked while it held the lock");
        clients.insert(id.clone(), pool_id.to_owned());
        id
    }

    pub(super) fn describe_user_pool(&self, mut p: Params<'_>) -> Answer {
        let id = p.required("UserPoolId", &POOL_ID);
        p.check()?;
        let pool = self.pool(id)?;
        let mut described = lock(&pool).describe();
        if let Some(users) = self.knobs.estimated_users() {
            described["EstimatedNumberOfUsers"] = users.into();
        }
        Ok(json!({"UserPool": described}))
    }

    pub(super) fn list_user_pools(&self, mut p: Params<'_>) -> Answer {
        let max = p.required_number("MaxResults", 1, 60) as usize;
        let token = p.optional("NextToken", &PAGE_TOKEN);
        p.check()?;
        let pools = self
            .pools
            .read()
            .expect("no thread panicked while it held the lock");
        let mut ids: Vec<_> = pools
            .keys()
            .filter(|id| token.is_none_or(|token| id.as_str() > token))
            .collect();
        ids.sort_unstable();
        let page = ids.iter().take(max).map(|&id| {
            let pool = lock(&pools[id]).describe();
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

    pub(super) fn create_user_pool(&self, request: &Map<String, Value>) -> Answer {
        model::check("CreateUserPoolRequest", request)?;
        let mut given = Value::Object(request.clone());
        let mut take = |member: &str| given.as_object_mut().and_then(|given| given.remove(member));
        let text = |value: Option<Value>| value.as_ref().and_then(Value::as_str).map(str::to_owned);
        let name = text(take("PoolName")).unwrap_or_default();
        let [aliases, usernames, schema] =
            ["AliasAttributes", "UsernameAttributes", "Schema"].map(&mut take);
        let username = take("UsernameConfiguration").unwrap_or_default();
        if given["MfaConfiguration"]
            .as_str()
            .is_some_and(|mfa| mfa != "OFF")
        {
            // facts 7: MFA by authenticator app alone cannot be set here, only with SetUserPoolMfaConfig [I].
            return Err(ApiError::invalid_parameter(
                "SMS configuration and Auto verification for phone_number are required when MFA is required/optional",
            ));
        }
        if aliases.is_some() && usernames.is_some() {
            return Err(ApiError::invalid_parameter(
                "Only one of the aliasAttributes or usernameAttributes can be set in a user pool.",
            ));
        }
        let configuration = configuration::whole(given);
        configuration::check(&configuration, &self.region)?;
        let alias = |alias: &Value| match alias.as_str() {
            Some(PHONE) => Alias::PhoneNumber,
            Some("preferred_username") => Alias::PreferredUsername,
            _ => Alias::Email,
        };
        let aliases = aliases.unwrap_or_default();
        let mut settings = PoolSettings {
            name,
            username_attributes: configuration::contacts(&usernames.unwrap_or_default()),
            alias_attributes: aliases
                .as_array()
                .into_iter()
                .flatten()
                .map(alias)
                .collect(),
            case_sensitive: username["CaseSensitive"] != false,
            ..PoolSettings::default()
        };
        let schema = schema.unwrap_or_default();
        read_schema(schema.as_array().into_iter().flatten(), &mut settings)?;
        let made = self.add_pool(settings, false);
        let pool = self.pool(&made.id)?;
        let mut pool = lock(&pool);
        pool.configure(configuration);
        Ok(json!({"UserPool": pool.describe()}))
    }

    pub(super) fn add_custom_attributes(&self, request: &Map<String, Value>) -> Answer {
        model::check("AddCustomAttributesRequest", request)?;
        let pool = self.pool(request["UserPoolId"].as_str().unwrap_or_default())?;
        let mut pool = lock(&pool);
        pool.must_not_import()?;
        let given = request["CustomAttributes"].as_array();
        let added = given.into_iter().flatten().map(custom_attribute);
        let added = added.collect::<Result<Vec<_>, _>>()?;
        pool.schema.add(&added)?;
        pool.modified = self.clock.now();
        Ok(json!({}))
    }

    pub(super) fn list_user_pool_clients(&self, mut p: Params<'_>) -> Answer {
        let pool_id = p.required("UserPoolId", &POOL_ID);
        let max = p.number("MaxResults", 1, 60).unwrap_or(60) as usize;
        let token = p.optional("NextToken", &PAGE_TOKEN);
        p.check()?;
        let pool = self.pool(pool_id)?;
        let pool = lock(&pool);
        let after = |id: &str| token.is_none_or(|token| id > token);
        let mut clients: Vec<_> = pool.clients.iter().filter(|(id, _)| after(id)).collect();
        clients.sort_unstable_by_key(|(id, _)| *id);
        let page = clients.iter().take(max).map(|(id, client)| {
            json!({"ClientId": id, "UserPoolId": pool_id, "ClientName": client.name})
        });
        let mut answer = json!({"UserPoolClients": page.collect::<Vec<_>>()});
        if clients.len() > max {
            answer["NextToken"] = clients[max - 1].0.as_str().into();
        }
        Ok(answer)
    }

    pub(super) fn create_user_pool_client(&self, mut p: Params<'_>) -> Answer {
        let pool_id = p.required("UserPoolId", &POOL_ID);
        let name = p.required("ClientName", &NAME).to_owned();
        let existence = p.word("PreventUserExistenceErrors", &["LEGACY", "ENABLED"]);
        let flows = p.texts("ExplicitAuthFlows");
        let read = p.texts("ReadAttributes");
        let write = p.texts("WriteAttributes");
        let secret = p.flag("GenerateSecret");
        let rotation = p.structure("RefreshTokenRotation");
        let lifetimes = TokenLifetimes::read(&mut p)?;
        p.check()?;
        let rotation = match rotation {
            None => None,
            Some(rotation) => {
                let mut p = Params::new(rotation);
                let feature = p.required_word("Feature", &["ENABLED", "DISABLED"]);
                let grace = p.number("RetryGracePeriodSeconds", 0, 60);
                p.check()?;
                (feature == "ENABLED").then(|| grace.unwrap_or_default())
            }
        };
        let pool = self.pool(pool_id)?;
        let names = |names: Option<Vec<&str>>| {
            names.map(|names| names.into_iter().map(str::to_owned).collect())
        };
        let client = ClientSettings {
            name,
            // DG:cognito-user-pool-managing-errors: the default is LEGACY [D].
            prevent_user_existence_errors: existence == Some("ENABLED"),
            write_attributes: names(write),
            read_attributes: names(read),
            flows: read_flows(flows)?,
            secret: secret.then(ClientSecret::random),
            rotation,
            lifetimes,
        };
        client.check()?;
        let id = self.add_client(pool_id, None, client.clone());
        Ok(json!({"UserPoolClient": lock(&pool).describe_client(&id, &client)}))
    }
}

/// The flows of a new client.
// botocore CreateUserPoolClient: the defaults are ALLOW_REFRESH_TOKEN_AUTH, ALLOW_USER_SRP_AUTH and ALLOW_CUSTOM_AUTH [D]; the last
// one is not modelled.
fn read_flows(given: Option<Vec<&str>>) -> Result<Vec<AuthFlow>, ApiError> {
    let Some(given) = given else {
        return Ok(vec![AuthFlow::RefreshToken, AuthFlow::UserSrp]);
    };
    let known = |name: &str| AuthFlow::ALL.into_iter().find(|flow| flow.as_str() == name);
    let flows = given.into_iter();
    flows
        .map(|name| known(name).ok_or_else(|| ApiError::not_modelled(name)))
        .collect()
}

fn read_schema<'a>(
    attributes: impl Iterator<Item = &'a Value>,
    settings: &mut PoolSettings,
) -> Result<(), ApiError> {
    let usual = Schema::new(&PoolSettings::default());
    for attribute in attributes {
        let name = attribute["Name"].as_str().unwrap_or_default();
        if usual.id(name).is_none() {
            settings
                .custom_attributes
                .push(custom_attribute(attribute)?);
        } else if attribute["Required"] == true {
            // For a standard attribute, only `Required` can be set here.
            settings.required_attributes.push(name.to_owned());
        }
    }
    Ok(())
}

fn custom_attribute(attribute: &Value) -> Result<CustomAttribute, ApiError> {
    let bounds = |of: &str, name: &str| {
        attribute[of][name]
            .as_str()
            .and_then(|number| number.parse::<i64>().ok())
    };
    if attribute["Required"] == true {
        return Err(ApiError::invalid_parameter(
            "Required custom attributes are not supported currently.",
        ));
    }
    let kind = match attribute["AttributeDataType"].as_str() {
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
    Ok(CustomAttribute {
        name: attribute["Name"].as_str().unwrap_or_default().to_owned(),
        kind,
        // The default is mutable [R].
        mutable: attribute["Mutable"] != false,
    })
}
