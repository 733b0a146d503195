//! `kansole demo`: the console on the embedded simulated cluster, or that cluster alone for others to connect to.

use super::args::{Cli, DemoArgs};
use super::{Done, Failure, options, print, runtime, settings_with, table, usage};
use crate::autopilot::JournalUse;
use crate::config::settings::{Settings, Slo};
use crate::model::demo::Director;
use crate::model::time;
use crate::sim::demo::{self as sim, Demo};
use crate::sim::world::fleet::Size;
use anyhow::Context as _;
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

pub(super) fn run(cli: &Cli, args: &DemoArgs) -> Done {
    if args.scenario == "list" {
        let rows: Vec<Vec<String>> =
            sim::scenarios().into_iter().map(|s| vec![s.name, s.title, format!("cure: {}", s.cure)]).collect();
        return print(&table(&["NAME", "WHAT HAPPENS", ""], &rows));
    }
    let runtime = runtime()?;
    let demo = runtime.block_on(Demo::start(&wanted(args)?)).map_err(|e| match e {
        sim::StartError::Wrong(_) => Failure::Usage(e.into()),
        sim::StartError::Serve { .. } => Failure::Failed(e.into()),
    })?;
    // Private, and gone with the demo: its journal is of a cluster that nobody will see again.
    let home =
        tempfile::Builder::new().prefix("kansole-demo-").tempdir().context("no temporary directory for the demo")?;
    let kubeconfig = home.path().join("kubeconfig");
    std::fs::write(&kubeconfig, demo.kubeconfig()).with_context(|| format!("{}", kubeconfig.display()))?;
    if let Some(endpoint) = &args.otlp {
        export(&runtime, &demo, endpoint, args).map_err(|e| usage(anyhow::anyhow!("--otlp {e}")))?;
    }
    if args.serve {
        return runtime.block_on(serve(&demo, &kubeconfig));
    }
    let clock = demo.clock();
    time::live_by(move || clock.now(), args.speed);
    let (mut loaded, dirs) = settings_with(cli, &flags(cli, home.path()))?;
    if loaded.settings.slo.is_empty() {
        loaded.settings.slo = objectives();
    }
    let traces = &mut loaded.settings.traces;
    if args.otlp.is_none() && traces.url != "none" {
        // Its own receivers, so that neither another console nor a collector on this machine is in the way.
        traces.otlp_grpc = free_address().context("no free port to receive traces at")?;
        traces.otlp_http = free_address().context("no free port to receive traces at")?;
        export(&runtime, &demo, &format!("http://{}", traces.otlp_http), args)?;
    }
    let mut options = options(cli, &loaded, &dirs, JournalUse::Open);
    options.connect.kubeconfig = Some(kubeconfig);
    let director: Arc<dyn Director> = demo.director();
    let offer_tour = !cli.screen.plain && first_time(cli)?;
    super::console::open(cli, loaded, dirs, options, Some(director), offer_tour, runtime)
}

/// Whether this operator was never offered the tour; remembered beside their journals, not in the demo's directory. Where
/// that cannot be written, nothing is offered: it would be offered for ever.
fn first_time(cli: &Cli) -> Result<bool, Failure> {
    let state = super::settings(cli)?.1.state;
    let mark = state.join("tour-offered");
    let new = std::fs::create_dir_all(&state)
        .and_then(|()| std::fs::OpenOptions::new().write(true).create_new(true).open(mark));
    Ok(new.is_ok())
}

/// Has the shop send its spans. However fast its time goes, no more a real second than asked for.
fn export(runtime: &Runtime, demo: &Demo, endpoint: &str, args: &DemoArgs) -> Result<(), sim::StartError> {
    let _inside = runtime.enter();
    demo.export(endpoint, args.otlp_rate / args.speed.max(1.0))
}

/// An address on loopback that nobody listens at now.
fn free_address() -> std::io::Result<String> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.to_string())
}

/// The shop's objectives.
fn objectives() -> Vec<Slo> {
    let own: Settings = toml::from_str(include_str!("demo.toml")).expect("our own file is right: a test reads it");
    own.slo
}

fn wanted(args: &DemoArgs) -> Result<sim::Options, Failure> {
    let faults: Result<_, String> = args.fault.iter().map(|text| sim::fault(text)).collect();
    Ok(sim::Options {
        scenario: args.scenario.clone(),
        seed: args.seed,
        speed: args.speed,
        port: args.port,
        prometheus_port: args.prometheus_port,
        bare: args.bare,
        fleet: Size { nodes: args.nodes as usize, pods: args.pods as usize },
        churn: args.churn as usize,
        faults: faults.map_err(|e| usage(anyhow::anyhow!("--fault {e}")))?,
        start: None,
    })
}

/// The operator's flags, with everything that could lead to another cluster or journal turned to the demo. A state directory
/// asked for by name is kept.
fn flags(cli: &Cli, home: &Path) -> crate::config::load::Overrides {
    let mut flags = cli.overrides();
    flags.context.get_or_insert_with(|| "demo".into());
    flags.prometheus.get_or_insert_with(|| "auto".into());
    if std::env::var_os("KANSOLE_STATE_DIR").is_none() {
        flags.state_dir = Some(home.display().to_string());
    }
    flags
}

async fn serve(demo: &Demo, kubeconfig: &Path) -> Done {
    let (mut term, mut int, mut hup) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?);
    let ports = demo.ports();
    print(&format!(
        "export KUBECONFIG={}\nexport KANSOLE_DEMO_SERVER=https://127.0.0.1:{}\nexport PROMETHEUS_URL=http://127.0.0.1:{}\n\
         # contexts demo (admin, current), demo-viewer, demo-team-a; a real Prometheus can scrape it: {}\n\
         # until interrupted\n",
        kubeconfig.display(),
        ports.api,
        ports.prometheus,
        format_args!("curl http://127.0.0.1:{}/scrape/prometheus.yml", ports.prometheus),
    ))?;
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
        _ = hup.recv() => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_shop_has_objectives_of_workloads_that_it_has() {
        let workloads: Vec<String> = crate::sim::shop::manifests()
            .iter()
            .filter(|o| o["kind"] == "Deployment")
            .map(|o| format!("shop/Deployment/{}", o["metadata"]["name"].as_str().unwrap_or_default()))
            .collect();
        let all = super::objectives();
        assert!(!all.is_empty());
        assert!(all.iter().all(|slo| workloads.contains(&slo.workload)), "{workloads:?}");
    }
}
