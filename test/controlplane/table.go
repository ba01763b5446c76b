package controlplane

import (
	"fmt"
	"net"
	"path/filepath"
	"strconv"
)

// part is a row of the table of programs: how one is started, and which of its paths answer 200 when it is of use.
type part struct {
	name  string
	args  func(settings) []string
	ready []string
}

// table holds the parts in the order of their start. A controller manager and a scheduler are two rows more; the
// ServiceAccount admission plugin may then be on again.
var table = []part{
	{name: "etcd", args: etcdArgs, ready: []string{"/health"}},
	// The API server may say that it is ready before it has made the default namespace.
	{name: "kube-apiserver", args: apiserverArgs, ready: []string{"/readyz", "/api/v1/namespaces/default"}},
}

// settings is what the parts must agree on.
type settings struct {
	dir   string
	pki   pki
	ports map[string]int
}

func newSettings(dir string, rows []part, port func() (int, error)) (settings, error) {
	s := settings{dir: dir, ports: map[string]int{}}

	for _, row := range rows {
		number, err := port()
		if err != nil {
			return s, err
		}

		s.ports[row.name] = number
	}

	keys, err := newPKI()
	if err != nil {
		return s, err
	}

	s.pki = keys

	return s, s.pki.write(dir)
}

func (s settings) url(name string) string {
	return "https://" + net.JoinHostPort(loopback, strconv.Itoa(s.ports[name]))
}

func (s settings) file(name string) string {
	return filepath.Join(s.dir, name)
}

// etcd speaks TLS with our own authority, not for secrecy: an API server must not use the etcd of another test that
// got the port first.
func etcdArgs(s settings) []string {
	const peer = "http://127.0.0.1:0" // one member has no peers, so any free port will do

	return []string{
		"--data-dir=" + s.file("etcd"),
		"--unsafe-no-fsync",
		"--listen-client-urls=" + s.url("etcd"),
		"--advertise-client-urls=" + s.url("etcd"),
		"--listen-peer-urls=" + peer,
		"--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=default=" + peer,
		"--cert-file=" + s.file(servingCert),
		"--key-file=" + s.file(servingKey),
		"--trusted-ca-file=" + s.file(caCert),
		"--client-cert-auth",
		"--log-level=warn",
	}
}

func apiserverArgs(s settings) []string {
	return []string{
		"--etcd-servers=" + s.url("etcd"),
		"--etcd-cafile=" + s.file(caCert),
		"--etcd-certfile=" + s.file(adminCert),
		"--etcd-keyfile=" + s.file(adminKey),
		"--bind-address=" + loopback,
		"--advertise-address=" + loopback,
		"--endpoint-reconciler-type=none", // it refuses a loopback address
		fmt.Sprintf("--secure-port=%d", s.ports["kube-apiserver"]),
		"--tls-cert-file=" + s.file(servingCert),
		"--tls-private-key-file=" + s.file(servingKey),
		"--client-ca-file=" + s.file(caCert),
		"--anonymous-auth=false",
		"--authorization-mode=Node,RBAC",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + s.file(accountPublicKey),
		"--service-account-signing-key-file=" + s.file(accountKey),
		"--service-cluster-ip-range=10.96.0.0/24",
		"--enable-admission-plugins=NodeRestriction",
		"--disable-admission-plugins=ServiceAccount",
		"--allow-privileged=true",
		"--enable-aggregator-routing=true",
	}
}

// freePort returns a port that was free a moment ago.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer listener.Close()

	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return 0, fmt.Errorf("find a free port: %v is no TCP address", listener.Addr())
	}

	return address.Port, nil
}
