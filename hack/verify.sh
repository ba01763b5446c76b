#!/usr/bin/env bash
# Runs make generate in a copy of the tree and compares. Data that lies beside the repository is linked beside the copy.
set -euo pipefail
cd "$(dirname "$0")/.."
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
mkdir "$copy/main"
git ls-files -z --cached --others --exclude-standard |
	while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done |
	tar --null -T - -cf - | tar -xf - -C "$copy/main"
if [ -d ../shared ]; then ln -s "$(cd .. && pwd)/shared" "$copy/shared"; fi
cp -r "$copy/main" "$copy/before"
make -C "$copy/main" --no-print-directory generate
rm -rf "$copy/main/bin" # programs that make generate ran
if ! diff -ru "$copy/before" "$copy/main"; then
	echo "Generated files are not up to date. Please run: make generate" >&2
	exit 1
fi
