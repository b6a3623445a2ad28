//! Who signs up when and where.

use anyhow::{Context, ensure};
use harness::people::Profile;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;

/// The people of a drill, grouped by when and where they sign up.
pub struct Cast {
    /// In Tokyo, before twinpool was installed.
    pub before: Before,
    /// In Tokyo, on a normal day.
    pub normal_day: Vec<Profile>,
    /// In Tokyo, while Osaka refuses connections.
    pub outage: Vec<Profile>,
    /// In Osaka, during the outage of Tokyo.
    pub newcomers: Vec<Profile>,
}

/// The people who were there before twinpool.
pub struct Before {
    /// Nothing happens to them.
    pub unchanged: Vec<Profile>,
    /// Is banned after reconcile has brought them to Osaka.
    pub banned: Profile,
    /// Is deleted after that.
    pub deleted: Profile,
    /// Gets another address after that.
    pub moved: Profile,
}

/// What [`Before`] begins with: three people who get a part, and somebody who enters in the failover.
const PLAIN_BEFORE: usize = 4;

impl Before {
    /// Gives three of the people a part; the last ones are of kind "plain".
    fn of(mut people: Vec<Profile>) -> anyhow::Result<Self> {
        let mut last = || people.pop().context("too few people were there before");
        Ok(Self {
            banned: last()?,
            deleted: last()?,
            moved: last()?,
            unchanged: people,
        })
    }

    /// All of them.
    pub fn everyone(&self) -> Vec<Profile> {
        let changing = [&self.banned, &self.deleted, &self.moved];
        let everyone = self.unchanged.iter().chain(changing);
        everyone.cloned().collect()
    }

    /// Those of them who are in Osaka as their profiles say after reconcile: who have confirmed and are enabled.
    pub fn mirrored(&self) -> Vec<Profile> {
        let mut people = self.everyone();
        people.retain(|profile| profile.status == "CONFIRMED" && profile.enabled);
        people
    }
}

impl Cast {
    /// Selects people who can sign up themselves: 20 % were there before, 40 % for the normal day, 10 % for the outage of Osaka, 30 % as
    /// newcomers.
    pub fn of(mut everyone: Vec<Profile>, count: usize, seed: u64) -> anyhow::Result<Self> {
        everyone.retain(Profile::signs_up);
        ensure!(
            everyone.len() >= count,
            "--count is {count}, and only {} of the people sign up by themselves",
            everyone.len()
        );
        everyone.shuffle(&mut SmallRng::seed_from_u64(seed));
        everyone.truncate(count);
        // Some of those who were there before have nothing unusual.
        let is_plain = |profile: &mut Profile| profile.kind == "plain";
        let plain: Vec<_> = everyone
            .extract_if(.., is_plain)
            .take(PLAIN_BEFORE)
            .collect();
        let newcomers = everyone.split_off(everyone.len() - count * 3 / 10);
        let outage = everyone.split_off(everyone.len() - count / 10);
        let mut before = everyone.split_off(count * 4 / 10);
        before.extend(plain);
        let before = Before::of(before)?;
        Ok(Self {
            before,
            normal_day: everyone,
            outage,
            newcomers,
        })
    }
}
