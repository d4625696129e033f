//! Excel workbooks: typed cells with number formats, frozen header, filter buttons.
//!
//! Excel computes in floats of 15 digits, so this is a format for reading; `csv` and `parquet`
//! are exact. Creation time is fixed: the same result gives the same bytes.

use std::io::Write;

use dealframe_model::date;
use dealframe_model::frame::{Frame, Number};
use dealframe_model::kpi::Unit;
use rust_xlsxwriter::{DocProperties, ExcelDateTime, Format, Workbook, Worksheet, XlsxError};

use super::cells::unit_of;
use crate::{Listing, ReportError};

const MOST_ROWS: usize = 1_048_575;

fn failed(error: XlsxError) -> ReportError {
    ReportError::build("Excel file", error)
}

pub(super) fn frame(frame: &Frame, out: &mut dyn Write) -> Result<(), ReportError> {
    let mut workbook = workbook(frame.rows.len())?;
    let sheet = workbook.add_worksheet();
    sheet.set_name("result").map_err(failed)?;
    let columns = frame.columns();
    header(sheet, columns.iter().copied(), frame.rows.len())?;
    let formats = Formats::new();
    for (index, row) in frame.rows.iter().enumerate() {
        let mut line = Line { sheet, row: index as u32 + 1, column: 0 };
        let unit = unit_of(frame, row);
        line.text(frame.kpis.get(row.kpi as usize).map(|kpi| kpi.id.as_str()))?;
        let period = frame.periods.get(row.period as usize);
        line.text(period.map(|period| period.grain.name()))?;
        line.day(period.and_then(|period| period.start), &formats.day)?;
        line.text(period.map(|period| period.label.as_str()))?;
        for segment in 0..frame.segments.len() {
            line.text(frame.label(row, segment))?;
        }
        line.number(row.value, formats.of(unit))?;
        line.text(frame.units.get(row.unit as usize).map(String::as_str))?;
        let part = if unit == Unit::Ratio { &formats.number } else { formats.of(unit) };
        line.number(row.numerator, part)?;
        line.number(row.denominator, &formats.number)?;
        line.number(Some(Number { value: i128::from(row.rows), scale: 0 }), &formats.count)?;
        if frame.compared {
            let (change, ratio) = row.change();
            line.number(row.base, formats.of(unit))?;
            line.number(change, formats.of(unit))?;
            line.number(ratio, &formats.ratio)?;
        }
        if frame.intervals.is_some() {
            let interval = frame.interval(index);
            line.number(interval.low, formats.of(unit))?;
            line.number(interval.high, formats.of(unit))?;
            line.text(interval.is_small.map(|small| if small { "true" } else { "false" }))?;
        }
    }
    save(workbook, out)
}

pub(super) fn listing(listing: &Listing, out: &mut dyn Write) -> Result<(), ReportError> {
    let mut workbook = workbook(listing.rows.len())?;
    let sheet = workbook.add_worksheet();
    header(sheet, listing.columns.iter().map(|column| column.name.as_str()), listing.rows.len())?;
    for (row, cells) in listing.rows.iter().enumerate() {
        for (column, (cell, about)) in cells.iter().zip(&listing.columns).enumerate() {
            let Some(cell) = cell else { continue };
            let (row, column) = (row as u32 + 1, column as u16);
            match cell.parse::<f64>() {
                Ok(number) if about.kind.is_number() && number.is_finite() => sheet.write_number(row, column, number),
                _ => sheet.write_string(row, column, cell),
            }
            .map_err(failed)?;
        }
    }
    save(workbook, out)
}

fn workbook(rows: usize) -> Result<Workbook, ReportError> {
    if rows > MOST_ROWS {
        return Err(ReportError::ExcelRows { rows });
    }
    let mut workbook = Workbook::new();
    let created = ExcelDateTime::from_ymd(2000, 1, 1).map_err(failed)?;
    workbook.set_properties(&DocProperties::new().set_creation_datetime(&created));
    Ok(workbook)
}

fn save(mut workbook: Workbook, out: &mut dyn Write) -> Result<(), ReportError> {
    let bytes = workbook.save_to_buffer().map_err(failed)?;
    out.write_all(&bytes).map_err(ReportError::Write)
}

fn header<'a>(sheet: &mut Worksheet, names: impl Iterator<Item = &'a str>, rows: usize) -> Result<(), ReportError> {
    let bold = Format::new().set_bold();
    let mut last = 0;
    for (column, name) in names.enumerate() {
        last = column as u16;
        sheet.write_string_with_format(0, last, name, &bold).map_err(failed)?;
        sheet.set_column_width(last, (name.len() + 6).max(12) as f64).map_err(failed)?;
    }
    sheet.set_freeze_panes(1, 0).map_err(failed)?;
    sheet.autofilter(0, 0, rows as u32, last).map_err(failed)?;
    Ok(())
}

struct Formats {
    money: Format,
    count: Format,
    ratio: Format,
    number: Format,
    day: Format,
}

impl Formats {
    fn new() -> Self {
        let format = |text| Format::new().set_num_format(text);
        Self {
            money: format("#,##0.00"),
            count: format("#,##0"),
            ratio: format("0.00%"),
            number: format("#,##0.##"),
            day: format("yyyy-mm-dd"),
        }
    }

    fn of(&self, unit: Unit) -> &Format {
        match unit {
            Unit::Money => &self.money,
            Unit::Ratio => &self.ratio,
            Unit::Count => &self.count,
            _ => &self.number,
        }
    }
}

/// Writes the cells of one row from left to right.
struct Line<'a> {
    sheet: &'a mut Worksheet,
    row: u32,
    column: u16,
}

impl Line<'_> {
    fn next(&mut self) -> u16 {
        self.column += 1;
        self.column - 1
    }

    fn text(&mut self, text: Option<&str>) -> Result<(), ReportError> {
        let column = self.next();
        if let Some(text) = text {
            self.sheet.write_string(self.row, column, text).map_err(failed)?;
        }
        Ok(())
    }

    fn number(&mut self, number: Option<Number>, format: &Format) -> Result<(), ReportError> {
        let column = self.next();
        if let Some(number) = number {
            self.sheet.write_number_with_format(self.row, column, number.to_f64(), format).map_err(failed)?;
        }
        Ok(())
    }

    fn day(&mut self, day: Option<i32>, format: &Format) -> Result<(), ReportError> {
        let column = self.next();
        let Some(day) = day else { return Ok(()) };
        let (year, month, number) = date::to_civil(day);
        // Excel knows no day before 1900; such a date stays a text.
        match ExcelDateTime::from_ymd(u16::try_from(year).unwrap_or(0), month as u8, number as u8) {
            Ok(value) => self.sheet.write_datetime_with_format(self.row, column, value, format).map_err(failed)?,
            Err(_) => self.sheet.write_string(self.row, column, date::format(day)).map_err(failed)?,
        };
        Ok(())
    }
}
