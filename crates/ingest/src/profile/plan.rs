//! A profile applied to the header of one file: which field feeds which column.
//!
//! Everything that can be decided once per file is decided here, so that `convert` only
//! copies and coerces. Every field of the file is either fed to a column or listed in
//! `extra`; none is forgotten.

use std::collections::BTreeMap;
use std::sync::Arc;

use dealframe_model::table::{Column, ColumnType, Table};
use dealframe_model::vocabulary::{self, Vocabulary};
use hashbrown::HashMap;

use super::Profile;
use super::header::Headers;
use super::mapping::{ColumnMapping, Unmapped};
use crate::coerce::date::DateOrder;
use crate::coerce::identifier::Normalise;
use crate::coerce::number::Form;
use crate::coerce::{boolean, trim};

/// Where the value of a column comes from.
#[derive(Debug, Clone)]
pub enum Feed {
    Nothing,
    Field(usize),
    /// The first field that is not empty.
    FirstOf(Vec<usize>),
    /// Fields that are not empty, with a blank between.
    Join(Vec<usize>),
    Constant(Vec<u8>),
    Rules(Vec<PlannedRule>),
    /// Made from other columns of the table, by position, once the row is complete.
    KeyOf(Vec<usize>),
    SourceSystem,
    Batch,
    File,
    Line,
    Extra,
}

/// A rule whose inputs the file has.
#[derive(Debug, Clone)]
pub struct PlannedRule {
    pub conditions: Vec<Condition>,
    pub then: Vec<u8>,
}

/// A factor whose inputs the file has.
#[derive(Debug, Clone)]
pub struct PlannedFactor {
    pub conditions: Vec<Condition>,
    /// What to multiply and divide by; `None`: the value means nothing to the column.
    pub factor: Option<Scale>,
}

/// What a number is multiplied and then divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    pub multiply: i64,
    pub divide: i64,
}

/// The texts of one field that count.
#[derive(Debug, Clone)]
pub struct Condition {
    pub field: usize,
    pub texts: Vec<Pattern>,
}

/// One text of a condition.
#[derive(Debug, Clone)]
pub enum Pattern {
    Boolean(bool),
    Any,
    Exactly(String),
    StartsWith(String),
    Contains(String),
}

impl Pattern {
    fn new(text: &str) -> Self {
        if text == "*" {
            return Self::Any;
        }
        if text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false") {
            return Self::Boolean(text.eq_ignore_ascii_case("true"));
        }
        let lower = text.to_lowercase();
        match (lower.strip_prefix('*'), lower.strip_suffix('*')) {
            (Some(rest), Some(_)) => Self::Contains(rest.trim_end_matches('*').to_owned()),
            (None, Some(start)) => Self::StartsWith(start.to_owned()),
            _ => Self::Exactly(lower),
        }
    }

    fn holds(&self, cell: &[u8]) -> bool {
        match self {
            Self::Boolean(wanted) => boolean::parse(cell) == Some(*wanted),
            Self::Any => !cell.is_empty(),
            Self::Exactly(text) => {
                cell.len() == text.len() && cell.is_ascii() && cell.eq_ignore_ascii_case(text.as_bytes())
                    || (!cell.is_ascii() && lower(cell) == *text)
            }
            Self::StartsWith(text) => lower(cell).starts_with(text.as_str()),
            Self::Contains(text) => lower(cell).contains(text.as_str()),
        }
    }
}

fn lower(cell: &[u8]) -> String {
    String::from_utf8_lossy(cell).to_lowercase()
}

impl PlannedRule {
    /// Whether all conditions hold for a record, given by its cells.
    pub fn holds<'a>(&self, cell: impl Fn(usize) -> &'a [u8]) -> bool {
        self.conditions.iter().all(|condition| condition.holds(trim(cell(condition.field))))
    }
}

impl Condition {
    /// Whether the text is one of those that count.
    pub fn holds(&self, text: &[u8]) -> bool {
        self.texts.iter().any(|pattern| pattern.holds(text))
    }
}

/// One column of the table and how to fill it.
#[derive(Debug, Clone)]
pub struct PlannedColumn {
    pub column: &'static Column,
    pub feed: Feed,
    pub default: Option<Vec<u8>>,
    pub only_when: Vec<Condition>,
    /// Lower-case text and what it becomes.
    pub map: HashMap<String, String>,
    pub unmapped: Unmapped,
    /// The words that have a meaning here.
    pub vocabulary: Option<Vocabulary>,
    pub normalise: Option<Normalise>,
    pub percent: bool,
    pub multiply: i64,
    pub divide: i64,
    /// The first whose conditions hold replaces `multiply` and `divide`; where none holds there is no value.
    pub factors: Vec<PlannedFactor>,
    pub order: Option<DateOrder>,
    pub form: Form,
    /// The column was decided without evidence in a file that may write decimal commas: a number that can be
    /// read both ways asks for a look at the whole file.
    pub wary: bool,
}

impl PlannedColumn {
    /// The fields that are read as this column's type.
    pub fn fields(&self) -> &[usize] {
        match &self.feed {
            Feed::Field(field) => std::slice::from_ref(field),
            Feed::FirstOf(fields) => fields,
            _ => &[],
        }
    }
}

/// A wide column that holds the instant at which a deal entered a stage.
#[derive(Debug, Clone)]
pub struct StageDate {
    pub field: usize,
    pub stage: String,
    pub order: Option<DateOrder>,
}

/// What to do with every field of one file.
#[derive(Debug, Clone)]
pub struct Plan {
    pub profile: Arc<Profile>,
    pub table: &'static Table,
    pub source_system: String,
    pub headers: Vec<String>,
    pub columns: Vec<PlannedColumn>,
    /// Fields without a canonical home, with their name as a JSON string.
    pub extra: Vec<(usize, String)>,
    pub stage_dates: Vec<StageDate>,
    pub nulls: Vec<Vec<u8>>,
    pub sentinels: Vec<Vec<u8>>,
}

impl Plan {
    /// Applies a profile to a header. The profile must have been found to fit (`detect`).
    pub fn new(profile: &Arc<Profile>, table: &'static Table, headers: &Headers, source_system: &str) -> Self {
        let mut used = vec![false; headers.names.len()];
        let mut columns: Vec<PlannedColumn> =
            table.columns().map(|column| planned(profile, table, column, headers, &mut used)).collect();
        take_currency_from_header(&mut columns, headers, &used);
        let stage_dates = stage_dates(profile, headers, &used);
        for stage_date in &stage_dates {
            used[stage_date.field] = true;
        }
        let extra = headers
            .names
            .iter()
            .enumerate()
            .filter(|(position, _)| !used[*position])
            .map(|(position, name)| (position, json_string(name)))
            .collect();
        let bytes = |texts: &[String]| texts.iter().map(|text| text.clone().into_bytes()).collect();
        Self {
            profile: Arc::clone(profile),
            table,
            source_system: source_system.to_owned(),
            headers: headers.names.clone(),
            columns,
            extra,
            stage_dates,
            nulls: bytes(&profile.nulls),
            sentinels: bytes(&profile.sentinels),
        }
    }

    /// Header and column of everything that is mapped.
    pub fn mapped(&self) -> Vec<(String, String)> {
        let mut out = Vec::new();
        for planned in &self.columns {
            let fields: Vec<usize> = match &planned.feed {
                Feed::Field(field) => vec![*field],
                Feed::FirstOf(fields) | Feed::Join(fields) => fields.clone(),
                Feed::Rules(rules) => {
                    let mut fields: Vec<usize> =
                        rules.iter().flat_map(|rule| rule.conditions.iter().map(|c| c.field)).collect();
                    fields.sort_unstable();
                    fields.dedup();
                    fields
                }
                _ => vec![],
            };
            out.extend(fields.into_iter().map(|field| (self.headers[field].clone(), planned.column.name.to_owned())));
        }
        out.extend(self.stage_dates.iter().map(|date| (self.headers[date.field].clone(), "stage_changes".to_owned())));
        out
    }

    /// Headers that go to `extra`.
    pub fn unmapped(&self) -> Vec<String> {
        self.extra.iter().map(|(field, _)| self.headers[*field].clone()).collect()
    }
}

fn planned(
    profile: &Profile,
    table: &'static Table,
    column: &'static Column,
    headers: &Headers,
    used: &mut [bool],
) -> PlannedColumn {
    let empty = ColumnMapping::default();
    let mapping = profile.columns.get(column.name).unwrap_or(&empty);
    let feed = match column.name {
        "batch_id" => Feed::Batch,
        "source_file" => Feed::File,
        "source_line" => Feed::Line,
        "extra" => Feed::Extra,
        "source_system" if mapping.from.is_empty() => Feed::SourceSystem,
        _ => feed(profile, table, mapping, headers),
    };
    // A field of which the column may hold only a part, or nothing, stays in `extra` as well.
    let partial = !mapping.only_when.is_empty()
        || !mapping.factors.is_empty()
        || matches!(mapping.normalise, Some(Normalise::Domain | Normalise::FirstOfList));
    match &feed {
        Feed::Field(_) if partial => {}
        Feed::Field(field) => used[*field] = true,
        Feed::FirstOf(fields) => used[fields[0]] = true,
        Feed::Join(fields) => fields.iter().for_each(|field| used[*field] = true),
        Feed::Rules(rules) => {
            // What a rule reads is kept in `extra` unless a column holds it, except plain yes-or-no inputs.
            for condition in rules.iter().flat_map(|rule| &rule.conditions) {
                if condition.texts.iter().all(|text| matches!(text, Pattern::Boolean(_))) {
                    used[condition.field] = true;
                }
            }
        }
        _ => {}
    }
    let factors: Vec<PlannedFactor> =
        mapping.factors.iter().filter_map(|factor| planned_factor(profile, factor, headers)).collect();
    // Without the inputs no factor is known, and a number without its factor means nothing.
    let feed = if factors.is_empty() && !mapping.factors.is_empty() { Feed::Nothing } else { feed };
    let (feed, only_when) = match conditions(profile, &mapping.only_when, headers) {
        Some(conditions) => (feed, conditions),
        None => (Feed::Nothing, Vec::new()),
    };
    let scale = column.kind.scale().map_or(0, u32::from);
    PlannedColumn {
        column,
        feed: if matches!(feed, Feed::Nothing) && column.name == "source_system" { Feed::SourceSystem } else { feed },
        default: mapping.default.as_ref().map(|text| text.clone().into_bytes()),
        only_when,
        map: mapping.map.iter().map(|(from, to)| (from.trim().to_lowercase(), to.clone())).collect(),
        unmapped: mapping.unmapped,
        vocabulary: vocabulary::vocabulary(table.name, column.name),
        normalise: mapping.normalise.or(vocabulary::is_currency(column.name).then_some(Normalise::Currency)),
        percent: mapping.percent,
        multiply: mapping.multiply.unwrap_or(1),
        divide: mapping.divide.unwrap_or(1),
        factors,
        order: None,
        form: Form { scale, round: mapping.round, ..Form::default() },
        wary: false,
    }
}

fn feed(profile: &Profile, table: &'static Table, mapping: &ColumnMapping, headers: &Headers) -> Feed {
    let prefixes = &profile.strip_prefixes;
    if let Some(text) = &mapping.constant {
        return Feed::Constant(text.clone().into_bytes());
    }
    if !mapping.rules.is_empty() {
        return Feed::Rules(mapping.rules.iter().filter_map(|rule| planned_rule(profile, rule, headers)).collect());
    }
    let mut fields: Vec<usize> = mapping.from.iter().filter_map(|alias| headers.find(alias, prefixes)).collect();
    let mut seen = Vec::new();
    fields.retain(|field| {
        let new = !seen.contains(field);
        seen.push(*field);
        new
    });
    match fields.as_slice() {
        [] => {}
        [only] => return Feed::Field(*only),
        [first, ..] if !mapping.coalesce => return Feed::Field(*first),
        _ => return Feed::FirstOf(fields),
    }
    if !mapping.key_of.is_empty() {
        let position = |name: &String| table.columns().position(|column| column.name == name);
        return Feed::KeyOf(mapping.key_of.iter().filter_map(position).collect());
    }
    let parts: Vec<usize> = mapping.join.iter().filter_map(|aliases| headers.first(aliases, prefixes)).collect();
    if parts.is_empty() { Feed::Nothing } else { Feed::Join(parts) }
}

/// `None` when the file lacks an input of the rule: such a rule cannot hold.
fn planned_rule(profile: &Profile, rule: &super::mapping::Rule, headers: &Headers) -> Option<PlannedRule> {
    let conditions = conditions(profile, &rule.when, headers)?;
    Some(PlannedRule { conditions, then: rule.then.clone().into_bytes() })
}

/// `None` when the file lacks an input of the factor: it cannot hold.
fn planned_factor(profile: &Profile, factor: &super::mapping::Factor, headers: &Headers) -> Option<PlannedFactor> {
    let conditions = conditions(profile, &factor.when, headers)?;
    let means_something = factor.multiply.is_some() || factor.divide.is_some();
    let scale = Scale { multiply: factor.multiply.unwrap_or(1), divide: factor.divide.unwrap_or(1) };
    Some(PlannedFactor { conditions, factor: means_something.then_some(scale) })
}

fn conditions(profile: &Profile, wanted: &BTreeMap<String, Vec<String>>, headers: &Headers) -> Option<Vec<Condition>> {
    let mut out = Vec::new();
    for (name, texts) in wanted {
        let column_aliases = profile.columns.get(name).map(|mapping| &mapping.from);
        let aliases = profile.inputs.get(name).or(column_aliases)?;
        let field = headers.first(aliases, &profile.strip_prefixes)?;
        out.push(Condition { field, texts: texts.iter().map(|text| Pattern::new(text)).collect() });
    }
    Some(out)
}

fn take_currency_from_header(columns: &mut [PlannedColumn], headers: &Headers, used: &[bool]) {
    let Some((_, currency)) = headers.currencies.iter().find(|(position, _)| used[*position]) else { return };
    for planned in columns.iter_mut().filter(|planned| planned.column.name == "currency") {
        if matches!(planned.feed, Feed::Nothing) {
            planned.feed = Feed::Constant(currency.clone().into_bytes());
        }
    }
}

fn stage_dates(profile: &Profile, headers: &Headers, used: &[bool]) -> Vec<StageDate> {
    let mut out = Vec::new();
    for (field, name) in headers.names.iter().enumerate() {
        if used[field] {
            continue;
        }
        if let Some(stage) = profile.stage_dates.iter().find_map(|pattern| stage_in(pattern, name)) {
            out.push(StageDate { field, stage, order: None });
        }
    }
    out
}

/// The stage that a header such as `Date entered "Closed Won (Sales Pipeline)"` names.
fn stage_in(pattern: &str, header: &str) -> Option<String> {
    let (before, rest) = pattern.split_once("{stage}")?;
    let inner = header.get(..before.len()).filter(|start| start.eq_ignore_ascii_case(before))?;
    let after_start = &header[inner.len()..];
    let (between, after) = rest.split_once("{pipeline}").unwrap_or((rest, ""));
    let body = after_start.strip_suffix(after)?;
    if rest.contains("{pipeline}") {
        body.rsplit_once(between).map(|(stage, _)| stage.trim().to_owned())
    } else {
        body.strip_suffix(between).map(|stage| stage.trim().to_owned())
    }
}

/// A text as JSON writes it, with its quotes.
pub fn json_string(text: &str) -> String {
    serde_json::Value::String(text.to_owned()).to_string()
}

/// Whether a column holds dates or instants.
pub fn is_temporal(kind: ColumnType) -> bool {
    matches!(kind, ColumnType::Date | ColumnType::Timestamp)
}

/// Whether a column holds numbers with decimals.
pub fn is_numeric(kind: ColumnType) -> bool {
    matches!(kind, ColumnType::Money | ColumnType::Fraction | ColumnType::Rate | ColumnType::Integer)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn stages_in_headers() {
        let with = "Date entered \"{stage} ({pipeline})\"";
        let without = "Date entered \"{stage}\"";
        assert_eq!(stage_in(with, "Date entered \"Closed Won (Sales Pipeline)\""), Some("Closed Won".to_owned()));
        assert_eq!(stage_in(without, "date entered \"Proposal\""), Some("Proposal".to_owned()));
        assert_eq!(stage_in(with, "Date exited \"Proposal (P)\""), None);
    }
}
