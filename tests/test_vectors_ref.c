/* test_vectors_ref.c: the CPU reference on a real model against the exact evaluation that
 * tests/vectors/smollm2.txt holds, and the reader of that file.
 *
 * The plan below keeps a run near a minute and a half where the reference makes 3 tokens a second.
 * SOLO_TEST_FULL=1 runs every prompt to its end and the first window of the perplexity. */
#include "ref.h"
#include "vectors.c" /* only the reader's tests use more of it than its header */

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define LOGIT_OFF 2e-4 /* how far a logit may be off; 1e-5 was seen */
#define MARGIN 0.02    /* where the two best are closer than this, another token is no error */

#ifdef __SANITIZE_ADDRESS__
#define SLOW 1 /* about a tenth of the speed: enough to run every line */
#else
#define SLOW 0
#endif

/* The prompts that a usual run takes, and how many greedy tokens of each. "long" is there for its
 * 211 positions. */
static const struct { const char *name; uint32_t n_greedy; bool if_slow; } plan[] = {
    {"capital", 32, true}, {"code", 8, false}, {"chat", 16, false}, {"long", 4, false},
};

static solo_vectors *vectors;
static solo_model *model;

static void vectors_path(char *out, size_t room) {
    const char *source = getenv("SOLO_SOURCE");
    snprintf(out, room, "%s/tests/vectors/smollm2.txt", source && source[0] ? source : ".");
}

static int open_all(void **state) {
    (void)state;
    char path[512];
    solo_error err = {0};
    vectors_path(path, sizeof path);
    if (!solo_vectors_open(&vectors, path, &err)) {
        print_error("%s\n", err.text);
        return -1;
    }
    solo_vectors_model_path(vectors, path);
    FILE *file = fopen(path, "rb");
    if (!file) {
        print_message("UNRUN: %s is missing\n", path);
        return 0;
    }
    fclose(file);
    if (solo_model_open(&model, &(solo_model_desc){.path = path}, &err)) return 0;
    print_error("%s\n", err.text);
    return -1;
}

static int close_all(void **state) {
    (void)state;
    solo_model_close(model);
    solo_vectors_close(vectors);
    return 0;
}

static bool is_full(void) {
    const char *full = getenv("SOLO_TEST_FULL");
    return full && full[0] == '1';
}

static uint32_t n_planned(const solo_vectors_prompt *p) {
    if (is_full()) return p->n_greedy;
    for (uint32_t i = 0; i < SOLO_COUNT(plan); i++) {
        if (strcmp(plan[i].name, p->name)) continue;
        if (SLOW) return plan[i].if_slow ? 4 : 0;
        return plan[i].n_greedy;
    }
    return 0;
}

static uint32_t best_of(const float *logits, uint32_t n) {
    uint32_t best = 0;
    for (uint32_t id = 1; id < n; id++) {
        if (logits[id] > logits[best]) best = id;
    }
    return best;
}

/* Returns how many greedy tokens were compared before the first difference at a small margin. */
static uint32_t run_prompt(const solo_vectors_prompt *p, uint32_t n, float *logits) {
    solo_ref *ref;
    solo_error err;
    uint32_t id, i;
    if (!solo_ref_open(&ref, model, p->n_ids + n, &err)) fail_msg("%s", err.text);
    for (uint32_t pos = 0; pos < p->n_ids; pos++)
        solo_ref_step(ref, p->ids[pos], pos, pos + 1 == p->n_ids ? logits : NULL);
    double off = solo_vectors_logits_off(p, logits, &id);
    double stats_off = solo_vectors_stats_off(p, logits, vectors->n_vocab);
    print_message("%s: %u ids, logits off by %.2g (id %u), mean and rms by %.2g\n", p->name,
                  p->n_ids, off, id, stats_off);
    if (!(off <= LOGIT_OFF)) fail_msg("%s: logit of id %u is off by %g", p->name, id, off);
    if (!(stats_off <= LOGIT_OFF)) fail_msg("%s: mean or rms is off by %g", p->name, stats_off);
    for (i = 0; i < n; i++) {
        id = best_of(logits, vectors->n_vocab);
        if (id != p->greedy[i]) {
            if (p->margins[i] > MARGIN)
                fail_msg("%s: greedy token %u: wanted %u (margin %.4f), found %u", p->name, i,
                         p->greedy[i], p->margins[i], id);
            print_message("%s: left at token %u, margin %.4f\n", p->name, i, p->margins[i]);
            break;
        }
        if (i + 1 < n) solo_ref_step(ref, id, p->n_ids + i, logits);
    }
    solo_ref_close(ref);
    return i;
}

/* The first window's sum of -ln p; not in a usual run. */
static void perplexity(void) {
    solo_ref *ref;
    solo_error err;
    float *logits = solo_alloc(vectors->n_vocab * sizeof *logits);
    double sum = 0;
    if (!solo_ref_open(&ref, model, vectors->window, &err)) fail_msg("%s", err.text);
    for (uint32_t pos = 0; pos + 1 < vectors->window; pos++) {
        double total = 0;
        solo_ref_step(ref, vectors->text_ids[pos], pos, logits);
        float max = logits[best_of(logits, vectors->n_vocab)];
        for (uint32_t id = 0; id < vectors->n_vocab; id++)
            total += exp((double)logits[id] - (double)max);
        sum += log(total) + (double)max - (double)logits[vectors->text_ids[pos + 1]];
    }
    print_message("first window: nll %.9g, wanted %.9g\n", sum, vectors->nll[0]);
    assert_true(fabs(sum - vectors->nll[0]) < 1e-5 * vectors->nll[0]);
    free(logits);
    solo_ref_close(ref);
}

static void prompts(void **state) {
    (void)state;
    if (!model) skip();
    float *logits = solo_alloc(vectors->n_vocab * sizeof *logits);
    uint32_t n_compared = 0, n_wanted = 0, n_run = 0;
    for (uint32_t i = 0; i < vectors->n_prompt; i++) {
        const solo_vectors_prompt *p = &vectors->prompts[i];
        uint32_t n = n_planned(p);
        if (n == 0) continue;
        assert_true(n <= p->n_greedy);
        n_compared += run_prompt(p, n, logits);
        n_wanted += n;
        n_run++;
    }
    free(logits);
    print_message("%u of %u tokens compared, %u of %u prompts\n", n_compared, n_wanted, n_run,
                  vectors->n_prompt);
    assert_true(n_run >= (SLOW ? 1 : SOLO_COUNT(plan)));
    assert_true(n_compared * 5 >= n_wanted * 4);
    if (is_full()) perplexity();
}

/* ---- the reader ----------------------------------------------------------------------------- */

static void reader_reads(void **state) {
    (void)state;
    assert_int_equal(vectors->n_vocab, 49152);
    assert_int_equal(vectors->n_prompt, 6);
    double sum = 0;
    for (uint32_t i = 0; i < vectors->n_prompt; i++) {
        const solo_vectors_prompt *p = &vectors->prompts[i];
        assert_int_equal(p->n_greedy, 48);
        assert_true(p->n_logit >= 250);
        assert_int_equal(p->logit_ids[0], p->greedy[0]);
        /* the margin says how far the best stands above the second: so do the logits */
        assert_true(fabs(p->logits[0] - p->logits[1] - p->margins[0]) < 1e-6);
    }
    for (uint32_t i = 0; i < vectors->n_nll; i++) sum += vectors->nll[i];
    assert_true(fabs(exp(sum / vectors->n_scored) - vectors->ppl) < 1e-6);
    assert_int_equal(vectors->n_scored, vectors->n_text_ids - vectors->n_nll);
}

static bool reads(const char *text, size_t n, solo_error *err) {
    char path[] = "/tmp/solo_vectors_XXXXXX";
    solo_vectors *v;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *file = fdopen(fd, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
    bool ok = solo_vectors_open(&v, path, err);
    remove(path);
    if (!ok) assert_null(v);
    solo_vectors_close(v);
    return ok;
}

static void reader_refuses(void **state) {
    (void)state;
    static const char good[] = "# head\nmodel m.gguf 00 vocab 9\nprompt a 2\n 1 8\n"
                               "logits 0.5 1.5 2 3:1e-2 4:-7\ngreedy 1 3:0.25\n"
                               "text t.txt 2 3 1 2 3\nnll 2 1.5 0\nppl 1 4.48\nend\n";
    static const struct { const char *old, *new, *says; } edits[] = {
        {" 1 8", " 1 9", ":4: wanted a whole number in range"},
        {" 1 8", " 1 -1", "whole number"},
        {" 1 8", " 1 8 8", "a section's name"},
        {"3:1e-2", "3:x", "id:number"},
        {"3:1e-2", "3:nan", "id:number"},
        {"3:1e-2", "9:1", "id:number"},
        {"3:1e-2", "3", "id:number"},
        {"greedy", "gredy", "a section's name"},
        {"greedy 1 3:0.25", "", "each prompt complete"},
        {"greedy 1 3:0.25", "greedy 0", "each prompt complete"},
        {"greedy 1 3:0.25", "greedy 1 3:1 greedy 1 3:1", "once"},
        {"vocab 9", "", "vocab first"},
        {"nll 2 1.5 0", "nll 1 1.5", "an nll for each window"},
        {"nll 2 1.5", "nll 99999999999 1.5", "in range"},
    };
    solo_error err;
    size_t n = sizeof good - 1;
    if (!reads(good, n, &err)) fail_msg("%s", err.text);
    for (size_t cut = 0; cut + 1 < n; cut++) {
        if (reads(good, cut, &err)) fail_msg("a file cut after %zu bytes was read", cut);
    }
    for (uint32_t i = 0; i < SOLO_COUNT(edits); i++) {
        char text[sizeof good + 64];
        const char *spot = strstr(good, edits[i].old);
        assert_non_null(spot);
        int length = snprintf(text, sizeof text, "%.*s%s%s", (int)(spot - good), good, edits[i].new,
                              spot + strlen(edits[i].old));
        if (reads(text, (size_t)length, &err)) fail_msg("\"%s\" was read", edits[i].new);
        if (!strstr(err.text, edits[i].says)) fail_msg("\"%s\" lacks: %s", err.text, edits[i].says);
    }
    solo_vectors *v;
    assert_false(solo_vectors_open(&v, "/nonexistent/vectors.txt", &err));
    assert_int_equal(err.status, SOLO_FILE_IO);
}

static void offs_see_nan(void **state) {
    (void)state;
    const solo_vectors_prompt *p = &vectors->prompts[0];
    float *logits = solo_zalloc(vectors->n_vocab, sizeof *logits);
    uint32_t id;
    for (uint32_t i = 0; i < p->n_logit; i++) logits[p->logit_ids[i]] = (float)p->logits[i];
    assert_true(solo_vectors_logits_off(p, logits, &id) < 1e-5);
    logits[p->logit_ids[70]] += 0.5f;
    assert_true(solo_vectors_logits_off(p, logits, &id) > 0.49);
    assert_int_equal(id, p->logit_ids[70]);
    logits[p->logit_ids[3]] = NAN;
    assert_true(isinf(solo_vectors_logits_off(p, logits, &id)));
    assert_int_equal(id, p->logit_ids[3]);
    assert_true(isinf(solo_vectors_stats_off(p, logits, vectors->n_vocab)));
    free(logits);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reader_reads), cmocka_unit_test(reader_refuses),
        cmocka_unit_test(offs_see_nan), cmocka_unit_test(prompts),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
