use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

use jangbu_core::env::{Disk, Env, File, OpenMode};
use jangbu_core::fact::Fact;
use jangbu_core::ids::{Offset, TopicPartition};
use sim::run::{Outcome, run_seed};
use sim::trace::{Recording, first_divergence};
use sim::world::disk::PowerLoss;
use sim::world::{Crash, Plant, Settings, World};

use crate::toy::{APPEND, OTHER, add_client, add_echo, ask, ms, pause};

/// Two servers, two clients, crashes and cuts: something of everything.
async fn everything(world: Arc<World>) {
    let servers = [add_echo(&world, "s0", true), add_echo(&world, "s1", false)];
    for server in servers {
        world.start(server);
    }
    for client in 0..2 {
        add_client(&world, &format!("c{client}"), move |env| async move {
            for number in 0..200 {
                let (address, text) = (format!("s{}:9092", number % 2), format!("{client}:{number};"));
                tokio::select! {
                    biased;
                    _ = ask(&env, &address, &text) => {}
                    () = pause(&env, ms(30)) => {}
                }
                pause(&env, ms(1)).await;
            }
        });
    }
    let mut faults = world.stream("plan");
    for _ in 0..6 {
        world.sleep(ms(faults.within(5..40))).await;
        let server = servers[faults.below(2) as usize];
        match faults.below(3) {
            0 => world.restart(server, Crash::Process),
            1 => world.restart(server, Crash::Power(PowerLoss::ANYTHING)),
            _ => {
                world.cut(servers[0], world.nodes()[2]);
                world.sleep(ms(20)).await;
                world.heal_all();
            }
        }
    }
    world.sleep(ms(300)).await;
}

fn outcome_of(seed: u64, settings: Settings) -> Outcome<()> {
    run_seed(settings, seed, everything)
}

fn hash_of(seed: u64) -> u64 {
    let outcome = outcome_of(seed, Settings::default());
    assert!(outcome.violations.is_empty(), "{:?}", outcome.violations);
    assert!(outcome.events > 2000, "only {} events", outcome.events);
    outcome.trace_hash
}

#[test]
fn a_seed_is_the_same_run_alone_again_after_others_and_beside_others() {
    let first = hash_of(11);
    assert_eq!(first, hash_of(11));
    for seed in 0..5 {
        assert_ne!(first, hash_of(seed));
    }
    assert_eq!(first, hash_of(11));
    let beside: Vec<_> = (0..4).map(|_| std::thread::spawn(|| hash_of(11))).collect();
    for thread in beside {
        assert_eq!(first, thread.join().expect("the run ended"));
    }
}

#[test]
fn recording_events_for_people_changes_nothing() {
    let silent = outcome_of(3, Settings::default());
    let recording = Recording::Window(1000..1100);
    let recorded = outcome_of(3, Settings { recording, ..Settings::default() });
    assert_eq!(silent.trace_hash, recorded.trace_hash);
    assert_eq!(recorded.kept.len(), 100);
    let ring = outcome_of(3, Settings { recording: Recording::Last(5000), ..Settings::default() });
    assert!(ring.kept.iter().any(|event| event.text.contains("Crashed")), "{:?}", ring.kept);
}

#[test]
fn every_planted_leak_is_noticed_though_it_notes_nothing_itself() {
    for leak in Plant::LEAKS {
        for attempt in 0..5 {
            let run = || {
                run_seed(Settings::default(), 5, move |world| {
                    world.plant(leak);
                    everything(world)
                })
            };
            let (first, second) = (run(), run());
            assert_ne!(first.trace_hash, second.trace_hash, "{leak:?}, attempt {attempt}");
            assert_eq!(first_divergence(&first.checkpoints, &second.checkpoints).start, 0, "{leak:?}");
        }
    }
}

/// The hash of a run in which a node writes two files, and tells a fact.
fn hash_of_writes(order: [&'static str; 2], log_end: i64) -> u64 {
    let outcome = run_seed(Settings::default(), 1, move |world| async move {
        add_client(&world, "n", move |env| async move {
            let disk = env.disk();
            for path in ["/a", "/b"] {
                disk.create(OTHER, Path::new(path)).expect("a healthy disk");
            }
            for path in order {
                let file = disk.open(OTHER, Path::new("/a"), OpenMode::Write).expect("a healthy disk");
                let other = disk.open(OTHER, Path::new("/b"), OpenMode::Write).expect("a healthy disk");
                let file = if path == "/a" { file } else { other };
                file.write_at(APPEND, &[IoSlice::new(b"x")], 0).expect("a healthy disk");
            }
            env.observe(&Fact::Truncated { partition: TopicPartition::METADATA, log_end: Offset(log_end) });
        });
        world.sleep(ms(10)).await;
    });
    outcome.trace_hash
}

#[test]
fn the_order_in_which_two_files_get_equal_bytes_is_in_the_hash_and_so_is_what_a_fact_says() {
    let base = hash_of_writes(["/a", "/b"], 1);
    assert_eq!(base, hash_of_writes(["/a", "/b"], 1));
    assert_ne!(base, hash_of_writes(["/b", "/a"], 1));
    assert_ne!(base, hash_of_writes(["/a", "/b"], 2));
}

#[test]
fn a_draw_without_any_other_effect_is_in_the_hash() {
    let hash = |draws: bool| {
        let outcome = run_seed(Settings::default(), 1, move |world| async move {
            add_client(&world, "n", move |env| async move {
                if draws {
                    env.checkpoint().await;
                } else {
                    // Every other checkpoint waits for the next poll; this one always does.
                    pause(&env, ms(0)).await;
                }
                pause(&env, ms(1)).await;
            });
            world.sleep(ms(10)).await;
        });
        outcome.trace_hash
    };
    assert_eq!(hash(true), hash(true));
    assert_ne!(hash(true), hash(false));
}
