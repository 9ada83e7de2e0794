/* A frame of the protocol under construction: a little-endian length, XML, a NUL. */
#ifndef FRAME_H
#define FRAME_H

#include <stddef.h>

/* What a client's buffer holds, the NUL included. */
#define FRAME_BYTES_MAX 100000

struct frame {
    const char *open;  /* before the first element */
    const char *close; /* after the last */
    size_t length;     /* of the XML so far, 0: nothing in it */
    char bytes[FRAME_BYTES_MAX + 4]; /* begins with the length */
};

/* Adds an element. A frame that is full is sent, and another is begun. */
void frame_add(struct frame *frame, const char *element);

/* Sends what there is to the client, if there is anything. */
void frame_send(struct frame *frame);

#endif
