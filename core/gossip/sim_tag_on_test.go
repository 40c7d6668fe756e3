//go:build sim

package gossip

// simLarge has simulations of 1,000 nodes, which take minutes.
const simLarge = true
