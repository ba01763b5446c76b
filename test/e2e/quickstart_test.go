package e2e

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/test/cluster"
	"github.com/pipeline-storage/pipeline-storage/test/parts"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

const quickstart = "docs/quickstart.md"

var (
	// quickstartBlock is a block of commands that this test runs, with the output below it.
	quickstartBlock = regexp.MustCompile("(?s)<!-- run: TestQuickstart -->\n```sh\n(.*?)```\n(?:\n```text\n(.*?)```)?")
	// otherInstallation is what the status shows of the installations of the other tests.
	otherInstallation = regexp.MustCompile(`(?m)^(?:WEBHOOK|POLICY|WEBHOOK AND POLICY) .*, namespace (?:[^p]|p[^i]).*\n\n`)
)

// TestQuickstart runs the part of docs/quickstart.md about kind, in its order, and compares the output. It differs
// in two things: the installation serves the test's namespace only, and busybox is the image that the node has. It
// runs before the parallel tests, whose broken installations the status would show.
func TestQuickstart(t *testing.T) {
	requireNode(t)
	root, err := parts.Repository()
	require.NoError(t, err)
	shell := suite.Shell{
		Dir: root, Env: []string{"KUBECONFIG=" + shared.Plane.Kubeconfig},
		Programs: map[string]string{
			"helm": parts.Require(t, "helm4")["helm4"], "kubectl": parts.Require(t, "kubectl")["kubectl"],
			"kubectl-pipeline_storage": cluster.Program("kubectl-pipeline_storage"),
		},
	}
	demo := shared.Namespace(t, "demo", map[string]string{"installation": "quickstart"})
	t.Cleanup(func() {
		shell.Run(context.WithoutCancel(t.Context()), t,
			"helm uninstall pipeline-storage --namespace pipeline-storage --ignore-not-found")
	})
	replace := strings.NewReplacer(
		"kubectl create namespace demo", "echo namespace/demo created",
		"kubectl delete namespace demo", `echo namespace '"demo"' deleted`,
		"--namespace demo", "--namespace "+demo,
		"busybox:1.37", "busybox:latest --image-pull-policy=IfNotPresent",
		"helm install pipeline-storage", "helm install pipeline-storage '"+servingOnly("quickstart")+"'",
	)

	blocks := quickstartBlock.FindAllStringSubmatch(suite.Document(t, quickstart), -1)
	require.Len(t, blocks, 8, "the document has another number of blocks: does each have its line above?")
	for _, block := range blocks {
		out := strings.ReplaceAll(shell.Run(t.Context(), t, replace.Replace(block[1])).Must(t), demo, "demo")
		assert.Regexp(t, outputPattern(block[2]), spaced(otherInstallation.ReplaceAllString(out, "")), "%s", block[1])
		if strings.Contains(block[1], "helm install") {
			suite.EventuallyWithin(t, podLimit, "labelled pods should get storage", func(ctx context.Context) error {
				return admit(ctx, shared.Client, demo)
			})
		}
	}
}

// outputPattern matches the output that a document shows. There … stands for anything: for lines where it is alone.
func outputPattern(text string) string {
	pattern := regexp.QuoteMeta(spaced(text))
	pattern = regexp.MustCompile(`(?m)^…\n`).ReplaceAllString(pattern, "(?:.*\n)*")
	return "^" + strings.ReplaceAll(pattern, "…", ".*") + "$"
}

// spaced has one space where a text has several, and none at the ends of lines.
func spaced(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.Join(strings.Fields(line), " ")
	}
	return strings.Trim(strings.Join(lines, "\n"), "\n") + "\n"
}
