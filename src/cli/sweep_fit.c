/* sweep_fit.c: what a dispatch, a hand-off and a stage cost, fitted to the rows of a sweep. */
#include "sweep.h"

#include <math.h>
#include <string.h>

enum { N_TERM = 3 };

static void terms_of(const sweep_point *p, double x[N_TERM]) {
    x[0] = p->n_dispatch, x[1] = p->n_hand_off, x[2] = p->n_stage;
}

/* Least squares over the terms of mask, of relative errors. False: the points do not tell them apart. */
static bool solve(const sweep_point *point, uint32_t n, unsigned mask, double cost[N_TERM]) {
    double a[N_TERM][N_TERM + 1] = {{0}};
    uint32_t at[N_TERM], n_at = 0;
    for (uint32_t t = 0; t < N_TERM; t++)
        if (mask & 1u << t) at[n_at++] = t;
    memset(cost, 0, N_TERM * sizeof *cost);
    for (uint32_t i = 0; i < n; i++) {
        double x[N_TERM], weight = 1 / (point[i].ms * point[i].ms);
        terms_of(&point[i], x);
        for (uint32_t r = 0; r < n_at; r++) {
            for (uint32_t c = 0; c < n_at; c++) a[r][c] += weight * x[at[r]] * x[at[c]];
            a[r][n_at] += weight * x[at[r]] * (point[i].ms - point[i].floor_ms);
        }
    }
    for (uint32_t k = 0; k < n_at; k++) { /* the matrix is positive definite, or has no answer */
        double before = 0;
        for (uint32_t i = 0; i < n; i++) {
            double x[N_TERM];
            terms_of(&point[i], x);
            before += x[at[k]] * x[at[k]] / (point[i].ms * point[i].ms);
        }
        if (a[k][k] <= 1e-9 * before) return false;
        for (uint32_t r = k + 1; r < n_at; r++) {
            double f = a[r][k] / a[k][k];
            for (uint32_t c = k; c <= n_at; c++) a[r][c] -= f * a[k][c];
        }
    }
    for (uint32_t k = n_at; k-- > 0;) {
        double sum = a[k][n_at];
        for (uint32_t c = k + 1; c < n_at; c++) sum -= a[k][c] * cost[at[c]];
        cost[at[k]] = sum / a[k][k];
    }
    return true;
}

static double squares(const sweep_point *point, uint32_t n, const double cost[N_TERM]) {
    double sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        double x[N_TERM], ms = point[i].floor_ms;
        terms_of(&point[i], x);
        for (uint32_t t = 0; t < N_TERM; t++) ms += cost[t] * x[t];
        sum += (ms / point[i].ms - 1) * (ms / point[i].ms - 1);
    }
    return sum;
}

/* Three terms: all eight subsets are tried, and the best without a cost below 0 is the answer. */
sweep_fit sweep_fit_points(sweep_point *point, uint32_t n) {
    double best[N_TERM] = {0}, least = squares(point, n, best);
    for (unsigned mask = 1; mask < 1u << N_TERM; mask++) {
        double cost[N_TERM];
        if (!solve(point, n, mask, cost) || cost[0] < 0 || cost[1] < 0 || cost[2] < 0) continue;
        double found = squares(point, n, cost);
        if (found >= least) continue;
        least = found;
        memcpy(best, cost, sizeof best);
    }
    sweep_fit fit = {1e3 * best[0], 1e3 * best[1], 1e3 * best[2], 0};
    for (uint32_t i = 0; i < n; i++) {
        double x[N_TERM];
        terms_of(&point[i], x);
        point[i].fitted_ms = point[i].floor_ms;
        for (uint32_t t = 0; t < N_TERM; t++) point[i].fitted_ms += best[t] * x[t];
        fit.worst = fmax(fit.worst, fabs(point[i].fitted_ms / point[i].ms - 1));
    }
    return fit;
}
