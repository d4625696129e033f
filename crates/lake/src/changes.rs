//! Changes: which rows of a data file differ from those of the file that it replaced.
//!
//! An upsert rewrites whole buckets, so a table with 1 % of its rows changed has none of its old
//! files left. Whoever keeps something derived from the old files would have to read all of the
//! new ones. So beside every bucket that was rewritten with few changes stands a small file with
//! the new form of the rows that changed. It is named after the data file and says which one that
//! replaced, so it is never taken for anything else, whatever becomes of the commit. It is
//! disposable: without it, readers do the whole work again. `upsert.rs` writes it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::chunk::Layout;
use crate::gather::{Gather, Place};
use crate::lake::Lake;
use crate::{LakeError, durable};

/// Folder beside the tables, with one folder per table.
pub(crate) const CHANGES: &str = "_changes";
/// Column beside those of the table: whether the row was there before, and not deleted.
pub const WAS_LIVE: &str = "was_live";
/// Name of the data file that was replaced, in the metadata of a file of changes.
const REPLACED: &str = "dealframe.replaced";
/// With more than this part of the rows changed, reading all of them is as good.
const MOST_CHANGED: usize = 8;

/// Whether so many changes are worth telling.
pub(crate) fn are_few(changed: usize, rows: usize) -> bool {
    changed <= rows / MOST_CHANGED
}

fn folder(lake: &Path, table: &str) -> PathBuf {
    lake.join(CHANGES).join(table)
}

/// The name that stands for a data file: it is unique by itself.
fn name_of(data_file: &Path) -> String {
    data_file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Writes the new form of the rows at `changed`, each with whether it was live before.
pub(crate) fn write(
    lake: &Path,
    layout: &Layout,
    gather: &Gather<'_>,
    changed: &[(Place, bool)],
    (replaced, by): (&Path, &Path),
) -> Result<(), LakeError> {
    let name = layout.table.name;
    let folder = folder(lake, name);
    durable::create_folder(&folder)?;
    let places: Vec<Place> = changed.iter().map(|(place, _)| *place).collect();
    let mut fields: Vec<Arc<Field>> = layout.schema.fields().iter().cloned().collect();
    let mut arrays: Vec<ArrayRef> =
        (0..fields.len()).map(|column| gather.column(column, &places)).collect::<Result<_, _>>()?;
    fields.push(Arc::new(Field::new(WAS_LIVE, DataType::Boolean, false)));
    arrays.push(Arc::new(changed.iter().map(|(_, was_live)| Some(*was_live)).collect::<BooleanArray>()));
    let schema = Arc::new(Schema::new(fields));
    let rows =
        RecordBatch::try_new(Arc::clone(&schema), arrays).map_err(LakeError::arrow("gather changed rows", name))?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::LZ4_RAW)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_key_value_metadata(Some(vec![KeyValue::new(REPLACED.to_owned(), name_of(replaced))]))
        .build();
    let path = folder.join(format!("{}.parquet", name_of(by)));
    let partial = path.with_extension("partial");
    let file = File::create(&partial).map_err(LakeError::io("create", &partial))?;
    let mut writer =
        ArrowWriter::try_new(file, schema, Some(properties)).map_err(LakeError::parquet("write", &partial))?;
    writer.write(&rows).map_err(LakeError::parquet("write", &partial))?;
    writer.close().map_err(LakeError::parquet("write", &partial))?;
    // Not synced: what a power cut takes is noticed when it is read, and costs only time.
    fs::rename(&partial, &path).map_err(LakeError::io("write", &path))
}

/// The data file that was replaced, as a file of changes says.
fn replaced_by(path: &Path) -> Option<String> {
    let reader = SerializedFileReader::new(File::open(path).ok()?).ok()?;
    let metadata = reader.metadata().file_metadata().key_value_metadata()?;
    metadata.iter().find(|entry| entry.key == REPLACED)?.value.clone()
}

impl Lake {
    /// Names of the live data files of a table, which stand for their content.
    ///
    /// # Errors
    /// As [`Lake::files`].
    pub fn file_names(&self, table: &str) -> Result<BTreeSet<String>, LakeError> {
        Ok(self.files(table)?.iter().map(|file| name_of(&file.path)).collect())
    }

    /// Files with the rows that changed since the table had the data files `names`, in the order in which they are
    /// to be applied. They have the columns of the table and [`WAS_LIVE`]; a row may occur in several of them.
    /// `None` where that is not known: the rows are then to be read anew.
    ///
    /// # Errors
    /// As [`Lake::files`].
    pub fn changes_since(&self, table: &str, names: &BTreeSet<String>) -> Result<Option<Vec<PathBuf>>, LakeError> {
        let now = self.file_names(table)?;
        let folder = folder(self.root(), table);
        let mut left: BTreeSet<&String> = names.difference(&now).collect();
        // By bucket, from its newest file back to the one that was there.
        let mut found = Vec::new();
        for name in now.difference(names) {
            let (mut chain, mut current) = (Vec::new(), name.clone());
            while !left.remove(&current) {
                let path = folder.join(format!("{current}.parquet"));
                match replaced_by(&path) {
                    Some(before) if chain.len() < MOST_STEPS => current = before,
                    _ => return Ok(None),
                }
                chain.push(path);
            }
            found.extend(chain.into_iter().rev());
        }
        Ok(left.is_empty().then_some(found))
    }
}

/// Rewrites of one bucket that are followed back.
const MOST_STEPS: usize = 64;

/// Files of changes whose own data file is not among those that are `needed`, by table.
pub(crate) fn outdated(lake: &Path, needed: &BTreeMap<String, BTreeSet<PathBuf>>) -> Result<Vec<PathBuf>, LakeError> {
    let mut found = Vec::new();
    for folder in durable::list(&lake.join(CHANGES))? {
        let table = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let names: BTreeSet<String> = needed.get(&table).into_iter().flatten().map(|path| name_of(path)).collect();
        found.extend(durable::list(&folder)?.into_iter().filter(|path| !names.contains(&name_of(path))));
    }
    Ok(found)
}
