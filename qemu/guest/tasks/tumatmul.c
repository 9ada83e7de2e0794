/* tumatmul: the product of two square matrices of arg1 (64) rows, arg2 (1) times; exit value 1 if
 * the result is wrong. */
#include <stdio.h>
#include <stdlib.h>

#include "task.h"

enum { ROWS_MAX = 1024 };

static void multiply(const unsigned *left, const unsigned *right, unsigned *product, unsigned long n)
{
    for (unsigned long row = 0; row < n; row++)
        for (unsigned long column = 0; column < n; column++) {
            unsigned sum = 0;
            for (unsigned long i = 0; i < n; i++)
                sum += left[row * n + i] * right[i * n + column];
            product[row * n + column] = sum;
        }
}

int main(int count, char **arguments)
{
    unsigned long n = argument(count, arguments, 1, 64);
    unsigned long times = argument(count, arguments, 2, 1);

    if (n == 0 || n > ROWS_MAX)
        return 2;
    unsigned *matrices = malloc(3 * n * n * sizeof *matrices);
    if (matrices == NULL)
        return 2;
    unsigned *left = matrices, *right = left + n * n, *product = right + n * n;
    unsigned trace = 0;
    /* left[r][c] = r, right[r][c] = c: the product is n · r · c, which is easy to check. */
    for (unsigned long i = 0; i < n * n; i++) {
        left[i] = (unsigned)(i / n);
        right[i] = (unsigned)(i % n);
    }
    for (unsigned long i = 0; i < times; i++)
        multiply(left, right, product, n);
    unsigned expected = 0;
    for (unsigned long i = 0; i < n; i++) {
        trace += times > 0 ? product[i * n + i] : 0;
        expected += times > 0 ? (unsigned)(n * i * i) : 0;
    }
    printf("tumatmul: %lu rows, trace %u\n", n, trace);
    return trace == expected ? 0 : 1;
}
