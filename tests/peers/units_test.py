# SPDX-License-Identifier: GPL-3.0-or-later
"""What needs no installation of it: the units by systemd's own judgement, manual pages by mandoc's,
completion in the shells that complete."""

import os
import re
import shutil
import subprocess
import sys

import pytest
import support

UNITS = sorted((support.ROOT / "systemd").glob("*.*er*"))
PAGES = support.ROOT / "tools" / "help" / "pages.py"


def have(program):
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"no {program}")


def run(*command, **more):
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **more)


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    out = tmp_path_factory.mktemp("pages")
    run(sys.executable, PAGES, os.path.dirname(support.program("ringtaped")), out, check=True,
        env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"})  # fmt: skip
    return out


@pytest.fixture(scope="module")
def units(tmp_path_factory):
    """As installed, but with the programs of this build; an instance instead of the template."""
    folder = tmp_path_factory.mktemp("units")
    for each in UNITS:
        text = each.read_text().replace("/usr/bin/ringtape", str(support.program("ringtape")))
        (folder / each.name.replace("@.", "@second.")).write_text(text)
    return sorted(folder.iterdir())


def test_the_units_are_there():
    names = {each.name for each in UNITS}
    assert {"ringtaped.service", "ringtaped@.service", "ringtape-follow.service"} <= names
    for name in ("export", "report", "vacuum"):
        assert {f"ringtape-{name}.service", f"ringtape-{name}.timer"} <= names


@have("systemd-analyze")
def test_systemd_finds_nothing_to_say(units):
    """An unknown key is a line on standard error and a good exit code."""
    done = run("systemd-analyze", "verify", "--man=no", *units)
    assert done.stdout + done.stderr == "" and done.returncode == 0


@have("systemd-analyze")
def test_no_unit_is_exposed(units):
    for each in units:
        if each.suffix != ".service":
            continue
        done = run("systemd-analyze", "security", "--offline=true", "--threshold=20", f"{each}")
        assert done.returncode == 0, done.stdout[-2000:]


def test_an_instance_is_as_the_one(units):
    """The two units differ in names alone."""
    alone, many = (support.ROOT / "systemd" / name for name in
                   ("ringtaped.service", "ringtaped@.service"))  # fmt: skip
    named = alone.read_text()
    for old, new in (
        ("ringtaped.yaml\n", "%i.yaml\n"),
        ("StateDirectory=ringtape\n", "StateDirectory=ringtape-instances/%i\n"),
        (":ringtape.", ":ringtape-%i."),
        ("records exchanges\n", "records exchanges, instance %i\n"),
    ):
        assert old in named
        named = named.replace(old, new)
    named = named.replace("# SPDX-License-Identifier: GPL-3.0-or-later\n", "")
    assert many.read_text().endswith(named)


def test_units_are_as_their_documents_say():
    """Every folder and program that a unit names is one that the documents and packages know."""
    text = (support.ROOT / "docs" / "operating.md").read_text()
    for each in UNITS:
        assert each.name in text, f"docs/operating.md does not tell of {each.name}"
    for key in re.findall(r"^LoadCredential=([\w.-]+)", "".join(
            each.read_text() for each in UNITS), re.M):  # fmt: skip
        assert key in text, f"docs/operating.md does not tell of {key}"


def commands():
    listed = run(support.program("ringtape"), "--help", check=True).stdout
    return re.findall(r"^  ([a-z]+) +\S", listed, re.M)


def test_every_command_has_a_manual_page_with_all_its_options(pages):
    for name in commands():
        page = (pages / "man" / f"ringtape-{name}.1").read_text()
        said = run(support.program("ringtape"), name, "--help", check=True).stdout
        for option in re.findall(r"^  --([a-z-]+)", said, re.M):
            assert f"Fl \\-{option}".replace("-", "\\-").replace("\\\\-", "\\-") in page
    text = (pages / "man" / "ringtaped.yaml.5").read_text()
    keys = run(support.program("ringtaped"), "--help-config", check=True).stdout
    for key in re.findall(r"^ *([a-z_]+):(?:  \(|$)", keys, re.M):
        assert f".It Ic {key}" in text


@have("mandoc")
def test_manual_pages_are_good_mdoc(pages):
    """Pages that are not installed here are not missed."""
    done = run("mandoc", "-Tlint", "-Wstyle", *sorted((pages / "man").iterdir()))
    said = [line for line in (done.stdout + done.stderr).splitlines()
            if "referenced manual not found" not in line and "mandoc.db" not in line]  # fmt: skip
    assert said == []


BASH = r"""
complete_line() {
    local line=$1 program=${1%% *}
    COMP_LINE=$line COMP_POINT=${#line}
    read -ra COMP_WORDS <<<"$line"
    if [[ $line == *" " ]]; then COMP_WORDS+=(""); fi
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMPREPLY=()
    compopt() { :; }
    "$(complete -p "$program" | sed 's/.*-F \([^ ]*\).*/\1/')"
    echo "${COMPREPLY[*]}"
}
for each in "$1"/*; do source "$each"; done
while IFS= read -r line; do complete_line "$line"; done
"""

COMPLETED = {
    "ringtape co": "coverage compact",
    "ringtape cat --ch": "--channel",
    "ringtape cat --channel tr": "trade",
    "ringtape cat --channel=qu": "quote",
    "ringtape ls --symbol binance": "binance: binance-usdm:",
    "ringtape inspect /et": "/etc",
    "ringtape candles --as-of ": "first last all",
    "ringtaped --che": "--check",
    "ringtaped --config /et": "/etc",
    "exchange-sim --at-end=h": "hold",
    "exchange-sim --listen=u": "upbit:",
}


def test_bash_completes(pages):
    given = "".join(line + "\n" for line in COMPLETED)
    done = run("bash", "-uc", BASH, "bash", pages / "bash", input=given)
    assert done.stderr == ""
    assert dict(zip(COMPLETED, done.stdout.splitlines(), strict=True)) == COMPLETED


def test_bash_completes_every_command_and_option(pages):
    lines = []
    for name in commands():
        said = run(support.program("ringtape"), name, "--help", check=True).stdout
        lines += [f"ringtape {name} {each}" for each in re.findall(r"^  (--[a-z-]+)", said, re.M)]
    done = run("bash", "-uc", BASH, "bash", pages / "bash", input="\n".join(lines) + "\n")
    for line, got in zip(lines, done.stdout.splitlines(), strict=True):
        assert line.split()[-1] in got.split(), line


ZSH = r"""
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z "PS1=; stty -echo; fpath=($1 \$fpath); autoload -U compinit; compinit -u -D; \
    zstyle ':completion:*' list-prompt ''; bindkey '^I' expand-or-complete; unsetopt beep; print up"
zpty -r z line '*up*'
zpty -n -w z "$2"$'\t'
zpty -n -w z $'\C-a'"print -r -- :"$'\C-e'":"$'\n'
zpty -r z line '*:ringtape*:'$'\r'
print -r -- "$line"
zpty -d z
"""


@have("zsh")
def test_zsh_reads_what_is_made_and_completes(pages):
    for each in sorted((pages / "zsh").iterdir()):
        assert run("zsh", "-n", each).stderr == ""
    for typed, wanted in (
        ("ringtape cov", ":ringtape coverage:"),
        ("ringtape cat --chan", ":ringtape cat --channel:"),
        ("ringtape cat --channel tra", ":ringtape cat --channel trade:"),
    ):
        done = run("zsh", "-fc", ZSH, "zsh", pages / "zsh", typed)
        assert wanted in done.stdout, done.stdout + done.stderr


def test_purging_takes_what_is_on_a_linked_disk_and_nothing_that_links_lead_to(tmp_path):
    """postrm with folders of our own and a debconf that answers; mounts take root: ops-test."""
    disk, outside = tmp_path / "disk", tmp_path / "outside"
    store, lake = tmp_path / "store", tmp_path / "lake"
    for folder in (disk / "tape", lake / ".hidden"):
        folder.mkdir(parents=True)
        (folder / "file").write_text("x")
        (folder / "link").symlink_to(outside)
    outside.write_text("as it was")
    store.symlink_to(disk)
    text = (support.ROOT / "deploy" / "debian" / "ringtape.postrm").read_text()
    text = re.sub("^data=.*$", f'data="{store} {lake} {tmp_path}/none"', text, flags=re.M)
    text = text.replace("/usr/share/debconf/confmodule", f"{tmp_path}/confmodule")
    (tmp_path / "postrm").write_text(text.replace("#DEBHELPER#", ""))
    for answer in ("false", "true"):
        (tmp_path / "confmodule").write_text(
            "db_version() { :; }; db_fset() { :; }; db_subst() { :; }; db_input() { :; }\n"
            "db_go() { :; }; db_get() { RET=%s; }\n" % answer
        )
        done = run("sh", tmp_path / "postrm", "purge")
        assert done.returncode == 0, done.stderr
        if answer == "false":
            assert f"what was recorded stays: {store} {lake}" in done.stderr
            assert (disk / "tape" / "file").exists() and (lake / ".hidden" / "file").exists()
    assert list(disk.iterdir()) == [] and not store.is_symlink() and not lake.exists()
    assert outside.read_text() == "as it was"
