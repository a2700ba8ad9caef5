/* generate.c: writes text from a session as it comes, and measures it. Ctrl-C ends the answer. */
#include "cli.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t n_interrupt; /* since the answer began */
static volatile sig_atomic_t is_writing;
static volatile sig_atomic_t n_patience = 1; /* presses an answer takes before the process ends */
static volatile sig_atomic_t is_kept_alive;  /* a press between answers does not end the process */

static void on_interrupt(int signal_number) {
    (void)signal_number;
    if ((!is_writing && !is_kept_alive) || n_interrupt >= n_patience) _exit(CLI_INTERRUPTED);
    n_interrupt++;
}

void cli_interrupt_install(bool keep_alive) {
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    is_kept_alive = keep_alive;
    n_patience = keep_alive ? 3 : 1;
    sigaction(SIGINT, &action, NULL);
}

/* The growing answer: ids, and text both to memory and to the reader. */
typedef struct writer {
    cli_engine      *engine;
    cli_answer      *answer;
    FILE            *out;
    FILE            *memory; /* fills answer->text */
    solo_utf8_stream utf8;
    uint32_t         cap;
} writer;

static void write_bytes(writer *w, const char *bytes, size_t n) {
    char   fixed[1024];
    size_t need = 3 * (n + 8);
    char  *text = need <= sizeof fixed ? fixed : malloc(need);
    if (!text) return;
    size_t n_text = solo_utf8_push(&w->utf8, bytes, n, text);
    fwrite(text, 1, n_text, w->memory);
    if (w->out && n_text > 0) {
        fwrite(text, 1, n_text, w->out);
        fflush(w->out);
    }
    if (text != fixed) free(text);
}

static bool write_id(writer *w, uint32_t id, solo_error *err) {
    cli_answer *a = w->answer;
    if (a->n_ids == w->cap) {
        uint32_t  cap = w->cap ? w->cap * 2 : 256;
        uint32_t *ids = realloc(a->ids, cap * sizeof *ids);
        if (!ids) {
            *err = (solo_error){SOLO_MEMORY, "no memory for the answer's tokens"};
            return false;
        }
        a->ids = ids;
        w->cap = cap;
    }
    a->ids[a->n_ids++] = id;
    size_t      n;
    const char *bytes = solo_token_bytes(w->engine->model, id, false, &n);
    if (bytes && n > 0) write_bytes(w, bytes, n);
    return true;
}

/* The loop itself. Leaves the reason for its end in answer->finish_reason. */
static bool write_tokens(writer *w, uint32_t n, double began, solo_error *err) {
    cli_answer *a = w->answer;
    double first = 0, last = 0;
    a->finish_reason = "length";
    while (n == 0 || a->n_ids < n) {
        if (n_interrupt) {
            a->finish_reason = "interrupted";
            break;
        }
        uint32_t id;
        if (!solo_session_next(w->engine->session, &id, err)) {
            if (err->status == SOLO_CONTEXT_FULL) break;
            return false;
        }
        last = cli_now();
        if (a->n_step++ == 0) first = last;
        if (solo_token_is_end(w->engine->model, id)) {
            a->finish_reason = "stop";
            break;
        }
        if (!write_id(w, id, err)) return false;
        if (w->out && ferror(w->out)) break; /* the reader is gone: told when output is finished */
    }
    uint32_t n_computed = a->n_prompt - a->n_reused;
    if (a->n_step > 0 && first > began) a->prefill_tok_s = n_computed / (first - began);
    if (a->n_step > 1 && last > first) a->decode_tok_s = (a->n_step - 1) / (last - first);
    return true;
}

bool cli_generate(cli_engine *engine, const uint32_t *ids, uint32_t n_ids, uint32_t n, FILE *out,
                  cli_answer *answer, solo_error *err) {
    *answer = (cli_answer){.n_prompt = n_ids, .finish_reason = "length"};
    *err = (solo_error){0};
    writer w = {.engine = engine, .answer = answer, .out = out};
    w.memory = open_memstream(&answer->text, &answer->n_text);
    if (!w.memory) {
        *err = (solo_error){SOLO_MEMORY, "no memory for the answer"};
        return false;
    }
    solo_session_info before = solo_session_get_info(engine->session);
    n_interrupt = 0;
    is_writing = 1;
    double began = cli_now();
    bool ok = solo_session_sync(engine->session, ids, n_ids, err);
    if (ok) {
        answer->n_reused = solo_session_get_info(engine->session).n_reused;
        ok = write_tokens(&w, n, began, err);
    }
    is_writing = 0;
    write_bytes(&w, NULL, 0);
    fclose(w.memory);
    solo_session_info after = solo_session_get_info(engine->session);
    uint64_t n_step = after.n_step - before.n_step;
    if (n_step > 0)
        answer->dispatches_per_token =
            (double)(after.n_step_dispatch - before.n_step_dispatch) / (double)n_step;
    return ok;
}

void cli_answer_clear(cli_answer *answer) {
    free(answer->ids);
    free(answer->text);
    *answer = (cli_answer){0};
}

void cli_answer_tell(const cli_answer *a, const cli_engine *engine) {
    solo_session_info info = solo_session_get_info(engine->session);
    const char *kind = engine->device_info.is_software    ? " (software adapter)"
                       : engine->device_info.is_reference ? " (the reference in C)"
                                                          : "";
    char reused[64] = "";
    if (a->n_reused > 0) snprintf(reused, sizeof reused, " (%u kept)", a->n_reused);
    char speed[32] = "", dispatches[48];
    if (a->decode_tok_s > 0) snprintf(speed, sizeof speed, " at %.1f tok/s", a->decode_tok_s);
    snprintf(dispatches, sizeof dispatches, "%.4g dispatch%s a token", a->dispatches_per_token,
             fabs(a->dispatches_per_token - 1) < 1e-9 ? "" : "es");
    fflush(stdout);
    fprintf(stderr, "prompt %u tokens%s at %.1f tok/s, generated %u%s, %s, %s, %s%s\n", a->n_prompt,
            reused, a->prefill_tok_s, a->n_ids, speed, dispatches, info.factoring,
            engine->device_info.name,
            kind);
}
