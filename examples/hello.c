// SPDX-License-Identifier: LGPL-2.1-or-later
/* The smallest program: memory from the process's own heap, and back. */
#include <hpheap.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
	char *span = hpheap_span_alloc(hpheap_default(), 1 << 20, 0, HPHEAP_SPAN_ZERO);

	if (!span)
		return perror("hello"), 1;
	puts(strcpy(span, "hello from a huge page"));
	hpheap_span_free(hpheap_default(), span);
	return 0;
}
