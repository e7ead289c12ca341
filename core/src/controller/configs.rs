//! Overrides of topics, and the cluster's defaults: replaced as a whole, or changed key by key (KIP-339).

use std::collections::{BTreeMap, BTreeSet};

use super::command::{ConfigChange, ConfigEdit, ConfigOperation};
use super::elr::MIN_INSYNC_REPLICAS;
use super::records::Records;
use super::response::{Rejection, Response};
use super::{Controller, Decision};
use crate::metadata::ConfigResource;
use crate::metadata::records::{ConfigRecord, Record, ResourceType};

type Overrides = BTreeMap<String, String>;

impl Controller {
    pub(super) fn alter_configs(&self, changes: &[ConfigChange]) -> Result<Decision, Rejection> {
        let is_cluster_default = |change: &ConfigChange| change.resource == ConfigResource::cluster_default();
        if let [change] = changes
            && is_cluster_default(change)
        {
            // A record for each partition it matters to, as of a registration: the request cannot be split.
            let altered = self.alter_cluster_default(change);
            let (records, result) =
                altered.map_or_else(|error| (Vec::new(), Err(error)), |records| (records, Ok(())));
            let response = Response::ConfigsAltered(vec![result]);
            return Ok(Decision { records, is_atomic: true, response });
        }
        let mut records = Records::default();
        let mut seen = BTreeSet::new();
        let twice: BTreeSet<&ConfigResource> = changes
            .iter()
            .map(|change| &change.resource)
            .filter(|resource| !seen.insert(*resource))
            .collect();
        let mut results = Vec::with_capacity(changes.len());
        for change in changes {
            let result = if twice.contains(&change.resource) {
                Err(Rejection::InvalidRequest(format!("'{}' is named twice", change.resource.name)))
            } else if is_cluster_default(change) {
                // What follows for a topic depends on both: judged one by one, neither would see the change.
                let text = "the cluster's default is altered in a request of its own, without topics";
                Err(Rejection::InvalidRequest(text.to_owned()))
            } else {
                self.alter_config(change).and_then(|changed| {
                    records.room_for(changed.len())?;
                    changed.into_iter().for_each(|record| records.push(record));
                    Ok(())
                })
            };
            records.check()?;
            results.push(result);
        }
        let response = Response::ConfigsAltered(results);
        Ok(Decision { records: records.into_vec(), is_atomic: true, response })
    }

    fn alter_config(&self, change: &ConfigChange) -> Result<Vec<Record>, Rejection> {
        let resource = &change.resource;
        if resource.resource_type != ResourceType::Topic {
            return Err(of_file());
        }
        let unknown = || Rejection::UnknownTopic(resource.name.clone());
        let topic = self.image.topic(&resource.name).ok_or_else(unknown)?;
        let before = self.image.overrides(resource);
        let after = self.altered(change)?;
        let rules = |overrides: &Overrides| self.rules_of(overrides, self.image.cluster_defaults());
        let mut records = difference(resource, before, &after);
        let changes = self.after_config_change(topic, rules(before), rules(&after));
        records.extend(changes.into_iter().map(Record::from));
        Ok(records)
    }

    /// The cluster's default of `min.insync.replicas` holds for every topic without a number of its own, and what
    /// follows from another one stands in the same batch. It can be replaced, and not be removed, for then each process
    /// would reckon with its own (KIP-966).
    fn alter_cluster_default(&self, change: &ConfigChange) -> Result<Vec<Record>, Rejection> {
        let before = self.image.cluster_defaults();
        let is_of_file = match &change.edit {
            ConfigEdit::Replace(pairs) => pairs.iter().any(|(key, _)| key != MIN_INSYNC_REPLICAS),
            ConfigEdit::Incremental(operations) => {
                operations.iter().any(|(key, _)| key != MIN_INSYNC_REPLICAS)
            }
        };
        if is_of_file {
            return Err(of_file());
        }
        let after = self.altered(change)?;
        if !after.contains_key(MIN_INSYNC_REPLICAS) {
            let text = "the cluster cannot be without a default of min.insync.replicas: set another one";
            return Err(Rejection::InvalidConfig(text.to_owned()));
        }
        let mut records = difference(&change.resource, before, &after);
        for topic in self.image.topics() {
            let overrides = self.image.topic_overrides(&topic.name);
            let rules = (self.rules_of(overrides, before), self.rules_of(overrides, &after));
            let changes = self.after_config_change(topic, rules.0, rules.1);
            records.extend(changes.into_iter().map(Record::from));
        }
        Ok(records)
    }

    /// The overrides of a resource after a change, each new one checked.
    fn altered(&self, change: &ConfigChange) -> Result<Overrides, Rejection> {
        let before = self.image.overrides(&change.resource);
        let after = match &change.edit {
            ConfigEdit::Replace(pairs) => replaced(pairs)?,
            ConfigEdit::Incremental(operations) => self.edited(before, operations)?,
        };
        for (key, value) in after.iter().filter(|(key, value)| before.get(*key) != Some(*value)) {
            (self.settings.check_config)(key, value).map_err(Rejection::InvalidConfig)?;
        }
        Ok(after)
    }

    fn edited(
        &self,
        before: &Overrides,
        operations: &[(String, ConfigOperation)],
    ) -> Result<Overrides, Rejection> {
        let mut after = before.clone();
        let mut seen = BTreeSet::new();
        for (key, operation) in operations {
            if !seen.insert(key) {
                return Err(Rejection::InvalidRequest(format!("{key} is named twice")));
            }
            match operation {
                ConfigOperation::Set(value) => {
                    let value = value.as_deref().ok_or_else(|| no_value(key))?;
                    after.insert(key.clone(), value.trim().to_owned());
                }
                ConfigOperation::Delete => {
                    after.remove(key);
                }
                ConfigOperation::Append(value) | ConfigOperation::Subtract(value) => {
                    let Some(default) = (self.settings.list_default)(key) else {
                        return Err(Rejection::InvalidConfig(format!("the value of {key} is no list")));
                    };
                    let value = value.as_deref().ok_or_else(|| no_value(key))?;
                    let current = after.get(key).map_or(default, String::as_str);
                    let adds = matches!(operation, ConfigOperation::Append(_));
                    after.insert(key.clone(), edited_list(current, value, adds));
                }
            }
        }
        Ok(after)
    }
}

fn replaced(pairs: &[(String, Option<String>)]) -> Result<Overrides, Rejection> {
    let mut after = Overrides::new();
    for (key, value) in pairs {
        if after.contains_key(key) {
            return Err(Rejection::InvalidRequest(format!("{key} is named twice")));
        }
        // To ignore it would put the key back to its default, which for retention.ms may delete what was to be kept.
        let value = value.as_deref().ok_or_else(|| no_value(key))?;
        after.insert(key.clone(), value.trim().to_owned());
    }
    Ok(after)
}

/// Of a key that each broker takes from its own file.
fn of_file() -> Rejection {
    let text = "of the configuration of brokers only the cluster's default of min.insync.replicas can be altered while \
                they run: change the file of each and restart it";
    Rejection::InvalidRequest(text.to_owned())
}

fn no_value(key: &str) -> Rejection {
    Rejection::InvalidRequest(format!("null is no value for {key}"))
}

/// A list with elements added that it does not have, or taken out.
fn edited_list(current: &str, elements: &str, adds: bool) -> String {
    let split = |text: &str| -> Vec<String> {
        text.split(',').map(str::trim).filter(|element| !element.is_empty()).map(str::to_owned).collect()
    };
    let mut list = split(current);
    for element in split(elements) {
        if adds && !list.contains(&element) {
            list.push(element);
        } else if !adds {
            list.retain(|other| *other != element);
        }
    }
    list.join(",")
}

fn difference(resource: &ConfigResource, before: &Overrides, after: &Overrides) -> Vec<Record> {
    let record = |name: &String, value: Option<&String>| -> Record {
        ConfigRecord {
            resource_type: resource.resource_type,
            resource_name: resource.name.clone(),
            name: name.clone(),
            value: value.cloned(),
        }
        .into()
    };
    let set = after.iter().filter(|(key, value)| before.get(*key) != Some(*value));
    let ended = before.keys().filter(|key| !after.contains_key(*key));
    set.map(|(key, value)| record(key, Some(value))).chain(ended.map(|key| record(key, None))).collect()
}
