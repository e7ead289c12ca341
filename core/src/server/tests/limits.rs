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

/// Item 8: a million requests whose answers are not read. Limit: one read buffer, and about 64 KiB of answers, which
/// cost nothing of the budget yet.
#[test]
fn a_client_that_does_not_read_its_answers_is_not_read_from_and_costs_bounded_memory() {
    with_server(10_000, &[], async |env, server| {
        let mut stalled = Client::connect(env, server.port()).await;
        let flood: Bytes = ping(1).repeat(1_000_000).into();
        tokio::select! {
            biased;
            _ = stalled.stream.writer.write(flood, false) => panic!("it took a flood whose answers nobody reads"),
            () = env.sleep(SECOND * 60) => {}
        }
        let taken = stalled.stream.writer.taken();
        assert!(taken <= 64 << 10, "the server took {taken} bytes");
        assert_eq!(server.shared.budget.charged(), 0);
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

/// Limit: 64 KiB of a frame, and as much again that came with them, while others wait for memory.
#[test]
fn a_connection_that_once_sent_a_large_frame_gets_no_memory_for_nothing() {
    with_server(4 << 20, &[("queued.max.request.bytes", "4194304")], async |env, server| {
        let budget = &server.shared.budget;
        let mut large_once = Client::connect(env, server.port()).await;
        large_once.send(large(1 << 20)).await;
        assert_eq!(correlation_id(&large_once.receive().await.expect("an answer")), 5);
        env.sleep(SECOND).await;
        assert_eq!(budget.charged(), 1 << 20, "its read buffer is kept for the next one, and charged");
        env.sleep(SECOND * 20).await;
        assert_eq!(budget.charged(), 0, "until it is of no use");

        let mut holds = Client::connect(env, server.port()).await;
        holds.send(large(5 << 20)[..100_000].to_vec()).await;
        env.sleep(SECOND).await;
        let before = large_once.stream.writer.taken();
        large_once.send(large(1 << 20)).await;
        env.sleep(SECOND).await;
        assert!(budget.is_exhausted());
        let taken = large_once.stream.writer.taken() - before;
        assert!(taken <= 128 << 10, "{taken} bytes were read before there was memory for them");
    });
}

/// Limit: half the budget for read buffers, whatever the connections have earned.
#[test]
fn read_buffers_that_are_kept_leave_memory_for_requests() {
    with_server(4 << 20, &[("queued.max.request.bytes", "4194304")], async |env, server| {
        let mut clients = Vec::new();
        for _ in 0..10 {
            let mut client = Client::connect(env, server.port()).await;
            client.send(large(1 << 20)).await;
            assert_eq!(correlation_id(&client.receive().await.expect("an answer")), 5);
            clients.push(client);
        }
        env.sleep(SECOND).await;
        let kept = server.shared.budget.charged();
        assert!(kept > 0 && kept <= 2 << 20, "{kept} bytes are kept");
    });
}

#[test]
fn who_comes_beyond_max_connections_is_served_when_another_has_left() {
    with_server(1 << 20, &[("max.connections", "2")], async |env, server| {
        let mut first = Client::connect(env, server.port()).await;
        let second = Client::connect(env, server.port()).await;
        first.send(ping(1)).await;
        assert_eq!(correlation_id(&first.receive().await.expect("there is a place")), 1);
        let mut third = Client::connect(env, server.port()).await;
        third.send(ping(3)).await;
        let early = tokio::select! {
            biased;
            answer = third.receive() => answer,
            () = env.sleep(SECOND * 60) => None,
        };
        assert_eq!(early, None);
        assert_eq!(open(server), 2);
        drop(second);
        assert_eq!(correlation_id(&third.receive().await.expect("a place became free")), 3);
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
