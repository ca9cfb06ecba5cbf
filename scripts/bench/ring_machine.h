/*
 * What ring_guest.c has of a machine: ports, its serial port by lines, the time-stamp counter.
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
