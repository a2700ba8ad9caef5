/* load.c: `solo load`: the time and memory of bringing a model to a device. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

/* Memory of the program's own in kB, without mapped files; 0 where the system does not tell. */
static long own_memory(void) {
    FILE *file = fopen("/proc/self/status", "r");
    char line[200];
    long kb = 0;
    while (file && fgets(line, sizeof line, file))
        if (!strncmp(line, "RssAnon:", 8) || !strncmp(line, "RssShmem:", 9))
            kb += strtol(strchr(line, ':') + 1, NULL, 10);
    if (file) fclose(file);
    return kb;
}

static void watch(void *user, uint64_t done, uint64_t total) {
    long *most = user, kb = own_memory();
    (void)done, (void)total;
    if (kb > *most) *most = kb;
}

int cli_load(const cli_options *o) {
    solo_error err = {0};
    solo_device *device = NULL;
    solo_model *model = NULL;
    solo_weights *weights = NULL;
    if (!solo_device_open(&device, &(solo_device_desc){.name = o->device}, &err)) return cli_fail(&err);
    long before = own_memory(), most = before;
    double t0 = cli_now();
    bool ok = solo_model_open(&model, &(solo_model_desc){.path = o->model, .quant = o->quant}, &err);
    double t1 = cli_now();
    ok = ok && solo_weights_open(&weights, &(solo_weights_desc){.model = model, .device = device, .progress = watch,
                                                                .progress_user = &most}, &err);
    double t2 = cli_now();
    if (ok) {
        solo_model_info info = solo_model_get_info(model);
        solo_device_info on = solo_device_get_info(device);
        double rate = (double)info.n_bytes / (t2 - t1);
        if (o->json)
            cli_print_json(json_pack("{s:s, s:s, s:I, s:f, s:f, s:f, s:f}", "adapter", on.name, "file_type",
                                     info.file_type, "n_bytes", (json_int_t)info.n_bytes, "open_s", t1 - t0,
                                     "weights_s", t2 - t1, "bytes_s", rate,
                                     "own_memory_mb", (double)(most - before) / 1024));
        else
            printf("%s: %.1f MB in %.2f s (%.2f GB/s) after %.2f s of opening; at most %.0f MB of memory\n", on.name,
                   (double)info.n_bytes * 1e-6, t2 - t1, rate * 1e-9, t1 - t0, (double)(most - before) / 1024);
    }
    solo_weights_close(weights);
    solo_model_close(model);
    solo_device_close(device);
    return ok ? cli_finish_output() : cli_fail(&err);
}
