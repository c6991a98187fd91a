/* Closes its listener and makes it again at the same address, for ever. For each line that it reads it says how often
   the address was still in use, for how many microseconds at most, and how often it was made. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

int main(void) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof at;
    int s = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(s, (void *)&at, sizeof at) || listen(s, 1) || getsockname(s, (void *)&at, &length)) return 1;
    puts("ready");
    fflush(stdout);
    unsigned long often = 0, rounds = 0;
    double longest = 0;
    for (;;) {
        struct pollfd asked = {.fd = 0, .events = POLLIN};
        char line[64];
        if (rounds % 1000 == 0 && poll(&asked, 1, 0) == 1) {
            if (!fgets(line, sizeof line, stdin)) return 0;
            printf("%lu %.0f %lu\n", often, longest, rounds);
            fflush(stdout);
        }
        close(s);
        s = socket(AF_INET, SOCK_STREAM, 0);
        double began = now(), tries = 0;
        while (bind(s, (void *)&at, sizeof at)) {
            if (errno != EADDRINUSE) return 1;
            tries++;
        }
        if (listen(s, 1)) return 1;
        rounds++;
        if (tries == 0) continue;
        often++;
        if (now() - began > longest) longest = now() - began;
    }
}
