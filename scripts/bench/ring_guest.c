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
#include "ring_machine.h"
#include "ring_virtio.h"

static u8 frame[128];
static u32 frame_bytes;

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
