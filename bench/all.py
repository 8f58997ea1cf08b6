# SPDX-License-Identifier: GPL-3.0-or-later
"""Every benchmark there is, one after the other, with what they ran on.

    tools/dev bench all [--smoke] [--only NAME ...] [--without NAME ...] [--rounds N]

The first line on standard output is the environment: CPU, kernel, memory, load, versions, commit;
then each bench's own lines as it prints them, and one line a bench: seconds, exit status, load
before and after. --rounds: all of them, N times in turns, so that a slow hour of the machine falls
on all alike. Without --smoke that takes hours; the tests run each bench by itself, so a smoke of
this is two short ones. Exits with 1 where one of them did, naming it."""

import argparse
import json
import os
import pathlib
import platform
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
SMOKE = ("arbiter", "message")
FLAGS = ("aes", "vaes", "avx2", "avx512bw", "hypervisor")
# What everything else is a part of comes first.
FIRST = ("capture", "latency", "parse", "stages", "scale", "hundred", "steady")
# A question of its own that is a way of another bench.
WAYS = {"steady": ("latency", ["--steady", "30"])}


def output(*command):
    """First line of what a program says; None where it is not there."""
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return (done.stdout.strip() or done.stderr.strip()).split("\n")[0] or None


def cpu():
    found = {}
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        found.setdefault(key.strip(), value.strip())
    return {"model": found.get("model name"), "family": found.get("cpu family"),
            "number": found.get("model"), "cores": os.cpu_count(),
            **{flag: flag in found.get("flags", "").split() for flag in FLAGS}}  # fmt: skip


def memory_gb():
    return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / (1 << 30), 1)


def environment():
    release = pathlib.Path("/etc/os-release").read_text().splitlines()
    system = dict(line.split("=", 1) for line in release if "=" in line)
    return {
        "bench": "all", "metric": "environment", "time": time.strftime("%FT%TZ", time.gmtime()),
        "cpu": cpu(), "memory_gb": memory_gb(), "kernel": platform.release(),
        "system": system.get("PRETTY_NAME", "").strip('"'), "load": os.getloadavg(),
        "commit": output("git", "rev-parse", "HEAD"),
        "changed": bool(output("git", "status", "--porcelain", "--untracked-files=no")),
        "ringtaped": output("zig-out/bin/ringtaped", "--version"),
        "zig": output(str(ROOT / ".deps" / "zig" / "zig"), "version"),
        "gcc": output("gcc", "--version"), "python": platform.python_version(),
        "java": output("java", "-version"),
    }  # fmt: skip


def benches():
    """Names, as tools/dev knows them."""
    found = set()
    for path in (ROOT / "bench").iterdir():
        if path.suffix in (".py", ".sh"):
            found.add(path.stem)
        elif path.name.endswith("_bench.c"):
            found.add(path.name[: -len("_bench.c")])
    found = (found | WAYS.keys()) - {"all"}
    return [n for n in FIRST if n in found] + sorted(found - set(FIRST))


def run(name, smoke):
    """Runs one; its lines pass through. The exit status."""
    program, way = WAYS.get(name, (name, []))
    script = ROOT / "bench" / f"{program}.py"
    command = [ROOT / "zig-out" / "bench" / f"{program}_bench"]
    if script.exists():
        command = [sys.executable, script]
    elif script.with_suffix(".sh").exists():
        command = ["bash", script.with_suffix(".sh")]
    before, start = os.getloadavg()[0], time.monotonic()
    print(f"---- {name} ----", file=sys.stderr, flush=True)
    status = subprocess.run([*command, *way, *(["--smoke"] if smoke else [])], cwd=ROOT).returncode
    print(json.dumps({
        "bench": "all", "case": name, "metric": "status", "value": status, "unit": "exit",
        "spread": None, "peer": None, "seconds": round(time.monotonic() - start, 1),
        "load": [before, os.getloadavg()[0]],
    }), flush=True)  # fmt: skip
    return status


def main():
    names = benches()
    parser = argparse.ArgumentParser(prog="tools/dev bench all")
    parser.add_argument("--smoke", action="store_true", help=f"only {' and '.join(SMOKE)}, short")
    parser.add_argument("--only", choices=names, nargs="+", metavar="NAME")
    parser.add_argument("--without", choices=names, nargs="+", metavar="NAME", default=[])
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    wanted = options.only or (SMOKE if options.smoke else names)
    failed = set()
    found = environment()
    if not options.smoke and (found["changed"] or found["commit"][:7] not in found["ringtaped"]):
        sys.exit(f"bench all: zig-out/bin has {found['ringtaped']}, the checkout is at "
                 f"{found['commit'][:7]}{' and changed' if found['changed'] else ''}: figures of "
                 "nothing that can be had again; commit, then `tools/dev bench all`")  # fmt: skip
    print(json.dumps(found), flush=True)
    for _ in range(options.rounds):
        for name in wanted:
            if name not in options.without and run(name, options.smoke) != 0:
                failed.add(name)
    if failed:
        print(f"bench all: missed or failed: {', '.join(sorted(failed))}", file=sys.stderr)
    print(json.dumps({"bench": "all", "metric": "ok", "value": not failed}), flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
