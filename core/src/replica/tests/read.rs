//! 2.3, KIP-392: what consumers may read.

use super::*;

fn bound(script: &Script, isolation: Isolation, open: Option<i64>) -> i64 {
    script.replica.read_bound(isolation, open.map(Offset), &script.log).0
}

#[test]
fn consumers_read_up_to_the_high_watermark_on_every_replica() {
    let mut script = Script::new().lead(1, &[1, 2]);
    script.append(4);
    script.fetch(2, 3);
    assert_eq!(bound(&script, Isolation::ReadUncommitted, None), 3);
    let mut script = Script::with_log(&[1, 1]);
    script.metadata(2, 1, &[1, 2]);
    assert_eq!(bound(&script, Isolation::ReadUncommitted, None), 0);
}

#[test]
fn read_committed_stops_at_the_oldest_open_transaction() {
    let mut script = Script::new().lead(1, &[1, 2]);
    script.append(4);
    script.fetch(2, 3);
    assert_eq!(bound(&script, Isolation::ReadCommitted, Some(1)), 1);
    assert_eq!(bound(&script, Isolation::ReadCommitted, Some(9)), 3);
    assert_eq!(bound(&script, Isolation::ReadCommitted, None), 3);
    assert_eq!(bound(&script, Isolation::ReadUncommitted, Some(1)), 3);
}

#[test]
fn a_new_leader_does_not_tell_the_end_before_its_high_watermark_reached_its_epoch() {
    let mut script = Script::with_log(&[1, 1]).lead(2, &[1, 2]);
    assert_eq!(script.replica.latest_offset(), None);
    script.fetch(2, 2);
    assert_eq!(script.replica.latest_offset(), Some(Offset(2)));
}

#[test]
fn a_consumer_is_sent_to_the_most_caught_up_in_sync_replica_of_its_rack() {
    let mut script = Script::new();
    script.replicas = vec![1, 2, 3, 4];
    let mut script = script.lead(1, &[1, 2, 3]);
    script.append(5);
    script.fetch(2, 4);
    script.fetch(3, 5);
    script.fetch(4, 1);
    let rack = |id: BrokerId| Some(if id == BrokerId(1) { "a".to_owned() } else { "b".to_owned() });
    let preferred = |rack_name: &str, offset: i64| {
        let reader = ReaderFetch { rack: rack_name, fetch_offset: Offset(offset) };
        script.replica.preferred_read_replica(&reader, &rack, &script.log)
    };
    assert_eq!(preferred("b", 3), Some(BrokerId(3)));
    assert_eq!(preferred("a", 3), None, "the leader is as near");
    assert_eq!(preferred("c", 3), None, "nobody is near");
    assert_eq!(preferred("b", 6), None, "nobody has it");
}
