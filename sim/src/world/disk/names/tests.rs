use jangbu_core::time::Instant;

use super::super::drive::{DiskSettings, Drive};
use super::super::power::Lost;
use super::*;
use crate::world::lock;

fn path(rng: &mut Rng) -> PathBuf {
    PathBuf::from(format!("/{}/{}", ["a", "b"][rng.below(2) as usize], rng.below(5)))
}

/// Creates, removes and renames at random; returns the names it touched.
fn change_at_random(names: &mut Names, rng: &mut Rng) -> BTreeSet<PathBuf> {
    let mut touched = BTreeSet::new();
    for _ in 0..rng.below(12) {
        let (first, second) = (path(rng), path(rng));
        let done = match rng.below(3) {
            0 => names.add_file(&first, Arc::default()),
            1 => names.remove(&first, false),
            _ => {
                let renamed = names.rename(&first, &second);
                if renamed.is_ok() {
                    touched.insert(second);
                }
                renamed
            }
        };
        if done.is_ok() {
            touched.insert(first);
        }
    }
    touched
}

fn listing(names: &Names) -> BTreeMap<PathBuf, usize> {
    names.files().into_iter().map(|(path, inode)| (path, Arc::as_ptr(&inode) as usize)).collect()
}

fn sync_all(names: &mut Names) {
    for path in ["/", "/a", "/b"] {
        let directory = names.directory(Path::new(path)).expect("it exists");
        names.make_durable(directory, names.mark());
    }
}

fn two_directories() -> Names {
    let mut names = Names::default();
    for path in ["/a", "/b"] {
        names.add_directory(Path::new(path)).expect("the name is free");
    }
    sync_all(&mut names);
    names
}

#[test]
fn after_a_loss_of_power_synced_names_are_there_and_no_file_has_two() {
    for seed in 0..3000 {
        let mut rng = Rng::from_seed(seed);
        let mut names = two_directories();
        change_at_random(&mut names, &mut rng);
        sync_all(&mut names);
        let synced = listing(&names);
        let mut touched = change_at_random(&mut names, &mut rng);
        if rng.chance(0.5) {
            let directory = names.directory(Path::new("/a")).expect("it exists");
            names.make_durable(directory, names.mark());
            touched.extend(change_at_random(&mut names, &mut rng));
        }
        let keep = if rng.chance(0.3) { Keep::Nothing } else { Keep::Any };
        names.lose_power(PowerLoss { keep, lost: Lost::Zeros }, &mut rng);
        let left = listing(&names);
        for (path, inode) in synced.iter().filter(|(path, _)| !touched.contains(*path)) {
            assert_eq!(left.get(path), Some(inode), "seed {seed}: {}", path.display());
        }
        let files: BTreeSet<_> = left.values().collect();
        assert_eq!(files.len(), left.len(), "seed {seed}: a file has two names");
    }
}

#[test]
fn a_directory_that_was_synced_is_as_processes_saw_it() {
    for seed in 0..1000 {
        let mut rng = Rng::from_seed(seed);
        let mut names = two_directories();
        change_at_random(&mut names, &mut rng);
        let directory = names.directory(Path::new("/a")).expect("it exists");
        names.make_durable(directory, names.mark());
        let below = |names: &Names| -> Vec<_> {
            listing(names).into_iter().filter(|(path, _)| path.starts_with("/a")).collect()
        };
        let before = below(&names);
        names.lose_power(PowerLoss::EVERYTHING, &mut rng);
        assert_eq!(below(&names), before, "seed {seed}");
    }
}

#[test]
fn a_change_made_during_a_sync_is_not_covered_by_it() {
    let mut names = two_directories();
    let directory = names.directory(Path::new("/a")).expect("it exists");
    names.add_file(Path::new("/a/early"), Arc::default()).expect("the name is free");
    let mark = names.mark();
    names.add_file(Path::new("/a/late"), Arc::default()).expect("the name is free");
    names.make_durable(directory, mark);
    names.lose_power(PowerLoss::EVERYTHING, &mut Rng::from_seed(1));
    let left: Vec<_> = names.files().into_iter().map(|(path, _)| path).collect();
    assert_eq!(left, [PathBuf::from("/a/early")]);
}

#[test]
fn what_lies_below_a_directory_that_was_lost_is_lost_too() {
    let mut names = Names::default();
    names.add_directory(Path::new("/a")).expect("the name is free");
    names.add_file(Path::new("/a/file"), Arc::default()).expect("the name is free");
    let directory = names.directory(Path::new("/a")).expect("it exists");
    names.make_durable(directory, names.mark());
    names.lose_power(PowerLoss::EVERYTHING, &mut Rng::from_seed(1));
    assert!(names.find(Path::new("/a")).expect("the root exists").is_none());
    assert!(names.all_inodes().is_empty());
}

#[test]
fn after_a_loss_of_power_no_file_holds_a_byte_that_never_passed_through_it() {
    let mut came_back = 0;
    for seed in 0..2000 {
        let mut rng = Rng::from_seed(seed);
        let drive = Drive::new(DiskSettings::default());
        lock(&drive.state).names = two_directories();
        // A checkpoint that is written anew again and again, and nothing is ever synced.
        for round in 0..4 {
            let mut state = lock(&drive.state);
            let (new, name) = (Path::new("/a/checkpoint.tmp"), Path::new("/a/checkpoint"));
            let inode: Arc<Inode> = Arc::default();
            inode.write(&[round; 100]);
            state.names.add_file(new, inode).expect("the name is free");
            state.names.rename(new, name).expect("it exists");
            if rng.chance(0.3) {
                state.names.remove(name, false).expect("it exists");
            }
        }
        let loss = if rng.chance(0.5) { PowerLoss::EVERYTHING } else { PowerLoss::ANYTHING };
        drive.lose_power(Instant(0), loss, &mut rng);
        for (path, inode) in lock(&drive.state).names.files() {
            came_back += 1;
            assert_eq!(inode.changes_pending(), 0, "seed {seed}: {}", path.display());
            assert_eq!(inode.to_vec(), inode.durable_image(), "seed {seed}: {}", path.display());
        }
    }
    assert!(came_back > 100, "{came_back}");
}
