/* weights.c: lays a model's tensors out, reads them in the file's order, repacks them row by row and
 * uploads them in pieces of a few megabytes, so that host memory stays small whatever the source. */
#include "weights.h"

#include "parallel.h"

#include "ref.h" /* its product makes what is folded into biases */

const solo_matrix_place *solo_weights_place(const solo_weights *w, uint32_t layer,
                                            solo_matrix matrix) {
    uint32_t n_layer = w->model->hp.n_layer;
    if (matrix >= SOLO_MATRIX_PER_LAYER)
        return &w->place[n_layer * SOLO_MATRIX_PER_LAYER + (matrix - SOLO_MATRIX_PER_LAYER)];
    return &w->place[layer * SOLO_MATRIX_PER_LAYER + matrix];
}

static const solo_tensor *tensor_of(const solo_model *m, uint32_t layer, solo_matrix matrix) {
    const solo_layer *l = &m->layer[layer];
    switch (matrix) {
#define X(name, field)                                                                             \
    case SOLO_MATRIX_##name: return l->field;
        SOLO_MATRIX_LIST(X)
#undef X
        case SOLO_MATRIX_EMBD: return m->embd;
        case SOLO_MATRIX_POSITIONS: return m->positions;
        default: return m->output;
    }
}

/* ---- layout ------------------------------------------------------------------------------- */

static bool place_matrix(solo_weights *w, const solo_tensor *t, solo_matrix_place *out,
                         solo_error *err) {
    if (!t) return true;
    const solo_type_info *type = solo_type_get_info((uint32_t)t->type);
    const solo_form_info *form = solo_form_get_info(type->form);
    out->form = type->form;
    out->n_group = (uint32_t)((t->dim[0] + SOLO_GROUP - 1) / SOLO_GROUP);
    out->n_row = (uint32_t)t->dim[1];
    uint64_t groups = (uint64_t)out->n_group * out->n_row;
    uint64_t words4 = groups * form->payload_words / 4;
    bool halves = form->scale_bytes == 2;
    uint64_t scales = (uint64_t)solo_row_scales(out->form, out->n_group) * out->n_row;
    uint64_t words = halves ? (scales + 1) / 2 : scales;
    w->scale_words += w->scale_words % 2; /* quads, and forms of two words, are loaded as pairs of words */
    if (w->payload_words4 + words4 > UINT32_MAX || (w->scale_words + words) * 2 > UINT32_MAX)
        return solo_fail(err, SOLO_UNSUPPORTED, "tensor %s: the weights pass 64 GiB", t->name);
    out->w_at = (uint32_t)w->payload_words4;
    out->s_at = (uint32_t)(halves ? w->scale_words * 2 : w->scale_words);
    out->n_bytes = words4 * 16 + words * 4;
    w->payload_words4 += words4;
    w->scale_words += words;
    return true;
}

/* Words of a layer's vector. */
static uint32_t vector_size(const solo_model *m, solo_vector vector) {
    const solo_hparams *hp = &m->hp;
    const solo_layer *l = &m->layer[0];
    const bool centred = hp->norm == SOLO_NORM_LAYER;
    const uint32_t n_qkv = (hp->n_head + 2 * hp->n_head_kv) * hp->head_dim;
    switch (vector) {
        case SOLO_VECTOR_GAIN_ATTN:
        case SOLO_VECTOR_GAIN_FFN: return hp->n_embd;
        case SOLO_VECTOR_GAIN_POST_ATTN:
        case SOLO_VECTOR_GAIN_POST_FFN: return hp->has_post_norm ? hp->n_embd : 0;
        case SOLO_VECTOR_GAIN_HEAD: return hp->has_head_norm ? 2 * hp->head_dim : 0;
        case SOLO_VECTOR_BIAS_QKV: return l->q_bias || centred ? n_qkv : 0;
        case SOLO_VECTOR_BIAS_OUT:
        case SOLO_VECTOR_BIAS_DOWN: return l->out_bias || l->down_bias ? hp->n_embd : 0; /* both or neither */
        case SOLO_VECTOR_BIAS_GATE_UP: return l->gate_bias || l->up_bias || centred ? (l->up ? 2 : 1) * hp->n_ff : 0;
        case SOLO_VECTOR_SUM_QKV: return centred ? n_qkv : 0;
        case SOLO_VECTOR_SUM_GATE_UP: return centred ? hp->n_ff : 0;
        case SOLO_VECTOR_BIAS_LOGITS:
        case SOLO_VECTOR_SUM_LOGITS: return centred ? hp->n_vocab : 0;
        case SOLO_VECTOR_COUNT: break;
    }
    solo_bug(__FILE__, __LINE__, "no such vector");
}

static uint32_t vector_layers(const solo_model *m, solo_vector vector) {
    if (vector == SOLO_VECTOR_BIAS_LOGITS || vector == SOLO_VECTOR_SUM_LOGITS) return 1;
    return m->hp.n_layer + (vector == SOLO_VECTOR_GAIN_ATTN ? 1 : 0);
}

static bool lay_out(solo_weights *w, solo_error *err) {
    const solo_model *m = w->model;
    uint32_t n = m->hp.n_layer * SOLO_MATRIX_PER_LAYER;
    w->place = solo_zalloc(n + 3, sizeof *w->place);
    for (uint32_t i = 0; i < n; i++) {
        const solo_tensor *t = tensor_of(m, i / SOLO_MATRIX_PER_LAYER, i % SOLO_MATRIX_PER_LAYER);
        if (!place_matrix(w, t, &w->place[i], err)) return false;
    }
    if (!place_matrix(w, m->embd, &w->place[n], err)) return false;
    w->place[n + 1] = w->place[n];
    if (m->output != m->embd && !place_matrix(w, m->output, &w->place[n + 1], err)) return false;
    if (!place_matrix(w, m->positions, &w->place[n + 2], err)) return false;
    for (uint32_t v = 0; v < SOLO_VECTOR_COUNT; v++) {
        w->vector[v] = (solo_vector_place){(uint32_t)w->scale_words, vector_size(m, v)};
        w->scale_words += (uint64_t)vector_layers(m, v) * w->vector[v].n;
    }
    w->dir_at = (uint32_t)w->scale_words;
    w->scale_words += (uint64_t)n * 3;
    w->scale_words += w->scale_words % 2; /* whole pairs: as kernels see the buffer */
    return true;
}

/* Into how many payload buffers of what size, by the device's limits. */
static bool cut_payload(solo_weights *w, uint64_t max_binding, solo_error *err) {
    const solo_device_info *info = solo_device_info_of(w->device);
    if (max_binding == 0 || max_binding > info->max_binding_bytes)
        max_binding = info->max_binding_bytes;
    if (max_binding > info->max_buffer_bytes) max_binding = info->max_buffer_bytes;
    uint64_t span = max_binding / 16;
    if (span > w->payload_words4) span = w->payload_words4;
    w->span = (uint32_t)span;
    uint64_t n = (w->payload_words4 + span - 1) / span;
    uint32_t most = info->max_storage_buffers > 6 ? info->max_storage_buffers - 6 : 0;
    if (most > SOLO_MAX_PAYLOAD) most = SOLO_MAX_PAYLOAD;
    if (n > most)
        return solo_fail(
            err, SOLO_DEVICE_LIMIT,
            "weights: wanted %llu bytes in at most %u bindings of %llu bytes, which %s grants",
            (unsigned long long)w->payload_words4 * 16, most, (unsigned long long)max_binding,
            info->name);
    w->n_payload = (uint32_t)n;
    return true;
}

static bool open_buffers(solo_weights *w, solo_error *err) {
    const uint64_t span = w->span;
    for (uint32_t i = 0; i < w->n_payload; i++) {
        uint64_t left = w->payload_words4 - i * span;
        if (!solo_device_buffer_open(w->device, SOLO_BUFFER_STORAGE,
                                     (left < span ? left : span) * 16, "payload", &w->payload[i],
                                     err))
            return false;
    }
    return solo_device_buffer_open(w->device, SOLO_BUFFER_STORAGE, w->scale_words * 4, "scales",
                                   &w->scales, err);
}

/* ---- upload ------------------------------------------------------------------------------- */

/* Sends words4 vec4 that stand at the front of the stretch in hand to index `at` of the payload's one index space. */
static void send_payload(solo_weights *w, solo_stager *stager, uint64_t at, uint64_t words4) {
    for (uint64_t from = 0; words4 > 0;) {
        uint64_t i = at / w->span, off = at % w->span, n = w->span - off;
        if (n > words4) n = words4;
        solo_stager_copy(stager, from * 16, w->payload[i], off * 16, n * 16);
        at += n, from += n, words4 -= n;
    }
}

/* The file's row that stands at row r: HALVES pairs (i, i + d/2) of the turning part of each head
 * become neighbours. */
static uint32_t row_in_file(const solo_hparams *hp, solo_matrix matrix, uint32_t r) {
    if (hp->rope_pairs != SOLO_ROPE_HALVES || (matrix != SOLO_MATRIX_Q && matrix != SOLO_MATRIX_K))
        return r;
    uint32_t head = r / hp->head_dim, d = r % hp->head_dim;
    if (d >= hp->rope_dim) return r;
    return head * hp->head_dim + d / 2 + (d % 2 ? hp->rope_dim / 2 : 0);
}

#define PIECE_BYTES (4u << 20)

/* One tensor on its way: a matrix, or what must be at hand when vectors are filled (place NULL). */
typedef struct parcel {
    const solo_tensor *tensor;
    const solo_matrix_place *place;
    solo_matrix matrix;
} parcel;

typedef struct uploader {
    solo_weights *w;
    solo_progress *progress;
    void *user;
    uint64_t done, total;
    uint8_t *file; /* some rows as the file has them, where they are not at hand */
    solo_stager *stager;
} uploader;

/* Bytes [off, off + n) of a tensor: where they are at hand, else read into u->file. */
static const uint8_t *bytes_of(uploader *u, const solo_tensor *t, uint64_t off, uint64_t n,
                               solo_error *err) {
    if (t->data) return t->data + off;
    u->file = solo_realloc(u->file, (size_t)n);
    return solo_source_read(t->source, t->off + off, n, u->file, err) ? u->file : NULL;
}

/* [group][words] to [plane][group] of vec4 */
static void interleave(const uint32_t *row, uint32_t n_group, uint32_t words, uint32_t *out) {
    uint32_t planes = words / 4;
    for (uint32_t g = 0; g < n_group; g++) {
        for (uint32_t p = 0; p < planes; p++)
            memcpy(out + ((size_t)p * n_group + g) * 4, row + (size_t)g * words + p * 4, 16);
    }
}

/* Rows a piece: its scales end on a word, and where rows change places in a head (row_in_file), it
 * has whole heads, so that the same rows stand there in the file. */
static uint32_t rows_of_piece(const solo_hparams *hp, solo_matrix matrix, uint32_t row_bytes) {
    uint32_t unit = 4;
    if (matrix == SOLO_MATRIX_Q || matrix == SOLO_MATRIX_K)
        unit = hp->head_dim % 4 ? hp->head_dim * 4 : hp->head_dim;
    uint32_t n = PIECE_BYTES / row_bytes / unit * unit;
    return n ? n : unit;
}

/* Some rows of a matrix, from r0 on, on their way from the file's form to the device's. */
typedef struct piece {
    const solo_hparams *hp;
    const solo_form_info *form;
    const parcel *one;
    const uint8_t *rows; /* as the file has them */
    uint64_t file_row;   /* bytes */
    uint32_t r0, n_row;
    uint32_t *out;       /* some rows, planes interleaved */
    uint8_t *scales;
} piece;

static size_t scale_bytes_of_row(const solo_matrix_place *place) {
    const size_t unit = solo_form_get_info(place->form)->scale_bytes == 2 ? 2 : 4;
    return solo_row_scales(place->form, place->n_group) * unit;
}

/* Where a row's scales are put into quads: not in staging memory, which may be slow to read. */
typedef struct quads {
    uint16_t *in_order, *row; /* [n_group]; [solo_row_scales], zeros where no group's stands */
} quads;

static quads quads_open(const solo_matrix_place *place) {
    if (!solo_has_quads(place->form, place->n_group)) return (quads){0};
    const uint32_t n = solo_row_scales(place->form, place->n_group);
    uint16_t *both = solo_zalloc((size_t)n + place->n_group, sizeof *both);
    return (quads){.in_order = both + n, .row = both};
}

static void quads_put(const quads *q, uint32_t n_group, uint8_t *scales, size_t n_bytes) {
    for (uint32_t g = 0; g < n_group; g++) q->row[solo_quad_at(g)] = q->in_order[g];
    memcpy(scales, q->row, n_bytes);
}

static void repack_rows(void *user, uint32_t first, uint32_t end) {
    const piece *p = user;
    const solo_tensor *t = p->one->tensor;
    uint32_t n_group = p->one->place->n_group, words = p->form->payload_words, row_words = n_group * words;
    size_t row_scale = scale_bytes_of_row(p->one->place);
    bool straight = words == 4; /* one plane: the row as it is */
    uint32_t *row = straight ? NULL : solo_alloc((size_t)row_words * 4);
    quads q = quads_open(p->one->place);
    for (uint32_t i = first; i < end; i++) {
        uint32_t from = row_in_file(p->hp, p->one->matrix, p->r0 + i) - p->r0;
        SOLO_ASSERT(from < p->n_row);
        uint32_t *out = p->out + (size_t)i * row_words;
        uint8_t *scales = row_scale ? p->scales + i * row_scale : NULL;
        solo_repack_row(t->type, p->rows + from * p->file_row, (uint32_t)t->dim[0], straight ? out : row,
                        q.row ? (uint8_t *)q.in_order : scales);
        if (!straight) interleave(row, n_group, words, out);
        if (q.row) quads_put(&q, n_group, scales, row_scale);
    }
    free(row), free(q.row);
}

static bool upload_matrix(uploader *u, const parcel *one, solo_error *err) {
    const solo_tensor *t = one->tensor;
    const solo_matrix_place *place = one->place;
    const solo_form_info *form = solo_form_get_info(place->form);
    uint32_t row_words = place->n_group * form->payload_words;
    size_t row_scale = scale_bytes_of_row(place);
    uint64_t file_row = t->n_bytes / place->n_row;
    uint32_t rows_piece = rows_of_piece(&u->w->model->hp, one->matrix, row_words * 4);
    if (rows_piece > place->n_row) rows_piece = place->n_row;
    uint64_t scale_off =
        form->scale_bytes == 2 ? (uint64_t)place->s_at * 2 : (uint64_t)place->s_at * 4;
    for (uint32_t r = 0; r < place->n_row; r += rows_piece) {
        uint32_t n = place->n_row - r < rows_piece ? place->n_row - r : rows_piece;
        const uint8_t *rows = bytes_of(u, t, r * file_row, n * file_row, err);
        if (!rows) return false;
        uint64_t n_payload = (uint64_t)n * row_words * 4, n_scale = (n * row_scale + 3) / 4 * 4;
        uint8_t *room = solo_stager_room(u->stager, n_payload + n_scale, err);
        if (!room) return false;
        if (n_scale) memset(room + n_payload + n_scale - 4, 0, 4);
        piece p = {&u->w->model->hp, form, one, rows, file_row, r, n, (uint32_t *)room, room + n_payload};
        solo_parallel(n, 1 + (1u << 18) / (row_words * 4), repack_rows, &p);
        send_payload(u->w, u->stager, place->w_at + (uint64_t)r * row_words / 4, n_payload / 16);
        if (n_scale) solo_stager_copy(u->stager, n_payload, u->w->scales, scale_off + r * row_scale, n_scale);
        if (!solo_stager_send(u->stager, err)) return false;
        u->done += n * file_row;
        if (u->progress) u->progress(u->user, u->done, u->total);
    }
    return true;
}

/* The numbers that go with the rows of q or k, in the rows' order. */
static void in_row_order(const solo_hparams *hp, uint32_t n, float *numbers) {
    float *in_file = solo_alloc((size_t)n * sizeof *in_file);
    memcpy(in_file, numbers, n * sizeof *in_file);
    for (uint32_t r = 0; r < n; r++) numbers[r] = in_file[row_in_file(hp, SOLO_MATRIX_Q, r)];
    free(in_file);
}

/* For each row of a matrix its own bias, where it has one, plus, behind a LAYER norm, the row times the
 * norm's bias; with `sums` the row times the norm's gain alone. `norm` is the one of the two. */
static void fill_part(const solo_hparams *hp, const solo_tensor *matrix, const solo_tensor *bias,
                      const solo_tensor *norm, bool sums, float *out) {
    const uint32_t n = (uint32_t)matrix->dim[1];
    memset(out, 0, n * sizeof *out);
    if (hp->norm == SOLO_NORM_LAYER) {
        float *x = solo_alloc(hp->n_embd * sizeof *x);
        solo_tensor_f32(norm, x);
        solo_ref_matvec(matrix, x, out);
        free(x);
    }
    if (sums || !bias) return;
    float *own = solo_alloc(n * sizeof *own);
    solo_tensor_f32(bias, own);
    solo_ref_add(out, own, n);
    free(own);
}

static void fill_qkv(const solo_model *m, const solo_layer *l, bool sums, float *out) {
    const solo_hparams *hp = &m->hp;
    const solo_tensor *norm = sums ? l->attn_norm : l->attn_norm_bias;
    const uint32_t n_q = hp->n_head * hp->head_dim, n_kv = hp->n_head_kv * hp->head_dim;
    fill_part(hp, l->q, l->q_bias, norm, sums, out);
    fill_part(hp, l->k, l->k_bias, norm, sums, out + n_q);
    fill_part(hp, l->v, l->v_bias, norm, sums, out + n_q + n_kv);
    in_row_order(hp, n_q, out);
    in_row_order(hp, n_kv, out + n_q);
}

/* A bias, or zeros where the file has none. */
static void fill_plain(const solo_tensor *bias, uint32_t n, float *out) {
    if (bias) solo_tensor_f32(bias, out);
    else memset(out, 0, n * sizeof *out);
}

static void fill_vector(const solo_model *m, solo_vector vector, uint32_t layer, float *out) {
    const solo_hparams *hp = &m->hp;
    const solo_layer *l = &m->layer[layer < hp->n_layer ? layer : 0];
    switch (vector) {
        case SOLO_VECTOR_GAIN_ATTN:
            solo_tensor_f32(layer < hp->n_layer ? l->attn_norm : m->output_norm, out);
            return;
        case SOLO_VECTOR_GAIN_FFN: solo_tensor_f32(l->ffn_norm, out); return;
        case SOLO_VECTOR_GAIN_POST_ATTN: solo_tensor_f32(l->post_attn_norm, out); return;
        case SOLO_VECTOR_GAIN_POST_FFN: solo_tensor_f32(l->post_ffn_norm, out); return;
        case SOLO_VECTOR_GAIN_HEAD:
            solo_tensor_f32(l->q_norm, out);
            solo_tensor_f32(l->k_norm, out + hp->head_dim);
            in_row_order(hp, 2 * hp->head_dim, out);
            return;
        case SOLO_VECTOR_BIAS_QKV: fill_qkv(m, l, false, out); return;
        case SOLO_VECTOR_SUM_QKV: fill_qkv(m, l, true, out); return;
        case SOLO_VECTOR_BIAS_OUT: fill_plain(l->out_bias, hp->n_embd, out); return;
        case SOLO_VECTOR_BIAS_DOWN: fill_plain(l->down_bias, hp->n_embd, out); return;
        case SOLO_VECTOR_BIAS_GATE_UP:
            fill_part(hp, l->gate, l->gate_bias, l->ffn_norm_bias, false, out);
            if (l->up) fill_part(hp, l->up, l->up_bias, l->ffn_norm_bias, false, out + hp->n_ff);
            return;
        case SOLO_VECTOR_SUM_GATE_UP: fill_part(hp, l->gate, NULL, l->ffn_norm, true, out); return;
        case SOLO_VECTOR_BIAS_LOGITS: fill_part(hp, m->output, NULL, m->output_norm_bias, false, out); return;
        case SOLO_VECTOR_SUM_LOGITS: fill_part(hp, m->output, NULL, m->output_norm, true, out); return;
        case SOLO_VECTOR_COUNT: break;
    }
    solo_bug(__FILE__, __LINE__, "no such vector");
}

static void upload_vectors(solo_weights *w) {
    for (uint32_t v = 0; v < SOLO_VECTOR_COUNT; v++) {
        const solo_vector_place *place = &w->vector[v];
        if (!place->n) continue;
        float *numbers = solo_alloc((size_t)place->n * 4);
        for (uint32_t l = 0; l < vector_layers(w->model, v); l++) {
            fill_vector(w->model, v, l, numbers);
            solo_device_write(w->device, w->scales, (place->at + (uint64_t)l * place->n) * 4, numbers,
                              (uint64_t)place->n * 4);
        }
        free(numbers);
    }
}

static void upload_directory(solo_weights *w) {
    uint32_t n = w->model->hp.n_layer * SOLO_MATRIX_PER_LAYER;
    uint32_t *dir = solo_alloc((size_t)n * 12);
    for (uint32_t i = 0; i < n; i++) {
        dir[3 * i] = w->place[i].w_at;
        dir[3 * i + 1] = w->place[i].s_at;
        dir[3 * i + 2] = (uint32_t)w->place[i].form;
    }
    solo_device_write(w->device, w->scales, (uint64_t)w->dir_at * 4, dir, (uint64_t)n * 12);
    free(dir);
}

/* In the order in which the files have it; what is kept before what is uploaded of it. */
static int parcel_cmp(const void *a, const void *b) {
    const parcel *x = a, *y = b;
    if (x->tensor->source != y->tensor->source)
        return strcmp(x->tensor->source->name, y->tensor->source->name);
    if (x->tensor->off != y->tensor->off) return x->tensor->off > y->tensor->off ? 1 : -1;
    return !!x->place - !!y->place;
}

/* Norms and biases; where they are folded into others by products (LAYER), the matrices too. */
static bool is_kept(const solo_model *m, const solo_tensor *t) {
    return m->hp.norm == SOLO_NORM_LAYER || t->dim[1] * t->dim[2] * t->dim[3] == 1;
}

static parcel *list_parcels(const solo_weights *w, uint32_t *n_parcel) {
    const solo_model *m = w->model;
    const uint32_t n_matrix = m->hp.n_layer * SOLO_MATRIX_PER_LAYER;
    const uint64_t n_tensor = solo_gguf_n_tensor(m->gguf);
    parcel *list = solo_zalloc((size_t)n_tensor + n_matrix + 3, sizeof *list);
    uint32_t n = 0;
    for (uint32_t i = 0; i < n_matrix + 3; i++) {
        const solo_matrix matrix =
            i < n_matrix ? i % SOLO_MATRIX_PER_LAYER : SOLO_MATRIX_PER_LAYER + (i - n_matrix);
        const solo_tensor *t = tensor_of(m, i < n_matrix ? i / SOLO_MATRIX_PER_LAYER : 0, matrix);
        if (!t || (matrix == SOLO_MATRIX_OUTPUT && t == m->embd)) continue;
        list[n++] = (parcel){t, &w->place[i], matrix};
    }
    for (uint64_t i = 0; i < n_tensor; i++) {
        const solo_tensor *t = solo_gguf_tensor_at(m->gguf, i);
        if (!t->data && is_kept(m, t)) list[n++] = (parcel){.tensor = t};
    }
    qsort(list, n, sizeof *list, parcel_cmp);
    *n_parcel = n;
    return list;
}

static bool keep(const solo_model *m, const solo_tensor *t, solo_error *err) {
    if (!solo_gguf_load(m->gguf, t, err)) return false;
    solo_model_find_views(m, t);
    return true;
}

static bool upload(solo_weights *w, const solo_weights_desc *desc, solo_error *err) {
    uploader u = {.w = w, .progress = desc->progress, .user = desc->progress_user,
                  .stager = solo_stager_open(w->device)};
    uint32_t n;
    parcel *list = list_parcels(w, &n);
    for (uint32_t i = 0; i < n; i++) u.total += list[i].place ? list[i].tensor->n_bytes : 0;
    bool ok = true;
    for (uint32_t i = 0; i < n && ok; i++)
        ok = list[i].place ? upload_matrix(&u, &list[i], err) : keep(w->model, list[i].tensor, err);
    solo_stager_close(u.stager);
    free(u.file), free(list);
    if (!ok) return false;
    upload_vectors(w);
    upload_directory(w);
    return solo_device_submit(w->device, err) && solo_device_wait(w->device, err);
}

/* The reference computes with the tensors as they lie in memory. */
static bool check_at_hand(const solo_weights *w, solo_error *err) {
    const solo_source *s = w->model->embd->source;
    if (s->n_at == s->n_bytes) return true;
    if (w->model->is_import) return solo_model_load(w->model, err);
    return solo_fail(err, SOLO_UNSUPPORTED,
                     "%s: wanted a file or bytes in memory for the device \"cpu\", found a reader",
                     s->name);
}

bool solo_weights_open(solo_weights **out, const solo_weights_desc *desc, solo_error *err) {
    *out = NULL;
    solo_weights *w = solo_zalloc(1, sizeof *w);
    w->model = desc->model;
    w->device = desc->device;
    bool ok = solo_device_is_reference(w->device)
                  ? check_at_hand(w, err)
                  : lay_out(w, err) && cut_payload(w, desc->max_binding_bytes, err) &&
                        open_buffers(w, err) && upload(w, desc, err);
    if (!ok) {
        solo_weights_close(w);
        return false;
    }
    *out = w;
    return true;
}

bool solo_weights_measure(const solo_weights_desc *desc, uint64_t *n_bytes, solo_error *err) {
    solo_weights w = {.model = desc->model, .device = desc->device};
    bool ok = lay_out(&w, err);
    *n_bytes = w.payload_words4 * 16 + w.scale_words * 4;
    ok = ok && (solo_device_is_reference(w.device) || cut_payload(&w, desc->max_binding_bytes, err));
    free(w.place);
    return ok;
}

void solo_weights_close(solo_weights *w) {
    if (!w) return;
    for (uint32_t i = 0; i < SOLO_MAX_PAYLOAD; i++) solo_device_buffer_close(&w->payload[i]);
    solo_device_buffer_close(&w->scales);
    free(w->place);
    free(w);
}
