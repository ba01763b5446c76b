package admission

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/pipeline-storage/pipeline-storage/internal/injecttest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
)

// otherReasons are the reasons of pkg/inject that an admission never has: those of rendered objects
// and of [inject.Remove].
var otherReasons = []inject.Reason{
	inject.ReasonUnsupportedKind, inject.ReasonPodInConfigMap, inject.ReasonPodAsText, inject.ReasonNoPods,
	inject.ReasonLabelled, inject.ReasonHookNotInjected, inject.ReasonRemoved, inject.ReasonRetained,
	inject.ReasonNothingToRemove,
}

// TestEveryReasonHasACounter finds the reasons in the source, so that a new one cannot be forgotten.
func TestEveryReasonHasACounter(t *testing.T) {
	for name, reason := range injecttest.Constants(t, "../../pkg/inject", "Reason") {
		_, isCounted := counters[reason]
		isOther := slices.Contains(otherReasons, inject.Reason(reason))
		assert.NotEqual(t, isCounted, isOther, "inject.%s needs a counter: add it to countedReasons in "+
			"metrics.go, or to otherReasons here, where no admission has it", name)
	}
	for name, reason := range injecttest.Constants(t, ".", "reason") {
		_, isCounted := counters[reason]
		assert.True(t, isCounted, "%s needs a counter: add it to countedReasons in metrics.go", name)
	}
}

// TestCountsAReasonWithoutACounter holds that a reason which is forgotten all the same is no panic.
func TestCountsAReasonWithoutACounter(t *testing.T) {
	assert.NotPanics(t, func() { observe(&answer{reason: inject.ReasonUnsupportedKind}, 0) })
}
