//! Reports: what people and programs are told of a problem, by the daemon and from cron.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

use std::io::{Read, Write};
use std::net::TcpListener;
#[cfg(feature = "pages")]
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
#[cfg(feature = "pages")]
use std::time::SystemTime;
use std::time::{Duration, Instant};

#[cfg(feature = "pages")]
use crate::support::netns;
use crate::support::{home, sandbox};
use home::{DEV1, Home, Signal, wait_until};
use sandbox::{Account, Answer, Sandbox, Scripted};

/// Writes down what it was told, a line for each run.
const TELL: &str = "#!/bin/sh\n\
    echo \"$HOMING_EVENT|$HOMING_HOST|$HOMING_OUTCOME|$HOMING_IPV4|$HOMING_REASON|$HOMING_FIX\" >>DIR/told\n\
    env | cut -d= -f1 | sort >DIR/names\n\
    env >>DIR/all\n";

/// A host at a sandbox, a program that writes down what it is told, and these further reports.
fn one_host(more: &str) -> (Sandbox, Home) {
    let mut account = Account::new("owner@example.com");
    account.add_zone("dyn.example.com");
    for name in ["dev1", "dev2"] {
        let host = format!("{name}.dyn.example.com");
        account.add_host_token(name, &format!("s3cret-of-{name}"), &[&*host]).unwrap();
    }
    account.throttled = false;
    let sandbox = Sandbox::start(account).unwrap();
    let home = Home::at(&sandbox.url(), DEV1);
    home.configure(&home.read("config.toml").replace("\"desec\"\n", "\"desec\"\npace = \"off\"\n"));
    let dir = home.path("").display().to_string();
    home.write("tell", &TELL.replace("DIR", dir.trim_end_matches('/')), 0o700);
    add_reports(&home, &format!("on-problem = [\"{dir}tell\"]\n{more}"));
    (sandbox, home)
}

/// Adds a `[report]` with these settings.
fn add_reports(home: &Home, settings: &str) {
    let config = home.read("config.toml");
    home.configure(&config.replacen(
        "[source.here]",
        &format!("[report]\n{settings}\n[source.here]"),
        1,
    ));
}

/// What the program was told: event, host, outcome, the address that is set, reason and fix.
fn told(home: &Home) -> Vec<Vec<String>> {
    let line = |line: &str| line.split('|').map(str::to_owned).collect();
    home.read("told").lines().map(line).collect()
}

#[track_caller]
fn once(home: &Home, code: i32) -> home::Ran {
    let ran = home.once();
    assert_eq!(ran.code, code, "{ran:#?}");
    ran
}

#[test]
fn a_rejection_is_told_once_whatever_the_number_of_runs_and_so_is_its_end() {
    let (_sandbox, home) = one_host("");
    once(&home, 0);
    assert_eq!(told(&home), [[""; 0]; 0], "nothing to tell of a host that is right");
    home.secret("token", "wr0ng-secret");
    home.configure(&home.read("config.toml").replace("198.51.100.7", "198.51.100.8"));
    for _ in 0..3 {
        once(&home, 77);
    }
    let [problem] = &told(&home)[..] else { panic!("{:?}", told(&home)) };
    assert_eq!(problem[..4], ["problem", "dev1.dyn.example.com", "rejected", "198.51.100.7"]);
    assert!(problem[4].starts_with("the credential is refused"), "{problem:?}");
    assert!(problem[5].starts_with("put a valid token"), "{problem:?}");
    home.secret("token", "s3cret-of-dev1");
    for _ in 0..2 {
        once(&home, 0);
    }
    let all = told(&home);
    let expect = ["recovered", "dev1.dyn.example.com", "updated", "198.51.100.8", "", ""];
    assert_eq!((all.len(), &all[1][..]), (2, &expect.map(str::to_owned)[..]));
    assert!(home.read("all").contains("HOMING_OLD_IPV4=198.51.100.7\n"));
    assert!(!home.read("all").contains("s3cret") && !home.read("all").contains("wr0ng"));
    let names = home.read("names");
    let names = names.lines().filter(|name| !["_", "OLDPWD", "PWD", "SHLVL"].contains(name));
    let expect = "HOMING_EVENT HOMING_FIX HOMING_HOST HOMING_IPV4 HOMING_IPV6 HOMING_OLD_IPV4 \
                  HOMING_OLD_IPV6 HOMING_OUTCOME HOMING_PROVIDER HOMING_REASON PATH";
    assert_eq!(names.collect::<Vec<_>>().join(" "), expect);
}

#[test]
fn a_deferral_is_told_when_it_has_lasted_and_a_restart_tells_it_no_second_time() {
    let (sandbox, home) = one_host("problem-after = \"2s\"\n");
    let fault = || Scripted::answer(Answer::text(503, "try later"));
    (0..50).for_each(|_| sandbox.answer_next(fault()));
    let daemon = home.daemon();
    daemon.wait_for("update deferred");
    assert_eq!(told(&home).len(), 0, "{}", daemon.log());
    wait_until("word", || told(&home).len() == 1, || daemon.log());
    assert_eq!(told(&home)[0][..3], ["problem", "dev1.dyn.example.com", "deferred"]);
    assert_ne!(told(&home)[0][5], "");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.end().0, 0);
    let daemon = home.daemon();
    daemon.wait_for("update deferred");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.end().0, 0);
    assert_eq!(told(&home).len(), 1, "a restart");
}

#[test]
fn a_program_that_hangs_delays_neither_an_update_nor_the_end() {
    let (sandbox, home) = one_host("");
    let hosts = DEV1.replace("dev1", "dev2").replace("\"token\"", "\"token2\"");
    let config = format!("{}{hosts}", home.read("config.toml"));
    let tell = format!("{}", home.path("tell").display());
    home.configure(&config.replace(&format!("[\"{tell}\"]"), "[\"sleep\", \"60\"]"));
    home.secret("token", "wrong");
    home.secret("token2", "s3cret-of-dev2");
    let daemon = home.daemon();
    daemon.wait_for("update rejected");
    let log = || daemon.log();
    wait_until("update", || sandbox.records("dev2.dyn.example.com", "A").len() == 1, log);
    home.configure(&home.read("config.toml").replace("198.51.100.7", "198.51.100.8"));
    daemon.signal(Signal::HUP);
    let is_set = || sandbox.records("dev2.dyn.example.com", "A") == ["198.51.100.8"];
    wait_until("second update", is_set, log);
    daemon.signal(Signal::TERM);
    let (code, took) = daemon.end();
    assert_eq!(code, 0);
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn a_program_that_fails_is_warned_of_once() {
    let (_sandbox, home) = one_host("");
    let ran = home.path("ran");
    let script = format!("#!/bin/sh\necho $HOMING_EVENT >>{}\nexit 3\n", ran.display());
    home.write("tell", &script, 0o700);
    home.secret("token", "wrong");
    let daemon = home.daemon();
    daemon.wait_for("on-problem failed");
    home.secret("token", "s3cret-of-dev1");
    daemon.wait_for("updated");
    home.secret("token", "wrong");
    home.configure(&home.read("config.toml").replace("198.51.100.7", "198.51.100.8"));
    daemon.signal(Signal::HUP);
    let has_run = || home.read("ran") == "problem\nrecovered\nproblem\n";
    wait_until("third run", has_run, || format!("{}{}", home.read("ran"), daemon.log()));
    daemon.signal(Signal::TERM);
    let log = daemon.log();
    assert_eq!(daemon.end().0, 0);
    assert_eq!(log.matches("on-problem failed").count(), 1, "{log}");
    assert!(log.contains("tell failed (exit status: 3)"), "{log}");
}

#[test]
fn once_says_that_its_program_failed_and_ends_as_it_would_without() {
    let (_sandbox, home) = one_host("");
    home.write("tell", "#!/bin/sh\nexit 3\n", 0o700);
    home.secret("token", "wrong");
    let ran = once(&home, 77);
    assert!(ran.err.contains("warning: on-problem: "), "{ran:?}");
    assert!(ran.err.contains("run the on-problem program by hand"), "{ran:?}");
    assert_eq!(once(&home, 77).err, "");
}

#[test]
fn the_history_tells_each_change_once_with_its_reason() {
    let (_sandbox, home) = one_host("");
    let ran = home.run(&["history"]);
    assert_eq!((ran.code, &*ran.out, &*ran.err), (0, "no change is recorded yet\n", ""));
    once(&home, 0);
    once(&home, 0);
    home.configure(&home.read("config.toml").replace("198.51.100.7", "198.51.100.8"));
    once(&home, 0);
    let ran = home.run(&["history"]);
    assert_eq!((ran.code, &*ran.err), (0, ""));
    let lines: Vec<Vec<&str>> = ran
        .out
        .lines()
        .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
        .collect();
    let host = "dev1.dyn.example.com";
    let rest: Vec<_> = lines.iter().map(|line| &line[1..]).collect();
    assert_eq!(
        rest,
        [
            [host, "IPv4", "- -> 198.51.100.7", "sandbox", "first update"],
            [host, "IPv6", "- -> 2001:db8::7", "sandbox", "first update"],
            [host, "IPv4", "198.51.100.7 -> 198.51.100.8", "sandbox", "the address changed"],
        ]
    );
    assert!(lines.iter().all(|line| line[0].starts_with("20")), "{ran:?}");
    let ran = home.run(&["history", "--json", "DEV1.dyn.example.com."]);
    let last: serde_json::Value = serde_json::from_str(ran.out.lines().last().unwrap()).unwrap();
    assert_eq!(last["new"][0], "198.51.100.8");
    assert_eq!((&last["why"], &last["family"]), (&"changed".into(), &"ipv4".into()));
    let ran = home.run(&["history", "dev.dyn.example.com"]);
    assert_eq!(ran.code, 64);
    assert!(ran.err.contains("did you mean dev1.dyn.example.com?"), "{ran:?}");
}

#[test]
fn a_history_that_cannot_be_written_stops_no_update_and_is_warned_of_once() {
    let (_sandbox, home) = one_host("");
    std::fs::create_dir_all(home.path("state/history.jsonl")).unwrap();
    let ran = once(&home, 0);
    assert!(ran.out.contains("updated: IPv4 198.51.100.7"), "{ran:?}");
    assert!(ran.err.contains("warning: history: cannot write "), "{ran:?}");
    std::fs::remove_dir(home.path("state/history.jsonl")).unwrap();
    home.configure(&home.read("config.toml").replace("198.51.100.7", "198.51.100.8"));
    assert_eq!(once(&home, 0).err, "");
    std::fs::write(home.path("state/history.jsonl"), "what is this?\n").unwrap();
    let ran = home.run(&["history"]);
    assert_eq!((ran.code, &*ran.out), (0, "no change is recorded yet\n"));
    assert!(ran.err.contains("1 line of the history in"), "{ran:?}");
}

/// A monitoring service on loopback that writes down what it is asked for.
struct Monitor {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
    status: Arc<AtomicU16>,
}

impl Monitor {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/ping/t0psecret", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let status = Arc::new(AtomicU16::new(200));
        let (all, code) = (Arc::clone(&asked), Arc::clone(&status));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = [0; 4096];
                let length = stream.read(&mut request).unwrap_or_default();
                let line = String::from_utf8_lossy(&request[..length]);
                let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
                all.lock().unwrap().push(path);
                let code = code.load(Ordering::Relaxed);
                let answer = format!(
                    "HTTP/1.1 {code} X\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK"
                );
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { url, asked, status }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

#[test]
fn a_ping_says_that_all_is_right_once_in_an_interval_and_a_failure_at_once() {
    let monitor = Monitor::start();
    let (_sandbox, home) =
        one_host("ping-file = \"ping\"\nping-service = \"healthchecks\"\nping-interval = \"1h\"\n");
    home.secret("ping", &monitor.url);
    for _ in 0..3 {
        assert_eq!(home.run(&["--once", "-vv"]).code, 0);
    }
    assert_eq!(monitor.asked(), ["/ping/t0psecret"]);
    home.secret("token", "wrong");
    home.configure(&home.read("config.toml").replace("198.51.100.7", "198.51.100.8"));
    for _ in 0..2 {
        let ran = home.run(&["--once", "-vv"]);
        assert_eq!(ran.code, 77);
        assert!(!ran.err.contains("t0psecret") && !ran.out.contains("t0psecret"), "{ran:?}");
    }
    home.secret("token", "s3cret-of-dev1");
    once(&home, 0);
    assert_eq!(monitor.asked(), ["/ping/t0psecret", "/ping/t0psecret/fail", "/ping/t0psecret"]);
    let state = std::fs::read_dir(home.path("state")).unwrap();
    for file in state.map(|file| file.unwrap().path()) {
        assert!(!std::fs::read_to_string(&file).unwrap().contains("t0psecret"), "{file:?}");
    }
}

#[test]
fn a_ping_that_fails_is_warned_of_once_and_when_it_works_again() {
    let monitor = Monitor::start();
    let (_sandbox, home) =
        one_host(&format!("ping = \"{}\"\nping-interval = \"10s\"\n", monitor.url));
    monitor.status.store(404, Ordering::Relaxed);
    let config = home.read("config.toml").replace("[daemon]\n", "[daemon]\ninterval = \"10s\"\n");
    home.configure(&config);
    let daemon = home.daemon_with(&["-vv"]);
    daemon.wait_for("ping failed");
    let begun = Instant::now();
    while monitor.asked().len() < 2 {
        assert!(begun.elapsed() < Duration::from_secs(30), "{}", daemon.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    monitor.status.store(200, Ordering::Relaxed);
    while !daemon.log().contains("ping works again") {
        assert!(begun.elapsed() < Duration::from_secs(60), "{}", daemon.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    let log = daemon.log();
    assert_eq!(log.matches("ping failed").count(), 1, "{log}");
    assert!(log.contains("its service answers HTTP 404"), "{log}");
    assert!(!log.contains("t0psecret"), "{log}");
    assert!(monitor.asked().iter().all(|path| path == "/ping/t0psecret"));
}

#[test]
fn a_ping_whose_file_is_wrong_says_so_in_check_and_stops_no_update() {
    let (_sandbox, home) = one_host("ping-file = \"ping\"\n");
    let ran = once(&home, 0);
    assert!(ran.out.contains("updated: IPv4"), "{ran:?}");
    assert!(ran.err.contains("put the URL of the ping on its first line"), "{ran:?}");
    home.secret("ping", "http://a.example/t0psecret");
    let ran = home.run(&["check"]);
    assert_eq!(ran.code, 78, "{ran:?}");
    assert!(
        ran.out.contains("report.ping-file: ") && ran.out.contains("write https://"),
        "{ran:?}"
    );
    assert!(!ran.out.contains("t0psecret"), "{ran:?}");
}

/// Checks a file of metrics with Prometheus' own program.
#[cfg(feature = "pages")]
fn check_metrics(name: &str, text: &str) {
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped());
    let Ok(mut promtool) = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn() else {
        return netns::skip(name, "needs promtool (of Debian's prometheus)");
    };
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert_eq!((output.status.code(), &*String::from_utf8_lossy(&said)), (Some(0), ""), "{text}");
}

/// The reports of a run with both files.
#[cfg(feature = "pages")]
const FILES: &str = "metrics-file = \"out/homing.prom\"\nstatus-page = \"out/index.html\"\n";

#[test]
#[cfg(feature = "pages")]
fn metrics_are_what_prometheus_reads_and_hold_what_is_known() {
    let test = "metrics_are_what_prometheus_reads_and_hold_what_is_known";
    let (_sandbox, home) = one_host(FILES);
    std::fs::create_dir(home.path("out")).unwrap();
    once(&home, 0);
    let right = home.read("out/homing.prom");
    check_metrics(test, &right);
    let host = "{host=\"dev1.dyn.example.com\",provider=\"sandbox\"";
    for line in [
        &format!("homing_host_right{host}}} 1"),
        &format!("homing_host_exit_code{host}}} 0"),
        &format!("homing_host_outcome{host},outcome=\"updated\"}} 1"),
        &format!("homing_host_outcome{host},outcome=\"rejected\"}} 0"),
        &format!("homing_record_set{host},family=\"ipv6\"}} 1"),
        "homing_answers_total{outcome=\"updated\"} 1",
        "homing_state_saved 1",
    ] {
        assert!(right.lines().any(|it| it == line), "{line}: {right}");
    }
    let value = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
        line.split(' ').nth(1).unwrap().parse::<f64>().unwrap()
    };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
    let last = value(&right, "homing_last_round_timestamp_seconds");
    assert!((now - 60.0..=now).contains(&last), "{last} {now}");
    let next = value(&right, "homing_next_write_timestamp_seconds");
    assert!((3590.0..=3660.0).contains(&(next - last)), "{last} {next}");
    home.secret("token", "wr0ng-secret");
    home.configure(&home.read("config.toml").replace("198.51.100.7", "198.51.100.8"));
    once(&home, 77);
    let wrong = home.read("out/homing.prom");
    check_metrics(test, &wrong);
    let hold = format!(
        "homing_host_hold_until_timestamp_seconds{host},family=\"\",kind=\"rejected\",reason=\"credential\"}} +Inf"
    );
    for line in [
        &format!("homing_host_right{host}}} 0"),
        &format!("homing_host_exit_code{host}}} 77"),
        &hold,
    ] {
        assert!(wrong.lines().any(|it| it == line), "{line}: {wrong}");
    }
    assert!(!wrong.contains("wr0ng") && !right.contains("s3cret"), "secrets");
}

#[test]
#[cfg(feature = "pages")]
fn a_file_is_written_when_something_changed_and_when_it_is_old() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    let (_sandbox, home) = one_host(FILES);
    std::fs::create_dir(home.path("out")).unwrap();
    once(&home, 0);
    let of = |name: &str| std::fs::metadata(home.path(name)).unwrap();
    assert_eq!(of("out/homing.prom").permissions().mode() & 0o777, 0o644);
    assert_eq!(of("out/index.html").permissions().mode() & 0o777, 0o644);
    let inodes = || [of("out/homing.prom").ino(), of("out/index.html").ino()];
    let first = inodes();
    once(&home, 0);
    assert_eq!(inodes(), first, "nothing changed");
    for name in ["out/homing.prom", "out/index.html"] {
        let file = std::fs::File::options().write(true).open(home.path(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(56 * 60)).unwrap();
    }
    let before = home.read("out/index.html");
    std::thread::sleep(Duration::from_millis(1100));
    once(&home, 0);
    let second = inodes();
    assert!(first.iter().zip(second).all(|(one, two)| *one != two), "they were old");
    assert_ne!(before, "");
    // What others may read stays as it was made.
    std::fs::set_permissions(home.path("out/index.html"), PermissionsExt::from_mode(0o640))
        .unwrap();
    home.configure(&home.read("config.toml").replace("198.51.100.7", "198.51.100.8"));
    once(&home, 0);
    assert!(second.iter().zip(inodes()).all(|(one, two)| *one != two), "something changed");
    assert_eq!(of("out/index.html").permissions().mode() & 0o777, 0o640);
    let mut names: Vec<_> =
        std::fs::read_dir(home.path("out")).unwrap().map(|it| it.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["homing.prom", "index.html"]);
}

#[test]
#[cfg(feature = "pages")]
fn the_page_is_whole_and_what_a_server_says_is_text_in_it() {
    let (sandbox, home) = one_host(FILES);
    std::fs::create_dir(home.path("out")).unwrap();
    let evil = "<script>alert(1)</script>\"'&";
    (0..3).for_each(|_| sandbox.answer_next(Scripted::answer(Answer::text(400, evil))));
    once(&home, 77);
    let page = home.read("out/index.html");
    assert!(!page.contains("<script") && page.contains("&lt;script&gt;"), "{page}");
    // Every tag is closed, so a parser of XML reads it, but for the document's type.
    let (first, rest) = page.split_once('\n').unwrap();
    assert_eq!(first, "<!DOCTYPE html>");
    let page = roxmltree::Document::parse(rest).unwrap();
    let all = |name: &'static str| page.descendants().filter(move |node| node.has_tag_name(name));
    let text = |node: roxmltree::Node<'_, '_>| {
        node.descendants()
            .filter(roxmltree::Node::is_text)
            .filter_map(|node| node.text())
            .collect::<String>()
    };
    assert_eq!(page.root_element().attribute("lang"), Some("en"));
    assert_eq!(text(all("title").next().unwrap()), "Homing: state of the hosts");
    assert_eq!(all("caption").count(), 1);
    assert!(all("meta").any(|meta| meta.attribute("name") == Some("viewport")));
    let headers: Vec<_> = all("th").map(|th| (th.attribute("scope").unwrap(), text(th))).collect();
    assert_eq!(headers.len(), 6, "five columns and a row: {headers:?}");
    assert_eq!(headers[5], ("row", "dev1.dyn.example.comsandbox".to_owned()));
    let columns: Vec<_> = headers[1..5].iter().map(|(_, name)| name.as_str()).collect();
    let labels: Vec<_> = all("td").map(|td| td.attribute("data-label").unwrap()).collect();
    assert_eq!(labels, columns);
    let state = text(all("td").next().unwrap());
    assert!(state.starts_with("rejected") && state.contains("Fix: "), "{state}");
    let as_of = all("p").find(|p| p.attribute("class") == Some("as-of")).unwrap();
    assert!(text(as_of).starts_with("As of 20"), "{}", text(as_of));
    let elsewhere = page.descendants().flat_map(|node| node.attributes());
    let elsewhere = elsewhere.filter(|it| ["src", "href"].contains(&it.name()));
    assert_eq!(elsewhere.map(|it| it.value()).collect::<Vec<_>>(), ["data:,"]);
}

#[test]
#[cfg(feature = "pages")]
fn a_file_that_cannot_be_written_is_warned_of_once_until_it_works() {
    let (sandbox, home) = one_host(FILES);
    let ran = home.run(&["check"]);
    assert_eq!(ran.code, 78);
    assert!(ran.out.contains("report.metrics-file: the directory "), "{ran:?}");
    let ran = once(&home, 0);
    assert!(ran.err.contains("warning: metrics-file: cannot write "), "{ran:?}");
    assert!(
        ran.err.contains("warning: status-page: ") && ran.err.contains("run `mkdir -p "),
        "{ran:?}"
    );
    assert_eq!(once(&home, 0).err, "", "told of once");
    let daemon = home.daemon();
    daemon.wait_for("status-page failed");
    for address in ["198.51.100.8", "198.51.100.9"] {
        let config = home.read("config.toml");
        home.configure(&config.replace("198.51.100.7", address).replace("198.51.100.8", address));
        if address == "198.51.100.9" {
            // The directory is made while the update is under way, so the files are due twice in a row.
            sandbox.answer_next(Scripted::genuine().after(Duration::from_millis(400)));
        }
        daemon.signal(Signal::HUP);
        let is_set = || sandbox.records("dev1.dyn.example.com", "A") == [address];
        wait_until("update", is_set, || daemon.log());
    }
    assert_eq!(daemon.log().matches("status-page failed").count(), 1, "{}", daemon.log());
    std::fs::create_dir(home.path("out")).unwrap();
    home.configure(&home.read("config.toml").replace("198.51.100.9", "198.51.100.10"));
    daemon.signal(Signal::HUP);
    daemon.wait_for("status-page works again");
    daemon.wait_for("metrics-file works again");
    wait_until(
        "page",
        || home.read("out/index.html").contains("198.51.100.10"),
        || home.read("out/index.html") + &daemon.log(),
    );
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.end().0, 0);
}

#[test]
fn a_signal_ends_a_run_that_waits_for_a_program() {
    let (_sandbox, home) = one_host("");
    home.write("tell", "#!/bin/sh\nsleep 60\n", 0o700);
    home.secret("token", "wrong");
    let run = home.command(&["--once"]).spawn().unwrap();
    let is_saved = || home.read("state/state.json").contains("\"problem\"");
    wait_until("state", is_saved, || home.read("state/state.json"));
    std::thread::sleep(Duration::from_millis(300));
    let begun = Instant::now();
    let pid = rustix::process::Pid::from_child(&run);
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    let ran = home::Ran::from(run.wait_with_output().unwrap());
    assert_eq!(ran.code, 77, "{ran:?}");
    assert!(begun.elapsed() < Duration::from_secs(5));
}
