#!/usr/bin/env python3
"""Metrics of the pods and nodes kwok pretends to run, in the shapes of cAdvisor, kubelet, kube-state-metrics,
node-exporter and instrumented HTTP services.

Reads pods, nodes and workloads from the API server and makes up their load: deterministic in the pod's name, its
annotations and the time, never random. Counters add up second by second and start anew with each container start,
so that rates, resets and gaps look as they do in life. Annotations on a pod (all optional):
  kansole.dev/rps      requests per second of its whole workload, shared by its ready pods
  kansole.dev/cost     CPU milliseconds per request        kansole.dev/latency  milliseconds at rest
  kansole.dev/errors   share of 5xx at rest, "0.5%"        kansole.dev/calls    workloads it depends on, "a,b"
  kansole.dev/memory   working set at rest, "90Mi"         kansole.dev/leak     growth of that per minute, "5%"
  kansole.dev/needs-memory   what it grows to within seconds, or is killed at
"""
import argparse
import json
import math
import ssl
import sys
import threading
import time
import urllib.request
import zlib
from calendar import timegm
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]
UNITS = {"": 1, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "Ki": 1024, "Mi": 1024**2, "Gi": 1024**3, "Ti": 1024**4}
DAY = 1800.0  # a "day" of load lasts half an hour here


def quantity(text, default=0.0):
    if text in (None, ""):
        return default
    digits = str(text).rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    return float(digits) * UNITS.get(str(text)[len(digits):], 1)


def percent(text, default=0.0):
    return float(str(text).rstrip("%")) / 100 if text else default


def epoch(text):
    return timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")) if text else 0


def phase_of(name):
    return zlib.crc32(name.encode()) % 1000 / 1000


class Api:
    def __init__(self, server, ca, token_file):
        self.server = server
        self.token = open(token_file, encoding="ascii").read().strip()
        context = ssl.create_default_context(cafile=ca)
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))

    def list(self, path):
        request = urllib.request.Request(
            f"{self.server}{path}?resourceVersion=0", headers={"Authorization": f"Bearer {self.token}", "User-Agent": "rig-exporter"})
        with self.opener.open(request, timeout=5) as answer:
            return json.load(answer)["items"]


class Container:
    """One run of one container: its counters live as long as it does."""

    def __init__(self):
        self.cpu = self.throttled = self.throttled_periods = self.periods = self.received = self.sent = 0.0
        self.stall_cpu = self.stall_memory = 0.0


class App:
    """Request counters of one pod's main container."""

    def __init__(self):
        self.by_code = {}
        self.buckets = [0.0] * (len(BUCKETS) + 1)
        self.sum = 0.0
        self.active = 0.0


class World:
    """What the API server said last, and the load made up from it."""

    def __init__(self, api):
        self.api, self.lock = api, threading.Lock()
        self.pods, self.nodes, self.sets, self.others = [], [], {}, {}
        self.runs, self.apps, self.memory, self.node_cpu, self.last = {}, {}, {}, {}, time.time()

    def read(self):
        pods, nodes = self.api.list("/api/v1/pods"), self.api.list("/api/v1/nodes")
        apps = {kind: self.api.list(f"/apis/apps/v1/{kind}") for kind in ("replicasets", "deployments", "statefulsets", "daemonsets")}
        apps["hpas"] = self.api.list("/apis/autoscaling/v2/horizontalpodautoscalers")
        apps["pdbs"] = self.api.list("/apis/policy/v1/poddisruptionbudgets")
        apps["jobs"] = self.api.list("/apis/batch/v1/jobs")
        owners = {(r["metadata"]["namespace"], r["metadata"]["name"]): o["name"]
                  for r in apps["replicasets"] for o in r["metadata"].get("ownerReferences", [])[:1]}
        with self.lock:
            self.pods, self.nodes, self.sets, self.others = pods, nodes, owners, apps

    def workload(self, pod):
        meta = pod["metadata"]
        owner = (meta.get("ownerReferences") or [{"kind": "Pod", "name": meta["name"]}])[0]
        if owner["kind"] == "ReplicaSet":
            return self.sets.get((meta["namespace"], owner["name"]), owner["name"])
        return owner["name"]

    def tick(self):
        """Adds what happened since the last tick to every counter."""
        now = time.time()
        dt, self.last = min(now - self.last, 10.0), now
        with self.lock:
            serving, seen, asked = {}, set(), {}
            for pod in self.pods:
                key = (pod["metadata"]["namespace"], self.workload(pod))
                ready = any(c["type"] == "Ready" and c["status"] == "True" for c in pod.get("status", {}).get("conditions", []))
                serving.setdefault(key, []).append(pod) if ready and pod["status"].get("phase") == "Running" else serving.setdefault(key, [])
                asked[key] = asked.get(key, 0) + 1
            health = {key: len(ready) / asked[key] for key, ready in serving.items()}
            for pod in self.pods:
                self.load(pod, serving, health, now, dt, seen)
            for gone in [k for k in self.runs if k not in seen]:
                del self.runs[gone]
            for gone in [k for k in self.memory if k not in seen]:
                del self.memory[gone]
            for gone in [k for k in self.apps if k not in seen]:
                del self.apps[gone]

    def load(self, pod, serving, health, now, dt, seen):
        meta, spec, status = pod["metadata"], pod["spec"], pod.get("status", {})
        notes, name, ns = meta.get("annotations") or {}, meta["name"], meta["namespace"]
        key = (ns, self.workload(pod))
        for index, container in enumerate(spec["containers"]):
            state = next((s for s in status.get("containerStatuses", []) if s["name"] == container["name"]), None)
            if not state or "running" not in state.get("state", {}):
                continue
            started = epoch(state["state"]["running"]["startedAt"])
            run_key = (ns, name, container["name"], state["restartCount"], started)
            seen.add(run_key)
            run = self.runs.setdefault(run_key, Container())
            limits = container.get("resources", {}).get("limits", {})
            cores = quantity(limits.get("cpu"), 4.0)
            rps = 0.0
            if index == 0 and "kansole.dev/rps" in notes and pod in serving[key]:
                swing = 1 + 0.3 * math.sin(2 * math.pi * (now / DAY + phase_of(key[1])))
                rps = float(notes["kansole.dev/rps"]) * swing / len(serving[key])
            want = 0.003 + rps * float(notes.get("kansole.dev/cost", 2)) / 1000
            want *= 1 + 0.05 * math.sin(now / 37 + 6 * phase_of(name))
            used = min(want, cores)
            run.cpu += used * dt
            run.periods += 10 * dt
            over = max(0.0, min(1.0, (want / cores - 0.8) / 0.4))
            run.throttled_periods += 10 * dt * over
            run.throttled += dt * max(0.0, want - cores)
            run.stall_cpu += dt * over * 0.6
            run.received += dt * (rps * 600 + 50)
            run.sent += dt * (rps * 4000 + 80)
            self.memory[run_key] = self.working_set(notes, quantity(limits.get("memory"), 16 * 1024**3), now - started, name, index)
            if self.memory[run_key] > 0.9 * quantity(limits.get("memory"), math.inf):
                run.stall_memory += dt * 0.2
            if index == 0 and "kansole.dev/rps" in notes:
                self.requests(run_key, key, notes, rps, want / cores, health, dt, seen)

    @staticmethod
    def working_set(notes, limit, age, name, index):
        base = quantity(notes.get("kansole.dev/memory"), 48 * 1024**2) if index == 0 else 24 * 1024**2
        wobble = 1 + 0.03 * math.sin(age / 60 + 6 * phase_of(name))
        if index == 0 and "kansole.dev/needs-memory" in notes:
            need = 0.9 * quantity(notes["kansole.dev/needs-memory"])
            if limit < quantity(notes["kansole.dev/needs-memory"]):
                return limit * min(0.995, 0.35 + 0.65 * age / 6)  # killed 7 s after its start
            return need * min(1.0, 0.5 + age / 20) * (1 + 0.02 * math.sin(age / 60))
        if index == 0 and "kansole.dev/leak" in notes:
            return min(limit * 0.995, base * (1 + percent(notes["kansole.dev/leak"]) * age / 60))
        return min(limit * 0.98, base * wobble)

    def requests(self, run_key, key, notes, rps, busy, health, dt, seen):
        app_key = ("app",) + run_key
        seen.add(app_key)
        app = self.apps.setdefault(app_key, App())
        errors = percent(notes.get("kansole.dev/errors"), 0.001)
        slow = 1.0
        for callee in filter(None, notes.get("kansole.dev/calls", "").split(",")):
            missing = 1 - health.get((key[0], callee), 1.0)
            errors += (1 - errors) * 0.5 * missing
            slow += 4 * missing
        errors += (1 - errors) * max(0.0, min(0.5, busy - 1))
        mean = float(notes.get("kansole.dev/latency", 20)) / 1000 * slow / (1 - min(busy, 0.95))
        count = rps * dt
        for code, share in (("200", (1 - errors) * 0.99), ("404", (1 - errors) * 0.01), ("503", errors)):
            app.by_code[code] = app.by_code.get(code, 0.0) + count * share
        below = 0.0  # log-normal around the mean, sigma 0.6
        for i, bound in enumerate(BUCKETS):
            share = 0.5 * (1 + math.erf(math.log(bound / mean) / (0.6 * math.sqrt(2))))
            app.buckets[i] += count * (share - below)
            below = share
        app.buckets[-1] += count * (1 - below)
        app.sum += count * mean * math.exp(0.18)
        app.active = rps * mean

    # --- the pages ---------------------------------------------------------------------------

    def cadvisor(self, out):
        pods = {(p["metadata"]["namespace"], p["metadata"]["name"]): p for p in self.pods}
        network = {}
        for run_key, run in self.runs.items():
            ns, name, cname, _, started = run_key
            pod = pods.get((ns, name))
            if not pod:
                continue
            spec = next(c for c in pod["spec"]["containers"] if c["name"] == cname)
            node = pod["spec"].get("nodeName", "")
            labels = dict(namespace=ns, pod=name, container=cname, image=spec["image"], node=node, instance=node,
                          id=f"/kubepods/pod{pod['metadata']['uid']}/{cname}", name=f"{zlib.crc32(repr(run_key).encode()):08x}")
            limits = spec.get("resources", {}).get("limits", {})
            memory = self.memory.get(run_key, 0)
            out("container_cpu_usage_seconds_total", "counter", labels, run.cpu)
            out("container_cpu_cfs_periods_total", "counter", labels, run.periods)
            out("container_cpu_cfs_throttled_periods_total", "counter", labels, run.throttled_periods)
            out("container_cpu_cfs_throttled_seconds_total", "counter", labels, run.throttled)
            out("container_memory_working_set_bytes", "gauge", labels, memory)
            out("container_memory_rss", "gauge", labels, memory * 0.92)
            out("container_memory_usage_bytes", "gauge", labels, memory * 1.08)
            out("container_memory_cache", "gauge", labels, memory * 0.16)
            out("container_memory_failcnt", "counter", labels, 0)
            out("container_start_time_seconds", "gauge", labels, started)
            out("container_threads", "gauge", labels, 12)
            out("container_pressure_cpu_waiting_seconds_total", "counter", labels, run.stall_cpu)
            out("container_pressure_memory_waiting_seconds_total", "counter", labels, run.stall_memory)
            out("container_pressure_memory_stalled_seconds_total", "counter", labels, run.stall_memory / 2)
            out("container_pressure_io_waiting_seconds_total", "counter", labels, 0)
            if "memory" in limits:
                out("container_spec_memory_limit_bytes", "gauge", labels, quantity(limits["memory"]))
            if "cpu" in limits:
                out("container_spec_cpu_quota", "gauge", labels, quantity(limits["cpu"]) * 100000)
                out("container_spec_cpu_period", "gauge", labels, 100000)
            total = network.setdefault((ns, name), [node, 0.0, 0.0])
            total[1] += run.received
            total[2] += run.sent
        for (ns, name), (node, received, sent) in network.items():
            labels = dict(namespace=ns, pod=name, interface="eth0", node=node, instance=node)
            out("container_network_receive_bytes_total", "counter", labels, received)
            out("container_network_transmit_bytes_total", "counter", labels, sent)
        for pod in self.pods:
            for state in pod.get("status", {}).get("containerStatuses", []):
                last = state.get("lastState", {}).get("terminated", {})
                if last.get("reason") == "OOMKilled":
                    node = pod["spec"].get("nodeName", "")
                    out("container_oom_events_total", "counter", dict(
                        namespace=pod["metadata"]["namespace"], pod=pod["metadata"]["name"], container=state["name"],
                        image=state["image"], node=node, instance=node), state["restartCount"] + ("waiting" in state["state"]))

    def kubelet(self, out):
        for node in self.nodes:
            name = node["metadata"]["name"]
            running = sum(p["spec"].get("nodeName") == name and p.get("status", {}).get("phase") == "Running" for p in self.pods)
            out("kubelet_running_pods", "gauge", dict(node=name, instance=name), running)
            out("kubelet_node_name", "gauge", dict(node=name, instance=name), 1)

    def node(self, out):
        now = time.time()
        for node in self.nodes:
            name = node["metadata"]["name"]
            capacity = node.get("status", {}).get("capacity", {})
            total, cores = quantity(capacity.get("memory"), 16 * 1024**3), quantity(capacity.get("cpu"), 4)
            used = sum(m for k, m in self.memory.items() if self.placed.get(k[:2]) == name) + 0.06 * total
            cpu = sum(r.cpu for k, r in self.runs.items() if self.placed.get(k[:2]) == name)
            state = {c["type"]: c["status"] for c in node.get("status", {}).get("conditions", [])}
            if state.get("MemoryPressure") == "True":
                used = 0.97 * total
            disk = 0.96 if state.get("DiskPressure") == "True" else 0.35
            seen = self.node_cpu.setdefault(name, [cpu, 0.0, now])
            seen[1] += max(0.0, cpu - seen[0]) + 0.05 * (now - seen[2])
            seen[0], seen[2] = cpu, now
            at = dict(instance=name, node=name)
            out("node_cpu_seconds_total", "counter", dict(at, cpu="0", mode="user"), seen[1])
            out("node_cpu_seconds_total", "counter", dict(at, cpu="0", mode="idle"), max(0.0, (now - START) * cores - seen[1]))
            out("node_memory_MemTotal_bytes", "gauge", at, total)
            out("node_memory_MemAvailable_bytes", "gauge", at, total - used)
            out("node_load1", "gauge", at, 0.4)
            fs = dict(at, mountpoint="/", fstype="ext4", device="/dev/vda1")
            out("node_filesystem_size_bytes", "gauge", fs, 100e9)
            out("node_filesystem_avail_bytes", "gauge", fs, 100e9 * (1 - disk))
            out("node_uname_info", "gauge", dict(at, nodename=name), 1)

    @property
    def placed(self):
        return {(p["metadata"]["namespace"], p["metadata"]["name"]): p["spec"].get("nodeName") for p in self.pods}

    def state(self, out):
        for pod in self.pods:
            meta, spec, status = pod["metadata"], pod["spec"], pod.get("status", {})
            at = dict(namespace=meta["namespace"], pod=meta["name"], uid=meta["uid"])
            owner = (meta.get("ownerReferences") or [{"kind": "<none>", "name": "<none>"}])[0]
            node = spec.get("nodeName", "")
            out("kube_pod_info", "gauge", dict(at, node=node, created_by_kind=owner["kind"], created_by_name=owner["name"]), 1)
            out("kube_pod_owner", "gauge", dict(at, owner_kind=owner["kind"], owner_name=owner["name"], owner_is_controller="true"), 1)
            for name in ("Pending", "Running", "Succeeded", "Failed", "Unknown"):
                out("kube_pod_status_phase", "gauge", dict(at, phase=name), status.get("phase") == name)
            ready = {c["type"]: c["status"] for c in status.get("conditions", [])}.get("Ready", "False")
            for value in ("true", "false", "unknown"):
                out("kube_pod_status_ready", "gauge", dict(at, condition=value), ready.lower() == value)
            for container in spec["containers"]:
                c = dict(at, container=container["name"])
                out("kube_pod_container_info", "gauge", dict(c, image=container["image"], image_spec=container["image"]), 1)
                for kind in ("requests", "limits"):
                    for resource, unit in (("cpu", "core"), ("memory", "byte")):
                        value = container.get("resources", {}).get(kind, {}).get(resource)
                        if value:
                            out(f"kube_pod_container_resource_{kind}", "gauge", dict(c, node=node, resource=resource, unit=unit), quantity(value))
            for state in status.get("containerStatuses", []):
                c = dict(at, container=state["name"])
                out("kube_pod_container_status_restarts_total", "counter", c, state["restartCount"])
                out("kube_pod_container_status_ready", "gauge", c, state["ready"])
                waiting = state.get("state", {}).get("waiting", {}).get("reason")
                if waiting:
                    out("kube_pod_container_status_waiting_reason", "gauge", dict(c, reason=waiting), 1)
                last = state.get("lastState", {}).get("terminated")
                if last:
                    out("kube_pod_container_status_last_terminated_reason", "gauge", dict(c, reason=last["reason"]), 1)
                    out("kube_pod_container_status_last_terminated_exitcode", "gauge", c, last["exitCode"])
        for (ns, name), owner in self.sets.items():
            out("kube_replicaset_owner", "gauge", dict(namespace=ns, replicaset=name, owner_kind="Deployment", owner_name=owner, owner_is_controller="true"), 1)
        for d in self.others.get("deployments", []):
            at, spec, status = dict(namespace=d["metadata"]["namespace"], deployment=d["metadata"]["name"]), d["spec"], d.get("status", {})
            out("kube_deployment_spec_replicas", "gauge", at, spec.get("replicas", 1))
            out("kube_deployment_status_replicas", "gauge", at, status.get("replicas", 0))
            out("kube_deployment_status_replicas_available", "gauge", at, status.get("availableReplicas", 0))
            out("kube_deployment_status_replicas_unavailable", "gauge", at, status.get("unavailableReplicas", 0))
            out("kube_deployment_status_replicas_updated", "gauge", at, status.get("updatedReplicas", 0))
            out("kube_deployment_status_observed_generation", "gauge", at, status.get("observedGeneration", 0))
            out("kube_deployment_metadata_generation", "gauge", at, d["metadata"]["generation"])
            for c in status.get("conditions", []):
                for value in ("true", "false", "unknown"):
                    out("kube_deployment_status_condition", "gauge", dict(at, condition=c["type"], status=value, reason=c.get("reason", "")), c["status"].lower() == value)
        for s in self.others.get("statefulsets", []):
            at = dict(namespace=s["metadata"]["namespace"], statefulset=s["metadata"]["name"])
            out("kube_statefulset_replicas", "gauge", at, s["spec"].get("replicas", 1))
            out("kube_statefulset_status_replicas_ready", "gauge", at, s.get("status", {}).get("readyReplicas", 0))
        for s in self.others.get("daemonsets", []):
            at = dict(namespace=s["metadata"]["namespace"], daemonset=s["metadata"]["name"])
            out("kube_daemonset_status_desired_number_scheduled", "gauge", at, s.get("status", {}).get("desiredNumberScheduled", 0))
            out("kube_daemonset_status_number_ready", "gauge", at, s.get("status", {}).get("numberReady", 0))
        for h in self.others.get("hpas", []):
            at, spec, status = dict(namespace=h["metadata"]["namespace"], horizontalpodautoscaler=h["metadata"]["name"]), h["spec"], h.get("status", {})
            target = spec["scaleTargetRef"]
            out("kube_horizontalpodautoscaler_info", "gauge", dict(at, scaletargetref_kind=target["kind"], scaletargetref_name=target["name"]), 1)
            out("kube_horizontalpodautoscaler_spec_min_replicas", "gauge", at, spec.get("minReplicas", 1))
            out("kube_horizontalpodautoscaler_spec_max_replicas", "gauge", at, spec["maxReplicas"])
            out("kube_horizontalpodautoscaler_status_current_replicas", "gauge", at, status.get("currentReplicas", 0))
            out("kube_horizontalpodautoscaler_status_desired_replicas", "gauge", at, status.get("desiredReplicas", 0))
        for b in self.others.get("pdbs", []):
            at, status = dict(namespace=b["metadata"]["namespace"], poddisruptionbudget=b["metadata"]["name"]), b.get("status", {})
            for name, field in (("pod_disruptions_allowed", "disruptionsAllowed"), ("current_healthy", "currentHealthy"),
                                ("desired_healthy", "desiredHealthy"), ("expected_pods", "expectedPods")):
                out(f"kube_poddisruptionbudget_status_{name}", "gauge", at, status.get(field, 0))
        for j in self.others.get("jobs", []):
            at, status = dict(namespace=j["metadata"]["namespace"], job_name=j["metadata"]["name"]), j.get("status", {})
            out("kube_job_status_succeeded", "gauge", at, status.get("succeeded", 0))
            out("kube_job_status_failed", "gauge", at, status.get("failed", 0))
            for c in status.get("conditions", []):
                if c["type"] == "Failed":
                    out("kube_job_failed", "gauge", dict(at, condition="true", reason=c.get("reason", "")), c["status"] == "True")
        for node in self.nodes:
            at = dict(node=node["metadata"]["name"])
            status = node.get("status", {})
            out("kube_node_info", "gauge", dict(at, kubelet_version=status.get("nodeInfo", {}).get("kubeletVersion", "")), 1)
            out("kube_node_spec_unschedulable", "gauge", at, bool(node["spec"].get("unschedulable")))
            for taint in node["spec"].get("taints", []):
                out("kube_node_spec_taint", "gauge", dict(at, key=taint["key"], value=taint.get("value", ""), effect=taint["effect"]), 1)
            for c in status.get("conditions", []):
                for value in ("true", "false", "unknown"):
                    out("kube_node_status_condition", "gauge", dict(at, condition=c["type"], status=value), c["status"].lower() == value)
            for kind in ("allocatable", "capacity"):
                for resource, unit in (("cpu", "core"), ("memory", "byte"), ("pods", "integer")):
                    if resource in status.get(kind, {}):
                        out(f"kube_node_status_{kind}", "gauge", dict(at, resource=resource, unit=unit), quantity(status[kind][resource]))

    def app_page(self, out):
        for key, app in self.apps.items():
            _, ns, name, container, _, _ = key
            pod = next((p for p in self.pods if p["metadata"]["name"] == name and p["metadata"]["namespace"] == ns), None)
            if not pod:
                continue
            workload = self.workload(pod)
            at = dict(job=workload, service=workload, namespace=ns, pod=name, container=container, instance=pod["status"].get("podIP", name) + ":8080")
            for code, count in app.by_code.items():
                out("http_requests_total", "counter", dict(at, method="GET", code=code), count)
            total = 0.0
            for bound, count in zip(BUCKETS + ["+Inf"], app.buckets):
                total += count
                out("http_request_duration_seconds_bucket", "", dict(at, le=str(bound)), total)
            out("http_request_duration_seconds_sum", "", at, app.sum)
            out("http_request_duration_seconds_count", "", at, total)
            out("http_server_active_requests", "gauge", at, app.active)


def render(fill):
    """Text exposition: samples of one metric must stand together, under its type."""
    families = {}

    def out(name, kind, labels, value):
        text = ",".join('%s="%s"' % (k, str(v).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")) for k, v in labels.items())
        families.setdefault(name, (kind, []))[1].append(f"{name}{{{text}}} {float(value):.10g}")

    fill(out)
    lines = []
    for name, (kind, samples) in families.items():
        if kind:
            lines.append(f"# TYPE {name} {kind}")
        elif name.endswith("_bucket"):
            lines.append(f"# TYPE {name[:-7]} histogram")
        lines += samples
    return "\n".join(lines) + "\n"


def serve(world, port):
    pages = {"/metrics/cadvisor": world.cadvisor, "/metrics/kubelet": world.kubelet, "/metrics/node": world.node,
             "/metrics/state": world.state, "/metrics/apps": world.app_page}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/healthz":
                body, code = "ok\n", 200
            elif self.path in pages:
                with world.lock:
                    body, code = render(pages[self.path]), 200
            else:
                body, code = "\n".join(pages) + "\n", 404
            self.send_response(code)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_):
            pass

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    for flag in ("--server", "--ca", "--token-file"):
        parser.add_argument(flag, required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    world = World(Api(options.server, options.ca, options.token_file))

    def follow():
        turn = 0
        while True:
            try:
                if turn % 2 == 0:
                    world.read()
                world.tick()
            except Exception as error:  # the API server may be away for a while: keep the last picture
                print(f"{time.strftime('%H:%M:%S')} {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            turn += 1
            time.sleep(1)

    threading.Thread(target=follow, daemon=True).start()
    serve(world, options.port)


START = time.time()
if __name__ == "__main__":
    main()
