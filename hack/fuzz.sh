#!/usr/bin/env bash
# Runs every fuzzer of the module for the given time.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:?usage: fuzz.sh TIME}
grep -rl --include='*_test.go' '^func Fuzz' internal pkg | xargs -n1 dirname | sort -u | while read -r package; do
	grep -hoE '^func Fuzz[A-Za-z]*' "$package"/*_test.go | awk '{print $2}' | while read -r fuzzer; do
		echo "== $package $fuzzer"
		go test "./$package" -run '^$' -fuzz "^$fuzzer\$" -fuzztime "$time"
	done
done
