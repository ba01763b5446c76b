package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/internal/certificates"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

const (
	// certificateRate is the load while certificates change, in admissions a second.
	certificateRate = 20
	// shortLife is that of a CA. The webhook begins to replace it after two thirds, and needs up to
	// 20 seconds: it checks every 10, and gives API servers 10 to update.
	shortLife = 90 * time.Second
	// backdated is how long before its signing a certificate begins. The webhook computes the age
	// of its own with it.
	backdated = time.Hour
	// expiries is how many CAs expire.
	expiries    = 3
	tlsCertKey  = corev1.TLSCertKey
	tlsKeyKey   = corev1.TLSPrivateKeyKey
	webhookPort = "9443"
	ownSecret   = "own-certificate"
)

// TestRenewsExpiredCertificates gives the webhook CAs that live for a minute and a half, by its
// Secret. Each has expired before the next one comes, so the webhook has replaced it by itself. In
// the end an operator requests a rotation.
func TestRenewsExpiredCertificates(t *testing.T) {
	requireFull(t)
	s := second(t, "certificates.mode=self")
	namespace := s.namespace(t)
	s.awaitServing(t, namespace)
	rotations := 0
	stats := underLoad(t, namespace, certificateRate, func() {
		for range expiries {
			short := newPair(t, "short", shortLife, nil)
			s.setCA(t, short)
			s.awaitServedBy(t, shortLife, short.cert)
			end := short.cert.NotAfter
			t.Logf("every replica serves a certificate of a CA that expires in %s", time.Until(end).Round(time.Second))
			s.awaitServedByAnother(t, time.Until(end), short.cert)
			t.Logf("every replica serves by another one %s before the end of the old one", time.Until(end).Round(time.Second))
			require.True(t, time.Now().Before(end))
			time.Sleep(time.Until(end.Add(3 * time.Second)))
			rotations += 2
		}
		s.rotate(t)
		rotations++
	})
	assertNoneFailed(t, stats, certificateRate)
	_, restarts := s.changes(t)
	assert.Zero(t, restarts, "nothing of this ends a process")
	t.Logf("%d CAs expired in %s, %d rotations, %d admissions, %d failed", expiries, stats.Elapsed.Round(time.Second),
		rotations, stats.Done, stats.Failed)
	s.assertNothingDeleted(t)
}

// TestReloadsExternalCertificates has the webhook serve certificates of an external issuer. While
// they are replaced in time, also by those of another CA, no admission fails. When one is replaced
// late, labelled pods are refused until then.
func TestReloadsExternalCertificates(t *testing.T) {
	requireFull(t)
	ca := newPair(t, "first CA", time.Hour, nil)
	s := secondBy(t, newPair(t, "first", shortLife, &ca), ca)
	namespace := s.namespace(t)
	s.awaitServing(t, namespace)

	var end time.Time
	stats := underLoad(t, namespace, certificateRate, func() {
		other := newPair(t, "other CA", time.Hour, nil)
		for _, by := range []pair{ca, ca, other} {
			renewed := newPair(t, "in time", shortLife, &by)
			begun := time.Now()
			s.setCertificate(t, renewed, by)
			s.awaitServed(t, shortLife, renewed.cert, by.cert)
			t.Logf("every replica serves the new certificate after %s, which is valid for another %s",
				time.Since(begun).Round(time.Second), time.Until(renewed.cert.NotAfter).Round(time.Second))
			end, ca = renewed.cert.NotAfter, by
		}
	})
	assertNoneFailed(t, stats, certificateRate)

	time.Sleep(time.Until(end.Add(-time.Second)))
	late := underLoad(t, namespace, certificateRate, func() { time.Sleep(time.Until(end.Add(20 * time.Second))) })
	require.ErrorContains(t, admit(t.Context(), shared.Client, namespace), "failed calling webhook",
		"no client accepts an expired certificate")

	begun := time.Now()
	s.setCertificate(t, newPair(t, "late", time.Hour, &ca), ca)
	suite.EventuallyWithin(t, 2*time.Minute, "labelled pods should be admitted again", func(ctx context.Context) error {
		err := admit(ctx, shared.Client, namespace)
		require.NotErrorIs(t, err, errNoStorage)
		return err
	})
	t.Logf("%d admissions refused after the end of the certificate, 0 without storage; admitted again %s after the new "+
		"one came", late.Failed, time.Since(begun).Round(100*time.Millisecond))
	s.awaitServing(t, namespace)
	assertNoneFailed(t, underLoad(t, namespace, certificateRate, func() { time.Sleep(5 * time.Second) }), certificateRate)
	_, restarts := s.changes(t)
	assert.Zero(t, restarts, "nothing of this ends a process")
}

// secondBy is second with a certificate of the test's, which exists before the webhook.
func secondBy(t *testing.T, certificate, ca pair) *installation {
	t.Helper()
	made := make(chan error, 1)
	go func() {
		made <- retry(t.Context(), "make the Secret", func(ctx context.Context) error {
			_, err := shared.Client.CoreV1().Secrets(secondName).Create(ctx, &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Name: ownSecret}, Type: corev1.SecretTypeTLS, Data: certificateData(certificate, ca),
			}, metav1.CreateOptions{})
			if apierrors.IsAlreadyExists(err) {
				return nil
			}
			return err
		})
	}()
	s := second(t, "certificates.mode=secret", "certificates.secretName="+ownSecret)
	require.NoError(t, <-made)
	return s
}

func certificateData(certificate, ca pair) map[string][]byte {
	return map[string][]byte{
		tlsCertKey: certificate.certPEM, tlsKeyKey: certificate.keyPEM, certificates.KeyCACertificate: ca.certPEM,
	}
}

func (i *installation) setCertificate(t *testing.T, certificate, ca pair) {
	t.Helper()
	i.changeSecret(t, ownSecret, func(s *corev1.Secret) { s.Data = certificateData(certificate, ca) })
}

func (i *installation) setCA(t *testing.T, ca pair) {
	t.Helper()
	i.changeSecret(t, i.ca(), func(s *corev1.Secret) {
		s.Data[certificates.KeyCACertificate], s.Data[certificates.KeyCAKey] = ca.certPEM, ca.keyPEM
	})
}

// rotate requests another CA and waits until it is used.
func (i *installation) rotate(t *testing.T) {
	t.Helper()
	before := i.requestRotation(t)
	begun := time.Now()
	i.awaitServedByAnother(t, time.Minute, before)
	t.Logf("every replica serves a certificate of another CA %s after an operator requested it",
		time.Since(begun).Round(100*time.Millisecond))
}

// requestRotation requests another CA, as an operator does, and returns the one before.
func (i *installation) requestRotation(t *testing.T) (before *x509.Certificate) {
	t.Helper()
	i.changeSecret(t, i.ca(), func(s *corev1.Secret) {
		before = parsed(t, s.Data[certificates.KeyCACertificate])
		if s.Annotations == nil {
			s.Annotations = map[string]string{}
		}
		s.Annotations[certificates.AnnotationRotate] = time.Now().Format(time.RFC3339Nano)
	})
	return before
}

func (i *installation) ca() string { return i.deployment + "-webhook-ca" }

// changeSecret tries again when the webhook has changed the Secret in between.
func (i *installation) changeSecret(t *testing.T, name string, change func(*corev1.Secret)) {
	t.Helper()
	secrets := shared.Client.CoreV1().Secrets(i.releaseNamespace)
	require.NoError(t, retry(t.Context(), "change the Secret "+name, func(ctx context.Context) error {
		object, err := secrets.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		change(object)
		_, err = secrets.Update(ctx, object, metav1.UpdateOptions{})
		return err
	}))
}

// awaitServedBy waits until every replica serves a certificate of a CA.
func (i *installation) awaitServedBy(t *testing.T, limit time.Duration, ca *x509.Certificate) {
	t.Helper()
	suite.EventuallyWithin(t, limit, "every replica should serve a certificate of the CA",
		func(ctx context.Context) error {
			_, err := i.served(ctx, ca)
			return err
		})
}

// awaitServed waits until every replica serves this very certificate.
func (i *installation) awaitServed(t *testing.T, limit time.Duration, certificate, ca *x509.Certificate) {
	t.Helper()
	suite.EventuallyWithin(t, limit, "every replica should serve the certificate", func(ctx context.Context) error {
		leaves, err := i.served(ctx, ca)
		for _, leaf := range leaves {
			if !leaf.Equal(certificate) {
				err = fmt.Errorf("one serves a certificate until %s", leaf.NotAfter)
			}
		}
		return err
	})
}

// awaitServedByAnother waits until the Secret has another CA and every replica serves a certificate
// of it.
func (i *installation) awaitServedByAnother(t *testing.T, limit time.Duration, old *x509.Certificate) {
	t.Helper()
	suite.EventuallyWithin(t, limit, "every replica should serve a certificate of another CA",
		func(ctx context.Context) error {
			object, err := shared.Client.CoreV1().Secrets(i.releaseNamespace).Get(ctx, i.ca(), metav1.GetOptions{})
			if err != nil {
				return err
			}
			now := parsed(t, object.Data[certificates.KeyCACertificate])
			if now.Equal(old) {
				return errors.New("it is the same")
			}
			_, err = i.served(ctx, now)
			return err
		})
}

// served returns what every replica serves, if one CA alone verifies it.
func (i *installation) served(ctx context.Context, ca *x509.Certificate) (leaves []*x509.Certificate, err error) {
	pool := x509.NewCertPool()
	pool.AddCert(ca)
	dialer := &tls.Dialer{Config: &tls.Config{
		RootCAs: pool, ServerName: i.deployment + "." + i.releaseNamespace + ".svc",
		MinVersion: tls.VersionTLS12,
	}}
	pods, _ := i.podsAndLeader(ctx)
	if len(pods) < 2 {
		return nil, fmt.Errorf("there are %d replicas", len(pods))
	}
	for k := range pods {
		connection, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(pods[k].Status.PodIP, webhookPort))
		if err != nil {
			return nil, fmt.Errorf("connect to %s: %w", pods[k].Name, err)
		}
		if secure, ok := connection.(*tls.Conn); ok {
			leaves = append(leaves, secure.ConnectionState().PeerCertificates[0])
		}
		_ = connection.Close()
	}
	return leaves, nil
}

// pair is a certificate with its key.
type pair struct {
	cert            *x509.Certificate
	key             *ecdsa.PrivateKey
	certPEM, keyPEM []byte
}

// newPair makes a CA, or a certificate of the second installation that is signed by one.
func newPair(t *testing.T, name string, life time.Duration, by *pair) pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: fmt.Sprintf("%s %d", name, now.UnixNano())},
		NotBefore: now.Add(-backdated), NotAfter: now.Add(life), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
	parent, signer := template, key
	if by == nil {
		template.IsCA, template.KeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageDigitalSignature
	} else {
		template.DNSNames = []string{secondDeployment + "." + secondName + ".svc"}
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		parent, signer = by.cert, by.key
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	p := pair{
		key: key, certPEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}),
		keyPEM: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	}
	p.cert = parsed(t, p.certPEM)
	return p
}

func parsed(t *testing.T, text []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(text)
	require.NotNil(t, block)
	certificate, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	return certificate
}
