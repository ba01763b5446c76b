package postrender

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/pipeline-storage/pipeline-storage/internal/manifest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
)

// schemaKind is the kind of the largest documents of a chart. They speak of containers in schemas,
// which are no workloads, and are not parsed to find that out.
const schemaKind = "CustomResourceDefinition"

// Kinds that hold texts. The values of a Secret are encoded.
const (
	configMapKind = "ConfigMap"
	secretKind    = "Secret"
)

// seemsToHoldPod reports whether a document that needs no parsing for its kind is worth it: its
// text may hold a pod. [kinds.MayDescribePod] is for one text in a decoded object. Its words would have
// nearly every document decoded, such as a dashboard, because the word kind stands in each.
func seemsToHoldPod(doc *manifest.Document) bool {
	switch named := doc.Header.Kinds; {
	case len(named) == 0 && !doc.Header.Unsure:
		return false
	case len(named) > 0 && named[0] == schemaKind:
		return false
	case len(named) > 0 && named[0] == secretKind && mentionsEncodedPod(doc.Body):
		return true
	case len(named) > 0 && named[0] == configMapKind && mentionsPodKind(doc.Body):
		return true
	}
	return mentionsPodKey(doc.Body)
}

// unsupportedMessage describes where an object seems to hold pods that no row finds, and offers a row that
// finds them, if one can.
func (r *run) unsupportedMessage(object *kinds.Object) string {
	if !object.Known && object.Group == "" {
		return r.ungroupedMessage(object)
	}
	row, hasRow := object.Row()
	suchAs := ""
	if hasRow {
		suchAs = ", such as " + rowText(&row)
	}
	if !object.Known {
		return fmt.Sprintf("it seems to hold a pod, but kind %s of group %q is not known: add a row for it under kinds: "+
			"in the configuration file%s", object.Kind, object.Group, suchAs)
	}
	finding := fmt.Sprintf("it seems to hold pods %s, where the row of its kind finds none: ", placesText(object))
	if hasRow {
		return finding + "replace that row by one under kinds: in the configuration file" + suchAs
	}
	return finding + "mount there by hand, or give these pods the label " + labelText + ", and " + byWebhook
}

// placesText names the places of pods that no row finds.
func placesText(object *kinds.Object) string {
	var places []string
	for i := range object.Places {
		places = append(places, object.Places[i].PodTemplate+object.Places[i].Scope)
	}
	if len(places) == 0 {
		return "somewhere"
	}
	return "at " + strings.Join(firstOf(places), ", ")
}

// quotedKey is the name of a field in JSON.
var quotedKey = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`"(\w+)": `)
})

// rowText writes a row on one line, as people write YAML.
func rowText(row *kinds.Kind) string {
	text, err := json.Marshal(row)
	if err == nil {
		text, err = jsontext.AppendFormat(nil, text, jsontext.SpaceAfterColon(true), jsontext.SpaceAfterComma(true))
	}
	if err != nil { // a row is text, numbers and lists of them
		return err.Error()
	}
	return quotedKey().ReplaceAllString(string(text), "$1: ")
}

// podKeys are keys that objects with pods in them have. Nearly every other document has none of them.
var podKeys = [][]byte{
	[]byte("containers"), []byte("volumes"), []byte("volumeMounts"),
	[]byte("executor"), []byte("image"),
}

// mentionsPodKey reports whether one of the keys stands where a key may stand.
func mentionsPodKey(body []byte) bool {
	return slices.ContainsFunc(podKeys, func(key []byte) bool { return mentionsKey(body, key) })
}

// mentionsKey reports whether a key stands at the start of a line, of a list item or of a flow
// mapping, with a colon behind it. Its quotes may be escaped, as they are in JSON inside a text.
func mentionsKey(body, key []byte) bool {
	for rest := body; ; {
		i := bytes.Index(rest, key)
		if i < 0 {
			return false
		}
		isStart := i == 0 || bytes.IndexByte([]byte(" \t\n\"'{,"), rest[i-1]) >= 0
		rest = rest[i+len(key):]
		if isStart && bytes.HasPrefix(bytes.TrimLeft(rest, `"' \`), []byte(":")) {
			return true
		}
	}
}

// podKinds are the forms of the kind of a pod, which may stand in a text without containers.
var podKinds = [][]byte{
	[]byte("kind: Pod"), []byte(`kind: "Pod`), []byte("kind: 'Pod"), []byte(`"kind": "Pod`), []byte(`"kind":"Pod`),
}

// mentionsPodKind reports whether a text has the kind of a pod.
func mentionsPodKind(body []byte) bool {
	return slices.ContainsFunc(podKinds, func(form []byte) bool { return bytes.Contains(body, form) })
}

// encodedPod are the forms that the word containers has in base64, by its position in a group of three
// bytes. Their ends are left out, which depend on the neighbours.
var encodedPod = func() [3][]byte {
	const word, bitsOfChar = "containers", 6
	var forms [3][]byte
	for before := range forms {
		text := base64.StdEncoding.EncodeToString([]byte(strings.Repeat(" ", before) + word))
		forms[before] = []byte(text[(before*8+bitsOfChar-1)/bitsOfChar : (before+len(word))*8/bitsOfChar])
	}
	return forms
}()

// mentionsEncodedPod reports whether a text has the word containers in base64.
func mentionsEncodedPod(body []byte) bool {
	return slices.ContainsFunc(encodedPod[:], func(form []byte) bool { return bytes.Contains(body, form) })
}
