//! Issue and rotate for keys: a key is made here and kept in its file; the server's administrator
//! configures its rights as printed. The next key of a rotation stays beside the one in use until the
//! server knows it.

use base64::Engine as _;

use super::audit::of_key;
use super::standing::KeyStatus;
use super::{Asker, Failure, Holder, TokenFile, duties, key_in_use, key_of_login, say, server};
use crate::cli::TokenCommand;
use crate::config::secret::{self, SecretError};
use crate::config::{Config, SecretPlace};
use crate::core::exit::Exit;
use crate::core::secret::Secret;
use crate::core::token::finding::Finding;
use crate::core::token::{Duty, key};
use crate::core::wire::key_file;
use crate::core::wire::tsig::TsigKey;
use crate::os::say::out;
use crate::token::random;
use crate::token::show::Audited;
use crate::token::subject::no_token;

/// The number of random bytes in a secret: that of the default hash (RFC 2104, section 3).
const LENGTH: usize = 32;

/// Makes a key for a holder without one, prints what its server needs, and judges a key that is known.
pub async fn issue(
    config: &Config,
    command: &TokenCommand,
    holder: &Holder<'_>,
    file: &TokenFile,
) -> Result<Option<Audited>, Failure> {
    let (label, path) = (holder.label(), file.path().display());
    let server = server(holder)?;
    let found = key_in_use(holder)?;
    let duties = duties(holder, server).await.map_err(|failure| match found {
        None => failure.leaving("no key was made"),
        Some(_) => failure,
    })?;
    let key = match found {
        Some(found) => {
            let name = &found.0.name;
            out(&format!("{label}: nothing to do; the key {name} is in {path}"));
            found
        }
        None => {
            let made = first_key(holder, file)?;
            let done = if command.dry_run { "would be made" } else { "is made" };
            if !command.dry_run {
                keep(holder, file, &made)?;
                file.put_in_place()?;
            }
            out(&format!("{label}: + key {}, which {done} in {path}", made.0.name));
            made
        }
    };
    tell(command, holder, &path.to_string(), &key, &duties);
    if command.dry_run {
        return Ok(None);
    }
    let asker = Asker::new(server, &key, &duties)?;
    let standing = asker.standing().await;
    refuse_unready(&standing, &format!("homing token audit {}", holder.first()))?;
    Ok(Some(of_key(config, holder, &asker, standing).await))
}

/// Makes the next key, or puts it in place of the one in use once the server knows it.
pub async fn rotate(
    config: &Config,
    command: &TokenCommand,
    holder: &Holder<'_>,
    file: &TokenFile,
) -> Result<Option<Audited>, Failure> {
    let label = holder.label();
    let (old, _) = key_in_use(holder)?.ok_or_else(|| no_token(holder))?;
    if !matches!(holder.place, SecretPlace::KeyFile(_)) {
        return Err(Failure::usage(
            "a new key has another name, but the configuration has a key-name",
            "write key-file instead of key-name and secret-file: then the name is in the file",
        )
        .leaving("nothing was changed"));
    }
    let server = server(holder)?;
    let duties = duties(holder, server).await?;
    let new_path = file.new_path();
    let waiting = next_key(file)?.filter(|(key, _)| key.name != old.name);
    let is_fresh = waiting.is_none();
    let next = match waiting {
        Some(waiting) => waiting,
        None => {
            let name = key::next_key_name(&old.name).ok_or_else(too_long)?;
            let made = (TsigKey { name, algorithm: old.algorithm }, random_secret()?);
            if !command.dry_run {
                keep(holder, file, &made)?;
            }
            made
        }
    };
    let name = &next.0.name;
    let place = new_path.display().to_string();
    let again = format!("homing token rotate {}", holder.first());
    if is_fresh || command.dry_run {
        let done = if command.dry_run { "would wait" } else { "waits" };
        out(&format!("{label}: + key {name}, which {done} in {place}"));
        tell(command, holder, &place, &next, &duties);
        if command.dry_run {
            return Ok(None);
        }
    }
    let asker = Asker::new(server, &next, &duties)?;
    let standing = asker.standing().await;
    if let Err(failure) = refuse_unready(&standing, &again) {
        if !is_fresh {
            tell(command, holder, &place, &next, &duties);
        }
        return Err(failure.leaving(format!("the key {} stays in use", old.name)));
    }
    file.put_in_place()?;
    let (place, old_name) = (file.path().display(), &old.name);
    out(&format!(
        "{label}: the key {name} is in {place}; remove the key {old_name} at the server:"
    ));
    say(&key::removal(&old, &duties));
    Ok(Some(of_key(config, holder, &asker, standing).await))
}

/// Prints the lines for the server's administrator; the secret only with `--print`.
fn tell(
    command: &TokenCommand,
    holder: &Holder<'_>,
    place: &str,
    (key, secret): &(TsigKey, Secret),
    duties: &[Duty],
) {
    let shown =
        if command.print { secret.expose().to_owned() } else { format!("<the secret in {place}>") };
    out(&format!("add this to the configuration of {}:", holder.provider.title));
    out("");
    say(&key::instructions(key, duties, &shown));
    out("");
    if let (SecretPlace::KeyFile(_), false) = (holder.place, command.print) {
        out(&format!(
            "BIND on this machine can read the key itself, if it may read the file: include \
             \"{place}\";"
        ));
        out("");
    }
}

/// Refuses a key that the server does not accept, or that lacks rights for its duties.
fn refuse_unready(standing: &KeyStatus, next: &str) -> Result<(), Failure> {
    let then = format!("put this in its configuration, then run `{next}`");
    let (exit, what, then) = match standing {
        KeyStatus::Known(findings) => {
            let lacks = findings.iter().find(|f| matches!(f, Finding::Lacks { .. }));
            let Some(lacks) = lacks else { return Ok(()) };
            let what = format!("the server knows the key, but it {lacks}");
            (Exit::Deferred, what, then)
        }
        KeyStatus::Unknown(said) => {
            (Exit::Deferred, format!("the server does not know the key yet ({said})"), then)
        }
        KeyStatus::Wrong(said) => (Exit::Rejected, said.clone(), then),
        KeyStatus::Untold(said) => (
            Exit::Deferred,
            format!("not known whether the server knows the key: {said}"),
            format!("run `{next}` when it answers"),
        ),
    };
    Err(Failure::new(exit, what, then))
}

/// The first key of a holder: the one that a cut run made, or a fresh one.
fn first_key(holder: &Holder<'_>, file: &TokenFile) -> Result<(TsigKey, Secret), Failure> {
    if !matches!(holder.place, SecretPlace::KeyFile(_)) {
        return Ok((key_of_login(holder)?, random_secret()?));
    }
    if let Some(made) = next_key(file)? {
        return Ok(made);
    }
    let name = key::key_name(holder.first()).ok_or_else(too_long)?;
    Ok((TsigKey { name, algorithm: holder.provider.algorithm }, random_secret()?))
}

/// The next key, beside the one in use, if there is one; half a file counts as none.
fn next_key(file: &TokenFile) -> Result<Option<(TsigKey, Secret)>, Failure> {
    match secret::read_key(&file.new_path()) {
        Ok(found) => Ok(Some(found)),
        Err(SecretError::Missing(_) | SecretError::KeyFile { .. }) => Ok(None),
        Err(error) => Err(Failure::of_configuration(error)),
    }
}

/// Writes the key's new file, beside the file that it will replace.
fn keep(
    holder: &Holder<'_>,
    file: &TokenFile,
    (key, secret): &(TsigKey, Secret),
) -> Result<(), Failure> {
    let text = match holder.place {
        SecretPlace::KeyFile(_) => key_file::text(key, secret),
        _ => format!("{}\n", secret.expose()),
    };
    let mut opened = file.begin()?;
    file.keep(&mut opened, &text)
}

fn random_secret() -> Result<Secret, Failure> {
    let bytes = random::<LENGTH>()?;
    Ok(Secret::new(&base64::engine::general_purpose::STANDARD.encode(bytes)))
}

fn too_long() -> Failure {
    Failure::configuration(
        "the host's name is too long for the name of a key",
        "write key-name and secret-file in its [[host]]",
    )
}
