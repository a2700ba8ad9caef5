/* weights.c: lays a model's tensors out, repacks them row by row and uploads them in pieces of a
 * few megabytes, so that host memory stays small beside the file's mapping. */
#include "weights.h"

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
    uint64_t words = (groups * form->scale_bytes + 3) / 4;
    bool halves = form->scale_bytes == 2;
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
        case SOLO_VECTOR_BIAS_OUT: return l->out_bias ? hp->n_embd : 0;
        case SOLO_VECTOR_BIAS_GATE_UP: return l->gate_bias || centred ? hp->n_ff : 0;
        case SOLO_VECTOR_BIAS_DOWN: return l->down_bias ? hp->n_embd : 0;
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
    return true;
}

static bool open_buffers(solo_weights *w, uint64_t max_binding, solo_error *err) {
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

/* Writes words4 vec4 at index `at` of the payload's one index space. */
static void write_payload(solo_weights *w, uint64_t at, const uint32_t *data, uint64_t words4) {
    while (words4 > 0) {
        uint64_t i = at / w->span, off = at % w->span, n = w->span - off;
        if (n > words4) n = words4;
        solo_device_write(w->device, w->payload[i], off * 16, data, n * 16);
        at += n, data += n * 4, words4 -= n;
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

typedef struct uploader {
    solo_weights *w;
    solo_progress *progress;
    void *user;
    uint64_t done, total;
    uint32_t *row;   /* one row as solo_repack_row gives it */
    uint32_t *piece; /* some rows, planes interleaved */
    uint8_t *scales; /* the same rows' scales */
} uploader;

/* [group][words] to [plane][group] of vec4 */
static void interleave(const uint32_t *row, uint32_t n_group, uint32_t words, uint32_t *out) {
    uint32_t planes = words / 4;
    for (uint32_t g = 0; g < n_group; g++) {
        for (uint32_t p = 0; p < planes; p++)
            memcpy(out + ((size_t)p * n_group + g) * 4, row + (size_t)g * words + p * 4, 16);
    }
}

static bool upload_matrix(uploader *u, const solo_tensor *t, const solo_matrix_place *place,
                          solo_matrix matrix, solo_error *err) {
    const solo_form_info *form = solo_form_get_info(place->form);
    uint32_t row_words = place->n_group * form->payload_words;
    size_t row_scale = (size_t)place->n_group * form->scale_bytes;
    uint64_t file_row = t->n_bytes / place->n_row;
    uint32_t rows_piece = PIECE_BYTES / (row_words * 4);
    rows_piece &= ~3u; /* the scales of a piece end on a word */
    if (rows_piece == 0) rows_piece = 4;
    u->row = solo_realloc(u->row, (size_t)row_words * 4);
    u->piece = solo_realloc(u->piece, (size_t)row_words * 4 * rows_piece);
    u->scales = solo_realloc(u->scales, row_scale * rows_piece + 4);
    uint64_t scale_off =
        form->scale_bytes == 2 ? (uint64_t)place->s_at * 2 : (uint64_t)place->s_at * 4;
    for (uint32_t r = 0; r < place->n_row; r += rows_piece) {
        uint32_t n = place->n_row - r < rows_piece ? place->n_row - r : rows_piece;
        for (uint32_t i = 0; i < n; i++) {
            uint32_t from = row_in_file(&u->w->model->hp, matrix, r + i);
            solo_repack_row(t->type, t->data + from * file_row, (uint32_t)t->dim[0], u->row,
                            row_scale ? u->scales + i * row_scale : NULL);
            interleave(u->row, place->n_group, form->payload_words,
                       u->piece + (size_t)i * row_words);
        }
        write_payload(u->w, place->w_at + (uint64_t)r * row_words / 4, u->piece,
                      (uint64_t)n * row_words / 4);
        if (row_scale) {
            memset(u->scales + n * row_scale, 0, 4);
            solo_device_write(u->w->device, u->w->scales, scale_off + r * row_scale, u->scales,
                              (n * row_scale + 3) / 4 * 4);
        }
        u->done += n * file_row;
        if (u->progress) u->progress(u->user, u->done, u->total);
        if (!solo_device_submit(u->w->device, err)) return false; /* lets staging memory go */
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
        case SOLO_VECTOR_BIAS_OUT: solo_tensor_f32(l->out_bias, out); return;
        case SOLO_VECTOR_BIAS_DOWN: solo_tensor_f32(l->down_bias, out); return;
        case SOLO_VECTOR_BIAS_GATE_UP: fill_part(hp, l->gate, l->gate_bias, l->ffn_norm_bias, false, out); return;
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

static bool upload(solo_weights *w, const solo_weights_desc *desc, solo_error *err) {
    const solo_model *m = w->model;
    uploader u = {.w = w, .progress = desc->progress, .user = desc->progress_user};
    const uint32_t n = m->hp.n_layer * SOLO_MATRIX_PER_LAYER;
    bool ok = true;
    for (int pass = 0; pass < 2 && ok; pass++) { /* first the total, then the bytes */
        for (uint32_t i = 0; i < n + 3 && ok; i++) {
            const solo_matrix matrix =
                i < n ? i % SOLO_MATRIX_PER_LAYER : SOLO_MATRIX_PER_LAYER + (i - n);
            const solo_tensor *t = tensor_of(m, i < n ? i / SOLO_MATRIX_PER_LAYER : 0, matrix);
            if (!t || (matrix == SOLO_MATRIX_OUTPUT && t == m->embd)) continue;
            if (pass == 0)
                u.total += t->n_bytes;
            else
                ok = upload_matrix(&u, t, &w->place[i], matrix, err);
        }
    }
    free(u.row), free(u.piece), free(u.scales);
    if (!ok) return false;
    upload_vectors(w);
    upload_directory(w);
    return solo_device_submit(w->device, err) && solo_device_wait(w->device, err);
}

bool solo_weights_open(solo_weights **out, const solo_weights_desc *desc, solo_error *err) {
    *out = NULL;
    solo_weights *w = solo_zalloc(1, sizeof *w);
    w->model = desc->model;
    w->device = desc->device;
    bool ok =
        solo_device_is_reference(w->device) ||
        (lay_out(w, err) && open_buffers(w, desc->max_binding_bytes, err) && upload(w, desc, err));
    if (!ok) {
        solo_weights_close(w);
        return false;
    }
    *out = w;
    return true;
}

void solo_weights_close(solo_weights *w) {
    if (!w) return;
    for (uint32_t i = 0; i < SOLO_MAX_PAYLOAD; i++) solo_device_buffer_close(&w->payload[i]);
    solo_device_buffer_close(&w->scales);
    free(w->place);
    free(w);
}
