//! What an episode is like: drawn anew for each seed, so that each kind of event is rare in some and frequent in others
//! (swarm testing).

use crate::rng::Rng;
use jangbu_core::museum::Switches;

use super::action::SORTS;
use super::emphasis::{MIN_INSYNC, REASSIGN, RETAIN, emphasise};
use super::message::KINDS;

/// How much may be lost, and so what must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// Processes die, page caches live: nothing is lost, whoever dies.
    KillsOnly,
    /// Page caches and disks are lost too, of at most min.insync.replicas - 1 brokers until they are in sync again.
    Lossy,
    /// `flush.messages=1`: any page caches are lost, at any time.
    FlushedLossy,
    /// More than is promised: only divergence and honesty are looked at.
    Beyond,
}

/// An episode.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Guards that are off.
    pub switches: Switches,
    /// How many brokers.
    pub brokers: u8,
    /// How many of them hold the partition.
    pub replicas: u8,
    /// min.insync.replicas.
    pub min_insync_replicas: u8,
    /// What may be lost.
    pub budget: Budget,
    /// flush.messages=1.
    pub flush_before_ack: bool,
    /// replica.lag.time.max.ms.
    pub lag_ms: u64,
    /// broker.session.timeout.ms.
    pub session_ms: u64,
    /// What each broker's clock counts in a second, in ms.
    pub clock_rates: [u16; 5],
    /// The clients.
    pub clients: Vec<ClientKind>,
    /// unclean.leader.election.enable.
    pub unclean_election: bool,
    /// Whether committed records are removed from the start.
    pub has_retention: bool,
    /// A broker that stays down while the others must go on.
    pub stays_down: Option<u8>,
    /// Of each sort of action.
    pub weights: [u16; SORTS],
    /// Of 256, how readily a message of each kind is delivered when it is picked.
    pub readiness: [u16; KINDS],
    /// Of 256, how readily each broker reads on in the metadata.
    pub attention: [u16; 5],
    /// How many actions before everything heals.
    pub actions: u32,
    /// The most batches that a client has under way.
    pub window: u8,
}

/// A client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientKind {
    /// enable.idempotence.
    Idempotent,
    /// acks=all without it.
    All,
    /// acks=1.
    Leader,
    /// acks=0.
    None,
}

/// Usual weights, in the order of [`sort`](super::generate).
const USUAL: [u16; SORTS] = [
    300, // Deliver
    6,   // Drop
    40,  // Tick
    40,  // Timers
    110, // Fetch
    45,  // Metadata
    10,  // Flush
    50,  // Produce
    10,  // Retry
    14,  // Consume
    14,  // Crash
    2,   // LoseDirectory
    30,  // Restart
    4,   // Pause
    8,   // Resume
    2,   // Drain
    12,  // Sessions
    3,   // Elect
    6,   // Reassign
    0,   // Retain
    3,   // MinInsync
    3,   // Zombie
    1,   // Prefer
    12,  // Exchange
    4,   // Write
];

impl Profile {
    /// The episode of a seed.
    pub fn draw(rng: &mut Rng, switches: Switches) -> Self {
        let brokers = [3, 3, 3, 4, 5][rng.below(5) as usize];
        let replicas = if rng.chance(0.8) { 3 } else { 2 + rng.below(u64::from(brokers) - 1) as u8 };
        let budget = [
            Budget::KillsOnly,
            Budget::Lossy,
            Budget::Lossy,
            Budget::Lossy,
            Budget::FlushedLossy,
            Budget::Beyond,
        ][rng.below(6) as usize];
        // With min.insync.replicas=1 nothing may be lost at all.
        let mins = if budget == Budget::Lossy { [2, 2, 2, 2, 3] } else { [1, 1, 2, 2, 3] };
        let min_insync_replicas = mins[rng.below(5) as usize].min(replicas);
        let flush_before_ack = budget == Budget::FlushedLossy || rng.chance(0.1);
        let has_retention = rng.chance(0.15);
        let mut weights = USUAL;
        for weight in &mut weights {
            *weight = match rng.below(6) {
                0 => *weight / 6,
                1 => *weight * 4,
                _ => *weight,
            };
        }
        if has_retention {
            weights[RETAIN] = 12;
        }
        if rng.chance(0.6) {
            weights[REASSIGN] = 0;
        }
        let mut readiness = [256; KINDS];
        for _ in 0..rng.below(4) {
            readiness[rng.below(KINDS as u64) as usize] = [4, 16, 40][rng.below(3) as usize];
        }
        let kinds = [
            ClientKind::Idempotent,
            ClientKind::Idempotent,
            ClientKind::All,
            ClientKind::Leader,
            ClientKind::None,
        ];
        let clients = (0..1 + rng.below(3)).map(|_| kinds[rng.below(5) as usize]).collect();
        let stays_down = (rng.chance(0.15) && replicas > min_insync_replicas && budget != Budget::Beyond)
            .then(|| 1 + rng.below(u64::from(brokers)) as u8);
        // It ends eligibility: with a lossy failure besides, an operator may be needed.
        if rng.chance(0.6) || matches!(budget, Budget::Lossy | Budget::FlushedLossy) {
            weights[MIN_INSYNC] = 0;
        }
        let unclean_election = budget == Budget::Beyond && rng.chance(0.5);
        let mut profile = Self {
            switches,
            unclean_election,
            brokers,
            replicas,
            min_insync_replicas,
            budget,
            flush_before_ack,
            lag_ms: [4_000, 10_000, 30_000][rng.below(3) as usize],
            session_ms: 9_000,
            clock_rates: std::array::from_fn(|_| [1000, 1000, 950, 1050][rng.below(4) as usize]),
            clients,
            has_retention,
            stays_down,
            weights,
            readiness,
            attention: [256; 5],
            actions: 50 + rng.below(251) as u32,
            window: 1 + rng.below(3) as u8,
        };
        emphasise(rng, &mut profile);
        profile
    }

    /// Whether nothing acknowledged may be lost.
    pub fn is_within_budget(&self) -> bool {
        self.budget != Budget::Beyond
    }
}

impl Profile {
    /// As it stands in a test.
    pub fn as_code(&self) -> String {
        format!(
            "Profile {{ brokers: {}, replicas: {}, min_insync_replicas: {}, budget: Budget::{:?}, flush_before_ack: {}, \
             lag_ms: {}, clock_rates: {:?}, clients: vec!{:?}, unclean_election: {}, \
             has_retention: {}, stays_down: {:?}, window: {}, ..calm() }}",
            self.brokers,
            self.replicas,
            self.min_insync_replicas,
            self.budget,
            self.flush_before_ack,
            self.lag_ms,
            self.clock_rates,
            self.clients,
            self.unclean_election,
            self.has_retention,
            self.stays_down,
            self.window,
        )
    }
}
