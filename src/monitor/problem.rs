//! What a client error means: the words of the server or of the system, without debug clutter.

use crate::model::text;
use kube::client::AuthError;
use std::error::Error as StdError;

/// What kind of trouble an answer, or the lack of one, is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// 401: the credentials are not accepted (any more).
    Unauthorized,
    /// 403: the right is missing.
    Forbidden,
    /// 404 or 405: not there.
    NotFound,
    /// 410: the resource version is too old.
    Gone,
    /// 400 or 422: the request is not understood.
    Invalid,
    /// 429, 5xx: the server is in trouble.
    Busy,
    /// The credential plugin failed.
    Plugin,
    /// TLS failed.
    Tls,
    /// No connection, or it broke.
    Unreachable,
    /// An answer that cannot be read.
    Garbled,
}

/// A client error, sorted and in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which kind.
    pub trouble: Trouble,
    /// One line for people.
    pub why: String,
}

impl Problem {
    /// Sorts a client error.
    pub fn of(error: &kube::Error) -> Self {
        use kube::Error as E;
        match error {
            E::Api(status) => Self::of_status(status),
            E::SerdeError(e) => Self::new(Trouble::Garbled, format!("the answer is not what the API promises: {e}")),
            E::FromUtf8(_) => Self::new(Trouble::Garbled, "the answer is not text"),
            E::ReadEvents(e) => Self::new(Trouble::Unreachable, format!("the connection broke: {}", root(e))),
            other => Self::of_chain(other),
        }
    }

    /// Sorts an error status of the API.
    pub fn of_status(status: &kube::core::Status) -> Self {
        let trouble = match status.code {
            401 => Trouble::Unauthorized,
            403 => Trouble::Forbidden,
            404 | 405 => Trouble::NotFound,
            410 => Trouble::Gone,
            400 | 422 => Trouble::Invalid,
            _ if matches!(&*status.reason, "Expired" | "Gone") => Trouble::Gone,
            _ => Trouble::Busy,
        };
        let said = if status.message.trim().is_empty() { &status.reason } else { &status.message };
        let why = if trouble == Trouble::Unauthorized {
            "401: the server does not accept the credentials; the token may have expired: log in again".to_owned()
        } else {
            format!("{}: {}", status.code, short(said))
        };
        Self { trouble, why }
    }

    fn of_chain(error: &(dyn StdError + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(e) = next {
            if let Some(auth) = e.downcast_ref::<AuthError>() {
                return Self::new(Trouble::Plugin, format!("credential plugin: {}", plugin(auth)));
            }
            if let Some(why) = tls(e) {
                return Self::new(Trouble::Tls, why);
            }
            next = e.source();
        }
        Self::new(Trouble::Unreachable, root(error))
    }

    fn new(trouble: Trouble, why: impl AsRef<str>) -> Self {
        Self { trouble, why: short(why.as_ref()) }
    }
}

/// What the TLS library said, if this is its error: bare, wrapped by kube, or inside any number of I/O errors.
fn tls(error: &(dyn StdError + 'static)) -> Option<String> {
    if error.is::<rustls::Error>() || error.is::<kube::client::RustlsTlsError>() {
        return Some(format!("TLS: {error}"));
    }
    let inner = error.downcast_ref::<std::io::Error>()?.get_ref()?;
    tls(inner)
}

/// What a credential plugin said. Its command line is left out: it holds the environment.
pub fn plugin(error: &AuthError) -> String {
    match error {
        AuthError::AuthExecRun { out, .. } => {
            let said = String::from_utf8_lossy(&out.stderr);
            let said = said.trim();
            if said.is_empty() {
                format!("it ended with {} and said nothing", out.status)
            } else {
                format!("it ended with {} and said: {}", out.status, short(said))
            }
        }
        AuthError::AuthExecStart(e) => format!("it cannot be started: {e}"),
        AuthError::AuthExecParse(_) | AuthError::ExecPluginFailed => {
            "its answer is not an ExecCredential with a status".to_owned()
        }
        other => short(&other.to_string()),
    }
}

/// The innermost cause, which says most.
fn root(error: &(dyn StdError + 'static)) -> String {
    let mut last = error;
    while let Some(next) = last.source() {
        last = next;
    }
    short(&last.to_string())
}

/// One clean line of bounded length.
fn short(raw: &str) -> String {
    let clean = text::clean(raw.trim());
    let mut out: String = clean.chars().take(400).collect();
    if out.len() < clean.len() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Error as IoError;

    #[test]
    fn a_tls_error_is_found_inside_any_number_of_io_errors() {
        let inner = IoError::other(rustls::Error::General("unknown issuer".into()));
        let error = kube::Error::Service(Box::new(IoError::other(inner)));
        let problem = Problem::of(&error);
        assert_eq!(problem.trouble, Trouble::Tls);
        assert!(problem.why.contains("unknown issuer"), "{}", problem.why);
    }

    #[test]
    fn the_innermost_cause_is_what_is_said() {
        let error = kube::Error::Service(Box::new(IoError::other(IoError::other("no route\u{7}"))));
        assert_eq!(Problem::of(&error), Problem { trouble: Trouble::Unreachable, why: "no route".into() });
    }
}
