#include "client.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "console.h"
#include "loop.h"

enum {
    QUEUE = 16,             /* connections that wait until they are served */
    OUTPUT_SIZE = 1 << 20,  /* events that a slow client may leave behind */
    INPUT_SIZE = 1 << 16,
    /* A client that vanished without a word is noticed 5 s later, or 5 s after an event that it
     * does not acknowledge. */
    KEEPALIVE_IDLE_S = 2,
    KEEPALIVE_INTERVAL_S = 1,
    KEEPALIVE_PROBES = 3,
    UNACKNOWLEDGED_MS = 5000,
};

static const struct client_handler *handler;
static struct watch listener = {.fd = -1};
static struct watch client = {.fd = -1};
static const char *failure; /* why the client has to go, NULL: it has not */

static char output[OUTPUT_SIZE];
static size_t output_length;

static void close_client(const char *why)
{
    console("client gone: %s", why);
    failure = NULL;
    output_length = 0;
    loop_close(&client);
    handler->gone();
    loop_change(&listener, EPOLLIN); /* the next one, please */
}

static void send_output(void)
{
    ssize_t sent = send(client.fd, output, output_length, MSG_NOSIGNAL);

    if (sent < 0) {
        if (errno != EAGAIN && errno != EINTR)
            failure = strerror(errno);
        return;
    }
    output_length -= (size_t)sent;
    memmove(output, output + sent, output_length);
}

void client_send(const void *bytes, size_t length)
{
    if (client.fd < 0 || failure != NULL)
        return;
    if (length > sizeof output - output_length) {
        failure = "it does not read what we send";
        return;
    }
    bool waiting = output_length > 0;
    memcpy(output + output_length, bytes, length);
    output_length += length;
    if (waiting)
        return; /* EPOLLOUT is on */
    send_output();
    if (output_length > 0)
        loop_change(&client, EPOLLIN | EPOLLOUT);
}

void client_settle(void)
{
    if (client.fd >= 0 && failure != NULL)
        close_client(failure);
}

static void client_ready(struct watch *watch, uint32_t events)
{
    static char input[INPUT_SIZE];

    if ((events & EPOLLOUT) != 0) {
        send_output();
        if (output_length == 0)
            loop_change(&client, EPOLLIN);
    }
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0)
        return;
    ssize_t length = recv(watch->fd, input, sizeof input, 0);
    if (length > 0) {
        if (!handler->received(input, (size_t)length))
            failure = "it sent what cannot be accepted";
    } else if (length == 0) {
        failure = "it closed the connection";
    } else if (errno != EAGAIN && errno != EINTR) {
        failure = strerror(errno);
    }
}

static void set_option(int fd, int level, int name, int value)
{
    if (setsockopt(fd, level, name, &value, sizeof value) < 0)
        console("setsockopt: %s", strerror(errno));
}

static void listener_ready(struct watch *watch, uint32_t events)
{
    struct sockaddr_in peer = {0};
    socklen_t size = sizeof peer;
    int fd = accept4(watch->fd, (struct sockaddr *)&peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);

    (void)events;
    if (fd < 0)
        return;
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
    set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS);
    if (!loop_watch(&client, fd, EPOLLIN)) {
        close(fd);
        return;
    }
    loop_change(&listener, 0); /* the others wait in the kernel's queue until this one is gone */
    uint32_t address = ntohl(peer.sin_addr.s_addr);
    console("client %u.%u.%u.%u:%u", address >> 24, address >> 16 & 255, address >> 8 & 255,
            address & 255, ntohs(peer.sin_port));
    handler->connected();
}

bool client_listen(uint16_t port, const struct client_handler *its_handler)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    handler = its_handler;
    client.ready = client_ready;
    listener.ready = listener_ready;
    if (fd >= 0)
        set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(fd, QUEUE) < 0 || !loop_watch(&listener, fd, EPOLLIN)) {
        console("cannot listen on port %u: %s", port, strerror(errno));
        return false;
    }
    return true;
}
