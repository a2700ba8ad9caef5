/* stage.h: the spectrum as data. No GPU here.
 *
 * A token is a list of primitive operations (op). A stage is a run of them that one kernel can fuse;
 * a factoring says, row by row, which run of operations a dispatch does. A geometry says, for one
 * model shape and one class of device, how each stage's rows are cut into tiles, how many lanes share
 * a row, and where each message stands. The WGSL prelude is written from these tables (wgsl.c), the
 * list of dispatches too (plan.c). */
#ifndef SOLO_STAGE_H
#define SOLO_STAGE_H

#include "ops.h"

/* How values cross from one stage of a dispatch to the next. */
typedef enum solo_sync {
    SOLO_SYNC_NONE,    /* one stage, or a part of one: nothing crosses */
    SOLO_SYNC_STORAGE, /* within each workgroup alone, storageBarrier */
    SOLO_SYNC_WORDS,   /* tagged words between workgroups */
} solo_sync;

/* A dispatch: its entry point, the operations it does, in order, and how often. Operations that the model
 * does not need fall out of it; a row of which none is left is no dispatch. A LAYER row runs once
 * a layer, together with its LAYER neighbours; a TOKEN row may span the layers. A CHUNK row runs once
 * for each run of n_chunk_layer layers; its operations that stand before the layers are the first
 * one's, those behind them the last one's. */
typedef struct solo_factor_row {
    const char *entry;
    solo_scope  scope;
    solo_op     first, last;
    solo_grid   grid;
    uint32_t    part, layer_add;
    solo_sync   sync;
} solo_factor_row;

#define SOLO_MAX_BURST 256u /* tokens a dispatch; a device's memory may end it sooner */
#define SOLO_MAX_CHUNK 999u /* layers a dispatch */

typedef struct solo_factoring {
    char                   name[16]; /* "stages", "chunk:8" */
    const char            *kernel;   /* "factor_stages.wgsl" */
    const char            *shared;   /* a file that other factorings join too, or NULL */
    const solo_factor_row *row;
    uint32_t               n_row;
    bool                   tagged;     /* needs handoff_tagged */
    solo_assignment        assignment; /* STATIC or TICKET where tagged */
    uint32_t               n_chunk_layer; /* of CHUNK rows, else 0 */
    uint32_t               n_token;       /* of a burst, else 1: the list of dispatches does so many */
} solo_factoring;

const char *solo_stage_name(solo_stage stage);
solo_scope  solo_stage_scope(solo_stage stage);
solo_stage  solo_op_stage(solo_op op);
bool solo_op_is_done(const solo_hparams *hp, solo_op op);
bool solo_stage_is_done(const solo_hparams *hp, solo_stage stage);
/* The row's operations that the model does: first and last of them. False: none. */
bool solo_row_ops(const solo_hparams *hp, const solo_factor_row *row, solo_op *first, solo_op *last);
/* name as users say it, "chunk:4" and "burst:8" with their numbers; an in-dispatch factoring in its
 * ticket or static form by `assignment`. False, with err filled: unknown. */
bool solo_factoring_find(const char *name, solo_assignment assignment, solo_factoring *out,
                         solo_error *err);
/* Every factoring, with its own number and in each of its forms; NULL past the end. */
const solo_factoring *solo_factoring_at(uint32_t i);

/* Dispatches a token (of a burst: for all of its tokens), and what each does: out may be NULL. */
typedef struct solo_factor_step {
    const solo_factor_row *row;
    uint32_t layer, last_layer; /* of the first and the last operation; 0 where it is no layer's */
    solo_op  first, last;
} solo_factor_step;
uint32_t solo_factoring_steps(const solo_factoring *f, const solo_hparams *hp, solo_factor_step *out);

/* ---- geometry ----------------------------------------------------------------------------- */

/* Stages that multiply by matrices. */
typedef enum solo_role { SOLO_ROLE_QKV, SOLO_ROLE_OUT, SOLO_ROLE_GATE_UP, SOLO_ROLE_DOWN,
                         SOLO_ROLE_LOGITS, SOLO_ROLE_COUNT } solo_role;

typedef struct solo_role_geometry {
    uint32_t tile, n_tile; /* rows a tile: of q, k and v one after the other; gate_up: of each */
    uint32_t team;         /* neighbouring lanes that share a row: 1, 2, 4, ... 32 */
    uint32_t team_rows;    /* neighbouring rows that a team does of a tile (gate_up: of each) */
    uint32_t rows_team;    /* rows that a team does at once */
    uint32_t n_pass;       /* so that a team covers its rows */
    uint32_t groups;       /* of 32 inputs */
    uint32_t n_chunk, chunk_groups; /* inputs that do not fit workgroup memory come in chunks */
} solo_role_geometry;

typedef struct solo_geometry_desc {
    const solo_hparams *hp;
    solo_activations    activations;
    solo_kv_type        kv_type;        /* not AUTO; INT8 wants heads of whole 16 numbers */
    uint32_t n_ctx;
    uint32_t workgroup_size;            /* lanes */
    uint32_t n_workgroup;               /* aimed at: tiles are cut so that each gets about one */
    uint32_t max_team;                  /* 1 on software adapters: lanes do not share rows */
    uint32_t tile_rows, k_split, rows_team; /* solo_plan_desc's; 0: as below */
    bool     attend_lanes;              /* attention in registers: attend_lanes.wgsl */
    uint32_t queue;                     /* vec4 of weights requested ahead (stream.h); 0: none */
    bool     queue_across;              /* across stages, where a factoring allows it */
    bool     always_split;              /* no context is attended to whole: att_whole is 0 */
    uint32_t max_workgroup_bytes;
    uint32_t n_block;                   /* message blocks: tokens a dispatch; 0: 1 */
} solo_geometry_desc;

/* One word a number unless said otherwise; all offsets in words. */
typedef struct solo_geometry {
    solo_geometry_desc desc;
    uint32_t wg, n_wg;
    solo_role_geometry role[SOLO_ROLE_COUNT];
    uint32_t rows_q, rows_k, tiles_q, tiles_k;
    uint32_t embed_tile, tiles_embed, tiles_attend, combine_tile, tiles_combine;
    uint32_t slice_heads;               /* units of att_heads of a workgroup of SOLO_GRID_HEADS */
    uint32_t n_split, att_block, att_heads, att_max_block;
    uint32_t att_part_blocks;           /* attend_lanes: blocks of which scores are made before any is mixed */
    uint32_t att_whole, att_slice;      /* attend_lanes: up to so many positions attended to are not split, but a
                                           head's numbers are, into slices of so many; or 0 */
    uint32_t att_scores;                /* in workgroup memory */
    uint32_t att_team, att_parts;       /* lanes that share a score; parts of a block that are mixed apart */
    uint32_t att_vecs, att_words, att_dims; /* of a row of the cache that a lane holds: vec4, single words
                                              (attend.c), numbers, those that fill it up included */
    uint32_t qd, qa, qf;                /* neighbours that share an int8 scale: of x, of a, of h */
    uint32_t ffn_parts;                 /* matrices of gate_up: 2, or 1 where there is no up */
    uint32_t xg, big, max_rows, tail_rows, n_ss; /* sizes in workgroup memory */
    uint32_t n_sum;                     /* words of sums in an X block: squares, and numbers for LAYER norms */
    uint32_t kv_row, kv_vecs;           /* words of a row of one kv head; vec4 of it in the cache */
    uint32_t kv_span;                   /* numbers of it that share a scale; 0: no scales */
    uint32_t x_y, x_scale, x_ss, x_words;                     /* within an X block; X_RES is 0 */
    /* within a layer's messages; L_X is 0 */
    uint32_t l_q, l_k, l_v, l_att, l_att_ml, l_a, l_a_scale, l_x1, l_h, l_h_scale, layer_words;
    uint32_t l_p_out, l_p_down, p_words;       /* projections to be normed, and their squares; or 0 words */
    uint32_t m_logits, m_top, m_id, msg_words; /* behind the layers; msg_words: a token's block */
    uint32_t n_block;
    uint32_t t_raw, t_scores, tmp_words;                       /* temporaries, behind that */
    uint32_t n_counter, state_ids, state_words;
    uint32_t workgroup_bytes;           /* the most that one entry point uses */
    uint32_t grid[SOLO_GRID_COUNT];     /* workgroups by grid */
} solo_geometry;

#define SOLO_ATT_TEAM 4u /* lanes that share a score, where lanes share anything */
#define SOLO_ATT_ROWS 3u /* blocks of which attend_lanes.wgsl holds rows at once: att_r0, att_r1, att_r2 */
#define SOLO_MAX_QUEUE 64u
#define SOLO_MAX_WINDOW 256u /* of the repetition penalty */
enum { SOLO_ARRIVE_LINE = 32, SOLO_STATE_ARRIVE = 32 };

bool solo_geometry_make(const solo_geometry_desc *desc, solo_geometry *out, solo_error *err);
/* Whether no workgroup, of n_wg that walk a layer, has more than one tile of any of its stages. */
bool solo_geometry_is_walked_once(const solo_geometry *geometry);

#endif
