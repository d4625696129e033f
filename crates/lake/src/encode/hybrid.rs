//! Parquet's run-length and bit-packing hybrid, for dictionary codes and definition levels.
//!
//! Runs of at least [`LEAST_RUN`] equal values become one run, everything else is packed in groups
//! of eight. Only the last group may be filled up with zeros, because a reader stops at the number
//! of values of the page. What the values stand for is the business of `text.rs` and `number.rs`.

use arrow::buffer::NullBuffer;

/// Shorter runs are packed: the header of a run would cost more than it saves.
const LEAST_RUN: usize = 16;

/// Bits that hold every code of a dictionary.
pub(crate) fn width(entries: usize) -> u8 {
    let bits = usize::BITS - entries.saturating_sub(1).leading_zeros();
    // A width of zero is allowed, but not every reader has heard of it.
    u8::try_from(bits).unwrap_or(u8::MAX).max(1)
}

/// Seven bits to a byte, the lowest first.
pub(super) fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn run(value: u32, count: usize, width: u8, out: &mut Vec<u8>) {
    varint((count as u64) << 1, out);
    out.extend_from_slice(&value.to_le_bytes()[..usize::from(width.div_ceil(8))]);
}

/// Appends codes of `width` bits (at most 32).
pub(crate) fn codes(values: &[u32], width: u8, out: &mut Vec<u8>) {
    let mut at = 0;
    while at < values.len() {
        let length = run_length(&values[at..]);
        if length >= LEAST_RUN {
            run(values[at], length, width, out);
            at += length;
            continue;
        }
        let start = at;
        loop {
            at = (at + 8).min(values.len());
            let window = &values[at..];
            if window.is_empty() || (window.len() >= LEAST_RUN && run_length(&window[..LEAST_RUN]) == LEAST_RUN) {
                break;
            }
        }
        varint(((at - start).div_ceil(8) as u64) << 1 | 1, out);
        pack(&values[start..at], width, out);
    }
}

fn run_length(values: &[u32]) -> usize {
    let Some(first) = values.first() else { return 0 };
    values.iter().position(|value| value != first).unwrap_or(values.len())
}

/// Packs the values, least significant bit first; the last group of eight is filled up with zeros.
fn pack(values: &[u32], width: u8, out: &mut Vec<u8>) {
    let end = out.len() + values.len().div_ceil(8) * usize::from(width);
    let (mut held, mut bits) = (0u64, 0u32);
    for value in values {
        held |= u64::from(*value) << bits;
        bits += u32::from(width);
        if bits >= 32 {
            out.extend_from_slice(&(held as u32).to_le_bytes());
            held >>= 32;
            bits -= 32;
        }
    }
    out.extend_from_slice(&held.to_le_bytes()[..bits.div_ceil(8) as usize]);
    out.resize(end, 0);
}

/// Appends the definition levels of `rows` rows of a nullable column, with their length before them.
pub(crate) fn levels(rows: usize, nulls: Option<&NullBuffer>, out: &mut Vec<u8>) {
    let place = out.len();
    out.extend_from_slice(&[0; 4]);
    match nulls {
        Some(nulls) if nulls.null_count() == rows => run(0, rows, 1, out),
        Some(nulls) if nulls.null_count() > 0 => {
            // Arrow's validity bits are Parquet's packed levels.
            let bits = nulls.inner().sliced();
            let groups = rows.div_ceil(8);
            varint((groups as u64) << 1 | 1, out);
            out.extend_from_slice(&bits.as_slice()[..groups]);
            if let (Some(last), false) = (out.last_mut(), rows.is_multiple_of(8)) {
                *last &= (1 << (rows % 8)) - 1;
            }
        }
        _ => run(1, rows, 1, out),
    }
    let length = (out.len() - place - 4) as u32;
    out[place..place + 4].copy_from_slice(&length.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads the hybrid back, by the letter of the format.
    fn read(mut bytes: &[u8], width: u8, count: usize) -> Vec<u32> {
        let mut out = Vec::new();
        while out.len() < count {
            let (mut header, mut shift) = (0u64, 0);
            loop {
                let byte = bytes[0];
                bytes = &bytes[1..];
                header |= u64::from(byte & 0x7f) << shift;
                shift += 7;
                if byte < 0x80 {
                    break;
                }
            }
            let length = (header >> 1) as usize;
            if header & 1 == 0 {
                let size = usize::from(width.div_ceil(8));
                let mut value = [0u8; 4];
                value[..size].copy_from_slice(&bytes[..size]);
                bytes = &bytes[size..];
                out.extend(std::iter::repeat_n(u32::from_le_bytes(value), length));
            } else {
                for index in 0..length * 8 {
                    let bit = |bit: usize| u32::from(bytes[bit / 8] >> (bit % 8) & 1);
                    let first = index * usize::from(width);
                    out.push((0..usize::from(width)).map(|at| bit(first + at) << at).sum());
                }
                bytes = &bytes[length * usize::from(width)..];
            }
        }
        assert!(bytes.is_empty() && out[count..].iter().all(|value| *value == 0));
        out.truncate(count);
        out
    }

    #[test]
    fn codes_come_back() {
        let mut seed = 1u64;
        let mut dice = |sides: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % sides
        };
        for round in 0..400 {
            let entries = 1 + dice(if round % 3 == 0 { 100_000 } else { 9 }) as usize;
            let mut values = Vec::new();
            while values.len() < 300 {
                let count = if dice(4) == 0 { dice(60) } else { 1 };
                let value = dice(entries as u64) as u32;
                values.extend(std::iter::repeat_n(value, count as usize));
            }
            values.truncate(dice(300) as usize);
            let mut out = Vec::new();
            codes(&values, width(entries), &mut out);
            assert_eq!(read(&out, width(entries), values.len()), values);
        }
    }

    #[test]
    fn levels_come_back() {
        for rows in [1usize, 7, 8, 9, 64, 65] {
            for keep in [|_: usize| true, |_| false, |row: usize| row.is_multiple_of(3)] {
                let valid: Vec<bool> = (0..rows + 3).map(keep).collect();
                let nulls = NullBuffer::from(valid.clone()).slice(3, rows);
                let mut out = vec![9];
                levels(rows, Some(&nulls), &mut out);
                let length = u32::from_le_bytes([out[1], out[2], out[3], out[4]]) as usize;
                assert_eq!(length, out.len() - 5);
                let expected: Vec<u32> = valid[3..].iter().map(|valid| u32::from(*valid)).collect();
                assert_eq!(read(&out[5..], 1, rows), expected);
            }
        }
    }

    #[test]
    fn widths() {
        assert_eq!([0, 1, 2, 3, 4, 5, 256, 257].map(width), [1, 1, 1, 2, 2, 3, 8, 9]);
    }
}
