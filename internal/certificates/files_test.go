package certificates

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

// writePair writes a certificate and its key as a kubelet does for a kubernetes.io/tls Secret.
func writePair(t *testing.T, dir string, l *leaf) {
	t.Helper()
	certificate, err := cert.EncodeCertificates(l.Leaf)
	require.NoError(t, err)
	key, err := keyutil.MarshalPrivateKeyToPEM(l.PrivateKey)
	require.NoError(t, err)
	writeFile(t, dir, corev1.TLSCertKey, certificate)
	writeFile(t, dir, corev1.TLSPrivateKeyKey, key)
}

func writeFile(t *testing.T, dir, name string, text []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	a, b := caAt(t, noon), caAt(t, noon)
	f := &files{dir: dir, needsCA: true}

	_, candidate, err := f.current(t.Context(), nil, noon)
	require.ErrorContains(t, err, "tls.crt: no such file")
	assert.Nil(t, candidate)

	first := leafBy(t, a, noon)
	writePair(t, dir, first)
	_, candidate, err = f.current(t.Context(), nil, noon)
	require.ErrorContains(t, err, "ca.crt: no such file or directory: add the CA")
	assert.Equal(t, first.Leaf, candidate.Leaf, "it can be served all the same")

	writeFile(t, dir, KeyCACertificate, []byte("no PEM"))
	_, _, err = f.current(t.Context(), nil, noon)
	require.ErrorContains(t, err, "holds no certificate")

	writeFile(t, dir, KeyCACertificate, certs(a).encode())
	own, same, err := f.current(t.Context(), nil, noon)
	require.NoError(t, err)
	assert.True(t, certs(a).equal(own))
	assert.Same(t, candidate, same, "nothing has changed")

	second := leafBy(t, b, noon)
	certificate, err := cert.EncodeCertificates(second.Leaf)
	require.NoError(t, err)
	writeFile(t, dir, corev1.TLSCertKey, certificate)
	_, same, err = f.current(t.Context(), nil, noon)
	require.ErrorContains(t, err, "private key does not match")
	assert.Same(t, candidate, same, "half a change does not count")

	writePair(t, dir, second)
	_, changed, err := f.current(t.Context(), nil, noon)
	require.NoError(t, err)
	assert.Equal(t, second.Leaf, changed.Leaf)
}

func TestFilesWithoutInjection(t *testing.T) {
	dir := t.TempDir()
	writePair(t, dir, leafBy(t, caAt(t, noon), noon))
	own, candidate, err := (&files{dir: dir}).current(t.Context(), nil, noon)
	require.NoError(t, err, "ca.crt is not needed")
	assert.Empty(t, own)
	assert.NotNil(t, candidate)
}

func TestIntermediatesOfAFileCount(t *testing.T) {
	root := caAt(t, noon)
	middle := caAt(t, noon)
	template := *middle.cert
	template.MaxPathLenZero = false
	rootTemplate := *root.cert
	rootTemplate.MaxPathLen, rootTemplate.MaxPathLenZero = -1, false
	reRoot, err := create(&rootTemplate, &rootTemplate, root.key.Public(), root.key)
	require.NoError(t, err)
	signed, err := create(&template, reRoot, middle.key.Public(), root.key)
	require.NoError(t, err)

	l := leafBy(t, &ca{cert: signed, key: middle.key}, noon)
	_, err = l.verify(newBundle(reRoot), hosts, noon)
	require.Error(t, err)
	l.Certificate.Certificate = append(l.Certificate.Certificate, signed.Raw)
	_, err = l.verify(newBundle(reRoot), hosts, noon)
	assert.NoError(t, err)
}
