/* assembly.h: a GGUF that stands in no file. Its head is put together in memory; the bytes of its tensors are made
 * row by row, when they are read, from arrays elsewhere: a folder's checkpoint, or another GGUF. Read as a source, it
 * is loaded like any other file; written out, it is a conversion. */
#ifndef SOLO_ASSEMBLY_H
#define SOLO_ASSEMBLY_H

#include "gguf_write.h"

/* Rows of numbers, as they lie in some source. */
typedef struct solo_array {
    char              *name;
    solo_type          type;
    bool               is_packed; /* MLC's words of eight nibbles, least first; cols counts weights */
    uint64_t           cols, rows; /* rows 0: a vector */
    const solo_source *source;
    uint64_t           off, n_bytes;
} solo_array;

/* A tensor to be: rows row0 .. row0 + rows of an array. */
typedef struct solo_making {
    char              name[96];
    solo_type         type; /* to be; the array's, or one that solo_quantize writes */
    uint64_t          cols, rows;
    const solo_array *from; /* NULL: numbers */
    const solo_array *scale; /* of a packed array: [rows][cols / 32] */
    uint64_t          row0;
    bool              columns; /* rows are the array's columns */
    float             plus; /* added to each number */
    uint32_t          turn; /* not 0: rows of heads of that length, whose halves RoPE pairs, become neighbours; of a
                             * vector its numbers */
    float            *numbers; /* malloc'd, becomes the assembly's */
    uint64_t          off, n_bytes; /* filled in */
} solo_making;

/* Rows of an array at hand: where its source lies in memory, or a stretch that moves along with who reads. */
typedef struct solo_window {
    const solo_array *of;
    uint64_t first, n; /* rows */
    uint8_t *at;
    size_t   cap;
} solo_window;

typedef struct solo_assembly {
    solo_gguf_writer w; /* values go in here */
    solo_making *making;
    uint32_t     n_making, cap_making;
    solo_text    head;
    solo_window  rows, scales;
    float       *numbers; /* scratch, a row */
    size_t       n_numbers;
    const solo_array *turned_of; /* whose columns are rows in turned; NULL: nobody's */
    uint8_t     *turned;
    void       (*close)(void *user); /* what the arrays belong to */
    void        *user;
    solo_error   why; /* of the last read that failed */
} solo_assembly;

solo_assembly *solo_assembly_new(void);
void solo_assembly_add(solo_assembly *a, const solo_making *making);
/* No more is added. The source owns the assembly, on failure too. */
bool solo_assembly_open(solo_assembly *a, const char *label, solo_source **out, solo_error *err);
void solo_assembly_close(solo_assembly *a);

/* The type that a matrix gets where `wanted` is asked for. K-quants and IQ4_XS need rows of 256: others get the next
 * larger type of 32. An embedding or output of fewer than 8 bits costs more than it saves: Q8_0. */
solo_type solo_assembly_type(solo_type wanted, const char *name, uint64_t cols);

/* By name, any case; what names the option in messages. Types of files alone. */
bool solo_assembly_find_type(const char *what, const char *said, solo_type *out, solo_error *err);

#endif
