/* rope.c: the table of cos and sin, in which every way of scaling RoPE ends: one factor, factors by pair and by context
 * (Llama 3's, LongRoPE), YaRN. What a file says of it is model.c's. */
#include "model.h"

#include <math.h>

/* How much of pair i YaRN scales (0 to 1): by the turns that it makes within the original context, along a line between
 * the pairs that make yarn_fast and yarn_slow of them. */
static double yarn_scaled(const solo_hparams *hp, double base, uint32_t i) {
    const double dim = hp->rope_dim, per_turn = hp->n_ctx_orig / (2 * 3.14159265358979323846);
    double low = floor(dim * log(per_turn / (double)hp->yarn_fast) / (2 * log(base)));
    double high = ceil(dim * log(per_turn / (double)hp->yarn_slow) / (2 * log(base)));
    low = fmax(low, 0), high = fmin(high, dim - 1);
    return fmin(fmax((i - low) / fmax(high - low, 0.001), 0), 1);
}

static void rope_table(const solo_hparams *hp, uint32_t n_ctx, double base, const float *factor, double scale,
                       float *out) {
    const uint32_t n_pair = hp->rope_dim / 2;
    for (uint32_t i = 0; i < n_pair; i++) {
        double plain = pow(base, -2.0 * i / hp->rope_dim) / (double)factor[i], turn = plain / scale;
        if (hp->yarn_mix > 0.0f) {
            double unscaled = (1 - yarn_scaled(hp, base, i)) * (double)hp->yarn_mix;
            turn = turn * (1 - unscaled) + plain * unscaled;
        }
        for (uint32_t pos = 0; pos < n_ctx; pos++) {
            float *cos_sin = out + 2 * ((size_t)pos * n_pair + i);
            cos_sin[0] = (float)(cos(pos * turn) * (double)hp->rope_attn_factor);
            cos_sin[1] = (float)(sin(pos * turn) * (double)hp->rope_attn_factor);
        }
    }
}

void solo_model_rope_table(const solo_model *m, uint32_t n_ctx, float *out) {
    const solo_hparams *hp = &m->hp;
    const uint32_t n_pair = hp->rope_dim / 2;
    const solo_tensor *factors = m->rope_factors;
    if (m->rope_factors_long)
        factors = n_ctx > hp->n_ctx_orig ? m->rope_factors_long : m->rope_factors_short;
    float *factor = solo_alloc((n_pair + 1) * sizeof *factor);
    for (uint32_t i = 0; i < n_pair; i++) factor[i] = 1.0f;
    if (hp->n_rope > 1) /* local: neither scaled nor by factors */
        rope_table(hp, n_ctx, (double)hp->rope_base_local, factor, 1, out + (size_t)n_ctx * n_pair * 2);
    if (factors) solo_tensor_f32(factors, factor);
    rope_table(hp, n_ctx, (double)hp->rope_base, factor, (double)hp->rope_scale, out);
    free(factor);
}
