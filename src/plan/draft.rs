//! From what a strategy decided to a proposal: ownership, risk, expectation, expiry and hash.

use super::risk::{Change, risk};
use super::{Ask, NoProposal};
use crate::model::cluster::Owner;
use crate::model::finding::{Evidence, Subject};
use crate::model::ownership;
use crate::model::plan::{Blast, Expectation, Onset, Plan, Proposal, Risk, Step, Strategy, sha256_hex};
use chrono::TimeDelta;
use serde_json::{Value, json};

/// What a strategy decided.
pub struct Draft {
    pub strategy: Strategy,
    pub title: String,
    pub steps: Vec<Step>,
    pub change: Change,
    pub blast: Blast,
    /// What should be different afterwards.
    pub effect: String,
    pub notes: Vec<String>,
    /// Evidence beside the finding's own.
    pub why: Vec<Evidence>,
    /// The same change as a fragment of the manifest, for those who own it elsewhere.
    pub manifest: Option<Value>,
    /// At least this risk, whatever the arithmetic says.
    pub at_least: Risk,
}

impl Draft {
    /// A draft without steps: what a person should do.
    pub fn advice(title: String, notes: Vec<String>) -> Self {
        Self {
            strategy: Strategy::Advise,
            title,
            steps: Vec::new(),
            change: Change::Nothing,
            blast: Blast { text: "nothing is written".into(), ..Blast::default() },
            effect: "nothing by itself: this is advice".into(),
            notes,
            why: Vec::new(),
            manifest: None,
            at_least: Risk::Low,
        }
    }

    /// Whether it writes anything.
    pub fn writes(&self) -> bool {
        self.steps.iter().any(Step::writes)
    }

    /// The proposal. A change of a spec that somebody else owns becomes advice with the patch to commit.
    pub fn finish(mut self, ask: &Ask<'_>) -> Result<Proposal, NoProposal> {
        let mut export = self.manifest.as_ref().map(|m| yaml(ask, m)).transpose()?;
        if matches!(self.change, Change::Template | Change::ScaleUp | Change::Restore | Change::InPlace) {
            if let Some(owner) = owners(ask)?.iter().find(|o| o.owns_spec()) {
                self = self.for_owner(owner);
            } else if self.change != Change::InPlace {
                export = None;
            }
            // What could not be read may hide an owner; the operator decides with that in mind.
            self.notes.extend(ask.dossier.gaps.iter().map(|gap| format!("not checked: {gap}")));
        }
        let plan = Plan { cluster: ask.snapshot.cluster.id.clone(), steps: self.steps };
        let hash = plan.hash();
        let (fault, subject) = (&ask.finding.fault, &ask.finding.subject);
        // Plans without steps are all alike: their ids differ by the finding.
        let seed = if plan.steps.is_empty() { sha256_hex(ask.finding.id.as_bytes()) } else { hash.clone() };
        let kind = if let Subject::Workload(key) = subject { Some(&key.kind) } else { None };
        let pods = ask.workload().map_or(self.blast.pods, |w| w.replicas.desired.max(self.blast.pods));
        let expiry = TimeDelta::from_std(ask.set.expiry).unwrap_or(TimeDelta::minutes(15));
        let mut why = ask.finding.evidence.clone();
        why.extend(self.why);
        Ok(Proposal {
            id: Proposal::make_id(fault, subject, &seed),
            finding: ask.finding.id.clone(),
            fault: fault.clone(),
            subject: subject.clone(),
            strategy: self.strategy,
            title: self.title.into(),
            why,
            risk: risk(kind, self.change, pods, self.blast.share_down).max(self.at_least),
            plan,
            hash,
            blast: self.blast,
            effect: expectation(ask, self.strategy, self.effect),
            notes: self.notes,
            export,
            onset: Onset { began: None, found: Some(ask.finding.since) },
            created: ask.now,
            expires: ask.now + expiry,
        })
    }

    /// The same change as advice to the owner of the object.
    fn for_owner(self, owner: &Owner) -> Self {
        let how = match owner {
            Owner::ArgoCd(_) | Owner::Flux(_) => {
                "commit the exported patch to its repository; a live patch would be reverted by the next sync"
            }
            Owner::Helm(_) => {
                "put the exported patch into the chart's values and run helm upgrade; a live patch would be lost by the next upgrade"
            }
            _ => "change the owning custom resource; its operator reverts edits of what it made",
        };
        let mut notes = vec![format!("not patched: {owner} owns this object. Instead, {how}")];
        notes.extend(self.notes);
        let title = format!("{} (by its owner, {owner})", self.title);
        Self { why: self.why, manifest: self.manifest, ..Self::advice(title, notes) }
    }
}

/// All owners: what the live object and its autoscalers tell, and what the watched objects tell.
pub fn owners(ask: &Ask<'_>) -> Result<Vec<Owner>, NoProposal> {
    let mut found = ownership::owners(ask.live()?, &ask.dossier.autoscalers);
    let workload = ask.workload()?;
    let hpas = ask.snapshot.hpas.iter().filter(|h| h.target == workload.key).map(|h| Owner::Hpa(h.name.clone()));
    for owner in workload.owners.iter().cloned().chain(hpas) {
        let keda = matches!(owner, Owner::Hpa(_)) && found.iter().any(|o| matches!(o, Owner::Keda(_)));
        if !found.contains(&owner) && !keda {
            found.push(owner);
        }
    }
    Ok(found)
}

/// What is expected, from outcomes where there are enough, else from the prior, and it says which.
fn expectation(ask: &Ask<'_>, strategy: Strategy, text: String) -> Expectation {
    if let Some((recovery_s, probability, n)) = ask.history.learned(strategy) {
        let recovery_s = recovery_s.or(strategy.prior().map(|(s, _)| s));
        return Expectation { text, recovery_s, probability: Some(probability), basis: format!("{n} outcomes") };
    }
    match strategy.prior() {
        Some((s, p)) => Expectation { text, recovery_s: Some(s), probability: Some(p), basis: "prior".into() },
        None => Expectation { text, recovery_s: None, probability: None, basis: "none".into() },
    }
}

/// The manifest fragment as YAML, headed by the object it belongs to.
fn yaml(ask: &Ask<'_>, fragment: &Value) -> Result<String, NoProposal> {
    let live = ask.live()?;
    let mut document = json!({
        "apiVersion": live["apiVersion"], "kind": live["kind"],
        "metadata": {"name": live["metadata"]["name"], "namespace": live["metadata"]["namespace"]},
    });
    if let (Some(all), Some(part)) = (document.as_object_mut(), fragment.as_object()) {
        all.extend(part.clone());
    }
    let text = serde_saphyr::to_string(&document)
        .map_err(|e| NoProposal::because(format!("the patch could not be written as YAML: {e}")))?;
    Ok(format!("# strategic merge patch, made by kansole for {}\n{text}", ask.finding.id))
}
