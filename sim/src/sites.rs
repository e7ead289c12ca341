//! The table of the core's disk sites: how often each was called, and how often a crash or an error struck there.
//!
//! A site that no crash ever struck is a place where nobody knows what a crash leaves. So a campaign that is asked for
//! it fails while there is one ([`Table::missed`]).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use jangbu_core::env::Site;
use jangbu_core::{log, partition, quorum};
use serde::Serialize;

use crate::world::SiteCount;

/// Whether a campaign must strike a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Demand {
    /// It must.
    Required,
    /// No node of a campaign comes there before there are followers, which cut their logs.
    AwaitsFollowers,
    /// The core called the disk there, and the site stands in no list: nobody would have missed it.
    Unlisted,
}

/// One site of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Row<'a> {
    /// The site.
    pub site: &'a str,
    /// Whether it must be struck.
    pub demand: Demand,
    /// How often it was.
    #[serde(flatten)]
    pub count: SiteCount,
}

/// All sites, with the sums over any number of runs.
#[derive(Clone, Debug)]
pub struct Table {
    sites: BTreeMap<String, (Demand, SiteCount)>,
}

/// Every site of the core, from the lists of the modules that call the disk.
fn listed() -> impl Iterator<Item = &'static Site> {
    [log::sites::ALL, quorum::SITES, partition::SITES].into_iter().flatten()
}

/// The names of the sites that a pattern means: a name, or the beginning of some with a star behind it. Those that
/// nothing can come to yet are meant only where they are named whole.
pub fn matching(pattern: &str) -> Vec<&'static str> {
    let names = |wanted: &dyn Fn(&Site) -> bool| {
        listed().filter(|site| wanted(site)).map(|site| site.name()).collect::<Vec<_>>()
    };
    match pattern.strip_suffix('*') {
        None => names(&|site| site.name() == pattern),
        Some(start) => {
            names(&|site| site.name().starts_with(start) && !log::sites::TRUNCATION.contains(site))
        }
    }
}

impl Table {
    /// Adds up what runs counted.
    pub fn new<'a>(counts: impl Iterator<Item = (&'a String, &'a SiteCount)>) -> Self {
        let awaiting: BTreeSet<&Site> = log::sites::TRUNCATION.iter().collect();
        let demand = |site| match awaiting.contains(site) {
            true => Demand::AwaitsFollowers,
            false => Demand::Required,
        };
        let mut sites: BTreeMap<String, (Demand, SiteCount)> =
            listed().map(|site| (site.name().to_owned(), (demand(site), SiteCount::default()))).collect();
        for (name, count) in counts {
            let (_, sum) = sites.entry(name.clone()).or_insert((Demand::Unlisted, SiteCount::default()));
            *sum += *count;
        }
        Self { sites }
    }

    /// The sites in the order of their names.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.sites.iter().map(|(site, (demand, count))| Row { site, demand: *demand, count: *count })
    }

    /// Those for which a campaign fails: no crash struck there, or no list has them.
    pub fn missed(&self) -> Vec<String> {
        let fails = |row: &Row<'_>| match row.demand {
            Demand::Required => row.count.crashes == 0,
            Demand::AwaitsFollowers => false,
            Demand::Unlisted => true,
        };
        self.rows().filter(fails).map(|row| row.site.to_owned()).collect()
    }

    /// The table for people, and what it comes to.
    pub fn text(&self) -> String {
        let mut text = format!("{:<32} {:>10} {:>9} {:>9}\n", "disk site", "calls", "crashes", "errors");
        for Row { site, demand, count } in self.rows() {
            let remark = match demand {
                Demand::Required if count.crashes == 0 => "  NEVER STRUCK BY A CRASH",
                Demand::Required => "",
                Demand::AwaitsFollowers => "  awaits followers: nothing cuts a log before",
                Demand::Unlisted => "  STANDS IN NO LIST OF THE CORE",
            };
            let SiteCount { calls, crashes, errors } = count;
            let _ = writeln!(text, "{site:<32} {calls:>10} {crashes:>9} {errors:>9}{remark}");
        }
        let required = self.rows().filter(|row| row.demand == Demand::Required).count();
        let missed = self.missed();
        let _ = match missed.as_slice() {
            [] => writeln!(text, "PASS  a crash struck at each of {required} disk sites"),
            _ => writeln!(text, "FAIL  disk sites that no crash struck: {}", missed.join(", ")),
        };
        text
    }

    /// The table as lines of JSON, an object for each site.
    pub fn json(&self) -> String {
        let line = |row| serde_json::to_string(&row).expect("a row is plain data") + "\n";
        self.rows().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(crashes: u64, errors: u64) -> BTreeMap<String, SiteCount> {
        let count = SiteCount { calls: 9, crashes, errors };
        listed()
            .filter(|site| !log::sites::TRUNCATION.contains(site))
            .map(|site| (site.name().to_owned(), count))
            .collect()
    }

    #[test]
    fn an_error_is_no_crash() {
        let errors = counts(0, 3);
        assert_eq!(Table::new(errors.iter()).missed().len(), errors.len());
        let crashes = counts(1, 0);
        assert!(Table::new(crashes.iter()).missed().is_empty(), "those that await followers do not fail it");
    }

    #[test]
    fn every_list_of_the_core_is_asked() {
        let table = Table::new(std::iter::empty());
        let missed = table.missed();
        for site in ["log.append.write", "quorum.snapshot.remove", "partition.lookup.read"] {
            assert!(missed.iter().any(|name| name == site), "{site}");
        }
        assert!(missed.iter().all(|name| name != "log.truncate.cut"));
        assert!(table.text().contains("log.truncate.cut"), "it is printed all the same");
        assert_eq!(table.json().lines().count(), table.rows().count());
    }

    #[test]
    fn a_site_that_no_list_has_fails_the_table() {
        let mut counts = counts(1, 0);
        counts.insert("log.new".to_owned(), SiteCount { calls: 1, crashes: 1, errors: 0 });
        assert_eq!(Table::new(counts.iter()).missed(), ["log.new"]);
    }

    #[test]
    fn a_pattern_means_what_campaigns_come_to() {
        assert_eq!(matching("log.recovery.cut"), ["log.recovery.cut"]);
        assert!(matching("log.dir.delete-*").len() == 4 && matching("log.recovery").is_empty());
        assert!(matching("log.truncate.*").is_empty() && matching("log.truncate.cut").len() == 1);
    }
}
