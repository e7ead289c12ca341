//! What README.md says of this version, compared with the tables that the broker works by.

use std::collections::BTreeSet;

use jangbu_core::config::{TOPIC_KEYS, broker_key};
use jangbu_core::wire::ApiKey;

const README: &str = include_str!("../../README.md");

/// The cells of the table under a heading, without its two first lines.
fn table(heading: &str) -> Vec<Vec<&'static str>> {
    let (_, section) = README.split_once(&format!("## {heading}\n")).expect("the section is there");
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

fn quoted(cell: &str) -> &str {
    cell.trim_matches('`')
}

#[test]
fn the_keys_of_the_readme_have_the_defaults_that_it_says() {
    let rows = table("Configure it");
    assert!(rows.len() >= 10, "{rows:?}");
    for row in rows {
        let key = broker_key(quoted(row[0])).unwrap_or_else(|| panic!("{} is no key", row[0]));
        let default = key.default.unwrap_or("none");
        assert_eq!(quoted(row[1]), default, "{}", key.name);
    }
}

#[test]
fn the_readme_lists_every_api_with_the_versions_that_are_served() {
    let rows = table("What works, and what does not");
    let listed: BTreeSet<String> = rows
        .iter()
        .filter(|row| row[0] == "APIs")
        .flat_map(|row| row[1].split(", "))
        .map(|api| api.trim_start_matches("and ").to_owned())
        .collect();
    let served: BTreeSet<String> = ApiKey::ALL
        .iter()
        .map(|key| {
            let versions = key.versions();
            match (versions.served_min, versions.max) {
                (min, max) if min == max => format!("{} {max}", key.name()),
                (min, max) => format!("{} {min}-{max}", key.name()),
            }
        })
        .collect();
    assert_eq!(listed, served);
}

#[test]
fn the_keys_that_the_readme_gives_for_durability_are_those_of_flush_messages() {
    let key = TOPIC_KEYS.iter().find(|key| key.name == "flush.messages").expect("a key of topics");
    assert!(README.contains(&format!("`{}=1`", key.broker_keys[0].0)));
    assert!(README.contains("`flush.messages=1`"));
}
