//! A broker: the machines, the log they look at, and what survives the process.

use std::time::Duration;

use jangbu_core::fetch_loop::{self, FetchLoop};
use jangbu_core::ids::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, TopicPartition, Uuid};
use jangbu_core::lifecycle::{self, Lifecycle};
use jangbu_core::replica::{self, Pending, Replica, Ticket};
use jangbu_core::time::Instant;

use super::log::FuzzLog;
use super::profile::Profile;

/// The one partition.
pub const PARTITION: TopicPartition =
    TopicPartition { topic_id: Uuid([7; 16]), partition: jangbu_core::ids::PartitionIndex(0) };

/// A produce that waits.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    /// Whose.
    pub client: u8,
    /// On which connection.
    pub connection: u32,
    /// Its value.
    pub value: u32,
    /// What it waits for.
    pub pending: Pending,
}

/// An AlterPartition under way.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// The call.
    pub connection: u32,
    /// The proposal.
    pub ticket: Ticket,
    /// The leadership.
    pub leader_epoch: LeaderEpoch,
    /// When its connection is given up.
    pub gives_up_at: Instant,
}

/// One broker.
#[derive(Clone, Debug)]
pub struct Broker {
    /// Its id.
    pub id: BrokerId,
    // What survives the process.
    /// The partition's log.
    pub log: FuzzLog,
    /// The log as the last process left it; what of it is on the disk must be there again.
    pub written: Option<FuzzLog>,
    /// The id of its log directory.
    pub directory: u32,
    /// The clean-shutdown marker.
    pub marker: Option<BrokerEpoch>,
    /// replication-offset-checkpoint.
    pub checkpoint: i64,
    // The process.
    /// Whether it runs.
    pub is_up: bool,
    /// Whether it stands still.
    pub is_paused: bool,
    /// Counts the processes there were.
    pub process: u32,
    /// The machine of the partition.
    pub replica: Replica,
    /// Its fetchers.
    pub fetch_loop: FetchLoop,
    /// Its life.
    pub lifecycle: Lifecycle,
    /// The newest state of the metadata that it looked at.
    pub looked_at: usize,
    /// The state that it follows.
    pub published: Option<usize>,
    /// Produces that wait.
    pub waiting: Vec<Waiting>,
    /// AlterPartitions under way.
    pub calls: Vec<Call>,
    last_call: u32,
    // What the world knows.
    /// It lost records, and the controller does not know of it yet.
    pub has_lost: bool,
    /// It stopped uncleanly, and is not in sync again.
    pub is_unclean: bool,
    /// Whether anything was lost then.
    pub is_lossy: bool,
    clock_rate: u64,
    clock_offset_ms: u64,
}

/// A request is given up after so long.
pub const REQUEST_TIMEOUT: Duration = Duration::from_millis(3_000);

fn replica_settings(profile: &Profile) -> replica::Settings {
    replica::Settings {
        replica_lag_time_max: Duration::from_millis(profile.lag_ms),
        alter_partition_backoff: Duration::from_millis(50),
        flush_before_ack: profile.flush_before_ack,
        switches: profile.switches,
    }
}

fn lifecycle_settings(profile: &Profile) -> lifecycle::Settings {
    lifecycle::Settings {
        heartbeat_interval: Duration::from_millis(2_000),
        timeout: REQUEST_TIMEOUT,
        backoff: Duration::from_millis(100),
        // Longer than an episode: one that gives up may count as unclean, and nobody would have budgeted for it.
        registration_timeout: Duration::from_secs(1 << 20),
        log_dir_failure_timeout: Duration::from_millis(30_000),
        switches: profile.switches,
    }
}

fn fetch_loop_settings(profile: &Profile) -> fetch_loop::Settings {
    fetch_loop::Settings {
        backoff: Duration::from_millis(50),
        timeout: REQUEST_TIMEOUT,
        switches: profile.switches,
    }
}

impl Broker {
    /// A process on an empty disk that has not begun.
    pub fn new(profile: &Profile, number: u8) -> Self {
        let log = FuzzLog::new(profile.switches);
        let id = BrokerId(i32::from(number));
        let replica = Replica::new(id, replica_settings(profile), &log, Offset(0), Offset(0));
        let rate = u64::from(profile.clock_rates[usize::from(number) - 1]);
        Self {
            id,
            log,
            written: None,
            directory: u32::from(number),
            marker: None,
            checkpoint: 0,
            is_up: true,
            is_paused: false,
            process: 1,
            replica,
            fetch_loop: FetchLoop::new(fetch_loop_settings(profile)),
            lifecycle: Lifecycle::new(lifecycle_settings(profile), None, Instant(0)),
            looked_at: 0,
            published: None,
            waiting: Vec::new(),
            calls: Vec::new(),
            last_call: 0,
            has_lost: false,
            is_unclean: false,
            is_lossy: false,
            clock_rate: rate,
            clock_offset_ms: u64::from(number) * 7_919,
        }
    }

    /// What its clock says.
    pub fn local(&self, now_ms: u64) -> Instant {
        Instant((now_ms * self.clock_rate / 1000 + self.clock_offset_ms) * 1_000_000)
    }

    /// Whether it does anything.
    pub fn runs(&self) -> bool {
        self.is_up && !self.is_paused
    }

    /// The number of a new call.
    pub fn next_call(&mut self) -> u32 {
        self.last_call += 1;
        self.last_call
    }

    /// Another process begins on what the last one left.
    pub fn start(&mut self, profile: &Profile, now_ms: u64) {
        self.log.recover();
        self.process += 1;
        self.is_up = true;
        self.is_paused = false;
        let (checkpoint, flushed) = (Offset(self.checkpoint), Offset(self.log.flushed));
        self.replica = Replica::new(self.id, replica_settings(profile), &self.log, checkpoint, flushed);
        self.fetch_loop = FetchLoop::new(fetch_loop_settings(profile));
        self.lifecycle = Lifecycle::new(lifecycle_settings(profile), self.marker.take(), self.local(now_ms));
        (self.looked_at, self.published) = (0, None);
        self.waiting.clear();
        self.calls.clear();
    }

    /// The partition is not assigned here.
    pub fn remove_replica(&mut self, profile: &Profile) {
        self.log = FuzzLog::new(profile.switches);
        self.replica = Replica::new(self.id, replica_settings(profile), &self.log, Offset(0), Offset(0));
        self.fetch_loop.leave(PARTITION);
        self.checkpoint = 0;
    }

    /// The disk is gone, and an empty one in its place.
    pub fn lose_directory(&mut self, profile: &Profile) {
        self.has_lost |= self.log.end() > 0;
        self.is_lossy = true;
        self.is_unclean = true;
        self.log = FuzzLog::new(profile.switches);
        self.written = None;
        self.directory += 100;
        self.marker = None;
        self.checkpoint = 0;
    }
}
