//! The course of a run: set-up, load under faults, healing, settling, reading out.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use jangbu_core::fact::Fact;
use jangbu_core::museum::Switches;
use jangbu_core::time::Instant;

use super::{Board, Phase};
use crate::case::Case;
use crate::fault::Stage;
use crate::model::{Seen, scan};
use crate::plan::{Entry, Plan};
use crate::workload;
use crate::world::{Exit, NodeId, World};

/// How long the first start and the creation of the topics may take.
const SET_UP: Duration = Duration::from_secs(60);
/// How often the director looks whether the clients are done.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Runs the body of a seed.
pub(super) async fn direct(world: Arc<World>, case: Case, plan: Plan, switches: Switches, board: Arc<Board>) {
    let case = Arc::new(case);
    let brokers = workload::brokers(&world, &case, switches);
    watch(&world, &board, brokers.clone());
    let mut stage = Stage::new(&world, &brokers, case.disk_bytes, case.restart_delay);
    for &node in &brokers {
        world.set_disk_capacity(node, case.disk_bytes);
        world.start(node);
    }
    workload::start_admin(&world, &case, &board);
    let director = Director { world: &world, board: &board, brokers: &brokers };
    for entry in plan.entries.iter().filter(|entry| entry.in_set_up) {
        director.strike(&mut stage, entry);
    }
    let deadline = world.now() + SET_UP;
    if !director.wait(&mut stage, deadline, || board.topic_ids().is_some()).await {
        world.violate(
            "liveness",
            None,
            format!("the topics were not created within {SET_UP:?} of the first start"),
        );
        return;
    }
    workload::start_clients(&world, &case, &board);
    director.faults(&mut stage, &case, &plan).await;
    director.settle(&mut stage, &case).await;
}

/// Shows facts and ends of nodes to the checks.
fn watch(world: &Arc<World>, board: &Arc<Board>, brokers: Vec<NodeId>) {
    let (facts_world, facts_board) = (world.clone(), board.clone());
    world.on_fact(Box::new(move |node, _, fact| {
        if let Fact::Recovered { partition, .. } = fact {
            let scan = scan(&facts_world, node, *partition);
            facts_board.see(&facts_world, Some(node), &Seen::Recovered { node, fact, scan: &scan });
        } else {
            facts_board.see(&facts_world, Some(node), &Seen::Fact { node, fact });
        }
    }));
    let (exits_world, exits_board) = (world.clone(), board.clone());
    world.on_exit(Box::new(move |node, _, exit| {
        // A client that has done its work simply ends.
        if *exit != Exit::WorldEnded && (brokers.contains(&node) || matches!(exit, Exit::Panicked(_))) {
            exits_board.see(&exits_world, Some(node), &Seen::Ended { node, exit });
        }
    }));
}

struct Director<'a> {
    world: &'a Arc<World>,
    board: &'a Board,
    brokers: &'a [NodeId],
}

impl Director<'_> {
    /// The safety phase: faults strike as planned.
    async fn faults(&self, stage: &mut Stage, case: &Case, plan: &Plan) {
        let begin = self.world.now();
        let end = begin + case.duration;
        let mut entries = plan.entries.iter().filter(|entry| !entry.in_set_up).peekable();
        loop {
            stage.catch_up();
            let now = self.world.now();
            while let Some(entry) = entries.next_if(|entry| begin + entry.at <= now) {
                self.strike(stage, entry);
            }
            if now >= end {
                return;
            }
            let next = entries.peek().map_or(end, |entry| (begin + entry.at).min(end));
            self.rest(stage, next).await;
        }
    }

    fn strike(&self, stage: &mut Stage, entry: &Entry) {
        let resolved = stage.strike(entry);
        self.board.struck(resolved);
        let node = resolved.and_then(|id| self.brokers.get(id as usize - 1)).copied();
        if let Some(node) = node {
            self.board.see(self.world, Some(node), &Seen::Struck { node, fault: entry.kind.name });
        }
    }

    /// The liveness phase: everything is healed, then everything must work again.
    async fn settle(&self, stage: &mut Stage, case: &Case) {
        stage.heal();
        self.world.heal_all();
        let deadline = self.world.now() + case.progress_within;
        self.board.set_phase(Phase::Settle);
        if !self.wait(stage, deadline, || self.board.unsettled().is_none()).await {
            let who = self.board.unsettled().unwrap_or_default();
            let what = match who.checked_sub(case.producers.len()) {
                None => format!("producer {} has not got a batch acknowledged on every partition", who + 1),
                Some(churner) => {
                    format!("churner {} has not found every topic it created in use", churner + 1)
                }
            };
            let message = format!("{:?} after the last fault was healed, {what}", case.progress_within);
            self.world.violate("liveness", None, message);
            return;
        }
        self.board.set_phase(Phase::ReadOut);
        if !self
            .wait(stage, deadline, || self.board.not_read_out().is_none() && self.board.behind().is_none())
            .await
        {
            let what = match (self.board.not_read_out(), self.board.behind()) {
                (Some(slot), _) => {
                    format!("{} could not be read from start to end", crate::check::slot_text(slot))
                }
                (None, Some(behind)) => behind,
                (None, None) => return,
            };
            let message = format!("{:?} after the last fault was healed, {what}", case.progress_within);
            self.world.violate("liveness", None, message);
        }
    }

    /// Goes on with what is planned until a condition holds; returns whether it came true in time.
    async fn wait(&self, stage: &mut Stage, deadline: Instant, done: impl Fn() -> bool) -> bool {
        loop {
            stage.catch_up();
            if done() {
                return true;
            }
            let now = self.world.now();
            if now >= deadline {
                return false;
            }
            self.rest(stage, deadline.min(now + LOOK_EVERY)).await;
        }
    }

    /// Waits until something is due, a node has ended, or it is `until`.
    async fn rest(&self, stage: &Stage, until: Instant) {
        let until = stage.next_follow_up().map_or(until, |at| at.min(until));
        let mut sleep = pin!(self.world.sleep_until(until));
        let mut rung = pin!(stage.rung());
        std::future::poll_fn(|context| {
            if rung.as_mut().poll(context).is_ready() || sleep.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            Poll::Pending
        })
        .await;
    }
}
