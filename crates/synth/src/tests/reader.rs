//! A naive reader: splits CSV by hand, and shares nothing with the generator but file names.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::{SynthOptions, SynthOutcome, TRUTH_FILE, synthesise};

/// A folder that is removed when the test ends.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("dealframe-synth-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub fn run(options: &SynthOptions) -> SynthOutcome {
    synthesise(options, &mut |_| {}).unwrap()
}

/// Records of a CSV file, split by hand.
pub fn split(text: &str) -> Vec<Vec<String>> {
    let (mut records, mut record, mut field) = (Vec::new(), Vec::new(), String::new());
    let mut quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut field)),
            '\n' if !quoted => {
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
            }
            other => field.push(other),
        }
    }
    assert!(record.is_empty() && field.is_empty() && !quoted, "the file ends within a record");
    records
}

pub struct Rows {
    header: HashMap<String, usize>,
    pub rows: Vec<Vec<String>>,
}

impl Rows {
    pub fn read(folder: &Path, name: &str) -> Self {
        let mut records = split(&fs::read_to_string(folder.join(name)).unwrap());
        let header: Vec<String> = records.remove(0);
        assert!(records.iter().all(|record| record.len() == header.len()), "{name} has ragged rows");
        let names = header.len();
        let header: HashMap<String, usize> = header.into_iter().enumerate().map(|(at, name)| (name, at)).collect();
        assert_eq!(header.len(), names, "{name} has a header twice");
        Self { header, rows: records }
    }

    pub fn cell<'a>(&self, row: &'a [String], name: &str) -> &'a str {
        &row[*self.header.get(name).unwrap_or_else(|| panic!("no column {name}"))]
    }

    pub fn set(&self, name: &str) -> BTreeSet<&str> {
        self.rows.iter().map(|row| self.cell(row, name)).filter(|value| !value.is_empty()).collect()
    }
}

/// Hundredths, from a text with exactly two digits after the point.
pub fn cents(text: &str) -> i128 {
    let (whole, fraction) = text.split_once('.').unwrap();
    assert_eq!(fraction.len(), 2);
    format!("{whole}{fraction}").parse().unwrap()
}

/// The text of a member of `truth.json`.
pub fn truth(folder: &Path, kpi: &str) -> String {
    let text = fs::read_to_string(folder.join(TRUTH_FILE)).unwrap();
    let at = text.find(&format!("\"{kpi}\": ")).unwrap_or_else(|| panic!("no {kpi} in {text}")) + kpi.len() + 4;
    text[at..].split([',', '\n']).next().unwrap().to_owned()
}
