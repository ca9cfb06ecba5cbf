/*
 * A guest that drives one virtio device over PCI and measures it, in ring 3 and without interrupts:
 * it looks at the used ring until what it waits for is there. ring_start.S has the way here.
 *
 * It serves commands from the first serial port, a line each, and answers with one:
 *
 *   now                            the time-stamp counter
 *   open TYPE QUEUES FEATURES      finds and starts the virtio device of that number, with its first
 *                                  queues and with these of its features 0 to 23; "ok"
 *   disk WRITE RANDOM BYTES DEPTH TICKS
 *                                  requests of so many bytes, so many at a time, for so long
 *   send QUEUE HEADER BYTES DEPTH TICKS
 *                                  buffers of so many bytes behind HEADER zeros
 *   receive QUEUE BYTES COUNT TICKS
 *                                  lends so many buffers, and waits until they are all used
 *   fetch HEADER BYTES BATCH COUNT TICKS
 *                                  asks again and again, by a frame of so many bytes that it sends on
 *                                  queue 1, for BATCH frames on queue 0; measures those that came
 *   greet HEADER                   sends what `frame` said on queue 1, and waits for an answer
 *   serial BYTES                   so many bytes out of the serial port, before the answer
 *   frame BYTE...                  what `send` sends begins so, in decimal
 *
 * Measurements answer with the count of what was done and the ticks that it took; a line that begins
 * with "!" says why there is none.
 */
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

enum {
	SERIAL = 0x3f8,
	LINE_STATUS = SERIAL + 5,
	DATA_READY = 1,
	CONFIG_ADDRESS = 0xcf8,
	CONFIG_DATA = 0xcfc,
};

enum {
	RINGS = 0x400000, /* RING_BYTES each */
	RING_BYTES = 0x4000,
	DRIVER_AREA = 0x2000,
	DEVICE_AREA = 0x3000,
	MOST_QUEUES = 8,
	MOST_SIZE = 256,
	REQUESTS = 0x500000, /* 32 bytes each */
	BUFFERS = 0x1000000,
	BUFFERS_END = 0x3c00000,
	BUFFER = 0x4000, /* of each descriptor of a queue that is no disk's */
	FREE_ADDRESSES = 0xe0000000, /* for BARs that nobody has placed */
};

/* virtio 1.2 §2.1, §4.1.4.3, §5.2.6 */
enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8 };
enum { CAP_COMMON = 1, CAP_NOTIFY = 2, CAP_DEVICE = 4 };
enum { DESC_NEXT = 1, DESC_WRITE = 2 };
enum { NO_INTERRUPT = 1, NO_NOTIFY = 1 };
enum { FEATURE_EVENT_IDX = 29, FEATURE_VERSION_1 = 32 };
enum { TYPE_BLOCK = 2, BLOCK_IN = 0, BLOCK_OUT = 1, SECTOR = 512 };

struct common {
	u32 device_feature_select, device_feature, driver_feature_select, driver_feature;
	u16 msix_config, num_queues;
	u8 device_status, config_generation;
	u16 queue_select, queue_size, queue_msix_vector, queue_enable, queue_notify_off;
	u32 queue_desc[2], queue_driver[2], queue_device[2];
};

struct desc {
	u64 addr;
	u32 len;
	u16 flags, next;
};

struct avail {
	u16 flags, idx, ring[MOST_SIZE + 1]; /* behind the last one: used_event */
};

struct used {
	u16 flags, idx;
	struct { u32 id, len; } ring[MOST_SIZE + 1]; /* behind the last one: avail_event */
};

struct queue {
	volatile struct desc *desc;
	volatile struct avail *avail;
	volatile struct used *used;
	volatile u16 *doorbell;
	u16 number, size, added, told, seen;
};

struct request {
	u32 type, reserved;
	u64 sector;
	u8 status;
	u8 rest[15];
};

static struct queue queues[MOST_QUEUES];
static int event_idx;
static u64 sectors;
static u8 frame[128];
static u32 frame_bytes;
static u64 seed = 88172645463325252;
static char line[512];

static inline void out8(u16 port, u8 value) { asm volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }
static inline void out32(u16 port, u32 value) { asm volatile("outl %0, %1" : : "a"(value), "Nd"(port)); }
static inline u8 in8(u16 port) { u8 v; asm volatile("inb %1, %0" : "=a"(v) : "Nd"(port)); return v; }
static inline u32 in32(u16 port) { u32 v; asm volatile("inl %1, %0" : "=a"(v) : "Nd"(port)); return v; }
static inline void ordered(void) { asm volatile("mfence" ::: "memory"); }

static inline u64 now(void)
{
	u32 low, high;
	asm volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (u64)high << 32 | low;
}

static inline u64 any(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed >> 20;
}

static void say(const char *text)
{
	while (*text) out8(SERIAL, *text++);
}

static void say_number(u64 value)
{
	char digits[21], *at = digits + 20;
	*at = 0;
	do *--at = '0' + value % 10;
	while (value /= 10);
	say(at);
}

static void answer(u64 count, u64 ticks)
{
	say_number(count);
	say(" ");
	say_number(ticks);
	say("\n");
}

static void hear(void)
{
	for (u32 n = 0;;) {
		while (!(in8(LINE_STATUS) & DATA_READY)) asm volatile("pause");
		char c = in8(SERIAL);
		if (c == '\n') {
			line[n] = 0;
			return;
		}
		if (n < sizeof line - 1) line[n++] = c;
	}
}

static u64 number(const char **text)
{
	u64 value = 0;
	while (**text == ' ') (*text)++;
	while (**text >= '0' && **text <= '9') value = value * 10 + *(*text)++ - '0';
	return value;
}

static const char *behind(const char *word)
{
	const char *at = line;
	while (*word) if (*at++ != *word++) return 0;
	return *at == ' ' || *at == 0 ? at : 0;
}

static u32 config(u32 device, u32 offset)
{
	out32(CONFIG_ADDRESS, 0x80000000 | device << 11 | (offset & 0xfc));
	return in32(CONFIG_DATA) >> 8 * (offset & 3);
}

static void set_config(u32 device, u32 offset, u32 value)
{
	out32(CONFIG_ADDRESS, 0x80000000 | device << 11 | offset);
	out32(CONFIG_DATA, value);
}

static u32 bar_address(u32 device, u32 bar)
{
	static u32 next = FREE_ADDRESSES;
	u32 offset = 0x10 + 4 * bar, low = config(device, offset);
	if ((low & ~0xf) == 0) {
		set_config(device, offset, ~0);
		u32 size = ~(config(device, offset) & ~0xf) + 1;
		next = (next + size - 1) & ~(size - 1);
		set_config(device, offset, next);
		if (low & 4) set_config(device, offset + 4, 0);
		next += size;
	}
	return config(device, offset) & ~0xf;
}

static int find(u32 type)
{
	for (u32 device = 0; device < 32; device++)
		if (config(device, 0) == (0x10400000 | type << 16 | 0x1af4)) return device;
	return -1;
}

/* §4.1.4: where each structure is. */
static void open(u32 type, u32 count, u32 features)
{
	int device = find(type);
	volatile struct common *common = 0;
	volatile u32 *own = 0;
	u64 notify = 0;
	u32 multiplier = 0;
	if (device < 0) return say("!there is no such device\n");
	for (u32 at = config(device, 0x34) & 0xff; at != 0; at = config(device, at + 1) & 0xff) {
		if ((config(device, at) & 0xff) != 9) continue;
		u32 kind = config(device, at + 3) & 0xff;
		if (kind != CAP_COMMON && kind != CAP_NOTIFY && kind != CAP_DEVICE) continue;
		u64 place = bar_address(device, config(device, at + 4) & 0xff) + config(device, at + 8);
		if (kind == CAP_COMMON) common = (void *)place;
		if (kind == CAP_DEVICE) own = (void *)place;
		if (kind == CAP_NOTIFY) {
			notify = place;
			multiplier = config(device, at + 16);
		}
	}
	if (!common || !notify) return say("!it is not modern\n");
	set_config(device, 4, 6); /* memory, bus master */

	common->device_status = 0;
	while (common->device_status != 0) asm volatile("pause");
	common->device_status = ACKNOWLEDGE;
	common->device_status = ACKNOWLEDGE | DRIVER;
	common->device_feature_select = 0;
	event_idx = common->device_feature >> FEATURE_EVENT_IDX & 1;
	common->driver_feature_select = 0;
	common->driver_feature = event_idx << FEATURE_EVENT_IDX | features;
	common->driver_feature_select = 1;
	common->driver_feature = 1 << (FEATURE_VERSION_1 - 32);
	common->device_status = ACKNOWLEDGE | DRIVER | FEATURES_OK;
	if (!(common->device_status & FEATURES_OK)) return say("!it refuses the features\n");
	for (u32 n = 0; n < count && n < MOST_QUEUES; n++) {
		struct queue *q = &queues[n];
		u64 ring = RINGS + n * RING_BYTES;
		for (u64 at = ring; at < ring + RING_BYTES; at += 8) *(volatile u64 *)at = 0;
		common->queue_select = n;
		q->number = n;
		q->size = common->queue_size < MOST_SIZE ? common->queue_size : MOST_SIZE;
		q->desc = (void *)ring;
		q->avail = (void *)(ring + DRIVER_AREA);
		q->used = (void *)(ring + DEVICE_AREA);
		q->added = q->told = q->seen = 0;
		q->avail->flags = NO_INTERRUPT;
		common->queue_size = q->size;
		common->queue_msix_vector = 0xffff;
		common->queue_desc[0] = ring;
		common->queue_desc[1] = 0;
		common->queue_driver[0] = ring + DRIVER_AREA;
		common->queue_driver[1] = 0;
		common->queue_device[0] = ring + DEVICE_AREA;
		common->queue_device[1] = 0;
		q->doorbell = (void *)(notify + common->queue_notify_off * multiplier);
		common->queue_enable = 1;
	}
	common->device_status = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK;
	if (type == TYPE_BLOCK) sectors = own[0] | (u64)own[1] << 32;
	say("ok\n");
}

static inline void add(struct queue *q, u16 head)
{
	q->avail->ring[q->added++ & (q->size - 1)] = head;
}

/* Shows the device what was added, and tells it if it wants that (§2.7.13.3, §2.7.10). */
static inline void show(struct queue *q)
{
	if (q->added == q->told) return;
	if (event_idx) {
		q->avail->ring[q->size] = q->seen - 1; /* passed already: no interrupt */
	}
	ordered();
	q->avail->idx = q->added;
	ordered();
	u16 before = q->told;
	q->told = q->added;
	if (event_idx) {
		u16 event = q->used->ring[q->size].id;
		if ((u16)(q->added - event - 1) >= (u16)(q->added - before)) return;
	} else if (q->used->flags & NO_NOTIFY) {
		return;
	}
	*q->doorbell = q->number;
}

static inline int done(struct queue *q) { return q->seen != *(volatile u16 *)&q->used->idx; }

static inline u32 take(struct queue *q)
{
	return q->used->ring[q->seen++ & (q->size - 1)].id;
}

/* Begins a block request; its buffers stay the slot's. */
static inline void begin(struct queue *q, u32 slot, u64 sector)
{
	struct request *request = (struct request *)REQUESTS + slot;
	request->sector = sector;
	request->status = 0xff;
	add(q, 3 * slot);
}

static void disk(const char *words)
{
	u64 write = number(&words), random = number(&words), bytes = number(&words);
	u64 depth = number(&words), ticks = number(&words);
	struct queue *q = &queues[0];
	static u64 next;
	if (3 * depth > q->size || BUFFERS + depth * bytes > BUFFERS_END || bytes > sectors * SECTOR)
		return say("!too much\n");
	u64 places = sectors * SECTOR / bytes, step = bytes / SECTOR;
	for (u32 slot = 0; slot < depth; slot++) {
		struct request *request = (struct request *)REQUESTS + slot;
		volatile struct desc *desc = &q->desc[3 * slot];
		desc[0].addr = (u64)request;
		desc[0].len = 16;
		desc[0].flags = DESC_NEXT;
		desc[0].next = 3 * slot + 1;
		desc[1].addr = BUFFERS + slot * bytes;
		desc[1].len = bytes;
		desc[1].flags = DESC_NEXT | (write ? 0 : DESC_WRITE);
		desc[1].next = 3 * slot + 2;
		desc[2].addr = (u64)&request->status;
		desc[2].len = 1;
		desc[2].flags = DESC_WRITE;
		request->type = write ? BLOCK_OUT : BLOCK_IN;
		request->reserved = 0;
	}
	u64 count = 0, first = now(), end = first + ticks, time = first;
	for (u32 slot = 0; slot < depth; slot++) begin(q, slot, (random ? any() : next++) % places * step);
	for (u64 flying = depth; flying > 0;) {
		show(q);
		while (!done(q)) asm volatile("pause");
		time = now();
		do {
			u32 slot = take(q) / 3;
			if (((volatile struct request *)REQUESTS)[slot].status != 0)
				return say("!a request failed\n");
			count++;
			if (time < end) begin(q, slot, (random ? any() : next++) % places * step);
			else flying--;
		} while (done(q));
	}
	answer(count, time - first);
}

static struct queue *queue(const char **words)
{
	u64 index = number(words);
	return &queues[index < MOST_QUEUES ? index : 0];
}

static void lend(struct queue *q, u32 slot, u32 bytes, u16 flags)
{
	volatile struct desc *desc = &q->desc[slot];
	desc->addr = BUFFERS + ((u64)q->number * MOST_SIZE + slot) * BUFFER;
	desc->len = bytes;
	desc->flags = flags;
	add(q, slot);
}

/* A buffer with what `frame` said behind its header. */
static void fill(struct queue *q, u32 slot, u32 header)
{
	u8 *buffer = (u8 *)BUFFERS + ((u64)q->number * MOST_SIZE + slot) * BUFFER;
	for (u32 n = 0; n < header; n++) buffer[n] = 0;
	for (u32 n = 0; n < frame_bytes; n++) buffer[header + n] = frame[n];
}

static void send(const char *words)
{
	struct queue *q = queue(&words);
	u64 header = number(&words), bytes = number(&words), depth = number(&words);
	u64 ticks = number(&words);
	if (depth > q->size || header + bytes > BUFFER) return say("!too much\n");
	for (u32 slot = 0; slot < depth; slot++) fill(q, slot, header);
	u64 count = 0, first = now(), end = first + ticks, time = first;
	for (u32 slot = 0; slot < depth; slot++) lend(q, slot, header + bytes, 0);
	for (u64 flying = depth; flying > 0;) {
		show(q);
		while (!done(q)) asm volatile("pause");
		time = now();
		do {
			u32 slot = take(q);
			count++;
			if (time < end) add(q, slot);
			else flying--;
		} while (done(q));
	}
	answer(count, time - first);
}

static void receive(const char *words)
{
	struct queue *q = queue(&words);
	u64 bytes = number(&words), count = number(&words), ticks = number(&words);
	u64 lent = 0, came = 0, first = now(), end = first + ticks, time = first;
	if (bytes > BUFFER) return say("!too much\n");
	while (lent < q->size && lent < count) lend(q, lent++, bytes, DESC_WRITE);
	while (came < count) {
		show(q);
		while (!done(q))
			if ((time = now()) > end) {
				say_number(came);
				return say("!they did not come\n");
			}
		do {
			u32 slot = take(q);
			came++;
			if (lent < count) add(q, slot), lent++;
		} while (done(q));
	}
	answer(came, now() - first);
}

/* Buffers for what comes stay lent from here on. */
static void lend_all(struct queue *q)
{
	while ((u16)(q->added - q->seen) < q->size) lend(q, q->added & (q->size - 1), BUFFER, DESC_WRITE);
	show(q);
}

static void send_one(struct queue *q, u64 header, u64 bytes)
{
	while (done(q)) take(q);
	fill(q, 0, header);
	lend(q, 0, header + bytes, 0);
	show(q);
	while (!done(q)) asm volatile("pause");
	take(q);
}

static void greet(const char *words)
{
	u64 header = number(&words), end = now() + (1ull << 33);
	lend_all(&queues[0]);
	send_one(&queues[1], header, frame_bytes);
	while (!done(&queues[0])) if (now() > end) return say("!there is no answer\n");
	while (done(&queues[0])) add(&queues[0], take(&queues[0]));
	show(&queues[0]);
	say("ok\n");
}

static void fetch(const char *words)
{
	struct queue *q = &queues[0];
	u64 header = number(&words), bytes = number(&words), batch = number(&words);
	u64 goal = number(&words), ticks = number(&words);
	u64 came = 0, asked = 0, first = now(), end = first + ticks;
	while (came < goal) {
		/* Two batches are on their way, so that nobody waits and no buffer runs over. */
		while (asked < goal && asked - came <= batch) {
			send_one(&queues[1], header, bytes);
			asked += batch;
		}
		while (!done(q))
			if (now() > end) {
				say("!of ");
				say_number(asked);
				say(" frames only these came: ");
				say_number(came);
				return say("\n");
			}
		do {
			if (q->used->ring[q->seen & (q->size - 1)].len >= bytes) came++; /* and no ARP */
			add(q, take(q));
		} while (done(q));
		show(q);
	}
	answer(came, now() - first);
}

static void serial(const char *words)
{
	u64 bytes = number(&words), first = now();
	for (u64 n = 0; n < bytes; n++) out8(SERIAL, '.');
	say(" ");
	answer(bytes, now() - first);
}

static void set_frame(const char *words)
{
	for (frame_bytes = 0; *words == ' ' && frame_bytes < sizeof frame;)
		frame[frame_bytes++] = number(&words);
	say("ok\n");
}

void serve(void)
{
	const char *words;
	say("ready\n");
	for (;;) {
		hear();
		if (behind("now")) answer(0, now());
		else if ((words = behind("open"))) {
			u32 type = number(&words);
			u32 count = number(&words);
			open(type, count, number(&words));
		} else if ((words = behind("disk"))) disk(words);
		else if ((words = behind("send"))) send(words);
		else if ((words = behind("receive"))) receive(words);
		else if ((words = behind("fetch"))) fetch(words);
		else if ((words = behind("greet"))) greet(words);
		else if ((words = behind("serial"))) serial(words);
		else if ((words = behind("frame"))) set_frame(words);
		else say("!what?\n");
	}
}
