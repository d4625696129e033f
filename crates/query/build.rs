//! Lists the KPI definitions under `kpis/`, so that a file in the folder is a KPI in the binary.

use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = Path::new("kpis");
    println!("cargo::rerun-if-changed=kpis");
    let mut entries = Vec::new();
    for family in fs::read_dir(root)? {
        let family = family?.path();
        if !family.is_dir() {
            continue;
        }
        println!("cargo::rerun-if-changed={}", family.display());
        for file in fs::read_dir(&family)? {
            let file = file?.path();
            if file.extension().is_some_and(|extension| extension == "yaml") {
                println!("cargo::rerun-if-changed={}", file.display());
                entries.push(file);
            }
        }
    }
    entries.sort_by_key(|path| (path.parent().map(Path::to_owned), path.file_stem().map(ToOwned::to_owned)));
    let mut code = String::from("pub(crate) const FILES: &[(&str, &str, &str)] = &[\n");
    for path in entries {
        let Some(stem) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
        // By the package's place when it is compiled: another checkout may share the build folder.
        let name = path.display().to_string();
        code.push_str(&format!(
            "    ({stem:?}, {name:?}, include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/\", {name:?}))),\n"
        ));
    }
    code.push_str("];\n");
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("OUT_DIR is not set"))?;
    fs::write(Path::new(&out).join("definitions.rs"), code)
}
