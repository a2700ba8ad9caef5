/* import_config.c: a folder's config.json (or MLC's mlc-chat-config.json) as a GGUF's values. An architecture is a row
 * of `archs`; a setting that families spell differently is a row of `names`. */
#include "import_internal.h"

#include <math.h>

/* ---- architectures as data ---------------------------------------------------------------- */

#define GEMMA (IMPORT_POST_NORMS | IMPORT_GAINS_LESS_1 | IMPORT_GELU)
#define GEMMA3 "{\"num_attention_heads\": 8, \"num_key_value_heads\": 4, \"head_dim\": 256, \"vocab_size\": 262208, " \
    "\"rms_norm_eps\": 1e-6, \"max_position_embeddings\": 131072, \"sliding_window\": 4096, \"rope_theta\": 1e6, " \
    "\"rope_local_base_freq\": 1e4, \"sliding_window_pattern\": 6, \"hidden_act\": \"gelu_pytorch_tanh\", " \
    "\"query_pre_attn_scalar\": 256, \"tie_word_embeddings\": true}"

static const import_arch archs[] = {
    {"llama", "llama", IMPORT_TURNS, NULL},
    {"mistral", "llama", IMPORT_TURNS, NULL},
    {"phi3", "phi3", IMPORT_FUSED, NULL},
    {"qwen2", "qwen2", 0, NULL},
    {"qwen3", "qwen3", 0, NULL},
    {"gpt2", "gpt2", IMPORT_FUSED | IMPORT_LAYER_NORM | IMPORT_NO_ROPE | IMPORT_GELU,
     "{\"hidden_act\": \"gelu_new\", \"rms_norm_eps\": 1e-5, \"tie_word_embeddings\": true}"},
    {"gemma2", "gemma2", GEMMA, "{\"head_dim\": 256, \"hidden_act\": \"gelu_pytorch_tanh\", "
     "\"query_pre_attn_scalar\": 256, \"sliding_window\": 4096, \"tie_word_embeddings\": true}"},
    {"gemma3_text", "gemma3", GEMMA | IMPORT_TWO_ROPES, GEMMA3},
    {"gemma3", "gemma3", GEMMA | IMPORT_TWO_ROPES, GEMMA3},
};

/* Other names of a setting, for files that lack its own. */
static const struct {
    const char *key, *other;
} names[] = {
    {"num_hidden_layers", "n_layer"}, {"hidden_size", "n_embd"}, {"num_attention_heads", "n_head"},
    {"intermediate_size", "n_inner"}, {"max_position_embeddings", "n_positions"},
    {"max_position_embeddings", "context_window_size"}, {"rms_norm_eps", "layer_norm_epsilon"},
    {"hidden_act", "hidden_activation"}, {"hidden_act", "activation_function"},
    {"sliding_window", "sliding_window_size"}, {"sliding_window_pattern", "_sliding_window_pattern"},
    {"rope_theta", "position_embedding_base"},
};

bool import_find_arch(importer *im) {
    im->file = im->checkpoint->is_mlc ? "mlc-chat-config.json" : "config.json";
    im->root = solo_folder_json(im->files, im->file, true, im->err);
    if (!im->root) return false;
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

/* Where the numbers are: in the file itself, in MLC's model_config, in the text part of a model that sees, completed
 * by what stands around it. */
static void find_config(importer *im) {
    json_t *within = im->checkpoint->is_mlc ? json_object_get(im->root, "model_config") : im->root;
    json_t *text = json_object_get(within, "text_config");
    im->config = json_is_object(text) ? text : within;
    if (im->config != within) json_object_update_missing(im->config, json_object_get(im->config, "kwargs"));
    if (im->config != within) json_object_update_missing(im->config, within);
    im->missing = im->arch->missing ? json_loads(im->arch->missing, 0, NULL) : NULL;
}

/* ---- settings ----------------------------------------------------------------------------- */

static const json_t *not_null(const json_t *v) { return v && !json_is_null(v) ? v : NULL; }

/* NULL: absent or null, and nothing to take instead. *found: the name under which it stands. */
static const json_t *setting_named(const importer *im, const char *key, const char **found) {
    const json_t *v = not_null(json_object_get(im->config, *found = key));
    for (uint32_t i = 0; !v && i < SOLO_COUNT(names); i++)
        if (!strcmp(names[i].key, key) && (v = not_null(json_object_get(im->config, names[i].other))))
            *found = names[i].other;
    return v ? v : json_object_get(im->missing, key);
}

static const json_t *setting(const importer *im, const char *key) {
    const char *found;
    return setting_named(im, key, &found);
}

static bool read_size(importer *im, const char *key, uint64_t missing, uint64_t *out) {
    const char *found;
    const json_t *v = setting_named(im, key, &found);
    json_int_t n = v ? json_integer_value(v) : (json_int_t)missing;
    *out = (uint64_t)n;
    if (n > 0 && n < 1 << 28) return true;
    return solo_fail(im->err, SOLO_FILE_FORMAT, "%s/%s: '%s': wanted a size, found %s", im->folder, im->file, found,
                     v ? "another value" : "none");
}

static const char *key_of(importer *im, const char *key) {
    snprintf(im->key, sizeof im->key, "%s.%s", im->arch->name, key);
    return im->key;
}

static void put_u32(importer *im, const char *key, uint64_t v) {
    solo_gguf_put_u32(&im->a->w, key_of(im, key), (uint32_t)v);
}

static void put_f32(importer *im, const char *key, double v) {
    solo_gguf_put_f32(&im->a->w, key_of(im, key), (float)v);
}

/* Settings under which the arithmetic would be another than Solo's of that architecture. */
static bool check_arithmetic(importer *im) {
    static const char *const silu[] = {"silu", "silu"}, *const gelu[] = {"gelu_pytorch_tanh", "gelu_new"};
    const char *const *wanted = im->arch->flags & IMPORT_GELU ? gelu : silu, *key;
    const char *act = json_string_value(setting_named(im, "hidden_act", &key));
    if (act && strcmp(act, wanted[0]) != 0 && strcmp(act, wanted[1]) != 0)
        return solo_fail(im->err, SOLO_UNSUPPORTED, "%s/%s: '%s': wanted \"%s\", found \"%.60s\"", im->folder,
                         im->file, key, wanted[0], act);
    if (json_is_true(setting(im, "scale_attn_by_inverse_layer_idx")) ||
        json_is_false(setting(im, "scale_attn_weights")))
        return solo_fail(im->err, SOLO_UNSUPPORTED, "%s/%s: wanted scores scaled by the root of a head's length, found "
                         "'scale_attn_by_inverse_layer_idx' or no 'scale_attn_weights'", im->folder, im->file);
    const json_t *scalar = setting(im, "query_pre_attn_scalar");
    double by = json_number_value(scalar);
    if (!scalar || by == (double)im->head_dim || by == (double)(im->n_embd / im->n_head)) return true;
    return solo_fail(im->err, SOLO_UNSUPPORTED,
                     "%s/%s: 'query_pre_attn_scalar': wanted a head's length, %llu, found %g", im->folder,
                     im->file, (unsigned long long)im->head_dim, by);
}

static bool read_sizes(importer *im) {
    if (!read_size(im, "num_hidden_layers", 0, &im->n_layer) || !read_size(im, "hidden_size", 0, &im->n_embd) ||
        !read_size(im, "intermediate_size", im->arch->flags & IMPORT_LAYER_NORM ? 4 * im->n_embd : 0, &im->n_ff) ||
        !read_size(im, "num_attention_heads", 0, &im->n_head) ||
        !read_size(im, "num_key_value_heads", im->n_head, &im->n_head_kv) ||
        !read_size(im, "head_dim", im->n_embd / im->n_head, &im->head_dim) ||
        !read_size(im, "vocab_size", 0, &im->n_vocab) || !read_size(im, "max_position_embeddings", 0, &im->n_ctx) ||
        !check_arithmetic(im))
        return false;
    const char *key;
    const json_t *eps = setting_named(im, "rms_norm_eps", &key);
    if (!json_is_number(eps))
        return solo_fail(im->err, SOLO_FILE_FORMAT, "%s/%s: '%s': wanted a number, found none", im->folder, im->file,
                         key);
    put_u32(im, "block_count", im->n_layer);
    put_u32(im, "embedding_length", im->n_embd);
    put_u32(im, "feed_forward_length", im->n_ff);
    put_u32(im, "attention.head_count", im->n_head);
    put_u32(im, "attention.head_count_kv", im->n_head_kv);
    put_u32(im, "attention.key_length", im->head_dim);
    put_u32(im, "attention.value_length", im->head_dim);
    put_f32(im, im->arch->flags & IMPORT_LAYER_NORM ? "attention.layer_norm_epsilon"
                                                    : "attention.layer_norm_rms_epsilon", json_number_value(eps));
    put_u32(im, "vocab_size", im->n_vocab);
    im->tied = json_is_true(setting(im, "tie_word_embeddings"));
    return true;
}

static void put_cap(importer *im, const char *key) {
    const json_t *cap = json_object_get(im->config, key);
    if (cap) put_f32(im, key, json_number_value(cap)); /* null: 0, which is none */
}

/* ---- windows ------------------------------------------------------------------------------ */

/* layer_types says it layer by layer: *every: each such layer is global; 0: all are local; 1: all are global. */
static bool read_layer_types(importer *im, const json_t *types, uint64_t *every) {
    size_t i, n = json_array_size(types), first = n;
    for (i = n; i-- > 0;) {
        const char *said = json_string_value(json_array_get(types, i));
        if (said && !strcmp(said, "full_attention")) first = i;
    }
    *every = first == n ? 0 : first + 1;
    bool ok = n == im->n_layer;
    for (i = 0; i < n && ok; i++) {
        const char *said = json_string_value(json_array_get(types, i));
        const char *wanted = *every && (i + 1) % *every == 0 ? "full_attention" : "sliding_attention";
        ok = said && !strcmp(said, wanted);
    }
    return ok || solo_fail(im->err, SOLO_UNSUPPORTED,
                           "%s/%s: 'layer_types': wanted %llu, each n-th \"full_attention\", the others "
                           "\"sliding_attention\", found others",
                           im->folder, im->file, (unsigned long long)im->n_layer);
}

static bool read_window(importer *im) {
    const bool is_mixed = im->arch->flags & IMPORT_POST_NORMS; /* of the two kinds of layers */
    const json_t *window = setting(im, "sliding_window"), *use = setting(im, "use_sliding_window"),
                 *types = setting(im, "layer_types"), *pattern = setting(im, "sliding_window_pattern");
    uint64_t every = 0;
    if (json_integer_value(window) <= 0) return true;
    if (use ? !json_is_true(use) : strncmp(im->arch->name, "qwen", 4) == 0) return true;
    if (types && !read_layer_types(im, types, &every)) return false;
    if (every == 1) return true;
    if (every > 1 && !is_mixed)
        return solo_fail(im->err, SOLO_UNSUPPORTED,
                         "%s/%s: 'layer_types': wanted layers of one kind in a %s, found two", im->folder, im->file,
                         im->arch->said);
    put_u32(im, "attention.sliding_window", (uint64_t)json_integer_value(window));
    if (!is_mixed) return true;
    if (types) put_u32(im, "attention.sliding_window_pattern", every ? every : im->n_layer + 1);
    else if (json_integer_value(pattern) > 0)
        put_u32(im, "attention.sliding_window_pattern", (uint64_t)json_integer_value(pattern));
    return true;
}

/* ---- RoPE --------------------------------------------------------------------------------- */

static double number_of(const json_t *object, const char *key, double missing) {
    const json_t *v = json_object_get(object, key);
    return json_is_number(v) ? json_number_value(v) : missing;
}

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
static bool read_llama3(importer *im, const json_t *scaling) {
    const double by = number_of(scaling, "factor", 0), low = number_of(scaling, "low_freq_factor", 0),
                 high = number_of(scaling, "high_freq_factor", 0),
                 n_ctx = number_of(scaling, "original_max_position_embeddings", 0);
    const uint64_t n = im->head_dim / 2;
    if (!(by > 0) || !(high > low) || !(low > 0) || !(n_ctx > 0))
        return solo_fail(im->err, SOLO_FILE_FORMAT, "%s/%s: rope_scaling: wanted factor, low_freq_factor below "
                         "high_freq_factor, and original_max_position_embeddings, found others", im->folder, im->file);
    float *factor = solo_alloc((size_t)n * sizeof *factor);
    for (uint64_t i = 0; i < n; i++) {
        double wave = 2 * 3.14159265358979323846 * pow(im->rope_base, 2.0 * (double)i / (double)im->head_dim);
        double smooth = (n_ctx / wave - low) / (high - low);
        factor[i] = (float)(1 / ((1 - smooth) / by + smooth));
        if (wave < n_ctx / high) factor[i] = 1.0f;
        if (wave > n_ctx / low) factor[i] = (float)by;
    }
    add_factors(im, "rope_freqs.weight", factor, n);
    return true;
}

static bool read_long_rope(importer *im, const json_t *scaling) {
    uint64_t n_orig;
    const uint64_t n = im->rope_dim / 2;
    double inside = number_of(scaling, "original_max_position_embeddings", 0);
    if (!read_size(im, "original_max_position_embeddings", (uint64_t)inside, &n_orig)) return false;
    double longer = (double)im->n_ctx / (double)n_orig;
    put_u32(im, "rope.scaling.original_context_length", n_orig);
    put_f32(im, "rope.scaling.attn_factor",
            number_of(scaling, "attention_factor", longer <= 1 ? 1 : sqrt(1 + log(longer) / log((double)n_orig))));
    return listed_factors(im, json_object_get(scaling, "long_factor"), "long_factor", "rope_factors_long.weight", n) &&
           listed_factors(im, json_object_get(scaling, "short_factor"), "short_factor", "rope_factors_short.weight", n);
}

/* YaRN's factor on cos and sin as a GGUF says it: a multiple of 1 + ln(factor) / 10, which a reader computes. */
static double yarn_attn_factor(const json_t *scaling, double by) {
    const double ln = by > 1 ? log(by) / 10 : 0, own = 1 + ln;
    const double some = number_of(scaling, "mscale", 0), all = number_of(scaling, "mscale_all_dim", 0);
    double wanted = some > 0 && all > 0 ? (1 + some * ln) / (1 + all * ln) : own;
    return number_of(scaling, "attention_factor", wanted) / own;
}

static bool read_yarn(importer *im, const json_t *scaling) {
    const double n_orig = number_of(scaling, "original_max_position_embeddings", (double)im->n_ctx),
                 by = number_of(scaling, "factor", (double)im->n_ctx / n_orig);
    if (!(by >= 1) || !(n_orig >= 1) || json_is_false(json_object_get(scaling, "truncate")))
        return solo_fail(im->err, SOLO_UNSUPPORTED, "%s/%s: rope_scaling: wanted yarn with a factor of 1 or more, an "
                         "original_max_position_embeddings and no \"truncate\": false, found others",
                         im->folder, im->file);
    if (by * n_orig > (double)im->n_ctx) im->n_ctx = (uint64_t)(by * n_orig);
    solo_gguf_put_str(&im->a->w, key_of(im, "rope.scaling.type"), "yarn");
    put_f32(im, "rope.scaling.factor", by);
    put_u32(im, "rope.scaling.original_context_length", (uint64_t)n_orig);
    put_f32(im, "rope.scaling.attn_factor", yarn_attn_factor(scaling, by));
    put_f32(im, "rope.scaling.yarn_beta_fast", number_of(scaling, "beta_fast", 32));
    put_f32(im, "rope.scaling.yarn_beta_slow", number_of(scaling, "beta_slow", 1));
    return true;
}

static bool read_scaling(importer *im, const json_t *scaling) {
    const char *type = json_string_value(json_object_get(scaling, "rope_type"));
    if (!type) type = json_string_value(json_object_get(scaling, "type"));
    if (!type || !strcmp(type, "default")) return true;
    if (!strcmp(type, "llama3")) return read_llama3(im, scaling);
    if (!strcmp(type, "longrope") || !strcmp(type, "su")) return read_long_rope(im, scaling);
    if (!strcmp(type, "yarn")) return read_yarn(im, scaling);
    if (!strcmp(type, "linear")) {
        put_f32(im, "rope.scaling.factor", number_of(scaling, "factor", 1));
        return true;
    }
    return solo_fail(im->err, SOLO_UNSUPPORTED,
                     "%s/%s: rope_scaling: wanted default, linear, llama3, longrope or yarn, found \"%.60s\"",
                     im->folder, im->file, type);
}

/* rope_parameters says all of it in one place, for each kind of layers where there are two; before it there were
 * rope_theta, rope_scaling, and rope_local_base_freq. */
static bool read_rope(importer *im) {
    const json_t *all = setting(im, "rope_parameters"), *global = json_object_get(all, "full_attention"),
                 *local = json_object_get(all, "sliding_attention"), *scaling = setting(im, "rope_scaling");
    if (!global) global = all;
    im->rope_base = number_of(global, "rope_theta", json_number_value(setting(im, "rope_theta")));
    if (!(im->rope_base > 0)) im->rope_base = 10000;
    double part = number_of(global, "partial_rotary_factor", json_number_value(setting(im, "partial_rotary_factor")));
    im->rope_dim = (uint64_t)((double)im->head_dim * (part > 0 ? part : 1));
    put_f32(im, "rope.freq_base", im->rope_base);
    put_u32(im, "rope.dimension_count", im->rope_dim);
    if (im->arch->flags & IMPORT_TWO_ROPES)
        put_f32(im, "rope.freq_base_swa",
                number_of(local, "rope_theta", json_number_value(setting(im, "rope_local_base_freq"))));
    return read_scaling(im, json_is_object(global) ? global : scaling);
}

bool import_settings(importer *im) {
    find_config(im);
    if (!read_sizes(im) || !read_window(im) || (!(im->arch->flags & IMPORT_NO_ROPE) && !read_rope(im))) return false;
    put_u32(im, "context_length", im->n_ctx); /* which yarn lengthens */
    put_cap(im, "attn_logit_softcapping");
    put_cap(im, "final_logit_softcapping");
    return true;
}
