package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/pipeline-storage/pipeline-storage/test/benchadmission/servers/listen"
)

// certificates are what every server presents, in files named as in a Secret of type
// kubernetes.io/tls.
type certificates struct {
	dir string
	ca  []byte // PEM
}

// newCertificates makes a CA and one certificate with an ECDSA key, as the webhook and
// cert-manager's small keys have it.
func newCertificates(dir string, names ...string) (certificates, error) {
	issuing := &x509.Certificate{
		Subject: pkix.Name{CommonName: "benchadmission"}, KeyUsage: x509.KeyUsageCertSign, IsCA: true,
		BasicConstraintsValid: true,
	}
	leaf := &x509.Certificate{
		Subject: pkix.Name{CommonName: names[0]}, DNSNames: names, IPAddresses: []net.IP{net.ParseIP(listen.Host)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	keys := make([]*ecdsa.PrivateKey, 2)
	for i := range keys {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return certificates{}, fmt.Errorf("make a key: %w", err)
		}
		keys[i] = key
	}
	ca, err := sign(issuing, issuing, keys[0], keys[0])
	if err != nil {
		return certificates{}, err
	}
	cert, err := sign(leaf, issuing, keys[1], keys[0])
	if err != nil {
		return certificates{}, err
	}
	key, err := x509.MarshalPKCS8PrivateKey(keys[1])
	if err != nil {
		return certificates{}, fmt.Errorf("encode the key: %w", err)
	}
	c := certificates{dir: dir, ca: ca}
	return c, c.write(map[string][]byte{
		"ca.crt": ca, "tls.crt": cert, "tls.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
	})
}

func (c certificates) write(files map[string][]byte) error {
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(c.dir, name), text, 0o600); err != nil {
			return fmt.Errorf("write the certificates: %w", err)
		}
	}
	return nil
}

func sign(template, issuer *x509.Certificate, key, signer *ecdsa.PrivateKey) ([]byte, error) {
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(90*24*time.Hour)
	raw, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), signer)
	if err != nil {
		return nil, fmt.Errorf("sign a certificate: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}), nil
}

// client returns the TLS configuration of the requests: TLS 1.3 and exactly one version of HTTP.
func (c certificates) client(http2 bool) *tls.Config {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(c.ca)
	protocol := "http/1.1"
	if http2 {
		protocol = "h2"
	}
	return &tls.Config{
		RootCAs: pool, ServerName: listen.Host, MinVersion: tls.VersionTLS13,
		NextProtos: []string{protocol},
	}
}
