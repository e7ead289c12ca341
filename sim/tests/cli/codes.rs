use super::{code, json, prepared, sim};

const PAUSE: &str = "[[fault]]\nkind = \"pause\"\nmean_every = \"500ms\"\nlasts = \"50ms..200ms\"\n";

#[test]
fn seeds_that_pass_end_with_0_and_one_object_that_says_everything() {
    let dir = prepared("passes", PAUSE);
    let output = sim(&dir, &["small.toml", "--check-determinism", "100", "--format", "json"]);
    assert_eq!(code(&output), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    let summary = json(&output);
    for field in [
        "scenario",
        "revision",
        "seeds",
        "passed",
        "failed",
        "violations",
        "trace_hash",
        "simulated_seconds",
        "cpu_seconds",
        "events",
        "acked_batches",
        "faults",
        "armed",
        "reached",
        "unreached",
        "vacuous",
        "expected",
    ] {
        assert!(summary.get(field).is_some(), "{field}");
    }
    assert_eq!(
        (&summary["seeds"], &summary["passed"], &summary["failed"]),
        (&4.into(), &4.into(), &0.into())
    );
    assert_eq!((&summary["verdict"], &summary["double_runs"]), (&"passed".into(), &4.into()));
    assert!(summary["acked_batches"].as_u64() > Some(0) && summary["faults"]["pause"].as_u64() > Some(0));
}

#[test]
fn a_violation_ends_with_1_and_leaves_a_plan_a_trace_and_a_command_that_repeats_it() {
    let dir = prepared("violates", PAUSE);
    let output =
        sim(&dir, &["small.toml", "--seeds", "2", "--plant", "violate", "--format", "json", "--out", "out"]);
    assert_eq!(code(&output), Some(1));
    let summary = json(&output);
    let violation = &summary["violations"][0];
    assert_eq!((&violation["check"], &violation["seed"]), (&"planted".into(), &1.into()));
    let replay = violation["replay"].as_str().expect("a command");
    assert!(replay.ends_with("small.toml --seed 1 --plant violate"), "{replay}");
    assert_eq!((&summary["verdict"], &summary["failed"]), (&"violated".into(), &2.into()));
    for file in ["out/small-1/plan.toml", "out/small-2/plan.toml", "out/small-1/trace.jsonl"] {
        assert!(dir.join(file).is_file(), "{file}");
    }
    let text = sim(&dir, &["small.toml", "--seeds", "2", "--plant", "violate", "--out", "out"]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    for part in [
        "FAIL  small: 2 of 2",
        "seed 1: planted at",
        "confirmed in a process",
        "fault plan:",
        "seed 2:",
        "out/small-2/plan.toml",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn a_violation_is_told_also_when_no_file_can_be_written() {
    let dir = prepared("unwritable", PAUSE);
    std::fs::write(dir.join("out"), "a file where a directory should be").expect("it can be written");
    let output =
        sim(&dir, &["small.toml", "--seed", "1", "--plant", "violate", "--out", "out", "--format", "json"]);
    assert_eq!(code(&output), Some(1));
    assert_eq!(json(&output)["violations"][0]["check"], "planted");
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot write"));
}

#[test]
fn what_is_wrong_on_the_command_line_or_in_a_file_ends_with_2() {
    let dir = prepared("wrong", "[[fault]]\nkind = \"pause\"\nmean_evry = \"1s\"\n");
    let output = sim(&dir, &["small.toml"]);
    assert_eq!(code(&output), Some(2));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        message.contains("small.toml:17:1") && message.contains("did you mean `mean_every`?"),
        "{message}"
    );
    for arguments in
        [&["--seeds", "0"] as &[&str], &["missing.toml"], &["small.toml", "--plant", "weeds"], &[]]
    {
        assert_eq!(code(&sim(&dir, arguments)), Some(2), "{arguments:?}");
    }
}

#[test]
fn each_planted_leak_ends_with_3() {
    let dir = prepared("leaks", PAUSE);
    for leak in ["watch", "map", "counter"] {
        let output =
            sim(&dir, &["small.toml", "--seeds", "4", "--check-determinism", "100", "--plant", leak]);
        assert_eq!(code(&output), Some(3), "{leak}: {}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn a_seed_that_never_ends_ends_with_4_and_one_that_takes_its_process_along_with_1() {
    let dir = prepared("hangs", PAUSE);
    let text = std::fs::read_to_string(dir.join("small.toml")).expect("it was written");
    std::fs::write(dir.join("short.toml"), text.replace("cpu = \"20s\"", "cpu = \"6s\"")).expect("it can be");
    for (plant, expected, check) in [("spin", 4, "cpu_limit"), ("abort", 1, "process")] {
        let output =
            sim(&dir, &["short.toml", "--seed", "1", "--plant", plant, "--format", "json", "--out", "out"]);
        assert_eq!(code(&output), Some(expected), "{plant}");
        assert_eq!(json(&output)["violations"][0]["check"], check, "{plant}");
        assert!(dir.join("out/short-1/plan.toml").is_file(), "{plant}: it is named, with its plan");
    }
}

#[test]
fn a_seed_in_which_hardly_any_time_passes_ends_by_its_bound_of_events_long_before_its_limit_of_time() {
    let dir = prepared("circles", PAUSE);
    let text = std::fs::read_to_string(dir.join("small.toml")).expect("it was written");
    std::fs::write(dir.join("long.toml"), text.replace("cpu = \"20s\"", "cpu = \"300s\""))
        .expect("it can be");
    let output =
        sim(&dir, &["long.toml", "--seed", "1", "--plant", "circle", "--format", "json", "--out", "out"]);
    assert_eq!(code(&output), Some(4));
    assert_eq!(json(&output)["violations"][0]["check"], "event_budget");
}

#[test]
fn a_batch_in_which_nothing_was_tried_ends_with_1() {
    let dir = prepared("vacuous", PAUSE);
    let text = std::fs::read_to_string(dir.join("small.toml")).expect("it was written");
    let readers = text.replace("clients = \"1..2\"", "clients = 0");
    std::fs::write(dir.join("readers.toml"), readers).expect("it can be");
    let unmet = "[[fault]]\nkind = \"crash_at_disk_call\"\nmean_every = \"1s\"\ncalls = 1000000\n\n[budget]";
    std::fs::write(dir.join("unmet.toml"), text.replace("[budget]", unmet)).expect("it can be");
    for (arguments, why) in [
        (&["small.toml", "--time", "0s"] as &[&str], "no seed was run"),
        (&["readers.toml"], "no batch was acknowledged"),
        (&["unmet.toml", "--seeds", "20"], "nothing met it"),
    ] {
        let output = sim(&dir, &[arguments, &["--format", "json"]].concat());
        assert_eq!(code(&output), Some(1), "{arguments:?}");
        let summary = json(&output);
        assert_eq!(summary["verdict"], "vacuous");
        assert!(summary["vacuous"][0].as_str().expect("a reason").contains(why), "{}", summary["vacuous"]);
    }
}
