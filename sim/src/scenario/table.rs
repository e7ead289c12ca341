//! A TOML table being read: every key is asked for once, and what was never asked for is an error.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ScenarioError, Source, did_you_mean};
use super::value::{Choice, Drawable};

/// One table of a scenario or plan.
pub struct Table<'a> {
    source: &'a Arc<Source>,
    /// As it is written: `[[fault]]`, `[liveness]`, or "the top level".
    title: String,
    span: Range<usize>,
    entries: BTreeMap<String, Entry<'a>>,
    asked: Vec<&'static str>,
}

/// One value with its place.
pub struct Entry<'a> {
    key_span: Range<usize>,
    value: Spanned<DeValue<'a>>,
}

/// A dotted key and its value.
pub struct Dotted {
    /// The whole key.
    pub key: String,
    /// Where it stands.
    pub span: Range<usize>,
    /// Its value.
    pub value: Choice<String>,
}

/// Reads a file's text as the top-level table.
///
/// # Errors
/// The first place where the text is not TOML.
pub fn parse(source: &Arc<Source>) -> Result<Table<'_>, ScenarioError> {
    let root = DeTable::parse(&source.text).map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        ScenarioError::new(source, span, error.message().to_owned())
    })?;
    Ok(Table::new(source, "the top level".into(), 0..0, root.into_inner()))
}

impl<'a> Table<'a> {
    fn new(source: &'a Arc<Source>, title: String, span: Range<usize>, table: DeTable<'a>) -> Self {
        let entries = table
            .into_iter()
            .map(|(key, value)| {
                let key_span = key.span();
                (key.into_inner().into_owned(), Entry { key_span, value })
            })
            .collect();
        Self { source, title, span, entries, asked: Vec::new() }
    }

    /// The file it stands in.
    pub fn source(&self) -> &'a Arc<Source> {
        self.source
    }

    /// An error about this table as a whole.
    pub fn error(&self, message: impl Into<String>) -> ScenarioError {
        ScenarioError::new(self.source, self.span.clone(), message)
    }

    /// Whether a key is there.
    pub fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Where the value of a key stands, or else the table.
    pub fn span_of(&self, key: &str) -> Range<usize> {
        self.entries.get(key).map_or_else(|| self.span.clone(), Entry::span)
    }

    /// The value of a key, if it is there.
    pub fn take(&mut self, key: &'static str) -> Option<Entry<'a>> {
        self.asked.push(key);
        self.entries.remove(key)
    }

    /// The value of a key that must be there.
    ///
    /// # Errors
    /// When it is missing; a key that was probably meant is pointed at.
    pub fn require(&mut self, key: &'static str) -> Result<Entry<'a>, ScenarioError> {
        match self.take(key) {
            Some(entry) => Ok(entry),
            None => Err(self.missing(&[key])),
        }
    }

    /// The error for a table that has none of these keys.
    pub fn missing(&self, keys: &[&'static str]) -> ScenarioError {
        for (written, entry) in &self.entries {
            if let Some(meant) = did_you_mean(written, keys.iter().copied()) {
                let message = format!("unknown key `{written}` in {}", self.title);
                return ScenarioError::new(self.source, entry.key_span.clone(), message)
                    .remedy(format!("did you mean `{meant}`?"));
            }
        }
        let names: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
        self.error(format!("{} needs {}", self.title, names.join(" or ")))
    }

    /// A value that may be a range or a set; `default` (in the file's own notation) when the key is missing.
    pub fn choice<T: Drawable>(
        &mut self,
        key: &'static str,
        default: &str,
    ) -> Result<Choice<T>, ScenarioError> {
        let source = self.source;
        match self.take(key) {
            Some(entry) => entry.choice(source),
            None => Ok(Choice::from_text(default).expect("defaults are well-formed")),
        }
    }

    /// A number of things, which must not be absurd: a seed has to carry `most` of them.
    pub fn count(
        &mut self,
        key: &'static str,
        default: &str,
        most: u64,
    ) -> Result<Choice<u64>, ScenarioError> {
        let span = self.entries.get(key).map_or_else(|| self.span.clone(), Entry::span);
        let choice: Choice<u64> = self.choice(key, default)?;
        let (_, largest) = choice.ends();
        if largest <= most {
            return Ok(choice);
        }
        Err(ScenarioError::new(self.source, span, format!("{largest} is more than a seed can carry"))
            .remedy(format!("`{key}` is {most} at most")))
    }

    /// A value that may be a range or a set, and may be missing.
    pub fn optional<T: Drawable>(&mut self, key: &'static str) -> Result<Option<Choice<T>>, ScenarioError> {
        let source = self.source;
        self.take(key).map(|entry| entry.choice(source)).transpose()
    }

    /// As [`Table::optional`], of a key that will still be asked for.
    pub fn peek<T: Drawable>(&self, key: &str) -> Result<Option<Choice<T>>, ScenarioError> {
        self.entries.get(key).map(|entry| entry.read(self.source)).transpose()
    }

    /// A value that is the same for every seed.
    pub fn fixed<T: Drawable>(&mut self, key: &'static str) -> Result<Option<T>, ScenarioError> {
        let source = self.source;
        let Some(entry) = self.take(key) else { return Ok(None) };
        let span = entry.span();
        match entry.choice(source)? {
            Choice::Fixed(value) => Ok(Some(value)),
            _ => Err(ScenarioError::new(
                source,
                span,
                format!("`{key}` must be one value: it is the same for every seed"),
            )),
        }
    }

    /// A text, or one of several, out of a list of names.
    pub fn name(
        &mut self,
        key: &'static str,
        names: &[&str],
        default: &str,
    ) -> Result<Choice<String>, ScenarioError> {
        let source = self.source;
        let Some(entry) = self.take(key) else { return Ok(Choice::Fixed(default.to_owned())) };
        let spans = entry.spans();
        let choice: Choice<String> = entry.choice(source)?;
        let given: Vec<&String> = match &choice {
            Choice::Fixed(name) => vec![name],
            Choice::Range(low, high) => vec![low, high],
            Choice::OneOf(names) => names.iter().collect(),
        };
        for (name, span) in given.into_iter().zip(spans) {
            check_name(source, span, name, names, &format!("value of `{key}`"))?;
        }
        Ok(choice)
    }

    /// A list of texts out of a list of names; `None` when the key is missing.
    pub fn names(
        &mut self,
        key: &'static str,
        names: &[&'static str],
    ) -> Result<Option<Vec<&'static str>>, ScenarioError> {
        let source = self.source;
        let Some(entry) = self.take(key) else { return Ok(None) };
        let mut found = Vec::new();
        for (text, span) in entry.texts(source)? {
            check_name(source, span, &text, names, &format!("value of `{key}`"))?;
            found.extend(names.iter().find(|name| **name == text));
        }
        Ok(Some(found))
    }

    /// A table inside this one.
    pub fn table(&mut self, key: &'static str) -> Result<Option<Table<'a>>, ScenarioError> {
        let source = self.source;
        self.take(key).map(|entry| entry.into_table(source, format!("[{key}]"))).transpose()
    }

    /// An array of tables, empty when it is missing.
    pub fn tables(&mut self, key: &'static str) -> Result<Vec<Table<'a>>, ScenarioError> {
        let source = self.source;
        let Some(entry) = self.take(key) else { return Ok(Vec::new()) };
        let span = entry.span();
        let DeValue::Array(items) = entry.value.into_inner() else {
            return Err(ScenarioError::new(source, span, format!("`{key}` is an array of tables"))
                .remedy(format!("write [[{key}]]")));
        };
        items
            .into_iter()
            .map(|value| {
                let key_span = value.span();
                Entry { key_span, value }.into_table(source, format!("[[{key}]]"))
            })
            .collect()
    }

    /// Everything left, as Kafka's dotted keys: `flush.messages = 1` and `"flush.messages" = 1` are the same.
    pub fn dotted(mut self) -> Result<Vec<Dotted>, ScenarioError> {
        let source = self.source;
        let mut found = Vec::new();
        let mut open: Vec<(String, Entry<'a>)> =
            std::mem::take(&mut self.entries).into_iter().rev().collect();
        while let Some((key, entry)) = open.pop() {
            if let DeValue::Table(inner) = entry.value.get_ref() {
                for (name, value) in inner.iter().rev() {
                    let inner = Entry { key_span: name.span(), value: value.clone() };
                    open.push((format!("{key}.{}", name.get_ref()), inner));
                }
            } else {
                let span = entry.key_span.clone();
                found.push(Dotted { key, span, value: entry.choice(source)? });
            }
        }
        Ok(found)
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// For the first key that nobody asked for, with the one that was probably meant.
    pub fn finish(self) -> Result<(), ScenarioError> {
        let Some((key, entry)) = self.entries.iter().min_by_key(|(_, entry)| entry.key_span.start) else {
            return Ok(());
        };
        let error = ScenarioError::new(
            self.source,
            entry.key_span.clone(),
            format!("unknown key `{key}` in {}", self.title),
        );
        Err(match did_you_mean(key, self.asked.iter().copied()) {
            Some(meant) => error.remedy(format!("did you mean `{meant}`?")),
            None => error.remedy(format!("known here: {}", self.asked.join(", "))),
        })
    }
}

/// Refuses a name that is not in the list.
pub fn check_name(
    source: &Arc<Source>,
    span: Range<usize>,
    name: &str,
    names: &[&str],
    what: &str,
) -> Result<(), ScenarioError> {
    if names.contains(&name) {
        return Ok(());
    }
    let error = ScenarioError::new(source, span, format!("`{name}` is no {what}"));
    Err(match did_you_mean(name, names.iter().copied()) {
        Some(meant) => error.remedy(format!("did you mean `{meant}`?")),
        None => error.remedy(format!("one of: {}", names.join(", "))),
    })
}

impl<'a> Entry<'a> {
    /// Where the value stands.
    pub fn span(&self) -> Range<usize> {
        self.value.span()
    }

    fn spans(&self) -> Vec<Range<usize>> {
        match self.value.get_ref() {
            DeValue::Array(items) => items.iter().map(Spanned::span).collect(),
            _ => vec![self.value.span(); 2],
        }
    }

    /// The value as one text.
    pub fn text(&self, source: &Arc<Source>) -> Result<String, ScenarioError> {
        scalar(source, &self.value)
    }

    /// The value as a list of texts; a single one is a list of one.
    pub fn texts(&self, source: &Arc<Source>) -> Result<Vec<(String, Range<usize>)>, ScenarioError> {
        match self.value.get_ref() {
            DeValue::Array(items) => {
                items.iter().map(|item| Ok((scalar(source, item)?, item.span()))).collect()
            }
            _ => Ok(vec![(self.text(source)?, self.span())]),
        }
    }

    /// The value as a fixed one, a range or a set.
    pub fn choice<T: Drawable>(self, source: &Arc<Source>) -> Result<Choice<T>, ScenarioError> {
        self.read(source)
    }

    fn read<T: Drawable>(&self, source: &Arc<Source>) -> Result<Choice<T>, ScenarioError> {
        let expected = |span| {
            ScenarioError::new(source, span, format!("this must be {}", T::EXPECTED))
                .remedy("a range is written \"low..high\", a set [a, b]")
        };
        if let DeValue::Array(items) = self.value.get_ref() {
            let mut values = Vec::new();
            for item in items.iter() {
                values.push(T::from_text(&scalar(source, item)?).ok_or_else(|| expected(item.span()))?);
            }
            if values.is_empty() {
                return Err(expected(self.span()));
            }
            return Ok(Choice::OneOf(values));
        }
        let text = self.text(source)?;
        Choice::from_text(&text).ok_or_else(|| match text.split_once("..") {
            Some((low, high)) if T::from_text(low).is_some() && T::from_text(high).is_some() => {
                ScenarioError::new(
                    source,
                    self.span(),
                    format!("this range runs backwards, from {low} to {high}"),
                )
                .remedy("the smaller end comes first")
            }
            _ => expected(self.span()),
        })
    }

    fn into_table(self, source: &'a Arc<Source>, title: String) -> Result<Table<'a>, ScenarioError> {
        let span = self.key_span.clone();
        match self.value.into_inner() {
            DeValue::Table(table) => Ok(Table::new(source, title, span, table)),
            other => Err(ScenarioError::new(
                source,
                span,
                format!("{title} is a table, not a {}", other.type_str()),
            )),
        }
    }
}

fn scalar(source: &Arc<Source>, value: &Spanned<DeValue<'_>>) -> Result<String, ScenarioError> {
    match value.get_ref() {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(integer) if integer.radix() == 10 => Ok(integer.as_str().to_owned()),
        DeValue::Float(float) => Ok(float.as_str().to_owned()),
        DeValue::Boolean(truth) => Ok(truth.to_string()),
        other => Err(ScenarioError::new(
            source,
            value.span(),
            format!("a single value belongs here, not a {}", other.type_str()),
        )),
    }
}
