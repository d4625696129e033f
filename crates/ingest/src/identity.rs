//! The identity of a batch: a hash over the contents of the inputs and over everything else
//! that changes the result.
//!
//! Names and places of files are no part of it: the same export from another folder is the
//! same batch. Contents are hashed in pieces of fixed size, in parallel, with a fast hash of
//! 128 bits; SHA-256 binds the pieces together. That tells any two exports apart; it is no
//! defence against somebody who builds a file to collide.

use rayon::prelude::*;
use sha2::{Digest, Sha256};
use xxhash_rust::xxh3::Xxh3;

use crate::error::IngestError;
use crate::input::Input;

/// Bytes hashed in one piece.
const PIECE: u64 = 4 << 20;
/// Bytes read at once: few enough to stay in the processor's cache until they are hashed.
const READ: usize = 256 << 10;
/// Hexadecimal digits kept of the batch identifier: 128 bits.
const DIGITS: usize = 32;

/// SHA-256 over the length and the XXH3-128 of every piece, in hexadecimal.
///
/// # Errors
/// When the input cannot be read.
pub fn digest(input: &Input) -> Result<String, IngestError> {
    let length = input.raw.len();
    let pieces: Vec<u64> = (0..length.div_ceil(PIECE)).collect();
    let digests: Result<Vec<u128>, std::io::Error> = pieces
        .par_iter()
        .map_init(Vec::new, |buffer, piece| {
            let end = length.min((piece + 1) * PIECE);
            let mut hash = Xxh3::new();
            for start in (piece * PIECE..end).step_by(READ) {
                buffer.resize((end - start).min(READ as u64) as usize, 0);
                input.raw.read_exact_at(buffer, start)?;
                hash.update(buffer);
            }
            Ok(hash.digest128())
        })
        .collect();
    let digests = digests.map_err(|source| IngestError::Unreadable { file: input.name.clone(), source })?;
    let mut all = Sha256::new();
    all.update(length.to_le_bytes());
    for digest in digests {
        all.update(digest.to_le_bytes());
    }
    Ok(hexadecimal(&all.finalize()))
}

/// The batch identifier of contents, each with what it was read as, and of the options.
pub fn batch_id(mut contents: Vec<(String, String)>, options: &str) -> String {
    contents.sort();
    let mut all = Sha256::new();
    // The number changes when contents are read in another way, so that they can be read again.
    all.update(b"dealframe batch 2\n");
    all.update(options.as_bytes());
    for (digest, profile) in contents {
        all.update(b"\n");
        all.update(digest.as_bytes());
        all.update(b" ");
        all.update(Sha256::digest(profile.as_bytes()));
    }
    let mut text = hexadecimal(&all.finalize());
    text.truncate(DIGITS);
    text
}

/// The identifier of the same contents once more, after others took their place.
pub fn again(batch_id: &str) -> String {
    let mut text = hexadecimal(&Sha256::digest(format!("again\n{batch_id}")));
    text.truncate(DIGITS);
    text
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
