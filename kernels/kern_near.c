/* Why a list, walked at a later step, gives what the pad would give at that step:
 *
 *  1. The pad's order is by cell, then by key, and both are the rows' as they were when the list was made;
 *     a list is a subset of the pad, ascending.
 *  2. Everyone within the radius now was within reach then, so the list lacks nobody who counts.
 *  3. Everybody else changes no bit, here as there. */
#include "kernels/kern_near.h"

#include "kernels/kern_lane.h"

#include <assert.h>
#include <string.h>

/* Runs of the pad around a cell: lines of three cells, or single cells where they are seen through
 * different shifts. */
enum { RUNS_MAX = 27 };

typedef struct near_run {
    uint32_t begin, end; /* places in the pad */
    float shift[3];
} near_run;

/* What is being made; the memory is scratch. */
typedef struct near_draft {
    kern_pad pad;
    bool shifted;
    float reach_squared;
    uint32_t room, length;
    uint32_t *first, *list, *ghost_rows;
    uint32_t *records; /* [pad rows + KERN_LANES] where the record of a place is */
} near_draft;

static size_t rounded(size_t size)
{
    return (size + 63) / 64 * 64;
}

static size_t pad_rows_max(const kern_halo *halo)
{
    size_t rows = 0;

    for (int t = 0; t < KERN_HALO_TILES; t++)
        rows += halo->tiles[t].row_count;
    return rows;
}

size_t kern_near_scratch_size(const kern_halo *halo, uint32_t room)
{
    size_t rows = halo->tiles[KERN_HALO_SELF].row_count, all = pad_rows_max(halo);

    return rounded(kern_pad_size(halo, 3)) + rounded((rows + 1) * sizeof(uint32_t)) +
           rounded((room + KERN_LANES + (size_t)KERN_NEAR_PAST) * sizeof(uint32_t)) +
           2 * rounded((all + KERN_LANES) * sizeof(uint32_t));
}

static void draft_init(near_draft *d, const kern_halo *halo, float reach, uint32_t room, char *scratch)
{
    size_t rows = halo->tiles[KERN_HALO_SELF].row_count, all = pad_rows_max(halo);

    kern_pad_init_rows(&d->pad, halo, 3, reach, scratch);
    scratch += rounded(kern_pad_size(halo, 3));
    d->first = (uint32_t *)(void *)scratch;
    scratch += rounded((rows + 1) * sizeof(uint32_t));
    d->list = (uint32_t *)(void *)scratch;
    scratch += rounded((room + KERN_LANES + (size_t)KERN_NEAR_PAST) * sizeof(uint32_t));
    d->ghost_rows = (uint32_t *)(void *)scratch;
    d->records = d->ghost_rows + rounded((all + KERN_LANES) * sizeof(uint32_t)) / sizeof(uint32_t);
    d->reach_squared = reach * reach;
    d->room = room;
    d->length = 0;
    d->shifted = false;
    for (uint32_t axis = 0; axis < 3; axis++)
        d->shifted |= d->pad.shifted_sides[axis][0] || d->pad.shifted_sides[axis][1];
}

/* ---- the lists, as places in the pad ---- */

static uint32_t side_of(const kern_pad *pad, uint32_t axis, uint32_t cell)
{
    return cell == 0 ? 0 : cell + 1 == pad->cells[axis] ? 2 : 1;
}

static void add_run(const near_draft *d, near_run *runs, uint32_t *count, const uint32_t cell[3],
                    uint32_t cells)
{
    const kern_pad *pad = &d->pad;
    const uint32_t *at = pad->cell_rows + ((size_t)cell[2] * pad->cells[1] + cell[1]) * pad->cells[0] +
                         cell[0];
    uint32_t tile = side_of(pad, 2, cell[2]) * 9 + side_of(pad, 1, cell[1]) * 3 +
                    side_of(pad, 0, cell[0]);
    near_run *run = &runs[*count];

    if (at[0] == at[cells])
        return;
    run->begin = at[0];
    run->end = at[cells];
    memset(run->shift, 0, sizeof run->shift);
    if (d->shifted)
        memcpy(run->shift, pad->halo->tiles[tile].shift, sizeof run->shift);
    ++*count;
}

/* The runs of the 27 cells around one, ascending in the pad. */
static uint32_t find_runs(const near_draft *d, const uint32_t cell[3], near_run runs[RUNS_MAX])
{
    uint32_t count = 0;

    for (uint32_t z = cell[2] - 1; z <= cell[2] + 1; z++)
        for (uint32_t y = cell[1] - 1; y <= cell[1] + 1; y++)
            for (uint32_t x = cell[0] - 1; x <= cell[0] + 1; x++) {
                uint32_t at[3] = { x, y, z };

                add_run(d, runs, &count, at, d->shifted ? 1 : 3);
                if (!d->shifted)
                    break;
            }
    return count;
}

/* Appends those of a run that are within reach of the row at place `self`. */
static void list_run(near_draft *d, const near_run *run, uint32_t self)
{
    const float *x = d->pad.columns[0], *y = d->pad.columns[1], *z = d->pad.columns[2];
    kern_real own_x = kern_lane_set(x[self]), own_y = kern_lane_set(y[self]);
    kern_real own_z = kern_lane_set(z[self]);
    kern_real shift_x = kern_lane_set(run->shift[0]), shift_y = kern_lane_set(run->shift[1]);
    kern_real shift_z = kern_lane_set(run->shift[2]), most = kern_lane_set(d->reach_squared);
    kern_i32v places = kern_lane_set_index(run->begin) + kern_lane_index();
    uint32_t length = d->length;

    for (uint32_t i = run->begin; i < run->end; i += KERN_LANES) {
        kern_real dx = (own_x - kern_lane_load(x + i)) - shift_x;
        kern_real dy = (own_y - kern_lane_load(y + i)) - shift_y;
        kern_real dz = (own_z - kern_lane_load(z + i)) - shift_z;
        kern_real square = kern_lane_fma(dz, dz, kern_lane_fma(dy, dy, dx * dx));
        kern_mask other = kern_lane_differ(places, kern_lane_set_index(self));

        length += kern_lane_compress_index(d->list + length, kern_lane_lt_if(other, square, most),
                                           places, run->end - i);
        places += KERN_LANES;
    }
    d->length = length;
}

/* The lists of the rows of one cell of the pad; false: no room. `row` is the first of them. */
static bool list_cell(near_draft *d, const uint32_t cell[3], uint32_t row, uint32_t place,
                      uint32_t count)
{
    near_run runs[RUNS_MAX];
    uint32_t run_count = count > 0 ? find_runs(d, cell, runs) : 0, most = 0;

    for (uint32_t r = 0; r < run_count; r++)
        most += runs[r].end - runs[r].begin;
    for (uint32_t i = 0; i < count; i++) {
        if (d->room - d->length < most)
            return false;
        d->first[row + i] = d->length;
        for (uint32_t r = 0; r < run_count; r++)
            list_run(d, &runs[r], place + i);
    }
    return true;
}

static bool list_all(near_draft *d)
{
    const kern_pad *pad = &d->pad;
    const kern_tile *tile = &pad->halo->tiles[KERN_HALO_SELF];
    const uint32_t *rows = tile->cell_rows;
    uint32_t cell[3];

    for (cell[2] = 1; cell[2] <= tile->cells[2]; cell[2]++)
        for (cell[1] = 1; cell[1] <= tile->cells[1]; cell[1]++)
            for (cell[0] = 1; cell[0] <= tile->cells[0]; cell[0]++, rows++) {
                size_t at = ((size_t)cell[2] * pad->cells[1] + cell[1]) * pad->cells[0] + cell[0];

                if (!list_cell(d, cell, rows[0], pad->cell_rows[at], rows[1] - rows[0]))
                    return false;
            }
    d->first[tile->row_count] = d->length;
    return true;
}

/* ---- from places to records ---- */

/* One line of a halo tile's share of the pad: consecutive rows at consecutive places. */
typedef struct near_line {
    uint32_t row, count, place;
} near_line;

/* The pad's cell at which a tile on one side of an axis has its cell `i` of those that the pad takes. */
static uint32_t pad_cell(const kern_pad *pad, uint32_t axis, int side, uint32_t i)
{
    return side < 0 ? 0 : side > 0 ? pad->cells[axis] - 1 : 1 + i;
}

static near_line line_of(const kern_pad *pad, uint32_t t, const uint32_t x[2], uint32_t iy, uint32_t iz)
{
    const kern_tile *tile = &pad->halo->tiles[t];
    const uint32_t *rows = tile->cell_rows + ((size_t)iz * tile->cells[1] + iy) * tile->cells[0];
    uint32_t px = pad_cell(pad, 0, (int)(t % 3) - 1, 0);
    uint32_t py = pad_cell(pad, 1, (int)(t / 3 % 3) - 1, iy), pz = pad_cell(pad, 2, (int)(t / 9) - 1, iz);

    return (near_line){ rows[x[0]], rows[x[1]] - rows[x[0]],
                        pad->cell_rows[((size_t)pz * pad->cells[1] + py) * pad->cells[0] + px] };
}

/* Gives records to a tile's rows: the middle's by row, another's where they are in a list. */
static void number_tile(near_draft *d, kern_near *near, uint32_t t)
{
    const kern_tile *tile = &d->pad.halo->tiles[t];
    uint32_t x[2], y[2], z[2];

    near->ghost_begin[t] = near->ghost_count;
    if (tile->cell_rows == NULL)
        return;
    kern_rim_range(tile, (int)(t % 3) - 1, 0, x);
    kern_rim_range(tile, (int)(t / 3 % 3) - 1, 1, y);
    kern_rim_range(tile, (int)(t / 9) - 1, 2, z);
    for (uint32_t iz = z[0]; iz < z[1]; iz++)
        for (uint32_t iy = y[0]; iy < y[1]; iy++) {
            near_line line = line_of(&d->pad, t, x, iy, iz);

            for (uint32_t i = 0; i < line.count; i++) {
                uint32_t *record = &d->records[line.place + i];

                if (t == KERN_HALO_SELF) {
                    *record = (line.row + i) * KERN_RECORD_SIZE;
                } else if (*record != 0) {
                    *record = (near->row_count + near->ghost_count) * KERN_RECORD_SIZE;
                    d->ghost_rows[near->ghost_count++] = line.row + i;
                }
            }
        }
}

static void number_records(near_draft *d, kern_near *near)
{
    memset(d->records, 0, d->pad.row_count * sizeof *d->records);
    for (uint32_t i = 0; i < d->length; i++)
        d->records[d->list[i]] = 1;
    for (uint32_t t = 0; t < KERN_HALO_TILES; t++)
        number_tile(d, near, t);
    near->ghost_begin[KERN_HALO_TILES] = near->ghost_count;
    for (uint32_t i = 0; i < d->length; i++)
        d->list[i] = d->records[d->list[i]];
    memset(d->list + d->length, 0, KERN_NEAR_PAST * sizeof *d->list);
}

bool kern_near_make(kern_near *near, const kern_halo *halo, float reach, uint32_t room, void *scratch)
{
    near_draft d;

    draft_init(&d, halo, reach, room, scratch);
    assert(d.pad.row_count < UINT32_MAX / KERN_RECORD_SIZE);
    if (!list_all(&d))
        return false;
    *near = (kern_near){ .row_count = halo->tiles[KERN_HALO_SELF].row_count, .list_size = d.length,
                         .shifted = d.shifted, .first = d.first, .list = d.list,
                         .ghost_rows = d.ghost_rows };
    number_records(&d, near);
    return true;
}

/* ---- copies ---- */

size_t kern_near_size(const kern_near *near)
{
    return rounded(sizeof *near) + rounded((near->row_count + 1) * sizeof(uint32_t)) +
           rounded((near->list_size + (size_t)KERN_NEAR_PAST) * sizeof(uint32_t)) +
           rounded(near->ghost_count * sizeof(uint32_t));
}

static const uint32_t *copy_part(char **at, const uint32_t *from, size_t count)
{
    uint32_t *to = (uint32_t *)(void *)*at;

    memcpy(to, from, count * sizeof *to);
    *at += rounded(count * sizeof *to);
    return to;
}

void kern_near_copy(void *to, const kern_near *from)
{
    kern_near *near = to;
    char *at = (char *)to + rounded(sizeof *near);

    *near = *from;
    near->first = copy_part(&at, from->first, from->row_count + 1);
    near->list = copy_part(&at, from->list, from->list_size + (size_t)KERN_NEAR_PAST);
    near->ghost_rows = copy_part(&at, from->ghost_rows, from->ghost_count);
}
