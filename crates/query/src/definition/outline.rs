//! YAML as a tree that knows its lines and columns.
//!
//! serde forgets where a value stood as soon as it looks ahead for a tag, as it does for the
//! kinds of computations. This tree is made of the same text and keeps the place of every key
//! and value. It is made for files of the user's, and where something is wrong. Nothing here
//! knows definitions.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

/// A place in a file: line and column, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: u64,
    pub column: u64,
}

/// The place in a YAML text of the value at a path such as `sections.0.grain`, or of the deepest part of the path that
/// exists; nothing where the text is no YAML.
pub fn place_of(text: &str, path: &str) -> Option<Place> {
    serde_saphyr::from_str::<Node>(text).ok().map(|node| node.place_of(path))
}

impl From<Location> for Place {
    fn from(location: Location) -> Self {
        Self { line: location.line(), column: location.column() }
    }
}

/// A value and where it begins.
#[derive(Debug)]
pub(super) struct Node {
    pub place: Place,
    pub value: Value,
}

#[derive(Debug)]
pub(super) enum Value {
    Null,
    Boolean(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key, where it stands, and its value.
#[derive(Debug)]
pub(super) struct Entry {
    pub key: String,
    pub place: Place,
    pub node: Node,
}

impl Entry {
    /// Where a fault of this field is to be looked for: at its value, or at its key where the value is a block or nothing.
    pub(super) fn at(&self) -> Place {
        match self.node.value {
            Value::Null | Value::List(_) | Value::Map(_) => self.place,
            _ => self.node.place,
        }
    }
}

impl Node {
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// The place of the value at a path of keys and positions, or of the deepest part of the path that exists.
    pub(super) fn place_of(&self, path: &str) -> Place {
        let (mut node, mut place) = (self, self.place);
        for step in path.split('.') {
            if let Some(entry) = node.entry(step) {
                (node, place) = (&entry.node, entry.at());
            } else if let (Value::List(items), Ok(position)) = (&node.value, step.parse::<usize>())
                && let Some(item) = items.get(position)
            {
                (node, place) = (item, item.place);
            } else {
                break;
            }
        }
        place
    }

    /// As a person would call it in a message.
    pub(super) fn shown(&self) -> String {
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Boolean(value) => format!("`{value}`"),
            Value::Integer(value) => format!("`{value}`"),
            // With its point: 1e3 is no whole number.
            Value::Float(value) => format!("`{value:?}`"),
            Value::Text(text) => format!("`{text}`"),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a block of fields".to_owned(),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self { place: spanned.referenced.into(), value: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("YAML")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Boolean(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<Value, E> {
        Ok(Value::Integer(value))
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<Value, E> {
        Ok(Value::Integer(i128::try_from(value).unwrap_or(i128::MAX)))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some((key, node)) = entries.next_entry::<Spanned<String>, Node>()? {
            map.push(Entry { place: key.referenced.into(), key: key.value, node });
        }
        Ok(Value::Map(map))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn paths_lead_to_places() {
        let text = "a: 1\nb:\n  - c: 2\n  - c:   3\n    d:\n      e: x\n      f:\n";
        let node: Node = serde_saphyr::from_str(text).unwrap();
        // A value that is none, or is a block, is told at its key.
        for (path, line, column) in [
            ("a", 1, 4),
            ("b", 2, 1),
            ("b.0", 3, 5),
            ("b.1.c", 4, 10),
            ("b.1.d.e", 6, 10),
            ("b.1.d.f", 7, 7),
            ("b.1.d.z", 5, 5),
            ("z", 1, 1),
        ] {
            assert_eq!(node.place_of(path), Place { line, column }, "{path}");
        }
    }
}
