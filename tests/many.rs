//! Many hosts: what each of them costs when nothing has changed, measured in the real binary.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::support::{home, router};
use home::{Home, Signal};

/// A dyndns2 server that says `good` to everything.
fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                while let Some(Ok(first)) = lines.next() {
                    let headers = lines.by_ref().map_while(Result::ok);
                    headers.take_while(|line| !line.is_empty()).for_each(drop);
                    let hosts = first.matches("%2C").count() + first.matches(',').count() + 1;
                    let body = "good\n".repeat(hosts);
                    let length = body.len();
                    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
                    if stream.write_all((head + &body).as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// A home in which `hosts` have been updated, each with a block of its own where they are `apart`.
fn updated(hosts: usize, apart: bool) -> Home {
    let mut text = format!(
        "[provider.own]\nprotocol = \"dyndns2\"\nserver = \"http://{}\"\n\
         [source.here]\nstatic = \"198.51.100.7\"\nallow-private = true\n",
        server()
    );
    let names: Vec<String> = (0..hosts).map(|n| format!("\"h{n:05}.dyn.example.com\"")).collect();
    for names in names.chunks(if apart { 1 } else { hosts }) {
        let _ = write!(
            text,
            "[[host]]\nname = [{}]\nprovider = \"own\"\nusername = \"me\"\n\
             password-file = \"secret\"\nipv4 = \"here\"\nipv6 = \"off\"\n",
            names.join(", ")
        );
    }
    let home = Home::new(&text);
    home.secret("secret", "Zx7kQp2Lm9Wv4t8R");
    let ran = home.once();
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(home.read("state/state.json").matches("\"outcome\": \"updated\"").count(), hosts);
    home
}

/// The instructions of a run in which nothing has changed.
fn instructions(hosts: usize, apart: bool) -> usize {
    let home = updated(hosts, apart);
    let command = home.command(&["--once"]);
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(command.get_program())
        .args(command.get_args())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let (_, count) = said.rsplit_once("Collected : ").unwrap_or_else(|| panic!("{said}"));
    count.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn a_host_costs_little_when_nothing_has_changed() {
    const TEST: &str = "a_host_costs_little_when_nothing_has_changed";
    if Command::new("valgrind").arg("--version").output().is_err() {
        return router::skip(TEST, "needs valgrind");
    }
    // Not optimised, a host takes some six times the instructions of the release.
    for (apart, most) in [(false, 450_000), (true, 900_000)] {
        let (few, many) = (instructions(20, apart), instructions(220, apart));
        let each = (many - few) / 200;
        let _ = writeln!(std::io::stderr(), "{each} instructions a host, apart: {apart}");
        assert!(each < most, "{each} instructions a host, apart: {apart}");
    }
}

/// The memory of its own that a daemon takes when it is idle, in KiB.
fn own_memory(home: &Home) -> usize {
    let daemon = home.daemon();
    daemon.wait_for("a round begins");
    // The round, which asks nobody, is over by then.
    thread::sleep(Duration::from_secs(2));
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    let own = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    daemon.signal(Signal::TERM);
    own
}

#[test]
fn a_thousand_hosts_take_little_memory() {
    for (apart, most) in [(false, 3000), (true, 3400)] {
        let (one, all) = (own_memory(&updated(1, apart)), own_memory(&updated(1000, apart)));
        let _ = writeln!(std::io::stderr(), "{one} and {all} KiB, apart: {apart}");
        assert!(all - one < most, "{one} and {all} KiB, apart: {apart}");
    }
}
