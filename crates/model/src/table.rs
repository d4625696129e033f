//! The canonical tables of the lake and their columns.
//!
//! Every entity that a CRM exports becomes one of these tables, whatever the vendor calls it.
//! The names here are the names everywhere: in mapping files, Parquet files, `--where`
//! expressions and report columns. How a vendor's header becomes one of these columns is the
//! business of `dealframe-ingest`; how rows are stored is the business of `dealframe-lake`.

/// Logical type of a canonical column, and how it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// Free text or an identifier: UTF-8, many distinct values.
    Text,
    /// A pick-list value that reports may group by: UTF-8 in the table format, dictionary-encoded at rest.
    Category,
    /// 64-bit signed integer.
    Integer,
    /// Money or a quantity: Decimal(18, 4), never a float.
    Money,
    /// A share between 0 and 1: Decimal(18, 4).
    Fraction,
    /// An exchange rate: Decimal(18, 8).
    Rate,
    /// True or false.
    Boolean,
    /// A business date without time of day.
    Date,
    /// An instant: microseconds since the epoch, UTC.
    Timestamp,
    /// A JSON object as UTF-8 text.
    Json,
}

impl ColumnType {
    /// Digits after the decimal point of the decimal types, `None` for the others.
    pub fn scale(self) -> Option<u8> {
        match self {
            Self::Money | Self::Fraction => Some(4),
            Self::Rate => Some(8),
            _ => None,
        }
    }

    /// Name for people: in the data dictionary and in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Category => "category",
            Self::Integer => "integer",
            Self::Money => "decimal(18,4)",
            Self::Fraction => "fraction 0-1, decimal(18,4)",
            Self::Rate => "decimal(18,8)",
            Self::Boolean => "boolean",
            Self::Date => "date",
            Self::Timestamp => "timestamp (UTC)",
            Self::Json => "json",
        }
    }
}

/// One column of a canonical table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    pub name: &'static str,
    pub kind: ColumnType,
    /// One sentence for the data dictionary.
    pub about: &'static str,
    /// A row without a value here cannot be loaded.
    pub required: bool,
    /// The table whose key this column holds, if it is a reference.
    pub references: Option<&'static str>,
}

/// One canonical table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    pub name: &'static str,
    /// One sentence for the data dictionary.
    pub about: &'static str,
    /// Column that identifies a row within its source system.
    pub key: &'static str,
    /// Date column by which rows are sorted inside a file, and which bounds the date range shown to users.
    pub business_date: Option<&'static str>,
    /// The table's own columns; [`COMMON`] comes after them in storage.
    pub own: &'static [Column],
}

impl Table {
    /// All columns in storage order: the table's own, then the common ones.
    pub fn columns(&self) -> impl Iterator<Item = &'static Column> + use<> {
        self.own.iter().chain(COMMON.iter())
    }

    /// A column by its name.
    pub fn column(&self, name: &str) -> Option<&'static Column> {
        self.columns().find(|column| column.name == name)
    }
}

/// A canonical table by its name.
pub fn table(name: &str) -> Option<&'static Table> {
    TABLES.iter().find(|table| table.name == name)
}

const fn column(name: &'static str, kind: ColumnType, about: &'static str) -> Column {
    Column { name, kind, about, required: false, references: None }
}
const fn key(name: &'static str, about: &'static str) -> Column {
    Column { name, kind: ColumnType::Text, about, required: true, references: None }
}
const fn reference(name: &'static str, to: &'static str, about: &'static str) -> Column {
    Column { name, kind: ColumnType::Text, about, required: false, references: Some(to) }
}
const fn required(name: &'static str, kind: ColumnType, about: &'static str) -> Column {
    Column { name, kind, about, required: true, references: None }
}

use ColumnType::{Boolean, Category, Date, Fraction, Integer, Json, Money, Rate, Text, Timestamp};

/// Columns that every canonical table carries, after its own.
pub const COMMON: &[Column] = &[
    required(
        "source_system",
        Category,
        "The system the row came from: salesforce, hubspot, maven, or the name of a mapping.",
    ),
    column("modified_at", Timestamp, "When the source last changed the row; the newest version of a row wins."),
    column("is_deleted", Boolean, "The source marks the row as deleted."),
    column("batch_id", Text, "The ingest batch that wrote this version of the row."),
    column("source_file", Category, "File the row was read from, relative to the ingested path."),
    column("source_line", Integer, "Line in that file on which the record starts, counted from 1."),
    column("extra", Json, "Every column of the export that has no canonical home, so that nothing is lost."),
];

/// Every canonical table, in the order in which a batch is committed: what others refer to comes first.
pub const TABLES: &[Table] = &[
    USERS,
    PRODUCTS,
    ACCOUNTS,
    LEADS,
    DEALS,
    STAGE_CHANGES,
    ACTIVITIES,
    LINE_ITEMS,
    ORDERS,
    SUBSCRIPTIONS,
    SPEND,
    TARGETS,
    TICKETS,
    SURVEYS,
    REFERRALS,
    EVENTS,
    FX_RATES,
];

pub const DEALS: Table = Table {
    name: "deals",
    about: "One row per deal (opportunity), as it stands now.",
    key: "deal_id",
    business_date: Some("close_date"),
    own: &[
        key("deal_id", "Identifier of the deal in its source."),
        column("name", Text, "Title of the deal."),
        reference("account_id", "accounts", "The account that buys."),
        reference("owner_id", "users", "The sales representative who owns the deal."),
        column("owner_name", Category, "Name of the owner where the export gives no user table."),
        column("team", Category, "Sales team, where the deal itself names one."),
        column("pipeline", Category, "Pipeline or record type."),
        column("stage", Category, "Stage as the source names it."),
        required("status", Category, "open, won or lost."),
        column("deal_type", Category, "new, upsell, cross-sell, renewal, or as the source names it."),
        column("amount", Money, "Value of the deal in its currency; the bookings value once it is won."),
        column("list_amount", Money, "Value at list prices, before discount."),
        column("discount_amount", Money, "Discount granted."),
        column("cost_amount", Money, "Direct cost of what is sold; amount less cost is the gross margin."),
        column("currency", Category, "ISO 4217 code of the amounts."),
        column("probability", Fraction, "Probability to win, from the source."),
        column("forecast_category", Category, "Forecast category, from the source."),
        reference("product_id", "products", "Product, where a deal has one."),
        column("region", Category, "Sales region, where the deal itself names one."),
        column("country", Category, "Country, where the deal itself names one."),
        column("lead_source", Category, "Channel the deal came from."),
        column("campaign", Category, "Campaign the deal came from."),
        column("loss_reason", Category, "Why the deal was lost."),
        column("next_step", Text, "Next step noted by the owner."),
        column("created_date", Date, "Business date on which the deal was created."),
        column("close_date", Date, "Expected close date while open, actual close date once closed."),
        column("first_contact_date", Date, "Date of the first contact with the customer."),
        column("proposal_date", Date, "Date on which a proposal was sent."),
        column("signed_date", Date, "Date of the signature."),
        column("created_at", Timestamp, "Instant of creation."),
        column("closed_at", Timestamp, "Instant of closing, where the source has a time."),
    ],
};

pub const STAGE_CHANGES: Table = Table {
    name: "stage_changes",
    about: "One row per change of a deal: the state of the deal from that instant on.",
    key: "change_id",
    business_date: Some("changed_date"),
    own: &[
        key("change_id", "Identifier of the change; made from deal, instant and new state where the source has none."),
        Column {
            name: "deal_id",
            kind: Text,
            about: "The deal that changed.",
            required: true,
            references: Some("deals"),
        },
        required("changed_at", Timestamp, "Instant of the change."),
        required("changed_date", Date, "Business date of the change."),
        column("from_stage", Category, "Stage before; null for the first row of a deal."),
        column("from_status", Category, "Status before, from the source or the row before."),
        column("from_amount", Money, "Amount before in the same currency, from the source or the row before."),
        column("from_probability", Fraction, "Probability before, from the source or the row before."),
        column("stage", Category, "Stage after."),
        column("status", Category, "open, won or lost, after."),
        column("amount", Money, "Amount after."),
        column("currency", Category, "Currency after."),
        column("probability", Fraction, "Probability after."),
        column("close_date", Date, "Expected or actual close date after."),
        reference("owner_id", "users", "Owner after."),
        reference("changed_by_id", "users", "Who made the change."),
        required(
            "origin",
            Category,
            "history_export, field_history (names the fields that changed, the others are as they were), wide_date_entered \
             or snapshot_diff (between two exports; a field that is empty before and after is as it was).",
        ),
    ],
};

pub const ACCOUNTS: Table = Table {
    name: "accounts",
    about: "One row per account (company, customer or prospect).",
    key: "account_id",
    business_date: Some("created_date"),
    own: &[
        key("account_id", "Identifier of the account in its source."),
        column("name", Text, "Company name."),
        column("domain", Text, "Web domain, in lower case."),
        column("industry", Category, "Industry or sector."),
        column("account_type", Category, "Customer segment or type, from the source."),
        column("employees", Integer, "Number of employees."),
        column("annual_revenue", Money, "Annual revenue, from the source."),
        column("country", Category, "Country."),
        column("region", Category, "State or sales region."),
        column("city", Text, "City."),
        column("postal_code", Text, "Postal code, as text: leading zeros stay."),
        reference("owner_id", "users", "Owner of the account."),
        column("parent_account", Text, "Identifier or name of the parent company."),
        column("lifecycle_stage", Category, "Lifecycle stage, from the source."),
        column("lead_source", Category, "Channel the account came from."),
        column("created_date", Date, "Business date of creation."),
        column("contract_start_date", Date, "Start of the customer's contract."),
        column("contract_end_date", Date, "Planned end of the contract."),
        column("cancelled_date", Date, "Date on which the customer ended the contract."),
        column("cancel_reason", Category, "Why the customer left."),
        column("created_at", Timestamp, "Instant of creation."),
    ],
};

pub const LEADS: Table = Table {
    name: "leads",
    about: "One row per person: a lead or a contact (column kind).",
    key: "lead_id",
    business_date: Some("created_date"),
    own: &[
        key("lead_id", "Identifier of the lead or contact in its source."),
        required("kind", Category, "lead or contact."),
        column("name", Text, "Full name."),
        column("email", Text, "E-mail address, in lower case."),
        column("company_name", Text, "Company as the person gave it."),
        reference("account_id", "accounts", "Account of the person."),
        reference("owner_id", "users", "Owner of the lead."),
        column("status", Category, "Lead status, from the source."),
        column("lifecycle_stage", Category, "Lifecycle stage, from the source."),
        column("lead_source", Category, "Channel the lead came from."),
        column("campaign", Category, "Campaign the lead came from."),
        column("device", Category, "Device of the first visit."),
        column("country", Category, "Country."),
        column("region", Category, "State or region."),
        required("is_qualified", Boolean, "The lead was qualified, by status, lifecycle stage or conversion."),
        required("is_converted", Boolean, "The lead was converted to a deal or customer."),
        column("disqualified_reason", Category, "Why the lead was disqualified."),
        column("created_date", Date, "Business date of creation."),
        column("qualified_date", Date, "Business date of qualification."),
        column("converted_date", Date, "Business date of conversion."),
        reference("converted_account_id", "accounts", "Account made by the conversion."),
        reference("converted_deal_id", "deals", "Deal made by the conversion."),
        column("created_at", Timestamp, "Instant of creation."),
        column("first_contact_at", Timestamp, "Instant of the first contact by a representative."),
    ],
};

pub const ACTIVITIES: Table = Table {
    name: "activities",
    about: "One row per call, meeting, e-mail, task or note.",
    key: "activity_id",
    business_date: Some("activity_date"),
    own: &[
        key("activity_id", "Identifier of the activity in its source."),
        required("activity_type", Category, "call, meeting, email, task, note or other."),
        column("subject", Text, "Subject line."),
        column("status", Category, "Status, from the source."),
        column("direction", Category, "inbound or outbound."),
        column("outcome", Category, "Outcome of the call or meeting."),
        reference("owner_id", "users", "Who did it."),
        reference("deal_id", "deals", "Deal it belongs to."),
        reference("account_id", "accounts", "Account it belongs to."),
        reference("lead_id", "leads", "Person it belongs to."),
        column("activity_date", Date, "Business date of the activity."),
        column("started_at", Timestamp, "Start."),
        column("ended_at", Timestamp, "End."),
        column("duration_seconds", Integer, "Duration in seconds."),
        column("is_system", Boolean, "Written by the system, not by a person."),
        column("created_at", Timestamp, "Instant of creation."),
    ],
};

pub const USERS: Table = Table {
    name: "users",
    about: "One row per user of the CRM: sales representatives and their place in the organisation.",
    key: "user_id",
    business_date: None,
    own: &[
        key("user_id", "Identifier of the user in its source."),
        column("name", Category, "Full name."),
        column("email", Text, "E-mail address, in lower case."),
        column("role", Category, "Role or title."),
        column("team", Category, "Sales team."),
        reference("manager_id", "users", "Manager, as a user."),
        column("manager_name", Category, "Name of the manager where the export gives only a name."),
        column("region", Category, "Sales region or office."),
        column("country", Category, "Country."),
        column("is_active", Boolean, "The user is active."),
        column("hired_date", Date, "First day."),
        column("left_date", Date, "Last day."),
    ],
};

pub const PRODUCTS: Table = Table {
    name: "products",
    about: "One row per product.",
    key: "product_id",
    business_date: None,
    own: &[
        key("product_id", "Identifier of the product in its source."),
        column("name", Category, "Product name."),
        column("code", Text, "Product code."),
        column("family", Category, "Product family or series."),
        column("is_active", Boolean, "The product is on sale."),
        column("list_price", Money, "List price."),
        column("currency", Category, "ISO 4217 code of the list price."),
    ],
};

pub const LINE_ITEMS: Table = Table {
    name: "line_items",
    about: "One row per product line of a deal or order.",
    key: "line_item_id",
    business_date: Some("sold_date"),
    own: &[
        key("line_item_id", "Identifier of the line in its source."),
        reference("deal_id", "deals", "Deal of the line."),
        reference("order_id", "orders", "Order of the line."),
        reference("account_id", "accounts", "Account of the line."),
        reference("product_id", "products", "Product sold."),
        column("product_name", Category, "Name of the product on the line."),
        column("quantity", Money, "Quantity."),
        column("unit_price", Money, "Price of one unit."),
        column("list_price", Money, "List price of one unit."),
        column("discount_amount", Money, "Discount on the line."),
        column("total_amount", Money, "Value of the line after discount."),
        column("cost_amount", Money, "Direct cost of the line."),
        column("returned_quantity", Money, "Quantity sent back."),
        column("currency", Category, "ISO 4217 code."),
        column("sold_date", Date, "Date of the sale or service."),
        column("return_date", Date, "Date of the return."),
    ],
};

pub const ORDERS: Table = Table {
    name: "orders",
    about: "One row per order, invoice, payment or credit note (column kind).",
    key: "order_id",
    business_date: Some("order_date"),
    own: &[
        key("order_id", "Identifier of the order in its source."),
        required("kind", Category, "order, invoice, payment, refund or credit."),
        reference("deal_id", "deals", "Deal of the order."),
        reference("account_id", "accounts", "Account that ordered."),
        reference("owner_id", "users", "Sales representative."),
        column("order_number", Text, "Number shown to the customer."),
        column("status", Category, "Status, from the source."),
        column("subtotal_amount", Money, "Value before tax."),
        column("tax_amount", Money, "Tax."),
        column("total_amount", Money, "Value with tax."),
        column("refunded_amount", Money, "Value paid back."),
        column("cost_amount", Money, "Direct cost."),
        column("currency", Category, "ISO 4217 code."),
        column("is_returned", Boolean, "Goods were sent back."),
        column("order_date", Date, "Date of the order or invoice."),
        column("due_date", Date, "Date on which payment is due."),
        column("paid_date", Date, "Date of the payment."),
        column("return_date", Date, "Date of the return."),
    ],
};

pub const SUBSCRIPTIONS: Table = Table {
    name: "subscriptions",
    about: "One row per subscription: a contract that brings recurring revenue from start to end.",
    key: "subscription_id",
    business_date: Some("start_date"),
    own: &[
        key("subscription_id", "Identifier of the subscription in its source."),
        reference("account_id", "accounts", "Account that subscribes."),
        reference("owner_id", "users", "Owner of the subscription."),
        reference("deal_id", "deals", "Deal that sold it."),
        column("plan", Category, "Plan or tier."),
        column("seats", Integer, "Number of seats or units."),
        column("mrr_amount", Money, "Monthly recurring revenue."),
        column("currency", Category, "ISO 4217 code."),
        column("billing_frequency", Category, "monthly, quarterly or annual."),
        column("status", Category, "Status, from the source."),
        column("is_trial", Boolean, "A trial: brings no revenue."),
        column("auto_renew", Boolean, "Renews by itself."),
        column("cancel_reason", Category, "Why it ended."),
        column("start_date", Date, "First day."),
        column(
            "end_date",
            Date,
            "First day on which it no longer runs, not the last one on which it does; null while it runs.",
        ),
        column("trial_end_date", Date, "End of the trial."),
        column("cancelled_date", Date, "Date on which it was cancelled."),
    ],
};

pub const SPEND: Table = Table {
    name: "spend",
    about: "One row per cost of marketing, sales or operation.",
    key: "spend_id",
    business_date: Some("spend_date"),
    own: &[
        key("spend_id", "Identifier; made from date, kind, channel and campaign where the source has none."),
        required("spend_date", Date, "Date of the cost."),
        required("kind", Category, "marketing, sales, fixed or variable."),
        column("channel", Category, "Channel, as lead_source names it."),
        column("campaign", Category, "Campaign."),
        column("initiative", Category, "Initiative the cost belongs to."),
        column("region", Category, "Region."),
        required("amount", Money, "Cost."),
        column("currency", Category, "ISO 4217 code."),
        column("impressions", Integer, "Times shown."),
        column("clicks", Integer, "Clicks."),
    ],
};

pub const TARGETS: Table = Table {
    name: "targets",
    about: "One row per target: a value that a person, team or company is to reach in a period.",
    key: "target_id",
    business_date: Some("period_start"),
    own: &[
        key("target_id", "Identifier; made from scope, metric and period where the source has none."),
        required("scope", Category, "company, region, team or owner."),
        column("scope_name", Category, "Which region, team or owner; empty for the company."),
        reference("owner_id", "users", "The user, for scope owner."),
        column("team", Category, "The team, for scope team."),
        column("region", Category, "The region, for scope region."),
        required("metric", Category, "revenue, deals_won, leads, or the metric of a definition of your own."),
        required("period_start", Date, "First day of the period."),
        required("period_end", Date, "Last day of the period."),
        required("target_value", Money, "Value to reach."),
        column("currency", Category, "ISO 4217 code of a money target."),
    ],
};

pub const TICKETS: Table = Table {
    name: "tickets",
    about: "One row per service ticket.",
    key: "ticket_id",
    business_date: Some("created_date"),
    own: &[
        key("ticket_id", "Identifier of the ticket in its source."),
        column("ticket_type", Category, "complaint, return, request, or as the source names it."),
        reference("account_id", "accounts", "Account that asks."),
        reference("owner_id", "users", "Agent."),
        reference("deal_id", "deals", "Deal it belongs to."),
        column("subject", Text, "Subject line."),
        column("pipeline", Category, "Ticket pipeline."),
        column("status", Category, "Status, from the source."),
        required("is_closed", Boolean, "The ticket is resolved."),
        column("priority", Category, "Priority."),
        column("channel", Category, "Channel it came by."),
        column("satisfaction_score", Money, "Score the customer gave."),
        column(
            "first_response_minutes",
            Integer,
            "Minutes to the first response; where empty, those from created_at to first_response_at, begun ones counted.",
        ),
        column(
            "resolution_minutes",
            Integer,
            "Minutes to the resolution; where empty, those from created_at to resolved_at, begun ones counted.",
        ),
        column("created_date", Date, "Business date of creation."),
        column("resolved_date", Date, "Business date of the resolution."),
        column("created_at", Timestamp, "Instant of creation."),
        column("first_response_at", Timestamp, "Instant of the first response."),
        column("resolved_at", Timestamp, "Instant of the resolution."),
    ],
};

pub const SURVEYS: Table = Table {
    name: "surveys",
    about: "One row per answer to a survey.",
    key: "response_id",
    business_date: Some("response_date"),
    own: &[
        key("response_id", "Identifier of the answer in its source."),
        required("kind", Category, "nps, csat, ces or review."),
        column("survey_name", Category, "Name of the survey."),
        reference("account_id", "accounts", "Account that answered."),
        reference("owner_id", "users", "Sales representative concerned."),
        column("team", Category, "Team concerned."),
        column("email", Text, "E-mail address of who answered, in lower case."),
        column("score", Money, "Score given: 0 to 10 for nps, else 1 to scale_max (csat without one: 1 to 5)."),
        column("scale_max", Money, "Best possible score."),
        column("comment", Text, "Comment."),
        column("response_date", Date, "Business date of the answer."),
        column("responded_at", Timestamp, "Instant of the answer."),
    ],
};

pub const REFERRALS: Table = Table {
    name: "referrals",
    about: "One row per recommendation by a customer.",
    key: "referral_id",
    business_date: Some("referral_date"),
    own: &[
        key("referral_id", "Identifier of the referral in its source."),
        reference("referrer_account_id", "accounts", "Customer who recommended."),
        reference("account_id", "accounts", "Account that was recommended to us."),
        reference("lead_id", "leads", "Person that was recommended to us."),
        reference("deal_id", "deals", "Deal that came of it."),
        column("channel", Category, "Channel."),
        column("referral_date", Date, "Date of the recommendation."),
    ],
};

pub const EVENTS: Table = Table {
    name: "events",
    about: "One row per dated event of an account that is none of the above: product usage, churn notices.",
    key: "event_id",
    business_date: Some("event_date"),
    own: &[
        key("event_id", "Identifier of the event in its source."),
        required("event_type", Category, "usage, churn, visit, or as the mapping names it."),
        column("name", Category, "Feature, reason or other label of the event."),
        reference("account_id", "accounts", "Account concerned."),
        reference("subscription_id", "subscriptions", "Subscription concerned."),
        column("event_date", Date, "Business date of the event."),
        column("quantity", Money, "Count of the event."),
        column("amount", Money, "Money of the event."),
        column("currency", Category, "ISO 4217 code."),
        column("duration_seconds", Integer, "Duration in seconds."),
        column("comment", Text, "Comment."),
    ],
};

pub const FX_RATES: Table = Table {
    name: "fx_rates",
    about: "One row per exchange rate: one unit of from_currency is worth rate units of to_currency from that day on.",
    key: "rate_id",
    business_date: Some("rate_date"),
    own: &[
        key("rate_id", "Identifier; made from the currencies, kind and date where the source has none."),
        required("from_currency", Category, "ISO 4217 code."),
        required("to_currency", Category, "ISO 4217 code."),
        required("rate_date", Date, "Day from which the rate holds, until the next one."),
        required(
            "rate",
            Rate,
            "Units of to_currency for one unit of from_currency; above 0, and 1 between equal ones.",
        ),
        column("kind", Category, "spot (default), average or plan."),
    ],
};

/// Rows that could not be loaded, with the place they stood and the reason. Append-only.
pub const REJECTS: Table = Table {
    name: "rejects",
    about: "One row per record that could not be loaded: where it stood and why.",
    key: "reject_id",
    business_date: None,
    own: &[
        key("reject_id", "Identifier: batch, file and line."),
        column("batch_id", Text, "Batch that rejected it."),
        column("source_file", Category, "File."),
        column("source_line", Integer, "Line on which the record starts, counted from 1."),
        column("byte_offset", Integer, "Byte at which the record starts, counted from 0."),
        column("target_table", Category, "Table it was meant for."),
        column("column_name", Category, "Column at fault."),
        column("value", Text, "Value found."),
        column("reason", Category, "Machine-readable reason."),
        column("message", Text, "What was expected, and what to do."),
        column("raw_record", Text, "The record as it stood."),
    ],
};

/// One row per completed ingest. The newest row says which version of every table belongs together.
pub const BATCHES: Table = Table {
    name: "batches",
    about: "One row per completed ingest, committed last.",
    key: "batch_id",
    business_date: None,
    own: &[
        key("batch_id", "SHA-256 over the inputs and the mapping."),
        column("sequence", Integer, "Position in the history of the lake, from 1."),
        column("finished_at", Timestamp, "When the batch was committed."),
        column("as_of", Date, "Date of the export."),
        column("source_path", Text, "Path that was ingested."),
        column("rows_read", Integer, "Records found."),
        column(
            "rows_loaded",
            Integer,
            "Records in the lake after the batch that it inserted, updated or found unchanged.",
        ),
        column("rows_inserted", Integer, "Records new to the lake."),
        column("rows_updated", Integer, "Records that replaced an older version."),
        column("rows_unchanged", Integer, "Records that the lake held already."),
        column("rows_rejected", Integer, "Records that could not be loaded."),
        column(
            "rows_duplicate",
            Integer,
            "Records superseded by a newer version in the same batch, or older than what the lake holds.",
        ),
        column("rows_furniture", Integer, "Recognised footers, totals and titles."),
        column("table_versions", Json, "Delta version of every table that belongs to this state of the lake."),
        column("manifest", Json, "Per file: hash, dialect, profile, mapping, counts, seconds."),
    ],
};
