package direct

import (
	"context"
	"encoding/binary"
	"runtime"
	"testing"
	"time"

	"github.com/saorsa-labs/x0x-go/core/internal/mailbox"
)

// A reader as fast as the messages come: the inbox is full and empty again all the time, while
// the stream's goroutine is still handing over. Whoever finds the other at it must not leave
// messages in the room that nobody comes back for.
func TestAFastReaderIsNeverForgotten(t *testing.T) {
	a, b, _ := pair(t, func(c *Config) { c.Inbox = Options{Messages: 4} })
	const total = 100_000
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	go func() {
		for i := range uint64(total) {
			payload := binary.BigEndian.AppendUint64(nil, i)
			for {
				_, err := a.Send(b.cfg.Self, payload, SendOptions{Timeout: time.Minute}, func(Receipt, error) {})
				if err == nil {
					break
				}
				if ctx.Err() != nil {
					return
				}
				runtime.Gosched()
			}
		}
	}()
	var batch []mailbox.Entry[Message]
	for next := uint64(0); next < total; {
		clear(batch)
		var err error
		if batch, err = b.Inbox().PopMany(ctx, 4, batch[:0]); err != nil {
			t.Fatalf("%v after %d messages: %+v", err, next, b.Stats())
		}
		for _, e := range batch {
			if got := binary.BigEndian.Uint64(e.Item.Payload); got != next {
				t.Fatalf("message %d in place of %d", got, next)
			}
			next++
		}
	}
}
