/* sweep_spec.c: the specs of experiments: read, checked field by field, and multiplied out to rows. */
#include "sweep.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- settings as data --------------------------------------------------------------------- */

typedef enum setting_kind { TEXT, WHOLE, FLAG } setting_kind;

typedef struct setting {
    const char  *name;
    setting_kind kind;
    json_int_t   min, max;       /* of WHOLE */
    const char *const *choices;  /* of TEXT; NULL: any */
} setting;

static const char *const types[] = {"q4_0", "q4_1", "q5_0", "q8_0", "q4_k", "q6_k", "f16", "bf16", "f32", NULL};
static const char *const reductions[] = {"subgroup", "scratch", NULL};
static const char *const activations[] = {"int8", "f32", NULL};
static const char *const kv_types[] = {"f16", "f32", NULL};
static const char *const assignments[] = {"static", "ticket", NULL};

enum { N_SETTING = 24, HAND_OFF_AT = 15, SUBMIT_AT = 19 };

/* In the order of keys, and of axes from slowest to fastest. */
static const setting settings_table[N_SETTING] = {
    {"model", TEXT, 0, 0, NULL},
    {"layers", WHOLE, 1, 1024, NULL},
    {"vocab", WHOLE, 300, 1 << 20, NULL},
    {"type", TEXT, 0, 0, types},
    {"output_type", TEXT, 0, 0, types},
    {"factoring", TEXT, 0, 0, NULL},
    {"n_workgroup", WHOLE, 1, 65535, NULL},
    {"workgroup_size", WHOLE, 1, 1 << 16, NULL},
    {"n_slice", WHOLE, 1, 65535, NULL},
    {"tile_rows", WHOLE, 1, 256, NULL},
    {"k_split", WHOLE, 1, 32, NULL},
    {"rows_team", WHOLE, 1, 4, NULL},
    {"reduction", TEXT, 0, 0, reductions},
    {"activations", TEXT, 0, 0, activations},
    {"kv", TEXT, 0, 0, kv_types},
    [HAND_OFF_AT] = {"hand_off", TEXT, 0, 0, NULL}, /* solo_hand_off_names */
    {"assignment", TEXT, 0, 0, assignments},
    {"queue", WHOLE, 0, 64, NULL},
    {"queue_across", FLAG, 0, 0, NULL},
    [SUBMIT_AT] = {"submit", TEXT, 0, 0, NULL}, /* solo_submit_names */
    {"in_flight", WHOLE, 1, 32, NULL},
    {"tokens_submit", WHOLE, 1, 64, NULL},
    {"position", WHOLE, 1, 1 << 20, NULL},
    {"seed", WHOLE, 0, INT32_MAX, NULL},
};

static const setting *find_setting(const char *name) {
    for (uint32_t i = 0; i < N_SETTING; i++)
        if (strcmp(settings_table[i].name, name) == 0) return &settings_table[i];
    return NULL;
}

static const char *const *choices_of(const setting *s) {
    if (s == &settings_table[HAND_OFF_AT]) return solo_hand_off_names();
    if (s == &settings_table[SUBMIT_AT]) return solo_submit_names();
    return s->choices;
}

/* ---- checks ------------------------------------------------------------------------------- */

typedef struct reader {
    const char *where; /* the file */
    char *error;
} reader;

static bool fail(const reader *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool fail(const reader *r, const char *fmt, ...) {
    int n = snprintf(r->error, SWEEP_TEXT_BYTES, "%.300s: ", r->where);
    va_list args;
    va_start(args, fmt);
    vsnprintf(r->error + n, SWEEP_TEXT_BYTES - (size_t)n, fmt, args);
    va_end(args);
    return false;
}

/* A value as an error shows it. */
static const char *shown(const json_t *value, char text[80]) {
    char *all = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    snprintf(text, 80, "%.70s", all ? all : "nothing");
    free(all);
    return text;
}

static bool fail_found(const reader *r, const char *field, const char *wanted, const json_t *value) {
    char text[80];
    return fail(r, "%s: wanted %s, found %s", field, wanted, shown(value, text));
}

static void list_names(const char *const *names, char text[200]) {
    text[0] = '\0';
    for (size_t n = 0; *names && n < 180; names++)
        n += (size_t)snprintf(text + n, 200 - n, "%s%s", n ? ", " : "", *names);
}

static bool is_preset(const char *model) {
    size_t n = strcspn(model, ":");
    for (const char *const *usage = solo_synth_presets(); *usage; usage++)
        if (strcspn(*usage, ":[") == n && !strncmp(*usage, model, n)) return true;
    return false;
}

static bool check_text(const reader *r, const char *field, const setting *s, const json_t *value) {
    const char *text = json_string_value(value);
    char names[200], wanted[260];
    solo_error err = {0};
    if (!text) return fail_found(r, field, "text", value);
    if (!strcmp(s->name, "factoring"))
        return solo_factoring_check(text, &err) || fail(r, "%s: %s", field, err.text);
    const char *const *choices = choices_of(s);
    if (!choices) { /* a model */
        if (is_preset(text)) return true;
        list_names(solo_synth_presets(), names);
        snprintf(wanted, sizeof wanted, "one of %s", names);
        return fail_found(r, field, wanted, value);
    }
    for (const char *const *choice = choices; *choice; choice++)
        if (!strcmp(*choice, text)) return true;
    list_names(choices, names);
    snprintf(wanted, sizeof wanted, "one of %s", names);
    return fail_found(r, field, wanted, value);
}

static bool check_value(const reader *r, const char *field, const setting *s, const json_t *value) {
    if (s->kind == TEXT) return check_text(r, field, s, value);
    if (s->kind == FLAG) return json_is_boolean(value) || fail_found(r, field, "true or false", value);
    json_int_t n = json_integer_value(value);
    if (json_is_integer(value) && n >= s->min && n <= s->max) return true;
    char wanted[80];
    snprintf(wanted, sizeof wanted, "a whole number from %lld to %lld", (long long)s->min, (long long)s->max);
    return fail_found(r, field, wanted, value);
}

/* An object of settings: with lists, its values are lists of them. */
static bool check_settings(const reader *r, const char *field, const json_t *object, bool lists) {
    const char *name;
    json_t *value;
    if (object && !json_is_object(object)) return fail_found(r, field, "an object of settings", object);
    json_object_foreach((json_t *)object, name, value) {
        char at[200];
        const setting *s = find_setting(name);
        snprintf(at, sizeof at, "%s.%.60s", field, name);
        if (!s) return fail(r, "%s: wanted a setting of docs/sweep.md, found '%.60s'", field, name);
        if (!lists && !check_value(r, at, s, value)) return false;
        if (!lists) continue;
        if (!json_is_array(value) || json_array_size(value) == 0)
            return fail_found(r, at, "a list of values", value);
        for (size_t i = 0; i < json_array_size(value); i++) {
            char item[260];
            snprintf(item, sizeof item, "%s[%zu]", at, i);
            if (!check_value(r, item, s, json_array_get(value, i))) return false;
        }
    }
    return true;
}

static bool check_keys(const reader *r, const char *field, const json_t *object, const char *const *known) {
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)object, name, value) {
        const char *const *k = known;
        while (*k && strcmp(*k, name)) k++;
        char names[200];
        list_names(known, names);
        if (!*k) return fail(r, "%s: wanted %s, found '%.60s'", field, names, name);
    }
    return true;
}

/* ---- rows --------------------------------------------------------------------------------- */

static bool add_row(const reader *r, sweep_spec *spec, const json_t *settings, const json_t *last) {
    json_t *row = json_copy((json_t *)settings);
    json_object_update(row, (json_t *)last);
    for (uint32_t i = 0; i < spec->n_row; i++) {
        if (!json_equal(spec->row[i], row)) continue;
        json_decref(row);
        return true;
    }
    if (!json_object_get(row, "model") || !json_object_get(row, "factoring")) {
        char text[80];
        fail(r, "a row: wanted a model and a factoring, found %s", shown(row, text));
        json_decref(row);
        return false;
    }
    if (spec->n_row == SWEEP_MAX_ROW) {
        json_decref(row);
        return fail(r, "wanted at most %d rows", SWEEP_MAX_ROW);
    }
    spec->row[spec->n_row++] = row;
    return true;
}

/* Settings from table entry i on are still to be multiplied out. */
static bool multiply(const reader *r, sweep_spec *spec, json_t *settings, const json_t *axes, const json_t *last,
                     uint32_t i) {
    while (i < N_SETTING && !json_object_get(axes, settings_table[i].name)) i++;
    if (i == N_SETTING) return add_row(r, spec, settings, last);
    const char *name = settings_table[i].name;
    const json_t *values = json_object_get(axes, name);
    for (size_t k = 0; k < json_array_size(values); k++) {
        json_t *row = json_copy(settings);
        json_object_set(row, name, json_array_get(values, k));
        bool ok = multiply(r, spec, row, axes, last, i + 1);
        json_decref(row);
        if (!ok) return false;
    }
    return true;
}

/* What --quick says of a spec's part, else the part. */
static json_t *part_of(const sweep_spec *spec, const json_t *quick, const char *name) {
    json_t *part = json_object_get(quick, name);
    return part ? part : json_object_get(spec->root, name);
}

static bool add_grid(const reader *r, sweep_spec *spec, const json_t *set, const json_t *axes, const json_t *last) {
    json_t *settings = set ? json_copy((json_t *)set) : json_object();
    bool ok = multiply(r, spec, settings, axes, last, 0);
    json_decref(settings);
    return ok;
}

static bool add_grids(const reader *r, sweep_spec *spec, const json_t *set, const json_t *grids, const json_t *last) {
    static const char *const known[] = {"set", "axes", NULL};
    for (size_t i = 0; i < json_array_size(grids); i++) {
        char field[40], at[60];
        const json_t *grid = json_array_get(grids, i);
        const json_t *more = json_object_get(grid, "set"), *axes = json_object_get(grid, "axes");
        snprintf(field, sizeof field, "grids[%zu]", i);
        if (!json_is_object(grid)) return fail_found(r, field, "an object of set and axes", grid);
        if (!check_keys(r, field, grid, known)) return false;
        snprintf(at, sizeof at, "%s.set", field);
        if (!check_settings(r, at, more, false)) return false;
        snprintf(at, sizeof at, "%s.axes", field);
        if (!check_settings(r, at, axes, true)) return false;
        json_t *both = set ? json_copy((json_t *)set) : json_object();
        if (more) json_object_update(both, (json_t *)more);
        bool ok = add_grid(r, spec, both, axes, last);
        json_decref(both);
        if (!ok) return false;
    }
    return true;
}

static bool add_rows(const reader *r, sweep_spec *spec, const json_t *quick) {
    const json_t *set = json_object_get(spec->root, "set"), *last = json_object_get(quick, "set");
    json_t *axes = json_object();
    const json_t *base = json_object_get(spec->root, "axes"), *over = json_object_get(quick, "axes");
    const json_t *rows = part_of(spec, quick, "rows"), *grids = part_of(spec, quick, "grids");
    json_t *nothing = json_object();
    if (!last) last = nothing;
    bool ok = check_settings(r, "set", set, false) && check_settings(r, "quick.set", last, false) &&
              check_settings(r, "axes", base, true) && check_settings(r, "quick.axes", over, true);
    if (ok && base) json_object_update(axes, (json_t *)base);
    if (ok && over) json_object_update(axes, (json_t *)over);
    if (ok && rows && !json_is_array(rows)) ok = fail_found(r, "rows", "a list of objects of settings", rows);
    if (ok && grids && !json_is_array(grids)) ok = fail_found(r, "grids", "a list of objects of set and axes", grids);
    if (ok && json_object_size(axes) > 0) ok = add_grid(r, spec, set, axes, last);
    for (size_t i = 0; ok && i < json_array_size(rows); i++) {
        char field[40];
        json_t *row = json_array_get(rows, i);
        snprintf(field, sizeof field, "rows[%zu]", i);
        ok = check_settings(r, field, row, false);
        if (!ok) break;
        json_t *both = set ? json_copy((json_t *)set) : json_object();
        json_object_update(both, row);
        ok = add_row(r, spec, both, last);
        json_decref(both);
    }
    ok = ok && add_grids(r, spec, set, grids, last);
    if (ok && spec->n_row == 0) ok = fail(r, "axes, rows, grids: wanted a row, found none");
    json_decref(axes), json_decref(nothing);
    return ok;
}

/* ---- the spec ----------------------------------------------------------------------------- */

static bool need_text(const reader *r, const json_t *root, const char *key, const char **out) {
    *out = json_string_value(json_object_get(root, key));
    return (*out && **out) || fail_found(r, key, "text", json_object_get(root, key));
}

static bool read_measure(const reader *r, const json_t *measure, const char *field, sweep_spec *spec) {
    static const char *const known[] = {"tokens", "samples", "check", "shares", NULL};
    const struct { const char *name; uint32_t *at; json_int_t min, max; } numbers[] = {
        {"tokens", &spec->n_token, 1, 4096},
        {"samples", &spec->n_sample, 1, MEASURE_MAX_SAMPLE},
        {"check", &spec->n_check, 1, 64}};
    if (!measure) return true;
    if (!json_is_object(measure)) return fail_found(r, field, "an object", measure);
    if (!check_keys(r, field, measure, known)) return false;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        const json_t *value = json_object_get(measure, numbers[i].name);
        char at[80];
        const setting whole = {numbers[i].name, WHOLE, numbers[i].min, numbers[i].max, NULL};
        snprintf(at, sizeof at, "%s.%s", field, numbers[i].name);
        if (!value) continue;
        if (!check_value(r, at, &whole, value)) return false;
        *numbers[i].at = (uint32_t)json_integer_value(value);
    }
    const json_t *shares = json_object_get(measure, "shares");
    if (shares && !json_is_boolean(shares)) return fail_found(r, "measure.shares", "true or false", shares);
    if (shares) spec->shares = json_is_true(shares);
    return true;
}

static bool is_name(const char *name) {
    return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == strlen(name);
}

static bool read_spec(const reader *r, sweep_spec *spec, bool quick) {
    static const char *const known[] = {"schema", "name", "title", "question", "origin", "set",
                                        "axes", "rows", "grids", "measure", "quick", NULL};
    static const char *const quick_known[] = {"set", "axes", "rows", "grids", "measure", NULL};
    const char *schema;
    const json_t *root = spec->root, *brief = json_object_get(root, "quick");
    if (!json_is_object(root)) return fail_found(r, "spec", "an object", root);
    if (!need_text(r, root, "schema", &schema)) return false;
    if (strcmp(schema, SWEEP_SPEC_SCHEMA))
        return fail_found(r, "schema", "\"" SWEEP_SPEC_SCHEMA "\"", json_object_get(root, "schema"));
    if (!check_keys(r, "spec", root, known)) return false;
    if (!need_text(r, root, "name", &spec->name) || !need_text(r, root, "title", &spec->title) ||
        !need_text(r, root, "question", &spec->question))
        return false;
    if (!is_name(spec->name))
        return fail_found(r, "name", "letters, digits and '-'", json_object_get(root, "name"));
    spec->origin = json_object_get(root, "origin") ? NULL : "";
    if (!spec->origin && !need_text(r, root, "origin", &spec->origin)) return false;
    if (brief && !json_is_object(brief)) return fail_found(r, "quick", "an object", brief);
    if (!check_keys(r, "quick", brief, quick_known)) return false;
    if (!quick) brief = NULL;
    spec->n_token = 32, spec->n_sample = 7, spec->n_check = 3;
    if (!read_measure(r, json_object_get(root, "measure"), "measure", spec) ||
        !read_measure(r, json_object_get(brief, "measure"), "quick.measure", spec))
        return false;
    return add_rows(r, spec, brief);
}

bool sweep_spec_parse(const char *text, const char *where, bool quick, sweep_spec *out,
                      char error[SWEEP_TEXT_BYTES]) {
    const reader r = {where, error};
    json_error_t at;
    *out = (sweep_spec){.root = json_loads(text, JSON_REJECT_DUPLICATES, &at)};
    if (!out->root) return fail(&r, "line %d: wanted JSON, found: %.200s", at.line, at.text);
    out->row = calloc(SWEEP_MAX_ROW, sizeof(json_t *));
    if (out->row && read_spec(&r, out, quick)) return true;
    sweep_spec_free(out);
    return false;
}

void sweep_spec_free(sweep_spec *spec) {
    for (uint32_t i = 0; i < spec->n_row; i++) json_decref(spec->row[i]);
    free(spec->row);
    json_decref(spec->root);
    *spec = (sweep_spec){0};
}

/* ---- what a row asks for ------------------------------------------------------------------ */

void sweep_row_key(const sweep_spec *spec, const json_t *settings, char key[SWEEP_TEXT_BYTES]) {
    size_t n = (size_t)snprintf(key, SWEEP_TEXT_BYTES, "%.60s:", spec->name);
    for (uint32_t i = 0; i < N_SETTING && n < SWEEP_TEXT_BYTES - 100; i++) {
        const json_t *value = json_object_get(settings, settings_table[i].name);
        if (!value) continue;
        const char *name = settings_table[i].name, *text = json_string_value(value);
        if (text) n += (size_t)snprintf(key + n, SWEEP_TEXT_BYTES - n, " %s=%.60s", name, text);
        else if (json_is_boolean(value)) n += (size_t)snprintf(key + n, SWEEP_TEXT_BYTES - n, " %s=%d", name,
                                                               json_is_true(value));
        else n += (size_t)snprintf(key + n, SWEEP_TEXT_BYTES - n, " %s=%lld", name,
                                   (long long)json_integer_value(value));
    }
    snprintf(key + n, SWEEP_TEXT_BYTES - n, " tokens=%u samples=%u", spec->n_token, spec->n_sample);
}

static uint32_t number_of(const json_t *settings, const char *name) {
    return (uint32_t)json_integer_value(json_object_get(settings, name));
}

static const char *text_of(const json_t *settings, const char *name) {
    return json_string_value(json_object_get(settings, name));
}

/* The number of a setting's text among names; 0 where it is absent. */
static int index_of(const json_t *settings, const char *name, const char *const *names) {
    const char *text = text_of(settings, name);
    for (int i = 0; text && names[i]; i++)
        if (!strcmp(names[i], text)) return i;
    return 0;
}

static bool is_text(const json_t *settings, const char *name, const char *text) {
    const char *found = text_of(settings, name);
    return found && !strcmp(found, text);
}

sweep_setup sweep_setup_of(const json_t *s) {
    sweep_setup out = {.reduction = text_of(s, "reduction")};
    out.synth = (solo_synth_desc){.preset = text_of(s, "model"), .type = text_of(s, "type"),
                                  .output_type = text_of(s, "output_type"), .n_layer = number_of(s, "layers"),
                                  .n_vocab = number_of(s, "vocab"), .seed = number_of(s, "seed")};
    out.plan = (solo_plan_desc){
        .factoring = text_of(s, "factoring"),
        .n_workgroup = number_of(s, "n_workgroup"),
        .workgroup_size = number_of(s, "workgroup_size"),
        .n_slice = number_of(s, "n_slice"),
        .tile_rows = number_of(s, "tile_rows"),
        .k_split = number_of(s, "k_split"),
        .rows_team = number_of(s, "rows_team"),
        .no_subgroups = is_text(s, "reduction", "scratch"),
        .activations = is_text(s, "activations", "f32") ? SOLO_ACTIVATIONS_F32 : SOLO_ACTIVATIONS_INT8,
        .kv_type = is_text(s, "kv", "f32") ? SOLO_KV_F32 : is_text(s, "kv", "f16") ? SOLO_KV_F16 : SOLO_KV_AUTO,
        .hand_off = (solo_hand_off)index_of(s, "hand_off", solo_hand_off_names()),
        .assignment = is_text(s, "assignment", "static")   ? SOLO_ASSIGNMENT_STATIC
                      : is_text(s, "assignment", "ticket") ? SOLO_ASSIGNMENT_TICKET
                                                           : SOLO_ASSIGNMENT_AUTO,
        .submit = (solo_submit)index_of(s, "submit", solo_submit_names()),
        .queue_across = json_is_true(json_object_get(s, "queue_across")),
        .experiment = true,   /* its output is checked before anybody sees a time */
        .no_self_test = true, /* by more tokens than the self-test's */
    };
    const json_t *queue = json_object_get(s, "queue");
    out.plan.queue = queue && json_integer_value(queue) == 0 ? SOLO_QUEUE_NONE : number_of(s, "queue");
    out.session = (solo_session_desc){.n_in_flight = number_of(s, "in_flight"),
                                      .n_token_submit = number_of(s, "tokens_submit")};
    out.n_pos = number_of(s, "position");
    if (out.n_pos == 0) out.n_pos = 16;
    return out;
}
