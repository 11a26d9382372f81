//! Writes what the licences of the packages in the binary ask for: their notices, in one file. Equal
//! texts are there once.
//!
//! `cargo run --example notices -- FILE [TARGET]`; with `--sbom` before FILE it writes the packages
//! as a software bill of materials. `cargo metadata` says which packages those are.

mod sbom;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::{env, fs};

use serde::Deserialize;

const HEAD: &str = "\
Homing is licensed under MIT or Apache-2.0, at your choice. Its program also contains the packages
below, each under the licence that stands behind it, with the numbers of the texts that it came with.
It contains parts of the Rust standard library (copyright The Rust Project contributors; MIT OR
Apache-2.0) and, where it is linked to nothing else, of the C library musl (copyright 2005-2020 Rich
Felker and others; MIT).

";

/// The files that hold a package's licence or its notices, by how their names begin.
const NAMES: [&str; 4] = ["LICENSE", "LICENCE", "COPYING", "NOTICE"];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    authors: Vec<String>,
    manifest_path: String,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Resolve {
    root: String,
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    /// `None` for what goes into the program; else what is needed to build or test it.
    kind: Option<String>,
}

fn main() -> ExitCode {
    let result = match &env::args().skip(1).collect::<Vec<_>>()[..] {
        [option, file, target @ ..] if option == "--sbom" && target.len() < 2 => {
            sbom::write(file, target.first().map(String::as_str))
        }
        [file] => write(file, None),
        [file, target] => write(file, Some(target)),
        _ => Err("write `cargo run --example notices -- [--sbom] FILE [TARGET]`".to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        #[expect(clippy::print_stderr, reason = "a tool of the build says what went wrong")]
        Err(problem) => {
            eprintln!("notices: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn write(file: &str, target: Option<&str>) -> Result<(), String> {
    let metadata = metadata(target)?;
    let contained = contained(&metadata);
    let mut text = HEAD.to_owned();
    // Texts in the order in which they are first needed, each with its number.
    let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
    let mut texts: Vec<String> = Vec::new();
    let mut packages: Vec<_> =
        metadata.packages.iter().filter(|package| contained.contains(&package.id)).collect();
    packages.sort_by_key(|package| (&package.name, &package.version));
    for package in packages {
        let licence = package
            .license
            .as_deref()
            .ok_or_else(|| format!("{} does not say its licence", package.name))?;
        let _ = write!(text, "{} {} ({licence})", package.name, package.version);
        let own = own_texts(Path::new(&package.manifest_path))?;
        if own.is_empty() {
            // Nothing but its manifest says whose it is.
            let _ = write!(text, ": by {}", package.authors.join(", "));
        }
        for (place, own) in own.into_iter().enumerate() {
            let number = *numbers.entry(own).or_insert_with_key(|own| {
                texts.push(own.clone());
                texts.len()
            });
            let _ = write!(text, "{} {number}", if place == 0 { ":" } else { "," });
        }
        text.push('\n');
    }
    for (place, own) in texts.iter().enumerate() {
        let _ = write!(text, "\n---- {} ----\n\n{own}\n", place + 1);
    }
    fs::write(file, text).map_err(|error| format!("{file}: {error}"))
}

/// What cargo knows of this package and all that it needs, for `target` or this machine.
fn metadata(target: Option<&str>) -> Result<Metadata, String> {
    let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let target = target.map_or_else(host, |target| Ok(target.to_owned()))?;
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", &target])
        .args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")])
        .output()
        .map_err(|error| format!("cargo metadata: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}"))
}

/// The kind of machine that the compiler builds for by itself.
fn host() -> Result<String, String> {
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output().map_err(|e| format!("rustc: {e}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "rustc -vV names no host".into())
}

/// The ids of the packages whose code is in the program: not those that only build it.
fn contained(metadata: &Metadata) -> BTreeSet<String> {
    let builds_only = |id: &String| {
        let package = metadata.packages.iter().find(|package| package.id == *id);
        let mut targets = package.into_iter().flat_map(|package| &package.targets);
        targets.any(|target| target.kind.iter().any(|kind| kind == "proc-macro"))
    };
    let mut found = BTreeSet::new();
    let mut open = vec![&metadata.resolve.root];
    while let Some(id) = open.pop() {
        let node = metadata.resolve.nodes.iter().find(|node| node.id == *id);
        for dependency in node.into_iter().flat_map(|node| &node.deps) {
            let goes_in = dependency.dep_kinds.iter().any(|kind| kind.kind.is_none());
            if goes_in && !builds_only(&dependency.pkg) && found.insert(dependency.pkg.clone()) {
                open.push(&dependency.pkg);
            }
        }
    }
    found
}

/// The texts of a package's licences and notices, in the order of their files' names.
fn own_texts(manifest: &Path) -> Result<Vec<String>, String> {
    let directory = manifest.parent().unwrap_or(manifest);
    let at = |error| format!("{}: {error}", directory.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(at)? {
        let path = entry.map_err(at)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        if path.is_file() && NAMES.iter().any(|begin| name.starts_with(begin)) {
            files.push(path);
        }
    }
    files.sort();
    files
        .iter()
        .map(|path| {
            let bytes = fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
            let text = String::from_utf8_lossy(&bytes);
            let lines: Vec<_> = text.trim().lines().map(str::trim_end).collect();
            Ok(lines.join("\n"))
        })
        .collect()
}
