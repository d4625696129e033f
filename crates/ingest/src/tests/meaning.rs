//! What cells mean, not how they are written: words in any case, scales, rates, times waited,
//! points that could be either, and contents that come back.

use super::{Folder, load, load_with, reasons, rows};
use crate::{IngestError, IngestOptions};

/// Loads one plain CSV; its rows in `columns`, and the reasons of the rejects.
fn plain(table: &str, text: &str, columns: &[&str]) -> (Vec<Vec<String>>, Vec<String>) {
    let folder = Folder::new();
    let path = folder.write(&format!("{table}.csv"), text);
    load(&path, &folder.lake()).unwrap();
    (rows(&folder.lake(), table, columns), reasons(&folder.lake()))
}

#[test]
fn closed_vocabularies_take_any_case_and_nothing_else() {
    let (found, rejects) = plain(
        "orders",
        "order_id,kind,total_amount,currency\nO1,Invoice,1,usd\nO2, ORDER ,1,USD\nO3,bill,1,US Dollar\n",
        &["order_id", "kind", "currency"],
    );
    assert_eq!(found, [["O1", "invoice", "USD"], ["O2", "order", "USD"]]);
    assert_eq!(rejects, ["orders.csv 4 unknown_value kind"]);
    let (found, rejects) = plain(
        "spend",
        "spend_date,kind,amount\n2024-02-01,Marketing,1\n2024-02-01,marketing,2\n2024-02-01,rent,1\n",
        &["spend_id", "kind", "amount"],
    );
    // The key is made of the word as it is stored: the second row corrects the first one.
    assert_eq!(found, [["2024-02-01|marketing||||||", "marketing", "2.0000"]]);
    assert_eq!(rejects, ["spend.csv 4 unknown_value kind"]);
    for (table, text) in [
        ("leads", "lead_id,kind,is_qualified,is_converted\nL1,Lead,true,false\nL2,visitor,true,false\n"),
        ("surveys", "response_id,kind,score\nS1,NPS,9\nS2,poll,9\n"),
        (
            "targets",
            "scope,metric,period_start,period_end,target_value\nCompany,Revenue,2024-02-01,2024-02-29,1\nworld,revenue,2024-02-01,2024-02-29,1\n",
        ),
        ("deals", "deal_id,status\nD1,WON\nD2,maybe\n"),
    ] {
        let column = match table {
            "targets" => "scope",
            "deals" => "status",
            _ => "kind",
        };
        let (found, rejects) = plain(table, text, &[column]);
        assert_eq!(found.len(), 1, "{table}");
        assert_eq!(found[0][0], found[0][0].to_lowercase(), "{table}");
        assert_eq!(rejects, [format!("{table}.csv 3 unknown_value {column}")], "{table}");
    }
}

#[test]
fn open_vocabularies_keep_what_they_do_not_know() {
    let (found, rejects) = plain(
        "activities",
        "activity_id,activity_type,direction\nA1,Call,Inbound\nA2,Site Visit,INTERNAL\n",
        &["activity_type", "direction"],
    );
    assert_eq!(found, [["Site Visit", "INTERNAL"], ["call", "inbound"]]);
    assert_eq!(rejects, Vec::<String>::new());
    let (found, _) = plain(
        "targets",
        "scope,metric,period_start,period_end,target_value\ncompany,Revenue,2024-02-01,2024-02-29,1\ncompany,umsatz,2024-02-01,2024-02-29,1\n",
        &["metric"],
    );
    assert_eq!(found, [["revenue"], ["umsatz"]]);
}

#[test]
fn a_mapping_of_the_users_own_keeps_to_the_vocabulary() {
    let folder = Folder::new();
    let mapping = folder.write(
        "acme.yaml",
        "source: acme\nentity: Bills\ntable: orders\nfingerprints: [[No, Sort]]\ncolumns:\n  order_id: [No]\n  kind: {from: [Sort], map: {Rechnung: Invoice}}\n",
    );
    let path = folder.write("acme.csv", "No,Sort\n1,Rechnung\n2,Gutschrift\n3,PAYMENT\n");
    let options = IngestOptions { mapping: Some(mapping), ..IngestOptions::default() };
    load_with(&path, &folder.lake(), &options).unwrap();
    assert_eq!(rows(&folder.lake(), "orders", &["order_id", "kind"]), [["1", "invoice"], ["3", "payment"]]);
    assert_eq!(reasons(&folder.lake()), ["acme.csv 3 unknown_value kind"]);
}

#[test]
fn rates_that_can_be_none_are_rejected() {
    let (found, rejects) = plain(
        "fx_rates",
        "from_currency,to_currency,rate_date,rate,kind\nEUR,USD,2024-01-01,0,spot\nEUR,USD,2024-01-02,-1,spot\n\
         eur,usd,2024-01-03,1.1,Spot\nEUR,eur,2024-01-03,1.5,spot\nEUR,EUR,2024-01-04,1,spot\nEUR,CHF,2024-01-03,1.5,weird\n",
        &["rate_id", "rate"],
    );
    assert_eq!(found, [["EUR|EUR|spot|2024-01-04", "1.00000000"], ["EUR|USD|spot|2024-01-03", "1.10000000"]]);
    assert_eq!(
        rejects,
        [
            "fx_rates.csv 2 out_of_range rate",
            "fx_rates.csv 3 out_of_range rate",
            "fx_rates.csv 5 out_of_range rate",
            "fx_rates.csv 7 unknown_value kind"
        ]
    );
}

#[test]
fn scores_beyond_their_scale_are_rejected() {
    let (found, rejects) = plain(
        "surveys",
        "response_id,kind,score,scale_max\nS1,nps,10,\nS2,nps,11,\nS3,nps,-1,\nS4,nps,5,5\nS5,csat,7,5\nS6,csat,7,7\nS7,csat,6,\nS8,ces,0,7\nS9,csat,,5\n",
        &["response_id"],
    );
    assert_eq!(found, [["S1"], ["S6"], ["S9"]]);
    let expected = [(3, "score"), (4, "score"), (5, "scale_max"), (6, "score"), (8, "score"), (9, "score")];
    let expected: Vec<String> =
        expected.iter().map(|(line, column)| format!("surveys.csv {line} out_of_range {column}")).collect();
    assert_eq!(rejects, expected);
}

#[test]
fn a_target_for_no_day_is_rejected() {
    let folder = Folder::new();
    let path = folder.write(
        "targets.csv",
        "scope,metric,period_start,period_end,target_value\n\
         company,revenue,2024-02-01,2024-02-29,1\n\
         company,revenue,2024-03-31,2024-03-01,2\n\
         company,revenue,2024-04-02,2024-04-01,3\n\
         company,revenue,2024-05-01,2024-05-01,4\n",
    );
    let outcome = load(&path, &folder.lake()).unwrap();
    assert_eq!(rows(&folder.lake(), "targets", &["period_end"]), [["2024-02-29"], ["2024-05-01"]]);
    let found = reasons(&folder.lake());
    assert_eq!(found, ["targets.csv 3 out_of_range period_end", "targets.csv 4 out_of_range period_end"]);
    assert_eq!((outcome.rows_read, outcome.loaded, outcome.rejected), (4, 2, 2));
    let told = rows(&folder.lake(), "rejects", &["value", "message"]);
    assert_eq!(told[0][0], "2024-03-01");
    assert!(told[0][1].contains("the period starts on 2024-03-31; expected its last day"), "{told:?}");
}

#[test]
fn a_target_for_nobody_is_rejected() {
    let folder = Folder::new();
    let path = folder.write(
        "targets.csv",
        "scope,scope_name,owner_id,team,region,metric,period_start,period_end,target_value\n\
         company,,,,,revenue,2024-02-01,2024-02-29,1\n\
         team,,,,,revenue,2024-02-01,2024-02-29,2\n\
         team,Blue,,,,revenue,2024-02-01,2024-02-29,3\n\
         Team,,,Red,,revenue,2024-02-01,2024-02-29,4\n\
         team,,U1,,,revenue,2024-02-01,2024-02-29,5\n\
         owner,,,Red,,revenue,2024-02-01,2024-02-29,6\n\
         owner,,U1,,,revenue,2024-02-01,2024-02-29,7\n\
         region,,,Red,,revenue,2024-02-01,2024-02-29,8\n\
         region,,,,East,revenue,2024-02-01,2024-02-29,9\n",
    );
    let outcome = load(&path, &folder.lake()).unwrap();
    let mut found = rows(&folder.lake(), "targets", &["target_value"]);
    found.sort();
    assert_eq!(found, ["1", "3", "4", "5", "7", "9"].map(|value| [format!("{value}.0000")]));
    let rejects = [3, 7, 9].map(|line| format!("targets.csv {line} missing_required scope_name"));
    assert_eq!(reasons(&folder.lake()), rejects);
    assert_eq!((outcome.rows_read, outcome.loaded, outcome.rejected), (9, 6, 3));
    let told = rows(&folder.lake(), "rejects", &["message"]);
    let said = |name: &str| told.iter().any(|row| row[0].contains(name));
    assert!(said("a target for a team is for one by name; expected its name, here or in team"), "{told:?}");
    assert!(said("a target for an owner is for one by name; expected its name, here or in owner_id"), "{told:?}");
    // A file without any column for a name has none.
    let path = folder.write(
        "bare/targets.csv",
        "scope,metric,period_start,period_end,target_value\nteam,revenue,2024-02-01,2024-02-29,2\n",
    );
    let refused = load(&path, &folder.0.join("bare/lake")).unwrap_err().to_string();
    assert!(refused.contains("a target for a team is for one by name"), "{refused}");
}

/// A contract that was called off before it began is no mistake: it counts in no figure.
#[test]
fn a_subscription_that_ends_before_it_starts_is_kept() {
    let (found, rejects) = plain(
        "subscriptions",
        "subscription_id,start_date,end_date\nS1,2024-02-01,2024-01-15\nS2,2024-02-01,2024-02-01\n",
        &["subscription_id", "end_date"],
    );
    assert_eq!(found, [["S1", "2024-01-15"], ["S2", "2024-02-01"]]);
    assert_eq!(rejects, Vec::<String>::new());
}

#[test]
fn tickets_tell_how_long_they_waited_where_the_clock_is_known() {
    let header = "ticket_id,is_closed,created_at,first_response_at,resolved_at,resolution_minutes\n";
    let lines = [
        "T1,true,2024-01-01T10:00:00Z,2024-01-01T10:30:00Z,2024-01-02T10:00:00Z,",
        // A begun minute counts; what the source says wins.
        "T2,true,2024-01-01 10:00,2024-01-01 11:00:01,2024-01-02 10:00,77",
        // Dates, and midnights on both sides, say nothing about minutes.
        "T3,true,2024-01-01,2024-01-02 10:00,2024-01-03,",
        "T4,true,2024-01-01T00:00:00Z,2024-01-01T00:20:00Z,2024-01-02T00:00:00Z,",
        // Open again, and answered before it was asked.
        "T5,false,2024-01-02T10:00:00Z,2024-01-01T10:00:00Z,2024-01-03T10:00:00Z,",
        "T6,false,2024-01-02T10:00:00Z,,,",
    ];
    let (found, rejects) = plain(
        "tickets",
        &format!("{header}{}\n", lines.join("\n")),
        &["ticket_id", "first_response_minutes", "resolution_minutes"],
    );
    assert_eq!(rejects, Vec::<String>::new());
    assert_eq!(
        found,
        [
            ["T1", "30", "1440"],
            ["T2", "61", "77"],
            ["T3", "∅", "∅"],
            ["T4", "20", "∅"],
            ["T5", "∅", "∅"],
            ["T6", "∅", "∅"]
        ]
    );
}

#[test]
fn salesforce_cases_tell_how_long_they_took() {
    let folder = Folder::new();
    let path = folder.write(
        "Case.csv",
        "Id,CaseNumber,Status,IsClosed,CreatedDate,ClosedDate\n500A,1,Closed,true,2024-01-01T10:00:00.000Z,2024-01-01T12:00:00.000Z\n",
    );
    load(&path, &folder.lake()).unwrap();
    assert_eq!(rows(&folder.lake(), "tickets", &["resolution_minutes", "first_response_minutes"]), [["120", "∅"]]);
}

#[test]
fn history_tells_what_a_change_started_from() {
    let header = "change_id,deal_id,changed_at,changed_date,stage,status,amount,currency,probability\n";
    let lines = [
        "4,D1,2024-03-01T10:00:00Z,2024-03-01,Proposal,open,80,EUR,0.5",
        "1,D1,2024-01-01T10:00:00Z,2024-01-01,New,open,100,USD,0.1",
        "2,D1,2024-02-01T10:00:00Z,2024-02-01,Lost,lost,,USD,0",
        "3,D1,2024-02-15T10:00:00Z,2024-02-15,Proposal,open,150,USD,",
        "5,D2,2024-02-15T10:00:00Z,2024-02-15,New,open,7,USD,",
    ];
    let (found, _) = plain(
        "stage_changes",
        &format!("{header}{}\n", lines.join("\n")),
        &["change_id", "from_stage", "from_status", "from_amount", "from_probability"],
    );
    assert_eq!(
        found,
        [
            ["1", "∅", "∅", "∅", "∅"],
            ["2", "New", "open", "∅", "0.1000"],
            // The last amount that was told; and one in another currency tells nothing.
            ["3", "Lost", "lost", "100.0000", "∅"],
            ["4", "Proposal", "open", "∅", "0.0000"],
            ["5", "∅", "∅", "∅", "∅"],
        ]
    );
}

#[test]
fn snapshots_tell_what_a_change_started_from() {
    let folder = Folder::new();
    let night = |name: &str, status: &str, amount: &str, currency: &str| {
        folder.write(
            name,
            format!("deal_id,status,stage,amount,currency,modified_at\nD1,{status},S,{amount},{currency},{name}\n")
                .replace(".csv", "T00:00:00Z"),
        )
    };
    for (name, status, amount, currency) in [
        ("2024-01-01.csv", "lost", "100", "USD"),
        ("2024-01-02.csv", "open", "120", "USD"),
        ("2024-01-03.csv", "open", "90", "EUR"),
    ] {
        load(&night(name, status, amount, currency), &folder.lake()).unwrap();
    }
    assert_eq!(
        rows(&folder.lake(), "stage_changes", &["changed_date", "from_status", "status", "from_amount", "amount"]),
        [["2024-01-02", "lost", "open", "100.0000", "120.0000"], ["2024-01-03", "open", "open", "90.0000", "90.0000"]]
    );
}

#[test]
fn a_history_of_fields_says_which_it_names() {
    let folder = Folder::new();
    let path = folder.write(
        "OpportunityFieldHistory.csv",
        "Id,OpportunityId,Field,OldValue,NewValue,CreatedDate,CreatedById,IsDeleted\n\
         017A,006A,created,,,2024-01-01T09:00:00.000Z,005A,false\n\
         017B,006A,Amount,,100,2024-01-02T09:00:00.000Z,005A,false\n\
         017C,006A,StageName,Closed Lost,Negotiation,2024-01-03T09:00:00.000Z,005A,false\n",
    );
    load(&path, &folder.lake()).unwrap();
    let columns = ["change_id", "origin", "from_stage", "stage", "from_status", "status", "from_amount", "amount"];
    assert_eq!(
        rows(&folder.lake(), "stage_changes", &columns),
        [
            ["017A", "field_history", "∅", "∅", "∅", "∅", "∅", "∅"],
            ["017B", "field_history", "∅", "∅", "∅", "∅", "∅", "100.0000"],
            ["017C", "field_history", "Closed Lost", "Negotiation", "lost", "open", "∅", "∅"],
        ]
    );
}

#[test]
fn deals_tell_which_stages_close_one() {
    let folder = Folder::new();
    folder.write(
        "1/Opportunity.csv",
        "Id,Name,StageName,IsClosed,IsWon,CloseDate,CreatedDate\n\
         006A,a,Deal Done,true,true,2024-02-01,2024-01-01\n\
         006B,b,Verloren,true,false,2024-02-01,2024-01-01\n\
         006C,c,Talks,false,false,2024-09-01,2024-01-01\n\
         006D,d,Closed Won,true,true,2024-02-01,2024-01-01\n",
    );
    let path = folder.write(
        "1/OpportunityHistory.csv",
        "Id,OpportunityId,StageName,Amount,CreatedDate\n\
         008A,006A,Talks,1,2024-01-01T09:00:00.000Z\n\
         008B,006A,Deal Done,1,2024-02-01T09:00:00.000Z\n\
         008C,006B,Verloren,1,2024-02-01T09:00:00.000Z\n\
         008D,006D,Closed Won,1,2024-02-01T09:00:00.000Z\n\
         008E,006C,Parked,1,2024-02-01T09:00:00.000Z\n",
    );
    load(path.parent().unwrap(), &folder.lake()).unwrap();
    // A later export of the history alone goes by the deals that the lake has.
    let path = folder.write(
        "2/OpportunityFieldHistory.csv",
        "Id,OpportunityId,Field,OldValue,NewValue,CreatedDate\n\
         017A,006B,StageName,Verloren,Talks,2024-03-01T09:00:00.000Z\n\
         017B,006B,StageName,Talks,Deal Done,2024-03-02T09:00:00.000Z\n",
    );
    load(path.parent().unwrap(), &folder.lake()).unwrap();
    assert_eq!(
        rows(&folder.lake(), "stage_changes", &["change_id", "from_status", "stage", "status"]),
        [
            ["008A", "∅", "Talks", "open"],
            ["008B", "open", "Deal Done", "won"],
            ["008C", "∅", "Verloren", "lost"],
            ["008D", "∅", "Closed Won", "won"],
            ["008E", "∅", "Parked", "open"],
            ["017A", "lost", "Talks", "open"],
            ["017B", "open", "Deal Done", "won"],
        ]
    );
}

#[test]
fn what_the_history_of_an_export_tells_is_not_told_twice() {
    let folder = Folder::new();
    let deals = "deal_id,status,stage,amount,currency,probability,owner_id,modified_at\n";
    let history = "change_id,deal_id,changed_at,changed_date,from_stage,stage,from_status,status,amount,currency\n";
    for (night, rows, changes) in [
        (
            "1",
            &[
                "D1,lost,Lost,100,USD,0,U1",
                "D2,open,New,10,USD,0.1,U1",
                "D3,open,New,1,USD,,U1",
                "D4,lost,Lost,5,USD,0,U1",
            ][..],
            &["1,D1,2024-01-01T09:00:00Z,2024-01-01,New,Lost,open,lost,100,USD"][..],
        ),
        (
            "2",
            &[
                "D1,open,Talks,120,USD,0,U1",
                "D2,open,Talks,15,USD,0.1,U1",
                "D3,open,New,1,USD,,U2",
                "D4,open,New,5,USD,0,U1",
            ],
            &[
                // D1 is told in full, D2 without its amount, D4 not at all.
                "2,D1,2024-01-02T09:00:00Z,2024-01-02,Lost,New,lost,open,100,USD",
                "3,D1,2024-01-02T10:00:00Z,2024-01-02,New,Talks,open,open,120,USD",
                "4,D2,2024-01-03T09:00:00Z,2024-01-03,New,Talks,open,open,,",
            ],
        ),
    ] {
        let lines: String = rows.iter().map(|row| format!("{row},2024-01-0{night}T12:00:00Z\n")).collect();
        folder.write(&format!("{night}/deals.csv"), format!("{deals}{lines}"));
        let lines: String = changes.iter().map(|change| format!("{change}\n")).collect();
        let path = folder.write(&format!("{night}/stage_changes.csv"), format!("{history}{lines}"));
        load(path.parent().unwrap(), &folder.lake()).unwrap();
    }
    let columns =
        ["deal_id", "changed_at", "origin", "from_stage", "stage", "from_status", "status", "from_amount", "amount"];
    let found = rows(&folder.lake(), "stage_changes", &columns);
    let seen: Vec<_> = found.iter().filter(|row| row[2] == "snapshot_diff").collect();
    assert_eq!(
        seen,
        [
            // The history does not say what the amount was before, the night before does.
            &["D1", "2024-01-02T08:59:59.999999Z", "snapshot_diff", "∅", "∅", "∅", "∅", "100.0000", "100.0000"],
            // What is left of a change keeps silent about what is told, and stands after it.
            &["D2", "2024-01-03T09:00:00Z", "snapshot_diff", "∅", "∅", "∅", "∅", "10.0000", "15.0000"],
            &["D3", "2024-01-02T12:00:00Z", "snapshot_diff", "New", "New", "open", "open", "1.0000", "1.0000"],
            &["D4", "2024-01-02T12:00:00Z", "snapshot_diff", "Lost", "New", "lost", "open", "5.0000", "5.0000"],
        ]
    );
    assert_eq!(found.len(), 4 + 4);
}

fn amounts(text: &str, decimal_comma: Option<bool>) -> Result<Vec<Vec<String>>, IngestError> {
    let folder = Folder::new();
    let path = folder.write("deals.csv", text);
    load_with(&path, &folder.lake(), &IngestOptions { decimal_comma, ..IngestOptions::default() })?;
    Ok(rows(&folder.lake(), "deals", &["amount"]))
}

#[test]
fn points_that_could_be_either_are_refused_where_commas_are_at_home() {
    let dotted = "deal_id,status,amount,close_date\n1,won,1.234,31.01.2024\n2,won,1.000,31.01.2024\n";
    let semicolons = "deal_id;status;amount;close_date\n1;won;1.234;2024-01-31\n2;won;1.000;2024-01-31\n";
    let euros = "deal_id,status,amount\n1,won,€ 1.234\n2,won,1.000\n";
    let commas = "deal_id;status;amount\n1;won;1,234\n2;won;1,000\n";
    for (text, point, comma) in [
        (dotted, "1.2340", "1234.0000"),
        (semicolons, "1.2340", "1234.0000"),
        (euros, "1.2340", "1234.0000"),
        (commas, "1234.0000", "1.2340"),
    ] {
        let error = amounts(text, None).unwrap_err();
        let IngestError::AmbiguousDecimals { column, samples, .. } = &error else { panic!("{error}") };
        assert!(column == "amount" && samples.starts_with("line 2: "), "{samples}");
        assert!(error.hint().unwrap().contains("--decimal-comma") && error.is_user_fault());
        assert!(amounts(text, Some(false)).unwrap().contains(&vec![point.to_owned()]), "{text}");
        assert!(amounts(text, Some(true)).unwrap().contains(&vec![comma.to_owned()]), "{text}");
    }
    // One number that tells settles the column, and a column that tells settles its neighbours.
    let told = format!("{semicolons}3;won;12,5;2024-01-31\n");
    assert_eq!(amounts(&told, None).unwrap(), [["1000.0000"], ["12.5000"], ["1234.0000"]]);
    let told = "deal_id;status;amount;cost_amount\n1;won;1.234;0,5\n";
    assert_eq!(amounts(told, None).unwrap(), [["1234.0000"]]);
    let told = "deal_id;status;amount;cost_amount\n1;won;1.234;0.125\n";
    assert_eq!(amounts(told, None).unwrap(), [["1.2340"]]);
    // Where nothing speaks for a comma, a point is one of decimals.
    let plain = "deal_id,status,amount,close_date\n1,won,1.234,2024-01-31\n2,won,\"1,234\",2024-01-31\n";
    assert_eq!(amounts(plain, None).unwrap(), [["1.2340"], ["1234.0000"]]);
}

#[test]
fn a_late_number_that_could_be_either_is_not_read_silently() {
    let mut text = "deal_id;status;amount;name\n".to_owned();
    let mut count = 0;
    while text.len() < 5 << 20 {
        text.push_str(&format!("{count};won;1;padding padding padding padding padding\n"));
        count += 1;
    }
    text.push_str("late;won;1.234;x\n");
    let error = amounts(&text, None).unwrap_err();
    assert!(matches!(&error, IngestError::AmbiguousDecimals { column, .. } if column == "amount"), "{error}");
}

#[test]
fn stripe_plans_of_any_interval_have_a_monthly_amount() {
    let header = "id,Customer ID,Currency,Interval,Interval Count,Amount,Status,Created (UTC)";
    let load_stripe = |header: &str, lines: &[&str]| {
        let folder = Folder::new();
        let path = folder.write("subscriptions.csv", format!("{header}\n{}\n", lines.join("\n")));
        load(&path, &folder.lake()).unwrap();
        rows(&folder.lake(), "subscriptions", &["subscription_id", "mrr_amount", "billing_frequency"])
    };
    let found = load_stripe(
        header,
        &[
            "s1,c,usd,month,1,49.00,active,2024-01-03",
            "s2,c,usd,year,1,190.00,active,2024-01-03",
            "s3,c,usd,month,3,30.00,active,2024-01-03",
            "s4,c,usd,week,1,12.00,active,2024-01-03",
            "s5,c,usd,month,7,49.00,active,2024-01-03",
            "s6,c,usd,year,,120.00,active,2024-01-03",
        ],
    );
    assert_eq!(
        found,
        [
            ["s1", "49.0000", "monthly"],
            ["s2", "15.8333", "annual"],
            ["s3", "10.0000", "quarterly"],
            ["s4", "52.0000", "weekly"],
            ["s5", "∅", "other"],
            ["s6", "10.0000", "annual"],
        ]
    );
    // Without an interval nobody knows what the amount is for.
    let header = "id,Customer ID,Amount,Status,Current Period Start (UTC),Created (UTC)";
    assert_eq!(load_stripe(header, &["s1,c,49.00,active,2024-01-03,2024-01-03"]), [["s1", "∅", "∅"]]);
}

#[test]
fn contents_that_come_back_are_loaded_again() {
    let folder = Folder::new();
    let first = folder.write("1/deals.csv", "deal_id,status,amount\nD1,won,100\nD2,won,50\n");
    let second = folder.write("2/deals.csv", "deal_id,status,amount\nD1,won,999\n");
    let full = IngestOptions { full: true, allow_shrink: true, ..IngestOptions::default() };
    let amounts = || rows(&folder.lake(), "deals", &["deal_id", "amount", "is_deleted"]);
    let night = |path: &std::path::Path| load_with(path, &folder.lake(), &full).unwrap();
    night(&first);
    let before = amounts();
    assert!(night(&first).already_applied);
    night(&second);
    let between = amounts();
    assert_ne!(before, between);
    // Twice there and back: every return takes effect, every repetition is recognised.
    for _ in 0..2 {
        let outcome = night(&first);
        assert!(!outcome.already_applied);
        assert_eq!(amounts(), before);
        assert!(night(&first).already_applied);
        assert!(!night(&second).already_applied);
        assert_eq!(amounts(), between);
        assert!(night(&second).already_applied);
    }
}

#[test]
fn an_older_night_that_changes_nothing_is_no_new_state() {
    let folder = Folder::new();
    let night = |name: &str, amount: &str, modified: &str| {
        folder.write(name, format!("deal_id,status,amount,modified_at\nD1,won,{amount},{modified}\n"))
    };
    let first = night("1.csv", "1", "2024-01-01T00:00:00Z");
    let second = night("2.csv", "2", "2024-01-02T00:00:00Z");
    let spend = folder.write("spend.csv", "spend_date,kind,amount\n2024-01-01,sales,5\n");
    load(&first, &folder.lake()).unwrap();
    load(&spend, &folder.lake()).unwrap();
    // Another table changed, this one did not.
    assert!(load(&first, &folder.lake()).unwrap().already_applied);
    load(&second, &folder.lake()).unwrap();
    // The lake holds something newer: the older night again changes nothing, and makes no batch.
    let outcome = load(&first, &folder.lake()).unwrap();
    assert!(outcome.already_applied);
    assert_eq!(rows(&folder.lake(), "deals", &["amount"]), [["2.0000"]]);
    assert_eq!(rows(&folder.lake(), "batches", &["sequence"]).len(), 3);
}

#[test]
fn a_file_that_is_not_recognised_says_what_it_misses() {
    let folder = Folder::new();
    folder.write("in/deals.csv", "deal_id,status\nD1,won\n");
    folder.write("in/changes.csv", "Id,OpportunityId,StageName,CreatedDate2,Field\n1,2,3,4,5\n");
    folder.write("in/wide.csv", "account_id,one,two,three,four\n1,2,3,4,5\n");
    let outcome = load(&folder.0.join("in"), &folder.lake()).unwrap();
    let warnings: Vec<&str> = outcome.files.iter().flat_map(|file| &file.warnings).map(String::as_str).collect();
    assert!(warnings.iter().any(|text| text.contains("none of its columns: one, two, three, four")), "{warnings:?}");
}
