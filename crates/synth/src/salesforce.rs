//! Rows as the Salesforce Bulk API writes them: API names, 18-character ids, ISO instants, true and false.
//!
//! One header constant and one function for each object. Custom fields end in `__c`. What the
//! rows say is decided in `deal` and `entity`.

use crate::deal::{Deal, Stage, Status};
use crate::entity::{Account, Activity, ActivityType, Lead, LeadStatus};
use crate::identity::Entity;
use crate::options::Vendor::Salesforce;
use crate::random::Subject;
use crate::text::{DAY, Line, day_of};
use crate::vocabulary::{self, CURRENCIES, LOSS_REASONS, NEXT_STEPS, PRODUCTS, REGIONS, SOURCES};
use crate::world::World;

pub const OPPORTUNITY: &str = "Id,IsDeleted,AccountId,RecordTypeId,Name,StageName,Amount,Probability,CloseDate,Type,\
NextStep,LeadSource,IsClosed,IsWon,ForecastCategory,CurrencyIsoCode,CampaignId,OwnerId,CreatedDate,SystemModstamp,\
Loss_Reason__c,Cost__c,Region__c,Product__c";

/// The state of a deal. `name` is reused from row to row.
pub fn opportunity(out: &mut Vec<u8>, deal: &Deal, name: &mut String) {
    name.clear();
    push_deal_name(name, deal);
    let (stage, percent) = deal.stage_facts(Salesforce, deal.stage);
    let mut line = Line::new(out);
    line.id(Salesforce, Entity::Deal, deal.index)
        .flag(deal.deleted)
        .optional_id(Salesforce, Entity::Account, deal.account)
        .id(Salesforce, Entity::RecordType, u64::from(deal.deal_type == crate::deal::DealType::Renewal))
        .text(name)
        .plain(stage)
        .optional_money(deal.amount)
        .integer(percent as u64)
        .date(deal.close_day)
        .plain(deal.deal_type.name())
        .text(deal.next_step.map_or("", |step| NEXT_STEPS[usize::from(step)]))
        .plain(SOURCES[usize::from(deal.source)].name(Salesforce))
        .flag(deal.status() != Status::Open)
        .flag(deal.status() == Status::Won)
        .plain(forecast_category(deal.stage, percent))
        .plain(CURRENCIES[usize::from(deal.currency)])
        .optional_id(Salesforce, Entity::Campaign, deal.campaign.map(u64::from))
        .id(Salesforce, Entity::User, deal.owner)
        .instant(deal.created_at)
        .instant(deal.modified_at)
        .plain(deal.loss_reason.map_or("", |reason| LOSS_REASONS[usize::from(reason)]))
        .optional_money(deal.cost)
        .plain(REGIONS[usize::from(deal.region)].name)
        .id(Salesforce, Entity::Product, u64::from(deal.product))
        .end();
}

/// `Company - Product`, or a walk-in where no account is known.
pub fn push_deal_name(name: &mut String, deal: &Deal) {
    match deal.account {
        Some(account) => vocabulary::push_company(name, account),
        None => name.push_str("Walk-in"),
    }
    name.push_str(" - ");
    name.push_str(PRODUCTS[usize::from(deal.product)].name);
}

pub fn forecast_category(stage: Stage, percent: i64) -> &'static str {
    match (stage, percent) {
        (Stage::Won, _) => "Closed",
        (Stage::Lost, _) => "Omitted",
        (Stage::Open(_), 90..) => "Forecast",
        (Stage::Open(_), 70..90) => "BestCase",
        (Stage::Open(_), _) => "Pipeline",
    }
}

pub const HISTORY: &str =
    "Id,OpportunityId,CreatedById,CreatedDate,StageName,Amount,Probability,CloseDate,CurrencyIsoCode,IsDeleted";

/// The states of a deal from the one numbered `first` on; returns the number of rows.
pub fn history(out: &mut Vec<u8>, deal: &Deal, first: usize) -> u64 {
    for (number, step) in deal.steps().iter().enumerate().skip(first) {
        let (stage, percent) = deal.stage_facts(Salesforce, step.stage);
        Line::new(out)
            .id(Salesforce, Entity::History, deal.index * 16 + number as u64)
            .id(Salesforce, Entity::Deal, deal.index)
            .id(Salesforce, Entity::User, deal.owner)
            .instant(step.at)
            .plain(stage)
            .optional_money(step.amount)
            .integer(percent as u64)
            .date(step.close_day)
            .plain(CURRENCIES[usize::from(deal.currency)])
            .flag(false)
            .end();
    }
    (deal.steps().len() - first) as u64
}

pub const LINE_ITEM: &str = "Id,OpportunityId,Product2Id,ProductCode,Name,Quantity,UnitPrice,ListPrice,TotalPrice,\
ServiceDate,CurrencyIsoCode,IsDeleted,CreatedDate,SystemModstamp";

/// The lines of a won deal: they add up to its amount. Returns their number.
pub fn line_items(out: &mut Vec<u8>, deal: &Deal) -> u64 {
    let Some(amount) = deal.amount.filter(|_| deal.status() == Status::Won && !deal.deleted) else { return 0 };
    let draw = &mut crate::random::Draw::new(deal.index, Subject::Deal, u64::from(deal.product));
    let second = if draw.chance(350) { amount * draw.between(10, 40) / 100 } else { 0 };
    let other = (u64::from(deal.product) + 1 + draw.below(11)) % 12;
    let mut rows = 0;
    for (total, product) in [(amount - second, u64::from(deal.product)), (second, other)] {
        if total == 0 {
            continue;
        }
        let facts = &PRODUCTS[product as usize];
        let quantity = [1, 1, 1, 2, 4, 5, 10][draw.below(7) as usize];
        // Ten-thousandths: hundredths divided by 1, 2, 4, 5 or 10 stay exact.
        let unit = total * 100 / quantity;
        let list = unit + unit * [0, 0, 5, 10, 15, 25][draw.below(6) as usize] / 100;
        Line::new(out)
            .id(Salesforce, Entity::LineItem, deal.index * 2 + rows)
            .id(Salesforce, Entity::Deal, deal.index)
            .id(Salesforce, Entity::Product, product)
            .plain(facts.code)
            .plain(facts.name)
            .integer(quantity as u64)
            .exact(unit)
            .exact(list)
            .money(total)
            .date(deal.close_day)
            .plain(CURRENCIES[usize::from(deal.currency)])
            .flag(false)
            .instant(deal.created_at)
            .instant(deal.modified_at)
            .end();
        rows += 1;
    }
    rows
}

pub const ACCOUNT: &str = "Id,IsDeleted,Name,Type,Industry,NumberOfEmployees,AnnualRevenue,Website,BillingCity,\
BillingPostalCode,BillingCountry,Region__c,OwnerId,AccountSource,CreatedDate,SystemModstamp";

pub fn account(out: &mut Vec<u8>, account: &Account) {
    Line::new(out)
        .id(Salesforce, Entity::Account, account.index)
        .flag(false)
        .text(&account.name)
        .plain(vocabulary::SEGMENTS[usize::from(account.segment)])
        .plain(account.industry)
        .integer(account.employees)
        .money(account.annual_revenue)
        .plain(&account.domain)
        .plain(account.city)
        .plain(&account.postal_code)
        .plain(account.country)
        .plain(REGIONS[usize::from(account.region)].name)
        .id(Salesforce, Entity::User, account.owner)
        .plain(SOURCES[usize::from(account.source)].name(Salesforce))
        .instant(account.created_at)
        .instant(account.created_at)
        .end();
}

pub const LEAD: &str = "Id,IsDeleted,FirstName,LastName,Company,Email,Country,Region__c,LeadSource,Campaign__c,\
Device__c,Status,OwnerId,IsConverted,ConvertedDate,ConvertedAccountId,ConvertedOpportunityId,CreatedDate,SystemModstamp";

pub fn lead(out: &mut Vec<u8>, lead: &Lead, company: &mut String) {
    company.clear();
    vocabulary::push_company(company, lead.conversion.and_then(|made| made.account).unwrap_or(lead.index));
    let status = match lead.status {
        LeadStatus::New => "Open - Not Contacted",
        LeadStatus::Working => "Working - Contacted",
        LeadStatus::Qualified => "Qualified",
        LeadStatus::Unqualified => "Unqualified",
        LeadStatus::Converted => "Converted",
    };
    Line::new(out)
        .id(Salesforce, Entity::Lead, lead.index)
        .flag(lead.deleted)
        .plain(lead.first_name)
        .plain(lead.last_name)
        .text(company)
        .plain(&format!("person{}@mail.example", lead.index))
        .plain(lead.country)
        .plain(REGIONS[usize::from(lead.region)].name)
        .plain(SOURCES[usize::from(lead.source)].name(Salesforce))
        .optional_id(Salesforce, Entity::Campaign, lead.campaign.map(u64::from))
        .plain(lead.device)
        .plain(status)
        .id(Salesforce, Entity::User, lead.owner)
        .flag(lead.conversion.is_some())
        .optional_date(lead.conversion.map(|made| made.day))
        .optional_id(Salesforce, Entity::Account, lead.conversion.and_then(|made| made.account))
        .optional_id(Salesforce, Entity::Deal, lead.conversion.map(|made| made.deal))
        .instant(lead.created_at)
        .instant(lead.modified_at)
        .end();
}

pub const TASK: &str = "Id,IsDeleted,WhoId,WhatId,AccountId,OwnerId,Subject,Status,TaskSubtype,CallType,\
CallDurationInSeconds,CallDisposition,ActivityDate,CreatedDate,SystemModstamp";

/// A call, e-mail or task.
pub fn task(out: &mut Vec<u8>, activity: &Activity) {
    let (subtype, subject) = match activity.activity_type {
        ActivityType::Call => ("Call", "Call"),
        ActivityType::Email => ("Email", "Email: offer, terms and dates"),
        ActivityType::Task | ActivityType::Meeting => ("Task", "Prepare visit"),
    };
    let is_call = activity.activity_type == ActivityType::Call;
    let mut line = Line::new(out);
    line.id(Salesforce, Entity::Task, activity.index)
        .flag(activity.deleted)
        .optional_id(Salesforce, Entity::Lead, activity.lead)
        .optional_id(Salesforce, Entity::Deal, activity.deal)
        .optional_id(Salesforce, Entity::Account, activity.account)
        .id(Salesforce, Entity::User, activity.owner)
        .text(subject)
        .plain("Completed")
        .plain(subtype)
        .plain(match (is_call, activity.outbound) {
            (true, true) => "Outbound",
            (true, false) => "Inbound",
            (false, _) => "",
        });
    match activity.seconds {
        Some(seconds) if is_call => line.integer(seconds as u64),
        _ => line.empty(),
    };
    line.plain(match (is_call, activity.answered) {
        (true, true) => "Connected",
        (true, false) => "No answer",
        (false, _) => "",
    })
    .date(day_of(activity.started_at))
    .instant(activity.started_at)
    .instant(activity.started_at)
    .end();
}

pub const EVENT: &str = "Id,IsDeleted,WhoId,WhatId,AccountId,OwnerId,Subject,StartDateTime,EndDateTime,\
DurationInMinutes,ActivityDate,CreatedDate,SystemModstamp";

/// A meeting.
pub fn event(out: &mut Vec<u8>, activity: &Activity) {
    let mut line = Line::new(out);
    line.id(Salesforce, Entity::Event, activity.index)
        .flag(activity.deleted)
        .optional_id(Salesforce, Entity::Lead, activity.lead)
        .optional_id(Salesforce, Entity::Deal, activity.deal)
        .optional_id(Salesforce, Entity::Account, activity.account)
        .id(Salesforce, Entity::User, activity.owner)
        .plain("Meeting")
        .instant(activity.started_at);
    match activity.seconds {
        Some(seconds) => line.instant(activity.started_at + seconds).integer(seconds as u64 / 60),
        None => line.empty().empty(),
    };
    line.date(day_of(activity.started_at)).instant(activity.started_at).instant(activity.started_at).end();
}

pub const USER: &str = "Id,Name,Email,Title,IsActive,ManagerId,Team__c,Region__c,CreatedDate,SystemModstamp";

pub fn user(out: &mut Vec<u8>, world: &World, index: u64) {
    let facts = User::new(world, index);
    let hired_at = i64::from(facts.hired) * DAY + 32_400;
    Line::new(out)
        .id(Salesforce, Entity::User, index)
        .text(&facts.name)
        .plain(&vocabulary::user_email(index))
        .plain(facts.role)
        .flag(true)
        .optional_id(Salesforce, Entity::User, facts.manager)
        .plain(&facts.team)
        .plain(facts.region)
        .instant(hired_at)
        .instant(hired_at)
        .end();
}

/// A user of the CRM.
pub struct User {
    pub name: String,
    pub role: &'static str,
    pub team: String,
    pub region: &'static str,
    pub manager: Option<u64>,
    pub hired: i32,
}

impl User {
    pub fn new(world: &World, index: u64) -> Self {
        let draw = &mut world.draw(Subject::User, index);
        let (first, last) = vocabulary::person(index % 768);
        // More people than names: the number keeps them apart where a report groups by name.
        let round = index / 768;
        let name = if round == 0 { format!("{first} {last}") } else { format!("{first} {last} {}", round + 1) };
        let team = world.team_of(index);
        let (role, manager) = match (index < world.reps(), team) {
            (true, Some(team)) => ("Sales Representative", Some(world.manager_of(team))),
            (_, Some(_)) => ("Sales Manager", Some(world.head_of_sales())),
            (_, None) => ("Head of Sales", None),
        };
        Self {
            name,
            role,
            team: team.map_or_else(String::new, |team| world.team_name(team)),
            region: team.map_or("", |team| REGIONS[usize::from(world.team_region(team))].name),
            manager,
            hired: world.start - draw.between(30, 1_500) as i32,
        }
    }
}

pub const PRODUCT: &str = "Id,IsDeleted,Name,ProductCode,Family,IsActive,CreatedDate,SystemModstamp";

pub fn product(out: &mut Vec<u8>, world: &World, index: u64) {
    let product = &PRODUCTS[index as usize];
    let created_at = i64::from(world.start - 400) * DAY;
    Line::new(out)
        .id(Salesforce, Entity::Product, index)
        .flag(false)
        .plain(product.name)
        .plain(product.code)
        .plain(product.family.name())
        .flag(true)
        .instant(created_at)
        .instant(created_at)
        .end();
}
