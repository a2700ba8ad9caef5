/* import.h: a model's folder as a GGUF: Hugging Face's (config.json, safetensors) or MLC's (mlc-chat-config.json and
 * its cache of shards), with tokenizer.json. Names and settings are put into GGUF's by tables; numbers stay where they
 * are until they are read (assembly.h). */
#ifndef SOLO_IMPORT_H
#define SOLO_IMPORT_H

#include "folder.h"
#include "tokenizer.h"

typedef struct solo_import_desc {
    const solo_folder *folder;
    const char *quant; /* of matrices: "q4_0", ...; NULL: as they are */
} solo_import_desc;

/* tok: the folder's own tokenizer, which GGUF's keys may not say all of; the caller's. */
bool solo_import_open(solo_source **out, solo_tokenizer **tok, const solo_import_desc *desc, solo_error *err);

#endif
