use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use jangbu_core::env::Listener;

use super::{SimNet, SimStream, lock};
use crate::world::disk::crashed;

/// Connections that wait to be accepted.
#[derive(Default)]
pub(super) struct Backlog {
    state: Mutex<BacklogState>,
}

#[derive(Default)]
struct BacklogState {
    waiting: VecDeque<(SimStream, String)>,
    waker: Option<Waker>,
}

impl Backlog {
    pub(super) fn has_room(&self, backlog_max: usize) -> bool {
        lock(&self.state).waiting.len() < backlog_max
    }

    pub(super) fn offer(&self, stream: SimStream, peer: String) {
        let waker = {
            let mut state = lock(&self.state);
            state.waiting.push_back((stream, peer));
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// A listening socket of a simulated node.
pub struct SimListener {
    net: SimNet,
    port: u16,
    backlog: Arc<Backlog>,
}

impl SimListener {
    pub(super) fn open(net: &SimNet, port: u16) -> io::Result<Self> {
        let node = net.node.id;
        let mut state = lock(&net.world.network.state);
        let taken = |port: u16| state.listeners.contains_key(&(node, port));
        let port = match port {
            0 => (32768..u16::MAX).find(|port| !taken(*port)).ok_or(ErrorKind::AddrInUse)?,
            port if taken(port) => return Err(ErrorKind::AddrInUse.into()),
            port => port,
        };
        let backlog = Arc::new(Backlog::default());
        state.listeners.insert((node, port), backlog.clone());
        drop(state);
        Ok(Self { net: net.clone(), port, backlog })
    }
}

impl Listener for SimListener {
    type Stream = SimStream;

    fn local_port(&self) -> u16 {
        self.port
    }

    async fn accept(&mut self) -> io::Result<(SimStream, String)> {
        std::future::poll_fn(|context| {
            if self.net.incarnation.is_over() {
                return Poll::Ready(Err(crashed()));
            }
            let mut state = lock(&self.backlog.state);
            match state.waiting.pop_front() {
                Some(connection) => Poll::Ready(Ok(connection)),
                None => {
                    state.waker = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        // The port may belong to the next incarnation by now.
        let removed = {
            let mut state = lock(&self.net.world.network.state);
            let key = (self.net.node.id, self.port);
            let ours = state.listeners.get(&key).is_some_and(|backlog| Arc::ptr_eq(backlog, &self.backlog));
            if ours { state.listeners.remove(&key) } else { None }
        };
        // Whoever waits to be accepted is reset.
        let waiting = std::mem::take(&mut lock(&self.backlog.state).waiting);
        drop((removed, waiting));
    }
}
