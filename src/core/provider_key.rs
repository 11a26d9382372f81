//! The keys of `[provider.NAME]`: how each is written, which protocols take it, and what it means.
//!
//! Constants alone, without a path into the crate, because build.rs reads this file, too. Used by the
//! configuration and by the built-in entries.

/// Makes the type of the keys from one row per key: its meaning, name, form and takers.
macro_rules! keys {
    ($($(#[$meaning:meta])* $key:ident $word:literal $form:ident $takers:ident,)*) => {
        /// A key of `[provider.NAME]`.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum ProviderKey {
            $($(#[$meaning])* $key,)*
        }

        impl ProviderKey {
            /// Every key, sorted by name.
            pub const ALL: &[Self] = &[$(Self::$key),*];

            /// The names of all keys.
            pub const WORDS: &[&'static str] = &[$($word),*];

            /// The form of its value.
            pub fn form(self) -> Form {
                match self {
                    $(Self::$key => Form::$form,)*
                }
            }

            /// Which protocols take it.
            pub fn takers(self) -> Takers {
                match self {
                    $(Self::$key => Takers::$takers,)*
                }
            }
        }
    };
}

keys! {
    /// The hash algorithm of keys whose file does not name it.
    Algorithm "algorithm" Text Few,
    /// What answers mean.
    Answer "answer" Tree Few,
    /// Whether refusals are read from the status as well.
    Answers "answers" Text Few,
    /// The label of a zone's own name.
    Apex "apex" Text Few,
    /// Where the management API is.
    ApiUrl "api-url" Text Few,
    /// How many hosts one request may name.
    Batch "batch" Number Remote,
    /// One more certificate authority to trust.
    CaFile "ca-file" File Web,
    /// The step that gives a record another address.
    Change "change" Tree Few,
    /// The step that makes changes take effect.
    Commit "commit" Tree Few,
    /// The step that makes a record.
    Create "create" Tree Few,
    /// The narrowest credential that the service offers.
    Credential "credential" Text All,
    /// The step that reads one record.
    Each "each" Tree Few,
    /// A web service that answers with the asker's IPv4 address.
    Echo4 "echo4" Text Web,
    /// A web service that answers with the asker's IPv6 address.
    Echo6 "echo6" Text Web,
    /// The built-in entry whose settings stand where this one has none.
    Extends "extends" Text All,
    /// The only family that the service has.
    Families "families" Text Few,
    /// The step that finds the zone of a host.
    Find "find" Tree Few,
    /// What stands between the parts of `{items}`.
    Glue "glue" Text Few,
    /// The headers of every request.
    Headers "headers" Tree Few,
    /// The parameter that carries IPv4 addresses.
    Ipv4Parameter "ipv4-parameter" Text Few,
    /// The parameter that carries IPv6 addresses.
    Ipv6Parameter "ipv6-parameter" Text Few,
    /// The part of `{items}` for one address.
    Item "item" Text Few,
    /// The claims of `{jwt}`.
    Jwt "jwt" Text Few,
    /// The form of the key file that the secret is.
    Key "key" Text Few,
    /// The value that leaves a family alone.
    Leave "leave" Text Few,
    /// The step that lists the records of a host.
    List "list" Tree Few,
    /// Where the login comes from when the host has none; or the step that opens a session.
    Login "login" Tree Few,
    /// Whether lists name records by labels.
    Names "names" Text Few,
    /// What else a user should know.
    Note "note" Text All,
    /// What happens to a family's record when a request leaves the family out.
    Omit "omit" Text Web,
    /// Whether each family needs a request of its own.
    OneFamily "one-family" Flag Few,
    /// The names of options that a host may set.
    Options "options" Tree Few,
    /// How many requests per time the service accepts.
    Pace "pace" Text Remote,
    /// The page where the credential is made.
    Page "page" Text All,
    /// Words that differ between the families.
    Pair "pair" Tree Few,
    /// Whether `http://` to a private address is accepted.
    PlainHttp "plain-http" Flag Web,
    /// The requests that show what a credential can do beyond its job.
    Power "power" Tree Few,
    /// The protocol of the service.
    Protocol "protocol" Text All,
    /// Parameters that every request carries.
    Query "query" Text Few,
    /// What the narrowest credential can write, where that is more than one name.
    Reach "reach" Text All,
    /// How often an unchanged address must be confirmed.
    Refresh "refresh" Text Remote,
    /// The step that removes a record.
    Remove "remove" Tree Few,
    /// The number of parts of the secret.
    SecretParts "secret-parts" Number Few,
    /// The server, to which the protocol's own paths are added.
    Server "server" Text Remote,
    /// The step that sets all addresses.
    Set "set" Tree Few,
    /// The part of `{sets}` for one family.
    SetItem "set-item" Text Few,
    /// How requests are signed.
    Sign "sign" Text Few,
    /// How long a whole update may take.
    Timeout "timeout" Text Remote,
    /// The service's name in messages.
    Title "title" Text All,
    /// Who makes its tokens for `homing token`.
    Tokens "tokens" Text Few,
    /// The limits of the time to live.
    Ttl "ttl" Tree Few,
    /// Where updates go.
    UpdateUrl "update-url" Text Web,
    /// The zone of all hosts.
    Zone "zone" Text Remote,
}

/// The form of a value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// The path of a file that is read.
    File,
    /// True or false.
    Flag,
    /// A whole number.
    Number,
    /// A text.
    Text,
    /// A text, a list or a table.
    Tree,
}

/// Which protocols take a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Takers {
    /// Every protocol.
    All,
    /// The protocols that list the key among their own.
    Few,
    /// The protocols that speak to a server.
    Remote,
    /// The protocols that speak HTTP.
    Web,
}

/// The sign of the first key in the texts of built-in entries; the next keys have the next characters.
const FIRST_SIGN: u8 = b'A';

impl ProviderKey {
    /// The key called `word`.
    pub fn named(word: &str) -> Option<Self> {
        let index = Self::WORDS.binary_search(&word).ok()?;
        Self::ALL.get(index).copied()
    }

    /// The key's name.
    pub fn word(self) -> &'static str {
        Self::WORDS[self as usize]
    }

    /// The character that stands for it in the texts of built-in entries.
    pub fn sign(self) -> char {
        char::from(FIRST_SIGN + self as u8)
    }

    /// The key that `sign` stands for.
    pub fn signed(sign: u8) -> Option<Self> {
        Self::ALL.get(usize::from(sign.checked_sub(FIRST_SIGN)?)).copied()
    }

    /// The order in which settings are applied to an entry: the first two affect the others.
    pub fn rank(self) -> usize {
        let first = [Self::PlainHttp, Self::Server];
        first.iter().position(|key| *key == self).unwrap_or(first.len())
    }
}
