//! What the simulated world does to the nodes in it.

mod determinism;
mod disk;
mod lifecycle;
mod net;
mod toy;
