/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two commands in turn, A B A B ..., each a whole process: wall seconds, CPU
 * seconds and peak memory of each, medians, and the median ratio A / B pair by
 * pair. Output of the commands is thrown away.
 *
 * usage: bench_turns NAME RUNS 'shell command A' 'shell command B'
 * The shell execs the command, so that it costs both sides alike.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_RUNS = 201 };

struct figures {
    double wall_s, cpu_s, rss_mib;
};

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void child(const char *command)
{
    char line[8192];
    int null = open("/dev/null", O_RDWR);

    dup2(null, 0);
    dup2(null, 1);
    snprintf(line, sizeof(line), "exec %s", command);
    execl("/bin/sh", "sh", "-c", line, (char *)NULL);
    _exit(127);
}

static struct figures once(const char *command)
{
    struct figures f = {0};
    struct rusage usage;
    double start = now_s();
    pid_t pid = fork();
    int status;

    if (pid == 0)
        child(command);
    if (pid < 0 || wait4(pid, &status, 0, &usage) != pid || status != 0) {
        fprintf(stderr, "turns: failed: %s\n", command);
        exit(1);
    }
    f.wall_s = now_s() - start;
    f.cpu_s = seconds(usage.ru_utime) + seconds(usage.ru_stime);
    f.rss_mib = (double)usage.ru_maxrss / 1024;
    return f;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double median(double *values, int n)
{
    qsort(values, (size_t)n, sizeof(*values), by_value);
    return values[n / 2];
}

int main(int argc, char **argv)
{
    double wall[2][MAX_RUNS], cpu[2][MAX_RUNS], rss[2][MAX_RUNS];
    double ratio[MAX_RUNS], extra[MAX_RUNS];
    int runs = argc == 5 ? atoi(argv[2]) : 0;

    if (runs < 1 || runs > MAX_RUNS) {
        fprintf(stderr, "usage: %s NAME RUNS A B\n", argv[0]);
        return 2;
    }
    once(argv[3]);
    once(argv[4]);
    for (int i = 0; i < runs; i++) {
        for (int side = 0; side < 2; side++) {
            struct figures f = once(argv[3 + side]);

            wall[side][i] = f.wall_s;
            cpu[side][i] = f.cpu_s;
            rss[side][i] = f.rss_mib;
        }
        ratio[i] = wall[0][i] / wall[1][i];
        extra[i] = cpu[0][i] - cpu[1][i];
    }
    printf("%s: A %.4f s, B %.4f s, A/B %.2f; CPU A %.4f s, B %.4f s, "
           "A-B %.2f ms; peak A %.1f MiB, B %.1f MiB (medians of %d)\n",
           argv[1], median(wall[0], runs), median(wall[1], runs),
           median(ratio, runs), median(cpu[0], runs), median(cpu[1], runs),
           median(extra, runs) * 1e3, median(rss[0], runs),
           median(rss[1], runs), runs);
    return 0;
}
