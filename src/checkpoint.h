/* checkpoint.h: the arrays of a model's folder: safetensors (one file, or shards by their index), or MLC's shards by
 * their cache file. What the names mean is import.c's business. */
#ifndef SOLO_CHECKPOINT_H
#define SOLO_CHECKPOINT_H

#include "assembly.h"
#include "folder.h"

typedef struct solo_checkpoint {
    const solo_folder *folder; /* borrowed while it opens */
    bool          is_mlc;
    solo_array   *array;  /* [n_array] */
    uint32_t      n_array, cap_array;
    solo_source **source; /* [n_source] shards */
    uint32_t      n_source;
} solo_checkpoint;

bool solo_checkpoint_open(solo_checkpoint **out, const solo_folder *folder, solo_error *err);
void solo_checkpoint_close(solo_checkpoint *c);
const solo_array *solo_checkpoint_find(const solo_checkpoint *c, const char *name); /* NULL: absent */

#endif
