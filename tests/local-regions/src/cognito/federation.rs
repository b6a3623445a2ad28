//! The domains and identity providers of a pool. They are only described here: nobody can sign in through them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::error::{Answer, ApiError};
use super::params::{DOMAIN, PAGE_TOKEN, POOL_ID, PROVIDER_NAME, Params};
use super::{Cognito, Inner, lock};

/// The domains and identity providers of one pool.
#[derive(Default)]
pub(super) struct Federation {
    /// DomainDescriptionType by domain.
    domains: BTreeMap<String, Value>,
    /// IdentityProviderType by name.
    providers: BTreeMap<String, Value>,
}

impl Federation {
    /// The members `Domain` and `CustomDomain` of DescribeUserPool.
    // botocore UserPoolType: a custom domain is a host name of one's own, such as auth.example.com; a prefix has no dot [D].
    pub(super) fn describe(&self) -> Map<String, Value> {
        let named = self.domains.keys().map(|domain| {
            let member = if domain.contains('.') {
                "CustomDomain"
            } else {
                "Domain"
            };
            (member.to_owned(), domain.as_str().into())
        });
        named.collect()
    }
}

impl Cognito {
    /// Gives a pool a domain with these members of DomainDescriptionType. A domain with a dot is a custom domain.
    pub fn put_domain(&self, pool_id: &str, domain: &str, members: Value) {
        let mut described = json!({"Domain": domain, "UserPoolId": pool_id, "Status": "ACTIVE", "ManagedLoginVersion": 1});
        described
            .as_object_mut()
            .expect("an object")
            .extend(object(members));
        self.state(pool_id, |pool| {
            let domains = &mut pool.federation.domains;
            domains.insert(domain.to_owned(), described);
        });
    }

    /// Gives a pool an identity provider with these members of IdentityProviderType.
    pub fn put_identity_provider(&self, pool_id: &str, name: &str, members: Value) {
        let mut described = json!({"ProviderName": name, "UserPoolId": pool_id});
        described
            .as_object_mut()
            .expect("an object")
            .extend(object(members));
        self.state(pool_id, |pool| {
            let providers = &mut pool.federation.providers;
            providers.insert(name.to_owned(), described);
        });
    }
}

fn object(members: Value) -> Map<String, Value> {
    match members {
        Value::Object(members) => members,
        _ => panic!("the members are an object"),
    }
}

impl Inner {
    // A domain that nobody has is described as an empty one: https://github.com/hashicorp/terraform-provider-aws, the wait for a deleted
    // domain [R].
    pub(super) fn describe_user_pool_domain(&self, mut p: Params<'_>) -> Answer {
        let domain = p.required("Domain", &DOMAIN);
        p.check()?;
        let pools = self
            .pools
            .read()
            .expect("no thread panicked while it held the lock");
        let mut found = pools
            .values()
            .filter_map(|pool| lock(pool).federation.domains.get(domain).cloned());
        let described = found.next().unwrap_or_else(|| json!({}));
        Ok(json!({"DomainDescription": described}))
    }

    pub(super) fn list_identity_providers(&self, mut p: Params<'_>) -> Answer {
        let pool_id = p.required("UserPoolId", &POOL_ID);
        // botocore ListProvidersLimitType: 0 to 60 [D]; that 60 is the default is [Inf].
        let max = p.number("MaxResults", 0, 60).unwrap_or(60) as usize;
        let token = p.optional("NextToken", &PAGE_TOKEN);
        p.check()?;
        let pool = self.pool(pool_id)?;
        let pool = lock(&pool);
        let providers = pool.federation.providers.iter();
        let after: Vec<_> = providers
            .filter(|(name, _)| token.is_none_or(|token| name.as_str() > token))
            .collect();
        let page = after.iter().take(max);
        let summaries = page.map(|(name, provider)| {
            json!({"ProviderName": name, "ProviderType": provider["ProviderType"]})
        });
        let mut answer = json!({"Providers": summaries.collect::<Vec<_>>()});
        if after.len() > max && max > 0 {
            answer["NextToken"] = after[max - 1].0.as_str().into();
        }
        Ok(answer)
    }

    pub(super) fn describe_identity_provider(&self, mut p: Params<'_>) -> Answer {
        let pool_id = p.required("UserPoolId", &POOL_ID);
        let name = p.required("ProviderName", &PROVIDER_NAME);
        p.check()?;
        let pool = self.pool(pool_id)?;
        let provider = lock(&pool).federation.providers.get(name).cloned();
        // The text is [Inf].
        let provider = provider.ok_or_else(|| {
            ApiError::not_found(format!("Identity provider {name} does not exist."))
        })?;
        Ok(json!({"IdentityProvider": provider}))
    }
}
