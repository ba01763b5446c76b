package storage

// Group is the API group of the configuration file and the prefix of every annotation and label but
// [kinds.Label].
const Group = "pipeline-storage.io"

// LabelProfile is the label of the StorageClass, PersistentVolume and PersistentVolumeClaim that a
// profile made. Its value is the profile's name.
const LabelProfile = Group + "/profile"

// LabelClaim is, with the name of a profile in front (disk.pipeline-storage.io/claim), the label of
// pods that a profile with colocate keeps on one node. Its value is the name of their claim,
// shortened when a label cannot hold it.
const LabelClaim = Group + "/claim"

// LabelInstallation is the label of the objects that a claims controller created, and of no others.
// Its value names the installation, so that two of them in one cluster never change each other's
// objects, nor those of a Helm release.
const LabelInstallation = Group + "/installation"

// Labels that the claims controller writes on a volume that is bound to one of its claims. A claim
// that was deleted finds its volume by them when it is recreated: they are labels because a
// selector finds them. An administrator who writes them on a Released volume agrees to re-bind it
// to the claim in its claimRef.
const (
	// LabelNamespace is the name of the claim's namespace.
	LabelNamespace = Group + "/namespace"
	// LabelNamespaceUID is the UID of that namespace, so that a recreated namespace is not taken
	// for the one that had the data.
	LabelNamespaceUID = Group + "/namespace-uid"
)

// Annotations of other projects that keep data when a release or an application is removed.
const (
	// annotationResourcePolicy with the value "keep" makes helm uninstall and helm upgrade retain
	// an object. Source: Helm, pkg/kube/resource_policy.go.
	annotationResourcePolicy = "helm.sh/resource-policy"
	// annotationSyncOptions with [syncOptionsKeep] makes Argo CD neither prune an object nor delete
	// it with its application.
	// Source: Argo CD, Sync Options (argo-cd issues 9853 and 7124 are why both are needed).
	annotationSyncOptions = "argocd.argoproj.io/sync-options"
	// syncOptionsKeep is the value of [annotationSyncOptions] on everything that holds data.
	syncOptionsKeep = "Prune=false,Delete=false"
	// annotationFluxPrune with [fluxPruneKeep] makes Flux neither prune an object nor delete it
	// with its Kustomization. Source: Flux, Kustomization, Prune.
	annotationFluxPrune = "kustomize.toolkit.fluxcd.io/prune"
	// fluxPruneKeep is the value of [annotationFluxPrune] on everything that holds data.
	fluxPruneKeep = "disabled"
)
