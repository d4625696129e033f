//! What is wrong with a YAML file, in the words of whoever wrote it.
//!
//! Definitions, reports and mappings are read by `serde-saphyr`, whose messages speak of scalars,
//! sequences, unit values and of options of its own. [`complaint`] says the same of the field as
//! the file names it, with what stands there and what was expected. Whoever reads a file adds its
//! name.

use serde_saphyr::granit_parser::ErrorKind;
use serde_saphyr::{Error, ExternalMessageSource};

use crate::spelling::one_of;

/// Something wrong with a file: where, what, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// Counted from 1.
    pub line: u64,
    pub column: u64,
    pub reason: String,
    pub hint: Option<String>,
}

/// An error of the reader, for people; `text` is what was read.
pub fn complaint(error: &Error, text: &str) -> Complaint {
    let (line, column) = error.location().map_or((1, 1), |location| (location.line(), location.column()));
    // A tab ends a text that began before it, and that is where the reader stands.
    let (line, column) =
        Some(error).filter(|error| is_of_tab(error)).and_then(|_| first_tab(text, line)).unwrap_or((line, column));
    let (reason, hint) = told(error, &Spot { text, line, column });
    Complaint { line, column, reason, hint }
}

/// Whether a tab is at fault.
fn is_of_tab(error: &Error) -> bool {
    match error {
        Error::WithSnippet { error, .. } | Error::AliasError { error, .. } => is_of_tab(error),
        Error::ExternalMessage { source, .. } => match &**source {
            ExternalMessageSource::Parser(scan) => is_tab(scan.kind()),
            _ => false,
        },
        _ => false,
    }
}

fn is_tab(kind: &ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::TabNotAllowed
            | ErrorKind::TabInBlockIndentation
            | ErrorKind::TabInIndentation
            | ErrorKind::TabInPlainScalar
    )
}

/// The first tab in front of a line, from a line on.
fn first_tab(text: &str, from: u64) -> Option<(u64, u64)> {
    let lines = (1_u64..).zip(text.lines()).skip_while(|(number, _)| *number < from);
    lines.into_iter().find_map(|(number, line)| {
        let blanks = line.chars().take_while(|character| character.is_whitespace());
        (1..).zip(blanks).find(|(_, character)| *character == '\t').map(|(column, _)| (number, column))
    })
}

/// A place in a text.
struct Spot<'t> {
    text: &'t str,
    line: u64,
    column: u64,
}

impl<'t> Spot<'t> {
    /// The line up to the place, and from it on.
    fn line(&self) -> (&'t str, &'t str) {
        let position = |number: u64| usize::try_from(number).unwrap_or(usize::MAX).saturating_sub(1);
        let line = self.text.lines().nth(position(self.line)).unwrap_or_default();
        let at = line.char_indices().nth(position(self.column)).map_or(line.len(), |(at, _)| at);
        line.split_at(at)
    }

    /// The key whose value stands at the place.
    fn key(&self) -> Option<&'t str> {
        let (before, rest) = self.line();
        let depth = |line: &str| line.len() - line.trim_start().len();
        let name = |key: &'t str| {
            let key = key.rsplit(['{', ',', '[']).next()?.trim().trim_start_matches("- ").trim();
            (!key.is_empty() && !key.contains([' ', ':'])).then_some(key)
        };
        let named = |line: &'t str| name(line.trim_end().strip_suffix(':')?);
        if rest.starts_with(':') {
            return name(before);
        }
        if let Some(key) = named(before) {
            return Some(key);
        }
        if !before.trim_start_matches([' ', '-']).is_empty() {
            return None;
        }
        // A value in a line of its own: its key ends a line above and stands no further in.
        let above = self.text.lines().take(usize::try_from(self.line).ok()?.saturating_sub(1));
        let mut above: Vec<&str> = above.filter(|line| !line.trim().is_empty()).collect();
        while let Some(line) = above.pop() {
            let is_entry = line.trim_start().starts_with("- ") && !line.trim_end().ends_with(':');
            if depth(line) <= before.len() && !line.trim_start().starts_with('#') && !is_entry {
                return named(line);
            }
        }
        None
    }

    /// The key that stands at the place itself: some faults of a value are told where its key is.
    fn own_key(&self) -> Option<&'t str> {
        let (_, rest) = self.line();
        let (key, value) = rest.split_once(':')?;
        let is_key = !key.is_empty() && !key.contains([' ', '[', '{', '"', '\'', ',']);
        (is_key && (value.is_empty() || value.starts_with(' '))).then_some(key)
    }

    /// What stands there, as a person would call it.
    fn found(&self) -> String {
        let (_, rest) = self.line();
        let rest = rest.trim();
        match rest.chars().next() {
            None | Some('#' | ':') => return "nothing".to_owned(),
            Some('[') => return "a list".to_owned(),
            Some('{') => return "a block of fields".to_owned(),
            Some('-') if rest.starts_with("- ") => return "a list".to_owned(),
            _ => {}
        }
        let word = match rest.chars().next() {
            Some(quote @ ('"' | '\'')) => rest[1..].split(quote).next().unwrap_or_default(),
            _ => rest.split([',', '}', ']']).next().unwrap_or_default().split(" #").next().unwrap_or_default().trim(),
        };
        match word {
            "" | "~" | "null" => "nothing".to_owned(),
            block if block.ends_with(':') || block.contains(": ") => "a block of fields".to_owned(),
            word => format!("`{word}`"),
        }
    }

    /// `name` is this, but should be that.
    fn mismatch(&self, found: &str, expected: &str) -> (String, Option<String>) {
        let own = self.own_key().filter(|_| found != "a block of fields");
        let key = own.or_else(|| self.key());
        let name = key.map_or_else(|| "a value".to_owned(), |key| format!("`{key}`"));
        let hint = match (found, expected) {
            ("nothing", _) => Some(match key {
                Some(key) => format!(
                    "give `{key}` a value behind the colon, or below it and further in; a field that is not needed is left \
                     out whole"
                ),
                None => "give it a value, or leave it out whole".to_owned(),
            }),
            (word, "a list") if word.starts_with('`') => {
                let word = word.trim_matches('`');
                Some(format!("write [{word}], or `- {word}` in a line of its own, also where there is one only"))
            }
            ("a list", "a text") => Some("one text stands here: leave out the brackets or the `- `".to_owned()),
            _ => None,
        };
        (format!("{name} is {found}, expected {expected}"), hint)
    }
}

fn told(error: &Error, spot: &Spot<'_>) -> (String, Option<String>) {
    let found = || spot.found();
    match error {
        Error::WithSnippet { error, .. } | Error::AliasError { error, .. } => told(error, spot),
        Error::Unexpected { expected, .. } => spot.mismatch(&found(), expected_kind(expected)),
        Error::NullIntoString { .. } => spot.mismatch("nothing", "a text"),
        Error::InvalidScalar { ty, .. } => spot.mismatch(&found(), expected_kind(ty)),
        Error::InvalidBooleanStrict { .. } => spot.mismatch(&found(), "true or false"),
        Error::TaggedScalarCannotDeserializeIntoString { .. } => spot.mismatch(&found(), "a text"),
        Error::SerdeInvalidType { unexpected, expected, .. }
        | Error::SerdeInvalidValue { unexpected, expected, .. } => {
            spot.mismatch(&found_kind(unexpected), expected_kind(expected))
        }
        Error::SerdeInvalidLength { len, expected, .. } => spot.mismatch(&format!("a list of {len}"), expected),
        Error::SerdeUnknownVariant { variant, expected, .. } => {
            spot.mismatch(&format!("`{variant}`"), &one_of(variant, expected))
        }
        Error::SerdeUnknownField { field, expected, .. } => {
            (format!("unknown field `{field}`, expected {}", one_of(field, expected)), None)
        }
        Error::SerdeMissingField { field, .. } => (format!("the field `{field}` is missing"), None),
        Error::DuplicateMappingKey { key, .. } => {
            let name = key.as_ref().map_or_else(|| "a field".to_owned(), |key| format!("`{key}`"));
            (
                format!("{name} stands here for the second time"),
                Some(format!("keep one {name}, or rename one of the two")),
            )
        }
        Error::MultipleDocuments { .. } => (
            "a second document begins here, and a file holds one".to_owned(),
            Some("leave out the line `---`, or put what follows it into a file of its own".to_owned()),
        ),
        Error::Eof { .. } => ("the file is empty".to_owned(), None),
        Error::UnknownAnchor { .. } => (
            format!("{} refers to a `&name` that is not there", found()),
            Some("a text that begins with `*` or `&` stands in quotes".to_owned()),
        ),
        Error::InvalidUtf8Input => ("it is no text in UTF-8".to_owned(), None),
        Error::ExternalMessage { source, msg, .. } => match &**source {
            ExternalMessageSource::Parser(scan) => syntax(scan.kind(), msg),
            _ => (msg.clone(), None),
        },
        other => (plain(other), None),
    }
}

/// Mistakes of form, before any field has a meaning.
fn syntax(kind: &ErrorKind, message: &str) -> (String, Option<String>) {
    let (reason, hint) = match kind {
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidColonPlacement => (
            "a second `: ` stands in one line",
            "put a text that has a colon into quotes, or begin a new line for a new field",
        ),
        kind if is_tab(kind) => ("a tab stands where blanks are expected", "indent with blanks only"),
        ErrorKind::UnclosedQuotedScalar
        | ErrorKind::InvalidQuotedScalarIndent
        | ErrorKind::DocumentIndicatorInQuotedScalar => {
            ("a quote is opened and not closed", "close it; within '...' a quote is written twice: ''")
        }
        ErrorKind::InvalidTrailingSingleQuotedScalar | ErrorKind::InvalidTrailingDoubleQuotedScalar => (
            "something stands behind a closing quote",
            "put the whole text into quotes, or close the one that a line above opened; within '...' a quote is written \
             twice: ''",
        ),
        ErrorKind::UnknownQuotedScalarEscape => {
            ("a backslash within \"...\" means nothing before this letter", "write it twice, or use '...'")
        }
        ErrorKind::UnclosedFlowCollection { .. }
        | ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofImplicitFlowMapping
        | ErrorKind::ExpectedFlowMappingSeparator
        | ErrorKind::ExpectedFlowSequenceSeparator
        | ErrorKind::InvalidFlowScalarIndent => (
            "a bracket is opened and not closed, or a comma is missing",
            "close it with ] or }, and put commas between what it holds",
        ),
        ErrorKind::MisplacedFlowCollectionEnd | ErrorKind::MismatchedFlowCollectionEnd { .. } => {
            ("a bracket is closed that is not open", "a list stands in [ ], a block of fields in { }")
        }
        ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::SimpleKeyExpected
        | ErrorKind::InvalidSimpleKey
        | ErrorKind::InvalidIndentation => (
            "a field is expected here, as `name: value`, as far in as the fields above it",
            "fields of one block are indented alike; a text of several lines begins with `>-` behind the colon",
        ),
        ErrorKind::ExpectedBlockSequenceEntry
        | ErrorKind::BlockSequenceEntryNotAllowed
        | ErrorKind::BlockEntryInFlowCollection
        | ErrorKind::InvalidBlockEntryWhitespace => (
            "an entry of a list is out of place",
            "each entry begins with `- ` in a line of its own, all of them as far in",
        ),
        ErrorKind::UnexpectedCharacter { character } => {
            return (
                format!("a text cannot begin with `{character}`"),
                Some("put a text that begins so into quotes".to_owned()),
            );
        }
        ErrorKind::UnknownAnchor | ErrorKind::MissingAnchorOrAliasName => {
            ("a text that begins with `*` or `&` refers to another place", "put it into quotes")
        }
        _ => return (format!("it cannot be read as YAML: {message}"), None),
    };
    (reason.to_owned(), Some(hint.to_owned()))
}

/// What serde found, as a person would call it.
fn found_kind(unexpected: &str) -> String {
    match unexpected.split_once(' ') {
        Some(("string", text)) => format!("`{}`", text.trim_matches('"')),
        Some(("integer" | "boolean" | "float" | "character", value)) => value.to_owned(),
        Some(("floating", point)) => point.trim_start_matches("point ").to_owned(),
        _ => match unexpected {
            "null" | "unit value" | "unit" | "Option value" => "nothing",
            "sequence" => "a list",
            "map" => "a block of fields",
            other => other,
        }
        .to_owned(),
    }
}

/// What serde or the reader expected, as a person would call it.
fn expected_kind(expected: &str) -> &str {
    match expected {
        "a string" | "string" | "str" | "string scalar" | "a borrowed string" => "a text",
        "scalar" => "a single value",
        "a sequence" | "sequence" | "sequence start" => "a list",
        "a map" | "map" | "mapping" | "mapping start" => "a block of fields",
        "a boolean" | "boolean" | "bool" => "true or false",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number from 0 up",
        "i8" | "i16" | "i32" | "i64" | "isize" | "integer" | "an integer" => "a whole number",
        "f32" | "f64" | "floating point" => "a number",
        other if other.starts_with("struct ") => "a block of fields",
        other => other,
    }
}

/// The first line of a message, without the place that is told beside it.
fn plain(error: &Error) -> String {
    let message = error.to_string();
    let line = message.lines().next().unwrap_or_default();
    let line = line.strip_prefix("error: ").unwrap_or(line);
    line.rsplit_once(" at line ").map_or(line, |(reason, _)| reason).to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Colour {
        Red,
        Green,
    }

    #[expect(dead_code, reason = "only how reading fails is looked at")]
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sheet {
        title: String,
        #[serde(default)]
        tags: Vec<String>,
        #[serde(default)]
        colour: Option<Colour>,
        #[serde(default)]
        top: Option<u32>,
        #[serde(default)]
        shown: bool,
        #[serde(default)]
        sub: Option<BTreeMap<String, String>>,
    }

    #[test]
    fn mistakes_are_told_in_the_words_of_the_file() {
        let mut wrong = Vec::new();
        for (text, expected, hint) in [
            ("title: A\ntitle: B\n", "2:1 `title` stands here for the second time", "keep one `title`"),
            (
                "title: A\n---\ntitle: B\n",
                "3:1 a second document begins here, and a file holds one",
                "leave out the line",
            ),
            ("title:\ntop: 3\n", "1:6 `title` is nothing, expected a text", "give `title` a value"),
            ("title: ~\n", "1:8 `title` is nothing, expected a text", "give `title` a value"),
            ("title: [A]\n", "1:8 `title` is a list, expected a text", "leave out the brackets"),
            ("title: A\ntags: x\n", "2:7 `tags` is `x`, expected a list", "write [x], or `- x`"),
            ("title: A\ntags:\n", "2:5 `tags` is nothing, expected a list", "give `tags` a value"),
            ("title: A\ntags: {a: b}\n", "2:7 `tags` is a block of fields, expected a list", ""),
            ("title: A\ntags: [[x]]\n", "2:8 a value is a list, expected a text", ""),
            ("title: A\ncolour: gren\n", "2:9 `colour` is `gren`, expected `green`? (one of red, green)", ""),
            ("title: A\ntop: -3\n", "2:6 `top` is `-3`, expected a whole number from 0 up", ""),
            ("title: A\ntop: many # or few\n", "2:6 `top` is `many`, expected a whole number from 0 up", ""),
            ("title: A\nshown: perhaps\n", "2:8 `shown` is `perhaps`, expected true or false", ""),
            ("title: A\nsub: x\n", "2:6 `sub` is `x`, expected a block of fields", ""),
            ("title: A\nsub:\n  - x\n", "3:3 `sub` is a list, expected a block of fields", ""),
            ("title: A\ncolor: red\n", "2:1 unknown field `color`, expected `colour`? (one of title, tags,", ""),
            ("tags: []\n", "1:1 the field `title` is missing", ""),
            ("", "1:1 the file is empty", ""),
            ("title: A: B\n", "1:9 a second `: ` stands in one line", "into quotes"),
            ("title: 'A\n", "1:8 a quote is opened and not closed", "close it"),
            ("title: 'A' B\n", "1:12 something stands behind a closing quote", "the whole text"),
            ("title: A\ntags: [x\n", "a bracket is opened and not closed", "close it"),
            ("title: A\n\ttop: 3\n", "2:1 a tab stands where blanks are expected", "blanks only"),
            ("title: A\n top: 3\n", "2:5 a second `: ` stands in one line", ""),
            ("title: @A\n", "1:8 a text cannot begin with `@`", "quotes"),
            ("title: *A\n", "1:8 `*A` refers to a `&name` that is not there", "quotes"),
        ] {
            let error = serde_saphyr::from_str::<Sheet>(text).unwrap_err();
            let found = complaint(&error, text);
            let shown = format!("{}:{} {}", found.line, found.column, found.reason);
            let told = found.hint.unwrap_or_default();
            let library = ["scalar", "sequence", "mapping", "document start", "unit value", "Policy", "at line"];
            if !shown.contains(expected) || !told.contains(hint) || library.iter().any(|word| shown.contains(word)) {
                wrong.push(format!("{text:?}: {shown:?} ({told}), expected {expected:?} ({hint})"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
