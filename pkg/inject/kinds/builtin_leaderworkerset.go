package kinds

// A group without a leaderTemplate has a leader made from the workerTemplate.
var leaderWorkerSetKinds = of(
	"LeaderWorkerSet", "lws, api/leaderworkerset/v1/leaderworkerset_types.go",
	Kind{
		Group: "leaderworkerset.x-k8s.io", Kind: "LeaderWorkerSet", Controller: leaderWorkerSetController,
		pods: func() []PodPaths {
			return []PodPaths{
				statefulTemplate(
					"spec.leaderWorkerTemplate.leaderTemplate", "$.spec.leaderWorkerTemplate.volumeClaimTemplates",
					"$.spec.replicas",
				),
				statefulTemplate("spec.leaderWorkerTemplate.workerTemplate", "$.spec.leaderWorkerTemplate.volumeClaimTemplates",
					"$.spec.replicas", "$.spec.leaderWorkerTemplate.size"),
			}
		},
	},
)

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
