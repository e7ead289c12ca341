//! The broker as a child process, on a directory and port of its own.

use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// A running broker, which is killed and whose files are removed when this is dropped.
pub struct Broker {
    child: Child,
    /// Its files.
    pub directory: PathBuf,
    /// Where it listens.
    pub port: u16,
}

impl Broker {
    /// Starts `binary` and waits until it listens.
    ///
    /// # Errors
    /// When it does not listen within 10 seconds; its log is printed then.
    pub fn start(binary: &Path, name: &str) -> Result<Self> {
        let directory = std::env::temp_dir().join(format!("jangbu-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&directory)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let properties = directory.join("server.properties");
        let data = directory.join("data");
        std::fs::write(
            &properties,
            format!("log.dirs={}\nlisteners=PLAINTEXT://127.0.0.1:{port}\n", data.display()),
        )?;
        let log = File::create(directory.join("broker.log"))?;
        let child = Command::new(binary)
            .args(["broker", "--config"])
            .arg(&properties)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {}", binary.display()))?;
        let broker = Self { child, directory, port };
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if Instant::now() > deadline {
                let log = std::fs::read_to_string(broker.directory.join("broker.log")).unwrap_or_default();
                bail!("the broker does not listen after 10 s; it said:\n{log}");
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(broker)
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        std::fs::remove_dir_all(&self.directory).ok();
    }
}
