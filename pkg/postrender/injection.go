package postrender

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gomodules.xyz/jsonpatch/v2"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pipeline-storage/pipeline-storage/internal/manifest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// injection is the pass that adds storage. Its consumers are complete after the last unit; only
// then are storage objects and warnings decided on.
type injection struct {
	*run
	// consumers are the workloads that mount the claims, in the order of the stream.
	consumers []consumer
	// isList reports whether the units are the items of a ResourceList.
	isList bool
}

// consumer is one workload that mounts a profile's own claim.
type consumer struct {
	storage.ProfileRef
	// isAdded reports whether this run added the mount. Pods that have it already are counted, but
	// need no objects: who made their manifests, a chart or an earlier run, made or chose the claim,
	// too.
	isAdded bool
	// workload names the workload in messages.
	workload string
	// pods is how many pods it has; perNode reports whether it has one on every node.
	pods    int
	perNode bool
	// isDeferred reports whether no pod of it runs as soon as it is installed.
	isDeferred bool
}

// decide decides about the pods of an object. A pod that is refused refuses the run: the error
// has the message of the first one. The decisions are reported in any case.
func (p *injection) decide(u *unit, object kinds.Object) ([]jsonpatch.Operation, error) {
	namespace := p.namespaceOf(object)
	result := p.withholdHook(object, inject.Patch(p.Config, p.request(namespace), object.Pods...))
	around := levels{}
	for n, decision := range result.Decisions {
		misplaced := p.misplaced(object, object.Pods[n], &decision, around)
		if decision.Reason == inject.ReasonNotSelected && len(misplaced) > 0 {
			decision.Message = misplaced[0]
		}
		decision.Warnings = append(decision.Warnings, misplaced...)
		if object.ClusterScoped && len(decision.Claims) > 0 {
			decision.Warnings = append(decision.Warnings, clusterScopedMessage(object, decision, namespace))
		}
		p.addWorkload(u, object, decision, misplaced...)
		p.addConsumers(u, object, object.Pods[n], decision, namespace)
	}
	if refused := result.Refused(); refused != nil {
		return nil, errors.New(refused.Message)
	}
	return result.Operations, nil
}

// edit turns additions into edits.
func (p *injection) edit(tree *manifest.Tree, ops []jsonpatch.Operation) ([]manifest.Edit, error) {
	return tree.Apply(ops)
}

// addSkipped does nothing: an object that stays as it is needs no storage.
func (p *injection) addSkipped(*unit, kinds.Object) {}

// addUnparsed does nothing, for the same reason.
func (p *injection) addUnparsed(*unit) {}

// storage adds the objects that the pods need and that the stream does not have. It is called
// once, when every pod has been decided about.
func (p *injection) storage() error {
	if err := p.refuseUnserved(); err != nil {
		return err
	}
	if profile := p.needsRelease(); profile != "" {
		return fmt.Errorf("profile %q: the names of its objects need the release and its namespace, which "+
			"Helm does not pass to a post-renderer: "+
			"add --namespace NAMESPACE --release RELEASE (with Helm: "+
			"--post-renderer-args=--namespace=NAMESPACE --post-renderer-args=--release=RELEASE)", profile)
	}
	missing, err := p.missing()
	if err != nil {
		return err
	}
	return p.place(missing)
}

// missing notes the objects that the pods need and returns those that the stream does not have.
// Where nothing was mounted, it returns none: a claim without a consumer would keep helm --wait
// waiting. An object of the stream that has the name of a needed one and differs from it is an
// error.
func (p *injection) missing() ([]storage.Object, error) {
	var mounted []storage.ProfileRef
	for _, c := range p.consumers {
		if c.isAdded {
			mounted = append(mounted, c.ProfileRef)
		}
	}
	needed, err := storage.Objects(p.Config, p.Release, mounted...)
	if err != nil {
		return nil, err
	}
	var missing []storage.Object
	for _, object := range needed.All() {
		action := Created
		if have := p.find(object); have != nil {
			if err := p.compare(have, object); err != nil {
				return nil, err
			}
			action = Present
		}
		p.report.Objects = append(p.report.Objects, Object{
			Kind: object.Kind, Name: object.Meta.Name, Namespace: object.Meta.Namespace, Action: action,
		})
		if action == Created {
			missing = append(missing, object)
		}
	}
	return missing, nil
}

// needsRelease returns a profile whose objects cannot be named without the release that is not
// given, or "".
func (p *injection) needsRelease() string {
	if p.Release.Name != "" && p.Release.Namespace != "" {
		return ""
	}
	for _, c := range p.consumers {
		if c.isAdded && p.Config.Profile(c.Profile).NeedsRelease() {
			return c.Profile
		}
	}
	return ""
}

// withholdHook drops the operations on a hook that must not be injected. A pod whose claims exist
// already is injected. The decision then has a reason of its own, so that the report does not
// claim an injection.
func (p *injection) withholdHook(object kinds.Object, result inject.Result) inject.Result {
	message := p.hookMessage(object.Annotations[kinds.AnnotationHook])
	if message == "" {
		return result
	}
	for i := range result.Decisions {
		d := &result.Decisions[i]
		if isUntouched(d) || (p.Hooks != HooksNone && p.claimsExist(d)) {
			continue
		}
		*d = inject.Decision{Pod: d.Pod, Reason: inject.ReasonHookNotInjected, Message: message}
		result.Operations = nil
	}
	return result
}

// isUntouched reports whether there is nothing to withhold, so that the hook's own reason is the
// better one.
func isUntouched(d *inject.Decision) bool {
	isLabelled := d.Reason == inject.ReasonLabelled && len(d.Added) == 0
	return isLabelled || d.Reason == inject.ReasonNotSelected || d.Reason == inject.ReasonNoPods
}

// hookMessage returns why hooks of these events are left out, or "". Events are the value of the
// hook annotation, separated by commas; "" is an object that is not a hook.
func (p *injection) hookMessage(events string) string {
	switch {
	case events == "" || p.Hooks == HooksAll:
		return ""
	case p.Hooks == HooksNone:
		return "hooks are left out on request"
	}
	for event := range strings.SplitSeq(events, ",") {
		if event = strings.TrimSpace(event); slices.Contains(beforeClaims, event) {
			return fmt.Sprintf("a %s hook runs before Helm has created the claim, and would wait for it forever: "+
				"run it later, such as post-install, or mount a claim that exists (create: false, or --hooks=all)", event)
		}
	}
	return ""
}

// beforeClaims are the events whose hooks Helm runs before it creates the release's objects. On
// deletion and rollback the claim is there. Source: Helm, pkg/release/hook.go; crd-install is Helm
// 2's.
var beforeClaims = []string{"pre-install", "pre-upgrade", "crd-install"}

// claimsExist reports whether a pod uses only claims that this release does not create.
func (p *injection) claimsExist(d *inject.Decision) bool {
	return len(d.Profiles) > 0 && !slices.ContainsFunc(d.Profiles,
		func(name string) bool { return *p.Config.Profile(name).Claim.Create })
}

// noContainers is the message about an object whose pods are defined in another one.
const noContainers = "it has no containers of its own"

// noPodsMessage prefers the advice of the row of the table, which names where such pods are
// defined.
func (p *injection) noPodsMessage(object kinds.Object) string {
	if object.Advice != "" {
		return object.Advice
	}
	return noContainers
}

// selector returns the selector that counts: the one that was set, or the opt-in label.
func (p *injection) selector() labels.Selector {
	if p.Selector == nil {
		return inject.DefaultSelector()
	}
	return p.Selector
}

// isMissed reports whether people want storage for a pod that gets none: it was selected and left
// out, or left to the webhook. A pod whose containers are not in the document counts when the
// document has every selected label.
func (p *injection) isMissed(u *unit, object kinds.Object, reason inject.Reason) bool {
	switch reason {
	case inject.ReasonHookNotInjected, inject.ReasonWindows, inject.ReasonExcluded, inject.ReasonLabelled:
		return true
	case inject.ReasonNoPods:
		return len(object.Pods) > 0 || p.selects(object.Labels) || p.isSelectedAround(&object) ||
			object.Advice != "" && p.namesLabels(ownText(u, &object, reason))
	case inject.ReasonUnsupportedKind, inject.ReasonPodInConfigMap, inject.ReasonPodAsText:
		if reason == inject.ReasonUnsupportedKind && len(object.Places) > 0 && p.selectsByLabel() {
			return object.Labelled || p.isSelectedAround(&object)
		}
		return p.namesLabels(ownText(u, &object, reason))
	default:
		return false
	}
}

// namesLabels reports whether a text has the key of every selected label. A text search is
// enough: the result decides only whether a report entry is also a warning.
func (p *injection) namesLabels(text []byte) bool {
	requirements, _ := p.selector().Requirements()
	return !slices.ContainsFunc(requirements,
		func(q labels.Requirement) bool { return !mentionsKey(text, []byte(q.Key())) })
}

// ownText is the text that a reason is about: that of the document, or the object's own where the document has
// others. A unit that is about a text in an object has that text.
func ownText(u *unit, object *kinds.Object, reason inject.Reason) []byte {
	if object.Path == "" || reason == inject.ReasonPodInConfigMap || reason == inject.ReasonPodAsText {
		return u.text
	}
	text, err := json.Marshal(object.Content)
	if err != nil {
		return u.text
	}
	return text
}

// addConsumers notes which claims of the profiles a pod mounts now. The claim of an earlier
// configuration, which the pod retains, is not one of them.
func (p *injection) addConsumers(u *unit, object kinds.Object, pod kinds.Pod, d inject.Decision, namespace string) {
	if d.Reason.Refuses() {
		return
	}
	for i, name := range d.Profiles {
		if d.Claims[i] != p.Config.Profile(name).ClaimName(p.Release, namespace) {
			continue
		}
		p.consumers = append(p.consumers, consumer{
			ProfileRef: storage.ProfileRef{Profile: name, Namespace: namespace},
			isAdded:    d.Mounts(name),
			workload:   u.in(object),
			pods:       pod.Replicas,
			perNode:    object.PerNode,
			isDeferred: object.Deferred || pod.Replicas == 0 || object.Annotations[kinds.AnnotationHook] != "",
		})
	}
}
