package cluster

import (
	"context"
	"os"
	"testing"
)

const serverImage = "registry.example/server"

// shared is the cluster of all tests that do not harm it.
var shared *Cluster

func TestMain(m *testing.M) {
	if os.Getenv(trialEnv) != "" {
		os.Exit(enterTrial())
	}

	os.Exit(Main(m, Setup{
		Programs: map[string]string{"server": "./testdata/server"},
		Before: func(_ context.Context, c *Cluster) error {
			shared = c
			c.Kubelet.Register(serverImage, Image{
				Program: Program("server"), Entrypoint: "/server", User: 65532, Group: 65532,
			})

			return nil
		},
	}))
}
