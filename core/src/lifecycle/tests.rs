use super::*;

fn at(ms: u64) -> Instant {
    Instant(ms * 1_000_000)
}

fn new(previous_broker_epoch: Option<BrokerEpoch>) -> Lifecycle {
    let settings = Settings {
        heartbeat_interval: Duration::from_millis(2000),
        timeout: Duration::from_millis(1000),
        backoff: Duration::from_millis(100),
        log_dir_failure_timeout: Duration::from_millis(30_000),
        registration_timeout: Duration::from_millis(60_000),
        switches: Switches::default(),
    };
    Lifecycle::new(settings, previous_broker_epoch, at(0))
}

fn answer(is_fenced: bool, should_shut_down: bool) -> HeartbeatAnswer {
    HeartbeatAnswer { is_caught_up: true, is_fenced, should_shut_down }
}

fn serving() -> Lifecycle {
    let mut lifecycle = new(None);
    let (id, _) = lifecycle.poll_output(at(0)).expect("it registers at once");
    lifecycle.handle_registered(id, BrokerEpoch(40), at(0));
    lifecycle.published(Offset(40));
    let (id, _) = lifecycle.poll_output(at(0)).expect("it asks to be unfenced at once");
    lifecycle.handle_heartbeat(id, answer(false, false), at(0));
    assert_eq!(lifecycle.stage(), Stage::Serving);
    lifecycle
}

#[test]
fn a_registration_tells_the_epoch_of_the_last_clean_stop_and_is_repeated_until_it_is_answered() {
    let mut lifecycle = new(Some(BrokerEpoch(7)));
    let (id, output) = lifecycle.poll_output(at(0)).expect("due");
    assert_eq!(output, Output::Register { previous_broker_epoch: Some(BrokerEpoch(7)) });
    assert_eq!(lifecycle.handle_timeout(at(1000)), Some(id));
    let (again, output) = lifecycle.poll_output(at(1100)).expect("due again");
    assert_eq!(output, Output::Register { previous_broker_epoch: Some(BrokerEpoch(7)) });
    lifecycle.handle_registered(id, BrokerEpoch(40), at(1100));
    assert_eq!(lifecycle.stage(), Stage::Registering, "that connection was given up");
    lifecycle.handle_registered(again, BrokerEpoch(41), at(1100));
    assert_eq!((lifecycle.stage(), lifecycle.broker_epoch()), (Stage::CatchingUp, BrokerEpoch(41)));
}

#[test]
fn nothing_is_published_before_the_metadata_holds_the_registration() {
    let mut lifecycle = new(None);
    assert!(!lifecycle.may_publish(Offset(90)) && !lifecycle.may_sweep(Offset(90)));
    let (id, _) = lifecycle.poll_output(at(0)).expect("due");
    lifecycle.handle_registered(id, BrokerEpoch(40), at(0));
    assert!(!lifecycle.may_publish(Offset(39)) && !lifecycle.may_sweep(Offset(39)));
    assert!(lifecycle.may_publish(Offset(40)) && lifecycle.may_sweep(Offset(40)));
}

#[test]
fn a_broker_wants_to_be_unfenced_once_it_caught_up() {
    let mut lifecycle = new(None);
    let (id, _) = lifecycle.poll_output(at(0)).expect("due");
    lifecycle.handle_registered(id, BrokerEpoch(40), at(0));
    let (id, output) = lifecycle.poll_output(at(0)).expect("due");
    assert!(matches!(output, Output::Heartbeat { wants_fence: true, .. }));
    lifecycle.handle_heartbeat(id, answer(true, false), at(0));
    lifecycle.published(Offset(44));
    let (_, output) = lifecycle.poll_output(at(0)).expect("it does not wait for the interval");
    let (broker_epoch, metadata_offset) = (BrokerEpoch(40), Offset(44));
    let (wants_fence, wants_shutdown, offline_log_dirs) = (false, false, Vec::new());
    let expected =
        Output::Heartbeat { broker_epoch, metadata_offset, wants_fence, wants_shutdown, offline_log_dirs };
    assert_eq!(output, expected);
}

#[test]
fn a_broker_that_was_fenced_while_out_of_reach_asks_again() {
    let mut lifecycle = serving();
    assert_eq!(lifecycle.poll_output(at(1999)), None);
    let (id, _) = lifecycle.poll_output(at(2000)).expect("the interval is over");
    lifecycle.handle_heartbeat(id, answer(true, false), at(2000));
    assert_eq!(lifecycle.stage(), Stage::Starting);
}

#[test]
fn a_draining_broker_follows_the_metadata_until_it_may_stop_and_only_then_has_a_marker() {
    let mut lifecycle = serving();
    lifecycle.drain(at(10));
    let (id, output) = lifecycle.poll_output(at(10)).expect("it says so at once");
    assert!(matches!(output, Output::Heartbeat { wants_shutdown: true, .. }));
    lifecycle.handle_heartbeat(id, answer(false, false), at(10));
    assert!(lifecycle.may_publish(Offset(50)), "KAFKA-14296");
    assert_eq!(lifecycle.clean_shutdown_epoch(), None);
    let (id, _) = lifecycle.poll_output(at(2010)).expect("the interval is over");
    lifecycle.handle_heartbeat(id, answer(true, true), at(2010));
    assert_eq!(lifecycle.clean_shutdown_epoch(), Some(BrokerEpoch(40)));
    assert_eq!((lifecycle.poll_output(at(9999)), lifecycle.next_deadline()), (None, None));
}

/// A broker that serves and learns that its epoch is stale.
fn deposed() -> Lifecycle {
    let mut lifecycle = serving();
    let (id, _) = lifecycle.poll_output(at(2000)).expect("the interval is over");
    lifecycle.handle_stale_epoch(id, at(2000));
    lifecycle
}

/// The image may come before the answer. Nothing else may be written for long: it must not wait for another one.
#[test]
fn a_broker_that_registers_again_has_caught_up_when_the_image_came_before_the_answer() {
    let mut lifecycle = deposed();
    let (id, _) = lifecycle.poll_output(at(2000)).expect("at once");
    assert!(lifecycle.may_publish(Offset(60)));
    lifecycle.published(Offset(60));
    lifecycle.handle_registered(id, BrokerEpoch(60), at(2000));
    assert_eq!(lifecycle.stage(), Stage::Starting);
}

#[test]
fn a_broker_whose_registration_was_replaced_registers_again_and_follows_the_metadata_meanwhile() {
    let mut lifecycle = deposed();
    assert_eq!(lifecycle.stage(), Stage::Registering);
    assert!(lifecycle.may_publish(Offset(50)), "which takes its leaderships");
    let (id, output) = lifecycle.poll_output(at(2000)).expect("at once");
    assert_eq!(output, Output::Register { previous_broker_epoch: None });
    lifecycle.handle_registered(id, BrokerEpoch(60), at(2000));
    assert_eq!((lifecycle.stage(), lifecycle.broker_epoch()), (Stage::CatchingUp, BrokerEpoch(60)));
    assert!(!lifecycle.may_publish(Offset(59)));
    lifecycle.published(Offset(60));
    assert_eq!(lifecycle.stage(), Stage::Starting);
}

#[test]
fn a_broker_that_is_replaced_before_the_metadata_reaches_its_registration_does_not_wait_for_it() {
    let mut lifecycle = new(None);
    let (id, _) = lifecycle.poll_output(at(0)).expect("due");
    lifecycle.handle_registered(id, BrokerEpoch(40), at(0));
    let (id, _) = lifecycle.poll_output(at(0)).expect("due");
    lifecycle.handle_stale_epoch(id, at(10));
    let (_, output) = lifecycle.poll_output(at(10)).expect("at once");
    assert_eq!(output, Output::Register { previous_broker_epoch: None });
}

#[test]
fn a_late_refusal_of_an_earlier_heartbeat_does_not_depose_the_present_incarnation() {
    let mut lifecycle = serving();
    let (late, _) = lifecycle.poll_output(at(2000)).expect("the interval is over");
    assert_eq!(lifecycle.handle_timeout(at(3000)), Some(late));
    lifecycle.handle_stale_epoch(late, at(3000));
    assert_eq!(lifecycle.stage(), Stage::Serving, "that connection was given up");
}

#[test]
fn a_draining_broker_whose_registration_was_replaced_stops_with_a_marker_that_no_longer_counts() {
    let mut lifecycle = serving();
    lifecycle.drain(at(10));
    let (id, _) = lifecycle.poll_output(at(10)).expect("it says so at once");
    lifecycle.handle_stale_epoch(id, at(10));
    assert_eq!(lifecycle.stage(), Stage::Stopping);
    assert_eq!(lifecycle.clean_shutdown_epoch(), Some(BrokerEpoch(40)), "another epoch is registered");
}

#[test]
fn a_broker_that_cannot_register_in_time_fails_and_puts_its_marker_back() {
    let mut lifecycle = new(Some(BrokerEpoch(7)));
    let (id, _) = lifecycle.poll_output(at(59_500)).expect("due");
    lifecycle.handle_failure(id, at(59_600));
    assert_eq!(lifecycle.next_deadline(), Some(at(59_700)));
    let _ = lifecycle.poll_output(at(59_700)).expect("due");
    assert_eq!(lifecycle.next_deadline(), Some(at(60_000)), "before the request is given up");
    lifecycle.handle_timeout(at(59_999));
    assert_eq!((lifecycle.stage(), lifecycle.clean_shutdown_epoch()), (Stage::Registering, None));
    lifecycle.handle_timeout(at(60_000));
    assert_eq!(lifecycle.stage(), Stage::Failed);
    assert_eq!(lifecycle.clean_shutdown_epoch(), Some(BrokerEpoch(7)), "it has changed nothing");
    assert_eq!(lifecycle.poll_output(at(99_999)), None);
}

#[test]
fn only_the_first_registration_has_a_deadline() {
    let mut lifecycle = deposed();
    lifecycle.handle_timeout(at(90_000));
    assert_eq!(lifecycle.stage(), Stage::Registering, "it holds a log that the cluster may need");
}

#[test]
fn a_process_that_is_asked_to_stop_before_it_asked_for_anything_just_stops() {
    let mut lifecycle = new(Some(BrokerEpoch(7)));
    lifecycle.drain(at(0));
    assert_eq!((lifecycle.stage(), lifecycle.poll_output(at(0))), (Stage::Stopping, None));
    assert_eq!(lifecycle.clean_shutdown_epoch(), Some(BrokerEpoch(7)));
}

#[test]
fn a_process_that_is_asked_to_stop_while_it_registers_learns_its_epoch_for_the_marker() {
    // With the old one in its marker it counted as unclean at its next start, and nobody was left to elect.
    let mut lifecycle = new(Some(BrokerEpoch(7)));
    let (id, _) = lifecycle.poll_output(at(0)).expect("due");
    lifecycle.drain(at(10));
    lifecycle.handle_registered(id, BrokerEpoch(40), at(20));
    assert_eq!(lifecycle.stage(), Stage::Draining);
    let (id, _) = lifecycle.poll_output(at(20)).expect("at once");
    lifecycle.handle_heartbeat(id, answer(true, true), at(20));
    assert_eq!(lifecycle.clean_shutdown_epoch(), Some(BrokerEpoch(40)));
}

#[test]
fn a_process_that_is_asked_to_stop_while_nobody_answers_waits_no_longer_than_the_registration_may() {
    let mut lifecycle = new(Some(BrokerEpoch(7)));
    let _ = lifecycle.poll_output(at(0)).expect("due");
    lifecycle.drain(at(10));
    lifecycle.handle_timeout(at(60_000));
    assert!(lifecycle.has_ended());
}

fn offline(output: Output) -> Vec<Uuid> {
    match output {
        Output::Heartbeat { offline_log_dirs, .. } => offline_log_dirs,
        other => panic!("not a heartbeat: {other:?}"),
    }
}

const DISK: Uuid = Uuid([3; 16]);

#[test]
fn a_failed_directory_is_told_at_once_and_in_every_heartbeat_from_then_on() {
    let mut lifecycle = serving();
    lifecycle.directory_failed(DISK, at(10));
    let (id, output) = lifecycle.poll_output(at(10)).expect("it does not wait for the interval");
    assert_eq!(offline(output), [DISK]);
    lifecycle.handle_heartbeat(id, answer(false, false), at(20));
    assert_eq!(lifecycle.next_deadline(), Some(at(2020)));
    let (_, output) = lifecycle.poll_output(at(2020)).expect("the interval is over");
    assert_eq!(offline(output), [DISK]);
    assert_eq!((lifecycle.handle_timeout(at(40_000)).is_some(), lifecycle.stage()), (true, Stage::Serving));
}

#[test]
fn a_directory_that_fails_while_a_heartbeat_is_under_way_is_told_by_the_next_one_at_once() {
    let mut lifecycle = serving();
    let (id, output) = lifecycle.poll_output(at(2000)).expect("the interval is over");
    assert!(offline(output).is_empty());
    lifecycle.directory_failed(DISK, at(2001));
    lifecycle.handle_heartbeat(id, answer(false, false), at(2010));
    let (_, output) = lifecycle.poll_output(at(2010)).expect("that answer was not for it");
    assert_eq!(offline(output), [DISK]);
}

#[test]
fn a_broker_that_cannot_tell_of_a_failed_directory_ends_without_a_marker() {
    let mut lifecycle = serving();
    lifecycle.directory_failed(DISK, at(10));
    let (id, _) = lifecycle.poll_output(at(10)).expect("at once");
    lifecycle.handle_failure(id, at(20));
    let _ = lifecycle.poll_output(at(120)).expect("again");
    lifecycle.handle_timeout(at(30_009));
    assert_eq!(lifecycle.stage(), Stage::Serving);
    lifecycle.handle_timeout(at(30_010));
    assert_eq!((lifecycle.stage(), lifecycle.clean_shutdown_epoch()), (Stage::Failed, None));
}

#[test]
fn a_marker_is_written_when_the_controller_knows_of_the_failed_directory() {
    let mut lifecycle = serving();
    lifecycle.directory_failed(DISK, at(10));
    lifecycle.drain(at(10));
    let (id, _) = lifecycle.poll_output(at(10)).expect("at once");
    lifecycle.handle_heartbeat(id, answer(true, true), at(20));
    assert_eq!(lifecycle.clean_shutdown_epoch(), Some(BrokerEpoch(40)));
}
