//! Documents made from the definitions: the catalogue, the README's table, the JSON schema.

use std::fmt::Write as _;

use dealframe_model::kpi::{Definition, Unit};

use crate::catalogue::Catalogue;

pub(crate) const FAMILIES: [(&str, &str); 7] = [
    ("revenue", "Revenue and volume"),
    ("leads", "Leads and conversion"),
    ("pipeline", "Pipeline, cycle and forecast"),
    ("customers", "Customers"),
    ("cost", "Cost and profit"),
    ("satisfaction", "Satisfaction and service"),
    ("activity", "Activity and team performance"),
];

impl Catalogue {
    /// The whole catalogue as Markdown, readable on its own.
    pub fn markdown(&self) -> String {
        let mut text = String::from(
            "# The KPI catalogue\n\nGenerated from the definitions in `crates/query/kpis`; do not edit by hand. \
             A test compares the two, and `DEALFRAME_WRITE=1 cargo test --release --workspace generated` writes it anew.\n",
        );
        for (family, title) in self.families() {
            let _ = write!(text, "\n## {title}\n");
            for definition in self.all().filter(|definition| definition.family == family) {
                text.push_str(&self.entry(definition));
            }
        }
        text
    }

    /// Families and their titles: ours, then those of the user under their own names.
    fn families(&self) -> Vec<(String, String)> {
        let owned = |(family, title): (&str, &str)| (family.to_owned(), title.to_owned());
        let mut families: Vec<(String, String)> = FAMILIES.into_iter().map(owned).collect();
        for definition in self.all() {
            if !families.iter().any(|(family, _)| *family == definition.family) {
                families.push(owned((&definition.family, &definition.family)));
            }
        }
        families
    }

    /// One definition as Markdown.
    pub fn entry(&self, definition: &Definition) -> String {
        let mut text = format!("\n### {} (`{}`)\n\n{}\n\n", definition.name, definition.id, flat(&definition.what));
        let unit = match definition.unit {
            Unit::Money => "money, in the currency of the amounts",
            Unit::Ratio => "ratio (0.25 is 25 %)",
            other => other.name(),
        };
        for (label, value) in [
            ("Formula", flat(&definition.formula)),
            ("Kind and unit", format!("{}, {unit}", definition.compute.kind())),
            ("Why", flat(&definition.why)),
            ("Population", flat(&definition.population)),
            ("Caveats", flat(&definition.caveats)),
            ("Example", flat(&definition.example)),
            ("Inventory", definition.inventory.join(", ")),
        ] {
            let _ = writeln!(text, "- **{label}:** {value}");
        }
        let siblings: Vec<String> =
            self.siblings(&definition.id).iter().map(|other| format!("`{}`", other.id)).collect();
        if !siblings.is_empty() {
            let _ = writeln!(text, "- **Other readings:** {}", siblings.join(", "));
        }
        if !definition.related.is_empty() {
            let related: Vec<String> = definition.related.iter().map(|id| format!("`{id}`")).collect();
            let _ = writeln!(text, "- **See also:** {}", related.join(", "));
        }
        text
    }

    /// The table for the README: one line per KPI.
    pub fn readme_table(&self) -> String {
        let mut text = String::from("| KPI | what it measures | kind | unit |\n|---|---|---|---|\n");
        for (family, title) in FAMILIES {
            let _ = writeln!(text, "| **{title}** | | | |");
            for definition in self.all().filter(|definition| definition.family == family) {
                let _ = writeln!(
                    text,
                    "| `{}` | {} | {} | {} |",
                    definition.id,
                    flat(&definition.formula),
                    definition.compute.kind(),
                    definition.unit.name()
                );
            }
        }
        text
    }
}

/// Prose on one line.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
