//! The process that runs seeds, one after the other, each on a fresh thread; and the handle its parent has on it.
//!
//! A seed that spins inside one poll cannot be ended from within its process, and one that aborts takes the process
//! along. So seeds run in children: the parent gives each a limit of processor time, kills the child that exceeds it,
//! names the seed and goes on with a new child. Real time says nothing of a seed: a busy machine would fail it.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::outcome::{Job, Outcome, Request};
use crate::plan::Plan;
use crate::scenario::{self, Scenario};
use crate::simulate;

/// How often a seed is asked how much processor time it has used.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// What gets less than this part of one processor waits for something that never comes, however busy the machine is.
const STANDS_STILL: u32 = 1_000;
/// Linux counts the time of processes in these, on all machines (`USER_HZ`).
const TICKS_PER_SECOND: u64 = 100;

/// The hidden command that makes a process a worker.
pub const COMMAND: &str = "worker";

/// Serves requests from stdin until it closes.
///
/// # Errors
/// When the job cannot be understood, or the parent is gone.
pub fn serve() -> anyhow::Result<()> {
    let mut lines = io::stdin().lock().lines();
    let first = lines.next().ok_or_else(|| anyhow::anyhow!("a worker is started by `sim` alone"))??;
    let prepared = Prepared::new(serde_json::from_str(&first)?)?;
    for line in lines {
        let request: Request = serde_json::from_str(&line?)?;
        let outcomes: Vec<Outcome> = (0..request.runs).map(|_| prepared.run(&request)).collect();
        let mut answer = serde_json::to_vec(&outcomes)?;
        answer.push(b'\n');
        let mut stdout = io::stdout().lock();
        stdout.write_all(&answer)?;
        stdout.flush()?;
    }
    Ok(())
}

/// A job with its files read.
struct Prepared {
    job: Job,
    scenario: Scenario,
    plan: Option<Plan>,
}

impl Prepared {
    fn new(job: Job) -> anyhow::Result<Self> {
        let scenario = scenario::load(&job.scenario)?;
        let mut plan = job.replay.as_deref().map(Plan::load).transpose()?;
        if let Some(plan) = &mut plan {
            match job.pin {
                true => plan.pin(),
                false => plan.unpin(),
            }
        }
        Ok(Self { job, scenario, plan })
    }

    /// One run on a fresh thread. Its cost is read here, outside the simulated runtime: a thread's own statistics lag
    /// behind by up to a tick of the kernel.
    fn run(&self, request: &Request) -> Outcome {
        let before = cpu_ns();
        let mut outcome = simulate::run(&self.scenario, &self.job, self.plan.as_ref(), request);
        outcome.cpu_ns = cpu_ns() - before;
        outcome
    }
}

fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// A worker process, from the outside.
pub struct Worker {
    child: Child,
    stdin: ChildStdin,
    answers: Receiver<io::Result<String>>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The seed used more than its processor time, or stood still, and was killed.
    TooLong,
    /// The process ended; how.
    Died(String),
}

impl Worker {
    /// Starts a process for a job.
    ///
    /// # Errors
    /// When no process can be started.
    pub fn start(job: &Job) -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(COMMAND)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()?;
        let mut stdin = child.stdin.take().expect("it is piped");
        let stdout = child.stdout.take().expect("it is piped");
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        serde_json::to_writer(&mut stdin, job)?;
        stdin.write_all(b"\n")?;
        Ok(Self { child, stdin, answers })
    }

    /// Runs a seed.
    ///
    /// # Errors
    /// When the seed took too long or took the process along; the worker is of no use afterwards.
    pub fn ask(&mut self, request: &Request, limit: Duration) -> Result<Vec<Outcome>, Lost> {
        let mut line = serde_json::to_vec(request).expect("a request is plain data");
        line.push(b'\n');
        if self.stdin.write_all(&line).and_then(|()| self.stdin.flush()).is_err() {
            return Err(self.died());
        }
        let limit = limit * request.runs;
        let (used_before, mut looks) = (self.cpu(), 0);
        loop {
            match self.answers.recv_timeout(LOOK_EVERY.min(limit)) {
                Ok(Ok(answer)) => {
                    return serde_json::from_str(&answer).map_err(|error| Lost::Died(error.to_string()));
                }
                Ok(Err(error)) => return Err(Lost::Died(error.to_string())),
                Err(RecvTimeoutError::Disconnected) => return Err(self.died()),
                Err(RecvTimeoutError::Timeout) => {
                    let used = self.cpu().zip(used_before).map(|(now, before)| now.saturating_sub(before));
                    looks += 1;
                    // Looks, not the clock: of a machine that was put to sleep this process too knows nothing.
                    if is_over(used, LOOK_EVERY.min(limit) * looks, limit) {
                        let _ = self.child.kill();
                        return Err(Lost::TooLong);
                    }
                }
            }
        }
    }

    /// Processor time that the process has used, as its kernel counts it; `None` where there is no /proc.
    fn cpu(&self) -> Option<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        // The name, in parentheses, may hold blanks; user and system time are the 12th and 13th field behind it.
        let mut fields = stat.rsplit(')').next()?.split_whitespace().skip(11);
        let ticks = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
        Some(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
    }

    fn died(&mut self) -> Lost {
        Lost::Died(self.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string()))
    }
}

/// Whether a seed has had its limit of processor time; or, when it has stood still, as long in real time. Where nobody
/// counts processor time, real time must do.
fn is_over(used: Option<Duration>, elapsed: Duration, limit: Duration) -> bool {
    match used {
        Some(used) => used >= limit || elapsed >= limit && used < elapsed / STANDS_STILL,
        None => elapsed >= limit,
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_machine_fails_no_seed_and_one_that_spins_or_waits_for_ever_ends() {
        let (limit, seconds) = (Duration::from_secs(60), Duration::from_secs);
        assert!(
            !is_over(Some(seconds(9)), seconds(3600), limit),
            "it got little of the machine, and used it"
        );
        assert!(is_over(Some(seconds(60)), seconds(61), limit), "it spins");
        assert!(
            is_over(Some(Duration::from_millis(20)), seconds(60), limit),
            "it waits for what never comes"
        );
        assert!(!is_over(Some(Duration::ZERO), seconds(59), limit), "it may yet go on");
        assert!(is_over(None, seconds(60), limit), "nobody counts its time");
    }
}
