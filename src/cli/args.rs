//! The commands and their flags: the contract of the command line.

use crate::config::load::Overrides;
use crate::console::command::PaneId;
use crate::lab::forecast::ForecastArgs;
use crate::lab::optimize::OptimizeArgs;
use crate::lab::rightsize::RightsizeArgs;
use crate::lab::rootcause::RootcauseArgs;
use crate::model::mode::Mode;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// A terminal control console for Kubernetes: sees, explains, proposes, acts and verifies.
#[derive(Debug, Parser)]
#[command(name = "kansole", version, about, max_term_width = 100, disable_help_subcommand = true)]
#[command(after_help = "Exit codes: 0 done, 1 failed, 2 wrong use, 3 could not connect.")]
pub struct Cli {
    /// What to do; without a command: the console on the current kubeconfig context.
    #[command(subcommand)]
    pub command: Option<Cmd>,
    /// Connection flags.
    #[command(flatten)]
    pub connect: ConnectArgs,
    /// Terminal flags.
    #[command(flatten)]
    pub screen: ScreenArgs,
}

/// Flags about the connection: known to every command that connects.
#[derive(Debug, Clone, Default, Args)]
pub struct ConnectArgs {
    /// Kubeconfig context; default: the current one.
    #[arg(long, global = true, value_name = "NAME", help_heading = "Connection")]
    pub context: Option<String>,
    /// Kubeconfig file; default: $KUBECONFIG, then ~/.kube/config.
    #[arg(long, global = true, value_name = "FILE", help_heading = "Connection")]
    pub kubeconfig: Option<PathBuf>,
    /// Limit to this namespace; may be repeated.
    #[arg(long, short = 'n', global = true, value_name = "NAME", help_heading = "Connection")]
    pub namespace: Vec<String>,
    /// Prometheus: a URL, `auto` (look for it in the cluster) or `none`.
    #[arg(long, global = true, value_name = "URL|auto|none", help_heading = "Connection")]
    pub prometheus: Option<String>,
    /// Traces: the URL of a Jaeger or Tempo, `auto` (look for one in the cluster) or `none` (nothing listens for OTLP either).
    #[arg(long, global = true, value_name = "URL|auto|none", help_heading = "Connection")]
    pub traces: Option<String>,
    /// observe, manual, step or auto (auto starts paused).
    #[arg(long, global = true, value_name = "MODE", help_heading = "Connection")]
    pub mode: Option<Mode>,
    /// Never write to the cluster.
    #[arg(long, global = true, help_heading = "Connection")]
    pub read_only: bool,
    /// Configuration file; default: kansole/config.toml in the XDG configuration directory.
    #[arg(long, global = true, value_name = "FILE", help_heading = "Connection")]
    pub config: Option<PathBuf>,
}

/// Flags about the terminal.
#[derive(Debug, Clone, Default, Args)]
pub struct ScreenArgs {
    /// Theme: a shipped name or a file.
    #[arg(long, global = true, value_name = "NAME", help_heading = "Terminal")]
    pub theme: Option<String>,
    /// Keymap: a shipped name or a file.
    #[arg(long, global = true, value_name = "NAME", help_heading = "Terminal")]
    pub keymap: Option<String>,
    /// Colours.
    #[arg(long, global = true, value_name = "WHEN", value_parser = ["auto", "never", "16", "256", "true"], help_heading = "Terminal")]
    pub color: Option<String>,
    /// Draw with ASCII only.
    #[arg(long, global = true, help_heading = "Terminal")]
    pub ascii: bool,
    /// Most frames per second; default: 30, or 10 over SSH.
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=120), help_heading = "Terminal")]
    pub max_fps: Option<u32>,
    /// Lines instead of a screen, for screen readers: what changes is told, commands are typed as words.
    #[arg(long, global = true, conflicts_with = "record", help_heading = "Terminal")]
    pub plain: bool,
    /// Record the screen as an asciicast; keys are not recorded. The file must not exist.
    #[arg(long, global = true, value_name = "FILE.cast", help_heading = "Terminal")]
    pub record: Option<PathBuf>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Cmd {
    /// One loop without a screen: snapshot summary, findings and proposals as JSON on stdout.
    Once(OnceArgs),
    /// Draw one frame of a pane to stdout.
    Snapshot(SnapshotArgs),
    /// What works and what doesn't: cluster, rights, Prometheus, terminal, journal, guardrails.
    Doctor(FormatArgs),
    /// The queue, from a script.
    #[command(subcommand)]
    Actions(ActionsCmd),
    /// What was decided and done.
    #[command(subcommand)]
    Journal(JournalCmd),
    /// The key reference.
    Keys(KeysArgs),
    /// The console on an embedded simulated cluster: no setup at all.
    Demo(DemoArgs),
    /// Print the completion script of a shell.
    Completions(CompletionsArgs),
    /// Print a manual page: of kansole, or of one of its commands.
    Man(ManArgs),
    /// Not built yet: the loop without a screen, for ever.
    #[command(hide = true)]
    Agent(Unbuilt),
    /// The engines on files, results as JSON on stdout.
    #[command(subcommand)]
    Lab(LabCmd),
}

/// The engines on files.
#[derive(Debug, Subcommand)]
pub enum LabCmd {
    /// Predict every series of a file, with 80 % and 95 % intervals: one JSON object per line.
    Forecast(ForecastArgs),
    /// Score a table row by row, strictly online: one JSON object per row.
    Anomaly(AnomalyArgs),
    /// Rank the suspects of an incident from tables of measurements: one JSON object.
    Rootcause(RootcauseArgs),
    /// Find the critical path of every trace of a file: one JSON object per trace, times in microseconds.
    Traces(TracesArgs),
    /// Find the best configuration of a space, by formulas or by what was observed: one JSON object.
    Optimize(OptimizeArgs),
    /// Size requests and limits by recorded usage: one JSON object per container.
    Rightsize(RightsizeArgs),
}

/// Flags of `lab traces`.
#[derive(Debug, Args)]
pub struct TracesArgs {
    /// Jaeger JSON (an answer of /api/traces, or one trace), or OTLP JSON (one request, or one per line).
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// Flags of `lab anomaly`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub struct AnomalyArgs {
    /// `timestamp,value` with a header. Timestamps: unix seconds or milliseconds, RFC 3339, or `2026-01-31 12:00:00`.
    #[arg(long, value_name = "FILE", group = "what")]
    pub data: Option<PathBuf>,
    /// The values only ever grow, but for restarts: their rate is judged.
    #[arg(long, requires = "data")]
    pub counter: bool,
    /// A copy of the Numenta Anomaly Benchmark (windows.json and the files it names): print the three profiles' scores.
    #[arg(long, value_name = "DIR", group = "what")]
    pub score_nab: Option<PathBuf>,
}

/// Anything after a command that does not exist yet.
#[derive(Debug, Args)]
pub struct Unbuilt {
    /// Ignored.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub rest: Vec<String>,
}

/// Flags of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// What befalls the cluster: a shipped scenario or a file; `list` names them all.
    #[arg(long, value_name = "NAME|FILE", default_value = crate::sim::scenario::DEFAULT)]
    pub scenario: String,
    /// The same seed gives the same history.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Simulated seconds per second.
    #[arg(long, value_name = "X", default_value_t = 1.0, value_parser = speed)]
    pub speed: f64,
    /// Serve only: print how to reach the cluster, for kubectl, curl and other consoles, until interrupted.
    #[arg(long)]
    pub serve: bool,
    /// Port of the API server on 127.0.0.1; 0: any free one.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub port: u16,
    /// Port of its Prometheus; 0: any free one.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub prometheus_port: u16,
    /// Nodes of an idle fleet beside the shop's, to measure with.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub nodes: u32,
    /// Pods of that fleet.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=500_000))]
    pub pods: u32,
    /// Pods of the fleet that change every second.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub churn: u32,
    /// Four empty nodes instead of the shop: bring your own workloads.
    #[arg(long)]
    pub bare: bool,
    /// Break a server from the start: latency=200ms, failing=5%, throttled=5%, reset-after=100, truncated=1%, stale=10%,
    /// expired=10%, skew=90s; `prometheus.` in front for Prometheus's; may be repeated.
    #[arg(long, value_name = "FAULT=VALUE")]
    pub fault: Vec<String>,
    /// Where the shop sends spans of its requests: an OTLP receiver over HTTP. Left out: to this console; with --serve nowhere.
    #[arg(long, value_name = "URL")]
    pub otlp: Option<String>,
    /// Requests a second of which it sends spans, at most.
    #[arg(long, value_name = "N", default_value_t = 30.0, value_parser = rate)]
    pub otlp_rate: f64,
}

impl Default for DemoArgs {
    /// As `kansole demo` without flags.
    fn default() -> Self {
        match Cli::parse_from(["kansole", "demo"]).command {
            Some(Cmd::Demo(args)) => args,
            _ => unreachable!("the words above name it"),
        }
    }
}

fn rate(text: &str) -> Result<f64, String> {
    between(text, 0.0, 10_000.0)
}

fn speed(text: &str) -> Result<f64, String> {
    between(text, 0.1, 1000.0)
}

fn between(text: &str, least: f64, most: f64) -> Result<f64, String> {
    let number = text.parse().ok().filter(|n| (least..=most).contains(n));
    number.ok_or_else(|| format!("a number between {least} and {most}"))
}

/// Flags of `once`.
#[derive(Debug, Args)]
pub struct OnceArgs {
    /// Give up waiting for the first complete picture after this long.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = crate::config::duration::parse)]
    pub timeout: std::time::Duration,
}

/// Flags of `snapshot`.
#[derive(Debug, Args)]
pub struct SnapshotArgs {
    /// overview, workloads, metrics, actions, journal or help.
    #[arg(long, value_name = "NAME", default_value = "overview", value_parser = pane)]
    pub pane: PaneId,
    /// Columns and rows.
    #[arg(long, value_name = "WxH", default_value = "120x40", value_parser = size)]
    pub size: (u16, u16),
    /// How the frame is written.
    #[arg(long, value_enum, default_value_t = FrameFormat::Text)]
    pub format: FrameFormat,
    /// Keys pressed before the frame is drawn, separated by spaces: `down enter`.
    #[arg(long, value_name = "KEYS")]
    pub press: Option<String>,
    /// Give up waiting for the first complete picture after this long.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = crate::config::duration::parse)]
    pub timeout: std::time::Duration,
}

/// How a frame is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FrameFormat {
    /// Characters only.
    Text,
    /// With colours, for a terminal.
    Ansi,
    /// A picture.
    Svg,
    /// A page.
    Html,
}

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// The format flag, where a table is printed.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct FormatArgs {
    /// text or json.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// The queue, from a script: talks to the running kansole of this cluster.
#[derive(Debug, Subcommand)]
pub enum ActionsCmd {
    /// All actions: pending, in flight and ended.
    List(FormatArgs),
    /// One action with why, what exactly, effect, undo and story.
    Show {
        /// Action id.
        id: String,
        /// Output format.
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Set another value in a proposal, such as 300Mi or 4: it is planned and checked again, and waits for its own approval.
    Adjust {
        /// Which action.
        id: String,
        /// The hash of its plan, at least 12 characters of it.
        #[arg(long)]
        hash: String,
        /// What shall be written instead; empty: what the planner reckons.
        #[arg(long)]
        to: String,
    },
    /// Approve the plan with this hash, in the running kansole.
    Approve {
        /// Action id.
        id: String,
        /// The plan's hash as `actions show` prints it (at least 12 characters): what was read is what is approved.
        #[arg(long)]
        hash: String,
    },
    /// Reject a proposal.
    Reject {
        /// Action id.
        id: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Undo an action that was applied.
    Revert {
        /// Action id.
        id: String,
    },
    /// Say that you are there: auto goes on for another while (guard.confirm_within).
    Confirm,
}

/// What was decided and done.
#[derive(Debug, Subcommand)]
pub enum JournalCmd {
    /// The last entries, newest last.
    List {
        /// How many.
        #[arg(long, short = 'N', default_value_t = 50)]
        last: usize,
        /// Only this action.
        #[arg(long)]
        action: Option<String>,
        /// Output format.
        #[command(flatten)]
        format: FormatArgs,
    },
    /// One entry with its payload.
    Show {
        /// Position.
        seq: u64,
        /// Output format.
        #[command(flatten)]
        format: FormatArgs,
    },
    /// How each strategy fared, how soon trouble was found and over, and whether that gets better.
    Outcomes(FormatArgs),
    /// Check the hash chain from the first entry to the last.
    Verify(FormatArgs),
    /// Everything as JSON lines.
    Export,
    /// The console on what the journal holds: an incident, an action or a session once more, at any speed. P pauses, S goes on by
    /// one entry, ctrl-r begins again; nothing can be done in it.
    Replay(ReplayArgs),
}

/// Flags of `journal replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// This incident, by its id in `journal list`'s incident_opened.
    #[arg(long, group = "part")]
    pub incident: Option<String>,
    /// This action, with the finding it answers.
    #[arg(long, group = "part")]
    pub action: Option<String>,
    /// From this entry on.
    #[arg(long, group = "part")]
    pub from: Option<u64>,
    /// Up to this entry.
    #[arg(long, requires = "from")]
    pub to: Option<u64>,
    /// How many times as fast as it was. Where nothing was written down for long, it jumps.
    #[arg(long, default_value_t = 10.0, value_parser = replay_speed)]
    pub speed: f64,
    /// This journal instead of the cluster's: no cluster is asked for anything.
    #[arg(long, value_name = "PATH")]
    pub file: Option<PathBuf>,
}

fn replay_speed(text: &str) -> Result<f64, String> {
    between(text, 0.01, 100_000.0)
}

/// Flags of `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// Which shell.
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

/// Flags of `man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// The command, such as `lab forecast`; left out: kansole itself.
    #[arg(value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// Flags of `keys`.
#[derive(Debug, Args)]
pub struct KeysArgs {
    /// How it is written.
    #[arg(long, value_enum, default_value_t = KeysFormat::Text)]
    pub format: KeysFormat,
}

/// How the key reference is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KeysFormat {
    /// For a terminal.
    Text,
    /// For docs/keys.md.
    Markdown,
    /// For programs.
    Json,
}

fn pane(text: &str) -> Result<PaneId, String> {
    PaneId::ALL.into_iter().find(|p| p.as_str() == text).ok_or_else(|| {
        let names: Vec<_> = PaneId::ALL.iter().map(|p| p.as_str()).collect();
        format!("no such pane: use one of {}", names.join(", "))
    })
}

fn size(text: &str) -> Result<(u16, u16), String> {
    let bad = || "write it like 120x40; at least 60x15, at most 1000x1000".to_owned();
    let (w, h) = text.split_once('x').ok_or_else(bad)?;
    let (w, h): (u16, u16) = (w.parse().map_err(|_| bad())?, h.parse().map_err(|_| bad())?);
    if (60..=1000).contains(&w) && (15..=1000).contains(&h) { Ok((w, h)) } else { Err(bad()) }
}

impl Cli {
    /// The flags as the top layer of the settings.
    pub fn overrides(&self) -> Overrides {
        Overrides {
            context: self.connect.context.clone(),
            namespaces: self.connect.namespace.clone(),
            prometheus: self.connect.prometheus.clone(),
            traces: self.connect.traces.clone(),
            mode: self.connect.mode.map(|m| m.to_string()),
            theme: self.screen.theme.clone(),
            keymap: self.screen.keymap.clone(),
            color: self.screen.color.clone(),
            ascii: self.screen.ascii,
            max_fps: self.screen.max_fps,
            state_dir: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_become_the_top_layer() {
        let cli =
            Cli::parse_from(["kansole", "--mode", "auto", "-n", "a", "-n", "b", "--prometheus", "none", "--ascii"]);
        let o = cli.overrides();
        assert_eq!(o.mode.as_deref(), Some("auto"));
        assert_eq!(o.namespaces, ["a", "b"]);
        assert_eq!(o.prometheus.as_deref(), Some("none"));
        assert!(o.ascii && o.theme.is_none());
    }

    #[test]
    fn wrong_use_names_the_remedy() {
        for (args, says) in [
            (vec!["kansole", "--mode", "yolo"], "use observe, manual, step or auto"),
            (vec!["kansole", "snapshot", "--pane", "pods"], "overview, workloads"),
            (vec!["kansole", "snapshot", "--size", "10x10"], "at least 60x15"),
            (vec!["kansole", "--max-fps", "0"], "1..=120"),
        ] {
            let e = Cli::try_parse_from(&args).unwrap_err().to_string();
            assert!(e.contains(says), "{args:?}: {e}");
        }
    }
}
