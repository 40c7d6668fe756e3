//go:build sim

package rendezvous

import "time"

// simHour is the hour of a swarm.
const simHour = time.Hour
