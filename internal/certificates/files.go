package certificates

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// files reads a certificate from a directory, with the names of a kubernetes.io/tls Secret.
type files struct {
	dir string
	// needsCA is true where ca.crt is needed.
	needsCA bool

	certificate, key []byte
	loaded           *leaf
}

// current reads the directory again. When it cannot be used, the certificate that was read before
// stays.
func (f *files) current(context.Context, bundle, time.Time) (bundle, *leaf, error) {
	if err := f.load(); err != nil {
		return nil, f.loaded, err
	}
	if !f.needsCA {
		return nil, f.loaded, nil
	}
	own, err := f.readCAs()
	return own, f.loaded, err
}

// load parses the pair if it has changed. A pair that does not match is a directory in the middle
// of a change, or a mistake.
func (f *files) load() error {
	certificate, err := f.read(corev1.TLSCertKey)
	if err != nil {
		return err
	}
	key, err := f.read(corev1.TLSPrivateKeyKey)
	if err != nil {
		return err
	}
	if f.loaded != nil && bytes.Equal(certificate, f.certificate) && bytes.Equal(key, f.key) {
		return nil
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return fmt.Errorf("read %s and %s of %s: %w", corev1.TLSCertKey, corev1.TLSPrivateKeyKey, f.dir, err)
	}
	f.certificate, f.key, f.loaded = certificate, key, &leaf{Certificate: &pair}
	return nil
}

// readCAs returns the certificates of ca.crt. The errors are for the operator: they name the file
// and the flag.
func (f *files) readCAs() (bundle, error) {
	text, err := f.read(KeyCACertificate)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: add the CA that API servers should trust, or leave the caBundle to another program "+
			"(--inject-ca=false)", err)
	}
	if err != nil {
		return nil, err
	}
	own := parseBundle(text)
	if len(own) == 0 {
		return nil, fmt.Errorf("%s of %s holds no certificate in PEM", KeyCACertificate, f.dir)
	}
	return own, nil
}

// read returns a file of the directory. A mounted Secret replaces all its files at once, by a
// symbolic link.
// Source: Kubernetes, pkg/volume/util AtomicWriter.
func (f *files) read(name string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(f.dir, name))
	if err != nil {
		return nil, fmt.Errorf("read the certificate: %w", err)
	}
	return text, nil
}
