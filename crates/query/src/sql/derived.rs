//! Tables that no export contains, as CTEs: stays of deals and movements of the pipeline, active
//! times, recurring revenue.
//!
//! The rules are those of `crate::facts::derived`, said in window functions. Changes of the
//! same instant are taken in the order of their identifiers.

use dealframe_model::table::{ACCOUNTS, DEALS, Table};

use super::tables::{Base, Tables};
use crate::error::QueryError;
use crate::facts::derived::deal_history::PARTIAL;

static DEALS_TABLE: Table = DEALS;
static ACCOUNTS_TABLE: Table = ACCOUNTS;

/// Days after a purchase during which an account counts as active.
const ACTIVE_DAYS: i32 = 365;

/// Stands for "no end is known" where ends are compared.
const NO_END: &str = "DATE '9999-12-31'";

impl Tables<'_> {
    /// The base of a derived table.
    pub(super) fn derived(&mut self, name: &str) -> Result<Base, QueryError> {
        match name {
            "deal_states" => Ok(self.deal_states()),
            "pipeline_changes" => Ok(self.pipeline_changes()),
            "stage_entries" => Ok(self.stage_entries()),
            "stages_reached" => Ok(self.stages_reached()),
            "purchase_windows" => Ok(self.purchase_windows()),
            "contract_windows" => Ok(self.contract_windows()),
            "mrr_changes" => Ok(self.mrr_changes()),
            _ => Err(QueryError::engine("sql", format!("there is no table `{name}`"))),
        }
    }

    /// The changes of every deal in order, each with the whole state before and after it: `deal_changes`.
    pub(super) fn deal_changes(&mut self) {
        const FIELDS: [&str; 4] = ["stage", "status", "amount", "probability"];
        let changes = self.read(
            "stage_changes",
            &[
                "change_id",
                "deal_id",
                "changed_at",
                "changed_date",
                "stage",
                "from_stage",
                "status",
                "from_status",
                "amount",
                "from_amount",
                "probability",
                "from_probability",
                "origin",
            ],
        );
        // How many rows name a field at all.
        let counts =
            [("stage", "stages"), ("amount", "amounts"), ("probability", "probabilities")].map(|(field, counted)| {
                format!(
                    "COUNT(COALESCE({field}, from_{field})) OVER (PARTITION BY source_system, deal_id) AS {counted}"
                )
            });
        let partial = format!("('{}')", PARTIAL.join("', '"));
        // Of those that tell a state as a whole.
        let wholes = FIELDS.map(|field| {
            format!(
                "COUNT(CASE WHEN origin NOT IN {partial} THEN COALESCE({field}, from_{field}) END)\n      \
                 OVER (PARTITION BY source_system, deal_id) AS {field}_wholes"
            )
        });
        let counts = [counts.join(",\n    "), wholes.join(",\n    ")].join(",\n    ");
        self.step(
            "deal_rows",
            format!(
                "SELECT *, origin IN {partial} AS is_partial,\n    \
                 ROW_NUMBER() OVER (PARTITION BY source_system, deal_id ORDER BY changed_at, change_id) AS place,\n    \
                 COUNT(*) OVER (PARTITION BY source_system, deal_id) AS places,\n    \
                 {counts}\n  FROM {changes}"
            ),
        );
        // How many rows have told of a field so far, and what it was before each.
        let told = FIELDS.map(|field| {
            let before = match field {
                "amount" | "probability" => format!("CASE WHEN is_partial THEN from_{field} ELSE COALESCE(from_{field}, {field}) END"),
                _ => format!("from_{field}"),
            };
            format!(
                ",\n    COUNT(CASE WHEN NOT is_partial AND {field}_wholes > 0 OR COALESCE({field}, from_{field}) IS NOT NULL THEN 1 END)\n      \
                 OVER (PARTITION BY source_system, deal_id ORDER BY place) AS {field}_told,\n    {before} AS {field}_before"
            )
        });
        self.step("deal_told", format!("SELECT *{}\n  FROM deal_rows", told.concat()));
        let completed = FIELDS.map(|field| {
            let found = format!("MAX(CASE WHEN {field}_told = 1 THEN {field}_before END) OVER (PARTITION BY source_system, deal_id)");
            format!(
                ",\n    CASE WHEN {field}_told = 0 THEN {found}\n      \
                 ELSE FIRST_VALUE({field}) OVER (PARTITION BY source_system, deal_id, {field}_told ORDER BY place) END AS {field},\n    \
                 CASE WHEN {field}_told = 0 THEN {found}\n      ELSE {field}_before END AS from_{field}"
            )
        });
        self.step(
            "deal_changes",
            format!(
                "SELECT source_system, deal_id, change_id, changed_date, place, places, stages, amounts, probabilities,\n    \
                 place = MAX(place) OVER (PARTITION BY source_system, deal_id, changed_date) AS is_days_last{}\n  FROM deal_told",
                completed.concat()
            ),
        );
    }

    /// The changes of every deal in order, and what its present row says.
    fn deal_history(&mut self) {
        self.deal_changes();
        let deals =
            self.read("deals", &["deal_id", "status", "stage", "amount", "probability", "created_date", "close_date"]);
        let anchor = self.dialect.date(self.anchor.unwrap_or(0));
        self.step(
            "deal_spans",
            format!(
                "SELECT d.source_system, d.deal_id, d.status, d.stage, d.amount, d.probability, d.created_date,\n    \
                 COALESCE(l.places, 0) AS places,\n    COALESCE(l.stages, 0) AS stages,\n    \
                 COALESCE(l.amounts, 0) AS amounts,\n    COALESCE(l.probabilities, 0) AS probabilities,\n    \
                 COALESCE(d.created_date, f.changed_date, {anchor}) AS start_date,\n    \
                 CASE WHEN d.status = 'open' THEN NULL\n      \
                 ELSE COALESCE(d.close_date, l.changed_date, d.created_date) END AS closing_date\n  FROM {deals} AS d\n  \
                 LEFT JOIN deal_changes AS f\n    \
                 ON f.source_system = d.source_system AND f.deal_id = d.deal_id AND f.place = 1\n  \
                 LEFT JOIN deal_changes AS l\n    \
                 ON l.source_system = d.source_system AND l.deal_id = d.deal_id AND l.place = l.places"
            ),
        );
    }

    /// The open states of deals, one row each: `deal_stays`.
    fn deal_stays(&mut self) {
        self.deal_history();
        self.step(
            "deal_points",
            "SELECT s.source_system, s.deal_id, 0 AS place, s.start_date AS valid_from,\n    \
             CASE WHEN s.places = 0 THEN TRUE ELSE COALESCE(f.from_status, 'open') = 'open' END AS is_open,\n    \
             'open' AS status,\n    \
             CASE WHEN s.stages = 0 THEN CASE WHEN s.status = 'open' THEN s.stage END\n      \
             ELSE COALESCE(f.from_stage, CASE WHEN COALESCE(f.status, 'open') = 'open' THEN f.stage END) END AS stage,\n    \
             CASE WHEN s.amounts = 0 THEN s.amount ELSE f.from_amount END AS amount,\n    \
             CASE WHEN s.probabilities = 0 THEN s.probability ELSE f.from_probability END AS probability,\n    \
             s.created_date IS NOT NULL AS is_dated, s.start_date, s.closing_date, s.status AS last_status\n  FROM deal_spans AS s\n  LEFT JOIN deal_changes AS f\n    \
             ON f.source_system = s.source_system AND f.deal_id = s.deal_id AND f.place = 1\n  \
             WHERE s.status = 'open' OR s.closing_date IS NOT NULL\n  UNION ALL\n  \
             SELECT s.source_system, s.deal_id, c.place, GREATEST(c.changed_date, s.start_date),\n    \
             (c.place = c.places AND s.status = 'open') OR COALESCE(c.status, 'open') = 'open', c.status,\n    \
             CASE WHEN s.status = 'open' AND (s.stages = 0 OR c.place = c.places) THEN s.stage ELSE c.stage END,\n    \
             CASE WHEN s.amounts = 0 OR (c.place = c.places AND s.status = 'open') THEN s.amount ELSE c.amount END,\n    \
             CASE WHEN s.probabilities = 0 OR (c.place = c.places AND s.status = 'open') THEN s.probability\n      \
             ELSE c.probability END,\n    \
             s.created_date IS NOT NULL, s.start_date, s.closing_date, s.status\n  FROM deal_changes AS c\n  JOIN deal_spans AS s\n    \
             ON s.source_system = c.source_system AND s.deal_id = c.deal_id\n  \
             WHERE s.status = 'open' OR s.closing_date IS NOT NULL"
                .to_owned(),
        );
        // On its last day a deal is closed as its present row says, on others as the last change of the day does.
        self.step(
            "deal_stays",
            "SELECT source_system, deal_id, place, stage, amount, probability, valid_from, valid_until,\n    \
             (starts_open OR is_dated) AND valid_from = start_date AS is_first,\n    \
             CASE WHEN valid_until = closing_date THEN last_status ELSE next_status END = 'won' AS ends_won\n  \
             FROM (SELECT *, LEAST(LEAD(valid_from) OVER (PARTITION BY source_system, deal_id ORDER BY place), closing_date)\n      \
             AS valid_until,\n      LEAD(day_status) OVER (PARTITION BY source_system, deal_id ORDER BY place) AS next_status\n    \
             FROM (SELECT *,\n        \
             FIRST_VALUE(is_open) OVER (PARTITION BY source_system, deal_id ORDER BY place) AS starts_open,\n        \
             FIRST_VALUE(status) OVER (PARTITION BY source_system, deal_id, valid_from ORDER BY place DESC) AS day_status\n      \
             FROM deal_points) AS points) AS stays\n  \
             WHERE is_open AND (valid_until IS NULL OR valid_until > valid_from)"
                .to_owned(),
        );
    }

    fn deal_states(&mut self) -> Base {
        self.deal_stays();
        let special = ["stage", "amount", "probability", "valid_from", "valid_until"];
        let mut base = by_deal("deal_stays", &special);
        base.special.push(("expected_close_date", "b.close_date".to_owned()));
        base
    }

    fn pipeline_changes(&mut self) -> Base {
        self.deal_stays();
        self.step(
            "pipeline_stays",
            "SELECT *,\n    \
             COALESCE(LAG(valid_until) OVER deal = valid_from, FALSE) AS goes_on,\n    \
             LAG(stage) OVER deal AS stage_before, LAG(amount) OVER deal AS amount_before,\n    \
             LAG(probability) OVER deal AS probability_before,\n    \
             COALESCE(LEAD(valid_from) OVER deal = valid_until, FALSE) AS is_followed\n  FROM deal_stays\n  \
             WINDOW deal AS (PARTITION BY source_system, deal_id ORDER BY place)"
                .to_owned(),
        );
        let moved =
            "goes_on AND (stage_before IS DISTINCT FROM stage OR probability_before IS DISTINCT FROM probability)";
        let valued = "goes_on AND amount_before IS DISTINCT FROM amount";
        let kind = "CASE WHEN COALESCE(amount, 0) < COALESCE(amount_before, 0) THEN 'lowered' ELSE 'raised' END";
        let rows = |date: &str, movement: &str, direction: i32, state: [&str; 3], condition: &str| {
            let [stage, amount, probability] = state;
            format!(
                "SELECT source_system, deal_id, {date} AS change_date, {movement} AS movement, {direction} AS direction,\n    \
                 {stage} AS stage, {amount} AS amount, {probability} AS probability\n  FROM pipeline_stays\n  WHERE {condition}"
            )
        };
        let (now, before) =
            (["stage", "amount", "probability"], ["stage_before", "amount_before", "probability_before"]);
        // Where a deal comes to stand, with the amount that it had.
        let there = ["stage", "amount_before", "probability"];
        let steps = [
            rows("valid_from", "CASE WHEN is_first THEN 'opened' ELSE 'reopened' END", 1, now, "NOT goes_on"),
            rows("valid_from", "'moved'", -1, before, moved),
            rows("valid_from", "'moved'", 1, there, moved),
            rows("valid_from", kind, -1, there, valued),
            rows("valid_from", kind, 1, now, valued),
            rows(
                "valid_until",
                "CASE WHEN ends_won THEN 'won' ELSE 'lost' END",
                -1,
                now,
                "valid_until IS NOT NULL AND NOT is_followed",
            ),
        ];
        self.step("pipeline_steps", steps.join("\n  UNION ALL\n  "));
        let special = ["stage", "amount", "probability", "change_date", "movement", "direction"];
        let mut base = by_deal("pipeline_steps", &special);
        base.special.push(("expected_close_date", "b.close_date".to_owned()));
        base
    }

    /// The first stays of deals in stages, one row each: `deal_entries`.
    fn deal_entries(&mut self) {
        self.deal_history();
        self.step(
            "deal_steps",
            "SELECT s.source_system, s.deal_id, 0 AS place, s.created_date AS entered_date,\n    \
             s.created_date IS NOT NULL AS is_dated, s.stage, 'open' AS outcome, s.closing_date, s.status\n  \
             FROM deal_spans AS s\n  JOIN (SELECT DISTINCT source_system FROM deal_changes) AS followed\n    \
             ON followed.source_system = s.source_system\n  \
             WHERE s.places = 0 AND s.status = 'open' AND s.stage IS NOT NULL AND s.created_date IS NOT NULL\n  UNION ALL\n  \
             SELECT source_system, deal_id, 0, LEAST(COALESCE(created_date, changed_date), changed_date),\n    \
             created_date IS NOT NULL, stage, 'open', closing_date, status\n  \
             FROM (SELECT f.source_system, f.deal_id, f.changed_date, s.created_date, s.closing_date, s.status,\n      \
             CASE WHEN s.stages = 0 AND s.status = 'open' THEN s.stage ELSE f.from_stage END AS stage\n    \
             FROM deal_changes AS f\n    JOIN deal_spans AS s\n      \
             ON s.source_system = f.source_system AND s.deal_id = f.deal_id\n    \
             WHERE f.place = 1 AND COALESCE(f.from_status, 'open') = 'open') AS firsts\n  \
             WHERE stage IS NOT NULL\n  UNION ALL\n  \
             SELECT source_system, deal_id, place, changed_date, TRUE, stage, 'open', closing_date, status\n  \
             FROM (SELECT c.source_system, c.deal_id, c.place, c.changed_date, s.closing_date, s.status,\n      \
             CASE WHEN s.stages = 0 AND s.status = 'open' THEN s.stage ELSE c.stage END AS stage\n    \
             FROM deal_changes AS c\n    JOIN deal_spans AS s\n      \
             ON s.source_system = c.source_system AND s.deal_id = c.deal_id\n    \
             WHERE COALESCE(c.status, 'open') = 'open'\n      \
             AND (s.closing_date IS NULL OR c.changed_date <= s.closing_date)) AS moves\n  \
             WHERE stage IS NOT NULL\n  UNION ALL\n  \
             SELECT c.source_system, c.deal_id, c.place, c.changed_date, TRUE, CAST(NULL AS STRING), c.status, s.closing_date, s.status\n  \
             FROM deal_changes AS c\n  JOIN deal_spans AS s\n    \
             ON s.source_system = c.source_system AND s.deal_id = c.deal_id\n  \
             WHERE c.status <> 'open' AND c.is_days_last AND (s.closing_date IS NULL OR c.changed_date < s.closing_date)"
                .to_owned(),
        );
        self.step(
            "deal_visits",
            "SELECT *,\n    LEAD(stage) OVER (PARTITION BY source_system, deal_id ORDER BY place) AS next_stage,\n    \
             LEAD(outcome) OVER (PARTITION BY source_system, deal_id ORDER BY place) AS next_outcome,\n    \
             LEAD(entered_date) OVER (PARTITION BY source_system, deal_id ORDER BY place) AS next_date,\n    \
             ROW_NUMBER() OVER (PARTITION BY source_system, deal_id, stage ORDER BY place) AS visit\n  \
             FROM (SELECT *, LAG(stage) OVER (PARTITION BY source_system, deal_id ORDER BY place) AS stage_before\n    \
             FROM deal_steps) AS steps\n  WHERE stage IS NULL OR stage_before IS NULL OR stage_before <> stage"
                .to_owned(),
        );
        let days = self.dialect.days_between("entered_date", "COALESCE(next_date, closing_date)");
        self.step(
            "deal_entries",
            format!(
                "SELECT source_system, deal_id, place, stage, next_stage, entered_date,\n    \
                 COALESCE(next_date, closing_date) AS left_date, CASE WHEN is_dated THEN {days} END AS days_in_stage,\n    \
                 COALESCE(next_outcome, status) = 'won' OR COALESCE(next_outcome, '') = 'open' AS is_moved_on,\n    \
                 COALESCE(next_outcome, status) NOT IN ('open', 'won') AS is_lost_here,\n    \
                 status = 'won' AS is_won, status <> 'open' AS is_closed\n  FROM deal_visits\n  \
                 WHERE visit = 1 AND stage IS NOT NULL"
            ),
        );
    }

    fn stage_entries(&mut self) -> Base {
        self.deal_entries();
        let mut base = by_deal("deal_entries", &["stage", "next_stage", "entered_date", "left_date", "days_in_stage"]);
        self.outcomes(&mut base, &[("is_moved_on", "w.left_date"), ("is_lost_here", "w.left_date")]);
        base
    }

    fn stages_reached(&mut self) -> Base {
        self.deal_entries();
        self.read("deals", &["pipeline"]);
        self.step(
            "funnel_entries",
            "SELECT e.source_system, e.deal_id, d.pipeline, e.stage, e.place, e.entered_date, e.is_won, e.is_closed\n  \
             FROM deal_entries AS e\n  JOIN lake_deals AS d ON d.source_system = e.source_system AND d.deal_id = e.deal_id"
                .to_owned(),
        );
        // How often a stage was entered after another one, less how often before it.
        self.step(
            "funnel_pairs",
            "SELECT e.source_system, e.pipeline, e.stage, o.stage AS other,\n    \
             SUM(CASE WHEN o.place < e.place THEN 1 ELSE -1 END) AS net\n  FROM funnel_entries AS e\n  \
             JOIN funnel_entries AS o ON o.source_system = e.source_system AND o.deal_id = e.deal_id AND o.stage <> e.stage\n  \
             GROUP BY e.source_system, e.pipeline, e.stage, o.stage"
                .to_owned(),
        );
        self.step(
            "funnel_levels",
            "SELECT s.source_system, s.pipeline, s.stage, SUM(CASE WHEN p.net > 0 THEN 1 ELSE 0 END) AS level\n  \
             FROM (SELECT DISTINCT source_system, pipeline, stage FROM funnel_entries) AS s\n  \
             LEFT JOIN funnel_pairs AS p ON p.source_system = s.source_system\n    \
             AND p.pipeline IS NOT DISTINCT FROM s.pipeline AND p.stage = s.stage\n  \
             GROUP BY s.source_system, s.pipeline, s.stage"
                .to_owned(),
        );
        self.step(
            "funnel_wins",
            "SELECT source_system, deal_id, MIN(won_date) AS won_date\n  FROM (\n    \
             SELECT source_system, deal_id, entered_date AS won_date FROM deal_steps WHERE outcome = 'won'\n    \
             UNION ALL\n    \
             SELECT source_system, deal_id, closing_date FROM deal_spans WHERE status = 'won') AS wins\n  \
             GROUP BY source_system, deal_id"
                .to_owned(),
        );
        // Every deal beside every stage of its pipeline: when it came there, when beyond.
        self.step(
            "funnel_dates",
            "SELECT e.source_system, e.deal_id, l.stage, e.is_won, e.is_closed, w.won_date,\n    \
             MIN(CASE WHEN e.stage = l.stage THEN e.entered_date END) AS own_date,\n    \
             MIN(CASE WHEN o.level > l.level THEN e.entered_date END) AS later_date\n  FROM funnel_entries AS e\n  \
             JOIN funnel_levels AS o ON o.source_system = e.source_system\n    \
             AND o.pipeline IS NOT DISTINCT FROM e.pipeline AND o.stage = e.stage\n  \
             JOIN funnel_levels AS l ON l.source_system = e.source_system\n    \
             AND l.pipeline IS NOT DISTINCT FROM e.pipeline\n  \
             LEFT JOIN funnel_wins AS w ON w.source_system = e.source_system AND w.deal_id = e.deal_id\n  \
             GROUP BY e.source_system, e.deal_id, l.stage, e.is_won, e.is_closed, w.won_date"
                .to_owned(),
        );
        self.step(
            "funnel_stages",
            "SELECT source_system, deal_id, stage, is_won, is_closed, reached_date, passed_date,\n    \
             passed_date IS NOT NULL AS is_passed,\n    \
             COALESCE(own_date > reached_date, TRUE) AS is_skipped\n  \
             FROM (SELECT *, LEAST(own_date, later_date, won_date) AS reached_date,\n      \
             LEAST(later_date, won_date) AS passed_date\n    FROM funnel_dates) AS dates\n  \
             WHERE reached_date IS NOT NULL"
                .to_owned(),
        );
        let mut base = by_deal("funnel_stages", &["stage", "reached_date", "passed_date", "is_skipped"]);
        self.outcomes(&mut base, &[("is_passed", "w.passed_date")]);
        base
    }

    /// Truth values that hold from a day on, and how the deal ended.
    fn outcomes(&self, base: &mut Base, outcomes: &[(&'static str, &str)]) {
        for (name, dated) in outcomes.iter().chain(&[("is_won", "b.close_date"), ("is_closed", "b.close_date")]) {
            // What came after the as-of day was not yet so on it.
            let sql = match self.rewind_to {
                Some(day) => format!("CASE WHEN {dated} > {} THEN FALSE ELSE w.{name} END", self.dialect.date(day)),
                None => format!("w.{name}"),
            };
            base.special.push((*name, sql));
        }
    }

    fn purchase_windows(&mut self) -> Base {
        let deals = self.read("deals", &["account_id", "status", "close_date"]);
        let orders = self.read("orders", &["account_id", "kind", "order_date"]);
        let [deal_end, order_end] = ["close_date", "order_date"].map(|date| self.dialect.add_days(date, ACTIVE_DAYS));
        self.step(
            "purchases",
            format!(
                "SELECT source_system, account_id, close_date AS starts, {deal_end} AS ends\n  FROM {deals}\n  \
                 WHERE status = 'won' AND account_id IS NOT NULL AND close_date IS NOT NULL\n  UNION ALL\n  \
                 SELECT source_system, account_id, order_date, {order_end}\n  FROM {orders}\n  \
                 WHERE kind IN ('order', 'invoice') AND account_id IS NOT NULL AND order_date IS NOT NULL"
            ),
        );
        self.windows("purchases", "bought")
    }

    fn contract_windows(&mut self) -> Base {
        let subscriptions = self.read("subscriptions", &["account_id", "is_trial", "start_date", "end_date"]);
        let accounts = self.read("accounts", &["account_id", "contract_start_date", "cancelled_date"]);
        self.step(
            "contracts",
            format!(
                "SELECT source_system, account_id, start_date AS starts, COALESCE(end_date, {NO_END}) AS ends\n  \
                 FROM {subscriptions}\n  \
                 WHERE NOT COALESCE(is_trial, FALSE) AND account_id IS NOT NULL AND start_date IS NOT NULL\n    \
                 AND (end_date IS NULL OR end_date > start_date)\n  UNION ALL\n  \
                 SELECT source_system, account_id, contract_start_date, COALESCE(cancelled_date, {NO_END})\n  \
                 FROM {accounts}\n  WHERE contract_start_date IS NOT NULL\n    \
                 AND (cancelled_date IS NULL OR cancelled_date > contract_start_date)"
            ),
        );
        self.windows("contracts", "under_contract")
    }

    /// Overlapping and touching spans of an account become one.
    fn windows(&mut self, spans: &str, name: &str) -> Base {
        self.read("accounts", &["account_id"]);
        self.step(
            &format!("{name}_runs"),
            format!(
                "SELECT source_system, account_id, starts, ends,\n    \
                 CASE WHEN starts <= MAX(ends) OVER (PARTITION BY source_system, account_id ORDER BY starts, ends\n      \
                 ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) THEN 0 ELSE 1 END AS is_new\n  FROM {spans}"
            ),
        );
        self.step(
            name,
            format!(
                "SELECT source_system, account_id, MIN(starts) AS active_from,\n    \
                 CASE WHEN MAX(ends) < {NO_END} THEN MAX(ends) END AS active_until\n  \
                 FROM (SELECT *, SUM(is_new) OVER (PARTITION BY source_system, account_id ORDER BY starts, ends\n      \
                 ROWS UNBOUNDED PRECEDING) AS run\n    FROM {name}_runs) AS runs\n  \
                 GROUP BY source_system, account_id, run"
            ),
        );
        by_account(name, &["active_from", "active_until"])
    }

    fn mrr_changes(&mut self) -> Base {
        self.read("accounts", &["account_id"]);
        let subscriptions =
            self.read("subscriptions", &["account_id", "is_trial", "start_date", "end_date", "mrr_amount", "currency"]);
        let counts = "NOT COALESCE(is_trial, FALSE) AND account_id IS NOT NULL AND start_date IS NOT NULL\n    \
                      AND mrr_amount IS NOT NULL AND (end_date IS NULL OR end_date > start_date)";
        self.step(
            "mrr_deltas",
            format!(
                "SELECT source_system, account_id, currency, change_date, SUM(delta) AS amount\n  FROM (\n    \
                 SELECT source_system, account_id, currency, start_date AS change_date, mrr_amount AS delta\n    \
                 FROM {subscriptions}\n    WHERE {counts}\n    UNION ALL\n    \
                 SELECT source_system, account_id, currency, end_date, -mrr_amount\n    \
                 FROM {subscriptions}\n    WHERE {counts} AND end_date IS NOT NULL) AS deltas\n  \
                 GROUP BY source_system, account_id, currency, change_date\n  HAVING SUM(delta) <> 0"
            ),
        );
        self.step(
            "mrr_levels",
            "SELECT *,\n    SUM(amount) OVER (PARTITION BY source_system, account_id, currency ORDER BY change_date\n      \
             ROWS UNBOUNDED PRECEDING) AS level\n  FROM mrr_deltas"
                .to_owned(),
        );
        // An account is a customer while it pays in any currency: how many it starts and ceases to pay in on a day.
        self.step(
            "mrr_days",
            "SELECT source_system, account_id, change_date,\n    \
             SUM(CASE WHEN level <> 0 THEN 1 ELSE 0 END - CASE WHEN level <> amount THEN 1 ELSE 0 END) AS currencies\n  \
             FROM mrr_levels\n  GROUP BY source_system, account_id, change_date"
                .to_owned(),
        );
        self.step(
            "mrr_states",
            "SELECT *,\n    SUM(currencies) OVER (PARTITION BY source_system, account_id ORDER BY change_date\n      \
             ROWS UNBOUNDED PRECEDING) AS currencies_after,\n    \
             ROW_NUMBER() OVER (PARTITION BY source_system, account_id ORDER BY change_date) AS place\n  FROM mrr_days"
                .to_owned(),
        );
        self.step(
            "mrr_movements",
            "SELECT l.source_system, l.account_id, l.currency, l.change_date, l.amount,\n    \
             CASE WHEN s.place = 1 THEN 'new' WHEN s.currencies_after = s.currencies THEN 'reactivation'\n      \
             WHEN s.currencies_after = 0 THEN 'churn' WHEN l.amount > 0 THEN 'expansion' ELSE 'contraction' END AS movement\n  \
             FROM mrr_levels AS l\n  JOIN mrr_states AS s ON s.source_system = l.source_system\n    \
             AND s.account_id = l.account_id AND s.change_date = l.change_date"
                .to_owned(),
        );
        by_account("mrr_movements", &["currency", "change_date", "amount", "movement"])
    }
}

/// Rows of a step, each with its deal.
fn by_deal(step: &str, columns: &[&'static str]) -> Base {
    Base {
        like: &DEALS_TABLE,
        from: format!(
            "{step} AS w\n  JOIN lake_deals AS b ON b.source_system = w.source_system AND b.deal_id = w.deal_id"
        ),
        own: Vec::new(),
        special: columns.iter().map(|name| (*name, format!("w.{name}"))).collect(),
    }
}

/// Rows of a step, each with its account if one is described.
fn by_account(step: &str, columns: &[&'static str]) -> Base {
    let mut base = Base { like: &ACCOUNTS_TABLE, from: String::new(), own: Vec::new(), special: Vec::new() };
    Tables::described(&mut base, step);
    base.special.extend(columns.iter().map(|name| (*name, format!("w.{name}"))));
    base
}
