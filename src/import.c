/* import.c: see import.h. A name of an array is a row of `names`; what config.json says is import_config.c's. */
#include "import.h"

#include "import_internal.h"
#include "tokenizer_write.h"

#include <ctype.h>

/* ---- names as data ------------------------------------------------------------------------ */

typedef enum rows { ROWS_ALL, ROWS_Q, ROWS_K, ROWS_V, ROWS_GATE, ROWS_UP, ROWS_ARE_COLUMNS } rows;

typedef struct name_row {
    const char *from, *to; /* without .weight, .bias, .q_weight; from without the prefixes below; #: the layer */
    rows        part;
    uint32_t    needs; /* IMPORT_...: only for such architectures; 0: for all, unless one of those fits */
} name_row;

/* Where a model, or the part of one that writes, stands in the whole. */
static const char *const prefixes[] = {"model.", "language_model.", "transformer."};

#define L "layers.#."
#define H "h.#." /* MLC's phi3, gpt2 */
#define FUSED IMPORT_FUSED
#define POST IMPORT_POST_NORMS

static const name_row names[] = {
    {"embed_tokens", "token_embd", ROWS_ALL, 0},
    {"embd", "token_embd", ROWS_ALL, 0},
    {"wte", "token_embd", ROWS_ALL, 0},
    {"wpe", "position_embd", ROWS_ALL, 0},
    {"norm", "output_norm", ROWS_ALL, 0},
    {"ln_f", "output_norm", ROWS_ALL, 0},
    {"lm_head", "output", ROWS_ALL, 0},
    {L "input_layernorm", "blk.#.attn_norm", ROWS_ALL, 0},
    {H "ln", "blk.#.attn_norm", ROWS_ALL, 0},
    {H "ln_1", "blk.#.attn_norm", ROWS_ALL, 0},
    {L "self_attn.q_proj", "blk.#.attn_q", ROWS_Q, 0},
    {L "self_attn.k_proj", "blk.#.attn_k", ROWS_K, 0},
    {L "self_attn.v_proj", "blk.#.attn_v", ROWS_V, 0},
    {L "self_attn.qkv_proj", "blk.#.attn_qkv", ROWS_ALL, FUSED},
    {H "mixer.qkv_proj", "blk.#.attn_qkv", ROWS_ALL, FUSED},
    {H "attn.c_attn", "blk.#.attn_qkv", ROWS_ARE_COLUMNS, FUSED},
    {L "self_attn.qkv_proj", "blk.#.attn_q", ROWS_Q, 0},
    {L "self_attn.qkv_proj", "blk.#.attn_k", ROWS_K, 0},
    {L "self_attn.qkv_proj", "blk.#.attn_v", ROWS_V, 0},
    {L "self_attn.c_attn", "blk.#.attn_q", ROWS_Q, 0},
    {L "self_attn.c_attn", "blk.#.attn_k", ROWS_K, 0},
    {L "self_attn.c_attn", "blk.#.attn_v", ROWS_V, 0},
    {L "self_attn.o_proj", "blk.#.attn_output", ROWS_ALL, 0},
    {H "mixer.out_proj", "blk.#.attn_output", ROWS_ALL, 0},
    {H "attn.c_proj", "blk.#.attn_output", ROWS_ARE_COLUMNS, 0},
    {L "self_attn.q_norm", "blk.#.attn_q_norm", ROWS_ALL, 0},
    {L "self_attn.k_norm", "blk.#.attn_k_norm", ROWS_ALL, 0},
    {L "post_attention_layernorm", "blk.#.post_attention_norm", ROWS_ALL, POST},
    {L "post_attention_layernorm", "blk.#.ffn_norm", ROWS_ALL, 0},
    {L "pre_feedforward_layernorm", "blk.#.ffn_norm", ROWS_ALL, POST},
    {L "post_feedforward_layernorm", "blk.#.post_ffw_norm", ROWS_ALL, POST},
    {H "post_attention_layernorm", "blk.#.ffn_norm", ROWS_ALL, 0},
    {H "ln_2", "blk.#.ffn_norm", ROWS_ALL, 0},
    {L "mlp.gate_proj", "blk.#.ffn_gate", ROWS_ALL, 0},
    {L "mlp.up_proj", "blk.#.ffn_up", ROWS_ALL, 0},
    {L "mlp.gate_up_proj", "blk.#.ffn_up", ROWS_ALL, FUSED},
    {H "mlp.gate_up_proj", "blk.#.ffn_up", ROWS_ALL, FUSED},
    {H "mlp.c_fc", "blk.#.ffn_up", ROWS_ARE_COLUMNS, 0},
    {L "mlp.gate_up_proj", "blk.#.ffn_gate", ROWS_GATE, 0},
    {L "mlp.gate_up_proj", "blk.#.ffn_up", ROWS_UP, 0},
    {L "mlp.down_proj", "blk.#.ffn_down", ROWS_ALL, 0},
    {H "mlp.down_proj", "blk.#.ffn_down", ROWS_ALL, 0},
    {H "mlp.c_proj", "blk.#.ffn_down", ROWS_ARE_COLUMNS, 0},
};

/* ---- arrays ------------------------------------------------------------------------------- */

static const char *without_prefixes(const char *name) {
    for (uint32_t i = 0; i < SOLO_COUNT(prefixes);) {
        size_t n = strlen(prefixes[i]);
        if (strncmp(name, prefixes[i], n) != 0) i++;
        else name += n, i = 0;
    }
    return name;
}

/* Whether name is the pattern with a number for #, followed by a suffix. */
static bool matches(const char *pattern, const char *name, uint64_t *layer, const char **suffix) {
    for (; *pattern; pattern++) {
        if (*pattern != '#') {
            if (*name++ != *pattern) return false;
            continue;
        }
        if (!isdigit((unsigned char)*name)) return false;
        for (*layer = 0; isdigit((unsigned char)*name) && *layer < 100000; name++)
            *layer = 10 * *layer + (uint64_t)(*name - '0');
    }
    *suffix = name;
    return !strcmp(name, ".weight") || !strcmp(name, ".bias") || !strcmp(name, ".q_weight");
}

static void rows_of(const importer *im, rows part, uint64_t all, uint64_t *first, uint64_t *n) {
    const uint64_t q = im->n_head * im->head_dim, kv = im->n_head_kv * im->head_dim;
    const bool fused = all == q + 2 * kv;
    *first = 0, *n = all;
    if (part == ROWS_Q && fused) *n = q;
    if (part == ROWS_K && fused) *first = q, *n = kv;
    if (part == ROWS_V && fused) *first = q + kv, *n = kv;
    if (part == ROWS_GATE) *n = im->n_ff;
    if (part == ROWS_UP) *first = im->n_ff, *n = im->n_ff;
}

static bool is_gain(const char *to) {
    size_t n = strlen(to);
    return n >= 4 && !strcmp(to + n - 4, "norm");
}

static bool add_tensor(importer *im, const name_row *row, const solo_array *array, uint64_t layer, const char *suffix) {
    solo_making m = {.from = array, .cols = array->cols, .type = array->type};
    const bool is_vector = array->rows == 0;
    const bool turns = (im->arch->flags & IMPORT_TURNS) && (row->part == ROWS_Q || row->part == ROWS_K);
    const uint32_t turn = turns ? (uint32_t)im->head_dim : 0;
    char *at = m.name, *end = m.name + 64;
    for (const char *c = row->to; *c && at < end; c++)
        at += *c == '#' ? snprintf(at, 16, "%llu", (unsigned long long)layer) : (*at = *c, 1);
    snprintf(at, 16, "%s", strcmp(suffix, ".bias") == 0 ? ".bias" : ".weight");
    rows_of(im, row->part, is_vector ? array->cols : array->rows, &m.row0, &m.rows);
    if (row->part == ROWS_ARE_COLUMNS && !is_vector && !im->checkpoint->is_mlc) /* MLC has turned them already */
        m.columns = true, m.cols = array->rows, m.rows = array->cols;
    else if (m.row0 + m.rows > (is_vector ? array->cols : array->rows))
        return solo_fail(im->err, SOLO_FILE_FORMAT, "%s: '%s': wanted rows %llu to %llu, found %llu",
                         array->source->name, array->name, (unsigned long long)m.row0,
                         (unsigned long long)(m.row0 + m.rows), (unsigned long long)array->rows);
    if (is_vector) { /* a run of numbers is a row of its own */
        if (is_gain(row->to) && (im->arch->flags & IMPORT_GAINS_LESS_1) && !im->checkpoint->is_mlc) m.plus = 1.0f;
        if (m.rows != array->cols) {
            solo_array *cut = &im->checkpoint->array[im->checkpoint->n_array++];
            *cut = *array;
            cut->name = solo_strndup(array->name, strlen(array->name));
            cut->off += m.row0 * (array->n_bytes / array->cols);
            cut->cols = m.cols = m.rows;
            cut->n_bytes = array->n_bytes / array->cols * m.cols;
            m.from = cut;
        }
        m.rows = m.row0 = 0;
        m.type = SOLO_TYPE_F32;
        m.turn = turn;
        solo_assembly_add(im->a, &m);
        return true;
    }
    m.turn = turn;
    if (array->is_packed) {
        char scale[300];
        snprintf(scale, sizeof scale, "%.*s.q_scale", (int)(strlen(array->name) - strlen(".q_weight")), array->name);
        m.scale = solo_checkpoint_find(im->checkpoint, scale);
        if (!m.scale || m.scale->is_packed || m.scale->rows != array->rows || m.scale->cols * 32 != array->cols)
            return solo_fail(im->err, SOLO_UNSUPPORTED,
                             "%s: '%s': wanted a scale for each 32 weights of a row (q4f16_1, q4f32_1), found %s",
                             array->source->name, array->name, m.scale ? "another shape" : "none");
        m.type = m.scale->type == SOLO_TYPE_F16 ? SOLO_TYPE_Q4_0 : SOLO_TYPE_Q4_F;
    }
    if (im->has_quant) m.type = solo_assembly_type(im->quant, m.name, m.cols);
    if (m.cols % solo_type_get_info((uint32_t)m.type)->n_block)
        return solo_fail(im->err, SOLO_UNSUPPORTED, "%s: '%s': wanted rows of a multiple of 32, found %llu",
                         array->source->name, array->name, (unsigned long long)m.cols);
    solo_assembly_add(im->a, &m);
    return true;
}

/* What changes nothing for a text, or is said elsewhere. */
static bool is_ignored(const importer *im, const char *name) {
    static const char *const ends[] = {".q_scale", "inv_freq"};
    static const char *const parts[] = {"vision_tower.", "multi_modal_projector."};
    const char *bare = without_prefixes(name);
    size_t n = strlen(name);
    for (uint32_t i = 0; i < SOLO_COUNT(ends); i++)
        if (n > 8 && !strcmp(name + n - 8, ends[i])) return true;
    for (uint32_t i = 0; i < SOLO_COUNT(parts); i++)
        if (!strncmp(bare, parts[i], strlen(parts[i]))) return true;
    return im->tied && !strncmp(bare, "lm_head.", 8);
}

static bool read_array(importer *im, uint32_t i) {
    const char *name = im->checkpoint->array[i].name;
    uint32_t n = 0;
    for (uint32_t pass = 0; pass < 2 && n == 0; pass++)
        for (uint32_t k = 0; k < SOLO_COUNT(names); k++) {
            uint64_t layer = 0;
            const char *suffix;
            if ((pass == 0 ? !(names[k].needs & im->arch->flags) : names[k].needs != 0) ||
                !matches(names[k].from, without_prefixes(name), &layer, &suffix))
                continue;
            n++;
            if (!add_tensor(im, &names[k], &im->checkpoint->array[i], layer, suffix)) return false;
        }
    if (n || is_ignored(im, name)) return true;
    return solo_fail(im->err, SOLO_UNSUPPORTED, "%s: '%.100s': wanted an array of a %s, found one unknown to Solo",
                     im->checkpoint->array[i].source->name, name, im->arch->name);
}

static bool read_arrays(importer *im) {
    const uint32_t n = im->checkpoint->n_array;
    solo_checkpoint *c = im->checkpoint;
    c->array = solo_realloc(c->array, (size_t)n * 4 * sizeof *c->array); /* room for vectors cut in three */
    for (uint32_t i = 0; i < n; i++)
        if (!read_array(im, i)) return false;
    return true;
}

/* ---- tokenizer ---------------------------------------------------------------------------- */

static bool add_ends(solo_tokenizer *tok, const json_t *ids, solo_error *err) {
    if (json_is_integer(ids)) return solo_tokenizer_add_end(tok, (uint32_t)json_integer_value(ids), err);
    size_t i;
    json_t *each;
    json_array_foreach(ids, i, each) if (!add_ends(tok, each, err)) return false;
    return true;
}

static bool open_tokenizer(importer *im, solo_tokenizer **tok) {
    solo_source *text = solo_folder_text(im->files, "tokenizer.json", true, im->err);
    if (!text) return false;
    bool ok = solo_tokenizer_open_json(tok, (const char *)text->at, (size_t)text->n_bytes, text->name, im->err);
    solo_source_close(text);
    solo_source *config = ok ? solo_folder_text(im->files, "tokenizer_config.json", false, im->err) : NULL;
    if (config)
        ok = solo_tokenizer_set_config(*tok, (const char *)config->at, (size_t)config->n_bytes, config->name, im->err);
    solo_source_close(config);
    json_t *generation = ok ? solo_folder_json(im->files, "generation_config.json", false, im->err) : NULL;
    ok = ok && add_ends(*tok, json_object_get(generation, "eos_token_id"), im->err) &&
         add_ends(*tok, json_object_get(im->root, "eos_token_id"), im->err);
    json_decref(generation);
    return ok;
}

/* chat_template.jinja, or tokenizer_config.json's chat_template: text, or a list of which "default" is taken. */
static void put_chat_template(importer *im) {
    solo_source *file = solo_folder_text(im->files, "chat_template.jinja", false, im->err);
    if (file) {
        char *text = solo_strndup((const char *)file->at, (size_t)file->n_bytes);
        solo_gguf_put_str(&im->a->w, "tokenizer.chat_template", text);
        free(text);
        solo_source_close(file);
        return;
    }
    json_t *config = solo_folder_json(im->files, "tokenizer_config.json", false, im->err), *each;
    const json_t *found = json_object_get(config, "chat_template");
    const char *text = json_string_value(found);
    size_t i;
    json_array_foreach(found, i, each) {
        const char *name = json_string_value(json_object_get(each, "name"));
        if (name && !strcmp(name, "default")) text = json_string_value(json_object_get(each, "template"));
    }
    if (text) solo_gguf_put_str(&im->a->w, "tokenizer.chat_template", text);
    json_decref(config);
}

/* ---- opening ------------------------------------------------------------------------------ */

static void put_name(importer *im) {
    const char *slash = strrchr(im->folder, '/');
    solo_gguf_put_str(&im->a->w, "general.architecture", im->arch->name);
    solo_gguf_put_str(&im->a->w, "general.name", slash && slash[1] ? slash + 1 : im->folder);
}

static void close_checkpoint(void *user) { solo_checkpoint_close(user); }

bool solo_import_open(solo_source **out, solo_tokenizer **tok, const solo_import_desc *desc, solo_error *err) {
    importer im = {.files = desc->folder, .folder = desc->folder->name, .err = err, .has_quant = desc->quant != NULL};
    *out = NULL, *tok = NULL;
    if (desc->quant && !solo_assembly_find_type("quant", desc->quant, &im.quant, err)) return false;
    if (!solo_checkpoint_open(&im.checkpoint, desc->folder, err)) return false;
    im.a = solo_assembly_new();
    im.a->close = close_checkpoint, im.a->user = im.checkpoint;
    bool ok = import_find_arch(&im);
    if (ok) put_name(&im);
    ok = ok && import_settings(&im) && open_tokenizer(&im, tok) && read_arrays(&im) &&
         solo_tokenizer_put(*tok, (uint32_t)im.n_vocab, &im.a->w, err);
    if (ok) put_chat_template(&im);
    json_decref(im.missing);
    json_decref(im.root);
    if (!ok) solo_assembly_close(im.a);
    ok = ok && solo_assembly_open(im.a, im.folder, out, err);
    if (!ok) {
        solo_tokenizer_close(*tok);
        *tok = NULL;
    }
    return ok;
}
