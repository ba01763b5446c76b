package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"runtime/debug"
	"slices"

	"github.com/spdx/tools-golang/spdx/v2/common"
	"github.com/spdx/tools-golang/spdx/v2/v2_3"
)

const (
	product = "github.com/pipeline-storage/pipeline-storage"
	license = "Apache-2.0"
	unknown = "NOASSERTION"
	author  = "The pipeline-storage authors"
)

// document describes the artifacts and the modules that each contains.
func document(o options, artifacts []artifact) *v2_3.Document {
	d := &v2_3.Document{
		SPDXVersion: v2_3.Version, DataLicense: v2_3.DataLicense, SPDXIdentifier: "DOCUMENT",
		DocumentName: o.name, DocumentNamespace: o.base + "/" + o.name,
		CreationInfo: &v2_3.CreationInfo{
			Created: o.created, Creators: []common.Creator{{CreatorType: "Organization", Creator: author}},
		},
	}
	modules := map[string]*v2_3.Package{}

	for _, a := range artifacts {
		p := a.describe(o)
		d.Packages = append(d.Packages, p)
		d.Relationships = append(d.Relationships, relationship("DOCUMENT", "DESCRIBES", p.PackageSPDXIdentifier))

		for _, key := range slices.Sorted(maps.Keys(a.modules)) {
			modules[key] = describe(a.modules[key], o.version)
			d.Relationships = append(d.Relationships,
				relationship(p.PackageSPDXIdentifier, "CONTAINS", modules[key].PackageSPDXIdentifier))
		}
	}

	for _, key := range slices.Sorted(maps.Keys(modules)) {
		d.Packages = append(d.Packages, modules[key])
	}

	return d
}

func (a artifact) describe(o options) *v2_3.Package {
	p := &v2_3.Package{
		PackageName: a.name, PackageVersion: o.version, PackageFileName: a.name,
		PackageSPDXIdentifier: identifier("Artifact", a.name), PackageDownloadLocation: o.base + "/" + a.name,
		PackageLicenseConcluded: license, PackageLicenseDeclared: license,
		PackageCopyrightText: "Copyright " + author, PrimaryPackagePurpose: "ARCHIVE",
		PackageChecksums: []common.Checksum{{Algorithm: common.SHA256, Value: a.sha256}},
	}

	if a.image {
		p.PackageFileName, p.PackageDownloadLocation, p.PrimaryPackagePurpose = "", unknown, "CONTAINER"
		p.PackageExternalReferences = purl("pkg:oci/pipeline-storage@sha256%3A" + a.sha256)
	}

	return p
}

// describe describes a module. That of this repository has the release's version: the linker writes "(devel)".
func describe(m debug.Module, version string) *v2_3.Package {
	p := &v2_3.Package{
		PackageName: m.Path, PackageVersion: m.Version, PackageSPDXIdentifier: identifier("Module", m.Path+"@"+m.Version),
		PackageDownloadLocation: unknown, PackageLicenseConcluded: unknown, PackageLicenseDeclared: unknown,
		PackageCopyrightText: unknown, PrimaryPackagePurpose: "LIBRARY",
	}

	switch {
	case m.Path == product:
		p.PackageVersion, p.PackageLicenseConcluded, p.PackageLicenseDeclared = "v"+version, license, license
	case m.Sum != "":
		p.PackageSourceInfo = "checksum in go.sum: " + m.Sum
	}

	p.PackageExternalReferences = purl("pkg:golang/" + m.Path + "@" + url.PathEscape(p.PackageVersion))

	return p
}

func purl(locator string) []*v2_3.PackageExternalReference {
	return []*v2_3.PackageExternalReference{{Category: "PACKAGE-MANAGER", RefType: "purl", Locator: locator}}
}

// notInIdentifier matches what an SPDX identifier must not have.
// Source: SPDX 2.3, section 7.2.
var notInIdentifier = regexp.MustCompile(`[^a-zA-Z0-9.-]+`)

// identifier returns the SPDX identifier of a name. Two names that differ only in replaced characters have two.
func identifier(kind, name string) common.ElementID {
	sum := sha256.Sum256([]byte(name))
	plain := notInIdentifier.ReplaceAllString(name, "-")

	return common.ElementID(fmt.Sprintf("%s-%s-%s", kind, plain, hex.EncodeToString(sum[:4])))
}

func relationship(from common.ElementID, kind string, to common.ElementID) *v2_3.Relationship {
	return &v2_3.Relationship{
		RefA: common.MakeDocElementID("", string(from)), Relationship: kind, RefB: common.MakeDocElementID("", string(to)),
	}
}
