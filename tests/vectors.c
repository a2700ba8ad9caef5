/* vectors.c: the reader of a file in tests/vectors. A file that breaks off, or says anything twice
 * or out of range, is refused with its line: a short read must not pass as a short test. */
#include "vectors.h"

#include <errno.h>
#include <math.h>

#define WORD_MAX 256

typedef struct reader {
    FILE       *file;
    const char *path;
    uint32_t    line;
    char        word[WORD_MAX];
    solo_error *err;
} reader;

static bool refuse(reader *r, const char *wanted) {
    return solo_fail(r->err, SOLO_FILE_FORMAT, "%s:%u: wanted %s, found \"%s\"", r->path, r->line,
                     wanted, r->word);
}

static bool next_word(reader *r, const char *wanted) {
    size_t n = 0;
    int c;
    if (r->line == 0) r->line = 1;
    while ((c = fgetc(r->file)) != EOF) {
        if (c == '#') {
            while ((c = fgetc(r->file)) != EOF && c != '\n') {}
        }
        if (c == ' ' || c == '\n' || c == EOF) {
            if (n > 0) {
                if (c == '\n') ungetc(c, r->file); /* its line is counted with the next word */
                break;
            }
            if (c == '\n') r->line++;
            if (c == EOF) break;
            continue;
        }
        if (n + 1 < WORD_MAX) r->word[n++] = (char)c;
    }
    r->word[n] = 0;
    return n > 0 || refuse(r, wanted);
}

static bool parse_u32(const char *at, char end, const char **after, uint32_t *out) {
    char *stop;
    if (*at < '0' || *at > '9') return false;
    errno = 0;
    unsigned long long n = strtoull(at, &stop, 10);
    if (errno || n > UINT32_MAX || *stop != end) return false;
    *after = stop + 1;
    *out = (uint32_t)n;
    return true;
}

static bool parse_f64(const char *at, double *out) {
    char *stop;
    *out = strtod(at, &stop);
    return stop != at && *stop == 0 && isfinite(*out);
}

static bool read_u32(reader *r, uint32_t max, uint32_t *out) {
    const char *after;
    if (!next_word(r, "a whole number")) return false;
    if (!parse_u32(r->word, 0, &after, out) || *out > max)
        return refuse(r, "a whole number in range");
    return true;
}

static bool read_f64(reader *r, double *out) {
    return next_word(r, "a number") && (parse_f64(r->word, out) || refuse(r, "a number"));
}

static bool read_text(reader *r, char *out, size_t room) {
    if (!next_word(r, "a word")) return false;
    if (strlen(r->word) >= room) return refuse(r, "a shorter word");
    memcpy(out, r->word, strlen(r->word) + 1);
    return true;
}

static bool read_ids(reader *r, uint32_t n_vocab, uint32_t **ids, uint32_t *n) {
    if (*ids) return refuse(r, "this once");
    if (!read_u32(r, 1u << 20, n)) return false;
    *ids = solo_zalloc(*n + 1, sizeof **ids);
    for (uint32_t i = 0; i < *n; i++) {
        if (!read_u32(r, n_vocab - 1, &(*ids)[i])) return false;
    }
    return true;
}

/* n, then n of id:number */
static bool read_pairs(reader *r, uint32_t n_vocab, uint32_t **ids, double **numbers, uint32_t *n) {
    if (*ids) return refuse(r, "this once");
    if (!read_u32(r, 1u << 20, n)) return false;
    *ids = solo_zalloc(*n + 1, sizeof **ids);
    *numbers = solo_zalloc(*n + 1, sizeof **numbers);
    for (uint32_t i = 0; i < *n; i++) {
        const char *after;
        if (!next_word(r, "id:number")) return false;
        if (!parse_u32(r->word, ':', &after, &(*ids)[i]) || (*ids)[i] >= n_vocab ||
            !parse_f64(after, &(*numbers)[i]))
            return refuse(r, "id:number");
    }
    return true;
}

static bool read_nll(reader *r, solo_vectors *v) {
    if (v->nll) return refuse(r, "this once");
    if (!read_u32(r, 1u << 20, &v->n_nll)) return false;
    v->nll = solo_zalloc(v->n_nll + 1, sizeof *v->nll);
    for (uint32_t i = 0; i < v->n_nll; i++) {
        if (!read_f64(r, &v->nll[i])) return false;
    }
    return true;
}

static bool read_section(reader *r, solo_vectors *v) {
    solo_vectors_prompt *p = v->n_prompt ? &v->prompts[v->n_prompt - 1] : NULL;
    const char *what = r->word;
    if (!strcmp(what, "model"))
        return read_text(r, v->model, sizeof v->model) && read_text(r, v->sha256, sizeof v->sha256);
    if (!strcmp(what, "vocab")) return read_u32(r, 1u << 24, &v->n_vocab);
    if (v->n_vocab == 0) return refuse(r, "model and vocab first");
    if (!strcmp(what, "prompt")) {
        if (v->n_prompt == SOLO_COUNT(v->prompts)) return refuse(r, "fewer prompts");
        p = &v->prompts[v->n_prompt++];
        return read_text(r, p->name, sizeof p->name) &&
               read_ids(r, v->n_vocab, &p->ids, &p->n_ids);
    }
    if (p && !strcmp(what, "logits"))
        return read_f64(r, &p->mean) && read_f64(r, &p->rms) &&
               read_pairs(r, v->n_vocab, &p->logit_ids, &p->logits, &p->n_logit);
    if (p && !strcmp(what, "greedy"))
        return read_pairs(r, v->n_vocab, &p->greedy, &p->margins, &p->n_greedy);
    if (!strcmp(what, "text"))
        return read_text(r, v->text, sizeof v->text) && read_u32(r, 1u << 20, &v->window) &&
               read_ids(r, v->n_vocab, &v->text_ids, &v->n_text_ids);
    if (!strcmp(what, "nll")) return read_nll(r, v);
    if (!strcmp(what, "ppl")) return read_u32(r, 1u << 20, &v->n_scored) && read_f64(r, &v->ppl);
    return refuse(r, "a section's name");
}

static bool read_all(reader *r, solo_vectors *v) {
    while (next_word(r, "end")) {
        if (strcmp(r->word, "end")) {
            if (!read_section(r, v)) return false;
            continue;
        }
        for (uint32_t i = 0; i < v->n_prompt; i++) {
            const solo_vectors_prompt *p = &v->prompts[i];
            if (!p->n_ids || !p->n_logit || !p->n_greedy) return refuse(r, "each prompt complete");
        }
        if (!v->model[0] || !v->n_prompt) return refuse(r, "a model and a prompt");
        if (v->n_text_ids && (v->window < 2 || !v->n_scored ||
                              v->n_nll != (v->n_text_ids + v->window - 1) / v->window))
            return refuse(r, "an nll for each window");
        return true;
    }
    return false;
}

bool solo_vectors_open(solo_vectors **out, const char *path, solo_error *err) {
    reader r = {.path = path, .err = err};
    *out = NULL;
    r.file = fopen(path, "r");
    if (!r.file)
        return solo_fail(err, SOLO_FILE_IO, "%s: wanted to read it, found: %s", path,
                         strerror(errno));
    solo_vectors *v = solo_zalloc(1, sizeof *v);
    bool ok = read_all(&r, v);
    fclose(r.file);
    if (!ok) {
        solo_vectors_close(v);
        return false;
    }
    *out = v;
    return true;
}

void solo_vectors_close(solo_vectors *v) {
    if (!v) return;
    for (uint32_t i = 0; i < v->n_prompt; i++) {
        free(v->prompts[i].ids);
        free(v->prompts[i].logit_ids);
        free(v->prompts[i].logits);
        free(v->prompts[i].greedy);
        free(v->prompts[i].margins);
    }
    free(v->text_ids);
    free(v->nll);
    free(v);
}

double solo_vectors_logits_off(const solo_vectors_prompt *p, const float *logits, uint32_t *id) {
    double worst = 0;
    *id = p->logit_ids[0];
    for (uint32_t i = 0; i < p->n_logit; i++) {
        double off = fabs((double)logits[p->logit_ids[i]] - p->logits[i]);
        if (isnan(off)) off = INFINITY;
        if (off > worst) {
            worst = off;
            *id = p->logit_ids[i];
        }
    }
    return worst;
}

double solo_vectors_stats_off(const solo_vectors_prompt *p, const float *logits, uint32_t n_vocab) {
    double sum = 0, squares = 0;
    for (uint32_t i = 0; i < n_vocab; i++) {
        sum += (double)logits[i];
        squares += (double)logits[i] * (double)logits[i];
    }
    double mean_off = fabs(sum / n_vocab - p->mean);
    double rms_off = fabs(sqrt(squares / n_vocab) - p->rms);
    if (isnan(mean_off) || isnan(rms_off)) return INFINITY;
    return mean_off > rms_off ? mean_off : rms_off;
}

void solo_vectors_model_path(const solo_vectors *v, char *out) {
    const char *folder = getenv("SOLO_MODELS");
    snprintf(out, 512, "%s/%s", folder && folder[0] ? folder : "models", v->model);
}
