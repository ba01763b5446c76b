package postrender_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/pkg/postrender"
)

// The finder looks for whatever has containers with images: in any field of any document, and in any
// text. It is written apart from the product, with another decoder (go-yaml v2, by sigs.k8s.io/yaml), a
// separator of its own, and no table of kinds.

// foundPod is a list of containers with images.
type foundPod struct {
	// document is its number, counted from 1.
	document int
	// path is the JSON pointer of the list, and text that of the text that it is in, or "".
	path, text string
	// containers are the decoded items.
	containers []any
}

// noWorkload are the rules by which a document, or a field at the root of an object, is left out, each
// with its name.
var noWorkload = []struct {
	name    string
	matches func(object map[string]any, field string) bool
}{
	{"schemas", isOfGroup("apiextensions.k8s.io")},
	{"admission policies and webhooks", isOfGroup("admissionregistration.k8s.io")},
	{"policies of Kyverno", isOfGroup("kyverno.io", "policies.kyverno.io")},
	{"policies of Gatekeeper", isOfGroup(
		"config.gatekeeper.sh", "constraints.gatekeeper.sh", "expansion.gatekeeper.sh", "mutations.gatekeeper.sh",
		"templates.gatekeeper.sh",
	)},
	{"notes about the object", func(_ map[string]any, field string) bool { return field == "metadata" }},
	{"what was observed", func(_ map[string]any, field string) bool { return field == "status" }},
}

func isOfGroup(groups ...string) func(map[string]any, string) bool {
	return func(object map[string]any, _ string) bool {
		version, _ := object["apiVersion"].(string)
		group, _, _ := strings.Cut(version, "/")
		return slices.Contains(groups, group)
	}
}

// ruledOut returns the name of the rule that leaves a field of an object out, or "".
func ruledOut(object map[string]any, field string) string {
	_, hasVersion := object["apiVersion"].(string)
	_, hasKind := object["kind"].(string)
	if !hasVersion || !hasKind {
		return ""
	}
	for _, rule := range noWorkload {
		if rule.matches(object, field) {
			return rule.name
		}
	}
	return ""
}

// finder finds pods in one stream.
type finder struct {
	found []foundPod
	// ruled counts what was left out, by rule.
	ruled map[string]int
}

// documentLine separates documents.
var documentLine = regexp.MustCompile(`(?m)^---.*$`)

// documentsIn splits a stream into decoded documents; a document that is no YAML is nil.
func documentsIn(stream string) []any {
	pieces := documentLine.Split(stream, -1)
	if !strings.HasPrefix(stream, "---") && isBlankText(pieces[0]) || strings.HasPrefix(stream, "---") {
		pieces = pieces[1:]
	}
	documents := make([]any, len(pieces))
	for i, piece := range pieces {
		if err := yaml.Unmarshal([]byte(piece), &documents[i]); err != nil {
			documents[i] = nil
		}
	}
	return documents
}

func isBlankText(text string) bool {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			return false
		}
	}
	return true
}

// search searches a decoded value. Within is the text that it was decoded from, or "".
func (f *finder) search(document int, path, within string, value any) {
	switch value := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			at := path + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
			if rule := ruledOut(value, key); rule != "" {
				f.ruled[rule]++
				continue
			}
			if list, _ := value[key].([]any); strings.HasSuffix(strings.ToLower(key), "containers") && withImages(list) > 0 {
				f.found = append(f.found, foundPod{document, at, within, list})
			}
			f.search(document, at, within, value[key])
		}
	case []any:
		for i, item := range value {
			f.search(document, fmt.Sprintf("%s/%d", path, i), within, item)
		}
	case string:
		f.searchText(document, path, within, value)
	}
}

// textOfPods is a text of YAML or JSON with templates in it, in which nothing can be decoded.
var textOfPods = regexp.MustCompile(`(?s)kind['"\\]*\s*:\s*['"\\]*[A-Z].*containers['"\\]*\s*:.*image['"\\]*\s*:`)

// searchText decodes a text and searches what it has.
func (f *finder) searchText(document int, path, within, text string) {
	if within != "" || !strings.Contains(text, "ontainers") {
		return // one level: the product must report the outer text
	}
	for _, decoded := range documentsIn(text) {
		switch decoded.(type) {
		case map[string]any, []any:
			f.search(document, "", path, decoded)
		default:
			if textOfPods.MatchString(text) {
				f.found = append(f.found, foundPod{document, "", path, nil})
			}
		}
	}
}

func withImages(list []any) int {
	n := 0
	for _, item := range list {
		object, _ := item.(map[string]any)
		if image, _ := object["image"].(string); image != "" {
			n++
		}
	}
	return n
}

// TestNoDocumentWithAPodIsSilent compares what the finder finds in the corpus and in the cases from the
// field with the report: each pod is mounted, or reported with a reason.
func TestNoDocumentWithAPodIsSilent(t *testing.T) {
	all := 0
	for _, file := range append(sharedFiles(t, "corpus"), sharedFiles(t, "cases")...) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			in, err := os.ReadFile(file)
			require.NoError(t, err)
			out, err := newRenderer(t, "/mnt/pipeline").Render(in)
			if filepath.Base(filepath.Dir(file)) == "cases" && err != nil {
				return // a refusal reports all that it must
			}
			require.NoError(t, err)
			f := finder{ruled: map[string]int{}}
			for i, document := range documentsIn(string(in)) {
				f.search(i+1, "", "", document)
			}
			all += len(f.found)
			requireNoneSilent(t, f.found, out)
			t.Logf("%d lists of containers; left out: %v", len(f.found), f.ruled)
		})
	}
	assert.Greater(t, all, 500, "the finder finds little")
}

// requireNoneSilent asserts that each pod that was found is mounted in the output, or reported.
func requireNoneSilent(t *testing.T, found []foundPod, out *postrender.Output) {
	t.Helper()
	var after []any
	for _, document := range documentsIn(string(out.Bytes())) {
		if object, _ := document.(map[string]any); !isAdded(object) {
			after = append(after, document)
		}
	}
	for _, pod := range found {
		isReported := slices.ContainsFunc(out.Report.Workloads, func(w postrender.Workload) bool {
			return w.Document == pod.document && covers(&w, &pod)
		})
		isMounted := pod.text == "" && slices.ContainsFunc(containersAt(after, &pod), mountsPipeline)
		assert.True(t, isReported || isMounted, "document %d: nothing is mounted at %s%s, and nothing is reported",
			pod.document, pod.text, pod.path)
	}
}

// covers reports whether a decision is about a pod that was not mounted: its text, or the pod itself or
// the object around it.
func covers(w *postrender.Workload, pod *foundPod) bool {
	if w.Reason == inject.ReasonPodInConfigMap || w.Reason == inject.ReasonPodAsText {
		return pod.text == w.Pod
	}
	return w.Reason != inject.ReasonInjected && pod.text == "" && strings.HasPrefix(pod.path, w.Pod)
}

// isAdded reports whether a document is a storage object of the run.
func isAdded(object map[string]any) bool {
	meta, _ := object["metadata"].(map[string]any)
	labels, _ := meta["labels"].(map[string]any)
	return labels[storage.LabelProfile] != nil
}

// containersAt are the containers of the pod in the output.
func containersAt(documents []any, pod *foundPod) []any {
	if pod.document > len(documents) {
		return nil
	}
	value := documents[pod.document-1]
	for token := range strings.SplitSeq(strings.TrimPrefix(pod.path, "/"), "/") {
		switch at := value.(type) {
		case map[string]any:
			value = at[strings.NewReplacer("~1", "/", "~0", "~").Replace(token)]
		case []any:
			var i int
			if err := json.Unmarshal([]byte(token), &i); err != nil || i >= len(at) {
				return nil
			}
			value = at[i]
		}
	}
	list, _ := value.([]any)
	return list
}

// mountsPipeline reports whether a container mounts the claim of the run, or mirrors the mounts of
// another one, as Argo's can.
func mountsPipeline(container any) bool {
	object, _ := container.(map[string]any)
	if object["mirrorVolumeMounts"] == true {
		return true
	}
	mounts, _ := object["volumeMounts"].([]any)
	return slices.ContainsFunc(mounts, func(mount any) bool {
		m, _ := mount.(map[string]any)
		return m["mountPath"] == "/mnt/pipeline"
	})
}
