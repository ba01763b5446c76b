package postrender_test

import (
	"bytes"
	"encoding/base64"
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
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/internal/manifest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/pkg/postrender"
)

// remover takes out what a renderer puts in.
func remover(r *postrender.Renderer) *postrender.Renderer {
	w := *r
	w.Remove, w.Selector = postrender.RemoveAll, nil
	return &w
}

// requireRemoved runs a removal and requires what must hold of each: on an error there is no
// output, and a second run changes nothing. It returns nil on an error.
func requireRemoved(t *testing.T, r *postrender.Renderer, in []byte) *postrender.Output {
	t.Helper()
	before := bytes.Clone(in)
	out, err := r.Render(in)
	require.Equal(t, before, in, "the input was written to")
	if err != nil {
		require.Empty(t, out.Bytes(), "an error must leave no output")
		require.Equal(t, err.Error(), out.Report.Error)
		return nil
	}
	again, err := r.Render(out.Bytes())
	require.NoError(t, err, "the second run")
	require.Equal(t, string(out.Bytes()), string(again.Bytes()), "the second run changed something")
	return out
}

// requireRoundTrip requires that what is rendered and removed again is what it was: the bytes, but
// for lists and mappings that were null or empty. It reports whether it was. A stream that had
// injected fields already is less afterwards.
func requireRoundTrip(t *testing.T, r *postrender.Renderer, in []byte) bool {
	t.Helper()
	rendered, err := r.Render(in)
	original := requireRemoved(t, remover(r), in)
	if err != nil || original == nil || warns(original, " stays") {
		return false
	}
	back := requireRemoved(t, remover(r), rendered.Bytes())
	require.NotNil(t, back, "what was rendered can be removed")
	if warns(back, " stays") {
		return false
	}
	requireSameMeaning(t, original.Bytes(), back.Bytes())
	if count(back, labelIsRetained) > count(original, labelIsRetained) {
		return false
	}
	requireOnlyFillings(t, original.Bytes(), back.Bytes())
	return !original.Changed()
}

// labelIsRetained is the warning about the opt-in label, which an author may have set, too.
const labelIsRetained = "pipeline-storage stays: it may be the pod's own"

// warns reports whether a warning has the text.
func warns(out *postrender.Output, text string) bool { return count(out, text) > 0 }

// count counts the warnings that have the text.
func count(out *postrender.Output, text string) int {
	warnings := out.Report.Warnings
	for _, w := range out.Report.Workloads {
		warnings = append(slices.Clip(warnings), w.Warnings...)
	}
	return len(slices.DeleteFunc(slices.Clone(warnings), func(w string) bool { return !strings.Contains(w, text) }))
}

// requireSameMeaning compares the documents of two streams as Helm decodes them, where empty is the
// same as absent.
func requireSameMeaning(t *testing.T, want, got []byte) {
	t.Helper()
	before, after := manifest.Split(want), manifest.Split(got)
	require.Len(t, after, len(before), "documents")
	for i := range before {
		original, err := yaml.YAMLToJSON(before[i].Body)
		if err != nil {
			continue
		}
		back, err := yaml.YAMLToJSON(after[i].Body)
		require.NoError(t, err)
		require.JSONEq(t, withoutEmpty(t, original), withoutEmpty(t, back), "document %d", before[i].Number)
	}
}

func withoutEmpty(t *testing.T, document []byte) string {
	t.Helper()
	var value any
	require.NoError(t, json.Unmarshal(document, &value))
	text, err := json.Marshal(prune(value))
	require.NoError(t, err)
	return string(text)
}

// prune drops what is null or empty from mappings, and the opt-in label.
func prune(value any) any {
	switch value := value.(type) {
	case map[string]any:
		pruned := map[string]any{}
		for key, child := range value {
			isLabel := strings.HasSuffix(key, kinds.Label) && child == kinds.LabelEnabled
			if child = prune(child); child != nil && !isLabel {
				pruned[key] = child
			}
		}
		if len(pruned) == 0 {
			return nil
		}
		return pruned
	case []any:
		if len(value) == 0 {
			return nil
		}
		for i := range value {
			value[i] = prune(value[i])
		}
	}
	return value
}

// filled are lines that can have held a place that was null or empty.
var filled = regexp.MustCompile(`:\s*(#.*)?$|~|null|Null|NULL|[\[{]\s*([\]}]|$)|^\s*[\]}]`)

// requireOnlyFillings requires that the lines of a stream came back, but for those that were
// filled: a key without a value may be missing, and where null stood may be an empty list.
func requireOnlyFillings(t *testing.T, want, got []byte) {
	t.Helper()
	if bytes.Equal(want, got) {
		return
	}
	// The line break that a last line lacked cannot be distinguished from one that it had.
	before := strings.Split(strings.TrimRight(string(want), "\r\n"), "\n")
	after := strings.Split(strings.TrimRight(string(got), "\r\n"), "\n")
	for i, line := range before {
		switch {
		case len(after) > 0 && after[0] == line:
			after = after[1:]
		case filled.MatchString(line):
			if i+1 == len(before) || len(after) > 0 && after[0] != before[i+1] {
				after = after[min(1, len(after)):]
			}
		default:
			require.Equal(t, string(want), string(got), "line %d is not as it was", i+1)
		}
	}
	require.Empty(t, after)
}

const labelAdded = "gets the opt-in label where nothing can be mounted, which stays"

// notRestored are streams that have injected fields, or similar ones, before they are rendered.
var notRestored = map[string]string{
	"46-second-run":                       "was rendered before, and is without it now",
	"kserve":                              labelAdded,
	"labels-where-nothing-can-be-mounted": labelAdded,
	"objects-inside-other-kinds":          labelAdded,
	"other-pipeline-kinds":                labelAdded,
	"spark-conf-mounts-the-claim":         labelAdded,
	"tekton-steps-by-reference":           labelAdded,
	"cr-argo-workflows":                   labelAdded,
	"cr-kueue":                            labelAdded,
	"claim-mounted-read-only":             "has the claim by volumes of its own, and mounts of those stay",
	"claim-of-another-configuration-is-retained": "has our volume with a claim of another " +
		"configuration, which stays with all its mounts",
}

func TestRemovesRenderedStorageToTheByte(t *testing.T) {
	inputs, err := filepath.Glob(filepath.Join("testdata", "render", "*.in.yaml"))
	require.NoError(t, err)
	for _, input := range inputs {
		name := strings.TrimSuffix(filepath.Base(input), ".in.yaml")
		t.Run(name, func(t *testing.T) { assertRestored(t, newRenderer(t, storage.DefaultMountPath), name, input) })
	}
	for _, input := range sharedFiles(t, "traps") {
		name := strings.TrimSuffix(filepath.Base(input), ".yaml")
		t.Run(name, func(t *testing.T) { assertRestored(t, trapRenderer(t, traps[name].path), name, input) })
	}
}

func TestRestoresRealCharts(t *testing.T) {
	for _, input := range sharedFiles(t, "corpus") {
		name := strings.TrimSuffix(filepath.Base(input), ".yaml")
		t.Run(name, func(t *testing.T) { assertRestored(t, newRenderer(t, "/mnt/pipeline"), name, input) })
	}
}

func assertRestored(t *testing.T, r *postrender.Renderer, name, input string) {
	t.Helper()
	in, err := os.ReadFile(input)
	require.NoError(t, err)
	if _, err := r.Render(in); err != nil {
		requireUnchanged(t, r, name, in)
		return
	}
	isRestored := requireRoundTrip(t, r, in)
	assert.Equal(t, notRestored[name] == "", isRestored)
}

// requireUnchanged requires that a stream is one of those that are refused, and that a removal
// changes nothing in what was never rendered.
func requireUnchanged(t *testing.T, r *postrender.Renderer, name string, in []byte) {
	t.Helper()
	if _, isTrap := traps[name]; isTrap {
		require.NotEmpty(t, traps[name].expErr)
	} else {
		require.FileExists(t, filepath.Join("testdata", "render", name+".err.txt"))
	}
	if out, err := remover(r).Render(in); err == nil {
		assert.Equal(t, string(in), string(out.Bytes()))
	}
}

// everything is a profile with all that injection can add to a pod.
func everything(t testing.TB) *postrender.Renderer {
	t.Helper()
	r := newRenderer(t, storage.DefaultMountPath)
	first := &r.Config.Profiles[0]
	first.FSGroup, first.Env, first.Colocate = new(int64(1000)), storage.VariableNames{"DATA", "HF_HOME"}, true
	r.Config.Profiles[0].Volume = &storage.Volume{Handle: "vol-1", Zone: "a", Create: new(true)}
	r.Config.Profiles = append(r.Config.Profiles, storage.Profile{
		Name: "b", Mount: storage.MountConfig{Path: "/b", SubPath: "x", ReadOnly: true}, FSGroup: new(int64(2000)),
		Env: storage.VariableNames{"B"}, SELinuxChangePolicy: corev1.SELinuxChangePolicyRecursive,
	})
	r.Config.SetDefaults()
	require.Empty(t, r.Config.Validate())
	return r
}

func TestRemovesEverythingInjected(t *testing.T) {
	in, err := os.ReadFile(filepath.Join("testdata", "remove", "two-profiles.yaml"))
	require.NoError(t, err)
	r := everything(t)
	rendered := requireProperties(t, r, in)
	for _, text := range []string{
		"fsGroup: 2000", `"fsGroup": 1000`, "default.pipeline-storage.io/claim",
		"topologyKey: kubernetes.io/hostname", "name: DATA", "name: HF_HOME", "seLinuxChangePolicy: Recursive",
		"value: /b", "subPath: x", "kind: PersistentVolume\n",
	} {
		require.Contains(t, string(rendered.Bytes()), text)
	}
	require.True(t, requireRoundTrip(t, r, in))
	back, err := remover(r).Render(rendered.Bytes())
	require.NoError(t, err)
	assert.Equal(t, string(in), string(back.Bytes()))
	for _, marked := range []bool{true, false} { // what Helm 4 has seen
		r.Helm4 = marked
		out, err := r.Render(in)
		require.NoError(t, err)
		back, err := remover(r).Render(out.Bytes())
		require.NoError(t, err)
		assert.Equal(t, string(in), string(back.Bytes()))
	}
}

// removedWith is what streams were rendered with in addition to everything.
var removedWith = map[string]func(*storage.Config){
	"a-cronjob-with-directories-as-kubectl-prints-it": func(c *storage.Config) {
		c.Profiles[0].Mount.SubPath = "runs/{pod.name}/{pod.labels['app']}"
	},
}

// TestRemovedStreams compares NAME.in.yaml with NAME.out.yaml, and the report with NAME.txt.
func TestRemovedStreams(t *testing.T) {
	inputs, err := filepath.Glob(filepath.Join("testdata", "remove", "*.in.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, inputs)
	for _, input := range inputs {
		base := strings.TrimSuffix(input, ".in.yaml")
		t.Run(filepath.Base(base), func(t *testing.T) {
			in, err := os.ReadFile(input)
			require.NoError(t, err)
			r := everything(t)
			r.Config.Profiles[0].Volume = nil
			if change := removedWith[filepath.Base(base)]; change != nil {
				change(r.Config)
			}
			out := requireRemoved(t, remover(r), in)
			if out == nil {
				_, err := remover(r).Render(in)
				requireFile(t, base+".err.txt", base+".out.yaml", err.Error()+"\n")
				return
			}
			requireFile(t, base+".out.yaml", base+".err.txt", string(out.Bytes()))
			requireFile(t, base+".txt", base+".err.txt", summaryOf(&out.Report))
		})
	}
}

// summaryOf is a report in a few lines.
func summaryOf(report *postrender.Report) string {
	var b strings.Builder
	for _, w := range report.Workloads {
		fmt.Fprintf(&b, "document %d %s/%s %s: %s %s\n", w.Document, w.Kind, w.Name, w.Pod, w.Reason, w.Message)
		for _, warning := range w.Warnings {
			fmt.Fprintf(&b, "  warning: %s\n", warning)
		}
	}
	for _, o := range report.Objects {
		fmt.Fprintf(&b, "%s %s/%s\n", o.Action, o.Kind, o.Name)
	}
	for _, warning := range report.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", warning)
	}
	return b.String()
}

func TestRetainsStorageUnlessRemovingAll(t *testing.T) {
	in, err := os.ReadFile(filepath.Join("testdata", "remove", "two-profiles.yaml"))
	require.NoError(t, err)
	r := everything(t)
	rendered, err := r.Render(in)
	require.NoError(t, err)
	pods := remover(r)
	pods.Remove = postrender.RemovePods
	out := requireRemoved(t, pods, rendered.Bytes())
	assert.Equal(t, strings.Count(string(rendered.Bytes()), "kind: PersistentVolumeClaim\n"),
		strings.Count(string(out.Bytes()), "kind: PersistentVolumeClaim\n"))
	assert.NotContains(t, string(out.Bytes()), "claimName")
	require.Len(t, out.Report.Objects, len(rendered.Report.Objects))
	for _, o := range out.Report.Objects {
		assert.Equal(t, postrender.Retained, o.Action)
	}
	assert.True(t, warns(out, "--remove=all"))

	// What is left is known later, too.
	all := requireRemoved(t, remover(r), out.Bytes())
	assert.Equal(t, string(in), string(all.Bytes()))
	assert.True(t, warns(all, "kubectl apply --prune"))
}

// twoPods are pods with the claim of the release, and behind them a document of one's own.
const twoPods = `apiVersion: v1
kind: Pod
metadata: {name: a}
spec: {containers: [{name: c}]}
---
apiVersion: batch/v1
kind: Job
metadata: {name: b}
spec: {template: {spec: {containers: [{name: c}]}}}
`

func TestRetainsStorageThatIsStillUsed(t *testing.T) {
	const workflow = "---\napiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {name: " +
		"w}\nspec: {workflowTemplateRef: {name: t}, arguments: {parameters: [{name: x, value: %q}]}}\n"
	const unknown = "---\napiVersion: x.example/v1\nkind: Runner\nmetadata: {name: r}\nspec: {claimName: %s}\n"
	const template = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: t}\ndata:\n  pod.yaml: " +
		"|\n    kind: Pod\n    spec:\n      volumes:\n      - {persistentVolumeClaim: {claimName: %s}}\n"
	in := func(format string) string { return fmt.Sprintf(format, "pvc-data-pipeline.rel") }
	cases := map[string]struct {
		kinds, names []string
		selector     string
		more         string
		exp          string
	}{
		"everything goes":                 {},
		"another name mounts it":          {names: []string{"a"}, exp: "document 4 Job/b mounts the claim"},
		"another kind mounts it":          {kinds: []string{"Job"}, exp: "document 3 Pod/a mounts the claim"},
		"pods without the label mount it": {selector: "a=b", exp: "document 3 Pod/a mounts the claim"},
		"an unknown kind names it":        {more: in(unknown), exp: "document 5 Runner names the claim"},
		"an unknown kind names it in JSON": {
			more: "---\n" + in(`{"kind":"Runner","spec":{"claimName":"%s"}}`) + "\n",
			exp:  " names the claim",
		},
		"a pod in a ConfigMap names it": {more: in(template), exp: "document 5 ConfigMap/t names the claim"},
		"a pod in a Secret names it, in base64": {
			more: "---\napiVersion: v1\nkind: Secret\nmetadata: {name: t}\ndata: {pod.yaml: " +
				base64.StdEncoding.EncodeToString([]byte("kind: Pod\nspec:\n  containers: [{name: c, image: i}]\n"+
					in("  volumes:\n  - {persistentVolumeClaim: {claimName: %s}}\n"))) + "}\n",
			exp: "document 5 Secret/t names the claim",
		},
		"the configuration of Spark mounts it": {
			more: in("---\napiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nmetadata: {name: s}\nspec:\n" +
				"  sparkConf:\n    spark.kubernetes.driver.volumes.persistentVolumeClaim.d.mount.path: /in\n" +
				"    spark.kubernetes.driver.volumes.persistentVolumeClaim.d.options.claimName: %s\n  driver: {cores: 1}\n" +
				"  executor: {cores: 1}\n"),
			exp: "document 5 SparkApplication/s mounts the claim",
		},
		"a kind without containers does": {more: in(workflow), exp: "document 5 Workflow/w names the claim"},
		"an item of a List names it": {
			more: in("---\napiVersion: v1\nkind: List\nitems:\n- " +
				"{apiVersion: x.example/v1, kind: Runner, metadata: {name: r}, claim: %s}\n"),
			exp: "document 5 Runner/r names the claim",
		},
		"a longer name is another claim": {more: in(strings.ReplaceAll(unknown, "%s", "%s.old"))},
		"a name that ends so is another": {more: in(strings.ReplaceAll(unknown, "%s", "old-%s"))},
		"a name at the end of a sentence is": {
			more: in(strings.ReplaceAll(unknown, "%s", "the claim %s.")),
			exp:  "document 5 Runner names the claim",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r := newRenderer(t, storage.DefaultMountPath)
			rendered, err := r.Render([]byte(twoPods))
			require.NoError(t, err)
			require.Equal(t, 2, strings.Count(string(rendered.Bytes()), "claimName"))
			w := remover(r)
			w.Kinds, w.Names = tc.kinds, tc.names
			if tc.selector != "" {
				w.Selector = labels.SelectorFromSet(labels.Set{"a": "b"})
			}
			out := requireRemoved(t, w, append(rendered.Bytes(), tc.more...))
			require.NotNil(t, out)
			assert.Equal(t, tc.exp != "", warns(out, tc.exp) && warns(out, " is retained, with all storage objects"))
			assert.Equal(t, tc.exp != "", strings.Contains(string(out.Bytes()), "kind: PersistentVolumeClaim"))
			assert.False(t, warns(out, "label"), "a removal gives no advice on injection")
		})
	}
}

func TestRefusesToRemoveWholeStream(t *testing.T) {
	in := "kind: Pod\napiVersion: v1\nmetadata: {name: p}\nspec: {containers: [{name: c}]}\n"
	r := newRenderer(t, storage.DefaultMountPath)
	rendered, err := r.Render([]byte(in))
	require.NoError(t, err)
	storage, _, _ := strings.Cut(string(rendered.Bytes()), "---\nkind: Pod")
	out, err := remover(r).Render([]byte(storage))
	require.ErrorContains(t, err, "the output would be empty: delete the stream instead")
	assert.Empty(t, out.Bytes())
}

func TestRemovalRequiresRelease(t *testing.T) {
	in := "kind: Pod\napiVersion: v1\nmetadata: {name: p}\nspec: {containers: [{name: c}], volumes: " +
		"[{name: pipeline-storage, persistentVolumeClaim: {claimName: x}}]}\n"
	r := remover(newRenderer(t, storage.DefaultMountPath))
	r.Release = storage.Release{}
	_, err := r.Render([]byte(in))
	require.ErrorContains(t, err, "document 1 Pod/p: profile \"default\": the name of its claim needs "+
		"the release and its namespace: add --namespace")
	out, err := r.Render([]byte(strings.ReplaceAll(in, "pipeline-storage", "mine")))
	require.NoError(t, err)
	assert.False(t, out.Changed())
	r.Config.Profiles[0].Claim.Name = "x"
	out, err = r.Render([]byte(in))
	require.NoError(t, err)
	assert.True(t, out.Changed())
}

// hasInjectedWords reports whether a stream has words, outside of comments, that a removal takes
// for injected ones.
func hasInjectedWords(stream []byte) bool {
	return slices.ContainsFunc(manifest.Split(stream), func(doc manifest.Document) bool {
		tree, err := manifest.Decode(doc.Body)
		return err == nil && hasInjectedWord(tree.Value())
	})
}

func hasInjectedWord(value any) bool {
	switch value := value.(type) {
	case string:
		return slices.Contains([]string{"pipeline-storage", "pipeline-storage-b", "DATA", "B"}, value)
	case []any:
		return slices.ContainsFunc(value, hasInjectedWord)
	case map[string]any:
		_, hasPolicy := value["fsGroupChangePolicy"]
		return hasPolicy || slices.ContainsFunc(slices.Collect(maps.Values(value)), hasInjectedWord)
	}
	return false
}

// FuzzRemove renders arbitrary streams and removes what was added.
func FuzzRemove(f *testing.F) {
	for _, pattern := range []string{"render/*.yaml", "remove/*.yaml"} {
		files, err := filepath.Glob(filepath.Join("testdata", filepath.FromSlash(pattern)))
		require.NoError(f, err)
		require.NotEmpty(f, files)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(f, err)
			f.Add(text, false)
			f.Add(text, true)
		}
	}
	f.Fuzz(func(t *testing.T, stream []byte, all bool) {
		r := newRenderer(t, storage.DefaultMountPath)
		if all {
			r = everything(t)
		}
		if hasInjectedWords(stream) {
			requireRemoved(t, remover(r), stream)
			return
		}
		if rendered, err := r.Render(stream); err == nil {
			if _, err := r.Render(rendered.Bytes()); err != nil {
				return // a broken directive, which is behind storage now: what is not looked at passes, storage is looked at
			}
		}
		requireRoundTrip(t, r, stream)
	})
}
