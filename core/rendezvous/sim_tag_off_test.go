//go:build !sim

package rendezvous

import "time"

// simHour is the hour of a swarm, shortened for the ordinary tests.
const simHour = 20 * time.Minute
