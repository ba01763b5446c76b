package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/test/bench/stream"
)

// The edit that every tool makes: this claim in every pod, mounted here in every container.
const (
	// They are the defaults of postrender for this release, so that it needs no further flags.
	claimName  = "pvc-data-pipeline." + stream.Release
	className  = "fast." + stream.Namespace + "." + stream.Release
	volumeName = "pipeline-storage"
	mountPath  = "/data"
)

// storage is what postrender adds in front by default, for the tools that cannot make it
// themselves. All candidates thus write the same objects. Text is enough, because names are
// constants.
const storage = `apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: ` + className + `
  annotations:
    helm.sh/resource-policy: keep
provisioner: ebs.csi.aws.com
parameters:
  type: gp3
reclaimPolicy: Retain
volumeBindingMode: WaitForFirstConsumer
allowVolumeExpansion: true
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: ` + claimName + `
  namespace: ` + stream.Namespace + `
  annotations:
    helm.sh/resource-policy: keep
spec:
  accessModes: [ReadWriteOnce]
  storageClassName: ` + className + `
  resources:
    requests:
      storage: 100Gi
`

const (
	// The files in the directory of a subject: the storage objects, the stream, and what kustomize
	// reads first.
	storageFile       = "storage.yaml"
	allFile           = "all.yaml"
	kustomizationFile = "kustomization.yaml"
)

// postrenderArgs are the flags for a chart without labels: an empty selector selects every pod.
// The predecessor gets the same ones.
func postrenderArgs() []string {
	return []string{"--selector=", "--namespace=" + stream.Namespace, "--release=" + stream.Release}
}

// yqArgs are one expression over all workloads; the storage comes first, as a file of its own. yq
// writes its files in the order in which they are named.
func yqArgs() []string { return []string{yqExpression(), storageFile, "-"} }

// yqExpression appends the volume to each pod and the mount to each of its containers. The kinds
// are named, because yq has no table of the kinds that hold pods.
func yqExpression() string {
	volume := fmt.Sprintf(`[{"name": %q, "persistentVolumeClaim": {"claimName": %q}}]`, volumeName, claimName)
	mount := fmt.Sprintf(`[{"name": %q, "mountPath": %q}]`, volumeName, mountPath)
	return `with(select(.kind == "Deployment" or .kind == "StatefulSet" or .kind == "Job") | .spec.template.spec; ` +
		`.volumes += ` + volume + ` | ` +
		`(.containers, select(has("initContainers")).initContainers)[].volumeMounts += ` + mount + `)`
}

// kustomizeArgs build the directory that prepareKustomize made. The directory is the one that it
// runs in.
func kustomizeArgs() []string { return []string{"build", "."} }

// prepareStorage writes what yq and kustomize add. It is a file of its own for both.
func prepareStorage(dir string) error { return write(dir, storageFile, []byte(storage)) }

// prepareKustomize writes what a post-renderer made of kustomize needs: the stream as a file, and
// a strategic-merge patch for every workload, which a person has written by hand and updates with
// the chart. Writing the stream to the file is part of such a post-renderer, but is not measured
// here: kustomize is given that for nothing. Order fifo keeps the order of the stream; kustomize
// would sort the objects otherwise.
func prepareKustomize(dir string, text []byte, all []document) error {
	kustomization := map[string]any{
		"apiVersion":  "kustomize.config.k8s.io/v1beta1",
		"kind":        "Kustomization",
		"resources":   []string{storageFile, allFile},
		"sortOptions": map[string]any{"order": "fifo"},
	}
	var patches []any
	for _, d := range workloads(all) {
		name := "patch-" + strings.ToLower(d.kind()) + "-" + d.name() + ".yaml"
		if err := writeYAML(dir, name, patch(d)); err != nil {
			return err
		}
		patches = append(patches, map[string]any{"path": name})
	}
	kustomization["patches"] = patches
	if err := write(dir, allFile, text); err != nil {
		return err
	}
	return writeYAML(dir, kustomizationFile, kustomization)
}

// patch is a workload reduced to its identity, the volume, and the mount in each of its
// containers. It is a strategic merge patch: lists are merged by the keys of their items, such as
// their names.
func patch(d document) map[string]any {
	pod := map[string]any{
		"volumes": []any{map[string]any{
			"name": volumeName, "persistentVolumeClaim": map[string]any{"claimName": claimName},
		}},
	}
	for _, list := range containerLists {
		if mounted := mounts(items(d.pod(), list)); mounted != nil {
			pod[list] = mounted
		}
	}
	return map[string]any{
		"apiVersion": d.apiVersion(),
		"kind":       d.kind(),
		"metadata":   map[string]any{"name": d.name(), "namespace": d.namespace()},
		"spec":       map[string]any{"template": map[string]any{"spec": pod}},
	}
}

// mounts are containers reduced to their name and the mount. They are nil without containers,
// which leaves the list out of the patch.
func mounts(containers []map[string]any) []any {
	var mounted []any
	for _, container := range containers {
		mounted = append(mounted, map[string]any{
			"name":         container["name"],
			"volumeMounts": []any{map[string]any{"name": volumeName, "mountPath": mountPath}},
		})
	}
	return mounted
}

// writeYAML writes a value as a YAML file in a directory.
func writeYAML(dir, name string, content any) error {
	text, err := yaml.Marshal(content)
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	return write(dir, name, text)
}

// write writes a file that everyone may read, and names it in an error.
func write(dir, name string, text []byte) error {
	if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
