package kinds

var appWrapperKinds = of("AppWrapper", "appwrapper, api/v1beta2/appwrapper_types.go",
	Kind{Group: "workload.codeflare.dev", Kind: "AppWrapper", Objects: []string{"spec.components[*].template"}},
)

var kueueKinds = of("Kueue", "kueue, apis/kueue/v1beta1/workload_types.go",
	Kind{
		Group: "kueue.x-k8s.io", Kind: "Workload",
		Advice: "Kueue makes it from the object that it queues: mount in that object",
		Limits: "It describes pods of another object, which is the one to mount in.",
	},
)
