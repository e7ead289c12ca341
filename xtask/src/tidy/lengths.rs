//! Files that one can hold in one's head.

use super::Finding;
use super::source::Source;

/// Lines of code, tests not counted, above which a file needs a reason here.
const LINES_MAX: usize = 600;
/// Lines above which no reason helps.
const LINES_NEVER: usize = 900;

/// Files over [`LINES_MAX`] and why.
const REASONS: &[(&str, &str)] = &[];

/// Checks one file.
pub fn check(source: &Source, findings: &mut Vec<Finding>) {
    let lines = source.code_lines;
    let excused = REASONS.iter().any(|(path, _)| *path == source.path);
    if lines > LINES_NEVER || (lines > LINES_MAX && !excused) {
        let what = format!("{lines} lines of code: part the file by concern ({LINES_MAX} is the limit)");
        findings.push(Finding { file: source.path.clone(), line: 1, what });
    }
}
