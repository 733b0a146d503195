# Where a pod stands, as "<mode> <state>": the one question every pod stage asks.
# mode: what the pod's own spec says will happen to it. state: where its victim container is now.
# A cause is always in the spec (image, limits, annotations), so changing the cause changes the effect.
def bytes:
  if . == null then 0 else
    (tostring | capture("^(?<n>[0-9.]+)(?<u>[A-Za-z]*)$")
    | (.n | tonumber) * ({"": 1, "k": 1000, "M": 1000000, "G": 1000000000,
        "Ki": 1024, "Mi": 1048576, "Gi": 1073741824}[.u] // 1)) end;
def ann($k): ((.metadata.annotations // {})[$k]) // "";
def victim: ann("kansole.dev/container") as $v
  | if $v == "" then .spec.containers[0] else first(.spec.containers[] | select(.name == $v)) end;
def limit: (victim.resources.limits.memory) | bytes;
def resized: . as $p
  | any(.spec.containers[]; . as $c
      | any(($p.status.containerStatuses // [])[];
          .name == $c.name and .state.running != null
          and ((.resources // {}) != (($c.resources // {}) | del(.claims)))));
def state:
  victim.name as $n | (.status.containerStatuses // [])
  | if length == 0 then "new" else
      first(.[] | select(.name == $n))
      | if .state.running != null then (if .ready then "up" else "unready" end)
        elif .state.waiting != null then (.state.waiting.reason // "waiting")
        else "terminated" end
    end;
def mode:
  ann("kansole.dev/fault") as $f
  | if .metadata.deletionTimestamp != null then "deleting"
    elif (.status.phase == "Succeeded" or .status.phase == "Failed") then "done"
    elif $f == "resize-infeasible" and resized then "resize-infeasible"
    elif resized then "resize"
    elif any((.metadata.ownerReferences // [])[]; .kind == "Job") then (if $f == "job" then "job-fails" else "job" end)
    elif any(.spec.containers[]; .image | endswith(":bad")) then "bad-image"
    elif $f == "missing-config" then "missing-config"
    elif any(.spec.containers[]; .image | endswith(":crash")) then "crash"
    elif limit > 0 and limit < (ann("kansole.dev/needs-memory") | if . == "" then 0 else bytes end) then "oom"
    elif $f == "liveness" or $f == "not-ready" or $f == "crash" then $f
    elif limit > 0 and ann("kansole.dev/leak") != "" then "leak"
    else "healthy" end;
mode + " " + state
