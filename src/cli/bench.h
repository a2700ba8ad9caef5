/* bench.h: what `solo bench` measures (bench.c) and prints (bench_print.c). */
#ifndef SOLO_CLI_BENCH_H
#define SOLO_CLI_BENCH_H

#include "measure.h"

enum {
    BENCH_MAX_ROW = 24, BENCH_MAX_POSITION = 8, BENCH_NAME_BYTES = 96,
    BENCH_LEADING = 4, /* tokens that a row of another geometry must share with the first row's */
};

/* How a row's tokens are held against the first row's. */
typedef enum bench_rule {
    BENCH_RULE_FIRST,   /* is the first row */
    BENCH_RULE_SAME,    /* the same geometry and numbers: the same tokens */
    BENCH_RULE_LEADING, /* another geometry adds in another order: the leading tokens */
    BENCH_RULE_NONE,    /* other activations or KV: counted, not judged */
} bench_rule;

/* One row after one number of positions. */
typedef struct bench_series {
    double   sample[MEASURE_MAX_SAMPLE]; /* tok/s, in the order taken */
    uint32_t n_sample;
    uint32_t *ids; /* [n_token] of the first sample */
    uint32_t n_leading;
    bench_rule rule;
    bool     agrees;
    uint64_t n_step, n_step_dispatch; /* of the counted samples */
} bench_series;

typedef struct bench_row {
    char name[BENCH_NAME_BYTES]; /* as asked for: "single:static@wg=256,n=128" */
    char factoring[BENCH_NAME_BYTES];
    measure_run run;
    bench_series series[BENCH_MAX_POSITION];
} bench_row;

typedef struct bench {
    cli_engine engine;
    bench_row row[BENCH_MAX_ROW];
    uint32_t n_row;
    uint32_t position[BENCH_MAX_POSITION];
    uint32_t n_position, n_token, n_sample;
    double read_rate; /* bytes/s; 0: not measured (the reference) */
    uint32_t *prompt;
} bench;

int bench_print(const bench *b, const cli_options *options); /* a table, or --json */

#endif
