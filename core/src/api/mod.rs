//! The handlers of requests, one file per API key. Each begins with its versions, its behaviour, and what it does not do.
//!
//! A handler decodes a body, asks the parts of the broker that [`Services`] names, and encodes a response. An error
//! of theirs becomes Kafka's code in [`error_map`], nowhere else.

mod alter_configs;
pub(crate) mod api_versions;
mod coordination;
mod create_partitions;
mod create_topics;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_topic_partitions;
pub mod error_map;
pub(crate) mod fetch;
mod find_coordinator;
mod incremental_alter_configs;
mod init_producer_id;
mod judged;
mod leader_hint;
mod list_offsets;
mod metadata;
mod offset_for_leader_epoch;
mod operations;
pub(crate) mod produce;
mod services;
#[cfg(test)]
mod tests;
mod turns;

use bytes::BytesMut;

pub use services::Services;

use crate::env::Env;
use crate::server::dispatch::{Refusal, Request};
use crate::sync::Arc;
use crate::wire::codec::KafkaEncode;
use crate::wire::messages::KafkaRequest;
use crate::wire::{ApiKey, request, response};

pub(crate) use crate::wire::message;

/// Handles every request but Produce, Fetch and ApiVersions: those that answer to people and programs now and then.
pub(crate) async fn handle_rare<E: Env>(
    services: &Arc<Services<E>>,
    request: &Request,
    buffer: &mut BytesMut,
) -> Result<(), Refusal> {
    match request.header.api_key {
        key @ (ApiKey::Produce | ApiKey::Fetch | ApiKey::ApiVersions) => {
            unreachable!("{} has its own way in", key.name())
        }
        ApiKey::ListOffsets => list_offsets::handle(services, request, buffer).await,
        ApiKey::Metadata => metadata::handle(services, request, buffer).await,
        ApiKey::FindCoordinator => find_coordinator::handle(services, request, buffer),
        ApiKey::CreateTopics => create_topics::handle(services, request, buffer).await,
        ApiKey::DeleteTopics => delete_topics::handle(services, request, buffer).await,
        ApiKey::DeleteRecords => delete_records::handle(services, request, buffer).await,
        ApiKey::InitProducerId => init_producer_id::handle(services, request, buffer).await,
        ApiKey::OffsetForLeaderEpoch => offset_for_leader_epoch::handle(services, request, buffer).await,
        ApiKey::DescribeConfigs => describe_configs::handle(services, request, buffer).await,
        ApiKey::AlterConfigs => alter_configs::handle(services, request, buffer).await,
        ApiKey::CreatePartitions => create_partitions::handle(services, request, buffer).await,
        ApiKey::IncrementalAlterConfigs => incremental_alter_configs::handle(services, request, buffer).await,
        ApiKey::DescribeCluster => describe_cluster::handle(services, request, buffer),
        ApiKey::DescribeTopicPartitions => describe_topic_partitions::handle(services, request, buffer),
    }
}

/// Decodes a request's body.
fn decode<M: KafkaRequest>(request: &Request) -> Result<M, Refusal> {
    request::decode(&request.body, request.version()).map_err(|cause| request.undecodable(&cause))
}

/// Appends the response to `buffer`.
fn respond<M: KafkaEncode>(request: &Request, message: &M, buffer: &mut BytesMut) -> Result<(), Refusal> {
    let header = &request.header;
    let header_flexible = header.api_key.response_header_is_flexible(header.api_version);
    response::encode(header.correlation_id, header_flexible, message, header.api_version, buffer)
        .map_err(|cause| request.inexpressible(&cause))
}
