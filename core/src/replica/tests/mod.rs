//! One test per sentence of the rules, each a script on one machine.
#![allow(unused_must_use)] // a script that looks at what follows from a role change need not look at the change

mod fetch;
mod high_watermark;
mod in_sync;
mod produce;
mod read;
mod roles;
mod truncation;

use super::*;
use crate::epochs::{EpochEnd, Epochs};
use crate::ids::BrokerEpoch;
use crate::museum::Switches;

/// A log without bytes.
#[derive(Clone, Debug, Default)]
struct TestLog {
    start: i64,
    end: i64,
    epochs: Epochs,
}

impl LogView for TestLog {
    fn log_start(&self) -> Offset {
        Offset(self.start)
    }
    fn log_end(&self) -> Offset {
        Offset(self.end)
    }
    fn epochs(&self) -> &Epochs {
        &self.epochs
    }
}

/// Brokers 1 to 4, incarnation 100 and their id, unless told otherwise.
#[derive(Clone, Debug, Default)]
struct TestBrokers(Vec<(i32, BrokerStanding)>);

impl BrokersView for TestBrokers {
    fn standing(&self, id: BrokerId) -> Option<BrokerStanding> {
        let told = self.0.iter().find(|(other, _)| *other == id.0).map(|(_, standing)| *standing);
        let usual = BrokerStanding {
            epoch: BrokerEpoch(100 + i64::from(id.0)),
            fenced: false,
            in_controlled_shutdown: false,
        };
        Some(told.unwrap_or(usual))
    }
}

/// Broker 1 with its log, a topic with replicas 1, 2, 3 and min.insync.replicas=2.
struct Script {
    replica: Replica,
    log: TestLog,
    brokers: TestBrokers,
    replicas: Vec<i32>,
    partition_epoch: i32,
    now_ms: u64,
}

fn ids(ids: &[i32]) -> Vec<BrokerId> {
    ids.iter().copied().map(BrokerId).collect()
}

const LAG_MS: u64 = 30_000;

impl Script {
    fn new() -> Self {
        Self::with_log(&[])
    }

    /// A log of records with these epochs.
    fn with_log(epochs: &[i32]) -> Self {
        Self::with_settings(epochs, false)
    }

    fn with_settings(epochs: &[i32], flush_before_ack: bool) -> Self {
        let settings = Settings {
            replica_lag_time_max: Duration::from_millis(LAG_MS),
            alter_partition_backoff: Duration::from_millis(50),
            flush_before_ack,
            switches: Switches::default(),
        };
        let mut log = TestLog::default();
        for epoch in epochs {
            log.epochs.assign(LeaderEpoch(*epoch), Offset(log.end));
            log.end += 1;
        }
        let replica = Replica::new(BrokerId(1), settings, &log, Offset(0), Offset(log.end));
        let replicas = vec![1, 2, 3];
        Self {
            replica,
            log,
            brokers: TestBrokers::default(),
            replicas,
            partition_epoch: 0,
            now_ms: 1_000_000,
        }
    }

    fn now(&self) -> Instant {
        Instant(self.now_ms * 1_000_000)
    }

    /// The metadata says this, at the next version.
    fn metadata(&mut self, leader: i32, epoch: i32, isr: &[i32]) -> RoleChange {
        self.partition_epoch += 1;
        self.metadata_at(self.partition_epoch, leader, epoch, isr)
    }

    fn metadata_at(&mut self, partition_epoch: i32, leader: i32, epoch: i32, isr: &[i32]) -> RoleChange {
        let (replicas, isr) = (ids(&self.replicas), ids(isr));
        let view = PartitionView {
            replicas: &replicas,
            isr: &isr,
            leader: BrokerId(leader),
            leader_epoch: LeaderEpoch(epoch),
            partition_epoch: PartitionEpoch(partition_epoch),
            is_recovering: false,
            min_insync_replicas: 2,
        };
        let now = self.now();
        let change = self.replica.handle_metadata(&view, &self.brokers, &self.log, now);
        if let Some(start) = change.epoch_start {
            self.log.epochs.assign(start.epoch, start.start);
        }
        change
    }

    /// Broker 1 leads in this epoch.
    fn lead(mut self, epoch: i32, isr: &[i32]) -> Self {
        let change = self.metadata(1, epoch, isr);
        assert_eq!(change.became, Became::Leader);
        self
    }

    fn append(&mut self, count: i64) {
        let epoch = self.replica.leader_epoch();
        self.log.epochs.assign(epoch, Offset(self.log.end));
        self.log.end += count;
        let now = self.now();
        self.replica.appended(&self.log, now);
    }

    fn flush(&mut self) {
        let now = self.now();
        self.replica.flushed(Offset(self.log.end), &self.log, now);
    }

    fn fetch_of(&self, follower: i32, offset: i64, last_epoch: i32) -> ReplicaFetch {
        ReplicaFetch {
            replica: BrokerId(follower),
            broker_epoch: BrokerEpoch(100 + i64::from(follower)),
            current_leader_epoch: self.replica.leader_epoch(),
            fetch_offset: Offset(offset),
            last_fetched_epoch: LeaderEpoch(last_epoch),
        }
    }

    /// A follower has everything below `offset` as it is here.
    fn fetch(&mut self, follower: i32, offset: i64) -> FetchDecision {
        let last =
            offset.checked_sub(1).filter(|last| *last >= 0).and_then(|last| self.log.epochs.at(Offset(last)));
        let fetch = self.fetch_of(follower, offset, last.map_or(-1, |epoch| epoch.0));
        self.handle(&fetch)
    }

    fn handle(&mut self, fetch: &ReplicaFetch) -> FetchDecision {
        let now = self.now();
        self.replica.handle_fetch(fetch, &self.log, now)
    }

    fn pass_ms(&mut self, ms: u64) {
        self.now_ms += ms;
        let now = self.now();
        self.replica.handle_timeout(&self.log, now);
    }

    fn due(&mut self) -> Option<AlterIsr> {
        let now = self.now();
        self.replica.alter_partition_due(now)
    }

    fn answer(&mut self, asked: &AlterIsr, outcome: AlterPartitionOutcome) {
        let now = self.now();
        self.replica.handle_alter_partition(asked.ticket, asked.leader_epoch, &outcome, &self.log, now);
    }

    /// The controller carried out the proposal.
    fn accept(&mut self, asked: &AlterIsr) {
        self.partition_epoch += 1;
        let state = PartitionState {
            leader: BrokerId(1),
            leader_epoch: asked.leader_epoch,
            isr: asked.isr.iter().map(|(id, _)| *id).collect(),
            partition_epoch: PartitionEpoch(self.partition_epoch),
            recovering: false,
        };
        self.answer(asked, AlterPartitionOutcome::Answered(Ok(state)));
    }

    fn high_watermark(&self) -> i64 {
        self.replica.high_watermark().0
    }

    fn maximal(&self) -> Vec<i32> {
        self.replica.maximal_isr().iter().map(|id| id.0).collect()
    }

    fn committed(&self) -> Vec<i32> {
        self.replica.committed_isr().iter().map(|id| id.0).collect()
    }

    fn response(&self, body: FetchBody, high_watermark: i64) -> FetchResponse {
        FetchResponse {
            leader_epoch: self.replica.leader_epoch(),
            fetch_offset: Offset(self.log.end),
            high_watermark: Offset(high_watermark),
            log_start: Offset(0),
            body,
        }
    }
}
