//! What the rules need to know about a pool, and the calls that read it.

use std::collections::BTreeMap;

use aws_sdk_cognitoidentityprovider::types::{
    SchemaAttributeType, UserPoolClientType, UserPoolType, VerifiedAttributeType,
};
use shared::aws::{AwsError, RetryPolicy, Sdk};
use shared::cognito::clients::read_clients;
use shared::cognito::pool::{Pool, PoolError};
use shared::pool_id::PoolId;

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
}

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
        Ok(Self {
            id: pool.clone(),
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
