#include "wire.h"

#include <endian.h>
#include <string.h>

enum { NAME_SIZE = 16 };

/* What the next bytes are. */
enum state { AT_MESSAGE, AT_XML_SIZE, IN_XML, AT_BINARY_COUNT, AT_BINARY_HEADER, IN_BINARY, STUCK };

static const struct wire_handler *handler;
static enum state state;
static uint32_t message;         /* to which the XML belongs */
static uint32_t binaries_left;
static size_t left;              /* bytes that the present state still wants */
static char field[NAME_SIZE + sizeof(uint32_t)];
static size_t field_length;
static char xml[XML_BYTES_MAX];
static size_t xml_length;

static void enter(enum state next)
{
    state = next;
    field_length = 0;
    left = next == AT_BINARY_HEADER ? sizeof field : sizeof(uint32_t);
}

static uint32_t number_at(const char *bytes)
{
    uint32_t number;

    memcpy(&number, bytes, sizeof number);
    return le32toh(number);
}

static void nonsense(const char *what, uint32_t number)
{
    handler->nonsense(what, number);
    state = STUCK;
}

void wire_reset(const struct wire_handler *its_handler)
{
    handler = its_handler;
    enter(AT_MESSAGE);
}

static void message_came(uint32_t number)
{
    enter(AT_MESSAGE);
    switch (number) {
    case MESSAGE_SEND_DESCS:
    case MESSAGE_OPTIMIZE:
        message = number;
        enter(AT_XML_SIZE);
        break;
    case MESSAGE_SEND_BINARIES:
        enter(AT_BINARY_COUNT);
        break;
    case MESSAGE_CLEAR:
    case MESSAGE_START:
    case MESSAGE_STOP:
    case MESSAGE_GET_PROFILE:
    case MESSAGE_GET_LIVE:
    case MESSAGE_REBOOT:
    case MESSAGE_AVAILABLE:
        handler->message(number);
        break;
    default:
        nonsense("unknown message", number);
    }
}

static void xml_complete(void)
{
    enter(AT_MESSAGE);
    handler->xml(message, xml, xml_length);
}

static void xml_size_came(uint32_t size)
{
    if (size > sizeof xml) {
        nonsense("XML too long", size);
        return;
    }
    state = IN_XML;
    xml_length = 0;
    left = size;
    if (size == 0)
        xml_complete();
}

static void next_binary(void)
{
    if (binaries_left == 0) {
        enter(AT_MESSAGE);
        return;
    }
    binaries_left--;
    enter(AT_BINARY_HEADER);
    handler->binary_wanted();
}

static void binary_complete(void)
{
    handler->binary_end();
    next_binary();
}

static void binary_header_came(void)
{
    uint32_t size = number_at(field + NAME_SIZE);

    if (memchr(field, '\0', NAME_SIZE) == NULL) {
        nonsense("binary name of more bytes than", NAME_SIZE - 1);
        return;
    }
    if (!handler->binary_begin(field, size)) {
        state = STUCK;
        return;
    }
    state = IN_BINARY;
    left = size;
    if (size == 0)
        binary_complete();
}

static void field_complete(void)
{
    switch (state) {
    case AT_MESSAGE:
        message_came(number_at(field));
        break;
    case AT_XML_SIZE:
        xml_size_came(number_at(field));
        break;
    case AT_BINARY_COUNT:
        binaries_left = number_at(field);
        next_binary();
        break;
    default:
        binary_header_came();
    }
}

/* Takes at most `length` bytes, all of one state. */
static void take_piece(const char *bytes, size_t length)
{
    left -= length;
    switch (state) {
    case IN_XML:
        memcpy(xml + xml_length, bytes, length);
        xml_length += length;
        if (left == 0)
            xml_complete();
        break;
    case IN_BINARY:
        if (!handler->binary_data(bytes, length))
            state = STUCK;
        else if (left == 0)
            binary_complete();
        break;
    default:
        memcpy(field + field_length, bytes, length);
        field_length += length;
        if (left == 0)
            field_complete();
    }
}

bool wire_take(const char *bytes, size_t length)
{
    while (length > 0 && state != STUCK) {
        size_t piece = length < left ? length : left;
        take_piece(bytes, piece);
        bytes += piece;
        length -= piece;
    }
    return state != STUCK;
}
