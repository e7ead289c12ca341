use super::*;
use crate::scenario::trial;

const SOUND: &str = "\
# What must survive, and why.
seeds = \"1..20\"
duration = \"5s..10s\"

[cluster]
brokers = 1
config.log.retention.check.interval.ms = \"200..2000\"

[[topic]]
name = \"ledger\"
partitions = [1, 4]
config.flush.messages = 1

[[workload]]
kind = \"produce\"
acks = [\"all\", \"1\"]

[[fault]]
kind = \"power_loss\"
mean_every = \"3s\"
";

fn check(text: &str) -> Result<Scenario, String> {
    read(Path::new("s.toml"), text.to_owned()).map_err(|error| error.to_string())
}

/// Reads the sound scenario with a line changed, and expects these words at this place.
fn refuses(from: &str, to: &str, place: &str, words: &[&str]) {
    assert!(SOUND.contains(from), "{from}");
    let message = check(&SOUND.replacen(from, to, 1)).expect_err(to);
    assert!(message.starts_with(&format!("s.toml:{place}: ")), "{message}");
    for word in words {
        assert!(message.contains(word), "{word} in {message}");
    }
}

#[test]
fn a_sound_scenario_is_read() {
    let scenario = check(SOUND).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(scenario.seeds, (1, 20));
    assert_eq!(scenario.prose, "What must survive, and why.");
    assert_eq!(scenario.duration, Choice::Range(Duration::from_secs(5), Duration::from_secs(10)));
    assert_eq!(scenario.topics[0].partitions, Choice::OneOf(vec![1, 4]));
    assert_eq!(scenario.topics[0].config[0].0, "flush.messages");
    assert_eq!(scenario.cluster.config[0].0, "log.retention.check.interval.ms");
    assert_eq!(scenario.checks.len(), check::NAMES.len(), "all of them, when none is named");
}

#[test]
fn unknown_keys_are_pointed_at() {
    refuses("mean_every", "mean_evry", "20:1", &["unknown key `mean_evry`", "did you mean `mean_every`?"]);
    refuses(
        "brokers = 1",
        "brokers = 1\nracks = 2",
        "7:1",
        &["unknown key `racks` in [cluster]", "known here:"],
    );
    refuses("duration", "durations", "3:1", &["did you mean `duration`?"]);
    refuses("[[fault]]", "[[faults]]", "18:3", &["did you mean `fault`?"]);
    refuses("name =", "nmae =", "10:1", &["did you mean `name`?"]);
}

#[test]
fn unknown_names_are_pointed_at() {
    refuses("\"power_loss\"", "\"powr_loss\"", "19:8", &["no fault", "did you mean `power_loss`?"]);
    refuses("\"produce\"", "\"prodce\"", "15:8", &["did you mean `produce`?"]);
    refuses("\"1\"]", "\"2\"]", "16:16", &["no value of `acks`", "one of: all, 1, 0"]);
    let check = "expect = \"violation:acked_is_durabel\"\n\n[cluster]";
    refuses("\n[cluster]", check, "4:10", &["did you mean `acked_is_durable`?"]);
}

#[test]
fn kafkas_keys_are_checked_as_the_broker_checks_them() {
    refuses("flush.messages", "flush.mesages", "12:14", &["flush.mesages"]);
    refuses("flush.messages = 1", "segment.bytes = \"1..2\"", "12:16", &["segment.bytes"]);
    refuses("\"200..2000\"", "\"never\"", "7:37", &["never"]);
}

#[test]
fn values_of_the_wrong_kind_are_pointed_at() {
    refuses("\"5s..10s\"", "\"10s..5s\"", "3:12", &["runs backwards, from 10s to 5s"]);
    refuses("\"5s..10s\"", "5", "3:12", &["a time such as"]);
    refuses("[1, 4]", "[1, \"many\"]", "11:18", &["a number"]);
    refuses("\"1..20\"", "\"20..1\"", "2:9", &["first..last"]);
    refuses(
        "brokers = 1",
        "brokers = \"1..3\"",
        "6:11",
        &["3 brokers do not find one another yet", "brokers = 1"],
    );
    refuses("[cluster]", "[clustr]", "5:2", &["did you mean `cluster`?"]);
    refuses("brokers = 1", "brokers = { a = 1 }", "6:11", &["single value"]);
    refuses("[cluster]", "[cluster", "5:9", &[]);
}

#[test]
fn a_scenario_says_what_must_survive() {
    refuses("# What must survive, and why.\n", "", "1:1", &["opens with a comment"]);
    refuses("# What must survive, and why.", "#", "1:1", &["opens with a comment"]);
}

#[test]
fn every_scenario_of_the_repository_is_sound() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let mut count = 0;
    for folder in std::fs::read_dir(&root).expect("the repository has scenarios") {
        for file in std::fs::read_dir(folder.expect("readable").path()).expect("a folder of scenarios") {
            let path = file.expect("readable").path();
            load(&path).unwrap_or_else(|error| panic!("{error}"));
            assert!(trial::run(&std::fs::read_to_string(&path).expect("it was read before")));
            count += 1;
        }
    }
    assert!(count > 0);
}

#[test]
fn no_text_makes_the_parser_panic() {
    let mut rng = crate::rng::Rng::from_seed(11);
    for _ in 0..20_000 {
        let mut bytes = SOUND.as_bytes().to_vec();
        for _ in 0..1 + rng.below(4) {
            let at = rng.below(bytes.len() as u64) as usize;
            match rng.below(3) {
                0 => bytes[at] = rng.next_u64() as u8,
                1 => drop(bytes.drain(at..(at + rng.below(20) as usize).min(bytes.len()))),
                _ => bytes.insert(at, b"\"[]=.#{}\n9"[rng.below(10) as usize]),
            }
        }
        trial::run(&String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn a_star_means_several_sites_and_a_site_the_core_does_not_have_is_refused() {
    let aimed = |site: &str| {
        let fault = format!("kind = \"crash_at_disk_call\"\nduring = \"set-up\"\nsite = {site}");
        check(&SOUND.replacen("kind = \"power_loss\"\nmean_every = \"3s\"", &fault, 1))
    };
    let scenario = aimed("[\"log.dir.delete-*\", \"any\"]").unwrap_or_else(|error| panic!("{error}"));
    let fault = &scenario.faults[0];
    assert!(matches!(fault.when, super::super::When::SetUp));
    let sites = fault.parameters.iter().find(|(name, _)| *name == "site").map(|(_, choice)| choice);
    let Some(Choice::OneOf(sites)) = sites else { panic!("{sites:?} is no set") };
    assert_eq!(sites.len(), 5, "{sites:?}");
    let message = aimed("\"log.recovery.cat\"").expect_err("no such site");
    assert!(message.contains("did you mean `log.recovery.cut`?"), "{message}");
    let none = aimed("\"log.truncate.*\"").expect_err("nothing comes there yet");
    assert!(none.contains("is no disk site"), "{none}");
    refuses("mean_every = \"3s\"", "during = \"nights\"", "20:10", &["no part of a run"]);
    refuses("mean_every", "during = \"set-up\"\nmean_every", "18:1", &["alone"]);
}

#[test]
fn what_could_never_strike_is_refused_where_it_stands() {
    refuses("mean_every = \"3s\"", "at = \"6s\"", "20:6", &["up to 6s", "may end after 5s"]);
    refuses(
        "mean_every = \"3s\"",
        "mean_every = \"3s\"\nfirst_after = \"1s..5s\"",
        "21:15",
        &["`first_after` is up to 5s"],
    );
    refuses(
        "mean_every = \"3s\"",
        "mean_every = \"3s\"\ntarget = \"node 2\"",
        "21:10",
        &["no `node 2` among 1 brokers"],
    );
    refuses(
        "partitions = [1, 4]",
        "partitions = [1, 4]\nreplication = 3",
        "12:15",
        &["1 brokers alone for 3 replicas"],
    );
    let at = SOUND.replacen("mean_every = \"3s\"", "at = \"1s..4s\"\ntarget = \"node 1\"", 1);
    check(&at).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn absurd_numbers_are_refused_before_anything_is_drawn() {
    refuses("\"1..20\"", "\"1..99999999999\"", "2:9", &["ten million at most"]);
    refuses("\"1..20\"", "\"18446744073709551615\"", "2:9", &["one number"]);
    refuses("\"5s..10s\"", "\"5s..9999h\"", "3:12", &["a month at most"]);
    refuses("brokers = 1", "brokers = 18446744073709551615", "6:11", &["`brokers` is 100 at most"]);
    refuses("[1, 4]", "[1, 99999]", "11:14", &["99999 is more than a seed can carry"]);
    refuses("acks = ", "clients = 1000000\nacks = ", "16:11", &["`clients` is 1000 at most"]);
    refuses("acks = ", "records = \"1..1GiB\"\nacks = ", "16:11", &["`records` is 10000 at most"]);
    refuses("\"3s\"", "\"1us\"", "18:1", &["with this fault a seed has 10000000 strikes"]);
}

#[test]
fn topics_and_the_cluster_draw_under_names_of_their_own() {
    let text = SOUND
        .replace("\"ledger\"", "\"cluster\"")
        .replace("brokers = 1", "brokers = 1\nconfig.min.insync.replicas = \"1..2\"")
        .replace("config.flush.messages = 1", "config.min.insync.replicas = \"1..2\"");
    assert!(trial::run(&text), "{:?}", check(&text).err());
}
