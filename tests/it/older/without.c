/* Executes a program for which some system calls fail, as on an older or a stricter kernel:
   without RULE... PROGRAM ARGUMENT...
   A rule is NUMBER=ERRNO, or NUMBER:ARGUMENT:MASK:VALUE=ERRNO for a call whose argument (its lower half) has this
   value under this mask; all of several such conditions must hold. A program begins with a slash. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#define LOAD(field) (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, field)
/* The lower half of an argument, on a machine that keeps it first. */
#define ARGUMENT(n) (offsetof(struct seccomp_data, args) + 8 * (n))
#define MOST 4

struct condition { unsigned argument, mask, value; };

static int forbid(char *rule) {
    unsigned number = strtoul(rule, &rule, 0);
    struct condition conditions[MOST];
    unsigned count = 0;
    while (*rule == ':' && count < MOST) {
        struct condition *c = &conditions[count++];
        c->argument = strtoul(rule + 1, &rule, 0);
        if (*rule++ != ':') return -1;
        c->mask = strtoul(rule, &rule, 0);
        if (*rule++ != ':') return -1;
        c->value = strtoul(rule, &rule, 0);
    }
    if (*rule != '=') return -1;
    unsigned error = strtoul(rule + 1, &rule, 0);
    if (*rule) return -1;

    struct sock_filter steps[4 + 3 * MOST];
    unsigned at = 0, last = 3 + 3 * count;
    steps[at++] = LOAD(offsetof(struct seccomp_data, nr));
    steps[at] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, last - at - 1), at++;
    for (unsigned i = 0; i < count; i++) {
        steps[at++] = LOAD(ARGUMENT(conditions[i].argument));
        steps[at++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, conditions[i].mask);
        steps[at] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, conditions[i].value, 0, last - at - 1);
        at++;
    }
    steps[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error);
    steps[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {at, steps};
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

int main(int argc, char **argv) {
    /* The last rule can be one against filters themselves. */
    for (int i = 1; i < argc; i++) {
        if (*argv[i] == '/') { execv(argv[i], argv + i); return 127; }
        if (forbid(argv[i])) return 126;
    }
    return 125;
}
