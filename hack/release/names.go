package main

import (
	"strings"

	"github.com/pipeline-storage/pipeline-storage/plugin"
)

const (
	name       = "pipeline-storage"
	repository = "https://github.com/pipeline-storage/pipeline-storage"
	// krewManifest has the name that krew requires of the file.
	krewManifest = name + ".yaml"
	formula      = name + ".rb"
	checksums    = "SHA256SUMS"
	// image is the directory of the image's layout.
	image = "image"
)

// programs are those that people run themselves. The webhook is in the image only.
var programs = []string{"postrender", "kubectl-pipeline_storage"}

// platforms are those of the archives: what krew and Homebrew serve.
func platforms() []plugin.Platform {
	var served []plugin.Platform
	for _, p := range plugin.Platforms {
		if p.OS != "windows" {
			served = append(served, p)
		}
	}
	return served
}

func (r release) archive(p plugin.Platform) string {
	return strings.Join([]string{name, r.version, p.OS, p.Arch}, "-") + ".tar.gz"
}

// helmPlugin is the package of the Helm 4 plugin. Helm installs a file only if its name begins with the plugin's and
// goes on with the version.
// Source: Helm 4, internal/plugin/installer, stripPluginName.
func (r release) helmPlugin() string { return name + "-" + r.version + ".tgz" }

// chart is not named as Helm names it, because that is the name of the plugin's package.
func (r release) chart() string { return name + "-chart-" + r.version + ".tgz" }

func (r release) filesSBOM() string { return name + "-" + r.version + ".spdx.json" }

func (r release) imageSBOM() string { return name + "-image-" + r.version + ".spdx.json" }

// address is where the released files are.
func (r release) address() string { return repository + "/releases/download/v" + r.version }

// archives are the files that hold programs or the chart.
func (r release) archives() []string {
	files := []string{r.helmPlugin(), r.chart()}
	for _, p := range platforms() {
		files = append(files, r.archive(p))
	}
	return files
}

// files are all files that a release uploads, but for the checksums and their signature.
func (r release) files() []string {
	return append(r.archives(), r.filesSBOM(), r.imageSBOM(), krewManifest, formula)
}
