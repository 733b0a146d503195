{{ $now := Now }}
{{ $pod := . }}
{{ $ann := or .metadata.annotations dict }}
{{ $first := index .spec.containers 0 }}
{{ $victim := or (index $ann "kansole.dev/container") $first.name }}
{{ $old := dict }}
{{ range .status.containerStatuses }}{{ $_ := set $old .name . }}{{ end }}
{{ $was := dict }}
{{ range .status.conditions }}{{ $_ := set $was .type . }}{{ end }}
{{ $readyText := "False" }}{{ if $ready }}{{ $readyText = "True" }}{{ end }}
{{ $want := dict "PodReadyToStartContainers" "True" "Initialized" "True" "ContainersReady" $readyText "Ready" $readyText }}
conditions:
{{ range $type, $status := $want }}
{{ $prev := or (index $was $type) dict }}
- type: {{ $type | Quote }}
  status: {{ $status | Quote }}
  {{ if eq $status (or $prev.status "") }}
  lastTransitionTime: {{ $prev.lastTransitionTime | Quote }}
  {{ else }}
  lastTransitionTime: {{ $now | Quote }}
  {{ end }}
  {{ if eq $status "False" }}
  reason: ContainersNotReady
  message: {{ printf "containers with unready status: [%s]" $victim | Quote }}
  {{ else }}
  reason: null
  message: null
  {{ end }}
{{ end }}
{{ range .spec.readinessGates }}
- type: {{ .conditionType | Quote }}
  status: "True"
  lastTransitionTime: {{ $now | Quote }}
{{ end }}
containerStatuses:
{{ range .spec.containers }}
{{ $prev := or (index $old .name) dict }}
{{ $prevState := or $prev.state dict }}
{{ $count := int (or $prev.restartCount 0) }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  {{ if .resources }}
  {{ with omit .resources "claims" }}
  resources:
{{ YAML . 2 }}
  {{ end }}
  {{ end }}
  {{ if and (eq .name $victim) (eq $verb "wait") }}
  imageID: ""
  ready: false
  started: false
  restartCount: {{ $count }}
  state:
    waiting:
      reason: {{ $reason | Quote }}
      message: {{ (replace "%IMAGE%" .image $message) | Quote }}
  {{ else if and (eq .name $victim) (eq $verb "die") }}
  imageID: {{ printf "%s@sha256:%s" .image (sha256sum .image) | Quote }}
  ready: false
  started: false
  restartCount: {{ $count }}
  state:
    waiting:
      reason: CrashLoopBackOff
      message: {{ printf "back-off 10s restarting failed container=%s pod=%s_%s(%s)" .name $pod.metadata.name $pod.metadata.namespace $pod.metadata.uid | Quote }}
  lastState:
    terminated:
      reason: {{ $reason | Quote }}
      exitCode: {{ $exit }}
      {{ with $message }}
      message: {{ . | Quote }}
      {{ end }}
      startedAt: {{ (or $prevState.running dict).startedAt | Quote }}
      finishedAt: {{ $now | Quote }}
      containerID: {{ printf "containerd://%s" (sha256sum (printf "%s/%s/%d" $pod.metadata.uid .name $count)) | Quote }}
  {{ else }}
  imageID: {{ printf "%s@sha256:%s" .image (sha256sum .image) | Quote }}
  {{ if and (eq .name $victim) (eq $verb "run") $prev.lastState (not $prevState.running) }}
  {{ $count = add $count 1 }}
  {{ end }}
  containerID: {{ printf "containerd://%s" (sha256sum (printf "%s/%s/%d" $pod.metadata.uid .name $count)) | Quote }}
  {{ if eq .name $victim }}
  ready: {{ $ready }}
  {{ else }}
  ready: true
  {{ end }}
  started: true
  restartCount: {{ $count }}
  state:
    running:
      startedAt: {{ (or (or $prevState.running dict).startedAt $now) | Quote }}
  {{ with $prev.lastState }}
  lastState:
{{ YAML . 2 }}
  {{ end }}
  {{ end }}
{{ end }}
{{ if .spec.initContainers }}
initContainerStatuses:
{{ range .spec.initContainers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: {{ printf "%s@sha256:%s" .image (sha256sum .image) | Quote }}
  ready: true
  restartCount: 0
  {{ if eq (or .restartPolicy "") "Always" }}
  started: true
  state:
    running:
      startedAt: {{ (or $pod.status.startTime $now) | Quote }}
  {{ else }}
  started: false
  state:
    terminated:
      exitCode: 0
      reason: Completed
      startedAt: {{ (or $pod.status.startTime $now) | Quote }}
      finishedAt: {{ (or $pod.status.startTime $now) | Quote }}
  {{ end }}
{{ end }}
{{ end }}
{{ if not .status.podIP }}
{{ with NodeIPsWith .spec.nodeName }}
hostIP: {{ index . 0 | Quote }}
hostIPs:
{{ range . }}
- ip: {{ . | Quote }}
{{ end }}
{{ end }}
{{ with index $ann "kansole.dev/pod-ip" }}
podIP: {{ . | Quote }}
podIPs:
- ip: {{ . | Quote }}
{{ else }}
{{ with PodIPsWith .spec.nodeName ( or .spec.hostNetwork false ) ( or .metadata.uid "" ) ( or .metadata.name "" ) ( or .metadata.namespace "" ) }}
podIP: {{ index . 0 | Quote }}
podIPs:
{{ range . }}
- ip: {{ . | Quote }}
{{ end }}
{{ end }}
{{ end }}
{{ end }}
{{ if eq $verb "wait" }}
phase: Pending
{{ else }}
phase: Running
{{ end }}
startTime: {{ (or .status.startTime $now) | Quote }}
{{ with .metadata.generation }}
observedGeneration: {{ int . }}
{{ end }}
