//! Whom the leader takes a fetch for, and what it remembers of them.

use super::*;

/// A replica of this id that does not say which directory it has.
fn no_directory(id: i32) -> ReplicaKey {
    ReplicaKey { directory: Uuid::ZERO, ..key(id) }
}

fn fetch_of(replica: ReplicaKey, offset: i64) -> FetchRequest {
    FetchRequest {
        request_id: 1,
        epoch: LeaderEpoch(1),
        replica,
        log_end: LogEnd { epoch: LeaderEpoch(i32::from(offset > 0)), offset: Offset(offset) },
        high_watermark: Offset::ZERO,
    }
}

fn refusal_of_fetch(machine: &mut Machine) -> Option<Refusal> {
    match outputs(machine).pop() {
        Some(Output::Reply { response: Response::Fetch(response), .. }) => match response.fetched {
            Fetched::Refused(refusal) => Some(refusal),
            _ => None,
        },
        _ => None,
    }
}

#[test]
fn only_a_stored_key_without_a_directory_matches_any() {
    // KIP-853: otherwise who leaves its directory out would be every voter of its id.
    assert!(no_directory(1).matches(key(1)) && no_directory(1).matches(no_directory(1)));
    assert!(key(1).matches(key(1)) && !key(1).matches(no_directory(1)));
    assert!(!no_directory(1).matches(key(2)));
    assert!(!voters(&[0, 1]).contains(no_directory(1)));
}

#[test]
fn a_fetch_in_the_leaders_own_name_commits_nothing_that_it_has_not_flushed() {
    // KIP-853, KAFKA-10533: with the leader's id and no directory, it moved the leader's own end.
    let mut log = Log::default();
    let mut machine = sole_leader(&mut log);
    log.end = 3;
    let elsewhere = ReplicaKey { directory: Uuid([9; 16]), ..key(0) };
    for replica in [no_directory(0), elsewhere, key(0)] {
        machine.handle_fetch(ReplyTo(0), &fetch_of(replica, 3), &moment(&log, 60_001));
        assert_eq!(refusal_of_fetch(&mut machine), Some(Refusal::InvalidRequest), "{replica}");
        assert_eq!((machine.high_watermark(), machine.progress().replicas().len()), (Offset(2), 1));
    }
}

#[test]
fn a_fetch_at_a_negative_offset_or_epoch_is_refused_and_counts_for_nothing() {
    // KIP-595: the log of nobody ends there.
    let mut log = Log::default();
    let mut machine = sole_leader(&mut log);
    for (epoch, offset) in [(0, -1), (1, i64::MIN), (-1, 0), (i32::MIN, 2)] {
        let log_end = LogEnd { epoch: LeaderEpoch(epoch), offset: Offset(offset) };
        let request = FetchRequest { log_end, ..fetch_of(key(1), 0) };
        machine.handle_fetch(ReplyTo(0), &request, &moment(&log, 60_001));
        assert_eq!(refusal_of_fetch(&mut machine), Some(Refusal::InvalidRequest), "{offset}@{epoch}");
    }
    assert_eq!(machine.progress().replicas().len(), 1, "the leader alone");
}

#[test]
fn a_fetch_without_a_directory_is_none_of_the_voter_of_that_id() {
    // KIP-853: neither as a voter, nor as the observer that is made one.
    let mut log = Log::default();
    let mut machine = sole_leader(&mut log);
    machine.handle_fetch(ReplyTo(0), &fetch_of(no_directory(1), 2), &moment(&log, 60_001));
    let voter = Voter { key: key(1), endpoints: Vec::new() };
    assert_eq!(machine.add_voter(voter, &moment(&log, 60_001)), Err(VoterChangeRefusal::NotCaughtUp));
    log.end = 3;
    machine.handle_voters_appended(Offset(2), voters(&[0, 1]), &moment(&log, 60_002));
    machine.handle_flushed(Offset(3), &moment(&log, 60_002));
    machine.handle_fetch(ReplyTo(0), &fetch_of(no_directory(1), 3), &moment(&log, 60_003));
    assert_eq!(machine.high_watermark(), Offset(2), "one of two voters has it");
    machine.handle_fetch(ReplyTo(0), &fetch_of(key(1), 3), &moment(&log, 60_004));
    assert_eq!(machine.high_watermark(), Offset(3));
}

#[test]
fn voters_without_a_directory_get_into_no_set_of_voters_with_directories() {
    // KIP-853: the set would be taken for a static one, which nobody can change any more.
    let mut log = Log::default();
    let mut machine = sole_leader(&mut log);
    machine.handle_fetch(ReplyTo(0), &fetch_of(no_directory(1), 2), &moment(&log, 60_001));
    outputs(&mut machine);
    let voter = |id| Voter { key: no_directory(id), endpoints: Vec::new() };
    assert_eq!(machine.add_voter(voter(1), &moment(&log, 60_001)), Err(VoterChangeRefusal::NoDirectory));
    assert_eq!(machine.update_voter(&voter(0)), Err(VoterChangeRefusal::NoDirectory));
    assert_eq!(machine.remove_voter(no_directory(0)), Err(VoterChangeRefusal::NoDirectory));
    assert_eq!(outputs(&mut machine), []);
}

#[test]
fn an_observer_that_is_silent_for_five_minutes_is_forgotten_and_a_voter_is_not() {
    // As Kafka's DescribeQuorum (KIP-836); otherwise each directory ever seen stays until the next epoch.
    let mut log = Log::default();
    let mut machine = sole_leader(&mut log);
    let ids = |machine: &Machine| -> Vec<i32> {
        machine.progress().replicas().iter().map(|replica| replica.key.id.0).collect()
    };
    log.end = 3;
    machine.handle_voters_appended(Offset(2), voters(&[0, 1]), &moment(&log, 60_001));
    machine.handle_fetch(ReplyTo(0), &fetch_of(key(7), 2), &moment(&log, 60_002));
    for ms in (61_000..=361_000).step_by(1_000) {
        machine.handle_fetch(ReplyTo(0), &fetch_of(key(1), 2), &moment(&log, ms));
        if ms < 361_000 {
            machine.handle_fetch(ReplyTo(0), &fetch_of(key(8), 2), &moment(&log, ms));
            assert_eq!(ids(&machine), [0, 1, 7, 8], "after {ms} ms");
        }
        machine.handle_timeout(&moment(&log, ms));
        outputs(&mut machine);
    }
    assert_eq!(ids(&machine), [0, 1, 8]);
    machine.handle_fetch(ReplyTo(0), &fetch_of(key(7), 2), &moment(&log, 362_000));
    assert_eq!(ids(&machine), [0, 1, 8, 7], "it is known again when it is back");
}

#[test]
fn ever_new_directories_fill_no_more_than_the_leaders_table_and_the_longest_silent_goes() {
    // KIP-853: a directory is any number, so a node that is remade all the time is ever another observer.
    let mut log = Log::default();
    let mut machine = sole_leader(&mut log);
    let other = |number: u32| {
        let mut directory = [7; 16];
        directory[..4].copy_from_slice(&number.to_be_bytes());
        ReplicaKey { directory: Uuid(directory), ..key(7) }
    };
    for number in 0..4_200 {
        let now = moment(&log, 60_001 + u64::from(number));
        if number % 100 == 0 {
            machine.handle_fetch(ReplyTo(0), &fetch_of(key(8), 2), &now);
        }
        machine.handle_fetch(ReplyTo(0), &fetch_of(other(number), 2), &now);
        outputs(&mut machine);
    }
    let replicas = machine.progress().replicas();
    let knows = |key| replicas.iter().any(|replica| replica.key == key);
    assert_eq!(replicas.len(), 4_096 + 1, "the leader itself is no observer");
    assert!(knows(key(0)) && knows(key(8)) && knows(other(4_199)) && !knows(other(0)));
}

#[test]
fn an_observer_that_caught_up_once_and_died_is_made_no_voter() {
    // KIP-853: the larger majority would need it, and a set of two would commit nothing any more.
    let mut log = Log::default();
    let mut machine = sole_leader(&mut log);
    let add = |machine: &mut Machine, log: &Log, ms| {
        let voter = Voter { key: key(1), endpoints: Vec::new() };
        machine.add_voter(voter, &moment(log, ms))
    };
    machine.handle_fetch(ReplyTo(0), &fetch_of(key(1), 2), &moment(&log, 61_000));
    assert_eq!(add(&mut machine, &log, 63_001), Err(VoterChangeRefusal::NotCaughtUp), "it is silent");
    machine.handle_fetch(ReplyTo(0), &fetch_of(key(1), 1), &moment(&log, 63_001));
    assert_eq!(add(&mut machine, &log, 63_001), Err(VoterChangeRefusal::NotCaughtUp), "it fell behind");
    machine.handle_fetch(ReplyTo(0), &fetch_of(key(1), 2), &moment(&log, 63_002));
    assert_eq!(add(&mut machine, &log, 65_002), Ok(()));
}
