package status

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
)

// reader answers with pages of pods, or with an error by the type of a list and its namespace.
type reader struct {
	mu    sync.Mutex
	lists []string
	pages int
	fail  func(list, namespace string) error
}

func (r *reader) Get(_ context.Context, _ client.ObjectKey, _ client.Object, _ ...client.GetOption) error {
	return r.fail("get", "")
}

func (r *reader) List(_ context.Context, into client.ObjectList, o ...client.ListOption) error {
	var options client.ListOptions
	options.ApplyOptions(o)
	r.mu.Lock()
	defer r.mu.Unlock()
	kind := fmt.Sprintf("%T", into)
	r.lists = append(r.lists, kind)
	if options.Limit != pageSize {
		return errors.New("a list without a limit")
	}
	if err := r.fail(kind, options.Namespace); err != nil {
		return err
	}
	pods, ok := into.(*corev1.PodList)
	if !ok {
		return nil
	}
	if options.LabelSelector.String() != kinds.Label+"="+kinds.LabelEnabled {
		return errors.New("pods without a selector")
	}
	pods.Items, pods.Continue = []corev1.Pod{{}}, ""
	if n := len(options.Continue); n+1 < r.pages {
		pods.Continue = options.Continue + "."
	}
	return nil
}

var errForbidden = apierrors.NewForbidden(schema.GroupResource{}, "", nil)

func TestGather(t *testing.T) {
	t.Parallel()

	t.Run("every list has its pages, and is requested once", func(t *testing.T) {
		t.Parallel()
		r := &reader{pages: 3, fail: func(string, string) error { return nil }}
		s, err := Gather(t.Context(), r, Options{All: true})
		require.NoError(t, err)
		assert.Len(t, s.Pods, 3)
		assert.Empty(t, s.Unread)
		assert.Len(t, r.lists, 3+16, "no request for each pod: %v", r.lists)
		assert.NotNil(t, s.Drivers, "what was read is not nil")
	})
	t.Run("without the right to list the pods of all namespaces it reads one", func(t *testing.T) {
		t.Parallel()
		r := &reader{pages: 1, fail: func(_, namespace string) error {
			if namespace == "" {
				return errForbidden
			}
			return nil
		}}
		s, err := Gather(t.Context(), r, Options{All: true, Namespace: "ml"})
		require.NoError(t, err)
		assert.Equal(t, "ml", s.Namespace)
		assert.Len(t, s.Pods, 1)
		assert.Equal(
			t, "pods of all namespaces: you may not list them, so only the namespace ml is read",
			s.Unread["pods of all namespaces"],
		)
		assert.Equal(t, "nodes: you may not list them, so zones are not read", s.Unread["nodes"])
		assert.False(t, s.Failed)
	})
	t.Run("without any right it is no failure", func(t *testing.T) {
		t.Parallel()
		s, err := Gather(
			t.Context(), &reader{fail: func(string, string) error { return errForbidden }}, Options{Namespace: "ml"},
		)
		require.NoError(t, err)
		assert.Contains(t, s.Unread["pods"], "no pod is read")
		for what, text := range s.Unread {
			assert.NotContains(t, text, "so \n", what)
			assert.NotEmpty(t, consequences[what], what)
		}
		assert.False(t, s.Failed)
	})
	t.Run("an answer that does not come is reported, and a failure", func(t *testing.T) {
		t.Parallel()
		s, err := Gather(t.Context(), &reader{pages: 1, fail: func(list, _ string) error {
			if list == "*v1.EventList" {
				return errors.New("timeout")
			}
			return nil
		}}, Options{Namespace: "ml"})
		require.NoError(t, err)
		assert.True(t, s.Failed)
		assert.Equal(t, "events: timeout, so what happened to pods and claims is unknown", s.Unread["events"])
	})
	t.Run("a cluster that does not answer is an error", func(t *testing.T) {
		t.Parallel()
		_, err := Gather(
			t.Context(), &reader{fail: func(string, string) error { return errors.New("connection refused") }},
			Options{Namespace: "ml"},
		)
		require.EqualError(t, err, "list pods: connection refused")
	})
}
