//! `kansole journal`: what was decided and done, read from the file, whether or not kansole runs.

use super::args::{Cli, JournalCmd, ReplayArgs};
use super::{Done, Failure, either, print, table};
use crate::autopilot::replay::{Clock, Part, Reel};
use crate::knowledge::journal::Journal;
use crate::knowledge::outcomes::Report;
use crate::model::journal::Entry;
use crate::model::time;
use std::sync::Arc;

/// Actions that the report rests on at most, the newest.
const OUTCOMES: usize = 10_000;

pub(super) fn run(cli: &Cli, cmd: &JournalCmd) -> Done {
    let path = match cmd {
        JournalCmd::Replay(ReplayArgs { file: Some(file), .. }) => file.clone(),
        _ => super::actions::dir(cli)?.join("journal.db"),
    };
    if !path.exists() {
        return Err(Failure::Failed(anyhow::anyhow!(
            "there is no journal here yet: {} does not exist",
            path.display()
        )));
    }
    let journal = Journal::open_read_only(&path)?;
    match cmd {
        JournalCmd::List { last, action, format } => {
            let mut entries = journal.tail(*last)?;
            entries.reverse();
            if let Some(id) = action {
                entries.retain(|e| e.record.action.as_deref() == Some(id.as_str()));
            }
            either(format.format, &entries, || list(&entries))
        }
        JournalCmd::Show { seq, format } => {
            let entry = journal.entry(*seq)?.ok_or_else(|| anyhow::anyhow!("the journal has no entry {seq}"))?;
            either(format.format, &entry, || {
                let payload = serde_json::to_string_pretty(&entry.record.payload).unwrap_or_default();
                format!("{}hash {}\nprev {}\n{payload}\n", list(std::slice::from_ref(&entry)), entry.hash, entry.prev)
            })
        }
        JournalCmd::Outcomes(f) => {
            let report = Report::of(&journal.items(OUTCOMES)?);
            either(f.format, &report, || outcomes(&report))
        }
        JournalCmd::Verify(f) => {
            let report = journal.verify()?;
            let head = serde_json::json!({ "entries": report.entries, "head_seq": report.head_seq, "head_hash": report.head_hash });
            either(f.format, &head, || format!("{report}\n"))
        }
        JournalCmd::Export => {
            let mut text = Vec::new();
            journal.export(&mut text)?;
            print(&String::from_utf8_lossy(&text))
        }
        JournalCmd::Replay(args) => replay(cli, &journal, args),
    }
}

fn replay(cli: &Cli, journal: &Journal, args: &ReplayArgs) -> Done {
    let part = match args {
        ReplayArgs { incident: Some(id), .. } => Part::Incident(id.clone()),
        ReplayArgs { action: Some(id), .. } => Part::Action(id.clone()),
        ReplayArgs { from: Some(from), to, .. } => Part::Entries(*from, *to),
        _ => Part::LastSession,
    };
    let reel = Reel::of(journal, &part).map_err(|e| Failure::Failed(e.into()))?;
    let clock = Arc::new(Clock::new(reel.begins(), args.speed));
    let lent = clock.clone();
    time::live_by(move || lent.now(), args.speed);
    super::console::replay(cli, reel, clock)
}

fn list(entries: &[Entry]) -> String {
    let rows: Vec<Vec<String>> = entries
        .iter()
        .map(|e| {
            vec![
                e.seq.to_string(),
                e.record.at.format("%Y-%m-%d %H:%M:%S").to_string(),
                e.record.kind.as_str().to_owned(),
                e.record.actor.clone(),
                e.record.action.as_deref().unwrap_or_default().to_owned(),
                e.record.object.clone().unwrap_or_default(),
            ]
        })
        .collect();
    table(&["SEQ", "TIME (UTC)", "KIND", "ACTOR", "ACTION", "OBJECT"], &rows)
}

fn outcomes(report: &Report) -> String {
    let share = |p: Option<f64>| p.map_or("-".to_owned(), |p| format!("{:.0} %", p * 100.0));
    let rows: Vec<Vec<String>> = report
        .strategies
        .iter()
        .map(|s| {
            vec![
                s.strategy.as_str().to_owned(),
                s.judged.to_string(),
                s.effective.to_string(),
                s.harmful.to_string(),
                s.unknown.to_string(),
                share(s.probability),
                s.recovery_s.map_or("-".to_owned(), |s| format!("{s} s")),
                s.basis.clone(),
            ]
        })
        .collect();
    let head = ["STRATEGY", "JUDGED", "EFFECTIVE", "HARMFUL", "UNKNOWN", "SUCCESS", "RECOVERY", "BASIS"];
    let mean = |name: &str, m: Option<(i64, usize)>| match m {
        Some((s, n)) => format!("{name} {s} s, mean of {n}\n"),
        None => format!("{name} not known: no healing yet that tells\n"),
    };
    let trend = report.trend.map_or_else(
        || "trend not known: too few outcomes".to_owned(),
        |t| format!("trend {:+.1} % from one action to the next", t * 100.0),
    );
    format!(
        "{}\nall judged actions: {} effective; {trend}\n{}{}",
        table(&head, &rows),
        share(report.success),
        mean("MTTD", report.mttd),
        mean("MTTR", report.mttr)
    )
}
