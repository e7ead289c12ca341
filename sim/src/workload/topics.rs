//! Creates the topics of a scenario.

use std::sync::Arc;
use std::time::Duration;

use jangbu_core::client::Client;
use jangbu_core::client::admin::{AdminError, NewTopic};
use jangbu_core::env::{Clock, Env};
use jangbu_core::error::ErrorCode;
use jangbu_core::ids::TopicId;

use super::client;
use crate::case::Case;
use crate::model::ClientEvent;
use crate::simulate::Board;
use crate::world::SimEnv;

pub(super) async fn create(env: SimEnv, case: Arc<Case>, board: Arc<Board>) -> Result<(), String> {
    let client = client(&env, &case, "admin");
    for (index, topic) in case.topics.iter().enumerate() {
        let wanted = NewTopic {
            name: topic.name.clone(),
            partitions: topic.partitions as i32,
            replication_factor: topic.replication as i16,
            configs: topic.config.clone(),
        };
        let topic_id = loop {
            match create_one(&client, &wanted).await {
                Ok(topic_id) => break topic_id,
                Err(AdminError::Refused { code, message }) if !code.is_retriable() => {
                    return Err(format!("topic {}: {code} {}", topic.name, message.unwrap_or_default()));
                }
                Err(_) => env.clock().sleep_until(env.clock().now() + Duration::from_millis(100)).await,
            }
        };
        board.tell(env.world(), &ClientEvent::TopicCreated { topic: index, topic_id });
    }
    Ok(())
}

/// A topic that an earlier attempt created, whose answer was lost, is as good.
async fn create_one(client: &Client<SimEnv>, wanted: &NewTopic) -> Result<TopicId, AdminError> {
    let created = client.create_topics(std::slice::from_ref(wanted), false).await?.pop();
    match created {
        Some(Err(AdminError::Refused { code: ErrorCode::TopicAlreadyExists, .. })) => {
            let metadata = client.metadata(Some(&[&wanted.name])).await?;
            metadata
                .topics
                .get(wanted.name.as_str())
                .map(|topic| topic.topic_id)
                .ok_or(AdminError::Incomplete)
        }
        Some(result) => result,
        None => Err(AdminError::Incomplete),
    }
}
