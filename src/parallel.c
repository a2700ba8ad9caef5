/* parallel.c: threads of a loop, made for it and joined before it ends: some 20 us each, for loops of
 * milliseconds. */
#include "parallel.h"

#include <pthread.h>
#include <unistd.h>

#define MAX_THREAD 16u

typedef struct share {
    solo_rounds *rounds;
    void *user;
    uint32_t first, end;
} share;

static void *run(void *at) {
    const share *s = at;
    s->rounds(s->user, s->first, s->end);
    return NULL;
}

static uint32_t n_thread_for(uint32_t n, uint32_t least) {
    long n_core = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t most = n_core < 1 ? 1 : n_core > (long)MAX_THREAD ? MAX_THREAD : (uint32_t)n_core;
    uint32_t by_rounds = n / (least ? least : 1);
    return by_rounds < 1 ? 1 : by_rounds < most ? by_rounds : most;
}

void solo_parallel(uint32_t n, uint32_t least, solo_rounds *rounds, void *user) {
    uint32_t n_share = n_thread_for(n, least), n_started = 0;
    share shares[MAX_THREAD];
    pthread_t threads[MAX_THREAD];
    for (uint32_t i = 0; i < n_share; i++)
        shares[i] = (share){rounds, user, (uint32_t)((uint64_t)n * i / n_share),
                            (uint32_t)((uint64_t)n * (i + 1) / n_share)};
    /* the last share is this thread's own; one that gets no thread is too */
    while (n_started + 1 < n_share && !pthread_create(&threads[n_started], NULL, run, &shares[n_started])) n_started++;
    for (uint32_t i = n_started; i < n_share; i++) run(&shares[i]);
    for (uint32_t i = 0; i < n_started; i++) pthread_join(threads[i], NULL);
}
