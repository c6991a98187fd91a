//! `portolan scan`

use std::io::Write as _;

use portolan::metadata::Answer;
use portolan::{ErrorKind, Host, Inventory, Rules, ScanOptions, Survey, SurveyOptions, Surveyor, Target};

use super::note;
use crate::arguments::Scan;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::table::{self, Detail, Page};
use crate::{json, metadata};

pub(crate) fn run(options: &Scan) -> Result<(), Failure> {
    let rules = super::rules::of(options.rules.as_deref())?;
    let mut how = ScanOptions::default();
    how.thorough = options.thorough;
    how.source = options.source.choice();
    let host = Host::new().with_scan_options(how);
    let progress = Progress::new("scanning…");
    let mut chart = host.scan()?;
    if !options.targets.is_empty() {
        narrow(&mut chart, &options.targets)?;
    }
    let is_wanted = !options.no_services && !options.listeners;
    let survey = || is_wanted.then(|| survey(&host, &chart, rules, &progress));
    // The runtimes are asked meanwhile, and nobody waits for them longer than need be.
    let (answer, survey) = if options.no_runtime_api {
        (Answer::default(), survey())
    } else {
        metadata::beside(&host, &chart, survey)
    };
    answer.apply(&mut chart);
    drop(progress);
    let text = if options.json {
        let mut json = json::inventory(&chart, survey.as_ref());
        metadata::add(&mut json, &answer);
        let mut text = json::text(&json);
        text.push('\n');
        text
    } else if options.listeners {
        table::listeners(&chart)
    } else {
        let detail = Detail { evidence: options.verbose };
        Page::of(&chart, survey.as_ref(), detail).drawn(table::width())
    };
    std::io::stdout().write_all(text.as_bytes()).map_err(Failure::output)?;
    if !options.json {
        // That processes end meanwhile is no news to a person; programs find it in the JSON.
        for fault in chart.faults.iter().filter(|fault| fault.kind != ErrorKind::TargetGone) {
            note(&fault.to_string());
        }
        answer.faults.iter().for_each(|fault| note(&fault.to_string()));
        let faults = survey.iter().flat_map(|survey| &survey.faults);
        for fault in faults.filter(|fault| fault.kind != ErrorKind::TargetGone) {
            note(&fault.to_string());
        }
    }
    Ok(())
}

fn survey(host: &Host, chart: &Inventory, rules: Rules, progress: &Progress) -> Survey {
    progress.say("looking for services…".to_owned());
    let mut options = SurveyOptions::default();
    options.rules = rules;
    let mut surveyor = Surveyor::new(options);
    surveyor.survey_with(chart, host.files().ok(), &|far| {
        progress.say(format!("reading {} of {} containers…", far.done.saturating_add(1), far.total));
    })
}

/// Leaves what belongs to these containers, or to the host where a target is a process of it.
fn narrow(chart: &mut Inventory, targets: &[String]) -> Result<(), Failure> {
    let mut kept = Vec::new();
    let mut host = false;
    for name in targets {
        let Some(target) = Target::of_pid(name)? else {
            kept.push(chart.find(name)?.init);
            continue;
        };
        let id = target.process.id();
        match chart.processes.iter().find(|process| process.id == id).and_then(|process| process.container) {
            Some(container) => kept.push(container),
            None => host = true,
        }
    }
    chart.containers.retain(|container| kept.contains(&container.init));
    chart.processes.retain(|process| process.container.map_or(host, |container| kept.contains(&container)));
    let ids: Vec<&String> = chart.containers.iter().map(|container| &container.id).collect();
    chart.listeners.retain(|listener| listener.container.as_ref().map_or(host, |id| ids.contains(&id)));
    Ok(())
}
