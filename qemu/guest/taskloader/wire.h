/* What a client sends, byte by byte: no socket here, and nothing is carried out here. */
#ifndef WIRE_H
#define WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Numbers of the protocol, little-endian on the wire. */
enum {
    MESSAGE_SEND_DESCS = 0xDE5,
    MESSAGE_CLEAR = 0xDE6,
    MESSAGE_SEND_BINARIES = 0xDE5F11E,
    MESSAGE_GO_SEND = 0x90,
    MESSAGE_START = 0x514DE5,
    MESSAGE_STOP = 0x514DE6,
    MESSAGE_GET_PROFILE = 0x159D1,
    MESSAGE_GET_LIVE = 0x159D2,
    MESSAGE_REBOOT = 0x159D3,
    MESSAGE_AVAILABLE = 0xAAAAA,
    MESSAGE_OPTIMIZE = 0x6F7074,
};

/* The longest XML that is taken, as long as the longest frame. */
#define XML_BYTES_MAX 100000

struct wire_handler {
    /* A message without a body; GO_SEND is not among them. */
    void (*message)(uint32_t message);
    /* SEND_DESCS or OPTIMIZE. */
    void (*xml)(uint32_t message, const char *xml, size_t length);
    /* The next binary may be sent: answer with GO_SEND. */
    void (*binary_wanted)(void);
    /* The steps of one binary. False refuses it, and with it the client. */
    bool (*binary_begin)(const char *name, uint32_t size);
    bool (*binary_data)(const char *bytes, size_t length);
    void (*binary_end)(void);
    /* A client does not make sense; the connection cannot be used any more. */
    void (*nonsense)(const char *what, uint32_t number);
};

/* Forgets what a former client left half sent. */
void wire_reset(const struct wire_handler *handler);

/* Takes what has come. False after nonsense or a refused binary. */
bool wire_take(const char *bytes, size_t length);

#endif
