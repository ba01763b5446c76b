package postrender_test

import (
	"fmt"
	"log"
	"strings"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart/loader"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/pkg/postrender"
)

// A program that embeds Helm sets the renderer as the PostRenderer of an installation or an upgrade.
func ExampleRenderer_helm() {
	chart, err := loader.Load("../../examples/training-job")
	if err != nil {
		log.Fatal(err)
	}

	install := action.NewInstall(new(action.Configuration))
	install.ReleaseName = "run-7"
	install.Namespace = "research"
	install.DryRun, install.ClientOnly = true, true // this example has no cluster
	install.PostRenderer = &postrender.Renderer{
		Config:  storage.Default(),
		Release: storage.Release{Name: install.ReleaseName, Namespace: install.Namespace},
	}

	release, err := install.Run(chart, nil)
	if err != nil {
		log.Fatal(err)
	}
	for line := range strings.Lines(release.Manifest) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "kind: ") || strings.HasPrefix(line, "claimName: ") {
			fmt.Println(line)
		}
	}
	// Output:
	// kind: StorageClass
	// kind: PersistentVolumeClaim
	// kind: Job
	// claimName: pvc-data-pipeline.run-7
}
