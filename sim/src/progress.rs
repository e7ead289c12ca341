//! How far a batch is: a bar on a terminal, a plain line now and then elsewhere.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How often a plain line is printed.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// The progress of one batch, on stderr.
pub struct Progress {
    name: String,
    seeds: u64,
    bar: Option<ProgressBar>,
    lines: Mutex<Lines>,
}

struct Lines {
    done: u64,
    last: Instant,
}

impl Progress {
    /// Progress over `seeds` seeds of the scenario `name`.
    pub fn new(name: &str, seeds: u64) -> Self {
        let bar = (std::io::stderr().is_terminal() && seeds > 1).then(|| {
            let bar = ProgressBar::new(seeds);
            let style =
                ProgressStyle::with_template("{prefix} [{bar:40}] {pos}/{len} seeds {msg} ({eta} left)")
                    .expect("the template is well-formed");
            bar.set_style(style.progress_chars("=> "));
            bar.set_prefix(name.to_owned());
            bar
        });
        Self { name: name.to_owned(), seeds, bar, lines: Mutex::new(Lines { done: 0, last: Instant::now() }) }
    }

    /// One more seed is done; `failures` of all so far failed.
    pub fn seed_done(&self, failures: usize) {
        let failed = if failures == 0 { String::new() } else { format!(", {failures} failed") };
        if let Some(bar) = &self.bar {
            bar.set_message(failed);
            bar.inc(1);
            return;
        }
        let mut lines = self.lines.lock().unwrap_or_else(|poison| poison.into_inner());
        lines.done += 1;
        if lines.last.elapsed() >= LINE_EVERY {
            lines.last = Instant::now();
            eprintln!("{}: {}/{} seeds{failed}", self.name, lines.done, self.seeds);
        }
    }

    /// A seed failed: said at once.
    pub fn failed(&self, seed: u64, what: &str) {
        let line = format!("{}: seed {seed} failed: {what}", self.name);
        match &self.bar {
            Some(bar) => bar.println(line),
            None => eprintln!("{line}"),
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
