//! One seed: a schedule is drawn step by step, done, and watched.

use super::choice::Choice;
use super::cluster::Cluster;
use super::settle::Heal;
use super::swarm::{Act, Swarm};
use crate::rng::Rng;

/// Runs a seed's episode. `record`, if given, receives the choices in a form that can be repeated.
pub fn run(cluster: &mut Cluster, seed: u64, mut record: Option<&mut Vec<Choice>>) {
    let mut rng = Rng::from_seed(seed);
    let swarm = Swarm::draw(&mut rng);
    swarm.begin(cluster, seed);
    let mut step = 0;
    while step < swarm.steps {
        let bits = rng.next_u64();
        let act = swarm.acts[(bits >> 55) as usize];
        if act == Act::Deliver {
            deliver(cluster, &swarm, bits, record.as_deref_mut());
        } else if let Some(choice) = choose(cluster, act, &mut rng, bits) {
            if let Some(record) = record.as_deref_mut() {
                record.push(choice);
            }
            cluster.steps += u64::from(choice.perform(cluster));
        }
        step += 1;
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

/// The frequent case, without the detour over a name.
fn deliver(cluster: &mut Cluster, swarm: &Swarm, bits: u64, record: Option<&mut Vec<Choice>>) {
    let count = cluster.network.len();
    if count == 0 {
        let node = pick(bits >> 16, cluster.count);
        let waiting = busiest(cluster, node);
        let choice = match bits & 0x300 {
            0 => Choice::Flush(node),
            _ if !cluster.nodes[waiting as usize].effects.is_empty() => Choice::Effect(waiting),
            0x100 => Choice::Tick(node),
            _ => Choice::Propose(leader(cluster, node).unwrap_or(node)),
        };
        if let Some(record) = record {
            record.push(choice);
        }
        cluster.steps += u64::from(choice.perform(cluster));
        return;
    }
    let is_in_order = ((bits >> 8) & 0xff) as u8 <= swarm.in_order;
    let index = if is_in_order { 0 } else { pick(bits >> 16, count) as usize };
    if let (Some(record), Some(name)) = (record, cluster.network.name(index)) {
        record.push(Choice::Deliver(name));
    }
    if let Some(message) = cluster.network.take(index) {
        cluster.deliver(message);
        cluster.steps += 1;
    }
}

fn pick(bits: u64, count: usize) -> u8 {
    (((bits & 0xffff_ffff) * count as u64) >> 32) as u8
}

fn choose(cluster: &Cluster, act: Act, rng: &mut Rng, bits: u64) -> Option<Choice> {
    let node = pick(bits >> 16, cluster.count);
    let message = |rng: &mut Rng| cluster.network.name(rng.below(cluster.network.len() as u64) as usize);
    Some(match act {
        Act::Deliver => return None,
        Act::Effect => Choice::Effect(busiest(cluster, node)),
        Act::Flush => Choice::Flush(node),
        Act::Tick => Choice::Tick(node),
        Act::Propose => Choice::Propose(leader(cluster, node)?),
        Act::Drop => Choice::Drop(message(rng)?),
        Act::Duplicate => Choice::Duplicate(message(rng)?),
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

/// The first node from `node` on that waits for its disk.
fn busiest(cluster: &Cluster, node: u8) -> u8 {
    let count = cluster.count;
    let nodes = (0..count).map(|step| (node as usize + step) % count);
    nodes.into_iter().find(|id| !cluster.nodes[*id].effects.is_empty()).map_or(node, |id| id as u8)
}

/// The first node from `node` on that leads.
fn leader(cluster: &Cluster, node: u8) -> Option<u8> {
    let count = cluster.count;
    let mut nodes = (0..count).map(|step| (node as usize + step) % count);
    nodes.find(|id| cluster.nodes[*id].machine.leader_epoch().is_some()).map(|id| id as u8)
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
