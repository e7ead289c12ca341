//! Ways for a slice of a file to reach a socket.
//!
//! From 16 KiB on, `sendfile` costs the processor a quarter to a half of what copying costs; below, copying is as
//! cheap and shares a packet with what surrounds it. Either is done in the task itself when the pages are in memory;
//! pages that are not are first read on the blocking pool, so that no other connection waits for the disk.

use std::io::{self, ErrorKind, IoSliceMut};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use jangbu_core::env::FileSlice;
use rustix::fs::sendfile;
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::disk::TokioFile;
use super::net::write_all;
use super::task::on_blocking_pool;

/// The size from which on `sendfile` is cheaper than copying.
const SENDFILE_BYTES_MIN: u32 = 16 * 1024;
/// How much is looked at, warmed and sent at a time. A response is usually one piece.
const PIECE_BYTES: u64 = 1024 * 1024;
/// How much is copied at a time: as much as a core's own cache holds beside the socket's buffers.
const COPY_BYTES: usize = 256 * 1024;
/// How far apart the pages lie that are asked for. The kernel caches a log in large runs, not page by page.
const SAMPLE_BYTES: u64 = 256 * 1024;

/// Sends a slice in the cheapest way.
pub(super) async fn send(stream: &TcpStream, slice: &FileSlice<TokioFile>, more: bool) -> io::Result<()> {
    if slice.len < SENDFILE_BYTES_MIN {
        return copy(stream, slice, more).await;
    }
    let file = &slice.file.0;
    let end = slice.position + u64::from(slice.len);
    let mut position = slice.position;
    while position < end {
        let piece_end = end.min(position + PIECE_BYTES);
        if !is_resident(file, position, piece_end)? {
            warm(file, position, piece_end).await?;
        }
        while position < piece_end {
            let count = usize::try_from(piece_end - position).expect("a piece is small");
            // `sendfile` moves its copy of the position by what it sent, also when it sent only a part.
            let sent = stream
                .async_io(Interest::WRITABLE, || Ok(sendfile(stream, &**file, Some(&mut position), count)?))
                .await;
            match sent {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// Sends a slice through this process's memory.
pub(super) async fn copy(stream: &TcpStream, slice: &FileSlice<TokioFile>, more: bool) -> io::Result<()> {
    let mut left = slice.len as usize;
    let mut position = slice.position;
    let mut buffer = BytesMut::new();
    while left > 0 {
        buffer.resize(left.min(COPY_BYTES), 0);
        buffer = read(&slice.file, buffer, position).await?;
        left -= buffer.len();
        position += buffer.len() as u64;
        let mut piece: Bytes = buffer.freeze();
        write_all(stream, piece.clone(), more || left > 0).await?;
        // Nobody else holds the piece, so its memory serves again.
        buffer = match piece.try_into_mut() {
            Ok(buffer) => buffer,
            Err(shared) => {
                piece = shared;
                BytesMut::with_capacity(piece.len())
            }
        };
    }
    Ok(())
}

/// Fills the buffer from memory, or else on the blocking pool.
async fn read(file: &TokioFile, mut buffer: BytesMut, position: u64) -> io::Result<BytesMut> {
    let hot = preadv2(&*file.0, &mut [IoSliceMut::new(&mut buffer)], position, ReadWriteFlags::NOWAIT);
    // A short answer means a page that is not in memory, or the end of the file: the patient read tells which.
    if hot == Ok(buffer.len()) {
        return Ok(buffer);
    }
    let file = Arc::clone(&file.0);
    on_blocking_pool(move || file.read_exact_at(&mut buffer, position).map(|()| buffer)).await
}

/// Whether samples of a range are in memory. A wrong yes costs a wait for the disk, a wrong no one look.
fn is_resident(file: &std::fs::File, from: u64, end: u64) -> io::Result<bool> {
    let last = end - 1;
    let samples = (from..last).step_by(SAMPLE_BYTES as usize).chain([last]);
    let mut byte = [0];
    for position in samples {
        match preadv2(file, &mut [IoSliceMut::new(&mut byte)], position, ReadWriteFlags::NOWAIT) {
            // Nothing there: the send will say so.
            Ok(_) => {}
            Err(Errno::AGAIN) => return Ok(false),
            // A file system that cannot tell.
            Err(Errno::OPNOTSUPP) => return Ok(true),
            Err(Errno::INTR) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

/// Reads a range on the blocking pool, so that its pages are in memory.
async fn warm(file: &Arc<std::fs::File>, from: u64, end: u64) -> io::Result<()> {
    let file = Arc::clone(file);
    on_blocking_pool(move || {
        let mut scratch = vec![0; COPY_BYTES];
        let mut position = from;
        while position < end {
            let want = scratch.len().min(usize::try_from(end - position).unwrap_or(usize::MAX));
            match file.read_at(&mut scratch[..want], position) {
                // The file is shorter: the send will say so.
                Ok(0) => return Ok(()),
                Ok(read) => position += read as u64,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::AsFd;
    use std::path::PathBuf;

    use rustix::fs::{Advice, fadvise};

    use super::*;

    /// A file of 3,000,000 bytes without a name, in a directory that exists.
    fn file() -> (Vec<u8>, Arc<std::fs::File>) {
        let path: PathBuf =
            std::env::temp_dir().join(format!("jangbu-send-file-{:?}", std::thread::current().id()));
        let content: Vec<u8> =
            (0..3_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        std::fs::write(&path, &content).expect("the directory is writable");
        let file = std::fs::File::open(&path).expect("it was written");
        std::fs::remove_file(&path).expect("it is there");
        (content, Arc::new(file))
    }

    /// Throws the file out of memory, where the file system keeps it anywhere else.
    fn make_cold(file: &std::fs::File) {
        file.sync_all().expect("a sync");
        fadvise(file.as_fd(), 0, None, Advice::DontNeed).expect("advice");
    }

    #[test]
    fn warming_makes_a_range_resident() {
        let runtime = tokio::runtime::Builder::new_multi_thread().build().expect("threads");
        let (_, file) = file();
        assert!(
            is_resident(&file, 0, 3_000_000).expect("it can be asked"),
            "what was just written is in memory"
        );
        make_cold(&file);
        runtime.block_on(warm(&file, 0, 3_000_000)).expect("it can be read");
        assert!(is_resident(&file, 0, 3_000_000).expect("it can be asked"));
        runtime
            .block_on(warm(&file, 2_999_000, 4_000_000))
            .expect("a range beyond the end is not this one's error");
    }

    #[test]
    fn cold_slices_arrive_whole_by_either_way() {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads");
        for by_sendfile in [true, false] {
            for (position, len) in [(0, 3_000_000), (12_345, 1_100_000), (2_000_000, 999), (7, 16_384)] {
                let (content, file) = file();
                make_cold(&file);
                let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
                let address = listener.local_addr().expect("it is bound");
                let receiver = std::thread::spawn(move || {
                    let mut received = Vec::new();
                    listener.accept().expect("a connection").0.read_to_end(&mut received).expect("no reset");
                    received
                });
                let slice = FileSlice { file: TokioFile(file), position, len };
                runtime.block_on(async {
                    let stream = TcpStream::connect(address).await.expect("it listens");
                    let sent = if by_sendfile {
                        send(&stream, &slice, false).await
                    } else {
                        copy(&stream, &slice, false).await
                    };
                    sent.expect("the slice is in the file");
                });
                let received = receiver.join().expect("no panic");
                let from = position as usize;
                assert!(received == content[from..from + len as usize], "{position} {len} {by_sendfile}");
            }
        }
    }
}
