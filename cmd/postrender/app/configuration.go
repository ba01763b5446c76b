package app

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// Config makes the configuration from the file, if there is one, and the flags. File is the
// content of the configuration file; it is ignored without --config. The configuration has its
// defaults set and is valid. The strings are warnings about it. An error names the flag or the
// line that caused it, and joins several problems by line breaks.
func (o *Options) Config(file []byte) (*storage.Config, []string, error) {
	if o.ConfigFile == "" {
		c, warnings, err := storage.New(o.override)
		return c, warnings, inFlags(err)
	}
	c, warnings, err := storage.Load(file, o.override)
	if err != nil {
		return nil, nil, fmt.Errorf("--config %s: %w", o.ConfigFile, err)
	}
	return c, warnings, nil
}

// override applies the flags to a configuration. All but --profile set fields of one profile. It
// refuses those for a file with several profiles: no flag chooses among them.
func (o *Options) override(c *storage.Config) error {
	if len(o.Profiles) > 0 {
		if err := c.SetDefaultProfiles(o.Profiles...); err != nil {
			return fmt.Errorf("--profile: %w", err)
		}
	}
	tree, err := o.fields()
	if err != nil || len(tree) == 0 {
		return err
	}
	if len(c.Profiles) != 1 {
		return fmt.Errorf("--%s sets a field of the one profile, but the file has %d: set it there",
			o.firstField(), len(c.Profiles))
	}
	return merge(&c.Profiles[0], tree)
}

// firstField is the name of a flag that sets a field.
func (o *Options) firstField() string {
	if len(o.fieldFlags) > 0 {
		return o.fieldFlags[0].name
	}
	return "set"
}

// Overrides returns a sentence for every flag that changed a field of the configuration file. It
// is nil without a file: flags alone override nothing.
func (o *Options) Overrides() []string {
	if o.ConfigFile == "" {
		return nil
	}
	return o.overrideSentences()
}

// overrideSentences returns a sentence for every flag that sets a field. A ResourceList has its
// configuration in the list, so its caller needs them without --config, too.
func (o *Options) overrideSentences() []string {
	var sentences []string
	if len(o.Profiles) > 0 {
		sentences = append(sentences, fmt.Sprintf("--profile=%s sets default", strings.Join(o.Profiles, ",")))
	}
	for _, f := range o.fieldFlags {
		sentences = append(sentences,
			fmt.Sprintf("--%s=%s sets %s", f.name, strings.Join(*o.values[f.name], ","), f.path))
	}
	for _, text := range o.Set {
		sentences = append(sentences, fmt.Sprintf("--set %s overrides the configuration", text))
	}
	return sentences
}

var (
	// fieldPath is a field of the profile at the beginning of a problem, or behind profiles[0]. In
	// front of it may be a line, which is that of no file.
	fieldPath = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?m)(?:profiles\[0\]\.|^(?:line \d+: )?)([a-zA-Z.]+)([:\[])`)
	})
	// ownLine is a line of what the flags have become.
	ownLine = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?m)^line \d+: `)
	})
)

// inFlags names flags where a problem names fields. Without a file there is no profiles[0] that
// people could look up. The error retains its text otherwise, but is no longer of its type.
func inFlags(err error) error {
	if err == nil {
		return nil
	}
	text := fieldPath().ReplaceAllStringFunc(err.Error(), func(found string) string {
		match := fieldPath().FindStringSubmatch(found)
		return flagOf(match[1]) + match[2]
	})
	return errors.New(ownLine().ReplaceAllString(text, "--set: "))
}

// flagOf is the flag that sets a field.
func flagOf(path string) string {
	if path == "volume" {
		path = "volume.handle"
	}
	name := "set " + path
	for _, f := range setFlags {
		if f.path == path && (f.also == "" || strings.HasPrefix(name, "set ")) {
			name = f.name
		}
	}
	return "--" + name
}
