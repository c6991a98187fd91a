//! What a survey of a thousand containers with five services each costs, against the bare scan of them.
//!
//! The services are stand-ins: programs with the services' names, arguments, ports, open logs and configurations, in a
//! root of their own each, but with nothing in them. Both sides count the processor time of all their processes: the
//! helper's server and its children as well.
//!
//! - `image`: the root that all containers have below their own layer
//! - `stand_in.c`: the program

mod image;

use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use portolan::{Files, SurveyOptions, Surveyor};
use portolan_linux::bpf::Iterators;
use portolan_scan::Scanner;

use crate::Budget;
use crate::scan::child::options;
use crate::scan::programs::{Figures, Programs, median, ours};

const CONTAINERS: usize = 1000;
const TURNS: usize = 3;
/// Passes after the first: many, because theirs is what is left when the first is taken away.
const LATER: usize = 12;

/// The rows, of a process that sees the fleet alone. The limits are for scans by system calls on both sides; by BPF the
/// same survey is compared with a scan that costs a fraction.
pub(crate) fn rows() -> Vec<Budget> {
    let programs = Programs::build();
    let image = image::Image::make();
    let _fleet = programs.fleet(CONTAINERS, &["-i", image.path()]);
    let by_calls = Costs::of("syscalls");
    let mut rows = vec![
        Budget::ratio(
            "first survey, 1,000 x 5 services / the bare scan",
            by_calls.survey,
            by_calls.scan,
            3.0,
        ),
        Budget::ratio(
            "later survey, nothing changed / the bare rescan",
            by_calls.surveyed,
            by_calls.rescan,
            1.3,
        ),
    ];
    if Iterators::load().is_ok() {
        let by_bpf = Costs::of("bpf");
        let of = |what, ours, peer| Budget::ratio(what, ours, peer, 1.0).for_comparison();
        rows.extend([
            of("  the first by BPF / the bare scan by BPF", by_bpf.survey, by_bpf.scan),
            of("  the later by BPF / the bare rescan by BPF", by_bpf.surveyed, by_bpf.rescan),
            of("  the same / the bare rescan by system calls", by_bpf.surveyed, by_calls.rescan),
        ]);
    }
    rows
}

/// Each with the scan that it begins with.
struct Costs {
    scan: Duration,
    survey: Duration,
    rescan: Duration,
    surveyed: Duration,
}

impl Costs {
    fn of(source: &str) -> Self {
        let (mut scans, mut firsts, mut rescans, mut laters) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for _ in 0..TURNS {
            let [scan, survey] = ["scan", "survey"].map(|what| whole(what, source, 0));
            let [again, surveyed] = ["scan", "survey"].map(|what| whole(what, source, LATER));
            rescans.push(each(&again, &scan));
            laters.push(each(&surveyed, &survey));
            scans.push(scan.cpu());
            firsts.push(survey.cpu());
        }
        let [scan, survey, rescan, surveyed] = [scans, firsts, rescans, laters].map(median);
        Self { scan, survey, rescan, surveyed }
    }
}

/// One of the later passes.
fn each(all: &Figures, first: &Figures) -> Duration {
    all.cpu().saturating_sub(first.cpu()) / u32::try_from(LATER).unwrap()
}

/// All of the fleet is to be seen, and in a survey each service with its configuration.
fn whole(what: &str, source: &str, later: usize) -> Figures {
    let figures = ours(&["--survey-rounds", what, source, &later.to_string()]);
    let containers = u64::try_from(CONTAINERS).unwrap();
    assert_eq!(figures.get("containers"), containers, "{figures:?}");
    if what == "survey" {
        let seen = (figures.get("services"), figures.get("configured"), figures.get("faults"));
        assert_eq!(seen, (containers * 5, containers * 5, 0), "{figures:?}");
    }
    figures
}

/// A first pass and some later ones in a new process, which tells what all of it cost.
pub(crate) fn rounds(what: &str, source: &str, later: usize) {
    let start = Instant::now();
    let mut scanner = Scanner::new(options(source));
    let mut surveyor = Surveyor::new(SurveyOptions::default());
    let files = (what == "survey").then(|| Files::new().unwrap());
    let mut told = (0, 0, 0, 0);
    for _ in 0..=later {
        let chart = scanner.scan().unwrap();
        told.0 = chart.containers.len();
        if let Some(files) = &files {
            let survey = surveyor.survey(&chart, Some(files));
            let configured = survey.services.iter().filter(|service| {
                let configuration = &service.configuration;
                !configuration.files.is_empty() && configuration.faults.is_empty()
            });
            told = (told.0, survey.services.len(), configured.count(), survey.faults.len());
        }
    }
    // The server is waited for, so that it and its children are counted.
    drop(files);
    let cpu = used(UsageWho::RUSAGE_SELF) + used(UsageWho::RUSAGE_CHILDREN);
    let (containers, services, configured, faults) = told;
    println!(
        "cpu={} wall={} containers={containers} services={services} configured={configured} faults={faults}",
        cpu.as_micros(),
        start.elapsed().as_micros(),
    );
}

fn used(who: UsageWho) -> Duration {
    let used = getrusage(who).unwrap();
    let micros = |time: TimeVal| u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec()).unwrap();
    Duration::from_micros(micros(used.user_time()) + micros(used.system_time()))
}
