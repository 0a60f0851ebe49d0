#!/bin/sh
# A machine beside this one, for tests that must not disturb the lab that stands: machine.sh DIRECTORY
#
# It has its own mounts, processes, network (without a way out), control groups, /run, and DIRECTORY as /var/lib; it
# shares the cache of Debian trees. Enter it with nsenter --all; SIGTERM to this script ends all that runs in it.
set -eu
directory=$1

group=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)/postseal-test-$$
mkdir -p "$group" "$directory"

end() {
  echo 1 >"$group/cgroup.kill"
  while grep -q "populated 1" "$group/cgroup.events"; do sleep 0.01; done
  find "$group" -depth -type d -exec rmdir {} ";"
  exit 0
}
trap end TERM INT

# The waiting shell is the machine's first process: it takes in those that lose their parent.
sh -eu -c '
  echo $$ >"$1/cgroup.procs"
  exec unshare --mount --propagation private --net --cgroup --pid --fork --mount-proc sh -eu -c "
    mount -t sysfs sysfs /sys
    mount -t cgroup2 none /sys/fs/cgroup
    mount --bind \"\$1\" /var/lib
    if [ -d /run/netns ]; then umount --recursive /run/netns; fi
    mount -t tmpfs tmpfs /run
    ip link set lo up
    echo ready
    sleep infinity &
    wait
  " sh "$2"
' sh "$group" "$directory" &
wait
