# SPDX-License-Identifier: GPL-3.0-or-later
"""Manual pages, in mdoc(7), of what help_text has taken apart."""

import re
import textwrap
import time

# What else to read, by page.
SEE = {
    "ringtaped": ["ringtape 1", "ringtaped.yaml 5", "systemd.service 5"],
    "ringtape": ["ringtaped 8"],
    "exchange-sim": ["ringtaped 8"],
    "ringtaped.yaml": ["ringtaped 8"],
}


def escaped(text):
    """A blank and a quote at a line's beginning, a backslash and a minus have meanings in roff."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    return re.sub(r"^([.'])", r"\\&\1", text)


def sentences(text):
    """Each begins a line, as mdoc wants it."""
    lines = []
    for each in re.split(r"(?<=[a-zA-Z0-9)'][.?]) (?=[A-Z])", text):
        lines += textwrap.wrap(each, 72, break_long_words=False, break_on_hyphens=False)
    return "\n".join(escaped(line) for line in lines)


def head(name, section, day, summary):
    short = re.split(r"(?<=[a-z])[.:;](?: |$)", summary)[0].rstrip(".")
    return [
        '.\\" Made from what --help says.',
        f".Dd {day}",
        f".Dt {name.upper()} {section}",
        ".Os ringtape",
        ".Sh NAME",
        f".Nm {name}",
        f".Nd {escaped(short[:1].lower() + short[1:] if not short[:2].isupper() else short)}",
    ]


def flag(name, value, joined):
    text = f"Fl \\-{escaped(name[2:])}"
    if value:
        text += (" Ns = Ns" if joined else "") + f" Ar {escaped(value)}"
    return text


def options(help):
    lines, section = [], None
    for option in help.options:
        if option.section != section:
            if section is not None:
                lines.append(".El")
            section = option.section
            if section:
                lines.append(f".Ss {escaped(section[:1].upper() + section[1:])}")
            lines.append(".Bl -tag -width Ds")
        flags = " , ".join(flag(name, value, option.joined) for name, value in option.names)
        lines.append(f".It {flags}")
        if option.meaning:
            lines.append(sentences(option.meaning))
    return [".Sh OPTIONS", *lines, ".El"] if lines else []


def commands(help):
    lines = []
    for name, meaning in help.commands:
        lines += [f".It Xr ringtape-{name} 1", sentences(meaning[:1].upper() + meaning[1:] + ".")]
    return [".Sh COMMANDS", ".Bl -tag -width Ds", *lines, ".El"] if lines else []


def synopsis(help):
    lines = [".Sh SYNOPSIS"]
    for usage in help.usage:
        words = usage.removeprefix(help.name).strip()
        lines += [f".Nm {help.name}", *synopsis_words(words)]
    return lines


def synopsis_words(words):
    for each in re.findall(r"\[[^\]]*\]|\S+", words):
        if each == "|":
            yield ".No \\&|"
        elif each.startswith("["):
            yield ".Op " + " ".join(synopsis_word(word) for word in each[1:-1].split())
        else:
            yield "." + synopsis_word(each)


def synopsis_word(word):
    if word.startswith("--"):
        return f"Fl \\-{escaped(word[2:])}"
    return f"Ar {escaped(word.lower())}"


def notes(help):
    lines = []
    for title, text in help.notes:
        if title == "Exit codes":
            lines += [".Sh EXIT STATUS", sentences(text)]
        elif title:
            lines += [f".Sh {title.upper()}", sentences(text)]
    return lines


def program(help, section, day):
    """The text of a page; `help.name` is 'ringtape cat'."""
    name = help.name.replace(" ", "-")
    first = [note for note in help.notes if not note[0]]
    help.notes = [note for note in help.notes if note[0]]
    lines = head(name, section, day, help.summary)
    lines += synopsis(help)
    said = [*help.paragraphs, *(text for _, text in first)]
    lines += [".Sh DESCRIPTION", "\n.Pp\n".join(sentences(each) for each in said)]
    lines += commands(help) + options(help)
    lines += notes(help)
    see = SEE.get(name, ["ringtape 1", "ringtaped 8"])
    lines.append(".Sh SEE ALSO")
    lines += [f".Xr {page}" + (" ," if page != see[-1] else "") for page in see]
    return "\n".join(lines) + "\n"


# ---- the configuration ----


def configuration(text, day):
    """ringtaped.yaml(5) from --help-config: keys by indent, each with lines of meaning."""
    lines = head("ringtaped.yaml", 5, day, "what ringtaped records, and how")
    lines += [
        ".Sh DESCRIPTION",
        "YAML.",
        "Durations carry a unit (ns us ms s m h d), sizes too (B KiB MiB GiB TiB);",
        "numbers are whole.",
        "A mistake is told with file, line and key;",
        ".Ql ringtaped \\-\\-check \\-\\-config \\fIFILE\\fP",
        "finds them all.",
        ".Sh KEYS",
        ".Bl -tag -width Ds",
    ]
    depth = 0
    for line in text.splitlines():
        indent = (len(line) - len(line.lstrip())) // 4
        key = re.match(r"^\s*([a-z_]+):(?:  \((.*)\))?$", line)
        if not key:
            lines += meaning_of_key(line.strip())
            continue
        while depth < indent:
            lines.append(".Bl -tag -width Ds")
            depth += 1
        while depth > indent:
            lines.append(".El")
            depth -= 1
        state = f" Pq {escaped(key.group(2))}" if key.group(2) else ""
        lines.append(f".It Ic {escaped(key.group(1))}{state}")
    lines += [".El"] * (depth + 1)
    lines += [".Sh FILES", ".Bl -tag -width Ds", ".It Pa /etc/ringtape/ringtaped.yaml"]
    lines += ["What the service", ".Pa ringtaped.service", "reads.", ".El"]
    lines += [".Sh SEE ALSO", ".Xr ringtaped 8"]
    return "\n".join(lines) + "\n"


def meaning_of_key(text):
    if text.startswith("expected: "):
        return [sentences("Expected: " + text.removeprefix("expected: ") + ".")]
    text = text[:1].upper() + text[1:]
    return [sentences(text if text.endswith(".") else text + ".")]


def day_of(epoch):
    return time.strftime("%B %-d, %Y", time.gmtime(epoch))
