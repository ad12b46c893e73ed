#include "coordinator/coord_progress.h"

#include "coordinator/coord_machine.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define PROGRESS_TICK_NS 100000000 /* 10 redraws a second */
#define PROGRESS_PLAIN_TICKS 50    /* a plain line every 5 seconds */
#define PROGRESS_WIPE "\r\033[K"

struct coord_progress {
    coord_progress_options options;
    bool terminal; /* standard error is one */
    bool utf8;
    FILE *console; /* null: none; standard output itself, or a stream of our own */
    bool console_own, console_failed;
    coord_progress_sample sample;
    void *user;
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows, and of the terminal */
    pthread_cond_t wake;
    bool running, stop;
    bool drawn;    /* the line is on the screen */
    bool mid_line; /* a sink wrote a line that it has not ended: do not draw into it */
    coord_samples samples;
    char line[COORD_LINE_MAX], note[COORD_LINE_NOTE];
};

/* ---- the line ---- */

static void progress_wipe(coord_progress *p)
{
    if (p->drawn)
        fputs(PROGRESS_WIPE, stderr);
    p->drawn = false;
}

/* Elsewhere than on a terminal the line is a plain one, and was printed. */
static void progress_draw(coord_progress *p)
{
    if (!p->terminal || p->mid_line || p->line[0] == '\0')
        return;
    fprintf(stderr, PROGRESS_WIPE "%s", p->line);
    fflush(stderr);
    p->drawn = true;
}

static uint32_t progress_width(void)
{
    struct winsize size = { 0 };

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

static void progress_tick(coord_progress *p, uint32_t tick)
{
    coord_line_style style = { p->terminal ? progress_width() : 0, p->utf8, p->note };
    coord_sample sample = { 0 };

    if (!p->sample(p->user, &sample))
        return;
    sample.seconds = coord_machine_seconds();
    coord_samples_put(&p->samples, sample);
    if (p->terminal) {
        coord_line_format(p->line, &p->samples, p->options.steps, style);
        progress_draw(p);
    } else if (tick % PROGRESS_PLAIN_TICKS == 0) {
        coord_line_format(p->line, &p->samples, p->options.steps, style);
        fprintf(stderr, "%s\n", p->line);
    }
}

static void *progress_main(void *user)
{
    coord_progress *p = user;
    struct timespec next;

    clock_gettime(CLOCK_MONOTONIC, &next);
    pthread_mutex_lock(&p->lock);
    for (uint32_t tick = 1; !p->stop; tick++) {
        next.tv_nsec += PROGRESS_TICK_NS;
        next.tv_sec += next.tv_nsec / 1000000000;
        next.tv_nsec %= 1000000000;
        while (!p->stop && pthread_cond_timedwait(&p->wake, &p->lock, &next) == 0)
            continue;
        if (!p->stop)
            progress_tick(p, tick);
    }
    progress_wipe(p);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* ---- the console ---- */

static ssize_t console_write(void *user, const char *text, size_t size)
{
    coord_progress *p = user;
    bool done;

    pthread_mutex_lock(&p->lock);
    progress_wipe(p);
    done = fwrite(text, 1, size, stdout) == size && fflush(stdout) == 0;
    p->mid_line = size > 0 && text[size - 1] != '\n';
    if (p->running && !p->stop)
        progress_draw(p);
    p->console_failed |= !done;
    pthread_mutex_unlock(&p->lock);
    return done ? (ssize_t)size : 0;
}

/* A stream of our own is only needed where the two meet on the screen. */
static bool console_open(coord_progress *p)
{
    cookie_io_functions_t functions = { .write = console_write };

    if (!p->options.console)
        return true;
    p->console_own = !p->options.quiet && p->terminal && isatty(STDOUT_FILENO) == 1;
    p->console = p->console_own ? fopencookie(p, "w", functions) : stdout;
    return p->console != NULL && (!p->console_own || setvbuf(p->console, NULL, _IOLBF, 4096) == 0);
}

static bool progress_utf8(void)
{
    const char *names[] = { "LC_ALL", "LC_CTYPE", "LANG" };

    for (int i = 0; i < 3; i++) {
        const char *value = getenv(names[i]);

        if (value != NULL && value[0] != '\0')
            return strstr(value, "UTF-8") != NULL || strstr(value, "utf8") != NULL;
    }
    return false;
}

/* ---- life ---- */

df_status coord_progress_new(coord_progress **out, const coord_progress_options *options,
                             df_error *err)
{
    coord_progress *p = calloc(1, sizeof *p);
    const char *term = getenv("TERM");
    pthread_condattr_t attributes;

    *out = NULL;
    if (p == NULL)
        return df_fail(err, DF_ENOMEM, "out of memory");
    p->options = *options;
    p->terminal = isatty(STDERR_FILENO) == 1 && term != NULL && strcmp(term, "dumb") != 0;
    p->utf8 = progress_utf8();
    pthread_mutex_init(&p->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&p->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    if (!console_open(p)) {
        coord_progress_free(&p);
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    *out = p;
    return DF_OK;
}

FILE *coord_progress_console(coord_progress *progress)
{
    return progress->console;
}

df_status coord_progress_start(coord_progress *p, coord_progress_sample sample, void *user,
                               df_error *err)
{
    if (p->options.quiet)
        return DF_OK;
    p->sample = sample;
    p->user = user;
    p->stop = false;
    p->running = pthread_create(&p->thread, NULL, progress_main, p) == 0;
    return p->running ? DF_OK : df_fail(err, DF_ENOMEM, "cannot start a thread");
}

void coord_progress_stop(coord_progress *p)
{
    if (p == NULL || !p->running)
        return;
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_cond_signal(&p->wake);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->thread, NULL);
    p->running = false;
}

void coord_progress_note(coord_progress *p, const char *note)
{
    pthread_mutex_lock(&p->lock);
    snprintf(p->note, sizeof p->note, "%s", note);
    pthread_mutex_unlock(&p->lock);
}

void coord_progress_say(coord_progress *p, const char *line)
{
    pthread_mutex_lock(&p->lock);
    progress_wipe(p);
    fprintf(stderr, "%s\n", line);
    if (p->running && !p->stop)
        progress_draw(p);
    pthread_mutex_unlock(&p->lock);
}

bool coord_progress_free(coord_progress **progress)
{
    coord_progress *p = *progress;
    bool done = true;

    if (p == NULL)
        return true;
    *progress = NULL;
    coord_progress_stop(p);
    if (p->console_own && p->console != NULL)
        done = fclose(p->console) == 0 && !p->console_failed;
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    free(p);
    return done;
}
