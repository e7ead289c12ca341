//! `meta.properties`: whose a log directory is (KIP-631, KIP-858).

use std::fmt;

use crate::ids::{BrokerId, Uuid};

/// The contents of `meta.properties`, version 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaProperties {
    /// The cluster.
    pub cluster_id: String,
    /// The node.
    pub node_id: BrokerId,
    /// This directory.
    pub directory_id: Uuid,
}

impl MetaProperties {
    /// Reads the file's text; `None` when a field is missing or wrong, or the version is not 1.
    pub fn parse(text: &str) -> Option<Self> {
        let lines =
            text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', '!']));
        let (mut version, mut cluster_id, mut node_id, mut directory_id) = (None, None, None, None);
        for line in lines {
            let (key, value) = line.split_once('=')?;
            match key.trim() {
                "version" => version = Some(value.trim()),
                "cluster.id" => cluster_id = Some(value.trim().to_owned()),
                "node.id" => node_id = Some(value.trim().parse().ok()?),
                "directory.id" => directory_id = Some(value.trim().parse().ok()?),
                _ => {}
            }
        }
        if version != Some("1") {
            return None;
        }
        Some(Self {
            cluster_id: cluster_id.filter(|id| !id.is_empty())?,
            node_id: BrokerId(node_id?),
            directory_id: directory_id?,
        })
    }
}

impl fmt::Display for MetaProperties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "version=1")?;
        writeln!(f, "cluster.id={}", self.cluster_id)?;
        writeln!(f, "node.id={}", self.node_id)?;
        writeln!(f, "directory.id={}", self.directory_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_back_and_kafkas_own_is_read() {
        let meta = MetaProperties {
            cluster_id: "c".into(),
            node_id: BrokerId(3),
            directory_id: Uuid::METADATA_TOPIC,
        };
        assert_eq!(MetaProperties::parse(&meta.to_string()), Some(meta.clone()));
        let kafkas = "#\n#Sat Nov 21 12:00:00 UTC 2026\nnode.id=3\nversion=1\ndirectory.id=AAAAAAAAAAAAAAAAAAAAAQ\ncluster.id=c\n";
        assert_eq!(MetaProperties::parse(kafkas), Some(meta));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in
            ["", "version=0\n", "version=1\ncluster.id=c\nnode.id=x\n", "nonsense", "version=1\nnode.id=1\n"]
        {
            assert_eq!(MetaProperties::parse(text), None, "{text:?}");
        }
    }
}
