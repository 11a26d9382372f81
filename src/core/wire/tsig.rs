//! TSIG: messages signed with a key that both sides know (RFC 8945).
//!
//! Pure: the time is an argument, and so is the keyed hash, because the key's secret stays with
//! the shell. The protocol decides what the server's answer means for a host.

use std::fmt;
use std::str::FromStr;

use super::dns::{Class, HEADER, Malformed, Message, Name, ResourceRecord, Type, put_record};

/// The hashes of keys (section 6); MD5 and truncated hashes are left out.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Algorithm {
    /// HMAC with SHA-1, for old servers.
    Sha1,
    /// HMAC with SHA-256.
    #[default]
    Sha256,
    /// HMAC with SHA-384.
    Sha384,
    /// HMAC with SHA-512.
    Sha512,
}

/// A key without its secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TsigKey {
    /// Its name, by which the server finds it.
    pub name: Name,
    /// The hash that it is used with.
    pub algorithm: Algorithm,
}

/// The keyed hash: it maps bytes to their hash with the key's secret.
pub type Hmac<'a> = dyn Fn(&[u8]) -> Vec<u8> + 'a;

/// A signed message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Signed {
    /// The whole message.
    pub bytes: Vec<u8>,
    /// The signature; the signature of the answer covers it too.
    pub mac: Vec<u8>,
}

/// The result of the check of an answer's signature.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Check {
    /// It is signed with the key, but the server's time, in seconds since 1970, is too far from
    /// ours.
    Clock(u64),
    /// Nothing proves that it comes from a holder of the key.
    Unverified(Complaint),
    /// It answers our message and comes from a holder of the key.
    Verified,
}

/// Why nothing proves that an answer comes from a holder of the key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Complaint {
    /// The server says that it does not know the key (BADKEY).
    BadKey,
    /// The server says that our signature is wrong (BADSIG).
    BadSignature,
    /// The server says that the clocks differ (BADTIME), and does not sign it.
    BadTime,
    /// The answer's signature is not the key's.
    Forged,
    /// The answer is not signed.
    Unsigned,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 4] = [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512];

    /// Its name in key files and on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::Sha1 => "hmac-sha1",
            Self::Sha256 => "hmac-sha256",
            Self::Sha384 => "hmac-sha384",
            Self::Sha512 => "hmac-sha512",
        }
    }
}

impl FromStr for Algorithm {
    type Err = ();

    /// Accepts the names of [`Algorithm::word`] in any case, with or without a final dot.
    fn from_str(text: &str) -> Result<Self, ()> {
        let text = text.strip_suffix('.').unwrap_or(text);
        Self::ALL.into_iter().find(|known| known.word().eq_ignore_ascii_case(text)).ok_or(())
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// How far the clocks may differ, in seconds (section 10).
const FUDGE: u16 = 300;

/// Errors of TSIG itself (section 3).
mod error {
    pub const NONE: u16 = 0;
    pub const BADSIG: u16 = 16;
    pub const BADKEY: u16 = 17;
    pub const BADTIME: u16 = 18;
}

/// The signature of a message, as its record holds it (section 4.2).
struct Signature<'a> {
    algorithm: Name,
    /// Seconds since 1970.
    time: u64,
    fudge: u16,
    mac: &'a [u8],
    original_id: u16,
    error: u16,
    other: &'a [u8],
}

/// `message` with a signature made at `now`, in seconds since 1970.
pub fn sign(message: Vec<u8>, key: &TsigKey, now: u64, hmac: &Hmac<'_>) -> Signed {
    let mut bytes = message;
    let algorithm = Name::from(key.algorithm);
    let original_id = word(&bytes, 0);
    let mut signature = Signature {
        algorithm,
        time: now,
        fudge: FUDGE,
        mac: &[],
        original_id,
        error: error::NONE,
        other: &[],
    };
    let mac = hmac(&[&bytes[..], &signature.variables(&key.name)].concat());
    signature.mac = &mac;
    let data = signature.data();
    let (name, record_type, class) = (key.name.clone(), Type::TSIG, Class::ANY);
    put_record(&mut bytes, &ResourceRecord { name, record_type, class, data }, 0);
    let additional = word(&bytes, ADDITIONAL_COUNT) + 1;
    set_word(&mut bytes, ADDITIONAL_COUNT, additional);
    Signed { bytes, mac }
}

/// Reads the answer to a message that was signed with `request_mac`, and checks its signature at
/// `now`, in seconds since 1970.
pub fn check(
    bytes: &[u8],
    request_mac: &[u8],
    key: &TsigKey,
    now: u64,
    hmac: &Hmac<'_>,
) -> Result<(Message, Check), Malformed> {
    let message = Message::parse(bytes)?;
    let record = message.additional.last().filter(|record| record.record_type == Type::TSIG);
    let Some(record) = record else { return Ok((message, Check::Unverified(Complaint::Unsigned))) };
    let signature = Signature::parse(&record.data)?;
    let is_the_keys = record.name == key.name
        && record.class == Class::ANY
        && signature.algorithm == Name::from(key.algorithm)
        && {
            let mut unsigned = bytes[..message.last_at].to_vec();
            set_word(&mut unsigned, 0, signature.original_id);
            let count = word(&unsigned, ADDITIONAL_COUNT).saturating_sub(1);
            set_word(&mut unsigned, ADDITIONAL_COUNT, count);
            let variables = signature.variables(&key.name);
            let signed = [&length(request_mac)[..], request_mac, &unsigned, &variables].concat();
            let expected = hmac(&signed);
            is_equal(&expected, signature.mac)
        };
    let check = match (is_the_keys, signature.error) {
        (true, error::BADTIME) => Check::Clock(signature.server_time().unwrap_or(signature.time)),
        (true, _) if signature.time.abs_diff(now) > u64::from(signature.fudge.max(FUDGE)) => {
            Check::Clock(signature.time)
        }
        (true, _) => Check::Verified,
        (false, error::BADKEY) => Check::Unverified(Complaint::BadKey),
        (false, error::BADSIG) => Check::Unverified(Complaint::BadSignature),
        (false, error::BADTIME) => Check::Unverified(Complaint::BadTime),
        (false, _) => Check::Unverified(Complaint::Forged),
    };
    Ok((message, check))
}

/// The index of the number of additional records in the header.
const ADDITIONAL_COUNT: usize = HEADER - 2;

fn word(message: &[u8], at: usize) -> u16 {
    message.get(at..at + 2).map_or(0, |pair| u16::from_be_bytes([pair[0], pair[1]]))
}

fn set_word(message: &mut [u8], at: usize, word: u16) {
    if let Some(place) = message.get_mut(at..at + 2) {
        place.copy_from_slice(&word.to_be_bytes());
    }
}

/// Compares in a time that does not depend on the bytes. A truncated signature is not equal.
fn is_equal(expected: &[u8], mac: &[u8]) -> bool {
    let differences = expected.iter().zip(mac).fold(0, |all, (a, b)| all | (a ^ b));
    expected.len() == mac.len() && differences == 0
}

impl From<Algorithm> for Name {
    fn from(algorithm: Algorithm) -> Self {
        Self::from_text(algorithm.word()).unwrap_or_else(Self::root)
    }
}

impl<'a> Signature<'a> {
    fn parse(data: &'a [u8]) -> Result<Self, Malformed> {
        let (algorithm, rest) = Name::leading(data)?;
        let (time, rest) = number(rest, 6)?;
        let (fudge, rest) = number(rest, 2)?;
        let (mac, rest) = counted(rest)?;
        let (original_id, rest) = number(rest, 2)?;
        let (error, rest) = number(rest, 2)?;
        let (other, rest) = counted(rest)?;
        if !rest.is_empty() {
            return Err(Malformed);
        }
        let word = |number: u64| u16::try_from(number).map_err(|_| Malformed);
        let (fudge, original_id, error) = (word(fudge)?, word(original_id)?, word(error)?);
        Ok(Self { algorithm, time, fudge, mac, original_id, error, other })
    }

    /// The record's data.
    fn data(&self) -> Vec<u8> {
        let mut data = self.algorithm.wire().to_vec();
        data.extend(&self.time.to_be_bytes()[2..]);
        data.extend(self.fudge.to_be_bytes());
        data.extend(length(self.mac));
        data.extend(self.mac);
        data.extend(self.original_id.to_be_bytes());
        data.extend(self.error.to_be_bytes());
        data.extend(length(self.other));
        data.extend(self.other);
        data
    }

    /// The part of the record that is signed (section 4.3.3).
    fn variables(&self, key_name: &Name) -> Vec<u8> {
        const TIME_TO_LIVE: [u8; 4] = [0; 4];
        let mut signed = key_name.lowered().wire().to_vec();
        signed.extend(Class::ANY.0.to_be_bytes());
        signed.extend(TIME_TO_LIVE);
        signed.extend(self.algorithm.lowered().wire());
        signed.extend(&self.time.to_be_bytes()[2..]);
        signed.extend(self.fudge.to_be_bytes());
        signed.extend(self.error.to_be_bytes());
        signed.extend(length(self.other));
        signed.extend(self.other);
        signed
    }

    /// The server's own time, which it sends when the clocks differ (section 5.2.3).
    fn server_time(&self) -> Option<u64> {
        number(self.other, 6).ok().map(|(time, _)| time)
    }
}

/// The length of `bytes` as two bytes; nothing here is longer than a message.
fn length(bytes: &[u8]) -> [u8; 2] {
    u16::try_from(bytes.len()).unwrap_or_default().to_be_bytes()
}

/// The number in the first `count` bytes, at most eight, and the bytes after it.
fn number(bytes: &[u8], count: usize) -> Result<(u64, &[u8]), Malformed> {
    let (number, rest) = bytes.split_at_checked(count).ok_or(Malformed)?;
    Ok((number.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)), rest))
}

/// The bytes whose length is in the first two bytes, and the bytes after them.
fn counted(bytes: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let (count, rest) = number(bytes, 2)?;
    rest.split_at_checked(usize::try_from(count).map_err(|_| Malformed)?).ok_or(Malformed)
}

#[cfg(test)]
mod tests {
    use ring::hmac;

    use super::super::dns::{Question, query};
    use super::*;

    const NOW: u64 = 1_795_000_000;

    fn key() -> TsigKey {
        TsigKey { name: Name::from_text("Dev1").unwrap(), algorithm: Algorithm::Sha256 }
    }

    fn keyed(secret: &'static [u8]) -> impl Fn(&[u8]) -> Vec<u8> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        move |bytes| hmac::sign(&key, bytes).as_ref().to_vec()
    }

    fn question() -> Question {
        let name = Name::from_text("example.com").unwrap();
        Question { name, record_type: Type::SOA, class: Class::IN }
    }

    /// An answer to `request` as a server with `secret` would sign it at `time`.
    fn answer(request: &Signed, secret: &'static [u8], time: u64, fault: (u16, &[u8])) -> Vec<u8> {
        let mut bytes = query(7, &question());
        bytes[2] |= 0x80;
        let mut signature = Signature {
            algorithm: Algorithm::Sha256.into(),
            time,
            fudge: FUDGE,
            mac: &[],
            original_id: 7,
            error: fault.0,
            other: fault.1,
        };
        let prefix = [&length(&request.mac)[..], &request.mac].concat();
        let mac = keyed(secret)(&[&prefix[..], &bytes, &signature.variables(&key().name)].concat());
        signature.mac = &mac;
        let (name, data) = (key().name, signature.data());
        let record = ResourceRecord { name, record_type: Type::TSIG, class: Class::ANY, data };
        put_record(&mut bytes, &record, 0);
        set_word(&mut bytes, ADDITIONAL_COUNT, 1);
        bytes
    }

    fn request() -> Signed {
        sign(query(7, &question()), &key(), NOW, &keyed(b"secret"))
    }

    fn checked(bytes: &[u8]) -> Check {
        check(bytes, &request().mac, &key(), NOW, &keyed(b"secret")).unwrap().1
    }

    #[test]
    fn a_signed_message_is_the_message_with_one_record_more() {
        let signed = request();
        let message = Message::parse(&signed.bytes).unwrap();
        assert_eq!(message.questions, [question()]);
        assert_eq!(message.additional.len(), 1);
        assert_eq!(message.additional[0].name, key().name);
        assert_eq!(signed.bytes[..message.last_at][12..], query(7, &question())[12..]);
    }

    #[test]
    fn only_a_holder_of_the_key_can_answer() {
        let request = request();
        assert_eq!(checked(&answer(&request, b"secret", NOW, (0, b""))), Check::Verified);
        let forged = Check::Unverified(Complaint::Forged);
        assert_eq!(checked(&answer(&request, b"guessed", NOW, (0, b""))), forged);
        let other = sign(query(8, &question()), &key(), NOW, &keyed(b"secret"));
        assert_eq!(checked(&answer(&other, b"secret", NOW, (0, b""))), forged, "another's answer");
        let unsigned = query(7, &question());
        assert_eq!(checked(&unsigned), Check::Unverified(Complaint::Unsigned));
    }

    #[test]
    fn no_byte_of_a_signed_answer_can_be_changed() {
        let bytes = answer(&request(), b"secret", NOW, (0, b""));
        let record_length = bytes.len() - Message::parse(&bytes).unwrap().last_at;
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            // The message's id, the case of names, and a time to live that nobody uses are no part.
            let time_to_live = bytes.len() - record_length + 4 + key().name.wire().len();
            let is_signed = place > 1
                && !changed.eq_ignore_ascii_case(&bytes)
                && !(time_to_live..time_to_live + 4).contains(&place);
            let verdict = check(&changed, &request().mac, &key(), NOW, &keyed(b"secret"));
            let verified = matches!(verdict, Ok((_, Check::Verified)));
            assert!(!(verified && is_signed), "byte {place}");
        }
    }

    #[test]
    fn clocks_that_differ_are_told_with_the_servers() {
        let request = request();
        let server = NOW - 600;
        let other = server.to_be_bytes();
        let told = answer(&request, b"secret", NOW, (error::BADTIME, &other[2..]));
        assert_eq!(checked(&told), Check::Clock(server));
        assert_eq!(checked(&answer(&request, b"secret", server, (0, b""))), Check::Clock(server));
        let near = NOW + 300;
        assert_eq!(checked(&answer(&request, b"secret", near, (0, b""))), Check::Verified);
    }

    #[test]
    fn what_the_server_says_without_a_signature_is_kept_apart() {
        let request = request();
        for (error, complaint) in [
            (error::BADKEY, Complaint::BadKey),
            (error::BADSIG, Complaint::BadSignature),
            (error::BADTIME, Complaint::BadTime),
        ] {
            let bytes = answer(&request, b"guessed", NOW, (error, b""));
            assert_eq!(checked(&bytes), Check::Unverified(complaint));
        }
    }

    #[test]
    fn a_cut_signature_is_malformed() {
        let bytes = answer(&request(), b"secret", NOW, (0, b""));
        for end in 0..bytes.len() {
            let cut = check(&bytes[..end], &request().mac, &key(), NOW, &keyed(b"secret"));
            assert!(cut.is_err(), "cut at {end}");
        }
    }
}
