#!/usr/bin/env bash
# Makes a release again and compares it with dist/. The copy differs in all that must not matter: the directory, the umask, the time
# zone, the locale, the times of the files, and that there is no git. CHECK_COLD=1 compiles everything again, in a new cache of Go.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -e dist/SHA256SUMS ] || { echo "There is no release in dist/ to compare with. Please run: make release VERSION=$VERSION" >&2; exit 1; }
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
mkdir "$copy/again"
git ls-files -z | tar --null -T - -cf - | tar -xmf - -C "$copy/again"
if [ -n "${CHECK_COLD:-}" ]; then export GOCACHE=$copy/cache; fi
(
	umask 077
	TZ=Pacific/Kiritimati LC_ALL=C make -C "$copy/again" --no-print-directory release "VERSION=$VERSION" "REVISION=$REVISION" \
		"CREATED=$CREATED" "IMAGE=$IMAGE"
)
if ! diff -r dist "$copy/again/dist"; then
	echo "Two builds of one commit differ. Is everything committed, and is dist/ of this commit?" >&2
	exit 1
fi
echo "Both builds have the same bytes: $(find dist -type f | wc -l) files."
