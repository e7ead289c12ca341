//! `--record FILE`: one line per campaign, so that what was run adds up over the revisions.

use std::fs::OpenOptions;
use std::path::Path;
use std::process::Command;

use crate::report::{Ending, revision};
use crate::trace::hash_bytes;

/// The columns; `reports/README.md` says what they mean.
pub const COLUMNS: [&str; 11] = [
    "date",
    "revision",
    "tree",
    "tool",
    "subject",
    "seeds",
    "steps",
    "simulated_seconds",
    "cpu_seconds",
    "per_million_steps",
    "verdict",
];

/// What decides how a seed runs.
const SOURCES: [&str; 4] = ["core", "sim", "scenarios", "Cargo.lock"];

/// A campaign that has ended.
#[derive(Clone, Debug, Default)]
pub struct Campaign {
    /// The command without its options.
    pub tool: String,
    /// The scenario, or the guards that were off.
    pub subject: String,
    /// Seeds that ran.
    pub seeds: u64,
    /// Steps of a fuzzer, or events of the simulator.
    pub steps: u64,
    /// Of the simulator's clock; the fuzzers' machines have several.
    pub simulated_seconds: Option<f64>,
    /// Of all threads or processes.
    pub cpu_seconds: f64,
    /// What has floors, per million steps.
    pub per_million: Vec<(&'static str, f64)>,
    /// `passed`, or what went wrong.
    pub verdict: String,
}

/// How a campaign ended, in a word or two.
pub fn verdict(ending: Ending, check: Option<&str>) -> String {
    match (ending, check) {
        (Ending::Passed, _) => "passed".to_owned(),
        (_, Some(check)) => format!("violated {check}"),
        (Ending::Violated, None) => "violated".to_owned(),
        (Ending::Stuck, None) => "stuck".to_owned(),
        (Ending::Differed, None) => "differed".to_owned(),
    }
}

/// Appends a line each, and the header if the file is new.
///
/// # Errors
/// When the file cannot be written, or is something else.
pub fn record(file: &Path, campaigns: &[Campaign]) -> anyhow::Result<()> {
    append(file, campaigns).map_err(|error| anyhow::anyhow!("cannot record in {}: {error}", file.display()))
}

fn append(file: &Path, campaigns: &[Campaign]) -> anyhow::Result<()> {
    let before = if file.exists() { std::fs::read_to_string(file)? } else { String::new() };
    let header = COLUMNS.join(",");
    anyhow::ensure!(
        before.is_empty() || before.lines().next() == Some(header.as_str()),
        "its first line is not `{header}`"
    );
    let mut writer = csv::Writer::from_writer(Vec::new());
    if before.is_empty() {
        writer.write_record(COLUMNS)?;
    }
    let (date, revision, tree) = (now(), revision(), tree());
    for campaign in campaigns {
        writer.write_record(columns(campaign, &date, &revision, &tree))?;
    }
    let lines = writer.into_inner()?;
    let mut file = OpenOptions::new().create(true).append(true).open(file)?;
    std::io::Write::write_all(&mut file, &lines)?;
    Ok(())
}

fn columns(campaign: &Campaign, date: &str, revision: &str, tree: &str) -> [String; 11] {
    let rates = campaign.per_million.iter().map(|(name, rate)| format!("{name} {rate:.0}"));
    [
        date.to_owned(),
        revision.to_owned(),
        tree.to_owned(),
        campaign.tool.clone(),
        campaign.subject.clone(),
        campaign.seeds.to_string(),
        campaign.steps.to_string(),
        campaign.simulated_seconds.map_or_else(String::new, |seconds| format!("{seconds:.0}")),
        format!("{:.2}", campaign.cpu_seconds),
        rates.collect::<Vec<_>>().join("; "),
        campaign.verdict.clone(),
    ]
}

/// The wall clock, in UTC. A campaign is dated by whoever ran it; no seed ever sees this.
fn now() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    date_time(since.as_secs())
}

/// Howard Hinnant's `civil_from_days`, of seconds since 1970.
fn date_time(seconds: u64) -> String {
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute) = (seconds / 3600 % 24, seconds / 60 % 60);
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}Z", seconds % 60)
}

/// The sources as they were committed, in one number: campaigns of one tree add up, whatever else was committed since.
fn tree() -> String {
    let output = Command::new("git").args(["ls-tree", "--full-tree", "HEAD", "--"]).args(SOURCES).output();
    match output {
        Ok(output) if output.status.success() && !output.stdout.is_empty() => {
            format!("{:016x}", hash_bytes(0, &output.stdout))
        }
        _ => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_stands_once_and_a_line_per_campaign_follows() {
        let file = std::env::temp_dir().join(format!("jangbu-campaigns-{}.csv", std::process::id()));
        let _ = std::fs::remove_file(&file);
        let campaign = Campaign {
            tool: "sim fuzz raft".to_owned(),
            subject: "G1, all".to_owned(),
            seeds: 3,
            steps: 1_000,
            per_million: vec![("elections", 300.4), ("truncations", 100.0)],
            verdict: "passed".to_owned(),
            ..Campaign::default()
        };
        for _ in 0..2 {
            record(&file, std::slice::from_ref(&campaign)).expect("it can be written");
        }
        let text = std::fs::read_to_string(&file).expect("it was written");
        std::fs::remove_file(&file).expect("it is there");
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        assert_eq!(reader.headers().expect("a header").iter().collect::<Vec<_>>(), COLUMNS);
        let lines: Vec<_> = reader.records().map(|line| line.expect("a line")).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!((&lines[1][4], &lines[1][7]), ("G1, all", ""));
        assert_eq!((&lines[1][9], &lines[1][10]), ("elections 300; truncations 100", "passed"));
    }

    #[test]
    fn a_file_that_is_no_record_is_left_alone() {
        let file = std::env::temp_dir().join(format!("jangbu-no-campaigns-{}.csv", std::process::id()));
        std::fs::write(&file, "name,age\n").expect("it can be written");
        assert!(record(&file, &[Campaign::default()]).is_err());
        assert_eq!(std::fs::read_to_string(&file).expect("it is there"), "name,age\n");
        std::fs::remove_file(&file).expect("it is there");
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date_time(0), "1970-01-01T00:00:00Z");
        assert_eq!(date_time(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(date_time(1_709_164_800), "2024-02-29T00:00:00Z");
        assert_eq!(date_time(1_795_291_199), "2026-11-21T19:59:59Z");
    }
}
