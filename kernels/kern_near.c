/* Why a list, walked at a later step, gives what the pad would give at that step:
 *
 *  1. The pad's order is by cell, then by key, and both are the rows' as they were when the list was made;
 *     a list is a subset of the pad, ascending.
 *  2. Everyone within the radius now was within reach then, so the list lacks nobody who counts.
 *  3. Everybody else changes no bit, here as there. */
#include "kernels/kern_near.h"

#include "kernels/kern_eight.h"
#include "kernels/kern_lane.h"

#include <assert.h>
#include <string.h>

enum {
    CROWD_CELLS = 3,     /* cells of a line whose rows are looked at together, if they are few */
    CROWD_ROWS_MEAN = 4, /* more rows in a cell than this are not few */
    RUN_GAP = 3,         /* rows of the rim that nobody lists, yet cost less than a new run */
    RECORD_UNITS = KERN_RECORD_SIZE / KERN_NEAR_UNIT,
};

/* Everyone who may be near the rows of a few cells, in the pad's order, unwrapped. */
typedef struct near_crowd {
    uint32_t count;
    float *at[3];
    uint32_t *places; /* in the pad */
} near_crowd;

/* What is being found; the memory is scratch. */
typedef struct near_search {
    kern_pad pad;
    near_crowd crowd;
    bool shifted;
    float reach_squared;
    uint32_t room, length;
    uint32_t *first, *found;
    uint32_t *records; /* [pad rows + KERN_LANES] where the record of a place is */
    kern_near_run *runs;
    uint32_t run_count;
} near_search;

static size_t rounded(size_t size)
{
    return (size + 63) / 64 * 64;
}

/* Takes count numbers of scratch memory; with a null scratch it only counts. */
static void *take(char *scratch, size_t *used, size_t count)
{
    void *at = scratch == NULL ? NULL : scratch + *used;

    *used += rounded(count * sizeof(uint32_t));
    return at;
}

static size_t search_layout(near_search *d, const kern_halo *halo, uint32_t room, char *scratch)
{
    size_t rows = halo->tiles[KERN_HALO_SELF].row_count, all = KERN_LANES, used = rounded(kern_pad_size(halo, 3));

    for (int t = 0; t < KERN_HALO_TILES; t++)
        all += halo->tiles[t].row_count;
    d->first = take(scratch, &used, rows + 1);
    d->found = take(scratch, &used, room + KERN_LANES + (size_t)KERN_NEAR_EIGHT);
    d->runs = take(scratch, &used, sizeof *d->runs / sizeof(uint32_t) * all);
    d->records = take(scratch, &used, all);
    for (int axis = 0; axis < 3; axis++)
        d->crowd.at[axis] = take(scratch, &used, all);
    d->crowd.places = take(scratch, &used, all);
    return used;
}

size_t kern_near_scratch_size(const kern_halo *halo, uint32_t room)
{
    near_search d;

    return search_layout(&d, halo, room, NULL);
}

static void search_init(near_search *d, const kern_halo *halo, float reach, uint32_t room, char *scratch)
{
    search_layout(d, halo, room, scratch);
    kern_pad_init_rows(&d->pad, halo, 3, reach, scratch);
    d->reach_squared = reach * reach;
    d->room = room;
    d->length = d->run_count = 0;
    d->shifted = false;
    for (uint32_t axis = 0; axis < 3; axis++)
        d->shifted |= d->pad.shifted_sides[axis][0] || d->pad.shifted_sides[axis][1];
}

/* ---- the lists, as places in the pad ---- */

static uint32_t side_of(const kern_pad *pad, uint32_t axis, uint32_t cell)
{
    return cell == 0 ? 0 : cell + 1 == pad->cells[axis] ? 2 : 1;
}

/* Adds the rows at the places [begin, end), moved by shift. */
KERN_FN void join_crowd(near_crowd *crowd, const kern_pad *pad, uint32_t begin, uint32_t end,
                        const float shift[3])
{
    for (uint32_t i = begin; i < end; i += KERN_LANES) {
        uint32_t to = crowd->count + (i - begin);

        for (int axis = 0; axis < 3; axis++)
            kern_lane_store(crowd->at[axis] + to,
                            kern_lane_load(pad->columns[axis] + i) + kern_lane_set(shift[axis]));
        kern_lane_store_index(crowd->places + to, kern_lane_set_index(i) + kern_lane_index());
    }
    crowd->count += end - begin;
}

/* Adds the rows of a line of cells: cell by cell where they are seen through different shifts. */
static void join_line(near_search *d, uint32_t x, uint32_t y, uint32_t z, uint32_t count)
{
    static const float none[3];
    const kern_pad *pad = &d->pad;
    const uint32_t *rows = pad->cell_rows + ((size_t)z * pad->cells[1] + y) * pad->cells[0] + x;
    uint32_t line = side_of(pad, 2, z) * 9 + side_of(pad, 1, y) * 3;

    if (!d->shifted) {
        join_crowd(&d->crowd, pad, rows[0], rows[count], none);
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        join_crowd(&d->crowd, pad, rows[i], rows[i + 1],
                   pad->halo->tiles[line + side_of(pad, 0, x + i)].shift);
}

/* Appends those of the crowd that are within reach of the row at a place of the pad. */
static void list_row(near_search *d, uint32_t place)
{
    const float *const *at = (const float *const *)d->crowd.at;
    kern_real x = kern_lane_set(d->pad.columns[0][place]), y = kern_lane_set(d->pad.columns[1][place]);
    kern_real z = kern_lane_set(d->pad.columns[2][place]), most = kern_lane_set(d->reach_squared);
    kern_i32v self = kern_lane_set_index(place);
    uint32_t *to = d->found + d->length;

    for (uint32_t i = 0; i < d->crowd.count; i += KERN_LANES) {
        kern_real dx = x - kern_lane_load(at[0] + i), dy = y - kern_lane_load(at[1] + i);
        kern_real dz = z - kern_lane_load(at[2] + i);
        kern_real square = kern_lane_fma(dz, dz, kern_lane_fma(dy, dy, dx * dx));
        kern_i32v places = kern_lane_load_index(d->crowd.places + i);
        kern_mask near = kern_lane_lt_if(kern_lane_differ(places, self), square, most);

        to += kern_lane_compress_index(to, near, places, d->crowd.count - i);
    }
    d->length = (uint32_t)(to - d->found);
}

/* The lists of the rows of `count` cells of a line of the pad; false: no room. `row` is the first. */
static bool list_cells(near_search *d, const uint32_t cell[3], uint32_t count, uint32_t row)
{
    const kern_pad *pad = &d->pad;
    const uint32_t *places = pad->cell_rows +
                             ((size_t)cell[2] * pad->cells[1] + cell[1]) * pad->cells[0] + cell[0];

    d->crowd.count = 0;
    for (uint32_t z = cell[2] - 1; z <= cell[2] + 1 && places[0] < places[count]; z++)
        for (uint32_t y = cell[1] - 1; y <= cell[1] + 1; y++)
            join_line(d, cell[0] - 1, y, z, count + 2);
    for (uint32_t place = places[0]; place < places[count]; place++) {
        if (d->room - d->length < d->crowd.count)
            return false;
        d->first[row++] = d->length;
        list_row(d, place);
    }
    return true;
}

static bool list_all(near_search *d)
{
    const kern_tile *tile = &d->pad.halo->tiles[KERN_HALO_SELF];
    const uint32_t *rows = tile->cell_rows, *n = tile->cells;
    bool few = tile->row_count / n[0] / n[1] / n[2] < CROWD_ROWS_MEAN;
    uint32_t cell[3];

    for (cell[2] = 1; cell[2] <= n[2]; cell[2]++)
        for (cell[1] = 1; cell[1] <= n[1]; cell[1]++)
            for (cell[0] = 1; cell[0] <= n[0];) {
                uint32_t left = n[0] + 1 - cell[0], count = few ? CROWD_CELLS : 1;

                count = count < left ? count : left;
                if (!list_cells(d, cell, count, rows[0]))
                    return false;
                cell[0] += count;
                rows += count;
            }
    d->first[tile->row_count] = d->length;
    return true;
}

/* ---- from places to records ---- */

/* One line of a halo tile's share of the pad: consecutive rows at consecutive places. */
typedef struct near_line {
    uint32_t tile, row, count, place;
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

    return (near_line){ t, rows[x[0]], rows[x[1]] - rows[x[0]],
                        pad->cell_rows[((size_t)pz * pad->cells[1] + py) * pad->cells[0] + px] };
}

/* The record of row i of a line, whose first row has a rank: a ghost behind all those of its tile that have a
 * record. */
static uint32_t add_ghost(near_search *d, kern_near *near, const near_line *line, uint32_t rank, uint32_t i)
{
    kern_near_run *run = &d->runs[d->run_count];
    uint32_t row = line->row + i, more = 1;

    if (d->run_count > near->run_begin[line->tile] && run[-1].row >= line->row &&
        row - (run[-1].row + run[-1].count) <= RUN_GAP) {
        run--;
        more = row + 1 - (run->row + run->count);
        run->count += more;
    } else {
        *run = (kern_near_run){ row, 1, rank + i };
        d->run_count++;
    }
    near->ghost_count += more;
    return (near->row_count + near->ghost_count - 1) * RECORD_UNITS;
}

/* The cells of a halo's tile that the pad takes. */
static void rim_ranges(const kern_tile *tile, uint32_t t, uint32_t x[2], uint32_t y[2], uint32_t z[2])
{
    kern_rim_range(tile, (int)(t % 3) - 1, 0, x);
    kern_rim_range(tile, (int)(t / 3 % 3) - 1, 1, y);
    kern_rim_range(tile, (int)(t / 9) - 1, 2, z);
}

/* Gives records to a tile's rows: the middle's by row, another's where they are in a list. */
static void number_tile(near_search *d, kern_near *near, uint32_t t)
{
    const kern_tile *tile = &d->pad.halo->tiles[t];
    uint32_t x[2], y[2], z[2], rank = 0;

    near->run_begin[t] = d->run_count;
    if (tile->cell_rows == NULL)
        return;
    rim_ranges(tile, t, x, y, z);
    for (uint32_t iz = z[0]; iz < z[1]; iz++)
        for (uint32_t iy = y[0]; iy < y[1]; iy++) {
            near_line line = line_of(&d->pad, t, x, iy, iz);

            for (uint32_t i = 0; i < line.count; i++) {
                uint32_t *record = &d->records[line.place + i];

                if (t == KERN_HALO_SELF)
                    *record = (line.row + i) * RECORD_UNITS;
                else if (*record != 0)
                    *record = add_ghost(d, near, &line, rank, i);
            }
            rank += line.count;
        }
}

static bool is_wide(const kern_near *near)
{
    return ((uint64_t)near->row_count + near->ghost_count) * RECORD_UNITS > UINT16_MAX;
}

static void number_records(near_search *d, kern_near *near)
{
    memset(d->records, 0, d->pad.row_count * sizeof *d->records);
    for (uint32_t i = 0; i < d->length; i++)
        d->records[d->found[i]] = 1;
    for (uint32_t t = 0; t < KERN_HALO_TILES; t++)
        number_tile(d, near, t);
    near->run_begin[KERN_HALO_TILES] = d->run_count;
    assert(near->row_count + (uint64_t)near->ghost_count < UINT32_MAX / RECORD_UNITS);
    d->records[d->pad.row_count] = (near->row_count + near->ghost_count) * RECORD_UNITS;
    near->wide = is_wide(near);
}

/* ---- lists of pairs ---- */

static uint32_t length_of(const kern_near_draft *d, uint32_t row)
{
    return row < d->near.row_count ? d->first[row + 1] - d->first[row] : 0;
}

/* Eights of each row of the pair that begins with a row. */
static uint32_t pair_eights(const kern_near_draft *d, uint32_t row)
{
    uint32_t a = length_of(d, row), b = length_of(d, row + 1);

    return ((a < b ? b : a) + KERN_NEAR_EIGHT - 1) / KERN_NEAR_EIGHT;
}

static void measure_lists(kern_near_draft *d)
{
    kern_near *near = &d->near;

    for (uint32_t row = 0; row < near->row_count; row += KERN_NEAR_BATCH) {
        uint32_t size = 0;

        for (uint32_t i = row; i < row + KERN_NEAR_BATCH && i < near->row_count; i += KERN_NEAR_PAIR)
            size += pair_eights(d, i) * KERN_NEAR_PAIR * KERN_NEAR_EIGHT;
        near->batch_list_max = size > near->batch_list_max ? size : near->batch_list_max;
        near->list_size += size;
    }
}

bool kern_near_find(kern_near_draft *draft, const kern_halo *halo, float reach, uint32_t room,
                    void *scratch)
{
    near_search d;

    search_init(&d, halo, reach, room, scratch);
    if (!list_all(&d))
        return false;
    *draft = (kern_near_draft){
        .near = { .row_count = halo->tiles[KERN_HALO_SELF].row_count, .shifted = d.shifted, .runs = d.runs },
        .first = d.first, .found = d.found, .records = d.records,
    };
    number_records(&d, &draft->near);
    draft->nobody = d.records[d.pad.row_count];
    measure_lists(draft);
    return true;
}

static uint32_t pair_count(const kern_near *near)
{
    return (near->row_count + 1) / KERN_NEAR_PAIR;
}

static size_t entry_size(const kern_near *near)
{
    return near->wide ? sizeof(uint32_t) : sizeof(uint16_t);
}

/* Where the parts of lists are, and how long they are in all. */
typedef struct near_layout {
    size_t first, list, runs, size;
} near_layout;

static near_layout layout_of(const kern_near *near)
{
    near_layout l = { .first = rounded(sizeof *near) };

    l.list = l.first + rounded(((size_t)pair_count(near) + 1) * sizeof(uint32_t));
    l.runs = l.list + rounded((size_t)near->list_size * entry_size(near));
    l.size = l.runs + rounded((size_t)near->run_begin[KERN_HALO_TILES] * sizeof(kern_near_run));
    return l;
}

size_t kern_near_size(const kern_near *near)
{
    return layout_of(near).size;
}

/* The pointers of lists into themselves. */
static void point(kern_near *near)
{
    near_layout l = layout_of(near);
    char *at = (char *)near;

    near->first = (const uint32_t *)(const void *)(at + l.first);
    near->list = at + l.list;
    near->runs = (kern_near_run *)(void *)(at + l.runs);
}

/* Eight entries: those that are left of a row's, then nobody. Eight can be read from `found`. */
KERN_FN kern_eight_bits eight_entries(const kern_near_draft *d, const uint32_t *found, int32_t left)
{
    static const kern_eight_bits number = { 0, 1, 2, 3, 4, 5, 6, 7 };
    kern_eight_bits places, used = number < left;

    memcpy(&places, found, sizeof places);
    return (kern_eight_gather(d->records, places & used) & used) | ((int32_t)d->nobody & ~used);
}

static void put_narrow(uint16_t *to, kern_eight_bits entries)
{
    typedef uint16_t narrow __attribute__((vector_size(KERN_NEAR_EIGHT * sizeof(uint16_t))));
    narrow cut = __builtin_convertvector(entries, narrow);

    memcpy(to, &cut, sizeof cut);
}

/* The entries of one row, eight of every PAIR times eight. */
static void put_row(void *list, uint32_t at, const kern_near_draft *d, uint32_t row, uint32_t eights)
{
    int32_t left = (int32_t)length_of(d, row);
    const uint32_t *found = d->found + (left > 0 ? d->first[row] : 0);

    for (uint32_t k = 0; k < eights; k++) {
        kern_eight_bits entries = eight_entries(d, found, left);

        if (d->near.wide)
            memcpy((uint32_t *)list + at, &entries, sizeof entries);
        else
            put_narrow((uint16_t *)list + at, entries);
        at += KERN_NEAR_PAIR * KERN_NEAR_EIGHT;
        left -= KERN_NEAR_EIGHT;
        found += left > 0 ? KERN_NEAR_EIGHT : 0;
    }
}

static void make_lists(uint32_t *first, void *list, const kern_near_draft *d)
{
    uint32_t at = 0;

    for (uint32_t pair = 0; pair < pair_count(&d->near); pair++) {
        uint32_t row = pair * KERN_NEAR_PAIR, eights = pair_eights(d, row);

        first[pair] = at;
        for (uint32_t i = 0; i < KERN_NEAR_PAIR; i++)
            put_row(list, at + i * KERN_NEAR_EIGHT, d, row + i, eights);
        at += eights * KERN_NEAR_PAIR * KERN_NEAR_EIGHT;
    }
    first[pair_count(&d->near)] = at;
    assert(at == d->near.list_size);
}

void kern_near_make(void *to, const kern_near_draft *draft)
{
    near_layout l = layout_of(&draft->near);
    char *at = to;

    memcpy(at, &draft->near, sizeof draft->near);
    make_lists((uint32_t *)(void *)(at + l.first), at + l.list, draft);
    memcpy(at + l.runs, draft->near.runs,
           (size_t)draft->near.run_begin[KERN_HALO_TILES] * sizeof(kern_near_run));
    point(to);
}

/* ---- lists in another place ---- */

/* Line by line, as number_tile has ranked them. */
static bool find_ghosts(const kern_near *near, const kern_tile *tile, uint32_t t)
{
    kern_near_run *run = near->runs + near->run_begin[t], *end = near->runs + near->run_begin[t + 1];
    uint32_t x[2], y[2], z[2], rank = 0, next = 0; /* ranks of the line, and behind the run before */

    if (run == end || tile->cell_rows == NULL)
        return run == end;
    rim_ranges(tile, t, x, y, z);
    for (uint32_t iz = z[0]; iz < z[1] && run < end; iz++)
        for (uint32_t iy = y[0]; iy < y[1] && run < end; iy++) {
            const uint32_t *line = tile->cell_rows + ((size_t)iz * tile->cells[1] + iy) * tile->cells[0];
            uint32_t count = line[x[1]] - line[x[0]];

            for (; run < end && run->rank - rank < count; run++) {
                if (run->rank < next || run->count > count - (run->rank - rank))
                    return false;
                run->row = line[x[0]] + (run->rank - rank);
                next = run->rank + run->count;
            }
            rank += count;
        }
    return run == end;
}

bool kern_near_find_ghosts(kern_near *near, const kern_halo *halo, uint32_t tiles)
{
    bool found = true;

    for (uint32_t t = 0; t < KERN_HALO_TILES; t++)
        found = found && ((tiles >> t & 1) == 0 || find_ghosts(near, &halo->tiles[t], t));
    return found;
}

static bool halo_shifts(const kern_halo *halo)
{
    bool shifts = false;

    for (uint32_t t = 0; t < KERN_HALO_TILES; t++)
        for (uint32_t axis = 0; halo->tiles[t].cell_rows != NULL && axis < 3; axis++)
            shifts |= halo->tiles[t].shift[axis] != 0;
    return shifts;
}

/* Whether all entries are records, or nobody's. The greatest, and all bits that are set: both are found by vectors. */
static bool entries_fit(const kern_near *near)
{
    uint32_t last = (near->row_count + near->ghost_count) * RECORD_UNITS, most = 0, bits = 0;
    const uint32_t *wide = near->list;
    const uint16_t *narrow = near->list;
    uint16_t narrow_most = 0, narrow_bits = 0;

    _Static_assert((RECORD_UNITS & (RECORD_UNITS - 1)) == 0, "bits tell multiples");
    if (near->wide)
        for (size_t i = 0; i < near->list_size; i++) {
            most = wide[i] > most ? wide[i] : most;
            bits |= wide[i];
        }
    else
        for (size_t i = 0; i < near->list_size; i++) {
            narrow_most = narrow[i] > narrow_most ? narrow[i] : narrow_most;
            narrow_bits |= narrow[i];
        }
    return most <= last && narrow_most <= last && (bits | narrow_bits) % RECORD_UNITS == 0;
}

static bool lists_fit(const kern_near *near)
{
    uint32_t pairs = pair_count(near), bad = near->first[0] != 0 || near->first[pairs] != near->list_size;

    for (uint32_t i = 0; i < pairs; i++)
        bad |= (near->first[i] > near->first[i + 1]) |
               (near->first[i + 1] % (KERN_NEAR_PAIR * KERN_NEAR_EIGHT) != 0);
    return bad == 0 && entries_fit(near);
}

static bool runs_fit(const kern_near *near)
{
    uint32_t bad = near->run_begin[0] != 0 || near->run_begin[KERN_HALO_SELF] != near->run_begin[KERN_HALO_SELF + 1];
    uint64_t ghosts = 0;

    for (uint32_t t = 0; t < KERN_HALO_TILES; t++)
        bad |= near->run_begin[t] > near->run_begin[t + 1];
    for (uint32_t i = 0; i < near->run_begin[KERN_HALO_TILES]; i++)
        ghosts += near->runs[i].count;
    return bad == 0 && ghosts == near->ghost_count;
}

/* The most entries of KERN_NEAR_BATCH rows. */
static uint32_t batch_list_max(const kern_near *near)
{
    uint32_t pairs = pair_count(near), each = KERN_NEAR_BATCH / KERN_NEAR_PAIR, most = 0;

    for (uint32_t i = 0; i < pairs; i += each) {
        uint32_t end = pairs - i < each ? pairs : i + each, size = near->first[end] - near->first[i];
        most = size > most ? size : most;
    }
    return most;
}

bool kern_near_accept(void *bytes, size_t size, const kern_halo *halo)
{
    kern_near *near = bytes;
    size_t most = size / sizeof(uint16_t);

    if (size < sizeof *near || near->row_count != halo->tiles[KERN_HALO_SELF].row_count || near->row_count > most ||
        near->list_size > most || near->run_begin[KERN_HALO_TILES] > most ||
        (uint64_t)near->row_count + near->ghost_count >= UINT32_MAX / KERN_RECORD_SIZE - KERN_NEAR_BATCH)
        return false;
    near->wide = is_wide(near);
    near->shifted = halo_shifts(halo);
    if (kern_near_size(near) != size)
        return false;
    point(near);
    if (!runs_fit(near) || !lists_fit(near))
        return false;
    near->batch_list_max = batch_list_max(near);
    return true;
}
