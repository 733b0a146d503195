//! Wait for a dependency: restarting its callers would only add load.

use super::draft::Draft;
use super::risk::Change;
use super::{Ask, NoProposal, live};
use crate::model::plan::{Blast, Gate, Inverse, Op, Risk, Step, Strategy};

/// Plans a wait that doubles with every back-off in a row, from `backoff` to `backoff_max`.
pub fn plan(ask: &Ask<'_>, on: &str) -> Result<Draft, NoProposal> {
    let workload = ask.workload()?;
    let object = ask.live()?;
    let Some(target) = workload.key.object() else {
        return Err(NoProposal::because(format!("the fault is in {on}: look there")));
    };
    let before = ask.history.backoffs(&workload.key, ask.now);
    let seconds = wait(ask.set.backoff.as_secs(), ask.set.backoff_max.as_secs(), before);
    let title = format!("wait {seconds} s for {on} instead of restarting its caller");
    Ok(Draft {
        strategy: Strategy::Backoff,
        title: format!("{}/{}: {title}", workload.key.namespace, workload.key.name),
        steps: vec![Step {
            title: title.into(),
            op: Op::Wait { seconds },
            bound: live::bind(object, &target)?,
            target,
            inverse: Inverse::NotNeeded { why: "nothing is written".into() },
            gate: Gate::None,
        }],
        change: Change::Nothing,
        blast: Blast { text: "nothing is written".into(), ..Blast::default() },
        effect: format!("{on} recovers, and this workload with it"),
        notes: vec![format!("heal {on}; this is back-off number {} in a row", before + 1)],
        why: Vec::new(),
        manifest: None,
        at_least: Risk::Low,
    })
}

/// `first` doubled `before` times, at most `most`, in seconds.
fn wait(first: u64, most: u64, before: u32) -> u32 {
    let doubled = first.saturating_mul(1u64.checked_shl(before.min(63)).unwrap_or(u64::MAX));
    u32::try_from(doubled.min(most.max(first))).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::wait;

    #[test]
    fn waits_double_up_to_the_longest() {
        assert_eq!([0, 1, 2, 3, 4, 63, u32::MAX].map(|n| wait(60, 600, n)), [60, 120, 240, 480, 600, 600, 600]);
    }
}
