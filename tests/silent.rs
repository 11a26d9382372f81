//! No host waits for another one's provider: a provider that never answers delays no new address.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]
#![cfg(target_os = "linux")]

use std::fmt::Write as _;
use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use crate::support::{home, line, name_servers, netns};
use home::{Home, Signal, wait_until};
use line::HOST;
use name_servers::Grant;
use netns::{in_namespace, ip, own_etc};

/// The longest time from a change to its request: far less than the time that any silence lasts.
const SOON: Duration = Duration::from_secs(4);

/// A second name of the account.
const SECOND: &str = "dev2.dyn.example.com";

/// A way to be silent, with the settings of a provider and of a host there.
struct Silence {
    provider: String,
    host: &'static str,
    /// What is not to be answered, as long as it lives.
    _ear: Box<dyn std::any::Any>,
}

/// A server that takes connections and never says anything: over `scheme` a request or a handshake
/// hangs.
fn listener(scheme: &str) -> Silence {
    let ear = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("{scheme}://{}", ear.local_addr().unwrap());
    let provider = format!("protocol = \"dyndns2\"\nserver = \"{server}\"\nplain-http = true");
    Silence { provider, host: "username = \"u\"\npassword-file = \"other\"", _ear: Box::new(ear) }
}

/// A name server that hears questions and never answers.
fn name_server() -> Silence {
    let ear = UdpSocket::bind("127.0.0.1:0").unwrap();
    let tcp = TcpListener::bind(ear.local_addr().unwrap()).unwrap();
    let server = ear.local_addr().unwrap();
    let provider = format!("protocol = \"rfc2136\"\nserver = \"{server}\"");
    Silence { provider, host: "key-file = \"key\"", _ear: Box::new((ear, tcp)) }
}

/// Adds a host at each of `silences` to `home`, all with the address of `wan`.
fn add(home: &Home, silences: &[Silence]) {
    let mut config = home.read("config.toml");
    for (n, Silence { provider, host, .. }) in silences.iter().enumerate() {
        write!(
            config,
            "\n[provider.silent{n}]\n{provider}\n\n[[host]]\nname = \"h{n}.example.org\"\n\
             provider = \"silent{n}\"\n{host}\nipv4 = \"wan\"\nipv6 = \"off\"\n"
        )
        .unwrap();
    }
    home.configure(&config);
    home.secret("other", "s3cret-of-others");
    home.write("key", &Grant::of("dev1", &[]).key_file(), 0o600);
}

/// Checks that new addresses reach the sandbox at once while nobody else answers.
fn check(test: &str, silences: impl FnOnce(&Home) -> Vec<Silence>) {
    in_namespace(test, || {
        ip("addr add 198.51.100.1/32 dev wan");
        let sandbox = line::sandbox();
        let home = line::home(&sandbox, "", "", line::IPV4_FROM_WAN);
        let silences = silences(&home);
        add(&home, &silences);
        let daemon = home.daemon();
        wait_until("first update", || sandbox.updates().len() == 1, || daemon.log());
        for n in 2..=4 {
            let begun = Instant::now();
            ip(&format!("addr add 198.51.100.{n}/32 dev wan"));
            ip(&format!("addr del 198.51.100.{}/32 dev wan", n - 1));
            wait_until("update", || sandbox.updates().len() == n, || daemon.log());
            assert!(begun.elapsed() < SOON, "{:?}\n{}", begun.elapsed(), daemon.log());
        }
        assert_eq!(sandbox.records(HOST, "A"), ["198.51.100.4"]);
        wait_until(
            "log",
            || daemon.log().matches("updated host=dev1").count() == 4,
            || daemon.log(),
        );
        daemon.signal(Signal::TERM);
        let (code, took) = daemon.end();
        assert_eq!(code, 0);
        assert!(took < Duration::from_secs(5), "{took:?}");
    });
}

#[test]
fn a_silent_server_delays_no_other_host() {
    check("a_silent_server_delays_no_other_host", |_| vec![listener("http")]);
}

#[test]
fn fifty_silent_servers_delay_no_other_host() {
    check("fifty_silent_servers_delay_no_other_host", |_| {
        (0..50).map(|_| listener("http")).collect()
    });
}

#[test]
fn a_handshake_that_hangs_delays_no_other_host() {
    check("a_handshake_that_hangs_delays_no_other_host", |_| vec![listener("https")]);
}

#[test]
fn a_silent_name_server_delays_no_other_host() {
    check("a_silent_name_server_delays_no_other_host", |_| vec![name_server()]);
}

#[test]
fn a_name_that_nobody_resolves_delays_no_other_host() {
    check("a_name_that_nobody_resolves_delays_no_other_host", |home| {
        // A resolver that takes all questions and answers none.
        let ear = UdpSocket::bind("127.0.0.1:53").unwrap();
        let etc = own_etc(home);
        fs::write(etc.join("resolv.conf"), "nameserver 127.0.0.1\n").unwrap();
        let provider = "protocol = \"dyndns2\"\nserver = \"https://silent.example\"".to_owned();
        let host = "username = \"u\"\npassword-file = \"other\"";
        vec![Silence { provider, host, _ear: Box::new(ear) }]
    });
}

#[test]
fn a_verification_that_hangs_delays_no_other_host() {
    let test = "a_verification_that_hangs_delays_no_other_host";
    in_namespace(test, || {
        ip("addr add 198.51.100.1/32 dev wan");
        let sandbox = line::sandbox();
        // Its host has two names, and the servers of the second never answer.
        let ear = UdpSocket::bind("127.0.0.1:0").unwrap();
        let tcp = TcpListener::bind(ear.local_addr().unwrap()).unwrap();
        sandbox.with_account(|account| {
            account.add_host_token("dev2", "s3cret-of-dev2", &[SECOND]).unwrap();
        });
        let home = line::home(&sandbox, "", "", line::IPV4_FROM_WAN);
        let config = format!(
            "{}\n[[host]]\nname = \"{SECOND}\"\nprovider = \"sandbox\"\ntoken-file = \"second\"\n\
             verify = true\nverify-servers = [\"{}\"]\nverify-timeout = \"5m\"\n{}\n",
            home.read("config.toml"),
            ear.local_addr().unwrap(),
            line::IPV4_FROM_WAN
        );
        home.configure(&config);
        home.secret("second", "s3cret-of-dev2");
        let daemon = home.daemon();
        let updates = |host: &str| {
            let all = sandbox.updates();
            all.iter().filter(|update| update.parameter("hostname") == Some(host)).count()
        };
        for n in 1..=3 {
            let begun = Instant::now();
            if n > 1 {
                ip(&format!("addr add 198.51.100.{n}/32 dev wan"));
                ip(&format!("addr del 198.51.100.{}/32 dev wan", n - 1));
            }
            wait_until("update", || updates(HOST) == n, || daemon.log());
            assert!(begun.elapsed() < SOON, "{:?}\n{}", begun.elapsed(), daemon.log());
        }
        // Its first update waits until its servers were asked in vain, and has the newest address.
        wait_until("the other host's", || updates(SECOND) == 1, || daemon.log());
        assert_eq!(sandbox.records(SECOND, "A"), ["198.51.100.3"]);
        drop(tcp);
    });
}

#[test]
fn a_source_that_hangs_delays_no_host_that_does_not_need_it() {
    let test = "a_source_that_hangs_delays_no_host_that_does_not_need_it";
    in_namespace(test, || {
        ip("addr add 198.51.100.1/32 dev wan");
        let sandbox = line::sandbox();
        let ear = TcpListener::bind("127.0.0.1:0").unwrap();
        let home = line::home(&sandbox, "", "", line::IPV4_FROM_WAN);
        sandbox.with_account(|account| {
            account.add_host_token("dev2", "s3cret-of-dev2", &[SECOND]).unwrap();
        });
        let config = format!(
            "{}\n[source.silent]\nweb = \"http://{}/\"\n\n\
             [[host]]\nname = \"{SECOND}\"\nprovider = \"sandbox\"\ntoken-file = \"second\"\n\
             ipv4 = \"silent\"\nipv6 = \"off\"\n",
            home.read("config.toml"),
            ear.local_addr().unwrap(),
        );
        home.configure(&config);
        home.secret("second", "s3cret-of-dev2");
        let daemon = home.daemon();
        // The silent source is asked at the start alone, and waited for during all of this.
        for n in 1..=3 {
            let begun = Instant::now();
            if n > 1 {
                ip(&format!("addr add 198.51.100.{n}/32 dev wan"));
                ip(&format!("addr del 198.51.100.{}/32 dev wan", n - 1));
            }
            wait_until("update", || sandbox.updates().len() == n, || daemon.log());
            assert!(begun.elapsed() < SOON, "{:?}\n{}", begun.elapsed(), daemon.log());
        }
        assert!(!daemon.log().contains("did not answer"), "{}", daemon.log());
        assert_eq!(sandbox.records(HOST, "A"), ["198.51.100.3"]);
        wait_until(
            "the fault of the source",
            || daemon.log().contains("did not answer"),
            || daemon.log(),
        );
        // The answers come with the addresses of now, which were sent already.
        assert_eq!(sandbox.updates().len(), 3, "{}", daemon.log());
        daemon.signal(Signal::TERM);
        assert_eq!(daemon.end().0, 0);
    });
}
