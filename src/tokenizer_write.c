/* tokenizer_write.c: see tokenizer_write.h. Merges of a SentencePiece-like vocabulary become scores: a pair that merges
 * earlier makes a token of a higher one. */
#include "tokenizer_write.h"

#include "tokenizer_internal.h"

static void put_merges(const solo_tokenizer *tok, solo_gguf_writer *w) {
    const solo_bpe *bpe = &tok->bpe;
    char **merge = solo_zalloc(bpe->n_merge + 1, sizeof *merge);
    for (uint32_t i = 0; i < bpe->n_merge; i++) {
        solo_str a = tok->text[bpe->pair[i] >> 32], b = tok->text[bpe->pair[i] & UINT32_MAX];
        solo_text text = {0};
        solo_text_add_n(&text, a.at, a.n);
        solo_text_add_n(&text, " ", 1);
        solo_text_add_n(&text, b.at, b.n);
        merge[i] = text.at;
    }
    solo_gguf_put_strs(w, "tokenizer.ggml.merges", merge, bpe->n_merge);
    for (uint32_t i = 0; i < bpe->n_merge; i++) free(merge[i]);
    free(merge);
}

static void put_scores(const solo_tokenizer *tok, uint32_t n_vocab, solo_gguf_writer *w) {
    float *score = solo_alloc(n_vocab * sizeof *score);
    for (uint32_t i = 0; i < n_vocab; i++)
        score[i] = !tok->spm.by_merges && i < tok->n_vocab && tok->spm.score ? tok->spm.score[i] : -1e9f;
    for (uint32_t i = tok->spm.by_merges ? tok->bpe.n_merge : 0; i-- > 0;)
        score[tok->bpe.merged[i]] = -(float)(i + 1); /* the first of several ways to a token stays */
    solo_text bytes = {0}; /* kind of items, count, items */
    uint32_t kind = SOLO_GGUF_F32;
    uint64_t n = n_vocab;
    solo_text_add_n(&bytes, (const char *)&kind, 4);
    solo_text_add_n(&bytes, (const char *)&n, 8);
    solo_text_add_n(&bytes, (const char *)score, n_vocab * sizeof *score);
    solo_gguf_put_raw(w, "tokenizer.ggml.scores", SOLO_GGUF_ARRAY, bytes.at, bytes.n);
    free(bytes.at);
    free(score);
}

static void put_tokens(const solo_tokenizer *tok, uint32_t n_vocab, solo_gguf_writer *w) {
    char **text = solo_zalloc(n_vocab, sizeof *text);
    int32_t *type = solo_zalloc(n_vocab, sizeof *type);
    for (uint32_t i = 0; i < n_vocab; i++) {
        solo_text pad = {0};
        bool known = i < tok->n_vocab && tok->text[i].n;
        if (!known) solo_text_add(&pad, "[PAD%u]", i);
        text[i] = known ? solo_strndup(tok->text[i].at, tok->text[i].n) : pad.at;
        type[i] = known ? tok->type[i] : SOLO_TOKEN_UNUSED;
    }
    solo_gguf_put_strs(w, "tokenizer.ggml.tokens", text, n_vocab);
    solo_gguf_put_i32s(w, "tokenizer.ggml.token_type", type, n_vocab);
    for (uint32_t i = 0; i < n_vocab; i++) free(text[i]);
    free(text), free(type);
}

bool solo_tokenizer_put(const solo_tokenizer *tok, uint32_t n_vocab, solo_gguf_writer *w, solo_error *err) {
    if (n_vocab < tok->n_vocab)
        return solo_fail(err, SOLO_FILE_FORMAT, "vocab_size: wanted at least the tokenizer's %u tokens, found %u",
                         tok->n_vocab, n_vocab);
    const char *slash = strchr(tok->kind, '/');
    solo_gguf_put_str(w, "tokenizer.ggml.model", tok->is_spm ? "llama" : "gpt2");
    solo_gguf_put_str(w, "tokenizer.ggml.pre", tok->is_spm || !slash ? "default" : slash + 1);
    put_tokens(tok, n_vocab, w);
    if (tok->is_spm) put_scores(tok, n_vocab, w);
    else put_merges(tok, w);
    if (tok->bos >= 0) solo_gguf_put_u32(w, "tokenizer.ggml.bos_token_id", (uint32_t)tok->bos);
    if (tok->eos >= 0) solo_gguf_put_u32(w, "tokenizer.ggml.eos_token_id", (uint32_t)tok->eos);
    if (tok->unknown >= 0) solo_gguf_put_u32(w, "tokenizer.ggml.unknown_token_id", (uint32_t)tok->unknown);
    solo_gguf_put_bool(w, "tokenizer.ggml.add_bos_token", tok->add_bos);
    if (tok->is_spm) solo_gguf_put_bool(w, "tokenizer.ggml.add_space_prefix", tok->spm.add_space_prefix);
    return true;
}
