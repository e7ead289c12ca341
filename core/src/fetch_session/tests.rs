//! One test per sentence of KIP-227, and of the bounds that we add.

use super::*;
use crate::ids::{LeaderEpoch, Offset, Uuid};

const EVICTION: Duration = Duration::from_secs(120);

fn at(seconds: u64) -> Instant {
    Instant(seconds * 1_000_000_000)
}

fn sessions(sessions_max: usize, partitions_max: usize) -> FetchSessions {
    FetchSessions::new(Settings { sessions_max, eviction: EVICTION, partitions_max, shard: (0, 1) })
}

fn asked(partition: i32, fetch_offset: i64) -> FetchPartition {
    FetchPartition {
        topic: FetchTopic::Name("t".into()),
        partition,
        current_leader_epoch: LeaderEpoch::NONE,
        fetch_offset: Offset(fetch_offset),
        bytes_max: 1000,
    }
}

fn quiet(high_watermark: i64) -> Answer {
    Answer {
        high_watermark: Offset(high_watermark),
        log_start: Offset(0),
        has_records: false,
        is_exceptional: false,
    }
}

fn records(high_watermark: i64) -> Answer {
    Answer { has_records: true, ..quiet(high_watermark) }
}

fn error() -> Answer {
    Answer { high_watermark: Offset(-1), log_start: Offset(-1), has_records: false, is_exceptional: true }
}

fn full(count: i32) -> Request {
    Request { partitions: (0..count).map(|partition| asked(partition, 0)).collect(), ..Request::default() }
}

fn incremental(session_id: i32, epoch: i32) -> Request {
    Request { session_id, epoch, ..Request::default() }
}

/// Opens a session of `count` partitions whose high watermark is 10 each.
fn open(cache: &mut FetchSessions, count: i32, now: Instant) -> i32 {
    open_as(cache, full(count), now)
}

fn open_as(cache: &mut FetchSessions, request: Request, now: Instant) -> i32 {
    let (context, partitions) = cache.begin(request, now).unwrap();
    let answers = vec![quiet(10); partitions.len()];
    cache.complete(&context, (&partitions, &answers), now, now.0).unwrap().session_id
}

/// One incremental round; returns the numbers of the partitions in the answer, in order.
fn round(cache: &mut FetchSessions, request: Request, answer: impl Fn(i32) -> Answer) -> Vec<i32> {
    let (context, partitions) = cache.begin(request, at(1)).unwrap();
    let answers: Vec<_> = partitions.iter().map(|asked| answer(asked.partition)).collect();
    let completed = cache.complete(&context, (&partitions, &answers), at(1), 0).unwrap();
    let include = completed.include.unwrap_or_else(|| vec![true; partitions.len()]);
    partitions.iter().zip(include).filter(|(_, include)| *include).map(|(asked, _)| asked.partition).collect()
}

#[test]
fn a_request_of_final_epoch_gets_no_session() {
    let mut cache = sessions(10, 100);
    let id = open_as(&mut cache, Request { epoch: FINAL_EPOCH, ..full(1) }, at(0));
    assert_eq!((id, cache.len()), (NO_SESSION, 0));
}

#[test]
fn a_request_of_initial_epoch_opens_a_session_and_is_answered_in_full() {
    let mut cache = sessions(10, 100);
    let (context, partitions) = cache.begin(full(3), at(0)).unwrap();
    assert_eq!(partitions.len(), 3);
    let completed =
        cache.complete(&context, (&partitions, &[quiet(0), error(), records(5)]), at(0), 7).unwrap();
    assert_eq!(completed, Completed { session_id: 8, include: None });
    assert_eq!((cache.len(), cache.partitions()), (1, 3));
}

#[test]
fn a_session_is_not_opened_for_no_partitions() {
    let mut cache = sessions(10, 100);
    assert_eq!(open(&mut cache, 0, at(0)), NO_SESSION);
}

#[test]
fn an_id_that_is_taken_is_not_given_twice() {
    let mut cache = sessions(10, 100);
    let first = open(&mut cache, 1, at(0));
    let second = open(&mut cache, 1, at(0));
    assert_ne!(first, second);
    assert!(first > 0 && second > 0);
}

#[test]
fn the_epoch_of_a_new_session_is_1_and_rises_with_each_request() {
    let mut cache = sessions(10, 100);
    let id = open(&mut cache, 1, at(0));
    for epoch in 1..5 {
        round(&mut cache, incremental(id, epoch), |_| quiet(10));
    }
    assert_eq!(cache.begin(incremental(id, 4), at(0)).unwrap_err(), SessionError::InvalidEpoch);
}

#[test]
fn the_epoch_wraps_to_1() {
    assert_eq!(next_epoch(i32::MAX), 1);
    assert_eq!(next_epoch(FINAL_EPOCH), FINAL_EPOCH);
}

#[test]
fn a_repeated_or_skipped_epoch_is_refused_and_the_session_stays() {
    let mut cache = sessions(10, 100);
    let id = open(&mut cache, 1, at(0));
    assert_eq!(cache.begin(incremental(id, 2), at(0)).unwrap_err(), SessionError::InvalidEpoch);
    assert_eq!(round(&mut cache, incremental(id, 1), |_| records(11)), [0]);
    assert_eq!(
        cache.begin(incremental(id, 1), at(0)).unwrap_err().code(),
        ErrorCode::InvalidFetchSessionEpoch
    );
}

#[test]
fn a_guessed_session_is_not_found() {
    let mut cache = sessions(10, 100);
    let error = cache.begin(incremental(4711, 1), at(0)).unwrap_err();
    assert_eq!(error.code(), ErrorCode::FetchSessionIdNotFound);
    assert_eq!(cache.begin(incremental(-5, 1), at(0)).unwrap_err(), SessionError::NotFound);
}

#[test]
fn a_session_opened_by_names_is_not_continued_by_ids() {
    let mut cache = sessions(10, 100);
    let id = open(&mut cache, 1, at(0));
    let by_id = Request { by_topic_id: true, ..incremental(id, 1) };
    assert_eq!(cache.begin(by_id, at(0)).unwrap_err().code(), ErrorCode::FetchSessionTopicIdError);
}

#[test]
fn topics_named_by_id_make_a_session_too() {
    let mut cache = sessions(10, 100);
    let topic = FetchTopic::Id(Uuid([7; 16]));
    let partitions = vec![FetchPartition { topic: topic.clone(), ..asked(0, 0) }];
    let id = open_as(&mut cache, Request { by_topic_id: true, partitions, ..Request::default() }, at(0));
    let (_, partitions) = cache.begin(Request { by_topic_id: true, ..incremental(id, 1) }, at(0)).unwrap();
    assert_eq!(partitions[0].topic, topic);
}

#[test]
fn the_final_epoch_closes_the_session_and_answers_what_is_asked_beside_it() {
    let mut cache = sessions(10, 100);
    let id = open(&mut cache, 2, at(0));
    let last = Request { session_id: id, epoch: FINAL_EPOCH, ..full(1) };
    let (context, partitions) = cache.begin(last, at(0)).unwrap();
    assert_eq!((context, partitions.len()), (Context::Sessionless, 1));
    assert_eq!((cache.len(), cache.partitions()), (0, 0));
}

#[test]
fn the_initial_epoch_with_an_id_replaces_that_session() {
    let mut cache = sessions(10, 100);
    let id = open(&mut cache, 2, at(0));
    let again = open_as(&mut cache, Request { session_id: id, ..full(1) }, at(1));
    assert_ne!(again, NO_SESSION);
    assert_eq!((cache.len(), cache.partitions()), (1, 1));
}

#[test]
fn an_incremental_answer_holds_only_what_changed() {
    let mut cache = sessions(10, 100);
    let id = open(&mut cache, 4, at(0));
    let answer = |partition| match partition {
        1 => records(10),
        2 => quiet(11),
        3 => error(),
        _ => quiet(10),
    };
    assert_eq!(round(&mut cache, incremental(id, 1), answer), [1, 2, 3]);
}

#[test]
fn a_changed_log_start_is_told() {
    let mut cache = sessions(10, 100);
    let id = open(&mut cache, 2, at(0));
    let answer = |partition: i32| Answer { log_start: Offset(partition.into()), ..quiet(10) };
    assert_eq!(round(&mut cache, incremental(id, 1), answer), [1]);
    assert_eq!(round(&mut cache, incremental(id, 2), answer), [0; 0]);
}

#[test]
fn after_an_error_the_next_answer_holds_the_partition_even_unchanged() {
    let mut cache = sessions(10, 100);
    let id = open(&mut cache, 1, at(0));
    assert_eq!(round(&mut cache, incremental(id, 1), |_| error()), [0]);
    assert_eq!(round(&mut cache, incremental(id, 2), |_| quiet(10)), [0]);
    assert_eq!(round(&mut cache, incremental(id, 3), |_| quiet(10)), [0; 0]);
}

#[test]
fn an_added_partition_is_in_the_first_answer_even_when_it_is_empty() {
    let mut cache = sessions(10, 100);
    let id = open(&mut cache, 1, at(0));
    let add = Request { partitions: vec![asked(7, 0)], ..incremental(id, 1) };
    assert_eq!(round(&mut cache, add, |_| quiet(10)), [7]);
    assert_eq!(cache.partitions(), 2);
}

#[test]
fn a_changed_fetch_offset_is_remembered() {
    let mut cache = sessions(10, 100);
    let id = open(&mut cache, 2, at(0));
    round(&mut cache, Request { partitions: vec![asked(1, 500)], ..incremental(id, 1) }, |_| quiet(10));
    let (_, partitions) = cache.begin(incremental(id, 2), at(0)).unwrap();
    assert_eq!(partitions.iter().map(|asked| asked.fetch_offset.0).collect::<Vec<_>>(), [0, 500]);
}

#[test]
fn a_forgotten_partition_is_not_read_again() {
    let mut cache = sessions(10, 100);
    let id = open(&mut cache, 3, at(0));
    let forget = Request { forgotten: vec![(FetchTopic::Name("t".into()), 1)], ..incremental(id, 1) };
    assert_eq!(round(&mut cache, forget, |_| records(11)), [0, 2]);
    assert_eq!(cache.partitions(), 2);
}

#[test]
fn a_session_that_forgot_all_its_partitions_is_closed() {
    let mut cache = sessions(10, 100);
    let id = open(&mut cache, 1, at(0));
    let forget = Request { forgotten: vec![(FetchTopic::Name("t".into()), 0)], ..incremental(id, 1) };
    assert_eq!(cache.begin(forget, at(0)).unwrap(), (Context::Sessionless, Vec::new()));
    assert!(cache.is_empty());
}

#[test]
fn who_gave_records_is_read_last_next_time() {
    let mut cache = sessions(10, 100);
    let id = open(&mut cache, 3, at(0));
    let answer = |partition| if partition == 0 { records(11) } else { quiet(10) };
    round(&mut cache, incremental(id, 1), answer);
    let (_, partitions) = cache.begin(incremental(id, 2), at(0)).unwrap();
    assert_eq!(partitions.iter().map(|asked| asked.partition).collect::<Vec<_>>(), [1, 2, 0]);
}

#[test]
fn an_answer_overtaken_by_another_request_of_its_session_is_refused() {
    let mut cache = sessions(10, 100);
    let id = open(&mut cache, 1, at(0));
    let (context, partitions) = cache.begin(incremental(id, 1), at(0)).unwrap();
    cache.begin(incremental(id, 2), at(0)).unwrap();
    let late = cache.complete(&context, (&partitions, &[quiet(10)]), at(0), 0);
    assert_eq!(late, Err(SessionError::InvalidEpoch));
    cache.begin(Request { session_id: id, epoch: FINAL_EPOCH, ..Request::default() }, at(0)).unwrap();
    let late = cache.complete(&context, (&partitions, &[quiet(10)]), at(0), 0);
    assert_eq!(late, Err(SessionError::NotFound));
}

#[test]
fn a_full_cache_gives_no_session_while_all_are_young() {
    let mut cache = sessions(2, 100);
    open(&mut cache, 1, at(0));
    open(&mut cache, 1, at(0));
    assert_eq!(open(&mut cache, 50, at(60)), NO_SESSION);
    assert_eq!(cache.len(), 2);
}

#[test]
fn an_idle_session_makes_room_for_any_other() {
    let mut cache = sessions(2, 100);
    let idle = open(&mut cache, 50, at(0));
    let busy = open(&mut cache, 1, at(100));
    assert_ne!(open(&mut cache, 1, at(121)), NO_SESSION);
    assert_eq!(cache.begin(incremental(idle, 1), at(121)).unwrap_err(), SessionError::NotFound);
    assert!(cache.begin(incremental(busy, 1), at(121)).is_ok());
}

#[test]
fn an_old_session_in_use_makes_room_only_for_one_as_large() {
    let mut cache = sessions(1, 100);
    let old = open(&mut cache, 5, at(0));
    cache.begin(incremental(old, 1), at(119)).unwrap();
    cache.begin(incremental(old, 2), at(130)).unwrap();
    assert_eq!(open(&mut cache, 4, at(131)), NO_SESSION);
    assert_ne!(open(&mut cache, 5, at(131)), NO_SESSION);
    assert_eq!(cache.begin(incremental(old, 3), at(131)).unwrap_err(), SessionError::NotFound);
}

#[test]
fn a_followers_session_gives_way_only_to_a_follower() {
    let mut cache = sessions(1, 100);
    let privileged = Request { privileged: true, ..full(1) };
    let follower = open_as(&mut cache, privileged.clone(), at(0));
    cache.begin(incremental(follower, 1), at(119)).unwrap();
    cache.begin(incremental(follower, 2), at(130)).unwrap();
    assert_eq!(open(&mut cache, 50, at(131)), NO_SESSION);
    assert_ne!(open_as(&mut cache, privileged, at(131)), NO_SESSION);
}

/// Item 24 of the hostile inputs; limit: `sessions_max` sessions.
#[test]
fn a_client_that_opens_sessions_without_end_costs_a_bounded_cache() {
    let mut cache = sessions(100, 1000);
    for second in 0..10_000 {
        open(&mut cache, 3, at(second));
        assert!(cache.len() <= 100);
        assert!(cache.partitions() <= 1000);
    }
    assert_eq!(cache.last_used.len(), cache.len());
    assert!(cache.evictable_by_all.len() <= cache.len());
}

/// Limit: `partitions_max` partitions in sum.
#[test]
fn a_session_larger_than_the_cache_is_not_opened_and_evicts_nobody() {
    let mut cache = sessions(10, 100);
    open(&mut cache, 1, at(0));
    assert_eq!(open(&mut cache, 101, at(1000)), NO_SESSION);
    assert_eq!(cache.len(), 1);
}

#[test]
fn a_session_that_grows_beyond_the_cache_is_closed() {
    let mut cache = sessions(10, 100);
    let id = open(&mut cache, 90, at(0));
    let more = Request {
        partitions: (100..111).map(|partition| asked(partition, 0)).collect(),
        ..incremental(id, 1)
    };
    assert_eq!(cache.begin(more, at(0)).unwrap_err(), SessionError::NotFound);
    assert_eq!((cache.len(), cache.partitions()), (0, 0));
}

/// A name may be 32 KiB long on the wire; remembered a hundred thousand times it would be gigabytes.
#[test]
fn a_name_that_no_topic_can_have_is_answered_without_a_session() {
    let mut cache = sessions(10, 100);
    let named =
        |len: usize| FetchPartition { topic: FetchTopic::Name("x".repeat(len).into()), ..asked(0, 0) };
    let full = Request { partitions: vec![asked(0, 0), named(250)], ..Request::default() };
    assert_eq!(open_as(&mut cache, full, at(0)), NO_SESSION);
    assert_eq!(cache.partitions(), 0);
    let full = Request { partitions: vec![named(249)], ..Request::default() };
    let id = open_as(&mut cache, full, at(0));
    assert_ne!(id, NO_SESSION);
    let added = Request { partitions: vec![named(250)], ..incremental(id, 1) };
    assert_eq!(cache.begin(added, at(0)).unwrap_err(), SessionError::NotFound);
    assert!(cache.is_empty(), "the client begins anew, and is then answered without one");
}

#[test]
fn what_is_both_named_and_forgotten_is_forgotten() {
    let mut cache = sessions(10, 100);
    let id = open(&mut cache, 2, at(0));
    let forgotten = vec![(FetchTopic::Name("t".into()), 1)];
    let request = Request { partitions: vec![asked(1, 5)], forgotten, ..incremental(id, 1) };
    let (_, partitions) = cache.begin(request, at(0)).unwrap();
    assert_eq!(partitions.iter().map(|asked| asked.partition).collect::<Vec<_>>(), [0]);
}

#[test]
fn the_ids_of_a_shard_name_it() {
    for random in [0, 1, 7, u64::MAX, i32::MAX as u64, i32::MAX as u64 / 4 - 1] {
        let shard = Settings { sessions_max: 10, shard: (3, 4), ..Settings::default() };
        let mut cache = FetchSessions::new(shard);
        for _ in 0..3 {
            let (context, partitions) = cache.begin(full(1), at(0)).unwrap();
            let completed = cache.complete(&context, (&partitions, &[quiet(0)]), at(0), random).unwrap();
            assert!(completed.session_id > 0 && completed.session_id % 4 == 3, "{completed:?}");
        }
        assert_eq!(cache.len(), 3);
    }
}
