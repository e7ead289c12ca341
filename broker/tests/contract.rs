//! The promises of the core's seam, kept by the world of production.

use std::path::PathBuf;
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Duration;

use jangbu::tokio_env::{Runtimes, Settings, TokioEnv};
use jangbu_core::env::contract::{self, Ground, Promise};

/// An empty directory, removed when dropped.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let name = name.replace("::", "-");
        let path = std::env::temp_dir().join(format!("jangbu-contract-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory for the test");
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// Puts one promise to the test on runtimes of its own; returns what is wrong.
fn broken(promise: &Promise<TokioEnv>, settings: Settings) -> Option<String> {
    let name = format!("{}-{}", promise.name, settings.sendfile);
    let directory = Directory::new(&name);
    let runtimes = Runtimes::start(settings).expect("threads");
    let env = runtimes.env(settings);
    let ground =
        Ground { peer: env.clone(), env, host: "127.0.0.1".to_owned(), directory: directory.0.clone() };
    let run = (promise.run)(ground);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| runtimes.block_on(run)));
    runtimes.shutdown(Duration::from_secs(5));
    let panic = result.err()?;
    let message = panic.downcast_ref::<String>().cloned();
    Some(message.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default())
}

/// Runs promises eight at a time: they mostly wait.
fn keep(settings: Settings, chosen: impl Fn(&str) -> bool) {
    let (sender, receiver) = mpsc::channel();
    for promise in contract::all::<TokioEnv>() {
        if chosen(promise.name) {
            sender.send(promise).expect("the receiver lives");
        }
    }
    drop(sender);
    let receiver = Mutex::new(receiver);
    let next = || receiver.lock().ok()?.recv().ok();
    let violations = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some(promise) = next() {
                    if let Some(message) = broken(&promise, settings) {
                        let mut violations = violations.lock().expect("no panic under this lock");
                        violations.push(format!("{}: {message}", promise.name));
                    }
                }
            });
        }
    });
    let violations = violations.into_inner().expect("no panic under this lock");
    assert!(violations.is_empty(), "broken promises:\n{}", violations.join("\n"));
}

#[test]
fn production_keeps_every_promise_of_the_seam() {
    keep(Settings::default(), |_| true);
}

#[test]
fn production_keeps_its_promises_without_sendfile() {
    keep(Settings { sendfile: false, ..Settings::default() }, |name| {
        name.contains("slice") || name.contains("file")
    });
}
