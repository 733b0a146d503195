//! `kansole completions` and `kansole man`: made from the description of the command line, so that they cannot lag behind.

use super::args::Cli;
use super::{Done, print, usage};
use clap::{Command, CommandFactory as _};
use clap_complete::Shell;

pub(super) fn completions(shell: Shell) -> Done {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "kansole", &mut script);
    print(&String::from_utf8_lossy(&script))
}

pub(super) fn man(path: &[String]) -> Done {
    let mut command = Cli::command();
    // Gives every command the name of its page: kansole-lab-forecast, as `man` looks pages up.
    command.build();
    for name in path {
        let Some(found) = command.find_subcommand(name).cloned() else {
            return Err(usage(anyhow::anyhow!("{}", unknown(&command, name))));
        };
        command = found;
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    print(&String::from_utf8_lossy(&page))
}

fn unknown(command: &Command, name: &str) -> String {
    let known: Vec<&str> = command.get_subcommands().filter(|c| !c.is_hide_set()).map(Command::get_name).collect();
    let place = command.get_bin_name().unwrap_or("kansole");
    if known.is_empty() {
        format!("{place} has no commands of its own; leave {name:?} out")
    } else {
        format!("{place} has no command {name:?}; it has: {}", known.join(", "))
    }
}
