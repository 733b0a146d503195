//! What approving, reverting and exporting lead to.

use crate::autopilot::world::Command;
use crate::console::effect::{Effect, Prompt, Purpose, Question};
use crate::model::finding::Subject;
use crate::model::plan::{Inverse, Op, Proposal, Risk};

/// What approving the plan that was seen leads to: at once for low risk, else a question.
pub fn approve(p: &Proposal) -> Effect {
    let send = Effect::Send(Command::Approve { id: p.id.clone(), hash: p.hash.clone() });
    if p.risk == Risk::Low {
        return send;
    }
    let typed = (p.risk == Risk::High).then(|| name(p));
    Effect::Ask(Question {
        title: format!("Approve {}?", p.id),
        body: summary(p),
        risk: p.risk,
        typed,
        then: Box::new(send),
    })
}

/// How dangerous, in a word.
pub fn risk_word(risk: Risk) -> &'static str {
    super::super::show::risk(risk).0
}

/// What another value is asked with: the plan's title and its present value.
pub fn adjust(p: &Proposal) -> Option<Effect> {
    let initial = p.adjustable()?;
    Some(Effect::Prompt(Prompt {
        label: format!("{}; set instead (empty: as planned): ", p.plan.steps.first()?.title),
        initial,
        purpose: Purpose::Adjust { id: p.id.clone(), hash: p.hash.clone() },
    }))
}

/// The question before an undo.
pub fn revert(p: &Proposal) -> Effect {
    let mut body = vec![format!("Undoes: {}", p.title), format!("Target: {}", p.subject)];
    for step in p.plan.steps.iter().rev() {
        if let Inverse::Patch { patch } = &step.inverse {
            body.extend(super::detail::changes(patch, "->"));
        }
    }
    Effect::Ask(Question {
        title: format!("Revert {}?", p.id),
        body,
        risk: Risk::Medium,
        typed: None,
        then: Box::new(Effect::Send(Command::Revert { id: p.id.clone() })),
    })
}

/// What is typed for a high risk: the name of the target.
fn name(p: &Proposal) -> String {
    match &p.subject {
        Subject::Workload(k) => k.name.to_string(),
        Subject::Node(n) => n.to_string(),
        Subject::Cluster => p.plan.cluster.to_string(),
    }
}

/// What is read before a yes.
fn summary(p: &Proposal) -> Vec<String> {
    let mut body = vec![p.title.to_string(), format!("Target: {}", p.subject), format!("Touches: {}", p.blast.text)];
    body.push(format!("Expected: {} ({})", p.effect.text, p.effect.basis));
    body.push(if p.plan.reversible() { "It can be undone.".into() } else { "It CANNOT be undone.".into() });
    body.extend(p.notes.iter().cloned());
    body.push(format!("Plan {}", p.hash.get(..12).unwrap_or(&p.hash)));
    body
}

/// The change as a patch for Git, or the patches of the plan as they would be sent.
pub fn export(p: &Proposal) -> Option<String> {
    if let Some(text) = &p.export {
        return Some(text.clone());
    }
    let patches: Vec<String> = p
        .plan
        .steps
        .iter()
        .filter_map(|s| match &s.op {
            Op::Patch { patch, .. } => {
                Some(format!("# {}\n# {}\n{}", s.title, s.target, serde_json::to_string_pretty(patch).ok()?))
            }
            _ => None,
        })
        .collect();
    (!patches.is_empty()).then(|| patches.join("\n\n"))
}
