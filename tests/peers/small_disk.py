# SPDX-License-Identifier: GPL-3.0-or-later
"""A small file system of its own for a store, which really fills up, stands still and is slow.
Needs root; `Missing` says what is not there."""

import os
import pathlib
import subprocess

BLKIO = pathlib.Path("/sys/fs/cgroup/blkio")


class Missing(Exception):
    pass


def command(*arguments):
    done = subprocess.run([*map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        raise Missing(f"{arguments[0]}: {(done.stderr or done.stdout).strip()}")
    return done.stdout.strip()


def mount_tmpfs(place, size):
    command("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place)


def free(place):
    status = os.statvfs(place)
    return status.f_bavail * status.f_frsize


def fill(place, leave):
    """A file `others` takes everything but `leave` bytes; 0: to the last block."""
    with (place / "others").open("wb", buffering=0) as file:
        os.posix_fallocate(file.fileno(), 0, max(4096, free(place) - max(leave, 1 << 20)))
        file.seek(0, os.SEEK_END)
        while leave == 0:
            try:
                file.write(bytes(4096))
            except OSError:
                return


class SmallDisk:
    """ext4 on a loop device over a file in `folder`, mounted at `place`, nothing set aside for
    root; unmounted on leaving."""

    def __init__(self, folder, megabytes):
        self.place = folder / "disk"
        self.group = BLKIO / f"ringtape-bench-{os.getpid()}"
        self.place.mkdir()
        image = folder / "disk.image"
        with image.open("wb") as file:
            file.truncate(megabytes << 20)
        command("mkfs.ext4", "-q", "-F", "-m", "0", image)
        command("mount", "-o", "loop,noatime", image, self.place)
        number = os.stat(self.place).st_dev
        self.device = f"{os.major(number)}:{os.minor(number)}"

    def fill(self):
        fill(self.place, 0)

    def empty(self):
        (self.place / "others").unlink()

    def freeze(self, seconds):
        """No write ends for so long. In a session of its own: whatever ends this program, the
        file system thaws."""
        script = 'fsfreeze -f "$1" && { sleep "$2"; fsfreeze -u "$1"; }'
        done = subprocess.run(["sh", "-c", script, "sh", self.place, str(seconds)],
                              start_new_session=True, capture_output=True, text=True)  # fmt: skip
        assert done.returncode == 0, done.stderr

    def can_throttle(self):
        """Why not, or None. By the first version of cgroups; the second has io.max for it."""
        if not (BLKIO / "blkio.throttle.write_iops_device").exists():
            return f"no {BLKIO}/blkio.throttle.write_iops_device"
        return None

    def throttle(self, pid, writes_per_s):
        """Writes of the process, until `unthrottle`."""
        self.group.mkdir(exist_ok=True)
        limit = self.group / "blkio.throttle.write_iops_device"
        limit.write_text(f"{self.device} {writes_per_s}\n")
        (self.group / "cgroup.procs").write_text(f"{pid}\n")

    def unthrottle(self, pid):
        limit = self.group / "blkio.throttle.write_iops_device"
        limit.write_text(f"{self.device} 0\n")
        (BLKIO / "cgroup.procs").write_text(f"{pid}\n")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", self.place], check=True)
        if self.group.is_dir():
            self.group.rmdir()
