//! stub
use super::{Skipped, Parameters};
use std::time::Duration;
pub enum Blow { Process, Power(String) }
impl Blow { pub fn power(m: &str) -> Self { Blow::Power(m.into()) } pub fn from_text(m:&str)->Self { if m=="process" {Blow::Process} else {Blow::power(m)} } }
pub enum FollowUp { Resume(usize), QuickDisk(usize), HealDisk(usize), FreeDisk(usize), HonestDisk(usize) }
pub struct Stage;
impl Stage {
 pub fn crash(&mut self, _:usize,_:Blow)->Result<(),Skipped>{Ok(())}
 pub fn stop(&mut self, _:usize)->Result<(),Skipped>{Ok(())}
 pub fn start_later(&mut self,_:usize,_:Duration){}
 pub fn later(&mut self,_:Duration,_:FollowUp){}
 pub fn crash_at_disk_call(&mut self,_:usize,_:u64,_:Blow,_:Duration)->Result<(),Skipped>{Ok(())}
 pub fn interrupt_starts(&mut self,_:usize,_:u64,_:u64,_:Blow,_:Duration){}
 pub fn pause(&mut self,_:usize)->Result<(),Skipped>{Ok(())}
 pub fn reset_connections(&mut self,_:usize)->Result<(),Skipped>{Ok(())}
 pub fn slow_disk(&mut self,_:usize,_:Duration){}
 pub fn stall_disk(&mut self,_:usize,_:Duration){}
 pub fn fail_disk(&mut self,_:usize,_:&str,_:bool){}
 pub fn fill_disk(&mut self,_:usize,_:u64){}
 pub fn rot(&mut self,_:usize,_:&str,_:u64)->u64{0}
 pub fn lie_about_syncs(&mut self,_:usize){}
}
