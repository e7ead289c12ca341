//! Checks that no compiler makes. Each rule is one file; a finding names the file, the line and the remedy.

mod dependencies;
mod layers;
mod lengths;
mod source;
mod words;

use std::fmt;
use std::path::Path;

use anyhow::{Result, bail};

/// One breach of a rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file, from the root of the repository.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// What is wrong and what to do.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

/// All findings of all rules, sorted.
///
/// # Errors
/// When a file cannot be read.
pub fn findings(root: &Path) -> Result<Vec<Finding>> {
    let sources = source::all(root)?;
    let mut findings = Vec::new();
    for source in &sources {
        layers::check(source, &mut findings);
        lengths::check(source, &mut findings);
        words::check(source, &mut findings);
    }
    dependencies::check(root, &mut findings)?;
    findings.sort();
    Ok(findings)
}

/// Prints all findings; fails when there is one.
///
/// # Errors
/// When there is a finding, or a file cannot be read.
pub fn run(root: &Path) -> Result<()> {
    let findings = findings(root)?;
    for finding in &findings {
        println!("{finding}");
    }
    if !findings.is_empty() {
        bail!(
            "{} findings: mend them, or change the rule in xtask/src/tidy and say why in the commit",
            findings.len()
        );
    }
    println!("tidy: no findings");
    Ok(())
}
