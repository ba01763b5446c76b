package inject

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
)

// byLabel is what the opt-in label is for.
const byLabel = "the label " + kinds.Label + ": " + kinds.LabelEnabled + " lets the webhook mount the claim " +
	"when the pods are created"

// why returns why something cannot be mounted here.
func (p *podPatch) why() string { return cmp.Or(p.pod.Why, "the containers are external") }

// label puts the opt-in label where it reaches a pod whose containers are not here.
func (p *podPatch) label() (Reason, string) {
	if value := p.pod.Label.Value; value != "" && value != kinds.LabelEnabled {
		return ReasonNotSelected, fmt.Sprintf(
			"nothing can be mounted here, because %s, and its label %s is %q already", p.why(), kinds.Label, value,
		)
	}
	if err := p.checkConf(); err != nil {
		return ReasonConflict, err.Error()
	}
	p.addLabel(p.pod.Label)
	return ReasonLabelled, fmt.Sprintf("nothing can be mounted here, because %s; %s", p.why(), byLabel)
}

// addLabel adds the label, with the objects around it that are missing, and reports whether it was
// not there.
func (p *podPatch) addLabel(place *kinds.LabelPlace) bool {
	if place.Value != "" {
		return false
	}
	names := append(slices.Clone(place.Missing), place.Key)
	value := any(kinds.LabelEnabled)
	for i := len(names) - 1; i > 0; i-- {
		value = map[string]any{names[i]: value}
	}
	path := string(jsontext.Pointer(place.Path).AppendToken(names[0]))
	return p.mergeField(path, value, Addition{Label: place.Key + "=" + kinds.LabelEnabled})
}

// labelExternal warns of external containers, in addition to those that are here, and lets the
// webhook find them. It reports whether it added the label for that.
func (p *podPatch) labelExternal() bool {
	isNew, advice := false, "label its pods "+kinds.Label+": "+kinds.LabelEnabled+", and the webhook mounts the claim"
	if place := p.pod.Label; place != nil && (place.Value == "" || place.Value == kinds.LabelEnabled) {
		isNew, advice = p.addLabel(place), byLabel
	}
	for _, name := range p.pod.ExternalContainers {
		p.warn("container %q gets no mount here, because %s; %s", name, p.why(), advice)
	}
	return isNew
}
