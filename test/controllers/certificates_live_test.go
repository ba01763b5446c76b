package controllers

import (
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	v1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbac "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/pipeline-storage/pipeline-storage/internal/certificates"
	"github.com/pipeline-storage/pipeline-storage/internal/kube"
)

// startMany starts replicas at the same moment.
func (s *site) startMany(count int) []*replica {
	replicas := make([]*replica, count)
	var starts sync.WaitGroup
	for i := range replicas {
		starts.Go(func() { replicas[i] = s.start(s.account(), s.options()) })
	}
	starts.Wait()
	return replicas
}

// Trap 24: several replicas with different CAs, or a leader that died and took the rotation with
// it.
func TestTrap24ReplicasAgreeWhenSomeDie(t *testing.T) {
	s := newSite(t)
	s.install()
	replicas := s.startMany(3)
	s.ready(replicas...)
	first := s.bundle()
	assert.Equal(t, 1, countCertificates(first), "three replicas make one CA")
	assert.Equal(t, string(s.secret().Data[certificates.KeyCACertificate]), first)
	assert.Equal(t, map[string]string{kube.LabelName: kube.ProductName}, s.secret().Labels)
	assert.Equal(t, corev1.SecretTypeOpaque, s.secret().Type)
	serials := map[string]bool{}
	for _, r := range replicas {
		c, err := r.GetCertificate(nil)
		require.NoError(t, err)
		serials[c.Leaf.SerialNumber.String()] = true
	}
	assert.Len(t, serials, 3, "each signs its own")

	var lock sync.Mutex
	running := replicas
	stop := s.load(func() []*replica { lock.Lock(); defer lock.Unlock(); return running })
	s.rotate("1")
	s.eventually(func() bool { return countCertificates(s.bundle()) == 2 }, "the rotation must begin")
	lock.Lock()
	running = replicas[2:]
	lock.Unlock()
	replicas[0].stop()
	replicas[1].stop()

	s.eventually(s.rotated(first), "the one that is left must finish the rotation")
	another := s.start(s.account(), s.options())
	s.ready(replicas[2], another)
	s.noFailures(stop)
	assert.Equal(t, "1", s.secret().Annotations[certificates.AnnotationRotated])
	assert.NotContains(t, s.secret().Data, certificates.KeyNextCAKey)
}

// Trap 24, the other end of it: every replica dies in the middle.
func TestRotationGoesOnAfterEveryReplicaDied(t *testing.T) {
	s := newSite(t)
	s.install()
	replicas := s.startMany(2)
	s.ready(replicas...)
	first := s.bundle()
	s.rotate("1")
	s.eventually(func() bool { return countCertificates(s.bundle()) == 2 }, "the rotation must begin")
	for _, r := range replicas {
		r.stop()
	}

	replicas = s.startMany(2)
	s.ready(replicas...)
	stop := s.load(these(replicas...))
	s.eventually(s.rotated(first), "the rotation must go on")
	s.ready(replicas...)
	s.noFailures(stop)
}

// Trap 25: a moment in a rotation in which what is served and what is trusted differ.
func TestTrap25RotationsFailNoHandshake(t *testing.T) {
	s := newSite(t)
	s.install()
	replicas := s.startMany(3)
	s.ready(replicas...)
	stop := s.load(these(replicas...))

	for _, value := range []string{"1", "2"} {
		before := s.bundle()
		s.rotate(value)
		s.eventually(s.rotated(before), "rotation "+value+" must come to its end")
	}
	before := s.bundle()
	require.NoError(t, s.admin.Delete(t.Context(), s.secret()))
	s.eventually(s.rotated(before), "a Secret that was deleted is a rotation, too")
	s.noFailures(stop)
	s.ready(replicas...)
}

// Trap 25 with a replica that slept between reading and writing, and would remove a CA that another
// one has added since.
func TestTrap25SleeperRemovesNoCA(t *testing.T) {
	s := newSite(t)
	s.install()
	options := s.options()
	options.Propagation, options.Overlap = time.Minute, time.Hour // the rotation stops after its first phase
	first := s.start(s.account(), options)
	s.ready(first)
	first.stop()
	s.setBundle("")

	var results []error
	asleep := true
	api := interceptor.NewClient(s.account(), interceptor.Funcs{
		Patch: func(
			ctx context.Context, api client.WithWatch, object client.Object, patch client.Patch, o ...client.PatchOption,
		) error {
			if asleep {
				asleep = false
				s.start(s.account(), options)
				s.rotate("1")
				s.eventually(func() bool { return countCertificates(s.bundle()) == 2 },
					"meanwhile another replica begins a rotation")
			}
			results = append(results, api.Patch(ctx, object, patch, o...))
			return results[len(results)-1]
		},
	})
	sleeper, err := certificates.New(api, options)
	require.NoError(t, err)
	require.NoError(t, sleeper.Load(t.Context()))

	require.Len(t, results, 1, "in the next round there is nothing to write")
	assert.True(t, errors.IsConflict(results[0]), "%v", results[0])
	assert.Contains(t, s.bundle(), string(s.secret().Data[certificates.KeyNextCACertificate]))
	require.NoError(t, sleeper.Ready())
}

// Trap 24 with two replicas that want to write the Secret at the same moment.
func TestTrap24OneReplicaWritesTheSecret(t *testing.T) {
	s := newSite(t)
	s.install()
	var results []error
	var meanwhile func()
	late := func(write func() error) error {
		if meanwhile != nil {
			meanwhile()
			meanwhile = nil
		}
		results = append(results, write())
		return results[len(results)-1]
	}
	slow, err := certificates.New(interceptor.NewClient(s.account(), interceptor.Funcs{
		Create: func(ctx context.Context, api client.WithWatch, object client.Object, o ...client.CreateOption) error {
			return late(func() error { return api.Create(ctx, object, o...) })
		},
		Update: func(ctx context.Context, api client.WithWatch, object client.Object, o ...client.UpdateOption) error {
			return late(func() error { return api.Update(ctx, object, o...) })
		},
	}), s.options())
	require.NoError(t, err)
	fast, err := certificates.New(s.account(), s.options())
	require.NoError(t, err)

	race := func(lost func(error) bool) {
		t.Helper()
		var won map[string][]byte
		results = nil
		meanwhile = func() {
			require.NoError(t, fast.Load(t.Context()))
			won = s.secret().Data
		}
		require.NoError(t, slow.Load(t.Context()))
		require.Len(t, results, 1, "in the next round there is nothing to write")
		assert.True(t, lost(results[0]), "%v", results[0])
		assert.Equal(t, won, s.secret().Data)
		require.NoError(t, slow.Ready())
	}
	race(errors.IsAlreadyExists)
	s.rotate("1")
	race(errors.IsConflict)
}

// Trap 26: a Secret of an earlier installation with another Service.
func TestTrap26SecretOfAnotherService(t *testing.T) {
	s := newSite(t)
	s.install()
	options := s.options()
	options.DNSNames = certificates.ServiceNames("renamed", "other")
	old := s.start(s.account(), options)
	s.eventually(func() bool { _, err := old.GetCertificate(nil); return err == nil }, "it must serve")
	require.ErrorContains(t, old.Ready(), service+"."+s.namespace+".svc", "it is not who the configuration means")
	remaining := s.secret().Data
	old.stop()

	s.ready(s.start(s.account(), s.options()))
	assert.Equal(t, remaining, s.secret().Data, "the CA need not change")
}

// Trap 26, for a Secret from which no CA can be read.
func TestTrap26BrokenSecret(t *testing.T) {
	s := newSite(t)
	s.install()
	broken := &corev1.Secret{Data: map[string][]byte{
		certificates.KeyCACertificate: []byte("?"), certificates.KeyCAKey: []byte("?"),
	}}
	broken.Namespace, broken.Name = s.namespace, secret
	require.NoError(t, s.admin.Create(t.Context(), broken))
	s.ready(s.startMany(2)...)
}

func TestNeverChangesSecretOfThirdParty(t *testing.T) {
	s := newSite(t)
	s.install()
	thirdParty := &corev1.Secret{Data: map[string][]byte{"password": []byte("secret")}}
	thirdParty.Namespace, thirdParty.Name = s.namespace, secret
	require.NoError(t, s.admin.Create(t.Context(), thirdParty))

	r := s.start(s.account(), s.options())
	s.eventually(func() bool { return contains(r.Ready(), "holds data of a third party") }, "it must report that")
	require.ErrorContains(t, r.Load(t.Context()), "name another Secret")
	assert.Equal(t, thirdParty.ResourceVersion, s.secret().ResourceVersion)
}

// Trap 27: whatever is missing at the start, no replica exits, and all get ready when it comes.
func TestTrap27StartsInAnyOrder(t *testing.T) {
	s := newSite(t)
	replicas := s.startMany(3)
	for _, r := range replicas {
		s.eventually(func() bool { _, err := r.GetCertificate(nil); return err == nil },
			"it must serve without a configuration")
		require.ErrorContains(t, r.Ready(), "there is no MutatingWebhookConfiguration "+s.namespace)
	}
	s.install()
	s.ready(replicas...)
	assert.Equal(t, 1, countCertificates(s.bundle()))
}

// Trap 28: a webhook that is ready before API servers trust it.
func TestTrap28NotReadyUntilTheLiveConfigurationTrustsIt(t *testing.T) {
	s := newSite(t)
	s.install()
	options := s.options()
	options.Self, options.Dir = false, t.TempDir() // no program writes the caBundle
	own := newPair(t, s.options().DNSNames)
	own.write(t, options.Dir)
	r := s.start(s.account(), options)
	s.eventually(func() bool { _, err := r.GetCertificate(nil); return err == nil }, "it must serve")

	notReady := func(sentence string) {
		t.Helper()
		s.eventually(func() bool { return contains(r.Ready(), sentence) }, sentence)
	}
	notReady("no caBundle yet")
	s.setBundle(newPair(t, nil).trusted())
	notReady("signed by unknown")
	s.setBundle(own.trusted())
	s.ready(r)
	s.setBundle("")
	notReady("no caBundle yet")
	s.uninstall()
	notReady("there is no MutatingWebhookConfiguration")
}

func TestRepairsWipedBundle(t *testing.T) {
	s := newSite(t)
	s.install()
	replicas := s.startMany(2)
	s.ready(replicas...)
	first := s.bundle()

	s.setBundle("")
	s.eventually(func() bool { return s.bundle() == first }, "it must be repaired")
	s.ready(replicas...)

	s.setBundle(newPair(t, nil).trusted())
	s.eventually(func() bool { return countCertificates(s.bundle()) == 2 }, "the own one must come back with the other")
	s.ready(replicas...)
	s.eventually(func() bool { return s.bundle() == first }, "the other must go after the overlap")
}

func TestReportsWhyTheBundleCannotBeRepaired(t *testing.T) {
	s := newSite(t)
	s.install()
	r := s.start(s.account(), s.options())
	s.ready(r)
	role := &rbac.ClusterRole{}
	role.Name = s.namespace
	patch := client.RawPatch(types.JSONPatchType, []byte(`[{"op": "remove", "path": "/rules/1"}]`))
	require.NoError(t, s.admin.Patch(t.Context(), role, patch))
	s.eventually(func() bool {
		s.setBundle("") // the API server may take a moment to receive the new rights
		return contains(r.Ready(), "no caBundle yet") && contains(r.Ready(), "cannot patch resource")
	}, "it must report the problem and its cause")
}

// Trap 29: Helm and the program both write the caBundle.
func TestTrap29OnlyTheBundleIsOwned(t *testing.T) {
	for name, helm := range map[string]struct{ install, upgrade func(*site, int32) error }{
		"Helm 4, server-side apply": {(*site).applyLikeHelm4, (*site).applyLikeHelm4},
		"Helm 3, three-way merge":   {(*site).createLikeHelm3, (*site).patchLikeHelm3},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			require.NoError(t, helm.install(s, 5))
			r := s.start(s.account(), s.options())
			s.ready(r)
			bundle := s.bundle()
			assert.Equal(t, s.configuration().Webhooks[0].ClientConfig.Service.Name,
				s.live().Webhooks[0].ClientConfig.Service.Name)
			assert.Equal(t, []string{
				`{"f:webhooks":{"k:{\"name\":\"` + webhook + `\"}":{".":{},"f:clientConfig":{"f:caBundle":{}},"f:name":{}}}}`,
			}, s.owned(certificates.FieldManager))

			for _, timeout := range []int32{6, 7} {
				require.NoError(t, helm.upgrade(s, timeout), "without --force-conflicts")
				assert.Equal(t, bundle, s.bundle())
				assert.Equal(t, timeout, *s.live().Webhooks[0].TimeoutSeconds)
				s.ready(r)
			}
			s.rotate("1")
			s.eventually(s.rotated(bundle), "a rotation between two upgrades")
			require.NoError(t, helm.upgrade(s, 8))
			s.ready(r)
		})
	}
}

// rendered is the configuration as a release of Helm has it.
func (s *site) rendered(timeout int32) *v1.MutatingWebhookConfiguration {
	object := s.configuration()
	object.SetGroupVersionKind(v1.SchemeGroupVersion.WithKind("MutatingWebhookConfiguration"))
	object.Webhooks[0].TimeoutSeconds = &timeout
	return object
}

// applyLikeHelm4 applies on the server, as Helm 4 does (helm v4, pkg/kube/client.go,
// patchResourceServerSide).
func (s *site) applyLikeHelm4(timeout int32) error {
	object := s.rendered(timeout)
	text, err := json.Marshal(object)
	require.NoError(s.t, err)
	return s.admin.Patch(s.t.Context(), object, client.RawPatch(types.ApplyPatchType, text), client.FieldOwner("helm"))
}

func (s *site) createLikeHelm3(timeout int32) error {
	return s.admin.Create(s.t.Context(), s.rendered(timeout), client.FieldOwner("helm"))
}

// patchLikeHelm3 merges the last release, the new one and the live object (helm v3,
// pkg/kube/client.go, createPatch).
func (s *site) patchLikeHelm3(timeout int32) error {
	old, err := json.Marshal(s.rendered(timeout - 1))
	require.NoError(s.t, err)
	fresh, err := json.Marshal(s.rendered(timeout))
	require.NoError(s.t, err)
	live, err := json.Marshal(s.live())
	require.NoError(s.t, err)
	meta, err := strategicpatch.NewPatchMetaFromStruct(&v1.MutatingWebhookConfiguration{})
	require.NoError(s.t, err)
	patch, err := strategicpatch.CreateThreeWayMergePatch(old, fresh, live, meta, true)
	require.NoError(s.t, err)
	return s.admin.Patch(s.t.Context(), s.live(), client.RawPatch(types.StrategicMergePatchType, patch),
		client.FieldOwner("helm"))
}

// owned returns what a manager owns of the configuration.
func (s *site) owned(manager string) []string {
	var fields []string
	for _, entry := range s.live().ManagedFields {
		if entry.Manager == manager {
			fields = append(fields, entry.FieldsV1.GetRawString())
		}
	}
	return fields
}

func TestChangedFilesFailNoHandshake(t *testing.T) {
	s := newSite(t)
	s.install()
	options := s.options()
	options.Self, options.InjectCA = false, true
	// Two replicas, whose kubelets bring a changed Secret at different moments.
	early, late := options, options
	early.Dir, late.Dir = t.TempDir(), t.TempDir()
	old, fresh := newPair(t, options.DNSNames), newPair(t, options.DNSNames)
	old.write(t, early.Dir)
	old.write(t, late.Dir)
	a, b := s.start(s.account(), early), s.start(s.account(), late)
	s.ready(a, b)
	assert.Equal(t, old.trusted(), s.bundle())
	stop := s.load(these(a, b))

	fresh.write(t, early.Dir)
	s.eventually(func() bool { return a.serves(fresh) }, "the first must change over")
	assert.True(t, b.serves(old))
	assert.Equal(t, 2, countCertificates(s.bundle()))
	fresh.write(t, late.Dir)
	s.eventually(func() bool { return b.serves(fresh) }, "the second must change over")
	s.eventually(func() bool { return s.bundle() == fresh.trusted() }, "the old CA must be removed")
	s.noFailures(stop)
	s.ready(a, b)
}

func TestFromFilesToSelfMadeFailsNoHandshake(t *testing.T) {
	s := newSite(t)
	s.install()
	fromFiles := s.options()
	fromFiles.Self, fromFiles.InjectCA, fromFiles.Dir = false, true, t.TempDir()
	newPair(t, fromFiles.DNSNames).write(t, fromFiles.Dir)
	old := s.start(s.account(), fromFiles)
	s.ready(old)
	before := s.bundle()

	// A rolling update: the new replica is used when it is ready, the old one as long as it runs.
	stop := s.load(these(old))
	fresh := s.start(s.account(), s.options())
	s.eventually(func() bool { return fresh.Ready() == nil }, "the new replica must get ready")
	s.noFailures(stop)
	stop = s.load(these(fresh))
	old.stop()
	s.eventually(s.rotated(before), "the old CA must be removed")
	s.noFailures(stop)
}

func TestLoadServesAtOnce(t *testing.T) {
	s := newSite(t)
	s.install()
	s.ready(s.start(s.account(), s.options()))

	c, err := certificates.New(s.account(), s.options())
	require.NoError(t, err)
	require.NoError(t, c.Load(t.Context()))
	require.NoError(t, c.Ready(), "Secret and caBundle exist, so one round is enough")
}

func TestWatchesRing(t *testing.T) {
	s := newSite(t)
	options := s.options()
	options.Poll, options.Overlap = time.Hour, 3*time.Hour // or it would not be the watches
	r := s.start(s.account(), options)
	s.eventually(func() bool { return contains(r.Ready(), "there is no MutatingWebhookConfiguration") }, "it must run")
	s.install()
	s.ready(r)
	first := s.bundle()
	s.setBundle("")
	s.eventually(func() bool { return s.bundle() == first }, "a change of the configuration starts a round")
	s.rotate("1")
	s.eventually(func() bool { return s.secret().Annotations[certificates.AnnotationRotated] == "1" },
		"a change of the Secret starts a round")
	s.eventually(func() bool { return string(s.secret().Data[certificates.KeyCACertificate]) != first },
		"and propagation needs no ring")
	s.ready(r)
}

func TestWaitsForAnAPIServerThatIsAway(t *testing.T) {
	s := newSite(t)
	s.install()
	var away atomic.Bool
	var refused atomic.Int64
	away.Store(true)
	api := interceptor.NewClient(s.account(), interceptor.Funcs{
		Get: func(
			ctx context.Context, api client.WithWatch, key client.ObjectKey, object client.Object, o ...client.GetOption,
		) error {
			if away.Load() {
				refused.Add(1)
				return errors.NewServiceUnavailable("away")
			}
			return api.Get(ctx, key, object, o...)
		},
	})
	options := s.options()
	options.Overlap = 10 * time.Second
	r := s.start(api, options)
	s.eventually(func() bool { return contains(r.Ready(), "no certificate yet: read the MutatingWebhookConfiguration") },
		"it must wait")
	away.Store(false)
	s.ready(r)

	before := refused.Load()
	away.Store(true)
	s.eventually(func() bool { return refused.Load() > before+3 }, "a whole round must fail, of two requests each")
	require.NoError(t, r.Ready(), "the served certificate is still good")
	s.eventually(func() bool { return contains(r.Ready(), "may have changed since") && contains(r.Ready(), "away") },
		"but not forever")
	require.NoError(t, s.handshake(r), "it goes on serving all the same")
	away.Store(false)
	s.ready(r)
}
