//! The form of the state file: JSON that a person can read, one line for each fact.
//!
//! Maps the core's memory to text and back. Any other text is damaged, except for unreadable
//! standings and renewals; a change that older versions cannot read has to raise `VERSION`.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};
use std::marker::PhantomData;
use std::net::IpAddr;
use std::time::Duration;

use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::ser::Formatter;

use super::Salt;
use crate::core::address::renewal::{self, Renewals};
use crate::core::address::standing::{ServiceFault, ServiceId, ServiceStanding, Standings};
use crate::core::address::{Addresses, Family};
use crate::core::memory::{
    Again, Asking, Destination, Entry, Hold, HoldKind, Key, Memory, Reckoning, Record, SelfCheck,
    Sent, Set, TokenEntry, Verification, VerifyFinding, Word, ZoneKey,
};
use crate::core::name::Hostname;
use crate::core::order::{SortedMap, SortedSet};
use crate::core::outcome::{Fault as CoreFault, Rejection};
use crate::core::pace::History;
use crate::core::problem::{Problem, Severity};
use crate::core::secret::{Fingerprint, hex};
use crate::core::time::Timestamp;
use crate::core::token::verdict::TokenVerdict;
use crate::os::clock;

/// The version of this form.
const VERSION: u64 = 1;

/// Why a text is not a state of this version.
#[derive(Debug, Eq, PartialEq)]
pub enum Fault {
    /// It is no state, for this reason.
    Damaged(String),
    /// It is a state of this later version.
    Newer(u64),
}

/// Writes the text for `memory` to `out`; the errors are those of `out`.
pub fn write(memory: &Memory, salt: &Salt, out: &mut dyn Write) -> io::Result<()> {
    let state = State {
        version: VERSION,
        salt: Cow::Borrowed(salt),
        hosts: Cow::Borrowed(&memory.hosts),
        paces: Cow::Borrowed(&memory.paces),
        tokens: Cow::Borrowed(&memory.tokens),
        services: Cow::Borrowed(&memory.services),
        without_lists: Cow::Borrowed(&memory.without_lists),
        servers: Cow::Borrowed(&memory.servers),
        reckoning: memory.reckoning,
        renewals: Cow::Borrowed(&memory.renewals),
        answers: Cow::Borrowed(&memory.answers),
        _checksum: de::IgnoredAny,
    };
    let mut sealed = Sealed { out, held: Vec::with_capacity(Sealed::MOST), sum: 0 };
    let mut serializer = serde_json::Serializer::with_formatter(&mut sealed, Lines::default());
    state.serialize(&mut serializer)?;
    sealed.finish()
}

/// The text before the checksum, and the text after it.
const SEAL: (&str, &str) = (",\n  \"checksum\": \"", "\"\n}\n");

/// The end of the text before the checksum is in it.
const END: &str = "\n}";

/// Writes a text piece by piece, because that of many hosts is large, and its checksum as the last
/// field.
struct Sealed<'a> {
    out: &'a mut dyn Write,
    /// What is not written yet: at least the end of the text.
    held: Vec<u8>,
    /// The checksum of what is written.
    sum: u32,
}

impl Sealed<'_> {
    /// How much is held before it is written, in bytes.
    const MOST: usize = 8 << 10;

    /// Writes all but the last `rest` bytes.
    fn pass_on(&mut self, rest: usize) -> io::Result<()> {
        let count = self.held.len().saturating_sub(rest);
        self.sum = checksum(self.sum, &self.held[..count]);
        self.out.write_all(&self.held[..count])?;
        self.held.drain(..count);
        Ok(())
    }

    fn finish(mut self) -> io::Result<()> {
        self.pass_on(END.len())?;
        let checksum = checksum(self.sum, &self.held);
        write!(self.out, "{}{checksum:08x}{}", SEAL.0, SEAL.1)
    }
}

impl Write for Sealed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.held.len() + bytes.len() > Self::MOST {
            self.pass_on(END.len())?;
        }
        self.held.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether exactly one bit of `text` differs from what was written, outside the standings of services.
///
/// A text with more differences was changed by a person, who may do so; memory and flash lose
/// single bits. In a CRC-32, each single flipped bit leaves a different trace.
fn has_flipped(text: &str) -> bool {
    let sealed = text.strip_suffix(SEAL.1).and_then(|rest| rest.split_at_checked(rest.len() - 8));
    let Some((rest, digits)) = sealed else { return false };
    let written = hex(digits, 8).and_then(|number| u32::try_from(number).ok());
    let (Some(body), Some(written)) = (rest.strip_suffix(SEAL.0), written) else { return false };
    let trace = checksum(checksum(0, body.as_bytes()), END.as_bytes()) ^ written;
    if trace == 0 {
        return false;
    }
    // The traces of the eight bits of the last byte, then of the byte before it, and so on.
    let mut flipped = (0..8).map(|bit| raw(0, &[1 << bit])).collect::<Vec<u32>>();
    let mut places = (0..body.len() + END.len()).rev();
    let place = places.find(|_| {
        let is_here = flipped.contains(&trace);
        flipped.iter_mut().for_each(|trace| *trace = raw(*trace, &[0]));
        is_here
    });
    let services = body.find("\n  \"services\"").zip(body.find("\n  \"without-lists\""));
    let is_aside = |place| services.is_some_and(|(begin, end)| (begin..end).contains(&place));
    place.is_some_and(|place| !is_aside(place))
}

/// The CRC-32 (ISO 3309) of `bytes`, continued from the checksum `before` of earlier bytes.
fn checksum(before: u32, bytes: &[u8]) -> u32 {
    !raw(!before, bytes)
}

/// The remainder of the CRC alone, without its inversions.
fn raw(mut sum: u32, bytes: &[u8]) -> u32 {
    let (fours, rest) = bytes.as_chunks::<4>();
    for four in fours {
        let [a, b, c, d] = (sum ^ u32::from_le_bytes(*four)).to_le_bytes().map(usize::from);
        sum = REMAINDERS[3][a] ^ REMAINDERS[2][b] ^ REMAINDERS[1][c] ^ REMAINDERS[0][d];
    }
    for byte in rest {
        sum = sum >> 8 ^ REMAINDERS[0][usize::from(sum.to_le_bytes()[0] ^ byte)];
    }
    sum
}

/// The remainder of each byte with none to three zero bytes after it: four bytes are taken in one step.
static REMAINDERS: [[u32; 256]; 4] = {
    let mut tables = [[0; 256]; 4];
    let mut zeros = 0;
    while zeros < 4 {
        let mut byte: u32 = 0;
        while byte < 256 {
            let place = byte as usize;
            let mut sum = if zeros == 0 { byte } else { tables[zeros - 1][place] };
            let mut bits = 8;
            while bits > 0 {
                sum = if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 };
                bits -= 1;
            }
            tables[zeros][place] = sum;
            byte += 1;
        }
        zeros += 1;
    }
    tables
};

/// Reads a text that [`write`] made.
pub fn parse(text: &str) -> Result<(Memory, Salt), Fault> {
    /// The part that is the same in every version.
    #[derive(Deserialize)]
    struct Numbered {
        version: u64,
    }

    let error = match serde_json::from_str::<State<'_>>(text) {
        Ok(state) if state.version != VERSION => "its version is unknown".to_owned(),
        Ok(_) if has_flipped(text) => "a bit of it has changed".to_owned(),
        Ok(state) => {
            let mut memory = Memory {
                hosts: state.hosts.into_owned(),
                paces: state.paces.into_owned(),
                tokens: state.tokens.into_owned(),
                services: state.services.into_owned(),
                without_lists: state.without_lists.into_owned(),
                servers: state.servers.into_owned(),
                reckoning: state.reckoning,
                renewals: state.renewals.into_owned(),
                answers: state.answers.into_owned(),
            };
            memory.share();
            return Ok((memory, state.salt.into_owned()));
        }
        Err(error) => error.to_string(),
    };
    match serde_json::from_str::<Numbered>(text) {
        Ok(Numbered { version }) if version > VERSION => Err(Fault::Newer(version)),
        _ => Err(Fault::Damaged(error)),
    }
}

/// The whole file except its checksum, which [`Sealed`] adds.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct State<'a> {
    version: u64,
    salt: Cow<'a, Salt>,
    #[serde(deserialize_with = "Listed::<ReadHost>::deserialize")]
    #[serde(serialize_with = "Listed::<StoredHost>::serialize")]
    hosts: Cow<'a, SortedMap<Key, Box<Entry>>>,
    #[serde(with = "Listed::<StoredPace>")]
    paces: Cow<'a, SortedMap<ZoneKey, History>>,
    #[serde(default, skip_serializing_if = "is_default", with = "Listed::<StoredToken>")]
    tokens: Cow<'a, SortedMap<Fingerprint, TokenEntry>>,
    #[serde(default, skip_serializing_if = "is_default")]
    #[serde(deserialize_with = "services", serialize_with = "Listed::<StoredService>::serialize")]
    services: Cow<'a, Standings>,
    without_lists: Cow<'a, SortedSet<String>>,
    #[serde(default, skip_serializing_if = "is_default")]
    servers: Cow<'a, SortedMap<String, Fingerprint>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reckoning: Option<Reckoning>,
    #[serde(default, deserialize_with = "renewals", skip_serializing_if = "is_default")]
    renewals: Cow<'a, Renewals>,
    #[serde(default, skip_serializing_if = "is_default")]
    answers: Cow<'a, SortedMap<Word, u64>>,
    /// See [`has_flipped`].
    #[serde(default, rename = "checksum", skip_serializing)]
    _checksum: de::IgnoredAny,
}

/// A host at a provider, and the memory of it; [`ReadHost`] reads it.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct StoredHost<'a> {
    host: Cow<'a, Hostname>,
    provider: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<Cow<'a, Hostname>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone_id: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "is_default")]
    ipv4: Cow<'a, Record>,
    #[serde(default, skip_serializing_if = "is_default")]
    ipv6: Cow<'a, Record>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<StoredLast>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<Cow<'a, Hold>>,
    #[serde(default, skip_serializing_if = "is_default")]
    failures: u32,
    #[serde(default, skip_serializing_if = "is_default")]
    under_way: u32,
    #[serde(default, skip_serializing_if = "is_default")]
    asking: Asking,
    #[serde(skip_serializing_if = "Option::is_none")]
    queued_since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verified: Option<StoredVerification<'a>>,
    #[serde(default, skip_serializing_if = "is_default")]
    half_done: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    not_shown: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<Fingerprint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<Cow<'a, Destination>>,
    #[serde(default, skip_serializing_if = "is_default")]
    is_gone: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    came_back: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Problem>,
}

/// The last outcome.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct StoredLast {
    outcome: Word,
    at: Timestamp,
}

/// A [`Verification`], with its finding field by field.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct StoredVerification<'a> {
    at: Timestamp,
    /// The problem; the next three fields are empty then.
    #[serde(skip_serializing_if = "Option::is_none")]
    wrong: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "is_default")]
    servers: u32,
    #[serde(default, rename = "took-ms", skip_serializing_if = "is_default", with = "Millis")]
    took: Duration,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    others: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    again: Option<Again>,
    #[serde(default, skip_serializing_if = "is_default")]
    repeated: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    was_right: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    put_right: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "is_default")]
    returned: bool,
}

/// A zone of a provider, and the moments at which requests to it left.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct StoredPace<'a> {
    provider: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<Cow<'a, Hostname>>,
    #[serde(default, skip_serializing_if = "is_default")]
    sent: Cow<'a, [Timestamp]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pause_until: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pause_since: Option<Timestamp>,
}

/// The fingerprint of a token's secret, and the memory of the token.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct StoredToken<'a> {
    secret: Fingerprint,
    spoke: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    unheard: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warned: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<Cow<'a, SelfCheck>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    looked: Option<Timestamp>,
}

/// A service outside, and its standing.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct StoredService<'a> {
    service: Cow<'a, str>,
    family: Family,
    reason: ServiceFault,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    detail: Cow<'a, str>,
    times: u32,
    since: Timestamp,
    until: Timestamp,
}

/// A prefix, and its renewals; moments are the kernel's own.
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

/// A [`Hold`], with its kind in two words.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct StoredHold<'a> {
    kind: Cow<'a, str>,
    reason: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    detail: Cow<'a, str>,
    since: Timestamp,
    /// The beginning, if it differs from `since`.
    #[serde(skip_serializing_if = "Option::is_none")]
    begun: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    fingerprint: Fingerprint,
}

/// The form of [`Record`].
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, remote = "Record", rename_all = "kebab-case")]
struct RecordForm {
    #[serde(skip_serializing_if = "Option::is_none")]
    set: Option<Set>,
    #[serde(skip_serializing_if = "Option::is_none")]
    removed: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent: Option<Box<Sent>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<Box<Hold>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing_since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gone_since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    away_since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    returned: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    earlier: Box<[IpAddr]>,
}

/// The form of [`Set`].
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, remote = "Set")]
struct SetForm {
    addresses: Addresses,
    since: Timestamp,
    confirmed: Timestamp,
}

/// The form of [`Sent`].
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, remote = "Sent", rename_all = "kebab-case")]
struct SentForm {
    #[serde(with = "AddressesOrNone")]
    addresses: Option<Addresses>,
    at: Timestamp,
    #[serde(default, skip_serializing_if = "is_default")]
    in_doubt: bool,
}

/// The form of [`Destination`].
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, remote = "Destination", rename_all = "kebab-case")]
struct DestinationForm {
    fingerprint: Fingerprint,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<Hostname>,
    #[serde(skip_serializing_if = "Option::is_none")]
    void_since: Option<Timestamp>,
}

/// The form of [`Problem`].
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, remote = "Problem")]
struct ProblemForm {
    since: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    reported: Option<Severity>,
}

/// The form of [`Reckoning`].
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, remote = "Reckoning")]
struct ReckoningForm {
    since: Timestamp,
    shown: Timestamp,
    wall: Timestamp,
    #[serde(rename = "up-ms", with = "Millis")]
    up: Duration,
}

/// The form of [`SelfCheck`].
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, remote = "SelfCheck")]
struct SelfCheckForm {
    about: Fingerprint,
    at: Timestamp,
    verdict: TokenVerdict,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    powers: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end: Option<Timestamp>,
}

impl<'a> From<(&'a Key, &'a Box<Entry>)> for StoredHost<'a> {
    fn from((key, entry): (&'a Key, &'a Box<Entry>)) -> Self {
        Self {
            host: Cow::Borrowed(&key.host),
            provider: (&*key.provider).into(),
            zone: entry.zone.as_ref().map(Cow::Borrowed),
            zone_id: entry.zone_id.as_deref().map(Cow::Borrowed),
            ipv4: Cow::Borrowed(&entry.families.v4),
            ipv6: Cow::Borrowed(&entry.families.v6),
            last: entry.last.map(|(outcome, at)| StoredLast { outcome, at }),
            hold: entry.hold.as_deref().map(Cow::Borrowed),
            failures: entry.failures,
            under_way: entry.under_way,
            asking: entry.asking,
            queued_since: entry.queued_since,
            verified: entry.verified.as_deref().map(StoredVerification::from),
            half_done: entry.half_done,
            not_shown: entry.not_shown,
            left_out: entry.left_out,
            place: entry.place.as_ref().map(Cow::Borrowed),
            is_gone: entry.is_gone,
            came_back: entry.came_back,
            problem: entry.problem,
        }
    }
}

/// A host as a [`StoredHost`] was written.
struct ReadHost(Key, Box<Entry>);

impl<'de> Deserialize<'de> for ReadHost {
    /// Fills the entry field by field: a derived form would move every field of every host thrice.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fill;

        impl<'de> Visitor<'de> for Fill {
            type Value = ReadHost;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a host")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ReadHost, A::Error> {
                let (mut host, mut provider) = (None, None::<Text<'_>>);
                let mut filled = Box::<Entry>::default();
                while let Some(Text(name)) = map.next_key()? {
                    let entry = &mut *filled;
                    match &*name {
                        "host" => host = Some(map.next_value()?),
                        "provider" => provider = Some(map.next_value()?),
                        "zone" => entry.zone = Some(map.next_value()?),
                        "zone-id" => entry.zone_id = Some(map.next_value()?),
                        "ipv4" => entry.families.v4 = map.next_value()?,
                        "ipv6" => entry.families.v6 = map.next_value()?,
                        "last" => {
                            let StoredLast { outcome, at } = map.next_value()?;
                            entry.last = Some((outcome, at));
                        }
                        "hold" => entry.hold = Some(Box::new(map.next_value()?)),
                        "failures" => entry.failures = map.next_value()?,
                        "under-way" => entry.under_way = map.next_value()?,
                        "asking" => entry.asking = map.next_value()?,
                        "queued-since" => entry.queued_since = Some(map.next_value()?),
                        "verified" => {
                            let stored: StoredVerification<'_> = map.next_value()?;
                            entry.verified = Some(Box::new(stored.into()));
                        }
                        "half-done" => entry.half_done = map.next_value()?,
                        "not-shown" => entry.not_shown = map.next_value()?,
                        "left-out" => entry.left_out = Some(map.next_value()?),
                        "place" => entry.place = Some(map.next_value()?),
                        "is-gone" => entry.is_gone = map.next_value()?,
                        "came-back" => entry.came_back = Some(map.next_value()?),
                        "problem" => entry.problem = Some(map.next_value()?),
                        _ => return Err(de::Error::unknown_field(&name, &[])),
                    }
                }
                let host = host.ok_or_else(|| de::Error::missing_field("host"))?;
                let provider = provider.ok_or_else(|| de::Error::missing_field("provider"))?;
                let Text(provider) = provider;
                let key = Key { host, provider: (&*provider).into() };
                check(&key, &filled).map_err(de::Error::custom)?;
                Ok(ReadHost(key, filled))
            }
        }

        deserializer.deserialize_map(Fill)
    }
}

impl From<ReadHost> for (Key, Box<Entry>) {
    fn from(ReadHost(key, entry): ReadHost) -> Self {
        (key, entry)
    }
}

/// Refuses an entry that cannot be about the host `key`.
fn check(key: &Key, entry: &Entry) -> Result<(), String> {
    let zones = [entry.zone.as_ref(), entry.place.as_ref().and_then(|p| p.zone.as_ref())];
    if let Some(zone) = zones.into_iter().flatten().find(|zone| !key.host.is_within(zone)) {
        return Err(format!("{} is not within the zone {zone}", key.host));
    }
    for (family, Record { set, sent, .. }) in entry.families.iter() {
        let sent = sent.iter().filter_map(|sent| sent.addresses.as_ref());
        let mut all = set.iter().map(|set| &set.addresses).chain(sent).flat_map(Addresses::iter);
        if let Some(foreign) = all.find(|address| Family::of(*address) != family) {
            return Err(format!("{foreign} is not an {family} address"));
        }
    }
    Ok(())
}

impl<'a> From<&'a Verification> for StoredVerification<'a> {
    fn from(verification: &'a Verification) -> Self {
        let (wrong, servers, took, others) = match &verification.finding {
            VerifyFinding::Right { servers, took, others } => (None, *servers, *took, &**others),
            VerifyFinding::Wrong(words) => (Some(words.into()), 0, Duration::ZERO, ""),
        };
        Self {
            at: verification.at,
            wrong,
            servers,
            took,
            others: others.into(),
            again: verification.again,
            repeated: verification.repeated,
            was_right: verification.was_right,
            put_right: verification.put_right,
            returned: verification.returned,
        }
    }
}

impl From<StoredVerification<'_>> for Verification {
    fn from(stored: StoredVerification<'_>) -> Self {
        let StoredVerification { servers, took, others, .. } = stored;
        Self {
            at: stored.at,
            finding: match stored.wrong {
                Some(words) => VerifyFinding::Wrong(words.into_owned()),
                None => VerifyFinding::Right { servers, took, others: others.into_owned() },
            },
            again: stored.again,
            repeated: stored.repeated,
            was_right: stored.was_right,
            put_right: stored.put_right,
            returned: stored.returned,
        }
    }
}

impl<'a> From<(&'a ZoneKey, &'a History)> for StoredPace<'a> {
    fn from((key, history): (&'a ZoneKey, &'a History)) -> Self {
        Self {
            provider: (&*key.provider).into(),
            zone: key.zone.as_ref().map(Cow::Borrowed),
            sent: Cow::Borrowed(&history.sent),
            pause_until: history.pause_until,
            pause_since: history.pause_since,
        }
    }
}

impl From<StoredPace<'_>> for (ZoneKey, History) {
    fn from(stored: StoredPace<'_>) -> Self {
        let StoredPace { provider, zone, sent, pause_until, pause_since } = stored;
        let zone = zone.map(Cow::into_owned);
        let key = ZoneKey { provider: (&*provider).into(), zone };
        let mut sent = sent.into_owned();
        sent.shrink_to_fit();
        (key, History { sent, pause_until, pause_since })
    }
}

impl<'a> From<(&'a Fingerprint, &'a TokenEntry)> for StoredToken<'a> {
    fn from((secret, token): (&'a Fingerprint, &'a TokenEntry)) -> Self {
        let TokenEntry { spoke, unheard, warned, ref check, looked } = *token;
        let check = check.as_ref().map(Cow::Borrowed);
        Self { secret: *secret, spoke, unheard, warned, check, looked }
    }
}

impl From<StoredToken<'_>> for (Fingerprint, TokenEntry) {
    fn from(stored: StoredToken<'_>) -> Self {
        let StoredToken { secret, spoke, unheard, warned, check, looked } = stored;
        let check = check.map(Cow::into_owned);
        (secret, TokenEntry { spoke, unheard, warned, check, looked })
    }
}

impl<'a> From<(&'a ServiceId, &'a ServiceStanding)> for StoredService<'a> {
    fn from((service, standing): (&'a ServiceId, &'a ServiceStanding)) -> Self {
        let (service, family) = ((&service.name).into(), service.family);
        let ServiceStanding { fault: reason, ref detail, times, since, until } = *standing;
        Self { service, family, reason, detail: detail.into(), times, since, until }
    }
}

impl From<StoredService<'_>> for (ServiceId, ServiceStanding) {
    fn from(stored: StoredService<'_>) -> Self {
        let StoredService { service, family, reason: fault, detail, times, since, until } = stored;
        let detail = detail.into_owned();
        let standing = ServiceStanding { fault, detail, times, since, until };
        (ServiceId { name: service.into_owned(), family }, standing)
    }
}

impl From<&(renewal::Subnet, renewal::History)> for StoredRenewals {
    fn from((subnet, history): &(renewal::Subnet, renewal::History)) -> Self {
        Self {
            interface: subnet.index,
            prefix: subnet.prefix,
            created: history.created.0,
            noted: history.noted.0,
            begun: history.begun.0,
            longest: history.longest,
            measured: history.measured,
            silent: history.silent,
        }
    }
}

impl StoredRenewals {
    /// Reads such an entry field by field: a derived form would be large for a small entry.
    fn parse(stored: &Value) -> Option<(renewal::Subnet, renewal::History)> {
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

impl Serialize for Hold {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { kind, ref detail, since, begun, until, fingerprint } = *self;
        let (kind, reason) = (kind.word().into(), kind.reason().into());
        let begun = (begun != since).then_some(begun);
        let detail = detail.into();
        let stored = StoredHold { kind, reason, detail, since, begun, until, fingerprint };
        stored.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Hold {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let StoredHold { kind, reason, detail, since, begun, until, fingerprint } =
            StoredHold::deserialize(deserializer)?;
        // Searches all possible holds; their words are in one place, with the kinds.
        let backoffs = CoreFault::ALL.into_iter().map(HoldKind::Backoff);
        let parks = Rejection::ALL.into_iter().map(HoldKind::Rejected);
        let mut kinds = backoffs.chain(parks).chain([HoldKind::Throttled]);
        let known = kinds.find(|known| known.word() == kind && known.reason() == reason);
        let unknown = || de::Error::custom(format_args!("unknown hold: {kind} for {reason}"));
        let (detail, begun) = (detail.into_owned(), begun.unwrap_or(since));
        let kind = known.ok_or_else(unknown)?;
        Ok(Self { kind, detail, since, begun, until, fingerprint })
    }
}

/// Writes and reads a type of the core in its form here.
macro_rules! kept_as {
    ($form:ident, $type:ty) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $form::serialize(self, serializer)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $form::deserialize(deserializer)
            }
        }
    };
}

kept_as!(DestinationForm, Destination);
kept_as!(ProblemForm, Problem);
kept_as!(ReckoningForm, Reckoning);
kept_as!(RecordForm, Record);
kept_as!(SelfCheckForm, SelfCheck);
kept_as!(SentForm, Sent);
kept_as!(SetForm, Set);

/// A map as a list, in which each element `E` is a key with its value.
struct Listed<E>(PhantomData<E>);

impl<E> Listed<E> {
    /// Makes each element when it is written, so that a thousand hosts are not in memory twice.
    fn serialize<'a, K, V, S>(map: &'a SortedMap<K, V>, serializer: S) -> Result<S::Ok, S::Error>
    where
        E: From<(&'a K, &'a V)> + Serialize,
        S: Serializer,
    {
        serializer.collect_seq(map.iter().map(E::from))
    }

    fn deserialize<'de, 'a, K, V, D>(list: D) -> Result<Cow<'a, SortedMap<K, V>>, D::Error>
    where
        E: Deserialize<'de>,
        (K, V): TryFrom<E, Error: fmt::Display>,
        K: Clone + Ord,
        V: Clone,
        D: Deserializer<'de>,
    {
        struct Gather<E, K, V>(PhantomData<(E, K, V)>);

        impl<'de, E, K, V> Visitor<'de> for Gather<E, K, V>
        where
            E: Deserialize<'de>,
            (K, V): TryFrom<E, Error: fmt::Display>,
            K: Ord,
        {
            type Value = SortedMap<K, V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut map = SortedMap::new();
                while let Some(stored) = list.next_element::<E>()? {
                    let (key, value) = <(K, V)>::try_from(stored).map_err(de::Error::custom)?;
                    if map.insert(key, value).is_some() {
                        return Err(de::Error::custom("the same is there twice"));
                    }
                }
                Ok(map)
            }
        }

        list.deserialize_seq(Gather::<E, K, V>(PhantomData)).map(Cow::Owned)
    }
}

/// Standings are soon learnt again: one that cannot be read is no reason to forget what a
/// provider has refused or confirmed.
fn services<'de, D: Deserializer<'de>>(list: D) -> Result<Cow<'static, Standings>, D::Error> {
    let service = |stored: &Value| Some(StoredService::deserialize(stored).ok()?.into());
    readable(list, service).map(Cow::Owned)
}

/// Skips unreadable renewals for the same reason.
fn renewals<'de, D: Deserializer<'de>>(list: D) -> Result<Cow<'static, Renewals>, D::Error> {
    readable(list, StoredRenewals::parse).map(|prefixes| Cow::Owned(Renewals(prefixes)))
}

/// The elements of `list` that `read` can read, as it returns them.
fn readable<'de, T, C, D>(list: D, read: impl Fn(&Value) -> Option<T>) -> Result<C, D::Error>
where
    C: Default + Extend<T>,
    D: Deserializer<'de>,
{
    let list = Value::deserialize(list)?;
    let mut all = C::default();
    all.extend(list.as_array().into_iter().flatten().filter_map(read));
    Ok(all)
}

impl Serialize for Renewals {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(StoredRenewals::from))
    }
}

/// A duration as a number of milliseconds.
struct Millis;

impl Millis {
    fn serialize<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

/// A set of addresses as a list; an empty list is `None`.
pub(super) struct AddressesOrNone;

impl AddressesOrNone {
    pub(super) fn serialize<'a, S: Serializer>(
        addresses: impl IntoIterator<Item = &'a Addresses>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(addresses.into_iter().flat_map(Addresses::iter))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        list: D,
    ) -> Result<Option<Addresses>, D::Error> {
        Vec::<IpAddr>::deserialize(list).map(Addresses::new)
    }
}

impl Serialize for Addresses {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        AddressesOrNone::serialize([self], serializer)
    }
}

impl<'de> Deserialize<'de> for Addresses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let addresses = AddressesOrNone::deserialize(deserializer)?;
        addresses.ok_or_else(|| de::Error::custom("no address where one is due"))
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A JSON string, copied only if it holds escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Makes a type one JSON string: how to read it, what is expected, and how to show it.
macro_rules! as_text {
    ($type:ty, |$text:ident| $read:expr, $expected:literal, |$value:ident| $shown:expr) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let $value = self;
                serializer.collect_str(&$shown)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let Text(text) = Text::deserialize(deserializer)?;
                let $text = &*text;
                let read: Option<Self> = $read;
                read.ok_or_else(|| de::Error::invalid_value(de::Unexpected::Str($text), &$expected))
            }
        }
    };
}

as_text!(
    Timestamp,
    |text| clock::parse_rfc3339(text),
    "a moment such as 2027-01-15T08:00:00.000Z",
    |moment| clock::rfc3339(*moment)
);

as_text!(
    Fingerprint,
    |text| hex(text, 16).and_then(|number| u64::try_from(number).ok()).map(Self),
    "sixteen hexadecimal digits",
    |print| format_args!("{:016x}", print.0)
);

as_text!(
    Salt,
    |text| hex(text, 32).map(|number| Self(number.to_be_bytes())),
    "32 hexadecimal digits",
    |salt| format_args!("{:032x}", u128::from_be_bytes(salt.0))
);

impl Serialize for Hostname {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Hostname {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Text(text) = Text::deserialize(deserializer)?;
        text.parse().map_err(|error| de::Error::custom(format_args!("{text:?} {error}")))
    }
}

/// Puts each field of each host on a line of its own, together with its content.
#[derive(Default)]
struct Lines {
    depth: usize,
    is_empty: bool,
}

impl Lines {
    /// The depth of line breaks: the file, its lists, and the elements of these.
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

    /// The text for `memory`, as bytes.
    fn bytes(memory: &Memory, salt: &Salt) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(memory, salt, &mut bytes).unwrap();
        bytes
    }

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
    fn the_words_of_old_files_are_those_of_this_version() {
        fn check<T>(words: &[&str], all: &[T], word: fn(T) -> &'static str)
        where
            T: Copy + fmt::Debug + for<'de> Deserialize<'de> + PartialEq + Serialize,
        {
            assert_eq!(words.len(), all.len());
            for (&expect, &one) in words.iter().zip(all) {
                assert_eq!(serde_json::to_value(one).unwrap(), *expect);
                assert_eq!(serde_json::from_value::<T>(expect.into()).unwrap(), one);
                assert_eq!(word(one), expect, "the file and `status --json` say the same");
            }
        }

        let verdicts =
            ["dead", "narrow", "narrow-to-zone", "not-proven", "inconclusive", "too-powerful"];
        check(&verdicts, &TokenVerdict::ALL, TokenVerdict::word);
        let outcomes = [Word::Updated, Word::Unchanged, Word::Deferred, Word::Rejected];
        check(&["updated", "unchanged", "deferred", "rejected"], &outcomes, Word::as_str);
        check(&["failed", "lied"], &[ServiceFault::Failed, ServiceFault::Lied], ServiceFault::word);
        check(&["ipv4", "ipv6"], &Family::BOTH, Family::key);
        let severities = [Severity::Deferred, Severity::Rejected];
        check(&["deferred", "rejected"], &severities, |severity| match severity {
            Severity::Deferred => "deferred",
            Severity::Rejected => "rejected",
        });
        let again = [Again::Drifted, Again::Untransferred, Again::Unverified];
        check(&["drifted", "untransferred", "unverified"], &again, |again| match again {
            Again::Drifted => "drifted",
            Again::Untransferred => "untransferred",
            Again::Unverified => "unverified",
        });
        let asking = [Asking::Together, Asking::Alone, Asking::OneFamily];
        check(&["together", "alone", "one-family"], &asking, |asking| match asking {
            Asking::Together => "together",
            Asking::Alone => "alone",
            Asking::OneFamily => "one-family",
        });
        assert_eq!(
            CoreFault::ALL.map(CoreFault::word).join(" "),
            "busy clock-not-set no-answer not-shown refused storage server-fault clock-skew \
             throttled tls unintelligible unreachable unread"
        );
        assert_eq!(
            Rejection::ALL.map(Rejection::word).join(" "),
            "abuse agent credential feature forbidden host request too-broad \
             too-powerful unproven"
        );
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
      "zone-id": "7",
      "ipv4": {"set": {"addresses": ["198.18.0.1", "198.18.0.2"], "since": "2027-01-15T08:00:00.001Z", "confirmed": "2027-01-15T08:00:00.002Z"}, "sent": {"addresses": ["198.18.0.3"], "at": "2027-01-15T08:00:00.003Z", "in-doubt": true}, "away-since": "2027-01-15T08:00:00.017Z", "returned": "2027-01-15T08:00:00.018Z", "earlier": ["198.18.0.4"]},
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
      "came-back": "2027-01-15T08:00:00.016Z",
      "problem": {"since": "2027-01-15T08:00:00.019Z", "reported": "rejected"}
    }
  ],
  "paces": [],
  "tokens": [
    {
      "secret": "0000000000000001",
      "spoke": "2027-01-15T08:00:00.001Z",
      "unheard": "2027-01-15T08:00:00.002Z",
      "warned": "2027-01-15T08:00:00.003Z",
      "check": {"about": "0000000000000002", "at": "2027-01-15T08:00:00.004Z", "verdict": "too-powerful", "powers": "may write NS", "end": "2027-01-15T08:00:00.009Z"},
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
  "answers": {
    "updated": 7,
    "rejected": 18446744073709551615
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
        assert_eq!(read, Memory { tokens: SortedMap::new(), ..everything() });
    }

    #[test]
    fn a_text_from_before_services_were_remembered_is_read() {
        let read = without("  \"services\"", "  \"without-lists\"");
        assert_eq!(read, Memory { services: SortedMap::new(), ..everything() });
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
        let lines = ["place", "is-gone", "came-back", "problem"]
            .map(|field| format!("      \"{field}\": "));
        let is_new = |line: &&str| lines.iter().any(|field| line.starts_with(field));
        let older: Vec<_> = text.lines().filter(|line| !is_new(line)).collect();
        let older = older
            .join("\n")
            .replace("\"left-out\": \"0000000000000009\",", "\"left-out\": \"0000000000000009\"");
        let begin = older.find("],\n  \"servers\"").unwrap();
        let (read, _) = parse(&format!("{}]\n}}\n", &older[..begin])).unwrap();
        let mut expect = everything();
        expect.servers.clear();
        expect.answers.clear();
        expect.reckoning = None;
        for entry in expect.hosts.values_mut() {
            (entry.place, entry.is_gone, entry.came_back) = (None, false, None);
            entry.problem = None;
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
        rest.services.retain(|_, standing| standing.fault != ServiceFault::Lied);
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
