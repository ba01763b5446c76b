// Csi is the CSI driver with which Kubernetes tests itself: it remembers volumes, snapshots and copies,
// and stores no data. It serves one socket until it is killed. The other programs of CSI call it there,
// and this module pins them.
package main

import (
	"fmt"
	"net"
	"os"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"k8s.io/kubernetes/test/e2e/storage/drivers/csi-test/mock/service"
)

func main() {
	if err := serve(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "csi:", err)
		os.Exit(1)
	}
}

// serve serves the driver NAME on the socket SOCKET.
func serve(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("usage: csi NAME SOCKET, not %q", args)
	}
	listener, err := net.Listen("unix", args[1])
	if err != nil {
		return err
	}
	driver := service.New(service.Config{DriverName: args[0], DisableAttach: true})
	server := grpc.NewServer()
	csi.RegisterIdentityServer(server, driver)
	csi.RegisterControllerServer(server, driver)
	csi.RegisterNodeServer(server, driver)
	return server.Serve(listener)
}
