/* A wall clock for tests, preloaded into the program: it shows as many seconds less than the real
 * one as the file HOMING_TEST_CLOCK/behind says, and jumps when a byte arrives in the pipe
 * HOMING_TEST_CLOCK/jumps, of which the kernel would tell by ECANCELED (timerfd_create(2)). Every
 * other clock stays what it is. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int jumps = -1;

static int open_file(const char *name, int flags)
{
    char path[4096];
    const char *directory = getenv("HOMING_TEST_CLOCK");
    snprintf(path, sizeof path, "%s/%s", directory ? directory : "", name);
    return open(path, flags | O_CLOEXEC);
}

static long behind(void)
{
    char text[32] = "";
    int file = open_file("behind", O_RDONLY);
    if (file >= 0) {
        if (syscall(SYS_read, file, text, sizeof text - 1) < 0)
            text[0] = 0;
        close(file);
    }
    return atol(text);
}

int clock_gettime(clockid_t clock, struct timespec *moment)
{
    int done = syscall(SYS_clock_gettime, clock, moment);
    if (done == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int before = errno;
        moment->tv_sec -= behind();
        errno = before;
    }
    return done;
}

time_t time(time_t *place)
{
    struct timespec moment;
    clock_gettime(CLOCK_REALTIME, &moment);
    if (place)
        *place = moment.tv_sec;
    return moment.tv_sec;
}

int timerfd_create(clockid_t clock, int flags)
{
    if (clock != CLOCK_REALTIME)
        return syscall(SYS_timerfd_create, clock, flags);
    return jumps = open_file("jumps", O_RDWR | O_NONBLOCK);
}

int timerfd_settime(int timer, int flags, const struct itimerspec *now, struct itimerspec *before)
{
    return timer == jumps ? 0 : syscall(SYS_timerfd_settime, timer, flags, now, before);
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
