package cluster

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/kubectl/pkg/util/fieldpath"
	"k8s.io/kubectl/pkg/util/resource"
)

// environment returns the environment of a container's process by the kubelet's rules, but of the
// services only the API server.
func (w *worker) environment(ctx context.Context, container *corev1.Container) (map[string]string, error) {
	host, port, err := net.SplitHostPort(strings.TrimPrefix(w.kubelet.podHost, "https://"))
	if err != nil {
		return nil, fmt.Errorf("read the address of the API server: %w", err)
	}

	env := map[string]string{
		"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME": w.pod.Name,
		"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port, "KUBERNETES_SERVICE_PORT_HTTPS": port,
	}

	for _, source := range container.EnvFrom {
		values, err := w.valuesFrom(ctx, source)
		if err != nil {
			return nil, err
		}

		for name, value := range values {
			env[source.Prefix+name] = value
		}
	}

	for _, variable := range container.Env {
		value, found, err := w.value(ctx, container, variable, env)
		if err != nil {
			return nil, fmt.Errorf("the variable %s: %w", variable.Name, err)
		}

		if found {
			env[variable.Name] = value
		}
	}

	return env, nil
}

func (w *worker) valuesFrom(ctx context.Context, source corev1.EnvFromSource) (map[string]string, error) {
	switch {
	case source.ConfigMapRef != nil:
		return w.configMap(ctx, source.ConfigMapRef.Name, source.ConfigMapRef.Optional)
	case source.SecretRef != nil:
		return w.secret(ctx, source.SecretRef.Name, source.SecretRef.Optional)
	default:
		return nil, nil
	}
}

// value returns the value of the variable. It is not found when its source is optional and missing.
func (w *worker) value(
	ctx context.Context, container *corev1.Container, variable corev1.EnvVar, env map[string]string,
) (value string, found bool, err error) {
	from := variable.ValueFrom

	switch {
	case from == nil:
		return expand(variable.Value, env), true, nil
	case from.FieldRef != nil:
		value, err = w.field(from.FieldRef.FieldPath)

		return value, true, err
	case from.ResourceFieldRef != nil:
		value, err = resource.ExtractContainerResourceValue(from.ResourceFieldRef, container)

		return value, true, err
	case from.ConfigMapKeyRef != nil:
		values, err := w.configMap(ctx, from.ConfigMapKeyRef.Name, from.ConfigMapKeyRef.Optional)

		return pick(values, err, from.ConfigMapKeyRef.Key, from.ConfigMapKeyRef.Optional)
	case from.SecretKeyRef != nil:
		values, err := w.secret(ctx, from.SecretKeyRef.Name, from.SecretKeyRef.Optional)

		return pick(values, err, from.SecretKeyRef.Key, from.SecretKeyRef.Optional)
	default:
		return "", false, fmt.Errorf("package cluster cannot resolve this source: %v", from)
	}
}

func pick(values map[string]string, err error, key string, optional *bool) (value string, found bool, _ error) {
	if err != nil {
		return "", false, err
	}

	value, found = values[key]
	if !found && !isTrue(optional) {
		return "", false, fmt.Errorf("there is no key %s", key)
	}

	return value, found, nil
}

// field returns a field of the downward API.
func (w *worker) field(path string) (string, error) {
	switch path {
	case "spec.nodeName":
		return w.pod.Spec.NodeName, nil
	case "spec.serviceAccountName":
		return w.pod.Spec.ServiceAccountName, nil
	case "status.podIP", "status.podIPs":
		return w.address.String(), nil
	case "status.hostIP", "status.hostIPs":
		return gateway.String(), nil
	default:
		return fieldpath.ExtractFieldPathAsString(w.pod, path)
	}
}

// configMap returns the values of a ConfigMap of the pod's namespace.
func (w *worker) configMap(ctx context.Context, name string, optional *bool) (map[string]string, error) {
	object, err := w.kubelet.client.CoreV1().ConfigMaps(w.pod.Namespace).Get(ctx, name, getOptions)
	if apierrors.IsNotFound(err) && isTrue(optional) {
		return nil, nil
	}

	if err != nil {
		return nil, err
	}

	values := maps.Clone(object.Data)
	if values == nil {
		values = map[string]string{}
	}

	for key, value := range object.BinaryData {
		values[key] = string(value)
	}

	return values, nil
}

// secret returns the values of a Secret of the pod's namespace.
func (w *worker) secret(ctx context.Context, name string, optional *bool) (map[string]string, error) {
	object, err := w.kubelet.client.CoreV1().Secrets(w.pod.Namespace).Get(ctx, name, getOptions)
	if apierrors.IsNotFound(err) && isTrue(optional) {
		return nil, nil
	}

	if err != nil {
		return nil, err
	}

	values := make(map[string]string, len(object.Data))
	for key, value := range object.Data {
		values[key] = string(value)
	}

	return values, nil
}

func isTrue(b *bool) bool { return b != nil && *b }

// list returns the variables as a process takes them, sorted.
func list(env map[string]string) []string {
	all := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		all = append(all, name+"="+env[name])
	}

	return all
}

// expand replaces $(NAME) by the variable's value, as Kubernetes does: an unknown name stays as
// written, and $$ is one $ that begins nothing.
func expand(text string, env map[string]string) string {
	var out strings.Builder

	for {
		before, rest, found := strings.Cut(text, "$")
		out.WriteString(before)

		if !found {
			return out.String()
		}

		if after, escaped := strings.CutPrefix(rest, "$"); escaped {
			out.WriteString("$")

			text = after

			continue
		}

		name, after, closed := strings.Cut(rest, ")")
		value, known := env[strings.TrimPrefix(name, "(")]

		if !strings.HasPrefix(rest, "(") || !closed || !known {
			out.WriteString("$")

			text = rest

			continue
		}

		out.WriteString(value)

		text = after
	}
}

func expandAll(values []string, env map[string]string) []string {
	expanded := make([]string, 0, len(values))
	for _, text := range values {
		expanded = append(expanded, expand(text, env))
	}

	return expanded
}
