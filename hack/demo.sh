#!/usr/bin/env bash
# Renders an example chart through the post-renderer with real Helm, and shows what changed and why.
set -euo pipefail
helm=${1:?usage: demo.sh HELM POSTRENDER} postrender=$(realpath "${2:?usage: demo.sh HELM POSTRENDER}")
cd "$(dirname "$0")/.."
release=(--namespace=pipelines --release=nightly)
report=$(mktemp)
trap 'rm -f "$report"' EXIT
show() { printf '\n\033[1m%s\033[0m\n' "$*"; }

show '$ helm template nightly examples/etl-cronjob | postrender --diff'
"$helm" template nightly examples/etl-cronjob -n pipelines | "$postrender" "${release[@]}" --diff --color=always

show '$ helm template nightly examples/etl-cronjob | postrender --explain'
"$helm" template nightly examples/etl-cronjob -n pipelines | "$postrender" "${release[@]}" --explain

show '$ helm template nightly examples/etl-cronjob --post-renderer postrender --post-renderer-args --report=report.json'
"$helm" template nightly examples/etl-cronjob -n pipelines --post-renderer "$postrender" \
	--post-renderer-args=--namespace=pipelines --post-renderer-args=--release=nightly \
	--post-renderer-args="--report=$report" | grep -c '^kind:' | sed 's/$/ objects rendered; report.json:/'
cat "$report"
