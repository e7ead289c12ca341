//! Whom the client asks, over which connection, and how often.

use super::admin::AdminError;
use super::*;
use crate::wire::ApiKey;

fn locked<T>(cluster: &FakeCluster, look: impl FnOnce(&mut fake_cluster::State) -> T) -> T {
    look(&mut cluster.state.lock().expect("not poisoned"))
}

/// The answer that says where the leader is must not stand behind the request that waits for it.
#[test]
fn metadata_does_not_wait_behind_a_produce_whose_replicas_are_stuck() {
    for seed in 0..20 {
        run(seed, async |env| {
            let cluster = FakeCluster::start(&env, 2, Faults { silence: 100, ..Faults::default() }).await;
            let client = client(&env);
            let producer = producer(client.clone(), settings());
            let stuck = [producer.send(TOPIC, 0, batch("v")), producer.send(TOPIC, 1, batch("v"))];
            tokio::time::sleep(Duration::from_millis(300)).await;
            assert_eq!(locked(&cluster, |state| state.produce_requests), 2);
            let began = tokio::time::Instant::now();
            client.metadata(Some(&[TOPIC])).await.expect("the brokers answer this");
            assert!(began.elapsed() < Duration::from_millis(100), "seed {seed}: {:?}", began.elapsed());
            drop(stuck);
        });
    }
}

/// Else both would give up in the same moment, and the client would close the connection on the answer.
#[test]
fn a_broker_gives_up_on_a_produce_before_its_client_does() {
    run(1, async |env| {
        let cluster = FakeCluster::start(&env, 1, Faults::default()).await;
        let producer = producer(client(&env), settings());
        producer.send(TOPIC, 0, batch("v")).await.expect("a healthy cluster");
        assert_eq!(locked(&cluster, |state| state.produce_timeout_ms), 800);
    });
}

#[test]
fn a_controller_that_is_silent_is_asked_after_the_others() {
    for seed in 0..20 {
        run(seed, async |env| {
            let cluster = FakeCluster::start(&env, 1, Faults::default()).await;
            let client = client(&env);
            locked(&cluster, |state| state.silent_controller = Some(1));
            client.metadata(None).await.expect("the first is asked by its address");
            let error = client.metadata(None).await.expect_err("the controller is silent");
            assert!(!error.is_definite());
            for _ in 0..4 {
                let began = tokio::time::Instant::now();
                client.metadata(None).await.expect("another answers");
                assert!(began.elapsed() < Duration::from_millis(100), "seed {seed}");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            // It gets another chance, not a place behind the others for ever.
            let mut failures = 0;
            for _ in 0..3 {
                tokio::time::sleep(Duration::from_secs(2)).await;
                failures += usize::from(client.metadata(None).await.is_err());
            }
            assert!(failures > 0, "seed {seed}");
        });
    }
}

/// How often each topic was asked for.
fn asked(cluster: &FakeCluster, topic: &str) -> usize {
    let is_named = |names: &&Vec<String>| names.iter().any(|name| name == topic);
    locked(cluster, |state| state.metadata_requests.iter().filter(is_named).count())
}

#[test]
fn metadata_grows_old_for_each_topic_by_itself_and_topics_that_are_gone_are_forgotten() {
    run(1, async |env| {
        let cluster = FakeCluster::start(&env, 1, Faults::default()).await;
        let age = Duration::from_secs(1);
        let client = Client::new(env.clone(), Settings { metadata_age_max: age, ..client_settings() });
        client.want_metadata(TOPIC);
        client.want_metadata("gone");
        for _ in 0..40 {
            tokio::time::sleep(Duration::from_millis(250)).await;
            client.want_metadata("wanted often");
        }
        let count = asked(&cluster, TOPIC);
        assert!((8..=11).contains(&count), "{count} times in ten seconds");
        assert_eq!(asked(&cluster, "gone"), 1);
        assert!(asked(&cluster, "wanted often") >= 35);
    });
}

/// KIP-951: the hint says where the leader is, which no metadata has named yet.
#[test]
fn a_fetcher_follows_a_hint_at_a_broker_it_did_not_know() {
    run(1, async |env| {
        let cluster = FakeCluster::start(&env, 1, Faults::default()).await;
        let client = client(&env);
        let producer = producer(client.clone(), settings());
        producer.send(TOPIC, 0, batch("v")).await.expect("a healthy cluster");
        locked(&cluster, |state| state.newcomer = Some(1));
        client.metadata(Some(&[TOPIC])).await.expect("a broker answers");
        locked(&cluster, |state| state.partitions[0].move_leader());
        let before = locked(&cluster, |state| state.metadata_requests.len());
        let fetcher = Fetcher::new(client, FetcherSettings::default());
        let fetched = fetcher.fetch(TOPIC, 0, Offset(0), 0, 1, 300).await.expect("the hint leads there");
        assert_eq!(fetched.next_offset, Offset(1));
        assert_eq!(locked(&cluster, |state| state.metadata_requests.len()), before);
    });
}

#[test]
fn what_a_broker_does_not_support_is_not_asked_again() {
    let unsupported = || RequestError::Unsupported(ApiKey::Fetch);
    assert!(!FetchError::Request(unsupported()).is_retriable());
    assert!(!AdminError::Request(unsupported()).is_retriable());
    assert!(FetchError::Request(RequestError::NoBroker).is_retriable());
    assert!(AdminError::Request(RequestError::Unknown(Disconnect::TimedOut)).is_retriable());
}

/// A controller that loses its leadership says NOT_CONTROLLER of what its successor may yet commit.
#[test]
fn a_change_refused_for_want_of_a_controller_may_have_been_made() {
    let refused = |code| AdminError::Refused { code, message: None };
    for code in [ErrorCode::NotController, ErrorCode::RequestTimedOut, ErrorCode::UnknownServerError] {
        assert!(!refused(code).is_definite(), "{code}");
    }
    assert!(refused(ErrorCode::TopicAlreadyExists).is_definite());
}
