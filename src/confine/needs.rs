//! What a configuration and the system's resolver need, with links followed as they stand now.
//!
//! Only directories: a rule for a file would go on being for the file that was there at the start,
//! whatever took its place by a rename. Those that do not exist are left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::config::{Config, HostConfig, SecretPlace, SourceRef};
use crate::core::address::Family;
use crate::core::confinement::{Needs, Ports};
use crate::core::echo::{self, Echo};
use crate::core::provider::Provider;
use crate::core::server::Server;
use crate::core::whoami::PORT as DNS;
use crate::disk;
use crate::http;
use crate::source::outside::Service;
use crate::source::{Kind, Source};

/// What the C library's resolver reads, again and again (resolv.conf(5), nsswitch.conf(5),
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

/// Where resolv.conf comes to stand when a resolver is started after Homing.
const RESOLVERS: [&str; 3] = ["/run/systemd/resolve", "/run/resolvconf", "/tmp/resolv.conf.d"];

/// Where the C library finds the modules that nsswitch.conf names, which it loads when they are first
/// needed. musl has none.
const LIBRARIES: [&str; 4] = ["/lib", "/lib64", "/usr/lib", "/usr/lib64"];

/// No way to a file has more links (`ELOOP` in path_resolution(7)).
const MOST_LINKS: usize = 40;

/// What `config` needs, and the state in `state_dir`.
pub fn of(config: &Config, state_dir: &Path) -> Needs {
    let mut gathered = Gathered::default();
    gathered.read(&config.path);
    let (mut providers, mut sources) = (BTreeSet::new(), BTreeSet::new());
    let mut asks_others = false;
    for host in &config.hosts {
        gathered.host(host);
        providers.insert(host.provider);
        for (_, source) in host.sources.iter() {
            match source {
                None => {}
                // Besides the kernel it asks the provider's own service, and those of others.
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
    gathered.needs.write.insert(disk::canonical(state_dir));
    gathered.into_needs()
}

/// What the system's look-up of names needs.
pub fn of_system() -> Needs {
    let mut gathered = Gathered::default();
    RESOLVER.iter().for_each(|path| gathered.read(Path::new(path)));
    let libraries: &[&str] = if cfg!(target_env = "musl") { &[] } else { &LIBRARIES };
    for directory in RESOLVERS.iter().chain(libraries) {
        gathered.needs.read.extend(fs::canonicalize(directory));
    }
    // An answer that is too long for a datagram is asked for again by TCP.
    gathered.ports.insert(DNS);
    gathered.into_needs()
}

/// What was found so far.
#[derive(Default)]
struct Gathered {
    needs: Needs,
    ports: BTreeSet<u16>,
    any_port: bool,
    /// The real directory of each that was looked at; many files share few.
    known: BTreeMap<PathBuf, Option<PathBuf>>,
}

impl Gathered {
    fn into_needs(self) -> Needs {
        let ports = if self.any_port { Ports::Any } else { Ports::These(self.ports) };
        Needs { ports, ..self.needs }
    }

    fn host(&mut self, host: &HostConfig) {
        match &host.secret {
            Some(SecretPlace::File(path) | SecretPlace::KeyFile(path)) => self.read(path),
            Some(SecretPlace::Credential(name)) => {
                if let Some(directory) = std::env::var_os("CREDENTIALS_DIRECTORY") {
                    self.read(&Path::new(&directory).join(name));
                }
            }
            Some(SecretPlace::Environment(_) | SecretPlace::Inline(_)) | None => {}
        }
        if let Some(path) = &host.path {
            // A link in its place stays, and what it leads to is replaced.
            let path = fs::canonicalize(path).unwrap_or_else(|_| path.clone());
            let directory = self.directory(&path);
            self.needs.write.extend(directory);
        }
        for server in host.verify.iter().flat_map(|verify| &verify.servers) {
            self.server(server);
        }
    }

    fn provider(&mut self, provider: &Provider) {
        let echoes = provider.echo.iter().filter_map(|(_, url)| url.as_deref());
        let urls = provider.update_url.as_deref().into_iter().chain(provider.api_url.as_deref());
        urls.chain(echoes).for_each(|url| self.url(url));
        if let Some(ca_file) = &provider.ca_file {
            self.read(Path::new(&**ca_file));
        }
        if let Some(server) = &provider.name_server {
            self.server(server);
        }
    }

    fn source(&mut self, source: &Source) {
        match &source.kind {
            Kind::File(path) => self.read(path),
            Kind::Outside(outside) => outside.services.iter().for_each(|service| match service {
                Service::Dns(resolver) => {
                    let servers = resolver.servers.iter().filter_map(|(_, server)| server.as_ref());
                    servers.for_each(|server| self.server(server));
                }
                // By UPnP, the router itself says on which port it is to be asked.
                Service::Gateway(_) => self.any_port = true,
                // By datagrams alone.
                Service::Stun(_) => {}
                Service::Web { echo, ca_file } => {
                    self.echo(echo);
                    ca_file.iter().for_each(|path| self.read(path));
                }
            }),
            Kind::Command(_) | Kind::Interface(_) | Kind::Static(_) => {}
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

    /// Adds the directory of the file at `path`, and of each link on the way to it: what a link
    /// leads to is replaced as often as the link.
    fn read(&mut self, path: &Path) {
        let mut path = path.to_owned();
        for _ in 0..MOST_LINKS {
            let directory = self.directory(&path);
            self.needs.read.extend(directory);
            let Ok(target) = fs::read_link(&path) else { return };
            path = disk::directory(&path).join(target);
        }
    }

    /// The real directory that `path` is in, if it exists.
    fn directory(&mut self, path: &Path) -> Option<PathBuf> {
        let directory = disk::directory(path);
        if let Some(known) = self.known.get(directory) {
            return known.clone();
        }
        let real = fs::canonicalize(directory).ok();
        self.known.insert(directory.to_owned(), real.clone());
        real
    }
}
