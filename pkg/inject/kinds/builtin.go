package kinds

import (
	"slices"
	"sync"
)

// builtinKinds is the table of kinds that hold pods, project by project. Paths are made when a kind
// is met, because a run meets few kinds and all the paths cost more than reading a small chart
// (make bench).
//
// Kueue has no rows of its own but for its Workload: it queues the kinds of other projects (Job,
// JobSet, RayJob, PyTorchJob and so on). Source: kueue, pkg/controller/jobs. Flyte and Airflow have
// none either: they create plain pods, Flyte from a PodTemplate, Airflow from a pod_template_file,
// which is text in a ConfigMap and reported.
var builtinKinds = slices.Concat(
	kubernetesKinds,
	argoKinds,
	rayKinds,
	jobSetKinds,
	sparkOperatorKinds,
	apacheSparkKinds,
	tektonKinds,
	trainingOperatorKinds,
	trainerKinds,
	leaderWorkerSetKinds,
	volcanoKinds,
	notebookKinds,
	kserveKinds,
	appWrapperKinds,
	kueueKinds,
	rolloutsKinds,
	eventsKinds,
	pipelinesKinds,
	katibKinds,
	triggersKinds,
	daskKinds,
	flinkKinds,
	numaflowKinds,
	kedaKinds,
	actionsKinds,
)

// Builtin returns the table of kinds that hold pods, project by project.
func Builtin() []Kind {
	kinds := slices.Clone(builtinKinds)
	for i := range kinds {
		if kinds[i].pods != nil {
			kinds[i].Pods = kinds[i].pods()
		}
	}
	return kinds
}

// of fills in whose kinds these are.
func of(project, source string, kinds ...Kind) []Kind {
	for i := range kinds {
		kinds[i].Project, kinds[i].Source = project, source
		if kinds[i].pods != nil {
			kinds[i].pods = sync.OnceValue(kinds[i].pods)
			kinds[i].rows = parseOnce(kinds[i].pods)
		}
	}
	return kinds
}
