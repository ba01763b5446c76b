package kinds

// A group without a leaderTemplate has a leader made from the workerTemplate.
var leaderWorkerSetKinds = of("LeaderWorkerSet", "lws, api/leaderworkerset/v1/leaderworkerset_types.go",
	Kind{Group: "leaderworkerset.x-k8s.io", Kind: "LeaderWorkerSet", pods: func() []PodPaths {
		return []PodPaths{
			statefulTemplate("spec.leaderWorkerTemplate.leaderTemplate", "$.spec.leaderWorkerTemplate.volumeClaimTemplates", "$.spec.replicas"),
			statefulTemplate("spec.leaderWorkerTemplate.workerTemplate", "$.spec.leaderWorkerTemplate.volumeClaimTemplates",
				"$.spec.replicas", "$.spec.leaderWorkerTemplate.size"),
		}
	}},
)
