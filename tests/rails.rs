//! `PowerDNS` on Rails: the test server is held to what the page of its REST interface says, and the
//! client to surviving it, in every release.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use homing::core::address::{Addresses, PerFamily};
use homing::core::outcome::{Fault, Outcome, Rejection};
use homing::core::plan::{Update, Wish};
use homing::core::protocol::manners::Protocol;
use homing::core::protocol::rails::{Session, counted};
use homing::core::protocol::talk::Talk;
use homing::core::protocol::{Credential as Login, Verdict};
use homing::core::secret::Secret;
use homing::core::time::Timestamp;
use homing::core::token::Duty;
use homing::core::token::finding::verdict;
use homing::core::token::rails::Grant;
use homing::core::token::rails::audit::judge;
use homing::net::http::{Clients, Limits};
use homing::provider::Trouble;
use homing::provider::carry::Carrier;
use homing::provider::rails::{Minted, PLACEHOLDERS, Server};

use crate::support::rails;
use rails::http::to_base64;
use rails::world::{MINTER, OWNER};
use rails::{Answer, Credential, Rails, Release, Scripted, World};

const HOST: &str = "dev1.example.com";
const V4: &str = "203.0.113.7";
const V6: &str = "2001:db8::7";
const OLD_V4: &str = "192.0.2.1";
const OLD_V6: &str = "2001:db8::1";
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A server with a domain in which the host has both records, and a token for them.
struct Scene {
    rails: Rails,
    token: String,
    domain: u64,
    clients: Clients,
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

fn in_a_year() -> Timestamp {
    Timestamp::from_secs((now() + YEAR).as_secs())
}

fn clients() -> Clients {
    let patient = Limits { connect: Duration::from_secs(20), whole: Duration::from_secs(40) };
    Clients::with_limits(true, patient)
}

/// What comes of `updates` with `token` at `server`.
async fn update(clients: &Clients, server: &str, token: &Secret, updates: &[Update]) -> Verdict {
    let provider = &Protocol::Rails.defaults("rails".into());
    let credential = &Login { login: String::new(), secret: token.clone() };
    let (session, step) = Session::begin(server, token, updates, None);
    let mut talk = Talk::Rails(session);
    let carrier = Carrier { clients, provider, credential, path: None, bind: None };
    carrier.hold(step, |heard| talk.hear(heard)).await
}

impl Scene {
    fn new(release: Release) -> Self {
        Self::with(release, &[&format!("{HOST}:A"), &format!("{HOST}:AAAA")], |_| {})
    }

    fn with(release: Release, records: &[&str], change: impl FnOnce(&mut World)) -> Self {
        let mut world = World::new(release);
        let domain = world.add_domain("example.com");
        world.add_record(HOST, "A", OLD_V4);
        world.add_record(HOST, "AAAA", OLD_V6);
        world.add_record("www.example.com", "A", OLD_V4);
        let token = world.add_token(domain, records, now() + YEAR);
        change(&mut world);
        Self { rails: Rails::start(world).unwrap(), token, domain, clients: clients() }
    }

    /// The outcome of updating the host to what is given.
    async fn update(&self, v4: Option<&str>, v6: Option<&str>) -> Outcome {
        let token = Secret::new(&self.token);
        let verdict = update(&self.clients, &self.rails.url(), &token, &[wishing(v4, v6)]).await;
        let outcome = match verdict {
            Verdict::All(outcome) => outcome,
            Verdict::Each(mut each) if each.len() == 1 => each.remove(0),
            other => panic!("{other:?}"),
        };
        let told = format!("{outcome:?}");
        assert!(!told.contains(&self.token), "{told}");
        outcome
    }

    async fn mint(&self, user: (&str, &str), grant: &Grant) -> Result<Minted, Trouble> {
        let url = self.rails.url();
        let minted = Server::new(&url, None, &self.clients).mint(&login(user), grant).await;
        let told = format!("{minted:?}");
        assert!(!told.contains(user.1), "{told}");
        minted
    }

    /// The values of the host's records.
    fn values(&self) -> (Vec<String>, Vec<String>) {
        (self.rails.values(HOST, "A"), self.rails.values(HOST, "AAAA"))
    }

    /// How many requests with this method were made.
    fn count(&self, method: &str) -> usize {
        self.rails.requests().iter().filter(|request| request.method == method).count()
    }
}

fn login((name, password): (&str, &str)) -> Login {
    Login { login: name.to_owned(), secret: Secret::new(password) }
}

fn wishing(v4: Option<&str>, v6: Option<&str>) -> Update {
    let wish = |text: Option<&str>| match text {
        Some(text) => Wish::Set(Addresses::from(text.parse::<IpAddr>().unwrap())),
        None => Wish::Leave,
    };
    Update { host: HOST.parse().unwrap(), wishes: PerFamily { v4: wish(v4), v6: wish(v6) } }
}

fn duty(host: &str, v4: bool, v6: bool) -> Duty {
    let zone = "example.com".parse().unwrap();
    Duty { host: host.parse().unwrap(), zone, families: PerFamily { v4, v6 } }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

fn fault(outcome: &Outcome) -> Fault {
    match outcome {
        Outcome::Deferred(deferral) => deferral.fault,
        other => panic!("not deferred: {other:?}"),
    }
}

fn rejection(outcome: &Outcome) -> (Rejection, String) {
    match outcome {
        Outcome::Rejected(refusal) => (refusal.rejection, refusal.detail.clone()),
        other => panic!("not rejected: {other:?}"),
    }
}

/// The status, the head and the body of the answer to a request as it is.
fn raw(rails: &Rails, request: &str, headers: &str, body: &str) -> (u16, String, String) {
    let url = rails.url();
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    let length = body.len();
    let text = format!(
        "{request} HTTP/1.1\r\nHost: dns.example\r\nConnection: close\r\nContent-Length: {length}\r\n\
         {headers}\r\n{body}"
    );
    stream.write_all(text.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), head.to_owned(), body.to_owned())
}

fn basic((name, password): (&str, &str)) -> String {
    format!("Authorization: Basic {}\r\n", to_base64(format!("{name}:{password}").as_bytes()))
}

/// The header that presents the session which a token opens.
fn session(scene: &Scene) -> String {
    let (status, head, _) = raw(&scene.rails, &format!("GET /token/{}", scene.token), "", "");
    assert_eq!(status, 302);
    let cookie = head.lines().find_map(|line| line.strip_prefix("Set-Cookie: ")).unwrap();
    format!("Cookie: {}\r\n", cookie.split(';').next().unwrap())
}

const AS_XML: &str = "Content-Type: text/xml\r\n";
const PUT_XML: &str = "Content-Type: application/xml\r\n";

fn asking(inner: &str) -> String {
    format!("<auth_token><domain>example.com</domain>{inner}</auth_token>")
}

fn minting(scene: &Scene, user: (&str, &str), headers: &str, body: &str) -> (u16, String) {
    let headers = format!("{}{headers}", basic(user));
    let (status, _, body) = raw(&scene.rails, "POST /auth_token.xml", &headers, body);
    (status, body)
}

// The server is as its page says.

#[test]
fn the_server_mints_as_its_page_says() {
    let scene = Scene::new(Release::V2_3_3);
    let end = "<expires_at>Wed, 18 Feb 2099 12:31:29 +0200</expires_at>";
    let (status, body) = minting(&scene, MINTER, AS_XML, &asking(end));
    assert_eq!(status, 200);
    assert!(body.contains("<expires>2099-02-18 10:31:29 UTC</expires>"), "{body}");
    let secret = body.split("<auth_token>").nth(1).unwrap().split('<').next().unwrap();
    assert!(secret.len() == 16 && secret.bytes().all(|b| b.is_ascii_alphanumeric()), "{secret}");
    assert!(body.contains(&format!("<url>http://dns.example/token/{secret}</url>")), "{body}");

    let codes = |release| {
        let scene = Scene::new(release);
        let code = |user, headers, body: &str| minting(&scene, user, headers, body).0;
        let past = "<expires_at>Wed, 18 Feb 2009 12:31:29 +0200</expires_at>";
        [
            code(MINTER, "", &asking(end)),
            code(MINTER, AS_XML, ""),
            code(MINTER, AS_XML, &asking(end).replace("example.com", "example.net")),
            code(MINTER, AS_XML, &asking(past)),
            code(MINTER, AS_XML, &asking("")),
            code(MINTER, AS_XML, &asking(&format!("{end}<record>a.example.com:A</record>"))),
            code(OWNER, AS_XML, &asking(end)),
            code(("minter", "wrong"), AS_XML, &asking(end)),
        ]
    };
    assert_eq!(codes(Release::V2_3_3), [422, 422, 404, 500, 200, 200, 302, 401]);
    assert_eq!(codes(Release::Later), [422, 422, 404, 500, 500, 500, 302, 401]);
}

#[test]
fn the_server_gives_an_hour_and_nothing_else_unless_told() {
    let scene = Scene::new(Release::V2_3_3);
    minting(&scene, MINTER, AS_XML, &asking(""));
    let token = scene.rails.with_world(|world| world.tokens.last().unwrap().clone());
    let left = token.expires.checked_sub(now()).unwrap();
    assert!(left <= Duration::from_secs(3600) && left > Duration::from_secs(3500), "{left:?}");
    assert!(!token.allows_by_default && !token.allow_new && !token.remove);
    assert!(!token.may_change(HOST, "A"));
}

#[test]
fn the_server_shows_a_token_its_own_domain_only() {
    let scene = Scene::new(Release::V2_3_3);
    let other = scene.rails.with_world(|world| world.add_domain("example.net"));
    let cookie = session(&scene);
    let (status, _, body) =
        raw(&scene.rails, &format!("GET /domains/{}.xml", scene.domain), &cookie, "");
    assert_eq!(status, 200);
    assert!(body.contains("<name>dev1.example.com</name>"), "{body}");
    assert_eq!(raw(&scene.rails, &format!("GET /domains/{other}.xml"), &cookie, "").0, 403);
    assert_eq!(raw(&scene.rails, &format!("GET /domains/{other}.xml"), "", "").0, 302);
}

#[test]
fn the_server_answers_200_to_a_token_that_has_expired() {
    let scene = Scene::new(Release::V2_3_3);
    scene.rails.advance(YEAR);
    for token in [&*scene.token, "wrong"] {
        let (status, head, body) = raw(&scene.rails, &format!("GET /token/{token}"), "", "");
        assert_eq!(status, 200);
        assert!(body.contains("token has expired") && !head.contains("Set-Cookie"), "{head}{body}");
    }
}

#[test]
fn the_server_makes_changes_before_it_refuses_the_form_of_answer() {
    let scene = Scene::new(Release::V2_3_3);
    let record = scene.rails.with_world(|w| w.domain(scene.domain).unwrap().records[2].id);
    let path = format!("PUT /domains/{}/records/{record}", scene.domain);
    let put = |headers: &str, value: &str| {
        let headers = format!("{}{headers}", session(&scene));
        let body = format!("<record><content>{value}</content></record>");
        raw(&scene.rails, &path, &headers, &body).0
    };
    assert_eq!(put(&format!("{PUT_XML}Accept: application/xml\r\n"), V4), 406);
    assert_eq!(scene.values().0, [V4]);
    assert_eq!(put(&format!("{PUT_XML}Accept: text/javascript\r\n"), OLD_V4), 200);
    assert_eq!(scene.values().0, [OLD_V4]);
    // A failed validation, and a form.
    assert_eq!(put(&format!("{PUT_XML}Accept: text/javascript\r\n"), "rubbish"), 200);
    assert_eq!(put("Content-Type: application/x-www-form-urlencoded\r\n", V4), 422);
    assert_eq!(scene.values().0, [OLD_V4]);
}

#[test]
fn the_server_keeps_a_token_to_its_records() {
    let broad = |world: &mut World| {
        let token = world.tokens.last_mut().unwrap();
        token.allows_by_default = true;
        token.protect_types.push("AAAA".to_owned());
        token.protect.push("www.example.com:A".to_owned());
    };
    for (change, expect) in [
        (None, [false, false, true, true, false]),
        (Some(broad as fn(&mut World)), [false, false, true, false, false]),
    ] {
        let records = ["dev1.example.com"];
        let scene = Scene::with(Release::Later, &records, |w| change.iter().for_each(|c| c(w)));
        let ids: Vec<u64> = scene.rails.with_world(|world| {
            world.domain(scene.domain).unwrap().records.iter().map(|record| record.id).collect()
        });
        let headers = format!("{}{PUT_XML}Accept: application/xml\r\n", session(&scene));
        let may = ids.iter().map(|id| {
            let path = format!("PUT /domains/{}/records/{id}", scene.domain);
            let body = "<record><ttl>61</ttl></record>";
            raw(&scene.rails, &path, &headers, body).0 != 403
        });
        assert_eq!(may.collect::<Vec<_>>(), expect);
    }
}

#[test]
fn the_server_gives_a_token_that_creates_another_secret() {
    let new = |world: &mut World| world.tokens.last_mut().unwrap().allow_new = true;
    let scene = Scene::with(Release::V2_3_3, &[], new);
    let cookie = session(&scene);
    let body = "<record><name>new</name><type>A</type><content>192.0.2.9</content></record>";
    let headers = format!("{cookie}{PUT_XML}Accept: text/javascript\r\n");
    let path = format!("POST /domains/{}/records", scene.domain);
    assert_eq!(raw(&scene.rails, &path, &headers, body).0, 200);
    assert_eq!(scene.rails.values("new.example.com", "A"), ["192.0.2.9"]);
    // The secret is dead, the session goes on.
    assert_eq!(raw(&scene.rails, &format!("GET /token/{}", scene.token), "", "").0, 200);
    let look = format!("GET /domains/{}.xml", scene.domain);
    assert_eq!(raw(&scene.rails, &look, &cookie, "").0, 200);
}

#[test]
fn the_server_ends_a_token_at_its_logout() {
    for (method, path) in [("GET", "/logout"), ("DELETE", "/session")] {
        let scene = Scene::new(Release::V2_3_3);
        let cookie = session(&scene);
        raw(&scene.rails, &format!("{method} {path}"), &cookie, "");
        assert_eq!(raw(&scene.rails, &format!("GET /token/{}", scene.token), "", "").0, 200);
    }
}

#[test]
fn the_server_lets_an_owner_create() {
    let scene = Scene::new(Release::V2_3_3);
    let path = format!("POST /domains/{}/records.xml", scene.domain);
    let body = "<record><name>new</name><type>A</type><content>192.0.2.1</content><ttl>60</ttl>\
                </record>";
    let create =
        |user, body: &str| raw(&scene.rails, &path, &format!("{}{PUT_XML}", basic(user)), body).0;
    assert_eq!(create(OWNER, body), 201);
    assert_eq!(create(OWNER, &body.replace("192.0.2.1", "x")), 422);
    assert_eq!(create(MINTER, body), 302);
    assert_eq!(create(("owner", "wrong"), body), 401);
    assert_eq!(scene.rails.values("new.example.com", "A"), ["192.0.2.1"]);
}

// Updates.

#[tokio::test]
async fn both_records_are_updated_by_the_release_whose_tokens_work() {
    let scene = Scene::new(Release::V2_3_3);
    assert_eq!(scene.update(Some(V4), Some(V6)).await, Outcome::Updated);
    assert_eq!(scene.values(), (texts(&[V4]), texts(&[V6])));
    let requests = scene.rails.requests();
    let codes: Vec<_> = requests.iter().map(|r| (r.method.as_str(), r.status.unwrap())).collect();
    // The first change is asked about in XML, made, and answered so.
    let expect = [("GET", 302), ("GET", 200), ("PUT", 406), ("PUT", 200), ("GET", 200)];
    assert_eq!(codes, expect);
    assert_eq!(requests[3].header("Accept"), Some("text/javascript"));
    assert_eq!(requests[3].header("Content-Type"), Some("application/xml"));
    assert_eq!(requests[0].credential, Credential::Token);
    assert!(requests[1..].iter().all(|request| request.credential == Credential::Session));
}

#[tokio::test]
async fn both_records_are_updated_by_later_releases() {
    let scene = Scene::new(Release::Later);
    assert_eq!(scene.update(Some(V4), Some(V6)).await, Outcome::Updated);
    assert_eq!(scene.values(), (texts(&[V4]), texts(&[V6])));
    let codes: Vec<_> = scene.rails.requests().iter().map(|r| r.status.unwrap()).collect();
    assert_eq!(codes, [302, 200, 204, 204, 200]);
}

#[tokio::test]
async fn a_release_whose_tokens_open_nothing_is_told_apart() {
    let scene = Scene::new(Release::Devise);
    let outcome = scene.update(Some(V4), None).await;
    assert_eq!(fault(&outcome), Fault::Unintelligible);
    assert!(format!("{outcome:?}").contains("this release of it supports tokens"), "{outcome:?}");
    assert_eq!(scene.count("PUT"), 0);
}

#[tokio::test]
async fn what_is_right_is_not_sent_and_a_family_that_is_left_is_not_touched() {
    let scene = Scene::new(Release::V2_3_3);
    assert_eq!(scene.update(Some(OLD_V4), Some("2001:0DB8::1")).await, Outcome::Unchanged);
    assert_eq!((scene.count("GET"), scene.count("PUT")), (2, 0));
    assert_eq!(scene.update(None, Some(V6)).await, Outcome::Updated);
    assert_eq!(scene.values(), (texts(&[OLD_V4]), texts(&[V6])));
}

#[tokio::test]
async fn a_session_ends_without_a_logout_so_that_the_token_lives() {
    let scene = Scene::new(Release::V2_3_3);
    for v4 in [V4, OLD_V4, V4] {
        assert_eq!(scene.update(Some(v4), None).await, Outcome::Updated);
    }
    let paths: Vec<String> = scene.rails.requests().into_iter().map(|r| r.path).collect();
    let is_known = |path: &String| path == "/token/***" || path.starts_with("/domains/");
    assert!(paths.iter().all(is_known), "{paths:?}");
}

#[tokio::test]
async fn a_server_that_is_wrong_about_its_own_name_is_asked_at_ours() {
    // Whoever follows a redirect or the server's own URL meets this one.
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let scene = Scene::with(Release::V2_3_3, &[&format!("{HOST}:A")], |world| {
        world.base = "/powerdns".to_owned();
        world.believed = Some(format!("http://{}", elsewhere.local_addr().unwrap()));
    });
    assert_eq!(scene.update(Some(V4), None).await, Outcome::Updated);
    let grant = Grant::narrow(&[duty(HOST, true, true)], in_a_year()).unwrap();
    let minted = scene.mint(MINTER, &grant).await.unwrap();
    let url = format!("{}/", scene.rails.url());
    let server = Server::new(&url, None, &scene.clients);
    assert_eq!(server.missing(&minted.token, &[duty(HOST, true, true)]).await, Ok(Vec::new()));
    assert_eq!(elsewhere.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn a_token_that_has_expired_or_is_wrong_is_refused_whatever_the_status() {
    let mut scene = Scene::new(Release::V2_3_3);
    scene.rails.advance(YEAR);
    let (kind, detail) = rejection(&scene.update(Some(V4), None).await);
    assert_eq!(kind, Rejection::Credential);
    assert!(detail.contains("expired"), "{detail}");
    scene.token = "aaaaaaaaaaaaaaaa".to_owned();
    assert_eq!(rejection(&scene.update(Some(V4), None).await).0, Rejection::Credential);
    assert_eq!(scene.values().0, [OLD_V4]);
}

#[tokio::test]
async fn a_page_of_somebody_else_refuses_nothing() {
    let scene = Scene::new(Release::V2_3_3);
    let portal = Answer::new(200, "text/html", "<html>Welcome to the café</html>");
    scene.rails.answer_next("GET", "/token/", Scripted::answer(portal));
    assert_eq!(fault(&scene.update(Some(V4), None).await), Fault::Unintelligible);
    scene.rails.answer_next("PUT", "/domains/", Scripted::answer(Answer::nginx(403)));
    assert_eq!(fault(&scene.update(Some(V4), None).await), Fault::Unintelligible);
    assert_eq!(scene.update(Some(V4), None).await, Outcome::Updated);
}

#[tokio::test]
async fn a_value_that_is_answered_with_200_and_not_taken_is_deferred_and_at_last_refused() {
    for (release, said) in [(Release::V2_3_3, "HTTP 406"), (Release::Later, "HTTP 422")] {
        let scene = Scene::new(release);
        scene.rails.with_world(|world| world.invalid.push(V4.to_owned()));
        let mut times = 0;
        let mut seen = Vec::new();
        for _ in 0..3 {
            let (outcome, after) = counted(scene.update(Some(V4), None).await, times);
            times = after;
            seen.push(outcome);
        }
        assert_eq!((fault(&seen[0]), fault(&seen[1])), (Fault::NotShown, Fault::NotShown));
        let (kind, detail) = rejection(&seen[2]);
        assert_eq!(kind, Rejection::Request);
        assert!(detail.starts_with("3 times in a row: A of dev1.example.com shows"), "{detail}");
        assert!(detail.contains(said), "{detail}");
    }
    // The second record of a session is asked about in JavaScript, which says 200.
    let scene = Scene::new(Release::V2_3_3);
    scene.rails.with_world(|world| world.invalid.push(V6.to_owned()));
    let outcome = scene.update(Some(V4), Some(V6)).await;
    assert_eq!(fault(&outcome), Fault::NotShown);
    assert_eq!(scene.rails.requests()[3].status, Some(200));
    assert_eq!(scene.values(), (texts(&[V4]), texts(&[OLD_V6])));
}

#[tokio::test]
async fn a_record_that_the_token_may_not_change_is_refused() {
    for release in [Release::V2_3_3, Release::Later] {
        let scene = Scene::with(release, &[&format!("{HOST}:A")], |_| {});
        let (kind, detail) = rejection(&scene.update(None, Some(V6)).await);
        assert_eq!(kind, Rejection::Forbidden);
        assert!(
            detail.starts_with("the token may not change AAAA of dev1.example.com"),
            "{detail}"
        );
        // With another record that was changed before, the doubt outweighs, once.
        assert_eq!(fault(&scene.update(Some(V4), Some(V6)).await), Fault::NotShown);
        assert_eq!(scene.values(), (texts(&[V4]), texts(&[OLD_V6])));
        let refused = scene.update(Some(V4), Some(V6)).await;
        assert_eq!(rejection(&refused).0, Rejection::Forbidden);
    }
}

#[tokio::test]
async fn a_missing_record_is_never_created_by_a_token() {
    let new = |world: &mut World| {
        world.tokens.last_mut().unwrap().allow_new = true;
        let domain = world.domains.last_mut().unwrap();
        domain.records.retain(|record| record.kind != "AAAA");
    };
    let scene = Scene::with(Release::V2_3_3, &[&format!("{HOST}:A")], new);
    let (kind, detail) = rejection(&scene.update(Some(V4), Some(V6)).await);
    assert_eq!(kind, Rejection::Request);
    assert!(detail.contains("there is no AAAA record of dev1.example.com; create it"), "{detail}");
    assert_eq!((scene.count("PUT"), scene.count("POST")), (0, 0));
    // The secret is the same as ever.
    assert_eq!(scene.update(Some(V4), None).await, Outcome::Updated);
}

#[tokio::test]
async fn wherever_the_server_dies_nothing_is_confirmed_and_no_change_is_forgotten() {
    for release in [Release::V2_3_3, Release::Later] {
        for (left, performed) in [0, 1, 2, 3, 4].into_iter().flat_map(|n| [(n, false), (n, true)]) {
            let scene = Scene::new(release);
            scene.rails.die_after(left, performed);
            let outcome = scene.update(Some(V4), Some(V6)).await;
            let changed = scene.values() != (texts(&[OLD_V4]), texts(&[OLD_V6]));
            let doubt = fault(&outcome).leaves_doubt();
            assert!(doubt || !changed, "{release:?} after {left} ({performed}): {outcome:?}");
            scene.rails.revive();
            let again = scene.update(Some(V4), Some(V6)).await;
            assert!(matches!(again, Outcome::Updated | Outcome::Unchanged), "{again:?}");
        }
    }
}

#[tokio::test]
async fn a_token_stands_in_no_message() {
    let mut scene = Scene::new(Release::V2_3_3);
    let words = format!("No route matches /token/{}", scene.token);
    for status in [403, 500] {
        let answer = Answer::text(status, &words);
        scene.rails.answer_next("GET", "/token/", Scripted::answer(answer));
        // `update` looks at what it says.
        let told = format!("{:?}", scene.update(Some(V4), None).await);
        assert!(told.contains("No route matches /token"), "{told}");
    }
    // Nobody is there, or somebody who speaks something else.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = format!("http://{}", silent.local_addr().unwrap());
    let (token, wish) = (Secret::new(&scene.token), wishing(Some(V4), None));
    let ask = async || {
        format!("{:?}", update(&scene.clients, &place, &token, std::slice::from_ref(&wish)).await)
    };
    let speaker = silent.try_clone().unwrap();
    let babble = std::thread::spawn(move || {
        let (stream, _) = speaker.accept().unwrap();
        let mut lines = BufReader::new(&stream).lines().map(Result::unwrap);
        let first = lines.next().unwrap();
        // Whoever speaks before the request is there is not sent one.
        lines.find(String::is_empty).unwrap();
        (&stream).write_all(b"220 mail.example ESMTP\r\n\r\n").unwrap();
        first
    });
    let told = ask().await;
    assert!(babble.join().unwrap().contains(&scene.token), "the token was sent");
    assert!(told.contains("is not HTTP") && !told.contains(&scene.token), "{told}");
    drop(silent);
    let told = ask().await;
    assert!(told.contains("refuses the connection") && !told.contains("token"), "{told}");
    scene.token = "not/a/token".to_owned();
    assert_eq!(rejection(&scene.update(Some(V4), None).await).0, Rejection::Credential);
}

// Minting.

#[tokio::test]
async fn a_token_is_minted_with_exactly_the_records_of_its_hosts() {
    for release in [Release::V2_3_3, Release::Later] {
        let scene = Scene::new(release);
        let duties = [duty(HOST, true, true), duty("www.example.com", true, false)];
        let asked = in_a_year();
        let grant = Grant::narrow(&duties, asked).unwrap();
        let minted = scene.mint(MINTER, &grant).await.unwrap();
        assert_eq!(minted.grant, grant);
        assert!(!minted.grant.is_cut_short(asked));
        let token = scene.rails.with_world(|world| world.tokens.last().unwrap().clone());
        assert_eq!(token.secret, minted.token.expose());
        let records = ["dev1.example.com:A", "dev1.example.com:AAAA", "www.example.com:A"];
        assert_eq!(token.records, records);
        assert!(!token.allows_by_default && !token.allow_new && !token.remove);
        assert_eq!(token.expires.as_secs() * 1000, asked.millis());
        let request = scene.rails.requests().remove(0);
        assert_eq!(request.header("Content-Type").unwrap().split(';').next(), Some("text/xml"));
        assert_eq!(request.credential, Credential::Basic("minter".to_owned()));
        let now = Timestamp::from_secs(now().as_secs());
        let findings = judge(Some(&minted.grant), &duties, now);
        assert_eq!(verdict(&findings).word(), "narrow");
    }
}

#[tokio::test]
async fn a_host_with_one_family_names_its_record_twice() {
    let scene = Scene::new(Release::Later);
    let duties = [duty(HOST, false, true)];
    let grant = Grant::narrow(&duties, in_a_year()).unwrap();
    let minted = scene.mint(MINTER, &grant).await.unwrap();
    let token = scene.rails.with_world(|world| world.tokens.last().unwrap().clone());
    assert_eq!(token.records, ["dev1.example.com:AAAA", "dev1.example.com:AAAA"]);
    let (url, wish) = (scene.rails.url(), wishing(None, Some(V6)));
    let verdict = update(&scene.clients, &url, &minted.token, &[wish]).await;
    assert_eq!(verdict, Verdict::Each(vec![Outcome::Updated]));
}

#[tokio::test]
async fn every_way_not_to_get_a_token_has_its_words() {
    let scene = Scene::new(Release::V2_3_3);
    let grant = Grant::narrow(&[duty(HOST, true, true)], in_a_year()).unwrap();
    let past = Grant { expires: Some(Timestamp::from_secs(1)), ..grant.clone() };
    let elsewhere = Grant { domain: "example.net".parse().unwrap(), ..grant.clone() };
    let wrong = (MINTER.0, "not-that-s3cret");
    for (user, grant, kind, words) in [
        (wrong, &grant, Rejection::Credential, "name and password (HTTP 401)"),
        (OWNER, &grant, Rejection::Forbidden, "the role \"Auth token\""),
        (MINTER, &elsewhere, Rejection::Host, "no domain example.net"),
        (MINTER, &past, Rejection::Request, "must be in the future; compare this machine's clock"),
    ] {
        match scene.mint(user, grant).await {
            Err(Trouble::Rejected(refusal)) => {
                assert_eq!(refusal.rejection, kind);
                assert!(refusal.detail.contains(words), "{}", refusal.detail);
            }
            other => panic!("{words}: {other:?}"),
        }
    }
    let understood = Scripted::answer(Answer::new(422, "application/xml", "<error>Eh?</error>"));
    let strange = Scripted::answer(Answer::text(200, "a1b2c3d4e5f6g7h8"));
    for (script, words) in [
        (understood, "does not understand the request for a token (HTTP 422: Eh?)"),
        (strange, "HTTP 200 without a token in it"),
        (Scripted::answer(Answer::nginx(500)), "HTTP 500 with a web page"),
    ] {
        scene.rails.answer_next("POST", "/auth_token.xml", script);
        let told = scene.mint(MINTER, &grant).await.unwrap_err().to_string();
        assert!(told.contains(words) && !told.contains("a1b2"), "{told}");
    }
}

#[tokio::test]
async fn a_token_whose_answer_was_lost_is_not_made_again() {
    let scene = Scene::new(Release::V2_3_3);
    let grant = Grant::narrow(&[duty(HOST, true, true)], in_a_year()).unwrap();
    scene.rails.answer_next("POST", "/auth_token.xml", Scripted::lost_answer());
    assert!(scene.mint(MINTER, &grant).await.unwrap_err().leaves_doubt());
    assert_eq!(scene.count("POST"), 1);
}

#[tokio::test]
async fn a_shorter_life_than_asked_for_is_seen() {
    let scene = Scene::new(Release::V2_3_3);
    let grant = Grant::narrow(&[duty(HOST, true, true)], in_a_year()).unwrap();
    // What the server does that does not understand the date: its own hour.
    let body = "<token><expires>2026-11-22 10:31:29 UTC</expires>\
                <auth_token>a1b2c3d4e5f6g7h8</auth_token></token>";
    let answer = Answer::new(200, "application/xml", body);
    scene.rails.answer_next("POST", "/auth_token.xml", Scripted::answer(answer));
    assert!(scene.mint(MINTER, &grant).await.unwrap().grant.is_cut_short(in_a_year()));
}

// Records that are not there.

#[tokio::test]
async fn missing_records_are_created_by_their_owner_before_the_token_is_used() {
    for release in [Release::V2_3_3, Release::Later] {
        let scene = Scene::new(release);
        let duties = [duty("new.example.com", true, true), duty(HOST, true, true)];
        let grant = Grant::narrow(&duties, in_a_year()).unwrap();
        let minted = scene.mint(MINTER, &grant).await.unwrap();
        let url = scene.rails.url();
        let server = Server::new(&url, None, &scene.clients);
        let named = |missing: &[homing::provider::rails::Missing]| {
            missing.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let expect = ["A record of new.example.com", "AAAA record of new.example.com"];
        assert_eq!(named(&server.missing(&minted.token, &duties).await.unwrap()), expect);
        let create = async |user| {
            let owner = login(user);
            server.create_missing(&minted.token, &owner, &duties, &PLACEHOLDERS, Some(60)).await
        };
        let refused = create(MINTER).await.unwrap_err();
        assert!(refused.is_forbidden(), "{refused}");
        assert!(refused.to_string().contains("the domain's owner"), "{refused}");
        assert!(create(("owner", "wrong")).await.unwrap_err().is_credential());
        assert_eq!(named(&create(OWNER).await.unwrap()), expect);
        assert_eq!(scene.rails.values("new.example.com", "A"), ["192.0.2.1"]);
        assert_eq!(scene.rails.values("new.example.com", "AAAA"), ["2001:db8::1"]);
        assert_eq!(create(OWNER).await.unwrap(), []);
        // The token has seen all of it and created nothing, so it is the same.
        assert_eq!(server.missing(&minted.token, &duties).await, Ok(Vec::new()));
    }
}

#[tokio::test]
async fn a_cut_in_the_middle_of_creating_is_made_good_by_the_next_try() {
    // Opening, looking, two records, looking again.
    for left in 0..5 {
        for performed in [false, true] {
            let scene = Scene::with(Release::V2_3_3, &[], |_| {});
            let (token, duties) =
                (Secret::new(&scene.token), [duty("new.example.com", true, true)]);
            let url = scene.rails.url();
            let server = Server::new(&url, None, &scene.clients);
            let owner = login(OWNER);
            let create = || server.create_missing(&token, &owner, &duties, &PLACEHOLDERS, None);
            scene.rails.die_after(left, performed);
            assert!(create().await.is_err(), "{left} {performed}");
            scene.rails.revive();
            create().await.unwrap();
            assert_eq!(scene.rails.values("new.example.com", "A"), ["192.0.2.1"]);
            assert_eq!(scene.rails.values("new.example.com", "AAAA"), ["2001:db8::1"]);
        }
    }
}

#[tokio::test]
async fn a_host_of_another_domain_is_not_created() {
    let scene = Scene::new(Release::V2_3_3);
    let url = scene.rails.url();
    let server = Server::new(&url, None, &scene.clients);
    let token = Secret::new(&scene.token);
    let trouble =
        server.missing(&token, &[duty("dev1.example.net", true, true)]).await.unwrap_err();
    let expect = "the token is for the domain example.com, which does not contain dev1.example.net";
    assert_eq!(trouble.to_string(), expect);
    let apex = [duty("example.com", true, false)];
    let owner = login(OWNER);
    let created = server.create_missing(&token, &owner, &apex, &PLACEHOLDERS, None).await;
    assert!(created.unwrap_err().to_string().contains("create it at the server by hand"));
    assert_eq!(scene.count("POST"), 0);
}
