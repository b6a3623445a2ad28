//! The steps of a history, generated from a seed. The same seed and the same kinds always give the same history.

use std::fmt;
use std::time::Duration;

use local_regions::cognito::Pages;
use local_regions::faults::{Fault, Kind as FaultKind, Service};
use local_regions::region::Loss;
use local_regions::world::{
    BACKUP_TRIGGER, BACKUP_WORKER, REPLICATE_TRIGGER, REPLICATE_WORKER, RESTORE,
};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

/// What can happen in a history beside sign-ups, confirmations, workers, snapshots and restores. Each can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Calls that fail, are throttled, hang, or lose their response.
    Faults,
    /// Final refusals of the call that keeps a person: an expired signature, 403.
    Refusals,
    /// Outages of a whole region.
    Outages,
    /// Functions that are killed at any call.
    Kills,
    /// ListUsers that shows changes late, in short and in empty pages.
    Listings,
    /// Import jobs that are slow, see the upload late, or fail a row.
    ImportJobs,
    /// A region whose clock is ahead of the functions' clocks.
    Clocks,
    /// Two workers at once.
    Pairs,
    /// Somebody confirms long after the sign-up.
    LateConfirmations,
    /// An administrator of Tokyo gives somebody another address.
    Moves,
    /// Somebody's other attributes change in Tokyo.
    Edits,
    /// Somebody who has used Osaka changes their attributes or their address there.
    OwnChanges,
    /// An administrator of Tokyo bans somebody, or ends a ban.
    Bans,
    /// Groups of Tokyo change, and who is in them.
    Groups,
    /// Reconciles before everything is quiet.
    EarlyReconciles,
    /// So many days pass that withheld replicas are deleted.
    Days,
    /// Somebody is deleted in the pool in which they signed up.
    Deletions,
    /// Somebody signs up with an address that somebody else has given up.
    ReusedAddresses,
    /// Somebody signs up in Osaka with an address that somebody has in Tokyo.
    SameAddressInBoth,
    /// Somebody resets the password, in either region.
    Resets,
    /// Newcomers who are disabled in Osaka.
    Disabled,
    /// Restores before everything is quiet.
    EarlyRestores,
    /// The most detailed logs.
    DetailedLogs,
}

/// The kinds that a history is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds(u32);

impl Kinds {
    /// Every kind.
    pub const ALL: Self = Self(u32::MAX);

    /// All kinds of this set except one.
    pub const fn without(self, kind: Kind) -> Self {
        Self(self.0 & !(1 << kind as u32))
    }

    /// Whether this kind can happen.
    pub const fn has(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u32) != 0
    }
}

/// One of the two regions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The region of the primary pool.
    Tokyo,
    /// The region of the secondary pool.
    Osaka,
}

/// The number of a person in a history, from 0.
pub type Person = usize;
/// The number of an address in a history, from 0.
pub type Address = usize;

/// The number of a group in a history, from 0.
pub type Group = usize;

/// The number of groups.
const GROUPS: usize = 3;

/// Attributes that are edited, beside the address.
const EDITED: [&str; 3] = ["name", "nickname", "custom:note"];

/// One step of a history.
#[derive(Clone, Debug)]
pub enum Step {
    /// Somebody signs up with this address.
    SignUp(Person, Place, Address),
    /// Somebody confirms the sign-up. The trigger is killed when so many calls have reached the regions.
    Confirm(Person, Option<usize>),
    /// Somebody resets the password with "forgot password".
    Reset(Person, Place),
    /// An administrator of Tokyo gives somebody another address.
    Move(Person, Address),
    /// An attribute gets the value with this number, or is deleted: in Tokyo, or by the person in Osaka if they have used it.
    Edit(Person, Place, &'static str, Option<usize>),
    /// Somebody who has used Osaka takes another address there.
    OwnMove(Person, Address),
    /// An administrator of Tokyo disables somebody, or enables them again.
    Ban(Person, bool),
    /// A group of Tokyo is created or gets another description.
    PutGroup(Group, usize),
    /// A group of Tokyo is deleted.
    RemoveGroup(Group),
    /// Somebody enters or leaves a group of Tokyo.
    Membership(Person, Group, bool),
    /// Whoever is withheld has been for days.
    DaysPass,
    /// An administrator deletes somebody in this region's pool.
    Delete(Person, Place),
    /// An administrator disables somebody in Osaka.
    Disable(Person),
    /// A worker is invoked.
    Work {
        /// The worker, and what it is asked to do.
        job: Job,
        /// How many are invoked at the same time.
        copies: usize,
        /// The worker is killed when so many calls have reached the regions since the beginning of the step.
        kill: Option<usize>,
    },
    /// The next calls of a region fail.
    Fault(Place, Fault),
    /// All faults of a region end.
    NoFaults(Place),
    /// The outage of a whole region begins.
    Lose(Place, Loss),
    /// The outage ends.
    Return(Place),
    /// How ListUsers of a region behaves from now on.
    Listing(Place, Duration, Pages),
    /// Tokyo's import jobs run so many rows a second, see the upload after so many starts, and fail these rows.
    ImportJobs(Option<u32>, u32, Vec<usize>),
    /// A region's clock is moved forward.
    Advance(Place, Duration),
    /// The idle processes of a function end, so that the next event meets a cold start.
    Cool(Place, &'static str),
    /// As much time passes as the leases of killed workers are valid.
    LeasesExpire,
}

/// What a worker is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// replicate-fn empties the outbox.
    Drain,
    /// backup-fn takes a snapshot if one is needed.
    Tick,
    /// backup-fn takes a snapshot.
    Snapshot,
    /// restore-fn restores the newcomers.
    Restore,
    /// replicate-fn makes Osaka equal to Tokyo.
    Reconcile,
}

/// A history.
#[derive(Clone, Debug)]
pub struct History {
    /// The seed that it was generated from.
    pub seed: u64,
    /// The kinds that it was generated from.
    pub kinds: Kinds,
    /// Whether the functions write the most detailed logs.
    pub detailed_logs: bool,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

impl History {
    /// Generates the history of a seed.
    pub fn generate(seed: u64, kinds: Kinds) -> Self {
        let mut draft = Draft {
            seed,
            random: SmallRng::seed_from_u64(seed),
            kinds,
            people: Vec::new(),
            given_up: Vec::new(),
            addresses: 0,
            values: 0,
            steps: Vec::new(),
        };
        let detailed_logs = draft.chance(Kind::DetailedLogs, 0.1);
        draft.setting();
        let length = draft.random.random_range(8..=18);
        draft.phase(Phase::NormalDay, length);
        if draft.random.random_bool(0.85) {
            draft.failover();
            let length = draft.random.random_range(3..=10);
            draft.phase(Phase::Return, length);
        }
        draft.confirmation_after_a_snapshot();
        Self {
            seed,
            kinds,
            detailed_logs,
            steps: draft.steps,
        }
    }
}

/// The value with this number, of an attribute or of a group's description.
pub fn value(seed: u64, number: usize) -> String {
    format!("Value{number}Of{seed:x}")
}

/// The name of the group with this number.
pub fn group(group: Group) -> String {
    format!("group-{group}")
}

/// The email address with this number.
pub fn email(seed: u64, address: Address) -> String {
    format!("person{address}.of{seed:x}@chaos.example.jp")
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    NormalDay,
    Failover,
    Return,
}

/// A person as the generator expects them to be.
struct Expected {
    home: Place,
    address: Address,
    state: State,
    /// Whether they are disabled in Tokyo.
    is_banned: bool,
    /// Whether they may have used Osaka.
    in_osaka: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Unconfirmed,
    Confirmed,
    Deleted,
}

/// A history in the making.
struct Draft {
    seed: u64,
    random: SmallRng,
    kinds: Kinds,
    people: Vec<Expected>,
    given_up: Vec<Address>,
    addresses: usize,
    /// How many values attributes and groups have got.
    values: usize,
    steps: Vec<Step>,
}

/// What the generator chooses from, with the weights for a normal day, for a failover, and for the return of Tokyo.
#[derive(Clone, Copy)]
enum Choice {
    Newcomer,
    Confirm,
    Reset,
    Move,
    Edit,
    OwnChange,
    Ban,
    Group,
    Days,
    Delete,
    Disable,
    Work(Job),
    Fault,
    NoFaults,
    Outage,
    Listing,
    ImportJobs,
    Cool,
    LeasesExpire,
}

#[rustfmt::skip]
const CHOICES: [(Choice, [u32; 3]); 23] = [
    (Choice::Newcomer,            [30, 34, 14]),
    (Choice::Confirm,             [18, 10, 14]),
    (Choice::Reset,               [ 4,  8,  5]),
    (Choice::Move,                [ 8,  0,  5]),
    (Choice::Edit,                [ 6,  0,  5]),
    (Choice::OwnChange,           [ 0,  9,  4]),
    (Choice::Ban,                 [ 4,  0,  4]),
    (Choice::Group,               [ 6,  0,  5]),
    (Choice::Days,                [ 1,  0,  3]),
    (Choice::Delete,              [ 5,  3,  4]),
    (Choice::Disable,             [ 0,  2,  1]),
    (Choice::Work(Job::Drain),    [10,  0,  8]),
    (Choice::Work(Job::Tick),     [ 1, 10,  4]),
    (Choice::Work(Job::Snapshot), [ 1,  5,  5]),
    (Choice::Work(Job::Restore),  [ 0,  0, 16]),
    (Choice::Work(Job::Reconcile),[10,  2, 10]),
    (Choice::Fault,               [18, 16, 18]),
    (Choice::NoFaults,            [ 7,  6,  7]),
    (Choice::Outage,              [ 2,  0,  1]),
    (Choice::Listing,             [ 1,  3,  3]),
    (Choice::ImportJobs,          [ 0,  0,  4]),
    (Choice::Cool,                [ 2,  2,  1]),
    (Choice::LeasesExpire,        [ 1,  3,  3]),
];

impl Draft {
    fn chance(&mut self, kind: Kind, probability: f64) -> bool {
        // The random number is drawn in any case.
        let happens = self.random.random_bool(probability);
        happens && self.kinds.has(kind)
    }

    fn setting(&mut self) {
        if self.chance(Kind::Clocks, 0.15) {
            let ahead = Duration::from_secs(self.random.random_range(1..50));
            let place = self.place();
            self.steps.push(Step::Advance(place, ahead));
        }
        if self.chance(Kind::Listings, 0.5) {
            let place = self.place();
            self.listing(place);
        }
    }

    fn phase(&mut self, phase: Phase, length: usize) {
        for _ in 0..length {
            let weight = |choice: &(Choice, [u32; 3])| choice.1[phase as usize];
            let choice = CHOICES
                .choose_weighted(&mut self.random, weight)
                .expect("the weights are positive");
            self.add(choice.0, phase);
        }
    }

    /// Tokyo is lost, or only unused, while people go on in Osaka.
    fn failover(&mut self) {
        let lost = self.chance(Kind::Outages, 0.5);
        if lost {
            self.steps.push(Step::Lose(Place::Tokyo, Loss::Refuse));
        }
        let length = self.random.random_range(4..=14);
        self.phase(Phase::Failover, length);
        if lost {
            self.steps.push(Step::Return(Place::Tokyo));
        }
    }

    /// Every newcomer is unconfirmed for some seconds, and a snapshot may be taken just then.
    fn confirmation_after_a_snapshot(&mut self) {
        if !self.chance(Kind::LateConfirmations, 0.2) || !self.kinds.has(Kind::EarlyRestores) {
            return;
        }
        let job = |job| Step::Work {
            job,
            copies: 1,
            kill: None,
        };
        let (person, address) = (self.people.len(), self.address());
        self.people.push(Expected {
            home: Place::Osaka,
            address,
            state: State::Confirmed,
            is_banned: false,
            in_osaka: true,
        });
        self.steps.extend([
            Step::SignUp(person, Place::Osaka, address),
            job(Job::Snapshot),
            Step::Confirm(person, None),
            job(Job::Restore),
        ]);
    }

    fn add(&mut self, choice: Choice, phase: Phase) {
        let home = match phase {
            Phase::NormalDay => Place::Tokyo,
            Phase::Failover => Place::Osaka,
            Phase::Return => self.place(),
        };
        match choice {
            Choice::Newcomer => self.sign_up(home),
            Choice::Confirm => {
                let late = |person: &Expected| {
                    person.state == State::Unconfirmed
                        && (person.home == home || phase == Phase::Return)
                };
                if let Some(person) = self.someone(late) {
                    self.confirm(person);
                }
            }
            Choice::Reset => {
                let wants = self.chance(Kind::Resets, 1.0);
                let able = |person: &Expected| person.state == State::Confirmed;
                if let Some(person) = self.someone(able).filter(|_| wants) {
                    self.people[person].in_osaka |= home == Place::Osaka;
                    self.steps.push(Step::Reset(person, home));
                }
            }
            Choice::Move => {
                let able = |person: &Expected| {
                    person.state == State::Confirmed && person.home == Place::Tokyo
                };
                let wants = self.chance(Kind::Moves, 1.0);
                if let Some(person) = self.someone(able).filter(|_| wants) {
                    let address = self.address();
                    let former = std::mem::replace(&mut self.people[person].address, address);
                    self.given_up.push(former);
                    self.steps.push(Step::Move(person, address));
                }
            }
            Choice::Edit => {
                let wants = self.chance(Kind::Edits, 1.0);
                let able = |person: &Expected| person.state == State::Confirmed;
                if let Some(person) = self.someone(able).filter(|_| wants) {
                    self.edit(person, Place::Tokyo);
                }
            }
            Choice::OwnChange => {
                let wants = self.chance(Kind::OwnChanges, 1.0);
                let able = |person: &Expected| person.state == State::Confirmed && person.in_osaka;
                if let Some(person) = self.someone(able).filter(|_| wants) {
                    match self.random.random_bool(0.2) {
                        true => {
                            self.addresses += 1;
                            self.steps.push(Step::OwnMove(person, self.addresses - 1));
                        }
                        false => self.edit(person, Place::Osaka),
                    }
                }
            }
            Choice::Ban => {
                let wants = self.chance(Kind::Bans, 1.0);
                let able = |person: &Expected| person.state == State::Confirmed;
                let is_banned = |person: &Expected| person.is_banned && able(person);
                let end = self.random.random_bool(0.5);
                let person = match self.someone(is_banned).filter(|_| end) {
                    Some(person) => Some(person),
                    None => self.someone(able),
                };
                if let Some(person) = person.filter(|_| wants) {
                    let expected = &mut self.people[person];
                    expected.is_banned = !expected.is_banned;
                    self.steps.push(Step::Ban(person, expected.is_banned));
                }
            }
            Choice::Group => {
                if self.chance(Kind::Groups, 1.0) {
                    self.change_groups();
                }
            }
            Choice::Days => {
                if self.chance(Kind::Days, 1.0) {
                    self.steps.push(Step::DaysPass);
                }
            }
            Choice::Delete => {
                let able = |person: &Expected| {
                    person.state != State::Deleted
                        && (person.home == home || phase == Phase::Return)
                };
                let wants = self.chance(Kind::Deletions, 1.0);
                if let Some(person) = self.someone(able).filter(|_| wants) {
                    self.people[person].state = State::Deleted;
                    self.given_up.push(self.people[person].address);
                    // Newcomers who are home may be deleted there too.
                    let place = match (phase, self.people[person].home) {
                        (Phase::Return, Place::Osaka) => home,
                        (_, place) => place,
                    };
                    self.steps.push(Step::Delete(person, place));
                }
            }
            Choice::Disable => {
                let able = |person: &Expected| {
                    person.state == State::Confirmed && person.home == Place::Osaka
                };
                let wants = self.chance(Kind::Disabled, 1.0);
                if let Some(person) = self.someone(able).filter(|_| wants) {
                    self.steps.push(Step::Disable(person));
                }
            }
            Choice::Work(Job::Restore) if !self.kinds.has(Kind::EarlyRestores) => {}
            Choice::Work(Job::Reconcile) if !self.kinds.has(Kind::EarlyReconciles) => {}
            Choice::Work(job) => self.work(job),
            Choice::Fault => self.fault(phase),
            Choice::NoFaults => {
                let place = self.place();
                self.steps.push(Step::NoFaults(place));
            }
            Choice::Outage => {
                if self.chance(Kind::Outages, 1.0) {
                    // A call that hangs costs a trigger seconds, so that is rare.
                    let hangs = self.random.random_bool(0.1);
                    let how = if hangs { Loss::Hang } else { Loss::Refuse };
                    self.steps.push(Step::Lose(Place::Osaka, how));
                    self.sign_up(Place::Tokyo);
                    self.steps.push(Step::Return(Place::Osaka));
                }
            }
            Choice::Listing => {
                if self.chance(Kind::Listings, 1.0) {
                    let place = self.place();
                    self.listing(place);
                }
            }
            Choice::ImportJobs => {
                if self.chance(Kind::ImportJobs, 1.0) {
                    let slow = self.random.random_bool(0.3);
                    let unseen = u32::from(self.random.random_bool(0.15));
                    let broken = self.random.random_range(0..2);
                    let broken = (0..broken)
                        .map(|_| self.random.random_range(1..4))
                        .collect();
                    let rate = slow.then_some(10);
                    self.steps.push(Step::ImportJobs(rate, unseen, broken));
                }
            }
            Choice::Cool => {
                let functions = [
                    (Place::Tokyo, REPLICATE_TRIGGER),
                    (Place::Tokyo, REPLICATE_WORKER),
                    (Place::Tokyo, RESTORE),
                    (Place::Osaka, BACKUP_TRIGGER),
                    (Place::Osaka, BACKUP_WORKER),
                ];
                let (place, function) = *functions
                    .choose(&mut self.random)
                    .expect("there are functions");
                self.steps.push(Step::Cool(place, function));
            }
            Choice::LeasesExpire => self.steps.push(Step::LeasesExpire),
        }
    }

    fn place(&mut self) -> Place {
        *[Place::Tokyo, Place::Osaka]
            .choose(&mut self.random)
            .expect("there are two")
    }

    fn someone(&mut self, able: impl Fn(&Expected) -> bool) -> Option<Person> {
        let able: Vec<_> = (0..self.people.len())
            .filter(|&number| able(&self.people[number]))
            .collect();
        able.choose(&mut self.random).copied()
    }

    fn edit(&mut self, person: Person, place: Place) {
        let attribute = EDITED[self.random.random_range(0..EDITED.len())];
        self.values += 1;
        let value = Some(self.values - 1);
        let is_deleted = self.random.random_bool(0.2);
        let value = value.filter(|_| !is_deleted);
        self.steps.push(Step::Edit(person, place, attribute, value));
    }

    fn change_groups(&mut self) {
        let group = self.random.random_range(0..GROUPS);
        let what = self.random.random_range(0..10);
        let confirmed = |person: &Expected| person.state == State::Confirmed;
        let person = self.someone(confirmed);
        match (what, person) {
            (0, _) => self.steps.push(Step::RemoveGroup(group)),
            (1 | 2, _) | (_, None) => {
                self.values += 1;
                self.steps.push(Step::PutGroup(group, self.values - 1));
            }
            (_, Some(person)) => {
                let enters = what < 8;
                self.steps.push(Step::Membership(person, group, enters));
            }
        }
    }

    /// A new address, or one that somebody has given up.
    fn address(&mut self) -> Address {
        if self.chance(Kind::ReusedAddresses, 0.5) && !self.given_up.is_empty() {
            let at = self.random.random_range(0..self.given_up.len());
            return self.given_up.swap_remove(at);
        }
        self.addresses += 1;
        self.addresses - 1
    }

    fn sign_up(&mut self, home: Place) {
        let in_both = home == Place::Osaka && self.chance(Kind::SameAddressInBoth, 0.2);
        let elsewhere =
            |person: &Expected| person.home == Place::Tokyo && person.state != State::Deleted;
        let address = match self.someone(elsewhere).filter(|_| in_both) {
            Some(person) => self.people[person].address,
            None => self.address(),
        };
        let person = self.people.len();
        self.people.push(Expected {
            home,
            address,
            state: State::Unconfirmed,
            is_banned: false,
            in_osaka: home == Place::Osaka,
        });
        self.steps.push(Step::SignUp(person, home, address));
        if !self.chance(Kind::LateConfirmations, 0.35) {
            self.confirm(person);
        }
    }

    fn confirm(&mut self, person: Person) {
        self.people[person].state = State::Confirmed;
        // The first call is the confirmation itself.
        let kill = self
            .chance(Kind::Kills, 0.06)
            .then(|| self.random.random_range(1..=3));
        self.steps.push(Step::Confirm(person, kill));
    }

    fn work(&mut self, job: Job) {
        let two = self.chance(Kind::Pairs, 0.25);
        let calls = match job {
            Job::Drain => 12,
            Job::Tick | Job::Snapshot => 40,
            Job::Restore | Job::Reconcile => 60,
        };
        let kill = self
            .chance(Kind::Kills, 0.35)
            .then(|| self.random.random_range(1..=calls));
        self.steps.push(Step::Work {
            job,
            copies: if two { 2 } else { 1 },
            kill,
        });
    }

    fn listing(&mut self, place: Place) {
        let lag = Duration::from_millis(*[0, 300, 800].choose(&mut self.random).unwrap_or(&0));
        let seed = self.random.random();
        let pages = [Pages::Full, Pages::Short { seed }, Pages::Empty { seed }];
        let pages = *pages.choose(&mut self.random).unwrap_or(&Pages::Full);
        self.steps.push(Step::Listing(place, lag, pages));
    }

    /// Only calls of the functions fail. Those of the people do not, because twinpool would not be the cause of it.
    fn fault(&mut self, phase: Phase) {
        let place = match phase {
            Phase::NormalDay if self.random.random_bool(0.7) => Place::Osaka,
            _ => self.place(),
        };
        let (service, operation) = *OPERATIONS
            .choose(&mut self.random)
            .expect("there are operations");
        let kind = self.fault_kind(operation);
        let endless = self.random.random_bool(0.15) && kind != FaultKind::Hang;
        let times = match kind {
            FaultKind::Hang => 1,
            _ => self.random.random_range(1..=3),
        };
        let after = self.random.random_range(0..=3);
        let fault = Fault::on(service, operation, kind);
        let fault = match endless {
            true => fault,
            false => fault.times(times).after(after),
        };
        let refusal = operation == "PutObject"
            && matches!(&fault.kind, FaultKind::Error { status, .. } if *status < 500);
        let allowed = !refusal || self.kinds.has(Kind::Refusals);
        if self.chance(Kind::Faults, 1.0) && allowed {
            self.steps.push(Step::Fault(place, fault));
        }
    }

    fn fault_kind(&mut self, operation: &str) -> FaultKind {
        let error = |status, code: &str, message: &str| FaultKind::Error {
            status,
            code: code.to_owned(),
            message: message.to_owned(),
        };
        let is_s3 = OPERATIONS.contains(&(Service::S3, operation));
        match self.random.random_range(0..14) {
            0 => FaultKind::Hang,
            1..=3 => FaultKind::Throttle,
            4 | 5 => FaultKind::Refuse,
            6 | 7 => FaultKind::Reset,
            // A client of S3 takes any 200 for a write that was done, and TLS keeps others from answering in the name of S3.
            8 if !is_s3 => FaultKind::Rubbish,
            9 => FaultKind::Delay(Duration::from_millis(150)),
            10 if is_s3 => error(403, "RequestTimeTooSkewed", ""),
            11 if is_s3 => error(403, "AccessDenied", "Access Denied"),
            10 => error(400, "InvalidSignatureException", "Signature expired"),
            11 if operation == "AdminCreateUser" => {
                let about = email(self.seed, 0);
                let message = format!("Value '{about}' failed to satisfy constraint");
                error(400, "InvalidParameterException", &message)
            }
            11 => error(400, "AccessDeniedException", "not authorized"),
            12 if is_s3 => error(503, "SlowDown", ""),
            _ if is_s3 => error(500, "InternalError", ""),
            _ => error(500, "InternalErrorException", ""),
        }
    }
}

/// What the functions call.
const OPERATIONS: [(Service, &str); 34] = [
    (Service::Cognito, "AdminCreateUser"),
    (Service::Cognito, "AdminCreateUser"),
    (Service::Cognito, "AdminCreateUser"),
    (Service::Cognito, "AdminSetUserPassword"),
    (Service::Cognito, "AdminSetUserPassword"),
    (Service::Cognito, "AdminGetUser"),
    (Service::Cognito, "AdminGetUser"),
    (Service::Cognito, "AdminDeleteUser"),
    (Service::Cognito, "AdminDisableUser"),
    (Service::Cognito, "AdminUpdateUserAttributes"),
    (Service::Cognito, "AdminUpdateUserAttributes"),
    (Service::Cognito, "AdminDeleteUserAttributes"),
    (Service::Cognito, "AdminEnableUser"),
    (Service::Cognito, "AdminUserGlobalSignOut"),
    (Service::Cognito, "AdminAddUserToGroup"),
    (Service::Cognito, "ListUsersInGroup"),
    (Service::Cognito, "CreateGroup"),
    (Service::Cognito, "ListUsers"),
    (Service::Cognito, "DescribeUserPool"),
    (Service::Cognito, "GetCSVHeader"),
    (Service::Cognito, "CreateUserImportJob"),
    (Service::Cognito, "StartUserImportJob"),
    (Service::Cognito, "DescribeUserImportJob"),
    (Service::Cognito, "Upload"),
    (Service::Logs, "GetLogEvents"),
    (Service::S3, "PutObject"),
    (Service::S3, "PutObject"),
    (Service::S3, "PutObject"),
    (Service::S3, "GetObject"),
    (Service::S3, "GetObject"),
    (Service::S3, "ListObjectsV2"),
    (Service::S3, "DeleteObject"),
    (Service::S3, "CompleteMultipartUpload"),
    (Service::S3, "UploadPart"),
];

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kill = |kill: &Option<usize>| {
            kill.map_or(String::new(), |calls| format!(", killed at call {calls}"))
        };
        match self {
            Self::SignUp(person, place, address) => {
                write!(f, "p{person} signs up in {place:?} with address {address}")
            }
            Self::Confirm(person, killed) => write!(f, "p{person} confirms{}", kill(killed)),
            Self::Reset(person, place) => write!(f, "p{person} resets the password in {place:?}"),
            Self::Move(person, address) => write!(f, "p{person} moves to address {address}"),
            Self::Edit(person, place, attribute, value) => {
                let verb = match place {
                    Place::Tokyo => "gets",
                    Place::Osaka => "changes",
                };
                let value = value.map_or("none".to_owned(), |value| value.to_string());
                write!(
                    f,
                    "p{person} {verb} {attribute} in {place:?}: value {value}"
                )
            }
            Self::OwnMove(person, address) => {
                write!(f, "p{person} takes address {address} in Osaka")
            }
            Self::Ban(person, true) => write!(f, "p{person} is banned in Tokyo"),
            Self::Ban(person, false) => write!(f, "the ban of p{person} ends in Tokyo"),
            Self::PutGroup(group, value) => write!(f, "group {group} gets description {value}"),
            Self::RemoveGroup(group) => write!(f, "group {group} is removed"),
            Self::Membership(person, group, true) => write!(f, "p{person} enters group {group}"),
            Self::Membership(person, group, false) => write!(f, "p{person} leaves group {group}"),
            Self::DaysPass => write!(f, "days pass for whoever is withheld"),
            Self::Delete(person, place) => write!(f, "p{person} is deleted in {place:?}"),
            Self::Disable(person) => write!(f, "p{person} is disabled in Osaka"),
            Self::Work {
                job,
                copies,
                kill: killed,
            } => write!(f, "{job:?} ×{copies}{}", kill(killed)),
            Self::Fault(place, fault) => {
                let operation = fault.operation.as_deref().unwrap_or("every call");
                let times = match fault.times {
                    Some(times) => format!("{times} times"),
                    None => "until it is ended".to_owned(),
                };
                let (kind, after) = (&fault.kind, fault.after);
                write!(
                    f,
                    "{place:?}: {operation} fails {times} after {after}: {kind:?}"
                )
            }
            Self::NoFaults(place) => write!(f, "{place:?}: the faults end"),
            Self::Lose(place, how) => write!(f, "{place:?} is lost: {how:?}"),
            Self::Return(place) => write!(f, "{place:?} is back"),
            Self::Listing(place, lag, pages) => {
                write!(f, "{place:?}: ListUsers is {lag:?} late, {pages:?}")
            }
            Self::ImportJobs(rate, unseen, broken) => write!(
                f,
                "import jobs: rate {rate:?}, {unseen} starts before the upload, broken rows {broken:?}"
            ),
            Self::Advance(place, by) => write!(f, "{place:?}: the clock is {by:?} ahead"),
            Self::Cool(_, function) => write!(f, "the idle processes of {function} end"),
            Self::LeasesExpire => write!(f, "the leases of killed workers expire"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(history: &History) -> Vec<String> {
        history.steps.iter().map(Step::to_string).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_history_and_another_seed_another_one() {
        let history = |seed| lines(&History::generate(seed, Kinds::ALL));

        assert_eq!(history(7), history(7));
        assert_ne!(history(7), history(8));
    }

    #[test]
    fn every_kind_of_step_happens_and_a_kind_that_is_left_out_does_not() {
        let all = |kinds| -> Vec<String> {
            let histories = (0..500).map(|seed| History::generate(seed, kinds));
            histories.flat_map(|history| lines(&history)).collect()
        };
        let words = [
            (Kind::Moves, "moves to"),
            (Kind::Edits, "gets custom:note"),
            (Kind::OwnChanges, "takes address"),
            (Kind::Bans, "is banned"),
            (Kind::Groups, "enters group"),
            (Kind::EarlyReconciles, "Reconcile ×"),
            (Kind::Days, "days pass"),
            (Kind::Deletions, "is deleted"),
            (Kind::Resets, "resets"),
            (Kind::Disabled, "is disabled"),
            (Kind::Faults, " fails "),
            (Kind::Outages, "is lost"),
            (Kind::Kills, "killed at call"),
            (Kind::Listings, "ListUsers is"),
            (Kind::ImportJobs, "import jobs:"),
            (Kind::Clocks, "the clock is"),
            (Kind::Pairs, "×2"),
            (Kind::EarlyRestores, "Restore ×"),
        ];

        for (kind, word) in words {
            let happens = |kinds| all(kinds).iter().any(|line| line.contains(word));
            assert!(happens(Kinds::ALL), "{word}");
            assert!(!happens(Kinds::ALL.without(kind)), "{word}");
        }
    }

    #[test]
    fn nobody_confirms_or_moves_before_the_sign_up() {
        for seed in 0..500 {
            let mut signed_up = 0;
            for step in History::generate(seed, Kinds::ALL).steps {
                match step {
                    Step::SignUp(person, ..) => {
                        assert_eq!(person, signed_up);
                        signed_up += 1;
                    }
                    Step::Confirm(person, _)
                    | Step::Reset(person, _)
                    | Step::Move(person, _)
                    | Step::Edit(person, ..)
                    | Step::OwnMove(person, _)
                    | Step::Ban(person, _)
                    | Step::Membership(person, ..)
                    | Step::Delete(person, _)
                    | Step::Disable(person) => assert!(person < signed_up),
                    _ => {}
                }
            }
        }
    }
}
