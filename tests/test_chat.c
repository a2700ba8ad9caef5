/* test_chat.c: the template engine against Jinja: real templates on many conversations, with tools
 * and variables (tests/vectors/chat.txt, made by tools/chat_vectors.py), what each part of the
 * language does, refusals, and templates that would never end. */
#include "jinja.h"
#include "model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { NOW = 1764075907 }; /* as in the tool */

static char *read_file(const char *rest, size_t *n) {
    const char *root = getenv("SOLO_SOURCE");
    char path[600];
    snprintf(path, sizeof path, "%s/%s", root ? root : ".", rest);
    FILE *f = fopen(path, "rb");
    if (!f) fail_msg("%s is missing", path);
    size_t cap = 1 << 20;
    char *at = solo_alloc(cap);
    *n = fread(at, 1, cap - 1, f);
    assert_true(feof(f));
    fclose(f);
    at[*n] = 0;
    return at;
}

static bool render(solo_str text, const char *variables, solo_text *out, solo_error *err) {
    solo_jinja_var var = {NULL, {variables, strlen(variables)}};
    *out = (solo_text){0};
    return solo_jinja_render(&(solo_jinja_desc){.text = text, .label = "t", .var = &var, .n_var = 1, .now = NOW},
                             out, err);
}

/* ---- real templates ----------------------------------------------------------------------- */

static size_t unescape(char *text) {
    size_t n = 0;
    for (size_t i = 0; text[i];) {
        if (text[i] == '\\') {
            char hex[3] = {text[i + 2], text[i + 3], 0};
            text[n++] = (char)strtoul(hex, NULL, 16);
            i += 4;
        } else {
            text[n++] = text[i++];
        }
    }
    text[n] = 0;
    return n;
}

static char *next_line(char **at) {
    char *line = *at, *end = strchr(line, '\n');
    *end = 0;
    *at = end + 1;
    return line;
}

static void expect_rendering(const char *name, const char *number, char *want, solo_str text, const char *variables) {
    solo_text out;
    solo_error err = {0};
    bool ok = render(text, variables, &out, &err), refused = strcmp(want, "refused") == 0;
    if (ok == refused) fail_msg("%s, case %s: %s", name, number, ok ? "not refused" : err.text);
    if (!ok) {
        assert_true(strlen(err.text) > 20);
    } else if (want[0] == '#') {
        char found[40];
        uint32_t h = 2166136261u;
        for (size_t i = 0; i < out.n; i++) h = (h ^ (uint8_t)out.at[i]) * 16777619u;
        snprintf(found, sizeof found, "#%zu:%08x", out.n, h);
        if (strcmp(found, want) != 0) fail_msg("%s, case %s: wanted %s, found %s: %s", name, number, want, found,
                                               out.at);
    } else {
        size_t n = unescape(want);
        if (out.n != n || memcmp(out.at, want, n) != 0) {
            fail_msg("%s, case %s: wanted \"%s\", found \"%s\"", name, number, want, out.at);
        }
    }
    free(out.at);
}

static void renders_as_jinja_does(void **state) {
    (void)state;
    size_t n_file, n_text = 0;
    uint32_t n_case = 0, n_line = 0, n_name = 0;
    char *lines = read_file("tests/vectors/chat.txt", &n_file), *at = lines;
    char *cases_text = read_file("tests/vectors/chat_cases.txt", &n_file), *case_at = cases_text;
    char *cases[200], *text = NULL, before[64] = "";
    while (*case_at) {
        assert_true(n_case < SOLO_COUNT(cases));
        cases[n_case++] = next_line(&case_at);
    }
    while (*at) {
        char *name = next_line(&at);
        if (*name == '#') continue;
        char *number = strchr(name, ' '), *want = strchr(number + 1, ' ');
        *number++ = *want++ = 0;
        if (strcmp(name, before) != 0) {
            char rest[100];
            free(text);
            snprintf(before, sizeof before, "%s", name);
            snprintf(rest, sizeof rest, "tests/data/chat/%s.jinja", name);
            text = read_file(rest, &n_text);
            n_name++;
        }
        uint32_t i = (uint32_t)strtoul(number, NULL, 10);
        assert_true(i < n_case);
        expect_rendering(name, number, want, (solo_str){text, n_text}, cases[i]);
        n_line++;
    }
    assert_true(n_name >= 22 && n_case >= 50);
    assert_int_equal(n_line, n_name * n_case); /* else the file was cut */
    free(text);
    free(lines);
    free(cases_text);
}

/* ---- the language ------------------------------------------------------------------------- */

#define DATA                                                                                    \
    "{\"s\": \"a,b,,c\", \"n\": 7, \"f\": 2.5, \"l\": [3, 1, 2], \"d\": {\"k\": \"v\", \"z\": null}, "  \
    "\"m\": [{\"r\": \"u\", \"c\": \"x\"}, {\"r\": \"a\", \"c\": \"Y\"}, {\"r\": \"u\"}], "               \
    "\"u\": \"h\\u00e9 \\ud83d\\ude00\"}"

static void parts_of_the_language(void **state) {
    (void)state;
    static const struct { const char *text, *want; } rows[] = { /* each seen in Jinja 3.1 */
        {"a\n", "a"}, {"a\n\n", "a\n"}, {"{{ 1 }}\nb", "1\nb"}, {"{% if 1 %}\nb{% endif %}", "b"},
        {"  {% if 1 %}x{% endif %}  \n", "x  "}, {"a {%- if 1 %} x {%- endif %} b", "a x b"},
        {"a\n  {# c #}\nb", "a\nb"}, {"a\n  {#- c -#}\n b", "ab"}, {"a  {%+ if 1 %}b{% endif %}", "a  b"},
        {"{% raw %}{{ x }}{% endraw %}", "{{ x }}"}, {"{{ 'a' 'b' }}", "ab"},
        {"{{ \"\\u00e9\\n\\q\" }}", "\xC3\xA9\n\\q"},
        {"{{ 1 + 2 * 3 ** 2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }}", "19 3 -4 2 3.5"},
        {"{{ 1e-7 }} {{ 1.0 }} {{ 123456789012345680.0 }} {{ 0.1 + 0.2 }}",
         "1e-07 1.0 1.2345678901234568e+17 0.30000000000000004"},
        {"{{ n ~ s }} {{ 'ab' * 3 }} {{ [1] + [2] }}", "7a,b,,c ababab [1, 2]"},
        {"{{ 1 < n < 9 }} {{ n == 7.0 }} {{ 'a' in s }} {{ 'k' not in d }} {{ not n }}", "True True True False False"},
        {"{{ n is odd }} {{ x is defined }} {{ x is not defined }} {{ s is string and d is mapping }}",
         "True False True True"},
        {"{{ 'a' if n > 9 else 'b' }} {{ 'a' if false }}|", "b |"}, {"{{ x or 'y' }} {{ n and 'z' }}", "y z"},
        {"{{ x }}{{ none }} {{ true }} {{ [none, 'q\\'', 1.5] }} {{ d }}",
         "None True [None, \"q'\", 1.5] {'k': 'v', 'z': None}"},
        {"{{ s.split(',') }} {{ s.split(',', 1)[-1] }} {{ s.rsplit(',', 1) }}",
         "['a', 'b', '', 'c'] b,,c ['a,b,', 'c']"},
        {"{{ ' a  b '.split() }} {{ ' a b c '.split(none, 1) }}", "['a', 'b'] ['a', 'b c ']"},
        {"{{ l[0] }}{{ l[-1] }}{{ l[1:] }}{{ l[::-1] }}{{ s[2:5] }}{{ s[::-2] }}{{ l[9] }}", "32[1, 2][2, 1, 3]b,,c,,"},
        {"{{ u|length }} {{ u[-1] }} {{ u[:2] }}", "4 \xF0\x9F\x98\x80 h\xC3\xA9"},
        {"{{ l|sort }} {{ l|sort(reverse=true)|join('-') }} {{ l|max }}{{ l|min }}{{ l|sum }} {{ l|first }}{{ "
         "l|last }}", "[1, 2, 3] 3-2-1 316 32"},
        {"{{ m|map(attribute='r')|unique|list }} {{ m|selectattr('r', 'equalto', 'u')|list|length }} {{ "
         "m|rejectattr('c')|list|length }}", "['u', 'a'] 2 1"},
        {"{{ m|map(attribute='c', default='-')|join }} {{ l|select('odd')|list }} {{ ['a','b']|map('upper')|join }}",
         "xY- [3, 1] AB"},
        {"{{ d|tojson }} {{ d|tojson(indent=2) }} {{ u|tojson }} {{ u|tojson(ensure_ascii=true) }}",
         "{\"k\": \"v\", \"z\": null} {\n  \"k\": \"v\",\n  \"z\": null\n} \"h\xC3\xA9 \xF0\x9F\x98\x80\" "
             "\"h\\u00e9 \\ud83d\\ude00\""},
        {"{{ {'b': 1, 'a': [2]}|tojson(separators=(',', ':'), sort_keys=true) }}", "{\"a\":[2],\"b\":1}"},
        {"{{ x|default('q') }} {{ ''|default('q', true) }} {{ none|default('q') }}", "q q None"},
        {"{{ '  a '|trim }}|{{ 'xxaxx'.strip('x') }}|{{ 'a'.lstrip() }}|{{ 'ab'.removeprefix('a') }}", "a|a|a|b"},
        {"{{ s|replace(',', ';') }} {{ s.replace(',', '', 2) }} {{ 'aXb c'|title }} {{ 'aB'|capitalize }}",
         "a;b;;c ab,c Axb C Ab"},
        {"{{ s.startswith('a') }} {{ s.endswith(('x', 'c')) }} {{ s.find('b') }} {{ s.count(',') }}", "True True 2 3"},
        {"{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %} {{ d.get('q', 5) }} {{ d.k }} {{ d['k'] }}",
         "k=v;z=None; 5 v v"},
        {"{% for i in l if i > 1 %}{{ loop.index }}{{ loop.last }}{% else %}none{% endfor %}", "1False2True"},
        {"{% for i in [] %}x{% else %}none{% endfor %}", "none"},
        {"{% for i in l %}{% if i == 1 %}{% continue %}{% endif %}{{ i }}{% if i == 3 %}{% break %}{% endif %}{% "
         "endfor %}", "3"},
        {"{% for i in l %}{{ loop.previtem }}{{ loop.cycle('a', 'b') }}{{ loop.nextitem }} {% endfor %}", "a1 3b2 1a "},
        {"{% set x = 1 %}{% for i in l %}{% set x = i %}{% endfor %}{{ x }}", "1"},
        {"{% set ns = namespace(x=1) %}{% for i in l %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}", "7"},
        {"{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set t %}q{{ a }}{% endset %}{{ t }}", "12q1"},
        {"{% macro f(a, b=2) %}{{ a }}-{{ b }}{% endmacro %}{{ f(1) }} {{ f(b=3, a=4) }}", "1-2 4-3"},
        {"{% filter upper %}ab{% endfilter %}{% set q | trim %} z {% endset %}{{ q }}", "ABz"},
        {"{{ range(3)|list }} {{ range(5, 1, -2)|list }} {{ '%d' }}", "[0, 1, 2] [5, 3] %d"},
        {"{{ strftime_now('%d %b %Y, %A %H:%M:%S') }} {{ strftime_now is defined }}",
         "25 Nov 2025, Tuesday 13:05:07 True"},
        {"{{ '3'|int + '2.5'|float }} {{ 'x'|int }} {{ 2.5|round }} {{ -3|abs }}", "5.5 0 2.0 3"},
        {"{{ 'a\\nb'|indent }} {{ 'a\\n\\nb'|indent(2, true) }}", "a\n    b   a\n\n  b"},
        {"{{ d|dictsort }} {{ d|items|list }} {{ 'é'|string }}",
         "[('k', 'v'), ('z', None)] [('k', 'v'), ('z', None)] é"},
        {"{% if n == 1 %}a{% elif n == 7 %}b{% else %}c{% endif %}{{ {}.k }}{{ (1,) }}", "b(1,)"},
    };
    for (uint32_t i = 0; i < SOLO_COUNT(rows); i++) {
        solo_text out;
        solo_error err = {0};
        if (!render((solo_str){rows[i].text, strlen(rows[i].text)}, DATA, &out, &err)) fail_msg("%s: %s",
                rows[i].text, err.text);
        if (strcmp(out.at, rows[i].want) != 0) fail_msg("%s: wanted \"%s\", found \"%s\"", rows[i].text,
                                                        rows[i].want, out.at);
        free(out.at);
    }
}

/* ---- refusals and bounds ------------------------------------------------------------------ */

static void expect_refusal(const char *text, const char *variables, const char *wanted) {
    solo_text out;
    solo_error err = {0};
    double start = solo_seconds();
    if (render((solo_str){text, strlen(text)}, variables, &out, &err)) fail_msg("%.200s: not refused", text);
    free(out.at);
    if (!strstr(err.text, wanted)) fail_msg("%.200s: wanted \"%s\", found \"%s\"", text, wanted, err.text);
    if (solo_seconds() - start > 20) fail_msg("%.200s: took %.0f s", text, solo_seconds() - start);
}

static void refusals_say_why(void **state) {
    (void)state;
    static const struct { const char *text, *wanted; } rows[] = {
        {"a\n{{ raise_exception('Only user!') }}", "t: line 2: the template refuses: Only user!"},
        {"{{ x.y }}", "nothing called \"x\""}, {"{{ x + 1 }}", "nothing called \"x\""},
        {"{{ 1 + 'a' }}", "an integer and a text"},
        {"{{ 1|no }}", "|no"}, {"{{ 1 is no }}", "`is no`"}, {"{{ s.no() }}", ".no() of a text"},
        {"{{ no() }}", "found no()"},
        {"{{ 1 // 0 }}", "divisor"}, {"{{ 1 % 0 }}", "divisor"}, {"{{ 1 / 0 }}", "divisor"},
        {"{{ 1 < 'a' }}", "to compare"},
        {"{% for a, b in l %}{% endfor %}", "2 values for 2 names"}, {"{% for a in 7 %}{% endfor %}", "with items"},
        {"{% set d.k = 1 %}", "a namespace"}, {"{{ l[::0] }}", "step"}, {"{{ l['a':] }}", "whole numbers"},
        {"{{ (1)() }}", "to call"},
        {"{% include 'x' %}", "wanted if, for"}, {"{% break %}", "wanted if, for"},
        {"{% macro f() %}{% break %}{% endmacro %}", "wanted if"},
        {"{% if 1 %}", "wanted elif"}, {"{% for a in l %}", "wanted else"}, {"{% endif %}", "\"endif\""},
        {"{{ 1", "wanted }}"},
        {"{{ 'a", "end of a text"}, {"{# a", "wanted #}"}, {"{% raw %}a", "wanted endraw"}, {"{{ }}", "a value"},
        {"{{ 1 2 }}", "wanted }}"},
        {"{{ f(1 }}", "wanted )"}, {"{{ [1 }}", "wanted ]"}, {"{{ {1 }}", "wanted :"}, {"{% set = 1 %}", "a name"},
        {"{{ f(*l) }}", "plain arguments"},
        {"{{ range(1000000) }}", "at most 100000"}, {"{{ f(1,2,3,4,5,6,7,8,9) }}", "at most 8"},
        {"{{ strftime_now('%Q') }}", "found Q"},
        {"{% for i in l recursive %}{% endfor %}", "recursive"}, {"{{ 9999999999999 * 9999999999999 }}", "below 2^62"},
        {"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "levels of nesting"},
    };
    for (uint32_t i = 0; i < SOLO_COUNT(rows); i++) expect_refusal(rows[i].text, DATA, rows[i].wanted);
    expect_refusal("", "[", "variables: wanted JSON");
    expect_refusal("", "[]", "wanted a JSON object, found a list");
    expect_refusal("", "{\"a\": tru}", "wanted JSON: a value");
    expect_refusal("", "{} x", "wanted JSON: the end");
}

static void nothing_runs_for_ever(void **state) {
    (void)state;
    expect_refusal("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "{}", "bytes");
    expect_refusal("{% set l = range(99999)|list %}{% for a in l %}{% if l == l %}{% endif %}{% endfor %}", "{}",
                   "steps");
    expect_refusal("{% set l = range(99999)|list %}{{ l|unique|list }}", "{}", "steps");
    expect_refusal("{% set s = 'a' * 9999999 %}{% for a in range(99999) %}{% if 'b' in s %}{% endif %}{% endfor %}",
                   "{}", "steps");
    expect_refusal("{% for a in range(99999) %}{{ 'x' * 100000 }}{% endfor %}", "{}", "bytes");
    expect_refusal("{% set n = namespace(x='a') %}{% for a in range(99999) %}{% set n.x = n.x + n.x %}{% endfor %}",
                   "{}", "bytes");
    expect_refusal("{% set n = namespace(x=[1]) %}{% for a in range(99999) %}{% set n.x = n.x + n.x %}{% endfor %}",
                   "{}", "bytes");
    expect_refusal("{% set n = namespace(x='a') %}{% for a in range(99999) %}{% set n.x = n.x.replace('a', 'aa') "
                   "%}{% endfor %}", "{}", "bytes");
    expect_refusal("{% set n = namespace(x=[]) %}{% for a in range(99999) %}{% set n.x = [n.x] %}{% endfor %}{{ "
                   "n.x|tojson }}", "{}", "64 levels");
    char deep[20001];
    static const char openings[] = "([{-";
    for (uint32_t i = 0; i < 4; i++) {
        memset(deep, openings[i], 20000);
        memcpy(deep, "{{", 2);
        deep[20000] = 0;
        expect_refusal(deep, "{}", i == 2 ? "t: line 1" : "less nesting");
    }
    solo_text text = {0};
    for (int i = 0; i < 5000; i++) solo_text_add(&text, "{%% if 1 %%}");
    expect_refusal(text.at, "{}", "less nesting");
    free(text.at);
    memset(deep, '[', 20000);
    expect_refusal("", deep, "at most 64 levels");
}

static uint32_t next_random(uint32_t *seed) { return (*seed = *seed * 1664525u + 1013904223u) >> 8; }

/* Real templates with bytes lost, doubled and changed: each renders or is refused. */
static void broken_templates(void **state) {
    (void)state;
    static const char *const names[] = {"qwen3", "llama3.1", "mistral-nemo", "gpt-oss", "hermes3-tools", "gemma3"};
    static const char *const parts[] = {"{%", "%}", "{{", "}}", "-", "'", "\"", "(", ")", "[", "]", "|", ".", "not ",
     "if", "\\", "{#", ":", "{% endfor %}"};
    size_t n_cases, n;
    char *cases = read_file("tests/vectors/chat_cases.txt", &n_cases), *at = cases, *variables = NULL;
    uint32_t seed = 3, n_ok = 0, n_round = 250;
    for (int i = 0; i < 39; i++) variables = next_line(&at); /* one with tools */
    for (uint32_t k = 0; k < SOLO_COUNT(names); k++) {
        char rest[100];
        snprintf(rest, sizeof rest, "tests/data/chat/%s.jinja", names[k]);
        char *whole = read_file(rest, &n);
        for (uint32_t round = 0; round < n_round; round++) {
            solo_text text = {0}, out;
            solo_error err = {0};
            size_t cut = next_random(&seed) % n, skip = next_random(&seed) % 8;
            solo_text_add_n(&text, whole, cut);
            const char *part = parts[next_random(&seed) % SOLO_COUNT(parts)];
            if (round % 3) solo_text_add_n(&text, part, strlen(part));
            if (round % 5 == 4) skip = n; /* a prefix of it */
            if (cut + skip < n) solo_text_add_n(&text, whole + cut + skip, n - cut - skip);
            bool ok = render((solo_str){text.at, text.n}, variables, &out, &err);
            if (!ok && !strstr(err.text, "t: line ")) fail_msg("%s", err.text);
            n_ok += ok;
            free(out.at);
            free(text.at);
        }
        free(whole);
    }
    print_message("%u of %u broken templates rendered\n", n_ok, n_round * SOLO_COUNT(names));
    assert_true(n_ok > 100 && n_ok < n_round * SOLO_COUNT(names) - 100);
    free(cases);
}

static void families_by_their_marks(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"chatml", "chatml"}, {"qwen3", "chatml"}, {"llama3.1", "llama3"}, {"llama2", "llama2"},
        {"mistral-v3", "mistral"},
        {"phi3.5", "phi3"}, {"phi3-bos", "phi3"}, {"gemma3", "gemma"}, {"zephyr", "zephyr"}, {"deepseek-r1", "custom"},
    };
    for (uint32_t i = 0; i < SOLO_COUNT(rows); i++) {
        char rest[100];
        size_t n;
        snprintf(rest, sizeof rest, "tests/data/chat/%s.jinja", rows[i][0]);
        char *text = read_file(rest, &n);
        assert_string_equal(solo_chat_family_of((solo_str){text, n}), rows[i][1]);
        free(text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(renders_as_jinja_does),
        cmocka_unit_test(parts_of_the_language),
        cmocka_unit_test(refusals_say_why),
        cmocka_unit_test(nothing_runs_for_ever),
        cmocka_unit_test(broken_templates),
        cmocka_unit_test(families_by_their_marks),
    };
    cmocka_set_test_filter(getenv("SOLO_TEST_FILTER"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
