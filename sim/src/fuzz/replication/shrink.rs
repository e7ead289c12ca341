//! Failing schedules, made small: steps are taken out as long as the same check still fails (ddmin, Zeller and
//! Hildebrandt 2002).

use super::action::Action;
use super::check::Violation;
use super::profile::Profile;
use super::world::World;

/// Runs a schedule, then heals.
///
/// # Errors
/// When an invariant is violated.
pub fn replay(profile: &Profile, schedule: &[Action]) -> Result<World, Violation> {
    let mut world = World::new(profile);
    for action in schedule {
        world.step(action)?;
    }
    world.heal()?;
    Ok(world)
}

/// The smallest schedule found that still violates the same check.
pub fn shrink(profile: &Profile, schedule: &[Action], check: &str) -> Vec<Action> {
    let fails = |schedule: &[Action]| {
        let outcome = std::panic::catch_unwind(|| replay(profile, schedule));
        match outcome {
            Ok(Err(violation)) => violation.check == check,
            Ok(Ok(_)) => false,
            Err(_) => check == "panic",
        }
    };
    let mut schedule = schedule.to_vec();
    let mut chunk = schedule.len().div_ceil(2);
    while chunk > 0 {
        let mut at = 0;
        let mut removed = false;
        while at < schedule.len() {
            let mut shorter = schedule.clone();
            shorter.drain(at..(at + chunk).min(schedule.len()));
            if fails(&shorter) {
                schedule = shorter;
                removed = true;
            } else {
                at += chunk;
            }
        }
        if chunk == 1 && !removed {
            break;
        }
        chunk = if chunk == 1 { 1 } else { chunk / 2 };
    }
    schedule
}

/// The schedule as a test.
pub fn script(profile: &Profile, schedule: &[Action], violation: &Violation) -> String {
    let mut text = format!("// {}: {}\n", violation.check, violation.message);
    text.push_str(&format!("let profile = {};\n", profile.as_code()));
    text.push_str("let schedule = [\n");
    for action in schedule {
        let step = format!("{action:?}").replace("kind: ", "kind: Kind::");
        text.push_str(&format!("    {step},\n"));
    }
    text.push_str("];\nassert_eq!(violation(&profile, &schedule), None);\n");
    text
}
