//! The needs of a configuration and of the system's resolver, with links followed as they are now.
//!
//! Directories only: a rule for a file does not apply to another file that is renamed to its path. For
//! a path that does not exist yet, the directory where it will be is opened.

use std::fs;
use std::path::{Path, PathBuf};

use crate::config::secret::credentials_directory;
use crate::config::{Config, HostConfig, SecretPlace, SourceRef, ping_url};
use crate::core::address::Family;
use crate::core::address::echo::{self, Echo};
use crate::core::confinement::{Needs, Ports};
use crate::core::order::{SortedMap, SortedSet};
use crate::core::provider::Provider;
use crate::core::server::Server;
use crate::core::source::{Service, Source, SourceKind};
use crate::core::wire::whoami::PORT as DNS;
use crate::net::http;
use crate::os::disk;

/// The files that the C library's resolver reads again and again (resolv.conf(5), nsswitch.conf(5),
/// host.conf(5), gai.conf(5), hosts(5), ld.so(8)).
const RESOLVER: [&str; 7] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/ld.so.cache",
];

/// The directories where resolv.conf may appear when a resolver starts after Homing.
const RESOLVERS: [&str; 3] = ["/run/systemd/resolve", "/run/resolvconf", "/tmp/resolv.conf.d"];

/// The directories of the modules of nsswitch.conf, loaded when first needed; musl has none.
const LIBRARIES: [&str; 4] = ["/lib", "/lib64", "/usr/lib", "/usr/lib64"];

/// The most links on a path (`ELOOP` in `path_resolution(7)`).
const MOST_LINKS: usize = 40;

/// The needs of `config`, and of the state in `state_dir`.
pub fn of(config: &Config, state_dir: &Path) -> Needs {
    let mut gathered = Gathered::default();
    gathered.add_file(&config.path);
    let (mut providers, mut sources) = (SortedSet::new(), SortedSet::new());
    let mut asks_others = false;
    let mut before = None;
    for host in &config.hosts {
        // The hosts of a block follow one another, and a thousand may share one secret.
        if before.replace((&host.secret, &host.path, &host.verify))
            != Some((&host.secret, &host.path, &host.verify))
        {
            gathered.host(host);
        }
        providers.insert(host.provider);
        for (_, source) in host.sources.iter() {
            match source {
                None => {}
                // Besides the kernel, it asks the provider's own service and those of others.
                Some(SourceRef::Auto) => asks_others = true,
                Some(SourceRef::Named(place)) => {
                    sources.insert(*place);
                }
            }
        }
    }
    providers.into_iter().for_each(|place| gathered.provider(&config.providers[place]));
    sources.into_iter().for_each(|place| gathered.source(&config.sources[place]));
    if asks_others {
        let others = Family::BOTH.into_iter().flat_map(echo::third_parties);
        others.for_each(|echo| gathered.echo(&echo));
    }
    if let Some(ping) = &config.reports.ping {
        ping.place.file().into_iter().for_each(|path| gathered.add_file(path));
        // A file that is not there yet will probably name a server at the usual port.
        let url = ping_url(&ping.place).ok();
        gathered.url(url.as_ref().map_or("https://example.com", |url| url.expose()));
    }
    for notifier in &config.reports.notify {
        notifier.secret().into_iter().for_each(|place| gathered.secret(place));
        notifier.ca_file().into_iter().for_each(|path| gathered.add_file(path));
        notifier.server().into_iter().for_each(|server| gathered.url(&server));
    }
    for (_, path) in config.reports.files() {
        let directory = gathered.directory(path);
        gathered.needs.write.insert(directory);
    }
    gathered.needs.write.insert(foreseen(state_dir, MOST_LINKS));
    gathered.into_needs()
}

/// The existing directories whose rules will allow `needs`, even for paths that are created later;
/// `state_dir` is not widened, since Homing creates it itself.
///
/// A rule includes mounts made later below its directory, but not on the directory itself, so an empty
/// directory to read from may become a mount point: its nearest ancestor with content is used.
pub fn opened(needs: &Needs, state_dir: &Path) -> Needs {
    let state_dir = foreseen(state_dir, MOST_LINKS);
    let is_filled = |path: &Path| fs::read_dir(path).map_or(true, |mut all| all.next().is_some());
    let nearest = |path: &PathBuf, suits: &dyn Fn(&Path) -> bool| {
        let found = path.ancestors().find(|path| path.is_dir() && suits(path));
        found.unwrap_or(Path::new("/")).to_owned()
    };
    let write = |path: &PathBuf| {
        let is_own = *path == state_dir && !path.exists();
        if is_own { path.clone() } else { nearest(path, &|_| true) }
    };
    Needs {
        read: needs.read.iter().map(|path| nearest(path, &is_filled)).collect(),
        write: needs.write.iter().map(write).collect(),
        ports: needs.ports.clone(),
    }
}

/// The real path of a file that exists or will exist at `path`; follows at most `links` dangling links.
fn foreseen(path: &Path, links: usize) -> PathBuf {
    if let Ok(real) = fs::canonicalize(path) {
        return real;
    }
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let Some(parent) = path.parent() else { return path };
    let parent = foreseen(parent, links);
    let Some(name) = path.file_name() else {
        return parent.parent().map_or(parent.clone(), Path::to_owned);
    };
    let path = parent.join(name);
    match fs::read_link(&path) {
        Ok(target) if links > 0 => foreseen(&parent.join(target), links - 1),
        _ => path,
    }
}

/// The needs of the system's look-up of names.
pub fn of_system() -> Needs {
    let mut gathered = Gathered::default();
    RESOLVER.iter().for_each(|path| gathered.add_file(Path::new(path)));
    let libraries: &[&str] = if cfg!(target_env = "musl") { &[] } else { &LIBRARIES };
    for directory in RESOLVERS.iter().chain(libraries) {
        gathered.needs.read.extend(fs::canonicalize(directory));
    }
    // An answer that is too long for a datagram is requested again by TCP.
    gathered.ports.insert(DNS);
    gathered.into_needs()
}

/// The needs found so far.
#[derive(Default)]
struct Gathered {
    needs: Needs,
    ports: SortedSet<u16>,
    any_port: bool,
    /// The real directory of each path that was resolved; many files share few.
    known: SortedMap<PathBuf, PathBuf>,
}

impl Gathered {
    fn into_needs(self) -> Needs {
        let ports = if self.any_port { Ports::Any } else { Ports::These(self.ports) };
        Needs { ports, ..self.needs }
    }

    fn host(&mut self, host: &HostConfig) {
        host.secret.iter().for_each(|place| self.secret(place));
        if let Some(path) = &host.path {
            // A link stays, and the file that it leads to is replaced.
            let path = fs::canonicalize(path).unwrap_or_else(|_| path.clone());
            let directory = self.directory(&path);
            self.needs.write.insert(directory);
        }
        for server in host.verify.iter().flat_map(|verify| &verify.servers) {
            self.server(server);
        }
    }

    fn secret(&mut self, place: &SecretPlace) {
        match place {
            SecretPlace::File(path) | SecretPlace::KeyFile(path) | SecretPlace::WholeFile(path) => {
                self.add_file(path);
            }
            SecretPlace::Credential(name) => {
                if let Some(directory) = credentials_directory() {
                    self.add_file(&directory.join(name));
                }
            }
            SecretPlace::Environment(_) | SecretPlace::Inline(_) => {}
        }
    }

    fn provider(&mut self, provider: &Provider) {
        let echoes = provider.echo.iter().filter_map(|(_, url)| url.as_deref());
        let urls = provider.update_url.as_deref().into_iter().chain(provider.api_url.as_deref());
        urls.chain(echoes).for_each(|url| self.url(url));
        for (_, server) in provider.http.iter().flat_map(|entry| entry.servers()) {
            // A server that is a place of its own is always asked by TLS at its usual port.
            self.url(if server == "https://" { "https://example.com" } else { server });
        }
        if let Some(ca_file) = &provider.ca_file {
            self.add_file(Path::new(&**ca_file));
        }
        if let Some(server) = &provider.name_server {
            self.server(server);
        }
    }

    fn source(&mut self, source: &Source) {
        match &source.kind {
            SourceKind::File(path) => self.add_file(path),
            SourceKind::Outside(outside) => {
                outside.services.iter().for_each(|service| match service {
                    Service::Dns(resolver) => {
                        let servers =
                            resolver.servers.iter().filter_map(|(_, server)| server.as_ref());
                        servers.for_each(|server| self.server(server));
                    }
                    // With UPnP, the router itself names the port.
                    Service::Gateway(_) => self.any_port = true,
                    // Datagrams only.
                    Service::Stun(_) => {}
                    Service::Web { echo, ca_file } => {
                        self.echo(echo);
                        ca_file.iter().for_each(|path| self.add_file(path));
                    }
                });
            }
            SourceKind::Command(_) | SourceKind::Interface(_) | SourceKind::Static(_) => {}
        }
    }

    fn echo(&mut self, echo: &Echo) {
        echo.urls.iter().filter_map(|(_, url)| url.as_deref()).for_each(|url| self.url(url));
    }

    fn url(&mut self, url: &str) {
        self.ports.extend(http::port_of(url));
    }

    fn server(&mut self, server: &Server) {
        self.ports.insert(match server {
            Server::Address(address) => address.port(),
            Server::Name(_, port) => *port,
        });
    }

    /// Adds the directory of the file at `path`, and of each link on the way: the files that links lead
    /// to are replaced as often as the links.
    fn add_file(&mut self, path: &Path) {
        let mut path = path.to_owned();
        for _ in 0..MOST_LINKS {
            let directory = self.directory(&path);
            self.needs.read.insert(directory);
            let Ok(target) = fs::read_link(&path) else { return };
            path = disk::directory(&path).join(target);
        }
    }

    /// The real directory that `path` is in, or will be in.
    fn directory(&mut self, path: &Path) -> PathBuf {
        let directory = disk::directory(path);
        let known = self.known.entry(directory.to_owned());
        known.or_insert_with(|| foreseen(directory, MOST_LINKS)).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    const HOST: &str = "[[host]]\nname = \"a.example\"\nipv4 = \"on\"\nipv6 = \"off\"\n";

    #[track_caller]
    fn check(text: &str, ports: &[u16]) {
        let parsed = config::parse(Path::new("/etc/homing.toml"), text, true);
        let config = parsed.unwrap_or_else(|problems| panic!("{problems}"));
        let needs = of(&config, Path::new("/nowhere/state"));
        assert_eq!(needs.ports, Ports::These(ports.iter().copied().collect()), "{text}");
    }

    #[test]
    fn the_ports_are_those_of_all_servers_in_use() {
        let on = "[source.on]\nstatic = \"192.0.2.1\"\nallow-private = true\n";
        let local = "provider = \"hosts-file\"\npath = \"hosts\"\n";
        check(&format!("{on}{HOST}{local}"), &[]);
        let source =
            |keys: &str| format!("[source.on]\n{keys}\nallow-private = true\n{HOST}{local}");
        check(&source("web = [\"https://a.example/\", \"http://127.0.0.1:8080/\"]"), &[443, 8080]);
        check(
            &source("dns = [\"google\", { server = \"192.0.2.1:54\", name = \"a.example\" }]"),
            &[53, 54],
        );
        check(&source("stun = \"stun.example:3478\""), &[]);
        let unused = "[source.unused]\nweb = \"https://a.example:8443/\"\n";
        check(&format!("{unused}{on}{HOST}{local}"), &[]);
        let desec = "provider = \"desec\"\ntoken = \"x\"\n";
        check(&format!("{on}{HOST}{desec}"), &[443]);
        let provider = "[provider.p]\nprotocol = \"desec\"\nupdate-url = \"https://a.example:81/\"\n\
                        api-url = \"https://a.example:82/\"\necho6 = \"https://a.example:83/\"\n";
        let mine = "provider = \"p\"\ntoken = \"x\"\n";
        check(&format!("{provider}{on}{HOST}{mine}"), &[81, 82, 83]);
        let auto = HOST.replace("\"on\"", "\"auto\"");
        check(&format!("{provider}{auto}{mine}"), &[81, 82, 83, 443]);
        for name in ["cloudflare", "freedns"] {
            check(&format!("{on}{HOST}provider = \"{name}\"\ntoken = \"x\"\n"), &[443]);
        }
        let mine = "[provider.p]\nextends = \"cloudflare\"\napi-url = \"https://a.example:84\"\n";
        check(&format!("{mine}{on}{HOST}provider = \"p\"\ntoken = \"x\"\n"), &[84]);
    }

    #[test]
    fn a_name_server_and_those_to_verify_at_have_their_ports() {
        let text = format!(
            "[source.on]\nstatic = \"192.0.2.1\"\nallow-private = true\n\
             [provider.p]\nprotocol = \"rfc2136\"\nserver = \"ns.example:5353\"\n{HOST}\
             provider = \"p\"\nkey-name = \"k\"\nsecret-file = \"k\"\n\
             verify-servers = [\"192.0.2.1:5354\"]\n"
        );
        check(&text, &[5353, 5354]);
    }

    #[test]
    #[cfg(feature = "pages")]
    fn the_directories_of_reports_are_written_to() {
        let text = format!(
            "[report]\nmetrics-file = \"/nowhere/m/homing.prom\"\nstatus-page = \"/nowhere/s/index.html\"\n\
             {HOST}provider = \"hosts-file\"\npath = \"/nowhere/h/hosts\"\n"
        )
        .replace("ipv4 = \"on\"\n", "");
        let config = config::parse(Path::new("/etc/homing.toml"), &text, true).unwrap();
        let write = of(&config, Path::new("/nowhere/state")).write;
        let expect = ["h", "m", "s", "state"].map(|name| PathBuf::from(format!("/nowhere/{name}")));
        assert_eq!(write, SortedSet::from(expect));
    }

    #[test]
    fn a_router_that_is_asked_may_name_any_port() {
        let text = format!(
            "[source.on]\ngateway = true\nallow-private = true\n{HOST}provider = \"hosts-file\"\npath = \"hosts\"\n"
        );
        let config = config::parse(Path::new("/etc/homing.toml"), &text, true).unwrap();
        assert_eq!(of(&config, Path::new("/")).ports, Ports::Any);
    }

    #[test]
    fn the_resolver_needs_its_files_and_the_port_of_dns() {
        let needs = of_system();
        assert!(needs.read.contains(&fs::canonicalize("/etc").unwrap()), "{needs}");
        assert!(needs.write.is_empty());
        assert_eq!(needs.ports, Ports::These([DNS].into()));
    }

    #[test]
    fn rules_are_for_directories_never_for_files_or_what_is_missing() {
        let etc = fs::canonicalize("/etc").unwrap();
        let one = |path: &str| SortedSet::from([PathBuf::from(path)]);
        let wanted = |path| Needs { read: one(path), write: one(path), ..Needs::default() };
        let state = Path::new("/nowhere/state");
        for (path, rule) in [
            ("/etc/passwd", etc.to_str().unwrap()),
            ("/etc/passwd/x/y", etc.to_str().unwrap()),
            ("/nowhere/keys", "/"),
        ] {
            let opened = opened(&wanted(path), state);
            assert_eq!(opened, wanted(rule), "{path}");
        }
        let own = wanted("/nowhere/state");
        assert_eq!(opened(&own, state).write, own.write);
        assert_eq!(foreseen(Path::new("/nowhere/a/../b"), 0), Path::new("/nowhere/b"));
    }
}
