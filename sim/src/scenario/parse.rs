//! From the text of a scenario to [`Scenario`].

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jangbu_core::config::{Config, check_topic_config};

use super::error::{ScenarioError, Source};
use super::table::{self, Dotted, Entry, Table, check_name};
use super::{
    Budget, Choice, ChurnChoices, Cluster, ConfigChoices, ConsumeChoices, Drawable, FaultChoice, Liveness,
    ProduceChoices, Promise, Scenario, SeekChoices, Topic, When, Workload,
};
use crate::{check, fault};

/// Limits, far above what any scenario needs and far below what a machine can carry.
const SEEDS_MAX: u64 = 10_000_000;
/// Whoever counts seeds upwards must not come round to 0.
const SEED_MAX: u64 = 1 << 63;
const BROKERS_MAX: u64 = 100;
const PARTITIONS_MAX: u64 = 10_000;
const CLIENTS_MAX: u64 = 1000;
const RECORDS_MAX: u64 = 10_000;
const RECORD_BYTES_MAX: u64 = 16 << 20;
/// Of all faults of one seed together.
const STRIKES_MAX: u128 = 10_000;

/// Reads a scenario from its file.
///
/// # Errors
/// When the file cannot be read, or says something that is not a scenario.
pub fn load(path: &Path) -> anyhow::Result<Scenario> {
    anyhow::ensure!(
        !path.is_dir(),
        "{0} is a directory; for all of its scenarios name {0}/*.toml",
        path.display()
    );
    let text = std::fs::read_to_string(path)
        .map_err(|error| anyhow::anyhow!("{}: cannot read this scenario: {error}", path.display()))?;
    Ok(read(path, text)?)
}

/// Reads a scenario from text; `path` only names it.
///
/// # Errors
/// The first thing that is wrong, with its place.
pub fn read(path: &Path, text: String) -> Result<Scenario, ScenarioError> {
    let source = Arc::new(Source { path: path.to_owned(), text });
    let mut top = table::parse(&source)?;
    let prose = opening_comment(&source)?;
    let seeds = seeds(&source, &mut top)?;
    let duration: Choice<Duration> = top.choice("duration", "30s")?;
    let expect = expect(&source, &mut top)?;
    let cluster = cluster(&source, &mut top)?;
    let topics = topics(&source, &mut top, &cluster)?;
    let workloads = workloads(&source, &mut top, &topics)?;
    let faults = faults(&source, &mut top, (&duration, &cluster))?;
    let (checks, promise) = checks(&mut top)?;
    let scenario = Scenario {
        name: path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned()),
        path: path.to_owned(),
        prose,
        hash: format!("{:016x}", crate::trace::hash_bytes(0, source.text.as_bytes())),
        seeds,
        duration,
        expect,
        cluster,
        topics,
        workloads,
        faults,
        checks,
        promise,
        liveness: liveness(&mut top)?,
        budget: budget(&mut top)?,
    };
    top.finish()?;
    Ok(scenario)
}

fn opening_comment(source: &Arc<Source>) -> Result<String, ScenarioError> {
    let lines: Vec<&str> = source
        .text
        .lines()
        .skip_while(|line| line.trim().is_empty())
        .map_while(|line| line.strip_prefix('#'))
        .map(str::trim)
        .collect();
    let prose = lines.join(" ").trim().to_owned();
    if prose.is_empty() {
        let end = source.text.lines().next().map_or(0, str::len);
        return Err(ScenarioError::new(source, 0..end, "a scenario opens with a comment")
            .remedy("say in it what must survive, and why"));
    }
    Ok(prose)
}

/// Reads `7` or `1..200`, both ends included; ten million seeds at most.
pub fn seed_range(text: &str) -> Option<(u64, u64)> {
    match text.split_once("..") {
        Some((first, last)) => {
            let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
            (first <= last && last - first < SEEDS_MAX && last < SEED_MAX).then_some((first, last))
        }
        None => text.parse().ok().filter(|seed| *seed < SEED_MAX).map(|seed| (seed, seed)),
    }
}

fn seeds(source: &Arc<Source>, top: &mut Table<'_>) -> Result<(u64, u64), ScenarioError> {
    let entry = top.require("seeds")?;
    seed_range(&entry.text(source)?).ok_or_else(|| {
        ScenarioError::new(
            source,
            entry.span(),
            "seeds are one number or \"first..last\", ten million at most",
        )
        .remedy("for example seeds = \"1..200\", which is 200 seeds")
    })
}

fn expect(source: &Arc<Source>, top: &mut Table<'_>) -> Result<Option<&'static str>, ScenarioError> {
    let Some(entry) = top.take("expect") else { return Ok(None) };
    let text = entry.text(source)?;
    let Some(name) = text.strip_prefix("violation:") else {
        return Err(ScenarioError::new(source, entry.span(), "what can be expected is a violation")
            .remedy("write expect = \"violation:<check>\""));
    };
    check_name(source, entry.span(), name, check::NAMES, "check")?;
    Ok(check::NAMES.iter().find(|known| **known == name).copied())
}

fn cluster(source: &Arc<Source>, top: &mut Table<'_>) -> Result<Cluster, ScenarioError> {
    let mut table = match top.table("cluster")? {
        Some(table) => table,
        None => return Err(top.missing(&["cluster"])),
    };
    let brokers_at = table.span_of("brokers");
    let cluster = Cluster {
        brokers: table.count("brokers", "1", BROKERS_MAX)?,
        network_delay: table.choice("network_delay", "100us..2ms")?,
        sync_delay: table.choice("sync_delay", "200us..5ms")?,
        disk_bytes: table.optional("disk_bytes")?,
        config: config(source, &mut table, check_broker_key)?,
    };
    table.finish()?;
    match cluster.brokers.ends().1 {
        0 | 1 => Ok(cluster),
        brokers => {
            let message =
                format!("{brokers} brokers do not find one another yet: no replication is simulated");
            Err(ScenarioError::new(source, brokers_at, message).remedy("write brokers = 1"))
        }
    }
}

/// Kafka's keys, each checked as the broker will check it, with every value that may be drawn at its ends.
fn config(
    source: &Arc<Source>,
    table: &mut Table<'_>,
    check: impl Fn(&str, &str) -> Result<(), String>,
) -> Result<ConfigChoices, ScenarioError> {
    let Some(config) = table.table("config")? else { return Ok(Vec::new()) };
    let mut choices = Vec::new();
    for Dotted { key, span, value } in config.dotted()? {
        let ends: Vec<String> = match &value {
            Choice::Fixed(text) => vec![text.clone()],
            Choice::OneOf(texts) => texts.clone(),
            Choice::Range(low, high) => [low, high]
                .into_iter()
                .map(|end| u64::from_text(end).map_or_else(|| end.clone(), |number| number.to_string()))
                .collect(),
        };
        for end in ends {
            check(&key, &end).map_err(|why| ScenarioError::new(source, span.clone(), why))?;
        }
        choices.push((key, value));
    }
    Ok(choices)
}

fn check_broker_key(key: &str, value: &str) -> Result<(), String> {
    Config::parse([(key.to_owned(), value.to_owned())]).map(drop).map_err(|error| error.to_string())
}

fn check_topic_key(key: &str, value: &str) -> Result<(), String> {
    check_topic_config(key, value).map_err(|error| error.to_string())
}

fn topics(source: &Arc<Source>, top: &mut Table<'_>, cluster: &Cluster) -> Result<Vec<Topic>, ScenarioError> {
    let mut topics: Vec<Topic> = Vec::new();
    for mut table in top.tables("topic")? {
        let entry = table.require("name")?;
        let name = entry.text(source)?;
        if topics.iter().any(|topic| topic.name == name) {
            return Err(ScenarioError::new(
                source,
                entry.span(),
                format!("topic `{name}` stands here twice"),
            ));
        }
        let span = table.span_of("replication");
        let replication: Choice<u64> = table.count("replication", "1", BROKERS_MAX)?;
        let (most, brokers) = (replication.ends().1, cluster.brokers.ends().0);
        if most > brokers {
            let message = format!("there may be {brokers} brokers alone for {most} replicas");
            return Err(ScenarioError::new(source, span, message).remedy("see [cluster] brokers"));
        }
        topics.push(Topic {
            name,
            partitions: table.count("partitions", "1", PARTITIONS_MAX)?,
            replication,
            config: config(source, &mut table, check_topic_key)?,
        });
        table.finish()?;
    }
    if topics.is_empty() {
        return Err(top.error("a scenario needs at least one [[topic]]"));
    }
    Ok(topics)
}

fn workloads(
    source: &Arc<Source>,
    top: &mut Table<'_>,
    topics: &[Topic],
) -> Result<Vec<Workload>, ScenarioError> {
    let names: Vec<&str> = topics.iter().map(|topic| topic.name.as_str()).collect();
    let mut workloads = Vec::new();
    for mut table in top.tables("workload")? {
        let kind = table.require("kind")?;
        let kind_text = kind.text(source)?;
        check_name(
            source,
            kind.span(),
            &kind_text,
            &["produce", "consume", "churn", "seek"],
            "kind of workload",
        )?;
        let topic = match table.take("topic") {
            Some(entry) => {
                let name = entry.text(source)?;
                check_name(source, entry.span(), &name, &names, "topic of this scenario")?;
                name
            }
            None => names[0].to_owned(),
        };
        workloads.push(match kind_text.as_str() {
            "produce" => Workload::Produce(ProduceChoices {
                topic,
                clients: table.count("clients", "1", CLIENTS_MAX)?,
                acks: table.name("acks", &["all", "1", "0"], "all")?,
                idempotent: table.choice("idempotent", "true")?,
                every: table.choice("every", "40ms")?,
                records: table.count("records", "1", RECORDS_MAX)?,
                record_bytes: table.count("record_bytes", "100", RECORD_BYTES_MAX)?,
                in_flight: table.choice("in_flight", "5")?,
            }),
            "seek" => Workload::Seek(SeekChoices {
                topic,
                clients: table.count("clients", "1", CLIENTS_MAX)?,
                every: table.choice("every", "200ms")?,
                fetch_bytes: table.choice("fetch_bytes", "100..16KiB")?,
            }),
            "consume" => Workload::Consume(ConsumeChoices {
                topic,
                clients: table.count("clients", "1", CLIENTS_MAX)?,
                fetch_bytes: table.choice("fetch_bytes", "64KiB")?,
                max_wait: table.choice("max_wait", "500ms")?,
            }),
            _ => Workload::Churn(ChurnChoices {
                topic,
                clients: table.count("clients", "1", CLIENTS_MAX)?,
                topics: table.count("topics", "2", PARTITIONS_MAX)?,
                every: table.choice("every", "100ms")?,
                records: table.count("records", "1", RECORDS_MAX)?,
                record_bytes: table.count("record_bytes", "100", RECORD_BYTES_MAX)?,
            }),
        });
        table.finish()?;
    }
    if workloads.is_empty() {
        return Err(top.error("a scenario needs at least one [[workload]]"));
    }
    Ok(workloads)
}

fn faults(
    source: &Arc<Source>,
    top: &mut Table<'_>,
    (duration, cluster): (&Choice<Duration>, &Cluster),
) -> Result<Vec<FaultChoice>, ScenarioError> {
    let kinds: Vec<&str> = fault::ALL.iter().map(|kind| kind.name).collect();
    let mut faults = Vec::new();
    let mut strikes = 0;
    for mut table in top.tables("fault")? {
        let entry = table.require("kind")?;
        let name = entry.text(source)?;
        check_name(source, entry.span(), &name, &kinds, "fault")?;
        let kind = fault::find(&name).expect("the name was checked");
        for key in ["at", "first_after"] {
            strikes_in_time(source, &table, key, duration)?;
        }
        let in_set_up = table.take("during").map(|entry| during(source, &entry)).transpose()?;
        let when = match (table.optional("at")?, table.optional("mean_every")?, in_set_up) {
            (Some(at), None, None) => When::At(at),
            (None, Some(mean), None) => When::Every { mean, first_after: table.choice("first_after", "1s")? },
            (None, None, Some(())) => When::SetUp,
            (None, None, None) => return Err(table.missing(&["at", "mean_every", "during"])),
            _ => {
                return Err(table.error("a fault has one of `at`, `mean_every` and `during` alone"));
            }
        };
        strikes += strikes_of(&when, duration.ends().1);
        if strikes > STRIKES_MAX {
            let message = format!("with this fault a seed has {strikes} strikes, {STRIKES_MAX} are enough");
            return Err(table.error(message).remedy("let it strike less often, or make `duration` shorter"));
        }
        let target = match table.take("target") {
            Some(entry) => {
                let text = entry.text(source)?;
                let target = fault::Target::from_text(&text).map_err(|message| {
                    ScenarioError::new(source, entry.span(), message)
                        .remedy("a target is \"any\" or \"node <id>\"")
                })?;
                let brokers = cluster.brokers.ends().1;
                if matches!(target, fault::Target::Node(id) if id > brokers) {
                    let message = format!("there is no `{text}` among {brokers} brokers");
                    return Err(ScenarioError::new(source, entry.span(), message)
                        .remedy("brokers are numbered from 1; see [cluster] brokers"));
                }
                text
            }
            None => "any".to_owned(),
        };
        let seeds_percent = table.count("seeds_percent", "100", 100)?;
        let mut parameters = Vec::new();
        for parameter in kind.parameters {
            parameters.push((parameter.name, fault_parameter(&mut table, parameter)?));
        }
        table.finish()?;
        faults.push(FaultChoice { kind, when, target, seeds_percent, parameters });
    }
    Ok(faults)
}

/// A fault that can strike only when the faults are over would be one that nobody misses.
fn strikes_in_time(
    source: &Arc<Source>,
    table: &Table<'_>,
    key: &'static str,
    duration: &Choice<Duration>,
) -> Result<(), ScenarioError> {
    let Some(at) = table.peek::<Duration>(key)? else { return Ok(()) };
    let (latest, shortest) = (at.ends().1, duration.ends().0);
    if latest < shortest {
        return Ok(());
    }
    let message =
        format!("`{key}` is up to {}, and the faults may end after {}", latest.to_text(), shortest.to_text());
    Err(ScenarioError::new(source, table.span_of(key), message).remedy("see `duration` at the top"))
}

/// `during = "set-up"` is all there is besides the load itself.
pub fn during(source: &Arc<Source>, entry: &Entry<'_>) -> Result<(), ScenarioError> {
    check_name(source, entry.span(), &entry.text(source)?, &["set-up"], "part of a run")
}

/// How many times a fault strikes in one seed, at the most and on average.
fn strikes_of(when: &When, duration: Duration) -> u128 {
    match when {
        When::At(_) | When::SetUp => 1,
        When::Every { mean, .. } => duration.as_nanos() / mean.ends().0.as_nanos().max(1000),
    }
}

/// A parameter is kept as text, so that a plan is plain data; its kind is checked here.
fn fault_parameter(
    table: &mut Table<'_>,
    parameter: &'static fault::Parameter,
) -> Result<Choice<String>, ScenarioError> {
    fn texts<T: Drawable>(choice: Choice<T>) -> Choice<String> {
        match choice {
            Choice::Fixed(value) => Choice::Fixed(value.to_text()),
            Choice::Range(low, high) => Choice::Range(low.to_text(), high.to_text()),
            Choice::OneOf(values) => Choice::OneOf(values.iter().map(Drawable::to_text).collect()),
        }
    }
    Ok(match parameter.what {
        fault::What::Time => texts(table.choice::<Duration>(parameter.name, parameter.default)?),
        fault::What::Number => texts(table.choice::<u64>(parameter.name, parameter.default)?),
        fault::What::Site => sites(table, parameter)?,
        fault::What::OneOf(names) => match parameter.default.split_once('|') {
            // Several names as a default mean: any of them.
            Some(_) if !table.has(parameter.name) => {
                table.take(parameter.name);
                Choice::OneOf(parameter.default.split('|').map(str::to_owned).collect())
            }
            _ => table.name(parameter.name, names, parameter.default)?,
        },
    })
}

/// Every pattern stands for the sites that it means.
fn sites(
    table: &mut Table<'_>,
    parameter: &'static fault::Parameter,
) -> Result<Choice<String>, ScenarioError> {
    let Some(entry) = table.take(parameter.name) else {
        return Ok(Choice::Fixed(parameter.default.to_owned()));
    };
    let source = table.source();
    let mut names: Vec<String> = Vec::new();
    for (text, span) in entry.texts(source)? {
        let meant = crate::sites::matching(&text);
        if text == "any" {
            names.push(text);
        } else if meant.is_empty() {
            let known = crate::sites::matching("*");
            check_name(source, span, &text, &known, "disk site of the core")?;
        }
        names.extend(meant.into_iter().map(str::to_owned));
    }
    match names.len() {
        0 => Err(table.error(format!("`{}` names no disk site", parameter.name))),
        1 => Ok(Choice::Fixed(names.remove(0))),
        _ => Ok(Choice::OneOf(names)),
    }
}

fn checks(top: &mut Table<'_>) -> Result<(Vec<&'static str>, Promise), ScenarioError> {
    let mut checks = Vec::new();
    let mut promise = Promise::Policy;
    for mut table in top.tables("check")? {
        checks.extend(table.names("names", check::NAMES)?.unwrap_or_default());
        if let Choice::Fixed(name) = table.name("promise", &["policy", "every_ack"], "policy")?
            && name == "every_ack"
        {
            promise = Promise::EveryAck;
        }
        table.finish()?;
    }
    if checks.is_empty() {
        checks = check::NAMES.to_vec();
    }
    Ok((checks, promise))
}

fn liveness(top: &mut Table<'_>) -> Result<Liveness, ScenarioError> {
    let default = "30s";
    let Some(mut table) = top.table("liveness")? else {
        return Ok(Liveness { progress_within: Choice::from_text(default).expect("a time") });
    };
    let liveness = Liveness { progress_within: table.choice("progress_within", default)? };
    table.finish()?;
    Ok(liveness)
}

fn budget(top: &mut Table<'_>) -> Result<Budget, ScenarioError> {
    let mut budget = Budget { cpu: Duration::from_secs(60), acked_batches_min: 200 };
    if let Some(mut table) = top.table("budget")? {
        budget.cpu = table.fixed("cpu")?.unwrap_or(budget.cpu);
        budget.acked_batches_min = table.fixed("acked_batches_min")?.unwrap_or(budget.acked_batches_min);
        table.finish()?;
    }
    Ok(budget)
}

#[cfg(test)]
mod tests;
