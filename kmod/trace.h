/* SPDX-License-Identifier: GPL-2.0-only */
/* Trace events, in tracefs below events/hpheap/. No physical addresses. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM hpheap

#if !defined(HPHEAP_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define HPHEAP_TRACE_H

#include <linux/tracepoint.h>
#include <linux/types.h>

TRACE_EVENT(hpheap_arena_create,
	    TP_PROTO(u64 id, u64 bytes, u64 chunk_bytes, u32 policy, u32 flags),
	    TP_ARGS(id, bytes, chunk_bytes, policy, flags),
	    TP_STRUCT__entry(__field(u64, id)
			     __field(u64, bytes)
			     __field(u64, chunk_bytes)
			     __field(u32, policy)
			     __field(u32, flags)),
	    TP_fast_assign(__entry->id = id;
			   __entry->bytes = bytes;
			   __entry->chunk_bytes = chunk_bytes;
			   __entry->policy = policy;
			   __entry->flags = flags;),
	    TP_printk("id=%llu bytes=%llu chunk=%llu policy=%u flags=%#x",
		      __entry->id, __entry->bytes, __entry->chunk_bytes,
		      __entry->policy, __entry->flags)
);

TRACE_EVENT(hpheap_arena_destroy,
	    TP_PROTO(u64 id, u64 resident_bytes),
	    TP_ARGS(id, resident_bytes),
	    TP_STRUCT__entry(__field(u64, id)
			     __field(u64, resident_bytes)),
	    TP_fast_assign(__entry->id = id;
			   __entry->resident_bytes = resident_bytes;),
	    TP_printk("id=%llu resident=%llu", __entry->id, __entry->resident_bytes)
);

DECLARE_EVENT_CLASS(hpheap_chunk,
		    TP_PROTO(u64 id, unsigned long index, int node),
		    TP_ARGS(id, index, node),
		    TP_STRUCT__entry(__field(u64, id)
				     __field(unsigned long, index)
				     __field(int, node)),
		    TP_fast_assign(__entry->id = id;
				   __entry->index = index;
				   __entry->node = node;),
		    TP_printk("id=%llu chunk=%lu node=%d",
			      __entry->id, __entry->index, __entry->node)
);

DEFINE_EVENT(hpheap_chunk, hpheap_chunk_alloc,
	     TP_PROTO(u64 id, unsigned long index, int node),
	     TP_ARGS(id, index, node)
);

DEFINE_EVENT(hpheap_chunk, hpheap_chunk_release,
	     TP_PROTO(u64 id, unsigned long index, int node),
	     TP_ARGS(id, index, node)
);

DEFINE_EVENT(hpheap_chunk, hpheap_chunk_copy,
	     TP_PROTO(u64 id, unsigned long index, int node),
	     TP_ARGS(id, index, node)
);

DEFINE_EVENT(hpheap_chunk, hpheap_chunk_mark,
	     TP_PROTO(u64 id, unsigned long index, int node),
	     TP_ARGS(id, index, node)
);

DEFINE_EVENT(hpheap_chunk, hpheap_chunk_reuse,
	     TP_PROTO(u64 id, unsigned long index, int node),
	     TP_ARGS(id, index, node)
);

DEFINE_EVENT(hpheap_chunk, hpheap_chunk_take,
	     TP_PROTO(u64 id, unsigned long index, int node),
	     TP_ARGS(id, index, node)
);

TRACE_EVENT(hpheap_fault,
	    TP_PROTO(u64 id, u64 offset, bool write, int result),
	    TP_ARGS(id, offset, write, result),
	    TP_STRUCT__entry(__field(u64, id)
			     __field(u64, offset)
			     __field(bool, write)
			     __field(int, result)),
	    TP_fast_assign(__entry->id = id;
			   __entry->offset = offset;
			   __entry->write = write;
			   __entry->result = result;),
	    TP_printk("id=%llu offset=%llu %s result=%#x", __entry->id, __entry->offset,
		      __entry->write ? "write" : "read", __entry->result)
);

#endif /* HPHEAP_TRACE_H */

#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_PATH .
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
