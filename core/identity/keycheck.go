package identity

import (
	"bytes"
	"crypto/sha3"
	"errors"
)

// The two halves of an ML-DSA-65 key (FIPS 204, algorithms 22 and 24):
//
//	public   ρ 32 │ t1 6 × 320 (10 bits a coefficient)
//	secret   ρ 32 │ K 32 │ tr 64 │ s1 5 × 128 (4 bits) │ s2 6 × 128 (4 bits) │ t0 6 × 416 (13 bits)
//
// They belong together when ρ is equal, tr = SHAKE256(public, 64), all of s1
// and s2 is in [-4, 4], and
//
//	A·s1 + s2 = t1·2¹³ + t0    over Z_q[X]/(X²⁵⁶ + 1), A expanded from ρ.
const (
	fieldQ = 8380417 // q
	polyN  = 256     // coefficients of a polynomial
	rowsA  = 6       // k
	colsA  = 5       // l
	eta    = 4       // bound of s1 and s2

	offTr = 64
	offS1 = 128
	offS2 = offS1 + colsA*128
	offT0 = offS2 + rowsA*128
)

var (
	errSeedDiffers = errors.New("the halves have different seeds")
	errHashDiffers = errors.New("the secret half is for another public key")
	errOutOfRange  = errors.New("a secret coefficient is out of range")
	errEquation    = errors.New("the secret half does not give the public one")
)

// checkPoints are roots of X²⁵⁶ + 1 at which the equation is evaluated: those
// of the first four NTT coefficients, ζ^(2·BitRev8(i)+1) with ζ = 1753 (FIPS
// 204, section 7.5). There A needs no transform, as ExpandA yields it in the
// NTT domain.
//
// A single wrong coefficient c·X^k is c·root^k there, never zero, so it never
// passes; damage of any other shape passes at all four with probability q⁻⁴,
// some 2⁻⁹². Neither circl nor crypto/mldsa checks t0 and s2 at all, and a
// sign-and-verify trial would miss small errors in them.
var checkPoints = [4]uint32{power(1753, 1), power(1753, 257), power(1753, 129), power(1753, 385)}

// checkPair tells whether the halves make one key. K cannot be checked.
func checkPair(pub *[PublicKeySize]byte, sec *[PrivateKeySize]byte) error {
	rho := pub[:32]
	if !bytes.Equal(rho, sec[:32]) {
		return errSeedDiffers
	}
	if !bytes.Equal(sec[offTr:offS1], sha3.SumSHAKE256(pub[:], offS1-offTr)) {
		return errHashDiffers
	}
	for _, b := range sec[offS1:offT0] {
		if b&15 > 2*eta || b>>4 > 2*eta {
			return errOutOfRange
		}
	}

	var s1 [colsA][len(checkPoints)]uint32
	for c := range s1 {
		s1[c] = evaluate(sec[offS1+c*128:], 4, func(v uint32) uint32 { return eta + fieldQ - v })
	}
	for r := range rowsA {
		s2 := evaluate(sec[offS2+r*128:], 4, func(v uint32) uint32 { return eta + fieldQ - v })
		t1 := evaluate(pub[32+r*320:], 10, func(v uint32) uint32 { return v << 13 })
		t0 := evaluate(sec[offT0+r*416:], 13, func(v uint32) uint32 { return 1<<12 + fieldQ - v })
		left := s2
		for c := range colsA {
			a := expandA(rho, byte(r), byte(c))
			for i := range left {
				left[i] = (left[i] + mulQ(a[i], s1[c][i])) % fieldQ
			}
		}
		for i := range left {
			if left[i] != (t1[i]+t0[i])%fieldQ {
				return errEquation
			}
		}
	}
	return nil
}

// evaluate reads 256 little-endian fields of the given width, turns each into a
// coefficient below 2q, and evaluates the polynomial at the check points.
func evaluate(packed []byte, width uint, coefficient func(uint32) uint32) (at [len(checkPoints)]uint32) {
	mask := uint32(1)<<width - 1
	for k := polyN - 1; k >= 0; k-- { // Horner, highest power first
		bit := uint(k) * width
		var v uint32
		for i := uint(0); i < (bit%8+width+7)/8; i++ {
			v |= uint32(packed[bit/8+i]) << (8 * i)
		}
		c := coefficient(v >> (bit % 8) & mask)
		for i, x := range checkPoints {
			at[i] = (mulQ(at[i], x) + c) % fieldQ
		}
	}
	return at
}

// expandA returns the first coefficients of A[row, col] in the NTT domain (FIPS
// 204, algorithms 30 and 32).
func expandA(rho []byte, row, col byte) (a [len(checkPoints)]uint32) {
	h := sha3.NewSHAKE128()
	_, _ = h.Write(rho)
	_, _ = h.Write([]byte{col, row})
	var b [3]byte
	for i := 0; i < len(a); {
		_, _ = h.Read(b[:])
		if v := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2]&0x7f)<<16; v < fieldQ {
			a[i] = v
			i++
		}
	}
	return a
}

func mulQ(a, b uint32) uint32 { return uint32(uint64(a) * uint64(b) % fieldQ) }

func power(base uint32, exp int) uint32 {
	r := uint32(1)
	for range exp {
		r = mulQ(r, base)
	}
	return r
}
