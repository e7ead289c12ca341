//! Our own client against the real binary on real sockets, through kills.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use jangbu::tokio_env::{Runtimes, Settings as EnvSettings, TokioEnv};
use jangbu_core::client::admin::{NewTopic, OffsetSpec};
use jangbu_core::client::fetcher::{FetchError, Fetcher, FetcherSettings};
use jangbu_core::client::producer::{Producer, ProducerSettings};
use jangbu_core::client::{Client, Settings};
use jangbu_core::ids::Offset;
use jangbu_core::record::batch::Batch;
use jangbu_core::record::builder::BatchBuilder;
use jangbu_core::record::compression::Codec;
use jangbu_core::record::records::iterate;
use jangbu_core::time::Timestamp;

const TOPIC: &str = "t";

/// The broker as a child process, which can be killed and started again on the same directory and port.
struct Broker {
    properties: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl Broker {
    fn start(directory: &Path) -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a port")
            .port();
        let properties = directory.join("server.properties");
        let data = directory.join("data");
        let text =
            format!("node.id=1\nlog.dirs={}\nlisteners=PLAINTEXT://127.0.0.1:{port}\n", data.display());
        std::fs::write(&properties, text).expect("the directory is writable");
        let mut broker = Self { properties, port, child: None };
        broker.spawn();
        broker
    }

    fn spawn(&mut self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jangbu"));
        command.args(["broker", "--config"]).arg(&self.properties).stdin(Stdio::null()).stdout(Stdio::null());
        self.child = Some(command.stderr(Stdio::null()).spawn().expect("the broker starts"));
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it can be killed");
            child.wait().expect("it ends");
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

fn batch(value: &str) -> Bytes {
    BatchBuilder::new(Codec::Lz4).append(Timestamp(1), None, Some(value.as_bytes()), &[]).build()
}

async fn read_all(client: &Client<TokioEnv>, partition: i32, end: Offset) -> Vec<(Offset, String)> {
    let fetcher = Fetcher::new(client.clone(), FetcherSettings::default());
    let (mut offset, mut values) = (Offset(0), Vec::new());
    while offset < end {
        let fetched =
            fetcher.fetch(TOPIC, partition, offset, 500, 1, 10_000).await.expect("the broker is there");
        let mut rest = fetched.batches;
        while !rest.is_empty() {
            let batch = Batch::split_from(&mut rest).expect("whole batches");
            for record in iterate(&batch, 1 << 20).expect("well-formed") {
                let record = record.expect("well-formed");
                let value = String::from_utf8(record.value.expect("a value").to_vec()).expect("text");
                values.push((record.offset, value));
            }
        }
        offset = fetched.next_offset;
    }
    values
}

#[test]
fn our_client_writes_and_reads_each_record_once_through_kills() {
    let directory = std::env::temp_dir().join(format!("jangbu-client-test-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a temporary directory");
    let mut broker = Broker::start(&directory);
    let runtimes = Runtimes::start(EnvSettings::default()).expect("runtimes");
    let env = runtimes.env(EnvSettings::default());
    let settings = Settings {
        bootstrap: vec![format!("127.0.0.1:{}", broker.port)],
        request_timeout: Duration::from_secs(5),
        ..Settings::default()
    };
    runtimes.block_on(async {
        let client = Client::new(env, settings);
        let topic = NewTopic {
            name: TOPIC.into(),
            partitions: 2,
            replication_factor: 1,
            configs: Default::default(),
        };
        let created = client.create_topics(&[topic], false).await.expect("an answer");
        assert!(created[0].is_ok(), "{created:?}");

        let producer = Producer::new(client.clone(), ProducerSettings::default()).expect("they can be kept");
        let mut sent = Vec::new();
        for number in 0..600 {
            let value = format!("v{number}");
            sent.push((number % 2, value.clone(), producer.send(TOPIC, number % 2, batch(&value))));
            if number == 200 || number == 400 {
                broker.kill();
                broker.spawn();
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut delivered = Vec::new();
        for (partition, value, sending) in sent {
            let base_offset = sending.await.expect("120 seconds are enough").base_offset;
            delivered.push((partition, (base_offset, value)));
        }
        for partition in 0..2 {
            let latest = client.list_offsets(TOPIC, partition, OffsetSpec::Latest).await.expect("an answer");
            assert_eq!(latest.offset, Offset(300));
            let expected: Vec<_> = delivered
                .iter()
                .filter(|(of, _)| *of == partition)
                .map(|(_, record)| record.clone())
                .collect();
            assert_eq!(read_all(&client, partition, latest.offset).await, expected);
        }

        let log_start = client.delete_records(TOPIC, 0, Offset(100)).await.expect("an answer");
        assert_eq!(log_start, Offset(100));
        let earliest = client.list_offsets(TOPIC, 0, OffsetSpec::Earliest).await.expect("an answer");
        assert_eq!(earliest.offset, Offset(100));
        let fetcher = Fetcher::new(client.clone(), FetcherSettings::default());
        let error = fetcher.fetch(TOPIC, 0, Offset(5), 0, 1, 1000).await.expect_err("it was deleted");
        assert!(matches!(error, FetchError::OutOfRange { .. }), "{error}");

        let deleted = client.delete_topics(&[TOPIC]).await.expect("an answer");
        assert!(deleted[0].is_ok(), "{deleted:?}");
        let metadata = client.metadata(None).await.expect("an answer");
        assert!(!metadata.topics.contains_key(TOPIC), "{metadata:?}");
    });
    drop(broker);
    let _ = std::fs::remove_dir_all(&directory);
}
