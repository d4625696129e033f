//! Which files a run writes, in which order, and the talk about it.
//!
//! One pass for each subject: a deal is generated once and becomes rows of up to six files.
//! On a later night only the deal files are written, with the changed and new deals; the other
//! passes still run, because the truth covers all rows. Rows are made in `deal` and `entity`.

use std::fs;
use std::path::Path;

use crate::deal::{self, Deal};
use crate::entity::{self, ActivityType, Lead};
use crate::error::SynthError;
use crate::folder::{TRUTH_FILE, grouped, planned_files, refuse_foreign, size};
use crate::options::{SynthFile, SynthOptions, SynthOutcome, Vendor};
use crate::output::{OutputFile, Sheet, failure, pass, write_whole};
use crate::truth::{Tally, Truth};
use crate::vocabulary::PRODUCTS;
use crate::world::World;
use crate::{hubspot, plain, salesforce};

/// Writes the exports into `options.out` and reports what was written; `talk` gets a line for each file.
///
/// # Errors
/// When an option is out of range, the folder holds CSV files of another run, or writing fails.
pub fn synthesise(options: &SynthOptions, talk: &mut dyn FnMut(&str)) -> Result<SynthOutcome, SynthError> {
    options.check()?;
    let folder = options.out.as_path();
    fs::create_dir_all(folder).map_err(|source| failure("create", folder, source))?;
    let world = World::new(options);
    let planned = planned_files(options);
    refuse_foreign(folder, &planned)?;
    let mut run = Run { options, world, folder, truth: Truth::default(), files: Vec::new(), talk };
    let deals = run.deals()?;
    run.accounts()?;
    run.leads()?;
    run.activities()?;
    run.surveys()?;
    run.tickets()?;
    run.small_tables()?;
    let path = folder.join(TRUTH_FILE);
    let text = run.truth.to_json(options, &run.world, deals, &run.files);
    write_whole(&path, &folder.join(format!(".{TRUTH_FILE}.partial")), &text)?;
    (run.talk)(&format!("{TRUTH_FILE}: the known answers as of {}", dealframe_model::date::format(options.as_of())));
    Ok(SynthOutcome { files: run.files, truth: path, as_of: options.as_of() })
}

struct Run<'a> {
    options: &'a SynthOptions,
    world: World,
    folder: &'a Path,
    truth: Truth,
    files: Vec<SynthFile>,
    talk: &'a mut dyn FnMut(&str),
}

impl Run<'_> {
    /// Starts a file that every night writes.
    fn create(&self, name: &'static str, header: &str) -> Result<OutputFile, SynthError> {
        OutputFile::create(self.folder, name, header)
    }

    /// Starts a file that only the first night writes.
    fn create_once(&self, name: &'static str, header: &str) -> Result<OutputFile, SynthError> {
        if self.options.changed_share.is_some() { Ok(OutputFile::left_out(name)) } else { self.create(name, header) }
    }

    fn finish(&mut self, files: Vec<OutputFile>) -> Result<(), SynthError> {
        for file in files {
            if let Some(done) = file.finish()? {
                (self.talk)(&format!("{}: {} rows, {}", done.name, grouped(done.rows), size(done.bytes)));
                self.files.push(done);
            }
        }
        Ok(())
    }

    /// Writes the deals and what hangs on a single deal; returns the number of deals that now exist.
    fn deals(&mut self) -> Result<u64, SynthError> {
        let salesforce = self.options.vendor == Vendor::Salesforce;
        let with_history = salesforce && self.options.history;
        let mut files = vec![
            match self.options.vendor {
                Vendor::Salesforce => self.create("Opportunity.csv", salesforce::OPPORTUNITY)?,
                Vendor::Hubspot => self.create("deals.csv", &hubspot::deal_header(self.options.history))?,
            },
            if with_history {
                self.create("OpportunityHistory.csv", salesforce::HISTORY)?
            } else {
                OutputFile::left_out("OpportunityHistory.csv")
            },
            if salesforce {
                self.create_once("OpportunityLineItem.csv", salesforce::LINE_ITEM)?
            } else {
                OutputFile::left_out("OpportunityLineItem.csv")
            },
            self.create_once("orders.csv", plain::ORDERS)?,
            self.create_once("subscriptions.csv", plain::SUBSCRIPTIONS)?,
            self.create_once("referrals.csv", plain::REFERRALS)?,
        ];
        let night = self.options.changed_share.map(|(share, night)| ((share * 1_000_000.0).round() as u64, night));
        let new = night.map_or(0, |(share, _)| self.world.deals * share / 10_000_000);
        let world = &self.world;
        pass(&mut files, world.deals + new, &mut self.truth, |range, sheets, tally| {
            let mut name = String::new();
            for index in range {
                let before = deal::deal(world, index);
                let (deal, first_step) = match night.filter(|_| index < world.deals) {
                    None => (before, Some(0)),
                    Some((share, night)) => match deal::after_night(world, &before, share, night) {
                        Some(after) => (after, Some(before.steps().len())),
                        None => (before, None),
                    },
                };
                if !deal.deleted {
                    tally.deal(&deal, world.vendor);
                }
                if let Some(first_step) = first_step {
                    write_deal(world, sheets, &deal, first_step, &mut name);
                }
            }
        })?;
        let deals = world.deals + new;
        self.finish(files)?;
        Ok(deals)
    }

    fn accounts(&mut self) -> Result<(), SynthError> {
        let vendor = self.options.vendor;
        let mut files = vec![match vendor {
            Vendor::Salesforce => self.create_once("Account.csv", salesforce::ACCOUNT)?,
            Vendor::Hubspot => self.create_once("companies.csv", hubspot::COMPANY)?,
        }];
        let world = &self.world;
        pass(&mut files, world.accounts, &mut self.truth, |range, sheets, _| {
            if !sheets[0].wanted {
                return;
            }
            for index in range {
                let account = entity::account(world, index);
                match vendor {
                    Vendor::Salesforce => salesforce::account(&mut sheets[0].bytes, &account),
                    Vendor::Hubspot => hubspot::company(&mut sheets[0].bytes, &account),
                }
                sheets[0].rows += 1;
            }
        })?;
        self.finish(files)
    }

    fn leads(&mut self) -> Result<(), SynthError> {
        let vendor = self.options.vendor;
        let mut files = vec![match vendor {
            Vendor::Salesforce => self.create_once("Lead.csv", salesforce::LEAD)?,
            Vendor::Hubspot => self.create_once("contacts.csv", hubspot::CONTACT)?,
        }];
        let world = &self.world;
        pass(&mut files, world.leads, &mut self.truth, |range, sheets, tally| {
            let mut company = String::new();
            for index in range {
                let lead = entity::lead(world, index);
                count_lead(tally, &lead);
                if sheets[0].wanted {
                    match vendor {
                        Vendor::Salesforce => salesforce::lead(&mut sheets[0].bytes, &lead, &mut company),
                        Vendor::Hubspot => hubspot::contact(&mut sheets[0].bytes, &lead, &mut company),
                    }
                    sheets[0].rows += 1;
                }
            }
        })?;
        self.finish(files)
    }

    fn activities(&mut self) -> Result<(), SynthError> {
        let vendor = self.options.vendor;
        let mut files = match vendor {
            Vendor::Salesforce => {
                vec![self.create_once("Task.csv", salesforce::TASK)?, self.create_once("Event.csv", salesforce::EVENT)?]
            }
            Vendor::Hubspot => vec![self.create_once("activities.csv", hubspot::ACTIVITY)?],
        };
        let world = &self.world;
        pass(&mut files, world.activities, &mut self.truth, |range, sheets, tally| {
            for index in range {
                let activity = entity::activity(world, index);
                count_activity(tally, &activity);
                let is_event = vendor == Vendor::Salesforce && activity.activity_type == ActivityType::Meeting;
                let sheet = &mut sheets[usize::from(is_event)];
                if sheet.wanted {
                    match (vendor, is_event) {
                        (Vendor::Salesforce, false) => salesforce::task(&mut sheet.bytes, &activity),
                        (Vendor::Salesforce, true) => salesforce::event(&mut sheet.bytes, &activity),
                        (Vendor::Hubspot, _) => hubspot::activity(&mut sheet.bytes, &activity),
                    }
                    sheet.rows += 1;
                }
            }
        })?;
        self.finish(files)
    }

    fn surveys(&mut self) -> Result<(), SynthError> {
        let mut files = vec![self.create_once("surveys.csv", plain::SURVEYS)?];
        let world = &self.world;
        pass(&mut files, entity::survey_count(world), &mut self.truth, |range, sheets, tally| {
            for index in range {
                let survey = entity::survey(world, index);
                if survey.is_nps {
                    tally.answers += 1;
                    tally.promoters += i128::from(survey.score >= 9);
                    tally.detractors += i128::from(survey.score <= 6);
                }
                if sheets[0].wanted {
                    plain::survey(&mut sheets[0].bytes, world, &survey);
                    sheets[0].rows += 1;
                }
            }
        })?;
        self.finish(files)
    }

    fn tickets(&mut self) -> Result<(), SynthError> {
        let vendor = self.options.vendor;
        let header = match vendor {
            Vendor::Salesforce => plain::TICKETS,
            Vendor::Hubspot => hubspot::TICKET,
        };
        let mut files = vec![self.create_once("tickets.csv", header)?];
        let world = &self.world;
        pass(&mut files, entity::ticket_count(world), &mut self.truth, |range, sheets, tally| {
            for index in range {
                let ticket = entity::ticket(world, index);
                tally.tickets += 1;
                tally.complaints += i128::from(ticket.ticket_type == "complaint");
                if sheets[0].wanted {
                    match vendor {
                        Vendor::Salesforce => plain::ticket(&mut sheets[0].bytes, world, &ticket),
                        Vendor::Hubspot => hubspot::ticket(&mut sheets[0].bytes, &ticket),
                    }
                    sheets[0].rows += 1;
                }
            }
        })?;
        self.finish(files)
    }

    /// Users, products, spend, targets and rates: small whatever the number of deals.
    fn small_tables(&mut self) -> Result<(), SynthError> {
        if self.options.changed_share.is_some() {
            return Ok(());
        }
        type Fill = fn(&mut Sheet, &World);
        let mut tables: Vec<(&'static str, &str, Fill)> = match self.options.vendor {
            Vendor::Salesforce => vec![
                ("User.csv", salesforce::USER, |sheet, world| each(sheet, world, world.users(), salesforce::user)),
                ("Product2.csv", salesforce::PRODUCT, |sheet, world| {
                    each(sheet, world, PRODUCTS.len() as u64, salesforce::product);
                }),
            ],
            Vendor::Hubspot => vec![
                ("users.csv", plain::USERS, |sheet, world| each(sheet, world, world.users(), plain::user)),
                ("products.csv", plain::PRODUCTS_HEADER, |sheet, world| {
                    each(sheet, world, PRODUCTS.len() as u64, plain::product);
                }),
            ],
        };
        tables.push(("spend.csv", plain::SPEND, plain::spend));
        tables.push(("targets.csv", plain::TARGETS, plain::targets));
        if self.options.currencies {
            tables.push(("fx_rates.csv", plain::FX_RATES, plain::fx_rates));
        }
        for (name, header, fill) in tables {
            let mut files = vec![self.create(name, header)?];
            let world = &self.world;
            pass(&mut files, 1, &mut self.truth, |_, sheets, _| fill(&mut sheets[0], world))?;
            self.finish(files)?;
        }
        Ok(())
    }
}

fn each(sheet: &mut Sheet, world: &World, count: u64, write: fn(&mut Vec<u8>, &World, u64)) {
    for index in 0..count {
        write(&mut sheet.bytes, world, index);
        sheet.rows += 1;
    }
}

/// The rows of a deal in each file that is wanted; `first_step` is the first new entry of its history.
fn write_deal(world: &World, sheets: &mut [Sheet], deal: &Deal, first_step: usize, name: &mut String) {
    match world.vendor {
        Vendor::Salesforce => salesforce::opportunity(&mut sheets[0].bytes, deal, name),
        Vendor::Hubspot => hubspot::deal(&mut sheets[0].bytes, deal, world.history, name),
    }
    sheets[0].rows += 1;
    if sheets[1].wanted && !deal.deleted {
        sheets[1].rows += salesforce::history(&mut sheets[1].bytes, deal, first_step);
    }
    if sheets[2].wanted {
        sheets[2].rows += salesforce::line_items(&mut sheets[2].bytes, deal);
    }
    if sheets[3].wanted {
        sheets[3].rows += plain::order(&mut sheets[3].bytes, world, deal);
    }
    if sheets[4].wanted {
        sheets[4].rows += plain::subscription(&mut sheets[4].bytes, world, deal);
    }
    if sheets[5].wanted {
        sheets[5].rows += plain::referral(&mut sheets[5].bytes, world, deal);
    }
}

fn count_lead(tally: &mut Tally, lead: &Lead) {
    if !lead.deleted {
        tally.leads += 1;
        tally.qualified += i128::from(lead.is_qualified());
        tally.converted += i128::from(lead.conversion.is_some());
    }
}

fn count_activity(tally: &mut Tally, activity: &entity::Activity) {
    if activity.deleted {
        return;
    }
    tally.activities += 1;
    match (activity.activity_type, activity.seconds) {
        (ActivityType::Call, Some(seconds)) => {
            tally.calls += 1;
            tally.call_seconds += i128::from(seconds);
        }
        (ActivityType::Meeting, Some(seconds)) => {
            tally.meetings += 1;
            tally.meeting_seconds += i128::from(seconds);
        }
        _ => {}
    }
}
