//! A scenario: what is built, what load it carries, what strikes it, what must hold, over which seeds.
//!
//! The file opens with a comment which says what must survive and why: it is the fault model, next to the fault.
//! Any value but the seeds may be a range or a set; each seed draws its own, from the plan's stream.

mod error;
mod parse;
mod table;
pub mod trial;
mod value;

pub use error::{ScenarioError, Source, did_you_mean};
pub use parse::{during, load, read, seed_range};
pub use table::{Dotted, Entry, Table, check_name, parse as parse_table};
pub use value::{Choice, Drawable, Drawing};

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Kafka's configuration keys with values that may be drawn.
pub type ConfigChoices = Vec<(String, Choice<String>)>;
/// Kafka's configuration keys with the values of one seed.
pub type ConfigValues = BTreeMap<String, String>;

/// A scenario as its file describes it.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its file.
    pub path: PathBuf,
    /// The file's name without ending.
    pub name: String,
    /// The opening comment.
    pub prose: String,
    /// The hash of the file's text, by which a plan knows the scenario that it was drawn from.
    pub hash: String,
    /// First and last seed, both included.
    pub seeds: (u64, u64),
    /// How long the faults go on, in simulated time.
    pub duration: Choice<Duration>,
    /// The check that this scenario is expected to see violated.
    pub expect: Option<&'static str>,
    /// The brokers.
    pub cluster: Cluster,
    /// The topics.
    pub topics: Vec<Topic>,
    /// The load.
    pub workloads: Vec<Workload>,
    /// What strikes.
    pub faults: Vec<FaultChoice>,
    /// What must hold.
    pub checks: Vec<&'static str>,
    /// Which acknowledgements count as promises.
    pub promise: Promise,
    /// What must happen after the faults.
    pub liveness: Liveness,
    /// Limits of one seed.
    pub budget: Budget,
}

/// `[cluster]`
#[derive(Clone, Debug)]
pub struct Cluster {
    /// How many brokers.
    pub brokers: Choice<u64>,
    /// One-way delay of the network.
    pub network_delay: Choice<Duration>,
    /// How long a sync takes.
    pub sync_delay: Choice<Duration>,
    /// Bytes of each node's disk.
    pub disk_bytes: Option<Choice<u64>>,
    /// `[cluster.config]`: keys of `server.properties`.
    pub config: ConfigChoices,
}

/// `[[topic]]`
#[derive(Clone, Debug)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// How many partitions.
    pub partitions: Choice<u64>,
    /// How many replicas each.
    pub replication: Choice<u64>,
    /// `[topic.config]`: keys of a topic.
    pub config: ConfigChoices,
}

/// `[[workload]]`
#[derive(Clone, Debug)]
pub enum Workload {
    /// Clients that send records.
    Produce(ProduceChoices),
    /// Clients that read them.
    Consume(ConsumeChoices),
    /// Clients that create topics, use them and delete them.
    Churn(ChurnChoices),
    /// Clients that look up records by their offsets.
    Seek(SeekChoices),
}

/// A workload of kind `produce`.
#[derive(Clone, Debug)]
pub struct ProduceChoices {
    /// How many clients.
    pub clients: Choice<u64>,
    /// The topic.
    pub topic: String,
    /// `all`, `1` or `0`.
    pub acks: Choice<String>,
    /// Whether repeats are recognised.
    pub idempotent: Choice<bool>,
    /// Time between two batches of one client.
    pub every: Choice<Duration>,
    /// Records in a batch.
    pub records: Choice<u64>,
    /// Bytes of a record's value.
    pub record_bytes: Choice<u64>,
    /// Batches a client has under way.
    pub in_flight: Choice<u64>,
}

/// A workload of kind `consume`.
#[derive(Clone, Debug)]
pub struct ConsumeChoices {
    /// How many clients; each reads every partition.
    pub clients: Choice<u64>,
    /// The topic.
    pub topic: String,
    /// Bytes a fetch may bring.
    pub fetch_bytes: Choice<u64>,
    /// How long a fetch waits for records.
    pub max_wait: Choice<Duration>,
}

/// A workload of kind `churn`.
#[derive(Clone, Debug)]
pub struct ChurnChoices {
    /// How many clients.
    pub clients: Choice<u64>,
    /// The topic whose partitions and configuration those that come and go have too.
    pub topic: String,
    /// How many topics one client has at most at a time.
    pub topics: Choice<u64>,
    /// Time between two steps of one client.
    pub every: Choice<Duration>,
    /// Records in a batch.
    pub records: Choice<u64>,
    /// Bytes of a record's value.
    pub record_bytes: Choice<u64>,
}

/// A workload of kind `seek`.
#[derive(Clone, Debug)]
pub struct SeekChoices {
    /// How many clients; each goes to any partition.
    pub clients: Choice<u64>,
    /// The topic.
    pub topic: String,
    /// Time between two looks of one client.
    pub every: Choice<Duration>,
    /// Bytes a fetch may bring.
    pub fetch_bytes: Choice<u64>,
}

/// `[[fault]]`: a kind, when it strikes, and its parameters.
#[derive(Clone, Debug)]
pub struct FaultChoice {
    /// Which fault.
    pub kind: &'static crate::fault::Kind,
    /// When.
    pub when: When,
    /// Whom, as an expression that is resolved when it strikes.
    pub target: String,
    /// In how many of 100 seeds it strikes at all.
    pub seeds_percent: Choice<u64>,
    /// Its parameters, in the order of the kind's table.
    pub parameters: Vec<(&'static str, Choice<String>)>,
}

/// When a fault strikes.
#[derive(Clone, Debug)]
pub enum When {
    /// Once, when the brokers are started for the first time, and the topics are still to be created.
    SetUp,
    /// Once, at this time.
    At(Choice<Duration>),
    /// Again and again, at random.
    Every {
        /// The mean time between two.
        mean: Choice<Duration>,
        /// The quiet time before the first.
        first_after: Choice<Duration>,
    },
}

/// Which acknowledgements `acked_is_durable` holds the node to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// What the topic's flush policy and the request's acks promise: nothing for acks=0; without
    /// `flush.messages=1` nothing that only the page cache held when the power failed.
    Policy,
    /// Everything that was acknowledged or, with acks=0, sent: more than was promised. For scenarios that show
    /// what the weaker settings really cost.
    EveryAck,
}

/// `[liveness]`
#[derive(Clone, Debug)]
pub struct Liveness {
    /// How soon after the last fault was healed everything must work again.
    pub progress_within: Choice<Duration>,
}

/// `[budget]`
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Processor time one seed may use before it is killed and named.
    pub cpu: Duration,
    /// Acknowledged batches below which a seed does not count for a campaign.
    pub acked_batches_min: u64,
}
