//! What must hold, in every state.

use jangbu_core::ids::{LeaderEpoch, Offset};
use jangbu_core::replica::{Acks, Replica};

use super::BROKERS;
use super::broker::{Broker, Waiting};
use super::log::Entry;
use super::metadata::{members, set};
use super::state::State;
use super::world::{Truth, World};

/// What was found to be wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The invariant.
    pub invariant: &'static str,
    /// What is wrong.
    pub message: String,
}

/// A committed record is in the log of whoever leads.
pub const LEADER_COMPLETENESS: &str = "leader completeness";
/// A committed record is in the log of everyone who may be elected cleanly.
pub const CANDIDATE_COMPLETENESS: &str = "candidate completeness";
/// What is committed is the same everywhere; logs differ above the high watermark alone.
pub const COMMITTED_PREFIX: &str = "committed prefix agreement";
/// The high watermark is within the log, rises within a leadership, and is not above what the maximal ISR holds.
pub const HIGH_WATERMARK: &str = "high watermark";
/// An epoch has one leader, and an offset of an epoch one record.
pub const ONE_LEADER: &str = "one leader per epoch";
/// What is acknowledged is committed, on enough replicas.
pub const ACKNOWLEDGEMENT: &str = "acknowledgement";

type Checked = Result<(), Violation>;

fn violated(invariant: &'static str, message: String) -> Checked {
    Err(Violation { invariant, message })
}

/// After an event of a broker. What its leader committed by it becomes true.
pub fn after_event(
    world: &mut World,
    before: &State,
    state: &mut State,
    index: usize,
    acknowledged: &[Waiting],
) -> Checked {
    if before.brokers[index] == state.brokers[index] && acknowledged.is_empty() {
        return Ok(());
    }
    let earlier = world.brokers.get(before.brokers[index]);
    let broker = world.brokers.get(state.brokers[index]);
    let mut checked = Ok(());
    if let Some(replica) = broker.replica() {
        checked = high_watermark(earlier, broker, replica);
        let committed = replica.high_watermark().0 as usize;
        if committed > world.truths.get(state.truth).entries.len() {
            checked = checked.and(commit(world, state, index, committed));
        }
    }
    for waiting in acknowledged.iter().filter(|waiting| waiting.acks == Acks::All) {
        checked = checked.and(acknowledge(world, state, index, waiting));
    }
    let checked = checked.and_then(|()| prefix(world, state, index));
    let checked = checked.and_then(|()| one_leader(world, state, index));
    if world.scope.only_loss {
        return leader_completeness(world, state);
    }
    checked.and_then(|()| candidates(world, state))
}

/// The high watermark of one broker.
fn high_watermark(earlier: &Broker, broker: &Broker, replica: &Replica) -> Checked {
    let (now, end) = (replica.high_watermark().0, broker.log.entries.len() as i64);
    if now < 0 || now > end {
        return violated(HIGH_WATERMARK, format!("broker {}: {now}, log 0..{end}", broker.id));
    }
    if let (Some(before), true) = (earlier.leading(), replica.is_leader())
        && before.leader_epoch() == replica.leader_epoch()
        && replica.high_watermark() < before.high_watermark()
    {
        let before = before.high_watermark();
        return violated(HIGH_WATERMARK, format!("leader {}: fell from {before} to {now}", broker.id));
    }
    Ok(())
}

/// A leader's high watermark passes what was committed.
fn commit(world: &mut World, state: &mut State, index: usize, committed: usize) -> Checked {
    let truth = world.truths.get(state.truth);
    let broker = world.brokers.get(state.brokers[index]);
    let Some(replica) = broker.leading() else {
        return violated(
            HIGH_WATERMARK,
            format!("follower {} is at {committed}, and {} are committed", broker.id, truth.entries.len()),
        );
    };
    if !broker.log.begins_with(&truth.entries) {
        return violated(
            COMMITTED_PREFIX,
            format!(
                "leader {} commits on {:?}, and {:?} is committed",
                broker.id, broker.log.entries, truth.entries
            ),
        );
    }
    let entries: Vec<Entry> = broker.log.entries.iter().take(committed).copied().collect();
    let maximal = replica.maximal_isr();
    let lacks = |member: usize| {
        !state.losses[member].is_lossy()
            && !world.brokers.get(state.brokers[member]).log.begins_with(&entries)
    };
    let lacking = members(set(&maximal)).find(|member| lacks(*member));
    let id = broker.id;
    let acknowledged = truth.acknowledged;
    state.truth = world.truths.id(Truth { entries, acknowledged });
    match lacking {
        Some(member) => violated(
            HIGH_WATERMARK,
            format!("leader {id} is at {committed}, which broker {} of its maximal ISR lacks", member + 1),
        ),
        None => Ok(()),
    }
}

/// A leader acknowledges a produce with acks=all.
fn acknowledge(world: &mut World, state: &mut State, index: usize, waiting: &Waiting) -> Checked {
    let truth = world.truths.get(state.truth);
    let mut noted = truth.clone();
    noted.acknowledged |= 1 << waiting.value;
    let broker = world.brokers.get(state.brokers[index]);
    let id = broker.id;
    let place = (waiting.end.0 - 1) as usize;
    let is_committed = truth.entries.get(place).is_some_and(|entry| entry.value == waiting.value);
    let below = &broker.log.entries[..broker.log.entries.len().min(place + 1)];
    let maximal = broker.replica().map(Replica::maximal_isr).unwrap_or_default();
    let holds = |member: &usize| {
        state.losses[*member].is_lossy() || world.brokers.get(state.brokers[*member]).log.begins_with(below)
    };
    let holders = members(set(&maximal)).filter(holds).count();
    let needed = world.scope.min_insync_replicas;
    state.truth = world.truths.id(noted);
    if !is_committed {
        return violated(ACKNOWLEDGEMENT, format!("leader {id}: record {} is not committed", waiting.value));
    }
    if holders < needed {
        return violated(
            ACKNOWLEDGEMENT,
            format!("leader {id}: record {} is on {holders} in-sync replicas of {needed}", waiting.value),
        );
    }
    Ok(())
}

/// A leader appended: only with enough in sync, and nothing that another one wrote at that offset in that epoch.
pub fn appended(world: &World, state: &State, index: usize, acks: Acks) -> Checked {
    if world.scope.only_loss {
        return Ok(());
    }
    let broker = world.brokers.get(state.brokers[index]);
    let Some(replica) = broker.leading() else { return Ok(()) };
    let in_sync = replica.committed_isr().len();
    let needed = world.scope.min_insync_replicas;
    if in_sync < needed && acks == Acks::All {
        return violated(
            ACKNOWLEDGEMENT,
            format!("leader {} takes acks=all with {in_sync} of {needed} in sync", broker.id),
        );
    }
    let place = broker.log.entries.len() - 1;
    let entry = broker.log.entries[place];
    for other in (0..BROKERS).filter(|other| *other != index) {
        let other = world.brokers.get(state.brokers[other]);
        let theirs = other.log.entries.get(place);
        if let Some(theirs) = theirs.filter(|theirs| theirs.epoch == entry.epoch && **theirs != entry) {
            return violated(
                ONE_LEADER,
                format!("offset {place} is {entry:?} on {} and {theirs:?} on {}", broker.id, other.id),
            );
        }
    }
    Ok(())
}

/// What a broker shows to be committed is what is committed.
fn prefix(world: &World, state: &State, index: usize) -> Checked {
    let broker = world.brokers.get(state.brokers[index]);
    let truth = world.truths.get(state.truth);
    let shown = broker.replica().map_or(Offset::ZERO, Replica::high_watermark).0 as usize;
    let committed = &truth.entries[..shown.min(truth.entries.len())];
    if broker.log.begins_with(committed) {
        return Ok(());
    }
    violated(
        COMMITTED_PREFIX,
        format!(
            "broker {} shows {:?} below {shown}, and {:?} is committed",
            broker.id, broker.log.entries, truth.entries
        ),
    )
}

/// Nobody else leads in the same epoch.
fn one_leader(world: &World, state: &State, index: usize) -> Checked {
    let epoch_of = |index: usize| -> Option<LeaderEpoch> {
        world.brokers.get(state.brokers[index]).leading().map(Replica::leader_epoch)
    };
    let Some(epoch) = epoch_of(index) else { return Ok(()) };
    let other = (0..BROKERS).find(|other| *other != index && epoch_of(*other) == Some(epoch));
    match other {
        Some(other) => violated(
            ONE_LEADER,
            format!("brokers {} and {} both lead in epoch {epoch}", index + 1, other + 1),
        ),
        None => Ok(()),
    }
}

/// The present leader has every record that is committed.
fn leader_completeness(world: &World, state: &State) -> Checked {
    let metadata = world.metadata.get(world.present(state));
    let Ok(index) = usize::try_from(metadata.leader.0 - 1) else { return Ok(()) };
    let broker = world.brokers.get(state.brokers[index]);
    let leads = |replica: &Replica| replica.leader_epoch().0 == metadata.leader_epoch;
    if !broker.leading().is_some_and(leads) {
        return Ok(());
    }
    let truth = world.truths.get(state.truth);
    if !world.scope.only_loss {
        if broker.log.begins_with(&truth.entries) {
            return Ok(());
        }
        return violated(
            LEADER_COMPLETENESS,
            format!(
                "leader {} holds {:?}, and {:?} is committed",
                broker.id, broker.log.entries, truth.entries
            ),
        );
    }
    let is_acknowledged = |entry: &&Entry| truth.acknowledged & 1 << entry.value != 0;
    let is_lost = |entry: &&Entry| !broker.log.entries.contains(entry);
    match truth.entries.iter().filter(is_acknowledged).find(is_lost) {
        Some(entry) => violated(
            LEADER_COMPLETENESS,
            format!("record {} was acknowledged, and leader {} lacks it", entry.value, broker.id),
        ),
        None => Ok(()),
    }
}

/// Who leads, and who may be elected cleanly, has every record that is committed. Excused is who lost records by a crash
/// that the controller has not heard of.
pub fn candidates(world: &World, state: &State) -> Checked {
    leader_completeness(world, state)?;
    if world.scope.only_loss {
        return Ok(());
    }
    let metadata = world.metadata.get(world.present(state));
    let truth = world.truths.get(state.truth);
    let lacks = |index: &usize| {
        !state.losses[*index].is_unreported()
            && !world.brokers.get(state.brokers[*index]).log.begins_with(&truth.entries)
    };
    match members(metadata.isr | metadata.elr).find(lacks) {
        Some(index) => {
            let is_in_sync = metadata.isr & 1 << index != 0;
            violated(
                CANDIDATE_COMPLETENESS,
                format!(
                    "broker {} is in the {} with {:?}, and {:?} is committed",
                    index + 1,
                    if is_in_sync { "ISR" } else { "ELR" },
                    world.brokers.get(state.brokers[index]).log.entries,
                    truth.entries
                ),
            )
        }
        None => Ok(()),
    }
}
