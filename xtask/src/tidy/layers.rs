//! Who may import whom. Think hard before you add an edge: the folder tree is the architecture, and an edge that
//! points up, or across two machines, takes a wall out of the house. Change this table in a commit of its own.

use super::Finding;
use super::source::Source;

/// Modules that anything may import.
const VALUES: &[&str] = &["ids", "time", "error", "epochs", "fact", "museum", "sync", "wire", "record"];

/// What each module may import besides [`VALUES`] (values themselves may import values alone).
const EDGES: &[(&str, &[&str])] = &[
    // ring 1: pure machines, which never import each other
    ("metadata", &[]),
    ("controller", &["metadata"]),
    ("raft", &[]),
    ("replica", &["metadata"]),
    ("purgatory", &["metadata"]),
    ("fetch_session", &["metadata"]),
    ("fetch_loop", &["metadata"]),
    ("lifecycle", &["metadata"]),
    // ring 2: the seam and the log
    ("env", &[]),
    ("log", &["env", "replica"]), // replica::producers is the fold that the log's snapshots hold
    // ring 3: the shell
    ("config", &["env", "log", "metadata", "controller"]),
    ("client", &["env"]),
    ("partition", &["env", "log", "replica", "purgatory", "metadata", "config"]),
    ("quorum", &["env", "log", "metadata", "controller", "raft", "config"]), // never partition: the control lane takes no partition lock (D12)
    (
        "api",
        &[
            "env",
            "log",
            "replica", // the producers' errors, for the error map
            "metadata",
            "controller",
            "config",
            "partition",
            "quorum",
            "purgatory",
            "fetch_session",
            "server",
        ],
    ),
    ("server", &["env", "log", "metadata", "config", "partition", "quorum", "api", "fetch_session"]),
    ("node", &["env", "log", "metadata", "controller", "config", "partition", "quorum", "server", "api"]),
];

/// Modules whose files hold no `async` and no `Env`.
const PURE: &[&str] =
    &["metadata", "controller", "raft", "replica", "purgatory", "fetch_session", "fetch_loop", "lifecycle"];

/// Checks the imports of one file of the core.
pub fn check(source: &Source, findings: &mut Vec<Finding>) {
    let Some(module) = source.core_module() else { return };
    if module == "lib" {
        return;
    }
    let is_value = VALUES.contains(&module);
    let allowed = EDGES.iter().find(|(name, _)| *name == module).map(|(_, edges)| *edges);
    for (line, text) in source.code() {
        for imported in imports(text) {
            let fine = imported == module
                || VALUES.contains(&imported.as_str())
                || allowed.is_some_and(|edges| edges.contains(&imported.as_str()));
            if !fine {
                let what = format!("`{module}` may not import `{imported}` (see xtask/src/tidy/layers.rs)");
                findings.push(Finding { file: source.path.clone(), line, what });
            }
        }
        let is_async = text.contains("async ") || text.contains(".await");
        if (is_value || PURE.contains(&module)) && is_async {
            let what = format!("`{module}` is pure: async belongs to the shell");
            findings.push(Finding { file: source.path.clone(), line, what });
        }
    }
}

/// The core's modules that a line names by `crate::`.
fn imports(line: &str) -> Vec<String> {
    line.split("crate::")
        .skip(1)
        .map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>())
        .filter(|name| !name.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        let mut findings = Vec::new();
        check(&Source::new(path, text), &mut findings);
        findings.len()
    }

    #[test]
    fn an_import_that_points_up_is_found() {
        assert_eq!(found("core/src/log/mod.rs", "use crate::partition::Partition;"), 1);
        assert_eq!(found("core/src/quorum/mod.rs", "use crate::partition::Table;"), 1);
        assert_eq!(found("core/src/ids.rs", "use crate::env::Env;"), 1);
        assert_eq!(found("core/src/log/mod.rs", "use crate::env::Disk;"), 0);
    }

    #[test]
    fn async_in_a_machine_is_found() {
        assert_eq!(found("core/src/purgatory.rs", "async fn wait() {}"), 1);
        assert_eq!(found("core/src/purgatory.rs", "// async is for others"), 0);
    }
}
