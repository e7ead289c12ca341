//! What an operator may choose, under Kafka's names (`controller.quorum.*`).

use std::time::Duration;

use crate::ids::BrokerId;
use crate::museum::Switches;

/// The settings of one replica of the metadata log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `controller.quorum.election.timeout.ms`: how long an election may take; the same again at most is added by
    /// chance.
    pub election_timeout: Duration,
    /// `controller.quorum.fetch.timeout.ms`: how long a voter fetches in vain before it asks for an election.
    pub fetch_timeout: Duration,
    /// `controller.quorum.election.backoff.max.ms`: the longest wait after a lost election.
    pub election_backoff_max: Duration,
    /// `controller.quorum.request.timeout.ms`: when a request without a response is given up.
    pub request_timeout: Duration,
    /// `controller.quorum.retry.backoff.ms`: the wait before a request is sent again.
    pub retry_backoff: Duration,
    /// The most bytes of a snapshot in one response.
    pub snapshot_chunk_bytes_max: u64,
    /// How many addresses `controller.quorum.bootstrap.servers` has: whoever knows no leader asks there too
    /// (KIP-853). See [`Settings::bootstrap_server`].
    pub bootstrap_servers: u16,
    /// Whether this replica is a controller, which may be made a voter while it runs. Brokers only observe.
    pub is_controller: bool,
    /// Which guards are off.
    pub switches: Switches,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            election_timeout: Duration::from_millis(1000),
            fetch_timeout: Duration::from_millis(2000),
            election_backoff_max: Duration::from_millis(1000),
            request_timeout: Duration::from_millis(2000),
            retry_backoff: Duration::from_millis(20),
            snapshot_chunk_bytes_max: 1 << 20,
            bootstrap_servers: 0,
            is_controller: true,
            switches: Switches::default(),
        }
    }
}

impl Settings {
    /// The name of a bootstrap address, whose node is not known: negative, as in Kafka.
    pub fn bootstrap_server(index: u16) -> BrokerId {
        BrokerId(-2 - i32::from(index))
    }

    /// A leader resigns after this time without fetches from a majority (KAFKA-15489).
    pub fn check_quorum_timeout(&self) -> Duration {
        self.fetch_timeout * 3 / 2
    }

    /// A leader reminds voters that do not fetch after this time.
    pub fn begin_quorum_epoch_interval(&self) -> Duration {
        self.fetch_timeout / 2
    }
}
