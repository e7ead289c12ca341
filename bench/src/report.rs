//! Points, their medians, and how they are printed.

use serde::Serialize;

/// One point, as measured in one round.
#[derive(Clone, Copy)]
pub struct Sample {
    /// Requests per second.
    pub requests_per_second: f64,
    /// Payload bytes per second.
    pub bytes_per_second: f64,
    /// Processor microseconds of the serving process or thread per request.
    pub cpu_us_per_request: f64,
    /// Median time from request to response in microseconds; 0 where it was not measured.
    pub latency_p50_us: f64,
    /// The 99th percentile, likewise.
    pub latency_p99_us: f64,
}

/// Medians over the rounds of one point.
#[derive(Clone, Serialize)]
pub struct Point {
    /// What was measured.
    pub name: String,
    /// `broker` or `probe`.
    pub who: &'static str,
    /// Requests per second.
    pub requests_per_second: f64,
    /// Payload megabytes (10^6) per second.
    pub megabytes_per_second: f64,
    /// Processor microseconds per request.
    pub cpu_us_per_request: f64,
    /// Microseconds from request to response; `None` where it was not measured.
    pub latency_p50_us: Option<f64>,
    /// Microseconds from request to response, likewise.
    pub latency_p99_us: Option<f64>,
    /// Rounds measured.
    pub rounds: usize,
}

/// A statement about two points, with its goal.
#[derive(Clone, Serialize)]
pub struct Goal {
    /// What is compared.
    pub name: &'static str,
    /// The figure.
    pub value: f64,
    /// What it should be.
    pub goal: String,
    /// Whether it is.
    pub met: bool,
}

/// Everything that `smoke` prints.
#[derive(Serialize)]
pub struct Report {
    /// Processor and kernel.
    pub machine: String,
    /// The network it ran over.
    pub network: String,
    /// Medians.
    pub points: Vec<Point>,
    /// What they mean.
    pub goals: Vec<Goal>,
}

/// The median of each figure by itself.
pub fn median(name: &str, who: &'static str, samples: &[Sample]) -> Point {
    let of = |figure: fn(&Sample) -> f64| {
        let mut figures: Vec<f64> = samples.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied().unwrap_or_default()
    };
    let of_latency = |figure: fn(&Sample) -> f64| Some(of(figure)).filter(|median| *median > 0.0);
    Point {
        name: name.to_owned(),
        who,
        requests_per_second: of(|sample| sample.requests_per_second),
        megabytes_per_second: of(|sample| sample.bytes_per_second) / 1e6,
        cpu_us_per_request: of(|sample| sample.cpu_us_per_request),
        latency_p50_us: of_latency(|sample| sample.latency_p50_us),
        latency_p99_us: of_latency(|sample| sample.latency_p99_us),
        rounds: samples.len(),
    }
}

/// A latency for people.
fn latency(microseconds: Option<f64>) -> String {
    microseconds.map_or_else(|| "-".to_owned(), |microseconds| format!("{microseconds:.1}"))
}

/// Prints a table for people.
pub fn print(report: &Report) {
    println!("machine  {}", report.machine);
    println!("network  {}\n", report.network);
    println!(
        "{:<34} {:>7} {:>11} {:>9} {:>11} {:>9} {:>9}",
        "point", "who", "requests/s", "MB/s", "cpu us/req", "p50 us", "p99 us"
    );
    for point in &report.points {
        println!(
            "{:<34} {:>7} {:>11.0} {:>9.1} {:>11.2} {:>9} {:>9}",
            point.name,
            point.who,
            point.requests_per_second,
            point.megabytes_per_second,
            point.cpu_us_per_request,
            latency(point.latency_p50_us),
            latency(point.latency_p99_us)
        );
    }
    println!();
    for goal in &report.goals {
        println!(
            "{:<4} {:<58} {:>8.2}  (goal {})",
            if goal.met { "ok" } else { "MISS" },
            goal.name,
            goal.value,
            goal.goal
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_that_was_not_measured_is_a_dash_and_no_zero() {
        let sample = |latency_p50_us| Sample {
            requests_per_second: 1.0,
            bytes_per_second: 1.0,
            cpu_us_per_request: 1.0,
            latency_p50_us,
            latency_p99_us: 0.0,
        };
        let point = median("p", "probe", &[sample(12.0), sample(12.34), sample(13.0)]);
        assert_eq!(latency(point.latency_p50_us), "12.3");
        assert_eq!(latency(point.latency_p99_us), "-");
    }
}
