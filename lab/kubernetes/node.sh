#!/bin/bash
# A Kubernetes node, in the network namespace of a host of the lab: mounts, processes, cgroups and names of its own, in them containerd,
# kubelet and kube-proxy. When process 1 ends, so does everything in it; its folder and its cgroups are all that is left.
#
# Arguments: the node's name, its folder with the files of node-files.ts, the folder of the programs, the name of its cgroups.
set -eu
name=$1 folder=$2 bin=$3 group=$4
if [[ ${5-} != inside ]]; then
  for hierarchy in /sys/fs/cgroup/*/; do
    mkdir -p "$hierarchy$group"
    for file in cpuset.cpus cpuset.mems; do
      [[ -e $hierarchy$group/$file ]] && cat "$hierarchy$file" >"$hierarchy$group/$file"
    done
    echo $$ >"$hierarchy$group/cgroup.procs"
  done
  exec unshare --mount --pid --uts --ipc --cgroup --fork --kill-child=SIGKILL --mount-proc "$0" "$name" "$folder" "$bin" "$group" inside
fi
hostname "$name"
hierarchies=(/sys/fs/cgroup/*/)
mount -t sysfs sysfs /sys
mount -t bpf bpf /sys/fs/bpf
mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
for hierarchy in "${hierarchies[@]}"; do
  controller=$(basename "$hierarchy")
  mkdir "$hierarchy"
  case $controller in
    unified) mount -t cgroup2 cgroup2 "$hierarchy" ;;
    systemd) mount -t cgroup -o none,name=systemd cgroup "$hierarchy" ;;
    *) mount -t cgroup -o "$controller" cgroup "$hierarchy" ;;
  esac
done
# What a node has for itself. The rest of the file system is the machine's.
mkdir -p "$folder"/{lib/containerd,lib/kubelet,lib/cni,log,fairlead}
mkdir -p /var/lib/{containerd,kubelet,cni} /etc/cni /opt/cni/bin
mount --bind "$folder/lib/containerd" /var/lib/containerd
mount --bind "$folder/lib/kubelet" /var/lib/kubelet
mount --bind "$folder/lib/cni" /var/lib/cni
mount --bind "$folder/cni" /etc/cni
mount --bind "$bin" /opt/cni/bin
mount --bind "$folder/log" /var/log
# The server of the lab's pods is mounted from here.
mkdir -p "$folder/lab"
mount --bind "$(dirname "$0")/.." "$folder/lab"
mount --rbind "$folder" /mnt
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/fairlead
mount --bind /mnt/fairlead /run/fairlead
# kubelet insists on these; they are the machine's, so it is shown files that have them already.
for setting in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
  file=/mnt/$(basename "${setting%=*}")
  echo "${setting#*=}" >"$file"
  mount --bind "$file" "/proc/sys/${setting%=*}"
done
mount --make-rshared /

export PATH=$bin:$PATH
# As a node's service manager does: kubelet gives up when containerd is slow to come, for one.
keep() {
  local program=$1
  while :; do
    "$@" >>"/mnt/log/$program.log" 2>&1 || echo "$program has ended with status $?, and is started again" >&2
    sleep 1
  done
}
keep containerd --config /mnt/containerd.toml &
keep kubelet --config=/mnt/kubelet.yaml --kubeconfig=/mnt/kubelet.conf --hostname-override="$name" --node-ip="$(</mnt/addresses)" &
keep kube-proxy --config=/mnt/kube-proxy.yaml --hostname-override="$name" &
# What is orphaned is collected here, as by any process 1.
wait
