//! Real name servers from Debian's packages, started on loopback in directories of their own: BIND
//! (bind9), Knot (knot) and PowerDNS (pdns-server with its `SQLite` backend). The witness is dig.

#![allow(dead_code, reason = "each test that includes this module uses another part of it")]

use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The zone that every server here has.
pub const ZONE: &str = "dyn.example.com";

/// The secret of the key that a server is given, in Base64.
pub const SECRET: &str = "aG9taW5nLXRlc3Qtc2VjcmV0LW9mLXRoaXJ0eS10d28=";

/// The key of PowerDNS' HTTP API.
pub const API_KEY: &str = "s3cret-api-key";

/// How long a server may take to answer its first question.
const PATIENCE: Duration = Duration::from_secs(20);

/// Which program serves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    Bind,
    Knot,
    PowerDns,
}

/// A key, and the records that it may write.
#[derive(Clone, Debug)]
pub struct Grant {
    pub key: String,
    pub algorithm: &'static str,
    pub secret: String,
    pub hosts: Vec<String>,
}

/// A running server; it ends with the test.
pub struct NameServer {
    pub kind: Kind,
    pub port: u16,
    /// The port of PowerDNS' HTTP API.
    pub api_port: u16,
    directory: PathBuf,
    environment: Vec<(&'static str, PathBuf)>,
    child: Option<Child>,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Bind, Self::Knot, Self::PowerDns];

    fn program(self) -> &'static str {
        match self {
            Self::Bind => "/usr/sbin/named",
            Self::Knot => "/usr/sbin/knotd",
            Self::PowerDns => "/usr/sbin/pdns_server",
        }
    }
}

/// What this machine lacks for tests with such a server.
pub fn lacking(kind: Kind) -> Option<&'static str> {
    let needs = match kind {
        Kind::Bind => "needs bind9",
        Kind::Knot => "needs knot",
        Kind::PowerDns => "needs pdns-server, pdns-backend-sqlite3 and sqlite3",
    };
    let tools = ["/usr/bin/dig", "/usr/bin/nsupdate"];
    let mut programs = tools.into_iter().chain([kind.program()]);
    programs.any(|program| !Path::new(program).exists()).then_some(needs)
}

/// Says that `test` proves nothing here, which is a failure where everything has to be there.
#[track_caller]
pub fn skip(test: &str, lacking: &str) {
    let all = std::env::var_os("HOMING_TESTS").is_some_and(|tests| tests == "all");
    assert!(!all, "{lacking}");
    let _ = writeln!(std::io::stderr(), "SKIPPED: {test}: {lacking}");
}

impl Grant {
    /// The key `name` with the usual secret, for A and AAAA of `hosts`.
    pub fn of(name: &str, hosts: &[&str]) -> Self {
        Self {
            key: name.to_owned(),
            algorithm: "hmac-sha256",
            secret: SECRET.to_owned(),
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        }
    }

    /// The file that BIND's tools read.
    pub fn key_file(&self) -> String {
        let Self { key, algorithm, secret, .. } = self;
        format!("key \"{key}\" {{\n\talgorithm {algorithm};\n\tsecret \"{secret}\";\n}};\n")
    }
}

impl NameServer {
    /// Starts a server with [`ZONE`], which holds `records` lines beside SOA and NS, and `grants`.
    pub fn start(kind: Kind, records: &str, grants: &[Grant]) -> Self {
        Self::start_with(kind, records, grants, Vec::new())
    }

    /// The same with these variables in its environment.
    pub fn start_with(
        kind: Kind,
        records: &str,
        grants: &[Grant],
        environment: Vec<(&'static str, PathBuf)>,
    ) -> Self {
        Self::start_on(free_port(), kind, records, grants, environment)
    }

    /// The same on that port.
    pub fn start_on(
        port: u16,
        kind: Kind,
        records: &str,
        grants: &[Grant],
        environment: Vec<(&'static str, PathBuf)>,
    ) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("homing-{kind:?}-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        // A failed test of a process with the same number may have left its zone and journal.
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).expect("a directory can be made");
        let api_port = free_port();
        let mut server = Self { kind, port, api_port, directory, environment, child: None };
        let zone = format!(
            "$ORIGIN {ZONE}.\n$TTL 60\n@ SOA ns1 hostmaster 1 3600 600 86400 60\n@ NS ns1\n\
             ns1 A 127.0.0.1\n{records}"
        );
        server.write("zone.db", &zone);
        match kind {
            Kind::Bind => server.configure_bind(grants),
            Kind::Knot => server.configure_knot(grants),
            Kind::PowerDns => server.configure_powerdns(grants),
        }
        server.run();
        server
    }

    /// Takes what `homing token issue --print` printed for this kind of server into its
    /// configuration, in place of all keys and rules that BIND and Knot had, and starts it again.
    pub fn adopt(&mut self, printed: &str) {
        let from = match self.kind {
            Kind::Bind => "BIND, in named.conf:\n",
            Kind::Knot => "Knot DNS, in knot.conf:\n",
            Kind::PowerDns => "cannot be limited to names or types):\n",
        };
        let (_, rest) = printed.split_once(from).expect("it speaks of every kind of server");
        let is_of_block = |line: &&str| line.is_empty() || line.starts_with("    ");
        let block: Vec<_> = rest.lines().take_while(is_of_block).collect();
        self.configure(&block.join("\n"));
        self.run();
    }

    /// Replaces the keys and rules of the zone by `block`, written as administrators would.
    pub fn configure(&mut self, block: &str) {
        match self.kind {
            Kind::Bind => {
                let head = self.bind_head();
                let block = block.replace('…', "type primary; file \"zone.db\";");
                self.write("named.conf", &format!("{head}{block}"));
            }
            Kind::Knot => {
                let head = self.knot_head();
                let zone = format!("- domain: {ZONE}\n");
                let files = format!("storage: {}\n    file: zone.db\n", self.directory.display());
                let block = block.replace("\n    ", "\n");
                let block = block.replace(&zone, &format!("{zone}    {files}"));
                self.write("knot.conf", &format!("{head}{block}"));
            }
            Kind::PowerDns => {
                let own = format!("pdnsutil --config-dir={} ", self.directory.display());
                shell(&format!("set -e\n{}", block.replace("pdnsutil ", &own)));
            }
        }
    }

    /// Its address, as a configuration writes it.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Ends the program; what it holds stays.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts the program, again if need be, and waits for its first answer.
    pub fn run(&mut self) {
        self.stop();
        let log = fs::File::create(self.directory.join("log")).expect("a log can be written");
        let mut command = Command::new(self.kind.program());
        command.envs(self.environment.iter().cloned());
        let directory = self.directory.display().to_string();
        match self.kind {
            Kind::Bind => command.args(["-g", "-n", "1", "-c", &format!("{directory}/named.conf")]),
            Kind::Knot => command.args(["-c", &format!("{directory}/knot.conf")]),
            Kind::PowerDns => command.arg(format!("--config-dir={directory}")),
        };
        let copy = log.try_clone().expect("a log can be written");
        command.stdin(Stdio::null()).stdout(log).stderr(copy);
        self.child = Some(command.spawn().expect("the server starts"));
        let begun = Instant::now();
        while self.dig(ZONE, "SOA").is_empty() {
            assert!(begun.elapsed() < PATIENCE, "{:?} is silent:\n{}", self.kind, self.log());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Freezes BIND's zone, so that it refuses updates, or thaws it.
    pub fn rndc(&self, word: &str) {
        let key = self.directory.join("rndc.key");
        let mut command = Command::new("/usr/sbin/rndc");
        command.args(["-s", "127.0.0.1", "-p", &self.api_port.to_string(), "-k"]).arg(key);
        let output = command.args([word, ZONE]).output().expect("rndc runs");
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    }

    /// What the server printed.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    /// What the server answers for `name`, sorted.
    pub fn dig(&self, name: &str, record_type: &str) -> Vec<String> {
        let output = Command::new("dig")
            .args(["@127.0.0.1", "-p", &self.port.to_string(), "+short", "+time=1", "+tries=1"])
            .args([name, record_type])
            .output()
            .expect("dig runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let is_answer = |line: &&str| !line.starts_with(';') && !line.is_empty();
        let mut lines: Vec<_> = text.lines().filter(is_answer).map(str::to_owned).collect();
        lines.sort();
        lines
    }

    /// What the server answers for each of `names` and `types`, by one run of dig.
    pub fn dig_all(&self, names: &[String], types: &[&str]) -> String {
        let mut command = Command::new("dig");
        command.args(["@127.0.0.1", "-p", &self.port.to_string()]);
        command.args(["+noall", "+answer", "+time=5", "+tries=2"]);
        for name in names {
            command.args(types.iter().flat_map(|record_type| [name.as_str(), record_type]));
        }
        let output = command.output().expect("dig runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}");
        text
    }

    /// Gives the record of `name` another content, as somebody else with the key would.
    pub fn replace(&self, name: &str, record_type: &str, content: &str) {
        self.nsupdate(&format!(
            "update delete {name} {record_type}\nupdate add {name} 60 {record_type} {content}\n"
        ));
    }

    /// Removes what is at `name`.
    pub fn remove(&self, name: &str) {
        self.nsupdate(&format!("update delete {name} A\nupdate delete {name} AAAA\n"));
    }

    fn nsupdate(&self, lines: &str) {
        let script = format!(
            "server 127.0.0.1 {}\nzone {ZONE}\nkey hmac-sha256:dev1 {SECRET}\n{lines}send\n",
            self.port
        );
        let mut child =
            Command::new("nsupdate").stdin(Stdio::piped()).spawn().expect("nsupdate runs");
        let mut input = child.stdin.take().expect("it is piped");
        input.write_all(script.as_bytes()).expect("nsupdate reads");
        drop(input);
        assert!(child.wait().expect("nsupdate ends").success());
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.directory.join(name), text).expect("a file can be written");
    }

    fn configure_bind(&self, grants: &[Grant]) {
        let control = Grant::of("rndc", &[]);
        self.write("rndc.key", &control.key_file());
        let head = self.bind_head();
        let keys: String = grants.iter().map(Grant::key_file).collect();
        let rules: String = grants
            .iter()
            .flat_map(|grant| {
                let line = |host| format!("grant {} name {host}. A AAAA;\n", grant.key);
                grant.hosts.iter().map(line).collect::<Vec<_>>()
            })
            .collect();
        self.write(
            "named.conf",
            &format!(
                "{head}{keys}\
                 zone \"{ZONE}\" {{ type primary; file \"zone.db\"; update-policy {{ {rules} }}; }};\n"
            ),
        );
    }

    fn bind_head(&self) -> String {
        let (directory, port) = (self.directory.display(), self.port);
        format!(
            "options {{ directory \"{directory}\"; pid-file none; session-keyfile none;\n\
             listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};\n\
             recursion no; dnssec-validation no; notify no; }};\n\
             key \"rndc\" {{ algorithm hmac-sha256; secret \"{SECRET}\"; }};\n\
             controls {{ inet 127.0.0.1 port {} allow {{ 127.0.0.1; }} keys {{ \"rndc\"; }}; }};\n",
            self.api_port
        )
    }

    fn knot_head(&self) -> String {
        let (directory, port) = (self.directory.display(), self.port);
        format!(
            "server:\n  rundir: {directory}\n  listen: 127.0.0.1@{port}\n\
             database:\n  storage: {directory}/db\n"
        )
    }

    fn configure_knot(&self, grants: &[Grant]) {
        let (head, directory) = (self.knot_head(), self.directory.display());
        let mut keys = String::new();
        let mut rules = String::new();
        let mut names = Vec::new();
        for Grant { key, algorithm, secret, hosts } in grants {
            keys += &format!("  - id: {key}\n    algorithm: {algorithm}\n    secret: {secret}\n");
            let owners: Vec<String> = hosts.iter().map(|host| format!("{host}.")).collect();
            rules += &format!(
                "  - id: acl-{key}\n    key: {key}\n    action: update\n    update-type: [A, AAAA]\n    \
                 update-owner: name\n    update-owner-match: equal\n    update-owner-name: [{}]\n",
                owners.join(", ")
            );
            names.push(format!("acl-{key}"));
        }
        self.write(
            "knot.conf",
            &format!(
                "{head}\
                 key:\n{keys}acl:\n{rules}zone:\n  - domain: {ZONE}\n    storage: {directory}\n    \
                 file: zone.db\n    acl: [{}]\n",
                names.join(", ")
            ),
        );
        fs::create_dir_all(self.directory.join("db")).expect("a directory can be made");
    }

    fn configure_powerdns(&self, grants: &[Grant]) {
        let (directory, port) = (self.directory.display(), self.port);
        self.write(
            "pdns.conf",
            &format!(
                "launch=gsqlite3\ngsqlite3-database={directory}/pdns.sqlite3\n\
                 local-address=127.0.0.1\nlocal-port={port}\nsocket-dir={directory}\n\
                 dnsupdate=yes\nallow-dnsupdate-from=127.0.0.0/8\nguardian=no\ndaemon=no\n\
                 webserver=yes\nwebserver-address=127.0.0.1\nwebserver-port={}\napi=yes\n\
                 api-key={API_KEY}\n",
                self.api_port
            ),
        );
        let schema =
            fs::read_to_string("/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql")
                .or_else(|_| {
                    fs::read_to_string("/usr/share/doc/pdns-backend-sqlite3/schema.sqlite3.sql")
                })
                .expect("the package has its schema");
        self.write("schema.sql", &schema);
        let script = format!(
            "set -e; cd {directory}; sqlite3 pdns.sqlite3 < schema.sql\n\
             pdnsutil --config-dir={directory} load-zone {ZONE} zone.db"
        );
        let mut lines = vec![script];
        for Grant { key, algorithm, secret, .. } in grants {
            lines.push(format!(
                "pdnsutil --config-dir={directory} import-tsig-key {key} {algorithm} '{secret}'\n\
                 pdnsutil --config-dir={directory} add-meta {ZONE} TSIG-ALLOW-DNSUPDATE {key}"
            ));
        }
        shell(&lines.join("\n"));
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.stop();
        if !thread::panicking() {
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

/// Runs a script, which has to end well.
fn shell(script: &str) {
    let output = Command::new("sh").args(["-c", script]).output().expect("sh runs");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

/// One port of loopback, bound by UDP and TCP.
pub fn bound() -> (UdpSocket, TcpListener) {
    (0..100)
        .find_map(|_| {
            let tcp = TcpListener::bind("127.0.0.1:0").ok()?;
            Some((UdpSocket::bind(tcp.local_addr().ok()?).ok()?, tcp))
        })
        .expect("a port is free")
}

/// A port of loopback that nobody uses, by UDP and TCP. It is none of those that the kernel gives to
/// whoever asks for any (from 32768 on): one of these could be taken before the server starts, or while
/// it is started again.
fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    const FIRST: u32 = 10_000;
    const PORTS: u32 = 22_000;
    for _ in 0..100 {
        let number = NEXT.fetch_add(1, Ordering::Relaxed) + std::process::id() * 97;
        let port = u16::try_from(FIRST + number % PORTS).expect("it is below 32000");
        let address = ("127.0.0.1", port);
        if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}
