//! Runs the program beside this test's executable and reads what it says.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The program, which Cargo puts one folder above the test executables.
pub(super) fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().unwrap().parent().unwrap().join(format!("dealframe{}", std::env::consts::EXE_SUFFIX));
    assert!(path.is_file(), "{} is missing: run `cargo test --release --workspace`, which builds it", path.display());
    path
}

/// A command to be run, begun with words that contain no blanks.
pub(super) struct Call(Command);

pub(super) fn call(words: &str) -> Call {
    let mut command = Command::new(program());
    command.args(words.split_whitespace()).stdin(Stdio::null()).env_remove("DEALFRAME_LAKE");
    // Where a library puts a backtrace into its message, a user must not see it.
    command.env("RUST_BACKTRACE", "1");
    Call(command)
}

impl Call {
    pub(super) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.0.arg(argument);
        self
    }

    pub(super) fn words(mut self, words: &str) -> Self {
        self.0.args(words.split_whitespace());
        self
    }

    pub(super) fn lake(self, lake: &Path) -> Self {
        self.arg("--lake").arg(lake)
    }

    pub(super) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    /// Wraps a command that another program runs, such as a shell with limits.
    pub(super) fn of(command: Command) -> Self {
        Self(command)
    }

    /// Runs in this folder.
    pub(super) fn within(mut self, folder: &Path) -> Self {
        self.0.current_dir(folder);
        self
    }

    pub(super) fn run(mut self) -> Answer {
        let output = self.0.output().unwrap();
        Answer::of(format!("{:?}", self.0), output)
    }

    /// For tests that deal with the running process themselves.
    pub(super) fn command(self) -> Command {
        self.0
    }

    /// Runs it, and it must succeed.
    pub(super) fn works(self) -> Answer {
        self.run().succeeded()
    }

    /// Runs it, and it must be refused with one error that holds the text.
    pub(super) fn refused(self, part: &str) -> Answer {
        self.run().refused(part)
    }
}

/// What a command answered.
#[derive(Debug)]
pub(super) struct Answer {
    command: String,
    pub(super) code: Option<i32>,
    pub(super) out: Vec<u8>,
    pub(super) err: String,
}

impl Answer {
    fn of(command: String, output: Output) -> Self {
        let err = String::from_utf8(output.stderr).expect("talk is UTF-8");
        let answer = Self { command, code: output.status.code(), out: output.stdout, err };
        for panic in ["panicked", "internal error", "RUST_BACKTRACE"] {
            assert!(!answer.err.contains(panic), "a panic shows: {answer:?}");
        }
        answer
    }

    pub(super) fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{}\n{}", self.command, self.err);
        assert!(!self.err.contains("error:"), "{}\n{}", self.command, self.err);
        self
    }

    /// Exit code 1, nothing on standard output, one error of one line that holds the text, and one hint after it.
    pub(super) fn refused(self, part: &str) -> Self {
        let about = format!("{}\n{}\n{}", self.command, self.text(), self.err);
        assert_eq!(self.code, Some(1), "{about}");
        assert!(self.out.is_empty(), "data in spite of an error: {about}");
        let lines = |start: &str| self.err.lines().filter(|line| line.starts_with(start)).collect::<Vec<_>>();
        let errors = lines("error:");
        assert_eq!(errors.len(), 1, "{about}");
        assert!(errors[0].contains(part), "expected {part:?} in the error: {about}");
        assert_eq!(lines("hint:").len(), 1, "{about}");
        let last: Vec<_> = self.err.trim_end().lines().rev().take(2).collect();
        assert!(
            last[0].starts_with("hint:") && last[1].starts_with("error:"),
            "error and hint of one line each: {about}"
        );
        self
    }

    pub(super) fn hint(&self) -> &str {
        self.err.lines().find(|line| line.starts_with("hint:")).unwrap_or_default()
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.out).unwrap_or("(binary)")
    }

    pub(super) fn table(&self) -> Table {
        Table::parse(&self.out)
    }

    /// The one value of a KPI in an answer without periods and segments.
    pub(super) fn value(&self, kpi: &str) -> String {
        self.table().value(&[("kpi", kpi)])
    }
}

/// A CSV answer. Reading it fails where a line has too many or too few fields, so that talk
/// on standard output cannot go unnoticed.
#[derive(Debug, PartialEq, Eq, Clone)]
pub(super) struct Table {
    pub(super) header: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let mut reader = csv::Reader::from_reader(bytes);
        let fields = |record: &csv::StringRecord| record.iter().map(str::to_owned).collect::<Vec<_>>();
        let header = fields(reader.headers().expect("an answer in CSV"));
        let rows = reader.records().map(|record| fields(&record.expect("an answer in CSV"))).collect();
        Self { header, rows }
    }

    pub(super) fn read(path: &Path) -> Self {
        Self::parse(&std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    }

    pub(super) fn position(&self, column: &str) -> usize {
        self.header.iter().position(|name| name == column).unwrap_or_else(|| panic!("no {column} in {:?}", self.header))
    }

    /// All cells of one column.
    pub(super) fn column(&self, column: &str) -> Vec<&str> {
        let position = self.position(column);
        self.rows.iter().map(|row| row[position].as_str()).collect()
    }

    /// One cell of the only row where these columns have these values.
    pub(super) fn cell(&self, wanted: &str, conditions: &[(&str, &str)]) -> String {
        let matches =
            |row: &&Vec<String>| conditions.iter().all(|(column, value)| row[self.position(column)] == *value);
        let found: Vec<_> = self.rows.iter().filter(matches).collect();
        assert_eq!(found.len(), 1, "{conditions:?} in {self:?}");
        found[0][self.position(wanted)].clone()
    }

    pub(super) fn value(&self, conditions: &[(&str, &str)]) -> String {
        self.cell("value", conditions)
    }
}

/// A folder of the real data, or nothing and a line that says so, past the harness that would hide it.
pub(super) fn real_data(folder: &str) -> Option<PathBuf> {
    let Some(root) = std::env::var_os("DEALFRAME_REAL_DATA").map(PathBuf::from) else {
        let _ = writeln!(std::io::stderr(), "skipped: DEALFRAME_REAL_DATA is not set");
        return None;
    };
    let path = root.join(folder);
    assert!(path.is_dir(), "DEALFRAME_REAL_DATA has no folder {}", path.display());
    Some(path)
}

pub(super) fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// Makes exports in a folder and returns it.
pub(super) fn synthesise(options: &str, folder: PathBuf) -> PathBuf {
    call("synth").arg("--out").arg(&folder).words(options).works();
    folder
}

/// Loads exports into a lake and returns what was said.
pub(super) fn ingest(exports: &Path, lake: &Path) -> Answer {
    call("ingest").arg(exports).lake(lake).works()
}

/// A decimal as written, without a sign of zero or zeros at the end, so that 5, 5.0 and 5.000 are one.
pub(super) fn canonical(number: &str) -> String {
    let number = if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number };
    if number == "-0" { "0".to_owned() } else { number.to_owned() }
}
