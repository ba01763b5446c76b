package storage

import (
	"cmp"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pipeline-storage/pipeline-storage/internal/strictyaml"
)

// Load reads a configuration file, lets the overrides change it, sets its defaults and validates
// it. Unknown and repeated fields are errors. Every problem is returned with its line. The warnings
// are for people.
func Load(data []byte, overrides ...func(*Config) error) (*Config, []string, error) {
	c, document, err := parse(data)
	if err != nil {
		return nil, nil, err
	}
	warnings, problems, err := c.complete(overrides)
	if err != nil {
		return nil, nil, err
	}
	if len(problems) > 0 {
		return nil, nil, withLines(document, problems)
	}
	return c, warnings, nil
}

// LoadForAdmission reads a configuration file as [Load] does. It refuses names that only a release
// could complete, those with {release}, and a volume that has no namespace and is not shared.
func LoadForAdmission(data []byte) (*Config, []string, error) {
	c, document, err := parse(data)
	if err != nil {
		return nil, nil, err
	}
	warnings, problems, err := c.complete(nil)
	if err != nil {
		return nil, nil, err
	}
	if len(problems) == 0 {
		problems = c.validateAdmission()
	}
	if len(problems) > 0 {
		return nil, nil, withLines(document, problems)
	}
	return c, warnings, nil
}

// New returns a configuration without a file: one profile named default, changed by the overrides,
// with its defaults, validated.
func New(overrides ...func(*Config) error) (*Config, []string, error) {
	c := &Config{APIVersion: APIVersion, Kind: ConfigKind, Profiles: []Profile{{Name: DefaultProfile}}}
	warnings, problems, err := c.complete(overrides)
	if err != nil {
		return nil, nil, err
	}
	return c, warnings, problems.ToAggregate()
}

// complete applies the overrides and sets the defaults. It returns the warnings, and every problem
// of the configuration.
func (c *Config) complete(overrides []func(*Config) error) ([]string, field.ErrorList, error) {
	for _, override := range overrides {
		if err := override(c); err != nil {
			return nil, nil, err
		}
	}
	return c.SetDefaults(), c.Validate(), nil
}

// Merge sets fields of the profile from a mapping of them, in YAML or JSON. The fields that it does
// not have stay; a list takes the place of the one before, and the entries of a mapping are added.
// It is for the overrides of [New] and [Load], before defaults are set and anything is validated. An
// error has the line and the path of the field in the mapping.
func (p *Profile) Merge(fields []byte) error {
	document, err := strictyaml.Read(fields, "profile", p)
	if err != nil && document != nil {
		err = cmp.Or(misreadField(document, ""), err)
	}
	return err
}

// parse reads a file, without defaults.
func parse(data []byte) (*Config, *strictyaml.Document, error) {
	c := &Config{}
	document, err := strictyaml.Read(data, ConfigKind, c)
	switch {
	case errors.Is(err, strictyaml.ErrEmpty):
		return nil, nil, fmt.Errorf("%w: it needs at least apiVersion, kind and one profile", err)
	case err != nil && document != nil:
		return nil, nil, cmp.Or(misreadProfile(document), err)
	case err != nil:
		return nil, nil, err
	}
	return c, document, nil
}

// misreadProfile finds the field whose own type refused its text: such an error has no place.
func misreadProfile(document *strictyaml.Document) error {
	for i := 0; ; i++ {
		profile := fmt.Sprintf("profiles[%d]", i)
		if _, _, found := document.Value(profile); !found {
			return nil
		}
		if err := misreadField(document, profile+"."); err != nil {
			return err
		}
	}
}

// misreadField finds such a field of one profile. Its path begins with the prefix.
func misreadField(document *strictyaml.Document, prefix string) error {
	size, line, found := document.Value(prefix + "claim.size")
	if _, err := resource.ParseQuantity(size); found && err != nil {
		return fmt.Errorf("line %d: %sclaim.size: %q is not a quantity such as 100Gi", line, prefix, size)
	}
	return misreadVariables(document, prefix+"env")
}

// withLines joins problems, each with the line of its field.
func withLines(document *strictyaml.Document, list field.ErrorList) error {
	problems := make([]error, len(list))
	for i, err := range list {
		problems[i] = fmt.Errorf("line %d: %w", document.Line(err.Field), err)
	}
	return errors.Join(problems...)
}
