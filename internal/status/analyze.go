package status

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/internal/selection"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// Analyze returns the status that a snapshot shows. It is pure: the same snapshot gives the same
// status, byte for byte, because every list is sorted or in the order of the snapshot. Nothing in
// the snapshot is changed.
func Analyze(s *Snapshot) *Status {
	status := &Status{
		APIVersion: APIVersion, Kind: Kind, Installations: []Installation{}, Namespaces: []Namespace{},
		Unread: append([]string{}, slices.Sorted(maps.Values(s.Unread))...),
	}
	all, rules := installations(s), s.rulesWithoutLabel()
	for i := range all {
		status.Installations = append(status.Installations, all[i].Installation)
	}
	for _, name := range s.names() {
		a := &analysis{
			Snapshot: s, name: name, meta: s.namespace(name), events: s.latest(name), installed: all, withoutLabel: rules,
		}
		a.choose(all)
		if n := a.analyze(); n != nil {
			status.Namespaces = append(status.Namespaces, *n)
		}
	}
	return status
}

// names are the namespaces in which there is anything. With a namespace in the snapshot it is
// that one, even when nothing is in it. They are sorted.
func (s *Snapshot) names() []string {
	if s.Namespace != "" {
		return []string{s.Namespace}
	}
	names := map[string]bool{}
	for i := range s.Pods {
		names[s.Pods[i].Namespace] = true
	}
	for i := range s.Workloads {
		names[s.Workloads[i].Namespace] = true
	}
	for i := range s.Namespaces {
		if selectsAllPods(&s.Namespaces[i]) {
			names[s.Namespaces[i].Name] = true
		}
	}
	for i := range s.Claims {
		names[s.Claims[i].Namespace] = true
	}
	for i := range s.Events {
		names[s.Events[i].Namespace] = true
	}
	for i := range s.Volumes {
		if ref := s.Volumes[i].Spec.ClaimRef; ref != nil {
			names[ref.Namespace] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// namespace returns the metadata of a namespace, or nil. It is nil where the namespace does not
// exist and where namespaces could not be read; unread distinguishes the two.
func (s *Snapshot) namespace(name string) *metav1.PartialObjectMetadata {
	if i := slices.IndexFunc(s.Namespaces, func(n metav1.PartialObjectMetadata) bool { return n.Name == name }); i >= 0 {
		return &s.Namespaces[i]
	}
	return nil
}

// unread reports whether a resource could not be read. Resource is one of the names above, such
// as claims. Without the right to read a resource, its absence proves nothing.
func (s *Snapshot) unread(resource string) bool {
	_, ok := s.Unread[resource]
	return ok
}

// analysis is the work on one namespace. Its methods add pods, claims, volumes and problems to
// the namespace of the report. It belongs to one goroutine.
type analysis struct {
	*Snapshot
	name      string
	meta      *metav1.PartialObjectMetadata // nil: unknown
	events    []corev1.Event                // the latest of each object and reason
	installed []installation
	// withoutLabel are the rules of all installations that select pods without the opt-in label.
	withoutLabel []selection.Rule
	selected     *installation   // which selects the pods; nil: none, or unknown
	config       *storage.Config // nil: unknown
	namespace    Namespace
	used         map[string][]*corev1.Pod // by claim, those that have not finished
	profiles     map[string]string        // by claim, of the pods that use it
}

// choose finds the installation that selects the pods of the namespace. Without one the
// configuration of the first installation decides what pods would get. A configuration that the
// caller passed has precedence over both.
func (a *analysis) choose(all []installation) {
	a.config = a.Config
	for i := range all {
		if a.config == nil {
			a.config = all[i].config
		}
		if a.selected == nil && a.meta != nil && all[i].matchesNamespace(a.meta.Labels) {
			a.selected = &all[i]
			if a.Config == nil {
				a.config = all[i].config
			}
		}
	}
}

// analyze returns what there is in the namespace; nil: nothing. Pods come first: claims are
// reported as far as pods use them, and the problems of claims depend on the pods that wait.
func (a *analysis) analyze() *Namespace {
	a.namespace = Namespace{Name: a.name, Pods: []Pod{}, Claims: []Claim{}, Released: []Released{}, Problems: []Problem{}}
	a.used, a.profiles = map[string][]*corev1.Pod{}, map[string]string{}
	n := &a.namespace
	if a.selected != nil {
		n.Installation = a.selected.Name
	}
	for i := range a.Pods {
		if a.Pods[i].Namespace == a.name {
			a.pod(&a.Pods[i])
		}
	}
	a.labels()
	a.namespaceLabel()
	a.notCreated()
	a.claims()
	a.released()
	if len(n.Pods)+len(n.Claims)+len(n.Released)+len(n.Problems) == 0 {
		return nil
	}
	slices.SortFunc(n.Pods, func(a, b Pod) int { return strings.Compare(a.Name, b.Name) })
	n.Problems = merged(n.Problems)
	return n
}

// add notes a problem. Equal ones are merged at the end.
func (a *analysis) add(p Problem) { a.namespace.Problems = append(a.namespace.Problems, p) }

// merged joins problems with the same sentence. The first of them gets the objects of the others,
// so that a Deployment of a hundred pods makes one problem. The order of the rest stays.
func merged(all []Problem) []Problem {
	unique := []Problem{}
	for _, p := range all {
		i := slices.IndexFunc(
			unique, func(k Problem) bool { return k.Reason == p.Reason && k.Message == p.Message && k.Next == p.Next },
		)
		if i < 0 {
			unique = append(unique, p)
			continue
		}
		for _, about := range p.About {
			if !slices.Contains(unique[i].About, about) {
				unique[i].About = append(unique[i].About, about)
			}
		}
	}
	return unique
}

// labels finds the label where it does nothing. Admission sees pods only, so that nothing else
// reports this mistake. Each such workload is a problem of its own, with the command that mends
// it.
func (a *analysis) labels() {
	for _, w := range unlabeled(a.Workloads, a.name) {
		if _, ok := a.selectsUnlabeled(w.Template); ok {
			continue
		}
		a.add(found(
			ReasonWrongPlace,
			fmt.Sprintf(
				"the label %s=%s is on the %s itself and not on its pods, which get no storage", kinds.Label,
				kinds.LabelEnabled, w.Kind,
			),
			"put it into the pod template: "+labelCommand(w), w.Kind+"/"+w.Name,
		))
	}
}

// labelCommand puts the label where it belongs. The template of a Job cannot be changed. For a
// Job it is advice in words instead of a command. The result stands behind "put it into the pod
// template: ".
func labelCommand(w *Workload) string {
	template := fmt.Sprintf(`{"template":{"metadata":{"labels":{"%s":"%s"}}}}`, kinds.Label, kinds.LabelEnabled)
	switch w.Kind {
	case "Job":
		return "spec.template.metadata.labels of its manifest, and recreate the Job"
	case "CronJob":
		template = `{"jobTemplate":{"spec":` + template + `}}`
	}
	return fmt.Sprintf(
		`kubectl patch %s %s --namespace %s --type=merge --patch '{"spec":%s}'`, strings.ToLower(w.Kind), w.Name,
		w.Namespace, template,
	)
}
