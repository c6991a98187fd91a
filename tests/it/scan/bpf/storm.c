/* Makes one process after another under the same number: storm PID. Each is called "even" or "odd" and listens under
   an abstract name that says so, for a moment, in turns with the other kind. */
#define _GNU_SOURCE
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv) {
    pid_t number = argc > 1 ? atoi(argv[1]) : 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (unsigned long turn = 0;; turn++) {
        struct clone_args how = {.exit_signal = SIGCHLD, .set_tid = number ? (uintptr_t)&number : 0,
                                 .set_tid_size = number > 0};
        pid_t child = syscall(SYS_clone3, &how, sizeof how);
        if (child < 0) {
            perror("clone3");
            return 1;
        }
        if (child == 0) {
            const char *kind = turn % 2 ? "odd" : "even";
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            /* Some turns in a network namespace of their own. */
            if (turn % 3 == 0 && unshare(CLONE_NEWNET)) _exit(1);
            prctl(PR_SET_NAME, kind);
            int s = socket(AF_UNIX, SOCK_STREAM, 0);
            struct sockaddr_un address = {.sun_family = AF_UNIX};
            int length = snprintf(address.sun_path + 1, 100, "storm-%s-%d-%lu", kind, getpid(), turn);
            if (bind(s, (void *)&address, sizeof(sa_family_t) + 1 + length) || listen(s, 1)) _exit(1);
            /* Mostly shorter than a scan, now and then longer. */
            struct timespec moment = {0, turn % 7 ? 500000 : 80000000};
            nanosleep(&moment, NULL);
            _exit(0);
        }
        int status;
        if (waitpid(child, &status, 0) != child || status) return 1;
        if (turn == 0) puts("ready"), fflush(stdout);
    }
}
