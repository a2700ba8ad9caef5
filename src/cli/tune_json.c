/* tune_json.c: probe and tune results as JSON, and the cache file that remembers them:
 *
 *   {"schema": 1, "entries": {KEY: RESULT, ...}}     KEY: solo_tune_key; RESULT: cli_tune_json
 *
 * The file is anybody's to damage: what cannot be read is as if it were not there, with a note. */
#include "cli.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CACHE_SCHEMA = 1, MAX_BYTES = 1 << 20, MAX_ENTRY = 64 };

/* ---- out ---------------------------------------------------------------------------------- */

/* Drivers' messages may be any bytes; jansson wants UTF-8. */
static json_t *text_json(const char *text) {
    json_t *value = json_string(text);
    return value ? value : json_string("(not UTF-8)");
}

/* JSON has no infinity: what cannot run is predicted to take null. */
static json_t *ms_json(double ms) {
    json_t *value = json_real(ms);
    return value ? value : json_null();
}

json_t *cli_tune_json(const solo_tune_result *r) {
    json_t *rows = json_array();
    for (uint32_t i = 0; i < r->n_row; i++) {
        const solo_tune_row *row = &r->row[i];
        json_array_append_new(
            rows, json_pack("{s:s, s:I, s:I, s:I, s:o, s:o, s:o}", "factoring",
                            row->choice.factoring, "workgroup_size",
                            (json_int_t)row->choice.workgroup_size, "n_dispatch",
                            (json_int_t)row->n_dispatch, "n_hand_off", (json_int_t)row->n_hand_off,
                            "predicted_ms", ms_json(row->predicted_ms), "measured_ms",
                            row->measured_ms > 0 ? ms_json(row->measured_ms) : json_null(), "note",
                            text_json(row->note)));
    }
    return json_pack("{s:o, s:I, s:I, s:o}", "probe", cli_probe_json(&r->probe), "weight_bytes",
                     (json_int_t)r->weight_bytes, "best", (json_int_t)r->best, "rows", rows);
}

/* ---- in ----------------------------------------------------------------------------------- */

static bool get_u32(const json_t *o, const char *key, uint32_t max, uint32_t *out) {
    const json_t *v = json_object_get(o, key);
    json_int_t n = json_integer_value(v);
    if (!json_is_integer(v) || n < 0 || n > (json_int_t)max) return false;
    *out = (uint32_t)n;
    return true;
}

/* Not negative; null is `none`. */
static bool get_real(const json_t *o, const char *key, double none, double *out) {
    const json_t *v = json_object_get(o, key);
    *out = json_is_null(v) ? none : json_number_value(v);
    return (json_is_null(v) || json_is_number(v)) && *out >= 0;
}

static bool get_text(const json_t *o, const char *key, char *out, size_t n_out) {
    const json_t *v = json_object_get(o, key);
    size_t n = json_string_length(v);
    if (!json_is_string(v) || n >= n_out || memchr(json_string_value(v), 0, n)) return false;
    memcpy(out, json_string_value(v), n + 1);
    return true;
}

static bool parse_probe(const json_t *o, solo_probe_result *p) {
    const json_t *list = json_object_get(o, "hand_off");
    if (!get_u32(o, "workgroup_size", 1 << 20, &p->workgroup_size) ||
        !get_u32(o, "workgroup_bytes", 1 << 30, &p->workgroup_bytes) ||
        !get_u32(o, "n_resident", SOLO_PROBE_MAX_WORKGROUP, &p->n_resident) ||
        !get_real(o, "read_bytes_s", 0, &p->read_bytes_s) ||
        !get_real(o, "dispatch_us", 0, &p->dispatch_us) ||
        !get_real(o, "round_trip_us", 0, &p->round_trip_us) || !json_is_array(list) ||
        json_array_size(list) > SOLO_PROBE_MAX_HAND_OFF)
        return false;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *row = json_array_get(list, i);
        solo_probe_hand_off *h = &p->hand_off[p->n_hand_off++];
        if (!get_u32(row, "n_workgroup", SOLO_PROBE_MAX_WORKGROUP, &h->n_workgroup) ||
            !get_real(row, "us", 0, &h->us))
            return false;
    }
    return true;
}

static bool parse_row(const json_t *o, solo_tune_row *row) {
    return get_text(o, "factoring", row->choice.factoring, sizeof row->choice.factoring) &&
           row->choice.factoring[0] &&
           get_u32(o, "workgroup_size", 1 << 20, &row->choice.workgroup_size) &&
           get_u32(o, "n_dispatch", INT32_MAX, &row->n_dispatch) &&
           get_u32(o, "n_hand_off", INT32_MAX, &row->n_hand_off) &&
           get_real(o, "predicted_ms", INFINITY, &row->predicted_ms) &&
           get_real(o, "measured_ms", 0, &row->measured_ms) &&
           get_text(o, "note", row->note, sizeof row->note);
}

bool cli_tune_parse(const json_t *value, solo_tune_result *out) {
    const json_t *rows = json_object_get(value, "rows");
    const json_t *bytes = json_object_get(value, "weight_bytes");
    memset(out, 0, sizeof *out);
    if (!parse_probe(json_object_get(value, "probe"), &out->probe) || !json_is_array(rows) ||
        json_array_size(rows) > SOLO_TUNE_MAX_ROW || !json_is_integer(bytes) ||
        json_integer_value(bytes) < 0)
        return false;
    out->weight_bytes = (uint64_t)json_integer_value(bytes);
    for (size_t i = 0; i < json_array_size(rows); i++)
        if (!parse_row(json_array_get(rows, i), &out->row[out->n_row++])) return false;
    return get_u32(value, "best", SOLO_TUNE_MAX_ROW - 1, &out->best) && out->best < out->n_row &&
           out->row[out->best].measured_ms > 0;
}

/* ---- the file ----------------------------------------------------------------------------- */

/* The file's entries, a new reference; NULL: none, *note says what is wrong, if anything. */
static json_t *load_entries(const char *path, char note[400]) {
    struct stat st;
    json_error_t error;
    FILE *in = fopen(path, "rb");
    note[0] = '\0';
    if (!in) {
        if (errno != ENOENT) snprintf(note, 400, "%.250s: %s", path, strerror(errno));
        return NULL;
    }
    json_t *root = NULL, *entries = NULL;
    if (fstat(fileno(in), &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > MAX_BYTES) {
        snprintf(note, 400, "%.250s: wanted a file of at most %d bytes; it is not used", path,
                 MAX_BYTES);
    } else if (!(root = json_loadf(in, 0, &error))) {
        snprintf(note, 400, "%.250s: line %d: %.60s; it is not used", path, error.line, error.text);
    } else {
        const json_t *schema = json_object_get(root, "schema");
        if (json_is_integer(schema) && json_integer_value(schema) == CACHE_SCHEMA)
            entries = json_object_get(root, "entries");
        if (json_is_object(entries)) json_incref(entries);
        else {
            entries = NULL;
            snprintf(note, 400, "%.250s: wanted schema %d with entries; it is not used", path,
                     CACHE_SCHEMA);
        }
    }
    json_decref(root);
    fclose(in);
    return entries;
}

bool cli_tune_cache_find(const char *path, const char *key, solo_tune_result *out, char note[400]) {
    json_t *entries = load_entries(path, note);
    const json_t *entry = entries ? json_object_get(entries, key) : NULL;
    bool found = entry && cli_tune_parse(entry, out);
    if (entry && !found)
        snprintf(note, 400, "%.250s: the entry for this device and model is damaged", path);
    json_decref(entries);
    return found;
}

/* Makes the folders above path. */
static bool make_folders(const char *path) {
    char folder[1000];
    if (snprintf(folder, sizeof folder, "%s", path) >= (int)sizeof folder) return false;
    for (char *slash = folder + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        if (mkdir(folder, 0755) != 0 && errno != EEXIST) return false;
        *slash = '/';
    }
    return true;
}

/* Beside path first, then in its place: a reader sees the old file or the new one. */
static bool replace_file(const char *path, const json_t *root) {
    char beside[1040];
    snprintf(beside, sizeof beside, "%s.%ld", path, (long)getpid());
    if (json_dump_file(root, beside, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) == 0 &&
        rename(beside, path) == 0)
        return true;
    int kept = errno;
    remove(beside);
    errno = kept;
    return false;
}

bool cli_tune_cache_store(const char *path, const char *key, const solo_tune_result *result,
                          char note[400]) {
    char unused[400];
    json_t *entries = load_entries(path, unused); /* a damaged file is replaced */
    if (!entries || json_object_size(entries) >= MAX_ENTRY) {
        json_decref(entries);
        entries = json_object();
    }
    note[0] = '\0';
    errno = 0;
    bool ok = json_object_set_new(entries, key, cli_tune_json(result)) == 0;
    json_t *root = json_pack("{s:i, s:O}", "schema", CACHE_SCHEMA, "entries", entries);
    ok = ok && root && make_folders(path) && replace_file(path, root);
    if (!ok)
        snprintf(note, 400, "%.250s: not written: %s", path,
                 errno ? strerror(errno) : "the device's name is not UTF-8");
    json_decref(root);
    json_decref(entries);
    return ok;
}
