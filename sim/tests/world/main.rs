//! What the simulated world does to the nodes in it.

mod contract;
mod determinism;
mod disk;
mod lifecycle;
mod net;
mod net_fuzz;
mod toy;
