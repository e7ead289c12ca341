//! Where a scenario or a plan is wrong, and what to write instead.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// A file as it was read: errors point into it.
#[derive(Debug)]
pub struct Source {
    /// Where it lies.
    pub path: PathBuf,
    /// What it says.
    pub text: String,
}

impl Source {
    /// Line and column of a byte, both from 1; columns count characters.
    pub fn position(&self, at: usize) -> (usize, usize) {
        let before = self.text.get(..at.min(self.text.len())).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

/// A scenario or plan that cannot be run as it is written: file, line, column, what is wrong, what to do.
#[derive(Debug)]
pub struct ScenarioError {
    source: Arc<Source>,
    span: Range<usize>,
    message: String,
    remedy: Option<String>,
}

impl ScenarioError {
    /// An error about the bytes `span` of a file.
    pub fn new(source: &Arc<Source>, span: Range<usize>, message: impl Into<String>) -> Self {
        Self { source: source.clone(), span, message: message.into(), remedy: None }
    }

    /// Adds what to do about it.
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Line and column, from 1.
    pub fn position(&self) -> (usize, usize) {
        self.source.position(self.span.start)
    }
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.position();
        writeln!(f, "{}:{line}:{column}: {}", self.source.path.display(), self.message)?;
        let text = self.source.text.lines().nth(line - 1).unwrap_or("");
        let width = self.source.text.get(self.span.clone()).unwrap_or("").lines().next().unwrap_or("");
        let room = text.chars().count().saturating_sub(column - 1);
        let marks = "^".repeat(width.chars().count().clamp(1, room.max(1)));
        let margin = line.to_string().len();
        writeln!(f, "{:margin$} |", "")?;
        writeln!(f, "{line} | {text}")?;
        // A line may be longer than what a format's width can say.
        write!(f, "{:margin$} | {}{marks}", "", " ".repeat(column - 1))?;
        if let Some(remedy) = &self.remedy {
            write!(f, "\n{:margin$} = {remedy}", "")?;
        }
        Ok(())
    }
}

impl std::error::Error for ScenarioError {}

/// The candidate most like `word`, when it is like enough to have been meant.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (edit_distance(&word, candidate), candidate))
        .filter(|(distance, candidate)| {
            *distance <= (1 + candidate.len() / 4).min(word.len().saturating_sub(1))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Insertions, removals, replacements and swaps of neighbours that turn one word into the other.
fn edit_distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut two_rows_up: Vec<usize> = Vec::new();
    let mut row_above: Vec<usize> = (0..=to.len()).collect();
    for (i, &left) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &right) in to.iter().enumerate() {
            let replaced = row_above[j] + usize::from(left != right);
            let mut best = replaced.min(row_above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && left == to[j - 1] && from[i - 1] == right {
                best = best.min(two_rows_up[j - 1] + 1);
            }
            row.push(best);
        }
        two_rows_up = std::mem::replace(&mut row_above, row);
    }
    row_above[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_suggested_and_far_ones_are_not() {
        let keys = ["mean_every", "first_after", "kind", "target"];
        assert_eq!(did_you_mean("mean_evry", keys), Some("mean_every"));
        assert_eq!(did_you_mean("Target", keys), Some("target"));
        assert_eq!(did_you_mean("knid", keys), Some("kind"));
        assert_eq!(did_you_mean("partitions", keys), None);
    }

    #[test]
    fn an_error_shows_the_place() {
        let source = Arc::new(Source { path: "s.toml".into(), text: "# why\nseeds = 1\nsed = 2\n".into() });
        let error = ScenarioError::new(&source, 16..19, "unknown key `sed`").remedy("did you mean `seed`?");
        assert_eq!(
            error.to_string(),
            "s.toml:3:1: unknown key `sed`\n  |\n3 | sed = 2\n  | ^^^\n  = did you mean `seed`?"
        );
    }

    #[test]
    fn an_error_far_out_in_a_long_line_is_shown_too() {
        let text = format!("{}?", " ".repeat(100_000));
        let source = Arc::new(Source { path: "s.toml".into(), text });
        let error = ScenarioError::new(&source, 100_000..100_001, "no value");
        assert!(error.to_string().starts_with("s.toml:1:100001: no value"));
    }
}
