//! History from nightly exports: what changed on a deal between two states of the lake.
//!
//! Whenever an upsert changes stage, status, amount, close date, owner or probability of a
//! deal, a row of `stage_changes` with origin `snapshot_diff` says so, beside whatever history
//! the vendor exports itself. The instant is the one the source gives; else the date of the
//! export; else the close date of a deal that has just been closed; else the newest creation
//! date of the export. Never the clock of this machine.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use dealframe_model::table::{ColumnType, STAGE_CHANGES};

use crate::coerce::date::{DAY, Zone};
use crate::column::Builder;
use crate::derived::{Value, record_batch};

/// One changed deal, after the change.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    deal: String,
    source_system: String,
    file: String,
    line: i64,
    at: Option<i64>,
    from_stage: Option<String>,
    stage: Option<String>,
    status: Option<String>,
    amount: Option<i128>,
    currency: Option<String>,
    probability: Option<i128>,
    close_date: Option<i32>,
    owner: Option<String>,
}

/// Typed access to the columns of a batch by name.
struct View<'a>(&'a RecordBatch);

impl View<'_> {
    fn column(&self, name: &str) -> Option<&ArrayRef> {
        self.0.column_by_name(name)
    }

    fn text(&self, name: &str, row: usize) -> Option<&str> {
        let column = self.column(name)?;
        if let Some(dictionary) = column.as_dictionary_opt::<Int32Type>() {
            let key = dictionary.key(row)?;
            return Some(dictionary.values().as_string_opt::<i32>()?.value(key));
        }
        let strings = column.as_string_opt::<i32>()?;
        strings.is_valid(row).then(|| strings.value(row))
    }

    fn owned(&self, name: &str, row: usize) -> Option<String> {
        self.text(name, row).map(str::to_owned)
    }

    fn decimal(&self, name: &str, row: usize) -> Option<i128> {
        let column = self.column(name)?.as_primitive_opt::<Decimal128Type>()?;
        column.is_valid(row).then(|| column.value(row))
    }

    fn date(&self, name: &str, row: usize) -> Option<i32> {
        let column = self.column(name)?.as_primitive_opt::<Date32Type>()?;
        column.is_valid(row).then(|| column.value(row))
    }

    fn instant(&self, name: &str, row: usize) -> Option<i64> {
        let column = self.column(name)?.as_primitive_opt::<TimestampMicrosecondType>()?;
        column.is_valid(row).then(|| column.value(row))
    }

    fn integer(&self, name: &str, row: usize) -> Option<i64> {
        let column = self.column(name)?.as_primitive_opt::<Int64Type>()?;
        column.is_valid(row).then(|| column.value(row))
    }
}

/// Fills `from_stage` where the source gives only the stage after: the stage of the row before of the same deal.
///
/// The batches must hold the whole history of the export. A deal's first row keeps a null.
///
/// # Errors
/// When the columns cannot be rebuilt, which would be a fault of ours.
pub fn fill_from_stage(batches: &mut [RecordBatch]) -> Result<(), ArrowError> {
    let mut order: Vec<(u64, i64, u32, u32)> = Vec::new();
    for (part, batch) in batches.iter().enumerate() {
        let view = View(batch);
        for row in 0..batch.num_rows() {
            let (Some(deal), Some(at)) = (view.text("deal_id", row), view.instant("changed_at", row)) else { continue };
            if view.text("stage", row).is_some() {
                order.push((xxhash_rust::xxh3::xxh3_64(deal.as_bytes()), at, part as u32, row as u32));
            }
        }
    }
    order.sort_unstable();
    // For every row the place of the row before.
    let mut before: Vec<Vec<Option<(u32, u32)>>> = batches.iter().map(|batch| vec![None; batch.num_rows()]).collect();
    for pair in order.windows(2) {
        let [(deal, _, part, row), (next_deal, _, next_part, next_row)] = pair else { continue };
        if deal == next_deal {
            before[*next_part as usize][*next_row as usize] = Some((*part, *row));
        }
    }
    let columns: Vec<ArrayRef> = (0..batches.len())
        .map(|part| {
            let mut builder = Builder::new(ColumnType::Category);
            let view = View(&batches[part]);
            for (row, before) in before[part].iter().enumerate() {
                let earlier = before.and_then(|(part, row)| View(&batches[part as usize]).owned("stage", row as usize));
                let stage = view.text("from_stage", row).map(str::to_owned).or(earlier);
                builder.push_text(stage.as_deref());
            }
            builder.finish()
        })
        .collect::<Result<_, _>>()?;
    for (batch, column) in batches.iter_mut().zip(columns) {
        let position = batch.schema().index_of("from_stage")?;
        let mut arrays = batch.columns().to_vec();
        arrays[position] = column;
        *batch = RecordBatch::try_new(batch.schema(), arrays)?;
    }
    Ok(())
}

/// The changes between two versions of the same deals, row by row.
pub fn changes(old: &RecordBatch, new: &RecordBatch, as_of: Option<i32>) -> Vec<Change> {
    let (old, new) = (View(old), View(new));
    let mut out = Vec::new();
    for row in 0..new.0.num_rows().min(old.0.num_rows()) {
        let same = ["stage", "status", "owner_id"].iter().all(|name| old.text(name, row) == new.text(name, row))
            && ["amount", "probability"].iter().all(|name| old.decimal(name, row) == new.decimal(name, row))
            && old.date("close_date", row) == new.date("close_date", row);
        if same {
            continue;
        }
        let owned = |name: &str| new.text(name, row).map(str::to_owned);
        let closed_now = old.text("status", row) == Some("open") && new.text("status", row) != Some("open");
        let at = new
            .instant("modified_at", row)
            .or_else(|| as_of.map(midnight))
            .or_else(|| new.date("close_date", row).filter(|_| closed_now).map(midnight));
        out.push(Change {
            deal: owned("deal_id").unwrap_or_default(),
            source_system: owned("source_system").unwrap_or_default(),
            file: owned("source_file").unwrap_or_default(),
            line: new.integer("source_line", row).unwrap_or(0),
            at,
            from_stage: old.text("stage", row).map(str::to_owned),
            stage: owned("stage"),
            status: owned("status"),
            amount: new.decimal("amount", row),
            currency: owned("currency"),
            probability: new.decimal("probability", row),
            close_date: new.date("close_date", row),
            owner: owned("owner_id"),
        });
    }
    out
}

fn midnight(day: i32) -> i64 {
    i64::from(day) * DAY
}

/// Changes as rows of `stage_changes`; `newest` is the newest creation date of the export.
///
/// # Errors
/// When the rows cannot be built, which would be a fault of ours.
pub fn to_batch(
    changes: &[Change],
    newest: Option<i32>,
    zone: &Zone,
    batch_id: &str,
) -> Result<RecordBatch, ArrowError> {
    let fallback = midnight(newest.unwrap_or(0));
    let at = |row: usize| changes[row].at.unwrap_or(fallback);
    let ids: Vec<String> = (0..changes.len())
        .map(|row| {
            let change = &changes[row];
            let state = format!(
                "{:?}|{:?}|{:?}|{:?}|{:?}|{:?}",
                change.stage, change.status, change.amount, change.probability, change.close_date, change.owner
            );
            format!("{}|{}|{:016x}", change.deal, at(row), xxhash_rust::xxh3::xxh3_64(state.as_bytes()))
        })
        .collect();
    record_batch(&STAGE_CHANGES, changes.len(), |column, row| {
        let change = &changes[row];
        match column.name {
            "change_id" => Value::Text(&ids[row]),
            "deal_id" => Value::Text(&change.deal),
            "changed_at" | "modified_at" => Value::Timestamp(at(row)),
            "changed_date" => Value::Date(zone.date_of(at(row)).unwrap_or((at(row).div_euclid(DAY)) as i32)),
            "from_stage" => optional(&change.from_stage),
            "stage" => optional(&change.stage),
            "status" => optional(&change.status),
            "amount" => change.amount.map_or(Value::Null, Value::Decimal),
            "currency" => optional(&change.currency),
            "probability" => change.probability.map_or(Value::Null, Value::Decimal),
            "close_date" => change.close_date.map_or(Value::Null, Value::Date),
            "owner_id" => optional(&change.owner),
            "origin" => Value::Text("snapshot_diff"),
            "source_system" => Value::Text(&change.source_system),
            "is_deleted" => Value::Boolean(false),
            "batch_id" => Value::Text(batch_id),
            "source_file" => Value::Text(&change.file),
            "source_line" => Value::Integer(change.line),
            _ => Value::Null,
        }
    })
}

fn optional(value: &Option<String>) -> Value<'_> {
    value.as_deref().map_or(Value::Null, Value::Text)
}
