/* Replaces fsync and fdatasync by a sleep of a fixed length, and counts the calls. Loaded with LD_PRELOAD by `ratios`.
 *
 *   ES_BENCH_FLUSH_US     microseconds to sleep
 *   ES_BENCH_FLUSH_COUNT  a file of 8 bytes, mapped: how many flushes there were
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static struct timespec length;
static uint64_t nowhere;
static uint64_t *count = &nowhere;

__attribute__((constructor)) static void begin(void) {
    const char *us = getenv("ES_BENCH_FLUSH_US");
    long number = us ? atol(us) : 0;
    length.tv_sec = number / 1000000;
    length.tv_nsec = (number % 1000000) * 1000;
    const char *path = getenv("ES_BENCH_FLUSH_COUNT");
    int file = path ? open(path, O_RDWR) : -1;
    if (file >= 0) {
        void *mapped = mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (mapped != MAP_FAILED) count = mapped;
        close(file);
    }
}

static int flush(void) {
    static __thread int precise;
    if (!precise) {
        /* A thread's timers may fire 50 us late; one nanosecond is the least that can be set. */
        prctl(PR_SET_TIMERSLACK, 1);
        precise = 1;
    }
    __atomic_add_fetch(count, 1, __ATOMIC_RELAXED);
    struct timespec left = length;
    while (nanosleep(&left, &left) == -1 && errno == EINTR) {
    }
    return 0;
}

int fsync(int file) {
    (void)file;
    return flush();
}

int fdatasync(int file) {
    (void)file;
    return flush();
}
