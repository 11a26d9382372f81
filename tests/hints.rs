//! First words: what a mistake on the command line or in the configuration is answered with, by the
//! real binary.

use std::fs;

use crate::support::home;
use home::{Home, Ran};

/// A host at a service of one's own, without the line that a test is about.
const HOST: &str = "[[host]]\nname = \"a.example.com\"\nprovider = \"mine\"\nusername = \"me\"\npassword-file = \"pw\"\n\
                    ipv4 = \"here\"\nipv6 = \"off\"\n[source.here]\nstatic = \"198.51.100.7\"\nallow-private = true\n";

/// Runs `homing check` with `config`.
fn checked(config: &str) -> Ran {
    let home = Home::new(config);
    home.secret("pw", "hunter2");
    home.run(&["check"])
}

#[test]
fn another_programs_file_is_named_and_how_to_import_it() {
    for (text, expect) in [
        (
            "protocol=dyndns2\nuse=web\nlogin=me\npassword=hunter2\nh.example.com\n",
            "homing import ddclient ",
        ),
        (
            "period = 300\nprovider dyndns.org {\n  username = me\n  password = hunter2\n}\n",
            "homing import inadyn ",
        ),
        ("config service 'x'\n\toption password 'hunter2'\n", "homing import ddns-scripts "),
        ("host:\n  - name: a.example.com\n    password: hunter2\n", "this looks like YAML"),
        ("{\n  \"password\": \"hunter2\"\n}\n", "this looks like JSON"),
        ("[main]\npassword = hunter2\n", "this looks like an INI file"),
    ] {
        let home = Home::new("");
        home.write("config.toml", text, 0o600);
        for command in [&["check"][..], &["--once"], &["status"], &[]] {
            let ran = home.run(command);
            assert_eq!(ran.code, 78, "{text}: {ran:?}");
            assert!(ran.err.contains(expect) && ran.err.lines().count() == 1, "{text}: {ran:?}");
            assert!(!ran.err.contains("hunter"), "{text}: {ran:?}");
            // It is said at every call here but by --once, which is cron's.
            let _ = fs::remove_dir_all(home.path("state"));
        }
    }
}

#[test]
fn cron_is_told_of_a_wrong_configuration_once() {
    let home = Home::new("");
    fs::create_dir(home.path("state")).expect("a test's own step works");
    let mine = "[provider.mine]\nprotocol = \"dyndns2\"\nserver = \"http://127.0.0.1:1\"\n";
    let (right, wrong) = (format!("{HOST}{mine}"), format!("{HOST}{mine}colour = \"red\"\n"));
    home.secret("pw", "hunter2");
    let once = |config: &str| {
        home.configure(config);
        let ran = home.run(&["--once"]);
        assert_eq!(ran.out.matches("colour").count(), 0, "{ran:?}");
        (ran.code, ran.err.contains("colour"))
    };
    assert_eq!(once(&wrong), (78, true));
    assert_eq!(once(&wrong), (78, false));
    assert_eq!(once(&format!("{wrong}size = 1\n")), (78, true), "another mistake is news");
    assert_eq!(once(&wrong), (78, true));
    assert!(!once(&right).1);
    assert_eq!(once(&wrong), (78, true), "it was right in between");
    // Whoever looks is told each time.
    for command in [&["check"][..], &["--once", "--dry-run"]] {
        assert!(home.run(command).err.contains("colour"));
        assert!(home.run(command).err.contains("colour"));
    }
    // Where nothing can be noted, it is said each time.
    let bare = Home::new(&wrong);
    for _ in 0..2 {
        assert!(bare.run(&["--once"]).err.contains("colour"));
    }
}

#[test]
fn check_says_where_updates_go_and_warns_of_a_path_that_is_doubled() {
    let at =
        |line: &str| checked(&format!("{HOST}[provider.mine]\nprotocol = \"dyndns2\"\n{line}\n"));
    let plain = at("server = \"https://dyn.example.net\"");
    assert!(
        plain.out.contains("a.example.com: updates to https://dyn.example.net/nic/update\n"),
        "{plain:?}"
    );
    assert!(!plain.out.contains("has a path, and"), "{plain:?}");
    for path in ["/nic/update", "/api", "/nic/update/"] {
        let doubled = at(&format!("server = \"https://dyn.example.net{path}\""));
        let expect = format!(
            "updates to https://dyn.example.net{}/nic/update\n",
            path.trim_end_matches('/')
        );
        assert!(doubled.out.contains(&expect), "{doubled:?}");
        assert!(doubled.out.contains("has a path, and"), "{doubled:?}");
        assert_eq!(doubled.code, 0, "{doubled:?}");
    }
    for line in
        ["server = \"https://dyn.example.net/\"", "update-url = \"https://dyn.example.net/x\""]
    {
        assert!(!at(line).out.contains("has a path, and"), "{line}");
    }
}

#[test]
fn check_says_which_server_an_api_has_and_nothing_of_what_stands_behind() {
    let host = |provider: &str, name: &str| {
        format!("[[host]]\nname = \"{name}\"\nprovider = \"{provider}\"\ntoken = \"hunter-1\"\n")
    };
    let own = "[provider.own]\nprotocol = \"http\"\nanswer = { updated = \"200\" }\n\
        set = { get = \"https://dns.example.net/hunter-2/{secret}?ip={address}\" }\n";
    let text = [
        own,
        &host("cloudflare", "a.example.com"),
        &host("freedns", "b.example.com"),
        &host("freedns", "c.example.com"),
        "ipv4 = \"off\"\n",
        &host("own", "d.example.com"),
    ];
    let ran = checked(&text.concat());
    for line in [
        "a.example.com: updates to https://api.cloudflare.com/…",
        "b.example.com: updates to https://sync.afraid.org/… and https://v6.sync.afraid.org/…",
        "c.example.com: updates to https://v6.sync.afraid.org/…",
        "d.example.com: updates to https://dns.example.net/…",
    ] {
        assert!(ran.out.lines().any(|found| found == line), "{line}: {ran:?}");
    }
    assert!(!ran.out.contains("hunter") && !ran.err.contains("hunter"), "{ran:?}");
}

#[test]
fn the_table_of_providers_has_groups_and_the_users_own() {
    let home = Home::new(&format!(
        "[[host]]\nname = \"a.example.com\"\nprovider = \"my-dns\"\nusername = \"me\"\npassword = \"x\"\n\
         [provider.my-dns]\nprotocol = \"dyndns2\"\nserver = \"https://dns.example.net\"\ntitle = \"{}\"\n",
        "A friend's server"
    ));
    let ran = home.run(&["providers"]);
    let (out, widest) = (&ran.out, ran.out.lines().map(|line| line.chars().count()).max());
    assert!(ran.code == 0 && widest <= Some(80), "{ran:?}");
    let headings: Vec<_> = out.lines().filter(|line| line.ends_with(':')).collect();
    assert_eq!(headings.len(), 5, "{headings:?}");
    let names: Vec<_> = out.lines().filter(|line| line.starts_with("  ")).collect();
    let names: Vec<_> = names.iter().flat_map(|line| line.split_whitespace()).collect();
    for name in ["desec", "cloudflare", "duckdns", "hosts-file", "my-dns"] {
        assert_eq!(names.iter().filter(|known| **known == name).count(), 1, "{name}: {out}");
    }
    assert!(names.len() > 125, "{}", names.len());
    // The README has the number of the usual build, without the user's own.
    let count = format!("{} are built in", names.len() - 1);
    assert!(out.contains(&count), "{count}: {out}");
    let readme = fs::read_to_string(home::project().join("README.md")).unwrap();
    assert!(cfg!(feature = "cloud-keys") || readme.contains(&count), "{count}");
    let mine = home.run(&["providers", "my-dns"]);
    assert!(mine.out.starts_with("my-dns: A friend's server\n"), "{mine:?}");
    assert!(mine.out.contains("provider = \"my-dns\"\nusername = "), "{mine:?}");
    assert_eq!(home.run(&["providers", "friend"]).out, mine.out);

    // A configuration with a mistake is no obstacle.
    home.write("config.toml", "[[host]]\nnome = \"a\"\n", 0o600);
    let ran = home.run(&["providers"]);
    let told: String = ran.out.lines().collect::<Vec<_>>().join(" ");
    assert!(ran.code == 0 && told.contains("`homing check` shows what is wrong"), "{ran:?}");
}

#[test]
fn a_wrong_value_is_answered_with_what_was_meant() {
    let with = |from: &str, to: &str| {
        let mine =
            "[provider.mine]\nprotocol = \"dyndns2\"\nserver = \"https://dyn.example.net\"\n";
        let ran = checked(&format!("{HOST}{mine}").replace(from, to));
        assert_eq!(ran.code, 78, "{to}: {ran:?}");
        ran.err
    };
    for (from, to, expect) in [
        (
            "provider = \"mine\"",
            "provider = \"dyndns2\"",
            "protocol = \"dyndns2\", and write its NAME here",
        ),
        ("provider = \"mine\"", "provider = \"rfc2136\"", "it is a protocol"),
        (
            "ipv4 = \"here\"",
            "ipv4 = \"11.22.33.44\"",
            "write [source.NAME] with static = \"11.22.33.44\"",
        ),
        (
            "ipv6 = \"off\"",
            "ipv6 = \"2001:db8::1\"",
            "write [source.NAME] with static = \"2001:db8::1\"",
        ),
        (
            "ipv4 = \"here\"",
            "ipv4 = \"https://ip.example/\"",
            "write [source.NAME] with this address as web",
        ),
        ("ipv6 = \"off\"", "ipv6 = \"none\"", "write \"off\""),
        ("ipv4 = \"here\"", "ipv4 = \"yes\"", "write \"auto\""),
        (
            "\"a.example.com\"",
            "\"a.example.com, b.example.com\"",
            "for several names, quote each one: name = [\"a.example.com\", \"b.example.com\"]",
        ),
        (
            "\"a.example.com\"",
            "\"a.example.com b.example.com\"",
            "for several names, quote each one",
        ),
        (
            "\"a.example.com\"",
            "\"https://a.example.com/\"",
            "write only the name, without https://",
        ),
        (
            "static = \"198.51.100.7\"\nallow-private = true",
            "web = \"ipify\"\nagree = 2",
            "must be 1 here",
        ),
    ] {
        let told = with(from, to);
        assert!(told.contains(expect), "{to}: {told}");
    }
}

#[test]
fn a_word_of_another_program_is_answered_with_ours() {
    let home = Home::new("");
    for (word, expect) in [
        ("run", "`homing` alone is the daemon, and `homing --once` is one round"),
        ("daemon", "`homing` alone is the daemon"),
        ("start", "systemctl start homing"),
        ("update", "write `homing --once`"),
        ("test", "write `homing check`"),
        ("stop", "systemctl stop homing"),
    ] {
        let ran = home.run(&[word]);
        assert!(ran.code == 64 && ran.err.contains(expect), "{word}: {ran:?}");
        assert_eq!(ran.err.lines().count(), 1, "{ran:?}");
    }
    for (word, code, expect) in [
        ("noip", 0, "provider = \"no-ip\""),
        ("DESEC", 0, "provider = \"desec\""),
        ("cloudflare.com", 0, "provider = \"cloudflare\""),
        ("dyndns2", 0, "[provider.mine]\nprotocol = \"dyndns2\"\n"),
        ("RFC2136", 0, "server = \"ns1.example.net\"\n"),
        ("nsupdate", 0, "protocol = \"rfc2136\"\n"),
        ("twodns", 64, "TwoDNS has been closed since 20 December 2024"),
        ("googledomains", 64, "Google Domains has been closed since January 2024"),
        ("dy.fi", 64, "Homing does not speak to dy.fi: it takes no address"),
        ("No-IP", 0, "provider = \"no-ip\""),
        ("dedyn", 0, "provider = \"desec\""),
        ("dyn", 0, "\ndyn.com "),
        ("cloud", 0, "cloudflare   Cloudflare\n"),
        ("dsec", 64, "did you mean `desec`?"),
        ("xyzzy", 64, "`homing providers` lists them"),
    ] {
        let ran = home.run(&["providers", word]);
        assert_eq!(ran.code, code, "{word}: {ran:?}");
        assert!(ran.out.contains(expect) || ran.err.contains(expect), "{word}: {ran:?}");
    }
}

#[test]
fn what_a_provider_needs_ends_with_lines_to_copy() {
    let home = Home::new("");
    for (name, expect) in [
        ("desec", "token-file = \"/etc/homing/host.token\"\n"),
        ("he.net", "password-file = \"/etc/homing/host.password\"\n"),
        ("hosts-file", "path = \"/etc/homing.hosts\"\n"),
        ("cloudflare", "token-file = \"/etc/homing/host.token\"\n"),
        ("porkbun", "token-file = \"/etc/homing/host.token\"\nzone = \"example.com\"\n"),
        ("no-ip", "username = \"your login\"\npassword-file = \"/etc/homing/host.password\"\n"),
    ] {
        let ran = home.run(&["providers", name]);
        let expect =
            format!("\n\n[[host]]\nname = \"host.example.com\"\nprovider = \"{name}\"\n{expect}");
        assert!(ran.code == 0 && ran.out.ends_with(&expect), "{ran:?}");
    }
}
