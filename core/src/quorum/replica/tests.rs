//! Three replicas on three disks: messages are lost, processes and machines die at any disk call, and what was committed
//! is told everywhere, at its place.

mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::env::memory::{MemoryDisk, PowerLoss};
use crate::env::one_node::OneNode;
use crate::env::{Lane, Task};
use crate::ids::{TopicPartition, Uuid};
use crate::log::dir::LogDir;
use crate::metadata::control::ControlRecord;
use crate::museum::Switches;
use crate::record::batch::Batch;
use crate::record::compression::Codec;
use crate::record::records::iterate;
use crate::sync::{Arc, Mutex};
use crate::time::Timestamp;

type World = OneNode<MemoryDisk>;

const NODES: [usize; 3] = [0, 1, 2];
/// One way of a message, and more by chance.
const WAY: Duration = Duration::from_millis(2);
/// A vote that is not written and a flush that does not sync were found within 3,000; 20,000 were clean then.
const SEEDS: u64 = 400;

/// What all nodes share: who can be reached how, and what was told.
#[derive(Default)]
struct Net {
    events: BTreeMap<usize, mpsc::Sender<Event>>,
    cut: BTreeSet<(usize, usize)>,
    leader: Option<(usize, LeaderEpoch)>,
    /// Of each node, in this life: the values of records and their offsets.
    told: BTreeMap<usize, BTreeMap<i64, u32>>,
    snapshots: Vec<(usize, SnapshotId)>,
    ends: BTreeMap<usize, i64>,
    failures: Vec<String>,
}

type Shared = Arc<Mutex<Net>>;

fn lock(net: &Shared) -> crate::sync::MutexGuard<'_, Net> {
    net.lock().expect("a test panicked")
}

/// The nodes, as far as they live.
struct Cluster {
    env: World,
    disks: Vec<MemoryDisk>,
    tasks: BTreeMap<usize, Vec<Task>>,
    net: Shared,
    /// What was committed at each offset, as the first node told it.
    committed: BTreeMap<i64, u32>,
    next_value: u32,
}

impl Cluster {
    async fn start(seed: u64, env: World) -> Self {
        env.seed(seed);
        let disks = NODES.map(|id| MemoryDisk::new(seed * 7 + id as u64)).to_vec();
        let (tasks, net) = (BTreeMap::new(), Shared::default());
        let mut cluster = Self { env, disks, tasks, net, committed: BTreeMap::new(), next_value: 0 };
        for id in NODES {
            assert!(cluster.start_node(id).await);
        }
        cluster
    }

    /// Starts a node on its disk; false when that fails, because a crash struck.
    async fn start_node(&mut self, id: usize) -> bool {
        // Syncs take a while, so that others happen beside them.
        self.disks[id].delay_syncs((self.env.random_u64() >> 32) as u32 % 4);
        let env = self.env.beside(self.disks[id].clone());
        let dir = LogDir::open(env.disk().clone(), PathBuf::from("/d"), Switches::default()).await;
        let Ok(dir) = dir else { return false };
        let checkpointed = (dir.checkpoints.of(TopicPartition::METADATA), false);
        let log = MetadataLog::open(env.clone(), Arc::new(dir.dir), checkpointed, Default::default()).await;
        let Ok(log) = log else { return false };
        let (events, received) = mpsc::channel(64);
        let (outbound, mut sent) = mpsc::channel(64);
        let (steps, mut told) = mpsc::unbounded_channel();
        let me = ReplicaKey { id: BrokerId(id as i32), directory: Uuid::ZERO };
        let voters = Voters::of_ids(&NODES.map(|id| BrokerId(id as i32)));
        let wires = Wires { events: received, outbound, steps };
        let replica = Replica::new(env.clone(), (Settings::default(), me), log, voters, wires);
        let Ok(replica) = replica else { return false };
        lock(&self.net).events.insert(id, events);
        lock(&self.net).told.insert(id, BTreeMap::new());
        // Whoever stands behind the replica begins with nothing.
        lock(&self.net).ends.remove(&id);
        let net = self.net.clone();
        let run = env.spawn(Lane::Control, "replica", async move {
            if let Err(error) = replica.run().await
                && !matches!(error, ReplicaError::Disk(_) | ReplicaError::Log(_))
            {
                lock(&net).failures.push(format!("{id}: {error}"));
            }
        });
        let (net, world) = (self.net.clone(), env.clone());
        let carry = env.spawn(Lane::Control, "carry", async move {
            let mut ways = Vec::new();
            while let Some(outbound) = sent.recv().await {
                let way = carry(world.clone(), net.clone(), id, outbound);
                ways.retain(|way: &Task| !way.is_finished());
                ways.push(world.spawn(Lane::Control, "way", way));
            }
        });
        let net = self.net.clone();
        let follow = env.spawn(Lane::Control, "follow", async move {
            while let Some(step) = told.recv().await {
                note(&mut lock(&net), id, step);
            }
        });
        self.tasks.insert(id, vec![run, carry, follow]);
        true
    }

    fn stop_node(&mut self, id: usize, power: Option<PowerLoss>) {
        self.tasks.remove(&id);
        let mut net = lock(&self.net);
        net.events.remove(&id);
        if net.leader.is_some_and(|(leader, _)| leader == id) {
            net.leader = None;
        }
        drop(net);
        self.disks[id] = match power {
            Some(mode) => self.disks[id].restart_machine(mode),
            None => self.disks[id].restart_process(),
        };
    }

    fn is_dead(&self, id: usize) -> bool {
        lock(&self.net).events.get(&id).is_none_or(|events| events.is_closed())
    }

    async fn pass(&self, ms: u64) {
        let clock = self.env.clock().clone();
        clock.sleep_until(clock.now() + Duration::from_millis(ms)).await;
    }

    /// Has whoever leads append a record; returns where it ends.
    async fn propose(&mut self) -> Option<i64> {
        let (leader, epoch) = lock(&self.net).leader?;
        let events = lock(&self.net).events.get(&leader)?.clone();
        self.next_value += 1;
        let mut batch = BatchBuilder::new(Codec::None);
        batch.append(Timestamp(5), None, Some(&self.next_value.to_be_bytes()), &[]);
        let (appended, answer) = oneshot::channel();
        events.send(Event::Propose { epoch, batches: vec![batch], appended }).await.ok()?;
        answer.await.ok()?.map(|end| end.0)
    }

    /// What is told must agree with what was told before, by whomever.
    fn check(&mut self) {
        let net = lock(&self.net);
        assert!(net.failures.is_empty(), "{:?}", net.failures);
        for (id, told) in &net.told {
            for (offset, value) in told {
                let known = *self.committed.entry(*offset).or_insert(*value);
                assert_eq!(known, *value, "node {id} tells another record at {offset}");
            }
        }
    }

    /// Heals everything, and waits until all have what one more record of the leader's stands behind.
    async fn settle(&mut self) {
        lock(&self.net).cut.clear();
        for _ in 0..600 {
            for id in NODES {
                // A crash may have been armed before.
                if self.is_dead(id) {
                    self.stop_node(id, None);
                    assert!(self.start_node(id).await, "nothing crashes any more");
                }
            }
            let proposed = self.propose().await;
            self.pass(100).await;
            self.check();
            let net = lock(&self.net);
            let is_everywhere = |end: i64| NODES.iter().all(|id| net.ends.get(id) >= Some(&end));
            if proposed.is_some_and(is_everywhere) {
                return;
            }
        }
        panic!("a minute has passed and the three do not agree: {:?}", lock(&self.net).ends);
    }
}

/// A question to another node and its answer, each of which may be lost.
async fn carry(env: World, net: Shared, from: usize, Outbound { to, request }: Outbound) {
    let to = to.0 as usize;
    if !travel(&env, &net, (from, to)).await {
        return;
    }
    let (reply, answer) = oneshot::channel();
    let (arrived, max_bytes) = wire::ask(&request, to);
    let question = wire::question(arrived, max_bytes, reply);
    let Some(there) = lock(&net).events.get(&to).cloned() else { return };
    let here = lock(&net).events.get(&from).cloned();
    if there.send(Event::Question(question)).await.is_err() {
        return;
    }
    let Ok(reply) = answer.await else { return };
    let (response, bytes) = wire::answer(&request, reply);
    if travel(&env, &net, (to, from)).await
        && let Some(here) = here
    {
        let _ = here.send(Event::Answer { from: BrokerId(to as i32), response, bytes }).await;
    }
}

async fn travel(env: &World, net: &Shared, way: (usize, usize)) -> bool {
    let wait = WAY + Duration::from_micros(env.random_u64() % 2000);
    env.clock().sleep_until(env.clock().now() + wait).await;
    !lock(net).cut.contains(&way)
}

fn note(net: &mut Net, id: usize, step: Step) {
    match step {
        Step::Committed { batches, end } => {
            let first =
                Batch::split_from(&mut batches.clone()).expect("whole batches").header().base_offset.0;
            let known = net.ends.get(&id).copied().unwrap_or(0);
            if first > known {
                net.failures.push(format!("{id} is told of {first} and knows up to {known}"));
            }
            for (offset, value) in values(batches) {
                net.told.entry(id).or_default().insert(offset, value);
            }
            net.ends.insert(id, end.0);
        }
        Step::Snapshot { id: snapshot, .. } => {
            net.snapshots.push((id, snapshot));
            net.ends.insert(id, snapshot.end.0);
        }
        Step::BecameLeader(epoch) => net.leader = net.leader.max_by_epoch((id, epoch)),
        Step::LostLeadership(_) => {
            net.leader = net.leader.filter(|(leader, _)| *leader != id);
        }
    }
}

trait MaxByEpoch {
    fn max_by_epoch(self, other: (usize, LeaderEpoch)) -> Self;
}

impl MaxByEpoch for Option<(usize, LeaderEpoch)> {
    fn max_by_epoch(self, other: (usize, LeaderEpoch)) -> Self {
        self.into_iter().chain([other]).max_by_key(|(_, epoch)| *epoch)
    }
}

/// A snapshot whose one record has so many bytes.
fn snapshot_of(bytes: usize) -> Bytes {
    let header = ControlRecord::SnapshotHeader { last_contained: Timestamp(5) };
    let mut state = BatchBuilder::new(Codec::None);
    state.append(Timestamp(5), None, Some(&vec![7; bytes]), &[]);
    let batches = [header.batch(Timestamp(5)), state, ControlRecord::SnapshotFooter.batch(Timestamp(5))];
    batches.into_iter().flat_map(|mut batch| batch.build()).collect()
}

fn values(mut batches: Bytes) -> Vec<(i64, u32)> {
    let mut values = Vec::new();
    while !batches.is_empty() {
        let batch = Batch::split_from(&mut batches).expect("whole batches");
        if batch.header().is_control() {
            continue;
        }
        for record in iterate(&batch, 1 << 20).expect("whole records") {
            let record = record.expect("whole");
            let value = record.value.expect("a value");
            values.push((record.offset.0, u32::from_be_bytes(value[..].try_into().expect("4 bytes"))));
        }
    }
    values
}

fn run<F: Future<Output = ()>>(test: impl FnOnce(World) -> F) {
    let env = OneNode::new(MemoryDisk::new(0));
    let main = env.clone();
    main.block_on(test(env));
}

#[test]
fn three_replicas_elect_a_leader_and_tell_its_records() {
    run(async |env| {
        let mut cluster = Cluster::start(1, env).await;
        cluster.settle().await;
        for _ in 0..20 {
            assert!(cluster.propose().await.is_some());
        }
        cluster.settle().await;
        assert!(cluster.committed.len() > 20);
        let net = lock(&cluster.net);
        assert!(NODES.iter().all(|id| net.told[id].len() > 20), "every node was told");
    });
}

#[test]
fn a_proposal_of_an_epoch_that_is_over_is_refused() {
    run(async |env| {
        let mut cluster = Cluster::start(1, env).await;
        cluster.settle().await;
        let (leader, epoch) = lock(&cluster.net).leader.expect("it has settled");
        lock(&cluster.net).leader = Some((leader, LeaderEpoch(epoch.0 - 1)));
        assert_eq!(cluster.propose().await, None);
        lock(&cluster.net).leader = Some(((leader + 1) % 3, epoch));
        assert_eq!(cluster.propose().await, None, "and so it is by one who follows");
    });
}

/// It leads no further, and what it did not commit is taken back.
#[test]
fn a_leader_that_is_cut_off_gives_way() {
    run(async |env| {
        let mut cluster = Cluster::start(2, env).await;
        cluster.settle().await;
        let (old, epoch) = lock(&cluster.net).leader.expect("it has settled");
        let others = NODES.iter().filter(|id| **id != old);
        lock(&cluster.net).cut.extend(others.flat_map(|other| [(old, *other), (*other, old)]));
        let lost = cluster.propose().await.expect("it does not know yet");
        cluster.pass(10_000).await;
        let (new, later) = lock(&cluster.net).leader.expect("the others have elected one");
        assert!(new != old && later > epoch);
        cluster.propose().await.expect("the new one leads");
        cluster.settle().await;
        let value = cluster.committed.get(&(lost - 1)).copied();
        assert_ne!(value, Some(cluster.next_value), "the last one stands behind it");
    });
}

#[test]
fn a_follower_that_was_away_for_long_gets_a_snapshot() {
    run(async |env| {
        let mut cluster = Cluster::start(3, env).await;
        cluster.settle().await;
        let (leader, _) = lock(&cluster.net).leader.expect("it has settled");
        let away = (leader + 1) % 3;
        cluster.stop_node(away, Some(PowerLoss::Everything));
        for _ in 0..10 {
            cluster.propose().await.expect("two are enough");
        }
        cluster.pass(1000).await;
        let end = Offset(lock(&cluster.net).ends[&leader]);
        let events = lock(&cluster.net).events[&leader].clone();
        let bytes = snapshot_of(3 << 20);
        events.send(Event::Snapshot { end, bytes }).await.expect("it works");
        cluster.pass(100).await;
        assert!(cluster.start_node(away).await);
        cluster.settle().await;
        let installed = lock(&cluster.net).snapshots.clone();
        assert!(installed.iter().any(|(id, snapshot)| *id == away && snapshot.end == end), "{installed:?}");
    });
}

#[test]
fn a_leader_that_resigns_is_followed_at_once() {
    run(async |env| {
        let mut cluster = Cluster::start(4, env).await;
        cluster.settle().await;
        let (old, epoch) = lock(&cluster.net).leader.expect("it has settled");
        let events = lock(&cluster.net).events[&old].clone();
        events.send(Event::Resign).await.expect("it works");
        cluster.pass(200).await;
        let (new, later) = lock(&cluster.net).leader.expect("another leads");
        assert!(new != old && later > epoch);
    });
}

/// Whatever dies, wherever: what one node called committed is nowhere anything else, and they agree in the end.
#[test]
fn what_is_committed_survives_crashes_at_any_disk_call() {
    for seed in 0..SEEDS {
        run(async |env| {
            let mut cluster = Cluster::start(seed, env).await;
            for _ in 0..40 {
                let random = cluster.env.random_u64();
                let id = (random >> 8) as usize % 3;
                let power = [
                    None,
                    Some(PowerLoss::Everything),
                    Some(PowerLoss::Nothing),
                    Some(PowerLoss::Prefix),
                    Some(PowerLoss::Subset),
                ][(random >> 16) as usize % 5];
                match random % 8 {
                    0 | 1 if cluster.tasks.contains_key(&id) => cluster.disks[id].crash_at(random >> 32 & 15),
                    2 => cluster.stop_node(id, power),
                    3 => {
                        let other = (id + 1 + (random >> 24) as usize % 2) % 3;
                        lock(&cluster.net).cut.insert((id, other));
                    }
                    4 => lock(&cluster.net).cut.clear(),
                    5 => {
                        let (events, end) = {
                            let net = lock(&cluster.net);
                            (net.events.get(&id).cloned(), net.ends.get(&id).copied().unwrap_or(0))
                        };
                        if let Some(events) = events {
                            let bytes = snapshot_of(100);
                            let _ = events.send(Event::Snapshot { end: Offset(end), bytes }).await;
                        }
                    }
                    _ => {
                        for _ in 0..random >> 32 & 7 {
                            cluster.propose().await;
                        }
                    }
                }
                cluster.pass(random >> 40 & 2047).await;
                cluster.check();
                for id in NODES {
                    if cluster.is_dead(id) && cluster.env.random_u64().is_multiple_of(3) {
                        cluster.stop_node(id, power);
                        cluster.start_node(id).await;
                    }
                }
            }
            cluster.settle().await;
        });
    }
}
