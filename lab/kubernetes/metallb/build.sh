#!/bin/bash
# Builds MetalLB's own programs from their Go module into .cache/kubernetes/bin, and puts the CRDs, the manifests and the chart it ships beside
# them: what people come from is tried with the real thing. Does nothing when they are there.
set -euo pipefail
cd "$(dirname "$0")"
cache=$(cd ../../.. && pwd)/.cache/kubernetes
version=$(awk '$1 == "require" { print $3 }' go.mod)

wanted=$(cat go.mod go.sum definitions/go.mod definitions/go.sum build.sh | sha256sum | cut -d' ' -f1)
[[ -f $cache/metallb/built && $(<"$cache/metallb/built") == "$wanted" ]] && exit 0
source ../go.sh
require_go
mkdir -p "$cache/bin" "$cache/metallb"
build() {
  echo "metallb: building $1 (MetalLB $version)"
  # Without C: an image of it has nothing else in it. Into another file first: whoever runs the old one, or has a link to it, keeps it.
  CGO_ENABLED=0 go build -ldflags "-s -w" -o "$cache/bin/.$1" "$2"
  mv "$cache/bin/.$1" "$cache/bin/$1"
}
build metallb-controller go.universe.tf/metallb/controller
build metallb-speaker go.universe.tf/metallb/speaker
# What speaks for it in mode frr-k8s.
build frr-k8s github.com/metallb/frr-k8s/cmd/frr-k8s-controller
definitions=$(cd definitions && go mod download -json go.universe.tf/metallb | awk -F'"' '$2 == "Dir" { print $4 }')
rm -rf "$cache/metallb/crds"
cp -r --no-preserve=mode "$definitions/config/crd" "$cache/metallb/crds"
module=$(go list -m -f '{{.Dir}}' go.universe.tf/metallb)
rm -rf "$cache/metallb/manifests" "$cache/metallb/chart"
cp -r --no-preserve=mode "$module/config/manifests" "$cache/metallb/manifests"
cp -r --no-preserve=mode "$module/charts/metallb" "$cache/metallb/chart"
# What makes FRR read its configuration anew, in mode frr and by frr-k8s.
install -D -m 755 "$module/frr-tools/reloader/frr-reloader.sh" "$cache/metallb/reloader/frr/frr-reloader.sh"
install -D -m 755 "$(go list -m -f '{{.Dir}}' github.com/metallb/frr-k8s)/cmd/reloader/frr-reloader.sh" "$cache/metallb/reloader/frr-k8s/frr-reloader.sh"
echo "$wanted" >"$cache/metallb/built"
