//! The HTTP client and the web source against real servers: every cause of failure has its words.

use std::net::TcpListener;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use homing::core::address::Family;
use homing::core::address::echo::Echo;
use homing::core::order::SortedSet;
use homing::core::outcome::{Fault, Silence};
use homing::core::protocol::{Answer, Authorization, Credential, HttpRequest, rails};
use homing::core::secret::Secret;
use homing::core::source::{Outside, Service};
use homing::net::http::{Clients, Limits};
use homing::os::supervisor::Pulse;
use homing::source::outside;

use crate::support::tls::{Certificate, Script, Server, drip, pour, reply, reply_with};

/// Long enough for a loaded machine, where nothing is to run out.
const PATIENT: Limits = Limits { connect: Duration::from_secs(20), whole: Duration::from_secs(40) };

/// For what never comes.
const HASTY: Limits =
    Limits { connect: Duration::from_millis(150), whole: Duration::from_millis(300) };

fn clients() -> Clients {
    Clients::with_limits(true, PATIENT)
}

fn request(url: &str) -> HttpRequest {
    HttpRequest::get(url.to_owned(), None)
}

/// What is at `url`, over a connection of `family`.
async fn at(url: &str, family: Family) -> Result<Answer, Silence> {
    let request = HttpRequest { via: Some(family), ..request(url) };
    clients().send_for(&request, None, (1024, PATIENT.whole)).await
}

async fn ask(server: &Server) -> Result<Answer, Silence> {
    ask_with(&clients(), server).await
}

async fn ask_with(clients: &Clients, server: &Server) -> Result<Answer, Silence> {
    let ca_file = Some(server.ca_file.as_path()).filter(|path| !path.as_os_str().is_empty());
    clients.send(&request(&server.url("/nic/update?secret=x")), ca_file).await
}

/// The error of asking `server`, with its name and port written `SERVER`.
async fn fault(server: &Server, limits: Limits) -> (Fault, String) {
    let answer = ask_with(&Clients::with_limits(true, limits), server).await;
    let error = answer.expect_err("the server is at fault");
    assert!(!error.detail.contains("secret"), "{}", error.detail);
    (error.fault, anonymous(&error.detail, server))
}

fn anonymous(detail: &str, server: &Server) -> String {
    let named = format!("localhost:{}", server.address.port());
    detail.replace(&server.address.to_string(), "SERVER").replace(&named, "SERVER")
}

fn known(fault: Fault, detail: &str) -> (Fault, String) {
    (fault, detail.to_owned())
}

fn fine(connection: &mut dyn crate::support::tls::Connection) -> std::io::Result<()> {
    reply(connection, "200 OK", "192.0.2.1\n")
}

// What arrives.

#[tokio::test]
async fn an_answer_comes_over_tls_from_an_authority_of_the_users() {
    let server = Server::tls(Certificate::Good, |connection| {
        let headers = "Content-Type: Text/Plain; charset=utf-8\r\n\
                       WWW-Authenticate: Basic\r\nRetry-After: 7\r\n";
        reply_with(connection, "401 Unauthorized", headers, "badauth")
    });
    let expect = Answer {
        status: 401,
        content_type: Some("text/plain".into()),
        challenges: true,
        retry_after: Some(Duration::from_secs(7)),
        body: b"badauth".to_vec(),
        repeats_secret: false,
        next: None,
        location: None,
        cookies: Vec::new(),
    };
    assert_eq!(ask(&server).await, Ok(expect));
}

#[tokio::test]
async fn a_request_says_little_and_the_right_things() {
    let server = Server::plain(fine);
    let clients = clients();
    let secret = Secret::new("s3cret");
    let credential = Credential { login: "me".to_owned(), secret: secret.clone() };
    for authorization in [Authorization::Basic(credential), Authorization::Token(secret)] {
        let authorization = Some(authorization);
        let request = HttpRequest { authorization, ..request(&server.url("/u?a=2001:db8::1,b")) };
        clients.send(&request, None).await.unwrap();
    }
    let requests = server.requests();
    let version = env!("CARGO_PKG_VERSION");
    let expect = |authorization: &str| {
        vec![
            "GET /u?a=2001:db8::1,b HTTP/1.1".to_owned(),
            "accept: text/plain, */*;q=0.5".to_owned(),
            format!("authorization: {authorization}"),
            format!("host: {}", server.address),
            format!("user-agent: homing/{version}"),
        ]
    };
    let sorted = |request: &String| {
        let mut lines: Vec<String> = request.trim().lines().map(str::to_owned).collect();
        lines[1..].sort_unstable();
        lines
    };
    assert_eq!(sorted(&requests[0]), expect("Basic bWU6czNjcmV0"));
    assert_eq!(sorted(&requests[1]), expect("Token s3cret"));
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_secret_that_no_header_can_carry_is_not_shown() {
    let server = Server::plain(fine);
    let authorization = Some(Authorization::Token(Secret::new("s3c\nret")));
    let request = HttpRequest { authorization, ..request(&server.url("/")) };
    let error = clients().send(&request, None).await.unwrap_err();
    assert_eq!(error.fault, Fault::Unreachable);
    assert!(error.detail.starts_with("the secret holds a character"), "{}", error.detail);
    assert!(!error.detail.contains("s3c"));
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_secret_part_of_the_path_stays_one_part_and_a_cookie_is_sent_as_it_is() {
    let server = Server::plain(fine);
    let clients = clients();
    let cookie = Authorization::Cookie(Secret::new("_x_session=c00kie"));
    for request in [
        rails::open(&server.url("/x"), &Secret::new("a1b2")),
        rails::open(&server.url("/x"), &Secret::new("../a?b#c")),
        HttpRequest { authorization: Some(cookie), ..request(&server.url("/x/token")) },
    ] {
        assert!(!["a1b2", "a%3Fb", "c00kie"].iter().any(|s| format!("{request:?}").contains(s)));
        clients.send(&request, None).await.unwrap();
    }
    let requests = server.requests();
    let first = |at: usize| requests[at].lines().next().unwrap().to_owned();
    assert_eq!(first(0), "GET /x/token/a1b2 HTTP/1.1");
    assert_eq!(first(1), "GET /x/token/..%2Fa%3Fb%23c HTTP/1.1");
    assert!(requests[2].contains("cookie: _x_session=c00kie\r\n"), "{}", requests[2]);
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let server = Server::plain(|connection| {
        let headers = "Location: /elsewhere\r\nSet-Cookie: a=1; path=/\r\nSet-Cookie: b=2\r\n";
        reply_with(connection, "302 Found", headers, "")
    });
    let answer = ask(&server).await.unwrap();
    assert_eq!((answer.status, answer.location.as_deref()), (302, Some("/elsewhere")));
    assert_eq!(answer.cookies, ["a=1; path=/", "b=2"].map(Secret::new));
    assert_eq!(server.requests().len(), 1);
}

// Nothing was sent.

#[tokio::test]
async fn a_name_that_does_not_exist_is_named() {
    // Too long for a label, so that no name server needs to be asked.
    let name = format!("{}.example", "a".repeat(64));
    let error = clients().send(&request(&format!("http://{name}/")), None).await.unwrap_err();
    assert_eq!(error.fault, Fault::Unreachable);
    let expect = format!("the name {name} does not resolve (");
    assert!(error.detail.starts_with(&expect), "{}", error.detail);
}

#[tokio::test]
async fn a_refused_connection_is_unreachable() {
    let server = Server::plain(fine);
    let vacant = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let error = clients().send(&request(&format!("http://{vacant}/")), None).await.unwrap_err();
    let expect = format!("{vacant} refuses the connection");
    assert_eq!(error, Silence { fault: Fault::Unreachable, detail: expect });
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn every_answer_and_every_failure_is_a_step_of_the_round() {
    let (pulse, server) = (Pulse::default(), Server::plain(fine));
    let clients = clients().counting(&pulse);
    assert!(ask_with(&clients, &server).await.is_ok());
    assert_eq!(pulse.steps(), 1);
    assert!(clients.send(&request("http://127.0.0.1:9/"), None).await.is_err());
    assert_eq!(pulse.steps(), 2);
}

#[tokio::test]
async fn a_server_that_stays_silent_before_tls_stands_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = listener.local_addr().unwrap();
    let url = format!("https://{place}/");
    let limits = Limits { connect: Duration::from_millis(50), ..PATIENT };
    let error = Clients::with_limits(true, limits).send(&request(&url), None).await.unwrap_err();
    let detail = format!("could not connect to {place} within 50ms");
    assert_eq!(error, Silence { fault: Fault::Unreachable, detail });
}

#[tokio::test]
async fn a_server_that_hangs_up_before_tls_stands_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = listener.local_addr().unwrap();
    thread::spawn(move || listener.incoming().for_each(drop));
    let error = clients().send(&request(&format!("https://{place}/")), None).await.unwrap_err();
    let detail = format!("{place} closed the connection at once");
    assert_eq!(error, Silence { fault: Fault::Unreachable, detail });
}

#[tokio::test]
async fn an_address_of_the_other_family_fails_at_once() {
    let server = Server::plain(fine);
    let request = HttpRequest { via: Some(Family::V6), ..request(&server.url("/")) };
    let error = clients().send(&request, None).await.unwrap_err();
    let detail = format!("{} cannot be reached over IPv6", server.address);
    assert_eq!(error, Silence { fault: Fault::Unreachable, detail });
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_name_is_asked_over_the_family_wanted() {
    let server = Server::plain(fine);
    let url = format!("http://localhost:{}/", server.address.port());
    let v4 = at(&url, Family::V4).await.unwrap();
    assert_eq!(v4.body, b"192.0.2.1\n");
    // The port is free on ::1, or localhost has no such address.
    let v6 = at(&url, Family::V6).await.unwrap_err();
    assert_eq!(v6.fault, Fault::Unreachable);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn ipv6_is_used_where_it_is_wanted() {
    let Some(server) = Server::plain_at("[::1]:0", fine) else {
        let all = std::env::var_os("HOMING_TESTS").is_some_and(|tests| tests == "all");
        assert!(!all, "loopback has no IPv6");
        eprintln!("skipped: loopback has no IPv6");
        return;
    };
    let answer = at(&server.url("/"), Family::V6).await;
    assert_eq!(answer.map(|answer| answer.status), Ok(200));
    let error = at(&server.url("/"), Family::V4).await.unwrap_err();
    assert_eq!(error.detail, format!("{} cannot be reached over IPv4", server.address));
}

// TLS.

#[tokio::test]
async fn an_expired_certificate_is_told_with_both_times() {
    let server = Server::tls(Certificate::Expired, fine);
    let (kind, detail) = fault(&server, PATIENT).await;
    assert_eq!(kind, Fault::Tls);
    let expect = "the certificate of SERVER expired at 2020-01-01T00:00:00Z; \
                  this machine's clock shows 2";
    assert!(detail.starts_with(expect), "{detail}");
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_certificate_of_the_future_blames_the_clock_only_where_it_is_not_set() {
    let server = Server::tls(Certificate::NotYetValid, fine);
    for (clock_is_set, expect) in [(true, Fault::Tls), (false, Fault::Clock)] {
        let clients = Clients::with_limits(clock_is_set, PATIENT);
        let error = ask_with(&clients, &server).await.unwrap_err();
        assert_eq!(error.fault, expect);
        let detail = anonymous(&error.detail, &server);
        let words = "the certificate of SERVER is not valid before 4000-01-01T00:00:00Z, \
                     and this machine's clock shows 2";
        assert!(detail.starts_with(words), "{detail}");
    }
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_clock_that_is_not_set_excuses_nothing_else() {
    let server = Server::tls(Certificate::WrongName, fine);
    let error = ask_with(&Clients::with_limits(false, PATIENT), &server).await.unwrap_err();
    assert_eq!(error.fault, Fault::Tls);
}

#[tokio::test]
async fn an_unknown_authority_is_told_with_the_way_out() {
    let server = Server::tls(Certificate::UnknownAuthority, fine);
    let expect = "the certificate of SERVER is from an unknown authority; \
                  if it is your own, name its certificate in `ca-file`";
    assert_eq!(fault(&server, PATIENT).await, known(Fault::Tls, expect));
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn an_authority_with_another_key_is_told() {
    let server = Server::tls(Certificate::Forged, fine);
    let expect = "the certificate of SERVER was not signed by the authority it names; \
                  if it is your own, renew its certificate in `ca-file`";
    assert_eq!(fault(&server, PATIENT).await, known(Fault::Tls, expect));
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn the_webs_authorities_do_not_vouch_for_the_users() {
    let server = Server::tls(Certificate::Good, fine);
    let error = clients().send(&request(&server.url("/")), None).await.unwrap_err();
    assert_eq!(error.fault, Fault::Tls);
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_wrong_name_is_told_with_the_right_ones() {
    let server = Server::tls(Certificate::WrongName, fine);
    let expect = "the certificate of SERVER is not for that name but for other.example, 192.0.2.1";
    assert_eq!(fault(&server, PATIENT).await, known(Fault::Tls, expect));
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_server_without_tls_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = listener.local_addr().unwrap();
    thread::spawn(move || {
        use std::io::Write;
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            thread::sleep(Duration::from_secs(1));
        }
    });
    let error = clients().send(&request(&format!("https://{place}/")), None).await.unwrap_err();
    let detail = format!("{place} does not speak TLS");
    assert_eq!(error, Silence { fault: Fault::Tls, detail });
}

#[tokio::test]
async fn a_file_of_authorities_that_is_none_is_named() {
    let server = Server::tls(Certificate::Good, fine);
    let check = async |path: &Path, expect: &str| {
        let error = clients().send(&request(&server.url("/")), Some(path)).await.unwrap_err();
        assert_eq!(error.fault, Fault::Tls);
        let expect = format!("the ca-file {} {expect}", path.display());
        assert!(error.detail.starts_with(&expect), "{}", error.detail);
    };
    check(Path::new("/nonexistent/ca.pem"), "cannot be opened: No such file").await;
    for nothing_to_read in ["/dev/null", "/dev/zero", "/"] {
        check(Path::new(nothing_to_read), "is not a regular file; name the file itself").await;
    }
    let file = std::env::temp_dir().join(format!("homing-authorities-{}.pem", std::process::id()));
    for (length, expect) in [(0, "holds no certificate"), (1024 * 1024 + 1, "is larger than 1 MiB")]
    {
        std::fs::write(&file, "-".repeat(length)).unwrap();
        check(&file, expect).await;
    }
    std::fs::remove_file(&file).unwrap();
    assert_eq!(server.connections(), 0);
}

// The request left, and no whole answer came.

#[tokio::test]
async fn an_answer_that_never_begins_is_lost() {
    let server = Server::plain(|_| {
        loop {
            thread::sleep(Duration::from_secs(60));
        }
    });
    let expect = "SERVER did not answer within 300ms";
    assert_eq!(fault(&server, HASTY).await, known(Fault::Lost, expect));
}

#[tokio::test]
async fn an_answer_that_drips_is_lost_when_time_is_up() {
    let server = Server::plain(|connection| {
        connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")?;
        drip(connection, &"a".repeat(9999))
    });
    let expect = "SERVER did not complete its answer within 300ms";
    assert_eq!(fault(&server, HASTY).await, known(Fault::Lost, expect));
}

#[tokio::test]
async fn an_empty_reply_is_lost() {
    let hang_up: Script = |_| Err(std::io::ErrorKind::Other.into());
    let expect = "SERVER closed the connection without an answer";
    let plain = Server::plain(hang_up);
    assert_eq!(fault(&plain, PATIENT).await, known(Fault::Lost, expect));
    assert_eq!(plain.requests().len(), 1);
    let tls = Server::tls(Certificate::Good, hang_up);
    assert_eq!(fault(&tls, PATIENT).await, known(Fault::Lost, expect));
    assert_eq!(tls.requests().len(), 1);
}

#[tokio::test]
async fn an_answer_that_is_cut_off_is_lost() {
    let in_its_head: Script = |connection| {
        connection.write_all(b"HTTP/1.1 200 OK\r\nConte")?;
        Err(std::io::ErrorKind::Other.into())
    };
    let expect = "SERVER closed the connection without an answer";
    let found = fault(&Server::plain(in_its_head), PATIENT).await;
    assert_eq!(found, known(Fault::Lost, expect));
    let in_its_body: Script = |connection| {
        connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ngood")?;
        Err(std::io::ErrorKind::Other.into())
    };
    let expect = known(Fault::Lost, "SERVER sent an incomplete answer");
    assert_eq!(fault(&Server::plain(in_its_body), PATIENT).await, expect);
    assert_eq!(fault(&Server::tls(Certificate::Good, in_its_body), PATIENT).await, expect);
    let in_a_chunk: Script = |connection| {
        connection.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ngood")?;
        Err(std::io::ErrorKind::Other.into())
    };
    assert_eq!(fault(&Server::plain(in_a_chunk), PATIENT).await, expect);
}

#[tokio::test]
async fn a_connection_that_was_closed_in_between_is_replaced() {
    let server = Server::plain(|connection| {
        fine(connection)?;
        Err(std::io::ErrorKind::Other.into())
    });
    let clients = clients();
    for _ in 0..3 {
        assert_eq!(ask_with(&clients, &server).await.map(|answer| answer.status), Ok(200));
        // Time for the end of the connection to arrive.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn nothing_stays_open_once_a_round_is_over() {
    let server = Server::tls(Certificate::Good, fine);
    let clients = clients();
    for _ in 0..3 {
        assert_eq!(ask_with(&clients, &server).await.map(|answer| answer.status), Ok(200));
    }
    assert_eq!((server.connections(), server.open()), (1, 1));
    drop(clients);
    let began = Instant::now();
    while server.open() > 0 {
        assert!(began.elapsed() < PATIENT.whole, "the connection is still open");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

// An answer that is none.

#[tokio::test]
async fn what_is_not_http_is_unintelligible() {
    let noise: Script = |connection| {
        connection.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")?;
        Err(std::io::ErrorKind::Other.into())
    };
    let (kind, detail) = fault(&Server::plain(noise), PATIENT).await;
    assert_eq!(kind, Fault::Unintelligible);
    assert!(detail.starts_with("the answer of SERVER is not HTTP ("), "{detail}");
    let chunks: Script = |connection| {
        connection
            .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n")?;
        Err(std::io::ErrorKind::Other.into())
    };
    assert_eq!(fault(&Server::plain(chunks), PATIENT).await.0, Fault::Unintelligible);
    let heads: Script = |connection| {
        connection.write_all(b"HTTP/1.1 200 OK\r\n")?;
        pour(connection, "X-Noise: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n")
    };
    assert_eq!(fault(&Server::plain(heads), PATIENT).await.0, Fault::Unintelligible);
}

#[tokio::test]
async fn a_body_without_end_is_cut_at_once() {
    let endless: Script = |connection| {
        connection.write_all(b"HTTP/1.0 200 OK\r\n\r\n")?;
        pour(connection, "good 192.0.2.1\n")
    };
    let began = Instant::now();
    let expect = known(Fault::Unintelligible, "SERVER answers with more than 65536 bytes");
    assert_eq!(fault(&Server::plain(endless), PATIENT).await, expect);
    let huge: Script = |connection| {
        connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")?;
        pour(connection, "good 192.0.2.1\n")
    };
    assert_eq!(fault(&Server::plain(huge), PATIENT).await, expect);
    assert!(began.elapsed() < PATIENT.whole);
}

#[tokio::test]
async fn a_wish_for_a_pause_counts_whatever_page_comes_with_it() {
    let server = Server::plain(|connection| {
        let headers = "Retry-After: 3600\r\nContent-Type: text/html\r\n";
        let page = format!("<html>{}", "busy ".repeat(20_000));
        reply_with(connection, "503 Service Unavailable", headers, &page)
    });
    let answer = ask(&server).await.unwrap();
    assert_eq!((answer.status, answer.body.len()), (503, 65536));
    assert_eq!(answer.retry_after, Some(Duration::from_secs(3600)));
}

// The web source.

fn web(servers: &[&Server], agree: usize) -> Outside {
    let service = |server: &&Server| {
        let ca_file = Some(server.ca_file.clone()).filter(|path| !path.as_os_str().is_empty());
        Service::Web { echo: Echo::at(server.url("/")), ca_file }
    };
    Outside { services: servers.iter().map(service).collect(), agree, bind: None }
}

async fn seen(web: &Outside, family: Family) -> Result<String, String> {
    let told = outside::ask(web, family, &clients(), &SortedSet::new()).await;
    told.address.map(|address| address.to_string())
}

fn fine_too(connection: &mut dyn crate::support::tls::Connection) -> std::io::Result<()> {
    reply(connection, "200 OK", "192.0.2.2")
}

#[tokio::test]
async fn services_are_tried_in_turn() {
    let broken =
        Server::plain(|connection| reply(connection, "500 Internal Server Error", "192.0.2.9"));
    let (first, second) = (Server::plain(fine), Server::plain(fine_too));
    let web = web(&[&broken, &first, &second], 1);
    assert_eq!(seen(&web, Family::V4).await, Ok("192.0.2.1".to_owned()));
    assert_eq!(second.connections(), 0);
}

#[tokio::test]
async fn the_address_that_enough_services_say_is_believed() {
    let (one, two, three) = (Server::plain(fine), Server::plain(fine_too), Server::plain(fine_too));
    let agreeing = web(&[&one, &two, &three], 2);
    assert_eq!(seen(&agreeing, Family::V4).await, Ok("192.0.2.2".to_owned()));
    let expect = format!(
        "no 2 services agree on the IPv4 address: {} says 192.0.2.1; {} says 192.0.2.2",
        one.address, two.address
    );
    assert_eq!(seen(&web(&[&one, &two], 2), Family::V4).await, Err(expect));
}

#[tokio::test]
async fn a_web_source_over_tls_needs_a_good_certificate() {
    for (certificate, expect) in [
        (Certificate::Good, Ok("192.0.2.1".to_owned())),
        (Certificate::Expired, Err("expired")),
        (Certificate::WrongName, Err("not for that name")),
        (Certificate::UnknownAuthority, Err("unknown authority")),
    ] {
        let server = Server::tls(certificate, fine);
        match (seen(&web(&[&server], 1), Family::V4).await, expect) {
            (Err(error), Err(expect)) => assert!(error.contains(expect), "{error}"),
            (found, expect) => assert_eq!(found, expect.map_err(str::to_owned)),
        }
    }
}

#[tokio::test]
async fn every_bad_service_is_told_with_its_cause() {
    let page = Server::plain(|c| reply(c, "200 OK", "<!doctype html><p>192.0.2.1"));
    let moved = Server::plain(|c| reply_with(c, "301 Moved", "Location: /x\r\n", "192.0.2.1"));
    let endless = Server::plain(|connection| {
        connection.write_all(b"HTTP/1.0 200 OK\r\n\r\n")?;
        pour(connection, "192.0.2.1\n")
    });
    let empty = Server::plain(|c| reply(c, "200 OK", ""));
    let other = Server::plain(|c| reply(c, "200 OK", "2001:db8::1"));
    let servers = [&page, &moved, &endless, &empty, &other];
    let found = seen(&web(&servers, 1), Family::V4).await.unwrap_err();
    let expect = format!(
        "no service returned an IPv4 address: {} answers HTTP 200 with a web page; {} redirects \
            to another place (HTTP 301); {} answers with more than 1024 bytes; {} answers HTTP 200 \
            with an empty body; {} says 2001:db8::1, which is not an IPv4 address",
        page.address, moved.address, endless.address, empty.address, other.address
    );
    assert_eq!(found, expect);
    assert_eq!(moved.requests().len(), 1);
}
