//! Writes the messages that are written by hand.

use bytes::{BufMut, BytesMut};

use crate::ids::Uuid;

/// Appends a message to a buffer in the classic or the flexible encoding (KIP-482).
///
/// What is written comes from this program, but for the names that a response repeats, which the reader has cut off at
/// 32,767 bytes. So a string or array too long for its length prefix is a bug here and panics.
#[derive(Debug)]
pub struct Writer<'a> {
    buffer: &'a mut BytesMut,
    flexible: bool,
}

impl<'a> Writer<'a> {
    /// Appends to `buffer`.
    pub fn new(buffer: &'a mut BytesMut, flexible: bool) -> Self {
        Self { buffer, flexible }
    }

    /// An `int8`.
    pub fn i8(&mut self, value: i8) {
        self.buffer.put_i8(value);
    }

    /// An `int16`.
    pub fn i16(&mut self, value: i16) {
        self.buffer.put_i16(value);
    }

    /// An `int32`.
    pub fn i32(&mut self, value: i32) {
        self.buffer.put_i32(value);
    }

    /// An `int64`.
    pub fn i64(&mut self, value: i64) {
        self.buffer.put_i64(value);
    }

    /// A `uuid`.
    pub fn uuid(&mut self, value: Uuid) {
        self.buffer.put_slice(&value.0);
    }

    /// An unsigned varint.
    pub fn unsigned_varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.buffer.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.buffer.put_u8(value as u8);
    }

    fn compact_length(&mut self, len: Option<usize>) {
        let encoded = len.map_or(0, |len| u32::try_from(len + 1).expect("a length below 4 GiB"));
        self.unsigned_varint(encoded);
    }

    /// A string or null.
    pub fn nullable_string(&mut self, value: Option<&str>) {
        if self.flexible {
            self.compact_length(value.map(str::len));
        } else {
            self.i16(value.map_or(-1, |value| i16::try_from(value.len()).expect("a string below 32 KiB")));
        }
        if let Some(value) = value {
            self.buffer.put_slice(value.as_bytes());
        }
    }

    /// A string.
    pub fn string(&mut self, value: &str) {
        self.nullable_string(Some(value));
    }

    /// The length of a byte field whose bytes the caller appends itself; `None` is null.
    pub fn bytes_len(&mut self, len: Option<usize>) {
        if self.flexible {
            self.compact_length(len);
        } else {
            self.i32(len.map_or(-1, |len| i32::try_from(len).expect("a length below 2 GiB")));
        }
    }

    /// A byte field or null.
    pub fn nullable_bytes(&mut self, value: Option<&[u8]>) {
        self.bytes_len(value.map(<[u8]>::len));
        if let Some(value) = value {
            self.buffer.put_slice(value);
        }
    }

    /// The count of an array whose elements the caller appends; `None` is null.
    pub fn nullable_array(&mut self, count: Option<usize>) {
        self.bytes_len(count);
    }

    /// The count of an array whose elements the caller appends.
    pub fn array(&mut self, count: usize) {
        self.nullable_array(Some(count));
    }

    /// The end of a structure without tagged fields.
    pub fn end(&mut self) {
        if self.flexible {
            self.buffer.put_u8(0);
        }
    }

    /// The end of a structure with tagged fields, which must be in the order of their tags.
    ///
    /// # Panics
    /// When there are fields and the encoding is not flexible.
    pub fn end_with(&mut self, fields: &[(u32, &[u8])]) {
        assert!(self.flexible || fields.is_empty(), "tagged fields need the flexible encoding");
        if !self.flexible {
            return;
        }
        self.unsigned_varint(fields.len() as u32);
        for (tag, value) in fields {
            self.unsigned_varint(*tag);
            self.unsigned_varint(value.len() as u32);
            self.buffer.put_slice(value);
        }
    }
}
