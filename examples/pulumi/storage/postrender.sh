#!/bin/sh
# helm.v3.Release starts its post-renderer without arguments. They stand here: the namespace and the name of the release.
exec postrender --namespace=pipelines --release=nightly
