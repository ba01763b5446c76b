package app

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"helm.sh/helm/v3/pkg/strvals"

	"github.com/pipeline-storage/pipeline-storage/internal/cli"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// setFlag is a flag that is short for --set of one field. The table of these flags is the only
// place that names them: help, parsing and messages come from it.
type setFlag struct {
	// name is the flag without its dashes. It is unique in the table.
	name string
	// path is the field of the profile.
	path string
	// also are further fields that the flag sets, in the form of --set; empty: none.
	also string
	// value is the name of the value in the help.
	value string
	// usage is one line of the help, with the default in parentheses at its end.
	usage string
	// isBool flags need no value; the values of isList flags are a list, with commas or repeated.
	isBool, isList bool
}

// setFlags is the table of flags that set a field of the profile: those that most people need.
// --set has the others. They are applied in this order, and --set comes last.
var setFlags = []setFlag{
	{
		name: "backend", path: "storageClass.backend", value: "NAME",
		usage: "where volumes come from (default aws-ebs): docs/backends.md",
	},
	{name: "size", path: "claim.size", value: "QUANTITY", usage: "size of the claim (default 100Gi)"},
	{
		name: "access-mode", path: "claim.accessModes", value: "MODE", isList: true,
		usage: "access mode of the claim; repeatable (default ReadWriteOnce)",
	},
	{name: "claim", path: "claim.name", value: "NAME", usage: "name of the claim (default pvc-data-pipeline.<release>)"},
	{
		name: "existing-claim", path: "claim.name", also: "claim.create=false,storageClass.create=false", value: "NAME",
		usage: "mount a claim that exists, and create nothing",
	},
	{
		name: "storage-class", path: "storageClass.name", also: "storageClass.create=false", value: "NAME",
		usage: "StorageClass that exists, instead of a new one; " + storage.ClusterDefault + " is the cluster's own",
	},
	{
		name: "volume-handle", path: "volume.handle", value: "HANDLE",
		usage: "volume that exists, as its driver names it, instead of a new one",
	},
	{name: "mount-path", path: "mount.path", value: "PATH", usage: "mount path in the containers (default /data)"},
	{
		name: "sub-path", path: "mount.subPath", value: "PATH",
		usage: "directory of the volume to mount (default: its root)",
	},
	{name: "read-only", path: "mount.readOnly", value: "BOOL", usage: "mount read-only", isBool: true},
}

// fieldFlagsOf defines the flags of the table, and --set. Every value is text until it is applied,
// so that one table serves all.
func (o *Options) fieldFlagsOf(fs *pflag.FlagSet) {
	for _, f := range setFlags {
		values := &[]string{}
		o.values[f.name] = values
		fs.StringArrayVar(values, f.name, nil, f.usage)
		flag := fs.Lookup(f.name)
		flag.Value, flag.DefValue = cli.NamedValue{Value: flag.Value, Name: f.value}, ""
		if f.isBool {
			flag.NoOptDefVal = "true"
		}
	}
	fs.StringArrayVar(&o.Set, "set", nil, "any field of the profile, as Helm's --set: mount.containers={a,b}; repeatable")
	flag := fs.Lookup("set")
	flag.Value, flag.DefValue = cli.NamedValue{Value: flag.Value, Name: "PATH=VALUE"}, ""
}

// fields returns what the flags set of the profile, as a tree of texts by the names of fields.
func (o *Options) fields() (map[string]any, error) {
	tree := map[string]any{}
	for _, f := range o.fieldFlags {
		if err := strvals.ParseIntoString(f.also, tree); err != nil {
			return nil, fmt.Errorf("--%s: %w", f.name, err)
		}
		put(tree, f.path, f.tree(*o.values[f.name]))
	}
	for _, text := range o.Set {
		if err := strvals.ParseIntoString(placeholders.Replace(text), tree); err != nil {
			return nil, fmt.Errorf("--set %s: %w", text, err)
		}
	}
	return tree, nil
}

// placeholders retains a placeholder at the beginning of a value, which would be a list: {namespace}.
var placeholders = strings.NewReplacer(
	"={namespace}", `=\{namespace}`, "={release}", `=\{release}`, "={pod.", `=\{pod.`,
)

// tree is the value of a flag that was set to texts, of which there is one at least. Of those that
// are no list the last one counts, as is usual for commands.
func (f setFlag) tree(texts []string) any {
	if !f.isList {
		return texts[len(texts)-1]
	}
	list := []any{}
	for _, text := range texts {
		for part := range strings.SplitSeq(text, ",") {
			list = append(list, strings.TrimSpace(part))
		}
	}
	return list
}

// put sets the value of a path such as claim.size in a tree.
func put(tree map[string]any, path string, value any) {
	parent, rest, isNested := strings.Cut(path, ".")
	if !isNested {
		tree[path] = value
		return
	}
	child, ok := tree[parent].(map[string]any)
	if !ok {
		child = map[string]any{}
		tree[parent] = child
	}
	put(child, rest, value)
}

// merge sets the fields of a profile that are in a tree of texts. An error names the flag.
func merge(p *storage.Profile, tree map[string]any) error {
	text, err := json.Marshal(typed(tree, reflect.TypeFor[storage.Profile]()))
	if err != nil {
		return fmt.Errorf("--set: %w", err)
	}
	return inFlags(p.Merge(text))
}

// typed gives the texts of a tree the types that their fields have. A text that does not have the
// form of its type stays a text: the reader of the configuration refuses it by its rules.
func typed(value any, t reflect.Type) any {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
		return value
	}
	switch v := value.(type) {
	case map[string]any:
		for key, child := range v {
			if of := fieldType(t, key); of != nil {
				v[key] = typed(child, of)
			}
		}
	case []any:
		for i := range v {
			if t.Kind() == reflect.Slice {
				v[i] = typed(v[i], t.Elem())
			}
		}
	case string:
		return typedText(v, t)
	}
	return value
}

// typedText is a text in the type of its field. One text for a list is a list of one.
func typedText(text string, t reflect.Type) any {
	switch t.Kind() {
	case reflect.Bool:
		if b, err := strconv.ParseBool(text); err == nil {
			return b
		}
	case reflect.Int64:
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n
		}
	case reflect.Slice:
		return []any{typedText(text, t.Elem())}
	default: // every other field is text
	}
	return text
}

// fieldType is the type of a struct's field by its name in files, or that of a map's entries. It is
// nil where there is no such field.
func fieldType(t reflect.Type, name string) reflect.Type {
	switch t.Kind() {
	case reflect.Map:
		return t.Elem()
	case reflect.Struct:
		for field := range t.Fields() {
			if fieldName(field) == name {
				return field.Type
			}
		}
	default: // it has no fields
	}
	return nil
}

func fieldName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

// setPaths are the paths that --set takes, for the completion of shells. Those of maps and of lists
// end there.
func setPaths() []string {
	var all []string
	var add func(t reflect.Type, prefix string)
	add = func(t reflect.Type, prefix string) {
		for field := range t.Fields() {
			if fieldName(field) == "" {
				continue // it is a part of a type of Kubernetes
			}
			of, path := field.Type, prefix+fieldName(field)
			if of.Kind() == reflect.Pointer {
				of = of.Elem()
			}
			if of.Kind() == reflect.Struct && !reflect.PointerTo(of).Implements(reflect.TypeFor[json.Unmarshaler]()) {
				add(of, path+".")
				continue
			}
			all = append(all, path+"=")
		}
	}
	add(reflect.TypeFor[storage.Profile](), "")
	slices.Sort(all)
	return all
}
