//! `bench smoke`: five interleaved rounds of a few points, each beside the probe that bounds it.
//!
//! Interleaving is what makes a ratio true on a shared machine: a slow minute hits all points of its round alike.

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use jangbu_core::record::builder::BatchBuilder;
use jangbu_core::record::compression::Codec;
use jangbu_core::time::Timestamp;

use crate::client::{self, Client, Limit};
use crate::probe::{self, Probe};
use crate::product::{self, Broker};
use crate::report::{self, Goal, Report, Sample};
use crate::{Format, SmokeArguments, machine};

/// Bytes of one response of the hot fetch.
const FETCH_BYTES: usize = 1 << 20;
/// Bytes that a point may move in one round: more would leave the memory that the hypervisor backs.
const PRODUCE_BYTES_MAX: u64 = 1 << 40;
/// Bytes of one record's value in the batches.
const VALUE_BYTES: usize = 1_000;
/// Sizes of the batches that are produced. One of them is no multiple of a page, as most in real life are: the page
/// cache then takes smaller folios, which costs the broker and its probe alike.
const BATCH_BYTES: [usize; 4] = [1 << 10, 16 << 10, (16 << 10) + 114, 256 << 10];

/// A point and how one sample of it is taken.
struct Plan {
    name: String,
    who: &'static str,
    sample: Box<dyn FnMut() -> Result<Sample>>,
}

/// Measures and prints.
///
/// # Errors
/// When the broker does not build, start or answer.
pub fn run(arguments: &SmokeArguments, network: &str) -> Result<()> {
    let binary = match &arguments.broker {
        Some(path) => path.clone(),
        None => product::build()?,
    };
    let time = Duration::from_secs_f64(arguments.seconds);
    let broker = std::rc::Rc::new(Broker::start(&binary, "sendfile", true)?);
    let copying = std::rc::Rc::new(Broker::start(&binary, "copy", false)?);
    let mut plans = Vec::new();
    for bytes in BATCH_BYTES {
        plans.push(produce(&broker, bytes, 5, time));
        plans.push(produce_probe(bytes, 5, time));
    }
    plans.push(fetch(&broker, "fetch 1 MiB by sendfile", time)?);
    plans.push(fetch_probe("fetch 1 MiB by sendfile", probe::Send::Sendfile, time));
    plans.push(fetch(&copying, "fetch 1 MiB by copy", time)?);
    plans.push(fetch_probe("fetch 1 MiB by copy", probe::Send::Copy, time));
    plans.push(produce(&broker, 1 << 10, 1, time));
    plans.push(echo_probe(1 << 10, time));

    if let Some(only) = &arguments.only {
        plans.retain(|plan| plan.name.contains(only.as_str()));
        ensure!(!plans.is_empty(), "no point's name contains `{only}`");
    }

    let samples = rounds(&mut plans, arguments.rounds)?;
    let points: Vec<_> = plans
        .iter()
        .zip(&samples)
        .map(|(plan, samples)| report::median(&plan.name, plan.who, samples))
        .collect();
    let goals = goals(&points);
    let report = Report { machine: machine::description(), network: network.to_owned(), points, goals };
    match arguments.format {
        Format::Text => report::print(&report),
        Format::Json => println!("{}", serde_json::to_string_pretty(&report)?),
    }
    Ok(())
}

fn rounds(plans: &mut [Plan], rounds: usize) -> Result<Vec<Vec<Sample>>> {
    let mut samples = vec![Vec::new(); plans.len()];
    let total = rounds * plans.len();
    for round in 0..rounds {
        for (index, plan) in plans.iter_mut().enumerate() {
            if std::io::stderr().is_terminal() {
                let done = round * samples.len() + index;
                eprint!(
                    "\r\x1b[Kround {} of {rounds}, {done} of {total} points: {} ({})",
                    round + 1,
                    plan.name,
                    plan.who
                );
            }
            let sample = (plan.sample)().with_context(|| format!("{} ({})", plan.name, plan.who))?;
            samples[index].push(sample);
        }
        if !std::io::stderr().is_terminal() {
            eprintln!("round {} of {rounds} done", round + 1);
        }
    }
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K");
    }
    Ok(samples)
}

/// The largest batch of at most `bytes`, of records of 1,000 bytes and a smaller one.
fn batch(bytes: usize) -> Bytes {
    let mut values = bytes;
    while batch_of(values).len() > bytes {
        values -= batch_of(values).len() - bytes;
    }
    while batch_of(values + 1).len() <= bytes {
        values += 1;
    }
    batch_of(values)
}

/// A batch whose values come to so many bytes.
fn batch_of(values: usize) -> Bytes {
    let value: Vec<u8> = (0..VALUE_BYTES).map(|n| (n * 31) as u8).collect();
    let mut builder = BatchBuilder::new(Codec::None);
    let mut left = values;
    while left > 0 {
        let take = left.min(VALUE_BYTES);
        builder.append(Timestamp(1_700_000_000_000), None, Some(&value[..take]), &[]);
        left -= take;
    }
    builder.build()
}

/// `16 KiB`, or `16 KiB + 114 B` for what is no multiple.
fn size_name(bytes: usize) -> String {
    match bytes % 1024 {
        0 => format!("{} KiB", bytes >> 10),
        odd => format!("{} KiB + {odd} B", bytes >> 10),
    }
}

fn produce(broker: &std::rc::Rc<Broker>, bytes: usize, depth: usize, time: Duration) -> Plan {
    let broker = broker.clone();
    let mut round = 0;
    let sample = move || {
        round += 1;
        let topic = format!("produce-{bytes}-{depth}-{round:03}");
        let mut client = Client::connect(&broker.address)?;
        client.create_topic(&topic)?;
        let request = client::produce_request(&topic, batch(bytes))?;
        let requests = [request];
        let error_at = client::produce_error_at(&topic);
        let warm_up = Limit { time: time / 10, bytes: PRODUCE_BYTES_MAX / 10 };
        client.run(&requests, error_at, depth, warm_up)?;
        let sample = measured(&broker, || {
            client.run(&requests, error_at, depth, Limit { time, bytes: PRODUCE_BYTES_MAX })
        })?;
        client.delete_topic(&topic)?;
        Ok(sample)
    };
    Plan {
        name: format!("produce {}, depth {depth}", size_name(bytes)),
        who: "broker",
        sample: Box::new(sample),
    }
}

/// Fetches the same few responses again and again; all of them stay in the page cache.
fn fetch(broker: &std::rc::Rc<Broker>, name: &str, time: Duration) -> Result<Plan> {
    let topic = "fetched";
    // Four of them fit, whatever the records' framing adds.
    let each = batch(FETCH_BYTES / 4 - 4096);
    let records = jangbu_core::record::batch::BatchHeader::parse(&each)
        .context("the builder makes batches")?
        .record_count;
    let mut client = Client::connect(&broker.address)?;
    client.create_topic(topic)?;
    let request = [client::produce_request(topic, each)?];
    for _ in 0..32 {
        let once = Limit { time: Duration::ZERO, bytes: 0 };
        client.run(&request, client::produce_error_at(topic), 1, once)?;
    }
    let offsets = (0..8).map(|n| n * 4 * i64::from(records));
    let requests: Vec<Bytes> = offsets
        .map(|offset| client::fetch_request(topic, offset, FETCH_BYTES as i32))
        .collect::<Result<_>>()?;
    let broker = broker.clone();
    let sample = move || {
        let limit = Limit { time, bytes: u64::MAX };
        measured(&broker, || client.run(&requests, client::fetch_error_at(topic), 1, limit))
    };
    Ok(Plan { name: name.to_owned(), who: "broker", sample: Box::new(sample) })
}

/// Runs the load and charges it with the processor time that the broker used meanwhile.
fn measured(broker: &Broker, load: impl FnOnce() -> Result<client::Run>) -> Result<Sample> {
    let before = broker.cpu()?;
    let mut run = load()?;
    let cpu = broker.cpu()? - before;
    run.latencies.sort_unstable();
    let at = |share: f64| {
        let index =
            ((run.latencies.len() as f64 * share) as usize).min(run.latencies.len().saturating_sub(1));
        run.latencies.get(index).map_or(0.0, |latency| latency.as_secs_f64() * 1e6)
    };
    Ok(Sample {
        requests_per_second: run.requests as f64 / run.elapsed.as_secs_f64(),
        bytes_per_second: run.bytes as f64 / run.elapsed.as_secs_f64(),
        cpu_us_per_request: cpu.as_secs_f64() * 1e6 / run.requests.max(1) as f64,
        latency_p50_us: at(0.5),
        latency_p99_us: at(0.99),
    })
}

fn produce_probe(bytes: usize, depth: usize, time: Duration) -> Plan {
    let take = move || {
        let limit = Limit { time, bytes: PRODUCE_BYTES_MAX };
        probe::receive_checksum_write(&std::env::temp_dir(), bytes, depth, limit).map(sample)
    };
    Plan {
        name: format!("recv+crc+write {}, depth {depth}", size_name(bytes)),
        who: "probe",
        sample: Box::new(take),
    }
}

fn fetch_probe(name: &str, how: probe::Send, time: Duration) -> Plan {
    let take = move || {
        let limit = Limit { time, bytes: u64::MAX };
        probe::send(&std::env::temp_dir(), FETCH_BYTES, how, limit).map(sample)
    };
    Plan { name: name.replace("fetch", "send"), who: "probe", sample: Box::new(take) }
}

fn echo_probe(bytes: usize, time: Duration) -> Plan {
    let take = move || probe::echo(bytes, Limit { time, bytes: u64::MAX }).map(sample);
    Plan { name: format!("echo {} KiB, depth 1", bytes >> 10), who: "probe", sample: Box::new(take) }
}

fn sample(probe: Probe) -> Sample {
    Sample {
        requests_per_second: probe.requests_per_second,
        bytes_per_second: probe.bytes_per_second,
        cpu_us_per_request: probe.cpu_per_request.as_secs_f64() * 1e6,
        latency_p50_us: 0.0,
        latency_p99_us: 0.0,
    }
}

fn goals(points: &[report::Point]) -> Vec<Goal> {
    let point = |name: &str| points.iter().find(|point| point.name == name);
    let mut goals = Vec::new();
    if let (Some(ours), Some(probe)) =
        (point("produce 256 KiB, depth 5"), point("recv+crc+write 256 KiB, depth 5"))
    {
        let value = ours.megabytes_per_second / probe.megabytes_per_second;
        goals.push(Goal {
            name: "produce 256 KiB, rate of the recv+crc+write probe",
            value,
            goal: ">= 0.60".into(),
            met: value >= 0.6,
        });
    }
    if let Some(ours) = point("produce 16 KiB, depth 5") {
        let value = ours.cpu_us_per_request;
        goals.push(Goal {
            name: "produce 16 KiB, CPU microseconds per request",
            value,
            goal: "<= 20".into(),
            met: value <= 20.0,
        });
    }
    if let (Some(sendfile), Some(copy)) = (point("fetch 1 MiB by sendfile"), point("fetch 1 MiB by copy")) {
        let value = sendfile.cpu_us_per_request / copy.cpu_us_per_request;
        goals.push(Goal {
            name: "fetch 1 MiB, CPU of sendfile over CPU of copying",
            value,
            goal: "<= 0.50".into(),
            met: value <= 0.5,
        });
    }
    goals
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The probe moves the same number of bytes, and their place in the pages decides a third of the cost.
    #[test]
    fn a_batch_has_the_size_that_its_point_names() {
        for bytes in BATCH_BYTES {
            assert_eq!(batch(bytes).len(), bytes);
        }
    }
}
