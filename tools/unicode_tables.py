#!/usr/bin/env python3
"""Writes unicode_tables.c (see src/unicode.h) into the folder given.

    python3 tools/unicode_tables.py BUILD_DIR [UNICODE_DIR]

UNICODE_DIR holds UnicodeData.txt, PropList.txt and CompositionExclusions.txt; the default is where
Debian's package unicode-data puts them. Only the standard library is used. The result depends on
nothing but those files."""
import os
import re
import sys

DEFAULT_DIR = "/usr/share/unicode"
N_CODE = 0x110000
CATEGORIES = "Cn Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Cs Co".split()


def read_data(path):
    """category [N_CODE] as an index into CATEGORIES, {code: combining class}, {code: canonical parts}"""
    category = bytearray(N_CODE)
    combining, parts = {}, {}
    range_first = None
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            field = line.rstrip("\n").split(";")
            code, name = int(field[0], 16), field[1]
            first = code
            if name.endswith(", First>"):
                range_first = code
                continue
            if name.endswith(", Last>"):
                first = range_first
            for c in range(first, code + 1):
                category[c] = CATEGORIES.index(field[2])
            if field[3] != "0":
                combining[code] = int(field[3])
            if field[5] and not field[5].startswith("<"):
                parts[code] = [int(c, 16) for c in field[5].split()]
    return category, combining, parts


def read_codes(path, pattern):
    codes = set()
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            m = re.match(pattern, line)
            if m:
                codes.update(range(int(m[1], 16), int(m[2] or m[1], 16) + 1))
    return codes


def check_white_space(category, white):
    """unicode.c spells White_Space out as separators and six control characters."""
    ours = {c for c in range(N_CODE) if CATEGORIES[category[c]][0] == "Z"} | set(range(9, 14)) | {0x85}
    assert ours == white, "White_Space has changed: see solo_unicode_is_space"


def version_of(path):
    with open(path, encoding="utf-8") as lines:
        m = re.match(r"# PropList-([0-9.]+)\.txt", lines.readline())
    return m[1] if m else "unknown"


def table(declaration, rows):
    return [f"const {declaration} = {{"] + [f"    {row}," for row in rows] + ["};", ""]


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    unicode_dir = sys.argv[2] if len(sys.argv) == 3 else DEFAULT_DIR
    paths = [os.path.join(unicode_dir, n) for n in ("UnicodeData.txt", "PropList.txt", "CompositionExclusions.txt")]
    for path in paths:
        if not os.path.isfile(path):
            sys.exit(f"unicode_tables.py: {path} is missing (Debian: apt install unicode-data)")
    category, combining, parts = read_data(paths[0])
    check_white_space(category, read_codes(paths[1], r"([0-9A-F]+)(?:\.\.([0-9A-F]+))?\s*;\s*White_Space\b"))
    excluded = read_codes(paths[2], r"([0-9A-F]+)(?:\.\.([0-9A-F]+))?\s*(?:#|$)")
    starts = [c for c in range(N_CODE) if c == 0 or category[c] != category[c - 1]]
    decompose = sorted(parts.items())
    # A pair composes unless excluded by name, or its result or its first part is no starter.
    compose = sorted((p[0], p[1], c) for c, p in parts.items()
                     if len(p) == 2 and c not in excluded and c not in combining and p[0] not in combining)
    out = [f"/* Made by tools/unicode_tables.py from Unicode {version_of(paths[1])}. Do not edit. */",
           '#include "unicode.h"', ""]
    out += table("uint32_t solo_unicode_start[]", [f"0x{c:X} << 5 | {category[c]}" for c in starts])
    out += [f"const uint32_t solo_unicode_n_start = {len(starts)};", ""]
    out += table("solo_unicode_mark solo_unicode_marks[]",
                 [f"{{0x{c:X}, {k}}}" for c, k in sorted(combining.items())])
    out += [f"const uint32_t solo_unicode_n_mark = {len(combining)};", ""]
    out += table("solo_unicode_pair solo_unicode_decompose[]",
                 [f"{{0x{c:X}, 0x{p[0]:X}, 0x{p[1] if len(p) == 2 else 0:X}}}" for c, p in decompose])
    out += [f"const uint32_t solo_unicode_n_decompose = {len(decompose)};", ""]
    out += table("solo_unicode_pair solo_unicode_compose[]",
                 [f"{{0x{c:X}, 0x{a:X}, 0x{b:X}}}" for a, b, c in compose])
    out += [f"const uint32_t solo_unicode_n_compose = {len(compose)};", ""]
    with open(os.path.join(sys.argv[1], "unicode_tables.c"), "w", encoding="utf-8") as f:
        f.write("\n".join(out))


main()
