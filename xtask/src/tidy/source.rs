//! The Rust files of the workspace.

use std::path::Path;

use anyhow::{Context, Result};

/// One file, split at the beginning of its tests.
pub struct Source {
    /// Path from the root, with `/`.
    pub path: String,
    /// All lines.
    pub lines: Vec<String>,
    /// How many leading lines are not tests.
    pub code_lines: usize,
}

impl Source {
    /// Wraps a file's text.
    pub fn new(path: &str, text: &str) -> Self {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let tests = lines.iter().position(|line| line.trim_start().starts_with("#[cfg(test)]"));
        let is_test = path.contains("/tests/") || path.ends_with("/tests.rs");
        let code_lines = if is_test { 0 } else { tests.unwrap_or(lines.len()) };
        Self { path: path.to_owned(), lines, code_lines }
    }

    /// The lines that are neither tests nor comments, with their numbers from 1.
    pub fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines[..self.code_lines]
            .iter()
            .enumerate()
            .map(|(index, line)| (index + 1, line.as_str()))
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    /// The module of `core` the file belongs to, such as `log`.
    pub fn core_module(&self) -> Option<&str> {
        let rest = self.path.strip_prefix("core/src/")?;
        Some(rest.split('/').next()?.trim_end_matches(".rs"))
    }
}

/// Every Rust file of the workspace's crates.
///
/// # Errors
/// When a file cannot be read.
pub fn all(root: &Path) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for package in ["core", "broker", "sim", "bench", "xtask"] {
        for folder in ["src", "tests", "benches"] {
            collect(root, &format!("{package}/{folder}"), &mut sources)?;
        }
    }
    Ok(sources)
}

fn collect(root: &Path, folder: &str, into: &mut Vec<Source>) -> Result<()> {
    let path = root.join(folder);
    if !path.is_dir() {
        return Ok(());
    }
    let mut names: Vec<_> = path
        .read_dir()?
        .map(|entry| Ok((entry?.file_name().to_string_lossy().into_owned(), ())))
        .collect::<Result<_>>()?;
    names.sort();
    for (name, ()) in names {
        let child = format!("{folder}/{name}");
        if root.join(&child).is_dir() {
            collect(root, &child, into)?;
        } else if name.ends_with(".rs") {
            let text =
                std::fs::read_to_string(root.join(&child)).with_context(|| format!("reading {child}"))?;
            into.push(Source::new(&child, &text));
        }
    }
    Ok(())
}
