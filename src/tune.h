/* tune.h: the arithmetic behind solo_tune (solo.h): what a factoring should cost on a probed device.
 * No GPU here. */
#ifndef SOLO_TUNE_H
#define SOLO_TUNE_H

#include "stage.h"

/* The hand-offs inside dispatches that a token takes: of the boundaries between its stages, those that
 * are no dispatch boundary. 0 for factorings whose workgroups never wait for each other. */
uint32_t solo_tune_hand_offs(const solo_factoring *f, const solo_hparams *hp);

/* Microseconds of a hand-off among n_workgroup, between the probe's rows by line, its last row's
 * beyond; infinite where the probe has none. */
double solo_tune_hand_off_us(const solo_probe_result *probe, uint32_t n_workgroup);

/* Milliseconds a token: the bytes at the read bandwidth, then dispatches and hand-offs on top. Tokens
 * are submitted ahead, so round trips are hidden. Infinite: cannot run. */
double solo_tune_predict_ms(const solo_probe_result *probe, uint64_t bytes, uint32_t n_dispatch,
                            uint32_t n_hand_off, uint32_t n_workgroup);

/* Rows by predicted time, stable; best comes first. */
void solo_tune_sort(solo_tune_row *row, uint32_t n);

/* The fastest measured row, or -1. */
int solo_tune_best(const solo_tune_row *row, uint32_t n);

#endif
