package postrender

import (
	"bytes"
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

// run is the work on one stream.
type run struct {
	*Renderer
	kinds  kinds.Table
	names  map[string]bool
	stream []byte
	docs   []manifest.Document
	edits  []manifest.Edit
	report Report
	// uses are the claims that pods mount, in the order of the stream.
	uses []consumer
	// present are the storage objects that the stream has itself.
	present []presentObject
	// mounts are the claims that pods keep in a run that removes.
	mounts []mount
	// unseen are what nobody can look into in a run that removes.
	unseen []unseen
	// kindOf is the kind of every document, as far as it is known.
	kindOf []string
	// inList says that the documents are the items of a ResourceList.
	inList bool
}

// consumer is one workload that mounts a profile's own claim.
type consumer struct {
	storage.ProfileRef
	// added says that this run added the mount. Pods that have it already are counted, but need no objects: who made
	// their manifests, a chart or an earlier run, made or chose the claim, too.
	added    bool
	workload string
	pods     int
	perNode  bool
	deferred bool
}

// presentObject is a storage object of the stream.
type presentObject struct {
	doc manifest.Document
	kinds.Object
}

func newRun(r *Renderer, stream []byte) *run {
	table := kinds.NewTable(r.Config.Kinds)
	names := table.Names()
	for kind := range storageGroups {
		names[kind] = true
	}
	docs := manifest.Split(stream)
	return &run{
		Renderer: r, kinds: table, names: names, stream: stream, docs: docs,
		kindOf: make([]string, len(docs)),
		report: Report{
			Release: r.Release.Name, Namespace: r.Release.Namespace,
			Workloads: []Workload{}, Objects: []Object{},
		},
	}
}

// decide decides about every document and then about the storage that they need.
func (r *run) decide() error {
	if r.Remove != RemoveNothing {
		return r.withdraw()
	}
	if err := r.documents(); err != nil {
		return err
	}
	if err := r.requireRelease(); err != nil {
		return err
	}
	return r.storage()
}

// requireRelease refuses to guess a release: Helm tells a post-renderer neither its name nor its namespace.
func (r *run) requireRelease() error {
	if profile := r.needsRelease(); profile != "" {
		return fmt.Errorf("profile %q: the names of its objects need the release and its namespace, which Helm does not tell a post-renderer: "+
			"add --namespace NAMESPACE --release RELEASE (with Helm: --post-renderer-args=--namespace=NAMESPACE --post-renderer-args=--release=RELEASE)", profile)
	}
	return nil
}

// needsRelease returns a profile whose objects cannot be named without the release that is not given, or "".
func (r *run) needsRelease() string {
	if r.Release.Name != "" && r.Release.Namespace != "" {
		return ""
	}
	for _, use := range r.uses {
		if use.added && r.Config.Profile(use.Profile).NeedsRelease() {
			return use.Profile
		}
	}
	return ""
}

// documents decides about every document. All conflicts of a stream are told at once.
func (r *run) documents() error {
	var problems []string
	for start := 0; start < len(r.docs); {
		end := batchEnd(r.docs, start)
		for _, u := range r.batch(start, end) {
			if u.err != nil {
				problems = append(problems, u.err.Error())
			}
			r.edits = append(r.edits, u.edits...)
		}
		start = end
	}
	if len(problems) > 0 {
		return fmt.Errorf("%s", strings.Join(problems, "\n"))
	}
	return nil
}

// maxDocument bounds what is parsed, because a parsed document takes many times its size in memory. The API server takes
// 3 MiB (apiserver, MaxRequestBodyBytes). What is not parsed may be of any size.
const maxDocument = 32 << 20

// document decides about a document that was read. Only one whose kind may hold a pod or is one of storage was parsed for it:
// every other one is left to Helm.
func (r *run) document(i int, u *unit) error {
	doc, kind := u.doc, u.kind
	if kinds := doc.Header.Kinds; len(kinds) > 0 {
		r.kindOf[i] = kinds[0]
	}
	if !u.parse {
		r.reportUnknown(u)
		r.addUnseen(doc, kind, doc.Body)
		return nil
	}
	where := strings.TrimSpace(fmt.Sprintf("document %d %s", doc.Number, kind))
	if len(doc.Body) > maxDocument {
		return fmt.Errorf("%s: is larger than %d MiB, far more than an API server takes: split it", where, maxDocument>>20)
	}
	if u.err != nil && kind == "" && !r.namesKind(doc.Body) {
		r.addUnseen(doc, kind, doc.Body)
		return nil // nothing of ours, whatever it is: Helm judges it
	}
	if u.err != nil {
		return fmt.Errorf("%s: cannot be parsed: %w", where, u.err)
	}
	content, ok := u.tree.Value().(map[string]any)
	if !ok {
		r.addUnseen(doc, kind, doc.Body)
		return nil
	}
	objects, err := r.kinds.Find(content)
	if err != nil {
		return fmt.Errorf("document %d %w", doc.Number, err)
	}
	r.kindOf[i] = rootKind(content)
	for _, object := range objects {
		added, err := r.object(doc, object)
		if err != nil {
			return fmt.Errorf("document %d %s/%s: %w", doc.Number, object.Kind, object.Name, err)
		}
		u.ops = append(u.ops, added...)
	}
	return nil
}

// edit turns the operations on a document into edits of the stream: all at once, because aliases may join its objects.
func (r *run) edit(u *unit) {
	edit := u.tree.Apply
	if r.Remove != RemoveNothing {
		edit = u.tree.Remove
	}
	edits, err := edit(u.ops)
	if err != nil {
		content, _ := u.tree.Value().(map[string]any)
		meta, _ := content["metadata"].(map[string]any)
		u.err = fmt.Errorf("document %d %s/%v: %w", u.doc.Number, rootKind(content), meta["name"], err)
		return
	}
	offset := u.doc.BodyOffset()
	for i := range edits {
		edits[i].Start += offset
		edits[i].End += offset
	}
	u.edits = edits
}

// kindToParse reports whether a document must be parsed, and for which kind, if its text tells. Text that does not tell is
// parsed when it could name such a kind, or a Namespace, behind which storage must stand.
func (r *run) kindToParse(doc manifest.Document) (kind string, parse bool) {
	for _, kind := range doc.Header.Kinds {
		if r.names[kind] {
			return kind, true
		}
	}
	if !doc.Header.Unsure {
		return "", false
	}
	isEscaped := bytes.IndexByte(doc.Body, '\\') >= 0
	return "", isEscaped || r.namesKind(doc.Body) || bytes.Contains(doc.Body, []byte("Namespace"))
}

// namesKind reports whether a text names a kind that must be parsed, anywhere.
func (r *run) namesKind(body []byte) bool {
	for kind := range r.names {
		if bytes.Contains(body, []byte(kind)) {
			return true
		}
	}
	return false
}

func rootKind(content map[string]any) string {
	kind, _ := content["kind"].(string)
	return kind
}

// object decides about one object and returns what is to be added to it.
func (r *run) object(doc manifest.Document, object kinds.Object) ([]jsonpatch.Operation, error) {
	if isStorage(object) {
		r.present = append(r.present, presentObject{doc, object})
		return nil, nil
	}
	reason, message := r.skipObject(object)
	if reason != "" || !object.Known {
		r.addSkipped(doc, object)
	}
	if reason != "" {
		r.addWorkload(doc, object, inject.Decision{Reason: reason, Message: message})
		return nil, nil
	}
	if !object.Known {
		return nil, nil
	}
	if r.Remove != RemoveNothing {
		return r.withdrawObject(doc, object)
	}
	namespace := r.namespaceOf(object)
	request := inject.Request{Release: r.Release, Namespace: namespace, Selector: r.Selector}
	result := r.withholdHook(object, inject.Patch(r.Config, request, object.Pods...))
	for n, decision := range result.Decisions {
		if decision.Reason == inject.ReasonNotSelected {
			decision = r.explainLabel(object, object.Pods[n], decision)
		}
		if object.ClusterScoped && len(decision.Claims) > 0 {
			decision.Warnings = append(decision.Warnings, clusterScopedMessage(object, decision, namespace))
		}
		r.addWorkload(doc, object, decision)
		r.addUses(doc, object, object.Pods[n], decision, namespace)
	}
	if refused := result.Refused(); refused != nil {
		return nil, errors.New(refused.Message)
	}
	return result.Operations, nil
}

// skipObject returns why an object is not looked into, if so.
func (r *run) skipObject(object kinds.Object) (inject.Reason, string) {
	isKind := func(kind string) bool { return strings.EqualFold(kind, object.Kind) }
	switch {
	case !object.Known && holdsPods(object.Content):
		return inject.ReasonUnsupportedKind, unsupportedMessage(object)
	case !object.Known:
		return "", ""
	case len(object.Pods) == 0:
		return inject.ReasonNoPods, r.noPodsMessage(object)
	case len(r.Kinds) > 0 && !slices.ContainsFunc(r.Kinds, isKind):
		return inject.ReasonNotSelected, "its kind is not among those that were asked for"
	case len(r.Names) > 0 && !slices.Contains(r.Names, object.Name):
		return inject.ReasonNotSelected, "its name is not among those that were asked for"
	}
	return "", ""
}

// noPodsMessage tells what to do instead of injecting. In a removal there is nothing to do.
func (r *run) noPodsMessage(object kinds.Object) string {
	if object.Advice != "" && r.Remove == RemoveNothing {
		return object.Advice
	}
	return "it has no containers of its own"
}

// withholdHook leaves out a hook that must not be injected. A pod that asks for claims which exist already may be.
func (r *run) withholdHook(object kinds.Object, result inject.Result) inject.Result {
	message := r.hookMessage(object.Annotations[kinds.AnnotationHook])
	if message == "" {
		return result
	}
	for i := range result.Decisions {
		d := &result.Decisions[i]
		if isUntouched(d) || (r.Hooks != HooksNone && r.claimsExist(d)) {
			continue
		}
		*d = inject.Decision{Pod: d.Pod, Reason: inject.ReasonHookNotInjected, Message: message}
		result.Operations = nil
	}
	return result
}

// isUntouched reports whether there is nothing to withhold, so that the hook's own reason is the better one.
func isUntouched(d *inject.Decision) bool {
	isLabelled := d.Reason == inject.ReasonLabelled && len(d.Added) == 0
	return isLabelled || d.Reason == inject.ReasonNotSelected || d.Reason == inject.ReasonNoPods
}

// hookMessage returns why hooks of these events are left out, or "".
func (r *run) hookMessage(events string) string {
	switch {
	case events == "" || r.Hooks == HooksAll:
		return ""
	case r.Hooks == HooksNone:
		return "hooks are left out on request"
	}
	for event := range strings.SplitSeq(events, ",") {
		if event = strings.TrimSpace(event); slices.Contains(beforeClaims, event) {
			return fmt.Sprintf("a %s hook runs before Helm has created the claim, and would wait for it for ever", event)
		}
	}
	return ""
}

// beforeClaims are the events whose hooks Helm runs before it creates the release's objects. On deletion and rollback the
// claim is there. Source: Helm, pkg/release/hook.go; crd-install is Helm 2's.
var beforeClaims = []string{"pre-install", "pre-upgrade", "crd-install"}

// claimsExist reports whether a pod uses only claims that this release does not create.
func (r *run) claimsExist(d *inject.Decision) bool {
	return len(d.Profiles) > 0 && !slices.ContainsFunc(d.Profiles, func(name string) bool { return *r.Config.Profile(name).Claim.Create })
}

// clusterScopedMessage tells that a claim serves one namespace, and its object all of them.
func clusterScopedMessage(object kinds.Object, decision inject.Decision, namespace string) string {
	return fmt.Sprintf("a %s belongs to no namespace: its pods run where it is used, and find the claim %s in the namespace %s only; "+
		"elsewhere make the claim first, or label the pods %s: %s instead, and the webhook makes it", object.Kind,
		strings.Join(decision.Claims, ", "), namespace, kinds.Label, kinds.LabelEnabled)
}

// explainLabel tells where the label belongs, when it is on the workload instead of its pod template.
func (r *run) explainLabel(object kinds.Object, pod kinds.Pod, decision inject.Decision) inject.Decision {
	if r.selector().Matches(labels.Set(object.Labels)) && decision.Pod != object.Path && pod.Label == nil {
		place := strings.ReplaceAll(strings.TrimPrefix(decision.Pod, object.Path+"/"), "/", ".")
		decision.Message = fmt.Sprintf("the label is on the %s, not on its pods: put it into the labels of its pod template, %s", object.Kind, place)
		decision.Warnings = append(decision.Warnings, decision.Message)
	}
	return decision
}

func (r *run) selector() labels.Selector {
	if r.Selector == nil {
		return inject.DefaultSelector()
	}
	return r.Selector
}

func (r *run) namespaceOf(object kinds.Object) string {
	if object.Namespace != "" {
		return object.Namespace
	}
	return r.Release.Namespace
}

func (r *run) addWorkload(doc manifest.Document, object kinds.Object, d inject.Decision) {
	apiVersion, _ := object.Content["apiVersion"].(string)
	if r.isMissed(doc, object, d.Reason) {
		d.Warnings = append(d.Warnings, fmt.Sprintf("%s: %s", d.Reason, d.Message))
	}
	r.report.Workloads = append(r.report.Workloads, Workload{
		Document: doc.Number, APIVersion: apiVersion, Kind: object.Kind, Name: object.Name, Namespace: r.namespaceOf(object),
		Pod: d.Pod, Reason: d.Reason, Message: d.Message, Profiles: d.Profiles, Added: d.Added, Removed: d.Removed, Warnings: d.Warnings,
	})
}

// isMissed reports whether a pod that was asked for gets nothing: it was selected and left out or left to the webhook, or
// nobody can tell because its containers are not here, but its document has every label that is asked for.
func (r *run) isMissed(doc manifest.Document, object kinds.Object, reason inject.Reason) bool {
	if r.Remove != RemoveNothing {
		return len(object.Pods) == 0 && r.mentionsClaim(doc)
	}
	switch reason {
	case inject.ReasonHookNotInjected, inject.ReasonWindows, inject.ReasonExcluded, inject.ReasonLabelled:
		return true
	case inject.ReasonNoPods:
		return len(object.Pods) > 0 || object.Advice != "" && r.namesLabels(doc)
	case inject.ReasonUnsupportedKind, inject.ReasonPodInConfigMap:
		return r.namesLabels(doc)
	default:
		return false
	}
}

// namesLabels reports whether a document has every label that is asked for, somewhere.
func (r *run) namesLabels(doc manifest.Document) bool {
	requirements, _ := r.selector().Requirements()
	return !slices.ContainsFunc(requirements, func(q labels.Requirement) bool { return !bytes.Contains(doc.Body, []byte(q.Key()+":")) })
}

// addUses notes which of our own claims a pod mounts now. A claim that it kept from an earlier configuration is not ours.
func (r *run) addUses(doc manifest.Document, object kinds.Object, pod kinds.Pod, d inject.Decision, namespace string) {
	if d.Reason.Refuses() {
		return
	}
	for i, name := range d.Profiles {
		profile := r.Config.Profile(name)
		if d.Claims[i] != profile.Names(r.Release, namespace).Claim {
			continue
		}
		r.uses = append(r.uses, consumer{
			ProfileRef: storage.ProfileRef{Profile: name, Namespace: namespace},
			added:      d.Mounts(name),
			workload:   fmt.Sprintf("document %d %s/%s", doc.Number, object.Kind, object.Name),
			pods:       pod.Replicas,
			perNode:    object.PerNode,
			deferred:   object.Deferred || pod.Replicas == 0 || object.Annotations[kinds.AnnotationHook] != "",
		})
	}
}
