//! What the server knows, and what a token may do. Pure.

use std::time::Duration;

use super::chance;

/// Which release it plays.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Release {
    /// After the move to Devise: tokens are made, and open nothing.
    Devise,
    /// On a newer Ruby: answers changes in XML, and stumbles over lists of one.
    Later,
    /// 2.3.3: answers changes in JavaScript only, whatever came of them.
    V2_3_3,
}

/// What a user may do with domains.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    Admin,
    Nobody,
    Owner,
}

#[derive(Clone, Debug)]
pub struct User {
    pub login: String,
    pub password: String,
    pub role: Role,
    /// Whether it has the "Auth token" role.
    pub makes_tokens: bool,
}

#[derive(Clone, Debug)]
pub struct Domain {
    pub id: u64,
    pub name: String,
    pub records: Vec<Record>,
}

#[derive(Clone, Debug)]
pub struct Record {
    pub id: u64,
    pub name: String,
    pub kind: String,
    pub content: String,
    pub ttl: u32,
}

#[derive(Clone, Debug)]
pub struct Token {
    pub id: u64,
    pub secret: String,
    /// The domain's number.
    pub domain: u64,
    /// Since the Unix epoch.
    pub expires: Duration,
    pub allows_by_default: bool,
    pub allow_new: bool,
    pub remove: bool,
    /// `name:TYPE`, or a name alone.
    pub records: Vec<String>,
    pub protect: Vec<String>,
    pub protect_types: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct Session {
    pub cookie: String,
    /// The token's number: its secret may change under it.
    pub token: u64,
}

/// Who asks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Credential {
    /// Nobody that says so.
    Absent,
    /// The user of that name, with the right password.
    Basic(String),
    /// A session that a token opened.
    Session,
    /// A token in the path that is known and has not expired.
    Token,
    /// Something that is not known.
    Unknown,
}

/// The whole.
#[derive(Clone, Debug)]
pub struct World {
    pub release: Release,
    /// What its paths begin with, such as `/powerdns`; mostly nothing.
    pub base: String,
    /// What it believes to be called, as far as it differs from what the client calls it.
    pub believed: Option<String>,
    pub users: Vec<User>,
    pub domains: Vec<Domain>,
    pub tokens: Vec<Token>,
    pub sessions: Vec<Session>,
    /// Contents that no validation passes.
    pub invalid: Vec<String>,
    /// How far its clock is ahead of the machine's.
    pub ahead: Duration,
    next: u64,
}

/// The user that makes tokens, and owns nothing.
pub const MINTER: (&str, &str) = ("minter", "minter-s3cret-pass");
/// The user that owns the domains.
pub const OWNER: (&str, &str) = ("owner", "owner-s3cret-pass");

impl World {
    /// A server with both users and no domain.
    pub fn new(release: Release) -> Self {
        let user = |(login, password): (&str, &str), role, makes_tokens| User {
            login: login.to_owned(),
            password: password.to_owned(),
            role,
            makes_tokens,
        };
        Self {
            release,
            base: String::new(),
            believed: None,
            users: vec![user(MINTER, Role::Nobody, true), user(OWNER, Role::Owner, false)],
            domains: Vec::new(),
            tokens: Vec::new(),
            sessions: Vec::new(),
            invalid: Vec::new(),
            ahead: Duration::ZERO,
            next: 11,
        }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Adds a domain with SOA and NS, and returns its number.
    pub fn add_domain(&mut self, name: &str) -> u64 {
        let id = self.number();
        self.domains.push(Domain { id, name: name.to_owned(), records: Vec::new() });
        self.add_record(name, "SOA", "ns1.example.net hostmaster.example.net 1");
        self.add_record(name, "NS", "ns1.example.net");
        id
    }

    /// Adds a record to the domain that its name is in, and returns its number.
    ///
    /// # Panics
    ///
    /// If there is no such domain.
    pub fn add_record(&mut self, name: &str, kind: &str, content: &str) -> u64 {
        let id = self.number();
        let is_in = |domain: &&mut Domain| {
            name == domain.name || name.ends_with(&format!(".{}", domain.name))
        };
        let domain = self.domains.iter_mut().find(is_in).expect("add the domain first");
        let (name, kind, content) = (name.to_owned(), kind.to_owned(), content.to_owned());
        domain.records.push(Record { id, name, kind, content, ttl: 60 });
        id
    }

    /// Adds a token that may change `records` (`name:TYPE`) until `expires`, and returns its secret.
    pub fn add_token(&mut self, domain: u64, records: &[&str], expires: Duration) -> String {
        let id = self.number();
        let secret = secret();
        self.tokens.push(Token {
            id,
            secret: secret.clone(),
            domain,
            expires,
            allows_by_default: false,
            allow_new: false,
            remove: false,
            records: records.iter().map(|&record| record.to_owned()).collect(),
            protect: Vec::new(),
            protect_types: Vec::new(),
        });
        secret
    }

    /// The values of the records of one type at a name.
    pub fn values(&self, name: &str, kind: &str) -> Vec<String> {
        let records = self.domains.iter().flat_map(|domain| &domain.records);
        let fits = |record: &&Record| record.name == name && record.kind == kind;
        records.filter(fits).map(|record| record.content.clone()).collect()
    }

    pub fn domain(&self, id: u64) -> Option<&Domain> {
        self.domains.iter().find(|domain| domain.id == id)
    }

    pub fn domain_mut(&mut self, id: u64) -> Option<&mut Domain> {
        self.domains.iter_mut().find(|domain| domain.id == id)
    }

    /// A new record in a domain; returns its number.
    pub fn create(&mut self, domain: u64, record: &Record) -> u64 {
        let id = self.number();
        if let Some(domain) = self.domain_mut(domain) {
            domain.records.push(Record { id, ..record.clone() });
        }
        id
    }

    /// The token of that secret, if its time is not over.
    pub fn live_token(&self, secret: &str, now: Duration) -> Option<&Token> {
        self.tokens.iter().find(|token| token.secret == secret && now < token.expires)
    }

    /// The token behind a session. A session goes on when its token expires or is renamed.
    pub fn token_of_session(&self, cookie: &str) -> Option<&Token> {
        let session = self.sessions.iter().find(|session| session.cookie == cookie)?;
        self.tokens.iter().find(|token| token.id == session.token)
    }

    /// Opens a session for a token, and returns its cookie.
    pub fn open(&mut self, token: u64) -> String {
        let cookie = chance::secret();
        self.sessions.push(Session { cookie: cookie.clone(), token });
        cookie
    }

    /// Saves a token anew, which gives it another secret: what happens when it creates a record.
    pub fn save_again(&mut self, token: u64) {
        if let Some(token) = self.tokens.iter_mut().find(|known| known.id == token) {
            token.secret = secret();
        }
    }

    /// What a logout does: the session ends, and its token for good.
    pub fn log_out(&mut self, cookie: &str, now: Duration) {
        let id = self.token_of_session(cookie).map(|token| token.id);
        self.sessions.retain(|session| session.cookie != cookie);
        for token in self.tokens.iter_mut().filter(|token| Some(token.id) == id) {
            token.expires = now;
        }
    }

    /// Whether a value passes validation.
    pub fn is_valid(&self, kind: &str, content: &str) -> bool {
        let fits = match kind {
            "A" => content.parse::<std::net::Ipv4Addr>().is_ok(),
            "AAAA" => content.parse::<std::net::Ipv6Addr>().is_ok(),
            _ => !content.is_empty(),
        };
        fits && !self.invalid.iter().any(|invalid| invalid == content)
    }
}

impl Token {
    /// Whether it may change a record of that type at that name.
    pub fn may_change(&self, name: &str, kind: &str) -> bool {
        let named = |entries: &[String]| {
            entries.iter().any(|entry| match entry.split_once(':') {
                Some((of_name, of_kind)) => of_name == name && of_kind == kind,
                None => entry == name,
            })
        };
        let is_protected = matches!(kind, "NS" | "SOA")
            || self.protect_types.iter().any(|of_kind| of_kind == kind)
            || named(&self.protect);
        !is_protected && (self.allows_by_default || named(&self.records))
    }
}

/// 16 characters of `a-z1-9`.
fn secret() -> String {
    // The sandbox's alphabet lies within this one.
    chance::secret()[..16].to_owned()
}
