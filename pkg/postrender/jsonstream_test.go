package postrender_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/postrender"
)

// jsonPod is a labelled pod on one line.
func jsonPod(name string) string {
	return `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"` + name + `","labels":{"pipeline-storage":"enabled"}},` +
		`"spec":{"containers":[{"name":"a","image":"b"}]}}`
}

// kubectlObjects returns the objects that kubectl reads of a stream, as KIND/NAME, and its error.
// Source: k8s.io/cli-runtime, pkg/resource/visitor.go, StreamVisitor.
func kubectlObjects(stream []byte) ([]string, error) {
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(stream), 4096)
	var names []string
	for {
		var object map[string]any
		switch err := decoder.Decode(&object); {
		case errors.Is(err, io.EOF):
			return names, nil
		case err != nil:
			return names, err
		case object != nil:
			meta, _ := object["metadata"].(map[string]any)
			kind, _ := object["kind"].(string)
			name, _ := meta["name"].(string)
			names = append(names, kind+"/"+name)
		}
	}
}

// TestKubectlReadsEveryObject has streams as jq, kubectl and people make them: what is served is read
// whole by kubectl, and a stream of JSON by jq.
func TestKubectlReadsEveryObject(t *testing.T) {
	p, q, other := jsonPod("p"), jsonPod("q"), `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"}}`
	const class, claim = "StorageClass/fast.pipelines.rel", "PersistentVolumeClaim/pvc-data-pipeline.rel"
	for name, tc := range map[string]struct {
		stream string
		exp    []string
		isJSON bool
	}{
		"objects on lines":     {p + "\n" + q + "\n", []string{class, claim, "Pod/p", "Pod/q"}, true},
		"objects on one line":  {p + q, []string{class, claim, "Pod/p", "Pod/q"}, true},
		"a pod behind another": {other + "\n" + p, []string{"ConfigMap/c", class, claim, "Pod/p"}, true},
		"blanks in front":      {" \n\t" + other + p + q, []string{"ConfigMap/c", class, claim, "Pod/p", "Pod/q"}, true},
		"the namespace is last": {
			p + `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"n"}}`,
			[]string{"Pod/p", "Namespace/n", class, claim},
			true,
		},
		"one object":             {p + "\n", []string{class, claim, "Pod/p"}, false},
		"objects and separators": {p + "\n---\t\n" + q, []string{class, claim, "Pod/p", "Pod/q"}, false},
		"nothing to serve":       {other + other, []string{"ConfigMap/c", "ConfigMap/c"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			out := requireProperties(t, labelled(), []byte(tc.stream))
			require.Empty(t, out.Report.Error)
			names, err := kubectlObjects(out.Bytes())
			require.NoError(t, err)
			assert.Equal(t, tc.exp, names)
			assert.Equal(t, strings.Count(tc.stream, `"enabled"`), out.Report.Count(inject.ReasonInjected))
			if tc.isJSON {
				requireJSONObjects(t, out.Bytes(), len(tc.exp))
			}
		})
	}
}

// requireJSONObjects requires that a stream is so many JSON values.
func requireJSONObjects(t *testing.T, stream []byte, exp int) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(stream))
	for range exp {
		require.NoError(t, decoder.Decode(new(any)))
	}
	require.ErrorIs(t, decoder.Decode(new(any)), io.EOF)
}

// TestRefusesWhatReadersDrop has streams of which kubectl drops an object without an error, or which it
// cannot read, and what none of our readers would show.
func TestRefusesWhatReadersDrop(t *testing.T) {
	p, q, r := jsonPod("p"), jsonPod("q"), jsonPod("r")
	const refused = ": a second value begins, but kubectl and Helm read only the first one of a document: put a line " +
		"--- in front of it, or remove it"
	const yamlPod = "apiVersion: v1\nkind: Pod\nmetadata: {name: y}\n"
	for name, tc := range map[string]struct {
		stream, exp string
		// read are the objects that kubectl reads. Fails reports whether it has an error then.
		read  []string
		fails bool
	}{
		"JSON behind a separator": {
			"---\n" + p + "\n" + q + "\n", "document 1 Pod: line 3" + refused, []string{"Pod/p"}, false,
		},
		"JSON behind a document of Helm": {
			"---\n# Source: a.yaml\n" + p + "\n---\n# Source: b.yaml\n" + q + r, "document 2 Pod: line 3" + refused,
			[]string{"Pod/p", "Pod/q"},
			false,
		},
		"a separator behind JSON objects": {
			p + "\n" + q + "\n---\n" + r, "document 1 Pod: line 2" + refused, []string{"Pod/p", "Pod/q"}, true,
		},
		"JSON behind a comment": {
			p + "\n# c\n" + q + r, "document 1 Pod: line 3" + refused, []string{"Pod/p", "Pod/q"}, false,
		},
		"YAML behind an end marker": {
			"kind: ConfigMap\nmetadata: {name: c}\n...\n" + yamlPod, "document 1 ConfigMap: line 4" + refused,
			[]string{"ConfigMap/c"},
			false,
		},
		"YAML behind flow style": {
			"{kind: ConfigMap, metadata: {name: c}}\n" + yamlPod, "document 1: line 2" + refused,
			[]string{"ConfigMap/c"},
			false,
		},
		"a Secret behind a Secret": {
			"---\n{\"kind\":\"Secret\"}{\"kind\":\"Secret\"}", "document 1 Secret: line 2" + refused, []string{"Secret/"}, false,
		},
		"an object that cannot be parsed": {
			"---\n{\"kind\":\"Secret\"}\n{\"data\": hunter2: [", "document 1 Secret: line 3" + refused,
			[]string{"Secret/"},
			false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			for mode, remove := range map[string]postrender.Removal{"add": "", "remove": postrender.RemoveAll} {
				renderer := labelled()
				renderer.Remove = remove
				out, err := renderer.Render([]byte(tc.stream))
				require.EqualError(t, err, tc.exp, mode)
				assert.Empty(t, out.Bytes())
			}
			read, err := kubectlObjects([]byte(tc.stream))
			assert.Equal(t, tc.read, read)
			assert.Equal(t, tc.fails, err != nil, "%v", err)
		})
	}
}

func TestRefusesJSONStreamForHelm4(t *testing.T) {
	r := labelled()
	r.Helm4 = true
	out, err := r.Render([]byte(jsonPod("p") + jsonPod("q")))
	require.EqualError(t, err, "the stream is of JSON objects without separators, of which Helm 4 reads the first one "+
		"only: put a line --- between them")
	assert.Equal(t, err.Error(), out.Report.Error)
	assert.Empty(t, out.Bytes())
	_, err = r.Render([]byte(jsonPod("p") + "\n---\n" + jsonPod("q")))
	require.NoError(t, err)
}

// TestRemovalRestoresJSONStream adds and removes: every byte is as it was.
func TestRemovalRestoresJSONStream(t *testing.T) {
	for name, in := range map[string]string{
		"on lines":    jsonPod("p") + "\n" + jsonPod("q") + "\n",
		"on one line": jsonPod("p") + jsonPod("q"),
		"with blanks in front of a byte order mark": "\uFEFF \n" + jsonPod("p") + "\r\n\r\n" + jsonPod("q"),
		"behind a Namespace":                        `{"apiVersion":"v1","kind":"Namespace"}` + "\n\n" + jsonPod("p"),
	} {
		t.Run(name, func(t *testing.T) {
			added, err := labelled().Render([]byte(in))
			require.NoError(t, err)
			r := labelled()
			r.Remove = postrender.RemoveAll
			out, err := r.Render(added.Bytes())
			require.NoError(t, err)
			assert.Equal(t, in, string(out.Bytes()))

			r.Remove = postrender.RemovePods
			out, err = r.Render(added.Bytes())
			require.NoError(t, err)
			assert.Contains(t, string(out.Bytes()), "PersistentVolumeClaim")
			assert.NotContains(t, string(out.Bytes()), "claimName")
		})
	}
}

// TestRefusesOtherEncodings has manifests as PowerShell and editors write them.
func TestRefusesOtherEncodings(t *testing.T) {
	encode := func(low, high string) string {
		var b strings.Builder
		for _, c := range "kind: Pod\n" {
			b.WriteString(low + string(c) + high)
		}
		return b.String()
	}
	for name, in := range map[string]string{
		"UTF-16 with a byte order mark":            "\xff\xfe" + encode("", "\x00"),
		"big-endian UTF-16 with a byte order mark": "\xfe\xff" + encode("\x00", ""),
		"UTF-16":                                encode("", "\x00"),
		"big-endian UTF-16":                     encode("\x00", ""),
		"UTF-32":                                encode("", "\x00\x00\x00"),
		"UTF-16 that begins with an empty line": "\n\x00" + encode("", "\x00"),
		"UTF-16 with a byte order mark, and else none": "\xff\xfe",
	} {
		t.Run(name, func(t *testing.T) {
			out, err := labelled().Render([]byte(in))
			require.ErrorContains(t, err, "the stream is in UTF-16 or UTF-32, and Helm reads UTF-8 only: convert it first")
			assert.Empty(t, out.Bytes())
		})
	}
	for name, in := range map[string]string{
		"binary": "\x00\xff\x00binary", "UTF-8": "\uFEFFa: 1", "one byte": "a", "nothing": "",
	} {
		t.Run(name, func(t *testing.T) {
			out, err := labelled().Render([]byte(in))
			require.NoError(t, err)
			assert.Equal(t, in, string(out.Bytes()))
		})
	}
}

// TestNoPodOfStreamIsPassedOver joins pods and what stands between them in every way. Each stream is
// refused, here or by kubectl, or every pod of its text is mounted and kubectl reads them all.
func TestNoPodOfStreamIsPassedOver(t *testing.T) {
	pods := []string{
		jsonPod("p"), "apiVersion: v1\nkind: Pod\nmetadata: {name: y, labels: {pipeline-storage: enabled}}\n" +
			"spec:\n  containers:\n  - name: a\n",
		"{apiVersion: v1, kind: Pod, metadata: {name: f, labels: {pipeline-storage: enabled}}, " +
			"spec: {containers: [{name: a}]}}",
	}
	others := []string{
		`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"}}`,
		"apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n",
		"  apiVersion: v1\n  kind: Service\n  metadata: {name: i}\n",
	}
	between := []string{
		"", " ", "\n", "\n---\n", "\n--- # c\n", "\n---\t\n", "\n...\n", "\n... # c\n", "\n...\n---\n", "\n# c\n",
		"\n...\n%YAML 1.1\n---\n",
	}
	all := append(slices.Clone(others), pods...)
	served := 0
	for _, first := range all {
		for _, a := range between {
			for _, second := range all {
				for _, b := range []string{"", "\n", "\n---\n", "\n...\n"} {
					for _, third := range pods[:2] {
						if !isOneMapping(first, a, second) && !isOneMapping(second, b, third) {
							served += requireNoPodLost(t, first+a+second+b+third+"\n")
						}
					}
				}
			}
		}
	}
	assert.Greater(t, served, 300, "streams with separators")
}

// isOneMapping reports whether the keys of two texts are those of one mapping, each there twice.
func isOneMapping(first, between, second string) bool {
	isIndented := func(text string) bool { return strings.HasPrefix(text, " ") }
	isBlock := func(text string) bool { return !strings.HasPrefix(text, "{") }
	return isBlock(first) && isBlock(second) && !strings.ContainsAny(between, "-.") &&
		(!isIndented(first) || isIndented(second))
}

// requireNoPodLost renders a stream and returns 1 where it was not refused.
func requireNoPodLost(t *testing.T, stream string) int {
	t.Helper()
	out, err := labelled().Render([]byte(stream))
	if err != nil {
		return 0
	}
	_, problem := kubectlObjects([]byte(stream))
	if problem != nil && (!out.Changed() || !helmReads([]byte(stream))) {
		return 0
	}
	exp := strings.Count(stream, "Pod")
	require.Equal(t, exp, out.Report.Count(inject.ReasonInjected), "%q", stream)
	if problem != nil { // only Helm reads it, such as an end marker behind JSON
		return 1
	}
	read, err := kubectlObjects(out.Bytes())
	require.NoError(t, err, "%q", stream)
	pods := slices.DeleteFunc(read, func(name string) bool { return !strings.HasPrefix(name, "Pod/") })
	require.Len(t, pods, exp, "%q", stream)
	return 1
}
