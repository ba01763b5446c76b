package chart_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/test/controlplane"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
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
	config := suite.RESTConfig(t)
	config.Impersonate = rest.ImpersonationConfig{UserName: account(namespace)}
	client, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	return client
}

// release is what the ServiceAccount of a release is held to.
type release struct {
	*storage.Config
	namespace, installation string
}

// guards are the installations of guarded, by their values.
var guards sync.Map

// guard is an installation that is made once.
type guard struct {
	once    sync.Once
	release release
}

// guarded returns a client with the rights of an installation with profiles whose guardrail policies are in
// force. Tests with the same profiles share the installation: each makes its own namespaces with serve.
func guarded(t *testing.T, profiles []storage.Profile) (kubernetes.Interface, release) {
	t.Helper()
	values, err := yaml.Marshal(map[string]any{"config": map[string]any{"profiles": profiles}})
	require.NoError(t, err)
	stored, _ := guards.LoadOrStore(string(values), new(guard))
	installed := stored.(*guard)
	installed.once.Do(func() { installed.release = installGuarded(t, values) })
	require.NotNil(t, installed.release.Config, "another test could not install it")
	return as(t, installed.release.namespace), installed.release
}

// installGuarded installs the chart and returns when its guardrail policies are in force.
func installGuarded(t *testing.T, values []byte) release {
	t.Helper()
	file := filepath.Join(t.TempDir(), "values.yaml")
	require.NoError(t, os.WriteFile(file, values, 0o600))

	namespace := newNamespace(t, restricted)
	install(t, suite.Helm(t, "helm4"), namespace, "--values", file)
	client := as(t, namespace)
	config := release{configOf(t, render(t, namespace, "--values", file)), namespace, namespace + ".ps"}
	patch := patcherWith(
		t,
		client,
		volumeInPhase(t, corev1.VolumeBound, nil, "default", config.claim("default")),
		metav1.PatchOptions{DryRun: dryRun.DryRun},
	)
	// RBAC and the policies, each of which takes a moment.
	eventually(t, func() bool {
		_, class := client.StorageV1().StorageClasses().Create(t.Context(), otherClass(), dryRun)
		_, claim := client.CoreV1().PersistentVolumeClaims("default").Create(t.Context(), otherClaim(), dryRun)
		_, event := client.EventsV1().Events("default").Create(t.Context(), eventAbout("default", "Pod"), dryRun)
		return denied(class) && denied(claim) && denied(event) && denied(patch(`{"metadata":{"labels":{"other":"1"}}}`)) &&
			(config.Profiles[0].Volume != nil || denied(patch(labelPatch("default", "of-an-earlier-namespace"))))
	}, "the guardrail policies are not in force")
	return config
}

// serve makes a namespace that the release serves.
func serve(t *testing.T, config release) string {
	t.Helper()
	return newNamespace(t, map[string]string{servedBy: config.namespace})
}

// claim is the name of the first profile's claim.
func (r release) claim(namespace string) string {
	return r.Profiles[0].ClaimName(storage.Release{}, namespace)
}

// claimFor is the claim of a profile in a namespace.
func claimFor(t *testing.T, config release, profile, namespace string) *corev1.PersistentVolumeClaim {
	t.Helper()
	return objectsOf(t, config, profile, namespace).Claims[0]
}

// objectsOf is what a profile needs in a namespace, with the labels that the controller adds.
func objectsOf(t *testing.T, config release, profile, namespace string) storage.ObjectSet {
	t.Helper()
	objects, err := storage.Objects(
		config.Config,
		storage.Release{},
		storage.ProfileRef{Profile: profile, Namespace: namespace},
	)
	require.NoError(t, err)
	for _, object := range objects.All() {
		object.Meta.Labels[storage.LabelInstallation] = config.installation
	}
	return objects
}

// denied reports whether a guardrail policy refused, and not a missing right or the API server's own validation.
func denied(err error) bool {
	return err != nil && strings.Contains(err.Error(), "ValidatingAdmissionPolicy 'chart-")
}

// otherVolume is what a stolen token would be used for.
func otherVolume() *corev1.PersistentVolume {
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "root-of-the-node"},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:    corev1.ResourceList{corev1.ResourceStorage: storage.Default().Profiles[0].Claim.Size},
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			ClaimRef:    &corev1.ObjectReference{Kind: "PersistentVolumeClaim", Namespace: "default", Name: "mine"},
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				HostPath: &corev1.HostPathVolumeSource{Path: "/etc/kubernetes"},
			},
		},
	}
}

func otherClass() *storagev1.StorageClass {
	return &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "other"}, Provisioner: "driver.example.org"}
}

// ofBackend is a profile of a backend with a volume of its own.
func ofBackend(b storage.Backend) storage.Profile {
	p := storage.Profile{
		Name:         b.Name,
		StorageClass: storage.StorageClass{Backend: b.Name, Parameters: map[string]string{}},
		Volume:       &storage.Volume{Handle: "/volumes/" + b.Name, Namespace: "team"},
		Mount:        storage.MountConfig{Path: "/" + b.Name},
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
	p.Volume.Attributes = map[string]string{}
	for _, name := range b.ToMount {
		p.Volume.Attributes[name] = "/" + name
	}
	if b.StageSecret {
		p.Volume.NodeStageSecret = &storage.SecretReference{Name: "stage", Namespace: "kube-system"}
	}
	if len(b.Performance) > 0 {
		p.StorageClass.Performance = "standard"
	}
	return p
}

// shared is a profile whose volume every namespace uses.
func shared() storage.Profile {
	return storage.Profile{
		Name:  "shared",
		Claim: storage.Claim{AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany}},
		StorageClass: storage.StorageClass{
			Backend:       "nfs",
			Parameters:    map[string]string{"server": "nfs", "share": "/a"},
			ReclaimPolicy: "Delete",
		},
		Volume: &storage.Volume{Handle: "export", Shared: true, Attributes: map[string]string{"mountPermissions": "0"}},
		Mount:  storage.MountConfig{Path: "/shared"},
	}
}

// provisioned is a profile whose volumes a provisioner makes.
func provisioned() storage.Profile {
	return storage.Profile{Name: "provisioned", Mount: storage.MountConfig{Path: "/provisioned"}}
}

// forAClaim is a profile with a volume for an unmanaged claim.
func forAClaim() storage.Profile {
	p := ofBackend(backend("gce-pd"))
	p.Name, p.Mount.Path = "for-a-claim", "/for-a-claim"
	p.Claim = storage.Claim{Name: "other", Create: new(false)}
	p.StorageClass.Create, p.Volume.Create = new(true), new(true)
	return p
}

// belongs is a profile that changes a parameter to which another one belongs.
func belongs() storage.Profile {
	p := ofBackend(backend("aws-fsx-lustre"))
	p.Name, p.Mount.Path, p.Volume = "belongs", "/belongs", nil
	p.StorageClass.Parameters["deploymentType"], p.StorageClass.Parameters["subnetId"] = "SCRATCH_2", "subnet-1"
	return p
}

// attributed is a profile with a VolumeAttributesClass that exists, and with names, modes and expansion of its own.
func attributed() storage.Profile {
	p := provisioned()
	p.Name, p.Mount.Path = "attributed", "/attributed"
	p.Claim = storage.Claim{
		Name:        "data-{namespace}",
		Size:        resource.MustParse("1.5Ti"),
		AccessModes: []corev1.PersistentVolumeAccessMode{"ReadWriteOncePod"},
	}
	p.StorageClass = storage.StorageClass{
		Name:                 "gold-{namespace}",
		VolumeBindingMode:    storagev1.VolumeBindingImmediate,
		AllowVolumeExpansion: new(false),
	}
	p.AttributesClass = &storage.AttributesClass{Create: new(false)}
	return p
}

// mounted is a profile with mount options and a Secret.
func mounted() storage.Profile {
	p := ofBackend(backend("cephfs"))
	p.Name, p.Mount.Path = "mounted", "/mounted"
	p.Volume.MountOptions, p.StorageClass.MountOptions = []string{"noatime", "nodev"}, []string{"discard"}
	return p
}

// readOnly is a profile of a backend whose volume no pod may write.
func readOnly(b storage.Backend) storage.Profile {
	p := ofBackend(b)
	p.Name, p.Mount.Path, p.Mount.ReadOnly = "ro-"+b.Name, "/ro/"+b.Name, true
	return p
}

// A new backend is tested as soon as it is in the table.
func TestGuardrailsAdmitWhatProfilesDescribe(t *testing.T) {
	t.Parallel()
	home := newNamespace(t, nil)
	profiles := []storage.Profile{shared(), forAClaim(), mounted(), provisioned(), belongs(), attributed()}
	for _, b := range storage.Backends {
		profiles = append(profiles, ofBackend(b), readOnly(b))
	}
	for _, profile := range profiles {
		if profile.Volume != nil && !profile.Volume.Shared {
			profile.Volume.Namespace = home
		}
	}
	client, config := guarded(t, profiles)
	label(t, home, map[string]string{servedBy: config.namespace})
	for _, profile := range config.Profiles {
		objects := objectsOf(t, config, profile.Name, home)
		for _, class := range objects.StorageClasses {
			_, err := client.StorageV1().StorageClasses().Create(t.Context(), class, dryRun)
			require.NoError(t, err, profile.Name)
		}
		for _, volume := range objects.Volumes {
			_, err := client.CoreV1().PersistentVolumes().Create(t.Context(), volume, dryRun)
			require.NoError(t, err, profile.Name)
		}
		for _, claim := range objects.Claims {
			require.NoError(t, createClaim(t, client, claim), profile.Name)
		}
	}
}

func TestGuardrailsRefuseEverythingElse(t *testing.T) {
	t.Parallel()
	client, config := guarded(
		t,
		[]storage.Profile{
			ofBackend(backend("aws-ebs")),
			ofBackend(backend("nfs")),
			shared(),
			forAClaim(),
			mounted(),
			readOnly(backend("gce-pd")),
		},
	)

	volumes := map[string]struct {
		profile string
		change  func(*corev1.PersistentVolume)
	}{
		"another disk": {
			"aws-ebs",
			func(v *corev1.PersistentVolume) { v.Spec.CSI.VolumeHandle = "vol-of-another-team" },
		},
		"another driver":    {"aws-ebs", func(v *corev1.PersistentVolume) { v.Spec.CSI.Driver = "hostpath.csi.k8s.io" }},
		"another namespace": {"aws-ebs", func(v *corev1.PersistentVolume) { v.Spec.ClaimRef.Namespace = "kube-system" }},
		"another namespace than that of an unmanaged claim": {
			"for-a-claim",
			func(v *corev1.PersistentVolume) { v.Spec.ClaimRef.Namespace = "kube-system" },
		},
		"no namespace": {"aws-ebs", func(v *corev1.PersistentVolume) { v.Spec.ClaimRef = nil }},
		"another reclaim policy": {
			"aws-ebs",
			func(v *corev1.PersistentVolume) { v.Spec.PersistentVolumeReclaimPolicy = "Delete" },
		},
		"mount options": {"aws-ebs", func(v *corev1.PersistentVolume) { v.Spec.MountOptions = []string{"suid"} }},
		"an unnamed Secret": {"aws-ebs", func(v *corev1.PersistentVolume) {
			v.Spec.CSI.NodeStageSecretRef = &corev1.SecretReference{Name: "a", Namespace: "b"}
		}},
		"a Secret of another namespace": {
			"mounted",
			func(v *corev1.PersistentVolume) { v.Spec.CSI.NodeStageSecretRef.Namespace = "team" },
		},
		"no Secret": {
			"mounted",
			func(v *corev1.PersistentVolume) { v.Spec.CSI.NodeStageSecretRef = nil },
		},
		"a Secret to publish with": {"mounted", func(v *corev1.PersistentVolume) {
			v.Spec.CSI.NodePublishSecretRef = v.Spec.CSI.NodeStageSecretRef
		}},
		"other mount options": {
			"mounted",
			func(v *corev1.PersistentVolume) { v.Spec.MountOptions = []string{"noatime", "suid"} },
		},
		"another server": {
			"nfs",
			func(v *corev1.PersistentVolume) { v.Spec.CSI.VolumeAttributes["server"] = "nfs-of-another-team" },
		},
		"one attribute more": {
			"nfs",
			func(v *corev1.PersistentVolume) { v.Spec.CSI.VolumeAttributes["subDir"] = "secrets" },
		},
		"a file of the node": {"nfs", func(v *corev1.PersistentVolume) {
			v.Spec.PersistentVolumeSource = otherVolume().Spec.PersistentVolumeSource
		}},
		"a local directory": {"aws-ebs", toLocal},
		"an unknown source": {"nfs", toNFS},
		"a shared volume under the handle of another namespace": {
			"shared", func(v *corev1.PersistentVolume) { v.Spec.CSI.VolumeHandle = "export#other" },
		},
		"a read-only volume without ro": {"ro-gce-pd", func(v *corev1.PersistentVolume) { v.Spec.MountOptions = nil }},
		"a read-only volume attached to write": {
			"ro-gce-pd",
			func(v *corev1.PersistentVolume) { v.Spec.CSI.ReadOnly = false },
		},
		"a volume to write attached read-only": {"aws-ebs", func(v *corev1.PersistentVolume) { v.Spec.CSI.ReadOnly = true }},
		"a shared volume of no namespace":      {"shared", func(v *corev1.PersistentVolume) { v.Spec.ClaimRef = nil }},
	}
	for name, c := range volumes {
		volume := storageOf(t, config, c.profile).Volumes[0]
		c.change(volume)
		_, err := client.CoreV1().PersistentVolumes().Create(t.Context(), volume, dryRun)
		assert.True(t, denied(err), "%s: %v", name, err)
	}

	_, err := client.CoreV1().PersistentVolumes().Create(t.Context(), storageOf(t, config, "aws-ebs").Volumes[0], dryRun)
	require.NoError(t, err, "what the changes begin with")
	for name, change := range volumeChanges {
		volume := storageOf(t, config, "aws-ebs").Volumes[0]
		change(volume)
		_, err := client.CoreV1().PersistentVolumes().Create(t.Context(), volume, dryRun)
		assert.True(t, denied(err), "%s: %v", name, err)
	}

	classes := map[string]func(*storagev1.StorageClass){
		"another name": func(c *storagev1.StorageClass) { c.Name = "gp3" },
		"another binding mode": func(c *storagev1.StorageClass) {
			c.VolumeBindingMode = new(storagev1.VolumeBindingImmediate)
		},
		"no expansion": func(c *storagev1.StorageClass) { c.AllowVolumeExpansion = new(false) },
		"an owner": func(c *storagev1.StorageClass) {
			c.OwnerReferences = []metav1.OwnerReference{owner("gone")}
		},
		"topologies": func(c *storagev1.StorageClass) {
			c.AllowedTopologies = []corev1.TopologySelectorTerm{
				{MatchLabelExpressions: []corev1.TopologySelectorLabelRequirement{{Key: "a", Values: []string{"b"}}}},
			}
		},
		"another provisioner": func(c *storagev1.StorageClass) { c.Provisioner = "driver.example.org" },
		"another parameter":   func(c *storagev1.StorageClass) { c.Parameters["type"] = "io2" },
		"one parameter more": func(c *storagev1.StorageClass) {
			c.Parameters["csi.storage.k8s.io/node-stage-secret-name"] = "a"
		},
		"no parameters": func(c *storagev1.StorageClass) { c.Parameters = nil },
		"another reclaim policy": func(c *storagev1.StorageClass) {
			c.ReclaimPolicy = new(corev1.PersistentVolumeReclaimDelete)
		},
		"mount options": func(c *storagev1.StorageClass) { c.MountOptions = []string{"suid"} },
		"the default for everybody": func(c *storagev1.StorageClass) {
			c.Annotations["storageclass.kubernetes.io/is-default-class"] = "true"
		},
		"the default by the older name": func(c *storagev1.StorageClass) {
			c.Annotations["storageclass.beta.kubernetes.io/is-default-class"] = "true"
		},
	}
	for name, change := range classes {
		class := storageOf(t, config, "aws-ebs").StorageClasses[0]
		change(class)
		_, err := client.StorageV1().StorageClasses().Create(t.Context(), class, dryRun)
		assert.True(t, denied(err), "%s: %v", name, err)
	}
}

// volumeChanges are what no profile's volume has.
var volumeChanges = map[string]func(*corev1.PersistentVolume){
	"another name": func(v *corev1.PersistentVolume) { v.Name = "pv-of-another-team" },
	"a larger capacity": func(v *corev1.PersistentVolume) {
		v.Spec.Capacity[corev1.ResourceStorage] = resource.MustParse("1000Ti")
	},
	"a smaller capacity": func(v *corev1.PersistentVolume) {
		v.Spec.Capacity[corev1.ResourceStorage] = resource.MustParse("1Mi")
	},
	"another access mode": func(v *corev1.PersistentVolume) {
		v.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{"ReadWriteMany"}
	},
	"another class":            func(v *corev1.PersistentVolume) { v.Spec.StorageClassName = "gp3" },
	"another claim":            func(v *corev1.PersistentVolume) { v.Spec.ClaimRef.Name = "mine" },
	"another attributes class": func(v *corev1.PersistentVolume) { v.Spec.VolumeAttributesClassName = new("gold") },
	"another file system":      func(v *corev1.PersistentVolume) { v.Spec.CSI.FSType = "vfat" },
	"a block device":           func(v *corev1.PersistentVolume) { v.Spec.VolumeMode = new(corev1.PersistentVolumeBlock) },
	"no zone":                  func(v *corev1.PersistentVolume) { v.Spec.NodeAffinity = nil },
	"another zone":             func(v *corev1.PersistentVolume) { requirementOf(v).Values = []string{"zone-2"} },
	"one zone more": func(v *corev1.PersistentVolume) {
		requirementOf(v).Values = []string{"zone-1", "zone-2"}
	},
	"another topology": func(v *corev1.PersistentVolume) { requirementOf(v).Key = "kubernetes.io/os" },
	"the other zones": func(v *corev1.PersistentVolume) {
		requirementOf(v).Operator = corev1.NodeSelectorOpNotIn
	},
	"one topology more": func(v *corev1.PersistentVolume) {
		terms := &v.Spec.NodeAffinity.Required.NodeSelectorTerms
		*terms = append(
			*terms,
			corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "a", Operator: "Exists"}}},
		)
	},
	"no label of the installation": func(v *corev1.PersistentVolume) { delete(v.Labels, storage.LabelInstallation) },
	"the label of another profile": func(v *corev1.PersistentVolume) { v.Labels[storage.LabelProfile] = "nfs" },
	"the label of a namespace":     func(v *corev1.PersistentVolume) { v.Labels[storage.LabelNamespace] = "team" },
	"the UID of a namespace":       func(v *corev1.PersistentVolume) { v.Labels[storage.LabelNamespaceUID] = "1" },
	"an owner": func(v *corev1.PersistentVolume) {
		v.OwnerReferences = []metav1.OwnerReference{owner("gone")}
	},
	"a finalizer": func(v *corev1.PersistentVolume) { v.Finalizers = []string{"example.com/a"} },
}

// requirementOf is what nodes must have for a volume of one zone.
func requirementOf(v *corev1.PersistentVolume) *corev1.NodeSelectorRequirement {
	return &v.Spec.NodeAffinity.Required.NodeSelectorTerms[0].MatchExpressions[0]
}

// backend finds a backend by its name.
func backend(name string) storage.Backend {
	return storage.Backends[slices.IndexFunc(storage.Backends, func(b storage.Backend) bool { return b.Name == name })]
}

// storageOf is what a profile needs in the namespace team.
func storageOf(t *testing.T, config release, profile string) storage.ObjectSet {
	t.Helper()
	objects := objectsOf(t, config, profile, "team")
	require.Len(t, objects.Volumes, 1, profile)
	require.Len(t, objects.StorageClasses, 1, profile)
	return objects
}

func toLocal(v *corev1.PersistentVolume) {
	v.Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: "/etc"}}
	v.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{
		Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
			MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "a", Operator: corev1.NodeSelectorOpExists}},
		}}},
	}
}

func toNFS(v *corev1.PersistentVolume) {
	v.Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{NFS: &corev1.NFSVolumeSource{Server: "a", Path: "/"}}
}

// The guardrail policies hold one ServiceAccount: they must not refuse anything to another user.
func TestGuardrailsHoldOnlyTheOwnServiceAccount(t *testing.T) {
	t.Parallel()
	guarded(t, []storage.Profile{provisioned()})
	_, err := suite.Kubernetes(t).CoreV1().PersistentVolumes().Create(t.Context(), otherVolume(), dryRun)
	require.NoError(t, err)
	_, err = suite.Kubernetes(t).StorageV1().StorageClasses().Create(t.Context(), otherClass(), dryRun)
	require.NoError(t, err)
	_, err = suite.Kubernetes(t).CoreV1().PersistentVolumeClaims("default").Create(t.Context(), otherClaim(), dryRun)
	require.NoError(t, err)
}

func TestGuardrailsLetOnlyOwnLabelsOfAVolumeChange(t *testing.T) {
	t.Parallel()
	client, config := guarded(t, []storage.Profile{provisioned()})
	namespace := serve(t, config)
	volume := otherVolume()
	volume.Name, volume.GenerateName = "", "somebodys-"
	volume.Labels = map[string]string{"other": "1", storage.LabelNamespaceUID: "old"}
	volume.Annotations = map[string]string{"other": "1"}
	volume.OwnerReferences = []metav1.OwnerReference{owner("other")}
	volume.Spec.ClaimRef = claimRefTo(namespace, config.claim(namespace))
	name := inPhase(t, volume, corev1.VolumeBound)

	patch := patcher(t, client, name)
	require.NoError(t, patch(labelPatch(namespace, uidOf(t, namespace))))
	for name, text := range map[string]string{
		"a label of a third party":      `{"metadata":{"labels":{"other":"2"}}}`,
		"a removed label":               `{"metadata":{"labels":{"other":null}}}`,
		"a label more":                  `{"metadata":{"labels":{"more":"1"}}}`,
		"the label of the installation": `{"metadata":{"labels":{"` + storage.LabelInstallation + `":"ps"}}}`,
		"an annotation":                 `{"metadata":{"annotations":{"a":"b"}}}`,
		"a finalizer":                   `{"metadata":{"finalizers":["example.com/a"]}}`,
		"an owner that is gone": `{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Namespace",` +
			`"name":"a","uid":"b"}]}}`,
		"no owner":                     `{"metadata":{"ownerReferences":null}}`,
		"the claim that it belongs to": `{"spec":{"claimRef":{"namespace":"kube-system","name":"mine"}}}`,
		"its reclaim policy":           `{"spec":{"persistentVolumeReclaimPolicy":"Delete"}}`,
	} {
		err := patch(text)
		assert.True(t, denied(err), "%s: %v", name, err)
	}
}

func TestGuardrailsLetAVolumeBeReboundToItsOwnClaimOnly(t *testing.T) {
	t.Parallel()
	client, config := guarded(t, []storage.Profile{provisioned()})
	namespace := serve(t, config)
	claim, labels := config.claim(namespace), labelsOf(namespace, uidOf(t, namespace))

	patch := patcher(t, client, volumeInPhase(t, corev1.VolumeReleased, labels, namespace, claim))
	for name, text := range map[string]string{
		"for a claim of another namespace": `{"spec":{"claimRef":{"uid":"new","namespace":"kube-system"}}}`,
		"for another claim":                `{"spec":{"claimRef":{"uid":"new","name":"other"}}}`,
		"for whoever comes first":          `{"spec":{"claimRef":{"uid":null}}}`,
		"for everybody":                    `{"spec":{"claimRef":null}}`,
		"and to be deleted with it":        `{"spec":{"claimRef":{"uid":"new"},"persistentVolumeReclaimPolicy":"Delete"}}`,
		"and larger":                       `{"spec":{"claimRef":{"uid":"new"},"capacity":{"storage":"1Ti"}}}`,
		"and of another class":             `{"spec":{"claimRef":{"uid":"new"},"storageClassName":"other"}}`,
		"and for more modes":               `{"spec":{"claimRef":{"uid":"new"},"accessModes":["ReadWriteMany"]}}`,
		"for something else than a claim":  `{"spec":{"claimRef":{"uid":"new","kind":"Pod"}}}`,
		"and of another attributes class":  `{"spec":{"claimRef":{"uid":"new"},"volumeAttributesClassName":"gold"}}`,
		"and that reads what is others'": `{"spec":{"claimRef":{"uid":"new"},` +
			`"csi":{"controllerExpandSecretRef":{"name":"a","namespace":"b"}}}}`,
		"and with mount options": `{"spec":{"claimRef":{"uid":"new"},"mountOptions":["suid"]}}`,
	} {
		err := patch(text)
		assert.True(t, denied(err), "%s: %v", name, err)
	}
	require.NoError(t, patch(rebindPatch))

	err := patcher(t, client, volumeInPhase(t, corev1.VolumeBound, labels, namespace, claim))(rebindPatch)
	assert.True(t, denied(err), "while a claim has it: %v", err)
}

// patcher returns what sends a merge patch of a volume.
func patcher(t *testing.T, client kubernetes.Interface, volume string) func(text string) error {
	t.Helper()
	return patcherWith(t, client, volume, metav1.PatchOptions{})
}

func patcherWith(
	t *testing.T,
	client kubernetes.Interface,
	volume string,
	options metav1.PatchOptions,
) func(text string) error {
	t.Helper()
	return func(text string) error {
		_, err := client.CoreV1().PersistentVolumes().Patch(t.Context(), volume, types.MergePatchType, []byte(text), options)
		return err
	}
}

// owner is an owner of a UID that nothing has: the garbage collector deletes what has no other owner.
func owner(uid types.UID) metav1.OwnerReference {
	return metav1.OwnerReference{APIVersion: "v1", Kind: "Namespace", Name: "gone", UID: uid}
}

// otherClaim is a claim of no profile.
func otherClaim() *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			GenerateName: "data-",
			Labels:       map[string]string{"team": "ml"},
			Annotations:  map[string]string{"other": "1"},
		},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
			},
		},
	}
}

// boundClaim makes a claim that may grow, in part: it has 1Gi.
func boundClaim(t *testing.T, claim *corev1.PersistentVolumeClaim) *corev1.PersistentVolumeClaim {
	t.Helper()
	class := otherClass()
	class.Name, class.GenerateName, class.AllowVolumeExpansion = "", "grows-", new(true)
	class, err := suite.Kubernetes(t).StorageV1().StorageClasses().Create(t.Context(), class, metav1.CreateOptions{})
	require.NoError(t, err)
	claim.Spec.StorageClassName, claim.Spec.VolumeName = &class.Name, "a-volume"
	claim.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
	claims := suite.Kubernetes(t).CoreV1().PersistentVolumeClaims(claim.Namespace)
	claim, err = claims.Create(t.Context(), claim, metav1.CreateOptions{})
	require.NoError(t, err)
	claim.Status.Phase, claim.Status.Capacity = corev1.ClaimBound, claim.Spec.Resources.Requests
	claim, err = claims.UpdateStatus(t.Context(), claim, metav1.UpdateOptions{})
	require.NoError(t, err)
	return claim
}

func TestGuardrailsKeepClaimsFromTheGarbageCollector(t *testing.T) {
	t.Parallel()
	client, config := guarded(t, []storage.Profile{provisioned()})
	own := func() *corev1.PersistentVolumeClaim {
		claim := claimFor(t, config, provisioned().Name, serve(t, config))
		claim.Labels["team"] = "ml"
		return claim
	}
	unmanaged := own()
	delete(unmanaged.Labels, storage.LabelInstallation)
	managed, other := boundClaim(t, own()), boundClaim(t, unmanaged)
	patch := func(claim *corev1.PersistentVolumeClaim, text string) error {
		_, err := client.CoreV1().PersistentVolumeClaims(claim.Namespace).
			Patch(t.Context(), claim.Name, types.MergePatchType, []byte(text), metav1.PatchOptions{})
		return err
	}
	const expansion = `{"spec":{"resources":{"requests":{"storage":"2Gi"}}}}`
	require.NoError(t, patch(managed, expansion))
	attacks := map[string]string{
		"an owner that is gone": `{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Namespace","name":"a",` +
			`"uid":"b"}]}}`,
		"a label":                `{"metadata":{"labels":{"a":"b"}}}`,
		"a removed label":        `{"metadata":{"labels":{"team":null}}}`,
		"the installation label": `{"metadata":{"labels":{"` + storage.LabelInstallation + `":"another.installation"}}}`,
		"an annotation":          `{"metadata":{"annotations":{"other":"2"}}}`,
		"a finalizer":            `{"metadata":{"finalizers":["example.com/a"]}}`,
		"no finalizer":           `{"metadata":{"finalizers":null}}`,
		"an owner beside the size": `{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Namespace","name":"a",` +
			`"uid":"b"}]},"spec":{"resources":{"requests":{"storage":"3Gi"}}}}`,
	}
	for name, text := range attacks {
		for whose, claim := range map[string]*corev1.PersistentVolumeClaim{"managed": managed, "unmanaged": other} {
			err := patch(claim, text)
			assert.True(t, denied(err), "%s, %s: %v", name, whose, err)
		}
	}
	assert.True(t, denied(patch(other, expansion)), "a larger size of another's claim")
	takeover := `{"metadata":{"labels":{"` + storage.LabelInstallation + `":"` + config.installation + `"}}}`
	assert.True(t, denied(patch(other, takeover)), "an unmanaged claim becomes managed")
}

// The spec of a claim that is not bound yet may change in more than its size: the volume may be chosen.
func TestGuardrailsRefuseAClaimThatChoosesItsVolume(t *testing.T) {
	t.Parallel()
	client, config := guarded(t, []storage.Profile{provisioned()})
	namespace := serve(t, config)
	claims := client.CoreV1().PersistentVolumeClaims(namespace)
	claim, err := claims.Create(t.Context(), claimFor(t, config, provisioned().Name, namespace), metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = claims.Patch(
		t.Context(),
		claim.Name,
		types.MergePatchType,
		[]byte(`{"spec":{"volumeName":"of-another-team"}}`),
		metav1.PatchOptions{},
	)
	assert.True(t, denied(err), "%v", err)
}

// Rights follow profiles, as the API server itself judges them.
func TestRights(t *testing.T) {
	t.Parallel()
	namespace, other := newNamespace(t, restricted), newNamespace(t, restricted)
	install(t, suite.Helm(t, "helm4"), namespace)
	const fullname = "ps-pipeline-storage"
	always := map[string]bool{
		"get pods": false, "list pods": true, "watch pods": true, "create pods": false, "update pods": false,
		"create persistentvolumeclaims": true, "patch persistentvolumeclaims": true,
		"update persistentvolumeclaims": false, "delete persistentvolumeclaims": false,
		"get persistentvolumes": true, "patch persistentvolumes": true, "list persistentvolumes": true,
		"watch persistentvolumes":  false,
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
		"get secrets " + fullname + "-webhook-ca": true, "watch secrets " + fullname + "-webhook-ca": true,
		"list secrets " + fullname + "-webhook-ca":   false,
		"update secrets " + fullname + "-webhook-ca": true, "delete secrets " + fullname + "-webhook-ca": false,
		"get secrets " + fullname + "-tls":  false,
		"create coordination.k8s.io/leases": true, "update coordination.k8s.io/leases " + fullname: true,
		"update coordination.k8s.io/leases other":                                                          false,
		"patch admissionregistration.k8s.io/mutatingwebhookconfigurations " + clusterName("ps", namespace): true,
		"patch admissionregistration.k8s.io/mutatingwebhookconfigurations other":                           false,
	}
	for request, allowed := range own {
		assert.Equal(t, allowed, may(t, namespace, namespace, request), request)
	}
}

// may returns whether, by the API server, the ServiceAccount of the release in home may do "VERB
// [GROUP/]RESOURCE [NAME]".
func may(t *testing.T, home, namespace, request string) bool {
	t.Helper()
	words := append(strings.Fields(request), "") // the name, if it is missing
	group, resource, found := strings.Cut(words[1], "/")
	if !found {
		group, resource = "", words[1]
	}
	reviews := suite.Kubernetes(t).AuthorizationV1().SubjectAccessReviews()
	review, err := reviews.Create(t.Context(), &authorizationv1.SubjectAccessReview{
		Spec: authorizationv1.SubjectAccessReviewSpec{
			User: account(home),
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: namespace, Verb: words[0], Group: group, Version: "*", Resource: resource, Name: words[2],
			},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	return review.Status.Allowed
}

// The controller manager checks the expressions of policies against the types of what they match, and
// writes warnings.
func TestPoliciesFitTheirTypes(t *testing.T) {
	t.Parallel()
	plane := controlplane.Require(t, controlplane.Options{Controllers: true})
	client, err := kubernetes.NewForConfig(plane.RESTConfig())
	require.NoError(t, err)
	helm, err := suite.NewHelm(t.Context(), "helm4", t.TempDir(), plane.Kubeconfig)
	require.NoError(t, err)
	helm.Must(t, "install", "ps", chart, "--namespace", "storage", "--create-namespace",
		"--values", "testdata/values/everything.yaml", "--set", "metrics.enabled=false")
	for _, policy := range guardrails {
		var status admissionv1.ValidatingAdmissionPolicyStatus
		eventually(t, func() bool {
			live, err := client.AdmissionregistrationV1().ValidatingAdmissionPolicies().
				Get(t.Context(), clusterName("ps", "storage")+"."+policy, metav1.GetOptions{})
			require.NoError(t, err)
			status = live.Status
			return status.TypeChecking != nil
		}, "%s was not checked", policy)
		assert.Empty(t, status.TypeChecking.ExpressionWarnings, policy)
	}
}
