//! Services outside as sources, alone and together: the real binary against scripted servers on
//! loopback.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use crate::support::{home, name_servers, netns, tls};
use home::{Home, Ran, Signal};
use tls::reply;

/// What a script does with a question: the datagrams that go back.
type Script = fn(&[u8]) -> Vec<Vec<u8>>;

/// A UDP server that answers by a script, until the test's process ends.
struct Server {
    address: SocketAddr,
    questions: Arc<AtomicUsize>,
}

impl Server {
    fn start(script: Script) -> Self {
        Self::serve(UdpSocket::bind("127.0.0.1:0").unwrap(), script)
    }

    fn serve(socket: UdpSocket, script: Script) -> Self {
        let (address, questions) = (socket.local_addr().unwrap(), Arc::<AtomicUsize>::default());
        let count = Arc::clone(&questions);
        thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok((length, asker)) = socket.recv_from(&mut buffer) {
                count.fetch_add(1, Ordering::Relaxed);
                for answer in script(&buffer[..length]) {
                    let _ = socket.send_to(&answer, asker);
                }
            }
        });
        Self { address, questions }
    }

    /// A resolver whose every answer over UDP is truncated; over TCP it answers by `script`.
    fn truncating(script: Script) -> Self {
        let (socket, listener) = name_servers::bound();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut length = [0; 2];
                stream.read_exact(&mut length).unwrap();
                let mut query = vec![0; u16::from_be_bytes(length).into()];
                stream.read_exact(&mut query).unwrap();
                for answer in script(&query) {
                    let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
                    stream.write_all(&[&length[..], &answer].concat()).unwrap();
                }
            }
        });
        Self::serve(socket, |query| vec![with_flags(&a(query, [8, 8, 8, 8]), 0x83, 0x80)])
    }

    fn questions(&self) -> usize {
        self.questions.load(Ordering::Relaxed)
    }
}

/// A socket on IPv6's loopback, unless this machine has none.
fn on_ipv6(test: &str) -> Option<UdpSocket> {
    let socket = UdpSocket::bind("[::1]:0").ok();
    if socket.is_none() {
        netns::skip(test, "needs IPv6");
    }
    socket
}

/// A home whose one host publishes the `family` that `source` tells.
fn home(family: &str, source: &str) -> Home {
    let other = if family == "ipv4" { "ipv6" } else { "ipv4" };
    Home::new(&format!(
        "[source.out]\n{source}\n\n[[host]]\nname = \"a.example\"\nprovider = \"hosts-file\"\n\
         path = \"hosts\"\n{family} = \"out\"\n{other} = \"off\"\n"
    ))
}

fn stun(servers: &[&Server]) -> String {
    let list: Vec<_> = servers.iter().map(|server| server.address.to_string()).collect();
    format!("stun = {list:?}")
}

fn dns(servers: &[&Server]) -> String {
    let table = |server: &&Server| {
        format!("{{ server = \"{}\", name = \"whoami.example.net\" }}", server.address)
    };
    let list: Vec<_> = servers.iter().map(table).collect();
    format!("dns = [{}]", list.join(", "))
}

/// Checks that `source` tells `address`, which ends in the hosts file.
#[track_caller]
fn publishes(family: &str, source: &str, address: &str) {
    let home = home(family, source);
    let ran = home.once();
    assert_eq!(ran.code, 0, "{ran:?}");
    let line = format!("{address} a.example");
    let hosts = home.read("hosts").replace('\t', " ");
    assert!(hosts.lines().any(|written| written.starts_with(&line)), "{hosts}");
}

/// Checks that `source` tells nothing, that `address` says why, and that nothing is published.
#[track_caller]
fn tells(source: &str, why: &str) -> Ran {
    let home = home("ipv4", source);
    let ran = home.run(&["address"]);
    assert!(ran.out.contains(why), "{ran:?}");
    ran
}

// STUN.

/// A success response with the address 8.8.8.8, behind an attribute that says nothing.
fn stun_answer(request: &[u8]) -> Vec<u8> {
    let attributes = b"\x80\x22\x00\x03abc\0\x00\x20\x00\x08\x00\x01\xa1\x47\x29\x1a\xac\x4a";
    [b"\x01\x01\x00\x14", &request[4..20], attributes].concat()
}

fn stun_fine(request: &[u8]) -> Vec<Vec<u8>> {
    vec![stun_answer(request)]
}

fn stun_forged(request: &[u8]) -> Vec<Vec<u8>> {
    let mut forged = stun_answer(request);
    forged[12] ^= 1;
    vec![b"garbage".to_vec(), forged]
}

#[test]
fn a_stun_server_tells_the_address() {
    let server = Server::start(stun_fine);
    publishes("ipv4", &stun(&[&server]), "8.8.8.8");
    assert_eq!(server.questions(), 1);
}

#[test]
fn a_stun_server_tells_an_ipv6_address_over_ipv6() {
    let Some(socket) = on_ipv6("a_stun_server_tells_an_ipv6_address_over_ipv6") else { return };
    let server = Server::serve(socket, |request| {
        let mut address = *b"\x2a\x00\x14\x50\0\0\0\0\0\0\0\0\0\0\0\x09";
        address.iter_mut().zip(&request[4..20]).for_each(|(byte, mask)| *byte ^= mask);
        let head = b"\x01\x01\x00\x18";
        let attribute = b"\x00\x20\x00\x14\x00\x02\0\0";
        vec![[head, &request[4..20], attribute, &address].concat()]
    });
    publishes("ipv6", &stun(&[&server]), "2a00:1450::9");
}

#[test]
fn what_is_forged_beside_the_answer_does_not_matter() {
    let server = Server::start(|request| [stun_forged(request), stun_fine(request)].concat());
    publishes("ipv4", &stun(&[&server]), "8.8.8.8");
}

#[test]
fn a_stun_server_that_answers_something_else_is_told_in_bounded_time() {
    let (forging, silent) = (Server::start(stun_forged), Server::start(|_| Vec::new()));
    let begun = Instant::now();
    let ran = tells(&stun(&[&forging, &silent]), "sends something that is not a STUN answer");
    assert!(begun.elapsed() < Duration::from_secs(14), "{:?}", begun.elapsed());
    let silence = format!("{} did not answer within 5s", silent.address);
    assert!(ran.out.contains(&silence), "{ran:?}");
    assert_eq!(silent.questions(), 4);
}

#[test]
fn a_stun_error_and_a_closed_port_are_told_at_once() {
    let refusing = Server::start(|request| {
        vec![[b"\x01\x11\x00\x08", &request[4..20], b"\x00\x09\x00\x04\x00\x00\x04\x01"].concat()]
    });
    let closed = "127.0.0.1:9";
    let source = format!("stun = [\"{}\", \"{closed}\"]", refusing.address);
    let begun = Instant::now();
    let ran = tells(&source, "answers with the error 401 (it needs a login)");
    assert!(ran.out.contains(&format!("{closed} refuses the connection")), "{ran:?}");
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[test]
fn a_private_address_is_not_published() {
    let server = Server::start(|query| vec![a(query, [10, 0, 0, 1])]);
    let home = Home::new(&format!(
        "[source.out]\n{}\n\n[[host]]\nname = \"a.example\"\nprovider = \"desec\"\n\
         token-file = \"token\"\nipv4 = \"out\"\nipv6 = \"off\"\n",
        dns(&[&server])
    ));
    home.secret("token", "s3cret");
    let ran = home.run(&["address"]);
    assert!(ran.out.contains("returned 10.0.0.1, which is private and not published"), "{ran:?}");
}

#[test]
fn a_server_may_have_a_name() {
    let server = Server::start(stun_fine);
    let port = server.address.port();
    publishes("ipv4", &format!("stun = \"localhost:{port}\""), "8.8.8.8");
    let table = "{ server = \"no-such-server.invalid\", name = \"a.example\" }";
    tells(&format!("dns = {table}"), "the name no-such-server.invalid does not resolve (");
}

// Resolvers.

/// The answer to `query` with an address, whose name points to the question's.
fn a(query: &[u8], address: [u8; 4]) -> Vec<u8> {
    let counts = b"\x00\x01\x00\x01\x00\x00\x00\x00";
    let record = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x00\x00\x04";
    [&query[..2], b"\x81\x80", counts, &query[12..], record, &address].concat()
}

/// The answer to `query` with a text.
fn txt(query: &[u8], text: &[u8]) -> Vec<u8> {
    let counts = b"\x00\x01\x00\x01\x00\x00\x00\x00";
    let kind = &query[query.len() - 4..];
    let length = u8::try_from(text.len()).unwrap();
    let data = [&[0, length + 1, length], text].concat();
    [&query[..2], b"\x81\x80", counts, &query[12..], b"\xc0\x0c", kind, &[0; 4], &data].concat()
}

fn with_flags(message: &[u8], high: u8, low: u8) -> Vec<u8> {
    [&message[..2], &[high, low], &message[4..]].concat()
}

fn refusal(query: &[u8], rcode: u8) -> Vec<Vec<u8>> {
    let counts = b"\x00\x01\x00\x00\x00\x00\x00\x00";
    vec![[&query[..2], &[0x81, 0x80 | rcode], counts, &query[12..]].concat()]
}

fn dns_fine(query: &[u8]) -> Vec<Vec<u8>> {
    vec![a(query, [8, 8, 8, 8])]
}

/// Another id, another question, garbage.
fn dns_forged(query: &[u8]) -> Vec<Vec<u8>> {
    let (mut id, mut name) = (a(query, [9, 9, 9, 9]), a(query, [9, 9, 9, 9]));
    id[1] ^= 1;
    name[13] = b'x';
    vec![id, name, b"garbage".to_vec()]
}

#[test]
fn a_resolver_tells_the_address_in_a_record() {
    let server = Server::start(dns_fine);
    publishes("ipv4", &dns(&[&server]), "8.8.8.8");
    assert_eq!(server.questions(), 1);
}

#[test]
fn a_resolver_tells_the_address_in_a_text_of_class_ch() {
    let server = Server::start(|query| {
        assert_eq!(query[query.len() - 4..], [0, 16, 0, 3]);
        vec![txt(query, b"\"8.8.8.8\"")]
    });
    let table =
        format!("{{ server = \"{}\", name = \"whoami.cf\", class = \"CH\" }}", server.address);
    publishes("ipv4", &format!("dns = {table}"), "8.8.8.8");
}

#[test]
fn a_resolver_tells_an_ipv6_address_over_ipv6() {
    let Some(socket) = on_ipv6("a_resolver_tells_an_ipv6_address_over_ipv6") else { return };
    let server = Server::serve(socket, |query| vec![txt(query, b"2a00:1450::9")]);
    let table =
        format!("{{ server = \"{}\", name = \"a.example\", type = \"TXT\" }}", server.address);
    publishes("ipv6", &format!("dns = [{table}]"), "2a00:1450::9");
}

#[test]
fn what_is_forged_beside_a_resolvers_answer_does_not_matter() {
    let server = Server::start(|query| [dns_forged(query), dns_fine(query)].concat());
    publishes("ipv4", &dns(&[&server]), "8.8.8.8");
}

#[test]
fn an_answer_from_another_server_is_not_heard() {
    let other = UdpSocket::bind("127.0.0.2:0").unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let asked = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, asker)) = socket.recv_from(&mut buffer) {
            other.send_to(&a(&buffer[..length], [9, 9, 9, 9]), asker).unwrap();
        }
    });
    let table = format!("dns = {{ server = \"{asked}\", name = \"a.example\" }}");
    tells(&table, &format!("{asked} did not answer within 6s"));
}

#[test]
fn a_resolver_that_answers_something_else_is_told_in_bounded_time() {
    let forging = Server::start(dns_forged);
    let begun = Instant::now();
    tells(
        &dns(&[&forging]),
        "sends something that is not a DNS message, and nothing else within \
        6s",
    );
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(forging.questions(), 3);
}

#[test]
fn a_truncated_answer_is_asked_for_again_over_tcp() {
    publishes("ipv4", &dns(&[&Server::truncating(dns_fine)]), "8.8.8.8");
    let forging = Server::truncating(dns_forged);
    tells(&dns(&[&forging]), "sends an answer to another question over TCP");
    let closed = Server::start(|query| vec![with_flags(&a(query, [8, 8, 8, 8]), 0x83, 0x80)]);
    tells(&dns(&[&closed]), "refuses the connection");
}

#[test]
fn errors_of_resolvers_are_told_in_words() {
    let failing = Server::start(|query| refusal(query, 2));
    let unknowing = Server::start(|query| refusal(query, 3));
    let refusing = Server::start(|query| refusal(query, 5));
    let empty = Server::start(|query| refusal(query, 0));
    let ran = tells(&dns(&[&failing, &unknowing, &refusing, &empty]), "(SERVFAIL)");
    for words in ["(NXDOMAIN)", "(REFUSED)", "answers without a record of what was asked"] {
        assert!(ran.out.contains(words), "{words}: {ran:?}");
    }
    assert_eq!(failing.questions(), 1);
}

// Agreement.

#[test]
fn as_many_as_asked_for_must_agree() {
    let (one, two) = (Server::start(dns_fine), Server::start(|query| vec![a(query, [8, 8, 4, 4])]));
    let three = Server::start(|query| vec![a(query, [8, 8, 4, 4])]);
    let agree = |servers: &[&Server]| format!("{}\nagree = 2", dns(servers));
    let ran = tells(&agree(&[&one, &two]), "no 2 services agree on the IPv4 address");
    let head = format!("source out: dns {}, {}, 2 must agree", one.address, two.address);
    assert!(ran.out.contains(&head), "{ran:?}");
    publishes("ipv4", &agree(&[&one, &two, &three]), "8.8.4.4");
    let (fine, echoing) = (Server::start(stun_fine), Server::start(|query| vec![query.to_vec()]));
    let source = format!("{}\nagree = 2", stun(&[&fine, &echoing]));
    tells(&source, "only 1 of 2 services returned an IPv4 address");
}

// Agreement across kinds, and services that are left aside.

const NOBODY: [Value; 0] = [];

/// A web service that says `8.8.4.4`, which nobody else does.
fn lying() -> tls::Server {
    tls::Server::plain(|connection| reply(connection, "200 OK", "8.8.4.4"))
}

fn failing() -> tls::Server {
    tls::Server::plain(|connection| reply(connection, "500 Internal Server Error", ""))
}

fn web(server: &tls::Server) -> String {
    format!("web = [\"{}\"]", server.url("/"))
}

impl Home {
    /// Replaces the source of [`home`].
    fn change_source(&self, source: &str) {
        let config = self.read("config.toml");
        let (head, tail) = config.split_once("[source.out]\n").unwrap();
        let (_, tail) = tail.split_once("\n\n").unwrap();
        self.configure(&format!("{head}[source.out]\n{source}\n\n{tail}"));
    }

    /// The `services` of `status --json`.
    fn services(&self) -> Vec<Value> {
        let ran = self.run(&["status", "--json"]);
        let status: Value = serde_json::from_str(&ran.out).unwrap();
        status["services"].as_array().unwrap().clone()
    }

    /// Lets the time be over for which the only service is left aside.
    fn end_the_wait(&self) {
        let state = self.read("state/state.json");
        let value: Value = serde_json::from_str(&state).unwrap();
        let [service] = &value["services"].as_array().unwrap()[..] else { panic!("{state}") };
        let (since, until) = (&service["since"], &service["until"]);
        let state = state.replace(&format!("\"until\": {until}"), &format!("\"until\": {since}"));
        self.write("state/state.json", &state, 0o600);
    }
}

/// How many seconds lie between two moments, or between now and the one that is given alone.
fn seconds(since: Option<&Value>, until: &Value) -> u64 {
    let moment = |value: &Value| humantime::parse_rfc3339(value.as_str().unwrap()).unwrap();
    let since = since.map_or_else(SystemTime::now, moment);
    moment(until).duration_since(since).unwrap().as_secs()
}

#[test]
fn services_of_several_kinds_must_agree_and_who_lies_is_left_aside() {
    let (liar, stun_server) = (lying(), Server::start(stun_fine));
    let resolver = Server::start(dns_fine);
    let (stun, dns) = (stun(&[&stun_server]), dns(&[&resolver]));
    let home = home("ipv4", &format!("{}\n{stun}\n{dns}\nagree = 2", web(&liar)));
    assert_eq!(home.once().code, 0);
    assert!(home.read("hosts").contains("8.8.8.8"), "{}", home.read("hosts"));
    assert_eq!((liar.requests().len(), stun_server.questions(), resolver.questions()), (1, 1, 1));

    let url = liar.url("/");
    let told = format!(": {url} (IPv4): says 8.8.4.4 where 2 others say 8.8.8.8\n");
    let status = home.run(&["status"]);
    assert_eq!(status.code, 0, "{status:?}");
    assert!(status.out.contains("\nskipped until ") && status.out.contains(&told), "{status:?}");
    let [service] = &home.services()[..] else { panic!("{:?}", home.services()) };
    let (name, family, reason) = (&service["service"], &service["family"], &service["reason"]);
    assert_eq!((name, family, reason), (&json!(url), &json!("ipv4"), &json!("lied")));
    assert_eq!(seconds(Some(&service["since"]), &service["until"]), 60 * 60);
    assert_eq!(service.as_object().unwrap().len(), 5);

    // It is not asked, by whomever, as long as the others suffice; and nothing is written.
    let state = home.read("state/state.json");
    assert_eq!(home.once().code, 0);
    let address = home.run(&["address"]);
    let names =
        format!("source out: web {url}; stun {}; dns {}", stun_server.address, resolver.address);
    assert!(address.out.contains(&format!("{names}, 2 must agree")), "{address:?}");
    assert_eq!((liar.requests().len(), resolver.questions()), (1, 3));
    assert_eq!(home.read("state/state.json"), state);

    // What no source names any more is forgotten.
    home.change_source(&dns);
    assert_eq!(home.once().code, 0);
    assert!(!home.read("state/state.json").contains("services"));
}

#[test]
fn services_are_asked_in_the_order_of_the_file() {
    let (web_server, resolver) = (lying(), Server::start(dns_fine));
    let dns = dns(&[&resolver]);
    publishes("ipv4", &format!("{dns}\n{}", web(&web_server)), "8.8.8.8");
    assert_eq!(web_server.connections(), 0);
    publishes("ipv4", &format!("{}\n{dns}", web(&web_server)), "8.8.4.4");
    assert_eq!(resolver.questions(), 1);
}

#[test]
fn who_is_left_aside_is_asked_where_too_few_others_are_left() {
    let (liar, another) = (lying(), Server::start(|query| vec![a(query, [8, 8, 4, 4])]));
    let (one, two) = (Server::start(dns_fine), Server::start(dns_fine));
    let home = home("ipv4", &format!("{}\n{}\nagree = 2", web(&liar), dns(&[&one, &two])));
    assert_eq!(home.once().code, 0);
    assert_eq!(home.services().len(), 1);
    // The address changes to what it says.
    home.change_source(&format!("{}\n{}\nagree = 2", web(&liar), dns(&[&another])));
    let ran = home.once();
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(home.read("hosts").contains("8.8.4.4"), "{}", home.read("hosts"));
    assert_eq!(liar.requests().len(), 2);
    assert_eq!(home.services(), NOBODY, "it was right");
}

#[test]
fn where_nobody_gets_through_nobody_is_to_blame() {
    let portal = tls::Server::plain(|connection| reply(connection, "200 OK", "<html>Log in"));
    let refusing = Server::start(|query| refusal(query, 5));
    let home = home("ipv4", &format!("{}\n{}", web(&portal), dns(&[&refusing])));
    for round in 1..3 {
        assert_eq!(home.once().code, 75);
        assert_eq!((portal.requests().len(), refusing.questions()), (round, round));
    }
    assert!(!home.read("state/state.json").contains("services"));
    assert_eq!(home.services(), NOBODY);
}

#[test]
fn who_fails_is_left_aside_for_a_growing_time() {
    let (broken, resolver) = (failing(), Server::start(dns_fine));
    let home = home("ipv4", &format!("{}\n{}", web(&broken), dns(&[&resolver])));
    for (round, minutes) in (1..).zip([5, 10, 20]) {
        assert_eq!(home.once().code, 0);
        assert_eq!(broken.requests().len(), round);
        let [service] = &home.services()[..] else { panic!("{:?}", home.services()) };
        assert_eq!(service["reason"], "failed");
        let left = seconds(None, &service["until"]);
        assert!((minutes * 60 - 30..=minutes * 60).contains(&left), "{left}");
        assert_eq!(home.once().code, 0);
        assert_eq!(broken.requests().len(), round, "it is left aside");
        home.end_the_wait();
        assert_eq!(home.services(), NOBODY, "it is not left aside any more");
    }
    let status = home.run(&["address"]);
    assert_eq!(status.code, 0, "{status:?}");
    assert_eq!(broken.requests().len(), 4);
    assert_eq!(home.services(), NOBODY, "who only looks remembers nothing");
}

#[test]
fn a_silent_service_slows_one_round_only() {
    let (silent, resolver) = (Server::start(|_| Vec::new()), Server::start(dns_fine));
    let home = home("ipv4", &format!("{}\n{}", stun(&[&silent]), dns(&[&resolver])));
    assert_eq!(home.once().code, 0);
    let before = silent.questions();
    let ran = home.once();
    assert_eq!((ran.code, silent.questions()), (0, before), "{ran:?}");
    assert_eq!(resolver.questions(), 2);
    let status = home.run(&["status"]);
    let told = format!("{0} (IPv4): {0} did not answer within 3s\n", silent.address);
    assert!(status.out.contains(&told), "{status:?}");
}

#[test]
fn a_round_waits_for_silent_services_together_and_not_for_one_after_the_other() {
    let silent: Vec<_> = (0..4).map(|_| Server::start(|_| Vec::new())).collect();
    let silent: Vec<_> = silent.iter().collect();
    let resolver = Server::start(dns_fine);
    let home = home("ipv4", &format!("{}\n{}", stun(&silent), dns(&[&resolver])));
    let begun = Instant::now();
    let ran = home.once();
    // One after the other they would be silent for 20 seconds.
    assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(home.read("hosts").contains("8.8.8.8"), "{}", home.read("hosts"));
    let [service] = &home.services()[..] else { panic!("{:?}", home.services()) };
    assert_eq!(service["service"], silent[0].address.to_string(), "who kept the others waiting");
}

#[test]
fn a_daemon_says_once_who_is_left_aside() {
    let (broken, resolver) = (failing(), Server::start(dns_fine));
    let home = home("ipv4", &format!("{}\n{}", web(&broken), dns(&[&resolver])));
    let daemon = home.daemon();
    daemon.wait_for("service skipped for now");
    for round in 2..4 {
        daemon.signal(Signal::USR1);
        home::wait_until("question", || resolver.questions() == round, || daemon.log());
    }
    daemon.signal(Signal::TERM);
    daemon.wait_for("stopped");
    let log = daemon.log();
    assert_eq!(log.matches("service skipped for now").count(), 1, "{log}");
    let reason = format!("{} answers HTTP 500 with an empty body", broken.address);
    for words in ["warning: ", &broken.url("/"), "ipv4", "failed", &reason, "fix=", "until="] {
        assert!(log.contains(words), "{words}: {log}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn auto_goes_on_from_the_providers_own_service_to_third_parties() {
    const THIRD_PARTIES: [&str; 3] =
        ["api.ipify.org", "checkip.amazonaws.com", "ipv4.icanhazip.com"];
    netns::in_namespace("auto_goes_on_from_the_providers_own_service_to_third_parties", || {
        netns::ip("link set lo up");
        netns::ip("addr add 192.168.1.2/24 dev wan");
        netns::ip("route add default via 192.168.1.1 dev wan");
        let home = |echo: &tls::Server| {
            let home = Home::new(&format!(
                "[provider.mine]\nprotocol = \"desec\"\nserver = \"http://127.0.0.1:1\"\n\
                 echo4 = \"{}\"\n\n[[host]]\nname = \"a.example\"\nprovider = \"mine\"\n\
                 token-file = \"token\"\nipv6 = \"off\"\n",
                echo.url("/")
            ));
            home.secret("token", "s3cret");
            home
        };
        let (fine, broken) = (lying(), failing());
        let home = [home(&fine), home(&broken)];
        // Third parties are this machine here, which no authority would certify.
        let names: String = THIRD_PARTIES.map(|name| format!("127.0.0.1 {name}\n")).concat();
        home[0].write("hosts", &names, 0o644);
        let mount = std::process::Command::new("mount")
            .arg("--bind")
            .args([home[0].path("hosts"), "/etc/hosts".into()])
            .status();
        assert!(mount.unwrap().success());
        let listener = TcpListener::bind("127.0.0.1:443").unwrap();
        let connections = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&connections);
        thread::spawn(move || {
            for stream in listener.incoming() {
                count.fetch_add(1, Ordering::Relaxed);
                drop(stream);
            }
        });

        let ran = home[0].run(&["check"]);
        assert!(ran.out.contains("seen: IPv4 8.8.4.4\n"), "{ran:?}");
        assert_eq!(connections.load(Ordering::Relaxed), 0, "they are not needed");
        let ran = home[1].run(&["check"]);
        let own = format!(
            "IPv4 unknown: the provider's own service: no service returned an IPv4 address: {} \
                answers",
            broken.address
        );
        assert!(ran.out.contains(&own), "{ran:?}");
        assert!(
            ran.out.contains("; third parties: no service returned an IPv4 address: "),
            "{ran:?}"
        );
        for name in THIRD_PARTIES {
            assert!(ran.out.contains(name), "{name}: {ran:?}");
        }
        assert_eq!(connections.load(Ordering::Relaxed), 3);
        let unmount = std::process::Command::new("umount").arg("/etc/hosts").status();
        assert!(unmount.unwrap().success());
    });
}

#[test]
fn a_source_of_many_hosts_is_asked_once() {
    let server = Server::start(dns_fine);
    let host = |name: &str| {
        format!(
            "[[host]]\nname = \"{name}.example\"\nprovider = \"hosts-file\"\npath = \"hosts\"\n\
             ipv4 = \"out\"\nipv6 = \"off\"\n"
        )
    };
    let hosts: String = ["a", "b", "c"].map(host).concat();
    let home = Home::new(&format!("[source.out]\n{}\n{hosts}", dns(&[&server])));
    assert_eq!(home.once().code, 0);
    assert_eq!(server.questions(), 1);
}

#[test]
#[cfg(target_os = "linux")]
fn events_alone_ask_a_source_outside_once_a_minute() {
    netns::in_namespace("events_alone_ask_a_source_outside_once_a_minute", || {
        netns::ip("link set lo up");
        netns::ip("addr add 100.64.0.9/10 dev wan");
        netns::ip("route add default via 100.64.0.1 dev wan");
        let server = Server::start(stun_fine);
        let home = home("ipv4", &stun(&[&server]));
        let daemon = home.daemon();
        let is_published = || home.read("hosts").contains("8.8.8.8");
        home::wait_until("8.8.8.8", is_published, || daemon.log());
        for n in 10..13 {
            netns::ip(&format!("addr add 100.64.0.{n}/10 dev wan"));
            thread::sleep(Duration::from_millis(300));
        }
        assert_eq!(server.questions(), 1, "{}", daemon.log());
    });
}
