//! What becomes of one canonical column: the part of a profile under `columns:`.
//!
//! Either a list of headers, or a table of keys (see the format in the parent module). This
//! module knows the keys and which of them make sense together; `plan` carries them out.

use std::collections::BTreeMap;

use dealframe_model::table::{ColumnType, Table};
use serde::de::{MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer};

use super::Profile;
use crate::coerce::identifier::Normalise;

/// What to do with a value that `map` does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unmapped {
    #[default]
    Keep,
    Null,
    Reject,
}

/// One rule: when all conditions hold, the value is `then`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Input or column, and the texts that count: `true`, a word, `*part*`, or `*` for any text at all.
    pub when: BTreeMap<String, Vec<String>>,
    pub then: String,
}

/// What a number is multiplied and divided by when all conditions hold; with neither it means nothing.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Factor {
    /// Input or column, and the texts that count, as in a rule.
    pub when: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    pub multiply: Option<i64>,
    #[serde(default)]
    pub divide: Option<i64>,
}

/// The mapping of one column.
#[derive(Debug, Clone, Default)]
pub struct ColumnMapping {
    pub from: Vec<String>,
    pub coalesce: bool,
    pub join: Vec<Vec<String>>,
    pub constant: Option<String>,
    pub default: Option<String>,
    pub map: BTreeMap<String, String>,
    pub unmapped: Unmapped,
    pub normalise: Option<Normalise>,
    pub percent: bool,
    pub multiply: Option<i64>,
    pub divide: Option<i64>,
    /// The first whose conditions hold; where none holds the column is empty.
    pub factors: Vec<Factor>,
    pub round: bool,
    pub rules: Vec<Rule>,
    pub key_of: Vec<String>,
    /// The value counts only where these conditions hold; elsewhere the column is empty.
    pub only_when: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    #[serde(default)]
    from: Vec<String>,
    #[serde(default)]
    coalesce: bool,
    #[serde(default)]
    join: Vec<Vec<String>>,
    #[serde(default)]
    constant: Option<String>,
    #[serde(default)]
    default: Option<String>,
    #[serde(default)]
    map: BTreeMap<String, String>,
    #[serde(default)]
    unmapped: Unmapped,
    #[serde(default)]
    normalise: Option<Normalise>,
    #[serde(default)]
    percent: bool,
    #[serde(default)]
    multiply: Option<i64>,
    #[serde(default)]
    divide: Option<i64>,
    #[serde(default)]
    factors: Vec<Factor>,
    #[serde(default)]
    round: bool,
    #[serde(default)]
    rules: Vec<Rule>,
    #[serde(default)]
    key_of: Vec<String>,
    #[serde(default)]
    only_when: BTreeMap<String, Vec<String>>,
}

impl<'de> Deserialize<'de> for ColumnMapping {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = ColumnMapping;

            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("a list of headers, or a table of keys such as from, map, constant")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ColumnMapping, E> {
                Ok(ColumnMapping { from: vec![text.to_owned()], ..ColumnMapping::default() })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<ColumnMapping, A::Error> {
                let mut from = Vec::new();
                while let Some(header) = items.next_element::<String>()? {
                    from.push(header);
                }
                Ok(ColumnMapping { from, ..ColumnMapping::default() })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ColumnMapping, A::Error> {
                let keys = Keys::deserialize(MapAccessDeserializer::new(map))?;
                Ok(ColumnMapping {
                    from: keys.from,
                    coalesce: keys.coalesce,
                    join: keys.join,
                    constant: keys.constant,
                    default: keys.default,
                    map: keys.map,
                    unmapped: keys.unmapped,
                    normalise: keys.normalise,
                    percent: keys.percent,
                    multiply: keys.multiply,
                    divide: keys.divide,
                    factors: keys.factors,
                    round: keys.round,
                    rules: keys.rules,
                    key_of: keys.key_of,
                    only_when: keys.only_when,
                })
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl ColumnMapping {
    /// What is wrong with it, if anything.
    pub fn problem(&self, profile: &Profile, kind: ColumnType, table: &Table) -> Option<String> {
        let sources = [
            !self.from.is_empty() || !self.join.is_empty() || !self.key_of.is_empty(),
            self.constant.is_some(),
            !self.rules.is_empty(),
        ];
        if sources.iter().filter(|given| **given).count() > 1 {
            return Some("from, constant and rules exclude each other".to_owned());
        }
        if !sources.iter().any(|given| *given) && self.default.is_none() {
            return Some("says neither from, constant, rules, key_of nor default".to_owned());
        }
        let textual = matches!(kind, ColumnType::Text | ColumnType::Category);
        if !textual && (!self.map.is_empty() || self.normalise.is_some() || !self.key_of.is_empty()) {
            return Some(format!("map, normalise and key_of need a text column, this one is {}", kind.name()));
        }
        if self.percent && kind != ColumnType::Fraction {
            return Some("percent needs a fraction column".to_owned());
        }
        let numeric = matches!(kind, ColumnType::Integer | ColumnType::Money | ColumnType::Fraction | ColumnType::Rate);
        let scaled = self.multiply.is_some() || self.divide.is_some();
        if !numeric && (scaled || !self.factors.is_empty()) {
            return Some("multiply, divide and factors need a number column".to_owned());
        }
        if scaled && !self.factors.is_empty() {
            return Some("factors stand instead of multiply and divide".to_owned());
        }
        let numbers = self.factors.iter().flat_map(|factor| [factor.multiply, factor.divide]);
        if numbers.chain([self.multiply, self.divide]).any(|number| number == Some(0)) {
            return Some("multiply and divide must not be 0".to_owned());
        }
        let rules = self.rules.iter().flat_map(|rule| rule.when.keys());
        let factors = self.factors.iter().flat_map(|factor| factor.when.keys());
        for condition in rules.chain(factors).chain(self.only_when.keys()) {
            let known = profile.inputs.contains_key(condition) || profile.columns.contains_key(condition);
            if !known {
                return Some(format!("the rule looks at {condition:?}, which is neither an input nor a column"));
            }
        }
        self.key_of
            .iter()
            .find(|name| table.column(name).is_none())
            .map(|name| format!("key_of names {name:?}, which the table does not have"))
    }
}
