//! `providers`: the table of providers, those that a word matches, or what one of them needs.
//!
//! Knows the built-in providers, those of the user's configuration if that can be read, the protocols,
//! and the services that are closed.

use std::path::Path;

use super::block::{Block, wants_zone};
use super::{err, out};
use crate::cli::did_you_mean;
use crate::config::problems::shown_path;
use crate::config::{self, Config};
use crate::core::address::Family;
use crate::core::closed;
use crate::core::exit::Exit;
use crate::core::feature::Feature;
use crate::core::nearest::plain;
use crate::core::protocol::http::entry::StepKind;
use crate::core::protocol::http::power::Power;
use crate::core::protocol::manners::{Protocol, SecretKind, Transport};
use crate::core::provider::{Login, Provider, Reach};
use crate::core::secret::HIDDEN;
use crate::core::token::way_round;
use crate::core::{built_in, order};

/// The widest line.
const WIDTH: usize = 80;

/// Prints the table, or what `name` matches; `path` is the configuration.
pub fn run(name: Option<&str>, path: &Path) -> Exit {
    // Whatever is wrong with the configuration, `homing check` tells it.
    let config = config::load(path);
    let own: Vec<Provider> =
        config.as_ref().map(|config| own(config).cloned().collect()).unwrap_or_default();
    let Some(name) = name else {
        list(&own);
        if config.is_err() && path.exists() {
            let path = shown_path(path);
            paragraph(&format!(
                "{path} cannot be read, so its own providers are missing here; `homing check` \
                    shows what is wrong."
            ));
        }
        return Exit::Right;
    };
    let found = matching(name, &own);
    match &found[..] {
        [provider] => describe(provider),
        [] => return unknown(name, &own),
        several => {
            show_several(several);
            out("Details: `homing providers NAME`");
        }
    }
    Exit::Right
}

/// Prints the names and titles of `several` providers.
pub(super) fn show_several(several: &[Provider]) {
    let width = several.iter().map(|it| it.name.len()).max().unwrap_or_default();
    for Provider { name, title, .. } in several {
        let line = format!("{name:width$}  {title}");
        out(&cut(&line));
    }
}

/// The providers that the configuration describes or changes.
pub(super) fn own(config: &Config) -> impl Iterator<Item = &Provider> {
    config
        .providers
        .iter()
        .map(|provider| &**provider)
        .filter(|provider| built_in::named(&provider.name).as_ref() != Some(*provider))
}

/// The groups of the table, each with its heading.
const GROUPS: [(Group, &str); 4] = [
    (Group::Tokens, "DNS services whose tokens `homing token` makes"),
    (Group::Api, "DNS services with an API"),
    (Group::Url, "Dynamic DNS services, updated by one request"),
    (Group::Local, "Your own network"),
];

/// The kinds of provider, by how they are spoken to.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Group {
    Api,
    Local,
    Tokens,
    Url,
}

impl Group {
    fn of(provider: &Provider) -> Self {
        let has = |kind| provider.http.as_ref().is_some_and(|entry| entry.step(kind).is_some());
        let names_zone = provider.http.as_ref().is_some_and(|entry| entry.names_zone());
        if provider.manners().transport == Transport::File {
            Self::Local
        } else if provider.manners().tokens.is_some() {
            Self::Tokens
        } else if has(StepKind::List)
            || has(StepKind::Find)
            || names_zone && provider.manners().says_ttl
        {
            Self::Api
        } else {
            Self::Url
        }
    }
}

/// Prints the table, with the user's `own` providers.
pub(super) fn list(own: &[Provider]) {
    let (here, left_out): (Vec<_>, Vec<_>) =
        built_in::all().partition(|it| it.manners().feature.is_none_or(Feature::is_here));
    for (group, heading) in GROUPS {
        out(&format!("{heading}:"));
        let members = here.iter().filter(|provider| Group::of(provider) == group);
        columns(&members.map(|provider| &*provider.name).collect::<Vec<_>>());
        out("");
    }
    if !own.is_empty() {
        out("Of your configuration:");
        columns(&own.iter().map(|provider| &*provider.name).collect::<Vec<_>>());
        out("");
    }
    let words: Vec<_> = Protocol::ALL
        .into_iter()
        .filter(|protocol| protocol.is_here() && protocol.manners().transport != Transport::File)
        .map(Protocol::word)
        .collect();
    paragraph(&format!(
        "{} are built in. Other services with the protocol {}: see \"A service that Homing does \
            not know\" in config.example.toml.",
        here.len(),
        words.join(", ")
    ));
    for feature in Feature::ALL {
        let names = left_out.iter().filter(|it| it.manners().feature == Some(feature));
        let names: Vec<_> = names.map(|provider| &*provider.name).collect();
        if !names.is_empty() {
            let fix = if feature.is_in_full() {
                "the full build has them".to_owned()
            } else {
                format!("build it with `--features {}`", feature.word())
            };
            paragraph(&format!("Not in this build: {}; {fix}.", names.join(", ")));
        }
    }
    paragraph("Details: `homing providers NAME`; a part of a name lists the matches.");
}

/// Prints the names, which are sorted, in columns that are read downwards.
fn columns(names: &[&str]) {
    let width = names.iter().map(|name| name.len()).max().unwrap_or_default();
    let rows = names.len().div_ceil((WIDTH / (width + 2)).max(1));
    for row in 0..rows {
        let mut line = String::new();
        for name in names.iter().skip(row).step_by(rows) {
            line += &format!("  {name:width$}");
        }
        out(line.trim_end());
    }
}

/// Prints `text` in lines that are not too wide.
fn paragraph(text: &str) {
    wrapped("", text);
}

/// Prints `text` behind `begin`; lines that follow begin as far to the right.
pub(super) fn wrapped(begin: &str, text: &str) {
    let mut line = begin.to_owned();
    for word in text.split(' ') {
        let is_first = line.trim_end().len() <= begin.trim_end().len();
        if !is_first && line.chars().count() + 1 + word.chars().count() > WIDTH {
            out(&line);
            line = " ".repeat(begin.len());
        } else if !is_first {
            line.push(' ');
        }
        line.push_str(word);
    }
    out(&line);
}

/// `line`, cut where it is too wide.
fn cut(line: &str) -> String {
    match line.char_indices().nth(WIDTH) {
        None => line.to_owned(),
        Some(_) => line.chars().take(WIDTH - 1).chain(['…']).collect(),
    }
}

/// The provider that `name` names; else those whose names, titles or servers contain it. Case and the
/// signs between letters do not count.
pub(super) fn matching(name: &str, own: &[Provider]) -> Vec<Provider> {
    const SHORTEST: usize = 3;
    let mine = own.iter().find(|provider| provider.name == name).cloned();
    if let Some(provider) = mine.or_else(|| built_in::named(name)) {
        return vec![provider];
    }
    let wanted = plain(name);
    let is_whole = |known: &str| plain(known) == wanted;
    let mine = own.iter().find(|provider| is_whole(&provider.name)).cloned();
    let whole = built_in::names().find(|known| is_whole(known));
    if let Some(provider) = mine.or_else(|| whole.and_then(built_in::named)) {
        return vec![provider];
    }
    // A word of another meaning is not looked for within names.
    if wanted.len() < SHORTEST || protocol_meant(name).is_some() || closed::find(name).is_some() {
        return Vec::new();
    }
    let holds = |provider: &Provider| {
        let urls = [&provider.update_url, &provider.api_url].into_iter().flatten();
        let hosts = urls.map(|url| host_of(url));
        let mut texts = [&*provider.name, &*provider.title].into_iter().chain(hosts);
        texts.any(|text| plain(text).contains(&wanted))
    };
    let others = built_in::all().filter(|it| own.iter().all(|mine| mine.name != it.name));
    let mut found: Vec<_> = own.iter().cloned().chain(others).filter(holds).collect();
    order::sort_by_key(&mut found, |provider| provider.name.clone());
    found
}

/// The host of `url`.
fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', ':']).next().unwrap_or_default()
}

/// Other words for protocols.
const OTHER_WORDS: [(&[&str], &str); 2] = [
    (&["bind", "knot", "nsupdate", "tsig"], "rfc2136"),
    (&["custom", "own", "url", "webhook"], "http"),
];

/// The protocol that `name` means, by its own name or another one.
fn protocol_meant(name: &str) -> Option<Protocol> {
    let wanted = plain(name);
    let named = Protocol::ALL.into_iter().find(|protocol| plain(protocol.word()) == wanted);
    named.or_else(|| {
        let (_, word) = OTHER_WORDS.iter().find(|(words, _)| words.contains(&&*wanted))?;
        Protocol::named(word)
    })
}

/// Says what a name is that is no provider's.
pub(super) fn unknown(name: &str, own: &[Provider]) -> Exit {
    if let Some(protocol) = protocol_meant(name) {
        describe_protocol(protocol);
        return Exit::Right;
    }
    let closed = closed::find(name).or_else(|| {
        let wanted = plain(name);
        closed::holding(name).next().filter(|_| wanted.len() > 3)
    });
    if let Some(closed) = closed {
        err(&closed.refusal(name));
        return Exit::Usage;
    }
    let names = own.iter().map(|provider| &*provider.name).chain(built_in::names());
    let meant = did_you_mean(name, names);
    err(&format!("there is no provider {name:?};{meant} `homing providers` lists them"));
    Exit::Usage
}

/// Says how a service that speaks `protocol` is described.
fn describe_protocol(protocol: Protocol) {
    let word = protocol.word();
    let count = built_in::all().filter(|provider| provider.protocol == protocol).count();
    let those = if count == 0 {
        String::new()
    } else {
        format!(", used by {count} of the built-in providers")
    };
    paragraph(&format!(
        "{word} is a protocol{those}. Describe another service or server in the configuration:"
    ));
    let own = match protocol.manners().transport {
        _ if protocol.is_described() => {
            "set = { get = \"https://dns.example.net/update?name={host}&key={secret}&ip={address}\" }\nanswer = { updated = \"200 word=good\" }"
        }
        Transport::Dns => "server = \"ns1.example.net\"",
        Transport::File | Transport::Http => "server = \"https://dns.example.net\"",
    };
    out("");
    out("[provider.mine]");
    out(&format!("protocol = \"{word}\""));
    own.lines().for_each(out);
    out("");
    let provider = protocol.defaults("mine".into());
    Block::new(&provider).text().lines().for_each(out);
    if let Some(feature) = protocol.manners().feature.filter(|feature| !feature.is_here()) {
        out("");
        paragraph(&feature.refusal(&format!("the protocol {word}")));
    }
}

fn describe(provider: &Provider) {
    let line = |what: &str, text: &str| {
        if !text.is_empty() {
            wrapped(&format!("{what:11}"), text);
        }
    };
    let entry = provider.http.as_deref();
    out(&format!("{}: {}", provider.name, provider.title));
    if let Some(feature) = provider.manners().feature.filter(|feature| !feature.is_here()) {
        line("beware", &feature.refusal(&format!("the provider {}", provider.name)));
    }
    line("protocol", provider.protocol.word());
    line("updates to", &destinations(provider, &Family::BOTH).join(" and "));
    line("page", &provider.page);
    line("needs", &needs(provider));
    line("credential", &provider.credential);
    if cfg!(feature = "tokens") {
        line("reach", provider.reach.map(Reach::words).unwrap_or_default());
        if provider.is_wide() {
            line("way round", &way_round("home.example.com"));
        }
        let powers = entry.iter().flat_map(|entry| &entry.powers);
        line("too broad", &powers.filter_map(Power::words).collect::<Vec<_>>().join("; "));
    }
    let options = entry.map(|entry| entry.known_options()).unwrap_or_default();
    let required = entry.map(|entry| entry.required_options()).unwrap_or_default();
    let option = |name: &&str| {
        if required.contains(name) { format!("{name} (needed)") } else { (*name).to_owned() }
    };
    line("options", &options.iter().map(option).collect::<Vec<_>>().join(", "));
    let lacks = |family: &Family| entry.is_some_and(|entry| !entry.families[*family]);
    let lacking = Family::BOTH.into_iter().find(lacks);
    lacking.iter().for_each(|family| line("families", &format!("no {family}")));
    let sides = Family::BOTH.into_iter().filter_map(|family| provider.side_effect(family));
    sides.for_each(|effect| line("beware", &effect));
    if let Some(pace) = provider.pace {
        let window = humantime::format_duration(pace.window);
        let each = if provider.pace_each_host { "host" } else { "zone" };
        line("pace", &format!("{} requests per {window} per {each}", pace.requests));
    }
    if let Some(refresh) = provider.refresh {
        line("refresh", &format!("every {}", humantime::format_duration(refresh)));
    }
    line("note", &provider.note);
    out("");
    Block::new(provider).text().lines().for_each(out);
}

/// Where requests about `families` go: a URL, a name server, or the server of an API. Nothing of what
/// stands behind that server is shown, where the user's own entry may hold a secret.
pub(super) fn destinations(provider: &Provider, families: &[Family]) -> Vec<String> {
    let Some(entry) = &provider.http else {
        let server = provider.name_server.as_ref().map(ToString::to_string);
        let url = provider.update_url.as_ref().map(ToString::to_string);
        return url.or(server).into_iter().collect();
    };
    let has = |family: &Family| entry.families[*family];
    let servers = families.iter().copied().filter(has).map(|family| entry.server_for(family));
    let mut all: Vec<_> = servers
        .filter(|server| !server.is_empty())
        .map(|server| [&server, "/", HIDDEN].concat())
        .collect();
    all.dedup();
    all
}

fn needs(provider: &Provider) -> String {
    let mut needs = match (provider.manners().secret, provider.login) {
        (SecretKind::Token, _) => "token-file (or another token key)",
        (SecretKind::Nothing, _) => "path",
        (SecretKind::Key, _) => "key-file",
        (SecretKind::Password, Login::Host) => "password-file (the host's name is the login)",
        (SecretKind::Password, Login::Username) => "username and password-file",
    }
    .to_owned();
    needs.push_str(secret_form(provider));
    if provider.has_login_in_secret() {
        needs.push_str(", or the file alone with LOGIN:SECRET in it");
    }
    if wants_zone(provider) {
        needs.push_str("; zone, the domain at the provider");
    }
    needs
}

/// What is in the file of a secret there, if that is not one secret, as the end of a sentence.
pub(super) fn secret_form(provider: &Provider) -> &'static str {
    let Some(entry) = &provider.http else { return "" };
    match (entry.secret_parts, entry.key.as_deref()) {
        (_, Some("google")) => ", the service account's key file in JSON",
        (_, Some(_)) => ", a private key in PEM form",
        (2, None) => " with two parts, separated by a colon",
        (3, None) => " with three parts, separated by colons",
        _ if entry.uses("secret.family") => {
            " with one secret, or those for IPv4 and IPv6, separated by a space"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(word: &str) -> String {
        let found = matching(word, &[]);
        found.iter().map(|provider| &*provider.name).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_word_finds_providers_by_name_title_or_server() {
        for (word, expect) in [
            ("noip", "no-ip"),
            ("DESEC", "desec"),
            ("cloudflare.com", "cloudflare"),
            ("Route 53", "route53"),
            ("dedyn", "desec"),
            ("dyndns2", ""),
            ("twodns", ""),
            ("zz", ""),
        ] {
            assert_eq!(names(word), expect, "{word}");
        }
        let clouds = names("cloud");
        let clouds: Vec<_> = clouds.split(' ').collect();
        assert!(clouds.contains(&"cloudflare") && clouds.contains(&"ovh") && clouds.is_sorted());
    }

    #[test]
    fn every_printed_host_is_a_configuration() {
        let path = Path::new("t");
        for provider in built_in::all() {
            if provider.manners().feature.is_some_and(|feature| !feature.is_here()) {
                continue;
            }
            let text = Block::new(&provider).text();
            let parsed = config::parse(path, &text, true);
            let problems = parsed.err().map(|problems| problems.to_string());
            assert_eq!(problems, None, "{text}");
        }
    }

    #[test]
    fn every_provider_is_in_the_group_of_its_like() {
        for (name, group) in [
            ("desec", Group::Tokens),
            ("cloudflare", Group::Tokens),
            ("digitalocean", Group::Api),
            ("duckdns", Group::Url),
            ("dyn.com", Group::Url),
            ("hosts-file", Group::Local),
            ("namecheap", Group::Url),
            ("ionos-dyndns", Group::Tokens),
            ("servercow", Group::Api),
        ] {
            assert!(Group::of(&built_in::named(name).unwrap()) == group, "{name}");
        }
    }

    #[test]
    fn lines_are_cut_at_the_width_of_a_terminal() {
        assert_eq!(cut("short"), "short");
        let long = cut(&"é".repeat(100));
        assert!(long.ends_with('…') && long.chars().count() == WIDTH);
    }
}
