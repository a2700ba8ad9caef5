/* plan.c: opens a plan: defaults by the device, geometry, buffers, modules, pipelines, the list of
 * dispatches, and the self-test that an in-dispatch plan must pass before it is trusted. */
#include "plan.h"

#include "probe.h"

/* ---- programs ----------------------------------------------------------------------------- */

void solo_pipelines_close(solo_pipeline *pipeline, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t k = i + 1; k < n; k++) /* rows of one entry point share */
            if (pipeline[k].handle == pipeline[i].handle) pipeline[k] = (solo_pipeline){0};
        solo_device_pipeline_close(&pipeline[i]);
    }
}

void solo_program_close(solo_program *p) {
    if (p->pipeline) solo_pipelines_close(p->pipeline, p->factoring.n_row);
    solo_device_module_close(&p->module);
    free(p->pipeline), free(p->dispatch), free(p->wgsl);
    memset(p, 0, sizeof *p);
}

/* Waits for all of them, whatever one comes to: the first that failed says why. */
bool solo_pipelines_finish(solo_device *d, const solo_pipeline *pipeline, uint32_t n, solo_error *err) {
    bool ok = true;
    for (uint32_t i = 0; i < n; i++) {
        if (pipeline[i].handle && !solo_device_pipeline_finish(d, pipeline[i], ok ? err : NULL)) ok = false;
    }
    return ok;
}

static bool finish_program(solo_plan *plan, solo_program *p, solo_error *err) {
    return solo_pipelines_finish(plan->device, p->pipeline, p->pipeline ? p->factoring.n_row : 0, err);
}

/* Its pipelines are being compiled when this returns, and are to be finished, even if it failed. */
static bool begin_program(solo_plan *plan, const solo_factoring *f, solo_program *p, solo_error *err) {
    const solo_geometry *g = &plan->geometry;
    p->factoring = *f;
    p->wgsl = solo_wgsl_join(&(solo_wgsl_desc){.weights = plan->weights,
                                               .geometry = g,
                                               .factoring = f,
                                               .subgroups = plan->subgroups,
                                               .hand_off = plan->desc.hand_off,
                                               .spin_limit = plan->desc.spin_limit,
                                               .in_turn = solo_device_info_of(plan->device)->is_software});
    if (!solo_device_module_open(plan->device, p->wgsl, f->kernel, &p->module, err)) return false;
    p->pipeline = solo_zalloc(f->n_row, sizeof *p->pipeline);
    for (uint32_t i = 0; i < f->n_row; i++) {
        solo_op first, last;
        if (!solo_row_ops(g->desc.hp, &f->row[i], &first, &last)) continue;
        for (uint32_t k = 0; k < i && !p->pipeline[i].handle; k++) {
            if (!strcmp(f->row[k].entry, f->row[i].entry)) p->pipeline[i] = p->pipeline[k];
        }
        if (!p->pipeline[i].handle)
            solo_device_pipeline_begin(plan->device, p->module, f->row[i].entry, &plan->bindings, &p->pipeline[i]);
    }
    p->n_dispatch = solo_factoring_steps(f, g->desc.hp, NULL);
    solo_factor_step *steps = solo_zalloc(p->n_dispatch, sizeof *steps);
    solo_factoring_steps(f, g->desc.hp, steps);
    p->dispatch = solo_zalloc(p->n_dispatch, sizeof *p->dispatch);
    for (uint32_t i = 0; i < p->n_dispatch; i++) {
        const solo_factor_row *row = steps[i].row;
        uint32_t place = (steps[i].layer + row->layer_add) * 2 + row->part;
        p->dispatch[i] = (solo_dispatch){p->pipeline[row - f->row], place * plan->place_stride,
                                         g->grid[row->grid], 1};
    }
    free(steps);
    return true;
}

bool solo_program_open(solo_plan *plan, const solo_factoring *f, solo_program *p, solo_error *err) {
    return begin_program(plan, f, p, err) && finish_program(plan, p, err);
}

const solo_program *solo_plan_program(const solo_plan *plan) {
    return plan->demoted ? &plan->fallback : &plan->main;
}

/* ---- defaults ----------------------------------------------------------------------------- */

/* Polls before a wait gives up: about 20 ms on a GPU at some 0.2 us a dependent load. A software
 * adapter computes a whole stage within one wait and may lose its core meanwhile: seconds. */
#define SPIN_GPU 100000u
#define SPIN_SOFTWARE 500000000u

uint32_t solo_plan_default_ctx(const solo_hparams *hp) {
    return hp->n_ctx_train < 4096 ? hp->n_ctx_train : 4096;
}

static void fill_defaults(solo_plan *plan, const solo_plan_desc *desc) {
    const solo_device_info *info = solo_device_info_of(plan->device);
    const solo_hparams *hp = &plan->weights->model->hp;
    solo_plan_desc *d = &plan->desc;
    *d = *desc;
    if (!d->factoring) d->factoring = info->is_software ? "stages" : "single";
    bool exact = d->activations == SOLO_ACTIVATIONS_F32 || solo_device_is_reference(plan->device);
    if (d->kv_type == SOLO_KV_AUTO) d->kv_type = exact ? SOLO_KV_F32 : SOLO_KV_F16;
    if (d->n_ctx == 0) d->n_ctx = solo_plan_default_ctx(hp);
    if (d->workgroup_size == 0) d->workgroup_size = info->is_software ? 32 : 384; /* 256 to 512 tried */
    if (d->workgroup_size > info->max_workgroup_size) d->workgroup_size = info->max_workgroup_size;
    if (d->spin_limit == 0) d->spin_limit = info->is_software ? SPIN_SOFTWARE : SPIN_GPU;
    if (d->max_team == 0) d->max_team = info->is_software ? 1 : 32;
    if (d->queue == 0) { /* 10 to 18 are within 5 % of each other (bench/results/h100-2026-11-28-text) */
        d->queue = info->is_software ? SOLO_QUEUE_NONE : 14;
        d->queue_across = !info->is_software;
    }
    if (d->queue == SOLO_QUEUE_NONE) d->queue = 0;
}

const char *const *solo_hand_off_names(void) {
    static const char *const names[] = {"counter+tag", "tag", "counter", "plain", "none", NULL};
    return names;
}

const char *const *solo_submit_names(void) {
    static const char *const names[] = {"token", "pass", "dispatch", "await", NULL};
    return names;
}

static bool check_experiment(const solo_plan_desc *d, solo_error *err) {
    const bool unsafe = d->hand_off >= SOLO_HAND_OFF_COUNTER;
    if (d->tile_rows > 256)
        return solo_fail(err, SOLO_ARGUMENT, "tile_rows: wanted at most 256, found %u", d->tile_rows);
    if (d->k_split & (d->k_split - 1) || d->k_split > d->max_team)
        return solo_fail(err, SOLO_ARGUMENT, "k_split: wanted a power of two up to max_team, %u, found %u",
                         d->max_team, d->k_split);
    if (d->rows_team & (d->rows_team - 1) || d->rows_team > 4)
        return solo_fail(err, SOLO_ARGUMENT, "rows_team: wanted 1, 2 or 4, found %u", d->rows_team);
    if (d->hand_off > SOLO_HAND_OFF_NONE || d->submit > SOLO_SUBMIT_AWAIT)
        return solo_fail(err, SOLO_ARGUMENT, "hand_off, submit: wanted one of solo.h's, found %d, %d",
                         (int)d->hand_off, (int)d->submit);
    if (unsafe && !d->experiment)
        return solo_fail(err, SOLO_ARGUMENT,
                         "hand_off: %s rests on what WGSL does not promise: wanted an experiment that says so",
                         solo_hand_off_names()[d->hand_off]);
    if (unsafe && !strncmp(d->factoring, "burst", 5))
        return solo_fail(err, SOLO_ARGUMENT, "hand_off: of a burst wanted counter+tag or tag, found %s",
                         solo_hand_off_names()[d->hand_off]);
    return true;
}

static bool check_desc(const solo_plan *plan, solo_error *err) {
    const solo_plan_desc *d = &plan->desc;
    if (!solo_factoring_check(d->factoring, err)) return false;
    uint32_t train = plan->weights->model->hp.n_ctx_train;
    if (d->n_ctx < 2 || d->n_ctx > train)
        return solo_fail(err, SOLO_ARGUMENT,
                         "n_ctx: wanted 2 to %u (the model's context), found %u", train, d->n_ctx);
    uint32_t head_dim = plan->weights->model->hp.head_dim;
    if (d->kv_type == SOLO_KV_INT8 && head_dim % 16 != 0)
        return solo_fail(err, SOLO_UNSUPPORTED,
                         "kv_type int8: wanted heads of a multiple of 16 numbers, found %u: f16 takes any",
                         head_dim);
    if (d->queue > SOLO_MAX_QUEUE)
        return solo_fail(err, SOLO_ARGUMENT, "queue: wanted at most %u vec4, found %u",
                         SOLO_MAX_QUEUE, d->queue);
    if (d->max_team & (d->max_team - 1) || d->max_team > 32)
        return solo_fail(err, SOLO_ARGUMENT, "max_team: wanted a power of two up to 32, found %u",
                         d->max_team);
    return check_experiment(d, err);
}

/* Whether lanes map to subgroups as reduce_subgroup.wgsl needs. Any failure means no. */
static bool probe_subgroups(solo_plan *plan) {
    const solo_device_info *info = solo_device_info_of(plan->device);
    if (plan->desc.no_subgroups || !info->has_subgroups || plan->desc.max_team == 1) return false;
    if (info->subgroup_min < plan->desc.max_team) return false;
    solo_text text = {0};
    char *body = solo_wgsl_file("probe_subgroup.wgsl");
    solo_text_add(&text, "enable subgroups;\nconst WG = %uu;\nconst TEAM = %uu;\n%s",
                  plan->desc.workgroup_size, plan->desc.max_team, body);
    free(body);
    solo_buffer counter = {0}, uniform = {0};
    solo_bindings bindings = {0};
    solo_module module = {0};
    solo_pipeline pipeline = {0};
    uint32_t offset = 0, disagreeing = 1;
    bool ok =
        solo_device_buffer_open(plan->device, SOLO_BUFFER_STORAGE, 16, "probe", &counter, NULL) &&
        solo_device_buffer_open(plan->device, SOLO_BUFFER_UNIFORM, 16, "probe", &uniform, NULL);
    const solo_bind binds[] = {{0, SOLO_BIND_UNIFORM, uniform, 0, 16},
                               {3, SOLO_BIND_READ_WRITE, counter, 0, 0}};
    ok = ok && solo_device_bindings_open(plan->device, binds, 2, "probe", &bindings, NULL) &&
         solo_device_module_open(plan->device, text.at, "probe_subgroup.wgsl", &module, NULL) &&
         solo_device_pipeline_open(plan->device, module, "probe_subgroup", &bindings, &pipeline,
                                   NULL);
    if (ok) {
        solo_device_pass_begin(plan->device);
        solo_device_pass_dispatch(plan->device, pipeline, &bindings, &offset, 1, 16, 1);
        solo_device_pass_end(plan->device);
        ok = solo_device_read(plan->device, counter, 0, &disagreeing, 4, NULL);
    }
    solo_device_pipeline_close(&pipeline);
    solo_device_module_close(&module);
    solo_device_bindings_close(&bindings);
    solo_device_buffer_close(&counter);
    solo_device_buffer_close(&uniform);
    free(text.at);
    return ok && disagreeing == 0;
}

/* Workgroups that wait for each other must all run: no more than the device is seen to run at once of their
 * size. (A software adapter runs one a core; two are taken as given.) Slices stay as they are cut, so that
 * the numbers do not depend on it. */
static bool fit_resident(const solo_plan *plan, const solo_factoring *f, solo_geometry *g, solo_error *err) {
    if (!f->tagged || plan->desc.n_workgroup || solo_device_info_of(plan->device)->is_software) return true;
    return solo_probe_resident(plan->device, g->wg, g->workgroup_bytes, g->n_wg, &g->n_wg, err);
}

static bool make_geometry(solo_plan *plan, solo_error *err) {
    const solo_device_info *info = solo_device_info_of(plan->device);
    const solo_plan_desc *d = &plan->desc;
    solo_factoring f;
    if (!solo_factoring_find(d->factoring, d->assignment, &f, err)) return false;
    /* 128: about a multiprocessor each on the GPUs this is for (132 on an H200); a software adapter
     * runs one workgroup a core, and cutting stages into 16 keeps two cores evenly busy. */
    uint32_t aim = info->is_software ? 16 : 128;
    if (!info->is_software && d->n_workgroup) aim = d->n_workgroup;
    if (d->n_slice) aim = d->n_slice;
    solo_geometry_desc gd = {
        .hp = &plan->weights->model->hp,
        .activations = d->activations,
        .kv_type = d->kv_type,
        .n_ctx = d->n_ctx,
        .workgroup_size = d->workgroup_size,
        .n_workgroup = aim,
        .max_team = d->max_team,
        .tile_rows = d->tile_rows,
        .k_split = d->k_split,
        .rows_team = d->rows_team,
        .attend_lanes = plan->subgroups && d->max_team >= SOLO_ATT_TEAM,
        .queue = d->queue,
        .queue_across = d->queue_across,
        .always_split = d->always_split,
        .max_workgroup_bytes = info->max_workgroup_bytes,
        .n_block = f.n_token,
    };
    if (!solo_geometry_make(&gd, &plan->geometry, err)) return false;
    plan->geometry.n_wg = d->n_workgroup ? d->n_workgroup : info->is_software ? 2 : aim;
    if (!fit_resident(plan, &f, &plan->geometry, err)) return false;
    plan->geometry.grid[SOLO_GRID_WG] = plan->geometry.n_wg;
    return true;
}

/* ---- buffers ------------------------------------------------------------------------------ */

static uint32_t align_up(uint32_t n, uint32_t unit) { return (n + unit - 1) / unit * unit; }

static bool open_rope(solo_plan *plan, solo_error *err) {
    const solo_model *m = plan->weights->model;
    uint64_t n = (uint64_t)m->hp.n_rope * plan->desc.n_ctx * (m->hp.rope_dim / 2) * 2;
    if (n == 0) n = 2; /* nothing turns, but a binding holds something */
    if (!solo_device_buffer_open(plan->device, SOLO_BUFFER_STORAGE, n * 4, "rope", &plan->rope,
                                 err))
        return false;
    float *table = solo_zalloc((size_t)n, 4);
    solo_model_rope_table(m, plan->desc.n_ctx, table);
    solo_device_write(plan->device, plan->rope, 0, table, n * 4);
    free(table);
    return true;
}

static bool open_places(solo_plan *plan, solo_error *err) {
    uint32_t n = (plan->geometry.desc.hp->n_layer + 1) * 2;
    plan->place_stride = align_up(sizeof(solo_place), solo_device_uniform_align(plan->device));
    if (!solo_device_buffer_open(plan->device, SOLO_BUFFER_UNIFORM,
                                 (uint64_t)n * plan->place_stride, "place", &plan->place, err))
        return false;
    for (uint32_t i = 0; i < n; i++) {
        solo_place place = {.layer = i / 2, .part = i % 2};
        solo_device_write(plan->device, plan->place, (uint64_t)i * plan->place_stride, &place,
                          sizeof place);
    }
    return true;
}

static bool open_buffers(solo_plan *plan, solo_error *err) {
    const solo_geometry *g = &plan->geometry;
    const solo_hparams *hp = g->desc.hp;
    solo_device *d = plan->device;
    uint64_t kv = (uint64_t)hp->n_layer * hp->n_head_kv * g->desc.n_ctx * g->kv_vecs * 16;
    const solo_device_info *info = solo_device_info_of(d);
    if (kv > info->max_binding_bytes)
        return solo_fail(err, SOLO_DEVICE_LIMIT,
                         "KV cache: n_ctx %u wants %llu bytes a binding, %s grants %llu: at most "
                         "n_ctx %llu fits",
                         g->desc.n_ctx, (unsigned long long)kv, info->name,
                         (unsigned long long)info->max_binding_bytes,
                         (unsigned long long)(info->max_binding_bytes / (kv / g->desc.n_ctx)));
    uint64_t words = 2 * (uint64_t)g->n_block * g->msg_words;
    if (words < (uint64_t)g->msg_words + g->tmp_words)
        words = (uint64_t)g->msg_words + g->tmp_words;
    plan->args_stride = align_up(sizeof(solo_args), solo_device_uniform_align(d));
    return solo_device_buffer_open(d, SOLO_BUFFER_UNIFORM,
                                   (uint64_t)SOLO_ARGS_RING * plan->args_stride, "args",
                                   &plan->args, err) &&
           open_places(plan, err) && open_rope(plan, err) &&
           solo_device_buffer_open(d, SOLO_BUFFER_STORAGE, words * 4, "messages", &plan->msg,
                                   err) &&
           solo_device_buffer_open(d, SOLO_BUFFER_STORAGE, (uint64_t)g->state_words * 4, "state",
                                   &plan->state, err) &&
           solo_device_buffer_open(d, SOLO_BUFFER_STORAGE, kv, "kv_k", &plan->kv_k, err) &&
           solo_device_buffer_open(d, SOLO_BUFFER_STORAGE, kv, "kv_v", &plan->kv_v, err);
}

/* Slots as in common.wgsl; slot 2 is the messages or prefill's activations. */
static bool open_bindings(solo_plan *plan, solo_buffer slot2, solo_bindings *out, solo_error *err) {
    const solo_weights *w = plan->weights;
    solo_bind binds[8 + SOLO_MAX_PAYLOAD] = {
        {0, SOLO_BIND_UNIFORM, plan->args, 0, sizeof(solo_args)},
        {1, SOLO_BIND_UNIFORM, plan->place, 0, sizeof(solo_place)},
        {2, SOLO_BIND_READ_WRITE, slot2, 0, 0},
        {3, SOLO_BIND_READ_WRITE, plan->state, 0, 0},
        {4, SOLO_BIND_READ_WRITE, plan->kv_k, 0, 0},
        {5, SOLO_BIND_READ_WRITE, plan->kv_v, 0, 0},
        {6, SOLO_BIND_READ, plan->rope, 0, 0},
        {7, SOLO_BIND_READ, w->scales, 0, 0},
    };
    for (uint32_t i = 0; i < w->n_payload; i++)
        binds[8 + i] = (solo_bind){SOLO_PAYLOAD_SLOT + i, SOLO_BIND_READ, w->payload[i], 0, 0};
    return solo_device_bindings_open(plan->device, binds, 8 + w->n_payload, "plan", out, err);
}

/* ---- steps -------------------------------------------------------------------------------- */

static uint32_t write_args(solo_plan *plan, const solo_args *args) {
    uint32_t off = plan->args_next * plan->args_stride;
    plan->args_next = (plan->args_next + 1) % SOLO_ARGS_RING;
    solo_device_write(plan->device, plan->args, off, args, sizeof *args);
    return off;
}

/* Between two dispatches of a step, where they do not share a pass. A submit that fails is kept by the device,
 * and returned by the step's own. */
static void next_pass(solo_plan *plan) {
    solo_error unused;
    solo_device_pass_end(plan->device);
    if (plan->desc.submit != SOLO_SUBMIT_PASS && solo_device_submit(plan->device, &unused)) plan->n_submit++;
    if (plan->desc.submit == SOLO_SUBMIT_AWAIT) solo_device_wait(plan->device, &unused);
    solo_device_pass_begin(plan->device);
}

void solo_plan_encode_step(solo_plan *plan, solo_args args) {
    const solo_program *p = solo_plan_program(plan);
    args.parity = p->factoring.tagged ? plan->n_tagged++ & 1 : 0;
    uint32_t offsets[2] = {write_args(plan, &args), 0};
    solo_device_pass_begin(plan->device);
    for (uint32_t i = 0, n = 0; i < p->n_dispatch; i++) {
        if (plan->left_out && p->dispatch[i].pipeline.handle == plan->left_out) continue;
        if (n++ > 0 && plan->desc.submit != SOLO_SUBMIT_TOKEN) next_pass(plan);
        offsets[1] = p->dispatch[i].place_off;
        solo_device_pass_dispatch(plan->device, p->dispatch[i].pipeline, &plan->bindings, offsets,
                                  2, p->dispatch[i].x, p->dispatch[i].y);
    }
    solo_device_pass_end(plan->device);
}

/* ---- experiments: what a dispatch takes, by leaving it out -------------------------------- */

static const char *entry_of(const solo_program *p, const solo_dispatch *d) {
    for (uint32_t i = 0; i < p->factoring.n_row; i++)
        if (p->pipeline[i].handle == d->pipeline.handle) return p->factoring.row[i].entry;
    solo_bug(__FILE__, __LINE__, "a dispatch of no row");
}

const char *solo_plan_entry(const solo_plan *plan, uint32_t i) {
    const solo_program *p = solo_plan_program(plan);
    return i < p->n_dispatch ? entry_of(p, &p->dispatch[i]) : NULL;
}

bool solo_plan_leave_out(solo_plan *plan, const char *entry, solo_error *err) {
    const solo_program *p = solo_plan_program(plan);
    plan->left_out = NULL;
    if (!entry) return true;
    if (p->factoring.tagged)
        return solo_fail(err, SOLO_ARGUMENT, "leave out %s: stages of %s wait for each other", entry,
                         p->factoring.name);
    for (uint32_t i = 0; i < p->n_dispatch && !plan->left_out; i++)
        if (!strcmp(entry_of(p, &p->dispatch[i]), entry)) plan->left_out = p->dispatch[i].pipeline.handle;
    return plan->left_out || solo_fail(err, SOLO_ARGUMENT, "leave out %s: %s has no such dispatch", entry,
                                       p->factoring.name);
}

bool solo_plan_prefill(solo_plan *plan, uint32_t pos, uint32_t n, solo_error *err) {
    const solo_prefill *pf = &plan->prefill;
    solo_args args = {.pos = pos, .n_batch = n};
    uint32_t offsets[2] = {write_args(plan, &args), 0};
    SOLO_ASSERT(n >= 1 && n <= SOLO_PF_BATCH && !plan->desc.no_prefill);
    solo_device_pass_begin(plan->device);
    for (uint32_t i = 0; i < pf->n_dispatch; i++) {
        const solo_dispatch *d = &pf->dispatch[i];
        offsets[1] = d->place_off;
        uint32_t x = d->x ? d->x : n, y = d->y == 32 ? (n + 31) / 32 : d->y == 0 ? n : 1;
        solo_device_pass_dispatch(plan->device, d->pipeline, &pf->bindings, offsets, 2, x, y);
    }
    solo_device_pass_end(plan->device);
    return solo_device_submit(plan->device, err);
}

void solo_plan_write_ids(solo_plan *plan, uint32_t pos, const uint32_t *ids, uint32_t n) {
    solo_device_write(plan->device, plan->state, ((uint64_t)plan->geometry.state_ids + pos) * 4,
                      ids, (uint64_t)n * 4);
}

static bool clear_handoff(solo_plan *plan, solo_error *err) {
    solo_device_clear(plan->device, plan->state, 0, (uint64_t)plan->geometry.state_ids * 4);
    solo_device_clear(plan->device, plan->msg, 0,
                      2 * (uint64_t)plan->geometry.n_block * plan->geometry.msg_words * 4);
    plan->n_tagged = 0;
    return solo_device_submit(plan->device, err);
}

bool solo_plan_demote(solo_plan *plan, const char *why, solo_error *err) {
    SOLO_ASSERT(plan->main.factoring.tagged && !plan->demoted);
    snprintf(plan->note, sizeof plan->note,
             "%s: using dispatch boundaries (%u a token) instead of the factoring %s", why,
             plan->fallback.n_dispatch, plan->main.factoring.name);
    plan->demoted = true;
    return clear_handoff(plan, err);
}

bool solo_plan_read_messages(solo_plan *plan, uint32_t at, uint32_t n, uint32_t *out,
                             solo_error *err) {
    bool tagged = solo_plan_program(plan)->factoring.tagged;
    uint64_t half = tagged && plan->n_tagged ? (plan->n_tagged - 1) & 1 : 0;
    half *= plan->geometry.n_block;
    if (!solo_device_read(plan->device, plan->msg, (half * plan->geometry.msg_words + at) * 4, out,
                          (uint64_t)n * 4, err))
        return false;
    for (uint32_t i = 0; tagged && i < n; i++) out[i] ^= 0x80808080u; /* NOT_READY */
    return true;
}

/* ---- self-test ---------------------------------------------------------------------------- */

typedef enum verdict { VERDICT_EQUAL, VERDICT_DIFFERENT, VERDICT_TIMEOUT, VERDICT_ERROR } verdict;

/* The self-test computes two steps, one of each parity, from the first position on, and one more where the context is
 * split although shorter ones are not; as far as the context goes. */
#define N_TEST_STEP 3u

static uint32_t test_pos(const solo_plan *plan, uint32_t step) {
    uint32_t n_token = plan->main.factoring.n_token;
    return step < 2 ? step * n_token : plan->geometry.att_whole;
}

/* Tokens of a step; 0: it is left out. */
static uint32_t n_test_token(const solo_plan *plan, uint32_t step) {
    uint32_t n_token = plan->main.factoring.n_token, pos = test_pos(plan, step), n_ctx = plan->desc.n_ctx;
    if (pos >= n_ctx || (step >= 2 && !plan->geometry.att_whole)) return 0;
    return n_token < n_ctx - pos ? n_token : n_ctx - pos;
}

/* The step's tokens by the program in use: their messages, then their ids. */
static bool test_step(solo_plan *plan, uint32_t step, uint32_t *out, solo_error *err) {
    const solo_geometry *g = &plan->geometry;
    const uint32_t n = n_test_token(plan, step), pos = test_pos(plan, step);
    const uint32_t n_once = solo_plan_program(plan)->factoring.n_token, first = g->desc.hp->n_vocab / 3;
    if (step % 2 == 0 && n) solo_plan_write_ids(plan, pos, &first, 1);
    for (uint32_t i = 0; i < n; i += n_once) {
        solo_args args = {.pos = pos + i,
                          .greedy = 1,
                          .inv_temperature = 1,
                          .top_p = 1,
                          .ln_min_p = -1e30f,
                          .repeat_penalty = 1};
        uint32_t n_here = n - i < n_once ? n - i : n_once;
        solo_plan_encode_step(plan, args);
        if (!solo_plan_read_messages(plan, 0, n_here * g->msg_words, out, err)) return false;
        out += (size_t)n_here * g->msg_words;
    }
    return !n || solo_device_read(plan->device, plan->state, ((uint64_t)g->state_ids + pos + 1) * 4, out,
                                  (uint64_t)n * 4, err);
}

static bool test_tokens(solo_plan *plan, uint32_t *out, bool *aborted, solo_error *err) {
    uint32_t abort_word;
    for (uint32_t step = 0; step < N_TEST_STEP; step++) {
        if (!test_step(plan, step, out, err)) return false;
        out += (size_t)n_test_token(plan, step) * (plan->geometry.msg_words + 1);
    }
    if (!solo_device_read(plan->device, plan->state, 0, &abort_word, 4, err)) return false;
    *aborted = abort_word != 0;
    return true;
}

static verdict self_test(solo_plan *plan, solo_error *err) {
    size_t n = 0;
    for (uint32_t step = 0; step < N_TEST_STEP; step++)
        n += n_test_token(plan, step) * ((size_t)plan->geometry.msg_words + 1);
    uint32_t *a = solo_zalloc(n, 4), *b = solo_zalloc(n, 4);
    bool aborted = false, unused;
    verdict v = VERDICT_ERROR;
    if (clear_handoff(plan, err) && test_tokens(plan, a, &aborted, err)) {
        plan->demoted = true; /* the same tokens by dispatch boundaries */
        bool ok = aborted || test_tokens(plan, b, &unused, err);
        plan->demoted = false;
        if (ok && clear_handoff(plan, err))
            v = aborted ? VERDICT_TIMEOUT : memcmp(a, b, n * 4) ? VERDICT_DIFFERENT : VERDICT_EQUAL;
    }
    free(a), free(b);
    return v;
}

/* Unasked, by ticket on software adapters: they run as many workgroups at once as they have cores. */
static solo_assignment first_assignment(const solo_plan *plan) {
    solo_assignment asked = plan->desc.assignment;
    bool software = solo_device_info_of(plan->device)->is_software;
    return asked == SOLO_ASSIGNMENT_AUTO && software ? SOLO_ASSIGNMENT_TICKET : asked;
}

/* Both programs and prefill's, compiled side by side. */
static bool open_programs(solo_plan *plan, solo_error *err) {
    solo_factoring f, by_stages;
    double began = solo_seconds();
    bool ok = solo_factoring_find(plan->desc.factoring, first_assignment(plan), &f, err) &&
              begin_program(plan, &f, &plan->main, err);
    if (ok && f.tagged)
        ok = solo_factoring_find("stages", SOLO_ASSIGNMENT_AUTO, &by_stages, err) &&
             begin_program(plan, &by_stages, &plan->fallback, err);
    ok = ok && (plan->desc.no_prefill || solo_prefill_begin(plan, err));
    /* of what was begun, everything is finished; the first failure says why */
    ok = finish_program(plan, &plan->main, ok ? err : NULL) && ok;
    ok = finish_program(plan, &plan->fallback, ok ? err : NULL) && ok;
    ok = solo_prefill_finish(plan, ok ? err : NULL) && ok;
    plan->compile_seconds = solo_seconds() - began;
    return ok;
}

/* Static assignment first where nothing else was asked for; what the self-test refuses falls to
 * ticket assignment, then to dispatch boundaries. */
static bool prove_hand_off(solo_plan *plan, solo_error *err) {
    const solo_plan_desc *d = &plan->desc;
    solo_factoring f;
    if (!plan->main.factoring.tagged || d->no_self_test) return true;
    double began = solo_seconds();
    verdict v = self_test(plan, err);
    plan->self_test_seconds = solo_seconds() - began;
    if (v == VERDICT_TIMEOUT && d->assignment == SOLO_ASSIGNMENT_AUTO &&
        first_assignment(plan) != SOLO_ASSIGNMENT_TICKET) {
        solo_program_close(&plan->main);
        if (!solo_factoring_find(d->factoring, SOLO_ASSIGNMENT_TICKET, &f, err) ||
            !solo_program_open(plan, &f, &plan->main, err))
            return false;
        v = self_test(plan, err);
    }
    if (v == VERDICT_ERROR) return false;
    if (v == VERDICT_TIMEOUT)
        return solo_plan_demote(
            plan, "the start-up self-test of the in-dispatch hand-off timed out", err);
    if (v == VERDICT_DIFFERENT)
        return solo_plan_demote(
            plan, "the start-up self-test of the in-dispatch hand-off found different bits", err);
    return true;
}

/* ---- open and close ----------------------------------------------------------------------- */

static void join_wgsl(solo_plan *plan) {
    solo_text text = {0};
    solo_text_add(&text, "// ==== decode: %s\n%s", plan->main.factoring.kernel, plan->main.wgsl);
    if (plan->fallback.wgsl)
        solo_text_add(&text, "\n// ==== fallback: %s\n%s", plan->fallback.factoring.kernel,
                      plan->fallback.wgsl);
    if (plan->prefill.wgsl) solo_text_add(&text, "\n// ==== prefill\n%s", plan->prefill.wgsl);
    plan->wgsl = text.at;
}

static bool open_on_gpu(solo_plan *plan, solo_error *err) {
    plan->subgroups = probe_subgroups(plan);
    if (!make_geometry(plan, err) || !open_buffers(plan, err)) return false;
    if (!open_bindings(plan, plan->msg, &plan->bindings, err)) return false;
    if (!open_programs(plan, err)) return false;
    if (!plan->desc.no_prefill && !open_bindings(plan, plan->prefill.pf, &plan->prefill.bindings, err)) return false;
    if (!prove_hand_off(plan, err)) return false;
    join_wgsl(plan);
    return true;
}

bool solo_plan_open(solo_plan **out, const solo_plan_desc *desc, solo_error *err) {
    *out = NULL;
    solo_plan *plan = solo_zalloc(1, sizeof *plan);
    plan->weights = desc->weights;
    plan->device = desc->weights->device;
    fill_defaults(plan, desc);
    bool ok =
        check_desc(plan, err) && (solo_device_is_reference(plan->device) || open_on_gpu(plan, err));
    if (!ok) {
        solo_plan_close(plan);
        return false;
    }
    *out = plan;
    return true;
}

void solo_plan_close(solo_plan *plan) {
    if (!plan) return;
    solo_program_close(&plan->main);
    solo_program_close(&plan->fallback);
    solo_prefill_close(&plan->prefill);
    solo_device_bindings_close(&plan->bindings);
    solo_buffer *buffers[] = {&plan->args, &plan->place, &plan->msg, &plan->state,
                              &plan->kv_k, &plan->kv_v,  &plan->rope};
    for (uint32_t i = 0; i < SOLO_COUNT(buffers); i++) solo_device_buffer_close(buffers[i]);
    free(plan->wgsl);
    free(plan);
}

const char *solo_plan_wgsl(const solo_plan *plan) { return plan->wgsl ? plan->wgsl : ""; }

/* ---- explaining --------------------------------------------------------------------------- */

static uint64_t matrix_bytes(const solo_weights *w, solo_matrix matrix) {
    uint64_t n = 0;
    uint32_t layers = matrix < SOLO_MATRIX_PER_LAYER ? w->model->hp.n_layer : 1;
    for (uint32_t l = 0; l < layers; l++) n += solo_weights_place(w, l, matrix)->n_bytes;
    return n;
}

static uint64_t stage_bytes(const solo_weights *w, solo_stage stage) {
    switch (stage) {
        case SOLO_STAGE_EMBED: {
            const solo_matrix_place *p = solo_weights_place(w, 0, SOLO_MATRIX_EMBD);
            return p->n_bytes / p->n_row;
        }
        case SOLO_STAGE_QKV:
            return matrix_bytes(w, SOLO_MATRIX_Q) + matrix_bytes(w, SOLO_MATRIX_K) +
                   matrix_bytes(w, SOLO_MATRIX_V);
        case SOLO_STAGE_OUT: return matrix_bytes(w, SOLO_MATRIX_OUT);
        case SOLO_STAGE_GATE_UP:
            return matrix_bytes(w, SOLO_MATRIX_GATE) + matrix_bytes(w, SOLO_MATRIX_UP);
        case SOLO_STAGE_DOWN: return matrix_bytes(w, SOLO_MATRIX_DOWN);
        case SOLO_STAGE_LOGITS: return matrix_bytes(w, SOLO_MATRIX_OUTPUT);
        default: return 0;
    }
}

uint64_t solo_plan_weight_bytes(const solo_weights *w) {
    uint64_t n = 0;
    for (uint32_t i = 0; i < SOLO_STAGE_COUNT; i++) n += stage_bytes(w, i);
    return n;
}

/* How what the stage puts reaches the next one. Where it does so within a dispatch and, at the end of a
 * chunk, across the boundary, the former is named. */
static const char *hand_off_of(const solo_hparams *hp, const solo_factoring *f, solo_stage stage) {
    for (uint32_t i = 0; i < f->n_row; i++) {
        const solo_factor_row *row = &f->row[i];
        solo_op first_op, last_op;
        if (!solo_row_ops(hp, row, &first_op, &last_op)) continue;
        solo_stage last = solo_op_stage(last_op);
        if (row->sync == SOLO_SYNC_NONE || stage < solo_op_stage(row->first) || stage > last)
            continue;
        if (stage == last && f->n_token == 1) continue;
        return row->sync == SOLO_SYNC_WORDS ? "words" : "barrier";
    }
    return "dispatch";
}

static void explain_stages(const solo_plan *plan, solo_plan_info *info) {
    const solo_geometry *g = &plan->geometry;
    static const int role_of[] = {
        -1, SOLO_ROLE_QKV, -1, -1, SOLO_ROLE_OUT, -1, SOLO_ROLE_GATE_UP, SOLO_ROLE_DOWN, -1,
        SOLO_ROLE_LOGITS, -1};
    const solo_program *p = solo_plan_program(plan);
    uint32_t n_stage_a_token = 0;
    for (uint32_t i = 0; i < SOLO_STAGE_COUNT; i++) {
        if (!solo_stage_is_done(g->desc.hp, i)) continue;
        const bool of_rows = i == SOLO_STAGE_EMBED || i == SOLO_STAGE_NORM_OUT || i == SOLO_STAGE_NORM_DOWN;
        solo_stage_info *s = &info->stage[info->n_stage++];
        s->name = solo_stage_name(i);
        s->scope = solo_stage_scope(i) == SOLO_SCOPE_LAYER ? "layer" : "token";
        s->n_tile = of_rows                   ? g->tiles_embed
                    : i == SOLO_STAGE_ATTEND  ? g->tiles_attend
                    : i == SOLO_STAGE_COMBINE ? g->tiles_combine
                                              : 1;
        s->tile_rows = of_rows                   ? g->embed_tile
                       : i == SOLO_STAGE_COMBINE ? g->combine_tile
                                                 : 0;
        s->team = s->rows_team = 1;
        if (role_of[i] >= 0) {
            const solo_role_geometry *r = &g->role[role_of[i]];
            s->n_tile = r->n_tile, s->tile_rows = r->tile, s->team = r->team, s->rows_team = r->rows_team;
        }
        s->weight_bytes = stage_bytes(plan->weights, i);
        n_stage_a_token += solo_stage_scope(i) == SOLO_SCOPE_LAYER ? g->desc.hp->n_layer : 1;
        s->hand_off = hand_off_of(g->desc.hp, &p->factoring, i);
        info->weight_bytes += s->weight_bytes;
    }
    /* every stage but the last of each dispatch; in a burst the last hands over as well */
    if (p->factoring.tagged)
        info->n_hand_off = n_stage_a_token - (p->factoring.n_token > 1 ? 0 : p->n_dispatch);
}

solo_plan_info solo_plan_get_info(const solo_plan *plan) {
    const solo_geometry *g = &plan->geometry;
    const solo_plan_desc *d = &plan->desc;
    static const char *const kv_names[] = {"auto", "f16", "f32", "int8"}; /* by solo_kv_type */
    solo_plan_info info = {.n_ctx = d->n_ctx, .kv_type = kv_names[d->kv_type]};
    if (solo_device_is_reference(plan->device)) {
        info.factoring = "reference", info.assignment = info.hand_off = "-", info.activations = "f32",
        info.reduce = "-";
        info.weight_bytes = 0;
        for (uint64_t i = 0; i < solo_gguf_n_tensor(plan->weights->model->gguf); i++)
            info.weight_bytes += solo_gguf_tensor_at(plan->weights->model->gguf, i)->n_bytes;
        return info;
    }
    const solo_program *p = solo_plan_program(plan);
    info.n_ctx_whole = g->att_whole;
    info.factoring = p->factoring.name;
    info.assignment = !p->factoring.tagged                                   ? "-"
                      : p->factoring.assignment == SOLO_ASSIGNMENT_STATIC ? "static"
                                                                          : "ticket";
    info.hand_off = p->factoring.tagged ? solo_hand_off_names()[d->hand_off] : "-";
    info.activations = d->activations == SOLO_ACTIVATIONS_F32 ? "f32" : "int8";
    info.reduce = plan->subgroups ? "subgroup" : d->max_team == 1 ? "lane" : "scratch";
    info.compile_seconds = plan->compile_seconds, info.self_test_seconds = plan->self_test_seconds;
    info.n_dispatch = p->n_dispatch;
    info.n_token = p->factoring.n_token;
    info.n_workgroup = p->factoring.tagged ? g->n_wg : 0;
    info.workgroup_size = g->wg;
    info.workgroup_bytes = g->workgroup_bytes;
    info.kv_bytes_per_pos = 2ull * g->desc.hp->n_layer * g->desc.hp->n_head_kv * g->kv_vecs * 16;
    info.attn_window = g->desc.hp->attn_window;
    info.attn_global_every = g->desc.hp->global_every;
    info.weights_buffer_bytes = plan->weights->payload_words4 * 16 + plan->weights->scale_words * 4;
    info.kv_buffer_bytes = plan->kv_k.n_bytes + plan->kv_v.n_bytes;
    info.message_buffer_bytes = plan->msg.n_bytes + plan->state.n_bytes;
    info.prefill_buffer_bytes = plan->prefill.pf.n_bytes;
    explain_stages(plan, &info);
    snprintf(info.note, sizeof info.note, "%s", plan->note);
    return info;
}
