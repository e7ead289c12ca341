//! The product is what users run: built by itself, and free of everything that serves only the simulator.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// Builds `jangbu` alone, in a target directory of its own (a workspace build would unify the features of `sim` into it).
///
/// # Errors
/// When cargo fails.
pub fn build(root: &Path) -> Result<PathBuf> {
    let target = root.join("target/product");
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--release", "--package", "jangbu", "--target-dir"])
        .arg(&target)
        .current_dir(root)
        .status()
        .context("starting cargo")?;
    ensure!(status.success(), "`cargo build --release --package jangbu` failed");
    Ok(target.join("release/jangbu"))
}

/// Builds the product and searches the binary for what must not be in it.
///
/// # Errors
/// When the build fails, or the binary holds a switch's name or a symbol of the simulator's executor.
pub fn run(root: &Path) -> Result<()> {
    let path = build(root)?;
    let binary = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    let museum =
        std::fs::read_to_string(root.join("core/src/museum.rs")).context("reading core/src/museum.rs")?;
    let mut needles = switch_names(&museum);
    ensure!(needles.len() >= 8, "found only {} switch names in core/src/museum.rs", needles.len());
    needles.push("madsim".to_owned());
    // The search must be able to find something, else its silence means nothing.
    ensure!(contains(&binary, b"jangbu_core"), "the binary holds no trace of jangbu_core: is it stripped?");
    let found: Vec<&String> = needles.iter().filter(|name| contains(&binary, name.as_bytes())).collect();
    if !found.is_empty() {
        bail!("{} holds {found:?}: keep them behind feature `museum`, or in `sim`", path.display());
    }
    println!("product: {} bytes, none of {} forbidden names", binary.len(), needles.len());
    Ok(())
}

/// The names of the rows `Switch = "ID", "name";`.
fn switch_names(museum: &str) -> Vec<String> {
    museum
        .lines()
        .filter_map(|line| {
            let row = line.trim().strip_suffix("\";")?;
            row.contains(" = \"").then(|| row.rsplit('"').next().map(str::to_owned))?
        })
        .collect()
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_from_the_table_of_switches() {
        assert_eq!(
            switch_names("    NoCrcRecovery = \"C7\", \"no-crc-recovery\";\n    /// doc\n"),
            ["no-crc-recovery"]
        );
    }
}
