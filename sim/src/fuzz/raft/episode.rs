//! One seed: a schedule is drawn step by step, done, and watched.

use super::choice::Choice;
use super::cluster::Cluster;
use super::node::Node;
use super::settle::Heal;
use super::swarm::{Act, Swarm};
use crate::rng::Rng;

/// Runs a seed's episode. `record`, if given, receives the choices in a form that can be repeated.
pub fn run(cluster: &mut Cluster, seed: u64, mut record: Option<&mut Vec<Choice>>) {
    let mut rng = Rng::from_seed(seed);
    let swarm = Swarm::draw(&mut rng);
    swarm.begin(cluster, seed);
    let mut seen = events(cluster);
    for _ in 0..swarm.steps {
        if swarm.strikes && events(cluster) != seen {
            let choice = strike(cluster, seen, &mut rng);
            seen = events(cluster);
            if let Some(choice) = choice {
                perform(cluster, choice, record.as_deref_mut());
            }
        }
        let bits = rng.next_u64();
        let act = swarm.acts[(bits >> 55) as usize];
        match act {
            Act::Deliver => deliver(cluster, &swarm, bits, record.as_deref_mut()),
            Act::Drop | Act::Duplicate => disturb(cluster, act, bits, record.as_deref_mut()),
            _ => match choose(cluster, act, &mut rng, bits) {
                Some(choice) => perform(cluster, choice, record.as_deref_mut()),
                // Where the act finds nothing to act upon, time is better spent on a message.
                None => deliver(cluster, &swarm, bits, record.as_deref_mut()),
            },
        }
        if cluster.violation.is_some() {
            return;
        }
    }
    let choice = Choice::Settle(heal(cluster, &mut rng));
    if let Some(record) = record {
        record.push(choice);
    }
    choice.perform(cluster);
}

/// How many elections and changes of the voters there were, and which voters were committed last.
#[inline]
fn events(cluster: &Cluster) -> (u64, u64, u32) {
    (cluster.counts.elections, cluster.counts.voter_changes, cluster.committed_voters)
}

/// What is worst just after a leader was elected, or the voters changed: that a new leader changes them at once, that
/// the one who does loses sight of the others, that whoever joined loses what it did not flush.
fn strike(cluster: &Cluster, seen: (u64, u64, u32), rng: &mut Rng) -> Option<Choice> {
    let leads = |node: &u8| cluster.nodes[*node as usize].machine.leader_epoch();
    let leader = (0..cluster.count as u8).filter(|node| leads(node).is_some()).max_by_key(leads)?;
    let draw = rng.below(8);
    let (_, changes, committed) = events(cluster);
    if committed != seen.2 {
        let loses = |node: &u8| *node != leader && !cluster.nodes[*node as usize].is_flushed();
        let node = (0..cluster.count as u8).rev().find(loses)?;
        return (draw < 6).then_some(Choice::Crash(node, 0));
    }
    if changes != seen.1 {
        return match draw {
            0..4 => Some(Choice::Isolate(leader)),
            4 => Some(Choice::Crash(leader, 255)),
            _ => None,
        };
    }
    match draw {
        0..3 => remove_voter(cluster, leader, rng),
        3..6 => new_voter(cluster, rng).map(|node| Choice::AddVoter(leader, node)),
        _ => None,
    }
}

#[inline]
fn perform(cluster: &mut Cluster, choice: Choice, record: Option<&mut Vec<Choice>>) {
    if let Some(record) = record {
        record.push(choice);
    }
    cluster.steps += u64::from(choice.perform(cluster));
}

/// The frequent case, without the detour over a name.
#[inline]
fn deliver(cluster: &mut Cluster, swarm: &Swarm, bits: u64, record: Option<&mut Vec<Choice>>) {
    let count = cluster.network.len();
    if count == 0 {
        return perform(cluster, go_on(cluster, bits), record);
    }
    let is_in_order = ((bits >> 8) & 0xff) as u8 <= swarm.in_order;
    let index = if is_in_order { 0 } else { pick(bits >> 16, count) as usize };
    if let Some(record) = record {
        record.extend(cluster.network.name(index).map(Choice::Deliver));
    }
    if let Some(message) = cluster.network.take(index) {
        cluster.deliver(message);
        cluster.steps += 1;
    }
}

/// What happens when no message is under way.
fn go_on(cluster: &Cluster, bits: u64) -> Choice {
    let node = pick(bits >> 16, cluster.count);
    let draw = bits & 0x300;
    if draw == 0
        && let Some(node) = unflushed(cluster, node)
    {
        return Choice::Flush(node);
    }
    if let Some(node) = waiting(cluster, node) {
        return Choice::Effect(node);
    }
    let leader = if draw >= 0x200 { leader(cluster, node) } else { None };
    leader.map_or(Choice::Tick(node), Choice::Propose)
}

/// A message is lost, or will arrive twice.
fn disturb(cluster: &mut Cluster, act: Act, bits: u64, record: Option<&mut Vec<Choice>>) {
    let index = pick(bits >> 16, cluster.network.len()) as usize;
    if let Some(record) = record {
        let choice = if act == Act::Drop { Choice::Drop } else { Choice::Duplicate };
        record.extend(cluster.network.name(index).map(choice));
    }
    let is_done =
        if act == Act::Drop { cluster.network.lose(index) } else { cluster.network.duplicate(index) };
    cluster.steps += u64::from(is_done);
}

fn pick(bits: u64, count: usize) -> u8 {
    (((bits & 0xffff_ffff) * count as u64) >> 32) as u8
}

fn choose(cluster: &Cluster, act: Act, rng: &mut Rng, bits: u64) -> Option<Choice> {
    let node = pick(bits >> 16, cluster.count);
    Some(match act {
        Act::Deliver | Act::Drop | Act::Duplicate => return None,
        Act::Effect => Choice::Effect(waiting(cluster, node)?),
        Act::Flush => Choice::Flush(unflushed(cluster, node)?),
        Act::Tick => Choice::Tick(node),
        Act::Propose => Choice::Propose(leader(cluster, node)?),
        Act::Advance => Choice::Advance(node, rng.below(3000) as u16),
        Act::Expire => Choice::Expire(node),
        Act::Crash => Choice::Crash(node, keep(rng)),
        Act::CrashAll => Choice::CrashAll(keep(rng)),
        Act::Snapshot => Choice::Snapshot(node, [0, 0, 0, 1, 2, 3][rng.below(6) as usize]),
        Act::Trim => Choice::Trim(node),
        Act::Cut => Choice::Cut(node, pick(rng.next_u64(), cluster.count)),
        Act::Isolate => Choice::Isolate(if rng.below(2) == 0 { leader(cluster, node)? } else { node }),
        Act::Heal => Choice::Heal,
        Act::AddVoter => Choice::AddVoter(leader(cluster, node)?, new_voter(cluster, rng)?),
        Act::RemoveVoter => return remove_voter(cluster, leader(cluster, node)?, rng),
        Act::UpdateVoter => Choice::UpdateVoter(leader(cluster, node)?, pick(rng.next_u64(), cluster.count)),
        Act::Resign => Choice::Resign(leader(cluster, node)?),
        Act::LoseDisk => Choice::LoseDisk(node),
        Act::RollBack => Choice::RollBack(node, 1 + rng.below(4) as u8),
    })
}

fn keep(rng: &mut Rng) -> u8 {
    [0, 0, 0, 1, 2, 255][rng.below(6) as usize]
}

/// The first node from `node` on of which this holds.
#[inline]
fn first(cluster: &Cluster, node: u8, holds: impl Fn(&Node) -> bool) -> Option<u8> {
    let (before, from) = cluster.nodes[..cluster.count].split_at(node as usize);
    let place = from.iter().position(&holds).map(|place| place + before.len());
    place.or_else(|| before.iter().position(&holds)).map(|place| place as u8)
}

/// One that waits for its disk.
fn waiting(cluster: &Cluster, node: u8) -> Option<u8> {
    first(cluster, node, |node| !node.effects.is_empty())
}

/// One whose log is not all on its disk.
fn unflushed(cluster: &Cluster, node: u8) -> Option<u8> {
    first(cluster, node, |node| !node.is_flushed())
}

/// One that leads.
fn leader(cluster: &Cluster, node: u8) -> Option<u8> {
    first(cluster, node, |node| node.machine.leader_epoch().is_some())
}

fn new_voter(cluster: &Cluster, rng: &mut Rng) -> Option<u8> {
    let controllers = cluster.shape.voters + cluster.shape.controllers;
    let first = rng.below(controllers as u64) as usize;
    let mut nodes = (0..controllers).map(|step| (first + step) % controllers);
    nodes.find(|id| !cluster.nodes[*id].machine.is_voter()).map(|id| id as u8)
}

fn remove_voter(cluster: &Cluster, leader: u8, rng: &mut Rng) -> Option<Choice> {
    let voters = cluster.nodes[leader as usize].machine.voters();
    let voter = voters.iter().nth(rng.below(voters.len() as u64) as usize)?;
    let directory = super::node::directory_number(voter.key.directory) as u16;
    Some(Choice::RemoveVoter(leader, voter.key.id.0 as u8, directory))
}

/// How the episode ends.
fn heal(cluster: &Cluster, rng: &mut Rng) -> Heal {
    let draw = rng.below(16);
    let node = pick(rng.next_u64(), cluster.count);
    let other = pick(rng.next_u64(), cluster.count);
    let node = if rng.below(2) == 0 { leader(cluster, node).unwrap_or(node) } else { node };
    match draw {
        0 => Heal::Watched,
        1 | 2 => Heal::Deaf(node),
        3 => Heal::Isolated(node),
        4 if node != other => Heal::Bridged(node, other),
        _ => Heal::Whole,
    }
}
