package identity

import (
	"crypto/mldsa"
	"testing"
)

// The standard library's figures stand beside ours: they are the reason for
// circl, and the comparison holds on any machine.
func BenchmarkSign(b *testing.B) {
	k, msg, context := testKey(b, 1), make([]byte, 256), []byte("x0x/bench/v1")
	std, _ := mldsa.NewPrivateKey(mldsa.MLDSA65(), seedOf(1))
	b.Run("x0x", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := k.Sign(msg, context); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("std", func(b *testing.B) {
		for b.Loop() {
			if _, err := std.Sign(nil, msg, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	k, msg, context := testKey(b, 1), make([]byte, 256), []byte("x0x/bench/v1")
	sig, _ := k.Sign(msg, context)
	std, _ := k.Public().standard()
	b.Run("x0x", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if !k.Public().Verify(msg, context, sig) {
				b.Fatal("refused")
			}
		}
	})
	b.Run("std", func(b *testing.B) {
		opts := &mldsa.Options{Context: string(context)}
		for b.Loop() {
			if err := mldsa.Verify(std, msg, sig, opts); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkParsePublicKey(b *testing.B) {
	encoded := testKey(b, 1).Public().Bytes()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParsePublicKey(encoded); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCachedPublicKey(b *testing.B) {
	encoded := testKey(b, 1).Public().Bytes()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := CachedPublicKey(encoded); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLookupPublicKey(b *testing.B) {
	p, _ := CachedPublicKey(testKey(b, 1).Public().Bytes())
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := LookupPublicKey(p.Digest()); !ok {
			b.Fatal("missing")
		}
	}
}

func BenchmarkParseKeyFile(b *testing.B) {
	image := testKey(b, 1).MarshalKeyFile()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseKeyFile(image); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseAgentID(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseAgentID(hexID); err != nil {
			b.Fatal(err)
		}
	}
}
