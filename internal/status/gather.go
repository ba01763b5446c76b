package status

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
	"github.com/pipeline-storage/pipeline-storage/internal/kube"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

const (
	// pageSize is how many objects come with one request. It is the page size of kubectl get, too.
	// Source: cli-runtime and kubectl, flag --chunk-size.
	pageSize = 500
	// configKey is the file in the ConfigMap of an installation.
	configKey = "config.yaml"
)

// Snapshot is what was read of a cluster.
type Snapshot struct {
	// Now is when it was read.
	Now time.Time
	// Namespace is the only one that was read; empty: all.
	Namespace string
	// Config is the configuration that was given in place of that of every installation; nil: none was.
	Config *storage.Config

	// Webhooks and Policies are those of this product, by its label; ConfigMaps are those in the namespaces
	// of the installations, Endpoints those in the namespaces of the webhooks' Services.
	Webhooks   []admissionregistrationv1.MutatingWebhookConfiguration
	Policies   Policies
	Endpoints  []discoveryv1.EndpointSlice
	ConfigMaps []corev1.ConfigMap
	// Namespaces and Nodes have metadata only: their labels are all that is used.
	Namespaces []metav1.PartialObjectMetadata
	Nodes      []metav1.PartialObjectMetadata
	// Workloads are those with the opt-in label. So are Pods, and those without any value of it that an
	// installation selects by their namespace or by its podSelector.
	Pods      []corev1.Pod
	Workloads []Workload
	// Claims and Events are all of the namespaces that are read, because pods may use any claim.
	// Events are those of type Warning.
	Claims  []corev1.PersistentVolumeClaim
	Volumes []corev1.PersistentVolume
	Classes []storagev1.StorageClass
	Drivers []storagev1.CSIDriver
	Events  []corev1.Event
	// Snapshots are VolumeSnapshots. They are read where a claim waits for one. NoSnapshots is true where
	// the cluster has no such kind.
	Snapshots   []unstructured.Unstructured
	NoSnapshots bool

	// Unread are the resources that could not be read, and why, as a sentence. The keys are
	// resources such as persistentvolumes. A list whose resource is here is empty, although the
	// cluster may have such objects.
	Unread map[string]string
	// Failed is true where a request failed for another reason than a missing right. Then the
	// snapshot may lack more than Unread explains, and the exit code is 1.
	Failed bool
}

// Workload is an object with the label that creates pods. It is one of the types below apps and
// batch, reduced to the fields that the analysis needs.
type Workload struct {
	Kind string
	metav1.ObjectMeta
	// Template are the labels of the pods that it creates. They are nil for a template without
	// labels.
	Template map[string]string
	// Short is true where it has fewer pods than it should have.
	Short bool
}

// Resources, as rights and sentences name them.
const (
	webhooks           = "mutatingwebhookconfigurations"
	policies           = "mutatingadmissionpolicies"
	policyBindings     = "mutatingadmissionpolicybindings"
	validations        = "validatingadmissionpolicies"
	validationBindings = "validatingadmissionpolicybindings"
	endpoints          = "endpointslices"
	configMaps         = "configmaps"
	namespaces         = "namespaces"
	nodes              = "nodes"
	pods               = "pods"
	// podsWithoutLabel are those that an installation selects in another way.
	podsWithoutLabel = "pods without the label"
	claims           = "persistentvolumeclaims"
	volumes          = "persistentvolumes"
	classes          = "storageclasses"
	drivers          = "csidrivers"
	events           = "events"
	snapshots        = "volumesnapshots"
)

// consequences are what remains unknown without a resource. Each completes the sentence
// "RESOURCE: you may not list them, so …".
var consequences = map[string]string{
	webhooks:           "which namespaces the webhook selects, and since when, is unknown",
	policies:           "whether policies mount the storage, and in which namespaces, is unknown",
	policyBindings:     "which namespaces the policies select, and since when, is unknown",
	validations:        "whether policies refuse pods that cannot get their storage is unknown",
	validationBindings: "whether policies refuse pods that cannot get their storage is unknown",
	endpoints:          "whether the webhook is ready is unknown",
	configMaps: "the configuration is unknown: pods and claims are judged by their annotations and labels " +
		"alone (--config FILE gives one)",
	namespaces:       "the labels of namespaces are unknown",
	nodes:            "zones are not read",
	pods:             "no pod is read",
	podsWithoutLabel: "those of them that a webhook or a policy selects are not read",
	claims:           "no claim is read",
	volumes:          "no volume is read, nor any that waits to be re-bound",
	classes:          "no class is read",
	drivers:          "drivers are not read",
	events:           "what happened to pods and claims is unknown",
	snapshots:        "whether a claim's dataSource is ready is unknown",
	"deployments":    "a label in the wrong place is not found there",
	"statefulsets":   "a label in the wrong place is not found there",
	"daemonsets":     "a label in the wrong place is not found there",
	"replicasets":    "pods that it could not create are unknown",
	"jobs":           "a label in the wrong place is not found there",
	"cronjobs":       "a label in the wrong place is not found there",
}

// groups are the kinds that are read, and no others. Their served versions are fixed here, so
// that a client needs no discovery.
var groups = []kube.Group{
	{
		Version: corev1.SchemeGroupVersion, Register: corev1.AddToScheme,
		Namespaced: []string{"Pod", kube.KindClaim, "ConfigMap", "Event"},
		Cluster:    []string{"Namespace", "Node", kube.KindVolume},
	},
	{
		Version: storagev1.SchemeGroupVersion, Register: storagev1.AddToScheme,
		Cluster: []string{kube.KindStorageClass, "CSIDriver"},
	},
	{
		Version: admissionregistrationv1.SchemeGroupVersion, Register: admissionregistrationv1.AddToScheme,
		Cluster: []string{
			kube.KindWebhookConfiguration, kube.KindPolicy, kube.KindPolicyBinding, kube.KindValidatingPolicy,
			kube.KindValidatingPolicyBinding,
		},
	},
	{
		Version: appsv1.SchemeGroupVersion, Register: appsv1.AddToScheme,
		Namespaced: []string{"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"},
	},
	{Version: batchv1.SchemeGroupVersion, Register: batchv1.AddToScheme, Namespaced: []string{"Job", "CronJob"}},
	{Version: discoveryv1.SchemeGroupVersion, Register: discoveryv1.AddToScheme, Namespaced: []string{"EndpointSlice"}},
	kube.SnapshotGroup(),
}

// Scheme returns the types that are read, and no others. A client with it refuses every other type.
func Scheme() *runtime.Scheme { return kube.Scheme(groups...) }

// Mapper returns where they are served: with it a client makes no discovery request.
func Mapper() meta.RESTMapper { return kube.Mapper(groups...) }

// Options choose what is read.
type Options struct {
	// Namespace is read; with All it is read where the caller may not list the pods of all namespaces.
	Namespace string
	All       bool
	// Config replaces the installations' configurations.
	Config *storage.Config
}

// Gather reads what there is. An error means that the cluster does not answer; a missing right is
// not an error. It sends about twenty requests to a small cluster, and one more for each further
// page. From has no cache: a cache would watch all of these objects.
func Gather(ctx context.Context, from client.Reader, o Options) (*Snapshot, error) {
	g := &gathering{
		from:     from,
		snapshot: &Snapshot{Now: time.Now(), Config: o.Config, Namespace: o.Namespace, Unread: map[string]string{}},
	}
	if err := g.pods(ctx, o); err != nil {
		return nil, err
	}
	g.all(ctx)
	g.unlabeledPods(ctx)
	return g.snapshot, nil
}

// gathering is the work of one [Gather]. Several goroutines read; each fills fields of the
// snapshot of its own, and mu guards those that they share: Unread and Failed.
type gathering struct {
	from     client.Reader
	mu       sync.Mutex
	snapshot *Snapshot
}

// pods comes first: it shows whether the cluster answers, and how far the caller's rights reach.
// An error is returned for a cluster that does not answer. A caller who may not list the pods of
// all namespaces gets those of one, which is noted.
func (g *gathering) pods(ctx context.Context, o Options) (err error) {
	s := g.snapshot
	if o.All {
		s.Namespace = ""
	}
	s.Pods, err = list(ctx, g.from, &corev1.PodList{}, podItems, g.labeled()...)
	if o.All && isRefused(err) {
		g.note("pods of all namespaces", err, "only the namespace "+o.Namespace+" is read")
		s.Namespace = o.Namespace
		s.Pods, err = list(ctx, g.from, &corev1.PodList{}, podItems, g.labeled()...)
	}
	if err != nil && !isRefused(err) {
		return fmt.Errorf("list pods: %w", err)
	}
	g.noteUnread(pods, err)
	return nil
}

// labeled selects what has the opt-in label, in the namespaces that are read.
func (g *gathering) labeled() []client.ListOption {
	return []client.ListOption{
		client.InNamespace(g.snapshot.Namespace), client.MatchingLabels{kinds.Label: kinds.LabelEnabled},
	}
}

// all reads everything else, at once. The resources do not depend on each other, except those of
// an installation. It returns when all reads are done; errors are in Unread.
func (g *gathering) all(ctx context.Context) {
	s, scope := g.snapshot, client.InNamespace(g.snapshot.Namespace)
	product := client.MatchingLabels{kube.LabelName: kube.ProductName}
	var group sync.WaitGroup
	for _, read := range []func(){
		func() { g.installations(ctx, product) },
		func() { g.workloads(ctx) },
		func() { g.namespaces(ctx) },
		func() {
			into(g, ctx, claims, &s.Claims, &corev1.PersistentVolumeClaimList{}, claimItems, scope)
			g.snapshots(ctx, scope)
		},
		func() {
			into(g, ctx, events, &s.Events, &corev1.EventList{}, eventItems, scope,
				client.MatchingFieldsSelector{Selector: fields.OneTermEqualSelector("type", corev1.EventTypeWarning)})
		},
		func() {
			into(g, ctx, volumes, &s.Volumes, &corev1.PersistentVolumeList{}, volumeItems)
		},
		func() {
			into(g, ctx, classes, &s.Classes, &storagev1.StorageClassList{}, classItems)
		},
		func() {
			into(g, ctx, drivers, &s.Drivers, &storagev1.CSIDriverList{}, driverItems)
		},
		func() { into(g, ctx, nodes, &s.Nodes, kube.MetadataListOf("Node"), metadataItems) },
	} {
		group.Go(read)
	}
	group.Wait()
}

// snapshots reads the VolumeSnapshots where a claim waits for one. It must follow the claims. Most
// clusters have no such claim, and many have no such kind.
func (g *gathering) snapshots(ctx context.Context, scope client.InNamespace) {
	s := g.snapshot
	isWaiting := func(c corev1.PersistentVolumeClaim) bool { return diagnose.NeedsSnapshot(&c) }
	if !slices.ContainsFunc(s.Claims, isWaiting) {
		return
	}
	found, err := list(ctx, g.from, kube.NewSnapshotList(), snapshotItems, scope)
	if s.NoSnapshots = kube.IsUnserved(err); s.NoSnapshots {
		return
	}
	g.noteUnread(snapshots, err)
	s.Snapshots = found
}

// installations reads the webhooks and policies, and then, where those are, their configurations and
// addresses. It must precede the ConfigMaps and EndpointSlices: these are read in the namespaces
// of the installations only, where people may have rights that they lack in others.
func (g *gathering) installations(ctx context.Context, product client.MatchingLabels) {
	s := g.snapshot
	into(g, ctx, webhooks, &s.Webhooks, &admissionregistrationv1.MutatingWebhookConfigurationList{},
		webhookItems, product)
	g.policies(ctx, product)
	hasService := map[string]bool{} // by namespace
	for _, name := range s.Policies.names() {
		hasService[s.Policies.namespaceOf(name)] = false
	}
	for i := range s.Webhooks {
		hasService[serviceOf(&s.Webhooks[i]).Namespace] = true
	}
	for _, namespace := range slices.Sorted(maps.Keys(hasService)) {
		if s.Config == nil {
			into(g, ctx, configMaps, &s.ConfigMaps, &corev1.ConfigMapList{}, configMapItems,
				client.InNamespace(namespace), product)
		}
		if !hasService[namespace] {
			continue
		}
		into(g, ctx, endpoints, &s.Endpoints, &discoveryv1.EndpointSliceList{}, endpointItems,
			client.InNamespace(namespace), product)
	}
}

// namespaces reads the labels of all, or of the one. Metadata is enough and much smaller. A
// namespace that does not exist is not an error.
func (g *gathering) namespaces(ctx context.Context) {
	s := g.snapshot
	if s.Namespace == "" {
		into(g, ctx, namespaces, &s.Namespaces, kube.MetadataListOf("Namespace"), metadataItems)
		return
	}
	one := kube.MetadataOf("Namespace")
	err := g.from.Get(ctx, client.ObjectKey{Name: s.Namespace}, one)
	g.noteUnread(namespaces, client.IgnoreNotFound(err))
	if err == nil {
		s.Namespaces = []metav1.PartialObjectMetadata{*one}
	}
}

// The items of each list.
func claimItems(l *corev1.PersistentVolumeClaimList) []corev1.PersistentVolumeClaim { return l.Items }

func eventItems(l *corev1.EventList) []corev1.Event { return l.Items }

func volumeItems(l *corev1.PersistentVolumeList) []corev1.PersistentVolume { return l.Items }

func classItems(l *storagev1.StorageClassList) []storagev1.StorageClass { return l.Items }

func driverItems(l *storagev1.CSIDriverList) []storagev1.CSIDriver { return l.Items }

func podItems(l *corev1.PodList) []corev1.Pod { return l.Items }

func configMapItems(l *corev1.ConfigMapList) []corev1.ConfigMap { return l.Items }

func endpointItems(l *discoveryv1.EndpointSliceList) []discoveryv1.EndpointSlice { return l.Items }

func snapshotItems(l *unstructured.UnstructuredList) []unstructured.Unstructured { return l.Items }

func webhookItems(
	l *admissionregistrationv1.MutatingWebhookConfigurationList,
) []admissionregistrationv1.MutatingWebhookConfiguration {
	return l.Items
}

func metadataItems(l *metav1.PartialObjectMetadataList) []metav1.PartialObjectMetadata {
	return l.Items
}

// into adds what there is of a resource to where it belongs, or notes why it could not be read.
// What was read is never nil. Where is a field that no other goroutine uses. Page is an empty
// list of the resource, and items returns the items of a page.
func into[T any, L client.ObjectList](
	g *gathering, ctx context.Context, //nolint:revive // the receiver of a generic method would come first, too
	resource string, where *[]T, page L, items func(L) []T, o ...client.ListOption,
) {
	found, err := list(ctx, g.from, page, items, o...)
	g.noteUnread(resource, err)
	if err == nil {
		*where = append(append([]T{}, *where...), found...)
	}
}

// list reads all pages of a list. A page is decoded into the same object as the one before. An
// error drops the pages that were read: half a list would be misleading.
func list[T any, L client.ObjectList](
	ctx context.Context, from client.Reader, page L, items func(L) []T, o ...client.ListOption,
) ([]T, error) {
	var all []T
	for {
		options := append([]client.ListOption{client.Limit(pageSize), client.Continue(page.GetContinue())}, o...)
		if err := from.List(ctx, page, options...); err != nil {
			return nil, err
		}
		all = append(all, items(page)...)
		if page.GetContinue() == "" {
			return all, nil
		}
	}
}

// noteUnread notes that a resource could not be read. A nil error notes nothing.
func (g *gathering) noteUnread(resource string, err error) {
	if err != nil {
		g.note(resource, err, consequences[resource])
	}
}

// note writes the sentence about a resource that could not be read. It is safe for concurrent
// use. An error that is not a refusal makes the whole snapshot a failure.
func (g *gathering) note(what string, err error, so string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	why := "you may not list them"
	if !isRefused(err) {
		g.snapshot.Failed, why = true, err.Error()
	}
	g.snapshot.Unread[what] = fmt.Sprintf("%s: %s, so %s", what, why, so)
}

// isRefused reports whether the API server refused the request, rather than failed to answer it.
func isRefused(err error) bool { return apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) }
