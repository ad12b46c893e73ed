/* Looks at a run from outside, for the figures of rescales:
 *
 *   bench_watch steps FILE PID a line "SECONDS STEP USED" for each step that a recording (--fingerprints) gets;
 *                              USED: the processors' seconds of PID and its child processes until then
 *   bench_watch memory PID     a line "SECONDS BYTES" each 50 ms: the memory of PID's child processes, each page
 *                              divided by how many share it
 *
 * Seconds are of the clock that `date +%s.%N` shows. Both go on until they are ended. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void fatal(const char *text)
{
    fprintf(stderr, "bench_watch: %s: %s\n", text, strerror(errno));
    exit(1);
}

/* ---- processors' time ---- */

#define WATCH_PROCESSES 256

/* Those that were seen, also when they have ended. */
static struct {
    pid_t pid;
    double seconds;
} seen[WATCH_PROCESSES];
static int seen_count;

static double process_seconds(pid_t pid)
{
    struct timespec used;
    clockid_t clock;

    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0)
        return -1;
    return (double)used.tv_sec + 1e-9 * (double)used.tv_nsec;
}

static void look_at(pid_t pid)
{
    double seconds = process_seconds(pid);
    int i = 0;

    while (i < seen_count && seen[i].pid != pid)
        i++;
    if (i == WATCH_PROCESSES || seconds < 0)
        return;
    seen_count += i == seen_count;
    seen[i].pid = pid;
    seen[i].seconds = seconds;
}

/* The ids of a process's children as one text; false: it has gone. */
static int children_of(const char *pid, char *text, int capacity)
{
    char path[96];
    FILE *in;

    snprintf(path, sizeof path, "/proc/%.20s/task/%.20s/children", pid, pid);
    in = fopen(path, "r");
    text[0] = '\0';
    if (in == NULL)
        return 0;
    if (fgets(text, capacity, in) == NULL)
        text[0] = '\0';
    fclose(in);
    return 1;
}

static double used_by(const char *pid)
{
    char children[4096];
    double sum = 0;

    look_at((pid_t)atoi(pid));
    if (children_of(pid, children, sizeof children))
        for (char *rest, *child = strtok_r(children, " ", &rest); child != NULL;
             child = strtok_r(NULL, " ", &rest))
            look_at((pid_t)atoi(child));
    for (int i = 0; i < seen_count; i++)
        sum += seen[i].seconds;
    return sum;
}

/* ---- steps ---- */

typedef struct recording {
    int fd;
    char step[24]; /* the number that the line begins with */
    size_t count;  /* of its digits */
    int skip;      /* it is behind the number */
} recording;

static void take(recording *r, const char *bytes, size_t size, double seconds, double used)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] == '\n') {
            r->step[r->count] = '\0';
            if (r->count > 0)
                printf("%.6f %s %.6f\n", seconds, r->step, used);
            r->count = 0;
            r->skip = 0;
        } else if (!r->skip && bytes[i] >= '0' && bytes[i] <= '9' && r->count + 1 < sizeof r->step) {
            r->step[r->count++] = bytes[i];
        } else if (!r->skip) { /* in the head lines begin with words */
            r->skip = 1;
            r->count = bytes[i] == ' ' ? r->count : 0;
        }
}

/* One that is gone on with is cut first: then there is nothing to read until it is longer again. */
static void watch_steps(const char *path, const char *pid)
{
    static char bytes[1 << 20];
    struct timespec pause = { .tv_nsec = 10000000 };
    recording r = { .fd = -1 };
    int notify = inotify_init1(IN_CLOEXEC);
    char event[4096];
    off_t at = 0;

    while ((r.fd = open(path, O_RDONLY)) < 0)
        nanosleep(&pause, NULL);
    if (notify < 0 || inotify_add_watch(notify, path, IN_MODIFY) < 0)
        fatal(path);
    for (;;) {
        ssize_t got = pread(r.fd, bytes, sizeof bytes, at);
        off_t end = lseek(r.fd, 0, SEEK_END);

        if (got > 0) {
            at += got;
            take(&r, bytes, (size_t)got, now(), used_by(pid));
            fflush(stdout);
        } else if (end < at) {
            at = end;
            r = (recording){ .fd = r.fd };
        } else if (read(notify, event, sizeof event) < 0 && errno != EINTR) {
            fatal("inotify");
        }
    }
}

/* ---- memory ---- */

static uint64_t pss(const char *pid)
{
    char path[64], line[256];
    unsigned long long kib = 0;
    FILE *in;

    snprintf(path, sizeof path, "/proc/%.20s/smaps_rollup", pid);
    in = fopen(path, "r");
    while (in != NULL && fgets(line, sizeof line, in) != NULL)
        if (sscanf(line, "Pss: %llu kB", &kib) == 1)
            break;
    if (in != NULL)
        fclose(in);
    return kib * 1024;
}

static void watch_memory(const char *pid)
{
    const struct timespec pause = { .tv_nsec = 50000000 };
    char children[4096];

    for (; children_of(pid, children, sizeof children); nanosleep(&pause, NULL)) {
        uint64_t sum = 0;

        for (char *rest, *child = strtok_r(children, " ", &rest); child != NULL;
             child = strtok_r(NULL, " ", &rest))
            sum += pss(child);
        printf("%.6f %llu\n", now(), (unsigned long long)sum);
        fflush(stdout);
    }
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "steps") == 0)
        watch_steps(argv[2], argv[3]);
    if (argc == 3 && strcmp(argv[1], "memory") == 0)
        watch_memory(argv[2]);
    else
        fprintf(stderr, "bench_watch: steps FILE PID, or memory PID\n");
    return argc == 3 ? 0 : 2;
}
