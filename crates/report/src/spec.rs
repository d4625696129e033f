//! Report specifications: what a YAML file says about a report, checked and placed.
//!
//! Whatever a specification cannot say is refused with file, line and column, and with the name
//! of its section. Periods in words and names of KPIs and segments are resolved by
//! `dealframe-query` when the report runs, because they depend on the lake.

use std::path::Path;

use dealframe_model::calendar::{Calendar, Grain};
use dealframe_model::date;
use dealframe_model::kpi::Base;
use dealframe_model::yaml::{self, Complaint};
use dealframe_query::QueryError;
use dealframe_query::request::{RateKind, Request, Settings};
use dealframe_query::{Place, place_of};
use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};

use crate::ReportError;
use crate::chart::Kind;
use crate::document::Columns;

/// A report as its author wrote it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    pub title: String,
    #[serde(default)]
    pub description: Option<String>,
    /// Range of the sections that name none of their own.
    #[serde(default)]
    pub period: Option<String>,
    #[serde(default)]
    pub from: Option<String>,
    #[serde(default)]
    pub to: Option<String>,
    #[serde(default)]
    pub as_of: Option<String>,
    #[serde(default)]
    pub currency: Option<String>,
    #[serde(default)]
    pub rate_kind: Option<String>,
    #[serde(default)]
    pub calendar: Option<Calendar>,
    #[serde(default)]
    pub headline: Option<Headline>,
    /// What is written; all of it where nothing is said.
    #[serde(default = "every_output", deserialize_with = "one_or_many_outputs")]
    pub formats: Vec<Output>,
    pub sections: Vec<SectionSpec>,
    #[serde(skip)]
    pub(crate) source: Source,
}

/// Where a specification was read, so that what is wrong with it can be told by its place.
#[derive(Debug, Clone, Default)]
pub(crate) struct Source {
    file: String,
    text: String,
}

impl Source {
    /// The place of the value at a path, or of the deepest part of the path that exists.
    pub(crate) fn place(&self, path: &str) -> Place {
        place_of(&self.text, path).unwrap_or(Place { line: 1, column: 1 })
    }

    /// Refuses what stands at a path of the specification.
    pub(crate) fn refuse(&self, at: &At, reason: String, hint: String) -> ReportError {
        let Place { line, column } = self.place(&at.path);
        let place = format!("{}:{line}:{column}", self.file);
        ReportError::Spec { place, part: at.part.clone(), reason, hint }
    }

    /// The place in a part of the specification (`headline`, `sections.0`) for which there is no answer.
    pub(crate) fn place_of_failure(&self, part: &str, error: &ReportError) -> Place {
        let below = |key: &str| self.place(&format!("{part}.{key}"));
        match error {
            ReportError::Query(QueryError::UnknownKpi { .. }) => below("kpis"),
            ReportError::Query(QueryError::UnknownSegment { .. }) => below("by"),
            ReportError::Query(QueryError::UnknownColumn { .. } | QueryError::Expression { .. }) => below("where"),
            ReportError::Query(QueryError::Period { .. }) => {
                // The section's own range, or that of the report.
                let (own, whole) = (["period", "from", "to"].map(below), self.place(part));
                own.into_iter().find(|place| *place != whole).unwrap_or_else(|| self.place("period"))
            }
            _ => self.place(part),
        }
    }
}

/// A part of a specification: its path in the file, and its name for people.
pub(crate) struct At {
    path: String,
    part: String,
}

impl At {
    /// A key outside the sections.
    pub(crate) fn key(path: &str) -> Self {
        Self { path: path.to_owned(), part: path.to_owned() }
    }

    /// A key of section `index`.
    fn section(index: usize, title: &str, key: &str) -> Self {
        Self { path: format!("sections.{index}.{key}"), part: format!("section `{title}`") }
    }
}

/// What a report can be written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// One file per section.
    Csv,
    Json,
    Markdown,
    Html,
}

pub(crate) fn every_output() -> Vec<Output> {
    vec![Output::Csv, Output::Json, Output::Markdown, Output::Html]
}

fn one_or_many_outputs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Output>, D::Error> {
    let known = [("csv", Output::Csv), ("json", Output::Json), ("markdown", Output::Markdown), ("html", Output::Html)];
    let read = |name: String| {
        let found = known.iter().find(|(known, _)| *known == name).map(|(_, output)| *output);
        let names = known.map(|(known, _)| known).join(", ");
        found.ok_or_else(|| de::Error::custom(format!("unknown format `{name}`, expected one of {names}")))
    };
    one_or_many(deserializer)?.into_iter().map(read).collect()
}

/// The tiles at the top.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Headline {
    #[serde(deserialize_with = "one_or_many")]
    pub kpis: Vec<String>,
    #[serde(default = "month")]
    pub grain: String,
}

fn month() -> String {
    "month".to_owned()
}

/// One section.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SectionSpec {
    pub title: String,
    #[serde(default)]
    pub text: Option<String>,
    #[serde(deserialize_with = "one_or_many")]
    pub kpis: Vec<String>,
    #[serde(default, deserialize_with = "one_or_many")]
    pub by: Vec<String>,
    #[serde(default, alias = "grains", deserialize_with = "one_or_many")]
    pub grain: Vec<String>,
    #[serde(default)]
    pub period: Option<String>,
    #[serde(default)]
    pub from: Option<String>,
    #[serde(default)]
    pub to: Option<String>,
    /// Not split at commas: an expression may hold some.
    #[serde(default, rename = "where", deserialize_with = "one_or_many_whole")]
    pub filters: Vec<String>,
    #[serde(default)]
    pub compare: Option<String>,
    #[serde(default)]
    pub top: Option<i64>,
    #[serde(default)]
    pub sparse: bool,
    #[serde(default)]
    pub chart: Kind,
    #[serde(default)]
    pub columns: Columns,
}

/// Reads a specification.
///
/// # Errors
/// When the file cannot be read or says something that no report has.
pub fn read(path: &Path) -> Result<Spec, ReportError> {
    let text = std::fs::read_to_string(path).map_err(|source| ReportError::Io { path: path.to_owned(), source })?;
    parse(&text, &path.display().to_string())
}

/// Reads a specification from a text; `file` is the name in errors.
///
/// # Errors
/// As [`read`].
pub fn parse(text: &str, file: &str) -> Result<Spec, ReportError> {
    let mut spec: Spec = serde_saphyr::from_str(text).map_err(|error| {
        let Complaint { line, column, reason, hint } = yaml::complaint(&error, text);
        ReportError::Syntax { file: file.to_owned(), line, column, reason, hint }
    })?;
    spec.source = Source { file: file.to_owned(), text: text.to_owned() };
    check(&spec)?;
    Ok(spec)
}

fn check(spec: &Spec) -> Result<(), ReportError> {
    let source = &spec.source;
    let fail = |at: &At, reason: &str, hint: &str| Err(source.refuse(at, reason.to_owned(), hint.to_owned()));
    if spec.sections.is_empty() {
        return fail(
            &At::key("sections"),
            "a report needs at least one section",
            "add `sections: [{title: Revenue, kpis: revenue, grain: month}]`",
        );
    }
    if spec.formats.is_empty() {
        let hint = "name some of csv, json, markdown and html, or leave it out for all of them";
        return fail(&At::key("formats"), "it names no format", hint);
    }
    let month = spec.calendar.map_or(1, |calendar| calendar.fiscal_start_month);
    if !(1..=12).contains(&month) {
        let at = At::key("calendar.fiscal_start_month");
        return fail(&at, &format!("it is {month}"), "give a month from 1 to 12");
    }
    spec.settings(&Settings::default())?;
    if let Some(headline) = &spec.headline {
        if headline.kpis.is_empty() {
            return fail(&At::key("headline.kpis"), "it names no KPI", "`dealframe kpis` lists every KPI");
        }
        grain(&headline.grain, source, &At::key("headline.grain"))?;
    }
    for (index, section) in spec.sections.iter().enumerate() {
        let at = |key: &str| section.at(index, key);
        if section.kpis.is_empty() {
            return fail(&at("kpis"), "it names no KPI", "`dealframe kpis` lists every KPI");
        }
        section.request(source, index)?;
        if section.period.is_some() && (section.from.is_some() || section.to.is_some()) {
            return fail(&at("period"), "it has a period and from or to", "give one or the other");
        }
        for (key, text) in [("from", &section.from), ("to", &section.to)] {
            text.as_ref().map_or(Ok(0), |text| day(text, source, &at(key)))?;
        }
    }
    for (key, text) in [("from", &spec.from), ("to", &spec.to)] {
        text.as_ref().map_or(Ok(0), |text| day(text, source, &At::key(key)))?;
    }
    Ok(())
}

/// Reads a day; `at` says where it stands.
pub(crate) fn day(text: &str, source: &Source, at: &At) -> Result<i32, ReportError> {
    let hint = || "write dates as 2024-12-31".to_owned();
    date::parse(text.trim()).ok_or_else(|| source.refuse(at, format!("`{text}` is no date"), hint()))
}

/// A number of segment values, as the command line takes it.
fn top(number: i64, source: &Source, at: &At) -> Result<u32, ReportError> {
    let hint = || "give a number from 1 up, or leave `top` out to show every value".to_owned();
    let found = u32::try_from(number).ok().filter(|number| *number > 0);
    found.ok_or_else(|| source.refuse(at, format!("`top` is `{number}`, and there is nothing to show"), hint()))
}

pub(crate) fn grain(name: &str, source: &Source, at: &At) -> Result<Grain, ReportError> {
    let hint = || format!("grains: {}", Grain::EVERY.map(Grain::name).join(", "));
    Grain::from_name(name).ok_or_else(|| source.refuse(at, format!("unknown grain `{name}`"), hint()))
}

impl Spec {
    /// The settings under which this report is answered; what the command line says outranks the file.
    pub(crate) fn settings(&self, command_line: &Settings) -> Result<Settings, ReportError> {
        let mut settings = command_line.clone();
        if let (None, Some(as_of)) = (settings.as_of, &self.as_of) {
            settings.as_of = Some(day(as_of, &self.source, &At::key("as_of"))?);
        }
        if settings.currency.is_none() {
            settings.currency.clone_from(&self.currency);
        }
        if settings.calendar == Calendar::default() {
            settings.calendar = self.calendar.unwrap_or_default();
        }
        if let Some(kind) = &self.rate_kind {
            let kinds = [RateKind::Spot, RateKind::Average, RateKind::Plan];
            let found = kinds.into_iter().find(|known| known.name() == kind).ok_or_else(|| {
                let hint = "rate kinds: spot, average, plan".to_owned();
                self.source.refuse(&At::key("rate_kind"), format!("unknown rate kind `{kind}`"), hint)
            })?;
            if settings.rate_kind == RateKind::default() {
                settings.rate_kind = found;
            }
        }
        Ok(settings)
    }
}

impl SectionSpec {
    /// A key of this section, which is the one at `index`.
    pub(crate) fn at(&self, index: usize, key: &str) -> At {
        At::section(index, &self.title, key)
    }

    /// The question, its range still open.
    pub(crate) fn request(&self, source: &Source, index: usize) -> Result<Request, ReportError> {
        let compare = match self.compare.as_deref() {
            None => None,
            Some("previous") => Some(Base::Previous),
            Some("year-ago") => Some(Base::YearAgo),
            Some(other) => {
                let hint = "compare with previous or year-ago".to_owned();
                return Err(source.refuse(&self.at(index, "compare"), format!("cannot compare with `{other}`"), hint));
            }
        };
        let singular = self.at(index, "grain");
        let plural = self.at(index, "grains");
        // The key that is there lies deeper than the section.
        let grains = if source.place(&plural.path) > source.place(&singular.path) { plural } else { singular };
        Ok(Request {
            kpis: self.kpis.clone(),
            by: self.by.clone(),
            grains: self.grain.iter().map(|name| grain(name, source, &grains)).collect::<Result<_, _>>()?,
            from: None,
            to: None,
            filters: self.filters.clone(),
            compare,
            top: self.top.map(|number| top(number, source, &self.at(index, "top"))).transpose()?,
            sparse: self.sparse,
            interval: false,
        })
    }
}

/// `a`, `a, b` or `[a, b]`.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let texts = deserializer.deserialize_any(Texts)?;
    Ok(texts
        .iter()
        .flat_map(|text| text.split(','))
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
        .collect())
}

/// One text or a list of texts, each whole.
fn one_or_many_whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    deserializer.deserialize_any(Texts)
}

struct Texts;

impl<'de> Visitor<'de> for Texts {
    type Value = Vec<String>;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a text or a list of texts")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(vec![text.to_owned()])
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut texts = Vec::new();
        while let Some(text) = list.next_element()? {
            texts.push(text);
        }
        Ok(texts)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn error(text: &str) -> String {
        let error = parse(text, "r.yaml").unwrap_err();
        assert!(error.hint().is_some() && error.is_user_fault());
        error.to_string()
    }

    #[test]
    fn reads_lists_in_every_spelling() {
        let text = "title: T\nas_of: 2017-12-31\nsections:\n  - title: A\n    kpis: revenue, win_rate\n    by: [region]\n    \
                    grain: month\n    where: region in ('East', 'West')\n    compare: year-ago\n    chart: line\n";
        let spec = parse(text, "r.yaml").unwrap();
        let request = spec.sections[0].request(&spec.source, 0).unwrap();
        assert_eq!(request.kpis, ["revenue", "win_rate"]);
        assert_eq!(request.by, ["region"]);
        assert_eq!(request.grains, [Grain::Month]);
        assert_eq!(request.filters, ["region in ('East', 'West')"]);
        assert_eq!(request.compare, Some(Base::YearAgo));
        assert_eq!(spec.sections[0].chart, Kind::Line);
        assert_eq!(spec.settings(&Settings::default()).unwrap().as_of, date::parse("2017-12-31"));
    }

    #[test]
    fn the_command_line_outranks_the_file() {
        let spec = parse("title: T\nas_of: 2017-12-31\nsections: [{title: A, kpis: revenue}]", "r.yaml").unwrap();
        let settings = Settings { as_of: Some(1), ..Settings::default() };
        assert_eq!(spec.settings(&settings).unwrap().as_of, Some(1));
    }

    #[test]
    fn errors_say_where() {
        let unknown = error("title: T\nsections:\n  - title: A\n    kpis: revenue\n    colour: red\n");
        assert!(unknown.starts_with("r.yaml:5:") && unknown.contains("colour"), "{unknown}");
        assert!(error("title: T\n").contains("sections"));
        assert!(error("title: [\n").starts_with("r.yaml:"));
        let grain = error("title: T\nsections:\n  - title: A\n    kpis: revenue\n    grain: [month, fortnight]\n");
        assert_eq!(grain, "r.yaml:5:5: section `A`: unknown grain `fortnight`");
        let grains = error(
            "title: T\nsections:\n  - {title: A, kpis: revenue}\n  - title: B\n    kpis: revenue\n    grains: fortnight\n",
        );
        assert_eq!(grains, "r.yaml:6:13: section `B`: unknown grain `fortnight`");
        let day = error("title: T\nto: 2024-13-01\nsections: [{title: A, kpis: revenue}]");
        assert_eq!(day, "r.yaml:2:5: to: `2024-13-01` is no date");
        let kind = error("title: T\nrate_kind: daily\nsections: [{title: A, kpis: revenue}]");
        assert_eq!(kind, "r.yaml:2:12: rate_kind: unknown rate kind `daily`");
        let none = error("title: T\nsections:\n  - title: A\n    kpis: []\n");
        assert_eq!(none, "r.yaml:4:5: section `A`: it names no KPI");
        let format = error("title: T\nformats: [csv, pdf]\nsections: [{title: A, kpis: revenue}]");
        assert!(
            format.starts_with("r.yaml:2:") && format.contains("unknown format `pdf`, expected one of csv,"),
            "{format}"
        );
        assert!(!format.contains(" at line "), "{format}");
        for number in ["-3", "0", "5000000000"] {
            let top = error(&format!("title: T\nsections: [{{title: A, kpis: revenue, top: {number}}}]"));
            assert_eq!(top, format!("r.yaml:2:43: section `A`: `top` is `{number}`, and there is nothing to show"));
        }
        let mut wrong = Vec::new();
        for (text, expected, hint) in [
            ("title: T\ntitle: U\nsections: []", "r.yaml:2:1: `title` stands here for the second time", "keep one"),
            ("title: T\nsections: []\n---\ntitle: U", "r.yaml:4:1: a second document begins here", "of its own"),
            ("title:\nsections: []", "r.yaml:1:6: `title` is nothing, expected a text", "give `title` a value"),
            ("title: T\nsections: revenue", "r.yaml:2:11: `sections` is `revenue`, expected a list", "write [revenue]"),
            (
                "title: T\nsections: [{title: A, kpis: revenue, chart: lime}]",
                "r.yaml:2:45: `chart` is `lime`, expected `line`?",
                "",
            ),
            (
                "title: T\nsections: [{title: A, kpis: revenue, top: many}]",
                "r.yaml:2:43: `top` is `many`, expected a whole number",
                "",
            ),
            (
                "title: T\nsections: [{title: A, kpi: revenue}]",
                "r.yaml:2:23: unknown field `kpi`, expected `kpis`?",
                "",
            ),
        ] {
            let error = parse(text, "r.yaml").unwrap_err();
            if !error.to_string().starts_with(expected) || !error.hint().unwrap().contains(hint) {
                wrong.push(format!("{error}, expected {expected}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        for none in ["formats:", "formats: []"] {
            let none = error(&format!("title: T\n{none}\nsections: [{{title: A, kpis: revenue}}]"));
            assert_eq!(none, "r.yaml:2:1: formats: it names no format");
        }
        let tiles = error("title: T\nheadline: {kpis: []}\nsections: [{title: A, kpis: revenue}]");
        assert_eq!(tiles, "r.yaml:2:12: headline.kpis: it names no KPI");
        let both = error(
            "title: T\nsections:\n  - title: A\n    kpis: revenue\n    from: 2024-01-01\n    period: last 3 months\n",
        );
        assert_eq!(both, "r.yaml:6:13: section `A`: it has a period and from or to");
        assert!(error("title: T\nsections: [{title: A, kpis: revenue, from: 31.12.2024}]").contains("31.12.2024"));
        assert!(error("title: T\nsections: [{title: A, kpis: revenue, compare: budget}]").contains("budget"));
        assert!(error("title: T\nsections: []").contains("at least one"));
        assert!(error("title: T\nsections: [{title: A, kpis: []}]").contains("no KPI"));
        assert!(error("title: T\ncalendar: {fiscal_start_month: 13}\nsections: [{title: A, kpis: r}]").contains("13"));
    }
}
