//! One cell into one column: nulls, defaults, value maps, units, ranges.
//!
//! A cell that does not fit its column is a fault, which rejects the row; it never becomes a
//! silent null. A fault that only says that the column was decided wrongly (day and month
//! swapped, comma instead of point) is told apart, so that the file can be read again.

use dealframe_model::table::ColumnType;

use crate::coerce::date::{self, DateFault, Zone};
use crate::coerce::number::{self, Form, NumberFault};
use crate::coerce::{boolean, trim};
use crate::column::{Builder, Code, Made, Values};
use crate::profile::mapping::Unmapped;
use crate::profile::plan::{PlannedColumn, Scale};

/// Why a cell does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    pub reason: &'static str,
    /// The column's date order or decimal separator, as decided so far, does not hold.
    pub undecided: bool,
}

const fn fault(reason: &'static str) -> Fault {
    Fault { reason, undecided: false }
}

/// What every cell of a file needs to know.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    pub zone: &'a Zone,
    pub nulls: &'a [Vec<u8>],
    pub sentinels: &'a [Vec<u8>],
    /// Replaces the factor of the column for this cell.
    pub scale: Option<Scale>,
}

/// Words for "no value" in any column but free text.
const NULLS: [&[u8]; 10] = [b"(No value)", b"#N/A", b"--", b"-", b"N/A", b"n/a", b"null", b"NULL", b"None", b"\\N"];
/// In free text a surname may be Null and a company None.
const TEXT_NULLS: [&[u8]; 4] = [b"(No value)", b"#N/A", b"--", b"\\N"];

impl Rules<'_> {
    /// Whether the trimmed text means "no value" in a column of this type.
    #[inline]
    pub fn is_null(&self, text: &[u8], kind: ColumnType) -> bool {
        let Some(first) = text.first() else { return true };
        if text.len() > 10 && self.nulls.is_empty() {
            return self.is_sentinel(text, kind);
        }
        let known = match first {
            b'0' | b'1' => matches!(text, b"0000-00-00" | b"1900-01-00"),
            b'(' | b'#' | b'-' | b'N' | b'n' | b'\\' if kind == ColumnType::Text => TEXT_NULLS.contains(&text),
            b'(' | b'#' | b'-' | b'N' | b'n' | b'\\' => NULLS.contains(&text),
            _ => false,
        };
        known || self.nulls.iter().any(|null| null.eq_ignore_ascii_case(text)) || self.is_sentinel(text, kind)
    }

    fn is_sentinel(&self, text: &[u8], kind: ColumnType) -> bool {
        matches!(kind, ColumnType::Date | ColumnType::Timestamp)
            && self.sentinels.iter().any(|sentinel| text.starts_with(sentinel))
    }
}

/// Appends a cell to its column.
#[inline]
pub fn append(planned: &PlannedColumn, builder: &mut Builder, raw: &[u8], rules: Rules<'_>) -> Result<(), Fault> {
    if let Builder::Category(category) = builder {
        if raw.is_empty() && planned.default.is_none() {
            return null(planned, builder);
        }
        return match category.code(raw, |raw| make(planned, raw, rules)) {
            Code::Value(code) => {
                category.push(Some(code));
                Ok(())
            }
            Code::Null => null(planned, builder),
            Code::Refused => Err(fault("unknown_value")),
        };
    }
    let text = trim(raw);
    let text = match (&planned.default, rules.is_null(text, planned.column.kind)) {
        (Some(default), true) => default.as_slice(),
        (None, true) => return null(planned, builder),
        (_, false) => text,
    };
    if planned.wary && number::is_ambiguous(text) {
        return Err(Fault { reason: "decimal_separator", undecided: true });
    }
    match builder {
        Builder::Text(column) => match (planned.normalise, planned.map.is_empty()) {
            (None, true) => column.push(Some(text)),
            (Some(how), true) => column.push_with(|out| how.append(text, out)),
            (_, false) => match make(planned, raw, rules) {
                Made::Value(value) => column.push(Some(&value)),
                Made::Null => return null(planned, builder),
                Made::Refused => return Err(fault("unknown_value")),
            },
        },
        Builder::Integer(values) => values.push(Some(integer(planned, text, rules.scale)?)),
        Builder::Decimal(values, _) => values.push(Some(i128::from(decimal(planned, text, rules.scale)?))),
        Builder::Boolean(values) => values.push(Some(boolean::parse(text).ok_or(fault("not_a_boolean"))?)),
        Builder::Date(values) => {
            values.push(Some(date::parse_date(text, planned.order, rules.zone).map_err(date_fault)?));
        }
        Builder::Timestamp(values) => {
            values.push(Some(date::parse_timestamp(text, planned.order, rules.zone).map_err(date_fault)?));
        }
        Builder::Category(_) => {}
    }
    Ok(())
}

/// Appends the cells of many rows to their column, as [`append`] would one by one. After a fault the column has an
/// unknown number of them.
pub fn append_all<'c>(
    planned: &PlannedColumn,
    builder: &mut Builder,
    cells: impl Iterator<Item = &'c [u8]>,
    rules: Rules<'_>,
) -> Result<(), Fault> {
    let is_bare = planned.default.is_none() && !planned.wary;
    // One loop for each type, in which nothing is asked that the column settles once.
    match builder {
        Builder::Category(category) if is_bare && !planned.column.required => {
            for raw in cells {
                let code =
                    if raw.is_empty() { Code::Null } else { category.code(raw, |raw| make(planned, raw, rules)) };
                match code {
                    Code::Value(code) => category.push(Some(code)),
                    Code::Null => category.push(None),
                    Code::Refused => return Err(fault("unknown_value")),
                }
            }
        }
        Builder::Text(column) if is_bare && planned.map.is_empty() => {
            for raw in cells {
                let text = trim(raw);
                if rules.is_null(text, planned.column.kind) {
                    if planned.column.required {
                        return Err(fault("missing_required"));
                    }
                    column.push(None);
                } else if let Some(how) = planned.normalise.filter(|how| !how.leaves(text)) {
                    column.push_with(|out| how.append(text, out));
                } else {
                    column.push(Some(text));
                }
            }
        }
        Builder::Decimal(values, _) if is_bare => {
            append_bare(planned, values, cells, rules, |text| decimal(planned, text, rules.scale).map(i128::from))?;
        }
        Builder::Date(values) if is_bare => {
            append_bare(planned, values, cells, rules, |text| {
                date::parse_date(text, planned.order, rules.zone).map_err(date_fault)
            })?;
        }
        Builder::Timestamp(values) if is_bare => {
            append_bare(planned, values, cells, rules, |text| {
                date::parse_timestamp(text, planned.order, rules.zone).map_err(date_fault)
            })?;
        }
        _ => {
            for raw in cells {
                append(planned, builder, raw, rules)?;
            }
        }
    }
    Ok(())
}

/// Cells of a column of fixed-size values that has no default and wants no second look.
#[inline]
fn append_bare<'c, T: Default>(
    planned: &PlannedColumn,
    values: &mut Values<T>,
    cells: impl Iterator<Item = &'c [u8]>,
    rules: Rules<'_>,
    parse: impl Fn(&[u8]) -> Result<T, Fault>,
) -> Result<(), Fault> {
    for raw in cells {
        let text = trim(raw);
        if rules.is_null(text, planned.column.kind) {
            if planned.column.required {
                return Err(fault("missing_required"));
            }
            values.push(None);
        } else {
            values.push(Some(parse(text)?));
        }
    }
    Ok(())
}

/// Appends a null, unless the column needs a value.
pub fn null(planned: &PlannedColumn, builder: &mut Builder) -> Result<(), Fault> {
    if planned.column.required {
        return Err(fault("missing_required"));
    }
    builder.push_null();
    Ok(())
}

/// A pick-list value or identifier as it is stored.
fn make(planned: &PlannedColumn, raw: &[u8], rules: Rules<'_>) -> Made {
    let text = trim(raw);
    let text = if rules.is_null(text, planned.column.kind) {
        match &planned.default {
            Some(default) => default.as_slice(),
            None => return Made::Null,
        }
    } else {
        text
    };
    if !planned.map.is_empty() {
        let key = String::from_utf8_lossy(text).to_lowercase();
        if let Some(value) = planned.map.get(key.trim()) {
            return in_vocabulary(planned, value.clone().into_bytes());
        }
        match planned.unmapped {
            Unmapped::Keep => {}
            Unmapped::Null => return Made::Null,
            Unmapped::Reject => return Made::Refused,
        }
    }
    let mut out = Vec::with_capacity(text.len() + 3);
    match planned.normalise {
        Some(how) => how.append(text, &mut out),
        None => out.extend_from_slice(text),
    }
    in_vocabulary(planned, out)
}

/// A known word as it is stored; in a closed vocabulary any other is refused.
fn in_vocabulary(planned: &PlannedColumn, value: Vec<u8>) -> Made {
    let Some(vocabulary) = &planned.vocabulary else { return Made::Value(value) };
    match vocabulary.find(&value) {
        Some(word) => Made::Value(word.as_bytes().to_vec()),
        None if vocabulary.is_closed => Made::Refused,
        None => Made::Value(value),
    }
}

fn date_fault(found: DateFault) -> Fault {
    match found {
        DateFault::NotADate => fault("not_a_date"),
        DateFault::NeedsOrder | DateFault::OtherOrder => Fault { reason: "date_order", undecided: true },
    }
}

fn number_fault(found: NumberFault) -> Fault {
    match found {
        NumberFault::NotANumber => fault("not_a_number"),
        NumberFault::TooPrecise => fault("too_precise"),
        NumberFault::TooLarge => fault("too_large"),
        NumberFault::OtherSeparator => Fault { reason: "decimal_separator", undecided: true },
    }
}

/// A whole number; read with four decimals first, so that 1.5 hours are 90 minutes.
fn integer(planned: &PlannedColumn, text: &[u8], scale: Option<Scale>) -> Result<i64, Fault> {
    let found = number::parse(text, Form { scale: 4, ..planned.form }).map_err(number_fault)?;
    if found.percent {
        return Err(fault("not_a_number"));
    }
    let Scale { multiply, divide: by } = scale.unwrap_or(Scale { multiply: planned.multiply, divide: planned.divide });
    let value = divide(i128::from(found.scaled) * i128::from(multiply), 10_000 * i128::from(by), planned.form.round)?;
    i64::try_from(value).map_err(|_| fault("too_large"))
}

fn decimal(planned: &PlannedColumn, text: &[u8], scale: Option<Scale>) -> Result<i64, Fault> {
    if planned.column.kind == ColumnType::Fraction {
        return fraction(planned, text);
    }
    let found = number::parse(text, planned.form).map_err(number_fault)?;
    if found.percent {
        return Err(fault("not_a_number"));
    }
    let Scale { multiply, divide: by } = scale.unwrap_or(Scale { multiply: planned.multiply, divide: planned.divide });
    if multiply == 1 && by == 1 {
        return Ok(found.scaled);
    }
    let value = divide(i128::from(found.scaled) * i128::from(multiply), i128::from(by), planned.form.round)?;
    i64::try_from(value).ok().filter(|value| value.abs() < 1_000_000_000_000_000_000).ok_or(fault("too_large"))
}

/// A share; per cent are read with two more decimals, so that 12.34 % is exact.
fn fraction(planned: &PlannedColumn, text: &[u8]) -> Result<i64, Fault> {
    let found = number::parse(text, Form { scale: 6, ..planned.form }).map_err(number_fault)?;
    let divisor = if planned.percent || found.percent { 10_000 } else { 100 };
    let value = divide(i128::from(found.scaled), divisor, planned.form.round)?;
    if (0..=10_000).contains(&value) {
        i64::try_from(value).map_err(|_| fault("too_large"))
    } else {
        Err(fault("out_of_range"))
    }
}

fn divide(value: i128, divisor: i128, round: bool) -> Result<i128, Fault> {
    if divisor == 1 {
        Ok(value)
    } else if value % divisor == 0 {
        Ok(value / divisor)
    } else if round {
        dealframe_model::decimal::divide_rounded(value, divisor).ok_or(fault("not_a_number"))
    } else {
        Err(fault("too_precise"))
    }
}

/// What would have fitted, for people.
pub fn expected(planned: &PlannedColumn, reason: &str) -> String {
    match reason {
        "missing_required" => "a value is needed here".to_owned(),
        "unknown_value" if planned.vocabulary.is_some_and(|vocabulary| vocabulary.is_closed) => {
            let words = planned.vocabulary.map(|vocabulary| vocabulary.list()).unwrap_or_default();
            format!("expected {words}, in any case; no figure counts another word")
        }
        "unknown_value" => {
            let mut known: Vec<&str> = planned.map.values().map(String::as_str).collect();
            known.sort_unstable();
            known.dedup();
            format!("expected one of {}", known.join(", "))
        }
        "out_of_range" if planned.percent => "expected a percentage from 0 to 100".to_owned(),
        "out_of_range" => "expected a share from 0 to 1".to_owned(),
        "too_precise" => {
            let digits = planned.column.kind.scale().unwrap_or(0);
            format!("the column keeps {digits} digits after the point, and nothing is rounded silently")
        }
        "too_large" => "the number exceeds 18 digits".to_owned(),
        "date_order" => "the date is in another order than its column; see --date-order".to_owned(),
        "decimal_separator" => "the number is written unlike its column; see --decimal-comma".to_owned(),
        _ => format!("expected {}", planned.column.kind.name()),
    }
}
