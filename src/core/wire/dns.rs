//! DNS messages (RFC 1035): queries to bytes, bytes to messages.
//!
//! Pure: the random id is an argument, sending is the shell's work. For any bytes, reading ends
//! soon and never panics. A record's data are kept as received; the caller knows what they mean.
//! Updates and signatures are built on this in files of their own.

use std::fmt;

use crate::core::address::Family;
use crate::core::name::Hostname;

/// A domain name as it goes on the wire, without compression. Case does not count (RFC 4343).
#[derive(Clone, Debug)]
pub struct Name(Vec<u8>);

/// The type of a record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Type(pub u16);

/// The class of a record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Class(pub u16);

/// The response code: the question was answered, or why not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rcode(pub u8);

/// The first twelve bytes of a message, without its counts (section 4.1.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// The number that the asker chose to recognise the answer.
    pub id: u16,
    /// The bit QR: an answer, not a query.
    pub is_answer: bool,
    /// The kind of query; 0 is an ordinary one.
    pub opcode: u8,
    /// The bit AA: the server is responsible for the name, and does not answer from a cache.
    pub is_authoritative: bool,
    /// The bit TC: the message was cut to fit.
    pub is_truncated: bool,
    /// The response code.
    pub rcode: Rcode,
}

/// A question (section 4.1.2).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Question {
    /// The name whose records are asked for.
    pub name: Name,
    /// The type of the records.
    pub record_type: Type,
    /// The class of the records.
    pub class: Class,
}

/// A record (section 4.1.3). Its time to live is not kept, because no record is cached.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ResourceRecord {
    /// The name that has the record.
    pub name: Name,
    /// Its type.
    pub record_type: Type,
    /// Its class.
    pub class: Class,
    /// Its data as received; in an NS record the name is written out.
    pub data: Vec<u8>,
}

/// A message. The records of a truncated message are not read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    /// The header.
    pub header: Header,
    /// The questions; in an update, the zone.
    pub questions: Vec<Question>,
    /// The records that answer.
    pub answers: Vec<ResourceRecord>,
    /// The records that name a responsible server.
    pub authority: Vec<ResourceRecord>,
    /// Other records; a signature is the last of them.
    pub additional: Vec<ResourceRecord>,
    /// The index of the byte at which the last record begins: a signature covers what comes before it.
    pub last_at: usize,
}

/// The bytes are no DNS message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Malformed;

impl Type {
    /// An IPv4 address.
    pub const A: Self = Self(1);
    /// A server of the zone.
    pub const NS: Self = Self(2);
    /// Another name that is used instead of this one.
    pub const CNAME: Self = Self(5);
    /// The beginning of a zone.
    pub const SOA: Self = Self(6);
    /// Texts.
    pub const TXT: Self = Self(16);
    /// An IPv6 address (RFC 3596).
    pub const AAAA: Self = Self(28);
    /// A signature of the whole message (RFC 8945).
    pub const TSIG: Self = Self(250);
    /// Every type.
    pub const ANY: Self = Self(255);

    /// The type of the records that hold addresses of `family`.
    pub fn of(family: Family) -> Self {
        match family {
            Family::V4 => Self::A,
            Family::V6 => Self::AAAA,
        }
    }
}

impl Class {
    /// The Internet.
    pub const IN: Self = Self(1);
    /// Chaosnet; servers answer questions about themselves in it.
    pub const CH: Self = Self(3);
    /// In an update: what must not be there (RFC 2136, section 2.4).
    pub const NONE: Self = Self(254);
    /// In an update: what is to be deleted whole, or must be there (RFC 2136, sections 2.4 and 2.5).
    pub const ANY: Self = Self(255);
}

impl Rcode {
    /// The question was answered.
    pub const NO_ERROR: Self = Self(0);
    /// The message is not understood.
    pub const FORM_ERR: Self = Self(1);
    /// There is no such name.
    pub const NX_DOMAIN: Self = Self(3);
    /// The server does not support such requests.
    pub const NOT_IMP: Self = Self(4);
    /// The server refuses the request.
    pub const REFUSED: Self = Self(5);
    /// The server is not responsible for the zone, or the signature is wrong (RFC 8945, section
    /// 5.2).
    pub const NOT_AUTH: Self = Self(9);
    /// The name is not within the zone (RFC 2136, section 2.2).
    pub const NOT_ZONE: Self = Self(10);
}

impl Rcode {
    /// The name of the code (RFC 2136, section 2.2), such as `NOERROR`.
    pub fn name(self) -> String {
        const NAMES: [&str; 11] = [
            "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN",
            "YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE",
        ];
        let name = NAMES.get(usize::from(self.0));
        name.map_or_else(|| format!("RCODE {}", self.0), |name| (*name).to_owned())
    }
}

/// Writes the code in words that follow the server's name.
impl fmt::Display for Rcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("answers (NOERROR)"),
            1 => f.write_str("does not understand the question (FORMERR)"),
            2 => f.write_str("cannot find the answer (SERVFAIL)"),
            3 => f.write_str("does not know the name (NXDOMAIN)"),
            4 => f.write_str("does not answer such questions (NOTIMP)"),
            5 => f.write_str("refuses to answer (REFUSED)"),
            other => write!(f, "answers with the error RCODE {other}"),
        }
    }
}

/// Whether names in text form may hold `c`.
fn is_plain(c: char) -> bool {
    c.is_ascii_graphic() && !matches!(c, '\\' | '"' | ';' | '(' | ')')
}

impl Name {
    /// The longest name, in bytes (section 3.1).
    const LONGEST: usize = 255;

    /// The name with the text form `text`, with or without a final dot; `None` when it is no name.
    ///
    /// Accepts the characters of keys' names: printable ASCII without white space, backslash or quote.
    pub fn from_text(text: &str) -> Option<Self> {
        const LONGEST_LABEL: usize = 63;
        let mut wire = Vec::with_capacity(text.len() + 2);
        for label in text.strip_suffix('.').unwrap_or(text).split('.') {
            if label.is_empty() || label.len() > LONGEST_LABEL || !label.chars().all(is_plain) {
                return None;
            }
            wire.push(u8::try_from(label.len()).ok()?);
            wire.extend(label.as_bytes());
        }
        wire.push(0);
        (wire.len() <= Self::LONGEST).then_some(Self(wire))
    }

    /// The root, the name above all others.
    pub fn root() -> Self {
        Self(vec![0])
    }

    /// The name as it goes on the wire.
    pub fn wire(&self) -> &[u8] {
        &self.0
    }

    /// The name in lower case, as signatures and comparisons want it (RFC 4034, section 6.2).
    pub fn lowered(&self) -> Self {
        Self(self.0.to_ascii_lowercase())
    }

    /// This name as a host name, if it is one.
    pub fn hostname(&self) -> Option<Hostname> {
        self.to_string().parse().ok()
    }

    /// The name at the beginning of a record's data, where it must not be compressed, and the
    /// rest of the data.
    pub fn leading(data: &[u8]) -> Result<(Self, &[u8]), Malformed> {
        let mut end = 0;
        loop {
            let length = usize::from(*data.get(end).ok_or(Malformed)?);
            end += 1 + length;
            if length > 63 || end > Self::LONGEST {
                return Err(Malformed);
            }
            if length == 0 {
                let (name, rest) = data.split_at_checked(end).ok_or(Malformed)?;
                return Ok((Self(name.to_vec()), rest));
            }
        }
    }

    fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.0[..];
        std::iter::from_fn(move || {
            let (length, after) = rest.split_first()?;
            let (label, after) = after.split_at_checked(usize::from(*length))?;
            rest = after;
            (!label.is_empty()).then_some(label)
        })
    }
}

/// Writes dots between the labels and none at the end; the root is `.`. Bytes that [`Name::from_text`]
/// refuses are written in decimal, as in zone files (section 5.1), and so is a dot within a label.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for label in self.labels() {
            f.write_str(separator)?;
            for byte in label {
                match char::from(*byte) {
                    c if is_plain(c) && c != '.' => write!(f, "{c}")?,
                    _ => write!(f, "\\{byte:03}")?,
                }
            }
            separator = ".";
        }
        if separator.is_empty() { f.write_str(".") } else { Ok(()) }
    }
}

impl From<&Hostname> for Name {
    fn from(name: &Hostname) -> Self {
        // Every host name is a name.
        Self::from_text(name.as_str()).unwrap_or_else(Self::root)
    }
}

impl PartialEq for Name {
    /// Length bytes are smaller than letters, so all bytes can be compared without case.
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Name {}

/// The query that asks `question`, with recursion desired.
pub fn query(id: u16, question: &Question) -> Vec<u8> {
    const RECURSION_DESIRED: u16 = 0x0100;
    let mut message = header(id, RECURSION_DESIRED, [1, 0, 0, 0]);
    put_question(&mut message, question);
    message
}

/// The query to a server about its own zones: without recursion desired, so that no cache
/// answers.
pub fn direct_query(id: u16, question: &Question) -> Vec<u8> {
    let mut message = header(id, 0, [1, 0, 0, 0]);
    put_question(&mut message, question);
    message
}

/// The first bytes of a message: its id, its flags, and the number of records in each section.
pub(in crate::core) fn header(id: u16, flags: u16, counts: [u16; 4]) -> Vec<u8> {
    [id, flags].into_iter().chain(counts).flat_map(u16::to_be_bytes).collect()
}

/// Appends a question, or the zone of an update.
pub(in crate::core) fn put_question(message: &mut Vec<u8>, question: &Question) {
    message.extend(&question.name.0);
    message.extend(question.record_type.0.to_be_bytes());
    message.extend(question.class.0.to_be_bytes());
}

/// Appends a record with `time_to_live` in seconds; its data must be shorter than 64 KiB.
pub(in crate::core) fn put_record(
    message: &mut Vec<u8>,
    record: &ResourceRecord,
    time_to_live: u32,
) {
    let ResourceRecord { name, record_type, class, data } = record;
    let (name, record_type, class) = (name.clone(), *record_type, *class);
    put_question(message, &Question { name, record_type, class });
    message.extend(time_to_live.to_be_bytes());
    message.extend(u16::try_from(data.len()).unwrap_or_default().to_be_bytes());
    message.extend(data);
}

/// The length of a header, in bytes.
pub(super) const HEADER: usize = 12;

impl Message {
    /// Reads a message; bytes after its last record are ignored.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader { bytes, at: 0, last_at: 0 };
        let header = reader.header()?;
        let question_count = reader.u16()?;
        let counts = [reader.u16()?, reader.u16()?, reader.u16()?];
        let questions = (0..question_count).map(|_| reader.question()).collect::<Result<_, _>>()?;
        reader.last_at = reader.at;
        let mut section = |count: u16| -> Result<Vec<ResourceRecord>, Malformed> {
            let readable = if header.is_truncated { 0 } else { count };
            (0..readable).map(|_| reader.record()).collect()
        };
        let (answers, authority) = (section(counts[0])?, section(counts[1])?);
        let additional = section(counts[2])?;
        let last_at = reader.last_at;
        Ok(Self { header, questions, answers, authority, additional, last_at })
    }

    /// Whether this answers `question` asked with `id`: any other message may be forged (RFC 5452).
    pub fn answers(&self, id: u16, question: &Question) -> bool {
        let Header { is_answer, opcode, .. } = self.header;
        let is_ours = self.header.id == id && self.questions == std::slice::from_ref(question);
        is_answer && opcode == 0 && is_ours
    }
}

/// Reads a message from its beginning to its end.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The index at which the last record that was read begins.
    last_at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let taken = self.bytes.get(self.at..self.at + count).ok_or(Malformed)?;
        self.at += count;
        Ok(taken)
    }

    fn u16(&mut self) -> Result<u16, Malformed> {
        let bytes = self.take(2)?.try_into().map_err(|_| Malformed)?;
        Ok(u16::from_be_bytes(bytes))
    }

    fn header(&mut self) -> Result<Header, Malformed> {
        let id = self.u16()?;
        let [high, low] = self.u16()?.to_be_bytes();
        Ok(Header {
            id,
            is_answer: high & 0x80 != 0,
            opcode: high >> 3 & 0x0f,
            is_authoritative: high & 0x04 != 0,
            is_truncated: high & 0x02 != 0,
            rcode: Rcode(low & 0x0f),
        })
    }

    fn question(&mut self) -> Result<Question, Malformed> {
        Ok(Question {
            name: self.name()?,
            record_type: Type(self.u16()?),
            class: Class(self.u16()?),
        })
    }

    fn record(&mut self) -> Result<ResourceRecord, Malformed> {
        const TIME_TO_LIVE: usize = 4;
        self.last_at = self.at;
        let Question { name, record_type, class } = self.question()?;
        self.take(TIME_TO_LIVE)?;
        let length = self.u16()?;
        let begin = self.at;
        let mut data = self.take(length.into())?.to_vec();
        // Names in the data of a few types may be compressed (RFC 3597, section 4); only NS is
        // asked for here.
        if record_type == Type::NS {
            let end = std::mem::replace(&mut self.at, begin);
            if let (Ok(name), true) = (self.name(), self.at == end) {
                data = name.0;
            }
            self.at = end;
        }
        Ok(ResourceRecord { name, record_type, class, data })
    }

    /// Reads a name and undoes its compression (section 4.1.4).
    fn name(&mut self) -> Result<Name, Malformed> {
        const POINTER: u8 = 0xc0;
        let mut wire = Vec::new();
        let mut begin = self.at;
        let mut end = None;
        loop {
            let length = self.take(1)?[0];
            match length & POINTER {
                0 => {
                    wire.push(length);
                    wire.extend(self.take(length.into())?);
                }
                POINTER => {
                    let low = self.take(1)?[0];
                    end = end.or(Some(self.at));
                    let to = usize::from(u16::from_be_bytes([length & !POINTER, low]));
                    // Pointers only lead back to earlier bytes, so every name ends.
                    if to >= begin {
                        return Err(Malformed);
                    }
                    (begin, self.at) = (to, to);
                }
                _ => return Err(Malformed),
            }
            if wire.len() > Name::LONGEST {
                return Err(Malformed);
            }
            if length == 0 {
                self.at = end.unwrap_or(self.at);
                return Ok(Name(wire));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question() -> Question {
        let name: Hostname = "myip.opendns.com".parse().unwrap();
        Question { name: (&name).into(), record_type: Type::A, class: Class::IN }
    }

    /// The query for [`question`] with the id 0x1234, as dig sends it without EDNS.
    const QUERY: &[u8] = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\
        \x04myip\x07opendns\x03com\x00\x00\x01\x00\x01";

    /// Its answer: a record whose name points to the question's, 8.8.8.8.
    const ANSWER: &[u8] = b"\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\
        \x04myip\x07opendns\x03com\x00\x00\x01\x00\x01\
        \xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x00\x00\x04\x08\x08\x08\x08";

    /// [`ANSWER`] with the byte at `place` replaced.
    fn with(place: usize, byte: u8) -> Vec<u8> {
        let mut bytes = ANSWER.to_vec();
        bytes[place] = byte;
        bytes
    }

    fn is_answer(bytes: &[u8]) -> bool {
        Message::parse(bytes).is_ok_and(|message| message.answers(0x1234, &question()))
    }

    #[test]
    fn a_query_holds_its_question() {
        assert_eq!(query(0x1234, &question()), QUERY);
        let message = Message::parse(QUERY).unwrap();
        assert_eq!(message.questions, [question()]);
        assert!(!message.answers(0x1234, &question()), "it is a query");
    }

    #[test]
    fn an_answer_is_read_with_its_compressed_name() {
        let message = Message::parse(ANSWER).unwrap();
        assert!(message.answers(0x1234, &question()));
        let Question { name, record_type, class } = question();
        assert_eq!(
            message.answers,
            [ResourceRecord { name, record_type, class, data: vec![8, 8, 8, 8] }]
        );
        let rcode = Rcode::NO_ERROR;
        let expect = Header {
            id: 0x1234,
            is_answer: true,
            opcode: 0,
            is_authoritative: false,
            is_truncated: false,
            rcode,
        };
        assert_eq!(message.header, expect);
    }

    #[test]
    fn only_the_answer_to_the_question_counts() {
        assert!(is_answer(&with(13, b'M')), "case does not count");
        assert!(!is_answer(&with(1, 0x35)), "another id");
        assert!(!is_answer(&with(2, 0x01)), "a query");
        assert!(!is_answer(&with(2, 0x91)), "another opcode");
        assert!(!is_answer(&with(13, b'n')), "another name");
        assert!(!is_answer(&with(31, 28)), "another type");
        assert!(!is_answer(&with(33, 3)), "another class");
        assert!(!is_answer(b"\x12\x34\x81\x85\0\0\0\0\0\0\0\0"), "no question");
    }

    #[test]
    fn a_truncated_answer_is_read_as_far_as_its_question() {
        let cut = &with(2, 0x83)[..40];
        let message = Message::parse(cut).unwrap();
        assert!(message.header.is_truncated && message.answers.is_empty());
        assert!(message.answers(0x1234, &question()));
        assert_eq!(Message::parse(&ANSWER[..40]), Err(Malformed));
    }

    #[test]
    fn names_that_lead_nowhere_are_malformed() {
        for pointer in [0x22, 0x23, 0x24, 0x32, 0xff] {
            assert_eq!(Message::parse(&with(35, pointer)), Err(Malformed), "{pointer:#x}");
        }
        assert_eq!(Message::parse(&with(12, 0x44)), Err(Malformed), "no such kind of label");
        // Labels of 63 bytes, one more than fits.
        let label = [&[63][..], &[b'a'; 63]].concat();
        let header = b"\0\0\0\0\0\x01\0\0\0\0\0\0";
        let long = [&header[..], &label.repeat(4), b"\0\0\x01\0\x01"].concat();
        assert_eq!(Message::parse(&long), Err(Malformed));
        let fits = [&header[..], &label.repeat(3), b"\0\0\x01\0\x01"].concat();
        assert!(Message::parse(&fits).is_ok());
    }

    #[test]
    fn a_name_is_written_as_it_is_read() {
        for text in ["dev1's", "a.b", "x'y'z.example", "#$%&*+,-/:<=>?@[]^_`{|}~!", "DEV1"] {
            let name = Name::from_text(text).unwrap();
            assert_eq!(name.to_string(), text);
            assert_eq!(Name::from_text(&name.to_string()).unwrap().wire(), name.wire());
        }
        let odd = Name::leading(b"\x05a.\\\"\n\0").unwrap().0;
        assert_eq!(odd.to_string(), "a\\046\\092\\034\\010");
        assert_eq!(odd.hostname(), None);
    }

    #[test]
    fn names_may_point_to_names_that_point() {
        let chained = b"\0\0\x80\0\0\x02\0\0\0\0\0\0\x01a\x00\0\x01\0\x01\x01b\xc0\x0c\0\x01\0\x01";
        let message = Message::parse(chained).unwrap();
        assert_eq!(message.questions[1].name.0, b"\x01b\x01a\x00");
    }

    #[test]
    fn no_bytes_are_too_strange() {
        for end in 0..ANSWER.len() {
            assert!(Message::parse(&ANSWER[..end]).is_err());
        }
        for place in 0..ANSWER.len() {
            for byte in 0..=u8::MAX {
                let _ = Message::parse(&with(place, byte));
            }
        }
        // A generator of Marsaglia's (xorshift), so that every run tries the same.
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        };
        for _ in 0..20_000 {
            let length = usize::from(random()[0]);
            let bytes: Vec<u8> =
                std::iter::repeat_with(&mut random).flatten().take(length).collect();
            let _ = Message::parse(&bytes);
            let _ = Message::parse(&[&ANSWER[..30], &bytes].concat());
        }
    }

    #[test]
    fn errors_are_told_in_words() {
        assert_eq!(Rcode(5).to_string(), "refuses to answer (REFUSED)");
        assert_eq!(Rcode(9).to_string(), "answers with the error RCODE 9");
    }
}
