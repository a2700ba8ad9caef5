/* source.h: where a model's bytes are: a mapped file, memory, or a host that answers reads. The
 * first two are at hand as a whole, so that nobody copies them. Of the third only the head is kept;
 * what lies behind it is read in pieces, by those who want them, best in the file's order. */
#ifndef SOLO_SOURCE_H
#define SOLO_SOURCE_H

#include "base.h"

typedef struct solo_source {
    char          *name; /* a path or a label, for messages */
    uint64_t       n_bytes;
    const uint8_t *at;   /* [n_at] leading bytes that are at hand */
    uint64_t       n_at;
    bool           is_file;
    solo_read     *read; /* NULL: all is at hand */
    void          *user;
} solo_source;

bool solo_source_open_file(solo_source **out, const char *path, solo_error *err); /* maps it */
/* at is borrowed. label may be NULL; it is copied. */
bool solo_source_open_memory(solo_source **out, const uint8_t *at, uint64_t n_bytes,
                             const char *label, solo_error *err);
bool solo_source_open_reader(solo_source **out, solo_read *read, void *user, uint64_t n_bytes,
                             const char *label, solo_error *err);
void solo_source_close(solo_source *source);

/* Sees that the first n <= n_bytes bytes are at hand; source->at may move. */
bool solo_source_need(solo_source *source, uint64_t n, solo_error *err);

/* Bytes [off, off + n), which must lie within the source, to into. */
bool solo_source_read(const solo_source *source, uint64_t off, uint64_t n, void *into,
                      solo_error *err);

#endif
