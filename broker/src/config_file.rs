//! Kafka's configuration files: the syntax of Java's `Properties`.
//!
//! `key=value`, `key:value` or `key value`; `#` and `!` begin a comment; a backslash at the end of a line joins the next one,
//! elsewhere it escapes the character behind it (`\t \n \r \f`, `\uXXXX`). Unlike Java's, files are UTF-8.

use std::iter::Peekable;
use std::str::Chars;

/// One key with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// The line it begins on, from 1.
    pub line: usize,
    /// The key, unescaped.
    pub key: String,
    /// The value, unescaped; blanks at its end are part of it.
    pub value: String,
}

/// Why a file is no properties file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct SyntaxError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, and how it is written right.
    pub what: &'static str,
}

/// Parses a file's text.
///
/// # Errors
/// A broken `\u` escape, or a value without a key.
pub fn parse(text: &str) -> Result<Vec<Property>, SyntaxError> {
    let mut properties = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, first)) = lines.next() {
        let first = first.trim_start_matches(is_blank);
        if first.is_empty() || first.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = first.to_owned();
        while ends_in_continuation(&logical) {
            logical.pop();
            let Some((_, next)) = lines.next() else { break };
            logical.push_str(next.trim_start_matches(is_blank));
        }
        let line = index + 1;
        let (key, value) = split(&logical).map_err(|what| SyntaxError { line, what })?;
        if key.is_empty() {
            return Err(SyntaxError { line, what: "the key is missing; write key=value" });
        }
        properties.push(Property { line, key, value });
    }
    Ok(properties)
}

fn is_blank(symbol: char) -> bool {
    matches!(symbol, ' ' | '\t' | '\u{c}')
}

/// An even number of backslashes are escaped backslashes.
fn ends_in_continuation(line: &str) -> bool {
    line.chars().rev().take_while(|symbol| *symbol == '\\').count() % 2 == 1
}

/// Parts a logical line at the first unescaped `=`, `:` or blank.
fn split(line: &str) -> Result<(String, String), &'static str> {
    let mut symbols = line.chars().peekable();
    let key = take(&mut symbols, |symbol| matches!(symbol, '=' | ':') || is_blank(symbol))?;
    skip_blanks(&mut symbols);
    if symbols.next_if(|symbol| matches!(symbol, '=' | ':')).is_some() {
        skip_blanks(&mut symbols);
    }
    let value = take(&mut symbols, |_| false)?;
    Ok((key, value))
}

fn skip_blanks(symbols: &mut Peekable<Chars<'_>>) {
    while symbols.next_if(|symbol| is_blank(*symbol)).is_some() {}
}

/// Unescapes up to an unescaped character that ends the part.
fn take(symbols: &mut Peekable<Chars<'_>>, ends: impl Fn(char) -> bool) -> Result<String, &'static str> {
    // Escapes are UTF-16 units: a character outside the basic plane takes two of them.
    let mut units: Vec<u16> = Vec::new();
    while let Some(symbol) = symbols.next_if(|symbol| !ends(*symbol)) {
        let plain = match symbol {
            '\\' => match symbols.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\u{c}',
                Some('u') => {
                    units.push(unit(symbols)?);
                    continue;
                }
                Some(other) => other,
                None => break,
            },
            other => other,
        };
        units.extend_from_slice(plain.encode_utf16(&mut [0; 2]));
    }
    String::from_utf16(&units).map_err(|_| "half of a surrogate pair; write both halves as \\uXXXX")
}

/// The four hexadecimal digits of a `\u` escape.
fn unit(symbols: &mut Peekable<Chars<'_>>) -> Result<u16, &'static str> {
    let mut unit = 0;
    for _ in 0..4 {
        let digit = symbols.next().and_then(|symbol| symbol.to_digit(16));
        unit = unit * 16
            + digit.ok_or("\\u takes four hexadecimal digits; a plain backslash is written \\\\")?;
    }
    Ok(u16::try_from(unit).expect("four hexadecimal digits are 16 bits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(usize, &str, &str)]) {
        let parsed = parse(text).expect("it parses");
        let parsed: Vec<(usize, &str, &str)> =
            parsed.iter().map(|it| (it.line, it.key.as_str(), it.value.as_str())).collect();
        assert_eq!(parsed, expected, "{text:?}");
    }

    #[test]
    fn a_key_ends_at_an_equals_sign_a_colon_or_a_blank() {
        check(
            "a=1\nb:2\nc 3\nd = 4\ne\t:\t5\nf",
            &[(1, "a", "1"), (2, "b", "2"), (3, "c", "3"), (4, "d", "4"), (5, "e", "5"), (6, "f", "")],
        );
        check("listeners=PLAINTEXT://:9092", &[(1, "listeners", "PLAINTEXT://:9092")]);
        check("a==b", &[(1, "a", "=b")]);
    }

    #[test]
    fn comments_and_empty_lines_are_skipped() {
        check("# a=1\n! b=2\n\n   \t\n  # c=3 \\\nd=4 # no comment", &[(6, "d", "4 # no comment")]);
    }

    #[test]
    fn a_backslash_at_the_end_joins_the_next_line() {
        check("a=one,\\\n    two,\\\n\tthree\nb=2", &[(1, "a", "one,two,three"), (4, "b", "2")]);
        check("a=1\\\\\nb=2", &[(1, "a", "1\\"), (2, "b", "2")]);
        check("a=1\\", &[(1, "a", "1")]);
        check("a=1,\\\n# 2", &[(1, "a", "1,# 2")]);
    }

    #[test]
    fn windows_line_ends_are_line_ends() {
        check("a=1\r\nb=2\\\r\n3\r\n", &[(1, "a", "1"), (2, "b", "23")]);
    }

    #[test]
    fn escapes_are_taken_back() {
        check(r"a\=b\:c\ d=\t\n\\\q", &[(1, "a=b:c d", "\t\n\\q")]);
        check(r"dir=\uC7A5\ubd80 \uD83D\uDE00", &[(1, "dir", "장부 😀")]);
        check("dir=장부", &[(1, "dir", "장부")]);
    }

    #[test]
    fn broken_lines_are_named() {
        let error = |text| parse(text).expect_err("it does not parse");
        assert_eq!(error("a=1\nb=\\u12").line, 2);
        assert_eq!(error("a=\\uD83D").line, 1);
        assert_eq!(error("\n\n = 3").line, 3);
    }
}
