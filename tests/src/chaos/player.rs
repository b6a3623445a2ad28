//! Plays a history in two regions of its own, with the real functions, and collects the evidence.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use aws_sdk_cognitoidentityprovider::types::AttributeType;
use bytes::Bytes;
use local_regions::cognito::{Contact, Editor, GroupView, ImportKnobs, UserStatus, UserView};
use local_regions::faults::{Fault, Kind as FaultKind};
use local_regions::region::Region;
use local_regions::world::{
    BACKUP_TRIGGER, BACKUP_WORKER, OUTBOX, REPLICATE_TRIGGER, REPLICATE_WORKER, RESTORE, SNAPSHOTS,
    World, WorldOptions,
};
use reconcile::report::Report;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::task::JoinSet;

use super::evidence::{
    BeforeReconcile, CompleteRestore, Evidence, Excuse, GroupSeen, OwnChange, PersonSeen,
    PointerSeen, Vanished, Wait, identity,
};
use super::history::{
    Address, Group, History, Job, Kind, Person, Place, Step, email, group, value,
};
use crate::people::Profile;
use crate::visitor::Visitor;

/// The time limit of a worker during a history, so that faults without an end cannot delay it.
const WORKER_TIME_LIMIT: Duration = Duration::from_secs(5);
/// The time limit of a worker once everything is quiet.
const QUIET_TIME_LIMIT: Duration = Duration::from_secs(60);
/// How often a worker is invoked until it has nothing more to do, once everything is quiet.
const QUIET_ATTEMPTS: usize = 10;
/// How often something is tried that the test itself needs, while calls fail.
const OWN_ATTEMPTS: usize = 8;
/// So many failing calls in a row use up the time that the trigger has for the PUT that keeps a person.
const SURVIVABLE_FAILURES: usize = 3;
/// How often the pointers are looked at while a worker runs.
const POINTER_INTERVAL: Duration = Duration::from_millis(50);
/// Pointers to the latest snapshots.
const POINTERS: [&str; 2] = ["latest.json", "latest-newcomers.json"];

/// The records of whoever has used the secondary pool.
const JOURNAL: [&str; 3] = [
    "journal/sign-up/",
    "journal/restored/",
    "journal/password-reset/",
];
/// When somebody was missed who has been withheld for as many days as it takes.
const LONG_AGO: &str = "2020-01-01T00:00:00Z";
/// What a reconcile counts that has changed something.
const CHANGES: [&str; 7] = [
    "created",
    "updated",
    "disabled",
    "enabled",
    "withheld",
    "removed",
    "group_changes",
];

/// Plays a history.
///
/// # Errors
///
/// The regions could not be started.
pub async fn play(history: &History) -> anyhow::Result<Evidence> {
    let world = World::start(WorldOptions::default()).await?;
    let mut player = Player {
        tokyo: Visitor::of(&world.tokyo, &world.primary),
        osaka: Visitor::of(&world.osaka, &world.secondary),
        world,
        history,
        evidence: Evidence::default(),
        subs: BTreeMap::new(),
        passwords: BTreeMap::new(),
        secondary: Vec::new(),
        addresses: BTreeMap::new(),
        faults: Vec::new(),
        longest_lag: Duration::ZERO,
        is_quiet: false,
        lateness: Lateness::watch(),
    };
    player.set_up();
    for (number, step) in history.steps.iter().enumerate() {
        player.world.clear_calls();
        let begun = Instant::now();
        let mail = player.messages_sent();
        let result = player.step(step).await;
        player.note_messages(step, mail);
        player.look_at_secondary();
        let took = begun.elapsed().as_millis();
        let line = format!("{:>3}. {step}: {result} ({took} ms)", number + 1);
        player.evidence.story.push(line);
        player.look_at_pointers();
    }
    player.evidence.counts.steps = history.steps.len();
    player.come_to_rest().await;
    player.collect()
}

struct Player<'a> {
    world: World,
    tokyo: Visitor,
    osaka: Visitor,
    history: &'a History,
    evidence: Evidence,
    /// The place in the evidence of everyone who signed up.
    subs: BTreeMap<Person, usize>,
    /// The address with which each person signed up.
    addresses: BTreeMap<Person, Address>,
    /// The password of each person in a pool, as far as it is known.
    passwords: BTreeMap<(Person, bool), String>,
    /// The users of the secondary pool after the last step, and whether each was due to be deleted.
    secondary: Vec<(UserView, bool)>,
    /// The faults that have not ended yet.
    faults: Vec<(Place, Fault)>,
    /// The longest time that a listing was late.
    longest_lag: Duration,
    /// Whether all faults have ended, and the listings have caught up.
    is_quiet: bool,
    lateness: Lateness,
}

/// Measures for how long this machine keeps tasks waiting that could run.
struct Lateness {
    longest_ms: Arc<AtomicU64>,
    _task: JoinSet<()>,
}

impl Lateness {
    fn watch() -> Self {
        let longest_ms = Arc::new(AtomicU64::new(0));
        let mut task = JoinSet::new();
        let measured = longest_ms.clone();
        task.spawn(async move {
            let pause = Duration::from_millis(20);
            loop {
                let begun = Instant::now();
                tokio::time::sleep(pause).await;
                let late = begun.elapsed().saturating_sub(pause);
                measured.fetch_max(late.as_millis() as u64, Ordering::Relaxed);
            }
        });
        Self {
            longest_ms,
            _task: task,
        }
    }

    /// The longest time since the last call.
    fn take(&self) -> Duration {
        Duration::from_millis(self.longest_ms.swap(0, Ordering::Relaxed))
    }
}

impl Player<'_> {
    fn set_up(&self) {
        for (place, function) in FUNCTIONS {
            let lambda = self.region(place).lambda();
            if self.history.detailed_logs {
                lambda.set_env(function, "AWS_LAMBDA_LOG_LEVEL", "TRACE");
                lambda.set_env(function, "RUST_LOG", "trace");
            }
        }
        let lambda = self.world.osaka.lambda();
        lambda.set_env(BACKUP_WORKER, "LIST_USERS_RPS", "60");
        lambda.set_env(BACKUP_WORKER, "SNAPSHOT_MIN_INTERVAL_S", "0");
        let lambda = self.world.tokyo.lambda();
        lambda.set_env(REPLICATE_WORKER, "RECONCILE_LIST_RPS", "500");
        lambda.set_env(REPLICATE_WORKER, "RECONCILE_WRITES_RPS", "500");
        lambda.set_env(REPLICATE_WORKER, "GROUPS_EVERY_S", "0");
        self.limit_workers(WORKER_TIME_LIMIT);
        for place in [Place::Tokyo, Place::Osaka] {
            // The buckets would limit the test's own calls too.
            self.region(place).cognito().knobs().set_quotas(false);
        }
    }

    fn limit_workers(&self, limit: Duration) {
        for (place, function) in FUNCTIONS {
            if ![REPLICATE_TRIGGER, BACKUP_TRIGGER].contains(&function) {
                self.region(place).lambda().set_timeout(function, limit);
            }
        }
    }

    fn region(&self, place: Place) -> &Region {
        match place {
            Place::Tokyo => &self.world.tokyo,
            Place::Osaka => &self.world.osaka,
        }
    }

    fn pool(&self, place: Place) -> &str {
        match place {
            Place::Tokyo => &self.world.primary.id,
            Place::Osaka => &self.world.secondary.id,
        }
    }

    fn visitor(&self, place: Place) -> &Visitor {
        match place {
            Place::Tokyo => &self.tokyo,
            Place::Osaka => &self.osaka,
        }
    }

    fn users(&self, place: Place) -> Vec<UserView> {
        self.region(place).cognito().users(self.pool(place))
    }

    fn seen(&mut self, person: Person) -> Option<&mut PersonSeen> {
        let at = *self.subs.get(&person)?;
        Some(&mut self.evidence.people[at])
    }

    /// The user of a person in a pool.
    fn user(&self, person: Person, place: Place) -> Option<UserView> {
        let seen = &self.evidence.people[*self.subs.get(&person)?];
        let users = self.users(place);
        if place == seen.home {
            return users.into_iter().find(|user| user.sub == seen.sub);
        }
        // Somebody whom only the name has matched has the identity of their user in Tokyo.
        let at_home = self.users(seen.home);
        let at_home = at_home.iter().find(|user| user.sub == seen.sub);
        let known_as = at_home.map_or(seen.sub.as_str(), identity);
        users.into_iter().find(|user| identity(user) == known_as)
    }

    /// The `sub` of each user who has a record in the journal.
    fn used(&self) -> BTreeSet<String> {
        let prefixes = JOURNAL.into_iter();
        let subs = prefixes.flat_map(|prefix| self.subs_of(Place::Osaka, SNAPSHOTS, prefix));
        subs.collect()
    }

    /// The names of the objects with a prefix.
    fn subs_of(&self, place: Place, bucket: &str, prefix: &str) -> BTreeSet<String> {
        let keys = self.region(place).s3().keys(bucket, prefix).into_iter();
        keys.filter_map(|key| {
            let name = key.strip_prefix(prefix)?.strip_suffix(".json")?;
            Some(name.to_owned())
        })
        .collect()
    }

    fn messages_sent(&self) -> [usize; 2] {
        [Place::Tokyo, Place::Osaka].map(|place| self.region(place).cognito().messages_sent())
    }

    /// People ask for messages when they sign up, reset a password, or take another address, in one region each. Nothing else sends any.
    fn note_messages(&mut self, step: &Step, before: [usize; 2]) {
        let asked_in = match step {
            Step::SignUp(_, place, _) | Step::Reset(_, place) | Step::Edit(_, place, ..) => {
                Some(*place)
            }
            Step::OwnMove(..) => Some(Place::Osaka),
            _ => None,
        };
        let now = self.messages_sent();
        for (at, place) in [Place::Tokyo, Place::Osaka].into_iter().enumerate() {
            if now[at] > before[at] && asked_in != Some(place) {
                let messages = format!("{step}: a message from {place:?}");
                self.evidence.messages.push(messages);
            }
        }
    }

    /// Notes who has vanished from the secondary pool, and in which changes of people both pools agree by now.
    fn look_at_secondary(&mut self) {
        let now = self.users(Place::Osaka);
        let primary = self.users(Place::Tokyo);
        let used = self.used();
        for (user, was_due) in std::mem::take(&mut self.secondary) {
            let is_there = now.iter().any(|other| other.sub == user.sub);
            let deleted_by_hand = self
                .evidence
                .people
                .iter()
                .any(|person| person.sub == user.sub && person.deleted);
            if is_there || deleted_by_hand || user.status == UserStatus::Unconfirmed {
                continue;
            }
            let address = user.attributes.get("email");
            self.evidence.vanished.push(Vanished {
                had_used: used.contains(&user.sub),
                was_due,
                was_needed: primary
                    .iter()
                    .any(|other| other.attributes.get("email") == address),
                was_in_primary: primary
                    .iter()
                    .any(|other| identity(other) == identity(&user)),
                user,
            });
        }
        for change in &mut self.evidence.own_changes {
            let user = now.iter().find(|user| user.sub == change.secondary_sub);
            let at_home = user.and_then(|user| {
                let mut primary = primary.iter();
                primary.find(|other| identity(other) == identity(user))
            });
            change.was_agreed |= at_home.is_some_and(|home| {
                home.attributes.get(&change.attribute) == change.value.as_ref()
            });
        }
        let due = |user: &UserView| {
            let key = format!("withheld/{}.json", identity(user));
            let record = self.world.osaka.s3().object(SNAPSHOTS, &key);
            let record = record.and_then(|record| serde_json::from_slice::<Value>(&record).ok());
            record.is_some_and(|record| record["first_missed"] == LONG_AGO)
        };
        self.secondary = now
            .into_iter()
            .map(|user| {
                let is_due = due(&user);
                (user, is_due)
            })
            .collect();
    }

    /// Does a step, and says what became of it.
    async fn step(&mut self, step: &Step) -> String {
        match step {
            Step::SignUp(person, place, address) => self.sign_up(*person, *place, *address).await,
            Step::Confirm(person, kill) => self.confirm(*person, *kill).await,
            Step::Reset(person, place) => self.reset(*person, *place).await,
            Step::Move(person, address) => self.move_to(*person, *address).await,
            Step::Edit(person, place, attribute, value) => {
                self.edit(*person, *place, attribute, *value)
            }
            Step::OwnMove(person, address) => self.move_in_osaka(*person, *address),
            Step::Ban(person, is_banned) => match self.user(*person, Place::Tokyo) {
                Some(user) => {
                    let cognito = self.world.tokyo.cognito();
                    cognito.set_enabled(&self.world.primary.id, &user.sub, !is_banned);
                    done()
                }
                None => not_possible(),
            },
            Step::PutGroup(number, description) => {
                let view = GroupView {
                    name: group(*number),
                    description: Some(value(self.history.seed, *description)),
                    precedence: Some(*description as u32),
                    ..GroupView::default()
                };
                let cognito = self.world.tokyo.cognito();
                cognito.put_group(&self.world.primary.id, view);
                done()
            }
            Step::RemoveGroup(number) => self.remove_group(*number),
            Step::Membership(person, number, enters) => {
                self.change_membership(*person, *number, *enters)
            }
            Step::DaysPass => self.let_days_pass().await,
            Step::Delete(person, place) => self.delete(*person, *place).await,
            Step::Disable(person) => self.disable(*person).await,
            Step::Work { job, copies, kill } => self.work(*job, *copies, *kill).await,
            Step::Fault(place, fault) => {
                self.region(*place).faults().add(fault.clone());
                self.faults.push((*place, fault.clone()));
                self.evidence.counts.faults += 1;
                done()
            }
            Step::NoFaults(place) => {
                self.end_faults(*place);
                done()
            }
            Step::Lose(place, how) => {
                self.region(*place).lose(*how);
                done()
            }
            Step::Return(place) => {
                self.region(*place).restore();
                done()
            }
            Step::Listing(place, lag, pages) => {
                let knobs = self.region(*place).cognito().knobs();
                knobs.set_list_lag(*lag);
                knobs.set_pages(*pages);
                self.longest_lag = self.longest_lag.max(*lag);
                done()
            }
            Step::ImportJobs(rows_per_second, unseen_starts, broken) => {
                let knobs = self.world.tokyo.cognito().knobs();
                knobs.set_import(ImportKnobs {
                    rows_per_second: *rows_per_second,
                    unseen_starts: *unseen_starts,
                    ..ImportKnobs::default()
                });
                knobs.break_rows(broken.iter().copied());
                done()
            }
            Step::Advance(place, by) => {
                self.region(*place).cognito().advance(*by);
                done()
            }
            Step::Cool(place, function) => {
                self.region(*place).lambda().kill(function);
                done()
            }
            Step::LeasesExpire => match self.expire_leases().await {
                true => done(),
                false => "not all of them".to_owned(),
            },
        }
    }

    fn end_faults(&mut self, place: Place) {
        self.region(place).faults().clear();
        self.faults.retain(|(of, _)| *of != place);
    }

    async fn sign_up(&mut self, person: Person, place: Place, address: Address) -> String {
        let profile = self.profile(person, address);
        let password = password(self.history.seed, person);
        for (name, value) in &profile.attributes {
            self.know(format!("{name} of p{person}"), value);
        }
        self.know(format!("the password of p{person}"), &password);
        match self.visitor(place).sign_up(&profile, &password).await {
            Ok(sub) => {
                self.subs.insert(person, self.evidence.people.len());
                self.addresses.insert(person, address);
                self.passwords
                    .insert((person, place == Place::Tokyo), password);
                self.evidence.counts.people += 1;
                self.evidence.people.push(PersonSeen {
                    sub: sub.clone(),
                    home: place,
                    confirmed: false,
                    excuse: None,
                    deleted: false,
                    has_moved: false,
                });
                format!("is {sub}")
            }
            Err(error) => format!("refused: {error:#}"),
        }
    }

    /// Remembers a value that no log may contain.
    fn know(&mut self, name: String, value: &str) {
        // Line breaks and quotation marks are escaped in a log, so the longest part between them is looked for.
        let parts = value.split(['\n', '"', '\\']);
        if let Some(part) = parts.max_by_key(|part| part.len())
            && part.len() > 5
        {
            self.evidence.personal.push((name, part.to_owned()));
        }
    }

    /// A quarter of the people have a value that an import file cannot carry as it is, or at all.
    fn profile(&self, person: Person, address: Address) -> Profile {
        let seed = self.history.seed;
        let mut attributes = BTreeMap::from([
            ("email".to_owned(), email(seed, address)),
            ("name".to_owned(), format!("Name{person}Of{seed:x}")),
            (
                "phone_number".to_owned(),
                format!("+8190{:08}", (seed * 31 + person as u64) % 100_000_000),
            ),
        ]);
        let note = format!("Note{person}Of{seed:x}");
        let note = match person % 8 {
            0 => format!("{note}, with a comma"),
            1 => format!("{note}\nand a second line"),
            2 => format!("\"{note}\""),
            _ => note,
        };
        attributes.insert("custom:note".to_owned(), note);
        Profile {
            kind: "chaos".to_owned(),
            status: "CONFIRMED".to_owned(),
            enabled: true,
            attributes,
        }
    }

    async fn confirm(&mut self, person: Person, kill: Option<usize>) -> String {
        let Some(&PersonSeen { home, .. }) = self.seen(person).map(|seen| &*seen) else {
            return not_possible();
        };
        let Some(user) = self.user(person, home) else {
            return not_possible();
        };
        let address = email(self.history.seed, self.addresses[&person]);
        let store_down = self.store_is_down(home);
        let trigger = match home {
            Place::Tokyo => REPLICATE_TRIGGER,
            Place::Osaka => BACKUP_TRIGGER,
        };
        let visitor = self.visitor(home).clone();
        let confirming = async move { visitor.confirm(&address).await };
        let (confirmed, waited, killed) = self.wait_for(home, trigger, kill, confirming).await;
        let failure = confirmed.as_ref().err().map(|error| format!("{error:#}"));
        let failed_trigger = failure.clone().filter(|error| error.contains("Lambda"));
        let is_confirmed = self.user(person, home).is_some_and(|now| {
            now.status == local_regions::cognito::UserStatus::Confirmed
                && user.status == local_regions::cognito::UserStatus::Unconfirmed
        });
        let was_killed = killed && failed_trigger.is_some();
        if was_killed {
            self.evidence.counts.kills += 1;
        }
        if is_confirmed && let Some(seen) = self.seen(person) {
            seen.confirmed = true;
            seen.excuse = match (was_killed, store_down) {
                (true, _) => Some(Excuse::Killed),
                (false, true) => Some(Excuse::StoreDown),
                (false, false) => None,
            };
        }
        self.evidence.waits.push(Wait {
            sub: user.sub,
            waited,
            failed: failed_trigger.filter(|_| !was_killed),
        });
        failure.unwrap_or_else(done)
    }

    async fn reset(&mut self, person: Person, place: Place) -> String {
        let Some(user) = self.user(person, place) else {
            return not_possible();
        };
        let Some(address) = user.attributes.get("email").cloned() else {
            return not_possible();
        };
        let new_password = format!("{}-new", password(self.history.seed, person));
        let password = new_password.clone();
        self.know(format!("the new password of p{person}"), &password);
        let trigger = match place {
            Place::Tokyo => REPLICATE_TRIGGER,
            Place::Osaka => BACKUP_TRIGGER,
        };
        let visitor = self.visitor(place).clone();
        let resetting = async move { visitor.reset_password(&address, &password).await };
        let (reset, waited, _) = self.wait_for(place, trigger, None, resetting).await;
        let failure = reset.err().map(|error| format!("{error:#}"));
        self.evidence.waits.push(Wait {
            sub: user.sub,
            waited,
            failed: failure.clone().filter(|error| error.contains("Lambda")),
        });
        let key = (person, place == Place::Tokyo);
        match failure {
            None => self.passwords.insert(key, new_password),
            // Perhaps it is set all the same.
            Some(_) => self.passwords.remove(&key),
        };
        failure.unwrap_or_else(done)
    }

    /// Runs something that waits for a trigger. Returns the result, how long it took because of twinpool, and whether the
    /// trigger was killed.
    async fn wait_for<T>(
        &self,
        place: Place,
        trigger: &str,
        kill: Option<usize>,
        running: impl Future<Output = T>,
    ) -> (T, Duration, bool) {
        self.lateness.take();
        let begun = Instant::now();
        let (result, killed) = self.kill_during(place, trigger, kill, running).await;
        let waited = begun.elapsed().saturating_sub(self.lateness.take());
        (result, waited, killed)
    }

    /// Runs something, and kills a function when so many calls have reached the regions since the beginning of the step.
    /// Returns the result, and whether the function was killed.
    async fn kill_during<T>(
        &self,
        place: Place,
        function: &str,
        kill: Option<usize>,
        running: impl Future<Output = T>,
    ) -> (T, bool) {
        let Some(calls) = kill else {
            return (running.await, false);
        };
        let killing = async {
            while self.world.calls().len() < calls {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            self.region(place).lambda().kill(function);
        };
        tokio::pin!(running);
        tokio::select! {
            biased;
            result = &mut running => (result, false),
            () = killing => (running.await, true),
        }
    }

    /// Whether the PUT that keeps a person may fail for the whole time that the trigger has for it.
    fn store_is_down(&self, place: Place) -> bool {
        let mut failures = 0;
        for (of, fault) in &self.faults {
            let is_put = fault.operation.as_deref() == Some("PutObject");
            if *of != place || !is_put || matches!(fault.kind, FaultKind::Delay(_)) {
                continue;
            }
            failures += match (&fault.kind, fault.times) {
                (_, None) => return true,
                (FaultKind::Hang, Some(times)) => times * 2,
                (_, Some(times)) => times,
            };
        }
        failures > SURVIVABLE_FAILURES
    }

    async fn move_to(&mut self, person: Person, address: Address) -> String {
        let Some(user) = self.user(person, Place::Tokyo) else {
            return not_possible();
        };
        let address = email(self.history.seed, address);
        self.know(format!("the new address of p{person}"), &address);
        let attribute = |name: &str, value: &str| {
            let attribute = AttributeType::builder().name(name).value(value);
            attribute.build().expect("it has a name")
        };
        let client = self.world.tokyo.cognito_client();
        let update = client
            .admin_update_user_attributes()
            .user_pool_id(&self.world.primary.id)
            .username(&user.username)
            .user_attributes(attribute("email", &address))
            .user_attributes(attribute("email_verified", "true"));
        let result = insist(|| update.clone().send()).await;
        if let Some(seen) = self.seen(person) {
            seen.has_moved = true;
        }
        result
    }

    fn edit(&mut self, person: Person, place: Place, name: &str, number: Option<usize>) -> String {
        let Some(user) = self.user(person, place) else {
            return not_possible();
        };
        let editor = match place {
            Place::Tokyo => Editor::Administrator,
            // Nobody can change anything with a password that nobody knows.
            Place::Osaka if !self.used().contains(&user.sub) => return not_possible(),
            Place::Osaka => Editor::Person,
        };
        let value = number.map(|number| value(self.history.seed, number));
        if let Some(value) = &value {
            self.know(format!("another {name} of p{person}"), value);
        }
        let cognito = self.region(place).cognito();
        let written = [(name, value.as_deref().unwrap_or_default())];
        match cognito.edit_user(self.pool(place), &user.sub, editor, &written) {
            Err(error) => format!("refused: {error:?}"),
            Ok(()) => {
                if place == Place::Osaka {
                    self.own_change(&user.sub, name, value);
                }
                done()
            }
        }
    }

    /// Somebody takes another address in Osaka and proves that it is theirs.
    fn move_in_osaka(&mut self, person: Person, address: Address) -> String {
        let Some(user) = self.user(person, Place::Osaka) else {
            return not_possible();
        };
        if !self.used().contains(&user.sub) {
            return not_possible();
        }
        let address = email(self.history.seed, address);
        self.know(format!("the address of p{person} in Osaka"), &address);
        let (cognito, pool) = (self.world.osaka.cognito(), &self.world.secondary.id);
        let written = [("email", address.as_str())];
        let edited = cognito.edit_user(pool, &user.sub, Editor::Person, &written);
        let proved = edited.and_then(|()| cognito.prove_address(pool, &user.sub, Contact::Email));
        match proved {
            Err(error) => format!("refused: {error:?}"),
            Ok(()) => {
                self.own_change(&user.sub, "email", Some(address));
                done()
            }
        }
    }

    fn own_change(&mut self, sub: &str, attribute: &str, value: Option<String>) {
        let changes = &mut self.evidence.own_changes;
        changes.retain(|change| (&*change.secondary_sub, &*change.attribute) != (sub, attribute));
        changes.push(OwnChange {
            secondary_sub: sub.to_owned(),
            attribute: attribute.to_owned(),
            value,
            was_agreed: false,
        });
    }

    fn remove_group(&self, number: Group) -> String {
        let (cognito, pool) = (self.world.tokyo.cognito(), &self.world.primary.id);
        let name = group(number);
        if !cognito.groups(pool).iter().any(|group| group.name == name) {
            return not_possible();
        }
        cognito.remove_group(pool, &name);
        done()
    }

    fn change_membership(&self, person: Person, number: Group, enters: bool) -> String {
        let Some(user) = self.user(person, Place::Tokyo) else {
            return not_possible();
        };
        let (cognito, pool) = (self.world.tokyo.cognito(), &self.world.primary.id);
        match enters {
            true => cognito.add_to_group(pool, &user.sub, &group(number)),
            false => cognito.remove_from_group(pool, &user.sub, &group(number)),
        }
        done()
    }

    /// Makes the records of withheld replicas as old as it takes to delete them.
    async fn let_days_pass(&self) -> String {
        for key in self.world.osaka.s3().keys(SNAPSHOTS, "withheld/") {
            let object = self.world.osaka.s3().object(SNAPSHOTS, &key);
            let record = object.and_then(|object| serde_json::from_slice::<Value>(&object).ok());
            let Some(mut record) = record else {
                continue;
            };
            record["first_missed"] = LONG_AGO.into();
            let client = self.world.osaka.s3_client();
            let put = client.put_object().bucket(SNAPSHOTS).key(key);
            let put = put.body(record.to_string().into_bytes().into()).send();
            // A fault may make this call fail or hang too.
            let put = tokio::time::timeout(Duration::from_secs(1), put).await;
            if !matches!(put, Ok(Ok(_))) {
                return "not for all of them".to_owned();
            }
        }
        done()
    }

    async fn delete(&mut self, person: Person, place: Place) -> String {
        let Some(user) = self.user(person, place) else {
            return not_possible();
        };
        let client = self.region(place).cognito_client();
        let delete = client
            .admin_delete_user()
            .user_pool_id(self.pool(place))
            .username(&user.username);
        let result = insist(|| delete.clone().send()).await;
        let gone = self.user(person, place).is_none();
        if let Some(seen) = self.seen(person) {
            seen.deleted |= gone;
        }
        result
    }

    async fn disable(&mut self, person: Person) -> String {
        let Some(user) = self.user(person, Place::Osaka) else {
            return not_possible();
        };
        let client = self.world.osaka.cognito_client();
        let disable = client
            .admin_disable_user()
            .user_pool_id(&self.world.secondary.id)
            .username(&user.username);
        self.evidence.disabled_in_osaka.insert(user.sub.clone());
        insist(|| disable.clone().send()).await
    }

    async fn work(&mut self, job: Job, copies: usize, kill: Option<usize>) -> String {
        let (place, function, payload) = match job {
            Job::Drain => (Place::Tokyo, REPLICATE_WORKER, json!({"action": "tick"})),
            Job::Tick => (Place::Osaka, BACKUP_WORKER, json!({"action": "tick"})),
            Job::Snapshot => (Place::Osaka, BACKUP_WORKER, json!({"action": "snapshot"})),
            Job::Restore => (Place::Tokyo, RESTORE, json!({})),
            Job::Reconcile => {
                let payload = json!({"action": "reconcile", "now": true});
                (Place::Tokyo, REPLICATE_WORKER, payload)
            }
        };
        let waiting = (self.evidence.people.iter())
            .filter(|person| person.home == Place::Osaka && person.confirmed)
            .filter(|person| person.excuse.is_none() && !person.deleted);
        let newcomers: Vec<_> = waiting.map(|person| person.sub.clone()).collect();
        let region = self.region(place).clone();
        let invocations = (0..copies).map(|_| invoke(&region, function, &payload));
        let invocations = futures_util::future::join_all(invocations);
        let working = self.kill_during(place, function, kill, invocations);
        let mut pointers = self.evidence.pointers.clone();
        let (answers, killed) = self.watch_pointers(&mut pointers, working).await;
        self.evidence.pointers = pointers;
        if killed && answers.iter().any(Result::is_err) {
            self.evidence.counts.kills += 1;
        }
        if job == Job::Reconcile {
            self.evidence.counts.reconciles += copies;
        }
        if job == Job::Restore {
            self.evidence.counts.restores += copies;
            let complete = answers
                .iter()
                .flatten()
                .filter(|answer| answer["status"] == "complete");
            let complete = complete.count();
            self.evidence.counts.complete += complete;
            if complete > 0 {
                self.evidence.complete_restores.push(CompleteRestore {
                    newcomers,
                    primary: self.users(Place::Tokyo),
                    secondary: self.users(Place::Osaka),
                    was_listing_late: self.longest_lag > Duration::ZERO && !self.is_quiet,
                });
            }
        }
        let words: Vec<_> = answers
            .iter()
            .map(|answer| match answer {
                Ok(answer) => answer.to_string(),
                Err(error) => error.clone(),
            })
            .collect();
        words.join(" | ")
    }

    /// Makes the leases of killed workers invalid. Returns whether that succeeded.
    async fn expire_leases(&self) -> bool {
        let mut all = true;
        for key in [
            "lease.json",
            "lease-newcomers.json",
            "restores/open.json",
            "reconciles/lease.json",
        ] {
            let Some(object) = self.world.osaka.s3().object(SNAPSHOTS, key) else {
                continue;
            };
            let Ok(mut lease) = serde_json::from_slice::<Value>(&object) else {
                continue;
            };
            if !lease["holder"].is_object() {
                continue;
            }
            lease["holder"]["until"] = json!("2026-01-01T00:00:00Z");
            let client = self.world.osaka.s3_client();
            let put = client.put_object().bucket(SNAPSHOTS).key(key);
            let put = put.body(lease.to_string().into_bytes().into()).send();
            // A fault may make this call fail or hang too.
            let put = tokio::time::timeout(Duration::from_secs(1), put).await;
            all &= matches!(put, Ok(Ok(_)));
        }
        all
    }

    /// All faults end, and the workers do what is left.
    async fn come_to_rest(&mut self) {
        for place in [Place::Tokyo, Place::Osaka] {
            self.end_faults(place);
            let region = self.region(place);
            region.restore();
            region.cognito().knobs().set_list_lag(Duration::ZERO);
        }
        // A restore cannot tell an address that changed hands from its former owner while the listing hides that owner's replica.
        tokio::time::sleep(self.longest_lag).await;
        self.is_quiet = true;
        let knobs = self.world.tokyo.cognito().knobs();
        knobs.set_import(ImportKnobs::default());
        self.limit_workers(QUIET_TIME_LIMIT);
        self.drain_until_stable().await;
        let mut snapshot = self.quiet(Job::Snapshot).await;
        if snapshot.contains("\"held\"") {
            // The region has carried out the last write of a killed worker only now.
            snapshot = self.quiet(Job::Snapshot).await;
        }
        if !snapshot.contains("\"complete\"") {
            let last = self.evidence.story.last().cloned().unwrap_or_default();
            self.evidence.unquiet.push(last);
        }
        let mut ended = false;
        for _ in 0..QUIET_ATTEMPTS {
            let answer = self.quiet(Job::Restore).await;
            ended = answer.contains("\"complete\"") || answer.contains("\"incomplete\"");
            if ended {
                break;
            }
            self.quiet(Job::Snapshot).await;
        }
        if !ended {
            let last = self.evidence.story.last().cloned().unwrap_or_default();
            let unquiet = format!("the restore does not end: {last}");
            self.evidence.unquiet.push(unquiet);
        }
        self.drain_until_stable().await;
        self.evidence.before_reconcile = BeforeReconcile {
            primary: self.users(Place::Tokyo),
            secondary: self.users(Place::Osaka),
            outbox: self.subs_of(Place::Tokyo, OUTBOX, "outbox/"),
            conflicts: self.subs_of(Place::Tokyo, OUTBOX, "conflicts/"),
        };
        self.reconcile_until_stable().await;
        let are_withheld = !self
            .world
            .osaka
            .s3()
            .keys(SNAPSHOTS, "withheld/")
            .is_empty();
        if are_withheld && self.history.kinds.has(Kind::Days) {
            self.let_days_pass().await;
            self.look_at_secondary();
            self.evidence.days_passed = true;
            self.reconcile_until_stable().await;
        }
        self.check_passwords().await;
    }

    /// Reconciles until a run finds nothing more to do.
    async fn reconcile_until_stable(&mut self) {
        let quiet_since = jiff::Timestamp::now();
        for _ in 0..QUIET_ATTEMPTS {
            let answer = self.quiet(Job::Reconcile).await;
            let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
            let changes = CHANGES
                .iter()
                .map(|change| answer["counts"][change].as_u64());
            let changes: u64 = changes.map(Option::unwrap_or_default).sum();
            let ended = answer["status"] == "complete" || answer["status"] == "incomplete";
            let Some(report) = answer["report"].as_str().filter(|_| ended && changes == 0) else {
                continue;
            };
            let report = self.world.osaka.s3().object(SNAPSHOTS, report);
            let report = report.and_then(|report| serde_json::from_slice::<Report>(&report).ok());
            // A run that was cut off before goes on with what it had listed then.
            if let Some(report) = report.filter(|report| report.started_at >= quiet_since) {
                self.evidence.reported = report.reported;
                // What a run could not do is reported.
                if answer["status"] == "complete" || !self.evidence.reported.is_empty() {
                    return;
                }
            }
        }
        let last = self.evidence.story.last().cloned().unwrap_or_default();
        let unquiet = format!("reconcile does not come to rest: {last}");
        self.evidence.unquiet.push(unquiet);
    }

    /// Signs everyone in whose password is known.
    async fn check_passwords(&mut self) {
        for ((person, in_tokyo), password) in self.passwords.clone() {
            let place = match in_tokyo {
                true => Place::Tokyo,
                false => Place::Osaka,
            };
            let Some(user) = self.user(person, place) else {
                continue;
            };
            let address = user.attributes.get("email").cloned().unwrap_or_default();
            if !user.enabled || user.status != UserStatus::Confirmed {
                continue;
            }
            if let Err(error) = self.visitor(place).signs_in(&address, &password).await {
                let refused = format!("p{person} ({}) in {place:?}: {error:#}", user.sub);
                self.evidence.changed_passwords.push(refused);
            }
        }
    }

    /// Runs a worker that nothing disturbs. No other worker is alive, so every lease is one of a killed worker.
    async fn quiet(&mut self, job: Job) -> String {
        self.expire_leases().await;
        self.world.clear_calls();
        let begun = Instant::now();
        let mail = self.messages_sent();
        let answer = self.work(job, 1, None).await;
        let step = Step::Work {
            job,
            copies: 1,
            kill: None,
        };
        self.note_messages(&step, mail);
        self.look_at_secondary();
        let took = begun.elapsed().as_millis();
        let line = format!("quiet, {job:?}: {answer} ({took} ms)");
        self.evidence.story.push(line);
        self.look_at_pointers();
        answer
    }

    async fn drain_until_stable(&mut self) {
        let mut depth = usize::MAX;
        for _ in 0..QUIET_ATTEMPTS {
            self.quiet(Job::Drain).await;
            let left = self.world.tokyo.s3().keys(OUTBOX, "outbox/").len();
            if left == 0 || left == depth {
                return;
            }
            depth = left;
        }
    }

    /// Notes what the pointers name now, if that has changed.
    fn look_at_pointers(&mut self) {
        let mut seen = std::mem::take(&mut self.evidence.pointers);
        self.add_changed_pointers(&mut seen);
        self.evidence.pointers = seen;
    }

    /// Runs something, and meanwhile looks again and again at what the pointers name.
    async fn watch_pointers<T>(
        &self,
        seen: &mut Vec<PointerSeen>,
        running: impl Future<Output = T>,
    ) -> T {
        let watching = async {
            loop {
                tokio::time::sleep(POINTER_INTERVAL).await;
                self.add_changed_pointers(seen);
            }
        };
        tokio::select! {
            result = running => result,
            () = watching => unreachable!("it never ends"),
        }
    }

    fn add_changed_pointers(&self, seen: &mut Vec<PointerSeen>) {
        for key in POINTERS {
            let last = seen.iter().rfind(|seen| seen.key == key).cloned();
            let now = self.pointer(key, last.is_some());
            if let Some(now) = now.filter(|now| last.as_ref() != Some(now)) {
                seen.push(now);
            }
        }
    }

    fn pointer(&self, key: &'static str, expected: bool) -> Option<PointerSeen> {
        let s3 = self.world.osaka.s3();
        let object = s3.object(SNAPSHOTS, key);
        if object.is_none() && !expected {
            return None;
        }
        let pointer: Option<Value> = object.and_then(|object| serde_json::from_slice(&object).ok());
        let pointer = pointer.unwrap_or_default();
        let problem = || {
            let manifest = pointer["manifest"].as_str().context("no pointer")?;
            let manifest = s3.object(SNAPSHOTS, manifest).context("no manifest")?;
            let manifest: Value = serde_json::from_slice(&manifest)?;
            for file in manifest["files"].as_array().context("no files")? {
                let name = file["key"].as_str().context("no key")?;
                let content = s3
                    .object(SNAPSHOTS, name)
                    .with_context(|| format!("no {name}"))?;
                let digest = format!("{:x}", Sha256::digest(&content));
                anyhow::ensure!(file["sha256"] == digest.as_str(), "{name} is another file");
            }
            Ok(())
        };
        Some(PointerSeen {
            key,
            snapshot: pointer["snapshot"].as_str().unwrap_or_default().to_owned(),
            problem: problem().err().map(|error| error.to_string()),
        })
    }

    fn collect(mut self) -> anyhow::Result<Evidence> {
        self.evidence.primary = self.users(Place::Tokyo);
        self.evidence.secondary = self.users(Place::Osaka);
        let waiting = self.subs_of(Place::Osaka, SNAPSHOTS, JOURNAL[0]);
        let restored = self.subs_of(Place::Osaka, SNAPSHOTS, JOURNAL[1]);
        self.evidence.used = self.used();
        self.evidence.groups = [Place::Tokyo, Place::Osaka].map(|place| {
            let (cognito, pool) = (self.region(place).cognito(), self.pool(place));
            let groups = cognito.groups(pool).into_iter();
            groups
                .map(|group| GroupSeen {
                    members: cognito.members_of(pool, &group.name),
                    group,
                })
                .collect()
        });
        self.evidence.journal = &waiting | &restored;
        for (place, function) in FUNCTIONS {
            let log = self.world.log(self.region(place), function);
            match function {
                REPLICATE_TRIGGER => self.evidence.lost[0] = sum_of_metric(&log, "Lost"),
                BACKUP_TRIGGER => self.evidence.lost[1] = sum_of_metric(&log, "Lost"),
                _ => {}
            }
            self.evidence.logs.push((function, log));
        }
        Ok(self.evidence)
    }
}

const FUNCTIONS: [(Place, &str); 5] = [
    (Place::Tokyo, REPLICATE_TRIGGER),
    (Place::Tokyo, REPLICATE_WORKER),
    (Place::Tokyo, RESTORE),
    (Place::Osaka, BACKUP_TRIGGER),
    (Place::Osaka, BACKUP_WORKER),
];

fn done() -> String {
    "done".to_owned()
}

fn not_possible() -> String {
    "not possible".to_owned()
}

fn password(seed: u64, person: Person) -> String {
    format!("Password-{person}-of-{seed:x}")
}

fn sum_of_metric(log: &str, metric: &str) -> u64 {
    let lines = log.lines();
    lines
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|line| line[metric].as_u64())
        .sum()
}

async fn invoke(region: &Region, function: &str, payload: &Value) -> Result<Value, String> {
    let payload = Bytes::from(payload.to_string());
    let answer = region.lambda().invoke(function, payload).await;
    let answer = answer.map_err(|error| error.to_string())?;
    serde_json::from_slice(&answer).map_err(|error| error.to_string())
}

/// Sends a call of an administrator until it succeeds, because the faults are meant for twinpool.
async fn insist<T, E: std::error::Error, F: Future<Output = Result<T, E>>>(
    call: impl Fn() -> F,
) -> String {
    let mut error = String::new();
    for _ in 0..OWN_ATTEMPTS {
        let sent = tokio::time::timeout(Duration::from_secs(1), call()).await;
        match sent {
            Ok(Ok(_)) => return done(),
            Ok(Err(refused)) => error = format!("{refused:?}"),
            Err(_) => error = "no answer".to_owned(),
        }
    }
    let short: String = error.chars().take(200).collect();
    format!("refused: {short}")
}
