use super::{code, json, prepared, sim, text};

#[test]
fn the_list_names_every_bug_with_what_finds_it_or_why_nothing_does() {
    let dir = prepared("bugs-list", "");
    let output = sim(&dir, &["bugs", "--list", "--format", "json"]);
    assert_eq!(code(&output), Some(0));
    let list = json(&output);
    let bugs = list["bugs"].as_array().expect("a list");
    for bug in bugs {
        let explained = bug["because"].is_string()
            || bug["shown"].as_str().is_some_and(|tool| tool.starts_with("fuzz") || tool == "scenario");
        assert!(explained && bug["history"].is_string() && bug["symptom"].is_string(), "{bug}");
    }
    let found = bugs.iter().filter(|bug| bug["shown"].as_str().is_some_and(|tool| tool.starts_with("fuzz")));
    assert!(found.count() >= 45);
    let printed = text(&sim(&dir, &["bugs", "--list"]));
    for part in [
        "A1   trunc-to-hw",
        "KAFKA-3919",
        "C1   marker-delete-late (with serve-while-loading)",
        "does not apply",
        "\nall: ",
    ] {
        assert!(printed.contains(part), "{part} in {printed}");
    }
}

#[test]
fn bugs_are_chosen_by_id_name_or_tool() {
    let dir = prepared("bugs-chosen", "");
    let names = |arguments: &[&str]| -> Vec<String> {
        let output = sim(&dir, &[&["bugs", "--list", "--format", "json"], arguments].concat());
        let bugs = json(&output)["bugs"].as_array().expect("a list").clone();
        bugs.iter().map(|bug| bug["name"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(
        names(&["--only", "A12,trust-index"]),
        ["cache-keep-tail", "cache-skip-epoch0", "trust-index"]
    );
    assert_eq!(names(&["--only", "serve-while-loading"]), ["marker-delete-late", "serve-while-loading"]);
    assert!(names(&["--tool", "scenario"]).contains(&"user-buffer".to_owned()));
    assert!(!names(&["--tool", "fuzz"]).contains(&"user-buffer".to_owned()));
    let output = sim(&dir, &["bugs", "--only", "trunc-to-hv"]);
    assert_eq!(code(&output), Some(2));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("did you mean `trunc-to-hw`"), "{error}");
}

#[test]
fn a_hunt_tells_for_each_start_what_was_found_and_adds_a_line_to_the_record() {
    let dir = prepared("bugs-hunt", "");
    let arguments =
        ["bugs", "--only", "G2,B3,G13", "--cpu-seconds", "60", "--record", "record.csv", "--format", "json"];
    let output = sim(&dir, &arguments);
    assert_eq!(code(&output), Some(0), "{output:?}");
    let summary = json(&output);
    let bug = |name: &str| {
        let bugs = summary["bugs"].as_array().expect("a list");
        bugs.iter().find(|bug| bug["name"] == name).expect("it was looked for").clone()
    };
    for (name, tool) in [("vote-no-log-check", "sim fuzz raft"), ("no-maximal-isr", "sim fuzz replication")] {
        let bug = bug(name);
        assert_eq!(
            (&bug["found"], &bug["starts_found"], &bug["tool"]),
            (&true.into(), &3.into(), &tool.into())
        );
        for figure in ["seeds", "steps", "cpu_seconds", "cpu_seconds_worst"] {
            assert!(bug[figure].is_number(), "{figure}: {bug}");
        }
        assert!(bug["check"].is_string() && bug["starts"].as_array().is_some_and(|starts| starts.len() == 3));
        assert_eq!(bug["starts"][1]["first_seed"], 10_000_001);
    }
    assert!(bug("applied-index-separate")["found"].is_null());
    let record = std::fs::read_to_string(dir.join("record.csv")).expect("it was written");
    assert_eq!(record.lines().count(), 3, "{record}");
    assert!(record.contains("G2 vote-no-log-check") && record.contains("found in 3 of 3 starts"), "{record}");
}

#[test]
fn a_guard_that_is_not_missed_in_time_ends_with_1() {
    let dir = prepared("bugs-missed", "");
    let output = sim(&dir, &["bugs", "--only", "G6", "--cpu-seconds", "0", "--starts", "2"]);
    assert_eq!(code(&output), Some(1), "{output:?}");
    assert!(text(&output).contains("MISSED G6"), "{output:?}");
}
