# SPDX-License-Identifier: GPL-3.0-or-later
"""`tools/dev test --coverage` in small: its arguments, its counters on one module, its report."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
import support

REPORT = support.ROOT / "tests" / "line_coverage.py"
CLANG = "clang-19"

# Lines 3, 4, 13 and 14 are not reached: a run of statements counts from its beginning.
KILLED = """#include <signal.h>
static void never(void)
{
}
static void reached(void)
{
}
int main(void)
{
    reached();
    (void)raise(SIGKILL);
    if (signal(SIGINT, SIG_IGN) == SIG_ERR) {
        never();
    }
}
"""

TRACE = """SF:{root}/src/base/one.c
DA:1,5
DA:2,0
DA:4,0
DA:5,1
DA:6,0
end_of_record
SF:{root}/format/two.c
DA:7,1
DA:8,18446744073709551615
DA:9,2
end_of_record
SF:{root}/src/base/one.c
DA:6,3
end_of_record
SF:/usr/include/other.h
DA:1,0
end_of_record
"""


def run(*command, **more):
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **more)


def report(folder, *options, trace=TRACE):
    """Of a tree of two files, five lines of eight and one more where copies of a header meet."""
    for name in ("src/base/one.c", "format/two.c"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("".join(f"line {n}\n" for n in range(1, 10)))
    (folder / "lines.info").write_text(trace.format(root=folder))
    return run(sys.executable, REPORT, folder / "lines.info", "--root", folder, *options)


def test_lines_are_summed_by_folder_and_judged(tmp_path):
    done = report(tmp_path, "--limit", "75", "--json", tmp_path / "lines.json")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].split() == "75.00 % 6 of 8 lines of format and src".split()
    said = json.loads((tmp_path / "lines.json").read_text())
    assert said["total"] == {"lines": 8, "reached": 6, "percent": 75.0}
    assert said["folders"]["format"]["percent"] == 100
    assert said["files"]["src/base/one.c"]["missed"] == [[2, 4]]
    assert report(tmp_path, "--limit", "75.1").returncode == 1


def test_the_lines_of_a_file_are_shown(tmp_path):
    done = report(tmp_path, "--file", "src/base/one.c")
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["2", "line", "2"], ["3", "line", "3"], ["4", "line", "4"], ["-"]]  # fmt: skip


def test_a_file_that_nobody_counted_is_an_error(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "table.c").write_text("int a[] = {\n1};\n")
    (tmp_path / "src" / "three.c").write_text("int f(void)\n{\n}\n")
    done = report(tmp_path, "--limit", "1")
    assert done.returncode == 2 and "lacks 1 files: src/three.c" in done.stderr
    assert report(tmp_path, trace="").returncode == 2


@pytest.mark.skipif(shutil.which(CLANG) is None, reason=f"no {CLANG}")
def test_what_was_reached_before_a_kill_is_counted(tmp_path):
    (tmp_path / "format").mkdir()
    (tmp_path / "format" / "killed.c").write_text(KILLED)
    compiled = tmp_path / "counted" / "format" / "killed.o"
    run("make", "-f", support.ROOT / "tests" / "line_coverage.mk", f"CC={CLANG}",
        f"OUT={tmp_path}", compiled, cwd=tmp_path, check=True)  # fmt: skip
    run(CLANG, "-fprofile-instr-generate", compiled, "-o", tmp_path / "killed", check=True)
    profile = {"LLVM_PROFILE_FILE": f"{tmp_path}/%m%c.profraw"}
    assert run(tmp_path / "killed", env={**os.environ, **profile}).returncode == -signal.SIGKILL
    run(CLANG.replace("clang", "llvm-profdata"), "merge", "-o", tmp_path / "all.profdata",
        *tmp_path.glob("*.profraw"), check=True)  # fmt: skip
    trace = run(CLANG.replace("clang", "llvm-cov"), "export", "-format=lcov", "-instr-profile",
                tmp_path / "all.profdata", tmp_path / "killed", check=True)  # fmt: skip
    (tmp_path / "lines.info").write_text(trace.stdout)
    run(sys.executable, REPORT, tmp_path / "lines.info", "--root", tmp_path,
        "--json", tmp_path / "lines.json")  # fmt: skip
    said = json.loads((tmp_path / "lines.json").read_text())
    assert said["files"]["format/killed.c"] == {
        "lines": 11, "reached": 7, "percent": 63.64, "missed": [[3, 4], [13, 14]]}  # fmt: skip


@pytest.mark.parametrize("arguments, code", [
    (["--help"], 0), (["--covrage"], 64), (["unit"], 64), (["--coverage", "unit"], 64),
])  # fmt: skip
def test_what_test_does_not_know_it_does_not_run(arguments, code):
    done = run("bash", support.ROOT / "tools" / "dev", "test", *arguments)
    assert done.returncode == code
    assert "--coverage" in (done.stderr if code else done.stdout)
