/* Carries out what the client says. */
#ifndef COMMANDS_H
#define COMMANDS_H

#include "client.h"

extern const struct client_handler commands;

#endif
