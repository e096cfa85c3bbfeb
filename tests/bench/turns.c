/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands in turn, A B A B ..., each a whole process tree: wall seconds, CPU
 * seconds, and the peak memory of its largest process.  Output is thrown away.
 *
 * usage: bench_turns GROUP QUESTION ROUNDS UNIT N NAME COMMAND [NAME
 * COMMAND]...
 *
 * N units are what one run does ("MiB" 256).  Commands are the shell's, with
 * the number of the round in $ROUND, so that each can use a new file; a simple
 * one should be written with exec, so that no shell is counted.  A command that
 * writes seconds into the file named by $TURN_SECONDS decides what counts of
 * its time: a client in Python leaves out the start of the interpreter.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

static void child(const char *command, unsigned round)
{
    char number[16];
    int null = open("/dev/null", O_RDWR);

    snprintf(number, sizeof(number), "%u", round);
    setenv("ROUND", number, 1);
    dup2(null, 0);
    dup2(null, 1);
    execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(127);
}

/* What the command said of itself, else `whole`. */
static double counted(const char *path, double whole)
{
    FILE *f = fopen(path, "re");
    double s;

    if (!f)
        return whole;
    if (fscanf(f, "%lf", &s) == 1)
        whole = s;
    fclose(f);
    return whole;
}

static double run_command(void *ctx, unsigned round)
{
    const char *command = ctx;
    char path[] = "/tmp/bench-turn-XXXXXX";
    int fd = mkstemp(path), status;
    double start, s;
    pid_t pid;

    if (fd < 0)
        bench_fail(path);
    close(fd);
    setenv("TURN_SECONDS", path, 1);
    start = bench_now_s();
    pid = fork();

    if (pid == 0)
        child(command, round);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        fprintf(stderr, "bench: failed: %s\n", command);
        unlink(path);
        exit(1);
    }
    s = counted(path, bench_now_s() - start);
    unlink(path);
    return s;
}

int main(int argc, char **argv)
{
    struct bench b;

    if (argc < 8 || argc % 2 != 0 || (argc - 6) / 2 > BENCH_SIDES_MAX) {
        fprintf(stderr,
                "usage: %s GROUP QUESTION ROUNDS UNIT N NAME COMMAND...\n",
                argv[0]);
        return 2;
    }
    bench_init(&b, argv[1], argv[2], bench_number(argv[3], 5));
    for (int i = 6; i + 1 < argc; i += 2)
        bench_side(&b, argv[i], run_command, argv[i + 1]);
    bench_run(&b);
    bench_tell(&b, argv[4], bench_number(argv[5], 1));
    return 0;
}
