//! Records about topics and their partitions.

use super::Body;
use crate::ids::{BrokerId, LeaderEpoch, PartitionEpoch, PartitionIndex, TopicId, Uuid};
use crate::metadata::codec::{CodecError, Reader, Tags, Writer};

/// What a PartitionChangeRecord writes for a leader that stays.
const LEADER_NO_CHANGE: i32 = -2;

/// A new topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicRecord {
    /// Its name.
    pub name: String,
    /// Its id, which no other topic ever has.
    pub topic_id: TopicId,
}

impl Body for TopicRecord {
    const KEY: u32 = 2;
    const NAME: &'static str = "TopicRecord";
    const VERSION: u32 = 0;

    fn write(&self, writer: &mut Writer) {
        writer.string(&self.name);
        writer.uuid(self.topic_id);
        writer.tags(Tags::default());
    }

    fn read(reader: &mut Reader<'_>, _version: u32) -> Result<Self, CodecError> {
        let record = Self { name: reader.string()?, topic_id: reader.uuid()? };
        reader.no_tags()?;
        Ok(record)
    }
}

/// A new partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionRecord {
    /// Its number.
    pub partition: PartitionIndex,
    /// Its topic.
    pub topic_id: TopicId,
    /// Its replicas, the preferred leader first.
    pub replicas: Vec<BrokerId>,
    /// The replicas in sync.
    pub isr: Vec<BrokerId>,
    /// Replicas that are on their way out.
    pub removing: Vec<BrokerId>,
    /// Replicas that are on their way in.
    pub adding: Vec<BrokerId>,
    /// The leader, or [`BrokerId::NONE`].
    pub leader: BrokerId,
    /// Whether it recovers from an unclean election (KIP-704).
    pub is_recovering: bool,
    /// Its leader epoch.
    pub leader_epoch: LeaderEpoch,
    /// Its partition epoch.
    pub partition_epoch: PartitionEpoch,
    /// The log directory of each replica (KIP-858).
    pub directories: Vec<Uuid>,
    /// Replicas outside the ISR that are known to have everything committed (KIP-966).
    pub elr: Vec<BrokerId>,
    /// The last members of `elr` that stopped uncleanly.
    pub last_known_elr: Vec<BrokerId>,
}

impl Body for PartitionRecord {
    const KEY: u32 = 3;
    const NAME: &'static str = "PartitionRecord";
    const VERSION: u32 = 2;

    fn write(&self, writer: &mut Writer) {
        writer.int32(self.partition.0);
        writer.uuid(self.topic_id);
        writer.brokers(&self.replicas);
        writer.brokers(&self.isr);
        writer.brokers(&self.removing);
        writer.brokers(&self.adding);
        writer.int32(self.leader.0);
        writer.int32(self.leader_epoch.0);
        writer.int32(self.partition_epoch.0);
        writer.uuids(&self.directories);
        let mut tags = Tags::default();
        if self.is_recovering {
            tags.add(0, |writer| writer.int8(1));
        }
        if !self.elr.is_empty() {
            tags.add(1, |writer| writer.brokers(&self.elr));
        }
        if !self.last_known_elr.is_empty() {
            tags.add(2, |writer| writer.brokers(&self.last_known_elr));
        }
        writer.tags(tags);
    }

    fn read(reader: &mut Reader<'_>, version: u32) -> Result<Self, CodecError> {
        let mut record = Self {
            partition: PartitionIndex(reader.int32()?),
            topic_id: reader.uuid()?,
            replicas: reader.brokers()?,
            isr: reader.brokers()?,
            removing: reader.brokers()?,
            adding: reader.brokers()?,
            leader: BrokerId(reader.int32()?),
            is_recovering: false,
            leader_epoch: LeaderEpoch(reader.int32()?),
            partition_epoch: PartitionEpoch(reader.int32()?),
            directories: if version >= 1 { reader.uuids()? } else { Vec::new() },
            elr: Vec::new(),
            last_known_elr: Vec::new(),
        };
        reader.tags(|tag, field| {
            match tag {
                0 => record.is_recovering = field.boolean()?,
                1 if version >= 2 => record.elr = field.nullable_brokers()?.unwrap_or_default(),
                2 if version >= 2 => record.last_known_elr = field.nullable_brokers()?.unwrap_or_default(),
                _ => {}
            }
            Ok(())
        })?;
        Ok(record)
    }
}

/// A change of a partition; `None` is "as before". The leader epoch rises by one if a leader is named, the partition
/// epoch in any case.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the fields are those of PartitionRecord
pub struct PartitionChangeRecord {
    pub partition: PartitionIndex,
    pub topic_id: TopicId,
    pub isr: Option<Vec<BrokerId>>,
    pub leader: Option<BrokerId>,
    pub replicas: Option<Vec<BrokerId>>,
    pub removing: Option<Vec<BrokerId>>,
    pub adding: Option<Vec<BrokerId>>,
    pub is_recovering: Option<bool>,
    pub elr: Option<Vec<BrokerId>>,
    pub last_known_elr: Option<Vec<BrokerId>>,
    pub directories: Option<Vec<Uuid>>,
}

impl PartitionChangeRecord {
    /// A change of nothing but the partition epoch.
    pub fn new(topic_id: TopicId, partition: PartitionIndex) -> Self {
        Self {
            partition,
            topic_id,
            isr: None,
            leader: None,
            replicas: None,
            removing: None,
            adding: None,
            is_recovering: None,
            elr: None,
            last_known_elr: None,
            directories: None,
        }
    }
}

impl Body for PartitionChangeRecord {
    const KEY: u32 = 5;
    const NAME: &'static str = "PartitionChangeRecord";
    const VERSION: u32 = 2;

    fn write(&self, writer: &mut Writer) {
        writer.int32(self.partition.0);
        writer.uuid(self.topic_id);
        let mut tags = Tags::default();
        let brokers = |tag, field: &Option<Vec<BrokerId>>, tags: &mut Tags| {
            if let Some(field) = field {
                tags.add(tag, |writer| writer.brokers(field));
            }
        };
        brokers(0, &self.isr, &mut tags);
        if let Some(leader) = self.leader {
            tags.add(1, |writer| writer.int32(leader.0));
        }
        brokers(2, &self.replicas, &mut tags);
        brokers(3, &self.removing, &mut tags);
        brokers(4, &self.adding, &mut tags);
        if let Some(is_recovering) = self.is_recovering {
            tags.add(5, |writer| writer.boolean(is_recovering));
        }
        brokers(6, &self.elr, &mut tags);
        brokers(7, &self.last_known_elr, &mut tags);
        if let Some(directories) = &self.directories {
            tags.add(8, |writer| writer.uuids(directories));
        }
        writer.tags(tags);
    }

    fn read(reader: &mut Reader<'_>, version: u32) -> Result<Self, CodecError> {
        let partition = PartitionIndex(reader.int32()?);
        let mut record = Self::new(reader.uuid()?, partition);
        reader.tags(|tag, field| {
            match tag {
                0 => record.isr = field.nullable_brokers()?,
                1 => {
                    record.leader = match field.int32()? {
                        LEADER_NO_CHANGE => None,
                        leader => Some(BrokerId(leader)),
                    };
                }
                2 => record.replicas = field.nullable_brokers()?,
                3 => record.removing = field.nullable_brokers()?,
                4 => record.adding = field.nullable_brokers()?,
                5 => {
                    record.is_recovering = match field.int8()? {
                        -1 => None,
                        0 => Some(false),
                        1 => Some(true),
                        other => return Err(CodecError::Value(other.into())),
                    };
                }
                6 if version >= 2 => record.elr = field.nullable_brokers()?,
                7 if version >= 2 => record.last_known_elr = field.nullable_brokers()?,
                8 if version >= 1 => record.directories = field.nullable_uuids()?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(record)
    }
}

/// The end of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoveTopicRecord {
    /// The topic.
    pub topic_id: TopicId,
}

impl Body for RemoveTopicRecord {
    const KEY: u32 = 9;
    const NAME: &'static str = "RemoveTopicRecord";
    const VERSION: u32 = 0;

    fn write(&self, writer: &mut Writer) {
        writer.uuid(self.topic_id);
        writer.tags(Tags::default());
    }

    fn read(reader: &mut Reader<'_>, _version: u32) -> Result<Self, CodecError> {
        let record = Self { topic_id: reader.uuid()? };
        reader.no_tags()?;
        Ok(record)
    }
}
