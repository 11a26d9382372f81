//! Signed updates (RFC 2136) against real servers: BIND, Knot and PowerDNS, with dig as the witness.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

use std::fmt::Write as _;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use crate::support::{clock, home, name_servers};
use clock::WallClock;
use home::{Home, Ran};
use name_servers::{Grant, Kind, NameServer, SECRET, ZONE, lacking};

const DEV1: &str = "dev1.dyn.example.com";

/// Runs `body` with each of the servers, which grant the key `dev1` its own host.
fn with_each(test: &str, body: impl Fn(NameServer)) {
    for kind in Kind::ALL {
        if let Some(lacking) = lacking(kind) {
            name_servers::skip(test, lacking);
            continue;
        }
        body(NameServer::start(kind, "www A 192.0.2.80\n", &[Grant::of("dev1", &[DEV1])]));
    }
}

/// A home whose host `name` is at `server`, with the key `dev1` in a file.
fn home(server: &NameServer, name: &str, more: &str) -> Home {
    let home = Home::new(&config(server, name, more));
    home.write("dev1.key", &Grant::of("dev1", &[]).key_file(), 0o600);
    home
}

fn config(server: &NameServer, name: &str, more: &str) -> String {
    format!(
        "[provider.own]\nprotocol = \"rfc2136\"\nserver = \"{}\"\n\n\
         [source.here]\nstatic = [\"198.51.100.7\", \"2001:db8::7\"]\nallow-private = true\n\n\
         [[host]]\nname = \"{name}\"\nprovider = \"own\"\nkey-file = \"dev1.key\"\n\
         ipv4 = \"here\"\nipv6 = \"here\"\n{more}",
        server.address()
    )
}

#[track_caller]
fn expect(ran: &Ran, code: i32, words: &str) {
    assert!(ran.code == code && (ran.out.contains(words) || ran.err.contains(words)), "{ran:#?}");
}

#[test]
fn both_families_are_set_and_then_right() {
    with_each("both_families_are_set_and_then_right", |server| {
        let home = home(&server, DEV1, "");
        expect(&home.once(), 0, "updated");
        assert_eq!(server.dig(DEV1, "A"), ["198.51.100.7"], "{:?}", server.kind);
        assert_eq!(server.dig(DEV1, "AAAA"), ["2001:db8::7"]);
        assert_eq!(server.dig("www.dyn.example.com", "A"), ["192.0.2.80"], "nobody else's");
        expect(&home.once(), 0, "");
        let moved = config(&server, DEV1, "").replace("198.51.100.7", "198.51.100.8");
        home.configure(&moved);
        expect(&home.once(), 0, "updated");
        assert_eq!(server.dig(DEV1, "A"), ["198.51.100.8"]);
        assert_eq!(server.dig(DEV1, "AAAA"), ["2001:db8::7"]);
    });
}

#[test]
fn a_restricted_key_is_refused_on_a_neighbour() {
    with_each("a_restricted_key_is_refused_on_a_neighbour", |server| {
        let home = home(&server, "www.dyn.example.com", "ipv6 = \"off\"\n");
        home.configure(
            &config(&server, "www.dyn.example.com", "")
                .replace("ipv6 = \"here\"", "ipv6 = \"off\""),
        );
        let ran = home.once();
        match server.kind {
            Kind::Bind => expect(&ran, 77, "answers REFUSED"),
            Kind::Knot => expect(&ran, 77, "BADKEY: wrong key, or (Knot) not allowed"),
            // Its keys cannot be restricted.
            Kind::PowerDns => return expect(&ran, 0, "updated"),
        }
        assert_eq!(server.dig("www.dyn.example.com", "A"), ["192.0.2.80"]);
        // Parked: it is not asked again.
        expect(&home.once(), 77, "");
    });
}

#[test]
fn a_wrong_secret_and_an_unknown_key_are_told() {
    with_each("a_wrong_secret_and_an_unknown_key_are_told", |server| {
        let wrong = Grant { secret: SECRET.replace('a', "b"), ..Grant::of("dev1", &[]) };
        let unknown = Grant::of("nobody", &[]);
        for (grant, words) in [(wrong, "BADSIG"), (unknown, "BADKEY")] {
            let home = home(&server, DEV1, "");
            home.write("dev1.key", &grant.key_file(), 0o600);
            let words = match server.kind {
                Kind::PowerDns => "answers REFUSED without a signature",
                Kind::Bind | Kind::Knot => words,
            };
            expect(&home.once(), 77, words);
            assert!(server.dig(DEV1, "A").is_empty());
            // The right key ends the park.
            home.write("dev1.key", &Grant::of("dev1", &[]).key_file(), 0o600);
            expect(&home.once(), 0, "updated");
            drop(home);
            server.remove(DEV1);
        }
    });
}

#[test]
fn a_server_that_is_away_is_asked_again() {
    with_each("a_server_that_is_away_is_asked_again", |mut server| {
        let home = home(&server, DEV1, "");
        server.stop();
        expect(&home.once(), 75, "refuses the connection");
        server.run();
        expect(&home.run(&["--once", "--retry-rejected"]), 0, "updated");
        assert_eq!(server.dig(DEV1, "A"), ["198.51.100.7"]);
    });
}

#[test]
fn clocks_that_differ_are_told_and_nothing_is_parked() {
    let test = "clocks_that_differ_are_told_and_nothing_is_parked";
    for kind in Kind::ALL {
        let with_clock = Home::new("");
        let clock = WallClock::new(&with_clock);
        let (None, Some(clock)) = (lacking(kind), clock) else {
            name_servers::skip(test, lacking(kind).unwrap_or("needs a C compiler"));
            continue;
        };
        clock.show_behind(600);
        let grants = [Grant::of("dev1", &[DEV1])];
        let server = NameServer::start_with(kind, "", &grants, clock.environment());
        let home = home(&server, DEV1, "");
        let ran = home.once();
        match kind {
            Kind::Bind | Kind::Knot => expect(&ran, 75, "10 min behind this machine's (BADTIME)"),
            // It does not tell this from a wrong key.
            Kind::PowerDns => return expect(&ran, 77, "clocks that differ"),
        }
        assert!(server.dig(DEV1, "A").is_empty());
        assert!(home.run(&["status"]).out.contains("clock"), "{:?}", home.run(&["status"]));
    }
}

#[test]
fn a_clock_that_is_not_set_yet_parks_nobody() {
    with_each("a_clock_that_is_not_set_yet_parks_nobody", |server| {
        let home = home(&server, DEV1, "");
        let Some(clock) = WallClock::new(&home) else {
            return name_servers::skip("a_clock_that_is_not_set_yet_parks_nobody", "needs cc");
        };
        clock.set(Duration::from_secs(100));
        let mut command = home.command(&["-v"]);
        clock.show(&mut command);
        let daemon = home.daemon_of(command);
        daemon.wait_for("this machine's clock is not set");
        daemon.wait_for("the round is over");
        clock.set_right();
        clock.jump();
        daemon.wait_for("updated");
        assert_eq!(server.dig(DEV1, "A"), ["198.51.100.7"], "{:?}", server.kind);
    });
}

#[test]
fn nothing_is_taken_over_unless_that_is_allowed() {
    with_each("nothing_is_taken_over_unless_that_is_allowed", |server| {
        let home = home(&server, DEV1, "take-over = false\n");
        expect(&home.once(), 0, "updated");
        let moved = |last: &str| {
            let config = config(&server, DEV1, "take-over = false\n");
            home.configure(&config.replace("198.51.100.7", last));
        };
        moved("198.51.100.8");
        expect(&home.once(), 0, "updated");
        // An update whose answer was lost on the way: asked again, its own doing is in the way.
        server.replace(DEV1, "A", "198.51.100.10");
        moved("198.51.100.10");
        expect(&home.once(), 0, "updated");
        // Somebody else sets the record.
        server.replace(DEV1, "A", "192.0.2.99");
        moved("198.51.100.9");
        expect(&home.once(), 77, "somebody else has set");
        assert_eq!(server.dig(DEV1, "A"), ["192.0.2.99"]);
        // The other word ends the park.
        home.configure(&config(&server, DEV1, ""));
        expect(&home.once(), 0, "updated");
        assert_eq!(server.dig(DEV1, "A"), ["198.51.100.7"]);
    });
}

#[test]
fn a_zone_that_is_not_the_hosts_any_more_is_asked_for_again() {
    with_each("a_zone_that_is_not_the_hosts_any_more_is_asked_for_again", |server| {
        let home = home(&server, DEV1, "");
        expect(&home.once(), 0, "updated");
        let state = home.read("state/state.json");
        let other = state.replace("\"zone\": \"dyn.example.com\"", "\"zone\": \"example.com\"");
        assert_ne!(other, state);
        home.write("state/state.json", &other, 0o600);
        home.configure(&config(&server, DEV1, "").replace("198.51.100.7", "198.51.100.8"));
        expect(&home.once(), 77, "answers");
        expect(&home.run(&["--once", "--retry-rejected"]), 0, "updated");
        assert_eq!(server.dig(DEV1, "A"), ["198.51.100.8"]);
    });
}

#[test]
fn a_server_that_is_silent_keeps_one_host_waiting_and_not_all() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    silent.set_nonblocking(true).unwrap();
    let home = Home::new(&format!(
        "[provider.own]\nprotocol = \"rfc2136\"\nserver = \"{}\"\n\n\
         [source.here]\nstatic = \"198.51.100.7\"\nallow-private = true\n\n\
         [[host]]\nname = [\"{DEV1}\", \"dev2.{ZONE}\", \"dev3.{ZONE}\"]\nprovider = \"own\"\n\
         key-file = \"dev1.key\"\nipv4 = \"here\"\nipv6 = \"off\"\n",
        silent.local_addr().unwrap()
    ));
    home.write("dev1.key", &Grant::of("dev1", &[]).key_file(), 0o600);
    expect(&home.once(), 75, "not asked: a moment ago");
    let heard = std::iter::from_fn(|| silent.recv_from(&mut [0; 512]).ok()).count();
    assert_eq!(heard, 3, "the tries for one host");
}

#[test]
fn a_key_by_name_and_secret_file_serves_as_well() {
    with_each("a_key_by_name_and_secret_file_serves_as_well", |server| {
        let home = Home::new(&config(&server, DEV1, ""));
        expect(&home.once(), 78, "`homing token issue dev1.dyn.example.com` makes the key in it");
        let keyed = config(&server, DEV1, "ttl = 300\n").replace(
            "key-file = \"dev1.key\"",
            "key-name = \"dev1\"\nsecret-file = \"dev1.secret\"",
        );
        home.configure(&keyed);
        home.secret("dev1.secret", SECRET);
        expect(&home.once(), 0, "updated");
        assert_eq!(server.dig(DEV1, "A"), ["198.51.100.7"]);
    });
}

#[test]
fn two_hundred_hosts_of_a_large_zone_are_updated_in_one_round() {
    let test = "two_hundred_hosts_of_a_large_zone_are_updated_in_one_round";
    let mut records = String::new();
    for number in 0..10_000 {
        writeln!(records, "name{number} A 192.0.2.80").unwrap();
    }
    let hosts: Vec<String> = (0..200).map(|number| format!("host{number}.{ZONE}")).collect();
    let names: Vec<&str> = hosts.iter().map(String::as_str).collect();
    for kind in Kind::ALL {
        if let Some(lacking) = lacking(kind) {
            name_servers::skip(test, lacking);
            continue;
        }
        let server = NameServer::start(kind, &records, &[Grant::of("dev1", &names)]);
        let list = format!("[\"{}\"]", names.join("\", \""));
        let home = home(&server, DEV1, "");
        home.configure(&config(&server, DEV1, "").replace(&format!("\"{DEV1}\""), &list));
        let ran = home.once();
        assert_eq!(ran.code, 0, "{:?}: {}", kind, ran.err);
        for name in [names[0], names[19], names[20], names[199]] {
            assert_eq!(server.dig(name, "A"), ["198.51.100.7"], "{kind:?} {name}");
            assert_eq!(server.dig(name, "AAAA"), ["2001:db8::7"]);
        }
        assert_eq!(server.dig(&format!("name9999.{ZONE}"), "A"), ["192.0.2.80"]);
    }
}

#[test]
fn every_algorithm_is_understood_by_every_server() {
    let test = "every_algorithm_is_understood_by_every_server";
    for kind in Kind::ALL {
        if let Some(lacking) = lacking(kind) {
            name_servers::skip(test, lacking);
            continue;
        }
        for algorithm in ["hmac-sha1", "hmac-sha384", "hmac-sha512"] {
            let grant = Grant { algorithm, ..Grant::of("dev1", &[DEV1]) };
            let server = NameServer::start(kind, "", std::slice::from_ref(&grant));
            let home = home(&server, DEV1, "");
            home.write("dev1.key", &grant.key_file(), 0o600);
            expect(&home.once(), 0, "updated");
            assert_eq!(server.dig(DEV1, "A"), ["198.51.100.7"], "{kind:?} {algorithm}");
        }
    }
}

/// What stands before a name server: over TCP it hands everything on, by UDP it answers for it.
fn impostor(server: &NameServer, by_udp: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) -> SocketAddr {
    let (udp, tcp) = name_servers::bound();
    let (address, real) = (tcp.local_addr().unwrap(), server.address());
    thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = udp.recv_from(&mut buffer) {
            let answer = by_udp(&buffer[..length]);
            if !answer.is_empty() {
                let _ = udp.send_to(&answer, from);
            }
        }
    });
    thread::spawn(move || {
        for client in tcp.incoming().map_while(Result::ok) {
            let Ok(server) = TcpStream::connect(&real) else { continue };
            for (mut from, mut to) in
                [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)]
            {
                thread::spawn(move || {
                    let _ = io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Both);
                });
            }
        }
    });
    address
}

/// An answer to `query` with `rcode` and, if one is given, the error of a signature, by somebody who
/// has no key.
fn forged(query: &[u8], rcode: u8, error: Option<u16>) -> Vec<u8> {
    let name_end = 12 + query[12..].iter().position(|byte| *byte == 0).unwrap() + 1;
    let mut answer = query[..name_end + 4].to_vec();
    answer[2] |= 0x80;
    answer[3] = rcode;
    answer[6..12].fill(0);
    if let Some(error) = error {
        answer[11] = 1;
        answer.extend(b"\x04dev1\0\0\xfa\0\xff\0\0\0\0");
        let mut data = b"\x0bhmac-sha256\0".to_vec();
        data.extend([0, 0, 0x6a, 0, 0, 0, 1, 0x2c, 0, 0, query[0], query[1]]);
        data.extend(error.to_be_bytes());
        data.extend([0, 0]);
        answer.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        answer.extend(data);
    }
    answer
}

#[test]
fn what_nobody_signed_counts_only_over_tcp() {
    let test = "what_nobody_signed_counts_only_over_tcp";
    if let Some(lacking) = lacking(Kind::Bind) {
        return name_servers::skip(test, lacking);
    }
    let server = NameServer::start(Kind::Bind, "", &[Grant::of("dev1", &[DEV1])]);
    // BADSIG, BADKEY and BADTIME.
    for error in [None, Some(16), Some(17), Some(18)] {
        for rcode in [0, 1, 3, 5, 9] {
            let address = impostor(&server, move |query| forged(query, rcode, error));
            let home = home(&server, DEV1, "");
            let real = server.address();
            home.configure(&config(&server, DEV1, "").replace(&real, &address.to_string()));
            let ran = home.once();
            assert_eq!(ran.code, 0, "{rcode} {error:?}: {ran:#?}");
            assert_eq!(server.dig(DEV1, "A"), ["198.51.100.7"], "{rcode} {error:?}");
            server.remove(DEV1);
        }
    }
}

#[test]
fn an_error_of_the_key_that_is_confirmed_over_tcp_is_judged_as_it_is() {
    let test = "an_error_of_the_key_that_is_confirmed_over_tcp_is_judged_as_it_is";
    if let Some(lacking) = lacking(Kind::Bind) {
        return name_servers::skip(test, lacking);
    }
    let server = NameServer::start(Kind::Bind, "", &[Grant::of("dev1", &[DEV1])]);
    let address = impostor(&server, |query| forged(query, 0, Some(16)));
    let home = home(&server, DEV1, "");
    let wrong = Grant { secret: SECRET.replace('a', "b"), ..Grant::of("dev1", &[]) };
    home.write("dev1.key", &wrong.key_file(), 0o600);
    home.configure(&config(&server, DEV1, "").replace(&server.address(), &address.to_string()));
    expect(&home.once(), 77, "BADSIG");
}

#[test]
fn a_server_that_hears_only_tcp_is_asked_over_tcp() {
    let test = "a_server_that_hears_only_tcp_is_asked_over_tcp";
    if let Some(lacking) = lacking(Kind::Bind) {
        return name_servers::skip(test, lacking);
    }
    let server = NameServer::start(Kind::Bind, "", &[Grant::of("dev1", &[DEV1])]);
    let address = impostor(&server, |_| Vec::new());
    let zone = format!("zone = \"{ZONE}\"\n");
    let home = home(&server, DEV1, &zone);
    home.configure(&config(&server, DEV1, &zone).replace(&server.address(), &address.to_string()));
    expect(&home.once(), 0, "updated");
    assert_eq!(server.dig(DEV1, "A"), ["198.51.100.7"]);
}

#[test]
fn a_zone_that_is_frozen_for_a_moment_parks_nobody_who_wrote_it_before() {
    let test = "a_zone_that_is_frozen_for_a_moment_parks_nobody_who_wrote_it_before";
    if let Some(lacking) = lacking(Kind::Bind) {
        return name_servers::skip(test, lacking);
    }
    let dev2 = format!("dev2.{ZONE}");
    let server = NameServer::start(Kind::Bind, "", &[Grant::of("dev1", &[DEV1, &dev2])]);
    let both = format!("[\"{DEV1}\", \"{dev2}\"]");
    let hosts = |text: &str| text.replace(&format!("\"{DEV1}\""), &both);
    let home = home(&server, DEV1, "");
    home.configure(&hosts(&config(&server, DEV1, "")));
    expect(&home.once(), 0, "updated");
    server.rndc("freeze");
    let moved = hosts(&config(&server, DEV1, "")).replace("198.51.100.7", "198.51.100.8");
    home.configure(&moved);
    let ran = home.once();
    expect(&ran, 75, "the name server refuses updates for now");
    expect(&ran, 75, "answers REFUSED");
    expect(&home.run(&["status"]), 75, "refuses updates for now");
    expect(&home.once(), 75, "");
    server.rndc("thaw");
    expect(&home.run(&["--once", "--retry-rejected"]), 0, "updated");
    assert_eq!(server.dig(DEV1, "A"), ["198.51.100.8"]);
    assert_eq!(server.dig(&dev2, "A"), ["198.51.100.8"]);
    // Of a key that has never written the record nobody knows that it may.
    server.rndc("freeze");
    home.configure(&config(&server, &format!("dev3.{ZONE}"), ""));
    expect(&home.once(), 77, "may not write this record");
    server.rndc("thaw");
}
