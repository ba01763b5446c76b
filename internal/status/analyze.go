package status

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
	"github.com/pipeline-storage/pipeline-storage/internal/kube"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// installation is a webhook with its configuration. It has what the report prints and, next to
// it, what the analysis of namespaces needs.
type installation struct {
	Installation
	webhook *admissionregistrationv1.MutatingWebhookConfiguration
	config  *storage.Config // nil: unknown
	// since is when the webhook was created: pods that are older cannot have been injected by it.
	since time.Time
}

// Analyze returns the status that a snapshot shows. It is pure: the same snapshot gives the same
// status, byte for byte, because every list is sorted or in the order of the snapshot. Nothing in
// the snapshot is changed.
func Analyze(s *Snapshot) *Status {
	status := &Status{
		APIVersion: APIVersion, Kind: Kind, Installations: []Installation{}, Namespaces: []Namespace{},
		Unread: append([]string{}, slices.Sorted(maps.Values(s.Unread))...),
	}
	all := installations(s)
	for i := range all {
		status.Installations = append(status.Installations, all[i].Installation)
	}
	for _, name := range s.names() {
		a := &analysis{Snapshot: s, name: name, meta: s.namespace(name), events: s.latest(name)}
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

// serviceOf is the Service of a webhook. It is that of the first webhook that has one, and the
// zero value for webhooks that are called by URL.
func serviceOf(w *admissionregistrationv1.MutatingWebhookConfiguration) types.NamespacedName {
	for i := range w.Webhooks {
		if service := w.Webhooks[i].ClientConfig.Service; service != nil {
			return types.NamespacedName{Namespace: service.Namespace, Name: service.Name}
		}
	}
	return types.NamespacedName{}
}

// installations returns every webhook with its configuration, its ready addresses and the
// problems that concern all of its namespaces. They are in the order of the snapshot.
func installations(s *Snapshot) []installation {
	var all []installation
	for i := range s.Webhooks {
		w := &s.Webhooks[i]
		service := serviceOf(w)
		one := installation{
			Installation: Installation{Name: w.Name, Namespace: service.Namespace, Profiles: []string{}, Problems: []Problem{}},
			webhook:      w, since: w.CreationTimestamp.Time, config: s.Config,
		}
		about := "MutatingWebhookConfiguration/" + w.Name
		if !s.unread(endpoints) {
			one.Ready = new(ready(s.Endpoints, service))
			if *one.Ready == 0 {
				message := fmt.Sprintf("no ready pod is behind the Service %s: labeled pods cannot be created", service)
				one.Problems = append(one.Problems, webhookNotReady(service, message, about))
			}
		}
		if one.config == nil {
			one.readConfig(s, about)
		}
		if one.config != nil {
			for j := range one.config.Profiles {
				one.Profiles = append(one.Profiles, one.config.Profiles[j].Name)
			}
		}
		all = append(all, one)
	}
	return all
}

// webhookNotReady is the problem of a webhook that does not answer. With the chart's default,
// failurePolicy Fail, labeled pods are refused meanwhile.
func webhookNotReady(service types.NamespacedName, message, about string) Problem {
	return found(
		ReasonWebhookNotReady, message,
		fmt.Sprintf(
			"kubectl get pods --namespace %s --selector %s=%s shows its pods; docs/operations.md has the runbook",
			cmp.Or(service.Namespace, "NAMESPACE"), kube.LabelName, kube.ProductName,
		),
		about,
	)
}

// readConfig finds the configuration in the webhook's namespace. It is the ConfigMap of the same
// Helm release as the webhook. A ConfigMap that cannot be read as a configuration is a problem,
// and config stays nil.
func (one *installation) readConfig(s *Snapshot, about string) {
	for i := range s.ConfigMaps {
		m := &s.ConfigMaps[i]
		text, ok := m.Data[configKey]
		if !ok || m.Namespace != one.Namespace || m.Labels[kube.LabelInstance] != one.webhook.Labels[kube.LabelInstance] {
			continue
		}
		config, _, err := storage.LoadForAdmission([]byte(text))
		if err != nil {
			one.Problems = append(one.Problems, found(
				ReasonConfigUnusable, fmt.Sprintf("ConfigMap %s/%s: %v", m.Namespace, m.Name, err),
				"mend it (helm upgrade); the webhook goes on with the previous configuration", about,
			))
			continue
		}
		one.config = config
		return
	}
}

// ready counts the addresses of a Service that answer. An address counts once, although
// EndpointSlices may repeat it.
func ready(all []discoveryv1.EndpointSlice, service types.NamespacedName) int {
	addresses := map[string]bool{}
	for i := range all {
		if all[i].Namespace != service.Namespace || all[i].Labels[discoveryv1.LabelServiceName] != service.Name {
			continue
		}
		for _, e := range all[i].Endpoints {
			if e.Conditions.Ready == nil || *e.Conditions.Ready { // nil is to be taken for ready. Source: discovery/v1
				for _, a := range e.Addresses {
					addresses[a] = true
				}
			}
		}
	}
	return len(addresses)
}

// analysis is the work on one namespace. Its methods add pods, claims, volumes and problems to
// the namespace of the report. It belongs to one goroutine.
type analysis struct {
	*Snapshot
	name      string
	meta      *metav1.PartialObjectMetadata // nil: unknown
	events    []corev1.Event                // the latest of each object and reason
	selected  *installation                 // whose webhook selects the pods; nil: none, or unknown
	config    *storage.Config               // nil: unknown
	namespace Namespace
	used      map[string][]*corev1.Pod // by claim, those that have not finished
	profiles  map[string]string        // by claim, of the pods that use it
}

// choose finds the installation whose webhook selects the pods of the namespace. Without one the
// configuration of the first installation decides what pods would get. A configuration that the
// caller passed has precedence over both.
func (a *analysis) choose(all []installation) {
	a.config = a.Config
	for i := range all {
		if a.config == nil {
			a.config = all[i].config
		}
		if a.selected == nil && a.meta != nil && selects(all[i].webhook, a.meta.Labels) {
			a.selected = &all[i]
			if a.Config == nil {
				a.config = all[i].config
			}
		}
	}
}

// selects reports whether one of the webhooks of a configuration selects a namespace with these
// labels. A nil selector selects every namespace.
func selects(w *admissionregistrationv1.MutatingWebhookConfiguration, of map[string]string) bool {
	return slices.ContainsFunc(w.Webhooks, func(hook admissionregistrationv1.MutatingWebhook) bool {
		return diagnose.Selects(hook.NamespaceSelector, of)
	})
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

// labels finds the label where it does nothing. The webhook sees pods only, so that nothing else
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
