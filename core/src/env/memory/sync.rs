//! A file's sync, which takes as long as the test says.

use std::future::poll_fn;
use std::io;
use std::task::Poll;

use super::MemoryFile;
use crate::env::Site;

/// Waits as often as [`MemoryDisk::delay_syncs`](super::MemoryDisk::delay_syncs) said, then syncs.
pub(super) async fn sync(file: &MemoryFile, site: Site) -> io::Result<()> {
    let mut in_flight = SyncInFlight { file, site, is_over: false };
    let mut polls = file.disk.state().sync_polls;
    poll_fn(|context| match polls {
        0 => Poll::Ready(()),
        _ => {
            polls -= 1;
            context.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
    in_flight.finish()
}

/// A sync that has begun. It happens also when nobody waits for it any more.
struct SyncInFlight<'a> {
    file: &'a MemoryFile,
    site: Site,
    is_over: bool,
}

impl SyncInFlight<'_> {
    fn finish(&mut self) -> io::Result<()> {
        self.is_over = true;
        self.file.disk.change(self.site, |state| {
            let inode = &mut state.inodes[self.file.inode as usize];
            inode.durable = inode.visible.clone();
            inode.pending.clear();
            Ok(())
        })
    }
}

impl Drop for SyncInFlight<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            // Nobody learns of it.
            let _ = self.finish();
        }
    }
}
