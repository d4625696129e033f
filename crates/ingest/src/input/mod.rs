//! Finding the inputs: files, folders, zip archives (also inside zip archives), workbooks.
//!
//! What a file is is decided by its first bytes, not by its name. The result is a list of
//! readable texts sorted by name, each with the name it has relative to the ingested path.
//! Files that cannot be read at all are listed with the reason, so that nothing disappears.

pub mod content;
pub mod encoding;
pub mod workbook;

use std::fs;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use content::Content;
use encoding::{Decoded, NoText};

use crate::error::IngestError;

/// One input file.
#[derive(Debug, Clone)]
pub struct Input {
    /// Path relative to the ingested path; parts of archives after `!`.
    pub name: String,
    pub state: State,
    /// The bytes as they came, for the content hash.
    pub raw: Content,
}

/// Whether the input can be read as text.
#[derive(Debug, Clone)]
pub enum State {
    Text(Decoded),
    Empty,
    Refused(String),
}

const EXTENSIONS: [&str; 8] = ["csv", "tsv", "tab", "txt", "xlsx", "xls", "xlsm", "zip"];

/// Lists and opens every input below the paths, sorted by name.
///
/// # Errors
/// When a path does not exist or nothing was found.
pub fn collect(paths: &[PathBuf]) -> Result<Vec<Input>, IngestError> {
    let mut out = Vec::new();
    for path in paths {
        let data = fs::metadata(path).map_err(|_| IngestError::NoSuchPath { path: path.clone() })?;
        if data.is_dir() {
            let mut files = Vec::new();
            walk(path, &mut files)?;
            for file in files {
                let name = relative(&file, path);
                open(&file, &name, &mut out)?;
            }
        } else {
            let name =
                path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into());
            open(path, &name, &mut out)?;
        }
    }
    if out.is_empty() {
        let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        return Err(IngestError::NoInput { paths: names.join(", ") });
    }
    out.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(out)
}

fn relative(file: &Path, root: &Path) -> String {
    let path = file.strip_prefix(root).unwrap_or(file);
    path.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

fn walk(folder: &Path, out: &mut Vec<PathBuf>) -> Result<(), IngestError> {
    let unreadable = |source| IngestError::Unreadable { file: folder.display().to_string(), source };
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.starts_with('.') || name == "__MACOSX" {
            continue;
        }
        if path.is_dir() {
            walk(&path, out)?;
        } else if has_known_extension(&name) {
            out.push(path);
        }
    }
    Ok(())
}

fn has_known_extension(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
}

fn open(path: &Path, name: &str, out: &mut Vec<Input>) -> Result<(), IngestError> {
    let unreadable = |source| IngestError::Unreadable { file: name.to_owned(), source };
    let content = Content::open(path).map_err(unreadable)?;
    add(content, name, 0, out).map_err(unreadable)
}

/// Archives inside archives are followed this deep.
const DEEPEST: u32 = 3;

fn add(content: Content, name: &str, depth: u32, out: &mut Vec<Input>) -> std::io::Result<()> {
    let head = content.part(0, 8)?;
    let state = if content.is_empty() {
        State::Empty
    } else if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        return add_zip(&content, name, depth, out);
    } else if head.starts_with(&[0xD0, 0xCF, 0x11, 0xE0]) {
        return add_workbook(&content, name, out);
    } else if head.starts_with(b"%PDF") || head.starts_with(&[0x1F, 0x8B]) || head.starts_with(b"PAR1") {
        State::Refused("no text, workbook or zip archive".to_owned())
    } else {
        match encoding::decode(content.clone()) {
            Ok(decoded) if decoded.content.is_empty() => State::Empty,
            Ok(decoded) => State::Text(decoded),
            Err(NoText::Binary) => State::Refused("a binary file, no text, workbook or zip archive".to_owned()),
            Err(NoText::Io(error)) => return Err(error),
        }
    };
    out.push(Input { name: name.to_owned(), state, raw: content });
    Ok(())
}

fn whole(content: &Content) -> std::io::Result<Vec<u8>> {
    content.part(0, usize::try_from(content.len()).map_err(std::io::Error::other)?)
}

fn add_zip(content: &Content, name: &str, depth: u32, out: &mut Vec<Input>) -> std::io::Result<()> {
    let bytes = whole(content)?;
    let mut refuse = |reason: String| {
        out.push(Input { name: name.to_owned(), state: State::Refused(reason), raw: content.clone() });
        Ok(())
    };
    let mut archive = match zip::ZipArchive::new(Cursor::new(bytes.as_slice())) {
        Ok(archive) => archive,
        Err(error) => return refuse(format!("a damaged zip archive: {error}")),
    };
    if archive.by_name("xl/workbook.xml").is_ok() || archive.by_name("xl/workbook.bin").is_ok() {
        drop(archive);
        return add_workbook(content, name, out);
    }
    if depth >= DEEPEST {
        return refuse(format!("zip archives nested more than {DEEPEST} deep"));
    }
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(std::io::Error::other)?;
        let inner = entry.name().map_err(std::io::Error::other)?.into_owned();
        let last = inner.rsplit('/').next().unwrap_or(&inner);
        if entry.is_dir() || last.starts_with('.') || inner.starts_with("__MACOSX") || !has_known_extension(last) {
            continue;
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        drop(entry);
        add(Content::from_bytes(bytes), &format!("{name}!{inner}"), depth + 1, out)?;
    }
    Ok(())
}

fn add_workbook(content: &Content, name: &str, out: &mut Vec<Input>) -> std::io::Result<()> {
    let sheets = match workbook::to_csv(whole(content)?) {
        Ok(sheets) => sheets,
        Err(error) => {
            let state = State::Refused(format!("a workbook that cannot be read: {error}"));
            out.push(Input { name: name.to_owned(), state, raw: content.clone() });
            return Ok(());
        }
    };
    let several = sheets.len() > 1;
    if sheets.is_empty() {
        out.push(Input { name: name.to_owned(), state: State::Empty, raw: content.clone() });
    }
    for (sheet, text) in sheets {
        let name = if several { format!("{name}!{sheet}") } else { name.to_owned() };
        let decoded = Decoded { content: Content::from_bytes(text.clone()), encoding: "Excel" };
        out.push(Input { name, state: State::Text(decoded), raw: Content::from_bytes(text) });
    }
    Ok(())
}
