/* perplexity.c: `solo perplexity`: what a model gives each token of a text, and how far a path's
 * predictions are from the exact path's. */
#include "cli.h"

#include <math.h>
#include <stdlib.h>

typedef struct scoring {
    const uint32_t *ids;
    uint32_t n_ids, n_vocab, window;
    uint32_t n_scored, n_same;
    float   *logits, *exact; /* [n_vocab]; exact: NULL without --kl */
    double   nll, exact_nll, kl_sum, kl_max;
    json_t  *window_nll;
    double   seconds;
} scoring;

static uint32_t best_of(const float *logits, uint32_t n) {
    uint32_t best = 0;
    for (uint32_t i = 1; i < n; i++)
        if (logits[i] > logits[best]) best = i;
    return best;
}

/* ln of the sum of the exponentials, in double: -ln p(id) is this less logits[id]. */
static double log_sum(const float *logits, uint32_t n) {
    double max = (double)logits[best_of(logits, n)], sum = 0;
    for (uint32_t i = 0; i < n; i++) sum += exp((double)logits[i] - max);
    return max + log(sum);
}

/* KL(exact || path): what coding by the path's prediction costs over the exact one's. */
static void add_kl(scoring *s, uint32_t id, double path_sum) {
    double exact_sum = log_sum(s->exact, s->n_vocab), kl = 0;
    for (uint32_t i = 0; i < s->n_vocab; i++) {
        double ln_p = (double)s->exact[i] - exact_sum;
        kl += exp(ln_p) * (ln_p - ((double)s->logits[i] - path_sum));
    }
    s->exact_nll += exact_sum - (double)s->exact[id];
    s->kl_sum += kl;
    if (kl > s->kl_max) s->kl_max = kl;
    s->n_same += best_of(s->exact, s->n_vocab) == best_of(s->logits, s->n_vocab);
}

/* The logits after ids[0..n): the sync before held all but the last, so that this is one decode
 * step. */
static bool predict(solo_session *session, const uint32_t *ids, uint32_t n, float *logits) {
    solo_error err = {0};
    if (solo_session_sync(session, ids, n, &err) && solo_session_logits(session, logits, &err))
        return true;
    return cli_fail(&err), false;
}

static bool score_window(scoring *s, cli_engine *engine, solo_session *exact, uint32_t at) {
    uint32_t n = s->n_ids - at < s->window ? s->n_ids - at : s->window;
    double   nll = 0;
    for (uint32_t i = 1; i < n; i++) {
        double start = cli_now();
        if (!predict(engine->session, s->ids + at, i, s->logits)) return false;
        s->seconds += cli_now() - start;
        double sum = log_sum(s->logits, s->n_vocab);
        nll += sum - (double)s->logits[s->ids[at + i]];
        if (exact) {
            if (!predict(exact, s->ids + at, i, s->exact)) return false;
            add_kl(s, s->ids[at + i], sum);
        }
        s->n_scored++;
    }
    s->nll += nll;
    json_array_append_new(s->window_nll, json_real(nll));
    return true;
}

static int report(const scoring *s, const cli_engine *engine, const cli_options *options) {
    solo_plan_info plan = solo_plan_get_info(engine->plan);
    double n = s->n_scored, perplexity = exp(s->nll / n);
    if (!options->json) {
        printf("%.4f\n", perplexity);
        if (options->kl)
            printf("exact %.4f, KL mean %.6f max %.6f, same best %.4f\n", exp(s->exact_nll / n),
                   s->kl_sum / n, s->kl_max, s->n_same / n);
        return cli_finish_output();
    }
    json_t *o = json_pack(
        "{s:f, s:I, s:I, s:I, s:O, s:s, s:s, s:s, s:s, s:b, s:f}", "perplexity", perplexity,
        "n_token", (json_int_t)s->n_ids, "n_scored", (json_int_t)s->n_scored, "window",
        (json_int_t)s->window, "window_nll", s->window_nll, "activations", plan.activations, "kv",
        plan.kv_type, "factoring", solo_session_get_info(engine->session).factoring, "adapter",
        engine->device_info.name, "fell_back", (int)cli_engine_fell_back(engine), "tok_s",
        n / s->seconds);
    if (options->kl) {
        json_object_set_new(o, "exact_perplexity", json_real(exp(s->exact_nll / n)));
        json_object_set_new(o, "kl_mean", json_real(s->kl_sum / n));
        json_object_set_new(o, "kl_max", json_real(s->kl_max));
        json_object_set_new(o, "same_best", json_real(s->n_same / n));
    }
    return cli_print_json(o);
}

static bool read_ids(const cli_options *options, const solo_model *model, uint32_t **ids,
                     uint32_t *n_ids) {
    char      *text;
    size_t     n_text;
    solo_error err = {0};
    if (!cli_read_all(options->file, &text, &n_text)) return false;
    bool ok = solo_tokenize(model, text, n_text, true, false, ids, n_ids, &err);
    free(text);
    if (!ok) return cli_fail(&err), false;
    if (options->max_ids && *n_ids > options->max_ids) *n_ids = options->max_ids;
    if (*n_ids >= 2) return true;
    cli_fail_text("%s: wanted at least two tokens, found %u", options->file, *n_ids);
    return false;
}

/* A second plan on the same weights: the exact path. */
static bool open_exact(const cli_engine *engine, const cli_options *options, solo_plan **plan,
                       solo_session **session) {
    solo_error     err = {0};
    solo_plan_desc desc = options->plan;
    desc.weights = engine->weights;
    if (cli_wants_auto(options)) desc.factoring = NULL; /* exact whichever it is */
    desc.activations = SOLO_ACTIVATIONS_F32;
    desc.kv_type = SOLO_KV_F32;
    if (solo_plan_open(plan, &desc, &err) &&
        solo_session_open(session, &(solo_session_desc){.plan = *plan}, &err))
        return true;
    return cli_fail(&err), false;
}

static bool measure(scoring *s, cli_engine *engine, solo_session *exact) {
    s->n_vocab = solo_model_get_info(engine->model).n_vocab;
    s->logits = malloc(s->n_vocab * sizeof *s->logits);
    s->exact = malloc(s->n_vocab * sizeof *s->exact);
    if (!s->logits || !s->exact)
        return cli_fail_text("no memory for %u logits", s->n_vocab), false;
    for (uint32_t at = 0; at + 1 < s->n_ids; at += s->window)
        if (!score_window(s, engine, exact, at)) return false;
    return true;
}

int cli_perplexity(const cli_options *options) {
    cli_engine    engine = {0};
    cli_options   o = *options;
    solo_plan    *exact_plan = NULL;
    solo_session *exact = NULL;
    uint32_t     *ids = NULL;
    scoring       s = {.window = o.window, .window_nll = json_array()};
    int           code = CLI_FAILED;
    cli_interrupt_install(false);
    if (o.plan.n_ctx == 0) o.plan.n_ctx = o.window;
    if (o.plan.n_ctx < o.window) {
        code = cli_fail_text("--window: wanted at most --ctx %u, found %u", o.plan.n_ctx, o.window);
        goto done;
    }
    if (!cli_engine_open_model(&engine, &o) || !read_ids(&o, engine.model, &ids, &s.n_ids)) goto done;
    s.ids = ids;
    if (!cli_engine_open_session(&engine, &o)) goto done;
    if (o.kl && !open_exact(&engine, &o, &exact_plan, &exact)) goto done;
    if (!measure(&s, &engine, exact)) goto done;
    cli_engine_tell_fallback(&engine);
    code = report(&s, &engine, &o);
done:
    solo_session_close(exact);
    solo_plan_close(exact_plan);
    json_decref(s.window_nll);
    free(s.logits);
    free(s.exact);
    free(ids);
    cli_engine_close(&engine);
    return code;
}
