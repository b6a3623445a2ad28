//! What the rules need to know about a pool, and the calls that read it.

use std::collections::BTreeMap;

use aws_sdk_cognitoidentityprovider::Client;
use aws_sdk_cognitoidentityprovider::types::{
    SchemaAttributeType, UserPoolClientType, UserPoolType, VerifiedAttributeType,
};
use shared::aws::{AwsError, RetryPolicy, Sdk};
use shared::pool_id::PoolId;

/// The largest page that ListUserPoolClients returns (botocore 1.44.5: QueryLimit).
const CLIENTS_PER_PAGE: i32 = 60;

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
    pub async fn read(sdk: &Sdk, pool: &PoolId) -> Result<Self, AwsError> {
        let client = sdk.cognito(pool, RetryPolicy::WORKER);
        let id = pool.as_str();
        let described = client.describe_user_pool().user_pool_id(id).send().await;
        let described = described.map_err(|e| AwsError::from_sdk("DescribeUserPool", pool, &e))?;
        let description = described
            .user_pool
            .ok_or_else(|| AwsError::incomplete_response("DescribeUserPool", pool, "a pool"))?;
        let mfa = client.get_user_pool_mfa_config().user_pool_id(id).send();
        let mfa = mfa.await;
        let mfa = mfa.map_err(|e| AwsError::from_sdk("GetUserPoolMfaConfig", pool, &e))?;
        let header = client.get_csv_header().user_pool_id(id).send().await;
        let header = header.map_err(|e| AwsError::from_sdk("GetCSVHeader", pool, &e))?;
        Ok(Self {
            id: pool.clone(),
            description,
            authenticator: mfa
                .software_token_mfa_configuration
                .is_some_and(|authenticator| authenticator.enabled),
            clients: read_clients(&client, pool).await?,
            header: header
                .csv_header
                .ok_or_else(|| AwsError::incomplete_response("GetCSVHeader", pool, "a header"))?,
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

async fn read_clients(client: &Client, pool: &PoolId) -> Result<Vec<UserPoolClientType>, AwsError> {
    let mut clients = Vec::new();
    let mut token = None;
    loop {
        let page = client
            .list_user_pool_clients()
            .user_pool_id(pool.as_str())
            .max_results(CLIENTS_PER_PAGE)
            .set_next_token(token)
            .send()
            .await
            .map_err(|e| AwsError::from_sdk("ListUserPoolClients", pool, &e))?;
        for listed in page.user_pool_clients.unwrap_or_default() {
            let described = client
                .describe_user_pool_client()
                .user_pool_id(pool.as_str())
                .set_client_id(listed.client_id)
                .send()
                .await
                .map_err(|e| AwsError::from_sdk("DescribeUserPoolClient", pool, &e))?;
            clients.extend(described.user_pool_client);
        }
        token = page.next_token;
        if token.is_none() {
            return Ok(clients);
        }
    }
}
