/* text.c: the token functions of solo.h, whose work is in tokenizer*.c, and UTF-8 in streams. */
#include "model.h"
#include "unicode.h"

bool solo_tokenize(const solo_model *model, const char *text, size_t n_text, bool add_bos,
                   bool parse_special, uint32_t **ids, uint32_t *n_ids, solo_error *err) {
    return solo_tokenizer_encode(model->tokenizer, text, n_text, add_bos, parse_special, ids, n_ids,
                                 err);
}

const char *solo_token_bytes(const solo_model *model, uint32_t id, bool show_special, size_t *n) {
    return solo_tokenizer_bytes(model->tokenizer, id, show_special, n);
}

bool solo_detokenize(const solo_model *model, const uint32_t *ids, uint32_t n_ids,
                     bool show_special, char **text, size_t *n_text, solo_error *err) {
    return solo_tokenizer_decode(model->tokenizer, ids, n_ids, show_special, text, n_text, err);
}

bool solo_token_is_end(const solo_model *model, uint32_t id) {
    return solo_tokenizer_is_end(model->tokenizer, id);
}

/* ---- streams ------------------------------------------------------------------------------ */

static size_t write_replacement(char *out) {
    memcpy(out, "\xEF\xBF\xBD", 3);
    return 3;
}

/* Whether byte can follow what is held, which is the start of a well-formed character. */
static bool may_follow(const solo_utf8_stream *s, uint8_t byte) {
    uint8_t lo, hi;
    solo_utf8_length((uint8_t)s->held[0], &lo, &hi);
    if (s->n_held > 1) return (byte & 0xC0) == 0x80;
    return byte >= lo && byte <= hi;
}

size_t solo_utf8_push(solo_utf8_stream *stream, const char *bytes, size_t n, char *out) {
    size_t n_out = 0;
    if (!bytes) {
        if (stream->n_held > 0) n_out = write_replacement(out);
        stream->n_held = 0;
        return n_out;
    }
    for (size_t i = 0; i < n; i++) {
        uint8_t byte = (uint8_t)bytes[i], lo, hi;
        if (stream->n_held > 0 && !may_follow(stream, byte)) {
            n_out += write_replacement(out + n_out);
            stream->n_held = 0;
        }
        if (stream->n_held == 0 && solo_utf8_length(byte, &lo, &hi) == 0) {
            n_out += write_replacement(out + n_out);
            continue;
        }
        stream->held[stream->n_held++] = (char)byte;
        if (stream->n_held == solo_utf8_length((uint8_t)stream->held[0], &lo, &hi)) {
            memcpy(out + n_out, stream->held, stream->n_held);
            n_out += stream->n_held;
            stream->n_held = 0;
        }
    }
    return n_out;
}
