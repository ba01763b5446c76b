package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

const (
	// The duration of every attack, in the short form and in the full one.
	shortAttack, fullAttack = 4 * time.Second, 2 * time.Minute
	// Pods of other tenants are admitted at this rate, each within this time of one without the
	// label.
	usualRate    = 10
	usualMost    = time.Second
	memoryLimit  = 256 << 20
	tenant       = "tenant"
	attackerCPU  = "300m" // a real attacker is on another machine
	tenantClones = 2
)

// anonymousAttacks are the attacks of box that a client on the pod network makes, without
// credentials.
var anonymousAttacks = []string{
	"containers", "null", "mounts", "names", "nonsense", "kind", "slow", "trickle",
	"headers", "silent",
}

// tenantAttacks are the attacks of a tenant who may create and patch pods in a namespace. Each
// returns the API server's error, whatever it is.
var tenantAttacks = map[string]func(ctx context.Context, pods podClient, i int) error{
	"forged injected annotation": forge,
	"a long list of containers":  createWith(inject.AnnotationContainers, nameList(220_000)),
	"a long list of exclusions":  createWith(inject.AnnotationExcludeContainers, nameList(220_000)),
	"a long list of profiles":    createWith(inject.AnnotationProfiles, nameList(220_000)),
	"an annotation of 2.3 MB":    createWith(inject.AnnotationProfiles, nameList(2_300_000)),
	"34,000 containers":          createRaw(`"containers":[` + list("{}", 34_000) + `]`),
	"30,000 mounts and volumes": createRaw(`"containers":[{"name":"main","image":"a","volumeMounts":[` +
		list(`{"name":"a","mountPath":"/a"}`, 30_000) +
		`]}],"volumes":[` + list(`{"name":"a"}`, 30_000) + `]`),
	"100,000 variables": createRaw(`"containers":[{"name":"main","image":"a","env":[` + list(`{"name":"A"}`, 100_000) +
		`]}]`),
}

// podClient is a tenant's access to the pods of a namespace.
type podClient struct {
	kubernetes.Interface
	namespace string
}

func (c podClient) post(ctx context.Context, body []byte) error {
	return c.CoreV1().RESTClient().Post().Namespace(c.namespace).Resource("pods").Body(body).Do(ctx).Error()
}

func nameList(bytes int) string {
	var b strings.Builder
	for i := 0; b.Len() < bytes; i++ {
		fmt.Fprintf(&b, "%d,", i)
	}
	return b.String()
}

func list(item string, count int) string {
	return strings.TrimSuffix(strings.Repeat(item+",", count), ",")
}

// createRaw creates a labelled pod with a spec that no library writes, for a scheduler that does
// not exist.
func createRaw(spec string) func(context.Context, podClient, int) error {
	return func(ctx context.Context, c podClient, i int) error {
		return c.post(ctx,
			fmt.Appendf(nil,
				`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"raw-%d","labels":{%q:%q}},"spec":{"schedulerName":%q,%s}}`,
				i, kinds.Label, kinds.LabelEnabled, noScheduler, spec))
	}
}

// createWith creates a labelled pod with an annotation.
func createWith(key, value string) func(context.Context, podClient, int) error {
	return func(ctx context.Context, c podClient, i int) error {
		pod := idle(fmt.Sprintf("annotated-%d", i))
		pod.Annotations = map[string]string{key: value}
		_, err := c.CoreV1().Pods(c.namespace).Create(ctx, pod, metav1.CreateOptions{})
		return err
	}
}

// mostForged is how many pods with a forged annotation remain. Seven were enough to stop a replica
// before it had limits.
const mostForged = 30

// forge adds the label and 45,000 names to a pod that was created without them: the webhook sees
// creations only.
func forge(ctx context.Context, c podClient, i int) error {
	name := fmt.Sprintf("forged-%d", i%mostForged)
	pod := withoutStorageLabel(idle(name))
	if _, err := c.CoreV1().Pods(c.namespace).Create(ctx, pod, metav1.CreateOptions{}); err != nil && i < mostForged {
		return err
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"labels":      map[string]string{kinds.Label: kinds.LabelEnabled},
		"annotations": map[string]string{inject.AnnotationInjected: nameList(250_000)},
	}})
	if err != nil {
		return err
	}
	_, err = c.CoreV1().Pods(c.namespace).Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}

// TestWebhookServesUnderAttack attacks the installation, with the chart's own limits, as a tenant
// who may create and patch pods, and as a client on the pod network without credentials. No replica
// restarts or comes near its memory limit, and every other labelled pod is admitted within a second
// of a pod that the webhook does not see.
func TestWebhookServesUnderAttack(t *testing.T) {
	requireNode(t)
	attackTime := shortAttack
	if *full {
		attackTime = fullAttack
	}
	usual, hostile := newNamespace(t), newNamespace(t)
	a := &abuse{client: loadClient(t), usual: usual, hostile: hostile, duration: attackTime, before: replicas(t)}
	c := a.tenant(t)
	for name, do := range tenantAttacks {
		a.under(t, "tenant: "+name, func(ctx context.Context) {
			var clones sync.WaitGroup
			for clone := range tenantClones {
				clones.Go(func() {
					for i := clone; ctx.Err() == nil; i += tenantClones {
						_ = do(ctx, c, i) // whatever the API server returns
						pause(ctx, retryPause)
					}
				})
			}
			clones.Wait()
		})
	}
	for _, name := range anonymousAttacks {
		address := net.JoinHostPort(a.before[0].Status.PodIP, webhookPort)
		pod := withoutStorageLabel(boxPod("attacker-"+name, "attack", name, address, attackTime.String()))
		pod.Spec.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(attackerCPU)}
		a.under(t, "anonymous: "+name, func(context.Context) {
			sent := last[struct{ Requests, Answers int64 }](t, runPod(t, hostile, pod))
			t.Logf("%d requests, %d answers", sent.Requests, sent.Answers)
			assert.Positive(t, sent.Requests)
		})
	}
}

// abuse is the installation under attack.
type abuse struct {
	client         kubernetes.Interface
	usual, hostile string
	duration       time.Duration
	before         []corev1.Pod
}

// tenant is a user who may create and patch pods in one namespace, and nothing else.
func (a *abuse) tenant(t *testing.T) podClient {
	t.Helper()
	rbac := shared.Client.RbacV1()
	_, err := rbac.Roles(a.hostile).Create(t.Context(), &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: tenant},
		Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{""}, Resources: []string{"pods"},
			Verbs: []string{"create", "patch"},
		}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = rbac.RoleBindings(a.hostile).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: tenant},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: tenant},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: tenant}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	config := rest.CopyConfig(shared.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: tenant}
	config.WarningHandler = rest.NoWarnings{}
	client, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	return podClient{client, a.hostile}
}

// admitBare has a pod without the label admitted, which never reaches the webhook.
func (a *abuse) admitBare(ctx context.Context) error {
	_, err := a.client.CoreV1().Pods(a.usual).Create(ctx, withoutStorageLabel(idle("dry")), dryRun)
	return err
}

// under attacks while labelled pods of another tenant are admitted, and checks the bounds.
func (a *abuse) under(t *testing.T, name string, attack func(context.Context)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		var observed []*observed
		for _, pod := range replicas(t) {
			observed = append(observed, observe(t, pod))
		}
		ctx, cancel := context.WithTimeout(t.Context(), a.duration)
		defer cancel()
		watching, stop := context.WithCancel(t.Context())
		var watch sync.WaitGroup
		watch.Go(func() {
			for pause(watching, 100*time.Millisecond) {
				for _, o := range observed {
					o.sampleWorkingSet(t)
				}
			}
		})
		stats, control := make(chan suite.Stats, 1), make(chan suite.Stats, 1)
		go func() {
			stats <- suite.Load(ctx, usualRate, func(ctx context.Context, _ int) error {
				return admit(ctx, a.client, a.usual)
			})
		}()
		go func() {
			control <- suite.Load(ctx, usualRate, func(ctx context.Context, _ int) error { return a.admitBare(ctx) })
		}()
		attack(ctx)
		s, without := <-stats, <-control
		stop()
		watch.Wait()

		assert.Zero(t, s.Failed, "%v", s.Errors)
		assert.Zero(t, s.Missed)
		assert.Positive(t, s.Done)
		// The API server shares the CPUs here, and some attacks are work for it, too.
		assert.Less(t, s.Quantile(1), usualMost+without.Quantile(1),
			"the slowest admission of another tenant, beside one without the webhook")
		for i, pod := range replicas(t) {
			assert.Equal(t, a.before[i].UID, pod.UID)
			require.Len(t, pod.Status.ContainerStatuses, 1)
			assert.Equal(t, a.before[i].Status.ContainerStatuses[0].RestartCount, pod.Status.ContainerStatuses[0].RestartCount,
				"no replica restarts")
			assert.True(t, isReady(&pod))
			assert.Less(t, observed[i].workingSet, int64(memoryLimit*9/10))
			t.Logf("replica %d: at most %d MiB; slowest of %d admissions %s, without the webhook %s", i+1,
				observed[i].workingSet>>20, s.Done,
				s.Quantile(1).Round(time.Millisecond), without.Quantile(1).Round(time.Millisecond))
		}
	})
}
