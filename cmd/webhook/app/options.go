package app

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/pipeline-storage/pipeline-storage/internal/certificates"
	"github.com/pipeline-storage/pipeline-storage/internal/claims"
	"github.com/pipeline-storage/pipeline-storage/internal/drift"
	"github.com/pipeline-storage/pipeline-storage/internal/selection"
)

// Options are the values of the flags.
type Options struct {
	// Config is the path of the StorageConfig file.
	Config string
	// Namespace, PodName and PodUID are the own pod's, Installation the value of the label on
	// created objects.
	Namespace, PodName, PodUID, Installation string
	// Webhook serves reviews. Without it the claims controller runs alone: it is for policy mode.
	Webhook bool
	// WebhookConfiguration is the name of the own MutatingWebhookConfiguration, Service that of the
	// own Service.
	WebhookConfiguration, Service string
	// AdmissionPolicy is the name of the own MutatingAdmissionPolicy, which selects the namespaces
	// where Webhook is false.
	AdmissionPolicy string
	// ExpectedWebhooks is the path of the file that the own MutatingWebhookConfiguration is
	// compared with; empty: it is not.
	ExpectedWebhooks string
	// RepairWebhooks restores the webhooks of the own MutatingWebhookConfiguration. It needs
	// InjectCA, which has the right.
	RepairWebhooks bool
	// Certificates is self or files.
	Certificates, CertificateSecret, CertificateDir string
	// InjectCA keeps the caBundle of the own MutatingWebhookConfiguration.
	InjectCA bool
	// Port serves the webhook.
	Port int
	// MetricsAddress, HealthAddress and PprofAddress are HOST:PORT; "0" or, for pprof, "" is off.
	MetricsAddress, HealthAddress, PprofAddress string
	// LeaderElect elects the replica that creates claims, with the Lease LeaderElectionID.
	LeaderElect      bool
	LeaderElectionID string
	// Claims runs the claims controller.
	Claims bool
	// PendingAfter is how long a pod waits for its claim before an Event reports why.
	PendingAfter time.Duration
	// Drain is how long requests are served after SIGTERM. Without the webhook none are.
	Drain time.Duration
	// LogLevel is debug, info or error, LogFormat json or text.
	LogLevel, LogFormat string
	// HTTP2 offers HTTP/2 in addition to HTTP/1.1.
	HTTP2 bool
	// Kubeconfig is for running outside of a cluster.
	Kubeconfig string
	// Version and Help print and stop. So does Admitted, the injected annotation of a pod, which
	// fails when it is empty.
	Version, Help bool
	Admitted      *string
	// DeleteWebhookConfiguration is the MutatingWebhookConfiguration to delete before the program
	// stops.
	DeleteWebhookConfiguration string

	flags *pflag.FlagSet
}

// Sources of certificates.
const (
	certificatesSelf  = "self"
	certificatesFiles = "files"
)

// flagSet defines the flags with their defaults, in the order of --help.
func (o *Options) flagSet() *pflag.FlagSet {
	fs := pflag.NewFlagSet("webhook", pflag.ContinueOnError)
	fs.SortFlags = false
	fs.Usage = func() {}
	o.installationFlags(fs)
	o.certificateFlags(fs)
	o.addressFlags(fs)
	o.claimFlags(fs)
	o.otherFlags(fs)
	return fs
}

// installationFlags defines the flags of the own pod, installation and webhook.
func (o *Options) installationFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.Config, "config", "/etc/pipeline-storage/config.yaml",
		"StorageConfig file; read again when it changes")
	fs.StringVar(&o.Namespace, "namespace", os.Getenv("POD_NAMESPACE"), "own namespace (default $POD_NAMESPACE)")
	fs.StringVar(&o.PodName, "pod-name", os.Getenv("POD_NAME"),
		"own pod, to which Events about the configuration belong (default $POD_NAME)")
	fs.StringVar(&o.PodUID, "pod-uid", os.Getenv("POD_UID"), "its UID (default $POD_UID)")
	fs.StringVar(&o.Installation, "installation", "",
		"value of the label on created objects; no two installations in one cluster may share it")
	fs.BoolVar(&o.Webhook, "webhook", true,
		"serve the webhook; false: run the claims controller alone, for an installation in policy mode")
	fs.StringVar(&o.AdmissionPolicy, "admission-policy", "", "own MutatingAdmissionPolicy, for --webhook=false")
	fs.StringVar(&o.WebhookConfiguration, "webhook-configuration", "", "own MutatingWebhookConfiguration")
	fs.StringVar(&o.ExpectedWebhooks, "expected-webhooks", "",
		"file with the webhooks that the chart installed; differences are reported; empty: none are")
	fs.BoolVar(&o.RepairWebhooks, "repair-webhooks", true,
		"restore the installed webhooks after a minute, where the right to write the caBundle allows it")
	fs.StringVar(&o.Service, "service", "", "own Service, for whose names certificates are signed")
}

// certificateFlags defines the flags of the certificates.
func (o *Options) certificateFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.Certificates, "certificates", certificatesSelf,
		"self: made and rotated here; files: read from --certificate-dir")
	fs.StringVar(&o.CertificateSecret, "certificate-secret", "", "Secret for the CAs that --certificates=self makes")
	fs.StringVar(&o.CertificateDir, "certificate-dir", "/tls",
		"directory with tls.crt, tls.key and, for --inject-ca, ca.crt")
	fs.BoolVar(&o.InjectCA, "inject-ca", false,
		"keep the caBundle of the own MutatingWebhookConfiguration (always with --certificates=self)")
}

// addressFlags defines the flags of the ports.
func (o *Options) addressFlags(fs *pflag.FlagSet) {
	fs.IntVar(&o.Port, "port", 9443, "port of the webhook")
	fs.StringVar(&o.MetricsAddress, "metrics-bind-address", ":8080", "address of /metrics; 0 is off")
	fs.StringVar(&o.HealthAddress, "health-probe-bind-address", ":8081", "address of /healthz and /readyz; 0 is off")
	fs.StringVar(&o.PprofAddress, "pprof-bind-address", "", "address of /debug/pprof; empty is off")
	fs.BoolVar(&o.HTTP2, "http2", false, "offer HTTP/2; API servers call a webhook's Service over HTTP/1.1")
}

// claimFlags defines the flags of the claims controller and the end of the program.
func (o *Options) claimFlags(fs *pflag.FlagSet) {
	fs.BoolVar(&o.LeaderElect, "leader-elect", true, "elect the replica that creates claims")
	fs.StringVar(&o.LeaderElectionID, "leader-election-id", "pipeline-storage", "Lease of the election")
	fs.BoolVar(&o.Claims, "claims", true, "create the claims that injected pods lack")
	fs.DurationVar(&o.PendingAfter, "pending-after", claims.DefaultPendingAfter,
		"how long a pod waits for its claim before an Event reports why")
	fs.DurationVar(&o.Drain, "drain", 10*time.Second, "how long requests are served after SIGTERM")
}

// otherFlags defines the flags of the log, and everything that prints or does one thing and stops.
func (o *Options) otherFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.LogLevel, "log-level", "info", "debug, info or error")
	fs.StringVar(&o.LogFormat, "log-format", "json", "json or text")
	fs.StringVar(&o.Kubeconfig, "kubeconfig", "", "kubeconfig, to run outside of a cluster")
	fs.String("admitted", "", "for a test pod: print its injected annotation and stop, with an error when it is empty")
	fs.StringVar(&o.DeleteWebhookConfiguration, "delete-webhook-configuration", "",
		"for helm uninstall: delete this MutatingWebhookConfiguration and stop")
	fs.BoolVar(&o.Version, "version", false, "print the version and stop")
	fs.BoolVarP(&o.Help, "help", "h", false, "print this help and stop")
}

// ParseOptions reads the flags. The error has every problem, each with its flag.
func ParseOptions(args []string) (*Options, error) {
	o := &Options{}
	o.flags = o.flagSet()
	if err := o.flags.Parse(args); err != nil {
		return nil, fmt.Errorf("%w (see --help)", err)
	}
	if admitted := o.flags.Lookup("admitted"); admitted.Changed {
		o.Admitted = new(admitted.Value.String())
	}
	if o.Help || o.Version || o.Admitted != nil {
		return o, nil
	}
	if o.flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q (see --help)", o.flags.Arg(0))
	}
	if o.flags.Changed("delete-webhook-configuration") {
		return o, o.validateDeletion()
	}
	return o, o.validate()
}

// Usage is the text of --help.
func (o *Options) Usage() string {
	return "Usage: webhook [FLAG]...\n\n" +
		"Mounts durable storage into labelled pods when they are created, and keeps their claims present.\n\n" +
		o.flags.FlagUsages()
}

// validateDeletion refuses an empty name: deleting nothing would look like success.
func (o *Options) validateDeletion() error {
	if o.DeleteWebhookConfiguration == "" {
		return errors.New("--delete-webhook-configuration: set the name of the MutatingWebhookConfiguration")
	}
	return nil
}

// problems are what is wrong with the flags.
type problems []error

// add adds a sentence that begins with the flag.
func (p *problems) add(format string, args ...any) { *p = append(*p, fmt.Errorf(format, args...)) }

// required refuses an empty value.
func (p *problems) required(flag, value, why string) {
	if value == "" {
		p.add("--%s is missing: %s", flag, why)
	}
}

// oneOf refuses a value that is not allowed.
func (p *problems) oneOf(flag, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		p.add("--%s: %q is not one of %s", flag, value, strings.Join(allowed, ", "))
	}
}

// validate returns every problem at once. It reads no file: newServer does.
func (o *Options) validate() error {
	var p problems
	if o.Webhook {
		o.validateWebhook(&p)
	} else {
		o.validatePolicyMode(&p)
	}
	p.oneOf("log-level", o.LogLevel, "debug", "info", "error")
	p.oneOf("log-format", o.LogFormat, "json", "text")
	if o.LeaderElect || o.signs() {
		p.required("namespace", o.Namespace, "the Lease and the Secret are in it")
	}
	if o.Claims {
		p.required("installation", o.Installation, "it labels created objects")
		for _, problem := range validation.IsValidLabelValue(o.Installation) {
			p.add("--installation: %q is not a value of a label: %s", o.Installation, problem)
		}
	}
	if o.Drain < 0 {
		p.add("--drain: must not be negative")
	}
	return errors.Join(p...)
}

// signs reports whether the program signs its own certificates.
func (o *Options) signs() bool { return o.Webhook && o.Certificates == certificatesSelf }

// validateWebhook checks the flags of the webhook. It reads from its own configuration which
// namespaces it serves, also where an installation has policies as well.
func (o *Options) validateWebhook(p *problems) {
	p.required("webhook-configuration", o.WebhookConfiguration, "readiness depends on its caBundle")
	if o.AdmissionPolicy != "" {
		p.add("--admission-policy: it is for --webhook=false, and --webhook-configuration is for the webhook: remove one")
	}
	p.oneOf("certificates", o.Certificates, certificatesSelf, certificatesFiles)
	if o.signs() {
		p.required("service", o.Service, "certificates are signed for its names")
		p.required("certificate-secret", o.CertificateSecret, "it holds the CAs")
	}
}

// validatePolicyMode checks the flags of a program without a webhook. Those of its certificates, port
// and Service have no effect then.
func (o *Options) validatePolicyMode(p *problems) {
	p.required("admission-policy", o.AdmissionPolicy, "without a webhook it selects the namespaces that are served")
	if o.WebhookConfiguration != "" {
		p.add("--webhook-configuration: with --webhook=false the namespaces are those of --admission-policy: remove it")
	}
	if !o.Claims {
		p.add("--webhook=false and --claims=false leave nothing to run: remove one")
	}
}

// selection returns what selects the pods of the own installation.
func (o *Options) selection() selection.Source {
	if o.Webhook {
		return selection.ByWebhooks(o.WebhookConfiguration)
	}
	return selection.ByPolicy(o.AdmissionPolicy)
}

// drift returns the options of the comparison of webhooks. Only a program that maintains the
// caBundle has the right to patch, and so to repair.
func (o *Options) drift() drift.Options {
	return drift.Options{
		File:                 o.ExpectedWebhooks,
		WebhookConfiguration: o.WebhookConfiguration,
		Repair:               o.RepairWebhooks && (o.InjectCA || o.signs()),
	}
}

// certificates returns the options for the source that --certificates names. Those of the other
// source are ignored.
func (o *Options) certificates() certificates.Options {
	return certificates.Options{
		Self:                 o.Certificates == certificatesSelf,
		Secret:               types.NamespacedName{Namespace: o.Namespace, Name: o.CertificateSecret},
		DNSNames:             certificates.ServiceNames(o.Service, o.Namespace),
		Dir:                  o.CertificateDir,
		InjectCA:             o.InjectCA,
		WebhookConfiguration: o.WebhookConfiguration,
	}
}
