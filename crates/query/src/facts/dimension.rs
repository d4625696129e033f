//! Dimensions: the referenced tables (users, products, accounts), held as arrays of codes.
//!
//! A row of a dimension is found by the code of its key, so following a reference is an array
//! look-up and can never multiply rows. A key that occurs twice in a dimension (it cannot: the
//! lake upserts by key) would be a broken lake, and an orphaned reference resolves to null.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use dealframe_lake::Lake;
use dealframe_model::segment::Path;
use dealframe_model::table::{self, ColumnType, Table};

use super::dictionary::{Interner, Interners, strings};
use super::encode::{live_rows, read_columns};
use crate::error::QueryError;

/// Tables that segments refer to.
pub(crate) const DIMENSIONS: [&str; 3] = ["users", "products", "accounts"];

/// The dimensions of one state of the lake.
pub(crate) struct Dimensions<'a> {
    interners: &'a Interners,
    tables: BTreeMap<&'static str, Dimension>,
}

/// One dimension: per column the code of every key, in the column's own domain or that of the referenced table.
struct Dimension {
    columns: BTreeMap<&'static str, Vec<u32>>,
}

impl<'a> Dimensions<'a> {
    /// Reads the dimensions that the segments of `tables` need.
    pub(crate) fn read(lake: &Lake, interners: &'a Interners, needed: &[&'static str]) -> Result<Self, QueryError> {
        let mut tables = BTreeMap::new();
        for name in DIMENSIONS.into_iter().filter(|name| needed.contains(name)) {
            if let Some(table) = table::table(name) {
                tables.insert(name, Dimension::read(lake, table, interners)?);
            }
        }
        Ok(Self { interners, tables })
    }

    /// For every key of the first referenced table, the code of the path's value in `domain`; index 0 is null.
    ///
    /// `references` are the steps after the one that the fact table itself holds.
    pub(crate) fn resolve(&self, start: &'static str, path: &Path, domain: &Interner) -> Vec<u32> {
        let keys = self.interners.keys(start);
        let mut codes: Vec<u32> = (0..=u32::try_from(keys.len()).unwrap_or(u32::MAX)).collect();
        let mut current = start;
        for reference in path.references.iter().skip(1) {
            let Some(next) = table::table(current).and_then(|table| table.column(reference)?.references) else {
                return vec![0; codes.len()];
            };
            codes = self.follow(current, reference, &codes);
            current = next;
        }
        let own = self.interners.domain(&column_domain(current, path.column));
        let translation = own.translation(domain);
        self.follow(current, path.column, &codes)
            .into_iter()
            .map(|code| translation.get(code as usize).copied().unwrap_or(0))
            .collect()
    }

    fn follow(&self, table: &str, column: &str, codes: &[u32]) -> Vec<u32> {
        let Some(values) = self.tables.get(table).and_then(|dimension| dimension.columns.get(column)) else {
            return vec![0; codes.len()];
        };
        codes.iter().map(|code| values.get(*code as usize).copied().unwrap_or(0)).collect()
    }
}

fn column_domain(table: &str, column: &str) -> String {
    format!("{table}.{column}")
}

impl Dimension {
    fn read(lake: &Lake, table: &'static Table, interners: &Interners) -> Result<Self, QueryError> {
        // References, categories and the name are all that segments end in.
        let wanted: Vec<&'static str> = table
            .own
            .iter()
            .filter(|column| {
                column.kind == ColumnType::Category || column.references.is_some() || column.name == "name"
            })
            .map(|column| column.name)
            .collect();
        let mut projection = wanted.clone();
        projection.extend([table.key, "source_system", "is_deleted"]);
        let mut columns: BTreeMap<&'static str, Vec<u32>> = wanted.iter().map(|name| (*name, vec![0])).collect();
        let keys = interners.keys(table.name);
        let source_domain = interners.domain("source_system");
        read_columns(lake, table.name, &projection, &mut |batch: &RecordBatch| {
            let batch = live_rows(batch)?;
            let sources = source_domain.encode(super::encode::column(&batch, "source_system")?)?;
            let codes = keys.encode(strings(super::encode::column(&batch, table.key)?)?, &sources);
            for name in &wanted {
                let array = super::encode::column(&batch, name)?;
                let values = match table.column(name).and_then(|column| column.references) {
                    Some(to) => interners.keys(to).encode(strings(array)?, &sources),
                    None => interners.domain(&column_domain(table.name, name)).encode(array)?,
                };
                let target = columns.entry(name).or_default();
                if target.len() <= keys.len() {
                    target.resize(keys.len() + 1, 0);
                }
                for (row, code) in codes.iter().enumerate() {
                    target[*code as usize] = values[row];
                }
            }
            Ok(())
        })?;
        Ok(Self { columns })
    }
}

/// A column that the fact table resolves per row: codes of its own, or a look-up by the code of a reference.
pub(crate) enum Candidate {
    /// A category column of the table itself.
    Own(&'static str),
    /// By the key code in reference column `.0`.
    ByKey(&'static str, Arc<Vec<u32>>),
    /// The identifier in a reference column itself, where nothing better is known.
    Identifier(&'static str),
}

/// Gives, by the code of a key of the table named, the code of what a path leads to.
pub(crate) type LookUp<'l> =
    &'l dyn Fn(&str, &'static str, &Path, &Interner) -> Result<Vec<u32>, crate::error::QueryError>;

/// The candidates of a segment for a table, ready to be applied row by row. A look-up is asked for by a name of its own.
pub(crate) fn candidates(
    table: &'static Table,
    segment: &str,
    paths: &[Path],
    domain: &Interner,
    look_up: LookUp<'_>,
) -> Result<Vec<Candidate>, QueryError> {
    let mut found = Vec::new();
    for (position, path) in paths.iter().enumerate() {
        match path.references.first() {
            Some(first) => {
                let Some(target) = table.column(first).and_then(|column| column.references) else { continue };
                let codes = look_up(&look_up_name(segment, position), target, path, domain)?;
                found.push(Candidate::ByKey(first, Arc::new(codes)));
            }
            None => {
                let Some(column) = table.column(path.column) else { continue };
                found.push(match column.references {
                    Some(_) => Candidate::Identifier(column.name),
                    None => Candidate::Own(column.name),
                });
            }
        }
    }
    Ok(found)
}

fn look_up_name(segment: &str, position: usize) -> String {
    format!("{segment}-{position}")
}
