//! Random walks of one partition: brokers that lose power or a directory, proposals that are late, replicas that move.
//! Whoever is in sync or eligible has everything that was committed, as long as no election was unclean.
//!
//! Leaders see the metadata at once here; that they may not is what whole clusters are simulated for.

use std::collections::{BTreeMap, BTreeSet};

use super::cluster::{Cluster, cluster_settings, directory};
use super::*;

type Log = BTreeSet<u32>;

/// What is wrong, or nothing.
type Checked = Result<(), String>;

struct Walk {
    cluster: Cluster,
    logs: BTreeMap<i32, Log>,
    running: BTreeSet<i32>,
    /// The directories that failed since a broker started.
    failed: BTreeMap<i32, BTreeSet<Uuid>>,
    /// The epochs in the markers of clean stops.
    markers: BTreeMap<i32, BrokerEpoch>,
    committed: Log,
    next_record: u32,
    /// On their way to the controller, each with its sender.
    proposals: Vec<(BrokerEpoch, BrokerId, AlterIsr)>,
    leader: (BrokerId, LeaderEpoch),
    bits: u64,
}

/// Where a broker may put replicas beside the directory that it begins with.
fn spare(broker: i32) -> Uuid {
    Uuid([broker as u8 + 200; 16])
}

impl Walk {
    fn new(switches: Switches, seed: u64) -> Self {
        let settings = Settings { switches, ..cluster_settings(2) };
        let cluster = Cluster::with(settings, &[1, 2, 3]);
        Self {
            leader: (cluster.partition().leader, cluster.partition().leader_epoch),
            cluster,
            logs: (1..=4).map(|broker| (broker, Log::new())).collect(),
            running: (1..=4).collect(),
            failed: BTreeMap::new(),
            markers: BTreeMap::new(),
            committed: Log::new(),
            next_record: 0,
            proposals: Vec::new(),
            bits: seed,
        }
    }

    fn draw(&mut self, below: usize) -> usize {
        self.bits = self.bits.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.bits >> 33) as usize % below
    }

    fn broker(&mut self) -> i32 {
        1 + self.draw(4) as i32
    }

    fn leads(&self) -> Option<i32> {
        let leader = self.cluster.partition().leader.0;
        self.works(leader).then_some(leader)
    }

    /// Whether a broker runs and its replica is not in a directory that failed.
    fn works(&self, broker: i32) -> bool {
        let id = self.cluster.partition().directory(BrokerId(broker));
        let is_offline = self.failed.get(&broker).is_some_and(|failed| failed.contains(&id));
        self.running.contains(&broker) && !is_offline
    }

    fn step(&mut self) -> Checked {
        match self.draw(23) {
            0..=4 => self.append(),
            5 => {
                let broker = self.broker();
                self.lose_power(broker);
            }
            6 => self.stop(),
            7 | 8 => self.start(),
            9 => {
                let broker = self.broker();
                self.cluster.fence(broker);
            }
            10 | 11 => self.beat(),
            12..=14 => self.propose(),
            15..=17 => self.deliver(),
            18 => {
                let minimum = 1 + self.draw(3);
                self.cluster.configure("min.insync.replicas", &minimum.to_string());
            }
            19 => self.reassign(),
            20 => self.fail_directory(),
            _ => {
                let broker = self.broker();
                self.lose_power(broker);
                self.start_broker(broker);
                self.cluster.beat(broker);
            }
        }
        self.check()
    }

    /// The leader appends, and whoever it waits for fetches. It waits for the in-sync set and for who is on the way
    /// into it.
    fn append(&mut self) {
        let Some(leader) = self.leads() else { return };
        self.next_record += 1;
        let log = self.logs.entry(leader).or_default();
        log.insert(self.next_record);
        let log = log.clone();
        let of = self.cluster.partition();
        let in_flight = self.proposals.iter().filter(|(_, _, proposal)| {
            proposal.partition_epoch == of.partition_epoch && proposal.leader_epoch == of.leader_epoch
        });
        let joining = in_flight.flat_map(|(_, _, proposal)| proposal.isr.iter().map(|(id, _)| id.0));
        let awaited: BTreeSet<i32> = of.isr.iter().map(|id| id.0).chain(joining).collect();
        let minimum = self.cluster.scene.controller.rules("t").min_insync(of.replicas.len());
        let working: BTreeSet<i32> = (1..=4).filter(|broker| self.works(*broker)).collect();
        let commits = of.isr.len() >= minimum && awaited.is_subset(&working);
        for broker in awaited.intersection(&working) {
            self.logs.insert(*broker, log.clone());
        }
        if commits {
            self.committed.extend(log);
        }
    }

    fn lose_power(&mut self, broker: i32) {
        if self.running.remove(&broker) {
            self.lose_tail(broker);
            self.markers.remove(&broker);
        }
    }

    fn lose_tail(&mut self, broker: i32) {
        let keeps = self.draw(3);
        let log = self.logs.entry(broker).or_default();
        *log = log.iter().copied().take(log.len() * keeps / 3).collect();
    }

    /// A directory fails, with what was on its way to it, and the broker says so.
    fn fail_directory(&mut self) {
        let broker = self.broker();
        let id = if self.draw(2) == 0 { directory(broker) } else { spare(broker) };
        if !self.running.contains(&broker) {
            return;
        }
        if self.works(broker) && self.cluster.partition().directory(BrokerId(broker)) == id {
            self.lose_tail(broker);
        }
        self.failed.entry(broker).or_default().insert(id);
        self.tell(broker, false).expect("it is registered");
    }

    fn tell(&mut self, broker: i32, wants_shutdown: bool) -> Result<Response, Rejection> {
        let failed = self.failed.get(&broker).into_iter().flatten();
        self.cluster.offline_log_dirs = failed.copied().collect();
        let offset = self.cluster.scene.next_offset;
        let response = self.cluster.heartbeat(broker, offset, (false, wants_shutdown));
        self.cluster.offline_log_dirs.clear();
        response
    }

    fn stop(&mut self) {
        let broker = self.broker();
        if !self.running.contains(&broker) {
            return;
        }
        for _ in 0..2 {
            let response = self.tell(broker, true);
            if let Ok(Response::Heartbeat { should_shut_down: true, .. }) = response {
                self.running.remove(&broker);
                self.markers.insert(broker, self.cluster.epoch(broker));
                return;
            }
            self.beat_all();
        }
    }

    fn start(&mut self) {
        let broker = self.broker();
        self.start_broker(broker);
    }

    fn start_broker(&mut self, broker: i32) {
        if self.running.insert(broker) {
            self.failed.remove(&broker);
            let previous = self.markers.remove(&broker);
            let log_dirs = vec![directory(broker), spare(broker)];
            let registration = Registration { log_dirs, ..self.cluster.registration(broker, previous) };
            self.cluster.register(registration).expect("its directory is its own");
        }
    }

    fn beat(&mut self) {
        let broker = self.broker();
        if self.running.contains(&broker) {
            self.tell(broker, false).expect("it is registered");
        }
    }

    fn beat_all(&mut self) {
        for broker in self.running.clone() {
            self.tell(broker, false).expect("it is registered");
        }
    }

    /// A replica that has caught up shall join, or some that are slow shall leave.
    fn propose(&mut self) {
        let Some(leader) = self.leads() else { return };
        let isr: Vec<i32> = self.cluster.partition().isr.iter().map(|id| id.0).collect();
        let chosen = self.broker();
        let is_replica = self.cluster.partition().replicas.contains(&BrokerId(chosen));
        let isr: Vec<i32> = if self.cluster.partition().is_recovering {
            vec![leader]
        } else if isr.contains(&chosen) {
            isr.into_iter().filter(|id| *id == leader || *id != chosen).collect()
        } else if is_replica && self.works(chosen) && !self.cluster.is_fenced(chosen) {
            self.logs.insert(chosen, self.logs[&leader].clone());
            isr.into_iter().chain([chosen]).collect()
        } else {
            return;
        };
        let proposal = self.cluster.proposal(&isr);
        self.proposals.push((self.cluster.epoch(leader), BrokerId(leader), proposal));
    }

    /// Some proposal arrives, if not the first time, then again.
    fn deliver(&mut self) {
        if self.proposals.is_empty() {
            return;
        }
        let index = self.draw(self.proposals.len());
        let (broker_epoch, broker_id, proposal) = self.proposals[index].clone();
        if self.draw(3) > 0 {
            self.proposals.swap_remove(index);
        }
        let partitions = vec![proposal];
        drop(self.cluster.scene.run(&Command::AlterPartition { broker_id, broker_epoch, partitions }));
    }

    fn reassign(&mut self) {
        let first = self.broker();
        let count = 1 + self.draw(3) as i32;
        let targets: Vec<i32> = (0..count).map(|step| 1 + (first + step) % 4).collect();
        match self.draw(4) {
            0 => drop(self.cluster.reassign(None)),
            1 => drop(self.cluster.elect(ElectionKind::Preferred)),
            _ => self.cluster.reassign(Some(&targets)).expect("all are registered"),
        }
    }

    fn check(&mut self) -> Checked {
        let of = self.cluster.partition().clone();
        let leader = (of.leader, of.leader_epoch);
        if leader != self.leader && of.is_recovering && of.leader != BrokerId::NONE {
            // Unclean, and known to be: what the new leader has is the truth.
            let log = &self.logs[&of.leader.0];
            self.committed.retain(|record| log.contains(record));
        }
        let is_fault = |what: &str| Err(format!("{what}: {}", self.cluster.show()));
        if leader.1 < self.leader.1 || (leader.0 != self.leader.0 && leader.1 == self.leader.1) {
            return is_fault("a leader has an epoch of its own");
        }
        self.leader = leader;
        let minimum = self.cluster.scene.controller.rules("t").min_insync(of.replicas.len());
        if of.isr.len() >= minimum && !of.elr.is_empty() {
            return is_fault("nobody is eligible while commits go on");
        }
        if of.elr.iter().any(|broker| of.isr.contains(broker) || !of.replicas.contains(broker)) {
            return is_fault("whoever is eligible is a replica outside the set");
        }
        if (of.leader == BrokerId::NONE) != of.isr.is_empty() {
            return is_fault("the set is empty while nobody leads, and only then");
        }
        let image = self.cluster.scene.controller.image();
        if of.isr.iter().any(|broker| !image.broker(*broker).is_some_and(|broker| broker.is_active())) {
            return is_fault("nobody fenced or stopping is in sync");
        }
        if of.isr.iter().any(|broker| self.running.contains(&broker.0) && !self.works(broker.0)) {
            return is_fault("nobody whose directory failed is in sync");
        }
        for broker in of.isr.iter().chain(&of.elr).map(|broker| broker.0) {
            let has_stopped_cleanly = self.markers.contains_key(&broker);
            let is_here = self.running.contains(&broker) || has_stopped_cleanly;
            if is_here && !self.committed.is_subset(&self.logs[&broker]) {
                return is_fault(&format!("{broker} lacks what was committed"));
            }
        }
        Ok(())
    }

    /// Everyone returns and catches up: the partition must be whole.
    fn heal(&mut self) -> Checked {
        self.proposals.clear();
        for broker in 1..=4 {
            // A directory that failed is used again when its process has ended.
            if self.failed.contains_key(&broker) {
                self.running.remove(&broker);
            }
            self.start_broker(broker);
            // One that is shutting down finishes that first.
            let is_stopping = |walk: &Self| {
                let image = walk.cluster.scene.controller.image();
                image.broker(BrokerId(broker)).is_some_and(|broker| broker.in_controlled_shutdown)
            };
            if is_stopping(self) {
                self.running.remove(&broker);
                self.start_broker(broker);
                self.cluster.beat(broker);
            }
        }
        self.beat_all();
        self.check()?;
        for _ in 0..6 {
            let Some(leader) = self.leads() else {
                return Err(format!("nobody leads: {}", self.cluster.show()));
            };
            let of = self.cluster.partition();
            let absent = of.replicas.iter().find(|broker| !of.isr.contains(broker)).copied();
            let mut isr: Vec<i32> = of.isr.iter().map(|id| id.0).collect();
            if !of.is_recovering {
                let log = self.logs[&leader].clone();
                absent.iter().for_each(|broker| drop(self.logs.insert(broker.0, log.clone())));
                isr.extend(absent.map(|broker| broker.0));
            }
            drop(self.cluster.propose(&isr));
            self.check()?;
        }
        let of = self.cluster.partition();
        let is_whole = of.isr.len() == of.replicas.len() && of.adding.is_empty() && of.removing.is_empty();
        if is_whole { Ok(()) } else { Err(format!("it does not become whole: {}", self.cluster.show())) }
    }
}

/// Walks on until something is wrong. Gives the number of walks that went well, and what went wrong then.
fn walk(switches: Switches, walks: u64) -> (u64, Checked) {
    for seed in 0..walks {
        let mut walk = Walk::new(switches, seed);
        let checked = (0..200).try_for_each(|_| walk.step()).and_then(|()| walk.heal());
        if let Err(fault) = checked {
            return (seed, Err(fault));
        }
    }
    (walks, Ok(()))
}

#[test]
fn whoever_is_in_sync_or_eligible_has_everything_that_was_committed() {
    assert_eq!(walk(Switches::default(), 400), (400, Ok(())));
}

#[cfg(feature = "museum")]
#[test]
fn walks_miss_each_guard_that_is_gone() {
    use crate::museum::Switch;
    let guards = [
        Switch::NoPartitionEpoch,
        Switch::NoBrokerEpoch,
        Switch::IsrAllowFenced,
        Switch::NoElr,
        Switch::ElrKeepUnclean,
        Switch::ElrSticky,
        Switch::ElrSurvivesMinIsrChange,
        Switch::ElectFenced,
        Switch::ReregistrationKeepsIsr,
    ];
    for guard in guards {
        let (walks, checked) = walk(Switches::default().with(guard), 5000);
        let fault = checked.expect_err(&format!("{guard:?}"));
        eprintln!("{guard:?}: walk {walks}: {fault}");
    }
}
