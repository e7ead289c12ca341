//! A failing schedule as text: a test of the crate as it stands (`tests.rs`), and something to be played again.
//!
//! The first lines say which seed it comes from and which guards were off; from these the profile is drawn anew. The
//! steps are those of the seed's own schedule, so that lines may be taken out, repeated or moved, but not invented.

use std::panic::{AssertUnwindSafe, catch_unwind};

use jangbu_core::museum::{Switch, Switches};

use super::action::Action;
use super::check::Violation;
use super::profile::Profile;
use super::report::Counts;
use super::run::{episode, profile_of};
use super::shrink;
use super::world::World;
use crate::museum::label;

const SEED: &str = "// seed ";
const OFF: &str = "// off ";
const BEGIN: &str = "let schedule = [";
const END: &str = "];";

/// A schedule and what is needed to play it again.
pub fn text(
    profile: &Profile,
    switches: &[Switch],
    schedule: &[Action],
    violation: &Violation,
    seed: u64,
) -> String {
    let mut text = format!("{SEED}{seed}\n");
    for switch in switches {
        text.push_str(&format!("{OFF}{}\n", label(*switch).1));
    }
    text + &shrink::script(profile, schedule, violation)
}

/// What came of a script.
#[derive(Debug)]
pub struct Played {
    /// The steps, numbered, and how it ended.
    pub text: String,
    /// The invariant that broke, if one did.
    pub violation: Option<Violation>,
}

/// A script that was read.
#[derive(Debug)]
struct Script {
    profile: Profile,
    schedule: Vec<Action>,
}

/// Plays a script.
///
/// # Errors
/// For a line that is none of a script, or a script of another revision, whose seed was another episode.
pub fn play(script: &str) -> Result<Played, String> {
    let Script { profile, schedule } = read(script)?;
    let mut text = String::new();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(&profile);
        for (number, action) in (1..).zip(&schedule) {
            text.push_str(&format!("{number:>4}  {action:?}\n"));
            world.step(action)?;
        }
        text.push_str("      all is healed\n");
        world.heal()
    }));
    let panicked = |_| Err(Violation { check: "panic", message: "a machine's assertion failed".to_owned() });
    let violation = outcome.unwrap_or_else(panicked).err();
    text.push_str(&match &violation {
        Some(violation) => format!("VIOLATION {}: {}\n", violation.check, violation.message),
        None => "no invariant is broken\n".to_owned(),
    });
    Ok(Played { text, violation })
}

fn read(script: &str) -> Result<Script, String> {
    let seed = script.lines().find_map(|line| line.strip_prefix(SEED));
    let seed = seed.and_then(|seed| seed.trim().parse().ok()).ok_or_else(|| format!("no line `{SEED}N`"))?;
    let mut switches = Switches::default();
    for name in script.lines().filter_map(|line| line.strip_prefix(OFF)) {
        let known = Switch::ALL.iter().find(|(_, key, _)| *key == name.trim());
        switches = switches.with(known.ok_or_else(|| format!("`{name}` is no guard"))?.2);
    }
    let profile = profile_of(seed, switches);
    if !script.contains(&profile.as_code()) {
        return Err(format!("it is of another revision: seed {seed} draws another profile now"));
    }
    let mut known = Vec::new();
    let _ = episode(seed, switches, &mut known, &mut Counts::default());
    let lines = script.lines().enumerate().skip_while(|(_, line)| line.trim() != BEGIN).skip(1);
    let schedule = lines
        .map(|(index, line)| (index, line.split("//").next().unwrap_or_default().trim()))
        .take_while(|(_, line)| *line != END)
        .filter(|(_, line)| !line.is_empty())
        .map(|(index, line)| step(line, &known).ok_or_else(|| not_a_step(index, line, seed)))
        .collect::<Result<_, _>>()?;
    Ok(Script { profile, schedule })
}

fn step(line: &str, known: &[Action]) -> Option<Action> {
    let wanted = line.trim_end_matches(',').replace("Kind::", "");
    known.iter().find(|action| format!("{action:?}") == wanted).copied()
}

fn not_a_step(index: usize, line: &str, seed: u64) -> String {
    format!("line {}: `{line}` is no step of seed {seed}", index + 1)
}

#[cfg(test)]
mod tests {
    use super::super::hunt::{Hunt, run};
    use super::*;
    use std::time::Duration;

    fn failing(shrinks: bool) -> (Violation, String) {
        let switches = [Switch::NoMaximalIsr];
        let hunt = Hunt { shrinks, ..Hunt::planted(&switches, 1, Duration::from_secs(60)) };
        let failure = run(&hunt).failure.expect("the guard is missed");
        (failure.violation, failure.script)
    }

    #[test]
    fn a_failing_schedule_small_or_whole_plays_again_as_it_was_found() {
        for shrinks in [true, false] {
            let (violation, script) = failing(shrinks);
            assert_eq!(play(&script).expect("it is well-formed").violation, Some(violation), "{script}");
        }
    }

    #[test]
    fn a_line_taken_out_is_not_missed_and_one_made_up_is_named() {
        let (violation, script) = failing(true);
        let (before, steps) = script.split_once("let schedule = [\n").expect("a schedule");
        let (_, others) = steps.split_once('\n').expect("a step at least");
        let shorter = play(&format!("{before}{BEGIN}\n{others}")).expect("it is well-formed");
        assert_ne!(shorter.violation, Some(violation), "a small schedule has no step too many");
        let made_up = script.replace(BEGIN, "let schedule = [\n    Sleep { broker: 1 },");
        assert!(play(&made_up).expect_err("no such step").contains("`Sleep { broker: 1 },` is no step"));
        let other = script.replace("lag_ms: ", "lag_ms: 9");
        assert!(play(&other).expect_err("another profile").contains("another revision"));
        assert!(play("").expect_err("no seed").contains("seed"));
    }
}
