/* What the kernel asks for the chart of a host at least: the necessary system calls, bare, and nothing kept.
 *
 *   floor full         every process: stat, cgroup, four namespace links, the links of all descriptors; every network
 *                      namespace: entered once, one socket, its listeners (v4 and v6) dumped
 *   floor dumps COUNT  sockets are made in all network namespaces first; then so often: the dumps alone
 *   floor proc         as full, but the listeners are read from /proc/PID/net/tcp and tcp6, without entering
 *
 * Before the mode, -1 asks for both families in one dump, by the request that was there before SOCK_DIAG_BY_FAMILY
 * (TCPDIAG_GETSOCK).
 *
 * Prints one line of KEY=VALUE: CPU time (user and system) and wall in microseconds, from the start of the process
 * (for dumps: the median round), and how many there were of each, so that it can be checked that two programs have
 * seen the same. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { LISTEN_STATE = 1 << 10, KERNEL_THREAD = 0x00200000, TABLE = 1 << 16 };
enum mode { FULL, DUMPS, PROC };

static int one_dump;
static unsigned long processes, namespaces, listeners, sockets;
static int kept[TABLE], kept_count;
static char buffer[64 * 1024];

static void fail(const char *what) {
    fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* Whether this namespace was not there before. */
static int is_new(uint32_t inode) {
    static uint32_t table[TABLE];
    for (uint32_t at = inode * 2654435769u >> 16;; at = (at + 1) % TABLE) {
        if (table[at] == inode) return 0;
        if (table[at] == 0) {
            table[at] = inode;
            return 1;
        }
    }
}

static size_t read_file(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t length = read(fd, buffer, sizeof buffer - 1);
    close(fd);
    if (length < 0) length = 0;
    buffer[length] = 0;
    return length;
}

/* The number in "net:[4026531840]" or "socket:[123]"; 0 if there is none. */
static uint32_t number_of(const char *link, ssize_t length) {
    const char *open = length > 0 ? memchr(link, '[', length) : 0;
    uint32_t number = 0;
    if (open)
        while (++open < link + length && *open != ']') number = number * 10 + (*open - '0');
    return number;
}

/* Counts the messages of a kind; gives whether the dump is at its end. */
static int count_messages(ssize_t length, int *count) {
    for (struct nlmsghdr *m = (void *)buffer; NLMSG_OK(m, length); m = NLMSG_NEXT(m, length)) {
        if (m->nlmsg_type == NLMSG_DONE) return 1;
        if (m->nlmsg_type == NLMSG_ERROR) {
            errno = -((struct nlmsgerr *)NLMSG_DATA(m))->error;
            fail("sock_diag");
        }
        ++*count;
    }
    return 0;
}

static int dump(int socket, int family) {
    struct {
        struct nlmsghdr header;
        struct inet_diag_req_v2 request;
    } by_family = {
        {.nlmsg_len = sizeof by_family, .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        {.sdiag_family = family, .sdiag_protocol = IPPROTO_TCP, .idiag_states = LISTEN_STATE},
    };
    struct {
        struct nlmsghdr header;
        struct inet_diag_req request;
    } old = {
        {.nlmsg_len = sizeof old, .nlmsg_type = TCPDIAG_GETSOCK, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        {.idiag_family = AF_INET, .idiag_states = LISTEN_STATE},
    };
    const void *message = one_dump ? (void *)&old : &by_family;
    if (send(socket, message, one_dump ? sizeof old : sizeof by_family, 0) < 0) fail("send");
    int count = 0;
    for (;;) {
        ssize_t length = recv(socket, buffer, sizeof buffer, 0);
        if (length < 0) fail("recv");
        if (count_messages(length, &count)) return count;
    }
}

static void dump_all(int socket) {
    listeners += dump(socket, AF_INET);
    if (!one_dump) listeners += dump(socket, AF_INET6);
}

/* Which socket is then born in the namespace of the process; we stay there. */
static int enter(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    if (setns(fd, CLONE_NEWNET) < 0) fail("setns");
    close(fd);
    int diag = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (diag < 0) fail("socket");
    return diag;
}

/* A file can be longer than the buffer; state 0A is LISTEN. */
static void count_lines(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    size_t rest = 0;
    for (ssize_t n; (n = read(fd, buffer + rest, sizeof buffer - rest)) > 0;) {
        char *line = buffer, *end = buffer + rest + n, *next;
        for (; (next = memchr(line, '\n', end - line)); line = next + 1) {
            /* "  0: 0100007F:18EB 00000000:0000 0A ..." */
            *next = 0;
            char *field = strchr(line, ':');
            if (field && (field = strchr(field + 2, ' ')) && (field = strchr(field + 1, ' ')))
                listeners += field[1] == '0' && field[2] == 'A';
        }
        rest = end - line;
        memmove(buffer, line, rest);
    }
    close(fd);
}

/* The links of all descriptors of a process. */
static void descriptors(const char *path) {
    static char names[32 * 1024];
    int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) return;
    for (long length; (length = syscall(SYS_getdents64, directory, names, sizeof names)) > 0;)
        for (long at = 0; at < length;) {
            struct dirent64 *entry = (void *)(names + at);
            at += entry->d_reclen;
            if (entry->d_name[0] == '.') continue;
            char link[64];
            ssize_t n = readlinkat(directory, entry->d_name, link, sizeof link);
            sockets += n > 8 && memcmp(link, "socket:[", 8) == 0 && number_of(link, n) != 0;
        }
    close(directory);
}

/* Writes the path of a process's file, below /proc, where we are. */
static char *at(char *path, const char *pid, const char *file) {
    stpcpy(stpcpy(stpcpy(path, pid), "/"), file);
    return path;
}

static void look_at(const char *pid, enum mode mode) {
    char path[64], link[64];
    if (mode != DUMPS) {
        if (read_file(at(path, pid, "stat")) == 0) return;
        /* The flags are the seventh field after the name, which can hold anything. */
        char *field = strrchr(buffer, ')');
        if (!field || field[2] == 'Z') return;
        field += 2;
        for (int i = 0; i < 6; i++) field = strchr(field, ' ') + 1;
        if (strtoul(field, 0, 10) & KERNEL_THREAD) return;
    }
    uint32_t net = number_of(link, readlink(at(path, pid, "ns/net"), link, sizeof link));
    if (net == 0) return;
    processes++;
    if (mode != DUMPS) {
        static const char *const others[] = {"ns/mnt", "ns/pid", "ns/user"};
        for (int i = 0; i < 3; i++)
            if (readlink(at(path, pid, others[i]), link, sizeof link) < 0) return;
        if (read_file(at(path, pid, "cgroup")) == 0) return;
    }
    if (is_new(net)) {
        namespaces++;
        if (mode == PROC) {
            count_lines(at(path, pid, "net/tcp"));
            count_lines(at(path, pid, "net/tcp6"));
        } else {
            int socket = enter(at(path, pid, "ns/net"));
            if (socket >= 0 && mode == DUMPS) kept[kept_count++] = socket;
            if (socket >= 0 && mode == FULL) dump_all(socket), close(socket);
        }
    }
    if (mode != DUMPS) descriptors(at(path, pid, "fd"));
}

static void look_at_all(enum mode mode) {
    static char names[256 * 1024];
    int proc = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), home = open("self/ns/net", O_RDONLY | O_CLOEXEC);
    if (proc < 0 || home < 0) fail("/proc");
    for (long length; (length = syscall(SYS_getdents64, proc, names, sizeof names)) > 0;)
        for (long at = 0; at < length;) {
            struct dirent64 *entry = (void *)(names + at);
            at += entry->d_reclen;
            if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9') look_at(entry->d_name, mode);
        }
    if (setns(home, CLONE_NEWNET) < 0) fail("setns home");
    close(home);
    close(proc);
}

static long cpu(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000 + used.ru_utime.tv_usec + used.ru_stime.tv_usec;
}

static long wall(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int by_size(const void *a, const void *b) {
    long x = *(const long *)a, y = *(const long *)b;
    return (x > y) - (x < y);
}

static long median(long *values, int count) {
    qsort(values, count, sizeof *values, by_size);
    return values[count / 2];
}

int main(int argc, char **argv) {
    long start = wall();
    if (argc > 1 && strcmp(argv[1], "-1") == 0) one_dump = 1, argv++, argc--;
    enum mode mode;
    if (argc == 2 && strcmp(argv[1], "full") == 0) mode = FULL;
    else if (argc == 2 && strcmp(argv[1], "proc") == 0) mode = PROC;
    else if (argc == 3 && strcmp(argv[1], "dumps") == 0) mode = DUMPS;
    else return 2;
    if (chdir("/proc") < 0) fail("/proc");
    if (mode == DUMPS) {
        struct rlimit files;
        getrlimit(RLIMIT_NOFILE, &files);
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    look_at_all(mode);
    long used = cpu(), took = wall() - start;
    if (mode == DUMPS) {
        int rounds = atoi(argv[2]);
        if (rounds < 1 || rounds > 1000) return 2;
        static long cpus[1000], walls[1000];
        for (int round = 0; round < rounds; round++) {
            listeners = 0;
            used = cpu(), took = wall();
            for (int i = 0; i < kept_count; i++) dump_all(kept[i]);
            cpus[round] = cpu() - used, walls[round] = wall() - took;
        }
        used = median(cpus, rounds), took = median(walls, rounds);
    }
    printf("cpu=%ld wall=%ld processes=%lu namespaces=%lu listeners=%lu sockets=%lu\n", used, took, processes,
           namespaces, listeners, sockets);
    return 0;
}
