//! What was seen while a history was played, and what is left at its end. The rules look at nothing else.

use std::collections::BTreeSet;
use std::time::Duration;

use local_regions::cognito::{GroupView, UserView};
use local_regions::world::ORIGIN_SUB;
use reconcile::report::Reported;

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
    /// The `sub` of each sign-up in the journal at the end, restored or not.
    pub journal: BTreeSet<String>,
    /// The pools, the outbox and the conflicts before the last reconciles: what the trigger and the outbox alone have done.
    pub before_reconcile: BeforeReconcile,
    /// The `sub` of each user of the secondary pool who has a record in the journal at the end: who has used it.
    pub used: BTreeSet<String>,
    /// Whom the last reconcile reported.
    pub reported: Vec<Reported>,
    /// The groups of the primary pool and of the secondary pool at the end.
    pub groups: [Vec<GroupSeen>; 2],
    /// What people changed in Osaka after they had used it, the last change of each attribute.
    pub own_changes: Vec<OwnChange>,
    /// The `sub` of each user of the secondary pool whom an administrator disabled there.
    pub disabled_in_osaka: BTreeSet<String>,
    /// Users of the secondary pool who are gone, and whom nobody deleted there but twinpool.
    pub vanished: Vec<Vanished>,
    /// Whether days have passed at the end, so that whoever was withheld is deleted.
    pub days_passed: bool,
    /// People whose own password in one of the pools is not accepted any more.
    pub changed_passwords: Vec<String>,
    /// Workers and triggers during which a message went out that nobody had asked for.
    pub messages: Vec<String>,
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
    /// Whether their address in Tokyo has ever changed. No trigger is invoked for it.
    pub has_moved: bool,
}

/// Why nothing could have kept a confirmation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excuse {
    /// The trigger was killed before it had answered.
    Killed,
    /// S3 failed for the whole time of the PUT. The trigger must have counted the person as lost.
    StoreDown,
}

/// What the trigger and the outbox have done, before the last reconciles.
#[derive(Clone, Debug, Default)]
pub struct BeforeReconcile {
    /// The primary pool.
    pub primary: Vec<UserView>,
    /// The secondary pool.
    pub secondary: Vec<UserView>,
    /// The `sub` of each record in the outbox.
    pub outbox: BTreeSet<String>,
    /// The `sub` of each reported conflict.
    pub conflicts: BTreeSet<String>,
}

/// A group of a pool with its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSeen {
    /// The group.
    pub group: GroupView,
    /// The `sub` of each member.
    pub members: BTreeSet<String>,
}

/// What somebody changed in Osaka.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnChange {
    /// The `sub` in the secondary pool.
    pub secondary_sub: String,
    /// The attribute.
    pub attribute: String,
    /// The value; none if it was deleted.
    pub value: Option<String>,
    /// Whether both pools have agreed in it since, so that a later change in Tokyo may replace it.
    pub was_agreed: bool,
}

/// A user of the secondary pool whom twinpool has deleted.
#[derive(Clone, Debug)]
pub struct Vanished {
    /// The user as they were.
    pub user: UserView,
    /// Whether they had used the secondary pool.
    pub had_used: bool,
    /// Whether they had been withheld for as many days as it takes.
    pub was_due: bool,
    /// Whether somebody else in Tokyo had their address.
    pub was_needed: bool,
    /// Whether their person was in the primary pool.
    pub was_in_primary: bool,
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
    /// Reconciles that ran, those at the end included.
    pub reconciles: usize,
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
            reconciles: self.reconciles + other.reconciles,
        }
    }
}

/// Who somebody is in both pools: the origin attribute, or else the `sub`.
pub fn identity(user: &UserView) -> &str {
    user.attributes.get(ORIGIN_SUB).unwrap_or(&user.sub)
}
