package claims

import (
	"cmp"
	"time"

	"github.com/pipeline-storage/pipeline-storage/internal/selection"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// Defaults of [Options].
const (
	// DefaultPendingAfter gives a driver the time to create a volume: a claim that is bound by then
	// causes no Event.
	DefaultPendingAfter = 30 * time.Second
	// DefaultRecheck is the pause between two reconciliations of a problem that people must solve.
	DefaultRecheck = time.Minute
	// DefaultWorkers is small: most items are in sync and cost no request.
	DefaultWorkers = 2
)

// Options configure the controller. Config and Installation are required, the other fields have
// defaults.
type Options struct {
	// Config returns the configuration in force. It must not return nil.
	Config func() *storage.Config
	// Changed is sent to when Config returns another one: every profile in every namespace is then
	// reconciled. Nil: it never changes.
	Changed <-chan struct{}
	// Installation is the value of [storage.LabelInstallation] on created objects.
	Installation string
	// Selection is where the installation's own selection of namespaces is read. Zero: all are served.
	Selection selection.Source
	// PendingAfter is how long a pod may wait for its claim before an Event reports why. Default:
	// [DefaultPendingAfter].
	PendingAfter time.Duration
	// Recheck is the time between two reconciliations of a problem while pods wait. Default:
	// [DefaultRecheck].
	Recheck time.Duration
	// Workers is how many reconciliations run at once. Default: [DefaultWorkers].
	Workers int
}

// withDefaults returns the options with the default in place of each zero.
func (o Options) withDefaults() Options {
	o.PendingAfter = cmp.Or(o.PendingAfter, DefaultPendingAfter)
	o.Recheck = cmp.Or(o.Recheck, DefaultRecheck)
	o.Workers = cmp.Or(o.Workers, DefaultWorkers)
	return o
}
