//! Every request against a whole broker in memory, over a connection.

mod configs;
mod connections;
mod every_version;
mod fetch;
mod hostile;
mod metadata;
mod offsets;
mod produce;
mod topics;

use bytes::{Bytes, BytesMut};

use super::message;
use crate::error::ErrorCode;
use crate::record::builder::BatchBuilder;
use crate::record::compression::Codec;
use crate::server::tests::node::Served;
use crate::server::tests::{Client, Wired, configured, correlation_id, node};
use crate::time::Timestamp;
use crate::wire::ApiKey;
use crate::wire::codec::KafkaDecode;
use crate::wire::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use crate::wire::messages::{KafkaRequest, RequestResponsePair};
use crate::wire::{request, response};

/// A broker and one connection to it.
struct Scene<'a> {
    env: &'a Wired,
    node: Served,
    client: Client,
}

/// Runs a test against a broker with this configuration.
fn with_broker<T>(config: &[(&str, &str)], test: impl AsyncFnOnce(&mut Scene<'_>) -> T) -> T {
    with_broker_over(1 << 20, config, test)
}

/// The same over connections that buffer `capacity` bytes.
fn with_broker_over<T>(
    capacity: usize,
    config: &[(&str, &str)],
    test: impl AsyncFnOnce(&mut Scene<'_>) -> T,
) -> T {
    let env = Wired::new(capacity);
    env.node.keep_facts();
    env.node.block_on(async {
        let node = node::start(&env, configured(config)).await;
        let client = Client::connect(&env, node.server().port()).await;
        test(&mut Scene { env: &env, node, client }).await
    })
}

impl Client {
    /// Sends a request without waiting for its response.
    async fn ask<M: KafkaRequest>(&mut self, message: &M, version: i16) {
        let mut frame = BytesMut::new();
        request::encode(77, Some("test"), message, version, &mut frame)
            .expect("the version has these fields");
        self.send(frame.freeze()).await;
    }

    /// The response to a request of this key and version; `None` when the broker closed.
    async fn hear<R: KafkaDecode>(&mut self, key: i16, version: i16) -> Option<R> {
        let frame = self.receive().await?;
        assert_eq!(correlation_id(&frame), 77);
        let key = ApiKey::from_code(key).expect("a key of the table");
        let body = response::body(&frame, key.response_header_is_flexible(version)).expect("a header");
        Some(response::decode(&body, version).expect("the response is one of its version"))
    }

    /// Asks and hears.
    async fn call<M>(&mut self, message: &M, version: i16) -> M::Response
    where
        M: KafkaRequest + RequestResponsePair,
        M::Response: KafkaDecode,
    {
        self.ask(message, version).await;
        self.hear(M::API_KEY.value(), version).await.expect("the broker answers")
    }
}

impl Scene<'_> {
    async fn call<M>(&mut self, message: &M, version: i16) -> M::Response
    where
        M: KafkaRequest + RequestResponsePair,
        M::Response: KafkaDecode,
    {
        self.client.call(message, version).await
    }

    async fn connect(&self) -> Client {
        Client::connect(self.env, self.node.server().port()).await
    }

    /// Creates a topic.
    async fn create(&mut self, name: &str, partitions: i32, configs: &[(&str, &str)]) {
        let topic = creatable(name, partitions, configs);
        let request = message!(crate::wire::messages::CreateTopicsRequest { topics: vec![topic] });
        let response = self.call(&request, 7).await;
        assert_eq!(response.topics[0].error_code, 0, "{:?}", response.topics[0].error_message);
    }
}

fn creatable(name: &str, partitions: i32, configs: &[(&str, &str)]) -> CreatableTopic {
    let config = |(name, value): &(&str, &str)| {
        message!(CreatableTopicConfig { name: (*name).into(), value: Some((*value).into()) })
    };
    message!(CreatableTopic {
        name: name.into(),
        num_partitions: partitions,
        replication_factor: -1,
        configs: configs.iter().map(config).collect(),
    })
}

/// A batch with one record for each value.
fn batch(values: &[&str]) -> Bytes {
    let mut builder = BatchBuilder::new(Codec::None);
    for value in values {
        builder.append(Timestamp(1000), None, Some(value.as_bytes()), &[]);
    }
    builder.build()
}

fn code(error: ErrorCode) -> i16 {
    error.code()
}
