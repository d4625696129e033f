//! Random small companies, the same in every run.
//!
//! A row is made from a handful of bytes that proptest draws and shrinks; a byte of 0 is always
//! the dullest choice. Everything that real exports do wrong is in here: missing values,
//! references to nothing, deleted rows, amounts of 0, deals closed before they were created, a
//! month in which nothing happened.

use dealframe_model::date;
use proptest::collection::vec;
use proptest::prelude::{Strategy, any};
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::value::{Fraction, Value};
use super::world::{Row, World, cell, day};

const FIRST_DAY: &str = "2022-10-03";
/// The running day lies inside a month and a quarter, so that both are incomplete.
pub const AS_OF: &str = "2024-05-20";

/// A range that holds every date of every company.
pub fn everything_there_is() -> (i32, i32) {
    (day("2022-07-01"), day("2025-01-01"))
}

/// The days that questions are about: six quarters, of which the last still runs.
pub fn asked() -> (i32, i32) {
    (day("2023-01-01"), day("2024-06-01"))
}

type Bytes = [u8; 32];

/// Bytes that become a row.
struct Draw<'a> {
    bytes: &'a Bytes,
    place: usize,
}

impl Draw<'_> {
    fn below(&mut self, limit: usize) -> usize {
        let byte = usize::from(self.bytes[self.place % self.bytes.len()]);
        // Bytes are used again, in another light, once all are used up.
        let byte = (byte + self.place / self.bytes.len() * 97) % 256;
        self.place += 1;
        byte * limit / 256
    }

    /// Whether a value is there, which it is in all but one of `limit` cases.
    fn is_there(&mut self, limit: usize) -> bool {
        self.below(limit) != limit - 1
    }

    fn text(&mut self, texts: &[&str]) -> Value {
        Value::text(texts[self.below(texts.len())])
    }

    fn text_or_null(&mut self, texts: &[&str]) -> Value {
        let found = self.text(texts);
        if self.is_there(6) { found } else { Value::Null }
    }

    fn number(&self, name: &str, count: usize) -> Value {
        Value::Text(format!("{name}{count}"))
    }

    fn key_or_null(&mut self, prefix: &str, count: usize) -> Value {
        let found = self.below(count);
        if self.is_there(8) { self.number(prefix, found) } else { Value::Null }
    }

    fn day(&mut self) -> i32 {
        let days = (day(AS_OF) - day(FIRST_DAY) + 1) as usize;
        let high = self.below(256);
        skip_empty_month(day(FIRST_DAY) + ((high * 256 + self.below(256)) % days) as i32)
    }

    fn date(&mut self) -> Value {
        let day = self.day();
        if self.is_there(12) { Value::Date(day) } else { Value::Null }
    }

    fn money(&mut self) -> Value {
        let cents = self.below(256) * self.below(200) * 37;
        if self.is_there(6) { Value::Number(Fraction::scaled(cents as i128, 2)) } else { Value::Null }
    }

    fn count(&mut self, most: usize) -> Value {
        let count = self.below(most);
        if self.is_there(6) { Value::whole(count as i64) } else { Value::Null }
    }

    fn flag(&mut self) -> Value {
        match self.below(3) {
            0 => Value::Boolean(false),
            1 => Value::Boolean(true),
            _ => Value::Null,
        }
    }

    /// A day, and an instant on it.
    fn instant_on(&mut self, day: i32) -> Value {
        Value::Instant(i64::from(day) * 86_400_000_000 + self.below(1440) as i64 * 60_000_000)
    }
}

/// Nothing ever happens in August 2023.
fn skip_empty_month(found: i32) -> i32 {
    let (year, month, _) = date::to_civil(found);
    if (year, month) == (2023, 8) { found + 31 } else { found }
}

const REGIONS: &[&str] = &["North", "South", "Ost"];
const STAGES: &[&str] = &["Lead", "Offer", "Talks"];
const CHANNELS: &[&str] = &["Web", "Referral", "Word of mouth", "Ads"];
const CAMPAIGNS: &[&str] = &["Spring", "Autumn"];

/// Random companies of a few dozen rows per table, of none in some.
pub fn worlds() -> impl Strategy<Value = World> {
    worlds_of(0)
}

/// A company with many rows in every table; other seeds give others.
pub fn rich_world(seed: u8) -> World {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    worlds_of(3).new_tree(&mut runner).unwrap().current()
}

/// Companies with at least `thirds` thirds of the usual number of rows.
fn worlds_of(thirds: usize) -> impl Strategy<Value = World> {
    let rows = move |most: usize| vec(any::<Bytes>(), most * thirds / 3..=most);
    let people = (rows(5), rows(4), rows(6), rows(18));
    let sales = (rows(28), rows(18), rows(12), rows(10));
    let service = (rows(12), rows(14), rows(16), rows(8));
    let rest = (rows(8), rows(6), rows(14));
    (people, sales, service, rest).prop_map(|(people, sales, service, rest)| {
        let mut world = World::new(AS_OF);
        fill(&mut world, "users", &people.0, user);
        fill(&mut world, "products", &people.1, product);
        fill(&mut world, "accounts", &people.2, account);
        fill(&mut world, "leads", &people.3, lead);
        fill(&mut world, "deals", &sales.0, deal);
        add_changes(&mut world, &sales.0);
        fill(&mut world, "line_items", &sales.1, line_item);
        fill(&mut world, "orders", &sales.2, order);
        fill(&mut world, "subscriptions", &sales.3, subscription);
        fill(&mut world, "tickets", &service.0, ticket);
        fill(&mut world, "surveys", &service.1, survey);
        fill(&mut world, "activities", &service.2, activity);
        fill(&mut world, "referrals", &service.3, referral);
        fill(&mut world, "targets", &rest.0, target);
        fill(&mut world, "events", &rest.1, event);
        fill(&mut world, "spend", &rest.2, spend);
        world
    })
}

fn fill(world: &mut World, table: &'static str, all: &[Bytes], make: fn(&mut Draw, usize) -> Row) {
    let rows = all.iter().enumerate().map(|(place, bytes)| {
        let mut draw = Draw { bytes, place: 0 };
        let mut row = make(&mut draw, place);
        // The same identifiers may come from two systems and are then not the same things.
        row.insert("source_system", draw.text(&["test", "test", "test", "test", "test", "test", "test", "other"]));
        if draw.below(14) == 13 {
            row.insert("is_deleted", Value::Boolean(true));
        }
        row
    });
    world.tables.insert(table, rows.collect());
}

fn user(draw: &mut Draw, place: usize) -> Row {
    let hired = draw.date();
    Row::from([
        ("user_id", draw.number("u", place)),
        ("name", draw.text_or_null(&["Ann", "Bob", "Cem", "Dora"])),
        ("team", draw.text_or_null(&["Blue", "Red"])),
        ("role", draw.text_or_null(&["rep", "lead"])),
        ("manager_id", draw.key_or_null("u", 6)),
        ("manager_name", draw.text_or_null(&["Eve"])),
        ("region", draw.text_or_null(REGIONS)),
        ("country", draw.text_or_null(&["DE", "FR"])),
        ("left_date", if draw.below(3) == 2 { Value::Date(draw.day()) } else { Value::Null }),
        ("hired_date", hired),
    ])
}

fn product(draw: &mut Draw, place: usize) -> Row {
    Row::from([
        ("product_id", draw.number("p", place)),
        ("name", draw.text_or_null(&["Disk", "Fan", "Lamp"])),
        ("family", draw.text_or_null(&["Parts", "Light"])),
    ])
}

fn account(draw: &mut Draw, place: usize) -> Row {
    Row::from([
        ("account_id", draw.number("a", place)),
        ("name", draw.text_or_null(&["Acme", "Bolt", "Core", "Dent", "Epic"])),
        ("industry", draw.text_or_null(&["Food", "Steel"])),
        ("account_type", draw.text_or_null(&["Small", "Large"])),
        ("country", draw.text_or_null(&["DE", "FR"])),
        ("region", draw.text_or_null(REGIONS)),
        ("owner_id", draw.key_or_null("u", 6)),
        ("lead_source", draw.text_or_null(CHANNELS)),
        ("created_date", draw.date()),
        ("contract_start_date", if draw.below(2) == 1 { Value::Date(draw.day()) } else { Value::Null }),
        ("cancelled_date", if draw.below(3) == 2 { Value::Date(draw.day()) } else { Value::Null }),
        ("cancel_reason", draw.text_or_null(&["Price", "Moved"])),
    ])
}

fn lead(draw: &mut Draw, place: usize) -> Row {
    let created = draw.date();
    let mut row = Row::from([
        ("lead_id", draw.number("l", place)),
        ("kind", draw.text(&["lead", "lead", "lead", "contact"])),
        ("account_id", draw.key_or_null("a", 7)),
        ("owner_id", draw.key_or_null("u", 6)),
        ("lead_source", draw.text_or_null(CHANNELS)),
        ("campaign", draw.text_or_null(CAMPAIGNS)),
        ("device", draw.text_or_null(&["phone", "desk"])),
        ("country", draw.text_or_null(&["DE", "FR"])),
        ("region", draw.text_or_null(REGIONS)),
        ("is_qualified", Value::Boolean(draw.below(2) == 1)),
        ("is_converted", Value::Boolean(draw.below(3) == 2)),
        ("disqualified_reason", if draw.below(4) == 3 { Value::text("No budget") } else { Value::Null }),
        ("qualified_date", draw.date()),
        ("converted_date", draw.date()),
        ("converted_deal_id", if draw.below(2) == 1 { draw.key_or_null("d", 30) } else { Value::Null }),
    ]);
    if let Some(day) = created.as_date() {
        let instant = draw.instant_on(day);
        let later = draw.below(3) as i32;
        let contact = draw.instant_on(day + later);
        row.insert("created_at", if draw.is_there(6) { instant } else { Value::Null });
        row.insert("first_contact_at", if draw.below(2) == 1 { contact } else { Value::Null });
    }
    row.insert("created_date", created);
    row
}

fn deal(draw: &mut Draw, place: usize) -> Row {
    let created = draw.date();
    let status = draw.text(&["won", "lost", "open", "won"]);
    let length = draw.below(140) as i32 - 8;
    let close = skip_empty_month(created.as_date().unwrap_or_else(|| draw.day()) + length);
    let close = if status == Value::text("open") { close + 60 } else { close.min(day(AS_OF)) };
    let stage = match status.as_text() {
        Some("open") => draw.text_or_null(STAGES),
        Some("won") => Value::text("Closed Won"),
        _ => Value::text("Closed Lost"),
    };
    let lost = status == Value::text("lost");
    Row::from([
        ("deal_id", draw.number("d", place)),
        ("account_id", draw.key_or_null("a", 7)),
        ("owner_id", draw.key_or_null("u", 6)),
        ("owner_name", draw.text_or_null(&["Ann", "Zoe"])),
        ("team", if draw.below(4) == 3 { Value::text("Green") } else { Value::Null }),
        ("pipeline", draw.text_or_null(&["Main", "Side"])),
        ("deal_type", draw.text_or_null(&["new", "upsell", "Cross-Sell", "Renewal"])),
        ("amount", draw.money()),
        ("cost_amount", draw.money()),
        ("list_amount", draw.money()),
        ("discount_amount", draw.money()),
        ("probability", probability(draw)),
        ("product_id", draw.key_or_null("p", 5)),
        ("region", draw.text_or_null(REGIONS)),
        ("country", draw.text_or_null(&["DE", "FR"])),
        ("lead_source", draw.text_or_null(CHANNELS)),
        ("campaign", draw.text_or_null(CAMPAIGNS)),
        ("forecast_category", draw.text_or_null(&["Commit", "Best case"])),
        ("loss_reason", if lost { draw.text_or_null(&["Price", "Timing"]) } else { Value::Null }),
        ("first_contact_date", draw.date()),
        ("proposal_date", draw.date()),
        ("signed_date", draw.date()),
        ("currency", Value::text("EUR")),
        ("close_date", if draw.is_there(14) { Value::Date(close) } else { Value::Null }),
        ("created_date", created),
        ("status", status),
        ("stage", stage),
    ])
}

fn probability(draw: &mut Draw) -> Value {
    let share = draw.below(21) as i128 * 5;
    if draw.is_there(6) { Value::Number(Fraction::scaled(share, 2)) } else { Value::Null }
}

/// A history for about half of the deals: up to three open states, and perhaps the end; of whole states or of fields.
fn add_changes(world: &mut World, all: &[Bytes]) {
    let deals = world.rows("deals").to_vec();
    let mut changes = Vec::new();
    for (deal, bytes) in deals.iter().zip(all) {
        let mut draw = Draw { bytes, place: 40 };
        let status = cell(deal, "status");
        let open = status == Value::text("open");
        let close = cell(deal, "close_date").as_date().filter(|_| !open);
        let Some(created) = cell(deal, "created_date").as_date() else { continue };
        let last = close.unwrap_or(day(AS_OF));
        if last <= created || draw.below(2) == 0 {
            continue;
        }
        // Now and then the history begins before the deal or goes on after its end.
        let (first, last) = match draw.below(8) {
            6 => (created - 20, last),
            7 => (created, (last + 20).min(day(AS_OF))),
            _ => (created, last),
        };
        let mut days: Vec<i32> =
            (0..draw.below(4)).map(|_| first + draw.below((last - first) as usize) as i32).collect();
        days.sort_unstable();
        let mut before: Option<Row> = None;
        let count = days.len();
        for (place, day) in days.into_iter().enumerate() {
            // Some deals are closed for a while and opened again by the next change.
            let is_last = place + 1 == count;
            let closed = draw.below(5) == 4 && !(open && is_last);
            let (status, stage) = match (closed, draw.below(2)) {
                (false, _) => (Value::text("open"), draw.text(STAGES)),
                (true, 0) => (Value::text("lost"), Value::text("Closed Lost")),
                (true, _) => (Value::text("won"), Value::text("Closed Won")),
            };
            let mut after = Row::from([
                ("status", status),
                ("stage", stage),
                ("amount", draw.money()),
                ("probability", probability(&mut draw)),
            ]);
            if open && is_last {
                for column in ["stage", "amount", "probability"] {
                    after.insert(column, cell(deal, column));
                }
            }
            changes.push(change(deal, &mut before, after, day, place, &mut draw));
        }
        if let Some(close) = close.filter(|_| draw.below(2) == 1) {
            let after = Row::from([
                ("status", status),
                ("stage", cell(deal, "stage")),
                ("amount", cell(deal, "amount")),
                ("probability", cell(deal, "probability")),
            ]);
            changes.push(change(deal, &mut before, after, close, count, &mut draw));
        }
    }
    world.tables.insert("stage_changes", changes);
}

fn change(deal: &Row, before: &mut Option<Row>, after: Row, day: i32, place: usize, draw: &mut Draw) -> Row {
    let id = cell(deal, "deal_id");
    let mut row = Row::from([
        ("change_id", Value::Text(format!("{}-{place}", id.as_text().unwrap_or_default()))),
        ("deal_id", id),
        ("source_system", cell(deal, "source_system")),
        ("changed_date", Value::Date(day)),
        ("changed_at", Value::Instant(i64::from(day) * 86_400_000_000 + place as i64 * 60_000_000)),
        ("origin", Value::text("history_export")),
        ("currency", Value::text("EUR")),
    ]);
    let is_diff = id_ends_in(deal, &['6']);
    let told = draw.below(3) != 2 || is_diff;
    let first = Row::from([
        ("status", Value::text("open")),
        ("stage", draw.text(STAGES)),
        ("amount", draw.money()),
        ("probability", probability(draw)),
    ]);
    let earlier = before.clone().unwrap_or(first);
    let names = [("from_status", "status"), ("from_stage", "stage"), ("from_amount", "amount")];
    for (from, column) in names.into_iter().chain([("from_probability", "probability")]).filter(|_| told) {
        row.insert(from, cell(&earlier, column));
    }
    row.extend(after.clone());
    // Some deals have a history of stages alone, some of them beside differences of two states.
    if id_ends_in(deal, &['8']) && draw.below(3) == 0 {
        row.insert("origin", Value::text("snapshot_diff"));
    } else if id_ends_in(deal, &['3', '8']) {
        row.insert("amount", Value::Null);
        row.insert("from_amount", Value::Null);
    }
    // Some have one that names a field or two that changed, or only amounts, or differences of two states, some of
    // which another source tells.
    if is_diff || id_ends_in(deal, &['1', '2', '7']) {
        row.insert("origin", Value::text(if is_diff { "snapshot_diff" } else { "field_history" }));
        // A deal that is closed or opened, or comes to where it stands now, says so.
        let stays_silent =
            cell(&row, "status") == cell(&earlier, "status") && cell(&row, "stage") != cell(deal, "stage");
        let named: &[&str] = match draw.below(4) {
            _ if id_ends_in(deal, &['1']) => &["amount", "from_amount"],
            2 if is_diff => &[
                "stage",
                "from_stage",
                "status",
                "from_status",
                "amount",
                "from_amount",
                "probability",
                "from_probability",
            ],
            0 | 1 if !stays_silent => &["stage", "from_stage", "status", "from_status"],
            0 => &["amount", "from_amount"],
            1 => &["probability", "from_probability"],
            2 => &["stage", "from_stage", "status", "from_status"],
            _ => &["stage", "from_stage", "status", "from_status", "amount", "from_amount"],
        };
        let fields = names.into_iter().chain([("from_probability", "probability")]);
        for silent in fields.flat_map(|(from, column)| [from, column]).filter(|name| !named.contains(name)) {
            row.insert(silent, Value::Null);
        }
    }
    *before = Some(after);
    row
}

fn id_ends_in(deal: &Row, digits: &[char]) -> bool {
    cell(deal, "deal_id").as_text().is_some_and(|id| id.ends_with(digits))
}

fn line_item(draw: &mut Draw, place: usize) -> Row {
    Row::from([
        ("line_item_id", draw.number("i", place)),
        ("deal_id", if draw.below(3) == 0 { Value::Null } else { draw.key_or_null("d", 30) }),
        ("order_id", if draw.below(2) == 1 { draw.key_or_null("o", 14) } else { Value::Null }),
        ("account_id", draw.key_or_null("a", 7)),
        ("product_id", draw.key_or_null("p", 5)),
        ("product_name", draw.text_or_null(&["Disk", "Other"])),
        ("quantity", draw.count(5)),
        ("unit_price", draw.money()),
        ("total_amount", draw.money()),
        ("cost_amount", draw.money()),
        ("returned_quantity", draw.count(3)),
        ("sold_date", if draw.below(2) == 1 { Value::Date(draw.day()) } else { Value::Null }),
        ("currency", Value::text("EUR")),
    ])
}

fn order(draw: &mut Draw, place: usize) -> Row {
    Row::from([
        ("order_id", draw.number("o", place)),
        ("kind", draw.text(&["order", "invoice", "payment", "refund", "credit", "order"])),
        ("deal_id", draw.key_or_null("d", 30)),
        ("account_id", draw.key_or_null("a", 7)),
        ("owner_id", draw.key_or_null("u", 6)),
        ("subtotal_amount", draw.money()),
        ("tax_amount", draw.money()),
        ("total_amount", draw.money()),
        ("refunded_amount", draw.money()),
        ("is_returned", draw.flag()),
        ("order_date", draw.date()),
        ("currency", Value::text("EUR")),
    ])
}

fn subscription(draw: &mut Draw, place: usize) -> Row {
    let start = draw.date();
    let length = draw.below(400) as i32;
    let end = start.as_date().map(|start| start + length);
    Row::from([
        ("subscription_id", draw.number("s", place)),
        ("account_id", Value::Text(format!("a{}", draw.below(7)))),
        ("owner_id", draw.key_or_null("u", 6)),
        ("plan", draw.text_or_null(&["Basic", "Pro"])),
        ("mrr_amount", draw.money()),
        ("is_trial", draw.flag()),
        ("end_date", if draw.below(3) == 0 { Value::Null } else { end.into() }),
        ("start_date", start),
        ("currency", Value::text("EUR")),
    ])
}

fn ticket(draw: &mut Draw, place: usize) -> Row {
    let created = draw.date();
    let closed = draw.below(2) == 1;
    let resolved = created.as_date().map(|day| (day + draw.below(60) as i32).min(super::world::day(AS_OF)));
    let dated = closed && draw.is_there(5);
    Row::from([
        ("ticket_id", draw.number("t", place)),
        ("ticket_type", draw.text_or_null(&["complaint", "Return", "request", "Complaint and return"])),
        ("account_id", draw.key_or_null("a", 7)),
        ("owner_id", draw.key_or_null("u", 6)),
        ("priority", draw.text_or_null(&["high", "low"])),
        ("is_closed", Value::Boolean(closed)),
        ("satisfaction_score", draw.count(6)),
        ("first_response_minutes", draw.count(200)),
        ("resolution_minutes", if closed { draw.count(4000) } else { Value::Null }),
        ("resolved_date", if dated { resolved.into() } else { Value::Null }),
        ("created_date", created),
    ])
}

fn survey(draw: &mut Draw, place: usize) -> Row {
    Row::from([
        ("response_id", draw.number("r", place)),
        ("kind", draw.text(&["nps", "csat", "ces", "review", "nps"])),
        ("account_id", draw.key_or_null("a", 7)),
        ("owner_id", draw.key_or_null("u", 6)),
        ("team", draw.text_or_null(&["Blue", "Red"])),
        ("score", draw.count(11)),
        ("scale_max", if draw.below(2) == 1 { Value::whole(10) } else { Value::Null }),
        ("response_date", draw.date()),
    ])
}

fn activity(draw: &mut Draw, place: usize) -> Row {
    let date = draw.date();
    let started = date.as_date().map(|day| draw.instant_on(day));
    Row::from([
        ("activity_id", draw.number("c", place)),
        ("activity_type", draw.text(&["call", "meeting", "email", "task", "call"])),
        ("outcome", draw.text_or_null(&["reached", "busy"])),
        ("owner_id", draw.key_or_null("u", 6)),
        ("deal_id", draw.key_or_null("d", 30)),
        ("account_id", draw.key_or_null("a", 7)),
        ("lead_id", draw.key_or_null("l", 20)),
        ("duration_seconds", draw.count(3600)),
        ("is_system", draw.flag()),
        ("started_at", if draw.is_there(6) { started.unwrap_or(Value::Null) } else { Value::Null }),
        ("activity_date", date),
    ])
}

fn referral(draw: &mut Draw, place: usize) -> Row {
    Row::from([
        ("referral_id", draw.number("f", place)),
        ("referrer_account_id", draw.key_or_null("a", 7)),
        ("account_id", draw.key_or_null("a", 7)),
        ("deal_id", if draw.below(2) == 1 { draw.key_or_null("d", 30) } else { Value::Null }),
        ("channel", draw.text_or_null(CHANNELS)),
        ("referral_date", draw.date()),
    ])
}

fn target(draw: &mut Draw, place: usize) -> Row {
    let scope = draw.text(&["company", "region", "team", "owner", "company"]);
    let (year, month, _) = date::to_civil(draw.day());
    let start = date::from_civil(year, month, 1);
    let of = |wanted: &str, value: Value| if scope.as_text() == Some(wanted) { value } else { Value::Null };
    let (region, team) = (draw.text(REGIONS), draw.text(&["Blue", "Red"]));
    let owner = Value::Text(format!("u{}", draw.below(5)));
    let (metric, value) = (draw.text(&["revenue", "deals_won", "leads", "revenue"]), draw.below(40) as i64 * 250);
    // Months, quarters, years and the odd period across months; none beyond the days that questions are about.
    let end = match draw.below(6) {
        0..=2 => date::add_months(start, 1) - 1,
        3 => date::add_months(start, 3) - 1,
        4 => date::add_months(start, 12) - 1,
        _ => start + draw.below(80) as i32,
    };
    let start = if draw.below(8) == 7 { start + 9 } else { start };
    // A period without a day is rejected.
    let end = end.min(day("2024-12-31")).max(start);
    Row::from([
        ("target_id", draw.number("g", place)),
        ("metric", metric),
        ("region", of("region", region)),
        ("team", of("team", team)),
        ("owner_id", of("owner", owner)),
        ("period_start", Value::Date(start)),
        ("period_end", Value::Date(end)),
        ("target_value", Value::whole(value)),
        ("currency", Value::text("EUR")),
        ("scope", scope),
    ])
}

fn event(draw: &mut Draw, place: usize) -> Row {
    Row::from([
        ("event_id", draw.number("e", place)),
        ("event_type", draw.text(&["visit", "usage", "visit"])),
        ("account_id", draw.key_or_null("a", 7)),
        ("quantity", draw.count(9)),
        ("event_date", draw.date()),
    ])
}

fn spend(draw: &mut Draw, place: usize) -> Row {
    let amount = draw.money();
    Row::from([
        ("spend_id", draw.number("x", place)),
        ("spend_date", Value::Date(draw.day())),
        ("kind", draw.text(&["marketing", "sales", "fixed", "variable"])),
        ("channel", draw.text_or_null(CHANNELS)),
        ("campaign", draw.text_or_null(CAMPAIGNS)),
        ("initiative", draw.text_or_null(&["Fair", "Mailing"])),
        ("region", draw.text_or_null(REGIONS)),
        ("amount", if amount.is_null() { Value::whole(0) } else { amount }),
        ("currency", Value::text("EUR")),
    ])
}
