//! Snapshots of the metadata (KIP-630): an image as record batches, so that the log before it need not be kept.
//!
//! A snapshot is named after where it ends: `<offset>-<epoch>.checkpoint`, with the first offset that is *not* in it
//! and the epoch of the last record that is. It is a file of v2 batches: a control batch with the snapshot header,
//! the records, a control batch with the footer. A file without its footer is not whole.

use bytes::{BufMut, Bytes, BytesMut};

use super::codec::CodecError;
use super::control::ControlRecord;
use super::image::{ImageError, MetadataImage};
use super::records::{
    ConfigRecord, FeatureLevelRecord, METADATA_VERSION_FEATURE, ProducerIdsRecord, Record, RecordError,
    RegisterBrokerRecord, TopicRecord,
};
pub use crate::epochs::SnapshotId;
use crate::ids::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, ProducerId, TopicPartition};
use crate::record::batch::{Batch, BatchError};
use crate::record::builder::BatchBuilder;
use crate::record::compression::Codec;
use crate::record::records::iterate;
use crate::time::Timestamp;

/// Records of one batch grow to about this many bytes.
const BATCH_BYTES: usize = 256 << 10;
/// The metadata log is never compressed, so a batch's records cannot take more than the batch itself.
const RECORDS_BYTES_MAX: usize = 1 << 30;

impl SnapshotId {
    /// Where a snapshot of this image ends.
    pub fn of(image: &MetadataImage) -> Self {
        Self { end: Offset(image.offset.0 + 1), epoch: image.epoch }
    }

    /// The name of the snapshot's file.
    pub fn file_name(self) -> String {
        format!("{:020}-{:010}.checkpoint", self.end.0, self.epoch.0)
    }

    /// Reads such a name.
    pub fn parse(name: &str) -> Option<Self> {
        let (end, epoch) = name.strip_suffix(".checkpoint")?.split_once('-')?;
        let is_number =
            |text: &str, digits| text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(end, 20) || !is_number(epoch, 10) {
            return None;
        }
        Some(Self { end: Offset(end.parse().ok()?), epoch: LeaderEpoch(epoch.parse().ok()?) })
    }
}

/// Why a snapshot cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// A batch is damaged.
    #[error("a batch is damaged: {0}")]
    Batch(#[from] BatchError),
    /// The records of a batch are damaged.
    #[error("the records of a batch are damaged: {0}")]
    Records(#[from] crate::record::records::RecordError),
    /// A metadata record is not understood.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A record does not fit those before it.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A control record is not understood.
    #[error("a control record is malformed: {0}")]
    Control(#[from] CodecError),
    /// The header or the footer is not where it belongs.
    #[error("the snapshot is not whole: its {0} is missing")]
    Missing(&'static str),
}

/// A snapshot's bytes. `timestamp` is the append time of the last record that is in it.
pub fn encode(image: &MetadataImage, timestamp: Timestamp) -> Bytes {
    let mut snapshot = BytesMut::new();
    let mut next_offset = 0;
    let mut put = |builder: &mut BatchBuilder| {
        let count = i64::from(builder.record_count());
        let mut bytes = builder.build();
        let batch = Batch::split_from(&mut bytes).expect("the builder makes whole batches");
        snapshot.put_slice(&batch.patched_prefix(Offset(next_offset), image.epoch));
        snapshot.put_slice(&batch.bytes()[crate::record::batch::PATCHED_LEN..]);
        next_offset += count;
    };
    put(&mut ControlRecord::SnapshotHeader { last_contained: timestamp }.batch(timestamp));
    let mut builder = BatchBuilder::new(Codec::None);
    for record in records(image) {
        builder.append(timestamp, None, Some(&record.encode()), &[]);
        if builder.size_bytes() >= BATCH_BYTES {
            put(&mut builder);
        }
    }
    if builder.record_count() > 0 {
        put(&mut builder);
    }
    put(&mut ControlRecord::SnapshotFooter.batch(timestamp));
    snapshot.freeze()
}

/// The records that add up to the image, from an empty one.
fn records(image: &MetadataImage) -> impl Iterator<Item = Record> {
    // metadata.version comes first: it says whether the rest can be understood.
    let level = |(name, level): (&String, &i16)| -> Record {
        FeatureLevelRecord { name: name.clone(), level: *level }.into()
    };
    let is_version = |feature: &(&String, &i16)| feature.0 == METADATA_VERSION_FEATURE;
    let version = image.features().iter().filter(is_version).map(level);
    let features = image.features().iter().filter(move |feature| !is_version(feature)).map(level);
    let brokers = image.brokers().map(|broker| {
        RegisterBrokerRecord {
            broker_id: broker.id,
            incarnation_id: broker.incarnation_id,
            broker_epoch: broker.epoch,
            endpoints: broker.endpoints.clone(),
            features: broker.features.clone(),
            rack: broker.rack.clone(),
            fenced: broker.fenced,
            in_controlled_shutdown: broker.in_controlled_shutdown,
            log_dirs: broker.log_dirs.clone(),
        }
        .into()
    });
    let topics = image.topics().flat_map(|topic| {
        let record = TopicRecord { name: topic.name.clone(), topic_id: topic.id }.into();
        let partitions = topic
            .named_partitions()
            .map(|(name, partition): (TopicPartition, _)| Record::from(partition.to_record(name)));
        std::iter::once(record).chain(partitions)
    });
    let configs = image.configs().flat_map(|(resource, overrides)| {
        overrides.iter().map(|(name, value)| {
            ConfigRecord {
                resource_type: resource.resource_type,
                resource_name: resource.name.clone(),
                name: name.clone(),
                value: Some(value.clone()),
            }
            .into()
        })
    });
    let next_producer_id = image.next_producer_id();
    let ids = (next_producer_id != ProducerId(0)).then(|| {
        ProducerIdsRecord { broker_id: BrokerId::NONE, broker_epoch: BrokerEpoch(-1), next_producer_id }
            .into()
    });
    version.chain(features).chain(brokers).chain(topics).chain(configs).chain(ids)
}

/// Reads a snapshot's bytes on top of `empty`, which names the cluster.
///
/// # Errors
/// See [`SnapshotError`]; any bytes are survived.
pub fn decode(
    mut bytes: Bytes,
    id: SnapshotId,
    empty: MetadataImage,
) -> Result<MetadataImage, SnapshotError> {
    let mut image = empty;
    let header = Batch::split_from(&mut bytes)?;
    let is_header = |record| matches!(record, Some(ControlRecord::SnapshotHeader { .. }));
    if !header.header().is_control() || !is_header(control_record(&header)?) {
        return Err(SnapshotError::Missing("header"));
    }
    loop {
        if bytes.is_empty() {
            return Err(SnapshotError::Missing("footer"));
        }
        let batch = Batch::split_from(&mut bytes)?;
        if batch.header().is_control() {
            // Voters (KIP-853) stand in snapshots too, and must not be passed over: the next one would lack them.
            if control_record(&batch)? != Some(ControlRecord::SnapshotFooter) {
                return Err(SnapshotError::Missing("footer"));
            }
            break;
        }
        for record in iterate(&batch, RECORDS_BYTES_MAX)? {
            let value = record?.value.unwrap_or_default();
            image.apply(&Record::decode(&value)?)?;
        }
    }
    image.offset = Offset(id.end.0 - 1);
    image.epoch = id.epoch;
    Ok(image)
}

/// The first control record of a batch; `None` of a kind that is not known.
fn control_record(batch: &Batch) -> Result<Option<ControlRecord>, SnapshotError> {
    let Some(record) = iterate(batch, RECORDS_BYTES_MAX)?.next() else { return Ok(None) };
    let record = record?;
    let (key, value) = (record.key.unwrap_or_default(), record.value.unwrap_or_default());
    Ok(ControlRecord::decode(&key, &value)?)
}

#[cfg(test)]
mod tests;
