//! What a connection may cost: memory, time, and the patience of others.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

const BUDGET_OF_1000: &[(&str, &str)] = &[("queued.max.request.bytes", "1000")];

/// A frame of `len` bytes that is a legal request: ApiVersions with trailing bytes.
fn large(len: usize) -> Vec<u8> {
    request(ApiKey::ApiVersions, 0, 5, &vec![0; len - 14])
}

#[test]
fn pipelined_requests_are_answered_in_order_and_in_few_writes() {
    with_server(1 << 20, &[], async |env, server| {
        let mut client = Client::connect(env, server.port()).await;
        client.send((0..100).flat_map(ping).collect::<Vec<_>>()).await;
        for id in 0..100 {
            assert_eq!(correlation_id(&client.receive().await.expect("an answer")), id);
        }
        assert_eq!(client.stream.reader.writes(), 1);
    });
}

/// Item 8: 10,000 requests whose answers are not read. Limit: the connection's buffers, about 64 KiB of answers.
#[test]
fn a_client_that_does_not_read_its_answers_is_not_read_from_and_costs_bounded_memory() {
    with_server(10_000, &[], async |env, server| {
        let mut stalled = Client::connect(env, server.port()).await;
        let flood: Bytes = (0..10_000).flat_map(ping).collect::<Vec<_>>().into();
        let mut sent = std::pin::pin!(stalled.stream.writer.write(flood, false));
        tokio::select! {
            biased;
            _ = &mut sent => panic!("the server took a flood whose answers nobody reads"),
            () = env.sleep(SECOND) => {}
        }
        let mut other = Client::connect(env, server.port()).await;
        other.send(ping(7)).await;
        assert_eq!(correlation_id(&other.receive().await.expect("others are served")), 7);
    });
}

/// A stalled reader ends with `connections.max.idle.ms`.
#[test]
fn a_client_that_never_reads_is_closed_when_it_has_idled_long_enough() {
    with_server(100, &[], async |env, server| {
        let mut stalled = Client::connect(env, server.port()).await;
        stalled.send(ping(1)).await;
        env.sleep(SECOND * 599).await;
        assert_eq!(open(server), 1);
        env.sleep(SECOND * 2).await;
        assert_eq!(open(server), 0);
    });
}

fn open(server: &Server<Wired>) -> usize {
    server.connections.lock().unwrap().iter().filter(|open| !open.task.is_finished()).count()
}

#[test]
fn an_idle_connection_is_closed_and_one_in_use_is_not() {
    with_server(1 << 20, &[], async |env, server| {
        let mut idle = Client::connect(env, server.port()).await;
        let mut used = Client::connect(env, server.port()).await;
        for id in 0..10 {
            env.sleep(SECOND * 100).await;
            used.send(ping(id)).await;
            assert_eq!(correlation_id(&used.receive().await.expect("it is used")), id);
        }
        assert!(idle.is_closed().await);
        assert_eq!(open(server), 1);
    });
}

/// Item 2: a length and then silence. Limit: nothing is charged before 64 KiB of a frame are there.
#[test]
fn a_claimed_length_costs_nothing() {
    with_server(1 << 20, BUDGET_OF_1000, async |env, server| {
        for _ in 0..100 {
            let mut silent = Client::connect(env, server.port()).await;
            silent.send((50i32 << 20).to_be_bytes().to_vec()).await;
            std::mem::forget(silent);
        }
        env.sleep(SECOND).await;
        assert_eq!(server.shared.budget.charged(), 0);
        let mut other = Client::connect(env, server.port()).await;
        other.send(ping(7)).await;
        assert_eq!(correlation_id(&other.receive().await.expect("others are served")), 7);
    });
}

#[test]
fn a_request_larger_than_the_budget_gets_its_turn_and_gives_its_memory_back() {
    with_server(1 << 20, BUDGET_OF_1000, async |env, server| {
        let mut client = Client::connect(env, server.port()).await;
        client.send(large(500_000)).await;
        assert_eq!(correlation_id(&client.receive().await.expect("an answer")), 5);
        env.sleep(SECOND).await;
        assert_eq!(server.shared.budget.charged(), 0);
    });
}

/// Item 2: one that began a large frame and drips. Limit: 64 KiB in 10 s, and only while others wait.
#[test]
fn who_holds_memory_that_others_wait_for_and_drips_is_closed() {
    with_server(1 << 20, BUDGET_OF_1000, async |env, server| {
        let mut drips = Client::connect(env, server.port()).await;
        let frame = large(500_000);
        drips.send(frame[..100_000].to_vec()).await;
        env.sleep(SECOND).await;
        assert_eq!(server.shared.budget.charged(), 500_000);
        env.sleep(SECOND * 60).await;
        assert_eq!(open(server), 1, "nobody waits, so it may take its time");
        let mut waits = Client::connect(env, server.port()).await;
        waits.send(ping(7)).await;
        let mut dripping = std::pin::pin!(async {
            for byte in &frame[100_000..100_010] {
                drips.send(vec![*byte]).await;
                env.sleep(SECOND * 5).await;
            }
        });
        let answer = tokio::select! {
            biased;
            answer = waits.receive() => answer,
            () = &mut dripping => None,
        };
        assert_eq!(correlation_id(&answer.expect("its turn came")), 7);
    });
}

#[test]
fn a_node_that_stops_closes_its_connections_and_its_port() {
    let env = Wired::new(1 << 20);
    env.node.block_on(async {
        let served = node::start(&env, configured(&[])).await;
        let port = served.node.port();
        let mut client = Client::connect(&env, port).await;
        client.send(ping(1)).await;
        assert_eq!(correlation_id(&client.receive().await.expect("an answer")), 1);
        served.node.run(async {}).await.expect("a healthy node stops");
        assert!(client.is_closed().await);
        assert!(env.net().connect(&format!("test:{port}")).await.is_err(), "nobody listens");
    });
}
