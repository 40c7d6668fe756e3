package mailbox_test

import (
	"fmt"

	"github.com/saorsa-labs/x0x-go/core/internal/mailbox"
)

// A feed keeps the newest and says what a slow reader has missed.
func Example() {
	feed := mailbox.New[string](mailbox.Options{MaxItems: 2, MaxBytes: 1 << 20, Policy: mailbox.DropOldest})
	for seq, text := range []string{"one", "two", "three", "four"} {
		feed.Push(text, len(text), uint64(seq))
	}
	for _, e := range feed.TryPop(10, nil) {
		if e.Lagged != nil {
			fmt.Printf("missed %d, numbers %d to %d\n", e.Lagged.Count, e.Lagged.FirstSeq, e.Lagged.LastSeq)
			continue
		}
		fmt.Println(e.Item)
	}
	// Output:
	// missed 2, numbers 0 to 1
	// three
	// four
}
