/* bench.c: `solo bench`: decode speed of factorings, side by side in one process. Protocol
 * (bench/PROTOCOL.md): one copy of the weights; every row's session open at once, each at its own
 * geometry; clocks warmed up; samples taken in turn, round by round, so that drift meets all alike;
 * greedy tokens, end tokens written like others; tokens compared; a row above the measured read
 * bandwidth is refused. A row that does not open is a row that says why. What comes out is
 * bench_print.c's. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

/* ---- what the command line asks for ------------------------------------------------------- */

/* "1,128,2048" */
static bool parse_positions(bench *b, const char *text) {
    for (const char *at = text;; at++) {
        char *end;
        unsigned long n = strtoul(at, &end, 10);
        if (*at < '0' || *at > '9' || n == 0 || n > INT32_MAX || (*end && *end != ','))
            return cli_fail_text("--positions: wanted whole numbers from 1 with commas between, "
                                 "found '%s'", text), false;
        if (b->n_position == BENCH_MAX_POSITION)
            return cli_fail_text("--positions: wanted at most %d numbers", BENCH_MAX_POSITION), false;
        b->position[b->n_position++] = (uint32_t)n;
        at = end;
        if (!*at) return true;
    }
}

/* One key of a row's geometry into its desc. */
static bool set_key(solo_plan_desc *desc, const char *row, const char *key, const char *value) {
    const struct { const char *name; uint32_t *at; } numbers[] = {
        {"wg", &desc->workgroup_size}, {"n", &desc->n_workgroup}, {"team", &desc->max_team},
        {"queue", &desc->queue}, {"across", &desc->queue}};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        char *end;
        if (strcmp(key, numbers[i].name) != 0) continue;
        unsigned long n = strtoul(value, &end, 10);
        if (*value < '0' || *value > '9' || *end || n > INT32_MAX)
            return cli_fail_text("%s: %s: wanted a whole number, found '%s'", row, key, value), false;
        *numbers[i].at = (uint32_t)n;
        if (numbers[i].at == &desc->queue && n == 0) desc->queue = SOLO_QUEUE_NONE;
        if (strcmp(key, "across") == 0) desc->queue_across = true;
        return true;
    }
    static const struct { const char *key, *value; uint32_t kind; } words[] = {
        {"activations", "int8", SOLO_ACTIVATIONS_INT8}, {"activations", "f32", SOLO_ACTIVATIONS_F32},
        {"kv", "int8", SOLO_KV_INT8}, {"kv", "f16", SOLO_KV_F16}, {"kv", "f32", SOLO_KV_F32},
        {"attend", "split", true}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(key, words[i].key) != 0 || strcmp(value, words[i].value) != 0) continue;
        if (strcmp(key, "attend") == 0) desc->always_split = words[i].kind;
        else if (key[0] == 'k') desc->kv_type = (solo_kv_type)words[i].kind;
        else desc->activations = (solo_activations)words[i].kind;
        return true;
    }
    return cli_fail_text("%s: wanted wg=N, n=N, team=N, queue=N, across=N, activations=int8|f32, kv=int8|f16|f32 "
                         "or attend=split, found '%s=%s'", row, key, value), false;
}

/* NAME[:static|:ticket][@KEY=VALUE[,KEY=VALUE...]]; NAME may hold a colon itself ("chunk:8"). */
static bool parse_row(bench *b, const cli_options *options, const char *text) {
    if (b->n_row == BENCH_MAX_ROW)
        return cli_fail_text("--factorings: wanted at most %d names", BENCH_MAX_ROW), false;
    bench_row *row = &b->row[b->n_row++];
    if (strlen(text) >= sizeof row->name)
        return cli_fail_text("--factorings: wanted a name of at most %zu bytes, found '%s'",
                             sizeof row->name - 1, text), false;
    strcpy(row->name, text);
    row->run.plan_desc = options->plan;
    char rest[sizeof row->name];
    strcpy(rest, text);
    char *keys = strchr(rest, '@');
    if (keys) *keys++ = '\0';
    char *form = strrchr(rest, ':');
    if (form && strcmp(form, ":static") == 0) row->run.plan_desc.assignment = SOLO_ASSIGNMENT_STATIC;
    else if (form && strcmp(form, ":ticket") == 0) row->run.plan_desc.assignment = SOLO_ASSIGNMENT_TICKET;
    else form = NULL;
    if (form) *form = '\0';
    strcpy(row->factoring, rest);
    row->run.plan_desc.factoring = row->factoring;
    for (char *save, *key = keys ? strtok_r(keys, ",", &save) : NULL; key;
         key = strtok_r(NULL, ",", &save)) {
        char *value = strchr(key, '=');
        if (!value)
            return cli_fail_text("%s: wanted KEY=VALUE, found '%s'", row->name, key), false;
        *value++ = '\0';
        if (!set_key(&row->run.plan_desc, row->name, key, value)) return false;
    }
    return true;
}

/* Rows with commas between. A piece that holds '=' but no '@' belongs to the row before it. */
static bool parse_rows(bench *b, const cli_options *options) {
    const char *list = options->factorings;
    char text[BENCH_NAME_BYTES];
    if (!list) {
        static char all[400]; /* every factoring once */
        size_t n = 0;
        for (const char *const *name = solo_factoring_names(); *name; name++)
            n += (size_t)snprintf(all + n, sizeof all - n, "%s%s", n ? "," : "", *name);
        list = all;
    }
    for (const char *at = list; *at;) {
        size_t n = strcspn(at, ",");
        for (size_t more; at[n] == ','; n += 1 + more) {
            more = strcspn(at + n + 1, ",");
            if (!memchr(at + n + 1, '=', more) || memchr(at + n + 1, '@', more)) break;
        }
        if (n >= sizeof text)
            return cli_fail_text("--factorings: '%.100s...' is too long", at), false;
        memcpy(text, at, n);
        text[n] = '\0';
        if (n > 0 && !parse_row(b, options, text)) return false;
        at += at[n] == ',' ? n + 1 : n;
    }
    return b->n_row > 0 || (cli_fail_text("--factorings: wanted a name, found none"), false);
}

/* ---- rows --------------------------------------------------------------------------------- */

/* A row that stops working keeps its error and is left out of what follows. */
static void tell_dropped(const bench_row *row) { cli_note("%s: %s", row->name, row->run.error); }

static void open_row(const bench *b, bench_row *row) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < b->n_position; i++)
        if (b->position[i] > n) n = b->position[i];
    if (!measure_open(&row->run, b->engine.weights, n + b->n_token)) tell_dropped(row);
}

/* What the tokens of the first sample are held to. The first row that ran is the measure. */
static void compare_tokens(bench *b, bench_row *row, bench_series *series, uint32_t at) {
    const bench_row *first = NULL;
    for (uint32_t i = 0; i < b->n_row && !first; i++)
        if (b->row[i].run.session && b->row[i].series[at].ids) first = &b->row[i];
    const uint32_t *wanted = first->series[at].ids;
    series->n_leading = 0;
    while (series->n_leading < b->n_token && series->ids[series->n_leading] == wanted[series->n_leading])
        series->n_leading++;
    bool other_numbers = strcmp(row->run.info.activations, first->run.info.activations) ||
                         strcmp(row->run.info.kv_type, first->run.info.kv_type);
    series->rule = row == first                              ? BENCH_RULE_FIRST
                   : other_numbers                           ? BENCH_RULE_NONE
                   : measure_same_geometry(&row->run.info, &first->run.info) ? BENCH_RULE_SAME
                                                             : BENCH_RULE_LEADING;
    uint32_t least = b->n_token < BENCH_LEADING ? b->n_token : BENCH_LEADING;
    series->agrees = series->rule == BENCH_RULE_NONE ||
                     series->n_leading >= (series->rule == BENCH_RULE_LEADING ? least : b->n_token);
}

/* ---- samples ------------------------------------------------------------------------------ */

/* One sample of a row; the first one's ids are compared. */
static void take_sample(bench *b, bench_row *row, uint32_t at, bool count) {
    bench_series *series = &row->series[at];
    uint32_t *ids = malloc(b->n_token * sizeof *ids);
    double tok_s;
    uint64_t n_step = row->run.n_step, n_step_dispatch = row->run.n_step_dispatch;
    bool ok = ids && measure_sample(&row->run, b->prompt, b->position[at], b->n_token, ids, &tok_s);
    if (ok && count) {
        series->sample[series->n_sample++] = tok_s;
        series->n_step += row->run.n_step - n_step;
        series->n_step_dispatch += row->run.n_step_dispatch - n_step_dispatch;
    }
    if (ok && !series->ids) {
        series->ids = ids;
        compare_tokens(b, row, series, at);
        return;
    }
    free(ids);
    if (!ok) tell_dropped(row);
}

/* All rows at one position: each once uncounted, a second of decoding to warm the clocks, then the
 * counted samples, in turn. */
static void run_position(bench *b, uint32_t at) {
    bool any = true;
    for (uint32_t i = 0; i < b->n_row; i++)
        if (b->row[i].run.session) take_sample(b, &b->row[i], at, false);
    double began = cli_now();
    while (any && !b->engine.device_info.is_software && cli_now() - began < 1) {
        any = false;
        for (uint32_t i = b->n_row; i-- > 0 && !any;) {
            if (!b->row[i].run.session) continue;
            take_sample(b, &b->row[i], at, false);
            any = true;
        }
    }
    for (uint32_t s = 0; s < b->n_sample; s++) {
        for (uint32_t i = 0; i < b->n_row; i++) {
            if (b->row[i].run.session) take_sample(b, &b->row[i], at, true);
        }
    }
}

/* ---- the command -------------------------------------------------------------------------- */

static bool make_prompt(bench *b) {
    uint32_t n = 0, n_vocab = solo_model_get_info(b->engine.model).n_vocab;
    for (uint32_t i = 0; i < b->n_position; i++)
        if (b->position[i] > n) n = b->position[i];
    b->prompt = malloc(n * sizeof *b->prompt);
    if (b->prompt) measure_prompt(b->prompt, n, n_vocab);
    return b->prompt || (cli_fail_text("no memory for a context of %u tokens", n), false);
}

/* Rows that failed or differ: the exit code. What did run was printed. */
static int verdict(const bench *b) {
    int code = CLI_OK;
    for (uint32_t i = 0; i < b->n_row; i++) {
        const bench_row *row = &b->row[i];
        if (row->run.error[0]) code = CLI_FAILED; /* its note was told */
        for (uint32_t at = 0; at < b->n_position; at++) {
            const bench_series *s = &row->series[at];
            if (s->ids && !s->agrees)
                code = cli_fail_text("%s after %u positions: its tokens leave the first row's after "
                                     "%u of %u", row->name, b->position[at], s->n_leading, b->n_token);
        }
    }
    return code;
}

static void close_all(bench *b) {
    for (uint32_t i = 0; i < b->n_row; i++) {
        measure_close(&b->row[i].run);
        for (uint32_t at = 0; at < b->n_position; at++) free(b->row[i].series[at].ids);
    }
    free(b->prompt);
    cli_engine_close(&b->engine);
    free(b);
}

int cli_bench(const cli_options *options) {
    solo_error err = {0};
    bench *b = calloc(1, sizeof *b);
    int code = CLI_FAILED;
    if (!b) return cli_fail_text("no memory for the rows");
    b->n_token = options->has_n && options->n ? options->n : 64;
    b->n_sample = options->samples;
    if (!parse_positions(b, options->positions) || !parse_rows(b, options)) {
        code = CLI_USAGE;
        goto done;
    }
    if (!cli_engine_open_weights(&b->engine, options) || !make_prompt(b)) goto done;
    if (!b->engine.device_info.is_reference &&
        !solo_device_read_bandwidth(b->engine.device, &b->read_rate, &err)) {
        cli_fail(&err);
        goto done;
    }
    for (uint32_t i = 0; i < b->n_row; i++) open_row(b, &b->row[i]);
    for (uint32_t at = 0; at < b->n_position; at++) run_position(b, at);
    code = bench_print(b, options);
    if (code == CLI_OK) code = verdict(b);
done:
    close_all(b);
    return code;
}
