#!/usr/bin/env bash
# Runs tests by gotestsum. Its summary lists each skipped test with what is not covered and why; LEFT_OUT, if set, names what the caller
# did not run at all. A failed run ends with the logs that its tests saved. Tests save the logs of the programs that they started in
# a directory of their own below PIPELINE_STORAGE_LOGS, which is a new one if it is not set.
set -euo pipefail
gotestsum=${1:?usage: test.sh GOTESTSUM ARGUMENT...}
shift
export PIPELINE_STORAGE_LOGS=${PIPELINE_STORAGE_LOGS:-$(mktemp -d "${TMPDIR:-/tmp}/pipeline-storage-logs-XXXXXX")}
mkdir -p "$PIPELINE_STORAGE_LOGS"
status=0
"$gotestsum" --jsonfile "$PIPELINE_STORAGE_LOGS/output.json" "$@" || status=$?
[ -z "${LEFT_OUT:-}" ] || echo "Not run: $LEFT_OUT"
if [ "$status" = 0 ]; then
	rm "$PIPELINE_STORAGE_LOGS/output.json"
	rmdir "$PIPELINE_STORAGE_LOGS" 2>/dev/null || true
else
	echo "The logs of this failed run, and the whole output of its tests:"
	find "$PIPELINE_STORAGE_LOGS" -type f | sort
fi
exit "$status"
