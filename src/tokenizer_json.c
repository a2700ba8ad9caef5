/* tokenizer_json.c: a tokenizer from Hugging Face's tokenizer.json: the vocabulary and merges of its
 * BPE model, added tokens, and what of its normalizer and pre-tokenizer the two kinds of
 * tokenizer_internal.h can do. Anything else is refused by its name. */
#include "tokenizer_internal.h"

#include <jansson.h>

typedef struct reader {
    solo_tokenizer *tok;
    const char     *label;
    solo_error     *err;
    bool            byte_level, splits_spaces;
    const char     *escapes; /* what a space becomes: U+2581; NULL: nothing does */
    solo_str        cut[SOLO_MAX_CUT]; /* patterns */
    uint32_t        n_cut;
} reader;

static bool refuse(const reader *r, solo_status status, const char *field, const char *wanted, const json_t *found) {
    char *text = found ? json_dumps(found, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    solo_fail(r->err, status, "%s: %s: wanted %s, found %.200s", r->label, field, wanted, text ? text : "nothing");
    free(text);
    return false;
}

static bool is(const json_t *value, const char *text) {
    return json_is_string(value) && strcmp(json_string_value(value), text) == 0;
}
static bool is_type(const json_t *object, const char *type) { return is(json_object_get(object, "type"), type); }

/* A flag; what a file without it means. */
static bool flag(const json_t *object, const char *key, bool missing) {
    const json_t *value = json_object_get(object, key);
    return json_is_boolean(value) ? json_is_true(value) : missing;
}

static solo_str str_of(const json_t *value) {
    return (solo_str){json_string_value(value), json_string_length(value)};
}

/* ---- normalizer --------------------------------------------------------------------------- */

static bool read_normalizer(reader *r, const json_t *n) {
    solo_tokenizer *tok = r->tok;
    if (!n || json_is_null(n)) return true;
    if (is_type(n, "Sequence")) {
        size_t i;
        json_t *each;
        json_array_foreach(json_object_get(n, "normalizers"), i, each) {
            if (!read_normalizer(r, each)) return false;
        }
        return true;
    }
    if (is_type(n, "NFC") && !r->escapes) {
        tok->bpe.normalizes = true;
        return true;
    }
    if (is_type(n, "Prepend") && is(json_object_get(n, "prepend"), SOLO_SPACE_MARK) && !r->escapes) {
        tok->spm.add_space_prefix = true;
        return true;
    }
    if (is_type(n, "Replace") && is(json_object_get(json_object_get(n, "pattern"), "String"), " ") &&
        is(json_object_get(n, "content"), SOLO_SPACE_MARK)) {
        r->escapes = SOLO_SPACE_MARK;
        return true;
    }
    return refuse(r, SOLO_UNSUPPORTED, "normalizer", "NFC, Prepend of U+2581 or Replace of a space by it", n);
}

/* ---- pre_tokenizer ------------------------------------------------------------------------ */

#define GPT2_NAME "gpt2"

static bool add_cut(reader *r, const char *text, size_t n) {
    if (r->n_cut == SOLO_MAX_CUT) {
        return solo_fail(r->err, SOLO_UNSUPPORTED, "%s: pre_tokenizer: wanted at most %u steps, found more", r->label,
                         SOLO_MAX_CUT);
    }
    r->cut[r->n_cut++] = (solo_str){text, n};
    return true;
}

static bool read_byte_level(reader *r, const json_t *p) {
    if (flag(p, "add_prefix_space", true)) {
        return refuse(r, SOLO_UNSUPPORTED, "pre_tokenizer.add_prefix_space", "false",
                      json_object_get(p, "add_prefix_space"));
    }
    r->byte_level = true;
    if (!flag(p, "use_regex", true)) return true;
    const char *gpt2 = solo_pretokenizer_find(SOLO_STR(GPT2_NAME))->text[0];
    return add_cut(r, gpt2, strlen(gpt2));
}

static bool read_metaspace(reader *r, const json_t *p) {
    const json_t *scheme = json_object_get(p, "prepend_scheme");
    solo_spm *spm = &r->tok->spm;
    if (!is(json_object_get(p, "replacement"), SOLO_SPACE_MARK)) {
        return refuse(r, SOLO_UNSUPPORTED, "pre_tokenizer.replacement", "U+2581", json_object_get(p, "replacement"));
    }
    if (flag(p, "split", true)) {
        return refuse(r, SOLO_UNSUPPORTED, "pre_tokenizer.split", "false", json_object_get(p, "split"));
    }
    if (scheme && !is(scheme, "always") && !is(scheme, "first") && !is(scheme, "never")) {
        return refuse(r, SOLO_UNSUPPORTED, "pre_tokenizer.prepend_scheme", "\"always\", \"first\" or \"never\"",
                      scheme);
    }
    r->escapes = SOLO_SPACE_MARK;
    spm->add_space_prefix = scheme ? !is(scheme, "never") : flag(p, "add_prefix_space", true);
    spm->prefix_first = is(scheme, "first");
    spm->prefix_once = true;
    return true;
}

static bool read_split(reader *r, const json_t *p) {
    const json_t *pattern = json_object_get(p, "pattern"), *behaviour = json_object_get(p, "behavior");
    const json_t *regex = json_object_get(pattern, "Regex");
    bool inverted = flag(p, "invert", false);
    if (r->escapes && is(json_object_get(pattern, "String"), " ")) return true; /* no space is left by then */
    if (!json_is_string(regex)) return refuse(r, SOLO_UNSUPPORTED, "pre_tokenizer.pattern", "a Regex", pattern);
    /* The published patterns match everything, so that removing what they do not match is the same. */
    if (!(is(behaviour, "Isolated") && !inverted) && !(is(behaviour, "Removed") && inverted)) {
        return refuse(r, SOLO_UNSUPPORTED, "pre_tokenizer.behavior", "\"Isolated\", or \"Removed\" with invert",
                      behaviour);
    }
    return add_cut(r, json_string_value(regex), json_string_length(regex));
}

static bool read_pre_tokenizer(reader *r, const json_t *p) {
    if (!p || json_is_null(p)) return true;
    if (is_type(p, "Sequence")) {
        size_t i;
        json_t *each;
        json_array_foreach(json_object_get(p, "pretokenizers"), i, each) {
            if (!read_pre_tokenizer(r, each)) return false;
        }
        return true;
    }
    if (is_type(p, "ByteLevel")) return read_byte_level(r, p);
    if (is_type(p, "Metaspace")) return read_metaspace(r, p);
    if (is_type(p, "Split")) return read_split(r, p);
    if (is_type(p, "Digits")) {
        return flag(p, "individual_digits", false) ? add_cut(r, "\\p{N}", 5) : add_cut(r, "\\p{N}+", 6);
    }
    return refuse(r, SOLO_UNSUPPORTED, "pre_tokenizer", "ByteLevel, Split, Digits or Metaspace", p);
}

static bool choose_kind(reader *r) {
    solo_tokenizer *tok = r->tok;
    if (r->byte_level == (r->escapes != NULL)) {
        return solo_fail(r->err, SOLO_UNSUPPORTED, "%s: wanted either a ByteLevel pre-tokenizer or spaces replaced by "
                         "U+2581, found %s", r->label, r->byte_level ? "both" : "neither");
    }
    tok->is_spm = !r->byte_level;
    tok->spm.by_merges = tok->is_spm;
    if (tok->is_spm && (r->n_cut > 0 || tok->bpe.normalizes)) {
        return solo_fail(r->err, SOLO_UNSUPPORTED,
                         "%s: wanted no pattern and no NFC where spaces are replaced by U+2581",
                         r->label);
    }
    const solo_pretokenizer_row *row = solo_pretokenizer_known(r->cut, r->n_cut);
    tok->kind = tok->is_spm ? "llama" : row ? row->kind : "gpt2/pattern";
    for (uint32_t i = 0; i < r->n_cut; i++) {
        char what[300];
        snprintf(what, sizeof what, "%.250s: pre_tokenizer", r->label);
        if (!solo_pretokenizer_add(&tok->bpe.rule, r->cut[i], what, r->err)) return false;
    }
    return true;
}

/* ---- vocabulary --------------------------------------------------------------------------- */

/* The id of a vocabulary or added_tokens entry, within what n entries may reach. */
static bool read_id(const reader *r, const json_t *value, size_t n, const char *field, uint32_t *id) {
    json_int_t v = json_integer_value(value);
    if (!json_is_integer(value) || v < 0 || (uint64_t)v >= (uint64_t)n + 65536) {
        return refuse(r, SOLO_FILE_FORMAT, field, "an id of 0 to the number of tokens (with few left out)", value);
    }
    *id = (uint32_t)v;
    return true;
}

typedef struct entry {
    solo_str text;
    uint32_t id;
    uint8_t  type, strips;
} entry;

static bool read_added(const reader *r, const json_t *token, size_t n, entry *e) {
    const json_t *content = json_object_get(token, "content");
    if (!json_is_string(content)) return refuse(r, SOLO_FILE_FORMAT, "added_tokens", "content that is text", token);
    if (flag(token, "single_word", false)) {
        return refuse(r, SOLO_UNSUPPORTED, "added_tokens", "single_word false", token);
    }
    e->text = str_of(content);
    e->type = flag(token, "special", false) ? SOLO_TOKEN_CONTROL : SOLO_TOKEN_USER_DEFINED;
    e->strips = (uint8_t)((flag(token, "lstrip", false) ? SOLO_STRIPS_LEFT : 0) |
                          (flag(token, "rstrip", false) ? SOLO_STRIPS_RIGHT : 0));
    return read_id(r, json_object_get(token, "id"), n, "added_tokens", &e->id);
}

/* Both lists, the added tokens after the others, whose types they replace. */
static bool read_entries(const reader *r, json_t *vocab, const json_t *added, entry **out, size_t *n_out) {
    size_t n = json_object_size(vocab) + json_array_size(added), i = 0, k;
    entry *e = solo_zalloc(n + 1, sizeof *e);
    const char *text;
    json_t *value;
    bool ok = n > 0 && n <= 1u << 24;
    if (!ok) refuse(r, SOLO_FILE_FORMAT, "model.vocab", "1 to 2^24 tokens", NULL);
    if (ok) json_object_foreach(vocab, text, value) {
        uint8_t byte;
        e[i].text = (solo_str){text, strlen(text)};
        e[i].type = r->tok->is_spm && solo_spm_byte_of(e[i].text, &byte) ? SOLO_TOKEN_BYTE : SOLO_TOKEN_NORMAL;
        ok = read_id(r, value, n, "model.vocab", &e[i].id);
        if (!ok) break;
        i++;
    }
    if (ok) json_array_foreach(added, k, value) {
        ok = read_added(r, value, n, &e[i]);
        if (!ok) break;
        i++;
    }
    *out = e;
    *n_out = i;
    return ok;
}

static void place_entries(solo_tokenizer *tok, const entry *e, size_t n) {
    size_t n_bytes = 0;
    for (size_t i = 0; i < n; i++) {
        if (e[i].id >= tok->n_vocab) tok->n_vocab = e[i].id + 1;
        n_bytes += e[i].text.n;
    }
    tok->text = solo_zalloc(tok->n_vocab, sizeof *tok->text);
    tok->type = solo_zalloc(tok->n_vocab, sizeof *tok->type);
    tok->strips = solo_zalloc(tok->n_vocab, sizeof *tok->strips);
    tok->is_end = solo_zalloc(tok->n_vocab, sizeof *tok->is_end);
    tok->text_pool = solo_alloc(n_bytes + 1);
    memset(tok->type, SOLO_TOKEN_UNUSED, tok->n_vocab); /* ids that no entry has */
    char *to = tok->text_pool;
    for (size_t i = 0; i < n; i++) {
        if (e[i].text.n > 0) memcpy(to, e[i].text.at, e[i].text.n);
        tok->text[e[i].id] = (solo_str){to, e[i].text.n};
        tok->type[e[i].id] = e[i].type;
        tok->strips[e[i].id] = e[i].strips;
        to += e[i].text.n;
    }
    for (uint32_t id = 0; id < tok->n_vocab; id++) {
        if (!tok->text[id].at) tok->text[id].at = "";
    }
}

static bool read_vocabulary(reader *r, const json_t *root, const json_t *model) {
    solo_tokenizer *tok = r->tok;
    entry *e = NULL;
    size_t n = 0;
    bool ok = read_entries(r, json_object_get(model, "vocab"), json_object_get(root, "added_tokens"), &e, &n);
    if (ok) {
        place_entries(tok, e, n);
        ok = solo_tokenizer_index(tok, r->label, r->err);
    }
    free(e);
    const json_t *unknown = json_object_get(model, "unk_token");
    tok->unknown = ok && json_is_string(unknown) ? solo_tokenizer_find(tok, str_of(unknown)) : -1;
    if (tok->unknown >= 0) tok->type[tok->unknown] = SOLO_TOKEN_UNKNOWN;
    return ok;
}

static bool read_merges(reader *r, const json_t *merges) {
    size_t n = json_array_size(merges), i;
    json_t *each;
    if (n > 1u << 28) return refuse(r, SOLO_FILE_FORMAT, "model.merges", "at most 2^28", NULL);
    solo_bpe_start_merges(r->tok, (uint32_t)n);
    json_array_foreach(merges, i, each) {
        solo_str left, right;
        bool is_pair = json_array_size(each) == 2 && json_is_string(json_array_get(each, 0)) &&
                       json_is_string(json_array_get(each, 1));
        if (is_pair) {
            left = str_of(json_array_get(each, 0));
            right = str_of(json_array_get(each, 1));
        } else if (!json_is_string(each) || !solo_bpe_split_merge(str_of(each), &left, &right)) {
            return refuse(r, SOLO_FILE_FORMAT, "model.merges", "two parts", each);
        }
        solo_bpe_add_merge(r->tok, left, right);
    }
    return true;
}

/* ---- the file ----------------------------------------------------------------------------- */

static bool is_empty(const json_t *value) { return !value || json_is_null(value) || is(value, ""); }

static bool check_model(const reader *r, const json_t *model) {
    static const char *const none[] = {"dropout", "continuing_subword_prefix", "end_of_word_suffix"};
    if (!json_is_object(model)) return refuse(r, SOLO_FILE_FORMAT, "model", "an object", model);
    bool is_bpe = is_type(model, "BPE") || (!json_object_get(model, "type") && json_object_get(model, "merges"));
    if (!is_bpe) return refuse(r, SOLO_UNSUPPORTED, "model.type", "\"BPE\"", json_object_get(model, "type"));
    for (uint32_t i = 0; i < SOLO_COUNT(none); i++) {
        char field[60];
        snprintf(field, sizeof field, "model.%s", none[i]);
        const json_t *value = json_object_get(model, none[i]);
        if (!is_empty(value)) return refuse(r, SOLO_UNSUPPORTED, field, "null", value);
    }
    if (!json_is_object(json_object_get(model, "vocab"))) {
        return refuse(r, SOLO_FILE_FORMAT, "model.vocab", "an object", NULL);
    }
    return true;
}

/* A template that puts a token in front of a text names the bos token. */
static void read_post_processor(solo_tokenizer *tok, const json_t *p) {
    if (is_type(p, "Sequence")) {
        size_t i;
        json_t *each;
        json_array_foreach(json_object_get(p, "processors"), i, each) read_post_processor(tok, each);
        return;
    }
    const json_t *first = json_array_get(json_object_get(p, "single"), 0);
    const json_t *name = json_object_get(json_object_get(first, "SpecialToken"), "id");
    if (!is_type(p, "TemplateProcessing") || !json_is_string(name)) return;
    tok->bos = solo_tokenizer_find(tok, str_of(name));
    tok->add_bos = tok->bos >= 0;
}

static bool read_root(reader *r, const json_t *root) {
    solo_tokenizer *tok = r->tok;
    const json_t *model = json_object_get(root, "model");
    tok->bos = tok->eos = tok->unknown = -1;
    if (!check_model(r, model) || !read_normalizer(r, json_object_get(root, "normalizer")) ||
        !read_pre_tokenizer(r, json_object_get(root, "pre_tokenizer")) || !choose_kind(r) ||
        !read_vocabulary(r, root, model) || !read_merges(r, json_object_get(model, "merges"))) {
        return false;
    }
    tok->bpe.takes_whole_words = flag(model, "ignore_merges", false);
    solo_tokenizer_finish(tok);
    read_post_processor(tok, json_object_get(root, "post_processor"));
    if (!tok->is_spm) {
        solo_bpe_fill_byte_ids(tok);
        return true;
    }
    for (uint32_t id = 0; id < tok->n_vocab; id++) {
        if (tok->text[id].n > tok->spm.max_bytes) tok->spm.max_bytes = tok->text[id].n;
    }
    return solo_spm_read_bytes(tok, r->label, "model.unk_token", r->err);
}

static json_t *parse(const char *bytes, size_t n, const char *label, solo_error *err) {
    json_error_t why;
    json_t *root = json_loadb(bytes, n, JSON_ALLOW_NUL, &why);
    if (!root) solo_fail(err, SOLO_FILE_FORMAT, "%s:%d: wanted JSON, found: %s", label, why.line, why.text);
    return root;
}

bool solo_tokenizer_open_json(solo_tokenizer **out, const char *bytes, size_t n, const char *label,
                              solo_error *err) {
    reader r = {.tok = solo_zalloc(1, sizeof *r.tok), .label = label, .err = err};
    json_t *root = parse(bytes, n, label, err);
    bool ok = root && read_root(&r, root);
    json_decref(root);
    *out = ok ? r.tok : NULL;
    if (!ok) solo_tokenizer_close(r.tok);
    return ok;
}

/* ---- what lies beside it ------------------------------------------------------------------ */

/* The id that a configuration names by text, or by an object with the text; missing: as it was. */
static bool read_named(const reader *r, const json_t *config, const char *key, int64_t *id) {
    const json_t *value = json_object_get(config, key);
    if (json_is_object(value)) value = json_object_get(value, "content");
    if (is_empty(value)) return true;
    if (!json_is_string(value)) return refuse(r, SOLO_FILE_FORMAT, key, "text", value);
    int64_t found = solo_tokenizer_find(r->tok, str_of(value));
    if (found < 0) return refuse(r, SOLO_FILE_FORMAT, key, "a token of the tokenizer", value);
    *id = found;
    return true;
}

bool solo_tokenizer_set_config(solo_tokenizer *tok, const char *bytes, size_t n, const char *label,
                               solo_error *err) {
    reader r = {.tok = tok, .label = label, .err = err};
    json_t *config = parse(bytes, n, label, err);
    bool ok = config && read_named(&r, config, "bos_token", &tok->bos) &&
              read_named(&r, config, "eos_token", &tok->eos);
    if (ok) {
        if (tok->eos >= 0) tok->is_end[tok->eos] = true;
        tok->add_bos = flag(config, "add_bos_token", tok->add_bos) && tok->bos >= 0;
    }
    json_decref(config);
    return ok;
}

bool solo_tokenizer_add_end(solo_tokenizer *tok, uint32_t id, solo_error *err) {
    if (id >= tok->n_vocab) {
        return solo_fail(err, SOLO_ARGUMENT, "id that ends a text: wanted below %u, found %u", tok->n_vocab, id);
    }
    tok->is_end[id] = true;
    return true;
}
