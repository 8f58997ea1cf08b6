#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the simulation catches what is wrong on purpose.

Each *.patch beside this file is one deliberate bug: a first line that tells what breaks, then a
unified diff against the tree. One at a time is applied to a copy of the sources, the simulation is
built of it (what did not change is compiled once), and seeds are run until one fails that does not
fail without the patch.

usage: run.py [--check] [--seeds N] [--first N] [--minutes N] [--workers N] [--json] [--markdown]
              [NAME...]
  --check      only whether every patch still applies; nothing is built
  --seeds N    give a mutant up after this many seeds (500)
  --first N    the first seed (1)
  --minutes N  virtual time of a life (10)
  --markdown   print the table of docs/testing.md

Exit code: 0 every mutant was caught, 1 one was not, 2 a patch does not apply or does not compile,
or a seed fails without the mutant, too.
"""
import argparse
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
WORK = ROOT / "zig-out" / "mutants"
TESTS = ("complete_life", "io_sim", "market_peer", "market_tls", "market_upbit", "sim_store",
         "scripted_producer")
FLAGS = ["-std=c17", "-D_GNU_SOURCE", "-O2", "-g1", "-w", "-fno-sanitize=all",
         "-fno-omit-frame-pointer", "-DRINGTAPE_WOLFSSL_BUNDLED=1",
         "-Itests/simulation/plain", "-I.", "-Isrc", "-Itests"]
LIBRARIES = ["-lzstd", "-lxxhash", "-lrdkafka", "-lyaml", "-lmicrohttpd", "-lIPSec_MB", "-lpthread",
             "-lm"]


class Broken(Exception):
    """A patch that is no mutant any more."""


def sources():
    """What the simulation is built of, as tools/sources.zig lists it."""
    apart = {"src/io/io_uring.c", "src/io/io_uring_probe.c", "src/control/main.c"}
    files = [*ROOT.glob("src/*/*.c"), *ROOT.glob("format/*.c"), *ROOT.glob("tests/simulation/*.c")]
    files += [p for p in ROOT.glob("tests/*.c")
              if p.name.startswith(TESTS) and not p.name.endswith("_test.c")]
    return sorted(name for name in (str(p.relative_to(ROOT)) for p in files) if name not in apart)


def headers():
    found = [*ROOT.glob("src/*/*.h"), *ROOT.glob("format/*.h"), *ROOT.glob("tests/*.h"),
             *ROOT.glob("tests/simulation/**/*.h"), *ROOT.glob("tools/dev.d/*.h")]
    return sorted(str(p.relative_to(ROOT)) for p in found)


# ---- patches ----

class Patch:
    """A patch: the line that tells what it breaks, and the text of each file that it changes."""

    def __init__(self, path):
        self.name = path.stem
        text = path.read_text(encoding="utf-8")
        self.breaks = text.split("\n", 1)[0].strip()
        if not self.breaks or self.breaks.startswith("---"):
            raise Broken(f"{path.name}: the first line must tell what breaks")
        self.files = {}
        for part in re.split(r"^--- ", text, flags=re.M)[1:]:
            head = re.match(r"a/\S+.*\n\+\+\+ b/(\S+).*\n", part)
            if head is None:
                raise Broken(f"{path.name}: wants '--- a/FILE' and '+++ b/FILE'")
            file = head.group(1)
            if not file.startswith(("src/", "format/")) or not file.endswith(".c"):
                raise Broken(f"{path.name}: changes {file}; only .c files of src and format may be")
            whole = (ROOT / file).read_text(encoding="utf-8")
            self.files[file] = self.applied(whole, part[head.end():], f"{path.name}: {file}")
        if not self.files:
            raise Broken(f"{path.name}: changes nothing")

    @staticmethod
    def applied(text, hunks, where):
        for hunk in re.split(r"^@@.*\n", hunks, flags=re.M)[1:]:
            lines = [line or " " for line in hunk.rstrip("\n").split("\n")]
            old = "".join(line[1:] + "\n" for line in lines if line[0] in " -")
            new = "".join(line[1:] + "\n" for line in lines if line[0] in " +")
            if text.count(old) != 1:
                raise Broken(f"{where}: these lines are there {text.count(old)} times, not once; "
                             f"write the patch anew:\n{old}")
            text = text.replace(old, new)
        return text


def patches(names):
    found = {path.stem: path for path in sorted(HERE.glob("*.patch"))}
    for name in names:
        if name not in found:
            raise Broken(f"there is no {name}.patch in {HERE.relative_to(ROOT)}")
    return [Patch(path) for stem, path in found.items() if not names or stem in names]


# ---- building ----

class Builder:
    """Objects by the hash of what they are made of, so that one mutant compiles its own files."""

    def __init__(self, workers):
        self.workers = workers
        self.tree = WORK / "tree"
        self.objects = WORK / "objects"
        self.zig = [str(ROOT / ".deps" / "zig" / "zig"), "cc"]
        self.environment = dict(os.environ, ZIG_GLOBAL_CACHE_DIR=str(WORK / "cache"),
                                ZIG_LOCAL_CACHE_DIR=str(WORK / "cache"))
        self.wolfssl = ROOT / ".deps" / "wolfssl"
        self.files = sources()
        self.used = set()
        self.copy()

    def copy(self):
        self.objects.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.tree, ignore_errors=True)
        for name in [*headers(), *self.files]:
            self.put(name, (ROOT / name).read_bytes())
        # What is shipped includes nothing of the tests.
        shipped = [name for name in headers() if not name.startswith("tests/")]
        self.headers = {False: self.told(shipped), True: self.told(headers())}

    def told(self, names):
        told = hashlib.sha256(" ".join(FLAGS).encode())
        for name in names:
            told.update(name.encode() + (self.tree / name).read_bytes())
        return told.hexdigest()

    def put(self, name, content):
        (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
        (self.tree / name).write_bytes(content)

    def object(self, name):
        key = hashlib.sha256((self.headers[name.startswith("tests/")] + name).encode() +
                             (self.tree / name).read_bytes())
        path = self.objects / (key.hexdigest()[:32] + ".o")
        self.used.add(path)
        if path.exists():
            return path, None
        made = path.with_suffix(".tmp")
        run = subprocess.run([*self.zig, *FLAGS, f"-I{self.wolfssl}/include", "-c", name, "-o",
                              str(made)], cwd=self.tree, env=self.environment, check=False,
                             capture_output=True, text=True)
        if run.returncode != 0:
            return path, run.stderr
        made.rename(path)
        return path, None

    def program(self, patch):
        """The simulation with the patch, None: as it is."""
        for file, text in patch.files.items() if patch else ():
            self.put(file, text.encode())
        try:
            with ThreadPoolExecutor(self.workers) as pool:
                made = list(pool.map(self.object, self.files))
        finally:
            for file in patch.files if patch else ():
                self.put(file, (ROOT / file).read_bytes())
        errors = [error for _, error in made if error]
        if errors:
            raise Broken(f"{patch.name if patch else 'the tree'} does not compile:\n{errors[0]}")
        program = WORK / (f"simulation-{patch.name}" if patch else "simulation")
        wolfssl = self.wolfssl / "lib" / "libwolfssl.a"
        run = subprocess.run([*self.zig, "-o", str(program), *(str(path) for path, _ in made),
                              str(wolfssl) if wolfssl.exists() else "-lwolfssl", *LIBRARIES],
                             env=self.environment, check=False, capture_output=True, text=True)
        if run.returncode != 0:
            raise Broken(f"{patch.name if patch else 'the tree'} does not link:\n{run.stderr}")
        return program

    def forget(self):
        """Objects of trees that are gone."""
        for path in self.objects.glob("*.o"):
            if path not in self.used:
                path.unlink()


# ---- running ----

def run_seeds(program, first, last, options):
    return subprocess.run([str(program), "--seeds", f"{first}-{last}", "--workers",
                           str(options.workers), "--twice", "0", "--minutes",
                           str(options.minutes)], check=False, capture_output=True, text=True)


def run_until_caught(program, sound, options):
    """The lowest seed of the first portion that has one which fails by the mutant, its text; or
    None. And the seeds that fail in the sound program as well: they tell nothing of the mutant."""
    begin = options.first
    end = begin + options.seeds
    unsound = []
    while begin < end:
        # Most are caught at once, and what is not wants both cores busy.
        portion = min(max(options.workers, begin - options.first), 32)
        last = min(begin + portion, end) - 1
        run = run_seeds(program, begin, last, options)
        failed = sorted(int(seed) for seed in re.findall(r"^seed (\d+) FAILED", run.stderr, re.M))
        for seed in failed:
            if run_seeds(sound, seed, seed, options).returncode == 0:
                alone = subprocess.run([str(program), "--seed", str(seed), "--minutes",
                                        str(options.minutes)], check=False, capture_output=True,
                                       text=True)
                return seed, check_of(alone.stderr), unsound
            unsound.append(seed)
        if run.returncode != 0 and not failed:
            raise Broken(f"{program.name} ends with {run.returncode}: {run.stderr}")
        begin = last + 1
    return None, "", unsound


def check_of(text):
    """What the simulation said: the last line before its end, without what differs by seed."""
    lines = [line for line in text.strip().split("\n") if line and not line.startswith("seed ")]
    line = lines[-1] if lines else "no word: a signal or too long"
    return re.sub(r"^\S*/(\S+:\d+)", r"\1", line)[:160]


def mutant_row(builder, patch, sound, options):
    start = time.monotonic()
    program = builder.program(patch)
    built = time.monotonic()
    seed, check, unsound = run_until_caught(program, sound, options)
    program.unlink()
    return {"mutant": patch.name, "breaks": patch.breaks, "seed": seed, "check": check,
            "unsound": unsound, "build_s": round(built - start, 1),
            "run_s": round(time.monotonic() - built, 1)}


def show(row, options):
    if options.json:
        print(json.dumps(row), flush=True)
    elif options.markdown:
        check = row["check"].replace("|", "\\|")
        print(f"| {row['mutant']} | {row['breaks']} | {row['seed'] or '**none**'} | `{check}` |",
              flush=True)
    else:
        caught = f"seed {row['seed']}" if row["seed"] else "NOT CAUGHT"
        print(f"{row['mutant']:32} {caught:>12} {row['run_s']:7.1f} s  {row['check']}", flush=True)


def run(options):
    chosen = patches(options.names)
    if options.check:
        print(f"{len(chosen)} mutants apply")
        return 0
    builder = Builder(options.workers)
    sound = builder.program(None)
    tried = run_seeds(sound, options.first, options.first + 3, options)
    if tried.returncode != 0:
        raise Broken(f"the simulation fails without any mutant:\n{tried.stderr}")
    if not options.names:
        builder.forget()
    if options.markdown:
        print("| mutant | what is wrong | caught by seed | by |\n|---|---|---|---|")
    rows = []
    for patch in chosen:
        rows.append(mutant_row(builder, patch, sound, options))
        show(rows[-1], options)
    missed = [row["mutant"] for row in rows if row["seed"] is None]
    if missed:
        print(f"not caught within {options.seeds} seeds: {', '.join(missed)}", file=sys.stderr)
    unsound = sorted({seed for row in rows for seed in row["unsound"]})
    for seed in unsound:
        print(f"seed {seed} fails without the mutant, too; again: {sound} --seed {seed} --minutes "
              f"{options.minutes} --log", file=sys.stderr)
    return 2 if unsound else 1 if missed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--seeds", type=int, default=500)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--markdown", action="store_true")
    try:
        return run(parser.parse_args())
    except Broken as broken:
        print(f"mutants: {broken}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
