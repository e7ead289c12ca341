//! Schedules as text: commands, each followed by what it led to, indented. A failing schedule is printed in this form
//! and is a test as it stands, in `core/testdata/raft/`.
//!
//! ```text
//! # Why this is interesting.
//! cluster voters=3 controllers=0 brokers=0 static=no batch=4 seed=1
//! off commit-old-epoch
//! tick 0
//!   0 sends 1 pre-vote epoch 0, log 0@0
//! ```
//!
//! `off` takes a guard away; `run` delivers all messages in order and does all that waits for a disk, while no time
//! passes. All other commands are those of [`Choice`].

use jangbu_core::museum::{Switch, Switches};

use super::choice::Choice;
use super::cluster::{Cluster, Shape};
use super::settle;
use crate::fuzz::check::Violation;

/// What a script begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The cluster.
    pub shape: Shape,
    /// The most entries in a response.
    pub batch_entries: usize,
    /// The seed of the machines' random bits.
    pub seed: u64,
}

impl Header {
    /// Its line.
    pub fn text(&self) -> String {
        let Shape { voters, controllers, brokers, is_static } = self.shape;
        let fixed = if is_static { "yes" } else { "no" };
        format!(
            "cluster voters={voters} controllers={controllers} brokers={brokers} static={fixed} batch={} seed={}",
            self.batch_entries, self.seed
        )
    }

    fn parse(line: &str) -> Result<Self, String> {
        let mut header = Self {
            shape: Shape { voters: 3, controllers: 0, brokers: 0, is_static: false },
            batch_entries: 4,
            seed: 1,
        };
        for word in line.split_whitespace().skip(1) {
            let (key, value) = word.split_once('=').ok_or_else(|| format!("`{word}` is not key=value"))?;
            let number = || value.parse::<u64>().map_err(|_| format!("`{word}` needs a number"));
            match key {
                "voters" => header.shape.voters = number()? as usize,
                "controllers" => header.shape.controllers = number()? as usize,
                "brokers" => header.shape.brokers = number()? as usize,
                "static" => header.shape.is_static = value == "yes",
                "batch" => header.batch_entries = number()? as usize,
                "seed" => header.seed = number()?,
                _ => return Err(format!("a cluster has no `{key}`")),
            }
        }
        if header.shape.voters == 0 || header.shape.nodes() > 12 {
            return Err("a cluster has 1 to 12 nodes, and a voter among them".to_owned());
        }
        Ok(header)
    }
}

/// What came of a script.
#[derive(Debug)]
pub struct Played {
    /// The script with what each command led to.
    pub text: String,
    /// The invariant that broke, if one did.
    pub violation: Option<Violation>,
}

/// Plays a script; what a former play left in it is replaced, and what stands in front of its `cluster` line passed
/// over, as the output of the command that printed it.
///
/// # Errors
/// For a line that is no command, with its number, and when there is no script.
pub fn play(script: &str) -> Result<Played, String> {
    let mut text = String::new();
    let mut cluster: Option<Cluster> = None;
    let mut header = None;
    let mut switches = Switches::default();
    for (number, line) in script.lines().enumerate() {
        if line.starts_with("  ") {
            continue;
        }
        let command = line.split('#').next().unwrap_or_default().trim();
        let is_command = command == "run" || command.starts_with("off ") || Choice::parse(command).is_ok();
        if header.is_none() && !command.is_empty() && !command.starts_with("cluster ") && !is_command {
            continue; // what `sim fuzz raft` printed in front of the script
        }
        text.push_str(line);
        text.push('\n');
        let at = |error: String| format!("line {}: {error}", number + 1);
        match command.split_whitespace().next() {
            None => {}
            Some("cluster") => header = Some(Header::parse(command).map_err(at)?),
            Some("off") => switches = switches.with(switch(command).map_err(at)?),
            Some(_) => {
                let choice = if command == "run" { None } else { Some(Choice::parse(command).map_err(at)?) };
                let cluster = match &mut cluster {
                    Some(cluster) => cluster,
                    None => {
                        let header = header.ok_or_else(|| at("begin with a `cluster` line".to_owned()))?;
                        cluster.insert(begin(header, switches))
                    }
                };
                let is_done = match choice {
                    Some(choice) => choice.perform(cluster),
                    None => {
                        settle::deliver_all(cluster);
                        true
                    }
                };
                if !is_done {
                    cluster.note(|| "nothing".to_owned());
                }
                text.push_str(&cluster.transcript.replace(String::new()).unwrap_or_default());
                if cluster.violation.is_some() {
                    break;
                }
            }
        }
    }
    let Some(cluster) = cluster else {
        return Err("there is no script in it: a `cluster` line, then commands".to_owned());
    };
    Ok(Played { text, violation: cluster.violation })
}

fn begin(header: Header, switches: Switches) -> Cluster {
    let mut cluster = Cluster::new(header.shape, header.seed, switches);
    cluster.batch_entries = header.batch_entries;
    cluster.transcript = Some(String::new());
    cluster
}

fn switch(command: &str) -> Result<Switch, String> {
    let name = command.split_whitespace().nth(1).unwrap_or_default();
    let found = Switch::ALL.iter().find(|(_, key, _)| *key == name);
    found.map(|(_, _, switch)| *switch).ok_or_else(|| format!("`{name}` is no guard"))
}
