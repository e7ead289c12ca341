//! The promises of [`Clock`].

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use super::{Ground, pause, soon, within};
use crate::env::{Clock, Env, Lane};
use crate::time::Instant;

pub(super) async fn the_monotonic_clock_never_goes_back<E: Env>(ground: Ground<E>) {
    let clock = ground.env.clock();
    let mut last = clock.now();
    for _ in 0..100 {
        let now = clock.now();
        assert!(now >= last, "the clock went back from {last:?} to {now:?}");
        last = now;
    }
    pause(&ground.env, Duration::from_millis(5)).await;
    assert!(clock.now() > last, "the clock stood still over a wait of 5 ms");
    assert!(clock.wall().0 > 0, "the wall clock shows a time before 1970");
}

pub(super) async fn a_deadline_in_the_past_returns_at_once<E: Env>(ground: Ground<E>) {
    let clock = ground.env.clock();
    pause(&ground.env, Duration::from_millis(2)).await;
    for deadline in [Instant(0), clock.now()] {
        let mut sleep = pin!(clock.sleep_until(deadline));
        let at_once = poll_fn(|context| Poll::Ready(sleep.as_mut().poll(context).is_ready())).await;
        assert!(at_once, "sleep_until waits although its deadline has been reached");
    }
}

pub(super) async fn a_timer_never_fires_early<E: Env>(ground: Ground<E>) {
    let clock = ground.env.clock();
    for micros in [1, 999, 1_000, 1_001, 7_300] {
        let deadline = clock.now() + Duration::from_micros(micros);
        soon(&ground.env, "a short sleep", clock.sleep_until(deadline)).await;
        assert!(clock.now() >= deadline, "a timer of {micros} us fired before its deadline");
    }
    let far = clock.now() + Duration::from_secs(u64::MAX);
    let slept = within(&ground.env, Duration::from_millis(10), clock.sleep_until(far)).await;
    assert!(slept.is_none(), "a deadline at the end of time was reached");
}

/// How far the deadlines lie apart.
const APART: Duration = Duration::from_millis(20);

pub(super) async fn timers_fire_in_the_order_of_their_deadlines<E: Env>(ground: Ground<E>) {
    for _ in 0..10 {
        let (woken, latest) = wake_in_turn(&ground.env).await;
        // A machine that stalls for longer than the deadlines lie apart proves nothing: then they fire together.
        if latest < APART {
            let ordered: Vec<u32> = (0..8).collect();
            assert_eq!(woken, ordered, "timers fired out of order");
            return;
        }
    }
    // Ten stalls in a row: this machine cannot tell.
}

/// Sets eight timers and returns the order in which they fired and by how much the latest was late.
async fn wake_in_turn<E: Env>(env: &E) -> (Vec<u32>, Duration) {
    let woken = Arc::new(Mutex::new((Vec::new(), Duration::ZERO)));
    let start = env.clock().now() + Duration::from_millis(10);
    let mut tasks = Vec::new();
    for turn in [5_u32, 1, 7, 0, 3, 6, 2, 4] {
        let (env_of_task, woken) = (env.clone(), Arc::clone(&woken));
        let deadline = start + APART * turn;
        tasks.push(env.spawn(Lane::Data, "contract-timer", async move {
            env_of_task.clock().sleep_until(deadline).await;
            let late = env_of_task.clock().now().saturating_since(deadline);
            let mut woken = woken.lock().expect("no panic under this lock");
            woken.0.push(turn);
            woken.1 = woken.1.max(late);
        }));
    }
    let all = async {
        while tasks.iter().any(|task| !task.is_finished()) {
            pause(env, Duration::from_millis(5)).await;
        }
    };
    soon(env, "eight timers", all).await;
    woken.lock().expect("no panic under this lock").clone()
}

pub(super) async fn a_cancelled_timer_is_harmless<E: Env>(ground: Ground<E>) {
    let clock = ground.env.clock();
    let deadline = clock.now() + Duration::from_millis(30);
    for _ in 0..5 {
        let early = within(&ground.env, Duration::from_millis(1), clock.sleep_until(deadline)).await;
        if early.is_some() {
            assert!(clock.now() >= deadline, "a timer fired early");
        }
    }
    soon(&ground.env, "a timer after cancelled ones", clock.sleep_until(deadline)).await;
    assert!(clock.now() >= deadline, "a timer fired early");
}
