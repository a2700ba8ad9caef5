/* sweep_synth.c: the models of a sweep, as files in a folder of its own. */
#include "sweep.h"

#include <stdlib.h>
#include <unistd.h>

static void path_of(const sweep_bench *bench, char path[300]) { snprintf(path, 300, "%s/model.gguf", bench->folder); }

static bool make_folder(sweep_bench *bench, solo_error *err) {
    const char *base = getenv("TMPDIR");
    if (bench->folder[0]) return true;
    snprintf(bench->folder, sizeof bench->folder, "%.150s/solo-sweep-XXXXXX", base && *base ? base : "/tmp");
    if (mkdtemp(bench->folder)) return true;
    snprintf(err->text, sizeof err->text, "%s: wanted a folder for model files, found none", bench->folder);
    err->status = SOLO_FILE_IO;
    bench->folder[0] = '\0';
    return false;
}

bool sweep_synth(sweep_bench *bench, const solo_synth_desc *synth, solo_model **out, solo_error *err) {
    char path[300];
    solo_synth_desc desc = *synth;
    *out = NULL;
    if (!make_folder(bench, err)) return false;
    path_of(bench, path);
    desc.path = path;
    return solo_synth_write(&desc, NULL, err) && solo_model_open(out, &(solo_model_desc){.path = path}, err);
}

void sweep_synth_end(sweep_bench *bench) {
    char path[300];
    if (!bench->folder[0]) return;
    path_of(bench, path);
    unlink(path);
    rmdir(bench->folder);
}
