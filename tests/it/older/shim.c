/* Comes before the C library and answers for the kernel where a filter of system calls cannot see what is asked: it
   lies in memory. OLDER says what is missing, as words with a comma after each; a line in the file OLDER_TOLD says that
   it was missed.
   both=        the request that knows no family (TCPDIAG_GETSOCK)
   inet= unix=  the dumps of these families, as without the modules inet_diag and unix_diag
   udp= mptcp=  the dumps of these protocols, as without udp_diag and mptcp_diag
   size=        the size of the list of descriptors
   cached=      looking paths up in the kernel's memory only (RESOLVE_CACHED)
   probe= sockets= sequence=  BPF programs that read any memory, know a file's socket, write what a reader gets
   cast=        functions of the kernel that BPF programs call
   one-task=    a BPF iterator of one process
   slow=        nothing is missing: says how long the longest read(2) of a BPF iterator took, in microseconds of the
                thread's own time, and how many there were
   NAME=N       opening NAME below /proc/PID fails with this errno
   NAME=/PATH   what is opened is another file
   What is rewritten is refused by the kernel itself, in its own words. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define TCPDIAG_GETSOCK 18
#define SOCK_DIAG_BY_FAMILY 20
/* Neither a request nor a family that anybody has. */
#define NO_REQUEST 99
#define NO_FAMILY 0
#define NO_PROTOCOL 0

static const char *missing(const char *name) {
    const char *rule = getenv("OLDER");
    size_t length = strlen(name);
    while (rule && *rule) {
        if (!strncmp(rule, name, length) && rule[length] == '=') return rule + length + 1;
        rule = strchr(rule, ',');
        if (rule) rule++;
    }
    return NULL;
}

static void told(const char *what) {
    const char *path = getenv("OLDER_TOLD");
    if (!path) return;
    int kept = errno;
    int fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    char line[64] = "";
    strncat(line, what, sizeof line - 2);
    strcat(line, "\n");
    if (fd < 0 || write(fd, line, strlen(line)) < 0) abort();
    close(fd);
    errno = kept;
}

static int is_sock_diag(int fd) {
    int domain = 0, protocol = -1;
    socklen_t length = sizeof domain;
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) || domain != AF_NETLINK) return 0;
    length = sizeof protocol;
    return !getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &length) && protocol == NETLINK_SOCK_DIAG;
}

static void rewrite(unsigned char *bytes, size_t length) {
    for (struct nlmsghdr *head = (void *)bytes; NLMSG_OK(head, length); head = NLMSG_NEXT(head, length)) {
        unsigned char *body = NLMSG_DATA(head);
        int inet = body[0] == AF_INET || body[0] == AF_INET6;
        if (head->nlmsg_type == TCPDIAG_GETSOCK && (missing("both") || missing("inet"))) {
            head->nlmsg_type = NO_REQUEST, told("both");
        } else if (head->nlmsg_type == SOCK_DIAG_BY_FAMILY) {
            /* Its number is in an attribute, which no other request has. */
            int numbered = head->nlmsg_len > NLMSG_LENGTH(sizeof(struct inet_diag_req_v2));
            if (inet && numbered && missing("mptcp")) body[0] = NO_FAMILY, told("mptcp");
            else if (inet && missing("inet")) body[0] = NO_FAMILY, told("inet");
            else if (inet && body[1] == 17 && missing("udp")) body[1] = NO_PROTOCOL, told("udp");
            else if (body[0] == AF_UNIX && missing("unix")) body[0] = NO_FAMILY, told("unix");
        }
    }
}

ssize_t sendto(int fd, const void *bytes, size_t length, int flags, const struct sockaddr *to, socklen_t size) {
    ssize_t (*next)(int, const void *, size_t, int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "sendto");
    if (!is_sock_diag(fd)) return next(fd, bytes, length, flags, to, size);
    void *copy = malloc(length ? length : 1);
    if (!copy) abort();
    memcpy(copy, bytes, length);
    rewrite(copy, length);
    ssize_t sent = next(fd, copy, length, flags, to, size);
    free(copy);
    return sent;
}

ssize_t send(int fd, const void *bytes, size_t length, int flags) {
    return sendto(fd, bytes, length, flags, NULL, 0);
}

static int open_at(int directory, const char *name, int flags, mode_t mode) {
    const char *instead = missing(name);
    if (!instead) return syscall(SYS_openat, directory, name, flags, mode);
    told(name);
    if (*instead != '/') {
        errno = atoi(instead);
        return -1;
    }
    char path[4096] = "";
    strncat(path, instead, strcspn(instead, ",") < sizeof path ? strcspn(instead, ",") : sizeof path - 1);
    return syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

#define OPEN_AT(symbol)                                           \
    int symbol(int directory, const char *name, int flags, ...) { \
        va_list more;                                             \
        va_start(more, flags);                                    \
        mode_t mode = va_arg(more, mode_t);                       \
        va_end(more);                                             \
        return open_at(directory, name, flags, mode);             \
    }
OPEN_AT(openat)
OPEN_AT(openat64)

/* Both have the same layout on machines of 64 bits. */
#define STAT_AT(symbol, structure)                                                                  \
    int symbol(int directory, const char *name, struct structure *into, int flags) {                \
        int (*next)(int, const char *, struct structure *, int) = dlsym(RTLD_NEXT, #symbol);        \
        int result = next(directory, name, into, flags);                                            \
        if (!result && !strcmp(name, "fd") && missing("size")) into->st_size = 0, told("size");     \
        return result;                                                                              \
    }
STAT_AT(fstatat, stat)
STAT_AT(fstatat64, stat64)

/* Whether a program that is to be loaded calls a helper, or a function of the kernel whatever it is: an array of eight
   bytes each, where 0x85 is a call, and a source register of 2 makes it one of a function. */
#define FUNCTION (~0u)
static int calls(const unsigned char *attributes, unsigned helper) {
    unsigned count;
    unsigned long long place;
    memcpy(&count, attributes + 4, sizeof count);
    memcpy(&place, attributes + 8, sizeof place);
    const unsigned char *program = (const void *)place;
    for (unsigned i = 0; i < count; i++) {
        const unsigned char *one = program + 8ul * i;
        if (one[0] != 0x85) continue;
        int function = (one[1] & 0x22) != 0;
        if (helper == FUNCTION ? function : !function && !memcmp(one + 4, &helper, sizeof helper)) return 1;
    }
    return 0;
}

/* As the kernel answers that does not know what the attributes of bpf(2) ask for; 0 where it knows. */
static int bpf_refuses(long command, unsigned char *attributes) {
    static const struct { const char *word; unsigned helper; } helpers[] = {
        {"probe", 113}, {"sockets", 162}, {"sequence", 127}, {"cast", FUNCTION},
    };
    if (command == 5) {
        for (unsigned i = 0; i < sizeof helpers / sizeof *helpers; i++) {
            if (!missing(helpers[i].word) || !calls(attributes, helpers[i].helper)) continue;
            told(helpers[i].word);
            return helpers[i].helper == FUNCTION ? EACCES : EINVAL;
        }
    }
    if (command == 28 && missing("one-task")) {
        unsigned long long place;
        unsigned length;
        memcpy(&place, attributes + 16, sizeof place);
        memcpy(&length, attributes + 24, sizeof length);
        const unsigned char *info = (const void *)place;
        /* It knows the first four bytes, which are for other iterators, and passes them over. */
        for (unsigned i = 4; info && i < length; i++) {
            if (info[i]) return told("one-task"), E2BIG;
        }
        if (info && length) told("one-task"), memset(attributes + 16, 0, 12);
    }
    return 0;
}

static unsigned long long longest, reads;

__attribute__((destructor)) static void tell_longest(void) {
    char line[64];
    if (!missing("slow") || !reads) return;
    snprintf(line, sizeof line, "slow %llu %llu", longest, reads);
    told(line);
}

static int is_iterator(int fd) {
    char place[64], link[64] = "";
    snprintf(place, sizeof place, "/proc/self/fd/%d", fd);
    return readlink(place, link, sizeof link - 1) > 0 && strstr(link, "bpf_iter");
}

ssize_t read(int fd, void *into, size_t size) {
    struct timespec from, to;
    int timed = missing("slow") && is_iterator(fd);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    ssize_t got = syscall(SYS_read, fd, into, size);
    if (timed) {
        int kept = errno;
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
        unsigned long long took = (to.tv_sec - from.tv_sec) * 1000000ll + (to.tv_nsec - from.tv_nsec) / 1000;
        if (took > longest) longest = took;
        reads++;
        errno = kept;
    }
    return got;
}

/* Whoever calls the kernel by number. */
#define RESOLVE_CACHED_FLAG 0x20
long syscall(long number, ...) {
    static long (*next)(long, ...);
    if (!next) next = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    va_list list;
    va_start(list, number);
    long a = va_arg(list, long), b = va_arg(list, long), c = va_arg(list, long);
    long d = va_arg(list, long), e = va_arg(list, long), f = va_arg(list, long);
    va_end(list);
    if (number == SYS_openat2 && missing("cached")) {
        /* struct open_how: flags, mode, resolve. */
        const unsigned long long *how = (const void *)c;
        if (how && how[2] & RESOLVE_CACHED_FLAG) {
            told("cached");
            errno = EINVAL;
            return -1;
        }
    }
    if (number == SYS_bpf && (missing("probe") || missing("sockets") || missing("sequence") || missing("cast") ||
                              missing("one-task"))) {
        unsigned char attributes[256] = "";
        memcpy(attributes, (const void *)b, (size_t)c < sizeof attributes ? (size_t)c : sizeof attributes);
        int refusal = bpf_refuses(a, attributes);
        if (refusal) {
            errno = refusal;
            return -1;
        }
        return next(number, a, attributes, c, d, e, f);
    }
    return next(number, a, b, c, d, e, f);
}
