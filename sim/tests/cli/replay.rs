use super::{code, json, prepared, sim};

/// Every kind of fault that draws anything when it strikes.
const FAULTS: &str = "\
[[fault]]
kind = \"crash_at_disk_call\"
mean_every = \"400ms\"
calls = \"0..60\"
down = \"0ms..100ms\"
[[fault]]
kind = \"crash_while_recovering\"
mean_every = \"900ms\"
down = \"0ms..100ms\"
[[fault]]
kind = \"bit_rot\"
mean_every = \"700ms\"
[[fault]]
kind = \"power_loss\"
mean_every = \"900ms\"
down = \"0ms..100ms\"
[[fault]]
kind = \"restart\"
mean_every = \"900ms\"
down = \"0ms..100ms\"
";

#[test]
fn a_plan_that_was_written_replays_the_same_run_pinned_or_not() {
    let dir = prepared("replays", FAULTS);
    for seed in ["1", "2", "3", "4", "5", "6"] {
        let out = format!("out{seed}");
        let first = sim(
            &dir,
            &["small.toml", "--seed", seed, "--plant", "violate", "--format", "json", "--out", &out],
        );
        assert_eq!(code(&first), Some(1), "{}", String::from_utf8_lossy(&first.stderr));
        let first = json(&first);
        let plan = format!("{out}/small-{seed}/plan.toml");
        let written = std::fs::read_to_string(dir.join(&plan)).expect("a plan was written");
        assert!(
            written.contains("salt = ") && written.contains("strike = ") && written.contains("resolved = ")
        );
        for pin in [&[] as &[&str], &["--pin"]] {
            let options = ["--replay", &plan, "--plant", "violate", "--format", "json", "--out", &out];
            let again = sim(&dir, &[&options, pin].concat());
            assert_eq!(code(&again), Some(1), "{}", String::from_utf8_lossy(&again.stderr));
            let again = json(&again);
            assert_eq!(first["trace_hash"], again["trace_hash"], "seed {seed}, {pin:?}");
            assert_eq!(first["faults"], again["faults"], "seed {seed}, {pin:?}");
            let command = again["violations"][0]["replay"].as_str().expect("a command");
            assert_eq!(command.contains("--pin"), !pin.is_empty(), "{command}");
        }
        assert_eq!(
            std::fs::read_to_string(dir.join(&plan)).ok(),
            Some(written),
            "a replay leaves its plan alone"
        );
    }
}

#[test]
fn an_entry_taken_out_of_a_plan_leaves_what_the_others_drew() {
    let dir = prepared("edited", FAULTS);
    sim(&dir, &["small.toml", "--seed", "1", "--plant", "violate", "--out", "out"]);
    let written = std::fs::read_to_string(dir.join("out/small-1/plan.toml")).expect("a plan was written");
    let (head, last) = written.rsplit_once("\n[[fault]]").expect("there are several");
    std::fs::write(dir.join("edited.toml"), head).expect("it can be");
    sim(&dir, &["--replay", "edited.toml", "--plant", "violate", "--out", "again"]);
    let again =
        std::fs::read_to_string(dir.join("again/small-1-replayed/plan.toml")).expect("a plan was written");
    let faults = |text: &str| text[text.find("[[fault]]").expect("a fault")..].trim_end().to_owned();
    assert!(!last.is_empty());
    assert_eq!(faults(&again), faults(head));
}

#[test]
fn a_plan_of_a_scenario_that_has_changed_is_replayed_with_a_word_of_warning_and_one_that_cannot_be_is_refused()
 {
    let dir = prepared("changed", FAULTS);
    sim(&dir, &["small.toml", "--seed", "1", "--plant", "violate", "--out", "out"]);
    let text = std::fs::read_to_string(dir.join("small.toml")).expect("it was written");
    std::fs::write(dir.join("small.toml"), text.replace("partitions = 2", "partitions = 3"))
        .expect("it can be");
    let plan = "out/small-1/plan.toml";
    let output = sim(&dir, &["--replay", plan, "--plant", "violate", "--out", "out"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("has changed since"), "{output:?}");
    let written = std::fs::read_to_string(dir.join(plan)).expect("a plan was written");
    std::fs::write(dir.join("wrong.toml"), written.replace("target = \"any\"", "target = \"node 7\""))
        .expect("it can be");
    let output = sim(&dir, &["--replay", "wrong.toml"]);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(code(&output) == Some(2) && message.contains("strikes node 7"), "{message}");
}
