/* import.c: see import.h. An architecture is a row of `archs`; a name of an array is a row of `names`. */
#include "import.h"

#include "checkpoint.h"
#include "tokenizer_write.h"

#include <ctype.h>
#include <math.h>

/* ---- architectures and names as data ------------------------------------------------------ */

typedef enum rows { ROWS_ALL, ROWS_Q, ROWS_K, ROWS_V, ROWS_GATE, ROWS_UP } rows;

#define FUSED 1u /* the GGUF has q, k and v in one tensor, gate and up in another */
#define TURNS 2u /* the GGUF has RoPE's pairs as neighbours */

static const struct arch_row {
    const char *said, *name; /* model_type; general.architecture */
    uint32_t    flags;
} archs[] = {
    {"llama", "llama", TURNS}, {"mistral", "llama", TURNS}, {"phi3", "phi3", FUSED},
    {"qwen2", "qwen2", 0},     {"qwen3", "qwen3", 0},
};

typedef struct name_row {
    const char *from, *to; /* without .weight, .bias, .q_weight; #: the layer */
    rows        part;
    uint32_t    needs; /* FUSED: only for such architectures; 0: for the others as well, unless one of those fits */
} name_row;

#define L "model.layers.#."
#define H "transformer.h.#." /* MLC's phi3 */

static const name_row names[] = {
    {"model.embed_tokens", "token_embd", ROWS_ALL, 0},
    {"transformer.embd", "token_embd", ROWS_ALL, 0},
    {"model.norm", "output_norm", ROWS_ALL, 0},
    {"transformer.norm", "output_norm", ROWS_ALL, 0},
    {"lm_head", "output", ROWS_ALL, 0},
    {L "input_layernorm", "blk.#.attn_norm", ROWS_ALL, 0},
    {H "ln", "blk.#.attn_norm", ROWS_ALL, 0},
    {L "self_attn.q_proj", "blk.#.attn_q", ROWS_Q, 0},
    {L "self_attn.k_proj", "blk.#.attn_k", ROWS_K, 0},
    {L "self_attn.v_proj", "blk.#.attn_v", ROWS_V, 0},
    {L "self_attn.qkv_proj", "blk.#.attn_qkv", ROWS_ALL, FUSED},
    {H "mixer.qkv_proj", "blk.#.attn_qkv", ROWS_ALL, FUSED},
    {L "self_attn.qkv_proj", "blk.#.attn_q", ROWS_Q, 0},
    {L "self_attn.qkv_proj", "blk.#.attn_k", ROWS_K, 0},
    {L "self_attn.qkv_proj", "blk.#.attn_v", ROWS_V, 0},
    {L "self_attn.c_attn", "blk.#.attn_q", ROWS_Q, 0},
    {L "self_attn.c_attn", "blk.#.attn_k", ROWS_K, 0},
    {L "self_attn.c_attn", "blk.#.attn_v", ROWS_V, 0},
    {L "self_attn.o_proj", "blk.#.attn_output", ROWS_ALL, 0},
    {H "mixer.out_proj", "blk.#.attn_output", ROWS_ALL, 0},
    {L "self_attn.q_norm", "blk.#.attn_q_norm", ROWS_ALL, 0},
    {L "self_attn.k_norm", "blk.#.attn_k_norm", ROWS_ALL, 0},
    {L "post_attention_layernorm", "blk.#.ffn_norm", ROWS_ALL, 0},
    {H "post_attention_layernorm", "blk.#.ffn_norm", ROWS_ALL, 0},
    {L "mlp.gate_proj", "blk.#.ffn_gate", ROWS_ALL, 0},
    {L "mlp.up_proj", "blk.#.ffn_up", ROWS_ALL, 0},
    {L "mlp.gate_up_proj", "blk.#.ffn_up", ROWS_ALL, FUSED},
    {H "mlp.gate_up_proj", "blk.#.ffn_up", ROWS_ALL, FUSED},
    {L "mlp.gate_up_proj", "blk.#.ffn_gate", ROWS_GATE, 0},
    {L "mlp.gate_up_proj", "blk.#.ffn_up", ROWS_UP, 0},
    {L "mlp.down_proj", "blk.#.ffn_down", ROWS_ALL, 0},
    {H "mlp.down_proj", "blk.#.ffn_down", ROWS_ALL, 0},
};

/* ---- settings ----------------------------------------------------------------------------- */

typedef struct importer {
    const solo_folder     *files;
    const char            *folder; /* its name */
    const struct arch_row *arch;
    solo_checkpoint       *checkpoint;
    solo_assembly         *a;
    json_t                *root, *config; /* config: where the numbers are: root's own, or MLC's model_config */
    const char            *file;          /* that they are in */
    solo_error            *err;
    uint64_t               n_layer, n_embd, n_ff, n_head, n_head_kv, head_dim, n_vocab, n_ctx;
    double                 rope_base;
    bool                   tied, has_quant;
    solo_type              quant;
} importer;

static const json_t *setting(const importer *im, const char *key) {
    const json_t *v = json_object_get(im->config, key);
    return v && !json_is_null(v) ? v : NULL;
}

static bool read_size(importer *im, const char *key, uint64_t missing, uint64_t *out) {
    const json_t *v = setting(im, key);
    json_int_t n = v ? json_integer_value(v) : (json_int_t)missing;
    *out = (uint64_t)n;
    if (n > 0 && n < 1 << 28) return true;
    return solo_fail(im->err, SOLO_FILE_FORMAT, "%s/%s: '%s': wanted a size, found %s", im->folder, im->file, key,
                     v ? "another value" : "none");
}

static void put_u32(importer *im, const char *key, uint64_t v) {
    char name[96];
    snprintf(name, sizeof name, "%s.%s", im->arch->name, key);
    solo_gguf_put_u32(&im->a->w, name, (uint32_t)v);
}

static void put_f32(importer *im, const char *key, double v) {
    char name[96];
    snprintf(name, sizeof name, "%s.%s", im->arch->name, key);
    solo_gguf_put_f32(&im->a->w, name, (float)v);
}

static bool read_sizes(importer *im) {
    const char *context = setting(im, "max_position_embeddings") ? "max_position_embeddings" : "context_window_size";
    if (!read_size(im, "num_hidden_layers", 0, &im->n_layer) || !read_size(im, "hidden_size", 0, &im->n_embd) ||
        !read_size(im, "intermediate_size", 0, &im->n_ff) || !read_size(im, "num_attention_heads", 0, &im->n_head) ||
        !read_size(im, "num_key_value_heads", im->n_head, &im->n_head_kv) ||
        !read_size(im, "head_dim", im->n_embd / im->n_head, &im->head_dim) ||
        !read_size(im, "vocab_size", 0, &im->n_vocab) || !read_size(im, context, 0, &im->n_ctx))
        return false;
    const char *act = json_string_value(setting(im, "hidden_act"));
    if (act && strcmp(act, "silu") != 0)
        return solo_fail(im->err, SOLO_UNSUPPORTED, "%s/%s: 'hidden_act': wanted \"silu\", found \"%.60s\"", im->folder,
                         im->file, act);
    const json_t *eps = setting(im, "rms_norm_eps"), *rotary = setting(im, "partial_rotary_factor");
    if (!json_is_number(eps))
        return solo_fail(im->err, SOLO_FILE_FORMAT, "%s/%s: 'rms_norm_eps': wanted a number, found none", im->folder,
                         im->file);
    put_u32(im, "block_count", im->n_layer);
    put_u32(im, "context_length", im->n_ctx);
    put_u32(im, "embedding_length", im->n_embd);
    put_u32(im, "feed_forward_length", im->n_ff);
    put_u32(im, "attention.head_count", im->n_head);
    put_u32(im, "attention.head_count_kv", im->n_head_kv);
    put_u32(im, "attention.key_length", im->head_dim);
    put_u32(im, "attention.value_length", im->head_dim);
    put_f32(im, "attention.layer_norm_rms_epsilon", json_number_value(eps));
    put_u32(im, "vocab_size", im->n_vocab);
    double part = json_is_number(rotary) ? json_number_value(rotary) : 1.0;
    put_u32(im, "rope.dimension_count", (uint64_t)((double)im->head_dim * part));
    const json_t *window = setting(im, "sliding_window"), *use = setting(im, "use_sliding_window");
    if (json_integer_value(window) > 0 && (use ? json_is_true(use) : strncmp(im->arch->name, "qwen", 4) != 0))
        put_u32(im, "attention.sliding_window", (uint64_t)json_integer_value(window));
    im->tied = json_is_true(setting(im, "tie_word_embeddings"));
    return true;
}

/* ---- RoPE --------------------------------------------------------------------------------- */

static void add_factors(importer *im, const char *name, float *factor, uint64_t n) {
    solo_making m = {.type = SOLO_TYPE_F32, .cols = n, .numbers = factor};
    snprintf(m.name, sizeof m.name, "%s", name);
    solo_assembly_add(im->a, &m);
}

static bool listed_factors(importer *im, const json_t *list, const char *key, const char *name, uint64_t n) {
    if (json_array_size(list) != n)
        return solo_fail(im->err, SOLO_FILE_FORMAT, "%s/%s: rope_scaling.%s: wanted %llu numbers, found %zu",
                         im->folder, im->file, key, (unsigned long long)n, json_array_size(list));
    float *factor = solo_alloc((size_t)n * sizeof *factor);
    for (size_t i = 0; i < n; i++) factor[i] = (float)json_number_value(json_array_get(list, i));
    add_factors(im, name, factor, n);
    return true;
}

/* Llama 3's: long waves are slowed by the factor, short ones are not, those between in part. */
static void llama3_factors(importer *im, const json_t *scaling) {
    const double by = json_number_value(json_object_get(scaling, "factor")),
                 low = json_number_value(json_object_get(scaling, "low_freq_factor")),
                 high = json_number_value(json_object_get(scaling, "high_freq_factor")),
                 n_ctx = json_number_value(json_object_get(scaling, "original_max_position_embeddings"));
    const uint64_t n = im->head_dim / 2;
    float *factor = solo_alloc((size_t)n * sizeof *factor);
    for (uint64_t i = 0; i < n; i++) {
        double wave = 2 * 3.14159265358979323846 * pow(im->rope_base, 2.0 * (double)i / (double)im->head_dim);
        double smooth = (n_ctx / wave - low) / (high - low);
        factor[i] = (float)(1 / ((1 - smooth) / by + smooth));
        if (wave < n_ctx / high) factor[i] = 1.0f;
        if (wave > n_ctx / low) factor[i] = (float)by;
    }
    add_factors(im, "rope_freqs.weight", factor, n);
}

static bool read_long_rope(importer *im, const json_t *scaling) {
    uint64_t n_orig;
    const json_t *rotary = setting(im, "partial_rotary_factor");
    double part = json_is_number(rotary) ? json_number_value(rotary) : 1.0;
    const uint64_t n = (uint64_t)((double)im->head_dim * part) / 2;
    json_int_t inside = json_integer_value(json_object_get(scaling, "original_max_position_embeddings"));
    if (!read_size(im, "original_max_position_embeddings", (uint64_t)inside, &n_orig)) return false;
    double longer = (double)im->n_ctx / (double)n_orig;
    put_u32(im, "rope.scaling.original_context_length", n_orig);
    put_f32(im, "rope.scaling.attn_factor", longer <= 1 ? 1 : sqrt(1 + log(longer) / log((double)n_orig)));
    return listed_factors(im, json_object_get(scaling, "long_factor"), "long_factor", "rope_factors_long.weight", n) &&
           listed_factors(im, json_object_get(scaling, "short_factor"), "short_factor", "rope_factors_short.weight", n);
}

static bool read_rope(importer *im) {
    const json_t *parameters = setting(im, "rope_parameters"), *scaling = setting(im, "rope_scaling");
    const json_t *base = setting(im, "rope_theta");
    if (!base) base = json_object_get(parameters, "rope_theta");
    if (!base) base = setting(im, "position_embedding_base");
    im->rope_base = json_is_number(base) && json_number_value(base) > 0 ? json_number_value(base) : 10000;
    put_f32(im, "rope.freq_base", im->rope_base);
    if (!scaling) scaling = parameters;
    const char *type = json_string_value(json_object_get(scaling, "rope_type"));
    if (!type) type = json_string_value(json_object_get(scaling, "type"));
    if (!type || !strcmp(type, "default")) return true;
    if (!strcmp(type, "llama3")) return llama3_factors(im, scaling), true;
    if (!strcmp(type, "longrope") || !strcmp(type, "su")) return read_long_rope(im, scaling);
    if (!strcmp(type, "linear")) {
        put_f32(im, "rope.scaling.factor", json_number_value(json_object_get(scaling, "factor")));
        return true;
    }
    return solo_fail(im->err, SOLO_UNSUPPORTED,
                     "%s/%s: rope_scaling: wanted default, linear, llama3 or longrope, found \"%.60s\"", im->folder,
                     im->file, type);
}

/* ---- arrays ------------------------------------------------------------------------------- */

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

static bool add_tensor(importer *im, const name_row *row, const solo_array *array, uint64_t layer, const char *suffix) {
    solo_making m = {.from = array, .cols = array->cols, .type = array->type};
    const bool is_vector = array->rows == 0;
    char *at = m.name, *end = m.name + 64;
    for (const char *c = row->to; *c && at < end; c++)
        at += *c == '#' ? snprintf(at, 16, "%llu", (unsigned long long)layer) : (*at = *c, 1);
    snprintf(at, 16, "%s", strcmp(suffix, ".bias") == 0 ? ".bias" : ".weight");
    rows_of(im, row->part, is_vector ? array->cols : array->rows, &m.row0, &m.rows);
    if (m.row0 + m.rows > (is_vector ? array->cols : array->rows))
        return solo_fail(im->err, SOLO_FILE_FORMAT, "%s: '%s': wanted rows %llu to %llu, found %llu",
                         array->source->name, array->name, (unsigned long long)m.row0,
                         (unsigned long long)(m.row0 + m.rows), (unsigned long long)array->rows);
    if (is_vector) { /* a run of numbers is a row of its own */
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
        solo_assembly_add(im->a, &m);
        return true;
    }
    if ((im->arch->flags & TURNS) && (row->part == ROWS_Q || row->part == ROWS_K)) m.turn = (uint32_t)im->head_dim;
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

/* What changes nothing, or is said elsewhere. */
static bool is_ignored(const importer *im, const char *name) {
    size_t n = strlen(name);
    return (n > 8 && !strcmp(name + n - 8, ".q_scale")) || (n > 8 && !strcmp(name + n - 8, "inv_freq")) ||
           (im->tied && !strncmp(name, "lm_head.", 8));
}

static bool read_array(importer *im, uint32_t i) {
    const uint32_t fused = im->arch->flags & FUSED;
    uint32_t n = 0;
    for (uint32_t pass = fused ? 0 : 1; pass < 2 && n == 0; pass++)
        for (uint32_t k = 0; k < SOLO_COUNT(names); k++) {
            uint64_t layer = 0;
            const char *suffix;
            if (names[k].needs != (pass == 0 ? FUSED : 0) ||
                !matches(names[k].from, im->checkpoint->array[i].name, &layer, &suffix))
                continue;
            n++;
            if (!add_tensor(im, &names[k], &im->checkpoint->array[i], layer, suffix)) return false;
        }
    if (n || is_ignored(im, im->checkpoint->array[i].name)) return true;
    return solo_fail(im->err, SOLO_UNSUPPORTED, "%s: '%.100s': wanted an array of a %s, found one unknown to Solo",
                     im->checkpoint->array[i].source->name, im->checkpoint->array[i].name, im->arch->name);
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

static bool read_config(importer *im) {
    im->file = im->checkpoint->is_mlc ? "mlc-chat-config.json" : "config.json";
    im->root = solo_folder_json(im->files, im->file, true, im->err);
    if (!im->root) return false;
    im->config = im->checkpoint->is_mlc ? json_object_get(im->root, "model_config") : im->root;
    const char *type = json_string_value(json_object_get(im->root, "model_type"));
    for (uint32_t i = 0; type && i < SOLO_COUNT(archs); i++)
        if (!strcmp(type, archs[i].said)) im->arch = &archs[i];
    if (im->arch) return true;
    solo_text known = {0};
    for (uint32_t i = 0; i < SOLO_COUNT(archs); i++) solo_text_add(&known, "%s%s", i ? ", " : "", archs[i].said);
    solo_fail(im->err, SOLO_UNSUPPORTED, "%s/%s: 'model_type': wanted one of (%s), found \"%.60s\"", im->folder,
              im->file, known.at, type ? type : "");
    free(known.at);
    return false;
}

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
    bool ok = read_config(&im);
    if (ok) put_name(&im);
    ok = ok && read_sizes(&im) && read_rope(&im) && open_tokenizer(&im, tok) && read_arrays(&im) &&
         solo_tokenizer_put(*tok, (uint32_t)im.n_vocab, &im.a->w, err);
    if (ok) put_chat_template(&im);
    json_decref(im.root);
    if (!ok) solo_assembly_close(im.a);
    ok = ok && solo_assembly_open(im.a, im.folder, out, err);
    if (!ok) {
        solo_tokenizer_close(*tok);
        *tok = NULL;
    }
    return ok;
}
