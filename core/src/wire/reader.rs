//! Reads the messages that are written by hand.

use bytes::Bytes;

use super::codec::{DecodeError, StrBytes};
use crate::ids::Uuid;

/// Reads a message of the classic or the flexible encoding (KIP-482) from bytes that may be anything.
///
/// Strings and byte fields alias the message. Every length and count is checked against the bytes that are there
/// before anything is made of it.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a Bytes,
    at: usize,
    flexible: bool,
}

/// The longest string of the protocol, in either encoding.
const STRING_BYTES_MAX: usize = i16::MAX as usize;

impl<'a> Reader<'a> {
    /// Reads from the start of `bytes`.
    pub fn new(bytes: &'a Bytes, flexible: bool) -> Self {
        Self { bytes, at: 0, flexible }
    }

    /// Bytes not read yet.
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Bytes read so far.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Everything not read yet, sharing the message's memory.
    pub fn rest(&self) -> Bytes {
        self.bytes.slice(self.at..)
    }

    fn take(&mut self, needed: usize) -> Result<&'a [u8], DecodeError> {
        let remaining = self.remaining();
        if needed > remaining {
            return Err(DecodeError::UnexpectedEnd { offset: self.at, needed, remaining });
        }
        let taken = &self.bytes[self.at..self.at + needed];
        self.at += needed;
        Ok(taken)
    }

    fn array_of<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        Ok(self.take(N)?.try_into().expect("take returns as many bytes as were asked for"))
    }

    /// An `int8`.
    pub fn i8(&mut self) -> Result<i8, DecodeError> {
        self.array_of().map(i8::from_be_bytes)
    }

    /// An `int16`.
    pub fn i16(&mut self) -> Result<i16, DecodeError> {
        self.array_of().map(i16::from_be_bytes)
    }

    /// An `int32`.
    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        self.array_of().map(i32::from_be_bytes)
    }

    /// An `int64`.
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        self.array_of().map(i64::from_be_bytes)
    }

    /// A `uuid`.
    pub fn uuid(&mut self) -> Result<Uuid, DecodeError> {
        self.array_of().map(Uuid)
    }

    /// An unsigned varint of at most 32 bits.
    pub fn unsigned_varint(&mut self) -> Result<u32, DecodeError> {
        let offset = self.at;
        let mut value = 0u32;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.take(1)?[0];
            if shift == 28 && byte > 0x0f {
                break;
            }
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::MalformedVarint { offset })
    }

    /// The length in front of a string, byte field or array: -1 is null, and no other negative number can come.
    fn length(&mut self, kind: &'static str, wide: bool) -> Result<Option<usize>, DecodeError> {
        let offset = self.at;
        if self.flexible {
            let encoded = self.unsigned_varint()?;
            return Ok((encoded as usize).checked_sub(1));
        }
        let length = if wide { self.i32()? } else { self.i16()?.into() };
        match length {
            -1 => Ok(None),
            0.. => Ok(Some(length as usize)),
            _ => Err(DecodeError::NegativeLength { kind, length: length.into(), offset }),
        }
    }

    fn slice(&mut self, len: usize) -> Result<Bytes, DecodeError> {
        let start = self.at;
        self.take(len)?;
        Ok(self.bytes.slice(start..start + len))
    }

    /// A string or null, of at most 32,767 bytes of UTF-8.
    pub fn nullable_string(&mut self) -> Result<Option<StrBytes>, DecodeError> {
        let offset = self.at;
        let Some(length) = self.length("string", false)? else {
            return Ok(None);
        };
        if length > STRING_BYTES_MAX {
            return Err(DecodeError::LimitExceeded {
                kind: "string",
                length,
                limit: STRING_BYTES_MAX,
                offset,
            });
        }
        let offset = self.at;
        StrBytes::try_from(self.slice(length)?)
            .map(Some)
            .map_err(|error| DecodeError::InvalidUtf8 { offset, valid_up_to: error.valid_up_to() })
    }

    /// A string.
    pub fn string(&mut self) -> Result<StrBytes, DecodeError> {
        let offset = self.at;
        self.nullable_string()?.ok_or(DecodeError::NullNotAllowed { kind: "string", offset })
    }

    /// Bytes or null.
    pub fn nullable_bytes(&mut self) -> Result<Option<Bytes>, DecodeError> {
        match self.length("bytes", true)? {
            Some(length) => self.slice(length).map(Some),
            None => Ok(None),
        }
    }

    /// The count of an array whose elements take at least `element_bytes_min` bytes each, or null.
    pub fn nullable_array(&mut self, element_bytes_min: usize) -> Result<Option<usize>, DecodeError> {
        let offset = self.at;
        let Some(count) = self.length("array", true)? else {
            return Ok(None);
        };
        let remaining = self.remaining();
        if count > remaining / element_bytes_min.max(1) {
            return Err(DecodeError::CountExceedsFrame { kind: "array", count, remaining, offset });
        }
        Ok(Some(count))
    }

    /// The count of an array whose elements take at least `element_bytes_min` bytes each.
    pub fn array(&mut self, element_bytes_min: usize) -> Result<usize, DecodeError> {
        let offset = self.at;
        self.nullable_array(element_bytes_min)?.ok_or(DecodeError::NullNotAllowed { kind: "array", offset })
    }

    /// The end of a structure: in the flexible encoding its tagged fields, all skipped.
    pub fn end(&mut self) -> Result<(), DecodeError> {
        self.end_with(|_, _| Ok(()))
    }

    /// The end of a structure: `known` sees each tagged field, and reads of it what it knows. What it leaves is
    /// skipped, for a later version may have appended to it.
    pub fn end_with(
        &mut self,
        mut known: impl FnMut(u32, &mut Reader<'_>) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        if !self.flexible {
            return Ok(());
        }
        let count = self.unsigned_varint()?;
        let mut previous: Option<u32> = None;
        // Each field takes at least two bytes, so a claimed count ends the loop by running out of bytes.
        for _ in 0..count {
            let offset = self.at;
            let tag = self.unsigned_varint()?;
            if let Some(previous) = previous.filter(|&previous| tag <= previous) {
                return Err(DecodeError::TaggedFieldOrder { previous, current: tag, offset });
            }
            previous = Some(tag);
            let len = self.unsigned_varint()? as usize;
            if len == 0 {
                continue;
            }
            let field = self.slice(len)?;
            known(tag, &mut Reader::new(&field, true))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_of_more_than_32_bits_are_refused() {
        for (bytes, expected) in [
            (&[0x00][..], Some(0)),
            (&[0xff, 0xff, 0xff, 0xff, 0x0f], Some(u32::MAX)),
            (&[0x80, 0x00], Some(0)),
            (&[0xff, 0xff, 0xff, 0xff, 0x1f], None),
            (&[0x80, 0x80, 0x80, 0x80, 0x80, 0x00], None),
            (&[0x80], None),
            (&[], None),
        ] {
            let bytes = Bytes::from_static(bytes);
            assert_eq!(Reader::new(&bytes, true).unsigned_varint().ok(), expected, "{bytes:?}");
        }
    }

    #[test]
    fn counts_beyond_the_bytes_there_are_refused() {
        for count in [i32::MAX, 3, -2] {
            let mut bytes = count.to_be_bytes().to_vec();
            bytes.extend([0; 5]);
            let bytes = Bytes::from(bytes);
            assert!(Reader::new(&bytes, false).array(2).is_err(), "{count}");
        }
        let five_bytes_that_abort_others = Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 0x07]);
        assert!(Reader::new(&five_bytes_that_abort_others, true).array(1).is_err());
    }

    #[test]
    fn tagged_fields_are_skipped_but_must_rise_and_fit() {
        for (bytes, fine) in [
            (&[0][..], true),
            (&[2, 0, 1, 9, 7, 2, 8, 8], true),
            (&[2, 1, 0, 1, 0], false),
            (&[2, 1, 0, 0, 0], false),
            (&[1, 0, 9, 1], false),
            (&[0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0], false),
        ] {
            let bytes = Bytes::from_static(bytes);
            assert_eq!(Reader::new(&bytes, true).end().is_ok(), fine, "{bytes:?}");
        }
    }

    #[test]
    fn strings_must_be_utf8_and_there() {
        for bytes in [&[0, 2, 0xff, 0xfe][..], &[0, 3, b'a'], &[0xff, 0xfe], &[0xff, 0xff]] {
            let bytes = Bytes::from_static(bytes);
            assert!(Reader::new(&bytes, false).string().is_err(), "{bytes:?}");
        }
    }
}
