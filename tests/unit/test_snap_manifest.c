/* Manifests: built, stored, read back; the stored bytes pinned; rules; hostile bytes, with and
 * without a right checksum. */
#include "snapshot/snap_manifest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static df_error error;

static const weir_schema birds = { 2, { { "x", WEIR_F32 }, { "alive", WEIR_U8 } } };
static const weir_schema bare = { 0 };

static snap_part_info part_of(uint64_t snapshot, uint32_t part)
{
    return (snap_part_info){ .id = { snapshot, 9, part }, .first = { 0, 0, 0, 0 },
                             .last = { 2, 1, 1, 0 }, .chunk_count = 4, .stored_size = 100000 };
}

/* Rows of a key group; every ref differs from every other. */
static void set_group(snap_manifest *m, uint32_t table, uint32_t group, uint32_t rows, uint32_t part)
{
    snap_group *g = &m->tables[table].groups[group];

    assert_int_equal(snap_manifest_set_rows(m, table, group, rows, &error), DF_OK);
    for (uint32_t i = 0; i < g->ref_count; i++)
        g->refs[i] = (snap_ref){ i % 2 == 0 ? part : 0, 100 + i,
                                 { (uint64_t)table << 32 | group, (uint64_t)rows << 32 | i } };
}

static snap_manifest *build(void)
{
    snap_manifest *m = snap_manifest_new();
    snap_part_info parts[3] = { part_of(12, 1), part_of(3, 0), part_of(12, 0) };
    uint32_t index;

    assert_non_null(m);
    m->plan = (df_hash){ 0x1111, 0x2222 };
    strcpy(m->job, "flock");
    strcpy(m->engine, "0.1.0");
    strcpy(m->label, "before the storm");
    m->snapshot = 12;
    m->parent = 11;
    m->step = 1000;
    m->history = 77;
    m->generation = 4;
    m->created_ms = 1234567890123;
    m->attempt = 9;
    m->chunk_size = 4096;
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(snap_manifest_add_part(m, &parts[i], &index, &error), DF_OK);
        assert_int_equal(index, i);
    }
    assert_int_equal(snap_manifest_add_part(m, &parts[1], &index, &error), DF_OK);
    assert_int_equal(index, 1);
    assert_int_equal(snap_manifest_add_table(m, "birds", &birds, 3, &index, &error), DF_OK);
    assert_int_equal(snap_manifest_add_table(m, "nests", &bare, 1, &index, &error), DF_OK);
    set_group(m, 0, 0, 1, 1);
    set_group(m, 0, 1, 0, 0);
    set_group(m, 0, 2, 1025, 1);
    set_group(m, 1, 0, 512, 1);
    assert_int_equal(snap_manifest_add_item(m, SNAP_OFFSETS, "log", 0, "\1\2\3", 3, &error), DF_OK);
    assert_int_equal(snap_manifest_add_item(m, SNAP_CARRIED, "mix", 1, "", 0, &error), DF_OK);
    assert_int_equal(snap_manifest_add_item(m, SNAP_CARRIED, "mix", 7, "abcd", 4, &error), DF_OK);
    assert_int_equal(snap_manifest_add_item(m, SNAP_CARRIED, "mix", 7, "", 0, &error), DF_EINVAL);
    assert_int_equal(snap_manifest_seal(m, &error), DF_OK);
    return m;
}

/* 1025 rows in chunks of 4096 bytes: ids 3 chunks of 512, x 2 of 1024, alive 1 of 4096. */
static void test_build(void **state)
{
    snap_manifest *m = build();
    const snap_ref *refs;
    uint32_t count;
    uint64_t live[3];
    snap_slice slice;

    (void)state;
    assert_int_equal(m->part_count, 2); /* part 2 is not referred to */
    assert_int_equal(m->parts[0].id.snapshot, 3);
    assert_int_equal(m->parts[1].id.snapshot, 12);
    assert_int_equal(m->parts[1].id.part, 1);
    assert_int_equal(m->tables[0].groups[2].ref_count, 6);
    refs = snap_manifest_refs(m, 0, 2, 0, &count);
    assert_int_equal(count, 3);
    assert_int_equal(refs[0].part, 0);
    assert_int_equal(refs[1].part, 1);
    refs = snap_manifest_refs(m, 0, 2, 2, &count);
    assert_int_equal(count, 1);
    assert_int_equal(refs[0].hash.low & 0xffffffff, 5);
    slice = snap_manifest_slice(m, &(snap_place){ 2, 0, 0, 2 });
    assert_int_equal(slice.type, WEIR_U64);
    assert_int_equal(slice.rows, 1);
    slice = snap_manifest_slice(m, &(snap_place){ 2, 0, 1, 0 });
    assert_int_equal(slice.type, WEIR_F32);
    assert_int_equal(slice.rows, 1024);
    slice = snap_manifest_slice(m, &(snap_place){ 2, 0, 2, 0 });
    assert_int_equal(slice.rows, 1025);
    assert_int_equal(slice.hash.low, (uint64_t)1025 << 32 | 5);
    assert_string_equal(snap_column_name(&m->tables[0], 0), "id");
    assert_string_equal(snap_column_name(&m->tables[0], 2), "alive");
    snap_manifest_live(m, live);
    assert_int_equal(live[0], 100 + 102 + 100 + 102 + 104 + 100);
    assert_int_equal(live[1], 101 + 101 + 103 + 105);
    assert_int_equal(snap_manifest_table(m, "nests"), 1);
    assert_int_equal(snap_manifest_table(m, "nest"), -1);
    assert_int_equal(m->owners[0].kind, SNAP_CARRIED);
    assert_null(snap_owner_item(&m->owners[0], 2));
    assert_int_equal(snap_owner_item(&m->owners[0], 7)->size, 4);
    assert_null(snap_manifest_owner(m, SNAP_BIRTHS, "mix"));
    snap_manifest_free(&m);
    assert_null(m);
}

static void test_thin(void **state)
{
    snap_part_info part = part_of(1, 0);

    (void)state;
    part.stored_size = 100;
    assert_false(snap_part_is_thin(&part, 100));
    assert_false(snap_part_is_thin(&part, 50));
    assert_true(snap_part_is_thin(&part, 49));
    assert_true(snap_part_is_thin(&part, 0));
}

static void same_table(const snap_table *a, const snap_table *b)
{
    assert_string_equal(a->name, b->name);
    assert_int_equal(a->key_groups, b->key_groups);
    assert_int_equal(a->schema.column_count, b->schema.column_count);
    for (uint32_t i = 0; i < a->schema.column_count; i++) {
        assert_string_equal(a->schema.columns[i].name, b->schema.columns[i].name);
        assert_int_equal(a->schema.columns[i].type, b->schema.columns[i].type);
    }
    for (uint32_t g = 0; g < a->key_groups; g++) {
        assert_int_equal(a->groups[g].rows, b->groups[g].rows);
        assert_int_equal(a->groups[g].ref_count, b->groups[g].ref_count);
        for (uint32_t r = 0; r < a->groups[g].ref_count; r++) {
            assert_int_equal(a->groups[g].refs[r].part, b->groups[g].refs[r].part);
            assert_int_equal(a->groups[g].refs[r].stored_size, b->groups[g].refs[r].stored_size);
            assert_true(snap_hash_equal(a->groups[g].refs[r].hash, b->groups[g].refs[r].hash));
        }
    }
}

static void same(const snap_manifest *a, const snap_manifest *b)
{
    assert_true(snap_hash_equal(a->plan, b->plan));
    assert_string_equal(a->job, b->job);
    assert_string_equal(a->engine, b->engine);
    assert_string_equal(a->label, b->label);
    assert_int_equal(a->snapshot, b->snapshot);
    assert_int_equal(a->parent, b->parent);
    assert_int_equal(a->step, b->step);
    assert_int_equal(a->history, b->history);
    assert_int_equal(a->generation, b->generation);
    assert_int_equal(a->created_ms, b->created_ms);
    assert_int_equal(a->attempt, b->attempt);
    assert_int_equal(a->chunk_size, b->chunk_size);
    assert_int_equal(a->part_count, b->part_count);
    for (uint32_t i = 0; i < a->part_count; i++)
        assert_memory_equal(&a->parts[i], &b->parts[i], sizeof a->parts[i]);
    assert_int_equal(a->table_count, b->table_count);
    for (uint32_t i = 0; i < a->table_count; i++)
        same_table(&a->tables[i], &b->tables[i]);
    assert_int_equal(a->owner_count, b->owner_count);
    for (uint32_t i = 0; i < a->owner_count; i++) {
        assert_int_equal(a->owners[i].kind, b->owners[i].kind);
        assert_string_equal(a->owners[i].name, b->owners[i].name);
        assert_int_equal(a->owners[i].item_count, b->owners[i].item_count);
        for (uint32_t j = 0; j < a->owners[i].item_count; j++) {
            assert_int_equal(a->owners[i].items[j].key_group, b->owners[i].items[j].key_group);
            assert_int_equal(a->owners[i].items[j].size, b->owners[i].items[j].size);
            assert_memory_equal(a->owners[i].items[j].bytes, b->owners[i].items[j].bytes,
                                b->owners[i].items[j].size);
        }
    }
}

static uint8_t *encoded(size_t *size)
{
    snap_manifest *m = build();
    uint8_t *bytes;

    assert_int_equal(snap_manifest_encode(m, &bytes, size, &error), DF_OK);
    snap_manifest_free(&m);
    return bytes;
}

static void test_through(void **state)
{
    snap_manifest *m = build(), *back;
    size_t size, again_size;
    uint8_t *bytes = encoded(&size), *again;

    (void)state;
    assert_int_equal(snap_manifest_decode(&back, bytes, size, &error), DF_OK);
    same(m, back);
    assert_int_equal(snap_manifest_encode(back, &again, &again_size, &error), DF_OK);
    assert_int_equal(again_size, size);
    assert_memory_equal(again, bytes, size);
    snap_manifest_free(&m);
    snap_manifest_free(&back);
    free(bytes);
    free(again);
}

/* The head byte by byte as the format says; the rest by its length and hash, so that a change of the
 * format cannot pass unnoticed: it needs a new version. */
static void test_layout(void **state)
{
    static const char head[] = "WEIRSNAP\x01\x00";
    static const char fields[] = "\x11\x11\0\0\0\0\0\0\x22\x22\0\0\0\0\0\0\x05\0\0\0flock\x05\0\0\0"
                                 "0.1.0\x10\0\0\0before the storm\x0c\0\0\0\0\0\0\0\x0b\0\0\0\0\0\0\0"
                                 "\xe8\x03\0\0\0\0\0\0\x4d\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0";
    size_t size;
    uint8_t *bytes = encoded(&size);

    (void)state;
    assert_memory_equal(bytes, head, 10);
    assert_int_equal(bytes[10] | bytes[11] << 8, size);
    assert_memory_equal(bytes + 18, fields, sizeof fields - 1);
    /* A head of 110; 2 parts; 2 tables with 3 + 1 groups, 3 + 6 + 1 refs; 2 owners. */
    assert_int_equal(size, 18 + 110 + (4 + 2 * 52) + 4 + (9 + 4 + 6 + 10 + 4 + 3 * 4 + 9 * 24) +
                               (9 + 4 + 4 + 4 + 24) + 4 + (8 + 4 + 8 + 12) + (8 + 4 + 11) + 16);
    free(bytes);
}

static void test_damage(void **state)
{
    size_t size;
    uint8_t *bytes = encoded(&size);
    snap_manifest *m;

    (void)state;
    for (size_t bit = 0; bit < 8 * size; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_int_equal(snap_manifest_decode(&m, bytes, size, &error), DF_ECORRUPT);
        assert_null(m);
        bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    for (size_t cut = 0; cut < size; cut++) {
        uint8_t *exact = malloc(cut + (cut == 0));

        memcpy(exact, bytes, cut);
        assert_int_equal(snap_manifest_decode(&m, exact, cut, &error), DF_ECORRUPT);
        free(exact);
    }
    free(bytes);
}

static void seal_checksum(uint8_t *bytes, size_t size)
{
    df_writer w;

    df_writer_init(&w, bytes + size - SNAP_HASH_SIZE, SNAP_HASH_SIZE);
    snap_put_hash(&w, snap_hash(bytes, size - SNAP_HASH_SIZE));
}

/* Whoever can make checksums: each byte set to each of several values, the checksum made right.
 * What is accepted must be what encode makes of it. */
static void test_hostile(void **state)
{
    static const uint8_t values[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
    size_t size, again_size;
    uint8_t *bytes = encoded(&size), *again;
    uint32_t accepted = 0, refused = 0;
    snap_manifest *m;

    (void)state;
    for (size_t i = 0; i < size - SNAP_HASH_SIZE; i++)
        for (size_t v = 0; v < sizeof values; v++) {
            uint8_t before = bytes[i];
            df_status s;

            bytes[i] = values[v];
            seal_checksum(bytes, size);
            s = snap_manifest_decode(&m, bytes, size, &error);
            if (s == DF_OK) {
                accepted++;
                assert_int_equal(snap_manifest_encode(m, &again, &again_size, &error), DF_OK);
                assert_int_equal(again_size, size);
                assert_memory_equal(again, bytes, size);
                free(again);
                snap_manifest_free(&m);
            } else {
                refused++;
                assert_true(s == DF_ECORRUPT || (s == DF_ENOTSUP && (i == 8 || i == 9)));
                assert_null(m);
            }
            bytes[i] = before;
        }
    assert_true(accepted > 100 && refused > 100);
    free(bytes);
}

/* Everything that encode must refuse. */
static void test_rules(void **state)
{
    snap_manifest *m;
    uint8_t *bytes;
    size_t size;

    (void)state;
    for (int rule = 0; rule < 12; rule++) {
        m = build();
        switch (rule) {
        case 0: m->job[0] = '\0'; break;
        case 1: m->snapshot = 0; break;
        case 2: m->parent = 12; break;
        case 3: m->chunk_size = 5000; break;
        case 4: m->tables[1].name[0] = '\0'; break;
        case 5: strcpy(m->tables[1].name, "birds"); break;
        case 6: m->tables[0].groups[0].rows = 513; break;
        case 7: m->tables[0].groups[0].refs[0].part = 2; break;
        case 8: m->parts[1].id.snapshot = 13; break;
        case 9: m->parts[0].stored_size = 1; break;
        case 10: m->owners[1].kind = SNAP_CARRIED; break; /* "log" before "mix" */
        default: m->tables[0].schema.columns[0].type = (weir_type)9; break;
        }
        assert_int_equal(snap_manifest_encode(m, &bytes, &size, &error), DF_EINVAL);
        assert_null(bytes);
        snap_manifest_free(&m);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_build),  cmocka_unit_test(test_thin),   cmocka_unit_test(test_through),
        cmocka_unit_test(test_layout), cmocka_unit_test(test_damage), cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_rules),
    };

    if (argc == 2) { /* write the manifest to a file: a seed for fuzzing */
        size_t size;
        uint8_t *bytes = encoded(&size);
        FILE *file = fopen(argv[1], "wb");
        int failed = file == NULL || fwrite(bytes, 1, size, file) != size || fclose(file) != 0;

        free(bytes);
        return failed;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
