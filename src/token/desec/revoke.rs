//! Revoke: deletes the token that a receipt names, whatever the file holds; or a token named by its id;
//! or, with `--logout`, the token in the file, by its own secret.

use crate::cli::TokenCommand;
use crate::config::Config;
use crate::core::exit::Exit;
use crate::core::protocol::manners::Issuer;
use crate::core::provider::Provider;
use crate::core::secret::Secret;
use crate::core::token::TokenId;
use crate::os::clock;
use crate::os::say::out;
use crate::provider::Trouble;
use crate::provider::desec::Account;
use crate::receipt::Receipt;
use crate::token::desec::job::lives;
use crate::token::files::{Found, TokenFile, lock};
use crate::token::progress::Progress;
use crate::token::subject::no_token;
use crate::token::{
    Failure, Holder, account, clients, common_provider, holder, management, tell_dead_secret,
    token_file,
};

/// Runs `revoke`.
pub async fn run(config: &Config, command: &TokenCommand) -> Result<Exit, Failure> {
    let holders = holder::asked(config, Issuer::Account, &command.hosts)?;
    let provider = common_provider(&holders)?;
    let files = match command.id {
        Some(_) => Vec::new(),
        None => holders.iter().map(token_file).collect::<Result<Vec<_>, _>>()?,
    };
    if command.logout {
        let _lock = if command.dry_run { Vec::new() } else { lock(&files)? };
        return by_secrets(provider, &holders, &files, command.dry_run).await;
    }
    let secret = management(command)?;
    let _lock = if command.dry_run { Vec::new() } else { lock(&files)? };
    let (clients, progress) = (clients(&holders), Progress::new(holders.len(), false));
    let account = account(provider, &clients, secret, &progress)?;
    if let Some(id) = &command.id {
        match end(&account, id, command.dry_run).await? {
            Some(name) => out(&format!("- token {id} {name:?}")),
            None => out(&format!("token {id}: nothing to do; there is no such token")),
        }
        return Ok(Exit::Right);
    }
    let mut exit = Exit::Right;
    for (holder, file) in holders.iter().zip(&files) {
        if let Err(failure) = by_receipt(&account, holder, file, command.dry_run).await {
            exit = exit.max(failure.tell_of(holder));
        }
    }
    Ok(exit)
}

/// Ends the tokens in the holders' files, each by a logout with its own secret.
async fn by_secrets(
    provider: &Provider,
    holders: &[Holder<'_>],
    files: &[TokenFile],
    dry_run: bool,
) -> Result<Exit, Failure> {
    let (clients, progress) = (clients(holders), Progress::new(holders.len(), false));
    let mut exit = Exit::Right;
    for (holder, file) in holders.iter().zip(files) {
        let label = holder.label();
        let found = file.look(dry_run)?;
        found.remarks.iter().for_each(|remark| out(&format!("{label}: {remark}")));
        let ended = match &found.secret {
            None => Err(no_token(holder)),
            Some(secret) => {
                let account = account(provider, &clients, secret.clone(), &progress)?;
                by_secret(&account, holder, file, &found, dry_run).await
            }
        };
        if let Err(failure) = ended {
            exit = exit.max(failure.tell_of(holder));
        }
    }
    Ok(exit)
}

/// Ends the token in `file` by a logout; `account` is asked with its secret.
async fn by_secret(
    account: &Account<'_>,
    holder: &Holder<'_>,
    file: &TokenFile,
    found: &Found,
    dry_run: bool,
) -> Result<(), Failure> {
    let label = holder.label();
    let is_alive = lives(account).await.map_err(|trouble| {
        of_server(&trouble, "checking whether the token works").leaving("nothing was changed")
    })?;
    if !is_alive {
        out(&format!(
            "{label}: nothing to do; the server does not accept its token, at least from here"
        ));
        return Ok(());
    }
    out(&format!("{label}: - token, by a logout with it"));
    if dry_run {
        return Ok(());
    }
    let doubtful =
        |trouble: &Trouble, doing| of_server(trouble, doing).leaving("the token may still work");
    let left = account.log_out().await;
    left.map_err(|trouble| doubtful(&trouble, "logging out with the token"))?;
    let is_alive = lives(account).await;
    if is_alive.map_err(|trouble| doubtful(&trouble, "checking whether it still works"))? {
        return Err(Failure::deferred(
            "the server accepts the token even after the logout",
            "delete it on the provider's web page",
        ));
    }
    if let Some(receipt) = found.proven() {
        file.write_receipt(&Receipt { proven: None, ..receipt.clone() })?;
    }
    tell_dead_secret(holder, file);
    Ok(())
}

/// The failure after the server's answer to a token itself.
fn of_server(trouble: &Trouble, doing: &str) -> Failure {
    let next = "delete it with the management token, or on the provider's web page";
    Failure::of_server(trouble, doing, next)
}

/// Deletes the token that the receipt beside `file` names.
async fn by_receipt(
    account: &Account<'_>,
    holder: &Holder<'_>,
    file: &TokenFile,
    dry_run: bool,
) -> Result<(), Failure> {
    let is_here = |receipt: &Receipt| receipt.server == account.server();
    let found = file.look(dry_run)?.only(&is_here);
    let (label, path) = (holder.label(), file.path().display());
    found.remarks.iter().for_each(|remark| out(&format!("{label}: {remark}")));
    let (receipt, half_made) = (found.receipt, found.half_made);
    let named = receipt.iter().flat_map(Receipt::ids);
    let half = half_made.iter().filter_map(|half| half.id.as_ref());
    let ids: Vec<TokenId> = named.chain(half).cloned().collect();
    if ids.is_empty() {
        let mut next =
            "`homing token audit --all-tokens` shows them all, `homing token revoke --id ID` \
                deletes one"
                .to_owned();
        if found.secret.is_some() {
            let host = holder.first();
            next.push_str(&format!(
                ", and `homing token revoke {host} --logout` deletes the one in the file"
            ));
        }
        let what = format!("there is no receipt beside {path}, so the token's id is not known");
        return Err(Failure::rejected(what, next).leaving("nothing was changed"));
    }
    let mut any = false;
    for id in &ids {
        if let Some(name) = end(account, id, dry_run).await? {
            out(&format!("{label}: - token {id} {name:?}"));
            any = true;
        }
    }
    let is_of = |secret: &Secret| receipt.as_ref().is_some_and(|receipt| receipt.is_of(secret));
    if !any {
        if let Some(secret) = found.secret.as_ref().filter(|secret| is_of(secret)) {
            refuse_living(account, secret).await?;
        }
        out(&format!("{label}: nothing to do; its token does not exist any more"));
    }
    if dry_run {
        return Ok(());
    }
    match found.secret.as_ref().map(is_of) {
        Some(true) => tell_dead_secret(holder, file),
        Some(false) => out(&format!(
            "{label}: {path} has another secret than the receipt describes; its token was not \
                changed"
        )),
        None => {}
    }
    if half_made.is_some() {
        file.remove_new();
    }
    // The receipt stays, so that the next run can report that nothing is left to do.
    match receipt {
        Some(receipt) if receipt.revoked.is_none() || !receipt.replaces.is_empty() => {
            let (proven, replaces) = (None, Vec::new());
            let revoked = receipt.revoked.or(Some(clock::wall()));
            file.write_receipt(&Receipt { proven, revoked, replaces, ..receipt })
        }
        _ => Ok(()),
    }
}

/// Refuses to report a token as dead that this account does not list and the server still accepts.
async fn refuse_living(account: &Account<'_>, secret: &Secret) -> Result<(), Failure> {
    let failure = match lives(&account.seen_with(secret.clone())).await {
        Ok(false) => return Ok(()),
        Ok(true) => Failure::rejected(
            "its token works, but belongs to another account",
            "use the management token of the account that it belongs to",
        ),
        Err(trouble) => Failure::of_management(&trouble, "checking whether the token works"),
    };
    Err(failure.leaving("nothing was changed"))
}

/// Deletes one token and returns its name; `None` when there is no such token.
async fn end(
    account: &Account<'_>,
    id: &TokenId,
    dry_run: bool,
) -> Result<Option<String>, Failure> {
    let token = match account.token(id).await {
        Ok(token) => token,
        Err(Trouble::NotThere(_)) => return Ok(None),
        Err(trouble) => {
            let failure = Failure::of_management(&trouble, &format!("looking at token {id}"));
            return Err(failure.leaving("nothing was changed"));
        }
    };
    if !dry_run {
        account.delete_token(id).await.map_err(|trouble| {
            Failure::of_management(&trouble, &format!("deleting token {id}"))
                .leaving(format!("token {id} may still be there"))
        })?;
    }
    Ok(Some(token.name))
}
