// Package record writes what a queue tells a C program, and reads the MessagePack
// arguments that it passes.
//
// A [Writer] fills a buffer of the caller with records, each a fixed header of 40
// bytes, a MessagePack array and raw bytes, as include/x0x.h draws them:
//
//	w := record.NewWriter(buf)
//	meta := record.AppendArray(w.Meta(), 2)
//	...
//	ok := w.Put(record.Header{Kind: abi.RDirect, ID: inbox}, meta, payload)
//
// The Append functions write MessagePack in its shortest forms, without reflection
// and without allocating; [Args] reads an argument array that wire.CheckMsgpack
// bounds first.
//
// Nothing here keeps a buffer beyond the call, and nothing is safe for concurrent
// use but by callers who do not share values.
package record
