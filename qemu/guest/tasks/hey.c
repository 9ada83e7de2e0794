/* hey: says hello, and is done. */
#include <stdio.h>

int main(int count, char **arguments)
{
    printf("hey: hello%s%s\n", count > 1 ? " " : "", count > 1 ? arguments[1] : "");
    return 0;
}
