//! The client against brokers that lose requests, responses and leaderships, in a world in memory.

#![allow(clippy::disallowed_methods)] // the world of these tests is tokio's

mod fake_cluster;
mod memory_env;
mod routes;

use super::fetcher::{FetchError, Fetcher, FetcherSettings};
use super::producer::{Delivered, Producer, ProducerSettings, SendError, SettingsError, Unsent};
use super::*;
use crate::error::ErrorCode;
use crate::ids::Offset;
use crate::record::batch::Batch;
use crate::record::builder::BatchBuilder;
use crate::record::compression::Codec;
use crate::time::Timestamp;
use bytes::Bytes;
use fake_cluster::{FakeCluster, Faults, TOPIC, value_of};
use memory_env::MemoryEnv;

fn run(seed: u64, test: impl AsyncFnOnce(MemoryEnv)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime needs nothing");
    runtime.block_on(async { test(MemoryEnv::new(seed)).await });
}

fn client(env: &MemoryEnv) -> Client<MemoryEnv> {
    Client::new(env.clone(), client_settings())
}

fn client_settings() -> Settings {
    let millis = Duration::from_millis;
    Settings {
        bootstrap: vec!["nobody:1".into(), "broker0:1".into()],
        request_timeout: millis(1_000),
        connect_timeout: millis(500),
        retry_backoff: Backoff { min: millis(10), max: millis(100) },
        reconnect_backoff: Backoff { min: millis(5), max: millis(100) },
        ..Settings::default()
    }
}

fn settings() -> ProducerSettings {
    ProducerSettings { delivery_timeout: Duration::from_secs(20), ..ProducerSettings::default() }
}

fn producer(client: Client<MemoryEnv>, settings: ProducerSettings) -> Producer<MemoryEnv> {
    Producer::new(client, settings).expect("the test's settings promise what can be kept")
}

fn batch(value: &str) -> Bytes {
    BatchBuilder::new(Codec::None).append(Timestamp(1), None, Some(value.as_bytes()), &[]).build()
}

/// Sends batches from several senders at once; what each was told.
async fn send_all(
    producer: &Producer<MemoryEnv>,
    partitions: i32,
    count: usize,
) -> Vec<(i32, String, Result<Delivered, SendError>)> {
    let mut sendings = Vec::new();
    for number in 0..count {
        let partition = number as i32 % partitions;
        let value = format!("v{number:05}");
        sendings.push((partition, value.clone(), producer.send(TOPIC, partition, batch(&value))));
        if number % 7 == 0 {
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }
    let mut told = Vec::new();
    for (partition, value, sending) in sendings {
        told.push((partition, value, sending.await));
    }
    told
}

/// What must hold for an idempotent producer, whatever went wrong.
fn check(cluster: &FakeCluster, told: &[(i32, String, Result<Delivered, SendError>)]) {
    let state = cluster.state.lock().expect("not poisoned");
    for (index, partition) in state.partitions.iter().enumerate() {
        let log: Vec<(i64, String)> =
            partition.batches.iter().map(|batch| (batch.header().base_offset.0, value_of(batch))).collect();
        let told = told.iter().filter(|(partition, ..)| *partition == index as i32);
        let mut last_offset = -1;
        for (_, value, result) in told {
            let found: Vec<i64> =
                log.iter().filter(|(_, there)| there == value).map(|(offset, _)| *offset).collect();
            match result {
                Ok(delivered) => {
                    assert_eq!(found, [delivered.base_offset.0], "{value} once, where the producer was told");
                    assert!(found[0] > last_offset, "{value} is behind the one sent before it");
                    last_offset = found[0];
                }
                Err(SendError::NotAppended(cause)) => {
                    assert!(found.is_empty(), "{value} must not be there: {cause}")
                }
                Err(SendError::Unknown(cause)) => {
                    assert!(found.len() <= 1, "{value} is there twice: {cause}")
                }
            }
        }
    }
}

#[test]
fn nothing_is_lost_doubled_or_reordered_while_everything_goes_wrong() {
    for seed in 0..100 {
        run(seed, async |env| {
            let faults = Faults {
                lost_request: 6,
                lost_response: 6,
                silence: 2,
                not_enough_replicas: 6,
                moved_after_append: 6,
                too_few_after_append: 6,
            };
            let cluster = FakeCluster::start(&env, 3, faults).await;
            let producer = producer(client(&env), settings());
            let told = send_all(&producer, 3, 200).await;
            check(&cluster, &told);
            let delivered = told.iter().filter(|(_, _, result)| result.is_ok()).count();
            assert!(delivered > 150, "seed {seed}: only {delivered} of 200 were delivered");
        });
    }
}

#[test]
fn short_deadlines_leave_honest_answers() {
    for seed in 0..100 {
        run(seed, async |env| {
            let faults = Faults {
                lost_request: 15,
                lost_response: 15,
                silence: 10,
                not_enough_replicas: 15,
                ..Faults::default()
            };
            let cluster = FakeCluster::start(&env, 2, faults).await;
            let hasty = ProducerSettings { delivery_timeout: Duration::from_millis(1_200), ..settings() };
            let producer = producer(client(&env), hasty);
            let told = send_all(&producer, 2, 100).await;
            // What was still on its way when its sender was told gets time to arrive.
            tokio::time::sleep(Duration::from_secs(5)).await;
            check(&cluster, &told);
        });
    }
}

#[test]
fn a_healthy_cluster_gets_at_most_one_request_per_batch() {
    run(1, async |env| {
        let cluster = FakeCluster::start(&env, 2, Faults::default()).await;
        let producer = producer(client(&env), settings());
        let told = send_all(&producer, 2, 100).await;
        check(&cluster, &told);
        assert!(told.iter().all(|(_, _, result)| result.is_ok()));
        // Fewer, because batches that had to wait for metadata and a producer id went together.
        let requests = cluster.state.lock().expect("not poisoned").produce_requests;
        assert!((50..=100).contains(&requests), "{requests}");
    });
}

#[test]
fn a_cluster_that_is_not_there_is_a_definite_failure() {
    run(1, async |env| {
        let producer = producer(client(&env), settings());
        let error = producer.send(TOPIC, 0, batch("v")).await.expect_err("nobody is there");
        assert!(matches!(error, SendError::NotAppended(Unsent::NoProducerId(_))), "{error}");
    });
}

#[test]
fn an_unknown_topic_is_a_definite_failure() {
    run(1, async |env| {
        let _cluster = FakeCluster::start(&env, 1, Faults::default()).await;
        let producer = producer(client(&env), settings());
        let error = producer.send("stranger", 0, batch("v")).await.expect_err("no such topic");
        assert!(error.is_definite());
    });
}

#[test]
fn a_batch_too_large_is_refused_and_the_next_one_is_not() {
    run(1, async |env| {
        let cluster = FakeCluster::start(&env, 1, Faults::default()).await;
        let producer = producer(client(&env), settings());
        let sendings = [
            producer.send(TOPIC, 0, batch("before")),
            producer.send(TOPIC, 0, batch(&"x".repeat(2_000))),
            producer.send(TOPIC, 0, batch("after")),
        ];
        let [before, large, after] = sendings;
        assert!(before.await.is_ok());
        assert_eq!(large.await, Err(SendError::NotAppended(Unsent::Refused(ErrorCode::MessageTooLarge))));
        assert!(after.await.is_ok());
        assert_eq!(cluster.state.lock().expect("not poisoned").partitions[0].batches.len(), 2);
    });
}

#[test]
fn acks_0_and_1_are_answered() {
    for acks in [0, 1] {
        run(1, async |env| {
            let cluster = FakeCluster::start(&env, 2, Faults::default()).await;
            let loose = ProducerSettings { acks, idempotent: false, ..settings() };
            let producer = producer(client(&env), loose);
            let told = send_all(&producer, 2, 20).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert!(told.iter().all(|(_, _, result)| result.is_ok()), "acks {acks}");
            let state = cluster.state.lock().expect("not poisoned");
            assert_eq!(state.partitions.iter().map(|partition| partition.batches.len()).sum::<usize>(), 20);
        });
    }
}

/// As in Java's producer: acks=0 is done when the network has the bytes, and counts as in flight until then.
#[test]
fn acks_0_towards_a_broker_that_does_not_read_is_bounded_and_not_called_delivered() {
    run(1, async |env| {
        let _cluster = FakeCluster::start(&env, 1, Faults::default()).await;
        let buffer_bytes_max = 20 * batch("v00").len();
        let loose = ProducerSettings { acks: 0, idempotent: false, buffer_bytes_max, ..settings() };
        let producer = producer(client(&env), loose);
        assert!(producer.send(TOPIC, 0, batch("v")).await.is_ok());
        env.net.hold_writes();
        let mut sendings = Vec::new();
        for number in 0..100 {
            sendings.push(producer.send(TOPIC, 0, batch(&format!("v{number:02}"))));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let began = tokio::time::Instant::now();
        let mut refused = 0;
        for sending in sendings {
            match sending.await.expect_err("nobody reads") {
                SendError::NotAppended(Unsent::BufferFull) => refused += 1,
                error => assert!(began.elapsed() >= Duration::from_secs(15), "{error}"),
            }
        }
        assert_eq!(refused, 80, "of a hundred, as many as fit wait");
        assert!(began.elapsed() < Duration::from_secs(25), "their deadline holds");
    });
}

#[test]
fn without_idempotence_a_batch_that_is_sent_again_does_not_come_behind_later_ones() {
    for seed in 0..50 {
        run(seed, async |env| {
            let faults = Faults { not_enough_replicas: 30, ..Faults::default() };
            let cluster = FakeCluster::start(&env, 1, faults).await;
            let producer = producer(client(&env), ProducerSettings { idempotent: false, ..settings() });
            let told = send_all(&producer, 1, 50).await;
            check(&cluster, &told);
            assert!(told.iter().all(|(_, _, result)| result.is_ok()));
        });
    }
}

#[test]
fn settings_that_promise_what_cannot_be_kept_are_refused() {
    run(1, async |env| {
        let client = client(&env);
        let refused = |settings| Producer::new(client.clone(), settings).err();
        let idempotent = settings();
        let of_acks = |acks| refused(ProducerSettings { acks, ..idempotent });
        assert_eq!(of_acks(-1), None);
        assert_eq!(of_acks(1), Some(SettingsError::IdempotenceWithoutAcksAll));
        assert_eq!(of_acks(0), Some(SettingsError::IdempotenceWithoutAcksAll));
        assert_eq!(of_acks(2), Some(SettingsError::Acks));
        let in_flight = |max_in_flight| refused(ProducerSettings { max_in_flight, ..idempotent });
        assert_eq!(in_flight(5), None);
        assert_eq!(in_flight(6), Some(SettingsError::IdempotenceInFlight));
        assert_eq!(in_flight(0), Some(SettingsError::InFlight));
    });
}

#[test]
fn a_producer_that_is_dropped_tells_its_senders() {
    run(1, async |env| {
        let producer = producer(client(&env), settings());
        let sending = producer.send(TOPIC, 0, batch("v"));
        drop(producer);
        assert_eq!(sending.await, Err(SendError::Unknown(Unsent::Closed)));
    });
}

#[test]
fn what_waits_is_bounded() {
    run(1, async |env| {
        let small = ProducerSettings { buffer_bytes_max: 200, ..settings() };
        let producer = producer(client(&env), small);
        let waiting = [producer.send(TOPIC, 0, batch("one")), producer.send(TOPIC, 0, batch("two"))];
        let error = producer.send(TOPIC, 0, batch("three")).await;
        assert_eq!(error, Err(SendError::NotAppended(Unsent::BufferFull)));
        drop(waiting);
    });
}

#[test]
fn a_fetcher_reads_everything_through_moved_leaders_and_broken_connections() {
    for seed in 0..20 {
        run(seed, async |env| {
            let cluster = FakeCluster::start(&env, 1, Faults::default()).await;
            let client = client(&env);
            let producer = producer(client.clone(), settings());
            let told = send_all(&producer, 1, 60).await;
            check(&cluster, &told);
            let fetcher = Fetcher::new(client, FetcherSettings::default());
            let (mut offset, mut values) = (Offset(0), Vec::new());
            while values.len() < 60 {
                match env.random_u64() % 4 {
                    0 => cluster.state.lock().expect("not poisoned").partitions[0].move_leader(),
                    1 => env.net.break_all(),
                    _ => {}
                }
                let fetched =
                    fetcher.fetch(TOPIC, 0, offset, 100, 1, 300).await.expect("the cluster is there");
                let mut bytes = fetched.batches;
                while !bytes.is_empty() {
                    values.push(value_of(&Batch::split_from(&mut bytes).expect("whole batches only")));
                }
                assert_eq!(fetched.high_watermark, Offset(60));
                assert_eq!(fetched.next_offset, Offset(values.len() as i64));
                offset = fetched.next_offset;
            }
            assert_eq!(values, told.iter().map(|(_, value, _)| value.clone()).collect::<Vec<_>>());
        });
    }
}

#[test]
fn an_offset_beyond_the_end_is_out_of_range() {
    run(1, async |env| {
        let _cluster = FakeCluster::start(&env, 1, Faults::default()).await;
        let fetcher = Fetcher::new(client(&env), FetcherSettings::default());
        let error = fetcher.fetch(TOPIC, 0, Offset(5), 0, 1, 300).await.expect_err("the log is empty");
        assert!(matches!(error, FetchError::OutOfRange { high_watermark: Offset(0), .. }), "{error}");
    });
}

#[test]
fn futures_can_be_spawned() {
    fn spawnable<T: Send>(_: T) {}
    run(1, async |env| {
        let client = client(&env);
        spawnable(client.create_topics(&[], false));
        spawnable(client.delete_topics(&["t"]));
        spawnable(client.delete_records("t", 0, Offset(1)));
        spawnable(client.list_offsets("t", 0, admin::OffsetSpec::Latest));
        spawnable(client.metadata(None));
        spawnable(Fetcher::new(client.clone(), FetcherSettings::default()).fetch("t", 0, Offset(0), 0, 1, 1));
        spawnable(producer(client, settings()).send("t", 0, Bytes::new()));
    });
}
