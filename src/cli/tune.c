/* tune.c: `--factoring auto` and `solo tune`: asks the cache file, else solo_tune, and says what was
 * found. */
#include "cli.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool cli_wants_auto(const cli_options *options) {
    return options->plan.factoring && strcmp(options->plan.factoring, "auto") == 0;
}

/* $XDG_CACHE_HOME counts where it is absolute, as its specification says. "": no place. */
static void find_path(char path[1000]) {
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int n = 1000;
    if (cache && cache[0] == '/') n = snprintf(path, 1000, "%s/solo/tune.json", cache);
    else if (home && home[0] == '/') n = snprintf(path, 1000, "%s/.cache/solo/tune.json", home);
    if (n >= 1000) path[0] = '\0';
}

/* The plan that the cache file names. False: there is none, or it does not open any more. */
static bool open_remembered(cli_engine *engine, const solo_plan_desc *desc, const char *key) {
    cli_tuning *t = &engine->tuning;
    solo_error err = {0};
    char note[400];
    if (!t->path[0]) return false;
    if (!cli_tune_cache_find(t->path, key, &t->result, note)) {
        if (note[0]) cli_note("%s", note);
        return false;
    }
    const solo_tune_choice *choice = &t->result.row[t->result.best].choice;
    t->from_cache = solo_tune_open(desc, choice, &engine->plan, &err);
    if (!t->from_cache) cli_note("the factoring remembered does not open: %s", err.text);
    return t->from_cache;
}

bool cli_engine_open_auto(cli_engine *engine, const cli_options *options, bool fresh) {
    solo_error err = {0};
    if (!engine->weights && !cli_engine_open_weights(engine, options)) return false;
    cli_tuning *t = &engine->tuning;
    solo_tune_desc desc = {.plan = options->plan, .all = options->all};
    desc.plan.weights = engine->weights;
    desc.plan.factoring = NULL;
    if (engine->device_info.is_reference)
        return solo_plan_open(&engine->plan, &desc.plan, &err) || (cli_fail(&err), false);
    char key[SOLO_TUNE_KEY_BYTES], note[400];
    solo_tune_key(&desc.plan, key);
    find_path(t->path);
    bool is_seen = isatty(STDERR_FILENO);
    if (is_seen) fprintf(stderr, "choosing a factoring for %.60s ...", engine->device_info.name);
    bool ok = !fresh && open_remembered(engine, &desc.plan, key);
    if (!ok) {
        ok = solo_tune(&desc, &t->result, &engine->plan, &err);
        if (is_seen) fputs("\r\033[K", stderr);
        if (!ok) return cli_fail(&err), false;
        if (t->path[0] && !cli_tune_cache_store(t->path, key, &t->result, note))
            cli_note("%s", note);
    } else if (is_seen) {
        fputs("\r\033[K", stderr);
    }
    t->is_set = true;
    return true;
}

/* ---- what was found ----------------------------------------------------------------------- */

json_t *cli_tuning_json(const cli_tuning *t) {
    json_t *o = cli_tune_json(&t->result);
    json_object_set_new(o, "from_cache", json_boolean(t->from_cache));
    json_object_set_new(o, "cache", cli_json_text(t->path, strlen(t->path)));
    return o;
}

static const char *ms_text(double ms, char text[32]) {
    if (ms > 0 && isfinite(ms)) snprintf(text, 32, "%.3f", ms);
    else snprintf(text, 32, "-");
    return text;
}

void cli_tuning_print(const cli_tuning *t) {
    char a[32], b[32], size[32];
    const solo_tune_result *r = &t->result;
    printf("\nauto           %s%s\n", t->from_cache ? "remembered in " : "measured now; kept in ",
           t->path[0] ? t->path : "no file");
    cli_probe_print(&r->probe);
    printf("\n%-12s %6s %10s %9s %13s %12s\n", "factoring", "lanes", "dispatches", "hand-offs",
           "predicted ms", "measured ms");
    for (uint32_t i = 0; i < r->n_row; i++) {
        const solo_tune_row *row = &r->row[i];
        snprintf(size, sizeof size, "%" PRIu32, row->choice.workgroup_size);
        printf("%-12s %6s %10" PRIu32 " %9" PRIu32 " %13s %12s  %s%s\n", row->choice.factoring,
               row->choice.workgroup_size ? size : "-", row->n_dispatch, row->n_hand_off,
               ms_text(row->predicted_ms, a), ms_text(row->measured_ms, b),
               i == r->best ? "picked" : "", row->note);
    }
}

int cli_tune(const cli_options *options) {
    cli_engine engine = {0};
    int code = CLI_FAILED;
    if (options->plan.factoring && !cli_wants_auto(options))
        return cli_fail_text("wanted no --factoring, found '%s': tune picks it",
                             options->plan.factoring),
               CLI_USAGE;
    if (!cli_engine_open_weights(&engine, options)) goto done;
    if (engine.device_info.is_reference) {
        code = cli_fail_text("wanted a WebGPU adapter, found the CPU reference");
        goto done;
    }
    if (!cli_engine_open_auto(&engine, options, true)) goto done;
    if (options->json) {
        json_t *o = cli_tuning_json(&engine.tuning);
        json_object_set_new(o, "device", cli_device_json(&engine.device_info));
        code = cli_print_json(o);
    } else {
        printf("adapter        %s%s\n", engine.device_info.name,
               engine.device_info.is_software ? " (software adapter)" : "");
        cli_tuning_print(&engine.tuning);
        code = cli_finish_output();
    }
done:
    cli_engine_close(&engine);
    return code;
}
