//! What differs between two images: what whoever follows the metadata must look at again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::ids::{BrokerId, TopicId};

use super::image::{Change, ConfigResource};
use super::topic::TopicImage;

/// The sum of the changes between two images. Deltas arrive batched: whoever follows them acts on the newer image
/// and never assumes to have seen what lay between.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetadataDelta {
    /// Topics that are new or whose partitions changed, and still exist.
    pub topics: BTreeSet<TopicId>,
    /// Topics that are gone, as they last were; also those that came and went within the delta.
    pub removed_topics: BTreeMap<TopicId, Arc<TopicImage>>,
    /// Configurations that changed.
    pub configs: BTreeSet<ConfigResource>,
    /// Brokers that changed, or went.
    pub brokers: BTreeSet<BrokerId>,
}

impl MetadataDelta {
    /// Adds one change.
    pub fn note(&mut self, change: Change) {
        match change {
            Change::Topic(id) => {
                self.topics.insert(id);
            }
            Change::TopicRemoved(topic) => {
                self.topics.remove(&topic.id);
                self.configs.remove(&ConfigResource::topic(&topic.name));
                self.removed_topics.insert(topic.id, topic);
            }
            Change::Config(resource) => {
                self.configs.insert(resource);
            }
            Change::Broker(id) => {
                self.brokers.insert(id);
            }
            Change::Other => {}
        }
    }

    /// Whether nothing changed that anybody follows.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
