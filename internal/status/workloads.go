package status

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/utils/ptr"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
)

// workloads reads labeled objects that create pods, one kind after the other. They share a field
// of the snapshot, so they are read by one goroutine. A workload is short of pods by the numbers
// of its own status: no pod is counted for it.
func (g *gathering) workloads(ctx context.Context) {
	s, labeled := g.snapshot, g.labeled()
	into(g, ctx, "deployments", &s.Workloads, &appsv1.DeploymentList{}, func(l *appsv1.DeploymentList) []Workload {
		return workloadsFrom(l.Items, func(d *appsv1.Deployment) Workload {
			return Workload{"Deployment", d.ObjectMeta, d.Spec.Template.Labels, d.Status.Replicas < wanted(d.Spec.Replicas)}
		})
	}, labeled...)
	into(g, ctx, "statefulsets", &s.Workloads, &appsv1.StatefulSetList{}, func(l *appsv1.StatefulSetList) []Workload {
		return workloadsFrom(l.Items, func(o *appsv1.StatefulSet) Workload {
			return Workload{"StatefulSet", o.ObjectMeta, o.Spec.Template.Labels, o.Status.Replicas < wanted(o.Spec.Replicas)}
		})
	}, labeled...)
	into(g, ctx, "daemonsets", &s.Workloads, &appsv1.DaemonSetList{}, func(l *appsv1.DaemonSetList) []Workload {
		return workloadsFrom(l.Items, func(o *appsv1.DaemonSet) Workload {
			return Workload{
				"DaemonSet", o.ObjectMeta, o.Spec.Template.Labels,
				o.Status.CurrentNumberScheduled < o.Status.DesiredNumberScheduled,
			}
		})
	}, labeled...)
	into(g, ctx, "replicasets", &s.Workloads, &appsv1.ReplicaSetList{}, func(l *appsv1.ReplicaSetList) []Workload {
		return workloadsFrom(l.Items, func(o *appsv1.ReplicaSet) Workload {
			return Workload{"ReplicaSet", o.ObjectMeta, o.Spec.Template.Labels, o.Status.Replicas < wanted(o.Spec.Replicas)}
		})
	}, labeled...)
	into(g, ctx, "jobs", &s.Workloads, &batchv1.JobList{}, func(l *batchv1.JobList) []Workload {
		return workloadsFrom(l.Items, func(o *batchv1.Job) Workload {
			return Workload{"Job", o.ObjectMeta, o.Spec.Template.Labels, o.Status.CompletionTime == nil && o.Status.Active == 0}
		})
	}, labeled...)
	into(g, ctx, "cronjobs", &s.Workloads, &batchv1.CronJobList{}, func(l *batchv1.CronJobList) []Workload {
		return workloadsFrom(l.Items, func(o *batchv1.CronJob) Workload {
			return Workload{"CronJob", o.ObjectMeta, o.Spec.JobTemplate.Spec.Template.Labels, false}
		})
	}, labeled...)
}

// workloadsFrom reduces the items of a list to workloads. It passes pointers, because the items
// are large.
func workloadsFrom[T any](items []T, workload func(*T) Workload) []Workload {
	all := make([]Workload, len(items))
	for i := range items {
		all[i] = workload(&items[i])
	}
	return all
}

// wanted is the number of replicas: 1 where none is given. Source: Kubernetes,
// pkg/apis/apps/v1/defaults.go.
func wanted(replicas *int32) int32 { return ptr.Deref(replicas, 1) }

// unlabeled returns the workloads of a namespace that have the label themselves while their pods
// have none. A ReplicaSet has its labels from its template. They are in the order in which they
// were read. The webhook injects none of their pods.
func unlabeled(all []Workload, namespace string) []*Workload {
	var found []*Workload
	for i := range all {
		if w := &all[i]; w.Namespace == namespace && w.Kind != "ReplicaSet" && w.Template[kinds.Label] != kinds.LabelEnabled {
			found = append(found, w)
		}
	}
	return found
}
