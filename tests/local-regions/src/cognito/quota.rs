//! Quotas of the request rate: one token bucket for each category, and in the pool-resource categories one for each
//! operation and pool.
//!
//! The quota of 10 reads and 10 writes a second for each user (facts 4) is not modelled. The buckets are filled by the
//! machine's clock; moving the region's clock forward does not fill them.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Instant;

use super::error::ApiError;
use super::knobs::Knobs;

/// A quota category. All pools of the account in the region share its rate.
// facts 4, N3 [D]; the two categories of app clients, the category of MFA and custom attributes of a pool, and that of revoked tokens
// are [R].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Category {
    /// Creating and confirming users.
    UserCreation,
    /// Setting and recovering passwords.
    UserAccountRecovery,
    /// Signing in.
    UserAuthentication,
    /// Revoking tokens.
    UserToken,
    /// Reading one user.
    UserRead,
    /// ListUsers, ListUsersInGroup.
    UserList,
    /// Changing one user, or their membership in a group.
    UserUpdate,
    /// The groups of one user.
    UserResourceRead,
    /// Software tokens.
    UserResourceUpdate,
    /// DescribeUserPool, ListUserPools.
    UserPoolRead,
    /// CreateUserPool, UpdateUserPool.
    UserPoolUpdate,
    /// GetCSVHeader, and reading groups, import jobs and MFA settings.
    UserPoolResourceRead,
    /// Changing groups; creating, starting and stopping import jobs; adding custom attributes; setting MFA.
    UserPoolResourceUpdate,
    /// DescribeUserPoolClient, ListUserPoolClients.
    UserPoolClientRead,
    /// CreateUserPoolClient.
    UserPoolClientUpdate,
}

/// The number of requests a second of one operation on one pool in the pool-resource categories.
// facts 4: 5 requests a second of each operation on each pool [D].
const PER_OPERATION_AND_POOL: u32 = 5;

impl Category {
    /// The category that an operation belongs to.
    pub(super) fn of(operation: &str, challenge: Option<&str>) -> Option<Self> {
        Some(match operation {
            "SignUp" | "ConfirmSignUp" | "AdminCreateUser" | "AdminConfirmSignUp" => {
                Self::UserCreation
            }
            "RespondToAuthChallenge" | "AdminRespondToAuthChallenge"
                if challenge == Some("NEW_PASSWORD_REQUIRED") =>
            {
                Self::UserAccountRecovery
            }
            // The category of ResendConfirmationCode was not found [Inf].
            "ForgotPassword"
            | "ConfirmForgotPassword"
            | "AdminSetUserPassword"
            | "ChangePassword"
            | "ResendConfirmationCode" => Self::UserAccountRecovery,
            "InitiateAuth"
            | "RespondToAuthChallenge"
            | "AdminInitiateAuth"
            | "AdminRespondToAuthChallenge"
            | "GetTokensFromRefreshToken" => Self::UserAuthentication,
            "RevokeToken" => Self::UserToken,
            "AdminGetUser" | "GetUser" => Self::UserRead,
            "ListUsers" | "ListUsersInGroup" => Self::UserList,
            "AdminAddUserToGroup"
            | "AdminRemoveUserFromGroup"
            | "AdminDeleteUserAttributes"
            | "AdminUserGlobalSignOut"
            | "AdminUpdateUserAttributes"
            | "AdminDisableUser"
            | "AdminEnableUser"
            | "AdminDeleteUser"
            | "DeleteUser"
            | "DeleteUserAttributes"
            | "GlobalSignOut"
            | "UpdateUserAttributes"
            | "VerifyUserAttribute" => Self::UserUpdate,
            "AdminListGroupsForUser" => Self::UserResourceRead,
            "AdminDeleteSoftwareToken"
            | "AssociateSoftwareToken"
            | "SetUserMFAPreference"
            | "VerifySoftwareToken" => Self::UserResourceUpdate,
            "DescribeUserPool" | "ListUserPools" => Self::UserPoolRead,
            "CreateUserPool" | "UpdateUserPool" => Self::UserPoolUpdate,
            "GetCSVHeader"
            | "GetGroup"
            | "ListGroups"
            | "DescribeUserImportJob"
            | "ListUserImportJobs"
            | "GetUserPoolMfaConfig" => Self::UserPoolResourceRead,
            "CreateGroup"
            | "UpdateGroup"
            | "DeleteGroup"
            | "CreateUserImportJob"
            | "StartUserImportJob"
            | "StopUserImportJob"
            | "AddCustomAttributes"
            | "SetUserPoolMfaConfig" => Self::UserPoolResourceUpdate,
            "DescribeUserPoolClient" | "ListUserPoolClients" => Self::UserPoolClientRead,
            "CreateUserPoolClient" => Self::UserPoolClientUpdate,
            _ => return None,
        })
    }

    /// The default quota of requests a second.
    pub(super) fn default_rate(self) -> u32 {
        match self {
            Self::UserCreation | Self::UserResourceRead => 50,
            Self::UserAccountRecovery | Self::UserList => 30,
            Self::UserAuthentication | Self::UserToken | Self::UserRead => 120,
            Self::UserUpdate | Self::UserResourceUpdate => 25,
            Self::UserPoolResourceRead => 20,
            Self::UserPoolRead
            | Self::UserPoolUpdate
            | Self::UserPoolResourceUpdate
            | Self::UserPoolClientRead
            | Self::UserPoolClientUpdate => 15,
        }
    }
}

/// The buckets of one region.
#[derive(Default)]
pub(super) struct Quotas {
    buckets: Mutex<HashMap<(Category, String), Bucket>>,
}

struct Bucket {
    tokens: f64,
    filled: Instant,
}

impl Quotas {
    /// Counts a request, or rejects it if it exceeds the quota.
    pub(super) fn take(
        &self,
        category: Category,
        operation: &str,
        pool: Option<&str>,
        knobs: &Knobs,
    ) -> Result<(), ApiError> {
        let Some(rate) = knobs.quota(category) else {
            return Ok(());
        };
        let mut buckets = super::lock(&self.buckets);
        let mut take = |name: String, rate: u32| {
            let (now, rate) = (Instant::now(), f64::from(rate));
            let bucket = buckets.entry((category, name)).or_insert(Bucket {
                tokens: rate,
                filled: now,
            });
            let refill = now.duration_since(bucket.filled).as_secs_f64() * rate;
            bucket.tokens = (bucket.tokens + refill).min(rate);
            bucket.filled = now;
            if bucket.tokens < 1.0 {
                return Err(ApiError::too_many_requests());
            }
            bucket.tokens -= 1.0;
            Ok(())
        };
        take(String::new(), rate)?;
        match (category, pool) {
            (Category::UserPoolResourceRead | Category::UserPoolResourceUpdate, Some(pool)) => {
                take(format!("{operation} {pool}"), PER_OPERATION_AND_POOL)
            }
            _ => Ok(()),
        }
    }
}
