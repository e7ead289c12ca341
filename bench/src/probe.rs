//! What the machine can do at all, measured in the same run: a thread that does only what the hardware demands.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::fs::{FallocateFlags, fallocate};

use crate::client::Limit;
use crate::machine::thread_cpu;

/// The file is begun anew after so many bytes, as the broker's segments are.
const FILE_BYTES: u64 = 32 << 20;

/// What a probe came to.
pub struct Probe {
    /// Requests per second.
    pub requests_per_second: f64,
    /// Bytes per second of payload.
    pub bytes_per_second: f64,
    /// Processor time of the serving thread per request.
    pub cpu_per_request: Duration,
}

/// How the fetch probe sends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Send {
    /// sendfile(2).
    Sendfile,
    /// Read into a buffer, then write.
    Copy,
}

/// Receive, checksum, write to a preallocated file, answer: the least that a produce request can cost.
///
/// # Errors
/// When a socket or file fails.
pub fn receive_checksum_write(
    directory: &Path,
    payload_bytes: usize,
    depth: usize,
    limit: Limit,
) -> Result<Probe> {
    let path = directory.join(format!("probe-{}", std::process::id()));
    serve(limit, depth, payload_bytes, 48, move |stream| write_loop(stream, path, payload_bytes))
}

/// Answers each small request with a range of a hot file.
///
/// # Errors
/// When a socket or file fails.
pub fn send(directory: &Path, payload_bytes: usize, how: Send, limit: Limit) -> Result<Probe> {
    let path = directory.join(format!("probe-{}", std::process::id()));
    let file = File::create_new(&path)?;
    file.write_all_at(&vec![7; payload_bytes], 0)?;
    let file = File::open(&path)?;
    std::fs::remove_file(&path)?;
    serve(limit, 1, 64, payload_bytes, move |stream| send_loop(stream, &file, payload_bytes, how))
}

/// The same round trip with nothing done in between.
///
/// # Errors
/// When a socket fails.
pub fn echo(payload_bytes: usize, limit: Limit) -> Result<Probe> {
    serve(limit, 1, payload_bytes, 48, move |stream| {
        let mut buffer = vec![0; payload_bytes];
        while stream.read_exact(&mut buffer).is_ok() {
            stream.write_all(&[0; 48])?;
        }
        Ok(())
    })
}

/// Runs `loop_` on a thread and drives it with requests of a fixed size, `depth` in flight.
fn serve(
    limit: Limit,
    depth: usize,
    request_bytes: usize,
    response_bytes: usize,
    loop_: impl FnOnce(&mut TcpStream) -> Result<()> + std::marker::Send + 'static,
) -> Result<Probe> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let server: JoinHandle<Result<Duration>> = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let before = thread_cpu();
        loop_(&mut stream)?;
        Ok(thread_cpu() - before)
    });
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let request = vec![b'x'; request_bytes];
    let mut response = vec![0; response_bytes];
    let (mut requests, mut in_flight, start) = (0u64, 0, Instant::now());
    let bytes_each = request_bytes.max(response_bytes) as u64;
    loop {
        let going = start.elapsed() < limit.time && requests * bytes_each < limit.bytes;
        while going && in_flight < depth {
            stream.write_all(&request)?;
            in_flight += 1;
        }
        if in_flight == 0 {
            break;
        }
        stream.read_exact(&mut response)?;
        in_flight -= 1;
        requests += 1;
    }
    let elapsed = start.elapsed().as_secs_f64();
    drop(stream);
    let cpu = server.join().map_err(|_| anyhow::anyhow!("the probe's thread panicked"))??;
    Ok(Probe {
        requests_per_second: requests as f64 / elapsed,
        bytes_per_second: (requests * bytes_each) as f64 / elapsed,
        cpu_per_request: cpu / u32::try_from(requests.max(1)).context("fewer requests than 2^32")?,
    })
}

fn write_loop(stream: &mut TcpStream, path: PathBuf, payload_bytes: usize) -> Result<()> {
    let mut buffer = vec![0; payload_bytes];
    let (mut file, mut position) = (create(&path)?, 0);
    while stream.read_exact(&mut buffer).is_ok() {
        let checksum = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &buffer);
        if position + payload_bytes as u64 > FILE_BYTES {
            (file, position) = (create(&path)?, 0);
        }
        file.write_all_at(&buffer, position)?;
        position += payload_bytes as u64;
        let mut answer = [0; 48];
        answer[..8].copy_from_slice(&checksum.to_be_bytes());
        stream.write_all(&answer)?;
    }
    std::fs::remove_file(&path)?;
    Ok(())
}

fn create(path: &Path) -> Result<File> {
    std::fs::remove_file(path).ok();
    let file = File::create_new(path)?;
    // Not every file system can; then the probe is slower, as the broker is.
    fallocate(&file, FallocateFlags::KEEP_SIZE, 0, FILE_BYTES).ok();
    Ok(file)
}

fn send_loop(stream: &mut TcpStream, file: &File, payload_bytes: usize, how: Send) -> Result<()> {
    let mut request = [0; 64];
    let mut buffer = vec![0; payload_bytes];
    while stream.read_exact(&mut request).is_ok() {
        match how {
            Send::Copy => {
                file.read_exact_at(&mut buffer, 0)?;
                stream.write_all(&buffer)?;
            }
            Send::Sendfile => {
                let mut position = 0;
                while position < payload_bytes as u64 {
                    let left = payload_bytes - position as usize;
                    rustix::fs::sendfile(&*stream, file, Some(&mut position), left)?;
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A benchmark that is never run is dead: each probe moves a little.
    #[test]
    fn every_probe_answers() {
        let limit = Limit { time: Duration::from_millis(50), bytes: 1 << 20 };
        let directory = std::env::temp_dir();
        let write = receive_checksum_write(&directory, 16 << 10, 5, limit).expect("it runs");
        let sendfile = send(&directory, 64 << 10, Send::Sendfile, limit).expect("it runs");
        let copy = send(&directory, 64 << 10, Send::Copy, limit).expect("it runs");
        let echo = echo(1 << 10, limit).expect("it runs");
        for probe in [write, sendfile, copy, echo] {
            assert!(probe.requests_per_second > 0.0 && probe.cpu_per_request > Duration::ZERO);
        }
    }
}
