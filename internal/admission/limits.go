package admission

// MaxBody is the largest body in bytes that is read. TestLargestReview measures reviews of the
// largest pods that a real API server creates: the largest within the limits below has 4.5 MiB,
// though etcd takes 1.5 MiB. JSON is longer than what is stored, and a review has the managedFields
// that the API server drops from a pod that is too large with them. Text that JSON escapes makes 9
// MiB of 1.5 MiB, and such pods are refused. docs/benchmarks.md has the figures.
const MaxBody = 5 << 20

// counted is something of which a pod may have only so many.
type counted int

const (
	containers counted = iota
	volumes
	mounts
	devices
	variables
	labelBytes
	annotationBytes
	schedulingBytes
	lastCounted
)

// limits are what a pod may have. Each keeps the memory that a review takes in proportion to its
// bytes, and none is in the way of a pod that a node can run: the API server stores pods of 1.5
// MiB, and Linux starts a process with 2 MiB of variables.
var limits = [lastCounted]struct {
	max  int
	what string
}{
	containers: {1000, "containers"},
	volumes:    {1000, "volumes"},
	mounts:     {10_000, "volume mounts"},
	devices:    {1000, "volume devices"},
	variables:  {20_000, "environment variables"},
	labelBytes: {256 << 10, "bytes of labels"},
	// Source: Kubernetes, apimachinery/pkg/api/validation TotalAnnotationSizeLimitB. Mutating
	// webhooks see what it refuses.
	annotationBytes: {256 << 10, "bytes of annotations"},
	schedulingBytes: {64 << 10, "bytes of affinity, topology spread constraints and ports"},
}

// Bounds of what is answered, logged and kept.
const (
	// maxUID is the longest UID in bytes that an answer repeats. A UUID has 36.
	maxUID = 256
	// maxName is the longest name in bytes that a sentence repeats.
	// Source: Kubernetes, IsDNS1123Subdomain.
	maxName = 253
	// maxMessage is the longest sentence of an answer in bytes, and maxLogged of a log line.
	maxMessage = 4 << 10
	maxLogged  = 1 << 10
	// maxWarning is the longest warning in bytes, and maxWarnings how many bytes all have together.
	// Past 4096 characters, those of all webhooks and its own together, an API server cuts each
	// warning at 256 characters and drops the last ones.
	// Source: Kubernetes, apiserver/pkg/endpoints/filters/warning.go.
	maxWarning  = 1 << 10
	maxWarnings = 3 << 10
)
