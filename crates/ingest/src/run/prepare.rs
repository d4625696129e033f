//! Recognising every input and deciding its columns, before anything is written.
//!
//! A file that nobody recognises is no reason to stop when others are: its records are
//! rejected one by one, with the nearest profile and the headers it misses.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use rayon::prelude::*;

use super::built_in;
use crate::IngestOptions;
use crate::delimited::chunk::{Cursor, Mode, next_chunk};
use crate::delimited::dialect::Dialect;
use crate::delimited::record::{Fields, Reader, Step};
use crate::error::IngestError;
use crate::file::{Recognised, Settled, TableFile, recognise};
use crate::identity;
use crate::input::content::Content;
use crate::input::{Input, State};
use crate::outcome::FileOutcome;
use crate::profile::detect::Nearest;
use crate::profile::{self, Profile};
use crate::reject::Reject;

/// A file ready to be read, and the position of its input.
#[derive(Debug)]
pub struct Ready {
    pub input: usize,
    pub file: TableFile,
}

/// What is known of an input before its rows are read.
#[derive(Debug, Default)]
pub struct Base {
    pub outcome: FileOutcome,
    pub rejects: Vec<Reject>,
    /// Records that a report footer claims.
    pub claimed: Option<u64>,
}

/// Every input, recognised.
#[derive(Debug, Default)]
pub struct Prepared {
    pub files: Vec<Base>,
    pub tables: BTreeMap<&'static str, Vec<Ready>>,
    pub digests: Vec<String>,
    /// Content hash and profile of every input.
    pub identities: Vec<(String, String)>,
    pub notes: Vec<String>,
    pub has_documentation: bool,
    /// Tables of which no row may be taken as deleted, although the export is complete.
    pub not_full: Vec<&'static str>,
}

impl Prepared {
    /// Why no file can be loaded.
    pub fn why_nothing(&self) -> String {
        let lines: Vec<String> = self
            .files
            .iter()
            .map(|base| format!("{}: {}", base.outcome.path, base.outcome.warnings.join("; ")))
            .take(5)
            .collect();
        lines.join(" · ")
    }
}

/// The profiles to try, the user's first, and how many those are.
fn profiles(options: &IngestOptions) -> Result<(Vec<Arc<Profile>>, usize), IngestError> {
    let mut out: Vec<Arc<Profile>> = Vec::new();
    if let Some(path) = &options.mapping {
        let file = path.display().to_string();
        let text = fs::read_to_string(path).map_err(|source| IngestError::Unreadable { file: file.clone(), source })?;
        let own = profile::read(&text).map_err(|error| IngestError::BadMapping {
            file,
            line: error.line,
            problem: error.problem,
        })?;
        out.extend(own.into_iter().map(Arc::new));
    }
    let own = out.len();
    out.extend(built_in()?.iter().cloned());
    let Some(wanted) = wanted_source(options) else { return Ok((out, own)) };
    if !out.iter().any(|profile| profile.source == wanted)
        && let Some(near) = profile::nearest(wanted, out.iter().map(|profile| profile.source.as_str()))
    {
        return Err(IngestError::UnknownSource { name: wanted.to_owned(), nearest: Some(near.to_owned()) });
    }
    let keep = |profile: &Arc<Profile>| profile.source == wanted || profile.canonical;
    let own_kept = out.iter().take(own).filter(|profile| keep(profile)).count();
    out.retain(keep);
    Ok((out, own_kept))
}

fn wanted_source(options: &IngestOptions) -> Option<&str> {
    options.source.as_deref().filter(|source| !source.eq_ignore_ascii_case("auto"))
}

/// Recognises the inputs and decides their columns.
///
/// # Errors
/// When a mapping is bad, a file cannot be read, or a column stays ambiguous.
pub fn prepare(inputs: Vec<Input>, options: &IngestOptions, settled: &Settled) -> Result<Prepared, IngestError> {
    let (profiles, own) = profiles(options)?;
    let mut prepared = Prepared::default();
    let recognised: Vec<(String, Option<Recognised>)> = inputs
        .par_iter()
        .map(|input| {
            let digest = identity::digest(input)?;
            let found = match &input.state {
                State::Text(decoded) => Some(recognise(&input.name, decoded, &profiles, own, settled)?),
                State::Empty | State::Refused(_) => None,
            };
            Ok((digest, found))
        })
        .collect::<Result<_, IngestError>>()?;
    for (index, (input, (digest, found))) in inputs.iter().zip(recognised).enumerate() {
        let mut base = Base::default();
        base.outcome.path.clone_from(&input.name);
        let identity = match found {
            Some(Recognised::Table(file)) => {
                describe(&mut base, &file);
                let identity = format!("{} {}", file.plan.profile.name(), file.plan.profile.text);
                prepared.tables.entry(file.table().name).or_default().push(Ready { input: index, file: *file });
                identity
            }
            Some(Recognised::Documentation { profile, dialect }) => {
                documentation(&mut base, input, &profile, &dialect)?;
                prepared.has_documentation = true;
                profile.name()
            }
            Some(Recognised::Unknown { dialect, nearest }) => {
                unknown(&mut base, input, &dialect, nearest)?;
                "unrecognised".to_owned()
            }
            None => {
                no_text(&mut base, input);
                "no text".to_owned()
            }
        };
        prepared.notes.push(note(&base));
        prepared.digests.push(digest.clone());
        prepared.identities.push((digest, identity));
        prepared.files.push(base);
    }
    name_plain_files(&mut prepared, options);
    for files in prepared.tables.values_mut() {
        files.par_iter_mut().try_for_each(|ready| ready.file.decide(settled, false))?;
    }
    Ok(prepared)
}

fn describe(base: &mut Base, file: &TableFile) {
    let outcome = &mut base.outcome;
    outcome.table = Some(file.table().name);
    outcome.profile = Some(file.plan.profile.name());
    outcome.dialect = file.dialect.to_string();
    file.encoding.clone_into(&mut outcome.encoding);
    outcome.mapped = file.plan.mapped();
    outcome.unmapped = file.plan.unmapped();
    let trailer = file.trailer.as_ref().map_or(0, |trailer| trailer.lines);
    outcome.furniture = file.preamble + trailer;
    outcome.rows_read = outcome.furniture;
    base.claimed = file.trailer.as_ref().and_then(|trailer| trailer.claimed);
    if let Some(twice) = file.plan.headers.iter().find(|name| name.ends_with(" (2)")) {
        outcome.warnings.push(format!("a header occurs twice: {:?}", twice.trim_end_matches(" (2)")));
    }
}

fn note(base: &Base) -> String {
    let outcome = &base.outcome;
    match (&outcome.table, &outcome.profile) {
        (Some(table), Some(profile)) => format!(
            "{}: {profile} -> {table} ({}, {}); {} columns mapped, {} kept in extra",
            outcome.path,
            outcome.dialect,
            outcome.encoding,
            outcome.mapped.len(),
            outcome.unmapped.len()
        ),
        (None, Some(profile)) => format!("{}: {profile}, documentation, not loaded", outcome.path),
        _ => format!("{}: {}", outcome.path, outcome.warnings.join("; ")),
    }
}

fn documentation(base: &mut Base, input: &Input, profile: &Profile, dialect: &Dialect) -> Result<(), IngestError> {
    base.outcome.profile = Some(profile.name());
    base.outcome.dialect = dialect.to_string();
    let State::Text(decoded) = &input.state else { return Ok(()) };
    decoded.encoding.clone_into(&mut base.outcome.encoding);
    let mut records = 0;
    each_record(&input.name, &decoded.content, dialect, &mut |_, _, _| records += 1)?;
    base.outcome.furniture = records;
    base.outcome.rows_read = records;
    base.outcome.warnings.push("documentation of the other files: not loaded".to_owned());
    Ok(())
}

fn unknown(base: &mut Base, input: &Input, dialect: &Dialect, nearest: Option<Nearest>) -> Result<(), IngestError> {
    let State::Text(decoded) = &input.state else { return Ok(()) };
    let message = match nearest {
        Some(Nearest { profile, missing, obstacle }) if missing.is_empty() => {
            let obstacle = obstacle.unwrap_or_else(|| "the file has headers of another export".to_owned());
            format!("no recognised export; the nearest is {profile}, but {obstacle}")
        }
        Some(Nearest { profile, missing, .. }) => {
            format!("no recognised export; the nearest is {profile}, which needs also: {}", missing.join(", "))
        }
        None => "no recognised export; no header is known".to_owned(),
    };
    base.outcome.dialect = dialect.to_string();
    decoded.encoding.clone_into(&mut base.outcome.encoding);
    base.outcome.warnings.push(message.clone());
    let file: Arc<str> = Arc::from(input.name.as_str());
    let skipped = decoded.content.skipped();
    let mut header_seen = false;
    let (mut read, mut furniture) = (0, 0);
    let mut rejects = Vec::new();
    each_record(&input.name, &decoded.content, dialect, &mut |step, place, raw| {
        if step == Step::Blank {
            read += 1;
            furniture += 1;
        } else if !header_seen {
            header_seen = true;
        } else {
            read += 1;
            rejects.push(Reject {
                file: Arc::clone(&file),
                line: place.0 + 1,
                offset: place.1 + skipped,
                table: None,
                column: None,
                value: None,
                reason: "unrecognised_file",
                message: message.clone(),
                raw: Some(String::from_utf8_lossy(raw).replace('\0', "\u{fffd}")),
            });
        }
    })?;
    base.outcome.rows_read = read;
    base.outcome.furniture = furniture;
    base.rejects = rejects;
    Ok(())
}

fn no_text(base: &mut Base, input: &Input) {
    let State::Refused(reason) = &input.state else {
        base.outcome.warnings.push("an empty file".to_owned());
        return;
    };
    base.outcome.warnings.push(reason.clone());
    base.outcome.rows_read = 1;
    base.rejects.push(Reject {
        file: Arc::from(input.name.as_str()),
        line: 1,
        offset: 0,
        table: None,
        column: None,
        value: None,
        reason: "no_text",
        message: reason.clone(),
        raw: None,
    });
}

/// Takes a record: what it is, its line and byte (from 0), its bytes.
type Visit<'a> = dyn FnMut(Step, (u64, u64), &[u8]) + 'a;

/// Calls `visit` with every record of a text: what it is, its line and byte (from 0), its bytes.
fn each_record(name: &str, content: &Content, dialect: &Dialect, visit: &mut Visit<'_>) -> Result<(), IngestError> {
    let mut cursor = Cursor { offset: 0, line: 0, mode: Mode::Careful };
    let mut fields = Fields::default();
    let mut buffer = Vec::new();
    loop {
        let chunk = next_chunk(content, content.len(), dialect, &mut cursor, 1 << 20, buffer)
            .map_err(|source| IngestError::Unreadable { file: name.to_owned(), source })?;
        let Some(chunk) = chunk else { return Ok(()) };
        let mut reader = Reader::new(&chunk.bytes, dialect, true);
        while let Some(step) = reader.next(&mut fields) {
            let place = reader.place();
            let raw = &chunk.bytes[place.start..place.end.max(place.start)];
            visit(step, (chunk.line + place.line, chunk.offset + place.start as u64), raw);
        }
        buffer = chunk.bytes;
    }
}

/// Plain CSVs belong to the system whose exports lie in the same folder, when there is exactly one.
fn name_plain_files(prepared: &mut Prepared, options: &IngestOptions) {
    let folder = |name: &str| name.rfind(['/', '!']).map_or(String::new(), |at| name[..at].to_owned());
    let mut systems: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for ready in prepared.tables.values().flatten().filter(|ready| !ready.file.plan.profile.canonical) {
        let known = systems.entry(folder(&ready.file.name)).or_default();
        if !known.contains(&ready.file.plan.source_system) {
            known.push(ready.file.plan.source_system.clone());
        }
    }
    for ready in prepared.tables.values_mut().flatten().filter(|ready| ready.file.plan.profile.canonical) {
        let neighbours = systems.get(&folder(&ready.file.name)).map_or(&[][..], Vec::as_slice);
        ready.file.plan.source_system = match (wanted_source(options), neighbours) {
            (Some(wanted), _) => wanted.to_owned(),
            (None, [only]) => only.clone(),
            _ => "csv".to_owned(),
        };
        let (name, system) = (&ready.file.name, &ready.file.plan.source_system);
        prepared.notes.push(format!("{name}: a plain CSV, taken as data of the source system {system}"));
        if let Some((_, identity)) = prepared.identities.get_mut(ready.input) {
            identity.push_str(&ready.file.plan.source_system);
        }
    }
}
