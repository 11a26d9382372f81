//! What another client's login and name are to a service of Homing: a login, a zone, a secret.
//!
//! Owns the lists of what differs at each client, from the clients' own sources. Called by their readers.

use super::address::Address;
use super::service::Service;
use super::{Client, Credential, Host, Remark};
use crate::core::address::Family;
use crate::core::protocol::http::entry::Entry;
use crate::core::provider::Provider;
use crate::core::secret::Secret;

/// What the login of the old configuration is to the service.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum LoginIs {
    /// The first part of the secret, before the character.
    FirstPart(char),
    /// The label of the record; the host's name is the zone.
    Label,
    /// A login.
    #[default]
    Login,
    /// The secret; the password means nothing.
    Secret,
    /// The zone; the host's name may be a label in it.
    Zone,
}

/// Where the old configuration has what the service wants.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// What the login is.
    pub(super) login: LoginIs,
    /// The zone that stands in the update address.
    pub(super) zone: Option<String>,
    /// The secret that stands in the update address.
    pub(super) secret: Option<Secret>,
    /// Whether the secret stands somewhere in the address, from where it cannot be taken.
    pub(super) holds_secret: bool,
    /// Whether the secret is the service's own key, and not a password of the account.
    pub(super) is_by_key: bool,
    /// Whether the login is also the password.
    pub(super) login_is_password: bool,
}

/// The reason to leave out a host whose login is its password.
const LOGIN_IS_PASSWORD: &str =
    "its login is the password, which is not repeated here; write username yourself";

/// The logins that are something else, by client and provider (ddclient 4.0, `nic_*_update`; inadyn
/// 2.13, `plugins`; ddns-scripts 2.8.2, `update_*.sh` and `default`).
pub(super) const LOGINS: [(Client, &str, LoginIs); 23] = [
    (Client::Ddclient, "enom", LoginIs::Zone),
    (Client::Ddclient, "godaddy", LoginIs::FirstPart(':')),
    (Client::Ddclient, "namecheap", LoginIs::Zone),
    (Client::Ddclient, "ns1", LoginIs::Secret),
    (Client::Ddclient, "spaceship", LoginIs::FirstPart(':')),
    (Client::Inadyn, "cloudflare", LoginIs::Zone),
    (Client::Inadyn, "dnspod", LoginIs::FirstPart(',')),
    (Client::Inadyn, "duckdns", LoginIs::Secret),
    (Client::Inadyn, "dynv6", LoginIs::Secret),
    (Client::Inadyn, "ipv64", LoginIs::Secret),
    (Client::Inadyn, "namecheap", LoginIs::Zone),
    (Client::Inadyn, "porkbun", LoginIs::FirstPart(':')),
    (Client::Inadyn, "regfish", LoginIs::Secret),
    (Client::DdnsScripts, "digitalocean", LoginIs::Label),
    (Client::DdnsScripts, "dnspod", LoginIs::FirstPart(',')),
    (Client::DdnsScripts, "gandi", LoginIs::Label),
    (Client::DdnsScripts, "godaddy", LoginIs::FirstPart(':')),
    (Client::DdnsScripts, "hetzner", LoginIs::Label),
    (Client::DdnsScripts, "namecheap", LoginIs::Label),
    (Client::DdnsScripts, "namesilo", LoginIs::Label),
    (Client::DdnsScripts, "ns1", LoginIs::Zone),
    (Client::DdnsScripts, "porkbun", LoginIs::FirstPart(':')),
    (Client::DdnsScripts, "scaleway", LoginIs::Zone),
];

/// Providers whose records all three clients name by something else than the host's name, and the option
/// for it.
pub(super) const BY_OPTION: [(&str, &str); 5] = [
    ("dnsmadeeasy", "record-id"),
    ("dslreports", "record-id"),
    ("opendns", "network"),
    ("sitelutions", "record-id"),
    ("tunnelbroker", "tunnel"),
];

/// Providers that clients speak to with another credential than the entry does.
pub(super) const BY_ACCOUNT: [&str; 4] = ["ddnss", "dnsexit", "gandi", "sitelutions"];

/// What the login for `service` is in the configuration of `client`.
pub(super) fn login_is(client: Client, service: &Service) -> LoginIs {
    let is = |(of, name, _): &&(Client, &str, LoginIs)| *of == client && *name == service.name();
    let found = LOGINS.iter().find(is).filter(|_| service.described().is_some());
    found.map_or(LoginIs::Login, |(.., login)| *login)
}

impl Host {
    /// Takes the login and what an update address holds to their places.
    pub(super) fn take_places(&mut self, places: Places) {
        self.place_login(places.login);
        self.zone = places.zone.or(self.zone.take());
        if let Some(secret) = places.secret {
            self.credential = Credential::Text(secret, self.line);
        } else if places.holds_secret {
            let why = "the secret is part of the update address there";
            self.credential = Credential::Missing(why.to_owned());
        }
        if places.login_is_password {
            self.drop_login(LOGIN_IS_PASSWORD);
        }
    }

    /// Puts the login where the service has its like.
    pub(super) fn place_login(&mut self, login: LoginIs) {
        match login {
            LoginIs::Login => {}
            LoginIs::Secret => {
                if let Some(text) = self.username.take() {
                    self.credential = Credential::Text(Secret::new(&text), self.line);
                }
            }
            LoginIs::FirstPart(sign) => {
                // A domain is no key, whatever an example says.
                let is_domain = self.username.as_ref().is_some_and(|text| text.contains('.'));
                if is_domain {
                    self.zone = self.username.take();
                }
                let first = self.username.take().map(|text| Secret::new(&text));
                let parts = [first, self.secret().cloned()];
                self.join_secret(&parts, sign);
            }
            LoginIs::Label => {
                let (Some(label), [zone]) = (self.username.take(), &self.names[..]) else { return };
                let zone = zone.trim_end_matches('.').to_owned();
                self.names = vec![within(&zone, &label)];
                self.zone = Some(zone);
            }
            LoginIs::Zone => self.zone = self.username.take().or(self.zone.take()),
        }
    }

    /// The secret, if its text is known.
    pub(super) fn secret(&self) -> Option<&Secret> {
        match &self.credential {
            Credential::Text(secret, _) => Some(secret),
            Credential::KeyFile(_) | Credential::Missing(_) | Credential::Variable(_) => None,
        }
    }

    /// Makes one secret of `parts`, with `sign` between them.
    pub(super) fn join_secret(&mut self, parts: &[Option<Secret>], sign: char) {
        let line = match &self.credential {
            Credential::Text(_, line) => *line,
            _ => self.line,
        };
        let known: Option<Vec<&str>> =
            parts.iter().map(|part| part.as_ref().map(Secret::expose)).collect();
        self.credential = match known {
            Some(texts) => Credential::Text(Secret::new(&texts.join(&sign.to_string())), line),
            None => Credential::Missing(format!(
                "the secret has {} parts, separated by {sign:?}, and the old file does not have \
                    all of them",
                parts.len()
            )),
        };
    }

    /// Fits a host of a provider with an API of its own to what that provider wants; `is_by_key` means
    /// that the old client spoke to it with the service's own key.
    pub(super) fn settle_entry(&mut self, is_by_key: bool) {
        let service = self.service.clone();
        let Some((provider, entry)) = service.described() else { return };
        self.settle_names(provider);
        self.settle_option(provider);
        self.settle_zone(provider, entry);
        if BY_ACCOUNT.contains(&&*provider.name) && !is_by_key {
            let why = "the old file does not have what the service needs";
            self.credential = Credential::Missing(why.to_owned());
            self.leave_out(format!(
                "the login there does not work; use another credential of {} ({})",
                provider.page, provider.credential
            ));
        }
        let is_token =
            |login: &String| ["bearer", "none", "token"].contains(&&*login.to_lowercase());
        if provider.name == "cloudflare"
            && self.username.take_if(|login| !is_token(login)).is_some()
        {
            self.leave_out(format!(
                "the key there is the Global API Key, which opens the whole account and is not taken; make an API token at {}",
                provider.page
            ));
        }
        if !entry.needs_login()
            && let Some(login) = self.username.take()
            && !is_token(&login)
        {
            let what =
                format!("{} takes its secret alone, so the login is left out", provider.title);
            self.remarks.push(Remark::info(self.line, what));
        }
        for family in Family::BOTH {
            if !entry.families[family] {
                self.switch_off(family, &provider.title);
            }
        }
    }

    /// Completes names that the old client sends without the service's own domain.
    fn settle_names(&mut self, provider: &Provider) {
        let zone = match (&provider.zone, &*provider.name) {
            (Some(zone), _) => zone.to_string(),
            (None, "freemyip") => "freemyip.com".to_owned(),
            (None, _) => return,
        };
        for name in self.names.iter_mut().filter(|name| !name.contains('.')) {
            *name = within(&zone, name);
        }
    }

    /// Makes the name an option where the service knows its record by a number or a label.
    fn settle_option(&mut self, provider: &Provider) {
        let option = BY_OPTION.iter().find(|(name, _)| *name == provider.name);
        let [name] = &self.names[..] else { return };
        // inadyn takes the id of a record at Cloudflare for a name.
        let is_id = provider.name == "cloudflare" && name.len() == 32;
        let is_number = option.is_some() && name.bytes().all(|byte| byte.is_ascii_digit());
        if let Some((_, option)) = option {
            self.options.push(((*option).to_owned(), name.clone()));
        }
        if is_number || is_id && name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            self.names.clear();
            self.leave_out(
                "its record is known there by its number alone; write the host's name as name",
            );
        }
    }

    /// Sets the zone where requests name it and nobody else says it, and completes names that are labels
    /// in it.
    fn settle_zone(&mut self, provider: &Provider, entry: &Entry) {
        for name in &mut self.names {
            // HOST@ZONE, as some scripts want it.
            if let Some((host, zone)) = name.split_once('@').filter(|(_, zone)| zone.contains('.'))
            {
                let (host, zone) = (within(zone, host), zone.to_owned());
                (*name, self.zone) = (host, Some(zone));
            }
        }
        let uses_zone = entry.names_zone() || entry.finds_zone();
        self.zone.take_if(|_| !uses_zone || provider.zone.is_some());
        let has_zone = entry.finds_zone() || provider.zone.is_some();
        if let (None, true, false, [name]) =
            (&self.zone, entry.names_zone(), has_zone, &self.names[..])
        {
            let name = name.trim_end_matches('.');
            let parent = name.split_once('.').map(|(_, parent)| parent);
            let zone = parent.filter(|parent| parent.contains('.')).unwrap_or(name);
            let what = format!(
                "zone is what the old client takes it for, {zone}; correct it if the domain is another one"
            );
            self.zone = Some(zone.to_owned());
            self.remarks.push(Remark::info(self.line, what));
        }
        let Some(zone) = self.zone.as_ref().map(|zone| zone.trim_end_matches('.')) else { return };
        for name in self.names.iter_mut().filter(|name| !name.contains('.')) {
            *name = within(zone, name);
        }
    }
}

impl Host {
    /// Leaves `family` out, which the service `title` does not have.
    fn switch_off(&mut self, family: Family, title: &str) {
        let before = std::mem::replace(&mut self.addresses[family], Address::Off);
        if before == Address::Off {
            return;
        }
        let what = format!("{title} has no {family}");
        if self.addresses.iter().all(|(_, address)| *address == Address::Off) {
            self.leave_out(what);
        } else {
            self.remarks.push(Remark::info(self.line, format!("{what}: left out")));
        }
    }
}

/// The name of the record `label` in `zone`.
fn within(zone: &str, label: &str) -> String {
    match label {
        "" | "@" => zone.to_owned(),
        label => [label.trim_end_matches('.'), ".", zone].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::address::PerFamily;
    use crate::import::read_draft;

    /// The host of `text`, as its provider, names, login, secret, zone and options.
    #[track_caller]
    fn becomes(client: Client, text: &str, expect: &str) {
        let host = read_draft(client, text).unwrap().hosts.remove(0);
        assert_eq!(host.left_out, None, "{text}");
        let options = host.options.iter().map(|(name, value)| format!("{name}={value}"));
        let login = host.username.clone().unwrap_or("-".to_owned());
        let secret = host.secret().map_or("-", Secret::expose);
        let zone = host.zone.clone().unwrap_or("-".to_owned());
        let mut told = vec![
            host.service.name().to_owned(),
            host.names.join("+"),
            login,
            secret.to_owned(),
            zone,
        ];
        told.extend(options);
        assert_eq!(told.join(" "), expect, "{text}");
    }

    #[track_caller]
    fn is_left_out(client: Client, text: &str, why: &str) {
        let host = read_draft(client, text).unwrap().hosts.remove(0);
        let left_out = match &host.service {
            Service::Unknown(_, why) => why.clone(),
            _ => host.left_out.clone().unwrap_or_default(),
        };
        assert!(left_out.contains(why), "{text}: {left_out}");
        assert!(!format!("{host:?}").contains("hunter"), "{host:?}");
    }

    #[test]
    fn each_setting_of_ddclient_goes_where_the_service_has_its_like() {
        let becomes = |text: &str, expect| becomes(Client::Ddclient, text, expect);
        becomes(
            "protocol=cloudflare zone=d.example login=token password=p h.d.example",
            "cloudflare h.d.example - p d.example",
        );
        becomes(
            "protocol=namecheap login=d.example password='p' www",
            "namecheap www.d.example - p d.example",
        );
        becomes(
            "protocol=namecheap login=d.example password='p' @",
            "namecheap d.example - p d.example",
        );
        becomes("protocol=duckdns password='p' me", "duckdns me.duckdns.org - p -");
        becomes(
            "protocol=godaddy zone=d.example login=k password=s h.d.example",
            "godaddy h.d.example - k:s d.example",
        );
        becomes(
            "protocol=spaceship login=k password=s h.d.example",
            "spaceship h.d.example - k:s d.example",
        );
        becomes(
            "protocol=porkbun apikey=k secretapikey=s h.d.example",
            "porkbun h.d.example - k:s d.example",
        );
        becomes(
            "protocol=porkbun apikey=k secretapikey=s on-root-domain=yes d.example",
            "porkbun d.example - k:s d.example",
        );
        becomes(
            "protocol=netcup login=1 password=s apikey=k zone=d.example h.d.example",
            "netcup h.d.example 1 k:s d.example",
        );
        becomes("protocol=ns1 login=k zone=d.example h.d.example", "ns1 h.d.example - k d.example");
        becomes("protocol=dnsexit2 password=k h.d.example", "dnsexit h.d.example - k h.d.example");
        becomes(
            "protocol=dinahosting login=a password=b h.d.example",
            "dinahosting h.d.example a b d.example",
        );
        becomes(
            "protocol=cloudns dynurl=https://ipv4.cloudns.net/api/dynamicURL/?q=k h.d.example",
            "cloudns-url h.d.example - k -",
        );
        becomes(
            "protocol=directnic urlv4=https://d.example/dns/gateway/a/ urlv6=https://d.example/dns/gateway/b/ h.d.example",
            "directnic h.d.example - a b -",
        );
        becomes("server=dynv6.com login=none password=k h.d.example", "dynv6 h.d.example - k -");
        becomes(
            "server=app.luadns.com login=me@d.example password=k h.d.example",
            "luadns h.d.example me@d.example k -",
        );
        becomes(
            "server=updates.opendns.com\nlogin=a\npassword=b\nhome",
            "opendns home a b - network=home",
        );
    }

    #[test]
    fn each_setting_of_inadyn_goes_where_the_service_has_its_like() {
        let becomes = |title: &str, name: &str, expect| {
            let text =
                format!("provider {title} {{ username = u\npassword = p\nhostname = {name} }}");
            becomes(Client::Inadyn, &text, expect);
        };
        becomes("duckdns.org", "me", "duckdns me.duckdns.org - u -");
        becomes("ipv6@duckdns.org", "me.duckdns.org", "duckdns me.duckdns.org - u -");
        becomes("default@dynv6.com", "h.d.example", "dynv6 h.d.example - u -");
        becomes("regfish.de", "h.d.example", "regfish h.d.example - u -");
        becomes("dnspod.cn", "h.d.example", "dnspod h.d.example - u,p -");
        becomes("porkbun.com", "h.d.example", "porkbun h.d.example - u:p d.example");
        becomes("freemyip.com", "me", "freemyip me.freemyip.com - p -");
        becomes("domaindiscount24.com", "h.d.example", "key-systems h.d.example - p -");
        becomes("domene.shop", "h.d.example", "domeneshop h.d.example u p -");
        let proxied = "provider cloudflare.com { username = d.example\npassword = p\nhostname = h.d.example\nproxied = true\nttl = 60 }";
        super::tests::becomes(
            Client::Inadyn,
            proxied,
            "cloudflare h.d.example - p d.example proxied=true",
        );
    }

    #[test]
    fn each_option_of_ddns_scripts_goes_where_the_service_has_its_like() {
        let becomes = |service: &str, domain: &str, login: &str, more: &str, expect| {
            let text = format!(
                "config service\n\toption enabled 1\n\toption service_name {service}\n\toption domain '{domain}'\n\
                 \toption username {login}\n\toption password p\n{more}"
            );
            becomes(Client::DdnsScripts, &text, expect);
        };
        becomes(
            "cloudflare.com-v4",
            "h@d.example",
            "Bearer",
            "\toption param_opt 'zone_id=7'",
            "cloudflare h.d.example - p d.example zone-id=7",
        );
        becomes("hetzner.cloud", "d.example", "h", "", "hetzner h.d.example - p d.example");
        becomes(
            "digitalocean.com-v2",
            "d.example",
            "@",
            "",
            "digitalocean d.example - p d.example",
        );
        becomes("namecheap.com", "d.example", "www", "", "namecheap www.d.example - p d.example");
        becomes(
            "scaleway.com",
            "h.d.example",
            "d.example",
            "",
            "scaleway h.d.example - p d.example",
        );
        becomes("godaddy.com-v1", "h@d.example", "k", "", "godaddy h.d.example - k:p d.example");
        becomes("godaddy.com-v1", "@d.example", "k", "", "godaddy d.example - k:p d.example");
        becomes("aliyun.com", "h@d.example", "k", "", "alidns h.d.example k p d.example");
        becomes("dnspod.cn", "h@d.example", "1", "", "dnspod h.d.example - 1,p d.example");
        becomes(
            "netcup.com",
            "a.b.d.example",
            "1",
            "\toption param_enc k\n\toption param_opt d.example",
            "netcup a.b.d.example 1 k:p d.example",
        );
        becomes(
            "route53-v1",
            "Z1",
            "k",
            "\toption lookup_host h.d.example",
            "route53 h.d.example k p - zone-id=Z1",
        );
        becomes("servercow.de", "h.d.example", "u", "", "servercow h.d.example u p d.example");
        becomes(
            "blazingfast.io",
            "h.d.example",
            "u",
            "\toption param_opt 'service_id=1 zone_id=2 record_id=3'",
            "blazingfast h.d.example u p - service=1 zone-id=2",
        );
    }

    #[test]
    fn a_login_that_does_not_serve_any_more_is_told() {
        is_left_out(
            Client::Ddclient,
            "protocol=cloudflare zone=d.example login=me@d.example password=hunter2 h.d.example",
            "Global API Key",
        );
        is_left_out(
            Client::Ddclient,
            "protocol=gandi zone=d.example password=hunter2 h.d.example",
            "does not work",
        );
        is_left_out(
            Client::Ddclient,
            "server=ddnss.de login=me password=hunter2 h.d.example",
            "does not work",
        );
        is_left_out(
            Client::Ddclient,
            "protocol=dnsexit login=me password=hunter2 h.d.example",
            "does not work",
        );
        is_left_out(
            Client::Ddclient,
            "protocol=sitelutions login=me password='hunter2' 1000001",
            "by its number alone",
        );
        is_left_out(
            Client::Ddclient,
            "protocol=hetzner server=dns.hetzner.com/api/v1 zone=d.example password=hunter2 h.d.example",
            "closed since May 2026",
        );
        is_left_out(Client::Ddclient, "protocol=emailonly h.d.example", "sends mail");
        is_left_out(
            Client::Inadyn,
            "provider sitelutions.com { username = me\npassword = hunter2\nhostname = h.d.example }",
            "does not work",
        );
    }

    #[test]
    fn the_tokens_of_both_families_become_one_secret() {
        let section = |family: u8| {
            format!(
                "config service\n\toption enabled 1\n\toption service_name afraid.org-v2-token\n\toption domain h.d.example\n\
                 \toption password hunter{family}\n\toption use_ipv6 {family}\n"
            )
        };
        for text in [section(0) + &section(1), section(1) + &section(0)] {
            let hosts =
                crate::import::join::joined(read_draft(Client::DdnsScripts, &text).unwrap().hosts);
            let [host] = &hosts[..] else { panic!("{hosts:?}") };
            assert_eq!(host.secret().map(Secret::expose), Some("hunter0 hunter1"));
            assert_eq!(host.addresses, PerFamily { v4: Address::Auto, v6: Address::Auto });
        }
    }

    #[test]
    fn a_family_that_the_service_does_not_have_is_left_out() {
        let text = "usev4=ifv4, ifv4=eth0, usev6=ifv6, ifv6=eth0, protocol=namecheap login=d.example password=p h.d.example";
        let host = read_draft(Client::Ddclient, text).unwrap().hosts.remove(0);
        assert_eq!((&host.addresses.v6, host.left_out), (&Address::Off, None));
        let text = "usev6=ifv6, ifv6=eth0, protocol=namecheap login=d.example password=hunter2 h.d.example";
        is_left_out(Client::Ddclient, text, "has no IPv6");
    }
}
