//! What one seed runs: the scenario with every choice made, and the plan of its faults.

use std::time::Duration;

use crate::plan::Plan;
use crate::scenario::{Choice, ConfigChoices, ConfigValues, Drawing, Promise, Scenario, Workload};

/// One seed's settings.
#[derive(Clone, Debug)]
pub struct Case {
    /// How long the faults go on.
    pub duration: Duration,
    /// How many brokers.
    pub brokers: u64,
    /// One-way delay of the network, mean.
    pub network_delay: Duration,
    /// How long a sync takes, mean.
    pub sync_delay: Duration,
    /// Bytes of each node's disk.
    pub disk_bytes: Option<u64>,
    /// Keys of `server.properties`.
    pub config: ConfigValues,
    /// The topics.
    pub topics: Vec<TopicCase>,
    /// The producing clients, one entry each.
    pub producers: Vec<ProducerCase>,
    /// The reading clients, one entry each.
    pub consumers: Vec<ConsumerCase>,
    /// The clients that create and delete topics, one entry each.
    pub churners: Vec<ChurnCase>,
    /// The seeking clients, one entry each.
    pub seekers: Vec<SeekerCase>,
    /// What must hold.
    pub checks: Vec<&'static str>,
    /// Which acknowledgements count.
    pub promise: Promise,
    /// How soon everything must work again after the faults.
    pub progress_within: Duration,
    /// How long a node that ended by itself stays down.
    pub restart_delay: Duration,
}

/// A topic of one seed.
#[derive(Clone, Debug)]
pub struct TopicCase {
    /// Its name.
    pub name: String,
    /// How many partitions.
    pub partitions: u64,
    /// How many replicas each.
    pub replication: u64,
    /// Keys of the topic.
    pub config: ConfigValues,
}

impl TopicCase {
    /// Whether every acknowledgement waits for the disk itself.
    pub fn flushes_before_ack(&self) -> bool {
        self.config.get("flush.messages").is_some_and(|value| value == "1")
    }
}

/// A producing client of one seed.
#[derive(Clone, Debug)]
pub struct ProducerCase {
    /// Index of its topic.
    pub topic: usize,
    /// -1 (all), 0 or 1.
    pub acks: i16,
    /// Whether repeats are recognised.
    pub idempotent: bool,
    /// Time between two batches.
    pub every: Duration,
    /// Records in a batch.
    pub records: u64,
    /// Bytes of a record's value.
    pub record_bytes: u64,
    /// Batches under way.
    pub in_flight: u64,
}

/// A reading client of one seed.
#[derive(Clone, Debug)]
pub struct ConsumerCase {
    /// Index of its topic.
    pub topic: usize,
    /// Bytes a fetch may bring.
    pub fetch_bytes: u64,
    /// How long a fetch waits for records.
    pub max_wait: Duration,
}

/// A client of one seed that creates and deletes topics.
#[derive(Clone, Debug)]
pub struct ChurnCase {
    /// Index of the topic that the others are like.
    pub topic: usize,
    /// Topics at a time.
    pub topics: u64,
    /// Time between two steps.
    pub every: Duration,
    /// Records in a batch.
    pub records: u64,
    /// Bytes of a record's value.
    pub record_bytes: u64,
}

/// A seeking client of one seed.
#[derive(Clone, Debug)]
pub struct SeekerCase {
    /// Index of its topic.
    pub topic: usize,
    /// Time between two looks.
    pub every: Duration,
    /// Bytes a fetch may bring.
    pub fetch_bytes: u64,
}

/// The clients of one seed.
#[derive(Default)]
struct Clients {
    producers: Vec<ProducerCase>,
    consumers: Vec<ConsumerCase>,
    seekers: Vec<SeekerCase>,
    churners: Vec<ChurnCase>,
}

impl Case {
    /// Makes the choices of one seed, and its plan. With a recorded plan both are repeated from it.
    pub fn draw(scenario: &Scenario, seed: u64, recorded: Option<&Plan>) -> (Self, Plan) {
        let mut drawing = match recorded {
            Some(plan) => Drawing::recorded(seed, &plan.drawn),
            None => Drawing::fresh(seed),
        };
        let case = Self::choose(scenario, &mut drawing);
        let plan = match recorded {
            Some(plan) => plan.clone(),
            None => {
                let entries = Plan::generate(scenario, &case, &mut drawing);
                Plan {
                    scenario: scenario.path.to_string_lossy().into_owned(),
                    seed,
                    drawn: drawing.into_drawn(),
                    entries,
                }
            }
        };
        (case, plan)
    }

    fn choose(scenario: &Scenario, drawing: &mut Drawing) -> Self {
        let duration = drawing.value("duration", &scenario.duration);
        let cluster = &scenario.cluster;
        let brokers = drawing.value("cluster.brokers", &cluster.brokers).max(1);
        let network_delay = drawing.value("cluster.network_delay", &cluster.network_delay);
        let sync_delay = drawing.value("cluster.sync_delay", &cluster.sync_delay);
        let disk_bytes =
            cluster.disk_bytes.as_ref().map(|choice| drawing.value("cluster.disk_bytes", choice));
        let config = config_values(drawing, "cluster.config", &cluster.config);
        let topics = scenario
            .topics
            .iter()
            .map(|topic| TopicCase {
                name: topic.name.clone(),
                partitions: drawing.value(&format!("{}.partitions", topic.name), &topic.partitions).max(1),
                replication: drawing.value(&format!("{}.replication", topic.name), &topic.replication).max(1),
                config: config_values(drawing, &format!("{}.config", topic.name), &topic.config),
            })
            .collect();
        let Clients { producers, consumers, seekers, churners } = clients(scenario, drawing);
        Self {
            duration,
            brokers,
            network_delay,
            sync_delay,
            disk_bytes,
            config,
            topics,
            producers,
            consumers,
            churners,
            seekers,
            checks: scenario.checks.clone(),
            promise: scenario.promise,
            progress_within: drawing.value("liveness.progress_within", &scenario.liveness.progress_within),
            restart_delay: drawing
                .value("restart_delay", &Choice::Range(Duration::from_millis(100), Duration::from_secs(2))),
        }
    }
}

fn config_values(drawing: &mut Drawing, title: &str, choices: &ConfigChoices) -> ConfigValues {
    choices
        .iter()
        .map(|(key, choice)| (key.clone(), drawing.value(&format!("{title}.{key}"), choice)))
        .collect()
}

fn clients(scenario: &Scenario, drawing: &mut Drawing) -> Clients {
    let topic_index = |name: &str| {
        scenario.topics.iter().position(|topic| topic.name == name).expect("the parser checked the topic")
    };
    let mut clients = Clients::default();
    for (number, workload) in scenario.workloads.iter().enumerate() {
        let title = format!("workload {}", number + 1);
        match workload {
            Workload::Produce(choices) => {
                // Each client draws its own, so that weak and strong settings meet on one partition.
                for client in 0..drawing.value(&format!("{title}.clients"), &choices.clients) {
                    let title = format!("{title}.{}", client + 1);
                    let acks = drawing.value(&format!("{title}.acks"), &choices.acks);
                    let idempotent = drawing.value(&format!("{title}.idempotent"), &choices.idempotent);
                    clients.producers.push(ProducerCase {
                        topic: topic_index(&choices.topic),
                        acks: if acks == "all" { -1 } else { acks.parse().expect("the parser checked acks") },
                        // Kafka's rule: an idempotent producer waits for all replicas.
                        idempotent: idempotent && acks == "all",
                        every: drawing.value(&format!("{title}.every"), &choices.every),
                        records: drawing.value(&format!("{title}.records"), &choices.records).max(1),
                        record_bytes: drawing.value(&format!("{title}.record_bytes"), &choices.record_bytes),
                        in_flight: drawing
                            .value(&format!("{title}.in_flight"), &choices.in_flight)
                            .clamp(1, 5),
                    });
                }
            }
            Workload::Consume(choices) => {
                for client in 0..drawing.value(&format!("{title}.clients"), &choices.clients) {
                    let title = format!("{title}.{}", client + 1);
                    clients.consumers.push(ConsumerCase {
                        topic: topic_index(&choices.topic),
                        fetch_bytes: drawing.value(&format!("{title}.fetch_bytes"), &choices.fetch_bytes),
                        max_wait: drawing.value(&format!("{title}.max_wait"), &choices.max_wait),
                    });
                }
            }
            Workload::Churn(choices) => {
                for client in 0..drawing.value(&format!("{title}.clients"), &choices.clients) {
                    let title = format!("{title}.{}", client + 1);
                    clients.churners.push(ChurnCase {
                        topic: topic_index(&choices.topic),
                        topics: drawing.value(&format!("{title}.topics"), &choices.topics).max(1),
                        every: drawing.value(&format!("{title}.every"), &choices.every),
                        records: drawing.value(&format!("{title}.records"), &choices.records).max(1),
                        record_bytes: drawing.value(&format!("{title}.record_bytes"), &choices.record_bytes),
                    });
                }
            }
            Workload::Seek(choices) => {
                for client in 0..drawing.value(&format!("{title}.clients"), &choices.clients) {
                    let title = format!("{title}.{}", client + 1);
                    clients.seekers.push(SeekerCase {
                        topic: topic_index(&choices.topic),
                        every: drawing.value(&format!("{title}.every"), &choices.every),
                        fetch_bytes: drawing.value(&format!("{title}.fetch_bytes"), &choices.fetch_bytes),
                    });
                }
            }
        }
    }
    clients
}
