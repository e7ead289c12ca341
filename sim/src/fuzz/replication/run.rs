//! Campaigns: many episodes, and the hunt for one guard that is off.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use jangbu_core::museum::{Switch, Switches};

use super::action::Action;
use super::check::Violation;
use super::generate::Generator;
use super::profile::Profile;
use super::report::Counts;
use super::shrink;
use super::world::World;
use crate::rng::Rng;

/// What a campaign runs.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The first seed.
    pub seed: u64,
    /// How many steps in all.
    pub steps: u64,
    /// Guards that are off.
    pub switches: Switches,
    /// CPU time after which it ends.
    pub cpu_limit: Option<Duration>,
}

/// A violation, with all that is needed to see it again.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The episode's seed.
    pub seed: u64,
    /// What is wrong.
    pub violation: Violation,
    /// The smallest schedule that shows it, as a test.
    pub script: String,
    /// How many steps are left in it.
    pub steps: usize,
}

/// What a campaign comes to.
#[derive(Clone, Debug)]
pub struct Report {
    /// What happened.
    pub counts: Counts,
    /// CPU time of this thread.
    pub cpu: Duration,
    /// The first violation; the campaign ends with it.
    pub failure: Option<Failure>,
}

/// A guard that was missed.
#[derive(Clone, Debug)]
pub struct Found {
    /// Steps until the violation.
    pub steps: u64,
    /// CPU time until then, shrinking not counted.
    pub cpu: Duration,
    /// The check.
    pub check: &'static str,
    /// The seed.
    pub seed: u64,
}

/// What the episode of a seed is like.
pub(super) fn profile_of(seed: u64, switches: Switches) -> Profile {
    Profile::draw(&mut Rng::from_seed(seed ^ 0x7265_706c_6963_6174), switches)
}

/// One episode. `schedule` gets its steps.
pub(super) fn episode(
    seed: u64,
    switches: Switches,
    schedule: &mut Vec<Action>,
    counts: &mut Counts,
) -> Result<(), Violation> {
    let mut rng = Rng::from_seed(seed ^ 0x7265_706c_6963_6174);
    let profile = Profile::draw(&mut rng, switches);
    let mut world = World::new(&profile);
    let mut generator = Generator::new(rng, profile.weights);
    schedule.clear();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        for _ in 0..profile.actions {
            let action = generator.next(&world);
            schedule.push(action);
            world.step(&action)?;
        }
        world.heal()
    }));
    world.counts.episodes = 1;
    *counts += &world.counts;
    outcome.unwrap_or_else(|_| {
        Err(Violation { check: "panic", message: "a machine's assertion failed".to_owned() })
    })
}

/// CPU time of this thread.
fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Runs episodes until a violation, or until the steps are done.
pub fn run(settings: &Settings) -> Report {
    let begin = cpu();
    let mut counts = Counts::default();
    let mut schedule = Vec::with_capacity(400);
    let mut seed = settings.seed;
    while counts.steps < settings.steps {
        if counts.episodes % 64 == 0 && settings.cpu_limit.is_some_and(|limit| cpu() - begin >= limit) {
            break;
        }
        if let Err(violation) = episode(seed, settings.switches, &mut schedule, &mut counts) {
            let cpu = cpu() - begin;
            return Report {
                counts,
                cpu,
                failure: Some(failure(seed, settings.switches, &schedule, violation)),
            };
        }
        seed += 1;
    }
    Report { counts, cpu: cpu() - begin, failure: None }
}

fn failure(seed: u64, switches: Switches, schedule: &[Action], violation: Violation) -> Failure {
    let profile = profile_of(seed, switches);
    let schedule = shrink::shrink(&profile, schedule, violation.check);
    let violation = match catch_unwind(|| shrink::replay(&profile, &schedule)) {
        Ok(Err(violation)) => violation,
        _ => violation,
    };
    let script = shrink::script(&profile, &schedule, &violation);
    Failure { seed, violation, script, steps: schedule.len() }
}

/// Looks for a violation with guards off, from a seed on.
pub fn find(switches: &[Switch], start_seed: u64, cpu_limit: Duration) -> Option<Found> {
    find_where(switches, start_seed, cpu_limit, |_| true)
}

/// The same, of one check: what another one finds first says nothing. For a guard that hides behind another one, whose
/// absence has symptoms of its own.
pub fn find_by(check: &str, switches: &[Switch], start_seed: u64, cpu_limit: Duration) -> Option<Found> {
    find_where(switches, start_seed, cpu_limit, |violation| violation.check == check)
}

fn find_where(
    switches: &[Switch],
    start_seed: u64,
    cpu_limit: Duration,
    is_it: impl Fn(&Violation) -> bool,
) -> Option<Found> {
    let switches = switches.iter().fold(Switches::default(), |all, switch| all.with(*switch));
    let begin = cpu();
    let mut counts = Counts::default();
    let mut schedule = Vec::with_capacity(400);
    for seed in start_seed.. {
        if let Err(violation) = episode(seed, switches, &mut schedule, &mut counts)
            && is_it(&violation)
        {
            let found = Found { steps: counts.steps, cpu: cpu() - begin, check: violation.check, seed };
            // What fails with all guards on too says nothing about this one.
            let (mut again, mut others) = (Vec::new(), Counts::default());
            if episode(seed, Switches::default(), &mut again, &mut others).is_ok() {
                return Some(found);
            }
        }
        if seed % 16 == 0 && cpu() - begin >= cpu_limit {
            return None;
        }
    }
    None
}
