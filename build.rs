//! Turns the table of built-in providers into code, so that no start of Homing parses it.
//!
//! Reads `src/core/providers.toml`, writes `providers.rs` for `core::provider`. A mistake in the
//! table ends the build with its place; a unit test in `config` holds the result against what the
//! same entries give when a user writes them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

use toml::de::DeTable;
use toml::{Table, Value};

const SOURCE: &str = "src/core/providers.toml";

/// What an entry may hold; `zone`, `ca-file` and `plain-http` are for users' own servers only.
const KEYS: [&str; 20] = [
    "api-url",
    "batch",
    "credential",
    "echo4",
    "echo6",
    "ipv4-parameter",
    "ipv6-parameter",
    "known-as",
    "leave",
    "login",
    "note",
    "omit",
    "one-family",
    "pace",
    "protocol",
    "query",
    "refresh",
    "server",
    "title",
    "update-url",
];

/// Leaves out what only unwinding reads: a release aborts when it panics, and the tables are an
/// eighth of it. The standard library brings its own, so that no option of the compiler does this.
const WITHOUT_UNWINDING: &str = "SECTIONS {
    /DISCARD/ : { *(.eh_frame) *(.eh_frame_hdr) *(.gcc_except_table .gcc_except_table.*) }
} INSERT AFTER .text;
";

fn main() {
    println!("cargo::rerun-if-changed={SOURCE}");
    leave_out_unwinding();
    let text = fs::read_to_string(SOURCE).unwrap_or_else(|error| panic!("{SOURCE}: {error}"));
    let table: Table = text.parse().unwrap_or_else(|error| panic!("{SOURCE}: {error}"));
    let code = code(&table).unwrap_or_else(|problem| panic!("{SOURCE}: {problem}"));
    let table = DeTable::parse(&text).unwrap_or_else(|error| panic!("{SOURCE}: {error}"));
    let names = names(table.get_ref()).unwrap_or_else(|problem| panic!("{SOURCE}: {problem}"));
    let directory = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    for (name, text) in [("providers.rs", code), ("names.txt", names)] {
        fs::write(format!("{directory}/{name}"), text).expect("OUT_DIR can be written to");
    }
}

/// Hands the linker a script, where it is known to read it and nothing else needs the tables.
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
/// addresses to be set at the start are listed in short (RELR). Not every linker knows the first, and
/// glibc knows the second since 2.36.
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

/// Who uses the names of `known-as`: clients whose set-ups are read, or a URL.
const USERS: [&str; 4] = ["ddclient", "ddns-scripts", "inadyn", "servers"];

/// The names of services elsewhere, one a line in the order of the entries: who uses it, the name, and
/// the built-in provider, or the server and path of another.
fn names(table: &DeTable<'_>) -> Result<String, String> {
    let mut lines = Vec::new();
    for (provider, entry) in entries(table, "provider")? {
        if let Some(known) = entry.get("known-as") {
            let known = known.get_ref().as_table().ok_or("known-as is not a table")?;
            lines.extend(meaning(known, provider)?);
        }
    }
    for (server, entry) in entries(table, "other")? {
        lines.extend(meaning(entry, server)?);
    }
    let mut seen = BTreeSet::new();
    if let Some((user, name, _)) = lines.iter().find(|(user, name, _)| !seen.insert((user, name))) {
        return Err(format!("two entries are known to {user} as {name}"));
    }
    let line = |(user, name, meaning)| format!("{user} {name} {meaning}\n");
    Ok(lines.into_iter().map(line).collect())
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
    known: &'a DeTable<'_>,
    meaning: &'a str,
) -> Result<Vec<(&'a str, &'a str, &'a str)>, String> {
    let mut lines = Vec::new();
    for (user, names) in known {
        let user = user.get_ref().as_ref();
        let names = names.get_ref().as_array().filter(|_| USERS.contains(&user));
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

/// The static table of all entries, sorted by name.
fn code(table: &Table) -> Result<String, String> {
    if let Some(key) = table.keys().find(|key| !matches!(key.as_str(), "provider" | "other")) {
        return Err(format!("{key} does not belong here; write [provider.NAME]"));
    }
    let entries = table.get("provider").and_then(Value::as_table).ok_or("there is no provider")?;
    let sorted: BTreeMap<&String, &Value> = entries.iter().collect();
    let mut code = String::from(
        "/// The built-in providers, sorted by name.\npub static BUILT_IN: &[Provider] = &[\n",
    );
    for (name, entry) in sorted {
        let table = entry.as_table().ok_or(format!("provider.{name} is not a table"))?;
        let entry = Entry { name, table };
        code += &entry.code().map_err(|problem| format!("provider.{name}: {problem}"))?;
    }
    code += "];\n";
    Ok(code)
}

/// One `[provider.NAME]`.
struct Entry<'a> {
    name: &'a str,
    table: &'a Table,
}

impl Entry<'_> {
    /// The entry as a constant expression with every field spelled, because `..defaults` would
    /// have to drop the fields that are replaced, which constants cannot do.
    fn code(&self) -> Result<String, String> {
        if let Some(key) = self.table.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(format!("unknown key {key}; build.rs lists the known ones"));
        }
        let protocol = self.text("protocol")?.ok_or("protocol is missing")?;
        let (protocol, tail, omit, pace, batch) = match protocol {
            "desec" => ("Desec", "/api/v1/dyndns/update", "delete", "2/2m", "MOST_HOSTS"),
            "dyndns2" => ("Dyndns2", "/nic/update", "keep", "6/5m", "MOST_HOSTS"),
            "hosts-file" => ("HostsFile", "", "keep", "off", "usize::MAX"),
            other => return Err(format!("unknown protocol {other}")),
        };
        let served = |tail: &str| -> Result<Option<String>, String> {
            Ok(self.text("server")?.map(|server| format!("{}{tail}", server.trim_end_matches('/'))))
        };
        let update_url = self.text("update-url")?.map(str::to_owned).or(served(tail)?);
        let api_url = match protocol {
            "Desec" => self.text("api-url")?.map(str::to_owned).or(served("/api/v1")?),
            _ => None,
        };
        if update_url.is_none() && protocol != "HostsFile" {
            return Err("server or update-url is missing".to_owned());
        }
        let one_of = |key: &str, default: &str, words: &[(&str, &str)]| {
            let word = self.text(key)?.unwrap_or(default).to_owned();
            let found = words.iter().find(|(known, _)| *known == word);
            found.map(|(_, code)| (*code).to_owned()).ok_or(format!("{key} cannot be {word}"))
        };
        let omit = one_of(
            "omit",
            omit,
            &[("caller", "Omit::Caller"), ("delete", "Omit::Delete"), ("keep", "Omit::Keep")],
        )?;
        let login = one_of(
            "login",
            "username",
            &[("host", "Login::Host"), ("username", "Login::Username")],
        )?;
        let batch = match self.table.get("batch") {
            None => batch.to_owned(),
            Some(Value::Integer(number @ 1..=20)) => number.to_string(),
            Some(_) => return Err("batch is not a number from 1 to 20".to_owned()),
        };
        let one_family = match self.table.get("one-family") {
            None => false,
            Some(Value::Boolean(value)) => *value,
            Some(_) => return Err("one-family is neither true nor false".to_owned()),
        };
        let refresh = match self.text("refresh")? {
            None => "None".to_owned(),
            Some(text) => format!("Some({})", duration(text)?),
        };
        let mut code = String::new();
        let mut field = |name: &str, value: &str| {
            writeln!(code, "        {name}: {value},").expect("a String takes everything");
        };
        field("name", &text(self.name));
        field("title", &text(self.text("title")?.ok_or("title is missing")?));
        field("protocol", &format!("Protocol::{protocol}"));
        field("update_url", &optional(update_url.as_deref()));
        field("api_url", &optional(api_url.as_deref()));
        field("name_server", "None");
        field("algorithm", "Algorithm::Sha256");
        field("zone", "None");
        field("ca_file", "None");
        field("plain_http", "false");
        field("omit", &omit);
        field("pace", &pace_code(self.text("pace")?.unwrap_or(pace))?);
        let is_each_hosts = protocol == "Dyndns2" && self.text("pace")?.is_none();
        field("pace_each_host", if is_each_hosts { "true" } else { "false" });
        field("refresh", &refresh);
        field("batch", &batch);
        let parameter = |key| self.text(key).map(|name| text(name.unwrap_or("myip")));
        let (v4, v6) = (parameter("ipv4-parameter")?, parameter("ipv6-parameter")?);
        field("parameters", &format!("PerFamily {{ v4: {v4}, v6: {v6} }}"));
        field("one_family", if one_family { "true" } else { "false" });
        field("leave", &optional(self.text("leave")?));
        field("query", &optional(self.text("query")?));
        field("login", &login);
        let (v4, v6) = (optional(self.text("echo4")?), optional(self.text("echo6")?));
        field("echo", &format!("PerFamily {{ v4: {v4}, v6: {v6} }}"));
        field("credential", &text(self.text("credential")?.ok_or("credential is missing")?));
        field("note", &text(self.text("note")?.unwrap_or_default()));
        Ok(format!("    Provider {{\n{code}    }},\n"))
    }

    fn text(&self, key: &str) -> Result<Option<&str>, String> {
        match self.table.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(format!("{key} is not text")),
        }
    }
}

fn text(text: &str) -> String {
    format!("Cow::Borrowed({text:?})")
}

fn optional(value: Option<&str>) -> String {
    value.map_or("None".to_owned(), |value| format!("Some({})", text(value)))
}

fn pace_code(pace: &str) -> Result<String, String> {
    if pace == "off" {
        return Ok("None".to_owned());
    }
    let (requests, window) = pace.split_once('/').ok_or(format!("pace cannot be {pace}"))?;
    let requests: u32 = requests.parse().map_err(|_| format!("pace cannot be {pace}"))?;
    Ok(format!("Some(Pace {{ requests: {requests}, window: {} }})", duration(window)?))
}

/// The code of a duration such as `2m` or `25d`.
fn duration(text: &str) -> Result<String, String> {
    let wrong = || format!("{text} is not a duration such as 2m");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let factor: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    Ok(format!("Duration::from_secs({})", number * factor))
}
