//! A whole broker in memory.

use super::*;
use crate::api::Services;
use crate::metadata::MetadataImage;
use crate::node::Node;
use crate::sync::Arc;

pub(crate) struct Served {
    pub(crate) node: Node<Wired>,
}

impl Served {
    pub(crate) fn server(&self) -> &Server<Wired> {
        self.node.server()
    }

    pub(crate) fn services(&self) -> &Arc<Services<Wired>> {
        &self.node.server().shared.services
    }

    pub(crate) fn image(&self) -> Arc<MetadataImage> {
        self.node.quorum().image()
    }
}

pub(crate) async fn start(env: &Wired, config: Config) -> Served {
    Served { node: Node::start(env.clone(), config).await.expect("an empty disk takes a node") }
}
