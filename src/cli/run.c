/* run.c: `solo run`: a prompt in, text out. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The prompt as given, before the chat template. */
static bool read_prompt(const cli_options *options, char **text, size_t *n_text) {
    if (options->prompt) {
        *n_text = strlen(options->prompt);
        *text = strdup(options->prompt);
        return *text != NULL;
    }
    if (!options->prompt_file && isatty(STDIN_FILENO))
        cli_note("type the prompt; Ctrl-D on a line of its own ends it");
    if (!cli_read_all(options->prompt_file, text, n_text)) return false;
    if (!options->raw && *n_text > 0 && (*text)[*n_text - 1] == '\n') (*text)[--*n_text] = '\0';
    return true;
}

/* Puts *text through the chat template. */
static bool apply_template(const cli_options *options, const solo_model *model, char **text,
                           size_t *n_text) {
    if (strlen(*text) != *n_text) {
        cli_fail_text("the prompt: wanted text, found a zero byte at %zu; --raw takes it",
                      strlen(*text));
        return false;
    }
    solo_message messages[2];
    uint32_t     n = 0;
    if (options->system) messages[n++] = (solo_message){"system", options->system};
    messages[n++] = (solo_message){"user", *text};
    char      *rendered;
    solo_error err = {0};
    if (!cli_render(options, model, messages, n, &rendered, &err))
        return cli_fail_text("%s; --raw applies no template", err.text), false;
    free(*text);
    *text = rendered;
    *n_text = strlen(rendered);
    return true;
}

static bool prompt_ids(const cli_options *options, const solo_model *model, uint32_t **ids,
                       uint32_t *n_ids) {
    char  *text = NULL;
    size_t n_text = 0;
    solo_error err = {0};
    bool ok = read_prompt(options, &text, &n_text) &&
              (options->raw || apply_template(options, model, &text, &n_text));
    if (ok && !solo_tokenize(model, text, n_text, true, true, ids, n_ids, &err)) {
        cli_fail(&err);
        ok = false;
    }
    free(text);
    if (ok && *n_ids == 0) {
        cli_fail_text("the prompt is empty: wanted at least one token");
        ok = false;
    }
    return ok;
}

static int print_object(const cli_engine *engine, const cli_answer *answer) {
    solo_session_info info = solo_session_get_info(engine->session);
    json_t *tokens = json_array();
    for (uint32_t i = 0; i < answer->n_ids; i++)
        json_array_append_new(tokens, json_integer(answer->ids[i]));
    return cli_print_json(json_pack(
        "{s:I, s:o, s:o, s:s, s:s, s:f, s:f, s:f, s:s, s:b}",
        "prompt_tokens", (json_int_t)answer->n_prompt,
        "tokens", tokens,
        "text", cli_json_text(answer->text, answer->n_text),
        "finish_reason", answer->finish_reason,
        "factoring", info.factoring,
        "dispatches_per_token", answer->dispatches_per_token,
        "prefill_tok_s", answer->prefill_tok_s,
        "decode_tok_s", answer->decode_tok_s,
        "adapter", engine->device_info.name,
        "fell_back", (int)cli_engine_fell_back(engine)));
}

static int write_answer(cli_engine *engine, const cli_options *options, const uint32_t *ids,
                        uint32_t n_ids) {
    solo_error err;
    cli_answer answer;
    FILE *out = options->json ? NULL : stdout;
    bool ok =
        cli_generate(engine, ids, n_ids, options->has_n ? options->n : 256, out, &answer, &err);
    int   code = CLI_OK;
    if (out && answer.n_text > 0) fputc('\n', out);
    cli_engine_tell_fallback(engine);
    if (!ok) {
        code = cli_fail(&err);
    } else {
        code = options->json ? print_object(engine, &answer) : cli_finish_output();
        if (!options->json) cli_answer_tell(&answer, engine);
        if (code == CLI_OK && strcmp(answer.finish_reason, "interrupted") == 0)
            code = CLI_INTERRUPTED;
    }
    cli_answer_clear(&answer);
    return code;
}

int cli_run(const cli_options *options) {
    cli_engine engine = {0};
    uint32_t  *ids = NULL;
    uint32_t   n_ids = 0;
    int        code = CLI_FAILED;
    cli_interrupt_install(false);
    if (options->print_wgsl) {
        code = cli_explain(options);
    } else if (cli_engine_open_model(&engine, options) &&
               prompt_ids(options, engine.model, &ids, &n_ids) &&
               cli_engine_open_session(&engine, options)) {
        code = write_answer(&engine, options, ids, n_ids);
    }
    free(ids);
    cli_engine_close(&engine);
    return code;
}
