//! `jangbu broker`: a node from its configuration to its clean end.

use std::path::{self, Path, PathBuf};
use std::process;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use jangbu_core::config::{Config, ConfigError, Listener};
use jangbu_core::env::{Env, Net};
use jangbu_core::node::{Node, StartError};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config_file;
use crate::tokio_env::{Runtimes, Settings, TokioEnv};

/// Set to `off`, slices of files are copied through the process's memory: to measure what sendfile saves.
const SENDFILE: &str = "JANGBU_SENDFILE";
/// How long work that waits for the disk may take after the node has stopped.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long after the first signal others are taken for the same one: who stops a group of processes, as timeout(1)
/// and a terminal do, signals more than once.
const ONE_SIGNAL: Duration = Duration::from_secs(1);

/// Reads the configuration. Its directories are absolute then, whatever the file says: the core makes the names of all
/// directories above them durable, up to the root.
///
/// # Errors
/// When the file cannot be read, is no properties file, or holds a key or value that the broker does not take. The
/// message names the file and, where it can, the line.
pub fn configuration(file: Option<&Path>) -> Result<Config> {
    let mut config = parse(file)?;
    for directory in config.log_dirs.iter_mut().chain([&mut config.metadata_log_dir]) {
        *directory = absolute(directory)?;
    }
    Ok(config)
}

fn absolute(directory: &Path) -> Result<PathBuf> {
    let name = directory.display();
    path::absolute(directory).with_context(|| format!("cannot tell where the log directory {name} is"))
}

fn parse(file: Option<&Path>) -> Result<Config> {
    let Some(path) = file else { return Ok(Config::default()) };
    let name = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
    let properties = config_file::parse(&text).map_err(|error| anyhow!("{name}: {error}"))?;
    let pairs = properties.iter().map(|property| (property.key.clone(), property.value.clone()));
    Config::parse(pairs).map_err(|error| {
        let key = match &error {
            ConfigError::UnknownKey { key, .. } | ConfigError::TopicKey { key, .. } => key,
            ConfigError::Unsupported(key) | ConfigError::Twice(key) => key,
            ConfigError::Value(value) => &value.key,
        };
        // Of a key given twice, the second is the one too many.
        match properties.iter().rev().find(|property| property.key == *key) {
            Some(property) => anyhow!("{name}: line {}: {error}", property.line),
            None => anyhow!("{name}: {error}"),
        }
    })
}

/// Runs a node until a signal asks it to stop.
///
/// # Errors
/// When the node does not start or cannot go on.
pub fn serve(mut config: Config) -> Result<()> {
    if !config.ignored.is_empty() {
        tracing::warn!(keys = config.ignored.join(","), "these keys of Kafka's have no effect here");
    }
    raise_file_limit();
    bound_connections(&mut config);
    let settings = Settings {
        sendfile: std::env::var_os(SENDFILE).is_none_or(|value| value != "off"),
        ..Settings::default()
    };
    if !settings.sendfile {
        tracing::warn!("{SENDFILE}=off: files are sent by copying, which is slow");
    }
    let runtimes = Runtimes::start(settings).context("cannot start the threads")?;
    let env = runtimes.env(settings);
    let result = runtimes.block_on(run(env, config));
    runtimes.shutdown(PATIENCE);
    result
}

async fn run(env: TokioEnv, config: Config) -> Result<()> {
    let mut signals = Signals::listen().context("cannot listen for signals")?;
    let directories: Vec<String> = config.log_dirs.iter().map(|path| path.display().to_string()).collect();
    try_port_before_first_start(&env, &config).await.context("the broker does not start")?;
    let (host, advertised) = (config.listener.clone(), config.advertised.clone());
    let node = tokio::select! {
        biased;
        name = signals.next() => {
            tracing::info!(signal = name, "stopped before the start was complete");
            return Ok(());
        }
        node = Node::start(env, config) => node.context("the broker does not start")?,
    };
    tracing::info!(
        version = %env!("CARGO_PKG_VERSION"),
        address = %at(host, node.port()).bind_address(),
        advertised = %at(advertised, node.port()).bind_address(),
        log_dirs = directories.join(","),
        "started"
    );
    let shutdown = async move {
        let name = signals.next().await;
        tracing::info!(signal = name, "stopping; another signal after a second stops at once");
        tokio::spawn(async move {
            let name = signals.next_after(ONE_SIGNAL).await;
            tracing::error!(signal = name, "stopped before everything was closed; the next start recovers");
            process::exit(1);
        });
    };
    node.run(shutdown).await.context("the broker cannot go on")?;
    tracing::info!("stopped");
    Ok(())
}

/// Where a configured listener really is.
fn at(mut listener: Listener, port: u16) -> Listener {
    if listener.port == 0 {
        listener.port = port;
    }
    listener
}

/// A node takes its directories first and its port last, when it can serve. A first start that cannot have the port
/// would leave a formatted directory behind, which belongs to a cluster that never was: so it tries the port first.
async fn try_port_before_first_start(env: &TokioEnv, config: &Config) -> Result<(), StartError> {
    if config.metadata_log_dir.join("meta.properties").exists() {
        return Ok(());
    }
    let address = config.listener.bind_address();
    match env.net().listen(&address).await {
        Ok(_) => Ok(()),
        Err(source) => Err(StartError::Listen { address, source }),
    }
}

/// The signals that ask for a clean end.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    /// The first that comes when `grace` is over.
    async fn next_after(&mut self, grace: Duration) -> &'static str {
        let over = tokio::time::Instant::now() + grace;
        loop {
            let name = self.next().await;
            if tokio::time::Instant::now() >= over {
                return name;
            }
            tracing::debug!(signal = name, "stopping already");
        }
    }
}

/// Allows as many open files as the system lets this process have: each partition and each connection takes one.
fn raise_file_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
    {
        tracing::warn!(%error, ?current, ?maximum, "cannot raise the limit of open files");
    }
}

/// Leaves half the files that may be open to the logs: a log that cannot open one takes its directory offline.
fn bound_connections(config: &mut Config) {
    let Some(files_max) = getrlimit(Resource::Nofile).current else { return };
    let bound = usize::try_from(files_max / 2).unwrap_or(usize::MAX);
    if config.connections_max > bound {
        let asked = config.connections_max;
        if asked == Config::default().connections_max {
            tracing::debug!(files_max, "max.connections is {bound}: half the files that may be open");
        } else {
            tracing::warn!(
                files_max,
                "max.connections is {bound}, not {asked}: half the files that may be open; raise the limit (ulimit -n)"
            );
        }
        config.connections_max = bound;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_directory_is_named_from_the_root_on_so_that_its_name_can_be_made_durable() {
        let config = configuration(None).expect("the defaults are right");
        let here = std::env::current_dir().expect("a working directory");
        assert_eq!(config.log_dirs, [here.join("data")]);
        assert_eq!(config.metadata_log_dir, here.join("data"));
    }
}
