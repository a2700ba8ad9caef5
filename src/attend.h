/* attend.h: the part of attend_lanes.wgsl that is written out number by number: a position's rows of K and V
 * and the outputs stand in registers, which have no index. (As arrays in loops, which a driver kept in
 * memory, a layer's attention took 8 us even with nothing to attend to: bench/results/h200-2026-11-24-text.) */
#ifndef SOLO_ATTEND_H
#define SOLO_ATTEND_H

#include "stage.h"

/* AttRow and the outputs' registers; att_number, att_row_k, att_row_v, att_row_late, att_begin, att_rescale, att_score,
 * att_mix, att_fold, att_keep_all. */
void solo_attend_add(solo_text *out, const solo_geometry *geometry);

#endif
