/* take.h: the waits for a stage's whole input, written out word by word: a lane asks for all its words at once, waits
 * for all of them in one loop, and keeps each where it belongs, which is known when the text is made. (With indices
 * and limits worked out by the lanes, a wait was 5 to 8 KB of code, and a layer no longer fitted the instruction
 * cache: bench/results/h100-2026-11-28-text.) */
#ifndef SOLO_TAKE_H
#define SOLO_TAKE_H

#include "stage.h"

/* take_whole_x, take_whole_a, take_whole_h(at, lane): what residual.wgsl, stage_out.wgsl and stage_down.wgsl take.
 * tagged: words may not be there yet. */
void solo_take_add(solo_text *out, const solo_geometry *geometry, bool tagged);

#endif
