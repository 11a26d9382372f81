//! `providers`: the table of built-in providers, or what one of them needs.

use super::{err, out};
use crate::cli::did_you_mean;
use crate::core::address::Family;
use crate::core::built_in;
use crate::core::protocol::manners::SecretKind;
use crate::core::provider::{Login, Provider};
use crate::exit::Exit;

/// Prints the table, or the entry of `name`.
pub fn run(name: Option<&str>) -> Exit {
    let Some(name) = name else {
        let width = built_in::names().map(str::len).max().unwrap_or_default();
        for provider in built_in::all() {
            let protocol = provider.protocol.word();
            out(&format!("{:width$}  {protocol:10}  {}", provider.name, provider.title));
        }
        out(
            "`homing providers NAME` tells what one needs; any other dyndns2 service goes into [provider.NAME]",
        );
        return Exit::Right;
    };
    match &matching(name)[..] {
        [provider] => {
            describe(provider);
            Exit::Right
        }
        [] => {
            let meant = did_you_mean(name, built_in::names());
            err(&format!(
                "there is no built-in provider {name:?};{meant} `homing providers` lists them"
            ));
            Exit::Usage
        }
        matches => {
            matches.iter().for_each(|provider| out(&provider.name));
            out("`homing providers NAME` tells what one of them needs");
            Exit::Right
        }
    }
}

/// The provider called `name`; else those whose names, titles or URLs contain it. Case and the signs
/// between letters do not count.
fn matching(name: &str) -> Vec<Provider> {
    const SHORTEST: usize = 3;
    if let Some(provider) = built_in::named(name) {
        return vec![provider];
    }
    let plain = |text: &str| -> String {
        text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    let wanted = plain(name);
    let whole = built_in::names().find(|known| plain(known) == wanted);
    if let Some(provider) = whole.and_then(built_in::named) {
        return vec![provider];
    }
    let holds = |provider: &Provider| {
        let url = provider.update_url.as_deref().unwrap_or_default();
        [&*provider.name, &*provider.title, url].iter().any(|text| plain(text).contains(&wanted))
    };
    if wanted.len() < SHORTEST { Vec::new() } else { built_in::all().filter(holds).collect() }
}

fn describe(provider: &Provider) {
    let line = |what: &str, text: &str| {
        if !text.is_empty() {
            out(&format!("{what:11}{text}"));
        }
    };
    out(&format!("{}: {}", provider.name, provider.title));
    line("protocol", provider.protocol.word());
    line("updates to", provider.update_url.as_deref().unwrap_or_default());
    line("needs", needs(provider));
    line("credential", &provider.credential);
    let sides = Family::BOTH.into_iter().filter_map(|family| provider.side_effect(family));
    sides.for_each(|effect| line("beware", &effect));
    if let Some(pace) = provider.pace {
        let window = humantime::format_duration(pace.window);
        let each = if provider.pace_each_host { "host" } else { "zone" };
        line("pace", &format!("{} requests in {window} and {each}", pace.requests));
    }
    if let Some(refresh) = provider.refresh {
        line("refresh", &format!("every {}", humantime::format_duration(refresh)));
    }
    line("note", &provider.note);
    out("");
    out("[[host]]");
    out("name = \"host.example.com\"");
    out(&format!("provider = \"{}\"", provider.name));
    let secret = provider.manners().secret;
    if secret == SecretKind::Password && provider.login == Login::Username {
        out("username = \"your login\"");
    }
    out(secret.example());
}

fn needs(provider: &Provider) -> &'static str {
    match (provider.manners().secret, provider.login) {
        (SecretKind::Token, _) => "token-file (or another token key)",
        (SecretKind::Nothing, _) => "path",
        (SecretKind::Key, _) => "key-file",
        (SecretKind::Password, Login::Host) => "password-file (the host's name is the login)",
        (SecretKind::Password, Login::Username) => "username and password-file",
    }
}
