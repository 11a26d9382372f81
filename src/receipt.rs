//! Receipts: facts about an issued token, kept beside its file; never its secret.
//!
//! `dev1.token.receipt` lies beside `dev1.token` and travels with it. The token side writes it;
//! modules that need a token's id, limits or end read it. A readable, versioned JSON file.

use std::fmt;
use std::fs::{self, FileTimes};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

use crate::core::address::PerFamily;
use crate::core::name::Hostname;
use crate::core::order::SortedMap;
use crate::core::secret::{Secret, hex};
use crate::core::time::Timestamp;
use crate::core::token::rails::{Grant, RailsEntry, RailsPolicy};
use crate::core::token::upkeep::Proof;
use crate::core::token::{Api, Duty, Limits, TokenId, period};
use crate::os::clock::{self, parse_rfc3339, rfc3339, rfc3339_seconds};
use crate::os::disk::{self, Ownership};
use crate::os::reason::reason;

/// The facts that are kept about a token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Receipt {
    /// The token's id; `None` when an audit proved a token that Homing did not issue.
    pub id: Option<TokenId>,
    /// Its name at the provider.
    pub name: String,
    /// The API that issued it.
    pub server: String,
    /// The form of its policies.
    pub api: Api,
    /// The duties that it was issued for.
    pub duties: Vec<Duty>,
    /// The ids of these hosts' zones at the provider, where a token may not ask for them.
    pub zone_ids: Vec<(Hostname, String)>,
    /// When it was made, by the server's clock.
    pub created: Option<Timestamp>,
    /// The limits of its life and use.
    pub limits: Limits,
    /// The seal of its secret.
    pub seal: Seal,
    /// When `issue` or `audit` proved it narrow.
    pub proven: Option<Timestamp>,
    /// Its powers beyond its job, in words, if an audit found any; then there is no proof.
    pub beyond: Option<String>,
    /// When it was revoked, or found to be gone.
    pub revoked: Option<Timestamp>,
    /// Tokens that it replaces and that are still to be deleted.
    pub replaces: Vec<TokenId>,
    /// The rights of a token of `PowerDNS` on Rails: its server cannot show them later.
    pub rails: Option<Grant>,
    /// When the records of its hosts were last known to be lost, because their zone was made
    /// again or is another one: what was set before is void. See [`void`].
    pub void_since: Option<Timestamp>,
}

/// A salted digest of a secret: shows whether a secret is the same, and nothing else about it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Seal {
    salt: u128,
    digest: u64,
}

/// Why a receipt cannot be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ReceiptError {
    /// It comes from a later version of Homing.
    Newer(PathBuf),
    /// It is not a receipt as Homing writes it.
    Damaged(PathBuf, String),
    /// The system refuses to read it.
    Unreadable(PathBuf, String),
}

/// The form of the file.
const VERSION: u64 = 1;

/// The largest receipt that is read: one of a thousand hosts has 150 KiB.
const LARGEST: u64 = 1 << 20;

/// The path of the receipt of the token in `token_file`: beside the target where that is a link.
pub fn path(token_file: &Path) -> PathBuf {
    beside(&disk::real(token_file).unwrap_or_else(|_| token_file.to_owned()))
}

/// The path of the receipt beside `token_file`, which is no link.
pub fn beside(token_file: &Path) -> PathBuf {
    disk::with_ending(token_file, ".receipt")
}

/// The receipt of the token in `token_file`, if there is one.
pub fn read_receipt(token_file: &Path) -> Result<Option<Receipt>, ReceiptError> {
    let path = path(token_file);
    let text = match disk::read_text(&path, LARGEST) {
        Ok(Some(text)) => text,
        Ok(None) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return Err(ReceiptError::Damaged(path, error.to_string()));
        }
        Err(error) => return Err(ReceiptError::Unreadable(path, reason(&error))),
    };
    parse(&text).map(Some).map_err(|fault| match fault {
        ReceiptFault::Newer => ReceiptError::Newer(path),
        ReceiptFault::Damaged(what) => ReceiptError::Damaged(path, what),
    })
}

/// When the receipt of `token_file` was last written or confirmed, in nanoseconds since 1970;
/// zero without a receipt. `issue` and `rotate` update it when they succeed.
pub fn stamp(token_file: &Path) -> u128 {
    let modified = fs::metadata(path(token_file)).and_then(|about| about.modified());
    let since = modified.ok().and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    since.map_or(0, |since| since.as_nanos())
}

/// Writes the receipt of the token in `token_file`, with owner and mode as `ownership` says.
///
/// A `void_since` in the old receipt is kept in the new one until the hosts' next round.
pub fn write_receipt(token_file: &Path, receipt: &Receipt, ownership: Ownership) -> io::Result<()> {
    let path = path(token_file);
    let known = || read_receipt(token_file).ok().flatten().and_then(|before| before.void_since);
    let void_since = receipt.void_since.or_else(known);
    let receipt = &Receipt { void_since, ..receipt.clone() };
    disk::write_whole(&path, ownership, text(receipt).as_bytes())
}

/// Notes in the receipt that the records of its hosts are void, so that their next round asks for the
/// zone and sends everything again: the zone was registered, is another one, or had lost all its rows.
///
/// Owner and mode of the receipt stay. Without a readable receipt, nothing is written and nothing
/// fails: a receipt that is written later holds its own `void_since`.
pub fn void(token_file: &Path) -> io::Result<()> {
    let Ok(Some(receipt)) = read_receipt(token_file) else { return Ok(()) };
    let ownership = Ownership::of(&path(token_file))?;
    let void_since = Some(clock::wall());
    write_receipt(token_file, &Receipt { void_since, ..receipt }, ownership)
}

/// Updates the stamp of a receipt that is still right, and changes nothing in it.
pub fn confirm(token_file: &Path) -> io::Result<()> {
    let file = disk::open_for_change(&path(token_file))?;
    let file = file.ok_or_else(|| io::Error::other("it is not a file"))?;
    file.set_times(FileTimes::new().set_modified(SystemTime::now()))
}

impl Receipt {
    /// A receipt that says only that `secret` is that of a token of `server`.
    pub fn of(secret: &Secret, server: &str) -> io::Result<Self> {
        Ok(Self {
            id: None,
            name: String::new(),
            server: server.to_owned(),
            api: Api::Rows,
            duties: Vec::new(),
            zone_ids: Vec::new(),
            created: None,
            limits: Limits::default(),
            seal: Seal::of(secret)?,
            proven: None,
            beyond: None,
            revoked: None,
            replaces: Vec::new(),
            rails: None,
            void_since: None,
        })
    }

    /// Whether the receipt is about `secret`.
    pub fn is_of(&self, secret: &Secret) -> bool {
        digest(self.seal.salt, secret) == self.seal.digest
    }

    /// What it proves about its token for `host`, which is at `server` (deSEC's API, or the base
    /// of `PowerDNS` on Rails).
    ///
    /// A proof is for one secret, whose seal the caller has compared, and for the hosts in the receipt.
    /// Where `is_wide`, even the narrowest token reaches its whole zone.
    pub fn proof(&self, host: &Hostname, server: &str, is_wide: bool) -> Proof {
        // A receipt without a URL does not show its server.
        let is_elsewhere =
            self.server.starts_with("http") && !server.is_empty() && self.server != server;
        match (self.revoked, &self.beyond, self.proven) {
            (Some(at), ..) => Proof::Revoked(at),
            (None, Some(beyond), _) => Proof::Beyond(beyond.clone()),
            (None, None, None) => Proof::Nothing,
            (None, None, Some(_)) if is_elsewhere => Proof::Elsewhere(self.server.clone()),
            (None, None, Some(_)) if self.duties.iter().all(|duty| duty.host != *host) => {
                let names: Vec<&str> =
                    self.duties.iter().take(3).map(|duty| duty.host.as_str()).collect();
                Proof::OfOthers(names.join(", "))
            }
            (None, None, Some(at)) if is_wide => Proof::NarrowToZone(at),
            (None, None, Some(_)) => Proof::Narrow,
        }
    }

    /// The zone of `host` with its id, if both are known.
    pub fn zone_of(&self, host: &Hostname) -> Option<(&Hostname, &str)> {
        let duty = self.duties.iter().find(|duty| duty.host == *host)?;
        let (zone, id) = self.zone_ids.iter().find(|(zone, _)| *zone == duty.zone)?;
        Some((zone, id))
    }

    /// The ids in the receipt: of its own token, and of those that it replaces.
    pub fn ids(&self) -> impl Iterator<Item = &TokenId> {
        self.id.iter().chain(&self.replaces)
    }

    /// When the token expires by its age, if it does.
    pub fn expires(&self) -> Option<Timestamp> {
        // `PowerDNS` on Rails states the end itself, or the end is not known.
        if let Some(grant) = &self.rails {
            return grant.expires;
        }
        Some(self.created?.after(self.limits.max_age?))
    }
}

impl Seal {
    /// The seal of `secret`, with a salt of its own.
    pub fn of(secret: &Secret) -> io::Result<Self> {
        let mut salt = [0; 16];
        SystemRandom::new()
            .fill(&mut salt)
            .map_err(|_| io::Error::other("the system has no random numbers"))?;
        let salt = u128::from_be_bytes(salt);
        Ok(Self { salt, digest: digest(salt, secret) })
    }
}

fn digest(salt: u128, secret: &Secret) -> u64 {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &salt.to_be_bytes());
    let tag = hmac::sign(&key, secret.expose().as_bytes());
    tag.as_ref().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The file as JSON.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Form {
    version: u64,
    id: Option<String>,
    name: String,
    server: String,
    policies: String,
    hosts: Vec<HostForm>,
    #[serde(default, skip_serializing_if = "SortedMap::is_empty")]
    zone_ids: SortedMap<String, String>,
    created: Option<String>,
    expires: Option<String>,
    max_age: Option<String>,
    max_unused: Option<String>,
    subnets: Option<Vec<String>>,
    salt: String,
    fingerprint: String,
    proven: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    too_powerful: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revoked: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    replaces: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rails: Option<GrantForm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    void_since: Option<String>,
}

/// The rights of a token of `PowerDNS` on Rails, in its server's words.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
struct GrantForm {
    domain: String,
    policy: String,
    allow_new: bool,
    remove: bool,
    records: Vec<String>,
    protect: Vec<String>,
    protect_types: Vec<String>,
    expires: Option<String>,
}

#[derive(Deserialize, Serialize)]
struct HostForm {
    name: String,
    zone: String,
    ipv4: bool,
    ipv6: bool,
}

/// The part of the file that is the same in every version.
#[derive(Deserialize)]
struct AnyForm {
    version: u64,
}

#[derive(Debug, Eq, PartialEq)]
enum ReceiptFault {
    Damaged(String),
    Newer,
}

/// The form of a receipt without a file, for `contrib/fuzz`.
#[cfg(fuzzing)]
pub mod fuzzing {
    use super::Receipt;

    /// The content of the file that holds `receipt`.
    pub fn text(receipt: &Receipt) -> String {
        super::text(receipt)
    }

    /// The receipt in `text`; the error says why it is none.
    pub fn parse(text: &str) -> Result<Receipt, String> {
        super::parse(text).map_err(|fault| format!("{fault:?}"))
    }
}

fn text(receipt: &Receipt) -> String {
    let moment = |moment: Option<Timestamp>| moment.map(|at| rfc3339_seconds(at).to_string());
    let form = Form {
        version: VERSION,
        id: receipt.id.as_ref().map(TokenId::to_string),
        name: receipt.name.clone(),
        server: receipt.server.clone(),
        policies: word(receipt.api).to_owned(),
        hosts: receipt.duties.iter().map(HostForm::of).collect(),
        zone_ids: receipt
            .zone_ids
            .iter()
            .map(|(zone, id)| (zone.to_string(), id.clone()))
            .collect(),
        created: moment(receipt.created),
        expires: moment(receipt.expires()),
        max_age: receipt.limits.max_age.map(period),
        max_unused: receipt.limits.max_unused.map(period),
        subnets: receipt.limits.subnets.clone(),
        salt: format!("{:032x}", receipt.seal.salt),
        fingerprint: format!("{:016x}", receipt.seal.digest),
        proven: moment(receipt.proven),
        too_powerful: receipt.beyond.clone(),
        revoked: moment(receipt.revoked),
        replaces: receipt.replaces.iter().map(TokenId::to_string).collect(),
        rails: receipt.rails.as_ref().map(GrantForm::of),
        // To the millisecond: two moments in one second would look like one.
        void_since: receipt.void_since.map(|at| rfc3339(at).to_string()),
    };
    // Texts, numbers and lists can always be written as JSON.
    let mut text = serde_json::to_string_pretty(&form).unwrap_or_default();
    text.push('\n');
    text
}

fn parse(text: &str) -> Result<Receipt, ReceiptFault> {
    let damaged = |what: &dyn fmt::Display| ReceiptFault::Damaged(what.to_string());
    let any: AnyForm = serde_json::from_str(text).map_err(|error| damaged(&error))?;
    if any.version > VERSION {
        return Err(ReceiptFault::Newer);
    }
    let form: Form = serde_json::from_str(text).map_err(|error| damaged(&error))?;
    let moment = |text: &Option<String>| {
        let parsed = text.as_deref().map(|text| parse_rfc3339(text).ok_or(text));
        parsed.transpose().map_err(|text| damaged(&format!("{text:?} is not a moment")))
    };
    let span = |text: &Option<String>| {
        let parsed = text.as_deref().map(humantime::parse_duration);
        parsed.transpose().map_err(|error| damaged(&error))
    };
    let id = |text: &String| text.parse::<TokenId>().map_err(|error| damaged(&error));
    let api = [Api::Rows, Api::Zones].into_iter().find(|&api| word(api) == form.policies);
    let seal = Seal {
        salt: hex(&form.salt, 32).ok_or_else(|| damaged(&"the salt is not one"))?,
        digest: hex(&form.fingerprint, 16)
            .and_then(|digest| u64::try_from(digest).ok())
            .ok_or_else(|| damaged(&"the fingerprint is not one"))?,
    };
    let duties: Result<Vec<_>, _> = form.hosts.iter().map(HostForm::duty).collect();
    let no_name = |name: &str| damaged(&format!("{name:?} is not a host name"));
    let zone_id = |(zone, id): (String, String)| {
        let zone = zone.parse().map_err(|_| no_name(&zone))?;
        Ok((zone, id))
    };
    Ok(Receipt {
        id: form.id.as_ref().map(id).transpose()?,
        name: form.name,
        server: form.server,
        api: api.ok_or_else(|| damaged(&"the form of the policies is not known"))?,
        duties: duties.map_err(no_name)?,
        zone_ids: form.zone_ids.into_iter().map(zone_id).collect::<Result<_, _>>()?,
        created: moment(&form.created)?,
        limits: Limits {
            max_age: span(&form.max_age)?,
            max_unused: span(&form.max_unused)?,
            subnets: form.subnets,
        },
        seal,
        proven: moment(&form.proven)?,
        revoked: moment(&form.revoked)?,
        beyond: form.too_powerful,
        replaces: form.replaces.iter().map(id).collect::<Result<_, _>>()?,
        rails: form.rails.map(GrantForm::grant).transpose().map_err(|what| damaged(&what))?,
        void_since: moment(&form.void_since)?,
    })
}

impl GrantForm {
    fn of(grant: &Grant) -> Self {
        let texts = |entries: &[RailsEntry]| entries.iter().map(RailsEntry::to_string).collect();
        Self {
            domain: grant.domain.to_string(),
            policy: grant.policy.word().to_owned(),
            allow_new: grant.allow_new,
            remove: grant.remove,
            records: texts(&grant.records),
            protect: texts(&grant.protect),
            protect_types: grant.protect_types.clone(),
            expires: grant.expires.map(|at| rfc3339_seconds(at).to_string()),
        }
    }

    fn grant(self) -> Result<Grant, String> {
        let not_one = |text: &str, what: &str| format!("{text:?} is not {what}");
        let entries = |texts: &[String]| {
            let entry = |text: &String| text.parse().map_err(|_| not_one(text, "a record"));
            texts.iter().map(entry).collect::<Result<Vec<RailsEntry>, _>>()
        };
        let policies = [RailsPolicy::Allow, RailsPolicy::Deny];
        let policy = policies.into_iter().find(|policy| policy.word() == self.policy);
        let expires = self.expires.as_deref();
        let moment = |text| parse_rfc3339(text).ok_or_else(|| not_one(text, "a moment"));
        Ok(Grant {
            policy: policy.ok_or_else(|| not_one(&self.policy, "a policy"))?,
            allow_new: self.allow_new,
            remove: self.remove,
            records: entries(&self.records)?,
            protect: entries(&self.protect)?,
            expires: expires.map(moment).transpose()?,
            domain: self.domain.parse().map_err(|_| not_one(&self.domain, "a domain"))?,
            protect_types: self.protect_types,
        })
    }
}

impl HostForm {
    fn of(duty: &Duty) -> Self {
        let PerFamily { v4: ipv4, v6: ipv6 } = duty.families;
        Self { name: duty.host.to_string(), zone: duty.zone.to_string(), ipv4, ipv6 }
    }

    fn duty(&self) -> Result<Duty, &str> {
        let host = self.name.parse().map_err(|_| self.name.as_str())?;
        let zone = self.zone.parse().map_err(|_| self.zone.as_str())?;
        Ok(Duty { host, zone, families: PerFamily { v4: self.ipv4, v6: self.ipv6 } })
    }
}

/// The word for a form of policies.
fn word(api: Api) -> &'static str {
    match api {
        Api::Rows => "rows",
        Api::Zones => "zones",
    }
}

impl fmt::Display for ReceiptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newer(path) => write!(
                f,
                "{} was written by a later version of Homing; install that version again",
                path.display()
            ),
            Self::Damaged(path, what) => {
                write!(f, "{} is damaged ({what}); move it away", path.display())
            }
            Self::Unreadable(path, what) => {
                write!(f, "{} cannot be read: {what}; make Homing's user its owner", path.display())
            }
        }
    }
}

impl std::error::Error for ReceiptError {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn receipt() -> Receipt {
        Receipt {
            id: Some("6be0a87c-0d9a-4228-a3c5-ed5d33f4a807".parse().unwrap()),
            name: "homing:dev1.example.com".to_owned(),
            server: "https://desec.io/api/v1".to_owned(),
            api: Api::Rows,
            duties: vec![Duty {
                host: "dev1.example.com".parse().unwrap(),
                zone: "example.com".parse().unwrap(),
                families: PerFamily { v4: true, v6: false },
            }],
            zone_ids: vec![("example.com".parse().unwrap(), "Z0123456789".to_owned())],
            created: Some(Timestamp::from_secs(1_800_000_000)),
            limits: Limits {
                max_age: Some(Duration::from_secs(365 * 86400)),
                max_unused: None,
                subnets: Some(vec!["192.0.2.0/24".to_owned()]),
            },
            seal: Seal::of(&Secret::new("hidden-secret")).unwrap(),
            proven: None,
            beyond: Some("may write NS of example.com itself".to_owned()),
            revoked: Some(Timestamp::from_secs(1_800_000_060)),
            replaces: vec!["old".parse().unwrap()],
            rails: None,
            void_since: None,
        }
    }

    #[test]
    fn a_receipt_is_read_as_it_was_written_and_holds_no_secret() {
        let written = text(&receipt());
        let read = parse(&written).unwrap();
        assert_eq!(text(&read), written);
        assert!(!written.contains("hidden"), "{written}");
        assert!(read.is_of(&Secret::new("hidden-secret")));
        assert!(!read.is_of(&Secret::new("hidden-secret2")));
        assert_eq!(read.expires(), Some(Timestamp::from_secs(1_800_000_000 + 365 * 86400)));
    }

    #[test]
    fn what_was_granted_is_read_as_it_was_written_and_its_end_counts() {
        let end = Timestamp::from_secs(1_900_000_000);
        let mut grant = Grant::narrow(&receipt().duties, end).unwrap();
        grant.protect.push("mail.example.com".parse().unwrap());
        grant.protect_types.push("MX".to_owned());
        let given = Receipt { rails: Some(grant), ..receipt() };
        let written = text(&given);
        assert_eq!(parse(&written), Ok(given.clone()));
        assert_eq!(given.expires(), Some(end));
        for (is, should) in
            [("\"deny\"", "\"some\""), ("\"dev1.example.com:A\"", "\":A\""), ("2030-", "30-")]
        {
            assert!(written.contains(is), "{written}");
            let changed = written.replace(is, should);
            assert!(matches!(parse(&changed), Err(ReceiptFault::Damaged(_))), "{changed}");
        }
        let unsaid = given.rails.map(|grant| Grant { expires: None, ..grant });
        assert_eq!(Receipt { rails: unsaid, ..receipt() }.expires(), None);
    }

    #[test]
    fn that_what_is_set_is_void_stays_written_whoever_writes_next() {
        let directory = std::env::temp_dir().join(format!("homing-void-{}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        let file = directory.join("token");
        void(&file).unwrap();
        assert_eq!(read_receipt(&file), Ok(None), "there is no receipt to say it");
        let ownership = Ownership::of(&file).unwrap();
        write_receipt(&file, &receipt(), ownership).unwrap();
        void(&file).unwrap();
        let said = read_receipt(&file).unwrap().unwrap();
        assert!(said.void_since.is_some() && said.id == receipt().id);
        write_receipt(&file, &receipt(), ownership).unwrap();
        assert_eq!(read_receipt(&file).unwrap().unwrap().void_since, said.void_since);
        std::thread::sleep(Duration::from_millis(2));
        void(&file).unwrap();
        assert!(read_receipt(&file).unwrap().unwrap().void_since > said.void_since);
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_proof_is_for_the_hosts_and_the_server_that_are_named() {
        let here = "https://desec.io/api/v1";
        let of = |receipt: &Receipt, host: &str, server: &str| {
            receipt.proof(&host.parse().unwrap(), server, false)
        };
        let proven = Receipt {
            proven: Some(Timestamp::from_secs(1_800_000_000)),
            beyond: None,
            revoked: None,
            ..receipt()
        };
        assert_eq!(of(&proven, "dev1.example.com", here), Proof::Narrow);
        let dev1 = "dev1.example.com".parse().unwrap();
        let to_zone = Proof::NarrowToZone(Timestamp::from_secs(1_800_000_000));
        assert_eq!(proven.proof(&dev1, here, true), to_zone);
        let others = Proof::OfOthers("dev1.example.com".to_owned());
        assert_eq!(of(&proven, "dev2.example.com", here), others);
        let elsewhere = "https://desec.example.net/api/v1";
        assert_eq!(of(&proven, "dev1.example.com", elsewhere), Proof::Elsewhere(here.to_owned()));
        let nobodys = Receipt { duties: Vec::new(), ..proven.clone() };
        assert_eq!(of(&nobodys, "dev1.example.com", here), Proof::OfOthers(String::new()));
        let unproven = Receipt { proven: None, ..proven };
        assert_eq!(of(&unproven, "dev1.example.com", here), Proof::Nothing);
        let beyond = Receipt { revoked: None, ..receipt() };
        let words = "may write NS of example.com itself".to_owned();
        assert_eq!(of(&beyond, "dev1.example.com", here), Proof::Beyond(words));
        let at = Timestamp::from_secs(1_800_000_060);
        assert_eq!(of(&receipt(), "dev1.example.com", here), Proof::Revoked(at));
    }

    #[test]
    fn equal_secrets_have_different_seals() {
        let (one, other) = (receipt().seal, receipt().seal);
        assert_ne!(one.digest, other.digest);
    }

    #[test]
    fn what_was_not_written_so_is_told_apart() {
        let newer = r#"{"version": 2, "whatever": true}"#;
        assert_eq!(parse(newer), Err(ReceiptFault::Newer));
        for wrong in ["", "{}", "[1]", r#"{"version": 1}"#] {
            assert!(matches!(parse(wrong), Err(ReceiptFault::Damaged(_))), "{wrong}");
        }
        let written = text(&receipt());
        for (is, should) in [("\"rows\"", "\"columns\""), ("dev1.", ".."), ("2027-", "27-")] {
            let changed = written.replace(is, should);
            assert!(matches!(parse(&changed), Err(ReceiptFault::Damaged(_))), "{changed}");
        }
    }
}
