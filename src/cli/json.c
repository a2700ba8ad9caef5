/* json.c: the clock, and what several results say of devices and probes. Uses no files: the page's build has it too. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

double cli_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

json_t *cli_json_text(const char *bytes, size_t n) {
    solo_utf8_stream stream = {0};
    char *text = malloc(3 * (n + 8));
    if (!text) return NULL;
    size_t n_text = solo_utf8_push(&stream, bytes ? bytes : "", n, text);
    n_text += solo_utf8_push(&stream, NULL, 0, text + n_text);
    json_t *value = json_stringn(text, n_text);
    free(text);
    return value;
}

void cli_json_add_text(json_t *object, const char *key, const char *text) {
    json_object_set_new(object, key, cli_json_text(text, strlen(text)));
}
void cli_json_add_count(json_t *object, const char *key, uint64_t n) {
    json_object_set_new(object, key, json_integer((json_int_t)n));
}
void cli_json_add_flag(json_t *object, const char *key, bool flag) {
    json_object_set_new(object, key, json_boolean(flag));
}

const char *cli_device_kind(const solo_device_info *d) {
    return d->is_reference ? "reference" : d->is_software ? "software" : "gpu";
}

json_t *cli_device_json(const solo_device_info *d) {
    json_t *o = json_object();
    cli_json_add_text(o, "name", d->name);
    cli_json_add_text(o, "backend", d->backend);
    cli_json_add_text(o, "driver", d->driver);
    cli_json_add_text(o, "kind", cli_device_kind(d));
    cli_json_add_flag(o, "is_software", d->is_software);
    cli_json_add_flag(o, "has_subgroups", d->has_subgroups);
    cli_json_add_flag(o, "has_f16", d->has_f16);
    cli_json_add_count(o, "subgroup_min", d->subgroup_min);
    cli_json_add_count(o, "subgroup_max", d->subgroup_max);
    cli_json_add_count(o, "max_workgroup_size", d->max_workgroup_size);
    cli_json_add_count(o, "max_workgroup_bytes", d->max_workgroup_bytes);
    cli_json_add_count(o, "max_storage_buffers", d->max_storage_buffers);
    cli_json_add_count(o, "max_buffer_bytes", d->max_buffer_bytes);
    cli_json_add_count(o, "max_binding_bytes", d->max_binding_bytes);
    return o;
}

json_t *cli_probe_json(const solo_probe_result *p) {
    json_t *hand_off = json_array();
    for (uint32_t i = 0; i < p->n_hand_off; i++)
        json_array_append_new(hand_off, json_pack("{s:I, s:f}", "n_workgroup",
                                                  (json_int_t)p->hand_off[i].n_workgroup, "us",
                                                  p->hand_off[i].us));
    return json_pack("{s:I, s:I, s:I, s:f, s:f, s:f, s:o}", "workgroup_size",
                     (json_int_t)p->workgroup_size, "workgroup_bytes",
                     (json_int_t)p->workgroup_bytes, "n_resident", (json_int_t)p->n_resident,
                     "read_bytes_s", p->read_bytes_s, "dispatch_us", p->dispatch_us,
                     "round_trip_us", p->round_trip_us, "hand_off", hand_off);
}

json_t *cli_rates_json(const solo_probe_rates *r) {
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:i, s:i}", "submit_us", r->submit_us, "copy_bytes_s", r->copy_bytes_s,
                     "dp4a_ops_s", r->dp4a_ops_s, "f32_ops_s", r->f32_ops_s, "f16_ops_s", r->f16_ops_s, "max_width",
                     (int)r->max_width, "max_layers", (int)r->max_layers);
}
