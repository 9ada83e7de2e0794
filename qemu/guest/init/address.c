/* MAC and address of the network card: what udhcpc has learnt or the host has told, put into effect. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <net/route.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "init.h"

static int inet = -1;     /* socket for the calls below */
static const char *name;  /* of the interface */

static struct ifreq request(void)
{
    struct ifreq request = {0};

    strncpy(request.ifr_name, name, sizeof request.ifr_name - 1);
    return request;
}

static bool change(unsigned long call, const char *address)
{
    struct ifreq change = request();
    struct sockaddr_in *value = (struct sockaddr_in *)&change.ifr_addr;

    value->sin_family = AF_INET;
    if (inet_pton(AF_INET, address, &value->sin_addr) != 1 || ioctl(inet, (int)call, &change) < 0) {
        say("%s %s: %s", name, address, strerror(errno));
        return false;
    }
    return true;
}

static void bring_up(void)
{
    struct ifreq flags = request();

    if (ioctl(inet, SIOCGIFFLAGS, &flags) == 0) {
        flags.ifr_flags |= IFF_UP | IFF_RUNNING;
        ioctl(inet, SIOCSIFFLAGS, &flags);
    }
}

static bool has_address(const char *address)
{
    struct ifreq present = request();
    char text[INET_ADDRSTRLEN] = "";

    if (ioctl(inet, SIOCGIFADDR, &present) < 0)
        return false;
    inet_ntop(AF_INET, &((struct sockaddr_in *)&present.ifr_addr)->sin_addr, text, sizeof text);
    return strcmp(text, address) == 0;
}

static void set_default_route(const char *router)
{
    struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY};
    struct sockaddr_in *gateway = (struct sockaddr_in *)&route.rt_gateway;

    route.rt_dst.sa_family = AF_INET;
    route.rt_genmask.sa_family = AF_INET;
    gateway->sin_family = AF_INET;
    if (inet_pton(AF_INET, router, &gateway->sin_addr) != 1)
        return;
    if (ioctl(inet, SIOCADDRT, &route) < 0 && errno != EEXIST)
        say("route by %s: %s", router, strerror(errno));
}

static bool open_socket(const char *interface)
{
    name = interface;
    if (inet < 0)
        inet = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return name != NULL && inet >= 0;
}

bool set_address(const char *interface, const char *address, const char *mask, const char *router)
{
    if (!open_socket(interface) || !change(SIOCSIFADDR, address))
        return false;
    bring_up();
    if (mask != NULL && !change(SIOCSIFNETMASK, mask))
        return false;
    if (router != NULL)
        set_default_route(router);
    say("%s has %s", interface, address);
    return true;
}

bool set_mac(const char *interface, const unsigned char mac[6])
{
    if (!open_socket(interface))
        return false;
    struct ifreq change = request();
    change.ifr_hwaddr.sa_family = ARPHRD_ETHER;
    memcpy(change.ifr_hwaddr.sa_data, mac, 6);
    if (ioctl(inet, SIOCSIFHWADDR, &change) < 0) {
        say("MAC of %s: %s", interface, strerror(errno));
        return false;
    }
    return true;
}

int configure_address(const char *event)
{
    const char *address = getenv("ip");
    const char *routers = getenv("router");

    if (!open_socket(getenv("interface")))
        return 1;
    if (strcmp(event, "deconfig") == 0) {
        bring_up();
        if (!has_address("0.0.0.0"))
            change(SIOCSIFADDR, "0.0.0.0");
    } else if ((strcmp(event, "bound") == 0 || strcmp(event, "renew") == 0) && address != NULL) {
        char first[INET_ADDRSTRLEN] = "";

        /* A renewal that changes nothing must not disturb connections. */
        if (has_address(address))
            return 0;
        if (routers != NULL) {
            size_t length = strcspn(routers, " ");
            strncpy(first, routers, length < sizeof first - 1 ? length : sizeof first - 1);
        }
        if (!set_address(name, address, getenv("subnet"), first[0] != '\0' ? first : NULL))
            return 1;
    }
    return 0;
}
