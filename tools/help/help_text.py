# SPDX-License-Identifier: GPL-3.0-or-later
"""What a program's --help says, taken apart: usage, paragraphs, tables of options and of commands.
The form is that of every program here: 'usage: ...' lines, then blocks; a table's line is two
blanks, what is typed, two blanks or more, what it means, and goes on further to the right."""

import re
import subprocess
from dataclasses import dataclass, field

# Between what is typed and what it means.
GAP = re.compile(r" {2,}(?=\S)")
# The name of a command is not always two blanks away from its meaning.
COMMAND = re.compile(r"^  ([a-z]+) +(\S.*)$")


@dataclass
class Option:
    """One line of a table: '--host=ADDRESS', '--to DIR', '--help, --version'."""

    names: list  # of (name, value), value '' where it takes none
    joined: bool  # by '=': '--name=VALUE'
    meaning: str
    section: str = ""  # heading of its table, where it has one

    @property
    def repeats(self):
        return "may be repeated" in self.meaning


@dataclass
class Help:
    name: str  # 'ringtape cat'
    usage: list = field(default_factory=list)
    summary: str = ""
    paragraphs: list = field(default_factory=list)  # before the tables
    options: list = field(default_factory=list)
    commands: list = field(default_factory=list)  # of (name, meaning)
    notes: list = field(default_factory=list)  # of (title, text): 'Signals', 'Exit codes', ''

    @property
    def operands(self):
        """What follows the options: ['FILE'], ['DIR'], ['YYYY-MM-DD']."""
        last = self.usage[0].split()[-1]
        return [last] if re.fullmatch(r"[A-Z-]{3,}", last) else []


def asked(program, *arguments):
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def option_of(typed, meaning, section):
    names, joined = [], "=" in typed
    for each in typed.split(", "):
        name, optional, value = re.fullmatch(r"(--[a-z0-9-]+)(\[?)[= ]?(.*)", each).groups()
        names.append((name, value.removesuffix("]") if optional else value))
    return Option(names, joined, meaning, section)


def take_table_line(found, line, section, open_row):
    """True: the line begins a row or goes on with one."""
    if not line.startswith("  "):
        return None
    stripped = line.strip()
    command = COMMAND.match(line)
    if line.startswith("  --"):
        typed, _, meaning = (GAP.split(stripped, maxsplit=1) + ["", ""])[0], "", ""
        rest = stripped[len(typed) :].strip()
        # 'agg_trade' and the like may stand one blank away from a value that is too long.
        if not rest and " " in typed and not re.match(r"^--\S+( [A-Z]\S*)?(, --\S+)*$", typed):
            head = re.match(r"^(--\S+ \S+) (.*)$", typed)
            typed, rest = head.group(1), head.group(2)
        row = option_of(typed, rest or meaning, section)
        found.options.append(row)
        return row
    if command and open_row is None or command and isinstance(open_row, list):
        row = [command.group(1), command.group(2)]
        found.commands.append(row)
        return row
    if isinstance(open_row, Option):
        open_row.meaning = f"{open_row.meaning} {stripped}".strip()
        return open_row
    return None


def note_of(block):
    title, colon, text = block.partition(": ")
    if colon and re.match(r"^[A-Z][a-z]+( [a-z]+)?$", title):
        return title, text
    return "", block


def parsed(name, text):
    found = Help(name)
    section, row, block, tables = "", None, [], False

    def end_block():
        if block:
            whole = " ".join(block)
            found.notes.append(note_of(whole)) if tables else found.paragraphs.append(whole)
            block.clear()

    for line in text.splitlines():
        if line.startswith("usage: ") or (found.usage and line.startswith("       ") and not
                                          found.paragraphs and not tables and not block):
            found.usage.append(line.removeprefix("usage: ").strip())
            continue
        taken = take_table_line(found, line, section, row)
        if taken is not None:
            end_block()
            row, tables = taken, True
        elif not line.strip():
            end_block()
            row = None
        elif re.match(r"^[A-Z][a-z]+( [a-z]+)?: ", line):
            end_block()
            block.append(line)
        elif re.match(r"^[a-z][a-z ]+( \(.*\))?$", line) and not block:
            section, row = line, None
        else:
            block.append(line.strip())
    end_block()
    found.summary = found.paragraphs[0] if found.paragraphs else ""
    return found


def program_help(program, name, *arguments):
    return parsed(name, asked(program, *arguments, "--help"))
