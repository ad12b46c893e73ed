/* What a service reads: its configuration, the records of its jobs, what its clients ask; and what it
 * answers, as its clients read it. The first byte says which; any bytes behind it are read or refused. */
#include "config/cfg_service.h"
#include "coordinator/coord_json_service.h"
#include "dataflow/df_limits.h"
#include "snapshot/snap_hash.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void take_config(const char *text, size_t size)
{
    static df_report report;
    cfg_service s;

    df_report_init(&report, "a.toml");
    if (cfg_service_read(&s, text, size, &report) != DF_OK) {
        require(report.count > 0 && s.arena == NULL);
        return;
    }
    require(report.count == 0 && s.directory.text != NULL && s.directory.text[0] != '\0');
    require(s.workers <= CFG_SERVICE_WORKERS_MAX && s.threads <= DF_THREADS_MAX);
    require(s.jobs_max >= 1 && s.jobs_max <= CFG_SERVICE_JOBS_MAX && s.ended_max >= 1);
    require(s.bind.text != NULL || (s.keys.text == NULL && !s.insecure));
    require(s.keys.text == NULL || !s.insecure);
    cfg_service_fini(&s);
}

/* A record has one form. */
static void take_record(const char *text, size_t size)
{
    char again[COORD_TICKET_SIZE_MAX];
    coord_ticket t;

    if (coord_ticket_parse(&t, text, size, NULL) != DF_OK)
        return;
    require(coord_ticket_name_is(t.name) && coord_ticket_file_is(t.file) && t.number != 0);
    require(coord_ticket_print(&t, again) == size && memcmp(again, text, size) == 0);
}

/* With a right checksum behind it, so that the fuzzer reaches what stands before one. */
static void take_sealed(const char *text, size_t size)
{
    char *sealed = malloc(size + 34), line[34];
    df_hash hash = snap_hash(text, size);

    take_record(text, size);
    require(sealed != NULL);
    snprintf(line, sizeof line, "%016" PRIx64 "%016" PRIx64 "\n", hash.high, hash.low);
    memcpy(sealed, text, size);
    memcpy(sealed + size, line, 33);
    take_record(sealed, size + 33);
    free(sealed);
}

static void take_replies(const char *text, size_t size)
{
    char names[COORD_LOGS_MAX][COORD_LOG_NAME], *bytes = NULL;
    coord_listing listing;
    uint64_t number;
    uint32_t count;

    if (coord_json_listing_read(&listing, text, size, NULL)) {
        require(listing.count <= COORD_LISTED_MAX);
        for (uint32_t i = 0; i < listing.count; i++) {
            char *object = coord_json_listed(&listing.jobs[i], text, size);

            require(coord_ticket_name_is(listing.jobs[i].ticket.name));
            free(object);
        }
        free(listing.jobs);
    }
    (void)coord_json_submitted_read(&number, &count, text, size, NULL);
    (void)coord_json_is_taken(text, size);
    free(coord_json_refused_read(text, size));
    if (coord_json_logs_read(names, &count, text, size, NULL))
        require(count <= COORD_LOGS_MAX);
    if (coord_json_log_read(&bytes, &number, text, size, NULL))
        free(bytes);
}

static void take_question(const char *text, size_t size)
{
    coord_question q = { 0 };
    char *again;

    if (!coord_json_question_read(&q, text, size))
        return;
    require(strlen(q.job) < sizeof q.job && strlen(q.file) < sizeof q.file);
    again = coord_json_question(&q);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static void (*const takes[])(const char *, size_t) = { take_config, take_sealed, take_replies,
                                                           take_question };
    char *text;

    if (size == 0)
        return 0;
    text = malloc(size); /* its own memory, so that a step beyond the end is seen */
    memcpy(text, bytes + 1, size - 1);
    takes[bytes[0] % 4](text, size - 1);
    free(text);
    return 0;
}
