//! The command line from the outside: exit codes, what is printed, and what a replay repeats.

mod bugs;
mod codes;
mod fuzz;
mod replay;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// Something of every kind of fault, in two simulated seconds.
const SCENARIO: &str = r#"
# Nothing: this is a scenario for tests of the command line.
seeds = "1..4"
duration = "3s"
[cluster]
[[topic]]
name = "ledger"
partitions = 2
config.segment.bytes = "8KiB..16KiB"
[[workload]]
kind = "produce"
clients = "1..2"
every = "5ms..20ms"
[[workload]]
kind = "consume"
FAULTS
[budget]
cpu = "20s"
"#;

/// A directory of this test alone, with the scenario in it.
fn prepared(name: &str, faults: &str) -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).expect("the directory can be made");
    let text = SCENARIO.trim_start().replace("FAULTS", faults);
    std::fs::write(dir.join("small.toml"), text).expect("the scenario can be written");
    dir
}

fn sim(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sim")).current_dir(dir).args(arguments).output().expect("sim runs")
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The one object that `--format json` prints.
fn json(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.trim()).unwrap_or_else(|error| {
        panic!("{error}: {text}\n{}", String::from_utf8_lossy(&output.stderr));
    })
}
