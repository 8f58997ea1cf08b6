#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manual pages and completion for bash and zsh, made from what the programs say by --help.

    pages.py BIN OUT    of the programs in the folder BIN into OUT/man, OUT/bash, OUT/zsh

Times are those of SOURCE_DATE_EPOCH."""

import os
import pathlib
import sys
import time

import help_completion
import help_man
import help_text


def main(programs, out):
    day = help_man.day_of(int(os.environ.get("SOURCE_DATE_EPOCH", time.time())))
    for folder in ("man", "bash", "zsh"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    for name, section in (("ringtape", 1), ("exchange-sim", 1), ("ringtaped", 8)):
        program(programs / name, section, day, out)
    text = help_text.asked(programs / "ringtaped", "--help-config")
    (out / "man" / "ringtaped.yaml.5").write_text(help_man.configuration(text, day))


def program(path, section, day, out):
    help = help_text.program_help(path, path.name)
    if not help.summary:
        help.summary = "tools for a store of ringtaped"
    commands = {}
    for name, meaning in help.commands:
        commands[name] = help_text.program_help(path, f"{path.name} {name}", name)
        commands[name].summary = meaning
    (out / "bash" / path.name).write_text(help_completion.bash(path.name, help, commands))
    (out / "zsh" / f"_{path.name}").write_text(help_completion.zsh(path.name, help, commands))
    for each in [help, *commands.values()]:
        page = out / "man" / f"{each.name.replace(' ', '-')}.{section}"
        page.write_text(help_man.program(each, section, day))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
