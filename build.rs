//! Turns the table of built-in providers into texts, so that no start of Homing parses it.
//!
//! Packs the example configuration for the manual, too (`example.packed`, for `cli::pages`).
//!
//! Packs the services that people are reached by in the same way (`src/core/notify.toml`, `notify.txt`).
//!
//! Reads `src/core/providers.toml`, writes `providers.txt` for `core::built_in`, `closed.txt` for
//! `core::closed` and `names.txt` for `import`. An unknown key or a value of another form ends the
//! build; a unit test in `config` compares the texts with the settings that the same entries give when a
//! user writes them.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

use keys::{Form, ProviderKey};
use phrases::shrink;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

#[expect(dead_code, reason = "the program uses more of the keys than the build")]
#[path = "src/core/provider_key.rs"]
mod keys;

#[path = "src/core/pairs.rs"]
mod pairs;

#[path = "src/core/phrases.rs"]
mod phrases;

const SOURCE: &str = "src/core/providers.toml";
const KEYS: &str = "src/core/provider_key.rs";
const PAIRS: &str = "src/core/pairs.rs";
const PHRASES: &str = "src/core/phrases.rs";
const EXAMPLE: &str = "config.example.toml";
const NOTIFY: &str = "src/core/notify.toml";

/// Keys that no entry may hold: they are for users' own servers, or have no text form.
const USERS: [ProviderKey; 4] =
    [ProviderKey::Algorithm, ProviderKey::CaFile, ProviderKey::Extends, ProviderKey::PlainHttp];

/// A linker script that leaves out the tables of unwinding: a release aborts when it panics, and they
/// are an eighth of it. The standard library brings its own, so that no compiler option does this.
const WITHOUT_UNWINDING: &str = "SECTIONS {
    /DISCARD/ : { *(.eh_frame) *(.eh_frame_hdr) *(.gcc_except_table .gcc_except_table.*) }
} INSERT AFTER .text;
";

fn main() {
    println!("cargo::rerun-if-changed={SOURCE}");
    println!("cargo::rerun-if-changed={KEYS}");
    println!("cargo::rerun-if-changed={PAIRS}");
    println!("cargo::rerun-if-changed={PHRASES}");
    println!("cargo::rerun-if-changed={EXAMPLE}");
    println!("cargo::rerun-if-changed={NOTIFY}");
    leave_out_unwinding();
    let text = fs::read_to_string(SOURCE).unwrap_or_else(|error| panic!("{SOURCE}: {error}"));
    let table = DeTable::parse(&text).unwrap_or_else(|error| panic!("{SOURCE}: {error}"));
    let directory = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    for (name, made) in [
        ("providers.txt", texts(table.get_ref())),
        ("closed.txt", closed(table.get_ref())),
        ("names.txt", names(table.get_ref())),
    ] {
        let made = made.unwrap_or_else(|problem| panic!("{SOURCE}: {problem}"));
        fs::write(format!("{directory}/{name}"), made).expect("OUT_DIR can be written to");
    }
    let text = fs::read_to_string(NOTIFY).unwrap_or_else(|error| panic!("{NOTIFY}: {error}"));
    let table = DeTable::parse(&text).unwrap_or_else(|error| panic!("{NOTIFY}: {error}"));
    let made = services(table.get_ref()).unwrap_or_else(|problem| panic!("{NOTIFY}: {problem}"));
    fs::write(format!("{directory}/notify.txt"), made).expect("OUT_DIR can be written to");
    let example = fs::read_to_string(EXAMPLE).unwrap_or_else(|error| panic!("{EXAMPLE}: {error}"));
    let packed = pairs::pack(&example).unwrap_or_else(|| panic!("{EXAMPLE} is not plain ASCII"));
    fs::write(format!("{directory}/example.packed"), packed).expect("OUT_DIR can be written to");
}

/// Passes the script to the linker, where the linker is known to read it and nothing needs the tables.
fn leave_out_unwinding() {
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    // Cargo.toml says that a release aborts; a distribution may say otherwise.
    let unwinds = env::var("CARGO_PROFILE_RELEASE_PANIC").is_ok_and(|panic| panic != "abort");
    println!("cargo::rerun-if-env-changed=CARGO_PROFILE_RELEASE_PANIC");
    let aborts = is("PROFILE", "release") && !unwinds;
    let is_known = ["gnu", "musl"].into_iter().any(|env| is("CARGO_CFG_TARGET_ENV", env));
    if aborts && is("CARGO_CFG_TARGET_OS", "linux") && is_known {
        let script =
            format!("{}/without-unwinding.ld", env::var("OUT_DIR").expect("cargo sets it"));
        fs::write(&script, WITHOUT_UNWINDING).expect("OUT_DIR can be written to");
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{script}");
        SMALLER.into_iter().filter(|option| runs_with(option)).for_each(|option| {
            println!("cargo::rustc-link-arg-bins={option}");
        });
    }
}

/// Options of linkers that make a release smaller by a twentieth: equal functions are kept once, and
/// relocations are packed (RELR), which glibc knows since 2.36. Not every linker has the first.
const SMALLER: [&str; 2] = ["-Wl,--icf=all", "-Wl,-z,pack-relative-relocs"];

/// Whether a program that is linked with `option` runs here; never for another machine.
fn runs_with(option: &str) -> bool {
    let variable = |name: &str| env::var(name).unwrap_or_default();
    println!("cargo::rerun-if-env-changed=RUSTC_LINKER");
    let target = variable("TARGET");
    if target != variable("HOST") || variable("CARGO_CFG_TARGET_ENV") != "gnu" {
        return false;
    }
    let directory = PathBuf::from(variable("OUT_DIR"));
    let (source, program) = (directory.join("trial.rs"), directory.join("trial"));
    if fs::write(&source, "fn main() {}").is_err() {
        return false;
    }
    let mut rustc = Command::new(variable("RUSTC"));
    let flags = variable("CARGO_ENCODED_RUSTFLAGS");
    rustc.args(flags.split('\x1f').filter(|flag| !flag.is_empty()));
    let linker = variable("RUSTC_LINKER");
    if !linker.is_empty() {
        rustc.arg(format!("-Clinker={linker}"));
    }
    rustc.args(["--edition=2024", "--target", &target, "-o"]).arg(&program).arg(&source);
    rustc.arg(format!("-Clink-arg={option}"));
    let succeeds = |command: &mut Command| command.output().is_ok_and(|run| run.status.success());
    succeeds(&mut rustc) && succeeds(&mut Command::new(program))
}

/// The users of the names in `known-as`: clients whose configurations are read, or a URL.
const READERS: [&str; 5] = ["ddclient", "ddns-scripts", "ddns-updater", "inadyn", "servers"];

/// The names that others use for services, one a line in the order of the entries: the user, the name,
/// and the built-in provider, the server and path of another, or `!` with the name of a closed one.
fn names(table: &DeTable<'_>) -> Result<String, String> {
    let mut lines = Vec::new();
    for (kind, sign) in [("provider", ""), ("closed", "!")] {
        for (name, entry) in entries(table, kind)? {
            let known = meaning(known_as(entry)?, name)?;
            lines.extend(known.into_iter().map(|(user, known, name)| (user, known, sign, name)));
        }
    }
    for (server, entry) in entries(table, "other")? {
        let known = meaning(Some(entry), server)?;
        lines.extend(known.into_iter().map(|(user, known, server)| (user, known, "", server)));
    }
    let mut seen = BTreeSet::new();
    let twice = lines.iter().find(|(user, name, ..)| !seen.insert((user, name)));
    if let Some((user, name, ..)) = twice {
        return Err(format!("two entries are known to {user} as {name}"));
    }
    let line = |(user, name, sign, meaning)| format!("{user} {name} {sign}{meaning}\n");
    Ok(lines.into_iter().map(line).collect())
}

/// The names of an entry in other clients.
fn known_as<'a>(entry: &'a DeTable<'_>) -> Result<Option<&'a DeTable<'a>>, String> {
    let Some(known) = entry.get("known-as") else { return Ok(None) };
    known.get_ref().as_table().map(Some).ok_or("known-as is not a table".to_owned())
}

/// The keys of a closed service, in the order of their values in the text.
const CLOSED: [&str; 4] = ["title", "since", "reason", "way-out"];

/// The texts of all closed services, in the form that `core::closed` reads.
fn closed(table: &DeTable<'_>) -> Result<String, String> {
    let mut text = String::new();
    for (name, entry) in entries(table, "closed")? {
        let wrong = |what: &str| format!("closed.{name}: {what}");
        let foreign = entry
            .keys()
            .find(|key| !CLOSED.contains(&key.get_ref().as_ref()) && key.get_ref() != "known-as");
        if let Some(key) = foreign {
            return Err(wrong(&format!("{} is no key of a closed service", key.get_ref())));
        }
        text += &part(name);
        for key in CLOSED {
            let value = entry.get(key).map(|value| value.get_ref().as_str());
            let value = value.unwrap_or(Some("")).ok_or(wrong("a value is not text"))?;
            if value.is_empty() && matches!(key, "reason" | "way-out") {
                return Err(wrong(&format!("{key} is missing")));
            }
            text += &part(value);
        }
        // inadyn's names begin with a kind, such as default@.
        let known = meaning(known_as(entry)?, name)?;
        let known: BTreeSet<_> = known
            .into_iter()
            .map(|(_, known, _)| known.rsplit('@').next().unwrap_or_default())
            .collect();
        text += &part(&known.into_iter().collect::<Vec<_>>().join(" "));
    }
    Ok(text)
}

/// The sections `[KIND.NAME]` in their order.
fn entries<'a>(
    table: &'a DeTable<'_>,
    kind: &str,
) -> Result<Vec<(&'a str, &'a DeTable<'a>)>, String> {
    let all = table.get(kind).and_then(|all| all.get_ref().as_table());
    let mut found = Vec::new();
    for (name, entry) in all.ok_or(format!("there is no {kind}"))? {
        let table = entry.get_ref().as_table().ok_or(format!("{kind}.{name} is not a table"))?;
        found.push((name.span().start, name.get_ref().as_ref(), table));
    }
    found.sort_by_key(|(at, ..)| *at);
    Ok(found.into_iter().map(|(_, name, table)| (name, table)).collect())
}

/// The names in `known`, each with its user and `meaning`.
fn meaning<'a>(
    known: Option<&'a DeTable<'_>>,
    meaning: &'a str,
) -> Result<Vec<(&'a str, &'a str, &'a str)>, String> {
    let mut lines = Vec::new();
    for (user, names) in known.into_iter().flatten() {
        let user = user.get_ref().as_ref();
        let names = names.get_ref().as_array().filter(|_| READERS.contains(&user));
        let names = names.ok_or(format!("{meaning}: {user} is no list of names"))?;
        for name in names.iter().map(|name| name.get_ref().as_str().unwrap_or_default()) {
            if name.is_empty() || name.contains(char::is_whitespace) {
                return Err(format!("{meaning}: {name:?} is no name at {user}"));
            }
            lines.push((user, name, meaning));
        }
    }
    Ok(lines)
}

/// The texts of all entries, sorted by name, in the form that `core::built_in` reads.
fn texts(table: &DeTable<'_>) -> Result<String, String> {
    if let Some(key) =
        table.keys().find(|key| !matches!(key.get_ref().as_ref(), "provider" | "other" | "closed"))
    {
        return Err(format!("{} does not belong here; write [provider.NAME]", key.get_ref()));
    }
    let mut entries = entries(table, "provider")?;
    entries.sort_by_key(|(name, _)| *name);
    let text = |(name, entry)| {
        let settings = settings(entry).map_err(|problem| format!("provider.{name}: {problem}"))?;
        Ok(part(name) + &part(&settings))
    };
    entries.into_iter().map(text).collect()
}

/// The texts of all services that take messages, in the form that `core::notify::service` reads.
fn services(table: &DeTable<'_>) -> Result<String, String> {
    let mut all: Vec<_> = table.iter().collect();
    all.sort_by_key(|(name, _)| name.span().start);
    let text = |(name, settings): (&Spanned<Cow<'_, str>>, &Spanned<DeValue<'_>>)| {
        let settings =
            tree(settings.get_ref()).ok_or(format!("{} holds a date", name.get_ref()))?;
        Ok(part(name.get_ref()) + &part(&settings))
    };
    all.into_iter().map(text).collect()
}

/// The keys of an entry that this build cannot speak to: they name it, and say what is missing.
const NAMES: [&str; 6] = ["credential", "key", "protocol", "reach", "sign", "title"];

/// The keys about credentials and where they are made: a build without tokens judges none, and a router
/// has no room for the advice, which its web page and `contrib/docs/providers.md` give.
const ADVICE: [&str; 4] = ["credential", "page", "power", "reach"];

/// Whether this build has what the requests of `entry` are signed with.
fn speaks(entry: &DeTable<'_>) -> bool {
    let needed = [("sign", "CARGO_FEATURE_CLOUD"), ("key", "CARGO_FEATURE_CLOUD_KEYS")];
    needed.iter().all(|(key, feature)| entry.get(*key).is_none() || env::var_os(feature).is_some())
}

/// The settings of an entry: its protocol, then each key's sign and value.
fn settings(entry: &DeTable<'_>) -> Result<String, String> {
    let mut settings = Vec::new();
    let advises = env::var_os("CARGO_FEATURE_TOKENS").is_some();
    let is_kept = |word: &str| {
        word != "known-as"
            && (advises || !ADVICE.contains(&word))
            && (speaks(entry) || NAMES.contains(&word))
    };
    for (word, value) in entry.iter().filter(|(word, _)| is_kept(word.get_ref())) {
        let word = word.get_ref().as_ref();
        let key = ProviderKey::named(word).filter(|key| !USERS.contains(key));
        let key = key.ok_or(format!("{word} is no key of a built-in provider"))?;
        let value = match (key.form(), value.get_ref()) {
            (Form::Flag, DeValue::Boolean(flag)) => flag.to_string(),
            (Form::Number, DeValue::Integer(number)) => number.as_str().to_owned(),
            (Form::File | Form::Text, DeValue::String(text)) => shrink(text),
            (Form::Tree, value) => tree(value).ok_or(format!("{word} holds a date"))?,
            (form, _) => return Err(format!("{word} is not of the form {form:?}")),
        };
        settings.push((key, value));
    }
    settings.sort_by_key(|(key, _)| (*key != ProviderKey::Protocol, key.rank(), key.sign()));
    for key in [ProviderKey::Protocol, ProviderKey::Title] {
        if settings.iter().all(|(known, _)| *known != key) {
            return Err(format!("{} is missing", key.word()));
        }
    }
    let part = |(key, value): (ProviderKey, String)| match key {
        ProviderKey::Protocol => part(&value),
        _ => part(&format!("{}{value}", key.sign())),
    };
    Ok(settings.into_iter().map(part).collect())
}

/// The characters in front of the parts of a list and of a table, as `http::tree` reads them.
const SIGNS: (char, char) = ('\u{1}', '\u{2}');

/// The text of a value: a text as it is, and the parts of a list or table behind their sign.
fn tree(value: &DeValue<'_>) -> Option<String> {
    Some(match value {
        DeValue::String(text) => shrink(text),
        DeValue::Integer(number) => number.as_str().to_owned(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Array(list) => {
            let values: Option<Vec<_>> = list.iter().map(|value| tree(value.get_ref())).collect();
            values?.iter().fold(SIGNS.0.to_string(), |text, value| text + &part(value))
        }
        DeValue::Table(table) => {
            let mut values: Vec<_> = table.iter().collect();
            values.sort_by_key(|(name, _)| name.span().start);
            let mut text = SIGNS.1.to_string();
            for (name, value) in values {
                text += &(part(&shrink(name.get_ref())) + &part(&tree(value.get_ref())?));
            }
            text
        }
        DeValue::Float(_) | DeValue::Datetime(_) => return None,
    })
}

/// A text with its length in front, as two characters of seven bits.
fn part(text: &str) -> String {
    let digit = |number: usize| u8::try_from(number).ok().filter(u8::is_ascii).map(char::from);
    let digits = digit(text.len() >> 7).zip(digit(text.len() & 0x7f));
    let (high, low) = digits.expect("a text has less than 16 KiB");
    format!("{high}{low}{text}")
}
