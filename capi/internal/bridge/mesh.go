package bridge

import (
	"github.com/saorsa-labs/x0x-go/capi/internal/record"
	"github.com/saorsa-labs/x0x-go/core/x0x"
)

// appendMesh appends the result of X0X_M_TOPIC_MESH.
func appendMesh(b []byte, mesh []x0x.TopicMesh) []byte {
	b = record.AppendArray(b, len(mesh))
	for i := range mesh {
		m := &mesh[i]
		b = record.AppendArray(b, 7)
		b = record.AppendID(b, m.ID)
		b = record.AppendString(b, m.Name)
		b = record.AppendUint(b, uint64(m.Priority))
		b = record.AppendUint(b, uint64(m.Subscriptions))
		b = record.AppendUint(b, uint64(m.Retained))
		b = record.AppendUint(b, uint64(m.Missing))
		b = record.AppendArray(b, len(m.Links))
		for k := range m.Links {
			b = appendLink(b, &m.Links[k])
		}
	}
	return b
}

func appendLink(b []byte, l *x0x.TopicLink) []byte {
	b = record.AppendArray(b, 7)
	b = record.AppendID(b, l.Peer)
	b = record.AppendBool(b, l.Eager)
	b = record.AppendBool(b, l.Carries)
	if l.Interested {
		b = record.AppendUint(b, uint64(max(l.Distance, 0)))
	} else {
		b = record.AppendNil(b)
	}
	b = record.AppendUint(b, micros(l.RTT))
	b = record.AppendUint(b, l.First)
	return record.AppendUint(b, l.Duplicates)
}

// appendKnown appends the result of X0X_M_KNOWN_PEERS.
func appendKnown(b []byte, peers []x0x.KnownPeer) []byte {
	b = record.AppendArray(b, len(peers))
	for i := range peers {
		p := &peers[i]
		b = record.AppendArray(b, 3)
		b = record.AppendID(b, p.Agent)
		b = record.AppendID(b, p.Machine)
		b = record.AppendArray(b, len(p.Addrs))
		for _, addr := range p.Addrs {
			b = record.AppendString(b, addr.String())
		}
	}
	return b
}
