//! Kafka's protocol and nothing but: frames, headers, the table of API keys, and the messages themselves.
//!
//! Ordinary messages come from a generated codec crate, which is named here and nowhere else. What is hot or odd is
//! written by hand: the frame reader and header peek, ApiVersions, Produce and Fetch.

pub mod api;
pub mod api_key;
pub mod frame;
pub mod header;
pub mod reader;
pub mod request;
pub mod response;
pub mod writer;

pub use api_key::ApiKey;

/// The generated messages, one struct per request, response and part of one.
pub mod messages {
    pub use kafka_wire::*;
}

/// The primitives of Kafka's encoding, with limits on what is read.
pub mod codec {
    pub use kafka_wire_core::*;
}

/// Builds a generated message from its default; their structs cannot be written as literals outside their crate.
macro_rules! message {
    ($type:path { $($field:ident: $value:expr),* $(,)? }) => {{
        #[allow(unused_mut)] // a message may be asked for with no field set
        let mut message = <$type>::default();
        $(message.$field = $value;)*
        message
    }};
}
pub(crate) use message;
