//! A chunk of text into typed columns of a canonical table, and the rejects.
//!
//! This is the hot loop: no allocation per cell, no decision that could be taken once per
//! file (see `profile::plan`) or once per distinct value (see `column`). Rows come out in
//! file order. Every record is read exactly once and is loaded, rejected or furniture.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray, new_null_array,
};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use dealframe_model::table::{ColumnType, STAGE_CHANGES};

use crate::cell::{self, Rules};
use crate::coerce::date::{self, Clock, DAY};
use crate::coerce::trim;
use crate::column::Builder;
use crate::delimited::chunk::Chunk;
use crate::delimited::record::{Fault as RecordFault, Fields, Reader, Step};
use crate::derived::{Value, record_batch};
use crate::file::TableFile;
use crate::profile::plan::{Feed, Plan, PlannedColumn, PlannedFactor};
use crate::reject::Reject;
use crate::sense;

/// What became of a chunk.
#[derive(Debug, Default)]
pub struct Converted {
    pub rows: Option<RecordBatch>,
    /// Stage changes that wide columns of the rows tell.
    pub stage_changes: Option<RecordBatch>,
    pub rejects: Vec<Reject>,
    pub read: u64,
    pub furniture: u64,
    /// A quote stood where it does not belong: chunk ends cannot be trusted.
    pub stray_quote: bool,
    /// A column that was decided wrongly, by position.
    pub undecided: bool,
    /// Newest date of creation; of a table that has none, newest business date.
    pub newest: Option<i32>,
}

/// A deal entered a stage, as a wide column tells it.
struct Entry {
    deal: String,
    at: i64,
    day: i32,
    stage: usize,
    line: u64,
}

struct Work<'a> {
    file: &'a TableFile,
    rules: Rules<'a>,
    builders: Vec<Builder>,
    /// Columns that are filled row by row, by position.
    filled: Vec<usize>,
    rows: usize,
    entries: Vec<Entry>,
    out: Converted,
    all_utf8: bool,
    has_nul: bool,
    newest_column: Option<usize>,
    /// What the columns of a row must say together.
    sense: Option<sense::Rule>,
    /// For tickets: the columns of their instants, and by row what those were written with.
    instants: Option<Instants>,
    clocks: Vec<[Clock; 3]>,
}

/// Where tickets have the instants between which they wait.
#[derive(Clone, Copy)]
struct Instants {
    created: usize,
    answered: usize,
    resolved: usize,
}

impl Instants {
    fn of(plan: &Plan) -> Option<Self> {
        let position = |name: &str| plan.columns.iter().position(|planned| planned.column.name == name);
        (plan.table.name == "tickets").then_some(())?;
        Some(Self {
            created: position("created_at")?,
            answered: position("first_response_at")?,
            resolved: position("resolved_at")?,
        })
    }
}

/// Converts a chunk.
///
/// # Errors
/// When the finished columns do not fit the table, which would be a fault of ours.
pub fn convert(file: &TableFile, chunk: &Chunk, batch_id: &str) -> Result<Converted, ArrowError> {
    convert_in_blocks(file, chunk, batch_id, BLOCK)
}

/// Converts a chunk in blocks of `most` records; with none, every record by itself.
fn convert_in_blocks(file: &TableFile, chunk: &Chunk, batch_id: &str, most: usize) -> Result<Converted, ArrowError> {
    let plan = &file.plan;
    let bytes = chunk.bytes.as_slice();
    let mut work = Work {
        file,
        rules: Rules { zone: &file.zone, nulls: &plan.nulls, sentinels: &plan.sentinels, scale: None },
        builders: plan.columns.iter().map(|planned| Builder::new(planned.column.kind)).collect(),
        filled: (0..plan.columns.len()).filter(|position| is_filled(&plan.columns[*position])).collect(),
        rows: 0,
        entries: Vec::new(),
        out: Converted::default(),
        all_utf8: std::str::from_utf8(bytes).is_ok(),
        has_nul: memchr::memchr(0, bytes).is_some(),
        // The date of a deal is the one on which it is expected to close, and lies ahead.
        newest_column: ["created_date"]
            .into_iter()
            .chain(plan.table.business_date)
            .find_map(|name| plan.columns.iter().position(|planned| planned.column.name == name)),
        sense: sense::Rule::of(plan.table.name, &plan.columns),
        instants: Instants::of(plan),
        clocks: Vec::new(),
    };
    // Line ends within quotes are no rows, but every row has its delimiters.
    let rows = chunk.lines.min(bytes.len() / plan.headers.len().max(1));
    for position in &work.filled {
        work.builders[*position].reserve(rows);
    }
    let mut reader = Reader::new(bytes, &file.dialect, true);
    let mut fields = Fields::default();
    let mut block = Vec::with_capacity(most);
    let by_column = most > 0 && work.goes_by_column();
    loop {
        fields.clear();
        block.clear();
        let odd = loop {
            let Some(step) = reader.append(&mut fields) else { break None };
            let place = reader.place();
            let line = chunk.line + place.line + 1;
            let record = Record { bytes, start: place.start, end: place.end, line, offset: chunk.offset };
            if !by_column || step != Step::Record || !work.is_plain_row(&fields, &record) {
                break Some((step, record));
            }
            block.push(record);
            if block.len() == most {
                break None;
            }
        };
        if odd.is_none() && block.is_empty() {
            break;
        }
        work.block(&mut fields, &block);
        if let Some((step, record)) = odd.filter(|_| !work.out.undecided) {
            fields.go_to_last();
            work.step(step, &fields, &record);
        }
        if work.out.undecided {
            return Ok(work.out);
        }
    }
    work.out.stray_quote = reader.saw_stray_quote();
    work.finish(batch_id)
}

/// Records that are converted together, column by column: their fields fit into the processor's cache.
const BLOCK: usize = 512;

#[derive(Clone, Copy)]
struct Record<'a> {
    bytes: &'a [u8],
    start: usize,
    end: usize,
    line: u64,
    offset: u64,
}

impl Work<'_> {
    /// Whether rows can be converted column by column: nothing but its own cells decides on a row.
    fn goes_by_column(&self) -> bool {
        let is_sound = self.all_utf8 && !self.has_nul;
        is_sound && self.sense.is_none() && self.instants.is_none() && self.file.plan.stage_dates.is_empty()
    }

    /// A record that can only be a row: of the right width, not empty, not the header once more.
    #[inline]
    fn is_plain_row(&self, fields: &Fields, record: &Record<'_>) -> bool {
        let first = fields.get(record.bytes, 0);
        fields.len() == self.file.plan.headers.len()
            && !first.is_empty()
            && self.file.header_cells.first().is_none_or(|cell| cell.as_bytes() != first)
    }

    /// Rows of one block, column by column. When a cell is at fault the block is taken back and done row by row,
    /// which finds out what is to be told about it.
    fn block(&mut self, fields: &mut Fields, records: &[Record<'_>]) {
        let Some(Record { bytes, .. }) = records.first().copied() else { return };
        let plan = &self.file.plan;
        let width = plan.headers.len();
        let is_faulty = self.filled.iter().any(|position| {
            let (planned, builder) = (&plan.columns[*position], &mut self.builders[*position]);
            let is_simple = planned.only_when.is_empty() && planned.factors.is_empty();
            if let (Feed::Field(field), true) = (&planned.feed, is_simple) {
                let cells = fields.column(bytes, *field, width).take(records.len());
                return cell::append_all(planned, builder, cells, self.rules).is_err();
            }
            records.iter().enumerate().any(|(number, record)| {
                let cell = |index: usize| fields.at(bytes, number * width + index);
                fill(planned, builder, &cell, record, plan, self.rules).is_err()
            })
        });
        if !is_faulty {
            self.out.read += records.len() as u64;
            self.rows += records.len();
            return;
        }
        self.take_back();
        for (number, record) in records.iter().enumerate() {
            fields.go_to(number, width);
            self.step(Step::Record, fields, record);
            if self.out.undecided {
                return;
            }
        }
    }

    fn step(&mut self, step: Step, fields: &Fields, record: &Record<'_>) {
        self.out.read += 1;
        match step {
            Step::Blank => self.out.furniture += 1,
            Step::Broken(fault) => {
                let (reason, message) = match fault {
                    RecordFault::UnterminatedQuote => ("unterminated_quote", "a quote opens here and never closes"),
                    RecordFault::TextAfterQuote => {
                        ("text_after_quote", "text follows a closing quote; quotes inside a field must be doubled")
                    }
                };
                self.reject(record, None, None, reason, message.to_owned());
            }
            Step::Record => self.record(fields, record),
        }
    }

    fn record(&mut self, fields: &Fields, record: &Record<'_>) {
        let width = self.file.plan.headers.len();
        let raw = &record.bytes[record.start..record.end];
        if self.has_nul && memchr::memchr(0, raw).is_some() {
            self.reject(record, None, None, "nul_byte", "a NUL byte: the file is damaged here".to_owned());
        } else if !self.all_utf8 && std::str::from_utf8(raw).is_err() {
            let message = format!("bytes that are no {}", self.file.encoding);
            self.reject(record, None, None, "invalid_encoding", message);
        } else if fields.len() != width && !self.only_empty_beyond(fields, record, width) {
            if self.is_empty(fields, record) {
                self.out.furniture += 1;
                return;
            }
            let reason = if fields.len() < width { "too_few_fields" } else { "too_many_fields" };
            let message = format!("{} fields; the header has {width}", fields.len());
            self.reject(record, None, None, reason, message);
        } else if self.is_header(fields, record) || self.is_empty(fields, record) {
            self.out.furniture += 1;
        } else {
            self.row(fields, record);
        }
    }

    fn only_empty_beyond(&self, fields: &Fields, record: &Record<'_>, width: usize) -> bool {
        fields.len() > width && (width..fields.len()).all(|index| fields.get(record.bytes, index).is_empty())
    }

    fn is_empty(&self, fields: &Fields, record: &Record<'_>) -> bool {
        fields.get(record.bytes, 0).is_empty()
            && (0..fields.len()).all(|index| trim(fields.get(record.bytes, index)).is_empty())
    }

    /// The header once more, as in exports that were put together.
    fn is_header(&self, fields: &Fields, record: &Record<'_>) -> bool {
        let header = &self.file.header_cells;
        header.first().is_some_and(|cell| cell.as_bytes() == fields.get(record.bytes, 0) && !cell.is_empty())
            && header.iter().enumerate().all(|(index, cell)| cell.as_bytes() == fields.get(record.bytes, index))
    }

    fn row(&mut self, fields: &Fields, record: &Record<'_>) {
        let plan = &self.file.plan;
        let cell = |index: usize| fields.get(record.bytes, index);
        for position in &self.filled {
            let planned = &plan.columns[*position];
            let builder = &mut self.builders[*position];
            let outcome = fill(planned, builder, &cell, record, plan, self.rules);
            if let Err(fault) = outcome {
                if fault.undecided && !self.file.settled {
                    self.out.undecided = true;
                    return;
                }
                self.take_back();
                let value = shown(planned, &cell);
                let column = planned.column.name;
                let message = match &value {
                    Some(value) => format!("{column}: {value:?}: {}", cell::expected(planned, fault.reason)),
                    None => format!("{column}: {}", cell::expected(planned, fault.reason)),
                };
                self.reject(record, Some(column), value, fault.reason, message);
                return;
            }
        }
        if let Some(nonsense) = self.sense.and_then(|rule| rule.broken(&self.builders)) {
            self.take_back();
            let sense::Nonsense { column, reason, value, message } = nonsense;
            self.reject(record, Some(column), value, reason, message);
            return;
        }
        if !plan.stage_dates.is_empty() && !self.stage_entries(&cell, record) {
            return;
        }
        if let Some(Instants { created, answered, resolved }) = self.instants {
            let of = |position: usize| written_clock(&plan.columns[position], &cell, self.rules);
            self.clocks.push([of(created), of(answered), of(resolved)]);
        }
        self.rows += 1;
    }

    /// Rows of `stage_changes` from wide columns; false when the row was rejected.
    fn stage_entries<'c>(&mut self, cell: &impl Fn(usize) -> &'c [u8], record: &Record<'_>) -> bool {
        let plan = &self.file.plan;
        let before = self.entries.len();
        for (stage, wide) in plan.stage_dates.iter().enumerate() {
            let text = trim(cell(wide.field));
            if self.rules.is_null(text, ColumnType::Timestamp) {
                continue;
            }
            let Ok(at) = date::parse_timestamp(text, wide.order, self.rules.zone) else {
                self.entries.truncate(before);
                self.take_back();
                let value = String::from_utf8_lossy(text).into_owned();
                let message = format!("{}: {value:?}: expected a date or timestamp", plan.headers[wide.field]);
                self.reject(record, None, Some(value), "not_a_date", message);
                return false;
            };
            let day = self.rules.zone.date_of(at).unwrap_or_else(|| (at.div_euclid(DAY)) as i32);
            let deal = self.builders[0].last_text().unwrap_or_default();
            self.entries.push(Entry { deal, at, day, stage, line: record.line });
        }
        true
    }

    fn take_back(&mut self) {
        for builder in &mut self.builders {
            builder.truncate(self.rows);
        }
    }

    fn reject(
        &mut self,
        record: &Record<'_>,
        column: Option<&'static str>,
        value: Option<String>,
        reason: &'static str,
        message: String,
    ) {
        let raw = &record.bytes[record.start..record.end.max(record.start)];
        self.out.rejects.push(Reject {
            file: Arc::clone(&self.file.name),
            line: record.line,
            offset: record.offset + record.start as u64 + self.file.offset_base,
            table: Some(self.file.plan.table.name),
            column,
            value,
            reason,
            message,
            raw: Some(String::from_utf8_lossy(raw).replace('\0', "\u{fffd}")),
        });
    }

    fn finish(mut self, batch_id: &str) -> Result<Converted, ArrowError> {
        if self.rows == 0 {
            return Ok(self.out);
        }
        let plan = &self.file.plan;
        if let Some(position) = self.newest_column {
            self.out.newest = self.builders[position].newest_date();
        }
        let builders = std::mem::take(&mut self.builders);
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(builders.len());
        let schema = dealframe_lake::schema::arrow_schema(plan.table);
        for ((planned, builder), field) in plan.columns.iter().zip(builders).zip(schema.fields()) {
            arrays.push(match &planned.feed {
                _ if is_always_null(planned) => new_null_array(field.data_type(), self.rows),
                Feed::SourceSystem => repeated_category(&plan.source_system, self.rows)?,
                Feed::File => repeated_category(&self.file.name, self.rows)?,
                Feed::Batch => Arc::new(StringArray::from_iter_values(std::iter::repeat_n(batch_id, self.rows))),
                _ => builder.finish()?,
            });
        }
        for (position, planned) in plan.columns.iter().enumerate() {
            if let Feed::KeyOf(parts) = &planned.feed {
                arrays[position] = keys(&arrays, parts, self.rows)?;
            }
        }
        if plan.table.name == "activities" {
            fill_durations(&plan.columns, &mut arrays)?;
        }
        if let Some(instants) = self.instants {
            fill_waits(&plan.columns, instants, &self.clocks, &mut arrays)?;
        }
        self.out.rows = Some(RecordBatch::try_new(schema, arrays)?);
        if !self.entries.is_empty() {
            self.out.stage_changes = Some(entries_to_batch(self.file, &self.entries, batch_id)?);
        }
        Ok(self.out)
    }
}

/// A column that nothing in the file feeds.
fn is_always_null(planned: &PlannedColumn) -> bool {
    matches!(planned.feed, Feed::Nothing) && planned.default.is_none() && !planned.column.required
}

/// Whether the column gets its values row by row; the others are made when the chunk is complete.
fn is_filled(planned: &PlannedColumn) -> bool {
    !is_always_null(planned) && !matches!(planned.feed, Feed::KeyOf(_) | Feed::SourceSystem | Feed::Batch | Feed::File)
}

fn fill<'c>(
    planned: &PlannedColumn,
    builder: &mut Builder,
    cell: &impl Fn(usize) -> &'c [u8],
    record: &Record<'_>,
    plan: &Plan,
    mut rules: Rules<'_>,
) -> Result<(), cell::Fault> {
    if !planned.only_when.is_empty()
        && !planned.only_when.iter().all(|condition| condition.holds(trim(cell(condition.field))))
    {
        return cell::null(planned, builder);
    }
    if !planned.factors.is_empty() {
        let holds = |factor: &&PlannedFactor| factor.conditions.iter().all(|one| one.holds(trim(cell(one.field))));
        let Some(scale) = planned.factors.iter().find(holds).and_then(|factor| factor.factor) else {
            return cell::null(planned, builder);
        };
        rules.scale = Some(scale);
    }
    match &planned.feed {
        Feed::Field(field) => cell::append(planned, builder, cell(*field), rules),
        Feed::FirstOf(fields) => {
            let kind = planned.column.kind;
            let filled = fields.iter().map(|field| cell(*field)).find(|text| !rules.is_null(trim(text), kind));
            cell::append(planned, builder, filled.unwrap_or(&[]), rules)
        }
        Feed::Join(fields) => {
            let parts: Vec<&[u8]> =
                fields.iter().map(|field| trim(cell(*field))).filter(|text| !text.is_empty()).collect();
            cell::append(planned, builder, &parts.join(&b' '), rules)
        }
        Feed::Constant(text) => cell::append(planned, builder, text, rules),
        Feed::Rules(list) => {
            let text = list.iter().find(|rule| rule.holds(cell)).map_or(&[][..], |rule| rule.then.as_slice());
            cell::append(planned, builder, text, rules)
        }
        Feed::Nothing => cell::append(planned, builder, &[], rules),
        Feed::Line => {
            if let Builder::Integer(values) = builder {
                values.push(i64::try_from(record.line).ok());
            }
            Ok(())
        }
        Feed::Extra => {
            extra(builder, plan, cell);
            Ok(())
        }
        // Filled for all rows at once when the chunk is complete.
        Feed::KeyOf(_) | Feed::SourceSystem | Feed::Batch | Feed::File => Ok(()),
    }
}

/// The cell that is at fault, for the message.
fn shown<'c>(planned: &PlannedColumn, cell: &impl Fn(usize) -> &'c [u8]) -> Option<String> {
    let field = match &planned.feed {
        Feed::Field(field) => *field,
        Feed::FirstOf(fields) => *fields.iter().find(|field| !trim(cell(**field)).is_empty())?,
        _ => return None,
    };
    let text = String::from_utf8_lossy(cell(field)).into_owned();
    (!text.is_empty()).then_some(text)
}

fn extra<'c>(builder: &mut Builder, plan: &Plan, cell: &impl Fn(usize) -> &'c [u8]) {
    let Builder::Text(column) = builder else { return };
    if plan.extra.iter().all(|(field, _)| cell(*field).is_empty()) {
        column.push(None);
        return;
    }
    column.push_with(|out| {
        let mut separator = b'{';
        for (field, name) in &plan.extra {
            let text = cell(*field);
            if !text.is_empty() {
                out.push(separator);
                separator = b',';
                out.extend_from_slice(name.as_bytes());
                out.push(b':');
                json_text(text, out);
            }
        }
        out.push(b'}');
    });
}

fn json_text(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    if text.iter().any(|byte| *byte < 0x20 || matches!(byte, b'"' | b'\\')) {
        for byte in text {
            match byte {
                b'"' => out.extend_from_slice(b"\\\""),
                b'\\' => out.extend_from_slice(b"\\\\"),
                b'\n' => out.extend_from_slice(b"\\n"),
                b'\r' => out.extend_from_slice(b"\\r"),
                b'\t' => out.extend_from_slice(b"\\t"),
                0..=0x1F => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
                _ => out.push(*byte),
            }
        }
    } else {
        out.extend_from_slice(text);
    }
    out.push(b'"');
}

fn repeated_category(value: &str, rows: usize) -> Result<ArrayRef, ArrowError> {
    let codes = Int32Array::from(vec![0; rows]);
    let dictionary = Arc::new(StringArray::from(vec![value]));
    Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(codes, dictionary)?))
}

/// Where the source gives no duration but start and end, the time between them.
fn fill_durations(columns: &[PlannedColumn], arrays: &mut [ArrayRef]) -> Result<(), ArrowError> {
    let position = |name: &str| columns.iter().position(|planned| planned.column.name == name);
    let (Some(start), Some(end), Some(duration)) =
        (position("started_at"), position("ended_at"), position("duration_seconds"))
    else {
        return Ok(());
    };
    let instants = |index: usize| arrays[index].as_primitive_opt::<TimestampMicrosecondType>();
    let (Some(starts), Some(ends), Some(given)) =
        (instants(start), instants(end), arrays[duration].as_primitive_opt::<Int64Type>())
    else {
        return Err(ArrowError::SchemaError("activities have no durations".to_owned()));
    };
    if ends.null_count() == ends.len() {
        return Ok(());
    }
    let filled: Int64Array = (0..given.len())
        .map(|row| match (given.is_valid(row), starts.is_valid(row) && ends.is_valid(row)) {
            (true, _) => Some(given.value(row)),
            (false, true) => Some((ends.value(row) - starts.value(row)) / 1_000_000).filter(|seconds| *seconds >= 0),
            (false, false) => None,
        })
        .collect();
    arrays[duration] = Arc::new(filled);
    Ok(())
}

/// The time of day with which the cell that fills a column is written.
fn written_clock<'c>(planned: &PlannedColumn, cell: &impl Fn(usize) -> &'c [u8], rules: Rules<'_>) -> Clock {
    let kind = planned.column.kind;
    let text = planned.fields().iter().map(|field| trim(cell(*field))).find(|text| !rules.is_null(text, kind));
    text.map_or(Clock::Absent, date::clock)
}

/// Where the source does not say how long a ticket waited but from when to when, the minutes between.
///
/// A begun minute counts, so that 60 minutes and a second are not within the hour. Dates say nothing about
/// minutes, nor do two midnights, which are dates in the clothes of instants.
fn fill_waits(
    columns: &[PlannedColumn],
    instants: Instants,
    clocks: &[[Clock; 3]],
    arrays: &mut [ArrayRef],
) -> Result<(), ArrowError> {
    let missing = || ArrowError::SchemaError("tickets have no instants or minutes".to_owned());
    let position = |name: &str| columns.iter().position(|planned| planned.column.name == name).ok_or_else(missing);
    let closed = position("is_closed")?;
    let waits = [
        (instants.answered, 1, position("first_response_minutes")?, false),
        (instants.resolved, 2, position("resolution_minutes")?, true),
    ];
    for (end, clock, minutes, only_closed) in waits {
        let (Some(starts), Some(ends), Some(given), Some(is_closed)) = (
            arrays[instants.created].as_primitive_opt::<TimestampMicrosecondType>(),
            arrays[end].as_primitive_opt::<TimestampMicrosecondType>(),
            arrays[minutes].as_primitive_opt::<Int64Type>(),
            arrays[closed].as_boolean_opt(),
        ) else {
            return Err(missing());
        };
        let wait = |row: usize| {
            let [created, ..] = clocks[row];
            let (from, until) = (created, clocks[row][clock]);
            let is_known =
                from != Clock::Absent && until != Clock::Absent && (from, until) != (Clock::Midnight, Clock::Midnight);
            let is_over = !only_closed || (is_closed.is_valid(row) && is_closed.value(row));
            if !is_known || !is_over || starts.is_null(row) || ends.is_null(row) {
                return None;
            }
            // An answer before the question is a slip of the source.
            let micros = ends.value(row) - starts.value(row);
            (micros >= 0).then(|| micros / 60_000_000 + i64::from(micros % 60_000_000 > 0))
        };
        let filled: Int64Array =
            (0..given.len()).map(|row| if given.is_valid(row) { Some(given.value(row)) } else { wait(row) }).collect();
        arrays[minutes] = Arc::new(filled);
    }
    Ok(())
}

/// Keys made of other columns: their values with a bar between, `extra` as a hash.
fn keys(arrays: &[ArrayRef], parts: &[usize], rows: usize) -> Result<ArrayRef, ArrowError> {
    let options = FormatOptions::default();
    let formatters: Vec<ArrayFormatter<'_>> =
        parts.iter().map(|part| ArrayFormatter::try_new(arrays[*part].as_ref(), &options)).collect::<Result<_, _>>()?;
    let mut out = Vec::with_capacity(rows);
    for row in 0..rows {
        let mut key = String::new();
        for (index, formatter) in formatters.iter().enumerate() {
            let text = formatter.value(row).to_string();
            if index > 0 {
                key.push('|');
            }
            if text.starts_with('{') {
                key.push_str(&format!("{:016x}", xxhash_rust::xxh3::xxh3_64(text.as_bytes())));
            } else {
                key.push_str(&text);
            }
        }
        out.push(key);
    }
    Ok(Arc::new(StringArray::from(out)))
}

fn entries_to_batch(file: &TableFile, entries: &[Entry], batch_id: &str) -> Result<RecordBatch, ArrowError> {
    let plan = &file.plan;
    let ids: Vec<String> = entries
        .iter()
        .map(|entry| format!("{}|{}|{}", entry.deal, entry.at, plan.stage_dates[entry.stage].stage))
        .collect();
    record_batch(&STAGE_CHANGES, entries.len(), |column, row| {
        let entry = &entries[row];
        let stage = plan.stage_dates[entry.stage].stage.as_str();
        match column.name {
            "change_id" => Value::Text(&ids[row]),
            "deal_id" => Value::Text(&entry.deal),
            "changed_at" | "modified_at" => Value::Timestamp(entry.at),
            "changed_date" => Value::Date(entry.day),
            "stage" => Value::Text(stage),
            "status" if stage.eq_ignore_ascii_case("closed won") => Value::Text("won"),
            "status" if stage.eq_ignore_ascii_case("closed lost") => Value::Text("lost"),
            "status" => Value::Text("open"),
            "origin" => Value::Text("wide_date_entered"),
            "source_system" => Value::Text(&plan.source_system),
            "is_deleted" => Value::Boolean(false),
            "batch_id" => Value::Text(batch_id),
            "source_file" => Value::Text(&file.name),
            "source_line" => Value::Integer(entry.line as i64),
            _ => Value::Null,
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::coerce::date::Zone;
    use crate::file::{Recognised, Settled, recognise};
    use crate::input::content::Content;
    use crate::input::encoding;

    const HEADER: &str =
        "Id,AccountId,Name,StageName,Amount,Probability,CloseDate,IsWon,IsClosed,CreatedDate,Custom__c";

    /// An export in which everything occurs that takes a record out of its block, or a block back.
    fn export(rows: usize) -> String {
        let mut seed = 7u64;
        let mut dice = move |sides: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % sides
        };
        let mut text = format!("{HEADER}\n");
        for row in 0..rows {
            // Whole blocks without a fault, and stretches with many.
            let kind = if row / 700 % 2 == 0 { 99 } else { dice(60) };
            let id = if kind == 0 { String::new() } else { format!("006Qy{row:010}{}", ["", "IAA"][row % 2]) };
            let amount = if kind == 1 { "much".to_owned() } else { format!("{}.{:02}", dice(90_000), dice(100)) };
            let date = if kind == 2 {
                "2024-13-01".to_owned()
            } else {
                format!("2024-{:02}-{:02}", 1 + dice(12), 1 + dice(28))
            };
            let name = match kind {
                3 => "\"5\"\" pipe, long\"".to_owned(),
                4 => "\"two\nlines\"".to_owned(),
                5 => "a stray \" quote".to_owned(),
                6 => "\"text\" after".to_owned(),
                _ => ["Acme", "\"Sable, LLC\"", "Müller & Söhne", " padded ", ""][dice(5) as usize].to_owned(),
            };
            let custom = if dice(9) == 0 { "x" } else { "" };
            let stage = ["Prospecting", "Closed Won", "Closed Lost"][dice(3) as usize];
            let won = ["true", "false"][dice(2) as usize];
            text += &format!(
                "{id},{row:04},{name},{stage},{amount},{},{date},{won},true,2023-05-01T10:00:{:02}.000Z,{custom}",
                dice(101),
                dice(60)
            );
            text += match kind {
                7 => ",,\n",
                8 => ",too,many\n",
                9 => "\r\n",
                10 => "\n\n",
                11 => "\nonly,three,fields\n",
                12 => "\n,,,,,,,,,,\n",
                _ => "\n",
            };
            if kind == 13 {
                text += &format!("{HEADER}\n");
            }
        }
        text
    }

    fn rows(converted: &Converted) -> Vec<String> {
        let batch = converted.rows.as_ref().unwrap();
        let options = FormatOptions::default().with_null("∅");
        let formatters: Vec<ArrayFormatter<'_>> =
            batch.columns().iter().map(|array| ArrayFormatter::try_new(array.as_ref(), &options).unwrap()).collect();
        let text = |row: usize| formatters.iter().map(|cell| cell.value(row).to_string()).collect::<Vec<_>>().join("|");
        (0..batch.num_rows()).map(text).collect()
    }

    #[test]
    fn blocks_of_any_size_give_what_single_records_give() {
        let text = export(6_000).into_bytes();
        let settled = Settled { date_order: None, decimal_comma: None, zone: Zone::Utc };
        let decoded = encoding::decode(Content::from_bytes(text.clone())).unwrap();
        let profiles = crate::run::built_in().unwrap();
        let found = recognise("Opportunity.csv", &decoded, profiles, 0, &settled).unwrap();
        let Recognised::Table(mut file) = found else { panic!("not recognised") };
        file.decide(&settled, true).unwrap();
        let start = file.start as usize;
        let bytes = text[start..].to_vec();
        let lines = memchr::memchr_iter(b'\n', &bytes).count();
        let chunk = Chunk { bytes, offset: file.start, line: file.start_line, lines, last: true };
        let single = convert_in_blocks(&file, &chunk, "batch", 0).unwrap();
        assert!(single.rejects.len() > 200 && single.furniture > 50, "{} {}", single.rejects.len(), single.furniture);
        for most in [1, 3, 64, BLOCK, 100_000] {
            let blocks = convert_in_blocks(&file, &chunk, "batch", most).unwrap();
            assert_eq!(rows(&blocks), rows(&single), "{most}");
            assert_eq!(format!("{:?}", blocks.rejects), format!("{:?}", single.rejects), "{most}");
            let counts = |of: &Converted| (of.read, of.furniture, of.stray_quote, of.newest);
            assert_eq!(counts(&blocks), counts(&single), "{most}");
            assert_eq!(blocks.read as usize, blocks.rejects.len() + blocks.furniture as usize + rows(&blocks).len());
        }
    }
}
