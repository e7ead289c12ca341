//! The binary as its users meet it: arguments, configuration, signals, exit codes.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};
use rustix::process::{Pid, Signal, kill_process};

/// An empty directory, removed when dropped.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("jangbu-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory for the test");
        Self(path)
    }

    fn properties(&self, text: &str) -> PathBuf {
        let path = self.0.join("server.properties");
        std::fs::write(&path, text).expect("the directory is writable");
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

fn jangbu() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jangbu"));
    command.stdin(Stdio::null()).env_remove("JANGBU_LOG");
    command
}

fn output(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = jangbu().args(arguments).output().expect("the binary runs");
    let text = |bytes| String::from_utf8(bytes).expect("output is text");
    (status.code(), text(stdout), text(stderr))
}

/// A broker that has said it listens; killed when dropped.
struct Broker {
    child: Child,
    log: BufReader<std::process::ChildStderr>,
    port: u16,
    /// What it said until it listened.
    said: String,
}

impl Broker {
    fn start(properties: &Path) -> Self {
        let mut child = jangbu()
            .args(["broker", "--config"])
            .arg(properties)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let log = BufReader::new(child.stderr.take().expect("it is piped"));
        // From here on the child is waited for, whatever happens.
        let mut broker = Self { child, log, port: 0, said: String::new() };
        loop {
            let mut line = String::new();
            assert!(
                broker.log.read_line(&mut line).expect("the log is text") > 0,
                "it ended: {}",
                broker.said
            );
            broker.said.push_str(&line);
            if let Some((_, place)) = line.split_once(" started version=") {
                let (_, address) = place.split_once(" address=127.0.0.1:").expect("where it listens");
                let digits: String = address.chars().take_while(char::is_ascii_digit).collect();
                broker.port = digits.parse().expect("a port");
                return broker;
            }
        }
    }

    /// Reads its log up to a line with this in it.
    fn says(&mut self, part: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.log.read_line(&mut line).expect("the log is text") > 0, "it ended: {}", self.said);
            self.said.push_str(&line);
            if line.contains(part) {
                return line;
            }
        }
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", format!("127.0.0.1:{}", self.port)).set("client.id", "visitor");
        config
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("it runs");
    }

    /// How it ended, and what it said meanwhile.
    fn end(&mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + Duration::from_secs(20);
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                break status;
            }
            assert!(Instant::now() < deadline, "the broker does not end");
            std::thread::sleep(Duration::from_millis(10));
        };
        let mut said = String::new();
        self.log.read_to_string(&mut said).expect("the log is text");
        (status, said)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn help_shows_examples_and_exit_codes() {
    for arguments in [["--help"].as_slice(), &["broker", "--help"]] {
        let (code, stdout, _) = output(arguments);
        assert_eq!(code, Some(0));
        for part in [
            "jangbu broker --config server.properties",
            "consumer groups",
            "transactions",
            "Exit codes:",
            "NO_COLOR",
        ] {
            assert!(stdout.contains(part), "{part:?} is missing in:\n{stdout}");
        }
    }
}

#[test]
fn wrong_usage_ends_with_2() {
    assert_eq!(output(&[]).0, Some(2));
    assert_eq!(output(&["broker", "--confg", "x"]).0, Some(2));
    assert_eq!(output(&["brker"]).0, Some(2));
}

#[test]
fn an_unknown_key_ends_with_2_names_its_line_and_the_nearest_key() {
    let directory = Directory::new("unknown-key");
    let path = directory.properties("# ours\nnode.id=1\nnum.partitons=3\n");
    let (code, _, stderr) = output(&["broker", "--config", path.to_str().expect("a text path")]);
    assert_eq!(code, Some(2));
    assert!(
        stderr.contains("line 3: unknown key `num.partitons`; did you mean `num.partitions`?"),
        "{stderr}"
    );
}

#[test]
fn a_missing_or_broken_file_ends_with_2() {
    let directory = Directory::new("broken-file");
    let (code, _, stderr) = output(&["broker", "--config", "/missing/server.properties"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("cannot read /missing/server.properties"), "{stderr}");
    let path = directory.properties("node.id=1\nlog.dirs=C:\\users\n");
    let (code, _, stderr) = output(&["broker", "--config", path.to_str().expect("a text path")]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("line 2: \\u takes four hexadecimal digits"), "{stderr}");
}

#[test]
fn sigterm_and_sigint_close_cleanly_and_end_with_0() {
    let directory = Directory::new("signals");
    let data = directory.0.join("data");
    let path =
        directory.properties(&format!("log.dirs={}\nlisteners=PLAINTEXT://127.0.0.1:0\n", data.display()));
    for signal in [Signal::TERM, Signal::INT] {
        let mut broker = Broker::start(&path);
        let _connection = TcpStream::connect(("127.0.0.1", broker.port)).expect("it listens");
        broker.signal(signal);
        let (status, said) = broker.end();
        assert_eq!(status.code(), Some(0), "{said}");
        assert!(said.contains(" stopped"), "{said}");
        assert!(data.join(".kafka_cleanshutdown").exists(), "the mark of a clean end is missing");
    }
}

#[test]
fn a_second_broker_on_the_same_directory_is_refused() {
    let directory = Directory::new("twice");
    let data = directory.0.join("data");
    let path =
        directory.properties(&format!("log.dirs={}\nlisteners=PLAINTEXT://127.0.0.1:0\n", data.display()));
    let _first = Broker::start(&path);
    let (code, _, stderr) = output(&["broker", "--config", path.to_str().expect("a text path")]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("does not start"), "{stderr}");
}

#[test]
fn a_taken_port_ends_with_1_and_is_said_once() {
    let directory = Directory::new("taken-port");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound");
    let data = directory.0.join("data");
    let path =
        directory.properties(&format!("log.dirs={}\nlisteners=PLAINTEXT://{address}\n", data.display()));
    let (code, _, stderr) = output(&["broker", "--config", path.to_str().expect("a text path")]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains(&format!("cannot listen on {address}")), "{stderr}");
    assert_eq!(stderr.matches("Address already in use").count(), 1, "{stderr}");
    assert!(stderr.contains("is another broker running?"), "{stderr}");
    assert!(!data.exists(), "a broker that never was leaves no formatted directory behind");
}

#[test]
fn an_address_of_no_interface_is_not_blamed_on_another_broker() {
    let directory = Directory::new("alien-address");
    let data = directory.0.join("data");
    let path =
        directory.properties(&format!("log.dirs={}\nlisteners=PLAINTEXT://192.0.2.1:9092\n", data.display()));
    let (code, _, stderr) = output(&["broker", "--config", path.to_str().expect("a text path")]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("no interface of this machine has that address"), "{stderr}");
    assert!(!stderr.contains("another broker"), "{stderr}");
}

#[test]
fn a_listener_with_encryption_or_passwords_ends_with_2_and_never_serves_in_the_clear() {
    let directory = Directory::new("ssl");
    for listener in ["SSL://:0", "SASL_PLAINTEXT://127.0.0.1:0"] {
        let path = directory.properties(&format!("node.id=1\nlisteners={listener}\n"));
        let (code, _, stderr) = output(&["broker", "--config", path.to_str().expect("a text path")]);
        assert_eq!(code, Some(2), "{stderr}");
        assert!(stderr.contains("line 2: ") && stderr.contains("supports PLAINTEXT only"), "{stderr}");
    }
}

#[test]
fn a_topics_key_ends_with_2_and_names_the_brokers_key_that_was_meant() {
    let directory = Directory::new("topic-key");
    let path = directory.properties("flush.messages=1\n");
    let (code, _, stderr) = output(&["broker", "--config", path.to_str().expect("a text path")]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("line 1: ") && stderr.contains("`log.flush.interval.messages`"), "{stderr}");
}

#[test]
fn config_prints_every_key_as_a_server_properties_that_starts() {
    let (code, stdout, _) = output(&["config"]);
    assert_eq!(code, Some(0));
    assert!(stdout.contains("\n#listeners=PLAINTEXT://:9092\n"), "{stdout}");
    let directory = Directory::new("config");
    let data = directory.0.join("data");
    let path = directory
        .properties(&format!("{stdout}log.dirs={}\nlisteners=PLAINTEXT://127.0.0.1:0\n", data.display()));
    Broker::start(&path);
}

/// timeout(1) signals its child and then the group that the child is in.
#[test]
fn two_sigterms_within_a_moment_are_one_and_everything_is_closed() {
    let directory = Directory::new("two-signals");
    let data = directory.0.join("data");
    let path =
        directory.properties(&format!("log.dirs={}\nlisteners=PLAINTEXT://127.0.0.1:0\n", data.display()));
    let mut broker = Broker::start(&path);
    let admin: AdminClient<DefaultClientContext> = broker.client().create().expect("a client");
    create(&admin, "t");
    broker.says("topic created");
    // A fetch that waits: the stop gives it a second.
    let reader: BaseConsumer =
        broker.client().set("group.id", "none").set("fetch.wait.max.ms", "20000").create().expect("a client");
    let mut assigned = TopicPartitionList::new();
    assigned.add_partition_offset("t", 0, Offset::Beginning).expect("an offset");
    reader.assign(&assigned).expect("it is assigned");
    assert!(reader.poll(Duration::from_secs(1)).is_none(), "nothing is there to be read");
    broker.signal(Signal::TERM);
    std::thread::sleep(Duration::from_millis(100));
    assert!(broker.child.try_wait().expect("it is our child").is_none(), "it has ended already");
    broker.signal(Signal::TERM);
    let (status, said) = broker.end();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(data.join(".kafka_cleanshutdown").exists(), "the mark of a clean end is missing: {said}");
}

fn create(admin: &AdminClient<DefaultClientContext>, name: &str) {
    let topic = NewTopic::new(name, 1, TopicReplication::Fixed(1));
    let created = wait(admin.create_topics([&topic], &AdminOptions::new())).expect("an answer");
    assert!(created.iter().all(Result::is_ok), "{created:?}");
}

/// Waits for an answer of librdkafka's own threads.
fn wait<T>(answer: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(answer)
}

#[test]
fn the_log_says_which_topics_come_and_go_and_that_a_killed_broker_was_recovered() {
    let directory = Directory::new("announced");
    let data = directory.0.join("data");
    let path =
        directory.properties(&format!("log.dirs={}\nlisteners=PLAINTEXT://127.0.0.1:0\n", data.display()));
    let mut broker = Broker::start(&path);
    assert!(broker.said.contains(&format!("started version={}", env!("CARGO_PKG_VERSION"))));
    assert!(!broker.said.contains("unclean stop"), "a new directory was never stopped: {}", broker.said);
    assert!(!broker.said.contains("max.connections"), "nobody asked for more: {}", broker.said);
    let admin: AdminClient<DefaultClientContext> = broker.client().create().expect("a client");
    create(&admin, "orders");
    assert!(broker.says("topic created").contains("topic=\"orders\""));
    wait(admin.delete_topics(&["orders"], &AdminOptions::new())).expect("an answer");
    assert!(broker.says("topic deleted").contains("topic=\"orders\""));
    create(&admin, "orders");
    broker.says("topic created");
    broker.signal(Signal::KILL);
    broker.end();
    let mut broker = Broker::start(&path);
    assert!(broker.said.contains("unclean stop: the logs were recovered"), "{}", broker.said);
    assert!(broker.said.contains("logs=2"), "its topic and the metadata: {}", broker.said);
    assert!(!broker.said.contains("topic created"), "it was there before: {}", broker.said);
    broker.signal(Signal::TERM);
    broker.end();
    assert!(!Broker::start(&path).said.contains("unclean stop"), "it was closed");
}

#[test]
fn a_consumer_that_joins_a_group_hears_at_once_that_there_are_none_and_the_log_names_it() {
    let directory = Directory::new("group");
    let data = directory.0.join("data");
    let path =
        directory.properties(&format!("log.dirs={}\nlisteners=PLAINTEXT://127.0.0.1:0\n", data.display()));
    let mut broker = Broker::start(&path);
    create(&broker.client().create().expect("a client"), "t");
    let consumer: BaseConsumer = broker.client().set("group.id", "g").create().expect("a client");
    consumer.subscribe(&["t"]).expect("it is noted");
    let deadline = Instant::now() + Duration::from_secs(20);
    let error = loop {
        assert!(Instant::now() < deadline, "the consumer hears nothing");
        match consumer.poll(Duration::from_secs(1)) {
            Some(Err(error)) => break error,
            Some(Ok(_)) => panic!("nothing was written"),
            None => {}
        }
    };
    assert!(
        matches!(error, KafkaError::MessageConsumption(RDKafkaErrorCode::UnsupportedFeature)),
        "{error:?}"
    );
    let line = broker.says("a client asks for a consumer group");
    assert!(line.contains("client_id=\"visitor\"") && line.contains("supports neither"), "{line}");
}

#[test]
fn after_sigkill_the_directory_is_free_and_the_broker_starts_again() {
    let directory = Directory::new("sigkill");
    let data = directory.0.join("data");
    let path =
        directory.properties(&format!("log.dirs={}\nlisteners=PLAINTEXT://127.0.0.1:0\n", data.display()));
    for _ in 0..3 {
        let mut broker = Broker::start(&path);
        broker.signal(Signal::KILL);
        assert_eq!(broker.end().0.signal(), Some(9));
    }
}

/// What [`a_panic_is_one_line_in_the_log_and_the_end_of_the_process`] runs in a process of its own.
#[test]
#[ignore = "ends the process; run by another test"]
fn child_panics_in_a_thread() {
    jangbu::logging::start().expect("no filter is set");
    jangbu::logging::abort_on_panic();
    std::thread::Builder::new()
        .name("doomed".to_owned())
        .spawn(|| panic!("first line\nsecond line"))
        .expect("a thread")
        .join()
        .ok();
}

#[test]
fn a_panic_is_one_line_in_the_log_and_the_end_of_the_process() {
    let output = Command::new(std::env::current_exe().expect("a path"))
        .args(["--ignored", "--exact", "child_panics_in_a_thread", "--nocapture"])
        .env_remove("JANGBU_LOG")
        .output()
        .expect("the tests run");
    assert_eq!(output.status.signal(), Some(6), "the process must abort");
    let log = String::from_utf8(output.stderr).expect("the log is text");
    let line = log.lines().find(|line| line.contains("panic; the process ends")).expect("a log line");
    assert!(line.contains("first line\\nsecond line") && line.contains("doomed"), "{log}");
}
