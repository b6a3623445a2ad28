//! What the application must be switched to, as the operator reads it.

use std::fmt;

use shared::aws::{AwsError, RetryPolicy, Sdk};
use shared::pool_id::PoolId;

/// Everything in an application that names a pool.
pub struct Switch {
    pool: PoolId,
    clients: Vec<(String, String)>,
    domains: Vec<String>,
}

impl Switch {
    /// Reads what names a pool.
    ///
    /// # Errors
    ///
    /// AWS rejected a call or did not answer.
    pub async fn to(sdk: &Sdk, pool: &PoolId) -> Result<Self, AwsError> {
        let client = sdk.cognito(pool, RetryPolicy::WORKER);
        let described = client.describe_user_pool().user_pool_id(pool.as_str());
        let described = described
            .send()
            .await
            .map_err(|error| AwsError::from_sdk("DescribeUserPool", pool, &error))?;
        let incomplete =
            |operation, missing| AwsError::incomplete_response(operation, pool, missing);
        let described = described
            .user_pool
            .ok_or_else(|| incomplete("DescribeUserPool", "a pool"))?;
        let prefix = described
            .domain
            .map(|prefix| format!("{prefix}.auth.{}.amazoncognito.com", pool.region()));
        let mut clients = Vec::new();
        let mut token = None;
        loop {
            let page = client
                .list_user_pool_clients()
                .user_pool_id(pool.as_str())
                .max_results(60)
                .set_next_token(token)
                .send()
                .await
                .map_err(|error| AwsError::from_sdk("ListUserPoolClients", pool, &error))?;
            let listed = page.user_pool_clients;
            for listed in listed.ok_or_else(|| incomplete("ListUserPoolClients", "app clients"))? {
                let id = listed
                    .client_id
                    .ok_or_else(|| incomplete("ListUserPoolClients", "the id of an app client"))?;
                clients.push((id, listed.client_name.unwrap_or_default()));
            }
            token = page.next_token;
            if token.is_none() {
                break;
            }
        }
        Ok(Self {
            pool: pool.clone(),
            clients,
            domains: described.custom_domain.into_iter().chain(prefix).collect(),
        })
    }
}

impl fmt::Display for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            pool,
            clients,
            domains,
        } = self;
        let region = pool.region();
        let issuer = format!("https://cognito-idp.{region}.amazonaws.com/{pool}");
        writeln!(f, "Switch the application together, and deploy:")?;
        writeln!(f, "  region         {region}")?;
        writeln!(f, "  user pool      {pool}")?;
        for (id, name) in clients {
            writeln!(
                f,
                "  app client     {id} ({name}), with its secret if it has one"
            )?;
        }
        writeln!(f, "  issuer         {issuer}")?;
        writeln!(f, "  public keys    {issuer}/.well-known/jwks.json")?;
        for domain in domains {
            writeln!(f, "  sign-in pages  https://{domain}")?;
        }
        write!(
            f,
            "Tokens of the other pool are not valid any more for what verifies them by the new issuer."
        )
    }
}
