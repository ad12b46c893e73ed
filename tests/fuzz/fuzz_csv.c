/* libFuzzer target: the CSV reader. Any bytes must be read or refused, and what is read must hold to
 * the reader's contract; each field is also read as a number of every type.
 *
 *   clang -fsanitize=fuzzer,address,undefined ... fuzz_csv.c op_csv_read.c op_number_read.c df_schema.c
 *   ./fuzz_csv tests/fuzz/corpus/csv */
#include "operators/op_csv_read.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

/* A number that was accepted is finite, and an integer does not depend on the width it is read at. */
static void try_numbers(const char *text)
{
    char file[OP_CSV_ERROR_MAX];
    char error[OP_CSV_ERROR_MAX];
    double real = 0;
    int64_t wide = 0;
    int32_t narrow = 0;
    uint8_t byte = 0;
    op_csv *csv;
    int accepted = 0;

    if (strlen(text) > 100 || strchr(text, '"') != NULL)
        return;
    strcpy(file, "v\n\"");
    strcat(file, text);
    strcat(file, "\"\n");
    for (int type = WEIR_F32; type <= WEIR_U8; type++) {
        uint64_t any = 0;
        require(op_csv_open_memory(&csv, "v", file, strlen(file), error) == WEIR_OK);
        require(op_csv_next(csv) == OP_CSV_ROW);
        require(strcmp(op_csv_text(csv, 0), text) == 0);
        if (op_csv_value(csv, 0, (weir_type)type, &any) == WEIR_OK) {
            accepted |= 1 << type;
            memcpy(&real, &any, type == WEIR_F64 ? sizeof(real) : 0);
            memcpy(&wide, &any, type == WEIR_I64 ? sizeof(wide) : 0);
            memcpy(&narrow, &any, type == WEIR_I32 ? sizeof(narrow) : 0);
            memcpy(&byte, &any, type == WEIR_U8 ? sizeof(byte) : 0);
        } else {
            require(op_csv_error(csv)[0] != '\0');
        }
        op_csv_close(&csv);
    }
    require(isfinite(real));
    if (accepted & 1 << WEIR_I32)
        require((accepted & 1 << WEIR_I64) != 0 && wide == narrow);
    if (accepted & 1 << WEIR_U8)
        require((accepted & 1 << WEIR_I32) != 0 && narrow == byte);
    if (accepted & 1 << WEIR_I64)
        require((accepted & 1 << WEIR_F64) != 0 && (double)wide == real);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char error[OP_CSV_ERROR_MAX];
    char list[64];
    op_csv_result result;
    uint64_t line = 0;
    uint32_t budget = 64; /* fields to try as numbers: enough, and inputs stay fast */
    op_csv *csv;

    if (op_csv_open_memory(&csv, "fuzz", bytes, size, error) != WEIR_OK) {
        require(csv == NULL && memchr(error, '\0', sizeof(error)) != NULL && error[0] != '\0');
        return 0;
    }
    op_csv_column_list(csv, list, sizeof(list));
    require(strlen(list) < sizeof(list));
    for (uint32_t i = 0; i < op_csv_column_count(csv); i++)
        require(op_csv_column(csv, op_csv_column_name(csv, i)) == (int)i);
    while ((result = op_csv_next(csv)) == OP_CSV_ROW) {
        require(op_csv_line(csv) > line);
        line = op_csv_line(csv);
        for (uint32_t i = 0; i < op_csv_column_count(csv); i++) {
            require(strlen(op_csv_text(csv, i)) < OP_CSV_RECORD_MAX);
            if (budget > 0 && budget-- > 0)
                try_numbers(op_csv_text(csv, i));
        }
    }
    require(op_csv_next(csv) == result);
    op_csv_close(&csv);
    return 0;
}
