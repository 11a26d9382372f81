//! Verifying at the zone's own servers: real BIND, and a scripted server for odd answers.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{home, name_servers, netns};
use home::{Home, Ran, Signal, wait_until};
use name_servers::{Grant, Kind, NameServer, ZONE, lacking};

const DEV1: &str = "dev1.dyn.example.com";

/// A BIND that takes updates of [`DEV1`]; `None` where there is none.
fn bind(test: &str, records: &str) -> Option<NameServer> {
    if let Some(lacking) = lacking(Kind::Bind) {
        name_servers::skip(test, lacking);
        return None;
    }
    Some(NameServer::start(Kind::Bind, records, &[Grant::of("dev1", &[DEV1])]))
}

/// A home whose host is at `server`, with `servers` to verify at and `more` lines.
fn home(server: &NameServer, servers: &[&str], more: &str) -> Home {
    let home = Home::new(&config(server, servers, more));
    home.write("dev1.key", &Grant::of("dev1", &[]).key_file(), 0o600);
    home
}

fn config(server: &NameServer, servers: &[&str], more: &str) -> String {
    let own = server.address();
    let servers = if servers.is_empty() { &[own.as_str()][..] } else { servers };
    format!(
        "[provider.own]\nprotocol = \"rfc2136\"\nserver = \"{own}\"\n\n\
         [source.here]\nstatic = [\"198.51.100.7\", \"2001:db8::7\"]\nallow-private = true\n\n\
         [[host]]\nname = \"{DEV1}\"\nprovider = \"own\"\nkey-file = \"dev1.key\"\n\
         ipv4 = \"here\"\nipv6 = \"here\"\nverify-servers = [\"{}\"]\n{more}",
        servers.join("\", \"")
    )
}

#[track_caller]
fn expect(ran: &Ran, code: i32, words: &str) {
    assert!(ran.code == code && ran.out.contains(words), "{words:?} in {ran:#?}");
}

fn serial(server: &NameServer) -> String {
    server.dig(ZONE, "SOA").concat()
}

/// What `status --json` says of the host's verification.
fn verified(home: &Home) -> serde_json::Value {
    let ran = home.run(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    status["hosts"][0]["verified"].clone()
}

#[test]
fn an_update_is_verified_and_status_says_how_long_that_took() {
    let Some(server) = bind("an_update_is_verified_and_status_says_how_long_that_took", "") else {
        return;
    };
    let home = home(&server, &[], "");
    let ran = home.once();
    expect(&ran, 0, "updated");
    expect(&ran, 0, "verified at 1 server in 0.");
    expect(&home.run(&["status"]), 0, "verified at 1 server in 0.");
    let verified = verified(&home);
    assert_eq!((&verified["servers"], &verified["wrong"]), (&1.into(), &serde_json::Value::Null));
    assert!(verified["took"].is_number(), "{verified}");
    // Nothing is new: nothing is said, nothing is written.
    let state = home.read("state/state.json");
    let ran = home.once();
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "", ""));
    assert_eq!(home.read("state/state.json"), state);
}

#[test]
fn the_servers_that_the_zone_names_are_asked_where_none_are_given() {
    let test = "the_servers_that_the_zone_names_are_asked_where_none_are_given";
    let Some(server) = bind(test, "") else { return };
    let home = home(&server, &[], "");
    let all = config(&server, &[], "");
    let without: Vec<_> = all.lines().filter(|line| !line.starts_with("verify-servers")).collect();
    home.configure(&without.join("\n"));
    // Its one NS cannot be found, and that is no fault.
    let ran = home.once();
    expect(&ran, 0, "verified at 1 server in 0.");
    expect(&ran, 0, "; ns1.dyn.example.com:53 cannot be found: the name ns1.dyn.example.com");
}

#[test]
fn a_server_that_stays_behind_earns_one_repeat() {
    let test = "a_server_that_stays_behind_earns_one_repeat";
    let (Some(server), Some(copy)) = (bind(test, ""), bind(test, "")) else { return };
    let home = home(&server, &[&copy.address()], "verify-timeout = \"1s\"\n");
    let ran = home.once();
    let behind = format!("not verified: {} answers no IPv4, no IPv6", copy.address());
    expect(&ran, 0, &behind);
    expect(&home.run(&["status"]), 0, &behind);
    let before = serial(&server);
    // BIND keeps the serial where an update changes nothing, so the words are the witness.
    let ran = home.once();
    expect(&ran, 0, "updated");
    assert_eq!(serial(&server), before);
    let third = home.once();
    assert_eq!((third.code, third.out.as_str()), (0, ""), "{third:#?}");
    // It has heard of it at last.
    copy.replace(DEV1, "A", "198.51.100.7");
    copy.replace(DEV1, "AAAA", "2001:db8::7");
    expect(&home.once(), 0, "the zone's servers have the right addresses again");
    assert_eq!(verified(&home)["servers"], 2);
}

#[test]
fn a_server_that_is_late_is_waited_for() {
    let test = "a_server_that_is_late_is_waited_for";
    let (Some(server), Some(copy)) = (bind(test, ""), bind(test, "")) else { return };
    let home = home(&server, &[&copy.address()], "verify-timeout = \"30s\"\n");
    let ran = std::thread::scope(|scope| {
        let ran = scope.spawn(|| home.once());
        wait_until("update", || !server.dig(DEV1, "AAAA").is_empty(), String::new);
        copy.replace(DEV1, "A", "198.51.100.7");
        copy.replace(DEV1, "AAAA", "2001:db8::7");
        ran.join().unwrap()
    });
    expect(&ran, 0, "verified at 2 servers in ");
}

#[test]
fn servers_that_tell_nothing_are_a_report() {
    let test = "servers_that_tell_nothing_are_a_report";
    let Some(server) = bind(test, "") else { return };
    // Nobody is there. A port that was free a moment ago may be another test's by now.
    let dead = "127.0.0.1:9";
    for (flags, words) in [
        (0x8005, "refuses to answer (REFUSED)"),
        (0x8000, "is not authoritative for the name"),
        (0x8402, "cannot find the answer (SERVFAIL)"),
    ] {
        let odd = Scripted::start(flags, b"");
        let home = home(&server, &[dead, &odd.address], "");
        let ran = home.once();
        expect(&ran, 0, "verified at 1 server in 0.");
        expect(&ran, 0, &format!("{dead} refuses the connection"));
        expect(&ran, 0, &format!("{} {words}", odd.address));
        server.remove(DEV1);
    }
}

#[test]
fn a_silent_server_is_found_silent_once_for_all_hosts() {
    let test = "a_silent_server_is_found_silent_once_for_all_hosts";
    if let Some(lacking) = lacking(Kind::Bind) {
        return name_servers::skip(test, lacking);
    }
    let hosts: Vec<String> = (0..40).map(|number| format!("host{number}.{ZONE}")).collect();
    let names: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let server = NameServer::start(Kind::Bind, "", &[Grant::of("dev1", &names)]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let silent = socket.local_addr().unwrap().to_string();
    let home = home(&server, &[&silent], "verify-timeout = \"5m\"\n");
    let list = format!("[\"{}\"]", names.join("\", \""));
    let all = config(&server, &[&silent], "verify-timeout = \"5m\"\n");
    home.configure(&all.replace(&format!("\"{DEV1}\""), &list));
    let ran = home.once();
    assert_eq!(ran.out.matches("verified at 1 server in").count(), 40, "{ran:#?}");
    // The kernel kept what was asked. At most sixteen hosts ask at a time, three times each; hosts whose
    // updates are answered later find it by themselves. Without one finding for several, each of the forty
    // would ask.
    socket.set_nonblocking(true).unwrap();
    let asked = std::iter::from_fn(|| socket.recv(&mut [0; 512]).ok()).count();
    assert!((1..40 * 3).contains(&asked), "{asked} questions");
}

#[test]
fn another_address_by_a_proxy_is_a_report() {
    let test = "another_address_by_a_proxy_is_a_report";
    let Some(server) = bind(test, "") else { return };
    // 192.0.2.99, whatever is asked.
    let proxy = Scripted::start(
        0x8400,
        b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x63",
    );
    let more = "verify-timeout = \"5s\"\n";
    let home = home(&server, &[&proxy.address], more);
    let configuration = config(&server, &[&proxy.address], more);
    home.configure(&configuration.replace("ipv6 = \"here\"", "ipv6 = \"off\""));
    let words = format!("{} answers IPv4 192.0.2.99", proxy.address);
    expect(&home.once(), 0, &words);
    for _ in 0..2 {
        let ran = home.once();
        assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "", ""));
    }
    assert_eq!(home.run(&["status"]).code, 0);
    assert_eq!(verified(&home)["took"], serde_json::Value::Null);
}

#[test]
fn without_a_state_nothing_is_sent_where_the_records_are_right() {
    let test = "without_a_state_nothing_is_sent_where_the_records_are_right";
    let records = "dev1 A 198.51.100.7\ndev1 AAAA 2001:db8::7\n";
    let Some(server) = bind(test, records) else { return };
    let home = home(&server, &[], "");
    // A key that the server does not take: whatever is sent is refused.
    home.write("dev1.key", &Grant::of("nobody", &[]).key_file(), 0o600);
    expect(&home.once(), 0, "unchanged, the provider had it already");
    assert_eq!(home.once().out, "");
    // Neither is taken for the other: one record that differs, and it is sent.
    let moved = config(&server, &[], "").replace("2001:db8::7", "2001:db8::8");
    home.configure(&moved);
    std::fs::remove_dir_all(home.path("state")).unwrap();
    assert_eq!(home.once().code, 77);
}

#[test]
fn a_drift_is_put_right_once() {
    let Some(server) = bind("a_drift_is_put_right_once", "") else { return };
    let home = home(&server, &[], "");
    expect(&home.once(), 0, "updated");
    server.replace(DEV1, "A", "192.0.2.99");
    let words = format!("{} answers IPv4 192.0.2.99", server.address());
    let ran = home.once();
    expect(&ran, 0, &format!("changed by somebody else: {words}; corrected once"));
    expect(&ran, 0, "verified at 1 server");
    assert_eq!(server.dig(DEV1, "A"), ["198.51.100.7"]);
    server.replace(DEV1, "A", "192.0.2.99");
    expect(&home.once(), 0, "unchanged, because it was corrected within the last day");
    expect(&home.run(&["status"]), 0, &format!("not verified: {words}"));
    let ran = home.once();
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "told once");
    assert_eq!(server.dig(DEV1, "A"), ["192.0.2.99"]);
}

#[test]
fn a_drift_is_left_without_take_over() {
    let Some(server) = bind("a_drift_is_left_without_take_over", "") else { return };
    let home = home(&server, &[], "take-over = false\n");
    expect(&home.once(), 0, "updated");
    server.replace(DEV1, "A", "192.0.2.99");
    expect(&home.once(), 0, "unchanged, because take-over is false");
    assert_eq!(home.once().out, "");
    assert_eq!(server.dig(DEV1, "A"), ["192.0.2.99"]);
}

#[test]
fn the_daemon_verifies_and_puts_right_at_its_poll_and_not_more_often() {
    let test = "the_daemon_verifies_and_puts_right_at_its_poll_and_not_more_often";
    let Some(server) = bind(test, "") else { return };
    let home = home(&server, &[], "");
    expect(&home.once(), 0, "updated");
    server.replace(DEV1, "AAAA", "2001:db8::99");
    let daemon = home.daemon();
    daemon.wait_for("changed by somebody else");
    daemon.wait_for("verified at the zone's servers");
    assert_eq!(server.dig(DEV1, "AAAA"), ["2001:db8::7"]);
    // A round before the next poll does not look.
    server.replace(DEV1, "AAAA", "2001:db8::99");
    let rounds = |log: &str| log.matches("the round is over").count();
    let before = rounds(&daemon.log());
    daemon.signal(Signal::USR1);
    daemon.wait_until("round", |log| rounds(log) > before);
    assert_eq!(daemon.log().matches("changed by somebody else").count(), 1, "{}", daemon.log());
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.end().0, 0);
}

#[test]
fn the_daemon_repeats_an_update_by_itself_and_stops_at_once() {
    let test = "the_daemon_repeats_an_update_by_itself_and_stops_at_once";
    let (Some(server), Some(copy)) = (bind(test, ""), bind(test, "")) else { return };
    let home = home(&server, &[&copy.address()], "verify-timeout = \"1s\"\n");
    let daemon = home.daemon();
    daemon.wait_for("not verified at the zone's servers");
    daemon.wait_for("a server of the zone does not have it");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.end().0, 0);
    // With all the time of the world, a signal ends the wait.
    home.configure(
        &config(&server, &[&copy.address()], "verify-timeout = \"5m\"\n")
            .replace("198.51.100.7", "198.51.100.8"),
    );
    let daemon = home.daemon();
    wait_until("update", || server.dig(DEV1, "A") == ["198.51.100.8"], || daemon.log());
    daemon.signal(Signal::TERM);
    let (code, took) = daemon.end();
    // Sooner than the time for last words is over.
    assert!(code == 0 && took.as_millis() < 3500, "{code} {took:?}");
}

#[test]
fn servers_are_asked_for_what_they_hold_themselves_and_only_of_who_wants_it() {
    let test = "servers_are_asked_for_what_they_hold_themselves_and_only_of_who_wants_it";
    let Some(server) = bind(test, "") else { return };
    let other = Scripted::start(0x8400, b"");
    let more = "verify-timeout = \"1s\"\n";
    let home = home(&server, &[&other.address], more);
    let all = config(&server, &[&other.address], more);
    let without: Vec<_> = all.lines().filter(|line| !line.starts_with("verify")).collect();
    home.configure(&(without.join("\n") + "\nverify = false\n"));
    expect(&home.once(), 0, "updated");
    assert_eq!((other.asked(), verified(&home)), (0, serde_json::Value::Null));
    home.configure(&all);
    home.once();
    assert!(other.asked() > 0);
    assert_eq!(other.recursive.load(Ordering::Relaxed), 0, "no cache is asked");
}

#[test]
fn the_servers_of_a_zone_are_found_by_the_systems_resolver() {
    let test = "the_servers_of_a_zone_are_found_by_the_systems_resolver";
    if let Some(lacking) = lacking(Kind::Bind) {
        return name_servers::skip(test, lacking);
    }
    netns::in_namespace(test, || {
        netns::ip("link set lo up");
        let grants = [Grant::of("dev1", &[DEV1])];
        let server = NameServer::start_on(53, Kind::Bind, "", &grants, Vec::new());
        let provider = TcpListener::bind("127.0.0.1:0").unwrap();
        let home = Home::new(&format!(
            "[provider.web]\nprotocol = \"dyndns2\"\nserver = \"http://{}\"\n\
             [source.here]\nstatic = \"198.51.100.7\"\nallow-private = true\n\
             [[host]]\nname = \"{DEV1}\"\nprovider = \"web\"\nusername = \"me\"\n\
             password-file = \"password\"\nipv4 = \"here\"\nipv6 = \"off\"\nverify = true\n",
            provider.local_addr().unwrap()
        ));
        home.secret("password", "s3cret");
        // The mounts of `ip netns exec` are its own.
        home.write("resolv.conf", "nameserver 127.0.0.1\n", 0o644);
        let mut mount = Command::new("mount");
        mount.arg("--bind").arg(home.path("resolv.conf")).arg("/etc/resolv.conf");
        assert!(mount.status().unwrap().success());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut stream, _) = provider.accept().unwrap();
                let mut buffer = [0; 4096];
                assert!(stream.read(&mut buffer).unwrap() > 0);
                server.replace(DEV1, "A", "198.51.100.7");
                let answer =
                    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\ngood";
                stream.write_all(answer.as_bytes()).unwrap();
            });
            let ran = home.once();
            expect(&ran, 0, "updated");
            expect(&ran, 0, "verified at 1 server in ");
        });
        server.replace(DEV1, "A", "192.0.2.99");
        // Nobody answers for the provider now: what was found is told all the same.
        drop(provider);
        let ran = home.once();
        let words = "ns1.dyn.example.com:53 answers IPv4 192.0.2.99; corrected once";
        expect(&ran, 75, words);
    });
}

/// A server that gives every question the same answer.
struct Scripted {
    address: String,
    asked: Arc<AtomicUsize>,
    /// How many wanted recursion.
    recursive: Arc<AtomicUsize>,
}

impl Scripted {
    /// Answers with these `flags`, and with `record` as the answer unless that is empty.
    fn start(flags: u16, record: &'static [u8]) -> Self {
        let (socket, listener) = name_servers::bound();
        // Over TCP it says nothing. Another test's server at this port would let the program wait.
        std::thread::spawn(move || listener.incoming().for_each(drop));
        let address = socket.local_addr().unwrap().to_string();
        let (asked, recursive) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let counts = (Arc::clone(&asked), Arc::clone(&recursive));
        std::thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                counts.0.fetch_add(1, Ordering::Relaxed);
                counts.1.fetch_add(usize::from(buffer[2] & 1), Ordering::Relaxed);
                let mut answer = buffer[..length].to_vec();
                answer[2..4].copy_from_slice(&flags.to_be_bytes());
                answer[7] = u8::from(!record.is_empty());
                answer.extend(record);
                socket.send_to(&answer, from).unwrap();
            }
        });
        Self { address, asked, recursive }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}
