/* sweep_file.c: results of a sweep on disk: JSON lines, a head first; the same as a table. */
#include "sweep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- the head ----------------------------------------------------------------------------- */

static const char *shown(const json_t *value, char text[120]) {
    char *all = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    snprintf(text, 120, "%.110s", all ? all : "nothing");
    free(all);
    return text;
}

bool sweep_head_fits(const char *path, const json_t *found, const json_t *head, char error[SWEEP_TEXT_BYTES]) {
    static const char *const keys[] = {"schema", "solo", "commit", "where", "webgpu", "quick"};
    static const char *const device_keys[] = {"name", "driver", "backend"};
    const json_t *a = json_object_get(found, "device"), *b = json_object_get(head, "device");
    char is[120], wanted[120];
    for (size_t i = 0; i < sizeof keys / sizeof keys[0] + sizeof device_keys / sizeof device_keys[0]; i++) {
        size_t n = sizeof keys / sizeof keys[0];
        const char *key = i < n ? keys[i] : device_keys[i - n];
        const json_t *x = json_object_get(i < n ? found : a, key), *y = json_object_get(i < n ? head : b, key);
        if (x && y && json_equal((json_t *)x, (json_t *)y)) continue;
        snprintf(error, SWEEP_TEXT_BYTES,
                 "%.300s: it holds another run's rows: %s%s: wanted %s, found %s; choose another file", path,
                 i < n ? "" : "device.", key, shown(y, wanted), shown(x, is));
        return false;
    }
    return true;
}

/* ---- reading ------------------------------------------------------------------------------ */

static bool is_line_of(const json_t *value, const char *what) {
    const char *found = json_string_value(json_object_get(value, "what"));
    return found && !strcmp(found, what);
}

json_t *sweep_file_read(const char *path, long *n_bytes, char error[SWEEP_TEXT_BYTES]) {
    char *text;
    size_t n_text;
    error[0] = '\0';
    if (!cli_read_all(path, &text, &n_text)) {
        snprintf(error, SWEEP_TEXT_BYTES, "%.300s: could not be read", path);
        return NULL;
    }
    json_t *lines = json_array();
    char *at = text;
    for (uint32_t line = 1; at < text + n_text; line++) {
        char *end = memchr(at, '\n', (size_t)(text + n_text - at));
        if (!end) break; /* cut while it was written */
        json_error_t where;
        json_t *value = json_loadb(at, (size_t)(end - at), 0, &where);
        if (!value || !is_line_of(value, line == 1 ? "head" : "row")) {
            snprintf(error, SWEEP_TEXT_BYTES, "%.300s:%u: wanted %s of a sweep's result, found: %.200s", path, line,
                     line == 1 ? "the head" : "a row", value ? "something else" : where.text);
            json_decref(value), json_decref(lines);
            free(text);
            return NULL;
        }
        json_array_append_new(lines, value);
        at = end + 1;
    }
    if (n_bytes) *n_bytes = (long)(at - text);
    free(text);
    const char *schema = json_string_value(json_object_get(json_array_get(lines, 0), "schema"));
    if (json_array_size(lines) > 0 && (!schema || strcmp(schema, SWEEP_SCHEMA))) {
        snprintf(error, SWEEP_TEXT_BYTES, "%.300s: schema: wanted \"%s\", found \"%.60s\"", path, SWEEP_SCHEMA,
                 schema ? schema : "nothing");
        json_decref(lines);
        return NULL;
    }
    return lines;
}

/* ---- the table ---------------------------------------------------------------------------- */

/* "model.n_layer": a value by its path. */
static const json_t *value_at(const json_t *row, const char *path) {
    char name[64];
    size_t n = strcspn(path, ".");
    snprintf(name, sizeof name, "%.*s", (int)n, path);
    const json_t *value = json_object_get(row, name);
    return path[n] ? value_at(value, path + n + 1) : value;
}

static void write_cell(FILE *out, const json_t *value) {
    const char *text = json_string_value(value);
    if (!value || json_is_null(value)) return;
    if (json_is_integer(value)) fprintf(out, "%lld", (long long)json_integer_value(value));
    else if (json_is_number(value)) fprintf(out, "%.9g", json_number_value(value));
    if (!text) return;
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"') fputc('"', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

bool sweep_write_csv(const char *path, const json_t *lines, char error[SWEEP_TEXT_BYTES]) {
    static const char *const columns[] = {
        "spec", "key", "status", "reason", "model.name", "model.n_layer", "model.n_embd", "model.n_vocab",
        "model.file_type", "plan.factoring", "plan.assignment", "plan.hand_off", "plan.activations", "plan.kv",
        "plan.reduction", "plan.n_workgroup", "plan.workgroup_size", "plan.n_stage", "check.rule", "check.error_max",
        "check.error_rms", "n_pos", "n_token", "n_sample", "tok_s", "tok_s_min", "tok_s_q1", "tok_s_q3", "tok_s_max",
        "ms_per_token", "dispatches_per_token", "submits_per_token", "hand_offs_per_token", "bytes_per_token", "gb_s",
        "of_read", "predicted_ms"};
    enum { N_COLUMN = sizeof columns / sizeof columns[0] };
    FILE *out = fopen(path, "w");
    for (size_t i = 0; out && i < N_COLUMN; i++) fprintf(out, "%s%s", columns[i], i + 1 < N_COLUMN ? "," : "\n");
    for (size_t k = 1; out && k < json_array_size(lines); k++) {
        for (size_t i = 0; i < N_COLUMN; i++) {
            write_cell(out, value_at(json_array_get(lines, k), columns[i]));
            fputc(i + 1 < N_COLUMN ? ',' : '\n', out);
        }
    }
    bool ok = out && !ferror(out);
    if (out && fclose(out) != 0) ok = false;
    if (!ok) snprintf(error, SWEEP_TEXT_BYTES, "%.300s: wanted to write it, found: %s", path, strerror(errno));
    return ok;
}
