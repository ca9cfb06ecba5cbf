/*
 * What ring_guest.c has of virtio: a device found and started over PCI (virtio 1.2 §4.1), and split
 * queues from the driver's side (§2.7).
 */
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
