package inject

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// A disk is on one node at a time, and the scheduler does not look where the other pods of a
// ReadWriteOnce claim are. With colocate, pods get a label that names their claim and a required
// affinity to pods with that label, on one node. The first pod of such a group may go anywhere.
// Source: Kubernetes, pkg/scheduler/framework/plugins/interpodaffinity/filtering.go
// satisfiesSelfAffinityCheck.
//
// That plugin counts only pods that match every required term of the pod's affinity. A second term
// beside one of another author would therefore look for pods that do not exist, so that a pod with
// an affinity of its own keeps it and gets the label alone: others follow it still.

// colocate labels the pod with its claim, and keeps it on the node of the others with that label
// where it can.
func (p *podPatch) colocate(profile *chosenProfile, claim string) error {
	if p.pod.LabelsPath == "" {
		p.warn(
			"profile %q: colocate: this kind has no place for the labels of its pods, so they are not kept on one node",
			profile.Name,
		)
		return nil
	}
	key, value := profile.ClaimLabel(claim)
	if err := p.addClaimLabel(profile, key, value); err != nil {
		return err
	}
	term := claimTerm(key, value)
	if err := p.follow(profile, term); err != nil {
		p.warn("profile %q: colocate: the pod is not kept on the node of the claim %q: %v", profile.Name, claim, err)
	}
	return nil
}

// follow adds the term to the pod's affinity, unless it is there.
func (p *podPatch) follow(profile *chosenProfile, term corev1.PodAffinityTerm) error {
	affinity, err := p.affinity()
	if err != nil {
		return err
	}
	if !hasTerm(affinity, term) {
		if err := p.cannotFollow(affinity); err != nil {
			return err
		}
		p.addTerm(term, Addition{Profile: profile.Name, Affinity: corev1.LabelHostname})
	}
	p.follows = &term
	return nil
}

// addClaimLabel adds a label to the pod. What selects the pod is not touched: a selector that
// matched goes on matching.
func (p *podPatch) addClaimLabel(profile *chosenProfile, key, value string) error {
	if have, ok := p.pod.Labels[key]; ok && have != value {
		return fmt.Errorf("the label %s is %q, but the claim is %q: remove the label", key, have, value)
	} else if ok {
		return nil
	}
	p.addPodLabel(key, value, Addition{Profile: profile.Name, Label: key + "=" + value})
	return nil
}

// addPodLabel adds a label that the pod does not have. The pod must have a place for labels.
func (p *podPatch) addPodLabel(key, value string, report Addition) {
	p.pod.Labels = maps.Clone(p.pod.Labels)
	if p.pod.Labels == nil {
		p.pod.Labels = map[string]string{}
	}
	p.pod.Labels[key] = value
	path, label := p.pod.LabelsPath, any(map[string]any{key: value})
	switch {
	case p.pod.HasLabels:
		path, label = string(jsontext.Pointer(path).AppendToken(key)), value
	case p.pod.NoMetadata: // the path is that of the metadata
		label = map[string]any{"labels": label}
	}
	p.mergeField(path, label, report)
}

// affinity is the pod's affinity with what was added to it.
func (p *podPatch) affinity() (*corev1.Affinity, error) {
	affinity := &corev1.Affinity{}
	if len(p.pod.Affinity) > 0 {
		if err := convert(p.pod.Affinity, affinity); err != nil {
			return nil, fmt.Errorf("its affinity cannot be read: %w", err)
		}
	}
	if p.follows != nil {
		affinity.PodAffinity = &corev1.PodAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{*p.follows},
		}
	}
	return affinity, nil
}

// hasTerm reports whether the affinity requires the term already. It compares the topology key and
// the labels, which are all that such a term has.
func hasTerm(affinity *corev1.Affinity, term corev1.PodAffinityTerm) bool {
	return slices.ContainsFunc(requiredTerms(affinity), func(have corev1.PodAffinityTerm) bool {
		s := have.LabelSelector
		return have.TopologyKey == term.TopologyKey && s != nil && len(s.MatchExpressions) == 0 &&
			maps.Equal(s.MatchLabels, term.LabelSelector.MatchLabels)
	})
}

// requiredTerms are the terms that a node must meet, without the preferred ones.
func requiredTerms(affinity *corev1.Affinity) []corev1.PodAffinityTerm {
	if affinity.PodAffinity == nil {
		return nil
	}
	return affinity.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution
}

// cannotFollow returns why a term must not be added to the pod, or nil.
func (p *podPatch) cannotFollow(affinity *corev1.Affinity) error {
	terms := requiredTerms(affinity)
	switch {
	case p.pod.AffinityPath == "":
		return errors.New("its kind has no place for an affinity")
	case p.pod.PerNode || isPinned(affinity):
		return errors.New("a DaemonSet runs a pod on every node")
	case p.pod.NodeName != "":
		return fmt.Errorf("it names its node itself (nodeName %s)", p.pod.NodeName)
	case p.pod.Inherited:
		return errors.New(
			"it shares an affinity with other templates, which one of its own would replace: give its template one of its own",
		)
	case len(terms) > 0 && p.follows != nil:
		return errors.New("it follows another claim already, and Kubernetes can follow one only")
	case len(terms) > 0:
		return errors.New(
			"it has a required podAffinity of its own, and Kubernetes looks for pods that match all terms: remove that " +
				"one, or keep the pods together by it",
		)
	}
	if key := p.repels(affinity); key != "" {
		return fmt.Errorf(
			"its podAntiAffinity (topologyKey %s) keeps pods like itself apart: remove that, or share a volume that many "+
				"nodes can mount",
			key,
		)
	}
	if port := hostPort(&p.pod.Scheduling); port != 0 {
		return fmt.Errorf(
			"it takes port %d of its node, which only one pod like itself can have: remove the host port, or share a "+
				"volume that many nodes can mount",
			port,
		)
	}
	return p.spreads()
}

// spreads refuses a pod that must be spread among pods with its own labels. A replica more or less
// does not matter: with the next rollout there is another one.
func (p *podPatch) spreads() error {
	var constraints []corev1.TopologySpreadConstraint
	if err := convert(p.pod.Spread, &constraints); err != nil {
		return fmt.Errorf("its topologySpreadConstraints cannot be read: %w", err)
	}
	for _, c := range constraints {
		selector, err := metav1.LabelSelectorAsSelector(c.LabelSelector)
		if err == nil && c.WhenUnsatisfiable == corev1.DoNotSchedule && selector.Matches(labels.Set(p.pod.Labels)) {
			return fmt.Errorf("its topologySpreadConstraints (topologyKey %s, DoNotSchedule) keep pods like itself apart: "+
				"set ScheduleAnyway, or share a volume that many nodes can mount", c.TopologyKey)
		}
	}
	return nil
}

// hostPort returns a port of the node that the pod takes, or 0. With the node's network every port
// is one.
// Source: Kubernetes, pkg/apis/core/v1/defaults.go defaultHostNetworkPorts.
func hostPort(p *kinds.Scheduling) int32 {
	for _, list := range p.Ports {
		var ports []corev1.ContainerPort
		if convert(list, &ports) != nil {
			continue // the API server judges it
		}
		for _, port := range ports {
			if p.HostNetwork && port.HostPort == 0 {
				port.HostPort = port.ContainerPort
			}
			if port.HostPort != 0 {
				return port.HostPort
			}
		}
	}
	return 0
}

// convert reads a decoded value as what it is.
func convert(decoded, into any) error {
	asJSON, err := json.Marshal(decoded)
	if err != nil {
		return err
	}
	return json.Unmarshal(asJSON, into)
}

// isPinned reports whether the affinity names a node, as the DaemonSet controller's does.
// Source: Kubernetes, pkg/controller/daemon/util/daemonset_util.go
// ReplaceDaemonSetPodNodeNameNodeAffinity.
func isPinned(affinity *corev1.Affinity) bool {
	if affinity.NodeAffinity == nil || affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return false
	}
	return slices.ContainsFunc(
		affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms,
		func(t corev1.NodeSelectorTerm) bool {
			return slices.ContainsFunc(
				t.MatchFields, func(r corev1.NodeSelectorRequirement) bool { return r.Key == metav1.ObjectNameField },
			)
		},
	)
}

// repels returns the topology key of a required anti-affinity that keeps pods with this pod's own
// labels away from it.
func (p *podPatch) repels(affinity *corev1.Affinity) string {
	if affinity.PodAntiAffinity == nil {
		return ""
	}
	for _, term := range affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution {
		selector, err := metav1.LabelSelectorAsSelector(term.LabelSelector)
		isOtherNamespace := len(term.Namespaces) > 0 && !slices.Contains(term.Namespaces, p.request.Namespace) &&
			term.NamespaceSelector == nil
		if err == nil && !isOtherNamespace && len(term.MismatchLabelKeys) == 0 && selector.Matches(labels.Set(p.pod.Labels)) {
			return term.TopologyKey
		}
	}
	return ""
}

// claimTerm is the affinity to the pods with the label of a claim.
func claimTerm(key, value string) corev1.PodAffinityTerm {
	return corev1.PodAffinityTerm{
		LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{key: value}}, TopologyKey: corev1.LabelHostname,
	}
}

// affinityNames are the fields by which a pod's affinity leads to the terms that must be met.
var affinityNames = []string{"podAffinity", "requiredDuringSchedulingIgnoredDuringExecution"}

// addTerm adds the term at the deepest place that is there. The list of terms is absent or empty.
func (p *podPatch) addTerm(term corev1.PodAffinityTerm, report Addition) {
	inPods, required := affinityNames[0], affinityNames[1]
	path, value := p.pod.AffinityPath, any([]corev1.PodAffinityTerm{term})
	toPods, _ := p.pod.Affinity[inPods].(map[string]any)
	switch {
	case len(p.pod.Affinity) == 0:
		value = map[string]any{inPods: map[string]any{required: value}}
	case len(toPods) == 0:
		path, value = path+"/"+inPods, map[string]any{required: value}
	default:
		path += "/" + inPods + "/" + required
	}
	p.setField(path, value, report)
}

// colocation removes the label by which the pods of a claim were kept on one node, and the affinity
// to them.
func (r *removal) colocation(i int, profile *storage.Profile, claim string) {
	pod := &r.object.Pods[i]
	if !profile.Colocates() {
		return
	}
	key, value := profile.ClaimLabel(claim)
	have, _ := r.lookup(pod.LabelsPath).(map[string]any)
	if pod.LabelsPath != "" && kinds.StringOf(have[key]) == value && r.removeKey(pod.LabelsPath, len(have), key) {
		r.removed(i, Addition{Profile: profile.Name, Label: key + "=" + value})
	}
	path, injected := pod.AffinityPath, any([]corev1.PodAffinityTerm{claimTerm(key, value)})
	if path == "" {
		return
	}
	for depth := 0; depth <= len(affinityNames); depth++ {
		whole := injected
		for _, name := range slices.Backward(affinityNames[depth:]) {
			whole = map[string]any{name: whole}
		}
		if isJSON(r.lookup(path), whole) {
			if r.removeField(path) {
				r.removed(i, Addition{Profile: profile.Name, Affinity: corev1.LabelHostname})
			}
			return
		}
		if depth < len(affinityNames) {
			path += "/" + affinityNames[depth]
		}
	}
}
