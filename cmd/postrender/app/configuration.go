package app

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// override is one field of the configuration that a flag sets. Overrides are applied in the order
// of the table of flags, not of the command line.
type override struct {
	field fieldFlag
	// values are the texts of the flag in the order of the command line, at least one. How several
	// are combined is up to the field.
	values []string
}

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

// override applies the flags to a configuration. All but --profile speak of one profile. It
// refuses a field flag for a file with several profiles: no flag chooses among them.
func (o *Options) override(c *storage.Config) error {
	if len(o.Profiles) > 0 {
		if err := c.SetDefaultProfiles(o.Profiles...); err != nil {
			return fmt.Errorf("--profile: %w", err)
		}
	}
	if len(o.overrides) == 0 {
		return nil
	}
	if len(c.Profiles) != 1 {
		return fmt.Errorf("--%s sets a field of the one profile, but the file has %d: set it there",
			o.overrides[0].field.name, len(c.Profiles))
	}
	for _, over := range o.overrides {
		if err := over.field.apply(&c.Profiles[0], over.values); err != nil {
			return fmt.Errorf("--%s: %w", over.field.name, err)
		}
	}
	return nil
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
	for _, over := range o.overrides {
		sentences = append(sentences, fmt.Sprintf("--%s=%s sets %s", over.field.name,
			strings.Join(over.values, ","), over.field.path))
	}
	return sentences
}

// inFlags speaks of flags where a problem speaks of fields. Without a file there is no
// profiles[0] that people could look up. The error keeps its text otherwise, but is no longer of
// its type.
func inFlags(err error) error {
	if err == nil {
		return nil
	}
	text := strings.ReplaceAll(err.Error(), "profiles[0].volume:", "--volume-handle:")
	for _, f := range fieldFlags {
		text = strings.ReplaceAll(text, "profiles[0]."+f.path+":", "--"+f.name+":")
		text = strings.ReplaceAll(text, "profiles[0]."+f.path+"[", "--"+f.name+"[")
	}
	return errors.New(text)
}
