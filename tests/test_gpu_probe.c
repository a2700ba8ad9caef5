/* test_gpu_probe.c: the probes answer, in bounded time, with numbers that can be right. The hand-off
 * probe checks its own chain of words on the device: a wrong word leaves it out of the answer. */
#include "gpu.h"

#include <unistd.h>

static solo_probe_result probe_once(solo_probe_desc desc) {
    solo_probe_result r;
    double began = solo_seconds();
    desc.no_bandwidth = true;
    GPU_OK(solo_device_probe(gpu_device, &desc, &r, &gpu_err));
    assert_true(solo_seconds() - began < 60); /* software adapters share two cores with other tests */
    return r;
}

static void numbers_can_be_right(void **state) {
    (void)state;
    solo_probe_result r = probe_once((solo_probe_desc){0});
    assert_in_range(r.n_resident, 1, SOLO_PROBE_MAX_WORKGROUP);
    assert_true(r.dispatch_us > 0 && r.round_trip_us > 0);
    assert_true(r.dispatch_us < 1e6 && r.round_trip_us < 1e7);
    assert_true(r.read_bytes_s == 0);
    if (r.n_resident < 2) assert_int_equal(r.n_hand_off, 0);
    for (uint32_t i = 0; i < r.n_hand_off; i++) {
        assert_true(r.hand_off[i].us > 0);
        assert_in_range(r.hand_off[i].n_workgroup, i == 0 ? 2 : r.hand_off[i - 1].n_workgroup + 1,
                        r.n_resident);
    }
    printf("resident %u, dispatch %.1f us, round trip %.1f us, %u hand-off rows, first %.2f us\n",
           r.n_resident, r.dispatch_us, r.round_trip_us, r.n_hand_off, r.hand_off[0].us);
}

/* A software adapter runs a workgroup a thread and a thread a core. Were the count taken from arrivals
 * alone, without the close, all of the dispatch would seem to be there. */
static void a_software_adapter_holds_as_many_as_cores(void **state) {
    (void)state;
    uint32_t n_core = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
    if (!solo_device_info_of(gpu_device)->is_software || n_core >= 32) skip();
    assert_in_range(probe_once((solo_probe_desc){0}).n_resident, 1, n_core);
}

static void geometry_is_kept(void **state) {
    (void)state;
    const solo_device_info *info = solo_device_info_of(gpu_device);
    solo_probe_result r = probe_once((solo_probe_desc){
        .workgroup_size = 64, .workgroup_bytes = info->max_workgroup_bytes});
    assert_int_equal(r.workgroup_size, 64);
    assert_int_equal(r.workgroup_bytes, info->max_workgroup_bytes / 4 * 4);
    assert_in_range(r.n_resident, 1, SOLO_PROBE_MAX_WORKGROUP);
}

static void refuses_more_than_the_device_grants(void **state) {
    (void)state;
    const solo_device_info *info = solo_device_info_of(gpu_device);
    solo_probe_result r;
    solo_error err = {0};
    solo_probe_desc wide = {.workgroup_size = info->max_workgroup_size + 1};
    solo_probe_desc large = {.workgroup_bytes = info->max_workgroup_bytes + 4};
    assert_false(solo_device_probe(gpu_device, &wide, &r, &err));
    assert_int_equal(err.status, SOLO_DEVICE_LIMIT);
    assert_false(solo_device_probe(gpu_device, &large, &r, &err));
    assert_int_equal(err.status, SOLO_DEVICE_LIMIT);
}

static void rates_can_be_right(void **state) {
    (void)state;
    const solo_device_info *info = solo_device_info_of(gpu_device);
    solo_probe_rates r;
    GPU_OK(solo_device_probe_rates(gpu_device, &r, &gpu_err));
    assert_true(r.submit_us > 0 && r.submit_us < 1e6);
    assert_true(r.copy_bytes_s > 1e6 && r.dp4a_ops_s > 1e6 && r.f32_ops_s > 1e6);
    assert_true(r.f16_ops_s == 0); /* it was not asked for */
    /* 16 D^2 weights of half a byte in at most four bindings; the next width does not fit */
    double bytes = 8.0 * r.max_width * r.max_width, next = 8.0 * (r.max_width + 32) * (r.max_width + 32);
    assert_true(bytes <= 4.0 * (double)info->max_binding_bytes);
    assert_true(next > (double)info->max_binding_bytes);
    assert_in_range(r.max_layers, 1, 10000);
    solo_device *d;
    GPU_OK(solo_device_open(&d, &(solo_device_desc){.f16 = true}, &gpu_err));
    GPU_OK(solo_device_probe_rates(d, &r, &gpu_err));
    assert_int_equal(r.f16_ops_s > 0, info->has_f16);
    solo_device_close(d);
}

static void refuses_the_reference(void **state) {
    (void)state;
    solo_device *cpu;
    solo_probe_result r;
    solo_error err = {0};
    GPU_OK(solo_device_open(&cpu, &(solo_device_desc){.name = "cpu"}, &gpu_err));
    assert_false(solo_device_probe(cpu, &(solo_probe_desc){0}, &r, &err));
    assert_int_equal(err.status, SOLO_ARGUMENT);
    solo_probe_rates rates;
    assert_false(solo_device_probe_rates(cpu, &rates, &err));
    solo_device_close(cpu);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_can_be_right),
        cmocka_unit_test(a_software_adapter_holds_as_many_as_cores),
        cmocka_unit_test(geometry_is_kept),
        cmocka_unit_test(refuses_more_than_the_device_grants),
        cmocka_unit_test(rates_can_be_right),
        cmocka_unit_test(refuses_the_reference),
    };
    return cmocka_run_group_tests(tests, gpu_open, gpu_close);
}
