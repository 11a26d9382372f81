//! The packages in the binary as a software bill of materials: `CycloneDX` 1.5 in JSON
//! (<https://cyclonedx.org/docs/1.5/json/>).
//!
//! Nothing in it depends on when or where it was made: the same sources give the same file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::{Value, json};
use toml::de::DeTable;

use super::{Metadata, Package, contained, metadata};

/// The SHA-256 of each package from a registry, by name and version.
type Checksums = BTreeMap<(String, String), String>;

/// Writes the packages in the binary for `target`, or this machine, into `file`.
pub fn write(file: &str, target: Option<&str>) -> Result<(), String> {
    let metadata = metadata(target)?;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock");
    let lock = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    let mut text = format!("{:#}", bill(&metadata, &checksums(&lock, path)?)?);
    text.push('\n');
    fs::write(file, text).map_err(|error| format!("{file}: {error}"))
}

/// The hashes in the text of Cargo.lock, which is at `path`.
fn checksums(lock: &str, path: &str) -> Result<Checksums, String> {
    let lock = DeTable::parse(lock).map_err(|error| format!("{path}: {error}"))?;
    let packages = lock.get_ref().get("package").and_then(|list| list.get_ref().as_array());
    let mut found = Checksums::new();
    for package in packages.into_iter().flatten() {
        let text = |key| Some(package.get_ref().get(key)?.get_ref().as_str()?.to_owned());
        if let (Some(name), Some(version), Some(sum)) =
            (text("name"), text("version"), text("checksum"))
        {
            found.insert((name, version), sum);
        }
    }
    Ok(found)
}

/// The bill: the program, the packages in it, and which of them needs which.
fn bill(metadata: &Metadata, checksums: &Checksums) -> Result<Value, String> {
    let contained = contained(metadata);
    let mut names: BTreeMap<&str, String> = BTreeMap::new();
    let mut components = Vec::new();
    let mut packages: Vec<&Package> = metadata.packages.iter().collect();
    packages.sort_by_key(|package| (&package.name, &package.version));
    for package in packages {
        if package.id != metadata.resolve.root && !contained.contains(&package.id) {
            continue;
        }
        names.insert(&package.id, purl(package));
        if contained.contains(&package.id) {
            let mut component = component(package, "library")?;
            let key = (package.name.clone(), package.version.clone());
            if let Some(checksum) = checksums.get(&key) {
                component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
            }
            components.push(component);
        }
    }
    let root = metadata.packages.iter().find(|package| package.id == metadata.resolve.root);
    let root = root.ok_or("cargo metadata names no package of this directory")?;
    let needs = metadata.resolve.nodes.iter().filter_map(|node| {
        let of = names.get(node.id.as_str())?;
        let on: BTreeSet<_> =
            node.deps.iter().filter_map(|need| names.get(need.pkg.as_str())).collect();
        Some((of, json!({ "ref": of, "dependsOn": on })))
    });
    let needs: BTreeMap<_, _> = needs.collect();
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "component": component(root, "application")? },
        "components": components,
        "dependencies": needs.into_values().collect::<Vec<_>>(),
    }))
}

/// One package, as the bill names it.
fn component(package: &Package, kind: &str) -> Result<Value, String> {
    let Package { name, version, license, .. } = package;
    let licence = license.as_ref().ok_or_else(|| format!("{name} does not say its licence"))?;
    // Older manifests write a slash for "or".
    let licence = licence.replace('/', " OR ");
    Ok(json!({
        "type": kind,
        "bom-ref": purl(package),
        "name": name,
        "version": version,
        "purl": purl(package),
        "licenses": [{ "expression": licence }],
    }))
}

/// The package's name for all tools (<https://github.com/package-url/purl-spec>).
fn purl(package: &Package) -> String {
    format!("pkg:cargo/{}@{}", package.name, package.version)
}
