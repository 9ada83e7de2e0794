/* A task that tells what there is in its guest: memory by address, and each process with its number, its
 * scheduling, its start in clock ticks after boot, and a digest of its memory map. arg1: a word that
 * each line begins with. */
#include <stdint.h>

#include "traces.h"

static const char *word;

/* FNV-1a. */
static uint64_t digest_of(const char *path)
{
    uint64_t digest = 0xcbf29ce484222325;
    FILE *file = fopen(path, "r");

    for (int byte; file != NULL && (byte = getc(file)) != EOF;)
        digest = (digest ^ (uint64_t)byte) * 0x100000001b3;
    if (file != NULL)
        fclose(file);
    return digest;
}

static void tell_process(const char *pid)
{
    char path[300], text[1024] = "", name[64];
    long long field[60] = {0};

    snprintf(path, sizeof path, "/proc/%s/stat", pid);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return;
    char *line = fgets(text, sizeof text, file);
    fclose(file);
    char *open = strchr(text, '('), *close = strrchr(text, ')');
    if (line == NULL || open == NULL || close == NULL)
        return;
    snprintf(name, sizeof name, "%.*s", (int)(close - open - 1), open + 1);
    int number = 4; /* behind name and state, counted as in proc(5) */
    for (char *next = strtok(close + 4, " "); next != NULL && number < 60; next = strtok(NULL, " "))
        field[number++] = atoll(next);
    snprintf(path, sizeof path, "/proc/%s/maps", pid);
    printf("%s: %s %s parent %lld priority %lld policy %lld start %lld map %016llx\n", word, pid, name,
           field[4], field[18], field[41], field[22], (unsigned long long)digest_of(path));
}

int main(int count, char **arguments)
{
    static char output[1 << 16];

    become_root(arguments);
    word = count > 1 ? arguments[1] : "state";
    setvbuf(stdout, output, _IOFBF, sizeof output);
    printf("%s: memory %016llx\n", word, (unsigned long long)digest_of("/proc/iomem"));
    DIR *all = opendir("/proc");
    for (struct dirent *entry; all != NULL && (entry = readdir(all)) != NULL;)
        if (isdigit((unsigned char)entry->d_name[0]))
            tell_process(entry->d_name);
    printf("%s: end\n", word);
    return 0;
}
