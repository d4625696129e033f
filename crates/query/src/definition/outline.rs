//! YAML as a tree that knows its lines.
//!
//! serde forgets where a value stood as soon as it looks ahead for a tag, as it does for the
//! kinds of computations. This tree is made of the same text and keeps the line of every key
//! and value. It is only made when something is wrong. Nothing here knows definitions.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// A value and the line in which it begins.
#[derive(Debug)]
pub(super) struct Node {
    pub line: u64,
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

/// A key, the line in which it stands, and its value.
#[derive(Debug)]
pub(super) struct Entry {
    pub key: String,
    pub line: u64,
    pub node: Node,
}

impl Node {
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// The line of the key at a path of keys and positions, or of the deepest part of the path that exists.
    pub(super) fn line_of(&self, path: &str) -> u64 {
        let (mut node, mut line) = (self, self.line);
        for step in path.split('.') {
            if let Some(entry) = node.entry(step) {
                (node, line) = (&entry.node, entry.line);
            } else if let (Value::List(items), Ok(position)) = (&node.value, step.parse::<usize>())
                && let Some(item) = items.get(position)
            {
                (node, line) = (item, item.line);
            } else {
                break;
            }
        }
        line
    }

    /// As a person would call it in a message.
    pub(super) fn shown(&self) -> String {
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Boolean(value) => format!("`{value}`"),
            Value::Integer(value) => format!("`{value}`"),
            Value::Float(value) => format!("`{value}`"),
            Value::Text(text) => format!("`{text}`"),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a block of fields".to_owned(),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self { line: spanned.referenced.line(), value: spanned.value })
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
            map.push(Entry { line: key.referenced.line(), key: key.value, node });
        }
        Ok(Value::Map(map))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn paths_lead_to_lines() {
        let node: Node = serde_saphyr::from_str("a: 1\nb:\n  - c: 2\n  - c: 3\n    d:\n      e: x\n").unwrap();
        for (path, line) in [("a", 1), ("b", 2), ("b.0", 3), ("b.1.c", 4), ("b.1.d.e", 6), ("b.1.d.z", 5), ("z", 1)] {
            assert_eq!(node.line_of(path), line, "{path}");
        }
    }
}
