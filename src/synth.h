/* synth.h: a synthetic model's file, piece by piece, to whoever takes it. */
#ifndef SOLO_SYNTH_H
#define SOLO_SYNTH_H

#include "base.h"

/* First how many bytes will come, with bytes NULL; then the next n of the file. */
typedef bool solo_synth_sink(void *user, const void *bytes, size_t n, solo_error *err);

/* n_bytes, which may be NULL: of weights. desc->path is not looked at. */
bool solo_synth_emit(const solo_synth_desc *desc, solo_synth_sink *sink, void *user, uint64_t *n_bytes,
                     solo_error *err);

#endif
