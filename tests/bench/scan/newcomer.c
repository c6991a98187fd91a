/* A container that starts, and listens some time later: no program is executed in it after the fork.
 *
 *   newcomer PORT MILLISECONDS
 *
 * Prints the time just before it listens, as nanoseconds of CLOCK_MONOTONIC, and ends when its standard input does. */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int failed(const char *what) {
    perror(what);
    return 1;
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    if (unshare(CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS) < 0) return failed("unshare");
    pid_t pid = fork();
    if (pid < 0) return failed("fork");
    if (pid > 0) {
        char byte;
        while (read(0, &byte, 1) > 0) {}
        kill(pid, SIGKILL);
        return waitpid(pid, 0, 0) == pid ? 0 : 1;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    usleep(1000 * atoi(argv[2]));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
    int s = socket(AF_INET, SOCK_STREAM, 0);
    if (s < 0 || bind(s, (const void *)&address, sizeof address) < 0) return failed("bind");
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (listen(s, 16) < 0) return failed("listen");
    printf("%lld\n", now.tv_sec * 1000000000LL + now.tv_nsec);
    fflush(stdout);
    for (;;) pause();
}
