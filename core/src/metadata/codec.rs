//! The primitives of Kafka's flexible encoding (KIP-482), as far as metadata records need them.
//!
//! Reading trusts nothing: a length or count is compared with the bytes that are there before anything is reserved.

use bytes::{BufMut, BytesMut};

use crate::ids::{BrokerId, Uuid};

/// Why bytes cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The bytes end inside a field.
    #[error("the bytes end inside a field")]
    Truncated,
    /// A length or count is larger than the bytes behind it.
    #[error("a length of {length} is more than the {there} bytes behind it")]
    Length {
        /// What the bytes say.
        length: u64,
        /// What is there.
        there: usize,
    },
    /// A varint has more than 32 bits.
    #[error("a varint is longer than 32 bits")]
    Varint,
    /// A text is not UTF-8.
    #[error("a text is not UTF-8")]
    Utf8,
    /// Null where the schema wants a value.
    #[error("a field is null that may not be")]
    Null,
    /// Tags must rise.
    #[error("tagged fields are out of order")]
    TagOrder,
    /// A boolean or an enumeration has another value.
    #[error("a field has the value {0}, which stands for nothing")]
    Value(i64),
}

/// Writes fields into a growing buffer.
#[derive(Debug, Default)]
pub(super) struct Writer {
    pub(super) bytes: BytesMut,
}

impl Writer {
    pub(super) fn boolean(&mut self, value: bool) {
        self.bytes.put_u8(u8::from(value));
    }

    pub(super) fn int8(&mut self, value: i8) {
        self.bytes.put_i8(value);
    }

    pub(super) fn int16(&mut self, value: i16) {
        self.bytes.put_i16(value);
    }

    pub(super) fn uint16(&mut self, value: u16) {
        self.bytes.put_u16(value);
    }

    pub(super) fn int32(&mut self, value: i32) {
        self.bytes.put_i32(value);
    }

    pub(super) fn int64(&mut self, value: i64) {
        self.bytes.put_i64(value);
    }

    pub(super) fn uuid(&mut self, value: Uuid) {
        self.bytes.put_slice(&value.0);
    }

    pub(super) fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.bytes.put_u8((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.put_u8(value as u8);
    }

    /// A length or count, plus one, because 0 stands for null.
    fn length(&mut self, length: usize) {
        self.varint(u32::try_from(length + 1).expect("fields of metadata records are far below 4 GiB"));
    }

    pub(super) fn string(&mut self, value: &str) {
        self.length(value.len());
        self.bytes.put_slice(value.as_bytes());
    }

    pub(super) fn nullable_string(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.string(value),
            None => self.varint(0),
        }
    }

    pub(super) fn array<T>(&mut self, values: &[T], write: impl Fn(&mut Self, &T)) {
        self.length(values.len());
        for value in values {
            write(self, value);
        }
    }

    pub(super) fn brokers(&mut self, values: &[BrokerId]) {
        self.array(values, |writer, broker| writer.int32(broker.0));
    }

    pub(super) fn uuids(&mut self, values: &[Uuid]) {
        self.array(values, |writer, id| writer.uuid(*id));
    }

    /// Tagged fields, in the order of their tags.
    pub(super) fn tags(&mut self, fields: Tags) {
        self.varint(fields.0.len() as u32);
        for (tag, field) in fields.0 {
            self.varint(tag);
            self.varint(u32::try_from(field.len()).expect("fields of metadata records are far below 4 GiB"));
            self.bytes.put_slice(&field);
        }
    }
}

/// The tagged fields of one struct that differ from their defaults.
#[derive(Debug, Default)]
pub(super) struct Tags(Vec<(u32, BytesMut)>);

impl Tags {
    /// Adds a field; the tags of one struct are added in rising order.
    pub(super) fn add(&mut self, tag: u32, write: impl FnOnce(&mut Writer)) {
        debug_assert!(self.0.last().is_none_or(|(last, _)| *last < tag), "tags rise");
        let mut writer = Writer::default();
        write(&mut writer);
        self.0.push((tag, writer.bytes));
    }
}

/// Reads fields from bytes that nobody vouches for.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn remaining(&self) -> usize {
        self.rest.len()
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], CodecError> {
        let (head, rest) = self.rest.split_at_checked(count).ok_or(CodecError::Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(CodecError::Truncated)?;
        self.rest = rest;
        Ok(*head)
    }

    pub(super) fn boolean(&mut self) -> Result<bool, CodecError> {
        match self.int8()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(CodecError::Value(other.into())),
        }
    }

    pub(super) fn int8(&mut self) -> Result<i8, CodecError> {
        Ok(i8::from_be_bytes(self.fixed()?))
    }

    pub(super) fn int16(&mut self) -> Result<i16, CodecError> {
        Ok(i16::from_be_bytes(self.fixed()?))
    }

    pub(super) fn uint16(&mut self) -> Result<u16, CodecError> {
        Ok(u16::from_be_bytes(self.fixed()?))
    }

    pub(super) fn int32(&mut self) -> Result<i32, CodecError> {
        Ok(i32::from_be_bytes(self.fixed()?))
    }

    pub(super) fn int64(&mut self) -> Result<i64, CodecError> {
        Ok(i64::from_be_bytes(self.fixed()?))
    }

    pub(super) fn uuid(&mut self) -> Result<Uuid, CodecError> {
        Ok(Uuid(self.fixed()?))
    }

    pub(super) fn varint(&mut self) -> Result<u32, CodecError> {
        let mut value: u64 = 0;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.fixed()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(value).map_err(|_| CodecError::Varint);
            }
        }
        Err(CodecError::Varint)
    }

    /// A length or count of things that take at least `size_min` bytes each; `None` for null.
    fn length(&mut self, size_min: usize) -> Result<Option<usize>, CodecError> {
        let Some(length) = self.varint()?.checked_sub(1) else { return Ok(None) };
        if u64::from(length) * size_min as u64 > self.rest.len() as u64 {
            return Err(CodecError::Length { length: length.into(), there: self.rest.len() });
        }
        Ok(Some(length as usize))
    }

    pub(super) fn nullable_string(&mut self) -> Result<Option<String>, CodecError> {
        let Some(length) = self.length(1)? else { return Ok(None) };
        let text = std::str::from_utf8(self.take(length)?).map_err(|_| CodecError::Utf8)?;
        Ok(Some(text.to_owned()))
    }

    pub(super) fn string(&mut self) -> Result<String, CodecError> {
        self.nullable_string()?.ok_or(CodecError::Null)
    }

    /// An array of things that take at least `size_min` bytes each; `None` for null.
    pub(super) fn nullable_array<T>(
        &mut self,
        size_min: usize,
        mut read: impl FnMut(&mut Self) -> Result<T, CodecError>,
    ) -> Result<Option<Vec<T>>, CodecError> {
        let Some(count) = self.length(size_min)? else { return Ok(None) };
        (0..count).map(|_| read(self)).collect::<Result<_, _>>().map(Some)
    }

    pub(super) fn array<T>(
        &mut self,
        size_min: usize,
        read: impl FnMut(&mut Self) -> Result<T, CodecError>,
    ) -> Result<Vec<T>, CodecError> {
        self.nullable_array(size_min, read)?.ok_or(CodecError::Null)
    }

    pub(super) fn nullable_brokers(&mut self) -> Result<Option<Vec<BrokerId>>, CodecError> {
        self.nullable_array(4, |reader| reader.int32().map(BrokerId))
    }

    pub(super) fn brokers(&mut self) -> Result<Vec<BrokerId>, CodecError> {
        self.nullable_brokers()?.ok_or(CodecError::Null)
    }

    pub(super) fn nullable_uuids(&mut self) -> Result<Option<Vec<Uuid>>, CodecError> {
        self.nullable_array(16, Self::uuid)
    }

    pub(super) fn uuids(&mut self) -> Result<Vec<Uuid>, CodecError> {
        self.nullable_uuids()?.ok_or(CodecError::Null)
    }

    /// Hands each tagged field to `read`; a tag that it does not know is passed over (KIP-482).
    pub(super) fn tags(
        &mut self,
        mut read: impl FnMut(u32, &mut Reader<'a>) -> Result<(), CodecError>,
    ) -> Result<(), CodecError> {
        let count = self.varint()?;
        let mut last = None;
        for _ in 0..count {
            let tag = self.varint()?;
            if last.is_some_and(|last| last >= tag) {
                return Err(CodecError::TagOrder);
            }
            last = Some(tag);
            let size = self.varint()? as usize;
            let field = self.take(size)?;
            read(tag, &mut Reader::new(field))?;
        }
        Ok(())
    }

    /// Passes over all tagged fields, for a struct that has none.
    pub(super) fn no_tags(&mut self) -> Result<(), CodecError> {
        self.tags(|_, _| Ok(()))
    }
}
