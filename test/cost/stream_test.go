//go:build unix

package cost_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/pkg/postrender"
	"github.com/pipeline-storage/pipeline-storage/test/cost"
)

// A stream of four times the size may cost so many times as much CPU, and a moment, because short
// times are measured badly. The largest may cost so much for each byte, on any machine that runs
// these tests.
const (
	smallestStream    = 8 << 10
	largestStream     = 512 << 10
	growthOfStream    = 4 * 2.5
	streamMoment      = 100 * time.Millisecond
	cpuPerStreamByte  = 6 * time.Microsecond
	heapPerStreamByte = 1500
	heapOfAnyStream   = 16 << 20
)

// fillStream is items of about so many bytes.
func fillStream(size int, item func(i int) string) string { return cost.Fill(size, "", item) }

const (
	jobHead = "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: train\nspec:\n  template:\n    " +
		"metadata:\n      labels: {pipeline-storage: enabled}\n"
	oneJob   = "    spec:\n      containers:\n      - name: main\n"
	workflow = "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata:\n  name: flow\nspec:\n" +
		"  podMetadata:\n    labels: {pipeline-storage: enabled}\n"
)

// sensor begins an object of a kind without a row.
const sensor = "apiVersion: example.com/v1\nkind: Sensor\nmetadata: {name: s}\nspec:\n"

func annotated(key, value string) string {
	return jobHead + "      annotations:\n        " + key + ": " + value + "\n" + oneJob
}

// hostileStreams are streams of a size in which one thing that the author of a chart chooses is as large
// as the stream.
var hostileStreams = map[string]func(size int) string{
	"objects of a List that have no row": func(n int) string {
		return "apiVersion: v1\nkind: List\nitems:\n" + fillStream(n, cost.Numbered("- apiVersion: x.io/v1\n  kind: Foo\n"+
			"  metadata: {name: f%d}\n  spec: {template: {spec: {containers: [{name: a, image: i}]}}}\n"))
	},
	"embedded pods that cannot be read": func(n int) string {
		return "apiVersion: x.io/v1\nkind: Foo\nmetadata: {name: f}\nspec:\n" + fillStream(n, cost.Numbered(
			"- {apiVersion: v1, kind: Pod, metadata: {name: p%d}, spec: {containers: {a: b}}}\n"))
	},
	"containers of pod templates that are joined": func(n int) string {
		containers := fillStream(n/2, cost.Numbered("      - {name: c%d, image: i}\n"))
		return "apiVersion: flink.apache.org/v1beta1\nkind: FlinkDeployment\nmetadata: {name: f}\nspec:\n  podTemplate:\n" +
			"    metadata: {labels: {pipeline-storage: enabled}}\n    spec:\n      containers:\n" + containers +
			"  jobManager:\n   podTemplate:\n    spec:\n      containers:\n" + containers
	},
	"pods of one text": func(n int) string {
		return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  pods: |\n" + fillStream(n, cost.Numbered(
			"    ---\n    {apiVersion: v1, kind: Pod, metadata: {name: p%d}, spec: {containers: [{name: a, image: i}]}}\n"))
	},
	"documents": func(n int) string { return fillStream(n, cost.Numbered("---\n"+jobHead+oneJob)) },
	"documents in many namespaces": func(n int) string {
		return fillStream(n, cost.Numbered("---\n"+strings.Replace(jobHead, "name: train", "name: train-%d\n  "+
			"namespace: ns-%d", 1)+oneJob))
	},
	"empty documents": func(n int) string { return fillStream(n, cost.Numbered("---\n")) },
	"other documents": func(n int) string {
		return fillStream(n,
			cost.Numbered("---\nkind: ConfigMap\nmetadata:\n  name: c%d\n"))
	},
	"custom documents": func(n int) string {
		return fillStream(n, cost.Numbered("---\napiVersion: a/v1\nkind: K%d\nspec:\n  containers: [{name: a}]\n"))
	},
	// The last document has no room until the pod in front of it is decided.
	"documents before one that waits": func(n int) string {
		return fillStream(n/2, cost.Numbered("---\nkind: ConfigMap\nmetadata:\n  name: c%d\n")) + "---\n" + jobHead + oneJob +
			"---\n{a: [" + fillStream(n/2, cost.Numbered("v%d,")) + "], kind: Pod}\n"
	},
	"items of a list": func(n int) string {
		return "apiVersion: v1\nkind: List\nitems:\n" + fillStream(n, cost.Numbered("- apiVersion: v1\n  kind: "+
			"Pod\n  metadata:\n    labels: {pipeline-storage: enabled}\n  spec:\n    containers:\n    - name: a\n"))
	},
	"containers": func(n int) string {
		return jobHead + "    spec:\n      containers:\n" + fillStream(n, cost.Numbered("      - name: c%d\n"))
	},
	"flow containers": func(n int) string {
		return jobHead + "    spec:\n      containers: [" + fillStream(n, cost.Numbered("{name: c%d},")) + "]\n"
	},
	"JSON containers": func(n int) string {
		return `{"apiVersion":"v1","kind":"Pod","metadata":{"labels":{"pipeline-storage":"enabled"}},"spec":{"containers":[` +
			fillStream(n, cost.Numbered(`{"name":"c%d"},`)) + `{"name":"last"}]}}`
	},
	"mounts": func(n int) string {
		return jobHead + oneJob + "        volumeMounts:\n" + fillStream(n, cost.Numbered("        - {name: "+
			"v%d, mountPath: /m/%d}\n"))
	},
	"nested mounts": func(n int) string {
		return jobHead + oneJob + "        volumeMounts:\n" + fillStream(n, cost.Numbered("        - {name: "+
			"v%d, mountPath: /data/%d}\n"))
	},
	"volumes": func(n int) string {
		return jobHead + oneJob + "      volumes:\n" + fillStream(n, cost.Numbered("      - {name: v%d, "+
			"persistentVolumeClaim: {claimName: c}}\n"))
	},
	"volumes of our names": func(n int) string {
		return jobHead + "    spec:\n      containers:\n      - name: main\n        volumeMounts:\n" +
			fillStream(n/2, cost.Numbered("        - {name: w%d, mountPath: /data}\n")) +
			"      volumes:\n" + fillStream(n/2, cost.Numbered("      - {name: pipeline-storage-%d, "+
			"persistentVolumeClaim: {claimName: c}}\n"))
	},
	"mounts and volumes": func(n int) string {
		return jobHead + "    spec:\n      containers:\n      - name: main\n        volumeMounts:\n" +
			fillStream(n/2, cost.Numbered("        - {name: v%d, mountPath: /m%d}\n")) +
			"      volumes:\n" + fillStream(n/2, cost.Numbered("      - {name: v%d, persistentVolumeClaim: {claimName: c%d}}\n"))
	},
	"variables": func(n int) string {
		return jobHead + oneJob + "        env:\n" + fillStream(n, cost.Numbered("        - {name: A%d, value: a}\n"))
	},
	"labels": func(n int) string {
		return jobHead[:len(jobHead)-2] + fillStream(n, cost.Numbered(", l%d: a")) + "}\n" + oneJob
	},
	"annotations": func(n int) string {
		return jobHead + "      annotations:\n" + fillStream(n, cost.Numbered("        a%d: b\n")) + oneJob
	},
	"our annotations": func(n int) string {
		annotations := fillStream(n, cost.Numbered("        p%d.pipeline-storage.io/a: b\n"))
		return jobHead + "      annotations:\n" + annotations + oneJob
	},
	"profiles": func(n int) string { return annotated(inject.AnnotationProfiles, fillStream(n, cost.Numbered("n%d,"))) },
	"container names": func(n int) string {
		return annotated(inject.AnnotationContainers,
			fillStream(n, cost.Numbered("n%d,")))
	},
	"excluded names": func(n int) string {
		return annotated(inject.AnnotationExcludeContainers, fillStream(n, cost.Numbered("n%d,")))
	},
	"injected names": func(n int) string {
		return annotated(inject.AnnotationInjected, fillStream(n, cost.Numbered("n%d,")))
	},
	"templates": func(n int) string {
		return workflow + "  templates:\n" + fillStream(n, cost.Numbered("  - name: t%d\n    container:\n      image: a\n"))
	},
	"shared volumes": func(n int) string {
		return workflow + "  volumes:\n" + fillStream(n/2, cost.Numbered("  - {name: v%d, "+
			"persistentVolumeClaim: {claimName: c}}\n")) +
			"  templates:\n" + fillStream(n/2, cost.Numbered("  - name: t%d\n    container: {image: a}\n"))
	},
	"shared mounts": func(n int) string {
		return workflow + "  templateDefaults:\n    container:\n      volumeMounts:\n" + fillStream(n/2,
			cost.Numbered("      - {name: v%d, mountPath: /m%d}\n")) +
			"  templates:\n" + fillStream(n/2, cost.Numbered("  - name: t%d\n    container: {image: a}\n"))
	},
	"sidecars": func(n int) string {
		return workflow + "  templates:\n  - name: t\n    container: {image: a}\n    sidecars:\n" + fillStream(n,
			cost.Numbered("    - {name: s%d, mirrorVolumeMounts: true}\n"))
	},
	"aliases": func(n int) string {
		return "x: &x [a]\n" + jobHead + oneJob + "        x:\n" + fillStream(n, cost.Numbered("        - *x\n"))
	},
	"anchors of anchors": func(n int) string {
		return jobHead + oneJob + "        x:\n        - &a0 [a]\n" + fillStream(n,
			func(i int) string { return fmt.Sprintf("        - &a%d [*a%d, *a%d]\n", i+1, i, i) })
	},
	"JSON objects": func(n int) string {
		return fillStream(n, cost.Numbered(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p%d","labels":`+
			`{"pipeline-storage":"enabled"}},"spec":{"containers":[{"name":"a"}]}}`+"\n"))
	},
	"small JSON objects": func(n int) string { return fillStream(n, cost.Numbered("{}")) },
	"JSON objects in front of a separator": func(n int) string {
		return fillStream(n, cost.Numbered(`{"kind":"ConfigMap"} `)) + "\n---\n" + jobHead + oneJob
	},
	"flow style in documents": func(n int) string {
		return fillStream(n, cost.Numbered("---\n{kind: ConfigMap, a: '%d'} {}\n"))
	},
	"end markers": func(n int) string { return jobHead + oneJob + fillStream(n, cost.Same("...\n")) },
	"annotations of a workflow": func(n int) string {
		return strings.Replace(workflow, "  name: flow\n", "  name: flow\n  annotations:\n"+
			fillStream(n/2, cost.Numbered("    p%d.pipeline-storage.io/a: b\n")), 1) + "  templates:\n" +
			fillStream(n/2, cost.Numbered("  - name: t%d\n    container: {image: a}\n"))
	},
	"comments":    func(n int) string { return jobHead + "# " + fillStream(n, cost.Numbered("a\n# ")) + "\n" + oneJob },
	"one comment": func(n int) string { return jobHead + "# " + strings.Repeat("a", n) + "\n" + oneJob },
	"blank lines": func(n int) string { return jobHead + strings.Repeat("\n", n) + oneJob },
	"a block scalar": func(n int) string {
		return jobHead + oneJob + "        x: |\n" + fillStream(n, cost.Numbered("          line %d\n"))
	},
	"a long line": func(n int) string { return jobHead + oneJob + "        x: \"" + strings.Repeat("a", n) + "\"\n" },
	"deep flow": func(n int) string {
		return jobHead + oneJob + "        x: " + strings.Repeat("[", n/2) + strings.Repeat("]", n/2) + "\n"
	},
	"deep blocks": func(n int) string {
		return jobHead + oneJob + "        x:\n" + fillStream(min(n, 200_000),
			func(i int) string { return strings.Repeat(" ", 9+i) + "a:\n" })
	},
	"merge keys": func(n int) string {
		return "x: &x {a: b}\n" + jobHead + oneJob + fillStream(n, cost.Numbered("        y%d: {<<: *x}\n"))
	},
	"text that is a pod": func(n int) string {
		return "kind: ConfigMap\ndata:\n" + fillStream(n, cost.Numbered("  p%d: |\n    kind: Pod\n"))
	},
	"objects in an object": func(n int) string {
		return sensor + "  triggers:\n" + fillStream(n, cost.Numbered("  - resource:\n      apiVersion: v1\n      "+
			"kind: Pod\n      metadata:\n        labels: {pipeline-storage: enabled}\n      spec:\n        containers:\n"+
			"        - {name: c%d, image: a}\n"))
	},
	"objects inside objects": func(n int) string {
		const object = "{apiVersion: v1, kind: Pod, spec: {containers: [{name: a, image: b}], x: "
		levels := min(n/len(object), 4000)
		return sensor + "  x: " + strings.Repeat(object, levels) + "a" + strings.Repeat("}}", levels) + "\n" +
			fillStream(n-levels*len(object), cost.Numbered("  y%d: {}\n"))
	},
	"unknown objects inside objects": func(n int) string {
		const object = "{apiVersion: a/v1, kind: B, a: {containers: [{name: a}], b: "
		levels := min(n/len(object), 4000)
		return sensor + "  x: " + strings.Repeat(object, levels) + "a" + strings.Repeat("}}", levels) + "\n" +
			fillStream(n-levels*len(object), cost.Numbered("  y%d: {}\n"))
	},
	"objects with long names around them": func(n int) string {
		return sensor + "  " + strings.Repeat("a", 1000) + ":\n" + fillStream(n, cost.Numbered("  - {apiVersion: v1, "+
			"kind: Pod, metadata: {labels: {pipeline-storage: enabled}}, spec: {containers: [{name: c%d}]}}\n"))
	},
	"wrapped objects": func(n int) string {
		const object = "{apiVersion: workload.codeflare.dev/v1beta2, kind: AppWrapper, spec: {components: [{template: "
		levels := min(n/len(object), 1500)
		return sensor + "  x: " + strings.Repeat(object, levels) + "a" + strings.Repeat("}]}}", levels) + "\n" +
			fillStream(n-levels*len(object), cost.Numbered("  y%d: {containers: [{name: a, image: b}]}\n"))
	},
	"places of pods": func(n int) string {
		return sensor + fillStream(n, func(i int) string {
			return fmt.Sprintf("  a%d: {b%d: {spec: {containers: [{name: a}]}}}\n", i, i)
		})
	},
	"deep places of pods": func(n int) string {
		levels := min(n/8, 3000)
		return sensor + "  x: " + strings.Repeat("{a: {}, b: ", levels) + "{containers: [{name: a}]}" +
			strings.Repeat("}", levels) + "\n" + fillStream(n-levels*11, cost.Numbered("  y%d: {}\n"))
	},
	"roles of pods": func(n int) string {
		return sensor + "  roles:\n" + fillStream(n, cost.Numbered("    r%d: {spec: {containers: [{name: a}]}}\n"))
	},
	"pods where no row finds them": func(n int) string {
		return workflow + "  templates:\n" + fillStream(n/2, cost.Numbered("  - name: t%d\n    container: {image: a}\n")) +
			"  others:\n" + fillStream(n/2, cost.Numbered("  - {containers: [{name: c%d, image: a}]}\n"))
	},
	"a text of pods": func(n int) string {
		return "kind: ConfigMap\ndata:\n  p: |\n" + fillStream(n, cost.Numbered("    ---\n    kind: Pod\n    metadata: "+
			"{name: p%d}\n    spec: {containers: [{name: a, image: b}]}\n"))
	},
	"a text of templates": func(n int) string {
		return "kind: ConfigMap\ndata:\n  p: |\n" + fillStream(n, cost.Numbered("    ---\n    kind: Kind%d\n    "+
			"containers: {{ .image }}\n"))
	},
	"texts in texts": func(n int) string {
		text := fillStream(n, cost.Numbered("{containers: [{name: a%d, image: b}]}, "))
		return "kind: ConfigMap\ndata: {p: '{kind: ConfigMap, data: {p: \"[" + text + "]\"}}'}\n"
	},
	"a Secret of pods": func(n int) string {
		return "kind: Secret\ndata:\n" + fillStream(n, func(i int) string {
			return fmt.Sprintf("  p%d: %s\n", i, base64.StdEncoding.EncodeToString([]byte("kind: Pod\ncontainers: [{}]\n")))
		})
	},
	"keys of Spark's configuration": func(n int) string {
		return "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nspec:\n  driver: {labels: " +
			"{pipeline-storage: enabled}}\n  executor: {labels: {pipeline-storage: enabled}}\n  sparkConf:\n" +
			fillStream(n, cost.Numbered("    spark.kubernetes.driver.volumes.nfs.v%d.mount.path: /m%d\n"))
	},
	"a long list, and many small documents": func(n int) string {
		return "kind: Job\nspec:\n" + fillStream(n/2, cost.Numbered("- %d\n")) +
			fillStream(n/2, cost.Numbered("---\nkind: Job\nn: %d\n"))
	},
	"hooks": func(n int) string {
		return fillStream(n, cost.Numbered("---\n"+strings.Replace(jobHead, "name: train", "name: t%d\n  "+
			"annotations: {helm.sh/hook: pre-install}", 1)+oneJob))
	},
}

const configHead = "apiVersion: pipeline-storage.io/v1alpha1\nkind: StorageConfig\n"

// streamConfig is a configuration that reads all there is of a pod.
const streamConfig = configHead + "profiles:\n" +
	"- {name: default, env: DATA, fsGroup: 1, colocate: true}\n- {name: models, default: true, mount: {path: /models}}\n"

// TestCostOfStreamGrowsWithSize measures what a stream costs at four sizes, for everything that the author
// of a chart can choose. A refusal is an answer, too.
func TestCostOfStreamGrowsWithSize(t *testing.T) {
	config, _, err := storage.Load([]byte(streamConfig))
	require.NoError(t, err)
	for mode, remove := range map[string]postrender.Removal{"add": "", "remove": postrender.RemoveAll} {
		r := &postrender.Renderer{Config: config, Release: storage.Release{Name: "rel", Namespace: "ns"}, Remove: remove}
		for name, stream := range hostileStreams {
			t.Run(mode+" "+name, func(t *testing.T) {
				var last time.Duration
				for size := smallestStream; size <= largestStream; size *= 4 {
					text := []byte(stream(size))
					most := streamMoment + time.Duration(len(text))*cpuPerStreamByte
					if last > 0 {
						most = min(most, time.Duration(growthOfStream*float64(last))+streamMoment)
					}
					took, heap := leastOf(r, text, most)
					t.Logf("%9d bytes: %s, %d bytes of heap a byte", len(text), took, heap/uint64(len(text)))
					assert.Less(t, took, most, "%d bytes, after %s at a fourth", len(text), last)
					assert.Less(t, heap, uint64(heapOfAnyStream+heapPerStreamByte*len(text)), "%d bytes", len(text))
					last = took
				}
			})
		}
	}
}

// leastOf is the least CPU time of up to six runs, because the collector runs beside some, and the heap
// that one run takes. Less than enough ends the runs.
func leastOf(r *postrender.Renderer, text []byte, enough time.Duration) (least time.Duration, heap uint64) {
	least = time.Hour
	for run := 0; run < 6 && least >= enough; run++ {
		took, allocated := cost.Of(func() {
			if out, err := r.Render(text); err == nil {
				_ = out.Bytes()
			}
		})
		least, heap = min(least, took), allocated
	}
	return least, heap
}
