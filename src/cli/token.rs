//! The settings of `homing token`: the tokens and their limits.
//!
//! The management token is not among them: neither the command line nor this parser ever holds it.

use std::ffi::OsStr;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use super::table::{self, Flag, Opt, Verb};
use super::{Given, UsageError, hostname, shown};
use crate::core::name::Hostname;
use crate::core::token::{SHORTEST, TokenId};

/// One of the token commands, with its settings.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct TokenCommand {
    /// The action.
    pub action: TokenAction,
    /// The named hosts, each once.
    pub hosts: Vec<Hostname>,
    /// Whether every host of the configuration is meant.
    pub all: bool,
    /// Whether every token of the account is meant.
    pub all_tokens: bool,
    /// The token to delete, if it is not a host's.
    pub id: Option<TokenId>,
    /// Whether requests are only printed, and nothing is changed.
    pub dry_run: bool,
    /// Whether the output is JSON.
    pub json: bool,
    /// Whether more than a few of the writes that a zone allows in an hour are tried.
    pub thorough: bool,
    /// Whether the secret is printed, too.
    pub print: bool,
    /// The directory for the folders to hand out.
    pub output: Option<PathBuf>,
    /// The zone to register first.
    pub create_domain: Option<Hostname>,
    /// The name for the token at the provider.
    pub name: Option<String>,
    /// Whether to do actions that are refused for their consequences.
    pub force: bool,
    /// Whether the token is ended by its own secret.
    pub logout: bool,
    /// The requested limits.
    pub limits: LimitsAsked,
    /// The file of the management token.
    pub management_token_file: Option<PathBuf>,
    /// The user that makes tokens, where the server wants a name and a password.
    pub management_user: Option<String>,
    /// The file of that user's password.
    pub management_password_file: Option<PathBuf>,
}

/// The actions on tokens.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum TokenAction {
    /// Make tokens.
    Issue,
    /// Show what tokens may do.
    Audit,
    /// Replace tokens by new ones.
    Rotate,
    /// Delete tokens.
    Revoke,
}

/// The requested limits of a token.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LimitsAsked {
    /// The request for the longest life, in whole seconds.
    pub max_age: Ask<Duration>,
    /// The request for the longest time without use, in whole seconds.
    pub max_unused: Ask<Duration>,
    /// The request for the networks where it works, each once and in the form `192.0.2.0/24`.
    pub subnets: Ask<Vec<String>>,
}

/// The requested change of a limit.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Ask<T> {
    /// Leave the limit as it is.
    #[default]
    Keep,
    /// Remove the limit.
    Lift,
    /// Set the limit to this value.
    Set(T),
}

impl TokenCommand {
    /// Reads the arguments of `entry`, which is one of the token commands.
    pub(super) fn of(given: &Given, entry: &table::Command) -> Result<Self, UsageError> {
        let action = match entry.verb {
            Verb::TokenIssue => TokenAction::Issue,
            Verb::TokenRotate => TokenAction::Rotate,
            Verb::TokenRevoke => TokenAction::Revoke,
            _ => TokenAction::Audit,
        };
        let command = Self {
            action,
            hosts: given.hosts()?,
            all: given.has(Flag::All),
            all_tokens: given.has(Flag::AllTokens),
            id: given.value(Flag::Id).map(token_id).transpose()?,
            dry_run: given.has(Flag::DryRun),
            json: given.has(Flag::Json),
            thorough: given.has(Flag::Thorough),
            print: given.has(Flag::Print),
            output: given.path(Flag::Output, |_| None),
            create_domain: last(given, Flag::CreateDomain, zone)?,
            name: last(given, Flag::Name, name)?,
            force: given.has(Flag::Force),
            logout: given.has(Flag::Logout),
            limits: LimitsAsked {
                max_age: last(given, Flag::MaxAge, limit)?.unwrap_or_default(),
                max_unused: last(given, Flag::MaxUnused, limit)?.unwrap_or_default(),
                subnets: subnets(given)?,
            },
            management_token_file: given.path(Flag::ManagementTokenFile, |_| None),
            management_user: given.value(Flag::ManagementUser).map(user).transpose()?,
            management_password_file: given.path(Flag::ManagementPasswordFile, |_| None),
        };
        command.check(&entry.line())?;
        Ok(command)
    }

    /// Refuses arguments that are missing or do not go together.
    fn check(&self, line: &str) -> Result<(), UsageError> {
        let (replacement, is_given, meaning) = match self.action {
            TokenAction::Issue | TokenAction::Rotate => {
                ("--all", self.all, "for every host of the configuration")
            }
            TokenAction::Audit if self.all_tokens => ("--all-tokens", true, ""),
            TokenAction::Audit => ("--all", self.all, ""),
            TokenAction::Revoke => {
                ("--id ID", self.id.is_some(), "for a token that an audit showed")
            }
        };
        match (self.hosts.is_empty(), is_given) {
            (false, true) => Err(UsageError(format!(
                "`{line}` takes HOST or {replacement}, not both; leave one of them out"
            ))),
            // Without either, an audit includes every host.
            (true, false) if self.action != TokenAction::Audit => Err(UsageError(format!(
                "`{line}` needs a HOST; write `{line} HOST`, or `{line} {replacement}` {meaning}"
            ))),
            _ => Ok(()),
        }?;
        if self.logout && self.id.is_some() {
            return Err(UsageError(
                "--logout uses the secret in a host's file; write a HOST instead of --id".into(),
            ));
        }
        self.check_spans()
    }

    /// Refuses an end so near that it is probably a mistake: the token's successor would have it, too.
    fn check_spans(&self) -> Result<(), UsageError> {
        let spans = [("--max-age", self.limits.max_age), ("--max-unused", self.limits.max_unused)];
        let short =
            spans.into_iter().find(|(_, span)| matches!(span, Ask::Set(s) if *s < SHORTEST));
        match short {
            Some((option, _)) if !self.force => Err(UsageError(format!(
                "{option}: the token would end within the hour; write it like 365d, or add --force"
            ))),
            _ => Ok(()),
        }
    }
}

/// The last value given for `flag`, parsed by `read`.
fn last<T, E: fmt::Display>(
    given: &Given,
    flag: Flag,
    read: impl Fn(&str) -> Result<T, E>,
) -> Result<Option<T>, UsageError> {
    given.value(flag).map(|value| understood(value, read)).transpose()
}

fn understood<T, E: fmt::Display>(
    (option, value): (&Opt, &OsStr),
    read: impl Fn(&str) -> Result<T, E>,
) -> Result<T, UsageError> {
    let error = |error| UsageError(format!("--{}: `{}` {error}", option.long, shown(value)));
    read(&value.to_string_lossy()).map_err(error)
}

/// The id of a token. An error does not repeat the text, which may be a secret by mistake.
fn token_id((option, value): (&Opt, &OsStr)) -> Result<TokenId, UsageError> {
    let error = |error| UsageError(format!("--{}: this {error}", option.long));
    value.to_string_lossy().parse().map_err(error)
}

/// The name of a user, which a password can follow (RFC 7617, section 2). An error does not repeat
/// the text, which may hold the password.
fn user((option, value): (&Opt, &OsStr)) -> Result<String, UsageError> {
    let text = value.to_string_lossy();
    if text.contains(|c: char| c == ':' || c.is_control()) {
        return Err(UsageError(format!(
            "--{}: a user's name has no colon; put the password into a file",
            option.long
        )));
    }
    Ok(text.into_owned())
}

fn zone(text: &str) -> Result<Hostname, String> {
    let zone = hostname(text)?;
    if zone.is_wildcard() {
        return Err("is not a zone; remove the asterisk".to_owned());
    }
    Ok(zone)
}

/// The name for a token: deSEC allows 64 characters.
fn name(text: &str) -> Result<String, &'static str> {
    const LONGEST: usize = 64;
    if text.trim() != text || text.is_empty() || text.chars().any(char::is_control) {
        return Err("is not a name; leave out spaces at its ends and control characters");
    }
    if text.chars().count() > LONGEST {
        return Err("is too long; a name has at most 64 characters");
    }
    Ok(text.to_owned())
}

/// A duration in humantime's form, or `none`.
fn limit(text: &str) -> Result<Ask<Duration>, &'static str> {
    /// The longest limit that deSEC allows.
    const LONGEST: Duration = Duration::from_secs(365_000 * 24 * 60 * 60);
    if text == "none" {
        return Ok(Ask::Lift);
    }
    let duration = humantime::parse_duration(text)
        .map_err(|_| "is not a duration; write it like 365d, or none for no limit")?;
    if duration.is_zero() {
        return Err("is no time at all; write it like 365d, or none for no limit");
    }
    if duration.subsec_nanos() != 0 {
        return Err("is not a number of whole seconds; leave the fraction out");
    }
    if duration > LONGEST {
        return Err("is too long; the longest is 365000d, and none is no limit");
    }
    Ok(Ask::Set(duration))
}

fn subnets(given: &Given) -> Result<Ask<Vec<String>>, UsageError> {
    let (mut any, mut networks) = (false, Vec::new());
    for (option, value) in given.options.iter().filter(|(o, _)| o.flag == Flag::AllowSubnet) {
        if value == "any" {
            any = true;
            continue;
        }
        let network = understood((option, value), network)?;
        if !networks.contains(&network) {
            networks.push(network);
        }
    }
    match (any, networks.is_empty()) {
        (true, false) => Err(UsageError(
            "--allow-subnet: `any` is every network; leave it out, or leave the networks out"
                .into(),
        )),
        (true, true) => Ok(Ask::Lift),
        (false, true) => Ok(Ask::Keep),
        (false, false) => Ok(Ask::Set(networks)),
    }
}

/// A network in CIDR form, or a single address, in the canonical form.
fn network(text: &str) -> Result<String, String> {
    const EXAMPLE: &str =
        "is not a network; write it like 192.0.2.0/24 or 2001:db8::/32, or any for no limit";
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().map_err(|_| EXAMPLE)?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let length = match length {
        None => longest,
        // The standard library would accept a plus sign.
        Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
            let fits = |length: &u8| *length <= longest;
            digits.parse().ok().filter(fits).ok_or_else(|| {
                format!("is not a network; the number after the slash is at most {longest}")
            })?
        }
        Some(_) => return Err(EXAMPLE.to_owned()),
    };
    let spare = u32::from(longest - length);
    let network = match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(spare).unwrap_or_default();
            IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(spare).unwrap_or_default();
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
    };
    if network != address {
        return Err(format!("is an address within a network; write {network}/{length}"));
    }
    Ok(format!("{network}/{length}"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{fails, run};
    use super::super::{Command, parse};
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    #[track_caller]
    fn token(line: &str) -> TokenCommand {
        match run(&format!("token {line}")).0 {
            Command::Token(token) => *token,
            other => panic!("`{line}` gave {other:?}"),
        }
    }

    /// What a command is without options.
    fn plain(action: TokenAction, hosts: &[&str]) -> TokenCommand {
        TokenCommand {
            action,
            hosts: hosts.iter().map(|host| host.parse().unwrap()).collect(),
            all: false,
            all_tokens: false,
            id: None,
            dry_run: false,
            json: false,
            thorough: false,
            print: false,
            output: None,
            create_domain: None,
            name: None,
            force: false,
            logout: false,
            limits: LimitsAsked::default(),
            management_token_file: None,
            management_user: None,
            management_password_file: None,
        }
    }

    #[test]
    fn every_action_is_understood() {
        use TokenAction::{Audit, Issue, Revoke, Rotate};

        assert_eq!(token("issue a.example"), plain(Issue, &["a.example"]));
        let two = plain(Rotate, &["a.example", "b.example"]);
        assert_eq!(token("rotate a.example b.example"), two);
        assert_eq!(token("audit"), plain(Audit, &[]));
        assert_eq!(token("audit a.example"), plain(Audit, &["a.example"]));
        assert_eq!(token("revoke a.example"), plain(Revoke, &["a.example"]));

        let all = TokenCommand {
            all: true,
            dry_run: true,
            print: true,
            output: Some("fleet".into()),
            create_domain: Some("dyn.example".parse().unwrap()),
            limits: LimitsAsked {
                max_age: Ask::Set(365 * DAY),
                max_unused: Ask::Lift,
                subnets: Ask::Set(vec!["192.0.2.0/24".into(), "2001:db8::/32".into()]),
            },
            management_token_file: Some("m".into()),
            ..plain(Issue, &[])
        };
        let line = "--all --dry-run --print --output fleet --create-domain Dyn.Example. --max-age 365d \
            --max-unused none --allow-subnet 192.0.2.0/24 --allow-subnet=2001:DB8:0::/32 \
            --management-token-file m";
        assert_eq!(token(&format!("issue {line}")), all);
        assert_eq!(token(&format!("{line} issue")), all);
        let rotate = line.replace("--output fleet --create-domain Dyn.Example.", "");
        let expect = TokenCommand { action: Rotate, create_domain: None, output: None, ..all };
        assert_eq!(token(&format!("{rotate} rotate")), expect);

        let audit = TokenCommand { all_tokens: true, json: true, ..plain(Audit, &[]) };
        assert_eq!(token("audit --all-tokens --json"), audit);
        let id = "6be0a87c-0d9a-4228-a3c5-ed5d33f4a807";
        let revoke =
            TokenCommand { id: Some(id.parse().unwrap()), dry_run: true, ..plain(Revoke, &[]) };
        assert_eq!(token(&format!("--dry-run revoke --id={id}")), revoke);
    }

    #[test]
    fn a_host_may_be_called_like_anything_and_counts_once() {
        let hosts = |line: &str| token(line).hosts.iter().map(Hostname::to_string).collect();
        let hosts = |line: &str| -> Vec<String> { hosts(line) };
        assert_eq!(hosts("issue check token issue"), ["check", "token", "issue"]);
        assert_eq!(hosts("issue B.Example. a.example b.example"), ["b.example", "a.example"]);
        assert_eq!(hosts("issue a.example -v -- b.example"), ["a.example", "b.example"]);
        assert_eq!(hosts("issue *.example.com"), ["*.example.com"]);
    }

    #[test]
    fn wrong_names_are_named() {
        fails(
            "token issue a.example sl@sh.example",
            "`sl@sh.example` is not a host name: '@' is not allowed; use letters, digits, hyphens \
                and dots",
        );
        fails(
            "token audit 192.0.2.1",
            "`192.0.2.1` is an address, not a host name; write the name to update",
        );
        fails(
            "token revoke b\u{fc}cher.example",
            "`b\u{fc}cher.example` has non-ASCII letters; write its xn-- form, as `homing status` \
                shows it",
        );
        fails(
            "token issue --all --create-domain *.example.com",
            "--create-domain: `*.example.com` is not a zone; remove the asterisk",
        );
        fails(
            "token issue -- --all",
            "`--all` is not a host name: a part begins or ends with a hyphen",
        );
    }

    #[test]
    fn it_is_clear_which_tokens_are_meant() {
        for action in ["issue", "rotate"] {
            let line = format!("homing token {action}");
            fails(
                &format!("token {action} --print --dry-run"),
                &format!(
                    "`{line}` needs a HOST; write `{line} HOST`, or `{line} --all` for every host \
                     of the configuration"
                ),
            );
            fails(
                &format!("token {action} --all a.example"),
                &format!("`{line}` takes HOST or --all, not both; leave one of them out"),
            );
        }
        fails(
            "token revoke",
            "`homing token revoke` needs a HOST; write `homing token revoke HOST`, or \
             `homing token revoke --id ID` for a token that an audit showed",
        );
        fails(
            "token revoke a.example --id 1-2",
            "`homing token revoke` takes HOST or --id ID, not both; leave one of them out",
        );
        assert!(token("audit --all").hosts.is_empty());
        fails(
            "token audit a.example --all",
            "`homing token audit` takes HOST or --all, not both; leave one of them out",
        );
        fails(
            "token audit a.example --all-tokens",
            "`homing token audit` takes HOST or --all-tokens, not both; leave one of them out",
        );
    }

    #[test]
    fn limits_on_time_are_kept_lifted_or_set() {
        let not_one = "is not a duration; write it like 365d, or none for no limit";
        for (text, expect) in [
            ("none", Ok(Ask::Lift)),
            ("1s", Ok(Ask::Set(Duration::from_secs(1)))),
            ("90d", Ok(Ask::Set(90 * DAY))),
            ("365000d", Ok(Ask::Set(365_000 * DAY))),
            ("1d 12h", Ok(Ask::Set(DAY * 3 / 2))),
            ("365000d 1s", Err("is too long; the longest is 365000d, and none is no limit")),
            ("0s", Err("is no time at all; write it like 365d, or none for no limit")),
            ("1500ms", Err("is not a number of whole seconds; leave the fraction out")),
            ("90", Err(not_one)),
            ("-1d", Err(not_one)),
            ("forever", Err(not_one)),
            ("99999999999999999999d", Err(not_one)),
        ] {
            assert_eq!(limit(text), expect, "{text}");
        }
        // As with every option, the last value counts.
        let limits = token("issue --all --max-age 1d --max-age none --max-unused=2d").limits;
        assert_eq!((limits.max_age, limits.max_unused), (Ask::Lift, Ask::Set(2 * DAY)));
        assert_eq!(limits.subnets, Ask::Keep);
        fails("token rotate --all --max-unused 5x", &format!("--max-unused: `5x` {not_one}"));
    }

    #[test]
    fn an_end_within_the_hour_needs_force() {
        for option in ["--max-age", "--max-unused"] {
            for action in ["issue", "rotate"] {
                for span in ["1s", "59m", "3599s"] {
                    let line = format!("token {action} a.example {option} {span}");
                    let told =
                        "the token would end within the hour; write it like 365d, or add --force";
                    fails(&line, &format!("{option}: {told}"));
                    assert!(token(&format!("{action} a.example --force {option} {span}")).force);
                }
                token(&format!("{action} a.example {option} 1h"));
                // Force does not make sense of nonsense.
                let line = format!("token {action} --force a.example {option} 0s");
                let told = "`0s` is no time at all; write it like 365d, or none for no limit";
                fails(&line, &format!("{option}: {told}"));
            }
        }
    }

    #[test]
    fn a_name_is_one_that_the_server_takes() {
        assert_eq!(token("issue a.example --name=nas").name.as_deref(), Some("nas"));
        let long = "x".repeat(65);
        for (text, told) in [
            (" nas", "is not a name; leave out spaces at its ends and control characters"),
            ("", "is not a name; leave out spaces at its ends and control characters"),
            ("a\nb", "is not a name; leave out spaces at its ends and control characters"),
            (&*long, "is too long; a name has at most 64 characters"),
        ] {
            assert_eq!(name(text), Err(told), "{text:?}");
        }
        assert_eq!(name("der Würfel"), Ok("der Würfel".to_owned()));
    }

    #[test]
    fn a_logout_is_by_the_secret_of_a_host() {
        assert!(token("revoke a.example --logout").logout);
        fails(
            "token revoke --id 1-2 --logout",
            "--logout uses the secret in a host's file; write a HOST instead of --id",
        );
    }

    #[test]
    fn networks_are_canonical() {
        let inside = "is an address within a network; write";
        let most = "is not a network; the number after the slash is at most";
        for (text, expect) in [
            ("192.0.2.0/24", Ok("192.0.2.0/24")),
            ("192.0.2.7", Ok("192.0.2.7/32")),
            ("192.0.2.4/30", Ok("192.0.2.4/30")),
            ("192.0.2.128/025", Ok("192.0.2.128/25")),
            ("0.0.0.0/0", Ok("0.0.0.0/0")),
            ("2001:DB8:0:0::/32", Ok("2001:db8::/32")),
            ("2001:db8::1", Ok("2001:db8::1/128")),
            ("::/0", Ok("::/0")),
            ("192.0.2.7/24", Err(format!("{inside} 192.0.2.0/24"))),
            ("192.0.2.7/30", Err(format!("{inside} 192.0.2.4/30"))),
            ("192.0.2.7/0", Err(format!("{inside} 0.0.0.0/0"))),
            ("2001:db8:1::/33", Err(format!("{inside} 2001:db8::/33"))),
            ("2001:db8::1/127", Err(format!("{inside} 2001:db8::/127"))),
            ("192.0.2.0/33", Err(format!("{most} 32"))),
            ("192.0.2.0/", Err(format!("{most} 32"))),
            ("::/129", Err(format!("{most} 128"))),
            ("::/256", Err(format!("{most} 128"))),
        ] {
            let expect = expect.map(str::to_owned);
            assert_eq!(network(text), expect, "{text}");
        }
        for wrong in ["", "/24", "x/24", "192.0.2/24", "192.0.2.0/+24", "192.0.2.0/255.255.255.0"] {
            let error = network(wrong).unwrap_err();
            assert!(error.starts_with("is not a network; write it like 192.0.2.0/24"), "{wrong}");
        }
    }

    #[test]
    fn networks_add_up_but_not_with_any() {
        let subnets = |line: &str| token(&format!("rotate --all {line}")).limits.subnets;
        let twice = "--allow-subnet ::1 --allow-subnet 192.0.2.0/24 --allow-subnet 0:0::1/128";
        assert_eq!(subnets(twice), Ask::Set(vec!["::1/128".into(), "192.0.2.0/24".into()]));
        assert_eq!(subnets("--allow-subnet any --allow-subnet=any"), Ask::Lift);
        assert_eq!(subnets(""), Ask::Keep);
        fails(
            "token rotate --all --allow-subnet any --allow-subnet ::1",
            "--allow-subnet: `any` is every network; leave it out, or leave the networks out",
        );
        fails(
            "token rotate --all --allow-subnet 192.0.2.1/24",
            "--allow-subnet: `192.0.2.1/24` is an address within a network; write 192.0.2.0/24",
        );
    }

    #[test]
    fn a_secret_is_neither_taken_nor_repeated() {
        let meant = "unknown option `--management-token`; did you mean `--management-token-file`?";
        fails("token issue a.example --management-token=s3cret", meant);
        fails("token --management-token s3cret issue a.example", meant);
        fails("--management-token=s3cret", meant);
        fails(
            "token revoke --id s_3cret",
            "--id: this is not a token's id, such as 6be0a87c-0d9a-4228-a3c5-ed5d33f4a807",
        );
        fails(
            "token audit --management-token-file",
            "--management-token-file needs a value; write --management-token-file FILE",
        );
    }

    #[test]
    fn the_management_token_in_the_environment_is_not_read() {
        let words = ["token", "audit"].map(Into::into);
        let parsed = parse(words, |name| {
            assert_ne!(name, super::super::table::MANAGEMENT_VARIABLE);
            None
        });
        assert!(parsed.is_ok(), "{parsed:?}");
    }
}
