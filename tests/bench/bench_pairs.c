/* What a snapshot costs a job's speed, as somebody sees who reads what the job prints of each step.
 *
 *   weir run JOB ... --set snapshot.every_steps=PERIOD | bench_pairs PERIOD [SKIP]
 *
 * A snapshot is taken before each step that is a multiple of PERIOD. So of two stretches of PERIOD / 2 steps, which
 * follow each other within a second, one has a snapshot and the other has none: what the first takes longer than
 * the ones before and after it, is what the snapshot costs. Of a run that is the median of all such differences; between
 * two whole runs the machine's moods are larger than the thing itself. A stretch begins a few steps early, as lines are seen in
 * small groups and after the step. Stretches must be the same work: PERIOD is twice a multiple of the state's
 * settle_every. SKIP periods warm up (2). */
#include "bench_lines.h"

#include <stdio.h>
#include <stdlib.h>

#define STEPS_MAX 1000000u

static double seen[STEPS_MAX], cost[STEPS_MAX];

/* The last step whose line was read. */
static unsigned long read_steps(void)
{
    unsigned long last = 0;
    char line[512];

    while (fgets(line, sizeof line, stdin) != NULL) {
        char *end;
        unsigned long step = strtoul(line, &end, 10);

        if (end == line || step >= STEPS_MAX)
            continue; /* the head of the table */
        seen[step] = bench_now();
        last = step;
    }
    return last;
}

int main(int argc, char **argv)
{
    unsigned long period = argc > 1 ? strtoul(argv[1], NULL, 10) : 0, half = period / 2;
    unsigned long skip = argc > 2 ? strtoul(argv[2], NULL, 10) : 2, last = read_steps(), count = 0;
    double sum = 0, seconds;

    if (period < 2 || period % 2 != 0 || skip < 1) {
        fputs("usage: bench_pairs PERIOD [SKIP]\n", stderr);
        return 2;
    }
    for (unsigned long p = skip; (p + 1) * period <= last; p++) {
        const double *at = seen + p * period - half / 4 - half; /* where a stretch without one begins */

        cost[count++] = at[2 * half] - at[half] - (at[half] - at[0] + at[3 * half] - at[2 * half]) / 2;
    }
    if (count < 3) {
        fputs("bench_pairs: too few steps\n", stderr);
        return 1;
    }
    seconds = (seen[last] - seen[skip * period]) / (double)(last - skip * period);
    qsort(cost, count, sizeof cost[0], bench_by_size);
    for (unsigned long i = count / 4; i < count - count / 4; i++)
        sum += cost[i];
    printf("{\"cost\": %.6f, \"middle\": %.6f, \"quarter\": %.6f, \"three_quarters\": %.6f, \"step\": %.6f, \"snapshots\": %lu}\n",
           cost[count / 2], sum / (double)(count - 2 * (count / 4)), cost[count / 4], cost[count - 1 - count / 4],
           seconds, count);
    return 0;
}
