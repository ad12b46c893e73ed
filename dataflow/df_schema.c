/* Types, schemas and key partitions: the small pure functions that everything shares. */
#include "dataflow/df_plan.h"

#include <string.h>

__extension__ typedef unsigned __int128 schema_u128;

static const struct {
    const char *name;
    size_t size;
} schema_types[] = {
    [WEIR_F32] = { "f32", 4 }, [WEIR_F64] = { "f64", 8 }, [WEIR_I32] = { "i32", 4 },
    [WEIR_I64] = { "i64", 8 }, [WEIR_U32] = { "u32", 4 }, [WEIR_U64] = { "u64", 8 },
    [WEIR_U8] = { "u8", 1 },
};

size_t weir_type_size(weir_type type)
{
    return schema_types[type].size;
}

const char *weir_type_name(weir_type type)
{
    return schema_types[type].name;
}

int weir_schema_find(const weir_schema *schema, const char *name)
{
    for (uint32_t i = 0; i < schema->column_count; i++)
        if (strcmp(schema->columns[i].name, name) == 0)
            return (int)i;
    return -1;
}

size_t df_schema_row_size(const weir_schema *schema)
{
    size_t size = sizeof(uint64_t);

    for (uint32_t c = 0; c < schema->column_count; c++)
        size += weir_type_size(schema->columns[c].type);
    return size;
}

/* The finaliser of SplitMix64 (Steele, Lea, Flood 2014): a bijection, so that no two keys are
 * forced together. */
static uint64_t key_hash(uint64_t key)
{
    key ^= key >> 30;
    key *= 0xbf58476d1ce4e5b9u;
    key ^= key >> 27;
    key *= 0x94d049bb133111ebu;
    return key ^ (key >> 31);
}

uint32_t df_partition_of(const df_partition *partition, uint64_t key)
{
    uint64_t groups = partition->key_groups;

    if (partition->kind == DF_PART_ONE)
        return 0;
    if (key & DF_KEY_BORN)
        return (uint32_t)((key >> DF_KEY_GROUP_SHIFT) & (DF_KEY_GROUPS_MAX - 1)) % (uint32_t)groups;
    if (partition->kind == DF_PART_RANGE && key < partition->rows) {
        uint64_t runs = (partition->rows + partition->run - 1) / partition->run;
        return (uint32_t)((schema_u128)(key / partition->run) * groups / runs);
    }
    return (uint32_t)((schema_u128)key_hash(key) * groups >> 64);
}

uint64_t df_partition_begin(const df_partition *partition, uint32_t key_group)
{
    uint64_t runs = (partition->rows + partition->run - 1) / partition->run;
    /* The least run r with r * groups / runs >= key_group, rounded down. */
    uint64_t run = (uint64_t)(((schema_u128)key_group * runs + partition->key_groups - 1) /
                              partition->key_groups);
    uint64_t key = run * partition->run;

    return key < partition->rows ? key : partition->rows;
}
