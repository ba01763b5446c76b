package inject

// Group is the API group of the configuration file and the prefix of every annotation and label but [Label].
const Group = "pipeline-storage.io"

// The opt-in label of a pod or pod template.
const (
	// Label asks for storage when its value is [LabelEnabled].
	Label = "pipeline-storage"
	// LabelEnabled is the value of [Label] that selects a pod.
	LabelEnabled = "enabled"
)

// Annotations of a pod or pod template. They choose among what the administrator's profiles allow and narrow it; they
// never name a driver, a volume or a claim. Each but [AnnotationProfiles] may carry the name of a profile in front
// (training.pipeline-storage.io/mount-path); without one it applies when the pod uses a single profile.
const (
	// AnnotationProfiles names the profiles to mount, comma separated. Default: those with default: true, or else the
	// first profile of the configuration.
	AnnotationProfiles = Group + "/profiles"
	// AnnotationMountPath is the absolute path at which the storage appears. Default: the profile's.
	AnnotationMountPath = Group + "/mount-path"
	// AnnotationSubPath is a folder of the volume, below the profile's own subPath. Default: the profile's.
	AnnotationSubPath = Group + "/sub-path"
	// AnnotationReadOnly mounts read-only when "true". "false" cannot undo a read-only profile.
	AnnotationReadOnly = Group + "/read-only"
	// AnnotationContainers limits the mount to these containers, comma separated. Default: all of them.
	AnnotationContainers = Group + "/containers"
	// AnnotationExcludeContainers leaves these containers out, comma separated, besides the profile's own list.
	AnnotationExcludeContainers = Group + "/exclude-containers"
)

// AnnotationInjected is what the webhook writes on a pod: the names of the profiles that it mounted, comma separated.
const AnnotationInjected = Group + "/injected"

// LabelProfile is the label of the StorageClass, PersistentVolume and PersistentVolumeClaim that a profile made. Its
// value is the profile's name.
const LabelProfile = Group + "/profile"

// LabelClaim is, with the name of a profile in front (disk.pipeline-storage.io/claim), the label of pods that a profile with
// colocate keeps on one node. Its value is the name of their claim, shortened when a label cannot hold it.
const LabelClaim = Group + "/claim"

// LabelInstallation is the label of what a claims controller made, and of nothing else. Its value names the installation,
// so that two of them in one cluster never touch each other's objects, nor those of a Helm release.
const LabelInstallation = Group + "/installation"

// Labels that the claims controller writes on a volume that is bound to a claim of its own, so that a claim that was deleted
// finds its volume when it is made again. They are labels because a selector finds them. An administrator who writes them
// on a Released volume consents to give it to the claim that its claimRef names.
const (
	// LabelNamespace is the name of the claim's namespace.
	LabelNamespace = Group + "/namespace"
	// LabelNamespaceUID is the UID of that namespace, so that one that was deleted and made again is not taken for the
	// one that had the data.
	LabelNamespaceUID = Group + "/namespace-uid"
)

// Annotations of other projects that keep data when a release or an application is removed.
const (
	// AnnotationResourcePolicy with the value "keep" makes helm uninstall and helm upgrade leave an object alone.
	// Source: Helm, pkg/kube/resource_policy.go.
	AnnotationResourcePolicy = "helm.sh/resource-policy"
	// AnnotationSyncOptions with [SyncOptionsKeep] makes Argo CD neither prune an object nor delete it with its
	// application. Source: Argo CD, Sync Options (argo-cd issues 9853 and 7124 tell why both are needed).
	AnnotationSyncOptions = "argocd.argoproj.io/sync-options"
	// SyncOptionsKeep is the value of [AnnotationSyncOptions] on everything that holds data.
	SyncOptionsKeep = "Prune=false,Delete=false"
	// AnnotationFluxPrune with [FluxPruneKeep] makes Flux neither prune an object nor delete it with its Kustomization.
	// Source: Flux, Kustomization, Prune.
	AnnotationFluxPrune = "kustomize.toolkit.fluxcd.io/prune"
	// FluxPruneKeep is the value of [AnnotationFluxPrune] on everything that holds data.
	FluxPruneKeep = "disabled"
)

// AnnotationHook lists the Helm hook events of an object. Source: Helm, Chart Hooks.
const AnnotationHook = "helm.sh/hook"

// annotationMirror marks a static pod's mirror, which the API server never changes.
// Source: Kubernetes, core/v1 MirrorPodAnnotationKey.
const annotationMirror = "kubernetes.io/config.mirror"
