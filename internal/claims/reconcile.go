package claims

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
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

// reconciler looks at one use at a time.
type reconciler struct {
	Options
	cached  client.Reader // pods and namespaces as metadata, claims of this installation
	live    client.Reader // everything else, one request each
	writer  client.Writer
	notices *notices
	settled sync.Map // storage.ProfileRef to settlement
	shared  sync.Map // storage.ProfileRef to time.Time, when its pods' nodes were last looked at
	queue   atomic.Pointer[workqueue.TypedRateLimitingInterface[storage.ProfileRef]]
}

// settlement says that a bound claim was found right, and with what.
type settlement struct {
	config  *storage.Config
	uid     types.UID
	version string
	at      time.Time
}

func newReconciler(mgr manager.Manager, o Options) *reconciler {
	return &reconciler{
		Options: o, cached: mgr.GetCache(), live: mgr.GetAPIReader(), writer: mgr.GetClient(),
		notices: newNotices(mgr.GetEventRecorder(recorderName)),
	}
}

// source lets requeue reach the controller's queue, which exists on the leader only.
func (r *reconciler) source() source.TypedSource[storage.ProfileRef] {
	return source.TypedFunc[storage.ProfileRef](func(_ context.Context, q workqueue.TypedRateLimitingInterface[storage.ProfileRef]) error {
		r.queue.Store(&q)
		return nil
	})
}

// requeue looks again at the uses that have pods, and at those that have a claim of this installation.
func (r *reconciler) requeue(ctx context.Context, uses []storage.ProfileRef) error {
	queue := r.queue.Load()
	if queue == nil {
		return nil
	}
	var own corev1.PersistentVolumeClaimList
	if err := r.cached.List(ctx, &own, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list the claims of this installation: %w", err)
	}
	for i := range own.Items {
		uses = append(uses, storage.ProfileRef{Profile: own.Items[i].Labels[storage.LabelProfile], Namespace: own.Items[i].Namespace})
	}
	for _, use := range uses {
		(*queue).Add(use)
	}
	return nil
}

// refusal ends a visit with something for people to put right. It is looked at again after [Options.Recheck], not as
// often as errors are.
type refusal diagnose.Finding

func (r refusal) Error() string { return r.Note }

// What ends a visit of a namespace in which nothing is to be done, and nothing said.
var (
	errNamespaceEnds = errors.New("the namespace is being deleted")
	// A mark there is another installation's, or forged.
	errNotSelected = errors.New("the webhook of this installation does not select the namespace")
)

// Reconcile looks at a profile in a namespace, and makes what is missing.
func (r *reconciler) Reconcile(ctx context.Context, use storage.ProfileRef) (reconcile.Result, error) {
	v := &visit{reconciler: r, use: use}
	again, err := v.run(ctx)
	var refused refusal
	switch {
	case errors.Is(err, errNamespaceEnds), errors.Is(err, errNotSelected):
		return reconcile.Result{}, nil
	case errors.Is(err, errLater):
		return reconcile.Result{RequeueAfter: later}, nil
	case errors.As(err, &refused):
		v.warn(diagnose.Finding(refused))
		return reconcile.Result{RequeueAfter: v.whileWaiting(r.Recheck)}, nil
	case err != nil:
		errorsTotal.Inc()
		return reconcile.Result{}, fmt.Errorf("profile %s in namespace %s: %w", use.Profile, use.Namespace, err)
	}
	return reconcile.Result{RequeueAfter: again}, nil
}

// visit is one look at a use: what was read of it, once.
type visit struct {
	*reconciler
	use     storage.ProfileRef
	config  *storage.Config
	profile *storage.Profile
	names   storage.Names
	home    types.UID                      // of the namespace, as the cache has it
	pods    []metav1.PartialObjectMetadata // live ones with the mark, at most maxPods
	claim   *corev1.PersistentVolumeClaim  // nil: there is none
	wanted  storage.ObjectSet
	earlier []corev1.PersistentVolume // of an earlier namespace of this name; see withVolume
}

// run returns after how long to look again; 0: when something changes.
func (v *visit) run(ctx context.Context) (time.Duration, error) {
	if err := v.readPods(ctx); err != nil {
		return 0, err
	}
	namespace, err := v.selected(ctx)
	if err != nil {
		return 0, err
	}
	v.config = v.Config()
	if v.profile = v.config.Profile(v.use.Profile); v.profile == nil {
		v.warn(diagnose.UnknownProfile(v.use.Profile))
		return 0, nil
	}
	if err := v.profile.Serves(v.use.Namespace, namespace.Labels); err != nil {
		return 0, refusal{Reason: diagnose.ReasonProfileRefused, Note: err.Error()}
	}
	v.names = v.profile.Names(storage.Release{}, v.use.Namespace)
	if err := v.readClaim(ctx); err != nil {
		return 0, err
	}
	if len(v.pods) == 0 && !v.own() {
		v.settled.Delete(v.use)
		v.shared.Delete(v.use)
		return 0, nil
	}
	if v.isSettled() {
		return v.sayShared(ctx)
	}
	return v.provide(ctx)
}

// provide makes what is missing, keeps what is this installation's, and says why pods wait.
func (v *visit) provide(ctx context.Context) (time.Duration, error) {
	if err := v.want(); err != nil {
		return 0, err
	}
	// First of all, because nothing else makes its data be found again. A profile that creates no claim re-binds no volume, and
	// the guardrail policies refuse its label.
	if bound(v.claim) && *v.profile.Claim.Create {
		if err := v.markVolume(ctx); err != nil {
			return 0, err
		}
	}
	if v.claim != nil && v.claim.DeletionTimestamp != nil {
		return 0, refusal(diagnose.BeingDeleted(v.claim.Name))
	}
	if err := v.create(ctx); err != nil {
		return 0, err
	}
	if err := v.compare(ctx); err != nil {
		return 0, err
	}
	if !bound(v.claim) {
		return v.sayPending(ctx)
	}
	v.settle()
	return v.sayShared(ctx)
}

// readPods reads the live pods of the use from the cache. Their number is bounded, because it is only for Events.
func (v *visit) readPods(ctx context.Context) error {
	list := metadataListOf("Pod")
	err := v.cached.List(ctx, list, client.InNamespace(v.use.Namespace), client.MatchingFields{indexProfile: v.use.Profile}, client.Limit(maxPods))
	if err != nil {
		return fmt.Errorf("list the marked pods: %w", err)
	}
	v.pods = list.Items
	return nil
}

// selected returns the namespace if it stays and the installation's own webhook takes its pods: webhook and controller share
// one selector, and a mark can be another installation's, or forged.
func (v *visit) selected(ctx context.Context) (*metav1.PartialObjectMetadata, error) {
	namespace, err := v.namespace(ctx)
	if err != nil {
		return nil, err
	}
	if namespace.DeletionTimestamp != nil {
		return nil, errNamespaceEnds
	}
	v.home = namespace.UID
	if v.WebhookConfiguration == "" {
		return namespace, nil
	}
	own, err := kube.ReadWebhooks(ctx, v.WebhookConfiguration, v.cached, v.live)
	if err != nil {
		return nil, err
	}
	if own == nil || !slices.ContainsFunc(own.Webhooks, func(w admissionregistrationv1.MutatingWebhook) bool {
		return diagnose.Selects(w.NamespaceSelector, namespace.Labels)
	}) {
		return nil, errNotSelected
	}
	return namespace, nil
}

// namespace reads the namespace from the cache, or, when it was made a moment ago, from the API server.
func (v *visit) namespace(ctx context.Context) (*metav1.PartialObjectMetadata, error) {
	namespace := metadataOf("Namespace")
	key := client.ObjectKey{Name: v.use.Namespace}
	err := v.cached.Get(ctx, key, namespace)
	if apierrors.IsNotFound(err) {
		err = v.live.Get(ctx, key, namespace)
	}
	switch {
	case apierrors.IsNotFound(err):
		return nil, errNamespaceEnds
	case err != nil:
		return nil, fmt.Errorf("read the namespace: %w", err)
	}
	return namespace, nil
}

// readClaim reads the claim of the use: from the cache, which has those of this installation, or from the API server.
func (v *visit) readClaim(ctx context.Context) error {
	claim, key := &corev1.PersistentVolumeClaim{}, client.ObjectKey{Namespace: v.use.Namespace, Name: v.names.Claim}
	err := v.cached.Get(ctx, key, claim)
	if apierrors.IsNotFound(err) && len(v.pods) > 0 {
		err = v.live.Get(ctx, key, claim)
	}
	switch {
	case err == nil:
		v.claim = claim
	case !apierrors.IsNotFound(err):
		return fmt.Errorf("read claim %s: %w", v.names.Claim, err)
	}
	return nil
}

// want works out what the profile says is to exist. Nothing is, where the profile's volume serves another namespace but the
// claim is somebody else's by the configuration: what volume that claim has is its maker's business.
func (v *visit) want() error {
	wanted, err := storage.Objects(v.config, storage.Release{}, v.use)
	switch {
	case err == nil:
		v.wanted = wanted
	case *v.profile.Claim.Create:
		return refusal{Reason: diagnose.ReasonProfileRefused, Note: err.Error()}
	}
	return nil
}

func (v *visit) own() bool { return v.claim != nil && diagnose.OwnedBy(v.Installation, v.claim) }

func (v *visit) isSettled() bool {
	if !v.own() || !bound(v.claim) {
		return false
	}
	last, ok := v.settled.Load(v.use)
	if !ok {
		return false
	}
	s := last.(settlement)
	return s.config == v.config && s.uid == v.claim.UID && s.version == v.claim.ResourceVersion && time.Since(s.at) < quiet
}

func (v *visit) settle() {
	if v.own() {
		v.settled.Store(v.use, settlement{config: v.config, uid: v.claim.UID, version: v.claim.ResourceVersion, at: time.Now()})
	}
}

// whileWaiting is the duration while pods wait, and 0 (no other look) when none do.
func (v *visit) whileWaiting(again time.Duration) time.Duration {
	if len(v.pods) == 0 {
		return 0
	}
	return again
}
