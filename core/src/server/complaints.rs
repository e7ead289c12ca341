//! Log lines that strangers can cause: a bounded number per second, and no byte of theirs raw.

use std::fmt;
use std::time::Duration;

use crate::sync::Mutex;
use crate::time::Instant;

/// Lines per [`WINDOW`] and server.
const LINES_MAX: u32 = 10;
const WINDOW: Duration = Duration::from_secs(1);

/// Writes warnings, but not more than anyone would read.
#[derive(Debug, Default)]
pub(super) struct Complaints(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    began: Instant,
    written: u32,
    suppressed: u64,
}

impl Complaints {
    /// Writes one warning, or counts it for a later one.
    pub(super) fn warn(&self, now: Instant, line: fmt::Arguments<'_>) {
        if let Some(suppressed) = self.admit(now) {
            if suppressed > 0 {
                tracing::warn!(suppressed, "{line}");
            } else {
                tracing::warn!("{line}");
            }
        }
    }

    /// How many lines were suppressed before this one, or `None` when this one is too.
    fn admit(&self, now: Instant) -> Option<u64> {
        let mut window = self.0.lock().expect("no panic under this lock");
        if now.saturating_since(window.began) >= WINDOW {
            window.began = now;
            window.written = 0;
        }
        if window.written >= LINES_MAX {
            window.suppressed += 1;
            return None;
        }
        window.written += 1;
        Some(std::mem::take(&mut window.suppressed))
    }
}

/// Text of a stranger, for a log: at most 64 characters, with control characters escaped.
pub(super) struct Printable<'a>(pub(super) &'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const CHARACTERS_MAX: usize = 64;
        for character in self.0.chars().take(CHARACTERS_MAX) {
            write!(f, "{}", character.escape_debug())?;
        }
        if self.0.chars().nth(CHARACTERS_MAX).is_some() { f.write_str("...") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_id_with_escapes_and_newlines_is_logged_harmlessly() {
        assert_eq!(Printable("a\u{1b}[31mb\nc\0").to_string(), "a\\u{1b}[31mb\\nc\\0");
        assert_eq!(Printable(&"x".repeat(65)).to_string(), format!("{}...", "x".repeat(64)));
        assert_eq!(Printable(&"x".repeat(64)).to_string(), "x".repeat(64));
    }

    /// Limit: `LINES_MAX` lines a second.
    #[test]
    fn a_flood_of_bad_requests_writes_a_bounded_number_of_lines_and_says_how_many_it_left_out() {
        let complaints = Complaints::default();
        let now = Instant(5_000_000_000);
        let written = (0..1000).filter(|_| complaints.admit(now).is_some()).count();
        assert_eq!(written, 10);
        assert_eq!(complaints.admit(now + WINDOW), Some(990));
        assert_eq!(complaints.admit(now + WINDOW), Some(0));
    }
}
