package postrender_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/pkg/postrender"
)

// workload is a manifest with one labelled pod template.
func workload(kind, name string, more ...string) string {
	group := map[string]string{"Job": "batch/v1", "CronJob": "batch/v1"}[kind]
	if group == "" {
		group = "apps/v1"
	}
	return "---\napiVersion: " + group + "\nkind: " + kind + "\nmetadata:\n  name: " + name + "\nspec:\n" + strings.Join(more, "") +
		"  template:\n    metadata:\n      labels:\n        pipeline-storage: enabled\n    spec:\n      containers:\n      - name: main\n        image: x\n"
}

// labelled selects by the default label.
func labelled(change ...func(*storage.Profile)) *postrender.Renderer {
	config, _, err := storage.New(func(c *storage.Config) error {
		for _, f := range change {
			f(&c.Profiles[0])
		}
		return nil
	})
	if err != nil {
		panic(err)
	}
	return &postrender.Renderer{Config: config, Release: storage.Release{Name: "rel", Namespace: "pipelines"}}
}

func TestRunIsHelmsPostRenderer(t *testing.T) {
	in := workload("Deployment", "a")
	out, err := labelled().Run(bytes.NewBufferString(in))
	require.NoError(t, err)
	assert.Contains(t, out.String(), "claimName: pvc-data-pipeline.rel")
	out, err = labelled().Run(bytes.NewBufferString("apiVersion: v1\nkind: Pod\nspec: [\n"))
	require.Error(t, err)
	assert.Nil(t, out)
}

func TestTheReleaseIsNeverGuessed(t *testing.T) {
	claim := func(name string, create bool) func(*storage.Profile) {
		return func(p *storage.Profile) { p.Claim.Name, p.Claim.Create = name, &create }
	}
	cases := map[string]struct {
		renderer *postrender.Renderer
		release  storage.Release
		expErr   string
	}{
		"both are given":                       {labelled(), storage.Release{Name: "r", Namespace: "n"}, ""},
		"no release":                           {labelled(), storage.Release{Namespace: "n"}, "add --namespace NAMESPACE --release RELEASE"},
		"no namespace":                         {labelled(), storage.Release{Name: "r"}, "add --namespace NAMESPACE --release RELEASE"},
		"a claim that exists needs neither":    {labelled(claim("mine", false)), storage.Release{}, ""},
		"but its name may ask for the release": {labelled(claim("mine-{release}", false)), storage.Release{}, "add --namespace NAMESPACE"},
		"and a default name does":              {labelled(claim("", false)), storage.Release{}, "add --namespace NAMESPACE"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.renderer.Release = tc.release
			out, err := tc.renderer.Render([]byte(workload("Deployment", "a")))
			if tc.expErr == "" {
				require.NoError(t, err)
				assert.True(t, out.Changed())
				return
			}
			require.ErrorContains(t, err, tc.expErr)
			assert.Empty(t, out.Bytes())
		})
	}
	_, err := (&postrender.Renderer{}).Render(nil)
	require.ErrorContains(t, err, "there is no configuration")
}

func TestSelection(t *testing.T) {
	both := workload("Deployment", "a") + workload("Job", "b")
	onWorkload := strings.Replace(strings.Replace(workload("Deployment", "a"), "        pipeline-storage: enabled\n", "        app: a\n", 1),
		"  name: a\n", "  name: a\n  labels:\n    pipeline-storage: enabled\n", 1)
	cases := map[string]struct {
		change      func(*postrender.Renderer)
		stream      string
		expInjected int
		expMessage  string
	}{
		"by the label":  {stream: both, expInjected: 2},
		"by kind":       {func(r *postrender.Renderer) { r.Kinds = []string{"Job"} }, both, 1, "its kind is not among those that were asked for"},
		"by name":       {func(r *postrender.Renderer) { r.Names = []string{"a"} }, both, 1, "its name is not among those that were asked for"},
		"by a selector": {func(r *postrender.Renderer) { r.Selector = labels.SelectorFromSet(labels.Set{"x": "y"}) }, both, 0, `its labels do not match "x=y"`},
		"the label on the workload is not on its pods": {
			stream:     onWorkload,
			expMessage: "the label is on the Deployment, not on its pods: put it into the labels of its pod template, spec.template",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r := labelled()
			if tc.change != nil {
				tc.change(r)
			}
			out, err := r.Render([]byte(tc.stream))
			require.NoError(t, err)
			assert.Equal(t, tc.expInjected, out.Report.Count(inject.ReasonInjected))
			if tc.expMessage != "" {
				assert.Contains(t, messages(out.Report.Workloads), tc.expMessage)
			}
			if tc.expInjected == 0 {
				assert.Equal(t, tc.stream, string(out.Bytes()), "no storage without a mount")
				assert.Empty(t, out.Report.Objects)
				require.Len(t, out.Report.Warnings, 1)
				assert.Contains(t, out.Report.Warnings[0], "nothing was selected, so no storage was added: document 1 Deployment/a: NotSelected")
			}
		})
	}
}

func messages(workloads []postrender.Workload) string {
	var all []string
	for _, w := range workloads {
		all = append(all, w.Message)
	}
	return strings.Join(all, "\n")
}

func TestAStreamWithoutPodsSaysSo(t *testing.T) {
	in := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"
	out, err := labelled().Render([]byte(in))
	require.NoError(t, err)
	assert.Equal(t, in, string(out.Bytes()))
	assert.Equal(t, []string{"nothing was selected: the stream holds no pods"}, out.Report.Warnings)
}

func TestHooks(t *testing.T) {
	hook := func(events string) string {
		return strings.Replace(workload("Job", "h"), "  name: h\n", "  name: h\n  annotations:\n    helm.sh/hook: "+events+"\n", 1)
	}
	exists := func(p *storage.Profile) { no := false; p.Claim.Create = &no }
	cases := map[string]struct {
		renderer *postrender.Renderer
		policy   postrender.HookPolicy
		events   string
		exp      inject.Reason
	}{
		"pre-install waits for a claim that is not there": {labelled(), "", "pre-install", inject.ReasonHookNotInjected},
		"so does one event among others":                  {labelled(), "", "post-install, pre-upgrade", inject.ReasonHookNotInjected},
		"pre-delete finds the claim of its release":       {labelled(), "", "pre-delete", inject.ReasonInjected},
		"and so does pre-rollback":                        {labelled(), "", "pre-rollback", inject.ReasonInjected},
		"crd-install is the earliest":                     {labelled(), "", "crd-install", inject.ReasonHookNotInjected},
		"post-install finds the claim":                    {labelled(), "", "post-install,post-upgrade", inject.ReasonInjected},
		"a test finds the claim":                          {labelled(), "", "test", inject.ReasonInjected},
		"pre-install finds a claim that existed before":   {labelled(exists), "", "pre-install", inject.ReasonInjected},
		"all hooks on request":                            {labelled(), postrender.HooksAll, "pre-install", inject.ReasonInjected},
		"no hooks on request":                             {labelled(), postrender.HooksNone, "test", inject.ReasonHookNotInjected},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.renderer.Hooks = tc.policy
			out, err := tc.renderer.Render([]byte(hook(tc.events)))
			require.NoError(t, err)
			require.Len(t, out.Report.Workloads, 1)
			assert.Equal(t, tc.exp, out.Report.Workloads[0].Reason, out.Report.Workloads[0].Message)
			assert.NotContains(t, storageOf(out), "helm.sh/hook", "storage is no hook: Helm would delete it first")
		})
	}
}

// storageOf returns the storage objects that were put in.
func storageOf(out *postrender.Output) string {
	for _, e := range out.Edits() {
		if bytes.Contains(e.New, []byte("kind: PersistentVolumeClaim")) {
			return string(e.New)
		}
	}
	return ""
}

func TestHelmsMarks(t *testing.T) {
	plain := workload("Deployment", "a")
	fromHelm3 := strings.Replace(plain, "---\n", "---\n# Source: chart/templates/a.yaml\n", 1)
	cases := map[string]struct {
		helm4                    bool
		stream                   string
		expSource, expAnnotation int
	}{
		"a plain stream gets none":             {false, plain, 0, 0},
		"Helm 3's stream gets Source comments": {false, fromHelm3, 2, 0},
		"Helm 4 gets file names":               {true, plain, 0, 2},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r := labelled()
			r.Helm4 = tc.helm4
			out, err := r.Render([]byte(tc.stream))
			require.NoError(t, err)
			storage := storageOf(out)
			assert.Equal(t, tc.expSource, strings.Count(storage, "# Source: pipeline-storage/storage.yaml\n"))
			assert.Equal(t, tc.expAnnotation, strings.Count(storage, "postrenderer.helm.sh/postrender-filename: pipeline-storage/storage.yaml\n"))
			assert.Equal(t, 2, strings.Count(storage, "helm.sh/resource-policy: keep\n"))
		})
	}
}

func TestEmptyStreams(t *testing.T) {
	for name, stream := range map[string]string{"nothing": "", "blanks": " \n\n"} {
		t.Run(name, func(t *testing.T) {
			r := labelled()
			out, err := r.Render([]byte(stream))
			require.NoError(t, err)
			assert.Equal(t, stream, string(out.Bytes()), "empty stays empty")
			r.Helm4 = true
			out, err = r.Render([]byte(stream))
			require.NoError(t, err)
			assert.Equal(t, "# pipeline-storage: no documents\n", string(out.Bytes()), "Helm 4 takes empty output for a failure")
		})
	}
}

func TestWarnings(t *testing.T) {
	files := func(p *storage.Profile) {
		p.StorageClass.Backend = "nfs"
		p.StorageClass.Parameters = map[string]string{"server": "s", "share": "/x"}
		p.Claim.AccessModes = append(p.Claim.AccessModes, "ReadWriteMany")
	}
	volume := func(zone string) func(*storage.Profile) {
		return func(p *storage.Profile) { p.Volume = &storage.Volume{Handle: "vol-1", Zone: zone} }
	}
	const sharedDisk, zone, late = "set colocate: true (--colocate) to keep them on one node", "volume.zone is empty", "helm --wait would time out"
	cases := map[string]struct {
		renderer *postrender.Renderer
		stream   string
		exp      []string
	}{
		"one pod on a disk":               {labelled(), workload("Deployment", "a"), nil},
		"replicas on a disk":              {labelled(), workload("Deployment", "a", "  replicas: 2\n"), []string{sharedDisk}},
		"parallelism on a disk":           {labelled(), workload("Job", "a", "  parallelism: 3\n"), []string{sharedDisk}},
		"a DaemonSet on a disk":           {labelled(), workload("DaemonSet", "a"), []string{sharedDisk}},
		"two workloads on a disk":         {labelled(), workload("Deployment", "a") + workload("Job", "b"), []string{sharedDisk}},
		"replicas that are kept together": {labelled(func(p *storage.Profile) { p.Colocate = true }), workload("Deployment", "a", "  replicas: 2\n"), nil},
		"replicas on a claim of one pod": {labelled(func(p *storage.Profile) { p.Claim.AccessModes = append(p.Claim.AccessModes, "ReadWriteOncePod") }), workload("Deployment", "a", "  replicas: 2\n"), []string{
			`profile "default": its volume can be mounted by one pod only (ReadWriteOncePod), but several pods in namespace "pipelines" want it: document 1 Deployment/a; ` +
				"all others wait until it ends: use ReadWriteOnce with colocate: true, or a file backend with ReadWriteMany",
		}},
		"a file system needs no keeping together": {labelled(files, func(p *storage.Profile) { p.Colocate = true }), workload("Deployment", "a", "  replicas: 2\n"), []string{"colocate has no effect"}},
		"two namespaces, a disk each":             {labelled(), workload("Deployment", "a") + strings.Replace(workload("Job", "b"), "  name: b\n", "  name: b\n  namespace: other\n", 1), nil},
		"replicas on a file system":               {labelled(files), workload("Deployment", "a", "  replicas: 2\n"), nil},
		"a disk without a zone":                   {labelled(volume("")), workload("Deployment", "a"), []string{zone}},
		"a disk with a zone":                      {labelled(volume("z")), workload("Deployment", "a"), nil},
		"only a Deployment of no pods":            {labelled(), workload("Deployment", "a", "  replicas: 0\n"), []string{late}},
		"a bound volume needs no waiting":         {labelled(volume("z")), workload("Deployment", "a", "  replicas: 0\n"), nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			out, err := tc.renderer.Render([]byte(tc.stream))
			require.NoError(t, err)
			require.Len(t, out.Report.Warnings, len(tc.exp), "%s", out.Report.Warnings)
			for i, exp := range tc.exp {
				assert.Contains(t, out.Report.Warnings[i], exp)
			}
		})
	}
}

func TestAnExistingVolumeServesItsNamespaceOnly(t *testing.T) {
	r := labelled(func(p *storage.Profile) { p.Volume = &storage.Volume{Handle: "vol-1", Zone: "z"} })
	out, err := r.Render([]byte(workload("Deployment", "a")))
	require.NoError(t, err)
	kinds := []string{}
	for _, o := range out.Report.Objects {
		kinds = append(kinds, o.Kind)
	}
	assert.Equal(t, []string{"StorageClass", "PersistentVolume", "PersistentVolumeClaim"}, kinds)
	assert.Contains(t, storageOf(out), "volumeName: pv-data-pipeline.pipelines.rel\n")

	elsewhere := strings.Replace(workload("Deployment", "a"), "  name: a\n", "  name: a\n  namespace: other\n", 1)
	out, err = r.Render([]byte(elsewhere))
	require.ErrorContains(t, err, `its volume serves the namespace "pipelines" only, but pods in "other" would mount it`)
	assert.Empty(t, out.Bytes())
}

func TestASecondRunFindsItsOwnObjects(t *testing.T) {
	r := labelled()
	first, err := r.Render([]byte(workload("Deployment", "a")))
	require.NoError(t, err)
	more := append(bytes.Clone(first.Bytes()), workload("Job", "b")...)
	out, err := r.Render(more)
	require.NoError(t, err)
	assert.Equal(t, 1, out.Report.Count(inject.ReasonInjected))
	for _, o := range out.Report.Objects {
		assert.Equal(t, postrender.Present, o.Action)
	}
	assert.Equal(t, 1, strings.Count(string(out.Bytes()), "kind: PersistentVolumeClaim"))

	other := labelled(func(p *storage.Profile) { p.StorageClass.Parameters = map[string]string{"type": "io2"} })
	_, err = other.Render(more)
	require.ErrorContains(t, err, "document 1 StorageClass/fast.pipelines.rel: it was rendered by profile \"default\" with another configuration")
}

func TestAPodKeepsTheClaimOfAnotherConfiguration(t *testing.T) {
	first, err := labelled(func(p *storage.Profile) { p.Claim.Name = "of-yesterday" }).Render([]byte(workload("Deployment", "a")))
	require.NoError(t, err)
	out, err := labelled().Render(first.Bytes())
	require.NoError(t, err)
	assert.Equal(t, string(first.Bytes()), string(out.Bytes()), "neither the pod nor the storage changes")
	assert.Contains(t, out.Report.Workloads[0].Warnings[0], `keeps the claim "of-yesterday"`)
}

func TestTwoProfilesInOnePod(t *testing.T) {
	config, _, err := storage.Load([]byte(`
apiVersion: pipeline-storage.io/v1alpha1
kind: StorageConfig
profiles:
- name: default
- name: models
  mount: {path: /models, readOnly: true}
  env: MODELS
`))
	require.NoError(t, err)
	r := &postrender.Renderer{Config: config, Release: storage.Release{Name: "rel", Namespace: "pipelines"}}
	in := strings.Replace(workload("Deployment", "a"), "    metadata:\n", "    metadata:\n      annotations:\n        pipeline-storage.io/profiles: default,models\n", 1)
	out := requireProperties(t, r, []byte(in))
	text := string(out.Bytes())
	for _, exp := range []string{
		"claimName: pvc-data-pipeline.rel\n", "claimName: pvc-data-pipeline-models.rel\n", "mountPath: /models\n", "mountPath: /data\n", "name: MODELS\n",
		"name: fast.pipelines.rel\n", "name: fast-models.pipelines.rel\n",
	} {
		assert.Contains(t, text, exp)
	}
	assert.Len(t, out.Report.Objects, 4)
}

func TestLargeStreams(t *testing.T) {
	const size = 100 << 20
	text := "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata:\n  a: |\n"
	text += strings.Repeat("    "+strings.Repeat("x", 95)+"\n", size/100)
	t.Run("a document that is not parsed may be of any size", func(t *testing.T) {
		out, err := labelled().Render([]byte(text + workload("Deployment", "a")))
		require.NoError(t, err)
		assert.Equal(t, 1, out.Report.Count(inject.ReasonInjected))
		assert.True(t, bytes.HasPrefix(out.Bytes(), []byte(text)))
	})
	t.Run("one that must be parsed may not", func(t *testing.T) {
		_, err := labelled().Render([]byte(strings.Replace(text, "kind: ConfigMap", "kind: Pod", 1)))
		require.EqualError(t, err, "document 1 Pod: is larger than 32 MiB, far more than an API server takes: split it")
	})
}

func TestLongListsAreCutInWarnings(t *testing.T) {
	var stream strings.Builder
	for name := range strings.SplitSeq("abcdefgh", "") {
		stream.WriteString(workload("Deployment", name))
	}
	out, err := labelled().Render([]byte(stream.String()))
	require.NoError(t, err)
	require.Len(t, out.Report.Warnings, 1)
	assert.Contains(t, out.Report.Warnings[0], "document 5 Deployment/e, and 3 more; pods on other nodes")
}
