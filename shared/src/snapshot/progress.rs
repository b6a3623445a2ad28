//! How far an unfinished snapshot has come: `snapshots/<id>/progress.json`.
//!
//! The pool is listed in sixteen chains of pages, one a first digit of `sub`. Those whom a chain has listed are kept in parts,
//! objects with a name of their own that never change. So a chain that starts anew forgets its parts, and with them its own people
//! and nobody else.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::pool::PoolId;
use crate::snapshot::Id;

/// Where parts are. No snapshot holds them when it is complete, so the bucket's lifecycle removes what is below in days.
pub const PARTS: &str = "parts/";

/// How many chains list a pool.
pub const CHAINS: usize = 16;

/// The first digit of `sub` of those whom a chain lists.
pub fn digit(chain: usize) -> char {
    char::from(b"0123456789abcdef"[chain])
}

/// `progress.json`: an unfinished snapshot, worked at by one worker after the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    version: u32,
    /// The snapshot's name.
    pub snapshot: Id,
    /// The id of the pool it is of.
    pub pool: String,
    /// When listing began.
    pub started_at: Timestamp,
    /// When this was stored.
    pub stored_at: Timestamp,
    /// The start of the previous snapshot, to which this one's newcomers are compared.
    pub previous: Option<Timestamp>,
    /// Whether anybody who asked for it accepts that the pool has shrunk.
    pub accept_shrink: bool,
    /// Set when its last worker began to close its files, to the number of sign-up records known then. From there on
    /// nobody else may go on with it, since their files would have the same names.
    pub closing: Option<u64>,
    /// Counts the workers, so that no two write the same part or the same text here.
    leg: u32,
    holder: String,
    chains: [Chain; CHAINS],
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Chain {
    next: Next,
    users: u64,
    /// How many parts each leg has added.
    parts: BTreeMap<u32, u32>,
}

/// Where a chain goes on.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Next {
    /// At its beginning.
    #[default]
    Start,
    /// After the page that gave this token, which lives an hour (DG:how-to-manage-user-accounts).
    Token(String),
    /// Nowhere: everybody is listed.
    End,
}

impl fmt::Debug for Next {
    /// Without the token, of which nobody knows what it says.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "Start",
            Self::Token(_) => "Token",
            Self::End => "End",
        })
    }
}

impl Progress {
    /// A snapshot that starts now, by its first worker.
    pub fn begin(
        pool: &PoolId,
        started_at: Timestamp,
        previous: Option<Timestamp>,
        holder: &str,
        accept_shrink: bool,
    ) -> Self {
        Self {
            version: 1,
            snapshot: Id::new(started_at),
            pool: pool.to_string(),
            started_at,
            stored_at: started_at,
            previous,
            accept_shrink,
            closing: None,
            leg: 1,
            holder: holder.to_owned(),
            chains: Default::default(),
        }
    }

    /// Hands it on to a next worker.
    pub fn hand_on(&mut self, holder: &str, accept_shrink: bool) {
        self.leg += 1;
        self.holder = holder.to_owned();
        self.accept_shrink |= accept_shrink;
    }

    /// Whether both are of the same worker.
    pub fn is_by_the_same(&self, other: &Self) -> bool {
        (self.leg, &self.holder) == (other.leg, &other.holder)
    }

    /// Where a chain goes on, as far as its parts tell.
    pub fn next(&self, chain: usize) -> &Next {
        &self.chains[chain].next
    }

    /// How many users are in parts.
    pub fn users(&self) -> u64 {
        self.chains.iter().map(|chain| chain.users).sum()
    }

    /// Whether every chain is at its end.
    pub fn is_listed(&self) -> bool {
        self.chains.iter().all(|chain| chain.next == Next::End)
    }

    /// The key of the part that a chain would add now.
    pub fn next_part(&self, chain: usize) -> String {
        let parts = self.chains[chain].parts.get(&self.leg).unwrap_or(&0);
        self.part(chain, self.leg, parts + 1)
    }

    /// Notes that a chain's next part holds these users, or that there was nobody to be put into one, and where it goes on.
    pub fn advance(&mut self, chain: usize, users: u64, next: Next) {
        let chain = &mut self.chains[chain];
        chain.next = next;
        if users > 0 {
            chain.users += users;
            *chain.parts.entry(self.leg).or_default() += 1;
        }
    }

    /// Lets a chain start anew.
    pub fn forget(&mut self, chain: usize) {
        self.chains[chain] = Chain::default();
    }

    /// The keys of all parts.
    pub fn parts(&self) -> impl Iterator<Item = String> {
        let chains = self.chains.iter().enumerate();
        let legs = chains.flat_map(|(chain, state)| {
            let legs = state.parts.iter();
            legs.map(move |(&leg, &parts)| (chain, leg, parts))
        });
        legs.flat_map(move |(chain, leg, parts)| {
            (1..=parts).map(move |number| self.part(chain, leg, number))
        })
    }

    fn part(&self, chain: usize, leg: u32, number: u32) -> String {
        let (snapshot, digit) = (&self.snapshot, digit(chain));
        format!("{PARTS}{snapshot}/{leg:04}-{digit}-{number:04}.jsonl")
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
        /// A chain puts away what it has listed.
        Part(usize),
        /// Everything is put away, and the progress stored.
        Save,
        /// The worker is killed, and the next one goes on with what was stored.
        Kill,
        /// The same, and an hour has passed.
        KillAndExpire,
    }

    fn event() -> impl Strategy<Value = Event> {
        let chain = 0..CHAINS;
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
        pool: [usize; CHAINS],
        stored: Progress,
        now: Progress,
        drawers: [(Vec<usize>, Option<Next>); CHAINS],
        objects: BTreeMap<String, Vec<(usize, usize)>>,
    }

    impl Run {
        fn new(pool: [usize; CHAINS]) -> Self {
            let id = "ap-northeast-3_Secondary".parse().unwrap();
            let begun = Progress::begin(&id, Timestamp::UNIX_EPOCH, None, "first", false);
            Self {
                pool,
                stored: begun.clone(),
                now: begun,
                drawers: Default::default(),
                objects: BTreeMap::new(),
            }
        }

        fn page(&mut self, chain: usize, users: usize) {
            let (listed, next) = &mut self.drawers[chain];
            let from = match next.as_ref().unwrap_or(self.now.next(chain)) {
                Next::Start => 0,
                Next::Token(token) => token.parse().unwrap(),
                Next::End => return,
            };
            let to = (from + users).min(self.pool[chain]);
            listed.extend(from..to);
            *next = Some(match to == self.pool[chain] {
                true => Next::End,
                false => Next::Token(to.to_string()),
            });
        }

        fn part(&mut self, chain: usize) {
            let (listed, next) = std::mem::take(&mut self.drawers[chain]);
            let Some(next) = next else { return };
            let users = listed.len() as u64;
            if users > 0 {
                let part = listed.into_iter().map(|user| (chain, user)).collect();
                let taken = self.objects.insert(self.now.next_part(chain), part);
                assert!(taken.is_none(), "a part is written once");
            }
            self.now.advance(chain, users, next);
        }

        fn save(&mut self) {
            (0..CHAINS).for_each(|chain| self.part(chain));
            let json = serde_json::to_string(&self.now).unwrap();
            self.stored = serde_json::from_str(&json).unwrap();
            assert_eq!(self.stored, self.now);
        }

        fn kill(&mut self, expire: bool) {
            self.drawers = Default::default();
            // The next worker stores that it goes on before it does anything.
            self.stored.hand_on("next", false);
            self.now = self.stored.clone();
            for chain in 0..CHAINS {
                if expire && matches!(self.now.next(chain), Next::Token(_)) {
                    self.now.forget(chain);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_happens_to_its_workers_a_snapshot_holds_everybody_once(
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
            (0..CHAINS).for_each(|chain| run.page(chain, 20));
            run.save();

            prop_assert!(run.now.is_listed());
            let parts = run.now.parts().map(|key| run.objects[&key].clone());
            let mut users: Vec<_> = parts.flatten().collect();
            users.sort_unstable();
            let everybody = pool.iter().enumerate();
            let everybody = everybody.flat_map(|(chain, &n)| (0..n).map(move |user| (chain, user)));
            let everybody: Vec<_> = everybody.collect();
            prop_assert_eq!(run.now.users(), everybody.len() as u64);
            prop_assert_eq!(users, everybody);
        }
    }

    #[test]
    fn a_token_is_not_for_a_log() {
        let next = Next::Token("taro".into());

        assert!(!format!("{next:?}").contains("taro"));
    }
}
