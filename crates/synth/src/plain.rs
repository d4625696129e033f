//! Rows in canonical headers: what no CRM exports, or what this vendor's export lacks.
//!
//! The headers are the column names of `dealframe-model`, checked by a test, and every row
//! carries `source_system`, so that references to the vendor's accounts, users and deals
//! resolve. The vendor's own tables are in `salesforce` and `hubspot`.

use dealframe_model::date;

use crate::deal::{Deal, Status};
use crate::entity::{Survey, Ticket};
use crate::identity::Entity;
use crate::output::Sheet;
use crate::random::{Draw, Subject, scramble};
use crate::salesforce::User;
use crate::text::{Line, day_of};
use crate::vocabulary::{self, CAMPAIGNS, CANCEL_REASONS, CURRENCIES, PRODUCTS, REFERRAL_SOURCE, REGIONS, SOURCES};
use crate::world::World;

pub const ORDERS: &str = "order_id,kind,deal_id,account_id,owner_id,order_number,status,subtotal_amount,tax_amount,\
total_amount,cost_amount,currency,is_returned,order_date,due_date,paid_date,return_date,source_system";

/// The order of a won deal whose product is sold once; returns the number of rows.
pub fn order(out: &mut Vec<u8>, world: &World, deal: &Deal) -> u64 {
    let Some(amount) = deal.amount.filter(|_| sold(deal) && !recurs(deal)) else { return 0 };
    let draw = &mut Draw::new(world.seed ^ 0x0DE2, Subject::Deal, deal.index);
    let tax = amount / 5;
    let known = |day: i32| Some(day).filter(|day| *day <= world.end);
    let paid = known(deal.close_day + draw.between(3, 60) as i32).filter(|_| !draw.chance(20));
    let returned = known(deal.close_day + draw.between(5, 40) as i32).filter(|_| draw.chance(35));
    Line::new(out)
        .tagged("ORD-", deal.index)
        .plain("order")
        .id(world.vendor, Entity::Deal, deal.index)
        .optional_id(world.vendor, Entity::Account, deal.account)
        .id(world.vendor, Entity::User, deal.owner)
        .integer(100_000 + deal.index)
        .plain(if paid.is_some() { "paid" } else { "invoiced" })
        .money(amount)
        .money(tax)
        .money(amount + tax)
        .optional_money(deal.cost)
        .plain(CURRENCIES[usize::from(deal.currency)])
        .flag(returned.is_some())
        .date(deal.close_day)
        .date(deal.close_day + 30)
        .optional_date(paid)
        .optional_date(returned)
        .plain(world.vendor.name())
        .end();
    1
}

fn sold(deal: &Deal) -> bool {
    deal.status() == Status::Won && !deal.deleted
}

fn recurs(deal: &Deal) -> bool {
    PRODUCTS[usize::from(deal.product)].family.recurs()
}

pub const SUBSCRIPTIONS: &str = "subscription_id,account_id,owner_id,deal_id,plan,seats,mrr_amount,currency,\
billing_frequency,status,is_trial,auto_renew,cancel_reason,start_date,end_date,cancelled_date,source_system";

/// The subscription of a won deal whose product runs on; returns the number of rows.
pub fn subscription(out: &mut Vec<u8>, world: &World, deal: &Deal) -> u64 {
    let (Some(amount), Some(account)) = (deal.amount, deal.account) else { return 0 };
    if !sold(deal) || !recurs(deal) || deal.deal_type == crate::deal::DealType::Renewal {
        return 0;
    }
    let draw = &mut Draw::new(world.seed ^ 0x5B5C, Subject::Deal, deal.index);
    let start = deal.close_day + draw.between(1, 20) as i32;
    if start > world.end {
        return 0;
    }
    let months = [6, 12, 12, 18, 24, 24, 36, 48, 60, 60][draw.below(10) as usize];
    let ended = Some(date::add_months(start, months)).filter(|day| *day <= world.end && !draw.chance(400));
    let is_trial = ended.is_none() && world.end - start < 30 && draw.chance(300);
    Line::new(out)
        .tagged("SUB-", deal.index)
        .id(world.vendor, Entity::Account, account)
        .id(world.vendor, Entity::User, deal.owner)
        .id(world.vendor, Entity::Deal, deal.index)
        .plain(PRODUCTS[usize::from(deal.product)].name)
        .integer(draw.between(1, 250) as u64)
        .money((amount / 12).max(1))
        .plain(CURRENCIES[usize::from(deal.currency)])
        .plain(draw.pick(&["monthly", "monthly", "quarterly", "annual"]))
        .plain(match (ended, is_trial) {
            (Some(_), _) => "cancelled",
            (None, true) => "trialing",
            (None, false) => "active",
        })
        .flag(is_trial)
        .flag(ended.is_none())
        .plain(ended.map_or("", |_| draw.pick(&CANCEL_REASONS)))
        .date(start)
        .optional_date(ended)
        .optional_date(ended.map(|day| (day - 20).max(start)))
        .plain(world.vendor.name())
        .end();
    1
}

pub const REFERRALS: &str = "referral_id,referrer_account_id,account_id,deal_id,channel,referral_date,source_system";

/// The referral behind a deal that came by one; returns the number of rows.
pub fn referral(out: &mut Vec<u8>, world: &World, deal: &Deal) -> u64 {
    let Some(account) = deal.account.filter(|account| *account > 0 && deal.source == REFERRAL_SOURCE) else { return 0 };
    if deal.deleted {
        return 0;
    }
    Line::new(out)
        .tagged("REF-", deal.index)
        .id(world.vendor, Entity::Account, scramble(world.seed ^ deal.index) % account)
        .id(world.vendor, Entity::Account, account)
        .id(world.vendor, Entity::Deal, deal.index)
        .plain(if deal.index.is_multiple_of(3) { "partner" } else { "customer" })
        .date(deal.created_day)
        .plain(world.vendor.name())
        .end();
    1
}

pub const SURVEYS: &str = "response_id,kind,survey_name,account_id,owner_id,team,score,scale_max,comment,response_date,responded_at,source_system";

pub fn survey(out: &mut Vec<u8>, world: &World, survey: &Survey) {
    Line::new(out)
        .tagged("SUR-", survey.index)
        .plain(if survey.is_nps { "nps" } else { "csat" })
        .plain(if survey.is_nps { "Relationship" } else { "After contact" })
        .id(world.vendor, Entity::Account, survey.account)
        .id(world.vendor, Entity::User, survey.owner)
        .plain(&world.team_of(survey.owner).map_or_else(String::new, |team| world.team_name(team)))
        .integer(survey.score)
        .integer(if survey.is_nps { 10 } else { 5 })
        .text(survey.comment.unwrap_or(""))
        .date(survey.day)
        .instant(survey.responded_at)
        .plain(world.vendor.name())
        .end();
}

pub const TICKETS: &str = "ticket_id,ticket_type,account_id,owner_id,subject,status,is_closed,priority,channel,\
first_response_minutes,resolution_minutes,created_date,resolved_date,created_at,first_response_at,resolved_at,source_system";

pub fn ticket(out: &mut Vec<u8>, world: &World, ticket: &Ticket) {
    let mut line = Line::new(out);
    line.id(world.vendor, Entity::Ticket, ticket.index)
        .plain(ticket.ticket_type)
        .id(world.vendor, Entity::Account, ticket.account)
        .id(world.vendor, Entity::User, ticket.owner)
        .tagged("Ticket ", ticket.index)
        .plain(if ticket.resolved_at.is_some() { "closed" } else { "open" })
        .flag(ticket.resolved_at.is_some())
        .plain(ticket.priority)
        .plain(ticket.channel);
    for end in [ticket.first_response_at, ticket.resolved_at] {
        match end {
            Some(at) => line.integer(((at - ticket.created_at) / 60) as u64),
            None => line.empty(),
        };
    }
    line.date(day_of(ticket.created_at)).optional_date(ticket.resolved_at.map(day_of)).instant(ticket.created_at);
    for at in [ticket.first_response_at, ticket.resolved_at] {
        match at {
            Some(at) => line.instant(at),
            None => line.empty(),
        };
    }
    line.plain(world.vendor.name()).end();
}

pub const USERS: &str = "user_id,name,email,role,team,manager_id,region,is_active,hired_date,source_system";

pub fn user(out: &mut Vec<u8>, world: &World, index: u64) {
    let facts = User::new(world, index);
    Line::new(out)
        .id(world.vendor, Entity::User, index)
        .text(&facts.name)
        .plain(&vocabulary::user_email(index))
        .plain(facts.role)
        .plain(&facts.team)
        .optional_id(world.vendor, Entity::User, facts.manager)
        .plain(facts.region)
        .flag(true)
        .date(facts.hired)
        .plain(world.vendor.name())
        .end();
}

pub const PRODUCTS_HEADER: &str = "product_id,name,code,family,is_active,list_price,currency,source_system";

pub fn product(out: &mut Vec<u8>, world: &World, index: u64) {
    let product = &PRODUCTS[index as usize];
    Line::new(out)
        .id(world.vendor, Entity::Product, index)
        .plain(product.name)
        .plain(product.code)
        .plain(product.family.name())
        .flag(true)
        .money(product.price)
        .plain("USD")
        .plain(world.vendor.name())
        .end();
}

/// First days of the months of the run.
fn months(world: &World) -> Vec<i32> {
    let (year, month, _) = date::to_civil(world.start);
    let first = date::from_civil(year, month, 1);
    (0..).map(|number| date::add_months(first, number)).take_while(|day| *day <= world.end).collect()
}

pub const SPEND: &str =
    "spend_id,spend_date,kind,channel,campaign,initiative,region,amount,currency,impressions,clicks,source_system";

/// Marketing by month, channel and campaign; sales and running costs by month.
pub fn spend(sheet: &mut Sheet, world: &World) {
    let volume = (world.deals as i64 * 365 / i64::from(world.end - world.start + 1).max(1)).max(1);
    for (month, day) in months(world).into_iter().enumerate() {
        let draw = &mut world.draw(Subject::Spend, month as u64);
        for (number, campaign) in CAMPAIGNS.iter().enumerate() {
            let source = &SOURCES[usize::from(campaign.source)];
            let amount = source.budget * volume / 1000 / 2 * draw.between(80, 125) / 100;
            let clicks = amount / 240;
            Line::new(&mut sheet.bytes)
                .tagged("SPD-", (month * 100 + number) as u64)
                .date(day)
                .plain("marketing")
                .plain(source.name(world.vendor))
                .id(world.vendor, Entity::Campaign, number as u64)
                .plain("Demand generation")
                .empty()
                .money(amount)
                .plain("USD")
                .integer((clicks * draw.between(25, 60)) as u64)
                .integer(clicks as u64)
                .plain(world.vendor.name())
                .end();
        }
        let reps = world.reps() as i64;
        let costs = [
            ("sales", "Salaries", reps * 790_000),
            ("sales", "Travel", reps * draw.between(30_000, 70_000)),
            ("fixed", "Offices", reps * 115_000),
            ("variable", "Support", volume * draw.between(900, 1_400)),
        ];
        for (number, (kind, initiative, amount)) in costs.into_iter().enumerate() {
            Line::new(&mut sheet.bytes)
                .tagged("SPD-", (month * 100 + 50 + number) as u64)
                .date(day)
                .plain(kind)
                .empty()
                .empty()
                .plain(initiative)
                .empty()
                .money(amount)
                .plain("USD")
                .empty()
                .empty()
                .plain(world.vendor.name())
                .end();
        }
        sheet.rows += (CAMPAIGNS.len() + costs.len()) as u64;
    }
}

pub const TARGETS: &str = "target_id,scope,scope_name,owner_id,team,region,metric,period_start,period_end,target_value,\
currency,source_system";

/// Targets of the company by month, of regions, teams and representatives by quarter.
pub fn targets(sheet: &mut Sheet, world: &World) {
    // What an average deal brings, lost ones included, in whole units; a target asks for a little more.
    let expected = world.deals as i64 * 11_200;
    let months = months(world);
    let mut number = 0;
    let mut add = |scope: Scope, metric: &str, first: i32, last: i32, value: i64| {
        let mut line = Line::new(&mut sheet.bytes);
        line.tagged("TGT-", number);
        scope.write(&mut line, world);
        line.plain(metric).date(first).date(last).integer(value.max(1) as u64);
        line.plain(if metric == "revenue" { "USD" } else { "" }).plain(world.vendor.name()).end();
        number += 1;
        sheet.rows += 1;
    };
    for first in &months {
        let last = date::add_months(*first, 1) - 1;
        let share = world.share_between(*first, last);
        let part = |total: i64| (i128::from(total) * i128::from(share) / 1_000_000) as i64;
        add(Scope::Company, "revenue", *first, last, part(expected));
        add(Scope::Company, "deals_won", *first, last, part(world.deals as i64 * 50 / 100));
        add(Scope::Company, "leads", *first, last, part(world.leads as i64 * 105 / 100));
    }
    for first in months.iter().filter(|day| matches!(date::to_civil(**day).1, 1 | 4 | 7 | 10)) {
        let last = date::add_months(*first, 3) - 1;
        let part = (i128::from(expected) * i128::from(world.share_between(*first, last)) / 1_000_000) as i64;
        for region in 0..REGIONS.len() as u8 {
            add(Scope::Region(region), "revenue", *first, last, part / REGIONS.len() as i64);
        }
        for team in 0..world.teams {
            add(Scope::Team(team), "revenue", *first, last, part / world.teams as i64);
        }
        for owner in 0..world.reps() {
            add(Scope::Owner(owner), "revenue", *first, last, part / world.reps() as i64);
        }
    }
}

/// Whose target it is.
enum Scope {
    Company,
    Region(u8),
    Team(u64),
    Owner(u64),
}

impl Scope {
    /// The columns scope, scope_name, owner_id, team and region.
    fn write(&self, line: &mut Line<'_>, world: &World) {
        match self {
            Self::Company => line.plain("company").empty().empty().empty().empty(),
            Self::Region(region) => {
                let name = REGIONS[usize::from(*region)].name;
                line.plain("region").plain(name).empty().empty().plain(name)
            }
            Self::Team(team) => {
                let name = world.team_name(*team);
                line.plain("team").plain(&name).empty().plain(&name).empty()
            }
            Self::Owner(owner) => {
                let name = User::new(world, *owner).name;
                line.plain("owner").text(&name).id(world.vendor, Entity::User, *owner).empty().empty()
            }
        };
    }
}

pub const FX_RATES: &str = "rate_id,from_currency,to_currency,rate_date,rate,kind,source_system";

/// Monthly rates of the other currencies to the first one, from the month before the run.
pub fn fx_rates(sheet: &mut Sheet, world: &World) {
    let mut days = vec![date::add_months(months(world).first().copied().unwrap_or(world.start), -1)];
    days.extend(months(world));
    for (currency, middle) in [("EUR", 10_850), ("GBP", 12_650)] {
        for day in &days {
            let swing = (scramble(world.seed ^ scramble(*day as u64 ^ middle)) % 801) as i64 - 400;
            let (year, month, _) = date::to_civil(*day);
            Line::new(&mut sheet.bytes)
                .plain(&format!("{currency}-USD-{year}-{month:02}"))
                .plain(currency)
                .plain("USD")
                .date(*day)
                .exact(middle as i64 + swing)
                .plain("spot")
                .plain(world.vendor.name())
                .end();
            sheet.rows += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::options::Vendor;

    /// The canonical tables written here, with their headers.
    fn headers(vendor: Vendor) -> Vec<(&'static str, &'static str)> {
        let mut headers = vec![
            ("orders", ORDERS),
            ("subscriptions", SUBSCRIPTIONS),
            ("referrals", REFERRALS),
            ("surveys", SURVEYS),
            ("spend", SPEND),
            ("targets", TARGETS),
            ("fx_rates", FX_RATES),
        ];
        match vendor {
            Vendor::Salesforce => headers.push(("tickets", TICKETS)),
            Vendor::Hubspot => headers.extend([("users", USERS), ("products", PRODUCTS_HEADER)]),
        }
        headers
    }

    #[test]
    fn headers_are_canonical_columns_and_complete() {
        for vendor in [Vendor::Salesforce, Vendor::Hubspot] {
            for (name, header) in headers(vendor) {
                let table = dealframe_model::table::table(name).unwrap();
                let columns: Vec<&str> = header.split(',').collect();
                for column in &columns {
                    assert!(table.column(column).is_some(), "{name} has no column {column}");
                }
                for needed in table.own.iter().filter(|column| column.required) {
                    assert!(columns.contains(&needed.name), "{name} lacks {}", needed.name);
                }
                assert!(columns.contains(&"source_system"));
            }
        }
    }
}
