/* engine.c: the chain model, device, weights, plan, session for a command, with a progress bar
 * while the weights load. */
#include "cli.h"

#include <unistd.h>

/* A bar of 30 cells on stderr, redrawn when a cell or a whole percent changes. */
typedef struct progress {
    const char *label;
    int         shown; /* percent on the screen; -1: nothing yet */
} progress;

static void draw_progress(void *user, uint64_t done, uint64_t total) {
    enum { N_CELL = 30 };
    static const char cells[] = "##############################";
    progress *p = user;
    int percent = total ? (int)((double)done / (double)total * 100) : 100;
    if (percent == p->shown) return;
    p->shown = percent;
    int full = percent * N_CELL / 100;
    fprintf(stderr, "\rloading %.40s [%.*s%*s] %3d %%", p->label, full, cells, N_CELL - full, "",
            percent);
    fflush(stderr);
}

static void clear_progress(const progress *p) {
    if (p->shown >= 0) fputs("\r\033[K", stderr);
}

bool cli_engine_open_model(cli_engine *engine, const cli_options *options) {
    solo_error err = {0};
    if (solo_model_open(&engine->model, &(solo_model_desc){.path = options->model, .quant = options->quant}, &err))
        return true;
    return cli_fail(&err), false;
}

bool cli_engine_open_weights(cli_engine *engine, const cli_options *options) {
    solo_error err = {0};
    if (!engine->model && !cli_engine_open_model(engine, options)) return false;
    if (!solo_device_open(&engine->device, &(solo_device_desc){.name = options->device}, &err))
        return cli_fail(&err), false;
    engine->device_info = solo_device_get_info(engine->device);

    solo_model_info info = solo_model_get_info(engine->model);
    progress bar = {.label = info.name, .shown = -1};
    bool ok = solo_weights_open(&engine->weights,
                                &(solo_weights_desc){
                                    .model = engine->model,
                                    .device = engine->device,
                                    .progress = isatty(STDERR_FILENO) ? draw_progress : NULL,
                                    .progress_user = &bar,
                                },
                                &err);
    clear_progress(&bar);
    if (!ok) return cli_fail(&err), false;
    return true;
}

bool cli_engine_open_plan(cli_engine *engine, const cli_options *options) {
    solo_error err = {0};
    if (!engine->weights && !cli_engine_open_weights(engine, options)) return false;
    if (cli_wants_auto(options)) return cli_engine_open_auto(engine, options, false);
    solo_plan_desc desc = options->plan;
    desc.weights = engine->weights;
    bool is_seen = isatty(STDERR_FILENO); /* shaders may take a minute on a software adapter */
    if (is_seen) fprintf(stderr, "compiling shaders for %.60s ...", engine->device_info.name);
    bool ok = solo_plan_open(&engine->plan, &desc, &err);
    if (is_seen) fputs("\r\033[K", stderr);
    return ok || (cli_fail(&err), false);
}

bool cli_engine_open_session(cli_engine *engine, const cli_options *options) {
    solo_error err = {0};
    if (!engine->plan && !cli_engine_open_plan(engine, options)) return false;
    solo_session_desc desc = {.plan = engine->plan, .sampling = options->sampling};
    if (!solo_session_open(&engine->session, &desc, &err)) return cli_fail(&err), false;
    return true;
}

void cli_engine_close(cli_engine *engine) {
    solo_session_close(engine->session);
    solo_plan_close(engine->plan);
    solo_weights_close(engine->weights);
    solo_device_close(engine->device);
    solo_model_close(engine->model);
    *engine = (cli_engine){0};
}

/* A plan may be demoted when it opens, a session later: the sentence that says so, or NULL. */
static const char *fallback_note(const cli_engine *engine, char note[256]) {
    solo_session_info session = solo_session_get_info(engine->session);
    solo_plan_info    plan = solo_plan_get_info(engine->plan);
    if (!session.fell_back && !plan.note[0]) return NULL;
    snprintf(note, 256, "%s", session.fell_back && session.note[0] ? session.note : plan.note);
    return note;
}

bool cli_engine_fell_back(const cli_engine *engine) {
    char note[256];
    return fallback_note(engine, note) != NULL;
}

void cli_engine_tell_fallback(const cli_engine *engine) {
    static bool told;
    char note[256];
    if (told || !fallback_note(engine, note)) return;
    told = true;
    cli_note("%s", note);
}
