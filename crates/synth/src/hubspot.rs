//! Rows as HubSpot exports them: property labels, numeric record ids, minutes without a zone, times per stage side by side.
//!
//! Users are e-mail addresses and products are names, because a HubSpot export has tables for
//! neither; `plain` writes both tables. What the rows say is decided in `deal` and `entity`.

use crate::deal::{Deal, Stage};
use crate::entity::{Account, Activity, ActivityType, Lead, LeadStatus, Ticket};
use crate::identity::Entity;
use crate::options::Vendor::Hubspot;
use crate::salesforce::{forecast_category, push_deal_name};
use crate::text::{Line, day_of};
use crate::vocabulary::{
    self, CAMPAIGNS, CLOSED_LOST, CLOSED_WON, CURRENCIES, LOSS_REASONS, NEXT_STEPS, PRODUCTS, REGIONS, SOURCES,
    pipelines,
};

const DEAL: &str = "Record ID,Deal Name,Pipeline,Deal Stage,Amount,Currency,Deal probability,Close Date,Create Date,\
Deal owner,Deal Type,Closed Lost Reason,Associated Company IDs,Original Traffic Source,\
Original Traffic Source Drill-Down 1,Forecast category,Next step,Region,Product,Cost,Last Modified Date";

/// Header of the deals, with one column for each stage of each pipeline when history is asked for.
pub fn deal_header(history: bool) -> String {
    let mut header = DEAL.to_owned();
    if history {
        for pipeline in pipelines(Hubspot) {
            let closed = [CLOSED_WON, CLOSED_LOST];
            for stage in pipeline.stages.iter().map(|stage| stage.0).chain(closed) {
                header.push_str(&format!(",\"Date entered \"\"{stage} ({})\"\"\"", pipeline.name));
            }
        }
    }
    header
}

/// The state of a deal. `name` is reused from row to row.
pub fn deal(out: &mut Vec<u8>, deal: &Deal, history: bool, name: &mut String) {
    name.clear();
    push_deal_name(name, deal);
    let (stage, percent) = deal.stage_facts(Hubspot, deal.stage);
    let mut line = Line::new(out);
    line.id(Hubspot, Entity::Deal, deal.index)
        .text(name)
        .plain(deal.pipeline(Hubspot).name)
        .plain(stage)
        .optional_money(deal.amount)
        .plain(CURRENCIES[usize::from(deal.currency)])
        .money(percent)
        .minute(deal.steps().iter().find(|step| step.stage == deal.stage).map_or(0, |step| {
            if matches!(step.stage, Stage::Open(_)) { i64::from(deal.close_day) * 86_400 + 64_800 } else { step.at }
        }))
        .minute(deal.created_at)
        .id(Hubspot, Entity::User, deal.owner)
        .plain(deal.deal_type.name())
        .plain(deal.loss_reason.map_or("", |reason| LOSS_REASONS[usize::from(reason)]))
        .optional_id(Hubspot, Entity::Account, deal.account)
        .plain(SOURCES[usize::from(deal.source)].name(Hubspot))
        .plain(deal.campaign.map_or("", |campaign| CAMPAIGNS[usize::from(campaign)].name))
        .plain(forecast_category(deal.stage, percent))
        .text(deal.next_step.map_or("", |step| NEXT_STEPS[usize::from(step)]))
        .plain(REGIONS[usize::from(deal.region)].name)
        .plain(PRODUCTS[usize::from(deal.product)].name)
        .optional_money(deal.cost)
        .minute(deal.modified_at);
    if history {
        entered(&mut line, deal);
    }
    line.end();
}

/// When the deal first entered each stage of its pipeline; the columns of the other one stay empty.
fn entered(line: &mut Line<'_>, deal: &Deal) {
    for pipeline in pipelines(Hubspot) {
        let own = pipeline.name == deal.pipeline(Hubspot).name;
        let open = (0..pipeline.stages.len() as u8).map(Stage::Open);
        for stage in open.chain([Stage::Won, Stage::Lost]) {
            match deal.steps().iter().find(|step| own && step.stage == stage) {
                Some(step) => line.minute(step.at),
                None => line.empty(),
            };
        }
    }
}

pub const COMPANY: &str = "Record ID,Company name,Company Domain Name,Industry,Type,Number of Employees,Annual Revenue,\
City,Postal Code,Country/Region,State/Region,Company owner,Original Traffic Source,Create Date,Last Modified Date";

pub fn company(out: &mut Vec<u8>, account: &Account) {
    Line::new(out)
        .id(Hubspot, Entity::Account, account.index)
        .text(&account.name)
        .plain(&account.domain)
        .plain(account.industry)
        .plain(vocabulary::SEGMENTS[usize::from(account.segment)])
        .integer(account.employees)
        .money(account.annual_revenue)
        .plain(account.city)
        .plain(&account.postal_code)
        .plain(account.country)
        .plain(REGIONS[usize::from(account.region)].name)
        .id(Hubspot, Entity::User, account.owner)
        .plain(SOURCES[usize::from(account.source)].name(Hubspot))
        .minute(account.created_at)
        .minute(account.created_at)
        .end();
}

pub const CONTACT: &str = "Record ID,First Name,Last Name,Email,Company Name,Associated Company IDs,Associated Deal IDs,\
Lifecycle Stage,Lead Status,Original Traffic Source,Original Traffic Source Drill-Down 1,Country/Region,State/Region,\
Contact owner,Create Date,Last Modified Date";

/// A contact: in HubSpot every lead is one, and the lifecycle stage says how far it came.
pub fn contact(out: &mut Vec<u8>, lead: &Lead, company: &mut String) {
    company.clear();
    vocabulary::push_company(company, lead.conversion.and_then(|made| made.account).unwrap_or(lead.index));
    let (lifecycle, status) = match (lead.status, lead.index % 3) {
        (LeadStatus::New, 0) => ("Subscriber", ""),
        (LeadStatus::New, _) => ("Lead", "New"),
        (LeadStatus::Working, _) => ("Lead", "In Progress"),
        (LeadStatus::Unqualified, _) => ("Lead", "Unqualified"),
        (LeadStatus::Qualified, 0) => ("Marketing Qualified Lead", "Open"),
        (LeadStatus::Qualified, 1) => ("Sales Qualified Lead", "Connected"),
        (LeadStatus::Qualified, _) => ("Opportunity", "Open Deal"),
        (LeadStatus::Converted, _) => ("Customer", "Connected"),
    };
    Line::new(out)
        .id(Hubspot, Entity::Lead, lead.index)
        .plain(lead.first_name)
        .plain(lead.last_name)
        .plain(&format!("person{}@mail.example", lead.index))
        .text(company)
        .optional_id(Hubspot, Entity::Account, lead.conversion.and_then(|made| made.account))
        .optional_id(Hubspot, Entity::Deal, lead.conversion.map(|made| made.deal))
        .plain(lifecycle)
        .plain(status)
        .plain(SOURCES[usize::from(lead.source)].name(Hubspot))
        .plain(lead.campaign.map_or("", |campaign| CAMPAIGNS[usize::from(campaign)].name))
        .plain(lead.country)
        .plain(REGIONS[usize::from(lead.region)].name)
        .id(Hubspot, Entity::User, lead.owner)
        .minute(lead.created_at)
        .minute(lead.modified_at)
        .end();
}

/// Call durations are milliseconds, as in HubSpot's own property.
pub const ACTIVITY: &str = "Record ID,Activity type,Activity date,Activity owner,Subject,Call duration,Call direction,\
Call outcome,Meeting start time,Meeting end time,Associated Deal IDs,Associated Company IDs,Associated Contact IDs,\
Create Date,Last Modified Date";

pub fn activity(out: &mut Vec<u8>, activity: &Activity) {
    let (kind, subject) = match activity.activity_type {
        ActivityType::Call => ("Call", "Call"),
        ActivityType::Email => ("Email", "Offer, terms and dates"),
        ActivityType::Task => ("Task", "Prepare visit"),
        ActivityType::Meeting => ("Meeting", "Meeting"),
    };
    let is_call = activity.activity_type == ActivityType::Call;
    let is_meeting = activity.activity_type == ActivityType::Meeting;
    let mut line = Line::new(out);
    line.id(Hubspot, Entity::Task, activity.index)
        .plain(kind)
        .minute(activity.started_at)
        .id(Hubspot, Entity::User, activity.owner)
        .text(subject);
    match activity.seconds {
        Some(seconds) if is_call => line.integer(seconds as u64 * 1000),
        _ => line.empty(),
    };
    line.plain(match (is_call, activity.outbound) {
        (true, true) => "Outbound",
        (true, false) => "Inbound",
        (false, _) => "",
    })
    .plain(match (is_call, activity.answered) {
        (true, true) => "Connected",
        (true, false) => "No answer",
        (false, _) => "",
    });
    match (is_meeting, activity.seconds) {
        (true, Some(seconds)) => line.minute(activity.started_at).minute(activity.started_at + seconds),
        (true, None) => line.minute(activity.started_at).empty(),
        (false, _) => line.empty().empty(),
    };
    line.optional_id(Hubspot, Entity::Deal, activity.deal)
        .optional_id(Hubspot, Entity::Account, activity.account)
        .optional_id(Hubspot, Entity::Lead, activity.lead)
        .minute(activity.started_at)
        .minute(activity.started_at)
        .end();
}

pub const TICKET: &str = "Ticket ID,Ticket Name,Ticket Status,Pipeline,Category,Priority,Source,Create Date,Close Date,\
Ticket owner,Associated Company IDs,Last Modified Date";

pub fn ticket(out: &mut Vec<u8>, ticket: &Ticket) {
    let mut line = Line::new(out);
    line.id(Hubspot, Entity::Ticket, ticket.index)
        .plain(&format!("{} {}", ticket.ticket_type, day_of(ticket.created_at)))
        .plain(match (ticket.resolved_at, ticket.first_response_at) {
            (Some(_), _) => "Closed",
            (None, Some(_)) => "Waiting on contact",
            (None, None) => "New",
        })
        .plain("Support Pipeline")
        .plain(ticket.ticket_type)
        .plain(ticket.priority)
        .plain(ticket.channel)
        .minute(ticket.created_at);
    match ticket.resolved_at {
        Some(at) => line.minute(at),
        None => line.empty(),
    };
    line.id(Hubspot, Entity::User, ticket.owner)
        .id(Hubspot, Entity::Account, ticket.account)
        .minute(ticket.resolved_at.or(ticket.first_response_at).unwrap_or(ticket.created_at))
        .end();
}
