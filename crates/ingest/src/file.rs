//! One input file, made ready: recognised, its dialect frozen, its columns decided.
//!
//! Date orders and decimal separators are decided on the head of the file, or on all of it
//! when the head leaves a column open or a later cell contradicts. What cannot be decided is
//! an error that names the column and the option that settles it.

use std::sync::Arc;

use dealframe_model::table::{ColumnType, Table};

use crate::coerce::date::{DateOrder, Zone};
use crate::coerce::evidence::{DateEvidence, NumberEvidence, Sample};
use crate::coerce::number::Separator;
use crate::coerce::trim;
use crate::delimited::chunk::{Cursor, Mode, next_chunk};
use crate::delimited::dialect::{self, Dialect};
use crate::delimited::record::{Fields, Reader, Step};
use crate::delimited::trailer::{self, Trailer};
use crate::error::IngestError;
use crate::input::content::Content;
use crate::input::encoding::Decoded;
use crate::profile::Profile;
use crate::profile::detect::{self, Match, Nearest};
use crate::profile::plan::{Condition, Plan, PlannedColumn, is_numeric, is_temporal};

/// Bytes in which the header must stand.
const HEAD: usize = 1 << 20;
/// Bytes on which columns are decided.
const SAMPLE: usize = 4 << 20;
/// Bytes in which a footer must stand.
const TAIL: usize = 64 << 10;
/// Records among which the header is looked for.
const HEADER_RECORDS: usize = 25;

/// A file whose rows go to a canonical table.
#[derive(Debug, Clone)]
pub struct TableFile {
    pub name: Arc<str>,
    pub content: Content,
    pub encoding: &'static str,
    pub dialect: Dialect,
    pub plan: Plan,
    pub header_cells: Vec<String>,
    pub zone: Zone,
    /// Where the data begins, and the line on which it does (counted from 0).
    pub start: u64,
    pub start_line: u64,
    /// Where the data ends.
    pub end: u64,
    /// Bytes before the first one, such as a byte order mark.
    pub offset_base: u64,
    pub trailer: Option<Trailer>,
    /// Records before the data that are no header: titles, a second header line.
    pub preamble: u64,
    /// The columns were decided on the whole file, or by the user.
    pub settled: bool,
}

/// What a text turned out to be.
#[derive(Debug)]
pub enum Recognised {
    Table(Box<TableFile>),
    Documentation { profile: Arc<Profile>, dialect: Dialect },
    Unknown { dialect: Dialect, nearest: Option<Nearest> },
}

/// What the user settled.
#[derive(Debug, Clone)]
pub struct Settled {
    pub date_order: Option<DateOrder>,
    pub decimal_comma: Option<bool>,
    pub zone: Zone,
}

fn unreadable(name: &str) -> impl Fn(std::io::Error) -> IngestError + '_ {
    move |source| IngestError::Unreadable { file: name.to_owned(), source }
}

/// Recognises a text. The first `own` profiles are the user's.
///
/// # Errors
/// When it cannot be read.
pub fn recognise(
    name: &str,
    decoded: &Decoded,
    profiles: &[Arc<Profile>],
    own: usize,
    settled: &Settled,
) -> Result<Recognised, IngestError> {
    let content = &decoded.content;
    let head = content.part(0, HEAD).map_err(unreadable(name))?;
    let complete = head.len() as u64 == content.len();
    let dialect = dialect::detect(&head, complete);
    let (records, positions) = first_records(&head, &dialect, complete);
    let Match { profile, header_record, headers } = match detect::choose(profiles, own, &records) {
        Ok(found) => found,
        Err(nearest) => return Ok(Recognised::Unknown { dialect, nearest }),
    };
    let Some(table) = profile.table().filter(|_| profile.skip.is_none()) else {
        return Ok(Recognised::Documentation { profile, dialect });
    };
    let plan = Plan::new(&profile, table, &headers, &profile.source);
    let after_header = header_record + usize::from(profile.second_header && positions.len() > header_record + 1);
    let (start, start_line) = positions[after_header];
    let mut file = TableFile {
        name: Arc::from(name),
        content: content.clone(),
        encoding: decoded.encoding,
        dialect,
        header_cells: records[header_record].clone(),
        zone: settled.zone.clone(),
        start,
        start_line,
        end: content.len(),
        offset_base: content.skipped(),
        trailer: None,
        preamble: after_header as u64,
        settled: false,
        plan,
    };
    file.find_trailer()?;
    Ok(Recognised::Table(Box::new(file)))
}

/// The first records, and for each the byte and line after it.
fn first_records(head: &[u8], dialect: &Dialect, complete: bool) -> (Vec<Vec<String>>, Vec<(u64, u64)>) {
    let mut reader = Reader::new(head, dialect, complete);
    let mut fields = Fields::default();
    let (mut records, mut positions) = (Vec::new(), Vec::new());
    while records.len() < HEADER_RECORDS {
        let Some(step) = reader.next(&mut fields) else { break };
        let cells = match step {
            Step::Record => {
                (0..fields.len()).map(|index| String::from_utf8_lossy(fields.get(head, index)).into_owned()).collect()
            }
            Step::Blank | Step::Broken(_) => Vec::new(),
        };
        records.push(cells);
        positions.push((reader.position() as u64, reader.line()));
    }
    (records, positions)
}

impl TableFile {
    /// The canonical table of its rows.
    pub fn table(&self) -> &'static Table {
        self.plan.table
    }

    fn find_trailer(&mut self) -> Result<(), IngestError> {
        let from = self.end.saturating_sub(TAIL as u64).max(self.start);
        let tail = self.content.part(from, TAIL).map_err(unreadable(&self.name))?;
        let width = self.plan.headers.len();
        self.trailer = trailer::find(&tail, from, &self.dialect, width, &self.plan.profile.furniture);
        if let Some(trailer) = &self.trailer {
            self.end = trailer.offset.max(self.start);
        }
        Ok(())
    }

    /// Decides date orders and decimal separators. `whole`: on the whole file, not only on its head.
    ///
    /// # Errors
    /// When a column stays ambiguous, or is written both ways.
    pub fn decide(&mut self, settled: &Settled, whole: bool) -> Result<(), IngestError> {
        let mut evidence = Evidence::new(self);
        let all = self.gather(&mut evidence, whole)?;
        let open_dates = settled.date_order.is_none() && evidence.dates.iter().any(|seen| seen.found.is_ambiguous());
        let open_numbers = settled.decimal_comma.is_none()
            && evidence.separator().is_none()
            && self.habit(&evidence).is_some()
            && evidence.numbers.iter().any(|seen| seen.found.is_ambiguous());
        if (open_dates || open_numbers) && !all {
            evidence = Evidence::new(self);
            self.gather(&mut evidence, true)?;
            self.settled = true;
        } else {
            self.settled = all;
        }
        self.apply(&evidence, settled)
    }

    /// Shows the evidence every cell; true when the whole file was seen.
    fn gather(&self, evidence: &mut Evidence, whole: bool) -> Result<bool, IngestError> {
        let mut cursor = Cursor { offset: self.start, line: self.start_line, mode: Mode::Careful };
        let mut fields = Fields::default();
        let mut buffer = Vec::new();
        while let Some(chunk) = next_chunk(&self.content, self.end, &self.dialect, &mut cursor, SAMPLE, buffer)
            .map_err(unreadable(&self.name))?
        {
            let mut reader = Reader::new(&chunk.bytes, &self.dialect, true);
            while let Some(step) = reader.next(&mut fields) {
                if step == Step::Record {
                    let line = chunk.line + reader.place().line + 1;
                    evidence.see(&chunk.bytes, &fields, line);
                }
            }
            if !whole && !chunk.last {
                return Ok(false);
            }
            buffer = chunk.bytes;
        }
        Ok(true)
    }

    fn apply(&mut self, evidence: &Evidence, settled: &Settled) -> Result<(), IngestError> {
        for planned in &mut self.plan.columns {
            planned.order = None;
            planned.form.separator = Separator::Point;
            planned.wary = false;
        }
        for Seen { asked, found: dates } in &evidence.dates {
            let order = match settled.date_order {
                Some(order) => Some(order),
                None => self.date_order(asked.field, dates)?,
            };
            for (position, planned) in self.plan.columns.iter_mut().enumerate() {
                if is_temporal(planned.column.kind) && asked.by(position, planned) {
                    planned.order = planned.order.or(order);
                }
            }
            for wide in self.plan.stage_dates.iter_mut().filter(|wide| wide.field == asked.field) {
                wide.order = order;
            }
        }
        let (others, habit) = (evidence.separator(), self.habit(evidence));
        for Seen { asked, found: numbers } in &evidence.numbers {
            let separator = match settled.decimal_comma {
                Some(true) => Separator::Comma,
                Some(false) => Separator::Point,
                None => self.separator(asked.field, numbers, others, habit.as_deref())?,
            };
            let is_open = settled.decimal_comma.is_none() && !self.settled && numbers.separator().is_none();
            let wary = is_open && others.is_none() && habit.is_some();
            for (position, planned) in self.plan.columns.iter_mut().enumerate() {
                if is_numeric(planned.column.kind) && asked.by(position, planned) {
                    planned.wary |= wary;
                    if separator == Separator::Comma {
                        planned.form.separator = separator;
                    }
                }
            }
        }
        Ok(())
    }

    fn date_order(&self, field: usize, dates: &DateEvidence) -> Result<Option<DateOrder>, IngestError> {
        let column = self.plan.headers[field].clone();
        let file = self.name.to_string();
        if let (Some(day_first), Some(month_first)) = (&dates.day_first, &dates.month_first) {
            let (day_first, month_first) = (shown(day_first), shown(month_first));
            return Err(IngestError::MixedDates { file, column, day_first, month_first });
        }
        if dates.is_ambiguous() {
            let first = &dates.either[0];
            let more: String = dates.either.iter().skip(1).map(|sample| format!(", {:?}", sample.text)).collect();
            let (line, sample) = (first.line, first.text.clone());
            return Err(IngestError::AmbiguousDates { file, column, line, sample, more });
        }
        Ok(dates.order())
    }

    /// The separator of a column; `others`: the one that all other columns have that tell one.
    fn separator(
        &self,
        field: usize,
        numbers: &NumberEvidence,
        others: Option<Separator>,
        habit: Option<&str>,
    ) -> Result<Separator, IngestError> {
        if let (true, Some(point), Some(comma)) = (numbers.is_mixed(), &numbers.point, &numbers.comma) {
            return Err(IngestError::MixedDecimals {
                file: self.name.to_string(),
                column: self.plan.headers[field].clone(),
                point: shown(point),
                comma: shown(comma),
            });
        }
        if let (true, None, Some(habit)) = (numbers.is_ambiguous(), others, habit) {
            let samples: Vec<String> =
                numbers.either.iter().map(|sample| format!("line {}: {:?}", sample.line, sample.text)).collect();
            return Err(IngestError::AmbiguousDecimals {
                file: self.name.to_string(),
                column: self.plan.headers[field].clone(),
                samples: samples.join(", "),
                habit: habit.to_owned(),
            });
        }
        let without_evidence = if numbers.is_ambiguous() { others } else { None };
        Ok(numbers.separator().or(without_evidence).unwrap_or_default())
    }

    /// What the file has in common with those of countries that write a decimal comma.
    fn habit(&self, evidence: &Evidence) -> Option<String> {
        let dotted = evidence.dates.iter().find_map(|seen| seen.found.dotted.as_ref());
        let euro = evidence.numbers.iter().find_map(|seen| seen.found.euro.as_ref());
        let comma = evidence.numbers.iter().find_map(|seen| seen.found.comma.as_ref());
        if let Some(sample) = dotted {
            return Some(format!("dates are written with dots ({})", shown(sample)));
        }
        if let Some(sample) = euro.or(comma) {
            return Some(format!("other numbers look European ({})", shown(sample)));
        }
        (self.dialect.delimiter == b';').then(|| "fields are separated by semicolons".to_owned())
    }
}

fn shown(sample: &Sample) -> String {
    format!("line {}: {}", sample.line, sample.text)
}

/// A field about which evidence is gathered.
struct Asked {
    field: usize,
    /// The one column that reads it, where that column does so under conditions.
    only: Option<usize>,
    conditions: Vec<Condition>,
}

impl Asked {
    /// Whether this column reads the field.
    fn by(&self, position: usize, planned: &PlannedColumn) -> bool {
        match self.only {
            Some(only) => only == position,
            None => planned.only_when.is_empty() && planned.fields().contains(&self.field),
        }
    }
}

struct Seen<T> {
    asked: Asked,
    found: T,
}

/// Evidence for every field that feeds a date or number column.
struct Evidence {
    dates: Vec<Seen<DateEvidence>>,
    numbers: Vec<Seen<NumberEvidence>>,
    width: usize,
}

/// The fields that feed columns of some types.
fn asked(file: &TableFile, wanted: fn(ColumnType) -> bool) -> Vec<Asked> {
    let mut out: Vec<Asked> = Vec::new();
    for (position, planned) in file.plan.columns.iter().enumerate().filter(|(_, p)| wanted(p.column.kind)) {
        for field in planned.fields() {
            let conditional = !planned.only_when.is_empty();
            if conditional || !out.iter().any(|asked| asked.field == *field && asked.only.is_none()) {
                let only = conditional.then_some(position);
                out.push(Asked { field: *field, only, conditions: planned.only_when.clone() });
            }
        }
    }
    out
}

impl Evidence {
    fn new(file: &TableFile) -> Self {
        let wide = file.plan.stage_dates.iter();
        let wide = wide.map(|wide| Asked { field: wide.field, only: None, conditions: Vec::new() });
        Self {
            dates: asked(file, is_temporal)
                .into_iter()
                .chain(wide)
                .map(|asked| Seen { asked, found: DateEvidence::default() })
                .collect(),
            numbers: asked(file, is_numeric)
                .into_iter()
                .map(|asked| Seen { asked, found: NumberEvidence::default() })
                .collect(),
            width: file.plan.headers.len(),
        }
    }

    /// The decimal separator of all number columns that tell one, if they agree.
    fn separator(&self) -> Option<Separator> {
        let mut told = self.numbers.iter().filter_map(|seen| seen.found.separator());
        let first = told.next()?;
        told.all(|other| other == first).then_some(first)
    }

    fn see(&mut self, bytes: &[u8], fields: &Fields, line: u64) {
        if fields.len() < self.width {
            return;
        }
        let counts = |asked: &Asked| {
            asked.conditions.iter().all(|condition| condition.holds(trim(fields.get(bytes, condition.field))))
        };
        for Seen { asked, found } in &mut self.dates {
            let cell = trim(fields.get(bytes, asked.field));
            // ISO dates, by far the most common, say nothing.
            if cell.len() >= 6 && cell.get(4) != Some(&b'-') && counts(asked) {
                found.see(cell, line);
            }
        }
        for Seen { asked, found } in &mut self.numbers {
            if counts(asked) {
                found.see(trim(fields.get(bytes, asked.field)), line);
            }
        }
    }
}
