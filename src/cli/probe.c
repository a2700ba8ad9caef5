/* probe.c: `solo probe`: what a device grants, and what the dispatch spectrum costs on it. */
#include "cli.h"

#include <inttypes.h>

void cli_probe_print(const solo_probe_result *p) {
    printf("resident       %" PRIu32 "%s workgroups of %" PRIu32 " lanes and %" PRIu32
           " bytes of workgroup memory\n",
           p->n_resident, p->n_resident == SOLO_PROBE_MAX_WORKGROUP ? " or more" : "",
           p->workgroup_size, p->workgroup_bytes);
    printf("dispatch       %.2f us, one that depends on the one before it, in a pass\n",
           p->dispatch_us);
    printf("round trip     %.1f us, submit until done\n", p->round_trip_us);
    for (uint32_t i = 0; i < p->n_hand_off; i++)
        printf("%-14s %.2f us among %" PRIu32 " workgroups\n", i == 0 ? "hand-off" : "",
               p->hand_off[i].us, p->hand_off[i].n_workgroup);
    if (p->n_hand_off == 0) puts("hand-off       none: no two workgroups kept meeting");
    if (p->read_bytes_s > 0) printf("read           %.1f GB/s\n", p->read_bytes_s * 1e-9);
}

static void print_rates(const solo_probe_rates *r) {
    printf("submit         %.2f us, one more, not waited for\n", r->submit_us);
    printf("copy           %.1f GB/s\n", r->copy_bytes_s * 1e-9);
    printf("arithmetic     %.3g Gops/s of int8 dot products, %.3g of f32, ", r->dp4a_ops_s * 1e-9,
           r->f32_ops_s * 1e-9);
    if (r->f16_ops_s > 0) printf("%.3g of f16\n", r->f16_ops_s * 1e-9);
    else puts("no f16");
    printf("fits           a 4-bit layer up to a width of %" PRIu32 ", %" PRIu32 " layers of Phi-3-mini's\n",
           r->max_width, r->max_layers);
}

int cli_probe(const cli_options *options) {
    solo_error err = {0};
    solo_device *device = NULL;
    solo_probe_result probe;
    solo_probe_rates rates;
    int code = CLI_FAILED;
    if (!solo_device_open(&device, &(solo_device_desc){.name = options->device, .f16 = true}, &err) ||
        !solo_device_probe(device,
                           &(solo_probe_desc){.workgroup_size = options->plan.workgroup_size,
                                              .workgroup_bytes = options->workgroup_bytes},
                           &probe, &err) ||
        !solo_device_probe_rates(device, &rates, &err)) {
        cli_fail(&err);
        goto done;
    }
    solo_device_info info = solo_device_get_info(device);
    if (options->json) {
        json_t *o = cli_device_json(&info);
        json_object_set_new(o, "probe", cli_probe_json(&probe));
        json_object_set_new(o, "rates", cli_rates_json(&rates));
        code = cli_print_json(o);
        goto done;
    }
    printf("adapter        %s%s, %s, %s\n", info.name, info.is_software ? " (software adapter)" : "",
           info.backend, info.driver);
    printf("limits         %" PRIu32 " lanes and %" PRIu32 " bytes of memory a workgroup, %" PRIu32
           " storage buffers,\n               %" PRIu64 " bytes a buffer, %" PRIu64 " a binding\n",
           info.max_workgroup_size, info.max_workgroup_bytes, info.max_storage_buffers,
           info.max_buffer_bytes, info.max_binding_bytes);
    if (info.has_subgroups)
        printf("subgroups      %" PRIu32 " to %" PRIu32 " lanes\n", info.subgroup_min,
               info.subgroup_max);
    else puts("subgroups      none");
    cli_probe_print(&probe);
    print_rates(&rates);
    code = cli_finish_output();
done:
    solo_device_close(device);
    return code;
}
