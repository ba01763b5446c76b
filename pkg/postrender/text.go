package postrender

import (
	"encoding/base64"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/pipeline-storage/pipeline-storage/internal/manifest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
)

// textLevels is how many texts inside a text are read.
const textLevels = 2

// podText is what was read of a text that describes pods.
type podText struct {
	// names name the objects, or only their kinds where names are secret.
	names uniqueTexts
	// unlabelled are the places of the labels that lack the opt-in label, in words.
	unlabelled uniqueTexts
	// isGuess is true where the text cannot be decoded, so that words decide, and hasLabel where those
	// name the opt-in label.
	isGuess, hasLabel bool

	isSecret bool
}

// uniqueTexts are texts, each once, in the order in which they were added.
type uniqueTexts struct {
	list []string
	has  map[string]bool
}

func (u *uniqueTexts) add(text string) {
	if u.has[text] {
		return
	}
	if u.has == nil {
		u.has = map[string]bool{}
	}
	u.has[text], u.list = true, append(u.list, text)
}

// textReader reads texts by the table of kinds.
type textReader struct {
	table kinds.Table
	// names are the names of the kinds.
	names map[string]bool
}

// reportTexts reports the texts in an object that describe pods, and whether there are any. They are
// not edited: nothing shows what becomes of a text.
func (r *run) reportTexts(u *unit, object kinds.Object) bool {
	texts := textsOf(&object)
	if len(texts) == 0 {
		return false
	}
	reader := textReader{r.table, r.kindNames}
	isReported := false
	for _, text := range texts {
		found := podText{isSecret: isCore(&object, secretKind)}
		reader.read(text.Value, textLevels, &found)
		if len(found.names.list) == 0 {
			continue
		}
		isReported = true
		reason := inject.ReasonPodAsText
		if isCore(&object, configMapKind) {
			reason = inject.ReasonPodInConfigMap
		}
		about := *u
		about.text, about.isServed = []byte(text.Value), found.isServed()
		r.addWorkload(&about, object, inject.Decision{Pod: text.Path, Reason: reason, Message: fmt.Sprintf(
			"%s holds %s as text, which is not edited: %s", fieldPath(strings.TrimPrefix(text.Path, object.Path)),
			strings.Join(firstOf(found.names.list), ", "), r.pass.textAdvice(&found))})
	}
	return isReported
}

// isCore reports whether an object is of a kind of the core group.
func isCore(object *kinds.Object, kind string) bool { return object.Group == "" && object.Kind == kind }

// textsOf are the texts of an object that may describe pods, with those of a Secret that are encoded.
func textsOf(object *kinds.Object) []kinds.Text {
	data, _ := object.Content["data"].(map[string]any)
	if !isCore(object, secretKind) || len(data) == 0 {
		return object.Texts
	}
	texts := slices.Clone(object.Texts)
	for _, key := range slices.Sorted(maps.Keys(data)) {
		text, err := base64.StdEncoding.DecodeString(kinds.StringOf(data[key]))
		if err == nil && kinds.MayDescribePod(string(text)) {
			path := jsontext.Pointer(object.Path + "/data").AppendToken(key)
			texts = append(texts, kinds.Text{Path: string(path), Value: string(text)})
		}
	}
	return texts
}

// read reads a text of any number of documents, YAML or JSON, with so many levels of texts in it.
func (r *textReader) read(text string, levels int, found *podText) {
	docs := manifest.Split([]byte(text))
	for i := range docs {
		if docs[i].Header.Blank || !kinds.MayDescribePod(string(docs[i].Body)) {
			continue
		}
		value, err := manifest.DecodeValue(docs[i].Body)
		if err != nil || !r.readValue(value, levels, found) {
			r.guess(docs[i].Body, found)
		}
	}
}

// readValue reads a decoded text, and reports false for one that is neither an object nor a list of
// them.
func (r *textReader) readValue(value any, levels int, found *podText) bool {
	switch value := value.(type) {
	case []any:
		for _, item := range value {
			r.readValue(item, levels, found)
		}
		return true
	case map[string]any:
		objects, err := r.table.Find(value)
		for i := range objects {
			r.readObject(&objects[i], levels, found)
		}
		return err == nil
	}
	return false
}

// readObject notes the pods of an object in a text, and reads the texts in it.
func (r *textReader) readObject(object *kinds.Object, levels int, found *podText) {
	for i := range object.Pods {
		found.add(object, &object.Pods[i])
	}
	if len(object.Pods) == 0 && isCore(object, "Pod") { // who reads the text adds the containers, as Spark does
		found.add(object, &kinds.Pod{
			Labels: object.Labels, Scheduling: kinds.Scheduling{LabelsPath: object.Path + "/metadata/labels"},
		})
	}
	if len(object.Places) > 0 || object.Problem != "" {
		found.names.add("a pod")
		found.isGuess = true
		found.hasLabel = found.hasLabel || len(object.Places) > 0 && object.Labelled
	}
	for _, text := range object.Texts {
		if levels > 0 {
			r.read(text.Value, levels-1, found)
		}
	}
}

// add notes a pod of a known kind.
func (t *podText) add(object *kinds.Object, pod *kinds.Pod) {
	name := object.Name
	if t.isSecret {
		name = ""
	}
	t.names.add(kinds.Title(object.Kind, name))
	if pod.Labels[kinds.Label] == kinds.LabelEnabled {
		return
	}
	place := fieldPath(pod.LabelsPath)
	switch {
	case t.isSecret || pod.LabelsPath == "":
		place = "the labels of the pods"
	case pod.NoMetadata:
		place += ".labels"
	}
	t.unlabelled.add(place)
}

// isServed reports whether all pods of the text have the opt-in label, so that the webhook serves them.
func (t *podText) isServed() bool { return !t.isGuess && len(t.unlabelled.list) == 0 }

// kindInText finds the names of kinds in a text that is not decoded: with templates of Go or Jinja,
// or in a script.
var kindInText = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\bkind["'\\]*\s*[:=]\s*["'\\]*([A-Z][A-Za-z0-9]*)`)
})

// guess reads the words of a text that cannot be decoded.
func (r *textReader) guess(text []byte, found *podText) {
	name := ""
	for _, match := range kindInText().FindAllSubmatch(text, -1) {
		if kind := string(match[1]); r.names[kind] {
			name = kind
			break
		}
	}
	hasContainers := mentionsKey(text, []byte("containers")) && mentionsKey(text, []byte("image"))
	switch {
	case name != "" && mentionsPodKey(text):
		found.names.add(name)
	case hasContainers:
		found.names.add("a pod")
	default:
		return
	}
	found.isGuess = true
	found.hasLabel = found.hasLabel || mentionsKey(text, []byte(kinds.Label))
}

// labelText is the opt-in label as people write it, and byWebhook what it is for.
const (
	labelText = kinds.Label + ": " + kinds.LabelEnabled
	byWebhook = "the webhook mounts the claim when they are created"
)

// textAdvice offers the webhook, which sees the pods when the program that reads the text creates
// them.
func (p *injection) textAdvice(t *podText) string {
	switch {
	case t.isGuess && t.hasLabel:
		return "where its pods have the label " + labelText + ", which it names, " + byWebhook
	case t.isGuess:
		return "put the label " + labelText + " on its pods, in the text or by the chart's values, and " + byWebhook +
			"; or set the volume there"
	case t.isServed():
		return "its pods have the label " + labelText + ", and " + byWebhook
	}
	return "put the label " + labelText + " into " + strings.Join(firstOf(t.unlabelled.list), ", ") +
		" there, in the text or by the chart's values, and " + byWebhook + "; or set the volume there"
}

// textAdvice leaves the removal to people.
func (p *removal) textAdvice(*podText) string {
	return "if its pods mount the claim, remove the volume and its mounts from it by hand"
}
