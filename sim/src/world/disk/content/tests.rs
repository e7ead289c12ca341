use super::*;

/// The same file, kept as plainly as can be.
#[derive(Default)]
struct Model {
    cache: Vec<u8>,
    durable: Vec<u8>,
    /// Which changes reach the disk with the next syncs: number and change.
    pending: Vec<(u64, Plain)>,
}

#[derive(Clone)]
enum Plain {
    Write(usize, Vec<u8>),
    SetLen(usize),
}

impl Plain {
    fn apply(&self, image: &mut Vec<u8>) {
        match self {
            Plain::Write(_, bytes) if bytes.is_empty() => {}
            Plain::Write(position, bytes) => {
                image.resize(image.len().max(position + bytes.len()), 0);
                image[*position..position + bytes.len()].copy_from_slice(bytes);
            }
            Plain::SetLen(len) => image.resize(*len, 0),
        }
    }
}

fn random_change(rng: &mut Rng, len: usize) -> Plain {
    if rng.chance(0.2) {
        return Plain::SetLen(rng.below(len as u64 + 8) as usize);
    }
    // Mostly appends, as a log does.
    let position = if rng.chance(0.7) { len } else { rng.below(len as u64 + 8) as usize };
    let mut bytes = vec![0; rng.below(20) as usize];
    rng.fill(&mut bytes);
    Plain::Write(position, bytes)
}

fn change(content: &mut Content, model: &mut Model, plain: &Plain) {
    match plain {
        Plain::Write(position, bytes) => {
            let (left, right) = bytes.split_at(bytes.len() / 3);
            content.write(&[IoSlice::new(left), IoSlice::new(right)], *position, usize::MAX);
        }
        Plain::SetLen(len) => content.set_len(*len),
    }
    plain.apply(&mut model.cache);
    if matches!(plain, Plain::Write(_, bytes) if bytes.is_empty()) {
        return;
    }
    model.pending.push((content.mark() - 1, plain.clone()));
}

#[test]
fn the_durable_image_is_what_was_synced_whatever_came_between() {
    for seed in 0..2000 {
        let mut rng = Rng::from_seed(seed);
        let (mut content, mut model) = (Content::default(), Model::default());
        for _ in 0..rng.below(30) {
            match rng.below(10) {
                0 | 1 => {
                    // A sync that began some changes ago.
                    let mark = rng.within(content.mark().saturating_sub(3)..content.mark() + 1);
                    content.make_durable(mark);
                    let (synced, rest) = model.pending.drain(..).partition(|(number, _)| *number < mark);
                    model.pending = rest;
                    Vec::into_iter(synced)
                        .for_each(|(_, plain): (u64, Plain)| plain.apply(&mut model.durable));
                }
                2 if rng.chance(0.3) => {
                    let mark = content.mark();
                    content.lose_pages(mark);
                    model.pending.clear();
                }
                _ => {
                    let plain = random_change(&mut rng, model.cache.len());
                    change(&mut content, &mut model, &plain);
                }
            }
            assert_eq!(content.bytes(), model.cache, "seed {seed}");
            assert_eq!(content.durable_image(), model.durable, "seed {seed}");
        }
        content.lose_power(PowerLoss::EVERYTHING, &[], 512, &mut rng);
        assert_eq!(content.bytes(), model.durable, "seed {seed}");
        assert_eq!(content.changes_pending(), 0);
    }
}

#[test]
fn no_loss_of_power_touches_what_was_durable_and_not_changed_since() {
    for seed in 0..500 {
        let mut rng = Rng::from_seed(seed);
        let mut content = Content::default();
        content.write(&[IoSlice::new(&[7; 100])], 0, usize::MAX);
        content.make_durable(content.mark());
        for _ in 0..rng.below(8) {
            let len = content.len();
            content.write(&[IoSlice::new(&[1; 30])], len, usize::MAX);
        }
        content.lose_power(PowerLoss::ANYTHING, &[], 16, &mut rng);
        assert!(content.len() >= 100 && content.bytes()[..100] == [7; 100], "seed {seed}");
    }
}

#[test]
fn part_of_a_write_is_part_of_a_change() {
    let mut content = Content::default();
    content.write(&[IoSlice::new(b"one"), IoSlice::new(b"two")], 2, 4);
    assert_eq!(content.bytes(), b"\0\0onet");
    content.write(&[IoSlice::new(b"nothing")], 50, 0);
    assert_eq!(content.len(), 6);
    content.lose_power(PowerLoss { keep: Keep::Length, lost: Lost::Zeros }, &[], 512, &mut Rng::from_seed(1));
    assert_eq!(content.bytes(), [0; 6]);
}

#[test]
fn sectors_that_were_never_written_may_hold_what_a_removed_file_held_there() {
    let old: Vec<u8> = (0..64).collect();
    let mut found = 0;
    for seed in 0..200 {
        let mut content = Content::default();
        content.write(&[IoSlice::new(&[200; 64])], 0, 64);
        let loss = PowerLoss { keep: Keep::Sectors, lost: Lost::Garbage };
        content.lose_power(loss, &old, 16, &mut Rng::from_seed(seed));
        // At its old place, or at another that is as far into a sector.
        let is_stale = |sector: &[u8]| old.chunks(16).any(|stale| stale == sector);
        found += usize::from(content.bytes().chunks(16).any(is_stale));
        assert_eq!(content.changes_pending(), 0);
    }
    assert!((20..180).contains(&found), "{found}");
}
