//! How far an unfinished snapshot has come: `snapshots/<id>/progress.json`.
//!
//! The pool is listed in sixteen chains (see [`listing`](crate::cognito::listing)). The users whom a chain has listed are stored in
//! parts: objects with names of their own that never change. So a chain that is restarted drops its parts, and with them its own
//! users and nobody else.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::cognito::listing::{CHAIN_COUNT, Chain, Position};
use crate::id::Id;
use crate::pool_id::PoolId;
use crate::snapshot::layout::PARTS_PREFIX;
use crate::snapshot::scope::Scope;

/// `progress.json`: an unfinished snapshot, to which one worker after the other adds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    version: u32,
    /// The snapshot's name.
    pub snapshot: Id,
    /// The id of the pool.
    pub pool: String,
    /// When listing began.
    pub started_at: Timestamp,
    /// When this was stored.
    pub stored_at: Timestamp,
    /// The start of the previous snapshot: newer sign-up records are recent.
    pub previous: Option<Timestamp>,
    /// What it covers.
    #[serde(default)]
    pub scope: Scope,
    /// Of a snapshot of the newcomers: the earlier one from which people are taken over. None when everyone is looked up.
    #[serde(default)]
    pub base: Option<Id>,
    /// Of a snapshot that has taken people over: when the first of the snapshots began that have looked them up.
    #[serde(default)]
    taken_over_as_of: Option<Timestamp>,
    /// Whether an operator has accepted that the pool has shrunk.
    pub accept_shrink: bool,
    /// Set when its last worker began to close its files, to the number of sign-up records known then. From then on no other
    /// worker may resume it, because their files would have the same names.
    pub closing: Option<u64>,
    /// The number of this worker, so that no two workers write the same part or the same text here.
    worker_number: u32,
    holder: String,
    chains: [ChainProgress; CHAIN_COUNT],
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct ChainProgress {
    next: Position,
    users: u64,
    /// How many parts each worker has added, by its number.
    parts: BTreeMap<u32, u32>,
}

impl Progress {
    /// A snapshot of this name that its first worker starts at this time.
    pub fn start(
        snapshot: Id,
        pool: &PoolId,
        started_at: Timestamp,
        previous: Option<Timestamp>,
        holder: &str,
        accept_shrink: bool,
    ) -> Self {
        Self {
            version: 1,
            snapshot,
            pool: pool.to_string(),
            started_at,
            stored_at: started_at,
            previous,
            scope: Scope::Pool,
            base: None,
            taken_over_as_of: None,
            accept_shrink,
            closing: None,
            worker_number: 1,
            holder: holder.to_owned(),
            chains: Default::default(),
        }
    }

    /// The same, as a snapshot of the newcomers, who are taken over from an earlier one as far as that knows them.
    pub fn of_newcomers(self, base: Option<Id>) -> Self {
        Self {
            scope: Scope::Newcomers,
            base,
            ..self
        }
    }

    /// Since when everyone in a snapshot of the newcomers was looked up.
    pub fn as_of(&self) -> Timestamp {
        self.taken_over_as_of.unwrap_or(self.started_at)
    }

    /// Notes that people are taken over who were looked up since this time.
    pub fn take_over_as_of(&mut self, as_of: Timestamp) {
        self.taken_over_as_of = Some(as_of.min(self.as_of()));
    }

    /// Hands it over to the next worker.
    pub fn hand_over(&mut self, holder: &str, accept_shrink: bool) {
        self.worker_number += 1;
        self.holder = holder.to_owned();
        self.accept_shrink |= accept_shrink;
    }

    /// Whether both were written by the same worker.
    pub fn is_by_same_worker(&self, other: &Self) -> bool {
        (self.worker_number, &self.holder) == (other.worker_number, &other.holder)
    }

    /// How far a chain is listed into parts.
    pub fn position(&self, chain: Chain) -> &Position {
        &self.chains[chain.index()].next
    }

    /// How many users are in parts.
    pub fn users(&self) -> u64 {
        self.chains.iter().map(|chain| chain.users).sum()
    }

    /// Whether every chain is completely listed.
    pub fn is_completely_listed(&self) -> bool {
        self.chains.iter().all(|chain| chain.next == Position::End)
    }

    /// The key of the next part of a chain.
    pub fn next_part_key(&self, chain: Chain) -> String {
        let parts = &self.chains[chain.index()].parts;
        let parts = parts.get(&self.worker_number).unwrap_or(&0);
        self.part_key(chain, self.worker_number, parts + 1)
    }

    /// Notes that a chain is listed up to a position. If there were users, they are in its next part.
    pub fn advance(&mut self, chain: Chain, users: u64, position: Position) {
        let chain = &mut self.chains[chain.index()];
        chain.next = position;
        if users > 0 {
            chain.users += users;
            *chain.parts.entry(self.worker_number).or_default() += 1;
        }
    }

    /// Drops the parts of a chain, which is listed from its beginning again.
    pub fn restart_chain(&mut self, chain: Chain) {
        self.chains[chain.index()] = ChainProgress::default();
    }

    /// The keys of all parts.
    pub fn part_keys(&self) -> impl Iterator<Item = String> {
        let by_worker = Chain::all().flat_map(|chain| {
            let parts = self.chains[chain.index()].parts.iter();
            parts.map(move |(&worker, &parts)| (chain, worker, parts))
        });
        by_worker.flat_map(move |(chain, worker, parts)| {
            (1..=parts).map(move |number| self.part_key(chain, worker, number))
        })
    }

    fn part_key(&self, chain: Chain, worker: u32, number: u32) -> String {
        let (snapshot, digit) = (&self.snapshot, chain.first_digit());
        format!("{PARTS_PREFIX}{snapshot}/{worker:04}-{digit}-{number:04}.jsonl")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What may happen to a worker.
    #[derive(Clone, Copy, Debug)]
    enum Event {
        /// A chain lists a page of so many users.
        Page(usize, usize),
        /// A chain writes what it has listed as a part.
        Part(usize),
        /// Everything is written, and the progress stored.
        Save,
        /// The worker is killed, and the next one resumes from what was stored.
        Kill,
        /// The same, and the tokens have expired.
        KillAndExpire,
    }

    fn nth(chain: usize) -> Chain {
        Chain::all().nth(chain).unwrap()
    }

    fn event() -> impl Strategy<Value = Event> {
        let chain = 0..CHAIN_COUNT;
        prop_oneof![
            8 => (chain.clone(), 0_usize..5).prop_map(|(chain, users)| Event::Page(chain, users)),
            4 => chain.prop_map(Event::Part),
            2 => Just(Event::Save),
            1 => Just(Event::Kill),
            1 => Just(Event::KillAndExpire),
        ]
    }

    /// A worker, the S3 it writes to, and a pool in which a token is a number of users.
    struct Run {
        pool: [usize; CHAIN_COUNT],
        stored: Progress,
        now: Progress,
        unwritten: [(Vec<usize>, Option<Position>); CHAIN_COUNT],
        objects: BTreeMap<String, Vec<(usize, usize)>>,
    }

    impl Run {
        fn new(pool: [usize; CHAIN_COUNT]) -> Self {
            let id = "ap-northeast-3_Secondary".parse().unwrap();
            let start = Timestamp::UNIX_EPOCH;
            let begun = Progress::start(Id::new(start), &id, start, None, "first", false);
            Self {
                pool,
                stored: begun.clone(),
                now: begun,
                unwritten: Default::default(),
                objects: BTreeMap::new(),
            }
        }

        fn page(&mut self, chain: usize, users: usize) {
            let (listed, next) = &mut self.unwritten[chain];
            let from = match next.as_ref().unwrap_or(self.now.position(nth(chain))) {
                Position::Start => 0,
                Position::Token(token) => token.parse().unwrap(),
                Position::End => return,
            };
            let to = (from + users).min(self.pool[chain]);
            listed.extend(from..to);
            *next = Some(match to == self.pool[chain] {
                true => Position::End,
                false => Position::Token(to.to_string()),
            });
        }

        fn part(&mut self, chain: usize) {
            let (listed, next) = std::mem::take(&mut self.unwritten[chain]);
            let Some(next) = next else { return };
            let users = listed.len() as u64;
            if users > 0 {
                let part = listed.into_iter().map(|user| (chain, user)).collect();
                let taken = self
                    .objects
                    .insert(self.now.next_part_key(nth(chain)), part);
                assert!(taken.is_none(), "a part is written once");
            }
            self.now.advance(nth(chain), users, next);
        }

        fn save(&mut self) {
            (0..CHAIN_COUNT).for_each(|chain| self.part(chain));
            let json = serde_json::to_string(&self.now).unwrap();
            self.stored = serde_json::from_str(&json).unwrap();
            assert_eq!(self.stored, self.now);
        }

        fn kill(&mut self, expire: bool) {
            self.unwritten = Default::default();
            // The next worker stores that it has taken over before it does anything.
            self.stored.hand_over("next", false);
            self.now = self.stored.clone();
            for chain in 0..CHAIN_COUNT {
                if expire && matches!(self.now.position(nth(chain)), Position::Token(_)) {
                    self.now.restart_chain(nth(chain));
                }
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_happens_to_its_workers_a_snapshot_contains_each_user_once(
            pool in prop::array::uniform16(0_usize..20),
            events in prop::collection::vec(event(), 0..200),
        ) {
            let mut run = Run::new(pool);
            for event in events {
                match event {
                    Event::Page(chain, users) => run.page(chain, users),
                    Event::Part(chain) => run.part(chain),
                    Event::Save => run.save(),
                    Event::Kill => run.kill(false),
                    Event::KillAndExpire => run.kill(true),
                }
            }
            (0..CHAIN_COUNT).for_each(|chain| run.page(chain, 20));
            run.save();

            prop_assert!(run.now.is_completely_listed());
            let parts = run.now.part_keys().map(|key| run.objects[&key].clone());
            let mut users: Vec<_> = parts.flatten().collect();
            users.sort_unstable();
            let everybody = pool.iter().enumerate();
            let everybody = everybody.flat_map(|(chain, &n)| (0..n).map(move |user| (chain, user)));
            let everybody: Vec<_> = everybody.collect();
            prop_assert_eq!(run.now.users(), everybody.len() as u64);
            prop_assert_eq!(users, everybody);
        }
    }
}
