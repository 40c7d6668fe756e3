package direct

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSendWait(t *testing.T) {
	a, b, la := pair(t, nil)
	r, err := a.SendWait(testContext(t), b.cfg.Self, []byte("hello"), SendOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Sequence != 1 || r.Path != "direct" {
		t.Errorf("receipt %+v", r)
	}
	msg := receive(t, b)
	if string(msg.Payload) != "hello" || msg.Sender != a.cfg.Self || msg.Machine != a.cfg.Machine || msg.Sequence != 1 {
		t.Errorf("got %+v", msg)
	}
	if _, err := b.SendWait(testContext(t), a.cfg.Self, nil, SendOptions{}); err != nil {
		t.Fatal(err)
	}
	if msg := receive(t, a); len(msg.Payload) != 0 {
		t.Errorf("got %+v", msg)
	}
	if n := la.watches.Load(); n != 0 {
		t.Errorf("%d watches held with nothing unanswered", n)
	}
}

func TestManyAndLarge(t *testing.T) {
	a, b, _ := pair(t, nil)
	sizes := []int{0, 1, 100, 1200, 8 << 10, 64 << 10, 256 << 10, 256<<10 + 1, 1 << 20, 16 << 20}
	const rounds = 3
	var want [][]byte
	for i := range rounds {
		for _, n := range sizes {
			want = append(want, bytes.Repeat([]byte{byte(i + n)}, n))
		}
	}
	errs := make(chan error, len(want))
	for _, w := range want {
		if _, err := a.Send(b.cfg.Self, w, SendOptions{}, func(_ Receipt, err error) { errs <- err }); err != nil {
			t.Fatal(err)
		}
	}
	for i, w := range want {
		msg := receive(t, b)
		if msg.Sequence != uint64(i+1) || !bytes.Equal(msg.Payload, w) {
			t.Fatalf("message %d: sequence %d, %d bytes, want %d", i+1, msg.Sequence, len(msg.Payload), len(w))
		}
	}
	for range want {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
}

func TestResume(t *testing.T) {
	a, b := newManager(t, 1, nil), newManager(t, 2, nil)
	const n = 20000
	errs := make(chan error, n)
	go func() {
		for i := range n {
			if _, err := a.SendWait(testContext(t), b.cfg.Self, fmt.Appendf(nil, "%d", i), SendOptions{}); err != nil {
				errs <- err
				t.Error(i, err)
				return
			}
		}
		errs <- nil
	}()
	stop := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for i := int64(1); ; i++ {
			la, _ := connect(a, b, 1000+i*37%5000)
			select {
			case <-la.Done():
				down(la)
			case <-stop:
				down(la)
				return
			}
		}
	}()
	for i := range n {
		if i%100 == 0 && testing.Verbose() {
			fmt.Println(i)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		e, err := b.Inbox().Pop(ctx)
		cancel()
		if err != nil {
			t.Fatalf("%v\n%s\n%s", err, dump(a), dump(b))
		}
		msg := e.Item
		if string(msg.Payload) != fmt.Sprint(i) || msg.Sequence != uint64(i+1) {
			t.Fatalf("message %d: %q, sequence %d", i, msg.Payload, msg.Sequence)
		}
	}
	if err := <-errs; err != nil {
		t.Fatal(err)
	}
	close(stop)
	<-stopped
}

func TestToSelf(t *testing.T) {
	a := newManager(t, 1, nil)
	for i := range 10 {
		if _, err := a.SendWait(testContext(t), a.cfg.Self, []byte{byte(i)}, SendOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 10 {
		if m := receive(t, a); m.Payload[0] != byte(i) || m.Sequence != uint64(i+1) {
			t.Fatalf("got %+v", m)
		}
	}
}

// A connection can come up while the agent closes: that must not find a peer which is gone,
// again and again.
func TestLinkUpAfterClose(t *testing.T) {
	a, b, la := pair(t, nil)
	down(la)
	if err := a.Close(testContext(t)); err != nil {
		t.Fatal(err)
	}
	late, _ := connect(a, b, 0)
	down(late)
}
