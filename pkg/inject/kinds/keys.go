package kinds

// The opt-in label of a pod or pod template.
const (
	// Label requests storage when its value is [LabelEnabled].
	Label = "pipeline-storage"
	// LabelEnabled is the value of [Label] that selects a pod.
	LabelEnabled = "enabled"
)

// AnnotationHook lists the Helm hook events of an object. Source: Helm, Chart Hooks.
const AnnotationHook = "helm.sh/hook"
