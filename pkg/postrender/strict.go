package postrender

import (
	"errors"
	"slices"
	"strings"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
)

// remedies end the warnings about selected pods that get no storage, where the message alone does not
// name what to do.
var remedies = map[inject.Reason]string{
	inject.ReasonWindows: ": remove its label, or select other pods",
	inject.ReasonExcluded: ": correct containers and excludeContainers of the profile, or the annotations of " +
		"these names, or remove the label",
}

// isAccepted reports whether a pod without storage is no failure even where the run is strict: the
// webhook mounts the claim, or the user left hooks out.
func (r *run) isAccepted(reason inject.Reason) bool {
	return reason == inject.ReasonLabelled || reason == inject.ReasonHookNotInjected && r.Hooks == HooksNone
}

// refuseUnserved returns, for [Renderer.Strict], a line for everything that requests storage and gets
// none. A selection of the user's own requests storage as well: it is refused when it selects nothing.
func (p *injection) refuseUnserved() error {
	if !p.Strict {
		return nil
	}
	var problems []string
	for i := range p.report.Workloads {
		w := &p.report.Workloads[i]
		for _, why := range w.unserved {
			problems = append(problems, w.Title()+": "+why)
		}
	}
	if len(problems) == 0 && p.selectsByFlags() && !p.report.Matched() {
		problems = append(problems, p.nothingMatched())
	}
	if len(problems) == 0 {
		return nil
	}
	p.report.isStrict = true
	problems = append(slices.Compact(problems), "--strict refuses this; without it these are warnings")
	return errors.New(strings.Join(problems, "\n"))
}

// selectsByFlags reports whether the user selects in another way than by the opt-in label alone.
func (p *injection) selectsByFlags() bool {
	return len(p.Kinds) > 0 || len(p.Names) > 0 || !p.selectsByLabel()
}
