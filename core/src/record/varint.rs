//! Signed varints (zigzag, base 128), as records use them.

/// Takes a varint of at most 64 bits off the front of `bytes`, or returns `None` and leaves them.
pub(super) fn take_i64(bytes: &mut &[u8]) -> Option<i64> {
    let mut value = 0u64;
    for (index, &byte) in bytes.iter().take(10).enumerate() {
        if index == 9 && byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            *bytes = &bytes[index + 1..];
            return Some((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    None
}

/// Takes a varint of at most 32 bits off the front of `bytes`, or returns `None` and leaves them.
pub(super) fn take_i32(bytes: &mut &[u8]) -> Option<i32> {
    let mut rest = *bytes;
    let value = i32::try_from(take_i64(&mut rest)?).ok()?;
    if bytes.len() - rest.len() > 5 {
        return None;
    }
    *bytes = rest;
    Some(value)
}

/// Appends a varint.
pub(super) fn put(buffer: &mut impl bytes::BufMut, value: i64) {
    let mut zigzag = ((value << 1) ^ (value >> 63)) as u64;
    while zigzag >= 0x80 {
        buffer.put_u8(zigzag as u8 | 0x80);
        zigzag >>= 7;
    }
    buffer.put_u8(zigzag as u8);
}

/// How many bytes [`put`] appends.
pub(super) fn len(value: i64) -> usize {
    let zigzag = ((value << 1) ^ (value >> 63)) as u64;
    (70 - (zigzag | 1).leading_zeros() as usize) / 7
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive() {
        for value in
            [0, -1, 1, 63, 64, -64, -65, 8191, 8192, i32::MAX.into(), i32::MIN.into(), i64::MAX, i64::MIN]
        {
            let mut buffer = Vec::new();
            put(&mut buffer, value);
            assert_eq!(buffer.len(), len(value), "{value}");
            let mut bytes = &buffer[..];
            assert_eq!((take_i64(&mut bytes), bytes), (Some(value), &[][..]));
            let mut bytes = &buffer[..];
            assert_eq!(take_i32(&mut bytes), i32::try_from(value).ok());
        }
    }

    #[test]
    fn varints_that_are_too_long_or_cut_are_refused() {
        for bytes in
            [&[][..], &[0x80], &[0xff; 11], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]]
        {
            assert_eq!(take_i64(&mut &bytes[..]), None, "{bytes:?}");
        }
        assert_eq!(take_i32(&mut &[0x80, 0x80, 0x80, 0x80, 0x80, 0x00][..]), None, "six bytes for 32 bits");
        assert_eq!(take_i32(&mut &[0xff, 0xff, 0xff, 0xff, 0x1f][..]), None, "33 bits");
    }
}
