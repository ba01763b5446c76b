package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/kubectl/pkg/util/fieldpath"
	"k8s.io/kubectl/pkg/util/resource"
)

const (
	defaultFileMode    = 0o644
	privateMode        = 0o600
	groupReads         = 0o440
	shareMode          = 0o777
	defaultTokenLife   = 3600
	currentLink        = "..data"
	refreshNumerator   = 4 // a token is renewed after four fifths of its life
	refreshDenominator = 5
)

// file is a file of a volume.
type file struct {
	text []byte
	mode os.FileMode
	// owner is -1 for root.
	owner int
}

// token is a token of the pod's account, and the time until which it is used.
type token struct {
	text    string
	expires time.Time
}

// volumes are the directories of a pod's volumes.
type volumes struct {
	dir     string
	written map[string]map[string]file
	tokens  map[string]token
}

// sync brings each volume's directory up to date. What is unchanged is not written.
func (w *worker) sync(ctx context.Context) error {
	for i := range w.pod.Spec.Volumes {
		volume := &w.pod.Spec.Volumes[i]

		if err := w.syncVolume(ctx, volume); err != nil {
			return fmt.Errorf("mount the volume %s: %w", volume.Name, err)
		}
	}

	return nil
}

func (w *worker) syncVolume(ctx context.Context, volume *corev1.Volume) error {
	files, isFiles, err := w.files(ctx, volume)
	if err != nil {
		return err
	}

	dir := w.volumeDir(volume)

	if !isFiles {
		return makeShared(dir)
	}

	if written, ok := w.volumes.written[volume.Name]; ok && reflect.DeepEqual(written, files) {
		return nil
	}

	if err := writeAtomically(dir, files, w.fsGroup()); err != nil {
		return err
	}

	w.volumes.written[volume.Name] = files

	return nil
}

// volumeDir is the pod's own, or for a claim that of all pods which use it.
func (w *worker) volumeDir(volume *corev1.Volume) string {
	if claim := volume.PersistentVolumeClaim; claim != nil {
		return filepath.Join(w.kubelet.dir, "claims", w.pod.Namespace, claim.ClaimName)
	}

	return filepath.Join(w.volumes.dir, volume.Name)
}

// makeShared makes a directory that every user may write to, whichever pod made it first.
func makeShared(dir string) error {
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return err
	}

	return os.Chmod(dir, shareMode)
}

// files returns the files in the volume. isFiles is false for a volume that the pod itself fills.
func (w *worker) files(ctx context.Context, volume *corev1.Volume) (files map[string]file, isFiles bool, err error) {
	source := corev1.ProjectedVolumeSource{}

	switch {
	case volume.EmptyDir != nil, volume.PersistentVolumeClaim != nil:
		return nil, false, nil
	case volume.ConfigMap != nil:
		source.DefaultMode = volume.ConfigMap.DefaultMode
		source.Sources = []corev1.VolumeProjection{{ConfigMap: &corev1.ConfigMapProjection{
			LocalObjectReference: volume.ConfigMap.LocalObjectReference, Items: volume.ConfigMap.Items,
			Optional: volume.ConfigMap.Optional,
		}}}
	case volume.Secret != nil:
		source.DefaultMode = volume.Secret.DefaultMode
		source.Sources = []corev1.VolumeProjection{{Secret: &corev1.SecretProjection{
			LocalObjectReference: corev1.LocalObjectReference{Name: volume.Secret.SecretName},
			Items:                volume.Secret.Items, Optional: volume.Secret.Optional,
		}}}
	case volume.DownwardAPI != nil:
		source.DefaultMode = volume.DownwardAPI.DefaultMode
		source.Sources = []corev1.VolumeProjection{{DownwardAPI: &corev1.DownwardAPIProjection{
			Items: volume.DownwardAPI.Items,
		}}}
	case volume.Projected != nil:
		source = *volume.Projected
	default:
		return nil, false, errors.New("package cluster can mount ConfigMaps, Secrets, projections, the downward API, " +
			"emptyDir and claims, but not a volume of this kind")
	}

	files, err = w.project(ctx, volume.Name, source)

	return files, true, err
}

func (w *worker) project(
	ctx context.Context, volume string, source corev1.ProjectedVolumeSource,
) (map[string]file, error) {
	mode := os.FileMode(defaultFileMode)
	if source.DefaultMode != nil {
		mode = os.FileMode(*source.DefaultMode)
	}

	files := map[string]file{}

	for i := range source.Sources {
		some, err := w.projection(ctx, volume, &source.Sources[i], mode)
		if err != nil {
			return nil, err
		}

		maps.Copy(files, some)
	}

	return files, nil
}

func (w *worker) projection(
	ctx context.Context, volume string, source *corev1.VolumeProjection, mode os.FileMode,
) (map[string]file, error) {
	switch {
	case source.ConfigMap != nil:
		values, err := w.configMap(ctx, source.ConfigMap.Name, source.ConfigMap.Optional)
		if err != nil {
			return nil, err
		}

		return choose(values, source.ConfigMap.Items, source.ConfigMap.Optional, mode)
	case source.Secret != nil:
		values, err := w.secret(ctx, source.Secret.Name, source.Secret.Optional)
		if err != nil {
			return nil, err
		}

		return choose(values, source.Secret.Items, source.Secret.Optional, mode)
	case source.DownwardAPI != nil:
		return w.downward(source.DownwardAPI.Items, mode)
	case source.ServiceAccountToken != nil:
		return w.tokenFile(ctx, volume, source.ServiceAccountToken, mode)
	default:
		return nil, errors.New("package cluster cannot project this source")
	}
}

// choose returns the files of a ConfigMap or Secret.
func choose(
	values map[string]string, items []corev1.KeyToPath, optional *bool, mode os.FileMode,
) (map[string]file, error) {
	files := map[string]file{}

	if len(items) == 0 {
		for key, value := range values {
			files[key] = file{text: []byte(value), mode: mode, owner: -1}
		}
	}

	for _, item := range items {
		value, found := values[item.Key]
		if !found && !isTrue(optional) {
			return nil, fmt.Errorf("there is no key %s", item.Key)
		}

		if found {
			files[item.Path] = file{text: []byte(value), mode: modeOf(item.Mode, mode), owner: -1}
		}
	}

	return files, nil
}

func modeOf(own *int32, mode os.FileMode) os.FileMode {
	if own != nil {
		return os.FileMode(*own)
	}

	return mode
}

func (w *worker) downward(items []corev1.DownwardAPIVolumeFile, mode os.FileMode) (map[string]file, error) {
	files := map[string]file{}

	for _, item := range items {
		var (
			value string
			err   error
		)

		if item.FieldRef != nil {
			value, err = fieldpath.ExtractFieldPathAsString(w.pod, item.FieldRef.FieldPath)
		} else {
			value, err = w.resourceOf(item.ResourceFieldRef)
		}

		if err != nil {
			return nil, err
		}

		files[item.Path] = file{text: []byte(value), mode: modeOf(item.Mode, mode), owner: -1}
	}

	return files, nil
}

func (w *worker) resourceOf(selector *corev1.ResourceFieldSelector) (string, error) {
	for i := range w.pod.Spec.Containers {
		if w.pod.Spec.Containers[i].Name == selector.ContainerName {
			return resource.ExtractContainerResourceValue(selector, &w.pod.Spec.Containers[i])
		}
	}

	return "", fmt.Errorf("there is no container %s", selector.ContainerName)
}

// tokenFile returns a token of the pod's own account, bound to the pod: it becomes invalid with the
// pod.
func (w *worker) tokenFile(
	ctx context.Context, volume string, source *corev1.ServiceAccountTokenProjection, mode os.FileMode,
) (map[string]file, error) {
	key := volume + "/" + source.Path

	current, ok := w.volumes.tokens[key]
	if !ok || time.Now().After(current.expires) {
		var err error
		if current, err = w.requestToken(ctx, source); err != nil {
			return nil, err
		}

		w.volumes.tokens[key] = current
	}

	owner := -1

	// As the kubelet does: other users cannot read a token whose user is fixed.
	if user := w.user(); user != nil {
		owner = int(*user)
	}

	if owner >= 0 || w.fsGroup() >= 0 {
		mode = privateMode
	}

	return map[string]file{source.Path: {text: []byte(current.text), mode: mode, owner: owner}}, nil
}

func (w *worker) requestToken(ctx context.Context, source *corev1.ServiceAccountTokenProjection) (token, error) {
	life := int64(defaultTokenLife)
	if source.ExpirationSeconds != nil {
		life = *source.ExpirationSeconds
	}

	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		ExpirationSeconds: &life,
		BoundObjectRef: &authenticationv1.BoundObjectReference{
			APIVersion: "v1", Kind: "Pod", Name: w.pod.Name, UID: w.pod.UID,
		},
	}}
	if source.Audience != "" {
		request.Spec.Audiences = []string{source.Audience}
	}

	accounts := w.kubelet.client.CoreV1().ServiceAccounts(w.pod.Namespace)

	answer, err := accounts.CreateToken(ctx, w.pod.Spec.ServiceAccountName, request, createOptions)
	if err != nil {
		return token{}, fmt.Errorf("request a token: %w", err)
	}

	now := time.Now()
	rest := answer.Status.ExpirationTimestamp.Sub(now) * refreshNumerator / refreshDenominator

	return token{text: answer.Status.Token, expires: now.Add(rest)}, nil
}

// user is the user that all containers of the pod run as, if the pod sets one.
func (w *worker) user() *int64 {
	var users []int64

	for i := range w.pod.Spec.Containers {
		user := userOf(w.pod, &w.pod.Spec.Containers[i])
		if user == nil {
			return nil
		}

		users = append(users, *user)
	}

	if users = slices.Compact(users); len(users) != 1 {
		return nil
	}

	return &users[0]
}

// userOf is the user that the container should run as, and nil for the image's.
func userOf(pod *corev1.Pod, container *corev1.Container) *int64 {
	if c := container.SecurityContext; c != nil && c.RunAsUser != nil {
		return c.RunAsUser
	}

	if p := pod.Spec.SecurityContext; p != nil {
		return p.RunAsUser
	}

	return nil
}

// fsGroup is -1 when the pod names none.
func (w *worker) fsGroup() int {
	if p := w.pod.Spec.SecurityContext; p != nil && p.FSGroup != nil {
		return int(*p.FSGroup)
	}

	return -1
}

// writeAtomically makes dir hold exactly files, as the kubelet does: they are links through ..data,
// and one rename moves the link from the old directory to the new one. So a reader sees all of the
// old files or all of the new ones.
func writeAtomically(dir string, files map[string]file, group int) error {
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return err
	}

	expires, err := os.MkdirTemp(dir, "..data-")
	if err != nil {
		return err
	}

	if err := os.Chmod(expires, dirMode); err != nil {
		return err
	}

	for name, f := range files {
		if err := f.write(filepath.Join(expires, name), group); err != nil {
			return err
		}
	}

	old, _ := os.Readlink(filepath.Join(dir, currentLink)) // none at first

	next := filepath.Join(dir, currentLink+"_tmp")
	if err := os.Symlink(filepath.Base(expires), next); err != nil {
		return err
	}

	if err := os.Rename(next, filepath.Join(dir, currentLink)); err != nil {
		return err
	}

	if err := link(dir, files); err != nil || old == "" {
		return err
	}

	return os.RemoveAll(filepath.Join(dir, old))
}

func (f file) write(path string, group int) error {
	if err := os.MkdirAll(filepath.Dir(path), dirMode); err != nil {
		return err
	}

	mode := f.mode
	if group >= 0 {
		mode |= groupReads
	}

	if err := os.WriteFile(path, f.text, mode); err != nil {
		return err
	}

	if hasUsers() {
		if err := os.Chown(path, f.owner, group); err != nil {
			return err
		}
	}

	return os.Chmod(path, mode) // whatever the umask is
}

// link makes the visible names lead through ..data, and removes those without a file behind them.
func link(dir string, files map[string]file) error {
	wanted := map[string]bool{}

	for name := range files {
		first, _, _ := strings.Cut(name, "/")
		wanted[first] = true
	}

	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}

	for _, entry := range entries {
		switch name := entry.Name(); {
		case strings.HasPrefix(name, ".."):
		case wanted[name]:
			delete(wanted, name)
		default:
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				return err
			}
		}
	}

	for name := range wanted {
		if err := os.Symlink(filepath.Join(currentLink, name), filepath.Join(dir, name)); err != nil {
			return err
		}
	}

	return nil
}
