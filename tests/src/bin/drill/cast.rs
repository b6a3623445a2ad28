//! Who plays which part.

use anyhow::ensure;
use harness::people::Profile;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;

/// The people of a drill, by when and where they sign up.
pub struct Cast {
    /// In Tokyo, on a normal day.
    pub normal_day: Vec<Profile>,
    /// In Tokyo, while Osaka refuses.
    pub outage: Vec<Profile>,
    /// In Osaka, while Tokyo is lost.
    pub newcomers: Vec<Profile>,
}

impl Cast {
    /// Picks people who sign up by themselves: 60 in a hundred for a normal day, 10 for the outage, 30 newcomers.
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
