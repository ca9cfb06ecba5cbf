/*
 * How ring_guest.c comes to run in ring 3 of long mode, on a CPU that comes from its reset vector.
 * Software KVM emulates everything else, at a thousandth of the speed.
 *
 * This lies at the begin of 64 KiB of firmware, whose reset vector jumps here. It copies all of it to
 * RAM and maps the first 4 GiB as they are. Interrupts stay off for ever: there is no IDT.
 */
#define ROM 0xffff0000
#define ROM_BYTES 0x10000
#define RAM 0x100000
#define STACK 0x300000

#define PML4 0x200000
#define PDPT (PML4 + 0x1000)
#define PD (PDPT + 0x1000)
#define ALL 7 /* present, writable, for ring 3 */
#define LARGE 0x80

#define CODE32 0x08
#define DATA32 0x10
#define CODE64 0x18
#define USER_DATA (0x20 | 3)
#define USER_CODE (0x28 | 3)
#define TASK 0x30

#define IN_ROM(symbol) (ROM + (symbol - start))

	.section .start, "awx"
	.globl start
	.code16
start:
	cli
	lgdtl %cs:(rom_gdtr - start)
	mov %cr0, %eax
	or $1, %al /* CR0.PE */
	mov %eax, %cr0
	ljmpl $CODE32, $IN_ROM(in_rom)

	.code32
in_rom:
	mov $DATA32, %ax
	mov %ax, %ds
	mov %ax, %es
	mov %ax, %ss
	cld
	mov $ROM, %esi
	mov $RAM, %edi
	mov $(ROM_BYTES / 4), %ecx
	rep movsl
	ljmp $CODE32, $in_ram

in_ram:
	lgdtl ram_gdtr
	movl $(PDPT + ALL), PML4
	mov $PDPT, %edi
	mov $(PD + ALL), %eax
	mov $4, %ecx
1:	mov %eax, (%edi)
	add $0x1000, %eax
	add $8, %edi
	loop 1b
	mov $PD, %edi
	mov $(LARGE + ALL), %eax
	mov $2048, %ecx
1:	mov %eax, (%edi)
	add $0x200000, %eax
	add $8, %edi
	loop 1b

	mov %cr4, %eax
	or $0x20, %eax /* CR4.PAE */
	mov %eax, %cr4
	mov $PML4, %eax
	mov %eax, %cr3
	mov $0xc0000080, %ecx /* EFER */
	rdmsr
	or $0x100, %eax /* LME */
	wrmsr
	mov %cr0, %eax
	and $0x9fffffff, %eax /* not CD, NW: the caches are on */
	or $0x80000000, %eax /* CR0.PG */
	mov %eax, %cr0
	ljmp $CODE64, $in_long_mode

	.code64
in_long_mode:
	mov $task, %rax
	mov %ax, task_descriptor + 2
	shr $16, %rax
	mov %al, task_descriptor + 4
	mov %ah, task_descriptor + 7
	mov $TASK, %ax
	ltr %ax
	mov $USER_DATA, %ax
	mov %ax, %ds
	mov %ax, %es
	mov $STACK, %rsp
	pushq $USER_DATA
	pushq $STACK
	pushq $0x3002 /* IOPL 3 */
	pushq $USER_CODE
	pushq $serve
	iretq

	.balign 16
gdt:
	.quad 0
	.quad 0x00cf9b000000ffff /* CODE32 */
	.quad 0x00cf93000000ffff /* DATA32 */
	.quad 0x00af9b000000ffff /* CODE64 */
	.quad 0x00cff3000000ffff /* USER_DATA */
	.quad 0x00affb000000ffff /* USER_CODE */
task_descriptor:
	.quad 0x0000890000000000 + (task_end - task - 1)
	.quad 0
gdt_end:
rom_gdtr:
	.word gdt_end - gdt - 1
	.long IN_ROM(gdt)
ram_gdtr:
	.word gdt_end - gdt - 1
	.long gdt

/* Ring 3 may use every port: some KVMs look at the bitmap even where IOPL allows it. */
	.balign 16
task:
	.fill 0x66, 1, 0
	.word ports - task
ports:
	.fill 0x2000, 1, 0
	.byte 0xff
task_end:
