//! Identifiers as the vendors form them.
//!
//! Salesforce: three characters of object prefix, three of the instance, nine of a counter in
//! base 62, and the three-character checksum that makes the id safe against case folding.
//! HubSpot: plain numbers, users by e-mail address, products by name. Nothing random: the
//! identifier of row n is the same for every seed, so that nights can be replayed.

use crate::options::Vendor;
use crate::text::push_integer;
use crate::vocabulary::{self, PRODUCTS};

/// What an identifier stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entity {
    Account,
    User,
    Deal,
    Lead,
    Task,
    Event,
    Product,
    LineItem,
    History,
    Campaign,
    RecordType,
    Ticket,
}

impl Entity {
    fn prefix(self) -> &'static [u8; 3] {
        match self {
            Self::Account => b"001",
            Self::User => b"005",
            Self::Deal => b"006",
            Self::Lead => b"00Q",
            Self::Task => b"00T",
            Self::Event => b"00U",
            Self::Product => b"01t",
            Self::LineItem => b"00k",
            Self::History => b"008",
            Self::Campaign => b"701",
            Self::RecordType => b"012",
            Self::Ticket => b"500",
        }
    }

    /// First number of the kind in HubSpot, where each object counts on its own.
    fn base(self) -> u64 {
        match self {
            Self::Account => 7_310_000_000,
            Self::Deal => 21_450_000_000,
            Self::Lead => 151_000_000,
            Self::Task | Self::Event => 55_020_000_000,
            Self::Ticket => 3_170_000_000,
            _ => 900_000_000,
        }
    }
}

/// Writes the identifier of the row `index` of an entity.
pub fn push_id(out: &mut Vec<u8>, vendor: Vendor, entity: Entity, index: u64) {
    match (vendor, entity) {
        (Vendor::Salesforce, _) => push_salesforce(out, entity.prefix(), index),
        (Vendor::Hubspot, Entity::User) => out.extend_from_slice(vocabulary::user_email(index).as_bytes()),
        (Vendor::Hubspot, Entity::Product) => {
            out.extend_from_slice(PRODUCTS[index as usize % PRODUCTS.len()].name.as_bytes());
        }
        (Vendor::Hubspot, Entity::Campaign) => {
            let campaigns = &vocabulary::CAMPAIGNS;
            out.extend_from_slice(campaigns[index as usize % campaigns.len()].name.as_bytes());
        }
        (Vendor::Hubspot, _) => push_integer(out, entity.base() + index),
    }
}

/// Writes the 18 characters of a Salesforce id.
fn push_salesforce(out: &mut Vec<u8>, prefix: &[u8; 3], index: u64) {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut id = *b"000Qy0000000000";
    id[..3].copy_from_slice(prefix);
    let mut rest = index;
    for position in (6..15).rev() {
        if rest == 0 {
            break;
        }
        id[position] = DIGITS[(rest % 62) as usize];
        rest /= 62;
    }
    out.extend_from_slice(&id);
    out.extend_from_slice(&checksum(&id));
}

/// The last three characters: one for each group of five, naming which of them are capitals.
fn checksum(id: &[u8; 15]) -> [u8; 3] {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
    let mut result = [0u8; 3];
    for (group, character) in result.iter_mut().enumerate() {
        let five = &id[group * 5..group * 5 + 5];
        let capitals = five
            .iter()
            .enumerate()
            .fold(0, |bits, (place, byte)| bits | (usize::from(byte.is_ascii_uppercase()) << place));
        *character = ALPHABET[capitals];
    }
    result
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn checksum_of_known_ids() {
        // Worked out by hand: which of each five characters are capitals, read from the right as a binary number.
        assert_eq!(&checksum(b"001000000000000"), b"AAA");
        assert_eq!(&checksum(b"0018000000OC8A5"), b"AAL");
        assert_eq!(&checksum(b"ABCDEABCDEABCDE"), b"555");
        assert_eq!(&checksum(b"aBcdeabcdEAbcde"), b"CQB");
    }

    #[test]
    fn ids_are_distinct_and_eighteen_long() {
        let mut seen = std::collections::HashSet::new();
        for index in (0..500).chain([10_000_000, u64::from(u32::MAX)]) {
            let mut out = Vec::new();
            push_id(&mut out, Vendor::Salesforce, Entity::Deal, index);
            assert_eq!(out.len(), 18);
            assert!(seen.insert(out.to_ascii_uppercase()), "id {index} differs only by case");
        }
    }
}
