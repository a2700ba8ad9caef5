/* sampler.h: the sampling rule, on the CPU. It is the reference for kernels/stage_sample.wgsl and
 * what the CPU device uses.
 *
 * 1. repetition penalty: for each id among the last repeat_last_n of the context, logit l becomes
 *    l / penalty where l > 0, else l * penalty (once an id, however often it occurs).
 * 2. temperature 0: the largest logit, the smallest id among equals. Done.
 * 3. x = l / temperature. Kept is every id that passes all of:
 *      top_k: x >= the k-th largest x (equals of the k-th are kept too);
 *      top_p: among what top_k kept, in order of falling x, the shortest prefix whose probability
 *             (softmax over what top_k kept) reaches top_p (equals of its last are kept too);
 *      min_p: x >= max x + ln(min_p).
 * 4. Gumbel-max: the id with the largest x + g(seed, pos, id), the smallest id among equals;
 *    g = -ln(-ln(u)), u from the counter-based generator below. So a draw depends on the seed, the
 *    position and the ids kept, never on order or on earlier draws.
 * The generator: pcg4d (Jarzynski & Olano, JCGT 9(3), 2020) of (seed low, seed high, pos, id);
 * u = ((first word >> 9) + 0.5) / 2^23. */
#ifndef SOLO_SAMPLER_H
#define SOLO_SAMPLER_H

#include "base.h"

bool solo_sampling_check(const solo_sampling *s, solo_error *err);

uint32_t solo_sampler_hash(uint64_t seed, uint32_t pos, uint32_t id); /* pcg4d's first word */

/* logits [n_vocab] are left as they are; ids [n_ids]: the context, the latest last. pos: the
 * position that the drawn token will take (= n_ids of the whole context). */
uint32_t solo_sampler_draw(const solo_sampling *s, const float *logits, uint32_t n_vocab,
                           const uint32_t *ids, uint32_t n_ids, uint32_t pos);

#endif
