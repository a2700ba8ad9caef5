/* probe.h: what a plan asks of a device before it hands values over inside a dispatch. */
#ifndef SOLO_PROBE_H
#define SOLO_PROBE_H

#include "device.h"

/* How many of n workgroups, of so many lanes and bytes of workgroup memory each, run at the same time:
 * measured, in a few milliseconds. A kernel that needs more registers than the probe may have fewer: the
 * self-test of solo_plan_open looks. */
bool solo_probe_resident(solo_device *device, uint32_t workgroup_size, uint32_t workgroup_bytes, uint32_t n,
                         uint32_t *n_resident, solo_error *err);

#endif
