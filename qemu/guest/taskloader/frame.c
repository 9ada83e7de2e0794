#include "frame.h"

#include <endian.h>
#include <stdint.h>
#include <string.h>

#include "client.h"

static void append(struct frame *frame, const char *text)
{
    size_t length = strlen(text);

    memcpy(frame->bytes + sizeof(uint32_t) + frame->length, text, length);
    frame->length += length;
}

void frame_add(struct frame *frame, const char *element)
{
    size_t closing = strlen(frame->close) + 1;

    if (frame->length + strlen(element) + closing > FRAME_BYTES_MAX)
        frame_send(frame);
    if (frame->length == 0)
        append(frame, frame->open);
    append(frame, element);
}

void frame_send(struct frame *frame)
{
    if (frame->length == 0)
        return;
    append(frame, frame->close);
    frame->bytes[sizeof(uint32_t) + frame->length++] = '\0';
    uint32_t size = htole32((uint32_t)frame->length);
    memcpy(frame->bytes, &size, sizeof size);
    client_send(frame->bytes, sizeof size + frame->length);
    frame->length = 0;
}
