package certificates

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"time"

	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

// clockSkew is how far back a certificate begins, because the clocks of nodes differ.
const clockSkew = time.Hour

// ca signs certificates.
type ca struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// leaf is a certificate that can be served.
type leaf struct {
	*tls.Certificate
	// issuer is the CA that signed it here, nil for one that was read from files.
	issuer *ca
}

// newCA makes a key and a certificate that is signed with it.
func newCA(now time.Time, lifetime time.Duration) (*ca, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		// Names differ, so that people see which CA is which without its key.
		Subject:               pkix.Name{CommonName: "pipeline-storage " + now.UTC().Format("2006-01-02T15:04:05.000Z")},
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              now.Add(lifetime),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	signed, err := create(template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &ca{cert: signed, key: key}, nil
}

// sign makes a key and a certificate for names. It does not outlive the CA.
func (a *ca) sign(names []string, now time.Time, lifetime time.Duration) (*leaf, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "pipeline-storage"},
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              earliest(now.Add(lifetime), a.cert.NotAfter),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	signed, err := create(template, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, err
	}
	return &leaf{
		Certificate: &tls.Certificate{Certificate: [][]byte{signed.Raw}, PrivateKey: key, Leaf: signed},
		issuer:      a,
	}, nil
}

// newKey makes an ECDSA key of the curve P-256. It signs a handshake in a fraction of the CPU time
// that RSA takes.
func newKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	return key, nil
}

// create signs a template. It parses the result, because callers need its final fields, such as
// Raw.
func create(
	template, parent *x509.Certificate, public crypto.PublicKey, signer crypto.Signer,
) (*x509.Certificate, error) {
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		return nil, fmt.Errorf("sign a certificate: %w", err)
	}
	signed, err := x509.ParseCertificate(raw)
	if err != nil {
		return nil, fmt.Errorf("read back a certificate: %w", err)
	}
	return signed, nil
}

// encode returns the certificate and the key as PEM.
func (a *ca) encode() (certificate, key []byte, err error) {
	if certificate, err = cert.EncodeCertificates(a.cert); err != nil {
		return nil, nil, fmt.Errorf("encode a CA: %w", err)
	}
	if key, err = keyutil.MarshalPrivateKeyToPEM(a.key); err != nil {
		return nil, nil, fmt.Errorf("encode the key of a CA: %w", err)
	}
	return certificate, key, nil
}

// parseCA reads what encode wrote. An incomplete CA is refused, so that it is replaced.
func parseCA(certificate, key []byte) (*ca, error) {
	certs, err := cert.ParseCertsPEM(certificate)
	if err != nil {
		return nil, fmt.Errorf("read a CA: %w", err)
	}
	parsed, err := keyutil.ParsePrivateKeyPEM(key)
	if err != nil {
		return nil, errors.New("read the key of a CA: it is not a private key in PEM") // never quote a key
	}
	signer, ok := parsed.(crypto.Signer)
	if !ok || !sameKey(certs[0].PublicKey, signer.Public()) {
		return nil, errors.New("read a CA: the key is not that of the certificate")
	}
	if !certs[0].IsCA {
		return nil, errors.New("read a CA: the certificate is not one of a CA")
	}
	return &ca{cert: certs[0], key: signer}, nil
}

// sameKey compares by the method Equal, which all public keys of the standard library have.
// Source: crypto.PublicKey.
func sameKey(a, b crypto.PublicKey) bool {
	key, ok := a.(interface {
		Equal(other crypto.PublicKey) bool
	})
	return ok && key.Equal(b)
}

// usable reports whether there is a CA that has not expired. One that is not valid yet is usable:
// it comes from a node whose clock is ahead, and that node would replace another one again.
func (a *ca) usable(now time.Time) bool {
	return a != nil && now.Before(a.cert.NotAfter)
}

// same reports whether both are the same certificate. A nil CA equals none.
func (a *ca) same(b *ca) bool {
	return a != nil && b != nil && bytes.Equal(a.cert.Raw, b.cert.Raw)
}

// due reports whether two thirds of a certificate's life are over.
func due(c *x509.Certificate, now time.Time) bool {
	signed := signedAt(c)
	return !now.Before(signed.Add(c.NotAfter.Sub(signed) / 3 * 2))
}

// signedAt returns when a certificate of this program was signed.
func signedAt(c *x509.Certificate) time.Time {
	return c.NotBefore.Add(clockSkew)
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
