package status

import (
	"slices"
	"strings"

	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
)

// Reasons in addition to those of package diagnose and those of package inject that refuse.
const (
	// ReasonWebhookMissing: the cluster has neither a webhook nor policies of this product.
	ReasonWebhookMissing = "WebhookMissing"
	// ReasonWebhookNotReady: no pod answers behind the webhook's Service.
	ReasonWebhookNotReady = "WebhookNotReady"
	// ReasonPolicyIncomplete: an installation in policy mode lacks a policy or a binding.
	ReasonPolicyIncomplete = "PolicyIncomplete"
	// ReasonConfigUnusable: the ConfigMap of an installation is not a valid configuration.
	ReasonConfigUnusable = "ConfigurationUnusable"
	// ReasonNotSelected: the namespaceSelector of every installation excludes the namespace.
	ReasonNotSelected = "NamespaceNotSelected"
	// ReasonPodNotSelected: the objectSelector of every installation excludes the pod.
	ReasonPodNotSelected = "PodNotSelected"
	// ReasonBeforeWebhook: the pod was created before the webhook or the policies.
	ReasonBeforeWebhook = "AdmittedBeforeWebhook"
	// ReasonNotInjected: no other reason applies; an example is a label that was added to a running pod.
	ReasonNotInjected = "NotInjected"
	// ReasonPartlyInjected: a container lacks the mount that another one has.
	ReasonPartlyInjected = "PartlyInjected"
	// ReasonWrongPlace: a workload has the label, and its pod template lacks it.
	ReasonWrongPlace = "LabelNotOnPods"
	// ReasonNamespaceLabel: the namespace has the label for all of its pods, and nothing reads it there.
	ReasonNamespaceLabel = "NamespaceLabelNotRead"
	// ReasonPodsRefused: an admission webhook or an own policy denied the pods, with a message.
	ReasonPodsRefused = "PodsRefused"
	// ReasonPodsNotCreated: the pods of a labeled workload are missing for a cause that only the
	// message has.
	ReasonPodsNotCreated = "PodsNotCreated"
	// ReasonQuota: a ResourceQuota of the namespace is used up, for pods or for claims.
	ReasonQuota = "QuotaExceeded"
	// ReasonAttachFailed: the volume is not attached to the node, so that nothing can mount it yet.
	ReasonAttachFailed = "AttachFailed"
	// ReasonMountFailed: the volume is attached, and the kubelet cannot mount it.
	ReasonMountFailed = "MountFailed"
)

// Reason is a row of the table of reasons.
type Reason struct {
	// Name is that of Problem.Reason.
	Name string
	// Means is what is wrong.
	Means string
	// Next is what to do, in general; a Problem has it with names.
	Next string
}

// Reasons is the table of what can be wrong. docs/status.md has it, and a test compares the two.
// A reason that another package adds and the table lacks fails a test of this package.
var Reasons = []Reason{
	{
		ReasonWebhookMissing, "A pod has the label, and neither a webhook nor a policy is installed",
		"Install the chart, or render with the post-renderer",
	},
	{
		ReasonWebhookNotReady, "The webhook does not answer: labeled pods cannot be created",
		"Look at its pods; docs/operations.md has the runbook",
	},
	{
		ReasonPolicyIncomplete, "In policy mode a policy or a binding does not exist",
		"Create it again (helm upgrade)",
	},
	{ReasonConfigUnusable, "The configuration of an installation cannot be read", "Mend its ConfigMap"},
	{
		ReasonNotSelected, "The namespaceSelector of the webhook or the policies leaves the namespace out",
		"Label the namespace as the selector wants, or change the chart's namespaceSelector; then recreate the pods. Where " +
			"it excludes the namespace by its name, use another one",
	},
	{
		ReasonPodNotSelected, "The pod has the label, and the objectSelector of the webhook or the policies leaves it out",
		"Label the pods as the selector wants, or change the chart's objectSelector; then recreate the pods",
	},
	{
		ReasonBeforeWebhook, "The pod is older than the webhook or the policies, so nothing mounted its storage",
		"Recreate the pod (kubectl rollout restart)",
	},
	{
		ReasonNotInjected, "The pod has the label and no storage, although it would get it today",
		"Recreate the pod: labels count when a pod is created",
	},
	{ReasonPartlyInjected, "Some containers lack the mount that others have", "Recreate the pod"},
	{string(inject.ReasonWindows), "The pod is for Windows, where the mount path means nothing", "Remove the label"},
	{
		string(inject.ReasonConflict), "The pod's own volumes, mounts or variables stand in the way",
		"Change what the message names in the pod, or the profile",
	},
	{
		string(inject.ReasonInvalid),
		"The pod's annotations request what no profile allows, or the profile is not for the namespace",
		"Change what the message names",
	},
	{
		ReasonWrongPlace,
		"The label is on a Deployment, Job or the like and not on its pods: they silently get nothing",
		"Put the label into the pod template",
	},
	{
		ReasonNamespaceLabel,
		"The namespace has the label pipeline-storage.io/all-pods=enabled, and no webhook or policy selects its pods by it",
		"Set optIn.namespaceLabel in the chart's values, or label the pods; then recreate the pods. Where the webhook " +
			"or the policies exclude the namespace by its name, remove the label",
	},
	{
		ReasonPodsRefused, "The webhook or the policies refused the pods of a workload",
		"Change what the message names in the pod template",
	},
	{ReasonPodsNotCreated, "The pods of a workload with the label could not be created", "Change what the message names"},
	{ReasonQuota, "A quota of the namespace is used up", "Raise the quota, or ask for less"},
	{
		ReasonAttachFailed, "The volume cannot be attached to the pod's node, most often because another node has it",
		"Delete the pod on the other node, or keep the pods on one",
	},
	{ReasonMountFailed, "The node cannot mount the volume", "Mend what the message names, on the node or in the storage"},
	{
		diagnose.ReasonProfileUnknown, "The pod was mounted for a profile that the configuration no longer has",
		"Restore the profile, or recreate the pod",
	},
	{
		diagnose.ReasonProfileRefused, "The profile is not for this namespace",
		"Use another profile, or change its namespaceSelector or volume.namespace",
	},
	{
		diagnose.ReasonCreateRefused, "The API server refused the claim, its volume or its class",
		"Change what the message names: rights, quota, policies",
	},
	{
		diagnose.ReasonExpandRefused, "The claim should be larger and cannot be",
		"Let the class expand, or restore the size",
	},
	{
		diagnose.ReasonExpandInfeasible, "The claim's driver or its node has given up an expansion",
		"Set a size that the storage can have: the request is taken back",
	},
	{
		diagnose.ReasonReduceRefused, "An expansion that is not carried out cannot be taken back on this API server",
		"Upgrade Kubernetes, or restore the size",
	},
	{
		diagnose.ReasonNeverShrinks, "The profile has a smaller size than the claim",
		"Restore the size; an expansion that is not carried out can be taken back to more than the claim has",
	},
	{
		diagnose.ReasonClaimLost, "The claim's volume is gone, or belongs to another claim",
		"Create its PersistentVolume again, or delete the claim and begin with a backup",
	},
	{
		diagnose.ReasonSelectedNodeGone, "The claim's volume is to be created for a node that is gone",
		"Run the command that is shown: the scheduler chooses another node",
	},
	{diagnose.ReasonSourceMissing, "The claim's dataSource does not exist", "Create it, or change claim.dataSource"},
	{diagnose.ReasonSourceNotReady, "The claim's dataSource is not ready", "See why: the message has the command"},
	{
		diagnose.ReasonSourceUnfit, "The claim's dataSource needs a larger claim, or another driver",
		"Change claim.size or the class, and delete the claim, which holds no data yet",
	},
	{
		diagnose.ReasonSourceDiffers, "The claim exists, so that the profile's dataSource is not restored",
		"Give the profile another claim.name, or remove claim.dataSource",
	},
	{
		diagnose.ReasonSourceIgnored, "Nothing of the claim's dataSource was copied into its volume",
		"Restore it under another claim.name, by a class whose CSI driver can copy",
	},
	{diagnose.ReasonClaimMissing, "Pods wait for a claim that is not there", "Create it, or let the profile create it"},
	{
		diagnose.ReasonClaimDeleting, "The claim is being deleted, and new pods wait",
		"Delete its pods; then it is created again",
	},
	{
		diagnose.ReasonClaimDiffers, "The claim differs from the profile",
		"Align profile and claim, or use another claim.name",
	},
	{diagnose.ReasonClassMissing, "The StorageClass does not exist", "Create it, or let the profile create it"},
	{diagnose.ReasonClassDiffers, "The StorageClass differs from the profile", "Use another class, or align the two"},
	{diagnose.ReasonDriverMissing, "The CSI driver is not installed", "Install it, or use another backend"},
	{diagnose.ReasonVolumeMissing, "The volume does not exist", "Restore or create it"},
	{diagnose.ReasonVolumeTaken, "The volume belongs to another claim", "Name another volume, or delete that claim"},
	{
		diagnose.ReasonVolumeReleased, "A Released volume has the data and waits for an administrator's consent",
		"Run the command that is shown",
	},
	{
		diagnose.ReasonVolumesAmbiguous, "Several Released volumes have data for one claim",
		"Remove the label from those that are not meant",
	},
	{diagnose.ReasonVolumeDiffers, "The volume does not fit the claim or the profile", "Align them"},
	{diagnose.ReasonVolumeFailed, "The volume failed", "See what its driver reports"},
	{
		diagnose.ReasonWrongZone, "The pod cannot run where its volume is: another zone, another node",
		"Let the pod run there, or add a node there",
	},
	{diagnose.ReasonNotScheduled, "The claim waits for a pod that fits no node", "See why it is not scheduled"},
	{diagnose.ReasonNotProvisioned, "The driver has created no volume yet", "See what the driver reports"},
	{diagnose.ReasonPending, "The claim waits for a reason that is not found here", "See its events"},
	{
		diagnose.ReasonSharedByNodes, "Pods on several nodes want a volume that one node at a time can have",
		"Use a shared backend, or keep the pods on one node with colocate: true",
	},
	{
		string(inject.ProblemReadOnlyVolume),
		"A container cannot write to what the profile mounts writable: the pod's own volume has readOnly: true",
		"Remove readOnly from the volume and set it on the mounts that only read, or annotate the pod with read-only",
	},
	{
		string(inject.ProblemSeveralVolumes),
		"Containers mount one claim by several volumes of the pod, which never starts before Kubernetes 1.35",
		"Mount one volume wherever the claim is needed",
	},
	{
		string(inject.ProblemNoIDMap),
		"The pod has hostUsers: false, and the file system of the backend has no idmapped mounts",
		"Remove hostUsers: false, or use a backend that has them",
	},
	{
		string(inject.ProblemSELinuxLabels), "Containers of one pod mount the claim with different SELinux labels",
		"Give the containers the same seLinuxOptions, or exclude one of them",
	},
	{
		diagnose.ReasonSELinuxLabels, "Pods with different SELinux labels want one volume on one node",
		"Give the pods the same seLinuxOptions, or set seLinuxChangePolicy: Recursive in the profile",
	},
}

// problem makes a problem of a finding. Next comes from the table where the finding has none.
// About are KIND/NAME of the objects that it concerns.
func problem(f diagnose.Finding, about ...string) Problem {
	next := f.Next
	if next == "" {
		if i := slices.IndexFunc(Reasons, func(r Reason) bool { return r.Name == f.Reason }); i >= 0 {
			next = Reasons[i].Next
		}
	}
	return Problem{Reason: f.Reason, About: about, Message: sentence(f.What()), Next: next}
}

// found makes a problem of what is wrong and what to do. It is for reasons of this package, whose
// advice has the names of the objects.
func found(reason, message, next string, about ...string) Problem {
	return Problem{Reason: reason, About: about, Message: sentence(message), Next: next}
}

// sentence writes a message on one line. Messages of the API server and of drivers may have line
// breaks, which would break the tables.
func sentence(text string) string { return strings.Join(strings.Fields(text), " ") }
