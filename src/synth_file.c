/* synth_file.c: solo_synth_write: a synthetic model as a file, which has its name only once it is whole and read. */
#include "synth.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

typedef struct output {
    const char *path;
    int         fd;
    uint64_t    done, total;
} output;

static bool write_all(void *user, const void *data, size_t n, solo_error *err) {
    output *o = user;
    const char *at = data;
    if (!at) {
        o->total = n;
        return true;
    }
    while (n > 0) {
        ssize_t wrote = write(o->fd, at, n);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0)
            return solo_fail(err, SOLO_FILE_IO, "%s: wanted to write %llu bytes of weights, stopped after %llu: %s",
                             o->path, (unsigned long long)o->total, (unsigned long long)o->done, strerror(errno));
        at += wrote, n -= (size_t)wrote, o->done += (uint64_t)wrote;
    }
    return true;
}

/* What was written is opened as any model is: a file that Solo cannot read never gets its name. */
static bool check_file(const char *path, solo_error *err) {
    solo_model *model;
    if (!solo_model_open(&model, &(solo_model_desc){.path = path}, err)) return false;
    solo_model_close(model);
    return true;
}

bool solo_synth_write(const solo_synth_desc *desc, uint64_t *n_bytes, solo_error *err) {
    SOLO_ASSERT(desc->path);
    solo_text part = {0};
    solo_text_add(&part, "%s.part-%ld", desc->path, (long)getpid());
    output o = {.path = desc->path, .fd = open(part.at, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)};
    bool ok = o.fd >= 0 || solo_fail(err, SOLO_FILE_IO, "%s: wanted to write it, found: %s", part.at, strerror(errno));
    ok = ok && solo_synth_emit(desc, write_all, &o, n_bytes, err);
    if (o.fd >= 0 && close(o.fd) != 0 && ok) /* some file systems tell of a full disk only here */
        ok = solo_fail(err, SOLO_FILE_IO, "%s: %s", desc->path, strerror(errno));
    ok = ok && check_file(part.at, err);
    if (ok && rename(part.at, desc->path) != 0)
        ok = solo_fail(err, SOLO_FILE_IO, "%s: wanted to replace it, found: %s", desc->path, strerror(errno));
    if (!ok && o.fd >= 0) unlink(part.at);
    free(part.at);
    return ok;
}
