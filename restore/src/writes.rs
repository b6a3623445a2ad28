//! Creates, one by one, the users whom no import file can carry.

use jiff::{SignedDuration, Timestamp};
use shared::cognito::pool::{Pool, PoolError};
use shared::cognito::users;
use shared::person::{Attributes, Person, Status, is_cognitos_own};

use crate::reason::Reason;
use crate::source::Leftover;
use crate::target_pool::is_present;

/// How much this clock and Cognito's may differ. Cognito may show whole seconds.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(1);

/// Creates a user whom the snapshot left out, and returns their `sub` in the target pool, or the reason why not. A user with the
/// name who was created since `since` and is half made is completed: an earlier run created them. A disabled user is never enabled
/// in a state in which they could sign in.
///
/// # Errors
///
/// A call failed, or the deadline passed.
pub async fn create_left_out_user(
    pool: &Pool,
    since: Timestamp,
    user: &Leftover,
) -> Result<Result<String, Reason>, PoolError> {
    let attributes = user.attributes.iter();
    let attributes: Attributes = attributes
        .filter(|(name, _)| !is_cognitos_own(name))
        .collect();
    let sub = match users::create(pool, &user.username, &attributes).await {
        Ok(sub) => sub,
        Err(error) if error.code() == "UsernameExistsException" => {
            let Some(holder) = users::look_up(pool, &user.username).await? else {
                return Err(error);
            };
            let sub = holder.sub().unwrap_or(&holder.username).to_owned();
            if is_half_made(&holder, since) {
                sub
            } else if is_present(&holder.status) {
                return Ok(Ok(sub));
            } else {
                return Ok(Err(Reason::ExistsInPrimary(holder.status)));
            }
        }
        Err(error) => return Err(error),
    };
    if !user.enabled {
        users::disable(pool, &sub).await?;
    }
    // Last: with a temporary password that nobody knows, nobody can sign in (amplify-js#1340).
    users::set_random_password(pool, &sub).await?;
    Ok(Ok(sub))
}

/// Whether a restore began to create this user and did not finish.
fn is_half_made(user: &Person, since: Timestamp) -> bool {
    user.status == Status::ForceChangePassword
        && user
            .created_at
            .is_some_and(|created_at| created_at >= since - CLOCK_TOLERANCE)
}
