package kinds

import (
	"slices"
	"strings"
)

// Table is a table that can be searched.
type Table struct {
	byName map[groupKind]*Kind
}

// groupKind is the key of a row. Versions share a row: their pods are at the same paths.
type groupKind struct{ group, kind string }

// NewTable returns the built-in table with further rows, which win.
func NewTable(rows []Kind) Table {
	k := Table{byName: make(map[groupKind]*Kind, len(builtinKinds)+len(rows))}
	for i := range builtinKinds {
		k.add(&builtinKinds[i])
	}
	for i := range rows {
		row := rows[i].expand()
		row.rows = parseOnce(func() []PodPaths { return row.Pods })
		if builtin, ok := k.byName[groupKind{row.Group, row.Kind}]; ok {
			row.Controller = builtin.Controller // it remains the kind's, whatever paths the row has
		}
		k.add(&row)
	}
	return k
}

func (k Table) add(row *Kind) { k.byName[groupKind{row.Group, row.Kind}] = row }

// expand writes out the short form of a pod template.
func (k Kind) expand() Kind {
	pods := make([]PodPaths, len(k.Pods))
	for i, p := range k.Pods {
		if p.PodTemplate != "" {
			t := template(p.PodTemplate)
			p.Scope, p.Metadata, p.Spec = t.Scope, t.Metadata, t.Spec
			p.SecurityContext, p.Affinity, p.Volumes, p.Containers = t.SecurityContext, t.Affinity, t.Volumes, t.Containers
		}
		pods[i] = p
	}
	k.Pods = pods
	return k
}

// podRows returns where the pods are.
func (k *Kind) podRows() []podRow {
	if k.rows == nil {
		return nil
	}
	return k.rows()
}

// listSuffix ends the kind of a typed list, such as DeploymentList.
const listSuffix = "List"

// Lookup returns the row of a group and kind. A typed list gets a row that wraps its items.
func (k Table) Lookup(group, kind string) (Kind, bool) {
	if row, ok := k.byName[groupKind{group, kind}]; ok {
		return *row, true
	}
	item, isList := strings.CutSuffix(kind, listSuffix)
	if _, ok := k.byName[groupKind{group, item}]; !isList || !ok {
		return Kind{}, false
	}
	return Kind{Group: group, Kind: kind, Objects: []string{"items[*]"}}, true
}

// Groups returns the API groups whose rows have a kind of this name, sorted. The core group, "", is not
// among them.
func (k Table) Groups(kind string) []string {
	var groups []string
	for name := range k.byName {
		if name.kind == kind && name.group != "" {
			groups = append(groups, name.group)
		}
	}
	slices.Sort(groups)
	return groups
}

// Names returns every kind of the table, whatever its group: enough to decide, before a document is
// parsed, whether it may hold a pod. Kinds that end in List may too.
func (k Table) Names() map[string]bool {
	names := make(map[string]bool, len(k.byName))
	for name := range k.byName {
		names[name.kind] = true
		names[name.kind+listSuffix] = true
	}
	return names
}
