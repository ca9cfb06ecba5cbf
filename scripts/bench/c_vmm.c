/*
 * The smallest VMM that does what a bench asks for, in C: what KVM itself costs. One vCPU in real
 * mode, no interrupt controllers; a serial port's data register, the benches' mark port, and two
 * ways to end. Everything else is nobody's.
 *
 *   c_vmm run GUEST      a process for one guest: its serial output is stdout
 *   c_vmm serve GUEST    a VM for each line on stdin, answered with a line of two numbers: the
 *                        nanoseconds from KVM_CREATE_VM to the last close, and those between marks
 *   c_vmm kick GUEST     one VM that stands; for each line on stdin it runs for a moment, is kicked
 *                        out of KVM_RUN, and the answer is the nanoseconds until it stood still
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
	MEMORY = 1 << 20,
	ENTRY = 0x7c00,
	PORT_KEYBOARD_COMMAND = 0x64,
	PORT_DEBUG_EXIT = 0xf4,
	PORT_SERIAL = 0x3f8,
	PORT_MARK = 0x5e0,
	KEYBOARD_RESET = 0xfe,
	MARK_BEGIN = 2, /* as in guests.ts */
	SPIN_MICROSECONDS = 2000, /* as in kick.ts */
};

struct vm {
	int fd, vcpu;
	uint8_t *memory;
	struct kvm_run *run;
	size_t run_size;
	int console;
	int64_t begin, marked;
};

static int64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int call(int fd, unsigned long request, void *argument, const char *name)
{
	int result = ioctl(fd, request, argument);
	if (result < 0) err(125, "%s", name);
	return result;
}
#define CALL(fd, request, argument) call(fd, request, (void *)(argument), #request)

static void create(struct vm *vm, int kvm, const uint8_t *guest, size_t size)
{
	vm->fd = CALL(kvm, KVM_CREATE_VM, 0);
	vm->memory = mmap(0, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (vm->memory == MAP_FAILED) err(125, "mmap");
	memcpy(vm->memory + ENTRY, guest, size);
	struct kvm_userspace_memory_region region = {
		.memory_size = MEMORY,
		.userspace_addr = (uintptr_t)vm->memory,
	};
	CALL(vm->fd, KVM_SET_USER_MEMORY_REGION, &region);

	vm->vcpu = CALL(vm->fd, KVM_CREATE_VCPU, 0);
	vm->run_size = CALL(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	vm->run = mmap(0, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vm->vcpu, 0);
	if (vm->run == MAP_FAILED) err(125, "mmap of the vCPU");
	struct kvm_sregs sregs;
	CALL(vm->vcpu, KVM_GET_SREGS, &sregs);
	sregs.cs.base = sregs.cs.selector = 0;
	CALL(vm->vcpu, KVM_SET_SREGS, &sregs);
	struct kvm_regs regs = { .rip = ENTRY, .rsp = ENTRY, .rflags = 2 };
	CALL(vm->vcpu, KVM_SET_REGS, &regs);
}

static void destroy(struct vm *vm)
{
	munmap(vm->run, vm->run_size);
	close(vm->vcpu);
	close(vm->fd);
	munmap(vm->memory, MEMORY);
}

/* True if the guest ended itself. */
static int port_write(struct vm *vm, uint16_t port, const uint8_t *data, size_t size)
{
	switch (port) {
	case PORT_SERIAL:
		if (write(vm->console, data, size) < 0) err(125, "write");
		return 0;
	case PORT_MARK:
		if (*data == MARK_BEGIN) vm->begin = now();
		else vm->marked = now() - vm->begin;
		return 0;
	case PORT_KEYBOARD_COMMAND:
		return *data == KEYBOARD_RESET;
	case PORT_DEBUG_EXIT:
		return 1;
	default:
		return 0;
	}
}

/* Runs the guest to its end, or until a kick: then it is false. */
static int run(struct vm *vm)
{
	struct kvm_run *run = vm->run;
	for (;;) {
		if (ioctl(vm->vcpu, KVM_RUN, 0) < 0) {
			if (errno == EINTR) return 0;
			err(125, "KVM_RUN");
		}
		switch (run->exit_reason) {
		case KVM_EXIT_IO: {
			uint8_t *data = (uint8_t *)run + run->io.data_offset;
			size_t size = (size_t)run->io.size * run->io.count;
			if (run->io.direction == KVM_EXIT_IO_IN) memset(data, 0xff, size);
			else if (port_write(vm, run->io.port, data, size)) return 1;
			break;
		}
		case KVM_EXIT_MMIO:
			if (!run->mmio.is_write) memset(run->mmio.data, 0xff, run->mmio.len);
			break;
		case KVM_EXIT_HLT:
			return 1;
		default:
			errx(125, "KVM exit reason %u", run->exit_reason);
		}
	}
}

static void serve(int kvm, const uint8_t *guest, size_t size)
{
	int console = open("/dev/null", O_WRONLY | O_CLOEXEC);
	while (getchar() != EOF) {
		int64_t start = now();
		struct vm vm = { .console = console };
		create(&vm, kvm, guest, size);
		run(&vm);
		destroy(&vm);
		printf("%lld %lld\n", (long long)(now() - start), (long long)vm.marked);
		fflush(stdout);
	}
}

static struct vm kicked;
static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pid_t thread;
	enum { RUNNING, PAUSED } state;
	int want_pause;
} vcpu = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, PAUSED, 1 };

static void ignore(int signal)
{
	(void)signal;
}

static void *vcpu_thread(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&vcpu.lock);
	vcpu.thread = syscall(SYS_gettid);
	for (;;) {
		while (vcpu.want_pause) {
			vcpu.state = PAUSED;
			pthread_cond_broadcast(&vcpu.changed);
			pthread_cond_wait(&vcpu.changed, &vcpu.lock);
		}
		vcpu.state = RUNNING;
		pthread_cond_broadcast(&vcpu.changed);
		pthread_mutex_unlock(&vcpu.lock);
		if (run(&kicked)) errx(125, "the guest ended");
		kicked.run->immediate_exit = 0;
		pthread_mutex_lock(&vcpu.lock);
	}
}

static void await_state(int state)
{
	while ((int)vcpu.state != state) pthread_cond_wait(&vcpu.changed, &vcpu.lock);
}

static void kick(int kvm, const uint8_t *guest, size_t size)
{
	struct sigaction action = { .sa_handler = ignore }; /* no SA_RESTART: KVM_RUN shall end */
	sigaction(SIGRTMIN, &action, 0);
	create(&kicked, kvm, guest, size);
	pthread_t thread;
	errno = pthread_create(&thread, 0, vcpu_thread, 0);
	if (errno != 0) err(125, "pthread_create");
	while (getchar() != EOF) {
		pthread_mutex_lock(&vcpu.lock);
		vcpu.want_pause = 0;
		pthread_cond_broadcast(&vcpu.changed);
		await_state(RUNNING);
		pthread_mutex_unlock(&vcpu.lock);
		usleep(SPIN_MICROSECONDS);
		int64_t start = now();
		pthread_mutex_lock(&vcpu.lock);
		vcpu.want_pause = 1;
		kicked.run->immediate_exit = 1;
		syscall(SYS_tgkill, getpid(), vcpu.thread, SIGRTMIN);
		await_state(PAUSED);
		int64_t end = now();
		pthread_mutex_unlock(&vcpu.lock);
		printf("%lld\n", (long long)(end - start));
		fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	static uint8_t guest[65536];
	if (argc != 3) errx(2, "usage: c_vmm run|serve|kick GUEST");
	int file = open(argv[2], O_RDONLY | O_CLOEXEC);
	ssize_t size = file < 0 ? -1 : read(file, guest, sizeof guest);
	if (size < 0) err(125, "%s", argv[2]);
	close(file);
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0) err(125, "/dev/kvm");

	if (strcmp(argv[1], "serve") == 0) serve(kvm, guest, size);
	else if (strcmp(argv[1], "kick") == 0) kick(kvm, guest, size);
	else {
		struct vm vm = { .console = STDOUT_FILENO };
		create(&vm, kvm, guest, size);
		run(&vm);
		destroy(&vm);
	}
	return 0;
}
