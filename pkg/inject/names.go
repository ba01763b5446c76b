package inject

import (
	"fmt"
	"slices"
	"strings"
)

// MaxNames is how many names one annotation may list. The author of a pod writes these lists, and no pod has that many
// containers or profiles.
const MaxNames = 1000

// linearSearchLimit is how many items are searched one by one. A usual pod has fewer, and a map costs more than all its
// comparisons.
const linearSearchLimit = 16

// nameSet is an ordered set of names. Its cost is linear in their number.
type nameSet struct {
	list []string
	// index has the names once there are more than linearSearchLimit.
	index map[string]struct{}
}

// newNameSet returns the set of a list without repeated names.
func newNameSet(list []string) nameSet {
	var s nameSet
	for _, name := range list {
		s.add(name)
	}
	return s
}

func (s *nameSet) has(name string) bool {
	if s.index == nil {
		return slices.Contains(s.list, name)
	}
	_, ok := s.index[name]
	return ok
}

// add adds a name and reports whether it is new.
func (s *nameSet) add(name string) bool {
	if s.has(name) {
		return false
	}
	s.list = append(s.list, name)
	switch {
	case s.index != nil:
		s.index[name] = struct{}{}
	case len(s.list) > linearSearchLimit:
		s.index = make(map[string]struct{}, 2*len(s.list))
		for _, name := range s.list {
			s.index[name] = struct{}{}
		}
	}
	return true
}

// splitNames splits a comma-separated list and drops blank and repeated names. It refuses more than [MaxNames] names.
func splitNames(list string) ([]string, error) {
	if list == "" {
		return nil, nil
	}
	var names nameSet
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name != "" && names.add(name) && len(names.list) > MaxNames {
			return nil, fmt.Errorf("lists more than %d names", MaxNames)
		}
	}
	return names.list, nil
}
