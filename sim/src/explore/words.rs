//! Steps in words.

use jangbu_core::ids::BrokerId;
use jangbu_core::replica::{Acks, FetchBody, Replica};

use super::BROKERS;
use super::broker::{Broker, Life};
use super::message::Message;
use super::metadata::{Metadata, members};
use super::state::State;
use super::step::Step;
use super::world::World;

/// A step, and what it changed.
pub fn line(world: &World, from: &State, step: Step, to: &State) -> String {
    let mut text = action(world, from, step);
    for index in 0..BROKERS {
        if from.brokers[index] != to.brokers[index] {
            text.push_str(&format!("; {}", broker(world.brokers.get(to.brokers[index]))));
        }
    }
    if world.present(from) != world.present(to) {
        text.push_str(&format!("; {}", metadata(world.metadata.get(world.present(to)))));
    }
    if from.truth != to.truth {
        let truth = world.truths.get(to.truth);
        let acknowledged = (1..8).filter(|value| truth.acknowledged & 1 << value != 0);
        let acknowledged: Vec<u8> = acknowledged.collect();
        text.push_str(&format!("; committed {:?}, acknowledged {acknowledged:?}", truth.entries));
    }
    text
}

fn action(world: &World, from: &State, step: Step) -> String {
    let name = |index: usize| format!("broker {}", index + 1);
    match step {
        Step::Append(leader, acks) => {
            let acks = if acks == Acks::All { "all" } else { "1" };
            format!("{} appends record {} with acks={acks}", name(leader), from.records + 1)
        }
        Step::Drop(follower, leader, _) => {
            format!("an old fetch of {} to {} is lost", name(follower), name(leader))
        }
        Step::Deliver(follower, leader, id) => match world.messages.get(id) {
            Message::Fetch(fetch) => format!(
                "{} gets the fetch of {} (process {}, epoch {}, from offset {} after epoch {})",
                name(leader),
                name(follower),
                fetch.broker_epoch,
                fetch.current_leader_epoch,
                fetch.fetch_offset,
                fetch.last_fetched_epoch
            ),
            Message::Response { response, entry, .. } => {
                let what = match (response.body, entry) {
                    (FetchBody::Diverging(end), _) => {
                        format!("logs part at offset {} of epoch {}", end.end, end.epoch)
                    }
                    (FetchBody::Records, Some(entry)) => format!("record {entry:?}"),
                    (FetchBody::Records, None) => "no record".to_owned(),
                    (FetchBody::OutOfRange | FetchBody::Refused, _) => "refused".to_owned(),
                };
                let high_watermark = response.high_watermark;
                format!(
                    "{} gets the response of {} ({what}, high watermark {high_watermark})",
                    name(follower),
                    name(leader)
                )
            }
        },
        Step::Metadata(index, lag) => format!("{} learns of the metadata, {lag} behind", name(index)),
        Step::Judge(index) => format!("the controller judges the proposal of {}", name(index)),
        Step::JudgeGivenUp(index) => {
            format!("the controller judges a late proposal of {}, whose connection is gone", name(index))
        }
        Step::Answer(index) => format!("{} gets the controller's answer", name(index)),
        Step::Break(index) => format!("the connection of {} to the controller breaks", name(index)),
        Step::Late(leader, followers) => {
            let late = members(followers).map(name).collect::<Vec<_>>().join(" and ");
            format!("{} finds {late} behind for replica.lag.time.max.ms", name(leader))
        }
        Step::Fence(index) => format!("the session of {} is over", name(index)),
        Step::Serve(index) => format!("the controller unfences {}", name(index)),
        Step::Elect => "the controller elects another leader".to_owned(),
        Step::Crash(index, kept, checkpoint) => {
            let had = world.brokers.get(from.brokers[index]).log.entries.len();
            format!("{} crashes and keeps {kept} of {had} records, checkpoint {checkpoint}", name(index))
        }
        Step::Stop(index) => format!("{} stops cleanly", name(index)),
        Step::Start(index) => format!("{} starts and registers", name(index)),
    }
}

fn broker(broker: &Broker) -> String {
    let Life::Up { replica, .. } = &broker.life else {
        return format!("{} is down, log {:?}", broker.id, broker.log.entries);
    };
    let high_watermark = replica.high_watermark();
    format!("{} {}, log {:?}, high watermark {high_watermark}", broker.id, role(replica), broker.log.entries)
}

fn role(replica: &Replica) -> String {
    let epoch = replica.leader_epoch();
    if replica.is_leader() {
        let list = |ids: &[BrokerId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let committed = list(replica.committed_isr());
        let maximal = list(&replica.maximal_isr());
        let pending = if replica.has_pending_isr() { ", a proposal pending" } else { "" };
        return format!("leads epoch {epoch} with ISR {committed} (maximal {maximal}){pending}");
    }
    match replica.followed() {
        Some(leader) => format!("follows {leader} in epoch {epoch}"),
        None => "has no role".to_owned(),
    }
}

fn metadata(metadata: &Metadata) -> String {
    let list = |set: u8| members(set).map(|index| (index + 1).to_string()).collect::<Vec<_>>().join(" ");
    let fenced = (0..BROKERS).filter(|index| metadata.brokers[*index].is_fenced);
    let fenced = list(fenced.map(|index| 1 << index).sum());
    format!(
        "metadata: leader {}, epoch {}, version {}, ISR {}, ELR {}, fenced {}",
        if metadata.leader == BrokerId::NONE { "none".to_owned() } else { metadata.leader.to_string() },
        metadata.leader_epoch,
        metadata.partition_epoch,
        list(metadata.isr),
        if metadata.elr == 0 { "none".to_owned() } else { list(metadata.elr) },
        if fenced.is_empty() { "none".to_owned() } else { fenced },
    )
}
