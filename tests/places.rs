//! What is set is true: of one place, of a family that was sent, after an absence, by a clock that was
//! wrong. The real binary against servers of the same kind.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::{clock, home, netns};
use clock::WallClock;
use home::{Home, Ran, Signal};

/// A dyndns2 server.
struct Server {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

/// What it answers to the request of that number with that first line.
type Answering = fn(usize, &str) -> &'static str;

const GOOD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ngood\n";

impl Server {
    /// One that confirms whatever it is asked.
    fn start() -> Self {
        Self::answering(|_, _| GOOD)
    }

    fn answering(answering: Answering) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let noted = Arc::clone(&noted);
                thread::spawn(move || answer(stream, &noted, answering));
            }
        });
        Self { url, asked }
    }

    /// The names and addresses of each request: `a.example.com=198.51.100.7`.
    fn said(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        let said = asked.iter().map(|line| {
            let query = line.split(['?', ' ']).nth(2).unwrap();
            query.replace("hostname=", "").replace("&myip=", "=").replace("%2C", ",")
        });
        said.collect()
    }

    fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

/// Answers every request of a connection.
fn answer(stream: TcpStream, noted: &Mutex<Vec<String>>, answering: Answering) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let mut stream = stream;
    while let Some(request) = lines.next() {
        for line in lines.by_ref() {
            if line.is_empty() {
                break;
            }
        }
        let mut noted = noted.lock().unwrap();
        let answer = answering(noted.len(), &request);
        noted.push(request);
        drop(noted);
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

/// Come back in an hour.
const SLOW: &str = "HTTP/1.1 429 Slow\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n";

#[test]
fn a_pause_that_one_server_asked_for_is_not_the_next_ones() {
    let server = Server::start();
    let busy = Server::answering(|_, _| SLOW);
    let home = Home::new(&config(&busy.url, "me", ""));
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

#[test]
fn a_family_that_was_not_asked_for_when_lists_failed_is_asked_for_at_once() {
    let server = Server::answering(|_, line| {
        if line.contains(',') || line.contains("%2C") {
            "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nnohost\n"
        } else {
            GOOD
        }
    });
    let home = Home::new(&format!(
        "[provider.t]\nprotocol = \"dyndns2\"\nserver = \"{}\"\none-family = true\nbatch = 9\n\n\
         [source.here]\nstatic = [\"198.51.100.7\", \"2001:db8::7\"]\nallow-private = true\n\n\
         [[host]]\nname = \"a.example.com\"\nprovider = \"t\"\nusername = \"me\"\n\
         password-file = \"password\"\nipv4 = \"here\"\nipv6 = \"here\"\n\n\
         [[host]]\nname = \"b.example.com\"\nprovider = \"t\"\nusername = \"me\"\n\
         password-file = \"password\"\nipv4 = \"here\"\nipv6 = \"off\"\n",
        server.url
    ));
    home.secret("password", "s3cret");
    expect(&home, 0);
    let said = server.said();
    for one in
        ["a.example.com=198.51.100.7", "a.example.com=2001:db8::7", "b.example.com=198.51.100.7"]
    {
        let is_it = |said: &&String| said.replace("%3A", ":") == one;
        assert_eq!(said.iter().filter(is_it).count(), 1, "{one}: {said:?}");
    }
    expect(&home, 0);
    assert_eq!(server.count(), said.len());
}

#[test]
fn who_answers_one_line_for_a_list_is_asked_singly_at_the_next_change() {
    let server = Server::start();
    let config = config(&server.url, "me", "");
    let config = config.replace("\"a.example.com\"", "[\"a.example.com\", \"b.example.com\"]");
    let home = Home::new(&config);
    home.secret("password", "s3cret");
    expect(&home, 75);
    let ran = home.run(&["--once", "--retry-rejected"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let count = server.count();
    for address in ["198.51.100.8", "198.51.100.9"] {
        home.configure(&config.replace("198.51.100.7", address));
        expect(&home, 0);
        let mut said = server.said().split_off(count);
        said.retain(|said| said.ends_with(address));
        said.sort_unstable();
        assert_eq!(said, [format!("a.example.com={address}"), format!("b.example.com={address}")]);
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

#[track_caller]
fn once_at(home: &Home, clock: &WallClock, behind: u64, code: i32) -> Ran {
    clock.show_behind(behind);
    let mut command = home.command(&["--once"]);
    clock.show(&mut command);
    let ran = Ran::from(command.output().unwrap());
    assert_eq!(ran.code, code, "{ran:#?}\n{}", home.read("state/state.json"));
    ran
}

#[test]
fn an_address_that_was_away_for_long_is_confirmed_once_when_it_is_back() {
    let server = Server::start();
    let home = Home::new(
        &config(&server.url, "me", "").replace("static = \"198.51.100.7\"", "file = \"address\""),
    );
    home.secret("password", "s3cret");
    let Some(clock) = WallClock::new(&home) else {
        return netns::skip(
            "an_address_that_was_away_for_long_is_confirmed_once_when_it_is_back",
            "needs a C compiler",
        );
    };
    let start = now() - 7 * 24 * 60 * 60 + 60 * 60;
    // The clock has to be after the build; all this happens within two hours of today.
    let base = start.max(now() - 3 * 60 * 60);
    let at = |minutes: u64| now().saturating_sub(base + minutes * 60);
    let here = || home.write("address", "198.51.100.7\n", 0o600);
    let gone = || std::fs::remove_file(home.path("address")).unwrap();
    here();
    once_at(&home, &clock, at(0), 0);
    for (away, back, count) in [(1, 8, 1), (10, 25, 2), (30, 45, 2), (46, 84, 2)] {
        gone();
        once_at(&home, &clock, at(away), 75);
        here();
        let ran = once_at(&home, &clock, at(back), 0);
        assert_eq!(server.count(), count, "{away} to {back}: {ran:?}");
        once_at(&home, &clock, at(back), 0);
        assert_eq!(server.count(), count, "{away} to {back}, again");
    }
    once_at(&home, &clock, at(86), 0);
    assert_eq!(server.count(), 3, "an hour after the last one");
    once_at(&home, &clock, at(170), 0);
    assert_eq!(server.count(), 3, "nothing is left to be confirmed");
}

#[test]
fn a_pause_is_as_long_as_was_asked_for_when_the_clock_was_ahead() {
    let server = Server::answering(|number, _| match number {
        0 => "HTTP/1.1 429 Slow\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n",
        _ => GOOD,
    });
    let home = Home::new(&config(&server.url, "me", ""));
    home.secret("password", "s3cret");
    let Some(clock) = WallClock::new(&home) else {
        return netns::skip(
            "a_pause_is_as_long_as_was_asked_for_when_the_clock_was_ahead",
            "needs a C compiler",
        );
    };
    once_at(&home, &clock, 0, 75);
    // Set right, two hours back.
    once_at(&home, &clock, 7200, 75);
    assert_eq!(server.count(), 1);
    // A pause may be drawn out by chance so that machines do not come back together.
    once_at(&home, &clock, 7200 - 60 - 10 * 60, 0);
    assert_eq!(server.count(), 2);
}

#[test]
fn a_clock_that_is_never_set_does_not_keep_runs_from_trying_again() {
    let server = Server::answering(|number, _| match number {
        0 | 1 => "HTTP/1.1 503 Down\r\nContent-Length: 0\r\n\r\n",
        _ => GOOD,
    });
    let home = Home::new(&config(&server.url, "me", ""));
    home.secret("password", "s3cret");
    let Some(clock) = WallClock::new(&home) else {
        return netns::skip(
            "a_clock_that_is_never_set_does_not_keep_runs_from_trying_again",
            "needs a C compiler",
        );
    };
    let begun = now();
    let at = |seconds: u64| {
        clock.set(Duration::from_secs(100 + seconds));
        begun - 100 - seconds
    };
    once_at(&home, &clock, at(0), 75);
    once_at(&home, &clock, at(1), 75);
    assert_eq!(server.count(), 1, "a moment later");
    once_at(&home, &clock, at(60), 75);
    assert_eq!(server.count(), 2);
    once_at(&home, &clock, at(180), 0);
    assert_eq!(server.count(), 3);
    // Nothing was held for ever, and nothing says so when the clock is set.
    once_at(&home, &clock, 0, 0);
    assert!(!home.read("state/state.json").contains("reckoning"));
}
