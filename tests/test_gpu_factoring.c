/* test_gpu_factoring.c: factoring against factoring. At one geometry every factoring must leave the
 * same bits: all message words, the whole KV cache, the sampled ids. Each configuration says what
 * it is there to see and fails as blind where its geometry does not show it. */
#include "record.h"
#include "stream.h"

/* ---- programs ------------------------------------------------------------------------------- */

static void expect_not_blind(const config *c, const solo_plan *plan) {
    const solo_geometry *g = &plan->geometry;
    assert_true(g->desc.hp->n_layer >= 2);
    assert_true(plan->weights->n_payload >= c->min_payload);
    assert_true(g->n_split >= c->min_split);
    uint32_t n = c->n_prompt, window = g->desc.hp->attn_window;
    assert_true(window < n);
    if (g->desc.hp->global_every) window = 0;
    uint32_t per_split = ((window ? window : n) + g->n_split) / g->n_split;
    assert_true((per_split + g->att_block - 1) / g->att_block >= c->min_block);
    for (uint32_t i = 0; i < SOLO_ROLE_COUNT; i++) {
        assert_true(g->role[i].team > 1 || c->plan.max_team <= 1);
        assert_true(g->role[i].n_chunk >= 2 || !c->chunked);
    }
}

/* Where each workgroup had one tile at most, none would ever take a stage's input a second time. */
static void expect_more_tiles(const solo_geometry *g, uint32_t n_workgroup) {
    assert_true(g->tiles_embed > n_workgroup && g->tiles_attend > n_workgroup &&
                g->tiles_combine > n_workgroup);
    for (uint32_t i = 0; i < SOLO_ROLE_COUNT; i++) assert_true(g->role[i].n_tile > n_workgroup);
}

static solo_program open_program(solo_plan *plan, const char *name, solo_assignment assignment) {
    solo_factoring f;
    solo_program p = {0};
    GPU_OK(solo_factoring_find(name, assignment, &f, &gpu_err));
    GPU_OK(solo_program_open(plan, &f, &p, &gpu_err));
    return p;
}

static void check_factoring(solo_plan *plan, const config *c, const char *name,
                            solo_assignment assignment, const record *wanted) {
    char who[60];
    solo_program p = open_program(plan, name, assignment);
    snprintf(who, sizeof who, "%s%s", name,
             assignment == SOLO_ASSIGNMENT_STATIC ? ", static, 1 workgroup" : "");
    check_program(plan, &p, c, who, wanted);
    solo_program_close(&p);
}

/* The static form with the one workgroup that is surely resident. */
static void check_static(solo_plan *plan, const config *c, const char *name,
                         const record *wanted) {
    uint32_t n_wg = plan->geometry.n_wg;
    plan->geometry.n_wg = plan->geometry.grid[SOLO_GRID_WG] = 1;
    check_factoring(plan, c, name, SOLO_ASSIGNMENT_STATIC, wanted);
    plan->geometry.n_wg = plan->geometry.grid[SOLO_GRID_WG] = n_wg;
}

/* Whether dispatch k hands over inside, so that its workgroups may be any number. */
static bool of_words(const solo_program *p, uint32_t k) {
    for (uint32_t i = 0; i < p->factoring.n_row; i++) {
        if (p->pipeline[i].handle == p->dispatch[k].pipeline.handle)
            return p->factoring.row[i].sync == SOLO_SYNC_WORDS;
    }
    return false;
}

/* The ticket form takes its count of workgroups from the dispatch alone: one pipeline for all. */
static void check_ticket(solo_plan *plan, const config *c, const char *name,
                         const record *wanted) {
    static const uint32_t counts[] = {1, 2, 3, 5};
    solo_program p = open_program(plan, name, SOLO_ASSIGNMENT_TICKET);
    expect_more_tiles(&plan->geometry, 3);
    for (uint32_t i = 0; i < SOLO_COUNT(counts); i++) {
        if (!c->all_forms && counts[i] != 3) continue;
        char who[60];
        snprintf(who, sizeof who, "%s, ticket, %u workgroups", name, counts[i]);
        for (uint32_t k = 0; k < p.n_dispatch; k++) {
            if (of_words(&p, k)) p.dispatch[k].x = counts[i];
        }
        check_program(plan, &p, c, who, wanted);
    }
    solo_program_close(&p);
}

static void check_plan(solo_plan *plan, const config *c, const record *wanted) {
    check_factoring(plan, c, "unfused", 0, wanted);
    if (c->all_forms) check_factoring(plan, c, "roles", 0, wanted);
    if (gpu_compiles_slowly()) return;
    check_ticket(plan, c, "single", wanted);
    if (!c->all_forms) return;
    check_static(plan, c, "single", wanted);
    check_factoring(plan, c, "single-wg", 0, wanted);
}

static solo_plan *open_plan(const gpu_bed *bed, const config *c) {
    solo_plan_desc d = gpu_one_geometry(c->plan);
    d.factoring = "stages";
    d.no_prefill = !c->reads_prompt;
    solo_plan *plan = c->chunked ? gpu_plan_open_chunked(bed, d) : gpu_plan_open(bed, d);
    expect_not_blind(c, plan);
    return plan;
}

static void check_config(const config *c) {
    if (gpu_compiles_slowly() && !c->slow_too) return;
    gpu_bed bed = gpu_bed_open(&c->model, c->max_binding);
    solo_plan *plan = open_plan(&bed, c);
    record wanted = run_program(plan, &plan->main, c);
    check_program(plan, &plan->main, c, "stages once more", &wanted);
    check_plan(plan, c, &wanted);
    record_free(&wanted);
    solo_plan_close(plan);
    gpu_bed_close(&bed);
}

/* ---- configurations ------------------------------------------------------------------------- */

static void int8_one_lane_a_row(void **state) {
    (void)state;
    check_config(&(config){
        .name = "int8, f16", .model = gpu_tiny,
        .n_prompt = 70, .n_step = 6, .min_block = 3, .all_forms = true, .slow_too = true});
}

static void f32_one_lane_a_row(void **state) {
    (void)state;
    check_config(&(config){.name = "f32, f32",
                           .model = {.n_head = 4,
                                     .n_head_kv = 4,
                                     .n_ctx = 96,
                                     .n_vocab = 333,
                                     .seed = 2,
                                     .type_v = SOLO_TYPE_Q8_0,
                                     .alt_v = SOLO_TYPE_Q4_0,
                                     .use_alt = true},
                           .plan = {.activations = SOLO_ACTIVATIONS_F32},
                           .n_prompt = 40,
                           .n_step = 6,
                           .min_block = 2,
                           .slow_too = true});
}

static void wide_teams_wide_workgroup(void **state) {
    (void)state;
    check_config(&(config){.name = "f32, f16, teams of 32",
                           .model = {.n_embd = 512,
                                     .n_ff = 512,
                                     .head_dim = 64,
                                     .n_head = 8,
                                     .n_ctx = 96,
                                     .seed = 4,
                                     .type_down = TINY_TYPE_F32},
                           .plan = {.activations = SOLO_ACTIVATIONS_F32,
                                    .kv_type = SOLO_KV_F16,
                                    .max_team = 32,
                                    .workgroup_size = 64,
                                    .no_subgroups = true},
                           .n_prompt = 9,
                           .n_step = 6,
                           .min_split = 2});
}

static void inputs_in_chunks_f32(void **state) {
    (void)state;
    check_config(&(config){
        .name = "f32 in chunks",
        .model =
            {.n_embd = 320, .n_ff = 416, .head_dim = 80, .n_ctx = 96, .seed = 6, .n_head_kv = 4},
        .plan = {.activations = SOLO_ACTIVATIONS_F32, .max_team = 2, .no_subgroups = true},
        .n_prompt = 3,
        .n_step = 6,
        .chunked = true,
        .min_split = 2});
}

static void payload_in_several_bindings(void **state) {
    (void)state;
    config c = {.name = "payload in parts",
                .model = {.n_ctx = 96,
                          .seed = 7,
                          .use_alt = true,
                          .tied = true,
                          .alt_down = SOLO_TYPE_Q8_0,
                          .n_head_kv = 4},
                .n_prompt = 5,
                .reads_prompt = true,
                .n_step = 6,
                .min_payload = 1};
    if (gpu_compiles_slowly()) return;
    gpu_bed bed = gpu_bed_open(&c.model, 0);
    solo_plan *plan = open_plan(&bed, &c);
    record one = run_program(plan, &plan->main, &c);
    uint64_t part = bed.weights->payload_words4 / 3 + 1; /* cuts matrices, and rows of them */
    solo_plan_close(plan);
    gpu_bed_close(&bed);

    c.max_binding = part * 16;
    c.min_payload = 3;
    bed = gpu_bed_open(&c.model, c.max_binding);
    plan = open_plan(&bed, &c);
    check_program(plan, &plan->main, &c, "stages", &one);
    check_ticket(plan, &c, "single", &one);
    solo_plan_close(plan);
    gpu_bed_close(&bed);
    record_free(&one);
}

/* A queue of weights, in the stages' own order and across them: with one tile a stage the only
 * workgroup walks all of a token, and what a stage requests for the next must be what that uses. */
static void check_ahead(config *c) {
    gpu_bed bed = gpu_bed_open(&c->model, 0);
    c->plan.factoring = "stages";
    solo_plan *plan = plan_for_steps(&bed, c->plan);
    solo_stream stream;
    solo_stream_make(bed.weights, &plan->geometry, true, &stream);
    assert_true(plan->geometry.role[SOLO_ROLE_OUT].team > 1);
    assert_true(stream.queue > 1); /* a strip's rows at least */
    assert_true(stream.cross && stream.layer_vec4 > stream.queue && stream.role[SOLO_ROLE_LOGITS].loop);
    record ahead = run_program(plan, &plan->main, c);
    check_factoring(plan, c, "unfused", 0, &ahead); /* multiplies in loops */
    if (!gpu_compiles_slowly()) {
        check_factoring(plan, c, "single", SOLO_ASSIGNMENT_STATIC, &ahead);
        check_factoring(plan, c, "single", SOLO_ASSIGNMENT_TICKET, &ahead);
        check_factoring(plan, c, "chunk:2", SOLO_ASSIGNMENT_STATIC, &ahead); /* own rows from word to word */
    }
    solo_plan_close(plan);
    record_free(&ahead);
    gpu_bed_close(&bed);
}

static void want_subgroups(uint32_t least) {
    const solo_device_info *info = solo_device_info_of(gpu_device);
    if (info->has_subgroups && info->subgroup_min >= least) return;
    printf("UNRUN: %s has no subgroups of %u\n", info->name, least);
    skip();
}

/* Lanes of a subgroup that share rows; skips where they are fewer than `least`. (SwiftShader has four, and what it
 * makes of 128 lanes takes 23 GB.) */
static uint32_t team_of_device(uint32_t least) {
    want_subgroups(least);
    uint32_t team = solo_device_info_of(gpu_device)->subgroup_min;
    return team < 32 ? team : 32;
}

/* A whole token whose spans are put by subgroups, with own rows and gains in workgroup memory: what a GPU runs. */
static void spans_of_a_whole_token(void **state) {
    (void)state;
    want_subgroups(8);
    config c = {.name = "spans of a whole token",
                .model = {.n_embd = 64, .n_head = 1, .n_head_kv = 1, .head_dim = 64, .n_ff = 64, .n_ctx = 96,
                          .seed = 33, .type_qk = SOLO_TYPE_Q4_0, .type_v = SOLO_TYPE_Q4_0, .type_out = SOLO_TYPE_Q4_0,
                          .type_gate = SOLO_TYPE_Q4_0, .type_up = SOLO_TYPE_Q4_0, .type_down = SOLO_TYPE_Q4_0},
                /* more lanes than a head has numbers: its maximum and sum are of another subgroup than the first */
                .plan = {.max_team = 8, .k_split = 2, .workgroup_size = 128, .n_slice = 1, .n_workgroup = 1, .queue = 4,
                         .queue_across = true, .spin_limit = 50000000, .factoring = "stages"},
                .n_prompt = 5,
                .n_step = 3};
    gpu_bed bed = gpu_bed_open(&c.model, 0);
    solo_plan *plan = plan_for_steps(&bed, c.plan);
    record wanted = run_program(plan, &plan->main, &c);
    solo_program whole = open_program(plan, "single", SOLO_ASSIGNMENT_STATIC);
    assert_non_null(strstr(whole.wgsl, "// ---- spans_subgroup.wgsl"));
    assert_non_null(strstr(whole.wgsl, "const CROSS = true"));
    check_program(plan, &whole, &c, "single, static, 1 workgroup", &wanted);
    solo_program_close(&whole);
    record_free(&wanted);
    solo_plan_close(plan);
    gpu_bed_close(&bed);
}

static void weights_requested_ahead(void **state) {
    (void)state;
    config c = {.name = "a queue across stages",
                .model = {.n_layer = 3, .n_head_kv = 1, .n_ctx = 96, .seed = 9, .tied = true,
                          .type_qk = SOLO_TYPE_Q4_0, .type_v = SOLO_TYPE_Q4_0,
                          .type_out = SOLO_TYPE_Q8_0},
                .plan = {.max_team = 2, .workgroup_size = 128, .queue = 1, .queue_across = true,
                         .n_slice = 1, .n_workgroup = 1},
                .n_prompt = 5,
                .n_step = 4};
    check_ahead(&c);
    c.name = "several strips, some held back across attention";
    c.model.n_embd = 192, c.model.n_ff = 256;
    c.model.type_gate = c.model.type_up = SOLO_TYPE_Q4_0;
    c.model.type_down = SOLO_TYPE_Q8_0;
    c.plan.k_split = 2, c.plan.queue = 14;
    check_ahead(&c);
    c.model.n_head_kv = 2; /* two tiles of attention: the workgroup does not walk each stage once */
    gpu_bed bed = gpu_bed_open(&c.model, 0);
    solo_plan *plan = plan_for_steps(&bed, c.plan);
    solo_stream stream;
    solo_stream_make(bed.weights, &plan->geometry, true, &stream);
    assert_false(stream.cross);
    solo_plan_close(plan);
    gpu_bed_close(&bed);
}

/* Within stages: by loops against the queue. */
static void check_ahead_in_stages(config *c, solo_form qkv, solo_form down, uint32_t quads) {
    gpu_bed bed = gpu_bed_open(&c->model, 0);
    c->plan.factoring = "stages";
    solo_plan *plan = plan_for_steps(&bed, c->plan);
    solo_stream stream;
    solo_stream_make(bed.weights, &plan->geometry, false, &stream);
    assert_true(stream.role[SOLO_ROLE_QKV].on && stream.role[SOLO_ROLE_DOWN].on);
    assert_int_equal(stream.role[SOLO_ROLE_QKV].form, qkv);
    assert_int_equal(stream.role[SOLO_ROLE_DOWN].form, down);
    assert_int_equal(stream.role[SOLO_ROLE_DOWN].quads, quads);
    record ahead = run_program(plan, &plan->main, c);
    check_factoring(plan, c, "unfused", 0, &ahead); /* multiplies in loops */
    solo_plan_close(plan);
    record_free(&ahead);
    gpu_bed_close(&bed);
}

/* Forms with other registers. */
static void other_forms_requested_ahead(void **state) {
    (void)state;
    config c = {.name = "a queue of five bits and of scales by 16",
                .model = {.n_embd = 256, .n_head = 4, .n_head_kv = 2, .head_dim = 64, .n_ff = 256,
                          .n_ctx = 96, .seed = 29, .tied = true, .type_qk = SOLO_TYPE_Q5_K,
                          .type_v = SOLO_TYPE_Q5_K, .type_out = SOLO_TYPE_Q2_K,
                          .type_gate = SOLO_TYPE_Q5_1, .type_up = SOLO_TYPE_Q5_1,
                          .type_down = SOLO_TYPE_Q3_K},
                .plan = {.max_team = 4, .workgroup_size = 64, .queue = 4},
                .n_prompt = 3,
                .n_step = 4};
    check_ahead_in_stages(&c, SOLO_FORM_Q5_K, SOLO_FORM_Q2_K, 0);
}

/* Scales in quads: a row has two runs of them, of which a narrower team's lane has several at once. */
static void quads_requested_ahead(void **state) {
    (void)state;
    config c = {.name = "quads of teams of 16",
                .model = {.n_ff = 193 * 32, .n_ctx = 96, .seed = 40, .tied = true, .type_qk = SOLO_TYPE_Q4_0,
                          .type_v = SOLO_TYPE_Q4_0, .type_down = SOLO_TYPE_Q4_0},
                .plan = {.max_team = 16, .k_split = 16, .workgroup_size = 64, .queue = 64, .no_subgroups = true},
                .n_prompt = 3,
                .n_step = 4};
    check_ahead_in_stages(&c, SOLO_FORM_Q4_0, SOLO_FORM_Q4_0, 4);
}

static const tiny_desc phi3_model = {
    .phi3 = true, .n_head = 8, .n_head_kv = 8, .rope_dim = 12, .n_ctx = 96, .n_ctx_orig = 48,
    .attn_factor = 1.1f, .attn_window = 37, .n_vocab = 333, .seed = 9,
    .type_v = SOLO_TYPE_Q8_0, .type_up = SOLO_TYPE_Q4_0};

static void phi3_in_a_window(void **state) {
    (void)state;
    check_config(&(config){.name = "phi3, splits of a window", .model = phi3_model,
                           .plan = {.max_team = 2, .no_subgroups = true}, .n_prompt = 70,
                           .n_step = 6, .min_split = 2});
}

/* The same numbers in a llama's file and fused in a phi3's, with pairs of rows in another order:
 * the GPU holds them alike, and every word comes out the same. */
static void phi3_is_a_fused_llama(void **state) {
    (void)state;
    config c = {.name = "phi3 and llama", .model = phi3_model, .n_prompt = 70, .reads_prompt = true, .n_step = 6};
    c.model.attn_factor = 0;
    gpu_bed bed = gpu_bed_open(&c.model, 0);
    solo_plan *plan = open_plan(&bed, &c);
    record fused = run_program(plan, &plan->main, &c);
    solo_plan_close(plan);
    gpu_bed_close(&bed);

    c.model.phi3 = false;
    c.model.n_ctx_orig = 0;
    c.model.rope_factors = true; /* which are phi3's long ones */
    c.model.type_qk = c.model.type_v;
    c.model.type_gate = c.model.type_up;
    bed = gpu_bed_open(&c.model, 0);
    assert_string_equal(solo_model_get_info(bed.model).arch, "llama");
    plan = open_plan(&bed, &c);
    check_program(plan, &plan->main, &c, "llama", &fused);
    solo_plan_close(plan);
    gpu_bed_close(&bed);
    record_free(&fused);
}

static void qwen2(void **state) {
    (void)state;
    check_config(&(config){.name = "qwen2, f32", .model = gpu_qwen2,
                           .plan = {.activations = SOLO_ACTIVATIONS_F32}, .n_prompt = 40, .n_step = 4,
                           .min_block = 2});
}

static void qwen3(void **state) {
    (void)state;
    check_config(&(config){.name = "qwen3, int8, teams", .model = gpu_qwen3,
                           .plan = {.max_team = 4, .no_subgroups = true}, .n_prompt = 40, .n_step = 4,
                           .min_split = 2, .all_forms = true});
}

static void gpt2(void **state) {
    (void)state;
    check_config(&(config){.name = "gpt2, int8", .model = gpu_gpt2, .n_prompt = 40, .n_step = 4,
                           .min_block = 2, .all_forms = true});
    check_config(&(config){.name = "gpt2, f32, teams", .model = gpu_gpt2,
                           .plan = {.activations = SOLO_ACTIVATIONS_F32, .max_team = 4, .no_subgroups = true},
                           .n_prompt = 9, .n_step = 3, .min_split = 2});
}

static void gemma(void **state) {
    (void)state;
    check_config(&(config){.name = "gemma2, f32", .model = gpu_gemma2,
                           .plan = {.activations = SOLO_ACTIVATIONS_F32}, .n_prompt = 40, .n_step = 4,
                           .min_block = 2});
    check_config(&(config){.name = "gemma3, int8, teams", .model = gpu_gemma3,
                           .plan = {.max_team = 4, .no_subgroups = true}, .n_prompt = 40, .n_step = 4,
                           .min_split = 2, .all_forms = true});
}

static void more_parts_than_bindings(void **state) {
    (void)state;
    solo_weights *none;
    gpu_bed bed = gpu_model_open(&(tiny_desc){.seed = 7});
    solo_weights_desc desc = {.model = bed.model, .device = gpu_device, .max_binding_bytes = 4096};
    assert_false(solo_weights_open(&none, &desc, &gpu_err));
    assert_int_equal(gpu_err.status, SOLO_DEVICE_LIMIT);
    assert_non_null(strstr(gpu_err.text, "of 4096 bytes"));
    gpu_bed_close(&bed);
}

/* stages by subgroups, without and with weights ahead, and with `all` every factoring, against scratch memory. */
static void check_subgroups(const config *c, bool all) {
    gpu_bed bed = gpu_bed_open(&c->model, 0);
    solo_plan *plan = open_plan(&bed, c);
    bool used = plan->subgroups;
    plan->subgroups = false;
    solo_program scratch = open_program(plan, "stages", 0);
    record wanted = run_program(plan, &scratch, c);
    solo_program_close(&scratch);
    plan->subgroups = used;
    uint32_t team = c->plan.max_team;
    if (used && team >= plan->geometry.qd && team >= plan->geometry.qf)
        assert_non_null(strstr(plan->main.wgsl, "// ---- spans_subgroup.wgsl"));
    check_program(plan, &plan->main, c, "stages by subgroups", &wanted);
    if (all && !gpu_compiles_slowly()) check_plan(plan, c, &wanted);
    plan->geometry.desc.queue = 5;
    solo_program ahead = open_program(plan, "stages", 0);
    assert_non_null(strstr(ahead.wgsl, "fn multiply_qkv"));
    check_program(plan, &ahead, c, "stages by subgroups, weights ahead", &wanted);
    solo_program_close(&ahead);
    record_free(&wanted);
    solo_plan_close(plan);
    gpu_bed_close(&bed);
    if (used) return;
    printf("UNRUN: lanes of %s do not map to subgroups in order\n", solo_device_info_of(gpu_device)->name);
    skip();
}

static void subgroups_add_in_the_same_order(void **state) {
    (void)state;
    check_subgroups(&(config){.name = "subgroups",
                              .model = {.n_embd = 256, .n_ff = 288, .head_dim = 96, .n_head = 4, .n_ctx = 96,
                                        .seed = 8},
                              /* a vec4 of a span and two words left over */
                              .plan = {.max_team = team_of_device(2), .kv_type = SOLO_KV_INT8},
                              .n_prompt = 70,
                              .n_step = 6,
                              .min_split = 2},
                    true);
}

/* Where a scale of h is a whole group's, and its sums are wanted. */
static void a_scale_a_group(void **state) {
    (void)state;
    uint32_t team = team_of_device(8);
    config c = {.name = "a scale a group",
                .model = {.n_ff = 4096, .n_ctx = 96, .seed = 37, .type_down = SOLO_TYPE_Q4_1},
                .plan = {.max_team = team, .k_split = team, .workgroup_size = 128}, /* so that words are few a lane */
                .n_prompt = 3,
                .n_step = 4};
    check_subgroups(&c, false);
}

/* Long contexts: attention's scores do not fit workgroup memory at once, and its past is scaled from part to part. */
static void attention_in_parts(void **state) {
    (void)state;
    config c = {.name = "attention in parts",
                .model = {.n_ctx = 96, .seed = 38},
                .plan = {.max_team = team_of_device(8), .k_split = 2, .n_slice = 4,
                         .activations = SOLO_ACTIVATIONS_F32},
                .n_prompt = 80,
                .n_step = 4};
    gpu_bed bed = gpu_bed_open(&c.model, 0);
    solo_plan *plan = open_plan(&bed, &c);
    solo_geometry *g = &plan->geometry;
    if (!g->desc.attend_lanes) {
        printf("UNRUN: %s attends through workgroup memory\n", solo_device_info_of(gpu_device)->name);
        solo_plan_close(plan);
        gpu_bed_close(&bed);
        skip();
    }
    assert_true(g->att_part_blocks > 3); /* more blocks than are held at once, and than the part below has */
    record whole = run_program(plan, &plan->main, &c);
    g->att_part_blocks = 2;
    solo_program parts = open_program(plan, "stages", 0);
    assert_non_null(strstr(parts.wgsl, "const ATT_ONE_PART = false"));
    record wanted = run_program(plan, &parts, &c);
    solo_program_close(&parts);
    for (uint32_t step = 0; step < c.n_step; step++) {
        size_t at = (size_t)step * g->msg_words + g->m_logits;
        double e = gpu_nmse((float *)(wanted.words + at), (float *)(whole.words + at), g->desc.hp->n_vocab);
        if (e > 1e-10) fail_msg("step %u: logits by parts are %g off", step, e);
    }
    check_factoring(plan, &c, "unfused", 0, &wanted);
    if (!gpu_compiles_slowly()) check_factoring(plan, &c, "single", SOLO_ASSIGNMENT_TICKET, &wanted);
    record_free(&whole);
    record_free(&wanted);
    solo_plan_close(plan);
    gpu_bed_close(&bed);
}

/* Logits of every step by splits of the context, as near as adding in another order leaves them. */
static void expect_near_splits(const gpu_bed *bed, const config *c, const record *whole) {
    config by_splits = *c;
    by_splits.plan.always_split = true;
    solo_plan *plan = open_plan(bed, &by_splits);
    const solo_geometry *g = &plan->geometry;
    assert_int_equal(g->att_whole, 0);
    record wanted = run_program(plan, &plan->main, &by_splits);
    for (uint32_t step = 0; step < c->n_step; step++) {
        size_t at = (size_t)step * g->msg_words + g->m_logits;
        double e = gpu_nmse((float *)(wanted.words + at), (float *)(whole->words + at), g->desc.hp->n_vocab);
        if (!(e <= (c->plan.activations == SOLO_ACTIVATIONS_F32 ? 1e-10 : 1e-4))) /* NaN is no number below */
            fail_msg("%s: step %u: logits are %g off those by splits", c->name, step, e);
    }
    record_free(&wanted);
    solo_plan_close(plan);
}

/* Short contexts, which each workgroup of a head attends to whole, on the way to longer ones, which are split. */
static void short_contexts_whole(void **state) {
    (void)state;
    static const solo_activations activations[] = {SOLO_ACTIVATIONS_F32, SOLO_ACTIVATIONS_INT8, SOLO_ACTIVATIONS_INT8};
    static const solo_kv_type kv[] = {SOLO_KV_F32, SOLO_KV_F16, SOLO_KV_INT8};
    want_subgroups(8);
    for (uint32_t i = 0; i < SOLO_COUNT(kv); i++) {
        config c = {.name = "short contexts",
                    .model = {.n_embd = 64, .n_head = 2, .n_head_kv = 1, .head_dim = 32, .seed = 71},
                    .plan = {.max_team = 8, .k_split = 2, .workgroup_size = 32, .n_slice = 8,
                             .activations = activations[i], .kv_type = kv[i]},
                    .n_prompt = 28,
                    .n_step = 8};
        gpu_bed bed = gpu_bed_open(&c.model, 0);
        solo_plan *plan = open_plan(&bed, &c);
        assert_int_equal(plan->geometry.att_whole, 32); /* positions: passed at step 4 */
        assert_int_equal(plan->geometry.att_slice, 8);
        record wanted = run_program(plan, &plan->main, &c);
        expect_near_splits(&bed, &c, &wanted);
        check_factoring(plan, &c, "unfused", 0, &wanted);
        check_factoring(plan, &c, "roles", 0, &wanted);
        if (i == 1) check_factoring(plan, &c, "layer", SOLO_ASSIGNMENT_TICKET, &wanted);
        record_free(&wanted);
        solo_plan_close(plan);
        gpu_bed_close(&bed);
    }
}

/* Sums of means, norms of heads and behind projections: by subgroups against scratch memory; one matrix in place
 * of gate and up with its weights requested ahead. */
static void architectures_by_subgroups(void **state) {
    (void)state;
    static const tiny_desc *const models[] = {&gpu_gpt2, &gpu_gemma3};
    const uint32_t team = team_of_device(8);
    for (uint32_t i = 0; i < SOLO_COUNT(models); i++) {
        config c = {.name = models[i]->arch, .model = *models[i], .n_prompt = 9, .n_step = 3, .min_split = 2,
                    .plan = {.max_team = team,
                             .kv_type = i == 0 ? SOLO_KV_F32 : SOLO_KV_F16,
                             .queue = i == 0 ? 5 : 0}};
        gpu_bed bed = gpu_bed_open(&c.model, 0);
        solo_plan *plan = open_plan(&bed, &c);
        assert_true(plan->subgroups && strstr(plan->main.wgsl, "// ---- spans_subgroup.wgsl"));
        plan->subgroups = false;
        plan->geometry.desc.queue = 0;
        solo_program scratch = open_program(plan, "stages", 0);
        record wanted = run_program(plan, &scratch, &c);
        check_program(plan, &plan->main, &c, "stages by subgroups, weights ahead", &wanted);
        record_free(&wanted);
        solo_program_close(&scratch);
        solo_plan_close(plan);
        gpu_bed_close(&bed);
    }
}

/* Heads of 12 in groups of 8 that share a scale: attention by whole kv heads takes two at a time. */
static void heads_share_a_scale(void **state) {
    (void)state;
    config c = {.name = "heads of 12", .model = {.n_head = 8, .n_head_kv = 8, .head_dim = 12, .n_ctx = 96, .seed = 9},
                .plan = {.max_team = 2, .no_subgroups = true}, .n_prompt = 5, .n_step = 3, .min_split = 2};
    gpu_bed bed = gpu_bed_open(&c.model, 0);
    solo_plan *plan = open_plan(&bed, &c);
    assert_int_equal(plan->geometry.slice_heads, 2);
    record wanted = run_program(plan, &plan->main, &c);
    check_factoring(plan, &c, "roles", 0, &wanted);
    record_free(&wanted);
    solo_plan_close(plan);
    gpu_bed_close(&bed);
}

/* What a plan says of its hand-offs: how many a token, and by stage, embed first. */
static void expect_hand_offs(solo_plan *plan, const char *name, uint32_t n,
                             const char *const *wanted) {
    solo_program own = plan->main, p = open_program(plan, name, SOLO_ASSIGNMENT_TICKET);
    plan->main = p;
    solo_plan_info info = solo_plan_get_info(plan);
    assert_string_equal(info.factoring, p.factoring.name);
    plan->main = own;
    assert_int_equal(info.n_dispatch, p.n_dispatch);
    assert_int_equal(info.n_hand_off, n);
    assert_int_equal(info.n_stage, 9);
    for (uint32_t i = 0; i < info.n_stage; i++) {
        if (strcmp(info.stage[i].hand_off, wanted[i]))
            fail_msg("%s, %s: wanted %s, found %s", name, info.stage[i].name, wanted[i],
                     info.stage[i].hand_off);
    }
    solo_program_close(&p);
}

static void plans_say_how_they_hand_over(void **state) {
    (void)state;
    if (gpu_compiles_slowly()) return;
    gpu_bed bed = gpu_bed_open(&gpu_tiny, 0);
    solo_plan *plan = plan_for_steps(&bed, (solo_plan_desc){.factoring = "stages"});
    static const char d[] = "dispatch", w[] = "words", b[] = "barrier";
    const char *const roles[] = {d, d, b, d, d, d, d, d, d}, *const layer[] = {d, w, w, w, w, w, d, d, d},
                      *const single[] = {w, w, w, w, w, w, w, w, d};
    expect_hand_offs(plan, "roles", 0, roles);
    expect_hand_offs(plan, "layer", 5 * 2, layer);
    expect_hand_offs(plan, "chunk:1", 6 * 2 + 3 - 2, single);
    solo_plan_close(plan);
    gpu_bed_close(&bed);
}

/* Five layers: a first chunk with embed, one between, a short last one with logits and sample. */
static void several_dispatches_of_words(void **state) {
    (void)state;
    config c = {.name = "layers and chunks", .model = gpu_tiny, .n_prompt = 40, .n_step = 6,
                .min_block = 2, .all_forms = true};
    if (gpu_compiles_slowly()) return;
    c.model.n_layer = 5;
    gpu_bed bed = gpu_bed_open(&c.model, 0);
    solo_plan *plan = open_plan(&bed, &c);
    record wanted = run_program(plan, &plan->main, &c);
    check_ticket(plan, &c, "chunk:2", &wanted);
    check_static(plan, &c, "chunk:2", &wanted);
    check_ticket(plan, &c, "layer", &wanted);
    check_static(plan, &c, "layer", &wanted);
    record_free(&wanted);
    solo_plan_close(plan);
    gpu_bed_close(&bed);
}

/* Bursts against single steps: each token's messages, ids and rows. Of the last one, the tokens past
 * the context must leave nothing. */
static void check_bursts(const config *c, const char *const *names) {
    if (gpu_compiles_slowly()) return;
    gpu_bed bed = gpu_bed_open(&c->model, 0);
    solo_plan_desc d = c->plan;
    d.factoring = names[0], d.assignment = SOLO_ASSIGNMENT_TICKET, d.no_self_test = true;
    solo_plan *plan = plan_for_steps(&bed, d);
    expect_not_blind(c, plan);
    record wanted = run_program(plan, &plan->fallback, c);
    for (uint32_t i = 0; names[i]; i++) {
        check_ticket(plan, c, names[i], &wanted);
        if (c->all_forms) check_static(plan, c, names[i], &wanted);
    }
    record_free(&wanted);
    solo_plan_close(plan);
    gpu_bed_close(&bed);
}

static void bursts(void **state) {
    (void)state;
    static const char *const names[] = {"burst:4", "burst:2", NULL}; /* of 2: blocks stay unused */
    check_bursts(&(config){.name = "bursts, int8", .model = gpu_tiny, .n_prompt = 30, .n_step = 8,
                           .min_block = 1, .all_forms = true, .same_args = true}, names);
}

/* With norms behind projections a layer ends in another stage, which the next dispatch waits for. */
static void gemma_in_parts(void **state) {
    (void)state;
    static const char *const names[] = {"burst:3", NULL};
    config c = {.name = "gemma3, layers, chunks, bursts", .model = gpu_gemma3, .n_prompt = 9, .n_step = 6,
                .same_args = true};
    if (gpu_compiles_slowly()) return;
    gpu_bed bed = gpu_bed_open(&c.model, 0);
    solo_plan *plan = open_plan(&bed, &c);
    record wanted = run_program(plan, &plan->main, &c);
    check_ticket(plan, &c, "chunk:2", &wanted);
    check_static(plan, &c, "layer", &wanted);
    record_free(&wanted);
    solo_plan_close(plan);
    gpu_bed_close(&bed);
    check_bursts(&c, names);
}

static void bursts_past_the_context(void **state) {
    (void)state;
    static const char *const names[] = {"burst:4", NULL};
    check_bursts(&(config){.name = "bursts, f32 with int8 KV, greedy, to the context's end",
                           .model = {.n_head = 8, .n_head_kv = 4, .n_ctx = 62, .n_vocab = 333, .seed = 3},
                           .plan = {.activations = SOLO_ACTIVATIONS_F32, .kv_type = SOLO_KV_INT8,
                                    .max_team = 4, .no_subgroups = true},
                           .n_prompt = 56, .n_step = 6, .min_split = 2, .same_args = true}, names);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(int8_one_lane_a_row),
        cmocka_unit_test(f32_one_lane_a_row),
        cmocka_unit_test(wide_teams_wide_workgroup),
        cmocka_unit_test(inputs_in_chunks_f32),
        cmocka_unit_test(payload_in_several_bindings),
        cmocka_unit_test(other_forms_requested_ahead),
        cmocka_unit_test(quads_requested_ahead),
        cmocka_unit_test(weights_requested_ahead),
        cmocka_unit_test(spans_of_a_whole_token),
        cmocka_unit_test(more_parts_than_bindings),
        cmocka_unit_test(phi3_in_a_window),
        cmocka_unit_test(phi3_is_a_fused_llama),
        cmocka_unit_test(qwen2),
        cmocka_unit_test(qwen3),
        cmocka_unit_test(gpt2),
        cmocka_unit_test(gemma),
        cmocka_unit_test(subgroups_add_in_the_same_order),
        cmocka_unit_test(a_scale_a_group),
        cmocka_unit_test(attention_in_parts),
        cmocka_unit_test(short_contexts_whole),
        cmocka_unit_test(architectures_by_subgroups),
        cmocka_unit_test(heads_share_a_scale),
        cmocka_unit_test(several_dispatches_of_words),
        cmocka_unit_test(plans_say_how_they_hand_over),
        cmocka_unit_test(gemma_in_parts),
        cmocka_unit_test(bursts),
        cmocka_unit_test(bursts_past_the_context),
    };
    cmocka_set_test_filter(getenv("SOLO_TEST_FILTER")); /* NULL: all */
    return cmocka_run_group_tests(tests, gpu_open, gpu_close);
}
