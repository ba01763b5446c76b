package controlplane

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
)

const (
	etcd              = "etcd"
	apiserver         = "kube-apiserver"
	controllerManager = "kube-controller-manager"
	scheduler         = "kube-scheduler"
)

// part is a row of the table of programs: how one is started, and which URLs answer 200 when it is
// ready.
type part struct {
	name  string
	args  func(settings) []string
	ready []answer
}

// answer is a path that a part answers, usually the one that the start waits for.
type answer struct {
	part, path string
}

// stages holds the parts in the order of their start. The parts of one stage start together; each
// stage needs the one before it.
var stages = [][]part{
	{{name: etcd, args: etcdArgs, ready: []answer{{etcd, "/health"}}}},
	{{
		name: apiserver, args: apiserverArgs,
		// The API server may report that it is ready before it has created the default namespace.
		ready: []answer{{apiserver, "/readyz"}, {apiserver, "/api/v1/namespaces/default"}},
	}},
}

// controllers is the stage that Options.Controllers adds.
var controllers = []part{
	{
		name: controllerManager, args: controllerManagerArgs,
		// A pod is refused while its namespace has no such account.
		ready: []answer{
			{controllerManager, "/healthz"},
			{apiserver, "/api/v1/namespaces/default/serviceaccounts/default"},
		},
	},
	{name: scheduler, args: schedulerArgs, ready: []answer{{scheduler, "/healthz"}}},
}

// settings is what the parts must agree on.
type settings struct {
	Options
	dir   string
	pki   pki
	ports map[string]int
}

func newSettings(dir string, options Options, port func() (int, error)) (settings, error) {
	s := settings{Options: options, dir: dir, ports: map[string]int{}}

	for _, stage := range options.stages() {
		for _, row := range stage {
			number, err := port()
			if err != nil {
				return s, err
			}

			s.ports[row.name] = number
		}
	}

	keys, err := newPKI(options.Address, options.Node)
	if err != nil {
		return s, err
	}

	s.pki = keys

	return s, errors.Join(s.pki.write(dir, s.url(apiserver)), s.writeAuditPolicy())
}

func (s settings) url(name string) string {
	return "https://" + net.JoinHostPort(loopback, strconv.Itoa(s.ports[name]))
}

func (s settings) file(name string) string {
	return filepath.Join(s.dir, name)
}

// etcd speaks TLS with a CA of this control plane, not for secrecy: an API server must not use the
// etcd of another test that got the port first.
func etcdArgs(s settings) []string {
	const peer = "http://127.0.0.1:0" // one member has no peers, so any free port will do

	return []string{
		"--data-dir=" + s.file("etcd"),
		"--unsafe-no-fsync",
		"--listen-client-urls=" + s.url(etcd),
		"--advertise-client-urls=" + s.url(etcd),
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
	bind, advertise := loopback, loopback
	if s.Address != "" {
		bind, advertise = "0.0.0.0", s.Address
	}

	args := []string{
		"--etcd-servers=" + s.url(etcd),
		"--etcd-cafile=" + s.file(caCert),
		"--etcd-certfile=" + s.file(adminCert),
		"--etcd-keyfile=" + s.file(adminKey),
		"--bind-address=" + bind,
		"--advertise-address=" + advertise,
		"--endpoint-reconciler-type=none", // it refuses a loopback address
		fmt.Sprintf("--secure-port=%d", s.ports[apiserver]),
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
		"--allow-privileged=true",
		// Calls to the Service of a webhook go to its ready endpoints: there is no kube-proxy for
		// its virtual address.
		"--enable-aggregator-routing=true",
	}

	if s.Node != "" {
		args = append(args,
			"--kubelet-client-certificate="+s.file(kubeletClientCert),
			"--kubelet-client-key="+s.file(kubeletClientKey),
			"--kubelet-certificate-authority="+s.file(caCert),
			"--kubelet-preferred-address-types=InternalIP",
		)
	}

	if s.AuditLog {
		args = append(args, "--audit-policy-file="+s.file(auditPolicyFile), "--audit-log-path="+s.file(auditFile),
			"--audit-log-maxsize=1000") // megabytes, before it begins another file
	}

	if !s.Controllers {
		args = append(args, "--disable-admission-plugins=ServiceAccount") // no controller would create the accounts
	}

	return args
}

func controllerManagerArgs(s settings) []string {
	args := append(
		componentArgs(s, controllerManager, controllerManagerConfig),
		"--use-service-account-credentials",
		"--service-account-private-key-file="+s.file(accountKey),
		"--root-ca-file="+s.file(caCert),
		// Real dynamic provisioning without a node, for classes of the provisioner
		// kubernetes.io/host-path.
		"--enable-hostpath-provisioner",
		// A claim that the binder sees before its volume waits for the next round, which is in 15
		// seconds by default.
		"--pvclaimbinder-sync-period=1s",
	)

	if s.Node == "" {
		args = append(args, "--node-monitor-grace-period=24h") // no process renews the lease of a simulated Node
	}

	return args
}

func schedulerArgs(s settings) []string {
	return componentArgs(s, scheduler, schedulerConfig)
}

// componentArgs are the flags that the controller manager and the scheduler share.
func componentArgs(s settings, name, config string) []string {
	return []string{
		"--kubeconfig=" + s.file(config),
		"--bind-address=" + loopback,
		fmt.Sprintf("--secure-port=%d", s.ports[name]),
		"--tls-cert-file=" + s.file(servingCert),
		"--tls-private-key-file=" + s.file(servingKey),
		"--leader-elect=false", // one of each: an election would only delay the start
		// By default they limit their own request rate: the first account takes six seconds, and 50
		// pods one.
		"--kube-api-qps=300",
		"--kube-api-burst=600",
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
