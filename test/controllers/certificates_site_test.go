package controllers

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	v1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbac "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/pipeline-storage/pipeline-storage/internal/certificates"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

const (
	service = "storage"
	secret  = "storage-ca"
	webhook = "storage.pipeline-storage.io"

	// Long enough for an API server on a busy machine, and short enough to wait for.
	fastPropagation = time.Second
	fastOverlap     = 4 * time.Second
	fastPoll        = 500 * time.Millisecond
	siteTimeout     = 30 * time.Second
	pause           = 10 * time.Millisecond // between two handshakes of a load
)

// site is a namespace with a ServiceAccount that has the rights of the chart, and a
// MutatingWebhookConfiguration.
type site struct {
	t         *testing.T
	namespace string
	admin     client.WithWatch
	config    *rest.Config
	sites     atomic.Int64
}

// newSite makes everything but the configuration, see install.
func newSite(t *testing.T) *site {
	t.Helper()
	t.Parallel()
	config := suite.RESTConfig(t)
	admin, err := client.NewWithWatch(config, client.Options{Scheme: scheme.Scheme})
	require.NoError(t, err)

	namespace := &corev1.Namespace{}
	namespace.GenerateName = "site-"
	require.NoError(t, admin.Create(t.Context(), namespace))
	s := &site{t: t, namespace: namespace.Name, admin: admin, config: config}
	s.allow()
	t.Cleanup(s.uninstall)
	return s
}

// allow creates the ServiceAccount with exactly the rights that the chart gives it for certificates.
func (s *site) allow() {
	account := rbac.Subject{Kind: rbac.ServiceAccountKind, Namespace: s.namespace, Name: service}
	cluster := &rbac.ClusterRole{Rules: []rbac.PolicyRule{
		rule(v1.GroupName, "mutatingwebhookconfigurations", "", "get", "list", "watch"),
		rule(v1.GroupName, "mutatingwebhookconfigurations", s.namespace, "patch"),
	}}
	cluster.Name = s.namespace
	clusterBinding := &rbac.ClusterRoleBinding{
		RoleRef:  rbac.RoleRef{APIGroup: rbac.GroupName, Kind: "ClusterRole", Name: cluster.Name},
		Subjects: []rbac.Subject{account},
	}
	clusterBinding.Name = s.namespace
	role := &rbac.Role{Rules: []rbac.PolicyRule{
		rule("", "secrets", "", "create"),
		rule("", "secrets", secret, "get", "list", "watch", "update"),
	}}
	role.Namespace, role.Name = s.namespace, service
	binding := &rbac.RoleBinding{
		RoleRef: rbac.RoleRef{APIGroup: rbac.GroupName, Kind: "Role", Name: role.Name}, Subjects: []rbac.Subject{account},
	}
	binding.Namespace, binding.Name = s.namespace, service
	for _, object := range []client.Object{cluster, clusterBinding, role, binding} {
		require.NoError(s.t, s.admin.Create(s.t.Context(), object))
	}
}

func rule(group, resource, name string, verbs ...string) rbac.PolicyRule {
	r := rbac.PolicyRule{APIGroups: []string{group}, Resources: []string{resource}, Verbs: verbs}
	if name != "" {
		r.ResourceNames = []string{name}
	}
	return r
}

// account returns a client with the rights of the ServiceAccount and no others.
func (s *site) account() client.WithWatch {
	config := rest.CopyConfig(s.config)
	config.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:" + s.namespace + ":" + service,
		Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:" + s.namespace, "system:authenticated"},
	}
	api, err := certificates.NewClient(config)
	require.NoError(s.t, err)
	return api
}

// configuration is what a chart renders: no caBundle, and the Service. It selects the pods of the
// site alone, because its Service has no endpoints.
func (s *site) configuration() *v1.MutatingWebhookConfiguration {
	none, version, path := v1.SideEffectClassNone, []string{"v1"}, "/inject"
	object := &v1.MutatingWebhookConfiguration{Webhooks: []v1.MutatingWebhook{{
		Name: webhook,
		ClientConfig: v1.WebhookClientConfig{Service: &v1.ServiceReference{
			Namespace: s.namespace, Name: service,
			Path: &path,
		}},
		Rules: []v1.RuleWithOperations{{
			Operations: []v1.OperationType{v1.Create},
			Rule:       v1.Rule{APIGroups: []string{""}, APIVersions: version, Resources: []string{"pods"}},
		}},
		NamespaceSelector:       &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: s.namespace}},
		SideEffects:             &none,
		AdmissionReviewVersions: version,
	}}}
	object.Name = s.namespace
	return object
}

func (s *site) install() {
	require.NoError(s.t, s.admin.Create(s.t.Context(), s.configuration()))
}

// uninstall removes the configuration: a webhook without a server must not meet other tests.
func (s *site) uninstall() {
	object := &v1.MutatingWebhookConfiguration{}
	object.Name = s.namespace
	assert.NoError(s.t, client.IgnoreNotFound(s.admin.Delete(context.WithoutCancel(s.t.Context()), object)))
}

// options are those of the program with self-made certificates, but faster.
func (s *site) options() certificates.Options {
	return certificates.Options{
		Self:                 true,
		Secret:               s.secretName(),
		DNSNames:             append(certificates.ServiceNames(service, s.namespace), "127.0.0.1"),
		WebhookConfiguration: s.namespace,
		Propagation:          fastPropagation,
		Overlap:              fastOverlap,
		Poll:                 fastPoll,
	}
}

func (s *site) secretName() types.NamespacedName {
	return types.NamespacedName{Namespace: s.namespace, Name: secret}
}

// secret returns the Secret, nil if it does not exist.
func (s *site) secret() *corev1.Secret {
	var object corev1.Secret
	if err := s.admin.Get(s.t.Context(), s.secretName(), &object); !apierrors.IsNotFound(err) {
		require.NoError(s.t, err)
		return &object
	}
	return nil
}

func (s *site) live() *v1.MutatingWebhookConfiguration {
	var object v1.MutatingWebhookConfiguration
	require.NoError(s.t, s.admin.Get(s.t.Context(), types.NamespacedName{Name: s.namespace}, &object))
	return &object
}

func (s *site) bundle() string {
	return string(s.live().Webhooks[0].ClientConfig.CABundle)
}

// setBundle writes the caBundle as an administrator does by hand.
func (s *site) setBundle(text string) {
	patch := client.RawPatch(types.JSONPatchType, fmt.Appendf(nil,
		`[{"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": %q}]`,
		base64.StdEncoding.EncodeToString([]byte(text))))
	require.NoError(s.t, s.admin.Patch(s.t.Context(), s.live(), patch, client.FieldOwner("administrator")))
}

// rotate requests a rotation as an operator does.
func (s *site) rotate(value string) {
	patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil,
		`{"metadata": {"annotations": {%q: %q}}}`, certificates.AnnotationRotate, value))
	require.NoError(s.t, s.admin.Patch(s.t.Context(), s.secret(), patch))
}

// replica is one process of the webhook.
type replica struct {
	*certificates.Certificates
	name    string
	address string
	stop    func()
}

// start runs a replica until the test ends or it is stopped.
func (s *site) start(api client.WithWatch, options certificates.Options) *replica {
	c, err := certificates.New(api, options)
	require.NoError(s.t, err)
	r := &replica{Certificates: c, name: fmt.Sprintf("replica %d", s.sites.Add(1))}
	r.serve(s.t)

	ctx, cancel := context.WithCancel(s.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Start(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		assert.NoError(s.t, <-ended, "only the end of the context ends it")
	})
	s.t.Cleanup(r.stop)
	return r
}

// serve shakes hands with every client.
func (r *replica) serve(t *testing.T) {
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		MinVersion:     tls.VersionTLS13,
		GetCertificate: r.GetCertificate,
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, listener.Close()) })
	r.address = listener.Addr().String()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go shake(conn)
		}
	}()
}

func shake(conn net.Conn) {
	defer conn.Close()
	if c, ok := conn.(*tls.Conn); ok && c.Handshake() == nil {
		_, _ = conn.Write([]byte("."))
	}
}

// handshake connects to a replica as an API server does that has just read the live configuration.
func (s *site) handshake(r *replica) error {
	var object v1.MutatingWebhookConfiguration
	if err := s.admin.Get(s.t.Context(), types.NamespacedName{Name: s.namespace}, &object); err != nil {
		return err
	}
	return s.handshakeBy(r, object.Webhooks[0].ClientConfig.CABundle)
}

func (s *site) handshakeBy(r *replica, roots []byte) error {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(roots)
	conn, err := tls.Dial("tcp", r.address, &tls.Config{
		MinVersion: tls.VersionTLS13, RootCAs: pool, ServerName: certificates.ServiceNames(service, s.namespace)[0],
	})
	if err != nil {
		return fmt.Errorf("%s: %w", r.name, err)
	}
	defer conn.Close()
	_, err = conn.Read(make([]byte, 1))
	return err
}

func (s *site) eventually(condition func() bool, message string) {
	s.t.Helper()
	require.Eventually(s.t, condition, siteTimeout, poll, message)
}

// ready waits until every replica is ready and convinces the live configuration.
func (s *site) ready(replicas ...*replica) {
	s.t.Helper()
	for _, r := range replicas {
		s.eventually(func() bool { return r.Ready() == nil }, r.name+" must get ready")
		require.NoError(s.t, s.handshake(r))
	}
}

// enough is how many handshakes a load makes at least.
const enough = 10

// load shakes hands with all replicas in turn, until it is stopped, and returns how often, and what
// failed.
func (s *site) load(replicas func() []*replica) (stop func() (int64, []string)) {
	var (
		count    atomic.Int64
		failures []string
		done     = make(chan struct{})
		workers  sync.WaitGroup
	)
	workers.Go(func() {
		pace := time.NewTicker(pause)
		defer pace.Stop()
		for {
			for _, r := range replicas() {
				select {
				case <-done:
					return
				case <-pace.C:
				}
				if err := s.handshake(r); err != nil {
					failures = append(failures, err.Error())
				}
				count.Add(1)
			}
		}
	})
	return func() (int64, []string) {
		s.eventually(func() bool { return count.Load() > enough }, "a busy machine needs longer for some handshakes")
		close(done)
		workers.Wait()
		return count.Load(), failures
	}
}

func these(replicas ...*replica) func() []*replica {
	return func() []*replica { return replicas }
}

// noFailures stops a load.
func (s *site) noFailures(stop func() (int64, []string)) {
	s.t.Helper()
	count, failures := stop()
	assert.Greater(s.t, count, int64(enough))
	assert.Empty(s.t, failures, "of %d", count)
	s.t.Logf("%d handshakes, %d failures", count, len(failures))
}

// countCertificates returns the number of certificates in a bundle.
func countCertificates(bundle string) int {
	return strings.Count(bundle, "BEGIN CERTIFICATE")
}

// rotated reports whether the first CA is removed from the caBundle and another one is alone in it.
func (s *site) rotated(first string) func() bool {
	return func() bool {
		b := s.bundle()
		return countCertificates(b) == 1 && b != first
	}
}

// pair is what a user puts into a Secret of the type kubernetes.io/tls, with the CA that signed it.
type pair struct {
	*tls.Certificate
	ca []byte // PEM
}

// newPair is signed by an installation in a cluster of its own.
func newPair(t *testing.T, names []string) pair {
	t.Helper()
	other := fake.NewClientBuilder().Build()
	name := types.NamespacedName{Namespace: "other", Name: secret}
	signer, err := certificates.New(other, certificates.Options{
		Self: true, Secret: name, DNSNames: append([]string{"other"}, names...), WebhookConfiguration: "other",
	})
	require.NoError(t, err)
	require.NoError(t, signer.Load(t.Context()))
	signed, err := signer.GetCertificate(nil)
	require.NoError(t, err)
	var object corev1.Secret
	require.NoError(t, other.Get(t.Context(), name, &object))
	return pair{Certificate: signed, ca: object.Data[certificates.KeyCACertificate]}
}

// write changes the directory as a kubelet may do it: the files of a Secret one after the other.
func (p pair) write(t *testing.T, dir string) {
	t.Helper()
	certificate, err := cert.EncodeCertificates(p.Leaf)
	require.NoError(t, err)
	key, err := keyutil.MarshalPrivateKeyToPEM(p.PrivateKey)
	require.NoError(t, err)
	for _, file := range []struct {
		name string
		text []byte
	}{
		{certificates.KeyCACertificate, p.ca}, {corev1.TLSCertKey, certificate}, {corev1.TLSPrivateKeyKey, key},
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, file.name), file.text, 0o600))
	}
}

func (p pair) trusted() string {
	return string(p.ca)
}

func (r *replica) serves(p pair) bool {
	c, err := r.GetCertificate(nil)
	return err == nil && p.Leaf.Equal(c.Leaf)
}

// contains reports whether an error has a sentence in it.
func contains(err error, sentence string) bool {
	return err != nil && strings.Contains(err.Error(), sentence)
}

// warnings gets those of an API server.
type warnings chan string

// HandleWarningHeader implements rest.WarningHandler.
func (w warnings) HandleWarningHeader(_ int, _, text string) {
	select {
	case w <- text:
	default:
	}
}

// warned is the administrator's client, with its warnings.
func (s *site) warned(w warnings) (client.Client, error) {
	config := rest.CopyConfig(s.config)
	config.WarningHandler = w
	return client.New(config, client.Options{Scheme: scheme.Scheme, Mapper: s.admin.RESTMapper()})
}
