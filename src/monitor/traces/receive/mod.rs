//! Receives OTLP over HTTP and gRPC. Both go through one gate, which bounds what a sender can make us hold or do.

mod gate;
mod grpc;
mod http;
#[cfg(test)]
mod tests;

pub use gate::Gate;

use super::run::{Bound, News, Slot};
use crate::model::snapshot::SourceState;
use crate::model::time;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Between two attempts to listen on an address that is taken.
const AGAIN: Duration = Duration::from_secs(5);

/// Listens on `address` until cancelled. An address that is taken is told in the source's state and tried again.
pub async fn run(
    slot: Slot,
    address: String,
    gate: Arc<Gate>,
    bound: Arc<watch::Sender<Bound>>,
    cancel: CancellationToken,
) {
    let (protocol, key) = match slot {
        Slot::Grpc => ("gRPC", "traces.otlp_grpc"),
        _ => ("HTTP", "traces.otlp_http"),
    };
    let mut since = None;
    loop {
        let listener = tokio::select! {
            () = cancel.cancelled() => return,
            listener = TcpListener::bind(&address) => listener,
        };
        let opened = listener.and_then(|l| Ok((l.local_addr()?, l)));
        let (name, state) = match &opened {
            Ok((at, _)) => (format!("OTLP {protocol} {at}"), SourceState::Syncing { since: time::now() }),
            Err(e) => {
                let why: Arc<str> = refused(&address, key, e).into();
                let since = *since.get_or_insert_with(|| {
                    tracing::warn!("OTLP {protocol}: {why}");
                    time::now()
                });
                (format!("OTLP {protocol} {address}"), SourceState::Failed { since, last: None, why })
            }
        };
        if gate.news.send(News::Source(slot, name.into(), state)).await.is_err() {
            return;
        }
        if let Ok((at, listener)) = opened {
            since = None;
            bound.send_modify(|b| *if slot == Slot::Grpc { &mut b.grpc } else { &mut b.http } = Some(at));
            let served = match slot {
                Slot::Grpc => grpc::serve(listener, gate.clone(), cancel.clone()).await,
                _ => http::serve(listener, gate.clone(), cancel.clone()).await,
            };
            if cancel.is_cancelled() {
                return;
            }
            tracing::warn!("OTLP {protocol} {address} ended: {served:?}");
        }
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(AGAIN) => {}
        }
    }
}

fn refused(address: &str, key: &str, e: &io::Error) -> String {
    let port = address.rsplit(':').next().unwrap_or(address);
    match e.kind() {
        io::ErrorKind::AddrInUse => format!(
            "port {port} is in use: another program (a collector, another kansole) listens on {address}. Stop it, or set {key} \
             to another address or to none; tried again every {} s",
            AGAIN.as_secs()
        ),
        io::ErrorKind::PermissionDenied => {
            format!("listening on {address} is not permitted ({e}): set {key} to a port above 1023, or to none")
        }
        _ => format!("cannot listen on {address}: {e}. Set {key} to an address of this machine, or to none"),
    }
}
