package claims

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
	"github.com/pipeline-storage/pipeline-storage/internal/kube"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

const (
	// requeueSoon is the pause after [errRequeueSoon].
	requeueSoon = 500 * time.Millisecond
	// inSyncFor is how long a bound claim that is in sync is not compared again while it does not
	// change.
	inSyncFor = 10 * time.Minute
)

// reconciler reconciles one profile in one namespace at a time. It is safe for concurrent use:
// the queue never passes one [storage.ProfileRef] to two workers at once.
// Source: client-go, util/workqueue, package comment.
type reconciler struct {
	Options
	cached    client.Reader // pods and namespaces as metadata, claims of this installation
	live      client.Reader // everything else, one request each
	writer    client.Writer
	events    *kube.Events
	inSync    sync.Map // storage.ProfileRef to syncState
	completed sync.Map // storage.ProfileRef to metadataState
	nodesRead sync.Map // storage.ProfileRef to time.Time, when the nodes of its pods were last read
	queue     atomic.Pointer[workqueue.TypedRateLimitingInterface[storage.ProfileRef]]
}

// newReconciler reads live objects by the manager's API reader, which has no cache: a list of every
// StorageClass and volume would cost memory for what is read once. It writes under a name of its own,
// by which it finds again which sizes it requested.
func newReconciler(mgr manager.Manager, o Options) *reconciler {
	return &reconciler{
		Options: o, cached: mgr.GetCache(), live: mgr.GetAPIReader(),
		writer: client.WithFieldOwner(mgr.GetClient(), diagnose.FieldManager),
		events: &kube.Events{Recorder: mgr.GetEventRecorder(kube.ClaimsReporter)},
	}
}

// source lets requeue reach the controller's queue, which exists on the leader only.
// controller-runtime starts a source with the queue when the controller starts.
func (r *reconciler) source() source.TypedSource[storage.ProfileRef] {
	type queue = workqueue.TypedRateLimitingInterface[storage.ProfileRef]
	return source.TypedFunc[storage.ProfileRef](func(_ context.Context, q queue) error {
		r.queue.Store(&q)
		return nil
	})
}

// requeue enqueues the profiles that have pods, and those that have a claim of this installation.
// Without a queue this replica is not the leader, and nothing is enqueued. The queue drops
// duplicates. An error means that the cache could not list the claims.
func (r *reconciler) requeue(ctx context.Context, refs []storage.ProfileRef) error {
	queue := r.queue.Load()
	if queue == nil {
		return nil
	}
	var own corev1.PersistentVolumeClaimList
	if err := r.cached.List(ctx, &own, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list the claims of this installation: %w", err)
	}
	for i := range own.Items {
		refs = append(refs, refOfClaim(&own.Items[i]))
	}
	for _, ref := range refs {
		(*queue).Add(ref)
	}
	return nil
}

// refusal ends a reconciliation with a problem that people have to solve. It is reconciled again
// after [Options.Recheck], less often than errors are.
type refusal diagnose.Finding

func (r refusal) Error() string { return r.Note }

// Errors that end a reconciliation without an Event.
var (
	errNamespaceTerminating = errors.New("the namespace is being deleted")
	// The injected annotation there is another installation's, or forged.
	errNotSelected = errors.New("this installation does not select the namespace")
	// Objects changed during the reconciliation. It is repeated after [requeueSoon], and counts as
	// no error.
	errRequeueSoon = errors.New("objects are changing")
)

// asRefusal turns an answer of the API server into a refusal when it stays the same until someone
// changes rights, quota, policies or values. Any other error is retried. action is an infinitive,
// for the message.
//
// Quota answers Forbidden. A ValidatingAdmissionPolicy answers Invalid, unless it sets another
// reason.
// Source: Kubernetes, apiserver, pkg/admission/plugin: resourcequota/controller.go and
// policy/validating/dispatcher.go.
func asRefusal(err error, reason, action string) error {
	switch {
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return errNamespaceTerminating
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		errorsTotal.Inc()
		return refusal{Reason: reason, Note: fmt.Sprintf("the API server refused to %s: %v", action, err)}
	}
	return fmt.Errorf("%s: %w", action, err)
}

// Reconcile creates the missing storage objects of a profile in a namespace. controller-runtime
// calls it on the leader only, from [Options.Workers] goroutines.
//
// An error is retried with a growing pause, and counted. A refusal is an Event, and comes again
// after [Options.Recheck] while pods wait. Everything else ends until an object changes.
func (r *reconciler) Reconcile(ctx context.Context, ref storage.ProfileRef) (reconcile.Result, error) {
	current := &reconciliation{reconciler: r, ref: ref}
	after, err := current.reconcile(ctx)
	var refused refusal
	switch {
	case errors.Is(err, errNamespaceTerminating), errors.Is(err, errNotSelected):
		return reconcile.Result{}, nil
	case errors.Is(err, errRequeueSoon):
		return reconcile.Result{RequeueAfter: requeueSoon}, nil
	case errors.As(err, &refused):
		current.warn(diagnose.Finding(refused))
		return reconcile.Result{RequeueAfter: current.whilePodsWait(r.Recheck)}, nil
	case err != nil:
		errorsTotal.Inc()
		return reconcile.Result{}, fmt.Errorf("profile %s in namespace %s: %w", ref.Profile, ref.Namespace, err)
	}
	return reconcile.Result{RequeueAfter: after}, nil
}

// reconciliation is one pass over a profile in a namespace, with the objects that it has read.
type reconciliation struct {
	*reconciler
	ref          storage.ProfileRef
	config       *storage.Config
	profile      *storage.Profile
	names        storage.Names
	namespaceUID types.UID                      // as the cache has it
	pods         []metav1.PartialObjectMetadata // live ones with the injected annotation, at most maxReportedPods
	claim        *corev1.PersistentVolumeClaim  // nil: it does not exist
	volume       *corev1.PersistentVolume       // of a bound claim of this installation, once it was read
	wanted       storage.ObjectSet
	earlier      []corev1.PersistentVolume // of an earlier namespace of this name; see chooseVolume
}

// reconcile returns the time until the next reconciliation; 0: when something changes. It reads
// the cache first: without pods and without a claim of this installation it makes no request.
func (r *reconciliation) reconcile(ctx context.Context) (time.Duration, error) {
	if err := r.readPods(ctx); err != nil {
		return 0, err
	}
	namespace, err := r.selectedNamespace(ctx)
	if err != nil {
		return 0, err
	}
	r.config = r.Config()
	if r.profile = r.config.Profile(r.ref.Profile); r.profile == nil {
		r.warn(diagnose.UnknownProfile(r.ref.Profile))
		return 0, nil
	}
	if err := r.profile.Serves(r.ref.Namespace, namespace.Labels); err != nil {
		return 0, refusal{Reason: diagnose.ReasonProfileRefused, Note: err.Error()}
	}
	r.names = r.profile.Names(storage.Release{}, r.ref.Namespace)
	if err := r.readClaim(ctx); err != nil {
		return 0, err
	}
	if len(r.pods) == 0 && !r.own() {
		r.inSync.Delete(r.ref)
		r.completed.Delete(r.ref)
		r.nodesRead.Delete(r.ref)
		return 0, nil
	}
	if r.isInSync() {
		return r.reportMultiNode(ctx)
	}
	return r.provide(ctx)
}

// provide creates missing objects, maintains those of this installation, and reports why pods wait.
func (r *reconciliation) provide(ctx context.Context) (time.Duration, error) {
	if err := r.computeWanted(); err != nil {
		return 0, err
	}
	// First of all, because the data is found again by these labels only. A profile that creates no
	// claim re-binds no volume, and the guardrail policies refuse its label.
	if bound(r.claim) && *r.profile.Claim.Create {
		if err := r.maintainVolume(ctx); err != nil {
			return 0, err
		}
	}
	if r.claim != nil && r.claim.DeletionTimestamp != nil {
		return 0, refusal(diagnose.BeingDeleted(r.claim.Name))
	}
	if err := r.create(ctx); err != nil {
		return 0, err
	}
	if err := r.compare(ctx); err != nil {
		return 0, err
	}
	if !bound(r.claim) {
		return r.reportPending(ctx)
	}
	r.recordInSync()
	return r.reportMultiNode(ctx)
}

// computeWanted makes the objects of the profile. No object is wanted where the profile's volume
// serves another namespace and claim.create is false: the volume of such a claim is its author's
// choice.
func (r *reconciliation) computeWanted() error {
	wanted, err := storage.Objects(r.config, storage.Release{}, r.ref)
	switch {
	case err == nil:
		r.wanted = wanted
	case *r.profile.Claim.Create:
		return refusal{Reason: diagnose.ReasonProfileRefused, Note: err.Error()}
	}
	return nil
}

// own reports whether this installation created the claim.
func (r *reconciliation) own() bool {
	return r.claim != nil && diagnose.OwnedBy(r.Installation, r.claim)
}

// bound reports whether the claim has its volume. Kubernetes sets the phase last, after volume and
// claim name each other. A nil claim is not bound.
// Source: Kubernetes, pkg/controller/volume/persistentvolume/pv_controller.go, bind.
func bound(claim *corev1.PersistentVolumeClaim) bool {
	return claim != nil && claim.Status.Phase == corev1.ClaimBound
}

// syncState is the state in which a bound claim was found in sync. The configuration is compared by
// its pointer: a changed file makes a new one, see [Options.Config].
type syncState struct {
	config  *storage.Config
	uid     types.UID
	version string
	at      time.Time
}

// isInSync reports whether neither claim nor configuration has changed since the claim was found in
// sync.
func (r *reconciliation) isInSync() bool {
	if !r.own() || !bound(r.claim) {
		return false
	}
	last, ok := r.inSync.Load(r.ref)
	if !ok {
		return false
	}
	s := last.(syncState)
	return s.config == r.config && s.uid == r.claim.UID && s.version == r.claim.ResourceVersion &&
		time.Since(s.at) < inSyncFor
}

// recordInSync remembers a bound claim of this installation. An unmanaged claim is not in the cache,
// so that its changes are not seen: it is compared each time.
func (r *reconciliation) recordInSync() {
	if r.own() {
		r.inSync.Store(r.ref, syncState{config: r.config, uid: r.claim.UID, version: r.claim.ResourceVersion, at: time.Now()})
	}
}

// whilePodsWait returns the duration while pods wait, and 0 (no other reconciliation) when none do.
func (r *reconciliation) whilePodsWait(after time.Duration) time.Duration {
	if len(r.pods) == 0 {
		return 0
	}
	return after
}
