/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The argument of a request: a structure that begins with its own size in a u32, so
 * that the module and who calls it may each know more of it than the other. What the
 * module does not know must be zero; what the caller does not know counts as zero.
 */
#ifndef HPHEAP_ARG_H
#define HPHEAP_ARG_H

#include <linux/mm.h>
#include <linux/uaccess.h>

/**
 * hpheap_copy_arg() - get the argument of a request
 * @arg: where it goes, @bytes of it; its own size is then that of the caller's
 * @least: what the first published form of the structure held
 */
static inline int hpheap_copy_arg(void *arg, size_t bytes, size_t least, const void __user *uarg)
{
	u32 size;
	int err;

	if (get_user(size, (const u32 __user *)uarg))
		return -EFAULT;
	if (size < least)
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	err = copy_struct_from_user(arg, bytes, uarg, size);
	if (!err)
		*(u32 *)arg = size;	/* once read, and checked, it stays */
	return err;
}

#endif
