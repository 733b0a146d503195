//! The Lease (E5, G19): of all kansoles that watch a cluster, from whatever machine, one acts by itself.
//!
//! Leader election as Kubernetes' own controllers do it (client-go `tools/leaderelection`): a Lease of 15 s that
//! is renewed every 2 s, whose holder counts itself out when it could not renew for 10 s, and which another takes
//! only after it has watched it unrenewed for its whole duration by its own clock. Clocks are never compared.
//! On top of that a fence: right before each write of auto the Lease is read again ([`Fence::check`]).
//!
//! The Lease is the guard's own record. It is the one thing that is written without a permit, and nothing else can
//! be written from here.

use super::api::{self, CallError};
use crate::model::authority::LeaseView;
use crate::model::object::{ObjectRef, Resource};
use crate::model::text::clean;
use crate::model::time;
use chrono::SecondsFormat;
use kube::Client;
use serde_json::{Value, json};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// A Lease that is not renewed for this long is free.
const DURATION: Duration = Duration::from_secs(15);
/// A holder that could not renew for this long counts itself out, well before others may step in.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// Between two attempts.
const RETRY: Duration = Duration::from_secs(2);
/// Longest wait for one answer: half the deadline, as client-go has it.
const ANSWER: Duration = Duration::from_secs(5);
/// Between two looks by a kansole that does not want it.
const LOOK: Duration = Duration::from_secs(15);
/// Longest duration of somebody else's Lease that is honoured: one that never ends would lock everybody out.
const LONGEST: Duration = Duration::from_secs(60);

/// What the keeper knows.
#[derive(Debug, Clone, Default)]
struct Kept {
    view: LeaseView,
    /// Held until then, unless renewed.
    until: Option<Instant>,
}

/// Keeps the Lease while it is wanted, and tells who holds it. Clones share it.
#[derive(Clone)]
pub struct Fence(Arc<Inner>);

struct Inner {
    client: Client,
    lease: ObjectRef,
    identity: Box<str>,
    wanted: watch::Sender<bool>,
    kept: watch::Sender<Kept>,
}

impl std::fmt::Debug for Fence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fence")
            .field("lease", &self.0.lease.to_string())
            .field("identity", &self.0.identity)
            .finish_non_exhaustive()
    }
}

impl Fence {
    /// A fence over the Lease `namespace/name`; `client` must not retry by itself. `identity` must be of this process
    /// alone. Nothing is asked until [`Fence::keep`] runs.
    pub fn new(client: Client, lease: &str, identity: &str) -> Result<Self, String> {
        let (namespace, name) = lease
            .split_once('/')
            .filter(|(ns, name)| !ns.is_empty() && !name.is_empty() && !name.contains('/'))
            .ok_or_else(|| format!("guard.lease = {lease:?}: write it as namespace/name"))?;
        Ok(Self(Arc::new(Inner {
            client,
            lease: ObjectRef::namespaced(Resource::LEASES, namespace, name),
            identity: identity.into(),
            wanted: watch::channel(false).0,
            kept: watch::channel(Kept::default()).0,
        })))
    }

    /// As if [`Fence::keep`] had taken it for good.
    #[cfg(test)]
    pub(super) fn held(client: Client, lease: &str, identity: &str) -> Self {
        let fence = Self::new(client, lease, identity).expect("a name");
        let until = Some(Instant::now() + Duration::from_secs(365 * 86_400));
        fence.0.kept.send_replace(Kept { view: LeaseView::Mine { since: time::now() }, until });
        fence
    }

    /// Whether this kansole wants to act by itself. Wanting begins to take the Lease; no longer wanting gives it back.
    pub fn want(&self, on: bool) {
        self.0.wanted.send_if_modified(|wanted| std::mem::replace(wanted, on) != on);
    }

    /// Gives the Lease back and waits until that is done, or for as long as one answer may take: then it runs out.
    pub async fn let_go(&self) {
        self.want(false);
        let mut kept = self.0.kept.subscribe();
        let _ = timeout(ANSWER, kept.wait_for(|k| !k.view.is_mine())).await;
    }

    /// Who holds it, as of the last look.
    pub fn view(&self) -> LeaseView {
        self.0.kept.borrow().view.clone()
    }

    /// Waits until [`Fence::view`] may tell something else than `seen`.
    pub async fn changed(&self, seen: &LeaseView) {
        // The sender lives as long as this handle.
        let _ = self.0.kept.subscribe().wait_for(|kept| kept.view != *seen).await;
    }

    /// Right before a write of auto: does this kansole still hold the Lease, by its own clock and in the cluster's word?
    /// `Err` says why not. Waits up to `patience` for the Lease to be taken.
    pub async fn check(&self, patience: Duration) -> Result<(), String> {
        let deadline = Instant::now() + patience;
        loop {
            let why = match self.look_again().await {
                Ok(()) => return Ok(()),
                Err(why) => why,
            };
            if Instant::now() + RETRY > deadline {
                return Err(why);
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn look_again(&self) -> Result<(), String> {
        let held = || self.0.kept.borrow().until.is_some_and(|until| Instant::now() < until);
        if !held() {
            return Err(format!("this kansole does not hold the Lease {}: {}", self.name(), self.view()));
        }
        let live = bounded(api::get(&self.0.client, &self.0.lease.path())).await;
        let live = live.map_err(|e| format!("the Lease {} cannot be read: {e}", self.name()))?;
        let holder = live.as_ref().map(holder).unwrap_or_default();
        if holder != *self.0.identity {
            return Err(format!(
                "the Lease {} is held by {}",
                self.name(),
                if holder.is_empty() { "nobody" } else { &holder }
            ));
        }
        // The answer may have taken longer than what was left.
        if held() { Ok(()) } else { Err(format!("the Lease {} could not be renewed in time", self.name())) }
    }

    fn name(&self) -> String {
        format!("{}/{}", self.0.lease.namespace.as_deref().unwrap_or_default(), self.0.lease.name)
    }

    /// Keeps or watches the Lease until cancelled, and then gives it back.
    pub async fn keep(self, cancel: CancellationToken) {
        let mut wanted = self.0.wanted.subscribe();
        let mut rival = None;
        loop {
            let want = *wanted.borrow_and_update();
            let kept = self.0.kept.borrow().clone();
            let next = if want {
                self.take(&kept, &mut rival).await
            } else {
                if kept.view.is_mine() {
                    self.give_back().await;
                }
                self.watch_it(&mut rival).await
            };
            self.0.kept.send_if_modified(|old| {
                let told = old.view != next.view;
                *old = next;
                told
            });
            tokio::select! {
                () = cancel.cancelled() => break,
                () = tokio::time::sleep(if want { RETRY } else { LOOK }) => {}
                Ok(()) = wanted.changed() => {}
            }
        }
        if self.0.kept.borrow().view.is_mine() {
            self.give_back().await;
        }
        self.0.kept.send_replace(Kept::default());
    }

    /// One attempt to take or renew it.
    async fn take(&self, kept: &Kept, rival: &mut Option<Rival>) -> Kept {
        let asked = Instant::now();
        let held = || Kept {
            view: if kept.view.is_mine() { kept.view.clone() } else { LeaseView::Mine { since: time::now() } },
            until: Some(asked + RENEW_DEADLINE),
        };
        let outcome = match bounded(api::get(&self.0.client, &self.0.lease.path())).await {
            Ok(None) => match bounded(api::create(&self.0.client, &self.collection(), &self.fresh())).await {
                Ok(_) => return held(),
                Err(e) => self.trouble(&e),
            },
            Ok(Some(live)) => match self.barred(&live, rival) {
                Some(other) => return Kept { view: other, until: None },
                None => {
                    match bounded(api::replace(
                        &self.0.client,
                        &self.0.lease.path(),
                        &Self::renewed(&live, &self.0.identity),
                    ))
                    .await
                    {
                        Ok(_) => return held(),
                        Err(e) => self.trouble(&e),
                    }
                }
            },
            Err(e) => self.trouble(&e),
        };
        // It stays ours, unrenewed, until the deadline.
        match kept.until {
            Some(until) if Instant::now() < until => kept.clone(),
            _ => Kept { view: LeaseView::Failed { why: outcome.into() }, until: None },
        }
    }

    /// Somebody else who holds it and has renewed it within its duration.
    fn barred(&self, live: &Value, rival: &mut Option<Rival>) -> Option<LeaseView> {
        let holder = holder(live);
        if holder.is_empty() || holder == *self.0.identity {
            *rival = None;
            return None;
        }
        let version = live["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        let seen = match rival {
            Some(r) if r.version == version => r.seen,
            _ => {
                let seen = Instant::now();
                *rival = Some(Rival { version: version.to_owned(), seen });
                seen
            }
        };
        let duration = live["spec"]["leaseDurationSeconds"].as_u64().map_or(DURATION, Duration::from_secs).min(LONGEST);
        (seen.elapsed() < duration).then(|| LeaseView::Other { holder: clean(&holder).into() })
    }

    /// A look by one who does not want it.
    async fn watch_it(&self, rival: &mut Option<Rival>) -> Kept {
        let view = match bounded(api::get(&self.0.client, &self.0.lease.path())).await {
            Ok(None) => LeaseView::Free,
            Ok(Some(live)) => self.barred(&live, rival).unwrap_or(LeaseView::Free),
            Err(e) => LeaseView::Failed { why: self.trouble(&e).into() },
        };
        Kept { view, until: None }
    }

    /// Lets others take it at once.
    async fn give_back(&self) {
        // From here on nothing of ours may rest on it, whether the server hears of it or not.
        self.0.kept.send_modify(|kept| kept.until = None);
        if let Ok(Some(live)) = bounded(api::get(&self.0.client, &self.0.lease.path())).await
            && holder(&live) == *self.0.identity
            && let Err(e) = bounded(api::replace(&self.0.client, &self.0.lease.path(), &Self::renewed(&live, ""))).await
        {
            tracing::warn!("the Lease {} was not given back, it runs out by itself: {e}", self.name());
        }
    }

    fn collection(&self) -> String {
        self.0.lease.resource.path(self.0.lease.namespace.as_deref(), None)
    }

    fn fresh(&self) -> Value {
        let now = stamp();
        json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": self.0.lease.name, "namespace": self.0.lease.namespace},
            "spec": {"holderIdentity": self.0.identity, "leaseDurationSeconds": DURATION.as_secs(), "acquireTime": now,
                "renewTime": now, "leaseTransitions": 0},
        })
    }

    /// The Lease as it was read, with another time and perhaps another holder; its resource version makes the server
    /// refuse it if anybody wrote it meanwhile.
    fn renewed(live: &Value, by: &str) -> Value {
        let mut lease = live.clone();
        let now = stamp();
        let spec = &mut lease["spec"];
        if spec["holderIdentity"].as_str() != Some(by) {
            spec["leaseTransitions"] = (spec["leaseTransitions"].as_u64().unwrap_or(0) + 1).into();
            spec["acquireTime"] = now.clone().into();
        }
        spec["holderIdentity"] = by.into();
        spec["leaseDurationSeconds"] = DURATION.as_secs().into();
        spec["renewTime"] = now.into();
        lease
    }

    fn trouble(&self, e: &CallError) -> String {
        let name = self.name();
        match e.code() {
            Some(403) => {
                format!("Lease {name}: {e}; ask for get, create and update on leases there (deploy/rbac/auto.yaml)")
            }
            Some(404) => format!("Lease {name}: {e}; create its namespace, or name another in guard.lease"),
            Some(409) => format!("Lease {name}: another kansole was quicker"),
            _ => format!("Lease {name}: {e}"),
        }
    }
}

/// Another holder's Lease, and since when it was not renewed by this machine's clock.
struct Rival {
    version: String,
    seen: Instant,
}

fn holder(lease: &Value) -> String {
    lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned()
}

/// Kubernetes' `MicroTime`. For people who read the Lease; nobody decides by it.
fn stamp() -> String {
    time::now().to_rfc3339_opts(SecondsFormat::Micros, true)
}

async fn bounded<T>(call: impl Future<Output = Result<T, CallError>>) -> Result<T, CallError> {
    match timeout(ANSWER, call).await {
        Ok(result) => result,
        Err(_) => Err(CallError::Unknown { why: format!("no answer within {} s", ANSWER.as_secs()) }),
    }
}

#[cfg(test)]
mod tests;
