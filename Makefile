# Go and make are all that a machine needs. Every other tool of the targets is built once from pinned modules
# (tools/) into the user's cache directory; PIPELINE_STORAGE_CACHE names another one.
MAKEFLAGS += --warn-undefined-variables --no-builtin-rules
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

export CGO_ENABLED := 0
# As releases, so that what tests, programs, parts and the image's builds all need is compiled once. Flags of your own come after it.
export GOFLAGS := -trimpath $(shell go env GOFLAGS)

# The version that the binaries print. A release sets it to the tag without its v.
VERSION ?= 0.1.0
# The commit that is built, and its time, which stands for the time of the build: the same commit gives the same bytes.
REVISION ?= $(shell git rev-parse HEAD)
CREATED ?= $(shell TZ=UTC0 git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd)
# The name of the image in dist/image, and where it is pushed. The tag is the version.
IMAGE ?= ghcr.io/pipeline-storage/pipeline-storage
# Where the chart is pushed, as CHARTS/pipeline-storage.
CHARTS ?= ghcr.io/pipeline-storage/charts
MODULE := github.com/pipeline-storage/pipeline-storage
GO_BUILD := go build -trimpath -ldflags "-s -w -X $(MODULE)/cmd/postrender/app.version=$(VERSION) -X $(MODULE)/cmd/webhook/app.version=$(VERSION) \
	-X $(MODULE)/cmd/kubectl-pipeline_storage/app.version=$(VERSION)"

# Less garbage collection saves a sixth to a quarter of the CPU time of compilers and linkers, and of tests, which run four packages at a
# time and take up to 7 GiB of memory.
LESS_GC := GOGC=300
TEST_GC := GOGC=800
# Builds the named tools, if they are not there yet, and prints "name path seconds" for each.
PARTS := $(LESS_GC) go run ./test/parts/cmd/parts
# Sets the shell's variable $part to the path of a tool. The recipe ends where the tool cannot be built.
PART = part=$$($(PARTS) $(1) | awk '{print $$2}')
# What the tests need, and what those on a real node need in addition.
NODE_PARTS := kubelet containerd containerd-shim-runc-v2 ctr runc bridge host-local loopback local-path-provisioner sh
TEST_PARTS := helm3 helm4 etcd kube-apiserver kube-controller-manager kube-scheduler kubectl kustomize helm-unittest promql image yq kyverno \
	sbom actionlint csi csi-provisioner csi-snapshotter snapshot-controller
# Packages whose tests wait, compute or compile for long. They begin first, and the small ones outside of test/ last, so that nothing
# waits for a single package in the end.
SLOW_TESTS := ./test/webhook ./test/alternatives ./test/image ./test/policy ./test/cost ./test/chart ./test/controllers ./test/samples \
	./test/kinds ./test/helm ./test/status ./test/benchadmission ./test/controlplane ./test/limits
# How long one fuzzer runs.
FUZZTIME ?= 60s
# Where the tests on a real node append their figures: go test ./test/docs -run Disasters -args -figures FILE
# makes the table of docs/reliability.md of them.
FIGURES ?=

.PHONY: help
## Print this help.
## @category Use
help:
	@awk '/^## @category/ {category = substr($$0, 14)} \
		/^## / && !/^## @/ {text = text ? text " " substr($$0, 4) : substr($$0, 4)} \
		/^[a-z][a-z0-9-]*:/ && text {name = $$1; sub(/:.*/, "", name); \
			if (category != shown) {print "\n" category ":"; shown = category} \
			printf "  %-16s %s\n", name, text; text = ""}' $(MAKEFILE_LIST)

.PHONY: demo
## Render an example chart with real Helm and the post-renderer, and show the difference and the report.
demo:
	@$(GO_BUILD) -o bin/ ./cmd/postrender
	@$(call PART,helm3); hack/demo.sh "$$part" bin/postrender

.PHONY: build
## Build bin/postrender, bin/webhook and bin/kubectl-pipeline_storage.
build:
	@$(GO_BUILD) -o bin/ ./cmd/postrender ./cmd/webhook ./cmd/kubectl-pipeline_storage

.PHONY: plugin
## Package the Helm 4 plugin for every platform into dist/, signed when PLUGIN_SIGN_KEY names a GPG key of PLUGIN_KEYRING.
plugin:
	@VERSION=$(VERSION) go run ./plugin/package

.PHONY: image
## Build the image of the Dockerfile for every platform into dist/image, without a container engine.
image:
	@rm -rf dist/image
	@$(call PART,image); "$$part" build -context . -output dist/image -name "$(IMAGE):$(VERSION)" \
		-build-arg VERSION=$(VERSION) -build-arg REVISION=$(REVISION)

.PHONY: image-push
## Push dist/image as IMAGE:VERSION to a registry, without a container engine. Prints its name with the digest.
image-push:
	@$(call PART,image); "$$part" push -layout dist/image -name "$(IMAGE):$(VERSION)"

.PHONY: chart
## Package the chart into dist/.
# Helm packs the time of the build, so the package is packed again.
chart:
	@$(call PART,helm3); packed=$$(mktemp -d); trap 'rm -rf "$$packed"' EXIT; mkdir -p dist; \
		"$$part" package charts/pipeline-storage --version $(VERSION) --app-version $(VERSION) --destination "$$packed" >&2; \
		go run ./hack/archive/repack "$$packed"/*.tgz dist/pipeline-storage-chart-$(VERSION).tgz

.PHONY: chart-push
## Push the chart of dist/ to a registry, below CHARTS. Prints its name with the digest.
chart-push:
	@$(call PART,helm4); out=$$("$$part" push dist/pipeline-storage-chart-$(VERSION).tgz "oci://$(CHARTS)" 2>&1) || \
		{ echo "$$out" >&2; exit 1; }; \
		awk -v name="$(CHARTS)/pipeline-storage" '/^Digest: / {print name "@" $$2}' <<<"$$out"

# Another version of Go would compile other bytes.
release release-check: export GOTOOLCHAIN := go$(shell awk '$$1 == "go" {print $$2}' tools/go.mod)

.PHONY: release
## Fill a new dist/ with all that a release of VERSION needs and that can be made without a network: docs/releasing.md.
release:
	@rm -rf dist
	@PLUGIN_SIGN_KEY= $(MAKE) --no-print-directory plugin chart image VERSION=$(VERSION) REVISION=$(REVISION)
	@go run ./hack/release -version $(VERSION) -created $(CREATED)

.PHONY: release-check
## Make the release in dist/ again in another directory, with another umask, locale and time zone, and compare every byte.
release-check:
	@VERSION=$(VERSION) REVISION=$(REVISION) CREATED=$(CREATED) IMAGE=$(IMAGE) hack/release-check.sh

.PHONY: test
# Without vet, which make lint runs and which would read every dependency again.
## Run every test but those on a real node, against real Helm 3, Helm 4, etcd, kube-apiserver, kube-controller-manager and kube-scheduler.
## @category Work on it
test: parts
	@$(call PART,gotestsum); export $(TEST_GC); LEFT_OUT='test/e2e, test/cluster and test/demo, which need a real node. Run: make e2e' hack/test.sh "$$part" \
		--format pkgname-and-test-fails -- -p 4 -vet=off -ldflags='-s -w' -timeout 15m $(SLOW_TESTS) \
		$$(go list ./test/... ./plugin ./pkg/... ./... | grep -v -e /test/e2e$$ -e /test/cluster$$ -e /test/demo$$ -e /test/dashboard$$)

.PHONY: dashboard
## Run the dashboard's queries against a real Prometheus with a webhook under load, and draw them: docs/pictures/dashboard.svg.
dashboard:
	@$(PARTS) prometheus $(TEST_PARTS) >/dev/null
	@go test ./test/dashboard -count 1 -v -timeout 15m -args -picture "$(abspath docs/pictures/dashboard.svg)"

.PHONY: example-pulumi
## Compile and test the Pulumi programs of examples/pulumi, a module of its own: minutes and half a gigabyte on a cold cache.
example-pulumi:
	@cd examples/pulumi && GOWORK=off go test ./...

.PHONY: demo-cluster
## Show the whole story on a real node: install, run, delete everything, find the data. Needs root; a minute when the parts are built.
demo-cluster: parts-node
	@echo 'Starting a node: half a minute.'; go test -c -o bin/demo.test ./test/demo && cd test/demo && ../../bin/demo.test -test.timeout 10m

.PHONY: e2e
## Run the short tests on a real one-node cluster: kubelet, containerd and runc in namespaces of their own. Linux, root.
e2e: parts-node
	@$(call PART,gotestsum); hack/test.sh "$$part" --format testname -- -count 1 -p 1 ./test/cluster ./test/demo
	@$(call PART,gotestsum); hack/test.sh "$$part" --format testname -- -count 1 -parallel 6 -timeout 15m ./test/e2e -args \
		-figures "$(abspath $(FIGURES))"

.PHONY: e2e-full
## Run all tests on the real node, with ten minutes of faults.
e2e-full: parts-node
	@$(call PART,gotestsum); hack/test.sh "$$part" --format testname -- -count 1 -parallel 6 -timeout 60m ./test/e2e -args -full \
		-figures "$(abspath $(FIGURES))"

.PHONY: test-unit
## Run the tests that need nothing but Go.
test-unit:
	@go test ./pkg/... ./internal/... ./cmd/...

.PHONY: parts
## Build what the tests need, once: minutes on a cold cache.
parts:
	@$(PARTS) $(TEST_PARTS) gotestsum >/dev/null

.PHONY: parts-node
parts-node:
	@$(PARTS) $(TEST_PARTS) gotestsum $(NODE_PARTS) >/dev/null

.PHONY: bench
## Measure CPU time and memory beside a plain copy, kustomize and yq, as ratios.
bench:
	@go run ./test/bench

# Where bench-cost puts its figures.
COST ?= cost.json

.PHONY: bench-cost
## Measure on the real node what a pod's creation pays and what the webhook uses: half an hour, on a machine without other work.
bench-cost: parts-node
	@go test ./test/e2e -count 1 -v -run 'TestCostOf' -timeout 90m -args -cost "$(abspath $(COST))"

.PHONY: bench-admission
## Measure the webhook beside a constant answer and controller-runtime's own handler, as ratios: minutes.
bench-admission:
	@go run ./test/benchadmission

.PHONY: fuzz
## Run every fuzzer for FUZZTIME (60s) each.
fuzz:
	@hack/fuzz.sh $(FUZZTIME)

.PHONY: lint
## Check the code with the linters of .golangci.yaml.
lint:
	@$(call PART,golangci-lint); "$$part" run --allow-serial-runners ./...
	@go test ./test/words

.PHONY: vulnerabilities
## Compare what the programs call with the Go vulnerability database. Needs the network.
vulnerabilities:
	@$(call PART,govulncheck); "$$part" ./...

.PHONY: generate
## Write the generated files: go.mod, the tables of both READMEs, docs/backends.md, docs/configuration.md and docs/operations.md,
## expected test files, the chart's schema, schema/, config/.
generate:
	@go mod tidy
	@go run ./hack/reference/write docs/reference
	@$(GO_BUILD) -o bin/ ./cmd/postrender
	@$(call PART,helm3); go run ./hack/pictures "$$part" bin/postrender docs/pictures
	@go test ./pkg/postrender -run 'TestRenderedStreams|TestRemovedStreams|TestCorpusTable' -update >/dev/null
	@go test ./pkg/inject/storage -run 'TestObjects|Document' -update >/dev/null
	@go test ./internal/status -run 'Golden|Document' -update >/dev/null
	@go test ./internal/admission -run TestThreatModelHasTheLimits -update >/dev/null
	@go test ./cmd/webhook/app -run 'TestEveryMetricIsDocumented|TestEveryFlagIsDocumented' -update >/dev/null
	@go test ./test/samples -run TestOrigin -update >/dev/null
	@go test ./test/kinds -run 'TestDefinitions|AsExpected' -update >/dev/null
	@go test ./test/kinds -run TestDocumentHasEveryKind -update >/dev/null
	@go test ./test/pulumi -run TestDocumentHasTable -update >/dev/null
	@go test ./test/alternatives -run TestDocumentHasTheTables -update >/dev/null
	@go run ./hack/chartdocs charts/pipeline-storage
	@go test ./test/chart -run TestPolicyComponentIsGenerated -update >/dev/null
	@$(call PART,controller-gen); "$$part" rbac:roleName=pipeline-storage.pipeline-storage webhook \
		paths=./cmd/webhook/app output:rbac:dir=config/rbac output:webhook:dir=config/webhook

.PHONY: verify
## Generate in a copy and compare: fails when a generated file was forgotten.
verify:
	@hack/verify.sh

.PHONY: clean
## Remove what was built here. The cache of tools stays.
clean:
	@rm -rf bin dist
