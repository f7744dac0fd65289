#!/bin/bash
# One pod as MetalLB's manifests have it where FRR speaks: FRR, what reloads its configuration, and the program that writes it (the speaker in
# mode frr, frr-k8s), with one process namespace and the volumes between them. Ends as a kubelet ends it.
#
#     pod.sh FOLDER PROGRAM ARGUMENT...
#     FOLDER/startup/   what the ConfigMap frr-startup holds        FOLDER/reloader/frr-reloader.sh   as it is shipped
#     FOLDER/etc, run   /etc/frr and /run/frr of this pod alone
set -euo pipefail
folder=$1
# `wait` comes back early when a signal has come.
wait_for() { while kill -0 "$1" 2>/dev/null; do wait "$1" || true; done; }

if [[ ${POD_STAGE:-} == "" ]]; then
  # unshare keeps SIGTERM from itself: we give it to the first process of the pod.
  POD_STAGE=containers unshare --mount --pid --fork --kill-child --mount-proc "$0" "$@" &
  trap 'pkill -TERM -P $!' TERM
  wait_for $!
  exit 0
fi

# What the init containers do, and the volumes.
rm -rf "$folder/etc" "$folder/run"
mkdir -p "$folder/run"
cp -r "$folder/startup" "$folder/etc"
chown -R frr:frr "$folder/etc" "$folder/run"
chmod 755 "$folder/etc" "$folder/run"
mount --bind "$folder/etc" /etc/frr
mount --bind "$folder/run" /run/frr
mount -t tmpfs tmpfs /var/log/frr

# As the image of FRR starts it.
log_success_msg() { echo "$@"; }
log_warning_msg() { echo "$@" >&2; }
log_failure_msg() { echo "$@" >&2; }
# shellcheck source=/dev/null
(set +eu; source /usr/lib/frr/frrcommon.sh; exec /usr/lib/frr/watchfrr $(daemon_list)) &
export SHARED_VOLUME=$folder/reloader
"$SHARED_VOLUME/frr-reloader.sh" &
until [[ -s $SHARED_VOLUME/reloader.pid && -S $folder/run/bgpd.vty ]]; do sleep 0.05; done
FRR_CONFIG_FILE=$SHARED_VOLUME/frr.conf FRR_RELOADER_PID_FILE=$SHARED_VOLUME/reloader.pid "${@:2}" &
program=$!
# The first process of the container frr ends at once when it is told to, and the runtime kills the daemons it leaves: nobody asks them.
trap 'kill -KILL $(cat "$folder"/run/*.pid); kill -TERM $program' TERM
wait_for $program
# With this process everything in its namespace ends.
