//! What the cluster is: its topics, partitions, brokers and configurations (KIP-500, KIP-631).
//!
//! [`records`] are the changes, as the metadata log holds them; a [`MetadataImage`] is what all changes up to an
//! offset add up to; a [`MetadataDelta`] says what differs between two images; [`snapshot`] turns an image into
//! batches and back, so that the log need not be kept for ever (KIP-630).

mod codec;
pub mod control;
mod delta;
mod image;
pub mod records;
pub mod snapshot;
mod topic;

pub use codec::CodecError;
pub use delta::MetadataDelta;
pub use image::{BrokerImage, Change, ConfigResource, ImageError, MetadataImage};
pub use topic::{PartitionImage, TopicImage, is_internal_topic_name, topic_name_flaw};
