//! Words with a meaning: the values of pick-list columns that definitions compare with.
//!
//! `Invoice` and `INVOICE` mean `invoice`, so a known word is stored as it stands here, in
//! whatever case an export writes it. In a closed vocabulary no other word has a meaning: no
//! figure would ever count the row, so it is rejected instead. In an open one a word that is not
//! known stays as the source writes it.

/// The words of one column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vocabulary {
    pub words: &'static [&'static str],
    /// No other word has a meaning.
    pub is_closed: bool,
}

impl Vocabulary {
    const fn closed(words: &'static [&'static str]) -> Self {
        Self { words, is_closed: true }
    }

    const fn open(words: &'static [&'static str]) -> Self {
        Self { words, is_closed: false }
    }

    /// The word as it is stored, whatever its case.
    pub fn find(&self, text: &[u8]) -> Option<&'static str> {
        self.words.iter().copied().find(|word| word.as_bytes().eq_ignore_ascii_case(text))
    }

    /// The words for people: `a, b or c`.
    pub fn list(&self) -> String {
        match self.words {
            [] => String::new(),
            [only] => (*only).to_owned(),
            [first @ .., last] => format!("{} or {last}", first.join(", ")),
        }
    }
}

/// The vocabulary of a column, if it has one.
pub fn vocabulary(table: &str, column: &str) -> Option<Vocabulary> {
    Some(match (table, column) {
        ("deals" | "stage_changes", "status") | ("stage_changes", "from_status" | "status_before") => {
            Vocabulary::closed(&["open", "won", "lost"])
        }
        ("stage_changes", "origin") => {
            Vocabulary::closed(&["history_export", "field_history", "wide_date_entered", "snapshot_diff"])
        }
        ("leads", "kind") => Vocabulary::closed(&["lead", "contact"]),
        ("orders", "kind") => Vocabulary::closed(&["order", "invoice", "payment", "refund", "credit"]),
        ("spend", "kind") => Vocabulary::closed(&["marketing", "sales", "fixed", "variable"]),
        ("surveys", "kind") => Vocabulary::closed(&["nps", "csat", "ces", "review"]),
        ("targets", "scope") => Vocabulary::closed(&["company", "region", "team", "owner"]),
        ("fx_rates", "kind") => Vocabulary::closed(&["spot", "average", "plan"]),
        // Definitions of one's own may have a metric of their own.
        ("targets", "metric") => Vocabulary::open(&["revenue", "deals_won", "leads"]),
        ("deals", "deal_type") => Vocabulary::open(&["new", "upsell", "cross-sell", "renewal"]),
        ("activities", "activity_type") => Vocabulary::open(&["call", "meeting", "email", "task", "note", "other"]),
        ("activities", "direction") => Vocabulary::open(&["inbound", "outbound"]),
        ("subscriptions", "billing_frequency") => Vocabulary::open(&["monthly", "quarterly", "annual"]),
        ("tickets", "ticket_type") => Vocabulary::open(&["complaint", "return", "request"]),
        ("events", "event_type") => Vocabulary::open(&["usage", "churn", "visit"]),
        _ => return None,
    })
}

/// Whether a column holds the code of a currency, which is written in capitals.
pub fn is_currency(column: &str) -> bool {
    matches!(column, "currency" | "from_currency" | "to_currency")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::table::{ColumnType, TABLES};

    #[test]
    fn vocabularies_belong_to_pick_lists_and_are_told_of() {
        let mut found = 0;
        for table in TABLES {
            for column in table.own {
                let Some(vocabulary) = vocabulary(table.name, column.name) else { continue };
                found += 1;
                assert_eq!(column.kind, ColumnType::Category, "{}.{}", table.name, column.name);
                if column.name.starts_with("from_") {
                    continue;
                }
                for word in vocabulary.words {
                    assert!(column.about.contains(word), "{}.{} does not tell of {word}", table.name, column.name);
                }
            }
        }
        assert_eq!(found, 17);
    }

    #[test]
    fn words_are_found_in_any_case() {
        let kinds = vocabulary("orders", "kind").unwrap();
        assert_eq!(kinds.find(b"INVOICE"), Some("invoice"));
        assert_eq!(kinds.find(b"invoices"), None);
        assert_eq!(kinds.list(), "order, invoice, payment, refund or credit");
    }
}
