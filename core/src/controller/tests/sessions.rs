//! Sessions: who has been heard of lately.

use super::cluster::Cluster;
use super::*;

const SECOND: u64 = 1_000_000_000;

#[test]
fn a_session_lasts_nine_seconds_from_the_last_heartbeat() {
    let mut sessions = Sessions::new(SESSION_TIMEOUT);
    assert_eq!(sessions.next_deadline(), None);
    sessions.heard(BrokerId(1), Instant(0));
    sessions.heard(BrokerId(2), Instant(SECOND));
    assert_eq!(sessions.next_deadline(), Some(Instant(9 * SECOND)));
    assert_eq!(sessions.expired(Instant(9 * SECOND - 1)), None);
    assert_eq!(sessions.expired(Instant(9 * SECOND)), Some(BrokerId(1)));
    sessions.heard(BrokerId(1), Instant(9 * SECOND));
    assert_eq!(sessions.expired(Instant(9 * SECOND)), None);
    assert_eq!(sessions.expired(Instant(10 * SECOND)), Some(BrokerId(2)));
}

#[test]
fn brokers_whose_sessions_end_together_are_fenced_one_after_the_other() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    cluster.now = Instant(SECOND);
    cluster.beat(3);
    cluster.beat(4);
    let now = Instant(9 * SECOND);
    let mut fenced = Vec::new();
    while let Some(command) = cluster.scene.controller.expired(now) {
        let Command::FenceBroker { broker_id, .. } = &command else { panic!("{command:?}") };
        fenced.push(broker_id.0);
        cluster.scene.run(&command).expect("it is registered");
    }
    assert_eq!(fenced, [1, 2]);
    assert_eq!(cluster.show(), "leader 3 isr 3 elr 2");
    assert_eq!(cluster.scene.controller.next_deadline(), Some(Instant(10 * SECOND)));
}

#[test]
fn a_controller_that_takes_over_gives_everyone_a_whole_session() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    cluster.fence(3);
    cluster.scene.controller.begin_sessions(Instant(5 * SECOND));
    assert_eq!(cluster.scene.controller.next_deadline(), Some(Instant(14 * SECOND)));
    assert!(cluster.scene.controller.expired(Instant(13 * SECOND)).is_none());
    assert!(cluster.scene.controller.has_session(BrokerId(3)), "it may live, and be about to serve");
}

#[test]
fn a_session_of_one_that_is_fenced_already_just_ends() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    let registration = cluster.registration(3, None);
    cluster.register(registration).expect("3 returns");
    cluster.heartbeat(3, Offset(0), (true, false)).expect("3 loads its logs");
    cluster.now = Instant(SECOND);
    for broker in [1, 2, 4] {
        cluster.beat(broker);
    }
    assert!(cluster.scene.controller.expired(Instant(9 * SECOND)).is_none());
    assert_eq!(cluster.scene.controller.next_deadline(), Some(Instant(10 * SECOND)));
}
