#!/bin/bash
# Prepares a fresh Debian or Ubuntu machine for `npm run lab`, `npm test` and `npm run bench`: checks that they can work here at all, installs
# the packages that are missing, node_modules and the compiled BPF objects. Does nothing, and says nothing, when all is there.
# `prepare.sh kubernetes`: also for `npm run test:kubernetes` and `npm run image`.
set -u
cd "$(dirname "$0")/.." || exit 1

say() { printf 'prepare: %s\n' "$1"; }
problems=()
problem() { problems+=("$1"); }
stop_on_problems() {
  ((${#problems[@]} == 0)) && return
  printf 'Fairlead cannot run here:\n' >&2
  printf '  - %s\n' "${problems[@]}" >&2
  exit 1
}

# ---- What cannot be installed --------------------------------------------------------------------------------

system=$(uname -s) kernel=$(uname -r) machine=$(uname -m)
[[ $system == Linux ]] || problem "this is $system; the datapath is eBPF and needs Linux"
[[ $machine == x86_64 || $machine == aarch64 ]] || problem "this machine is $machine; x86_64 and aarch64 are supported"
((EUID == 0)) || problem "you are not root: namespaces, eBPF and packet sockets need it (try: sudo npm run …)"
stop_on_problems

# The kernel's features are tried once for each kernel; root may have switched some of them off.
check_kernel() {
  local major minor
  IFS=.- read -r major minor _ <<<"$kernel"
  ((major > 6 || (major == 6 && minor >= 7))) || problem "Linux $kernel is older than 6.7: no tcx links (6.6), no BPF_FIB_LOOKUP_SRC (6.7)"
  [[ -e /sys/kernel/btf/vmlinux ]] || problem "/sys/kernel/btf/vmlinux is missing: the kernel was built without CONFIG_DEBUG_INFO_BTF"
  [[ -e /proc/sys/net/core/bpf_jit_enable && $(</proc/sys/net/core/bpf_jit_enable) == 0 ]] &&
    problem "net.core.bpf_jit_enable is 0: switch the BPF compiler on (sysctl net.core.bpf_jit_enable=1)"
  grep -q '\sbpf$' /proc/filesystems || problem "no BPF file system: the kernel was built without CONFIG_BPF_SYSCALL"
  unshare --net true 2>/dev/null || problem "no network namespaces: CONFIG_NET_NS is missing, or this is a container without CAP_SYS_ADMIN"
}

# Needs iproute2, so it runs after the packages.
check_devices() {
  local kind option
  for kind in veth bridge; do
    option=CONFIG_${kind^^}
    unshare --net ip link add fl-probe type "$kind" 2>/dev/null || problem "no $kind devices: $option is missing (modprobe $kind)"
  done
}

# ---- Packages ------------------------------------------------------------------------------------------------

# What must be there | package | why
needs=(
  "ip|iproute2|links, addresses and routes"
  "ethtool|ethtool|switches checksum offload off on the lab's cables"
  "sysctl|procps|forwarding between the lab's hosts"
  "nsenter|util-linux|runs the lab's programs in their namespaces"
  "tcpdump|tcpdump|fairlead lab capture; tests read captures of BGP with it"
  "curl|curl|requests in the lab, by hand and in tests"
  "nft|nftables|a foreign pod network beside us, and the benchmarks' comparison"
  "iptables|iptables|the benchmarks' comparison"
  "iperf3|iperf3|the benchmarks' bulk transfer"
  "/usr/lib/frr/bgpd|frr|routers of the lab's BGP scenes"
  "bird|bird2|routers of the lab's BGP scenes"
  "/usr/sbin/pmbmpd|pmacct|a BMP collector of others, that a test of BGP reports to"
  "gobgpd|gobgpd|a third speaker for the goldens of the BGP codec"
  "bpftool|bpftool|loads the lab's own XDP program"
  "make|make|compiles the BPF objects"
  "/usr/include/bpf/bpf_helpers.h|libbpf-dev|headers for the BPF objects"
  "/usr/include/$machine-linux-gnu/asm/types.h|linux-libc-dev|kernel headers for the BPF objects"
  "libbpf.so.1|libbpf1|loads the BPF objects"
  "clang|clang|compiles the BPF objects"
  "libatomic.so.1|libatomic1|the Node.js that this project runs on"
)
[[ ${1-} == kubernetes ]] && needs+=(
  "etcd|etcd-server|the API server of the tests keeps its objects there"
  "mmdebstrap|mmdebstrap|the container image's minimal Debian"
  "promtool|prometheus|checks the chart's alerts: that they are rules, and that they fire"
  "/usr/lib/frr/frr-reload.py|frr-pythontools|makes FRR read its configuration anew where it speaks for MetalLB"
  "gcc|gcc|runc is built with C"
  "/usr/include/seccomp.h|libseccomp-dev|runc is built with seccomp, which pods ask for"
  "pkg-config|pkg-config|finds libseccomp for it"
  "openssl|openssl|the certificate that the API server shows to kubelets"
  "git|git|the time of the last commit, which the image's files have"
)
[[ ${1-} == kubernetes ]] && ! command -v go >/dev/null && needs+=(
  "python3-venv|python3-venv|brings Go from PyPI, where there is none"
)

has_clang() {
  local version
  for version in 21 20 19 18 17 16; do command -v "clang-$version" >/dev/null && return; done
  command -v clang >/dev/null && (($(clang -dumpversion | cut -d. -f1) >= 16))
}

has() {
  case $1 in
    clang) has_clang ;;
    /*) [[ -e $1 ]] ;;
    python3-venv) python3 -c 'import ensurepip' 2>/dev/null ;;
    *.so.*) [[ -e /usr/lib/$machine-linux-gnu/$1 || -e /usr/lib/$1 || -e /usr/lib64/$1 ]] ;;
    # Not every root has the sbin directories in its path.
    *) command -v "$1" >/dev/null || [[ -x /usr/sbin/$1 || -x /sbin/$1 ]] ;;
  esac
}

# The newest clang that apt has, of 16 or later.
clang_package() {
  local version
  for version in 21 20 19 18 17 16; do
    apt-cache show "clang-$version" >/dev/null 2>&1 && { printf 'clang-%s' "$version"; return; }
  done
}

install_packages() {
  local need wanted package why missing=()
  for need in "${needs[@]}"; do
    IFS='|' read -r wanted package why <<<"$need"
    has "$wanted" || missing+=("$need")
  done
  ((${#missing[@]} == 0)) && return
  if ! command -v apt-get >/dev/null; then
    for need in "${missing[@]}"; do
      IFS='|' read -r wanted package why <<<"$need"
      problem "$wanted is missing ($why); on Debian it is in the package $package. Only Debian and Ubuntu are installed on by themselves"
    done
    stop_on_problems
  fi
  say "reading the package lists (apt-get update)"
  apt-get update -qq || problem "apt-get update failed: see above"
  local packages=()
  for need in "${missing[@]}"; do
    IFS='|' read -r wanted package why <<<"$need"
    if [[ $package == clang ]]; then
      package=$(clang_package)
      [[ -n $package ]] || { problem "apt has no clang of version 16 or later, which the BPF objects need"; continue; }
    fi
    say "installing $package: $why"
    packages+=("$package")
  done
  stop_on_problems
  without_services "${packages[@]}"
  stop_on_problems
}

# Installs packages without starting their services, now or at the next boot: the lab starts routing daemons by itself, in its namespaces.
policy=/usr/sbin/policy-rc.d
without_services() {
  local own_policy=false service
  [[ -e $policy ]] || { own_policy=true; printf '#!/bin/sh\nexit 101\n' >"$policy"; chmod +x "$policy"; }
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >/dev/null ||
    problem "apt-get install $* failed: see above"
  $own_policy && rm -f "$policy"
  command -v systemctl >/dev/null || return 0
  for service in frr bird2:bird gobgpd etcd-server:etcd prometheus:prometheus pmacct:pmacctd; do
    [[ " $* " == *" ${service%:*} "* ]] && systemctl --quiet disable "${service#*:}" >/dev/null 2>&1
  done
  return 0
}

# ---- node_modules --------------------------------------------------------------------------------------------

# npm ci removes node_modules with the stamp in it, so a stamp that is there belongs to a finished installation. A developer's own
# `npm install` counts too: npm's hidden lock file is then the younger one.
lock_stamp=node_modules/.fairlead-lock
modules_are_current() {
  [[ -x node_modules/.bin/node ]] || return
  cmp -s package-lock.json "$lock_stamp" || [[ node_modules/.package-lock.json -nt package-lock.json ]]
}

install_modules() {
  modules_are_current && return
  command -v npm >/dev/null || { problem "npm is missing: install Node.js with npm (Debian: apt-get install npm)"; stop_on_problems; }
  say "installing node_modules, with the Node.js this project runs on (npm ci)"
  npm ci --loglevel=error --no-audit --no-fund >/dev/null || problem "npm ci failed: run it by hand to see why"
  # Debian's npm leaves out the commands of optional packages, Node.js among them.
  [[ -x node_modules/.bin/node ]] || npm rebuild --ignore-scripts >/dev/null
  [[ -x node_modules/.bin/node ]] || problem "npm ci brought no Node.js for $machine: node_modules/.bin/node is missing"
  stop_on_problems
  cp package-lock.json "$lock_stamp"
}

# ---- All of it -----------------------------------------------------------------------------------------------

kernel_stamp=bpf/build/.kernel
kernel_is_known=false
[[ -e $kernel_stamp && $(<"$kernel_stamp") == "$kernel" ]] && kernel_is_known=true

$kernel_is_known || check_kernel
stop_on_problems
install_packages
$kernel_is_known || check_devices
stop_on_problems
install_modules
make --silent --question -C bpf 2>/dev/null || say "compiling the BPF objects"
make --silent --jobs=2 -C bpf || { problem "the BPF objects did not compile: see above"; stop_on_problems; }
$kernel_is_known || printf '%s\n' "$kernel" >"$kernel_stamp"
