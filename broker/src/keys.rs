//! `jangbu config`: the keys that are supported, as a commented `server.properties`, from the tables that parse them.

use std::fmt::Write;

use jangbu_core::config::{BROKER_KEYS, Bounds, Key, TOPIC_KEYS};

/// Every key of the broker with its meaning and default, then those of topics, of which a broker's file takes none.
pub fn listing() -> String {
    let mut text = String::from(
        "# The keys that this version supports. Each is commented out and shows its default; a key without a value has\n\
         # none. Others of Kafka's keys are refused where they promise safety or a format, and else ignored with a warning.\n",
    );
    for key in BROKER_KEYS.iter().filter(|key| !key.name.starts_with("internal.")) {
        let _ = write!(text, "\n{}#{}={}\n", explained(key), key.name, key.default.unwrap_or_default());
    }
    text.push_str(
        "\n# ---- Keys of topics: given when a topic is created or altered, not in this file. In brackets the key above\n\
         # that sets them for all topics without their own.\n",
    );
    for key in TOPIC_KEYS {
        let of_broker: Vec<&str> = key.broker_keys.iter().map(|(name, _)| *name).collect();
        let default = key.default.unwrap_or_default();
        let _ = write!(text, "\n{}# {}={default} [{}]\n", explained(key), key.name, of_broker.join(", "));
    }
    text
}

fn explained(key: &Key) -> String {
    match key.bounds {
        Bounds::Any | Bounds::NotEmpty => format!("# {}\n", key.doc),
        bounds => format!("# {} Takes {bounds}.\n", key.doc),
    }
}

#[cfg(test)]
mod tests {
    use jangbu_core::config::Config;

    use super::*;
    use crate::config_file;

    /// Who takes the comment off a line gets what he had without it.
    #[test]
    fn the_listing_is_a_server_properties_of_all_keys_at_their_defaults() {
        let listing = listing();
        let defaults: Vec<&str> = listing
            .lines()
            .filter_map(|line| line.strip_prefix('#').filter(|line| !line.starts_with(' ')))
            .collect();
        let public = BROKER_KEYS.iter().filter(|key| !key.name.starts_with("internal."));
        assert_eq!(defaults.len(), public.clone().count());
        for (line, key) in defaults.iter().zip(public) {
            let expected = format!("{}={}", key.name, key.default.unwrap_or_default());
            assert_eq!(*line, expected);
        }
        let given: Vec<&str> = defaults.into_iter().filter(|line| !line.ends_with('=')).collect();
        let properties = config_file::parse(&given.join("\n")).expect("a properties file");
        Config::parse(properties.into_iter().map(|property| (property.key, property.value)))
            .expect("the defaults are taken");
        assert!(TOPIC_KEYS.iter().all(|key| listing.contains(&format!("\n# {}=", key.name))));
    }
}
