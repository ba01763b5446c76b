package kinds

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// findPods returns the pods of one sort in an object. A scope without containers is no pod (Argo's steps have none), unless
// somebody else brings them.
func findPods(doc map[string]any, pointer string, paths PodPaths) ([]Pod, error) {
	root := node{value: doc, pointer: pointer}
	scopes := resolve(root, paths.Scope)
	if len(scopes) == 0 && paths.Implied {
		scopes = []node{{pointer: pointer + "/" + strings.ReplaceAll(PointerToken(paths.Scope), ".", "/")}}
	}
	var pods []Pod
	shared := 0
	for _, n := range scopes {
		_, isObject := n.value.(map[string]any)
		if isImplied := paths.Implied && n.value == nil; !isObject && !isImplied {
			continue
		}
		pod, err := readPod(scope{n, root, &shared}, paths)
		if err != nil {
			return nil, err
		}
		if len(pod.Containers) > 0 || pod.Label != nil || pod.Why != "" {
			pods = append(pods, pod)
		}
	}
	return pods, nil
}

func readPod(s scope, paths PodPaths) (Pod, error) {
	pod := Pod{Path: s.pointer, Replicas: readReplicas(s, paths.Replicas), Windows: isWindows(s.object(paths.Spec)), Why: paths.Why}
	for _, path := range paths.Metadata {
		meta := s.object(path)
		labels, annotations := stringMap(meta["labels"]), stringMap(meta["annotations"])
		pod.Labels, pod.Annotations = merge(pod.Labels, labels), merge(pod.Annotations, annotations)
		if strings.HasPrefix(path, rootPrefix) {
			if err := s.share(len(labels) + len(annotations)); err != nil {
				return Pod{}, err
			}
		}
	}
	if err := readContainers(&pod, s, paths); err != nil {
		return Pod{}, err
	}
	var err error
	if pod.Label, err = s.labelPlace(paths.Labels, paths.LabelPrefix+Label); err != nil {
		return Pod{}, err
	}
	if pod.Label != nil && pod.Label.Value != "" {
		pod.Labels = merge(map[string]string{Label: pod.Label.Value}, pod.Labels)
	}
	if len(pod.Containers) == 0 {
		return pod, nil
	}
	for _, n := range s.all(paths.ClaimTemplates) {
		pod.ReservedVolumes = append(pod.ReservedVolumes, templateNames(n.value)...)
	}
	if err := s.share(len(pod.ReservedVolumes)); err != nil {
		return Pod{}, err
	}
	if err := readVolumes(&pod, s, paths); err != nil {
		return Pod{}, err
	}
	pod.Scheduling = readScheduling(s, paths)
	return pod, readSecurityContext(&pod, s, paths.SecurityContext)
}

// readContainers reads the containers that can be mounted into, and the names of those that are defined elsewhere.
func readContainers(pod *Pod, s scope, paths PodPaths) error {
	for _, path := range paths.Containers {
		if err := checkList(s, path); err != nil {
			return err
		}
		shared, err := readShared(s, paths, path)
		if err != nil {
			return err
		}
		for _, n := range s.all(path) {
			if n.value == nil && !strings.HasSuffix(path, anyItem) {
				continue // as if it were not there
			}
			container, err := readContainer(n)
			if err != nil {
				return err
			}
			if reference, ok := n.field(paths.Reference); ok && paths.Reference != "" && reference.value != nil {
				pod.Elsewhere = append(pod.Elsewhere, container.Name)
				continue
			}
			container.complete(n, paths, path, shared)
			if err := s.share(len(shared.Mounts) + len(shared.Env)); err != nil {
				return err
			}
			pod.Containers = append(pod.Containers, container)
		}
	}
	if adds := paths.Adds; adds != "" && pod.Container(adds) == nil {
		pod.Elsewhere = append(pod.Elsewhere, adds)
	}
	return nil
}

// complete adds what the row says of a container besides its own fields.
func (c *Container) complete(n node, paths PodPaths, path string, shared Container) {
	if name := paths.Names[path]; name != "" && !n.isNamed() {
		c.Name = name
	}
	c.SharedMounts, c.SharedEnv = shared.Mounts, shared.Env
	for _, list := range paths.ContainerMounts {
		for _, n := range resolve(n, list) {
			c.SharedMounts = append(slices.Clip(c.SharedMounts), readMounts(n.items())...)
		}
	}
	c.NoEnv = slices.Contains(paths.NoEnv, c.Name)
	if paths.Mirror != nil {
		if field, _ := n.field(paths.Mirror.Field); field.value == true {
			c.MirrorOf = paths.Mirror.Of
		}
	}
}

// readShared reads what the containers of a path share with others.
func readShared(s scope, paths PodPaths, containers string) (Container, error) {
	var shared Container
	for _, lists := range paths.Shared {
		if len(lists.Containers) > 0 && !slices.Contains(lists.Containers, containers) {
			continue
		}
		mounts, err := itemsOf(s, lists.Mounts)
		if err != nil {
			return shared, err
		}
		env, err := itemsOf(s, lists.Env)
		if err != nil {
			return shared, err
		}
		shared.Mounts, shared.Env = append(shared.Mounts, readMounts(mounts)...), append(shared.Env, readEnv(env)...)
	}
	return shared, nil
}

// itemsOf returns the items of several lists.
func itemsOf(s scope, lists []string) ([]node, error) {
	var items []node
	for _, path := range lists {
		if err := checkList(s, path+anyItem); err != nil {
			return nil, err
		}
		for _, n := range s.all(path) {
			items = append(items, n.items()...)
		}
	}
	return items, nil
}

// readMounts reads mounts of several containers. Volcano calls the volume of one volumeName, or names its claim.
// Source: volcano, config/crd/volcano/bases/batch.volcano.sh_jobs.yaml, spec.volumes.
func readMounts(items []node) []VolumeMount {
	var mounts []VolumeMount
	for _, n := range items {
		if v, _ := n.value.(map[string]any); v["mountPath"] != nil { // Tekton's workspaces have a default of their own
			volume := cmp.Or(StringOf(v["name"]), StringOf(v["volumeName"]), StringOf(v["volumeClaimName"]), n.pointer)
			mounts = append(mounts, VolumeMount{Volume: volume, Claim: StringOf(v["volumeClaimName"]), Path: StringOf(v["mountPath"])})
		}
	}
	return mounts
}

// readEnv reads environment variables.
func readEnv(items []node) []Env {
	var env []Env
	for _, n := range items {
		if v, ok := n.value.(map[string]any); ok {
			env = append(env, Env{Name: StringOf(v["name"]), Value: StringOf(v["value"]), FromSource: v["valueFrom"] != nil})
		}
	}
	return env
}

// checkList refuses something else in the place of a list, which would look like a list without items.
func checkList(s scope, path string) error {
	list, isList := strings.CutSuffix(path, anyItem)
	if !isList {
		return nil
	}
	for _, n := range s.all(list) {
		if _, ok := n.value.([]any); !ok && n.value != nil {
			return fmt.Errorf("%s is no list", n.pointer)
		}
	}
	return nil
}

func readVolumes(pod *Pod, s scope, paths PodPaths) error {
	n, ok := s.place(paths.Volumes)
	if !ok {
		return fmt.Errorf("%s has no place for volumes", pointerText(s.pointer))
	}
	pod.VolumesPath = n.pointer
	var err error
	if pod.Volumes, err = volumesOf(n); err != nil {
		return err
	}
	for _, path := range paths.SharedVolumes {
		for _, n := range s.all(path) {
			shared, err := volumesOf(n)
			if err == nil {
				err = s.share(len(shared))
			}
			if err != nil {
				return err
			}
			pod.SharedVolumes = append(pod.SharedVolumes, shared...)
		}
	}
	return nil
}

func volumesOf(list node) ([]PodVolume, error) {
	var volumes []PodVolume
	err := eachObject(list, func(v map[string]any) {
		claim, _ := v["persistentVolumeClaim"].(map[string]any)
		volumes = append(volumes, PodVolume{Name: StringOf(v["name"]), Claim: StringOf(claim["claimName"])})
	})
	return volumes, err
}

func readSecurityContext(pod *Pod, s scope, paths []string) error {
	for _, path := range paths {
		n, ok := s.place(path)
		if !ok {
			continue
		}
		if n.value == nil {
			pod.SecurityContextPath = cmp.Or(pod.SecurityContextPath, n.pointer)
			continue
		}
		context, ok := n.value.(map[string]any)
		if !ok {
			return fmt.Errorf("%s is no object", n.pointer)
		}
		pod.SecurityContextPath = n.pointer
		if len(context) > 0 {
			pod.SecurityContext = &SecurityContext{
				HasFSGroup:             context["fsGroup"] != nil,
				HasFSGroupChangePolicy: context["fsGroupChangePolicy"] != nil,
			}
		}
		return nil
	}
	return nil
}

func readContainer(n node) (Container, error) {
	m, ok := n.value.(map[string]any)
	if !ok {
		return Container{}, fmt.Errorf("%s is no container", n.pointer)
	}
	c := Container{Path: n.pointer, Name: StringOf(m["name"])}
	if c.Name == "" {
		c.Name = n.pointer[strings.LastIndexByte(n.pointer, '/')+1:]
	}
	child := func(name string) node { f, _ := n.field(name); return f }
	if err := eachObject(child("volumeMounts"), func(v map[string]any) {
		c.Mounts = append(c.Mounts, VolumeMount{Volume: StringOf(v["name"]), Path: StringOf(v["mountPath"])})
	}); err != nil {
		return Container{}, err
	}
	if err := eachObject(child("volumeDevices"), func(v map[string]any) {
		c.Devices = append(c.Devices, StringOf(v["devicePath"]))
	}); err != nil {
		return Container{}, err
	}
	return c, eachObject(child("env"), func(v map[string]any) {
		source, _ := v["valueFrom"].(map[string]any)
		field, _ := source["fieldRef"].(map[string]any)
		c.Env = append(c.Env, Env{Name: StringOf(v["name"]), Value: StringOf(v["value"]), FromSource: v["valueFrom"] != nil, FieldPath: StringOf(field["fieldPath"])})
	})
}

// eachObject visits the objects of a list. A missing or null list has none.
func eachObject(list node, visit func(map[string]any)) error {
	if list.value == nil {
		return nil
	}
	values, ok := list.value.([]any)
	if !ok {
		return fmt.Errorf("%s is no list", list.pointer)
	}
	for i, value := range values {
		m, ok := value.(map[string]any)
		if !ok {
			return fmt.Errorf("%s/%d is no object", list.pointer, i)
		}
		visit(m)
	}
	return nil
}

func templateNames(list any) []string {
	values, _ := list.([]any)
	var names []string
	for _, value := range values {
		m, _ := value.(map[string]any)
		meta, _ := m["metadata"].(map[string]any)
		names = append(names, StringOf(meta["name"]))
	}
	return names
}

// readReplicas multiplies the counts that are there.
func readReplicas(s scope, paths []string) int {
	product := 1
	for _, path := range paths {
		for _, n := range s.all(path) {
			number, ok := n.value.(json.Number)
			if count, err := number.Int64(); ok && err == nil {
				product *= int(count)
			}
		}
	}
	return product
}

// isWindows reads the two ways in which a pod says so. Source: Kubernetes, core/v1 PodOS and the label kubernetes.io/os.
func isWindows(spec map[string]any) bool {
	os, _ := spec["os"].(map[string]any)
	selector, _ := spec["nodeSelector"].(map[string]any)
	return StringOf(os["name"]) == "windows" || StringOf(selector["kubernetes.io/os"]) == "windows"
}

func merge(first, second map[string]string) map[string]string {
	if len(first) == 0 {
		return second
	}
	for key, value := range second {
		if _, ok := first[key]; !ok {
			first[key] = value
		}
	}
	return first
}

// pointerText names a place for people.
func pointerText(pointer string) string {
	if pointer == "" {
		return "the document"
	}
	return pointer
}
