//! Frames and listings as Arrow record batches, for the Parquet and Arrow writers.
//!
//! Values are decimal(38,12): exact, and read by every engine. A value with more digits is
//! refused rather than rounded. Repeated texts are dictionary columns.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int32Array, Int64Array,
    RecordBatch, StringArray,
};
use arrow::datatypes::Int32Type;
use dealframe_model::decimal;
use dealframe_model::frame::{Frame, Number};

use crate::listing::ColumnKind;
use crate::{Listing, ReportError};

const PRECISION: u8 = 38;
const SCALE: u32 = 12;

pub(super) fn frame(frame: &Frame) -> Result<RecordBatch, ReportError> {
    let rows = &frame.rows;
    let kpis = frame.kpis.iter().map(|kpi| kpi.id.as_str());
    let mut columns: Vec<ArrayRef> = vec![dictionary(rows.iter().map(|row| Some(row.kpi)), kpis)?];
    let period = |row: &dealframe_model::frame::Row| frame.periods.get(row.period as usize);
    columns.push(dictionary(
        rows.iter().map(|row| Some(row.period)),
        frame.periods.iter().map(|period| period.grain.name()),
    )?);
    columns.push(Arc::new(rows.iter().map(|row| period(row).and_then(|period| period.start)).collect::<Date32Array>()));
    columns.push(dictionary(
        rows.iter().map(|row| Some(row.period)),
        frame.periods.iter().map(|period| period.label.as_str()),
    )?);
    for segment in 0..frame.segments.len() {
        let codes = rows.iter().map(|row| row.segments.get(segment).copied().flatten());
        columns.push(dictionary(codes, frame.labels.iter().map(String::as_str))?);
    }
    columns.push(decimals("value", rows.iter().map(|row| row.value))?);
    columns.push(dictionary(rows.iter().map(|row| Some(row.unit)), frame.units.iter().map(String::as_str))?);
    columns.push(decimals("numerator", rows.iter().map(|row| row.numerator))?);
    columns.push(decimals("denominator", rows.iter().map(|row| row.denominator))?);
    columns.push(Arc::new(rows.iter().map(|row| Some(row.rows)).collect::<Int64Array>()));
    if frame.compared {
        columns.push(decimals("base value", rows.iter().map(|row| row.base))?);
        columns.push(decimals("change", rows.iter().map(|row| row.change().0))?);
        columns.push(decimals("change ratio", rows.iter().map(|row| row.change().1))?);
    }
    if frame.intervals.is_some() {
        let intervals = || (0..rows.len()).map(|row| frame.interval(row));
        columns.push(decimals("low", intervals().map(|interval| interval.low))?);
        columns.push(decimals("high", intervals().map(|interval| interval.high))?);
        columns.push(Arc::new(intervals().map(|interval| interval.is_small).collect::<BooleanArray>()));
    }
    let names = frame.columns().into_iter();
    batch(names.zip(columns))
}

pub(super) fn listing(listing: &Listing) -> Result<RecordBatch, ReportError> {
    let columns = listing.columns.iter().enumerate().map(|(index, column)| {
        let cells = || listing.rows.iter().map(move |row| row.get(index).and_then(Option::as_deref));
        let text = || Arc::new(cells().collect::<StringArray>()) as ArrayRef;
        // A column whose texts are not all of its kind stays text, so that nothing is lost.
        let array: ArrayRef = match column.kind {
            ColumnKind::Text => text(),
            ColumnKind::Integer => every(cells(), |cell| cell.parse::<i64>().ok())
                .map_or_else(text, |values| Arc::new(Int64Array::from(values))),
            ColumnKind::Float => every(cells(), |cell| cell.parse::<f64>().ok())
                .map_or_else(text, |values| Arc::new(Float64Array::from(values))),
            ColumnKind::Boolean => every(cells(), |cell| cell.parse::<bool>().ok())
                .map_or_else(text, |values| Arc::new(BooleanArray::from(values))),
            ColumnKind::Decimal => {
                let parsed = every(cells(), parse_decimal);
                match parsed
                    .map(|values| Decimal128Array::from(values).with_precision_and_scale(PRECISION, SCALE as i8))
                {
                    Some(Ok(array)) => Arc::new(array),
                    _ => text(),
                }
            }
        };
        (column.name.as_str(), array)
    });
    batch(columns)
}

/// A plain decimal as an integer scaled by 10^12, `None` where it has more digits than the column.
fn parse_decimal(text: &str) -> Option<i128> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = fraction.trim_end_matches('0');
    let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 26 || fraction.len() > SCALE as usize || !plain(whole) || !plain(fraction) {
        return None;
    }
    let magnitude: i128 = format!("{whole}{fraction:0<width$}", width = SCALE as usize).parse().ok()?;
    Some(if negative { -magnitude } else { magnitude })
}

fn every<'a, T>(
    cells: impl Iterator<Item = Option<&'a str>>,
    parse: impl Fn(&str) -> Option<T>,
) -> Option<Vec<Option<T>>> {
    cells.map(|cell| cell.map_or(Some(None), |cell| parse(cell).map(Some))).collect()
}

fn batch<'a>(columns: impl Iterator<Item = (&'a str, ArrayRef)>) -> Result<RecordBatch, ReportError> {
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true)))
        .map_err(|error| ReportError::build("columns", error))
}

/// Positions into a list of texts, which may repeat, as a dictionary column.
fn dictionary<'a>(
    codes: impl Iterator<Item = Option<u32>>,
    texts: impl Iterator<Item = &'a str>,
) -> Result<ArrayRef, ReportError> {
    let mut distinct: Vec<&str> = Vec::new();
    let mut positions = std::collections::HashMap::new();
    let codes_of_texts: Vec<i32> = texts
        .map(|text| {
            *positions.entry(text).or_insert_with(|| {
                distinct.push(text);
                distinct.len() as i32 - 1
            })
        })
        .collect();
    let keys: Int32Array = codes.map(|code| code.and_then(|code| codes_of_texts.get(code as usize).copied())).collect();
    let values = Arc::new(StringArray::from(distinct));
    let array = DictionaryArray::<Int32Type>::try_new(keys, values)
        .map_err(|error| ReportError::build("dictionary column", error))?;
    Ok(Arc::new(array))
}

fn decimals(what: &'static str, numbers: impl Iterator<Item = Option<Number>>) -> Result<ArrayRef, ReportError> {
    let values = numbers
        .map(|number| number.map(|number| scaled(what, number)).transpose())
        .collect::<Result<Decimal128Array, ReportError>>()?;
    let array = values
        .with_precision_and_scale(PRECISION, SCALE as i8)
        .map_err(|error| ReportError::build("decimal column", error))?;
    Ok(Arc::new(array))
}

fn scaled(what: &'static str, number: Number) -> Result<i128, ReportError> {
    let too_large = || ReportError::TooLarge { what, value: number.plain() };
    let value = if number.scale <= SCALE {
        number.value.checked_mul(decimal::power_of_ten(SCALE - number.scale)).ok_or_else(too_large)?
    } else {
        let unit = decimal::power_of_ten(number.scale - SCALE);
        if number.value % unit != 0 {
            return Err(too_large());
        }
        number.value / unit
    };
    if value.unsigned_abs() >= decimal::power_of_ten(u32::from(PRECISION)).unsigned_abs() {
        return Err(too_large());
    }
    Ok(value)
}
