package storage

import (
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
)

// Reserved is a row of [ReservedPaths], [ReservedVariables] or [ReservedKeys]: a name that has
// another purpose, so that neither a profile nor a pod's annotation can take it.
type Reserved struct {
	// Name is the path, the variable or the key.
	Name string
	// Below is whether the row is for more than the name itself: for all paths below a path, all
	// variables that begin with the name, all keys of a domain and its subdomains.
	Below bool
	// Why is the rest of a sentence that begins with what was written.
	Why string
}

// ReservedPaths are the mount paths at which a volume breaks a container. A path below one of them
// is free unless the row has Below: programs are in /usr, but /usr/share/models can be a volume.
//
// Sources: runc, libcontainer/rootfs_linux.go checkProcMount (nothing is mounted in /proc);
// containerd, pkg/oci/mounts.go (the file systems of every container) and
// internal/cri/server/container_create.go (/etc/hostname, /etc/hosts, /etc/resolv.conf, /dev/shm);
// Kubernetes, pkg/kubelet/kuberuntime/kuberuntime_container.go makeMounts and core/v1
// TerminationMessagePathDefault; plugin/pkg/admission/serviceaccount DefaultAPITokenMountPath;
// Filesystem Hierarchy Standard 3.0, 3 and 4 (programs and libraries).
var ReservedPaths = []Reserved{
	{"/", false, "would hide the container's whole file system"},
	{"/proc", true, "is in /proc, where container runtimes mount no volume"},
	{"/sys", true, "is in /sys, which belongs to the kernel"},
	{"/dev", false, "would hide the container's devices"},
	{"/dev/pts", true, "would hide the container's terminals"},
	{"/dev/mqueue", true, "would hide the container's message queues"},
	{"/dev/shm", false, "would hide the container's shared memory, which an emptyDir with medium: Memory can make larger"},
	{"/dev/termination-log", true, "is the file to which a container writes why it ends"},
	{"/etc", false, "would hide the container's users, certificates and name resolution"},
	{"/etc/hostname", true, "is a file that the container runtime mounts"},
	{"/etc/hosts", true, "is a file that Kubernetes mounts"},
	{"/etc/resolv.conf", true, "is a file that the container runtime mounts"},
	{"/bin", false, whyPrograms},
	{"/sbin", false, whyPrograms},
	{"/usr", false, whyPrograms},
	{"/usr/bin", false, whyPrograms},
	{"/usr/sbin", false, whyPrograms},
	{"/lib", false, whyLibraries},
	{"/lib64", false, whyLibraries},
	{"/usr/lib", false, whyLibraries},
	{"/usr/lib64", false, whyLibraries},
	{serviceAccountPath, true, whyToken},
	// In most images /var/run is a link to /run. Source: Filesystem Hierarchy Standard 3.0, 5.13.
	{strings.TrimPrefix(serviceAccountPath, "/var"), true, whyToken},
}

// serviceAccountPath is where the API server mounts a pod's token.
const serviceAccountPath = "/var/run/secrets/kubernetes.io/serviceaccount"

const (
	whyPrograms  = "would hide the container's programs"
	whyLibraries = "would hide the container's libraries"
	whyToken     = "would hide the pod's service account token in " + serviceAccountPath
)

// ReservedVariables are the environment variables that break a container when they hold a mount
// path. HOME is not among them: a volume can be the home of a container on purpose.
//
// Sources: Kubernetes, pkg/kubelet/kubelet_pods.go getServiceEnvVarMap (KUBERNETES_SERVICE_HOST and
// others, even without service links); containerd, internal/cri/server/container_create.go
// hostnameEnv; ld.so(8).
var ReservedVariables = []Reserved{
	{"PATH", false, "is the list of directories in which programs are found"},
	{"HOSTNAME", false, "is the name of the pod, which the container runtime sets"},
	{"LD_AUDIT", false, whyLinker},
	{"LD_LIBRARY_PATH", false, whyLinker},
	{"LD_PRELOAD", false, whyLinker},
	{"KUBERNETES_", true, "is where programs find the API server (KUBERNETES_SERVICE_HOST and others)"},
	{podVariablePrefix, true, "begins with " + podVariablePrefix + ", as the variables of mount.subPath do"},
}

const whyLinker = "is read by the dynamic linker when a program starts"

// ReservedKeys are the keys of labels and annotations that a profile cannot give its objects,
// because a program reads them: the data would be lost, found by another one or not found at all.
//
// Sources: Kubernetes, Well-Known Labels, Annotations and Taints; component-helpers/storage/volume
// (pv.kubernetes.io, volume.kubernetes.io); pkg/volume/util/storageclass.go (is-default-class);
// pkg/scheduler/framework/plugins/volumezone (the topology of a PersistentVolume); Helm,
// pkg/release/v1/hook.go and pkg/action/validate.go; Argo CD, Resource Hooks; kustomize,
// api/konfig and kyaml/kio/kioutil (config.kubernetes.io).
var ReservedKeys = []Reserved{
	{Group, true, whyOwn},
	{kinds.Label, false, whyOwn},
	{annotationResourcePolicy, false, whyRetained},
	{annotationSyncOptions, false, whyRetained},
	{annotationFluxPrune, false, whyRetained},
	{"pv.kubernetes.io", true, whyBinding},
	{"volume.kubernetes.io", true, whyBinding},
	{"volume.beta.kubernetes.io", true, whyBinding},
	{"storageclass.kubernetes.io", true, whyDefaultClass},
	{"storageclass.beta.kubernetes.io", true, whyDefaultClass},
	{"topology.kubernetes.io", true, whyTopology},
	{"failure-domain.beta.kubernetes.io", true, whyTopology},
	{"app.kubernetes.io/managed-by", false, whyManager},
	{"meta.helm.sh", true, whyManager},
	{"helm.sh/hook", false, whyHook},
	{"helm.sh/hook-weight", false, whyHook},
	{"helm.sh/hook-delete-policy", false, whyHook},
	{"argocd.argoproj.io/hook", false, whyHook},
	{"argocd.argoproj.io/hook-delete-policy", false, whyHook},
	{"config.kubernetes.io", true, "is read by kustomize, which can leave the object out"},
	{"kubectl.kubernetes.io/last-applied-configuration", false, "is what kubectl apply compares an object with"},
}

const (
	whyOwn          = "belongs to pipeline-storage, which finds its pods and objects by it"
	whyRetained     = "is set by pipeline-storage, so that data is retained"
	whyBinding      = "is written by Kubernetes, to bind volumes and claims"
	whyDefaultClass = "chooses the class of other claims in the cluster"
	whyTopology     = "limits the nodes of a volume: set volume.zone or storageClass.allowedTopologies"
	whyManager      = "names the manager of an object, which Helm writes"
	whyHook         = "makes the object a hook, which is deleted with its data"
)

// reservedBy returns the first row for a name, or nil. below reports whether the name is one of
// those for which a row with Below is.
func reservedBy(rows []Reserved, name string, below func(name, row string) bool) *Reserved {
	for i := range rows {
		if name == rows[i].Name || rows[i].Below && below(name, rows[i].Name) {
			return &rows[i]
		}
	}
	return nil
}

// checkReservedPath refuses the clean paths of [ReservedPaths].
func checkReservedPath(clean string) error {
	if row := reservedBy(ReservedPaths, clean, IsBelow); row != nil {
		return errors.New(row.Why)
	}
	return nil
}

// validateVariable checks the name of an environment variable that is to hold a mount path.
func validateVariable(at *field.Path, name string) field.ErrorList {
	var errs field.ErrorList
	for _, problem := range validation.IsEnvVarName(name) {
		errs = append(errs, field.Invalid(at, name, problem))
	}
	if row := reservedBy(ReservedVariables, name, strings.HasPrefix); row != nil {
		errs = append(errs, field.Invalid(at, name, row.Why+": choose another name"))
	}
	return errs
}

// checkReservedKey refuses the keys of [ReservedKeys].
func checkReservedKey(key string) error {
	inDomain := func(key, domain string) bool {
		prefix, _, hasPrefix := strings.Cut(key, "/")
		return hasPrefix && (prefix == domain || strings.HasSuffix(prefix, "."+domain))
	}
	if row := reservedBy(ReservedKeys, key, inDomain); row != nil {
		return fmt.Errorf("%s: choose another key", row.Why)
	}
	return nil
}
