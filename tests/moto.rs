//! `homing token` for Route 53 against moto, an emulator of AWS that others wrote: what both take for a
//! signature, a call, its answer and their order.
//!
//! moto checks each signature with botocore, of the bytes as they came: the proxy in between changes none.
//! It allows the management user the actions that the page about tokens lists, and no other. Of resources
//! and conditions it knows nothing, so what the new key may do is proven by the sandbox alone
//! (`route53_keys.rs`), and `support/moto/serve.py` leaves such keys' rights unasked. moto has no
//! `SimulatePrincipalPolicy`: the proxy answers that one action, by the sandbox's evaluation of the
//! policy that moto has taken.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::route53_keys::{USER, writes};
use crate::support::token_desk::{
    AUDIT, DEV1, HOST, ISSUE, MANAGEMENT, REVOKE, ROTATE, configuration, managed,
};
use crate::support::{home, name_servers, sandbox};
use home::{Home, Ran, wait_until};
use sandbox::services::iam::{self, Iam, User};
use sandbox::services::route53;

/// Beyond this, something hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// The version of Route 53's API.
const API: &str = "/2013-04-01";

#[test]
fn an_emulator_by_others_takes_every_call_of_a_key_s_life() {
    let Some(program) = Moto::program() else {
        let lacking = "needs moto: `python3 -m venv target/moto` and `target/moto/bin/pip install -r \
                       tests/support/moto/requirements.txt`";
        return name_servers::skip("moto", lacking);
    };
    let desk = Desk::new(&program);

    desk.home.secret(MANAGEMENT, "wrong");
    let (ran, _) = desk.check(ISSUE, 77);
    assert!(ran.err.contains("SignatureDoesNotMatch"), "{ran:?}");
    desk.home.secret(MANAGEMENT, &desk.secret);

    let (ran, asked) = desk.check(ISSUE, 0);
    assert_eq!(writes(&asked), ["CreateUser", "PutUserPolicy", "CreateAccessKey"], "{ran:?}");
    let first = desk.key();
    assert_eq!(desk.users_keys(), [&*first]);
    desk.assert_updates("203.0.113.7");

    desk.check(AUDIT, 0);
    let itself = desk.home.run(&["token", "audit", HOST]);
    assert!(itself.code == 0 && itself.out.contains("narrow"), "{itself:?}");

    let (_, asked) = desk.check(ROTATE, 0);
    assert_eq!(writes(&asked), ["CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey"]);
    assert_ne!(desk.key(), first);
    assert_eq!(desk.users_keys(), [desk.key()]);
    desk.set("203.0.113.7", "203.0.113.8");
    desk.assert_updates("203.0.113.8");

    let (_, asked) = desk.check(REVOKE, 0);
    let ends = ["UpdateAccessKey", "DeleteAccessKey", "DeleteUserPolicy", "DeleteUser"];
    assert_eq!(writes(&asked), ends);
    assert!(desk.moto.witness("iam", "POST /", &user("GetUser")).contains("NoSuchEntity"));
    desk.set("203.0.113.8", "203.0.113.9");
    let ran = desk.home.once();
    assert!(ran.code == 77 && ran.out.contains("InvalidClientTokenId"), "{ran:?}");
}

fn user(action: &str) -> String {
    format!("Action={action}&Version=2010-05-08&UserName={USER}")
}

/// moto with an account, and a home at the proxy before it.
struct Desk {
    home: Home,
    moto: Moto,
    proxy: Proxy,
    /// The management key, and the zone's id.
    login: String,
    secret: String,
    zone: String,
}

impl Desk {
    fn new(program: &Path) -> Self {
        let home = Home::new("");
        let moto = Moto::start(program, &home);
        let zone = moto.ask("route53", &format!("POST {API}/hostedzone"), ZONE);
        let zone = element(&zone, "Id").replace("/hostedzone/", "");
        let ask = |form: &str| moto.ask("iam", "POST /", &format!("{form}&UserName=management"));
        ask("Action=CreateUser&Version=2010-05-08");
        let policy = sandbox::http::query_value(&documented_policy());
        let policy = format!("PolicyName=documented&PolicyDocument={policy}");
        ask(&format!("Action=PutUserPolicy&Version=2010-05-08&{policy}"));
        let key = ask("Action=CreateAccessKey&Version=2010-05-08");
        let (login, secret) = (element(&key, "AccessKeyId"), element(&key, "SecretAccessKey"));
        moto.let_pass(0);
        let proxy = Proxy::start(&moto.at);
        home.configure(&configuration("route53", &format!("http://{}{API}", proxy.at), DEV1));
        Self { home, moto, proxy, login, secret, zone }
    }

    /// Runs `homing token …` as the management user, which has to end with `code`, and returns what was
    /// asked for.
    #[track_caller]
    fn check(&self, arguments: &[&str], code: i32) -> (Ran, Vec<String>) {
        let from = self.proxy.asked().len();
        let ran = managed(&self.home, route53::SERVICE, &self.login, arguments);
        let asked = self.proxy.asked().split_off(from);
        assert_eq!(ran.code, code, "{arguments:?}: {ran:#?}\n{asked:#?}\n{}", self.moto.log());
        (ran, asked)
    }

    /// The id in the file of the host's key.
    fn key(&self) -> String {
        self.home.read("token").split(':').next().unwrap_or_default().to_owned()
    }

    /// The ids of the keys that moto has for the user.
    fn users_keys(&self) -> Vec<String> {
        let told = self.moto.witness("iam", "POST /", &user("ListAccessKeys"));
        let keys = told.split("<AccessKeyId>").skip(1);
        keys.filter_map(|rest| rest.split('<').next()).map(str::to_owned).collect()
    }

    fn set(&self, from: &str, to: &str) {
        self.home.configure(&self.home.read("config.toml").replace(from, to));
    }

    /// `homing --once` sets the host's addresses with the key in the file.
    #[track_caller]
    fn assert_updates(&self, ipv4: &str) {
        let ran = self.home.once();
        assert_eq!(ran.code, 0, "{ran:?}\n{}", self.moto.log());
        let zone = &self.zone;
        let told = self.moto.witness("route53", &format!("GET {API}/hostedzone/{zone}/rrset"), "");
        for (kind, value) in [("A", ipv4), ("AAAA", "2001:db8::7")] {
            let at = format!("<Name>{HOST}.</Name>");
            let mut sets = told.split("<ResourceRecordSet>").filter(|set| set.contains(&at));
            let set = sets.find(|set| element(set, "Type") == kind).unwrap_or_default();
            assert_eq!(element(set, "Value"), value, "{told}");
        }
    }
}

const ZONE: &str = "<CreateHostedZoneRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">\
    <Name>example.com.</Name><CallerReference>once</CallerReference></CreateHostedZoneRequest>";

/// A policy with the rights that the page about tokens wants for a management key, and no others.
fn documented_policy() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/docs/tokens.md");
    let page = fs::read_to_string(page).expect("the page is there");
    let is_right = |word: &&str| word.starts_with("iam:") || word.starts_with("route53:");
    let rights: Vec<&str> = page.split('`').filter(is_right).collect();
    assert!(rights.len() > 15, "{rights:?}");
    format!(
        "{{\"Version\":\"2012-10-17\",\"Statement\":{{\"Effect\":\"Allow\",\"Action\":[\"{}\"],\
         \"Resource\":\"*\"}}}}",
        rights.join("\",\"")
    )
}

/// The text of the first element with this name.
fn element(text: &str, name: &str) -> String {
    let rest = text.split_once(&format!("<{name}>")).map_or("", |(_, rest)| rest);
    rest.split('<').next().unwrap_or_default().to_owned()
}

/// A running moto; it ends with the test.
struct Moto {
    at: String,
    child: Child,
    log: PathBuf,
}

impl Moto {
    /// The Python that has it, in the directory where `.ci/run` installs it, below that of all builds.
    fn program() -> Option<PathBuf> {
        let builds = Path::new(env!("CARGO_BIN_EXE_homing")).ancestors().nth(2)?;
        let installed = builds.join("moto/bin");
        installed.join("moto_server").exists().then(|| installed.join("python3"))
    }

    /// Starts it on a port that it chooses; its log goes into `home`.
    fn start(program: &Path, home: &Home) -> Self {
        let log = home.path("moto.log");
        let file = File::create(&log).expect("a test's own step works");
        let child = Command::new(program)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/moto/serve.py"))
            .args(["-H", "127.0.0.1", "-p", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .expect("moto starts");
        let mut moto = Self { at: String::new(), child, log };
        let said = "Running on http://";
        wait_until("moto", || moto.log().lines().any(|it| it.contains(said)), || moto.log());
        let log = moto.log();
        let at = log.split_once(said).and_then(|(_, rest)| rest.split_whitespace().next());
        at.expect("moto says where it listens").clone_into(&mut moto.at);
        moto
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The answer to a request whose signature is none, which needs [`Self::let_pass`].
    fn ask(&self, service: &str, line: &str, body: &str) -> String {
        let scope = format!("none/20261201/us-east-1/{service}/aws4_request");
        let kind =
            if service == "iam" { "application/x-www-form-urlencoded" } else { "application/xml" };
        let request = format!(
            "{line} HTTP/1.1\r\nHost: {}\r\nAuthorization: AWS4-HMAC-SHA256 Credential={scope}, \
             SignedHeaders=host, Signature=none\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            self.at,
            body.len()
        );
        String::from_utf8_lossy(&exchanged(&self.at, request.as_bytes())).into_owned()
    }

    /// Lets so many more requests pass without a look at who asks; then signatures and rights count.
    fn let_pass(&self, requests: u32) {
        let body = requests.to_string();
        let told = self.ask("moto", "POST /moto-api/reset-auth", &body);
        assert!(told.contains("200 OK"), "{told}");
    }

    /// What moto says to the test, whoever may ask.
    fn witness(&self, service: &str, line: &str, body: &str) -> String {
        self.let_pass(1);
        self.ask(service, line, body)
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The whole answer of the server at `at` to `request`; it closes the connection after it.
fn exchanged(at: &str, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(at).expect("moto listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("it is a time");
    stream.write_all(request).expect("moto reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("moto answers");
    answer
}

/// What stands between Homing and moto: it passes every request on as it came but the one that moto
/// lacks. It ends with the program of the tests.
struct Proxy {
    at: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn start(moto: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
        let at = listener.local_addr().expect("it is bound").to_string();
        let (moto, asked) = (moto.to_owned(), Arc::new(Mutex::new(Vec::new())));
        let log = Arc::clone(&asked);
        thread::spawn(move || {
            let mut iam = Iam::default();
            for stream in listener.incoming().flatten() {
                // A connection that ends in the middle of a request is the test's failure elsewhere.
                let _ = Self::serve(&stream, &moto, &mut iam, &log);
            }
        });
        Self { at, asked }
    }

    /// What was asked for: the actions of IAM and STS by name, Route 53's by method.
    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("nobody panicked").clone()
    }

    /// Serves one request, and closes its connection.
    fn serve(
        mut stream: &TcpStream,
        moto: &str,
        iam: &mut Iam,
        asked: &Mutex<Vec<String>>,
    ) -> std::io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        let (head, body) = request(&mut BufReader::new(stream))?;
        let form = iam::form(&body);
        let action = form.get("Action").cloned();
        let method = head.split(' ').next().unwrap_or_default();
        let name = action.clone().unwrap_or_else(|| method.to_owned());
        asked.lock().expect("nobody panicked").push(name);
        let answer = match action.as_deref() {
            Some("SimulatePrincipalPolicy") => {
                let answer = iam::simulated(iam, &body);
                [answer.head(false, "").as_bytes(), &answer.body].concat()
            }
            Some("PutUserPolicy") => {
                let policy = |name: &str| form.get(name).cloned().unwrap_or_default();
                let policies = [(policy("PolicyName"), policy("PolicyDocument"))].into();
                let (name, path) = (policy("UserName"), "/homing/".to_owned());
                iam.users = vec![User { name, path, policies, ..User::default() }];
                exchanged(moto, &[head.as_bytes(), &body].concat())
            }
            _ => exchanged(moto, &[head.as_bytes(), &body].concat()),
        };
        stream.write_all(&answer)
    }
}

/// The head and the body of one request, as they came.
fn request(input: &mut impl BufRead) -> std::io::Result<(String, Vec<u8>)> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        input.read_line(&mut line)?;
        head += &line;
        let named = line.split_once(':');
        if let Some((_, value)) = named.filter(|(it, _)| it.eq_ignore_ascii_case("content-length"))
        {
            length = value.trim().parse().unwrap_or_default();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    input.read_exact(&mut body)?;
    Ok((head, body))
}
