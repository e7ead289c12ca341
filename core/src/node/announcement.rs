//! What a node tells its log of its own accord: what an operator asks for first when something is amiss.

use crate::metadata::{MetadataDelta, MetadataImage};
use crate::partition::Found;

/// How many logs lie in directories that the last process did not close. None of a new directory.
pub(super) fn logs_without_a_clean_stop(found: &[Found]) -> usize {
    found.iter().filter(|found| !found.clean).map(|found| found.partitions.len()).sum()
}

/// The logs were loaded, so many of them without a clean stop before. What was cut off is said of each log.
pub(super) fn recovery(logs: usize) {
    if logs > 0 {
        tracing::info!(logs, "unclean stop: the logs were recovered, those of the metadata included");
    }
}

/// Topics came or went.
pub(super) fn topics(before: &MetadataImage, after: &MetadataImage, delta: &MetadataDelta) {
    for topic in delta.removed_topics.values() {
        tracing::info!(topic = topic.name, id = %topic.id, "topic deleted");
    }
    for topic in delta.topics.iter().filter_map(|id| after.topic_by_id(*id)) {
        if before.topic_by_id(topic.id).is_none() {
            let partitions = topic.partitions.len();
            tracing::info!(topic = topic.name, id = %topic.id, partitions, "topic created");
        }
    }
}
