/* The keys of a task: the text of one XML element becomes one field. */
#ifndef KEYS_H
#define KEYS_H

#include "task.h"

/* Sets the field that belongs to a key. An empty text leaves it as if the element were absent, and
 * so does a key that we do not know. Returns NULL, or what is wrong with the text. */
const char *key_set(struct description *task, const char *key, const char *text);

#endif
