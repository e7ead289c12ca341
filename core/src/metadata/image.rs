//! What all metadata records up to an offset add up to.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ids::{
    BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionIndex, ProducerId, TopicId, TopicPartition, Uuid,
};

use super::records::{
    BrokerEndpoint, BrokerFeature, BrokerRegistrationChangeRecord, ConfigRecord, FeatureLevelRecord,
    METADATA_VERSION, METADATA_VERSION_FEATURE, METADATA_VERSION_MIN, PartitionChangeRecord, PartitionRecord,
    ProducerIdsRecord, Record, RegisterBrokerRecord, ResourceType, TopicRecord,
};
use super::topic::{PartitionImage, TopicImage};

/// A broker as it registered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the fields are those of RegisterBrokerRecord
pub struct BrokerImage {
    pub id: BrokerId,
    pub epoch: BrokerEpoch,
    pub incarnation_id: Uuid,
    pub endpoints: Vec<BrokerEndpoint>,
    pub features: Vec<BrokerFeature>,
    pub rack: Option<String>,
    pub fenced: bool,
    pub in_controlled_shutdown: bool,
    pub log_dirs: Vec<Uuid>,
}

impl BrokerImage {
    /// Whether it may lead and be told to clients.
    pub fn is_active(&self) -> bool {
        !self.fenced && !self.in_controlled_shutdown
    }

    /// Whether it has this log directory (KIP-858). A replica without a directory is wherever its broker put it, and a
    /// broker that names none is taken to have all.
    pub fn has_directory(&self, id: Uuid) -> bool {
        id.is_zero() || self.log_dirs.is_empty() || self.log_dirs.contains(&id)
    }
}

/// What a configuration belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConfigResource {
    /// Its type.
    pub resource_type: ResourceType,
    /// Its name.
    pub name: String,
}

impl ConfigResource {
    /// A topic's configuration.
    pub fn topic(name: &str) -> Self {
        Self { resource_type: ResourceType::Topic, name: name.to_owned() }
    }

    /// What holds for all brokers (KIP-226): a broker without a name.
    pub fn cluster_default() -> Self {
        Self { resource_type: ResourceType::Broker, name: String::new() }
    }
}

/// Why a record does not fit the image: the log is not one that a controller wrote, or was damaged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// A record about a topic that is not there.
    #[error("a record speaks of topic {0}, which is not there")]
    NoTopic(TopicId),
    /// A record about a partition that is not there, or not at its turn.
    #[error("a record speaks of partition {0}, which is not there or not yet")]
    NoPartition(TopicPartition),
    /// A record about a broker that is not there.
    #[error("a record speaks of broker {0}, which is not registered with that epoch")]
    NoBroker(BrokerId),
    /// A topic whose name or id is taken.
    #[error("topic {0} is created twice")]
    TopicTwice(String),
    /// A partition that cannot be.
    #[error("partition {partition} cannot be: {flaw}")]
    Partition {
        /// Which.
        partition: TopicPartition,
        /// Why.
        flaw: &'static str,
    },
    /// A level of metadata.version that this version does not read.
    #[error(
        "the log is at metadata.version {0}, this version reads {METADATA_VERSION_MIN} to {METADATA_VERSION}: start \
         the version that wrote it"
    )]
    MetadataVersion(i16),
    /// Producer ids that run backwards.
    #[error("producer ids run backwards, from {from} to {to}")]
    ProducerIds {
        /// The next id before the record.
        from: ProducerId,
        /// The next id after it.
        to: ProducerId,
    },
}

/// What a record changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A topic or one of its partitions.
    Topic(TopicId),
    /// A topic is gone.
    TopicRemoved(Arc<TopicImage>),
    /// A configuration.
    Config(ConfigResource),
    /// A broker.
    Broker(BrokerId),
    /// Something that nobody follows by deltas.
    Other,
}

/// The cluster's metadata at one offset. Cloning it costs a few reference counts; a change copies only the maps that
/// it touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataImage {
    /// Names the cluster; from `meta.properties`, never changed by a record.
    pub cluster_id: String,
    /// The active controller.
    pub controller_id: BrokerId,
    /// The last record that is in it, or -1 before the first.
    pub offset: Offset,
    /// The epoch of the metadata log's leader that wrote that record.
    pub epoch: LeaderEpoch,
    topics: Arc<BTreeMap<TopicId, Arc<TopicImage>>>,
    names: Arc<BTreeMap<String, TopicId>>,
    brokers: Arc<BTreeMap<BrokerId, Arc<BrokerImage>>>,
    configs: Arc<BTreeMap<ConfigResource, Arc<BTreeMap<String, String>>>>,
    features: Arc<BTreeMap<String, i16>>,
    next_producer_id: ProducerId,
}

/// A topic without overrides.
static NO_OVERRIDES: BTreeMap<String, String> = BTreeMap::new();

impl MetadataImage {
    /// A cluster without anything.
    pub fn empty(cluster_id: String, controller_id: BrokerId) -> Self {
        Self {
            cluster_id,
            controller_id,
            offset: Offset::UNKNOWN,
            epoch: LeaderEpoch::NONE,
            topics: Arc::default(),
            names: Arc::default(),
            brokers: Arc::default(),
            configs: Arc::default(),
            features: Arc::default(),
            next_producer_id: ProducerId(0),
        }
    }

    /// The topic of that name.
    pub fn topic(&self, name: &str) -> Option<&Arc<TopicImage>> {
        self.topics.get(self.names.get(name)?)
    }

    /// The topic of that id.
    pub fn topic_by_id(&self, id: TopicId) -> Option<&Arc<TopicImage>> {
        self.topics.get(&id)
    }

    /// All topics, in the order of their names.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<TopicImage>> {
        self.names.values().filter_map(|id| self.topics.get(id))
    }

    /// The topics whose names are `from` or behind it, in the order of their names.
    pub fn topics_from(&self, from: &str) -> impl Iterator<Item = &Arc<TopicImage>> {
        let names = self.names.range::<str, _>((std::ops::Bound::Included(from), std::ops::Bound::Unbounded));
        names.filter_map(|(_, id)| self.topics.get(id))
    }

    /// How many topics there are.
    pub fn topic_count(&self) -> usize {
        self.topics.len()
    }

    /// A partition.
    pub fn partition(&self, partition: TopicPartition) -> Option<&PartitionImage> {
        self.topics.get(&partition.topic_id)?.partition(partition.partition)
    }

    /// A broker.
    pub fn broker(&self, id: BrokerId) -> Option<&Arc<BrokerImage>> {
        self.brokers.get(&id)
    }

    /// All brokers that are registered, in the order of their ids.
    pub fn brokers(&self) -> impl Iterator<Item = &Arc<BrokerImage>> {
        self.brokers.values()
    }

    /// The overrides of a topic; none for a topic that is not there.
    pub fn topic_overrides(&self, name: &str) -> &BTreeMap<String, String> {
        self.overrides(&ConfigResource::topic(name))
    }

    /// What holds for all brokers, whatever their files say (KIP-226).
    pub fn cluster_defaults(&self) -> &BTreeMap<String, String> {
        self.overrides(&ConfigResource::cluster_default())
    }

    /// The overrides of a resource.
    pub fn overrides(&self, resource: &ConfigResource) -> &BTreeMap<String, String> {
        self.configs.get(resource).map_or(&NO_OVERRIDES, Arc::as_ref)
    }

    /// The levels of the cluster's features.
    pub fn features(&self) -> &BTreeMap<String, i16> {
        &self.features
    }

    /// The first producer id that was not given away.
    pub fn next_producer_id(&self) -> ProducerId {
        self.next_producer_id
    }

    pub(super) fn configs(&self) -> impl Iterator<Item = (&ConfigResource, &Arc<BTreeMap<String, String>>)> {
        self.configs.iter()
    }

    /// Adds a record, and says what it changed. [`MetadataImage::offset`] is left to the caller.
    ///
    /// # Errors
    /// A record that does not fit what is there; the image is then unchanged.
    pub fn apply(&mut self, record: &Record) -> Result<Change, ImageError> {
        match record {
            Record::RegisterBroker(record) => Ok(self.register_broker(record)),
            Record::UnregisterBroker(record) => {
                self.find_broker(record.broker_id, record.broker_epoch)?;
                Arc::make_mut(&mut self.brokers).remove(&record.broker_id);
                Ok(Change::Broker(record.broker_id))
            }
            Record::BrokerRegistrationChange(record) => self.change_broker(record),
            Record::Topic(record) => self.add_topic(record),
            Record::Partition(record) => self.add_partition(record),
            Record::PartitionChange(record) => self.change_partition(record),
            Record::RemoveTopic(record) => self.remove_topic(record.topic_id),
            Record::Config(record) => Ok(self.change_config(record)),
            Record::FeatureLevel(record) => self.change_feature(record),
            Record::ProducerIds(record) => self.take_producer_ids(record),
            Record::NoOp(_) => Ok(Change::Other),
        }
    }

    fn register_broker(&mut self, record: &RegisterBrokerRecord) -> Change {
        let broker = BrokerImage {
            id: record.broker_id,
            epoch: record.broker_epoch,
            incarnation_id: record.incarnation_id,
            endpoints: record.endpoints.clone(),
            features: record.features.clone(),
            rack: record.rack.clone(),
            fenced: record.fenced,
            in_controlled_shutdown: record.in_controlled_shutdown,
            log_dirs: record.log_dirs.clone(),
        };
        Arc::make_mut(&mut self.brokers).insert(broker.id, Arc::new(broker));
        Change::Broker(record.broker_id)
    }

    fn find_broker(&self, id: BrokerId, epoch: BrokerEpoch) -> Result<&Arc<BrokerImage>, ImageError> {
        self.brokers.get(&id).filter(|broker| broker.epoch == epoch).ok_or(ImageError::NoBroker(id))
    }

    fn change_broker(&mut self, record: &BrokerRegistrationChangeRecord) -> Result<Change, ImageError> {
        let mut broker = BrokerImage::clone(self.find_broker(record.broker_id, record.broker_epoch)?);
        broker.fenced = record.fenced.unwrap_or(broker.fenced);
        broker.in_controlled_shutdown |= record.begins_controlled_shutdown;
        if let Some(log_dirs) = &record.log_dirs {
            broker.log_dirs.clone_from(log_dirs);
        }
        Arc::make_mut(&mut self.brokers).insert(broker.id, Arc::new(broker));
        Ok(Change::Broker(record.broker_id))
    }

    fn add_topic(&mut self, record: &TopicRecord) -> Result<Change, ImageError> {
        if self.names.contains_key(&record.name) || self.topics.contains_key(&record.topic_id) {
            return Err(ImageError::TopicTwice(record.name.clone()));
        }
        let topic = TopicImage { id: record.topic_id, name: record.name.clone(), partitions: Vec::new() };
        Arc::make_mut(&mut self.names).insert(topic.name.clone(), topic.id);
        Arc::make_mut(&mut self.topics).insert(topic.id, Arc::new(topic));
        Ok(Change::Topic(record.topic_id))
    }

    fn add_partition(&mut self, record: &PartitionRecord) -> Result<Change, ImageError> {
        let name = TopicPartition { topic_id: record.topic_id, partition: record.partition };
        let count =
            self.topics.get(&record.topic_id).ok_or(ImageError::NoTopic(record.topic_id))?.partitions.len();
        // Controllers write partitions in the order of their numbers.
        if usize::try_from(record.partition.0) != Ok(count) {
            return Err(ImageError::NoPartition(name));
        }
        let partition = PartitionImage::from_record(record);
        check_partition(name, &partition)?;
        self.edit_topic(record.topic_id, |topic| topic.partitions.push(partition));
        Ok(Change::Topic(record.topic_id))
    }

    fn change_partition(&mut self, record: &PartitionChangeRecord) -> Result<Change, ImageError> {
        let name = TopicPartition { topic_id: record.topic_id, partition: record.partition };
        let current = self.partition(name).ok_or(ImageError::NoPartition(name))?;
        let next = current
            .changed_by(record)
            .ok_or(ImageError::Partition { partition: name, flaw: "its epochs are at their end" })?;
        check_partition(name, &next)?;
        let PartitionIndex(index) = record.partition;
        self.edit_topic(record.topic_id, |topic| {
            if let Some(partition) = topic.partitions.get_mut(index as usize) {
                *partition = next;
            }
        });
        Ok(Change::Topic(record.topic_id))
    }

    fn edit_topic(&mut self, id: TopicId, edit: impl FnOnce(&mut TopicImage)) {
        if let Some(topic) = Arc::make_mut(&mut self.topics).get_mut(&id) {
            edit(Arc::make_mut(topic));
        }
    }

    fn remove_topic(&mut self, id: TopicId) -> Result<Change, ImageError> {
        let topic = Arc::make_mut(&mut self.topics).remove(&id).ok_or(ImageError::NoTopic(id))?;
        Arc::make_mut(&mut self.names).remove(&topic.name);
        let resource = ConfigResource::topic(&topic.name);
        if self.configs.contains_key(&resource) {
            Arc::make_mut(&mut self.configs).remove(&resource);
        }
        Ok(Change::TopicRemoved(topic))
    }

    fn change_config(&mut self, record: &ConfigRecord) -> Change {
        let resource =
            ConfigResource { resource_type: record.resource_type, name: record.resource_name.clone() };
        let configs = Arc::make_mut(&mut self.configs);
        match &record.value {
            Some(value) => {
                let overrides = configs.entry(resource.clone()).or_default();
                Arc::make_mut(overrides).insert(record.name.clone(), value.clone());
            }
            None => {
                if let Some(overrides) = configs.get_mut(&resource) {
                    Arc::make_mut(overrides).remove(&record.name);
                    if overrides.is_empty() {
                        configs.remove(&resource);
                    }
                }
            }
        }
        Change::Config(resource)
    }

    fn change_feature(&mut self, record: &FeatureLevelRecord) -> Result<Change, ImageError> {
        let is_readable = (METADATA_VERSION_MIN..=METADATA_VERSION).contains(&record.level);
        if record.name == METADATA_VERSION_FEATURE && !is_readable {
            return Err(ImageError::MetadataVersion(record.level));
        }
        let features = Arc::make_mut(&mut self.features);
        match record.level {
            0 => features.remove(&record.name),
            level => features.insert(record.name.clone(), level),
        };
        Ok(Change::Other)
    }

    fn take_producer_ids(&mut self, record: &ProducerIdsRecord) -> Result<Change, ImageError> {
        if record.next_producer_id < self.next_producer_id {
            return Err(ImageError::ProducerIds { from: self.next_producer_id, to: record.next_producer_id });
        }
        self.next_producer_id = record.next_producer_id;
        Ok(Change::Other)
    }

    /// Asserts every invariant of the image: called at restarts and at rest, for it costs what there is.
    ///
    /// # Panics
    /// When the image contradicts itself, which no log can cause: [`MetadataImage::apply`] refuses such records.
    pub fn check_all(&self) {
        assert_eq!(self.names.len(), self.topics.len(), "every topic has one name");
        for (name, id) in self.names.iter() {
            let topic = self.topics.get(id).expect("a name leads to a topic");
            assert_eq!(&topic.name, name, "a name leads to the topic that bears it");
            for (partition, image) in topic.named_partitions() {
                assert_eq!(image.flaw(), None, "{partition}");
            }
        }
    }
}

fn check_partition(name: TopicPartition, partition: &PartitionImage) -> Result<(), ImageError> {
    match partition.flaw() {
        Some(flaw) => Err(ImageError::Partition { partition: name, flaw }),
        None => Ok(()),
    }
}
