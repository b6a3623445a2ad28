//! Creates, one by one, the users whom no import file can carry, and remembers whom it began to create.
//!
//! A user with a temporary password may be one whom a restore began to create, or one whom an operator made by hand and who has the
//! invitation with that password. So the restore notes in its bucket, before it creates a user, that it does. Who is not noted was
//! not created by a restore, and is never given a password or disabled.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use shared::cognito::pool::{Pool, PoolError};
use shared::cognito::users;
use shared::confirmation::{object_name, person_of_object};
use shared::person::{Attributes, Person, Status};
use shared::pool_id::PoolId;
use shared::s3::bucket::Bucket;
use shared::s3::json::to_json;

use crate::error::RestoreError;
use crate::names::PersonKey;
use crate::reason::Reason;
use crate::target_pool::is_present;

/// The code of an attribute that is not written because another user signs in with the value, or may do so.
pub const NAME_HELD: &str = "name-held";

/// A user to create.
pub struct NewUser {
    /// What the user signs in with.
    pub username: String,
    /// Names the user in the notes: their `sub` in the snapshot's pool, or else their identity.
    pub note: String,
    /// Whether the user is enabled.
    pub enabled: bool,
    /// The attributes to create the user with.
    pub attributes: Attributes,
}

/// What became of a user to create.
pub enum Creation {
    /// The user is in the pool in the state that they should have: their `sub`.
    Created(String),
    /// The pool had this user already, and nothing was written.
    Found(Box<Person>),
    /// Another user has this user's email address or phone number.
    AddressTaken(Box<Person>),
    /// The user was not created, for this reason.
    NotCreated(Reason),
}

/// Creates users in a pool, and notes whom.
pub struct Creator<'a> {
    /// The target pool.
    pub pool: &'a Pool,
    /// The bucket of the notes.
    pub bucket: &'a Bucket,
}

/// A note that a restore creates a user.
#[derive(Serialize, Deserialize)]
struct Note {
    version: u32,
    state: NoteState,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum NoteState {
    /// The user may be in the pool, half made.
    Begun,
    /// The user was created completely. Earlier versions wrote this also if the user was refused.
    Ended,
    /// The user was refused: the pool does not have them.
    Refused,
}

impl Creator<'_> {
    /// Creates a user, or completes one whom an earlier run began to create. A disabled user is never enabled in a state in which they
    /// could sign in. At the end the user is looked up.
    ///
    /// # Errors
    ///
    /// A call failed for another reason than a refusal of this user, or the deadline passed.
    pub async fn create(&self, user: &NewUser) -> Result<Creation, RestoreError> {
        match self.create_and_check(user).await {
            Err(RestoreError::Pool(PoolError::Aws(error)))
                if !error.is_transient() && !error.is_configuration() =>
            {
                let reason = Reason::CreateFailed(error.to_string());
                Ok(Creation::NotCreated(reason))
            }
            created => created,
        }
    }

    async fn create_and_check(&self, user: &NewUser) -> Result<Creation, RestoreError> {
        let sub = match users::look_up(self.pool, &user.username).await? {
            Some(holder) if self.is_half_made(user, &holder).await? => sub_of(&holder),
            Some(holder) => return Ok(Creation::Found(Box::new(holder))),
            None => {
                self.write_note(user, NoteState::Begun).await?;
                match users::create(self.pool, &user.username, &user.attributes).await {
                    Ok(sub) => sub,
                    // A refusal for another reason: the user was not created either.
                    Err(PoolError::Aws(error)) if error.is_configuration() => {
                        self.write_note(user, NoteState::Refused).await?;
                        return Err(PoolError::from(error).into());
                    }
                    Err(PoolError::Aws(error)) if error.is_call_rejected() => {
                        match self.after_refusal(user, error.into()).await? {
                            Ok(sub) => sub,
                            Err(refused) => {
                                self.write_note(user, NoteState::Refused).await?;
                                return Ok(refused);
                            }
                        }
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        };
        if !user.enabled {
            users::disable(self.pool, &sub).await?;
        }
        // Last: with a temporary password that nobody knows, nobody can sign in (amplify-js#1340).
        users::set_random_password(self.pool, &sub).await?;
        let made = users::look_up(self.pool, &sub).await?;
        self.write_note(user, NoteState::Ended).await?;
        Ok(match made {
            Some(made) if is_present(&made.status) && made.enabled == user.enabled => {
                Creation::Created(sub)
            }
            Some(made) => Creation::NotCreated(Reason::ExistsInPrimary(made.status)),
            None => Creation::NotCreated(Reason::GoneSinceImport),
        })
    }

    /// After AdminCreateUser was refused: the user was created all the same, and the answer was lost; or somebody has the user's name or
    /// address. Which code and which words a taken name or address has, differs (boto3#3213, aws-sdk-net#761), so the pool is asked.
    async fn after_refusal(
        &self,
        user: &NewUser,
        error: PoolError,
    ) -> Result<Result<String, Creation>, RestoreError> {
        if let Some(holder) = users::look_up(self.pool, &user.username).await? {
            return Ok(match self.is_half_made(user, &holder).await? {
                true => Ok(sub_of(&holder)),
                false => Err(Creation::Found(Box::new(holder))),
            });
        }
        for address in ["email", "phone_number"] {
            if let Some(address) = user.attributes.get(address)
                && let Some(holder) = look_up_address(self.pool, address).await?
            {
                return Ok(Err(Creation::AddressTaken(Box::new(holder))));
            }
        }
        let reason = Reason::CreateFailed(error.to_string());
        Ok(Err(Creation::NotCreated(reason)))
    }

    /// Whether a restore began to create this user and did not finish: it noted that it would, and the user has all the attributes that
    /// it gives.
    ///
    /// # Errors
    ///
    /// The note cannot be read.
    async fn is_half_made(&self, user: &NewUser, holder: &Person) -> Result<bool, RestoreError> {
        let has_all = user
            .attributes
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .all(|(name, value)| holder.attributes.get(name) == Some(value));
        if holder.status != Status::ForceChangePassword || !has_all {
            return Ok(false);
        }
        let note = self.bucket.get_json::<Note>(&self.note_key(user)).await?;
        Ok(note.is_some_and(|(note, _)| note.state == NoteState::Begun))
    }

    async fn write_note(&self, user: &NewUser, state: NoteState) -> Result<(), RestoreError> {
        let note = to_json(&Note { version: 1, state });
        Ok(self.bucket.put(&self.note_key(user), note).await?)
    }

    fn note_key(&self, user: &NewUser) -> String {
        note_key(self.pool.id(), &user.note)
    }
}

/// The prefix of the notes about a pool.
fn notes_prefix(pool: &PoolId) -> String {
    format!("restores/created/{pool}/")
}

/// The key of the note about a user of a pool, by how the user is named in the notes: by the `sub` in the snapshot's pool, or by the
/// identity, if they are known.
pub fn note_key(pool: &PoolId, noted: &str) -> String {
    format!("{}{}", notes_prefix(pool), object_name(noted))
}

/// How the users are named in the notes whom a restore may have created in a pool.
///
/// # Errors
///
/// The notes cannot be listed.
pub async fn noted_users(bucket: &Bucket, pool: &PoolId) -> Result<HashSet<String>, RestoreError> {
    let prefix = notes_prefix(pool);
    let mut notes = bucket.list(prefix.clone());
    let mut users = HashSet::new();
    while let Some(page) = notes.next_page().await? {
        let names = page
            .iter()
            .filter_map(|note| note.key.strip_prefix(&prefix));
        users.extend(names.filter_map(person_of_object));
    }
    Ok(users)
}

/// Whether the note about a user leaves it open that the pool has, or had, the user.
///
/// # Errors
///
/// The note cannot be read.
pub async fn may_be_created(
    bucket: &Bucket,
    pool: &PoolId,
    noted: &str,
) -> Result<bool, RestoreError> {
    let note = bucket.get_json::<Note>(&note_key(pool, noted)).await?;
    Ok(note.is_some_and(|(note, _)| note.state != NoteState::Refused))
}

impl NewUser {
    /// How a user without a `sub` is named in the notes.
    pub fn note_of(key: PersonKey) -> String {
        key.to_hex()
    }
}

/// Looks somebody up by an address. A pool in which addresses are no names refuses, or finds nobody.
async fn look_up_address(pool: &Pool, address: &str) -> Result<Option<Person>, PoolError> {
    match users::look_up(pool, address).await {
        Err(PoolError::Aws(error)) if error.is_call_rejected() => Ok(None),
        found => found,
    }
}

fn sub_of(person: &Person) -> String {
    person.sub().unwrap_or(&person.username).to_owned()
}
