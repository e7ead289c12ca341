//! toy
use std::sync::Arc;
use std::path::Path;
use std::time::Duration;
use std::io::IoSlice;
use jangbu_core::museum::Switches;
use jangbu_core::env::*;
use jangbu_core::fact::Fact;
use jangbu_core::ids::*;
use jangbu_core::record::builder::BatchBuilder;
use jangbu_core::record::compression::Codec;
use jangbu_core::record::batch::Batch;
use jangbu_core::time::Timestamp;
use crate::case::Case;
use crate::simulate::{Board, Phase};
use crate::world::{NodeId, World, SimEnv};
use crate::model::ClientEvent;
const S: Site = Site::new("toy");
thread_local!{ static B: std::cell::RefCell<Option<Arc<Board>>> = const { std::cell::RefCell::new(None) }; }
/// x
pub fn brokers(world: &Arc<World>, case: &Arc<Case>, _: Switches) -> Vec<NodeId> {
    let case = case.clone();
    vec![world.add_node("b1", move |env: SimEnv| { let case=case.clone(); async move { toy(env, case).await.map_err(|e| e.to_string()) } })]
}
async fn toy(env: SimEnv, case: Arc<Case>) -> std::io::Result<()> {
    let tp = TopicPartition::new(Uuid([7;16]), 0);
    let dir = format!("/{tp}"); let dir = Path::new(&dir);
    let path = dir.join("00000000000000000000.log");
    let d = env.disk();
    let _ = d.create_dir(S, dir);
    d.sync_dir(S, Path::new("/")).await?;
    let f = match d.open(S, &path, OpenMode::Write) { Ok(f)=>f, Err(_)=> { let f = d.create(S, &path)?; d.sync_dir(S, dir).await?; f } };
    let mut buf = vec![0; f.len(S)? as usize]; f.read_at(S, &mut buf, 0)?;
    let mut b: bytes::Bytes = buf.into(); let total=b.len() as u64;
    let mut next = 0i64;
    while let Ok(x) = Batch::split_from(&mut b) { next = x.header().next_offset().unwrap().0; }
    let mut pos = total - b.len() as u64;
    f.truncate(S, pos)?; f.sync(S).await?;
    env.observe(&Fact::Recovered { partition: tp, clean: false, log_start: Offset(0), log_end: Offset(next) });
    env.observe(&Fact::BecameLeader { partition: tp, leader_epoch: LeaderEpoch(env.incarnation() as i32), start: Offset(next) });
    let board = B.with_borrow(|b| b.clone().unwrap());
    let mut n = 0u64;
    loop {
        env.clock().sleep_until(env.clock().now() + Duration::from_millis(10)).await;
        n += 1;
        let value = (env.incarnation() as u64) << 20 | n;
        let mut bb = BatchBuilder::new(Codec::None);
        bb.append(Timestamp(0), None, Some(&value.to_be_bytes()), &[]);
        let bytes = bb.build();
        let mut bytes2 = bytes.clone();
        let batch = Batch::split_from(&mut bytes2).unwrap();
        let p = batch.patched_prefix(Offset(next), LeaderEpoch(env.incarnation() as i32));
        f.write_at(S, &[IoSlice::new(&p), IoSlice::new(&bytes[16..])], pos)?;
        let mut all = p.to_vec(); all.extend_from_slice(&bytes[16..]);
        env.observe(&Fact::Appended { partition: tp, base_offset: Offset(next), log_end: Offset(next+1), leader_epoch: LeaderEpoch(env.incarnation() as i32), batches: all.into() });
        if case.topics[0].flushes_before_ack() { f.sync(S).await?; env.observe(&Fact::Flushed{partition: tp, flushed: Offset(next+1)}); }
        board.tell(env.world(), &ClientEvent::Acked { producer: 0, slot: (0,0), first: value, count: 1, base_offset: Some(next) });
        if board.phase() >= Phase::Settle { for i in 0..case.producers.len() { board.settled(i); } }
        if board.phase() >= Phase::ReadOut { board.read_out((0,0), next); for i in 0..case.consumers.len() { board.set_behind(i, None); } }
        pos += bytes.len() as u64; next += 1;
    }
}
/// x
pub fn start_admin(world: &Arc<World>, _case: &Arc<Case>, board: &Arc<Board>) { B.set(Some(board.clone())); board.tell(world, &ClientEvent::TopicCreated { topic: 0, topic_id: Uuid([7;16]) }); }
/// x
pub fn start_clients(_world: &Arc<World>, _case: &Arc<Case>, _board: &Arc<Board>) { }
