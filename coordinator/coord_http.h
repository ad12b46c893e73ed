/* A few pages over HTTP: GET of a page's path gives a text that its owner has put here; anything else is not
 * found. The only files that know the HTTP library.
 *
 * The library's threads never touch what a text is made of. One that is asked for a page wakes the
 * owner, who sees coord_http_wants, makes the text and puts it here. A text is good for a while that its page
 * says, so that many who ask cost no more than a few; an owner that does not answer within two
 * seconds lets the request fail with 503.
 *
 * Bounds: two threads, eight connections that wait, a request of 4 KiB that comes within three seconds,
 * one request a connection. */
#ifndef COORD_HTTP_H
#define COORD_HTTP_H

#include "dataflow/df_error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COORD_HTTP_ADDRESS_MAX 32 /* of an address with its port, the final zero included */

typedef struct coord_http coord_http;

#define COORD_HTTP_PAGES_MAX 2u

typedef struct coord_http_page {
    const char *path;     /* "/metrics" */
    double fresh_s;       /* how long a text is good for */
} coord_http_page;

typedef struct coord_http_options {
    const char *address;  /* "PORT" is on 127.0.0.1, or "A.B.C.D:PORT"; port 0: any that is free */
    const coord_http_page *pages; /* [page_count], at most COORD_HTTP_PAGES_MAX; copied, but not the paths */
    uint32_t page_count;
    /* Another thread: coord_http_wants has become true. */
    void (*wake)(void *user);
    void *user;
} coord_http_options;

/* Whether an address can be listened at, as far as it can be read. DF_EINVAL: it is none. */
df_status coord_http_check(const char *address, df_error *err) DF_MUST_CHECK;
/* Listen. DF_EINVAL: it is no address. On success *out is owned by the caller. */
df_status coord_http_open(coord_http **out, const coord_http_options *options, df_error *err)
    DF_MUST_CHECK;
/* Requests under way fail. Null is allowed. */
void coord_http_close(coord_http **http);

/* What was bound: "127.0.0.1:9464". */
const char *coord_http_address(const coord_http *http);
/* Somebody waits for a page's text; pages are numbered as in the options. */
bool coord_http_wants(coord_http *http, uint32_t page);
/* Give it: the bytes are taken, freed with free(). Null: none could be made, the requests fail. */
void coord_http_put(coord_http *http, uint32_t page, char *text, size_t size);

#endif
