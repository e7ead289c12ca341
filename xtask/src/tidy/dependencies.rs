//! Every dependency has its reason in `deny.toml`, and every reason its dependency.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};

use super::Finding;

/// Compares the manifests with the reasons.
///
/// # Errors
/// When a manifest or `deny.toml` cannot be read.
pub fn check(root: &Path, findings: &mut Vec<Finding>) -> Result<()> {
    let mut used = BTreeSet::new();
    for package in ["core", "broker", "sim", "bench", "xtask", "core/fuzz", "sim/fuzz"] {
        let path = root.join(package).join("Cargo.toml");
        if !path.exists() {
            continue;
        }
        let manifest = read(&path)?;
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            if let Some(table) = manifest.get(section).and_then(toml::Value::as_table) {
                used.extend(
                    table
                        .keys()
                        .filter(|name| !["jangbu-core", "jangbu", "sim"].contains(&name.as_str()))
                        .cloned(),
                );
            }
        }
    }
    let deny = read(&root.join("deny.toml"))?;
    let reasons: BTreeSet<String> = deny
        .get("reasons")
        .and_then(toml::Value::as_table)
        .context("deny.toml has no [reasons]")?
        .keys()
        .cloned()
        .collect();
    for name in used.difference(&reasons) {
        let what = format!("dependency `{name}` has no reason: add one line to [reasons], or do without it");
        findings.push(Finding { file: "deny.toml".to_owned(), line: 1, what });
    }
    for name in reasons.difference(&used) {
        let what = format!("`{name}` is no longer a dependency: remove its reason");
        findings.push(Finding { file: "deny.toml".to_owned(), line: 1, what });
    }
    Ok(())
}

fn read(path: &Path) -> Result<toml::Value> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("parsing {}", path.display()))
}
