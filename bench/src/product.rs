//! The product binary as a child process.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::machine;

/// Builds the product by itself and returns its path.
///
/// # Errors
/// When cargo fails.
pub fn build() -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    eprintln!("building the product: cargo build --release --package jangbu --target-dir target/product");
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--quiet", "--release", "--package", "jangbu", "--target-dir", "target/product"])
        .current_dir(&root)
        .status()
        .context("starting cargo")?;
    ensure!(status.success(), "the product does not build");
    Ok(root.join("target/product/release/jangbu"))
}

/// A running broker; killed and its files removed when dropped.
pub struct Broker {
    child: Child,
    directory: PathBuf,
    /// Where it listens.
    pub address: String,
}

impl Broker {
    /// Starts a broker that bounds what it keeps: who writes more than the warm working set of the page cache
    /// measures the hypervisor instead. What goes is decided by bytes alone, since the batches' timestamps are
    /// fixed and old.
    ///
    /// # Errors
    /// When it does not listen within 10 seconds.
    pub fn start(binary: &Path, name: &str, sendfile: bool) -> Result<Self> {
        let directory = std::env::temp_dir().join(format!("jangbu-bench-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&directory)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let address = format!("127.0.0.1:{port}");
        let properties = directory.join("server.properties");
        let data = directory.join("data");
        let text = format!(
            "log.dirs={}\nlisteners=PLAINTEXT://{address}\nlog.segment.bytes=33554432\nlog.retention.bytes=33554432\nlog.retention.ms=-1\nlog.retention.check.interval.ms=20\nlog.preallocate=true\n",
            data.display()
        );
        std::fs::write(&properties, text)?;
        let log = std::fs::File::create(directory.join("broker.log"))?;
        let mut command = Command::new(binary);
        command.args(["broker", "--config"]).arg(&properties).stdin(Stdio::null());
        if !sendfile {
            command.env("JANGBU_SENDFILE", "off");
        }
        let child = command
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {}", binary.display()))?;
        let broker = Self { child, directory, address };
        let deadline = Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect(&broker.address).is_err() {
            if Instant::now() > deadline {
                bail!(
                    "the broker does not listen; it said:\n{}",
                    std::fs::read_to_string(broker.directory.join("broker.log"))?
                );
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(broker)
    }

    /// Processor time it has used so far.
    ///
    /// # Errors
    /// When it is gone.
    pub fn cpu(&self) -> Result<Duration> {
        machine::process_cpu(self.child.id())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        std::fs::remove_dir_all(&self.directory).ok();
    }
}
