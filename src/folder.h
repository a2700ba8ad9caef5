/* folder.h: the files of a model's folder, by name: on disk, or a host's, which opens them as they are asked for. */
#ifndef SOLO_FOLDER_H
#define SOLO_FOLDER_H

#include "source.h"

#include <jansson.h>

typedef struct solo_folder {
    const char *name; /* a path, or what the host calls it */
    solo_open  *open; /* NULL: on disk */
    void       *user;
    solo_read  *read;
} solo_folder;

/* NULL with *err untouched where the file is absent and not required. n_bytes: its size where the folder says so
 * elsewhere, else 0. Close it. */
solo_source *solo_folder_open(const solo_folder *folder, const char *name, uint64_t n_bytes, bool required,
                              solo_error *err);
/* The whole file at hand, as text. */
solo_source *solo_folder_text(const solo_folder *folder, const char *name, bool required, solo_error *err);
/* The same as JSON, an object; json_decref it. */
json_t *solo_folder_json(const solo_folder *folder, const char *name, bool required, solo_error *err);
/* [off, off + n) of a source, at hand, as an object. */
json_t *solo_json_object(const solo_source *s, uint64_t off, uint64_t n, solo_error *err);

#endif
