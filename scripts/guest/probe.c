/*
 * What a guest's tests and benchmarks need and busybox has not: vsock, numbered writes that are
 * flushed one by one, and figures of disks and streams. One static program, built by `deno task setup`;
 * it runs on a host as well, for the host's own figures.
 *
 *   probe relay ENDPOINT                    stdin there, what comes from there to stdout
 *   probe source ENDPOINT SECONDS           writes for so long, then prints figures
 *   probe sink ENDPOINT                     reads to the end, then prints figures
 *   probe write-blocks FILE [COUNT]         writes block N, flushes it, prints N; and the next
 *   probe disk FILE read|write random|sequential BYTES DEPTH SECONDS
 *                                           O_DIRECT requests of so many bytes, so many at a time
 *
 * An ENDPOINT is tcp:ADDRESS:PORT, tcp-listen:PORT, vsock:CID:PORT, vsock-listen:PORT or
 * file:PATH; a listening one takes one connection. Figures are one line of JSON. The exit status is
 * 1 if a call failed, which is named on stderr, and 2 on wrong usage.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 4096, CHUNK = 128 * 1024, MOST_DEPTH = 256 };

static char chunk[CHUNK];

static void fail(const char *what)
{
	fprintf(stderr, "probe: %s: %s\n", what, strerror(errno));
	exit(1);
}

/** A system call's result, which is not negative unless it failed. */
static long check(long result, const char *what)
{
	if (result < 0) fail(what);
	return result;
}

static void usage(void)
{
	fprintf(stderr, "usage: probe relay ENDPOINT | source ENDPOINT SECONDS | sink ENDPOINT |\n"
		"  write-blocks FILE [COUNT] |\n"
		"  disk FILE read|write random|sequential BYTES DEPTH SECONDS\n");
	exit(2);
}

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

/** Waits for one connection. */
static int take(int listener, const struct sockaddr *address, socklen_t length)
{
	int yes = 1;
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
	check(bind(listener, address, length), "bind");
	check(listen(listener, 1), "listen");
	int connection = check(accept4(listener, NULL, NULL, SOCK_CLOEXEC), "accept");
	close(listener);
	return connection;
}

static int open_tcp(const char *address, unsigned port, int listens)
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons(port) };
	if (inet_pton(AF_INET, address, &name.sin_addr) != 1) usage();
	int fd = check(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
	if (listens) return take(fd, (struct sockaddr *)&name, sizeof name);
	check(connect(fd, (struct sockaddr *)&name, sizeof name), "connect");
	return fd;
}

static int open_vsock(unsigned cid, unsigned port, int listens)
{
	struct sockaddr_vm name = { .svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port };
	int fd = check(socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
	if (listens) return take(fd, (struct sockaddr *)&name, sizeof name);
	check(connect(fd, (struct sockaddr *)&name, sizeof name), "connect");
	return fd;
}

static int open_endpoint(const char *text)
{
	char address[64];
	unsigned port, cid;
	if (sscanf(text, "tcp:%63[^:]:%u", address, &port) == 2) return open_tcp(address, port, 0);
	if (sscanf(text, "tcp-listen:%u", &port) == 1) return open_tcp("0.0.0.0", port, 1);
	if (sscanf(text, "vsock:%u:%u", &cid, &port) == 2) return open_vsock(cid, port, 0);
	if (sscanf(text, "vsock-listen:%u", &port) == 1) return open_vsock(VMADDR_CID_ANY, port, 1);
	if (strncmp(text, "file:", 5) == 0)
		return check(open(text + 5, O_RDWR | O_NOCTTY | O_CLOEXEC), text + 5);
	usage();
	return -1;
}

static void write_all(int fd, const char *bytes, size_t length)
{
	while (length > 0) {
		size_t done = check(write(fd, bytes, length), "write");
		bytes += done;
		length -= done;
	}
}

/** Ends when the other side does; the end of stdin is passed on as half a close. */
static void relay(int fd)
{
	struct pollfd waits[2] = { { fd, POLLIN, 0 }, { STDIN_FILENO, POLLIN, 0 } };
	for (;;) {
		check(poll(waits, 2, -1), "poll");
		if (waits[0].revents != 0) {
			size_t length = check(read(fd, chunk, sizeof chunk), "read");
			if (length == 0) return;
			write_all(STDOUT_FILENO, chunk, length);
		}
		if (waits[1].revents != 0) {
			size_t length = check(read(STDIN_FILENO, chunk, sizeof chunk), "read");
			write_all(fd, chunk, length);
			if (length > 0) continue;
			shutdown(fd, SHUT_WR);
			waits[1].fd = -1;
		}
	}
}

static void stream_figures(double bytes, double seconds)
{
	printf("{\"bytes\":%.0f,\"seconds\":%.6f,\"bytes_per_second\":%.0f}\n", bytes, seconds,
	       bytes / seconds);
}

static void source(int fd, double seconds)
{
	double bytes = 0, begin = now(), end = begin + seconds;
	while (now() < end) {
		write_all(fd, chunk, sizeof chunk);
		bytes += sizeof chunk;
	}
	shutdown(fd, SHUT_WR);
	stream_figures(bytes, now() - begin);
}

static void sink(int fd)
{
	double bytes = 0, begin = now();
	for (;;) {
		size_t length = check(read(fd, chunk, sizeof chunk), "read");
		if (length == 0) break;
		if (bytes == 0) begin = now(); /* what came before is the wait for a connection */
		bytes += length;
	}
	stream_figures(bytes, now() - begin);
}

/** Each block is filled with its number, in 32 bits. A number that was printed is on the disk. */
static void write_blocks(const char *path, uint32_t count)
{
	static uint32_t block[BLOCK / sizeof(uint32_t)];
	int fd = check(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644), path);
	for (uint32_t number = 0; number < count; number++) {
		for (size_t n = 0; n < BLOCK / sizeof *block; n++) block[n] = number;
		size_t done = check(pwrite(fd, block, BLOCK, (off_t)number * BLOCK), "pwrite");
		if (done != BLOCK) fail("pwrite");
		check(fdatasync(fd), "fdatasync");
		printf("%u\n", number);
		fflush(stdout);
	}
}

struct load {
	int fd, writes, random;
	size_t bytes;
	uint64_t places; /* how many requests the disk has room for */
	uint64_t next;
	uint64_t seed;
};

static void place(struct load *load, struct iocb *request, char *buffer)
{
	uint64_t at = load->next++;
	if (load->random) {
		/* xorshift64*, whose upper bits are even */
		load->seed ^= load->seed >> 12;
		load->seed ^= load->seed << 25;
		load->seed ^= load->seed >> 27;
		at = (load->seed * 0x2545F4914F6CDD1DULL) >> 32;
	}
	memset(request, 0, sizeof *request);
	request->aio_lio_opcode = load->writes ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD;
	request->aio_fildes = load->fd;
	request->aio_buf = (uintptr_t)buffer;
	request->aio_nbytes = load->bytes;
	request->aio_offset = at % load->places * load->bytes;
}

static unsigned submit(aio_context_t context, struct iocb **requests, unsigned count)
{
	unsigned taken = check(syscall(SYS_io_submit, context, count, requests), "io_submit");
	if (taken == count) return taken;
	errno = EAGAIN; /* a lower depth than the figures say */
	fail("io_submit");
	return 0;
}

static void disk(struct load *load, unsigned depth, double seconds)
{
	static struct iocb requests[MOST_DEPTH];
	static struct iocb *pointers[MOST_DEPTH];
	static struct io_event events[MOST_DEPTH];
	aio_context_t context = 0;
	char *buffers;
	check(syscall(SYS_io_setup, depth, &context), "io_setup");
	if (posix_memalign((void **)&buffers, BLOCK, depth * load->bytes) != 0) fail("memory");
	memset(buffers, 0x5a, depth * load->bytes);
	for (unsigned n = 0; n < depth; n++) {
		place(load, &requests[n], buffers + n * load->bytes);
		requests[n].aio_data = n;
		pointers[n] = &requests[n];
	}
	double begin = now(), end = begin + seconds, time = begin;
	uint64_t done = 0;
	unsigned flying = submit(context, pointers, depth);
	while (flying > 0) {
		int count = check(syscall(SYS_io_getevents, context, 1, depth, events, NULL),
				  "io_getevents");
		flying -= count;
		done += count;
		time = now();
		for (int n = 0; n < count; n++) {
			if (events[n].res != (int64_t)load->bytes) {
				errno = events[n].res < 0 ? -events[n].res : EIO;
				fail("request");
			}
			uint64_t slot = events[n].data;
			place(load, &requests[slot], buffers + slot * load->bytes);
			requests[slot].aio_data = slot;
			pointers[n] = &requests[slot];
		}
		if (time < end) flying += submit(context, pointers, count);
	}
	double taken = time - begin;
	printf("{\"requests\":%llu,\"seconds\":%.6f,\"requests_per_second\":%.1f,"
	       "\"bytes_per_second\":%.0f,\"mean_us\":%.2f}\n",
	       (unsigned long long)done, taken, done / taken, done * load->bytes / taken,
	       taken * 1e6 * depth / done);
}

static void disk_command(char **words)
{
	struct load load = {
		.writes = strcmp(words[1], "write") == 0,
		.random = strcmp(words[2], "random") == 0,
		.bytes = strtoul(words[3], NULL, 10),
		.seed = 88172645463325252ULL,
	};
	unsigned depth = strtoul(words[4], NULL, 10);
	if (load.bytes == 0 || load.bytes % 512 != 0 || depth == 0 || depth > MOST_DEPTH) usage();
	int flags = (load.writes ? O_RDWR : O_RDONLY) | O_DIRECT | O_CLOEXEC;
	load.fd = check(open(words[0], flags), words[0]);
	load.places = check(lseek(load.fd, 0, SEEK_END), words[0]) / load.bytes;
	if (load.places == 0) usage();
	disk(&load, depth, strtod(words[5], NULL));
}

int main(int count, char **words)
{
	const char *command = count > 2 ? words[1] : "";
	if (strcmp(command, "relay") == 0) relay(open_endpoint(words[2]));
	else if (strcmp(command, "source") == 0 && count > 3)
		source(open_endpoint(words[2]), strtod(words[3], NULL));
	else if (strcmp(command, "sink") == 0) sink(open_endpoint(words[2]));
	else if (strcmp(command, "write-blocks") == 0)
		write_blocks(words[2], count > 3 ? strtoul(words[3], NULL, 10) : UINT32_MAX);
	else if (strcmp(command, "disk") == 0 && count > 7) disk_command(words + 2);
	else usage();
	return 0;
}
