/* tokenizer_write.h: a tokenizer as a GGUF's keys, for files that others read. */
#ifndef SOLO_TOKENIZER_WRITE_H
#define SOLO_TOKENIZER_WRITE_H

#include "gguf_write.h"
#include "tokenizer.h"

/* n_vocab: rows of the embedding; tokens that the tokenizer lacks are filled in as unused ones. Fails where GGUF has
 * no name for the rule that cuts text into words. */
bool solo_tokenizer_put(const solo_tokenizer *tok, uint32_t n_vocab, solo_gguf_writer *w, solo_error *err);

#endif
