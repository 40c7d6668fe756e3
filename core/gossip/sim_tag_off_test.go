//go:build !sim

package gossip

const simLarge = false
