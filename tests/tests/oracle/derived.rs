//! What follows from the rows of a company: the oracle's own derived columns and tables.
//!
//! Written from the descriptions in words, day by day and account by account, with no thought of
//! speed. Readings where the words leave room: the first won deal of an account is the earliest
//! by close date, then by identifier; a state of a deal holds to the end of the day; purchases
//! exactly 365 days apart are unbroken, because activity ends on the day the next one begins.

use std::collections::{BTreeMap, BTreeSet};

use super::value::{Fraction, Value};
use super::world::{Row, World, cell};

/// Days for which a purchase keeps an account active.
const ACTIVE_DAYS: i32 = 365;

/// All tables that a definition may name, deleted rows left out.
pub struct Facts {
    pub tables: BTreeMap<&'static str, Vec<Row>>,
    pub as_of: i32,
}

pub fn facts(world: &World) -> Facts {
    let alive = |row: &&Row| cell(row, "is_deleted") != Value::Boolean(true);
    let tables =
        world.tables.iter().map(|(name, rows)| (*name, rows.iter().filter(alive).cloned().collect())).collect();
    let mut facts = Facts { tables, as_of: world.as_of };
    mark_deals(&mut facts);
    mark_accounts(&mut facts);
    mark_leads(&mut facts);
    mark_line_items(&mut facts);
    mark_changes(&mut facts);
    let (states, entries) = deal_history(&facts);
    facts.tables.insert("deal_states", states);
    let movements = pipeline_changes(&facts);
    facts.tables.insert("pipeline_changes", movements);
    facts.tables.insert("stage_entries", entries);
    let reached = stages_reached(&facts);
    facts.tables.insert("stages_reached", reached);
    facts.tables.insert("purchase_windows", purchase_windows(&facts));
    facts.tables.insert("contract_windows", contract_windows(&facts));
    facts.tables.insert("mrr_changes", mrr_changes(&facts));
    for row in facts.tables.entry("subscriptions").or_default() {
        row.insert("is_recurring", Value::Boolean(!is_true(row, "is_trial")));
    }
    facts
}

impl Facts {
    pub fn rows(&self, table: &str) -> &[Row] {
        self.tables.get(table).map_or(&[], Vec::as_slice)
    }

    /// The row of `table` whose key is `key`, in the same source.
    pub fn find(&self, table: &str, key_column: &str, key: &Value, source: &Value) -> Option<&Row> {
        let same = |row: &&Row| cell(row, key_column) == *key && cell(row, "source_system") == *source;
        if key.is_null() { None } else { self.rows(table).iter().find(same) }
    }
}

fn is_true(row: &Row, column: &str) -> bool {
    cell(row, column) == Value::Boolean(true)
}

/// Account and source of a row that has an account.
fn account_of(row: &Row) -> Option<(String, String)> {
    let account = cell(row, "account_id").as_text()?.to_owned();
    Some((account, cell(row, "source_system").as_text().unwrap_or_default().to_owned()))
}

fn is_won(row: &Row) -> bool {
    cell(row, "status") == Value::text("won")
}

/// Deals: first and repeat purchases, and the lead a deal came from.
fn mark_deals(facts: &mut Facts) {
    let deals = facts.rows("deals").to_vec();
    let leads = facts.rows("leads").to_vec();
    let mut marked = Vec::new();
    for deal in &deals {
        let account = account_of(deal);
        // All dated won deals of the same account, in order.
        let mut won: Vec<(i32, String)> = deals
            .iter()
            .filter(|other| account.is_some() && account_of(other) == account && is_won(other))
            .filter_map(|other| Some((cell(other, "close_date").as_date()?, id(other, "deal_id"))))
            .collect();
        won.sort();
        let mine = cell(deal, "close_date").as_date().map(|day| (day, id(deal, "deal_id")));
        let counts = is_won(deal) && account.is_some() && mine.is_some();
        let first = counts && won.first() == mine.as_ref();
        let lead_dates = leads
            .iter()
            .filter(|lead| cell(lead, "converted_deal_id") == cell(deal, "deal_id"))
            .filter(|lead| cell(lead, "source_system") == cell(deal, "source_system"))
            .filter_map(|lead| cell(lead, "created_date").as_date());
        let mut row = deal.clone();
        row.insert("is_first_won", Value::Boolean(first));
        row.insert("is_repeat_won", Value::Boolean(counts && !first));
        row.insert("first_won_date", won.first().map(|(day, _)| *day).into());
        row.insert("lead_created_date", lead_dates.min().into());
        marked.push(row);
    }
    facts.tables.insert("deals", marked);
}

fn id(row: &Row, column: &str) -> String {
    cell(row, column).as_text().unwrap_or_default().to_owned()
}

/// Accounts: when they became customers, and what they bought.
fn mark_accounts(facts: &mut Facts) {
    let deals = facts.rows("deals").to_vec();
    // An account that bought is an account, even where no row describes it.
    for deal in deals.iter().filter(|deal| is_won(deal)) {
        let source = cell(deal, "source_system");
        if account_of(deal).is_some()
            && facts.find("accounts", "account_id", &cell(deal, "account_id"), &source).is_none()
        {
            let row = Row::from([("account_id", cell(deal, "account_id")), ("source_system", source)]);
            facts.tables.entry("accounts").or_default().push(row);
        }
    }
    for account in facts.tables.entry("accounts").or_default() {
        let won: Vec<&Row> =
            deals.iter().filter(|deal| is_won(deal) && account_of(deal) == account_of(account)).collect();
        let dates = || won.iter().filter_map(|deal| cell(deal, "close_date").as_date());
        let amount = |deal: &Row| cell(deal, "amount").as_number();
        let cost = |deal: &Row| cell(deal, "cost_amount").as_number();
        let sum = |numbers: &mut dyn Iterator<Item = Fraction>| numbers.fold(Fraction::ZERO, Fraction::plus);
        let revenue = sum(&mut won.iter().filter_map(|deal| amount(deal)));
        let margin = sum(&mut won.iter().filter_map(|deal| Some(amount(deal)?.minus(cost(deal)?))));
        // A purchase without a date lies between no two others and is not counted.
        let (first, last, count) = (dates().min(), dates().max(), dates().count());
        account.insert("first_won_date", first.into());
        account.insert("last_won_date", last.into());
        account.insert("won_deals", Value::whole(count as i64));
        account.insert("won_amount", Value::Number(revenue));
        account.insert("won_margin_amount", Value::Number(margin));
        account.insert("customer_until", cell(account, "cancelled_date"));
        account.insert("is_customer", Value::Boolean(first.is_some()));
    }
}

/// Leads: how long the first contact took. Without a recorded one, the first activity with the lead is it.
fn mark_leads(facts: &mut Facts) {
    let activities = facts.rows("activities").to_vec();
    for lead in facts.tables.entry("leads").or_default() {
        let with_lead: Vec<&Row> = activities
            .iter()
            .filter(|activity| cell(activity, "lead_id") == cell(lead, "lead_id"))
            .filter(|activity| cell(activity, "source_system") == cell(lead, "source_system"))
            .collect();
        let first_activity = with_lead.iter().filter_map(|activity| cell(activity, "started_at").as_instant()).min();
        let contact = cell(lead, "first_contact_at").as_instant().or(first_activity);
        // A contact before the lead existed is a mistake in the data and no speed.
        let minutes = match (cell(lead, "created_at").as_instant(), contact) {
            (Some(created), Some(contact)) if contact >= created => {
                Value::whole((contact - created).div_euclid(60_000_000))
            }
            _ => Value::Null,
        };
        lead.insert("minutes_to_first_contact", minutes);
        lead.insert("is_contacted", Value::Boolean(contact.is_some()));
    }
}

/// Lines: whether they are a sale, the state of their deal, and the day of the sale.
///
/// A line that names no deal is one of the deal of its order. It is no sale on an invoice, a
/// payment or a credit; nor where the deal of its order is unknown or has lines that name it.
fn mark_line_items(facts: &mut Facts) {
    let lines = facts.rows("line_items").to_vec();
    let mut marked = Vec::new();
    for line in &lines {
        let source = cell(line, "source_system");
        let order = |line: &Row| facts.find("orders", "order_id", &cell(line, "order_id"), &source);
        let lists_a_sale = |line: &Row| order(line).is_none_or(|order| cell(order, "kind") == Value::text("order"));
        let mut deal_id = cell(line, "deal_id");
        let mut is_sale = lists_a_sale(line);
        if deal_id.is_null() {
            deal_id = order(line).map_or(Value::Null, |order| cell(order, "deal_id"));
            let is_of_deal = |other: &&Row| cell(other, "deal_id") == deal_id && cell(other, "source_system") == source;
            let listed = lines.iter().filter(is_of_deal).any(|other| !deal_id.is_null() && lists_a_sale(other));
            is_sale &= !listed;
        }
        let deal = facts.find("deals", "deal_id", &deal_id, &source);
        is_sale &= deal_id.is_null() || deal.is_some();
        let of_deal = |column: &str| deal.map_or(Value::Null, |deal| cell(deal, column));
        let ordered = order(line).map_or(Value::Null, |order| cell(order, "order_date"));
        let days = [cell(line, "sold_date"), of_deal("close_date"), ordered];
        let mut row = line.clone();
        row.insert("is_sale", Value::Boolean(is_sale));
        row.insert("deal_close_date", of_deal("close_date"));
        row.insert("deal_status", of_deal("status"));
        row.insert("sold_on", days.into_iter().find(|day| !day.is_null()).unwrap_or(Value::Null));
        marked.push(row);
    }
    facts.tables.insert("line_items", marked);
}

/// Changes: the status that the deal had before, which the change before knows better than the row itself.
fn mark_changes(facts: &mut Facts) {
    let mut marked = Vec::new();
    for change in facts.rows("stage_changes") {
        let of_deal = history(facts, change);
        let place = of_deal.iter().position(|row| cell(row, "change_id") == cell(change, "change_id"));
        let before = place.and_then(|place| place.checked_sub(1)).map(|before| cell(&of_deal[before], "status"));
        let mut row = change.clone();
        row.insert("status_before", before.filter(|status| !status.is_null()).unwrap_or(cell(change, "from_status")));
        marked.push(row);
    }
    facts.tables.insert("stage_changes", marked);
}

/// What a deal looks like from one event on.
#[derive(Debug, Clone, PartialEq)]
struct State {
    day: i32,
    open: bool,
    won: bool,
    stage: Value,
    amount: Value,
    probability: Value,
}

/// The changes of a deal in order of time, each with the whole state before and after it.
///
/// Most rows tell the whole state. Others name what changed: the rest is as an earlier row left it, or as a later one found it.
fn history(facts: &Facts, deal: &Row) -> Vec<Row> {
    let mut told: Vec<&Row> = facts
        .rows("stage_changes")
        .iter()
        .filter(|change| cell(change, "deal_id") == cell(deal, "deal_id"))
        .filter(|change| cell(change, "source_system") == cell(deal, "source_system"))
        .collect();
    told.sort_by_key(|change| (cell(change, "changed_at").as_instant(), id(change, "change_id")));
    let is_whole = |row: &Row| !matches!(id(row, "origin").as_str(), "field_history" | "snapshot_diff");
    let pairs = [
        ("from_stage", "stage"),
        ("from_status", "status"),
        ("from_amount", "amount"),
        ("from_probability", "probability"),
    ];
    let mut complete = Vec::new();
    for (place, row) in told.iter().enumerate() {
        let mut state = (*row).clone();
        for (before, after) in pairs {
            let says = |row: &Row| !cell(row, before).is_null() || !cell(row, after).is_null();
            // A history that never speaks of a field does not say that it was empty.
            let knows = told.iter().any(|row| is_whole(row) && says(row));
            let names = |row: &Row| says(row) || (knows && is_whole(row));
            let is_number = matches!(after, "amount" | "probability");
            let found = |row: &Row| match cell(row, before) {
                Value::Null if is_number && is_whole(row) => cell(row, after),
                value => value,
            };
            if names(row) {
                state.insert(before, found(row));
                continue;
            }
            let left_by = told[..place].iter().rev().find(|row| names(row)).map(|row| cell(row, after));
            let found_by = told[place + 1..].iter().find(|row| names(row)).map(|row| found(row));
            let value = left_by.or(found_by).unwrap_or(Value::Null);
            state.insert(before, value.clone());
            state.insert(after, value);
        }
        complete.push(state);
    }
    complete
}

/// The events of a deal in order of time: birth, changes, and the end where it is closed.
fn events(facts: &Facts, deal: &Row) -> Vec<State> {
    let changes = history(facts, deal);
    let status = |row: &Row, column: &str| id(row, column);
    let date_of = |change: &Row| cell(change, "changed_date").as_date();
    let birth =
        cell(deal, "created_date").as_date().or_else(|| changes.first().and_then(&date_of)).unwrap_or(facts.as_of);
    let still_open = id(deal, "status") == "open";
    let present = State {
        day: birth,
        open: true,
        won: false,
        // Where a closed deal has been is not known; its stage says only how it ended.
        stage: if still_open { cell(deal, "stage") } else { Value::Null },
        amount: cell(deal, "amount"),
        probability: cell(deal, "probability"),
    };
    // What no change names was all along as the row of the deal has it; not so where a closed deal was before.
    let silent = |before: &str, after: &str| {
        changes.iter().all(|change| cell(change, after).is_null() && cell(change, before).is_null())
    };
    let [no_amounts, no_chances] = [silent("from_amount", "amount"), silent("from_probability", "probability")];
    let no_stages = still_open && silent("from_stage", "stage");
    let worth = |told: Value| if no_amounts { cell(deal, "amount") } else { told };
    let chance = |told: Value| if no_chances { cell(deal, "probability") } else { told };
    let place = |told: Value| if no_stages { cell(deal, "stage") } else { told };
    let mut states = Vec::new();
    let Some(first) = changes.first() else {
        states.push(present);
        return end(states, deal);
    };
    // A history may begin before the date of creation, which is then that of an import.
    let birth = date_of(first).map_or(birth, |first| first.min(birth));
    let closing = matches!(cell(first, "status").as_text(), Some("won" | "lost"));
    let stage_before = Some(cell(first, "from_stage")).filter(|stage| !stage.is_null() || closing);
    states.push(State {
        day: birth,
        open: !matches!(cell(first, "from_status").as_text(), Some("won" | "lost")),
        won: false,
        // The stage of a deal that was closed says nothing about where it stood before.
        stage: place(stage_before.unwrap_or_else(|| cell(first, "stage"))),
        amount: worth(cell(first, "from_amount")),
        probability: chance(cell(first, "from_probability")),
    });
    for change in &changes {
        states.push(State {
            day: date_of(change).unwrap_or(birth),
            open: !matches!(status(change, "status").as_str(), "won" | "lost"),
            won: status(change, "status") == "won",
            stage: place(cell(change, "stage")),
            amount: worth(cell(change, "amount")),
            probability: chance(cell(change, "probability")),
        });
    }
    if still_open {
        // The present row has the last word on how an open deal stands.
        let last = states.last().map_or(birth, |state| state.day);
        states.push(State { day: last, ..present });
    }
    end(states, deal)
}

/// A closed deal left on its close date, whatever its history says; without one, with the last change that is known.
fn end(mut states: Vec<State>, deal: &Row) -> Vec<State> {
    let status = id(deal, "status");
    if status == "open" {
        return states;
    }
    let last_known = states.last().map(|state| state.day);
    if let Some(close) = cell(deal, "close_date").as_date().or(last_known) {
        states.retain(|state| state.open && state.day <= close || state.day < close);
        if let Some(last) = states.last().cloned() {
            states.push(State { day: close, open: false, won: status == "won", ..last });
        }
    }
    states
}

fn deal_history(facts: &Facts) -> (Vec<Row>, Vec<Row>) {
    let (mut stays, mut entries) = (Vec::new(), Vec::new());
    for deal in facts.rows("deals") {
        let events = events(facts, deal);
        // Nothing stands in the pipeline before it was created.
        let since_creation = |day: i32| cell(deal, "created_date").as_date().map_or(day, |created| day.max(created));
        for (place, state) in events.iter().enumerate().filter(|(_, state)| state.open) {
            let until = events.get(place + 1).map(|next| since_creation(next.day));
            let mut row = deal.clone();
            row.insert("stage", state.stage.clone());
            row.insert("amount", state.amount.clone());
            row.insert("probability", state.probability.clone());
            row.insert("expected_close_date", cell(deal, "close_date"));
            row.insert("valid_from", Value::Date(since_creation(state.day)));
            row.insert("valid_until", until.into());
            stays.push(row);
        }
        entries.extend(stage_entries(facts, deal, &events));
    }
    (stays, entries)
}

/// What moves the open pipeline: on every day, how a deal stands at its end against how it stood at the end of the day before.
///
/// A deal that stands open on the first day on which anything is known of it is opened on it,
/// unless it is known to have been closed before, as it cannot be before it was created; one that
/// stands open again later is reopened.
fn pipeline_changes(facts: &Facts) -> Vec<Row> {
    let mut steps = Vec::new();
    for deal in facts.rows("deals") {
        let events = events(facts, deal);
        let since_creation = |day: i32| cell(deal, "created_date").as_date().map_or(day, |created| day.max(created));
        let days: BTreeSet<i32> = events.iter().map(|event| since_creation(event.day)).collect();
        let at_end_of = |day: i32| events.iter().rfind(|event| since_creation(event.day) <= day);
        for day in &days {
            let (before, after) = (at_end_of(day - 1), at_end_of(*day));
            let mut step = |movement: &str, direction: i64, state: &State, amount: &Value| {
                let mut row = deal.clone();
                row.insert("stage", state.stage.clone());
                row.insert("amount", amount.clone());
                row.insert("probability", state.probability.clone());
                row.insert("expected_close_date", cell(deal, "close_date"));
                row.insert("change_date", Value::Date(*day));
                row.insert("movement", Value::text(movement));
                row.insert("direction", Value::whole(direction));
                steps.push(row);
            };
            let (was, is) = (before.filter(|state| state.open), after.filter(|state| state.open));
            match (was, is) {
                (None, Some(is)) => {
                    let was_there =
                        cell(deal, "created_date").is_null() && events.first().is_some_and(|event| !event.open);
                    let is_new = Some(day) == days.first() && !was_there;
                    step(if is_new { "opened" } else { "reopened" }, 1, is, &is.amount);
                }
                (Some(was), None) => {
                    let is_won = after.is_some_and(|state| state.won);
                    step(if is_won { "won" } else { "lost" }, -1, was, &was.amount);
                }
                (Some(was), Some(is)) => {
                    if was.stage != is.stage || was.probability != is.probability {
                        step("moved", -1, was, &was.amount);
                        step("moved", 1, is, &was.amount);
                    }
                    let worth = |state: &State| state.amount.as_number().unwrap_or(Fraction::ZERO);
                    let movement = if worth(is) < worth(was) { "lowered" } else { "raised" };
                    if was.amount != is.amount {
                        step(movement, -1, is, &was.amount);
                        step(movement, 1, is, &is.amount);
                    }
                }
                (None, None) => {}
            }
        }
    }
    steps
}

/// Events without closings that something else followed on the same day.
fn lasting(events: &[State]) -> Vec<&State> {
    let is_undone = |place: usize| events[place + 1..].iter().any(|later| later.day == events[place].day);
    (0..events.len()).filter(|place| events[*place].open || !is_undone(*place)).map(|place| &events[place]).collect()
}

/// The first stay of a deal in each open stage, for deals with a history, and for open ones that stayed where they are
/// while their source tells what moved.
///
/// A stage counts from the day the history says it was entered. Where the first change does not
/// say what was before it, nothing is known of the time between creation and that change.
fn stage_entries(facts: &Facts, deal: &Row, events: &[State]) -> Vec<Row> {
    let history = history(facts, deal);
    let is_open = id(deal, "status") == "open";
    let has_created = !cell(deal, "created_date").is_null();
    let same_source = |change: &Row| cell(change, "source_system") == cell(deal, "source_system");
    if history.is_empty() && !(is_open && has_created && facts.rows("stage_changes").iter().any(same_source)) {
        return Vec::new();
    }
    let names_no_stage = |change: &Row| cell(change, "stage").is_null() && cell(change, "from_stage").is_null();
    let stayed = is_open && history.iter().all(names_no_stage);
    let from = usize::from(!stayed && history.first().is_some_and(|first| cell(first, "from_stage").is_null()));
    let begins_unseen = from == 0 && !has_created && events.first().is_some_and(|first| first.open);
    // A change that names no stage leaves the deal where it was.
    let events: Vec<&State> =
        lasting(events).into_iter().skip(from).filter(|state| !state.open || !state.stage.is_null()).collect();
    let closed = matches!(id(deal, "status").as_str(), "won" | "lost");
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut rows = Vec::new();
    let mut place = 0;
    while place < events.len() {
        let state = events[place];
        let mut next = place + 1;
        while events.get(next).is_some_and(|other| other.open && state.open && other.stage == state.stage) {
            next += 1;
        }
        let after = events.get(next).copied();
        if let (true, Some(stage)) = (state.open, state.stage.as_text())
            && seen.insert(stage.to_owned())
        {
            let mut row = deal.clone();
            row.insert("stage", state.stage.clone());
            row.insert("entered_date", Value::Date(state.day));
            row.insert("left_date", after.map(|after| after.day).into());
            row.insert(
                "days_in_stage",
                match after {
                    // Nobody saw it begin.
                    Some(_) if place == 0 && begins_unseen => Value::Null,
                    Some(after) => Value::whole((after.day - state.day).into()),
                    None => Value::Null,
                },
            );
            let next_stage = after.filter(|after| after.open).map_or(Value::Null, |after| after.stage.clone());
            row.insert("next_stage", next_stage);
            row.insert("is_moved_on", Value::Boolean(after.is_some_and(|after| after.open || after.won)));
            row.insert("is_lost_here", Value::Boolean(after.is_some_and(|after| !after.open && !after.won)));
            row.insert("is_won", Value::Boolean(is_won(deal)));
            row.insert("is_closed", Value::Boolean(closed));
            rows.push(row);
        }
        place = next;
    }
    rows
}

/// The stages that a deal came to or went past, for deals that were in any stage.
fn stages_reached(facts: &Facts) -> Vec<Row> {
    let same =
        |left: &Row, right: &Row, columns: &[&str]| columns.iter().all(|name| cell(left, name) == cell(right, name));
    let entries = facts.rows("stage_entries");
    let of = |deal: &Row| -> Vec<&Row> {
        entries.iter().filter(|entry| same(entry, deal, &["source_system", "deal_id"])).collect()
    };
    let deals: Vec<(&Row, Vec<&Row>)> =
        facts.rows("deals").iter().map(|deal| (deal, of(deal))).filter(|(_, entries)| !entries.is_empty()).collect();
    let mut rows = Vec::new();
    for (deal, mine) in &deals {
        let like_mine: Vec<&Vec<&Row>> = deals
            .iter()
            .filter(|(other, _)| same(other, deal, &["source_system", "pipeline"]))
            .map(|(_, entries)| entries)
            .collect();
        let stages: BTreeSet<String> =
            like_mine.iter().flat_map(|all| all.iter().map(|row| id(row, "stage"))).collect();
        // Whether most deals that were in both stages came to the second one after the first.
        let is_after = |second: &str, first: &str| {
            let place = |all: &[&Row], stage: &str| all.iter().position(|row| id(row, "stage") == stage);
            let both = like_mine.iter().filter_map(|all| place(all, first).zip(place(all, second)));
            let forward: Vec<bool> = both.map(|(first, second)| first < second).collect();
            2 * forward.iter().filter(|is_forward| **is_forward).count() > forward.len()
        };
        let level = |stage: &str| stages.iter().filter(|other| *other != stage && is_after(stage, other)).count();
        let events = events(facts, deal);
        let won = lasting(&events).iter().find(|event| event.won).map(|event| event.day);
        for stage in &stages {
            let entered = |wanted: &dyn Fn(&str) -> bool| {
                mine.iter()
                    .filter(|row| wanted(&id(row, "stage")))
                    .filter_map(|row| cell(row, "entered_date").as_date())
                    .min()
            };
            let own = entered(&|name| name == stage);
            let passed = entered(&|name| level(name) > level(stage)).into_iter().chain(won).min();
            let Some(reached) = own.into_iter().chain(passed).min() else { continue };
            let mut row = (*deal).clone();
            row.insert("stage", Value::text(stage));
            row.insert("reached_date", Value::Date(reached));
            row.insert("passed_date", passed.into());
            row.insert("is_passed", Value::Boolean(passed.is_some()));
            row.insert("is_skipped", Value::Boolean(own != Some(reached)));
            row.insert("is_won", Value::Boolean(is_won(deal)));
            row.insert("is_closed", Value::Boolean(matches!(id(deal, "status").as_str(), "won" | "lost")));
            rows.push(row);
        }
    }
    rows
}

/// Unbroken times from spans of days; a span without an end lasts for ever.
fn unbroken(mut spans: Vec<(i32, Option<i32>)>) -> Vec<(i32, Option<i32>)> {
    spans.retain(|(from, until)| until.is_none_or(|until| until > *from));
    spans.sort();
    let mut windows: Vec<(i32, Option<i32>)> = Vec::new();
    for (from, until) in spans {
        match windows.last_mut() {
            Some((_, None)) => {}
            Some((_, Some(end))) if from <= *end => {
                let known = *end;
                windows.last_mut().unwrap().1 = until.map(|until| until.max(known));
            }
            _ => windows.push((from, until)),
        }
    }
    windows
}

/// From and until, by account and source.
type Spans = BTreeMap<(String, String), Vec<(i32, Option<i32>)>>;

fn window_rows(facts: &Facts, spans: Spans) -> Vec<Row> {
    let mut rows = Vec::new();
    for ((account, source), spans) in spans {
        for (from, until) in unbroken(spans) {
            rows.push(Row::from([
                ("account_id", Value::Text(account.clone())),
                ("source_system", Value::Text(source.clone())),
                ("active_from", Value::Date(from)),
                ("active_until", until.filter(|until| *until <= facts.as_of).into()),
            ]));
        }
    }
    rows
}

fn purchase_windows(facts: &Facts) -> Vec<Row> {
    let won = facts.rows("deals").iter().filter(|deal| is_won(deal)).map(|deal| (deal, cell(deal, "close_date")));
    let ordered = facts
        .rows("orders")
        .iter()
        .filter(|order| matches!(cell(order, "kind").as_text(), Some("order" | "invoice")))
        .map(|order| (order, cell(order, "order_date")));
    let mut spans: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (row, date) in won.chain(ordered) {
        if let (Some(account), Some(day)) = (account_of(row), date.as_date()) {
            spans.entry(account).or_default().push((day, Some(day + ACTIVE_DAYS)));
        }
    }
    window_rows(facts, spans)
}

fn contract_windows(facts: &Facts) -> Vec<Row> {
    let mut spans: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for subscription in facts.rows("subscriptions").iter().filter(|row| !is_true(row, "is_trial")) {
        if let (Some(account), Some(start)) = (account_of(subscription), cell(subscription, "start_date").as_date()) {
            spans.entry(account).or_default().push((start, cell(subscription, "end_date").as_date()));
        }
    }
    for account in facts.rows("accounts") {
        if let (Some(key), Some(start)) = (account_of(account), cell(account, "contract_start_date").as_date()) {
            spans.entry(key).or_default().push((start, cell(account, "cancelled_date").as_date()));
        }
    }
    window_rows(facts, spans)
}

/// Changes of the recurring revenue of an account, day by day.
fn mrr_changes(facts: &Facts) -> Vec<Row> {
    let paid: Vec<&Row> = facts.rows("subscriptions").iter().filter(|row| !is_true(row, "is_trial")).collect();
    let accounts: BTreeSet<_> = paid.iter().filter_map(|row| account_of(row)).collect();
    let mut changes = Vec::new();
    for account in accounts {
        let mine: Vec<&&Row> = paid.iter().filter(|row| account_of(row).as_ref() == Some(&account)).collect();
        let currencies: BTreeSet<String> = mine.iter().map(|row| id(row, "currency")).collect();
        let running = |currency: &str, day: i32| {
            mine.iter()
                .filter(|row| id(row, "currency") == currency)
                .filter(|row| cell(row, "start_date").as_date().is_some_and(|start| start <= day))
                .filter(|row| cell(row, "end_date").as_date().is_none_or(|end| end > day))
                .filter_map(|row| cell(row, "mrr_amount").as_number())
                .fold(Fraction::ZERO, Fraction::plus)
        };
        let days: BTreeSet<i32> = mine
            .iter()
            .flat_map(|row| [cell(row, "start_date").as_date(), cell(row, "end_date").as_date()])
            .flatten()
            .collect();
        let mut paid_before = false;
        for day in days {
            // A customer in one currency is a customer, so that a second currency makes no second one.
            let pays = |day: i32| currencies.iter().any(|currency| !running(currency, day).is_zero());
            let (was_paying, is_paying) = (pays(day - 1), pays(day));
            paid_before |= was_paying;
            for currency in &currencies {
                let (before, after) = (running(currency, day - 1), running(currency, day));
                let movement = match (was_paying, is_paying) {
                    _ if before == after => continue,
                    (false, _) if !paid_before => "new",
                    (false, _) => "reactivation",
                    (_, false) => "churn",
                    _ if after > before => "expansion",
                    _ => "contraction",
                };
                changes.push(Row::from([
                    ("account_id", Value::text(&account.0)),
                    ("source_system", Value::text(&account.1)),
                    ("change_date", Value::Date(day)),
                    ("movement", Value::text(movement)),
                    ("amount", Value::Number(after.minus(before))),
                    ("currency", Value::text(currency)),
                ]));
            }
        }
    }
    changes
}
