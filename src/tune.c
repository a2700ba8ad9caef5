/* tune.c: the factoring `auto`: probe the device, predict each candidate, time the best few on the
 * actual weights, pick the fastest. Remembering the answer is the caller's (solo_tune_key): the library
 * knows no files. */
#include "tune.h"

#include "plan.h"

#include <math.h>

/* ---- prediction --------------------------------------------------------------------------- */

uint32_t solo_tune_hand_offs(const solo_factoring *f, const solo_hparams *hp) {
    uint32_t n_stage = 0, n_dispatch = solo_factoring_steps(f, hp, NULL);
    if (!f->tagged) return 0;
    for (uint32_t i = 0; i < SOLO_STAGE_COUNT; i++)
        if (solo_stage_is_done(hp, i)) n_stage += solo_stage_scope(i) == SOLO_SCOPE_LAYER ? hp->n_layer : 1;
    return n_stage > n_dispatch ? n_stage - n_dispatch : 0;
}

double solo_tune_hand_off_us(const solo_probe_result *probe, uint32_t n_workgroup) {
    const solo_probe_hand_off *h = probe->hand_off;
    if (probe->n_hand_off == 0) return INFINITY;
    if (n_workgroup <= h[0].n_workgroup) return h[0].us;
    for (uint32_t i = 1; i < probe->n_hand_off; i++) {
        if (n_workgroup > h[i].n_workgroup) continue;
        double part = (double)(n_workgroup - h[i - 1].n_workgroup) /
                      (double)(h[i].n_workgroup - h[i - 1].n_workgroup);
        return h[i - 1].us + part * (h[i].us - h[i - 1].us);
    }
    return h[probe->n_hand_off - 1].us;
}

double solo_tune_predict_ms(const solo_probe_result *probe, uint64_t bytes, uint32_t n_dispatch,
                            uint32_t n_hand_off, uint32_t n_workgroup) {
    double ms = 1e-3 * probe->dispatch_us * n_dispatch;
    if (probe->read_bytes_s > 0) ms += 1e3 * (double)bytes / probe->read_bytes_s;
    if (n_hand_off > 0) ms += 1e-3 * solo_tune_hand_off_us(probe, n_workgroup) * n_hand_off;
    return ms;
}

void solo_tune_sort(solo_tune_row *row, uint32_t n) {
    for (uint32_t i = 1; i < n; i++) {
        solo_tune_row moved = row[i];
        uint32_t k = i;
        for (; k > 0 && row[k - 1].predicted_ms > moved.predicted_ms; k--) row[k] = row[k - 1];
        row[k] = moved;
    }
}

int solo_tune_best(const solo_tune_row *row, uint32_t n) {
    int best = -1;
    for (uint32_t i = 0; i < n; i++) {
        if (row[i].measured_ms > 0 && (best < 0 || row[i].measured_ms < row[best].measured_ms))
            best = (int)i;
    }
    return best;
}

/* ---- candidates --------------------------------------------------------------------------- */

/* Every factoring but these baselines, which no device prefers. */
static const char *const baselines[] = {"unfused", "single-wg"};

/* Workgroup sizes that the winner is tried at. */
static const uint32_t sizes[] = {128, 384, 512};

typedef struct tuning {
    const solo_tune_desc *desc;
    solo_tune_result *result;
    solo_device *device;
    bool software;
    uint32_t n_workgroup;  /* that would hand off inside a dispatch */
    uint32_t n_pos, n_token; /* of a timed round */
    uint32_t *prompt;      /* [n_pos] */
    double seconds;        /* for each row */
    solo_plan *best_plan;
    double best_ms;
} tuning;

/* A baseline, or the other form of one that is listed: a plan picks between forms by itself. */
static bool is_passed_over(const tuning *t, const char *name) {
    for (uint32_t i = 0; i < SOLO_COUNT(baselines); i++)
        if (!strcmp(baselines[i], name)) return true;
    for (uint32_t i = 0; i < t->result->n_row; i++)
        if (!strcmp(t->result->row[i].choice.factoring, name)) return true;
    return false;
}

static void list_candidates(tuning *t) {
    const solo_hparams *hp = &t->desc->plan.weights->model->hp;
    const solo_factoring *f;
    for (uint32_t i = 0; (f = solo_factoring_at(i)) && t->result->n_row < SOLO_TUNE_MAX_ROW; i++) {
        if (is_passed_over(t, f->name)) continue;
        solo_tune_row *row = &t->result->row[t->result->n_row++];
        *row = (solo_tune_row){.choice.workgroup_size = t->desc->plan.workgroup_size,
                               .n_dispatch = solo_factoring_steps(f, hp, NULL),
                               .n_hand_off = solo_tune_hand_offs(f, hp)};
        snprintf(row->choice.factoring, sizeof row->choice.factoring, "%s", f->name);
        row->predicted_ms = solo_tune_predict_ms(
                                &t->result->probe, t->result->weight_bytes * f->n_token,
                                row->n_dispatch, row->n_hand_off * f->n_token, t->n_workgroup) /
                            f->n_token;
        if (t->software && f->tagged && !t->desc->all)
            snprintf(row->note, sizeof row->note, "not tried: slow to compile on a software adapter");
    }
    solo_tune_sort(t->result->row, t->result->n_row);
}

/* ---- timing ------------------------------------------------------------------------------- */

enum { MAX_ROUND = 64 };
#define WARM_SECONDS 0.4 /* a GPU's clocks fall while the next candidate is compiled */

/* Rounds of n_token after the same context, greedily; on a GPU the first are to warm up. */
static bool time_session(const tuning *t, solo_session *s, double *ms, solo_error *err) {
    double sample[MAX_ROUND], began = solo_seconds();
    uint32_t n = 0, n_least = t->software ? 1 : 5;
    bool warm = t->software;
    while (n < MAX_ROUND) {
        if (!solo_session_sync(s, t->prompt, t->n_pos, err)) return false;
        double from = solo_seconds();
        uint32_t id;
        for (uint32_t i = 0; i < t->n_token; i++)
            if (!solo_session_next(s, &id, err)) return false;
        double now = solo_seconds();
        if (warm) sample[n++] = (now - from) / t->n_token;
        if (warm && n >= n_least && now - began > t->seconds) break;
        if (!warm && now - began > WARM_SECONDS) warm = true, began = now;
    }
    *ms = 1e3 * solo_median(sample, n);
    return true;
}

/* Opens and times one row; a failure is the row's note. Keeps the plan where it is the fastest yet. */
static void try_row(tuning *t, solo_tune_row *row, solo_error *err) {
    solo_plan *plan = NULL;
    solo_session *s = NULL;
    double ms = 0;
    bool ok = solo_tune_open(&t->desc->plan, &row->choice, &plan, err);
    /* one token in flight on a software adapter: those ahead cost as much and are thrown away */
    solo_session_desc session = {.plan = plan, .n_in_flight = t->software ? 1 : 0};
    ok = ok && solo_session_open(&s, &session, err) && time_session(t, s, &ms, err);
    if (!ok) {
        snprintf(row->note, sizeof row->note, "%.*s", (int)sizeof row->note - 1, err->text);
    } else {
        solo_plan_info plan_info = solo_plan_get_info(plan);
        solo_session_info info = solo_session_get_info(s);
        row->n_dispatch = plan_info.n_dispatch, row->n_hand_off = plan_info.n_hand_off;
        if (info.fell_back || plan_info.note[0])
            snprintf(row->note, sizeof row->note, "not picked: %.180s", info.note);
        else row->measured_ms = ms;
    }
    solo_session_close(s);
    if (row->measured_ms > 0 && (!t->best_plan || ms < t->best_ms)) {
        solo_plan *loser = t->best_plan;
        t->best_plan = plan, t->best_ms = ms;
        plan = loser;
    }
    solo_plan_close(plan);
}

/* The best few by prediction; one that fails makes room for the next. The last place is kept for one
 * without hand-offs inside dispatches, if there was none yet: a prediction may be wrong about those. */
static void time_candidates(tuning *t, solo_error *err) {
    uint32_t n_left = t->desc->n_candidate ? t->desc->n_candidate : t->software ? 2 : 4;
    bool plain_timed = false;
    for (uint32_t i = 0; i < t->result->n_row; i++) {
        solo_tune_row *row = &t->result->row[i];
        bool plain = row->n_hand_off == 0, full = n_left <= (plain || plain_timed ? 0u : 1u);
        if (row->note[0]) continue;
        if (full || (isinf(row->predicted_ms) && !t->desc->all)) {
            snprintf(row->note, sizeof row->note, "not tried: %s",
                     full ? "others are predicted to be faster" : "no hand-off met in the probe");
            continue;
        }
        try_row(t, row, err);
        if (row->measured_ms == 0) continue;
        plain_timed = plain_timed || plain;
        n_left--;
    }
}

/* The winner at other workgroup sizes: more rows at the end. */
static void time_sizes(tuning *t, solo_error *err) {
    solo_tune_result *r = t->result;
    int best = solo_tune_best(r->row, r->n_row);
    if (best < 0 || t->software || t->desc->plan.workgroup_size) return;
    for (uint32_t i = 0; i < SOLO_COUNT(sizes) && r->n_row < SOLO_TUNE_MAX_ROW; i++) {
        solo_tune_row *row = &r->row[r->n_row++];
        *row = r->row[best];
        row->measured_ms = 0, row->note[0] = 0;
        row->choice.workgroup_size = sizes[i];
        if (sizes[i] > solo_device_info_of(t->device)->max_workgroup_size)
            snprintf(row->note, sizeof row->note, "not tried: more lanes than the device grants");
        else try_row(t, row, err);
    }
}

/* A context that leaves room for a round, short on software adapters. */
static void choose_round(tuning *t) {
    const solo_model *model = t->desc->plan.weights->model;
    uint32_t n_ctx = t->desc->plan.n_ctx ? t->desc->plan.n_ctx : solo_plan_default_ctx(&model->hp);
    uint32_t n_pos = t->software ? 4 : 128, n_token = t->software ? 2 : 32;
    t->n_pos = n_pos < n_ctx / 2 ? n_pos : n_ctx / 2;
    if (t->n_pos == 0) t->n_pos = 1;
    t->n_token = n_token < n_ctx - t->n_pos ? n_token : n_ctx > t->n_pos ? n_ctx - t->n_pos : 1;
    t->prompt = solo_alloc(t->n_pos * sizeof *t->prompt);
    for (uint32_t i = 0; i < t->n_pos; i++)
        t->prompt[i] = (i * 7919u + 1000u) % model->hp.n_vocab;
}

bool solo_tune(const solo_tune_desc *desc, solo_tune_result *out, solo_plan **plan,
               solo_error *err) {
    solo_device *d = desc->plan.weights->device;
    solo_error last = {0};
    bool software = solo_device_info_of(d)->is_software;
    memset(out, 0, sizeof *out);
    if (plan) *plan = NULL;
    solo_probe_desc probe = {.workgroup_size = desc->plan.workgroup_size};
    if (!solo_device_probe(d, &probe, &out->probe, err)) return false;
    tuning t = {.desc = desc,
                .result = out,
                .device = d,
                .software = software,
                .n_workgroup = desc->plan.n_workgroup ? desc->plan.n_workgroup : software ? 2 : 128};
    t.seconds = (desc->seconds > 0 ? desc->seconds : 1.0) / (4 + SOLO_COUNT(sizes));
    out->weight_bytes = solo_plan_weight_bytes(desc->plan.weights);
    choose_round(&t);
    list_candidates(&t);
    time_candidates(&t, &last);
    time_sizes(&t, &last);
    free(t.prompt);
    int best = solo_tune_best(out->row, out->n_row);
    if (best < 0)
        return solo_fail(err, last.status ? last.status : SOLO_DEVICE_ERROR,
                         "tune: none of %u factorings ran without falling back; the last said: %.600s",
                         out->n_row, last.text[0] ? last.text : out->row[0].note);
    out->best = (uint32_t)best;
    if (plan) *plan = t.best_plan;
    else solo_plan_close(t.best_plan);
    return true;
}

/* ---- choices that are remembered ---------------------------------------------------------- */

bool solo_tune_open(const solo_plan_desc *desc, const solo_tune_choice *choice, solo_plan **plan,
                    solo_error *err) {
    solo_plan_desc d = *desc;
    d.factoring = choice->factoring;
    if (choice->workgroup_size) d.workgroup_size = choice->workgroup_size;
    return solo_plan_open(plan, &d, err);
}

void solo_tune_key(const solo_plan_desc *desc, char key[SOLO_TUNE_KEY_BYTES]) {
    const solo_device_info *device = solo_device_info_of(desc->weights->device);
    const solo_hparams *hp = &desc->weights->model->hp;
    solo_model_info m = solo_model_get_info(desc->weights->model);
    uint32_t n_ctx = desc->n_ctx ? desc->n_ctx : solo_plan_default_ctx(hp), ctx_class = 256;
    while (ctx_class < n_ctx && ctx_class < 1u << 30) ctx_class *= 2;
    int n = snprintf(
        key, SOLO_TUNE_KEY_BYTES,
        "solo %s | %s | %s | %s | %s %ux%u heads %u/%ux%u ff %u vocab %u %s %llu bytes | "
        "activations %d kv %d ctx %u | workgroups %u size %u team %u subgroups %d assignment %d "
        "hand-off %d tile %u split %u rows %u",
        SOLO_VERSION, device->name, device->driver, device->backend, m.arch, m.n_layer, m.n_embd,
        m.n_head, m.n_head_kv, m.head_dim, m.n_ff, m.n_vocab, m.file_type,
        (unsigned long long)m.n_bytes, (int)desc->activations, (int)desc->kv_type, ctx_class,
        desc->n_workgroup, desc->workgroup_size, desc->max_team, !desc->no_subgroups,
        (int)desc->assignment, (int)desc->hand_off, desc->tile_rows, desc->k_split, desc->rows_team);
    SOLO_ASSERT(n > 0 && n < (int)SOLO_TUNE_KEY_BYTES);
}
