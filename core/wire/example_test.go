package wire_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/saorsa-labs/x0x-go/core/wire"
)

func ExampleFrameReader() {
	var stream []byte
	stream = wire.AppendFrame(stream, 1, []byte("hello"))
	stream = wire.AppendFrame(stream, 2, []byte("head "), []byte("and body"))

	r := wire.NewFrameReader(bytes.NewReader(stream), 1<<20)
	for {
		typ, body, err := r.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(typ, string(body))
	}
	// Output:
	// 1 hello
	// 2 head and body
}

func ExampleParser() {
	record := wire.NewBuilder(nil).U8(1).Uvarint(7).String("ada").Build()

	read := func(b []byte) error {
		p := wire.NewParser("greeting", b)
		version, seq := p.U8(), p.Uvarint()
		name := p.String(64)
		if err := p.Done(); err != nil {
			return err
		}
		fmt.Println(version, seq, name)
		return nil
	}
	fmt.Println(read(record))
	fmt.Println(read(record[:4]))
	fmt.Println(read(append(record, 0)))
	// Output:
	// 1 7 ada
	// <nil>
	// greeting: field of 3 bytes cut short at 1
	// greeting: 1 bytes after the end
}

func ExampleError() {
	err := fmt.Errorf("join: %w", wire.Errorf(wire.KindTimeout, "dial", "no answer from %s in 8 s", "ada"))

	fmt.Println(err)
	fmt.Println(wire.KindOf(err), wire.KindOf(err).Symbol())
	fmt.Println(errors.Is(err, &wire.Error{Kind: wire.KindTimeout}))
	// Output:
	// join: dial: no answer from ada in 8 s
	// timeout X0X_E_TIMEOUT
	// true
}
