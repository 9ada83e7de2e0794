/* linpack: solves a dense system of arg1 (64) linear equations by LU decomposition with partial
 * pivoting, as LINPACK's dgefa and dgesl do, arg2 (1) times; exit value 1 if the result is wrong. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "task.h"

enum { EQUATIONS_MAX = 1024 };

/* A matrix of numbers in (-0.5, 0.5), and as right-hand side the sum of each row, so that the
 * solution is 1 everywhere. */
static void generate(double *matrix, double *side, unsigned long n)
{
    unsigned long seed = 1325;

    for (unsigned long row = 0; row < n; row++) {
        side[row] = 0;
        for (unsigned long column = 0; column < n; column++) {
            seed = 3125 * seed % 65536;
            matrix[row * n + column] = ((double)seed - 32768.0) / 65536.0;
            side[row] += matrix[row * n + column];
        }
    }
}

static void swap_rows(double *matrix, double *side, unsigned long n, unsigned long a,
                      unsigned long b)
{
    for (unsigned long column = 0; column < n; column++) {
        double kept = matrix[a * n + column];
        matrix[a * n + column] = matrix[b * n + column];
        matrix[b * n + column] = kept;
    }
    double kept = side[a];
    side[a] = side[b];
    side[b] = kept;
}

static int eliminate(double *matrix, double *side, unsigned long n)
{
    for (unsigned long step = 0; step < n; step++) {
        unsigned long pivot = step;
        for (unsigned long row = step + 1; row < n; row++)
            if (fabs(matrix[row * n + step]) > fabs(matrix[pivot * n + step]))
                pivot = row;
        if (matrix[pivot * n + step] == 0)
            return 0;
        if (pivot != step)
            swap_rows(matrix, side, n, pivot, step);
        for (unsigned long row = step + 1; row < n; row++) {
            double factor = matrix[row * n + step] / matrix[step * n + step];
            for (unsigned long column = step; column < n; column++)
                matrix[row * n + column] -= factor * matrix[step * n + column];
            side[row] -= factor * side[step];
        }
    }
    return 1;
}

static void substitute(const double *matrix, double *side, unsigned long n)
{
    for (unsigned long row = n; row-- > 0;) {
        for (unsigned long column = row + 1; column < n; column++)
            side[row] -= matrix[row * n + column] * side[column];
        side[row] /= matrix[row * n + row];
    }
}

int main(int count, char **arguments)
{
    unsigned long n = argument(count, arguments, 1, 64);
    unsigned long times = argument(count, arguments, 2, 1);

    if (n == 0 || n > EQUATIONS_MAX)
        return 2;
    double *matrix = malloc(n * n * sizeof *matrix);
    double *side = malloc(n * sizeof *side);
    double worst = 0;
    if (matrix == NULL || side == NULL)
        return 2;
    for (unsigned long i = 0; i < times; i++) {
        generate(matrix, side, n);
        if (!eliminate(matrix, side, n))
            return 1;
        substitute(matrix, side, n);
        for (unsigned long row = 0; row < n; row++)
            worst = fmax(worst, fabs(side[row] - 1));
    }
    printf("linpack: %lu equations, largest error %.1e\n", n, worst);
    return worst < 1e-6 ? 0 : 1;
}
