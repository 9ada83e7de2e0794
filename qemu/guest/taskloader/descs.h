/* The XML of SEND_DESCS. */
#ifndef DESCS_H
#define DESCS_H

#include <stdbool.h>
#include <stddef.h>

#include "task.h"

/* Fills `set` from XML. On false, `error` (of `error_size` bytes) says what is wrong and the set is
 * empty. */
bool descs_parse(const char *xml, size_t length, struct taskset *set, char *error,
                 size_t error_size);

void descs_free(struct description *description);

#endif
