//! Parquet's DELTA_BINARY_PACKED: numbers that do not repeat, as differences of as few bits as each
//! group of 32 needs.
//!
//! Amounts, instants and line numbers take the room that zstd would bring them to, at a fifth of
//! its cost. Which numbers are written so is decided in `number.rs`.

use super::hybrid::varint;

/// Differences that share a least one, and those that share a width.
const BLOCK: usize = 128;
const GROUP: usize = 32;

fn zigzag(value: i64, out: &mut Vec<u8>) {
    varint(((value << 1) ^ (value >> 63)).cast_unsigned(), out);
}

/// Appends a page of numbers. Numbers of 32 bits may come as wide ones: their differences fit.
pub(crate) fn numbers(values: impl ExactSizeIterator<Item = i64>, out: &mut Vec<u8>) {
    let mut values = values;
    varint(BLOCK as u64, out);
    varint((BLOCK / GROUP) as u64, out);
    varint(values.len() as u64, out);
    let mut last = values.next().unwrap_or(0);
    zigzag(last, out);
    let mut differences = [0i64; BLOCK];
    loop {
        let mut count = 0;
        for (slot, value) in differences.iter_mut().zip(&mut values) {
            *slot = value.wrapping_sub(last);
            last = value;
            count += 1;
        }
        if count == 0 {
            return;
        }
        block(&differences[..count], out);
        if count < BLOCK {
            return;
        }
    }
}

fn block(differences: &[i64], out: &mut Vec<u8>) {
    let least = differences.iter().copied().min().unwrap_or(0);
    zigzag(least, out);
    let widths = out.len();
    // Groups that the page does not reach have no width and no bytes.
    out.extend_from_slice(&[0; BLOCK / GROUP]);
    for (number, group) in differences.chunks(GROUP).enumerate() {
        let above = |difference: &i64| difference.wrapping_sub(least).cast_unsigned();
        let width = u64::BITS - group.iter().map(above).fold(0, |bits, value| bits | value).leading_zeros();
        out[widths + number] = width as u8;
        let end = out.len() + GROUP / 8 * width as usize;
        let (mut held, mut bits) = (0u128, 0);
        for value in group.iter().map(above) {
            held |= u128::from(value) << bits;
            bits += width;
            if bits >= 64 {
                out.extend_from_slice(&(held as u64).to_le_bytes());
                held >>= 64;
                bits -= 64;
            }
        }
        out.extend_from_slice(&(held as u64).to_le_bytes()[..bits.div_ceil(8) as usize]);
        out.resize(end, 0);
    }
}
