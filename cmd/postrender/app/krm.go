package app

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/pkg/postrender"
)

// function works as a KRM function: standard input is a ResourceList, with the configuration in
// its functionConfig. On failure it writes the list as it came, with the reasons as results, and
// the exit code is not zero: kpt shows these results. Standard error has the reasons, too,
// because kustomize shows nothing else. With --explain or --diff standard output is for people,
// so that a refused list is not written.
func (o *Options) function(s Streams, list *postrender.ResourceList) error {
	renderer, overrides, err := o.functionRenderer(s.Err, list)
	if o.Remove != postrender.RemoveNothing {
		err = errors.New("--remove does not work on a ResourceList: remove the function from the " +
			"kustomization or pipeline, or build the manifests " +
			"without it and pipe them through postrender --remove --namespace NAMESPACE --release RELEASE")
	}
	var out *postrender.Output
	if err != nil {
		out = list.Refuse(err)
	} else {
		out, err = renderer.RenderResourceList(list)
	}
	out.Report.Overrides = overrides
	if reportErr := o.writeReport(&out.Report, s.Out); reportErr != nil {
		return errors.Join(err, reportErr)
	}
	if o.Explain {
		return errors.Join(err, o.explain(s.Out, &out.Report))
	}
	if err == nil {
		o.warn(s.Err, warningsOf(&out.Report))
	} else if o.Diff {
		return err
	}
	return errors.Join(err, o.write(s.Out, out))
}

// functionRenderer makes the renderer from the options and the functionConfig. A flag overrides a
// field of the object. A list without functionConfig is configured by flags and --config alone.
// The name and the namespace of the object are the release, unless flags set them: kustomize has
// no releases.
func (o *Options) functionRenderer(stderr io.Writer,
	list *postrender.ResourceList,
) (*postrender.Renderer, []string, error) {
	if list.Config == nil {
		return o.renderer(stderr)
	}
	switch {
	case o.ConfigFile != "":
		return nil, nil, errors.New("--config: the configuration is the functionConfig of the " +
			"ResourceList already: leave one of them out")
	case list.ConfigKind != storage.ConfigKind:
		return nil, nil, fmt.Errorf("functionConfig: it is a %s: this function is configured by a %s of "+
			"%s, or by flags alone",
			cmp.Or(list.ConfigKind, "thing without a kind"), storage.ConfigKind, storage.APIVersion)
	}
	config, warnings, err := storage.Load(list.Config, o.override)
	if err != nil {
		return nil, nil, inFunctionConfig(err)
	}
	overrides := o.overrideSentences()
	o.warn(stderr, append(warnings, overrides...))
	release := storage.Release{
		Name:      cmp.Or(o.Release, list.Release.Name),
		Namespace: cmp.Or(o.Namespace, list.Release.Namespace),
	}
	return o.newRenderer(config, release), overrides, nil
}

// lineNumber is the place of a problem in a file. The lines of a functionConfig are those of the
// orchestrator, which people do not see. Field paths in a message remain.
var lineNumber = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^line \d+: `)
})

// inFunctionConfig names the functionConfig where a problem names a line. An error may have
// several lines, one for each problem; each line gets the name.
func inFunctionConfig(err error) error {
	lines := strings.Split(err.Error(), "\n")
	for i, line := range lines {
		lines[i] = "functionConfig: " + lineNumber().ReplaceAllString(line, "")
	}
	return errors.New(strings.Join(lines, "\n"))
}
