//! Tables as CTEs: the lake's rows, and the fact tables that KPIs are computed from.
//!
//! A fact table has the rows and columns that `crate::facts` gives the Polars pipelines:
//! deleted rows left out, segments resolved through many-to-one joins on source system and
//! key, derived columns beside the table's own. Only the columns that somebody reads are
//! written down. Tables that no export contains are made in `derived`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use dealframe_lake::Lake;
use dealframe_model::segment::{self, Path};
use dealframe_model::table::{self, Table};

use super::dialect::Dialect;
use crate::error::QueryError;

/// The tables of one statement.
pub(super) struct Tables<'a> {
    lake: &'a Lake,
    pub dialect: Dialect,
    pub anchor: Option<i32>,
    pub rewind_to: Option<i32>,
    /// Columns read of every lake table.
    read: BTreeMap<&'static str, BTreeSet<&'static str>>,
    /// CTEs between the lake's rows and the fact tables, in order.
    steps: Vec<(String, String)>,
    facts: Vec<(String, String)>,
}

/// Where the rows of a fact table come from. The canonical row has the alias `b`.
pub(super) struct Base {
    pub like: &'static Table,
    pub from: String,
    /// SQL of canonical columns that do not simply come from `b`.
    pub own: Vec<(&'static str, String)>,
    /// SQL of columns that the canonical table does not have, or has differently.
    pub special: Vec<(&'static str, String)>,
}

impl<'a> Tables<'a> {
    pub(super) fn new(lake: &'a Lake, dialect: Dialect, anchor: Option<i32>, rewind_to: Option<i32>) -> Self {
        Self { lake, dialect, anchor, rewind_to, read: BTreeMap::new(), steps: Vec::new(), facts: Vec::new() }
    }

    /// Adds a fact table with some of its columns.
    pub(super) fn add_fact(&mut self, name: &str, columns: &BTreeSet<String>) -> Result<(), QueryError> {
        let base = match table::table(name) {
            Some(canonical) => self.canonical(canonical, columns)?,
            None => self.derived(name)?,
        };
        let mut joins: Vec<(String, String)> = Vec::new();
        let mut selected = Vec::new();
        for column in columns {
            let sql = self.column(&base, column, &mut joins)?;
            selected.push(format!("{sql} AS {}", self.dialect.quoted(column)));
        }
        if selected.is_empty() {
            selected.push("1 AS one".to_owned());
        }
        let mut body = format!("SELECT {}\n  FROM {}", selected.join(",\n    "), base.from);
        for (_, join) in joins {
            let _ = write!(body, "\n  {join}");
        }
        self.facts.push((name.to_owned(), body));
        Ok(())
    }

    /// All CTEs, in an order in which each only reads those before it.
    pub(super) fn finish(self) -> Result<Vec<(String, String)>, QueryError> {
        let mut all = Vec::new();
        for (name, columns) in &self.read {
            let columns: Vec<&str> = columns.iter().copied().collect();
            all.push((format!("lake_{name}"), self.rows_of(name, &columns)?));
        }
        all.extend(self.steps);
        all.extend(self.facts);
        Ok(all)
    }

    fn rows_of(&self, name: &str, columns: &[&str]) -> Result<String, QueryError> {
        let files = self.lake.files(name)?;
        if files.is_empty() {
            let typed: Vec<String> = columns
                .iter()
                .filter_map(|column| table::table(name)?.column(column))
                .map(|column| format!("CAST(NULL AS {}) AS {}", Dialect::column_type(column.kind), column.name))
                .collect();
            return Ok(format!("SELECT {}\n  WHERE 1 = 0", typed.join(", ")));
        }
        let paths: Vec<&std::path::Path> = files.iter().map(|file| file.path.as_path()).collect();
        self.dialect.scan(&paths, columns, "NOT COALESCE(is_deleted, FALSE)")
    }

    /// Notes that columns of a lake table are read, and gives the name of its CTE.
    pub(super) fn read(&mut self, name: &'static str, columns: &[&'static str]) -> String {
        let known = self.read.entry(name).or_default();
        known.insert("source_system");
        known.extend(columns);
        format!("lake_{name}")
    }

    /// Adds a step once.
    pub(super) fn step(&mut self, name: &str, body: String) {
        if !self.steps.iter().any(|(known, _)| known == name) {
            self.steps.push((name.to_owned(), body));
        }
    }

    fn column(&mut self, base: &Base, name: &str, joins: &mut Vec<(String, String)>) -> Result<String, QueryError> {
        if let Some((_, sql)) = base.special.iter().find(|(known, _)| *known == name) {
            return Ok(sql.clone());
        }
        let paths = segment::paths(base.like, name);
        if !paths.is_empty() {
            let candidates: Vec<String> =
                paths.iter().map(|path| self.candidate(base, path, joins)).collect::<Result<_, _>>()?;
            return Ok(match candidates.as_slice() {
                [one] => one.clone(),
                many => format!("COALESCE({})", many.join(", ")),
            });
        }
        let known = base
            .like
            .column(name)
            .ok_or_else(|| QueryError::engine("sql", format!("`{}` has no column `{name}`", base.like.name)))?;
        Ok(self.own(base, known.name))
    }

    /// A column of the canonical row.
    fn own(&mut self, base: &Base, name: &'static str) -> String {
        match base.own.iter().find(|(known, _)| *known == name) {
            Some((_, sql)) => sql.clone(),
            None => {
                self.read(base.like.name, &[name]);
                format!("b.{name}")
            }
        }
    }

    /// One way to the value of a segment, with the joins that it takes.
    fn candidate(&mut self, base: &Base, path: &Path, joins: &mut Vec<(String, String)>) -> Result<String, QueryError> {
        let broken = || QueryError::engine("sql", format!("a reference of {} leads nowhere", base.like.name));
        let mut current = base.like;
        let mut alias: Option<String> = None;
        for reference in &path.references {
            let target =
                current.column(reference).and_then(|column| table::table(column.references?)).ok_or_else(broken)?;
            let (source, key) = match &alias {
                None => (self.own(base, "source_system"), self.own(base, reference)),
                Some(alias) => {
                    self.read(current.name, &[reference]);
                    (format!("{alias}.source_system"), format!("{alias}.{reference}"))
                }
            };
            let step = reference.strip_suffix("_id").unwrap_or(reference);
            let next = alias.map_or_else(|| format!("of_{step}"), |alias| format!("{alias}_{step}"));
            let rows = self.read(target.name, &[target.key]);
            if !joins.iter().any(|(known, _)| *known == next) {
                let join = format!(
                    "LEFT JOIN {rows} AS {next} ON {next}.source_system = {source} AND {next}.{} = {key}",
                    target.key
                );
                joins.push((next.clone(), join));
            }
            alias = Some(next);
            current = target;
        }
        Ok(match alias {
            None => self.own(base, path.column),
            Some(alias) => {
                self.read(current.name, &[path.column]);
                format!("{alias}.{}", path.column)
            }
        })
    }

    /// A canonical table with the columns that take a look at more than the row itself.
    fn canonical(&mut self, canonical: &'static Table, columns: &BTreeSet<String>) -> Result<Base, QueryError> {
        let rows = self.read(canonical.name, &[]);
        let mut base = Base { like: canonical, from: format!("{rows} AS b"), own: Vec::new(), special: Vec::new() };
        let wants = |names: &[&str]| names.iter().any(|name| columns.contains(*name));
        match canonical.name {
            "deals" => self.deal_columns(&mut base, &wants),
            "accounts" => self.account_columns(&mut base, &wants),
            "leads" => self.lead_columns(&mut base, &wants),
            "line_items" => self.line_item_columns(&mut base, &wants),
            "tickets" => self.ticket_columns(&mut base),
            "stage_changes" => self.change_columns(&mut base, &wants),
            _ => {}
        }
        Ok(base)
    }

    fn deal_columns(&mut self, base: &mut Base, wants: &dyn Fn(&[&str]) -> bool) {
        if let Some(day) = self.rewind_to {
            // A deal that closed after the as-of day was open on it.
            self.read("deals", &["status", "close_date"]);
            let day = self.dialect.date(day);
            let status = format!("CASE WHEN b.close_date > {day} THEN 'open' ELSE b.status END");
            base.special.push(("status", status));
        }
        if wants(&["is_first_won", "is_repeat_won", "first_won_date"]) {
            let deals = self.read("deals", &["deal_id", "account_id", "status", "close_date"]);
            self.step(
                "first_won",
                format!(
                    "SELECT source_system, account_id, deal_id, close_date\n  FROM (SELECT *, ROW_NUMBER() OVER (\n      \
                     PARTITION BY source_system, account_id ORDER BY close_date, deal_id) AS place\n    FROM {deals}\n    \
                     WHERE status = 'won' AND account_id IS NOT NULL AND close_date IS NOT NULL) AS won\n  WHERE place = 1"
                ),
            );
            base.from.push_str(
                "\n  LEFT JOIN first_won AS f ON f.source_system = b.source_system AND f.account_id = b.account_id",
            );
            let won = |rest: &str| format!("COALESCE(b.status = 'won' AND {rest}, FALSE)");
            base.special.push(("is_first_won", won("f.deal_id = b.deal_id")));
            base.special.push(("is_repeat_won", won("f.deal_id <> b.deal_id")));
            base.special.push(("first_won_date", "f.close_date".to_owned()));
        }
        if wants(&["lead_created_date"]) {
            let leads = self.read("leads", &["converted_deal_id", "created_date"]);
            self.read("deals", &["deal_id"]);
            self.step(
                "deal_leads",
                format!(
                    "SELECT source_system, converted_deal_id, MIN(created_date) AS created_date\n  FROM {leads}\n  \
                     WHERE converted_deal_id IS NOT NULL AND created_date IS NOT NULL\n  \
                     GROUP BY source_system, converted_deal_id"
                ),
            );
            base.from.push_str(
                "\n  LEFT JOIN deal_leads AS l ON l.source_system = b.source_system AND l.converted_deal_id = b.deal_id",
            );
            base.special.push(("lead_created_date", "l.created_date".to_owned()));
        }
    }

    fn account_columns(&mut self, base: &mut Base, wants: &dyn Fn(&[&str]) -> bool) {
        // Customers that no account row describes are customers all the same.
        let accounts = self.read("accounts", &["account_id", "cancelled_date"]);
        let deals = self.read("deals", &["account_id"]);
        self.step(
            "account_keys",
            format!(
                "SELECT source_system, account_id FROM {accounts}\n  UNION\n  \
                 SELECT source_system, account_id FROM {deals} WHERE account_id IS NOT NULL"
            ),
        );
        Self::described(base, "account_keys");
        base.special.push(("customer_until", "b.cancelled_date".to_owned()));
        let names = ["first_won_date", "last_won_date", "won_deals", "won_amount", "won_margin_amount", "is_customer"];
        if !wants(&names) {
            return;
        }
        self.read("deals", &["status", "close_date", "amount", "cost_amount"]);
        self.step(
            "account_wins",
            format!(
                "SELECT source_system, account_id, MIN(close_date) AS first_won_date, MAX(close_date) AS last_won_date,\n    \
                 COUNT(*) AS won_deals, SUM(COALESCE(amount, 0)) AS won_amount,\n    \
                 SUM(COALESCE(amount - cost_amount, 0)) AS won_margin_amount\n  FROM {deals}\n  \
                 WHERE status = 'won' AND account_id IS NOT NULL AND close_date IS NOT NULL\n  \
                 GROUP BY source_system, account_id"
            ),
        );
        base.from.push_str(
            "\n  LEFT JOIN account_wins AS v ON v.source_system = w.source_system AND v.account_id = w.account_id",
        );
        for name in ["first_won_date", "last_won_date"] {
            base.special.push((name, format!("v.{name}")));
        }
        for name in ["won_deals", "won_amount", "won_margin_amount"] {
            base.special.push((name, format!("COALESCE(v.{name}, 0)")));
        }
        base.special.push(("is_customer", "v.first_won_date IS NOT NULL".to_owned()));
    }

    /// Rows by account key, whether or not an account row describes the account.
    pub(super) fn described(base: &mut Base, keys: &str) {
        base.from = format!(
            "{keys} AS w\n  LEFT JOIN lake_accounts AS b ON b.source_system = w.source_system AND b.account_id = w.account_id"
        );
        base.own.push(("source_system", "w.source_system".to_owned()));
        base.own.push(("account_id", "w.account_id".to_owned()));
        base.special.push(("source_system", "w.source_system".to_owned()));
    }

    fn lead_columns(&mut self, base: &mut Base, wants: &dyn Fn(&[&str]) -> bool) {
        if let Some(day) = self.rewind_to {
            // A lead that was converted or qualified after the as-of day was not yet so on it.
            let day = self.dialect.date(day);
            for (name, dated) in [("is_converted", "converted_date"), ("is_qualified", "qualified_date")] {
                self.read("leads", &[name, dated]);
                base.special.push((name, format!("CASE WHEN b.{dated} > {day} THEN FALSE ELSE b.{name} END")));
            }
        }
        if !wants(&["minutes_to_first_contact", "is_contacted"]) {
            return;
        }
        self.read("leads", &["lead_id", "created_at", "first_contact_at"]);
        let activities = self.read("activities", &["lead_id", "started_at", "created_at"]);
        self.step(
            "lead_contacts",
            format!(
                "SELECT source_system, lead_id, MIN(COALESCE(started_at, created_at)) AS contacted_at\n  \
                 FROM {activities}\n  WHERE lead_id IS NOT NULL\n  GROUP BY source_system, lead_id"
            ),
        );
        base.from.push_str(
            "\n  LEFT JOIN lead_contacts AS c ON c.source_system = b.source_system AND c.lead_id = b.lead_id",
        );
        let contact = "COALESCE(b.first_contact_at, c.contacted_at)";
        let minutes = self.dialect.minutes_between("b.created_at", contact);
        base.special
            .push(("minutes_to_first_contact", format!("CASE WHEN {contact} >= b.created_at THEN {minutes} END")));
        base.special.push(("is_contacted", format!("{contact} IS NOT NULL")));
    }

    fn change_columns(&mut self, base: &mut Base, wants: &dyn Fn(&[&str]) -> bool) {
        if !wants(&["status_before"]) {
            return;
        }
        self.deal_changes();
        self.step(
            "changes_before",
            "SELECT source_system, change_id, LAG(status) OVER (PARTITION BY source_system, deal_id ORDER BY place) AS status\n  \
             FROM deal_changes"
                .to_owned(),
        );
        base.from.push_str(
            "\n  LEFT JOIN changes_before AS h ON h.source_system = b.source_system AND h.change_id = b.change_id",
        );
        base.special.push(("status_before", "COALESCE(h.status, b.from_status)".to_owned()));
    }

    fn ticket_columns(&mut self, base: &mut Base) {
        if let Some(day) = self.rewind_to {
            // A ticket that was resolved after the as-of day was open on it.
            self.read("tickets", &["is_closed", "resolution_minutes", "resolved_date"]);
            let day = self.dialect.date(day);
            let undone =
                |name: &str, then: &str| format!("CASE WHEN b.resolved_date > {day} THEN {then} ELSE b.{name} END");
            base.special.push(("is_closed", undone("is_closed", "FALSE")));
            base.special.push(("resolution_minutes", undone("resolution_minutes", "NULL")));
        }
    }

    fn line_item_columns(&mut self, base: &mut Base, wants: &dyn Fn(&[&str]) -> bool) {
        if !wants(&["is_sale", "deal_status", "deal_close_date", "sold_on"]) {
            return;
        }
        let lines = self.read("line_items", &["deal_id", "order_id", "sold_date"]);
        let deals = self.read("deals", &["deal_id", "status", "close_date"]);
        let orders = self.read("orders", &["order_id", "kind", "deal_id", "order_date"]);
        // Deals that have lines of their own.
        self.step(
            "deals_with_lines",
            format!(
                "SELECT DISTINCT l.source_system, l.deal_id\n  FROM {lines} AS l\n  \
                 LEFT JOIN {orders} AS o ON o.source_system = l.source_system AND o.order_id = l.order_id\n  \
                 WHERE l.deal_id IS NOT NULL AND (o.order_id IS NULL OR o.kind = 'order')"
            ),
        );
        let _ = write!(
            base.from,
            "\n  LEFT JOIN {orders} AS o ON o.source_system = b.source_system AND o.order_id = b.order_id\n  \
             LEFT JOIN {deals} AS d ON d.source_system = b.source_system AND d.deal_id = COALESCE(b.deal_id, o.deal_id)\n  \
             LEFT JOIN deals_with_lines AS w\n    \
             ON w.source_system = b.source_system AND w.deal_id = o.deal_id AND b.deal_id IS NULL"
        );
        // What an invoice or a credit lists, and an order of a deal with lines, was counted before.
        base.special.push((
            "is_sale",
            "(o.order_id IS NULL OR o.kind = 'order') AND w.deal_id IS NULL\n    \
             AND (COALESCE(b.deal_id, o.deal_id) IS NULL OR d.deal_id IS NOT NULL)"
                .to_owned(),
        ));
        let status = self.rewind_to.map_or_else(
            || "d.status".to_owned(),
            |day| format!("CASE WHEN d.close_date > {} THEN 'open' ELSE d.status END", self.dialect.date(day)),
        );
        base.special.push(("deal_status", status));
        base.special.push(("deal_close_date", "d.close_date".to_owned()));
        base.special.push(("sold_on", "COALESCE(b.sold_date, d.close_date, o.order_date)".to_owned()));
    }
}
