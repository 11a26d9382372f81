//! Signing the requests of an entry: by a cloud's signature, or with a key file.
//!
//! The signatures themselves are in `sign`, which a build may leave out; everything else asks here.

#[cfg(feature = "cloud")]
use crate::core::protocol::{Body, origin};
use crate::core::protocol::{Credential, HttpRequest};
use crate::core::secret::Secret;
use crate::core::text::Text;

/// How requests are signed, as an entry's `sign` says.
#[derive(Clone, Debug)]
pub struct Sign {
    word: Text,
    #[cfg(feature = "cloud")]
    dialect: super::sign::Dialect,
}

impl Sign {
    /// Reads the value of `sign`; the error says what is expected. A build without signatures accepts
    /// any, and refuses the provider.
    #[cfg_attr(
        not(feature = "cloud"),
        expect(clippy::unnecessary_wraps, reason = "other builds find what is wrong")
    )]
    pub fn parse(text: &Text) -> Result<Self, String> {
        Ok(Self {
            word: text.clone(),
            #[cfg(feature = "cloud")]
            dialect: super::sign::Dialect::parse(text)?,
        })
    }

    /// Whether the secret alone does not say whose it is; at OVH it has the application's key in it.
    pub fn needs_login(&self) -> bool {
        self.word != "ovh"
    }

    /// `request` with its signature at `unix` seconds since 1970, for the credential and its parts.
    #[cfg(feature = "cloud")]
    pub fn signed(
        &self,
        mut request: HttpRequest,
        credential: &Credential,
        parts: &[&str],
        (unix, nonce): (u64, u128),
    ) -> HttpRequest {
        use super::sign::{Signer, Unsigned, When, sign};

        let url = request.url.expose().to_owned();
        let server = origin(&url);
        let (path, query) =
            url[server.len()..].split_once('?').unwrap_or((&url[server.len()..], ""));
        let headers: Vec<(&str, &str)> =
            request.headers.iter().map(|(name, value)| (&**name, value.expose())).collect();
        let body = request.body.as_ref().map(Body::parts);
        let nonce = format!("{nonce:032x}");
        let what = Unsigned {
            method: request.method,
            server: server.split_once("://").map_or(server, |(_, server)| server),
            path,
            query,
            headers: &headers,
            content_type: body.map(|(kind, _)| kind),
            body: body.map(|(_, text)| text.expose()).unwrap_or_default(),
        };
        let Credential { login, secret } = credential;
        let who = Signer { id: login, secret: secret.expose(), parts };
        let when = When { unix, nonce: &nonce };
        let signed = sign(&self.dialect, &who, &what, &when);
        let own = signed.headers.into_iter().map(|(name, value)| (name.into(), value));
        request.headers.extend(own);
        if let Some(query) = signed.query {
            request.url = [server, path, "?"].concat().into();
            request.url.append(query);
        }
        request
    }

    /// See above: a build without signatures never asks for one.
    #[cfg(not(feature = "cloud"))]
    #[expect(clippy::unused_self, reason = "other builds sign by it")]
    pub fn signed(
        &self,
        request: HttpRequest,
        _: &Credential,
        _: &[&str],
        _: (u64, u128),
    ) -> HttpRequest {
        request
    }
}

/// A field of the key file in `secret`, whose form is `form`.
#[cfg(feature = "cloud-keys")]
pub fn field(secret: &Secret, form: &str, name: &str) -> Option<String> {
    key_file(secret, form)?.field(name).map(str::to_owned)
}

/// The token with these claims, signed with the key file in `secret`.
#[cfg(feature = "cloud-keys")]
pub fn jwt(secret: &Secret, form: &str, claims: &str) -> Option<Secret> {
    let token = super::sign::keys::jwt(claims, key_file(secret, form)?.key.expose()).ok()?;
    Some(Secret::new(&token))
}

/// The signature of `body` with the key file in `secret`.
#[cfg(feature = "cloud-keys")]
pub fn body_signature(secret: &Secret, form: &str, body: &str) -> Option<String> {
    super::sign::keys::body_signature(body, key_file(secret, form)?.key.expose()).ok()
}

#[cfg(feature = "cloud-keys")]
fn key_file(secret: &Secret, form: &str) -> Option<super::sign::keys::KeyFile> {
    use super::sign::keys::{KeyFile, KeyForm};
    KeyFile::parse(secret.expose(), KeyForm::from_word(form)?).ok()
}

/// See above: a build without key files refuses the provider.
#[cfg(not(feature = "cloud-keys"))]
pub fn field(_: &Secret, _: &str, _: &str) -> Option<String> {
    None
}

/// See [`field`].
#[cfg(not(feature = "cloud-keys"))]
pub fn jwt(_: &Secret, _: &str, _: &str) -> Option<Secret> {
    None
}

/// See [`field`].
#[cfg(not(feature = "cloud-keys"))]
pub fn body_signature(_: &Secret, _: &str, _: &str) -> Option<String> {
    None
}
