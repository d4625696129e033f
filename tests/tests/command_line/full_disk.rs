//! A full disk and a disk that cannot be written: one error, exit code 1, the lake as it was.
//!
//! A small file system of its own holds the lake, mounted where nobody else sees it. Where the system
//! does not let us do that, a limit on the size of files has to do, which is tested in any case.
#![cfg(unix)]

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::lake::{content, difference, sequence};
use super::program::{Call, Table, call, ingest, program, scratch, synthesise};

const FIGURES: &str = "query revenue deals_won deals_lost leads activities --by source_system --format csv";

/// Runs a script as the root of a namespace, with mounts of its own.
fn alone(script: &str, folder: &Path) -> Option<i32> {
    let status = Command::new("unshare")
        .args(["--mount", "--map-root-user", "sh", "-c", script])
        .env("DEALFRAME", program())
        .env("HERE", folder)
        .env_remove("DEALFRAME_LAKE")
        .stdin(Stdio::null())
        .output();
    status.ok().and_then(|output| output.status.code())
}

const SCRIPT: &str = r#"
mkdir "$HERE/disk" && mount -t tmpfs -o size=3m dealframe "$HERE/disk" || exit 77
lake="$HERE/disk/lake"
"$DEALFRAME" ingest "$HERE/small" --lake "$lake" > "$HERE/first.out" 2> "$HERE/first.err" || exit 78
ask() {
    "$DEALFRAME" $FIGURES --lake "$lake" > "$HERE/$1.figures" 2> "$HERE/$1.talk" || exit 79
    "$DEALFRAME" tables --format csv --lake "$lake" > "$HERE/$1.tables" 2>> "$HERE/$1.talk" || exit 80
}
ask before
for attempt in full again; do
    "$DEALFRAME" ingest "$HERE/large" --lake "$lake" > "$HERE/$attempt.out" 2> "$HERE/$attempt.err"
    echo $? > "$HERE/$attempt.code"
    ask "after-$attempt"
done
"$DEALFRAME" sql "SELECT * FROM stage_changes" --lake "$lake" --format csv > "$HERE/disk/other" 2> /dev/null
dd if=/dev/zero of="$HERE/disk/ballast" bs=4k 2> /dev/null
"$DEALFRAME" query revenue --grain day --by owner,account --lake "$lake" --out "$HERE/disk/result.csv" > "$HERE/result.out" 2> "$HERE/result.err"
echo $? > "$HERE/result.code"
ls -A "$HERE/disk" > "$HERE/result.listing"
rm "$HERE/disk/ballast"
mount -o remount,ro "$HERE/disk" || exit 81
"$DEALFRAME" ingest "$HERE/small" "$HERE/large" --lake "$lake" > "$HERE/readonly.out" 2> "$HERE/readonly.err"
echo $? > "$HERE/readonly.code"
"$DEALFRAME" ingest "$HERE/small" --lake "$HERE/disk/new" > "$HERE/new.out" 2> "$HERE/new.err"
echo $? > "$HERE/new.code"
ask after-readonly
"#;

fn told(folder: &Path, name: &str, part: &str) {
    let read = |ending: &str| fs::read_to_string(folder.join(format!("{name}.{ending}"))).unwrap();
    let talk = read("err");
    assert_eq!(read("code").trim(), "1", "{name}: {talk}");
    assert_eq!(read("out"), "", "{name}: data in spite of an error");
    let count = |start: &str| talk.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!((count("error:"), count("hint:")), (1, 1), "{name}: {talk}");
    assert!(talk.contains(part) && !talk.contains("panicked"), "{name}: {talk}");
}

#[test]
fn a_disk_of_three_megabytes() {
    let folder = scratch();
    synthesise("--deals 100", folder.path().join("small"));
    synthesise("--deals 20000 --seed 2", folder.path().join("large"));
    let script = SCRIPT.replace("$FIGURES", FIGURES);
    let code = alone(&script, folder.path());
    if matches!(code, None | Some(1 | 77)) && !folder.path().join("first.err").exists() {
        let _ = writeln!(std::io::stderr(), "skipped: this system does not let a test mount a small disk");
        return;
    }
    let log = fs::read_to_string(folder.path().join("first.err")).unwrap_or_default();
    assert_eq!(code, Some(0), "the script stopped; the first ingest said: {log}");
    let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
    assert_eq!(Table::parse(&read("before.figures")).rows.len(), 5);
    for state in ["after-full", "after-again", "after-readonly"] {
        assert!(read(&format!("{state}.figures")) == read("before.figures"), "{state}: other figures");
        let rows =
            |name: &str| Table::parse(&read(name)).rows.into_iter().map(|row| row[..2].to_vec()).collect::<Vec<_>>();
        assert_eq!(rows(&format!("{state}.tables")), rows("before.tables"), "{state}: other rows");
    }
    told(folder.path(), "full", "No space left on device");
    told(folder.path(), "again", "No space left on device");
    told(folder.path(), "result", "No space left on device");
    let listing = String::from_utf8(read("result.listing")).unwrap();
    assert!(!listing.contains("result.csv") && !listing.contains(".dealframe"), "half a result stays: {listing}");
    told(folder.path(), "readonly", "Read-only file system");
    told(folder.path(), "new", "Read-only file system");
}

/// Whatever file hits the limit, the lake stays as it was, and without the limit the load goes through.
#[test]
fn a_limit_on_the_size_of_files() {
    let folder = scratch();
    let small = synthesise("--deals 200", folder.path().join("small"));
    let large = synthesise("--deals 4000 --seed 2 --source hubspot", folder.path().join("large"));
    let lake = folder.path().join("lake");
    ingest(&small, &lake);
    let held = content(&lake);
    let figures = || call(FIGURES).lake(&lake).works().out;
    let before = figures();
    // In blocks of 512 bytes: from the first file to the largest.
    for blocks in ["1", "40", "150", "400"] {
        let mut shell = Command::new("sh");
        let script = "trap '' XFSZ; ulimit -f \"$1\"; shift; exec \"$@\"";
        shell.args(["-c", script, "sh", blocks]).arg(program()).arg("ingest").arg(&large).arg("--lake").arg(&lake);
        Call::of(shell).refused("File too large");
        assert_eq!(sequence(&lake), 1, "{blocks} blocks");
        assert!(figures() == before, "{blocks} blocks: other figures");
    }
    assert_eq!(difference(&held, &content(&lake)), "");

    let other = folder.path().join("undisturbed");
    ingest(&small, &other);
    ingest(&large, &other);
    ingest(&large, &lake);
    assert_eq!(difference(&content(&other), &content(&lake)), "");
    assert_eq!(sequence(&lake), 2);
}
