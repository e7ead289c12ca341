//! The end of an episode: the faults stop, messages arrive in order, timers fire when they are due, and then a leader
//! must be found and make progress within a bound (liveness). A fault that a quorum must live with may remain.

use super::cluster::Cluster;
use crate::fuzz::check::Violation;

/// How much is healed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heal {
    /// Everything.
    Whole,
    /// Everything, and for a while the leader must not change any more.
    Watched,
    /// A node hears nobody and is heard (if there is a majority without it): it must neither lead on nor disturb (KAFKA-15489, KIP-996).
    Deaf(u8),
    /// A node is cut off: it must not lead on.
    Isolated(u8),
    /// Two nodes do not reach each other, and all others do: the leader must not go to and fro.
    Bridged(u8, u8),
}

/// By then a leader has been found and everybody has what it wrote.
const PROGRESS_NANOS_MAX: u64 = 90_000_000_000;
/// So often it may take
const STABLE_WINDOWS: usize = 3;
/// until for so long nothing changes.
const STABLE_NANOS: u64 = 12_000_000_000;
/// A parked fetch is answered after this.
const FETCH_WAIT_NANOS: u64 = 500_000_000;
/// What is delivered between two moments of time is bounded: more would be a loop.
const DELIVERIES_MAX: usize = 4_000;

/// Settles the cluster, or breaks `liveness`. A transcript gets one line of it.
pub fn settle(cluster: &mut Cluster, heal: Heal) {
    let transcript = cluster.transcript.take();
    run(cluster, heal);
    cluster.transcript = transcript;
    match (&cluster.violation, newest_leader(cluster)) {
        (Some(violation), _) => {
            let line = format!("VIOLATION {}: {}", violation.check, violation.message);
            cluster.note(|| line);
        }
        (None, Some((id, epoch))) => {
            let committed = cluster.committed.len();
            cluster.note(|| format!("settled: {id} leads epoch {epoch}, {committed} records are committed"));
        }
        (None, None) => {}
    }
}

fn run(cluster: &mut Cluster, heal: Heal) {
    if cluster.committed.is_void() {
        return;
    }
    let can_spare = |id: u8| (id as usize) < cluster.count && cluster.can_spare(id as usize);
    let heal = match heal {
        Heal::Deaf(node) | Heal::Isolated(node) if !can_spare(node) => Heal::Whole,
        Heal::Bridged(one, other) if !can_spare(one) || !can_spare(other) => Heal::Whole,
        Heal::Whole | Heal::Watched | Heal::Deaf(_) | Heal::Isolated(_) | Heal::Bridged(..) => heal,
    };
    cluster.network.heal();
    cut(cluster, heal);
    cluster.network.drop_cut();
    let mut passed = 0;
    let mut wrote: Option<(usize, i32, i64)> = None;
    loop {
        deliver_all(cluster);
        if cluster.violation.is_some() {
            return;
        }
        let leader = newest_leader(cluster);
        match (wrote, leader) {
            (Some((id, epoch, offset)), Some(now)) if (id, epoch) == now => {
                if has_everywhere(cluster, id, offset) {
                    break;
                }
            }
            (_, Some((id, epoch))) => wrote = cluster.propose(id).map(|offset| (id, epoch, offset)),
            (_, None) => {}
        }
        if passed > PROGRESS_NANOS_MAX {
            return fail(cluster, "no leader has made progress", leader);
        }
        passed += next_moment(cluster);
    }
    if heal != Heal::Whole {
        stay(cluster);
    }
}

/// Nothing changes any more, and there is one leader, wherever it is asked. A node that had raised its epoch before may
/// still depose a leader with it, but only once (KIP-996 does not ask a pre-vote of a later epoch to be ignored).
fn stay(cluster: &mut Cluster) {
    let mut leader = newest_leader(cluster);
    for _ in 0..STABLE_WINDOWS {
        let elections = cluster.counts.elections;
        let mut passed = 0;
        while passed < STABLE_NANOS {
            passed += next_moment(cluster);
            deliver_all(cluster);
            if cluster.violation.is_some() {
                return;
            }
        }
        let nodes = &cluster.nodes[..cluster.count];
        let leaders = nodes.iter().filter(|node| node.machine.leader_epoch().is_some()).count();
        if leaders == 1 && cluster.counts.elections == elections && newest_leader(cluster) == leader {
            return;
        }
        leader = newest_leader(cluster);
    }
    fail(cluster, "the quorum does not come to rest with one leader", leader);
}

fn fail(cluster: &mut Cluster, what: &str, leader: Option<(usize, i32)>) {
    let roles: Vec<String> = (0..cluster.count)
        .map(|id| {
            let machine = &cluster.nodes[id].machine;
            format!("{id} {:?} epoch {}", machine.role(), machine.election().epoch)
        })
        .collect();
    let message = format!("{what}; leader {leader:?}; {}", roles.join(", "));
    cluster.violation = Some(Violation::new("liveness", message));
}

fn cut(cluster: &mut Cluster, heal: Heal) {
    let others = 0..cluster.count as u8;
    match heal {
        Heal::Whole | Heal::Watched => {}
        Heal::Deaf(node) => {
            others.filter(|other| *other != node).for_each(|other| cluster.network.cut(other, node))
        }
        Heal::Isolated(node) => others.filter(|other| *other != node).for_each(|other| {
            cluster.network.cut(other, node);
            cluster.network.cut(node, other);
        }),
        Heal::Bridged(one, other) => {
            cluster.network.cut(one, other);
            cluster.network.cut(other, one);
        }
    }
}

/// Everything that needs no time happens.
pub(super) fn deliver_all(cluster: &mut Cluster) {
    for _ in 0..DELIVERIES_MAX {
        let mut has_acted = false;
        while let Some(message) = cluster.network.take(0) {
            cluster.deliver(message);
            cluster.steps += 1;
            has_acted = true;
            if cluster.violation.is_some() {
                return;
            }
        }
        for id in 0..cluster.count {
            while cluster.perform_effect(id) {
                cluster.steps += 1;
                has_acted = true;
            }
            if cluster.flush(id) {
                cluster.steps += 1;
                has_acted = true;
            }
        }
        if !has_acted {
            return;
        }
    }
    fail(cluster, "messages without end", newest_leader(cluster));
}

/// All clocks move to the next thing that is due anywhere.
fn next_moment(cluster: &mut Cluster) -> u64 {
    let mut wait = u64::MAX;
    for node in &cluster.nodes[..cluster.count] {
        let due = node.machine.next_deadline().into_iter();
        let parked = node.parked.iter().map(|(_, _, since)| since.0 + FETCH_WAIT_NANOS);
        for at in due.map(|deadline| deadline.0).chain(parked) {
            wait = wait.min(at.saturating_sub(node.now.0));
        }
    }
    if wait == u64::MAX {
        wait = FETCH_WAIT_NANOS;
    }
    for id in 0..cluster.count {
        cluster.nodes[id].now.0 += wait;
        let node = &cluster.nodes[id];
        if node.machine.next_deadline().is_some_and(|deadline| deadline <= node.now) {
            cluster.steps += 1;
            cluster.tell(id, |machine, moment| machine.handle_timeout(moment));
        }
        cluster.expire(id, FETCH_WAIT_NANOS);
    }
    // Something that is due at once and stays so would hold time still.
    wait.max(1_000)
}

fn newest_leader(cluster: &Cluster) -> Option<(usize, i32)> {
    (0..cluster.count)
        .filter_map(|id| cluster.nodes[id].machine.leader_epoch().map(|epoch| (id, epoch.0)))
        .max_by_key(|(_, epoch)| *epoch)
}

/// Everybody whom the leader reaches knows that the record at `offset` is committed.
fn has_everywhere(cluster: &Cluster, leader: usize, offset: i64) -> bool {
    let link = |from: usize, to: usize| !cluster.network.is_cut(from as u8, to as u8);
    (0..cluster.count)
        .filter(|id| link(*id, leader) && link(leader, *id))
        .all(|id| cluster.nodes[id].machine.high_watermark().0 > offset)
}
