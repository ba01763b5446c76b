package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/test/bench/figures"
	"github.com/pipeline-storage/pipeline-storage/test/bench/stream"
	"github.com/pipeline-storage/pipeline-storage/test/parts"
)

// Names of candidates. Copy only reads and writes, and imports links postrender's libraries as well: together
// they show the least cost.
const (
	copies      = "copy"
	imports     = "imports"
	postrender  = "postrender"
	predecessor = "predecessor"
	yq          = "yq"
	kustomize   = "kustomize"
)

// candidate is a program that is measured.
type candidate struct {
	name string
	// pkg is the package of a program of this repository. The others are pinned, see package parts.
	pkg  string
	args []string
	// edits is false for a program that must change nothing.
	edits bool

	path string
	dir  string // in which it runs
}

// candidates are in the order of the table.
var candidates = []candidate{
	{name: copies, pkg: "test/bench/copy"},
	{name: imports, pkg: "test/bench/imports"},
	{name: postrender, pkg: "cmd/postrender", args: postrenderArgs, edits: true},
	{name: predecessor, args: postrenderArgs, edits: true},
	{name: yq, args: []string{yqExpression, storageFile, "-"}, edits: true},
	{name: kustomize, args: []string{"build", "."}, edits: true},
}

// defaultNames are the candidates that are measured by default: the predecessor is, if a flag names it.
func defaultNames() []string {
	var names []string
	for _, c := range candidates {
		if c.name != predecessor {
			names = append(names, c.name)
		}
	}
	return names
}

// prepareAll finds or builds the chosen candidates' programs.
func prepareAll(ctx context.Context, o options, dir string) ([]candidate, error) {
	var chosen []candidate
	for _, c := range candidates {
		if !o.Candidates.Has(c.name) {
			continue
		}
		var err error
		if c.path, err = c.program(ctx, o, dir); err != nil {
			return nil, err
		}
		chosen = append(chosen, c)
	}
	return chosen, nil
}

func (c candidate) program(ctx context.Context, o options, dir string) (string, error) {
	if named := o.paths[c.name]; named != nil && *named != "" {
		copied := filepath.Join(dir, c.name)
		if err := figures.Copy(*named, copied); err != nil {
			return "", fmt.Errorf("--%s: %w", c.name, err)
		}
		return copied, nil
	}
	if c.pkg != "" {
		return build(ctx, c.pkg, dir)
	}
	path, err := parts.Path(ctx, c.name)
	if err != nil {
		return "", fmt.Errorf("the pinned %s: %w (leave it out with --only)", c.name, err)
	}
	return path, nil
}

// build builds a program and writes it as those of flags are written.
func build(ctx context.Context, pkg, dir string) (string, error) {
	path := filepath.Join(dir, filepath.Base(pkg))
	if err := parts.Compile(ctx, pkg, path); err != nil {
		return "", err
	}
	return path, figures.Copy(path, path)
}

// The edit that every tool makes: this claim in every pod, mounted here in every container. They are the
// defaults of postrender for this release, so that it needs no further flags.
const (
	claimName  = "pvc-data-pipeline." + stream.Release
	className  = "fast." + stream.Namespace + "." + stream.Release
	volumeName = "pipeline-storage"
	mountPath  = "/data"
)

// postrenderArgs are the flags for a chart without labels: an empty selector selects every pod.
var postrenderArgs = []string{"--selector=", "--namespace=" + stream.Namespace, "--release=" + stream.Release}

// yqExpression appends the volume to each pod and the mount to each of its containers. The kinds are named,
// because yq has no table of the kinds that hold pods. yq writes its files in the order in which they are
// named, the storage objects first.
const yqExpression = `with(select(.kind == "Deployment" or .kind == "StatefulSet" or .kind == "Job") | ` +
	`.spec.template.spec; ` +
	`.volumes += [{"name": "` + volumeName + `", "persistentVolumeClaim": {"claimName": "` + claimName + `"}}] | ` +
	`(.containers, select(has("initContainers")).initContainers)[].volumeMounts += ` +
	`[{"name": "` + volumeName + `", "mountPath": "` + mountPath + `"}])`

// storage is what postrender adds in front by default, for the tools that cannot make it themselves. All
// candidates thus write the same objects.
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

// storageFile and allFile are the storage objects and the stream in the directory of a subject.
const (
	storageFile = "storage.yaml"
	allFile     = "all.yaml"
)

// prepareFiles writes what yq and kustomize read. A post-renderer made of kustomize needs the stream as a file,
// and a strategic-merge patch for every workload, which a person has written by hand and updates with the
// chart. Writing the stream to the file is part of such a post-renderer, but is not measured here: kustomize is
// given that for nothing. Order fifo keeps the order of the stream; kustomize would sort the objects otherwise.
func prepareFiles(dir string, text []byte, all []document) error {
	files := map[string][]byte{storageFile: []byte(storage), allFile: text}
	patches := []any{}
	for _, d := range all {
		if d.pod == nil {
			continue
		}
		patch, err := yaml.Marshal(patch(d))
		if err != nil {
			return fmt.Errorf("encode a patch: %w", err)
		}
		name := "patch-" + strings.ToLower(d.GetKind()) + "-" + d.GetName() + ".yaml"
		files[name] = patch
		patches = append(patches, map[string]any{"path": name})
	}
	kustomization, err := yaml.Marshal(map[string]any{
		"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
		"resources":   []string{storageFile, allFile},
		"sortOptions": map[string]any{"order": "fifo"},
		"patches":     patches,
	})
	if err != nil {
		return fmt.Errorf("encode the kustomization: %w", err)
	}
	files["kustomization.yaml"] = kustomization
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return nil
}

// patch is a workload reduced to its identity, the volume, and the mount in each of its containers. It is a
// strategic merge patch: lists are merged by the keys of their items, such as their names.
func patch(d document) map[string]any {
	pod := map[string]any{"volumes": []any{map[string]any{
		"name": volumeName, "persistentVolumeClaim": map[string]any{"claimName": claimName},
	}}}
	mount := []any{map[string]any{"name": volumeName, "mountPath": mountPath}}
	for list, containers := range map[string][]corev1.Container{
		"initContainers": d.pod.InitContainers, "containers": d.pod.Containers,
	} {
		var mounted []any
		for _, c := range containers {
			mounted = append(mounted, map[string]any{"name": c.Name, "volumeMounts": mount})
		}
		if mounted != nil {
			pod[list] = mounted
		}
	}
	return map[string]any{
		"apiVersion": d.GetAPIVersion(), "kind": d.GetKind(),
		"metadata": map[string]any{"name": d.GetName(), "namespace": d.GetNamespace()},
		"spec":     map[string]any{"template": map[string]any{"spec": pod}},
	}
}
