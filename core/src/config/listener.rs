//! Addresses: what this node listens on, and what it tells its clients.

use std::collections::BTreeMap;
use std::fmt;

/// The only protocol that clients are served with.
const SUPPORTED: &str = "PLAINTEXT";

/// A listener: its name and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The name that metadata and configuration use, such as `PLAINTEXT`.
    pub name: String,
    /// The host; empty for all interfaces.
    pub host: String,
    /// The port; 0 for any free one.
    pub port: u16,
}

impl Listener {
    /// Parses `NAME://host:port`; the host may be empty, or an IPv6 address in brackets.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (name, rest) =
            text.split_once("://").ok_or_else(|| format!("`{text}` is not NAME://host:port"))?;
        let (host, port) = rest.rsplit_once(':').ok_or_else(|| format!("`{text}` has no port"))?;
        let port =
            port.parse().map_err(|_| format!("the port of `{text}` is not a number from 0 to 65535"))?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || !name.chars().all(is_name) {
            return Err(format!("the name of `{text}` must be letters, digits, `_` or `-`"));
        }
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if host.contains(char::is_whitespace) || host.contains('/') || host.len() > 255 {
            return Err(format!("the host of `{text}` cannot be one"));
        }
        Ok(Self { name: name.to_ascii_uppercase(), host: host.to_owned(), port })
    }

    /// Whether its protocol is one that is served. To take another name for PLAINTEXT by mistake would serve in the
    /// clear what somebody wanted encrypted or behind a password.
    pub(super) fn check_protocol(&self, protocols: &BTreeMap<String, String>) -> Result<(), String> {
        let name = &self.name;
        match protocols.get(name).map(String::as_str) {
            Some(SUPPORTED) => Ok(()),
            Some(protocol) => Err(format!(
                "the listener {name} is to speak {protocol}, but this version supports {SUPPORTED} only, without \
                 encryption and authentication"
            )),
            None => Err(format!(
                "listener.security.protocol.map does not say what the listener {name} speaks; add {name}:{SUPPORTED} to \
                 it, or name the listener {SUPPORTED}"
            )),
        }
    }

    /// `host:port` as [`crate::env::Net::listen`] takes it.
    pub fn bind_address(&self) -> String {
        match self.host.as_str() {
            "" => format!("0.0.0.0:{}", self.port),
            host if host.contains(':') => format!("[{host}]:{}", self.port),
            host => format!("{host}:{}", self.port),
        }
    }

    /// Whether it stands for all interfaces, so that no client could use it as an address.
    pub(super) fn is_wildcard(&self) -> bool {
        matches!(self.host.as_str(), "" | "0.0.0.0" | "::")
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.name, self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_parsed_as_kafka_writes_them() {
        let parse = |text| Listener::parse(text).map(|listener| listener.bind_address());
        assert_eq!(parse("PLAINTEXT://:9092"), Ok("0.0.0.0:9092".to_owned()));
        assert_eq!(parse("plaintext://kafka-1.example:19092"), Ok("kafka-1.example:19092".to_owned()));
        assert_eq!(parse("PLAINTEXT://[::1]:9092"), Ok("[::1]:9092".to_owned()));
        for text in [
            "",
            ":9092",
            "localhost:9092",
            "PLAINTEXT://x",
            "PLAINTEXT://x:70000",
            "://x:1",
            "A B://x:1",
            "A://a b:1",
        ] {
            assert!(Listener::parse(text).is_err(), "{text}");
        }
    }
}
