package status

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pipeline-storage/pipeline-storage/internal/kube"
	"github.com/pipeline-storage/pipeline-storage/internal/selection"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// installation is a webhook, or the policies, with its configuration. It has what the report prints
// and, next to it, what the analysis of namespaces needs.
type installation struct {
	Installation
	// selections are what selects the pods: of the webhook, then of the policies, as far as they exist.
	selections []*selection.Selection
	labels     map[string]string
	service    types.NamespacedName // of the webhook; zero: it has none
	config     *storage.Config      // nil: unknown
}

// words are what sentences call an installation, by its mode.
var words = map[Mode]struct {
	heading string
	// who mounts the storage, idle when it did not, and program reads the configuration.
	who, idle, program string
}{
	ModeWebhook: {"WEBHOOK", "the webhook", "the webhook was not called", "the webhook"},
	ModePolicy:  {"POLICY", "the policies", "the policies were not in force", "the claims controller"},
	ModeBoth: {
		"WEBHOOK AND POLICY", "the webhook and the policies",
		"the webhook was not called and the policies were not in force", "the webhook",
	},
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

// installations returns every installation with its configuration, its ready addresses and the
// problems that concern all of its namespaces. They are sorted by name. A webhook and policies of one
// name are one installation, which moves from one mode to the other.
func installations(s *Snapshot) []installation {
	var all []installation
	for i := range s.Webhooks {
		w := &s.Webhooks[i]
		one := installation{
			Installation: Installation{Name: w.Name, Mode: ModeWebhook, Namespace: serviceOf(w).Namespace},
			selections:   []*selection.Selection{selection.OfWebhooks(w)}, labels: w.Labels, service: serviceOf(w),
		}
		all = append(all, one)
	}
	for _, name := range s.Policies.names() {
		i := slices.IndexFunc(all, func(one installation) bool { return one.Name == name })
		if i < 0 {
			i = len(all)
			all = append(all, installation{
				Installation: Installation{Name: name, Mode: ModePolicy, Namespace: s.Policies.namespaceOf(name)},
				labels:       s.Policies.labels(name),
			})
		} else {
			all[i].Mode = ModeBoth
		}
		if own := s.Policies.selection(name); own != nil {
			all[i].selections = append(all[i].selections, own)
		}
	}
	slices.SortFunc(all, func(a, b installation) int { return strings.Compare(a.Name, b.Name) })
	for i := range all {
		all[i].complete(s)
	}
	return all
}

// complete adds ready addresses, problems and configuration.
func (one *installation) complete(s *Snapshot) {
	one.Profiles, one.Problems, one.config = []string{}, []Problem{}, s.Config
	about := kube.KindWebhookConfiguration + "/" + one.Name
	if one.Mode == ModePolicy {
		about = kube.KindPolicy + "/" + one.Name
	}
	if one.Mode != ModePolicy && !s.unread(endpoints) {
		one.Ready = new(ready(s.Endpoints, one.service))
		if *one.Ready == 0 {
			so := "labeled pods cannot be created"
			if one.Mode == ModeBoth { // the webhook's failurePolicy is Ignore then
				so = "the policies alone mount the storage of labeled pods"
			}
			message := fmt.Sprintf("no ready pod is behind the Service %s: %s", one.service, so)
			one.Problems = append(one.Problems, webhookNotReady(one.service, message, about))
		}
	}
	if one.Mode != ModeWebhook {
		one.Problems = append(one.Problems, s.incomplete(one.Name)...)
	}
	if one.config == nil {
		one.readConfig(s, about)
	}
	if one.config != nil {
		for j := range one.config.Profiles {
			one.Profiles = append(one.Profiles, one.config.Profiles[j].Name)
		}
	}
}

// matchesNamespace reports whether the installation selects pods of a namespace with these labels.
func (one *installation) matchesNamespace(set map[string]string) bool {
	return slices.ContainsFunc(one.selections, func(s *selection.Selection) bool { return s.MatchesNamespace(set) })
}

// since is when the installation began to select pods of a namespace with these labels: pods that are
// older cannot have been injected by it.
func (one *installation) since(set map[string]string) time.Time {
	var first time.Time
	for _, s := range one.selections {
		for i := range s.Rules {
			r := &s.Rules[i]
			if r.MatchesNamespace(set) && (first.IsZero() || r.Since.Before(first)) {
				first = r.Since
			}
		}
	}
	return first
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

// readConfig finds the configuration in the installation's namespace. It is the ConfigMap of the same
// Helm release as the webhook or the policies. A ConfigMap that cannot be read as a configuration is a
// problem, and config stays nil.
func (one *installation) readConfig(s *Snapshot, about string) {
	for i := range s.ConfigMaps {
		m := &s.ConfigMaps[i]
		text, ok := m.Data[configKey]
		if !ok || m.Namespace != one.Namespace || m.Labels[kube.LabelInstance] != one.labels[kube.LabelInstance] {
			continue
		}
		config, _, err := storage.LoadForAdmission([]byte(text))
		if err != nil {
			one.Problems = append(one.Problems, found(
				ReasonConfigUnusable, fmt.Sprintf("ConfigMap %s/%s: %v", m.Namespace, m.Name, err),
				"mend it (helm upgrade); "+words[one.Mode].program+" goes on with the previous configuration", about,
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
