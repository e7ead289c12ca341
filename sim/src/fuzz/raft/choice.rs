//! One step of a schedule: what is done, and its text. A schedule is a list of these; a script is their text.

use std::fmt;

use jangbu_core::ids::BrokerId;
use jangbu_core::raft::ReplicaKey;

use super::cluster::Cluster;
use super::network::{Kind, MessageName};
use super::node::directory_id;
use super::settle::{self, Heal};

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// A message arrives.
    Deliver(MessageName),
    /// A message is lost.
    Drop(MessageName),
    /// A message will arrive twice.
    Duplicate(MessageName),
    /// The first thing that waits for a node's disk is done.
    Effect(u8),
    /// A node's log gets to its disk.
    Flush(u8),
    /// A node's clock moves to its next deadline.
    Tick(u8),
    /// A node's clock moves by some milliseconds.
    Advance(u8, u16),
    /// Fetches parked at a node are answered with nothing.
    Expire(u8),
    /// A leader's controller writes a record.
    Propose(u8),
    /// A node restarts; of its unflushed tail so many entries survive.
    Crash(u8, u8),
    /// All nodes restart so.
    CrashAll(u8),
    /// A node makes a snapshot, so many entries ahead of what it applied.
    Snapshot(u8, u8),
    /// A node removes what its snapshot holds.
    Trim(u8),
    /// A link is cut in one direction.
    Cut(u8, u8),
    /// A node is cut off.
    Isolate(u8),
    /// All links work again.
    Heal,
    /// A leader is asked to make a node a voter.
    AddVoter(u8, u8),
    /// A leader is asked to remove a voter, by id and the number of its directory.
    RemoveVoter(u8, u8, u16),
    /// A leader is asked to record a voter's endpoints.
    UpdateVoter(u8, u8),
    /// A node is asked to step down.
    Resign(u8),
    /// A node comes back with an empty directory.
    LoseDisk(u8),
    /// The disks of all nodes but this one forget so many entries that they called durable.
    RollBack(u8, u8),
    /// The faults end, all or but one; then the quorum must make progress.
    Settle(Heal),
}

impl Choice {
    /// Does it. Returns false when there was nothing to do.
    pub fn perform(self, cluster: &mut Cluster) -> bool {
        if self.node().is_some_and(|node| node as usize >= cluster.count) {
            return false;
        }
        match self {
            Self::Deliver(name) => {
                let message = cluster.network.find(name).and_then(|index| cluster.network.take(index));
                message.is_some_and(|message| {
                    cluster.deliver(message);
                    true
                })
            }
            Self::Drop(name) => cluster.network.find(name).is_some_and(|index| cluster.network.lose(index)),
            Self::Duplicate(name) => {
                cluster.network.find(name).is_some_and(|index| cluster.network.duplicate(index))
            }
            Self::Effect(node) => cluster.perform_effect(node as usize),
            Self::Flush(node) => cluster.flush(node as usize),
            Self::Tick(node) => {
                cluster.tick(node as usize);
                true
            }
            Self::Advance(node, ms) => {
                cluster.advance(node as usize, u64::from(ms) * 1_000_000);
                true
            }
            Self::Expire(node) => {
                cluster.expire(node as usize, 0);
                true
            }
            Self::Propose(node) => cluster.propose(node as usize).is_some(),
            Self::Crash(node, keep) => {
                cluster.crash(node as usize, i64::from(keep));
                true
            }
            Self::CrashAll(keep) => {
                (0..cluster.count).for_each(|node| cluster.crash(node, i64::from(keep)));
                true
            }
            Self::Snapshot(node, ahead) => cluster.snapshot(node as usize, i64::from(ahead)),
            Self::Trim(node) => cluster.trim(node as usize),
            Self::Cut(from, to) => {
                cluster.network.cut(from, to);
                true
            }
            Self::Isolate(node) => {
                for other in (0..cluster.count as u8).filter(|other| *other != node) {
                    cluster.network.cut(node, other);
                    cluster.network.cut(other, node);
                }
                true
            }
            Self::Heal => {
                cluster.network.heal();
                true
            }
            Self::Resign(node) => {
                cluster.tell(node as usize, |machine, moment| machine.resign(moment));
                true
            }
            Self::AddVoter(..) | Self::RemoveVoter(..) | Self::UpdateVoter(..) => self.change_voters(cluster),
            Self::LoseDisk(node) => {
                let can_lose = cluster.can_spare(node as usize);
                if can_lose {
                    cluster.lose_disk(node as usize);
                }
                can_lose
            }
            Self::RollBack(node, entries) => {
                for other in (0..cluster.count).filter(|other| *other != node as usize) {
                    cluster.roll_back(other, i64::from(entries));
                }
                true
            }
            Self::Settle(heal) => {
                settle::settle(cluster, heal);
                true
            }
        }
    }

    fn change_voters(self, cluster: &mut Cluster) -> bool {
        let (Self::AddVoter(leader, _) | Self::RemoveVoter(leader, ..) | Self::UpdateVoter(leader, _)) = self
        else {
            return false;
        };
        let mut result = Ok(());
        let voter = |cluster: &Cluster, node: u8| {
            cluster.voter(node as usize, cluster.nodes[node as usize].directory)
        };
        match self {
            Self::AddVoter(_, node) if (node as usize) < cluster.count => {
                let voter = voter(cluster, node);
                cluster.tell(leader as usize, |machine, moment| result = machine.add_voter(voter, moment));
            }
            Self::UpdateVoter(_, node) if (node as usize) < cluster.count => {
                let voter = voter(cluster, node);
                cluster.tell(leader as usize, |machine, _| result = machine.update_voter(&voter));
            }
            Self::RemoveVoter(_, node, directory) => {
                let id = BrokerId(i32::from(node));
                let key = ReplicaKey { id, directory: directory_id(u32::from(directory)) };
                if !cluster.can_remove(leader as usize, key) {
                    return false;
                }
                cluster.tell(leader as usize, |machine, _| result = machine.remove_voter(key));
            }
            _ => return false,
        }
        if let Err(refusal) = result {
            cluster.note(|| format!("{leader} refuses: {refusal}"));
        }
        result.is_ok()
    }

    fn node(self) -> Option<u8> {
        match self {
            Self::Effect(node)
            | Self::Flush(node)
            | Self::Tick(node)
            | Self::Advance(node, _)
            | Self::Expire(node)
            | Self::Propose(node)
            | Self::Crash(node, _)
            | Self::Snapshot(node, _)
            | Self::Trim(node)
            | Self::Isolate(node)
            | Self::AddVoter(node, _)
            | Self::RemoveVoter(node, ..)
            | Self::UpdateVoter(node, _)
            | Self::Resign(node)
            | Self::LoseDisk(node)
            | Self::RollBack(node, _) => Some(node),
            Self::Cut(from, to) => Some(from.max(to)),
            Self::Deliver(_)
            | Self::Drop(_)
            | Self::Duplicate(_)
            | Self::CrashAll(_)
            | Self::Heal
            | Self::Settle(_) => None,
        }
    }

    /// Reads a line of a script, or says why it cannot.
    ///
    /// # Errors
    /// For an unknown command, or one with other words than it needs.
    pub fn parse(line: &str) -> Result<Self, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |index: usize| -> Result<u16, String> {
            let word = words.get(index).ok_or_else(|| format!("`{line}` needs more numbers"))?;
            word.parse().map_err(|_| format!("`{word}` in `{line}` is no number"))
        };
        let byte = |index: usize| -> Result<u8, String> {
            u8::try_from(number(index)?).map_err(|_| format!("`{line}`: a number is too large"))
        };
        let optional = |index: usize| if words.len() > index { byte(index) } else { Ok(0) };
        let message = || -> Result<MessageName, String> {
            let name = words.get(2).copied().unwrap_or_default();
            let kind = Kind::ALL.iter().find(|(known, _)| *known == name);
            let kind = kind.ok_or_else(|| format!("`{name}` in `{line}` is no kind of message"))?.1;
            let (from, to) = words.get(1).and_then(|link| link.split_once("->")).unwrap_or_default();
            let node = |text: &str| text.parse().map_err(|_| format!("`{line}` needs a link such as 0->1"));
            Ok(MessageName { from: node(from)?, to: node(to)?, kind, nth: optional(3)? })
        };
        Ok(match words.first().copied().unwrap_or_default() {
            "deliver" => Self::Deliver(message()?),
            "drop" => Self::Drop(message()?),
            "duplicate" => Self::Duplicate(message()?),
            "effect" => Self::Effect(byte(1)?),
            "flush" => Self::Flush(byte(1)?),
            "tick" => Self::Tick(byte(1)?),
            "advance" => Self::Advance(byte(1)?, number(2)?),
            "expire" => Self::Expire(byte(1)?),
            "propose" => Self::Propose(byte(1)?),
            "crash" => Self::Crash(byte(1)?, optional(2)?),
            "crash-all" => Self::CrashAll(optional(1)?),
            "snapshot" => Self::Snapshot(byte(1)?, optional(2)?),
            "trim" => Self::Trim(byte(1)?),
            "cut" => Self::Cut(byte(1)?, byte(2)?),
            "isolate" => Self::Isolate(byte(1)?),
            "heal" => Self::Heal,
            "add-voter" => Self::AddVoter(byte(1)?, byte(2)?),
            "remove-voter" => Self::RemoveVoter(byte(1)?, byte(2)?, number(3)?),
            "update-voter" => Self::UpdateVoter(byte(1)?, byte(2)?),
            "resign" => Self::Resign(byte(1)?),
            "lose-disk" => Self::LoseDisk(byte(1)?),
            "roll-back" => Self::RollBack(byte(1)?, byte(2)?),
            "settle" => Self::Settle(match words.get(1).copied() {
                None => Heal::Whole,
                Some("watched") => Heal::Watched,
                Some("but-deaf") => Heal::Deaf(byte(2)?),
                Some("but-isolated") => Heal::Isolated(byte(2)?),
                Some("but-bridged") => Heal::Bridged(byte(2)?, byte(3)?),
                Some(other) => return Err(format!("`{other}` is no way to heal")),
            }),
            other => return Err(format!("`{other}` is no command")),
        })
    }
}

impl fmt::Display for MessageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}->{} {}", self.from, self.to, self.kind.name())?;
        if self.nth > 0 { write!(f, " {}", self.nth) } else { Ok(()) }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deliver(name) => write!(f, "deliver {name}"),
            Self::Drop(name) => write!(f, "drop {name}"),
            Self::Duplicate(name) => write!(f, "duplicate {name}"),
            Self::Effect(node) => write!(f, "effect {node}"),
            Self::Flush(node) => write!(f, "flush {node}"),
            Self::Tick(node) => write!(f, "tick {node}"),
            Self::Advance(node, ms) => write!(f, "advance {node} {ms}"),
            Self::Expire(node) => write!(f, "expire {node}"),
            Self::Propose(node) => write!(f, "propose {node}"),
            Self::Crash(node, keep) => write!(f, "crash {node} {keep}"),
            Self::CrashAll(keep) => write!(f, "crash-all {keep}"),
            Self::Snapshot(node, ahead) => write!(f, "snapshot {node} {ahead}"),
            Self::Trim(node) => write!(f, "trim {node}"),
            Self::Cut(from, to) => write!(f, "cut {from} {to}"),
            Self::Isolate(node) => write!(f, "isolate {node}"),
            Self::Heal => write!(f, "heal"),
            Self::AddVoter(leader, node) => write!(f, "add-voter {leader} {node}"),
            Self::RemoveVoter(leader, node, directory) => {
                write!(f, "remove-voter {leader} {node} {directory}")
            }
            Self::UpdateVoter(leader, node) => write!(f, "update-voter {leader} {node}"),
            Self::Resign(node) => write!(f, "resign {node}"),
            Self::LoseDisk(node) => write!(f, "lose-disk {node}"),
            Self::RollBack(node, entries) => write!(f, "roll-back {node} {entries}"),
            Self::Settle(Heal::Whole) => write!(f, "settle"),
            Self::Settle(Heal::Watched) => write!(f, "settle watched"),
            Self::Settle(Heal::Deaf(node)) => write!(f, "settle but-deaf {node}"),
            Self::Settle(Heal::Isolated(node)) => write!(f, "settle but-isolated {node}"),
            Self::Settle(Heal::Bridged(one, other)) => write!(f, "settle but-bridged {one} {other}"),
        }
    }
}
