//! librdkafka, unmodified, against the real binary, which is killed again and again.
//!
//! Long, and therefore ignored by a plain `cargo test`; `cargo xtask conformance` runs it against the product binary.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

const PARTITIONS: i32 = 4;
const TOPIC: &str = "kills";

/// How long and how fast. The full run is the one that conformance asks for.
struct Load {
    duration: Duration,
    records_per_second: u64,
    kills_at: &'static [u64],
}

/// The broker as a child process that can be killed and started again on the same directory and port.
struct Broker {
    binary: PathBuf,
    directory: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl Broker {
    fn start(directory: &Path) -> Self {
        let binary = std::env::var_os("JANGBU_BINARY")
            .map_or_else(|| env!("CARGO_BIN_EXE_jangbu").into(), PathBuf::from);
        // The port is free now and taken a moment later: good enough on a machine of one's own.
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port")
            .port();
        let mut broker = Self { binary, directory: directory.to_owned(), port, child: None };
        broker.spawn();
        broker
    }

    fn spawn(&mut self) {
        let properties = self.directory.join("server.properties");
        let text = format!(
            "node.id=1\nlog.dirs={}\nlisteners=PLAINTEXT://127.0.0.1:{}\n",
            self.directory.join("data").display(),
            self.port
        );
        std::fs::write(&properties, text).expect("the directory is writable");
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.directory.join("broker.log"))
            .expect("a log file");
        let child = Command::new(&self.binary)
            .args(["broker", "--config"])
            .arg(&properties)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log file"))
            .stderr(log)
            .spawn()
            .expect("the broker starts");
        self.child = Some(child);
    }

    /// SIGKILL: the process gets no chance to do anything.
    fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.kill();
        }
    }
}

/// What the producer was told of each value: (partition, sequence) to acknowledged or not.
#[derive(Default)]
struct Deliveries {
    acked: BTreeMap<i32, Vec<u64>>,
    failed: BTreeMap<i32, Vec<u64>>,
}

struct Context(Arc<Mutex<Deliveries>>);

impl ClientContext for Context {}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let (message, acked) = match result {
            Ok(message) => (message, true),
            Err((_, message)) => (message, false),
        };
        let sequence = sequence_of(message.payload().expect("every record has a value"));
        let mut deliveries = self.0.lock().expect("no panic in callbacks");
        let side = if acked { &mut deliveries.acked } else { &mut deliveries.failed };
        side.entry(message.partition()).or_default().push(sequence);
    }
}

fn sequence_of(value: &[u8]) -> u64 {
    u64::from_be_bytes(value[..8].try_into().expect("values are longer"))
}

fn create_topic(bootstrap: &str) {
    let admin: AdminClient<_> =
        ClientConfig::new().set("bootstrap.servers", bootstrap).create().expect("an admin client");
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let topic = NewTopic::new(TOPIC, PARTITIONS, TopicReplication::Fixed(1));
        let created = block_on(admin.create_topics([&topic], &AdminOptions::new()));
        match created.as_deref() {
            Ok([Ok(_)]) => return,
            other => assert!(Instant::now() < deadline, "creating the topic: {other:?}"),
        }
        thread::sleep(Duration::from_millis(200));
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

/// Produces at a steady rate while another thread kills the broker; returns what was sent per partition.
fn produce(bootstrap: &str, load: &Load, deliveries: &Arc<Mutex<Deliveries>>) -> BTreeMap<i32, u64> {
    let producer: BaseProducer<Context> = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", "5")
        .set("queue.buffering.max.messages", "2000000")
        .set("message.timeout.ms", "300000")
        .set("reconnect.backoff.max.ms", "500")
        .create_with_context(Context(deliveries.clone()))
        .expect("a producer");
    let mut sent = BTreeMap::new();
    let start = Instant::now();
    let total = load.duration.as_secs() * load.records_per_second;
    let mut value = [b'v'; 100];
    for number in 0..total {
        let due = start + Duration::from_nanos(number * 1_000_000_000 / load.records_per_second);
        while Instant::now() < due {
            producer.poll(Duration::from_millis(1));
        }
        let partition = (number % PARTITIONS as u64) as i32;
        let sequence = sent.entry(partition).or_insert(0u64);
        value[..8].copy_from_slice(&sequence.to_be_bytes());
        loop {
            match producer.send(BaseRecord::<(), [u8]>::to(TOPIC).partition(partition).payload(&value)) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    producer.poll(Duration::from_millis(10));
                }
                Err((error, _)) => panic!("send: {error}"),
            }
        }
        *sequence += 1;
    }
    producer.flush(Duration::from_secs(120)).expect("everything is delivered or given up");
    sent
}

/// Reads a partition from its start to its high watermark.
fn consume(bootstrap: &str, partition: i32) -> Vec<u64> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "reader")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("check.crcs", "true")
        .create()
        .expect("a consumer");
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(TOPIC, partition, Offset::Beginning).expect("an assignment");
    consumer.assign(&assignment).expect("assigned");
    let (_, end) = consumer.fetch_watermarks(TOPIC, partition, Duration::from_secs(20)).expect("watermarks");
    let mut values = Vec::new();
    let mut next_offset = 0;
    while next_offset < end {
        let message = consumer
            .poll(Duration::from_secs(20))
            .expect("records up to the high watermark")
            .expect("no error");
        assert_eq!(message.offset(), next_offset, "partition {partition}: a gap or a repeat");
        next_offset = message.offset() + 1;
        values.push(sequence_of(message.payload().expect("a value")));
    }
    values
}

fn run(load: &Load) {
    let directory = std::env::temp_dir().join(format!("jangbu-librdkafka-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a temporary directory");
    let broker = Arc::new(Mutex::new(Broker::start(&directory)));
    let bootstrap = format!("127.0.0.1:{}", broker.lock().expect("no panic").port);
    create_topic(&bootstrap);

    let deliveries = Arc::default();
    let killer = {
        let (broker, kills_at, start) = (broker.clone(), load.kills_at, Instant::now());
        thread::spawn(move || {
            for &second in kills_at {
                thread::sleep(
                    (start + Duration::from_secs(second)).saturating_duration_since(Instant::now()),
                );
                let mut broker = broker.lock().expect("no panic");
                broker.kill();
                thread::sleep(Duration::from_secs(1));
                broker.spawn();
            }
        })
    };
    let sent = produce(&bootstrap, load, &deliveries);
    killer.join().expect("the killer ends");

    let deliveries = deliveries.lock().expect("no panic");
    let (mut acked_count, mut failed_count, mut consumed_count) = (0, 0, 0);
    for partition in 0..PARTITIONS {
        let consumed = consume(&bootstrap, partition);
        let rising = consumed.windows(2).all(|pair| pair[0] < pair[1]);
        assert!(rising, "partition {partition}: a value doubled or out of order");
        let acked = deliveries.acked.get(&partition).cloned().unwrap_or_default();
        for sequence in &acked {
            assert!(
                consumed.binary_search(sequence).is_ok(),
                "partition {partition}: acknowledged value {sequence} is lost"
            );
        }
        let failed = deliveries.failed.get(&partition).map_or(0, Vec::len);
        assert_eq!(
            acked.len() + failed,
            sent[&partition] as usize,
            "partition {partition}: every value has its report"
        );
        acked_count += acked.len();
        failed_count += failed;
        consumed_count += consumed.len();
    }
    println!(
        "librdkafka: {acked_count} acknowledged, {failed_count} not, {consumed_count} consumed, {} kills: none lost, none doubled, order kept",
        load.kills_at.len()
    );
    assert!(acked_count > 0);
    drop(broker);
    std::fs::remove_dir_all(&directory).expect("cleaned up");
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled_when_the_broker_is_killed_once() {
    run(&Load { duration: Duration::from_secs(4), records_per_second: 5_000, kills_at: &[2] });
}

#[test]
#[ignore = "50 seconds; `cargo xtask conformance` runs it"]
fn nothing_acknowledged_is_lost_or_doubled_over_five_kills() {
    run(&Load {
        duration: Duration::from_secs(50),
        records_per_second: 20_000,
        kills_at: &[8, 16, 24, 32, 40],
    });
}
