#!/usr/bin/env python3
"""Writes unicode_tables.c (see src/unicode.h) into the folder given.

    python3 tools/unicode_tables.py BUILD_DIR [UNICODE_DIR]

UNICODE_DIR holds UnicodeData.txt and PropList.txt; the default is where Debian's package
unicode-data puts them. Only the standard library is used. The result depends on nothing but
those two files."""
import os
import re
import sys

DEFAULT_DIR = "/usr/share/unicode"
N_CODE = 0x110000


def read_general_categories(path):
    """[N_CODE] of 'L', 'N' or None."""
    kind = [None] * N_CODE
    range_first = None
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            field = line.rstrip("\n").split(";")
            code, name, major = int(field[0], 16), field[1], field[2][0]
            first = code
            if name.endswith(", First>"):
                range_first = code
                continue
            if name.endswith(", Last>"):
                first = range_first
            if major in "LN":
                for c in range(first, code + 1):
                    kind[c] = major
    return kind


def add_white_space(kind, path):
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            m = re.match(r"([0-9A-F]+)(?:\.\.([0-9A-F]+))?\s*;\s*White_Space\b", line)
            if m:
                for c in range(int(m[1], 16), int(m[2] or m[1], 16) + 1):
                    assert kind[c] is None, f"U+{c:04X} is white space and {kind[c]}"
                    kind[c] = "S"


def to_ranges(kind):
    ranges = []
    for c, k in enumerate(kind):
        if k is None:
            continue
        if ranges and ranges[-1][1] == c - 1 and ranges[-1][2] == k:
            ranges[-1][1] = c
        else:
            ranges.append([c, c, k])
    return ranges


def version_of(path):
    with open(path, encoding="utf-8") as lines:
        m = re.match(r"# PropList-([0-9.]+)\.txt", lines.readline())
    return m[1] if m else "unknown"


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    unicode_dir = sys.argv[2] if len(sys.argv) == 3 else DEFAULT_DIR
    data = os.path.join(unicode_dir, "UnicodeData.txt")
    props = os.path.join(unicode_dir, "PropList.txt")
    for path in (data, props):
        if not os.path.isfile(path):
            sys.exit(f"unicode_tables.py: {path} is missing (Debian: apt install unicode-data)")
    kind = read_general_categories(data)
    add_white_space(kind, props)
    ranges = to_ranges(kind)
    name = {"L": "SOLO_UNICODE_LETTER", "N": "SOLO_UNICODE_NUMBER", "S": "SOLO_UNICODE_SPACE"}
    out = [
        f"/* Made by tools/unicode_tables.py from Unicode {version_of(props)}. Do not edit. */",
        '#include "unicode.h"',
        "",
        "const solo_unicode_range solo_unicode_ranges[] = {",
    ]
    out += [f"    {{0x{a:X}, 0x{b:X}, {name[k]}}}," for a, b, k in ranges]
    out += ["};", "", f"const uint32_t solo_unicode_n_range = {len(ranges)};", ""]
    with open(os.path.join(sys.argv[1], "unicode_tables.c"), "w", encoding="utf-8") as f:
        f.write("\n".join(out))


main()
