/* host.c: what the page gives the core in place of an operating system: reads of a model, and no
 * files. */
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

/* Imported. Suspends until the page has looked: the file's number, 0 where there is none, -1 where that cannot be
 * told. *n_bytes comes with what the folder says of its size, else 0, and goes with what it is. */
__attribute__((import_module("solo"), import_name("open"))) extern int host_open(uint32_t folder, const char *name,
                                                                                double *n_bytes);

/* The solo_open for a folder that the page has; user is its number. */
bool solo_web_open(void *user, const char *name, void **file, uint64_t *n_bytes);
bool solo_web_open(void *user, const char *name, void **file, uint64_t *n_bytes) {
    double n = (double)*n_bytes;
    int number = host_open((uint32_t)(uintptr_t)user, name, &n);
    *file = (void *)(uintptr_t)(number > 0 ? number : 0);
    *n_bytes = (uint64_t)n;
    return number >= 0;
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
solo_open *solo_web_opener(void);
solo_open *solo_web_opener(void) { return solo_web_open; }
solo_progress *solo_web_progress_callback(void);
solo_progress *solo_web_progress_callback(void) { return solo_web_progress; }

bool solo_file_map(const char *path, const uint8_t **at, uint64_t *n, solo_error *err) {
    (void)at, (void)n;
    return solo_fail(err, SOLO_ARGUMENT, "%s: wanted bytes or a reader, found a path; a page has no files", path);
}

void solo_file_unmap(const uint8_t *at, uint64_t n) { (void)at, (void)n; }

bool solo_file_exists(const char *path) { (void)path; return false; }

bool solo_file_is_folder(const char *path) { (void)path; return false; }

void solo_parallel(uint32_t n, uint32_t least, solo_rounds *rounds, void *user) {
    (void)least;
    rounds(user, 0, n);
}
