//! A cluster with one partition, and what can happen to it.

use super::*;
use crate::ids::{PartitionEpoch, TopicPartition};
use crate::metadata::PartitionImage;

pub(super) struct Cluster {
    pub(super) scene: Scene,
    pub(super) name: TopicPartition,
    pub(super) now: Instant,
    /// What the next heartbeats tell of directories.
    pub(super) offline_log_dirs: Vec<Uuid>,
}

pub(super) fn ids(brokers: &[i32]) -> Vec<BrokerId> {
    brokers.iter().map(|id| BrokerId(*id)).collect()
}

pub(super) fn directory(broker: i32) -> Uuid {
    Uuid([broker as u8 + 100; 16])
}

/// Of a cluster with `min.insync.replicas`.
pub(super) fn cluster_settings(min_insync_replicas: i32) -> Settings {
    Settings { first_min_insync_replicas: min_insync_replicas, fence_new_brokers: true, ..settings() }
}

impl Cluster {
    /// As many brokers as replicas and one more, all serving.
    pub(super) fn new(replicas: &[i32], min_insync_replicas: i32) -> Self {
        Self::with(cluster_settings(min_insync_replicas), replicas)
    }

    pub(super) fn with(settings: Settings, replicas: &[i32]) -> Self {
        let scene = Scene::new(settings, &[]);
        let name = TopicPartition::METADATA;
        let mut cluster = Self { scene, name, now: Instant(0), offline_log_dirs: Vec::new() };
        for broker in 1..=replicas.len() as i32 + 1 {
            cluster.start(broker, None);
        }
        let assignments = vec![(PartitionIndex(0), ids(replicas))];
        let id = cluster.scene.create(NewTopic { assignments, ..topic("t") }).expect("t is new").id;
        cluster.name = TopicPartition::new(id, 0);
        cluster
    }

    pub(super) fn partition(&self) -> &PartitionImage {
        self.scene.controller.image().partition(self.name).expect("the partition is there")
    }

    /// The partition in a line.
    pub(super) fn show(&self) -> String {
        let list =
            |brokers: &[BrokerId]| brokers.iter().map(|id| id.to_string()).collect::<Vec<_>>().join(",");
        let of = self.partition();
        let mut text = format!("leader {} isr {} elr {}", of.leader, list(&of.isr), list(&of.elr));
        if !of.last_known_elr.is_empty() {
            text += &format!(" last {}", list(&of.last_known_elr));
        }
        if of.is_recovering {
            text += " recovering";
        }
        text
    }

    pub(super) fn epochs(&self) -> (i32, i32) {
        (self.partition().leader_epoch.0, self.partition().partition_epoch.0)
    }

    pub(super) fn epoch(&self, broker: i32) -> BrokerEpoch {
        self.scene.controller.image().broker(BrokerId(broker)).expect("the broker is registered").epoch
    }

    pub(super) fn is_fenced(&self, broker: i32) -> bool {
        self.scene.controller.image().broker(BrokerId(broker)).expect("the broker is registered").fenced
    }

    pub(super) fn registration(&mut self, broker: i32, previous: Option<BrokerEpoch>) -> Registration {
        Registration {
            broker_id: BrokerId(broker),
            incarnation_id: self.scene.new_incarnation(),
            previous_broker_epoch: previous,
            endpoints: Vec::new(),
            features: Vec::new(),
            rack: None,
            log_dirs: vec![directory(broker)],
        }
    }

    pub(super) fn register(&mut self, registration: Registration) -> Result<BrokerEpoch, Rejection> {
        let id = registration.broker_id;
        match self.scene.run(&Command::RegisterBroker(registration))? {
            Response::Registered(epoch) => {
                self.scene.controller.registered(id, epoch, self.now);
                Ok(epoch)
            }
            other => panic!("not an answer to a registration: {other:?}"),
        }
    }

    /// Registers a broker and unfences it.
    pub(super) fn start(&mut self, broker: i32, previous: Option<BrokerEpoch>) {
        let registration = self.registration(broker, previous);
        self.register(registration).expect("the broker may register");
        self.beat(broker);
    }

    /// A heartbeat of a broker that has read everything and wants nothing.
    pub(super) fn beat(&mut self, broker: i32) -> Response {
        self.heartbeat(broker, self.scene.next_offset, (false, false)).expect("the broker is registered")
    }

    pub(super) fn heartbeat(
        &mut self,
        broker: i32,
        metadata_offset: Offset,
        (wants_fence, wants_shutdown): (bool, bool),
    ) -> Result<Response, Rejection> {
        let (broker_id, broker_epoch) = (BrokerId(broker), self.epoch(broker));
        let command = Command::Heartbeat {
            broker_id,
            broker_epoch,
            metadata_offset,
            wants_fence,
            wants_shutdown,
            offline_log_dirs: self.offline_log_dirs.clone(),
        };
        let response = self.scene.run(&command);
        self.scene.controller.heard(broker_id, broker_epoch, metadata_offset, self.now);
        response
    }

    pub(super) fn fence(&mut self, broker: i32) {
        let (broker_id, broker_epoch) = (BrokerId(broker), self.epoch(broker));
        let response = self.scene.run(&Command::FenceBroker { broker_id, broker_epoch });
        assert_eq!(response, Ok(Response::Done));
    }

    /// A power cut and a return within the session.
    pub(super) fn restart_uncleanly(&mut self, broker: i32) {
        self.start(broker, None);
    }

    /// What the leader would propose, with everybody's present epochs.
    pub(super) fn proposal(&self, isr: &[i32]) -> AlterIsr {
        let of = self.partition();
        AlterIsr {
            partition: self.name,
            leader_epoch: of.leader_epoch,
            partition_epoch: of.partition_epoch,
            isr: isr.iter().map(|id| (BrokerId(*id), self.epoch(*id))).collect(),
            recovering: false,
        }
    }

    pub(super) fn propose(&mut self, isr: &[i32]) -> Result<PartitionState, Rejection> {
        self.alter(self.partition().leader.0, self.proposal(isr))
    }

    pub(super) fn alter(&mut self, broker: i32, proposal: AlterIsr) -> Result<PartitionState, Rejection> {
        let (broker_id, broker_epoch) = (BrokerId(broker), self.epoch(broker));
        let command = Command::AlterPartition { broker_id, broker_epoch, partitions: vec![proposal] };
        match self.scene.run(&command)? {
            Response::PartitionsAltered(mut results) => results.remove(0),
            other => panic!("not an answer to AlterPartition: {other:?}"),
        }
    }

    pub(super) fn elect(&mut self, kind: ElectionKind) -> Result<(), Rejection> {
        let partitions = Some(vec![self.name]);
        match self.scene.run(&Command::ElectLeaders { kind, partitions })? {
            Response::LeadersElected(mut results) => results.remove(0).1,
            other => panic!("not an answer to ElectLeaders: {other:?}"),
        }
    }

    pub(super) fn reassign(&mut self, targets: Option<&[i32]>) -> Result<(), Rejection> {
        let partitions = vec![(self.name, targets.map(ids))];
        match self.scene.run(&Command::AlterReassignments { partitions })? {
            Response::ReassignmentsAltered(mut results) => results.remove(0),
            other => panic!("not an answer to AlterReassignments: {other:?}"),
        }
    }

    /// Alters what holds for all brokers.
    pub(super) fn configure_all(&mut self, key: &str, operation: ConfigOperation) -> Result<(), Rejection> {
        let edit = ConfigEdit::Incremental(vec![(key.to_owned(), operation)]);
        let resources = vec![ConfigChange { resource: ConfigResource::cluster_default(), edit }];
        match self.scene.run(&Command::AlterConfigs { resources, validate_only: false })? {
            Response::ConfigsAltered(mut results) => results.remove(0),
            other => panic!("not an answer to AlterConfigs: {other:?}"),
        }
    }

    pub(super) fn configure(&mut self, key: &str, value: &str) {
        let operation = ConfigOperation::Set(Some(value.to_owned()));
        let edit = ConfigEdit::Incremental(vec![(key.to_owned(), operation)]);
        self.scene.alter("t", edit).expect("a good value");
    }
}

#[test]
fn a_partition_begins_with_all_in_sync_that_serve_and_at_epoch_zero() {
    let cluster = Cluster::new(&[1, 2, 3], 2);
    assert_eq!(cluster.show(), "leader 1 isr 1,2,3 elr ");
    assert_eq!(cluster.epochs(), (0, 0));
    assert_eq!(cluster.partition().partition_epoch, PartitionEpoch(0));
}
