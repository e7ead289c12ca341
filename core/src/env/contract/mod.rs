//! What every world promises, as code: each sentence of [`super`]'s documentation is a function that panics with a
//! telling message when a world breaks it. The simulator proves nothing about production unless both keep all of them.
//!
//! A world's test takes the list and runs every promise on ground of its own:
//!
//! ```ignore
//! for promise in contract::all::<MyEnv>() {
//!     let ground = Ground { env, peer, host: "127.0.0.1".into(), directory: an_empty_directory() };
//!     block_on((promise.run)(ground));
//! }
//! ```

mod clock;
mod disk;
mod net;
mod task;

use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use super::{Clock, Env};

/// Where a promise is put to the test. Each gets its own.
pub struct Ground<E> {
    /// The world under test: it listens, and its disk is used.
    pub env: E,
    /// The world that connects to it: another node, or the same one.
    pub peer: E,
    /// The name by which both reach `env`'s listeners, without a port.
    pub host: String,
    /// A directory that exists on `env`'s disk and is empty.
    pub directory: PathBuf,
}

/// What [`Promise::run`] returns.
pub type Run = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One promise.
pub struct Promise<E> {
    /// What is promised, in snake case, behind the name of its trait: `disk::rename_replaces_a_file`.
    pub name: &'static str,
    /// Puts it to the test; panics when it is broken.
    pub run: fn(Ground<E>) -> Run,
}

macro_rules! promises {
    ($($area:ident { $($name:ident),* $(,)? })*) => {
        /// Every promise.
        pub fn all<E: Env>() -> Vec<Promise<E>> {
            vec![$($(Promise {
                name: concat!(stringify!($area), "::", stringify!($name)),
                run: |ground| Box::pin($area::$name(ground)),
            }),*),*]
        }
    };
}

promises! {
    clock {
        the_monotonic_clock_never_goes_back,
        a_deadline_in_the_past_returns_at_once,
        a_timer_never_fires_early,
        timers_fire_in_the_order_of_their_deadlines,
        a_cancelled_timer_is_harmless,
    }
    disk {
        a_created_file_is_empty_and_can_be_read_and_written,
        creating_a_taken_name_fails,
        opening_a_missing_file_fails,
        a_file_opened_for_reading_refuses_writes,
        clones_and_second_handles_share_the_file,
        buffers_are_written_one_behind_the_other,
        thousands_of_buffers_are_one_write,
        an_overwrite_keeps_what_surrounds_it,
        a_write_beyond_the_end_fills_the_gap_with_zeros,
        a_read_is_short_only_at_the_end,
        truncating_cuts_or_lengthens_with_zeros,
        allocating_keeps_length_and_content,
        rename_replaces_a_file,
        rename_moves_a_directory_with_its_files,
        a_removed_file_stays_usable_by_who_has_it_open,
        directories_are_created_once_below_an_existing_parent,
        only_an_empty_directory_is_removed,
        names_are_listed_in_byte_order,
        files_and_directories_can_be_synced,
        a_directory_is_locked_once,
    }
    net {
        port_0_takes_a_free_port,
        a_port_is_taken_once_and_freed_by_dropping,
        bytes_arrive_in_order_both_ways,
        a_read_appends_within_the_spare_capacity,
        a_read_without_spare_capacity_takes_4_kib_at_most,
        shutting_down_one_half_leaves_the_other_open,
        dropping_the_writer_tells_the_peer,
        everything_written_arrives_before_the_end,
        closing_both_halves_fails_the_peers_writes,
        a_writer_waits_while_its_peer_does_not_read,
        a_waiting_writer_goes_on_when_its_peer_reads,
        an_empty_write_sends_nothing,
        small_pieces_with_more_to_come_arrive_whole,
        a_file_slice_arrives_like_written_bytes,
        a_slice_of_a_removed_file_arrives,
        a_file_shorter_than_the_slice_is_an_unexpected_end,
        a_cancelled_read_loses_no_byte,
        a_cancelled_write_breaks_the_pipe,
        a_cancelled_send_file_breaks_the_pipe,
        a_cancelled_accept_loses_no_connection,
        every_connection_is_accepted_once,
    }
    task {
        a_task_runs_and_is_finished,
        dropping_a_task_ends_it_wherever_it_waits,
        dropping_a_task_runs_its_destructors_even_before_its_first_poll,
        both_lanes_make_progress_beside_each_other,
        a_checkpoint_returns,
        a_long_run_of_checkpoints_gives_way,
        a_stepper_runs_to_its_end,
        dropping_a_stepper_stops_it,
        random_bits_differ,
    }
}

/// How long a world may take for what must happen.
const SOON: Duration = Duration::from_secs(20);

/// What the future yields, or `None` when it takes longer than `wait`; it is dropped then.
async fn within<E: Env, T>(env: &E, wait: Duration, future: impl Future<Output = T> + Send) -> Option<T> {
    let deadline = env.clock().now() + wait;
    tokio::select! {
        biased;
        value = future => Some(value),
        () = env.clock().sleep_until(deadline) => None,
    }
}

/// What the future yields.
///
/// # Panics
/// When it takes too long.
async fn soon<E: Env, T>(env: &E, what: &str, future: impl Future<Output = T> + Send) -> T {
    match within(env, SOON, future).await {
        Some(value) => value,
        None => panic!("{what} took longer than {SOON:?}"),
    }
}

async fn pause<E: Env>(env: &E, wait: Duration) {
    env.clock().sleep_until(env.clock().now() + wait).await;
}

/// Bytes without a short period, so that a chunk in the wrong place is noticed.
fn pattern(len: usize, salt: u64) -> Vec<u8> {
    let mut state = salt.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect()
}
