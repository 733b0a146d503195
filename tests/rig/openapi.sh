#!/usr/bin/env bash
# Regenerates src/sim/schema/openapi.json.gz from the real API server of a rig that is up:
#   eval "$(tests/rig/rig up)"; tests/rig/openapi.sh; tests/rig/rig down
# Needs what the rig needs (kubectl, Go, python3). Run it when the Kubernetes version of the rig changes.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
arguments=()
for gv in v1 apps/v1 batch/v1 autoscaling/v2 autoscaling/v1 policy/v1 discovery.k8s.io/v1 coordination.k8s.io/v1 \
  events.k8s.io/v1 networking.k8s.io/v1 rbac.authorization.k8s.io/v1 storage.k8s.io/v1 scheduling.k8s.io/v1 \
  apiextensions.k8s.io/v1; do
  path=apis/$gv
  [ "$gv" = v1 ] && path=api/v1
  kubectl get --raw "/openapi/v3/$path" >"$work/${gv//\//_}.json"
  arguments+=("$gv=$work/${gv//\//_}.json")
done
(cd "$here/controlplane" && go run -mod=mod ../openapi/types.go >"$work/types.json")
python3 "$here/openapi/pack.py" "$work/types.json" "$here/../../src/sim/schema/openapi.json.gz" "${arguments[@]}"
