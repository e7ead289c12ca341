//! kcat, from Debian's packages: lists, produces and consumes with every codec. The codec is read back from the batch
//! headers in the stored segments, because a client that silently sends uncompressed would pass otherwise
//! (KAFKA-18659).

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::broker::Broker;

/// Codec names of kcat and their numbers in a batch's attributes.
const CODECS: [(&str, u8); 5] = [("none", 0), ("gzip", 1), ("snappy", 2), ("lz4", 3), ("zstd", 4)];
const RECORDS: usize = 1_000;

/// Runs kcat against a broker of its own.
///
/// # Errors
/// When kcat cannot be installed or sees anything but what it wrote.
pub fn run(_root: &Path, binary: &Path) -> Result<()> {
    install()?;
    let broker = Broker::start(binary, "kcat")?;
    let listing = kcat(&broker, &["-L"], "")?;
    ensure!(listing.contains("1 brokers"), "`kcat -L` does not list the broker:\n{listing}");
    for (codec, number) in CODECS {
        let topic = format!("codec-{codec}");
        let sent: Vec<String> =
            (0..RECORDS).map(|n| format!("value {n} of {codec}, {}", "compressible ".repeat(8))).collect();
        kcat(&broker, &["-P", "-t", &topic, "-p", "0", "-z", codec, "-X", "linger.ms=50"], &sent.join("\n"))?;
        let consumed = kcat(&broker, &["-C", "-t", &topic, "-p", "0", "-o", "beginning", "-e", "-q"], "")?;
        let received: Vec<&str> = consumed.lines().collect();
        ensure!(
            received == sent,
            "{codec}: {} records came back of {}, or others",
            received.len(),
            sent.len()
        );
        let codecs = stored_codecs(&broker.directory.join("data"), &format!("value 0 of {codec}"), number)?;
        ensure!(codecs > 0, "{codec}: no stored batch carries codec {number}");
        println!("  {codec}: {RECORDS} records, {codecs} stored batches with codec {number}");
    }
    let listing = kcat(&broker, &["-L"], "")?;
    for (codec, _) in CODECS {
        ensure!(listing.contains(&format!("codec-{codec}")), "`kcat -L` does not list topic codec-{codec}");
    }
    Ok(())
}

fn install() -> Result<()> {
    if Command::new("kcat").arg("-V").output().is_ok() {
        return Ok(());
    }
    for arguments in [vec!["update", "-qq"], vec!["install", "-y", "-qq", "kcat"]] {
        let status =
            Command::new("apt-get").args(&arguments).env("DEBIAN_FRONTEND", "noninteractive").status();
        let status = status.context("kcat is missing and there is no apt-get: install kcat by hand")?;
        ensure!(status.success(), "`apt-get {}` failed: install kcat by hand", arguments.join(" "));
    }
    Ok(())
}

fn kcat(broker: &Broker, arguments: &[&str], input: &str) -> Result<String> {
    let mut child = Command::new("kcat")
        .args(["-b", &broker.address()])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("starting kcat")?;
    let mut stdin = child.stdin.take().context("kcat has a standard input")?;
    stdin.write_all(input.as_bytes())?;
    drop(stdin);
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("`kcat {}` failed:\n{}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Counts the stored batches that carry `codec`, over all segments whose first batch does. Topics are told apart by
/// their codec alone, since directories are named by topic id; the uncompressed topic is told by its text.
fn stored_codecs(data: &Path, text: &str, codec: u8) -> Result<usize> {
    let mut count = 0;
    for segment in segments(data)? {
        let bytes = std::fs::read(&segment)?;
        let batches = batch_codecs(&bytes);
        let is_this_topic =
            if codec == 0 { contains(&bytes, text.as_bytes()) } else { batches.first() == Some(&codec) };
        if is_this_topic {
            ensure!(
                batches.iter().all(|&stored| stored == codec),
                "{}: stored codecs {batches:?}",
                segment.display()
            );
            count += batches.len();
        }
    }
    Ok(count)
}

fn segments(data: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in data.read_dir().with_context(|| format!("reading {}", data.display()))? {
        let path = entry?.path();
        let is_metadata =
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("__cluster_metadata"));
        if path.is_dir() && !is_metadata {
            for file in path.read_dir()? {
                let file = file?.path();
                if file.extension().is_some_and(|extension| extension == "log") {
                    found.push(file);
                }
            }
        }
    }
    Ok(found)
}

/// The codec of each batch in a segment: bits 0 to 2 of the attributes, at byte 21 of a batch.
fn batch_codecs(mut bytes: &[u8]) -> Vec<u8> {
    let mut codecs = Vec::new();
    while bytes.len() >= 61 {
        let length = u32::from_be_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]) as usize;
        if length == 0 {
            break; // preallocated and not yet written
        }
        codecs.push(bytes[22] & 0b111);
        bytes = bytes.get(12 + length..).unwrap_or_default();
    }
    codecs
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}
