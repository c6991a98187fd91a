/* Stands in for a service, by the name that it is started as: it listens where that would, forks the workers that that
 * has, and does nothing else. What is measured looks at processes, sockets and files, and talks to nobody. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct service {
    const char *program;
    int port, workers;
    const char *logs[3];
} SERVICES[] = {
    {"nginx", 80, 1, {"/var/log/nginx/access.log", "/var/log/nginx/error.log", "/var/log/nginx/site.log"}},
    {"redis-server", 6379, 0, {"/var/log/redis/redis-server.log"}},
    {"postgres", 5432, 1, {0}},
    {"mariadbd", 3306, 0, {"/var/log/mysql/error.log"}},
    {"haproxy", 8404, 0, {0}},
};

static void must(int result, const char *what) {
    if (result < 0) perror(what), exit(1);
}

int main(int argc, char **argv) {
    (void)argc;
    const char *slash = strrchr(argv[0], '/'), *name = slash ? slash + 1 : argv[0];
    for (size_t i = 0; i < sizeof SERVICES / sizeof *SERVICES; i++) {
        const struct service *service = &SERVICES[i];
        if (strcmp(name, service->program) != 0) continue;
        int s = socket(AF_INET, SOCK_STREAM, 0);
        must(s, "socket");
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(service->port)};
        must(bind(s, (void *)&address, sizeof address), "bind");
        must(listen(s, 128), "listen");
        for (int log = 0; log < 3 && service->logs[log]; log++)
            must(open(service->logs[log], O_WRONLY | O_APPEND | O_CREAT, 0644), service->logs[log]);
        for (int worker = 0; worker < service->workers; worker++)
            if (fork() == 0) break;
        /* Whoever started this counts: it is there. */
        must(write(3, "+", 1), "write");
        close(3);
        for (;;) pause();
    }
    fprintf(stderr, "stand-in: no service is called %s\n", name);
    return 2;
}
