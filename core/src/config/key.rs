//! What one configuration key is: its name, its type, its default, its bounds and what it means.

use std::fmt;

/// The type of a key's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// Text.
    String,
    /// A 32-bit number.
    Int,
    /// A 64-bit number.
    Long,
    /// Comma-separated texts.
    List,
}

impl Kind {
    /// The number that DescribeConfigs v3 and later write (KIP-569).
    pub const fn code(self) -> i8 {
        match self {
            Kind::Boolean => 1,
            Kind::String => 2,
            Kind::Int => 3,
            Kind::Long => 5,
            Kind::List => 7,
        }
    }
}

/// Which values a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bounds {
    /// All of its type.
    Any,
    /// Numbers not smaller than this.
    AtLeast(i64),
    /// Numbers from the first to the second.
    Between(i64, i64),
    /// One of these texts; of a list, each element.
    OneOf(&'static [&'static str]),
    /// Any text but the empty one.
    NotEmpty,
    /// This value alone: what others promise is not there yet.
    Only(&'static str),
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bounds::Any => f.write_str("any value"),
            Bounds::AtLeast(least) => write!(f, "at least {least}"),
            Bounds::Between(least, most) => write!(f, "from {least} to {most}"),
            Bounds::OneOf(values) => write!(f, "one of {}", values.join(", ")),
            Bounds::NotEmpty => f.write_str("not empty"),
            Bounds::Only(only) => write!(f, "{only} only, since this version does not support the rest"),
        }
    }
}

/// One key of Kafka's configuration that this broker honours.
#[derive(Debug)]
pub struct Key {
    /// Kafka's name.
    pub name: &'static str,
    /// The type of its value.
    pub kind: Kind,
    /// The value when none is given; `None` where Kafka has null.
    pub default: Option<&'static str>,
    /// Which values it takes.
    pub bounds: Bounds,
    /// What it means, in one sentence.
    pub doc: &'static str,
    /// For a key of topics: the broker keys that set its default, the strongest first, each with the factor by which
    /// its value is multiplied (hours to milliseconds). Empty for a broker key.
    pub broker_keys: &'static [(&'static str, i64)],
}

/// A value that a key does not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}={}: {reason}", Quoted(key), Quoted(value))]
pub struct ValueError {
    /// The key.
    pub key: String,
    /// The value given.
    pub value: String,
    /// What is wrong, and what would be right.
    pub reason: String,
}

/// The most characters of a text that an error quotes.
const QUOTED_MAX: usize = 100;

/// A text as an error quotes it: what somebody gave may be of any length, and the rest of it helps nobody.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(QUOTED_MAX) {
            Some((end, _)) => write!(f, "{}...", &self.0[..end]),
            None => f.write_str(self.0),
        }
    }
}

impl Key {
    /// Checks a value against type and bounds.
    ///
    /// # Errors
    /// Says what the key takes.
    pub fn check(&self, value: &str) -> Result<(), ValueError> {
        let refuse =
            |reason: String| Err(ValueError { key: self.name.to_owned(), value: value.to_owned(), reason });
        let value = value.trim();
        match self.kind {
            Kind::Boolean => match (parse_boolean(value), self.bounds) {
                (None, _) => refuse("it takes true or false".to_owned()),
                (Some(value), Bounds::Only(only)) if value.to_string() != only => {
                    refuse(format!("it takes {}", self.bounds))
                }
                (Some(_), _) => Ok(()),
            },
            Kind::Int | Kind::Long => {
                let range = if self.kind == Kind::Int {
                    i64::from(i32::MIN)..=i64::from(i32::MAX)
                } else {
                    i64::MIN..=i64::MAX
                };
                match value.parse::<i64>() {
                    Ok(number) if range.contains(&number) && self.takes_number(number) => Ok(()),
                    Ok(_) => refuse(format!("it takes a number {}", self.number_bounds())),
                    Err(_) => refuse("it takes a whole number".to_owned()),
                }
            }
            Kind::String => match self.takes_text(value) {
                true => Ok(()),
                false => refuse(format!("it takes a text, {}", self.bounds)),
            },
            Kind::List => match elements(value).all(|element| self.takes_text(element)) {
                true if !(self.bounds != Bounds::Any && elements(value).next().is_none()) => Ok(()),
                _ => refuse(format!("it takes a comma-separated list, {}", self.bounds)),
            },
        }
    }

    fn takes_number(&self, number: i64) -> bool {
        match self.bounds {
            Bounds::AtLeast(least) => number >= least,
            Bounds::Between(least, most) => (least..=most).contains(&number),
            Bounds::Only(only) => number.to_string() == only,
            Bounds::Any | Bounds::OneOf(_) | Bounds::NotEmpty => true,
        }
    }

    fn number_bounds(&self) -> String {
        match self.bounds {
            Bounds::Any if self.kind == Kind::Int => format!("from {} to {}", i32::MIN, i32::MAX),
            bounds => bounds.to_string(),
        }
    }

    fn takes_text(&self, text: &str) -> bool {
        match self.bounds {
            Bounds::OneOf(values) => values.contains(&text),
            Bounds::NotEmpty => !text.is_empty(),
            Bounds::Only(only) => text == only,
            Bounds::Any | Bounds::AtLeast(_) | Bounds::Between(..) => true,
        }
    }
}

/// Kafka takes `true` and `false` in any case.
pub(super) fn parse_boolean(value: &str) -> Option<bool> {
    if value.eq_ignore_ascii_case("true") {
        Some(true)
    } else if value.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// The elements of a list, without the blanks around them; none of an empty text.
pub(super) fn elements(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|element| !element.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kind: Kind, bounds: Bounds) -> Key {
        Key { name: "k", kind, default: None, bounds, doc: "", broker_keys: &[] }
    }

    #[test]
    fn values_outside_type_or_bounds_are_refused() {
        let least = key(Kind::Int, Bounds::AtLeast(1));
        assert!(least.check("1").is_ok());
        assert!(least.check(" 7 ").is_ok(), "blanks around a value do not count");
        for value in ["0", "-1", "", "x", "1.5", "2147483648", "99999999999999999999"] {
            assert!(least.check(value).is_err(), "{value}");
        }
        assert!(key(Kind::Long, Bounds::Any).check("9223372036854775807").is_ok());
        assert!(key(Kind::Boolean, Bounds::Any).check("TRUE").is_ok());
        assert!(key(Kind::Boolean, Bounds::Any).check("yes").is_err());
        let list = key(Kind::List, Bounds::OneOf(&["delete", "compact"]));
        assert!(list.check("delete, compact").is_ok());
        assert!(list.check("delete,shred").is_err());
        assert!(list.check("").is_err());
    }

    #[test]
    fn a_refusal_says_what_would_be_right_and_quotes_no_novels() {
        let error = key(Kind::Int, Bounds::Between(1, 9)).check("10").expect_err("10 is above 9");
        assert_eq!(error.to_string(), "k=10: it takes a number from 1 to 9");
        let novel = "é".repeat(32_000);
        let error = key(Kind::Int, Bounds::Any).check(&novel).expect_err("it is no number");
        assert_eq!(error.to_string(), format!("k={}...: it takes a whole number", "é".repeat(100)));
    }

    #[test]
    fn a_key_with_one_value_takes_no_other() {
        let boolean = key(Kind::Boolean, Bounds::Only("false"));
        assert!(boolean.check("False").is_ok());
        let error = boolean.check("true").expect_err("it is not there yet");
        assert_eq!(
            error.to_string(),
            "k=true: it takes false only, since this version does not support the rest"
        );
        let number = key(Kind::Long, Bounds::Only("0"));
        assert!(number.check(" 0").is_ok() && number.check("1").is_err() && number.check("-0").is_ok());
    }
}
