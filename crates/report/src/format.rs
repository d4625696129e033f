//! The output formats, and how a name or a file name chooses one.

use std::path::Path;

use crate::ReportError;

/// How a result is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    Table,
    Csv,
    Json,
    Ndjson,
    Markdown,
    Html,
    Xlsx,
    Parquet,
    Arrow,
}

impl Format {
    /// The names in commands, in the order of help texts.
    pub const NAMES: [&str; 9] = ["table", "csv", "json", "ndjson", "markdown", "html", "xlsx", "parquet", "arrow"];

    /// # Errors
    /// When no format has this name.
    pub fn from_name(name: &str) -> Result<Self, ReportError> {
        Ok(match name.to_ascii_lowercase().as_str() {
            "table" | "text" | "txt" => Self::Table,
            "csv" => Self::Csv,
            "json" => Self::Json,
            "ndjson" | "jsonl" | "jsonlines" => Self::Ndjson,
            "markdown" | "md" => Self::Markdown,
            "html" | "htm" => Self::Html,
            "xlsx" | "excel" => Self::Xlsx,
            "parquet" => Self::Parquet,
            "arrow" | "ipc" | "feather" => Self::Arrow,
            _ => return Err(ReportError::UnknownFormat { name: name.to_owned() }),
        })
    }

    /// # Errors
    /// When the extension says nothing.
    pub fn from_path(path: &Path) -> Result<Self, ReportError> {
        let none = || ReportError::NoFormat { path: path.to_owned() };
        let extension = path.extension().and_then(|extension| extension.to_str()).ok_or_else(none)?;
        Self::from_name(extension).map_err(|_| none())
    }

    /// Whether the bytes are no text and do not belong on a terminal.
    pub fn is_binary(self) -> bool {
        matches!(self, Self::Xlsx | Self::Parquet | Self::Arrow)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_listed_name_is_a_format_and_others_are_not() {
        let formats: std::collections::HashSet<Format> =
            Format::NAMES.iter().map(|name| Format::from_name(name).unwrap()).collect();
        assert_eq!(formats.len(), Format::NAMES.len());
        assert!(Format::from_name("pdf").unwrap_err().hint().unwrap().contains("parquet"));
    }

    #[test]
    fn file_names() {
        assert_eq!(Format::from_path(Path::new("a/b.CSV")).unwrap(), Format::Csv);
        assert_eq!(Format::from_path(Path::new("b.md")).unwrap(), Format::Markdown);
        assert!(Format::from_path(Path::new("noextension")).is_err());
        assert!(Format::from_path(Path::new("x.docx")).is_err());
    }
}
