/* Between a program and the C library: counts the file operations in one folder, and at one of them kills or fails.

   cc -shared -fPIC -O1 -o interposed.so interposed.c -ldl;  LD_PRELOAD=interposed.so FAULT_FOLDER=... program

   FAULT_FOLDER  absolute path: operations on what lies in it (or on it) are counted
   FAULT_ERRNO   0 kills (SIGKILL), else the number of an error that the operation fails with; absent: count alone;
                 -2 stops before each operation (SIGSTOP) and goes on with it after SIGCONT
   FAULT_AT      the operation, from 1 on; FAULT_LASTING=1: and all after it
   FAULT_NAME    instead: each operation on a path that contains this
   FAULT_TRACE   a file that gets a line for each operation

   A write that is killed, stopped or fails has put half of its data. What an error may hit depends on it: a full disk refuses
   what takes room, a disk that is read-only what changes it, a broken one everything. A program that has forked may
   use fault_arm() in place of the environment. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { READS, TAKES_ROOM, CHANGES };

static char folder[PATH_MAX], wanted[256];
static long at, here[3]; /* counted; whether it has struck; whether it was half a write */
static long *board = here;
static int code = -1, lasting, trace = -1;

void fault_arm(const char *in, int error, long n, int all, const char *name, const char *log, long *seen) {
    snprintf(folder, sizeof folder, "%s", in ? in : "");
    snprintf(wanted, sizeof wanted, "%s", name ? name : "");
    code = error, at = n, lasting = all, board = seen ? seen : here;
    if (trace >= 0) syscall(SYS_close, trace);
    trace = log && *log ? syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;
    board[0] = board[1] = 0;
}

__attribute__((constructor)) static void begin(void) {
    const char *in = getenv("FAULT_FOLDER"), *error = getenv("FAULT_ERRNO"), *n = getenv("FAULT_AT");
    if (in) fault_arm(in, error ? atoi(error) : -1, n ? atol(n) : 0, getenv("FAULT_LASTING") != NULL,
                      getenv("FAULT_NAME"), getenv("FAULT_TRACE"), NULL);
}

static int of_descriptor(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
    if (size < 0) return 0;
    path[size] = 0;
    return 1;
}

static const char *whole(int dir, const char *path, char *buffer) {
    if (!path) return "";
    if (path[0] == '/') return path;
    if (dir == AT_FDCWD ? !getcwd(buffer, PATH_MAX / 2) : !of_descriptor(dir, buffer)) return "";
    size_t used = strlen(buffer);
    snprintf(buffer + used, PATH_MAX - used, "/%s", path);
    return buffer;
}

static int inside(const char *path) {
    size_t size = strlen(folder);
    return size && !strncmp(path, folder, size) && (path[size] == '/' || !path[size]);
}

/* Whether this operation is the one; counts it. */
static int struck(const char *name, enum kind kind, const char *path) {
    if (!*folder || !inside(path)) return 0;
    if (kind == READS && code != EIO) return 0;
    if (kind == CHANGES && code == ENOSPC) return 0;
    long n = __atomic_add_fetch(&board[0], 1, __ATOMIC_SEQ_CST);
    int hit = *wanted ? strstr(path + strlen(folder), wanted) != NULL : lasting ? n >= at : n == at;
    hit = code == -2 || (hit && code >= 0);
    if (trace >= 0) {
        char line[PATH_MAX + 64];
        int size = snprintf(line, sizeof line, "%ld %s %s%s\n", n, name, path + strlen(folder), hit ? " <-" : "");
        syscall(SYS_write, trace, line, size);
    }
    if (hit) board[1] = n;
    return hit;
}

/* Kill or stop; whether the operation goes on after it. */
static int goes_on(void) {
    if (code == 0) syscall(SYS_kill, getpid(), SIGKILL);
    if (code == -2) syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGSTOP);
    return code == -2;
}

static ssize_t both(ssize_t put, ssize_t rest) { return rest > 0 ? put + rest : put; }

#define REAL(result, name, ...) \
    static result (*real)(__VA_ARGS__); \
    if (!real) real = (result (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)
#define STRIKE(name, kind, path, failed) \
    if (struck(name, kind, path) && !goes_on()) { errno = code; return failed; }

static enum kind of_flags(int flags) {
    return flags & (O_CREAT | O_TRUNC) ? TAKES_ROOM : (flags & O_ACCMODE) == O_RDONLY ? READS : CHANGES;
}

#define OPEN(symbol) \
int symbol(const char *path, int flags, ...) { \
    REAL(int, #symbol, const char *, int, ...); \
    va_list rest; va_start(rest, flags); int mode = va_arg(rest, int); va_end(rest); \
    char buffer[PATH_MAX]; \
    STRIKE("open", of_flags(flags), whole(AT_FDCWD, path, buffer), -1); \
    return real(path, flags, mode); \
}
OPEN(open)
OPEN(open64)

#define OPENAT(symbol) \
int symbol(int dir, const char *path, int flags, ...) { \
    REAL(int, #symbol, int, const char *, int, ...); \
    va_list rest; va_start(rest, flags); int mode = va_arg(rest, int); va_end(rest); \
    char buffer[PATH_MAX]; \
    STRIKE("open", of_flags(flags), whole(dir, path, buffer), -1); \
    return real(dir, path, flags, mode); \
}
OPENAT(openat)
OPENAT(openat64)

int creat(const char *path, mode_t mode) { return open(path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

#define FOPEN(symbol) \
FILE *symbol(const char *path, const char *mode) { \
    REAL(FILE *, #symbol, const char *, const char *); \
    char buffer[PATH_MAX]; \
    STRIKE("fopen", mode[0] == 'r' ? READS : TAKES_ROOM, whole(AT_FDCWD, path, buffer), NULL); \
    return real(path, mode); \
}
FOPEN(fopen)
FOPEN(fopen64)

#define PATH_OF(fd) char path[PATH_MAX]; if (!*folder || !of_descriptor(fd, path)) path[0] = 0

ssize_t write(int fd, const void *data, size_t size) {
    REAL(ssize_t, "write", int, const void *, size_t);
    PATH_OF(fd);
    if (struck("write", TAKES_ROOM, path)) {
        ssize_t put = both(0, real(fd, data, size / 2));
        if (goes_on()) return both(put, real(fd, (const char *)data + put, size - put));
        errno = code;
        return -1;
    }
    return real(fd, data, size);
}

#define PWRITE(symbol, offset_type) \
ssize_t symbol(int fd, const void *data, size_t size, offset_type offset) { \
    REAL(ssize_t, #symbol, int, const void *, size_t, offset_type); \
    PATH_OF(fd); \
    if (struck("pwrite", TAKES_ROOM, path)) { \
        ssize_t put = both(0, real(fd, data, size / 2, offset)); \
        if (goes_on()) return both(put, real(fd, (const char *)data + put, size - put, offset + put)); \
        errno = code; \
        return -1; \
    } \
    return real(fd, data, size, offset); \
}
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    PATH_OF(fd);
    if (struck("writev", TAKES_ROOM, path)) {
        ssize_t put = both(0, real(fd, parts, count / 2));
        if (goes_on()) return both(put, real(fd, parts + count / 2, count - count / 2));
        errno = code;
        return -1;
    }
    return real(fd, parts, count);
}

ssize_t read(int fd, void *data, size_t size) {
    REAL(ssize_t, "read", int, void *, size_t);
    if (code == EIO && *folder) {
        PATH_OF(fd);
        STRIKE("read", READS, path, -1);
    }
    return real(fd, data, size);
}

size_t fwrite(const void *data, size_t size, size_t count, FILE *file) {
    REAL(size_t, "fwrite", const void *, size_t, size_t, FILE *);
    PATH_OF(fileno(file));
    if (struck("fwrite", TAKES_ROOM, path)) {
        size_t put = real(data, 1, size * count / 2, file);
        if (code == 0 || code == -2) fflush_unlocked(file);
        if (goes_on()) return (put + real((const char *)data + put, 1, size * count - put, file)) / (size ? size : 1);
        errno = code;
        return put / (size ? size : 1);
    }
    return real(data, size, count, file);
}

int fflush(FILE *file) {
    REAL(int, "fflush", FILE *);
    if (file) {
        PATH_OF(fileno(file));
        STRIKE("fflush", TAKES_ROOM, path, EOF);
    }
    return real(file);
}

int fclose(FILE *file) {
    REAL(int, "fclose", FILE *);
    PATH_OF(fileno(file));
    if (struck("fclose", TAKES_ROOM, path) && !goes_on()) {
        real(file);
        errno = code;
        return EOF;
    }
    return real(file);
}

#define BY_DESCRIPTOR(symbol, kind) \
int symbol(int fd) { \
    REAL(int, #symbol, int); \
    PATH_OF(fd); \
    STRIKE(#symbol, kind, path, -1); \
    return real(fd); \
}
BY_DESCRIPTOR(fsync, TAKES_ROOM)
BY_DESCRIPTOR(fdatasync, TAKES_ROOM)

#define FTRUNCATE(symbol, offset_type) \
int symbol(int fd, offset_type size) { \
    REAL(int, #symbol, int, offset_type); \
    PATH_OF(fd); \
    STRIKE("ftruncate", CHANGES, path, -1); \
    return real(fd, size); \
}
FTRUNCATE(ftruncate, off_t)
FTRUNCATE(ftruncate64, off64_t)

#define TRUNCATE(symbol, offset_type) \
int symbol(const char *name, offset_type size) { \
    REAL(int, #symbol, const char *, offset_type); \
    char buffer[PATH_MAX]; \
    STRIKE("truncate", CHANGES, whole(AT_FDCWD, name, buffer), -1); \
    return real(name, size); \
}
TRUNCATE(truncate, off_t)
TRUNCATE(truncate64, off64_t)

#define BY_NAME(symbol, kind) \
int symbol(const char *name) { \
    REAL(int, #symbol, const char *); \
    char buffer[PATH_MAX]; \
    STRIKE(#symbol, kind, whole(AT_FDCWD, name, buffer), -1); \
    return real(name); \
}
BY_NAME(unlink, CHANGES)
BY_NAME(rmdir, CHANGES)
BY_NAME(remove, CHANGES)

int unlinkat(int dir, const char *name, int flags) {
    REAL(int, "unlinkat", int, const char *, int);
    char buffer[PATH_MAX];
    STRIKE(flags & AT_REMOVEDIR ? "rmdir" : "unlink", CHANGES, whole(dir, name, buffer), -1);
    return real(dir, name, flags);
}

int mkdir(const char *name, mode_t mode) {
    REAL(int, "mkdir", const char *, mode_t);
    char buffer[PATH_MAX];
    STRIKE("mkdir", TAKES_ROOM, whole(AT_FDCWD, name, buffer), -1);
    return real(name, mode);
}

int mkdirat(int dir, const char *name, mode_t mode) {
    REAL(int, "mkdirat", int, const char *, mode_t);
    char buffer[PATH_MAX];
    STRIKE("mkdir", TAKES_ROOM, whole(dir, name, buffer), -1);
    return real(dir, name, mode);
}

#define BY_TWO(symbol) \
int symbol(const char *from, const char *to) { \
    REAL(int, #symbol, const char *, const char *); \
    char buffer[PATH_MAX]; \
    STRIKE(#symbol, TAKES_ROOM, whole(AT_FDCWD, to, buffer), -1); \
    return real(from, to); \
}
BY_TWO(rename)
BY_TWO(link)
BY_TWO(symlink)

int renameat(int from_dir, const char *from, int to_dir, const char *to) {
    REAL(int, "renameat", int, const char *, int, const char *);
    char buffer[PATH_MAX];
    STRIKE("rename", TAKES_ROOM, whole(to_dir, to, buffer), -1);
    return real(from_dir, from, to_dir, to);
}
