/* Fails the calls of a server that change its disk: preloaded (LD_PRELOAD), told what to do through a shared page.
 *
 * The page (struct plan, the file named by LAKEBED_TEST_SHIM) is written by tests/faults/shim.py. While it is armed, calls
 * of the chosen kinds on paths that contain `place` are counted; the n-th, or all from there on, fails with `error`, or
 * writes `shorten` bytes only. SQLite's calls go through here as well as Python's: this is below both.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WRITE = 1, SYNC = 2, OPEN = 4, RENAME = 8, TRUNCATE = 16, MKDIR = 32 };
struct plan {
    int armed, kinds, error, nth, lasting, shorten, count, hits;
    char place[480];
};
static struct plan *plan;

__attribute__((constructor)) static void attach(void) {
    const char *name = getenv("LAKEBED_TEST_SHIM");
    int fd = name ? open(name, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) return;
    void *page = mmap(0, sizeof(struct plan), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (page != MAP_FAILED) plan = page;
}

/* 0: go on; 1: fail, errno is set; 2: be short. */
static int due(int kind, const char *path) {
    if (!(plan->kinds & kind) || !strstr(path, plan->place)) return 0;
    int count = __sync_add_and_fetch(&plan->count, 1);
    if (plan->lasting ? count < plan->nth : count != plan->nth) return 0;
    __sync_add_and_fetch(&plan->hits, 1);
    if (plan->shorten) return 2;
    errno = plan->error;
    return 1;
}

static int due_path(int kind, const char *path) { return plan && plan->armed ? due(kind, path) : 0; }

static int due_fd(int kind, int fd) {
    if (!plan || !plan->armed) return 0;
    char link[32], path[1024];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size <= 0 || path[0] != '/') return 0;
    path[size] = 0;
    return due(kind, path);
}

#define REAL(name) static __typeof__(&name) real; if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)
#define SHORT(size) ((size) < (size_t)plan->shorten ? (size) : (size_t)plan->shorten)

ssize_t write(int fd, const void *data, size_t size) {
    REAL(write);
    int todo = due_fd(WRITE, fd);
    return todo == 1 ? -1 : real(fd, data, todo ? SHORT(size) : size);
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    REAL(pwrite);
    int todo = due_fd(WRITE, fd);
    return todo == 1 ? -1 : real(fd, data, todo ? SHORT(size) : size, at);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    REAL(pwrite64);
    int todo = due_fd(WRITE, fd);
    return todo == 1 ? -1 : real(fd, data, todo ? SHORT(size) : size, at);
}
int fsync(int fd) {
    REAL(fsync);
    return due_fd(SYNC, fd) ? -1 : real(fd);
}
int fdatasync(int fd) {
    REAL(fdatasync);
    return due_fd(SYNC, fd) ? -1 : real(fd);
}
int ftruncate(int fd, off_t size) {
    REAL(ftruncate);
    return due_fd(TRUNCATE, fd) ? -1 : real(fd, size);
}
int ftruncate64(int fd, off64_t size) {
    REAL(ftruncate64);
    return due_fd(TRUNCATE, fd) ? -1 : real(fd, size);
}
int rename(const char *from, const char *to) {
    REAL(rename);
    return due_path(RENAME, to) ? -1 : real(from, to);
}
int renameat(int from_fd, const char *from, int to_fd, const char *to) {
    REAL(renameat);
    return due_path(RENAME, to) ? -1 : real(from_fd, from, to_fd, to);
}
int mkdir(const char *path, mode_t mode) {
    REAL(mkdir);
    return due_path(MKDIR, path) ? -1 : real(path, mode);
}
#define MODE(flags) mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }
#define WRITES(flags) ((flags) & (O_WRONLY | O_RDWR | O_CREAT))
int open(const char *path, int flags, ...) {
    REAL(open);
    MODE(flags)
    return WRITES(flags) && due_path(OPEN, path) ? -1 : real(path, flags, mode);
}
int open64(const char *path, int flags, ...) {
    REAL(open64);
    MODE(flags)
    return WRITES(flags) && due_path(OPEN, path) ? -1 : real(path, flags, mode);
}
int openat(int at, const char *path, int flags, ...) {
    REAL(openat);
    MODE(flags)
    return WRITES(flags) && due_path(OPEN, path) ? -1 : real(at, path, flags, mode);
}
