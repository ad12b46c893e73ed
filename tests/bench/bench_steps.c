/* How long steps take, as somebody sees who reads what a job prints of each.
 *
 *   weir run JOB ... | bench_steps BEGIN      from the line of step BEGIN on
 *
 * Steps are shown in small groups, so what is told is the median step (the whole time through the number of
 * steps) and the longest gap between two lines in each second: the median of those. A job that takes
 * a snapshot each second has one in nearly every such second. */
#include "bench_lines.h"

#include <stdio.h>
#include <stdlib.h>

#define SECONDS_MAX 100000u

int main(int argc, char **argv)
{
    static double longest[SECONDS_MAX];
    unsigned long from = argc > 1 ? strtoul(argv[1], NULL, 10) : 0, steps = 0;
    double begin = 0, last = 0;
    unsigned seconds = 0;
    char line[512];

    while (fgets(line, sizeof line, stdin) != NULL) {
        char *end;
        unsigned long step = strtoul(line, &end, 10);
        double at = bench_now();
        unsigned second;

        if (end == line || step < from)
            continue; /* the head of the table */
        if (steps++ == 0)
            begin = last = at;
        second = (unsigned)(at - begin);
        if (second < SECONDS_MAX && at - last > longest[second])
            longest[second] = at - last;
        last = at;
        seconds = second;
    }
    if (steps < 2 || seconds < 1 || seconds >= SECONDS_MAX) {
        fputs("bench_steps: too few steps\n", stderr);
        return 1;
    }
    qsort(longest, seconds, sizeof longest[0], bench_by_size); /* the last second is not whole */
    printf("{\"step\": %.6f, \"longest\": %.6f, \"seconds\": %u}\n", (last - begin) / (double)(steps - 1),
           longest[seconds / 2], seconds);
    return 0;
}
