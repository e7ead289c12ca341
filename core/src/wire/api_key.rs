//! The one table of requests that have a handler: dispatch, the ApiVersions reply and the documentation derive from it.

/// Which versions of a request are offered, and how they are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// The lowest version listed in ApiVersions.
    pub min: i16,
    /// The highest version listed in ApiVersions.
    pub max: i16,
    /// The lowest version that is served; a request below it ends its connection, as one that is not listed does.
    pub served_min: i16,
    /// From this version on the encoding is flexible (KIP-482).
    pub flexible_min: i16,
}

macro_rules! api_keys {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $min:literal..=$max:literal, served $served:literal, flexible $flexible:literal;)*) => {
        /// A request that this program knows. The numbers are Kafka's.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i16)]
        pub enum ApiKey { $($(#[$doc])* $name = $code,)* }

        impl ApiKey {
            /// Every key, in the order of the numbers.
            pub const ALL: &'static [ApiKey] = &[$(ApiKey::$name,)*];

            /// The key with this number.
            pub const fn from_code(code: i16) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// Kafka's name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// The versions offered: Kafka 4.3's broker listener, without what is unstable there.
            pub const fn versions(self) -> Versions {
                match self {
                    $(Self::$name => Versions { min: $min, max: $max, served_min: $served, flexible_min: $flexible },)*
                }
            }
        }
    };
}

api_keys! {
    /// Appends record batches. Versions 0 to 2 are listed because librdkafka before 2.11.1 takes their absence
    /// for a broker without compression (KAFKA-18659), but they are not served (KIP-896).
    Produce = 0, 0..=13, served 3, flexible 9;
    /// Reads record batches.
    Fetch = 1, 4..=18, served 4, flexible 12;
    /// Looks up offsets by time.
    ListOffsets = 2, 1..=11, served 1, flexible 6;
    /// Brokers, topics, partitions and their leaders.
    Metadata = 3, 0..=13, served 0, flexible 9;
    /// Finds the broker responsible for a group or a transactional id.
    FindCoordinator = 10, 0..=6, served 0, flexible 3;
    /// Which requests in which versions.
    ApiVersions = 18, 0..=4, served 0, flexible 3;
    /// Creates topics.
    CreateTopics = 19, 2..=7, served 2, flexible 5;
    /// Deletes topics.
    DeleteTopics = 20, 1..=6, served 1, flexible 4;
    /// Moves the log start forward.
    DeleteRecords = 21, 0..=2, served 0, flexible 2;
    /// Gives a producer its id. Version 6 (two-phase commit) is unstable in Kafka 4.3.
    InitProducerId = 22, 0..=5, served 0, flexible 2;
    /// Where a leader epoch ends.
    OffsetForLeaderEpoch = 23, 2..=4, served 2, flexible 4;
    /// Reads configurations.
    DescribeConfigs = 32, 1..=4, served 1, flexible 4;
    /// Replaces configurations.
    AlterConfigs = 33, 0..=2, served 0, flexible 2;
    /// Adds partitions to topics.
    CreatePartitions = 37, 0..=3, served 0, flexible 2;
    /// Changes single configurations.
    IncrementalAlterConfigs = 44, 0..=1, served 0, flexible 1;
    /// Brokers and controllers.
    DescribeCluster = 60, 0..=2, served 0, flexible 0;
    /// Topics page by page.
    DescribeTopicPartitions = 75, 0..=0, served 0, flexible 0;
}

impl ApiKey {
    /// The number on the wire.
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// Whether this version is served.
    pub const fn serves(self, version: i16) -> bool {
        let versions = self.versions();
        versions.served_min <= version && version <= versions.max
    }

    /// Whether the request and response of this version are flexible, and with them the request's header.
    pub const fn is_flexible(self, version: i16) -> bool {
        version >= self.versions().flexible_min
    }

    /// Whether the response's header is flexible. ApiVersions' never is: a client reads it before it knows what
    /// the broker speaks (KIP-511).
    pub const fn response_header_is_flexible(self, version: i16) -> bool {
        self.is_flexible(version) && !matches!(self, Self::ApiVersions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::messages::ApiKey as Oracle;

    #[test]
    fn header_versions_agree_with_the_oracle() {
        for &key in ApiKey::ALL {
            let oracle = Oracle::try_from(key.code()).expect("the oracle knows every key");
            assert_eq!(format!("{oracle:?}").trim_end_matches("Key"), key.name());
            let versions = key.versions();
            for version in versions.served_min..=versions.max {
                let request = if key.is_flexible(version) { 2 } else { 1 };
                assert_eq!(oracle.request_header_version(version), request, "{key:?} {version}");
                let response = i16::from(key.response_header_is_flexible(version));
                assert_eq!(oracle.response_header_version(version), response, "{key:?} {version}");
            }
        }
    }

    #[test]
    fn numbers_survive_and_strangers_are_none() {
        for &key in ApiKey::ALL {
            assert_eq!(ApiKey::from_code(key.code()), Some(key));
            let versions = key.versions();
            assert!(versions.min <= versions.served_min && versions.served_min <= versions.max);
        }
        for code in [-1, 4, 93, i16::MAX] {
            assert_eq!(ApiKey::from_code(code), None);
        }
        assert!(!ApiKey::Produce.serves(2) && ApiKey::Produce.serves(3) && !ApiKey::Produce.serves(14));
    }
}
