//! DeleteRecords, versions 0 to 2 (KIP-107): moves a partition's log start forward.
//!
//! Only committed records can be deleted; -1 stands for all of them. The answer is the first offset that remains.
//! Not implemented: the wait for followers, of which there are none.

use bytes::BytesMut;

use super::{Services, decode, error_map, message, respond};
use crate::env::Env;
use crate::error::ErrorCode;
use crate::ids::Offset;
use crate::server::dispatch::{Refusal, Request};
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
    let mut topics = Vec::new();
    for topic in asked.topics {
        let mut partitions = Vec::new();
        for partition in &topic.partitions {
            services.env.checkpoint().await;
            let start = delete(services, &topic.name, partition.partition_index, Offset(partition.offset));
            partitions.push(message!(DeleteRecordsPartitionResult {
                partition_index: partition.partition_index,
                low_watermark: start.unwrap_or(Offset::UNKNOWN).0,
                error_code: start.err().unwrap_or(ErrorCode::None).code(),
            }));
        }
        topics.push(message!(DeleteRecordsTopicResult { name: topic.name, partitions: partitions }));
    }
    respond(request, &message!(DeleteRecordsResponse { topics: topics }), buffer)
}

fn delete<E: Env>(
    services: &Services<E>,
    topic: &str,
    partition: i32,
    before: Offset,
) -> Result<Offset, ErrorCode> {
    let topic_id = services.topic_of_name(topic)?;
    services
        .partition(topic_id, partition)?
        .delete_records(&services.env, before)
        .map_err(|error| error_map::delete_records(&error))
}
