//! From a frame to its handler: key, version, header, and then one file of `api` per key.

use bytes::Bytes;

use super::complaints::Printable;
use super::line::Pending;
use super::response::Outgoing;
use crate::api::{self, Services};
use crate::env::{Disk, Env};
use crate::sync::Arc;
use crate::wire::api::api_versions::encode_unsupported_version;
use crate::wire::api_key::ApiKey;
use crate::wire::codec::{DecodeError, EncodeError};
use crate::wire::header;

/// The files whose ranges a response may hold.
pub type File<E> = <<E as Env>::Disk as Disk>::File;

/// What became of a request.
pub enum Handled<F> {
    /// The response stands in the outgoing bytes; nothing does for a produce with acks=0.
    Done,
    /// The response will come; the connection may take further requests meanwhile. Nothing of the request's frame is
    /// kept any more: its charge is given back.
    Waiting(Pending<F>),
    /// Kafka's protocol has no answer to this: the connection must close.
    Refused(Refusal),
}

/// Why a request ends its connection. No error frame exists that a client could read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Shorter than a header, or the header is not one.
    #[error("its request has no readable header: {0}")]
    Header(String),
    /// No handler has this number.
    #[error("API key {0} is not offered: the client did not ask for ApiVersions")]
    Key(i16),
    /// Not in the range that ApiVersions lists.
    #[error("{key} version {version} is not offered: the client did not ask for ApiVersions")]
    Version {
        /// The name of the key.
        key: &'static str,
        /// What it asked for.
        version: i16,
    },
    /// The body is not a message of this version.
    #[error("{key} version {version} of client {client_id} cannot be decoded: {cause}")]
    Body {
        /// The name of the key.
        key: &'static str,
        /// The version.
        version: i16,
        /// As the client calls itself, escaped.
        client_id: String,
        /// What is wrong.
        cause: String,
    },
    /// A produce with acks=0 failed: closing is the only way to tell its client (KAFKA-1028).
    #[error("a produce with acks=0 of client {client_id} failed: {cause}")]
    Unacknowledged {
        /// As the client calls itself, escaped.
        client_id: String,
        /// What went wrong.
        cause: String,
    },
    /// A defect of ours: the response has a field that this version cannot express.
    #[error("the response to {key} version {version} cannot be encoded, which is a defect: {cause}")]
    Response {
        /// The name of the key.
        key: &'static str,
        /// The version.
        version: i16,
        /// What is wrong.
        cause: String,
    },
}

/// One request on its way to its handler.
#[derive(Clone, Debug)]
pub struct Request {
    /// Key, version, correlation id, client id.
    pub header: header::RequestHeader,
    /// The encoded message.
    pub body: Bytes,
}

impl Request {
    /// The version.
    pub fn version(&self) -> i16 {
        self.header.api_version
    }

    /// What the client calls itself, fit for a log.
    pub fn printable_client_id(&self) -> String {
        Printable(self.header.client_id.as_deref().unwrap_or_default()).to_string()
    }

    /// The refusal of a body that is no message.
    pub fn undecodable(&self, cause: &DecodeError) -> Refusal {
        Refusal::Body {
            key: self.header.api_key.name(),
            version: self.version(),
            client_id: self.printable_client_id(),
            cause: cause.to_string(),
        }
    }

    /// The refusal of a response that its version cannot express.
    pub fn inexpressible(&self, cause: &EncodeError) -> Refusal {
        Refusal::Response {
            key: self.header.api_key.name(),
            version: self.version(),
            cause: cause.to_string(),
        }
    }
}

/// What the first bytes of a frame ask for.
enum Route {
    Handler(Request),
    /// ApiVersions in a version that is not known (KIP-511).
    UnsupportedApiVersions(i32),
}

fn route(frame: &Bytes) -> Result<Route, Refusal> {
    let unreadable = |cause: DecodeError| Refusal::Header(cause.to_string());
    let peeked = header::peek(frame).map_err(unreadable)?;
    let key = ApiKey::from_code(peeked.api_key).ok_or(Refusal::Key(peeked.api_key))?;
    if !key.serves(peeked.api_version) {
        if key == ApiKey::ApiVersions {
            return Ok(Route::UnsupportedApiVersions(peeked.correlation_id));
        }
        return Err(Refusal::Version { key: key.name(), version: peeked.api_version });
    }
    let (header, body) = header::decode(frame, key).map_err(unreadable)?;
    Ok(Route::Handler(Request { header, body }))
}

/// Handles one request; its response, if it is there at once, is appended to `outgoing`.
pub async fn handle<E: Env>(
    services: &Arc<Services<E>>,
    frame: Bytes,
    outgoing: &mut Outgoing<File<E>>,
) -> Handled<File<E>> {
    let request = match route(&frame) {
        Ok(Route::Handler(request)) => request,
        Ok(Route::UnsupportedApiVersions(correlation_id)) => {
            encode_unsupported_version(correlation_id, outgoing.inline());
            return Handled::Done;
        }
        Err(refusal) => return Handled::Refused(refusal),
    };
    // Its bytes are the request's from here on, and go when the handler drops them.
    drop(frame);
    let handled = match request.header.api_key {
        ApiKey::Produce => return api::produce::handle(services, request, outgoing).await,
        ApiKey::Fetch => return api::fetch::handle(services, request, outgoing).await,
        ApiKey::ApiVersions => api::api_versions::handle(services, &request, outgoing.inline()),
        // The rest is rare; boxed, so that its states do not enlarge every connection.
        _ => Box::pin(api::handle_rare(services, &request, outgoing.inline())).await,
    };
    handled.map_or_else(Handled::Refused, |()| Handled::Done)
}
