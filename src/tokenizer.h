/* tokenizer.h: text <-> ids from a GGUF's own tables or a tokenizer.json. Two kinds: byte-level BPE
 * with merges ("gpt2", with one of pretokenize.c's rules) and SentencePiece-like BPE with byte fallback
 * ("llama"). Special and added tokens are matched before either. */
#ifndef SOLO_TOKENIZER_H
#define SOLO_TOKENIZER_H

#include "gguf.h"

typedef struct solo_tokenizer solo_tokenizer;

/* Reads tokenizer.ggml.*; copies what it keeps (the gguf may close). */
bool solo_tokenizer_open(solo_tokenizer **out, const solo_gguf *gguf, solo_error *err);
/* The same from a Hugging Face tokenizer.json: byte-level BPE whose pre-tokenizer is one that Solo
 * knows (told by its pattern's text), or BPE in SentencePiece's spelling with byte fallback. What is
 * neither is refused with its name. bytes may go after the call; label is the file's name in
 * messages. A tokenizer.json does not say which token ends a text: see solo_tokenizer_set_config. */
bool solo_tokenizer_open_json(solo_tokenizer **out, const char *bytes, size_t n, const char *label,
                              solo_error *err);
/* tokenizer_config.json, beside it: bos_token, eos_token, add_bos_token. */
bool solo_tokenizer_set_config(solo_tokenizer *tok, const char *bytes, size_t n, const char *label,
                               solo_error *err);
/* More ids that end a text, as generation_config.json or config.json list them. */
bool solo_tokenizer_add_end(solo_tokenizer *tok, uint32_t id, solo_error *err);
void solo_tokenizer_close(solo_tokenizer *tok);

const char *solo_tokenizer_kind(const solo_tokenizer *tok); /* "gpt2/smollm", "llama" */
uint32_t solo_tokenizer_n_vocab(const solo_tokenizer *tok);
int64_t  solo_tokenizer_bos(const solo_tokenizer *tok); /* -1: none */
int64_t  solo_tokenizer_eos(const solo_tokenizer *tok);
bool     solo_tokenizer_add_bos(const solo_tokenizer *tok); /* the file's rule */
/* eos, eot, eom, <|im_end|> and their like */
bool     solo_tokenizer_is_end(const solo_tokenizer *tok, uint32_t id);
int64_t  solo_tokenizer_find(const solo_tokenizer *tok, solo_str text); /* exact token text; -1 */

/* Text to ids, at most 2^28 bytes. add_bos puts the bos token in front where the file's rule says
 * so, but not before a text that begins with it. *ids malloc'd, also where there are none. */
bool solo_tokenizer_encode(const solo_tokenizer *tok, const char *text, size_t n_text, bool add_bos,
                           bool parse_special, uint32_t **ids, uint32_t *n_ids, solo_error *err);
/* Borrowed; *n is 0 for an id that is none, and for a special one unless show_special. */
const char *solo_tokenizer_bytes(const solo_tokenizer *tok, uint32_t id, bool show_special,
                                 size_t *n);
/* The whole text of ids, as the reference decoder gives it (the SentencePiece kind drops the
 * leading space it added). *text malloc'd, NUL-terminated. */
bool solo_tokenizer_decode(const solo_tokenizer *tok, const uint32_t *ids, uint32_t n_ids,
                           bool show_special, char **text, size_t *n_text, solo_error *err);

/* The chat family whose template this looks like, for show: a static string such as "chatml";
 * "custom" where none fits. */
const char *solo_chat_family_of(solo_str template_text);
/* Renders a template with this tokenizer's special tokens. Appends to out. */
bool solo_chat_template_render(solo_str template_text, const solo_tokenizer *tok, const solo_chat_desc *desc,
                               solo_text *out, solo_error *err);

#endif
