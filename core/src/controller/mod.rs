//! The controller: decides what becomes of the metadata (KIP-500, KIP-631).
//!
//! A record machine: [`Controller::decide`] turns a command into records and a response and changes nothing;
//! [`Controller::apply`] adds a record, the same way when it was just decided and when it is read back at a start.
//!
//! | file | what |
//! |---|---|
//! | `registration.rs`, `brokers.rs`, `sessions.rs` | brokers: who starts, who serves, who is fenced, who is silent |
//! | `election.rs`, `elr.rs` | who leads, and who may when the in-sync set is gone |
//! | `isr.rs`, `reassignment.rs`, `partition_change.rs` | in-sync sets, replicas that move, and the one way to change either |
//! | `topics.rs`, `placement.rs`, `directories.rs`, `configs.rs` | topics, and where their replicas go |
//! | `offline_directories.rs` | directories that fail while their broker runs |
//! | `producer_ids.rs`, `records.rs`, `command.rs`, `response.rs` | blocks of ids; what is asked, decided and answered |

mod brokers;
mod command;
mod configs;
mod directories;
mod election;
mod elr;
mod isr;
mod offline_directories;
mod partition_change;
mod placement;
mod producer_ids;
mod reassignment;
mod records;
mod registration;
mod response;
mod sessions;
#[cfg(test)]
mod tests;
mod topics;

use std::collections::BTreeMap;
use std::time::Duration;

pub use command::{
    AlterIsr, Command, ConfigChange, ConfigEdit, ConfigOperation, ElectionKind, NewPartitions, NewTopic,
    Registration, TopicReference,
};
pub use records::RECORDS_MAX;
pub use response::{CreatedTopic, DeletedTopic, PartitionState, ProducerIdBlock, Rejection, Response};
pub use sessions::Sessions;

use self::brokers::Wishes;
use crate::ids::{BrokerEpoch, BrokerId, Offset};
use crate::metadata::records::Record;
use crate::metadata::{Change, ImageError, MetadataImage};
use crate::museum::Switches;
use crate::time::Instant;

/// Kafka's block of producer ids (KIP-730).
pub const PRODUCER_IDS_PER_BLOCK: i32 = 1000;

/// Kafka's `broker.session.timeout.ms`.
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(9);

/// What the controller needs of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// `num.partitions`.
    pub num_partitions: i32,
    /// `default.replication.factor`.
    pub default_replication_factor: i16,
    /// `delete.topic.enable`.
    pub delete_topics: bool,
    /// Whether a topic may have this override; says why not.
    pub check_config: fn(key: &str, value: &str) -> Result<(), String>,
    /// The default of a key whose value is a list; `None` for all others.
    pub list_default: fn(key: &str) -> Option<&'static str>,
    /// `min.insync.replicas` of this process's file. The cluster's default begins with it when the metadata holds none,
    /// and is never taken from it again: controllers and brokers that reckon with different numbers would disagree
    /// about what is committed, and who is eligible (KIP-966).
    pub first_min_insync_replicas: i32,
    /// `unclean.leader.election.enable` of topics without an override.
    pub unclean_leader_election: bool,
    /// Whether a broker that registers serves only when it has read the metadata and asks for it: in a cluster of
    /// several. One that is alone has what it needs.
    pub fence_new_brokers: bool,
    /// `broker.session.timeout.ms`.
    pub session_timeout: Duration,
    /// Which guards are off.
    pub switches: Switches,
}

/// What a command comes to.
///
/// It was judged on the newest state, committed or not. So the response, and a [`Rejection`] as well, counts only when
/// these records and all that were decided before are committed: a refusal that rests on a record which is then lost
/// never was. [`Rejection::IneligibleReplica`] above all, by which a leader takes its proposal back, has to come from a
/// controller whose leadership is confirmed: it promises that no copy of the proposal is accepted, and it is the
/// partition epoch in its record that keeps the promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// To be appended and applied, in order.
    pub records: Vec<Record>,
    /// Whether they make sense only together, so that a reader must never see some of them without the others.
    pub is_atomic: bool,
    /// To be answered when they, and all records before them, are committed.
    pub response: Response,
}

/// The controller's state: the metadata up to the newest record, committed or not.
#[derive(Debug)]
pub struct Controller {
    settings: Settings,
    image: MetadataImage,
    sessions: Sessions,
    /// Names with `.` for `_`, of the topics that have either; metrics cannot tell such names apart.
    unified_names: BTreeMap<String, String>,
}

impl Controller {
    /// A controller that knows what is in `image`.
    pub fn new(settings: Settings, image: MetadataImage) -> Self {
        let names = image.topics().filter(|topic| topics::has_collision_characters(&topic.name));
        let unified_names = names.map(|topic| (topics::unified(&topic.name), topic.name.clone())).collect();
        let sessions = Sessions::new(settings.session_timeout);
        let controller = Self { settings, image, sessions, unified_names };
        controller.check_all();
        controller
    }

    /// The metadata up to the newest record that was applied.
    pub fn image(&self) -> &MetadataImage {
        &self.image
    }

    /// Judges a command on the present state. `next_offset` is where its first record will stand in the log, `draw`
    /// gives random bits.
    ///
    /// # Errors
    /// A command that is refused as a whole. What is refused of a list stands in the response.
    pub fn decide(
        &self,
        command: &Command,
        next_offset: Offset,
        draw: &mut dyn FnMut() -> u64,
    ) -> Result<Decision, Rejection> {
        let mut decision = match command {
            Command::CreateTopics { topics, .. } => self.create_topics(topics, draw)?,
            Command::DeleteTopics { topics } => self.remove_topics(topics)?,
            Command::CreatePartitions { topics, .. } => self.create_partitions(topics, draw)?,
            Command::AlterConfigs { resources, .. } => self.alter_configs(resources)?,
            Command::AllocateProducerIds { broker_id, broker_epoch } => {
                return self.allocate_producer_ids(*broker_id, *broker_epoch);
            }
            Command::RegisterBroker(registration) => return self.register(registration, next_offset),
            Command::Heartbeat {
                broker_id,
                broker_epoch,
                metadata_offset,
                wants_fence,
                wants_shutdown,
                offline_log_dirs,
            } => {
                let (metadata_offset, wants_fence) = (*metadata_offset, *wants_fence);
                let wants_shutdown = *wants_shutdown;
                let wishes = Wishes { metadata_offset, wants_fence, wants_shutdown, offline_log_dirs };
                return self.heartbeat(*broker_id, *broker_epoch, wishes);
            }
            Command::FenceBroker { broker_id, broker_epoch } => {
                self.fence_broker(*broker_id, *broker_epoch)?
            }
            Command::UnregisterBroker { broker_id } => self.unregister(*broker_id)?,
            Command::AlterPartition { broker_id, broker_epoch, partitions } => {
                self.alter_partitions(*broker_id, *broker_epoch, partitions)?
            }
            Command::ElectLeaders { kind, partitions } => self.elect_leaders(*kind, partitions.as_deref())?,
            Command::AlterReassignments { partitions } => self.alter_reassignments(partitions)?,
        };
        if let Command::CreateTopics { validate_only: true, .. }
        | Command::CreatePartitions { validate_only: true, .. }
        | Command::AlterConfigs { validate_only: true, .. } = command
        {
            decision.records.clear();
        }
        Ok(decision)
    }

    /// Adds a record, and says what it changed.
    ///
    /// # Errors
    /// A record that does not fit what is there, which no decision of this controller can contain.
    pub fn apply(&mut self, record: &Record) -> Result<Change, ImageError> {
        let ends_session = self.ends_session(record);
        let change = self.image.apply(record)?;
        if let Some(broker) = ends_session {
            self.sessions.end(broker);
        }
        match (record, &change) {
            (Record::Topic(topic), _) if topics::has_collision_characters(&topic.name) => {
                self.unified_names.insert(topics::unified(&topic.name), topic.name.clone());
            }
            (_, Change::TopicRemoved(topic)) if topics::has_collision_characters(&topic.name) => {
                self.unified_names.remove(&topics::unified(&topic.name));
            }
            _ => {}
        }
        Ok(change)
    }

    /// Whose session ends with a record that is about to be applied. A broker that registers again because it did not
    /// hear the answer is the same one (KIP-631): it serves on, and must be fenced should it fall silent.
    fn ends_session(&self, record: &Record) -> Option<BrokerId> {
        let is_same = |epoch, id| self.image.broker(id).is_some_and(|broker| broker.epoch == epoch);
        match record {
            Record::RegisterBroker(record) => {
                let goes_on = !record.fenced && is_same(record.broker_epoch, record.broker_id);
                (!goes_on).then_some(record.broker_id)
            }
            Record::UnregisterBroker(record) => Some(record.broker_id),
            Record::BrokerRegistrationChange(record) => {
                (record.fenced == Some(true)).then_some(record.broker_id)
            }
            _ => None,
        }
    }

    /// Whether a broker will be fenced when it is not heard of any more.
    pub fn has_session(&self, broker: BrokerId) -> bool {
        self.sessions.is_live(broker)
    }

    /// Notes where the newest record that was applied stands in the log.
    pub fn advance(&mut self, offset: Offset, epoch: crate::ids::LeaderEpoch) {
        assert!(offset >= self.image.offset, "records are applied in the order of the log");
        self.image.offset = offset;
        self.image.epoch = epoch;
    }

    /// Begins the session of every broker when this controller takes over: it does not know when they were last heard.
    /// One that is fenced has a session as well, for a process that loads its logs must not be taken for dead.
    pub fn begin_sessions(&mut self, now: Instant) {
        self.sessions = Sessions::new(self.settings.session_timeout);
        for broker in self.image.brokers() {
            self.sessions.heard(broker.id, now);
        }
    }

    /// Notes a registration, once it has been applied: the session begins with it, not with the first heartbeat, or a
    /// late registration of another process could come in between.
    pub fn registered(&mut self, broker_id: BrokerId, epoch: BrokerEpoch, now: Instant) {
        if self.find_incarnation(broker_id, epoch).is_ok() {
            self.sessions.heard(broker_id, now);
        }
    }

    /// Notes a heartbeat, once what it changed has been applied and [`Controller::advance`] has said where. One of an
    /// incarnation that is over says nothing.
    pub fn heard(&mut self, broker_id: BrokerId, epoch: BrokerEpoch, metadata_offset: Offset, now: Instant) {
        let Ok(broker) = self.find_incarnation(broker_id, epoch) else { return };
        let is_shutting_down = broker.in_controlled_shutdown && !broker.fenced;
        self.sessions.heard(broker_id, now);
        self.sessions.reached(broker_id, metadata_offset);
        if is_shutting_down {
            self.sessions.shuts_down_from(broker_id, self.image.offset);
        }
    }

    /// The command that fences the first broker whose session is over. To be asked again when it has been applied.
    pub fn expired(&mut self, now: Instant) -> Option<Command> {
        while let Some(broker_id) = self.sessions.expired(now) {
            if let Some(broker) = self.image.broker(broker_id).filter(|broker| !broker.fenced) {
                return Some(Command::FenceBroker { broker_id, broker_epoch: broker.epoch });
            }
            self.sessions.end(broker_id);
        }
        None
    }

    /// When to ask for sessions that are over.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.sessions.next_deadline()
    }

    /// Asserts all invariants: at restarts and at rest.
    ///
    /// # Panics
    /// When the state contradicts itself.
    pub fn check_all(&self) {
        self.image.check_all();
        for name in self.unified_names.values() {
            assert!(self.image.topic(name).is_some(), "only topics that are there can be collided with");
        }
    }
}
