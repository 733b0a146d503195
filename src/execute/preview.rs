//! The dry-run (E1, G4): what the server would make of a plan, as a diff of its answer against the live object.

use super::api::{self, CallError};
use crate::model::action::Preview;
use crate::model::plan::{ACTION_ANNOTATION, Op, Plan, Step};
use crate::model::text::clean_lines;
use crate::model::time;
use kube::Client;
use serde_json::Value;
use similar::{ChangeTag, TextDiff};

/// Lines around a change.
const CONTEXT: usize = 3;

/// Asks the server what each step would do: admission, quotas, limits and validation included. Changes
/// nothing. Every step is tried on the object as it is now: what an earlier step would have changed is not in
/// it, and the preview says so. `client` must not retry by itself, or a blocked eviction hangs.
pub async fn preview(client: &Client, plan: &Plan) -> Preview {
    let mut preview = Preview { at: time::now(), diffs: Vec::new(), warnings: Vec::new(), refused: None };
    for (i, step) in plan.steps.iter().enumerate() {
        let again = plan.steps[..i].iter().any(|s| s.writes() && s.target == step.target);
        match dry_run(client, step).await {
            Ok((mut diff, warnings)) => {
                if again {
                    diff.insert_str(0, "  (tried on the object as it is now, without the steps before)\n");
                }
                preview.diffs.push(diff);
                preview.warnings.extend(warnings);
            }
            // The tests of a later step hold only after the earlier one: its refusal is no verdict.
            Err(why) if again => preview.diffs.push(format!("  (cannot be tried before the steps before it: {why})\n")),
            Err(why) => {
                preview.diffs.push(String::new());
                preview.refused.get_or_insert(format!("step {}: {why}", i + 1));
            }
        }
    }
    preview.warnings.dedup();
    preview
}

async fn dry_run(client: &Client, step: &Step) -> Result<(String, Vec<String>), String> {
    let live = match &step.op {
        Op::Wait { seconds } => return Ok((format!("  writes nothing; looks again after {seconds} s\n"), Vec::new())),
        _ => api::get(client, &step.target.path()).await.map_err(|e| e.to_string())?,
    };
    let live = live.ok_or_else(|| format!("{} does not exist any more", step.target))?;
    if live["metadata"]["uid"].as_str() != Some(&step.bound.uid) {
        return Err(format!("{} is another object of the same name now", step.target));
    }
    match &step.op {
        Op::Patch { patch, subresource } => {
            let before = match subresource.as_deref() {
                Some("scale") => {
                    let path = format!("{}/scale", step.target.path());
                    api::get(client, &path).await.map_err(|e| e.to_string())?.unwrap_or(Value::Null)
                }
                _ => live,
            };
            let answer = api::patch(client, &step.target, subresource.as_deref(), patch, true)
                .await
                .map_err(|e| e.to_string())?;
            Ok((diff(&before, &answer.body), answer.warnings))
        }
        Op::Evict { grace_seconds } => {
            let answer = api::evict(client, &step.target, &step.bound.uid, *grace_seconds, true).await;
            let answer = answer.map_err(|e| blocked_eviction(&e))?;
            Ok((format!("- pod {} (evicted; its controller makes a new one)\n", step.target.name), answer.warnings))
        }
        Op::Wait { .. } => Ok((String::new(), Vec::new())),
    }
}

/// An eviction that a disruption budget blocks, told as such.
pub(super) fn blocked_eviction(e: &CallError) -> String {
    match e {
        CallError::Refused { code: 429, message, .. } => {
            format!("a disruption budget does not allow it now: {message}")
        }
        other => other.to_string(),
    }
}

/// Changed lines with some around them; a line of `…` between distant changes.
fn diff(before: &Value, after: &Value) -> String {
    let (before, after) = (yaml(before), yaml(after));
    let diff = TextDiff::from_lines(&before, &after);
    let mut out = String::new();
    for (i, group) in diff.grouped_ops(CONTEXT).iter().enumerate() {
        if i > 0 {
            out.push_str("  …\n");
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            out.push(match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            });
            out.push(' ');
            out.push_str(change.value().trim_end_matches('\n'));
            out.push('\n');
        }
    }
    if out.is_empty() { "  (the server would change nothing)\n".to_owned() } else { out }
}

/// An object as people read it: without what the system keeps for itself.
fn yaml(object: &Value) -> String {
    let mut object = object.clone();
    if let Some(map) = object.as_object_mut() {
        map.remove("status");
        if let Some(meta) = map.get_mut("metadata").and_then(Value::as_object_mut) {
            for key in ["managedFields", "resourceVersion", "generation", "creationTimestamp", "uid"] {
                meta.remove(key);
            }
            if let Some(notes) = meta.get_mut("annotations").and_then(Value::as_object_mut) {
                notes.remove("kubectl.kubernetes.io/last-applied-configuration");
                notes.remove(ACTION_ANNOTATION);
            }
        }
    }
    let text = serde_saphyr::to_string(&object).unwrap_or_else(|_| format!("{object:#}"));
    clean_lines(&text)
}
