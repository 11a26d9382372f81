//! Secrets: where they are kept, and how they are read without disclosing them.
//!
//! A secret is one line of text. Files are checked after they are opened, not by their paths, so that
//! they cannot be exchanged between check and use. Called by the round, and by `check`.

use std::fs::{File, Metadata};
use std::io::{self, IsTerminal, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};
use std::{env, fmt};

use super::HostConfig;
use super::problems::shown_path;
use super::url;
use crate::core::feature::Feature;
use crate::core::name::Hostname;
use crate::core::protocol::Credential;
use crate::core::provider::{Login, Provider};
use crate::core::secret::Secret;
use crate::core::wire::key_file::{self, KeyFileError};
use crate::core::wire::tsig::TsigKey;
use crate::os::disk::{Handed, open_named, open_regular};
use crate::os::reason::{SHORTAGE, is_shortage, reason};

/// The place of a host's secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SecretPlace {
    /// `token-credential`: the file of that name in systemd's `$CREDENTIALS_DIRECTORY`.
    Credential(String),
    /// `token-env`: an environment variable.
    Environment(String),
    /// `token-file`: the only line of a file.
    File(PathBuf),
    /// `token`: in the configuration itself.
    Inline(Secret),
    /// `key-file`: a key file in BIND's form.
    KeyFile(PathBuf),
    /// `token-file`: all lines of a file, for providers whose secret is a key file of their own form.
    WholeFile(PathBuf),
}

impl SecretPlace {
    /// The path, if the place is a file.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) | Self::KeyFile(path) | Self::WholeFile(path) => Some(path),
            Self::Credential(_) | Self::Environment(_) | Self::Inline(_) => None,
        }
    }
}

/// The reason why a secret cannot be used; never holds a part of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SecretError {
    /// The text is not one line of plain characters.
    Content {
        /// The file or variable.
        holder: String,
        /// What is wrong with the text.
        flaw: Flaw,
    },
    /// Others may read the file.
    Exposed {
        /// The file.
        path: PathBuf,
        /// The mode of the file.
        mode: u32,
        /// The mode that it should have.
        wanted: u32,
    },
    /// The file is not a key file.
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: KeyFileError,
    },
    /// There is no file at the path.
    Missing(PathBuf),
    /// systemd passed no credentials; the one of this name is needed.
    NoCredentials(String),
    /// The path does not lead to a file with content.
    NotAFile(PathBuf),
    /// The file cannot be opened or read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The reason that the system gives.
        reason: String,
        /// The fix.
        fix: &'static str,
    },
    /// The environment variable of this name is not set.
    Unset(String),
}

/// What is wrong with the text of a secret.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Flaw {
    /// A control character, which cannot be typed.
    Control,
    /// Nothing, or nothing but white space.
    Empty,
    /// More than one line.
    LineBreak,
    /// White space at one end.
    Padded,
    /// Longer than any token.
    TooLong,
    /// Not UTF-8.
    Unreadable,
}

/// The permission bits of users who are neither the owner nor in the group.
const OTHERS: u32 = 0o007;

/// The longest secret, in bytes.
const LONGEST: usize = 4096;

/// The secret at `place`, read now.
pub fn read_secret(place: &SecretPlace) -> Result<Secret, SecretError> {
    read_with(place, credentials_directory().as_deref())
}

/// The secret at `place`, read now, which is `what`; one that `is_url` is checked as such. The error shows
/// nothing of it.
pub(super) fn read_reported(
    place: &SecretPlace,
    what: &str,
    is_url: bool,
) -> Result<Secret, String> {
    let read = read_secret(place).map_err(|error| match error {
        SecretError::Missing(path) => {
            format!("{} does not exist; put {what} on its first line", shown_path(&path))
        }
        error => error.to_string(),
    });
    let read = read?;
    if is_url {
        url::check_ping(read.expose()).map_err(|what| {
            let holder = place.file().map_or_else(|| "its URL".to_owned(), shown_path);
            format!("{holder} {what}")
        })?;
    }
    Ok(read)
}

/// The directory where systemd put the credentials of this process (systemd.exec(5)).
pub fn credentials_directory() -> Option<PathBuf> {
    env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from)
}

/// The secret in the file at `path`, or in the pipe or device that a shell put there, as for
/// `<(command)`; waits for the writer of a pipe.
pub fn read_handed(path: &Path) -> Result<Secret, SecretError> {
    let unreadable = |error| unreadable(path, &error);
    // An error is reported below.
    let kind = std::fs::metadata(path).map(|metadata| metadata.file_type());
    if !kind.is_ok_and(|kind| kind.is_fifo() || kind.is_char_device()) {
        let directory = credentials_directory();
        return from_reader(guarded(path, open_named(path), directory.as_deref())?, path);
    }
    let handed = Handed::open(path).map_err(unreadable)?;
    let metadata = handed.file().metadata().map_err(unreadable)?;
    // A terminal would show the secret while it is typed.
    if handed.file().is_terminal() {
        return Err(SecretError::NotAFile(path.to_owned()));
    }
    // A pipe of our user is as safe as we made it. The open file is checked: the path may have changed.
    let is_ours = metadata.uid() == rustix::process::geteuid().as_raw();
    let kind = metadata.file_type();
    if !(kind.is_char_device() || kind.is_fifo() && is_ours) {
        check_mode(path, &metadata)?;
    }
    from_reader(handed, path)
}

/// The secret that `reader` contains; `path` is for errors.
pub fn from_reader(reader: impl Read, path: &Path) -> Result<Secret, SecretError> {
    let mut bytes = Vec::new();
    let most = u64::try_from(LONGEST).unwrap_or(u64::MAX).saturating_add(3);
    reader.take(most).read_to_end(&mut bytes).map_err(|error| unreadable(path, &error))?;
    one_line(&bytes).map_err(|flaw| SecretError::Content { holder: shown_path(path), flaw })
}

/// As [`read_secret`], with systemd's credentials in `directory`.
fn read_with(place: &SecretPlace, directory: Option<&Path>) -> Result<Secret, SecretError> {
    match place {
        SecretPlace::Credential(name) => {
            let missing = || SecretError::NoCredentials(name.clone());
            from_file(&directory.ok_or_else(missing)?.join(name), directory)
        }
        SecretPlace::Environment(name) => {
            let value = env::var_os(name).ok_or(SecretError::Unset(name.clone()))?;
            one_line(value.as_encoded_bytes()).map_err(|flaw| {
                let holder = format!("the environment variable {name}");
                SecretError::Content { holder, flaw }
            })
        }
        SecretPlace::File(path) => from_file(path, directory),
        SecretPlace::Inline(secret) => Ok(secret.clone()),
        SecretPlace::KeyFile(path) => read_key(path).map(|(_, secret)| secret),
        SecretPlace::WholeFile(path) => whole_file(path, directory).map(|text| Secret::new(&text)),
    }
}

/// The key and the secret in the key file at `path`, read now.
pub fn read_key(path: &Path) -> Result<(TsigKey, Secret), SecretError> {
    let text = whole_file(path, credentials_directory().as_deref())?;
    key_file::parse(&text).map_err(|error| SecretError::KeyFile { path: path.to_owned(), error })
}

/// The text of the file at `path`, up to the length of the longest secret.
fn whole_file(path: &Path, credentials: Option<&Path>) -> Result<String, SecretError> {
    let file = guarded(path, open_regular(path), credentials)?;
    let mut text = String::new();
    let most = u64::try_from(LONGEST).unwrap_or(u64::MAX);
    file.take(most).read_to_string(&mut text).map_err(|error| unreadable(path, &error))?;
    Ok(text)
}

fn from_file(path: &Path, credentials: Option<&Path>) -> Result<Secret, SecretError> {
    from_reader(guarded(path, open_regular(path), credentials)?, path)
}

/// The file `opened` at `path`, if no other users may read it.
fn guarded(
    path: &Path,
    opened: io::Result<Option<(File, Metadata)>>,
    credentials: Option<&Path>,
) -> Result<File, SecretError> {
    let (file, metadata) = opened
        .map_err(|error| unreadable(path, &error))?
        .ok_or(SecretError::NotAFile(path.to_owned()))?;
    // systemd guards that directory itself, and the mode bits show an access list there.
    if !credentials.is_some_and(|directory| lies_in(path, directory)) {
        check_mode(path, &metadata)?;
    }
    Ok(file)
}

/// The message that there is no key file at `path`, with the command that makes a key for `host`.
pub fn no_key_file(path: &Path, host: &Hostname) -> String {
    let path = missing(path, "key-file");
    format!("{path} does not exist; `homing token issue {host}` makes the key in it")
}

/// The message that there is no token at `path`, with the command that makes one for `host`.
pub fn no_token_file(path: &Path, host: &Hostname) -> String {
    let missing = SecretError::Missing(path.to_owned());
    let at = if Feature::Tokens.is_here() { "" } else { " where the full build is" };
    format!("{missing}: `homing token issue {host}`{at} makes one and does that")
}

/// The missing file for messages; its path is not shown if it may be a secret in the wrong place.
fn missing(path: &Path, setting: &str) -> String {
    if looks_like_a_secret(path) {
        format!("the file that {setting} names")
    } else {
        shown_path(path)
    }
}

fn unreadable(path: &Path, error: &io::Error) -> SecretError {
    match error.kind() {
        io::ErrorKind::NotFound => SecretError::Missing(path.to_owned()),
        _ => {
            let fix = if is_shortage(error) { SHORTAGE } else { "make Homing's user its owner" };
            SecretError::Unreadable { path: path.to_owned(), reason: reason(error), fix }
        }
    }
}

fn check_mode(path: &Path, metadata: &Metadata) -> Result<(), SecretError> {
    let mode = metadata.mode() & 0o7777;
    let exposed = |wanted| SecretError::Exposed { path: path.to_owned(), mode, wanted };
    check_exposure(metadata).map_err(exposed)
}

/// Refuses a file that users without a right to it may read; the error is the mode that it should have.
pub(super) fn check_exposure(metadata: &Metadata) -> Result<(), u32> {
    const GROUP_READS: u32 = 0o040;
    let mode = metadata.mode();
    let group_reads = mode & GROUP_READS != 0;
    let group_is_trusted = || {
        let gid = metadata.gid();
        gid == 0
            || gid == rustix::process::getegid().as_raw()
            || rustix::process::getgroups()
                .is_ok_and(|groups| groups.iter().any(|group| group.as_raw() == gid))
    };
    match (mode & OTHERS != 0, group_reads && !group_is_trusted()) {
        (false, false) => Ok(()),
        (true, false) if group_reads => Err(0o640),
        (true, false) | (_, true) => Err(0o600),
    }
}

/// The command that gives the file at `path` the permissions `mode`.
pub(super) fn chmod(path: &Path, mode: u32) -> String {
    format!("chmod {mode:o} {}", for_shell(path))
}

/// The path as one word of a shell command.
pub fn for_shell(path: &Path) -> String {
    let shown = shown_path(path);
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:,".contains(c);
    if shown.chars().all(plain) { shown } else { in_shell_quotes(path) }
}

/// The path in shell quotes, whether it needs them or not.
pub fn in_shell_quotes(path: &Path) -> String {
    format!("'{}'", shown_path(path).replace('\'', r"'\''"))
}

/// The users who can read an exposed file with the permissions `mode`, in words.
pub(super) fn open_to(mode: u32) -> &'static str {
    if mode & OTHERS == 0 { "a foreign group" } else { "others" }
}

/// The secret in `bytes`: one line, without its line break.
pub fn one_line(bytes: &[u8]) -> Result<Secret, Flaw> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        // A text that was cut at the limit may end within a character.
        if bytes.len() > LONGEST && error.error_len().is_none() {
            Flaw::TooLong
        } else {
            Flaw::Unreadable
        }
    })?;
    let line = text.trim_end_matches(['\r', '\n']);
    if line.trim().is_empty() {
        return Err(Flaw::Empty);
    }
    if line.len() > LONGEST {
        return Err(Flaw::TooLong);
    }
    if line.contains(['\r', '\n', '\u{85}', '\u{2028}', '\u{2029}']) {
        return Err(Flaw::LineBreak);
    }
    // A byte order mark is invisible, like a control character.
    if line.chars().any(|c| c.is_control() || c == '\u{feff}') {
        return Err(Flaw::Control);
    }
    if line.trim() != line {
        return Err(Flaw::Padded);
    }
    Ok(Secret::new(line))
}

/// The problem with a secret that a server has just made, if there is one: the secret must fit on a
/// line of a file and in a header.
pub fn flaw_of_new(secret: &Secret) -> Option<&'static str> {
    let text = secret.expose();
    if text.is_empty() {
        Some("is empty")
    } else if text.len() > LONGEST {
        Some("is larger than 4 KiB")
    } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Some("contains a space, a line break, or another character that no token has")
    } else {
        None
    }
}

fn lies_in(path: &Path, directory: &Path) -> bool {
    path.starts_with(directory) && !path.components().any(|part| part == Component::ParentDir)
}

/// Whether the name of a file is probably the secret itself, written instead of its file: it is long,
/// has no extension, and mixes characters as tokens do.
pub fn looks_like_a_secret(path: &Path) -> bool {
    const SHORTEST: usize = 20;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let has = |kind: fn(&u8) -> bool| name.as_bytes().iter().any(kind);
    name.len() >= SHORTEST
        && !name.contains('.')
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_lowercase)
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Content { holder, flaw } => write!(f, "{holder} {flaw}"),
            Self::Exposed { path, mode, wanted } => {
                let who = open_to(*mode);
                let (shown, chmod) = (shown_path(path), chmod(path, *wanted));
                write!(f, "{shown} is open to {who} ({mode:04o}); run `{chmod}`")
            }
            Self::KeyFile { path, error } => write!(f, "{} {error}", shown_path(path)),
            Self::Missing(path) => {
                let path = missing(path, "token-file or password-file");
                write!(
                    f,
                    "{path} does not exist; put the provider's token or password on its first line"
                )
            }
            Self::NoCredentials(name) => write!(
                f,
                "$CREDENTIALS_DIRECTORY is not set; let systemd start Homing with LoadCredential={name}:/PATH"
            ),
            Self::NotAFile(path) => {
                write!(f, "{} is not a regular file; name the file itself", shown_path(path))
            }
            Self::Unreadable { path, reason, fix } => {
                let path = shown_path(path);
                write!(f, "{path} cannot be read: {reason}; {fix}")
            }
            Self::Unset(name) => {
                write!(
                    f,
                    "the environment variable {name} is not set; set it to the token or password"
                )
            }
        }
    }
}

impl std::error::Error for SecretError {}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Control => {
                "contains a control character; enter the secret again with a text \
                editor"
            }
            Self::Empty => "is empty; put the provider's token or password on its first line",
            Self::LineBreak => "contains a line break; put only the secret on one line",
            Self::Padded => "begins or ends with a space; remove it",
            Self::TooLong => {
                "is larger than 4 KiB and cannot be a token; put only the secret in it"
            }
            Self::Unreadable => "is not UTF-8 text; put only the secret in it",
        })
    }
}

/// The credential of `host` by its `secret`, with the `login` that its file names; the error says what is
/// wrong with the secret's form.
pub fn credential(
    host: &HostConfig,
    provider: &Provider,
    login: Option<String>,
    secret: &Secret,
) -> Result<Credential, String> {
    let wrong = |form: String| {
        let holder = host.secret.as_ref().and_then(SecretPlace::file);
        let holder = holder.map_or_else(|| "the secret".to_owned(), shown_path);
        format!("{holder} {form}")
    };
    let (found, secret) = provider.credential_in(secret, host.username.is_some()).map_err(wrong)?;
    let login = found.or(login);
    let login = match (&host.username, provider.login) {
        (Some(username), _) => username.clone(),
        (None, Login::Host) => host.host.key.host.as_str().to_owned(),
        (None, Login::Username) => login.unwrap_or_default(),
    };
    Ok(Credential { login, secret })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expect: Result<&str, Flaw>) {
        let secret = one_line(bytes);
        assert_eq!(secret.as_ref().map(Secret::expose), expect.as_ref().copied());
    }

    /// A file of its own for each test, gone at the end.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str, content: &str, mode: u32) -> Self {
            let path = env::temp_dir().join(format!("homing-secret-{}-{name}", std::process::id()));
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            Self(path)
        }

        fn read(&self) -> Result<Secret, SecretError> {
            read_with(&SecretPlace::File(self.0.clone()), None)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    #[test]
    fn a_secret_is_one_line_whose_end_does_not_count() {
        check(b"hunter2", Ok("hunter2"));
        check(b"hunter2\n", Ok("hunter2"));
        check(b"hunter2\r\n\r\n", Ok("hunter2"));
        check("pässwörd with spaces".as_bytes(), Ok("pässwörd with spaces"));
        check(&[b'a'; LONGEST], Ok(&"a".repeat(LONGEST)));
    }

    #[test]
    fn what_is_no_secret_is_told_apart() {
        check(b"", Err(Flaw::Empty));
        check(b" \t\n", Err(Flaw::Empty));
        check(b"one\ntwo\n", Err(Flaw::LineBreak));
        check(b"\nhunter2", Err(Flaw::LineBreak));
        check(b"one\rtwo", Err(Flaw::LineBreak));
        check(b"hun\tter2", Err(Flaw::Control));
        check(b"hunter2\0", Err(Flaw::Control));
        check("\u{feff}hunter2".as_bytes(), Err(Flaw::Control));
        check(b"hunter2 \n", Err(Flaw::Padded));
        check(b"\xff\xfe", Err(Flaw::Unreadable));
        check(&[b'a'; LONGEST + 1], Err(Flaw::TooLong));
    }

    #[test]
    fn a_new_secret_is_judged_at_least_as_strictly_as_its_file_will_be() {
        let long = "a".repeat(LONGEST + 1);
        let wrong =
            ["", " ", "abc\ndef", "abc\n", "a\0b", "\0", " abc", "abc ", "a b", "pässword", &long];
        for text in wrong {
            assert!(flaw_of_new(&Secret::new(text)).is_some(), "{text:?}");
        }
        for text in ["i-T3b1h_OI-H9ab8tRS98stGtURe", "a", &long[1..]] {
            assert_eq!(flaw_of_new(&Secret::new(text)), None, "{text:?}");
            assert!(one_line(text.as_bytes()).is_ok());
        }
    }

    #[test]
    fn a_file_that_others_may_read_is_refused_with_the_command_that_helps() {
        let scratch = Scratch::new("exposed", "hunter2", 0o604);
        let path = scratch.0.display();
        let told = scratch.read().unwrap_err().to_string();
        assert_eq!(told, format!("{path} is open to others (0604); run `chmod 600 {path}`"));
        let scratch = Scratch::new("executable", "hunter2", 0o601);
        assert!(matches!(scratch.read(), Err(SecretError::Exposed { wanted: 0o600, .. })));
    }

    #[test]
    fn a_file_may_be_read_by_our_own_group() {
        let scratch = Scratch::new("group", "hunter2\n", 0o640);
        assert_eq!(scratch.read().unwrap().expose(), "hunter2");
        let scratch = Scratch::new("group-and-others", "hunter2\n", 0o644);
        assert!(matches!(scratch.read(), Err(SecretError::Exposed { wanted: 0o640, .. })));
    }

    #[test]
    fn systemds_credentials_are_not_judged_by_their_mode() {
        let scratch = Scratch::new("credential", "hunter2", 0o604);
        let (directory, name) = (scratch.0.parent().unwrap(), scratch.0.file_name().unwrap());
        let place = SecretPlace::Credential(name.to_str().unwrap().to_owned());
        assert_eq!(read_with(&place, Some(directory)).unwrap().expose(), "hunter2");
        assert!(matches!(read_with(&place, None), Err(SecretError::NoCredentials(_))));
        let around = SecretPlace::File(directory.join("..").join(&scratch.0));
        assert!(read_with(&around, Some(Path::new("/nowhere"))).is_err());
    }

    #[test]
    fn a_missing_file_a_directory_and_a_device_are_told_apart() {
        let read = |path: &str| read_with(&SecretPlace::File(path.into()), None).unwrap_err();
        assert!(matches!(read("/nonexistent/token"), SecretError::Missing(_)));
        assert!(matches!(read("/"), SecretError::NotAFile(_)));
        assert!(matches!(read("/dev/zero"), SecretError::NotAFile(_)));
    }

    #[test]
    fn an_unset_variable_is_named() {
        let place = SecretPlace::Environment("HOMING_TEST_NEVER_SET".to_owned());
        let told = read_with(&place, None).unwrap_err().to_string();
        assert!(told.contains("HOMING_TEST_NEVER_SET"), "{told}");
    }

    #[test]
    fn commands_quote_what_a_shell_would_split() {
        assert_eq!(chmod(Path::new("/etc/a.b"), 0o600), "chmod 600 /etc/a.b");
        assert_eq!(chmod(Path::new("/a b"), 0o640), "chmod 640 '/a b'");
    }
}
