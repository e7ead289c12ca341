//! `sim bugs --list`: the museum without a hunt.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::museum::{Exhibit, FAMILIES, Shown, label};

/// The table, and how many there are of each sort.
pub fn text(chosen: &[&Exhibit]) -> String {
    let mut text = String::new();
    for exhibit in chosen {
        let name = match exhibit.hidden_by() {
            Some(hidden) => format!("{} (with {})", exhibit.name(), label(hidden.switch).1),
            None => exhibit.name().to_owned(),
        };
        text.push_str(&format!("{:<4} {name:<28} {}\n", exhibit.id(), sort(exhibit)));
        text.push_str(&format!("       {}: {}\n", exhibit.history, exhibit.symptom));
        if let Some(why) = why(exhibit) {
            text.push_str(&format!("       because: {why}\n"));
        }
        if let Shown::Tested(test, _) = exhibit.shown {
            text.push_str(&format!("       directed test: {test}\n"));
        }
    }
    text.push('\n');
    for (title, exhibits) in FAMILIES {
        let letter = exhibits.first().map_or("", |exhibit| &exhibit.id()[..1]);
        let of_family = chosen.iter().filter(|exhibit| exhibit.id().starts_with(letter));
        let counts = counts(of_family.copied());
        if !counts.is_empty() {
            text.push_str(&format!("{letter}  {title}: {}\n", counted(&counts)));
        }
    }
    text.push_str(&format!("all: {}\n", counted(&counts(chosen.iter().copied()))));
    text
}

/// What finds it, in a word or two.
fn sort(exhibit: &Exhibit) -> &'static str {
    match &exhibit.shown {
        Shown::By(tool) | Shown::Paired(tool, _) => tool.name(),
        Shown::Tested(..) => "directed test only",
        Shown::Companion(_) => "hides another",
        Shown::Inapplicable(_) => "does not apply",
    }
}

fn why(exhibit: &Exhibit) -> Option<&'static str> {
    match &exhibit.shown {
        Shown::By(_) => None,
        Shown::Paired(_, hidden) => Some(hidden.why),
        Shown::Tested(_, why) | Shown::Companion(why) | Shown::Inapplicable(why) => Some(why),
    }
}

fn counts<'a>(exhibits: impl Iterator<Item = &'a Exhibit>) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for exhibit in exhibits {
        *counts.entry(sort(exhibit)).or_default() += 1;
    }
    counts
}

fn counted(counts: &BTreeMap<&'static str, usize>) -> String {
    let parts: Vec<String> = counts.iter().map(|(sort, count)| format!("{count} {sort}")).collect();
    parts.join(", ")
}

/// The same as an object.
pub fn json(chosen: &[&Exhibit]) -> Value {
    let bugs: Vec<Value> = chosen
        .iter()
        .map(|exhibit| {
            let test = if let Shown::Tested(test, _) = exhibit.shown { Some(test) } else { None };
            json!({
                "id": exhibit.id(),
                "name": exhibit.name(),
                "history": exhibit.history,
                "symptom": exhibit.symptom,
                "shown": sort(exhibit),
                "with": exhibit.hidden_by().map(|hidden| label(hidden.switch).1),
                "because": why(exhibit),
                "test": test,
            })
        })
        .collect();
    json!({ "bugs": bugs })
}
