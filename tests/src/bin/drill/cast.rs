//! Who signs up when and where.

use anyhow::ensure;
use harness::people::Profile;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;

/// The people of a drill, grouped by when and where they sign up.
pub struct Cast {
    /// In Tokyo, on a normal day.
    pub normal_day: Vec<Profile>,
    /// In Tokyo, while Osaka refuses connections.
    pub outage: Vec<Profile>,
    /// In Osaka, during the outage of Tokyo.
    pub newcomers: Vec<Profile>,
}

impl Cast {
    /// Selects people who can sign up themselves: 60 % for the normal day, 10 % for the outage of Osaka, 30 % as newcomers.
    pub fn of(mut everyone: Vec<Profile>, count: usize, seed: u64) -> anyhow::Result<Self> {
        everyone.retain(Profile::signs_up);
        ensure!(
            everyone.len() >= count,
            "--count is {count}, and only {} of the people sign up by themselves",
            everyone.len()
        );
        everyone.shuffle(&mut SmallRng::seed_from_u64(seed));
        everyone.truncate(count);
        let newcomers = everyone.split_off(count * 7 / 10);
        let outage = everyone.split_off(count * 6 / 10);
        Ok(Self {
            normal_day: everyone,
            outage,
            newcomers,
        })
    }
}
