//! Parse, call, exit code: nothing else.

fn main() -> std::process::ExitCode {
    kansole::cli::run()
}
