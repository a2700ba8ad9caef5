/* stream.h: matrix stages whose weights are requested ahead of their inputs.
 *
 * The matrices of a layer are read in one fixed order, so their loads need not wait for anything. A
 * *unit* is what one lane holds of a row at a time: one group of 32 weights and its scale; a team of
 * lanes takes `team` neighbouring groups of a row. A stage's units are counted strip by strip (team
 * groups of each of the team's rows), stage after stage; each unit has a register of its own, and as
 * one is used up the unit `queue` vec4 behind it is requested. In a factoring that walks several
 * stages in one dispatch the order goes on across stages and layers, so the queue does not drain at a
 * hand-off: those loads stand in `if (go) { load } else { zero }`, with a go that is always true but that only
 * a lane knows, because a driver otherwise moves them behind the wait. (Of a uniform it made two instructions
 * a register.)
 *
 * Where a row's scales stand in quads (quant.h), each of a row's quads is a register, requested with the first of the
 * units that it belongs to; which half of it is a unit's scale is known here. Else a unit's scale is a part of it.
 *
 * The text is written out here, unit by unit, since registers have no index; what a unit computes is
 * mac_* of kernels/weight_*.wgsl and template_mac_f32.wgsl, as in the loops of template_rows.wgsl,
 * in the same order for each row: the same bits. */
#ifndef SOLO_STREAM_H
#define SOLO_STREAM_H

#include "stage.h"
#include "weights.h"

typedef struct solo_stream_role {
    bool on;             /* has a queue; else rows are multiplied in loops */
    bool loop;           /* longer than the queue: passes in a loop, of which one is held ahead */
    solo_form form;      /* of all its matrices in all layers */
    uint32_t rows;       /* of a team, of a pass */
    uint32_t n_pass;     /* 1 unless loop */
    uint32_t strips;
    uint32_t n_unit;     /* of a pass: rows * strips, unit = strip * rows + row */
    uint32_t planes;     /* vec4 of a unit */
    uint32_t quads;      /* of a row: of the scales of its strips; 0: they have none */
    uint32_t first;      /* vec4 of the layer before it in the order */
} solo_stream_role;

typedef struct solo_stream {
    const solo_geometry *geometry;
    solo_stream_role role[SOLO_ROLE_COUNT];
    uint32_t queue;      /* vec4 ahead: as asked, and no less than a strip, which is used at once */
    uint32_t layer_vec4; /* of a layer's order */
    bool cross;          /* the order goes on across stages: one tile a workgroup in each */
} solo_stream;

/* cross_wanted: the factoring walks the stages of a layer in one dispatch, workgroup r doing tile r. */
void solo_stream_make(const solo_weights *weights, const solo_geometry *geometry, bool cross_wanted,
                      solo_stream *out);

/* prime_x, ahead_x, multiply_x of every role that has a queue, refill_out, and their registers. */
void solo_stream_add(solo_text *out, const solo_stream *s);

#endif
