package diagnose

// Reasons of Events. Each problem has its own: the API's client counts Events of one object, reason
// and action as one series and drops the note of a later one.
const (
	ReasonCreated          = "StorageCreated"
	ReasonExpanding        = "ClaimExpanding"
	ReasonProfileUnknown   = "ProfileUnknown"
	ReasonProfileRefused   = "ProfileRefused"
	ReasonCreateRefused    = "StorageNotCreated"
	ReasonExpandRefused    = "ClaimNotExpanded"
	ReasonNeverShrinks     = "ClaimNeverShrinks"
	ReasonClaimMissing     = "ClaimMissing"
	ReasonClaimDeleting    = "ClaimBeingDeleted"
	ReasonClaimDiffers     = "ClaimDiffers"
	ReasonClassMissing     = "StorageClassMissing"
	ReasonClassDiffers     = "StorageClassDiffers"
	ReasonVolumeMissing    = "VolumeMissing"
	ReasonVolumeTaken      = "VolumeTaken"
	ReasonVolumeReleased   = "VolumeReleased"
	ReasonVolumeDiffers    = "VolumeDiffers"
	ReasonVolumeWritable   = "VolumeWritable"
	ReasonRebound          = "VolumeRebound"
	ReasonVolumesAmbiguous = "VolumesAmbiguous"
	ReasonVolumeFailed     = "VolumeFailed"
	ReasonNotScheduled     = "PodNotScheduled"
	ReasonNotProvisioned   = "VolumeNotProvisioned"
	ReasonDriverMissing    = "DriverMissing"
	ReasonWrongZone        = "WrongZone"
	ReasonPending          = "ClaimPending"
	ReasonSharedByNodes    = "ClaimSharedByNodes"
	ReasonOverlap          = "InstallationsOverlap"
	ReasonSELinuxLabels    = "SELinuxLabelConflict"
)

// Reasons of expansions that are not carried out, of claims that nodes or volumes have left, and of
// the data that a claim begins with.
const (
	ReasonReduced          = "ClaimRequestReduced"
	ReasonReduceRefused    = "ClaimRequestNotReduced"
	ReasonExpandInfeasible = "ExpansionInfeasible"
	ReasonClaimLost        = "ClaimLost"
	ReasonSelectedNodeGone = "SelectedNodeGone"
	ReasonSourceMissing    = "DataSourceMissing"
	ReasonSourceNotReady   = "DataSourceNotReady"
	ReasonSourceUnfit      = "DataSourceUnfit"
	ReasonSourceDiffers    = "DataSourceDiffers"
	ReasonSourceIgnored    = "DataSourceIgnored"
)
