//! The log: one line per event, on standard error; and what happens on a panic.

use std::io::{self, IsTerminal};
use std::panic::{self, PanicHookInfo};
use std::process;

use tracing_subscriber::EnvFilter;

/// Which events are logged.
const FILTER: &str = "JANGBU_LOG";

/// Starts logging.
///
/// # Errors
/// When the filter in the environment cannot be read.
pub fn start() -> anyhow::Result<()> {
    let filter = match std::env::var(FILTER) {
        Ok(filter) if !filter.is_empty() => {
            EnvFilter::try_new(&filter).map_err(|error| anyhow::anyhow!("{FILTER}={filter}: {error}"))?
        }
        _ => EnvFilter::new("info"),
    };
    // https://no-color.org: set and not empty.
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal() && !no_color)
        .init();
    Ok(())
}

/// Makes a panic anywhere in the process its end. A broker that lost one task to a panic would go on with heartbeats
/// while a partition is stuck behind a poisoned lock: worse than one that is gone, whose clients go elsewhere.
pub fn abort_on_panic() {
    panic::set_hook(Box::new(|panic| {
        log_panic(panic);
        process::abort();
    }));
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("a panic without a message");
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current().name().unwrap_or("unnamed").to_owned();
    // Debug formatting keeps a message of several lines on one.
    tracing::error!(?message, location, thread, "panic; the process ends");
}
