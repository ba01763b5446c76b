package overlap

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// disjoint reports whether no labels can satisfy both selectors. It compares one key at a time,
// which is exact: labels may have any value for each key. A selector that cannot be parsed counts
// as one that selects everything. A nil selector restricts nothing.
//
// Two selectors that both match some labels are an overlap even when no pod has these labels today.
func disjoint(a, b *metav1.LabelSelector) bool {
	limits := map[string]*limit{}
	for _, selector := range []*metav1.LabelSelector{a, b} {
		if selector == nil {
			continue
		}
		s, err := metav1.LabelSelectorAsSelector(selector)
		if err != nil {
			continue
		}
		requirements, _ := s.Requirements()
		for _, r := range requirements {
			l := limits[r.Key()]
			if l == nil {
				l = &limit{}
				limits[r.Key()] = l
			}
			l.add(r)
		}
	}
	for _, l := range limits {
		if l.impossible() {
			return true
		}
	}
	return false
}

// limit is what several requirements allow for the values of one label.
type limit struct {
	present, absent bool
	restricted      bool     // to values
	values          []string // allowed
	without         []string // forbidden
}

// add restricts the limit by one more requirement. In and Equals need the label; NotIn and
// NotEquals also match an object without it.
// Source: Kubernetes, apimachinery, labels.Requirement.Matches.
func (l *limit) add(r labels.Requirement) {
	values := r.ValuesUnsorted()
	switch r.Operator() {
	case selection.In, selection.Equals, selection.DoubleEquals:
		l.present = true
		if l.restricted {
			l.values = slices.DeleteFunc(l.values, func(v string) bool { return !slices.Contains(values, v) })
		} else {
			l.restricted, l.values = true, values
		}
	case selection.NotIn, selection.NotEquals:
		l.without = append(l.without, values...)
	case selection.Exists:
		l.present = true
	case selection.DoesNotExist:
		l.absent = true
	default: // a LabelSelector has no others
	}
}

// impossible reports whether no object can meet the limit: the label must be present and absent, or
// every allowed value is forbidden.
func (l *limit) impossible() bool {
	if l.present && l.absent {
		return true
	}
	return l.restricted && !slices.ContainsFunc(l.values, func(v string) bool { return !slices.Contains(l.without, v) })
}
