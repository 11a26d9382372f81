//! Bad days of what lies outside: services that lie or are out of reach, names that do not resolve,
//! a clock that is not set. Nothing wrong is sent, and what is right follows as soon as it can.
#![cfg(target_os = "linux")]

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{clock, home, line, netns, sandbox, tls};
use clock::WallClock;
use home::{Daemon, Home, Signal, wait_until};
use line::{IPV4_FROM_WAN, Line, sandbox};
use netns::{in_namespace, ip, skip};
use tls::{Certificate, Server, reply, reply_with};

/// A host that publishes the IPv4 address that `servers` tell, on which `agree` must agree.
fn web(servers: &[&Server], agree: usize) -> String {
    let urls: Vec<_> = servers.iter().map(|server| server.url("/")).collect();
    format!("ipv4 = \"out\"\nipv6 = \"off\"\n[source.out]\nweb = {urls:?}\nagree = {agree}")
}

/// Checks that nothing was sent and that the log gives `reason`, in one line.
#[track_caller]
fn expect_silence(line: &Line, reason: &[&str]) {
    let is_told = |log: &str| {
        let mut lines = log.lines().filter(|line| line.contains("no address found"));
        lines.any(|line| reason.iter().all(|part| line.contains(part)))
    };
    line.daemon.wait_until(&format!("{reason:?}"), is_told);
    line.ask_for_a_round();
    assert_eq!(line.sandbox.requests().len(), 0);
    line.expect_status(75);
    let told = line.daemon.log().matches("no address found").count();
    assert_eq!(told, 1, "once, not at every round\n{}", line.daemon.log());
}

// (g) A captive portal answers for everybody.

/// Whether nobody has logged in at the portal.
static PORTAL: AtomicBool = AtomicBool::new(true);

/// What the service behind the portal says.
fn behind_the_portal(connection: &mut dyn tls::Connection, status: &str) -> std::io::Result<()> {
    if !PORTAL.load(Ordering::SeqCst) {
        return reply(connection, "200 OK", "8.8.8.8\n");
    }
    let page = "<!DOCTYPE html>\n<title>Welcome, 8.8.4.4!</title>\n";
    let headers = "Content-Type: text/html\r\nLocation: http://192.168.0.1/login\r\n";
    reply_with(connection, status, headers, page)
}

#[test]
fn a_captive_portal_is_not_believed_whatever_it_answers() {
    in_namespace("a_captive_portal_is_not_believed_whatever_it_answers", || {
        ip("link set lo up");
        let page = Server::plain(|connection| behind_the_portal(connection, "200 OK"));
        let redirect = Server::plain(|connection| behind_the_portal(connection, "302 Found"));
        let refusal = Server::plain(|connection| {
            behind_the_portal(connection, "511 Network Authentication Required")
        });
        let line = Line::start(&web(&[&page, &redirect, &refusal], 1));
        let reason = [
            format!("{} answers HTTP 200 with a web page", page.address),
            format!("{} redirects to another place (HTTP 302)", redirect.address),
            format!("{} answers HTTP 511", refusal.address),
        ];
        expect_silence(&line, &reason.each_ref().map(String::as_str));
        PORTAL.store(false, Ordering::SeqCst);
        line.ask_for_a_round();
        assert_eq!(line.sandbox.updates().len(), 1, "{}", line.daemon.log());
        assert_eq!(line.records()[0], ["8.8.8.8"]);
        line.expect_status(0);
    });
}

// (h) Services disagree.

#[test]
fn services_that_disagree_are_not_believed() {
    in_namespace("services_that_disagree_are_not_believed", || {
        ip("link set lo up");
        let one = Server::plain(|connection| reply(connection, "200 OK", "8.8.8.8\n"));
        let other = Server::plain(|connection| reply(connection, "200 OK", "8.8.4.4\n"));
        let line = Line::start(&web(&[&one, &other], 2));
        let reason = [
            "no 2 services agree on the IPv4 address".to_owned(),
            format!("{} says 8.8.8.8", one.address),
            format!("{} says 8.8.4.4", other.address),
        ];
        expect_silence(&line, &reason.each_ref().map(String::as_str));
    });
}

// (i) Carrier-grade NAT.

#[test]
fn carrier_grade_nat_is_told_once_and_a_source_named_by_hand_publishes() {
    let name = "carrier_grade_nat_is_told_once_and_a_source_named_by_hand_publishes";
    in_namespace(name, || {
        ip("addr add 100.64.0.9/10 dev wan");
        ip("route add default via 100.64.0.1 dev wan");
        ip("addr add 2a00:1450::9/64 dev wan nodad");
        ip("-6 route add default via 2a00:1450::1 dev wan");
        let line = Line::start("");
        line.expect_updates(1);
        line.daemon.wait_for("behind carrier-grade NAT");
        // Another address of the same kind, and rounds for other reasons.
        ip("addr add 100.64.0.10/10 dev wan");
        ip("route change default via 100.64.0.1 dev wan src 100.64.0.10");
        line.ask_for_a_round();
        line.expect_updates(1);
        let log = line.daemon.log();
        assert_eq!(log.matches("behind carrier-grade NAT").count(), 1, "{log}");
        assert_eq!(line.records(), [vec![], vec!["2a00:1450::9".to_owned()]]);
        line.expect_status(0);
        drop(line);
        let outside = Server::plain(|connection| reply(connection, "200 OK", "8.8.8.8\n"));
        let line = Line::start(&web(&[&outside], 1));
        line.expect_updates(1);
        assert_eq!(line.records()[0], ["8.8.8.8"]);
    });
}

// (j) Names do not resolve. (q) The network changes, and with it ends the wait for it.

/// The shortest wait after a third failure in a row: what comes before its end did not await it.
const THIRD_WAIT: Duration = Duration::from_secs(60);

/// Waits for the first failure, with these words, and makes two more.
#[track_caller]
fn fail_thrice(daemon: &Daemon, home: &Home, secret_file: &str, words: &str) {
    daemon.wait_until(words, |log| log.contains("update deferred") && log.contains(words));
    let secret = home.read(secret_file);
    // Another secret ends a wait at once; the last one is the first again.
    for (failures, secret) in [(2, "s3cret-of-another"), (3, secret.trim())] {
        home.secret(secret_file, secret);
        let is_noted =
            || home.read("state/state.json").contains(&format!("\"failures\": {failures}"));
        wait_until(&format!("failure {failures}"), is_noted, || home.read("state/state.json"));
    }
}

/// A daemon whose provider was out of reach three times, and is no more once there is a default
/// route, which is nothing that its source looks at.
fn out_of_reach(settle: &str) -> Line {
    ip("addr add 198.51.100.1/24 dev wan");
    let sandbox = sandbox();
    let server = sandbox.url().replace("0.0.0.0", "10.9.8.7");
    let provider = format!("plain-http = true\nserver = \"{server}\"");
    let line = Line::at(sandbox, settle, &provider, IPV4_FROM_WAN);
    fail_thrice(&line.daemon, &line.home, "token", "no route to");
    ip("addr add 10.9.8.7/32 dev lo");
    line
}

/// Checks that the wait is over long before its time.
#[track_caller]
fn is_reached(line: &Line) {
    let begun = Instant::now();
    wait_until("update", || !line.sandbox.updates().is_empty(), || line.daemon.log());
    assert!(begun.elapsed() < THIRD_WAIT / 2);
    line.daemon.wait_for("updated");
    line.expect_status(0);
}

#[test]
fn a_default_route_ends_the_wait_for_a_provider_that_was_out_of_reach() {
    in_namespace("a_default_route_ends_the_wait_for_a_provider_that_was_out_of_reach", || {
        let line = out_of_reach("");
        ip("route add default via 198.51.100.254 dev wan");
        is_reached(&line);
    });
}

#[test]
fn a_round_that_is_asked_for_while_the_network_changes_ends_the_wait_as_well() {
    let name = "a_round_that_is_asked_for_while_the_network_changes_ends_the_wait_as_well";
    in_namespace(name, || {
        // A script of the network's that sends USR1 is quicker than the quiet that is waited for.
        let line = out_of_reach("settle = \"1s\"");
        ip("route add default via 198.51.100.254 dev wan");
        line.daemon.signal(Signal::USR1);
        is_reached(&line);
    });
}

#[test]
fn a_wait_that_is_not_the_networks_outlasts_its_change() {
    in_namespace("a_wait_that_is_not_the_networks_outlasts_its_change", || {
        ip("addr add 198.51.100.1/24 dev wan");
        let sandbox = sandbox();
        sandbox.answer_next(sandbox::Scripted::answer(sandbox::Answer::nginx(503)));
        let line = Line::at(sandbox, "", "", IPV4_FROM_WAN);
        line.daemon.wait_for("update deferred");
        let updates = line.sandbox.updates().len();
        ip("route add default via 198.51.100.254 dev wan");
        ip("addr add 198.51.100.2/24 dev wan");
        line.expect_updates(updates);
        line.expect_status(75);
    });
}

#[test]
fn names_that_do_not_resolve_at_boot_are_asked_for_again_when_the_network_comes_up() {
    let name = "names_that_do_not_resolve_at_boot_are_asked_for_again_when_the_network_comes_up";
    in_namespace(name, || {
        ip("link set lo up");
        let server = Server::tls(Certificate::Good, |connection| {
            reply(connection, "200 OK", "good 198.51.100.7\n")
        });
        let home = dyndns2(&server, "provider.test");
        if !without_names(&home) {
            return skip(name, OWN_NAMES);
        }
        let daemon = home.daemon();
        fail_thrice(&daemon, &home, "password", "the name provider.test does not resolve");
        learn_names(&home);
        ip("addr add 198.51.100.1/24 dev wan");
        ip("route add default via 198.51.100.254 dev wan");
        let begun = Instant::now();
        daemon.wait_for("updated");
        assert!(begun.elapsed() < THIRD_WAIT / 2);
        assert_eq!(server.requests().len(), 1);
        assert_eq!(home.run(&["status"]).code, 0);
    });
}

/// What [`without_names`] needs.
const OWN_NAMES: &str = "may not put its own files in the place of /etc/hosts";

/// Puts the files `hosts` and `resolv.conf` of `home` in the place of the machine's, for this
/// namespace: no resolver answers, and `hosts` knows this machine alone.
fn without_names(home: &Home) -> bool {
    home.write("hosts", "127.0.0.1 localhost\n", 0o644);
    home.write("resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n", 0o644);
    ["hosts", "resolv.conf"].into_iter().all(|file| {
        let mut mount = Command::new("mount");
        mount.arg("--bind").arg(home.path(file)).arg(format!("/etc/{file}"));
        mount.status().is_ok_and(|status| status.success())
    })
}

/// Lets `provider.test` resolve from now on.
fn learn_names(home: &Home) {
    home.write("hosts", "127.0.0.1 localhost provider.test\n", 0o644);
}

#[test]
fn a_source_whose_name_does_not_resolve_at_boot_is_asked_again_before_the_interval_is_over() {
    let name =
        "a_source_whose_name_does_not_resolve_at_boot_is_asked_again_before_the_interval_is_over";
    in_namespace(name, || {
        ip("link set lo up");
        let server =
            Server::tls(Certificate::Good, |connection| reply(connection, "200 OK", "8.8.8.8\n"));
        let url = format!("https://provider.test:{}/", server.address.port());
        let source = "ipv4 = \"out\"\nipv6 = \"off\"\n[source.out]";
        let source = format!("{source}\nweb = {url:?}\nca-file = \"{}\"", server.ca_file.display());
        let sandbox = sandbox();
        let home = line::home(&sandbox, "", "", &source);
        if !without_names(&home) {
            return skip(name, OWN_NAMES);
        }
        let line = Line { daemon: home.daemon(), home, sandbox };
        line.daemon.wait_for("the name provider.test does not resolve");
        line.daemon.wait_for("the round is over");
        learn_names(&line.home);
        let begun = Instant::now();
        while line.sandbox.updates().is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(60), "{}", line.daemon.log());
            thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(line.rounds(), 2, "{}", line.daemon.log());
    });
}

/// A home whose host has a fixed address at `server`, which it knows by `name`.
fn dyndns2(server: &Server, name: &str) -> Home {
    let home = Home::new(&format!(
        "[provider.box]\nprotocol = \"dyndns2\"\nserver = \"https://{name}:{}\"\nca-file = \"{}\"\n\n\
         [source.here]\nstatic = \"198.51.100.7\"\nallow-private = true\n\n\
         [[host]]\nname = \"a.example\"\nprovider = \"box\"\nusername = \"me\"\n\
         password-file = \"password\"\nipv4 = \"here\"\nipv6 = \"off\"\n",
        server.address.port(),
        server.ca_file.display()
    ));
    home.secret("password", "s3cret-of-a");
    home
}

// (k) The clock is not set at boot.

#[test]
fn a_clock_that_is_not_set_is_waited_for_and_no_certificate_is_taken_on_trust() {
    let name = "a_clock_that_is_not_set_is_waited_for_and_no_certificate_is_taken_on_trust";
    let server = Server::tls(Certificate::Good, |connection| {
        reply(connection, "200 OK", "good 198.51.100.7\n")
    });
    let home = dyndns2(&server, "localhost");
    let Some(clock) = WallClock::new(&home) else { return skip(name, "needs a C compiler") };
    clock.set(Duration::from_secs(30));
    let mut command = home.command(&["-v"]);
    clock.show(&mut command);
    let daemon = home.daemon_of(command);
    daemon
        .wait_for("is not valid before 1975-01-01T00:00:00Z, and this machine's clock shows 1970-");
    daemon.wait_for("clock-not-set");
    daemon.wait_for("the round is over");
    // A jump is a reason to try at once, though this one leads to a wrong time again.
    clock.set(Duration::from_secs(400 * 24 * 60 * 60));
    clock.jump();
    daemon.wait_until("second round", |log| log.matches("the round is over").count() == 2);
    let log = daemon.log();
    let begun = log.lines().filter(|line| line.contains("a round begins")).nth(1).unwrap();
    assert!(begun.starts_with("1971-") && begun.contains("network_changed: true"), "{log}");
    assert_eq!(server.connections(), 2, "{log}");
    assert_eq!(server.requests().len(), 0, "not a word to a server that is not verified");
    // Where nobody tells of it, the next try finds it, within ten seconds.
    clock.set_right();
    let begun = Instant::now();
    while !daemon.log().contains("updated") {
        assert!(begun.elapsed() < Duration::from_secs(25), "{}", daemon.log());
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!((server.connections(), server.requests().len()), (3, 1));
    let state = home.read("state/state.json");
    assert!(!state.contains("\"197"), "no moment that never was: {state}");
}
