//! The promises of [`Disk`] and [`File`].

use std::io::{self, ErrorKind, IoSlice};
use std::path::Path;
use std::task::{Context, Waker};

use super::{Ground, pattern, soon};
use crate::env::{DirEntry, Disk, Env, File, OpenMode, Site};

const SITE: Site = Site::new("contract.disk");

/// The kind of error of a call that must fail.
fn failure<T>(what: &str, result: io::Result<T>) -> ErrorKind {
    match result {
        Ok(_) => panic!("{what} succeeded, but it must fail"),
        Err(error) => error.kind(),
    }
}

fn create<D: Disk>(disk: &D, path: &Path, content: &[u8]) -> D::File {
    let file = disk.create(SITE, path).expect("a new name can be created");
    write(&file, content, 0);
    file
}

fn write<F: File>(file: &F, content: &[u8], position: u64) {
    file.write_at(SITE, &[IoSlice::new(content)], position).expect("a file can be written");
}

/// The whole content, read past the end.
fn content<F: File>(file: &F) -> Vec<u8> {
    let len = usize::try_from(file.len(SITE).expect("a file has a length")).expect("a small file");
    let mut bytes = vec![0xaa; len + 16];
    let read = file.read_at(SITE, &mut bytes, 0).expect("a file can be read");
    assert_eq!(read, len, "a read over the end returned another number of bytes than the file has");
    assert!(
        bytes[len..].iter().all(|byte| *byte == 0xaa),
        "a read touched the buffer beyond what it returned"
    );
    bytes.truncate(len);
    bytes
}

pub(super) async fn a_created_file_is_empty_and_can_be_read_and_written<E: Env>(ground: Ground<E>) {
    let file = ground.env.disk().create(SITE, &ground.directory.join("new")).expect("a new name");
    assert_eq!(file.len(SITE).expect("a length"), 0, "a new file is not empty");
    assert_eq!(content(&file), b"");
    write(&file, b"written", 0);
    assert_eq!(content(&file), b"written");
    let missing = ground.directory.join("missing").join("file");
    let kind = failure("creating in a missing directory", ground.env.disk().create(SITE, &missing));
    assert_eq!(kind, ErrorKind::NotFound);
}

pub(super) async fn creating_a_taken_name_fails<E: Env>(ground: Ground<E>) {
    let disk = ground.env.disk();
    let path = ground.directory.join("taken");
    create(disk, &path, b"first");
    assert_eq!(failure("creating a file twice", disk.create(SITE, &path)), ErrorKind::AlreadyExists);
    let file = disk.open(SITE, &path, OpenMode::Read).expect("it exists");
    assert_eq!(content(&file), b"first", "a failed creation changed the file");
    let directory = ground.directory.join("directory");
    disk.create_dir(SITE, &directory).expect("a new name");
    let kind = failure("creating a file under a directory's name", disk.create(SITE, &directory));
    assert_eq!(kind, ErrorKind::AlreadyExists);
}

pub(super) async fn opening_a_missing_file_fails<E: Env>(ground: Ground<E>) {
    let path = ground.directory.join("missing");
    for mode in [OpenMode::Read, OpenMode::Write] {
        let kind = failure("opening a missing file", ground.env.disk().open(SITE, &path, mode));
        assert_eq!(kind, ErrorKind::NotFound);
    }
    let names = ground.env.disk().list(SITE, &ground.directory).expect("a directory");
    assert_eq!(names, [], "opening a missing file created it");
}

pub(super) async fn a_file_opened_for_reading_refuses_writes<E: Env>(ground: Ground<E>) {
    let path = ground.directory.join("file");
    create(ground.env.disk(), &path, b"kept");
    let file = ground.env.disk().open(SITE, &path, OpenMode::Read).expect("it exists");
    failure("writing to a file opened for reading", file.write_at(SITE, &[IoSlice::new(b"lost")], 0));
    failure("truncating a file opened for reading", file.truncate(SITE, 0));
    assert_eq!(content(&file), b"kept");
}

pub(super) async fn clones_and_second_handles_share_the_file<E: Env>(ground: Ground<E>) {
    let path = ground.directory.join("file");
    let first = create(ground.env.disk(), &path, b"one");
    let clone = first.clone();
    let second = ground.env.disk().open(SITE, &path, OpenMode::Write).expect("it exists");
    write(&clone, b"two", 3);
    write(&second, b"three", 6);
    drop(first);
    assert_eq!(content(&clone), b"onetwothree");
    assert_eq!(content(&second), b"onetwothree");
}

pub(super) async fn buffers_are_written_one_behind_the_other<E: Env>(ground: Ground<E>) {
    let file = ground.env.disk().create(SITE, &ground.directory.join("file")).expect("a new name");
    let parts: [&[u8]; 4] = [b"ab", b"", b"cde", b"f"];
    let buffers: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
    file.write_at(SITE, &buffers, 0).expect("a write");
    file.write_at(SITE, &[], 0).expect("a write of nothing");
    file.write_at(SITE, &[IoSlice::new(b"")], 100).expect("a write of no bytes");
    assert_eq!(content(&file), b"abcdef");
}

pub(super) async fn thousands_of_buffers_are_one_write<E: Env>(ground: Ground<E>) {
    let file = ground.env.disk().create(SITE, &ground.directory.join("file")).expect("a new name");
    let bytes = pattern(9_000, 1);
    let buffers: Vec<IoSlice<'_>> = bytes.chunks(3).map(IoSlice::new).collect();
    file.write_at(SITE, &buffers, 5).expect("a write of 3,000 buffers");
    assert_eq!(content(&file)[5..], bytes);
}

pub(super) async fn an_overwrite_keeps_what_surrounds_it<E: Env>(ground: Ground<E>) {
    let file = create(ground.env.disk(), &ground.directory.join("file"), b"0123456789");
    write(&file, b"xyz", 4);
    assert_eq!(content(&file), b"0123xyz789");
}

pub(super) async fn a_write_beyond_the_end_fills_the_gap_with_zeros<E: Env>(ground: Ground<E>) {
    let file = create(ground.env.disk(), &ground.directory.join("file"), b"ab");
    write(&file, b"end", 10_000);
    let content = content(&file);
    assert_eq!(content.len(), 10_003);
    assert_eq!(&content[..2], b"ab");
    assert!(content[2..10_000].iter().all(|byte| *byte == 0), "the gap does not read as zeros");
    assert_eq!(&content[10_000..], b"end");
}

pub(super) async fn a_read_is_short_only_at_the_end<E: Env>(ground: Ground<E>) {
    let bytes = pattern(300_000, 2);
    let file = create(ground.env.disk(), &ground.directory.join("file"), &bytes);
    let mut into = vec![0; 200_000];
    assert_eq!(file.read_at(SITE, &mut into, 7).expect("a read"), 200_000, "a read in the middle was short");
    assert_eq!(into, bytes[7..200_007]);
    assert_eq!(file.read_at(SITE, &mut into, 299_990).expect("a read"), 10, "a read at the end");
    assert_eq!(into[..10], bytes[299_990..]);
    assert_eq!(file.read_at(SITE, &mut into, 300_000).expect("a read at the end"), 0);
    assert_eq!(file.read_at(SITE, &mut into, 900_000).expect("a read beyond the end"), 0);
    assert_eq!(file.read_at(SITE, &mut [], 0).expect("a read of nothing"), 0);
}

pub(super) async fn truncating_cuts_or_lengthens_with_zeros<E: Env>(ground: Ground<E>) {
    let file = create(ground.env.disk(), &ground.directory.join("file"), b"0123456789");
    file.truncate(SITE, 4).expect("a cut");
    assert_eq!(content(&file), b"0123");
    file.truncate(SITE, 8).expect("a longer length");
    assert_eq!(content(&file), b"0123\0\0\0\0", "what was cut came back");
    file.truncate(SITE, 0).expect("a cut to nothing");
    assert_eq!(content(&file), b"");
    write(&file, b"again", 2);
    assert_eq!(content(&file), b"\0\0again");
}

pub(super) async fn allocating_keeps_length_and_content<E: Env>(ground: Ground<E>) {
    let file = create(ground.env.disk(), &ground.directory.join("file"), b"kept");
    for len in [0, 2, 1 << 20] {
        file.allocate(SITE, len).expect("allocation, or nothing");
        assert_eq!(file.len(SITE).expect("a length"), 4, "allocating {len} bytes changed the length");
        assert_eq!(content(&file), b"kept", "allocating {len} bytes changed the content");
    }
    write(&file, b"end", 10);
    assert_eq!(content(&file), b"kept\0\0\0\0\0\0end");
}

pub(super) async fn rename_replaces_a_file<E: Env>(ground: Ground<E>) {
    let disk = ground.env.disk();
    let (from, to) = (ground.directory.join("from"), ground.directory.join("to"));
    create(disk, &from, b"new");
    let old = create(disk, &to, b"old");
    disk.rename(SITE, &from, &to).expect("a rename");
    assert_eq!(failure("opening the old name", disk.open(SITE, &from, OpenMode::Read)), ErrorKind::NotFound);
    let new = disk.open(SITE, &to, OpenMode::Read).expect("the new name");
    assert_eq!(content(&new), b"new");
    assert_eq!(content(&old), b"old", "the replaced file lost its content under who has it open");
    let kind = failure("renaming a missing file", disk.rename(SITE, &from, &to));
    assert_eq!(kind, ErrorKind::NotFound);
}

pub(super) async fn rename_moves_a_directory_with_its_files<E: Env>(ground: Ground<E>) {
    let disk = ground.env.disk();
    let (from, to) = (ground.directory.join("from"), ground.directory.join("to"));
    disk.create_dir(SITE, &from).expect("a new name");
    let open = create(disk, &from.join("file"), b"inside");
    disk.rename(SITE, &from, &to).expect("a rename");
    let file = disk.open(SITE, &to.join("file"), OpenMode::Read).expect("it moved along");
    assert_eq!(content(&file), b"inside");
    write(&open, b"!", 6);
    assert_eq!(content(&file), b"inside!", "a file open over the rename is another file now");
    let kind = failure("listing the old name", disk.list(SITE, &from));
    assert_eq!(kind, ErrorKind::NotFound);
}

pub(super) async fn a_removed_file_stays_usable_by_who_has_it_open<E: Env>(ground: Ground<E>) {
    let disk = ground.env.disk();
    let path = ground.directory.join("file");
    let old = create(disk, &path, b"old");
    disk.remove_file(SITE, &path).expect("a removal");
    let kind = failure("opening a removed file", disk.open(SITE, &path, OpenMode::Read));
    assert_eq!(kind, ErrorKind::NotFound);
    assert_eq!(failure("removing it again", disk.remove_file(SITE, &path)), ErrorKind::NotFound);
    let new = create(disk, &path, b"another");
    write(&old, b"er", 3);
    assert_eq!(content(&old), b"older");
    assert_eq!(content(&new), b"another");
}

pub(super) async fn directories_are_created_once_below_an_existing_parent<E: Env>(ground: Ground<E>) {
    let disk = ground.env.disk();
    let path = ground.directory.join("directory");
    disk.create_dir(SITE, &path).expect("a new name");
    assert_eq!(failure("creating it again", disk.create_dir(SITE, &path)), ErrorKind::AlreadyExists);
    let orphan = ground.directory.join("missing").join("child");
    let kind = failure("creating a directory below a missing one", disk.create_dir(SITE, &orphan));
    assert_eq!(kind, ErrorKind::NotFound);
    assert_eq!(disk.list(SITE, &path).expect("a directory"), []);
}

pub(super) async fn only_an_empty_directory_is_removed<E: Env>(ground: Ground<E>) {
    let disk = ground.env.disk();
    let path = ground.directory.join("directory");
    disk.create_dir(SITE, &path).expect("a new name");
    create(disk, &path.join("file"), b"");
    let kind = failure("removing a directory with a file", disk.remove_dir(SITE, &path));
    assert_eq!(kind, ErrorKind::DirectoryNotEmpty);
    disk.remove_file(SITE, &path.join("file")).expect("a removal");
    disk.remove_dir(SITE, &path).expect("a removal");
    assert_eq!(failure("removing it again", disk.remove_dir(SITE, &path)), ErrorKind::NotFound);
    assert_eq!(failure("listing it", disk.list(SITE, &path)), ErrorKind::NotFound);
}

pub(super) async fn names_are_listed_in_byte_order<E: Env>(ground: Ground<E>) {
    let disk = ground.env.disk();
    create(disk, &ground.directory.join("b"), b"bb");
    create(disk, &ground.directory.join("a10"), b"");
    create(disk, &ground.directory.join("Z"), b"z");
    create(disk, &ground.directory.join("a-9"), b"nine");
    disk.create_dir(SITE, &ground.directory.join("a2")).expect("a new name");
    create(disk, &ground.directory.join("a2").join("inner"), b"not listed");
    let entry = |name: &str, is_dir, len| DirEntry { name: name.to_owned(), is_dir, len };
    assert_eq!(
        disk.list(SITE, &ground.directory).expect("a directory"),
        [
            entry("Z", false, 1),
            entry("a-9", false, 4),
            entry("a10", false, 0),
            entry("a2", true, 0),
            entry("b", false, 2)
        ]
    );
}

pub(super) async fn files_and_directories_can_be_synced<E: Env>(ground: Ground<E>) {
    let disk = ground.env.disk();
    let path = ground.directory.join("file");
    let file = create(disk, &path, b"durable");
    soon(&ground.env, "a sync", file.sync(SITE)).await.expect("a sync");
    soon(&ground.env, "a sync of nothing new", file.sync(SITE)).await.expect("a second sync");
    soon(&ground.env, "a sync of a directory", disk.sync_dir(SITE, &ground.directory))
        .await
        .expect("a sync of a directory");
    disk.remove_file(SITE, &path).expect("a removal");
    soon(&ground.env, "a sync of a removed file", file.sync(SITE)).await.expect("a sync without a name");
    let missing = ground.directory.join("missing");
    failure("syncing a missing directory", disk.sync_dir(SITE, &missing).await);
    assert_eq!(content(&file), b"durable");
}

pub(super) async fn a_dropped_sync_goes_on_and_harms_nothing<E: Env>(ground: Ground<E>) {
    let disk = ground.env.disk();
    let file = create(disk, &ground.directory.join("file"), b"begun");
    for round in 0..3 {
        let mut sync = Box::pin(file.sync(SITE));
        let mut sync_dir = Box::pin(disk.sync_dir(SITE, &ground.directory));
        // It has begun, and may be over.
        let mut context = Context::from_waker(Waker::noop());
        let _ = sync.as_mut().poll(&mut context);
        let _ = sync_dir.as_mut().poll(&mut context);
        drop((sync, sync_dir));
        write(&file, b"more", 5 + 4 * round);
    }
    assert_eq!(content(&file), b"begunmoremoremore");
    soon(&ground.env, "a sync behind dropped ones", file.sync(SITE)).await.expect("a sync");
    soon(&ground.env, "a sync behind dropped ones", disk.sync_dir(SITE, &ground.directory))
        .await
        .expect("a sync of a directory");
}

pub(super) async fn a_directory_is_locked_once<E: Env>(ground: Ground<E>) {
    let disk = ground.env.disk();
    let lock = disk.lock(SITE, &ground.directory).expect("nobody has it");
    let kind = failure("locking a locked directory", disk.lock(SITE, &ground.directory));
    assert_eq!(kind, ErrorKind::WouldBlock);
    let other = ground.directory.join("other");
    disk.create_dir(SITE, &other).expect("a new name");
    let other_lock = disk.lock(SITE, &other).expect("another directory has its own lock");
    drop(lock);
    drop(disk.lock(SITE, &ground.directory).expect("a dropped lock is free"));
    drop(other_lock);
}
