/* vectors.h: a file in tests/vectors, read for C tests: what an exact evaluation of a model says
 * (see the head of such a file). Everything is owned by the solo_vectors. */
#ifndef SOLO_TESTS_VECTORS_H
#define SOLO_TESTS_VECTORS_H

#include "base.h"

typedef struct solo_vectors_prompt {
    char      name[32];
    uint32_t *ids;       /* [n_ids] */
    uint32_t  n_ids;
    double    mean, rms; /* over the logits of all ids, after the prompt's last id */
    uint32_t *logit_ids; /* [n_logit] the 64 largest first, then a spread over the vocabulary */
    double   *logits;    /* [n_logit] */
    uint32_t  n_logit;
    uint32_t *greedy;    /* [n_greedy] the greedy continuation */
    double   *margins;   /* [n_greedy] the best logit less the second, where greedy[i] was chosen */
    uint32_t  n_greedy;
} solo_vectors_prompt;

typedef struct solo_vectors {
    char     model[128], sha256[65]; /* the model's file name and hash */
    uint32_t n_vocab;
    uint32_t n_prompt;
    solo_vectors_prompt prompts[16];
    char      text[128];     /* path of the perplexity's text */
    uint32_t *text_ids;      /* [n_text_ids] */
    uint32_t  n_text_ids, window;
    double   *nll;           /* [n_nll] sum of -ln p over a window's ids but its first */
    uint32_t  n_nll, n_scored;
    double    ppl;           /* exp(sum of nll / n_scored) */
} solo_vectors;

bool solo_vectors_open(solo_vectors **out, const char *path, solo_error *err);
void solo_vectors_close(solo_vectors *vectors);

/* How far the logits [n_vocab] after a prompt are from the vectors: the largest difference over
 * the stored ids, and at which id; infinity where one is not a number. */
double solo_vectors_logits_off(const solo_vectors_prompt *prompt, const float *logits,
                               uint32_t *id);

/* The largest of |mean - stored| and |rms - stored| over all n_vocab logits: sees what the stored
 * ids miss. */
double solo_vectors_stats_off(const solo_vectors_prompt *prompt, const float *logits,
                              uint32_t n_vocab);

/* Where a model is: folder of the environment's SOLO_MODELS, else "models". Room for 512 bytes. */
void solo_vectors_model_path(const solo_vectors *vectors, char *out);

#endif
