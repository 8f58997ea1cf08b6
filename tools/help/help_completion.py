# SPDX-License-Identifier: GPL-3.0-or-later
"""Completion for bash and zsh, of what help_text has taken apart."""

import re

HEAD = "# SPDX-License-Identifier: GPL-3.0-or-later\n# Made from what --help says."
EXCHANGES = ["binance", "binance-usdm", "upbit"]


def values(option, value):
    """Words that may follow, 'dir', 'file', or nothing known."""
    meaning = option.meaning
    if value in ("DIR", "STORE"):
        return "dir"
    if value == "FILE" or value.endswith(":FILE"):
        return "file"
    if "|" in value:
        return value.split("|")
    if value in ("NAME", "CHANNEL", "A,B"):
        listed = max(re.findall(r"\w+(?:, \w+)+", meaning) or [""], key=len)
        return [word for word in listed.split(", ") if word]
    if value.startswith("EXCHANGE"):
        return [f"{each}:" for each in EXCHANGES]
    if value == "WHEN":
        return re.findall(r"(?:^|; )(\w+)[^:;]*:", meaning)
    return []


def flags(help):
    return [(name, value, option) for option in help.options for name, value in option.names]


# ---- bash ----


def bash_case(help):
    """Lines of a case over the option before the cursor."""
    groups = {}
    for name, value, option in flags(help):
        if value:
            known = values(option, value)
            groups.setdefault(known if isinstance(known, str) else " ".join(known), []).append(name)
    for known, names in groups.items():
        action = {
            "dir": "compopt -o filenames; COMPREPLY=($(compgen -d -- \"$word\"))",
            "file": "compopt -o filenames; COMPREPLY=($(compgen -f -- \"$word\"))",
        }.get(known, f"_ringtape_words \"{known}\"")
        yield f"    {' | '.join(sorted(names))}) {action} ;;"


def bash_function(name, help):
    operand = {"DIR": "-d", "FILE": "-f"}.get((help.operands or [""])[0])
    options = " ".join(
        each + ("=" if option.joined and value else "") for each, value, option in flags(help)
    )
    lines = [f"{name}() {{", "    case $before in", *bash_case(help), "    *)"]
    if operand:
        lines += [
            "        if [[ $word != -* ]]; then",
            "            compopt -o filenames",
            f"            COMPREPLY=($(compgen {operand} -- \"$word\"))",
            "            return",
            "        fi",
        ]
    lines += [f"        _ringtape_words \"{options}\" ;;", "    esac", "}", ""]
    return lines


BASH_COMMON = r"""
# The word at the cursor and the option it belongs to: bash takes '--to=x' and 'a:b' apart.
_ringtape_start() {
    local line=${COMP_LINE:0:COMP_POINT}
    word=${line##*[[:space:]]}
    split=""
    before=${line%"$word"}
    before=${before%"${before##*[![:space:]]}"}
    before=${before##*[[:space:]]}
    if [[ $word == --*=* ]]; then
        before=${word%%=*}
        split=$before=
        word=${word#*=}
    elif [[ $before != --* ]]; then
        before=""
    fi
}

# What bash inserts replaces what stands behind the last of its word breaks.
_ringtape_words() {
    local each cut=""
    if [[ $word == *:* && $COMP_WORDBREAKS == *:* ]]; then cut=${word%"${word##*:}"}; fi
    COMPREPLY=()
    for each in $1; do
        [[ $each == "$word"* ]] || continue
        if [[ $each == *[:=] ]]; then compopt -o nospace; fi
        COMPREPLY+=("${each#"$cut"}")
    done
}
"""


def bash(program, help, commands):
    """One file a program; commands: name -> help."""
    stem = "_" + program.replace("-", "_")
    lines = [HEAD, BASH_COMMON]
    for name, each in commands.items():
        lines += bash_function(f"{stem}_{name}", each)
    lines += bash_function(f"{stem}_options", help)
    lines += [f"{stem}() {{", "    local word before split", "    _ringtape_start"]
    if commands:
        names = " ".join([*commands, "--help", "--version"])
        lines += [
            "    if [ \"$COMP_CWORD\" = 1 ]; then",
            f"        _ringtape_words \"{names}\"",
            f"    elif declare -F \"{stem}_${{COMP_WORDS[1]}}\" >/dev/null; then",
            f"        \"{stem}_${{COMP_WORDS[1]}}\"",
            "    fi",
        ]
    else:
        lines += [f"    {stem}_options"]
    lines += ["}", f"complete -F {stem} {program}"]
    return "\n".join(lines) + "\n"


# ---- zsh ----


def zsh_quoted(text):
    # Within single quotes, in a specification where brackets and colons have meanings.
    text = re.sub(r"([\\\[\]:])", r"\\\1", text)
    return text.replace("'", "'\\''")


def zsh_action(option, value):
    known = values(option, value)
    if known == "dir":
        return "_files -/"
    if known == "file":
        return "_files"
    if not known:
        return " "
    if known[0].endswith(":"):
        return "compadd -S \"\" -- " + " ".join(known)
    return "(" + " ".join(known) + ")"


def zsh_specs(help):
    for name, value, option in flags(help):
        text = ("*" if option.repeats else "") + name
        if value:
            text += "=" if option.joined else ""
        text += f"[{zsh_quoted(option.meaning.split('. ')[0])}]"
        if value:
            text += f":{zsh_quoted(value)}:{zsh_action(option, value)}"
        yield f"'{text}'"
    for operand in help.operands:
        action = {"DIR": "_files -/", "FILE": "_files"}.get(operand, " ")
        yield f"'*:{operand}:{action}'"


def zsh_arguments(help, indent):
    inside = f" \\\n{indent}    ".join(zsh_specs(help))
    return f"{indent}_arguments \\\n{indent}    {inside}"


def zsh(program, help, commands):
    lines = [f"#compdef {program}", HEAD, ""]
    if not commands:
        return "\n".join([*lines, zsh_arguments(help, "")]) + "\n"
    lines += ["local -a commands=("]
    for name, meaning in help.commands:
        lines.append(f"    '{name}:{zsh_quoted(meaning)}'")
    lines += [
        ")",
        "if ((CURRENT == 2)); then",
        "    _describe command commands",
        "    return",
        "fi",
        "local command=$words[2]",
        "shift words",
        "((CURRENT--))",
        "case $command in",
    ]
    for name, each in commands.items():
        lines += [f"{name})", zsh_arguments(each, "    "), "    ;;"]
    return "\n".join([*lines, "esac"]) + "\n"
