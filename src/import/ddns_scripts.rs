//! ddns-scripts' options, and Homing's settings for them (OpenWrt's wiki, "DDNS client", and the
//! options that the package's own scripts read).
//!
//! Called by the parent.

use std::time::Duration;

use super::address::{self, Address, Kind};
use super::form::{self, Places};
use super::names;
use super::service::{self, Service};
use super::target::{self, Asked};
use super::uci::{self, Opt, Section};
use super::{BEHIND_PROXY, Client, Credential, Draft, Fate, Host, Remark, Unusable};
use crate::core::address::{Family, PerFamily};
use crate::core::secret::Secret;

/// Reads `text`.
pub(super) fn read_draft(text: &str) -> Result<Draft, Unusable> {
    let file = uci::parse_uci(text);
    let is_ours = |section: &Section| matches!(&*section.kind, "ddns" | "service");
    if !file.sections.iter().any(is_ours) {
        return Err(Unusable::Foreign(Client::DdnsScripts));
    }
    let mut remarks: Vec<_> = file
        .wrong
        .iter()
        .map(|(line, what)| Remark::to_do(*line, format!("{what}: left out")))
        .collect();
    let mut takes_private = false;
    for section in &file.sections {
        match &*section.kind {
            "ddns" => {
                let option = section.option(PRIVATE).or(section.option(OLD_PRIVATE));
                takes_private |= option.and_then(flag) == Some(true);
                let remark = |option: &Opt| global_fate(option).remark(&option.name, option.line);
                remarks.extend(section.options.iter().filter_map(remark));
            }
            "service" => {}
            _ => remarks.push(Remark::to_do(
                section.line,
                "a section of this kind is not known here: left out",
            )),
        }
    }
    let services = || file.sections.iter().filter(|section| section.kind == "service");
    let mut hidden = Vec::new();
    let mut hosts = Vec::new();
    for section in services() {
        let host = Reader { section, takes_private }.host();
        // For some services param_opt is a secret; for PowerDNS it is the server.
        let server = section.option("param_opt").and_then(text_of);
        let other =
            Some("param_opt").filter(|_| !server.is_some_and(|server| host.service.is_at(server)));
        for name in ["password", "param_enc", "proxy"].into_iter().chain(other) {
            hidden.extend(section.option(name).and_then(text_of).map(Secret::new));
        }
        hosts.push(host);
    }
    let interval = interval(services(), &mut remarks);
    Ok(Draft { client: Client::DdnsScripts, interval, hosts, remarks, hidden })
}

/// The shortest interval of all services: Homing has one for all.
fn interval<'a>(
    sections: impl Iterator<Item = &'a Section>,
    remarks: &mut Vec<Remark>,
) -> Option<Duration> {
    let asked = sections.filter_map(|section| {
        let asked = duration(section, "check_interval", "check_unit", "minutes")?;
        let floor = duration(section, "check_interval_min", "check_unit", "minutes");
        Some((asked, (section.option("check_interval")?.line, floor.unwrap_or(FLOOR))))
    });
    let (shortest, (line, floor)) = asked.min()?;
    Some(super::interval(shortest, floor, line, remarks))
}

/// The minimum to which the scripts raise `check_interval`, unless `check_interval_min` sets another.
const FLOOR: Duration = Duration::from_secs(300);

/// The fate of an option for all services.
fn global_fate(option: &Opt) -> Fate {
    match &*option.name {
        // The names without ddns_ are those of versions before 2.7.7.
        "cacert" | "date_format" | "ddns_dateformat" | "ddns_logdir" | "ddns_loglines"
        | "ddns_rundir" | "log_dir" | "log_lines" | "run_dir" | "use_curl" => {
            Fate::Needless("Homing keeps state and log by itself")
        }
        PRIVATE | OLD_PRIVATE => Fate::Unnamed(
            "private addresses were allowed: the sources have allow-private = true; where the \
                address is \"auto\", write a source with an interface",
        )
        .only_if(flag(option) == Some(true)),
        _ => Fate::Unnamed("this global option is not known here: left out"),
    }
}

/// The fate of an option of a service; an empty option is like a missing one.
fn fate(option: &Opt) -> Fate {
    let Some(text) = text_of(option) else { return Fate::Used };
    let is_off = flag(option) == Some(false);
    match &*option.name {
        "check_interval" | "check_unit" | "dns_server" | "domain" | "enabled"
        | "force_interval" | "force_unit" | "interface" | "ip_interface" | "ip_network"
        | "ip_script" | "ip_source" | "ip_url" | "lookup_host" | "param_opt" | "password"
        | "service_name" | "update_script" | "update_url" | "use_ipv6" | "username" => Fate::Used,
        "check_interval_min" | "force_dnstcp" | "force_ipversion" | "is_glue" | "retry_count"
        | "retry_interval" | "retry_max_count" | "retry_unit" | "use_api_check" | "use_logfile"
        | "use_syslog" => {
            Fate::Needless("Homing waits, looks up and logs by itself").only_if(!is_off)
        }
        "user_agent" => Fate::Needless("Homing sends its own name to services"),
        "cacert" if text == "IGNORE" => Fate::Lost(
            "certificates are always verified; ca-file in a provider's section adds an authority",
        ),
        "cacert" if !text.starts_with("/etc/ssl/") => {
            Fate::Lost("the system's authorities count; ca-file in a provider's section adds one")
        }
        "cacert" => Fate::Needless("the system's authorities count"),
        "bind_network" => Fate::Lost(
            "bind = \"DEVICE\" in the host uses one interface; `ubus call network.interface.NAME \
                status` shows the device (l3_device) of a network",
        ),
        "proxy" => Fate::Lost("Homing uses no proxy; let it reach its services directly"),
        "param_enc" => Fate::Lost("Homing has nothing that it could be for"),
        "use_https" => Fate::Replaced("Homing speaks https to every service").only_if(is_off),
        _ => Fate::Unnamed("this option is not known here: left out"),
    }
}

/// The option to send private addresses.
const PRIVATE: &str = "upd_privateip";
/// The same option before version 2.7.7.
const OLD_PRIVATE: &str = "allow_local_ip";

/// The reader of one service.
struct Reader<'a> {
    section: &'a Section,
    takes_private: bool,
}

impl Reader<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        self.section.option(name).and_then(text_of)
    }

    fn line_of(&self, name: &str) -> usize {
        self.section.option(name).map_or(self.section.line, |option| option.line)
    }

    fn is_on(&self, name: &str) -> bool {
        self.section.option(name).and_then(flag) == Some(true)
    }

    fn family(&self) -> Family {
        if self.is_on("use_ipv6") { Family::V6 } else { Family::V4 }
    }

    fn host(&self) -> Host {
        let remark = |option: &Opt| fate(option).remark(&option.name, option.line);
        let mut remarks: Vec<_> = self.section.options.iter().filter_map(remark).collect();
        let name = self.text("domain").or(self.text("lookup_host"));
        let names: Vec<_> = name.into_iter().map(str::to_owned).collect();
        let mut host = Host::new(self.section.line, names, Service::unknown("this service"));
        host.username = self.text("username").map(str::to_owned);
        if let Some(password) = self.text("password") {
            host.credential = Credential::Text(Secret::new(password), self.line_of("password"));
        }
        let places = self.settle_service(&mut host, &mut remarks);
        let is_by_key = places.is_by_key;
        self.settle_options(&mut host);
        host.take_places(places);
        if host.names.is_empty() {
            host.leave_out("it has no domain; write name");
        }
        host.addresses = PerFamily::from_fn(|_| Address::Off);
        host.addresses[self.family()] = self.address(&mut remarks);
        self.settle_way(&mut host);
        host.settle_entry(is_by_key);
        let force = duration(self.section, "force_interval", "force_unit", "hours");
        let line = self.line_of("force_interval");
        match force {
            Some(Duration::ZERO) => remarks.push(Remark::to_do(
                line,
                "force_interval is 0, so the script ran once each time it was called; with Homing that is `homing --once`",
            )),
            Some(asked) => host.refresh = super::refresh(asked, line, &mut remarks),
            None => {}
        }
        if !self.is_on("enabled") {
            let why = "it is not enabled there; remove the # to switch it on";
            host.left_out = Some(why.to_owned());
        }
        remarks.append(&mut host.remarks);
        host.remarks = remarks;
        host
    }

    /// Sets what the scripts of some services have in options without a name of their own.
    fn settle_options(&self, host: &mut Host) {
        let option = |names: &[&str]| -> Vec<(String, String)> {
            let pairs = self.text("param_opt").into_iter().flat_map(str::split_whitespace);
            let pairs = pairs.filter_map(|pair| pair.split_once('='));
            let known = pairs.filter_map(|(name, value)| {
                let name = names.iter().find(|known| **known == name)?;
                Some((name.trim_end_matches("_id").replace("zone", "zone-id"), value.to_owned()))
            });
            known.collect()
        };
        match host.service.name() {
            "cloudflare" => host.options = option(&["zone_id"]),
            "blazingfast" => host.options = option(&["service_id", "zone_id"]),
            "netcup" => {
                let secrets =
                    ["param_enc", "password"].map(|name| self.text(name).map(Secret::new));
                host.join_secret(&secrets, ':');
                host.zone = self.text("param_opt").map(str::to_owned);
            }
            // The domain is the zone's id, and the look-up is the host's name.
            "route53" => {
                if let (Some(id), Some(name)) = (self.text("domain"), self.text("lookup_host")) {
                    host.options.push(("zone-id".to_owned(), id.to_owned()));
                    host.names = vec![name.to_owned()];
                }
            }
            // What is in front of the domain stands in an option of its own.
            "transip" => {
                if let (Some(label), Some(zone)) = (self.text("param_enc"), self.text("domain")) {
                    host.names = vec![[label, "@", zone].concat()];
                }
                host.ttl = self.text("param_opt").and_then(|ttl| ttl.parse().ok());
            }
            "scaleway" => host.ttl = self.text("param_opt").and_then(|ttl| ttl.parse().ok()),
            _ => {}
        }
    }

    /// Leaves the host out if a web service saw its address in a way that Homing does not use.
    fn settle_way(&self, host: &mut Host) {
        let is_asked = self.text("ip_source") == Some("web");
        let is_other = |network: &str| !USUAL_NETWORKS.contains(&network);
        if is_asked && self.text("bind_network").is_some_and(is_other) {
            host.leave_out(
                "bind_network names a network of OpenWrt, and Homing needs its device; write bind",
            );
        }
        if is_asked && self.text("proxy").is_some() {
            host.leave_out(BEHIND_PROXY);
        }
    }

    /// Sets the host's service, and tells where the rest of what it needs stands.
    fn settle_service(&self, host: &mut Host, remarks: &mut Vec<Remark>) -> Places {
        let mut places = Places::default();
        let name = self.text("service_name").unwrap_or_default();
        // Older versions add this ending to names for IPv6.
        let name = name.strip_suffix("-ipv6").unwrap_or(name);
        let script = self.text("update_script").unwrap_or_default();
        let script = script.rsplit('/').next().unwrap_or_default();
        let known = names::of(Client::DdnsScripts).find(|(known, _)| *known == name);
        let by_script = SCRIPTS.iter().find(|(known, _)| *known == script);
        if let Some((_, meaning)) = known {
            host.service = Service::meant(meaning, self.line_of("service_name"), remarks);
            places.login = form::login_is(Client::DdnsScripts, &host.service);
            if name == "apertodns.com-token" {
                host.drop_login("its token is its login as well, which is not repeated here; write username yourself");
            }
        } else if name == "bind-nsupdate" || script == "update_nsupdate.sh" {
            self.settle_name_server(host);
        } else if matches!(name, "PowerDNS" | "pdns") || script == "update_pdns.sh" {
            self.settle_powerdns(host);
        } else if let Some((_, provider)) = by_script {
            host.service = Service::known(provider);
            places.login = form::login_is(Client::DdnsScripts, &host.service);
        } else if let (true, Some(url)) = (matches!(name, "" | "custom"), self.text("update_url")) {
            return self.settle_address(host, url, remarks);
        } else if super::is_name(name) {
            host.service = Service::unknown(name);
        } else if !script.is_empty() {
            host.service = Service::unknown("this script of its own");
        }
        places
    }

    /// Reads an update address that the user wrote.
    fn settle_address(&self, host: &mut Host, url: &str, remarks: &mut Vec<Remark>) -> Places {
        let mut filled = url.to_owned();
        for (blank, stands_for) in [
            ("[USERNAME]", target::USER),
            ("[PASSWORD]", target::PASSWORD),
            ("[DOMAIN]", target::HOST),
            ("[IP]", target::ADDRESS),
        ] {
            filled = filled.replace(blank, stands_for);
        }
        // The scripts change it to https if they are told to; Homing always does.
        let near = service::host_of(&filled).parse::<std::net::IpAddr>().is_ok();
        let is_plain = near && filled.starts_with("http://") && !self.is_on("use_https");
        if !is_plain && let Some(rest) = filled.strip_prefix("http://") {
            filled = format!("https://{rest}");
            let what = "update_url was spoken to by http, where others can read the password; Homing takes https: see \
                        whether the server has it";
            if !self.is_on("use_https") && service::at_server(service::host_of(&filled)).is_none() {
                remarks.push(Remark::to_do(self.line_of("update_url"), what));
            }
        }
        let asked = Asked {
            text: &filled,
            family: Some(self.family()),
            is_plain: false,
            sends_login: false,
            words: &[],
            line: self.line_of("update_url"),
        };
        let target = target::read_target(&asked, remarks);
        host.service = target.service;
        host.names = host.names.iter().map(|name| target.names.of(name)).collect();
        target.places
    }

    /// Sets a name server with a key: the login is the key's name, the password its secret.
    fn settle_name_server(&self, host: &mut Host) {
        let server = self.text("dns_server");
        if server.is_none() {
            host.service = service::name_server(None, None);
            return;
        }
        // nsupdate allows the hash before the key's name.
        let login = host.username.take().unwrap_or_default();
        let (algorithm, key) = match *login.split(':').collect::<Vec<_>>() {
            [key] => (None, key),
            [hash, key] if HASHES.contains(&&*hash.to_ascii_lowercase()) => (Some(hash), key),
            _ => {
                host.leave_out(
                    "its login is more than the name of a key and may hold the secret, so it is not repeated here; write key-name",
                );
                (None, "")
            }
        };
        host.service = service::name_server(server, algorithm);
        host.username = Some(key.to_owned()).filter(|key| !key.is_empty());
        if host.username.is_none() {
            host.leave_out("it does not contain the key's name; write key-name");
        }
        host.ttl = Some(SCRIPT_TTL);
    }

    /// Sets PowerDNS' HTTP API, whose server is in an option without a name of its own.
    fn settle_powerdns(&self, host: &mut Host) {
        let server = self.text("param_opt");
        let (Some(server), Some(zone)) = (server, host.names.pop()) else {
            let advice =
                "write its server as [provider.NAME] with protocol = \"powerdns\"".to_owned();
            host.service = Service::Unknown("PowerDNS without a server".to_owned(), advice);
            return;
        };
        host.service = service::powerdns(server);
        let zone = zone.trim_end_matches('.').to_owned();
        let name = match self.text("username") {
            Some("@") | None => zone.clone(),
            Some(name) => format!("{name}.{zone}"),
        };
        host.names = vec![name];
        host.zone = Some(zone);
        host.ttl = Some(SCRIPT_TTL);
    }

    fn address(&self, remarks: &mut Vec<Remark>) -> Address {
        let family = self.family();
        let mut address = match self.text("ip_source").unwrap_or("network") {
            "interface" => {
                Kind::Interface(self.text("ip_interface").unwrap_or("eth1").to_owned()).into()
            }
            "script" => match self.text("ip_script") {
                Some(script) => address::command(script, self.line_of("ip_script"), remarks),
                None => Address::Lost(
                    "no ip_script is named there; write a source with its command".to_owned(),
                ),
            },
            "web" => {
                let usual = match family {
                    Family::V4 => "checkip.dyndns.com",
                    Family::V6 => "checkipv6.dyndns.com",
                };
                let url = self.text("ip_url").unwrap_or(usual);
                let option = self.section.option("ip_url");
                let line = option.map_or(self.line_of("ip_source"), |option| option.line);
                address::web(url, family, false, line, remarks)
            }
            "network" => match self.text("ip_network") {
                None => Address::Auto,
                Some(network) if USUAL_NETWORKS.contains(&network) => Address::Auto,
                Some(_) => Address::Lost(
                    "ip_network names a network of OpenWrt, and Homing needs its device; write a \
                        source with interface = \"DEVICE\", which `ubus call \
                        network.interface.NAME status` shows as l3_device"
                        .to_owned(),
                ),
            },
            _ => Address::Lost("its ip_source is not known here; write a source".to_owned()),
        };
        if let (Address::From(source), true) = (&mut address, self.takes_private) {
            source.allow_private = true;
        }
        address
    }
}

/// The scripts of services, which older configurations name by their path.
const SCRIPTS: [(&str, &str); 22] = [
    ("update_aliyun_com.sh", "alidns"),
    ("update_beget_com.sh", "beget"),
    ("update_blazingfast_io.sh", "blazingfast"),
    ("update_cloudflare_com_v4.sh", "cloudflare"),
    ("update_digitalocean_com_v2.sh", "digitalocean"),
    ("update_dnspod_cn.sh", "dnspod"),
    ("update_dnspod_cn_v3.sh", "tencent"),
    ("update_gandi_net.sh", "gandi"),
    ("update_gcp_v1.sh", "google"),
    ("update_godaddy_com_v1.sh", "godaddy"),
    ("update_hetzner_cloud.sh", "hetzner"),
    ("update_huaweicloud_com.sh", "huawei"),
    ("update_luadns_v1.sh", "luadns"),
    ("update_namesilo_com_v1.sh", "namesilo"),
    ("update_netcup_com.sh", "netcup"),
    ("update_no-ip_com.sh", "no-ip"),
    ("update_ns1_com.sh", "ns1"),
    ("update_porkbun_v3.sh", "porkbun"),
    ("update_route53_v1.sh", "route53"),
    ("update_scaleway_com.sh", "scaleway"),
    ("update_servercow_de.sh", "servercow"),
    ("update_transip_nl.sh", "transip"),
];

/// The networks that lead to the Internet unless others were set up; "auto" looks there, too.
const USUAL_NETWORKS: [&str; 2] = ["wan", "wan6"];

/// The hashes that nsupdate knows (its manual page, option -y).
const HASHES: [&str; 6] =
    ["hmac-md5", "hmac-sha1", "hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512"];

/// The TTL that the scripts for name servers set.
const SCRIPT_TTL: u32 = 600;

/// The text of an option; `None` if it is empty.
fn text_of(option: &Opt) -> Option<&str> {
    option.values.last().map(String::as_str).filter(|text| !text.is_empty())
}

/// A boolean in UCI's words.
fn flag(option: &Opt) -> Option<bool> {
    match option.values.last().map(String::as_str) {
        Some("1" | "on" | "true" | "yes" | "enabled") => Some(true),
        Some("0" | "off" | "false" | "no" | "disabled") => Some(false),
        _ => None,
    }
}

/// A duration in two options; `None` when it is not set.
fn duration(section: &Section, name: &str, unit: &str, usual: &str) -> Option<Duration> {
    let number: u64 = text_of(section.option(name)?)?.parse().ok()?;
    let unit = section.option(unit).and_then(text_of).unwrap_or(usual);
    let unit = match unit {
        "seconds" => 1,
        "minutes" => 60,
        "hours" => 60 * 60,
        "days" => 24 * 60 * 60,
        _ => return None,
    };
    Some(Duration::from_secs(number.saturating_mul(unit)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::order::SortedSet;

    use super::form::LoginIs;
    use crate::core::built_in;
    use crate::core::protocol::manners::{Protocol, SecretKind};
    use crate::core::provider::{Login, Provider};

    fn host(options: &str) -> Host {
        let lines: Vec<_> =
            options.split(", ").map(|option| format!("\toption {option}")).collect();
        let text = format!(
            "config service 's'\n\toption enabled 1\n\toption domain h.example\n\toption username me\n\
             \toption password s3cret\n{}\n",
            lines.join("\n")
        );
        read_draft(&text).unwrap().hosts.remove(0)
    }

    #[test]
    fn every_name_of_a_service_leads_to_a_provider_of_the_table() {
        for (name, meaning) in names::of(Client::DdnsScripts) {
            let (names::Meaning::BuiltIn(expect)
            | names::Meaning::Closed(_, expect)
            | names::Meaning::Other(expect, _)) = meaning;
            assert_eq!(host(&format!("service_name {name}")).service.name(), expect);
        }
        assert_eq!(host("service_name of-nobody").service.protocol(), None);
        for (script, provider) in SCRIPTS {
            let service = host(&format!("update_script /usr/lib/ddns/{script}")).service;
            assert!(service.name() == provider && service.protocol().is_some(), "{script}");
        }
    }

    #[test]
    fn the_package_for_openwrt_carries_over_the_same_services() {
        let script = include_str!("../../packaging/openwrt/files/from-ddns.awk");
        let calls: String = names::of(Client::DdnsScripts)
            .map(|(name, meaning)| match meaning {
                names::Meaning::Closed(..) => String::new(),
                names::Meaning::BuiltIn(ours) => format!("\tsame(\"{name}\", \"{ours}\")\n"),
                names::Meaning::Other(server, path) => {
                    format!("\tother(\"{name}\", \"{server}\", \"{path}\")\n")
                }
            })
            .collect();
        // The providers that the names lead to, for which `test` holds, sorted.
        let known = |test: &dyn Fn(&Provider) -> bool| {
            let ours = names::of(Client::DdnsScripts).filter_map(|(_, meaning)| match meaning {
                names::Meaning::BuiltIn(ours) => built_in::named(ours).filter(|it| test(it)),
                names::Meaning::Closed(..) | names::Meaning::Other(..) => None,
            });
            let ours: SortedSet<_> = ours.map(|provider| provider.name).collect();
            ours.into_iter().collect::<Vec<_>>().join(" ")
        };
        // A build without a feature knows little of the providers that need it.
        let is_left_out = |it: &Provider| it.manners().feature.is_some();
        let is_token = |it: &Provider| it.manners().secret == SecretKind::Token && !is_left_out(it);
        let login = |wanted: LoginIs| {
            known(&|it| form::LOGINS.contains(&(Client::DdnsScripts, &it.name, wanted)))
        };
        let wants_zone = |it: &Provider| {
            let names = it.http.as_ref().is_some_and(|it| it.names_zone() && !it.finds_zone());
            let says = [LoginIs::Label, LoginIs::Zone].map(login).join(" ");
            let is_told = says.split(' ').any(|name| name == it.name);
            names && it.zone.is_none() && !is_told && !is_left_out(it)
        };
        let is_refused = |it: &Provider| form::BY_ACCOUNT.contains(&&*it.name);
        let sets = [
            ("no_username", known(&|it| it.login == Login::Host)),
            ("is_token", known(&is_token)),
            ("left_out", known(&is_left_out)),
            ("is_label", login(LoginIs::Label)),
            ("is_zone", login(LoginIs::Zone)),
            ("is_part", login(LoginIs::FirstPart(':'))),
            ("is_part", login(LoginIs::FirstPart(','))),
            ("is_refused", known(&is_refused)),
            ("wants_zone", known(&|it| wants_zone(it) && !is_refused(it))),
        ];
        let sets = sets.map(|(set, names)| format!("\tmark(\"{names}\", {set})\n"));
        let domains = built_in::all().filter(|it| it.http.is_some() && it.zone.is_some());
        let domains = domains.map(|it| {
            let zone = it.zone.map(|zone| zone.to_string()).unwrap_or_default();
            format!("\tdomain_of[\"{}\"] = \"{zone}\"\n", it.name)
        });
        for table in domains.chain(sets).chain([calls.clone()]) {
            assert!(script.contains(&table), "from-ddns.awk must have these lines:\n{table}");
        }
        for (provider, option) in form::BY_OPTION {
            let is_known = !known(&|it| it.name == provider).is_empty();
            assert!(
                !is_known || script.contains(&format!("by_option[\"{provider}\"]")),
                "{option}"
            );
        }
        let is_call = |line: &&str| line.starts_with("\tsame(") || line.starts_with("\tother(");
        assert_eq!(script.lines().filter(is_call).count(), calls.lines().count());
    }

    #[test]
    fn an_address_of_the_users_own_is_a_provider_of_its_own() {
        let url = "update_url http://[USERNAME]:[PASSWORD]@d.example/nic/update?hostname=[DOMAIN]&myip=[IP]";
        let host = host(url);
        assert_eq!(
            (host.service.name(), host.service.protocol()),
            ("d.example", Some(Protocol::Dyndns2))
        );
        assert!(host.remarks.iter().any(|remark| remark.is_to_do && remark.text.contains("https")));
    }

    #[test]
    fn scripts_for_name_servers_are_carried_over() {
        let bind =
            host("service_name bind-nsupdate, dns_server ns1.example, username hmac-sha512:k");
        assert_eq!(
            (bind.service.protocol(), bind.username.as_deref()),
            (Some(Protocol::Rfc2136), Some("k"))
        );
        for login in ["hmac-sha256:key:hunter2", "key:hunter2"] {
            let host = host(&format!(
                "service_name bind-nsupdate, dns_server ns1.example, username {login}"
            ));
            assert!(host.left_out.as_ref().is_some_and(|why| why.contains("not repeated")));
            assert!(!format!("{host:?}").contains("hunter2"), "{host:?}");
        }
        let pdns = host(
            "update_script /usr/lib/ddns/update_pdns.sh, username www, param_opt http://127.0.0.1:8081",
        );
        assert_eq!(
            (pdns.service.protocol(), &*pdns.names[0]),
            (Some(Protocol::PowerDns), "www.h.example")
        );
        assert_eq!(pdns.zone.as_deref(), Some("h.example"));
    }

    #[test]
    fn the_family_and_its_source_are_those_of_the_section() {
        let addresses = |options: &str| host(options).addresses;
        let of = |v4, v6| PerFamily { v4, v6 };
        assert_eq!(addresses("ip_source network"), of(Address::Auto, Address::Off));
        assert_eq!(addresses("use_ipv6 1"), of(Address::Off, Address::Auto));
        let interface = Address::from(Kind::Interface("eth0".to_owned()));
        assert_eq!(
            addresses("ip_source interface, ip_interface eth0"),
            of(interface, Address::Off)
        );
        let web = Address::from(Kind::Web("ipify".to_owned()));
        assert_eq!(addresses("ip_source web, use_ipv6 1"), of(Address::Off, web));
        let words = ["/bin/a", "-b"].map(str::to_owned).to_vec();
        let script = Address::from(Kind::Command(words));
        assert_eq!(addresses("ip_source script, ip_script '/bin/a -b'"), of(script, Address::Off));
    }

    #[test]
    fn what_is_not_enabled_stays_off() {
        assert!(host("enabled 0").left_out.is_some());
        assert!(host("service_name dyndns.org").left_out.is_none());
    }

    #[test]
    fn intervals_have_units() {
        let draft = |options: &str| {
            read_draft(&format!("config service\n{}", options.replace(", ", "\n")))
                .unwrap()
                .interval
        };
        let minutes = |minutes: u64| Some(Duration::from_secs(minutes * 60));
        assert_eq!(draft("option check_interval 20"), minutes(20));
        assert_eq!(draft("option check_interval 2, option check_unit hours"), minutes(120));
        assert_eq!(draft(""), None);
        assert!(host("force_interval 7, force_unit days").refresh.is_some());
        assert!(host("force_interval 12").refresh.is_none());
    }
}
