use super::{code, json, prepared, sim, text};

#[test]
fn a_fuzzer_that_finds_nothing_ends_with_0_and_one_object_with_its_floors() {
    let dir = prepared("fuzz-clean", "");
    for (machine, floor) in [("raft", "voter_changes"), ("replication", "eligible_elections")] {
        let output = sim(&dir, &["fuzz", machine, "--steps", "20000", "--jobs", "1", "--format", "json"]);
        assert_eq!(code(&output), Some(0), "{output:?}");
        let summary = json(&output);
        assert!(summary["steps"].as_u64() >= Some(20_000) && summary["seeds"].as_u64() > Some(1));
        assert!(summary["cpu_seconds"].as_f64() > Some(0.0));
        assert_eq!(
            (&summary["violations"], &summary["floors_missed"]),
            (&serde_json::json!([]), &serde_json::json!([]))
        );
        for figure in ["count", "per_million", "floor"] {
            assert!(summary["floors"][floor][figure].is_number(), "{machine}: {figure}");
        }
        assert!(output.stderr.is_empty(), "nothing to tell after so little time: {output:?}");
    }
}

#[test]
fn seeds_are_the_same_on_one_thread_or_two_and_only_those_that_were_asked_for() {
    let dir = prepared("fuzz-seeds", "");
    let run = |jobs| {
        let arguments = ["fuzz", "replication", "--seeds", "5..64", "--jobs", jobs, "--format", "json"];
        json(&sim(&dir, &arguments))
    };
    let (one, two) = (run("1"), run("2"));
    assert_eq!(one["seeds"], 60);
    for field in ["seeds", "steps", "floors"] {
        assert_eq!(one[field], two[field], "{field}");
    }
}

#[test]
fn a_guard_that_is_missed_leaves_a_short_script_that_plays_again() {
    let dir = prepared("fuzz-script", "");
    let found = sim(&dir, &["fuzz", "replication", "--only", "no-maximal-isr", "--cpu-seconds", "60"]);
    assert_eq!(code(&found), Some(0), "found, as it should be: {found:?}");
    let printed = text(&found);
    let (line, script) = printed.split_once("\n\n").expect("a line and a script");
    assert!(
        line.starts_with("// FOUND  B3   no-maximal-isr") && script.contains("// off no-maximal-isr"),
        "{printed}"
    );
    std::fs::write(dir.join("small.txt"), script).expect("it can be written");
    let whole = sim(&dir, &["fuzz", "replication", "--only", "B3", "--cpu-seconds", "60", "--no-shrink"]);
    std::fs::write(dir.join("whole.txt"), text(&whole)).expect("it can be written");
    assert!(text(&whole).lines().count() > printed.lines().count(), "the other one was made small");
    for file in ["small.txt", "whole.txt"] {
        let played = sim(&dir, &["fuzz", "replication", "--replay", file]);
        assert_eq!(code(&played), Some(1), "{played:?}");
        assert!(text(&played).contains("VIOLATION W"), "{played:?}");
    }
    let guarded = script.replace("// off no-maximal-isr\n", "");
    std::fs::write(dir.join("guarded.txt"), guarded).expect("it can be written");
    let played = sim(&dir, &["fuzz", "replication", "--replay", "guarded.txt"]);
    assert_eq!(code(&played), Some(0), "with the guard nothing breaks: {played:?}");
}

#[test]
fn what_the_quorums_fuzzer_prints_of_a_missed_guard_plays_again_as_it_is() {
    let dir = prepared("fuzz-raft-script", "");
    let found = sim(&dir, &["fuzz", "raft", "--only", "vote-no-log-check", "--cpu-seconds", "60"]);
    assert_eq!(code(&found), Some(0), "found, as it should be: {found:?}");
    assert!(text(&found).starts_with("# FOUND  G2 "), "{found:?}");
    std::fs::write(dir.join("g2.txt"), text(&found)).expect("it can be written");
    let played = sim(&dir, &["fuzz", "raft", "--replay", "g2.txt"]);
    assert_eq!(code(&played), Some(1), "{played:?}");
    std::fs::write(dir.join("nothing.txt"), "FOUND\n").expect("it can be written");
    assert_eq!(code(&sim(&dir, &["fuzz", "raft", "--replay", "nothing.txt"])), Some(2));
}

#[test]
fn what_a_fuzzer_does_not_understand_ends_with_2() {
    let dir = prepared("fuzz-wrong", "");
    std::fs::write(dir.join("bad.txt"), "// seed 1\nlet schedule = [\n];\n").expect("it can be written");
    let wrong: [(&[&str], &str); 6] = [
        (&["fuzz", "replication", "--only", "G4"], "shown by `sim fuzz raft"),
        (&["fuzz", "raft", "--only", "A1"], "shown by `sim fuzz replication"),
        (&["fuzz", "replication", "--seeds", "0"], "--seeds"),
        (&["fuzz", "replication", "--replay", "missing.txt"], "missing.txt"),
        (&["fuzz", "replication", "--replay", "bad.txt"], "bad.txt: it is of another revision"),
        (&["fuzz", "replication", "--replay", "bad.txt", "--steps", "5"], "cannot be used with"),
    ];
    for (arguments, message) in wrong {
        let output = sim(&dir, arguments);
        assert_eq!(code(&output), Some(2), "{arguments:?}");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(error.contains(message), "{arguments:?}: {error}");
    }
}

#[test]
fn a_campaign_adds_a_line_to_the_record_whatever_ran() {
    let dir = prepared("record", "");
    let commands: [&[&str]; 3] = [
        &["fuzz", "raft", "--seeds", "20", "--record", "campaigns.csv"],
        &["fuzz", "replication", "--seeds", "20", "--record", "campaigns.csv"],
        &["small.toml", "--seeds", "2", "--check-determinism", "0", "--record", "campaigns.csv"],
    ];
    for arguments in commands {
        let output = sim(&dir, arguments);
        assert_eq!(code(&output), Some(0), "{output:?}");
    }
    let record = std::fs::read_to_string(dir.join("campaigns.csv")).expect("it was written");
    let lines: Vec<&str> = record.lines().collect();
    assert_eq!(lines.len(), 4, "{record}");
    assert!(lines[0].starts_with("date,revision,tree,tool,subject,seeds,steps,"), "{record}");
    for (line, tool) in lines[1..].iter().zip(["sim fuzz raft", "sim fuzz replication", "sim"]) {
        let columns: Vec<&str> = line.split(',').collect();
        assert_eq!((columns[3], columns.len(), columns[10]), (tool, 11, "passed"), "{line}");
    }
    let elsewhere = sim(&dir, &["fuzz", "raft", "--seeds", "2", "--record", "small.toml"]);
    assert_eq!(code(&elsewhere), Some(2), "a scenario is no record");
}
