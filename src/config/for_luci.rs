//! The list of providers for the pages in LuCI, which knows of each what its hosts take and need.
//!
//! A test alone: it holds `providers.js` of luci-app-homing against the table of providers, and says
//! how the file must be. Providers that the router's build does not speak to are not in it.

use std::path::Path;

use toml::de::DeTable;

use super::host::misfit;
use super::table::HOST_KEYS;
use crate::core::address::Family;
use crate::core::built_in;
use crate::core::protocol::manners::SecretKind;
use crate::core::provider::{Login, Provider};

/// The file below the directory of the project.
const FILE: &str =
    "packaging/openwrt/luci-app-homing/htdocs/luci-static/resources/homing/providers.js";

const HEAD: &str = "'use strict';
'require baseclass';

// Made from the program's table of providers: when they differ, a test of `config::for_luci` says how
// this must be, and with HOMING_WRITE=1 writes it.
//
// secret    what a host proves itself with: 'token', 'password', or 'nothing'
// form      what else is to know about the secret, if anything: 'two-parts', 'three-parts',
//           'login-and-secret', 'one-each-family'
// takes     the settings that not every provider takes
// refuses   those that it does not take, and every other one does
// needs     those that a host there must have
// options   what a host may set in its options
// lacks     the family that it does not have

return baseclass.extend({
\tlist: [
";

const FOOT: &str = "\t]\n});\n";

/// The settings of a host that differ between providers; the others every host has.
fn takes(provider: &Provider) -> Vec<&'static str> {
    let manners = provider.manners();
    let fits = |key: &str| match key {
        // The router's build asks for no powers.
        "strict-token" => manners.has_receipts(),
        "when-gone" | "gone-after" => provider.removal().is_some(),
        "options" => !options(provider).is_empty(),
        "zone-id" => provider.http.as_ref().is_some_and(|entry| entry.needs_zone_id()),
        // Of a switch, "on" is what a provider may not know.
        _ => misfit(key, Some(true), manners).is_none(),
    };
    HOST_KEYS.iter().map(|(key, _)| *key).filter(|key| fits(key)).collect()
}

fn options(provider: &Provider) -> Vec<&str> {
    let known = provider.http.as_ref().map(|entry| entry.known_options()).unwrap_or_default();
    known.into_iter().filter(|name| *name != "zone-id").collect()
}

fn needs(provider: &Provider) -> Vec<&'static str> {
    let entry = provider.http.as_ref();
    let login = provider.manners().secret == SecretKind::Password
        && provider.login == Login::Username
        && !provider.has_login_in_secret();
    let zone = provider.zone.is_none()
        && entry.is_some_and(|entry| entry.names_zone() && !entry.finds_zone());
    let required = entry.is_some_and(|entry| !entry.required_options().is_empty());
    let path = provider.manners().secret == SecretKind::Nothing;
    let all = [("options", required), ("path", path), ("username", login), ("zone", zone)];
    all.into_iter().filter(|(_, needed)| *needed).map(|(key, _)| key).collect()
}

fn form(provider: &Provider) -> &'static str {
    match &provider.http {
        _ if provider.has_login_in_secret() => "login-and-secret",
        Some(entry) if entry.secret_parts == 2 => "two-parts",
        Some(entry) if entry.secret_parts == 3 => "three-parts",
        Some(entry) if entry.uses("secret.family") => "one-each-family",
        _ => "",
    }
}

/// The text of a key about credentials in the table: the router's build has no room for it.
fn advice<'a>(table: &'a DeTable<'_>, provider: &str, key: &str) -> &'a str {
    let entry = table.get("provider").and_then(|all| all.get_ref().as_table()?.get(provider));
    let text = entry.and_then(|entry| entry.get_ref().as_table()?.get(key));
    text.and_then(|text| text.get_ref().as_str()).unwrap_or_default()
}

/// One provider as an object of JavaScript; what is empty is left out.
fn line(provider: &Provider, common: &[&str], table: &DeTable<'_>) -> String {
    let secret = match provider.manners().secret {
        SecretKind::Token => "token",
        SecretKind::Password => "password",
        SecretKind::Nothing => "nothing",
        SecretKind::Key => "key",
    };
    let all = takes(provider);
    let takes: Vec<_> = all.iter().copied().filter(|key| !common.contains(key)).collect();
    let refuses: Vec<_> = common.iter().copied().filter(|key| !all.contains(key)).collect();
    let lacks =
        |family: &Family| provider.http.as_ref().is_some_and(|entry| !entry.families[*family]);
    let lacks = Family::BOTH.into_iter().find(lacks).map(Family::key).unwrap_or_default();
    let texts = [
        ("name", &*provider.name),
        ("title", &*provider.title),
        ("secret", secret),
        ("form", form(provider)),
        ("takes", &takes.join(" ")),
        ("refuses", &refuses.join(" ")),
        ("needs", &needs(provider).join(" ")),
        ("options", &options(provider).join(" ")),
        ("lacks", lacks),
        ("page", advice(table, &provider.name, "page")),
        ("credential", advice(table, &provider.name, "credential")),
        ("note", &*provider.note),
    ];
    let quoted = |text: &str| {
        assert!(!text.chars().any(char::is_control), "{text:?}");
        text.replace('\\', "\\\\").replace('\'', "\\'")
    };
    let pairs = texts.into_iter().filter(|(_, text)| !text.is_empty());
    let pairs: Vec<_> = pairs.map(|(key, text)| format!("{key}: '{}'", quoted(text))).collect();
    format!("\t\t{{ {} }}", pairs.join(", "))
}

fn whole() -> String {
    let here = || built_in::all().filter(|provider| provider.manners().feature.is_none());
    // A key that every provider takes tells nothing; those of a hosts file do not count for it.
    let remote: Vec<_> = here()
        .filter(|provider| provider.manners().secret != SecretKind::Nothing)
        .map(|provider| takes(&provider))
        .collect();
    let everywhere = |key: &&str| remote.iter().all(|takes| takes.contains(key));
    let common: Vec<_> = HOST_KEYS.iter().map(|(key, _)| *key).filter(everywhere).collect();
    let table = DeTable::parse(include_str!("../core/providers.toml")).expect("the table");
    let lines: Vec<_> = here().map(|provider| line(&provider, &common, table.get_ref())).collect();
    format!("{HEAD}{}\n{FOOT}", lines.join(",\n"))
}

#[test]
fn the_list_for_luci_is_that_of_the_program() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let whole = whole();
    if std::env::var_os("HOMING_WRITE").is_some() {
        std::fs::write(&path, &whole).unwrap();
    }
    let is = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = is.lines().zip(whole.lines()).find(|(is, must)| is != must);
    assert!(
        is == whole,
        "{FILE} differs from the program; first {differs:?}; it must be:\n{whole}"
    );
}
