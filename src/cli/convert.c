/* convert.c: `solo convert`: a model file or folder written as a GGUF of another type. */
#include "cli.h"

#include "solo_files.h"

#include <unistd.h>

static void show_progress(void *user, uint64_t done, uint64_t total) {
    (void)user;
    fprintf(stderr, "\rwriting %.0f of %.0f MB", (double)done * 1e-6, (double)total * 1e-6);
}

int cli_convert(const cli_options *options) {
    bool is_seen = isatty(STDERR_FILENO);
    uint64_t n_bytes;
    solo_error err = {0};
    bool ok = solo_convert(&(solo_convert_desc){.in = options->in, .path = options->out, .type = options->type,
                                                .progress = is_seen ? show_progress : NULL}, &n_bytes, &err);
    if (is_seen) fputs("\r\033[K", stderr);
    if (!ok) return err.status == SOLO_ARGUMENT ? (cli_fail(&err), CLI_USAGE) : cli_fail(&err);
    cli_note("%s: %.1f MB", options->out, (double)n_bytes * 1e-6);
    return CLI_OK;
}
