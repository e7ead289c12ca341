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
    unit: &'static str,
    /// How many there will be, if that is known.
    total: Option<u64>,
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
        Self::counting(name, "seeds", Some(seeds))
    }

    /// Progress over so many of whatever is counted.
    pub fn counting(name: &str, unit: &'static str, total: Option<u64>) -> Self {
        let bar = (std::io::stderr().is_terminal() && total != Some(1)).then(|| {
            let (bar, template) = match total {
                Some(total) => (
                    ProgressBar::new(total),
                    format!("{{prefix}} [{{bar:40}}] {{pos}}/{{len}} {unit} {{msg}} ({{eta}} left)"),
                ),
                None => {
                    (ProgressBar::no_length(), format!("{{prefix}} {{pos}} {unit} {{msg}} ({{elapsed}})"))
                }
            };
            let style = ProgressStyle::with_template(&template).expect("the template is well-formed");
            bar.set_style(style.progress_chars("=> "));
            bar.set_prefix(name.to_owned());
            bar
        });
        let lines = Mutex::new(Lines { done: 0, last: Instant::now() });
        Self { name: name.to_owned(), unit, total, bar, lines }
    }

    /// One more seed is done; `failures` of all so far failed.
    pub fn seed_done(&self, failures: usize) {
        let failed = if failures == 0 { String::new() } else { format!(", {failures} failed") };
        if let Some(bar) = &self.bar {
            bar.set_message(failed.clone());
        }
        self.step(1, &failed);
    }

    /// So many more are done.
    pub fn advance(&self, count: u64) {
        self.step(count, "");
    }

    fn step(&self, count: u64, remark: &str) {
        if let Some(bar) = &self.bar {
            bar.inc(count);
            return;
        }
        let mut lines = self.lines.lock().unwrap_or_else(|poison| poison.into_inner());
        lines.done += count;
        if lines.last.elapsed() >= LINE_EVERY {
            lines.last = Instant::now();
            let of = self.total.map_or_else(String::new, |total| format!("/{total}"));
            eprintln!("{}: {}{of} {}{remark}", self.name, lines.done, self.unit);
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
