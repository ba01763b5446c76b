package storage

import (
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

// parse reads a file, without defaults.
func parse(data []byte) (*Config, *strictyaml.Document, error) {
	c := &Config{}
	document, err := strictyaml.Read(data, ConfigKind, c)
	switch {
	case errors.Is(err, strictyaml.ErrEmpty):
		return nil, nil, fmt.Errorf("%w: it needs at least apiVersion, kind and one profile", err)
	case errors.Is(err, errVariableNames) && document != nil:
		return nil, nil, variableNamesError(document)
	case err != nil:
		return nil, nil, sizeError(document, err)
	}
	return c, document, nil
}

// sizeError finds the size that is not a quantity: the error of a quantity has no place.
func sizeError(document *strictyaml.Document, err error) error {
	if document == nil {
		return err
	}
	for i := 0; ; i++ {
		profile := fmt.Sprintf("profiles[%d]", i)
		if _, _, found := document.Value(profile); !found {
			return err
		}
		size, line, found := document.Value(profile + ".claim.size")
		if _, malformed := resource.ParseQuantity(size); found && malformed != nil {
			return fmt.Errorf("line %d: %s.claim.size: %q is not a quantity such as 100Gi", line, profile, size)
		}
	}
}

// withLines joins problems, each with the line of its field.
func withLines(document *strictyaml.Document, list field.ErrorList) error {
	problems := make([]error, len(list))
	for i, err := range list {
		problems[i] = fmt.Errorf("line %d: %w", document.Line(err.Field), err)
	}
	return errors.Join(problems...)
}
