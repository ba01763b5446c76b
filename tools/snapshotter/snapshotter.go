// Package snapshotter pins the module whose CustomResourceDefinitions the tests install:
// external-snapshotter's client, with its directory config/crd. Nothing imports this package.
package snapshotter

import _ "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1" // the module, for its files
