//! A deSEC for trying Homing on one machine: no account, no Internet, nothing to break.
//!
//! `cargo run --example sandbox` starts it with a demo account, writes a configuration that is
//! ready for use, says what to try, and then prints one line for each request until Ctrl-C.
//! Secrets go into files only. `--provider NAME` plays another service. See `--help`.

mod command;
#[path = "server/mod.rs"]
mod server;
mod trial;

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use server::chance::secret;
use server::{Account, Api, Role, Sandbox, Token};

const HELP: &str = "\
A small deSEC in memory, for trying and testing Homing.

Usage: sandbox [OPTION…]

  --listen ADDR:PORT      API host; may be repeated      [127.0.0.1:8053, or a free port]
  --update ADDR:PORT      update host; may be repeated   [a free port of 127.0.0.1]
  --dns ADDR:PORT         name server (UDP); repeatable  [127.0.0.1:5353, or a free port]
  --dir DIR               where tokens and config.toml are written  [./sandbox]
  --zone NAME             one more zone in the account
  --token NAME=SECRET:HOST[,HOST]  one more token, for these hosts only (for tests: argv is no
                          place for a real secret)
  --port-file FILE        write `url=`, `update-url=` and `dns=` lines once all of them answer
  --legacy                the token API as it was before December 2023
  --no-throttle           no limits on how often one may ask
  --provider NAME         another service than deSEC: cloudflare, digitalocean, duckdns, gandi,
                          hetzner, inwx, ionos, namecheap, ovh, porkbun, route53; with
                          --listen, --dir [./sandbox/NAME], --zone, --port-file,
                          --no-throttle and --quiet
  --quiet                 print nothing
  --help                  this text

Port 0 is any free port.
";

/// The hosts of the demo account. Each is in a zone of its own, because the server's two updates
/// per two minutes are for a whole zone: so there is room to try what is refused.
const HOSTS: [(&str, &str); 2] =
    [("dev1", "dev1.dyn.example.com"), ("dev2", "dev2.example.dedyn.io")];
const ZONES: [&str; 2] = ["dyn.example.com", "example.dedyn.io"];
/// A host whose token is still to be made, and one whose token may do too much.
const NEW: (&str, &str) = ("home", "home.dyn.example.com");
const BROAD: (&str, &str) = ("broad", "old.dyn.example.com");
/// The name of the token that makes tokens.
const MANAGEMENT: &str = "management";

const USAGE: u8 = 64; // sysexits: EX_USAGE
const FAILED: u8 = 74; // sysexits: EX_IOERR

fn main() -> ExitCode {
    let options = match Options::read(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(problem) => return end(USAGE, &format!("{problem}; see --help")),
    };
    if options.help {
        return match io::stdout().write_all(HELP.as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::from(FAILED),
        };
    }
    let served = match options.provider.as_deref().filter(|name| *name != "desec") {
        Some(name) => match trial::service(name, &options) {
            Ok(service) => trial::serve(&options, service),
            Err(problem) => return end(USAGE, &problem),
        },
        None => match demo_account(&options) {
            Ok(account) => serve(&options, account),
            Err(problem) => return end(USAGE, &problem),
        },
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of our output is gone, and nobody else is there.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => end(FAILED, &error.to_string()),
    }
}

#[expect(clippy::print_stderr, reason = "the one place where this program complains")]
fn end(code: u8, problem: &str) -> ExitCode {
    eprintln!("sandbox: {problem}");
    ExitCode::from(code)
}

#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
struct Options {
    dir: Option<PathBuf>,
    dns: Vec<SocketAddr>,
    help: bool,
    legacy: bool,
    listen: Vec<SocketAddr>,
    no_throttle: bool,
    port_file: Option<PathBuf>,
    provider: Option<String>,
    quiet: bool,
    tokens: Vec<TokenOption>,
    update: Vec<SocketAddr>,
    zones: Vec<String>,
}

impl Options {
    fn read(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self::default();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--dir" => options.dir = Some(value()?.into()),
                "--dns" => options.dns.push(address(&value()?)?),
                "--help" | "-h" => options.help = true,
                "--legacy" => options.legacy = true,
                "--listen" => options.listen.push(address(&value()?)?),
                "--no-throttle" => options.no_throttle = true,
                "--port-file" => options.port_file = Some(value()?.into()),
                "--provider" => options.provider = Some(value()?),
                "--quiet" => options.quiet = true,
                "--token" => options.tokens.push(TokenOption::read(&value()?)?),
                "--update" => options.update.push(address(&value()?)?),
                "--zone" => options.zones.push(value()?.to_lowercase()),
                _ => return Err(format!("{word} is no option")),
            }
        }
        Ok(options)
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("{text} is no ADDR:PORT, such as 127.0.0.1:8053"))
}

#[derive(Debug)]
struct TokenOption {
    hosts: Vec<String>,
    name: String,
    secret: String,
}

impl TokenOption {
    /// Reads `NAME=SECRET:HOST[,HOST]`. The problem never repeats the text: it holds a secret.
    fn read(text: &str) -> Result<Self, String> {
        let problem = "--token wants NAME=SECRET:HOST[,HOST]";
        let (name, rest) = text.split_once('=').ok_or(problem)?;
        let (secret, hosts) = rest.split_once(':').ok_or(problem)?;
        let hosts = hosts.split(',').map(str::to_lowercase).collect();
        Ok(Self { hosts, name: name.to_owned(), secret: secret.to_owned() })
    }
}

fn demo_account(options: &Options) -> Result<Account, String> {
    let mut account = Account::new("owner@example.com");
    account.api = if options.legacy { Api::Legacy } else { Api::Current };
    account.throttled = !options.no_throttle;
    account.blocked.extend("203.0.113.200/32".parse::<server::subnet::Subnet>());
    for zone in ZONES.into_iter().chain(options.zones.iter().map(String::as_str)) {
        account.add_zone(zone);
    }
    let outside = |host: &str| format!("{host} is in no zone of the account; add --zone");
    for (name, host) in HOSTS {
        account.add_host_token(name, &secret(), &[host]).map_err(outside)?;
    }
    account.tokens.push(Token::management(MANAGEMENT, &secret()));
    account.tokens.push(Token::unrestricted(BROAD.0, &secret()));
    for token in &options.tokens {
        let hosts: Vec<&str> = token.hosts.iter().map(String::as_str).collect();
        account.add_host_token(&token.name, &token.secret, &hosts).map_err(outside)?;
    }
    Ok(account)
}

fn serve(options: &Options, account: Account) -> io::Result<()> {
    let mut sandbox = Sandbox::unbound(account);
    let at = |text: &str| address(text).map_err(io::Error::other);
    bind(&options.listen, &[at("127.0.0.1:8053")?, at("127.0.0.1:0")?], |at| {
        sandbox.listen(Role::Api, at)
    })?;
    bind(&options.update, &[at("127.0.0.1:0")?], |at| sandbox.listen(Role::Update, at))?;
    bind(&options.dns, &[at("127.0.0.1:5353")?, at("127.0.0.1:0")?], |at| sandbox.listen_dns(at))?;

    let dir = options.dir.clone().unwrap_or_else(|| "sandbox".into());
    write_demo(&dir, &sandbox)?;
    if let Some(file) = &options.port_file {
        let (url, update, dns) = (sandbox.url(), sandbox.update_url(), sandbox.dns());
        let text = format!("url={url}\nupdate-url={update}\ndns={dns}\n");
        write_whole(file, &text, false)?;
    }
    if !options.quiet {
        print(&introduction(&dir, &sandbox))?;
    }
    let mut seen = 0;
    loop {
        let requests = sandbox.requests_from(seen, Duration::from_secs(3600));
        seen += requests.len();
        for request in requests.iter().filter(|_| !options.quiet) {
            print(&format!("{request}\n"))?;
        }
    }
}

/// Binds every address that was asked for; when none was, the first of `defaults` that is free.
fn bind(
    asked: &[SocketAddr],
    defaults: &[SocketAddr],
    mut listen: impl FnMut(SocketAddr) -> io::Result<SocketAddr>,
) -> io::Result<()> {
    let mut listen =
        |at| listen(at).map_err(|error| io::Error::new(error.kind(), format!("{at}: {error}")));
    if !asked.is_empty() {
        return asked.iter().try_for_each(|at| listen(*at).map(|_| ()));
    }
    let mut last = Ok(());
    for at in defaults {
        last = listen(*at).map(|_| ());
        if last.is_ok() {
            break;
        }
    }
    last
}

fn write_demo(dir: &Path, sandbox: &Sandbox) -> io::Result<()> {
    create_private_dir(dir)?;
    for name in HOSTS.map(|(name, _)| name).into_iter().chain([MANAGEMENT, BROAD.0]) {
        let secret = |account: &mut Account| {
            account.token_by_name(name).map(|token| token.secret.clone()).unwrap_or_default()
        };
        let secret = sandbox.with_account(secret);
        write_whole(&dir.join(format!("{name}.token")), &format!("{secret}\n"), true)?;
    }
    // From an earlier start, whose tokens are gone.
    match fs::remove_file(dir.join(format!("{}.token", NEW.0))) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    for (file, state, (token, host)) in
        [("new.toml", "new-state", NEW), ("broad.toml", "broad-state", BROAD)]
    {
        write_whole(&dir.join(file), &config(state, sandbox, &[(host, token)]), false)?;
    }
    let hosts = HOSTS.map(|(name, host)| (host, name));
    write_whole(&dir.join("config.toml"), &config("state", sandbox, &hosts), false)?;
    let wrong = [(HOSTS[1].1, HOSTS[0].0)];
    write_whole(
        &dir.join("wrong-token.toml"),
        // One family, so that there is nothing to look into: the refusal is final at once.
        &config("wrong-state", sandbox, &wrong).replace("ipv6 = \"here\"", "ipv6 = \"off\""),
        false,
    )
}

/// A configuration for these hosts, each with the token of that name.
fn config(state: &str, sandbox: &Sandbox, hosts: &[(&str, &str)]) -> String {
    let mut text = format!(
        "# Written by the sandbox at each start. Paths are relative to this file.\n\
         [daemon]\n\
         state-dir = \"{state}\"\n\n\
         [provider.sandbox]\n\
         protocol = \"desec\"\n\
         server = \"{}\"\n\n\
         [source.here]\n\
         static = [\"203.0.113.7\", \"2001:db8::7\"]  # change one to see an update\n\
         allow-private = true  # these are for documentation only\n",
        sandbox.url(),
    );
    for (host, token) in hosts {
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\n[[host]]\n\
             name = \"{host}\"\n\
             provider = \"sandbox\"\n\
             token-file = \"{token}.token\"\n\
             ipv4 = \"here\"\n\
             ipv6 = \"here\"\n"
        );
    }
    text
}

fn introduction(dir: &Path, sandbox: &Sandbox) -> String {
    let config = dir.join("config.toml");
    let wrong = dir.join("wrong-token.toml");
    let (config, wrong, dns) = (config.display(), wrong.display(), sandbox.dns());
    let [new, broad, management] =
        ["new.toml", "broad.toml", "management.token"].map(|file| dir.join(file));
    let (new, broad, management) = (new.display(), broad.display(), management.display());
    let text = config_text(dir);
    let (host, new_host) = (HOSTS[0].1, NEW.1);
    let homing = command::homing();
    format!(
        "A small deSEC in memory: {url} (update host {update}, DNS {dns})\n\n\
         {config}:\n\n{text}\n\
         Try, in another terminal:\n\n\
         \x20 {homing} --once --config {config}\n\
         \x20 dig @{address} -p {port} {host} A +short\n\
         \x20 {homing} --once --config {config}   # up to date: nothing is sent\n\
         \x20 {homing} --once --config {wrong}   # another host's token: 403, exit code 77\n\n\
         A token for one more host, and one that may write everything:\n\n\
         \x20 {homing} token issue {new_host} --config {new} --management-token-file {management}\n\
         \x20 {homing} --once --config {new}\n\
         \x20 {homing} token audit --config {broad}   # may write everything: exit code 77\n\n\
         Requests (Ctrl-C ends this):\n",
        url = sandbox.url(),
        update = sandbox.update_url(),
        address = dns.ip(),
        port = dns.port(),
    )
}

/// The configuration as it was written, indented.
fn config_text(dir: &Path) -> String {
    let text = fs::read_to_string(dir.join("config.toml")).unwrap_or_default();
    text.lines()
        .map(|line| if line.is_empty() { "\n".into() } else { format!("  {line}\n") })
        .collect()
}

/// Writes by way of a second file, so that a reader finds the old text or the new one, never half.
fn write_whole(path: &Path, text: &str, private: bool) -> io::Result<()> {
    let half = path.with_extension("new");
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    // An older half-written file could have another mode.
    if let Err(error) = fs::remove_file(&half)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(named(error));
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if private {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    #[cfg(not(unix))]
    let _ = private;
    options.open(&half).and_then(|mut file| file.write_all(text.as_bytes())).map_err(named)?;
    fs::rename(&half, path).map_err(named)
}

fn create_private_dir(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(dir)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", dir.display())))
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(words: &[&str]) -> Result<Options, String> {
        Options::read(words.iter().map(|word| (*word).to_owned()))
    }

    #[test]
    fn the_secret_of_a_token_option_is_in_no_complaint() {
        let complaint = options(&["--token", "name=hidden"]).unwrap_err();
        assert!(!complaint.contains("hidden"), "{complaint}");
    }

    #[test]
    fn a_token_option_names_its_hosts() {
        let options = options(&["--token", "t=s:a.example.com,B.example.com"]).unwrap();
        assert_eq!(options.tokens[0].hosts, ["a.example.com", "b.example.com"]);
    }

    #[test]
    fn an_option_without_its_value_is_refused() {
        assert_eq!(options(&["--dir"]).unwrap_err(), "--dir needs a value");
        assert!(options(&["--listen", "8053"]).is_err());
        assert!(options(&["--whatever"]).is_err());
    }

    #[test]
    fn the_demo_has_a_token_for_tokens_and_one_that_is_too_broad() {
        let account = demo_account(&options(&["--legacy"]).unwrap()).unwrap();
        assert_eq!(account.api, Api::Legacy);
        assert!(account.token_by_name(MANAGEMENT).unwrap().perm_manage_tokens);
        let broad = account.token_by_name(BROAD.0).unwrap();
        assert!(broad.policies.is_empty() && !broad.perm_manage_tokens);
        assert!([NEW.1, BROAD.1].iter().all(|host| account.zone_of(host).is_some()));
    }
}
