//! Topics: created, deleted, and given more partitions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::command::{NewPartitions, NewTopic, TopicReference};
use super::placement::Placement;
use super::records::Records;
use super::response::{CreatedTopic, DeletedTopic, Rejection, Response};
use super::{Controller, Decision};
use crate::ids::{BrokerId, LeaderEpoch, PartitionEpoch, PartitionIndex, TopicId, TopicPartition, Uuid};
use crate::metadata::records::{ConfigRecord, PartitionRecord, RemoveTopicRecord, ResourceType, TopicRecord};
use crate::metadata::{PartitionImage, TopicImage, topic_name_flaw};

/// The metadata log is no topic that anybody can create.
const METADATA_TOPIC_NAME: &str = "__cluster_metadata";

impl Controller {
    pub(super) fn create_topics(
        &self,
        topics: &[NewTopic],
        draw: &mut dyn FnMut() -> u64,
    ) -> Result<Decision, Rejection> {
        let mut placement = Placement::new(&self.image, draw());
        let mut records = Records::default();
        let mut unified_names = BTreeSet::new();
        let twice = twice(topics.iter().map(|topic| topic.name.as_str()));
        let mut results = Vec::with_capacity(topics.len());
        for topic in topics {
            let result = if twice.contains(topic.name.as_str()) {
                Err(Rejection::InvalidRequest(format!("topic '{}' is named twice", topic.name)))
            } else if !unified_names.insert(unified(&topic.name)) {
                Err(Rejection::InvalidTopicName(format!(
                    "'{}' collides with another one in the request",
                    topic.name
                )))
            } else {
                self.create_topic(topic, &mut placement, draw, &mut records)
            };
            records.check()?;
            results.push(result);
        }
        let response = Response::TopicsCreated(results);
        Ok(Decision { records: records.into_vec(), is_atomic: true, response })
    }

    fn create_topic(
        &self,
        topic: &NewTopic,
        placement: &mut Placement,
        draw: &mut dyn FnMut() -> u64,
        records: &mut Records,
    ) -> Result<CreatedTopic, Rejection> {
        self.check_new_name(&topic.name)?;
        let configs = self.check_new_configs(topic)?;
        let counts = self.counts(topic)?;
        check_partition_count(counts.partitions)?;
        records.room_for(1 + configs.len() + counts.partitions)?;
        let replicas = place_topic(topic, &counts, placement)?;
        let id = self.new_topic_id(draw);
        records.push(TopicRecord { name: topic.name.clone(), topic_id: id });
        // As in Kafka, between the topic and its partitions: whoever sees the partitions knows how to open them.
        for (name, value) in &configs {
            let (resource_type, resource_name) = (ResourceType::Topic, topic.name.clone());
            let (name, value) = (name.clone(), Some(value.clone()));
            records.push(ConfigRecord { resource_type, resource_name, name, value });
        }
        for (index, replicas) in replicas.iter().enumerate() {
            records.push(new_partition(id, index as i32, replicas.clone(), placement));
        }
        Ok(CreatedTopic {
            name: topic.name.clone(),
            id,
            partitions: replicas.len() as i32,
            replication_factor: replicas.first().map_or(0, Vec::len) as i16,
            configs,
        })
    }

    fn check_new_name(&self, name: &str) -> Result<(), Rejection> {
        if name == METADATA_TOPIC_NAME {
            let text = "the metadata topic is the quorum's to create";
            return Err(Rejection::InvalidRequest(text.to_owned()));
        }
        if let Some(flaw) = topic_name_flaw(name) {
            return Err(Rejection::InvalidTopicName(flaw));
        }
        if self.image.topic(name).is_some() {
            return Err(Rejection::TopicExists(name.to_owned()));
        }
        let other = self.unified_names.get(&unified(name)).filter(|_| has_collision_characters(name));
        match other {
            Some(other) => Err(Rejection::TopicCollides { name: name.to_owned(), other: other.clone() }),
            None => Ok(()),
        }
    }

    fn check_new_configs(&self, topic: &NewTopic) -> Result<Vec<(String, String)>, Rejection> {
        let mut configs = BTreeMap::new();
        for (key, value) in &topic.configs {
            let Some(value) = value else {
                return Err(Rejection::InvalidConfig(format!("null is no value for {key}")));
            };
            (self.settings.check_config)(key, value).map_err(Rejection::InvalidConfig)?;
            if configs.insert(key.clone(), value.trim().to_owned()).is_some() {
                return Err(Rejection::InvalidConfig(format!("{key} is named twice")));
            }
        }
        Ok(configs.into_iter().collect())
    }

    /// How many partitions a new topic gets, and how many replicas each.
    fn counts(&self, topic: &NewTopic) -> Result<Counts, Rejection> {
        if !topic.assignments.is_empty() {
            let replication_factor = topic.assignments.first().map_or(0, |(_, replicas)| replicas.len());
            return Ok(Counts { partitions: topic.assignments.len(), replication_factor });
        }
        let replication_factor = match topic.replication_factor {
            -1 => self.settings.default_replication_factor,
            ..=0 => {
                let text = "the replication factor must be larger than 0, or -1 for the default";
                return Err(Rejection::InvalidReplicationFactor(text.to_owned()));
            }
            factor => factor,
        };
        let partitions = match topic.partitions {
            -1 => self.settings.num_partitions,
            ..=0 => {
                let text = "the number of partitions must be larger than 0, or -1 for the default";
                return Err(Rejection::InvalidPartitions(text.to_owned()));
            }
            partitions => partitions,
        };
        Ok(Counts { partitions: partitions as usize, replication_factor: replication_factor as usize })
    }

    fn new_topic_id(&self, draw: &mut dyn FnMut() -> u64) -> TopicId {
        loop {
            let id = Uuid::from_random(&mut *draw);
            if self.image.topic_by_id(id).is_none() {
                return id;
            }
        }
    }

    /// A partition and its topic.
    pub(super) fn find_partition(
        &self,
        name: TopicPartition,
    ) -> Result<(&TopicImage, &PartitionImage), Rejection> {
        let topic = self.image.topic_by_id(name.topic_id).ok_or(Rejection::UnknownTopicId(name.topic_id))?;
        let partition = topic.partition(name.partition).ok_or(Rejection::UnknownPartition(name))?;
        Ok((topic, partition))
    }

    pub(super) fn remove_topics(&self, topics: &[TopicReference]) -> Result<Decision, Rejection> {
        let mut records = Records::default();
        let mut seen = BTreeSet::new();
        let mut results = Vec::with_capacity(topics.len());
        for reference in topics {
            let result = self.find_removable(reference).and_then(|topic| {
                if !seen.insert(topic.id) {
                    return Err(Rejection::InvalidRequest(format!("topic '{}' is named twice", topic.name)));
                }
                records.room_for(1)?;
                records.push(RemoveTopicRecord { topic_id: topic.id });
                Ok(DeletedTopic { name: topic.name.clone(), id: topic.id })
            });
            records.check()?;
            results.push(result);
        }
        let response = Response::TopicsDeleted(results);
        Ok(Decision { records: records.into_vec(), is_atomic: true, response })
    }

    fn find_removable(&self, reference: &TopicReference) -> Result<&Arc<TopicImage>, Rejection> {
        let topic = match reference {
            TopicReference::Name(name) => {
                self.image.topic(name).ok_or_else(|| Rejection::UnknownTopic(name.clone()))?
            }
            TopicReference::Id(id) => self.image.topic_by_id(*id).ok_or(Rejection::UnknownTopicId(*id))?,
        };
        if self.settings.delete_topics { Ok(topic) } else { Err(Rejection::TopicDeletionDisabled) }
    }

    pub(super) fn create_partitions(
        &self,
        topics: &[NewPartitions],
        draw: &mut dyn FnMut() -> u64,
    ) -> Result<Decision, Rejection> {
        let mut placement = Placement::new(&self.image, draw());
        let mut records = Records::default();
        let twice = twice(topics.iter().map(|topic| topic.name.as_str()));
        let mut results = Vec::with_capacity(topics.len());
        for topic in topics {
            let result = if twice.contains(topic.name.as_str()) {
                Err(Rejection::InvalidRequest(format!("topic '{}' is named twice", topic.name)))
            } else {
                self.add_partitions(topic, &mut placement, &mut records)
            };
            records.check()?;
            results.push(result);
        }
        let response = Response::PartitionsCreated(results);
        Ok(Decision { records: records.into_vec(), is_atomic: true, response })
    }

    fn add_partitions(
        &self,
        request: &NewPartitions,
        placement: &mut Placement,
        records: &mut Records,
    ) -> Result<(), Rejection> {
        let unknown = || Rejection::UnknownTopic(request.name.clone());
        let topic = self.image.topic(&request.name).ok_or_else(unknown)?;
        let current = topic.partitions.len() as i32;
        if request.count <= current {
            return Err(Rejection::InvalidPartitions(format!(
                "topic '{}' has {current} partitions; {} would not be an increase",
                topic.name, request.count
            )));
        }
        let added = request.count - current;
        check_partition_count(added as usize)?;
        records.room_for(added as usize)?;
        // While replicas move there are more of them than there shall be.
        let replication_factor = topic
            .partitions
            .first()
            .map_or(1, |partition| partition.replicas.len() - partition.removing.len());
        let replicas: Vec<Vec<BrokerId>> = match &request.assignments {
            Some(assignments) if assignments.len() != added as usize => {
                return Err(Rejection::InvalidReplicaAssignment(format!(
                    "{added} partitions are to be added, but {} are assigned",
                    assignments.len()
                )));
            }
            Some(assignments) => {
                assignments.iter().try_for_each(|replicas| placement.check(replicas, replication_factor))?;
                assignments.clone()
            }
            None => {
                let places = (current..request.count).map(|_| placement.place(replication_factor));
                places.collect::<Result<_, _>>()?
            }
        };
        for (index, replicas) in (current..).zip(replicas) {
            records.push(new_partition(topic.id, index, replicas, placement));
        }
        Ok(())
    }
}

/// The size of a new topic.
struct Counts {
    partitions: usize,
    replication_factor: usize,
}

/// The replicas of each partition of a new topic.
fn place_topic(
    topic: &NewTopic,
    counts: &Counts,
    placement: &mut Placement,
) -> Result<Vec<Vec<BrokerId>>, Rejection> {
    if !topic.assignments.is_empty() {
        return place_by_hand(topic, placement);
    }
    (0..counts.partitions).map(|_| placement.place(counts.replication_factor)).collect()
}

/// A partition that nobody led before.
fn new_partition(
    topic_id: TopicId,
    index: i32,
    replicas: Vec<BrokerId>,
    placement: &mut Placement,
) -> PartitionRecord {
    let isr: Vec<BrokerId> = replicas.iter().copied().filter(|broker| placement.is_active(*broker)).collect();
    PartitionRecord {
        partition: PartitionIndex(index),
        topic_id,
        leader: isr.first().copied().unwrap_or(BrokerId::NONE),
        isr,
        removing: Vec::new(),
        adding: Vec::new(),
        is_recovering: false,
        leader_epoch: LeaderEpoch(0),
        partition_epoch: PartitionEpoch(0),
        directories: replicas.iter().map(|broker| placement.directory(*broker)).collect(),
        elr: Vec::new(),
        last_known_elr: Vec::new(),
        replicas,
    }
}

/// The replicas of a topic whose creator chose them.
fn place_by_hand(topic: &NewTopic, placement: &Placement) -> Result<Vec<Vec<BrokerId>>, Rejection> {
    if topic.replication_factor != -1 || topic.partitions != -1 {
        return Err(Rejection::InvalidRequest(
            "with assignments the numbers of partitions and replicas must be -1".to_owned(),
        ));
    }
    let mut assignments: Vec<_> = topic.assignments.iter().collect();
    assignments.sort_by_key(|(index, _)| *index);
    if assignments.iter().zip(0..).any(|((index, _), expected)| index.0 != expected) {
        return Err(Rejection::InvalidReplicaAssignment(
            "the assigned partitions must be numbered from 0 on without gaps or repetitions".to_owned(),
        ));
    }
    let replication_factor = assignments.first().map_or(0, |(_, replicas)| replicas.len());
    for (_, replicas) in &assignments {
        placement.check(replicas, replication_factor)?;
    }
    Ok(assignments.into_iter().map(|(_, replicas)| replicas.clone()).collect())
}

fn check_partition_count(count: usize) -> Result<(), Rejection> {
    if count > super::RECORDS_MAX {
        let text =
            format!("{count} partitions at once are more than {}: add them in steps", super::RECORDS_MAX);
        return Err(Rejection::PolicyViolation(text));
    }
    Ok(())
}

/// The names that stand more than once in a request.
fn twice<'a>(names: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    names.filter(|name| !seen.insert(*name)).collect()
}

/// Whether metrics could take the name for another one.
pub(super) fn has_collision_characters(name: &str) -> bool {
    name.contains(['.', '_'])
}

/// The name as metrics see it.
pub(super) fn unified(name: &str) -> String {
    name.replace('.', "_")
}
