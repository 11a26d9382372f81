//! The JSON schema of the configuration, for editors: made of the table of keys and of the example's
//! comments, and held against the example.
//!
//! `HOMING_WRITE=1 cargo test --test all schema::` writes it anew.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

use std::collections::BTreeMap;

use crate::support::home;
use homing::cli::pages::settings;
use homing::config;
use homing::core::protocol::manners::Protocol;
use homing::core::provider_key::{Form, ProviderKey};
use serde_json::{Map, Value, json};
use toml::de::{DeTable, DeValue};

const EXAMPLE: &str = include_str!("../config.example.toml");

/// A duration in humantime's form.
const DURATION: &str = "^([0-9]+ ?[a-zA-Z]+ ?)+$";

/// The file of the schema, beside the example.
const FILE: &str = "config.schema.json";

/// What a value of `key` in the section `header` may be.
fn form(header: &str, key: &str) -> Value {
    let text = || json!({ "type": "string" });
    let texts = || json!({ "type": "array", "items": { "type": "string" } });
    let one_or_several = || json!({ "type": ["string", "array"], "items": { "type": "string" } });
    let flag = || json!({ "type": "boolean" });
    let number =
        |least: u32, most: u32| json!({ "type": "integer", "minimum": least, "maximum": most });
    let duration = || json!({ "type": "string", "pattern": DURATION });
    let words = |words: &[&str]| json!({ "type": "string", "enum": words });
    let protocols: Vec<_> = Protocol::ALL.into_iter().map(Protocol::word).collect();
    match (header, key) {
        ("[provider.NAME]", "protocol") => words(&protocols),
        ("[provider.NAME]", "omit") => words(&["keep", "delete", "caller"]),
        ("[provider.NAME]", "timeout") => duration(),
        ("[provider.NAME]", _) => match ProviderKey::named(key).unwrap().form() {
            Form::File | Form::Text => text(),
            Form::Flag => flag(),
            Form::Number => number(1, 1000),
            Form::Tree => json!({ "type": ["string", "array", "object"] }),
        },
        ("[daemon]", "interval" | "settle") | ("[[host]]", "gone-after" | "verify-timeout") => {
            duration()
        }
        ("[daemon]", "log") => words(&["error", "warn", "info", "debug", "trace"]),
        ("[daemon]", "log-format") => words(&["text", "json", "journal", "syslog"]),
        ("[daemon]", "state-dir") => text(),
        ("[report]", "on-problem") => texts(),
        ("[report]", "problem-after" | "ping-interval") => duration(),
        ("[report]", "ping-service") => words(&["healthchecks", "uptime-kuma", "cronitor", "url"]),
        ("[report]", "metrics-file" | "ping" | "ping-file" | "status-page") => text(),
        ("[report]", "notify") => json!({ "type": "array", "items": { "type": "object" } }),
        ("[notify.NAME]", "options") => texts(),
        ("[notify.NAME]", "send") => json!({ "type": "object" }),
        ("[notify.NAME]", "server" | "title") => text(),
        ("[source.NAME]", "allow-private" | "prefer-temporary") => flag(),
        ("[source.NAME]", "agree") => number(1, 1000),
        ("[source.NAME]", "count") => number(1, 8),
        ("[source.NAME]", "prefix-length") => number(1, 128),
        ("[source.NAME]", "command") => texts(),
        ("[source.NAME]", "static" | "stun" | "web") => one_or_several(),
        ("[source.NAME]", "gateway") => json!({ "type": ["string", "boolean"] }),
        ("[source.NAME]", "dns") => {
            let resolver = json!({
                "type": ["string", "object"],
                "additionalProperties": false,
                "properties": {
                    "class": words(&["IN", "CH"]),
                    "name": text(),
                    "server": text(),
                    "type": words(&["A", "AAAA", "TXT"]),
                },
            });
            let mut several = resolver.clone();
            several["type"] = json!(["string", "object", "array"]);
            several["items"] = resolver;
            several
        }
        ("[source.NAME]", "bind" | "ca-file" | "file" | "interface" | "suffix" | "suffix-mac") => {
            text()
        }
        ("[[host]]", "name" | "verify-servers") => one_or_several(),
        ("[[host]]", "on-change") => texts(),
        ("[[host]]", "options") => json!({
            "type": "object",
            "additionalProperties": { "type": ["string", "boolean", "integer"] },
        }),
        ("[[host]]", "strict-token" | "take-over" | "verify") => flag(),
        ("[[host]]", "ttl") => number(0, 2_147_483_647),
        ("[[host]]", "when-gone") => words(&["keep", "remove"]),
        (
            "[[host]]",
            "bind" | "expires" | "ipv4" | "ipv6" | "key-file" | "key-name" | "password"
            | "password-file" | "path" | "provider" | "refresh" | "secret-file" | "token"
            | "token-credential" | "token-env" | "token-file" | "username" | "zone" | "zone-id",
        ) => text(),
        _ => panic!("tests/schema.rs does not say of what form {key} of {header} is"),
    }
}

/// The schema as it should be.
fn schema() -> Value {
    let mut docs: BTreeMap<(String, String), String> = BTreeMap::new();
    for (header, key, words) in settings::explained(EXAMPLE) {
        // The first explanation is the one for beginners.
        docs.entry((header, key)).or_insert(words);
    }
    let mut all = Map::new();
    for (header, keys) in config::keys() {
        let mut properties = Map::new();
        for key in keys {
            let mut form = form(header, key);
            let begin = header.trim_matches(['[', ']']).split('.').next().unwrap();
            let doc = docs.get(&(begin.to_owned(), (*key).to_owned()));
            if let Some(doc) = doc.filter(|doc| !doc.is_empty()) {
                form["description"] = json!(doc);
            }
            properties.insert((*key).to_owned(), form);
        }
        let table =
            json!({ "type": "object", "additionalProperties": false, "properties": properties });
        let name = header.trim_matches(['[', ']']);
        let (name, section) = match name.split_once('.') {
            _ if header.starts_with("[[") => (name, json!({ "type": "array", "items": table })),
            Some((name, _)) => (name, json!({ "type": "object", "additionalProperties": table })),
            None => (name, table),
        };
        all.insert(name.to_owned(), section);
    }
    all["host"]["items"]["required"] = json!(["name", "provider"]);
    all["host"]["minItems"] = json!(1);
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Configuration of Homing",
        "description": "See homing.toml(5). `homing check` knows more: which settings go together.",
        "type": "object",
        "additionalProperties": false,
        "required": ["host"],
        "properties": all,
    })
}

#[test]
fn the_schema_is_that_of_the_table_of_keys() {
    let text = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    home::is_made(FILE, &text, "schema");
}

#[test]
fn the_example_conforms_to_the_schema_with_everything_switched_on() {
    let line = |line: &str| {
        let rest = line.strip_prefix('#').unwrap_or_default();
        // What stands in place of something else is set off.
        let is_setting = rest.starts_with(|c: char| c == '[' || c.is_ascii_lowercase());
        format!("{}\n", if is_setting { rest } else { line })
    };
    let all: String = EXAMPLE.lines().map(line).collect();
    let schema = schema();
    for text in [EXAMPLE, &all] {
        assert_eq!(misfits(&schema, &value(text), ""), [""; 0]);
    }
    // The alternatives, one at a time.
    for line in EXAMPLE.lines().filter_map(|line| line.strip_prefix("#   ")) {
        let Ok(table) = DeTable::parse(line) else { continue };
        for (key, setting) in table.get_ref() {
            let of = |section: &&str| {
                let section = &schema["properties"][*section];
                let places = [&section["items"], &section["additionalProperties"], section];
                places.into_iter().find_map(|place| place["properties"].get(key.get_ref().as_ref()))
            };
            let sections: Vec<_> = ["host", "source", "provider", "daemon", "report", "notify"]
                .iter()
                .filter_map(of)
                .collect();
            let setting = json(setting.get_ref());
            let fits = |form: &&Value| misfits(form, &setting, "").is_empty();
            assert!(sections.iter().any(fits), "{line}");
        }
    }
}

#[test]
fn what_is_wrong_does_not_conform() {
    let host = "[[host]]\nname = \"a.example\"\nprovider = \"desec\"\n";
    for (wrong, expect) in [
        ("", " lacks host"),
        (
            "[daemon]\ninterval = 5\n[[host]]\nname = \"a\"\nprovider = \"b\"\n",
            "/daemon/interval is of another type",
        ),
        ("[[host]]\nname = \"a\"\n", "/host/0 lacks provider"),
        (&format!("{host}token_file = \"x\"\n"), "/host/0/token_file is not known"),
        (&format!("{host}when-gone = \"go\"\n"), "/host/0/when-gone is not one of the words"),
        (&format!("{host}[source.x]\ncount = 9\n"), "/source/x/count is too large"),
    ] {
        assert_eq!(misfits(&schema(), &value(wrong), ""), [expect], "{wrong}");
    }
}

/// The TOML `text` as JSON.
fn value(text: &str) -> Value {
    let table = DeTable::parse(text).unwrap_or_else(|error| panic!("{error}"));
    object(table.get_ref())
}

fn object(table: &DeTable<'_>) -> Value {
    let entry =
        |(key, value): (&toml::Spanned<std::borrow::Cow<'_, str>>, &toml::Spanned<DeValue<'_>>)| {
            (key.get_ref().to_string(), json(value.get_ref()))
        };
    Value::Object(table.iter().map(entry).collect())
}

fn json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => json!(text),
        DeValue::Integer(number) => json!(number.as_str().parse::<i64>().unwrap()),
        DeValue::Boolean(flag) => json!(flag),
        DeValue::Array(list) => list.iter().map(|item| json(item.get_ref())).collect(),
        DeValue::Table(table) => object(table),
        DeValue::Float(_) | DeValue::Datetime(_) => panic!("no setting is {value:?}"),
    }
}

/// What of `value`, which is at `at`, does not conform to `schema`: as much of JSON Schema as ours uses.
fn misfits(schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let kind = match value {
        Value::String(_) => "string",
        Value::Bool(_) => "boolean",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        _ => "integer",
    };
    let types = &schema["type"];
    if types != kind && !types.as_array().is_some_and(|types| types.iter().any(|it| it == kind)) {
        return vec![format!("{at} is of another type")];
    }
    let mut found = Vec::new();
    let words = schema["enum"].as_array();
    if words.is_some_and(|words| !words.contains(value)) {
        found.push(format!("{at} is not one of the words"));
    }
    if value.as_i64().zip(schema["maximum"].as_i64()).is_some_and(|(it, most)| it > most) {
        found.push(format!("{at} is too large"));
    }
    if let Some(items) = schema.get("items") {
        for (index, item) in value.as_array().into_iter().flatten().enumerate() {
            found.extend(misfits(items, item, &format!("{at}/{index}")));
        }
    }
    let empty = Map::new();
    let object = value.as_object().unwrap_or(&empty);
    for key in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if value.is_object() && !object.contains_key(key) {
            found.push(format!("{at} lacks {key}"));
        }
    }
    for (key, value) in object {
        let place = format!("{at}/{key}");
        let others = schema.get("additionalProperties");
        match schema["properties"].get(key).or(others) {
            Some(Value::Bool(false)) => found.push(format!("{place} is not known")),
            Some(known) => found.extend(misfits(known, value, &place)),
            // A tree, of any form.
            None => {}
        }
    }
    found
}
