//! What was seen while a history was played, and what is left at its end. The rules look at nothing else.

use std::collections::BTreeSet;
use std::time::Duration;

use local_regions::cognito::UserView;
use local_regions::world::ORIGIN_SUB;

use super::history::Place;

/// Everything that the rules look at.
#[derive(Default)]
pub struct Evidence {
    /// Everybody who signed up, in the order of the sign-ups.
    pub people: Vec<PersonSeen>,
    /// The confirmations and password resets, for which people waited.
    pub waits: Vec<Wait>,
    /// The primary pool at the end.
    pub primary: Vec<UserView>,
    /// The secondary pool at the end.
    pub secondary: Vec<UserView>,
    /// The `sub` of each record in the outbox at the end.
    pub outbox: BTreeSet<String>,
    /// The `sub` of each reported conflict at the end.
    pub conflicts: BTreeSet<String>,
    /// The `sub` of each sign-up in the journal at the end, restored or not.
    pub journal: BTreeSet<String>,
    /// How many people the triggers of the primary pool and of the secondary pool counted as lost.
    pub lost: [u64; 2],
    /// The restores that said they were complete.
    pub complete_restores: Vec<CompleteRestore>,
    /// What the pointers to the latest snapshots named, in the order in which it was seen.
    pub pointers: Vec<PointerSeen>,
    /// The name and the log of each function.
    pub logs: Vec<(&'static str, String)>,
    /// The name of each attribute value and password of the people, and the value.
    pub personal: Vec<(String, String)>,
    /// What did not succeed although all faults had ended.
    pub unquiet: Vec<String>,
    /// How many steps, faults and kills there were.
    pub counts: Counts,
    /// What happened, one line for each step.
    pub story: Vec<String>,
}

/// Somebody who signed up.
#[derive(Clone, Debug)]
pub struct PersonSeen {
    /// Their `sub` in the pool in which they signed up.
    pub sub: String,
    /// Where they signed up.
    pub home: Place,
    /// Whether they have confirmed.
    pub confirmed: bool,
    /// Why nothing could have kept the confirmation.
    pub excuse: Option<Excuse>,
    /// Whether an administrator has deleted them since.
    pub deleted: bool,
    /// The address with which they last confirmed or reset the password.
    pub confirmed_address: String,
    /// Whether their address in Tokyo has changed since their last confirmation. No trigger is invoked for such a change, so
    /// twinpool cannot know of it.
    pub moved_unseen: bool,
    /// Whether they have reset the password in Tokyo after such a change. Their replica still has the old address, and cannot be
    /// found by identity, so a second one is created.
    pub reset_after_move: bool,
}

/// Why nothing could have kept a confirmation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excuse {
    /// The trigger was killed before it had answered.
    Killed,
    /// S3 failed for the whole time of the PUT. The trigger must have counted the person as lost.
    StoreDown,
}

/// A confirmation or a password reset.
#[derive(Clone, Debug)]
pub struct Wait {
    /// Whose it was.
    pub sub: String,
    /// How long it took, less the time for which this machine kept everything waiting.
    pub waited: Duration,
    /// The error of the trigger, unless the trigger was killed.
    pub failed: Option<String>,
}

/// A restore that said it was complete, and the pools at that time.
#[derive(Clone, Debug)]
pub struct CompleteRestore {
    /// The `sub` of each newcomer who had confirmed before the restore began.
    pub newcomers: Vec<String>,
    /// The primary pool after the restore.
    pub primary: Vec<UserView>,
    /// The secondary pool after the restore.
    pub secondary: Vec<UserView>,
    /// Whether a listing was late at some time before.
    pub was_listing_late: bool,
}

/// What a pointer to the latest snapshot named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PointerSeen {
    /// The key of the pointer.
    pub key: &'static str,
    /// The snapshot; empty if the pointer could not be read.
    pub snapshot: String,
    /// Why this is not a complete snapshot.
    pub problem: Option<String>,
}

/// How many steps, faults and kills there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Steps.
    pub steps: usize,
    /// People who signed up.
    pub people: usize,
    /// Faults that were added.
    pub faults: usize,
    /// Functions that were killed during an event.
    pub kills: usize,
    /// Restores that ran, those at the end included.
    pub restores: usize,
    /// Restores that said they were complete.
    pub complete: usize,
}

impl Counts {
    /// The sum of both.
    pub fn plus(self, other: Self) -> Self {
        Self {
            steps: self.steps + other.steps,
            people: self.people + other.people,
            faults: self.faults + other.faults,
            kills: self.kills + other.kills,
            restores: self.restores + other.restores,
            complete: self.complete + other.complete,
        }
    }
}

/// Who somebody is in both pools: the origin attribute, or else the `sub`.
pub fn identity(user: &UserView) -> &str {
    user.attributes.get(ORIGIN_SUB).unwrap_or(&user.sub)
}
