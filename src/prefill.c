/* prefill.c: the batched path for prompts: its module, pipelines and list of dispatches. */
#include "plan.h"

/* Workgroups in x: tiles of 32 rows, or 0 for one a token; in y: 32 stands for tiles of 32 tokens,
 * 0 for one a token, 1 for one. */
typedef struct prefill_row {
    const char *entry;
    uint32_t part;
    int rows; /* which count of rows gives x; -1: one a token */
    uint32_t y;
    solo_need need; /* else it is left out */
} prefill_row;

enum { ROWS_TOKEN = -1, ROWS_Q, ROWS_K, ROWS_D, ROWS_FF, ROWS_HEAD };

static const prefill_row layer_rows[] = {
    {"prefill_norm", 0, ROWS_TOKEN, 1, 0},      {"prefill_matmul_q", 0, ROWS_Q, 32, 0},
    {"prefill_matmul_k", 0, ROWS_K, 32, 0},     {"prefill_matmul_v", 0, ROWS_K, 32, 0},
    {"prefill_rope", 0, ROWS_TOKEN, 1, 0},      {"prefill_attend", 0, ROWS_HEAD, 0, 0},
    {"prefill_matmul_out", 0, ROWS_D, 32, 0},
    {"prefill_add_normed", 0, ROWS_TOKEN, 1, SOLO_NEED_POST_NORM},
    {"prefill_norm", 1, ROWS_TOKEN, 1, 0},
    {"prefill_matmul_gate", 0, ROWS_FF, 32, 0}, {"prefill_matmul_up", 0, ROWS_FF, 32, SOLO_NEED_UP},
    {"prefill_glu", 0, ROWS_TOKEN, 1, 0},       {"prefill_matmul_down", 0, ROWS_D, 32, 0},
    {"prefill_add_normed", 1, ROWS_TOKEN, 1, SOLO_NEED_POST_NORM},
};
static const prefill_row embed_row = {"prefill_embed", 0, ROWS_TOKEN, 1, 0};

static const prefill_row *row_at(uint32_t i) {
    return i < SOLO_COUNT(layer_rows) ? &layer_rows[i] : &embed_row;
}

static uint32_t width(const solo_geometry *g, const prefill_row *row) {
    const solo_hparams *hp = g->desc.hp;
    switch (row->rows) {
        case ROWS_Q: return (g->rows_q + 31) / 32;
        case ROWS_K: return (g->rows_k + 31) / 32;
        case ROWS_D: return (hp->n_embd + 31) / 32;
        case ROWS_FF: return (hp->n_ff + 31) / 32;
        case ROWS_HEAD: return hp->n_head;
        default: return 0;
    }
}

static void begin_pipelines(solo_plan *plan) {
    solo_prefill *pf = &plan->prefill;
    uint32_t n = SOLO_COUNT(layer_rows);
    SOLO_ASSERT(n + 1 <= SOLO_COUNT(pf->pipeline));
    for (uint32_t i = 0; i <= n; i++) {
        const prefill_row *row = row_at(i);
        if (!solo_has(plan->geometry.desc.hp, row->need)) continue;
        for (uint32_t k = 0; k < i && !pf->pipeline[i].handle; k++) {
            if (!strcmp(row_at(k)->entry, row->entry)) pf->pipeline[i] = pf->pipeline[k];
        }
        if (!pf->pipeline[i].handle)
            solo_device_pipeline_begin(plan->device, pf->module, row->entry, &plan->bindings, &pf->pipeline[i]);
    }
}

bool solo_prefill_begin(solo_plan *plan, solo_error *err) {
    solo_prefill *pf = &plan->prefill;
    const solo_geometry *g = &plan->geometry;
    const solo_hparams *hp = g->desc.hp;
    uint64_t row = 2ull * hp->n_embd + g->rows_q + 2ull * g->rows_k + g->rows_q + 3ull * hp->n_ff;
    if (!solo_device_buffer_open(plan->device, SOLO_BUFFER_STORAGE, SOLO_PF_BATCH * row * 4,
                                 "prefill", &pf->pf, err))
        return false;
    pf->wgsl =
        solo_wgsl_join(&(solo_wgsl_desc){.weights = plan->weights, .geometry = g, .spin_limit = 1});
    if (!solo_device_module_open(plan->device, pf->wgsl, "prefill.wgsl", &pf->module, err))
        return false;
    begin_pipelines(plan);
    uint32_t n = SOLO_COUNT(layer_rows);
    pf->dispatch = solo_zalloc(1 + (size_t)hp->n_layer * n, sizeof *pf->dispatch);
    pf->dispatch[pf->n_dispatch++] = (solo_dispatch){pf->pipeline[n], 0, 0, 1};
    for (uint32_t l = 0; l < hp->n_layer; l++) {
        for (uint32_t i = 0; i < n; i++) {
            if (!solo_has(hp, layer_rows[i].need)) continue;
            pf->dispatch[pf->n_dispatch++] =
                (solo_dispatch){pf->pipeline[i], (l * 2 + layer_rows[i].part) * plan->place_stride,
                                width(g, &layer_rows[i]), layer_rows[i].y};
        }
    }
    return true;
}

bool solo_prefill_finish(solo_plan *plan, solo_error *err) {
    return solo_pipelines_finish(plan->device, plan->prefill.pipeline, SOLO_COUNT(plan->prefill.pipeline), err);
}

void solo_prefill_close(solo_prefill *pf) {
    solo_pipelines_close(pf->pipeline, SOLO_COUNT(pf->pipeline));
    solo_device_module_close(&pf->module);
    solo_device_bindings_close(&pf->bindings);
    solo_device_buffer_close(&pf->pf);
    free(pf->dispatch), free(pf->wgsl);
    memset(pf, 0, sizeof *pf);
}
