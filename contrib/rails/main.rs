//! A `PowerDNS` on Rails for trying Homing on one machine, with nothing to install or break.
//!
//! `cargo run --example rails` starts it with a domain and a user that makes tokens, writes a
//! configuration that is ready for use, says what to try, and then prints one line for each request
//! until Ctrl-C. Secrets go into files only. See `--help`.

#[path = "../sandbox/command.rs"]
mod command;
mod server;

use std::fs;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use server::{Rails, Release, Role, World, chance};

const HELP: &str = "\
A small PowerDNS on Rails in memory, for trying and testing Homing.

Usage: rails [OPTION…]

  --listen ADDR:PORT  where it serves                       [a free port of 127.0.0.1]
  --dir DIR           where config.toml and the password are written  [./rails]
  --release RELEASE   2.3.3, or later                       [2.3.3]
  --help              this text
";

/// The domain; `dev1` has its records, `home` has none yet.
const DOMAIN: &str = "example.com";
const HOST: &str = "dev1.example.com";
const BARE: &str = "home.example.com";
/// The user that makes tokens and owns the domain.
const USER: &str = "minter";

const USAGE: u8 = 64; // sysexits: EX_USAGE
const FAILED: u8 = 74; // sysexits: EX_IOERR

fn main() -> ExitCode {
    let options = match Options::read(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(problem) => return end(USAGE, &format!("{problem}; see --help")),
    };
    let done = if options.help { print(HELP) } else { serve(&options) };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of our output is gone, and nobody else is there.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => end(FAILED, &error.to_string()),
    }
}

#[expect(clippy::print_stderr, reason = "the one place where this program complains")]
fn end(code: u8, problem: &str) -> ExitCode {
    eprintln!("rails: {problem}");
    ExitCode::from(code)
}

#[derive(Debug)]
struct Options {
    dir: PathBuf,
    help: bool,
    listen: SocketAddr,
    release: Release,
}

impl Options {
    fn read(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            dir: "rails".into(),
            help: false,
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            release: Release::V2_3_3,
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--dir" => options.dir = value()?.into(),
                "--help" | "-h" => options.help = true,
                "--listen" => {
                    let text = value()?;
                    options.listen = text
                        .parse()
                        .map_err(|_| format!("{text} is no ADDR:PORT, such as 127.0.0.1:8054"))?;
                }
                "--release" => {
                    options.release = match value()?.as_str() {
                        "2.3.3" => Release::V2_3_3,
                        "later" => Release::Later,
                        other => return Err(format!("{other} is no release; 2.3.3 and later are")),
                    }
                }
                _ => return Err(format!("{word} is no option")),
            }
        }
        Ok(options)
    }
}

fn serve(options: &Options) -> io::Result<()> {
    let password = chance::secret();
    let rails = Rails::start_at(world(options.release, &password), options.listen)?;
    write_demo(&options.dir, &rails.url(), &password)?;
    print(&introduction(&options.dir, &rails.url()))?;
    let mut seen = 0;
    loop {
        let requests = rails.requests_from(seen, Duration::from_secs(3600));
        seen += requests.len();
        for request in &requests {
            print(&format!("{request}\n"))?;
        }
    }
}

fn world(release: Release, password: &str) -> World {
    let mut world = World::new(release);
    world.add_domain(DOMAIN);
    world.add_record(HOST, "A", "192.0.2.1");
    world.add_record(HOST, "AAAA", "2001:db8::1");
    world.add_record("www.example.com", "A", "192.0.2.1");
    world.users.retain(|user| user.login == USER);
    for user in &mut world.users {
        user.role = Role::Owner;
        password.clone_into(&mut user.password);
    }
    world
}

/// Writes the configuration and the user's password; tokens of an earlier start are gone.
fn write_demo(dir: &Path, url: &str, password: &str) -> io::Result<()> {
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", dir.display()));
    fs::create_dir_all(dir).map_err(named)?;
    for name in ["dev1.token", "dev1.token.receipt", "home.token", "home.token.receipt"] {
        match fs::remove_file(dir.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(named(error)),
            Ok(()) | Err(_) => {}
        }
    }
    write_private(&dir.join("minter.password"), &format!("{password}\n")).map_err(named)?;
    let host = |name: &str, file: &str| {
        format!(
            "\n[[host]]\nname = \"{name}\"\nprovider = \"rails\"\nzone = \"{DOMAIN}\"\n\
             token-file = \"{file}\"\nipv4 = \"here\"\nipv6 = \"here\"\n"
        )
    };
    let config = format!(
        "# Written by the example at each start. Paths are relative to this file.\n\
         [daemon]\nstate-dir = \"state\"\n\n\
         [provider.rails]\nprotocol = \"powerdns-on-rails\"\nserver = \"{url}\"\n\n\
         [source.here]\n\
         static = [\"203.0.113.7\", \"2001:db8::7\"]  # change one to see an update\n\
         allow-private = true  # these are for documentation only\n{}{}",
        host(HOST, "dev1.token"),
        host(BARE, "home.token"),
    );
    write_private(&dir.join("config.toml"), &config).map_err(named)
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    // An older file could have another mode.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text.as_bytes())
}

fn introduction(dir: &Path, url: &str) -> String {
    let (config, password) = (dir.join("config.toml"), dir.join("minter.password"));
    let (config, password) = (config.display(), password.display());
    let homing = command::homing();
    format!(
        "A small PowerDNS on Rails in memory: {url}\n\n\
         Try, in another terminal:\n\n\
         \x20 {homing} token issue {HOST} --config {config} \\\n\
         \x20   --management-user {USER} --management-password-file {password}\n\
         \x20 {homing} --once --config {config}\n\
         \x20 {homing} token audit {HOST} --config {config}\n\
         \x20 {homing} token revoke {HOST} --config {config}   # by a logout with the token\n\n\
         {BARE} has no records yet: `issue` makes them first.\n\n\
         Requests (Ctrl-C ends this):\n"
    )
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
