/* synth.c: `solo synth`: a model file of a known shape with random weights. */
#include "cli.h"

#include <unistd.h>

static void show_progress(void *user, uint64_t done, uint64_t total) {
    (void)user;
    fprintf(stderr, "\rwriting %.0f of %.0f MB", (double)done * 1e-6, (double)total * 1e-6);
}

int cli_synth(const cli_options *options) {
    bool is_seen = isatty(STDERR_FILENO);
    uint64_t n_bytes;
    solo_error err = {0};
    double t = cli_now();
    bool ok = solo_synth_write(&(solo_synth_desc){.preset = options->in,
                                                  .path = options->out,
                                                  .type = options->type,
                                                  .output_type = options->output_type,
                                                  .seed = options->sampling.seed,
                                                  .n_ctx = options->plan.n_ctx,
                                                  .progress = is_seen ? show_progress : NULL},
                               &n_bytes, &err);
    t = cli_now() - t;
    if (is_seen) fputs("\r\033[K", stderr);
    if (!ok) return err.status == SOLO_ARGUMENT ? (cli_fail(&err), CLI_USAGE) : cli_fail(&err);
    cli_note("%s: %.1f MB of random weights in %.1f s", options->out, (double)n_bytes * 1e-6, t);
    return CLI_OK;
}
