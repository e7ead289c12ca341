use std::io::{ErrorKind, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jangbu_core::env::{Disk, Env, File, Lane, OpenMode};
use sim::world::disk::{DiskError, Failure, Keep, Lost, Operation, PowerLoss, Strike, SyncLie};
use sim::world::{Crash, NodeId, World};

use crate::toy::{APPEND, LOG, OTHER, SYNC, add_client, log_of, ms, open_log, pause, run};

/// Adds a node that appends the given texts once, with a sync behind those that end in `!`.
fn add_writer(world: &Arc<World>, texts: &'static [&'static str]) -> NodeId {
    add_client(world, "writer", move |env| async move {
        if env.incarnation() > 1 {
            return;
        }
        let Ok(file) = open_log(&env).await else { return };
        for text in texts {
            let Ok(end) = file.len(OTHER) else { return };
            if file.write_at(APPEND, &[IoSlice::new(text.as_bytes())], end).is_err() {
                return;
            }
            if text.ends_with('!') && file.sync(SYNC).await.is_err() {
                return;
            }
        }
    })
}

const LOSES_ALL: Crash = Crash::Power(PowerLoss::EVERYTHING);

#[test]
fn the_page_cache_survives_the_process_and_only_synced_bytes_the_power() {
    run(1, |world| async move {
        let node = add_writer(&world, &["one,", "two!", "three,"]);
        world.sleep(ms(100)).await;
        world.restart(node, Crash::Process);
        world.sleep(ms(10)).await;
        assert_eq!(log_of(&world, node), "one,two!three,");
        world.restart(node, LOSES_ALL);
        world.sleep(ms(10)).await;
        assert_eq!(log_of(&world, node), "one,two!");
        assert_eq!(world.changes_pending(node, Path::new(LOG)), 0);
    });
}

#[test]
fn a_file_whose_directory_was_not_synced_may_lose_its_name() {
    let named: Vec<bool> = (0..20)
        .map(|seed| {
            run(seed, move |world| async move {
                let node = add_client(&world, "n", |env| async move {
                    let disk = env.disk();
                    disk.create_dir(OTHER, Path::new("/data")).expect("a healthy disk");
                    disk.sync_dir(OTHER, Path::new("/")).await.expect("a healthy disk");
                    let file = disk.create(OTHER, Path::new("/data/new")).expect("a healthy disk");
                    file.write_at(APPEND, &[IoSlice::new(b"bytes")], 0).expect("a healthy disk");
                    file.sync(SYNC).await.expect("a healthy disk");
                });
                world.sleep(ms(100)).await;
                world.crash(node, Crash::Power(PowerLoss { keep: Keep::Prefix, lost: Lost::Zeros }));
                world.files(node) == [(PathBuf::from("/data/new"), 5)]
            })
        })
        .collect();
    assert!(named.contains(&true) && named.contains(&false), "{named:?}");
}

#[test]
fn a_rename_is_whole_and_durable_only_after_the_directory_was_synced() {
    for syncs in [false, true] {
        run(3, move |world| async move {
            let node = add_client(&world, "n", move |env| async move {
                let disk = env.disk();
                let (old, new) = (Path::new("/checkpoint"), Path::new("/checkpoint.tmp"));
                for (path, text) in [(old, b"old"), (new, b"new")] {
                    let file = disk.create(OTHER, path).expect("a healthy disk");
                    file.write_at(APPEND, &[IoSlice::new(text)], 0).expect("a healthy disk");
                    file.sync(SYNC).await.expect("a healthy disk");
                }
                disk.sync_dir(OTHER, Path::new("/")).await.expect("a healthy disk");
                disk.rename(OTHER, new, old).expect("a healthy disk");
                if syncs {
                    disk.sync_dir(OTHER, Path::new("/")).await.expect("a healthy disk");
                }
            });
            world.sleep(ms(100)).await;
            assert_eq!(world.files(node).len(), 1);
            world.crash(node, LOSES_ALL);
            let expected: &[u8] = if syncs { b"new" } else { b"old" };
            assert_eq!(world.read_file(node, Path::new("/checkpoint")).as_deref(), Some(expected));
            assert_eq!(world.files(node).len(), if syncs { 1 } else { 2 });
        });
    }
}

#[test]
fn a_crash_strikes_before_halfway_through_or_after_a_write() {
    let strikes = |strike, seed| {
        run(seed, move |world| async move {
            let node = add_writer(&world, &["one,", "two,", "three,"]);
            // Open, create_dir, create, sync_dir, sync_dir, then len and write for each text.
            world.crash_at_disk_call(node, 9, strike, Crash::Process);
            world.sleep(ms(100)).await;
            assert!(!world.is_up(node));
            assert_eq!(world.tally().sites[&APPEND].crashes, 1);
            log_of(&world, node)
        })
    };
    assert_eq!(strikes(Strike::Before, 1), "one,");
    assert_eq!(strikes(Strike::After, 1), "one,two,");
    let halves: Vec<_> = (0..20).map(|seed| strikes(Strike::Halfway, seed)).collect();
    assert!(
        halves.iter().all(|text| "one,two".starts_with(text.as_str()) && text.starts_with("one,")),
        "{halves:?}"
    );
    assert!(halves.iter().any(|text| text == "one,tw"), "{halves:?}");
}

#[test]
fn a_crash_strikes_at_a_site_wherever_that_stands_among_the_calls() {
    run(1, |world| async move {
        let node = add_writer(&world, &["one,", "two!", "three,", "four!", "five"]);
        world.crash_at_site(node, "toy.sync", 2, Strike::After, LOSES_ALL);
        world.sleep(ms(100)).await;
        assert_eq!((world.is_up(node), log_of(&world, node).as_str()), (false, "one,two!three,four!"));
        let sites = world.tally().sites;
        assert_eq!((sites[&SYNC].calls, sites[&SYNC].crashes, sites[&APPEND].crashes), (2, 1, 0));
    });
}

#[test]
fn crashes_at_several_sites_wait_for_their_calls_and_one_of_the_same_site_takes_the_place_of_the_last() {
    run(1, |world| async move {
        let node = add_writer(&world, &["one,", "two!", "three,", "four!", "five"]);
        world.crash_at_site(node, "toy.sync", 1, Strike::Before, Crash::Process);
        world.crash_at_site(node, "toy.nowhere", 1, Strike::Before, Crash::Process);
        world.crash_at_site(node, "toy.sync", 2, Strike::After, Crash::Process);
        world.sleep(ms(100)).await;
        assert_eq!((world.is_up(node), log_of(&world, node).as_str()), (false, "one,two!three,four!"));
        assert_eq!(world.tally().sites[&SYNC].crashes, 1);
    });
}

#[test]
fn a_slow_disk_takes_its_time_for_every_call() {
    run(1, |world| async move {
        let node = add_writer(&world, &["one,", "two!", "three,", "four!"]);
        world.slow_disk(node, ms(100), ms(300));
        // Open, create_dir and create in one go; both directories; then len and write of "one,"; and so on.
        world.sleep(ms(1150)).await;
        assert_eq!(log_of(&world, node), "one,two!");
        world.heal_disk(node);
        world.sleep(ms(1000)).await;
        assert_eq!(log_of(&world, node), "one,two!three,four!");
    });
}

#[test]
fn a_sync_that_is_struck_may_or_may_not_have_happened() {
    for (strike, expected) in [(Strike::Before, ""), (Strike::Halfway, ""), (Strike::After, "one!")] {
        run(1, move |world| async move {
            let node = add_writer(&world, &["one!", "two!"]);
            world.crash_at_disk_call(node, 8, strike, LOSES_ALL);
            world.sleep(ms(100)).await;
            assert_eq!((world.is_up(node), log_of(&world, node).as_str()), (false, expected), "{strike:?}");
        });
    }
}

#[test]
fn a_failed_sync_loses_the_pages_and_the_next_one_says_all_is_well() {
    run(2, |world| async move {
        let results = Arc::new(AtomicU64::new(0));
        let seen = results.clone();
        let node = add_client(&world, "n", move |env| {
            let results = results.clone();
            async move {
                let file = open_log(&env).await.expect("a healthy disk");
                pause(&env, ms(50)).await;
                for (text, position) in [("one,", 0), ("two,", 4)] {
                    file.write_at(APPEND, &[IoSlice::new(text.as_bytes())], position)
                        .expect("writes succeed");
                    let bit = if file.sync(SYNC).await.is_ok() { 1 << position } else { 0 };
                    results.fetch_add(bit, Ordering::Relaxed);
                }
            }
        });
        world.sleep(ms(40)).await;
        world.add_disk_error(node, DiskError::next(Operation::Sync));
        world.sleep(ms(60)).await;
        assert_eq!(seen.load(Ordering::Relaxed), 1 << 4, "the first sync fails, the second succeeds");
        assert_eq!(log_of(&world, node), "one,two,", "the page cache has everything");
        world.crash(node, LOSES_ALL);
        assert_eq!(log_of(&world, node), "\0\0\0\0two,", "the medium has not");
    });
}

#[test]
fn an_error_can_be_aimed_at_any_later_call() {
    let written = |error: DiskError| {
        run(5, move |world| async move {
            let node = add_writer(&world, &["one!", "two,"]);
            world.add_disk_error(node, error);
            world.sleep(ms(100)).await;
            log_of(&world, node)
        })
    };
    let at_write =
        |calls_before, failure| DiskError { calls_before, failure, ..DiskError::next(Operation::Write) };
    assert!("one!".starts_with(&written(at_write(0, Failure::InputOutput))));
    let text = written(at_write(1, Failure::NoSpace));
    assert!(text.starts_with("one!") && "one!two,".starts_with(&text), "{text}");
    assert_eq!(written(at_write(2, Failure::InputOutput)), "one!two,");
    let any = |calls_before| DiskError { operation: None, ..at_write(calls_before, Failure::InputOutput) };
    assert_eq!(written(any(2)), "", "the third call creates the file");
    let full = DiskError { failure: Failure::NoSpace, ..any(1) };
    assert_eq!(
        written(full),
        "",
        "the first call only reads: a disk that is full has nothing to say against it"
    );
}

#[test]
fn errors_and_a_full_disk_leave_part_of_a_write() {
    let written = |seed, full: bool| {
        run(seed, move |world| async move {
            let node = add_writer(&world, &["one!", "two,"]);
            if full {
                world.set_disk_capacity(node, Some(6));
            } else {
                world.sleep(ms(1)).await;
                let below = Some(PathBuf::from("/data"));
                world.add_disk_error(
                    node,
                    DiskError { sticky: true, below, ..DiskError::next(Operation::Write) },
                );
            }
            world.sleep(ms(100)).await;
            log_of(&world, node)
        })
    };
    assert_eq!(written(1, true), "one!tw");
    let texts: Vec<_> = (0..10).map(|seed| written(seed, false)).collect();
    assert!(texts.iter().all(|text| "one!two".starts_with(text.as_str())), "{texts:?}");
}

#[test]
fn what_survives_of_unsynced_bytes_is_as_the_loss_says() {
    let survivor = |keep, lost, seed| {
        run(seed, move |world| async move {
            let node =
                add_writer(&world, &["synced!", "aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb", "cccccccccccccccc"]);
            world.sleep(ms(100)).await;
            world.crash(node, Crash::Power(PowerLoss { keep, lost }));
            log_of(&world, node)
        })
    };
    let full = "synced!aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbcccccccccccccccc";
    let prefixes: Vec<_> = (0..30).map(|seed| survivor(Keep::Prefix, Lost::Zeros, seed)).collect();
    assert!(prefixes.iter().all(|text| full.starts_with(text.as_str()) && text.starts_with("synced!")));
    assert!(prefixes.iter().any(|text| (text.len() - 7) % 16 != 0), "some write is torn");
    assert_eq!(survivor(Keep::Length, Lost::Zeros, 1), format!("synced!{}", "\0".repeat(48)));
    let holes: Vec<_> = (0..30).map(|seed| survivor(Keep::Sectors, Lost::Zeros, seed)).collect();
    assert!(holes.iter().any(|text| text.contains("\0\0\0\0") && text.ends_with('c')), "{holes:?}");
    let garbage: Vec<_> = (0..30).map(|seed| survivor(Keep::Sectors, Lost::Garbage, seed)).collect();
    assert!(garbage.iter().any(|text| text.chars().any(|symbol| !"synced!abc\0".contains(symbol))));
}

#[test]
fn a_disk_that_lies_loses_what_it_said_was_synced() {
    let never = SyncLie::Never;
    let later = SyncLie::Later { delay_ns: 100_000_000 };
    for (lie, wait, expected) in [(never, ms(500), ""), (later, ms(50), ""), (later, ms(500), "one!")] {
        run(4, move |world| async move {
            let node = add_client(&world, "n", |env| async move {
                let file = open_log(&env).await.expect("a healthy disk");
                pause(&env, ms(50)).await;
                file.write_at(APPEND, &[IoSlice::new(b"one!")], 0).expect("a healthy disk");
                file.sync(SYNC).await.expect("the disk says that all is well");
            });
            world.sleep(ms(40)).await;
            world.set_sync_lie(node, Some(lie));
            world.sleep(ms(20) + wait).await;
            world.crash(node, LOSES_ALL);
            assert_eq!(log_of(&world, node), expected, "{lie:?} after {wait:?}");
        });
    }
}

#[test]
fn a_lock_ends_with_its_incarnation_and_with_its_owner() {
    run(5, |world| async move {
        let node = add_client(&world, "n", |env| async move {
            let (disk, dir) = (env.disk(), Path::new("/"));
            let held = disk.lock(OTHER, dir).expect("the directory is free");
            assert_eq!(disk.lock(OTHER, dir).err().map(|error| error.kind()), Some(ErrorKind::WouldBlock));
            drop(held);
            let _held = disk.lock(OTHER, dir).expect("the directory is free again");
            std::future::pending::<()>().await;
        });
        world.sleep(ms(10)).await;
        world.restart(node, Crash::Process);
        world.sleep(ms(10)).await;
        assert_eq!((world.violations(), world.is_up(node)), (vec![], true));
    });
}

#[test]
fn a_stalled_disk_holds_up_its_lane_and_no_other() {
    let ticks: [Arc<AtomicU64>; 2] = Default::default();
    let seen = ticks.clone();
    run(6, move |world| async move {
        let node = add_client(&world, "n", move |env| {
            let ticks = ticks.clone();
            async move {
                let file = open_log(&env).await.expect("a healthy disk");
                let mut tasks = Vec::new();
                for (lane, count) in [Lane::Control, Lane::Data].into_iter().zip(ticks) {
                    let (this, file) = (env.clone(), file.clone());
                    tasks.push(env.spawn(lane, "ticker", async move {
                        loop {
                            if lane == Lane::Data {
                                file.write_at(APPEND, &[IoSlice::new(b"x")], 0)
                                    .expect("a slow disk is no error");
                            }
                            count.fetch_add(1, Ordering::Relaxed);
                            pause(&this, ms(10)).await;
                        }
                    }));
                }
                std::future::pending::<()>().await;
            }
        });
        world.sleep(ms(100)).await;
        world.stall_disk(node, ms(2000));
        let before = [0, 1].map(|lane: usize| seen[lane].load(Ordering::Relaxed));
        world.sleep(ms(1000)).await;
        let after = [0, 1].map(|lane: usize| seen[lane].load(Ordering::Relaxed));
        assert!(after[0] >= before[0] + 99, "{before:?} {after:?}");
        assert!(after[1] <= before[1] + 1, "{before:?} {after:?}");
    });
}

#[test]
fn bits_rot_and_files_are_cut_without_anyone_asking() {
    run(7, |world| async move {
        let node = add_writer(&world, &["aaaa!"]);
        world.sleep(ms(100)).await;
        assert!(world.flip_bit(node, Path::new(LOG), 1, 1));
        assert!(!world.flip_bit(node, Path::new(LOG), 100, 1));
        assert_eq!(log_of(&world, node), "acaa!");
        world.chop_file(node, Path::new(LOG), 3);
        world.crash(node, LOSES_ALL);
        assert_eq!(log_of(&world, node), "aca");
        world.replace_disk(node);
        assert!(world.files(node).is_empty());
    });
}

#[test]
fn a_removed_file_can_still_be_read_by_who_has_it_open() {
    run(8, |world| async move {
        add_client(&world, "n", |env| async move {
            let file = open_log(&env).await.expect("a healthy disk");
            file.write_at(APPEND, &[IoSlice::new(b"bytes")], 2).expect("a healthy disk");
            env.disk().remove_file(OTHER, Path::new(LOG)).expect("a healthy disk");
            let mut buffer = [9; 10];
            assert_eq!(file.read_at(OTHER, &mut buffer, 0).expect("a healthy disk"), 7);
            assert_eq!(&buffer[..8], b"\0\0bytes\x09");
            let missing = env.disk().open(OTHER, Path::new(LOG), OpenMode::Read).err();
            assert_eq!(missing.map(|error| error.kind()), Some(ErrorKind::NotFound));
        });
        world.sleep(ms(50)).await;
        assert_eq!(world.violations(), []);
    });
}
