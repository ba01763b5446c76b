package controlplane

import (
	"fmt"
	"os"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

const (
	kubeletClientCert = "kubelet-client.crt"
	kubeletClientKey  = "kubelet-client.key"
)

// NodeCredentials are what the kubelet of Options.Node needs, in PEM: a kubeconfig, and the CA of its
// own clients.
type NodeCredentials struct {
	Kubeconfig, ClientCA []byte
}

// NodeCredentials returns what the kubelet of Options.Node needs.
func (c *ControlPlane) NodeCredentials() (NodeCredentials, error) {
	file, err := c.writeKubeconfig("node", "system:node:"+c.options.Node, "system:nodes")
	if err != nil {
		return NodeCredentials{}, err
	}
	var credentials NodeCredentials
	if credentials.Kubeconfig, err = os.ReadFile(file); err == nil {
		credentials.ClientCA, err = os.ReadFile(c.file("pki/client-cert-auth-ca.crt"))
	}
	if err != nil {
		return NodeCredentials{}, fmt.Errorf("read the credentials of the node: %w", err)
	}
	return credentials, nil
}

// configureNode has the API server send requests to the kubelet, whose certificate is its own.
func (c *ControlPlane) configureNode(flags *envtest.Arguments) {
	if c.options.Node == "" {
		return
	}
	flags.Set("kubelet-preferred-address-types", "InternalIP")
	flags.SetRaw("kubelet-client-certificate", lazily(func() string { return c.writeKubeletClient() }))
	flags.Set("kubelet-client-key", c.file(kubeletClientKey))
}

// lazily is the value of a flag that is made when the API server starts: before, envtest can add no
// user.
type lazily func() string

// Append returns the value unchanged.
func (l lazily) Append(...string) envtest.Arg { return l }

// Get returns the value.
func (l lazily) Get([]string) []string { return []string{l()} }

// writeKubeletClient writes what the API server presents to the kubelet, and returns the file of the
// certificate. Without the files the API server reports that and does not start.
func (c *ControlPlane) writeKubeletClient() string {
	file := c.file(kubeletClientCert)
	user, err := c.env.ControlPlane.APIServer.AddUser(
		envtest.User{Name: "kube-apiserver-kubelet-client", Groups: []string{"system:masters"}}, &rest.Config{})
	if err == nil {
		_ = os.WriteFile(file, user.CertData, privateFile)
		_ = os.WriteFile(c.file(kubeletClientKey), user.KeyData, privateFile)
	}
	return file
}
