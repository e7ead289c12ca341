//! The promises of [`Env::spawn`], [`Env::run`] and chance.

use std::collections::BTreeSet;
use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::BytesMut;

use super::net::connected;
use super::{Ground, pause, soon, within};
use crate::env::{Clock, Env, Lane, Listener, Net, Step, Stepper, StreamReader};

/// Says when it is dropped.
struct Guard(Arc<AtomicBool>);

impl Guard {
    fn new() -> (Self, Arc<AtomicBool>) {
        let dropped = Arc::new(AtomicBool::new(false));
        (Self(Arc::clone(&dropped)), dropped)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

async fn until<E: Env>(env: &E, what: &str, condition: impl Fn() -> bool + Send + Sync) {
    let reached = async {
        while !condition() {
            pause(env, Duration::from_millis(1)).await;
        }
    };
    soon(env, what, reached).await;
}

pub(super) async fn a_task_runs_and_is_finished<E: Env>(ground: Ground<E>) {
    for lane in [Lane::Control, Lane::Data] {
        let (guard, dropped) = Guard::new();
        let env = ground.env.clone();
        let task = ground.env.spawn(lane, "contract-short", async move {
            env.clock().sleep_until(env.clock().now() + Duration::from_millis(2)).await;
            drop(guard);
        });
        until(&ground.env, "a short task", || task.is_finished()).await;
        assert!(dropped.load(Ordering::SeqCst), "a finished task still holds its values");
    }
}

/// Spawns a task that waits for `wait` for ever, drops it and sees its destructors run.
async fn ends_while_waiting<E: Env>(
    ground: &Ground<E>,
    what: &'static str,
    wait: impl Future<Output = ()> + Send + 'static,
) {
    let (guard, dropped) = Guard::new();
    let started = Arc::new(AtomicBool::new(false));
    let says = Arc::clone(&started);
    let task = ground.env.spawn(Lane::Data, what, async move {
        let _guard = guard;
        says.store(true, Ordering::SeqCst);
        wait.await;
    });
    until(&ground.env, what, || started.load(Ordering::SeqCst)).await;
    pause(&ground.env, Duration::from_millis(2)).await;
    assert!(!task.is_finished(), "the task that waits for {what} ended by itself");
    drop(task);
    until(&ground.env, what, || dropped.load(Ordering::SeqCst)).await;
}

pub(super) async fn dropping_a_task_ends_it_wherever_it_waits<E: Env>(ground: Ground<E>) {
    let env = ground.env.clone();
    ends_while_waiting(&ground, "nothing", pending()).await;
    let clock = env.clock().clone();
    ends_while_waiting(&ground, "timers", async move {
        loop {
            clock.sleep_until(clock.now() + Duration::from_millis(1)).await;
        }
    })
    .await;
    let mut listener = env.net().listen(&format!("{}:0", ground.host)).await.expect("a free port");
    ends_while_waiting(&ground, "accept", async move {
        listener.accept().await.expect("nobody connects");
    })
    .await;
    let (mut ours, _theirs) = connected(&ground).await;
    ends_while_waiting(&ground, "read", async move {
        ours.0.read(&mut BytesMut::new()).await.expect("nobody writes");
    })
    .await;
    let checkpoints = env.clone();
    ends_while_waiting(&ground, "checkpoints", async move {
        loop {
            checkpoints.checkpoint().await;
            checkpoints.clock().sleep_until(checkpoints.clock().now() + Duration::from_micros(100)).await;
        }
    })
    .await;
    let stepping = env.clone();
    ends_while_waiting(&ground, "stepper", async move {
        stepping.run("contract-endless", Endless(Arc::new(AtomicU64::new(0)))).await;
    })
    .await;
}

pub(super) async fn dropping_a_task_runs_its_destructors_even_before_its_first_poll<E: Env>(
    ground: Ground<E>,
) {
    for lane in [Lane::Control, Lane::Data] {
        let (guard, dropped) = Guard::new();
        drop(ground.env.spawn(lane, "contract-stillborn", async move {
            let _guard = guard;
            pending::<()>().await;
        }));
        until(&ground.env, "the destructors of a task", || dropped.load(Ordering::SeqCst)).await;
    }
}

pub(super) async fn both_lanes_make_progress_beside_each_other<E: Env>(ground: Ground<E>) {
    let turns = [Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0))];
    let mut tasks = Vec::new();
    for (lane, turns) in [Lane::Control, Lane::Data].into_iter().zip(&turns) {
        let (env, turns) = (ground.env.clone(), Arc::clone(turns));
        tasks.push(ground.env.spawn(lane, "contract-turns", async move {
            loop {
                turns.fetch_add(1, Ordering::SeqCst);
                env.clock().sleep_until(env.clock().now() + Duration::from_millis(1)).await;
            }
        }));
    }
    until(&ground.env, "ten turns on each lane", || turns.iter().all(|t| t.load(Ordering::SeqCst) >= 10))
        .await;
    drop(tasks);
}

pub(super) async fn a_checkpoint_returns<E: Env>(ground: Ground<E>) {
    for _ in 0..100 {
        soon(&ground.env, "a checkpoint", ground.env.checkpoint()).await;
    }
}

/// A loop whose length a client chooses would otherwise keep its thread from everybody else.
pub(super) async fn a_long_run_of_checkpoints_gives_way<E: Env>(ground: Ground<E>) {
    let polls = Arc::new(AtomicU64::new(0));
    let (env, counted) = (ground.env.clone(), Arc::clone(&polls));
    let task = ground.env.spawn(Lane::Data, "contract-checkpoints", async move {
        let mut run = std::pin::pin!(async {
            for _ in 0..10_000 {
                env.checkpoint().await;
            }
        });
        poll_fn(|context| {
            counted.fetch_add(1, Ordering::SeqCst);
            run.as_mut().poll(context)
        })
        .await;
    });
    until(&ground.env, "ten thousand checkpoints", || task.is_finished()).await;
    let polls = polls.load(Ordering::SeqCst);
    assert!(polls >= 10, "ten thousand checkpoints gave way only {} times", polls - 1);
}

/// Counts its steps up to a number.
struct Counter {
    steps: u64,
    end: u64,
}

impl Stepper for Counter {
    type Output = u64;

    fn step(&mut self) -> Step<u64> {
        self.steps += 1;
        if self.steps == self.end { Step::Done(self.steps) } else { Step::More }
    }
}

/// Never ends.
struct Endless(Arc<AtomicU64>);

impl Stepper for Endless {
    type Output = ();

    fn step(&mut self) -> Step<()> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Step::More
    }
}

pub(super) async fn a_stepper_runs_to_its_end<E: Env>(ground: Ground<E>) {
    for end in [1, 2, 50] {
        let run = ground.env.run("contract-counter", Counter { steps: 0, end });
        assert_eq!(
            soon(&ground.env, "a stepper", run).await,
            end,
            "the stepper's result is not the last step's"
        );
    }
}

pub(super) async fn dropping_a_stepper_stops_it<E: Env>(ground: Ground<E>) {
    let steps = Arc::new(AtomicU64::new(0));
    let run = ground.env.run("contract-endless", Endless(Arc::clone(&steps)));
    let ended = within(&ground.env, Duration::from_millis(20), run).await;
    assert!(ended.is_none(), "a stepper without end ended");
    assert!(steps.load(Ordering::SeqCst) > 0, "a stepper made no step within 20 ms");
    // The step in progress may end, so wait until two looks agree.
    until(&ground.env, "a dropped stepper", {
        let (steps, last) = (Arc::clone(&steps), AtomicU64::new(0));
        move || {
            let now = steps.load(Ordering::SeqCst);
            last.swap(now, Ordering::SeqCst) == now
        }
    })
    .await;
    let stopped = steps.load(Ordering::SeqCst);
    pause(&ground.env, Duration::from_millis(20)).await;
    assert_eq!(steps.load(Ordering::SeqCst), stopped, "a dropped stepper goes on");
}

pub(super) async fn random_bits_differ<E: Env>(ground: Ground<E>) {
    let draws: BTreeSet<u64> = (0..64).map(|_| ground.env.random_u64()).collect();
    assert!(draws.len() > 60, "64 draws gave {} different numbers", draws.len());
    let ones: u32 = draws.iter().map(|draw| draw.count_ones()).sum();
    assert!((1_600..2_500).contains(&ones), "{ones} of 4096 bits are set");
}
