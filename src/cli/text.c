/* text.c: `solo tokenize`, `detokenize`, `logits`: a model's view of a text. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

int cli_tokenize(const cli_options *options) {
    cli_engine engine = {0};
    solo_error err = {0};
    char      *text = NULL;
    size_t     n_text;
    uint32_t  *ids = NULL, n_ids = 0;
    int        code = CLI_FAILED;
    if (cli_engine_open_model(&engine, options) && cli_read_all(NULL, &text, &n_text)) {
        if (solo_tokenize(engine.model, text, n_text, options->bos, options->special, &ids, &n_ids,
                          &err)) {
            json_t *array = json_array();
            for (uint32_t i = 0; i < n_ids; i++) json_array_append_new(array, json_integer(ids[i]));
            code = cli_print_json(array);
        } else {
            code = cli_fail(&err);
        }
    }
    free(ids);
    free(text);
    cli_engine_close(&engine);
    return code;
}

int cli_detokenize(const cli_options *options) {
    cli_engine engine = {0};
    solo_error err = {0};
    char      *text = NULL, *out = NULL;
    size_t     n_text, n_out;
    uint32_t  *ids = NULL, n_ids;
    int        code = CLI_FAILED;
    if (cli_engine_open_model(&engine, options) && cli_read_all(NULL, &text, &n_text) &&
        cli_parse_ids(engine.model, text, n_text, "standard input", &ids, &n_ids)) {
        if (solo_detokenize(engine.model, ids, n_ids, options->special, &out, &n_out, &err)) {
            fwrite(out, 1, n_out, stdout);
            code = cli_finish_output();
        } else {
            code = cli_fail(&err);
        }
    }
    free(out);
    free(ids);
    free(text);
    cli_engine_close(&engine);
    return code;
}

/* ---- logits ------------------------------------------------------------------------------- */

static bool read_ids(const cli_options *options, const solo_model *model, uint32_t **ids,
                     uint32_t *n_ids) {
    char      *text;
    size_t     n_text;
    solo_error err = {0};
    const char *where = options->prompt_file ? options->prompt_file : "standard input";
    if (!cli_read_all(options->prompt_file, &text, &n_text)) return false;
    bool ok = options->ids ? cli_parse_ids(model, text, n_text, where, ids, n_ids)
                           : solo_tokenize(model, text, n_text, true, true, ids, n_ids, &err);
    if (!ok && !options->ids) cli_fail(&err);
    free(text);
    if (ok && *n_ids == 0) {
        cli_fail_text("%s: wanted at least one token, found none", where);
        ok = false;
    }
    return ok;
}

/* The index of the largest logit that comes after (last, last_id) in falling order, or n. */
static uint32_t next_largest(const float *logits, uint32_t n, float last, uint32_t last_id,
                             bool is_first) {
    uint32_t best = n;
    for (uint32_t i = 0; i < n; i++) {
        bool after = is_first || logits[i] < last || (!(logits[i] > last) && i > last_id);
        if (after && (best == n || logits[i] > logits[best])) best = i;
    }
    return best;
}

static json_t *top_json(const solo_model *model, const float *logits, uint32_t n_vocab,
                        uint32_t n_top) {
    json_t  *top = json_array();
    uint32_t id = 0;
    for (uint32_t i = 0; i < n_top && i < n_vocab; i++) {
        id = next_largest(logits, n_vocab, logits[id], id, i == 0);
        if (id == n_vocab) break;
        size_t      n;
        const char *bytes = solo_token_bytes(model, id, true, &n);
        json_array_append_new(top, json_pack("{s:I, s:o, s:f}", "id", (json_int_t)id, "text",
                                             cli_json_text(bytes, bytes ? n : 0), "logit",
                                             (double)logits[id]));
    }
    return top;
}

int cli_logits(const cli_options *options) {
    cli_engine  engine = {0};
    cli_options exact = *options;
    solo_error  err = {0};
    uint32_t   *ids = NULL, n_ids = 0;
    float      *logits = NULL;
    int         code = CLI_FAILED;
    exact.plan.activations = SOLO_ACTIVATIONS_F32;
    exact.plan.kv_type = SOLO_KV_F32;
    if (cli_engine_open_model(&engine, &exact) && read_ids(&exact, engine.model, &ids, &n_ids) &&
        cli_engine_open_session(&engine, &exact)) {
        uint32_t n_vocab = solo_model_get_info(engine.model).n_vocab;
        logits = malloc(n_vocab * sizeof *logits);
        if (!logits) code = cli_fail_text("no memory for %u logits", n_vocab);
        else if (!solo_session_sync(engine.session, ids, n_ids, &err) ||
                 !solo_session_logits(engine.session, logits, &err)) code = cli_fail(&err);
        else {
            cli_engine_tell_fallback(&engine);
            code = cli_print_json(json_pack("{s:I, s:o}", "n_prompt", (json_int_t)n_ids, "top",
                                            top_json(engine.model, logits, n_vocab, exact.top)));
        }
    }
    free(logits);
    free(ids);
    cli_engine_close(&engine);
    return code;
}
