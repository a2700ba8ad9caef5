/* assembly.c: see assembly.h. */
#include "assembly.h"

#include "bytes.h"

/* ---- putting together --------------------------------------------------------------------- */

solo_assembly *solo_assembly_new(void) { return solo_zalloc(1, sizeof(solo_assembly)); }

void solo_assembly_add(solo_assembly *a, const solo_making *making) {
    if (a->n_making == a->cap_making) {
        a->cap_making = a->cap_making ? 2 * a->cap_making : 64;
        a->making = solo_realloc(a->making, a->cap_making * sizeof *a->making);
    }
    a->making[a->n_making++] = *making;
}

void solo_assembly_close(solo_assembly *a) {
    if (!a) return;
    for (uint32_t i = 0; i < a->n_making; i++) free(a->making[i].numbers);
    if (a->close) a->close(a->user);
    solo_gguf_writer_free(&a->w);
    free(a->head.at), free(a->making), free(a->rows.at), free(a->scales.at), free(a->numbers);
    free(a->turned);
    free(a);
}

/* For rows that blocks of 256 do not divide: the next larger type with blocks of 32. */
static const struct {
    solo_type of, type;
} shorter[] = {
    {SOLO_TYPE_Q2_K, SOLO_TYPE_Q4_0}, {SOLO_TYPE_Q3_K, SOLO_TYPE_Q4_0}, {SOLO_TYPE_Q4_K, SOLO_TYPE_Q5_0},
    {SOLO_TYPE_Q5_K, SOLO_TYPE_Q5_1}, {SOLO_TYPE_Q6_K, SOLO_TYPE_Q8_0}, {SOLO_TYPE_IQ4_XS, SOLO_TYPE_IQ4_NL},
};

solo_type solo_assembly_type(solo_type wanted, const char *name, uint64_t cols) {
    const solo_type_info *info = solo_type_get_info((uint32_t)wanted);
    bool outer = !strncmp(name, "token_embd.", 11) || !strncmp(name, "output.", 7);
    if (info->n_block == 1 || wanted == SOLO_TYPE_Q8_0) return wanted;
    if (outer) return SOLO_TYPE_Q8_0;
    for (uint32_t i = 0; cols % info->n_block && i < SOLO_COUNT(shorter); i++)
        if (shorter[i].of == wanted) return shorter[i].type;
    return wanted;
}

static bool is_made(const solo_type_info *info, solo_type type) {
    return info->form != SOLO_FORM_NONE && type != SOLO_TYPE_Q4_F; /* which is in no file */
}

bool solo_assembly_find_type(const char *what, const char *said, solo_type *out, solo_error *err) {
    return solo_type_find(what, said, is_made, out, err);
}

/* ---- making rows -------------------------------------------------------------------------- */

static uint64_t bytes_of_row(solo_type type, uint64_t cols) {
    const solo_type_info *info = solo_type_get_info((uint32_t)type);
    return cols / info->n_block * info->block_bytes;
}

/* Read at once: a host's reads cost more than their bytes. */
#define WINDOW_BYTES (1u << 20)

/* A row of the array; NULL: a->why. Rows from m->row0 on that turn together are read together. */
static const uint8_t *row_at(solo_assembly *a, const solo_making *m, solo_window *w, const solo_array *array,
                             uint64_t row) {
    const uint64_t n_row = array->rows ? array->rows : 1, row_bytes = array->n_bytes / n_row;
    const solo_source *s = array->source;
    if (!s->read) return s->at + array->off + row * row_bytes;
    if (w->of == array && row >= w->first && row - w->first < w->n) return w->at + (row - w->first) * row_bytes;
    const uint64_t turn = m->turn ? m->turn : 1, first = row - (row - m->row0) % turn;
    uint64_t n = WINDOW_BYTES / (turn * row_bytes) * turn;
    if (n < turn) n = turn;
    if (n > n_row - first) n = n_row - first;
    if (n * row_bytes > w->cap) {
        w->cap = (size_t)(n * row_bytes);
        w->at = solo_realloc(w->at, w->cap);
    }
    w->of = NULL;
    if (!solo_source_read(s, array->off + first * row_bytes, n * row_bytes, w->at, &a->why)) return NULL;
    w->of = array, w->first = first, w->n = n;
    return w->at + (row - first) * row_bytes;
}

/* The array's row that becomes row r: turn's halves (i, i + turn / 2) become neighbours. */
static uint64_t row_from(const solo_making *m, uint64_t r) {
    if (!m->turn) return m->row0 + r;
    uint64_t head = r / m->turn, d = r % m->turn;
    return m->row0 + head * m->turn + d / 2 + (d % 2 ? m->turn / 2 : 0);
}

static float scale_of(solo_type type, const uint8_t *at) {
    if (type == SOLO_TYPE_F32) return f32_of_bits(load_u32(at));
    uint16_t half = load_u16(at);
    return type == SOLO_TYPE_F16 ? solo_f16_to_f32(half) : f32_of_bits((uint32_t)half << 16);
}

/* A packed row as blocks: of Q4_0 where its scales are f16, else of Q4_F. A packed w = d * (q - 7) with q in 0..14
 * is a block's d * (p - 8) with p = q + 1: the same product, bit for bit. */
static bool pack_row(solo_assembly *a, const solo_making *m, uint64_t row, uint8_t *out) {
    const uint64_t n_group = m->cols / 32, scale_bytes = m->scale->n_bytes / (m->scale->rows * m->scale->cols);
    const uint8_t *q = row_at(a, m, &a->rows, m->from, row), *scale = row_at(a, m, &a->scales, m->scale, row);
    if (!q || !scale) return false;
    const bool half = m->scale->type == SOLO_TYPE_F16;
    for (uint64_t g = 0; g < n_group; g++, q += 16, scale += scale_bytes) {
        if (half) memcpy(out, scale, 2);
        else store_u32(out, bits_of_f32(scale_of(m->scale->type, scale)));
        out += half ? 2 : 4;
        for (uint32_t i = 0; i < 16; i++) {
            uint32_t low = (q[i / 2] >> 4 * (i % 2) & 15) + 1u, high = (q[8 + i / 2] >> 4 * (i % 2) & 15) + 1u;
            if (low > 15 || high > 15)
                return solo_fail(&a->why, SOLO_UNSUPPORTED, "%s: '%s': row %llu: wanted quants of 0 to 14, found 15",
                                 m->from->source->name, m->from->name, (unsigned long long)row);
            out[i] = (uint8_t)(low | high << 4);
        }
        out += 16;
    }
    return true;
}

/* Columns lie far apart in an array: it is read once and turned as a whole. The last one stays for its other rows. */
static const uint8_t *column_at(solo_assembly *a, const solo_array *of, uint64_t column) {
    const uint64_t size = of->n_bytes / (of->rows * of->cols);
    if (a->turned_of != of) {
        uint8_t *plain = solo_alloc((size_t)of->n_bytes);
        a->turned_of = NULL;
        a->turned = solo_realloc(a->turned, (size_t)of->n_bytes);
        bool ok = solo_source_read(of->source, of->off, of->n_bytes, plain, &a->why);
        for (uint64_t c = 0; c < of->cols && ok; c++)
            for (uint64_t r = 0; r < of->rows; r++)
                memcpy(a->turned + (c * of->rows + r) * size, plain + (r * of->cols + c) * size, (size_t)size);
        free(plain);
        if (!ok) return NULL;
        a->turned_of = of;
    }
    return a->turned + column * of->rows * size;
}

/* A vector of heads whose halves become neighbours. */
static void put_turned(const solo_assembly *a, const solo_making *m, uint8_t *out) {
    float *numbers = solo_alloc((size_t)m->cols * sizeof *numbers);
    for (uint64_t i = 0; i < m->cols; i++) numbers[i] = a->numbers[row_from(m, i)];
    solo_quantize(m->type, numbers, m->cols, out);
    free(numbers);
}

static bool make_row(solo_assembly *a, const solo_making *m, uint64_t r, uint8_t *out) {
    if (!m->from) {
        solo_quantize(m->type, m->numbers + r * m->cols, m->cols, out);
        return true;
    }
    const uint64_t row = row_from(m, r);
    const solo_type from = !m->from->is_packed ? m->from->type
                           : m->scale->type == SOLO_TYPE_F16 ? SOLO_TYPE_Q4_0 : SOLO_TYPE_Q4_F;
    const uint64_t n = bytes_of_row(from, m->cols);
    const bool turns_numbers = m->turn && !m->rows, same = from == m->type && m->plus == 0.0f && !turns_numbers;
    if (m->from->is_packed && same) return pack_row(a, m, row, out);
    uint8_t *packed = m->from->is_packed ? solo_alloc((size_t)n) : NULL;
    const uint8_t *blocks = packed;
    if (m->columns) blocks = column_at(a, m->from, row);
    else if (!packed) blocks = row_at(a, m, &a->rows, m->from, row);
    else if (!pack_row(a, m, row, packed)) blocks = NULL;
    if (blocks && same) memcpy(out, blocks, (size_t)n);
    if (blocks && !same) {
        if (m->cols > a->n_numbers) {
            a->n_numbers = m->cols;
            a->numbers = solo_realloc(a->numbers, a->n_numbers * sizeof *a->numbers);
        }
        solo_dequant(from, blocks, m->cols, a->numbers);
        for (uint64_t i = 0; i < m->cols; i++) a->numbers[i] += m->plus;
        if (turns_numbers) put_turned(a, m, out);
        else solo_quantize(m->type, a->numbers, m->cols, out);
    }
    free(packed);
    return blocks != NULL;
}

/* ---- reading ------------------------------------------------------------------------------ */

/* What [off, off + n) and [from, from + n_from) share goes to its place in into. */
static void copy_shared(const void *at, uint64_t from, uint64_t n_from, uint64_t off, uint64_t n, void *into) {
    uint64_t first = off > from ? off : from, end = off + n < from + n_from ? off + n : from + n_from;
    if (first < end)
        memcpy((uint8_t *)into + (first - off), (const uint8_t *)at + (first - from), (size_t)(end - first));
}

static bool read_rows(solo_assembly *a, const solo_making *m, uint64_t off, uint64_t n, uint8_t *into) {
    const uint64_t n_row = m->rows ? m->rows : 1, row_bytes = m->n_bytes / n_row;
    uint64_t r = off > m->off ? (off - m->off) / row_bytes : 0;
    uint8_t *part = NULL;
    bool ok = true;
    for (; ok && r < n_row && m->off + r * row_bytes < off + n; r++) {
        uint64_t at = m->off + r * row_bytes;
        if (at >= off && at + row_bytes <= off + n) {
            ok = make_row(a, m, r, into + (at - off));
            continue;
        }
        if (!part) part = solo_alloc((size_t)row_bytes);
        ok = make_row(a, m, r, part);
        if (ok) copy_shared(part, at, row_bytes, off, n, into);
    }
    free(part);
    return ok;
}

static bool read_assembly(void *user, uint64_t off, uint64_t n, void *into) {
    solo_assembly *a = user;
    memset(into, 0, (size_t)n);
    copy_shared(a->head.at, 0, a->head.n, off, n, into);
    uint32_t low = 0, high = a->n_making; /* the first that ends behind off */
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (a->making[mid].off + a->making[mid].n_bytes <= off) low = mid + 1;
        else high = mid;
    }
    for (; low < a->n_making && a->making[low].off < off + n; low++)
        if (!read_rows(a, &a->making[low], off, n, into)) return false;
    return true;
}

/* In the order in which the arrays lie, so that a host reads each of its files from front to back. */
static int making_cmp(const void *pa, const void *pb) {
    const solo_making *a = pa, *b = pb;
    if (!a->from || !b->from) return (a->from != NULL) - (b->from != NULL);
    if (a->from->source != b->from->source) return strcmp(a->from->source->name, b->from->source->name);
    uint64_t x = a->from->off + a->row0, y = b->from->off + b->row0;
    return (x > y) - (x < y);
}

static void close_assembly(void *user) { solo_assembly_close(user); }

bool solo_assembly_open(solo_assembly *a, const char *label, solo_source **out, solo_error *err) {
    *out = NULL;
    if (a->n_making) qsort(a->making, a->n_making, sizeof *a->making, making_cmp);
    for (uint32_t i = 0; i < a->n_making; i++) {
        solo_making *m = &a->making[i];
        m->off = solo_gguf_declare_tensor(&a->w, m->name, m->type, m->cols, m->rows, &m->n_bytes);
    }
    solo_gguf_write_head(&a->w, &a->head);
    for (uint32_t i = 0; i < a->n_making; i++) a->making[i].off += a->head.n;
    if (!solo_source_open_reader(out, read_assembly, a, a->head.n + a->w.n_declared, label, err)) {
        solo_assembly_close(a);
        return false;
    }
    (*out)->why = &a->why;
    (*out)->close = close_assembly;
    return true;
}
