/* Short lines for the guest's console. */
#ifndef CONSOLE_H
#define CONSOLE_H

/* Prints "taskloader: …" and a newline in one write. Never waits: where the console is too slow to
 * take the line, the line is lost, because a measurement must not wait for a serial port. */
void console(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
