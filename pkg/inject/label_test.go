package inject_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pipeline-storage/pipeline-storage/internal/injecttest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// labelKinds are rows for every mechanic around pods whose containers are not in the object, or not
// all of them.
const labelKinds = "profiles: [{name: default, env: DATA}]\nkinds: [{group: example.com, kind: Train, pods: [" +
	"{podTemplate: spec.template, labels: metadata.labels}, " +
	"{scope: spec.ref, metadata: [$.metadata], labels: $.metadata.labels, why: the pods are those of the runtime}, " +
	"{podTemplate: spec.a.template, labels: $.spec.x.a.labels, why: A is implied}, " +
	"{podTemplate: spec.b.template, labels: $.spec.x.b.labels, why: B is implied}]}, " +
	"{group: example.com, kind: Steps, pods: [{scope: spec, metadata: [$.metadata], volumes: volumes, containers: " +
	"['steps[*]'], " +
	"shared: [{mounts: [shared.volumeMounts], env: [shared.env]}], labels: $.metadata.labels, why: it belongs to " +
	"another object}]}, " +
	"{group: example.com, kind: Silent, pods: [{podTemplate: spec.template}, {podTemplate: spec.reported, why: another " +
	"object makes it}]}]\n"

// labelConfig reads labelKinds, and sets what only rows of the built-in table have.
func labelConfig(t *testing.T) *storage.Config {
	t.Helper()
	config := injecttest.Load(t, labelKinds)
	train, steps := config.Kinds[0].Pods, config.Kinds[1].Pods
	train[2].Implied = true
	train[3].ProjectPaths = kinds.ProjectPaths{Implied: true, LabelPrefix: "role.label."}
	steps[0].ProjectPaths = kinds.ProjectPaths{Reference: "ref", Adds: "main"}
	return config
}

// TestLabels is about pods that cannot be mounted into here, so that their label has to find the
// webhook.
func TestLabels(t *testing.T) {
	const (
		implied = `add /spec/x ` +
			`{"a":{"labels":{"pipeline-storage":"enabled"}},"b":{"labels":{"role.label.pipeline-storage":"enabled"}}}`
		ref = "nothing can be mounted here, because the pods are those of the runtime; the label " +
			"pipeline-storage: enabled lets the webhook mount the claim when the pods are created"
	)
	for name, tt := range map[string]struct {
		kind, object string
		selector     labels.Selector // default: every pod
		exp          []string
		expReasons   []inject.Reason
		expMessage   string // of the first decision
		expWarn      string // of the first decision
	}{
		"labels that are missing are made, with what is around them, once": {
			kind: "Train", object: "spec: {ref: {}}",
			exp:        []string{`add /metadata {"labels":{"pipeline-storage":"enabled"}}`, implied},
			expReasons: []inject.Reason{inject.ReasonLabelled, inject.ReasonLabelled, inject.ReasonLabelled},
			expMessage: ref,
		},
		"labels that are there get one more": {
			kind: "Train", object: "metadata: {labels: {team: a}}\nspec: {ref: {}, x: {a: {labels: {}}, b: {labels: null}}}",
			exp: []string{
				`add /metadata/labels/pipeline-storage "enabled"`, `add /spec/x/a/labels/pipeline-storage "enabled"`,
				`add /spec/x/b/labels {"role.label.pipeline-storage":"enabled"}`,
			},
			expReasons: []inject.Reason{inject.ReasonLabelled, inject.ReasonLabelled, inject.ReasonLabelled},
		},
		"the label that is there is enough": {
			kind: "Train", object: "metadata: {labels: {pipeline-storage: enabled}}\nspec: {ref: {}, x: {a: {labels: " +
				"{pipeline-storage: enabled}}, b: {labels: {role.label.pipeline-storage: enabled}}}}",
			selector:   inject.DefaultSelector(),
			expReasons: []inject.Reason{inject.ReasonLabelled, inject.ReasonLabelled, inject.ReasonLabelled},
			expMessage: ref,
		},
		"a label with another value stays": {
			kind: "Train", object: "metadata: {labels: {pipeline-storage: disabled}}\nspec: {ref: {}, x: {a: {labels: " +
				"{pipeline-storage: enabled}}, b: {labels: {role.label.pipeline-storage: enabled}}}}",
			expReasons: []inject.Reason{inject.ReasonNotSelected, inject.ReasonLabelled, inject.ReasonLabelled},
			expMessage: `nothing can be mounted here, because the pods are those of the runtime, and its label ` +
				`pipeline-storage is "disabled" already`,
		},
		"who was not selected gets no label": {
			kind: "Train", object: "spec: {ref: {}}", selector: inject.DefaultSelector(),
			expReasons: []inject.Reason{inject.ReasonNotSelected, inject.ReasonNotSelected, inject.ReasonNotSelected},
			expMessage: `its labels do not match "pipeline-storage=enabled"`,
		},
		"a template with containers needs no label": {
			kind: "Train", object: "spec: {template: {spec: {containers: [{name: main}]}}, x: {a: {labels: " +
				"{pipeline-storage: enabled}}, b: {labels: {role.label.pipeline-storage: enabled}}}}",
			exp: []string{
				"add /spec/template/spec/volumes [" + volume + "]", "add /spec/template/spec/containers/0/volumeMounts [" +
					mount + "]",
				`add /spec/template/spec/containers/0/env [{"name":"DATA","value":"/data"}]`,
			},
			expReasons: []inject.Reason{inject.ReasonInjected, inject.ReasonLabelled, inject.ReasonLabelled},
		},
		"a template without containers gets the label": {
			kind: "Train", object: "spec: {template: {spec: {}}, x: {a: {labels: {pipeline-storage: enabled}}, b: " +
				"{labels: {role.label.pipeline-storage: enabled}}}}",
			exp:        []string{`add /spec/template/metadata {"labels":{"pipeline-storage":"enabled"}}`},
			expReasons: []inject.Reason{inject.ReasonLabelled, inject.ReasonLabelled, inject.ReasonLabelled},
			expMessage: "nothing can be mounted here, because the containers are external; the label",
		},
		"an external container is left to the webhook": {
			kind: "Steps", object: "spec: {steps: [{name: main}, {name: borrowed, ref: {name: x}}]}",
			exp: []string{
				"add /spec/volumes [" + volume + "]", "add /spec/steps/0/volumeMounts [" + mount + "]",
				`add /spec/steps/0/env [{"name":"DATA","value":"/data"}]`,
				`add /metadata {"labels":{"pipeline-storage":"enabled"}}`,
			},
			expReasons: []inject.Reason{inject.ReasonInjected},
			expWarn: `container "borrowed" gets no mount here, because it belongs to another object; the label ` +
				`pipeline-storage: enabled lets the webhook`,
		},
		"and so is one that the operator adds": {
			kind: "Steps", object: "metadata: {labels: {pipeline-storage: enabled}}\nspec: {steps: [{name: other, env: " +
				"[{name: DATA, value: /data}]}]}",
			exp:        []string{"add /spec/volumes [" + volume + "]", "add /spec/steps/0/volumeMounts [" + mount + "]"},
			expReasons: []inject.Reason{inject.ReasonInjected},
			expWarn: `container "main" gets no mount here, because it belongs to another object; the label ` +
				`pipeline-storage: enabled lets the webhook`,
		},
		"all containers are external": {
			kind: "Steps", object: "spec: {steps: [{name: main, ref: {name: x}}]}",
			exp:        []string{`add /metadata {"labels":{"pipeline-storage":"enabled"}}`},
			expReasons: []inject.Reason{inject.ReasonLabelled},
		},
		"a shared mount takes the path": {
			kind: "Steps", object: "spec: {shared: {volumeMounts: [{name: cache, mountPath: /data}]}, steps: [{name: main}]}",
			expReasons: []inject.Reason{inject.ReasonConflict},
			expMessage: `container "main": mount path /data is taken by volume "cache": choose another by mount.path, ` +
				`--mount-path or the pod annotation pipeline-storage.io/mount-path`,
		},
		"a shared mount of the claim is one": {
			kind: "Steps", object: "spec: {volumes: [{name: mine, persistentVolumeClaim: {claimName: " +
				"pvc-data-pipeline.demo}}], " +
				"shared: {env: [{name: DATA, value: /mine}], volumeMounts: [{name: mine, mountPath: /mine}]}, steps: " +
				"[{name: main}]}",
			expReasons: []inject.Reason{inject.ReasonAlreadyMounted},
		},
		"a shared variable has another value": {
			kind: "Steps", object: "spec: {shared: {env: [{name: DATA, value: /other}]}, steps: [{name: main}]}",
			expReasons: []inject.Reason{inject.ReasonConflict},
			expMessage: `container "main": environment variable DATA is set to something else than /data`,
		},
		"a scope without containers is no pod, unless its row has a reason": {
			kind: "Silent", object: "spec: {template: {spec: {}}, reported: {spec: {}}}",
			expReasons: []inject.Reason{inject.ReasonNoPods},
			expMessage: "another object makes it",
		},
	} {
		t.Run(name, func(t *testing.T) {
			config := labelConfig(t)
			selector := tt.selector
			if selector == nil {
				selector = labels.Everything()
			}
			document := injecttest.Decode(t, "apiVersion: example.com/v1\nkind: "+tt.kind+"\n"+tt.object+"\n")
			request := inject.Request{Release: injecttest.Release, Namespace: injecttest.Release.Namespace, Selector: selector}
			result := inject.Patch(config, request, injecttest.Find(t, config, document)[0].Pods...)
			assert.Equal(t, tt.exp, lines(t, result))
			var reasons []inject.Reason
			for _, d := range result.Decisions {
				reasons = append(reasons, d.Reason)
			}
			assert.Equal(t, tt.expReasons, reasons)
			assert.Contains(t, result.Decisions[0].Message, tt.expMessage)
			if tt.expWarn == "" {
				assert.Empty(t, result.Decisions[0].Warnings)
			} else {
				require.Len(t, result.Decisions[0].Warnings, 1)
				assert.Contains(t, result.Decisions[0].Warnings[0], tt.expWarn)
			}

			patched := injecttest.Apply(t, document, result)
			again := inject.Patch(config, request, injecttest.Find(t, config, patched)[0].Pods...)
			assert.Empty(t, again.Operations, "what is patched needs nothing more")
		})
	}
}

// TestLabelPlacesOfTheWrongShape are refused like every other wrong shape, with their place.
func TestLabelPlacesOfTheWrongShape(t *testing.T) {
	for object, exp := range map[string]string{
		"spec: {x: [], ref: {}}":                       "Train: /spec/x is no object",
		"metadata: {labels: [a]}\nspec: {ref: {}}":     "Train: /metadata/labels is no object",
		"spec: {template: {metadata: text, spec: {}}}": "Train: /spec/template/metadata is no object",
	} {
		_, err := kinds.NewTable(labelConfig(t).Kinds).Find(
			injecttest.Decode(t, "apiVersion: example.com/v1\nkind: Train\n"+object+"\n"),
		)
		require.EqualError(t, err, exp)
	}
	_, err := kinds.NewTable(labelConfig(t).Kinds).Find(
		injecttest.Decode(t, "apiVersion: example.com/v1\nkind: Steps\nspec: {shared: {env: x}, steps: [{}]}\n"),
	)
	assert.EqualError(t, err, "Steps: /spec/shared/env is no list")
}
