//! The users of a snapshot among themselves: whose names, or addresses to sign in with, are one in the target pool, and which identities the
//! snapshot has.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use crate::decision::{can_be_created, is_in_scope};
use crate::error::RestoreError;
use crate::names::{IdentityHash, NameHash, PersonKey};
use crate::newcomers::{Newcomers, UnmatchedCause};
use crate::request::Scope;
use crate::snapshot_users::{SnapshotEntry, SnapshotUser, SnapshotUsers};
use crate::source::SourceSnapshot;
use crate::who::{Comparison, Who};

/// The names that several users of a snapshot share in the target pool, and the identities of all its users.
#[derive(Debug, Default)]
pub struct Namesakes {
    groups: HashMap<NameHash, Group>,
    /// The users to restore of whom a user before them has a name or an address that one user only can have.
    second: HashSet<PersonKey>,
    /// Sorted.
    identities: Vec<IdentityHash>,
}

/// Users of a snapshot whose names are one name in the target pool: a pool that distinguishes letter case can have `Foo` and `foo`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Group {
    members: Vec<PersonKey>,
    /// The member who is restored if nobody has the name: the first one in scope.
    first: Option<PersonKey>,
}

impl Group {
    /// Whether this member gets the name while no user of the target pool has it.
    pub fn is_first(&self, member: PersonKey) -> bool {
        self.first == Some(member)
    }

    /// Whether, of all members, only this one has the name that the holder has, letter by letter.
    pub fn is_only_one_named(&self, member: PersonKey, holder: PersonKey) -> bool {
        member == holder && self.members.iter().filter(|m| **m == holder).count() == 1
    }
}

/// A user of the snapshot who can have a name, and whether the restore may bring them.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    name: NameHash,
    key: PersonKey,
    is_in_scope: bool,
}

impl Namesakes {
    /// Reads the users of a snapshot, and the owners of the sign-up records whom it does not have.
    ///
    /// # Errors
    ///
    /// The snapshot cannot be read.
    pub async fn read(
        source: &SourceSnapshot,
        comparison: &Comparison,
        newcomers: &Newcomers,
        scope: Scope,
    ) -> Result<Self, RestoreError> {
        let mut identities = Vec::new();
        let mut names = Vec::new();
        let mut users = SnapshotUsers::of(source, comparison, newcomers);
        while let Some(user) = users.next().await? {
            identities.extend(user.who.identity);
            if can_have_name(&user.entry) {
                names.push(user.who.name);
                if is_in_scope(scope, newcomers.state_of(&user.who.key)) {
                    names.extend(further_names(source, comparison, &user)?);
                }
            }
        }
        // Whoever was deleted does not need the name any more.
        let unmatched = newcomers.unmatched.iter().filter(|unmatched| {
            unmatched.username.is_some() && unmatched.cause != UnmatchedCause::Deleted
        });
        names.extend(unmatched.map(|unmatched| unmatched.who.name));
        identities.sort_unstable();
        let shared = repeated(names);
        let mut candidates = Vec::new();
        let mut takers = Takers::default();
        if !shared.is_empty() {
            let mut users = SnapshotUsers::of(source, comparison, newcomers);
            while let Some(user) = users.next().await? {
                if !can_have_name(&user.entry) {
                    continue;
                }
                let Who { name, key, .. } = user.who;
                let is_in_scope = is_in_scope(scope, newcomers.state_of(&key));
                if is_in_scope {
                    let names = further_names(source, comparison, &user)?;
                    let names = names.into_iter().chain([name]);
                    takers.add(key, names.filter(|name| shared.contains(name)).collect());
                }
                if shared.contains(&name) {
                    candidates.push(Candidate {
                        name,
                        key,
                        is_in_scope,
                    });
                }
            }
            let unmatched = newcomers.unmatched.iter().map(|unmatched| Candidate {
                name: unmatched.who.name,
                key: unmatched.who.key,
                is_in_scope: false,
            });
            candidates.extend(unmatched.filter(|candidate| shared.contains(&candidate.name)));
        }
        Ok(Self {
            groups: groups(&candidates),
            second: takers.second,
            identities,
        })
    }

    /// Whether a user before this one, who is to be restored too, has a name or an address that one user only can have.
    pub fn is_second(&self, user: PersonKey) -> bool {
        self.second.contains(&user)
    }

    /// The users who share a name in the target pool.
    pub fn group(&self, name: &NameHash) -> Option<&Group> {
        self.groups.get(name)
    }

    /// The names that several users share.
    pub fn names(&self) -> impl Iterator<Item = &NameHash> {
        self.groups.keys()
    }

    /// Whether a user of the snapshot has this identity.
    pub fn has_identity(&self, identity: &IdentityHash) -> bool {
        self.identities.binary_search(identity).is_ok()
    }
}

/// Everything but the username that a user of the snapshot signs in with in the target pool.
fn further_names(
    source: &SourceSnapshot,
    comparison: &Comparison,
    user: &SnapshotUser,
) -> Result<Vec<NameHash>, RestoreError> {
    Ok(match &user.entry {
        SnapshotEntry::ImportRow(row) => {
            let cells = source.cells(row)?;
            comparison.further_names(&user.who, |attribute| cells.get(attribute))
        }
        SnapshotEntry::Leftover(leftover) => comparison.further_names(&user.who, |attribute| {
            leftover.attributes.get(attribute).map(Cow::Borrowed)
        }),
    })
}

/// Who takes which name, in the order of the snapshot.
#[derive(Debug, Default)]
struct Takers {
    taken: HashSet<NameHash>,
    second: HashSet<PersonKey>,
}

impl Takers {
    /// Adds a user, who takes all of these names, or none if another user has taken one of them.
    fn add(&mut self, user: PersonKey, names: Vec<NameHash>) {
        if names.iter().any(|name| self.taken.contains(name)) {
            self.second.insert(user);
        } else {
            self.taken.extend(names);
        }
    }
}

/// Whether this user has, or can get, their name in the target pool.
fn can_have_name(entry: &SnapshotEntry) -> bool {
    match entry {
        SnapshotEntry::ImportRow(_) => true,
        SnapshotEntry::Leftover(leftover) => can_be_created(&leftover.reason),
    }
}

fn repeated(mut names: Vec<NameHash>) -> HashSet<NameHash> {
    names.sort_unstable();
    let groups = names.chunk_by(|one, other| one == other);
    groups.filter(|g| g.len() > 1).map(|g| g[0]).collect()
}

fn groups(candidates: &[Candidate]) -> HashMap<NameHash, Group> {
    let mut groups: HashMap<NameHash, Group> = HashMap::new();
    for candidate in candidates {
        let group = groups.entry(candidate.name).or_default();
        group.members.push(candidate.key);
        if candidate.is_in_scope && group.first.is_none() {
            group.first = Some(candidate.key);
        }
    }
    // A name that is another user's address is no group of its own.
    groups.retain(|_, group| group.members.len() > 1);
    groups
}

#[cfg(test)]
impl Namesakes {
    pub(crate) fn for_test(members: &[(&Who, bool)], identities: &[&str]) -> Self {
        let candidates: Vec<_> = members
            .iter()
            .map(|(who, is_in_scope)| Candidate {
                name: who.name,
                key: who.key,
                is_in_scope: *is_in_scope,
            })
            .collect();
        let mut identities: Vec<_> = identities.iter().map(|i| IdentityHash::of(i)).collect();
        identities.sort_unstable();
        Self {
            groups: groups(&candidates),
            second: HashSet::new(),
            identities,
        }
    }
}
