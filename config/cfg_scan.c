/* One pass over the bytes of a job file before the parser sees them: what would cost the parser too
 * much is refused here. It knows just enough of TOML to skip comments and strings; what it
 * misjudges is a syntax error anyway. */
#include "config/cfg_toml.h"

#include <stdio.h>
#include <string.h>

typedef struct scan {
    const char *at, *end;
    const char *line_begin;
    uint32_t line;
    cfg_fault *fault;
} scan;

static df_status scan_fail(scan *s, df_status status, const char *text)
{
    s->fault->place.line = s->line;
    s->fault->place.column = (uint32_t)(s->at - s->line_begin) + 1;
    snprintf(s->fault->text, sizeof s->fault->text, "%s", text);
    return status;
}

static void scan_newline(scan *s)
{
    s->line++;
    s->line_begin = s->at + 1;
}

/* The length of the UTF-8 character at s->at, by table 3-7 of the Unicode standard, or 0. */
static size_t character_len(const scan *s)
{
    const unsigned char *c = (const unsigned char *)s->at;
    size_t left = (size_t)(s->end - s->at);
    size_t len = c[0] < 0x80   ? 1
                 : c[0] < 0xc2 ? 0
                 : c[0] < 0xe0 ? 2
                 : c[0] < 0xf0 ? 3
                 : c[0] < 0xf5 ? 4
                               : 0;
    unsigned char least = 0x80, most = 0xbf;

    if (len < 2 || left < len)
        return left < len ? 0 : len;
    if (c[0] == 0xe0)
        least = 0xa0; /* not in two bytes */
    if (c[0] == 0xed)
        most = 0x9f; /* no surrogates */
    if (c[0] == 0xf0)
        least = 0x90; /* not in three bytes */
    if (c[0] == 0xf4)
        most = 0x8f; /* at most U+10FFFF */
    if (c[1] < least || c[1] > most)
        return 0;
    for (size_t i = 2; i < len; i++)
        if ((c[i] & 0xc0) != 0x80)
            return 0;
    return len;
}

static df_status check_encoding(scan *s)
{
    while (s->at < s->end) {
        size_t len = character_len(s);
        if (len == 0)
            return scan_fail(s, DF_EINVAL, "this byte is not valid UTF-8");
        if (*s->at == '\0')
            return scan_fail(s, DF_EINVAL, "a job file holds no zero bytes");
        if (*s->at == '\n')
            scan_newline(s);
        s->at += len;
    }
    return DF_OK;
}

/* Put s->at on the last byte of the string that begins there (or of the text). */
static void skip_string(scan *s)
{
    char quote = *s->at;
    bool long_form = s->end - s->at >= 3 && s->at[1] == quote && s->at[2] == quote;

    s->at += long_form ? 3 : 1;
    for (; s->at < s->end; s->at++) {
        if (*s->at == '\n') {
            if (!long_form) {
                s->at--; /* not closed: the parser will say so */
                return;
            }
            scan_newline(s);
        } else if (*s->at == '\\' && quote == '"' && s->at + 1 < s->end && s->at[1] != '\n') {
            s->at++;
        } else if (*s->at == quote) {
            if (!long_form)
                return;
            if (s->end - s->at >= 3 && s->at[1] == quote && s->at[2] == quote) {
                s->at += 2;
                for (int i = 0; i < 2 && s->at + 1 < s->end && s->at[1] == quote; i++)
                    s->at++; /* such a string may end with two quotes of its own */
                return;
            }
        }
    }
    s->at = s->end - 1;
}

static void skip_comment(scan *s)
{
    const char *newline = memchr(s->at, '\n', (size_t)(s->end - s->at));

    s->at = (newline == NULL ? s->end : newline) - 1;
}

static df_status check_limits(scan *s)
{
    uint32_t values = 0, nesting = 0, parts = 1;

    for (; s->at < s->end; s->at++) {
        switch (*s->at) {
        case '#':
            skip_comment(s);
            break;
        case '"':
        case '\'':
            skip_string(s);
            break;
        case '\n':
            parts = 1;
            scan_newline(s);
            break;
        case '.':
            values++; /* each part of a key may make a table */
            if (++parts > CFG_KEY_PARTS_MAX)
                return scan_fail(s, DF_ELIMIT, "a key has at most 16 parts");
            break;
        case '[':
        case '{':
            if (++nesting > CFG_NESTING_MAX)
                return scan_fail(s, DF_ELIMIT, "brackets are nested at most 16 deep");
            parts = 1;
            values++;
            break;
        case ']':
        case '}':
            nesting -= nesting > 0;
            break;
        case '=':
        case ',':
            parts = 1;
            values++;
            break;
        default:
            break;
        }
        if (values > CFG_VALUES_MAX)
            return scan_fail(s, DF_ELIMIT, "a job file holds at most 32768 values");
    }
    return DF_OK;
}

df_status cfg_scan(const char *text, size_t size, cfg_fault *fault)
{
    scan encoding = { text, text + size, text, 1, fault };
    scan limits = encoding;
    df_status status = check_encoding(&encoding);

    return status != DF_OK ? status : check_limits(&limits);
}

_Static_assert(CFG_KEY_PARTS_MAX == 16 && CFG_NESTING_MAX == 16 && CFG_VALUES_MAX == 32768,
               "the texts above name the limits");
