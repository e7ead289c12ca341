//! What a campaign comes to.

use std::ops::AddAssign;

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What happened how often.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Counts { $($(#[$doc])* pub $name: u64,)* }

        impl AddAssign<&Counts> for Counts {
            fn add_assign(&mut self, other: &Counts) { $(self.$name += other.$name;)* }
        }

        impl Counts {
            /// Each with its name.
            pub fn named(&self) -> Vec<(&'static str, u64)> { vec![$((stringify!($name), self.$name),)*] }
        }
    };
}

counts! {
    /// Episodes.
    episodes,
    /// Steps: actions, and deliveries while healing.
    steps,
    /// Leaders that the controller chose.
    elections,
    /// Leaderships that brokers began.
    leaderships,
    /// Leaders from the eligible leader replicas.
    eligible_elections,
    /// Last known leaders.
    last_known_elections,
    /// Cuts that removed records.
    truncations,
    /// Answers that told of a divergence.
    divergences,
    /// Crashes that lost records.
    lost_tails,
    /// Processes that died.
    crashes,
    /// Clean stops.
    clean_stops,
    /// Registrations of dead processes that were accepted.
    late_registrations,
    /// Disks that were lost.
    lost_directories,
    /// Followers that started over at the leader's log start.
    started_over,
    /// Replicas that were removed because they were not assigned.
    swept,
    /// Accepted shrinks.
    shrinks,
    /// Accepted expansions.
    expansions,
    /// AlterPartitions whose outcome nobody told.
    unknown_outcomes,
    /// Repeated batches that were recognised.
    duplicates,
    /// Acknowledgements that reached a client.
    acknowledged,
    /// Batches that failed for good.
    failures,
    /// Reads of consumers.
    reads,
}

/// Rates per million steps below which a campaign proves too little.
pub const FLOORS: [(&str, u64); 7] = [
    ("elections", 300),
    ("truncations", 100),
    ("lost_tails", 1_000),
    ("shrinks", 200),
    ("expansions", 200),
    ("unknown_outcomes", 50),
    ("eligible_elections", 20),
];

impl Counts {
    /// The floors that were missed: name, rate per million steps, floor.
    pub fn missed_floors(&self) -> Vec<(&'static str, u64, u64)> {
        let rate = |name: &str| {
            let count =
                self.named().into_iter().find(|(other, _)| *other == name).map_or(0, |(_, count)| count);
            count * 1_000_000 / self.steps.max(1)
        };
        FLOORS
            .iter()
            .map(|(name, floor)| (*name, rate(name), *floor))
            .filter(|(_, rate, floor)| rate < floor)
            .collect()
    }
}
