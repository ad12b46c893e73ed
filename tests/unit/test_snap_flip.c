/* Damage to a store of snapshots in RocksDB: bytes flipped, files cut, removed, emptied and
 * replaced by older ones. After each, opening, verifying and reading either tell it and name a
 * file, or give exactly the rows and the head that were committed. Never other rows, never an end
 * without a word.
 *
 *   test_snap_flip [sample | bytes | bits]
 *
 * sample (the default): each 61st byte. bytes: every byte, but each 61st only of RocksDB's copy of
 * its options and of its text logs, which are not read when a store is opened, and each 16th of a
 * run of zeros. bits: every bit of everything, which takes half an hour. The last two also open the
 * store for writing with each 61st byte flipped.
 *
 * RocksDB may abort on hostile bytes. So trials are made in children, flips many to a child; a trial
 * in which the child dies counts as telling only if what it printed names a file of the store, such
 * are counted, and the next child goes on behind it. The bytes are changed in place and put back: a
 * store that is opened for reading changes nothing, which is looked at, too. Writing trials work on
 * a copy, each in a child of its own. */
#include "tests/support/snap_scene.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILES_MAX 64
#define SNAPSHOTS 2
#define SAMPLE_STEP 61
#define ZEROS_STEP 16
#define TRIAL_SECONDS 60
#define TRIAL_MEMORY (4ull << 30)
#define BATCH_MAX 128

typedef enum outcome {
    RIGHT = 0, /* rows and head as they were committed, nothing told */
    TOLD,      /* a damage was told, with its file */
    SILENT,    /* refused, but the text names no file */
    WRONG,     /* other rows, another head, or verification saw less than reading */
    DIED_TOLD, /* aborted with the name of a file */
    DIED,
    OUTCOMES,
} outcome;

typedef struct store_file {
    char name[96]; /* below the folder */
    uint8_t *bytes;
    size_t size;
} store_file;

typedef struct flip {
    const store_file *file;
    size_t at;
    uint8_t byte; /* what stands there meanwhile */
} flip;

/* Flips that one child tries after each other. Shared with it: what stands here outlives its death. */
typedef struct flip_batch {
    uint32_t count, done;
    flip flips[BATCH_MAX];
    outcome outcomes[BATCH_MAX];
} flip_batch;

typedef struct flip_world {
    char root[64], folder[80], older[80], copy[80], err[80];
    uint32_t count, older_count;
    store_file files[FILES_MAX], older_files[FILES_MAX];
    scene scenes[SNAPSHOTS]; /* of snapshots 1 and 2 */
    uint64_t counts[OUTCOMES], failed;
} flip_world;

static void need(bool good, const char *what)
{
    if (good)
        return;
    printf("not ok %s\n", what);
    exit(1);
}

/* ---- files ---- */

static void file_write(const char *folder, const store_file *f, size_t size)
{
    char path[256];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", folder, f->name);
    file = fopen(path, "wb");
    need(file != NULL && fwrite(f->bytes, 1, size, file) == size && fclose(file) == 0,
         "write a file");
}

static void file_poke(const char *folder, const store_file *f, size_t at, uint8_t byte)
{
    char path[256];
    int fd;

    snprintf(path, sizeof path, "%s/%s", folder, f->name);
    fd = open(path, O_WRONLY);
    need(fd >= 0 && pwrite(fd, &byte, 1, (off_t)at) == 1, "change a byte");
    close(fd);
}

static void file_remove(const char *folder, const store_file *f)
{
    char path[256];

    snprintf(path, sizeof path, "%s/%s", folder, f->name);
    need(unlink(path) == 0, "remove a file");
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const store_file *)a)->name, ((const store_file *)b)->name);
}

static void files_add(const char *folder, const char *below, store_file *files, uint32_t *count)
{
    char path[192];
    DIR *directory;

    snprintf(path, sizeof path, "%s%s", folder, below);
    directory = opendir(path);
    need(directory != NULL, "list the store");
    for (struct dirent *e; (e = readdir(directory)) != NULL;) {
        store_file *f = &files[*count];
        struct stat status;
        FILE *file;

        snprintf(path, sizeof path, "%s%s/%.60s", folder, below, e->d_name);
        need(stat(path, &status) == 0, "look at a file");
        if (!S_ISREG(status.st_mode))
            continue;
        need(*count < FILES_MAX, "a small store");
        snprintf(f->name, sizeof f->name, "%s%s%.60s", below[0] == '/' ? below + 1 : "",
                 below[0] == '/' ? "/" : "", e->d_name);
        f->size = (size_t)status.st_size;
        f->bytes = malloc(f->size + 1);
        file = fopen(path, "rb");
        need(f->bytes != NULL && file != NULL && fread(f->bytes, 1, f->size, file) == f->size,
             "read a file");
        fclose(file);
        (*count)++;
    }
    closedir(directory);
}

/* The store as it lies there, in the order of names. */
static void files_read(const char *folder, store_file *files, uint32_t *count)
{
    *count = 0;
    files_add(folder, "", files, count);
    files_add(folder, "/db", files, count);
    qsort(files, *count, sizeof *files, by_name);
}

static void files_write(const char *folder, const store_file *files, uint32_t count)
{
    char command[400];

    snprintf(command, sizeof command, "rm -rf %s && mkdir -p %s/db %s/incoming", folder, folder,
             folder);
    need(system(command) == 0, "make a folder");
    for (uint32_t i = 0; i < count; i++)
        file_write(folder, &files[i], files[i].size);
}

/* ---- a trial ---- */

typedef struct telling {
    const char *folder;
    uint64_t damaged;
    bool nameless;
} telling;

static void tell(void *user, const snap_damage *damage)
{
    telling *t = user;

    t->damaged++;
    t->nameless |= strstr(damage->file, t->folder) == NULL || damage->text == NULL;
}

static outcome refused(df_status s, const df_error *err, const char *folder)
{
    if (s == DF_EINVAL)
        fprintf(stderr, "%s\n", err->text);
    return s == DF_EINVAL ? WRONG : strstr(err->text, folder) != NULL ? TOLD : SILENT;
}

/* Everything that a store can be asked for. In a child. */
static outcome read_all(const flip_world *w, const char *folder, bool readonly)
{
    snap_store_options options = { .readonly = readonly };
    snap_verified verified;
    telling t = { .folder = folder };
    df_error err = { 0 };
    snap_store *store;
    df_disk disk;
    df_status s;
    outcome o = RIGHT;

    df_disk_posix_init(&disk);
    s = snap_store_open_rocksdb(&store, &disk, folder, &options, &err);
    if (s != DF_OK)
        return refused(s, &err, folder);
    if (snap_store_head(store) != SNAPSHOTS)
        return WRONG; /* not even with damage to tell: a restore would begin there */
    s = snap_store_verify(store, tell, &t, &verified, &err);
    if (s != DF_OK)
        return refused(s, &err, folder);
    for (uint64_t i = 1; i <= SNAPSHOTS && o != WRONG; i++) {
        s = scene_check(store, &w->scenes[i - 1], i, &err);
        if (s != DF_OK && (o = refused(s, &err, folder)) == TOLD && t.damaged == 0)
            o = WRONG; /* verification must find what a reader will */
    }
    snap_store_close(&store);
    if (o == RIGHT && t.damaged > 0)
        o = TOLD;
    return o == TOLD && t.nameless ? SILENT : o;
}

static outcome died(const flip_world *w, const char *folder, int status)
{
    char text[4096] = "";
    FILE *file = fopen(w->err, "rb");

    need(file != NULL, "read what a process said");
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    printf("  ended with status %d: %.300s\n", status, text);
    return strstr(text, folder) != NULL ? DIED_TOLD : DIED;
}

/* In a child: what it prints goes to a file, and it may not take endless memory. */
static void confine(const flip_world *w)
{
    struct rlimit memory = { TRIAL_MEMORY, TRIAL_MEMORY };
    int fd = open(w->err, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);

    dup2(fd, 2);
#ifndef __SANITIZE_ADDRESS__
    setrlimit(RLIMIT_AS, &memory);
#else
    (void)memory;
#endif
}

static pid_t child_new(void)
{
    pid_t child;

    fflush(stdout);
    child = fork();
    need(child >= 0, "start a process");
    return child;
}

static int child_wait(pid_t child)
{
    int status;

    need(waitpid(child, &status, 0) == child, "wait for a process");
    return status;
}

static outcome trial(const flip_world *w, const char *folder, bool readonly)
{
    pid_t child = child_new();
    int status;

    if (child == 0) {
        confine(w);
        alarm(TRIAL_SECONDS);
        _exit((int)read_all(w, folder, readonly));
    }
    status = child_wait(child);
    if (WIFEXITED(status) && WEXITSTATUS(status) <= WRONG)
        return (outcome)WEXITSTATUS(status);
    return died(w, folder, status);
}

static void count(flip_world *w, outcome o, const char *what, const char *name, size_t at)
{
    w->counts[o]++;
    if (o == RIGHT || o == TOLD || o == DIED_TOLD)
        return;
    w->failed++;
    printf("not ok %s of %s at %zu: %s\n", what, name, at,
           o == WRONG    ? "wrong rows or head"
           : o == SILENT ? "refused without a file's name"
                         : "died");
}

static void begin(flip_world *w)
{
    memset(w->counts, 0, sizeof w->counts);
    w->failed = 0;
}

static void finish(flip_world *w, const char *what)
{
    uint64_t all = 0;

    for (int i = 0; i < OUTCOMES; i++)
        all += w->counts[i];
    printf("%s %s: %llu trials, %llu told, %llu without effect, %llu aborted by the library\n",
           w->failed == 0 ? "ok" : "not ok", what, (unsigned long long)all,
           (unsigned long long)(w->counts[TOLD] + w->counts[DIED_TOLD]),
           (unsigned long long)w->counts[RIGHT],
           (unsigned long long)(w->counts[DIED_TOLD] + w->counts[DIED]));
}

/* ---- the damages ---- */

typedef enum flip_mode { FLIP_SAMPLE, FLIP_BYTES, FLIP_BITS, FLIP_MODES } flip_mode;

static const char *const mode_names[FLIP_MODES] = { "sample", "bytes", "bits" };

/* How far to go from here. */
static size_t flip_step(const store_file *f, size_t at, flip_mode mode)
{
    static const uint8_t zeros[2 * ZEROS_STEP];
    bool unread = strncmp(f->name, "db/OPTIONS", 10) == 0 || strncmp(f->name, "db/LOG", 6) == 0;

    if (mode == FLIP_BITS)
        return 1;
    if (mode == FLIP_SAMPLE || unread)
        return SAMPLE_STEP;
    return f->size - at > sizeof zeros && memcmp(f->bytes + at, zeros, sizeof zeros) == 0
               ? ZEROS_STEP
               : 1;
}

/* A store that is opened for writing is changed by that: in a copy. */
static void flip_for_writing(flip_world *w, const store_file *f, size_t at)
{
    files_write(w->copy, w->files, w->count);
    file_poke(w->copy, f, at, (uint8_t)~f->bytes[at]);
    count(w, trial(w, w->copy, false), "a flip, before writing,", f->name, at);
}

/* In a child: those that are left. */
static void batch_try(const flip_world *w, flip_batch *b)
{
    confine(w);
    for (; b->done < b->count; b->done++) {
        const flip *p = &b->flips[b->done];

        need(ftruncate(2, 0) == 0, "forget what was printed");
        alarm(TRIAL_SECONDS);
        file_poke(w->folder, p->file, p->at, p->byte);
        b->outcomes[b->done] = read_all(w, w->folder, true);
        file_poke(w->folder, p->file, p->at, p->file->bytes[p->at]);
    }
    _exit(0);
}

static void batch_run(flip_world *w, flip_batch *b)
{
    b->done = 0;
    while (b->done < b->count) {
        const flip *p;
        pid_t child = child_new();
        int status;

        if (child == 0)
            batch_try(w, b);
        status = child_wait(child);
        if (b->done == b->count)
            break;
        p = &b->flips[b->done];
        file_poke(w->folder, p->file, p->at, p->file->bytes[p->at]);
        b->outcomes[b->done++] = died(w, w->folder, status);
    }
    for (uint32_t i = 0; i < b->count; i++)
        count(w, b->outcomes[i], "a flip", b->flips[i].file->name, b->flips[i].at);
    b->count = 0;
}

/* All bits of a byte at once, or one by one. */
static void flip_bytes(flip_world *w, flip_mode mode)
{
    flip_batch *b = mmap(NULL, sizeof *b, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    need(b != MAP_FAILED, "memory");
    begin(w);
    for (uint32_t i = 0; i < w->count; i++) {
        const store_file *f = &w->files[i];

        for (size_t at = 0; at < f->size; at += flip_step(f, at, mode))
            for (int bit = 0; bit < (mode == FLIP_BITS ? 8 : 1); bit++) {
                b->flips[b->count++] = (flip){
                    f, at, (uint8_t)(f->bytes[at] ^ (mode == FLIP_BITS ? 1 << bit : 0xff))
                };
                if (b->count == BATCH_MAX)
                    batch_run(w, b);
                if (mode != FLIP_SAMPLE && bit == 0 && at % SAMPLE_STEP == 0)
                    flip_for_writing(w, f, at);
            }
    }
    batch_run(w, b);
    munmap(b, sizeof *b);
    finish(w, "flipped");
}

/* A file that is shorter, longer, empty or gone; or the one of an older store. Each for reading,
 * and for writing in a copy, which may lose nothing either. */
static void whole_file(flip_world *w, const char *what, const store_file *f, const store_file *as)
{
    for (int readonly = 0; readonly < 2; readonly++) {
        files_write(w->copy, w->files, w->count);
        if (as != NULL)
            file_write(w->copy, as, as->size);
        else
            file_remove(w->copy, f);
        count(w, trial(w, w->copy, readonly), what, f->name, as == NULL ? 0 : as->size);
    }
}

static void damage_files(flip_world *w, size_t step)
{
    begin(w);
    for (uint32_t i = 0; i < w->count; i++) {
        store_file longer = w->files[i];

        for (longer.size = 0; longer.size < w->files[i].size; longer.size += step)
            whole_file(w, "a cut", &w->files[i], &longer);
        whole_file(w, "removal", &w->files[i], NULL);
        longer.size = w->files[i].size + 100;
        longer.bytes = calloc(longer.size, 1);
        need(longer.bytes != NULL, "memory");
        memcpy(longer.bytes, w->files[i].bytes, w->files[i].size);
        whole_file(w, "an addition", &w->files[i], &longer);
        free(longer.bytes);
    }
    finish(w, "cut, lengthened and removed");
}

static void swap_files(flip_world *w)
{
    uint32_t swapped = 0;

    begin(w);
    for (uint32_t i = 0; i < w->count; i++)
        for (uint32_t k = 0; k < w->older_count; k++) {
            store_file as = w->older_files[k];
            const char *end = strrchr(w->files[i].name, '.'), *older_end = strrchr(as.name, '.');

            /* The same file as it was; or one of the same sort under another name. */
            if (strcmp(as.name, w->files[i].name) != 0 &&
                (end == NULL || older_end == NULL || strcmp(end, older_end) != 0))
                continue;
            strcpy(as.name, w->files[i].name);
            if (as.size == w->files[i].size && memcmp(as.bytes, w->files[i].bytes, as.size) == 0)
                continue;
            whole_file(w, "the older file", &w->files[i], &as);
            swapped++;
        }
    need(swapped > 3, "there are older files");
    finish(w, "replaced by older files");
}

/* ---- the store ---- */

static void commit_all(const flip_world *w, uint64_t first, uint64_t last)
{
    snap_store_options options = { 0 };
    df_error err = { 0 };
    snap_store *store;
    df_disk disk;

    df_disk_posix_init(&disk);
    if (snap_store_open_rocksdb(&store, &disk, w->folder, &options, &err) != DF_OK)
        _exit(1);
    for (uint64_t i = first; i <= last; i++)
        if (scene_commit(store, &w->scenes[i - 1], i, i == 1 ? "begin" : "", NULL, &err) != DF_OK)
            _exit(2);
    snap_store_close(&store);
    _exit(0);
}

/* This process never opens RocksDB: its threads would be missing in the children. */
static void commit_in_child(const flip_world *w, uint64_t first, uint64_t last)
{
    pid_t child = fork();
    int status;

    if (child == 0)
        commit_all(w, first, last);
    need(child > 0 && waitpid(child, &status, 0) == child && status == 0, "write the store");
}

/* Two snapshots of a few rows, the second with chunks of the first; and the store as it was after
 * the first. */
static void world_init(flip_world *w)
{
    *w = (flip_world){ 0 };
    strcpy(w->root, "/tmp/test_snap_flip.XXXXXX");
    need(mkdtemp(w->root) != NULL, "make a folder");
    snprintf(w->folder, sizeof w->folder, "%s/store", w->root);
    snprintf(w->older, sizeof w->older, "%s/older", w->root);
    snprintf(w->copy, sizeof w->copy, "%s/copy", w->root);
    snprintf(w->err, sizeof w->err, "%s/err", w->root);
    for (int i = 0; i < SNAPSHOTS; i++) {
        w->scenes[i] = scene_new();
        w->scenes[i].rows[0] = 24;
        w->scenes[i].workers = 1;
    }
    w->scenes[1].versions[1] = 2;
    commit_in_child(w, 1, 1);
    files_read(w->folder, w->older_files, &w->older_count);
    commit_in_child(w, 2, 2);
    files_read(w->folder, w->files, &w->count);
}

static void world_fini(flip_world *w)
{
    char command[128];

    snprintf(command, sizeof command, "rm -rf %s", w->root);
    need(system(command) == 0, "remove the folder");
    for (uint32_t i = 0; i < w->count; i++)
        free(w->files[i].bytes);
    for (uint32_t i = 0; i < w->older_count; i++)
        free(w->older_files[i].bytes);
}

/* Nothing was changed by opening it so often. */
static void check_unchanged(flip_world *w)
{
    store_file now[FILES_MAX];
    uint32_t count_now;
    bool same;

    files_read(w->folder, now, &count_now);
    same = count_now == w->count;
    for (uint32_t i = 0; i < count_now; i++) {
        same = same && strcmp(now[i].name, w->files[i].name) == 0 &&
               now[i].size == w->files[i].size &&
               memcmp(now[i].bytes, w->files[i].bytes, now[i].size) == 0;
        free(now[i].bytes);
    }
    printf("%s reading changed nothing\n", same ? "ok" : "not ok");
    w->failed += !same;
}

int main(int argc, char **argv)
{
    static flip_world w;
    flip_mode mode = FLIP_SAMPLE;
    uint64_t failed, size = 0;

    while (argc > 1 && mode < FLIP_MODES && strcmp(argv[1], mode_names[mode]) != 0)
        mode++;
    need(mode < FLIP_MODES, "the mode is known");
    world_init(&w);
    for (uint32_t i = 0; i < w.count; i++)
        size += w.files[i].size;
    printf("%s of %u files, %llu bytes\n", mode_names[mode], w.count, (unsigned long long)size);
    need(trial(&w, w.folder, true) == RIGHT, "the store is right");
    flip_bytes(&w, mode);
    failed = w.failed;
    damage_files(&w, mode == FLIP_SAMPLE ? 4001 : 211);
    failed += w.failed;
    swap_files(&w);
    failed += w.failed;
    begin(&w);
    check_unchanged(&w);
    failed += w.failed;
    world_fini(&w);
    return failed != 0;
}
