package chart_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/test/controlplane"
)

// dryRun has the API server decide and create nothing.
var dryRun = metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}

// account is the ServiceAccount of the release ps.
func account(namespace string) string {
	return fmt.Sprintf("system:serviceaccount:%s:ps-pipeline-storage", namespace)
}

// as returns a client with the rights of the release's ServiceAccount.
func as(t *testing.T, namespace string) kubernetes.Interface {
	t.Helper()
	config := rest.CopyConfig(server)
	config.Impersonate = rest.ImpersonationConfig{UserName: account(namespace)}
	client, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	return client
}

// fenced installs the chart with profiles and returns when its fence stands.
func fenced(t *testing.T, profiles []inject.Profile) (kubernetes.Interface, *inject.Config) {
	t.Helper()
	text, err := yaml.Marshal(map[string]any{"config": map[string]any{"profiles": profiles}})
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "values.yaml")
	require.NoError(t, os.WriteFile(file, text, 0o600))

	namespace := newNamespace(t, restricted)
	install(t, helm4, "ps", namespace, "--values", file)
	client := as(t, namespace)
	// RBAC and both policies, each of which takes a moment.
	eventually(t, func() bool {
		_, volume := client.CoreV1().PersistentVolumes().Create(t.Context(), foreignVolume(), dryRun)
		_, class := client.StorageV1().StorageClasses().Create(t.Context(), foreignClass(), dryRun)
		return denied(volume) && denied(class)
	}, "the fence does not stand")
	return client, configOf(t, render(t, namespace, "--values", file))
}

// denied reports whether a fence refused, and not a missing right or the API server's own validation.
func denied(err error) bool {
	return err != nil && strings.Contains(err.Error(), "ValidatingAdmissionPolicy 'chart-")
}

// foreignVolume is what a stolen token would be used for.
func foreignVolume() *corev1.PersistentVolume {
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "root-of-the-node"},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:    corev1.ResourceList{corev1.ResourceStorage: inject.Default().Profiles[0].Claim.Size},
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			ClaimRef:    &corev1.ObjectReference{Kind: "PersistentVolumeClaim", Namespace: "default", Name: "mine"},
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				HostPath: &corev1.HostPathVolumeSource{Path: "/etc/kubernetes"},
			},
		},
	}
}

func foreignClass() *storagev1.StorageClass {
	return &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "foreign"}, Provisioner: "driver.example.org"}
}

// ofBackend is a profile of a backend with a volume of its own.
func ofBackend(b inject.Backend) inject.Profile {
	p := inject.Profile{
		Name:         b.Name,
		StorageClass: inject.StorageClass{Backend: b.Name, Parameters: map[string]string{}},
		Volume:       &inject.Volume{Handle: "/volumes/" + b.Name, Namespace: "team"},
		Mount:        inject.Mount{Path: "/" + b.Name},
	}
	if b.Driver == "" {
		p.StorageClass.Driver = "driver.example.com"
	}
	if b.TopologyKey != "" {
		p.Volume.Zone = "zone-1"
	}
	for _, name := range b.Required {
		p.StorageClass.Parameters[name] = "/" + name
	}
	return p
}

// shared is a profile whose volume every namespace uses.
func shared() inject.Profile {
	return inject.Profile{
		Name:         "shared",
		Claim:        inject.Claim{AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany}},
		StorageClass: inject.StorageClass{Backend: "nfs", Parameters: map[string]string{"server": "nfs", "share": "/a"}, ReclaimPolicy: "Delete"},
		Volume:       &inject.Volume{Handle: "export", Shared: true, Attributes: map[string]string{"mountPermissions": "0"}},
		Mount:        inject.Mount{Path: "/shared"},
	}
}

// A new backend is tested as soon as it is in the table.
func TestFenceAdmitsWhatProfilesDescribe(t *testing.T) {
	t.Parallel()
	profiles := []inject.Profile{shared()}
	for _, b := range inject.Backends {
		profiles = append(profiles, ofBackend(b))
	}
	client, config := fenced(t, profiles)
	for _, profile := range config.Profiles {
		storage := storageOf(t, config, profile.Name)
		_, err := client.CoreV1().PersistentVolumes().Create(t.Context(), storage.Volumes[0], dryRun)
		require.NoError(t, err, profile.Name)
		_, err = client.StorageV1().StorageClasses().Create(t.Context(), storage.StorageClasses[0], dryRun)
		require.NoError(t, err, profile.Name)
	}
}

func TestFenceRefusesEverythingElse(t *testing.T) {
	t.Parallel()
	client, config := fenced(t, []inject.Profile{ofBackend(backend("aws-ebs")), ofBackend(backend("nfs")), shared()})

	volumes := map[string]struct {
		profile string
		change  func(*corev1.PersistentVolume)
	}{
		"another disk":           {"aws-ebs", func(v *corev1.PersistentVolume) { v.Spec.CSI.VolumeHandle = "vol-of-another-team" }},
		"another driver":         {"aws-ebs", func(v *corev1.PersistentVolume) { v.Spec.CSI.Driver = "hostpath.csi.k8s.io" }},
		"another namespace":      {"aws-ebs", func(v *corev1.PersistentVolume) { v.Spec.ClaimRef.Namespace = "kube-system" }},
		"no namespace":           {"aws-ebs", func(v *corev1.PersistentVolume) { v.Spec.ClaimRef = nil }},
		"another reclaim policy": {"aws-ebs", func(v *corev1.PersistentVolume) { v.Spec.PersistentVolumeReclaimPolicy = "Delete" }},
		"mount options":          {"aws-ebs", func(v *corev1.PersistentVolume) { v.Spec.MountOptions = []string{"suid"} }},
		"a Secret of somebody's": {"aws-ebs", func(v *corev1.PersistentVolume) {
			v.Spec.CSI.NodeStageSecretRef = &corev1.SecretReference{Name: "a", Namespace: "b"}
		}},
		"another server":     {"nfs", func(v *corev1.PersistentVolume) { v.Spec.CSI.VolumeAttributes["server"] = "nfs-of-another-team" }},
		"one attribute more": {"nfs", func(v *corev1.PersistentVolume) { v.Spec.CSI.VolumeAttributes["subDir"] = "secrets" }},
		"a file of the node": {"nfs", func(v *corev1.PersistentVolume) {
			v.Spec.PersistentVolumeSource = foreignVolume().Spec.PersistentVolumeSource
		}},
		"a local folder":            {"aws-ebs", toLocal},
		"a source nobody speaks of": {"nfs", toNFS},
		"a shared volume under the handle of another namespace": {
			"shared", func(v *corev1.PersistentVolume) { v.Spec.CSI.VolumeHandle = "export#other" },
		},
		"a shared volume of no namespace": {"shared", func(v *corev1.PersistentVolume) { v.Spec.ClaimRef = nil }},
	}
	for name, c := range volumes {
		volume := storageOf(t, config, c.profile).Volumes[0]
		c.change(volume)
		_, err := client.CoreV1().PersistentVolumes().Create(t.Context(), volume, dryRun)
		assert.True(t, denied(err), "%s: %v", name, err)
	}

	classes := map[string]func(*storagev1.StorageClass){
		"another provisioner":    func(c *storagev1.StorageClass) { c.Provisioner = "driver.example.org" },
		"another parameter":      func(c *storagev1.StorageClass) { c.Parameters["type"] = "io2" },
		"one parameter more":     func(c *storagev1.StorageClass) { c.Parameters["csi.storage.k8s.io/node-stage-secret-name"] = "a" },
		"no parameters":          func(c *storagev1.StorageClass) { c.Parameters = nil },
		"another reclaim policy": func(c *storagev1.StorageClass) { c.ReclaimPolicy = new(corev1.PersistentVolumeReclaimDelete) },
		"mount options":          func(c *storagev1.StorageClass) { c.MountOptions = []string{"suid"} },
	}
	for name, change := range classes {
		class := storageOf(t, config, "aws-ebs").StorageClasses[0]
		change(class)
		_, err := client.StorageV1().StorageClasses().Create(t.Context(), class, dryRun)
		assert.True(t, denied(err), "%s: %v", name, err)
	}
}

// backend finds a backend by its name.
func backend(name string) inject.Backend {
	return inject.Backends[slices.IndexFunc(inject.Backends, func(b inject.Backend) bool { return b.Name == name })]
}

// storageOf is what a profile needs in the namespace team.
func storageOf(t *testing.T, config *inject.Config, profile string) inject.Storage {
	t.Helper()
	storage, err := config.Objects(inject.Release{}, inject.Use{Profile: profile, Namespace: "team"})
	require.NoError(t, err)
	require.Len(t, storage.Volumes, 1, profile)
	require.Len(t, storage.StorageClasses, 1, profile)
	return storage
}

func toLocal(v *corev1.PersistentVolume) {
	v.Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: "/etc"}}
	v.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
		MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "a", Operator: corev1.NodeSelectorOpExists}},
	}}}}
}

func toNFS(v *corev1.PersistentVolume) {
	v.Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{NFS: &corev1.NFSVolumeSource{Server: "a", Path: "/"}}
}

// The fence is for one ServiceAccount: it must not be in anybody else's way.
func TestFenceIsNoFenceForOthers(t *testing.T) {
	t.Parallel()
	fenced(t, []inject.Profile{ofBackend(backend("aws-ebs"))})
	_, err := typed.CoreV1().PersistentVolumes().Create(t.Context(), foreignVolume(), dryRun)
	require.NoError(t, err)
	_, err = typed.StorageV1().StorageClasses().Create(t.Context(), foreignClass(), dryRun)
	require.NoError(t, err)
}

func TestFenceLetsOnlyOwnAnnotationsChange(t *testing.T) {
	t.Parallel()
	client, _ := fenced(t, []inject.Profile{ofBackend(backend("aws-ebs"))})
	volume := foreignVolume()
	volume.Name, volume.GenerateName = "", "somebodys-"
	volume.Annotations = map[string]string{"theirs": "1", inject.AnnotationNamespaceUID: "old"}
	volume, err := typed.CoreV1().PersistentVolumes().Create(t.Context(), volume, metav1.CreateOptions{})
	require.NoError(t, err)

	patch := func(text string) error {
		_, err := client.CoreV1().PersistentVolumes().Patch(t.Context(), volume.Name, types.MergePatchType, []byte(text), metav1.PatchOptions{})
		return err
	}
	require.NoError(t, patch(`{"metadata":{"annotations":{"`+inject.AnnotationNamespaceUID+`":"new"}}}`))
	require.NoError(t, patch(`{"metadata":{"annotations":{"`+inject.AnnotationNamespaceUID+`":null}}}`))
	for name, text := range map[string]string{
		"an annotation of others":      `{"metadata":{"annotations":{"theirs":"2"}}}`,
		"an annotation taken away":     `{"metadata":{"annotations":{"theirs":null}}}`,
		"an annotation more":           `{"metadata":{"annotations":{"more":"1"}}}`,
		"a label":                      `{"metadata":{"labels":{"a":"b"}}}`,
		"a finalizer":                  `{"metadata":{"finalizers":["example.com/a"]}}`,
		"an owner":                     `{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Namespace","name":"a","uid":"b"}]}}`,
		"the claim that it belongs to": `{"spec":{"claimRef":{"namespace":"kube-system","name":"mine"}}}`,
		"its reclaim policy":           `{"spec":{"persistentVolumeReclaimPolicy":"Delete"}}`,
	} {
		err := patch(text)
		assert.True(t, denied(err), "%s: %v", name, err)
	}
}

// Rights follow profiles, as the API server itself judges them.
func TestRights(t *testing.T) {
	t.Parallel()
	namespace, other := newNamespace(t, restricted), newNamespace(t, restricted)
	install(t, helm4, "ps", namespace)
	const ours = "ps-pipeline-storage"
	always := map[string]bool{
		"get pods": true, "list pods": true, "watch pods": true, "create pods": false, "update pods": false,
		"create persistentvolumeclaims": true, "patch persistentvolumeclaims": true,
		"update persistentvolumeclaims": false, "delete persistentvolumeclaims": false,
		"get persistentvolumes": true, "patch persistentvolumes": true, "list persistentvolumes": false,
		"create persistentvolumes": false, "update persistentvolumes": false, "delete persistentvolumes": false,
		"get namespaces": true, "create namespaces": false,
		"get secrets": false, "list secrets": false, "create secrets": false,
		"create storage.k8s.io/storageclasses": true, "get storage.k8s.io/storageclasses": true,
		"patch storage.k8s.io/storageclasses": false, "delete storage.k8s.io/storageclasses": false,
		"create events.k8s.io/events": true, "create coordination.k8s.io/leases": false,
		"list admissionregistration.k8s.io/mutatingwebhookconfigurations":  true,
		"patch admissionregistration.k8s.io/mutatingwebhookconfigurations": false,
	}
	for request, allowed := range always {
		assert.Equal(t, allowed, may(t, namespace, other, request), request)
	}
	own := map[string]bool{
		"create secrets": true, "get secrets": false, "get secrets other": false,
		"get secrets " + ours + "-tls": true, "update secrets " + ours + "-tls": true, "delete secrets " + ours + "-tls": false,
		"create coordination.k8s.io/leases": true, "update coordination.k8s.io/leases " + ours: true,
		"update coordination.k8s.io/leases other":                                                          false,
		"patch admissionregistration.k8s.io/mutatingwebhookconfigurations " + clusterName("ps", namespace): true,
		"patch admissionregistration.k8s.io/mutatingwebhookconfigurations other":                           false,
	}
	for request, allowed := range own {
		assert.Equal(t, allowed, may(t, namespace, namespace, request), request)
	}
}

// may asks the API server whether the ServiceAccount of the release in home may do "VERB [GROUP/]RESOURCE [NAME]".
func may(t *testing.T, home, namespace, request string) bool {
	t.Helper()
	words := append(strings.Fields(request), "") // the name, if there is none
	group, resource, found := strings.Cut(words[1], "/")
	if !found {
		group, resource = "", words[1]
	}
	review, err := typed.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), &authorizationv1.SubjectAccessReview{
		Spec: authorizationv1.SubjectAccessReviewSpec{User: account(home), ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: namespace, Verb: words[0], Group: group, Version: "*", Resource: resource, Name: words[2],
		}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	return review.Status.Allowed
}

// The controller manager checks the expressions of policies against the types of what they match, and tells warnings.
func TestPoliciesFitTheirTypes(t *testing.T) {
	t.Parallel()
	plane := controlplane.RequireWith(t, controlplane.Options{Controllers: true})
	client, err := kubernetes.NewForConfig(&rest.Config{
		Host:            plane.Host,
		TLSClientConfig: rest.TLSClientConfig{CAData: plane.CA, CertData: plane.Cert, KeyData: plane.Key},
	})
	require.NoError(t, err)
	h := helm4
	h.env = append(slices.Clone(h.env), "KUBECONFIG="+plane.Kubeconfig)
	h.must(t, "install", "ps", chart, "--namespace", "storage", "--create-namespace",
		"--values", "testdata/values/everything.yaml", "--set", "metrics.enabled=false")
	for _, policy := range []string{"storage.ps-pipeline-storage.volumes", "storage.ps-pipeline-storage.classes"} {
		var status admissionv1.ValidatingAdmissionPolicyStatus
		eventually(t, func() bool {
			live, err := client.AdmissionregistrationV1().ValidatingAdmissionPolicies().Get(t.Context(), policy, metav1.GetOptions{})
			require.NoError(t, err)
			status = live.Status
			return status.TypeChecking != nil
		}, "%s was not checked", policy)
		assert.Empty(t, status.TypeChecking.ExpressionWarnings, policy)
	}
}
