/* The binaries that clients have uploaded since boot, by name. */
#ifndef BINARIES_H
#define BINARIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Descriptor of the ELF file of that name, or -1. */
int binary_find(const char *name);

/* An upload: begin, write as often as there is data, and at last either keep or drop.
 * Begin fails, and says why on the console, if the machine has no room for it. */
bool binary_begin(const char *name, uint32_t size);
bool binary_write(const char *data, size_t length);
void binary_keep(void);
void binary_drop(void);

#endif
