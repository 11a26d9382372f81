/* A clock for tests, preloaded into the program: every clock shows the real time and what was left
 * out of it. A wait in which nothing can happen is left out at once: no connection to the Internet
 * is open, and no child runs. The file HOMING_TEST_CLOCK is the memory that the test shares (see
 * virtual_clock.rs): it reads the time there, says up to which moment waits are left out, sets the
 * wall clock, and lets the disk be full.
 *
 * Sees what goes through the C library, and one thread that waits by epoll_wait(2). A name look-up in
 * another thread is nothing that it waits for: tests name addresses. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SECOND UINT64_C(1000000000)
#define SLICE (SECOND / 1000)
#define NEVER UINT64_MAX
#define FILES 4096
#define TIMERS 4

/* A number: one of two, which a single byte chooses, so that it is whole whenever it is read, also
 * when the writer is killed or stopped. */
struct number {
    volatile uint64_t values[2];
    volatile uint8_t at, rest[7];
};

/* Nanoseconds. A moment is one of the steady clock, which goes on for ever. */
static struct shared {
    struct number left_out; /* in waits; written here */
    struct number passed;   /* while the program did not run */
    struct number slept;    /* since the start of the machine: CLOCK_MONOTONIC stood still */
    struct number booted;   /* the moment of that start */
    struct number wall;     /* what the wall clock is ahead of the steady one */
    struct number sets;     /* how often the kernel told that it was set */
    struct number stop;     /* the moment beyond which no wait is left out */
    struct number is_full;  /* whether nothing can be saved */
    struct number looked;   /* when the source was read last; written here */
    struct number before;   /* the same for the time before that */
    struct number waits;    /* how many waits have ended; written here */
    char rest[4096 - 11 * sizeof(struct number)];
    volatile unsigned char ports[65536];
} *shared;

/* What the test says of a port: of one of the program, that no answer comes; of a server, that it
 * refuses connections. */
enum { HUSHED = 1, REFUSING = 2 };

static struct { int file; uint64_t moment; } timers[TIMERS];
static int jumps = -1;
static uint64_t told;
static unsigned char is_connection[FILES];

static uint64_t get(struct number *number)
{
    for (;;) {
        uint8_t at = number->at & 1;
        uint64_t value = number->values[at];
        if (number->at == at)
            return value;
    }
}

static void put(struct number *number, uint64_t value)
{
    uint8_t at = !number->at;
    number->values[at] = value;
    number->at = at;
}

/* Before the program confines itself. */
__attribute__((constructor)) static void begin(void)
{
    const char *name = getenv("HOMING_TEST_CLOCK");
    int file = name ? syscall(SYS_openat, AT_FDCWD, name, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0)
        abort();
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (shared == MAP_FAILED)
        abort();
    syscall(SYS_close, file);
    told = get(&shared->sets);
    for (int at = 0; at < TIMERS; at++)
        timers[at].file = -1;
}

static uint64_t steady(void)
{
    struct timespec real;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &real);
    uint64_t shown = real.tv_sec * SECOND + real.tv_nsec;
    return shown + get(&shared->left_out) + get(&shared->passed);
}

int clock_gettime(clockid_t clock, struct timespec *moment)
{
    uint64_t shown;
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
        shown = steady() + get(&shared->wall);
        break;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_MONOTONIC_RAW:
        shown = steady() - get(&shared->booted) - get(&shared->slept);
        break;
    case CLOCK_BOOTTIME:
        shown = steady() - get(&shared->booted);
        break;
    default:
        return syscall(SYS_clock_gettime, clock, moment);
    }
    moment->tv_sec = shown / SECOND;
    moment->tv_nsec = shown % SECOND;
    return 0;
}

time_t time(time_t *place)
{
    struct timespec moment;
    clock_gettime(CLOCK_REALTIME, &moment);
    if (place)
        *place = moment.tv_sec;
    return moment.tv_sec;
}

int gettimeofday(struct timeval *restrict place, void *restrict zone)
{
    struct timespec moment;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &moment);
    place->tv_sec = moment.tv_sec;
    place->tv_usec = moment.tv_nsec / 1000;
    return 0;
}

/* Timers: files that the program reads from, and into which the waits write. */

static void signal_on(int file)
{
    uint64_t one = 1;
    syscall(SYS_write, file, &one, sizeof one);
}

int timerfd_create(clockid_t clock, int flags)
{
    int file = eventfd(0, (flags & TFD_NONBLOCK ? EFD_NONBLOCK : 0) | EFD_CLOEXEC);
    if (clock == CLOCK_REALTIME)
        return jumps = file;
    for (int at = 0; at < TIMERS && file >= 0; at++)
        if (timers[at].file < 0) {
            timers[at].file = file;
            timers[at].moment = NEVER;
            return file;
        }
    abort();
}

/* Each is set to a moment of CLOCK_BOOTTIME, except for the one that only tells of a clock that was
 * set, which never ends. */
int timerfd_settime(int file, int flags, const struct itimerspec *now, struct itimerspec *before)
{
    uint64_t ends;
    (void)before;
    if (!(flags & TFD_TIMER_ABSTIME))
        abort();
    syscall(SYS_read, file, &ends, sizeof ends);
    for (int at = 0; at < TIMERS; at++)
        if (timers[at].file == file) {
            uint64_t seconds = now->it_value.tv_sec;
            int is_far = seconds > UINT32_MAX;
            uint64_t uptime = seconds * SECOND + now->it_value.tv_nsec;
            timers[at].moment = is_far ? NEVER : uptime + get(&shared->booted);
        }
    return 0;
}

ssize_t read(int file, void *bytes, size_t count)
{
    ssize_t length = syscall(SYS_read, file, bytes, count);
    if (file == jumps && length > 0) {
        errno = ECANCELED;
        return -1;
    }
    return length;
}

/* Signals on the timers that are over, and returns the moment of the next one. */
static uint64_t ring(uint64_t now)
{
    uint64_t next = NEVER;
    for (int at = 0; at < TIMERS; at++) {
        if (timers[at].file < 0 || timers[at].moment == NEVER)
            continue;
        if (timers[at].moment <= now) {
            timers[at].moment = NEVER;
            signal_on(timers[at].file);
        } else if (timers[at].moment < next) {
            next = timers[at].moment;
        }
    }
    if (jumps >= 0 && get(&shared->sets) != told) {
        told = get(&shared->sets);
        signal_on(jumps);
    }
    return next;
}

/* What is open. */

int socket(int domain, int kind, int protocol)
{
    int file = syscall(SYS_socket, domain, kind, protocol);
    if (file >= FILES)
        abort();
    if (file >= 0)
        is_connection[file] = domain == AF_INET || domain == AF_INET6;
    return file;
}

static int port_of(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)address)->sin_port);
    if (address->ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)address)->sin6_port);
    return 0;
}

int connect(int file, const struct sockaddr *address, socklen_t length)
{
    if (shared->ports[port_of((const struct sockaddr_storage *)address)] == REFUSING) {
        errno = ECONNREFUSED;
        return -1;
    }
    return syscall(SYS_connect, file, address, length);
}

int close(int file)
{
    if (file >= 0 && file < FILES)
        is_connection[file] = 0;
    if (file == jumps)
        jumps = -1;
    for (int at = 0; at < TIMERS; at++)
        if (timers[at].file == file)
            timers[at].file = -1;
    return syscall(SYS_close, file);
}

/* Whether something may come of itself: an answer, or the end of a child. */
static int is_busy(void)
{
    for (int file = 0; file < FILES; file++) {
        struct sockaddr_storage own;
        socklen_t length = sizeof own;
        if (!is_connection[file])
            continue;
        if (getsockname(file, (struct sockaddr *)&own, &length) ||
            shared->ports[port_of(&own)] != HUSHED)
            return 1;
    }
    siginfo_t child;
    return !waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT);
}

/* Waits. */

static int wait_on(int poll, struct epoll_event *events, int most, int timeout, const sigset_t *mask)
{
    uint64_t now = steady(), slice = 0;
    uint64_t end = timeout < 0 ? NEVER : now + timeout * (SECOND / 1000);
    for (;;) {
        uint64_t next = ring(now);
        uint64_t left = end - now < slice ? end - now : slice;
        int wait = (left + SECOND / 1000 - 1) / (SECOND / 1000);
        /* What the test did before it named this moment is seen below: the handler of a signal runs
         * at the end of the first call at the latest, and the second one sees what it wrote. */
        uint64_t stop = get(&shared->stop);
        int ready = syscall(SYS_epoll_pwait, poll, events, most, 0, mask, 8);
        if (!ready)
            ready = syscall(SYS_epoll_pwait, poll, events, most, wait, mask, 8);
        now = steady();
        if (ready || now >= end) {
            put(&shared->waits, get(&shared->waits) + 1);
            return ready;
        }
        if (end < next)
            next = end;
        if (stop < next)
            next = stop;
        slice = SLICE;
        if (next > now && next != NEVER && !is_busy()) {
            put(&shared->left_out, get(&shared->left_out) + next - now);
            now = next;
            slice = 0;
        }
    }
}

int epoll_wait(int poll, struct epoll_event *events, int most, int timeout)
{
    return wait_on(poll, events, most, timeout, NULL);
}

int epoll_pwait(int poll, struct epoll_event *events, int most, int timeout, const sigset_t *mask)
{
    return wait_on(poll, events, most, timeout, mask);
}

/* Files. */

/* Notes when the program reads the file `address`, its source; it is opened once for each family. */
static int open_file(int directory, const char *path, int flags, mode_t mode)
{
    const char *name = strrchr(path, '/');
    if (!strcmp(name ? name + 1 : path, "address") && !(flags & O_PATH)) {
        uint64_t now = steady(), last = get(&shared->looked);
        if (now - last > SECOND / 10) {
            put(&shared->before, last);
            put(&shared->looked, now);
        }
    }
    return syscall(SYS_openat, directory, path, flags, mode);
}

static mode_t mode_in(int flags, va_list more)
{
    return flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, mode_t) : 0;
}

#define OPENS(NAME, DIRECTORY, ...)                                                                 \
    int NAME(__VA_ARGS__, const char *path, int flags, ...)                                         \
    {                                                                                               \
        va_list more;                                                                               \
        va_start(more, flags);                                                                      \
        mode_t mode = mode_in(flags, more);                                                         \
        va_end(more);                                                                               \
        return open_file(DIRECTORY, path, flags, mode);                                             \
    }

OPENS(openat, directory, int directory)
OPENS(openat64, directory, int directory)

/* What a loss of power takes is tested elsewhere (recorder.c). */
int fsync(int file)
{
    (void)file;
    if (!get(&shared->is_full))
        return 0;
    errno = ENOSPC;
    return -1;
}
