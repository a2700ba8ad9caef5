/* solo_files.h: writing model files of other types. A part of Solo that programs which only run models do not need. */
#ifndef SOLO_FILES_H
#define SOLO_FILES_H

#include "solo.h"

typedef struct solo_convert_desc {
    const char *in;   /* a .gguf, or a folder of Hugging Face's or MLC's */
    const char *path; /* replaced, once all is written beside it */
    const char *type; /* of matrices: "q4_0", "f16", ...; NULL: as they are. Embedding and output stay at 8 bits or
                         more; rows that its blocks of 256 do not divide get the next larger type of 32. Vectors
                         of a folder become f32. */
    solo_progress *progress;
    void          *progress_user;
} solo_convert_desc;

/* Writes a GGUF. *n_bytes (may be NULL): its size. On failure no file is left. */
bool solo_convert(const solo_convert_desc *desc, uint64_t *n_bytes, solo_error *err);

#endif
