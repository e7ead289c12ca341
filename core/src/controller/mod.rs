//! The controller: decides what becomes of the metadata (KIP-500, KIP-631).
//!
//! A record machine: [`Controller::decide`] turns a command into records and a response and changes nothing;
//! [`Controller::apply`] adds a record, the same way when it was just decided and when it is read back at a start.

mod brokers;
mod command;
mod configs;
mod placement;
mod records;
#[cfg(test)]
mod tests;
mod topics;

use std::collections::BTreeMap;

pub use command::{
    Command, ConfigChange, ConfigEdit, ConfigOperation, CreatedTopic, DeletedTopic, NewPartitions, NewTopic,
    ProducerIdBlock, Registration, Rejection, Response, TopicReference,
};

pub use records::RECORDS_MAX;

use crate::ids::Offset;
use crate::metadata::records::Record;
use crate::metadata::{Change, ImageError, MetadataImage};

/// Kafka's block of producer ids (KIP-730).
pub const PRODUCER_IDS_PER_BLOCK: i32 = 1000;

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
}

/// What a command comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// To be appended and applied, in order.
    pub records: Vec<Record>,
    /// Whether they make sense only together, so that a reader must never see some of them without the others.
    pub is_atomic: bool,
    /// To be answered when they are committed.
    pub response: Response,
}

/// The controller's state: the metadata up to the newest record, committed or not.
#[derive(Debug)]
pub struct Controller {
    settings: Settings,
    image: MetadataImage,
    /// Names with `.` for `_`, of the topics that have either; metrics cannot tell such names apart.
    unified_names: BTreeMap<String, String>,
}

impl Controller {
    /// A controller that knows what is in `image`.
    pub fn new(settings: Settings, image: MetadataImage) -> Self {
        let names = image.topics().filter(|topic| topics::has_collision_characters(&topic.name));
        let unified_names = names.map(|topic| (topics::unified(&topic.name), topic.name.clone())).collect();
        let controller = Self { settings, image, unified_names };
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
            Command::RegisterBroker(registration) => return Ok(self.register(registration, next_offset)),
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
        let change = self.image.apply(record)?;
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

    /// Notes where the newest record that was applied stands in the log.
    pub fn advance(&mut self, offset: Offset, epoch: crate::ids::LeaderEpoch) {
        assert!(offset >= self.image.offset, "records are applied in the order of the log");
        self.image.offset = offset;
        self.image.epoch = epoch;
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
