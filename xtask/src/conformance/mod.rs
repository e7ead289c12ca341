//! Unmodified clients against the product binary. Each client is one file; what it needs is installed from the
//! system's packages.

mod broker;
mod kcat;
mod librdkafka;

use std::path::Path;

use anyhow::{Context, Result, bail};

/// Runs one client: the root of the repository, the product binary.
type Part = fn(&Path, &Path) -> Result<()>;

/// Runs all parts, or the one that is named.
///
/// # Errors
/// When a client's behaviour is not what Kafka's users expect, or a tool cannot be installed.
pub fn run(root: &Path, only: Option<&str>) -> Result<()> {
    let parts: [(&str, Part); 2] = [("kcat", kcat::run), ("librdkafka", librdkafka::run)];
    let chosen: Vec<_> = parts.iter().filter(|(name, _)| only.is_none_or(|only| only == *name)).collect();
    if chosen.is_empty() {
        let names: Vec<_> = parts.iter().map(|(name, _)| *name).collect();
        bail!("no part is named {:?}; there are {}", only.unwrap_or_default(), names.join(", "));
    }
    let binary = crate::product::build(root)?;
    for (name, part) in chosen {
        println!("conformance: {name}");
        part(root, &binary).with_context(|| format!("conformance of {name}"))?;
    }
    println!("conformance: all parts passed");
    Ok(())
}
