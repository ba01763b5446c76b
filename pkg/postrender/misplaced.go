package postrender

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// This file finds labels and annotations that request storage and have no effect where they are: on
// an object around the pods, because controllers copy the metadata of pod templates only, or on a
// pod that nothing selects.

// level is an object around a pod with metadata of its own, such as a CronJob, its jobTemplate, or the
// AppWrapper in which the CronJob stands.
type level struct {
	// name names it in messages: "the CronJob", "spec.jobTemplate of the CronJob" or "the AppWrapper around it".
	name string
	// isSelected reports whether its labels are those that select a pod.
	isSelected bool
	// annotations are its annotations for pods, sorted, up to a few of them.
	annotations []string
}

// levels are those around the pods of one object by their JSON pointers, so that each is read once,
// however many pods are below it.
type levels map[string]*level

// misplaced returns a sentence for everything that requests storage for a pod and has no effect.
// Around is empty for the first pod of an object, and retained for the next.
func (p *injection) misplaced(object kinds.Object, pod kinds.Pod, d *inject.Decision, around levels) []string {
	isSelected := d.Reason != inject.ReasonNotSelected
	var sentences []string
	for _, at := range p.levelsAround(&object, pod.Path, around) {
		if at.isSelected && !isSelected && !p.hasKeys(pod.Labels) && len(sentences) == 0 {
			sentences = append(sentences, fmt.Sprintf("the label is on %s, not on its pods: put it into %s", at.name,
				labelPlace(object, pod)))
		}
		for _, key := range at.annotations {
			if _, ok := pod.Annotations[key]; !ok && (isSelected || p.selectsByLabel()) {
				sentences = append(sentences, fmt.Sprintf("the annotation %s is on %s, not on its pods, and does nothing "+
					"there: put it into the annotations of %s", key, at.name, podPlace(object, pod)))
			}
		}
	}
	if len(sentences) > 0 || isSelected || !p.selectsByLabel() {
		return sentences
	}
	return unselected(pod)
}

// unselected returns what a pod has in place of the opt-in label, if anything.
func unselected(pod kinds.Pod) []string {
	if value := pod.Labels[kinds.Label]; value != "" && !optOut[strings.ToLower(value)] {
		return []string{fmt.Sprintf("its label %s is %q, which selects nothing: write %s", kinds.Label, value,
			kinds.LabelEnabled)}
	}
	if keys := podAnnotations(pod.Annotations); len(keys) > 0 && pod.Labels[kinds.Label] == "" {
		return []string{fmt.Sprintf("the annotation %s does nothing without the label: add %s: %s to the labels of the pod",
			keys[0], kinds.Label, kinds.LabelEnabled)}
	}
	return nil
}

// optOut are values of the opt-in label by which people leave a pod out.
var optOut = map[string]bool{"disabled": true, "false": true, "no": true, "off": true, "none": true}

// maxAround is how many objects around a pod are read, its own counted: nested Lists may be many.
const maxAround = 8

// levelsAround returns the levels above a pod, the outermost first: those of its object, and of the
// objects in which that one stands.
func (p *injection) levelsAround(object *kinds.Object, pod string, known levels) []*level {
	var found []*level
	around := ""
	for range maxAround {
		found = append(p.levelsOf(object, pod, around, known), found...)
		if pod = object.Path; object.Around == nil {
			break
		}
		object, around = object.Around, " around it"
	}
	return found
}

// levelsOf returns the levels of an object above a place in it. Around ends their names.
func (p *injection) levelsOf(object *kinds.Object, place, around string, known levels) []*level {
	var found []*level
	var value any = object.Content
	path := ""
	for token := range jsontext.Pointer(strings.TrimPrefix(place, object.Path)).Tokens() {
		switch content := value.(type) {
		case map[string]any:
			at := known[object.Path+path]
			if at == nil {
				at = p.level("the "+object.Kind+around, path, metadata(content))
				known[object.Path+path] = at
			}
			found = append(found, at)
			value = content[token]
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i >= len(content) {
				return found
			}
			value = content[i]
		default:
			return found
		}
		path += "/" + token
	}
	return found
}

// level reads the metadata of a level, at a path of the object that a text names.
func (p *injection) level(name, path string, meta map[string]any) *level {
	if path != "" {
		name = fieldPath(path) + " of " + name
	}
	return &level{
		name:        name,
		isSelected:  p.selects(stringsOf(meta["labels"])),
		annotations: podAnnotations(stringsOf(meta["annotations"])),
	}
}

// selects reports whether labels select a pod, by what they have and not by what they lack.
func (p *injection) selects(have map[string]string) bool {
	return p.hasKeys(have) && p.selector().Matches(labels.Set(have))
}

// hasKeys reports whether labels have every key of the selector, which has one at least.
func (p *injection) hasKeys(have map[string]string) bool {
	requirements, _ := p.selector().Requirements()
	return len(requirements) > 0 && !slices.ContainsFunc(requirements,
		func(q labels.Requirement) bool { return !labels.Set(have).Has(q.Key()) })
}

// selectsByLabel reports whether the opt-in label selects pods, and no selector of the user.
func (p *injection) selectsByLabel() bool {
	return p.selector().String() == inject.DefaultSelector().String()
}

// maxAnnotations is how many annotations of a level are read: a mistake shows in the first.
const maxAnnotations = 5

// podAnnotations returns the keys that are for pods, sorted, up to a few of them.
func podAnnotations(have map[string]string) []string {
	var keys []string
	for key := range have {
		prefix, _, isOwn := strings.Cut(key, storage.Group+"/")
		if isOwn && (prefix == "" || strings.HasSuffix(prefix, ".")) && key != inject.AnnotationInjected {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys[:min(len(keys), maxAnnotations)]
}

// labelPlace names where the label of a pod belongs.
func labelPlace(object kinds.Object, pod kinds.Pod) string {
	if pod.Label == nil {
		return "the labels of " + podPlace(object, pod)
	}
	path := strings.Join(append([]string{pod.Label.Path}, pod.Label.Missing...), "/")
	return fieldPath(strings.TrimPrefix(path, object.Path))
}

// podPlace names a pod of an object.
func podPlace(object kinds.Object, pod kinds.Pod) string {
	if pod.Path == object.Path { // it stands in another object
		return "the " + object.Kind
	}
	return "its pod template, " + fieldPath(strings.TrimPrefix(pod.Path, object.Path))
}

// isSelectedAround reports whether an object around this one has the label that selects pods.
func (p *injection) isSelectedAround(object *kinds.Object) bool {
	for range maxAround {
		if object = object.Around; object == nil {
			return false
		}
		if p.selects(object.Labels) {
			return true
		}
	}
	return false
}

// stringsOf returns the texts of a decoded map.
func stringsOf(value any) map[string]string {
	m, _ := value.(map[string]any)
	texts := make(map[string]string, len(m))
	for key, value := range m {
		if text, ok := value.(string); ok {
			texts[key] = text
		}
	}
	return texts
}
