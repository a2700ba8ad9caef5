/* show.c: `solo info`, `solo devices`, `solo explain`: tables for people, --json for machines. */
#include "cli.h"

#include <inttypes.h>
#include <string.h>

static const char *size_text(uint64_t n_bytes, char text[32]) {
    if (n_bytes >= 1u << 30) snprintf(text, 32, "%.2f GiB", (double)n_bytes / (1u << 30));
    else if (n_bytes >= 1u << 20) snprintf(text, 32, "%.1f MiB", (double)n_bytes / (1u << 20));
    else if (n_bytes >= 1u << 10) snprintf(text, 32, "%.1f KiB", (double)n_bytes / (1u << 10));
    else snprintf(text, 32, "%" PRIu64 " B", n_bytes);
    return text;
}

/* ---- info --------------------------------------------------------------------------------- */

static void add_id(json_t *object, const char *key, int64_t id) {
    json_object_set_new(object, key, id < 0 ? json_null() : json_integer(id));
}

static json_t *info_json(const solo_model_info *m) {
    json_t *o = json_object();
    cli_json_add_text(o, "name", m->name);
    cli_json_add_text(o, "arch", m->arch);
    cli_json_add_text(o, "tokenizer", m->tokenizer);
    cli_json_add_text(o, "chat_family", m->chat_family);
    cli_json_add_text(o, "file_type", m->file_type);
    cli_json_add_count(o, "n_layer", m->n_layer);
    cli_json_add_count(o, "n_embd", m->n_embd);
    cli_json_add_count(o, "n_head", m->n_head);
    cli_json_add_count(o, "n_head_kv", m->n_head_kv);
    cli_json_add_count(o, "head_dim", m->head_dim);
    cli_json_add_count(o, "n_ff", m->n_ff);
    cli_json_add_count(o, "n_vocab", m->n_vocab);
    cli_json_add_count(o, "n_ctx_train", m->n_ctx_train);
    cli_json_add_count(o, "attn_window", m->attn_window);
    cli_json_add_count(o, "attn_global_every", m->attn_global_every);
    cli_json_add_count(o, "n_param", m->n_param);
    cli_json_add_count(o, "n_tensor", m->n_tensor);
    cli_json_add_count(o, "n_bytes", m->n_bytes);
    json_object_set_new(o, "rope_base", json_real((double)m->rope_base));
    cli_json_add_count(o, "rope_dim", m->rope_dim);
    cli_json_add_text(o, "rope_factors", m->rope_factors);
    json_object_set_new(o, "rope_attn_factor", json_real((double)m->rope_attn_factor));
    cli_json_add_count(o, "n_ctx_orig", m->n_ctx_orig);
    json_object_set_new(o, "norm_eps", json_real((double)m->norm_eps));
    cli_json_add_flag(o, "tied", m->tied);
    add_id(o, "bos", m->bos);
    add_id(o, "eos", m->eos);
    return o;
}

static void print_info(const solo_model *model, const solo_model_info *m) {
    char size[32];
    size_t n;
    printf("name          %s\n", m->name);
    printf("architecture  %s\n", m->arch);
    printf("parameters    %.1f M in %" PRIu64 " tensors, %s, mostly %s\n", (double)m->n_param / 1e6,
           m->n_tensor, size_text(m->n_bytes, size), m->file_type);
    printf("layers        %" PRIu32 "\n", m->n_layer);
    printf("width         %" PRIu32 ", feed-forward %" PRIu32 "\n", m->n_embd, m->n_ff);
    printf("heads         %" PRIu32 " of %" PRIu32 ", sharing %" PRIu32 " for keys and values\n",
           m->n_head, m->head_dim, m->n_head_kv);
    printf("context       %" PRIu32 " in training", m->n_ctx_train);
    if (m->attn_window) printf(", a token attends to its last %" PRIu32, m->attn_window);
    if (m->attn_global_every) printf(", in each %" PRIu32 "th layer to all", m->attn_global_every);
    printf("\nrope          base %g, turns %" PRIu32 " of %" PRIu32, (double)m->rope_base, m->rope_dim,
           m->head_dim);
    if (strcmp(m->rope_factors, "all") == 0) printf(", with factors");
    if (strcmp(m->rope_factors, "yarn") == 0) printf(", YaRN from %u", m->n_ctx_orig);
    if (strcmp(m->rope_factors, "by context") == 0)
        printf(", factors for contexts up to %" PRIu32 " and for longer ones", m->n_ctx_orig);
    putchar('\n');
    printf("norm epsilon  %g\n", (double)m->norm_eps);
    printf("vocabulary    %" PRIu32 ", tokenizer %s, output %s\n", m->n_vocab, m->tokenizer,
           m->tied ? "shares the embedding" : "of its own");
    const struct { const char *label; int64_t id; } marks[] = {{"begin", m->bos}, {"end", m->eos}};
    for (size_t i = 0; i < 2; i++) {
        if (marks[i].id < 0) {
            printf("%-13s none\n", marks[i].label);
            continue;
        }
        const char *text = solo_token_bytes(model, (uint32_t)marks[i].id, true, &n);
        printf("%-13s %" PRId64 " \"%.*s\"\n", marks[i].label, marks[i].id, (int)n,
               text ? text : "");
    }
    printf("chat          %s\n", m->chat_family);
}

int cli_info(const cli_options *options) {
    cli_engine engine = {0};
    int code = CLI_FAILED;
    if (cli_engine_open_model(&engine, options)) {
        solo_model_info info = solo_model_get_info(engine.model);
        if (options->json) {
            code = cli_print_json(info_json(&info));
        } else {
            print_info(engine.model, &info);
            code = cli_finish_output();
        }
    }
    cli_engine_close(&engine);
    return code;
}

/* ---- devices ------------------------------------------------------------------------------ */

enum { N_DEVICE_MAX = 32 };

static json_t *device_json(uint32_t index, const solo_device_info *d) {
    json_t *o = cli_device_json(d);
    cli_json_add_count(o, "index", index);
    return o;
}

static void print_device(uint32_t index, const solo_device_info *d) {
    char subgroups[32] = "no", buffer[32] = "", binding[32] = "";
    if (d->has_subgroups && d->subgroup_min == d->subgroup_max)
        snprintf(subgroups, sizeof subgroups, "%" PRIu32, d->subgroup_min);
    else if (d->has_subgroups)
        snprintf(subgroups, sizeof subgroups, "%" PRIu32 "-%" PRIu32, d->subgroup_min,
                 d->subgroup_max);
    if (!d->is_reference) {
        size_text(d->max_buffer_bytes, buffer);
        size_text(d->max_binding_bytes, binding);
    }
    printf("%-5" PRIu32 " %-9s %-8s %-9s %-3s %9" PRIu32 " %10s %10s  %s\n", index, cli_device_kind(d),
           d->backend, subgroups, d->has_f16 ? "yes" : "no", d->max_workgroup_size, buffer, binding,
           d->name);
}

int cli_devices(const cli_options *options) {
    static solo_device_info devices[N_DEVICE_MAX];
    solo_error err = {0};
    uint32_t n = solo_device_list(devices, N_DEVICE_MAX, &err);
    if (n == 0) return cli_fail(&err);
    if (n > N_DEVICE_MAX) n = N_DEVICE_MAX;
    if (options->json) {
        json_t *list = json_array();
        for (uint32_t i = 0; i < n; i++) json_array_append_new(list, device_json(i, &devices[i]));
        return cli_print_json(list);
    }
    printf("%-5s %-9s %-8s %-9s %-3s %9s %10s %10s  %s\n", "index", "kind", "backend", "subgroups",
           "f16", "workgroup", "buffer", "binding", "name");
    for (uint32_t i = 0; i < n; i++) print_device(i, &devices[i]);
    return cli_finish_output();
}

/* ---- explain ------------------------------------------------------------------------------ */

static json_t *stage_json(const solo_stage_info *s) {
    json_t *o = json_object();
    cli_json_add_text(o, "name", s->name);
    cli_json_add_text(o, "scope", s->scope);
    cli_json_add_count(o, "n_tile", s->n_tile);
    cli_json_add_count(o, "tile_rows", s->tile_rows);
    cli_json_add_count(o, "team", s->team);
    cli_json_add_count(o, "weight_bytes", s->weight_bytes);
    cli_json_add_text(o, "hand_off", s->hand_off);
    return o;
}

static json_t *plan_json(const cli_engine *engine, const solo_plan_info *p) {
    json_t *o = json_object(), *stages = json_array();
    for (uint32_t i = 0; i < p->n_stage; i++)
        json_array_append_new(stages, stage_json(&p->stage[i]));
    cli_json_add_text(o, "adapter", engine->device_info.name);
    cli_json_add_text(o, "factoring", p->factoring);
    cli_json_add_text(o, "assignment", p->assignment);
    cli_json_add_text(o, "activations", p->activations);
    cli_json_add_text(o, "kv_type", p->kv_type);
    cli_json_add_text(o, "reduce", p->reduce);
    cli_json_add_count(o, "n_dispatch", p->n_dispatch);
    cli_json_add_count(o, "n_token", p->n_token);
    cli_json_add_count(o, "n_workgroup", p->n_workgroup);
    cli_json_add_count(o, "workgroup_size", p->workgroup_size);
    cli_json_add_count(o, "workgroup_bytes", p->workgroup_bytes);
    cli_json_add_count(o, "n_ctx", p->n_ctx);
    cli_json_add_count(o, "n_hand_off", p->n_hand_off);
    cli_json_add_count(o, "n_ctx_whole", p->n_ctx_whole);
    cli_json_add_count(o, "weight_bytes", p->weight_bytes);
    cli_json_add_count(o, "kv_bytes_per_pos", p->kv_bytes_per_pos);
    cli_json_add_count(o, "attn_window", p->attn_window);
    cli_json_add_count(o, "attn_global_every", p->attn_global_every);
    cli_json_add_count(o, "weights_buffer_bytes", p->weights_buffer_bytes);
    cli_json_add_count(o, "kv_buffer_bytes", p->kv_buffer_bytes);
    cli_json_add_count(o, "message_buffer_bytes", p->message_buffer_bytes);
    cli_json_add_count(o, "prefill_buffer_bytes", p->prefill_buffer_bytes);
    json_object_set_new(o, "compile_seconds", json_real(p->compile_seconds));
    json_object_set_new(o, "self_test_seconds", json_real(p->self_test_seconds));
    json_object_set_new(o, "stages", stages);
    if (engine->tuning.is_set) json_object_set_new(o, "auto", cli_tuning_json(&engine->tuning));
    cli_json_add_text(o, "note", p->note);
    return o;
}

static void print_plan(const cli_engine *engine, const solo_plan_info *p) {
    char a[32], b[32], c[32], d[32];
    printf("adapter        %s%s\n", engine->device_info.name,
           engine->device_info.is_software ? " (software adapter)" : "");
    char tokens[32] = "a token";
    if (p->n_token > 1) snprintf(tokens, sizeof tokens, "for %" PRIu32 " tokens", p->n_token);
    printf("factoring      %s: %" PRIu32 " dispatch%s %s, %" PRIu32
           " hand-offs inside dispatches a token\n",
           p->factoring, p->n_dispatch, p->n_dispatch == 1 ? "" : "es", tokens, p->n_hand_off);
    if (p->n_workgroup)
        printf("geometry       %" PRIu32 " workgroups of %" PRIu32
               " lanes, %s of workgroup memory, %s assignment\n",
               p->n_workgroup, p->workgroup_size, size_text(p->workgroup_bytes, a), p->assignment);
    printf("numbers        %s activations, %s KV cache, reduction by %s\n", p->activations,
           p->kv_type, p->reduce);
    printf("context        %" PRIu32 " tokens", p->n_ctx);
    if (p->n_ctx_whole) printf("; up to %" PRIu32 " are attended to whole, more by splits", p->n_ctx_whole);
    putchar('\n');
    printf("read a token   %s of weights, %s of KV for each earlier position",
           size_text(p->weight_bytes, a), size_text(p->kv_bytes_per_pos, b));
    if (p->attn_window) printf(", at most %" PRIu32, p->attn_window - 1);
    if (p->attn_global_every) printf(" but for each %" PRIu32 "th layer", p->attn_global_every);
    putchar('\n');
    printf("buffers        weights %s, KV %s, messages %s, prefill %s\n",
           size_text(p->weights_buffer_bytes, a), size_text(p->kv_buffer_bytes, b),
           size_text(p->message_buffer_bytes, c), size_text(p->prefill_buffer_bytes, d));
    if (p->compile_seconds > 0) printf("opened         pipelines compiled in %.2f s", p->compile_seconds);
    if (p->self_test_seconds > 0) printf(", hand-off tested in %.3f s", p->self_test_seconds);
    if (p->compile_seconds > 0) putchar('\n');
    if (p->note[0]) printf("note           %s\n", p->note);
    if (p->n_stage)
        printf("\n%-10s %-6s %7s %10s %5s %13s  %s\n", "stage", "per", "tiles", "rows/tile", "team",
               "weights/token", "hand-off");
    for (uint32_t i = 0; i < p->n_stage; i++) {
        const solo_stage_info *s = &p->stage[i];
        printf("%-10s %-6s %7" PRIu32 " %10" PRIu32 " %5" PRIu32 " %13s  %s\n", s->name, s->scope,
               s->n_tile, s->tile_rows, s->team, size_text(s->weight_bytes, a), s->hand_off);
    }
    if (engine->tuning.is_set) cli_tuning_print(&engine->tuning);
    fputs("\nfactorings    ", stdout);
    for (const char *const *name = solo_factoring_names(); *name; name++) printf(" %s", *name);
    puts(" auto");
}

int cli_explain(const cli_options *options) {
    cli_engine engine = {0};
    int code = CLI_FAILED;
    if (cli_engine_open_plan(&engine, options)) {
        solo_plan_info info = solo_plan_get_info(engine.plan);
        if (options->print_wgsl) {
            const char *wgsl = solo_plan_wgsl(engine.plan);
            if (wgsl && wgsl[0]) {
                fputs(wgsl, stdout);
                code = cli_finish_output();
            } else {
                code = cli_fail_text("the device '%s' runs no WGSL", engine.device_info.name);
            }
        } else if (options->json) {
            code = cli_print_json(plan_json(&engine, &info));
        } else {
            print_plan(&engine, &info);
            code = cli_finish_output();
        }
    }
    cli_engine_close(&engine);
    return code;
}
