package kinds

// A group without a leaderTemplate has a leader made from the workerTemplate.
var leaderWorkerSetKinds = of(
	"LeaderWorkerSet",
	"lws, api/leaderworkerset/v1/leaderworkerset_types.go and api/disaggregatedset/v1/disaggregatedset_types.go",
	Kind{
		Group: "leaderworkerset.x-k8s.io", Kind: "LeaderWorkerSet", Controller: leaderWorkerSetController,
		pods: func() []PodPaths { return leaderWorkerSet("spec") },
	},
	Kind{
		Group: "disaggregatedset.x-k8s.io", Kind: "DisaggregatedSet", Controller: leaderWorkerSetController,
		pods: func() []PodPaths { return leaderWorkerSet("spec.roles[*].spec") },
	},
)

// leaderWorkerSet are the row parts of a LeaderWorkerSetSpec.
func leaderWorkerSet(set string) []PodPaths {
	group := set + ".leaderWorkerTemplate"
	return []PodPaths{
		statefulTemplate(group+".leaderTemplate", "$."+group+".volumeClaimTemplates", "$."+set+".replicas"),
		statefulTemplate(
			group+".workerTemplate", "$."+group+".volumeClaimTemplates", "$."+set+".replicas", "$."+group+".size",
		),
	}
}

// leaderWorkerSetController labels leaders as well as workers.
var leaderWorkerSetController = Controller{
	Labels: []string{
		"leaderworkerset.sigs.k8s.io/name",
		"leaderworkerset.sigs.k8s.io/group-index",
		"leaderworkerset.sigs.k8s.io/worker-index",
	},
	LabelsSource: "lws, pkg/controllers/leaderworkerset_controller.go, pkg/controllers/pod_controller.go and " +
		"pkg/webhooks/pod_webhook.go",
}
