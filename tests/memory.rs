//! Servers that send without end: the daemon's memory stays small, measured in the real binary.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::home;
use home::{Home, Signal};

/// How much more memory a server may cost than one that behaves, in KiB: a daemon that behaves takes
/// 6 MiB, and no more than 16 are allowed.
const MOST: usize = 9 * 1024;

type Talk = Arc<dyn Fn(&str, &mut TcpStream) -> std::io::Result<()> + Send + Sync>;

/// A server that talks as `talk` does after each request's first line, and counts them.
fn server(talk: Talk) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let (talk, count) = (Arc::clone(&talk), Arc::clone(&count));
            thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut first = String::new();
                let _ = reader.read_line(&mut first);
                let mut line = String::new();
                let mut length = 0;
                while reader.read_line(&mut line).is_ok_and(|count| count > 2) {
                    if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ")
                    {
                        length = value.trim().parse().unwrap();
                    }
                    line.clear();
                }
                let _ = reader.read_exact(&mut vec![0; length]);
                count.fetch_add(1, Ordering::Relaxed);
                let _ = talk(&first, &mut stream);
            });
        }
    });
    (address, asked)
}

fn reply(stream: &mut TcpStream, status: &str, headers: &str, body: &str) -> std::io::Result<()> {
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

/// `text` so often that it has `bytes` of them or a little more.
fn much(text: &str, bytes: usize) -> String {
    text.repeat(bytes / text.len() + 1)
}

/// The most memory that a daemon took which spoke to such a server for a while, in KiB.
fn peak(provider: &str, host: &str, talk: Talk, requests: usize) -> usize {
    let (address, asked) = server(talk);
    let ipv4 = if host.contains("ipv4 =") { "" } else { "ipv4 = \"here\"\n" };
    let key = if provider.contains("\"http\"") { "api-url" } else { "server" };
    let home = Home::new(&format!(
        "[provider.own]\n{key} = \"http://{address}\"\n{provider}\n\
         [source.here]\nstatic = \"198.51.100.7\"\nallow-private = true\n\
         [source.web]\nweb = \"http://{address}/ip\"\nallow-private = true\n\n\
         [[host]]\nname = \"dev1.dyn.example.com\"\nprovider = \"own\"\n{ipv4}\
         ipv6 = \"off\"\n{host}"
    ));
    home.secret("secret", "Zx7kQp2Lm9Wv4t8R");
    let daemon = home.daemon();
    daemon.wait_for("a round begins");
    let begun = Instant::now();
    while asked.load(Ordering::Relaxed) < requests && begun.elapsed() < Duration::from_secs(60) {
        thread::sleep(Duration::from_millis(20));
    }
    assert!(asked.load(Ordering::Relaxed) >= requests, "{}", daemon.log());
    // The last answer is read, and judged.
    thread::sleep(Duration::from_millis(700));
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let peak = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    daemon.signal(Signal::TERM);
    peak
}

const JSON: &str = "Content-Type: application/json\r\n";

/// What deSEC answers to a token that may do nothing but its job, except for what `odd` says.
fn desec(
    odd: impl Fn(&str, &mut TcpStream) -> Option<std::io::Result<()>> + Send + Sync + 'static,
) -> Talk {
    Arc::new(move |line, stream| {
        if let Some(done) = odd(line, stream) {
            return done;
        }
        if line.contains("/dyndns/update") {
            reply(stream, "200 OK", "Content-Type: text/plain\r\n", "good")
        } else if line.contains("/auth/tokens/") {
            let body = r#"{"detail":"You do not have permission to perform this action."}"#;
            reply(stream, "403 Forbidden", JSON, body)
        } else if line.starts_with("OPTIONS") {
            reply(stream, "200 OK", JSON, r#"{"name":"RR Set Detail","actions":{}}"#)
        } else if line.contains("owns_qname") {
            reply(stream, "200 OK", JSON, r#"[{"name":"dyn.example.com","minimum_ttl":60}]"#)
        } else {
            reply(stream, "200 OK", JSON, "[]")
        }
    })
}

const DESEC: (&str, &str) = ("protocol = \"desec\"\n", "token-file = \"secret\"\n");

/// A server's behaviour: its name, the provider and the host, the talk, and the requests to wait for.
type Case = (&'static str, (&'static str, &'static str), Talk, usize);

/// What an API that an entry describes may send.
fn of_an_api() -> Vec<Case> {
    const FOUR: usize = 4 * 1000 * 1000;
    let answer = |headers: &'static str, body: String| -> Talk {
        Arc::new(move |_, stream| reply(stream, "200 OK", headers, &body))
    };
    let http = (
        "protocol = \"http\"\nheaders = [\"X-Key: {secret}\"]\n\
         list = { get = \"/{type}\", at = \"rows\", id = \"id\", name = \"name\", value = \"v\", next = \"next as \" }\n\
         create = { post = \"/\", json = '{\"v\":\"{address}\"}' }\n",
        "token-file = \"secret\"\n",
    );
    // As long as the client reads; ten gigabytes in the end.
    let ten_gigabytes: Talk = Arc::new(|_, stream| {
        let part = "{\"rows\":[".repeat(100_000);
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")?;
        (0..10_000).try_for_each(|_| stream.write_all(part.as_bytes()))
    });
    let row = r#"{"id":7,"name":"n.dyn.example.com","v":"192.0.2.1"},"#;
    let own = row.replace("n.dyn", "dev1.dyn");
    let rows = |row: &str| {
        let mut rows = much(row, FOUR - 1000);
        rows.pop();
        answer(JSON, format!("{{\"rows\":[{rows}]}}"))
    };
    let short = much(row, 1000 * 1000);
    let pages: Talk = Arc::new(move |line, stream| {
        let next = line.split(' ').nth(1).unwrap_or_default();
        let body = format!("{{\"rows\":[{short}{{}}],\"next\":\"{next}x\"}}");
        reply(stream, "200 OK", JSON, &body)
    });
    vec![
        ("ten gigabytes", http, ten_gigabytes, 1),
        ("a zone of many records", http, rows(row), 1),
        ("a host of many records", http, rows(&own), 1),
        ("pages of many records", http, pages, 20),
        ("deep records", http, answer(JSON, much("{\"rows\":[", FOUR)), 1),
        ("a large tree", http, answer(JSON, much("[{\"a\":1},", FOUR)), 1),
        ("deep elements", http, answer("", much("<a>", FOUR)), 1),
    ]
}

#[test]
fn whatever_a_server_sends_the_daemon_stays_small() {
    const FOUR: usize = 4 * 1000 * 1000;
    let calm = peak(DESEC.0, DESEC.1, desec(|_, _| None), 4);
    let mut sets = String::from("[");
    for number in 0..12_000 {
        let _ = write!(
            sets,
            r#"{{"subname":"n{number}","type":"TXT","records":["{number}"],"ttl":60}},"#
        );
    }
    sets.pop();
    sets.push(']');
    let short = sets.clone();
    let endless = desec(move |line, stream| {
        line.contains("/rrsets/?cursor=").then(|| {
            let number: usize = stream.peer_addr().unwrap().port().into();
            let link = format!("{JSON}Link: <http://x/?cursor=c{number}>; rel=\"next\"\r\n");
            reply(stream, "200 OK", &link, &short)
        })
    });
    let answer = |status: &'static str, headers: &'static str, body: String| -> Talk {
        Arc::new(move |_, stream| reply(stream, status, headers, &body))
    };
    let large = |body: String, on: &'static str| {
        desec(move |line, stream| line.contains(on).then(|| reply(stream, "200 OK", JSON, &body)))
    };
    let dyndns2 = ("protocol = \"dyndns2\"\n", "username = \"me\"\npassword-file = \"secret\"\n");
    let powerdns = ("protocol = \"powerdns\"\n", "token-file = \"secret\"\n");
    let rails = ("protocol = \"powerdns-on-rails\"\n", "token-file = \"secret\"\n");
    let domain = |records: String| -> Talk {
        let body = format!(
            "<domain><id>7</id><name>dyn.example.com</name><records type=\"array\">{records}</records></domain>"
        );
        Arc::new(move |line, stream| {
            if line.contains("/token/") {
                let place =
                    "Location: /domains/7\r\nSet-Cookie: _session=abcdefghijklmnop; path=/\r\n";
                return reply(stream, "302 Found", place, "");
            }
            reply(stream, "200 OK", "Content-Type: application/xml\r\n", &body)
        })
    };
    let record = "<record><id>12</id><name>www.dyn.example.com</name><type>A</type>\
                  <content>192.0.2.1</content><ttl>60</ttl></record>";
    let headers: Vec<String> = (0..60)
        .map(|n| {
            format!("X-{n}: {}\r\nSet-Cookie: s{n}={}\r\n", "a".repeat(3000), "b".repeat(3000))
        })
        .collect();
    let headers: &'static str = Box::leak(headers.concat().into_boxed_str());
    let token = r#"{"id":"6be0a87c-0d9a-4228-a3c5-ed5d33f4a807","created":"2026-11-21T23:52:30Z","last_used":null,"owner":"o","max_age":null,"max_unused_period":null,"name":"x","perm_manage_tokens":false,"allowed_subnets":[],"is_valid":true},"#;
    let mut tokens = much(token, FOUR - 1000);
    tokens.pop();
    let mut cases: Vec<Case> = vec![
        ("endless pages of record sets", DESEC, endless, 12),
        ("a large page of record sets", DESEC, large(sets, "/rrsets/?cursor="), 4),
        ("many tokens", DESEC, large(format!("[{tokens}]"), "/auth/tokens/"), 2),
        ("deep tokens", DESEC, large(much("[", FOUR), "/auth/tokens/"), 2),
        ("deep objects", DESEC, large(much("{\"a\":", FOUR), "/auth/tokens/"), 2),
        ("a deep description", DESEC, large(much("{\"a\":[", FOUR), "/rrsets/@/NS/"), 3),
        ("one word", DESEC, large(much("a", FOUR), "/auth/tokens/"), 2),
        ("many words", DESEC, large(much("a ", FOUR), "/auth/tokens/"), 2),
        ("no text", DESEC, large(format!("[\"{}\"]", much("\u{fffd}", FOUR)), "/auth/tokens/"), 2),
        (
            "a long name",
            DESEC,
            large(format!("[{{\"name\":\"{}\"}}]", much("a", FOUR)), "owns_qname"),
            1,
        ),
        ("a long answer", dyndns2, answer("200 OK", "", much("good ", 2 * FOUR)), 1),
        ("a long fault", dyndns2, answer("503 No", "", much("no ", 2 * FOUR)), 1),
        ("long headers", dyndns2, answer("200 OK", headers, "good".to_owned()), 1),
        (
            "many zones",
            powerdns,
            answer("200 OK", JSON, format!("[{}{{}}]", much("{\"name\":\"a\"},", FOUR))),
            1,
        ),
        ("deep zones", powerdns, answer("200 OK", JSON, much("[{\"name\":", FOUR)), 1),
        ("a large domain", rails, domain(much(record, FOUR - 1000)), 2),
        ("a deep domain", rails, domain(much("<a>", FOUR - 1000)), 2),
        ("a large record", rails, domain(record.replace("192", &much("1", FOUR - 1000))), 2),
    ];
    cases.extend(of_an_api());
    let mut told = String::new();
    let mut worst = 0;
    for (what, (provider, host), talk, requests) in cases {
        let peak = peak(provider, host, talk, requests);
        let _ = writeln!(told, "{what}: {peak} KiB, calm: {calm}");
        worst = worst.max(peak.saturating_sub(calm));
    }
    let web = answer("200 OK", "", much("192.0.2.1 ", FOUR));
    let peak = peak(dyndns2.0, &dyndns2.1.replace("username", "ipv4 = \"web\"\nusername"), web, 1);
    let _ = writeln!(told, "a web source: {peak}");
    worst = worst.max(peak.saturating_sub(calm));
    assert!(worst < MOST, "{told}");
    let _ = writeln!(std::io::stderr(), "{told}");
}
