#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What a reader of this tree may rely on, held by a test: sizes, directions of dependency, what is
# confined to one file, licences, words and calls that are not used. Standard library only.
#
#     python3 tests/tidy.py            check the tree; the last line is 'N passed, N failed'
#
# Each rule is a function that takes the tree and yields violations as 'path:line: what'. A rule
# also has samples that it must object to, checked at every run, so that no rule rots into a nod.
import ast
import os
import re
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

ROOMS = ["base", "io", "protocol", "exchange", "derive", "keep", "capture", "publish", "control"]
# Bytes in, bytes or events out: no clock, no socket, no thread.
PURE = ("src/protocol/", "src/exchange/", "src/derive/")
HOT = PURE + ("src/capture/", "src/keep/")
CODE = (".c", ".h", ".py", ".sh", ".zig", ".mjs", ".js", ".sql", "tools/dev", "tools/dev.d/step")
CODE += (".ci/run",)
FILE_LINES, FUNCTION_LINES, COLUMNS, MEDIAN_LINES = 600, 70, 100, 12


STRING = re.compile(r"\"(?:\\.|[^\"\\\n])*\"")


def blank_inside(match):
    return '"' + " " * (len(match.group(0)) - 2) + '"'


class File:
    """One file: its text, and for C the text without comments and string contents."""

    def __init__(self, path, text):
        self.path, self.text = path, text
        self.lines = text.split("\n")
        self.is_c = path.endswith((".c", ".h"))
        self.is_code = path.endswith(CODE)
        self.code = blank_c(text) if self.is_c else text
        self.code_lines = self.code.split("\n")
        # Comments included, string contents not.
        prose = re.sub(STRING, blank_inside, text) if self.is_c else text
        self.prose_lines = prose.split("\n")

    def find(self, pattern, lines=None):
        for number, line in enumerate(lines or self.code_lines, 1):
            match = re.search(pattern, line)
            if match:
                yield number, match


def blank_c(text):
    """Comments and string contents become spaces; line breaks stay where they are."""
    token = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.S)

    def blank(match):
        found = match.group(0)
        kept = re.sub(r"[^\n]", " ", found)
        return found[0] + kept[1:-1] + found[0] if found[0] in "\"'" else kept

    # An #include keeps its file name.
    parts = []
    for line in re.split(r"(^[ \t]*#[ \t]*include[^\n]*$)", text, flags=re.M):
        parts.append(line if re.match(r"[ \t]*#[ \t]*include", line) else token.sub(blank, line))
    return "".join(parts)


def functions(file):
    """(name, first line, lines) of each C function definition in the file."""
    code = re.sub(r"^[ \t]*#(?:[^\n\\]|\\.)*(?:\\\n[^\n]*)*", blank_lines, file.code, flags=re.M)
    depth, start, head = 0, 0, 0
    for place, character in enumerate(code):
        if character == "{":
            if depth == 0:
                start = place
            depth += 1
        elif character == "}" and depth > 0:
            depth -= 1
            if depth == 0:
                name = function_name(code[head:start])
                if name:
                    first = head + len(code[head:start]) - len(code[head:start].lstrip())
                    line = code.count("\n", 0, first) + 1
                    yield name, line, code.count("\n", first, place) + 1
                head = place + 1
        elif character == ";" and depth == 0:
            head = place + 1


def blank_lines(match):
    return re.sub(r"[^\n]", " ", match.group(0))


def function_name(head):
    head = re.sub(r"__attribute__\s*\(\(.*?\)\)", "", head, flags=re.S).strip()
    match = re.match(r"[^=]*?(\w+)\s*\(.*\)\s*$", head, re.S)
    return match.group(1) if match else None


def python_functions(file):
    for node in ast.walk(ast.parse(file.text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, node.lineno, node.end_lineno - node.lineno + 1


def includes(file):
    for number, match in file.find(r'^\s*#\s*include\s+(["<])([^">]+)[">]'):
        yield number, match.group(1), match.group(2)


def room_of(path):
    match = re.match(r"(?:src/)?(\w+)/", path)
    if path.startswith("src/"):
        return match.group(1) if match and match.group(1) in ROOMS else None
    return match.group(1) if match else None


# ---- rules ---------------------------------------------------------------------------------------


def files_are_short(tree):
    for file in tree:
        if file.is_code and len(file.lines) - 1 > FILE_LINES:
            yield f"{file.path}:1: {len(file.lines) - 1} lines, at most {FILE_LINES}"


def lines_are_short(tree):
    for file in tree:
        for number, line in enumerate(file.lines, 1) if file.is_code else ():
            if len(line) > COLUMNS:
                yield f"{file.path}:{number}: {len(line)} columns, at most {COLUMNS}"


def functions_are_short(tree):
    for file in tree:
        found = functions(file) if file.is_c else ()
        if file.path.endswith(".py"):
            found = python_functions(file)
        for name, line, length in found:
            if length > FUNCTION_LINES:
                yield f"{file.path}:{line}: {name} has {length} lines, at most {FUNCTION_LINES}"


def product_functions(tree):
    for file in tree:
        if file.path.endswith(".c") and file.path.startswith(("src/", "format/", "tools/")):
            yield from functions(file)


def functions_are_mostly_small(tree):
    lengths = [length for _, _, length in product_functions(tree)]
    if lengths and statistics.median(lengths) > MEDIAN_LINES:
        yield f"median of {statistics.median(lengths)} lines a function, at most {MEDIAN_LINES}"


def dependencies_point_one_way(tree):
    for file in tree:
        for number, _, name in includes(file) if file.is_c else ():
            why = None
            mine, theirs = room_of(file.path), room_of("src/" + name)
            if name.startswith("src/"):
                why = "name rooms without src/"
            elif file.path.startswith("format/"):
                if theirs or name.startswith(("tools/", "tests/", "bench/")):
                    why = "format uses nothing of the daemon"
            elif file.path.startswith("src/"):
                if name.startswith(("tools/", "tests/", "bench/")):
                    why = "the daemon uses no tools and no tests"
                elif theirs and ROOMS.index(theirs) > ROOMS.index(mine):
                    why = f"{mine} comes before {theirs}"
            elif file.path.startswith("tools/ringtape"):
                if theirs and theirs not in ("base", "protocol", "exchange", "derive"):
                    why = "the toolbox uses format and what is pure alone"
            if why:
                yield f"{file.path}:{number}: includes {name}: {why}"


def format_is_a_library(tree):
    forbidden = r"^(sys/socket|netinet|arpa|pthread|threads|netdb|liburing|wolfssl|librdkafka)"
    for file in tree:
        for number, kind, name in includes(file) if file.path.startswith("format/") else ():
            if kind == "<" and re.match(forbidden, name):
                yield f"{file.path}:{number}: format has no sockets, no threads: {name}"
        if file.path.startswith("format/") and file.is_c:
            for number, match in file.find(r"^static\s+[^(]*?\b(\w+)(\[[^;]*)?\s*(=|;)"):
                if not re.search(r"\bconst\b|\(", file.code_lines[number - 1]):
                    yield f"{file.path}:{number}: format has no global state: {match.group(1)}"


# Of each library: its headers and its functions, and the files that may name them.
CONFINED = [
    (r"<liburing|\bio_uring_\w+\s*\(", ("src/io/io_uring.c", "src/io/io_uring_probe.c"),
     "liburing"),
    (r"<wolfssl", ("src/protocol/tls_wolfssl.h",), "wolfSSL's headers"),
    (
        r"\bwolfSSL_\w+\s*\(|\bwolfssl_hook_\w+\s*\(|\bwc_[A-Z]\w+\s*\(|tls_wolfssl\.h",
        ("src/protocol/tls.c", "src/protocol/aes_gcm.c", "src/protocol/tls_context.c",
            "src/protocol/tls_failure.c"),
        "wolfSSL",
    ),
    (r"<intel-ipsec|\bIMB_\w+\s*\(", ("src/protocol/aes_gcm.c",), "ipsec-mb"),
    (r"<yaml|\byaml_\w+\s*\(", ("src/control/config.c",), "libyaml"),
    (r"<microhttpd|\bMHD_\w+\s*\(", ("src/control/http_server.c",), "libmicrohttpd"),
    (r"<n?curses", ("tools/ringtape_screen.c",), "ncurses"),
    (r"<curl|\bcurl_\w+\s*\(", ("tools/ringtape_backfill_fetch.c",), "libcurl"),
    (r"<zip\.h|<isa-l|<openssl", ("tools/ringtape_backfill_zip.c",), "libzip, ISA-L, libcrypto"),
]
CONFINED_ROOMS = [(r"<librdkafka|\brd_kafka_\w+\s*\(", "src/publish/", "librdkafka")]


def libraries_are_confined(tree):
    for file in tree:
        if not file.is_c or not file.path.startswith(("src/", "format/", "tools/")):
            continue
        if file.path.startswith("tools/dev.d/"):
            continue
        named = [rule for rule in CONFINED if file.path not in rule[1]]
        named += [rule for rule in CONFINED_ROOMS if not file.path.startswith(rule[1])]
        for pattern, home, what in named:
            for number, match in file.find(pattern):
                yield f"{file.path}:{number}: {what} outside of {home}: {match.group(0)}"


def money_is_never_floating(tree):
    for file in tree:
        if not file.is_c or not file.path.startswith(("src/", "format/")):
            continue
        words = r"price|quantity|volume|mantissa|\bbid|\bask|turnover|vwap|\btick_size|\bstep_size"
        for number, _ in file.find(rf"\b(double|float)\b.*({words})|({words}).*\b(double|float)\b"):
            yield f"{file.path}:{number}: a price or quantity is an integer with a scale"


def licence_of(path):
    return "Apache-2.0" if path.startswith("format/") else "GPL-3.0-or-later"


def licences_are_named(tree):
    for file in tree:
        if not file.is_code:
            continue
        head = [line for line in file.lines[:2] if not line.startswith("#!")][:1]
        match = re.match(r"(?://|#|--) SPDX-License-Identifier: (\S+)$", head[0] if head else "")
        allowed = {licence_of(file.path)}
        if file.path.startswith(("tools/lake/", "docs/")):
            allowed.add("Apache-2.0")
        if not match or match.group(1) not in allowed:
            yield f"{file.path}:1: needs 'SPDX-License-Identifier: {licence_of(file.path)}'"


def files_open_with_their_contract(tree):
    for file in tree:
        held = re.match(r"(src|format|tools|bench)/", file.path)
        if held and file.is_c and not any(line.startswith("// ") for line in file.lines[1:4]):
            yield f"{file.path}:2: opens without saying what it is for"


BANNED = """strcpy strcat sprintf vsprintf stpcpy gets atoi atol atoll atof strtod strtof strtold
    strtok sscanf alloca setjmp longjmp system popen tmpnam mktemp asctime ctime localtime gmtime
    rand srand random drand48 strncpy assert""".split()
BANNED_PURE = """clock_gettime gettimeofday time socket connect send recv poll epoll_wait read write
    open close fopen fread fwrite getrandom pthread_create pthread_mutex_lock""".split()
# What may open a file all the same: the trust and the certificates of TLS.
PURE_EXCEPT = ("src/protocol/tls",)


def calls_are_safe(tree):
    banned = r"(?<![\w.>])(" + "|".join(BANNED) + r")\s*\("
    pure = r"(?<![\w.>])(" + "|".join(BANNED_PURE) + r")\s*\("
    for file in tree:
        if not file.is_c or file.path.startswith("tests/"):
            continue
        for number, match in file.find(banned):
            yield f"{file.path}:{number}: {match.group(1)}() is not used here"
        if file.path.startswith(PURE) and not file.path.startswith(PURE_EXCEPT):
            for number, match in file.find(pure):
                yield f"{file.path}:{number}: {match.group(1)}() in a pure room"


def tests_do_not_sleep(tree):
    for file in tree:
        # Waiting for a lock at start, before there is a loop, is the seam's own affair.
        if file.is_c and re.match(r"tests/|format/|src/(?!io/)", file.path):
            for number, match in file.find(r"\b(sleep|usleep|nanosleep|clock_nanosleep)\s*\("):
                yield f"{file.path}:{number}: {match.group(1)}(): wait for the thing itself"


# The functions that take memory at start and give it back at the end.
START = r"(_|^)(init|create|open|load|new|start|sweep|prepare|reserve|grow|allocate|malloc|realloc)"


def memory_is_taken_at_start(tree):
    for file in tree:
        if not file.path.startswith(HOT) or not file.path.endswith(".c"):
            continue
        spans = [(line, line + length, name) for name, line, length in functions(file)]
        for number, match in file.find(r"(?<![\w.>])(malloc|calloc|realloc|aligned_alloc)\s*\("):
            name = next((n for first, end, n in spans if first <= number < end), "")
            if not re.search(START, name):
                yield f"{file.path}:{number}: {match.group(1)}() in {name}(), not at start"


def nothing_is_left_over(tree):
    marks = "|".join(["TO" + "DO", "FIX" + "ME", "X" * 3, "HA" + "CK"])
    for file in tree:
        if file.is_code or file.path.endswith(".md"):
            for number, match in file.find(rf"\b({marks})\b", file.prose_lines):
                yield f"{file.path}:{number}: {match.group(1)}"


def structs_have_no_typedef(tree):
    for file in tree:
        for number, match in file.find(r"\btypedef\s+(struct|enum|union)\b") if file.is_c else ():
            yield f"{file.path}:{number}: typedef of a {match.group(1)}"


def file_names_are_unique(tree):
    seen = {}
    for file in tree:
        name = os.path.basename(file.path)
        if file.path.endswith((".c", ".h", ".py", ".sh", ".mjs", ".js")) and name != "__init__.py":
            if name in seen:
                yield f"{file.path}:1: the name is also that of {seen[name]}"
            seen[name] = file.path


def documents_have_one_title(tree):
    for file in tree:
        if not file.path.endswith(".md"):
            continue
        text = re.sub(r"^```.*?^```", blank_lines, file.text, flags=re.M | re.S)
        titles = re.findall(r"^# ", text, re.M)
        if len(titles) != 1 or not file.text.startswith("# "):
            yield f"{file.path}:1: {len(titles)} titles, needs one, on the first line"


def the_tree_knows_no_machine(tree):
    places = ["/wo" "rk/", "/ro" "ot/", r"/ho" r"me/\w", r"pypi\.o" r"rg", r"npmj" r"s\.(org|com)"]
    places += [r"deb\.deb" r"ian\.org", r"crates\.i" r"o\b"]
    for file in tree:
        for number, match in file.find("|".join(places), file.lines):
            yield f"{file.path}:{number}: names a machine's place: {match.group(0)}"


def the_tree_speaks_of_itself(tree):
    words = r"\bissue #?\d|\bCl" r"aude\b|\bChat" r"GPT\b|\bCopi" r"lot\b|\bLL" r"M\b"
    for file in tree:
        for number, match in file.find(words, file.lines):
            if file.is_code or file.path.endswith(".md"):
                yield f"{file.path}:{number}: {match.group(0)}"


def log_messages_are_said(tree):
    """The compiler holds that what is said is in the catalogue; this is the other way."""
    catalogue = next((file for file in tree if file.path == "src/base/log_messages.h"), None)
    names = re.findall(r"\bMESSAGE\((\w+),", catalogue.code) if catalogue else []
    said = "\n".join(f.code for f in tree if f.path.startswith("src/") and f.path.endswith(".c"))
    for name in names:
        if not re.search(rf"\bLOG_{name}\b", said):
            yield f"src/base/log_messages.h:1: nobody says LOG_{name}"


def headers_stand_alone(tree):
    headers = [file.path for file in tree if file.path.endswith(".h")]
    base = ["gcc", "-std=c17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
    base += ["-I.", "-Isrc", "-Itests", "-isystem", ".deps/wolfssl/include", "-x", "c"]

    def compile_alone(path):
        command = base + ["-include", path, "/dev/null"]
        done = subprocess.run(command, capture_output=True, text=True)
        return path, done.returncode, done.stderr

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, status, message in pool.map(compile_alone, headers):
            if status != 0:
                first = next((line for line in message.split("\n") if "error" in line), message)
                yield f"{path}:1: does not compile alone: {first}"
    for file in tree:
        if file.path.endswith(".h") and not re.search(r"^#ifndef \w+_H\b", file.text, re.M):
            yield f"{file.path}:1: has no include guard"


C = "// SPDX-License-Identifier: GPL-3.0-or-later\n//\n// Sample.\n"
# What each rule must object to.
RULES = [
    (files_are_short, ("src/base/a.c", C + "\n" * FILE_LINES)),
    (lines_are_short, ("src/base/a.c", C + "x" * 101)),
    (functions_are_short, ("src/base/a.c", C + "int f(int a)\n{\n" + "a++;\n" * 70 + "}\n")),
    (functions_are_mostly_small, ("src/io/a.c", C + "int f(int a)\n{\n" + "a++;\n" * 13 + "}\n")),
    (dependencies_point_one_way, ("src/io/a.c", C + '#include "keep/batch.h"\n')),
    (format_is_a_library, ("format/a.c", C + "#include <pthread.h>\n")),
    (libraries_are_confined, ("src/keep/a.c", C + "void f(void) { io_uring_submit(r); }\n")),
    (money_is_never_floating, ("src/derive/a.c", C + "double price = 0;\n")),
    (licences_are_named, ("format/a.c", C)),
    (files_open_with_their_contract, ("src/base/a.c", "// SPDX\n#include <a.h>\nint x;\n\n")),
    (calls_are_safe, ("src/protocol/a.c", C + "void f(void) { strcpy(a, b); }\n")),
    (tests_do_not_sleep, ("tests/a_test.c", C + "void f(void) { usleep(1); }\n")),
    (memory_is_taken_at_start, ("src/derive/a.c", C + "void f_row(void)\n{\nmalloc(1);\n}\n")),
    (nothing_is_left_over, ("src/base/a.c", C + "// TO" "DO: later\n")),
    (structs_have_no_typedef, ("src/base/a.h", C + "typedef struct { int a; } b;\n")),
    (file_names_are_unique, ("src/base/a.c", C), ("src/io/a.c", C)),
    (documents_have_one_title, ("docs/a.md", "# One\n\n# Two\n")),
    (the_tree_knows_no_machine, ("docs/a.md", "# See /wo" "rk/shared\n")),
    (the_tree_speaks_of_itself, ("docs/a.md", "# As is" "sue 3 says\n")),
    (log_messages_are_said, ("src/base/log_messages.h", C + "MESSAGE(NOBODY, LINK, INFO)\n")),
    (headers_stand_alone, ("tests/tidy.py.h", "uint8_t x;\n")),
]


def load():
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], capture_output=True,
                            text=True, check=True).stdout.split("\n")
    tree = []
    for path in sorted(set(filter(None, listed))):
        if not os.path.isfile(path) or os.path.islink(path) or path.startswith("LICENSES/"):
            continue
        try:
            with open(path, encoding="utf-8") as handle:
                tree.append(File(path, handle.read()))
        except UnicodeDecodeError:
            pass  # Recordings and golden files.
    return tree


def main():
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    tree = load()
    failed = 0
    for rule, *samples in RULES:
        violations = list(rule(tree))
        if not list(rule([File(path, text) for path, text in samples])):
            violations.append("tests/tidy.py: the rule does not object to its own sample")
        name = rule.__name__.replace("_", " ")
        print(f"{'ok  ' if not violations else 'FAIL'} {name}")
        for violation in violations:
            print(f"     {violation}")
        failed += 1 if violations else 0
    lengths = [length for _, _, length in product_functions(tree)] or [0]
    product = [file for file in tree if re.match(r"(src|format|tools)/.*\.c$", file.path)]
    ensures = sum(len(re.findall(r"\bensure\(", file.code)) for file in product)
    print(f"functions: {len(lengths)}, median {statistics.median(lengths)} lines, "
          f"longest {max(lengths)}, {ensures / len(lengths):.1f} ensure() a function")
    print(f"{len(RULES) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
