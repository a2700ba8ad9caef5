/* import_internal.h: what import.c (arrays, tokenizer) and import_config.c (settings) share of one folder's import. */
#ifndef SOLO_IMPORT_INTERNAL_H
#define SOLO_IMPORT_INTERNAL_H

#include "checkpoint.h"

enum { /* of an architecture */
    IMPORT_FUSED = 1,      /* the GGUF has q, k and v in one tensor, gate and up in another */
    IMPORT_TURNS = 2,      /* the GGUF has RoPE's pairs as neighbours */
    IMPORT_POST_NORMS = 4, /* norms behind projections, which take the name that others give the one before */
    IMPORT_GAINS_LESS_1 = 8, /* Hugging Face's gains are the GGUF's less 1; MLC's are not */
    IMPORT_LAYER_NORM = 16,
    IMPORT_NO_ROPE = 32,
    IMPORT_GELU = 64,
    IMPORT_TWO_ROPES = 128, /* local layers turn by a base of their own */
};

typedef struct import_arch {
    const char *said, *name; /* model_type; general.architecture */
    uint32_t    flags;
    const char *missing;     /* NULL, or JSON: what the family's own code takes for settings that a file leaves out */
} import_arch;

typedef struct importer {
    const solo_folder *files;
    const char        *folder; /* its name */
    const import_arch *arch;
    solo_checkpoint   *checkpoint;
    solo_assembly     *a;
    json_t            *root, *config; /* config: where the numbers are: root's own, or a part of it */
    json_t            *missing;       /* what is taken for settings that are not there; NULL: nothing */
    const char        *file;          /* that they are in */
    solo_error        *err;
    uint64_t           n_layer, n_embd, n_ff, n_head, n_head_kv, head_dim, n_vocab, n_ctx, rope_dim;
    double             rope_base;
    bool               tied, has_quant;
    solo_type          quant;
    char               key[96]; /* the last that was made */
} importer;

/* Opens the folder's settings and finds its architecture. */
bool import_find_arch(importer *im);
/* Reads the settings and puts them as the GGUF's values, and RoPE's factors as its tensors. */
bool import_settings(importer *im);

#endif
