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
use portolan_scan::{ScanOptions, Scanner};

use crate::Budget;
use crate::scan::programs::{Figures, Programs, median, ours};

const CONTAINERS: usize = 1000;
const TURNS: usize = 3;
/// Passes after the first: many, because theirs is what is left when the first is taken away.
const LATER: usize = 12;

/// The rows, of a process that sees the fleet alone.
pub(crate) fn rows() -> Vec<Budget> {
    let programs = Programs::build();
    let image = image::Image::make();
    let _fleet = programs.fleet(CONTAINERS, &["-i", image.path()]);
    let (mut scans, mut firsts, mut rescans, mut laters) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let (scan, survey) = (whole("scan", 0), whole("survey", 0));
        let (again, surveyed) = (whole("scan", LATER), whole("survey", LATER));
        rescans.push(each(&again, &scan));
        laters.push(each(&surveyed, &survey));
        scans.push(scan.cpu());
        firsts.push(survey.cpu());
    }
    let (scan, rescan) = (median(scans), median(rescans));
    vec![
        Budget::ratio("first survey, 1,000 x 5 services / the bare scan", median(firsts), scan, 3.0),
        Budget::ratio("later survey, nothing changed / the bare rescan", median(laters.clone()), rescan, 1.3),
        Budget::ratio("  the same / the bare first scan", median(laters), scan, 1.3).for_comparison(),
    ]
}

/// One of the later passes.
fn each(all: &Figures, first: &Figures) -> Duration {
    all.cpu().saturating_sub(first.cpu()) / u32::try_from(LATER).unwrap()
}

/// All of the fleet is to be seen, and in a survey each service with its configuration.
fn whole(what: &str, later: usize) -> Figures {
    let figures = ours(&["--survey-rounds", what, &later.to_string()]);
    let containers = u64::try_from(CONTAINERS).unwrap();
    assert_eq!(figures.get("containers"), containers, "{figures:?}");
    if what == "survey" {
        let seen = (figures.get("services"), figures.get("configured"), figures.get("faults"));
        assert_eq!(seen, (containers * 5, containers * 5, 0), "{figures:?}");
    }
    figures
}

/// A first pass and some later ones in a new process, which tells what all of it cost.
pub(crate) fn rounds(what: &str, later: usize) {
    let start = Instant::now();
    let mut scanner = Scanner::new(ScanOptions::default());
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
