//! What `--provider` starts: another service than deSEC, with a configuration that is ready for use.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::server::services::world::{SHARED, World};
use super::server::services::{ALL, Played, Service, named, setup};
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

fn write(dir: &Path, service: Service, played: &Played) -> io::Result<()> {
    create_private_dir(dir)?;
    let config = dir.join("config.toml");
    // What an earlier start's account had is gone, and so must be what Homing knows of it.
    if fs::read_to_string(&config).is_ok_and(|text| text.starts_with(setup::WRITTEN)) {
        for state in ["state", "wrong-state", "other-state"] {
            match fs::remove_dir_all(dir.join(state)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
    }
    let (secret, wrong) = (played.with_world(|world| world.secret.clone()), (service.secret)());
    write_whole(&dir.join("secret"), &format!("{secret}\n"), true)?;
    write_whole(&dir.join("wrong-secret"), &format!("{wrong}\n"), true)?;
    let (host, other) = (setup::host(service), setup::other(service));
    for (file, state, host, secret) in [
        ("config.toml", "state", &host, "secret"),
        ("wrong.toml", "wrong-state", &host, "wrong-secret"),
        ("other.toml", "other-state", &other, "secret"),
    ] {
        let text = setup::configuration(played, state, host, secret);
        write_whole(&dir.join(file), &text, false)?;
    }
    Ok(())
}

fn introduction(dir: &Path, service: Service, played: &Played) -> String {
    let file = |name: &str| -> PathBuf { dir.join(name) };
    let (config, wrong, other) = (file("config.toml"), file("wrong.toml"), file("other.toml"));
    let (config, wrong, other) = (config.display(), wrong.display(), other.display());
    let secret = file("secret");
    let fault = if setup::other(service).starts_with(SHARED) && service.has_ipv6 {
        "two records of others, which are left alone"
    } else {
        "a name that is not there"
    };
    let homing = command::homing();
    format!(
        "A small {title} in memory: {url}\n\
         The credential that lets in is in {secret}; the zones are {first} and {second}.\n\n\
         {config}:\n\n{text}\n\
         Try, in another terminal:\n\n\
         \x20 {homing} --once --config {config}\n\
         \x20 {homing} --once --config {config}   # up to date: nothing is sent\n\
         \x20 {homing} --once --config {wrong}   # a wrong credential: exit code 77\n\
         \x20 {homing} --once --config {other}   # {fault}: exit code 77\n\n\
         Requests (Ctrl-C ends this):\n",
        title = service.title,
        url = played.api_url(),
        secret = secret.display(),
        first = service.zones[0],
        second = service.zones[1],
        text = config_text(dir),
    )
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
