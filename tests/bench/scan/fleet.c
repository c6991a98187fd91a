/* Many small containers, to be measured on: each has its own network, mount, pid and UTS namespaces, a loopback that
 * is up, and two listeners, 127.0.0.1 and dual-stack [::].
 *
 *   fleet [-c CONNECTIONS] [-o] [-p PROCESSES] [-u] [-g DIRECTORY] [-i IMAGE] COUNT
 *
 * -c  this many established connections in each (both ends are inside, so twice as many sockets)
 * -o  they are held by another process than the one that listens
 * -p  this many processes more in each, without sockets
 * -u  each listens on ports that no other one has
 * -g  each in a cgroup of its own in this directory of cgroup2, named as Docker's systemd driver names them
 * -i  each has a root of its own, an overlay over this directory, and runs the services of IMAGE/services: a command in
 *     each line, the number of its processes first
 *
 * Prints "ready" once all of them listen, and ends with all of them when its standard input ends. Should it be killed
 * instead, the kernel ends them (PR_SET_PDEATHSIG on the first process of each pid namespace); then only the cgroups
 * stay. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LOOPBACK_PORT = 6379, ALL_PORT = 8080, FIRST_UNIQUE_PORT = 10000, BACKLOG = 4096 };
/* In a container: the end of a pipe that the fleet holds the other end of, and the pipe to say that it is up. What
 * is FIRST_OF_FLEET or above is the fleet's own. */
enum { ALIVE = 0, READY = 3, FIRST_OF_FLEET = 4 };

static int connections, processes, elsewhere, unique;
static const char *cgroups, *image;
static int per_image;

static int check(int result, const char *what) {
    if (result < 0) {
        fprintf(stderr, "fleet: %s: %s\n", what, strerror(errno));
        exit(1);
    }
    return result;
}

static void end_with_fleet(void) {
    check(prctl(PR_SET_PDEATHSIG, SIGKILL), "prctl");
    /* Had it ended before that, its end of the pipe would be closed; now there is nothing to read (EAGAIN). */
    char byte;
    if (read(ALIVE, &byte, 1) == 0) exit(0);
}

static void loopback_up(void) {
    int s = check(socket(AF_INET, SOCK_DGRAM, 0), "socket");
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    check(ioctl(s, SIOCSIFFLAGS, &request), "lo up");
    close(s);
}

static int listener(const void *address, socklen_t length, int family) {
    int s = check(socket(family, SOCK_STREAM, 0), "socket"), off = 0;
    if (family == AF_INET6) check(setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off), "dual stack");
    check(bind(s, address, length), "bind");
    check(listen(s, BACKLOG), "listen");
    return s;
}

/* Both ends of each stay open, which is why nothing is given back. */
static void connect_to(int listening, const struct sockaddr_in *address) {
    for (int i = 0; i < connections; i++) {
        int client = check(socket(AF_INET, SOCK_STREAM, 0), "socket");
        check(connect(client, (const void *)address, sizeof *address), "connect");
        check(accept(listening, 0, 0), "accept");
    }
}

static void up(void) {
    check(write(READY, "+", 1), "write");
    close(READY);
    for (;;) pause();
}

/* A process more in the namespace; it ends with the first one there. */
static void start_more(int with_connections, const int listeners[2], const struct sockaddr_in *address) {
    if (check(fork(), "fork") != 0) return;
    if (with_connections) connect_to(listeners[0], address);
    close(listeners[0]);
    close(listeners[1]);
    up();
}

/* The fleet's own upper layers lie in a file system of memory, which ends with the last of its mounts. */
static void own_root(int number) {
    char upper[4096], work[4096], root[4096], options[16384];
    snprintf(upper, sizeof upper, "%s.layers/%d-upper", image, number);
    snprintf(work, sizeof work, "%s.layers/%d-work", image, number);
    snprintf(root, sizeof root, "%s.layers/%d", image, number);
    snprintf(options, sizeof options, "lowerdir=%s,upperdir=%s,workdir=%s", image, upper, work);
    check(mkdir(upper, 0755), upper);
    check(mkdir(work, 0755), work);
    check(mkdir(root, 0755), root);
    check(mount("overlay", root, "overlay", 0, options), options);
    check(chdir(root), root);
    check(syscall(SYS_pivot_root, ".", "."), "pivot_root");
    check(umount2(".", MNT_DETACH), "umount");
}

static void run_services(void) {
    FILE *list = fopen("/services", "r");
    check(list ? 0 : -1, "/services");
    for (char line[4096]; fgets(line, sizeof line, list);) {
        char *words[64], *word = strtok(line, " \n");
        int count = 0;
        for (; (word = strtok(0, " \n")) && count < 63; count++) words[count] = word;
        words[count] = 0;
        if (count == 0 || check(fork(), "fork") != 0) continue;
        check(execv(words[0], words), words[0]);
    }
    fclose(list);
}

static void container(int number) {
    check(syscall(SYS_close_range, FIRST_OF_FLEET, ~0U, 0), "close_range");
    end_with_fleet();
    char name[32];
    check(sethostname(name, snprintf(name, sizeof name, "fleet-%d", number)), "sethostname");
    loopback_up();
    if (image) {
        own_root(number);
        run_services();
        up();
    }
    int own = FIRST_UNIQUE_PORT + 2 * number;
    struct sockaddr_in loopback = {.sin_family = AF_INET, .sin_port = htons(unique ? own : LOOPBACK_PORT)};
    loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct sockaddr_in6 all = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT};
    all.sin6_port = htons(unique ? own + 1 : ALL_PORT);
    int listeners[2] = {
        listener(&loopback, sizeof loopback, AF_INET),
        listener(&all, sizeof all, AF_INET6),
    };
    if (elsewhere) start_more(1, listeners, &loopback);
    else connect_to(listeners[0], &loopback);
    for (int i = 0; i < processes; i++) start_more(0, listeners, &loopback);
    up();
}

/* As Docker names them: 64 hexadecimal digits. */
static const char *cgroup_of(int number) {
    static char path[4096];
    snprintf(path, sizeof path, "%s/docker-%032x%032x.scope", cgroups, number + 1, 0xf1ee7);
    return path;
}

static pid_t start(int number) {
    /* struct clone_args of linux/sched.h, which older headers do not have whole. */
    struct {
        uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size,
            cgroup;
    } arguments = {.flags = CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS, .exit_signal = SIGCHLD};
    int cgroup = -1;
    if (cgroups) {
        const char *path = cgroup_of(number);
        check(mkdir(path, 0755), path);
        cgroup = check(open(path, O_RDONLY | O_DIRECTORY), path);
        arguments.flags |= 0x200000000; /* CLONE_INTO_CGROUP */
        arguments.cgroup = cgroup;
    }
    pid_t pid = check(syscall(SYS_clone3, &arguments, sizeof arguments), "clone3");
    if (pid == 0) container(number);
    if (cgroups) close(cgroup);
    return pid;
}

/* A process that was killed and waited for can be in its cgroup a moment longer. */
static void remove_cgroups(int count) {
    for (int i = 0; i < count; i++)
        for (int tries = 0; rmdir(cgroup_of(i)) < 0 && errno == EBUSY && tries < 2000; tries++) usleep(1000);
}

/* Moves a descriptor to one of the fleet's numbers. */
static int own(int fd) {
    int moved = check(fcntl(fd, F_DUPFD, 10), "dup");
    close(fd);
    return moved;
}

/* How many bytes came before the other ends were closed, at most so many. */
static int count_ready(int pipe, int wanted) {
    int count = 0;
    char bytes[4096];
    for (ssize_t n; count < wanted && (n = read(pipe, bytes, sizeof bytes)) > 0;) count += n;
    return count;
}

int main(int argc, char **argv) {
    for (int option; (option = getopt(argc, argv, "c:op:ug:i:")) != -1;) switch (option) {
        case 'c': connections = atoi(optarg); break;
        case 'o': elsewhere = 1; break;
        case 'p': processes = atoi(optarg); break;
        case 'u': unique = 1; break;
        case 'g': cgroups = optarg; break;
        case 'i': image = optarg; break;
        default: return 2;
        }
    if (optind != argc - 1) return 2;
    int count = atoi(argv[optind]), alive[2], ready[2];
    struct rlimit files;
    check(getrlimit(RLIMIT_NOFILE, &files), "getrlimit");
    files.rlim_cur = files.rlim_max;
    check(setrlimit(RLIMIT_NOFILE, &files), "setrlimit");

    int input = own(0), output = own(1);
    check(pipe(alive), "pipe");
    check(pipe(ready), "pipe");
    alive[0] = own(alive[0]), alive[1] = own(alive[1]), ready[0] = own(ready[0]), ready[1] = own(ready[1]);
    check(fcntl(alive[0], F_SETFL, O_NONBLOCK), "fcntl");
    check(dup2(alive[0], ALIVE), "dup2");
    check(dup2(ready[1], READY), "dup2");
    int null = own(check(open("/dev/null", O_RDWR), "/dev/null"));
    check(dup2(null, 1), "dup2");
    close(ready[1]);

    if (image) {
        char path[4096];
        check(unshare(CLONE_NEWNS), "unshare");
        check(mount(0, "/", 0, MS_REC | MS_PRIVATE, 0), "private mounts");
        snprintf(path, sizeof path, "%s.layers", image);
        check(mkdir(path, 0755), path);
        check(mount("tmpfs", path, "tmpfs", 0, 0), path);
        snprintf(path, sizeof path, "%s/services", image);
        FILE *list = fopen(path, "r");
        check(list ? 0 : -1, path);
        for (char line[4096]; fgets(line, sizeof line, list);) per_image += atoi(line);
        fclose(list);
    }
    pid_t *pids = calloc(count, sizeof *pids);
    for (int i = 0; i < count; i++) pids[i] = start(i);
    close(READY);
    int wanted = count * (1 + processes + elsewhere + per_image), got = count_ready(ready[0], wanted);
    if (got == wanted) {
        check(write(output, "ready\n", 6), "write");
        char byte;
        while (read(input, &byte, 1) > 0) {}
    } else {
        fprintf(stderr, "fleet: only %d of %d processes are up\n", got, wanted);
    }
    for (int i = 0; i < count; i++) kill(pids[i], SIGKILL);
    for (int i = 0; i < count; i++) waitpid(pids[i], 0, 0);
    if (cgroups) remove_cgroups(count);
    return got == wanted ? 0 : 1;
}
