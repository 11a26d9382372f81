//! Everything at the sandbox that a token command may have to leave alone, as text.

#![allow(dead_code, reason = "each test that includes this module uses another part of it")]

use std::fmt::Write;

use super::sandbox::{Sandbox, Token};

/// Tokens with all that they are and may, zones with their records; not when they were used.
pub fn snapshot(sandbox: &Sandbox) -> String {
    sandbox.with_account(|account| {
        let mut text = String::new();
        let tokens = account.tokens().iter().map(|token| {
            let Token { id, name, secret, policies, zone_policies, .. } = token;
            let flags = [
                token.perm_create_domain,
                token.perm_delete_domain,
                token.perm_manage_tokens,
                token.auto_policy,
            ];
            let limits = (token.max_age, token.max_unused_period, &token.allowed_subnets);
            format!("{id} {name} {secret} {policies:?} {zone_policies:?} {flags:?} {limits:?}")
        });
        tokens.for_each(|token| text.extend([&token, "\n"]));
        for zone in account.zones() {
            text.extend([&zone.name, "\n"]);
            for (subname, kind, entry) in zone.entries() {
                let _ = writeln!(text, "  {subname:?} {kind} {:?}", entry.records);
            }
        }
        text
    })
}
