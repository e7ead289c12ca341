use super::*;
use crate::ids::Uuid;

fn partition(number: i32) -> TopicPartition {
    TopicPartition::new(Uuid([7; 16]), number)
}

fn at(ms: u64) -> Instant {
    Instant(ms * 1_000_000)
}

fn new() -> FetchLoop {
    let (backoff, timeout) = (Duration::from_millis(100), Duration::from_millis(1000));
    let mut fetch_loop = FetchLoop::new(Settings { backoff, timeout, switches: Switches::default() });
    fetch_loop.follow(partition(0), BrokerId(2), LeaderEpoch(1));
    fetch_loop.follow(partition(1), BrokerId(2), LeaderEpoch(4));
    fetch_loop
}

#[test]
fn a_round_asks_a_leader_for_all_its_partitions_and_the_next_waits_for_the_answer() {
    let mut fetch_loop = new();
    let round = fetch_loop.poll_output(at(0)).expect("two partitions are ready");
    assert_eq!(round.partitions, [(partition(0), LeaderEpoch(1)), (partition(1), LeaderEpoch(4))]);
    assert_eq!(fetch_loop.poll_output(at(0)), None);
    assert!(fetch_loop.handle_response(BrokerId(2), round.id));
    assert!(fetch_loop.poll_output(at(0)).is_some());
}

#[test]
fn each_leader_has_its_own_rounds() {
    let mut fetch_loop = new();
    fetch_loop.follow(partition(1), BrokerId(3), LeaderEpoch(5));
    let leaders: Vec<_> =
        [0, 0].iter().filter_map(|_| fetch_loop.poll_output(at(0))).map(|it| it.leader).collect();
    assert_eq!(leaders, [BrokerId(2), BrokerId(3)]);
}

#[test]
fn an_answer_for_a_partition_that_left_or_changed_its_epoch_does_not_count() {
    let mut fetch_loop = new();
    let round = fetch_loop.poll_output(at(0)).expect("ready");
    fetch_loop.leave(partition(0));
    fetch_loop.follow(partition(1), BrokerId(2), LeaderEpoch(5));
    assert!(fetch_loop.handle_response(BrokerId(2), round.id));
    assert!(!fetch_loop.owns(partition(0), BrokerId(2), LeaderEpoch(1)));
    assert!(!fetch_loop.owns(partition(1), BrokerId(2), LeaderEpoch(4)));
    assert!(fetch_loop.owns(partition(1), BrokerId(2), LeaderEpoch(5)));
}

#[test]
fn an_answer_on_a_connection_that_was_given_up_is_nobodys() {
    let mut fetch_loop = new();
    let round = fetch_loop.poll_output(at(0)).expect("ready");
    assert_eq!(fetch_loop.handle_timeout(at(999)), None);
    assert_eq!(fetch_loop.handle_timeout(at(1000)), Some((BrokerId(2), round.id)));
    assert!(!fetch_loop.handle_response(BrokerId(2), round.id));
    assert_eq!(fetch_loop.poll_output(at(1099)), None);
    assert_eq!(fetch_loop.next_deadline(), Some(at(1100)));
    assert!(fetch_loop.poll_output(at(1100)).is_some());
}

#[test]
fn a_partition_that_was_refused_waits_while_the_others_go_on() {
    let mut fetch_loop = new();
    fetch_loop.back_off(partition(0), at(0));
    let round = fetch_loop.poll_output(at(0)).expect("the other is ready");
    assert_eq!(round.partitions, [(partition(1), LeaderEpoch(4))]);
}

#[test]
fn a_follower_does_not_spin_while_a_flush_is_under_way() {
    let mut fetch_loop = new();
    let round = fetch_loop.poll_output(at(0)).expect("two partitions are ready");
    fetch_loop.pause(partition(0));
    fetch_loop.pause(partition(1));
    fetch_loop.handle_empty(BrokerId(2), round.id);
    assert_eq!(fetch_loop.poll_output(at(0)), None, "it span here");
    assert_eq!((fetch_loop.poll_output(at(9999)), fetch_loop.next_deadline()), (None, None));
    fetch_loop.resume(partition(1));
    let round = fetch_loop.poll_output(at(9999)).expect("the flush ended");
    assert_eq!(round.partitions, [(partition(1), LeaderEpoch(4))]);
}

#[test]
fn a_partition_whose_flush_is_under_way_does_not_hold_up_the_others() {
    let mut fetch_loop = new();
    let round = fetch_loop.poll_output(at(0)).expect("two partitions are ready");
    fetch_loop.pause(partition(0));
    assert!(fetch_loop.handle_response(BrokerId(2), round.id), "the other one was asked for");
    let round = fetch_loop.poll_output(at(0)).expect("the other one is ready");
    assert_eq!(round.partitions, [(partition(1), LeaderEpoch(4))]);
}

#[test]
fn a_flush_does_not_end_the_wait_after_a_refusal() {
    let mut fetch_loop = new();
    fetch_loop.leave(partition(1));
    fetch_loop.back_off(partition(0), at(0));
    fetch_loop.resume(partition(0));
    assert_eq!(fetch_loop.poll_output(at(0)), None);
    assert_eq!(fetch_loop.next_deadline(), Some(at(100)));
}

#[test]
fn a_new_epoch_is_a_new_start_for_a_partition_that_waits_for_its_flush() {
    let mut fetch_loop = new();
    fetch_loop.pause(partition(0));
    fetch_loop.follow(partition(0), BrokerId(3), LeaderEpoch(2));
    let leaders: Vec<_> =
        [0, 0].iter().filter_map(|_| fetch_loop.poll_output(at(0))).map(|it| it.leader).collect();
    assert_eq!(leaders, [BrokerId(2), BrokerId(3)]);
}
