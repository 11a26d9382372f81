//! ddclient's settings, and Homing's settings for them (ddclient's `--help` and
//! `ddclient.conf.in`, 3.8 to 4.0).
//!
//! Settings on lines without hosts are global: they are for all hosts that follow, and for earlier
//! hosts without a value of their own. Called by the parent.

use std::net::IpAddr;
use std::time::Duration;

use self::lines::{Setting, Settings, Statement, Value};
use super::address::{self, Address, Kind};
use super::join::is_alike;
use super::service::{self, Service};
use super::{Client, Credential, Draft, Fate, Host, Refresh, Remark, Unusable};
use super::{form, names};
use crate::core::address::{Family, PerFamily};
use crate::core::order::SortedMap;
use crate::core::protocol::manners::SecretKind;
use crate::core::secret::Secret;

mod lines;

/// Reads `text`.
pub(super) fn read_draft(text: &str) -> Result<Draft, Unusable> {
    let statements = lines::statements(text);
    let knows = |statement: &Statement| {
        let mut names = statement.settings.keys();
        statement.assigns && names.any(|name| is_known(name))
    };
    if !statements.iter().any(knows) {
        return Err(Unusable::Foreign(Client::Ddclient));
    }
    let mut reader = Reader::default();
    for statement in statements {
        reader.take(statement);
    }
    Ok(reader.draft())
}

/// The results of reading so far.
#[derive(Default)]
struct Reader {
    globals: Settings,
    definitions: Vec<Definition>,
    /// The index of each name's definition.
    places: SortedMap<String, usize>,
    remarks: Vec<Remark>,
    hidden: Vec<Secret>,
}

/// A host with all its settings.
struct Definition {
    name: String,
    line: usize,
    settings: Settings,
    remarks: Vec<Remark>,
    /// Why no part of it may be shown.
    obscure: Option<&'static str>,
}

/// The minimum to which ddclient raises `daemon`.
const FLOOR: Duration = Duration::from_secs(60);

/// Settings whose values are secrets.
const SECRETS: [&str; 6] = ["apikey", "dynurl", "fw-password", "secretapikey", "urlv4", "urlv6"];

/// The fate of the setting `name` with the value `text`.
fn fate(name: &str, text: &str) -> Fate {
    let is_off = flag(text) == Some(false);
    let asks = !(text.is_empty() || is_off);
    let lost = |what| Fate::Lost(what).only_if(asks);
    match name {
        "cmd" | "cmd-skip" | "cmdv4" | "cmdv6" | "daemon" | "fw" | "fw-login" | "fw-password"
        | "fw-skip" | "fwv4" | "fwv4-skip" | "fwv6" | "fwv6-skip" | "host" | "if" | "ifv4"
        | "ifv6" | "ip" | "ipv4" | "ipv6" | "login" | "max-interval" | "password"
        | "postscript" | "protocol" | "script" | "server" | "ssl" | "ttl" | "use" | "usev4"
        | "usev6" | "web" | "webv4" | "webv6" => Fate::Used,
        // Read together with other settings.
        "apikey"
        | "dynurl"
        | "path"
        | "quietreply"
        | "root-domain"
        | "secretapikey"
        | "tcp"
        | "urlv4"
        | "urlv6"
        | "use-personal-access-token"
        | "web-skip"
        | "webv4-skip"
        | "webv6-skip"
        | "zone" => Fate::Used,
        "cache" | "recap" => Fate::Needless("Homing keeps its own state, in state-dir"),
        "debug" | "exec" | "max-warn" | "quiet" | "test" | "verbose" => {
            Fate::Needless("say it when you start Homing: -v, -q, --dry-run")
        }
        "facility" | "priority" | "syslog" => Fate::Needless(
            "Homing logs to the journal, or to its standard error; see log in [daemon]",
        ),
        "file" | "foreground" | "pid" | "query" => Fate::Needless(
            "Homing stays in the foreground, and its service manager knows its process",
        ),
        "force" => Fate::Needless("`homing --once --refresh` sends unchanged addresses"),
        "fw-banlocal" | "if-skip" => Fate::Needless("it does nothing in ddclient either"),
        "jitter" | "min-error-interval" | "min-interval" | "timeout" => {
            Fate::Needless("Homing waits, spreads and keeps each service's pace by itself")
        }
        "custom" | "static" => Fate::Needless("the service knows by itself of what kind a name is"),
        "backupmx" | "mx" | "on-root-domain" | "wildcard" => {
            lost("Homing sets addresses and nothing else; set it once at the service")
        }
        "mail" | "mail-failure" | "mail-from" => lost(
            "Homing sends no mail; cron mails what `homing --once` prints, systemd has OnFailure=, and on-change of a \
             host runs a program",
        ),
        "fw-ssl-validate" | "web-ssl-validate" => Fate::Lost(
            "certificates are always verified; ca-file in a source or provider adds an authority",
        )
        .only_if(is_off),
        "proxy" => lost("Homing uses no proxy; let it reach its services directly"),
        "redirect" => lost(
            "redirects are never followed with a password; write the address that they lead to",
        ),
        "ssl_ca_dir" | "ssl_ca_file" => lost(
            "the system's authorities count; ca-file in the section of a source or provider adds one",
        ),
        _ => Fate::Unnamed("a setting there is not known here: left out"),
    }
}

/// Whether ddclient has a setting called `name`.
fn is_known(name: &str) -> bool {
    !matches!(fate(name, ""), Fate::Unnamed(_))
}

impl Reader {
    fn take(&mut self, statement: Statement) {
        let obscure = statement.obscure.or_else(|| self.doubt(&statement));
        let Statement { line, settings, hosts, has_plain_label, wrong, .. } = statement;
        let mut remarks: Vec<_> =
            wrong.into_iter().map(|(line, what)| Remark::to_do(line, what)).collect();
        let is_path = is_nsupdate(&settings, &self.globals);
        let is_secret = |name: &str| name == "password" && !is_path || SECRETS.contains(&name);
        for (name, setting) in &settings {
            if let Value::Text(text) = &setting.value
                && is_secret(name)
            {
                self.hidden.push(Secret::new(text));
            }
            if obscure.is_none() {
                remarks.extend(remark(name, setting));
            }
        }
        if let Some(why) = obscure {
            let (name, settings) = (String::new(), Settings::new());
            self.definitions.push(Definition { name, line, settings, remarks, obscure: Some(why) });
            return;
        }
        if hosts.is_empty() {
            self.remarks.append(&mut remarks);
            self.globals.extend(settings);
            return;
        }
        let mut own = self.globals.clone();
        own.extend(settings);
        for name in hosts {
            let remarks = std::mem::take(&mut remarks);
            let settings = own.clone();
            let is_shown = super::is_name(&name) && (has_plain_label || name.contains('.'));
            self.define(Definition { name, line, settings, remarks, obscure: None }, is_shown);
        }
    }

    /// Why a statement is doubtful: the word in the place of the login may be the password, if there is
    /// a login already or no password.
    fn doubt(&self, statement: &Statement) -> Option<&'static str> {
        let is_known =
            |name| statement.settings.contains_key(name) || self.globals.contains_key(name);
        let is_second = statement.had_login || self.globals.contains_key("login");
        let is_doubtful = statement.positional == 1 && (is_second || !is_known("password"));
        is_doubtful.then_some(lines::MAYBE_A_PASSWORD)
    }

    /// Adds a host or completes an earlier definition; a name that must not be shown is removed.
    fn define(&mut self, mut definition: Definition, is_shown: bool) {
        // A word without a dot may be the end of a password with a blank in it.
        if !is_shown {
            let what = "a name without a dot, or with something that names do not have, is not repeated here; write the \
                        whole name of the host in a [[host]] of its own";
            definition.remarks.push(Remark::to_do(definition.line, what));
            definition.name.clear();
            self.definitions.push(definition);
            return;
        }
        let known = self.places.get(&definition.name).copied();
        match known.map(|place| &mut self.definitions[place]) {
            Some(first) if !are_halves(&first.settings, &definition.settings) => {
                let what = format!(
                    "line {} sets up this host, too; as with ddclient, the first one counts",
                    definition.line
                );
                first.remarks.push(Remark::to_do(first.line, what));
                first.remarks.append(&mut definition.remarks);
                for (name, setting) in definition.settings {
                    first.settings.entry(name).or_insert(setting);
                }
            }
            known => {
                if known.is_none() {
                    self.places.insert(definition.name.clone(), self.definitions.len());
                }
                self.definitions.push(definition);
            }
        }
    }

    fn draft(self) -> Draft {
        let Self { globals, definitions, mut remarks, hidden, .. } = self;
        let interval = globals.get("daemon").and_then(|setting| match duration(setting)? {
            Refresh::Every(asked) if !asked.is_zero() => {
                Some(super::interval(asked, FLOOR, setting.line, &mut remarks))
            }
            Refresh::Every(_) | Refresh::Never => None,
        });
        let mut hosts: Vec<Host> = Vec::new();
        for mut definition in definitions {
            definition.inherit(&globals);
            let host = definition.host();
            match hosts.last_mut() {
                // Hosts on one line stay in one block.
                Some(last) if last.line == host.line && is_alike(last, &host) => {
                    last.names.extend(host.names);
                    last.remarks.extend(host.remarks);
                }
                _ => hosts.push(host),
            }
        }
        Draft { client: Client::Ddclient, interval, hosts, remarks, hidden }
    }
}

/// Whether two definitions of one host are for one family each.
fn are_halves(one: &Settings, other: &Settings) -> bool {
    let is_on = |settings: &Settings, name: &str| {
        let value = settings.get(name).map(|setting| &setting.value);
        matches!(value, Some(Value::Text(text)) if !is_off(text))
    };
    let only = |settings, name, other| is_on(settings, name) && !is_on(settings, other);
    only(one, "usev4", "usev6") && only(other, "usev6", "usev4")
        || only(one, "usev6", "usev4") && only(other, "usev4", "usev6")
}

fn is_nsupdate(settings: &Settings, globals: &Settings) -> bool {
    let protocol = settings.get("protocol").or_else(|| globals.get("protocol"));
    protocol.is_some_and(|setting| setting.value == Value::Text("nsupdate".to_owned()))
}

/// The remark about a setting that does not depend on its host.
fn remark(name: &str, setting: &Setting) -> Option<Remark> {
    let text = match &setting.value {
        Value::Text(text) => text.as_str(),
        Value::Variable(_) if name != "password" && is_known(name) => {
            let what = format!(
                "{name} comes from an environment variable, which only a secret can: left out"
            );
            return Some(Remark::to_do(setting.line, what));
        }
        Value::Variable(_) => "",
    };
    fate(name, text).remark(name, setting.line)
}

impl Definition {
    /// Adds global settings that the host does not set itself.
    fn inherit(&mut self, globals: &Settings) {
        if self.obscure.is_some() {
            return;
        }
        for (name, setting) in globals {
            self.settings.entry(name.clone()).or_insert_with(|| setting.clone());
        }
    }

    fn text(&self, name: &str) -> Option<&str> {
        match &self.settings.get(name)?.value {
            Value::Text(text) if !text.is_empty() => Some(text),
            Value::Text(_) | Value::Variable(_) => None,
        }
    }

    /// The line of a setting, else of the host.
    fn line_of(&self, name: &str) -> usize {
        self.settings.get(name).map_or(self.line, |setting| setting.line)
    }

    fn host(self) -> Host {
        if let Some(why) = self.obscure {
            let mut host = Host::new(self.line, Vec::new(), Service::Unread);
            host.leave_out(format!(
                "{why}, so the host after it was not understood and is not repeated here; correct \
                    the line (put the password in single quotes) and import again"
            ));
            host.remarks = self.remarks;
            return host;
        }
        let mut remarks = Vec::new();
        let service = self.service(&mut remarks);
        let names = if self.name.is_empty() { Vec::new() } else { vec![self.name.clone()] };
        let mut host = Host::new(self.line, names, service);
        host.username = self.text("login").map(str::to_owned);
        host.credential = self.credential();
        host.zone = self.zone(&host.service);
        self.settle_secret(&mut host);
        host.place_login(form::login_is(Client::Ddclient, &host.service));
        host.addresses = self.addresses(&mut remarks);
        if let Some(setting) = self.settings.get("max-interval") {
            host.refresh = duration(setting).and_then(|asked| match asked {
                Refresh::Every(asked) => super::refresh(asked, setting.line, &mut remarks),
                Refresh::Never => Some(Refresh::Never),
            });
        }
        if let Some(command) = self.text("postscript") {
            let line = self.line_of("postscript");
            host.on_change = address::program(command, line, &mut remarks).unwrap_or_default();
            if !host.on_change.is_empty() {
                let what = "postscript got the new address as an argument; on-change finds it in HOMING_IPV4 and HOMING_IPV6";
                remarks.push(Remark::to_do(line, what));
            }
        }
        if host.service.secret_kind() == Some(SecretKind::Key) {
            self.settle_key(&mut host);
        } else {
            self.settle_rest(&mut host, &mut remarks);
        }
        remarks.append(&mut host.remarks);
        host.remarks = self.remarks;
        host.remarks.append(&mut remarks);
        host
    }

    /// Sets what else a service wants that is no name server.
    fn settle_rest(&self, host: &mut Host, remarks: &mut Vec<Remark>) {
        host.ttl = self.text("ttl").and_then(|ttl| ttl.parse().ok());
        host.ttl.take_if(|_| !host.service.says_ttl());
        let protocol = self.text("protocol").unwrap_or_default().to_ascii_lowercase();
        let is_token = self.text("use-personal-access-token").and_then(flag) == Some(true);
        host.settle_entry(match &*protocol {
            "ddnss" | "dnsexit2" | "sitelutions" => true,
            "gandi" => is_token,
            _ => false,
        });
        if host.service.name() == "hetzner" {
            let what = "a token of the old DNS Console (dns.hetzner.com) does not work any more; \
                make one in the Hetzner Console";
            remarks.push(Remark::to_do(self.line_of("password"), what));
        }
        // Settings written after the host belong to another host.
        let is_said = |name: &str| match name {
            "zone" => host.zone.is_some(),
            _ => host.ttl.is_some(),
        };
        let is_lost = |name: &&str| {
            self.text(name).is_some() && self.line_of(name) <= self.line && !is_said(name)
        };
        let lost: Vec<_> = ["zone", "ttl"].into_iter().filter(is_lost).collect();
        if let (Some(first), Some(_)) = (lost.first(), host.service.protocol()) {
            let what =
                format!("{} is not sent to this service by Homing: left out", lost.join(" and "));
            remarks.push(Remark::info(self.line_of(first), what));
        }
    }

    /// The zone of the host, as its protocol has it.
    fn zone(&self, service: &Service) -> Option<String> {
        let zone = match service.name() {
            "porkbun" if self.text("on-root-domain").and_then(flag) == Some(true) => {
                self.text("root-domain").or(Some(&*self.name))
            }
            "porkbun" => self.text("root-domain"),
            // Without a zone, the host is one.
            "dnsexit" => self.text("zone").or(Some(&*self.name)),
            _ => self.text("zone"),
        };
        zone.filter(|_| service.described().is_some()).map(str::to_owned)
    }

    /// Sets the secret of a service that has it in other settings, or in several.
    fn settle_secret(&self, host: &mut Host) {
        let secret = |name: &str| self.text(name).map(Secret::new);
        let (parts, sign) = match host.service.name() {
            "porkbun" => (vec![secret("apikey"), secret("secretapikey")], ':'),
            "netcup" => (vec![secret("apikey"), secret("password")], ':'),
            // What stands behind q= in the address of one record.
            "cloudns-url" => {
                let query = self.text("dynurl").and_then(|url| url.split_once('?'));
                let mut pairs = query.iter().flat_map(|(_, query)| query.split('&'));
                let value = pairs.find_map(|pair| pair.strip_prefix("q="));
                (vec![value.map(Secret::new)], ' ')
            }
            // The last part of the path, for each family.
            "directnic" => {
                let last = |name: &str| {
                    self.text(name)?.trim_end_matches('/').rsplit('/').next().map(Secret::new)
                };
                let both = [last("urlv4"), last("urlv6")];
                let known: Vec<_> = both.into_iter().flatten().map(Some).collect();
                (if known.is_empty() { vec![None] } else { known }, ' ')
            }
            _ => return,
        };
        host.join_secret(&parts, sign);
    }

    fn service(&self, remarks: &mut Vec<Remark>) -> Service {
        let protocol = self.text("protocol").unwrap_or("dyndns2").to_ascii_lowercase();
        let server = self.text("server");
        let is_plain = self.text("ssl").and_then(flag) == Some(false);
        let line = self.line_of("server");
        let script = self.text("script").unwrap_or("/nic/update");
        let known = names::of(Client::Ddclient).find(|(name, _)| *name == protocol);
        if let Some((_, meaning)) = known {
            let meant = Service::meant(meaning, line, remarks);
            return match (server, meant.described(), meant.protocol()) {
                (Some(server), Some((provider, _)), _) => {
                    let host = service::host_of(server);
                    match service::known_at(host) {
                        Some(closed @ Service::Unknown(..)) => return closed,
                        Some(_) => {}
                        None => {
                            let what = format!(
                                "server is left out: {} has one address, which Homing knows",
                                provider.title
                            );
                            remarks.push(Remark::info(line, what));
                        }
                    }
                    meant
                }
                (Some(server), None, Some(_)) => {
                    service::dyndns2(server, script, is_plain, Vec::new(), line, remarks)
                }
                (None, ..) | (Some(_), None, None) => meant,
            };
        }
        match &*protocol {
            "nsupdate" => service::name_server(server, None),
            // The older protocol, with the account's login.
            "dnsexit" => Service::known("dnsexit"),
            "emailonly" => Service::not_known(
                "emailonly",
                "it sends mail and updates no name; on-change of a host can run a program that does",
            ),
            protocol if super::is_name(protocol) => Service::unknown(protocol),
            _ => Service::unknown("this protocol"),
        }
    }

    fn credential(&self) -> Credential {
        match self.settings.get("password") {
            Some(Setting { value: Value::Text(text), line }) if !text.is_empty() => {
                Credential::Text(Secret::new(text), *line)
            }
            Some(Setting { value: Value::Variable(name), .. }) => Credential::variable(name),
            _ => Credential::none(),
        }
    }

    /// Sets the key of a name server: ddclient's `password` is the path of a key file.
    fn settle_key(&self, host: &mut Host) {
        host.username = None;
        host.zone = self.text("zone").map(|zone| zone.trim_end_matches('.').to_owned());
        host.ttl = self.text("ttl").and_then(|ttl| ttl.parse().ok());
        match self.text("password").filter(|path| path.starts_with('/')) {
            // ddclient's own example has a comma after the path, which is not part of it.
            Some(path) => {
                host.credential = Credential::KeyFile(path.trim_end_matches(',').to_owned());
            }
            None => {
                host.leave_out("the key file of its name server has no whole path; write key-file");
            }
        }
    }

    fn addresses(&self, remarks: &mut Vec<Remark>) -> PerFamily<Address> {
        let asked =
            |name: &str| self.text(name).filter(|way| !is_off(way)).map(str::to_ascii_lowercase);
        let (v4, v6, both) = (asked("usev4"), asked("usev6"), asked("use"));
        let mut found = PerFamily::from_fn(|_| Address::Off);
        for (family, way, setting) in [(Family::V4, &v4, "usev4"), (Family::V6, &v6, "usev6")] {
            if let Some(way) = way {
                found[family] = self.address(family, way, setting, remarks);
            }
        }
        if let Some(way) = &both {
            self.add_either(way, &mut found, remarks);
        }
        if v4.is_some() || v6.is_some() || both.is_some() {
            self.remark_unused(remarks);
            return found;
        }
        let family = self.fixed_family("ip").unwrap_or(Family::V4);
        let off = ["use", "usev4", "usev6"].into_iter().find(|name| self.text(name).is_some());
        found[family] = if self.text("ip").is_some() && self.text("use").is_none() {
            self.address(family, "ip", "ip", remarks)
        } else if let Some(off) = off {
            Address::Lost(format!(
                "{off} switches off the look for an address there; write ipv4 or ipv6"
            ))
        } else {
            self.remark_unused(remarks);
            let what =
                "the file does not say where addresses come from: the one of this machine is taken";
            remarks.push(Remark::info(self.line, what));
            Address::Auto
        };
        found
    }

    /// Adds the address that `use` finds, which may be of either family.
    fn add_either(&self, way: &str, found: &mut PerFamily<Address>, remarks: &mut Vec<Remark>) {
        let family = self.family_of(way);
        for each in address::families(family) {
            if found[each] == Address::Off {
                found[each] = self.address(each, way, "use", remarks);
            }
        }
        address::remark_either(family, found, self.line_of("use"), remarks);
    }

    /// Remarks on settings that no chosen way to find an address uses.
    fn remark_unused(&self, remarks: &mut Vec<Remark>) {
        let is_used = |kind: &str| {
            ["use", "usev4", "usev6"].into_iter().any(|name| {
                let way = self.text(name).unwrap_or_default().to_ascii_lowercase();
                way.trim_end_matches("v4").trim_end_matches("v6") == kind
                    // The ways for Cisco's routers use the name of an interface.
                    || kind == "if" && way.starts_with("cisco")
            })
        };
        for name in ["if", "ifv4", "ifv6", "cmd", "cmdv4", "cmdv6"] {
            let kind = name.trim_end_matches("v4").trim_end_matches("v6");
            if self.text(name).is_some() && !is_used(kind) {
                let what = format!(
                    "{name} is not used there, because neither use nor usev4 nor usev6 says {kind}: left out"
                );
                remarks.push(Remark::to_do(self.line_of(name), what));
            }
        }
    }

    /// The family that `use` finds in this way; `None` when it may find either.
    fn family_of(&self, way: &str) -> Option<Family> {
        // Before 3.10 there was ipv6=yes.
        if let Some(is_v6) = self.text("ipv6").and_then(flag) {
            return Some(if is_v6 { Family::V6 } else { Family::V4 });
        }
        match way {
            "ip" => self.fixed_family("ip").or(Some(Family::V4)),
            "web" => {
                let name = self.text("web").unwrap_or_default();
                address::family_told(&web_service(name, Family::V4, "use"))
            }
            "cmd" => address::family_found(self.text("cmd").unwrap_or_default()),
            // ddclient searches an interface and a router's page for IPv4 only.
            _ => Some(Family::V4),
        }
    }

    fn fixed_family(&self, name: &str) -> Option<Family> {
        self.text(name)?.parse::<IpAddr>().ok().map(Family::of)
    }

    /// The address of `family`, found in this `way`, which is the value of `setting`.
    fn address(
        &self,
        family: Family,
        way: &str,
        setting: &str,
        remarks: &mut Vec<Remark>,
    ) -> Address {
        // The interface that ddclient uses where use=if names none.
        const USUAL_INTERFACE: &str = "ppp0";
        let digit = if family == Family::V4 { "v4" } else { "v6" };
        let kind = way.strip_suffix(digit).filter(|kind| !kind.is_empty()).unwrap_or(way);
        // usev6=if reads ifv6 first, then if; use=if reads only if.
        let named = |old: &str| {
            let new = format!("{old}{digit}");
            let of_family = self.text(&new).filter(|_| setting != "use" && setting != "ip");
            // The old ipv6=yes is not an address.
            let of_family = of_family.filter(|text| old != "ip" || flag(text).is_none());
            match of_family {
                Some(text) => Some((text, self.line_of(&new))),
                None => self
                    .text(old)
                    .filter(|_| way == old || setting == "use")
                    .map(|text| (text, self.line_of(old))),
            }
        };
        match kind {
            "ip" => match named("ip").map(|(text, _)| text.parse::<IpAddr>()) {
                Some(Ok(address)) if Family::of(address) == family => address::fixed(address),
                Some(_) => Address::Lost(format!(
                    "its address is not an {family} address; write it as static of a source"
                )),
                None => Address::Lost(format!(
                    "{setting} needs an {family} address and has none; write it as static of a \
                        source"
                )),
            },
            "if" => match named("if") {
                Some((name, _)) if name.eq_ignore_ascii_case("default") => Address::Auto,
                None if way != "if" => Address::Auto,
                None => Kind::Interface(USUAL_INTERFACE.to_owned()).into(),
                Some((name, _)) => Kind::Interface(name.to_owned()).into(),
            },
            "cmd" => match named("cmd") {
                // ddclient uses cmd-skip for use=cmd only.
                Some(_) if setting == "use" && self.text("cmd-skip").is_some() => Address::Lost(
                    "cmd-skip: a command must print only the address on its first line; write \
                            a source with such a command"
                        .to_owned(),
                ),
                Some((command, line)) => address::command(command, line, remarks),
                None => Address::Lost(format!(
                    "{setting} needs a command and has none; write it as command = [\"…\"] of a \
                        source"
                )),
            },
            "web" => {
                let (name, line) = named("web").unwrap_or(("", self.line_of(setting)));
                let skip = if setting == "use" {
                    "web-skip".to_owned()
                } else {
                    format!("web{digit}-skip")
                };
                let picks = self.text(&skip).is_some();
                let url = web_service(name, family, setting);
                address::web(&url, family, picks, line, remarks)
            }
            _ => {
                let server =
                    self.text(&format!("fw{digit}")).or(self.text("fw")).map(service::host_of);
                let gateway = server.and_then(|server| server.parse::<std::net::Ipv4Addr>().ok());
                let gateway = gateway.map_or("true".to_owned(), |address| format!("\"{address}\""));
                Address::Lost(format!(
                    "{setting} takes the address from a page of a router or firewall, or in another way that Homing does \
                     not have; to ask the router by PCP, NAT-PMP or UPnP, write a source with gateway = {gateway}"
                ))
            }
        }
    }
}

/// The address of a web service that ddclient knows by name.
fn web_service(name: &str, family: Family, setting: &str) -> String {
    let usual = match (setting, family) {
        // ddclient's first default.
        ("use", _) => "dyndns",
        (_, Family::V4) => "ipify-ipv4",
        (_, Family::V6) => "ipify-ipv6",
    };
    let name = if name.is_empty() { usual } else { name };
    let known = match name {
        "desec-ipv4" => "checkipv4.dedyn.io/",
        "desec-ipv6" => "checkipv6.dedyn.io/",
        "dyndns" => "checkip.dyndns.org/",
        "dynu" => "checkip.dynu.com/",
        "freedns" => "freedns.afraid.org/",
        "he" | "he.net" => "checkip.dns.he.net/",
        "googledomains" => "domains.google.com/checkip",
        "ip4only.me" => "ip4only.me/api/",
        "ip6only.me" => "ip6only.me/api/",
        "ipify-ipv4" => "api.ipify.org/",
        "ipify-ipv6" => "api6.ipify.org/",
        "joker-ipv4" => "ipv4.svc.joker.com/nic/checkip",
        "joker-ipv6" => "ipv6.svc.joker.com/nic/checkip",
        "loopia" => "dns.loopia.se/checkip/",
        "myonlineportal" => "myonlineportal.net/checkip",
        "noip-ipv4" => "ip1.dynupdate.no-ip.com/",
        "noip-ipv6" => "ip1.dynupdate6.no-ip.com/",
        "nsupdate.info-ipv4" => "ipv4.nsupdate.info/myip",
        "nsupdate.info-ipv6" => "ipv6.nsupdate.info/myip",
        "updatedip" => "checkip.updatedip.com",
        "zoneedit" => "dynamic.zoneedit.com/checkip.html",
        other => other,
    };
    known.to_owned()
}

/// A boolean in ddclient's words.
fn flag(text: &str) -> Option<bool> {
    match &*text.to_ascii_lowercase() {
        "1" | "t" | "true" | "y" | "yes" => Some(true),
        "0" | "f" | "false" | "n" | "no" => Some(false),
        _ => None,
    }
}

fn is_off(way: &str) -> bool {
    matches!(&*way.to_ascii_lowercase(), "disabled" | "no" | "")
}

/// A duration in ddclient's format.
fn duration(setting: &Setting) -> Option<Refresh> {
    let Value::Text(text) = &setting.value else { return None };
    let text = text.to_ascii_lowercase();
    if let "inf" | "infinite" | "infinit" | "infinity" | "indefinite" | "indefinitely" | "never"
    | "forever" | "always" = &*text
    {
        return Some(Refresh::Never);
    }
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let unit = match text[digits..].chars().next() {
        None | Some('s') => 1,
        Some('m') => 60,
        Some('h') => 60 * 60,
        Some('d') => 24 * 60 * 60,
        Some(_) => return None,
    };
    Some(Refresh::Every(Duration::from_secs(number.saturating_mul(unit))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Host {
        read_draft(text).unwrap().hosts.remove(0)
    }

    #[track_caller]
    fn comes_from(text: &str, v4: &Address, v6: &Address) {
        let host = host(&format!("{text}\nprotocol=dyndns2 login=a password=b h.example"));
        assert_eq!((&host.addresses.v4, &host.addresses.v6), (v4, v6), "{text}");
    }

    #[test]
    fn every_way_to_find_an_address_has_its_source() {
        use Address::{Auto, Off};
        let interface = |name: &str| Address::from(Kind::Interface(name.to_owned()));
        let web = |name: &str| Address::from(Kind::Web(name.to_owned()));
        comes_from("use=if, if=eth0", &interface("eth0"), &Off);
        comes_from("use=if", &interface("ppp0"), &Off);
        comes_from(
            "usev4=ifv4, ifv4=eth0, usev6=ifv6, ifv6=eth1",
            &interface("eth0"),
            &interface("eth1"),
        );
        comes_from("usev6=if, if=eth0", &Off, &interface("eth0"));
        comes_from("use=if, if=eth0, ipv6=yes", &Off, &interface("eth0"));
        comes_from("usev4=ifv4", &Auto, &Off);
        comes_from("use=web", &web("ipify"), &Off);
        comes_from("use=web, web=ipify-ipv6", &Off, &web("ipify"));
        comes_from("use=web, web=https://api64.ipify.org/", &web("ipify"), &web("ipify"));
        comes_from("use=web, web=https://api64.ipify.org/, ipv6=no", &web("ipify"), &Off);
        comes_from("usev4=webv4, usev6=webv6", &web("ipify"), &web("ipify"));
        comes_from("usev4=web, webv4=desec-ipv4", &web("desec"), &Off);
        comes_from("use=ip, ip=8.8.8.8", &address::fixed([8, 8, 8, 8].into()), &Off);
        comes_from("ip=8.8.8.8", &address::fixed([8, 8, 8, 8].into()), &Off);
        comes_from(
            "usev6=ipv6, ipv6=2001:db8::1",
            &Off,
            &address::fixed("2001:db8::1".parse().unwrap()),
        );
        let command = Kind::Command(vec!["/bin/wan".to_owned()]).into();
        comes_from("use=cmd, cmd=/bin/wan", &command, &command);
        comes_from("usev4=disabled, usev6=cmdv6, cmdv6=/bin/wan", &Off, &command);
    }

    #[test]
    fn a_way_that_cannot_be_carried_over_switches_the_host_off() {
        for way in [
            "use=ip, ip=nonsense",
            "use=ip",
            "usev4=ipv4",
            "use=linksys, fw=192.168.1.1:80",
            "use=fw, fw=192.168.1.1/status.htm",
            "usev4=fwv4, fwv4=192.168.1.1",
            "usev6=fwv6",
            "use=nonsense",
            "use=disabled, usev4=disabled",
            "usev4=disabled",
            "usev6=no",
            "use=no",
            "use=disabled, ip=8.8.8.8",
            "usev6=cmdv6",
            "usev6=cmdv6, cmdv6=",
            "use=cmd, cmd='curl -u me:hunter2 x'",
            "use=cmd, cmd=/bin/wan, cmd-skip=x",
            "use=web, web=http://192.168.1.1/status, web-skip=x",
            "usev4=webv4, usev6=cmdv6, cmdv6='get hunter2'",
        ] {
            let text = format!("{way}\nprotocol=dyndns2 login=a password=b h.example");
            let host = super::super::read_draft(Client::Ddclient, &text).unwrap().hosts.remove(0);
            assert!(host.left_out.is_some(), "{way}: {host:?}");
            let is_auto =
                Family::BOTH.iter().any(|family| host.addresses[*family] == Address::Auto);
            assert!(!is_auto && !format!("{host:?}").contains("hunter"), "{way}: {host:?}");
        }
    }

    #[test]
    fn settings_behind_the_last_host_count_for_those_without_their_own() {
        let text = "login=a, password=b\nusev4=ifv4, ifv4=eth1 one.example\ntwo.example\n\
                    usev6=ifv6, ifv6=eth0, usev4=ifv4, ifv4=eth0, max-interval=20d";
        let draft = read_draft(text).unwrap();
        let interface = |name: &str| Address::from(Kind::Interface(name.to_owned()));
        let found: Vec<_> = draft.hosts.iter().map(|host| host.addresses.clone()).collect();
        let of = |v4, v6| PerFamily { v4: interface(v4), v6: interface(v6) };
        assert_eq!(found, [of("eth1", "eth0"), of("eth0", "eth0")]);
        assert!(draft.hosts.iter().all(|host| host.refresh.is_some()));
    }

    #[test]
    fn what_is_asked_for_in_vain_is_told() {
        for (text, count) in [
            ("if=eth0", 1),
            ("use=web, if=eth0", 1),
            ("use=if, if=eth0", 0),
            ("usev6=if, if=eth0", 0),
            ("use=cisco, if=e0", 0),
            ("usev4=webv4, ifv6=eth0, cmd=x", 2),
        ] {
            let host = host(&format!("{text}\nlogin=a password=b h.example"));
            let told =
                host.remarks.iter().filter(|remark| remark.text.contains("is not used there"));
            assert_eq!(told.count(), count, "{text}: {:?}", host.remarks);
        }
    }

    #[test]
    fn a_word_that_may_be_a_password_is_no_login() {
        for (globals, line) in [
            ("", "username: hunter2"),
            ("", "password: hunter2 h.example"),
            ("", "login:me password:hunter2 h.example"),
            ("login=me", "h.example hunter2"),
            ("", "h.example hunter2"),
            ("", "login=me h.example hunter2"),
            ("", "h.example huntera hunterb hunterc"),
            ("", "h hunter2 hunter3"),
            ("password=x", "login=me hunter2"),
        ] {
            let text = format!("{globals}\n{line}\nlogin=a password=b z.example\n");
            let said = super::super::read_draft(Client::Ddclient, &text).map(|draft| {
                let problems = |_: &str| Vec::new();
                draft.written("FILE", None, problems).text
            });
            assert!(said.is_ok_and(|said| !said.contains("hunter")), "{text}");
        }
        let host = host("password=x\nh.example me");
        assert_eq!(host.username.as_deref(), Some("me"));
    }

    #[test]
    fn a_label_of_a_network_is_a_name_where_it_can_be_no_password() {
        for (text, expect) in [
            ("server=updates.opendns.com\nlogin=a\npassword=b\nhome", true),
            ("login=a, password=b \\\nhome", true),
            ("login=a, password='b' home", true),
            ("login=a, password=b home", false),
            ("password=b\nlogin=a home", false),
        ] {
            let host = host(text);
            assert_eq!(host.names == ["home"], expect, "{text}");
        }
    }

    #[test]
    fn a_later_line_changes_the_settings_of_later_hosts_only() {
        let text = "login=a\npassword=p1 one.example\nlogin=b\npassword=p2 two.example";
        let draft = read_draft(text).unwrap();
        let logins: Vec<_> = draft.hosts.iter().map(|host| host.username.as_deref()).collect();
        assert_eq!(logins, [Some("a"), Some("b")]);
        assert!(draft.hosts.iter().all(|host| host.service.name() == "dyn.com"));
    }

    #[test]
    fn the_server_decides_which_provider_it_is() {
        let name = |text: &str| {
            host(&format!("{text} login=a password=b h.example")).service.name().to_owned()
        };
        assert_eq!(name("protocol=dyndns2, server=update.dedyn.io"), "desec");
        assert_eq!(name("protocol=noip"), "no-ip");
        assert_eq!(name("protocol=ovh"), "ovh");
        assert_eq!(name("protocol=he.net"), "he.net");
        assert_eq!(name("server=dynv6.com"), "dynv6");
        assert_eq!(name("server=d.example"), "d.example");
        assert_eq!(name("server=dynamic.zoneedit.com, protocol=zoneedit1"), "zoneedit");
        assert_eq!(name("protocol=cloudflare"), "cloudflare");
        assert_eq!(name("protocol=nsupdate, server=ns1.example.com:54"), "ns1.example.com");
    }

    #[test]
    fn a_word_behind_a_password_that_is_no_name_is_not_repeated() {
        let draft = read_draft("login=a password=two words h.example").unwrap();
        assert!(draft.hosts[0].names.is_empty());
    }

    #[test]
    fn names_that_mean_nothing_are_not_repeated() {
        let draft = read_draft("login=a password=b hunter2=x hunter3_env=y h.example").unwrap();
        let said = format!("{:?}", draft.hosts[0].remarks);
        assert!(!said.contains("hunter") && draft.hosts[0].remarks.len() >= 2, "{said}");
    }

    #[test]
    fn durations_are_those_of_ddclient() {
        let of = |text: &str| duration(&Setting { value: Value::Text(text.to_owned()), line: 1 });
        let seconds = |seconds| Some(Refresh::Every(Duration::from_secs(seconds)));
        assert_eq!(of("300"), seconds(300));
        assert_eq!(of("5m"), seconds(300));
        assert_eq!(of("25d"), seconds(25 * 86_400));
        assert_eq!(of("2x"), None);
        assert_eq!(of("never"), Some(Refresh::Never));
        assert_eq!(of("99999999999999999999d"), None);
    }

    #[test]
    fn a_file_of_something_else_is_refused() {
        for text in ["", "hello world\n", "[[host]]\nname = \"a.example\"\n", "#!/bin/sh\necho x"] {
            assert_eq!(read_draft(text).err(), Some(Unusable::Foreign(Client::Ddclient)), "{text}");
        }
    }
}
