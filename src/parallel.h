/* parallel.h: a loop whose rounds do not depend on each other, shared among threads. */
#ifndef SOLO_PARALLEL_H
#define SOLO_PARALLEL_H

#include <stdint.h>

/* Does rounds [first, end). */
typedef void solo_rounds(void *user, uint32_t first, uint32_t end);

/* Rounds 0 .. n - 1, in runs of at least `least`, on as many threads as pay; all are done on return. (In a
 * page, where there are no threads, src/web/host.c does them one after the other.) */
void solo_parallel(uint32_t n, uint32_t least, solo_rounds *rounds, void *user);

#endif
