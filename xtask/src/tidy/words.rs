//! Words that must not stand in the code, each with its reason.

use super::Finding;
use super::source::Source;

/// What must not stand in a line of the core's code.
const CORE: &[(&str, &str)] = &[
    ("tokio::spawn", "tasks are started by env.spawn()"),
    ("tokio::time", "time comes from env.clock()"),
    ("tokio::net", "the network comes from env.net()"),
    ("tokio::fs", "the disk comes from env.disk()"),
    ("sync::watch", "its wake order hangs on a process-wide counter: use Notify"),
    ("std::fs", "the disk comes from env.disk()"),
    ("thread_local!", "state belongs to a node, not to a thread"),
    ("static mut", "state belongs to a node"),
];

/// What must not stand in any line of code.
const EVERYWHERE: &[(&str, &str)] =
    &[("todo!(", "finish it"), ("unimplemented!(", "finish it"), ("dbg!(", "remove it")];

/// Names that say nothing about what a file is for.
const EMPTY_NAMES: &[&str] = &["util", "utils", "common", "helpers", "helper", "manager", "impls", "misc"];

/// Checks one file.
pub fn check(source: &Source, findings: &mut Vec<Finding>) {
    let stem = source.path.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs");
    let folder = source.path.rsplit('/').nth(1).unwrap_or_default();
    if EMPTY_NAMES.contains(&stem) || EMPTY_NAMES.contains(&folder) {
        let what = "name the file after what it is about".to_owned();
        findings.push(Finding { file: source.path.clone(), line: 1, what });
    }
    let in_core = source.path.starts_with("core/src/") && !source.path.starts_with("core/src/env/contract");
    for (line, text) in source.code() {
        let words = EVERYWHERE.iter().chain(if in_core { CORE } else { &[] });
        // This folder names the words it forbids.
        for (word, reason) in words.filter(|_| !source.path.starts_with("xtask/src/tidy/")) {
            if text.contains(word) {
                findings.push(Finding {
                    file: source.path.clone(),
                    line,
                    what: format!("`{word}`: {reason}"),
                });
            }
        }
    }
    if !source.path.starts_with("xtask/") {
        unbiased_selects(source, findings);
    }
}

/// An unbiased `select!` draws from a counter of the whole process: not the same run twice.
fn unbiased_selects(source: &Source, findings: &mut Vec<Finding>) {
    for (index, text) in source.lines.iter().enumerate() {
        if text.contains("select! {") || text.contains("select!{") {
            let next = source.lines.get(index + 1).map(String::as_str).unwrap_or_default();
            if !text.contains("biased;") && !next.contains("biased;") {
                let what = "begin the select with `biased;`".to_owned();
                findings.push(Finding { file: source.path.clone(), line: index + 1, what });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unbiased_select_is_found() {
        let mut findings = Vec::new();
        check(&Source::new("core/src/x.rs", "tokio::select! {\n    a = b => {}\n}"), &mut findings);
        assert_eq!(findings.len(), 1);
        findings.clear();
        check(
            &Source::new("core/src/x.rs", "tokio::select! {\n    biased;\n    a = b => {}\n}"),
            &mut findings,
        );
        assert!(findings.is_empty());
    }

    #[test]
    fn a_clock_of_the_process_is_found() {
        let mut findings = Vec::new();
        check(&Source::new("core/src/x.rs", "tokio::time::sleep(wait).await;"), &mut findings);
        assert_eq!(findings.len(), 1);
    }
}
