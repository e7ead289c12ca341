//! The controller over an ideal log: what it decides is committed at once. Its state is a small value, from which the
//! image of the real controller is made for each decision.
//!
//! The order of the assignment is no part of it: each decision is made with every order, so that whoever may be
//! elected by some order is, and brokers can change their names.

use std::time::Duration;

use jangbu_core::controller::{
    AlterIsr, Command, Controller, ElectionKind, Registration, Rejection, Response, Settings,
};
use jangbu_core::ids::{
    BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionEpoch, PartitionIndex, TopicPartition, Uuid,
};
use jangbu_core::metadata::records::{
    ConfigRecord, FeatureLevelRecord, METADATA_VERSION, METADATA_VERSION_FEATURE, PartitionRecord, Record,
    RegisterBrokerRecord, TopicRecord,
};
use jangbu_core::metadata::{ConfigResource, MetadataImage};
use jangbu_core::replica::{
    AlterPartitionRejection, BrokerStanding, BrokersView, PartitionState, PartitionView,
};

use super::BROKERS;
use super::message::{Answer, Proposal};
use super::permutation::Permutation;
use super::scope::Scope;
use crate::fuzz::alter_partition;

/// A broker as it is registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Registered {
    /// Its broker epoch, which is the number of its process.
    pub process: u8,
    /// Whether it may neither lead nor be in sync.
    pub is_fenced: bool,
}

/// The controller's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Metadata {
    /// In sync: a bit for each broker.
    pub isr: u8,
    /// Eligible leader replicas.
    pub elr: u8,
    /// Who led last, while nobody leads.
    pub last_known: BrokerId,
    /// The leader, or none.
    pub leader: BrokerId,
    /// Its epoch.
    pub leader_epoch: i32,
    /// The version of the registration.
    pub partition_epoch: i32,
    /// Whether the leader was elected uncleanly and has not said that it recovered.
    pub is_recovering: bool,
    /// The brokers.
    pub brokers: [Registered; BROKERS],
}

/// What the controller is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// A process starts.
    Register {
        /// Which broker.
        index: usize,
        /// Whether the one before left its marker.
        is_clean: bool,
    },
    /// A session is over.
    Fence(usize),
    /// A heartbeat of a broker that wants to serve.
    Serve(usize),
    /// A heartbeat of a broker that wants to stop.
    Stop(usize),
    /// Another leader from the ISR.
    Elect,
    /// A proposed ISR.
    Alter(usize, &'a Proposal),
}

const REPLICAS: [BrokerId; BROKERS] = [BrokerId(1), BrokerId(2), BrokerId(3)];
const TOPIC: TopicPartition = TopicPartition { topic_id: Uuid([7; 16]), partition: PartitionIndex(0) };

/// The set of some brokers.
pub fn set(members: &[BrokerId]) -> u8 {
    members.iter().map(|member| 1 << (member.0 - 1)).sum()
}

/// The brokers of a set.
pub fn members(set: u8) -> impl Iterator<Item = usize> {
    (0..BROKERS).filter(move |index| set & 1 << index != 0)
}

fn ids(set: u8) -> Vec<BrokerId> {
    members(set).map(|index| REPLICAS[index]).collect()
}

impl BrokersView for Metadata {
    fn standing(&self, id: BrokerId) -> Option<BrokerStanding> {
        let broker = self.brokers.get(usize::try_from(id.0 - 1).ok()?)?;
        let epoch = BrokerEpoch(broker.process.into());
        Some(BrokerStanding { epoch, fenced: broker.is_fenced, in_controlled_shutdown: false })
    }
}

impl Metadata {
    /// All serve, are in sync and hold nothing; the first broker leads.
    pub fn first() -> Self {
        Self {
            isr: 7,
            elr: 0,
            last_known: BrokerId::NONE,
            leader: BrokerId(1),
            leader_epoch: 0,
            partition_epoch: 0,
            is_recovering: false,
            brokers: [Registered { process: 1, is_fenced: false }; BROKERS],
        }
    }

    /// The ISR as a list.
    pub fn isr_members(&self) -> Vec<BrokerId> {
        ids(self.isr)
    }

    /// As a broker sees the partition.
    pub fn partition<'a>(&self, isr: &'a [BrokerId], min_insync_replicas: usize) -> PartitionView<'a> {
        PartitionView {
            replicas: &REPLICAS,
            isr,
            leader: self.leader,
            leader_epoch: LeaderEpoch(self.leader_epoch),
            partition_epoch: PartitionEpoch(self.partition_epoch),
            is_recovering: self.is_recovering,
            min_insync_replicas,
        }
    }

    /// The same with other names.
    #[must_use]
    pub fn renamed(&self, permutation: Permutation) -> Self {
        Self {
            isr: permutation.set(self.isr),
            elr: permutation.set(self.elr),
            last_known: permutation.id(self.last_known),
            leader: permutation.id(self.leader),
            brokers: permutation.array(self.brokers),
            ..*self
        }
    }

    /// What the controller makes of a request, with each order of the assignment: the states, each once, and the
    /// answer to a proposal.
    pub fn decide(&self, request: Request<'_>, scope: &Scope) -> Vec<(Self, Option<Answer>)> {
        let mut results: Vec<(Self, Option<Answer>)> = Vec::new();
        for order in Permutation::all() {
            let result = self.decide_in_order(request, scope, order);
            if !results.contains(&result) {
                results.push(result);
            }
        }
        results
    }

    fn decide_in_order(
        &self,
        request: Request<'_>,
        scope: &Scope,
        order: Permutation,
    ) -> (Self, Option<Answer>) {
        let mut controller = Controller::new(settings(scope), self.image(scope, order));
        let next_offset = match request {
            // A broker's epoch is the offset of its registration: the number of its process here.
            Request::Register { index, .. } => Offset(i64::from(self.brokers[index].process) + 1),
            _ => Offset(0),
        };
        let decision = controller.decide(&self.command(request), next_offset, &mut || 0);
        if let (Request::Register { index, .. }, Ok(decision)) = (request, &decision) {
            // A process whose registration nobody can refer to would make a world in which nobody restarts.
            let epoch = BrokerEpoch(i64::from(self.brokers[index].process) + 1);
            assert_eq!(
                decision.response,
                Response::Registered(epoch),
                "the registration is its first record"
            );
        }
        for record in decision.iter().flat_map(|decision| &decision.records) {
            controller.apply(record).expect("a decision fits the state it was made on");
        }
        let answer = match request {
            Request::Alter(_, proposal) => {
                let (ticket, leader_epoch) = (proposal.asked.ticket, proposal.asked.leader_epoch);
                let result = result(decision.map(|decision| decision.response));
                Some(Answer { ticket, leader_epoch, result })
            }
            _ => None,
        };
        (Self::of(controller.image()), answer)
    }

    fn command(&self, request: Request<'_>) -> Command {
        let epoch = |index: usize| BrokerEpoch(self.brokers[index].process.into());
        let heartbeat = |index: usize, wants: bool| Command::Heartbeat {
            broker_id: REPLICAS[index],
            broker_epoch: epoch(index),
            metadata_offset: Offset(i64::MAX),
            wants_fence: wants,
            wants_shutdown: wants,
            offline_log_dirs: Vec::new(),
        };
        match request {
            Request::Register { index, is_clean } => Command::RegisterBroker(Registration {
                broker_id: REPLICAS[index],
                incarnation_id: incarnation(self.brokers[index].process + 1),
                previous_broker_epoch: is_clean.then(|| epoch(index)),
                endpoints: Vec::new(),
                features: Vec::new(),
                rack: None,
                log_dirs: Vec::new(),
            }),
            Request::Fence(index) => {
                Command::FenceBroker { broker_id: REPLICAS[index], broker_epoch: epoch(index) }
            }
            Request::Serve(index) => heartbeat(index, false),
            Request::Stop(index) => heartbeat(index, true),
            Request::Elect => {
                Command::ElectLeaders { kind: ElectionKind::Preferred, partitions: Some(vec![TOPIC]) }
            }
            Request::Alter(index, Proposal { process, asked }) => Command::AlterPartition {
                broker_id: REPLICAS[index],
                broker_epoch: BrokerEpoch((*process).into()),
                partitions: vec![AlterIsr {
                    partition: TOPIC,
                    leader_epoch: asked.leader_epoch,
                    partition_epoch: asked.partition_epoch,
                    isr: asked.isr.clone(),
                    recovering: asked.recovering,
                }],
            },
        }
    }

    /// The image of the real controller, with the assignment in this order.
    fn image(&self, scope: &Scope, order: Permutation) -> MetadataImage {
        let mut image = MetadataImage::empty("scope".to_owned(), BrokerId(1));
        let mut apply = |record: Record| {
            image.apply(&record).expect("the records of a state fit each other");
        };
        apply(
            FeatureLevelRecord { name: METADATA_VERSION_FEATURE.to_owned(), level: METADATA_VERSION }.into(),
        );
        let ConfigResource { resource_type, name: resource_name } = ConfigResource::cluster_default();
        let value = Some(scope.min_insync_replicas.to_string());
        let name = "min.insync.replicas".to_owned();
        apply(ConfigRecord { resource_type, resource_name, name, value }.into());
        for (id, broker) in REPLICAS.iter().zip(&self.brokers) {
            apply(
                RegisterBrokerRecord {
                    broker_id: *id,
                    incarnation_id: incarnation(broker.process),
                    broker_epoch: BrokerEpoch(broker.process.into()),
                    endpoints: Vec::new(),
                    features: Vec::new(),
                    rack: None,
                    fenced: broker.is_fenced,
                    in_controlled_shutdown: false,
                    log_dirs: Vec::new(),
                }
                .into(),
            );
        }
        apply(TopicRecord { name: "t".to_owned(), topic_id: TOPIC.topic_id }.into());
        let last_known = Some(self.last_known).filter(|id| *id != BrokerId::NONE);
        apply(
            PartitionRecord {
                partition: TOPIC.partition,
                topic_id: TOPIC.topic_id,
                replicas: (0..BROKERS).map(|index| REPLICAS[order.image(index)]).collect(),
                isr: ids(self.isr),
                removing: Vec::new(),
                adding: Vec::new(),
                leader: self.leader,
                is_recovering: self.is_recovering,
                leader_epoch: LeaderEpoch(self.leader_epoch),
                partition_epoch: PartitionEpoch(self.partition_epoch),
                directories: Vec::new(),
                elr: ids(self.elr),
                last_known_elr: last_known.into_iter().collect(),
            }
            .into(),
        );
        image
    }

    fn of(image: &MetadataImage) -> Self {
        let partition = image.partition(TOPIC).expect("nobody deletes it");
        let broker = |id: BrokerId| {
            let broker = image.broker(id).expect("nobody unregisters it");
            Registered { process: broker.epoch.0 as u8, is_fenced: broker.fenced }
        };
        Self {
            isr: set(&partition.isr),
            elr: set(&partition.elr),
            last_known: partition.last_known_elr.first().copied().unwrap_or(BrokerId::NONE),
            leader: partition.leader,
            leader_epoch: partition.leader_epoch.0,
            partition_epoch: partition.partition_epoch.0,
            is_recovering: partition.is_recovering,
            brokers: REPLICAS.map(broker),
        }
    }
}

fn incarnation(process: u8) -> Uuid {
    Uuid([process; 16])
}

fn settings(scope: &Scope) -> Settings {
    Settings {
        num_partitions: 1,
        default_replication_factor: 1,
        delete_topics: true,
        check_config: |_, _| Ok(()),
        list_default: |_| None,
        first_min_insync_replicas: scope.min_insync_replicas as i32,
        unclean_leader_election: false,
        fence_new_brokers: true,
        session_timeout: Duration::from_secs(9),
        switches: scope.switches,
    }
}

/// As the leader understands it.
/// Sets are compared, so their members stand in order.
fn result(response: Result<Response, Rejection>) -> Result<PartitionState, AlterPartitionRejection> {
    alter_partition::outcome(response).map(|mut state| {
        state.isr.sort_unstable();
        state
    })
}
