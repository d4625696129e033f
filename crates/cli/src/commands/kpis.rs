//! `dealframe kpis`: the catalogue, or one definition in full. Needs no lake.

use std::fmt::Write as _;
use std::process::ExitCode;

use dealframe_model::kpi::Definition;
use dealframe_query::Catalogue;
use dealframe_report::{ColumnKind, Format, Listing};

use crate::arguments::KpisArguments;
use crate::{output, printer};

pub(super) fn run(arguments: &KpisArguments) -> anyhow::Result<ExitCode> {
    if arguments.schema {
        output::text(&Catalogue::schema(), &arguments.output)?;
        return Ok(ExitCode::SUCCESS);
    }
    let catalogue = Catalogue::load(arguments.kpis.as_deref())?;
    let format = arguments.output.format.as_deref();
    if let Some(id) = &arguments.id {
        let definition = catalogue.get(id)?;
        if matches!(format, Some("yaml" | "yml")) {
            output::text(catalogue.source(id)?.1, &arguments.output)?;
        } else if format.is_none() && arguments.output.out.is_none() {
            printer::data(full(definition, &catalogue.siblings(id)).as_bytes())?;
        } else {
            output::listing(&fields(definition, &catalogue.siblings(id)), &arguments.output)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let found: Vec<&Definition> = match &arguments.search {
        Some(text) => catalogue.search(text),
        None => catalogue.all().collect(),
    };
    if arguments.search.is_none()
        && matches!(output::format(&arguments.output, printer::is_terminal())?, Format::Markdown)
    {
        output::text(&catalogue.markdown(), &arguments.output)?;
        return Ok(ExitCode::SUCCESS);
    }
    output::listing(&listing(&found), &arguments.output)?;
    if found.is_empty() {
        printer::talk("note: no KPI speaks of that; `dealframe kpis` lists them all");
    }
    Ok(ExitCode::SUCCESS)
}

fn listing(definitions: &[&Definition]) -> Listing {
    let names = ["id", "name", "family", "kind", "unit", "what"];
    let mut listing = Listing::new(&names.map(|name| (name, ColumnKind::Text)));
    for definition in definitions {
        let cells = [
            definition.id.as_str(),
            &definition.name,
            &definition.family,
            definition.compute.kind(),
            definition.unit.name(),
            definition.what.trim(),
        ];
        listing.rows.push(cells.map(|cell| Some(cell.to_owned())).to_vec());
    }
    listing
}

/// Field and text of one definition.
fn parts(definition: &Definition) -> Vec<(&'static str, String)> {
    let better = match definition.better {
        dealframe_model::kpi::Better::Higher => "higher",
        dealframe_model::kpi::Better::Lower => "lower",
        dealframe_model::kpi::Better::Neither => "neither",
    };
    vec![
        ("id", definition.id.clone()),
        ("name", definition.name.clone()),
        ("family", definition.family.clone()),
        ("kind", definition.compute.kind().to_owned()),
        ("unit", definition.unit.name().to_owned()),
        ("better", better.to_owned()),
        ("what", definition.what.trim().to_owned()),
        ("formula", definition.formula.trim().to_owned()),
        ("why", definition.why.trim().to_owned()),
        ("population", definition.population.trim().to_owned()),
        ("caveats", definition.caveats.trim().to_owned()),
        ("example", definition.example.trim().to_owned()),
        ("inventory", definition.inventory.join(", ")),
        ("related", definition.related.join(", ")),
    ]
}

/// What tells readings of one idea apart: what is computed, and over which rows.
fn difference(sibling: &Definition) -> [String; 2] {
    [&sibling.formula, &sibling.population].map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn fields(definition: &Definition, siblings: &[&Definition]) -> Listing {
    let mut parts = parts(definition);
    for sibling in siblings {
        parts.push(("variant", format!("{}: {}", sibling.id, difference(sibling).join(" "))));
    }
    let mut listing = Listing::new(&[("field", ColumnKind::Text), ("text", ColumnKind::Text)]);
    listing.rows = parts.into_iter().map(|(field, text)| vec![Some(field.to_owned()), Some(text)]).collect();
    listing
}

fn full(definition: &Definition, siblings: &[&Definition]) -> String {
    let mut text = String::new();
    for (field, value) in parts(definition) {
        let label = format!("{field:<12}");
        for (index, line) in wrapped(&value, 92).into_iter().enumerate() {
            text.push_str(if index == 0 { &label } else { "            " });
            text.push_str(&line);
            text.push('\n');
        }
    }
    if !siblings.is_empty() {
        let concept = definition.concept.as_deref().unwrap_or_default();
        let _ = writeln!(
            text,
            "\nOther readings of the same idea ({concept}); `dealframe query {} --variants` sets them side by side:",
            definition.id
        );
        let widest = siblings.iter().map(|sibling| sibling.id.len()).max().unwrap_or(0);
        for sibling in siblings {
            let mut label = sibling.id.as_str();
            for line in difference(sibling).iter().flat_map(|text| wrapped(text, 100 - widest)) {
                let _ = writeln!(text, "  {label:<widest$}  {line}");
                label = "";
            }
        }
    }
    text
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let full = lines
            .last()
            .is_some_and(|line| !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width);
        if full {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapping_keeps_every_word() {
        let lines = wrapped("one two three four", 9);
        assert_eq!(lines, ["one two", "three", "four"]);
        assert_eq!(wrapped("", 9), [""]);
    }
}
