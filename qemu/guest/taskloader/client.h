/* The one client that is served, and those that wait in the listening socket's queue. */
#ifndef CLIENT_H
#define CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a client does, as it is told to those who deal with it. */
struct client_handler {
    void (*connected)(void);
    /* False: it has sent something that makes no sense; it is disconnected. */
    bool (*received)(const char *bytes, size_t length);
    void (*gone)(void);
};

/* Listens on a port; false, with a line on the console, if that is not possible. */
bool client_listen(uint16_t port, const struct client_handler *handler);

/* Sends, or keeps what the socket does not take now. Without a client it does nothing. A client that
 * takes nothing for too long is given up at the next client_settle. */
void client_send(const void *bytes, size_t length);

/* Ends the connection to a client for which sending has failed. To be called where nothing is half
 * done, because it tells the handler that the client is gone. */
void client_settle(void);

#endif
