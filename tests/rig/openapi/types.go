// Prints, as JSON, how Go spells the API types that the simulated cluster serves: for every struct its fields in
// order, each with its Go type and whether an empty value is left out. OpenAPI does not tell either, but error texts
// and what a server answers depend on both.
package main

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"

	apps "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batch "k8s.io/api/batch/v1"
	coordination "k8s.io/api/coordination/v1"
	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	events "k8s.io/api/events/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	rbac "k8s.io/api/rbac/v1"
	scheduling "k8s.io/api/scheduling/v1"
	storage "k8s.io/api/storage/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

var roots = []any{
	core.Pod{}, core.Service{}, core.Endpoints{}, core.Node{}, core.Namespace{}, core.ConfigMap{}, core.Secret{},
	core.ServiceAccount{}, core.Event{}, core.PersistentVolumeClaim{}, core.PersistentVolume{},
	core.ReplicationController{}, core.LimitRange{}, core.ResourceQuota{}, core.PodTemplate{}, core.Binding{},
	apps.Deployment{}, apps.ReplicaSet{}, apps.StatefulSet{}, apps.DaemonSet{}, apps.ControllerRevision{},
	batch.Job{}, batch.CronJob{}, autoscalingv2.HorizontalPodAutoscaler{}, autoscalingv1.HorizontalPodAutoscaler{},
	autoscalingv1.Scale{}, policy.PodDisruptionBudget{}, policy.Eviction{}, discovery.EndpointSlice{},
	coordination.Lease{}, events.Event{}, networking.Ingress{}, networking.NetworkPolicy{},
	networking.IngressClass{}, rbac.Role{}, rbac.RoleBinding{}, rbac.ClusterRole{}, rbac.ClusterRoleBinding{},
	storage.StorageClass{}, scheduling.PriorityClass{}, apiextensions.CustomResourceDefinition{},
}

// Every struct by its OpenAPI name; a field is [JSON name, Go type, left out when empty].
var seen = map[string][][3]any{}

var marshaler = reflect.TypeFor[json.Marshaler]()

func name(t reflect.Type) string {
	path := t.PkgPath()
	if rest, ok := strings.CutPrefix(path, "k8s.io/"); ok {
		path = "io.k8s." + rest
	}
	return strings.ReplaceAll(path, "/", ".") + "." + t.Name()
}

func fields(t reflect.Type) (all [][3]any) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && tag == "" {
			inner := f.Type
			if inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			all = append(all, fields(inner)...)
			continue
		}
		if tag == "" || tag == "-" {
			continue
		}
		all = append(all, [3]any{tag, f.Type.String(), strings.Contains(options, "omit")})
		walk(f.Type)
	}
	return all
}

func walk(t reflect.Type) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		walk(t.Elem())
	case reflect.Struct:
		if _, ok := seen[name(t)]; ok || reflect.PointerTo(t).Implements(marshaler) {
			return // quantities and times are scalars in JSON
		}
		seen[name(t)] = nil
		seen[name(t)] = fields(t)
	}
}

func main() {
	for _, root := range roots {
		walk(reflect.TypeOf(root))
	}
	if err := json.NewEncoder(os.Stdout).Encode(seen); err != nil {
		panic(err)
	}
}
