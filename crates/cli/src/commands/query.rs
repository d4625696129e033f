//! `dealframe query`: KPIs by segments and periods.

use std::process::ExitCode;

use dealframe_model::calendar::Grain;
use dealframe_model::date;
use dealframe_model::kpi::Base;
use dealframe_query::Engine;
use dealframe_query::period;
use dealframe_query::request::Request;
use dealframe_report::{Format, chart};

use super::settings::settings;
use crate::arguments::QueryArguments;
use crate::failure::refuse;
use crate::{output, printer};

const CHART_WIDTH: usize = 78;

pub(super) fn run(arguments: &QueryArguments) -> anyhow::Result<ExitCode> {
    // Before any work: a format that cannot be written is found out at once.
    let format = output::format(&arguments.output, printer::is_terminal())?;
    let lake = &arguments.lake.lake;
    let engine = Engine::open(lake, settings(&arguments.settings, lake)?)?;
    let mut request = request(arguments, &engine)?;
    printer::talk(&resolved(&request, &engine));
    if arguments.variants {
        request = with_variants(&request, &engine)?;
    }
    if let Some(dialect) = &arguments.sql {
        let mut statement = engine.to_sql(&request, dialect)?;
        if !statement.ends_with('\n') {
            statement.push('\n');
        }
        output::text(&statement, &arguments.output)?;
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.explain {
        output::text(&engine.explain(&[request])?, &arguments.output)?;
        return Ok(ExitCode::SUCCESS);
    }
    let frame = engine.run(&[request])?.pop().unwrap_or_default();
    output::frame(&frame, &arguments.output)?;
    if arguments.chart {
        let drawing = chart::terminal::draw(&frame, CHART_WIDTH);
        // Beside a table a drawing is for the same reader; beside data it would be in the way.
        if format == Format::Table && arguments.output.out.is_none() {
            printer::data(format!("\n{drawing}").as_bytes())?;
        } else {
            printer::talk(&drawing);
        }
    }
    for note in &frame.notes {
        printer::talk(&format!("note: {note}"));
    }
    Ok(ExitCode::SUCCESS)
}

fn request(arguments: &QueryArguments, engine: &Engine) -> anyhow::Result<Request> {
    let mut bounds = (arguments.from, arguments.to.map(|day| day + 1));
    if let Some(text) = &arguments.period {
        let range = period::parse(text, engine.as_of(), engine.calendar())?;
        bounds = (range.from, range.to);
    }
    if let (Some(from), Some(to)) = bounds
        && from >= to
    {
        return Err(refuse(
            format!("the range ends ({}) before it starts ({})", date::format(to - 1), date::format(from)),
            "exchange --from and --to",
        ));
    }
    Ok(Request {
        kpis: arguments.kpis.clone(),
        by: arguments.by.clone(),
        grains: arguments.grain.iter().map(|name| grain(name)).collect::<anyhow::Result<_>>()?,
        from: bounds.0,
        to: bounds.1,
        filters: arguments.filters.clone(),
        compare: arguments
            .compare
            .as_deref()
            .map(|base| if base == "previous" { Base::Previous } else { Base::YearAgo }),
        top: arguments.top,
        sparse: arguments.sparse,
        interval: arguments.interval,
    })
}

/// The request with the other readings of its KPIs; says what each of them divides by what.
fn with_variants(request: &Request, engine: &Engine) -> anyhow::Result<Request> {
    let variants = engine.with_variants(request)?;
    let widest = variants.request.kpis.iter().map(String::len).max().unwrap_or(0);
    for id in &variants.request.kpis {
        let formula: Vec<&str> = engine.catalogue().get(id)?.formula.split_whitespace().collect();
        printer::talk(&format!("  {id:<widest$}  {}", formula.join(" ")));
    }
    for id in request.kpis.iter().filter(|id| engine.catalogue().siblings(id).is_empty()) {
        printer::talk(&format!("note: there is one reading only of {id}"));
    }
    for (id, reason) in &variants.left_out {
        printer::talk(&format!("note: {id} is left out: {reason}"));
    }
    Ok(variants.request)
}

fn grain(name: &str) -> anyhow::Result<Grain> {
    let names = || Grain::EVERY.map(Grain::name).join(", ");
    Grain::from_name(name).ok_or_else(|| refuse(format!("unknown grain `{name}`"), format!("grains: {}", names())))
}

/// What the words of the question came to.
fn resolved(request: &Request, engine: &Engine) -> String {
    let period = match (request.from, request.to) {
        (None, None) => "all data".to_owned(),
        (from, to) => format!(
            "{} .. {}",
            from.map_or("start".to_owned(), date::format),
            to.map(|day| day - 1).or_else(|| engine.as_of()).map_or("end".to_owned(), date::format)
        ),
    };
    let as_of = engine.as_of().map_or(String::new(), |day| format!(", as of {}", date::format(day)));
    format!("period {period}{as_of}, lake {}", engine.lake_sequence())
}
