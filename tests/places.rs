//! What is set is true of one place: the real binary against two servers of the same kind.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

#[path = "support/home.rs"]
mod home;

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use home::{Home, Signal};

/// A dyndns2 server that confirms whatever it is asked.
struct Server {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let noted = Arc::clone(&noted);
                thread::spawn(move || answer(stream, &noted));
            }
        });
        Self { url, asked }
    }

    fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

/// Answers every request of a connection.
fn answer(stream: TcpStream, noted: &Mutex<Vec<String>>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let mut stream = stream;
    while let Some(request) = lines.next() {
        for line in lines.by_ref() {
            if line.is_empty() {
                break;
            }
        }
        noted.lock().unwrap().push(request);
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ngood\n";
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// A host of dyndns2 at `server`, with this login; `more` goes into its entry.
fn config(server: &str, login: &str, more: &str) -> String {
    format!(
        "[provider.t]\nprotocol = \"dyndns2\"\nserver = \"{server}\"\n\n\
         [source.here]\nstatic = \"198.51.100.7\"\nallow-private = true\n\n\
         [[host]]\nname = \"a.example.com\"\nprovider = \"t\"\nusername = \"{login}\"\n\
         password-file = \"password\"\nipv4 = \"here\"\nipv6 = \"off\"\n{more}"
    )
}

fn home(server: &Server) -> Home {
    let home = Home::new(&config(&server.url, "me", ""));
    home.secret("password", "s3cret");
    expect(&home, 0);
    assert_eq!(server.count(), 1);
    home
}

#[track_caller]
fn expect(home: &Home, code: i32) {
    let ran = home.once();
    assert_eq!(ran.code, code, "{ran:#?}\n{}", home.read("state/state.json"));
}

#[test]
fn another_server_path_login_or_zone_is_told_and_another_secret_is_not() {
    let (one, other) = (Server::start(), Server::start());
    let home = home(&one);
    home.secret("password", "another");
    expect(&home, 0);
    assert_eq!((one.count(), other.count()), (1, 0), "a secret alone is the same place");

    home.configure(&config(&other.url, "me", ""));
    let before = home.read("state/state.json");
    let check = home.run(&["check"]);
    assert!(check.out.contains("198.51.100.7"), "{check:?}");
    let dry = home.run(&["--once", "--dry-run"]);
    assert!(dry.out.contains("198.51.100.7"), "{dry:?}");
    let status = home.run(&["status"]);
    assert!(status.code == 75 && status.out.contains("IPv4  not set"), "{status:?}");
    assert_eq!((home.read("state/state.json"), other.count()), (before, 0), "they only look");
    for _ in 0..2 {
        expect(&home, 0);
        assert_eq!((one.count(), other.count()), (1, 1));
    }
    assert_eq!(home.run(&["status"]).code, 0);

    for (at, (config, what)) in [
        (config(&format!("{}/v2", other.url), "me", ""), "path"),
        (config(&format!("{}/v2", other.url), "you", ""), "login"),
        (config(&format!("{}/v2", other.url), "you", "zone = \"a.example.com\"\n"), "a first zone"),
        (config(&format!("{}/v2", other.url), "you", "zone = \"example.com\"\n"), "zone"),
        (config(&other.url, "me", ""), "back again"),
    ]
    .into_iter()
    .enumerate()
    {
        home.configure(&config);
        let count = [2, 3, 3, 4, 5][at];
        for _ in 0..2 {
            expect(&home, 0);
            assert_eq!(other.count(), count, "{what}");
        }
    }
    home.configure(&config(&one.url, "me", ""));
    expect(&home, 0);
    assert_eq!((one.count(), other.count()), (2, 5), "what was set there before is long gone");
}

#[test]
fn a_state_of_an_earlier_version_takes_the_place_that_it_finds() {
    let (one, other) = (Server::start(), Server::start());
    let home = home(&one);
    let state = home.read("state/state.json");
    let is_new = |line: &&str| {
        ["\"place\"", "\"checksum\""].iter().any(|field| line.trim_start().starts_with(field))
    };
    let older: Vec<_> = state.lines().filter(|line| !is_new(line)).collect();
    let older = older.join("\n").replace("},\n    }", "}\n    }").replace(",\n}", "\n}");
    assert_ne!(older, state.trim_end());
    home.write("state/state.json", &older, 0o600);
    for _ in 0..2 {
        expect(&home, 0);
        assert_eq!(one.count(), 1, "{older}");
    }
    home.configure(&config(&other.url, "me", ""));
    expect(&home, 0);
    assert_eq!((one.count(), other.count()), (1, 1));
}

#[test]
fn a_host_that_was_configured_no_more_begins_anew() {
    let server = Server::start();
    let home = home(&server);
    let with = config(&server.url, "me", "");
    let without = with.replace("a.example.com", "b.example.com");
    home.configure(&without);
    expect(&home, 0);
    assert_eq!(server.count(), 2);
    home.configure(&with);
    for _ in 0..2 {
        expect(&home, 0);
        assert_eq!(server.count(), 3);
    }
    // The same at a provider that is called otherwise.
    home.configure(&with.replace("provider.t", "provider.u").replace("\"t\"", "\"u\""));
    expect(&home, 0);
    assert_eq!(server.count(), 4);
}

#[test]
fn two_configurations_that_share_a_state_do_not_send_at_each_turn() {
    let server = Server::start();
    let home = home(&server);
    let one = config(&server.url, "me", "");
    let other = one.replace("a.example.com", "b.example.com");
    for _ in 0..5 {
        for config in [&one, &other] {
            home.configure(config);
            expect(&home, 0);
        }
    }
    assert_eq!(server.count(), 4, "each once, and once more when it was back");
}

#[test]
fn a_pause_that_one_server_asked_for_is_not_the_next_ones() {
    let server = Server::start();
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", busy.local_addr().unwrap());
    thread::spawn(move || {
        for stream in busy.incoming().flatten() {
            let mut stream = stream;
            let _ = BufReader::new(stream.try_clone().unwrap()).read_line(&mut String::new());
            let _ = stream
                .write_all(b"HTTP/1.1 429 Slow\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let home = Home::new(&config(&url, "me", ""));
    home.secret("password", "s3cret");
    expect(&home, 75);
    expect(&home, 75);
    home.configure(&config(&server.url, "me", ""));
    expect(&home, 0);
    assert_eq!(server.count(), 1);
}

#[test]
fn a_daemon_tells_the_new_place_when_it_is_told_to_read_its_configuration() {
    let server = Server::start();
    let home = home(&server);
    let daemon = home.daemon();
    daemon.wait_for("the round is over");
    assert_eq!(server.count(), 1);
    home.configure(&config(&server.url, "you", ""));
    daemon.signal(Signal::HUP);
    daemon.wait_for("updated");
    assert_eq!(server.count(), 2);
}
