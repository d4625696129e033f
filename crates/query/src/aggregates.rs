//! Aggregates at rest: what a pass found over the parts of a fact table, kept beside them.
//!
//! The parts of a fact table never change, so neither does what was summed up from them. A cube is
//! kept under what was asked for; the next night reads it and goes over the changed rows only. If
//! the range has moved on meanwhile, as it does with "now", only the days between the two ends are
//! summed up. Nothing here can be stale: a cube lies in the folder of the parts that it was made
//! from. A file that is missing or damaged costs time and nothing else.
//!
//! Small tables are not worth the files, and a cube that is not small beside its table is not
//! kept. `plan` asks for cubes and hands them in, `facts::verify` makes them anew and compares.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int32Array, Int64Array, RecordBatch, UInt32Array};
use arrow::datatypes::{Int32Type, Int64Type, UInt32Type};
use dealframe_model::calendar::Calendar;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::cube::{Cube, MeasureData};
use crate::error::QueryError;
use crate::facts::{Fact, encode};
use crate::node::{Apart, NodeSpec};

/// Changes whenever a cube would come out differently for the same parts.
const FORMAT: u32 = 1;
const DIRECTORY: &str = "aggregates";
const SUFFIX: &str = ".cube.parquet";
const DESCRIPTION: &str = "dealframe";

/// Rows below which a table is summed up faster than a file is opened.
pub(crate) const FROM_ROWS: u64 = 250_000;
/// Rows that a table must have for every number of a cube that is kept.
const ROWS_PER_NUMBER: u64 = 2;
/// Bytes of cubes beside a table; beyond that, the oldest go.
const MOST_BYTES: u64 = 512 << 20;
/// Days by which a range may have moved on.
const MOST_DAYS: i32 = 366;

/// What a file of a cube says of itself.
#[derive(Debug, Serialize, Deserialize)]
struct Description {
    format: u32,
    spec: NodeSpec,
    calendar: Calendar,
    apart_scale: u32,
    /// Scale by measure.
    scales: Vec<u32>,
}

/// A cube that was found.
pub(crate) struct Kept {
    pub cube: Cube,
    /// What is still to be summed up over the parts, and whether it is added (1) or taken away (-1).
    pub rest: Option<(NodeSpec, i8)>,
}

/// What a cube is kept under: everything but the end of its range, which moves on.
fn file_of(fact: &Fact, spec: &NodeSpec, calendar: &Calendar) -> Option<PathBuf> {
    let known = NodeSpec { to: None, groups: 0.0, ..spec.clone() };
    let text = serde_json::to_string(&(FORMAT, env!("CARGO_PKG_VERSION"), &known, calendar)).ok()?;
    Some(folder(fact)?.join(format!("{:032x}{SUFFIX}", xxh3_128(text.as_bytes()))))
}

fn folder(fact: &Fact) -> Option<PathBuf> {
    Some(fact.parts.first()?.parent()?.join(DIRECTORY))
}

/// The cube of the parts of a table, if something close enough to it is kept.
pub(crate) fn find(fact: &Fact, spec: &NodeSpec, calendar: &Calendar) -> Option<Kept> {
    let path = file_of(fact, spec, calendar)?;
    let (kept, cube) = read(&path).ok()?;
    if file_of(fact, &kept.spec, &kept.calendar)? != path {
        return None;
    }
    let part = |from: i32, to: i32| NodeSpec { from: Some(from), to: Some(to), ..spec.clone() };
    let rest = match (kept.spec.to, spec.to) {
        (known, wanted) if known == wanted => None,
        (Some(known), Some(wanted)) if known.abs_diff(wanted) > MOST_DAYS.unsigned_abs() => return None,
        // The start of the range lies between the two ends: less than nothing would be left.
        (Some(known), Some(wanted)) if spec.from.is_some_and(|from| from > known.min(wanted)) => return None,
        (Some(known), Some(wanted)) if known < wanted => Some((part(known, wanted), 1)),
        (Some(known), Some(wanted)) => Some((part(wanted, known), -1)),
        _ => return None,
    };
    Some(Kept { cube, rest })
}

/// Keeps the cube of the parts of a table, where that is worth while. A place that cannot be written to costs only time.
pub(crate) fn keep(fact: &Fact, spec: &NodeSpec, calendar: &Calendar, cube: &Cube) {
    let numbers = (cube.groups as u64).saturating_mul(cube.measures.len() as u64);
    if numbers.saturating_mul(ROWS_PER_NUMBER) > fact.rows.max(FROM_ROWS) {
        return;
    }
    let Some(path) = file_of(fact, spec, calendar) else { return };
    let Some(folder) = path.parent() else { return };
    if write(&path, folder, spec, calendar, cube).is_ok() {
        remove_oldest(folder, &path);
    }
}

fn write(path: &Path, folder: &Path, spec: &NodeSpec, calendar: &Calendar, cube: &Cube) -> Result<(), QueryError> {
    let io = |source| QueryError::Io { path: path.to_owned(), source };
    let failed = |error: &dyn std::fmt::Display| QueryError::File {
        path: path.display().to_string(),
        reason: error.to_string(),
    };
    let description = Description {
        format: FORMAT,
        spec: spec.clone(),
        calendar: *calendar,
        apart_scale: cube.apart_scale,
        scales: cube.measures.iter().map(|measure| measure.scale).collect(),
    };
    let description = serde_json::to_string(&description).map_err(|error| failed(&error))?;
    let batch = RecordBatch::try_from_iter(columns(cube)).map_err(|error| failed(&error))?;
    fs::create_dir_all(folder).map_err(io)?;
    let temporary = tempfile::NamedTempFile::new_in(folder).map_err(io)?;
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_compression(Compression::LZ4_RAW)
        .set_key_value_metadata(Some(vec![KeyValue::new(DESCRIPTION.to_owned(), description)]))
        .build();
    let mut writer =
        ArrowWriter::try_new(temporary.as_file(), batch.schema(), Some(properties)).map_err(|error| failed(&error))?;
    writer.write(&batch).map_err(|error| failed(&error))?;
    writer.close().map_err(|error| failed(&error))?;
    temporary.persist(path).map_err(|error| io(error.error))?;
    Ok(())
}

/// The columns of a cube: `group` 0 for each (a table needs a column), time, codes, values told apart, counts and sums.
fn columns(cube: &Cube) -> Vec<(String, ArrayRef)> {
    let mut columns: Vec<(String, ArrayRef)> = Vec::new();
    let mut add = |name: String, array: ArrayRef| columns.push((name, array));
    add("group".to_owned(), Arc::new(UInt32Array::from(vec![0; cube.groups])));
    if !cube.times.is_empty() {
        add("time".to_owned(), Arc::new(Int32Array::from(cube.times.clone())));
    }
    for (position, codes) in cube.codes.iter().enumerate() {
        add(format!("code{position}"), Arc::new(UInt32Array::from(codes.clone())));
    }
    if !cube.apart.is_empty() {
        add("apart".to_owned(), Arc::new(Int64Array::from(cube.apart.clone())));
    }
    for (position, measure) in cube.measures.iter().enumerate() {
        add(format!("count{position}"), Arc::new(Int64Array::from(measure.counts.clone())));
        let is_count = measure.sums.iter().zip(&measure.counts).all(|(sum, count)| *sum == i128::from(*count));
        if is_count {
            continue;
        }
        #[expect(clippy::cast_possible_truncation, reason = "the lower half; the upper one follows where it is needed")]
        let low = |sum: &i128| *sum as i64;
        add(format!("sum{position}"), Arc::new(measure.sums.iter().map(low).collect::<Int64Array>()));
        if measure.sums.iter().any(|sum| i64::try_from(*sum).is_err()) {
            let high = |sum: &i128| (sum >> 64) as i64;
            add(format!("high{position}"), Arc::new(measure.sums.iter().map(high).collect::<Int64Array>()));
        }
    }
    columns
}

fn read(path: &Path) -> Result<(Description, Cube), QueryError> {
    let failed = |error: &dyn std::fmt::Display| QueryError::File {
        path: path.display().to_string(),
        reason: error.to_string(),
    };
    let file = File::open(path).map_err(|source| QueryError::Io { path: path.to_owned(), source })?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| failed(&error))?;
    let rows = usize::try_from(reader.metadata().file_metadata().num_rows()).unwrap_or(0);
    let metadata = reader.metadata().file_metadata().key_value_metadata();
    let description = (metadata.into_iter().flatten())
        .find(|entry| entry.key == DESCRIPTION)
        .and_then(|entry| entry.value.as_deref())
        .ok_or_else(|| failed(&"it does not say what it holds"))?;
    let description: Description = serde_json::from_str(description).map_err(|error| failed(&error))?;
    let mut batches = reader.with_batch_size(rows.max(1)).build().map_err(|error| failed(&error))?;
    let mut cube = empty(&description);
    let Some(batch) = batches.next() else { return Ok((description, cube)) };
    let batch = batch.map_err(|error| failed(&error))?;
    if batch.num_rows() != rows {
        return Err(failed(&"it has fewer rows than it says"));
    }
    let integers = |name: String| batch.column_by_name(&name).and_then(|column| column.as_primitive_opt::<Int64Type>());
    cube.groups = rows;
    if let Some(times) = batch.column_by_name("time").and_then(|column| column.as_primitive_opt::<Int32Type>()) {
        cube.times = times.values().to_vec();
    }
    for position in 0..cube.dimensions.len() {
        let codes = encode::column(&batch, &format!("code{position}"))?.as_primitive_opt::<UInt32Type>();
        cube.codes[position] = codes.ok_or_else(|| failed(&"codes are no 32-bit integers"))?.values().to_vec();
    }
    if let Some(apart) = integers("apart".to_owned()) {
        cube.apart = apart.values().to_vec();
    }
    for (position, measure) in cube.measures.iter_mut().enumerate() {
        let counts = integers(format!("count{position}")).ok_or_else(|| failed(&"a count is missing"))?;
        measure.counts = counts.values().to_vec();
        measure.sums = match (integers(format!("sum{position}")), integers(format!("high{position}"))) {
            (None, _) => measure.counts.iter().map(|count| i128::from(*count)).collect(),
            (Some(sums), None) => sums.values().iter().map(|sum| i128::from(*sum)).collect(),
            (Some(low), Some(high)) => (low.values().iter().zip(high.values()))
                .map(|(low, high)| (i128::from(*high) << 64) | i128::from(low.cast_unsigned()))
                .collect(),
        };
    }
    Ok((description, cube))
}

fn empty(description: &Description) -> Cube {
    let spec = &description.spec;
    let measure = |scale: &u32| MeasureData { scale: *scale, sums: Vec::new(), counts: Vec::new() };
    Cube {
        unit: spec.unit,
        dimensions: spec.dimensions.clone(),
        times: Vec::new(),
        codes: vec![Vec::new(); spec.dimensions.len()],
        apart: Vec::new(),
        apart_scale: description.apart_scale,
        groups: 0,
        measures: description.scales.iter().map(measure).collect(),
    }
}

/// Removes the oldest cubes of a folder that has grown too large.
fn remove_oldest(folder: &Path, newest: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut files: Vec<(std::time::SystemTime, u64, PathBuf)> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let metadata = entry.metadata().ok()?;
            Some((metadata.modified().ok()?, metadata.len(), entry.path()))
        })
        .collect();
    files.sort();
    let mut bytes: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
    for (_, size, path) in files {
        if bytes <= MOST_BYTES {
            return;
        }
        if path != newest && fs::remove_file(&path).is_ok() {
            bytes -= size;
        }
    }
}

/// Makes every cube that is kept beside a table anew; how many there are, and what those that differ were asked for.
pub(crate) fn verify(fact: &Fact) -> Result<(usize, Vec<String>), QueryError> {
    let Some(entries) = folder(fact).and_then(|folder| fs::read_dir(folder).ok()) else { return Ok((0, Vec::new())) };
    let mut paths: Vec<PathBuf> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    paths.retain(|path| path.to_string_lossy().ends_with(SUFFIX));
    paths.sort();
    let mut differing = Vec::new();
    for path in &paths {
        let Ok((kept, mut cube)) = read(path) else {
            // Nobody reads a damaged file either.
            continue;
        };
        if kept.format != FORMAT {
            continue;
        }
        let (anew, _) = kept.spec.run(fact, None, &kept.calendar, false)?;
        cube.join(&anew, -1);
        let is_zero = |measure: &MeasureData| {
            measure.sums.iter().all(|sum| *sum == 0) && measure.counts.iter().all(|count| *count == 0)
        };
        if !cube.measures.iter().all(is_zero) {
            differing.push(described(&kept.spec));
        }
    }
    Ok((paths.len(), differing))
}

fn described(spec: &NodeSpec) -> String {
    let mut text = format!("the aggregate by {:?} of {}", spec.unit, spec.date.as_deref().unwrap_or("no date"));
    if !spec.dimensions.is_empty() {
        text += &format!(" and {}", spec.dimensions.join(", "));
    }
    match &spec.apart {
        Apart::No => text,
        Apart::Code(name) | Apart::Number(name) => format!("{text}, told apart by {name}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use dealframe_model::calendar::TimeUnit;

    use super::*;
    use crate::node::MeasureSpec;

    fn spec(measures: usize) -> NodeSpec {
        let measure = |number: usize| MeasureSpec { of: None, filter: None, text: number.to_string() };
        NodeSpec {
            table: "deals".to_owned(),
            date: Some("close_date".to_owned()),
            unit: TimeUnit::Month,
            dimensions: vec!["region".to_owned()],
            apart: Apart::No,
            apart_expression: None,
            filter: None,
            filter_text: String::new(),
            from: None,
            to: Some(19_000),
            measures: (0..measures).map(measure).collect(),
            groups: 3.0,
        }
    }

    fn cube(groups: usize) -> Cube {
        let sums = [i128::from(i64::MAX) * 7, -(1 << 90), 12];
        let measure = |scale: u32, sums: [i128; 3], counts: [i64; 3]| MeasureData {
            scale,
            sums: sums[..groups].to_vec(),
            counts: counts[..groups].to_vec(),
        };
        Cube {
            unit: TimeUnit::Month,
            dimensions: vec!["region".to_owned()],
            times: [24_000, 24_001, -3][..groups].to_vec(),
            codes: vec![[0, 4_000_000_000, 7][..groups].to_vec()],
            apart: [i64::MIN, 0, i64::MAX][..groups].to_vec(),
            apart_scale: 4,
            groups,
            measures: vec![
                measure(4, sums, [3, 2, 1]),
                measure(0, [3, 2, 1], [3, 2, 1]),
                measure(2, [-5, 5, 0], [1, 1, 0]),
            ],
        }
    }

    #[test]
    fn a_cube_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join(DIRECTORY);
        let path = inside.join("a.cube.parquet");
        for groups in 0..=3 {
            let written = cube(groups);
            write(&path, &inside, &spec(3), &Calendar::default(), &written).unwrap();
            let (description, read) = read(&path).unwrap();
            assert_eq!(description.spec.to, Some(19_000));
            assert_eq!(format!("{read:?}"), format!("{written:?}"), "{groups} groups");
        }
        fs::write(&path, b"PAR1 torn").unwrap();
        assert!(read(&path).is_err());
    }
}
