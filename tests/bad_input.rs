//! Bad input, all of it: each gives words that help, the right exit code, and loses nothing.
//!
//! The real binary against the sandbox and scripted servers on loopback. [`Scene::check`] is the
//! judge of nearly every test: exit code, requests, words, and no secret anywhere.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

#[cfg(target_os = "linux")]
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{home, netns, sandbox, tls};
use home::{Home, Ran, wait_until};
use sandbox::{Account, Answer, Delivery, Sandbox, Scripted};
use tls::{Certificate, Script, Server, pour, reply, reply_with};

const DEV1: &str = "dev1.dyn.example.com";
const DEV2: &str = "dev2.dyn.example.com";
/// In every secret of these tests, and nowhere else.
const SECRET: &str = "s3cret";

/// A provider that counts what reaches it, and a home whose hosts are kept there.
struct Scene {
    sandbox: Sandbox,
    home: Home,
}

/// `[[host]]` for `name` with the addresses of the source `here` and more `lines`.
fn host(name: &str, lines: &str) -> String {
    let here = |family: &str| {
        if lines.contains(family) { String::new() } else { format!("{family} = \"here\"\n") }
    };
    let brings_secret = ["token", "password", "hosts-file"].iter().any(|key| lines.contains(key));
    let secret = if brings_secret { "" } else { "token-file = \"token\"\n" };
    let provider = if lines.contains("provider") { "" } else { "provider = \"sandbox\"\n" };
    let (ipv4, ipv6) = (here("ipv4"), here("ipv6"));
    format!("[[host]]\nname = {name:?}\n{provider}{secret}{ipv4}{ipv6}{lines}\n")
}

impl Scene {
    /// A deSEC without limits of pace that knows dev1 and dev2, and a configuration that ends with
    /// `hosts`.
    fn new(hosts: &str) -> Self {
        Self::speaking("desec", hosts)
    }

    /// The same in another protocol, for which the sandbox only answers what it is told to.
    fn speaking(protocol: &str, hosts: &str) -> Self {
        let mut account = Account::new("owner@example.com");
        account.throttled = false;
        account.add_zone("dyn.example.com");
        for name in [DEV1, DEV2, "xn--bcher-kva.dyn.example.com"] {
            let label = name.split('.').next().unwrap();
            account.add_host_token(label, &format!("{SECRET}-of-{label}"), &[name]).unwrap();
        }
        let sandbox = Sandbox::start(account).unwrap();
        let server = format!("server = \"{}\"\npace = \"off\"", sandbox.url());
        let home = Home::new(&config(protocol, &server, hosts));
        home.secret("token", &format!("{SECRET}-of-dev1"));
        Self { sandbox, home }
    }

    /// Runs `homing --once` and judges it; `requests` counts those that reach the sandbox by it, but
    /// for the look at the token's own rights.
    #[track_caller]
    fn check(&self, code: i32, requests: usize, words: &[&str]) -> Ran {
        self.check_run(&["--once"], code, requests, words)
    }

    #[track_caller]
    fn check_run(&self, arguments: &[&str], code: i32, requests: usize, words: &[&str]) -> Ran {
        let before = self.sandbox.requests().len();
        let ran = self.home.run(arguments);
        judge(&self.home, &ran, code, words);
        let mut made = self.sandbox.requests().split_off(before);
        let look = made.iter().position(|request| request.path.ends_with("/auth/tokens/"));
        let mut rest = made.split_off(look.unwrap_or(made.len()));
        rest.retain(|request| request.is_update() || !request.path.starts_with("/api/v1/"));
        made.append(&mut rest);
        assert_eq!(made.len(), requests, "{ran:#?}\n{made:#?}");
        ran
    }

    /// The only host in `status --json`.
    #[track_caller]
    fn status(&self) -> (i32, Value) {
        let ran = self.home.run(&["status", "--json"]);
        let status: Value = serde_json::from_str(&ran.out).unwrap();
        (ran.code, status["hosts"][0].clone())
    }

    /// The same configuration with `old` replaced by `new`.
    #[track_caller]
    fn reconfigure(&self, old: &str, new: &str) {
        let config = self.home.read("config.toml");
        assert!(config.contains(old), "{config}");
        self.home.configure(&config.replace(old, new));
    }
}

/// A configuration with the provider `sandbox`, the source `here`, and `hosts`.
fn config(protocol: &str, server: &str, hosts: &str) -> String {
    format!(
        "[provider.sandbox]\nprotocol = \"{protocol}\"\n{server}\n\n\
         [source.here]\nstatic = [\"198.51.100.7\", \"2001:db8::7\"]\nallow-private = true\n\n\
         {hosts}"
    )
}

/// The exit code is `code`, all `words` are said, none is an accident's, and no secret is shown.
#[track_caller]
fn judge(home: &Home, ran: &Ran, code: i32, words: &[&str]) {
    let state = home.read("state/state.json");
    assert_eq!(ran.code, code, "{ran:#?}\n{state}");
    let said = format!("{}{}", ran.out, ran.err);
    for word in words {
        assert!(said.contains(word), "{word:?} is missing in:\n{said}");
    }
    for accident in ["panicked", "RUST_BACKTRACE", "Error {", "Some(", "(os error"] {
        assert!(!said.contains(accident), "{accident:?} in:\n{said}");
    }
    assert!(!said.contains(SECRET) && !state.contains(SECRET), "a secret:\n{said}\n{state}");
}

/// A configuration is refused by `--once` and by `check`, with `words`, before anything happens.
#[track_caller]
fn refused(scene: &Scene, words: &[&str]) {
    for arguments in [&["--once"][..], &["check"], &["status"]] {
        let ran = scene.check_run(arguments, 78, 0, words);
        assert_eq!(ran.out, "", "{arguments:?}");
    }
    assert!(!scene.home.path("state").exists());
}

/// A configuration with `hosts` is refused with `words`.
#[track_caller]
fn refused_hosts(hosts: &str, words: &[&str]) {
    refused(&Scene::new(hosts), words);
}

/// Says that a test proves nothing here, which is a failure where everything has to be there.
#[track_caller]
fn skip(test: &str, lacking: &str) {
    let all = std::env::var_os("HOMING_TESTS").is_some_and(|tests| tests == "all");
    assert!(!all, "{test}: {lacking}");
    // Not `eprintln`, which the harness hides.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {test}: {lacking}");
}

// The configuration file as a file.

#[test]
fn a_configuration_that_is_missing_is_told_with_the_way_to_one() {
    let scene = Scene::new("");
    fs::remove_file(scene.home.path("config.toml")).unwrap();
    refused(&scene, &["config.toml does not exist; write it with `homing init`", "--config"]);
}

#[test]
fn a_configuration_that_is_no_text_file_is_told() {
    let scene = Scene::new("");
    let path = scene.home.path("config.toml");
    fs::write(&path, b"[daemon]\n\n# caf\xe9\n").unwrap();
    refused(&scene, &["config.toml is not UTF-8 text (line 3); save it as UTF-8"]);
    fs::write(&path, "# 17 mebibytes..\n".repeat(1 << 20)).unwrap();
    refused(&scene, &["config.toml is larger than 16 MiB", "name the right file"]);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    refused(&scene, &["config.toml is a directory; name the file in it, such as", "config.toml/"]);
    fs::remove_dir(&path).unwrap();
    symlink("/dev/zero", &path).unwrap();
    refused(&scene, &["config.toml is not a regular file"]);
}

#[test]
fn a_configuration_without_a_host_is_told() {
    for text in ["", "\n\n", "# nothing yet\n", "[daemon]\nsettle = \"50ms\"\n"] {
        let scene = Scene::new("");
        scene.home.write("config.toml", text, 0o600);
        refused(&scene, &["config.toml:1: there is no [[host]]", "config.example.toml"]);
    }
}

// What stands in it.

#[test]
fn an_unknown_key_is_told_with_the_nearest_known_one() {
    let provider = "[provider.other]\nprotocol = \"dyndns2\"\nsever = \"https://a.example\"\n";
    let source = "[source.wan]\ninterfce = \"eth0\"\n";
    let daemon = "[daemon]\nintervall = \"5m\"\n";
    for (lines, words) in [
        (
            &*host(DEV1, "refesh = \"20d\""),
            "host[1].refesh is not a setting of [[host]]; did you mean refresh?",
        ),
        (&host(DEV1, "token_file = \"token\""), "did you mean token-file?"),
        (
            provider,
            "provider.other.sever is not a setting of [provider.NAME]; did you mean server?",
        ),
        (source, "source.wan.interfce is not a setting of [source.NAME]; did you mean interface?"),
        (daemon, "daemon.intervall is not a setting of [daemon]; did you mean interval?"),
        ("[hosts]\n", "hosts is not a section of the configuration; did you mean host?"),
    ] {
        refused_hosts(&format!("{lines}{}", host(DEV2, "")), &["config.toml:", words]);
    }
}

#[test]
fn what_is_not_toml_is_told_in_plain_words() {
    for (old, new, words) in [
        ("\"dev1.dyn.example.com\"", "dev1.dyn.example.com", "needs double quotes"),
        ("\"dev1.dyn.example.com\"", "“dev1.dyn.example.com”", "needs double quotes"),
        ("dyn.example.com\"", "dyn.example.com", "a text has no closing quote"),
        ("name =", "name:", "expected: key = value"),
        ("[[host]]", "[host]", "write [[host]], with two brackets on each side"),
        ("[[host]]", "[[host]", "a bracket is opened here and not closed"),
        ("\"dev1.dyn.example.com\"", "[\"dev1.dyn.example.com\"", "config.toml:1"),
        ("\"token\"", "\"C:\\homing\"", "write a backslash twice within double quotes"),
        ("provider =", "name = \"x.example\"\nprovider =", "appears twice; keep one"),
    ] {
        let scene = Scene::new(&host(DEV1, ""));
        scene.reconfigure(old, new);
        refused(&scene, &["config.toml:1", words]);
    }
}

#[test]
fn a_configuration_from_another_system_is_read() {
    let scene = Scene::new(&host(DEV1, ""));
    let text = scene.home.read("config.toml").replace('\n', "\r\n");
    scene.home.write("config.toml", &format!("\u{feff}{text}"), 0o600);
    scene.check(0, 1, &["updated"]);
}

#[test]
fn one_name_twice_at_one_provider_is_told_with_both_lines() {
    for (first, second) in [
        (DEV1, "DEV1.dyn.example.com"),
        (DEV1, "dev1.dyn.example.com."),
        ("bücher.example", "xn--bcher-kva.example"),
    ] {
        let scene = Scene::new(&(host(first, "") + &host(second, "")));
        let text = scene.home.read("config.toml");
        let lines = text.lines().enumerate().filter(|(_, line)| line.starts_with("name"));
        let lines: Vec<usize> = lines.map(|(place, _)| place + 1).collect();
        let place = format!("config.toml:{}: host[2].name: ", lines[1]);
        let other = format!("at sandbox is already configured on line {}; remove one", lines[0]);
        refused(&scene, &[&place, &other]);
    }
}

#[test]
fn one_name_at_two_providers_is_no_mistake() {
    let in_file = host(DEV1, "provider = \"hosts-file\"\npath = \"hosts\"");
    let scene = Scene::new(&(host(DEV1, "") + &in_file));
    scene.check(0, 1, &["updated"]);
    assert!(scene.home.read("hosts").contains(DEV1));
}

#[test]
fn what_is_no_host_name_is_told() {
    for (name, words) in [
        ("sl@sh.example.com", "'@' is not allowed"),
        ("-dash.example.com", "begins or ends with a hyphen"),
        ("a..example.com", "a part between the dots is empty"),
        ("192.0.2.1", "is an address, not a host name"),
        ("https://dev1.example.com/", "is not allowed"),
        ("*.*.example.com", "'*' is not allowed"),
        ("", "is empty"),
        ("two words.example.com", "' ' is not allowed"),
        ("xn--99999999999.example.com", "not a valid internationalised name"),
        (&format!("{}.example.com", "a".repeat(64)), "longer than 63 characters"),
        (&"abcdefg.".repeat(40), "longer than 253 characters"),
    ] {
        refused_hosts(&host(name, ""), &["config.toml:", ": host[1].name", words]);
    }
}

#[test]
fn an_international_name_is_sent_as_its_a_label() {
    let scene = Scene::new(&host("Bücher.dyn.example.com", ""));
    scene.home.secret("token", "s3cret-of-xn--bcher-kva");
    scene.check(0, 1, &["xn--bcher-kva.dyn.example.com: updated"]);
    let sent = &scene.sandbox.updates()[0];
    assert_eq!(sent.parameter("hostname"), Some("xn--bcher-kva.dyn.example.com"));
}

#[test]
fn a_source_or_provider_that_does_not_exist_is_told_with_the_nearest() {
    for (lines, words) in [
        ("ipv4 = \"her\"", "host[1].ipv4: \"her\" is not a source; did you mean \"here\"?"),
        (
            "ipv6 = \"dsl9\"",
            "\"dsl9\" is not a source; write \"auto\", \"off\", or a section [source.dsl9]",
        ),
        ("provider = \"sanbox\"", "\"sanbox\" is not a provider; did you mean \"sandbox\"?"),
        ("provider = \"zzzzzzzz\"", "`homing providers` lists the built-in ones"),
        (
            "provider = \"twodns\"",
            "host[1].provider: TwoDNS has been closed since 20 December 2024: ",
        ),
        (
            "provider = \"dy.fi\"",
            "host[1].provider: Homing does not speak to dy.fi: it takes no address",
        ),
    ] {
        refused_hosts(&host(DEV1, lines), &["config.toml:", words]);
    }
}

#[test]
fn an_address_that_must_not_be_published_is_refused_where_it_is_written() {
    for (address, words) in [
        ("192.168.1.2", "allow-private = true"),
        ("127.0.0.1", "must not be published; write another"),
        ("fe80::1", "must not be published; write another"),
        ("no address", "is not an address; write it like \"192.0.2.1\""),
    ] {
        let family = if address.contains("::") { "ipv4" } else { "ipv6" };
        let other = if family == "ipv4" { "ipv6" } else { "ipv4" };
        let lines = format!("{family} = \"off\"\n{other} = \"lan\"");
        let source = format!("[source.lan]\nstatic = \"{address}\"\n");
        refused_hosts(&(source + &host(DEV1, &lines)), &["source.lan.static", address, words]);
    }
}

#[test]
fn plain_http_to_a_public_address_is_refused() {
    for server in ["http://8.8.8.8/", "http://dyndns.example.org/"] {
        let provider = format!("[provider.open]\nprotocol = \"dyndns2\"\nserver = \"{server}\"\n");
        let hosts = provider.clone() + &host(DEV1, "");
        let words = "would send the credential unencrypted; write https://";
        refused_hosts(&hosts, &["provider.open.server", words]);
        refused_hosts(&hosts.replace("server =", "plain-http = true\nserver ="), &[words]);
        let source = format!("[source.echo]\nweb = \"{server}\"\n");
        refused_hosts(&(source + &host(DEV1, "")), &["source.echo.web", "write https://"]);
    }
}

#[test]
fn every_problem_of_a_file_is_told_in_its_order_with_its_line() {
    let scene = Scene::new("");
    let text = "[daemon]\n\
                interval = \"1s\"\n\
                [source.wan]\n\
                interfce = \"eth0\"\n\
                [[host]]\n\
                name = \"sl@sh.example.com\"\n\
                provider = \"deesec\"\n\
                token-file = \"token\"\n\
                [[host]]\n\
                name = \"a.example.com\"\n\
                provider = \"desec\"\n\
                refresh = \"1h\"\n";
    scene.home.write("config.toml", text, 0o600);
    let ran = scene.check(78, 0, &[]);
    let file = scene.home.path("config.toml");
    let begin = format!("homing: {}:", file.display());
    let told: Vec<(usize, &str)> = ran
        .err
        .lines()
        .map(|line| line.strip_prefix(&begin).unwrap_or_else(|| panic!("{line}")))
        .map(|rest| rest.split_once(": ").unwrap())
        .map(|(line, what)| (line.parse().unwrap(), what.split([':', ' ']).next().unwrap()))
        .collect();
    let expect = [
        (2, "daemon.interval"),
        (4, "source.wan.interfce"),
        (6, "host[1].name"),
        (7, "host[1].provider"),
        (9, "host[2]"),
        (12, "host[2].refresh"),
    ];
    assert_eq!(told, expect, "{}", ran.err);
}

// Secrets.

#[test]
fn a_secret_in_a_configuration_that_others_can_read_is_refused() {
    for key in ["token", "password"] {
        let scene = Scene::new(&host(DEV1, &format!("{key} = \"{SECRET}-of-dev1\"")));
        scene.check_run(&["check"], 0, 0, &[]);
        let text = scene.home.read("config.toml");
        scene.home.write("config.toml", &text, 0o644);
        let place = format!("host[1].{key} is a secret in a file that others can read");
        refused(&scene, &["config.toml:", &place, "run `chmod 6", "token-file"]);
    }
}

#[test]
fn an_inline_secret_that_is_none_is_not_repeated() {
    let with = |text: &str| host(DEV1, &format!("token = \"{text}\""));
    refused_hosts(&with("s3cret\\nof-dev1"), &["host[1].token", "line break", "on one line"]);
    refused_hosts(&with(""), &["host[1].token", "empty"]);
    let two = host(DEV1, "token = \"s3cret\"\npassword-file = \"token\"");
    refused_hosts(&two, &["is a second secret", "keep one of them"]);
    let path = host(DEV1, "token-env = \"s3cret-of-dev1\"");
    refused_hosts(&path, &["is not the name of an environment variable"]);
}

/// What is wrong with a secret file, made by `spoil`, is told with the fix; only its host stays out.
#[track_caller]
fn check_secret(spoil: impl Fn(&Path), words: &[&str]) {
    let scene = Scene::new(&(host(DEV1, "token-file = \"bad\"") + &host(DEV2, "")));
    scene.home.secret("token", &format!("{SECRET}-of-dev2"));
    let bad = scene.home.path("bad");
    spoil(&bad);
    let shown = bad.display().to_string();
    let words = [&[DEV1, &*shown][..], words].concat();
    scene.check_run(&["check"], 78, 0, &words);
    scene.check_run(&["--once", "--dry-run"], 78, 0, &words);
    let ran = scene.home.once();
    judge(&scene.home, &ran, 78, &words);
    assert_eq!(scene.sandbox.records(DEV2, "A"), ["198.51.100.7"], "{ran:#?}");
    assert_eq!(scene.sandbox.records(DEV1, "A"), [""; 0]);
    assert!(scene.sandbox.updates().iter().all(|u| u.parameter("hostname") == Some(DEV2)));
}

#[test]
fn a_secret_file_that_cannot_be_read_leaves_only_its_host_out() {
    check_secret(|path| fs::create_dir(path).unwrap(), &["is not a regular file; name the file"]);
    check_secret(|_| {}, &["does not exist; put the provider's token or password"]);
    // Root reads everything.
    if !rustix::process::geteuid().is_root() {
        let close = |path: &Path| {
            fs::write(path, "s3cret-of-dev1\n").unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o0)).unwrap();
        };
        check_secret(close, &["cannot be read: Permission denied; make Homing's user its owner"]);
    }
}

#[test]
fn a_secret_file_that_others_can_read_is_told_with_the_command() {
    for mode in [0o644, 0o604, 0o602] {
        let spoil = |path: &Path| {
            fs::write(path, "s3cret-of-dev1\n").unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        check_secret(spoil, &["is open to others (0", "; run `chmod 6", "/bad`"]);
    }
}

#[test]
fn a_secret_file_without_a_secret_is_told() {
    let with = |bytes: &'static [u8]| {
        move |path: &Path| {
            fs::write(path, bytes).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
        }
    };
    check_secret(with(b""), &["is empty; put the provider's token"]);
    check_secret(with(b" \n\n"), &["is empty; put the provider's token"]);
    check_secret(with(b"s3cret\nof-dev1\n"), &["contains a line break; put only the secret"]);
    check_secret(with(b"s3cret-\xff\n"), &["is not UTF-8 text; put only the secret in it"]);
    check_secret(
        with(b"s3cret\x1b[0m\n"),
        &["contains a control character; enter the secret again"],
    );
    check_secret(with(&[b'a'; 10_000]), &["is larger than 4 KiB"]);
}

#[test]
fn a_secret_written_where_its_file_belongs_is_not_repeated() {
    for key in ["token-file", "password-file"] {
        let scene = Scene::new(&host(DEV1, &format!("{key} = \"s3cretOfDev1withItsLength4\"")));
        scene.check(78, 0, &[DEV1, "does not exist; put the provider's token", "-file"]);
        scene.check_run(&["check"], 78, 0, &["1 host has no usable secret"]);
    }
}

#[test]
fn a_daemon_goes_on_without_the_host_of_a_bad_secret_and_takes_it_back() {
    let scene = Scene::new(&(host(DEV1, "token-file = \"late\"") + &host(DEV2, "")));
    scene.home.secret("token", "s3cret-of-dev2");
    let daemon = scene.home.daemon();
    daemon.wait_for("does not exist; put the provider's token");
    let is_set = |name: &str| !scene.sandbox.records(name, "A").is_empty();
    wait_until("update of dev2", || is_set(DEV2), || daemon.log());
    assert!(!is_set(DEV1));
    daemon.signal(home::Signal::USR1);
    // At one go, so that no round finds it half written.
    scene.home.secret("late.new", "s3cret-of-dev1");
    fs::rename(scene.home.path("late.new"), scene.home.path("late")).unwrap();
    daemon.signal(home::Signal::USR1);
    wait_until("update of dev1", || is_set(DEV1), || daemon.log());
    assert_eq!(daemon.log().matches("left out").count(), 1, "{}", daemon.log());
    assert!(!daemon.log().contains(SECRET), "{}", daemon.log());
    daemon.signal(home::Signal::TERM);
    assert_eq!(daemon.end().0, 0);
}

#[test]
fn a_daemon_does_not_start_on_a_wrong_configuration() {
    let scene = Scene::new(&host(DEV1, "refesh = \"20d\""));
    let daemon = scene.home.daemon();
    daemon.wait_for("did you mean refresh?");
    assert_eq!(daemon.end().0, 78);
}

#[test]
fn a_mended_secret_file_is_used_by_the_next_run() {
    let scene = Scene::new(&host(DEV1, ""));
    scene.home.write("token", "", 0o600);
    scene.check(78, 0, &["is empty"]);
    scene.home.secret("token", "s3cret-of-dev1");
    scene.check(0, 1, &["updated"]);
}

// Sources.

#[test]
fn a_missing_interface_is_named_and_nothing_is_sent() {
    let source = "[source.wan]\ninterface = \"homing9\"\n";
    let scene = Scene::new(&(source.to_owned() + &host(DEV1, "ipv4 = \"wan\"\nipv6 = \"wan\"")));
    scene.check(75, 0, &["there is no interface homing9", "`ip address` lists"]);
    let again = scene.check(75, 0, &[]);
    assert_eq!(again.out, "", "cron mails it once");
    scene.check_run(&["check"], 0, 0, &["there is no interface homing9"]);
    scene.check_run(&["address"], 0, 0, &["there is no interface homing9"]);
}

#[test]
#[cfg(target_os = "linux")]
fn an_interface_that_appears_later_is_used() {
    netns::in_namespace("an_interface_that_appears_later_is_used", || {
        netns::ip("link set lo up");
        let source = "[source.wan]\ninterface = \"late\"\nallow-private = true\n";
        let lines = host(DEV1, "ipv4 = \"wan\"\nipv6 = \"off\"");
        let scene = Scene::new(&(source.to_owned() + &lines));
        let daemon = scene.home.daemon();
        daemon.wait_for("there is no interface late");
        netns::ip("link add late type veth peer name far");
        netns::ip("link set late up");
        netns::ip("link set far up");
        netns::ip("addr add 198.51.100.9/24 dev late");
        wait_until("update", || scene.sandbox.updates().len() == 1, || daemon.log());
        daemon.wait_for("updated");
        assert_eq!(scene.sandbox.records(DEV1, "A"), ["198.51.100.9"]);
        assert!(!daemon.log().contains(SECRET));
    });
}

#[test]
fn a_file_or_command_that_tells_nothing_is_named() {
    for (kind, words) in [
        ("file = \"nowhere\"", &["nowhere cannot be read", "no such file"][..]),
        ("file = \"words\"", &["words holds \"not an address\" on its first line"]),
        ("command = [\"/nonexistent/tell\"]", &["/nonexistent/tell cannot be run", "no such file"]),
        ("command = [\"sh\", \"-c\", \"exit 3\"]", &["sh failed", "3"]),
        ("command = [\"sh\", \"-c\", \"echo 2001:db8::1\"]", &["which is not an IPv4 address"]),
        ("command = [\"true\"]", &["true printed nothing on its first line"]),
    ] {
        let source = format!("[source.told]\n{kind}\nallow-private = true\n");
        let scene = Scene::new(&(source + &host(DEV1, "ipv4 = \"told\"\nipv6 = \"off\"")));
        scene.home.write("words", "not an address\n", 0o600);
        let ran = scene.home.once();
        assert_eq!((ran.code, scene.sandbox.requests().len()), (75, 0), "{kind}: {ran:#?}");
        let said = ran.out.to_lowercase();
        for word in words {
            assert!(said.contains(&word.to_lowercase()), "{word:?}: {ran:#?}");
        }
        judge(&scene.home, &ran, 75, &[]);
    }
}

/// A host whose IPv4 address `services` tell, and whose IPv6 address is known.
fn told_by(services: &[&Server], lines: &str) -> Scene {
    let urls: Vec<String> = services.iter().map(|server| server.url("/")).collect();
    let source = format!("[source.echo]\nweb = {urls:?}\nallow-private = true\n{lines}\n");
    Scene::new(&(source + &host(DEV1, "ipv4 = \"echo\"")))
}

/// An answer of a web service is not believed, for the reason in `words`; the other family goes on.
#[track_caller]
fn unbelieved(script: Script, words: &[&str]) {
    let server = Server::plain(script);
    let scene = told_by(&[&server], "");
    let place = server.address.to_string();
    let words = [&[DEV1, "IPv4 not set: ", &*place][..], words].concat();
    scene.check(75, 1, &words);
    assert_eq!(server.requests().len(), 1);
    assert_eq!(scene.sandbox.records(DEV1, "A"), [""; 0]);
    assert_eq!(scene.sandbox.records(DEV1, "AAAA"), ["2001:db8::7"]);
    assert_eq!(scene.sandbox.updates()[0].parameter("myipv4"), Some("preserve"));
}

#[test]
fn a_web_service_that_says_more_or_less_than_an_address_is_not_believed() {
    unbelieved(
        |c| reply(c, "200 OK", "<html><body>Your address is 192.0.2.1</body></html>"),
        &["answers HTTP 200 with a web page"],
    );
    unbelieved(
        |c| reply(c, "200 OK", "192.0.2.1\n192.0.2.2\n"),
        &["says \"192.0.2.1 192.0.2.2\", which is not an address"],
    );
    unbelieved(|c| reply(c, "200 OK", "2001:db8::1"), &["which is not an IPv4 address"]);
    unbelieved(|c| reply(c, "200 OK", "::ffff:192.0.2.1"), &["an IPv4 address in IPv6 form"]);
    unbelieved(|c| reply(c, "200 OK", "192.0.2.1 s"), &["which is not an address"]);
    unbelieved(|c| reply(c, "200 OK", ""), &["answers HTTP 200 with an empty body"]);
}

#[test]
fn a_source_whose_address_must_not_be_published_is_named_with_the_way_out() {
    let private = Server::plain(|c| reply(c, "200 OK", "192.168.1.2"));
    let scene = told_by(&[&private], "");
    scene.reconfigure("]\nallow-private = true\n\n[[host]]", "]\n\n[[host]]");
    let words = ["source echo", "192.168.1.2", "private", "allow-private = true in [source.echo]"];
    scene.check(75, 1, &words);
    let loopback = Server::plain(|c| reply(c, "200 OK", "127.0.0.1"));
    told_by(&[&loopback], "").check(75, 1, &["source echo", "127.0.0.1, which is loopback"]);
}

#[test]
fn a_web_service_in_trouble_is_not_believed_whatever_stands_in_its_answer() {
    unbelieved(
        |c| reply(c, "500 Internal Server Error", "192.0.2.1"),
        &["answers HTTP 500 \"192.0.2.1\""],
    );
    unbelieved(|c| reply(c, "404 Not Found", "192.0.2.1"), &["answers HTTP 404"]);
    unbelieved(
        |c| reply_with(c, "302 Found", "Location: http://127.0.0.1/ip\r\n", "192.0.2.1"),
        &["redirects to another place (HTTP 302)"],
    );
    unbelieved(|c| c.write_all(b"192.0.2.1\n").and(Err(ErrorKind::Other.into())), &["is not HTTP"]);
    unbelieved(|_| Err(ErrorKind::Other.into()), &["closed the connection without an answer"]);
}

#[test]
fn a_web_service_that_never_ends_is_cut_off() {
    unbelieved(
        |c| {
            c.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n192.0.2.1")?;
            pour(c, "                ")
        },
        &["answers with more than 1024 bytes"],
    );
    unbelieved(
        |c| {
            c.write_all(b"HTTP/1.0 200 OK\r\n\r\n192.0.2.1\n")?;
            pour(c, "\n\n\n\n\n\n\n\n")
        },
        &["answers with more than 1024 bytes"],
    );
    unbelieved(
        |c| {
            c.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n192.0.2.1")?;
            Err(ErrorKind::Other.into())
        },
        &["sent an incomplete answer"],
    );
}

#[test]
fn two_services_that_disagree_are_both_named_and_neither_is_believed() {
    let one = Server::plain(|c| reply(c, "200 OK", "192.0.2.1"));
    let two = Server::plain(|c| reply(c, "200 OK", "192.0.2.2"));
    let scene = told_by(&[&one, &two], "agree = 2");
    let says = |server: &Server, address: &str| format!("{} says {address}", server.address);
    let words = [&*says(&one, "192.0.2.1"), &says(&two, "192.0.2.2"), "no 2 services agree"];
    scene.check(75, 1, &words);
    assert_eq!(scene.sandbox.records(DEV1, "A"), [""; 0]);
}

// What a provider answers.

/// After one answer of a provider that means nothing, the host waits and is mended by the next.
#[track_caller]
fn not_understood(what: &str, script: Scripted, words: &[&str]) {
    let scene = Scene::new(&host(DEV1, ""));
    scene.sandbox.answer_next(script);
    let words = [&[DEV1, "deferred, ", "; next try after ", "fix: "][..], words].concat();
    let ran = scene.home.once();
    assert_eq!(ran.code, 75, "{what}: {ran:#?}");
    judge(&scene.home, &ran, 75, &words);
    assert_eq!(scene.sandbox.requests().len(), 1, "{what}");
    let (code, status) = scene.status();
    assert_eq!((code, &status["outcome"]), (75, &json!("deferred")), "{what}: {status}");
    assert!(status["hold"]["until"].is_string(), "{what}: {status}");
    let again = scene.check(75, 0, &[]);
    assert_eq!(again.out, "", "{what}: the wait holds, and is told once");
    scene.check_run(&["--once", "--retry-rejected"], 0, 1, &["updated"]);
    assert_eq!(scene.sandbox.records(DEV1, "A"), ["198.51.100.7"], "{what}");
}

#[test]
fn a_provider_that_answers_other_than_it_should_is_never_a_success() {
    let doubt = "could not confirm: unexpected answer; the update may or may not have worked";
    let text = |body: &str| Scripted::answer(Answer::text(200, body));
    not_understood("empty", text(""), &[doubt, "empty body"]);
    not_understood("huge", text(&"good ".repeat(100_000)), &[doubt, "more than 65536 bytes"]);
    let endless = text(&"good ".repeat(1000)).delivered(Delivery::Endless);
    not_understood("endless", endless, &[doubt, "more than 65536 bytes"]);
    for words in ["goodbye", "OK", "not good", "Good", "<html>good</html>", "{\"good\":1}"] {
        not_understood(words, text(words), &[doubt]);
    }
    let json = Answer::json(200, "[\"good\"]");
    not_understood("json", Scripted::answer(json), &[doubt]);
    let codes = text("\u{1b}[31mgo\u{7}od\u{202e}");
    not_understood("codes", codes, &[doubt]);
}

#[test]
fn an_answer_that_is_cut_off_is_a_doubt() {
    let doubt = "could not confirm: no answer came";
    for length in [0, 1, 20] {
        let cut = Scripted::genuine().delivered(Delivery::Cut(length));
        not_understood("head", cut, &[doubt, "closed the connection without an answer"]);
    }
    let long = Answer::text(200, "good").with("Content-Length", "100");
    let cut = Scripted::answer(long).delivered(Delivery::Cut(10_000));
    not_understood("body", cut, &[doubt, "sent an incomplete answer"]);
    let slow = Scripted::genuine().after(Duration::from_millis(300)).delivered(Delivery::Cut(0));
    not_understood("slow", slow, &[doubt]);
}

#[test]
fn a_web_page_with_any_status_never_rejects_and_never_confirms() {
    for status in [200, 204, 301, 302, 400, 401, 403, 404, 405, 410, 418, 500, 502, 503, 504] {
        let page = if status == 204 { Answer::text(204, "") } else { Answer::nginx(status) };
        not_understood(&status.to_string(), Scripted::answer(page), &["could not confirm"]);
    }
    not_understood("429", Scripted::answer(Answer::nginx(429)), &["the provider "]);
}

#[test]
fn a_redirect_is_not_followed_with_a_credential() {
    let scene = Scene::new(&host(DEV1, ""));
    let elsewhere = Server::plain(|c| reply(c, "200 OK", "good"));
    let answer = Answer::text(301, "").with("Location", &elsewhere.url("/nic/update"));
    scene.sandbox.answer_next(Scripted::answer(answer));
    scene.check(75, 1, &["deferred", "HTTP 301"]);
    assert_eq!(elsewhere.connections(), 0);
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let vacant = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let scene = Scene::new(&host(DEV1, ""));
    scene.reconfigure(&scene.sandbox.url(), &format!("http://{vacant}"));
    let refuses = format!("{vacant} refuses the connection");
    scene.check(75, 0, &["the provider cannot be reached", &refuses, "fix: check this machine's"]);
    // Too long for a label, so that no name server needs to be asked.
    let scene = Scene::new(&host(DEV1, ""));
    let name = format!("{}.example", "a".repeat(64));
    scene.reconfigure(&scene.sandbox.url(), &format!("https://{name}"));
    scene.check(75, 0, &["the provider cannot be reached", &name]);
}

// TLS.

const TLS_CAUSES: [(Certificate, &[&str]); 5] = [
    (Certificate::Expired, &["expired at 2020-01-01T00:00:00Z", "this machine's clock shows 2"]),
    (Certificate::NotYetValid, &["not valid before 4000-01-01T00:00:00Z", "set the clock"]),
    (Certificate::UnknownAuthority, &["is from an unknown authority", "ca-file"]),
    (
        Certificate::OfOneself,
        &[
            "is an authority's, as `openssl req -x509` makes it",
            "-addext basicConstraints=critical,CA:FALSE",
        ],
    ),
    (Certificate::WrongName, &["is not for that name but for other.example"]),
];

#[test]
fn a_provider_without_a_good_certificate_is_told_why_and_gets_no_request() {
    for (certificate, words) in TLS_CAUSES {
        let server = Server::tls(certificate, |c| reply(c, "200 OK", "good"));
        let place = format!("the certificate of localhost:{}", server.address.port());
        for (protocol, login) in [("desec", ""), ("dyndns2", "username = \"me\"")] {
            let entry = format!(
                "update-url = \"{}\"\nca-file = \"{}\"",
                server.url("/nic/update"),
                server.ca_file.display()
            );
            let home = Home::new(&config(protocol, &entry, &host(DEV1, login)));
            home.secret("token", "s3cret-of-dev1");
            let ran = home.once();
            judge(&home, &ran, 75, &[DEV1, "deferred, no trusted connection", &place, "fix: "]);
            judge(&home, &ran, 75, words);
            assert_eq!(home.run(&["status"]).code, 75);
        }
        assert_eq!(server.requests(), [""; 0], "{certificate:?}");
    }
}

#[test]
fn a_web_source_without_a_good_certificate_is_told_why_and_not_believed() {
    for (certificate, words) in TLS_CAUSES {
        let server = Server::tls(certificate, |c| reply(c, "200 OK", "192.0.2.1"));
        let scene = told_by(&[&server], &format!("ca-file = \"{}\"", server.ca_file.display()));
        scene.check(75, 1, &[&["IPv4 not set: "][..], words].concat());
        assert_eq!(server.requests(), [""; 0], "{certificate:?}");
        assert_eq!(scene.sandbox.records(DEV1, "A"), [""; 0]);
    }
}

// The state.

/// Runs `script` with the binary as `$HOMING`, and with mounts of its own, where that is allowed.
fn with_mounts(test: &str, home: &Home, script: &str) -> Option<Ran> {
    let unshare = |script: &str| {
        let config = home.path("config.toml");
        Command::new("unshare")
            .args(["--mount", "sh", "-ec", script])
            .env("HOMING", env!("CARGO_BIN_EXE_homing"))
            .env("HOMING_CONFIG", &config)
            .current_dir(config.parent().unwrap())
            .output()
    };
    let probe = unshare("mkdir -p probe; mount -t tmpfs none probe");
    if !probe.is_ok_and(|output| output.status.success()) {
        skip(test, "may not mount (needs root and unshare)");
        return None;
    }
    Some(unshare(script).unwrap().into())
}

#[test]
fn nothing_is_sent_while_the_state_directory_is_full_and_the_old_state_stays() {
    let test = "nothing_is_sent_while_the_state_directory_is_full_and_the_old_state_stays";
    let scene = Scene::new(&host(DEV1, ""));
    let changed = scene.home.read("config.toml").replace("198.51.100.7", "198.51.100.8");
    scene.home.write("changed.toml", &changed, 0o600);
    let script = "mkdir -m 700 state; mount -t tmpfs -o size=32k,mode=700 none state
        $HOMING --once >/dev/null
        cp state/state.json before
        cat /dev/zero >state/ballast 2>/dev/null || true
        code=0; $HOMING --once --config changed.toml || code=$?
        cmp before state/state.json
        rm state/ballast
        $HOMING --once --config changed.toml --retry-rejected >/dev/null
        exit $code";
    let Some(ran) = with_mounts(test, &scene.home, script) else { return };
    judge(&scene.home, &ran, 75, &["no space is left", "; free some space there"]);
    assert_eq!(scene.sandbox.updates().len(), 2, "{ran:#?}");
    assert_eq!(scene.sandbox.records(DEV1, "A"), ["198.51.100.8"]);
}

#[test]
fn nothing_is_sent_while_the_state_directory_is_read_only() {
    let test = "nothing_is_sent_while_the_state_directory_is_read_only";
    let scene = Scene::new(&host(DEV1, ""));
    let script = "mkdir -m 700 state; mount -t tmpfs -o ro none state
        exec $HOMING --once";
    let Some(ran) = with_mounts(test, &scene.home, script) else { return };
    judge(&scene.home, &ran, 75, &["the file system is read-only", "state", "--state-dir"]);
    assert_eq!(scene.sandbox.requests().len(), 0);
    // With a state from better days and a new address.
    let script = "mkdir -m 700 -p state; $HOMING --once >/dev/null; cp state/state.json before
        sed s/198.51.100.7/198.51.100.8/ config.toml >changed.toml
        mount --bind state state; mount -o remount,bind,ro state
        code=0; $HOMING --once --config changed.toml || code=$?
        cmp before state/state.json
        exit $code";
    let ran = with_mounts(test, &scene.home, script).unwrap();
    judge(&scene.home, &ran, 75, &["the file system is read-only"]);
    assert_eq!(scene.sandbox.updates().len(), 1, "{ran:#?}");
}

#[test]
fn nothing_is_sent_without_a_place_for_the_state() {
    let scene = Scene::new(&host(DEV1, ""));
    for (directory, words) in [
        ("/proc/homing", &["/proc/homing"][..]),
        ("token/state", &["a part of the path is a file, not a directory", "--state-dir"]),
        ("nowhere/state", &["the directory above it does not exist; run `mkdir -p "]),
        ("token", &["--state-dir"]),
    ] {
        let directory = scene.home.path(directory);
        let arguments = ["--once", "--state-dir", directory.to_str().unwrap()];
        let ran = scene.check_run(&arguments, 75, 0, words);
        assert!(ran.err.contains("; "), "a fix: {ran:#?}");
    }
    assert_eq!(scene.home.read("token").trim(), "s3cret-of-dev1");
}

#[test]
fn a_damaged_state_is_set_aside_and_costs_one_update() {
    let scene = Scene::new(&host(DEV1, ""));
    scene.check(0, 1, &[]);
    let good = scene.home.read("state/state.json");
    let deaf = good.replace("\"version\"", "\"verse\"");
    let foreign: &[u8] = b"\x7fELF\x00\xff\xfe";
    let half = &good.as_bytes()[..good.len() / 2];
    for bytes in [b"", foreign, half, b"null", b"[]", b"{}", deaf.as_bytes(), &[0; 4096]] {
        fs::write(scene.home.path("state/state.json"), bytes).unwrap();
        let ran = scene.check(0, 1, &["state.json is damaged", "kept as ", "state.json.damaged-"]);
        assert!(ran.err.contains("damaged"), "a warning: {ran:#?}");
        let kept = ran.err.split("kept as ").nth(1).unwrap();
        let kept = kept.split([',', ';', '"', ' ']).next().unwrap();
        assert_eq!(fs::read(kept).unwrap(), bytes, "{kept}");
        let quiet = scene.check(0, 0, &[]);
        assert_eq!((&*quiet.out, &*quiet.err), ("", ""));
    }
    let set_aside = fs::read_dir(scene.home.path("state")).unwrap();
    let names = set_aside.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(
        names.filter(|name| name.contains(".damaged-")).count(),
        3,
        "none overwrote another, and the newest three are enough"
    );
}

#[test]
fn a_damaged_state_is_left_alone_by_those_who_only_look() {
    let scene = Scene::new(&host(DEV1, ""));
    scene.check(0, 1, &[]);
    fs::write(scene.home.path("state/state.json"), "garbage").unwrap();
    scene.check_run(&["status"], 75, 0, &["state.json is damaged"]);
    scene.check_run(&["check"], 0, 0, &["state.json is damaged", "left as it is"]);
    scene.check_run(&["--once", "--dry-run"], 0, 0, &["state.json is damaged"]);
    assert_eq!(scene.home.read("state/state.json"), "garbage");
}

#[test]
fn a_state_of_a_later_version_is_refused_and_left_as_it_is() {
    let scene = Scene::new(&host(DEV1, ""));
    scene.check(0, 1, &[]);
    let newer = scene.home.read("state/state.json").replacen("\"version\": 1", "\"version\": 2", 1);
    let newer = newer.replacen("\"version\":1", "\"version\":2", 1);
    for newer in [newer.as_str(), "{\"version\":99,\"something\":\"else\"}"] {
        scene.home.write("state/state.json", newer, 0o600);
        scene.reconfigure("198.51.100.", "198.51.100.1");
        let words = ["of a later version of Homing", "; install that version again, or move "];
        for arguments in [&["--once"][..], &["status"], &[]] {
            scene.check_run(arguments, 75, 0, &words);
        }
        // The configuration can be judged without it.
        scene.check_run(&["check"], 0, 0, &words);
        assert_eq!(scene.home.read("state/state.json"), newer);
    }
}

#[test]
fn a_second_run_beside_a_slow_one_leaves_at_once_and_says_who_is_there() {
    let scene = Scene::new(&host(DEV1, ""));
    scene.sandbox.answer_next(Scripted::genuine().after(Duration::from_secs(1)));
    let first = scene.home.command(&["--once"]).spawn().unwrap();
    assert_eq!(scene.sandbox.requests_from(0, Duration::from_secs(10)).len(), 1);
    let pid = first.id().to_string();
    scene.check(75, 0, &["is in use by ", &pid, "; wait for it, or stop it"]);
    scene.check_run(&["status"], 75, 0, &["sent, not confirmed"]);
    let first: Ran = first.wait_with_output().unwrap().into();
    judge(&scene.home, &first, 0, &["updated"]);
    scene.check(0, 0, &[]);
}

// dyndns2.

/// A host at a dyndns2 server of the user's.
fn dyndns2(hosts: &str) -> Scene {
    let hosts = hosts.replace("token-file", "username = \"me\"\npassword-file");
    Scene::speaking("dyndns2", &hosts)
}

fn answers(scene: &Scene, status: u16, body: &str) {
    let answer = Scripted::answer(Answer::text(status, body));
    scene.sandbox.answer_next_at("/nic/update", answer);
}

#[test]
fn every_word_of_dyndns2_has_its_exit_code_and_its_place_in_the_status() {
    const NEVER: bool = false;
    const LATER: bool = true;
    for (body, code, outcome, hold) in [
        ("good 198.51.100.7", 0, "updated", None),
        ("good", 0, "updated", None),
        ("nochg 198.51.100.7", 0, "unchanged", None),
        ("badauth", 77, "rejected", Some(("rejected", "credential", NEVER))),
        ("!donator", 77, "rejected", Some(("rejected", "feature", LATER))),
        ("notfqdn", 77, "rejected", Some(("rejected", "host", LATER))),
        ("nohost", 77, "rejected", Some(("rejected", "host", LATER))),
        ("!yours", 77, "rejected", Some(("rejected", "host", LATER))),
        ("numhost", 77, "rejected", Some(("rejected", "request", LATER))),
        ("abuse", 77, "rejected", Some(("rejected", "abuse", NEVER))),
        ("badagent", 77, "rejected", Some(("rejected", "agent", NEVER))),
        ("dnserr", 75, "deferred", Some(("backoff", "server-fault", LATER))),
        ("911", 75, "deferred", Some(("backoff", "server-fault", LATER))),
        ("w30m", 75, "deferred", Some(("throttled", "throttled", LATER))),
        ("w2h wait", 75, "deferred", Some(("throttled", "throttled", LATER))),
        ("GOOD", 75, "deferred", Some(("backoff", "unintelligible", LATER))),
        ("badauthentic", 75, "deferred", Some(("backoff", "unintelligible", LATER))),
        ("", 75, "deferred", Some(("backoff", "unintelligible", LATER))),
    ] {
        // One family, because a refusal of two would be asked about more narrowly first.
        let scene = dyndns2(&host(DEV1, "ipv6 = \"off\""));
        answers(&scene, 200, body);
        let ran = scene.home.once();
        let fix = if hold.is_some() { "  fix: " } else { outcome };
        judge(&scene.home, &ran, code, &[DEV1, outcome, fix]);
        let (status_code, status) = scene.status();
        assert_eq!((status_code, &status["outcome"]), (code, &json!(outcome)), "{body}: {status}");
        let held = &status["hold"];
        match hold {
            None => assert!(held.is_null(), "{body}: {status}"),
            Some((kind, reason, ends)) => {
                assert_eq!((&held["kind"], &held["reason"]), (&json!(kind), &json!(reason)));
                assert_eq!(held["until"].is_string(), ends, "{body}: {status}");
            }
        }
        assert_eq!(status["ipv4"]["set"].is_array(), hold.is_none(), "{body}: {status}");
        // Whatever it was, it is not asked again.
        assert_eq!(scene.sandbox.requests().len(), 1, "{body}");
        scene.check(code, 0, &[]);
    }
}

#[test]
fn a_wait_that_dyndns2_asks_for_outlives_a_wish_to_retry() {
    let scene = dyndns2(&host(DEV1, ""));
    answers(&scene, 200, "w30m");
    scene.check(75, 1, &["the provider asks for a pause"]);
    scene.check_run(&["--once", "--retry-rejected"], 75, 0, &[]);
}

#[test]
fn web_pages_from_a_dyndns2_server_neither_confirm_nor_reject() {
    for status in [200, 401, 403, 404, 500, 502, 503] {
        let scene = dyndns2(&host(DEV1, ""));
        let page = Scripted::answer(Answer::nginx(status));
        scene.sandbox.answer_next_at("/nic/update", page);
        scene.check(75, 1, &["could not confirm", &format!("HTTP {status} with a web page")]);
        answers(&scene, 200, "good");
        scene.check_run(&["--once", "--retry-rejected"], 0, 1, &["updated"]);
    }
}

fn both_hosts() -> Scene {
    let hosts = host("PLACE", "").replace("\"PLACE\"", &format!("{:?}", [DEV1, DEV2]));
    dyndns2(&hosts)
}

fn outcomes(scene: &Scene) -> Vec<String> {
    let ran = scene.home.run(&["status", "--json"]);
    let status: Value = serde_json::from_str(&ran.out).unwrap();
    let hosts = status["hosts"].as_array().unwrap().iter();
    hosts.map(|host| host["outcome"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_missing_line_leaves_its_host_in_doubt_and_the_other_right() {
    let scene = both_hosts();
    answers(&scene, 200, "good 198.51.100.7\n");
    scene.check(75, 1, &["dev1.dyn.example.com: updated", "dev2.dyn.example.com: deferred"]);
    let list = format!("{DEV1},{DEV2}");
    assert_eq!(scene.sandbox.requests()[0].parameter("hostname"), Some(&*list));
    assert_eq!(outcomes(&scene), ["updated", "deferred"]);
    answers(&scene, 200, "good 198.51.100.7\n");
    scene.check_run(&["--once", "--retry-rejected"], 0, 1, &["dev2.dyn.example.com: updated"]);
    assert_eq!(scene.sandbox.requests()[1].parameter("hostname"), Some(DEV2));
}

#[test]
fn a_refusal_in_a_list_is_its_own_hosts_alone() {
    let scene = both_hosts();
    answers(&scene, 200, "nohost\ngood 198.51.100.7\n");
    scene.check(77, 1, &["dev1.dyn.example.com: ", "dev2.dyn.example.com: updated"]);
    assert_eq!(outcomes(&scene), ["rejected", "updated"]);
}

#[test]
fn more_lines_than_hosts_confirm_nothing() {
    let scene = both_hosts();
    answers(&scene, 200, "good\ngood\ngood\n");
    scene.check(75, 1, &["could not confirm"]);
    assert_eq!(outcomes(&scene), ["deferred", "deferred"]);
}

#[test]
fn a_server_that_does_not_know_lists_is_asked_singly_from_then_on() {
    for word in ["notfqdn", "numhost", "nohost"] {
        let scene = both_hosts();
        for body in [word, "good", "good"] {
            answers(&scene, 200, body);
        }
        scene.check(0, 3, &["dev1.dyn.example.com: updated", "dev2.dyn.example.com: updated"]);
        scene.reconfigure("198.51.100.7", "198.51.100.8");
        answers(&scene, 200, "good");
        answers(&scene, 200, "good");
        scene.check(0, 2, &["198.51.100.8"]);
        let requests = scene.sandbox.requests();
        let asked = requests.iter().map(|request| request.parameter("hostname").unwrap());
        let mut asked: Vec<&str> = asked.collect();
        asked[1..3].sort_unstable();
        asked[3..].sort_unstable();
        let list = format!("{DEV1},{DEV2}");
        assert_eq!(asked, [&*list, DEV1, DEV2, DEV1, DEV2], "{word}");
    }
}

// The hosts file.

/// A host that is kept in the file at `path`.
fn in_file(name: &str, path: &str) -> Home {
    let block = format!(
        "[[host]]\nname = \"{name}\"\nprovider = \"hosts-file\"\npath = \"{path}\"\n\
         ipv4 = \"here\"\nipv6 = \"here\"\n"
    );
    Home::new(&config("desec", "server = \"https://unused.example\"", &block))
}

#[test]
fn foreign_lines_of_a_hosts_file_are_kept_and_our_own_put_back() {
    let home = in_file("box.lan", "hosts");
    let foreign = "# mine\n127.0.0.1 localhost\n\n10.0.0.9\tnas.lan # homing pigeon\n";
    home.write("hosts", foreign, 0o640);
    judge(&home, &home.once(), 0, &["box.lan: updated"]);
    let whole = home.read("hosts");
    assert!(whole.starts_with(foreign), "{whole}");
    let ours: Vec<&str> = whole.lines().filter(|line| line.contains("box.lan")).collect();
    assert_eq!(ours.len(), 2, "{whole}");
    assert_eq!(home.once().out, "", "a second run writes nothing");
    let others = whole.lines().filter(|line| *line != ours[0]).collect::<Vec<_>>().join("\n");
    home.write("hosts", &others, 0o640);
    judge(&home, &home.once(), 0, &["box.lan: updated"]);
    let mut mended: Vec<String> = home.read("hosts").lines().map(str::to_owned).collect();
    let mut before: Vec<String> = whole.lines().map(str::to_owned).collect();
    mended.sort_unstable();
    before.sort_unstable();
    assert_eq!(mended, before);
    fs::remove_file(home.path("hosts")).unwrap();
    judge(&home, &home.once(), 0, &["box.lan: updated"]);
    assert_eq!(home.read("hosts").lines().count(), 2);
}

#[test]
fn a_hosts_file_that_cannot_be_written_is_deferred_with_the_way_out() {
    for (path, words) in [
        ("nowhere/hosts", &["its directory does not exist; run `mkdir -p ", "/nowhere`"][..]),
        ("words/hosts", &["words/hosts cannot be read: Not a directory"]),
        ("/proc/homing.hosts", &["/proc/homing.hosts cannot be written"]),
        ("state", &["state cannot be read: it is a directory; write the name of a file in it"]),
    ] {
        let home = in_file("box.lan", path);
        home.write("words", "not a directory\n", 0o600);
        let ran = home.once();
        judge(&home, &ran, 75, &["box.lan: deferred, a file could not be written", "fix: "]);
        judge(&home, &ran, 75, words);
        assert_eq!(home.run(&["status"]).code, 75);
    }
}

#[test]
fn a_hosts_file_that_is_something_else_is_not_touched() {
    let home = in_file("box.lan", "hosts");
    let picture: &[u8] = b"\x89PNG\r\n\x1a\n\xff\xfe";
    fs::write(home.path("hosts"), picture).unwrap();
    judge(&home, &home.once(), 75, &["hosts", "UTF-8"]);
    assert_eq!(fs::read(home.path("hosts")).unwrap(), picture);
}

#[test]
fn a_hosts_file_on_a_full_disk_stays_whole() {
    let test = "a_hosts_file_on_a_full_disk_stays_whole";
    let home = in_file("box.lan", "disk/hosts");
    let script = "mkdir disk; mount -t tmpfs -o size=32k none disk
        echo 10.0.0.9 nas.lan >disk/hosts; cp disk/hosts before
        cat /dev/zero >disk/ballast 2>/dev/null || true
        code=0; $HOMING --once || code=$?
        cmp before disk/hosts
        ls disk; exit $code";
    let Some(ran) = with_mounts(test, &home, script) else { return };
    judge(&home, &ran, 75, &["No space left on device", "fix: ", "ballast\nhosts\n"]);
}

#[test]
fn a_wildcard_in_a_hosts_file_is_refused() {
    let home = in_file("*.box.lan", "hosts");
    let ran = home.once();
    judge(&home, &ran, 78, &["host[1].name", "a hosts file cannot hold a wildcard; write each"]);
    assert!(!home.path("hosts").exists());
}

#[test]
fn a_foreign_line_with_the_same_name_is_told_when_something_is_written_and_by_check() {
    let home = in_file("box.lan", "hosts");
    home.write("hosts", "10.0.0.1 box.lan\n", 0o600);
    let words = ["hosts:1 also has the host", "remove that line"];
    judge(&home, &home.run(&["check"]), 0, &words);
    judge(&home, &home.once(), 0, &words);
    assert!(home.read("hosts").starts_with("10.0.0.1 box.lan\n"));
    judge(&home, &home.run(&["check"]), 0, &words);
    assert_eq!(home.once().out, "", "cron mails it once");
}

#[test]
fn a_hosts_file_tells_a_lost_state_what_is_right() {
    let home = in_file("box.lan", "hosts");
    judge(&home, &home.once(), 0, &["updated"]);
    let written = home.read("hosts");
    fs::remove_file(home.path("state/state.json")).unwrap();
    for _ in 0..2 {
        assert_eq!(home.once().out, "", "nothing changed, so cron mails nothing");
    }
    judge(&home, &home.run(&["status"]), 0, &["198.51.100.7", "2001:db8::7"]);
    assert_eq!(home.read("hosts"), written);
}

#[test]
fn a_pipe_in_the_place_of_a_hosts_file_keeps_nobody_waiting() {
    let home = in_file("box.lan", "hosts");
    let made = Command::new("mkfifo").arg(home.path("hosts")).status().unwrap();
    assert!(made.success());
    let mut child = home.command(&["--once"]).spawn().unwrap();
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() && begun.elapsed() < Duration::from_secs(5) {
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    let ran = child.wait_with_output().unwrap().into();
    judge(&home, &ran, 75, &["it is not a hosts file"]);
}

// What scripts read.

/// `text` with every moment replaced by `T`.
fn timeless(text: &str) -> String {
    let is_moment = |word: &str| {
        word.len() == 20
            && word.ends_with('Z')
            && word.as_bytes()[10] == b'T'
            && word.starts_with("20")
    };
    let words = text.trim().split('"').map(|word| if is_moment(word) { "T" } else { word });
    words.collect::<Vec<_>>().join("\"")
}

#[test]
fn the_status_has_the_form_that_scripts_rely_on() {
    let other = host(DEV2, "token-file = \"wrong\"");
    let scene = Scene::new(&(host(DEV1, "refresh = \"20d\"") + &other));
    scene.home.secret("wrong", "s3cret-of-nobody");
    scene.reconfigure("pace", "zone = \"dyn.example.com\"\npace");
    let shown = |code: i32| {
        let ran = scene.check_run(&["status", "--json"], code, 0, &[]);
        assert_eq!(ran.err, "");
        timeless(&ran.out)
    };
    let nothing = |host: &str| {
        let record = r#"{"set":null,"since":null}"#;
        format!(
            r#"{{"host":"{host}","provider":"sandbox","ipv4":{record},"ipv6":{record},"outcome":null,"hold":null,"refresh":null,"expires":null}}"#
        )
    };
    let (one, two) = (nothing(DEV1), nothing(DEV2));
    let whole =
        format!(r#"{{"version":1,"at":"T","daemon":"none","hosts":[{one},{two}],"services":[]}}"#);
    assert_eq!(shown(75), whole);
    scene.check(77, 2, &["the credential is refused"]);
    let ours = r#""provider":"sandbox","ipv4":{"set":["198.51.100.7"],"since":"T"},"ipv6":{"set":["2001:db8::7"],"since":"T"},"outcome":"updated","hold":null,"refresh":"T","expires":null"#;
    let told = shown(77);
    assert!(told.contains(&format!(r#"{{"host":"{DEV1}",{ours}}}"#)), "{told}");
    for held in [
        r#""outcome":"rejected","hold":{"kind":"rejected","reason":"credential","until":null,"#,
        r#""words":"the credential is refused","detail":""#,
        r#""fix":""#,
    ] {
        assert!(told.contains(held), "{held}: {told}");
    }
}

/// Only a hint: whoever has such a secret knows better.
#[test]
fn check_hints_at_what_is_hardly_a_secret_and_refuses_nothing() {
    let config = |server: &str| {
        format!(
            "[provider.sandbox]\nprotocol = \"desec\"\nserver = \"{server}\"\n\n[source.here]\n\
             static = [\"198.51.100.7\"]\nallow-private = true\n\n[[host]]\n\
             name = \"dev1.dyn.example.com\"\nprovider = \"sandbox\"\ntoken-file = \"token\"\n\
             ipv4 = \"here\"\nipv6 = \"off\"\n"
        )
    };
    let home = Home::new(&config("http://127.0.0.1:9"));
    for (secret, hint) in [
        ("\"s3cret-of-dev1\"", "hint: the content of "),
        ("Token s3cret", "begins with a word that is not part of it"),
        ("YOUR_TOKEN", "looks like a placeholder from an example"),
        ("6be0a87c-0d9a-4228-a3c5-ed5d33f4a807", "looks like a token's id"),
        ("s3cret+of", "contains a character that no token of this provider has"),
        ("s3cret-of-dev1", ""),
    ] {
        home.secret("token", secret);
        let ran = home.run(&["check"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert_eq!(ran.out.contains("hint: "), !hint.is_empty(), "{secret}: {ran:?}");
        assert!(ran.out.contains(hint) && !ran.out.contains(secret), "{secret}: {ran:?}");
    }
}

// What an API answers that an entry describes.

/// A provider of one's own whose records are listed page by page, made and changed, at the path whose
/// answers the sandbox is told.
fn of_entry() -> Scene {
    const ENTRY: &str = r#"
headers = ["Authorization: Bearer {secret}"]
list = { get = "/api/v1/dyndns/update?type={type}", at = "rows", id = "id", name = "name", type = "type", value = "value", next = "next as " }
create = { post = "/api/v1/dyndns/update", json = '{"name":"{host}","type":"{type}","value":"{address}"}' }
change = { patch = "/api/v1/dyndns/update?id={id}", json = '{"value":"{address}"}' }
"#;
    let hosts = host(DEV1, "ipv6 = \"off\"");
    let scene = Scene::new(&hosts);
    let lines = format!("api-url = \"{}\"\npace = \"off\"{ENTRY}", scene.sandbox.url());
    scene.home.configure(&config("http", &lines, &hosts));
    scene
}

/// After `answer` to the list nothing is written, nothing is in doubt, and the next try succeeds.
#[track_caller]
fn unread(answer: Answer, words: &[&str]) {
    let scene = of_entry();
    scene.sandbox.answer_next(Scripted::answer(answer));
    let told = [DEV1, "deferred, the provider's records cannot be read", "fix: "];
    scene.check(75, 1, &[&told[..], words].concat());
    let state = scene.home.read("state/state.json");
    assert!(!state.contains("\"sent\""), "{words:?}: {state}");
    scene.sandbox.answer_next(Scripted::answer(Answer::json(200, r#"{"rows":[]}"#)));
    scene.sandbox.answer_next(Scripted::answer(Answer::json(201, "{}")));
    scene.check_run(&["--once", "--retry-rejected"], 0, 2, &["updated"]);
}

#[test]
fn a_list_that_cannot_be_read_is_never_an_empty_one() {
    let no_tree = "list: is neither JSON nor XML";
    let no_list = "list: the answer has no list where the entry expects it";
    let deep = format!("{{\"rows\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    unread(Answer::json(200, &deep), &[no_tree]);
    let typed = "<!DOCTYPE r [<!ENTITY a \"b\">]><r><rows>&a;</rows></r>";
    unread(Answer::new(200, "application/xml", typed), &[no_tree]);
    let no_text = b"{\"rows\":[\"\xff\xfe\"]}".to_vec();
    unread(Answer { body: no_text, ..Answer::json(200, "") }, &[no_tree]);
    for body in ["{\"rows\":[{\"id\":1e999}]}", "{\"rows\":[{\"id\":1", "<html>log in</html>"] {
        unread(Answer::json(200, body), &[no_tree]);
    }
    let unnamed = r#"{"rows":[{"id":1,"hostname":"dev1.dyn.example.com"}]}"#;
    for body in ["", "{\"other\":[]}", "[]", unnamed] {
        unread(Answer::json(200, body), &[no_list]);
    }
    unread(Answer::empty(204), &[no_list]);
    unread(Answer::json(500, "{}"), &["list: HTTP 500"]);
    unread(Answer::nginx(404), &["list: HTTP 404 with a web page"]);
    let away = r#"{"rows":[],"next":"https://elsewhere.example/records"}"#;
    unread(Answer::json(200, away), &["list: its next page is on another server"]);
    let circle = r#"{"rows":[],"next":"/api/v1/dyndns/update?type=A"}"#;
    unread(Answer::json(200, circle), &["list: its pages form a circle"]);
}

#[test]
fn a_list_that_leads_elsewhere_is_not_followed_with_a_credential() {
    let elsewhere = Server::plain(|c| reply(c, "200 OK", "{\"rows\":[]}"));
    let place = elsewhere.url("/records");
    unread(Answer::text(302, "").with("Location", &place), &["list: HTTP 302, which leads to"]);
    let next = json!({ "rows": [], "next": place }).to_string();
    unread(Answer::json(200, &next), &["list: its next page is on another server"]);
    assert_eq!(elsewhere.connections(), 0);
}

#[test]
fn a_write_without_a_clear_answer_is_a_doubt_and_is_looked_at_first() {
    let row =
        r#"{"rows":[{"id":7,"name":"dev1.dyn.example.com","type":"A","value":"198.51.100.7"}]}"#;
    for answer in [
        Answer::text(200, "fine"),
        Answer::nginx(200),
        Answer::nginx(502),
        Answer::text(302, "").with("Location", "/login"),
        Answer::json(200, "{\"torn"),
    ] {
        let scene = of_entry();
        scene.sandbox.answer_next(Scripted::answer(Answer::json(200, r#"{"rows":[]}"#)));
        scene.sandbox.answer_next(Scripted::answer(answer));
        scene.check(75, 2, &[DEV1, "could not confirm", "create: HTTP "]);
        assert!(scene.home.read("state/state.json").contains("\"sent\""));
        scene.sandbox.answer_next(Scripted::answer(Answer::json(200, row)));
        scene.check_run(&["--once", "--retry-rejected"], 0, 1, &["unchanged"]);
    }
}
