/* sweep_row.c: one row of a sweep: its model made and opened, its output held to references, then timed. A row
 * that is wrong anywhere has no times. */
#include "sweep.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ROW_S 3.0 /* sampling goes on so long at most, once there are three samples */

/* What `stages` computes at one geometry: what other factorings must equal. */
typedef struct expected {
    char      key[200];
    uint32_t *ids;   /* [n_token] */
    float    *logits; /* [n_vocab] */
    solo_plan_info info; /* its strings are literals, but the factoring */
} expected;

typedef struct sweep_model {
    char key[SWEEP_TEXT_BYTES];
    solo_model   *model;
    solo_weights *weights;
    uint32_t n_vocab;
    float   *reference; /* [n_vocab] logits of the C reference after n_check ids */
    uint32_t n_check;
    expected *expected; /* [n_expected] */
    uint32_t n_expected;
} sweep_model;

/* ---- models ------------------------------------------------------------------------------- */

static void model_close(sweep_model *m) {
    if (!m) return;
    for (uint32_t i = 0; i < m->n_expected; i++) free(m->expected[i].ids), free(m->expected[i].logits);
    free(m->expected), free(m->reference);
    solo_weights_close(m->weights);
    solo_model_close(m->model);
    free(m);
}

void sweep_bench_close(sweep_bench *bench) {
    model_close(bench->model);
    sweep_synth_end(bench);
    solo_device_close(bench->device);
    *bench = (sweep_bench){0};
}

/* The model of a row, made anew where the row before had another. */
static bool open_model(sweep_bench *bench, const solo_synth_desc *synth, solo_error *err) {
    char key[SWEEP_TEXT_BYTES];
    snprintf(key, sizeof key, "%s %u %u %s %s %llu", synth->preset, synth->n_layer, synth->n_vocab,
             synth->type ? synth->type : "", synth->output_type ? synth->output_type : "",
             (unsigned long long)synth->seed);
    if (bench->model && !strcmp(bench->model->key, key)) return true;
    model_close(bench->model);
    sweep_model *m = bench->model = calloc(1, sizeof *m);
    bool ok = m && sweep_synth(bench, synth, &m->model, err) &&
              solo_weights_open(&m->weights, &(solo_weights_desc){.model = m->model, .device = bench->device}, err);
    if (!ok) {
        model_close(m);
        bench->model = NULL;
        return false;
    }
    snprintf(m->key, sizeof m->key, "%s", key);
    m->n_vocab = solo_model_get_info(m->model).n_vocab;
    return true;
}

/* ---- references --------------------------------------------------------------------------- */

static bool logits_after(solo_session *session, uint32_t n, uint32_t n_vocab, float *logits, solo_error *err) {
    uint32_t ids[64];
    measure_prompt(ids, n, n_vocab);
    return solo_session_sync(session, ids, n, err) && solo_session_logits(session, logits, err);
}

/* The C reference's logits after n_check ids. */
static bool need_reference(sweep_model *m, uint32_t n_check, solo_error *err) {
    if (m->reference && m->n_check == n_check) return true;
    free(m->reference);
    m->reference = malloc(m->n_vocab * sizeof *m->reference);
    m->n_check = n_check;
    solo_device *cpu = NULL;
    solo_weights *weights = NULL;
    measure_run run = {.plan_desc = {.n_ctx = n_check < 2 ? 2 : n_check}};
    bool ok = m->reference && solo_device_open(&cpu, &(solo_device_desc){.name = "cpu"}, err) &&
              solo_weights_open(&weights, &(solo_weights_desc){.model = m->model, .device = cpu}, err);
    if (ok && !measure_open(&run, weights, n_check)) {
        snprintf(err->text, sizeof err->text, "the C reference: %.500s", run.error);
        ok = false;
    }
    ok = ok && logits_after(run.session, n_check, m->n_vocab, m->reference, err);
    measure_close(&run);
    solo_weights_close(weights);
    solo_device_close(cpu);
    if (!ok) free(m->reference), m->reference = NULL;
    return ok;
}

/* All ids of a sample, and the logits after n_check ids before it. */
static bool run_once(measure_run *run, const sweep_model *m, uint32_t n_check, uint32_t n_pos, uint32_t n_token,
                     uint32_t *ids, float *logits) {
    solo_error err = {0};
    uint32_t *prompt = malloc(n_pos * sizeof *prompt);
    double unused;
    if (!logits_after(run->session, n_check, m->n_vocab, logits, &err)) {
        free(prompt);
        measure_fail(run, &err);
        return false;
    }
    measure_prompt(prompt, n_pos, m->n_vocab);
    bool ok = measure_sample(run, prompt, n_pos, n_token, ids, &unused);
    free(prompt);
    return ok;
}

/* What stages' numbers at a geometry hang on. */
static void expected_key(const solo_plan_desc *d, uint32_t n_check, uint32_t n_pos, uint32_t n_token, char key[200]) {
    snprintf(key, 200, "%u %u %u %u %u %u %u %u %u %d %d %d %u", n_check, n_pos, n_token, d->n_workgroup,
             d->workgroup_size, d->n_slice, d->tile_rows, d->k_split, d->rows_team, d->no_subgroups,
             (int)d->activations, (int)d->kv_type, d->n_ctx);
}

/* Takes ids and logits. */
static const expected *keep_expected(sweep_model *m, const char *key, const solo_plan_info *info, uint32_t *ids,
                                     float *logits) {
    expected *more = realloc(m->expected, (m->n_expected + 1) * sizeof *more);
    if (!more) {
        free(ids), free(logits);
        return NULL;
    }
    m->expected = more;
    expected *e = &more[m->n_expected++];
    *e = (expected){.ids = ids, .logits = logits, .info = *info};
    snprintf(e->key, sizeof e->key, "%s", key);
    return e;
}

/* By stages, at the geometry of d: remembered. NULL: error says why. */
static const expected *need_expected(sweep_model *m, const solo_plan_desc *d, uint32_t n_check, uint32_t n_pos,
                                     uint32_t n_token, char error[600]) {
    measure_run run = {.plan_desc = {.factoring = "stages", .n_ctx = d->n_ctx, .n_workgroup = d->n_workgroup,
                                     .workgroup_size = d->workgroup_size, .n_slice = d->n_slice,
                                     .tile_rows = d->tile_rows, .k_split = d->k_split, .rows_team = d->rows_team,
                                     .no_subgroups = d->no_subgroups, .activations = d->activations,
                                     .kv_type = d->kv_type}};
    char key[200];
    expected_key(d, n_check, n_pos, n_token, key);
    for (uint32_t i = 0; i < m->n_expected; i++)
        if (!strcmp(m->expected[i].key, key)) return &m->expected[i];
    uint32_t *ids = malloc(n_token * sizeof *ids);
    float *logits = malloc(m->n_vocab * sizeof *logits);
    bool ok = ids && logits && measure_open(&run, m->weights, n_pos + n_token) &&
              run_once(&run, m, n_check, n_pos, n_token, ids, logits);
    measure_close(&run);
    if (ok) return keep_expected(m, key, &run.info, ids, logits);
    snprintf(error, 600, "stages at this geometry: %.500s", run.error);
    free(ids), free(logits);
    return NULL;
}

/* ---- a row -------------------------------------------------------------------------------- */

typedef struct row {
    sweep_bench      *bench;
    const sweep_spec *spec;
    sweep_setup       setup;
    measure_run       run;
    const expected   *expected; /* NULL: the row is what others are held to */
    uint32_t *ids, *first, *prompt; /* a sample's, the first sample's [n_token]; [n_pos] */
    float    *logits;
    measure_error error;
    double    tolerance, warm_s;
    double    sample[MEASURE_MAX_SAMPLE];
    uint32_t  n_sample;
    char      reason[600];
} row;

static bool row_fails(row *r, const char *why) {
    if (why != r->reason) snprintf(r->reason, sizeof r->reason, "%.590s", why);
    return false;
}

/* Tokens a dispatch. */
static int burst_of(const solo_plan_desc *d) {
    int n = 1;
    if (!strncmp(d->factoring, "burst", 5) && sscanf(d->factoring, "burst:%d", &n) != 1) n = 4;
    return n;
}

static bool open_row(row *r) {
    solo_error err = {0};
    sweep_bench *bench = r->bench;
    const uint32_t n_pos = r->setup.n_pos, n_token = r->spec->n_token;
    const uint32_t n_check = r->spec->n_check < n_pos ? r->spec->n_check : n_pos;
    if (!open_model(bench, &r->setup.synth, &err) || !need_reference(bench->model, n_check, &err))
        return row_fails(r, err.text[0] ? err.text : "no memory for a model");
    sweep_model *m = bench->model;
    if (n_token % (uint32_t)burst_of(&r->setup.plan))
        return row_fails(r, "tokens: wanted a multiple of the burst's, or samples end within one");
    r->run.plan_desc = r->setup.plan;
    r->run.session_desc = r->setup.session;
    r->run.plan_desc.n_ctx = n_pos + n_token < 64 ? 64 : n_pos + n_token;
    r->ids = malloc(n_token * sizeof *r->ids), r->first = malloc(n_token * sizeof *r->first);
    r->prompt = malloc(n_pos * sizeof *r->prompt), r->logits = malloc(m->n_vocab * sizeof *r->logits);
    if (!r->ids || !r->first || !r->prompt || !r->logits) return row_fails(r, "no memory for a row");
    measure_prompt(r->prompt, n_pos, m->n_vocab);
    /* before the row's own: two plans at once might not fit */
    if (strcmp(r->run.plan_desc.factoring, "stages")) {
        r->expected = need_expected(m, &r->run.plan_desc, n_check, n_pos, n_token, r->reason);
        if (!r->expected) return false;
    }
    if (!measure_open(&r->run, m->weights, n_pos + n_token)) return row_fails(r, r->run.error);
    return measure_is_as_asked(&r->run.plan_desc, r->setup.reduction, &r->run.info, r->reason);
}

/* A row of stages is what others at its geometry are held to. */
static bool keep_as_expected(const row *r) {
    sweep_model *m = r->bench->model;
    char key[200];
    expected_key(&r->run.plan_desc, m->n_check, r->setup.n_pos, r->spec->n_token, key);
    uint32_t *ids = malloc(r->spec->n_token * sizeof *ids);
    float *logits = malloc(m->n_vocab * sizeof *logits);
    if (ids) memcpy(ids, r->first, r->spec->n_token * sizeof *ids);
    if (logits) memcpy(logits, r->logits, m->n_vocab * sizeof *logits);
    if (ids && logits) keep_expected(m, key, &r->run.info, ids, logits);
    else free(ids), free(logits);
    return true;
}

static bool check_row(row *r) {
    const sweep_model *m = r->bench->model;
    const solo_plan_info *p = &r->run.info;
    if (!run_once(&r->run, m, m->n_check, r->setup.n_pos, r->spec->n_token, r->first, r->logits))
        return row_fails(r, r->run.error);
    if (r->run.fell_back) return row_fails(r, solo_session_get_info(r->run.session).note);
    const char *wrong = measure_check_logits(r->logits, m->reference, m->n_vocab, !strcmp(p->activations, "int8"),
                                           !strcmp(p->kv_type, "f16"), &r->error, &r->tolerance);
    if (wrong) {
        snprintf(r->reason, sizeof r->reason, "wrong output: %s (largest error %.3g deviations, %.3g tolerated)", wrong,
                 r->error.max, r->tolerance);
        return false;
    }
    if (!r->expected) return keep_as_expected(r);
    if (!measure_same_geometry(p, &r->expected->info))
        return row_fails(r, "stages came out with another geometry: nothing to compare bits with");
    if (memcmp(r->logits, r->expected->logits, m->n_vocab * sizeof *r->logits))
        return row_fails(r, "wrong output: the logits' bits differ from those of stages at the same geometry");
    memcpy(r->first, r->expected->ids, r->spec->n_token * sizeof *r->first);
    return true;
}

/* A sample whose tokens are right. */
static bool right_sample(row *r, double *tok_s) {
    if (!measure_sample(&r->run, r->prompt, r->setup.n_pos, r->spec->n_token, r->ids, tok_s))
        return row_fails(r, r->run.error);
    if (r->run.fell_back) return row_fails(r, solo_session_get_info(r->run.session).note);
    for (uint32_t i = 0; i < r->spec->n_token; i++) {
        if (r->ids[i] == r->first[i]) continue;
        snprintf(r->reason, sizeof r->reason, "wrong output: token %u is %u, %s wrote %u", i, r->ids[i],
                 r->expected ? "stages" : "the first sample", r->first[i]);
        return false;
    }
    return true;
}

static bool time_row(row *r) {
    double began = cli_now(), tok_s;
    do {
        if (!right_sample(r, &tok_s)) return false;
        r->warm_s = cli_now() - began;
    } while (!r->bench->info.is_software && r->warm_s < MEASURE_WARM_S);
    r->run.n_step = r->run.n_step_dispatch = r->run.n_step_submit = 0;
    began = cli_now();
    while (r->n_sample < r->spec->n_sample && (r->n_sample < 3 || cli_now() - began < ROW_S)) {
        if (!right_sample(r, &tok_s)) return false;
        r->sample[r->n_sample++] = tok_s;
    }
    return true;
}

/* ---- shares: what a token takes less without the dispatches of an entry point ---------------- */

static json_t *share_json(row *r, const char *entry, uint32_t n_entry, bool *ok) {
    solo_error err = {0};
    double with[MEASURE_MAX_SAMPLE], without[MEASURE_MAX_SAMPLE];
    const uint32_t n = r->spec->n_sample;
    for (uint32_t i = 0; *ok && i < n; i++) { /* in turn, so that drift meets both */
        double tok_s = 0;
        *ok = solo_plan_leave_out(r->run.plan, NULL, &err) && right_sample(r, &tok_s);
        with[i] = 1e3 / tok_s;
        *ok = *ok && solo_plan_leave_out(r->run.plan, entry, &err) &&
              measure_sample(&r->run, r->prompt, r->setup.n_pos, r->spec->n_token, r->ids, &tok_s);
        without[i] = 1e3 / tok_s;
    }
    if (!*ok) {
        if (!r->reason[0]) row_fails(r, err.text[0] ? err.text : r->run.error);
        return json_null();
    }
    solo_plan_leave_out(r->run.plan, NULL, &err);
    double all = measure_spread_of(with, n).median, ms = all - measure_spread_of(without, n).median;
    return json_pack("{s:s, s:i, s:f, s:f}", "entry", entry, "n", (int)n_entry, "ms", ms, "share", ms / all);
}

static json_t *shares_json(row *r, bool *ok) {
    json_t *list = json_array();
    const solo_plan *plan = r->run.plan;
    for (uint32_t i = 0; *ok && solo_plan_entry(plan, i); i++) {
        const char *entry = solo_plan_entry(plan, i);
        uint32_t n = 0, first = UINT32_MAX;
        for (uint32_t k = 0; solo_plan_entry(plan, k); k++) {
            if (strcmp(solo_plan_entry(plan, k), entry)) continue;
            if (first == UINT32_MAX) first = k;
            n++;
        }
        if (first == i) json_array_append_new(list, share_json(r, entry, n, ok));
    }
    return list;
}

/* ---- JSON --------------------------------------------------------------------------------- */

static json_t *model_json(const solo_model *model) {
    solo_model_info m = solo_model_get_info(model);
    return json_pack("{s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:s, s:I}", "name", m.name, "arch", m.arch, "n_layer",
                     (int)m.n_layer, "n_embd", (int)m.n_embd, "n_head", (int)m.n_head, "n_head_kv", (int)m.n_head_kv,
                     "n_ff", (int)m.n_ff, "n_vocab", (int)m.n_vocab, "file_type", m.file_type, "n_param",
                     (json_int_t)m.n_param);
}

static uint32_t stages_a_token(const solo_plan_info *p, const solo_model *model) {
    uint32_t n = 0, n_layer = solo_model_get_info(model).n_layer;
    for (uint32_t i = 0; i < p->n_stage; i++) n += strcmp(p->stage[i].scope, "layer") ? 1 : n_layer;
    return n;
}

static json_t *plan_json(const solo_plan_info *p, const solo_model *model) {
    json_t *stages = json_array();
    for (uint32_t i = 0; i < p->n_stage; i++)
        json_array_append_new(
            stages, json_pack("{s:s, s:i, s:i, s:i, s:i}", "name", p->stage[i].name, "n_tile", (int)p->stage[i].n_tile,
                              "tile_rows", (int)p->stage[i].tile_rows, "team", (int)p->stage[i].team, "rows_team",
                              (int)p->stage[i].rows_team));
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:o}", "factoring", p->factoring, "assignment",
                     p->assignment, "hand_off", p->hand_off, "activations", p->activations, "kv", p->kv_type,
                     "reduction", p->reduce, "n_workgroup", (int)p->n_workgroup, "workgroup_size",
                     (int)p->workgroup_size, "workgroup_bytes", (int)p->workgroup_bytes, "n_stage",
                     (int)stages_a_token(p, model), "stages", stages);
}

/* Microseconds of a hand-off among n workgroups: between the counts that were measured, by line. -1: none were. */
static double hand_off_us(const solo_probe_result *p, uint32_t n) {
    if (p->n_hand_off == 0) return -1;
    const solo_probe_hand_off *h = p->hand_off;
    uint32_t i = 0;
    while (i + 1 < p->n_hand_off && h[i + 1].n_workgroup < n) i++;
    if (i + 1 == p->n_hand_off || n <= h[i].n_workgroup) return h[i].us;
    double t = (double)(n - h[i].n_workgroup) / (h[i + 1].n_workgroup - h[i].n_workgroup);
    return h[i].us + t * (h[i + 1].us - h[i].us);
}

static json_t *predicted_json(const row *r, double bytes, double n_dispatch, double n_hand_off) {
    const solo_probe_result *p = &r->bench->probe;
    double us = n_hand_off > 0 ? hand_off_us(p, r->run.info.n_workgroup) : 0;
    if (us < 0 || p->read_bytes_s <= 0) return json_null();
    return json_real(1e3 * bytes / p->read_bytes_s + 1e-3 * (n_dispatch * p->dispatch_us + n_hand_off * us));
}

static void add_times(const row *r, json_t *o) {
    measure_spread x = measure_spread_of(r->sample, r->n_sample);
    const measure_run *run = &r->run;
    double bytes = measure_bytes(&run->info, r->setup.n_pos, r->spec->n_token), n_step = (double)run->n_step;
    double n_dispatch = (double)run->n_step_dispatch / n_step;
    double n_hand_off = (double)run->info.n_hand_off; /* a token */
    double rate = r->bench->probe.read_bytes_s;
    json_t *times = json_pack(
        "{s:o, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:o, s:o}", "samples_tok_s",
        measure_samples_json(r->sample, r->n_sample), "tok_s", x.median, "tok_s_min", x.min, "tok_s_max", x.max,
        "tok_s_q1", x.q1, "tok_s_q3", x.q3, "ms_per_token", 1e3 / x.median, "dispatches_per_token", n_dispatch,
        "submits_per_token", (double)run->n_step_submit / n_step, "hand_offs_per_token", n_hand_off, "bytes_per_token",
        bytes, "gb_s", bytes * x.median * 1e-9, "of_read", rate > 0 ? json_real(bytes * x.median / rate) : json_null(),
        "predicted_ms", predicted_json(r, bytes, n_dispatch, n_hand_off));
    json_object_update(o, times);
    json_decref(times);
}

static json_t *check_json(const row *r) {
    return json_pack("{s:s, s:s, s:i, s:f, s:f, s:f}", "reference", "cpu", "rule", r->expected ? "bits" : "tolerance",
                     "n_token", (int)r->bench->model->n_check, "error_max", r->error.max, "error_rms", r->error.rms,
                     "tolerance", r->tolerance);
}

json_t *sweep_row(sweep_bench *bench, const sweep_spec *spec, json_t *settings, bool *lost) {
    row r = {.bench = bench, .spec = spec, .setup = sweep_setup_of(settings)};
    char key[SWEEP_TEXT_BYTES];
    sweep_row_key(spec, settings, key);
    bool checked = open_row(&r) && check_row(&r), ok = checked && time_row(&r);
    json_t *o = json_pack("{s:s, s:s, s:s, s:O}", "what", "row", "spec", spec->name, "key", key, "settings", settings);
    json_t *shares = ok && spec->shares ? shares_json(&r, &ok) : NULL;
    const char *refused = NULL;
    if (ok)
        refused = measure_refusal(&bench->info, r.sample, r.n_sample, r.warm_s,
                                  measure_bytes(&r.run.info, r.setup.n_pos, spec->n_token), bench->probe.read_bytes_s);
    json_object_set_new(o, "status", json_string(!ok ? "error" : refused ? "refused" : "ok"));
    if (!ok || refused)
        json_object_set_new(o, "reason", ok ? json_string(refused) : cli_json_text(r.reason, strlen(r.reason)));
    if (bench->model) json_object_set_new(o, "model", model_json(bench->model->model));
    if (r.run.plan) json_object_set_new(o, "plan", plan_json(&r.run.info, bench->model->model));
    if (checked) json_object_set_new(o, "check", check_json(&r));
    json_object_set_new(o, "n_pos", json_integer(r.setup.n_pos));
    json_object_set_new(o, "n_token", json_integer(spec->n_token));
    json_object_set_new(o, "n_sample", json_integer(r.n_sample));
    json_object_set_new(o, "warm_s", json_real(r.warm_s));
    if (ok && !refused) add_times(&r, o);
    if (shares && ok && !refused) json_object_set(o, "shares", shares);
    json_decref(shares);
    *lost = r.run.status == SOLO_DEVICE_LOST;
    measure_close(&r.run);
    free(r.ids), free(r.first), free(r.prompt), free(r.logits);
    return o;
}
