package alternatives_test

import (
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"

	"github.com/pipeline-storage/pipeline-storage/test/stream"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

type pod = corev1.Pod

// longestCell is how many characters of a message a cell has.
const longestCell = 170

// pods are those of testdata/pods.yaml.
func pods(t *testing.T) []*pod {
	t.Helper()
	text, err := os.ReadFile("testdata/pods.yaml")
	require.NoError(t, err)
	var all []*pod
	for _, object := range stream.Objects(t, string(text)) {
		p := &pod{}
		require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, p))
		all = append(all, p)
	}
	return all
}

// plain is the first of them, which every alternative serves.
func plain(t *testing.T) *pod {
	t.Helper()
	return pods(t)[0]
}

// outcomes returns what becomes of each pod in a namespace that has all that the alternative needs.
func (a alternative) outcomes(t *testing.T, r running) map[string]string {
	t.Helper()
	namespace := a.namespace(t, r)
	all := map[string]string{}
	for _, p := range pods(t) {
		all[p.Name] = r.outcome(t, namespace, p)
	}
	return all
}

// outcome creates a pod, and describes what came of it.
func (r running) outcome(t *testing.T, namespace string, wanted *pod) string {
	t.Helper()
	created, warnings, err := r.create(t, namespace, wanted)
	if err != nil {
		return "refused: " + short(err.Error())
	}
	return describe(findings(wanted, created), warnings)
}

// create creates a copy of the pod and returns it as the API server has it, with the warnings that reach a person.
func (r running) create(t *testing.T, namespace string, wanted *pod, options ...metav1.CreateOptions) (
	*pod, []string, error,
) {
	t.Helper()
	sent, recorder := wanted.DeepCopy(), &warnings{}
	if r.render != nil {
		rendered, printed, err := r.render(t, namespace, sent)
		if err != nil {
			return nil, nil, err
		}
		sent, recorder.messages = rendered, printed
	}
	config := suite.RESTConfig(t)
	config.WarningHandler = recorder
	client, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	sent.GenerateName, sent.Name = sent.Name+"-", ""
	created, err := client.CoreV1().Pods(namespace).Create(t.Context(), sent, append(options, metav1.CreateOptions{})[0])
	return created, recorder.messages, err
}

// warnings are the API server's.
type warnings struct {
	mutex    sync.Mutex
	messages []string
}

// HandleWarningHeader records a warning.
func (w *warnings) HandleWarningHeader(_ int, _, message string) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.messages = append(w.messages, message)
}

// describe joins findings into a cell. Without a warning they are silent.
func describe(found, warnings []string) string {
	switch {
	case len(found) == 0:
		return "storage"
	case len(warnings) == 0:
		return "**silently** " + strings.Join(found, ", ")
	default:
		return strings.Join(found, ", ") + ", with the warning " + short(strings.Join(warnings, "; "))
	}
}

// prefix is what stands in front of a reason: who refuses, and the name of the object.
var prefix = regexp.MustCompile(
	`^(Pod "[^"]*" is invalid: |error: document \d+ \S+: |admission webhook "[^"]*" denied the request: Pod/\S+: |` +
		`pods "[^"]*" is forbidden: ValidatingAdmissionPolicy '.*' denied request: Pod/\S+: )`)

// short returns a message in one line, as a code span of a table.
func short(message string) string {
	message = prefix.ReplaceAllString(strings.Join(strings.Fields(message), " "), "")
	if runes := []rune(message); len(runes) > longestCell {
		message = string(runes[:longestCell]) + "…"
	}
	return "`" + strings.NewReplacer("|", `\|`, "`", "'").Replace(message) + "`"
}

// findings are what is wrong with a pod that was created: what it does not get, and what of its own it lost.
func findings(before, after *pod) []string {
	var found []string
	for _, c := range slices.Concat(after.Spec.InitContainers, after.Spec.Containers) {
		own := container(before, c.Name)
		wrong := mountFindings(before, after, own, &c)
		if len(wrong) == 0 {
			wrong = variableFindings(own, &c)
		}
		found = append(found, wrong...)
	}
	for _, v := range before.Spec.Volumes {
		if v.PersistentVolumeClaim == nil && claimOf(after, v.Name) != "" {
			found = append(found, "turns its own volume into the claim")
		}
	}
	found = append(found, groupFindings(before, after)...)
	unique := found[:0]
	for _, f := range found {
		if !slices.Contains(unique, f) {
			unique = append(unique, f)
		}
	}
	return unique
}

// container returns the container of a name. A pod without it has an empty one.
func container(p *pod, name string) *corev1.Container {
	for _, c := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
		if c.Name == name {
			return &c
		}
	}
	return &corev1.Container{}
}

// kindOf is what a container is called in a finding.
func kindOf(p *pod, c *corev1.Container) string {
	named := func(i corev1.Container) bool { return i.Name == c.Name }
	switch isInit := slices.ContainsFunc(p.Spec.InitContainers, named); {
	case isInit && c.RestartPolicy != nil:
		return "the native sidecar"
	case isInit:
		return "the init container"
	default:
		return "a container"
	}
}

// mountFindings are about what a container has at the mount path.
func mountFindings(before, after *pod, own, c *corev1.Container) []string {
	had, has := mountsOf(own), mountsOf(c)
	switch {
	case len(has) == 0:
		return []string{"no storage in " + kindOf(after, c)}
	case len(has) > 1:
		return []string{"two volumes at one path"}
	case claimOf(after, has[0]) == "" && len(had) > 0:
		return []string{"no storage: its own volume remains there"}
	case claimOf(after, has[0]) == "":
		return []string{"no claim: its own volume is mounted at `" + mountPath + "`, and ends with the pod"}
	case len(had) > 0 && claimOf(before, had[0]) == "":
		return []string{"replaces its own volume there"}
	default:
		return nil
	}
}

// mountsOf returns the volumes that a container has at the mount path.
func mountsOf(c *corev1.Container) []string {
	var names []string
	for _, m := range c.VolumeMounts {
		if path.Clean(m.MountPath) == mountPath {
			names = append(names, m.Name)
		}
	}
	return names
}

// claimOf returns the claim of a volume of the pod.
func claimOf(p *pod, name string) string {
	for _, v := range p.Spec.Volumes {
		if v.Name == name && v.PersistentVolumeClaim != nil {
			return v.PersistentVolumeClaim.ClaimName
		}
	}
	return ""
}

// variableFindings are about the variable of a container with storage: it must hold the mount path.
func variableFindings(own, c *corev1.Container) []string {
	had, has := valuesOf(own), valuesOf(c)
	switch {
	case slices.Equal(has, []string{mountPath}) && (len(had) == 0 || slices.Equal(had, has)):
		return nil
	case len(has) == 0:
		return []string{"no variable"}
	case len(has) > 1:
		return []string{"two variables of one name"}
	case slices.Equal(had, has):
		return []string{"leaves the variable, which names another path"}
	default:
		return []string{"replaces its own variable"}
	}
}

func valuesOf(c *corev1.Container) []string {
	var values []string
	for _, v := range c.Env {
		if v.Name == variable {
			values = append(values, v.Value)
		}
	}
	return values
}

// groupFindings are about the group of a pod whose user has no rights of its own on a new volume.
func groupFindings(before, after *pod) []string {
	if before.Spec.SecurityContext == nil {
		return nil
	}
	wanted := before.Spec.SecurityContext.FSGroup
	switch has := after.Spec.SecurityContext; {
	case has == nil || has.FSGroup == nil:
		return []string{"no fsGroup: it may not write"}
	case wanted != nil && *wanted != *has.FSGroup:
		return []string{fmt.Sprintf("replaces its own fsGroup %d by %d", *wanted, *has.FSGroup)}
	default:
		return nil
	}
}

var claim = corev1.VolumeSource{
	PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claimName},
}

// with returns the plain pod with a volume at the mount path, and the variable with these values.
func with(t *testing.T, volume corev1.VolumeSource, values ...string) *pod {
	t.Helper()
	p := plain(t)
	main := &p.Spec.Containers[0]
	p.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: volume}}
	main.VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: mountPath + "/"}}
	for _, value := range values {
		main.Env = append(main.Env, corev1.EnvVar{Name: variable, Value: value})
	}
	return p
}

// secured returns a pod with storage and a security context.
func secured(t *testing.T, group *int64) *pod {
	t.Helper()
	p := with(t, claim, mountPath)
	p.Spec.SecurityContext = &corev1.PodSecurityContext{FSGroup: group}
	return p
}

// TestFindings holds the judge itself.
func TestFindings(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		before, after *pod
		expected      []string
	}{
		"all is there": {plain(t), with(t, claim, mountPath), nil},
		"nothing":      {plain(t), plain(t), []string{"no storage in a container"}},
		"no variable":  {plain(t), with(t, claim), []string{"no variable"}},
		"its own mount remains": {
			with(t, corev1.VolumeSource{}), with(t, corev1.VolumeSource{}, mountPath),
			[]string{"no storage: its own volume remains there"},
		},
		"its own volume became the claim": {
			with(t, corev1.VolumeSource{}), with(t, claim, mountPath),
			[]string{"replaces its own volume there", "turns its own volume into the claim"},
		},
		"its own variable remains": {
			with(t, claim, "/mnt"), with(t, claim, "/mnt"), []string{"leaves the variable, which names another path"},
		},
		"its own variable is gone": {
			with(t, claim, "/mnt"), with(t, claim, mountPath), []string{"replaces its own variable"},
		},
		"a second variable": {
			with(t, claim, "/mnt"), with(t, claim, "/mnt", mountPath), []string{"two variables of one name"},
		},
		"no group": {secured(t, nil), secured(t, nil), []string{"no fsGroup: it may not write"}},
		"another group": {
			secured(t, new(int64(2000))), secured(t, new(int64(1000))), []string{"replaces its own fsGroup 2000 by 1000"},
		},
		"its own group": {secured(t, new(int64(2000))), secured(t, new(int64(2000))), nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tc.expected, findings(tc.before, tc.after))
		})
	}
}
