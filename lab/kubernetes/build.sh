#!/bin/bash
# Builds what a real cluster needs from Go modules, into .cache/kubernetes/bin: the versions that modules/NAME/go.mod names. Each program
# is built once; what is there is left alone. The first build of everything takes some minutes.
#
#     build.sh                   all of it but cert-manager, and the definitions of others that tests need
#     build.sh NAME...           only these programs; "definitions" are those of others
set -euo pipefail
cd "$(dirname "$0")"
cache=$(realpath -m ../../.cache/kubernetes)
source ./go.sh
bin=$cache/bin
kubernetes=$(awk '$1 == "k8s.io/kubernetes" { print $2 }' modules/kubernetes/go.mod)
# kubectl refuses servers, and servers clients, that do not say which version they are.
stamp="-X k8s.io/component-base/version.gitVersion=$kubernetes"

# Program | module | package | tags
table=(
  "kube-apiserver|kubernetes|k8s.io/kubernetes/cmd/kube-apiserver|"
  "kubectl|kubernetes|k8s.io/kubernetes/cmd/kubectl|"
  "kube-controller-manager|kubernetes|k8s.io/kubernetes/cmd/kube-controller-manager|"
  "kube-scheduler|kubernetes|k8s.io/kubernetes/cmd/kube-scheduler|"
  "kube-proxy|kubernetes|k8s.io/kubernetes/cmd/kube-proxy|"
  "kubelet|kubernetes|k8s.io/kubernetes/cmd/kubelet|"
  "containerd|containerd|github.com/containerd/containerd/v2/cmd/containerd|"
  "containerd-shim-runc-v2|containerd|github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2|"
  "ctr|containerd|github.com/containerd/containerd/v2/cmd/ctr|"
  # Pods ask for the seccomp profile of their runtime.
  "runc|runc|github.com/opencontainers/runc|seccomp"
  "bridge|cni|github.com/containernetworking/plugins/plugins/main/bridge|"
  "loopback|cni|github.com/containernetworking/plugins/plugins/main/loopback|"
  "host-local|cni|github.com/containernetworking/plugins/plugins/ipam/host-local|"
  "portmap|cni|github.com/containernetworking/plugins/plugins/meta/portmap|"
  "helm|helm|helm.sh/helm/v3/cmd/helm|"
  "pause|pause|fairlead/lab/kubernetes/pause|"
)
# Built only when they are named: one suite alone needs them.
table_of_named=(
  "cert-manager|cert-manager|fairlead/lab/kubernetes/cert-manager|"
)

# Custom resource definitions of others, which objects of the chart are for: module@version | its sum | files.
definitions=(
  "github.com/prometheus-operator/prometheus-operator@v0.92.1|h1:rHWuFo6SVya4FBSCNg2DCzyc4xAv54zk3eDTzp5mQZc=|example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml"
  "github.com/cert-manager/cert-manager@v1.20.0|h1:czZamsFJ1YdKPhpv+SopJZN9t3W68vQBnFYUevSHGqY=|deploy/crds/cert-manager.io_certificates.yaml deploy/crds/cert-manager.io_certificaterequests.yaml deploy/crds/cert-manager.io_issuers.yaml deploy/crds/cert-manager.io_clusterissuers.yaml"
)

say() { printf 'kubernetes: %s\n' "$1" >&2; }

# What a program is made of: other modules, other tags or another table make another one.
digest_of() { { find "modules/$2" -type f | sort | xargs cat; printf '%s\n' "$@"; } | sha256sum | cut -d' ' -f1; }

# Fetched, not built: nothing of these modules is run.
fetch_definitions() {
  local stamp_file=$cache/built/definitions row module sum files folder
  [[ -f $stamp_file && $(<"$stamp_file") == "${definitions[*]}" ]] && return
  require_go
  mkdir -p "$cache/definitions" "$cache/built"
  for row in "${definitions[@]}"; do
    IFS='|' read -r module sum files <<<"$row"
    say "fetching definitions of $module"
    local found; found=$(cd / && GOFLAGS=-mod=mod go mod download -json "$module")
    [[ $found == *"\"Sum\": \"$sum\""* ]] || { say "$module is not what it was: its sum is another than in build.sh"; exit 1; }
    folder=$(sed -n 's/.*"Dir": "\(.*\)".*/\1/p' <<<"$found")
    for file in $files; do install -m 644 "$folder/$file" "$cache/definitions/"; done
  done
  printf '%s\n' "${definitions[*]}" >"$stamp_file"
}
(($# > 0)) && [[ " $* " != *" definitions "* ]] || fetch_definitions

wanted=()
(($# == 0)) || table+=("${table_of_named[@]}")
for row in "${table[@]}"; do
  IFS='|' read -r program module package tags <<<"$row"
  (($# == 0)) || [[ " $* " == *" $program "* ]] || continue
  stamp_file=$cache/built/$program
  [[ -x $bin/$program && -f $stamp_file && $(<"$stamp_file") == "$(digest_of "$program" "$module" "$package" "$tags")" ]] || wanted+=("$row")
done
((${#wanted[@]} > 0)) || exit 0
require_go
mkdir -p "$bin" "$cache/built"
for index in "${!wanted[@]}"; do
  IFS='|' read -r program module package tags <<<"${wanted[index]}"
  say "building $program ($((index + 1)) of ${#wanted[@]})"
  # Into another file first: whoever runs the old one, or has a link to it, keeps it.
  (cd "modules/$module" && CGO_ENABLED=$([[ $program == pause ]] && echo 0 || echo 1) go build -o "$bin/.$program" -tags "$tags" -ldflags "-s -w $stamp" "$package")
  mv "$bin/.$program" "$bin/$program"
  digest_of "$program" "$module" "$package" "$tags" >"$cache/built/$program"
done
