/* convert.c: a GGUF or a model's folder written as a GGUF, its matrices in another type. The file to be is an assembly
 * (assembly.h); this copies it out, piece by piece. */
#include "solo_files.h"

#include "assembly.h"
#include "import.h"
#include "source_file.h"

#include <errno.h>

#define PIECE_BYTES (16u << 20)

/* ---- a GGUF as an assembly ---------------------------------------------------------------- */

typedef struct recast { /* what the assembly's arrays belong to */
    solo_gguf  *gguf;
    solo_array *array;
} recast;

static void close_recast(void *user) {
    recast *r = user;
    solo_gguf_close(r->gguf);
    free(r->array);
    free(r);
}

/* What is no longer so: parts, the alignment (32 is what a file that says nothing has), the main type. */
static bool is_dropped(solo_str key) {
    static const char *const dropped[] = {"split.no", "split.count", "split.tensors.count", "general.alignment",
                                          "general.file_type"};
    for (uint32_t i = 0; i < SOLO_COUNT(dropped); i++)
        if (key.n == strlen(dropped[i]) && !memcmp(key.at, dropped[i], key.n)) return true;
    return false;
}

static void put_values(solo_assembly *a, const solo_gguf *g) {
    for (uint64_t i = 0; i < solo_gguf_n_value(g); i++) {
        const solo_gguf_value *v = solo_gguf_value_at(g, i);
        if (is_dropped(v->key)) continue;
        char *key = solo_strndup(v->key.at, v->key.n);
        uint8_t before[12]; /* what stands before at: a string's length, or an array's kind and count */
        uint64_t n = v->kind == SOLO_GGUF_STRING ? v->n_bytes : v->n_item;
        uint32_t n_before = v->kind == SOLO_GGUF_STRING ? 8 : v->kind == SOLO_GGUF_ARRAY ? 12 : 0, k = 0;
        if (n_before == 12)
            for (; k < 4; k++) before[k] = (uint8_t)((uint32_t)v->item_kind >> 8 * k);
        for (uint32_t b = 0; k < n_before; k++, b++) before[k] = (uint8_t)(n >> 8 * b);
        solo_text bytes = {0};
        solo_text_add_n(&bytes, (const char *)before, n_before);
        solo_text_add_n(&bytes, (const char *)v->at, (size_t)v->n_bytes);
        solo_gguf_put_raw(&a->w, key, (uint32_t)v->kind, bytes.at ? bytes.at : "", bytes.n);
        free(bytes.at), free(key);
    }
}

static bool recast_gguf(solo_source **out, const char *path, const char *type, solo_error *err) {
    solo_gguf *g;
    solo_type wanted = SOLO_TYPE_F32;
    if (type && !solo_assembly_find_type("type", type, &wanted, err)) return false;
    if (!solo_gguf_open(&g, path, err)) return false;
    recast *r = solo_zalloc(1, sizeof *r);
    solo_assembly *a = solo_assembly_new();
    const uint64_t n = solo_gguf_n_tensor(g);
    r->gguf = g, r->array = solo_zalloc((size_t)n + 1, sizeof *r->array);
    a->close = close_recast, a->user = r;
    put_values(a, g);
    bool ok = true;
    for (uint64_t i = 0; i < n && ok; i++) {
        const solo_tensor *t = solo_gguf_tensor_at(g, i);
        const bool is_matrix = t->n_dim == 2 && t->dim[1] > 1;
        r->array[i] = (solo_array){.name = (char *)(uintptr_t)t->name, .type = t->type, .cols = t->dim[0],
                                   .rows = is_matrix ? t->dim[1] : 0, .source = t->source, .off = t->off,
                                   .n_bytes = t->n_bytes};
        solo_making m = {.type = t->type, .cols = t->dim[0], .rows = r->array[i].rows, .from = &r->array[i]};
        if (t->n_dim > 2 || strlen(t->name) >= sizeof m.name)
            ok = solo_fail(err, SOLO_UNSUPPORTED, "%s: tensor '%s': wanted a matrix or a vector, found %u dimensions",
                           path, t->name, t->n_dim);
        else if (type && is_matrix && solo_type_get_info((uint32_t)t->type)->form == SOLO_FORM_NONE)
            ok = solo_fail(err, SOLO_UNSUPPORTED, "%s: tensor '%s': its type: wanted one that Solo reads, found %s",
                           path, t->name, solo_type_get_info((uint32_t)t->type)->name);
        if (!ok) break;
        snprintf(m.name, sizeof m.name, "%s", t->name);
        if (type && is_matrix) m.type = solo_assembly_type(wanted, m.name, m.cols);
        if (m.cols % solo_type_get_info((uint32_t)m.type)->n_block) m.type = SOLO_TYPE_F16;
        solo_assembly_add(a, &m);
    }
    if (ok) return solo_assembly_open(a, path, out, err);
    solo_assembly_close(a);
    return false;
}

/* ---- writing ------------------------------------------------------------------------------ */

/* Takes the source. */
static bool check_types(solo_source *made, solo_error *err) {
    solo_gguf *g;
    if (!solo_gguf_open_source(&g, made, err)) return false;
    bool ok = true;
    for (uint64_t i = 0; i < solo_gguf_n_tensor(g) && ok; i++)
        if (solo_gguf_tensor_at(g, i)->type == SOLO_TYPE_Q4_F)
            ok = solo_fail(err, SOLO_ARGUMENT,
                           "%s: wanted a type to write: GGUF has none for 4 bits with an f32 scale (q4f32_1)",
                           solo_gguf_path(g));
    solo_gguf_close(g);
    return ok;
}

static bool copy_out(const solo_source *s, FILE *file, const char *part, const solo_convert_desc *desc,
                     solo_error *err) {
    uint8_t *piece = solo_alloc(PIECE_BYTES);
    bool ok = true;
    for (uint64_t at = 0; at < s->n_bytes && ok; at += PIECE_BYTES) {
        uint64_t n = s->n_bytes - at < PIECE_BYTES ? s->n_bytes - at : PIECE_BYTES;
        ok = solo_source_read(s, at, n, piece, err);
        if (ok && fwrite(piece, 1, (size_t)n, file) != n)
            ok = solo_fail(err, SOLO_FILE_IO, "%s: cannot be written: %s", part, strerror(errno));
        if (ok && desc->progress) desc->progress(desc->progress_user, at + n, s->n_bytes);
    }
    free(piece);
    return ok;
}

static bool open_in(const solo_convert_desc *desc, solo_source **out, solo_error *err) {
    if (!solo_file_is_folder(desc->in)) return recast_gguf(out, desc->in, desc->type, err);
    solo_tokenizer *tok;
    const solo_folder folder = {.name = desc->in};
    if (!solo_import_open(out, &tok, &(solo_import_desc){&folder, desc->type}, err)) return false;
    solo_tokenizer_close(tok);
    return true;
}

bool solo_convert(const solo_convert_desc *desc, uint64_t *n_bytes, solo_error *err) {
    SOLO_ASSERT(desc->in && desc->path);
    solo_source *s;
    if (!open_in(desc, &s, err) || !check_types(s, err) || !open_in(desc, &s, err)) return false;
    solo_text part = {0};
    solo_text_add(&part, "%s.part", desc->path);
    FILE *file = fopen(part.at, "wb");
    bool ok = file || solo_fail(err, SOLO_FILE_IO, "%s: cannot be written: %s", part.at, strerror(errno));
    ok = ok && copy_out(s, file, part.at, desc, err);
    if (file && fclose(file) != 0 && ok)
        ok = solo_fail(err, SOLO_FILE_IO, "%s: cannot be written: %s", part.at, strerror(errno));
    if (n_bytes) *n_bytes = s->n_bytes;
    solo_source_close(s);
    if (ok && rename(part.at, desc->path) != 0)
        ok = solo_fail(err, SOLO_FILE_IO, "%s: wanted to replace it, found: %s", desc->path, strerror(errno));
    if (!ok && file) remove(part.at);
    free(part.at);
    return ok;
}
