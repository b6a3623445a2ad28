//! The app clients of a pool.

use aws_sdk_cognitoidentityprovider::types::UserPoolClientType;

use crate::aws::error::AwsError;
use crate::cognito::pool::{Pool, PoolError};

/// The largest page that ListUserPoolClients returns (botocore 1.44.5: QueryLimit).
const CLIENTS_PER_PAGE: i32 = 60;

/// ListUserPoolClients, and DescribeUserPoolClient of each: all app clients of a pool with their settings. One that is deleted in
/// between is left out.
///
/// # Errors
///
/// A call failed, or the deadline passed.
pub async fn read_clients(pool: &Pool) -> Result<Vec<UserPoolClientType>, PoolError> {
    let mut clients = Vec::new();
    let mut token: Option<String> = None;
    loop {
        let page = pool
            .call_with_retry("ListUserPoolClients", || {
                pool.client()
                    .list_user_pool_clients()
                    .user_pool_id(pool.id().as_str())
                    .max_results(CLIENTS_PER_PAGE)
                    .set_next_token(token.clone())
                    .send()
            })
            .await?;
        let incomplete =
            || AwsError::incomplete_response("ListUserPoolClients", pool.id(), "app clients");
        for listed in page.user_pool_clients.ok_or_else(incomplete)? {
            let described = pool
                .call_with_retry("DescribeUserPoolClient", || {
                    pool.client()
                        .describe_user_pool_client()
                        .user_pool_id(pool.id().as_str())
                        .set_client_id(listed.client_id.clone())
                        .send()
                })
                .await;
            match described {
                Ok(described) => clients.extend(described.user_pool_client),
                Err(error) if error.code() == "ResourceNotFoundException" => {}
                Err(error) => return Err(error),
            }
        }
        token = page.next_token;
        if token.is_none() {
            return Ok(clients);
        }
    }
}
