/* measure.h: one way to run a token, open and ready to be timed: what `solo bench` and `solo sweep` share, so
 * that both measure, and refuse, by the same rules (bench/PROTOCOL.md). */
#ifndef SOLO_CLI_MEASURE_H
#define SOLO_CLI_MEASURE_H

#include "cli.h"

enum { MEASURE_MAX_SAMPLE = 64 };
#define MEASURE_WARM_S 0.5 /* decoding on a GPU before the first sample that counts, at least */

typedef struct measure_run {
    solo_plan_desc    plan_desc;
    solo_session_desc session_desc; /* plan unset */
    solo_plan    *plan; /* NULL with error set: it did not open, or stopped working */
    solo_session *session;
    solo_plan_info info;
    char     ran_as[32]; /* the factoring that the last sample ran by */
    bool     fell_back;
    uint64_t n_step, n_step_dispatch, n_step_submit; /* of all samples so far */
    char     error[600];
    solo_status status; /* of the error */
} measure_run;

/* n_need: positions that the context must hold. False: run->error says why, nothing is open. */
bool measure_open(measure_run *run, solo_weights *weights, uint32_t n_need);
void measure_close(measure_run *run);
void measure_fail(measure_run *run, const solo_error *err); /* keeps the error, closes */

/* One sample: n_token ids after prompt[0..n_pos), whose KV rows stay from the sample before. Host time from the
 * first submit to the last id read. False: run->error says why, and it is closed. */
bool measure_sample(measure_run *run, const uint32_t *prompt, uint32_t n_pos, uint32_t n_token, uint32_t *ids,
                    double *tok_s);
/* Ids of no meaning, the same everywhere. */
void measure_prompt(uint32_t *ids, uint32_t n, uint32_t n_vocab);

typedef struct measure_spread { double median, min, max, q1, q3; } measure_spread;
measure_spread measure_spread_of(const double *sample, uint32_t n); /* n from 1 */

/* Weights once, and the KV rows of the mean context of a sample. */
double measure_bytes(const solo_plan_info *info, uint32_t n_pos, uint32_t n_token);

/* Whether both compute the same numbers in the same order: then their tokens must be the same. */
bool measure_same_geometry(const solo_plan_info *a, const solo_plan_info *b);

/* Why a result breaks the protocol, or NULL. On a software adapter clocks do not idle, and its bandwidth, bound
 * by arithmetic, is no ceiling. read_rate 0: not measured; warm_s: decoding before the first of the samples. */
const char *measure_refusal(const solo_device_info *device, const double *sample, uint32_t n, double warm_s,
                            double bytes, double read_rate);
bool measure_above_roofline(const solo_device_info *device, double bytes_s, double read_rate);

/* Whether a plan came out as its desc asked: a device may grant less, a factoring may not have the form. reduction:
 * "subgroup", "scratch" or NULL. False: reason says what was wanted and what ran. */
bool measure_is_as_asked(const solo_plan_desc *asked, const char *reduction, const solo_plan_info *plan,
                         char reason[600]);

/* What is wrong with logits against a reference's, or NULL: NaN, zeros, errors above the tolerance that activations
 * (int8 or f32) and KV type (f16 or f32) are granted. */
typedef struct measure_error { double max, rms; } measure_error; /* in deviations of the reference */
const char *measure_check_logits(const float *logits, const float *reference, uint32_t n, bool int8, bool f16,
                                 measure_error *error, double *tolerance);

json_t *measure_samples_json(const double *sample, uint32_t n);

#endif
