package controlplane

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

const (
	loopback = "127.0.0.1"

	caCert           = "ca.crt"
	servingCert      = "serving.crt"
	servingKey       = "serving.key"
	adminCert        = "admin.crt"
	adminKey         = "admin.key"
	accountKey       = "service-account.key"
	accountPublicKey = "service-account.pub"

	adminConfig             = "kubeconfig"
	controllerManagerConfig = "kube-controller-manager.kubeconfig"
	schedulerConfig         = "kube-scheduler.kubeconfig"
	nodeConfig              = "node.kubeconfig"

	// What the API server shows to the kubelet.
	kubeletClientCert = "kubelet-client.crt"
	kubeletClientKey  = "kubelet-client.key"

	serialBits = 128
	clockSkew  = time.Hour
	validity   = 7 * 24 * time.Hour
)

// pki holds PEM texts. The key of the CA is not among them: after newPKI nothing can sign more.
type pki struct {
	ca                       []byte
	serving, servingKey      []byte
	cert, key                []byte
	account, accountVerifier []byte
	// clients are those of the parts themselves, by the name of the file that will hold one.
	clients map[string]client
	// kubelet is the kubelet's own certificate as a server, and kubeletClient what the API server
	// presents to it. Only a control plane with a node has them.
	kubelet, kubeletClient client
}

// client is the certificate of a user of the API server, and its key.
type client struct {
	cert, key []byte
}

type certificateAuthority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// newPKI makes all certificates. The serving one is for the loopback address and, if it is not
// empty, for address. Those of a kubelet are made if node is not empty.
func newPKI(address, node string) (pki, error) {
	var p pki

	ca, err := newCA()
	if err != nil {
		return p, err
	}

	p.ca = encode("CERTIFICATE", ca.cert.Raw)

	addresses := []net.IP{net.ParseIP(loopback), net.ParseIP("10.96.0.1")}
	if address != "" {
		addresses = append(addresses, net.ParseIP(address))
	}

	p.serving, p.servingKey, err = ca.sign(&x509.Certificate{
		Subject:     pkix.Name{CommonName: apiserver},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"},
		IPAddresses: addresses,
	})
	if err != nil {
		return p, err
	}

	if err := p.signClients(ca); err != nil {
		return p, err
	}

	if node != "" {
		if err := p.signNode(ca, address, node); err != nil {
			return p, err
		}
	}

	p.account, p.accountVerifier, err = newAccountKey()

	return p, err
}

// signClients makes the administrator's certificate and those of the parts, whose names have the
// API server's default roles.
func (p *pki) signClients(ca certificateAuthority) error {
	admin, err := ca.signClient(pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}})
	if err != nil {
		return err
	}

	p.cert, p.key = admin.cert, admin.key
	p.clients = map[string]client{adminConfig: admin}

	for file, user := range map[string]string{
		controllerManagerConfig: "system:kube-controller-manager",
		schedulerConfig:         "system:kube-scheduler",
	} {
		if p.clients[file], err = ca.signClient(pkix.Name{CommonName: user}); err != nil {
			return err
		}
	}

	return nil
}

// signNode makes the certificates of a node: as a client for the API server's node authorizer, as a
// server, and the API server's own as a client of the node.
func (p *pki) signNode(ca certificateAuthority, address, node string) (err error) {
	name := pkix.Name{CommonName: "system:node:" + node, Organization: []string{"system:nodes"}}

	if p.clients[nodeConfig], err = ca.signClient(name); err != nil {
		return err
	}

	p.kubeletClient, err = ca.signClient(pkix.Name{CommonName: "kubelet-client", Organization: []string{"system:masters"}})
	if err != nil {
		return err
	}

	p.kubelet.cert, p.kubelet.key, err = ca.sign(&x509.Certificate{
		Subject: name, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{node}, IPAddresses: []net.IP{net.ParseIP(address)},
	})

	return err
}

func (p pki) write(dir, host string) error {
	files := map[string][]byte{
		caCert:           p.ca,
		servingCert:      p.serving,
		servingKey:       p.servingKey,
		adminCert:        p.cert,
		adminKey:         p.key,
		accountKey:       p.account,
		accountPublicKey: p.accountVerifier,
	}
	if p.kubelet.cert != nil {
		files[kubeletClientCert], files[kubeletClientKey] = p.kubeletClient.cert, p.kubeletClient.key
	}

	for name, user := range p.clients {
		files[name] = kubeconfig(host, p.ca, user.cert, user.key)
	}

	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, privateFile); err != nil {
			return fmt.Errorf("write the certificates: %w", err)
		}
	}

	return nil
}

func newCA() (certificateAuthority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return certificateAuthority{}, fmt.Errorf("make the key of the CA: %w", err)
	}

	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "pipeline-storage test CA"},
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}

	raw, err := create(template, template, key, key)
	if err != nil {
		return certificateAuthority{}, err
	}

	cert, err := x509.ParseCertificate(raw)
	if err != nil {
		return certificateAuthority{}, fmt.Errorf("read back the CA: %w", err)
	}

	return certificateAuthority{cert: cert, key: key}, nil
}

func (a certificateAuthority) signClient(name pkix.Name) (client, error) {
	cert, key, err := a.sign(&x509.Certificate{
		Subject: name, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})

	return client{cert: cert, key: key}, err
}

// sign returns a certificate made from template and its new key.
func (a certificateAuthority) sign(template *x509.Certificate) (cert, private []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make the key of %s: %w", template.Subject.CommonName, err)
	}

	template.KeyUsage = x509.KeyUsageDigitalSignature

	raw, err := create(template, a.cert, key, a.key)
	if err != nil {
		return nil, nil, err
	}

	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("encode the key of %s: %w", template.Subject.CommonName, err)
	}

	return encode("CERTIFICATE", raw), encode("EC PRIVATE KEY", der), nil
}

func create(template, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), serialBits))
	if err != nil {
		return nil, fmt.Errorf("make a serial number: %w", err)
	}

	template.SerialNumber = serial
	template.NotBefore = time.Now().Add(-clockSkew)
	template.NotAfter = time.Now().Add(validity)

	raw, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return nil, fmt.Errorf("sign the certificate of %s: %w", template.Subject.CommonName, err)
	}

	return raw, nil
}

// newAccountKey returns the key that signs the tokens of service accounts, and the one that checks
// them.
func newAccountKey() (private, public []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make the key of the service accounts: %w", err)
	}

	privateDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("encode the key of the service accounts: %w", err)
	}

	publicDER, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, nil, fmt.Errorf("encode the key of the service accounts: %w", err)
	}

	return encode("EC PRIVATE KEY", privateDER), encode("PUBLIC KEY", publicDER), nil
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// kubeconfig holds the certificates themselves, so it works wherever it is copied to.
func kubeconfig(host string, ca, cert, key []byte) []byte {
	const form = `apiVersion: v1
kind: Config
current-context: test
contexts:
- name: test
  context: {cluster: test, user: test}
clusters:
- name: test
  cluster:
    server: %s
    certificate-authority-data: %s
users:
- name: test
  user:
    client-certificate-data: %s
    client-key-data: %s
`

	text := base64.StdEncoding.EncodeToString

	return fmt.Appendf(nil, form, host, text(ca), text(cert), text(key))
}
