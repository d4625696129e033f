//! The words of the invented company: regions, products, channels, stages, names.
//!
//! Everything a row can say is listed here, with the weights that make segments differ from
//! each other. No randomness: which word a row gets is drawn in `world`, `deal` and `entity`.

use crate::options::Vendor;

/// A sales region.
pub struct Region {
    pub name: &'static str,
    pub countries: [&'static str; 3],
    pub cities: [&'static str; 3],
    /// Index into [`CURRENCIES`], when amounts come in several.
    pub currency: u8,
    /// Per-mille added to the chance to win.
    pub skill: i64,
    /// Price level in per cent.
    pub price: i64,
}

pub const REGIONS: [Region; 6] = [
    region("North America", ["United States", "Canada", "Mexico"], ["Chicago", "Toronto", "Monterrey"], 0, 40, 115),
    region("Western Europe", ["France", "Spain", "Belgium"], ["Lyon", "Sevilla", "Liège"], 1, 10, 100),
    region("Central Europe", ["Germany", "Austria", "Switzerland"], ["Köln", "Graz", "Zürich"], 1, 60, 108),
    region("Northern Europe", ["United Kingdom", "Ireland", "Sweden"], ["Leeds", "Cork", "Malmö"], 2, -20, 104),
    region("Asia Pacific", ["Japan", "Australia", "Singapore"], ["Osaka", "Perth", "Singapore"], 0, -50, 92),
    region("Latin America", ["Brazil", "Chile", "Colombia"], ["São Paulo", "Santiago", "Medellín"], 0, -90, 78),
];

const fn region(
    name: &'static str,
    countries: [&'static str; 3],
    cities: [&'static str; 3],
    currency: u8,
    skill: i64,
    price: i64,
) -> Region {
    Region { name, countries, cities, currency, skill, price }
}

pub const CURRENCIES: [&str; 3] = ["USD", "EUR", "GBP"];

/// A product.
pub struct Product {
    pub name: &'static str,
    pub code: &'static str,
    pub family: Family,
    /// List price in hundredths; also the middle of the deal amounts.
    pub price: i64,
    /// Direct cost in per cent of the amount.
    pub cost: i64,
    /// Middle of the sales cycle in days.
    pub cycle: i64,
    /// Per-mille added to the chance to win.
    pub appeal: i64,
}

/// A product family: what is sold once and what runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    Platform,
    Analytics,
    Hardware,
    Services,
}

impl Family {
    pub fn name(self) -> &'static str {
        match self {
            Self::Platform => "Platform",
            Self::Analytics => "Analytics",
            Self::Hardware => "Hardware",
            Self::Services => "Services",
        }
    }

    /// Sold as a subscription rather than by order.
    pub fn recurs(self) -> bool {
        matches!(self, Self::Platform | Self::Analytics)
    }
}

pub const PRODUCTS: [Product; 12] = [
    product("Core Starter", "PL-100", Family::Platform, 480_000, 22, 28, 60),
    product("Core Team", "PL-200", Family::Platform, 1_450_000, 20, 45, 20),
    product("Core Enterprise", "PL-300", Family::Platform, 6_900_000, 17, 88, -60),
    product("Insight Basic", "AN-100", Family::Analytics, 360_000, 18, 24, 40),
    product("Insight Plus", "AN-200", Family::Analytics, 1_180_000, 16, 41, 0),
    product("Insight Forecast", "AN-300", Family::Analytics, 2_600_000, 15, 62, -30),
    product("Gateway S", "HW-100", Family::Hardware, 210_000, 58, 19, 70),
    product("Gateway M", "HW-200", Family::Hardware, 740_000, 61, 31, 30),
    product("Gateway XL", "HW-300", Family::Hardware, 3_300_000, 64, 71, -50),
    product("Onboarding", "SV-100", Family::Services, 290_000, 47, 22, 80),
    product("Integration", "SV-200", Family::Services, 1_900_000, 52, 53, -10),
    product("Managed Care", "SV-300", Family::Services, 2_250_000, 55, 57, -20),
];

const fn product(
    name: &'static str,
    code: &'static str,
    family: Family,
    price: i64,
    cost: i64,
    cycle: i64,
    appeal: i64,
) -> Product {
    Product { name, code, family, price, cost, cycle, appeal }
}

/// A channel, as each vendor names it.
pub struct Source {
    salesforce: &'static str,
    hubspot: &'static str,
    /// Share in per cent; all add up to 100.
    pub share: u64,
    /// Per-mille added to the chance to win.
    pub quality: i64,
    /// Monthly budget for each thousand deals a year, in hundredths; 0 for what costs nothing.
    pub budget: i64,
}

impl Source {
    pub fn name(&self, vendor: Vendor) -> &'static str {
        match vendor {
            Vendor::Salesforce => self.salesforce,
            Vendor::Hubspot => self.hubspot,
        }
    }
}

pub const SOURCES: [Source; 8] = [
    source("Web", "Organic Search", 22, 0, 0),
    source("Paid Search", "Paid Search", 17, -40, 920_000),
    source("Email Campaign", "Email Marketing", 12, 10, 190_000),
    source("Social Media", "Paid Social", 11, -80, 640_000),
    source("Partner Referral", "Referrals", 14, 130, 0),
    source("Trade Show", "Offline Sources", 8, 50, 810_000),
    source("Phone Inquiry", "Direct Traffic", 10, 20, 0),
    source("Purchased List", "Other Campaigns", 6, -140, 270_000),
];

/// Index of the channel that referrals come by.
pub const REFERRAL_SOURCE: u8 = 4;

const fn source(salesforce: &'static str, hubspot: &'static str, share: u64, quality: i64, budget: i64) -> Source {
    Source { salesforce, hubspot, share, quality, budget }
}

/// A campaign on a channel.
pub struct Campaign {
    pub name: &'static str,
    pub source: u8,
}

pub const CAMPAIGNS: [Campaign; 10] = [
    Campaign { name: "Brand Keywords", source: 1 },
    Campaign { name: "Competitor Keywords", source: 1 },
    Campaign { name: "Spring Newsletter", source: 2 },
    Campaign { name: "Win-back Mailing", source: 2 },
    Campaign { name: "Customer Stories", source: 3 },
    Campaign { name: "Retargeting", source: 3 },
    Campaign { name: "Industry Fair North", source: 5 },
    Campaign { name: "Roadshow", source: 5 },
    Campaign { name: "Cold List A", source: 7 },
    Campaign { name: "Cold List B", source: 7 },
];

/// A pipeline: its open stages in order, with the probability in per cent.
pub struct Pipeline {
    pub name: &'static str,
    pub stages: &'static [(&'static str, i64)],
}

const SALESFORCE_PIPELINES: [Pipeline; 2] = [
    Pipeline {
        name: "New Sales",
        stages: &[
            ("Prospecting", 10),
            ("Qualification", 20),
            ("Needs Analysis", 35),
            ("Value Proposition", 50),
            ("Proposal/Price Quote", 75),
            ("Negotiation/Review", 90),
        ],
    },
    Pipeline {
        name: "Renewals",
        stages: &[("Qualification", 20), ("Proposal/Price Quote", 75), ("Negotiation/Review", 90)],
    },
];

const HUBSPOT_PIPELINES: [Pipeline; 2] = [
    Pipeline {
        name: "Sales Pipeline",
        stages: &[
            ("Appointment Scheduled", 20),
            ("Qualified To Buy", 40),
            ("Presentation Scheduled", 60),
            ("Decision Maker Bought-In", 80),
            ("Contract Sent", 90),
        ],
    },
    Pipeline {
        name: "Renewals Pipeline",
        stages: &[("Renewal Due", 40), ("Renewal Proposed", 70), ("Renewal Agreed", 90)],
    },
];

/// The pipelines of a vendor: one for sales, one for renewals.
pub fn pipelines(vendor: Vendor) -> &'static [Pipeline; 2] {
    match vendor {
        Vendor::Salesforce => &SALESFORCE_PIPELINES,
        Vendor::Hubspot => &HUBSPOT_PIPELINES,
    }
}

pub const CLOSED_WON: &str = "Closed Won";
pub const CLOSED_LOST: &str = "Closed Lost";

pub const LOSS_REASONS: [&str; 7] =
    ["Price", "Competitor", "No Decision", "Timing", "Missing Feature", "Budget Cut", "No Response"];
pub const INDUSTRIES: [&str; 8] =
    ["Manufacturing", "Retail", "Finance", "Health Care", "Technology", "Education", "Transportation", "Energy"];
pub const SEGMENTS: [&str; 3] = ["Small Business", "Mid-Market", "Enterprise"];
pub const NEXT_STEPS: [&str; 5] =
    ["Call back", "Send offer", "Meet, then decide", "Wait for legal review", "Confirm \"go\" with sponsor"];
pub const COMMENTS: [&str; 6] = [
    "Quick answers, fair price",
    "Delivery was late",
    "Great team",
    "Too many e-mails,\nplease fewer",
    "They called it \"standard\", we did not",
    "Très satisfait",
];
pub const DEVICES: [&str; 3] = ["desktop", "mobile", "tablet"];
pub const CANCEL_REASONS: [&str; 4] = ["Price", "Unused", "Switched supplier", "Company closed"];

const HEADS: [&str; 30] = [
    "Alder", "Basalt", "Cobalt", "Delta", "Ember", "Fjord", "Granite", "Harbor", "Iris", "Juniper", "Kestrel", "Lumen",
    "Marble", "Nimbus", "Onyx", "Pioneer", "Quartz", "Ridge", "Sable", "Tundra", "Umber", "Vertex", "Willow", "Xenon",
    "Yarrow", "Zephyr", "Almond", "Birch", "Cedar", "Élan",
];
const TAILS: [&str; 24] = [
    "Works",
    "Systems",
    "Foods",
    "Logistics",
    "Tools",
    "Media",
    "Textiles",
    "Optics",
    "Mills",
    "Pharma",
    "Motors",
    "Papers",
    "Energy",
    "Trading",
    "Partners",
    "Labs",
    "Glass",
    "Farms",
    "Marine",
    "Robotics",
    "Print",
    "Travel",
    "Steel",
    "Homes",
];
const SUFFIXES: [&str; 6] = [" Inc", " GmbH", ", LLC", " Ltd", " & Frères", " \"Group\" SA"];
const FIRST_NAMES: [&str; 24] = [
    "Ana", "Ben", "Chloé", "David", "Elif", "Farid", "Grace", "Hugo", "Ines", "Jonas", "Keiko", "Liam", "Maya", "Noah",
    "Olga", "Pedro", "Quinn", "Rosa", "Samir", "Tess", "Uwe", "Vera", "Wei", "Zoë",
];
const LAST_NAMES: [&str; 32] = [
    "Abbott", "Becker", "Costa", "Dubois", "Eriksen", "Fischer", "Garcia", "Hansen", "Ito", "Jensen", "Kowalski",
    "Lopez", "Moreau", "Novak", "O'Brien", "Petrov", "Quist", "Rossi", "Silva", "Tanaka", "Ueda", "Vogel", "Walsh",
    "Xu", "Young", "Zimmer", "Arslan", "Blanc", "Cruz", "Dietz", "Evans", "Fonseca",
];

/// Name of a company; no two companies share one.
pub fn push_company(out: &mut String, index: u64) {
    let (heads, tails, suffixes) = (HEADS.len() as u64, TAILS.len() as u64, SUFFIXES.len() as u64);
    // 7 and 11 are prime to the lengths, so that neighbours differ in all parts and no name comes twice.
    let (head, rest) = (index * 7 % heads, index / heads);
    let (tail, rest) = ((rest * 11 + index) % tails, rest / tails);
    let (suffix, round) = ((rest + index) % suffixes, rest / suffixes);
    out.push_str(HEADS[head as usize]);
    out.push(' ');
    out.push_str(TAILS[tail as usize]);
    if round > 0 {
        out.push(' ');
        out.push_str(&(round + 1).to_string());
    }
    out.push_str(SUFFIXES[suffix as usize]);
}

/// First and last name of a person; many share one, as in life.
pub fn person(number: u64) -> (&'static str, &'static str) {
    let (first, last) = (FIRST_NAMES.len() as u64, LAST_NAMES.len() as u64);
    (FIRST_NAMES[(number % first) as usize], LAST_NAMES[((number / first + number * 5) % last) as usize])
}

/// E-mail address of a user of the CRM, unique by its number.
pub fn user_email(index: u64) -> String {
    format!("rep{index:04}@sales.example")
}
