//! One connection to one cluster, with everything that lives and dies with it.

use super::{JournalUse, Options};
use crate::execute::{Fence, KillHandle, KillSwitch};
use crate::knowledge::journal::Journal;
use crate::model::snapshot::Snapshot;
use crate::model::time::Timestamp;
use crate::model::trace::Trace;
use crate::monitor::connect::{ConnectError, Connection};
use crate::monitor::metrics::MetricsHandle;
use crate::monitor::traces::TracesHandle;
use crate::monitor::{self, MonitorHandle};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The cluster.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A setting that can only be judged now.
    #[error("{0}")]
    Setting(String),
}

impl OpenError {
    /// Whether trying again can help without anybody changing a file.
    pub fn worth_retrying(&self) -> bool {
        matches!(
            self,
            Self::Connect(
                ConnectError::Unreachable { .. }
                    | ConnectError::Tls { .. }
                    | ConnectError::Unauthorized { .. }
                    | ConnectError::Plugin { .. }
            )
        )
    }
}

/// What lives as long as the connection.
pub struct Session {
    /// Clients and cluster identity.
    pub conn: Connection,
    /// Cluster watch.
    pub monitor: MonitorHandle,
    /// Prometheus.
    pub metrics: MetricsHandle,
    /// Where traces come from.
    pub traces: TracesHandle,
    /// Every complete trace, once: for whoever looks at them. Taken out by it.
    pub completed: Option<mpsc::Receiver<Arc<Trace>>>,
    /// The journal; without it nothing is written to the cluster.
    pub journal: Option<Arc<Journal>>,
    /// Why there is no journal.
    pub no_journal: Option<Arc<str>>,
    /// The kill switch of this cluster.
    pub kill: KillSwitch,
    /// The Lease of this cluster that auto needs.
    pub fence: Fence,
    /// Where journal, socket and kill file of this cluster live.
    pub dir: PathBuf,
    /// Ends everything above.
    pub cancel: CancellationToken,
}

/// The directory of one cluster inside the state directory. Ids are UIDs or hashes; anything else is replaced.
pub fn cluster_dir(state: &Path, cluster_id: &str) -> PathBuf {
    let safe: String =
        cluster_id.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
    state.join(safe)
}

impl Session {
    /// Connects and starts watching. Slow: runs beside the loop.
    pub async fn open(options: &Options, kill: KillHandle) -> Result<Self, OpenError> {
        let settings = &options.settings;
        let conn = monitor::connect::connect(&options.connect).await?;
        let dir = cluster_dir(&options.state, &conn.info.id);
        let cancel = CancellationToken::new();
        let (journal, no_journal) = if options.journal == JournalUse::Open {
            match Journal::open(&dir.join("journal.db")) {
                Ok(j) => (Some(Arc::new(j)), None),
                Err(e) => (None, Some(Arc::from(e.to_string()))),
            }
        } else {
            // Without a journal nothing can be approved, and nobody is there to approve.
            (None, None)
        };
        let kill_file = settings.guard.kill_file.as_ref().map_or_else(|| dir.join("kill"), PathBuf::from);
        let kill = KillSwitch::new(kill, &kill_file, &settings.guard.kill_configmap, conn.act.clone())
            .map_err(OpenError::Setting)?;
        let fence = Fence::new(conn.act.clone(), &settings.guard.lease, &identity(&options.actor))
            .map_err(OpenError::Setting)?;
        tokio::spawn(fence.clone().keep(cancel.clone()));
        let monitor = monitor::spawn(&conn, &settings.monitor, cancel.clone());
        let metrics = monitor::metrics::spawn(
            Arc::new(settings.clone()),
            Some(conn.read.clone()),
            monitor.snapshots.clone(),
            cancel.clone(),
        );
        let (traces, completed) =
            monitor::traces::spawn(&settings.traces, &settings.connection.namespaces, Some(&conn.read), &cancel);
        let completed = Some(completed);
        Ok(Self { conn, monitor, metrics, traces, completed, journal, no_journal, kill, fence, dir, cancel })
    }

    /// The cluster's snapshot with the metrics beside it.
    pub fn snapshot(&self, seq: u64, now: Timestamp) -> Arc<Snapshot> {
        let mut joined = (**self.monitor.snapshots.borrow()).clone();
        joined.metrics = (**self.metrics.views.borrow()).clone();
        joined.traces = self.traces.view();
        joined.seq = seq;
        joined.taken = now;
        Arc::new(joined)
    }

    /// Waits until the cluster or its metrics changed.
    pub async fn changed(&mut self) {
        either_changed(&mut self.monitor.snapshots, &mut self.metrics.views).await;
    }
}

/// A name for the Lease that no other process has, now or after a crash: an old one's Lease is not taken for ours.
fn identity(actor: &str) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let unique = format!("{actor} {} {}", std::process::id(), now.as_nanos());
    format!("{actor}/{}", &crate::model::plan::sha256_hex(unique.as_bytes())[..8])
}

/// Waits until one of two watched values changed. A side that ended will not change again and is left out: with
/// Prometheus turned off that is one of the two from the start.
async fn either_changed<A, B>(a: &mut watch::Receiver<A>, b: &mut watch::Receiver<B>) {
    tokio::select! {
        Ok(()) = a.changed() => {}
        Ok(()) = b.changed() => {}
        else => std::future::pending::<()>().await,
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_side_that_ended_does_not_deafen_the_other() {
        let (cluster, mut snapshots) = watch::channel(0);
        let (metrics, mut views) = watch::channel(0);
        drop(metrics);
        for news in 1..4 {
            cluster.send_replace(news);
            either_changed(&mut snapshots, &mut views).await;
            assert_eq!(*snapshots.borrow(), news);
        }
    }

    #[test]
    fn a_cluster_id_cannot_leave_the_state_directory() {
        let dir = cluster_dir(Path::new("/state"), "../../etc/x");
        assert_eq!(dir, Path::new("/state/______etc_x"));
    }
}
