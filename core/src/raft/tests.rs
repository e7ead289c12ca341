//! What scripts (`core/testdata/raft`) cannot say: malformed input, the order of outputs, values.

mod replicas;

use std::time::Duration;

use super::messages::*;
use super::*;
use crate::epochs::{Epochs, LogEnd, LogView, MetadataLogView, SnapshotId};
use crate::ids::{BrokerId, LeaderEpoch, Offset, Uuid};
use crate::time::Instant;

/// A log of which only the bounds matter.
#[derive(Default)]
struct Log {
    start: i64,
    end: i64,
    epochs: Epochs,
    snapshot: Option<SnapshotId>,
}

impl LogView for Log {
    fn log_start(&self) -> Offset {
        Offset(self.start)
    }
    fn log_end(&self) -> Offset {
        Offset(self.end)
    }
    fn epochs(&self) -> &Epochs {
        &self.epochs
    }
}

impl MetadataLogView for Log {
    fn epoch_before_start(&self) -> LeaderEpoch {
        LeaderEpoch(0)
    }
    fn latest_snapshot(&self) -> Option<SnapshotId> {
        self.snapshot
    }
    fn snapshot_size(&self, id: SnapshotId) -> Option<u64> {
        self.snapshot.filter(|snapshot| *snapshot == id).map(|_| 30)
    }
}

fn key(id: i32) -> ReplicaKey {
    ReplicaKey { id: BrokerId(id), directory: Uuid([id as u8 + 1; 16]) }
}

fn voters(ids: &[i32]) -> Voters {
    Voters::new(ids.iter().map(|id| Voter { key: key(*id), endpoints: Vec::new() }).collect())
}

fn moment(log: &Log, ms: u64) -> Moment<'_> {
    Moment { now: Instant(ms * 1_000_000), random: 0, log }
}

fn machine(id: i32, ids: &[i32], log: &Log) -> Machine {
    let history = VoterHistory::new(Offset::ZERO, voters(ids));
    let saved = ElectionState::default();
    Machine::new(Settings::default(), key(id), saved, history, Offset(log.end), &moment(log, 0))
}

fn outputs(machine: &mut Machine) -> Vec<Output> {
    std::iter::from_fn(|| machine.poll_output()).collect()
}

fn vote(epoch: i32, candidate: i32, voter: i32) -> VoteRequest {
    VoteRequest {
        epoch: LeaderEpoch(epoch),
        candidate: key(candidate),
        voter: key(voter),
        log_end: LogEnd::default(),
        pre_vote: false,
    }
}

fn granted(machine: &mut Machine, request: &VoteRequest, log: &Log) -> Result<bool, Refusal> {
    machine.handle_vote(ReplyTo(0), request, &moment(log, 0));
    match outputs(machine).pop() {
        Some(Output::Reply { response: Response::Vote(vote), .. }) => vote.granted,
        other => panic!("a vote is answered, not {other:?}"),
    }
}

/// Follows node 1 in epoch 1; returns the number of the fetch that is under way.
fn follower(log: &Log) -> (Machine, u32) {
    let mut machine = machine(0, &[0, 1, 2], log);
    let begin = BeginQuorumEpochRequest { epoch: LeaderEpoch(1), leader: BrokerId(1), voter: key(0) };
    machine.handle_begin_quorum_epoch(ReplyTo(0), &begin, &moment(log, 0));
    let fetch = outputs(&mut machine).into_iter().find_map(|output| match output {
        Output::Send { request: Request::Fetch(fetch), .. } => Some(fetch.request_id),
        _ => None,
    });
    (machine, fetch.expect("a follower fetches"))
}

fn sole_leader(log: &mut Log) -> Machine {
    let mut machine = sole_leader_of(voters(&[0]), log);
    log.end = 2;
    machine.handle_voters_appended(Offset(1), voters(&[0]), &moment(log, 60_000));
    machine.handle_flushed(Offset(2), &moment(log, 60_000));
    outputs(&mut machine);
    machine
}

/// A leader of epoch 1 by this set, whose LeaderChange record is committed.
fn sole_leader_of(voters: Voters, log: &mut Log) -> Machine {
    let history = VoterHistory::new(Offset::ZERO, voters);
    let (settings, saved) = (Settings::default(), ElectionState::default());
    let mut machine = Machine::new(settings, key(0), saved, history, Offset::ZERO, &moment(log, 0));
    machine.handle_timeout(&moment(log, 60_000));
    let saved = machine.election();
    machine.handle_election_saved(&saved, &moment(log, 60_000));
    outputs(&mut machine);
    log.epochs.assign(LeaderEpoch(1), Offset::ZERO);
    log.end = 1;
    machine.handle_flushed(Offset(1), &moment(log, 60_000));
    outputs(&mut machine);
    machine
}

#[test]
fn timeouts_are_those_of_kafka() {
    let settings = Settings::default();
    assert_eq!(settings.election_timeout, Duration::from_millis(1000));
    assert_eq!(settings.fetch_timeout, Duration::from_millis(2000));
    assert_eq!(settings.check_quorum_timeout(), Duration::from_millis(3000));
}

#[test]
fn a_vote_is_to_be_saved_before_it_is_answered() {
    let log = Log::default();
    let mut machine = machine(0, &[0, 1, 2], &log);
    machine.handle_vote(ReplyTo(7), &vote(1, 1, 0), &moment(&log, 0));
    let outputs = outputs(&mut machine);
    let Some(Output::SaveElection(state)) = outputs.iter().rev().nth(1) else { panic!("{outputs:?}") };
    assert_eq!(state.voted, Some(key(1)));
    assert!(matches!(outputs.last(), Some(Output::Reply { to: ReplyTo(7), .. })));
}

#[test]
fn an_epoch_that_has_no_next_one_is_not_believed() {
    let log = Log::default();
    let mut machine = machine(0, &[0, 1, 2], &log);
    assert_eq!(granted(&mut machine, &vote(i32::MAX, 1, 0), &log), Err(Refusal::InvalidRequest));
    let standing = Standing { epoch: LeaderEpoch(i32::MAX), leader: Some(BrokerId(1)) };
    machine.handle_epoch_response(&EpochResponse { standing, refusal: None }, &moment(&log, 0));
    assert_eq!(machine.election().epoch, LeaderEpoch(0));
}

#[test]
fn one_message_does_not_use_up_the_epochs() {
    // KIP-595: epochs only rise, so an absurd one would be the last in which anybody is elected.
    let log = Log::default();
    let leap = 1 << 20;
    for epoch in [leap + 1, i32::MAX - 1] {
        let mut machine = machine(0, &[0, 1, 2], &log);
        let (epoch, leader) = (LeaderEpoch(epoch), BrokerId(1));
        assert_eq!(granted(&mut machine, &vote(epoch.0, 1, 0), &log), Err(Refusal::InvalidRequest));
        let standing = Standing { epoch, leader: Some(leader) };
        machine.handle_epoch_response(&EpochResponse { standing, refusal: None }, &moment(&log, 0));
        let begin = BeginQuorumEpochRequest { epoch, leader, voter: key(0) };
        machine.handle_begin_quorum_epoch(ReplyTo(0), &begin, &moment(&log, 0));
        let end = EndQuorumEpochRequest { epoch, leader, successors: vec![key(0)] };
        machine.handle_end_quorum_epoch(ReplyTo(0), &end, &moment(&log, 0));
        let refusals: Vec<_> = outputs(&mut machine)
            .iter()
            .map(|output| match output {
                Output::Reply { response: Response::Epoch(response), .. } => response.refusal,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(refusals, [Some(Refusal::InvalidRequest); 2]);
        assert_eq!(machine.election().epoch, LeaderEpoch(0));
    }
    let mut machine = machine(0, &[0, 1, 2], &log);
    assert_eq!(granted(&mut machine, &vote(leap, 1, 0), &log), Ok(true), "so far it may have slept");
}

#[test]
fn a_replica_that_needs_an_epoch_after_the_last_one_stops_instead_of_counting_over() {
    // KIP-595: as a candidate, and as the sole voter that led the last epoch before it restarted.
    let log = Log::default();
    for (epoch, leader) in
        [(i32::MAX - 1, None), (i32::MAX - 1, Some(BrokerId(0))), (i32::MAX, Some(BrokerId(0)))]
    {
        let saved = ElectionState { epoch: LeaderEpoch(epoch), leader, voted: None };
        let history = VoterHistory::new(Offset::ZERO, voters(&[0]));
        let mut machine =
            Machine::new(Settings::default(), key(0), saved, history, Offset::ZERO, &moment(&log, 0));
        machine.handle_timeout(&moment(&log, 60_000));
        let fatal = Fatal::NoNextEpoch { epoch: LeaderEpoch(epoch) };
        assert_eq!(outputs(&mut machine), [Output::Fatal(fatal)]);
        assert_eq!((machine.next_deadline(), machine.election()), (None, saved));
    }
}

#[test]
fn votes_that_make_no_sense_are_refused() {
    let log = Log::default();
    let mut machine = machine(0, &[0, 1, 2], &log);
    assert_eq!(granted(&mut machine, &vote(1, 0, 0), &log), Err(Refusal::InvalidRequest), "its own");
    let ahead = VoteRequest { log_end: LogEnd { epoch: LeaderEpoch(1), offset: Offset(5) }, ..vote(1, 1, 0) };
    assert_eq!(
        granted(&mut machine, &ahead, &log),
        Err(Refusal::InvalidRequest),
        "its log is of the epoch it wants"
    );
    assert_eq!(
        granted(&mut machine, &vote(1, 1, 2), &log),
        Err(Refusal::InvalidVoterKey),
        "for another directory"
    );
    assert_eq!(granted(&mut machine, &vote(1, 1, 0), &log), Ok(true));
    assert_eq!(granted(&mut machine, &vote(1, 2, 0), &log), Ok(false), "the vote is given");
    assert_eq!(granted(&mut machine, &vote(0, 2, 0), &log), Err(Refusal::FencedLeaderEpoch));
}

#[test]
fn nobody_votes_for_or_follows_an_id_that_no_node_has_and_would_forget_it_with_a_restart() {
    let log = Log::default();
    for id in [-1, -2, i32::MIN] {
        let mut machine = machine(0, &[0, 1, 2], &log);
        let before = machine.election();
        let nobody = BrokerId(id);
        let candidate = ReplicaKey { id: nobody, directory: Uuid::ZERO };
        let asks = VoteRequest { candidate, ..vote(1, 1, 0) };
        assert_eq!(granted(&mut machine, &asks, &log), Err(Refusal::InvalidRequest));
        let (epoch, leader) = (LeaderEpoch(1), nobody);
        let begin = BeginQuorumEpochRequest { epoch, leader, voter: key(0) };
        machine.handle_begin_quorum_epoch(ReplyTo(0), &begin, &moment(&log, 0));
        let end = EndQuorumEpochRequest { epoch, leader, successors: vec![key(0)] };
        machine.handle_end_quorum_epoch(ReplyTo(0), &end, &moment(&log, 0));
        for output in outputs(&mut machine) {
            let Output::Reply { response: Response::Epoch(response), .. } = output else {
                panic!("{output:?}")
            };
            assert_eq!(response.refusal, Some(Refusal::InvalidRequest));
        }
        assert_eq!(machine.election(), before);
        let standing = Standing { epoch, leader: Some(nobody) };
        machine.handle_epoch_response(&EpochResponse { standing, refusal: None }, &moment(&log, 0));
        assert_eq!(machine.election().leader, None, "the epoch may be true, its leader is not");
    }
    for log_end in [(-1, 0), (0, -1)] {
        let mut machine = machine(0, &[0, 1, 2], &log);
        let log_end = LogEnd { epoch: LeaderEpoch(log_end.0), offset: Offset(log_end.1) };
        let asks = VoteRequest { log_end, ..vote(1, 1, 0) };
        assert_eq!(granted(&mut machine, &asks, &log), Err(Refusal::InvalidRequest));
    }
}

/// Follows node 1 and has just fetched the last piece of a snapshot, which gets to the disk now.
fn installing(log: &Log) -> (Machine, SnapshotId) {
    let (mut machine, request_id) = follower(log);
    let standing = Standing { epoch: LeaderEpoch(1), leader: Some(BrokerId(1)) };
    let id = SnapshotId { end: Offset(5), epoch: LeaderEpoch(1) };
    let fetched = Fetched::Snapshot(id);
    let response = FetchResponse { request_id, standing, high_watermark: Offset(5), fetched };
    machine.handle_fetch_response(BrokerId(1), &response, &moment(log, 1));
    let chunk = Ok(SnapshotChunk { snapshot: id, position: 0, length: 30, size: 30 });
    let response = FetchSnapshotResponse { request_id: request_id + 1, standing, chunk };
    machine.handle_fetch_snapshot_response(BrokerId(1), &response, &moment(log, 2));
    assert_eq!(outputs(&mut machine).last(), Some(&Output::InstallSnapshot(id)));
    (machine, id)
}

#[test]
fn who_installs_a_snapshot_stands_for_no_election_before_it_knows_the_voters_in_it() {
    // KIP-630, KIP-853: the set in the snapshot counts, and the log that would stand is about to be replaced.
    let mut log = Log::default();
    let (mut machine, id) = installing(&log);
    for ms in (5_000..60_000).step_by(5_000) {
        machine.handle_timeout(&moment(&log, ms));
        assert_eq!(outputs(&mut machine), [], "neither a pre-vote nor a fetch after {ms} ms");
    }
    (log.start, log.end, log.snapshot) = (5, 5, Some(id));
    machine.handle_snapshot_installed(id, Some(voters(&[0, 3, 4])), &moment(&log, 60_000));
    machine.handle_timeout(&moment(&log, 65_000));
    let asked: Vec<i32> = outputs(&mut machine)
        .iter()
        .filter_map(|output| match output {
            Output::Send { to, request: Request::Vote(vote) } if vote.pre_vote => Some(to.0),
            _ => None,
        })
        .collect();
    assert_eq!(asked, [3, 4], "the voters of the snapshot are asked");
}

#[test]
fn votes_of_nodes_that_are_voters_no_more_elect_nobody() {
    // KIP-853: a majority is one of the set that counts when the votes are counted.
    let mut log = Log::default();
    let mut machine = machine(0, &[0, 1, 2, 3, 4], &log);
    let answer = |machine: &mut Machine, from, epoch, pre_vote, log: &Log| {
        let standing = Standing { epoch: LeaderEpoch(epoch), leader: None };
        let response = VoteResponse { standing, granted: Ok(true), pre_vote };
        machine.handle_vote_response(BrokerId(from), &response, &moment(log, 60_000));
    };
    machine.handle_timeout(&moment(&log, 60_000));
    answer(&mut machine, 1, 0, true, &log);
    answer(&mut machine, 2, 0, true, &log);
    assert_eq!(machine.role(), RoleName::Candidate);
    answer(&mut machine, 1, 1, false, &log);
    let id = SnapshotId { end: Offset(5), epoch: LeaderEpoch(1) };
    (log.start, log.end, log.snapshot) = (5, 5, Some(id));
    machine.handle_snapshot_installed(id, Some(voters(&[0, 3, 4])), &moment(&log, 60_000));
    let saved = machine.election();
    machine.handle_election_saved(&saved, &moment(&log, 60_000));
    assert_eq!(machine.role(), RoleName::Candidate, "node 1 granted its vote and left");
    answer(&mut machine, 3, 1, false, &log);
    assert_eq!(machine.role(), RoleName::Leader);
}

#[test]
fn an_answer_to_an_older_fetch_is_not_appended() {
    let log = Log::default();
    let (mut machine, request_id) = follower(&log);
    let standing = Standing { epoch: LeaderEpoch(1), leader: Some(BrokerId(1)) };
    let fetched = Fetched::Records(LogEnd { epoch: LeaderEpoch(1), offset: Offset(3) });
    let response = FetchResponse { request_id, standing, high_watermark: Offset(9), fetched };
    let stale = FetchResponse { request_id: request_id - 1, ..response };
    machine.handle_fetch_response(BrokerId(1), &stale, &moment(&log, 1));
    machine.handle_fetch_response(BrokerId(2), &response, &moment(&log, 1));
    assert_eq!(outputs(&mut machine), []);
    machine.handle_fetch_response(BrokerId(1), &response, &moment(&log, 1));
    // The leader's high watermark counts as far as the records that came with it.
    assert_eq!(outputs(&mut machine), [Output::AppendFetched(request_id), Output::HighWatermark(Offset(3))]);
    machine.handle_fetch_response(BrokerId(1), &response, &moment(&log, 1));
    assert_eq!(outputs(&mut machine), [], "a response counts once");
}

#[test]
fn two_leaders_in_one_epoch_stop_whoever_hears_of_both() {
    let log = Log::default();
    let (mut machine, _) = follower(&log);
    let begin = BeginQuorumEpochRequest { epoch: LeaderEpoch(1), leader: BrokerId(2), voter: key(0) };
    machine.handle_begin_quorum_epoch(ReplyTo(0), &begin, &moment(&log, 0));
    assert!(
        outputs(&mut machine).iter().any(|output| matches!(output, Output::Fatal(Fatal::TwoLeaders { .. })))
    );
    assert_eq!(machine.next_deadline(), None);
}

#[test]
fn a_fetch_of_another_epoch_is_refused() {
    let mut log = Log::default();
    let mut machine = sole_leader(&mut log);
    for (epoch, refusal) in [(0, Refusal::FencedLeaderEpoch), (2, Refusal::UnknownLeaderEpoch)] {
        let request = FetchRequest {
            request_id: 1,
            epoch: LeaderEpoch(epoch),
            replica: key(1),
            log_end: LogEnd::default(),
            high_watermark: Offset::ZERO,
        };
        machine.handle_fetch(ReplyTo(0), &request, &moment(&log, 60_001));
        let outputs = outputs(&mut machine);
        let [Output::Reply { response: Response::Fetch(response), .. }] = &outputs[..] else {
            panic!("{outputs:?}")
        };
        assert_eq!(response.fetched, Fetched::Refused(refusal));
    }
}

#[test]
fn a_piece_of_a_snapshot_is_given_within_its_bounds_only() {
    let mut log = Log::default();
    let mut machine = sole_leader(&mut log);
    let id = SnapshotId { end: Offset(2), epoch: LeaderEpoch(1) };
    log.snapshot = Some(id);
    let other = SnapshotId { end: Offset(1), ..id };
    for (snapshot, position, expected) in [
        (id, 10, Ok(20)),
        (id, 30, Err(Refusal::PositionOutOfRange)),
        (id, u64::MAX, Err(Refusal::PositionOutOfRange)),
        (other, 0, Err(Refusal::SnapshotNotFound)),
    ] {
        let (request_id, epoch) = (1, LeaderEpoch(1));
        let request = FetchSnapshotRequest { request_id, epoch, replica: key(1), snapshot, position };
        machine.handle_fetch_snapshot(ReplyTo(0), &request, &moment(&log, 60_001));
        let given = match outputs(&mut machine).pop() {
            Some(Output::ReadSnapshot { chunk, .. }) => Ok(chunk.length),
            Some(Output::Reply { response: Response::FetchSnapshot(response), .. }) => {
                response.chunk.map(|chunk| chunk.length)
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(given, expected);
    }
}

#[test]
fn a_voters_endpoints_can_change_and_its_directory_cannot() {
    let mut log = Log::default();
    let mut machine = sole_leader(&mut log);
    let endpoint = Endpoint { listener: "CONTROLLER".into(), host: "a".into(), port: 9093 };
    let moved = Voter { key: key(0), endpoints: vec![endpoint] };
    assert_eq!(machine.update_voter(&moved), Ok(()));
    assert_eq!(outputs(&mut machine), [Output::AppendVoters(Voters::new(vec![moved.clone()]))]);
    let elsewhere = Voter { key: ReplicaKey { directory: Uuid([9; 16]), ..key(0) }, ..moved };
    assert_eq!(machine.update_voter(&elsewhere), Err(VoterChangeRefusal::VoterNotFound));
    assert_eq!(machine.remove_voter(key(0)), Err(VoterChangeRefusal::VoterNotFound), "the last one stays");
    assert_eq!(machine.add_voter(elsewhere, &moment(&log, 60_001)), Err(VoterChangeRefusal::DuplicateVoter));
}

#[test]
fn static_voters_are_changed_by_nobody_but_the_configuration() {
    let ids = [BrokerId(0), BrokerId(1)];
    assert!(Voters::of_ids(&ids).is_static());
    assert!(Voters::of_ids(&ids).contains(key(1)), "an unknown directory matches any");
    assert!(!voters(&[0, 1]).is_static());
    let mut log = Log::default();
    let mut machine = sole_leader_of(Voters::of_ids(&ids[..1]), &mut log);
    let voter = Voter { key: key(1), endpoints: Vec::new() };
    assert_eq!(
        machine.add_voter(voter.clone(), &moment(&log, 60_001)),
        Err(VoterChangeRefusal::StaticVoters)
    );
    assert_eq!(machine.remove_voter(key(0)), Err(VoterChangeRefusal::StaticVoters));
    assert_eq!(machine.update_voter(&voter), Err(VoterChangeRefusal::StaticVoters));
}

#[test]
fn a_snapshot_is_named_after_the_first_offset_that_is_not_in_it() {
    // KAFKA-14618; and only what is committed gets into it (KIP-630).
    let mut log = Log::default();
    let machine = sole_leader(&mut log);
    let named = |end| machine.snapshot_id(Offset(end), &moment(&log, 60_001));
    assert_eq!(named(2), Ok(SnapshotId { end: Offset(2), epoch: LeaderEpoch(1) }));
    assert_eq!(named(3), Err(SnapshotRefusal::NotCommitted(Offset(3))));
    assert_eq!(named(0), Err(SnapshotRefusal::Exists(Offset(0))));
}

#[test]
#[should_panic(expected = "after the last snapshot at 0")]
fn a_log_whose_head_went_without_a_snapshot_stops_the_machine() {
    // KAFKA-14240: nobody could be told any more what was there.
    let mut log = Log::default();
    let mut machine = sole_leader(&mut log);
    log.start = 1;
    machine.handle_log_start_moved(&moment(&log, 60_001));
}

#[test]
fn the_leader_knows_of_each_replica_what_describe_quorum_shows() {
    let mut log = Log::default();
    let mut machine = sole_leader(&mut log);
    let fetch = |offset| FetchRequest {
        request_id: 1,
        epoch: LeaderEpoch(1),
        replica: key(7),
        log_end: LogEnd { epoch: LeaderEpoch(i32::from(offset > 0)), offset: Offset(offset) },
        high_watermark: Offset::ZERO,
    };
    machine.handle_fetch(ReplyTo(0), &fetch(0), &moment(&log, 60_001));
    machine.handle_fetch(ReplyTo(0), &fetch(2), &moment(&log, 60_002));
    machine.handle_fetch(ReplyTo(0), &fetch(1), &moment(&log, 60_003));
    let replicas = machine.progress().replicas();
    let of = |id| replicas.iter().find(|replica| replica.key == key(id)).expect("it was heard of");
    assert!(of(0).is_voter && !of(7).is_voter);
    assert_eq!((of(0).log_end, of(7).log_end), (Some(Offset(2)), Some(Offset(1))));
    assert_eq!(of(7).last_fetch, Some(moment(&log, 60_003).now));
    assert_eq!(of(7).last_caught_up, Some(moment(&log, 60_002).now));
}

#[test]
fn a_cut_brings_back_the_voters_before() {
    let mut history = VoterHistory::new(Offset::ZERO, voters(&[0]));
    history.append(Offset(5), voters(&[0, 1]));
    history.append(Offset(9), voters(&[0, 1, 2]));
    assert_eq!(history.at(Offset(9)), &voters(&[0, 1]));
    assert!(!history.truncate(Offset(10)));
    assert!(history.truncate(Offset(9)));
    assert_eq!(history.latest(), &voters(&[0, 1]));
    assert!(history.truncate(Offset(0)));
    assert_eq!(history.latest(), &voters(&[0]));
    history.append(Offset(3), voters(&[0, 3]));
    history.truncate_from_start(Offset(4));
    assert_eq!((history.latest_offset(), history.latest().len()), (Offset(3), 2));
}
