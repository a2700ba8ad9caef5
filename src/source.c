/* source.c: bytes in memory and bytes that a host reads. Files are source_file.c's, the one place
 * that knows how a file is reached. */
#include "source_file.h"

#define MAX_KEPT_BYTES (256u << 20) /* ten times the largest vocabulary's: more is a file gone wrong */

static solo_source *source_new(const char *label, uint64_t n_bytes) {
    solo_source *s = solo_zalloc(1, sizeof *s);
    if (!label) label = "(memory)";
    s->name = solo_strndup(label, strlen(label));
    s->n_bytes = n_bytes;
    return s;
}

static bool is_empty(const char *label, uint64_t n_bytes, solo_error *err) {
    if (n_bytes) return false;
    solo_fail(err, SOLO_FILE_FORMAT, "%s: wanted a GGUF file, found an empty file",
              label ? label : "(memory)");
    return true;
}

bool solo_source_open_file(solo_source **out, const char *path, solo_error *err) {
    *out = NULL;
    const uint8_t *at;
    uint64_t n;
    if (!solo_file_map(path, &at, &n, err)) return false;
    solo_source *s = *out = source_new(path, n);
    s->at = at;
    s->n_at = n;
    s->is_file = true;
    return true;
}

bool solo_source_open_memory(solo_source **out, const uint8_t *at, uint64_t n_bytes,
                             const char *label, solo_error *err) {
    *out = NULL;
    if (is_empty(label, at ? n_bytes : 0, err)) return false;
    solo_source *s = *out = source_new(label, n_bytes);
    s->at = at;
    s->n_at = n_bytes;
    return true;
}

bool solo_source_open_reader(solo_source **out, solo_read *read, void *user, uint64_t n_bytes,
                             const char *label, solo_error *err) {
    *out = NULL;
    if (is_empty(label, n_bytes, err)) return false;
    solo_source *s = *out = source_new(label, n_bytes);
    s->read = read;
    s->user = user;
    return true;
}

void solo_source_close(solo_source *s) {
    if (!s) return;
    union { const uint8_t *in; void *out; } at = {.in = s->at};
    if (s->is_file) solo_file_unmap(s->at, s->n_at);
    else if (s->read) free(at.out);
    if (s->close) s->close(s->user);
    free(s->name);
    free(s);
}

static bool host_read(const solo_source *s, uint64_t off, uint64_t n, void *into, solo_error *err) {
    if (s->read(s->user, off, n, into)) return true;
    if (s->why && s->why->text[0]) return solo_fail(err, s->why->status, "%s", s->why->text);
    return solo_fail(err, SOLO_FILE_IO, "%s: its bytes %llu to %llu of %llu cannot be read",
                     s->name, (unsigned long long)off, (unsigned long long)(off + n),
                     (unsigned long long)s->n_bytes);
}

bool solo_source_need(solo_source *s, uint64_t n, solo_error *err) {
    SOLO_ASSERT(n <= s->n_bytes);
    if (n <= s->n_at) return true;
    if (n > MAX_KEPT_BYTES)
        return solo_fail(err, SOLO_FILE_FORMAT, "%s: its head: wanted at most %u bytes, found %llu",
                         s->name, MAX_KEPT_BYTES, (unsigned long long)n);
    union { const uint8_t *in; uint8_t *out; } at = {.in = s->at};
    s->at = at.out = solo_realloc(at.out, (size_t)n);
    if (!host_read(s, s->n_at, n - s->n_at, at.out + s->n_at, err)) return false;
    s->n_at = n;
    return true;
}

bool solo_source_read(const solo_source *s, uint64_t off, uint64_t n, void *into, solo_error *err) {
    SOLO_ASSERT(off <= s->n_bytes && n <= s->n_bytes - off);
    uint64_t kept = off < s->n_at ? s->n_at - off : 0; /* what the head has need not be asked for */
    if (kept > n) kept = n;
    if (kept) memcpy(into, s->at + off, (size_t)kept);
    return kept == n || host_read(s, off + kept, n - kept, (uint8_t *)into + kept, err);
}
