/* sweep.c: the program's sweeps for a page: specs, rows, curves as JSON text, models in memory. What is returned is
 * malloc'd; free it. */
#include "sweep.h"

#include "synth.h"

/* NULL: err says file, field, wanted, found. */
sweep_spec *solo_web_sweep_spec(const char *text, const char *where, bool quick, solo_error *err);
sweep_spec *solo_web_sweep_spec(const char *text, const char *where, bool quick, solo_error *err) {
    char error[SWEEP_TEXT_BYTES];
    sweep_spec *spec = solo_zalloc(1, sizeof *spec);
    if (sweep_spec_parse(text, where, quick, spec, error)) return spec;
    solo_fail(err, SOLO_ARGUMENT, "%s", error);
    free(spec);
    return NULL;
}

void solo_web_sweep_spec_free(sweep_spec *spec);
void solo_web_sweep_spec_free(sweep_spec *spec) {
    sweep_spec_free(spec);
    free(spec);
}

static char *text_of(json_t *value) { /* takes value */
    char *text = json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(9));
    json_decref(value);
    return text;
}

/* {name, title, question, keys: [...]}. */
char *solo_web_sweep_describe(const sweep_spec *spec);
char *solo_web_sweep_describe(const sweep_spec *spec) {
    json_t *keys = json_array();
    for (uint32_t i = 0; i < spec->n_row; i++) {
        char key[SWEEP_TEXT_BYTES];
        sweep_row_key(spec, spec->row[i], key);
        json_array_append_new(keys, json_string(key));
    }
    return text_of(json_pack("{s:s, s:s, s:s, s:o}", "name", spec->name, "title", spec->title, "question",
                             spec->question, "keys", keys));
}

/* Probes the device, which stays the page's. */
bool solo_web_sweep_open(sweep_bench **out, solo_device *device, solo_error *err);
bool solo_web_sweep_open(sweep_bench **out, solo_device *device, solo_error *err) {
    sweep_bench *bench = *out = solo_zalloc(1, sizeof *bench);
    bench->device = device;
    bench->info = solo_device_get_info(device);
    if (solo_device_probe(device, &(solo_probe_desc){0}, &bench->probe, err) &&
        solo_device_probe_rates(device, &bench->rates, err))
        return true;
    free(bench);
    *out = NULL;
    return false;
}

void solo_web_sweep_close(sweep_bench *bench);
void solo_web_sweep_close(sweep_bench *bench) {
    bench->device = NULL;
    sweep_bench_close(bench);
    free(bench);
}

/* {device, probe, rates} of a result's head. */
char *solo_web_sweep_head(const sweep_bench *bench);
char *solo_web_sweep_head(const sweep_bench *bench) {
    return text_of(json_pack("{s:o, s:o, s:o}", "device", cli_device_json(&bench->info), "probe",
                             cli_probe_json(&bench->probe), "rates", cli_rates_json(&bench->rates)));
}

/* Row i of the spec, opened, checked, timed. */
bool solo_web_sweep_row(char **out, sweep_bench *bench, const sweep_spec *spec, uint32_t i, solo_error *err);
bool solo_web_sweep_row(char **out, sweep_bench *bench, const sweep_spec *spec, uint32_t i, solo_error *err) {
    bool lost = false;
    *out = text_of(sweep_row(bench, spec, spec->row[i], &lost));
    return !lost || solo_fail(err, SOLO_DEVICE_LOST, "the device was lost");
}

/* The curves of a result, an array of its lines. NULL: it is none. */
char *solo_web_sweep_curves(const char *text);
char *solo_web_sweep_curves(const char *text) {
    json_t *lines = json_loads(text, 0, NULL);
    sweep_curves *curves = json_is_array(lines) ? sweep_curves_new(lines, NULL) : NULL;
    char *out = curves ? text_of(sweep_curves_json(curves)) : NULL;
    free(curves);
    json_decref(lines);
    return out;
}

/* ---- models in memory --------------------------------------------------------------------- */

typedef struct buffer {
    uint8_t *at;
    size_t   n, done;
} buffer;

static bool take(void *user, const void *bytes, size_t n, solo_error *err) {
    buffer *b = user;
    if (!bytes) {
        b->at = malloc(n);
        b->n = n;
        return b->at || solo_fail(err, SOLO_MEMORY, "wanted %zu bytes of the page's memory for a model", n);
    }
    memcpy(b->at + b->done, bytes, n);
    b->done += n;
    return true;
}

bool sweep_synth(sweep_bench *bench, const solo_synth_desc *desc, solo_model **out, solo_error *err) {
    buffer b = {0};
    sweep_synth_end(bench);
    *out = NULL;
    bool ok = solo_synth_emit(desc, take, &b, NULL, err);
    bench->bytes = b.at; /* the model borrows them */
    return ok && solo_model_open(out, &(solo_model_desc){.bytes = b.at, .n_bytes = b.n, .label = desc->preset}, err);
}

void sweep_synth_end(sweep_bench *bench) {
    free(bench->bytes);
    bench->bytes = NULL;
}
