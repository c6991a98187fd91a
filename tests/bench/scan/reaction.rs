//! How soon a watch tells of a container that listens, and what processor time it takes for that.
//!
//! The watch is a process of its own, so that its time can be told apart. Containers come and go by the clock, whether
//! they were told or not: as many, at the same moments, for whatever is compared; a whole scan, which every watch makes
//! from time to time, falls into each run as well.

use std::io::{BufRead as _, BufReader};
use std::time::{Duration, Instant};

use super::programs::{Programs, Spoken};

const NEWCOMERS: u16 = 25;
const FIRST_PORT: u16 = 20_000;
/// Between two of them.
const EVERY: Duration = Duration::from_secs(1);
/// So long each of them lives.
const LIFE: Duration = Duration::from_millis(900);

/// One run.
pub(crate) struct Reaction {
    /// From just before each newcomer listens until the update that says so is in hand.
    pub(crate) times: Vec<Duration>,
    /// Of the watch, from its first update on, with nothing taken off.
    pub(crate) cpu: Duration,
}

impl Reaction {
    /// `None` where the kernel tells no process events.
    pub(crate) fn measure(programs: &Programs, source: &str) -> Option<Self> {
        let mut watch = Spoken::start(&["--watch-newcomers", source]);
        if watch.line().get("ready") == 0 {
            return None;
        }
        let start = Instant::now();
        let listened: Vec<Duration> = (0..NEWCOMERS).map(|number| one(programs, number, start)).collect();
        std::thread::sleep((start + EVERY * u32::from(NEWCOMERS)).saturating_duration_since(Instant::now()));
        let told = watch.end();
        assert_eq!(told.get("bpf"), u64::from(source == "bpf"), "{told:?}");
        let of = |number: u16| {
            let told = told.find(&(FIRST_PORT + number).to_string());
            Duration::from_nanos(told.unwrap_or_else(|| panic!("newcomer {number} was not told")))
        };
        let times =
            (0..NEWCOMERS).zip(listened).map(|(number, listened)| of(number).saturating_sub(listened));
        Some(Self { times: times.collect(), cpu: told.cpu() })
    }

    /// The processor time for each newcomer.
    pub(crate) fn each(&self) -> Duration {
        self.cpu / u32::from(NEWCOMERS)
    }
}

/// A newcomer's whole life; gives when it listened.
fn one(programs: &Programs, number: u16, start: Instant) -> Duration {
    let begin = start + EVERY * u32::from(number);
    std::thread::sleep(begin.saturating_duration_since(Instant::now()));
    // At any moment of the watch's own round.
    let mut newcomer = programs.newcomer(FIRST_PORT + number, 10 + number * 37 % 111);
    let mut line = String::new();
    BufReader::new(newcomer.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let listened = line.trim().parse().expect("the newcomer does not listen");
    std::thread::sleep((begin + LIFE).saturating_duration_since(Instant::now()));
    drop(newcomer.stdin.take());
    newcomer.wait().unwrap();
    Duration::from_nanos(listened)
}
