//! A network namespace of our own, with reno.
//!
//! BBR, the default of many machines, paces loopback: the same program sends five times slower under it. A private
//! namespace changes nothing for anybody else and needs no code in the brokers.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

/// Set in the child, so that it does not nest.
const INSIDE: &str = "JANGBU_BENCH_NAMESPACE";
const CONGESTION: &str = "/proc/sys/net/ipv4/tcp_congestion_control";

/// Where the measuring happens.
pub enum Place {
    /// In this process; the text says over what kind of network.
    Here(String),
    /// It happened in a child process, which ended with this code.
    Child(ExitCode),
}

/// Runs this program again in a namespace of its own where that may be made.
///
/// # Errors
/// When the child cannot be started although namespaces may be made.
pub fn enter() -> Result<Place> {
    let congestion = || {
        std::fs::read_to_string(CONGESTION).map_or_else(|_| "unknown".into(), |text| text.trim().to_owned())
    };
    if std::env::var_os(INSIDE).is_some() {
        return Ok(Place::Here(format!("a network namespace of its own, {}", congestion())));
    }
    if !may_make() {
        let congestion = congestion();
        let warning = if congestion == "bbr" { ": bbr paces loopback, so rates are too low" } else { "" };
        return Ok(Place::Here(format!(
            "the host's network (no namespace may be made), {congestion}{warning}"
        )));
    }
    let script = format!("ip link set lo up && echo reno > {CONGESTION} && exec \"$0\" \"$@\"");
    let status = Command::new("unshare")
        .args(["--net", "sh", "-c", &script])
        .arg(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .env(INSIDE, "1")
        .status()
        .context("starting unshare")?;
    Ok(Place::Child(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(status.code().unwrap_or(1) as u8)
    }))
}

fn may_make() -> bool {
    let tools =
        ["/sbin/ip", "/usr/sbin/ip", "/bin/ip", "/usr/bin/ip"].iter().any(|path| Path::new(path).exists());
    let script = format!("ip link set lo up && echo reno > {CONGESTION}");
    let try_it = || Command::new("unshare").args(["--net", "sh", "-c", &script]).output();
    tools && try_it().is_ok_and(|output| output.status.success())
}
