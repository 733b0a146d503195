//! Node objects of machines, as their kubelets register them.

use crate::model::time::Timestamp;
use crate::sim::clock::rfc3339;
use crate::sim::machine::Machine;
use crate::sim::noise::Noise;
use serde_json::{Value, json};

/// What the kubelets report.
pub const VERSION: &str = "v1.36.3";

const GIB: f64 = 1_073_741_824.0;
const MIB: f64 = 1_048_576.0;

/// The Node of a machine, the `ordinal`th of its cluster, registered at `born` and ready at `now`.
pub fn object(machine: &Machine, ordinal: usize, born: Timestamp, now: Timestamp) -> Value {
    let id = Noise::new(0).of(&machine.name);
    let ip = format!("10.0.{}.{}", ordinal / 200 + 1, ordinal % 200 + 10);
    let region = machine.zone.trim_end_matches(|c: char| c.is_ascii_lowercase());
    let pods = "110";
    let capacity = json!({
        "cpu": whole(machine.cores), "ephemeral-storage": format!("{}Ki", (machine.disk / 1024.0) as i64),
        "hugepages-1Gi": "0", "hugepages-2Mi": "0", "memory": format!("{}Ki", (machine.memory / 1024.0) as i64), "pods": pods,
    });
    let allocatable = json!({
        "cpu": format!("{}m", ((machine.cores - reserved_cores(machine.cores)) * 1000.0).round() as i64),
        "ephemeral-storage": format!("{}", (machine.disk * 0.9) as i64), "hugepages-1Gi": "0", "hugepages-2Mi": "0",
        "memory": format!("{}Ki", ((machine.memory - reserved_memory(machine.memory)) / 1024.0) as i64), "pods": pods,
    });
    let capacity_type = if machine.spot { "spot" } else { "on-demand" };
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {
            "name": machine.name, "creationTimestamp": rfc3339(born),
            "labels": {
                "beta.kubernetes.io/arch": "amd64", "beta.kubernetes.io/os": "linux",
                "karpenter.sh/capacity-type": capacity_type,
                "kubernetes.io/arch": "amd64", "kubernetes.io/hostname": machine.name, "kubernetes.io/os": "linux",
                "node.kubernetes.io/instance-type": machine.instance_type,
                "topology.kubernetes.io/region": region, "topology.kubernetes.io/zone": machine.zone,
            },
            "annotations": {
                "node.alpha.kubernetes.io/ttl": "0", "volumes.kubernetes.io/controller-managed-attach-detach": "true",
            },
        },
        "spec": {
            "podCIDR": format!("10.244.{}.0/24", ordinal % 256), "podCIDRs": [format!("10.244.{}.0/24", ordinal % 256)],
            "providerID": format!("aws:///{}/i-{:017x}", machine.zone, id.bits(0) >> 4),
        },
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": ip}, {"type": "Hostname", "address": machine.name},
            ],
            "allocatable": allocatable, "capacity": capacity, "conditions": conditions(born, now),
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "nodeInfo": {
                "architecture": "amd64", "bootID": id.uuid(1), "containerRuntimeVersion": "containerd://2.1.5",
                "kernelVersion": "6.12.48", "kubeProxyVersion": "", "kubeletVersion": VERSION,
                "machineID": id.uuid(2).replace('-', ""), "operatingSystem": "linux",
                "osImage": "Debian GNU/Linux 13 (trixie)", "systemUUID": id.uuid(3),
            },
        },
    })
}

fn conditions(born: Timestamp, now: Timestamp) -> Value {
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        json!({
            "type": kind, "status": status, "lastHeartbeatTime": rfc3339(now), "lastTransitionTime": rfc3339(born),
            "reason": reason, "message": message,
        })
    };
    json!([
        condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    ])
}

fn whole(cores: f64) -> String {
    if cores.fract() == 0.0 { format!("{cores}") } else { format!("{}m", (cores * 1000.0).round() as i64) }
}

/// Share of what lies between the bounds, added up.
fn tiers(amount: f64, tiers: &[(f64, f64)]) -> f64 {
    let (mut below, mut sum) = (0.0, 0.0);
    for (bound, share) in tiers {
        sum += (amount.min(*bound) - below).max(0.0) * share;
        below = *bound;
    }
    sum
}

/// Cores kept for the system: 6 % of the first, 1 % of the second, 0.5 % of the next two, 0.25 % of the rest, as GKE and
/// EKS reserve.
fn reserved_cores(cores: f64) -> f64 {
    tiers(cores, &[(1.0, 0.06), (2.0, 0.01), (4.0, 0.005), (f64::INFINITY, 0.0025)])
}

/// Bytes kept for the system: 25 % of the first 4 GiB, 20 % of the next 4, 10 % of the next 8, 6 % up to 128, 2 % beyond, as
/// GKE reserves, and 100 MiB below which pods are evicted.
fn reserved_memory(bytes: f64) -> f64 {
    let shares = [(4.0, 0.25), (8.0, 0.2), (16.0, 0.1), (128.0, 0.06), (f64::INFINITY, 0.02)];
    tiers(bytes / GIB, &shares) * GIB + 100.0 * MIB
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_keeps_is_what_the_clouds_keep() {
        assert!((reserved_cores(4.0) - 0.08).abs() < 1e-9, "80m of 4 cores");
        assert!((reserved_memory(16.0 * GIB) / MIB - 2762.4).abs() < 0.1, "2.6 GiB and 100 MiB of 16 GiB");
    }
}
