#!/usr/bin/env bash
# Shows the whole story in a cluster: the chart is installed, a pipeline runs once by its label and once with the
# post-renderer, everything is deleted, and both find their data. It needs helm (3), kubectl, kubectl-pipeline_storage
# and postrender on the PATH, a cluster in KUBECONFIG, and a provisioner of local volumes, as kind has it.
set -euo pipefail
cd "$(dirname "$0")/.."
image=${1:-busybox:1.37}
number=0
step() {
	number=$((number + 1))
	printf '\n\033[1m[%d/7] %s\033[0m (%d s)\n' "$number" "$1" "$SECONDS"
}
run() {
	printf '\033[2m$ %s\033[0m\n' "$*"
	"$@"
}
# quietly runs a command whose output is shown only when it fails.
quietly() {
	printf '\033[2m$ %s\033[0m\n' "$*"
	"$@" >"$quiet"
}
# pipeline DAY runs the same chart twice.
pipeline() {
	quietly helm install labelled examples/daily-run --namespace demo --wait --wait-for-jobs \
		--set "image=$image,day=$1"
	quietly helm install rendered examples/daily-run --namespace demo --wait --wait-for-jobs \
		--set "image=$image,day=$1" --post-renderer postrender \
		--post-renderer-args=--namespace=demo --post-renderer-args=--release=rendered \
		--post-renderer-args=--backend=local-path --post-renderer-args=--size=1Gi --post-renderer-args=--strict
	for name in labelled rendered; do
		run kubectl logs "job/$name-1" --namespace demo
	done
}
quiet=$(mktemp)
trap 'code=$?; [ $code -eq 0 ] || cat "$quiet" >&2; rm -f "$quiet"' EXIT

step 'Install pipeline-storage'
quietly helm install pipeline-storage charts/pipeline-storage --namespace pipeline-storage --create-namespace --wait \
	--set 'config.profiles[0].name=default' --set 'config.profiles[0].claim.size=1Gi' \
	--set 'config.profiles[0].storageClass.backend=local-path'
run kubectl get deployment --namespace pipeline-storage

step 'Run a pipeline, once by its label and once with the post-renderer'
run kubectl create namespace demo
pipeline Monday

step 'Look at the storage'
run kubectl get persistentvolumeclaims --namespace demo
run kubectl pipeline-storage status --namespace demo

step 'Delete both releases, and the claim of the labelled one'
run helm uninstall labelled rendered --namespace demo --wait
run kubectl delete persistentvolumeclaim pvc-data-pipeline --namespace demo

step 'The volumes are retained'
run kubectl get persistentvolumes --output \
	custom-columns=STATUS:.status.phase,CLAIM:.spec.claimRef.name,RECLAIM:.spec.persistentVolumeReclaimPolicy

step 'Run both again: they find their data'
pipeline Tuesday

step 'Done'
for name in labelled rendered; do
	[ "$(kubectl logs "job/$name-1" --namespace demo)" = $'written on Monday\nwritten on Tuesday' ]
done
echo 'Both pipelines read what they wrote before everything was deleted.'
