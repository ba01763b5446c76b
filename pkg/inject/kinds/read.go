package kinds

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// findPods returns the pods of one sort in an object. A scope without containers is no pod (Argo's
// steps have none), unless the row has labels or a reason for them.
func findPods(doc map[string]any, pointer string, row *podRow) ([]Pod, error) {
	root := node{value: doc, pointer: pointer}
	scopes := follow(root, row.scope.steps, nil)
	if len(scopes) == 0 && row.Implied {
		scopes = []node{{pointer: pointer + row.scope.pointer()}}
	}
	var pods []Pod
	shared := 0
	for _, n := range scopes {
		_, isObject := n.value.(map[string]any)
		if isImplied := row.Implied && n.value == nil; !isObject && !isImplied {
			continue
		}
		pod, err := readPod(scope{n, root, &shared}, row)
		if err != nil {
			return nil, err
		}
		if len(pod.Containers) > 0 || pod.Label != nil || pod.Why != "" {
			pods = append(pods, pod)
		}
	}
	return pods, nil
}

// readPod reads the pod at a scope by its row. Without containers it reads the labels and the reason
// only: nothing can be added there. An error names the place of the wrong shape by its JSON pointer,
// and refuses the whole object: half a pod would get half of the mounts.
func readPod(s scope, row *podRow) (Pod, error) {
	pod := Pod{
		Path: s.pointer, Replicas: readReplicas(s, row.replicas), Windows: isWindows(s, row),
		UserNamespace: s.object(row.spec)["hostUsers"] == false, Why: row.Why,
	}
	for _, path := range row.metadata {
		meta := s.object(path)
		labels, annotations := stringMap(meta["labels"]), stringMap(meta["annotations"])
		pod.Labels, pod.Annotations = merge(pod.Labels, labels), merge(pod.Annotations, annotations)
		if path.fromRoot {
			if err := s.share(len(labels) + len(annotations)); err != nil {
				return Pod{}, err
			}
		}
	}
	if err := readContainers(&pod, s, row); err != nil {
		return Pod{}, err
	}
	var err error
	if pod.Label, err = s.labelPlace(row.labels, row.LabelPrefix+Label); err != nil {
		return Pod{}, err
	}
	if pod.Label != nil && pod.Label.Value != "" {
		pod.Labels = merge(map[string]string{Label: pod.Label.Value}, pod.Labels)
	}
	readConf(&pod, s, row.Conf)
	if len(pod.Containers) == 0 {
		return pod, nil
	}
	for _, n := range s.all(row.claimTemplates) {
		pod.ReservedVolumes = append(pod.ReservedVolumes, templateNames(n.value)...)
	}
	if err := s.share(len(pod.ReservedVolumes)); err != nil {
		return Pod{}, err
	}
	if err := readVolumes(&pod, s, row); err != nil {
		return Pod{}, err
	}
	readScheduling(&pod.Scheduling, s, row)
	return pod, readSecurityContext(&pod, s, row.securityContext)
}

// readContainers reads the containers that can be mounted into with their ports, and the names of
// external ones.
func readContainers(pod *Pod, s scope, row *podRow) error {
	for i := range row.containers {
		if err := readContainersAt(pod, s, row, &row.containers[i]); err != nil {
			return err
		}
	}
	isExternal := slices.Contains(pod.ExternalContainers, row.Adds)
	if adds := row.Adds; adds != "" && !isExternal && pod.Container(adds) == nil {
		pod.ExternalContainers = append(pod.ExternalContainers, adds)
	}
	return nil
}

// readContainersAt reads the containers of one path.
func readContainersAt(pod *Pod, s scope, row *podRow, at *containerRow) error {
	if err := at.checkList(s); err != nil {
		return err
	}
	shared, err := readShared(s, at)
	if err != nil {
		return err
	}
	isJoined := at.isJoined(s)
	for _, n := range s.all(at.path) {
		if n.value == nil && !at.isItem {
			continue // as if it were not there
		}
		container, err := readContainer(n)
		if err != nil {
			return err
		}
		if ports := n.field("ports"); ports.value != nil {
			pod.Ports = append(pod.Ports, ports.value)
		}
		context, _ := n.field("securityContext").value.(map[string]any)
		pod.Windows = pod.Windows || isHostProcess(context)
		if isJoined || row.isExternal(n) {
			pod.ExternalContainers = append(pod.ExternalContainers, container.Name)
			continue
		}
		container.complete(n, row, at, shared)
		if err := s.share(len(shared.Mounts) + len(shared.Env)); err != nil {
			return err
		}
		pod.Containers = append(pod.Containers, container)
	}
	return nil
}

// isExternal reports whether a container refers to another object that defines it.
func (row *podRow) isExternal(container node) bool {
	return row.Reference != "" && container.field(row.Reference).value != nil
}

// isJoined reports whether the containers are joined with those of another pod template.
func (c *containerRow) isJoined(s scope) bool {
	return slices.ContainsFunc(c.joined, func(list path) bool {
		return slices.ContainsFunc(s.all(list), func(n node) bool { return len(n.items()) > 0 })
	})
}

// complete adds what the row has for a container in addition to its own fields.
func (c *Container) complete(n node, row *podRow, at *containerRow, shared Container) {
	if at.name != "" && !n.isNamed() {
		c.Name = at.name
	}
	c.SharedMounts, c.SharedEnv = shared.Mounts, shared.Env
	for _, list := range row.containerMounts {
		for _, n := range follow(n, list.steps, nil) {
			c.SharedMounts = append(slices.Clip(c.SharedMounts), readMounts(n.items())...)
		}
	}
	c.NoEnv = slices.Contains(row.NoEnv, c.Name)
	if row.Mirror != nil && n.field(row.Mirror.Field).value == true {
		c.MirrorOf = row.Mirror.Of
	}
}

// readShared reads what the containers of a path share with others.
func readShared(s scope, at *containerRow) (Container, error) {
	mounts, err := itemsOf(s, at.sharedMounts)
	if err != nil {
		return Container{}, err
	}
	env, err := itemsOf(s, at.sharedEnv)
	return Container{Mounts: readMounts(mounts), Env: readEnv(env)}, err
}

// itemsOf returns the items of several lists.
func itemsOf(s scope, lists []path) ([]node, error) {
	var items []node
	for _, list := range lists {
		if err := checkLists(s, list); err != nil {
			return nil, err
		}
		for _, n := range s.all(list) {
			items = append(items, n.items()...)
		}
	}
	return items, nil
}

// readMounts reads mounts of several containers. Volcano calls the volume of one volumeName, or
// names its claim.
// Source: volcano, config/crd/volcano/bases/batch.volcano.sh_jobs.yaml, spec.volumes.
func readMounts(items []node) []VolumeMount {
	var mounts []VolumeMount
	for _, n := range items {
		if v, _ := n.value.(map[string]any); v["mountPath"] != nil { // Tekton's workspaces have a default of their own
			volume := cmp.Or(StringOf(v["name"]), StringOf(v["volumeName"]), StringOf(v["volumeClaimName"]), n.pointer)
			mounts = append(
				mounts, VolumeMount{
					Volume: volume, Claim: StringOf(v["volumeClaimName"]), Path: StringOf(v["mountPath"]),
					ReadOnly: v["readOnly"] == true,
				},
			)
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

// checkList refuses something else in the place of the list of containers.
func (c *containerRow) checkList(s scope) error {
	if !c.isItem {
		return nil
	}
	return checkLists(s, c.list)
}

// checkLists refuses something else in the place of a list, which would look like a list without
// items.
func checkLists(s scope, list path) error {
	for _, n := range s.all(list) {
		if _, ok := n.value.([]any); !ok && n.value != nil {
			return fmt.Errorf("%s is no list", n.pointer)
		}
	}
	return nil
}

// readVolumes reads the pod's own volumes and the shared ones, which it counts. It fails where the
// object that would hold the list of volumes is missing.
func readVolumes(pod *Pod, s scope, row *podRow) error {
	n, ok := s.place(row.volumes)
	if !ok {
		return fmt.Errorf("%s has no place for volumes", pointerText(s.pointer))
	}
	pod.VolumesPath = n.pointer
	var err error
	if pod.Volumes, err = volumesOf(n); err != nil {
		return err
	}
	for _, path := range row.sharedVolumes {
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

// volumesOf reads a list of volumes. A null list is empty, and any other value an error.
func volumesOf(list node) ([]PodVolume, error) {
	var volumes []PodVolume
	err := eachObject(list, func(v map[string]any) {
		claim, _ := v["persistentVolumeClaim"].(map[string]any)
		volumes = append(volumes, PodVolume{
			Name: StringOf(v["name"]), Claim: StringOf(claim["claimName"]), ReadOnly: claim["readOnly"] == true,
		})
	})
	return volumes, err
}

// readSecurityContext takes the first place that has a value. Where none has one, it is the first
// place whose parent is there. An empty object is read as none, because it can be replaced as a
// whole.
func readSecurityContext(pod *Pod, s scope, places []place) error {
	for _, p := range places {
		n, ok := s.place(p)
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
				HasSELinuxChangePolicy: context["seLinuxChangePolicy"] != nil,
				SELinux:                readSELinux(context),
			}
		}
		return nil
	}
	return nil
}

// readSELinux reads the label of a security context, of a pod or a container.
func readSELinux(context map[string]any) string {
	o, _ := context["seLinuxOptions"].(map[string]any)
	return SELinuxLabel(StringOf(o["user"]), StringOf(o["role"]), StringOf(o["type"]), StringOf(o["level"]))
}

// readContainer reads what decisions need of a container. One without a name is called by the last
// part of its pointer: its index in a list, or its field, such as Argo's script.
func readContainer(n node) (Container, error) {
	m, ok := n.value.(map[string]any)
	if !ok {
		return Container{}, fmt.Errorf("%s is no container", n.pointer)
	}
	c := Container{Path: n.pointer, Name: StringOf(m["name"])}
	if c.Name == "" {
		c.Name = n.pointer[strings.LastIndexByte(n.pointer, '/')+1:]
	}
	if context, ok := m["securityContext"].(map[string]any); ok {
		c.SELinux = readSELinux(context)
	}
	if err := eachObject(n.field("volumeMounts"), func(v map[string]any) {
		c.Mounts = append(c.Mounts, VolumeMount{
			Volume: StringOf(v["name"]), Path: StringOf(v["mountPath"]), ReadOnly: v["readOnly"] == true,
		})
	}); err != nil {
		return Container{}, err
	}
	if err := eachObject(n.field("volumeDevices"), func(v map[string]any) {
		c.Devices = append(c.Devices, StringOf(v["devicePath"]))
	}); err != nil {
		return Container{}, err
	}
	env := n.field("env")
	if values, _ := env.value.([]any); len(values) > 0 {
		c.Env = make([]Env, 0, len(values))
	}
	return c, eachObject(env, func(v map[string]any) {
		source, _ := v["valueFrom"].(map[string]any)
		field, _ := source["fieldRef"].(map[string]any)
		c.Env = append(c.Env, Env{
			Name: StringOf(v["name"]), Value: StringOf(v["value"]), FromSource: v["valueFrom"] != nil,
			FieldPath: StringOf(field["fieldPath"]),
		})
	})
}

// eachObject calls do with every object of a list. A missing or null list has none.
func eachObject(list node, do func(map[string]any)) error {
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
		do(m)
	}
	return nil
}

// templateNames returns the names of claim templates, which a controller gives to volumes of the
// pod. Source: Kubernetes, pkg/controller/statefulset/stateful_set_utils.go updateStorage.
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

// readReplicas multiplies the counts that are there. A count that is not a whole number, such as a
// placeholder that a workflow fills, counts as 1.
func readReplicas(s scope, paths []path) int {
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

// merge adds the entries of second to first, whose own win. It changes first, or returns second
// where first has no entries.
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
