//! What the containers of a workload ask for and may use.

use super::cluster::Workload;
use super::pod::ContainerSpec;
use super::series::Signal;

/// What is asked for and allowed, in cores and bytes. `None`: at least one container does not say, so
/// there is no sum (and, for a limit, no bound).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[allow(missing_docs)]
pub struct Bounds {
    pub cpu_request: Option<f64>,
    pub cpu_limit: Option<f64>,
    pub memory_request: Option<f64>,
    pub memory_limit: Option<f64>,
}

impl Bounds {
    /// Of the containers of one pod, without init containers.
    pub fn of(specs: &[ContainerSpec]) -> Self {
        let sum = |f: &dyn Fn(&ContainerSpec) -> Option<f64>| {
            let mut main = specs.iter().filter(|s| !s.init).peekable();
            main.peek()?;
            main.map(f).sum::<Option<f64>>()
        };
        Self {
            cpu_request: sum(&|s| s.resources.cpu_request.as_ref().map(|a| a.value.cores())),
            cpu_limit: sum(&|s| s.resources.cpu_limit.as_ref().map(|a| a.value.cores())),
            memory_request: sum(&|s| s.resources.memory_request.as_ref().map(|a| a.value.0 as f64)),
            memory_limit: sum(&|s| s.resources.memory_limit.as_ref().map(|a| a.value.0 as f64)),
        }
    }

    /// Of all pods of a workload that should serve; without pods, of its template times the wanted pods.
    pub fn of_workload(workload: &Workload) -> Self {
        let mut pods = workload.live_pods().map(|p| Self::of(&p.specs)).peekable();
        if pods.peek().is_none() {
            let n = f64::from(workload.replicas.desired);
            let one = Self::of(&workload.template);
            let times = |v: Option<f64>| v.filter(|_| n > 0.0).map(|v| v * n);
            return Self {
                cpu_request: times(one.cpu_request),
                cpu_limit: times(one.cpu_limit),
                memory_request: times(one.memory_request),
                memory_limit: times(one.memory_limit),
            };
        }
        let add = |a: Option<f64>, b: Option<f64>| Some(a? + b?);
        pods.reduce(|a, b| Self {
            cpu_request: add(a.cpu_request, b.cpu_request),
            cpu_limit: add(a.cpu_limit, b.cpu_limit),
            memory_request: add(a.memory_request, b.memory_request),
            memory_limit: add(a.memory_limit, b.memory_limit),
        })
        .unwrap_or_default()
    }

    /// Request and limit that belong to a signal.
    pub fn for_signal(&self, signal: Signal) -> (Option<f64>, Option<f64>) {
        match signal {
            Signal::Cpu => (self.cpu_request, self.cpu_limit),
            Signal::Memory => (self.memory_request, self.memory_limit),
            _ => (None, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_container_without_a_limit_leaves_the_pod_without_one() {
        let spec = |limit: Option<u64>| ContainerSpec {
            name: "c".into(),
            image: "i".into(),
            resources: crate::model::pod::Resources {
                memory_limit: limit
                    .map(|v| crate::model::pod::Amount { value: crate::model::quantity::Bytes(v), raw: "".into() }),
                ..Default::default()
            },
            probes: crate::model::pod::Probes::default(),
            init: false,
        };
        assert_eq!(Bounds::of(&[spec(Some(1)), spec(Some(2))]).memory_limit, Some(3.0));
        assert_eq!(Bounds::of(&[spec(Some(1)), spec(None)]).memory_limit, None);
        assert_eq!(Bounds::of(&[]).memory_limit, None);
    }
}
