//! What came of one seed: the line that a worker process writes and the batch reads.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::world::SiteCount;

/// What came of one run of one seed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// The hash over everything that happened.
    pub trace_hash: u64,
    /// The hash after each 1,024 events, to find where two runs parted.
    pub checkpoints: Vec<u64>,
    /// Simulated time, in nanoseconds.
    pub simulated_ns: u64,
    /// CPU time of the process, in nanoseconds.
    pub cpu_ns: u64,
    /// Events of the trace.
    pub events: u64,
    /// Batches that a producer was told are appended.
    pub acked_batches: u64,
    /// The first invariant that did not hold.
    pub violation: Option<Violated>,
    /// Faults that took effect, by kind.
    pub faults: BTreeMap<String, u64>,
    /// Faults that found their target in no state to be struck.
    pub skipped: u64,
    /// Rare states that were visited.
    pub marks: BTreeMap<String, u64>,
    /// Disk sites: calls, and how many of them a crash or an error struck.
    pub sites: BTreeMap<String, SiteCount>,
    /// The broker each fault of the plan struck, in the plan's order.
    pub resolved: Vec<Option<u64>>,
    /// Events kept for people, when they were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<serde_json::Value>,
}

/// An invariant that did not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violated {
    /// Which.
    pub check: String,
    /// When, in nanoseconds of simulated time.
    pub at_ns: u64,
    /// Where, when that has a meaning.
    pub node: Option<u32>,
    /// What was seen and what should have been.
    pub message: String,
}

/// What a worker process is started for.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Job {
    /// The scenario's file.
    pub scenario: std::path::PathBuf,
    /// The plan to repeat instead of drawing one.
    pub replay: Option<std::path::PathBuf>,
    /// Whether the plan's faults strike whom they struck before.
    pub pin: bool,
    /// A leak of non-determinism to plant.
    pub plant: Option<String>,
    /// Guards to switch off.
    pub switches: Vec<String>,
}

/// What a worker is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    /// The seed to run.
    pub seed: u64,
    /// How often, on a fresh thread each time.
    pub runs: u32,
    /// Whether the last events are to be kept for people.
    pub keep: bool,
}
