package controllers

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admission "k8s.io/api/admission/v1"
	v1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Trap 25 with the API server itself as the client that must be convinced, with its watch of the
// configuration and its cache of connections.
func TestTrap25RotationsFailNoAdmission(t *testing.T) {
	s := newSite(t)
	replicas := s.startMany(2)
	handshakes := s.balance(replicas)
	s.ready(replicas...)
	s.eventually(func() bool { return s.admit() == nil }, "the API server must learn of the webhook")

	stop := s.admissions(4)
	for _, value := range []string{"1", "2"} {
		before := s.bundle()
		s.rotate(value)
		s.eventually(s.rotated(before), "rotation "+value+" must come to its end")
	}
	count, failures := stop()
	assert.Empty(t, failures, "of %d", count)
	assert.Greater(t, count, int64(100))
	assert.GreaterOrEqual(t, handshakes.Load(), count, "each admission is a handshake")
	t.Logf("%d admissions, %d handshakes, %d failures", count, handshakes.Load(), len(failures))

	for _, r := range replicas {
		r.stop()
	}
	s.setBundle(newPair(t, nil).trusted())
	s.eventually(func() bool { return contains(s.admit(), "certificate") }, "or this test would see no failure")
}

// balance serves admissions on one address, each connection by another replica, and installs a
// configuration for it.
func (s *site) balance(replicas []*replica) *atomic.Int64 {
	var connections atomic.Int64
	server := &http.Server{
		ErrorLog:          log.New(io.Discard, "", 0), // the last handshakes fail on purpose
		Handler:           http.HandlerFunc(allow),
		ReadHeaderTimeout: timeout,
		TLSConfig: &tls.Config{
			MinVersion: tls.VersionTLS13,
			GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
				return replicas[int(connections.Add(1))%len(replicas)].GetCertificate(hello)
			},
		},
	}
	// A connection for each request, and no other protocol, so that each request is a handshake.
	server.SetKeepAlivesEnabled(false)
	server.Protocols = new(http.Protocols)
	server.Protocols.SetHTTP1(true)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(s.t, err)
	go func() {
		if err := server.ServeTLS(listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
			s.t.Error(err)
		}
	}()
	s.t.Cleanup(func() { assert.NoError(s.t, server.Close()) })

	object := s.configuration()
	url := "https://" + listener.Addr().String() + "/inject"
	hook := &object.Webhooks[0]
	hook.ClientConfig = v1.WebhookClientConfig{URL: &url}
	hook.Rules[0].Resources = []string{"configmaps"}
	hook.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: s.namespace}}
	require.NoError(s.t, s.admin.Create(s.t.Context(), object))
	return &connections
}

func allow(w http.ResponseWriter, r *http.Request) {
	var review admission.AdmissionReview
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	review.Response = &admission.AdmissionResponse{UID: review.Request.UID, Allowed: true, Warnings: []string{answer}}
	review.Request = nil
	_ = json.NewEncoder(w).Encode(review)
}

const answer = "the webhook was called"

// admit makes the API server call the webhook.
func (s *site) admit() error {
	object := &corev1.ConfigMap{}
	object.Namespace, object.GenerateName = s.namespace, "admitted-"
	received := make(warnings, 1)
	api, err := s.warned(received)
	if err != nil {
		return err
	}
	if err := api.Create(s.t.Context(), object, client.DryRunAll); err != nil {
		return err
	}
	select {
	case <-received:
		return nil
	default:
		return errors.New("the webhook was not called")
	}
}

// admissions keeps the API server asking, until it is stopped.
func (s *site) admissions(workers int) (stop func() (int64, []string)) {
	var (
		count    atomic.Int64
		lock     sync.Mutex
		failures []string
		group    sync.WaitGroup
	)
	ctx, cancel := context.WithCancel(s.t.Context())
	for range workers {
		group.Go(func() {
			pace := time.NewTicker(2 * pause)
			defer pace.Stop()
			for ctx.Err() == nil {
				<-pace.C
				if err := s.admit(); err != nil {
					lock.Lock()
					failures = append(failures, fmt.Sprint(err))
					lock.Unlock()
				}
				count.Add(1)
			}
		})
	}
	return func() (int64, []string) {
		cancel()
		group.Wait()
		return count.Load(), failures
	}
}
