use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jangbu_core::env::{Clock, Env, Lane, Step, Stepper};
use sim::run::{Ended, run_seed};
use sim::world::{Crash, Exit, Settings};

use crate::toy::{add_client, add_echo, ms, pause, run};

#[test]
fn a_dead_incarnation_does_nothing_and_its_tasks_are_dropped() {
    let (ticks, dropped) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    struct Noted(Arc<AtomicU64>);
    impl Drop for Noted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let (seen, gone) = (ticks.clone(), dropped.clone());
    run(1, move |world| async move {
        let node = add_client(&world, "n", move |env| {
            let (ticks, dropped) = (ticks.clone(), dropped.clone());
            async move {
                let this = env.clone();
                let _task = env.spawn(Lane::Data, "ticker", async move {
                    let _noted = Noted(dropped);
                    loop {
                        pause(&this, ms(10)).await;
                        ticks.fetch_add(1, Ordering::Relaxed);
                    }
                });
                std::future::pending::<()>().await;
            }
        });
        world.sleep(ms(105)).await;
        assert_eq!(seen.load(Ordering::Relaxed), 10);
        assert!(world.crash(node, Crash::Process));
        assert!(!world.crash(node, Crash::Process), "it is down already");
        world.sleep(ms(100)).await;
        assert_eq!((seen.load(Ordering::Relaxed), gone.load(Ordering::Relaxed)), (10, 1));
        assert_eq!((world.tasks_alive(), world.last_exit(node)), (0, Some(Exit::Crashed(Crash::Process))));
        assert!(world.start(node));
        world.sleep(ms(105)).await;
        assert_eq!((seen.load(Ordering::Relaxed), world.starts(node)), (20, 2));
    });
}

#[test]
fn a_paused_node_stands_still_and_then_goes_on() {
    let ticks = Arc::new(AtomicU64::new(0));
    let seen = ticks.clone();
    run(2, move |world| async move {
        let node = add_client(&world, "n", move |env| {
            let ticks = ticks.clone();
            async move {
                loop {
                    pause(&env, ms(10)).await;
                    ticks.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        world.sleep(ms(55)).await;
        world.pause(node);
        world.sleep(ms(1000)).await;
        assert_eq!(seen.load(Ordering::Relaxed), 5);
        world.resume(node);
        world.sleep(ms(1)).await;
        assert_eq!(seen.load(Ordering::Relaxed), 6);
        world.sleep(ms(50)).await;
        assert_eq!(seen.load(Ordering::Relaxed), 11);
    });
}

#[test]
fn a_panic_ends_the_node_and_is_a_violation() {
    let outcome = run_seed(Settings::default(), 3, |world| async move {
        let node = add_client(&world, "n", |env| async move {
            let _task = env.spawn(Lane::Control, "clumsy", async { panic!("over its own feet") });
            std::future::pending::<()>().await;
        });
        world.sleep(ms(10)).await;
        assert!(!world.is_up(node) && matches!(world.last_exit(node), Some(Exit::Panicked(_))));
    });
    assert_eq!(outcome.ended, Ended::Finished(()));
    let message = &outcome.violations.first().expect("a violation").message;
    assert!(message.contains("over its own feet") && message.contains("lifecycle.rs"), "{message}");
}

#[test]
fn a_panic_of_the_scenario_leaves_the_outcome() {
    let outcome = run_seed::<(), _>(Settings::default(), 3, |world| async move {
        add_echo(&world, "n", false);
        world.sleep(ms(10)).await;
        panic!("the scenario is wrong");
    });
    assert!(matches!(&outcome.ended, Ended::Panicked(message) if message.contains("the scenario is wrong")));
    assert!(outcome.events == 0 && outcome.violations.is_empty());
}

#[test]
fn a_run_ends_at_its_first_violation_or_at_its_bound_of_events() {
    let settings = Settings { stop_at_violation: true, ..Settings::default() };
    let outcome = run_seed::<(), _>(settings, 3, |world| async move {
        world.sleep(ms(10)).await;
        world.violate("told_so", None, "as expected");
        std::future::pending().await
    });
    assert_eq!((outcome.ended, outcome.violations.len()), (Ended::Stopped, 1));
    let outcome =
        run_seed::<(), _>(Settings { events_max: 100, ..Settings::default() }, 3, |world| async move {
            add_client(&world, "n", |env| async move {
                loop {
                    pause(&env, ms(1)).await;
                }
            });
            std::future::pending().await
        });
    assert_eq!(outcome.violations.first().map(|violation| violation.check.as_str()), Some("event_budget"));
}

#[test]
fn timers_fire_to_the_nanosecond_and_in_order() {
    run(4, |world| async move {
        add_client(&world, "n", |env| async move {
            let start = env.clock().now();
            let mut last = start;
            for wait_ns in [50, 1_000, 999_999, 3_000_000, 1] {
                let deadline = env.clock().now() + std::time::Duration::from_nanos(wait_ns);
                env.clock().sleep_until(deadline).await;
                let now = env.clock().now();
                assert!(
                    now >= deadline && now.saturating_since(deadline).as_micros() < 2,
                    "{now:?} {deadline:?}"
                );
                assert!(now > last);
                last = now;
            }
        });
        world.sleep(ms(20)).await;
        assert_eq!(world.violations(), []);
    });
}

#[test]
fn a_stepper_takes_time_and_ends_with_whoever_waits_for_it() {
    struct Count(u64, Arc<AtomicU64>);
    impl Stepper for Count {
        type Output = u64;
        fn step(&mut self) -> Step<u64> {
            self.0 += 1;
            self.1.fetch_add(1, Ordering::Relaxed);
            if self.0 == 100 { Step::Done(self.0) } else { Step::More }
        }
    }
    let steps = Arc::new(AtomicU64::new(0));
    let seen = steps.clone();
    run(5, move |world| async move {
        let node = add_client(&world, "n", move |env| {
            let steps = steps.clone();
            async move {
                assert_eq!(env.run("count", Count(0, Arc::default())).await, 100);
                let this = env.clone();
                let task = env.spawn(Lane::Data, "gives up", async move {
                    this.run("count", Count(0, steps)).await;
                });
                pause(&env, ms(1)).await;
                drop(task);
                std::future::pending::<()>().await;
            }
        });
        world.sleep(ms(200)).await;
        assert!((1..50).contains(&seen.load(Ordering::Relaxed)), "{seen:?}");
        assert_eq!((world.violations(), world.tasks_alive(), world.is_up(node)), (vec![], 1, true));
    });
}

#[test]
fn a_node_is_asked_to_shut_down() {
    run(6, |world| async move {
        let node = world.add_node("n", |env| async move {
            env.shutdown_requested().await;
            pause(&env, ms(5)).await;
            Ok(())
        });
        world.start(node);
        world.sleep(ms(5)).await;
        world.request_shutdown(node);
        assert!(world.is_up(node));
        world.sleep(ms(6)).await;
        assert_eq!(world.last_exit(node), Some(Exit::Finished));
    });
}

#[test]
fn nothing_of_a_world_is_left_behind() {
    let weak = run(7, |world| async move {
        for name in ["a", "b"] {
            let node = add_echo(&world, name, true);
            world.start(node);
        }
        add_client(&world, "c", |env| async move {
            let _ = crate::toy::ask(&env, "a:9092", "hello").await;
        });
        world.sleep(ms(50)).await;
        Arc::downgrade(&world)
    });
    assert_eq!(weak.strong_count(), 0);
}
