//! What `--provider` starts: another service than deSEC, with a configuration that is ready for use.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use super::server::services::pace::Limit;
use super::server::services::setup::Credential;
use super::server::services::world::{SHARED, World};
use super::server::services::{ALL, Played, Reach, Service, named, setup};
use super::{Options, command, config_text, create_private_dir, print, write_whole};

/// The service called `name`, unless the options are for deSEC alone.
pub fn service(name: &str, options: &Options) -> Result<Service, String> {
    let names = ALL.map(|service| service.name).join(", ");
    let service = named(name).ok_or_else(|| format!("{name} is no service of these: {names}"))?;
    let not_here = [
        (!options.dns.is_empty(), "--dns"),
        (options.legacy, "--legacy"),
        (!options.tokens.is_empty(), "--token"),
        (!options.update.is_empty(), "--update"),
        (options.listen.len() > 1, "a second --listen"),
    ];
    match not_here.iter().find(|(is_there, _)| *is_there) {
        Some((_, option)) => Err(format!("{option} is for deSEC, and not for {name}")),
        None => Ok(service),
    }
}

/// Plays the service until its output has no reader.
pub fn serve(options: &Options, service: Service) -> io::Result<()> {
    let mut world = World::new(service);
    world.throttled = !options.no_throttle;
    options.zones.iter().for_each(|zone| world.add_zone(zone));
    let at = options.listen.first().copied();
    let at = at.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{at}: {error}"));
    let played = Played::start_at(world, at).map_err(named)?;

    let dir = options.dir.clone().unwrap_or_else(|| ["sandbox", service.name].iter().collect());
    write(&dir, service, &played)?;
    if let Some(file) = &options.port_file {
        write_whole(file, &format!("api-url={}\n", played.api_url()), false)?;
    }
    if !options.quiet {
        print(&introduction(&dir, service, &played))?;
    }
    let mut seen = 0;
    loop {
        let requests = played.requests_from(seen, Duration::from_secs(3600));
        seen += requests.len();
        for request in requests.iter().filter(|_| !options.quiet) {
            print(&format!("{request}\n"))?;
        }
    }
}

/// The file for what `homing token issue` makes.
const MADE: &str = "made-secret";

fn write(dir: &Path, service: Service, played: &Played) -> io::Result<()> {
    create_private_dir(dir)?;
    let config = dir.join("config.toml");
    // What an earlier start's account had is gone, and so must be what Homing knows of it.
    if fs::read_to_string(&config).is_ok_and(|text| text.starts_with(setup::WRITTEN)) {
        forget(dir)?;
    }
    let secret = played.with_world(|world| world.secret.clone());
    write_whole(&dir.join("secret"), &format!("{secret}\n"), true)?;
    write_whole(&dir.join("wrong-secret"), &format!("{}\n", service.wrong_credential()), true)?;
    for Configuration { file, state, host, credential } in configurations(service) {
        let text = setup::configuration(played, state, &host, credential);
        write_whole(&dir.join(file), &text, false)?;
    }
    Ok(())
}

/// Removes the states of earlier runs, and the credential that they made with its receipts.
fn forget(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
        let name = name.to_string_lossy();
        if name.starts_with(MADE) {
            fs::remove_file(path)?;
        } else if name == "state" || name.ends_with("-state") {
            fs::remove_dir_all(path)?;
        }
    }
    Ok(())
}

/// A configuration that is written.
struct Configuration {
    file: &'static str,
    state: &'static str,
    host: String,
    credential: (Credential, &'static str),
}

fn configurations(service: Service) -> Vec<Configuration> {
    let one = |file, state, host, credential| Configuration { file, state, host, credential };
    let host = setup::host(service);
    let (account, issued) = (Credential::Account, Credential::Issued);
    let mut all = if service.wants_issue() {
        vec![
            one("config.toml", "state", host.clone(), (issued, MADE)),
            one("wrong.toml", "wrong-state", host, (issued, "wrong-secret")),
        ]
    } else {
        vec![
            one("config.toml", "state", host.clone(), (account, "secret")),
            one("wrong.toml", "wrong-state", host, (account, "wrong-secret")),
            one("other.toml", "other-state", setup::other(service), (account, "secret")),
        ]
    };
    if service.issued.is_some_and(|issued| !issued.is_only_way) {
        all.push(one("new.toml", "new-state", setup::new(service), (issued, MADE)));
    }
    all.extend(beyond(service).map(|it| one("beyond.toml", "beyond-state", it, (issued, MADE))));
    all
}

/// A name that the credential was not made for, where asking for it shows what the credential can change.
fn beyond(service: Service) -> Option<String> {
    let shows = service.issued.is_some_and(|issued| issued.reach != Reach::Fixed);
    shows.then(|| format!("beyond.{}", service.zones[0]))
}

fn introduction(dir: &Path, service: Service, played: &Played) -> String {
    let path = |name: &str| dir.join(name).display().to_string();
    let what = if service.wants_issue() { "makes credentials" } else { "lets in" };
    let mut text = format!(
        "A small {title} in memory: {url}\n\
         The credential that {what} is in {secret}; the zones are {first} and {second}.\n\n\
         {config}:\n\n{text}\n\
         Try, in another terminal:\n\n",
        title = service.title,
        url = played.api_url(),
        secret = path("secret"),
        first = service.zones[0],
        second = service.zones[1],
        config = path("config.toml"),
        text = config_text(dir),
    );
    if !service.wants_issue() {
        text += &updates(service, &path);
    }
    if service.issued.is_some() {
        text += &tokens(service, &played.with_world(|world| world.login.clone()), &path);
    }
    text + "Requests (Ctrl-C ends this):\n"
}

/// The commands that update with the account's own credential.
fn updates(service: Service, path: &dyn Fn(&str) -> String) -> String {
    let homing = command::homing();
    let [config, wrong, other] = ["config.toml", "wrong.toml", "other.toml"].map(path);
    let fault = if setup::other(service).starts_with(SHARED) && service.has_ipv6 {
        "two records of others, which are left alone"
    } else {
        "a name that is not there"
    };
    format!(
        "\x20 {homing} --once --config {config}\n\
         \x20 {homing} --once --config {config}   # up to date: nothing is sent\n\
         \x20 {homing} --once --config {wrong}   # a wrong credential: exit code 77\n\
         \x20 {homing} --once --config {other}   # {fault}: exit code 77\n\n"
    )
}

/// The commands that make a credential for one host, use it, and end it.
fn tokens(service: Service, login: &str, path: &dyn Fn(&str) -> String) -> String {
    let Some(issued) = service.issued else { return String::new() };
    let (homing, host, noun) = (command::homing(), setup::new(service), issued.noun);
    let is_only_way = service.wants_issue();
    let config = path(if is_only_way { "config.toml" } else { "new.toml" });
    let management = setup::management(service, login, &path("secret")).join(" ");
    let token = |action: &str| {
        format!("\x20 {homing} token {action} {host} --config {config} {management}\n")
    };
    let once = |config: &str, what: &str| {
        let what = if what.is_empty() { String::new() } else { format!("   # {what}") };
        format!("\x20 {homing} --once --config {config}{what}\n")
    };
    let mut text = String::new();
    if !is_only_way {
        // Writing to a string cannot fail.
        let _ = write!(text, "A {noun} of its own for {host}:\n\n");
    }
    text += &[&*token("issue"), &once(&config, ""), &token("audit")].concat();
    if beyond(service).is_some() {
        let what = match issued.reach {
            Reach::Zone => "another name of the zone: the same token sets it, too",
            Reach::Fixed | Reach::Host => "another name: refused, exit code 77",
        };
        text += &once(&path("beyond.toml"), what);
    }
    if is_only_way {
        text += &once(&path("wrong.toml"), "a wrong credential: exit code 77");
    }
    text += &[token("rotate"), token("revoke")].concat();
    let can = match issued.reach {
        Reach::Fixed => format!("It sets {host}, whatever name an update asks for."),
        Reach::Host => format!("It can set the addresses of {host} and nothing else."),
        Reach::Zone => format!("It can change every record of {}.", service.zones[0]),
    };
    let _ = write!(text, "\n{can} After `revoke` it can do nothing.\n");
    if let Some(Limit::Window(most, time)) = service.limit.filter(|_| is_only_way) {
        let _ = writeln!(
            text,
            "{} takes {most} requests in {} seconds: wait, or start this with --no-throttle.",
            service.title,
            time.as_secs()
        );
    }
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: &[&str]) -> Result<Service, String> {
        let words = words.iter().map(|word| (*word).to_owned());
        let options = Options::read(words).unwrap();
        service(options.provider.as_deref().unwrap(), &options)
    }

    #[test]
    fn every_service_has_its_name_and_another_is_told_which_there_are() {
        for service in ALL {
            assert_eq!(check(&["--provider", service.name]).unwrap().title, service.title);
        }
        let complaint = check(&["--provider", "cloudfare"]).err().unwrap();
        assert!(
            complaint.contains("cloudfare is no service of these: cloudflare, "),
            "{complaint}"
        );
    }

    #[test]
    fn what_only_desec_has_is_refused() {
        let complaint = check(&["--provider", "gandi", "--legacy"]).err().unwrap();
        assert_eq!(complaint, "--legacy is for deSEC, and not for gandi");
    }
}
