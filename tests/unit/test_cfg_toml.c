/* The fence around the TOML parser: places, order, and what is refused before it runs. */
#include "config/cfg_toml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void show(FILE *out, const cfg_node *node)
{
    if (node->key != NULL)
        fprintf(out, "%s@%u:%u=", node->key, node->key_place.line, node->key_place.column);
    switch (node->type) {
    case CFG_TABLE:
    case CFG_LIST:
        fputs(node->type == CFG_TABLE ? "{" : "[", out);
        for (const cfg_node *child = node->first; child != NULL; child = child->next)
            show(out, child);
        fputs(node->type == CFG_TABLE ? "}" : "]", out);
        break;
    case CFG_TEXT:
        fprintf(out, "%s\"%s\"", node->plain ? "" : "\\", node->text);
        break;
    case CFG_WHOLE:
        fprintf(out, "%lld", (long long)node->whole);
        break;
    case CFG_REAL:
        fprintf(out, "%gr", node->real);
        break;
    case CFG_BOOL:
        fputs(node->boolean ? "true" : "false", out);
        break;
    case CFG_DATE:
        fputs("date", out);
        break;
    }
    if (node->type != CFG_TABLE)
        fprintf(out, "@%u:%u ", node->place.line, node->place.column);
}

static void check(const char *text, size_t size, const char *shown)
{
    df_arena *arena = df_arena_new();
    cfg_node *root;
    cfg_fault fault = { { 0, 0 }, "" };
    char *got = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&got, &len);
    df_status status = cfg_toml_parse(&root, arena, text, size, &fault);

    assert_non_null(arena);
    if (status == DF_OK)
        show(out, root);
    else
        fprintf(out, "%u:%u: %s", fault.place.line, fault.place.column, fault.text);
    fclose(out);
    assert_string_equal(got, shown);
    assert_int_equal(status == DF_OK, shown[0] == '{');
    free(got);
    df_arena_free(&arena);
}

/* Columns are in bytes, and tables in the order of the text. */
static void test_places(void **state)
{
    static const struct {
        const char *text, *shown;
    } cases[] = {
        { "", "{}" },
        { "b = 1\na = 2.5\n", "{b@1:1=1@1:5 a@2:1=2.5r@2:5 }" },
        { "  x=true # no\r\ny = 'q'", "{x@1:3=true@1:5 y@2:1=\"q\"@2:5 }" },
        { "[s.b]\nz.y = [1, \"q\"]\n[s.a]\n",
          "{s@1:2={b@1:4={z@2:1={y@2:3=[1@2:8 \"q\"@2:11 ]@2:7 }}a@3:4={}}}" },
        { "\xef\xbb\xbf"
          "a = 1",
          "{a@1:1=1@1:5 }" },
        { "a = [\n  1,\n  [2]\n]", "{a@1:1=[1@2:3 [2@3:4 ]@3:3 ]@1:5 }" },
        { "a = { y = \"\xc3\xa9\xe2\x82\xac\", x = \"\xc3\xa9\" }",
          "{a@1:1={y@1:7=\"\xc3\xa9\xe2\x82\xac\"@1:11 x@1:20=\"\xc3\xa9\"@1:24 }}" },
        { "a = 1979-05-27\nb = 0x1F\nc = -3", "{a@1:1=date@1:5 b@2:1=31@2:5 c@3:1=-3@3:5 }" },
        { "a = \"x\\ty\"\nb = \"\"\"q\"\"\"\nc = '''q'''\nd = \"\"",
          "{a@1:1=\\\"x\ty\"@1:5 b@2:1=\\\"q\"@2:5 c@3:1=\\\"q\"@3:5 d@4:1=\"\"@4:5 }" },
        { "a = '#[[[[[[[[[[[[[[[[[[[[[[[[' # [[[[[[[[[[[[[[[[[[[[[[[[",
          "{a@1:1=\"#[[[[[[[[[[[[[[[[[[[[[[[[\"@1:5 }" },
        { "a = \"\"\"\n\\\"[[[[[[[[[\"[[[[[[[[[[[[\n\"\"\"\nb = 1",
          "{a@1:1=\\\"\"[[[[[[[[[\"[[[[[[[[[[[[\n\"@1:5 b@4:1=1@4:5 }" },
        { "a = [\"\"\"x\"\"\"\", \"\xc3\xa9\", '''y''''']",
          "{a@1:1=[\\\"x\"\"@1:6 \"\xc3\xa9\"@1:16 \\\"y''\"@1:22 ]@1:5 }" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check(cases[i].text, strlen(cases[i].text), cases[i].shown);
}

static void test_errors(void **state)
{
    static const struct {
        const char *text, *shown;
    } cases[] = {
        { "a = \n", "1:5: not valid TOML: key-value pair: expected value, saw '\\n'" },
        { "a = 1\nb = 2 c = 3",
          "2:7: not valid TOML: key-value pair: expected a comment or whitespace, saw 'c'" },
        { "[job\nx = 1", "1:5: not valid TOML: table header: expected ']', saw '\\n'" },
        { "edge = cbrt(3)", "1:8: not valid TOML: value: could not determine value type "
                            "(a text or an expression goes in quotes)" },
        { "\n  a = 1\n  a  = 2",
          "3:3: not valid TOML: key-value pair: cannot redefine existing integer 'a'" },
        { "q = { x = 1, x = 2 }",
          "1:14: not valid TOML: key-value pair: cannot redefine existing integer 'x'" },
        { "[a]\n[a]", "2:1: not valid TOML: table header: cannot redefine existing table 'a'" },
        { "a = 99999999999999999999\n", "1:5: not valid TOML: decimal integer: "
                                        "'99999999999999999999' is not representable in 64 bits" },
        { "[.a]", "1:2: not valid TOML: key: expected bare key starting character or string "
                  "delimiter, saw '.'" },
        { "a = 1\n\xc3\xa9 = 2", "2:1: not valid TOML: root table: expected keys, tables, "
                                 "whitespace or comments, saw '\xc3\xa9'" },
        { "a = 1 \xc2\xa0",
          "1:7: not valid TOML: key-value pair: expected space or tab, saw '\\u00A0'" },
        { "a = \"\xc3\xa9\" b",
          "1:10: not valid TOML: key-value pair: expected a comment or whitespace, saw 'b'" },
        { "a = \"x\\u0000y\"", "1:5: a text must not hold the character U+0000" },
        { "\"x\\u0000y\" = 1", "1:1: a text must not hold the character U+0000" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check(cases[i].text, strlen(cases[i].text), cases[i].shown);
}

#define CHECK(text, shown) check(text, sizeof(text) - 1, shown)
#define NOT_UTF8 ": this byte is not valid UTF-8"

/* Table 3-7 of the Unicode standard, 15.0: every boundary from both sides. */
static void test_encoding(void **state)
{
    (void)state;
    CHECK("a = 1\n\0", "2:1: a job file holds no zero bytes");
    CHECK("# ab\x80", "1:5" NOT_UTF8);
    CHECK("#\n #\xff", "2:3" NOT_UTF8);
    CHECK("#\xc3", "1:2" NOT_UTF8);
    CHECK("#\xc3(", "1:2" NOT_UTF8);
    CHECK("#\xc0\xaf", "1:2" NOT_UTF8);
    CHECK("#\xc1\xbf", "1:2" NOT_UTF8);
    CHECK("#\xc2\x80", "{}");
    CHECK("#\xe0\x9f\xbf", "1:2" NOT_UTF8);
    CHECK("#\xe0\xa0\x80", "{}");
    CHECK("#\xed\x9f\xbf", "{}");
    CHECK("#\xed\xa0\x80", "1:2" NOT_UTF8);
    CHECK("#\xef\xbf\xbf", "{}");
    CHECK("#\xf0\x8f\xbf\xbf", "1:2" NOT_UTF8);
    CHECK("#\xf0\x90\x80\x80", "{}");
    CHECK("#\xf4\x8f\xbf\xbf", "{}");
    CHECK("#\xf4\x90\x80\x80", "1:2" NOT_UTF8);
    CHECK("#\xf5\x80\x80\x80", "1:2" NOT_UTF8);
    CHECK("#\xf0\x90\x80", "1:2" NOT_UTF8);
    CHECK("\xff\xfe"
          "a\0=\0",
          "1:1" NOT_UTF8); /* UTF-16 */
}

static void repeat(char *text, const char *what, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        text = stpcpy(text, what);
}

static df_status status_of(const char *text, cfg_fault *fault)
{
    df_arena *arena = df_arena_new();
    cfg_node *root;
    df_status status = cfg_toml_parse(&root, arena, text, strlen(text), fault);

    df_arena_free(&arena);
    return status;
}

static void test_limits(void **state)
{
    char *text = calloc(1, 1u << 20), *tail;
    cfg_fault fault;

    (void)state;
    assert_non_null(text);
    for (unsigned more = 0; more < 2; more++) {
        unsigned nesting = CFG_NESTING_MAX + more, parts = CFG_KEY_PARTS_MAX + more;
        tail = stpcpy(text, "a = ");
        repeat(tail, "[", nesting);
        repeat(tail + nesting, "]", nesting);
        assert_int_equal(status_of(text, &fault), more ? DF_ELIMIT : DF_OK);
        memset(text, 0, 256);
        repeat(text, "a.", parts - 1);
        strcat(text, "a = 1");
        assert_int_equal(status_of(text, &fault), more ? DF_ELIMIT : DF_OK);
        memset(text, 0, 256);
        tail = stpcpy(text, "a = ["); /* two values, and a comma behind each of the others */
        repeat(tail, "1,", CFG_VALUES_MAX - 2 + more);
        strcat(text, "]");
        assert_int_equal(status_of(text, &fault), more ? DF_ELIMIT : DF_OK);
        memset(text, 0, 1u << 20);
    }
    assert_string_equal(fault.text, "a job file holds at most 32768 values");
    assert_int_equal(fault.place.column, 5 + 2 * (CFG_VALUES_MAX - 1)); /* the last comma */
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_encoding),
        cmocka_unit_test(test_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
