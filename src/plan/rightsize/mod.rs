//! Requests and limits from what was used (P10): the Vertical Pod Autoscaler's recommender, with KRR's beside it, and
//! rules that keep a change small and safe.
//!
//! Pure: what a container used, and what it asks for, go in; what it should ask for comes out, or why nothing is said.
//! What was measured at a limit is censored: nobody knows how much would have been used, so it never shrinks.

pub mod fleet;
pub mod krr;
pub mod step;
pub mod vpa;

pub use crate::model::sizing::Sample;
use serde::Serialize;

/// Samples without which nothing is said (KRR's `points_required`).
pub const LEAST_SAMPLES: usize = 100;
/// Hours of history without which nothing is said (KRR's).
pub const LEAST_HOURS: f64 = 3.0;

/// What a container asks for and may use; nothing where it does not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Asked {
    /// In cores or bytes.
    pub request: Option<f64>,
    /// In cores or bytes.
    pub limit: Option<f64>,
}

/// A container of a workload: all pods' samples and what the template says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Usage {
    /// Samples of each pod, in the order of time.
    pub pods: Vec<Vec<Sample>>,
    /// Cores.
    pub cpu: Asked,
    /// Bytes.
    pub memory: Asked,
    /// Containers of the pod; the recommender's least amounts are per pod.
    pub containers: usize,
    /// Pods that run now.
    pub replicas: usize,
    /// Whether an HPA divides CPU, and memory, by the request.
    pub hpa: (bool, bool),
}

/// CPU or memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// Cores.
    Cpu,
    /// Bytes.
    Memory,
}

impl Resource {
    /// As Kubernetes calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
        }
    }

    fn of(self, sample: &Sample) -> Option<f64> {
        let value = if self == Self::Cpu { sample.cpu } else { sample.memory };
        value.filter(|value| value.is_finite() && *value >= 0.0)
    }
}

/// Why nothing is said.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TooLittle {
    /// Too few samples.
    #[error("{0} samples; at least {LEAST_SAMPLES} are needed")]
    Samples(usize),
    /// Too short a history.
    #[error("{0:.1} h of history; at least {LEAST_HOURS} h are needed")]
    Hours(f64),
}

impl Usage {
    /// Times and values of a resource, of all pods.
    fn values(&self, resource: Resource) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.pods.iter().flatten().filter_map(move |sample| Some((sample.time, resource.of(sample)?)))
    }

    /// What is asked for a resource.
    pub fn asked(&self, resource: Resource) -> Asked {
        if resource == Resource::Cpu { self.cpu } else { self.memory }
    }

    /// First and last time of a resource's samples, and their number; an error if that is too little.
    pub fn enough(&self, resource: Resource) -> Result<(f64, f64, usize), TooLittle> {
        let count = self.values(resource).count();
        if count < LEAST_SAMPLES {
            return Err(TooLittle::Samples(count));
        }
        let (first, last) = self
            .values(resource)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), (time, _)| (a.min(time), b.max(time)));
        let hours = (last - first) / 3600.0;
        if hours < LEAST_HOURS { Err(TooLittle::Hours(hours)) } else { Ok((first, last, count)) }
    }
}
