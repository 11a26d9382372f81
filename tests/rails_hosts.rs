//! Hosts at `PowerDNS` on Rails with the real binary: tokens are made, used, replaced and ended, in
//! the releases whose tokens work.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::{home, rails};
use home::{Home, Ran};
use rails::world::{MINTER, OWNER};
use rails::{Credential, Rails, Release, Role, Scripted, World};

const HOST: &str = "dev1.example.com";
const V4: &str = "198.51.100.7";
const V6: &str = "2001:db8::7";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const RELEASES: [Release; 2] = [Release::V2_3_3, Release::Later];

/// A server with the host's domain, and a directory with the host's configuration.
struct Scene {
    rails: Rails,
    home: Home,
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

impl Scene {
    /// With both records, `settings` for the host, and no token yet.
    fn new(release: Release, settings: &str) -> Self {
        let scene = Self::bare(release, settings);
        scene.rails.with_world(|world| {
            world.add_record(HOST, "A", "192.0.2.1");
            world.add_record(HOST, "AAAA", "2001:db8::1");
        });
        scene
    }

    /// Without the host's records.
    fn bare(release: Release, settings: &str) -> Self {
        let mut world = World::new(release);
        world.add_domain("example.com");
        world.add_record("www.example.com", "A", "192.0.2.1");
        let rails = Rails::start(world).unwrap();
        let home = Home::new("");
        home.secret("password", MINTER.1);
        let scene = Self { rails, home };
        scene.publish(V4, settings);
        scene
    }

    /// Writes the configuration, in which `v4` is seen.
    fn publish(&self, v4: &str, settings: &str) {
        let families = match settings {
            "" => "ipv4 = \"here\"\nipv6 = \"here\"\n",
            settings => settings,
        };
        self.home.configure(&format!(
            "[provider.house]\nprotocol = \"powerdns-on-rails\"\nserver = \"{}\"\n\n\
             [source.here]\nstatic = [\"{v4}\", \"{V6}\"]\nallow-private = true\n\n\
             [[host]]\nname = \"{HOST}\"\nprovider = \"house\"\nzone = \"example.com\"\n\
             token-file = \"token\"\n{families}",
            self.rails.url()
        ));
    }

    /// Runs `line`; nothing that it prints or leaves behind tells a secret.
    fn run(&self, line: &str) -> Ran {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ran = self.home.run(&words);
        self.check_silence(&ran);
        ran
    }

    /// Runs a token command with the user that makes tokens.
    fn token(&self, line: &str) -> Ran {
        let file = self.home.path("password");
        let line = format!(
            "token {line} --management-user {} --management-password-file {}",
            MINTER.0,
            file.display()
        );
        self.run(&line)
    }

    #[track_caller]
    fn check_silence(&self, ran: &Ran) {
        let mut secrets: Vec<String> = vec![MINTER.1.to_owned(), OWNER.1.to_owned()];
        secrets.extend(self.rails.with_world(|world| {
            let tokens: Vec<String> = world.tokens.iter().map(|t| t.secret.clone()).collect();
            tokens
                .into_iter()
                .chain(world.sessions.iter().map(|s| s.cookie.clone()))
                .collect::<Vec<_>>()
        }));
        let mut texts = vec![ran.out.clone(), ran.err.clone(), self.home.read("token.receipt")];
        texts.push(self.home.read("token.new.receipt"));
        texts_in(&self.home.path("state"), &mut texts);
        for secret in secrets {
            assert!(texts.iter().all(|text| !text.contains(&secret)), "{secret} in {texts:?}");
        }
    }

    /// The secret in the token file.
    fn secret(&self) -> String {
        self.home.read("token").trim().to_owned()
    }

    /// What the server knows of the token in the file, if that lives.
    fn live(&self) -> Option<rails::Token> {
        let secret = self.secret();
        self.rails.with_world(|world| {
            let now = now() + world.ahead;
            world.live_token(&secret, now).cloned()
        })
    }

    /// Asserts that the token in the file lives and may change nothing but its rows.
    #[track_caller]
    fn assert_narrow(&self, rows: &[&str]) {
        let token = self.live().expect("a token that lives");
        assert_eq!(
            token.records.iter().collect::<std::collections::BTreeSet<_>>(),
            rows.iter().map(|row| (*row).to_owned()).collect::<Vec<_>>().iter().collect()
        );
        assert!(!token.allows_by_default && !token.allow_new && !token.remove);
    }

    fn count(&self, request: &str) -> usize {
        self.rails.asked().iter().filter(|asked| asked.starts_with(request)).count()
    }

    fn values(&self) -> [Vec<String>; 2] {
        [self.rails.values(HOST, "A"), self.rails.values(HOST, "AAAA")]
    }
}

/// The text of every file in a directory.
fn texts_in(directory: &Path, texts: &mut Vec<String>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        texts.push(fs::read_to_string(entry.path()).unwrap_or_default());
    }
}

const BOTH: [&str; 2] = ["dev1.example.com:A", "dev1.example.com:AAAA"];

#[track_caller]
fn ends(ran: &Ran, code: i32, words: &[&str]) {
    let all = format!("{}{}", ran.out, ran.err);
    assert_eq!(ran.code, code, "{all}");
    for word in words {
        assert!(all.contains(word), "no {word:?} in: {all}");
    }
}

#[test]
fn a_host_goes_from_no_token_to_its_updates_and_on_with_a_new_token() {
    for release in RELEASES {
        let scene = Scene::new(release, "");
        ends(&scene.token(&format!("issue {HOST} --dry-run")), 0, &["A of dev1", "AAAA of dev1"]);
        assert_eq!(scene.count("POST"), 0);
        ends(&scene.token(&format!("issue {HOST}")), 0, &["done; its token is narrow"]);
        scene.assert_narrow(&BOTH);
        let life = scene.live().unwrap().expires.saturating_sub(now());
        assert!(life > 364 * DAY && life <= 365 * DAY, "{life:?}");
        let mode = fs::metadata(scene.home.path("token")).unwrap();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o777, 0o600);
        // Nothing is left to do, nobody has to be asked for a password, and nothing is minted.
        let (token, receipt) = (scene.secret(), scene.home.read("token.receipt"));
        ends(&scene.run(&format!("token issue {HOST}")), 0, &["nothing to do"]);
        ends(&scene.run("token issue --all --dry-run"), 0, &["nothing to do"]);
        assert_eq!((scene.secret(), scene.home.read("token.receipt")), (token.clone(), receipt));

        ends(&scene.run("--once"), 0, &[]);
        assert_eq!(scene.values(), [[V4], [V6]]);
        let status = scene.run("status --json");
        let told: serde_json::Value = serde_json::from_str(&status.out).unwrap();
        assert!(told["hosts"][0]["expires"].is_string(), "{}", status.out);
        ends(&scene.run("status"), 0, &["token: expires", V4]);

        ends(&scene.token(&format!("rotate {HOST}")), 0, &["done", "it replaces works until"]);
        assert_ne!(scene.secret(), token);
        scene.assert_narrow(&BOTH);
        scene.publish("198.51.100.8", "");
        ends(&scene.run("--once"), 0, &[]);
        assert_eq!(scene.values()[0], ["198.51.100.8"]);
        ends(&scene.run("token audit"), 0, &["narrow", "not visible to anybody"]);
        assert_eq!(scene.count("GET /logout"), 0);
    }
}

#[test]
fn a_token_for_one_family_is_made_and_used() {
    for release in RELEASES {
        let scene = Scene::new(release, "ipv4 = \"here\"\nipv6 = \"off\"\nttl = 120\n");
        ends(&scene.token("issue --all"), 0, &["done"]);
        scene.assert_narrow(&BOTH[..1]);
        ends(&scene.run("--once"), 0, &[]);
        assert_eq!(scene.values(), [[V4], ["2001:db8::1"]]);
        let ttls = scene.rails.with_world(|world| {
            let records = world.domains[0].records.clone();
            let of_host = records.into_iter().filter(|r| r.name == HOST && r.kind == "A");
            of_host.map(|record| record.ttl).collect::<Vec<_>>()
        });
        assert_eq!(ttls, [120]);
        // Both from now on: what the token may not do is no job of a mended one, but of a new one.
        scene.publish(V4, "");
        ends(&scene.token("issue --all"), 0, &["granted something else", "works until"]);
        scene.assert_narrow(&BOTH);
    }
}

#[test]
fn an_expired_token_parks_its_host_with_the_way_out_which_works() {
    for release in RELEASES {
        let scene = Scene::new(release, "");
        ends(&scene.token("issue --all"), 0, &[]);
        scene.rails.advance(366 * DAY);
        ends(&scene.run("--once"), 77, &["credential", "expired"]);
        let asked = scene.rails.asked().len();
        ends(&scene.run("--once"), 77, &[]);
        assert_eq!(scene.rails.asked().len(), asked, "a parked host asks nobody");
        ends(&scene.run("status"), 77, &["put a valid token"]);
        ends(&scene.run("token audit"), 75, &["expired", "homing token rotate dev1.example.com"]);
        // The clock of the server is a year ahead: a token for a year would be over at once.
        let ran = scene.token("issue --all");
        ends(&ran, 77, &["does not take the token in use any more", "clock"]);
        ends(&scene.token("issue --all --max-age 800d"), 0, &["done"]);
        ends(&scene.run("--once"), 0, &[]);
        assert_eq!(scene.values(), [[V4], [V6]]);
    }
}

#[test]
fn a_value_that_is_not_shown_is_deferred_and_three_times_running_rejected() {
    for release in RELEASES {
        let scene = Scene::new(release, "ipv4 = \"here\"\nipv6 = \"off\"\n");
        ends(&scene.token("issue --all"), 0, &[]);
        scene.rails.with_world(|world| world.invalid.push(V4.to_owned()));
        ends(&scene.run("--once"), 75, &["does not show"]);
        // Something else in between says nothing about it.
        scene.rails.answer_next("GET", "/token/", Scripted::dropped());
        ends(&scene.run("--once --retry-rejected"), 75, &[]);
        ends(&scene.run("--once --retry-rejected"), 75, &["does not show"]);
        ends(&scene.run("--once --retry-rejected"), 77, &["3 times in a row", "192.0.2.1"]);
        assert!(scene.home.read("state/state.json").contains("\"not-shown\": 3"));
        let asked = scene.rails.asked().len();
        ends(&scene.run("--once"), 77, &[]);
        assert_eq!(scene.rails.asked().len(), asked);
        // Once it is shown, the count begins anew.
        scene.rails.with_world(|world| world.invalid.clear());
        ends(&scene.run("--once --retry-rejected"), 0, &[]);
        assert!(!scene.home.read("state/state.json").contains("\"not-shown\": "));
        scene.rails.with_world(|world| world.invalid.push("198.51.100.9".to_owned()));
        scene.publish("198.51.100.9", "ipv4 = \"here\"\nipv6 = \"off\"\n");
        ends(&scene.run("--once"), 75, &["does not show"]);
    }
}

#[test]
fn one_family_that_is_not_shown_parks_alone_in_the_end() {
    let scene = Scene::new(Release::V2_3_3, "");
    ends(&scene.token("issue --all"), 0, &[]);
    scene.rails.with_world(|world| world.invalid.push(V6.to_owned()));
    let mut codes = Vec::new();
    while codes.last() != Some(&77) && codes.len() < 12 {
        codes.push(scene.run("--once --retry-rejected").code);
    }
    assert_eq!(codes.last(), Some(&77), "{codes:?}");
    assert!(codes.len() >= 3, "{codes:?}");
    assert_eq!(scene.values(), [[V4], ["2001:db8::1"]]);
}

#[test]
fn what_the_token_may_not_change_is_told_and_the_rest_is_changed() {
    for release in RELEASES {
        let scene = Scene::new(release, "");
        let secret = scene.rails.with_world(|world| {
            let domain = world.domains[0].id;
            world.add_token(domain, &BOTH[..1], now() + DAY)
        });
        scene.home.secret("token", &secret);
        let mut last = scene.run("--once");
        for _ in 0..8 {
            if last.code == 77 {
                break;
            }
            last = scene.run("--once --retry-rejected");
        }
        ends(&last, 77, &["may not change AAAA"]);
        assert_eq!(scene.values(), [[V4], ["2001:db8::1"]]);
        // Nobody wrote down what it may do.
        ends(&scene.run("token audit"), 75, &["inconclusive", "no receipt"]);
        let told = ["no receipt", "unknown time", "token.old"];
        ends(&scene.token("issue --all"), 0, &told);
        assert_eq!(scene.home.read("token.old").trim(), secret);
        ends(&scene.run("--once"), 0, &[]);
        assert_eq!(scene.values(), [[V4], [V6]]);
    }
}

#[test]
fn missing_records_are_created_by_a_user_who_may_and_told_otherwise() {
    for release in RELEASES {
        let scene = Scene::bare(release, "");
        let ran = scene.token("issue --all");
        ends(&ran, 77, &["create the A record of dev1.example.com at the server", "owns"]);
        assert_eq!(scene.secret(), "");
        scene.rails.with_world(|world| world.users[0].role = Role::Owner);
        let ran = scene.token("issue --all");
        ends(&ran, 0, &["continuing with", "AAAA record of dev1.example.com: 2001:db8::1", "done"]);
        assert_eq!(scene.values(), [["192.0.2.1"], ["2001:db8::1"]]);
        assert_eq!(scene.count("POST /auth_token.xml"), 1, "the first token is not thrown away");
        scene.assert_narrow(&BOTH);
        ends(&scene.run("--once"), 0, &[]);
        // One that goes missing later is put back by the same command.
        scene.rails.with_world(|world| world.domains[0].records.retain(|r| r.kind != "AAAA"));
        ends(&scene.run("token issue --all"), 64, &["--management-user"]);
        ends(&scene.token("issue --all"), 0, &["done"]);
        assert_eq!(scene.values()[1], ["2001:db8::1"]);
        assert_eq!(scene.count("POST /auth_token.xml"), 1);
    }
}

#[test]
fn a_run_that_is_cut_anywhere_leaves_a_token_that_works_and_is_narrow() {
    for lost in [false, true] {
        for cut in 0..8 {
            let scene = Scene::new(Release::Later, "");
            ends(&scene.token("issue --all"), 0, &[]);
            scene.rails.die_after(cut, lost);
            let code = scene.token("rotate --all").code;
            scene.rails.revive();
            assert!([0, 75].contains(&code), "{code} after {cut}");
            scene.assert_narrow(&BOTH);
            ends(&scene.run("--once"), 0, &[]);
            let minted = scene.count("POST /auth_token.xml -> 200");
            ends(&scene.token("rotate --all"), 0, &["done"]);
            scene.assert_narrow(&BOTH);
            // One whose secret came through is not made twice.
            let again = scene.count("POST /auth_token.xml -> 200") - minted;
            let kept = code == 75 && minted == 2;
            assert_eq!(again, usize::from(!kept), "after {cut} ({lost})");
            assert!(!scene.home.path("token.new").exists());
        }
    }
}

#[test]
fn a_token_is_ended_by_the_one_way_there_is() {
    for release in RELEASES {
        let scene = Scene::new(release, "");
        ends(&scene.run(&format!("token revoke {HOST}")), 77, &["only with its secret"]);
        ends(&scene.token("issue --all"), 0, &[]);
        ends(&scene.run(&format!("token revoke {HOST} --dry-run")), 0, &["by a logout"]);
        assert!(scene.live().is_some());
        ends(
            &scene.run(&format!("token revoke {HOST}")),
            0,
            &["by a logout", "secret that no longer works"],
        );
        assert!(scene.live().is_none());
        ends(&scene.run(&format!("token revoke {HOST}")), 0, &["nothing to do"]);
        ends(&scene.run("token audit"), 75, &["expired", "not valid"]);
        ends(&scene.run("status"), 77, &["token: revoked "]);
        ends(&scene.run("--once"), 77, &["credential"]);
        ends(&scene.token("issue --all"), 0, &["has expired", "done"]);
        ends(&scene.run("--once"), 0, &[]);
        // A logout that ends nothing is no success.
        scene.rails.answer_next("GET", "/logout", Scripted::dropped());
        ends(&scene.run(&format!("token revoke {HOST}")), 75, &["may still work"]);
        scene.rails.answer_next(
            "GET",
            "/logout",
            Scripted::answer(rails::Answer::text(200, "Bye")),
        );
        ends(&scene.run(&format!("token revoke {HOST}")), 75, &["even after the logout"]);
        assert!(scene.live().is_some());
    }
}

#[test]
fn the_end_is_warned_of_once_and_issue_makes_another_in_time() {
    let scene = Scene::new(Release::Later, "");
    ends(&scene.token("issue --all --max-age 10d"), 0, &[]);
    ends(&scene.run("--once"), 0, &["expires in 9 days", "homing token rotate"]);
    let again = scene.run("--once");
    assert!(!again.err.contains("expires in"), "{}", again.err);
    ends(&scene.run("token audit"), 0, &["expires soon"]);
    // That is what was asked for.
    ends(&scene.run("token issue --all"), 0, &["nothing to do"]);
    ends(&scene.token("issue --all --max-age 365d"), 0, &["not made for 365d", "done"]);
    assert!(scene.live().unwrap().expires > now() + 364 * DAY);
    assert_eq!(scene.run("--once").err, "");
    let asked = scene.rails.requests();
    let own = |credential: &Credential| !matches!(credential, Credential::Unknown);
    assert!(asked.iter().all(|request| own(&request.credential)), "{asked:?}");
}

#[test]
fn a_refused_token_is_read_again_and_another_one_is_used_at_once() {
    let scene = Scene::new(Release::V2_3_3, "");
    ends(&scene.token("issue --all"), 0, &[]);
    let good = scene.secret();
    let over = scene.rails.with_world(|world| {
        let domain = world.domains[0].id;
        world.add_token(domain, &BOTH, now())
    });
    scene.home.secret("token", &over);
    let slow = Scripted::genuine().after(Duration::from_secs(2));
    scene.rails.answer_nth(1, "GET", "/token/", slow);
    let before = scene.count("GET /token/");
    let run = scene.home.command(&["--once"]).spawn().unwrap();
    let is_asked = || scene.count("GET /token/") > before;
    home::wait_until("question", is_asked, || format!("{:?}", scene.rails.asked()));
    scene.home.secret("token", &good);
    let ran: Ran = run.wait_with_output().unwrap().into();
    ends(&ran, 0, &["updated"]);
    assert_eq!(scene.values(), [[V4], [V6]]);
    scene.check_silence(&ran);
}

#[test]
fn requests_leave_by_the_line_of_the_host_or_not_at_all() {
    let scene = Scene::new(Release::V2_3_3, "");
    ends(&scene.token("issue --all"), 0, &[]);
    let asked = scene.rails.asked().len();
    let families = "ipv4 = \"here\"\nipv6 = \"here\"\n";
    scene.publish(V4, &format!("{families}bind = \"nowhere0\"\n"));
    ends(&scene.run("--once"), 75, &["nowhere0"]);
    assert_eq!(scene.rails.asked().len(), asked);
}

#[test]
fn a_receipt_that_tells_of_more_is_found_too_powerful() {
    let scene = Scene::new(Release::Later, "");
    ends(&scene.token("issue --all"), 0, &[]);
    let receipt = scene.home.read("token.receipt");
    let more = receipt
        .replace("\"allow-new\": false", "\"allow-new\": true")
        .replace("\"dev1.example.com:AAAA\"", "\"www.example.com:A\"");
    assert_ne!(more, receipt);
    scene.home.write("token.receipt", &more, 0o600);
    let ran = scene.run("token audit --json");
    ends(&ran, 77, &["creates-records", "policy-too-broad", "lacks", "\"by\":\"receipt\""]);
    ends(&scene.token("issue --all"), 0, &["granted something else"]);
    ends(&scene.run("token audit"), 0, &["narrow"]);
    // Without the server, what the receipt says is all there is, and not enough.
    scene.rails.die_after(0, false);
    ends(&scene.run("token audit"), 75, &["inconclusive"]);
}

#[test]
fn a_token_that_ends_much_too_early_is_not_used() {
    let scene = Scene::new(Release::V2_3_3, "");
    ends(&scene.token("issue --all"), 0, &[]);
    let token = scene.secret();
    let short = "<token><expires>2026-01-01 00:00:00 UTC</expires>\
                 <auth_token>abcdefgh12345678</auth_token></token>";
    let answer = rails::Answer::new(200, "application/xml; charset=utf-8", short);
    scene.rails.answer_next("POST", "/auth_token.xml", Scripted::answer(answer));
    let ran = scene.token("rotate --all");
    ends(&ran, 77, &["ends at 2026-01-01", "clock", "the one in use is as it was"]);
    assert_eq!(scene.secret(), token);
    assert!(!scene.home.path("token.new").exists());
}

#[test]
fn a_server_that_repeats_the_password_as_it_came_is_not_quoted() {
    use base64::Engine as _;

    let scene = Scene::new(Release::V2_3_3, "");
    let login = format!("{}:{}", MINTER.0, MINTER.1);
    let sent = base64::engine::general_purpose::STANDARD.encode(login);
    let page = format!("HTTP_AUTHORIZATION Basic {sent}");
    let answer = rails::Answer::new(503, "text/plain", &page);
    scene.rails.answer_next("POST", "/auth_token.xml", Scripted::answer(answer));
    let ran = scene.token("issue --all");
    ends(&ran, 75, &["HTTP_AUTHORIZATION Basic …"]);
    assert!(!format!("{ran:?}").contains(&sent), "{ran:?}");
}

#[test]
fn a_secret_is_printed_when_that_is_asked_for_and_to_standard_output_alone() {
    let scene = Scene::new(Release::Later, "");
    ends(&scene.token("issue --all"), 0, &[]);
    let ran = scene.home.run(&["token", "issue", "--all", "--print"]);
    ends(&ran, 0, &["nothing to do"]);
    assert!(ran.out.lines().any(|line| line == scene.secret()), "{}", ran.out);
    assert!(!ran.err.contains(&scene.secret()), "{}", ran.err);
}

#[test]
fn hosts_of_two_protocols_go_to_the_servers_that_they_are_at() {
    let scene = Scene::new(Release::Later, "");
    let config = scene.home.read("config.toml");
    scene.home.configure(&format!(
        "{config}\n[provider.nobody]\nprotocol = \"desec\"\nserver = \"http://127.0.0.1:1\"\n\n\
         [[host]]\nname = \"dev2.example.net\"\nprovider = \"nobody\"\ntoken-file = \"other\"\n"
    ));
    scene.home.secret("other", "s3cret-of-dev2");
    ends(&scene.token(&format!("issue {HOST}")), 0, &["done"]);
    let both = scene.run("token audit --json");
    ends(&both, 75, &["dev1.example.com", "dev2.example.net", "\"verdict\":\"narrow\""]);
    assert_eq!(both.out.lines().count(), 1, "one document: {}", both.out);
    ends(&scene.run(&format!("token audit {HOST} --json")), 0, &["\"verdict\":\"narrow\""]);
    ends(&scene.run("token audit"), 75, &["dev1.example.com  narrow", "dev2.example.net"]);
    let asked = scene.rails.asked().len();
    ends(&scene.run("token audit dev2.example.net"), 75, &["dev2.example.net"]);
    assert_eq!(scene.rails.asked().len(), asked);
}

#[test]
fn what_cannot_be_is_told_before_anything_is_asked() {
    let scene = Scene::new(Release::Later, "");
    ends(&scene.run("token issue --all"), 64, &["--management-user USER"]);
    ends(&scene.token("issue --all --max-age none"), 64, &["every token there expires"]);
    ends(&scene.token("issue --all --max-unused 5d"), 64, &["--max-unused"]);
    ends(&scene.token("issue --all --allow-subnet 192.0.2.0/24"), 64, &["--allow-subnet"]);
    ends(&scene.run("token issue --all --management-user a:s3cret"), 64, &["no colon"]);
    let file = scene.home.path("password");
    let line = format!("token issue --all --management-password-file {}", file.display());
    ends(&scene.run(&line), 64, &["give --management-user"]);
    ends(&scene.run("token audit"), 78, &["homing token issue dev1.example.com"]);
    assert_eq!(scene.rails.asked(), [""; 0]);
    scene.home.secret("password", "wrong-s3cret");
    ends(&scene.token("issue --all"), 77, &["check --management-user", "no token was made"]);
    scene.home.secret("password", OWNER.1);
    let owner = format!(
        "token issue --all --management-user {} --management-password-file {}",
        OWNER.0,
        file.display()
    );
    ends(&scene.run(&owner), 77, &["give it the role \"Auth token\""]);
    assert!(!scene.home.path("token").exists() && !scene.home.path("token.new").exists());
}
