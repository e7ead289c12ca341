//! DeleteRecords, versions 0 to 2 (KIP-107): moves a partition's log start forward.
//!
//! Only committed records can be deleted; -1 stands for all of them. The answer is the first offset that remains, and
//! comes when the new log starts are on the disk: what was deleted does not come back after a crash. Not
//! implemented: the wait for followers, of which there are none.

use bytes::BytesMut;

use super::{Services, decode, error_map, message, respond};
use crate::env::Env;
use crate::error::ErrorCode;
use crate::ids::Offset;
use crate::partition::{Directory, Partition};
use crate::server::dispatch::{Refusal, Request};
use crate::sync::Arc;
use crate::wire::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use crate::wire::messages::{DeleteRecordsRequest, DeleteRecordsResponse};

pub(crate) async fn handle<E: Env>(
    services: &Services<E>,
    request: &Request,
    buffer: &mut BytesMut,
) -> Result<(), Refusal> {
    let asked: DeleteRecordsRequest = decode(request)?;
    let mut deleted = Vec::new();
    for topic in &asked.topics {
        for partition in &topic.partitions {
            services.env.checkpoint().await;
            deleted.push(delete(services, &topic.name, partition.partition_index, Offset(partition.offset)));
        }
    }
    make_durable(&mut deleted).await;
    let mut deleted = deleted.into_iter();
    let topics = asked.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().zip(&mut deleted).map(|(partition, deleted)| {
            message!(DeleteRecordsPartitionResult {
                partition_index: partition.partition_index,
                low_watermark: deleted.as_ref().map_or(Offset::UNKNOWN, |(_, start)| *start).0,
                error_code: deleted.err().unwrap_or(ErrorCode::None).code(),
            })
        });
        message!(DeleteRecordsTopicResult { name: topic.name, partitions: partitions.collect() })
    });
    let topics = topics.collect();
    respond(request, &message!(DeleteRecordsResponse { topics: topics }), buffer)
}

/// A partition and the first offset that remains in it, or why nothing was deleted.
type Deleted<E> = Result<(Arc<Partition<E>>, Offset), ErrorCode>;

/// Writes down the log starts of every directory that is concerned, each once.
async fn make_durable<E: Env>(deleted: &mut [Deleted<E>]) {
    let mut directories: Vec<Arc<Directory<E::Disk>>> = Vec::new();
    for (partition, _) in deleted.iter().flatten() {
        if !directories.iter().any(|directory| Arc::ptr_eq(directory, partition.directory())) {
            directories.push(Arc::clone(partition.directory()));
        }
    }
    for directory in directories {
        if directory.checkpoint_log_starts().await.is_ok() {
            continue;
        }
        for outcome in deleted.iter_mut() {
            if outcome.as_ref().is_ok_and(|(partition, _)| Arc::ptr_eq(partition.directory(), &directory)) {
                *outcome = Err(ErrorCode::KafkaStorageError);
            }
        }
    }
}

fn delete<E: Env>(services: &Services<E>, topic: &str, partition: i32, before: Offset) -> Deleted<E> {
    let topic_id = services.topic_of_name(topic)?;
    let partition = services.partition(topic_id, partition)?;
    let start =
        partition.delete_records(&services.env, before).map_err(|error| error_map::delete_records(&error))?;
    Ok((partition, start))
}
