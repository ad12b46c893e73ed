#include "coordinator/coord_load.h"

#include <stdlib.h>

#define LOAD_UNIT_SIZE (4 + 3 * 8)

void coord_load_fini(coord_load *load)
{
    free(load->units);
    *load = (coord_load){ 0 };
}

void coord_load_encode(df_writer *w, const coord_load *load)
{
    df_put_u16(w, COORD_LOAD_VERSION);
    df_put_text(w, load->host);
    df_put_text(w, load->backend);
    df_put_u32(w, load->threads);
    df_put_u32(w, load->compute_capability);
    df_put_u32(w, load->busy);
    df_put_u32(w, load->host_load);
    df_put_u64(w, load->free_bytes);
    df_put_u64(w, load->total_bytes);
    df_put_u64(w, load->process_bytes);
    df_put_u8(w, load->units_told);
    if (!load->units_told)
        return;
    df_put_u32(w, load->unit_count);
    for (uint32_t i = 0; i < load->unit_count; i++) {
        df_put_u32(w, load->units[i].unit);
        df_put_u64(w, load->units[i].cost_ns);
        df_put_u64(w, load->units[i].rows);
        df_put_u64(w, load->units[i].bytes);
    }
}

static uint32_t get_part(df_cursor *r)
{
    uint32_t part = df_get_u32(r);

    if (part > COORD_LOAD_WHOLE)
        df_get_refuse(r);
    return part;
}

/* Memory is got for what the bytes that are left can hold. False: there is none. */
static bool get_units(df_cursor *r, coord_load *load)
{
    load->unit_count = df_get_count(r, PROTO_GROUPS_MAX, LOAD_UNIT_SIZE);
    load->units = calloc((size_t)load->unit_count + 1, sizeof *load->units);
    if (load->units == NULL)
        return false;
    for (uint32_t i = 0; i < load->unit_count && !r->failed; i++) {
        coord_load_unit *u = &load->units[i];

        u->unit = df_get_u32(r);
        u->cost_ns = df_get_u64(r);
        u->rows = df_get_u64(r);
        u->bytes = df_get_u64(r);
        if (u->unit >= PROTO_GROUPS_MAX || (i > 0 && u->unit <= u[-1].unit))
            df_get_refuse(r);
    }
    return true;
}

df_status coord_load_decode(coord_load *load, const uint8_t *bytes, size_t size, df_error *err)
{
    df_status s = DF_OK;
    df_cursor r;
    uint8_t told;

    *load = (coord_load){ 0 };
    df_cursor_init(&r, bytes, size);
    if (df_get_u16(&r) != COORD_LOAD_VERSION)
        df_get_refuse(&r);
    df_get_name(&r, load->host, WEIR_NAME_MAX);
    df_get_name(&r, load->backend, WEIR_NAME_MAX);
    load->threads = df_get_u32(&r);
    if (load->threads == 0 || load->threads > DF_THREADS_MAX)
        df_get_refuse(&r);
    load->compute_capability = df_get_u32(&r);
    load->busy = get_part(&r);
    load->host_load = get_part(&r);
    load->free_bytes = df_get_u64(&r);
    load->total_bytes = df_get_u64(&r);
    load->process_bytes = df_get_u64(&r);
    told = df_get_u8(&r);
    if (told > 1)
        df_get_refuse(&r);
    load->units_told = told == 1;
    if (load->units_told && !get_units(&r, load))
        s = df_fail(err, DF_ENOMEM, "load: out of memory");
    else if (!df_get_end(&r))
        s = df_fail(err, DF_ECORRUPT, "load: damaged at byte %zu", r.offset);
    if (s != DF_OK)
        coord_load_fini(load);
    return s;
}
