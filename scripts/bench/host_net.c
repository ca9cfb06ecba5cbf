/*
 * The host's side of network benches: what stands at the other end of a guest's card, and what a tap
 * takes and gives without any VM.
 *
 *   host_net tap NETNS HEX     in that network namespace; HEX is what each frame begins with.
 *                              For each line on stdin an answer, a count and nanoseconds:
 *     inject IF BYTES COUNT        hands so many frames to an interface, at once
 *     send BYTES MILLISECONDS      writes frames to a tap of its own
 *     receive BYTES COUNT          reads frames from it that were injected before
 *   host_net udp               serves a port of 127.0.0.1, which it prints: a datagram whose first
 *                              byte is N is answered with N datagrams as long as it is
 *                              itself, one that begins with 0 is only counted. For each line on
 *                              stdin it prints how many came since the last one, and 0.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEADER = 12, MOST = 65536, RECEIVE_BUFFER = 8 << 20 };
#define OWN_TAP "host0"

static uint8_t frame[HEADER + MOST];

static int64_t now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static int check(int result, const char *what)
{
	if (result < 0) err(1, "%s", what);
	return result;
}

static void answer(long count, int64_t nanoseconds)
{
	printf("%ld %lld\n", count, (long long)nanoseconds);
	fflush(stdout);
}

static void enter(const char *path)
{
	int fd = check(open(path, O_RDONLY | O_CLOEXEC), path);
	check(setns(fd, CLONE_NEWNET), "setns");
	close(fd);
	/* Interfaces that come up must not say anything by themselves. */
	fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY | O_CLOEXEC);
	if (fd < 0) return; /* there is no IPv6 */
	if (write(fd, "1", 1) != 1) err(1, "disable_ipv6");
	close(fd);
}

static int open_tap(void)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd = check(open("/dev/net/tun", O_RDWR | O_CLOEXEC), "/dev/net/tun"), size = HEADER;
	strcpy(request.ifr_name, OWN_TAP);
	check(ioctl(fd, TUNSETIFF, &request), "TUNSETIFF");
	check(ioctl(fd, TUNSETVNETHDRSZ, &size), "TUNSETVNETHDRSZ");
	return fd;
}

static void inject(int raw, const char *name, int bytes, int count)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = if_nametoindex(name) };
	if (to.sll_ifindex == 0) err(1, "%s", name);
	for (int n = 0; n < count; n++)
		check(sendto(raw, frame + HEADER, bytes, 0, (struct sockaddr *)&to, sizeof to), "sendto");
}

static void serve_tap(const char *netns, const char *hex)
{
	static uint8_t received[HEADER + MOST];
	char line[256], name[IFNAMSIZ];
	int bytes, count;
	unsigned byte;
	for (uint8_t *at = frame + HEADER; sscanf(hex, "%2x", &byte) == 1; hex += 2) *at++ = byte;
	enter(netns);
	int tap = open_tap();
	int raw = check(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), "socket");
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin)) {
		int64_t begin = now();
		if (sscanf(line, "inject %15s %d %d", name, &bytes, &count) == 3) {
			inject(raw, name, bytes, count);
		} else if (sscanf(line, "send %d %d", &bytes, &count) == 2) {
			int64_t end = begin + count * 1000000LL;
			for (count = 0; now() < end; count++)
				check(write(tap, frame, HEADER + bytes), "write");
		} else if (sscanf(line, "receive %d %d", &bytes, &count) == 2) {
			inject(raw, OWN_TAP, bytes, count);
			begin = now();
			for (int n = 0; n < count; n++)
				check(read(tap, received, sizeof received), "read");
		} else {
			errx(2, "what? %s", line);
		}
		answer(count, now() - begin);
	}
}

static void serve_udp(void)
{
	static uint8_t datagram[MOST];
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof address;
	int fd = check(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");
	int size = RECEIVE_BUFFER;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	check(bind(fd, (struct sockaddr *)&address, sizeof address), "bind");
	check(getsockname(fd, (struct sockaddr *)&address, &length), "getsockname");
	printf("%d\n", ntohs(address.sin_port));
	fflush(stdout);
	struct pollfd waits[2] = { { fd, POLLIN, 0 }, { STDIN_FILENO, POLLIN, 0 } };
	for (long count = 0;;) {
		check(poll(waits, 2, -1), "poll");
		for (int turn = 0; turn < 64; turn++) {
			struct sockaddr_in from;
			length = sizeof from;
			int bytes = recvfrom(fd, datagram, sizeof datagram, MSG_DONTWAIT,
					     (struct sockaddr *)&from, &length);
			if (bytes < 0) break;
			count++;
			for (int n = datagram[0]; n > 0; n--)
				sendto(fd, datagram, bytes, 0, (struct sockaddr *)&from, length);
		}
		if (waits[1].revents != 0) {
			char line[256];
			if (read(STDIN_FILENO, line, sizeof line) <= 0) return;
			answer(count, 0);
			count = 0;
		}
	}
}

int main(int count, char **words)
{
	if (count == 4 && strcmp(words[1], "tap") == 0) serve_tap(words[2], words[3]);
	else if (count == 2 && strcmp(words[1], "udp") == 0) serve_udp();
	else errx(2, "usage: host_net tap NETNS HEX | udp");
	return 0;
}
