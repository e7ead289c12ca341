//! The controller machine over an ideal log: what it decides is committed at once, and every state there was is kept,
//! for brokers follow late.

use std::time::Duration;

use jangbu_core::controller::{
    AlterIsr, Command, ConfigChange, ConfigEdit, ConfigOperation, Controller, ElectionKind, NewTopic,
    Registration, Rejection, Response, Settings,
};
use jangbu_core::ids::{
    BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionEpoch, PartitionIndex, TopicPartition, Uuid,
};
use jangbu_core::lifecycle::HeartbeatAnswer;
use jangbu_core::metadata::records::Record;
use jangbu_core::metadata::{ConfigResource, ImageError, MetadataImage};
use jangbu_core::replica::{
    self, AlterPartitionRejection, BrokerStanding, BrokersView, PartitionState, PartitionView,
};
use jangbu_core::time::{Instant, Timestamp};

use super::BROKERS_MAX;
use super::profile::Profile;
use crate::fuzz::alter_partition;

/// The metadata at one offset, as brokers see it.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The offset of the newest record.
    pub offset: i64,
    /// The assignment.
    pub replicas: Vec<BrokerId>,
    /// In sync.
    pub isr: Vec<BrokerId>,
    /// Eligible leader replicas.
    pub elr: Vec<BrokerId>,
    /// The leader or -1.
    pub leader: BrokerId,
    /// Its epoch.
    pub leader_epoch: i32,
    /// The version.
    pub partition_epoch: i32,
    /// From an unclean election.
    pub is_recovering: bool,
    /// Whether replicas come or go.
    pub is_reassigning: bool,
    /// The effective one.
    pub min_insync_replicas: usize,
    /// By id, from 1.
    pub brokers: [Option<BrokerStanding>; BROKERS_MAX],
}

impl BrokersView for View {
    fn standing(&self, id: BrokerId) -> Option<BrokerStanding> {
        *self.brokers.get(usize::try_from(id.0 - 1).ok()?)?
    }
}

impl View {
    /// The partition.
    pub fn partition(&self) -> PartitionView<'_> {
        PartitionView {
            replicas: &self.replicas,
            isr: &self.isr,
            leader: self.leader,
            leader_epoch: LeaderEpoch(self.leader_epoch),
            partition_epoch: PartitionEpoch(self.partition_epoch),
            is_recovering: self.is_recovering,
            min_insync_replicas: self.min_insync_replicas,
        }
    }
}

/// How a leader was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Election {
    /// From the ISR.
    InSync,
    /// From the eligible leader replicas.
    Eligible,
    /// The last known leader, or whoever lives where that is allowed.
    Unclean,
}

/// The controller and its log.
#[derive(Debug)]
pub struct Quorum {
    controller: Controller,
    settings: Settings,
    partition: TopicPartition,
    images: Vec<MetadataImage>,
    /// All records there were, in the order of their offsets, from the first one.
    records: Vec<Record>,
    draws: u64,
    /// Every state there was, as brokers see it.
    pub views: Vec<View>,
    /// Elections since somebody looked.
    pub elections: Vec<Election>,
}

const TOPIC: &str = "t";
const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";

fn at(now_ms: u64) -> Instant {
    Instant(now_ms * 1_000_000)
}

fn directory_id(number: u32) -> Uuid {
    let mut bytes = [9; 16];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    Uuid(bytes)
}

fn incarnation_id(broker: BrokerId, process: u32) -> Uuid {
    Uuid::at_time(Timestamp(process.into()), || broker.0 as u64)
}

/// Where the metadata begins.
pub fn empty_image() -> MetadataImage {
    MetadataImage::empty("fuzz".to_owned(), BrokerId(1))
}

fn min_change(value: usize) -> Command {
    let operation = ConfigOperation::Set(Some(value.to_string()));
    let edit = ConfigEdit::Incremental(vec![(MIN_INSYNC_REPLICAS.to_owned(), operation)]);
    let resources = vec![ConfigChange { resource: ConfigResource::topic(TOPIC), edit }];
    Command::AlterConfigs { resources, validate_only: false }
}

impl Quorum {
    /// Brokers that serve, each with directory and process as given, and a topic whose replicas are all in sync.
    pub fn new(profile: &Profile, now_ms: u64) -> Self {
        let settings = Settings {
            num_partitions: 1,
            default_replication_factor: 1,
            delete_topics: true,
            check_config: |_, _| Ok(()),
            list_default: |_| None,
            first_min_insync_replicas: i32::from(profile.min_insync_replicas),
            unclean_leader_election: profile.unclean_election,
            fence_new_brokers: true,
            session_timeout: Duration::from_millis(profile.session_ms),
            switches: profile.switches,
        };
        let controller = Controller::new(settings, empty_image());
        let partition = TopicPartition::new(Uuid::ZERO, 0);
        let (images, views, elections) = (Vec::new(), Vec::new(), Vec::new());
        let records = Vec::new();
        let mut quorum =
            Self { controller, settings, partition, images, records, draws: 0, views, elections };
        for number in 1..=i32::from(profile.brokers) {
            let epoch = quorum.register(BrokerId(number), 1, number as u32, None, now_ms);
            let epoch = epoch.expect("nobody else is this broker");
            quorum.heartbeat(BrokerId(number), epoch, i64::MAX, (false, false), now_ms);
        }
        let replicas = (1..=i32::from(profile.replicas)).map(BrokerId).collect();
        let assignments = vec![(PartitionIndex(0), replicas)];
        let topic = NewTopic { assignments, ..NewTopic::with_defaults(TOPIC) };
        let _ = quorum.carry_out(&Command::CreateTopics { topics: vec![topic], validate_only: false });
        let id = quorum.controller.image().topic(TOPIC).expect("it was just created").id;
        quorum.partition = TopicPartition::new(id, 0);
        for number in 1..=i32::from(profile.brokers) {
            let id = BrokerId(number);
            let epoch = quorum.controller.image().broker(id).expect("it is registered").epoch;
            let offset = quorum.controller.image().offset;
            quorum.controller.heard(id, epoch, offset, at(now_ms));
        }
        quorum.images = vec![quorum.controller.image().clone()];
        quorum.views = vec![quorum.present()];
        quorum.elections.clear();
        quorum
    }

    /// The metadata as the controller holds it.
    pub fn image(&self) -> &MetadataImage {
        self.controller.image()
    }

    /// The metadata as a broker has it that reads every record from the first one on.
    ///
    /// # Errors
    /// A record that does not fit those before it.
    pub fn replayed(&self) -> Result<MetadataImage, ImageError> {
        let mut image = empty_image();
        for record in &self.records {
            image.apply(record)?;
        }
        (image.offset, image.epoch) = (self.image().offset, self.image().epoch);
        Ok(image)
    }

    /// For the test of the check that compares the records with the image.
    #[cfg(test)]
    pub fn forget_last_record(&mut self) {
        self.records.pop();
    }

    /// The newest state.
    pub fn view(&self) -> &View {
        &self.views[self.views.len() - 1]
    }

    /// As brokers see it.
    fn present(&self) -> View {
        let image = self.controller.image();
        let mut view = View { offset: image.offset.0, leader: BrokerId::NONE, ..View::default() };
        for broker in image.brokers() {
            view.brokers[(broker.id.0 - 1) as usize] = image.standing(broker.id);
        }
        let Some(partition) = image.partition(self.partition) else { return view };
        let minimum = image.topic_overrides(TOPIC).get(MIN_INSYNC_REPLICAS);
        let minimum = minimum.or_else(|| image.cluster_defaults().get(MIN_INSYNC_REPLICAS));
        let minimum: usize =
            minimum.and_then(|value| value.parse().ok()).expect("the first broker brought a default");
        view.min_insync_replicas = minimum.min(partition.replicas.len());
        view.replicas.clone_from(&partition.replicas);
        view.isr.clone_from(&partition.isr);
        view.elr.clone_from(&partition.elr);
        view.leader = partition.leader;
        view.leader_epoch = partition.leader_epoch.0;
        view.partition_epoch = partition.partition_epoch.0;
        view.is_recovering = partition.is_recovering;
        view.is_reassigning = !partition.adding.is_empty() || !partition.removing.is_empty();
        view
    }

    fn carry_out(&mut self, command: &Command) -> Result<Response, Rejection> {
        let next = Offset(self.controller.image().offset.0 + 1);
        let draws = &mut self.draws;
        let decision = self.controller.decide(command, next, &mut || {
            *draws += 1;
            draws.wrapping_mul(0x9e37_79b9_7f4a_7c15)
        })?;
        if decision.records.is_empty() {
            return Ok(decision.response);
        }
        for (offset, record) in (next.0..).zip(&decision.records) {
            self.controller.apply(record).expect("a decision fits the state it was made on");
            self.controller.advance(Offset(offset), LeaderEpoch(1));
        }
        self.records.extend(decision.records);
        let view = self.present();
        if let Some(before) = self.views.last()
            && view.leader != BrokerId::NONE
            && view.leader_epoch != before.leader_epoch
        {
            let election = if view.is_recovering
                && !before.isr.contains(&view.leader)
                && !before.elr.contains(&view.leader)
            {
                Election::Unclean
            } else if before.elr.contains(&view.leader) {
                Election::Eligible
            } else {
                Election::InSync
            };
            self.elections.push(election);
        }
        self.images.push(self.controller.image().clone());
        self.views.push(view);
        Ok(decision.response)
    }

    /// A process starts. `None`: refused, for the session of another one lives.
    pub fn register(
        &mut self,
        id: BrokerId,
        process: u32,
        directory: u32,
        previous: Option<BrokerEpoch>,
        now_ms: u64,
    ) -> Option<BrokerEpoch> {
        let registration = Registration {
            broker_id: id,
            incarnation_id: incarnation_id(id, process),
            previous_broker_epoch: previous,
            endpoints: Vec::new(),
            features: Vec::new(),
            rack: None,
            log_dirs: vec![directory_id(directory)],
        };
        let response = self.carry_out(&Command::RegisterBroker(registration));
        let epoch = match response {
            Ok(Response::Registered(epoch)) => Some(epoch),
            _ => None,
        };
        if let Some(epoch) = epoch {
            self.controller.registered(id, epoch, at(now_ms));
        }
        self.check_sessions();
        epoch
    }

    /// A heartbeat. `None`: another incarnation is registered.
    pub fn heartbeat(
        &mut self,
        id: BrokerId,
        epoch: BrokerEpoch,
        metadata_offset: i64,
        wants: (bool, bool),
        now_ms: u64,
    ) -> Option<HeartbeatAnswer> {
        let (wants_fence, wants_shutdown) = wants;
        let metadata_offset = Offset(metadata_offset);
        let (broker_id, broker_epoch) = (id, epoch);
        let command = Command::Heartbeat {
            broker_id,
            broker_epoch,
            metadata_offset,
            wants_fence,
            wants_shutdown,
            offline_log_dirs: Vec::new(),
        };
        let response = self.carry_out(&command);
        self.controller.heard(id, epoch, metadata_offset, at(now_ms));
        self.check_sessions();
        match response {
            Ok(Response::Heartbeat { is_caught_up, is_fenced, should_shut_down }) => {
                Some(HeartbeatAnswer { is_caught_up, is_fenced, should_shut_down })
            }
            _ => None,
        }
    }

    /// Fences the first broker whose session is over.
    pub fn expire(&mut self, now_ms: u64) {
        if let Some(command) = self.controller.expired(at(now_ms)) {
            let _ = self.carry_out(&command);
        }
        self.check_sessions();
    }

    /// Who serves has a session: without one it would never be fenced.
    fn check_sessions(&self) {
        for broker in self.image().brokers().filter(|broker| !broker.fenced) {
            assert!(self.controller.has_session(broker.id), "broker {} serves without a session", broker.id);
        }
    }

    fn proposal(&self, broker_id: BrokerId, broker_epoch: BrokerEpoch, asked: &replica::AlterIsr) -> Command {
        let replica::AlterIsr { leader_epoch, partition_epoch, isr, recovering, .. } = asked.clone();
        let partition = self.partition;
        let partitions = vec![AlterIsr { partition, leader_epoch, partition_epoch, isr, recovering }];
        Command::AlterPartition { broker_id, broker_epoch, partitions }
    }

    /// A leader proposes an ISR.
    ///
    /// # Errors
    /// As the leader understands them.
    pub fn alter_partition(
        &mut self,
        id: BrokerId,
        broker_epoch: BrokerEpoch,
        asked: &replica::AlterIsr,
    ) -> Result<PartitionState, AlterPartitionRejection> {
        let command = self.proposal(id, broker_epoch, asked);
        alter_partition::outcome(self.carry_out(&command))
    }

    /// A controller that was deposed and does not know it judges a proposal on the state `back` changes ago. It can
    /// commit nothing, so only what it refuses without a record is answered; what it accepts stays unanswered, and so does
    /// NEW_LEADER_ELECTED, which accepts a proposal that takes the leader away. Nor does it say that a replica is
    /// ineligible: a controller tells that, which proves that a change was not made, only when its leadership is
    /// confirmed.
    pub fn refuse_as_zombie(
        &self,
        id: BrokerId,
        broker_epoch: BrokerEpoch,
        asked: &replica::AlterIsr,
        back: usize,
    ) -> Option<AlterPartitionRejection> {
        let image = self.images[self.images.len().saturating_sub(1 + back)].clone();
        let next = Offset(image.offset.0 + 1);
        let zombie = Controller::new(self.settings, image);
        let decision = zombie.decide(&self.proposal(id, broker_epoch, asked), next, &mut || 0);
        if decision.as_ref().is_ok_and(|decision| !decision.records.is_empty()) {
            return None;
        }
        let result = alter_partition::outcome(decision.map(|decision| decision.response));
        result.err().filter(|rejection| *rejection != AlterPartitionRejection::IneligibleReplica)
    }

    /// Moves the partition to other brokers, or gives up doing so.
    pub fn reassign(&mut self, target: Option<Vec<BrokerId>>) {
        let partitions = vec![(self.partition, target)];
        let _ = self.carry_out(&Command::AlterReassignments { partitions });
    }

    /// An operator makes a replica the preferred leader, and has it elected.
    pub fn prefer(&mut self, broker: BrokerId) {
        let view = self.view();
        if view.is_reassigning || !view.replicas.contains(&broker) {
            return;
        }
        let others = view.replicas.iter().copied().filter(|replica| *replica != broker);
        let target = std::iter::once(broker).chain(others).collect();
        self.reassign(Some(target));
        self.elect(ElectionKind::Preferred);
    }

    /// ElectLeaders.
    pub fn elect(&mut self, kind: ElectionKind) {
        let partitions = Some(vec![self.partition]);
        let _ = self.carry_out(&Command::ElectLeaders { kind, partitions });
    }

    /// Another min.insync.replicas.
    pub fn alter_min_insync(&mut self, value: usize) {
        let _ = self.carry_out(&min_change(value));
    }
}
