//! What configurations mean, and what is said of wrong ones.

use std::fs;
use std::net::Ipv6Addr;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::core::address::prefix::Suffix;
use crate::core::built_in;
use crate::core::feature::Feature;
use crate::core::ping::PingService;
#[cfg(feature = "full")]
use crate::core::plan::TakeOver;
use crate::core::plan::{Use, WhenGone};
use crate::core::protocol::manners::{Protocol, Removal};
use crate::core::provider_key::{Form, ProviderKey};
use crate::core::source::{Service, SourceKind};

const EXAMPLE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/config.example.toml"));
const PROVIDERS: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/core/providers.toml"));

/// A host that nothing is wrong with.
const GOOD: &str = "[[host]]\nname = \"a.example\"\nprovider = \"desec\"\ntoken-file = \"t\"\n";

fn read_as(text: &str, is_private: bool) -> Result<Config, Problems> {
    parse(Path::new("/etc/homing/config.toml"), text, is_private)
}

#[track_caller]
fn config(text: &str) -> Config {
    read_as(text, true).unwrap_or_else(|problems| panic!("{problems}"))
}

/// The problems of `text`, without the directory of the file.
#[track_caller]
fn problems(text: &str) -> Vec<String> {
    let problems = read_as(text, true).expect_err("nothing was found wrong");
    problems.iter().map(|problem| problem.replace("/etc/homing/", "")).collect()
}

/// Checks that `text` has exactly the problems `expect`.
#[track_caller]
fn check(text: &str, expect: &[&str]) {
    assert_eq!(problems(text), expect, "{text}");
}

/// Checks that a host with the `lines` has one problem, which contains `expect`.
#[track_caller]
fn check_host(lines: &str, expect: &str) {
    check_one(&format!("[[host]]\nname = \"a.example\"\n{lines}\n"), expect);
}

#[track_caller]
fn check_one(text: &str, expect: &str) {
    let problems = problems(text);
    assert!(problems.len() == 1 && problems[0].contains(expect), "{text}: {problems:#?}");
}

#[cfg(feature = "full")]
fn uncommented(text: &str) -> String {
    let line = |line: &str| {
        let rest = line.strip_prefix('#').unwrap_or_default();
        let is_setting = rest.starts_with(|c: char| c == '[' || c.is_ascii_lowercase());
        format!("{}\n", if is_setting { rest } else { line })
    };
    text.lines().map(line).collect()
}

#[test]
fn the_smallest_real_configuration_has_every_default() {
    let config = config(GOOD);
    assert_eq!(config.daemon, Daemon::default());
    assert_eq!(config.providers.len(), 1);
    assert_eq!(config.warnings, [""; 0]);
    let [host] = &config.hosts[..] else { panic!("one host") };
    assert_eq!(host.host.key.host.as_str(), "a.example");
    assert_eq!(&*host.host.key.provider, "desec");
    assert_eq!(host.host.families, PerFamily { v4: Use::Auto, v6: Use::Auto });
    assert_eq!(host.secret, Some(SecretPlace::File("/etc/homing/t".into())));
    assert_eq!(Some(&*config.providers[host.provider]), built_in::named("desec").as_ref());
}

#[test]
fn the_example_is_valid_as_it_stands() {
    let plain = config(EXAMPLE);
    let [host] = &plain.hosts[..] else { panic!("one host") };
    assert_eq!(plain.providers[host.provider].protocol, Protocol::HostsFile);
    assert_eq!(plain.daemon.state_dir, Some("/etc/homing/homing-state".into()));
    assert_eq!(host.path, Some("/etc/homing/homing.hosts".into()));
}

#[test]
#[cfg(feature = "full")]
fn the_example_is_valid_with_everything_switched_on() {
    let all = config(&uncommented(EXAMPLE));
    assert_eq!(all.hosts.len(), 8);
    assert_eq!(all.sources.len(), 10);
}

#[test]
fn the_example_shows_every_setting() {
    for place in SectionKind::ALL {
        for key in place.keys().known.iter().filter(|_| place != SectionKind::Top) {
            let line = format!("{key} = ");
            let shown = |shown: &str| shown.trim_start_matches(['#', ' ']).starts_with(&line);
            assert!(EXAMPLE.lines().any(shown), "{key} of {}", place.header());
        }
    }
}

#[test]
fn keys_that_are_searched_for_are_sorted() {
    for place in [SectionKind::Host, SectionKind::Provider] {
        assert!(place.keys().known.is_sorted_by(|a, b| a < b), "{}", place.header());
    }
}

#[test]
fn the_package_for_openwrt_knows_every_setting() {
    const CONVERTER: &str = include_str!("../../packaging/openwrt/files/toml.awk");
    let places = [
        ("homing", SectionKind::Daemon),
        ("source", SectionKind::Source),
        ("resolver", SectionKind::Resolver),
        ("provider", SectionKind::Provider),
        ("report", SectionKind::Report),
        ("host", SectionKind::Host),
    ];
    for (section, place) in places {
        let mut listed = Vec::new();
        let header = format!("keys(\"{section}\", \"");
        for line in CONVERTER.lines().filter_map(|line| line.trim().strip_prefix(&header)) {
            let words: Vec<_> = line.split('"').collect();
            if words[0] != "own" {
                listed.extend(words[2].split(' '));
            }
        }
        listed.sort_unstable();
        assert_eq!(listed, place.keys().known, "{}", place.header());
    }
    for key in ProviderKey::ALL {
        let shape = match key.form() {
            Form::File => "file",
            Form::Flag => "flag",
            Form::Number => "number",
            Form::Text => "text",
            Form::Tree => "toml",
        };
        let header = format!("\tkeys(\"provider\", \"{shape}\", \"");
        let lines = CONVERTER.lines().filter_map(|line| line.strip_prefix(&header));
        let mut words = lines.flat_map(|line| line.trim_end_matches("\")").split(' '));
        assert!(words.any(|word| word == key.word()), "toml.awk: {} is a {shape}", key.word());
    }
}

#[test]
#[cfg(feature = "full")]
fn the_defaults_that_the_example_shows_are_the_defaults() {
    let shown = config(&uncommented(EXAMPLE));
    let daemon = Daemon {
        state_dir: shown.daemon.state_dir.clone(),
        log_format: shown.daemon.log_format,
        ..Daemon::default()
    };
    assert_eq!(shown.daemon, daemon);
    let reports = Reports {
        on_problem: shown.reports.on_problem.clone(),
        notify: shown.reports.notify.clone(),
        metrics_file: shown.reports.metrics_file.clone(),
        status_page: shown.reports.status_page.clone(),
        ping: shown.reports.ping.clone(),
        ..Reports::default()
    };
    assert_eq!(shown.reports, reports);
    let ping = shown.reports.ping.as_ref().unwrap();
    assert_eq!((ping.interval, ping.service), (Ping::INTERVAL, PingService::default()));
    let provider =
        |name: &str| shown.providers.iter().find(|provider| provider.name == name).unwrap().clone();
    let (all, plain) = (provider("everything"), provider("my-service"));
    let all = Provider {
        name: plain.name.clone(),
        title: plain.title.clone(),
        zone: None,
        ca_file: None,
        // Written by hand, it counts for each zone.
        pace_each_host: plain.pace_each_host,
        leave: None,
        query: None,
        echo: PerFamily::default(),
        credential: "".into(),
        note: "".into(),
        ..Provider::clone(&all)
    };
    assert_eq!(all, *plain);
}

#[test]
fn the_built_in_table_is_what_a_user_would_get_by_pasting_it() {
    // Under other names, because an entry of a built-in's name inherits.
    let (pasted, _) = PROVIDERS.split_once("[other.").unwrap();
    let renamed: String = pasted
        .lines()
        .filter(|line| !line.starts_with("known-as."))
        // A build without tokens gives no advice about credentials.
        .filter(|line| {
            const ADVICE: [&str; 4] = ["credential = ", "page = ", "power = ", "reach = "];
            cfg!(feature = "tokens") || !ADVICE.iter().any(|key| line.starts_with(key))
        })
        .map(|line| match line.strip_prefix("[provider.") {
            Some(name) => {
                let name = name.trim_end_matches(']').trim_matches('"');
                format!("[provider.\"my-{name}\"]\n")
            }
            None => format!("{line}\n"),
        })
        .collect();
    let mut users = config(&(renamed + GOOD)).providers;
    // The last one is the built-in of the host.
    users.pop();
    users.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(users.len(), built_in::names().count());
    assert_eq!(users.len(), built_in::all().count());
    for (user, ours) in users.iter_mut().zip(built_in::all()) {
        assert_eq!(user.name, format!("my-{}", ours.name));
        Rc::make_mut(user).name = ours.name.clone();
        // One that this build cannot speak to is but named.
        if ours.manners().feature.is_none_or(Feature::is_here) {
            assert_eq!(**user, ours);
        }
    }
}

#[test]
fn every_built_in_provider_names_its_narrowest_credential() {
    for provider in built_in::all() {
        let is_named = !provider.credential.is_empty() || !cfg!(feature = "tokens");
        assert!(!provider.title.is_empty() && is_named, "{}", provider.name);
        for text in [&provider.credential, &provider.note] {
            assert!(!text.ends_with('.') && text.is_ascii(), "{text}");
        }
    }
    assert!(built_in::names().is_sorted_by(|a, b| a < b));
}

#[test]
fn all_problems_are_told_at_once_in_the_order_of_the_file() {
    check(
        "[daemon]\ninterval = \"1s\"\nstatedir = \"x\"\n\n\
         [source.a]\nweb = \"https://a.example/\"\nagree = 3\n\n\
         [[host]]\nname = \"192.0.2.1\"\nprovider = \"desek\"\ntokenfile = \"t\"\n\n\
         [[host]]\nname = \"b.example\"\nprovider = \"desec\"\ntoken-file = \"t\"\nrefresh = \"5x\"\n",
        &[
            "config.toml:2: daemon.interval: \"1s\" is too short; the shortest is 10s",
            "config.toml:3: daemon.statedir is not a setting of [daemon]; did you mean state-dir?",
            "config.toml:7: source.a.agree must be 1 here; write that, or remove the line",
            "config.toml:10: host[1].name: \"192.0.2.1\" is an address, not a host name; write the name to update",
            "config.toml:11: host[1].provider: \"desek\" is not a provider; did you mean \"desec\"?",
            "config.toml:12: host[1].tokenfile is not a setting of [[host]]; did you mean token-file?",
            "config.toml:18: host[2].refresh: \"5x\" is not a duration; write it like \"20d\"",
        ],
    );
}

#[test]
fn unknown_keys_come_with_what_was_meant() {
    let host = |line: &str| format!("provider = \"desec\"\ntoken-file = \"t\"\n{line}");
    check_host(&host("token_fil = \"t\""), "did you mean token-file?");
    check_host(&host("interval = \"5m\""), "it belongs in [daemon]");
    check_host(&host("allow-private = true"), "it belongs in [source.NAME]");
    check_host(&host("hostname = \"b\""), "write name");
    check_host(&host("xyzzy = 1"), "there are: bind, expires, gone-after, ipv4, ipv6");
    check_one(&format!("refresh = \"20d\"\n{GOOD}"), "it belongs in [[host]]");
    check_host("providr = \"desec\"\ntoken-file = \"t\"", "did you mean provider?");
}

#[test]
fn names_with_a_dot_need_quotes_as_sections() {
    let text = format!(
        "{GOOD}[provider.he]\nprotocol = \"desec\"\nserver = \"https://a.example\"\n[provider.he.net]\npace = \"off\"\n"
    );
    check_one(&text, "write the section as [provider.\"he.net\"]");
    assert_eq!(
        config(&format!("{GOOD}[provider.\"he.net\"]\npace = \"1/5m\"\n")).providers.len(),
        2
    );
}

#[test]
fn hosts_and_sources_outside_are_bound_each_for_itself() {
    let text = format!(
        "{GOOD}bind = \"wan1\"\nipv4 = \"a\"\nipv6 = \"b\"\n\
         [source.a]\nweb = \"https://a.example/\"\nbind = \"wan2\"\n\
         [source.b]\nstun = \"b.example\"\n"
    );
    let config = config(&text);
    let bind = |at: usize| match &config.sources[at].kind {
        SourceKind::Outside(outside) => outside.bind,
        kind => panic!("{kind:?}"),
    };
    let name = |text: &str| Some(text.parse().unwrap());
    assert_eq!((config.hosts[0].host.bind, bind(0), bind(1)), (name("wan1"), name("wan2"), None));
    let [warning] = &config.warnings[..] else { panic!("{:?}", config.warnings) };
    let told = "host[1].ipv6: the source b uses the system's routes, so it may return the address \
        of another Internet connection than wan1; write bind = \"wan1\" in [source.b]";
    assert!(warning.ends_with(told), "{warning}");
    check_one(&format!("{GOOD}bind = \"a/b\"\n"), "host[1].bind: \"a/b\" is not the name of");
}

#[test]
fn a_credential_ends_on_a_day_or_at_a_moment() {
    let expires = |text: &str| {
        let host = config(&format!("{GOOD}expires = \"{text}\"\n")).hosts[0].expires;
        host.map(|at| at.millis() / 1000)
    };
    assert_eq!(expires("2027-06-01"), Some(1_811_808_000));
    assert_eq!(expires("2027-06-01T12:00:00Z"), Some(1_811_808_000 + 12 * 3600));
    check_one(
        &format!("{GOOD}expires = \"soon\"\n"),
        "host[1].expires: \"soon\" is not a day; write",
    );
    let file = "provider = \"hosts-file\"\npath = \"hosts\"\nexpires = \"2027-06-01\"";
    check_host(file, "host[1].expires is not needed for a hosts file; remove it");
}

#[test]
#[cfg(feature = "tokens")]
fn a_power_only_reads_and_says_what_it_shows() {
    let with = |power: &str| {
        format!(
            "[provider.own]\nprotocol = \"http\"\napi-url = \"https://a.example\"\nanswers = \"rest\"\n\
             set = {{ put = \"/{{host}}\", json = \"{{}}\" }}\npower = {power}\n\
             [[host]]\nname = \"a.example\"\nprovider = \"own\"\ntoken-file = \"t\"\n"
        )
    };
    let good = config(&with("[{ get = \"/account\", says = \"may read\" }]"));
    assert!(good.providers[0].manners().has_powers);
    for (power, expect) in [
        ("\"/account\"", "provider.own.power must be a list, such as"),
        ("[{ get = \"/account\" }]", "needs says, what a credential with this answer can do"),
        ("[{ says = \"may read\" }]", "has no request; write get"),
        (
            "[{ delete = \"/account\", says = \"x\" }]",
            "power.delete is a request that changes something;",
        ),
        (
            "[{ get = \"/a\", say = \"x\" }]",
            "has say, which is not a known setting of a power; did you mean says?",
        ),
        ("[{ get = \"/a\", says = \"x\", when = \"2x\" }]", "`2x` is not a status"),
        ("[{ get = \"/{team}\", says = \"x\" }]", "power has team, which is not a known place"),
        ("[{ get = \"http://192.0.2.1/a\", says = \"x\" }]", "provider.own.power"),
    ] {
        check_one(&with(power), expect);
    }
}

#[test]
#[cfg(feature = "name-servers")]
fn own_name_servers_are_verified_and_others_on_request() {
    let host = |provider: &str, more: &str| {
        let key = if provider == "own" { "key-file" } else { "token-file" };
        let own = "[provider.own]\nprotocol = \"rfc2136\"\nserver = \"192.0.2.53\"\n";
        format!(
            "{own}[[host]]\nname = \"a.example\"\nprovider = \"{provider}\"\n{key} = \"t\"\n{more}"
        )
    };
    let verify = |text: &str| config(text).hosts[0].verify.clone();
    assert_eq!(verify(&host("desec", "")), None);
    assert_eq!(verify(&host("desec", "verify = false\n")), None);
    assert_eq!(verify(&host("own", "verify = false\n")), None);
    let plain = Some(Verify { servers: Vec::new(), timeout: Duration::from_secs(10) });
    assert_eq!(verify(&host("own", "")), plain);
    assert_eq!(verify(&host("desec", "verify = true\n")), plain);
    let more =
        "verify-timeout = \"1s\"\nverify-servers = [\"ns1.example\", \"[2001:db8::1]:5353\"]\n";
    let Verify { servers, timeout } = verify(&host("own", more)).unwrap();
    let servers: Vec<_> = servers.iter().map(ToString::to_string).collect();
    assert_eq!(servers, ["ns1.example:53", "[2001:db8::1]:5353"]);
    assert_eq!(timeout, Duration::from_secs(1));
    for (more, expect) in [
        ("verify-timeout = \"2s\"\n", "verify-timeout has no effect without verify = true"),
        ("verify = false\nverify-servers = \"ns1\"\n", "verify-servers has no effect without"),
        ("verify = true\nverify-servers = []\n", "is empty; name a server"),
        ("verify = true\nverify-servers = [\"2001:db8::1\"]\n", "needs brackets"),
        ("verify = true\nverify-timeout = \"6m\"\n", "is too long; the longest is 5m"),
        ("verify = \"yes\"\n", "must be true or false"),
    ] {
        check_one(&host("desec", more), expect);
    }
    let file = "provider = \"hosts-file\"\npath = \"hosts\"\nverify = true";
    check_host(file, "does not work with a hosts file");
}

/// A host at a name server, with `lines` in its block and `more` in the provider's.
#[cfg(feature = "name-servers")]
fn at_server(lines: &str, more: &str) -> String {
    format!(
        "[provider.own]\nprotocol = \"rfc2136\"\n{more}\n[[host]]\nname = \"a.example\"\n\
         provider = \"own\"\n{lines}\n"
    )
}

#[test]
#[cfg(feature = "name-servers")]
fn a_name_server_is_named_with_its_key() {
    let read = config(&at_server("key-file = \"a.key\"", "server = \"ns1.example\""));
    let host = &read.hosts[0];
    assert_eq!(host.secret, Some(SecretPlace::KeyFile("/etc/homing/a.key".into())));
    assert_eq!((host.host.ttl, host.host.take_over), (None, TakeOver::OnlyOne));
    let server = read.providers[host.provider].name_server.as_ref().unwrap().to_string();
    assert_eq!(server, "ns1.example:53");
    let by_name = "key-name = \"home\"\nsecret-file = \"s\"\nttl = 300\ntake-over = false";
    let more = "server = \"[2001:db8::1]:5353\"\nalgorithm = \"hmac-sha512\"";
    let read = config(&at_server(by_name, more));
    let host = &read.hosts[0];
    assert_eq!(host.username.as_deref(), Some("hmac-sha512:home"));
    assert_eq!((host.host.ttl, host.host.take_over), (Some(300), TakeOver::Nothing));
}

#[test]
#[cfg(feature = "name-servers")]
fn what_a_name_server_does_not_need_or_lacks_is_told() {
    const SERVER: &str = "server = \"192.0.2.53\"";
    const KEY: &str = "key-file = \"a.key\"";
    let host = |lines: &str, expect: &str| check_one(&at_server(lines, SERVER), expect);
    host("", "has no credential; add key-file");
    host(
        "token-file = \"t\"",
        "host[1].token-file is not for the protocol rfc2136; write key-file",
    );
    host("secret-file = \"s\"", "needs key-name");
    host(&format!("{KEY}\nkey-name = \"home\""), "a key-file contains the key's name");
    host(&format!("{KEY}\nusername = \"home\""), "is not used by the protocol rfc2136");
    host(&format!("{KEY}\nttl = 0"), "a whole number from 1 to 86400");
    host(
        &format!("{KEY}\nstrict-token = true"),
        "works only at providers whose tokens `homing token` makes",
    );
    host("key-name = \"a b\"\nsecret-file = \"s\"", "is not the name of a key");
    let provider = |more: &str, expect: &str| check_one(&at_server(KEY, more), expect);
    provider("", "has no server; add server = \"ns1.example.com\"");
    provider(&format!("{SERVER}\nalgorithm = \"hmac-md5\""), "there are: hmac-sha1");
    provider(&format!("{SERVER}\nomit = \"keep\""), "has no effect with the protocol rfc2136");
    check_one(&format!("{GOOD}ttl = 60\n"), "host[1].ttl is not supported by the protocol desec");
    check_one(&format!("{GOOD}take-over = false\n"), "always overwrites");
    check_one(&format!("{GOOD}take-over = true\n"), "take-over is not used by the protocol desec");
    check_one(&format!("{GOOD}key-name = \"home\"\n"), "is not used by the protocol desec");
    let key = GOOD.replace("token-file", "key-file");
    check_one(&key, "host[1].key-file is not for the protocol desec; write token-file");
}

#[test]
fn the_api_of_powerdns_is_found_below_its_server() {
    let powerdns = |server: &str| {
        format!(
            "[provider.own]\nprotocol = \"powerdns\"\nserver = \"{server}\"\n[[host]]\n\
             name = \"a.example\"\nprovider = \"own\"\ntoken-file = \"t\"\n"
        )
    };
    let read = config(&powerdns("http://127.0.0.1:8081/"));
    let api_url = read.providers[read.hosts[0].provider].api_url.as_deref();
    assert_eq!(api_url, Some("http://127.0.0.1:8081/api/v1/servers/localhost"));
    let [warning] = &read.warnings[..] else { panic!("{:?}", read.warnings) };
    assert!(warning.contains("can do everything at that server"), "{warning}");
    check_one(&powerdns("http://192.0.2.1:8081"), "unencrypted; write https://");
}

#[test]
fn syntax_is_complained_of_in_words_and_lines() {
    check(
        "[[host]]\nname = a.example\nprovider = desec\ntoken-file = /etc/t\nrefresh = 5x\nipv7 = \"x\"\n",
        &[
            "config.toml:2: this value needs double quotes, as in name = \"host.example.com\"",
            "config.toml:3: this value needs double quotes, as in name = \"host.example.com\"",
            "config.toml:4: this value needs double quotes, as in name = \"host.example.com\"",
            "config.toml:5: this value needs double quotes, as in name = \"host.example.com\"",
            "config.toml:6: host[1].ipv7 is not a setting of [[host]]; did you mean ipv4?",
        ],
    );
    check_one("[[host]\nname = \"x\"\n", "config.toml:1: a bracket is opened here and not closed");
    check_one(
        "[host]\nname = \"x\"\n[[host]]\nname = \"y\"\n",
        "config.toml:3: this setting or section appears twice",
    );
    check_one("[daemon]\nlog = \"info\n", "config.toml:2: a text has no closing quote");
    check_one("just words\n", "config.toml:1: expected: key = value");
}

#[test]
fn a_secret_is_never_repeated() {
    for line in [
        "token = hunter2 x",
        "token = \"hunter2\nx",
        "token = \"hunter2\\nx\"",
        "token = [\"hunter2\"]",
        "token-env = \"hunter2!\"",
        "token-credential = \"/hunter2\"",
        "username = \"me:hunter2\"",
        "query = \"hunter2\"",
    ] {
        let text = format!("[[host]]\nname = \"a.example\"\nprovider = \"desec\"\n{line}\n");
        let told = problems(&text).join("\n");
        assert!(!told.contains("hunter2"), "{told}");
    }
    let text = "[[host]]\nname = \"a.example\"\nprovider = \"desec\"\ntoken = \"hunter2\"\n";
    assert!(!format!("{:?}", config(text)).contains("hunter2"));
}

#[test]
fn an_inline_secret_wants_a_private_file() {
    let text = "[[host]]\nname = \"a.example\"\nprovider = \"desec\"\ntoken = \"hunter2\"\n";
    assert!(read_as(text, true).is_ok());
    let told = read_as(text, false).unwrap_err().to_string();
    assert!(told.contains("run `chmod 600 /etc/homing/config.toml`"), "{told}");
    assert!(told.contains("write token-file"), "{told}");
    check_host("provider = \"desec\"\ntoken = \"a\\nb\"", "host[1].token contains a line break");
}

#[test]
fn a_host_has_exactly_one_secret() {
    check_host("provider = \"desec\"", "has no credential");
    check_host(
        "provider = \"desec\"\ntoken-env = \"A\"\ntoken-file = \"t\"",
        "token-env is a second secret beside token-file",
    );
    check_host(
        "provider = \"desec\"\ntoken-env = \"$A\"",
        "token-env is not the name of an environment variable",
    );
    check_host(
        "provider = \"desec\"\ntoken-credential = \"../a\"",
        "is not the name of a credential",
    );
    check_host("provider = \"desec\"\ntoken-file = \"~/t\"", "only a shell expands");
    check_host(
        "provider = \"hosts-file\"\npath = \"h\"\ntoken-file = \"t\"",
        "is not needed for a hosts file",
    );
    let place = |line: &str| {
        let text = format!("[[host]]\nname = \"a.example\"\nprovider = \"he.net\"\n{line}\n");
        config(&text).hosts[0].secret.clone().unwrap()
    };
    assert_eq!(place("password-file = \"/p\""), SecretPlace::File("/p".into()));
    assert_eq!(place("token-env = \"A\""), SecretPlace::Environment("A".into()));
    assert_eq!(place("token-credential = \"a\""), SecretPlace::Credential("a".into()));
}

#[test]
fn each_protocol_has_its_own_needs() {
    check_host("provider = \"dynu\"\npassword-file = \"p\"", "host[1] needs username");
    check_host(
        "provider = \"dynu\"\npassword-file = \"p\"\nusername = \"a:b\"",
        "must not contain a colon",
    );
    check_host(
        "provider = \"desec\"\ntoken-file = \"t\"\nusername = \"a\"",
        "is not used by the protocol desec",
    );
    check_host(
        "provider = \"desec\"\ntoken-file = \"t\"\npath = \"a\"",
        "is for the provider hosts-file only",
    );
    check_host("provider = \"hosts-file\"", "needs path");
    check_host("provider = \"hosts-file\"\npath = \"h/\"", "is a directory");
    check_host(
        "provider = \"desec\"\ntoken-env = \"T\"\nstrict-token = true",
        "beside a token file; use token-file",
    );
    check_host(
        "provider = \"hosts-file\"\npath = \"h\"\nbind = \"wan2\"",
        "host[1].bind is not needed for a hosts file; remove it",
    );
    check_host(
        "provider = \"hosts-file\"\npath = \"h\"\nstrict-token = true",
        "works only at providers whose tokens `homing token` makes or checks; remove it",
    );
    check_one(
        "[[host]]\nname = \"*.a.example\"\nprovider = \"hosts-file\"\npath = \"h\"\n",
        "cannot hold a wildcard",
    );
}

#[test]
fn a_record_goes_with_its_family_only_where_that_can_be_said() {
    let when_gone = |lines: &str| config(&format!("{GOOD}{lines}")).hosts[0].host.when_gone;
    let remove = |seconds, by| WhenGone::Remove { after: Duration::from_secs(seconds), by };
    assert_eq!(when_gone(""), WhenGone::Keep);
    assert_eq!(when_gone("when-gone = \"keep\"\n"), WhenGone::Keep);
    assert_eq!(when_gone("when-gone = \"remove\"\n"), remove(3600, Removal::Said));
    let lines = "when-gone = \"remove\"\ngone-after = \"2m\"\n";
    assert_eq!(when_gone(lines), remove(120, Removal::Said));
    let at = |provider: &str, lines: &str| {
        format!(
            "provider = \"{provider}\"\nusername = \"u\"\npassword-file = \"p\"\nwhen-gone = \"remove\"\n{lines}"
        )
    };
    let inwx = config(&format!("[[host]]\nname = \"a.example\"\n{}", at("inwx", "")));
    assert_eq!(inwx.hosts[0].host.when_gone, remove(3600, Removal::LeftOut));
    check_host(
        &at("inwx", "ipv4 = \"off\""),
        "when-gone: inwx can remove a record only with an update of the other family, and IPv4 is \
            off",
    );
    check_host(&at("dynu", ""), "when-gone: dynu (dyndns2) cannot remove a record");
    let desec = |lines: &str| format!("provider = \"desec\"\ntoken-file = \"t\"\n{lines}");
    check_host(&desec("when-gone = \"delete\""), "\"delete\" is not one of: \"keep\", \"remove\"");
    check_host(&desec("gone-after = \"2h\""), "has no effect without when-gone = \"remove\"");
    check_host(
        &desec("when-gone = \"remove\"\ngone-after = \"59s\""),
        "is too short; the shortest is 1m",
    );
    let fixed =
        "ipv4 = \"s\"\nipv6 = \"off\"\nwhen-gone = \"remove\"\n[source.s]\ncommand = [\"x\"]\n";
    let warnings = config(&format!("{GOOD}{fixed}")).warnings;
    assert!(warnings[0].contains("when-gone never removes anything here"), "{warnings:?}");
    assert!(config(&format!("{GOOD}when-gone = \"remove\"\n")).warnings.is_empty());
}

#[test]
fn the_same_host_at_the_same_provider_is_refused() {
    let told = "config.toml:6: host[2].name: a.example at desec is already configured on line 2; \
        remove one of them";
    check(&format!("{GOOD}{GOOD}"), &[told]);
    check_one(
        "[[host]]\nname = [\"a.example\", \"b.example\", \"A.example.\"]\nprovider = \"desec\"\ntoken-file = \"t\"\n",
        "host[1].name[3]: a.example at desec is already configured on line 2",
    );
    let text = format!(
        "{GOOD}[[host]]\nname = \"a.example\"\nprovider = \"he.net\"\npassword-file = \"t\"\n"
    );
    assert_eq!(config(&text).hosts.len(), 2);
}

#[test]
#[cfg(feature = "international-names")]
fn u_labels_are_accepted_and_nonsense_is_not() {
    let name = |name: &str| GOOD.replace("a.example", name);
    let host = &config(&name("bücher.example")).hosts[0].host.key.host;
    assert_eq!(host.as_str(), "xn--bcher-kva.example");
    check_one(&name("xn--0.example"), "is not a valid internationalised name");
}

#[test]
#[cfg(not(feature = "international-names"))]
fn u_labels_are_refused_and_a_labels_taken_as_they_are() {
    let name = |name: &str| GOOD.replace("a.example", name);
    check_one(
        &name("bücher.example"),
        "which this build of Homing does not support; write its \
        xn--",
    );
    let host = &config(&name("xn--bcher-kva.example")).hosts[0].host.key.host;
    assert_eq!(host.as_str(), "xn--bcher-kva.example");
}

#[test]
fn what_is_no_host_name_is_refused() {
    let name = |name: &str| GOOD.replace("a.example", name);
    check_one(
        &name("a..example"),
        "\"a..example\" is not a host name: a part between the dots is empty",
    );
    check_one(&name("a@b.example"), "'@' is not allowed");
    check_one(&name("a\\u001bb.example"), "control character");
    check_one(&name(""), "is empty");
    check_one(
        "[[host]]\nname = []\nprovider = \"desec\"\ntoken-file = \"t\"\n",
        "at least one name",
    );
    check_one("[[host]]\nprovider = \"desec\"\ntoken-file = \"t\"\n", "needs name");
}

#[test]
fn a_host_lies_within_its_zone() {
    let text = format!("{GOOD}zone = \"other.example\"\n");
    check_one(&text, "a.example is not in its zone other.example");
    let own = "[provider.p]\nprotocol = \"desec\"\nserver = \"https://d.example\"\nzone = \"z.example\"\n";
    let host = "[[host]]\nname = \"a.z.example\"\nprovider = \"p\"\ntoken-file = \"t\"\n";
    assert_eq!(
        config(&format!("{own}{host}")).hosts[0].host.zone.as_ref().unwrap().as_str(),
        "z.example"
    );
    check_one(&format!("{own}{}", host.replace("a.z", "a.y")), "is not in its provider's zone");
}

#[test]
fn resolvers_are_built_in_or_tables() {
    let dns = |value: &str| format!("{GOOD}ipv4 = \"s\"\n[source.s]\ndns = {value}\n");
    let sources = |value: &str| config(&dns(value)).sources;
    let mixed = "[\"opendns\", \"google\", { server = \"192.0.2.53\", name = \"a.example\" }]";
    let SourceKind::Outside(outside) = &sources(mixed)[0].kind else { panic!("a source outside") };
    assert_eq!(outside.names(), "opendns, google, 192.0.2.53:53");
    sources("{ server = \"dns.example\", name = \"a.example\", class = \"CH\" }");
    check_one(&dns("[\"opendsn\"]"), "did you mean \"opendns\"?");
    check_one(&dns("[\"x\"]"), "there are: opendns, cloudflare, google; another is written as {");
    check_one(&dns("[7]"), "source.s.dns[1] must be text in quotes");
    check_one(&dns("[\"google\", \"google\"]"), "is already in the list");
    let table = |rest: &str| dns(&format!("[{{ name = \"a.example\"{rest} }}]"));
    check_one(&table(""), "source.s.dns[1] needs server; write it like {");
    check_one(&table(", sever = \"192.0.2.53\""), "did you mean server?");
    let server = |rest: &str| table(&format!(", server = \"192.0.2.53\"{rest}"));
    check_one(&server(", class = \"HS\""), "\"HS\" is not a class; write \"IN\" or \"CH\"");
    check_one(&server(", type = \"MX\""), "is not a type with addresses");
    check_one(&server(", class = \"CH\", type = \"A\""), "has class CH");
    check_one(&server(", type = \"AAAA\""), "can never answer");
    let other_family = table(", server = \"[2001:db8::53]:5353\", type = \"AAAA\"");
    check_one(&other_family, "the source s has no IPv4 address");
}

#[test]
fn web_services_are_built_in_or_addresses() {
    let web = |value: &str| format!("{GOOD}ipv4 = \"s\"\n[source.s]\nweb = {value}\n");
    let sources = |value: &str| config(&web(value)).sources;
    let mixed = sources("[\"ident.me\", \"https://a.example/ip\", \"desec\"]");
    let SourceKind::Outside(outside) = &mixed[0].kind else { panic!("a source outside") };
    assert_eq!(outside.names(), "ident.me, https://a.example/ip, desec");
    check_one(&web("\"ipfy\""), "\"ipfy\" is not a built-in web service; did you mean \"ipify\"?");
    let titles = "there are: desec, ipify, icanhazip, ident.me, amazon; for another service write \
        its https:// address";
    check_one(&web("[\"a.example\"]"), titles);
    check_one(&web("\"ftp://a.example/\""), "is not a web address");
    let twice = web("[\"ipify\", \"https://api.ipify.org/\"]");
    check_one(&twice, "source.s.web[2] is already in the list");
    check_one(&web("[\"amazon\"]").replace("ipv4", "ipv6"), "the source s has no IPv6 address");
}

#[test]
fn services_outside_may_stand_together() {
    let source =
        |family: &str, lines: &str| format!("{GOOD}{family} = \"s\"\n[source.s]\n{lines}\n");
    let all = "dns = [\"google\", \"opendns\"]\nagree = 4\nweb = \"ipify\"\nstun = \"a.example\"";
    let together = config(&source("ipv4", all));
    let SourceKind::Outside(outside) = &together.sources[0].kind else {
        panic!("a source outside")
    };
    assert_eq!(outside.names(), "google, opendns, ipify, a.example:3478");
    assert_eq!(outside.agree, 4);
    check_one(&source("ipv4", &all.replace('4', "5")), "a whole number from 1 to 4");
    let with_ca = source("ipv4", "stun = \"a.example\"\nweb = \"ipify\"\nca-file = \"c\"");
    assert_eq!(config(&with_ca).sources.len(), 1);
    check_one(
        &source("ipv4", "interface = \"eth0\"\nweb = \"ipify\""),
        "has interface and web; keep one of them; only web, stun, dns, gateway can be combined",
    );
    let few = "web = [\"ipify\", \"amazon\"]\nstun = \"192.0.2.1\"\nagree = 2";
    check_one(
        &source("ipv6", few),
        "config.toml:5: host[1].ipv6: 2 services of the source s must agree, and only 1 can \
            return an IPv6 address; add another, write a smaller agree, or write \"off\" here",
    );
    assert_eq!(config(&source("ipv4", few)).sources.len(), 1);
    check_one(&source("ipv4", "web = []\ndns = \"google\""), "name at least one service");
}

#[test]
fn sources_are_named_and_of_one_kind() {
    let source = |lines: &str| format!("{GOOD}ipv4 = \"s\"\n[source.s]\n{lines}\n");
    check_one(
        &source("interface = \"eth0\"\nfile = \"f\""),
        "has interface and file; keep one of them",
    );
    check_one(&source("allow-private = true"), "has no kind");
    check_one(
        &source("interface = \"a-name-that-is-too-long\""),
        "is not the name of an interface",
    );
    for key in ["agree = 2", "bind = \"a\""] {
        let only = "is for web, stun, dns, gateway sources only";
        check_one(&source(&format!("interface = \"eth0\"\n{key}")), only);
    }
    check_one(&source("stun = \"a.example\"\nbind = \"a/b\""), "is not the name of an interface");
    check_one(&source("web = []"), "name at least one service");
    check_one(&source("web = \"http://a.example/\""), "can be forged");
    check_one(
        &source("web = [\"https://a.example/\", \"https://a.example/\"]"),
        "is already in the list",
    );
    check_one(&source("web = [\"https://a.example/\"]\nagree = 0"), "must be 1 here");
    check_one(&source("stun = []"), "name at least one service");
    check_one(&source("stun = \"2001:db8::1\""), "needs brackets around an IPv6 address");
    check_one(&source("stun = [\"a.example\", \"a.example:3478\"]"), "is already in the list");
    check_one(&source("stun = \"[2001:db8::1]:3478\""), "the source s has no IPv4 address");
    check_one(&source("stun = \"a.example\"\nca-file = \"c\""), "is for web sources only");
    check_one(&source("stun = \"a.example\"\nagree = 2"), "must be 1 here");
    check_one(&source("command = \"/bin/x\""), "must be a list, not text");
    check_one(&source("command = []"), "is empty; name a program");
    check_one(&source("static = \"203.0.113.300\""), "is not an address");
    check_one(&source("static = \"2a00::1\""), "the source s has no IPv4 address");
    check_one(
        &format!("{GOOD}ipv4 = \"lna\"\n[source.lan]\ninterface = \"eth0\"\n"),
        "did you mean \"lan\"?",
    );
    check_one(
        &format!("{GOOD}ipv4 = \"x\"\n"),
        "\"x\" is not a source; write \"auto\", \"off\", or a section [source.x]",
    );
    check_one(&format!("{GOOD}[source.auto]\ninterface = \"eth0\"\n"), "cannot be a source's name");
    check_one(&format!("{GOOD}ipv4 = \"off\"\nipv6 = \"off\"\n"), "ipv4 and ipv6 are both off");
}

#[test]
fn a_gateway_is_that_of_the_default_route_or_an_address() {
    let with = |line: &str| format!("{GOOD}ipv4 = \"s\"\n[source.s]\n{line}\n");
    let services = |line: &str| match &config(&with(line)).sources[0].kind {
        SourceKind::Outside(outside) => outside.services.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(services("gateway = true"), [Service::Gateway(None)]);
    let written = Service::Gateway(Some([192, 168, 1, 1].into()));
    assert_eq!(services("gateway = \"192.168.1.1\""), [written]);
    let fix = "write true for the default route's, or its address: \"192.168.1.1\"";
    let place = "source.s.gateway";
    check_one(&with("gateway = false"), &format!("{place} is not a gateway; {fix}"));
    check_one(&with("gateway = 1"), &format!("{place} is not a gateway; {fix}"));
    for wrong in ["fe80::1", "router", "true"] {
        let what = format!("{place}: \"{wrong}\" is not the IPv4 address of a gateway; {fix}");
        check_one(&with(&format!("gateway = \"{wrong}\"")), &what);
    }
    for wrong in ["0.0.0.0", "224.0.0.1", "255.255.255.255"] {
        let what = format!("{place}: \"{wrong}\" is not a machine's address; {fix}");
        check_one(&with(&format!("gateway = \"{wrong}\"")), &what);
    }
    check_one(
        &with("gateway = true").replace("ipv4", "ipv6"),
        "the source s has no IPv6 address; add one, or write \"off\"",
    );
}

#[test]
fn a_suffix_goes_with_an_ipv6_address_of_an_interface() {
    let with =
        |lines: &str| format!("{GOOD}ipv6 = \"s\"\n[source.s]\ninterface = \"br-lan\"\n{lines}\n");
    let neighbour = |lines: &str| {
        let config = config(&with(lines));
        let SourceKind::Interface(interface) = &config.sources[0].kind else {
            panic!("an interface")
        };
        interface.neighbour.unwrap()
    };
    let written = neighbour("suffix = \"::1:2:3:4\"");
    assert_eq!(written.suffix.as_address(), "::1:2:3:4".parse::<Ipv6Addr>().unwrap());
    assert_eq!(written.prefix_length, None);
    let mac = neighbour("suffix-mac = \"00:11:22:33:44:55\"\nprefix-length = 56");
    assert_eq!(mac.suffix, Suffix::Mac([0x00, 0x11, 0x22, 0x33, 0x44, 0x55]));
    assert_eq!(mac.prefix_length, Some(56));
    neighbour("suffix = \"::12:0:0:0:5\"\nprefix-length = 56");
    // A delegated prefix may make room.
    assert_eq!(neighbour("suffix = \"::12:0:0:0:5\"").prefix_length, None);

    let place = "config.toml:8: source.s.";
    check(
        &with("suffix = \"0:db8:12::5\""),
        &[&format!(
            "{place}suffix: the suffix 0:db8:12::5 reaches into the prefix, whose /32 is ffff:ffff::; shorten it, or write prefix-length"
        )],
    );
    check(
        &with("suffix = \"::1:2:3\"\nprefix-length = 96"),
        &[&format!(
            "{place}suffix: the suffix ::1:2:3 reaches into the prefix, whose /96 is ffff:ffff:ffff:ffff:ffff:ffff::; correct one of the two"
        )],
    );
    check(
        &with("suffix-mac = \"00:11:22:33:44:55\"\nprefix-length = 65"),
        &[&format!(
            "{place}suffix-mac: the suffix ::211:22ff:fe33:4455 reaches into the prefix, whose /65 is ffff:ffff:ffff:ffff:8000::; correct one of the two"
        )],
    );
    check_one(&with("suffix = \"192.0.2.1\""), "\"192.0.2.1\" is an IPv4 address");
    check_one(&with("suffix = \"::1/64\""), "is not the end of an IPv6 address");
    check_one(&with("suffix = \"::\""), "is empty; write the end");
    check_one(&with("suffix-mac = \"00:11:22:33:44\""), "is not a MAC address");
    check_one(
        &with("suffix = \"::1\"\nsuffix-mac = \"00:11:22:33:44:55\""),
        "source.s.suffix-mac is a second suffix beside suffix; keep one of them",
    );
    check_one(&with("suffix = \"::1\"\nprefix-length = 128"), "a whole number from 1 to 127");
    check_one(&with("suffix = \"::1\"\nprefix-length = 0"), "a whole number from 1 to 127");
    check_one(&with("prefix-length = 64"), "has no effect without suffix or suffix-mac");
    check_one(&with("suffix = \"::1\"\ncount = 2"), "source.s.count does not work with a suffix");
    check_one(
        &with("suffix = \"::1\"").replace("ipv6", "ipv4"),
        "the source s has no IPv4 address; a suffix is for IPv6",
    );
    check_one(
        &format!("{GOOD}ipv6 = \"s\"\n[source.s]\nfile = \"f\"\nsuffix = \"::1\"\n"),
        "source.s.suffix is for interface sources only; remove it",
    );
}

#[test]
fn several_addresses_need_a_provider_that_takes_them() {
    let source = "[source.s]\ninterface = \"eth0\"\ncount = 3\n";
    let SourceKind::Interface(interface) =
        &config(&format!("{GOOD}ipv6 = \"s\"\n{source}")).sources[0].kind
    else {
        panic!("an interface")
    };
    assert_eq!(interface.count.get(), 3);
    let local = "[[host]]\nname = \"nas.internal\"\nprovider = \"hosts-file\"\npath = \"h\"\n";
    config(&format!("{local}ipv6 = \"s\"\n{source}"));
    let dynu = "[[host]]\nname = \"a.example\"\nprovider = \"dynu\"\nusername = \"u\"\npassword-file = \"t\"\n";
    check(
        &format!("{dynu}ipv6 = \"s\"\n{source}"),
        &["config.toml:6: host[1].ipv6: the source s may give 3 IPv6 addresses, and dynu \
                (dyndns2) accepts one; write count = 1 in the source"],
    );
    config(&format!("{dynu}ipv6 = \"s\"\n{}", source.replace('3', "1")));
    let fixed = "[source.s]\nstatic = [\"8.8.8.8\", \"8.8.4.4\", \"2a00::1\", \"2a00::1\"]\n";
    check_one(
        &format!("{dynu}ipv4 = \"s\"\nipv6 = \"s\"\n{fixed}"),
        "host[1].ipv4: the source s may give 2 IPv4 addresses",
    );
    for wrong in ["0", "9", "\"2\""] {
        let source = source.replace('3', wrong);
        check_one(&format!("{GOOD}ipv6 = \"s\"\n{source}"), "a whole number from 1 to 8");
    }
}

#[test]
fn sources_keep_the_order_of_the_file_and_hosts_refer_to_them() {
    let text = format!(
        "{GOOD}ipv4 = \"b\"\nipv6 = \"off\"\n[source.b]\nstatic = \"8.8.8.8\"\n[source.a]\ncommand = [\"x\"]\n"
    );
    let config = config(&text);
    assert_eq!(config.sources[0].kind, SourceKind::Static(vec!["8.8.8.8".parse().unwrap()]));
    assert_eq!(config.hosts[0].sources, PerFamily { v4: Some(SourceRef::Named(0)), v6: None });
    assert_eq!(config.hosts[0].host.families, PerFamily { v4: Use::Named, v6: Use::Off });
    let told = "/etc/homing/config.toml:9: source.a: no host uses it; write its name as a host's ipv4 or ipv6";
    assert_eq!(config.warnings, [told]);
}

#[test]
fn what_must_not_be_published_is_refused_but_for_local_files() {
    let source = "[source.s]\nstatic = \"192.168.1.5\"\n";
    let public = format!("{GOOD}ipv4 = \"s\"\nipv6 = \"off\"\n{source}");
    let told = "source.s.static: \"192.168.1.5\" is private and must not be published; write another, or set allow-private";
    check_one(&public, told);
    config(&format!("{public}allow-private = true\n"));
    let local = "[[host]]\nname = \"nas.internal\"\nprovider = \"hosts-file\"\npath = \"h\"\nipv4 = \"s\"\n";
    config(&format!("{local}{source}"));
    check_one(&format!("{local}{}", source.replace("192.168.1.5", "127.0.0.1")), "is loopback");
    check_one(&format!("{local}{public}"), told);
}

#[test]
fn a_file_source_is_judged_by_what_it_holds_now() {
    let path = std::env::temp_dir().join(format!("homing-file-source-{}", std::process::id()));
    fs::write(&path, "10.0.0.1\n").unwrap();
    let text = format!("{GOOD}ipv4 = \"s\"\n[source.s]\nfile = \"{}\"\n", path.display());
    let told = read_as(&text, true).unwrap_err().to_string();
    fs::remove_file(&path).unwrap();
    assert!(told.contains("holds 10.0.0.1, which is private and must not be published"), "{told}");
    config(&text);
}

#[test]
fn what_is_wrong_with_an_entry_is_told_with_its_place_and_the_fix() {
    let set = "set = { get = \"/up?key={secret}&ip={ipv4}\" }";
    let answer = "answer = { updated = \"200 is=OK\" }";
    let list = "list = { get = \"/r/{host}/{type}\", at = \"rows\", value = \"v\" }";
    let own = |url: &str, lines: &[&str]| {
        format!(
            "[[host]]\nname = \"a.example\"\nprovider = \"p\"\ntoken-file = \"t\"\n\
             [provider.p]\nprotocol = \"http\"\n{url}\n{}\n",
            lines.join("\n")
        )
    };
    let url = "api-url = \"https://d.example\"";
    config(&own(url, &[set, answer]));
    for (lines, place, what) in [
        (&[&*set.replace("{ipv4}", "{ip4}"), answer][..], "provider.p.set", "did you mean ipv4?"),
        (&[&*set.replace("{ipv4}", "{nothing}"), answer], "provider.p.set", "there are: address"),
        (&[&*set.replace("{ipv4}", "{ipv4"), answer], "provider.p.set.get", "nothing closes"),
        (&[set], "provider.p.answer", "write updated = "),
        (&[set, "answer = { updted = \"200\" }"], "answer.updted", "did you mean updated?"),
        (&[set, "answer = { updated = \"2yy\" }"], "answer.updated", "write one like 200 or 4xx"),
        (&[set, "answer = { updated = \"is='OK\" }"], "answer.updated", "has no closing '"),
        (
            &[list, "create = { post = \"/r\", json = '{\"v\":\"{address}\"' }"],
            "provider.p.create.json",
            "is not JSON after its places have values",
        ),
        (
            &[list, "create = { post = \"/r\", json = '{\"v\":{address}{?ttl ,}}' }"],
            "provider.p.create.json",
            "is not JSON after its places have values",
        ),
        (&[&*list.replace("\"rows\"", "\"a..b\""), set], "list.at", "`a..b` has an empty name"),
        (&[&*list.replace("value", "vale"), set], "list.vale", "did you mean value?"),
        (&["set = { get = \"up\" }", answer], "provider.p.set.get", "must begin with /"),
        (&["set = { put = \"/a\", get = \"/b\" }", answer], "provider.p.set.", "second request"),
        (&["create = { post = \"/r\" }"], "provider.p.list", "create needs a list"),
    ] {
        let problems =
            read_as(&own(url, lines), true).err().map(|it| it.to_string()).unwrap_or_default();
        let problems: Vec<_> = problems.lines().collect();
        let is_told = problems.iter().any(|it| it.contains(place) && it.contains(what));
        assert!(is_told, "{lines:?}: {problems:#?}");
    }
    check_one(&own("", &[set, answer]), "is a path without a server; write api-url");
    let open = "api-url = \"http://d.example\"";
    check_one(&own(open, &[set, answer]), "would send the credential unencrypted");
    let step = set.replace("/up", "http://8.8.8.8/up");
    check_one(&own(url, &[&step, answer]), "would send the credential unencrypted");
    let anywhere = set.replace("/up", "http://{host}/up");
    check_one(&own(url, &[&anywhere, answer]), "provider.p.set has no server");
    config(&own("api-url = \"http://127.0.0.1:8\"", &[set, answer]));
}

#[test]
fn a_provider_of_ones_own_starts_from_its_protocols_defaults() {
    let own = |lines: &str| {
        let host = "[[host]]\nname = \"a.example\"\nprovider = \"p\"\nusername = \"u\"\npassword-file = \"t\"\n";
        format!("{host}[provider.p]\nprotocol = \"dyndns2\"\n{lines}\n")
    };
    let provider = config(&own("server = \"https://d.example/x//\"")).providers.remove(0);
    assert_eq!(provider.update_url.as_deref(), Some("https://d.example/x/nic/update"));
    assert_eq!((&provider.api_url, provider.batch), (&None, 20));
    assert_eq!((provider.pace, provider.pace_each_host), ("6/5m".parse().ok(), true));
    let by_hand =
        config(&own("server = \"https://d.example\"\npace = \"6/5m\"")).providers.remove(0);
    assert_eq!((by_hand.pace, by_hand.pace_each_host), (provider.pace, false));
    check_one(&own(""), "has no server");
    check_one(&own("server = \"http://d.example\""), "write https://");
    check_one(&own("server = \"http://10.0.0.1\""), "set plain-http = true in [provider.p]");
    assert!(
        config(&own("server = \"http://10.0.0.1\"\nplain-http = true")).providers[0].plain_http
    );
    check_one(&own("server = \"https://d.example\"\npace = \"fast\""), "is not a pace");
    let issued = "server = \"https://d.example\"\napi-url = \"https://api.example/1\"\n";
    let own_issuer = own(&format!("{issued}tokens = \"ovh\"\nlogin = \"file\""));
    let provider = &config(&own_issuer).providers[0];
    assert_eq!(provider.api_url.as_deref(), Some("https://api.example/1"));
    assert!(provider.manners().has_receipts() && provider.has_login_in_secret());
    check_one(&own(&format!("{issued}tokens = \"desec\"")), "is not one of: \"inwx\", \"ovh\"");
    check_one(
        &own("server = \"https://d.example\"\nomit = \"maybe\""),
        "not one of: \"keep\", \"delete\", \"caller\"",
    );
    check_one(
        &own("server = \"https://d.example\"\nalgorithm = \"hmac-sha512\""),
        "has no effect with the protocol dyndns2",
    );
    check_one(&own("update-url = \"https://d.example/?a=b\""), "must not have a query");
    check_one(
        &own("server = \"https://d.example\"\nquery = \"password=x\""),
        "must not contain a secret",
    );
    check_one(&own("server = \"https://d.example\"\nbatch = 21"), "a whole number from 1 to 20");
    check_one(&format!("{GOOD}[provider.p]\nprotocol = \"dyndns\"\n"), "did you mean dyndns2?");
}

#[test]
fn a_desec_of_ones_own_has_both_addresses_from_its_server() {
    let text = "[provider.mine]\nprotocol = \"desec\"\nserver = \"https://d.example\"\n\
        [[host]]\nname = \"a.example\"\nprovider = \"mine\"\ntoken-file = \"t\"\n";
    let provider = config(text).providers.remove(0);
    assert_eq!(provider.update_url.as_deref(), Some("https://d.example/api/v1/dyndns/update"));
    assert_eq!(provider.api_url.as_deref(), Some("https://d.example/api/v1"));
    assert_eq!(provider.pace, "2/2m".parse().ok());
}

#[test]
fn an_entry_with_a_built_ins_name_changes_only_what_it_says() {
    let config = config(&format!("{GOOD}[provider.desec]\npace = \"off\"\nrefresh = \"30d\"\n"));
    let [provider] = &config.providers[..] else { panic!("one provider") };
    let mut expect = built_in::named("desec").unwrap();
    expect.pace = None;
    expect.refresh = Some(Duration::from_secs(30 * 24 * 60 * 60));
    assert_eq!(**provider, expect);
    assert_eq!(config.hosts[0].host.refresh, expect.refresh);
    check_one(
        &format!("{GOOD}[provider.desec]\nprotocol = \"dyndns2\"\n"),
        "desec is built in and speaks desec",
    );
}

#[test]
fn a_file_full_of_mistakes_is_not_repeated_line_by_line() {
    let told = problems(&"=\n".repeat(5000));
    assert_eq!(told.len(), 101);
    assert_eq!(told[100], "config.toml: and 4900 more problems");
}

#[test]
fn sections_have_their_own_brackets() {
    check_one("[host]\nname = \"a\"\n", "write [[host]], with two brackets on each side");
    check_one(
        &format!("[deamon]\n{GOOD}"),
        "deamon is not a section of the configuration; did you mean daemon?",
    );
    check_one("", "config.toml:1: there is no [[host]], so");
    check_one(&format!("{GOOD}[[daemon]]\nlog = \"info\"\n"), "write [daemon]");
    check_one(&format!("{GOOD}[[source]]\nweb = \"x\"\n"), "write [source.NAME]");
    check_one(
        &format!("source = 1\n{GOOD}"),
        "must be a section, not a number; write [source.NAME]",
    );
}

#[test]
fn reports_are_read_and_their_mistakes_are_told() {
    let told = config(&format!(
        "[report]\non-problem = [\"tell\", \"me\"]\nproblem-after = \"1h\"\n{GOOD}"
    ));
    assert_eq!(told.reports.on_problem, ["tell", "me"]);
    assert_eq!(told.reports.problem_after, Duration::from_secs(3600));
    assert_eq!(told.warnings, [""; 0]);
    assert_eq!(config(GOOD).reports, Reports::default());
    let alone = config(&format!("[report]\nproblem-after = \"1h\"\n{GOOD}"));
    assert!(alone.warnings[0].contains("report.problem-after has no effect"), "{alone:?}");
    let report = |line: &str| format!("[report]\n{line}\n{GOOD}");
    check_one(&report("on-problm = [\"x\"]"), "of [report]; did you mean on-problem?");
    check_one(&report("on-error = [\"x\"]"), "of [report]; write on-problem");
    check_one(&report("on-problem = \"x\""), "must be a list, not text");
    check_one(&report("on-problem = [\"\"]"), "is empty; name a program");
    check_one(&report("on-problem = [\"x\"]\nproblem-after = \"soon\""), "is not a duration");
    check_one(&format!("{GOOD}on-problem = [\"x\"]\n"), "it belongs in [report]");
}

#[test]
fn a_ping_has_a_url_that_nobody_else_can_read() {
    let report = |lines: &str| format!("[report]\n{lines}\n{GOOD}");
    let ping = config(&report("ping-file = \"p\"\nping-service = \"healthchecks\"")).reports.ping;
    let place = SecretPlace::File("/etc/homing/p".into());
    let service = PingService::Healthchecks;
    assert_eq!(ping, Some(Ping { place, interval: Ping::INTERVAL, service }));
    for url in ["https://a.example/x?y=1", "http://127.0.0.1:3001/x", "http://192.168.1.2/push/x"] {
        let text = report(&format!("ping = \"{url}\"\nping-interval = \"10m\""));
        assert_eq!(config(&text).reports.ping.unwrap().interval, Duration::from_secs(600));
        let exposed = read_as(&text, false).unwrap_err().to_string();
        assert!(exposed.contains("write ping-file") && !exposed.contains(url), "{exposed}");
    }
    check_one(&report("ping = \"http://a.example/t0psecret\""), "write https://");
    check_one(&report("ping = \"t0psecret\""), "is not a web address");
    for wrong in ["http://a.example/t0psecret", "t0psecret"] {
        assert!(!problems(&report(&format!("ping = \"{wrong}\""))).concat().contains("t0psecret"));
    }
    let two = report("ping = \"https://a.example/\"\nping-file = \"p\"");
    check_one(&two, "report.ping-file: names a second URL beside ping");
    let unknown = report("ping-file = \"p\"\nping-service = \"healthcheck\"");
    check_one(&unknown, "write one of: cronitor, healthchecks, uptime-kuma, url");
    check_one(&report("ping-file = \"p\"\nping-interval = \"1s\""), "the shortest is 10s");
    let alone = config(&report("ping-service = \"cronitor\""));
    assert!(alone.warnings[0].contains("has no effect without ping-file"), "{alone:?}");
}

#[test]
#[cfg(feature = "pages")]
fn those_who_are_told_are_read_and_their_mistakes_are_told() {
    let report = |notify: &str| format!("[report]\nnotify = {notify}\n{GOOD}");
    let of = |notify: &str| config(&report(notify)).reports.notify;
    let labels = |notify: &str| of(notify).iter().map(|it| it.label().to_owned()).collect();
    let two: Vec<String> = labels(
        "[{ service = \"ntfy\", topic = \"a\" }, { service = \"mail\", to = \"me\" }, \
          { service = \"ntfy\", topic = \"b\" }]",
    );
    assert_eq!(two, ["ntfy", "mail", "ntfy 2"]);
    let telegram = of("[{ service = \"telegram\", token = \"1:t0p\", chat = -1001 }]");
    assert_eq!(telegram[0].destination(), "https://api.telegram.org");
    let draft = telegram[0].draft().unwrap();
    assert_eq!(draft, "POST https://api.telegram.org/bot…/sendMessage …");
    let slack = of("[{ service = \"slack\", url = \"https://hooks.slack.com/t0p\" }]");
    assert_eq!(slack[0].destination(), "https://hooks.slack.com");
    assert_eq!(slack[0].draft().unwrap(), "POST … …");
    let server = "server = \"http://192.168.1.2:8080/push/\"";
    let gotify = of(&format!("[{{ service = \"gotify\", {server}, token-file = \"g\" }}]"));
    assert_eq!(gotify[0].destination(), "http://192.168.1.2:8080");
    let places = gotify[0].secret().and_then(SecretPlace::file);
    assert_eq!(places, Some(Path::new("/etc/homing/g")));
    assert!(gotify[0].problem().unwrap().contains("put the token of Gotify on its first line"));
    for (notify, expect) in [
        ("[{ service = \"ntfi\", topic = \"a\" }]", "is not a service; did you mean ntfy?"),
        ("[{ service = \"x\" }]", "there are: ntfy, gotify, pushover, telegram, discord, slack"),
        ("[{ topic = \"a\" }]", "report.notify[1] needs service, which is one of: ntfy"),
        ("[{ service = \"ntfy\" }]", "report.notify[1] needs topic; write topic = "),
        (
            "[{ service = \"ntfy\", topik = \"a\" }]",
            "is not a setting of ntfy; did you mean topic?",
        ),
        ("[{ service = \"gotify\", token-file = \"g\" }]", "needs server; write server = "),
        ("[{ service = \"slack\" }]", "has no url; add url-file = "),
        ("[{ service = \"telegram\", chat = 1 }]", "has no token; add token-file = "),
        ("[{ service = \"slack\", url = \"a\" }]", "url is not a web address"),
        ("[{ service = \"slack\", url-file = \"a\", url-env = \"B\" }]", "is a second secret"),
        ("[{ service = \"ntfy\", topic = \"a\", server = \"http://a.example\" }]", "https://"),
        ("[{ service = \"mail\" }]", "needs to; write to = \"me@example.com\""),
        ("[{ service = \"mail\", to = \"a b\" }]", "is not the address of a mailbox"),
        ("[{ service = \"mail\", to = [\"a@b\", \"c\\nBcc: d\"] }]", "contains a line break"),
        ("[\"ntfy\"]", "must be a section, not text; write notify = [{ service = "),
    ] {
        // What one forgot is one problem; what one wrote wrongly may be what is missing, too.
        let all = problems(&report(notify));
        assert!(all.iter().any(|problem| problem.contains(expect)), "{notify}: {all:#?}");
        assert!(all.iter().all(|problem| problem.starts_with("config.toml:2: ")), "{all:#?}");
    }
    let inline = report("[{ service = \"gotify\", server = \"https://a\", token = \"t0p\" }]");
    let exposed = read_as(&inline, false).unwrap_err().to_string();
    assert!(exposed.contains("write token-file") && !exposed.contains("t0p"), "{exposed}");
}

#[test]
#[cfg(feature = "pages")]
fn a_service_of_the_user_is_one_request_that_is_checked() {
    let of = |send: &str, notify: &str| {
        format!("[report]\nnotify = {notify}\n[notify.sms]\noptions = [\"number\"]\n{send}\n{GOOD}")
    };
    let send =
        "send = { post = \"https://sms.example/\", form = \"n={opt.number}\", ok = \"200\" }";
    let one = "[{ service = \"sms\", number = 4711 }]";
    let config = config(&of(send, one));
    assert_eq!(config.reports.notify[0].draft().unwrap(), "POST https://sms.example/ …");
    assert_eq!(config.warnings, [""; 0]);
    check_one(&of(send, "[{ service = \"sms\" }]"), "report.notify[1] needs number");
    let wrong = send.replace("ok = \"200\"", "okay = \"200\"");
    check_one(&of(&wrong, one), "notify.sms.send.okay has okay, which is not a known setting");
    let wrong = send.replace("https://", "http://");
    check_one(&of(&wrong, one), "notify.sms.send would be read by others on its way");
    let all = problems(&of(send, one).replace("notify.sms", "notify.ntfy"));
    assert!(all[1].contains("notify.ntfy is built in"), "{all:#?}");
    let unused = self::config(&of(send, "[]")).warnings;
    assert!(
        unused[0].contains("notify.sms has no effect; add { service = \"sms\" }"),
        "{unused:?}"
    );
}

#[test]
#[cfg(feature = "pages")]
fn the_files_about_the_hosts_are_two() {
    let reports =
        config(&format!("[report]\nmetrics-file = \"m\"\nstatus-page = \"/s\"\n{GOOD}")).reports;
    assert_eq!(reports.metrics_file, Some("/etc/homing/m".into()));
    assert_eq!(reports.status_page, Some("/s".into()));
    let same = format!("[report]\nmetrics-file = \"m\"\nstatus-page = \"m\"\n{GOOD}");
    check_one(&same, "report.status-page is the same file as metrics-file");
    check_one(&format!("[report]\nprometheus = \"m\"\n{GOOD}"), "write metrics-file");
}

#[test]
fn wrong_types_are_told_in_words() {
    check_one(&format!("{GOOD}refresh = 20\n"), "must be text in quotes, not a number");
    check_one(
        &format!("{GOOD}strict-token = \"yes\"\n"),
        "must be true or false, without quotes, not text",
    );
    check_one(&format!("{GOOD}on-change = \"notify\"\n"), "must be a list, not text");
    check_one(
        &format!("[daemon]\nlog = \"loud\"\n{GOOD}"),
        "\"loud\" is not a log level; write one of: error",
    );
}

#[test]
fn files_that_are_no_configuration_are_told_apart() {
    let directory = std::env::temp_dir().join(format!("homing-config-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let path = directory.join("config.toml");
    let load = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        load(&path).map_err(|problems| problems.to_string())
    };
    let whole = load(GOOD.as_bytes()).unwrap();
    let not_utf8 = load(b"[daemon]\n# \xff\n").unwrap_err();
    let mut largest = GOOD.as_bytes().to_vec();
    largest.resize(16 << 20, b'#');
    let (large, huge) = (load(&largest), load(&[&*largest, b"#"].concat()).unwrap_err());
    let with_mark = load(format!("\u{feff}{}", GOOD.replace('\n', "\r\n")).as_bytes());
    let exposed = |mode: u32| {
        fs::write(&path, GOOD.replace("-file", "")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        super::load(&path).map_err(|problems| problems.to_string())
    };
    let (open, closed) = (exposed(0o644), exposed(0o600));
    let is_directory = super::load(&directory).unwrap_err().to_string();
    fs::remove_dir_all(&directory).unwrap();
    let missing = super::load(&path).unwrap_err().to_string();
    let device = super::load(Path::new("/dev/null")).unwrap_err().to_string();

    assert_eq!(whole.path, path);
    assert!(not_utf8.contains("is not UTF-8 text (line 2)"), "{not_utf8}");
    assert_eq!(large.unwrap().hosts, whole.hosts);
    assert!(huge.contains("is larger than 16 MiB"), "{huge}");
    assert!(with_mark.is_ok(), "{with_mark:?}");
    assert!(open.unwrap_err().contains("run `chmod 640 "), "names the command");
    assert!(closed.is_ok(), "{closed:?}");
    assert!(is_directory.contains("is a directory; name the file in it"), "{is_directory}");
    assert!(missing.contains("does not exist; "), "{missing}");
    assert!(device.contains("is not a regular file"), "{device}");
}

/// Blocks of hosts, each with a name of its own.
fn many(hosts: usize) -> String {
    let block = |n| GOOD.replace("a.example", &format!("h{n}.example"));
    (0..hosts).map(block).collect()
}

#[test]
fn ten_thousand_hosts_are_read_and_what_is_wrong_with_the_last_is_told() {
    let text = format!("[daemon]\nsettle = \"1s\"\n{}", many(10_000));
    let many = config(&text);
    assert_eq!(many.hosts.len(), 10_000);
    assert_eq!(many.daemon.settle, Duration::from_secs(1));
    assert_eq!(many.hosts[9_999].host.key.host.as_str(), "h9999.example");
    assert_eq!(many.providers.len(), 1);
    let again = GOOD.replace("a.example", "h3.example");
    check(
        &format!("{text}{again}refresh = \"1h\"\n"),
        &[
            "config.toml:40004: host[10001].name: h3.example at desec is already configured on \
                line 16; remove one of them",
            "config.toml:40007: host[10001].refresh: \"1h\" is too short; the shortest is 1day",
        ],
    );
}

#[test]
fn hosts_that_are_read_in_parts_are_those_of_the_whole() {
    let (path, many) = (Path::new("/etc/homing/config.toml"), many(300));
    let gone = "when-gone = \"remove\"\nipv4 = \"fixed\"\nipv6 = \"fixed\"\n";
    let fixed =
        "[source.fixed]\nstatic = [\"198.51.100.7\", \"2001:db8::7\"]\nallow-private = true\n";
    let others = many.replace("\"h", "\"i");
    let cases = [
        // A warning says the number and the line of its host.
        (3, format!("{fixed}{many}{GOOD}{gone}{others}")),
        (3, format!("{many}{GOOD}# [[host]]\n\n")),
        (3, format!("{many}{GOOD}on-change = [\"a\", '''\n[[host]]\n'''\n]\n")),
        // Where other sections follow, all is read at once.
        (1, format!("{many}[[ host ]]{}", GOOD.trim_start_matches("[[host]]"))),
        (1, format!("{many}{fixed}{GOOD}{gone}")),
        (1, format!("{many}[daemon]\n{GOOD}")),
    ];
    for (least, text) in cases {
        let (parts, whole) = (parts(&text), read_parts(path, &text, &[&text], None));
        assert!(parts.len() >= least && parts.concat() == text, "{} parts", parts.len());
        let hosts = whole.as_ref().map(|config| config.hosts.len());
        assert!(hosts.is_ok_and(|hosts| hosts > 300), "{hosts:?}");
        assert_eq!(read_config(path, &text, None), whole);
    }
    let wrong = [
        format!("[daemon]\n{many}{GOOD} [daemon]\n"),
        format!("host = []\n{many}"),
        format!("{many}{GOOD}on-change = '''\n[[host]]\n"),
        format!("{many}{GOOD}[hosts]\n"),
        format!("{many}{GOOD}{many}"),
    ];
    for text in wrong {
        let whole = read_parts(path, &text, &[&text], None);
        assert!(whole.is_err());
        assert_eq!(read_config(path, &text, None), whole);
    }
}
