/* host.c: what the page gives the core in place of an operating system: reads of a model, and no
 * files. */
#include "import.h"
#include "parallel.h"
#include "source_file.h"

/* Imported. Suspends until the page has the bytes; false: it keeps why, and tells it itself. */
__attribute__((import_module("solo"), import_name("read"))) extern int host_read(uint32_t source,
                                                                                double off, uint32_t n,
                                                                                void *into);

/* The solo_read for a model that the page opens; user is the number that the page gave the source. */
bool solo_web_read(void *user, uint64_t off, uint64_t n, void *into);
bool solo_web_read(void *user, uint64_t off, uint64_t n, void *into) {
    return host_read((uint32_t)(uintptr_t)user, (double)off, (uint32_t)n, into) != 0;
}

/* Imported. */
__attribute__((import_module("solo"), import_name("progress"))) extern void
host_progress(uint32_t what, double done, double total);

/* The solo_progress of whatever runs; user is the page's number for it. */
void solo_web_progress(void *user, uint64_t done, uint64_t total);
void solo_web_progress(void *user, uint64_t done, uint64_t total) {
    host_progress((uint32_t)(uintptr_t)user, (double)done, (double)total);
}

/* Function pointers, which a page cannot write down. */
solo_read *solo_web_reader(void);
solo_read *solo_web_reader(void) { return solo_web_read; }
solo_progress *solo_web_progress_callback(void);
solo_progress *solo_web_progress_callback(void) { return solo_web_progress; }

bool solo_file_map(const char *path, const uint8_t **at, uint64_t *n, solo_error *err) {
    (void)at, (void)n;
    return solo_fail(err, SOLO_ARGUMENT, "%s: wanted bytes or a reader, found a path; a page has no files", path);
}

void solo_file_unmap(const uint8_t *at, uint64_t n) { (void)at, (void)n; }

bool solo_file_is_folder(const char *path) { (void)path; return false; }

bool solo_import_open(solo_source **out, solo_tokenizer **tok, const solo_import_desc *desc, solo_error *err) {
    (void)tok, (void)desc;
    *out = NULL;
    return solo_fail(err, SOLO_UNSUPPORTED, "a page reads models from one file: wanted a .gguf, found a folder");
}

void solo_parallel(uint32_t n, uint32_t least, solo_rounds *rounds, void *user) {
    (void)least;
    rounds(user, 0, n);
}
