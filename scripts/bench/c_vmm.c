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
 *   c_vmm fork BYTES     a VM with interrupt controllers and so much memory stands before an exit; for
 *                        each line a copy of it is made, with its memory mapped copy on write and all
 *                        of its state, and the answer is the nanoseconds until that has made its exit
 *   c_vmm mapped FILE    the same for a VM whose memory is a file, which is opened for each copy; both
 *                        do hvsh's calls in the order that is usual, or with `slots-first` in hvsh's
 *   c_vmm drain FILE     reads stdin to its end and writes to FILE the nanoseconds from its first byte
 *                        to that, and the bytes
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
#include <stdlib.h>
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
	uint8_t *memory, *high;
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

static size_t low_memory(size_t size)
{
	return size < 3ULL << 30 ? size : 3ULL << 30;
}

enum { XSAVE_BYTES = 16384, MSRS = 256, CPUID_LEAVES = 256 };

/* What a vCPU and its board have, as hvsh saves it. */
struct state {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_xcrs xcrs;
	struct kvm_debugregs debugregs;
	struct kvm_lapic_state lapic;
	struct kvm_vcpu_events events;
	struct kvm_mp_state mp_state;
	struct kvm_irqchip chips[3];
	struct kvm_pit_state2 pit;
	struct kvm_clock_data clock;
	uint8_t xsave[XSAVE_BYTES] __attribute__((aligned(64)));
	struct { struct kvm_msrs head; struct kvm_msr_entry entries[MSRS]; } msrs;
	struct { struct kvm_cpuid2 head; struct kvm_cpuid_entry2 entries[CPUID_LEAVES]; } cpuid;
};

/* A slot of guest memory, with a file mapped copy on write. */
static uint8_t *map_slot(struct vm *vm, int slot, uint64_t base, int file, size_t offset, size_t size)
{
	uint8_t *memory = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file, offset);
	if (memory == MAP_FAILED) err(125, "mmap");
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.guest_phys_addr = base,
		.memory_size = size,
		.userspace_addr = (uintptr_t)memory,
	};
	CALL(vm->fd, KVM_SET_USER_MEMORY_REGION, &region);
	return memory;
}

static int slots_first;

/* What a PC has above 3 GiB lies above 4. */
static void map_slots(struct vm *vm, int memory, size_t size)
{
	size_t low = low_memory(size);
	vm->memory = map_slot(vm, 0, 0, memory, 0, low);
	vm->high = size > low ? map_slot(vm, 1, 1ULL << 32, memory, low, size - low) : 0;
}

static void create_board(struct vm *vm, int kvm, int memory, size_t size, struct state *state)
{
	vm->fd = CALL(kvm, KVM_CREATE_VM, 0);
	uint64_t identity = 0xfeffc000;
	CALL(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity);
	call(vm->fd, KVM_SET_TSS_ADDR, (void *)0xfeffd000, "KVM_SET_TSS_ADDR");
	if (slots_first) map_slots(vm, memory, size);
	CALL(vm->fd, KVM_CREATE_IRQCHIP, 0);
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	CALL(vm->fd, KVM_CREATE_PIT2, &pit);
	if (!slots_first) map_slots(vm, memory, size);
	vm->vcpu = CALL(vm->fd, KVM_CREATE_VCPU, 0);
	vm->run_size = CALL(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	vm->run = mmap(0, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vm->vcpu, 0);
	if (vm->run == MAP_FAILED) err(125, "mmap of the vCPU");
	CALL(vm->vcpu, KVM_SET_CPUID2, &state->cpuid);
}

static void save(struct vm *vm, struct state *s)
{
	CALL(vm->vcpu, KVM_GET_SREGS, &s->sregs);
	CALL(vm->vcpu, KVM_GET_REGS, &s->regs);
	CALL(vm->vcpu, KVM_GET_XCRS, &s->xcrs);
	CALL(vm->vcpu, KVM_GET_XSAVE2, s->xsave);
	CALL(vm->vcpu, KVM_GET_DEBUGREGS, &s->debugregs);
	CALL(vm->vcpu, KVM_GET_LAPIC, &s->lapic);
	/* It stops at the first one that it refuses. */
	for (uint32_t done = 0; done < s->msrs.head.nmsrs;) {
		struct { struct kvm_msrs head; struct kvm_msr_entry entries[MSRS]; } rest = {
			.head.nmsrs = s->msrs.head.nmsrs - done,
		};
		memcpy(rest.entries, s->msrs.entries + done, rest.head.nmsrs * sizeof *rest.entries);
		uint32_t got = CALL(vm->vcpu, KVM_GET_MSRS, &rest);
		memcpy(s->msrs.entries + done, rest.entries, got * sizeof *rest.entries);
		done += got;
		if (done == s->msrs.head.nmsrs) break;
		s->msrs.head.nmsrs--;
		memmove(s->msrs.entries + done, s->msrs.entries + done + 1,
			(s->msrs.head.nmsrs - done) * sizeof *s->msrs.entries);
	}
	CALL(vm->vcpu, KVM_GET_VCPU_EVENTS, &s->events);
	CALL(vm->vcpu, KVM_GET_MP_STATE, &s->mp_state);
	for (int i = 0; i < 3; i++) {
		s->chips[i].chip_id = i;
		CALL(vm->fd, KVM_GET_IRQCHIP, &s->chips[i]);
	}
	CALL(vm->fd, KVM_GET_PIT2, &s->pit);
	CALL(vm->fd, KVM_GET_CLOCK, &s->clock);
}

static void restore(struct vm *vm, struct state *s)
{
	for (int i = 0; i < 3; i++) CALL(vm->fd, KVM_SET_IRQCHIP, &s->chips[i]);
	CALL(vm->fd, KVM_SET_PIT2, &s->pit);
	s->clock.flags = 0;
	CALL(vm->fd, KVM_SET_CLOCK, &s->clock);
	CALL(vm->vcpu, KVM_SET_SREGS, &s->sregs);
	CALL(vm->vcpu, KVM_SET_REGS, &s->regs);
	CALL(vm->vcpu, KVM_SET_XCRS, &s->xcrs);
	CALL(vm->vcpu, KVM_SET_XSAVE, s->xsave);
	CALL(vm->vcpu, KVM_SET_DEBUGREGS, &s->debugregs);
	CALL(vm->vcpu, KVM_SET_LAPIC, &s->lapic);
	CALL(vm->vcpu, KVM_SET_MSRS, &s->msrs); /* those after one that is refused are left out here */
	CALL(vm->vcpu, KVM_SET_VCPU_EVENTS, &s->events);
	CALL(vm->vcpu, KVM_SET_MP_STATE, &s->mp_state);
}

static struct vm forked;
static int64_t exited;

static void *run_once(void *unused)
{
	(void)unused;
	if (!run(&forked)) errx(125, "the copy was kicked");
	exited = now();
	return 0;
}

static void fork_vms(int kvm, const char *size_or_file, int mapped)
{
	static struct state state;
	static struct { struct kvm_msr_list head; uint32_t indices[MSRS]; } list;
	static const uint8_t guest[] = { 0xe6, PORT_DEBUG_EXIT, 0xeb, 0xfc }; /* out 0xf4, al; jmp back */
	size_t size = strtoull(size_or_file, 0, 0);
	int memory = mapped ? open(size_or_file, O_RDONLY | O_CLOEXEC) : memfd_create("c_vmm", MFD_CLOEXEC);
	if (memory < 0) err(125, "%s", size_or_file);
	if (mapped) size = lseek(memory, 0, SEEK_END);
	else if (ftruncate(memory, size) < 0) err(125, "memfd");
	else if (pwrite(memory, guest, sizeof guest, ENTRY) < 0) err(125, "pwrite");
	state.cpuid.head.nent = CPUID_LEAVES;
	CALL(kvm, KVM_GET_SUPPORTED_CPUID, &state.cpuid);
	list.head.nmsrs = MSRS;
	CALL(kvm, KVM_GET_MSR_INDEX_LIST, &list);
	state.msrs.head.nmsrs = list.head.nmsrs;
	for (uint32_t i = 0; i < list.head.nmsrs; i++) state.msrs.entries[i].index = list.indices[i];

	struct vm original = { .console = -1 };
	create_board(&original, kvm, memory, size, &state);
	CALL(original.vcpu, KVM_GET_SREGS, &state.sregs);
	state.sregs.cs.base = state.sregs.cs.selector = 0;
	CALL(original.vcpu, KVM_SET_SREGS, &state.sregs);
	struct kvm_regs regs = { .rip = ENTRY, .rsp = ENTRY, .rflags = 2 };
	CALL(original.vcpu, KVM_SET_REGS, &regs);
	save(&original, &state);
	while (getchar() != EOF) {
		int64_t start = now();
		int file = mapped ? open(size_or_file, O_RDONLY | O_CLOEXEC) : memory;
		create_board(&forked, kvm, file, size, &state);
		if (mapped) close(file);
		restore(&forked, &state);
		pthread_t thread;
		errno = pthread_create(&thread, 0, run_once, 0);
		if (errno != 0) err(125, "pthread_create");
		pthread_join(thread, 0);
		munmap(forked.run, forked.run_size);
		close(forked.vcpu);
		close(forked.fd);
		munmap(forked.memory, low_memory(size));
		if (forked.high) munmap(forked.high, size - low_memory(size));
		printf("%lld\n", (long long)(exited - start));
		fflush(stdout);
	}
}

static void drain(const char *path)
{
	static char buffer[1 << 20];
	int64_t start = 0;
	uint64_t bytes = 0;
	for (;;) {
		ssize_t got = read(STDIN_FILENO, buffer, sizeof buffer);
		if (got < 0) err(125, "read");
		if (start == 0) start = now();
		if (got == 0) break;
		bytes += got;
	}
	FILE *file = fopen(path, "w");
	if (file == 0) err(125, "%s", path);
	fprintf(file, "%lld %llu\n", (long long)(now() - start), (unsigned long long)bytes);
	fclose(file);
}

int main(int argc, char **argv)
{
	static uint8_t guest[65536];
	slots_first = argc == 4 && strcmp(argv[3], "slots-first") == 0;
	if (argc != 3 + slots_first) {
		errx(2, "usage: c_vmm run|serve|kick GUEST, fork BYTES, mapped|drain FILE [slots-first]");
	}
	if (strcmp(argv[1], "drain") == 0) return drain(argv[2]), 0;
	int mapped = strcmp(argv[1], "mapped") == 0;
	if (mapped || strcmp(argv[1], "fork") == 0) {
		int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
		if (kvm < 0) err(125, "/dev/kvm");
		return fork_vms(kvm, argv[2], mapped), 0;
	}
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
