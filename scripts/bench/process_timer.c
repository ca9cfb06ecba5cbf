/*
 * Runs a program to its end and says what it took, as the kernel counted it.
 *
 *   process_timer PROGRAM [ARGUMENT]...
 *
 * Prints "NANOSECONDS KIB STATUS" (wall time from fork to wait4, ru_maxrss, exit status or 128 + signal)
 * on a line, then what the program printed. Small and static, since ru_maxrss also counts the moment
 * between fork and exec, when the child is still a copy of this.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int main(int argc, char **argv)
{
	static char output[65536];
	size_t length = 0;
	int out[2], status;
	struct rusage usage;
	if (argc < 2) errx(2, "usage: process_timer PROGRAM [ARGUMENT]...");
	if (pipe2(out, O_CLOEXEC) < 0) err(125, "pipe2");

	long long start = now();
	pid_t child = fork();
	if (child < 0) err(125, "fork");
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		execvp(argv[1], argv + 1);
		err(127, "%s", argv[1]);
	}
	close(out[1]);
	for (;;) {
		ssize_t got = read(out[0], output + length, sizeof output - length);
		if (got <= 0) break; /* its end, or more than anybody wants to see */
		length += got;
	}
	close(out[0]);
	if (wait4(child, &status, 0, &usage) < 0) err(125, "wait4");
	long long end = now();

	printf("%lld %ld %d\n", end - start, usage.ru_maxrss,
	       WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	fwrite(output, 1, length, stdout);
	return 0;
}
