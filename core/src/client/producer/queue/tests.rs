use super::*;
use crate::record::batch::BatchHeader;
use crate::record::builder::BatchBuilder;
use crate::record::compression::Codec;
use crate::time::Timestamp;

const ID: Identity = Identity { id: ProducerId(7), epoch: ProducerEpoch(0) };
const LATER: Instant = Instant(1_000);

type Receiver = oneshot::Receiver<Result<Delivered, SendError>>;

/// A queue and what its senders were told.
struct Fixture {
    queue: PartitionQueue,
    identity: Option<Identity>,
    receivers: Vec<Receiver>,
    now: Instant,
}

fn idempotent() -> Fixture {
    Fixture {
        queue: PartitionQueue::new("t".into(), 0),
        identity: Some(ID),
        receivers: Vec::new(),
        now: Instant(0),
    }
}

fn not_idempotent() -> Fixture {
    Fixture { identity: None, ..idempotent() }
}

impl Fixture {
    /// Pushes batches of so many records, all due at the same time.
    fn push(&mut self, record_counts: &[i32]) -> &mut Self {
        for &count in record_counts {
            let mut builder = BatchBuilder::new(Codec::None);
            for _ in 0..count {
                builder.append(Timestamp(1), None, Some(b"v"), &[]);
            }
            let (sender, receiver) = oneshot::channel();
            self.queue.push(builder.build(), count, LATER, sender);
            self.receivers.push(receiver);
        }
        self
    }

    fn take(&mut self) -> Sendable {
        self.queue.take_sendable(SendRules { now: self.now, max_in_flight: 5, identity: self.identity })
    }

    /// Sends one batch: its number, epoch and sequence.
    fn send(&mut self) -> (u64, i16, i32) {
        match self.take() {
            Sendable::Batch { number, bytes } => {
                let header = BatchHeader::parse(&bytes).expect("a batch");
                (number, header.producer_epoch.0, header.base_sequence)
            }
            other => panic!("nothing to send: {other:?}"),
        }
    }

    fn came(&mut self, number: u64, outcome: Outcome) {
        let mut resolutions: Vec<Resolution> = Vec::new();
        resolutions.extend(self.queue.on_outcome(number, outcome, |_| Instant(0)));
        self.queue.mend(&mut self.identity, &mut resolutions);
        tell(resolutions);
    }

    fn appended(&mut self, number: u64) {
        self.came(number, Outcome::Appended(Delivered { base_offset: Offset(number as i64) }));
    }

    fn refused(&mut self, number: u64, code: ErrorCode) {
        self.came(number, Outcome::Refused(code));
    }

    fn lost(&mut self, number: u64) {
        self.came(number, Outcome::Lost { sent: true, cause: "lost".into() });
    }

    fn expire(&mut self) {
        let mut resolutions = Vec::new();
        self.queue.expire(LATER, &Unsent::TimedOut, &mut resolutions);
        self.queue.mend(&mut self.identity, &mut resolutions);
        tell(resolutions);
    }

    /// What the sender of the n-th batch knows: delivered, not appended, unknown, or nothing yet.
    fn told(&mut self, n: usize) -> &'static str {
        match self.receivers[n - 1].try_recv() {
            Ok(Ok(_)) => "delivered",
            Ok(Err(SendError::NotAppended(_))) => "not appended",
            Ok(Err(SendError::Unknown(_))) => "unknown",
            Err(_) => "nothing",
        }
    }
}

fn tell(resolutions: Vec<Resolution>) {
    for (done, result) in resolutions {
        done.send(result).expect("the test holds all receivers");
    }
}

/// An idempotent fixture whose first batch, of one record, was acknowledged.
fn acknowledged() -> Fixture {
    let mut fixture = idempotent();
    let (first, ..) = fixture.push(&[1]).send();
    fixture.appended(first);
    assert_eq!(fixture.told(1), "delivered");
    fixture
}

#[test]
fn the_first_batch_of_an_identity_goes_alone_and_then_five_may_fly() {
    let mut fixture = idempotent();
    fixture.push(&[1, 2, 3, 1, 1, 1, 1]);
    let (first, ..) = fixture.send();
    assert_eq!(fixture.take(), Sendable::Nothing);
    fixture.appended(first);
    let sequences: Vec<i32> = (0..5).map(|_| fixture.send().2).collect();
    assert_eq!(sequences, [1, 3, 6, 7, 8]);
    assert_eq!(fixture.take(), Sendable::Nothing, "a broker remembers five");
}

#[test]
fn a_repeat_after_an_unknown_outcome_keeps_its_sequence_and_goes_alone() {
    let mut fixture = acknowledged();
    fixture.push(&[1, 1, 1]);
    let sent = [fixture.send(), fixture.send()];
    fixture.lost(sent[0].0);
    fixture.lost(sent[1].0);
    assert_eq!(fixture.send(), sent[0]);
    assert_eq!(fixture.take(), Sendable::Nothing);
    fixture.appended(sent[0].0);
    assert_eq!(fixture.send(), sent[1]);
    assert_eq!(fixture.take(), Sendable::Nothing);
    fixture.appended(sent[1].0);
    assert_eq!(fixture.send(), (4, 0, 3));
    assert_eq!([fixture.told(2), fixture.told(3), fixture.told(4)], ["delivered", "delivered", "nothing"]);
}

#[test]
fn sequences_wrap_to_zero() {
    let mut fixture = acknowledged();
    fixture.queue.next_sequence = i32::MAX;
    fixture.push(&[2, 1]);
    assert_eq!(fixture.send().2, i32::MAX);
    assert_eq!(fixture.send().2, 1);
}

#[test]
fn refusals_before_the_append_are_definite_and_the_rest_goes_on_in_a_new_epoch() {
    let mut fixture = acknowledged();
    fixture.push(&[1, 1]);
    let (large, next) = (fixture.send().0, fixture.send().0);
    fixture.refused(large, ErrorCode::MessageTooLarge);
    assert_eq!(fixture.told(2), "not appended");
    assert_eq!(fixture.take(), Sendable::Nothing, "one is still in flight");
    fixture.refused(next, ErrorCode::OutOfOrderSequenceNumber);
    assert_eq!(fixture.send(), (next, 1, 0), "the gap is left behind with the epoch");
    fixture.appended(next);
    assert_eq!(fixture.told(3), "delivered");
}

#[test]
fn an_error_of_sequence_behind_a_repeat_is_only_its_consequence() {
    let mut fixture = acknowledged();
    fixture.push(&[1, 1]);
    let sent = [fixture.send(), fixture.send()];
    fixture.refused(sent[0].0, ErrorCode::NotEnoughReplicas);
    fixture.refused(sent[1].0, ErrorCode::OutOfOrderSequenceNumber);
    assert_eq!(fixture.send(), sent[0], "the epoch stays");
    fixture.appended(sent[0].0);
    assert_eq!(fixture.send(), sent[1]);
}

#[test]
fn an_error_of_sequence_never_makes_a_batch_twice() {
    // It may have been appended, and then the broker lost what it knew of the producer: to send it again in a new
    // epoch could append it a second time.
    let mut fixture = acknowledged();
    let (doubtful, ..) = fixture.push(&[1, 1]).send();
    fixture.lost(doubtful);
    assert_eq!(fixture.send().0, doubtful);
    fixture.refused(doubtful, ErrorCode::OutOfOrderSequenceNumber);
    assert_eq!(fixture.told(2), "unknown");
    assert_eq!(fixture.send(), (3, 1, 0), "the one behind it was never sent, and goes on");

    // It was certainly not appended, so it may be sent again under the new epoch.
    let mut fixture = acknowledged();
    let (clean, ..) = fixture.push(&[1]).send();
    fixture.refused(clean, ErrorCode::OutOfOrderSequenceNumber);
    assert_eq!(fixture.send(), (clean, 1, 0));
}

#[test]
fn a_lost_leadership_leaves_the_outcome_unknown_until_a_repeat_succeeds() {
    for code in [
        ErrorCode::NotLeaderOrFollower,
        ErrorCode::RequestTimedOut,
        ErrorCode::NotEnoughReplicasAfterAppend,
        ErrorCode::KafkaStorageError,
    ] {
        let mut fixture = acknowledged();
        let sent = fixture.push(&[1]).send();
        fixture.refused(sent.0, code);
        assert_eq!(fixture.send(), sent, "{code}");
        fixture.refused(sent.0, ErrorCode::MessageTooLarge);
        assert_eq!(fixture.told(2), "unknown", "{code}: the first attempt may be in the log");
    }
}

#[test]
fn what_was_never_sent_in_time_is_definitely_not_appended() {
    let mut fixture = idempotent();
    fixture.push(&[1]).expire();
    assert_eq!(fixture.told(1), "not appended");
    assert_eq!(fixture.queue.take_released_bytes(), 69);

    let mut fixture = acknowledged();
    let (number, ..) = fixture.push(&[1]).send();
    fixture.came(number, Outcome::Lost { sent: false, cause: "refused".into() });
    fixture.expire();
    assert_eq!(fixture.told(2), "not appended");
}

#[test]
fn what_is_in_flight_when_its_time_is_over_is_unknown_and_holds_its_place() {
    let mut fixture = acknowledged();
    let (number, ..) = fixture.push(&[1, 1]).send();
    fixture.expire();
    assert_eq!([fixture.told(2), fixture.told(3)], ["unknown", "not appended"]);
    // The second had no sequence yet, so that nothing is broken when the first turns out well.
    fixture.appended(number);
    fixture.push(&[1]);
    assert_eq!(fixture.send(), (4, 0, 2));
}

#[test]
fn a_timed_out_batch_that_then_fails_breaks_the_sequence() {
    let mut fixture = acknowledged();
    let (number, ..) = fixture.push(&[1]).send();
    fixture.expire();
    fixture.push(&[1]);
    let behind = fixture.send();
    assert_eq!(behind.2, 2);
    fixture.lost(number);
    fixture.refused(behind.0, ErrorCode::OutOfOrderSequenceNumber);
    assert_eq!(fixture.send(), (behind.0, 1, 0));
}

#[test]
fn used_up_epochs_ask_for_a_new_producer_id() {
    let mut fixture = acknowledged();
    let last = Identity { epoch: ProducerEpoch(i16::MAX - 1), ..ID };
    (fixture.identity, fixture.queue.identity) = (Some(last), Some(last));
    let (number, ..) = fixture.push(&[1, 1]).send();
    fixture.refused(number, ErrorCode::InvalidRecord);
    assert_eq!(fixture.identity, None);
    fixture.identity = Some(Identity { id: ProducerId(8), epoch: ProducerEpoch(0) });
    assert_eq!(fixture.send(), (3, 0, 0));
}

#[test]
fn another_partitions_new_epoch_is_taken_up_when_no_sequence_is_pending() {
    let mut fixture = acknowledged();
    fixture.push(&[1, 1]);
    let first = fixture.send();
    fixture.identity = ID.bumped();
    assert_eq!(fixture.send(), (3, 0, 2), "the old epoch goes on while something of it is in flight");
    fixture.appended(first.0);
    fixture.appended(3);
    fixture.push(&[1]);
    assert_eq!(fixture.send(), (4, 1, 0));
}

#[test]
fn without_idempotence_batches_are_sent_again_as_they_are_before_later_ones() {
    let mut fixture = not_idempotent();
    fixture.push(&[1, 1]);
    let first = fixture.send();
    assert_eq!((first.1, first.2), (-1, -1));
    assert_eq!(fixture.take(), Sendable::Nothing, "the second would overtake a repeat of the first");
    fixture.refused(first.0, ErrorCode::NotLeaderOrFollower);
    assert_eq!(fixture.send(), first);
    fixture.appended(first.0);
    let second = fixture.send();
    fixture.appended(second.0);
    assert_eq!([fixture.told(1), fixture.told(2)], ["delivered", "delivered"]);
}

#[test]
fn after_a_failure_the_partition_waits() {
    let mut fixture = acknowledged();
    let (number, ..) = fixture.push(&[1]).send();
    let outcome = Outcome::Refused(ErrorCode::NotEnoughReplicas);
    assert!(
        fixture.queue.on_outcome(number, outcome, |failures| Instant(u64::from(failures) * 10)).is_none()
    );
    assert_eq!(fixture.take(), Sendable::Later(Instant(10)));
    fixture.now = Instant(10);
    assert_eq!(fixture.send().0, number);
}
