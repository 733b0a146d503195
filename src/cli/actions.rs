//! `kansole actions`: the queue from a script, through the running kansole of the cluster.

use super::args::{ActionsCmd, Cli, Format};
use super::{Done, Failure, either, options, print, runtime, settings, table};
use crate::autopilot::JournalUse;
use crate::autopilot::session::cluster_dir;
use crate::autopilot::socket::{Answer, Ask, ask};
use crate::autopilot::world::Command;
use crate::knowledge::journal::Journal;
use crate::model::action::QueueItem;
use crate::model::plan::{ActionId, Inverse};
use crate::model::time;
use crate::model::time::age;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

/// Fewest characters of a hash that name a plan.
const HASH: usize = 12;

pub(super) fn run(cli: &Cli, cmd: &ActionsCmd) -> Done {
    let dir = dir(cli)?;
    match cmd {
        ActionsCmd::List(f) => {
            let items = queue(&dir)?;
            either(f.format, &items, || list(&items))
        }
        ActionsCmd::Show { id, format } => {
            let items = queue(&dir)?;
            let item = find(&items, id)?;
            match format.format {
                Format::Json => super::print_json(item),
                Format::Text => print(&show(item)),
            }
        }
        ActionsCmd::Approve { id, hash } => {
            let (id, hash) = named(&dir, id, hash)?;
            give(&dir, Command::Approve { id, hash })
        }
        ActionsCmd::Adjust { id, hash, to } => {
            let (id, hash) = named(&dir, id, hash)?;
            give(&dir, Command::Adjust { id, hash, to: to.clone() })
        }
        ActionsCmd::Reject { id, reason } => {
            give(&dir, Command::Reject { id: id.as_str().into(), reason: reason.clone() })
        }
        ActionsCmd::Confirm => give(&dir, Command::Confirm),
        ActionsCmd::Revert { id } => give(&dir, Command::Revert { id: id.as_str().into() }),
    }
}

/// The state directory of the cluster that flags and settings name.
pub(super) fn dir(cli: &Cli) -> Result<PathBuf, Failure> {
    let (loaded, dirs) = settings(cli)?;
    let options = options(cli, &loaded, &dirs, JournalUse::None);
    let conn = runtime()?
        .block_on(crate::monitor::connect::connect(&options.connect))
        .map_err(|e| Failure::Connect(e.into()))?;
    Ok(cluster_dir(&dirs.state, &conn.info.id))
}

/// The queue of the running kansole; without one, what the journal remembers.
fn queue(dir: &std::path::Path) -> Result<Vec<Arc<QueueItem>>, Failure> {
    match runtime()?.block_on(ask(&dir.join("control.sock"), &Ask::Queue))? {
        Some(Answer::Queue { items }) => Ok(items),
        Some(other) => Err(Failure::Failed(anyhow::anyhow!("unexpected answer: {other:?}"))),
        None => {
            let path = dir.join("journal.db");
            if !path.exists() {
                return Ok(Vec::new());
            }
            // The journal gives the newest first, a queue the oldest.
            Ok(Journal::open_read_only(&path)?.items(200)?.into_iter().rev().map(Arc::new).collect())
        }
    }
}

fn find<'a>(items: &'a [Arc<QueueItem>], id: &str) -> Result<&'a QueueItem, Failure> {
    items
        .iter()
        .find(|i| &*i.proposal.id == id)
        .map(AsRef::as_ref)
        .ok_or_else(|| Failure::Failed(anyhow::anyhow!("there is no action {id}: `kansole actions list` shows all")))
}

/// The action and the whole hash of its plan, if the hash that was given is the beginning of it.
fn named(dir: &std::path::Path, id: &str, hash: &str) -> Result<(ActionId, String), Failure> {
    let items = queue(dir)?;
    let item = find(&items, id)?;
    if hash.len() < HASH || !item.proposal.hash.starts_with(hash) {
        return Err(Failure::Failed(anyhow::anyhow!(
            "the plan of {id} has the hash {}: read `kansole actions show {id}` and give at least {HASH} characters of it",
            item.proposal.hash
        )));
    }
    Ok((item.proposal.id.clone(), item.proposal.hash.clone()))
}

fn give(dir: &std::path::Path, command: Command) -> Done {
    match runtime()?.block_on(ask(&dir.join("control.sock"), &Ask::Do { command }))? {
        Some(Answer::Done { text }) => print(&text),
        Some(Answer::Refused { why }) => Err(Failure::Failed(anyhow::anyhow!(why))),
        Some(other) => Err(Failure::Failed(anyhow::anyhow!("unexpected answer: {other:?}"))),
        None => Err(Failure::Failed(anyhow::anyhow!(
            "no kansole runs for this cluster on this machine: start the console, it carries out what is approved"
        ))),
    }
}

fn list(items: &[Arc<QueueItem>]) -> String {
    let now = time::now();
    let rows: Vec<Vec<String>> = items
        .iter()
        .map(|i| {
            let p = &i.proposal;
            vec![
                p.id.to_string(),
                i.state.word().to_owned(),
                format!("{:?}", p.risk).to_lowercase(),
                age(now, p.created),
                if i.pending() && !i.blocked.is_empty() { "blocked".into() } else { String::new() },
                p.title.to_string(),
            ]
        })
        .collect();
    if rows.is_empty() { "no actions\n".into() } else { table(&["ID", "STATE", "RISK", "AGE", "", "TITLE"], &rows) }
}

fn show(item: &QueueItem) -> String {
    let p = &item.proposal;
    let mut out = String::new();
    let _ = writeln!(out, "{}  {}\n{}\n", p.id, item.state.word(), p.title);
    let _ = writeln!(out, "WHY");
    for e in &p.why {
        let _ = writeln!(out, "  {}: {}", e.source, e.says);
    }
    let _ = writeln!(out, "\nWHAT EXACTLY (hash {})", p.hash);
    for (i, step) in p.plan.steps.iter().enumerate() {
        let _ = writeln!(out, "  {}. {} on {}", i + 1, step.title, step.target);
        if let Some(diff) = item.preview.as_ref().and_then(|v| v.diffs.get(i)) {
            for line in diff.lines() {
                let _ = writeln!(out, "     {line}");
            }
        }
        let undo = match &step.inverse {
            Inverse::Patch { .. } => "by the inverse patch".to_owned(),
            Inverse::NotNeeded { why } => format!("not needed: {why}"),
            Inverse::Impossible { why } => format!("IMPOSSIBLE: {why}"),
        };
        let _ = writeln!(out, "     undo: {undo}");
    }
    if let Some(refused) = item.preview.as_ref().and_then(|v| v.refused.as_ref()) {
        let _ = writeln!(out, "  the server refuses it: {refused}");
    }
    let _ = writeln!(out, "\nEFFECT\n  {} ({})", p.effect.text, p.effect.basis);
    let _ = writeln!(out, "\nTOUCHES\n  {}", p.blast.text);
    for note in &p.notes {
        let _ = writeln!(out, "  note: {note}");
    }
    for r in &item.blocked {
        let _ = writeln!(out, "  blocked: {r}");
    }
    if !item.story.is_empty() {
        let _ = writeln!(out, "\nSTORY");
        for m in &item.story {
            let _ = writeln!(out, "  {}  {}", m.at.format("%H:%M:%S"), m.what);
        }
    }
    out
}
