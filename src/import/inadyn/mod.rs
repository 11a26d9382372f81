//! inadyn's settings, and Homing's settings for them (inadyn.conf(5), inadyn 1.96 to 2.13).
//!
//! Called by the parent.

use std::time::Duration;

use self::blocks::{Block, File, Value};
use super::address::{self, Address, Kind};
use super::service::Service;
use super::target::{self, Asked, Target};
use super::{BEHIND_PROXY, Client, Credential, Draft, Fate, Host, IPV4_ONLY, Remark, Unusable};
use super::{form, names};
use crate::core::address::{Family, PerFamily};
use crate::core::secret::Secret;

mod blocks;
mod version1;

/// Reads `text`, of version 1 or 2.
pub(super) fn read_draft(text: &str) -> Result<Draft, Unusable> {
    let file = blocks::parse_blocks(text);
    if !file.blocks.is_empty() {
        return Ok(draft(&file));
    }
    if let Some(old) = version1::parse_version1(text) {
        return Ok(draft(&old));
    }
    if file.globals.settings.iter().any(|setting| GLOBAL.contains(&&*setting.name)) {
        return Ok(draft(&file));
    }
    Err(Unusable::Foreign(Client::Inadyn))
}

/// The minimum to which inadyn raises `period`.
const FLOOR: Duration = Duration::from_secs(30);

/// Settings outside of blocks that only a file of version 2 has.
const GLOBAL: [&str; 12] = [
    "allow-ipv6",
    "broken-rtc",
    "ca-trust-file",
    "cache-dir",
    "fake-address",
    "forced-update",
    "iface",
    "iterations",
    "period",
    "secure-ssl",
    "user-agent",
    "verify-address",
];

fn draft(file: &File) -> Draft {
    let mut remarks: Vec<_> =
        file.wrong.iter().map(|(line, what)| Remark::to_do(*line, *what)).collect();
    let globals = &file.globals;
    for setting in &globals.settings {
        let name = &*setting.name;
        let value = globals.text(name).and_then(flag);
        remarks.extend(global_fate(name, value).remark(name, setting.line));
    }
    let seconds = |name: &str| {
        let number = globals.text(name)?.parse::<u64>().ok()?;
        Some((Duration::from_secs(number), globals.setting(name)?.line))
    };
    let interval =
        seconds("period").map(|(asked, line)| super::interval(asked, FLOOR, line, &mut remarks));
    let refresh = seconds("forced-update")
        .and_then(|(asked, line)| super::refresh(asked, line, &mut remarks));
    let mut hidden = Vec::new();
    let mut hosts = Vec::new();
    for block in &file.blocks {
        for setting in block.settings.iter().filter(|setting| setting.name == "password") {
            let texts = setting.values.iter().filter_map(|value| match value {
                Value::Text(text) => Some(Secret::new(text)),
                Value::Variable(_) | Value::Open => None,
            });
            hidden.extend(texts);
        }
        let mut host = Reader { block, globals }.host();
        host.refresh = refresh;
        hosts.push(host);
    }
    Draft { client: Client::Inadyn, interval, hosts, remarks, hidden }
}

/// The fate of the global setting `name`; `value` is its boolean value, if it has one.
fn global_fate(name: &str, value: Option<bool>) -> Fate {
    let (is_on, is_off) = (value == Some(true), value == Some(false));
    match name {
        "allow-ipv6" | "bind" | "forced-update" | "iface" | "period" => Fate::Used,
        "broken-rtc" => {
            Fate::Needless("Homing knows that a clock may not be set yet, and waits for it")
        }
        "cache-dir" => Fate::Needless("Homing keeps its own state, in state-dir"),
        "iterations" => Fate::Needless("`homing --once` runs once"),
        "user-agent" => USER_AGENT,
        "background" | "drop-privs" | "logfile" | "pidfile" | "startup-delay" | "syslog"
        | "verbose" => Fate::Needless(
            "Homing stays in the foreground, and its service manager knows its process and keeps its log",
        ),
        "exec" => Fate::Lost(
            "write the program as on-change = [\"…\"] of a host; it finds the address in HOMING_IPV4 and HOMING_IPV6",
        ),
        "include" => INCLUDE,
        "proxy-server" => Fate::Lost("Homing uses no proxy; let it reach its services directly"),
        "ca-trust-file" => Fate::Lost(
            "the system's authorities count; ca-file in the section of a source or provider adds one",
        ),
        "fake-address" => {
            Fate::Lost("Homing never sends an address that is not its own").only_if(is_on)
        }
        "secure-ssl" => Fate::Lost(
            "certificates are always verified; ca-file in a provider's section adds an authority",
        )
        .only_if(is_off),
        "verify-address" => Fate::Lost(
            "addresses of a private network are sent only from a source with allow-private = true",
        )
        .only_if(is_off),
        _ => Fate::Unnamed("this global setting is not known here: left out"),
    }
}

/// The fate of the setting `name` of a block; `is_on` is true if its value is yes.
fn block_fate(name: &str, is_on: bool) -> Fate {
    let lost = Fate::Lost(NOTHING_ELSE);
    match name {
        "alias" | "append-myip" | "checkip-command" | "checkip-path" | "checkip-server"
        | "checkip-ssl" | "ddns-path" | "ddns-server" | "hostname" | "iface" | "password"
        | "ssl" | "username" => Fate::Used,
        // Read together with the service.
        "ddns-response" | "proxied" | "ttl" => Fate::Used,
        "wildcard" => lost.only_if(is_on),
        "user-agent" => USER_AGENT,
        "include" => INCLUDE,
        _ => Fate::Unnamed("this setting of a block is not known here: left out"),
    }
}

const NOTHING_ELSE: &str = "Homing sets addresses and nothing else; set it once at the service";
const USER_AGENT: Fate = Fate::Needless("Homing sends its own name to services");
const INCLUDE: Fate = Fate::Unnamed("what this file includes is not read; add what it holds");

/// The words of an answer that mean success to inadyn, unless a block has its own.
const WORDS: [&str; 6] = ["OK", "good", "true", "updated", "success", "nochg"];

/// The reader of one block, with the settings outside of blocks.
struct Reader<'a> {
    block: &'a Block,
    globals: &'a Block,
}

impl Reader<'_> {
    fn line_of(&self, name: &str) -> usize {
        self.block.setting(name).map_or(self.block.line, |setting| setting.line)
    }

    fn is_on(&self, name: &str) -> bool {
        self.block.text(name).and_then(flag) == Some(true)
    }

    fn is_off(&self, name: &str) -> bool {
        self.block.text(name).and_then(flag) == Some(false)
    }

    /// Whether any IPv6 addresses are published.
    fn allows_ipv6(&self) -> bool {
        self.globals.text("allow-ipv6").and_then(flag) == Some(true)
    }

    /// The service that is asked for the address, unless it is inadyn's default.
    fn checkip_server(&self) -> Option<&str> {
        self.block.text("checkip-server").filter(|server| *server != "default")
    }

    /// The block's title without the number that distinguishes equal titles.
    fn title(&self) -> &str {
        self.block.title.split(':').next().unwrap_or_default()
    }

    fn host(&self) -> Host {
        let block = self.block;
        let mut remarks = Vec::new();
        for setting in &block.settings {
            let fate = block_fate(&setting.name, self.is_on(&setting.name));
            remarks.extend(fate.remark(&setting.name, setting.line));
        }
        let target = self.target(&mut remarks);
        let names = ["hostname", "alias"].iter().find_map(|name| block.setting(name));
        let names = names.map(|setting| &setting.values[..]).unwrap_or_default();
        let text = |value: &Value| match value {
            Value::Text(text) => Some(target.names.of(text)),
            Value::Variable(_) | Value::Open => None,
        };
        let mut names: Vec<_> = names.iter().filter_map(text).collect();
        if names.is_empty() && target.service.name() == "dnshome" {
            // dnsHome.de's login is the name, and some files have it only there.
            names.extend(block.text("username").map(str::to_owned));
        }
        let mut host = Host::new(block.line, names, target.service);
        if host.names.is_empty() {
            host.leave_out("it has no host name; write name");
        }
        host.username = block.text("username").map(str::to_owned);
        host.credential = self.credential();
        let is_by_key = target.places.is_by_key;
        host.take_places(target.places);
        host.addresses = self.addresses(&mut remarks);
        self.settle_way(&mut host);
        self.settle_rest(&mut host, is_by_key, &mut remarks);
        if host.service.name() == "desec" && host.username.is_some() {
            let what = "deSEC needs no username beside its token";
            remarks.push(Remark::info(self.line_of("username"), what));
        }
        remarks.append(&mut host.remarks);
        host.remarks = remarks;
        host
    }

    /// Sets what the service wants beside login and password, and remarks on what is lost.
    fn settle_rest(&self, host: &mut Host, is_by_key: bool, remarks: &mut Vec<Remark>) {
        let block = self.block;
        host.settle_entry(is_by_key);
        let ttl = block.text("ttl").and_then(|ttl| ttl.parse().ok());
        host.ttl = ttl.filter(|_| host.service.says_ttl());
        if block.setting("ttl").is_some() && host.ttl.is_none() {
            remarks.push(Remark::to_do(self.line_of("ttl"), format!("ttl: {NOTHING_ELSE}")));
        }
        if self.is_on("proxied") {
            let entry = host.service.described().map(|(_, entry)| entry.known_options());
            if entry.is_some_and(|options| options.contains(&"proxied")) {
                host.options.push(("proxied".to_owned(), "true".to_owned()));
            } else {
                let what = format!("proxied: {NOTHING_ELSE}");
                remarks.push(Remark::to_do(self.line_of("proxied"), what));
            }
        }
        let is_described =
            matches!(&host.service, Service::Own(own) if own.protocol.is_described());
        if block.setting("ddns-response").is_some() && !is_described {
            let what = "ddns-response: Homing knows this service's words, or takes those of dyndns2 for a success, good and nochg";
            remarks.push(Remark::to_do(self.line_of("ddns-response"), what));
        }
    }

    /// Leaves the host out if requests would use another interface (version 1).
    fn settle_way(&self, host: &mut Host) {
        if self.globals.setting("bind").is_some() {
            host.leave_out("requests left by the interface that bind names; write bind = \"DEVICE\" in the host");
        }
        let is_web = host.addresses.iter().any(|(_, address)| !matches!(address, Address::Off))
            && self.globals.setting("iface").is_none();
        if is_web && self.globals.setting("proxy-server").is_some() {
            host.leave_out(BEHIND_PROXY);
        }
    }

    /// The service, and the names that are sent to it.
    fn target(&self, remarks: &mut Vec<Remark>) -> Target {
        if self.block.kind == "custom" {
            return self.custom(remarks);
        }
        let title = self.title().to_ascii_lowercase();
        let names = || names::of(Client::Inadyn);
        let loosely = |name: &str| !title.is_empty() && name.contains(&*title);
        // A plugin for both families has a second name for IPv6.
        let usual = title.split_once('@').map(|(_, service)| ["default@", service].concat());
        let found = names().find(|(name, _)| *name == title);
        let found = found.or_else(|| names().find(|(name, _)| usual.as_deref() == Some(*name)));
        let found = found.or_else(|| names().find(|(name, _)| loosely(name)));
        let service = match found {
            Some((_, meaning)) => Service::meant(meaning, self.block.line, remarks),
            None if super::is_name(&title) => {
                Service::unknown(title.split('@').next_back().unwrap_or_default())
            }
            None => Service::unknown("this service"),
        };
        let mut target = Target::of(service);
        target.places.login = form::login_is(Client::Inadyn, &target.service);
        target
    }

    fn custom(&self, remarks: &mut Vec<Remark>) -> Target {
        let block = self.block;
        let line = self.line_of("ddns-path");
        let server = block.text("ddns-server").unwrap_or_default();
        let mut path = block.text("ddns-path").unwrap_or("/").to_owned();
        if !path.starts_with('/') {
            path.insert(0, '/');
        }
        let blanks = [
            ("%u", target::USER),
            ("%p", target::PASSWORD),
            ("%h", target::HOST),
            ("%i", target::ADDRESS),
        ];
        if blanks.iter().any(|(blank, _)| path.contains(blank)) {
            for (blank, stands_for) in blanks {
                path = path.replace(blank, stands_for);
            }
        } else if self.is_on("append-myip") {
            path.push_str(target::ADDRESS);
        } else {
            path.push_str(target::HOST);
        }
        let url = format!("{server}{path}");
        let response = block.setting("ddns-response");
        let text = |value: &'_ Value| match value {
            Value::Text(text) => Some(text.clone()),
            Value::Variable(_) | Value::Open => None,
        };
        let own: Vec<String> =
            response.iter().flat_map(|setting| &setting.values).filter_map(text).collect();
        // A word with a quote fits into no condition.
        let own: Vec<&str> =
            own.iter().map(String::as_str).filter(|it| !it.contains('\'')).collect();
        let words = if own.is_empty() { &WORDS[..] } else { &own[..] };
        let asked = Asked {
            text: &url,
            family: self.family(),
            is_plain: self.is_off("ssl"),
            sends_login: true,
            words,
            line,
        };
        target::read_target(&asked, remarks)
    }

    fn credential(&self) -> Credential {
        match self.block.setting("password").map(|setting| (setting.values.last(), setting.line)) {
            Some((Some(Value::Text(text)), line)) if !text.is_empty() => {
                Credential::Text(Secret::new(text), line)
            }
            Some((Some(Value::Variable(name)), _)) => Credential::variable(name),
            None if self.block.setting("include").is_some() => {
                Credential::Missing("the password is in the included file".to_owned())
            }
            _ => Credential::none(),
        }
    }

    /// The family of a block; `None` when it may be either.
    fn family(&self) -> Option<Family> {
        let (begin, _) = self.title().split_once('@').unwrap_or_default();
        match begin {
            "ipv4" => return Some(Family::V4),
            "ipv6" => return Some(Family::V6),
            _ => {}
        }
        match (self.allows_ipv6(), self.block.text("checkip-command"), self.checkip_server()) {
            // inadyn drops IPv6 addresses, and the services that it asks by default return IPv4.
            (false, ..) | (true, None, None) => Some(Family::V4),
            (true, Some(command), _) => address::family_found(command),
            (true, None, Some(server)) => address::family_told(server),
        }
    }

    fn addresses(&self, remarks: &mut Vec<Remark>) -> PerFamily<Address> {
        let asked = self.family();
        let mut found = PerFamily::from_fn(|_| Address::Off);
        let interface = self.block.text("iface").or(self.globals.text("iface"));
        let line = if let Some(command) = self.block.text("checkip-command") {
            let line = self.line_of("checkip-command");
            for family in address::families(asked) {
                found[family] = address::command(command, line, remarks);
            }
            line
        } else if let Some(name) = interface {
            // An interface has addresses of both families, which need no telling apart.
            let is_marked = self.title().starts_with("ipv4@") || self.title().starts_with("ipv6@");
            let has_both = self.allows_ipv6() && !is_marked;
            for family in address::families(asked.filter(|_| !has_both)) {
                found[family] = Kind::Interface(name.to_owned()).into();
            }
            return found;
        } else if let Some(server) = self.checkip_server() {
            let path = self.block.text("checkip-path").unwrap_or("/");
            let slash = if path.starts_with('/') { "" } else { "/" };
            let scheme = if self.is_off("checkip-ssl") { "http" } else { "https" };
            let url = format!("{scheme}://{server}{slash}{path}");
            let line = self.line_of("checkip-server");
            for family in address::families(asked) {
                // inadyn uses the first address in the answer.
                found[family] = address::web(&url, family, false, line, remarks);
            }
            line
        } else {
            for family in address::families(asked) {
                found[family] = Address::Auto;
            }
            self.block.line
        };
        address::remark_either(asked, &found, line, remarks);
        if let Some(setting) = self.globals.setting("allow-ipv6")
            && self.allows_ipv6()
            && asked == Some(Family::V4)
        {
            remarks.push(Remark::to_do(setting.line, IPV4_ONLY));
        }
        found
    }
}

/// A boolean in libConfuse's words.
fn flag(text: &str) -> Option<bool> {
    match &*text.to_ascii_lowercase() {
        "on" | "true" | "yes" => Some(true),
        "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Host {
        read_draft(text).unwrap().hosts.remove(0)
    }

    #[test]
    fn services_are_found_by_their_whole_names_and_by_parts() {
        let name = |title: &str| {
            let text =
                format!("provider {title} {{ username = a\npassword = b\nhostname = h.example }}");
            host(&text).service.name().to_owned()
        };
        assert_eq!(name("default@dyndns.org"), "dyn.com");
        assert_eq!(name("dyndns"), "dyn.com");
        assert_eq!(name("no-ip.com:2"), "no-ip");
        assert_eq!(name("loopia"), "loopia");
        assert_eq!(name("simplycom"), "simply");
        assert_eq!(name("dyndns@he.net"), "he.net");
        assert_eq!(name("he.net"), "he.net");
        assert_eq!(name("opendns.com"), "opendns");
        assert_eq!(name("default@domains.google.com"), "domains.google.com");
        assert_eq!(name("cloudflare"), "cloudflare");
        assert_eq!(name("freedns"), "freedns.afraid.org");
    }

    #[test]
    fn a_custom_block_in_the_form_of_dyndns2_is_a_provider_of_its_own() {
        let host = host(
            "custom mine {\nusername = a\npassword = b\nddns-server = d.example\n\
             ddns-path = \"/nic/update?hostname=%h.d.example&myip=%i\"\nhostname = { x, y }\n}",
        );
        assert_eq!(host.names, ["x.d.example", "y.d.example"]);
        assert_eq!(host.service.name(), "d.example");
    }

    #[test]
    fn the_name_can_be_appended_to_the_path() {
        let host = host(
            "custom mine {\nusername = a\npassword = b\nddns-server = d.example\n\
             ddns-path = \"/update?hostname=\"\nhostname = x.example\n}",
        );
        assert_eq!((&*host.names[0], host.service.name()), ("x.example", "d.example"));
    }

    #[test]
    fn the_family_is_the_one_that_the_block_asks_for() {
        let addresses = |globals: &str, title: &str, settings: &str| {
            let text = format!(
                "{globals}\nprovider {title} {{\nhostname = h.example\npassword = b\n{settings}\n}}"
            );
            host(&text).addresses
        };
        let interface = || Address::from(Kind::Interface("eth0".to_owned()));
        let of = |v4, v6| PerFamily { v4, v6 };
        let (auto, off) = (|| Address::Auto, || Address::Off);
        assert_eq!(addresses("", "dynu.com", ""), of(auto(), off()));
        assert_eq!(addresses("allow-ipv6 = true", "ipv6@desec.io", ""), of(off(), auto()));
        assert_eq!(addresses("iface = eth0", "dynu.com", ""), of(interface(), off()));
        assert_eq!(
            addresses("allow-ipv6 = true\niface = eth0", "dynu.com", ""),
            of(interface(), interface())
        );
        assert_eq!(addresses("", "dynu.com", "iface = eth0"), of(interface(), off()));
        let web = Address::from(Kind::Web("ipify".to_owned()));
        let trace = "checkip-server = dns64.cloudflare-dns.com\ncheckip-path = /cdn-cgi/trace";
        assert_eq!(addresses("allow-ipv6 = true", "dynu.com", trace), of(off(), web));
    }

    #[test]
    fn version_1_is_read_like_version_2() {
        let text = "update_period_sec 60\nusername me\npassword hunter2\ndyndns_system default@no-ip.com\nalias h.example\n";
        let draft = read_draft(text).unwrap();
        let [host] = &draft.hosts[..] else { panic!("{:?}", draft.hosts) };
        assert_eq!(
            (host.service.name(), &host.names[..]),
            ("no-ip", &["h.example".to_owned()][..])
        );
        assert_eq!(host.username.as_deref(), Some("me"));
        assert_eq!(draft.interval, Some(Duration::from_secs(60)));
        for way in ["bind eth1", "proxy-server p.example:80"] {
            let draft = read_draft(&format!("{text}{way}\n")).unwrap();
            assert!(draft.hosts[0].left_out.is_some(), "{way}");
        }
    }

    #[test]
    fn other_files_are_refused() {
        for text in ["", "hello\n", "[[host]]\nname = \"a.example\"\n"] {
            assert_eq!(read_draft(text).err(), Some(Unusable::Foreign(Client::Inadyn)), "{text}");
        }
    }
}
