//! The scripts of `core/testdata/raft`: each is played, and must lead to what is recorded in it.
//!
//! `REWRITE=1 cargo test -p sim --test raft_scripts` records them anew; read the difference before you commit it.

use std::path::{Path, PathBuf};

use sim::fuzz::raft::script;

fn scripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/testdata/raft");
    let entries = folder.read_dir().expect("core/testdata/raft exists");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("it can be listed").path()).collect();
    paths.sort();
    paths
}

#[test]
fn every_script_leads_to_what_is_recorded_in_it() {
    let mut differing = Vec::new();
    for path in scripts() {
        let recorded = std::fs::read_to_string(&path).expect("a script is text");
        let played = script::play(&recorded).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let is_planted = recorded.contains("\noff ");
        assert_eq!(played.violation.is_some(), is_planted, "{}: {:?}", path.display(), played.violation);
        if played.text != recorded {
            if std::env::var_os("REWRITE").is_some() {
                std::fs::write(&path, &played.text).expect("a script can be written");
            } else {
                differing.push(path.display().to_string());
            }
        }
    }
    assert!(differing.is_empty(), "these lead elsewhere now (REWRITE=1 records them): {differing:#?}");
}

#[test]
fn a_script_that_makes_no_sense_is_refused_with_its_line() {
    for (script, line) in [
        ("tick 0", "line 1"),
        ("cluster voters=3\nfly 0", "line 2"),
        ("cluster voters=0", "line 1"),
        ("cluster voters=3\ndeliver 0 vote", "line 2"),
        ("cluster voters=3\noff nothing", "line 2"),
    ] {
        let error = script::play(script).expect_err(script);
        assert!(error.starts_with(line), "{script}: {error}");
    }
}
