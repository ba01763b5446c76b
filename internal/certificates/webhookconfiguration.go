package certificates

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"

	v1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// FieldManager owns the caBundle of the configuration, and nothing else of it.
const FieldManager = "pipeline-storage-certificates"

// configuration has the fields of the live MutatingWebhookConfiguration that matter.
type configuration struct {
	name            string
	resourceVersion string
	// hooks is empty when the configuration does not exist.
	hooks []hook
}

// hook is one webhook of a configuration: how API servers reach it, and which roots they trust
// there.
type hook struct {
	name, host string
	roots      bundle
	// isOff is true for a webhook that selects no namespace, as those of the chart's optIn do by default. API
	// servers never call it, so that a caBundle which it does not have yet is no problem.
	isOff bool
}

// readConfiguration reads from the API server itself: a cache would be older than the Secret that
// is read next.
func readConfiguration(ctx context.Context, api client.Reader, name string) (configuration, error) {
	var object v1.MutatingWebhookConfiguration
	err := api.Get(ctx, types.NamespacedName{Name: name}, &object)
	switch {
	case errors.IsNotFound(err):
		return configuration{name: name}, nil
	case err != nil:
		return configuration{}, fmt.Errorf("read the MutatingWebhookConfiguration %s: %w", name, err)
	}
	return newConfiguration(&object), nil
}

// newConfiguration parses each caBundle once, because a round compares them several times.
func newConfiguration(object *v1.MutatingWebhookConfiguration) configuration {
	c := configuration{name: object.Name, resourceVersion: object.ResourceVersion}
	for i := range object.Webhooks {
		w := &object.Webhooks[i]
		c.hooks = append(c.hooks, hook{
			name:  w.Name,
			host:  serverName(w.ClientConfig),
			roots: parseBundle(w.ClientConfig.CABundle),
			isOff: selectsNothing(w.NamespaceSelector),
		})
	}
	return c
}

// selectsNothing reports whether a selector requires a namespace without the label of its name, which the API
// server writes on every one.
// Source: Kubernetes, pkg/apis/core/v1/defaults.go SetDefaults_Namespace.
func selectsNothing(namespaces *metav1.LabelSelector) bool {
	isImpossible := func(e metav1.LabelSelectorRequirement) bool {
		return e.Key == corev1.LabelMetadataName && e.Operator == metav1.LabelSelectorOpDoesNotExist
	}
	return namespaces != nil && slices.ContainsFunc(namespaces.MatchExpressions, isImpossible)
}

// serverName returns the name that an API server requires in the certificate.
// Source: k8s.io/apiserver, pkg/util/webhook/client.go.
func serverName(config v1.WebhookClientConfig) string {
	if config.Service != nil {
		return serviceHost(config.Service.Name, config.Service.Namespace)
	}
	if config.URL == nil {
		return ""
	}
	u, err := url.Parse(*config.URL)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// roots are the certificates that every webhook of the configuration trusts that is not off.
func (c configuration) roots() bundle {
	var common bundle
	seen := false
	for _, h := range c.hooks {
		switch {
		case h.isOff:
		case !seen:
			common, seen = h.roots, true
		default:
			common = common.only(h.roots.has)
		}
	}
	return common
}

// held are the certificates that any webhook of the configuration trusts.
func (c configuration) held() bundle {
	var all bundle
	for _, h := range c.hooks {
		all = append(all, h.roots...)
	}
	return newBundle(all...)
}

// hosts returns the names that the certificate must have, one of each webhook. A webhook whose URL
// cannot be parsed has an empty name, which no certificate has.
func (c configuration) hosts() []string {
	hosts := make([]string, len(c.hooks))
	for i, h := range c.hooks {
		hosts[i] = h.host
	}
	return hosts
}

// carries reports whether every webhook trusts exactly these. A configuration without webhooks
// lacks nothing.
func (c configuration) carries(roots bundle) bool {
	for _, h := range c.hooks {
		if !h.roots.equal(roots) {
			return false
		}
	}
	return true
}

// writeBundle makes every webhook trust exactly these roots and returns the new configuration. By
// server-side apply it owns the caBundle alone, so that Helm, which renders none, never conflicts
// with it. It fails with a conflict when the configuration has changed since it was read.
func (c configuration) writeBundle(ctx context.Context, api client.Writer, roots bundle) (configuration, error) {
	patch, err := c.apply(roots)
	if err != nil {
		return c, err
	}
	var object v1.MutatingWebhookConfiguration
	object.Name = c.name
	err = api.Patch(ctx, &object, client.RawPatch(types.ApplyPatchType, patch), client.FieldOwner(FieldManager),
		client.ForceOwnership)
	if err != nil {
		return c, fmt.Errorf("write the caBundle of the MutatingWebhookConfiguration %s: %w", c.name, err)
	}
	return newConfiguration(&object), nil
}

// apply returns the fields to own. A typed object would be no shorter, and would own fields that it
// cannot leave out.
func (c configuration) apply(roots bundle) ([]byte, error) {
	hooks := make([]map[string]any, len(c.hooks))
	for i, h := range c.hooks {
		hooks[i] = map[string]any{
			"name":         h.name,
			"clientConfig": map[string]any{"caBundle": roots.encode()},
		}
	}
	patch, err := json.Marshal(map[string]any{
		"apiVersion": v1.SchemeGroupVersion.String(),
		"kind":       "MutatingWebhookConfiguration",
		"metadata":   map[string]any{"name": c.name, "resourceVersion": c.resourceVersion},
		"webhooks":   hooks,
	})
	if err != nil {
		return nil, fmt.Errorf("encode the caBundle of the MutatingWebhookConfiguration %s: %w", c.name, err)
	}
	return patch, nil
}
