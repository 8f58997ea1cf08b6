#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Process 1 of a machine of its own, as far as namespaces make one: the root is Debian with
# container engines, and the machine outside stays as it is. Started by tests/ops/engines.py
# through unshare(1); prints `ready`, then waits to be killed.
#
#     namespace.sh ROOT STATE CHECKOUT [BIND...]
#
# ROOT stays as it is: what is written goes to STATE, and engines that cannot live on an overlay
# find folders of STATE in their places. CHECKOUT is read-only inside, each BIND the same folder.
set -euo pipefail

root=$1 state=$2 checkout=$3
shift 3

mount --make-rprivate /
mkdir -p "$state"/{upper,work,docker,containerd,containers,kubelet,merged}
mount -t overlay overlay "$state/merged" \
    -o "lowerdir=$root,upperdir=$state/upper,workdir=$state/work"
inside=$state/merged

mount -t proc proc "$inside/proc"
mount --rbind /sys "$inside/sys"
mount --rbind /dev "$inside/dev"
mount -t tmpfs tmpfs "$inside/run"
mount -t tmpfs tmpfs "$inside/tmp"
cat /etc/resolv.conf >"$inside/etc/resolv.conf"
for folder in docker containerd containers kubelet; do
    mkdir -p "$inside/var/lib/$folder"
    mount --bind "$state/$folder" "$inside/var/lib/$folder"
done
mkdir -p "$inside$checkout"
mount --bind "$checkout" "$inside$checkout"
mount -o remount,bind,ro "$inside$checkout"
for folder in "$@"; do
    mkdir -p "$inside$folder"
    mount --bind "$folder" "$inside$folder"
done

cd "$inside"
mkdir -p .outside
pivot_root . .outside
cd /
umount -l /.outside
# Volumes are shared with the kubelet's mounts.
mount --make-rshared /
ip link set lo up
echo ready
exec sleep infinity
