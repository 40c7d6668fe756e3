package x0x

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/saorsa-labs/x0x-go/core/discovery"
	"github.com/saorsa-labs/x0x-go/core/internal/task"
	"github.com/saorsa-labs/x0x-go/core/store"
	"github.com/saorsa-labs/x0x-go/core/transport"
	"github.com/saorsa-labs/x0x-go/core/wire"
)

const (
	peersFile = "peers.json"
	// maxPeersFile bounds what is read of the file; a full cache takes some 80 KB.
	maxPeersFile = 1 << 20
	// savePeers is how often the cache is written while it changes. What a crash loses is only
	// who was met lately.
	savePeers = time.Minute
	// fewPeers is below how many connections cached peers are tried, and cachedDials how many
	// of them at a time: enough that one who is there is found among the dead in one pass.
	fewPeers    = 3
	cachedDials = 8
)

// peerCache remembers who was connected, so that an agent with a folder comes back into its
// network without a bootstrap peer.
type peerCache struct {
	agent *Agent
	cache *discovery.PeerCache
	file  *store.File // nil: in memory only
	dirty atomic.Bool
}

// newPeerCache reads the file of the identity folder. It holds hints and nothing that could
// not be learnt again, so a damaged one is reported and replaced.
func newPeerCache(a *Agent) *peerCache {
	c := &peerCache{agent: a, cache: discovery.NewPeerCache(0)}
	if a.keys.dir == nil {
		return c
	}
	if err := c.open(a.keys.dir.File(peersFile)); err != nil && wire.KindOf(err) != wire.KindNotFound {
		a.log.Warn("peer cache not used", "file", peersFile, "error", err)
	}
	return c
}

func (c *peerCache) open(path string) error {
	file, err := store.Open(path, maxPeersFile)
	if err != nil {
		return err
	}
	c.file = file
	b, err := file.Read()
	if err != nil {
		return err
	}
	read, err := discovery.ParsePeerCache(b, 0, time.Now())
	if err == nil {
		c.cache = read
	}
	return err
}

func (c *peerCache) connected(conn *transport.Conn) {
	c.cache.Connected(conn.AgentID(), conn.MachineID(), conn.RemoteAddr(), time.Now())
	c.dirty.Store(true)
}

// save writes the file if anything has changed.
func (c *peerCache) save() {
	if c.file == nil || !c.dirty.Swap(false) {
		return
	}
	b, err := json.Marshal(c.cache)
	if err == nil {
		err = c.file.Write(b)
	}
	if err != nil {
		c.dirty.Store(true)
		c.agent.log.Warn("peer cache not saved", "file", c.file.Path(), "error", err)
	}
}

// saveLoop saves until the network is left, and once more then.
func (c *peerCache) saveLoop(ctx context.Context) {
	tick := time.NewTicker(savePeers)
	defer tick.Stop()
	defer c.save()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			c.save()
		}
	}
}

// dialCached starts dials to the best cached peers if few are connected.
func (n *network) dialCached(ctx context.Context, g *task.Group, slots chan struct{}) {
	c := n.agent.peerCache
	if n.peers.Connected() >= fewPeers {
		return
	}
	for _, p := range c.cache.Best(cachedDials, time.Now(), rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))) {
		if p.Machine == n.agent.MachineID() || n.machineConnected(p.Machine) {
			continue
		}
		try(ctx, g, slots, "dial cached peer", func() {
			n.peers.AddHint(transport.Hint{Machine: p.Machine, Agent: p.Agent, Addrs: p.Addrs, Source: "peer cache"})
			if _, err := n.peers.ConnectMachine(ctx, p.Machine); err != nil && n.ctx.Err() == nil {
				c.cache.Failed(p.Machine)
				c.dirty.Store(true)
				n.agent.log.Debug("cached peer not reached", "machine", p.Machine.Short(), "error", err)
			}
		})
	}
}
