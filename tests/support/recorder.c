/* Records, preloaded into a program, each change that it makes to files below HOMING_TEST_ROOT, in
 * the file HOMING_TEST_RECORD: a line `WORD NUMBER NUMBER LENGTH LENGTH`, then two texts of these
 * lengths (see recorder.rs). What the program says to anybody, by a socket or by its outputs, is a
 * record as well, made before it is said. With HOMING_TEST_CUT=N the program ends right after its
 * change N, as by a cut of power. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
static sigset_t held;
static int record = -1;
static char root[PATH_MAX];
static long left = -1;

/* Before the program confines itself: the record need not be where it may write then. */
__attribute__((constructor)) static void begin(void)
{
    const char *name = getenv("HOMING_TEST_RECORD"), *cut = getenv("HOMING_TEST_CUT");
    const char *below = getenv("HOMING_TEST_ROOT");
    if (!name || !below || !realpath(below, root))
        abort();
    int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC;
    record = syscall(SYS_openat, AT_FDCWD, name, flags, 0600);
    if (record < 0)
        abort();
    if (cut)
        left = atol(cut);
}

/* A handler of a signal may say something, too, and must not wait for its own thread. */
static void lock(void)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_mutex_lock(&one);
    held = before;
}

static void unlock(void)
{
    sigset_t before = held;
    pthread_mutex_unlock(&one);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void note(const char *word, long a, long b, const void *x, size_t m, const void *y, size_t n)
{
    char head[128];
    int length = snprintf(head, sizeof head, "%s %ld %ld %zu %zu\n", word, a, b, m, n);
    struct iovec parts[] = {{head, length}, {(void *)x, m}, {(void *)y, n}};
    if (syscall(SYS_writev, record, parts, 3) != (long)(length + m + n))
        abort();
    if (left > 0 && strcmp(word, "said") && --left == 0)
        syscall(SYS_exit_group, 137);
}

/* Whether `path` is below the root. */
static int is_below(const char *path)
{
    size_t length = strlen(root);
    return !strncmp(path, root, length) && (path[length] == '/' || !path[length]);
}

/* The path of the open file; whether it is below the root. */
static int path_of(int file, char *path)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = 0;
    return length > 0 && is_below(path);
}

/* The path of `name` in the open directory; whether it is below the root. */
static int path_at(int directory, const char *name, char *path)
{
    char base[PATH_MAX];
    if (*name == '/')
        snprintf(path, PATH_MAX, "%s", name);
    else {
        if (directory == AT_FDCWD) {
            if (!getcwd(base, sizeof base))
                return 0;
        } else
            path_of(directory, base);
        if (snprintf(path, PATH_MAX, "%s/%s", base, name) >= PATH_MAX)
            abort();
    }
    return is_below(path);
}

/* The number of the open file, if it is a regular one below the root; else 0. */
static long number_of(int file)
{
    char path[PATH_MAX];
    struct stat about;
    if (file <= 2 || fstat(file, &about) || !S_ISREG(about.st_mode) || !path_of(file, path))
        return 0;
    return about.st_ino;
}

static void note_path(const char *word, long a, long b, const char *path)
{
    note(word, a, b, path, strlen(path), "", 0);
}

/* Notes that something is said, if the file leads to anybody else. */
static void say(int file)
{
    int before = errno, family = AF_UNSPEC;
    socklen_t size = sizeof family;
    if (file > 2 && getsockopt(file, SOL_SOCKET, SO_DOMAIN, &family, &size))
        family = AF_UNSPEC;
    errno = before;
    if (file > 2 && family != AF_INET && family != AF_INET6)
        return;
    lock();
    note("said", 0, 0, "", 0, "", 0);
    unlock();
    errno = before;
}

static int open_at(int directory, const char *name, int flags, mode_t mode)
{
    char path[PATH_MAX];
    struct stat about;
    lock();
    int is_new = (flags & O_CREAT) && fstatat(directory, name, &about, 0) && errno == ENOENT;
    int file = syscall(SYS_openat, directory, name, flags, mode);
    int after = errno;
    if (file >= 0 && (flags & (O_CREAT | O_TRUNC)) && path_of(file, path)) {
        if (fstat(file, &about))
            abort();
        if (is_new)
            note_path("make", about.st_ino, about.st_mode & 07777, path);
        else if (flags & O_TRUNC)
            note("size", about.st_ino, 0, "", 0, "", 0);
    }
    unlock();
    errno = after;
    return file;
}

#define OPEN(NAME, PARAMETERS, DIRECTORY)                          \
    int NAME PARAMETERS                                            \
    {                                                              \
        mode_t mode = 0;                                           \
        if (flags & (O_CREAT | O_TMPFILE)) {                       \
            va_list list;                                          \
            va_start(list, flags);                                 \
            mode = va_arg(list, int);                              \
            va_end(list);                                          \
        }                                                          \
        return open_at(DIRECTORY, name, flags, mode);              \
    }
OPEN(open, (const char *name, int flags, ...), AT_FDCWD)
OPEN(open64, (const char *name, int flags, ...), AT_FDCWD)
OPEN(openat, (int directory, const char *name, int flags, ...), directory)
OPEN(openat64, (int directory, const char *name, int flags, ...), directory)

/* Does CALL and then, where it succeeded, RECORD. */
#define DO(CALL, RECORD)               \
    lock();                        \
    long done = CALL;                  \
    int after = errno;                 \
    if (done >= 0) {                   \
        RECORD;                        \
    }                                  \
    unlock();                      \
    errno = after;                     \
    return done

static ssize_t write_parts(int file, const struct iovec *parts, int count)
{
    long number = number_of(file);
    say(file);
    if (!number)
        return syscall(SYS_writev, file, parts, count);
    DO(syscall(SYS_writev, file, parts, count), {
        long at = lseek(file, 0, SEEK_CUR) - done;
        size_t rest = done;
        for (int i = 0; rest; i++) {
            size_t length = parts[i].iov_len < rest ? parts[i].iov_len : rest;
            note("write", number, at, parts[i].iov_base, length, "", 0);
            at += length;
            rest -= length;
        }
    });
}

ssize_t writev(int file, const struct iovec *parts, int count)
{
    return write_parts(file, parts, count);
}

ssize_t write(int file, const void *bytes, size_t length)
{
    struct iovec part = {(void *)bytes, length};
    return write_parts(file, &part, 1);
}

ssize_t pwrite64(int file, const void *bytes, size_t length, off64_t at)
{
    long number = number_of(file);
    DO(syscall(SYS_pwrite64, file, bytes, length, at),
       if (number) note("write", number, at, bytes, done, "", 0));
}

ssize_t pwrite(int file, const void *bytes, size_t length, off_t at)
{
    return pwrite64(file, bytes, length, at);
}

ssize_t send(int file, const void *bytes, size_t length, int flags)
{
    say(file);
    return syscall(SYS_sendto, file, bytes, length, flags, NULL, 0);
}

ssize_t sendto(int file, const void *bytes, size_t length, int flags, const struct sockaddr *to,
               socklen_t size)
{
    say(file);
    return syscall(SYS_sendto, file, bytes, length, flags, to, size);
}

ssize_t sendmsg(int file, const struct msghdr *message, int flags)
{
    say(file);
    return syscall(SYS_sendmsg, file, message, flags);
}

int ftruncate64(int file, off64_t size)
{
    long number = number_of(file);
    DO(syscall(SYS_ftruncate, file, size), if (number) note("size", number, size, "", 0, "", 0));
}

int ftruncate(int file, off_t size)
{
    return ftruncate64(file, size);
}

int fchmod(int file, mode_t mode)
{
    long number = number_of(file);
    DO(syscall(SYS_fchmod, file, mode), if (number) note("mode", number, mode, "", 0, "", 0));
}

static int sync_file(int file, long call)
{
    char path[PATH_MAX];
    struct stat about;
    DO(syscall(call, file), {
        if (fstat(file, &about))
            abort();
        if (path_of(file, path))
            note_path(S_ISDIR(about.st_mode) ? "sync-names" : "sync", about.st_ino, 0, path);
    });
}

int fsync(int file)
{
    return sync_file(file, SYS_fsync);
}

int fdatasync(int file)
{
    return sync_file(file, SYS_fdatasync);
}

int renameat2(int from, const char *old, int to, const char *new, unsigned flags)
{
    char before[PATH_MAX], after_it[PATH_MAX];
    int is_seen = path_at(from, old, before) | path_at(to, new, after_it);
    DO(syscall(SYS_renameat2, from, old, to, new, flags),
       if (is_seen) note("rename", 0, 0, before, strlen(before), after_it, strlen(after_it)));
}

int renameat(int from, const char *old, int to, const char *new)
{
    return renameat2(from, old, to, new, 0);
}

int rename(const char *old, const char *new)
{
    return renameat(AT_FDCWD, old, AT_FDCWD, new);
}

int linkat(int from, const char *old, int to, const char *new, int flags)
{
    char before[PATH_MAX], after_it[PATH_MAX];
    int is_seen = path_at(from, old, before) | path_at(to, new, after_it);
    DO(syscall(SYS_linkat, from, old, to, new, flags),
       if (is_seen) note("link", 0, 0, before, strlen(before), after_it, strlen(after_it)));
}

int link(const char *old, const char *new)
{
    return linkat(AT_FDCWD, old, AT_FDCWD, new, 0);
}

int unlinkat(int directory, const char *name, int flags)
{
    char path[PATH_MAX];
    int is_seen = path_at(directory, name, path);
    DO(syscall(SYS_unlinkat, directory, name, flags),
       if (is_seen) note_path("remove", 0, 0, path));
}

int unlink(const char *name)
{
    return unlinkat(AT_FDCWD, name, 0);
}

int rmdir(const char *name)
{
    return unlinkat(AT_FDCWD, name, AT_REMOVEDIR);
}

int mkdirat(int directory, const char *name, mode_t mode)
{
    char path[PATH_MAX];
    int is_seen = path_at(directory, name, path);
    DO(syscall(SYS_mkdirat, directory, name, mode),
       if (is_seen) note_path("make-directory", 0, mode, path));
}

int mkdir(const char *name, mode_t mode)
{
    return mkdirat(AT_FDCWD, name, mode);
}
