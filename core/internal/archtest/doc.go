// Package archtest holds no code: its tests are the rules of the house, which
// rooms there are, what each may import and why, and what no room may do.
//
// The map in rooms_test.go is meant to be read. Whoever adds a package adds a
// line there and says why; the tests fail otherwise.
package archtest
