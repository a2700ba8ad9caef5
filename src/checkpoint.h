/* checkpoint.h: the arrays of a model's folder: safetensors (one file, or shards by their index), or MLC's shards by
 * their cache file. What the names mean is import.c's business. */
#ifndef SOLO_CHECKPOINT_H
#define SOLO_CHECKPOINT_H

#include "assembly.h"

#include <jansson.h>

typedef struct solo_checkpoint {
    char         *folder;
    bool          is_mlc;
    solo_array   *array;  /* [n_array] */
    uint32_t      n_array, cap_array;
    solo_source **source; /* [n_source] shards */
    uint32_t      n_source;
} solo_checkpoint;

bool solo_checkpoint_open(solo_checkpoint **out, const char *folder, solo_error *err);
void solo_checkpoint_close(solo_checkpoint *c);
const solo_array *solo_checkpoint_find(const solo_checkpoint *c, const char *name); /* NULL: absent */

/* A file of the folder; NULL with *err untouched where it is absent and not required. Close it. */
solo_source *solo_folder_open(const char *folder, const char *name, bool required, solo_error *err);
/* The same as JSON, an object; json_decref it. */
json_t *solo_folder_json(const char *folder, const char *name, bool required, solo_error *err);

#endif
