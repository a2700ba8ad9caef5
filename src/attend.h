/* attend.h: the part of attend_lanes.wgsl that is written out number by number: a position's rows of K and V
 * and the outputs stand in registers, which have no index. (As arrays in loops, which a driver kept in
 * memory, a layer's attention took 8 us even with nothing to attend to: bench/results/h200-2026-11-24-text.) */
#ifndef SOLO_ATTEND_H
#define SOLO_ATTEND_H

#include "stage.h"

/* att_number, att_load, att_load_late, att_hold, att_begin, att_score, att_mix, att_fold, att_keep_all and their
 * registers. */
void solo_attend_add(solo_text *out, const solo_geometry *geometry);

#endif
