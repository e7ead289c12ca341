//! A value of a scenario: fixed, a range `"a..b"` (both ends included) or a set `[a, b]`, drawn once per seed.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use crate::rng::Rng;

/// What a scenario says about one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice<T> {
    /// Always this.
    Fixed(T),
    /// Anything from the first to the second, both included.
    Range(T, T),
    /// One of these.
    OneOf(Vec<T>),
}

/// A kind of value that scenarios can hold.
pub trait Drawable: Clone + Debug {
    /// What to write, for messages.
    const EXPECTED: &'static str;

    /// Reads one value; integers of a file come as their digits.
    fn from_text(text: &str) -> Option<Self>;

    /// Writes it so that [`Drawable::from_text`] gives the same value.
    fn to_text(&self) -> String;

    /// A value from one to another, both included; `None` when the first is larger or there is no order.
    fn between(low: &Self, high: &Self, rng: &mut Rng) -> Option<Self>;
}

/// A number from `low` to `high`, both included.
fn between(rng: &mut Rng, low: u64, high: u64) -> u64 {
    match high.saturating_sub(low).checked_add(1) {
        Some(count) => low + rng.below(count),
        None => rng.next_u64(),
    }
}

/// Units of lengths, the largest first.
const BYTE_UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

impl Drawable for u64 {
    const EXPECTED: &'static str = "a number such as 8 or \"64KiB\"";

    fn from_text(text: &str) -> Option<Self> {
        for (unit, scale) in BYTE_UNITS {
            if let Some(number) = text.strip_suffix(unit) {
                return number.trim().parse::<u64>().ok()?.checked_mul(scale);
            }
        }
        text.parse().ok()
    }

    fn to_text(&self) -> String {
        self.to_string()
    }

    fn between(low: &Self, high: &Self, rng: &mut Rng) -> Option<Self> {
        (low <= high).then(|| between(rng, *low, *high))
    }
}

/// More is a slip of the pen, and sums of times must not overflow.
const TIME_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Units of time, in nanoseconds. `ms` stands before `s` and `m`, whose suffix it has.
const TIME_UNITS: [(&str, f64); 6] =
    [("ns", 1.0), ("us", 1e3), ("ms", 1e6), ("h", 3.6e12), ("m", 6e10), ("s", 1e9)];

impl Drawable for Duration {
    const EXPECTED: &'static str = "a time such as \"250ms\", \"8s\" or \"10m\", and a month at most";

    fn from_text(text: &str) -> Option<Self> {
        let (number, scale) =
            TIME_UNITS.iter().find_map(|(unit, scale)| Some((text.strip_suffix(unit)?.trim(), scale)))?;
        let nanos = match number.parse::<u64>() {
            Ok(whole) => whole.checked_mul(*scale as u64)?,
            // A float that is too large or negative becomes the nearest number there is.
            Err(_) => (number.parse::<f64>().ok().filter(|nanos| *nanos >= 0.0)? * scale).round() as u64,
        };
        let time = Duration::from_nanos(nanos);
        (time <= TIME_MAX).then_some(time)
    }

    fn to_text(&self) -> String {
        let nanos = self.as_nanos();
        for (unit, scale) in [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000)] {
            if nanos.is_multiple_of(scale) {
                return format!("{}{unit}", nanos / scale);
            }
        }
        format!("{nanos}ns")
    }

    fn between(low: &Self, high: &Self, rng: &mut Rng) -> Option<Self> {
        let (low, high) = (low.as_nanos() as u64, high.as_nanos() as u64);
        if low > high {
            return None;
        }
        let drawn = between(rng, low, high);
        // Whole microseconds read better, and nothing hangs on less.
        Some(Duration::from_nanos((drawn / 1000 * 1000).clamp(low, high)))
    }
}

impl Drawable for bool {
    const EXPECTED: &'static str = "true or false";

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn to_text(&self) -> String {
        self.to_string()
    }

    fn between(_: &Self, _: &Self, _: &mut Rng) -> Option<Self> {
        None
    }
}

/// A word, or the value of one of Kafka's configuration keys. Ranges work where both ends are numbers.
impl Drawable for String {
    const EXPECTED: &'static str = "a text";

    fn from_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }

    fn to_text(&self) -> String {
        self.clone()
    }

    fn between(low: &Self, high: &Self, rng: &mut Rng) -> Option<Self> {
        let (low, high) = (u64::from_text(low)?, u64::from_text(high)?);
        (low <= high).then(|| between(rng, low, high).to_string())
    }
}

impl<T: Copy + Ord> Choice<T> {
    /// The smallest and the largest value it can have.
    pub fn ends(&self) -> (T, T) {
        match self {
            Self::Fixed(value) => (*value, *value),
            Self::Range(low, high) => (*low, *high),
            Self::OneOf(values) => {
                let first = values.first().expect("a set is not empty");
                values.iter().fold((*first, *first), |(low, high), value| (low.min(*value), high.max(*value)))
            }
        }
    }
}

impl<T: Drawable> Choice<T> {
    /// Reads `"a..b"` or a single value.
    pub fn from_text(text: &str) -> Option<Self> {
        if let Some((low, high)) = text.split_once("..") {
            let (low, high) = (T::from_text(low.trim())?, T::from_text(high.trim())?);
            let is_range = T::between(&low, &high, &mut Rng::from_seed(0)).is_some();
            return is_range.then_some(Self::Range(low, high));
        }
        T::from_text(text).map(Self::Fixed)
    }
}

/// Draws the values of one seed, and remembers what it drew; or repeats what a plan says was drawn.
#[derive(Debug)]
pub struct Drawing {
    rng: Rng,
    recorded: Option<BTreeMap<String, String>>,
    drawn: Vec<(String, String)>,
}

impl Drawing {
    /// Draws afresh from the plan's own stream.
    pub fn fresh(seed: u64) -> Self {
        Self { rng: Rng::stream(seed, "plan"), recorded: None, drawn: Vec::new() }
    }

    /// Repeats the values of a plan; what it does not name is drawn afresh.
    pub fn recorded(seed: u64, values: &[(String, String)]) -> Self {
        Self { recorded: Some(values.iter().cloned().collect()), ..Self::fresh(seed) }
    }

    /// One value; `name` says whose it is. A fixed value costs no randomness.
    pub fn value<T: Drawable>(&mut self, name: &str, choice: &Choice<T>) -> T {
        let fresh = match choice {
            Choice::Fixed(value) => return value.clone(),
            Choice::Range(low, high) => {
                T::between(low, high, &mut self.rng).expect("ranges are checked when they are read")
            }
            Choice::OneOf(values) => values[self.rng.below(values.len() as u64) as usize].clone(),
        };
        let recorded = self.recorded.as_ref().and_then(|values| T::from_text(values.get(name)?));
        let value = recorded.unwrap_or(fresh);
        self.drawn.push((name.to_owned(), value.to_text()));
        value
    }

    /// The stream, for draws that are no values of the scenario, such as the times of faults.
    pub fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// What was drawn, in order.
    pub fn into_drawn(self) -> Vec<(String, String)> {
        self.drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_their_text() {
        for text in ["250ms", "1.5s", "90s", "3us", "7ns", "10m", "0s", "720h"] {
            let value = Duration::from_text(text).expect(text);
            assert_eq!(Duration::from_text(&value.to_text()), Some(value), "{text}");
        }
        assert_eq!(Duration::from_text("1.5s"), Some(Duration::from_millis(1500)));
        assert_eq!(u64::from_text("64KiB"), Some(65536));
        for text in
            ["", "s", "5", "-1s", "1e300s", "nans", "infs", "99999999999999999999h", "31h31m", "721h", "1e9s"]
        {
            assert_eq!(Duration::from_text(text), None, "{text}");
        }
    }

    #[test]
    fn a_drawing_repeats_what_was_recorded() {
        let choice = Choice::<u64>::from_text("1..1000000").expect("a range");
        let mut first = Drawing::fresh(7);
        let (a, b) = (first.value("a", &choice), first.value("b", &choice));
        let recorded = first.into_drawn();
        let mut second = Drawing::recorded(8, &recorded);
        assert_eq!((second.value("a", &choice), second.value("b", &choice)), (a, b));
    }

    #[test]
    fn a_range_that_falls_is_refused() {
        assert_eq!(Choice::<u64>::from_text("9..3"), None);
        assert_eq!(Choice::<bool>::from_text("false..true"), None);
        assert!(Choice::<Duration>::from_text("0s..3s").is_some());
    }
}
