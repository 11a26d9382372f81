//! Configurations: read or refused, always in the same way, and no message holds a secret.
#![no_main]

use std::path::Path;

use homing::config::{Config, SecretPlace, parse};
use homing::core::plan::Details;
use homing::core::protocol::manners::Protocol;
use homing::core::protocol::step::{Ask, Step};
use homing::core::protocol::talk::{Job, Talk};
use homing::core::protocol::{Credential, draft};
use homing::core::secret::Secret;
use homing_fuzz::bounds::bounded;
use homing_fuzz::bytes::Bytes;
use homing_fuzz::example::{MARK, moment, request, wishes};
use libfuzzer_sys::fuzz_target;
use toml::de::DeTable;

fuzz_target!(|bytes: &[u8]| bounded(|| {
    let mut bytes = Bytes(bytes);
    let (how, place) = (bytes.byte(), usize::from(bytes.word()));
    let text = bytes.text();
    if how & 4 == 0 { check(&text) } else { check_secret(&text, how, place) }
}));

fn path() -> &'static Path {
    Path::new("/etc/homing/config.toml")
}

fn check(text: &str) {
    let read = parse(path(), text, true);
    assert_eq!(parse(path(), text, true), read);
    match read {
        Ok(config) => {
            let again = parse(path(), &format!("{text}\n# the end\n"), true);
            assert_eq!(again.as_ref(), Ok(&config));
            check_accepted(&config);
            if let Ok(public) = parse(path(), text, false) {
                let is_inline =
                    |place: &Option<SecretPlace>| matches!(place, Some(SecretPlace::Inline(_)));
                assert!(!public.hosts.iter().any(|host| is_inline(&host.secret)));
                assert_eq!(public, config);
            }
        }
        Err(problems) => {
            let all: Vec<&str> = problems.iter().collect();
            assert!((1..=101).contains(&all.len()));
            assert!(all.iter().all(|problem| !problem.is_empty()));
            assert!(!all.iter().any(|problem| problem.chars().any(char::is_control)), "{all:?}");
        }
    }
}

/// Whatever was accepted can be asked for, and no request shows the secret.
fn check_accepted(config: &Config) {
    const MOST: usize = 8;
    assert!(!config.hosts.is_empty());
    for host in config.hosts.iter().take(MOST) {
        let provider = &config.providers[host.provider];
        if provider.protocol == Protocol::HostsFile {
            continue;
        }
        let parts = provider.http.as_ref().map_or(1, |entry| entry.secret_parts);
        let secret = vec![format!("{MARK}0123456789abcdef"); parts].join(":");
        let login = host.username.clone().unwrap_or_default();
        let credential = Credential { login, secret: Secret::new(&secret) };
        let details = Details::of(&host.host, None);
        let addresses = ["192.0.2.1", "2001:db8::1"].map(|text| text.parse().expect("an address"));
        let name = std::slice::from_ref(&host.host.key.host);
        let zone = host.host.zone.clone().or_else(|| Some(name[0].clone()));
        let request = request(name, zone, &wishes(&addresses), &details);
        let job = Job { provider, credential: &credential, request: &request, moment: moment() };
        for draft in draft::of_update(&job) {
            assert!(!draft.contains(MARK), "a draft shows a secret: {draft}");
        }
        if let (_, Step::Ask(Ask::Http(request))) = Talk::begin(&job) {
            let shown = format!("{request} {request:?}");
            assert!(!shown.contains(MARK), "a request shows a secret: {shown}");
        }
    }
}

/// A line with a secret at the beginning of a line: no problem quotes it.
fn check_secret(text: &str, how: u8, place: usize) {
    let key = if how & 1 == 0 { "token" } else { "password" };
    let value = format!("{MARK}0123456789");
    let line = match how >> 3 & 7 {
        0 => format!("{key} = {value}"),
        1 => format!("{key} = '{value}"),
        2 => format!("{key} = \"{value}"),
        3 => format!("{key} = [\"{value}\"]"),
        4 => format!("{key} = {{ x = \"{value}\" }}"),
        _ => format!("{key} = \"{value}\""),
    };
    let lines: Vec<&str> = text.lines().collect();
    let (before, after) = lines.split_at(place % (lines.len() + 1));
    let before = before.join("\n");
    // Within a text of several lines it would be a part of that, which may be quoted.
    if DeTable::parse(&before).is_err() || text.contains(MARK) {
        return;
    }
    let whole = [&*before, &line, &after.join("\n")].join("\n");
    for is_private in [false, true] {
        match parse(path(), &whole, is_private) {
            Ok(config) => {
                assert!(!format!("{config:?}").contains(MARK), "a configuration shows its secret");
                assert!(
                    !config.warnings.iter().any(|it| it.contains(MARK)),
                    "{:?}",
                    config.warnings
                );
            }
            Err(problems) => {
                let told = problems.to_string();
                assert!(!told.contains(MARK), "a problem shows a secret: {told}\n{whole}");
            }
        }
    }
}
