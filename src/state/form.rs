//! The form of the state file: JSON that a person can read, one line for each thing remembered.
//!
//! Maps the core's memory to text and back. What is not exactly of this form is damaged, standings
//! of services aside; a change that older versions cannot read has to raise `VERSION`.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::ser::{SerializeStruct, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::ser::Formatter;

use super::Salt;
use crate::core::address::renewal::{self, Renewals};
use crate::core::address::standing::{self, ServiceId, ServiceStanding, Standings};
use crate::core::address::{Addresses, Family, PerFamily};
use crate::core::memory::{
    Again, Asking, Destination, Entry, Hold, HoldKind, Key, Memory, Reckoning, Record, SelfCheck,
    Sent, Set, TokenEntry, Verification, VerifyFinding, Word, ZoneKey,
};
use crate::core::name::Hostname;
use crate::core::outcome::{Fault as CoreFault, Rejection};
use crate::core::pace::History;
use crate::core::secret::{Fingerprint, hex};
use crate::core::time::Timestamp;
use crate::core::token::verdict::TokenVerdict;
use crate::os::clock;

/// The version of this form.
const VERSION: u64 = 1;

/// Why a text is not a state of this version.
#[derive(Debug, Eq, PartialEq)]
pub enum Fault {
    /// It is no state at all; with the reason.
    Damaged(String),
    /// It is one of that later version.
    Newer(u64),
}

/// The text for `memory`, as bytes.
pub fn bytes(memory: &Memory, salt: &Salt) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Lines::default());
    let written = Whole { memory, salt }.serialize(&mut serializer);
    debug_assert!(written.is_ok(), "nothing in a memory is without a form: {written:?}");
    seal(&mut bytes);
    bytes
}

/// What comes before the checksum, and after it.
const SEAL: (&str, &str) = (",\n  \"checksum\": \"", "\"\n}\n");

/// Adds the checksum of what is there, as the last field.
fn seal(bytes: &mut Vec<u8>) {
    let checksum = checksum(0, bytes);
    bytes.truncate(bytes.len() - "\n}".len());
    bytes.extend_from_slice(format!("{}{checksum:08x}{}", SEAL.0, SEAL.1).as_bytes());
}

/// Whether a single bit of `text` is another one than was written, the standings of services aside.
///
/// A text that differs in more was changed by a person, who may; memory and flash lose single bits.
/// In what CRC-32 makes of it, one flipped bit has a trace of its own at each place.
fn has_flipped(text: &str) -> bool {
    let sealed = text.strip_suffix(SEAL.1).and_then(|rest| rest.split_at_checked(rest.len() - 8));
    let Some((rest, digits)) = sealed else { return false };
    let written = hex(digits, 8).and_then(|number| u32::try_from(number).ok());
    let (Some(body), Some(written)) = (rest.strip_suffix(SEAL.0), written) else { return false };
    let trace = checksum(checksum(0, body.as_bytes()), b"\n}") ^ written;
    if trace == 0 {
        return false;
    }
    // Of the last bit first, and then of one place before the other.
    let mut flipped = (0..8).map(|bit| raw(0, &[1 << bit])).collect::<Vec<u32>>();
    let mut places = (0..body.len() + "\n}".len()).rev();
    let place = places.find(|_| {
        let is_here = flipped.contains(&trace);
        flipped.iter_mut().for_each(|trace| *trace = raw(*trace, &[0]));
        is_here
    });
    let services = body.find("\n  \"services\"").zip(body.find("\n  \"without-lists\""));
    let is_aside = |place| services.is_some_and(|(begin, end)| (begin..end).contains(&place));
    place.is_some_and(|place| !is_aside(place))
}

/// CRC-32 (ISO 3309) of `bytes` after those that `before` is the sum of.
fn checksum(before: u32, bytes: &[u8]) -> u32 {
    !raw(!before, bytes)
}

/// The remainder alone.
fn raw(mut sum: u32, bytes: &[u8]) -> u32 {
    const OF_BYTE: [u32; 256] = {
        let mut table = [0; 256];
        let mut place: u32 = 0;
        while place < 256 {
            let mut sum = place;
            let mut bit = 0;
            while bit < 8 {
                sum = if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 };
                bit += 1;
            }
            table[place as usize] = sum;
            place += 1;
        }
        table
    };
    for byte in bytes {
        sum = sum >> 8 ^ OF_BYTE[usize::from(sum.to_le_bytes()[0] ^ byte)];
    }
    sum
}

/// Reads a text that [`bytes`] has made.
pub fn parse(text: &str) -> Result<(Memory, Salt), Fault> {
    /// All that is certain about every version.
    #[derive(Deserialize)]
    struct Numbered {
        version: u64,
    }

    let error = match serde_json::from_str::<Text>(text) {
        Ok(read) if read.version != VERSION => "its version is unknown".to_owned(),
        Ok(_) if has_flipped(text) => "a bit of it has changed".to_owned(),
        Ok(read) => return Ok(read.into_memory()),
        Err(error) => error.to_string(),
    };
    match serde_json::from_str::<Numbered>(text) {
        Ok(Numbered { version }) if version > VERSION => Err(Fault::Newer(version)),
        _ => Err(Fault::Damaged(error)),
    }
}

/// The whole file, for writing.
struct Whole<'a> {
    memory: &'a Memory,
    salt: &'a Salt,
}

/// The whole file, for reading.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Text {
    version: u64,
    salt: Salt,
    #[serde(deserialize_with = "hosts")]
    hosts: BTreeMap<Key, Entry>,
    #[serde(deserialize_with = "paces")]
    paces: BTreeMap<ZoneKey, History>,
    #[serde(default, deserialize_with = "tokens")]
    tokens: BTreeMap<Fingerprint, TokenEntry>,
    #[serde(default, deserialize_with = "services")]
    services: Standings,
    without_lists: BTreeSet<String>,
    #[serde(default)]
    servers: BTreeMap<String, Digits>,
    #[serde(default)]
    reckoning: Option<StoredReckoning>,
    #[serde(default, deserialize_with = "renewals")]
    renewals: Renewals,
    /// See [`has_flipped`].
    #[serde(default, rename = "checksum")]
    _checksum: de::IgnoredAny,
}

impl Text {
    fn into_memory(self) -> (Memory, Salt) {
        let Self { salt, hosts, paces, tokens, services, without_lists, renewals, .. } = self;
        let servers = self.servers.into_iter().map(|(name, server)| (name, server.0)).collect();
        let reckoning = self.reckoning.map(|stored| Reckoning {
            since: stored.since.0,
            shown: stored.shown.0,
            wall: stored.wall.0,
            up: Duration::from_millis(stored.up_ms),
        });
        let memory =
            Memory { hosts, paces, tokens, services, without_lists, servers, reckoning, renewals };
        (memory, salt)
    }
}

/// An [`Entry`] with its key.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct StoredHost<'a> {
    host: Name<'a>,
    #[serde(borrow)]
    provider: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    zone: Option<Name<'a>>,
    #[serde(default, skip_serializing_if = "StoredRecord::is_empty")]
    ipv4: StoredRecord<'a>,
    #[serde(default, skip_serializing_if = "StoredRecord::is_empty")]
    ipv6: StoredRecord<'a>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last: Option<StoredLast>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hold: Option<StoredHold<'a>>,
    #[serde(default, skip_serializing_if = "is_default")]
    failures: u32,
    #[serde(default, skip_serializing_if = "is_default")]
    under_way: u32,
    #[serde(default, skip_serializing_if = "is_default")]
    asking: StoredAsking,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    queued_since: Option<Moment>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    verified: Option<StoredVerification<'a>>,
    #[serde(default, skip_serializing_if = "is_default")]
    half_done: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    not_shown: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    left_out: Option<Digits>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    place: Option<StoredPlace<'a>>,
    #[serde(default, skip_serializing_if = "is_default")]
    is_gone: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    came_back: Option<Moment>,
}

/// A [`Destination`].
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct StoredPlace<'a> {
    fingerprint: Digits,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    zone: Option<Name<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    void_since: Option<Moment>,
}

/// A [`Verification`].
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct StoredVerification<'a> {
    at: Moment,
    /// Where something is wrong, what; then there is neither of the next two.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    wrong: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "is_default")]
    servers: u32,
    #[serde(default, skip_serializing_if = "is_default")]
    took_ms: u64,
    #[serde(borrow, default, skip_serializing_if = "str::is_empty")]
    others: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    again: Option<StoredAgain>,
    #[serde(default, skip_serializing_if = "is_default")]
    repeated: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    was_right: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    put_right: Option<Moment>,
    #[serde(default, skip_serializing_if = "is_default")]
    returned: bool,
}

/// A [`Record`].
#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct StoredRecord<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    set: Option<StoredSet<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    removed: Option<Moment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sent: Option<StoredSent<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    hold: Option<StoredHold<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    missing_since: Option<Moment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gone_since: Option<Moment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    away_since: Option<Moment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    returned: Option<Moment>,
}

/// A [`Set`].
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct StoredSet<'a> {
    addresses: List<'a>,
    since: Moment,
    confirmed: Moment,
}

/// A [`Sent`].
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct StoredSent<'a> {
    /// Empty where the record was to be removed.
    addresses: ListOrNone<'a>,
    at: Moment,
    #[serde(default, skip_serializing_if = "is_default")]
    in_doubt: bool,
}

/// A [`Hold`].
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct StoredHold<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    reason: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "str::is_empty")]
    detail: Cow<'a, str>,
    since: Moment,
    /// Where it is another moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    begun: Option<Moment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Moment>,
    fingerprint: Digits,
}

/// The last outcome.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct StoredLast {
    outcome: Outcome,
    at: Moment,
}

/// A [`History`] with its key.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct StoredPace<'a> {
    #[serde(borrow)]
    provider: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    zone: Option<Name<'a>>,
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    sent: VecDeque<Moment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pause_until: Option<Moment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pause_since: Option<Moment>,
}

/// A [`Reckoning`].
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct StoredReckoning {
    since: Moment,
    shown: Moment,
    wall: Moment,
    up_ms: u64,
}

/// A [`TokenEntry`] with what stands for its secret.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct StoredToken<'a> {
    secret: Digits,
    spoke: Moment,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unheard: Option<Moment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    warned: Option<Moment>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    check: Option<StoredCheck<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    looked: Option<Moment>,
}

/// A [`SelfCheck`].
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct StoredCheck<'a> {
    about: Digits,
    at: Moment,
    verdict: StoredVerdict,
    #[serde(borrow, default, skip_serializing_if = "str::is_empty")]
    powers: Cow<'a, str>,
}

/// A [`ServiceStanding`] with the service that it is about.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct StoredService<'a> {
    #[serde(borrow)]
    service: Cow<'a, str>,
    family: StoredFamily,
    reason: StoredReason,
    #[serde(borrow, default, skip_serializing_if = "str::is_empty")]
    detail: Cow<'a, str>,
    times: u32,
    since: Moment,
    until: Moment,
}

/// A [`renewal::History`] with its prefix; moments are the kernel's own.
#[derive(Serialize)]
struct StoredRenewals {
    interface: u32,
    prefix: IpAddr,
    created: u32,
    noted: u32,
    begun: u32,
    longest: u32,
    measured: u8,
    #[serde(skip_serializing_if = "is_default")]
    silent: bool,
}

impl From<&(renewal::Subnet, renewal::History)> for StoredRenewals {
    fn from((subnet, history): &(renewal::Subnet, renewal::History)) -> Self {
        let renewal::History { created, noted, begun, longest, measured, silent } = *history;
        let renewal::Subnet { index, prefix } = *subnet;
        Self {
            interface: index,
            prefix,
            created: created.0,
            noted: noted.0,
            begun: begun.0,
            longest,
            measured,
            silent,
        }
    }
}

impl StoredRenewals {
    /// What such an entry says, field by field: an entry is small, and a form for it would not be.
    fn read(stored: &serde_json::Value) -> Option<(renewal::Subnet, renewal::History)> {
        let number = |name: &str| u32::try_from(stored.get(name)?.as_u64()?).ok();
        let moment = |name| number(name).map(renewal::Moment);
        let prefix = stored.get("prefix")?.as_str()?.parse().ok()?;
        let history = renewal::History {
            created: moment("created")?,
            noted: moment("noted")?,
            begun: moment("begun")?,
            longest: number("longest")?,
            measured: u8::try_from(number("measured")?).ok()?,
            silent: stored.get("silent").is_some(),
        };
        Some((renewal::Subnet { index: number("interface")?, prefix }, history))
    }
}

impl Serialize for Whole<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Memory { hosts, paces, tokens, services, without_lists, servers, reckoning, renewals } =
            self.memory;
        let mut whole = serializer.serialize_struct("State", 10)?;
        whole.serialize_field("version", &VERSION)?;
        whole.serialize_field("salt", self.salt)?;
        whole.serialize_field("hosts", &Each(|| hosts.iter().map(StoredHost::from)))?;
        whole.serialize_field("paces", &Each(|| paces.iter().map(StoredPace::from)))?;
        if !tokens.is_empty() {
            whole.serialize_field("tokens", &Each(|| tokens.iter().map(StoredToken::from)))?;
        }
        if !services.is_empty() {
            whole
                .serialize_field("services", &Each(|| services.iter().map(StoredService::from)))?;
        }
        whole.serialize_field("without-lists", without_lists)?;
        if !servers.is_empty() {
            let servers: BTreeMap<_, _> =
                servers.iter().map(|(name, server)| (name, Digits(*server))).collect();
            whole.serialize_field("servers", &servers)?;
        }
        if let Some(Reckoning { since, shown, wall, up }) = *reckoning {
            let up_ms = u64::try_from(up.as_millis()).unwrap_or(u64::MAX);
            let [since, shown, wall] = [since, shown, wall].map(Moment);
            let reckoning = StoredReckoning { since, shown, wall, up_ms };
            whole.serialize_field("reckoning", &reckoning)?;
        }
        if !renewals.0.is_empty() {
            whole.serialize_field(
                "renewals",
                &Each(|| renewals.0.iter().map(StoredRenewals::from)),
            )?;
        }
        whole.end()
    }
}

impl<'a> From<(&'a Key, &'a Entry)> for StoredHost<'a> {
    fn from((key, entry): (&'a Key, &'a Entry)) -> Self {
        // Taken apart, so that a new field of the memory cannot be forgotten here.
        let Key { host, provider } = key;
        let Entry {
            families,
            hold,
            failures,
            last,
            zone,
            under_way,
            asking,
            queued_since,
            verified,
            half_done,
            not_shown,
            left_out,
            place,
            is_gone,
            came_back,
        } = entry;
        Self {
            host: host.into(),
            provider: provider.into(),
            zone: zone.as_ref().map(Name::from),
            ipv4: (&families.v4).into(),
            ipv6: (&families.v6).into(),
            last: last.map(|(word, at)| StoredLast { outcome: Outcome(word), at: Moment(at) }),
            hold: hold.as_ref().map(StoredHold::from),
            failures: *failures,
            under_way: *under_way,
            asking: StoredAsking(*asking),
            queued_since: queued_since.map(Moment),
            verified: verified.as_ref().map(StoredVerification::from),
            half_done: *half_done,
            not_shown: *not_shown,
            left_out: left_out.map(Digits),
            place: place.as_ref().map(StoredPlace::from),
            is_gone: *is_gone,
            came_back: came_back.map(Moment),
        }
    }
}

impl<'a> From<&'a Destination> for StoredPlace<'a> {
    fn from(Destination { fingerprint, zone, void_since }: &'a Destination) -> Self {
        Self {
            fingerprint: Digits(*fingerprint),
            zone: zone.as_ref().map(Name::from),
            void_since: void_since.map(Moment),
        }
    }
}

impl StoredPlace<'_> {
    fn into_place(self) -> Destination {
        Destination {
            fingerprint: self.fingerprint.0,
            zone: self.zone.map(|zone| zone.0.into_owned()),
            void_since: self.void_since.map(|at| at.0),
        }
    }
}

impl<'a> From<&'a Verification> for StoredVerification<'a> {
    fn from(verification: &'a Verification) -> Self {
        let Verification { at, finding, again, repeated, was_right, put_right, returned } =
            verification;
        let (wrong, servers, took, others) = match finding {
            VerifyFinding::Right { servers, took, others } => (None, *servers, *took, &**others),
            VerifyFinding::Wrong(words) => (Some(words.into()), 0, Duration::ZERO, ""),
        };
        Self {
            at: Moment(*at),
            wrong,
            servers,
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            others: others.into(),
            again: again.map(StoredAgain),
            repeated: *repeated,
            was_right: *was_right,
            put_right: put_right.map(Moment),
            returned: *returned,
        }
    }
}

impl StoredVerification<'_> {
    fn into_verification(self) -> Verification {
        let (servers, took) = (self.servers, Duration::from_millis(self.took_ms));
        Verification {
            at: self.at.0,
            finding: match self.wrong {
                Some(words) => VerifyFinding::Wrong(words.into_owned()),
                None => VerifyFinding::Right { servers, took, others: self.others.into_owned() },
            },
            again: self.again.map(|again| again.0),
            repeated: self.repeated,
            was_right: self.was_right,
            put_right: self.put_right.map(|at| at.0),
            returned: self.returned,
        }
    }
}

impl TryFrom<StoredHost<'_>> for (Key, Entry) {
    type Error = String;

    fn try_from(stored: StoredHost<'_>) -> Result<Self, String> {
        let key = Key { host: stored.host.0.into_owned(), provider: stored.provider.into_owned() };
        let zones = [stored.zone.as_ref(), stored.place.as_ref().and_then(|p| p.zone.as_ref())];
        if let Some(zone) = zones.into_iter().flatten().find(|zone| !key.host.is_within(&zone.0)) {
            return Err(format!("{} is not within the zone {}", key.host, zone.0));
        }
        let families = PerFamily {
            v4: stored.ipv4.into_record(Family::V4)?,
            v6: stored.ipv6.into_record(Family::V6)?,
        };
        let entry = Entry {
            families,
            hold: stored.hold.map(StoredHold::into_hold).transpose()?,
            failures: stored.failures,
            under_way: stored.under_way,
            last: stored.last.map(|StoredLast { outcome, at }| (outcome.0, at.0)),
            zone: stored.zone.map(|zone| zone.0.into_owned()),
            asking: stored.asking.0,
            queued_since: stored.queued_since.map(|at| at.0),
            verified: stored.verified.map(StoredVerification::into_verification),
            half_done: stored.half_done,
            not_shown: stored.not_shown,
            left_out: stored.left_out.map(|problem| problem.0),
            place: stored.place.map(StoredPlace::into_place),
            is_gone: stored.is_gone,
            came_back: stored.came_back.map(|at| at.0),
        };
        Ok((key, entry))
    }
}

impl<'a> From<&'a Record> for StoredRecord<'a> {
    fn from(record: &'a Record) -> Self {
        let Record { set, removed, sent, hold, missing_since, gone_since, away_since, returned } =
            record;
        Self {
            set: set.as_ref().map(|Set { addresses, since, confirmed }| StoredSet {
                addresses: List(Cow::Borrowed(addresses)),
                since: Moment(*since),
                confirmed: Moment(*confirmed),
            }),
            removed: removed.map(Moment),
            sent: sent.as_ref().map(|Sent { addresses, at, in_doubt }| StoredSent {
                addresses: ListOrNone(addresses.as_ref().map(|list| List(Cow::Borrowed(list)))),
                at: Moment(*at),
                in_doubt: *in_doubt,
            }),
            hold: hold.as_ref().map(StoredHold::from),
            missing_since: missing_since.map(Moment),
            gone_since: gone_since.map(Moment),
            away_since: away_since.map(Moment),
            returned: returned.map(Moment),
        }
    }
}

impl StoredRecord<'_> {
    fn is_empty(&self) -> bool {
        let Self { set, removed, sent, hold, missing_since, gone_since, away_since, returned } =
            self;
        let moments = [removed, missing_since, gone_since, away_since, returned];
        let has_none = set.is_none() && sent.is_none() && hold.is_none();
        has_none && moments.into_iter().all(Option::is_none)
    }

    fn into_record(self, family: Family) -> Result<Record, String> {
        let set = self.set.map(|set| set.into_set(family)).transpose()?;
        let unanswered = self.sent.map(|sent| sent.into_sent(family)).transpose()?;
        let hold = self.hold.map(StoredHold::into_hold).transpose()?;
        let moment = |moment: Option<Moment>| moment.map(|moment| moment.0);
        Ok(Record {
            set,
            removed: moment(self.removed),
            sent: unanswered,
            hold,
            missing_since: moment(self.missing_since),
            gone_since: moment(self.gone_since),
            away_since: moment(self.away_since),
            returned: moment(self.returned),
        })
    }
}

impl StoredSet<'_> {
    fn into_set(self, family: Family) -> Result<Set, String> {
        let Self { addresses, since, confirmed } = self;
        Ok(Set { addresses: addresses.of(family)?, since: since.0, confirmed: confirmed.0 })
    }
}

impl StoredSent<'_> {
    fn into_sent(self, family: Family) -> Result<Sent, String> {
        let Self { addresses, at, in_doubt } = self;
        let addresses = addresses.0.map(|list| list.of(family)).transpose()?;
        Ok(Sent { addresses, at: at.0, in_doubt })
    }
}

impl<'a> From<&'a Hold> for StoredHold<'a> {
    fn from(Hold { kind, detail, since, begun, until, fingerprint }: &'a Hold) -> Self {
        Self {
            kind: kind.word().into(),
            reason: kind.reason().into(),
            detail: detail.into(),
            since: Moment(*since),
            begun: (begun != since).then_some(Moment(*begun)),
            until: until.map(Moment),
            fingerprint: Digits(*fingerprint),
        }
    }
}

impl StoredHold<'_> {
    fn into_hold(self) -> Result<Hold, String> {
        // Every hold there can be; the words stand in one place, with the kinds.
        let backoffs = CoreFault::ALL.into_iter().map(HoldKind::Backoff);
        let parks = Rejection::ALL.into_iter().map(HoldKind::Rejected);
        let mut kinds = backoffs.chain(parks).chain([HoldKind::Throttled]);
        let kind = kinds.find(|kind| kind.word() == self.kind && kind.reason() == self.reason);
        let Some(kind) = kind else {
            return Err(format!("unknown hold: {} for {}", self.kind, self.reason));
        };
        Ok(Hold {
            kind,
            detail: self.detail.into_owned(),
            since: self.since.0,
            begun: self.begun.unwrap_or(self.since).0,
            until: self.until.map(|until| until.0),
            fingerprint: self.fingerprint.0,
        })
    }
}

impl<'a> From<(&'a ZoneKey, &'a History)> for StoredPace<'a> {
    fn from((key, history): (&'a ZoneKey, &'a History)) -> Self {
        let ZoneKey { provider, zone } = key;
        let History { sent, pause_until, pause_since } = history;
        Self {
            provider: provider.into(),
            zone: zone.as_ref().map(Name::from),
            sent: sent.iter().copied().map(Moment).collect(),
            pause_until: pause_until.map(Moment),
            pause_since: pause_since.map(Moment),
        }
    }
}

impl TryFrom<StoredPace<'_>> for (ZoneKey, History) {
    type Error = String;

    fn try_from(stored: StoredPace<'_>) -> Result<Self, String> {
        let zone = stored.zone.map(|zone| zone.0.into_owned());
        let key = ZoneKey { provider: stored.provider.into_owned(), zone };
        let history = History {
            sent: stored.sent.into_iter().map(|at| at.0).collect(),
            pause_until: stored.pause_until.map(|at| at.0),
            pause_since: stored.pause_since.map(|at| at.0),
        };
        Ok((key, history))
    }
}

impl<'a> From<(&'a Fingerprint, &'a TokenEntry)> for StoredToken<'a> {
    fn from((secret, token): (&'a Fingerprint, &'a TokenEntry)) -> Self {
        let TokenEntry { spoke, unheard, warned, check, looked } = token;
        Self {
            secret: Digits(*secret),
            spoke: Moment(*spoke),
            unheard: unheard.map(Moment),
            warned: warned.map(Moment),
            check: check.as_ref().map(|SelfCheck { about, at, verdict, powers }| StoredCheck {
                about: Digits(*about),
                at: Moment(*at),
                verdict: StoredVerdict(*verdict),
                powers: powers.into(),
            }),
            looked: looked.map(Moment),
        }
    }
}

impl TryFrom<StoredToken<'_>> for (Fingerprint, TokenEntry) {
    type Error = String;

    fn try_from(stored: StoredToken<'_>) -> Result<Self, String> {
        let token = TokenEntry {
            spoke: stored.spoke.0,
            unheard: stored.unheard.map(|at| at.0),
            warned: stored.warned.map(|at| at.0),
            check: stored.check.map(|StoredCheck { about, at, verdict, powers }| SelfCheck {
                about: about.0,
                at: at.0,
                verdict: verdict.0,
                powers: powers.into_owned(),
            }),
            looked: stored.looked.map(|at| at.0),
        };
        Ok((stored.secret.0, token))
    }
}

impl<'a> From<(&'a ServiceId, &'a ServiceStanding)> for StoredService<'a> {
    fn from((service, standing): (&'a ServiceId, &'a ServiceStanding)) -> Self {
        let ServiceId { name, family } = service;
        let ServiceStanding { fault, detail, times, since, until } = standing;
        Self {
            service: name.into(),
            family: StoredFamily(*family),
            reason: StoredReason(*fault),
            detail: detail.into(),
            times: *times,
            since: Moment(*since),
            until: Moment(*until),
        }
    }
}

impl TryFrom<StoredService<'_>> for (ServiceId, ServiceStanding) {
    type Error = String;

    fn try_from(stored: StoredService<'_>) -> Result<Self, String> {
        let service = ServiceId { name: stored.service.into_owned(), family: stored.family.0 };
        let standing = ServiceStanding {
            fault: stored.reason.0,
            detail: stored.detail.into_owned(),
            times: stored.times,
            since: stored.since.0,
            until: stored.until.0,
        };
        Ok((service, standing))
    }
}

/// A sequence that is made while it is written, so that a thousand hosts need no room twice.
struct Each<F>(F);

impl<F, I> Serialize for Each<F>
where
    F: Fn() -> I,
    I: Iterator<Item: Serialize>,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((self.0)())
    }
}

fn hosts<'de, D: Deserializer<'de>>(list: D) -> Result<BTreeMap<Key, Entry>, D::Error> {
    gathered::<StoredHost<'de>, _, _, _>(list)
}

fn paces<'de, D: Deserializer<'de>>(list: D) -> Result<BTreeMap<ZoneKey, History>, D::Error> {
    gathered::<StoredPace<'de>, _, _, _>(list)
}

fn tokens<'de, D: Deserializer<'de>>(
    list: D,
) -> Result<BTreeMap<Fingerprint, TokenEntry>, D::Error> {
    gathered::<StoredToken<'de>, _, _, _>(list)
}

/// Standings are soon learnt anew: one that cannot be read is no reason to forget what a provider has
/// refused or confirmed.
fn services<'de, D: Deserializer<'de>>(list: D) -> Result<Standings, D::Error> {
    let list = serde_json::Value::deserialize(list)?;
    let stored = list.as_array().into_iter().flatten().map(StoredService::deserialize);
    Ok(stored
        .filter_map(|stored| <(ServiceId, ServiceStanding)>::try_from(stored.ok()?).ok())
        .collect())
}

/// The same holds of what was measured about renewals.
fn renewals<'de, D: Deserializer<'de>>(list: D) -> Result<Renewals, D::Error> {
    let list = serde_json::Value::deserialize(list)?;
    let stored = list.as_array().into_iter().flatten().filter_map(StoredRenewals::read);
    Ok(Renewals(stored.collect()))
}

/// Reads a sequence of `T` into a map, each element as soon as it is there.
fn gathered<'de, T, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
where
    T: Deserialize<'de>,
    (K, V): TryFrom<T, Error = String>,
    K: Ord,
    D: Deserializer<'de>,
{
    struct Gather<T, K, V>(PhantomData<(T, K, V)>);

    impl<'de, T, K, V> Visitor<'de> for Gather<T, K, V>
    where
        T: Deserialize<'de>,
        (K, V): TryFrom<T, Error = String>,
        K: Ord,
    {
        type Value = BTreeMap<K, V>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut map = BTreeMap::new();
            while let Some(stored) = list.next_element::<T>()? {
                let (key, value) = <(K, V)>::try_from(stored).map_err(de::Error::custom)?;
                if map.insert(key, value).is_some() {
                    return Err(de::Error::custom("the same is there twice"));
                }
            }
            Ok(map)
        }
    }

    deserializer.deserialize_seq(Gather::<T, K, V>(PhantomData))
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Types that are one JSON string: written by `Display`, read by a function of the text.
macro_rules! as_text {
    ($type:ty, $what:literal, |$text:ident| $read:expr, |$self:ident, $f:ident| $show:expr) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(&self)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&$self, $f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $show
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Read;

                impl Visitor<'_> for Read {
                    type Value = $type;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($what)
                    }

                    fn visit_str<E: de::Error>(self, $text: &str) -> Result<Self::Value, E> {
                        let value: Option<$type> = $read;
                        value.ok_or_else(|| E::invalid_value(de::Unexpected::Str($text), &self))
                    }
                }

                deserializer.deserialize_str(Read)
            }
        }
    };
}

/// A moment, in RFC 3339's form with milliseconds.
#[derive(Clone, Copy)]
struct Moment(Timestamp);

as_text!(
    Moment,
    "a moment such as 2027-01-15T08:00:00.000Z",
    |text| clock::parse_rfc3339(text).map(Moment),
    |self, f| clock::rfc3339(self.0).fmt(f)
);

/// A fingerprint, as sixteen hexadecimal digits.
struct Digits(Fingerprint);

as_text!(
    Digits,
    "sixteen hexadecimal digits",
    |text| hex(text, 16)
        .and_then(|number| u64::try_from(number).ok())
        .map(|number| Digits(Fingerprint(number))),
    |self, f| write!(f, "{:016x}", self.0.0)
);

as_text!(
    Salt,
    "32 hexadecimal digits",
    |text| hex(text, 32).map(|number| Salt(number.to_be_bytes())),
    |self, f| write!(f, "{:032x}", u128::from_be_bytes(self.0))
);

/// The word of an outcome.
struct Outcome(Word);

as_text!(
    Outcome,
    "the word of an outcome",
    |text| Word::ALL.into_iter().find(|word| word.as_str() == text).map(Outcome),
    |self, f| f.write_str(self.0.as_str())
);

/// The word for why the same is sent again.
struct StoredAgain(Again);

as_text!(
    StoredAgain,
    "drifted, untransferred or unverified",
    |text| Again::ALL.into_iter().find(|again| again.word() == text).map(StoredAgain),
    |self, f| f.write_str(self.0.word())
);

/// The word of a verdict.
struct StoredVerdict(TokenVerdict);

as_text!(
    StoredVerdict,
    "the word of a verdict",
    |text| TokenVerdict::ALL.into_iter().find(|verdict| verdict.word() == text).map(StoredVerdict),
    |self, f| f.write_str(self.0.word())
);

/// The key of a family.
struct StoredFamily(Family);

as_text!(
    StoredFamily,
    "ipv4 or ipv6",
    |text| Family::BOTH.into_iter().find(|family| family.key() == text).map(StoredFamily),
    |self, f| f.write_str(self.0.key())
);

/// The word for what a service did.
struct StoredReason(standing::ServiceFault);

as_text!(
    StoredReason,
    "failed or lied",
    |text| standing::ServiceFault::ALL
        .into_iter()
        .find(|fault| fault.word() == text)
        .map(StoredReason),
    |self, f| f.write_str(self.0.word())
);

/// With whom a host may be asked about.
#[derive(Default, PartialEq)]
struct StoredAsking(Asking);

as_text!(
    StoredAsking,
    "together, alone or one-family",
    |text| match text {
        "together" => Some(StoredAsking(Asking::Together)),
        "alone" => Some(StoredAsking(Asking::Alone)),
        "one-family" => Some(StoredAsking(Asking::OneFamily)),
        _ => None,
    },
    |self, f| f.write_str(match self.0 {
        Asking::Together => "together",
        Asking::Alone => "alone",
        Asking::OneFamily => "one-family",
    })
);

/// A host name.
struct Name<'a>(Cow<'a, Hostname>);

impl<'a> From<&'a Hostname> for Name<'a> {
    fn from(name: &'a Hostname) -> Self {
        Self(Cow::Borrowed(name))
    }
}

impl Serialize for Name<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

impl<'de> Deserialize<'de> for Name<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <Cow<'de, str>>::deserialize(deserializer)?;
        match Hostname::from_str(&text) {
            Ok(name) => Ok(Self(Cow::Owned(name))),
            Err(error) => Err(de::Error::custom(format_args!("{text:?} {error}"))),
        }
    }
}

/// A set of addresses.
struct List<'a>(Cow<'a, Addresses>);

impl List<'_> {
    fn of(self, family: Family) -> Result<Addresses, String> {
        let foreign = self.0.iter().find(|address| Family::of(*address) != family);
        match foreign {
            Some(foreign) => Err(format!("{foreign} is no {family} address")),
            None => Ok(self.0.into_owned()),
        }
    }
}

impl Serialize for List<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter())
    }
}

impl<'de> Deserialize<'de> for List<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ListOrNone(list) = ListOrNone::deserialize(deserializer)?;
        list.ok_or_else(|| de::Error::custom("no address where one is due"))
    }
}

/// A set of addresses, or an empty list.
struct ListOrNone<'a>(Option<List<'a>>);

impl Serialize for ListOrNone<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().flat_map(|list| list.0.iter()))
    }
}

impl<'de> Deserialize<'de> for ListOrNone<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let addresses = Vec::<IpAddr>::deserialize(deserializer)?;
        Ok(Self(Addresses::new(addresses).map(|set| List(Cow::Owned(set)))))
    }
}

/// Puts each field of each host on a line of its own, and what is in it on that line.
#[derive(Default)]
struct Lines {
    depth: usize,
    is_empty: bool,
}

impl Lines {
    /// The file, its lists, and what is in these.
    const DEEPEST: usize = 3;

    fn open<W: io::Write + ?Sized>(&mut self, out: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth += 1;
        self.is_empty = true;
        out.write_all(bracket)
    }

    fn item<W: io::Write + ?Sized>(&mut self, out: &mut W, is_first: bool) -> io::Result<()> {
        self.is_empty = false;
        if !is_first {
            out.write_all(b",")?;
        }
        if self.depth <= Self::DEEPEST {
            self.new_line(out)
        } else if is_first {
            Ok(())
        } else {
            out.write_all(b" ")
        }
    }

    fn close<W: io::Write + ?Sized>(&mut self, out: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth -= 1;
        if self.depth < Self::DEEPEST && !self.is_empty {
            self.new_line(out)?;
        }
        self.is_empty = false;
        out.write_all(bracket)
    }

    fn new_line<W: io::Write + ?Sized>(&self, out: &mut W) -> io::Result<()> {
        out.write_all(b"\n")?;
        (0..self.depth).try_for_each(|_| out.write_all(b"  "))
    }
}

impl Formatter for Lines {
    fn begin_array<W: io::Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.open(out, b"[")
    }

    fn begin_array_value<W: io::Write + ?Sized>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.item(out, first)
    }

    fn end_array<W: io::Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.close(out, b"]")
    }

    fn begin_object<W: io::Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.open(out, b"{")
    }

    fn begin_object_key<W: io::Write + ?Sized>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.item(out, first)
    }

    fn begin_object_value<W: io::Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }

    fn end_object<W: io::Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.close(out, b"}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::tests::{everything, salt};

    #[test]
    fn everything_that_can_be_remembered_is_read_as_it_was_written() {
        let memory = everything();
        let text = String::from_utf8(bytes(&memory, &salt())).unwrap();
        let (read, read_salt) = parse(&text).unwrap();
        assert_eq!(read, memory);
        assert_eq!(read_salt, salt());
        assert_eq!(bytes(&read, &read_salt), text.as_bytes());
    }

    #[test]
    fn a_person_can_read_it() {
        let mut memory = everything();
        memory.hosts.retain(|key, _| key.host.as_str() == "a.example");
        memory.paces.clear();
        memory.tokens.retain(|secret, _| *secret == Fingerprint(1));
        memory.services.retain(|service, _| service.family == Family::V4);
        let text = String::from_utf8(bytes(&memory, &salt())).unwrap();
        let expect = r#"{
  "version": 1,
  "salt": "000102030405060708090a0b0c0d0e0f",
  "hosts": [
    {
      "host": "a.example",
      "provider": "desec",
      "zone": "example",
      "ipv4": {"set": {"addresses": ["198.18.0.1", "198.18.0.2"], "since": "2027-01-15T08:00:00.001Z", "confirmed": "2027-01-15T08:00:00.002Z"}, "sent": {"addresses": ["198.18.0.3"], "at": "2027-01-15T08:00:00.003Z", "in-doubt": true}, "away-since": "2027-01-15T08:00:00.017Z", "returned": "2027-01-15T08:00:00.018Z"},
      "ipv6": {"removed": "2027-01-15T08:00:00.010Z", "sent": {"addresses": [], "at": "2027-01-15T08:00:00.011Z"}, "hold": {"kind": "rejected", "reason": "forbidden", "detail": "say \"no\"\n", "since": "2027-01-15T08:00:00.004Z", "until": "2027-01-15T08:00:00.005Z", "fingerprint": "00000000000000ff"}, "missing-since": "2027-01-15T08:00:00.009Z", "gone-since": "2027-01-15T08:00:00.012Z"},
      "last": {"outcome": "deferred", "at": "2027-01-15T08:00:00.006Z"},
      "hold": {"kind": "backoff", "reason": "no-answer", "since": "2027-01-15T08:00:00.007Z", "fingerprint": "ffffffffffffffff"},
      "failures": 4294967295,
      "asking": "one-family",
      "queued-since": "2027-01-15T08:00:00.008Z",
      "verified": {"at": "2027-01-15T08:00:00.013Z", "wrong": "ns2 is behind", "again": "unverified", "repeated": true, "was-right": true, "put-right": "2027-01-15T08:00:00.014Z", "returned": true},
      "half-done": true,
      "not-shown": 2,
      "left-out": "0000000000000009",
      "place": {"fingerprint": "000000000000000a", "zone": "example", "void-since": "2027-01-15T08:00:00.015Z"},
      "is-gone": true,
      "came-back": "2027-01-15T08:00:00.016Z"
    }
  ],
  "paces": [],
  "tokens": [
    {
      "secret": "0000000000000001",
      "spoke": "2027-01-15T08:00:00.001Z",
      "unheard": "2027-01-15T08:00:00.002Z",
      "warned": "2027-01-15T08:00:00.003Z",
      "check": {"about": "0000000000000002", "at": "2027-01-15T08:00:00.004Z", "verdict": "too-powerful", "powers": "may write NS"},
      "looked": "2027-01-15T08:00:00.003Z"
    }
  ],
  "services": [
    {
      "service": "icanhazip",
      "family": "ipv4",
      "reason": "lied",
      "detail": "says 192.0.2.1 where another says 192.0.2.2",
      "times": 3,
      "since": "2027-01-15T08:00:00.001Z",
      "until": "2027-01-15T08:00:00.009Z"
    }
  ],
  "without-lists": [
    "old"
  ],
  "servers": {
    "desec": "000000000000000b"
  },
  "reckoning": {
    "since": "2027-01-15T08:00:00.001Z",
    "shown": "2027-01-15T08:00:00.002Z",
    "wall": "1970-01-01T00:00:03.000Z",
    "up-ms": 4
  },
  "checksum": "CHECKSUM"
}
"#;
        // Of what comes before it, as `printf … | crc32` has it as well.
        let body = format!("{}\n}}", text.split(",\n  \"checksum\"").next().unwrap());
        let expect = expect.replace("CHECKSUM", &format!("{:08x}", checksum(0, body.as_bytes())));
        assert_eq!(checksum(0, b"123456789"), 0xcbf4_3926, "the check value of CRC-32");
        assert_eq!(text, expect);
    }

    #[test]
    fn an_empty_memory_is_a_short_text() {
        let text = String::from_utf8(bytes(&Memory::default(), &salt())).unwrap();
        assert_eq!(text.lines().count(), 8);
        assert_eq!(parse(&text), Ok((Memory::default(), salt())));
    }

    /// What is read of everything when the lines from `begin` to `end` are not there.
    fn without(begin: &str, end: &str) -> Memory {
        let text = String::from_utf8(bytes(&everything(), &salt())).unwrap();
        let (begin, end) = (text.find(begin).unwrap(), text.find(end).unwrap());
        parse(&format!("{}{}", &text[..begin], &text[end..])).unwrap().0
    }

    #[test]
    fn a_text_from_before_tokens_were_remembered_is_read() {
        let read = without("  \"tokens\"", "  \"services\"");
        assert_eq!(read, Memory { tokens: BTreeMap::new(), ..everything() });
    }

    #[test]
    fn a_text_from_before_services_were_remembered_is_read() {
        let read = without("  \"services\"", "  \"without-lists\"");
        assert_eq!(read, Memory { services: BTreeMap::new(), ..everything() });
    }

    #[test]
    fn every_flipped_bit_is_damage_or_changes_nothing() {
        let mut memory = everything();
        memory.hosts.retain(|key, _| key.host.as_str() == "a.example");
        let text = bytes(&memory, &salt());
        for place in 0..text.len() {
            // One of each byte is enough: all together take a minute.
            let bit = place % 8;
            let mut flipped = text.clone();
            flipped[place] ^= 1 << bit;
            let Ok(flipped) = str::from_utf8(&flipped) else { continue };
            match parse(flipped) {
                Err(Fault::Damaged(_)) => {}
                // The version's own digit.
                Err(Fault::Newer(version)) => assert!([3, 5, 9].contains(&version)),
                Ok((read, _)) => {
                    let read = Memory { services: memory.services.clone(), ..read };
                    assert_eq!(read, memory, "{place}.{bit}: {flipped}");
                }
            }
        }
    }

    #[test]
    fn a_person_may_change_the_text_and_leave_the_checksum_out() {
        let text = String::from_utf8(bytes(&everything(), &salt())).unwrap();
        let changed = text.replacen("\"failures\": 4294967295", "\"failures\": 12", 1);
        assert_ne!(changed, text);
        assert_eq!(parse(&changed).unwrap().0.hosts.values().next().unwrap().failures, 12);
        let cut = text.find(",\n  \"checksum\"").unwrap();
        assert_eq!(parse(&format!("{}\n}}\n", &text[..cut])), Ok((everything(), salt())));
    }

    #[test]
    fn a_zone_that_the_host_is_not_within_is_damage() {
        let text = String::from_utf8(bytes(&everything(), &salt())).unwrap();
        for wrong in ["exam.ple", "b.example", "a.a.example"] {
            for field in ["\"zone\": \"example\",\n", "\"zone\": \"example\", \"void-since\""] {
                let damaged = text.replacen(field, &field.replace("example", wrong), 1);
                assert_ne!(damaged, text, "{field}");
                assert!(matches!(parse(&damaged), Err(Fault::Damaged(_))), "{wrong}");
            }
        }
    }

    #[test]
    fn a_text_from_before_places_were_remembered_is_read() {
        let text = String::from_utf8(bytes(&everything(), &salt())).unwrap();
        let lines = ["place", "is-gone", "came-back"].map(|field| format!("      \"{field}\": "));
        let is_new = |line: &&str| lines.iter().any(|field| line.starts_with(field));
        let older: Vec<_> = text.lines().filter(|line| !is_new(line)).collect();
        let older = older
            .join("\n")
            .replace("\"left-out\": \"0000000000000009\",", "\"left-out\": \"0000000000000009\"");
        let begin = older.find("],\n  \"servers\"").unwrap();
        let (read, _) = parse(&format!("{}]\n}}\n", &older[..begin])).unwrap();
        let mut expect = everything();
        expect.servers.clear();
        expect.reckoning = None;
        for entry in expect.hosts.values_mut() {
            (entry.place, entry.is_gone, entry.came_back) = (None, false, None);
        }
        assert_eq!(read, expect);
    }

    #[test]
    fn renewals_are_kept_and_what_cannot_be_read_of_them_costs_nothing_else() {
        use renewal::{History, Moment};
        let subnet = |index| renewal::Subnet { index, prefix: "2a00:1::".parse().unwrap() };
        let history = History {
            created: Moment(1),
            noted: Moment(u32::MAX),
            begun: Moment(3),
            longest: 4,
            measured: u8::MAX,
            silent: true,
        };
        let mut memory = everything();
        memory.renewals.0.push((subnet(2), history));
        memory.renewals.0.push((subnet(3), History { silent: false, ..history }));
        let text = String::from_utf8(bytes(&memory, &salt())).unwrap();
        assert_eq!(parse(&text), Ok((memory.clone(), salt())));
        memory.renewals.0.remove(0);
        for (right, wrong) in [("\"interface\": 2", "\"interface\": -2"), ("255", "256")] {
            let damaged = text.replacen(right, wrong, 1);
            assert_ne!(damaged, text);
            assert_eq!(parse(&damaged).unwrap().0, memory, "{wrong}");
        }
    }

    #[test]
    fn a_service_that_cannot_be_read_costs_nothing_else() {
        let text = String::from_utf8(bytes(&everything(), &salt())).unwrap();
        let mut rest = everything();
        rest.services.retain(|_, standing| standing.fault != standing::ServiceFault::Lied);
        assert_eq!(rest.services.len(), everything().services.len() - 1);
        for (right, wrong) in [
            ("\"reason\": \"lied\"", "\"reason\": \"erred\""),
            ("\"family\": \"ipv4\"", "\"family\": \"ipv5\""),
            ("\"times\": 3", "\"times\": -3"),
        ] {
            let strange = text.replacen(right, wrong, 1);
            assert_ne!(strange, text, "{right}");
            assert_eq!(parse(&strange).map(|(memory, _)| memory), Ok(rest.clone()), "{wrong}");
        }
    }

    #[test]
    fn a_newer_version_is_told_from_damage_whatever_else_it_holds() {
        let newer = r#"{"hosts": {"a": [1, {}]}, "more": null, "version": 2}"#;
        assert_eq!(parse(newer), Err(Fault::Newer(2)));
        let text = String::from_utf8(bytes(&everything(), &salt())).unwrap();
        let newer = text.replacen("\"version\": 1", "\"version\": 3", 1);
        assert_eq!(parse(&newer), Err(Fault::Newer(3)));
        let older = text.replacen("\"version\": 1", "\"version\": 0", 1);
        assert_eq!(parse(&older), Err(Fault::Damaged("its version is unknown".to_owned())));
    }

    #[test]
    fn every_text_cut_short_is_damaged() {
        let text = String::from_utf8(bytes(&everything(), &salt())).unwrap();
        let whole = text.trim_end().len();
        for end in (0..whole).filter(|end| text.is_char_boundary(*end)) {
            assert!(matches!(parse(&text[..end]), Err(Fault::Damaged(_))), "{end}");
        }
    }

    #[test]
    fn what_is_not_of_the_form_is_damaged() {
        let text = String::from_utf8(bytes(&everything(), &salt())).unwrap();
        for (right, wrong) in [
            ("\"forbidden\"", "\"forbiden\""),
            ("\"verdict\": \"narrow\"", "\"verdict\": \"fine\""),
            ("\"rejected\", \"reason\"", "\"backoff\", \"reason\""),
            ("\"deferred\"", "\"late\""),
            ("\"one-family\"", "\"two-families\""),
            ("\"198.18.0.3\"", "\"2a00::1\""),
            ("\"198.18.0.3\"", "\"198.18.0.300\""),
            ("[\"198.18.0.1\", \"198.18.0.2\"]", "[]"),
            ("\"a.example\"", "\"a@example\""),
            ("2027-01-15T08:00:00.001Z", "yesterday"),
            ("00000000000000ff", "ff"),
            ("00000000000000ff", "+0000000000000ff"),
            ("000102030405060708090a0b0c0d0e0f", "00"),
            ("\"last\"", "\"lost\""),
            ("4294967295", "4294967296"),
            ("\"unverified\"", "\"unheard\""),
            ("\"host\": \"b.example\"", "\"host\": \"a.example\""),
        ] {
            let damaged = text.replacen(right, wrong, 1);
            assert_ne!(damaged, text, "{right}");
            assert!(matches!(parse(&damaged), Err(Fault::Damaged(_))), "{wrong}");
        }
        for nonsense in ["", "null", "[]", "{}", "{\"version\": \"1\"}", "\u{0}\u{0}\u{0}"] {
            assert!(matches!(parse(nonsense), Err(Fault::Damaged(_))), "{nonsense:?}");
        }
    }
}
