//! What the rules need to know about a pool, and the calls that read it.

use std::collections::BTreeMap;

use aws_sdk_cognitoidentityprovider::Client;
use aws_sdk_cognitoidentityprovider::types::{
    DomainDescriptionType, IdentityProviderType, SchemaAttributeType, UserPoolClientType,
    UserPoolType, VerifiedAttributeType,
};
use shared::aws::{AwsError, RetryPolicy, Sdk};
use shared::cognito::clients::read_clients;
use shared::cognito::groups::{self, Group};
use shared::cognito::pool::{Pool, PoolError};
use shared::pool_id::PoolId;

use crate::fence::{self, Gate};

/// The settings of a pool.
#[derive(Clone, Debug)]
pub struct PoolFacts {
    /// The pool's id.
    pub id: PoolId,
    /// Answer of DescribeUserPool.
    pub description: UserPoolType,
    /// Whether users can use an authenticator app, from GetUserPoolMfaConfig.
    pub authenticator: bool,
    /// The pool's app clients.
    pub clients: Vec<UserPoolClientType>,
    /// The columns of an import file, from GetCSVHeader.
    pub header: Vec<String>,
    /// The addresses of its hosted pages: its prefix domain, its custom domain, both or neither.
    pub domains: Vec<DomainDescriptionType>,
    /// The providers of other identities, such as Google or a company's SAML provider.
    pub identity_providers: Vec<IdentityProviderType>,
    /// Its groups.
    pub groups: Vec<Group>,
    /// The web ACL that protects it.
    pub gate: Gate,
}

/// The largest page of ListIdentityProviders (botocore 1.44.5: ListProvidersLimitType).
const PROVIDERS_PER_PAGE: i32 = 60;

impl PoolFacts {
    /// Reads the settings of a pool.
    ///
    /// # Errors
    ///
    /// AWS rejected a call or did not answer, or an answer is incomplete.
    pub async fn read(sdk: &Sdk, pool: &PoolId) -> Result<Self, PoolError> {
        let client = sdk.cognito(pool, RetryPolicy::WORKER);
        let called = Pool::unlimited(client.clone(), pool.clone());
        let description = called.describe().await?;
        let mfa = client.get_user_pool_mfa_config();
        let mfa = mfa.user_pool_id(pool.as_str()).send().await;
        let mfa = mfa.map_err(|e| AwsError::from_sdk("GetUserPoolMfaConfig", pool, &e))?;
        let arn = description.arn();
        let arn =
            arn.ok_or_else(|| AwsError::incomplete_response("DescribeUserPool", pool, "an ARN"))?;
        let waf = fence::waf_client(sdk, pool, RetryPolicy::WORKER);
        Ok(Self {
            id: pool.clone(),
            domains: read_domains(&client, pool, &description).await?,
            identity_providers: read_identity_providers(&client, pool).await?,
            groups: groups::list(&called).await?,
            gate: Gate::read(&waf, arn).await?,
            description,
            authenticator: mfa
                .software_token_mfa_configuration
                .is_some_and(|authenticator| authenticator.enabled),
            header: called.csv_header().await?,
            clients: read_clients(&called).await?,
        })
    }

    /// The attributes of the pool's users, by name, without `sub`, which every pool assigns itself.
    pub fn attributes(&self) -> BTreeMap<&str, &SchemaAttributeType> {
        let all = self.description.schema_attributes().iter();
        let named = all.filter_map(|attribute| Some((attribute.name()?, attribute)));
        named.filter(|(name, _)| *name != "sub").collect()
    }

    /// Whether the pool verifies this attribute by sending a code to it.
    pub fn verifies(&self, attribute: &VerifiedAttributeType) -> bool {
        let verified = self.description.auto_verified_attributes();
        verified.contains(attribute)
    }
}

/// DescribeUserPoolDomain of each domain that the pool names.
async fn read_domains(
    client: &Client,
    pool: &PoolId,
    description: &UserPoolType,
) -> Result<Vec<DomainDescriptionType>, AwsError> {
    let mut domains = Vec::new();
    let names = [description.domain(), description.custom_domain()];
    for name in names.into_iter().flatten() {
        let described = client.describe_user_pool_domain().domain(name).send().await;
        let described =
            described.map_err(|e| AwsError::from_sdk("DescribeUserPoolDomain", pool, &e))?;
        domains.extend(described.domain_description);
    }
    Ok(domains)
}

/// ListIdentityProviders, and DescribeIdentityProvider of each. One that is deleted in between is left out.
async fn read_identity_providers(
    client: &Client,
    pool: &PoolId,
) -> Result<Vec<IdentityProviderType>, AwsError> {
    let mut providers = Vec::new();
    let mut token = None;
    loop {
        let page = client
            .list_identity_providers()
            .user_pool_id(pool.as_str())
            .max_results(PROVIDERS_PER_PAGE)
            .set_next_token(token)
            .send()
            .await
            .map_err(|e| AwsError::from_sdk("ListIdentityProviders", pool, &e))?;
        for listed in page.providers {
            let described = client
                .describe_identity_provider()
                .user_pool_id(pool.as_str())
                .set_provider_name(listed.provider_name)
                .send()
                .await
                .map_err(|e| AwsError::from_sdk("DescribeIdentityProvider", pool, &e));
            match described {
                Ok(described) => providers.extend(described.identity_provider),
                Err(error) if error.code() == "ResourceNotFoundException" => {}
                Err(error) => return Err(error),
            }
        }
        token = page.next_token;
        if token.is_none() {
            return Ok(providers);
        }
    }
}
