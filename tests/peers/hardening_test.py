# SPDX-License-Identifier: GPL-3.0-or-later
"""What is shipped is compiled as Debian hardens: position-independent, its stack guarded and not
executable, calls of the C library checked, its tables of addresses read-only from the start."""

import re
import subprocess

import pytest
import support

PROGRAMS = ("ringtaped", "ringtape", "ringtape-replay", "exchange-sim")


def readelf(path, *options):
    command = ["readelf", "--wide", *options, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def guards(path):
    """How often the guard of a stack is read: the function that ends the process is inside."""
    command = ["objdump", "--disassemble", "--no-show-raw-insn", str(path)]
    code = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return code.count("%fs:0x28") + code.count("__stack_chk_guard")


def shipped():
    library = sorted((support.BIN.parent / "lib").glob("*.so.*"))
    return [support.BIN / name for name in PROGRAMS] + [p for p in library if not p.is_symlink()]


def faults(path):
    """What is missing of the hardening of one file."""
    head, segments = readelf(path, "-h"), readelf(path, "-l")
    dynamic, symbols = readelf(path, "-d"), readelf(path, "--dyn-syms")
    stack = re.search(r"GNU_STACK.*", segments)
    wanted = {
        "position-independent": re.search(r"Type:\s+DYN", head),
        "read-only relocations": "GNU_RELRO" in segments,
        "bound at the start": re.search(r"BIND_NOW|FLAGS.*NOW", dynamic),
        "a stack that is not executed": stack and not re.search(r"RW?E", stack.group().split()[6]),
        "guarded stacks": guards(path) > 100,
        "checked calls": re.search(r"UND __\w+_chk\b", symbols),
        "no search path of its own": not re.search(r"\((RPATH|RUNPATH)\)", dynamic),
        "unchanged code": "TEXTREL" not in dynamic,
        "nothing both written and executed": not re.search(r"LOAD.* RWE ", segments),
    }
    return [name for name, there in wanted.items() if not there]


def test_everything_shipped_is_hardened():
    files = shipped()
    assert len(files) == len(PROGRAMS) + 1, files
    assert {path.name: faults(path) for path in files} == {path.name: [] for path in files}


def test_the_test_sees_what_is_not(tmp_path):
    source = tmp_path / "soft.c"
    source.write_text("int main(void) { return 0; }\n")
    words = "-no-pie -fno-stack-protector -z execstack -z norelro -z lazy -Wl,-rpath,/tmp"
    command = ["gcc", *words.split(), str(source), "-o", str(tmp_path / "soft")]
    if subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("no gcc here")
    assert len(faults(tmp_path / "soft")) >= 7, faults(tmp_path / "soft")
